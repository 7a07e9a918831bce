/* The registration room against a model of it: many random steps, and after each one the room must hold
 * what the model says. Always the same steps, unless EPC_MODEL_SEED gives another seed (0: one from the
 * clock, printed) or EPC_MODEL_STEPS another number; EPC_MODEL_VERBOSE shows each step. A run that fails
 * is cut down to the shortest tail of steps that fails by itself. */
#include "harness.h"

#include "registration/roll_priv.h"
#include "sip/sip_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    SLOTS = 8,      /* connections at a time */
    USERS = 3, INSTANCES = 2,
    FLOWS_MAX = 64, /* connections that something is known of */
    GRACE_MS = 20000,
    MAX_PER_IDENTITY = 3,
};
static const char *const users[USERS] = {"alice", "bob", "carol"};

/* The product's hash differs from process to process; a replay must choose the same home shards. */
uint64_t __wrap_epc_hash_bytes(const void *p, size_t n);
uint64_t __wrap_epc_hash_bytes(const void *p, size_t n)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ ((const unsigned char *)p)[i]) * 1099511628211u;
    return h ^ h >> 32;
}

/* ---- steps ---------------------------------------------------------------------------------- */

#define OPS_LIST(X)                                                                                \
    X(TOKEN, 24) X(DIGEST, 8) X(ANSWERED, 6) X(LEAVE, 4) X(QUERY, 2) X(BAD, 2) X(REPLY, 40)        \
    X(SILENCE, 3) X(CLOSE, 6) X(OPEN, 20) X(TIME, 10) X(MAIL, 8) X(REVOKE, 1) X(CHECK, 5) X(CALL, 3) X(NOTIFY, 6)
enum op_kind {
#define X(id, weight) OP_##id,
    OPS_LIST(X)
#undef X
        OPS
};
static const char *const op_names[OPS] = {
#define X(id, weight) #id,
    OPS_LIST(X)
#undef X
};
static const unsigned op_weights[OPS] = {
#define X(id, weight) weight,
    OPS_LIST(X)
#undef X
};
struct op {
    enum op_kind kind;
    uint32_t a, b, c, d; /* what to do it with: taken modulo what there is */
};

static uint64_t random_state;
static uint32_t next_random(void) /* xorshift64*: the same everywhere */
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 2685821657736338717u) >> 32);
}

static struct op random_op(void)
{
    unsigned sum = 0, at, k = 0;
    for (size_t i = 0; i < OPS; i++)
        sum += op_weights[i];
    for (at = next_random() % sum; at >= op_weights[k]; k++)
        at -= op_weights[k];
    struct op op = {.kind = (enum op_kind)k};
    op.a = next_random();
    op.b = next_random();
    op.c = next_random();
    op.d = next_random();
    return op;
}

/* ---- the model ------------------------------------------------------------------------------ */

struct mflow {
    uint64_t id;
    size_t shard;
    bool used, open;
    bool bound;
    bool unsure;           /* another shard's word on it is under way */
    int user, instance;    /* of the binding */
    enum epc_reg_modes mode;
    uint64_t expires_ms, token_end_s;
    uint64_t lost_ms;      /* when the connection went; 0: it is there */
    bool revoked;          /* while its first REGISTER was at the core */
    bool pending;          /* a REGISTER is not answered yet */
    size_t in;             /* its index */
    int tx_user, tx_instance;
    enum epc_reg_modes tx_mode;
    enum reg_event tx_kind;
    uint64_t tx_token_end_s;
    uint64_t at_core_ms;   /* its answer came then, at the latest */
    bool busy;             /* in a call */
    uint64_t busy_ms;      /* until then, at least */
};

static struct {
    struct mflow flow[FLOWS_MAX];
    uint64_t slot[SLOTS]; /* id of the connection there */
    size_t n_shards;
    int64_t gauge0, unexpected0;
    uint64_t made, gone, moved; /* bindings */
    const struct mflow *removing; /* the core says that it has no binding of this one's */
    int revoking;                 /* user, or -1 */
    int ended_user, ended_instance; /* the core's NOTIFY ends this one's; user -1: nobody's */
    struct msub {                 /* the node's own subscription to a user's registrations */
        bool known;
        char call_id[80], tag[40];
        unsigned cseq, version;
    } sub[USERS];
    uint64_t notified, ended, shortened;
    char fault[400];
} model;

static bool verbose;

static void fault(const char *fmt, ...) EPC_PRINTF(1, 2);
static void fault(const char *fmt, ...)
{
    va_list ap;
    if (model.fault[0])
        return;
    va_start(ap, fmt);
    vsnprintf(model.fault, sizeof model.fault, fmt, ap);
    va_end(ap);
}

static struct mflow *flow_of(uint64_t id)
{
    for (size_t i = 0; i < FLOWS_MAX; i++)
        if (model.flow[i].used && model.flow[i].id == id)
            return &model.flow[i];
    return NULL;
}

static struct mflow *flow_at(uint32_t slot)
{
    return flow_of(model.slot[slot % SLOTS]);
}

static void new_flow(size_t slot, uint64_t id)
{
    for (size_t i = 0; i < FLOWS_MAX; i++) {
        struct mflow *f = &model.flow[i];
        if (f->used)
            continue;
        *f = (struct mflow){.id = id, .shard = slot % model.n_shards, .used = true, .open = true};
        model.slot[slot] = id;
        return;
    }
    fault("too many connections are remembered");
}

static bool same_key(const struct mflow *f, int user, int instance)
{
    return f->bound && f->user == user && f->instance == instance;
}

static void unbind(struct mflow *f)
{
    f->bound = f->unsure = false;
}

/* ---- hooks ---------------------------------------------------------------------------------- */

/* Is there a reason for this binding to end now? */
static bool may_end(const struct mflow *f)
{
    uint64_t now = epc_now_ms();
    if (now >= f->expires_ms || (!f->open && now >= f->lost_ms + GRACE_MS) || model.removing == f ||
        model.revoking == f->user || (model.ended_user == f->user && model.ended_instance == f->instance))
        return true;
    for (size_t i = 0; i < FLOWS_MAX; i++) {
        const struct mflow *o = &model.flow[i];
        if (o != f && o->used && (same_key(o, f->user, f->instance) ||
                                  (o->pending && o->tx_user == f->user && o->tx_instance == f->instance)))
            return true; /* the same instance has come elsewhere */
    }
    return false;
}

static void on_gone(void *arg, const struct epc_binding *b, const char *why)
{
    struct mflow *f = flow_of(b->flow_id);
    (void)arg;
    model.gone++;
    if (!f || !f->bound)
        fault("gone (%s) of flow %llu, which the model has no binding on", why, (unsigned long long)b->flow_id);
    else if (!b->impi || strncmp(b->impi, users[f->user], strlen(users[f->user])) != 0)
        fault("gone of flow %llu is of %s", (unsigned long long)b->flow_id, b->impi ? b->impi : "(nobody)");
    else if (!may_end(f) && !(model.n_shards > 1 && strstr(why, "another connection")))
        fault("the binding of flow %llu ended without cause (%s)", (unsigned long long)f->id, why);
    if (f)
        unbind(f);
}

static void on_moved(void *arg, uint64_t old_id, uint64_t new_id)
{
    struct mflow *from = flow_of(old_id), *to = flow_of(new_id);
    struct epc_reg *r = bench.regs[from ? from->shard : 0];
    const struct epc_binding *b = epc_reg_by_flow(r, new_id);
    (void)arg;
    model.moved++;
    if (!from || !from->bound || !to || from == to || !b)
        fault("moved from %llu to %llu", (unsigned long long)old_id, (unsigned long long)new_id);
    else if (!epc_reg_by_flow(r, old_id))
        fault("moved from %llu when that was gone already", (unsigned long long)old_id);
    if (from)
        unbind(from);
}

static bool on_token_end(void *arg, uint64_t flow_id)
{
    const struct mflow *f = flow_of(flow_id);
    (void)arg;
    return f && f->busy;
}

static void look(bool quiet);

/* ---- what a step does ----------------------------------------------------------------------- */

static const uint64_t lifetimes_s[] = {61, 300, 600, 3600};
static const char *const expiries[] = {"60", "600", "3600"};

static void use(const struct mflow *f)
{
    bench_on(f->shard);
}

/* A core's REGISTER of this flow's WIC that is not over; NULL: none. */
static struct bench_out *at_core(const struct mflow *f)
{
    for (size_t i = 0; i < bench.n_out; i++) {
        struct bench_out *o = &bench.out[i];
        if (o->text && !o->detached && o->fn == reg_on_response &&
            ((struct reg_tx *)o->arg)->rec->flow_id == f->id)
            return o;
    }
    return NULL;
}

static size_t send_register(struct mflow *f, int user, int instance, const char *extra, const char *expires,
                            const char *contact)
{
    char text[512];
    snprintf(text, sizeof text, "<sip:u@k%llu.invalid;transport=ws>;reg-id=1;+sip.instance=\"<urn:uuid:i%d>\";"
             "expires=%s", (unsigned long long)f->id, instance, expires);
    use(f);
    return bench_register(f->id, &(struct reg_text){.user = users[user], .extra = extra, .expires = expires,
                                                    .contact = contact ? contact : text});
}

/* One more REGISTER: it is either answered by now or waits for others. */
static void note_register(struct mflow *f, size_t in, int user, int instance, enum epc_reg_modes mode,
                          enum reg_event kind, uint64_t token_end_s)
{
    if (bench.in[in].released) {
        if (bench.in[in].status / 100 == 2)
            fault("a 200 that the core has not given");
        return;
    }
    if (f->pending)
        fault("two REGISTERs of flow %llu at a time", (unsigned long long)f->id);
    f->pending = true;
    f->in = in;
    f->tx_user = user;
    f->tx_instance = instance;
    f->tx_mode = mode;
    f->tx_kind = kind;
    f->tx_token_end_s = token_end_s;
}

static void must_refuse(size_t in, const char *what)
{
    if (!bench.in[in].released || bench.in[in].status < 400)
        fault("%s was answered %d", what, bench.in[in].status);
}

static unsigned flows_of_user(int user, int but_instance)
{
    unsigned n = 0;
    for (size_t i = 0; i < FLOWS_MAX; i++) {
        const struct mflow *f = &model.flow[i];
        if (!f->used)
            continue;
        bool tx = f->pending && f->tx_user == user && f->tx_instance != but_instance;
        n += (f->bound && f->user == user && f->instance != but_instance) || tx;
    }
    return n;
}

static void op_token(struct mflow *f, const struct op *op)
{
    int user = (int)(op->b % USERS), instance = (int)(op->c % INSTANCES);
    uint64_t life = lifetimes_s[op->d % EPC_ARRAY_LEN(lifetimes_s)];
    bool was_pending = f->pending, foreign = f->bound && f->user != user;
    bool may = epc_wss_flow(NULL, f->id) && (op->a / SLOTS % 4 || f->id % SLOTS != 5);
    uint64_t end = epc_wall_s() + life;
    if (!may || f->id % SLOTS == 5) /* Digest-only Origin */
        return;
    size_t in = send_register(f, user, instance, bench_bearer(users[user], (uint32_t)life),
                              expiries[op->d / 8 % EPC_ARRAY_LEN(expiries)], NULL);
    if (was_pending || foreign)
        must_refuse(in, was_pending ? "a second REGISTER" : "another identity on a bound flow");
    else
        note_register(f, in, user, instance, EPC_MODE_TOKEN, REG_EV_REGISTER, end);
    if (!was_pending && !foreign && bench.in[in].released && bench.in[in].status == 403 &&
        model.n_shards == 1 && flows_of_user(user, instance) < MAX_PER_IDENTITY && !bench_flow_closed_code(f->id))
        fault("a good token of %s was refused with 403", users[user]);
}

static void op_digest(struct mflow *f, const struct op *op, bool answered)
{
    char extra[400] = "";
    int user = (int)(op->b % USERS), instance = (int)(op->c % INSTANCES);
    bool was_pending = f->pending;
    if (!epc_wss_flow(NULL, f->id) || f->id % SLOTS == 4) /* token-only Origin */
        return;
    if (f->bound && f->mode == EPC_MODE_DIGEST && !answered)
        user = f->user; /* without a name of its own it would be a further identity of the bound one's */
    if (answered)
        snprintf(extra, sizeof extra, "Authorization: Digest username=\"%s@ims.test\", realm=\"ims.test\", "
                 "nonce=\"n\", uri=\"sip:ims.test\", response=\"0123456789abcdef0123456789abcdef\"\r\n",
                 users[user]);
    size_t in = send_register(f, user, instance, extra, expiries[op->d % EPC_ARRAY_LEN(expiries)], NULL);
    if (was_pending || (f->bound && (f->mode == EPC_MODE_TOKEN || (answered && f->user != user))))
        must_refuse(in, "REGISTER by Digest");
    else
        note_register(f, in, user, instance, EPC_MODE_DIGEST, REG_EV_REGISTER, 0);
}

static void op_leave(struct mflow *f, const struct op *op)
{
    bool was_pending = f->pending;
    if (!epc_wss_flow(NULL, f->id) || !f->bound)
        return;
    bool own = op->b % 4 != 0 || f->mode == EPC_MODE_DIGEST; /* there, the core is asked */
    int user = own ? f->user : (f->user + 1) % USERS;
    size_t in = send_register(f, user, f->instance, "", "0", op->c % 3 == 0 ? "*" : NULL);
    if (was_pending || !own)
        must_refuse(in, own ? "leaving while a REGISTER is pending" : "leaving in another's name");
    else
        note_register(f, in, f->user, f->instance, f->mode, REG_EV_DEREGISTER, f->token_end_s);
}

static void op_query(struct mflow *f, const struct op *op)
{
    bool was_pending = f->pending;
    if (!epc_wss_flow(NULL, f->id) || !f->bound || f->mode != EPC_MODE_DIGEST)
        return;
    size_t in = send_register(f, f->user, f->instance, "", "600",
                              op->b % 2 ? "" : "<sip:old@gone.invalid;transport=ws>;expires=0");
    if (was_pending)
        must_refuse(in, "a query while a REGISTER is pending");
    else
        note_register(f, in, f->user, f->instance, f->mode, REG_EV_QUERY, 0);
}

/* What no WIC may do: always refused here, and never with a word to the core. */
static void op_bad(struct mflow *f, const struct op *op)
{
    char text[8192];
    const char *good = bench_bearer("alice", 600);
    if (!epc_wss_flow(NULL, f->id))
        return;
    use(f);
    struct reg_text t = {.user = "alice", .extra = good};
    switch (op->b % 8) {
    case 0: t.extra = "Authorization: Bearer a.b.c\r\n"; break;
    case 1: t.user = "bob"; break;
    case 2: t.from = "sip:bob@ims.test"; break;
    case 3: t.target = "sip:other.test"; break;
    case 4: t.expires = "30"; break;
    case 5: t.contact = "<sip:a@b.invalid>, <sip:c@d.invalid>"; break;
    case 6: t.extra = bench_bearer("alice", 20); break;
    default:
        snprintf(text, sizeof text, "%sProxy-%s", good, good);
        t.extra = text;
    }
    must_refuse(bench_register(f->id, &t), "a bad REGISTER");
}

static size_t pending_outs(size_t *list)
{
    size_t n = 0;
    for (size_t i = 0; i < bench.n_out; i++)
        if (bench.out[i].text && !bench.out[i].detached)
            list[n++] = i;
    return n;
}

/* The core's 200: with the contact as it was sent, and its expiry. */
static void ok_headers(const struct bench_out *o, const char *user, unsigned long expires_s, char *to, size_t size)
{
    const char *contact = strstr(o->text, "\r\nContact: ");
    const char *end = contact ? strstr(contact + 2, "\r\n") : NULL, *cut = contact ? strstr(contact, ";expires=") : NULL;
    int n = 0;
    to[0] = 0;
    if (contact && end && !strstr(o->text, "Contact: *"))
        n = snprintf(to, size, "%.*s;expires=%lu\r\n", (int)((cut && cut < end ? cut : end) - contact - 2), contact + 2,
                     expires_s);
    snprintf(to + n, size - (size_t)n, "P-Associated-URI: <sip:%s@ims.test>\r\n"
             "Service-Route: <sip:orig@127.0.0.3:6060;lr>\r\n", user);
}

/* What the model makes of a 200 that grants @p core_s. */
static void bound(struct mflow *f, uint64_t core_s)
{
    uint64_t rest = f->tx_token_end_s > epc_wall_s() ? f->tx_token_end_s - epc_wall_s() : 0;
    if (f->tx_mode == EPC_MODE_TOKEN && rest < core_s)
        core_s = rest;
    if (f->revoked || (!f->open && !f->bound))
        return; /* nobody is there to be bound */
    model.made += !f->bound;
    bool other_key = !same_key(f, f->tx_user, f->tx_instance);
    f->bound = true;
    f->user = f->tx_user;
    f->instance = f->tx_instance;
    f->mode = f->tx_mode;
    f->expires_ms = epc_now_ms() + core_s * 1000;
    f->token_end_s = f->tx_mode == EPC_MODE_TOKEN ? f->tx_token_end_s : 0;
    f->unsure = f->unsure || (other_key && model.n_shards > 1);
    for (size_t i = 0; i < FLOWS_MAX; i++) {
        struct mflow *o = &model.flow[i];
        if (o != f && o->used && o->shard != f->shard && same_key(o, f->user, f->instance))
            o->unsure = f->unsure = true; /* one of them ends when the shards have spoken */
    }
}

static bool copy_part(char *to, size_t size, const char *text, const char *name)
{
    const char *at = strstr(text, name);
    size_t n = at ? strcspn(at + strlen(name), "\r\n;") : 0;
    if (n == 0 || n >= size)
        return false;
    memcpy(to, at + strlen(name), n);
    to[n] = 0;
    return true;
}

static void note_subscription(const char *text)
{
    for (int u = 0; u < USERS; u++) {
        char to[64];
        snprintf(to, sizeof to, "\r\nTo: <sip:%s@ims.test>", users[u]);
        if (!strstr(text, to))
            continue;
        struct msub *s = &model.sub[u], old = *s;
        s->known = copy_part(s->call_id, sizeof s->call_id, text, "\r\nCall-ID: ") &&
                   copy_part(s->tag, sizeof s->tag, text, ";tag=") && !strstr(text, "\r\nExpires: 0\r\n");
        if (!old.known || strcmp(old.call_id, s->call_id) != 0)
            s->cseq = s->version = 0;
    }
}

static int send_notify(int user, const char *body)
{
    static unsigned branch;
    char text[3072], impi[64];
    struct msub *s = &model.sub[user];
    snprintf(impi, sizeof impi, "%s@ims.test", users[user]);
    snprintf(text, sizeof text,
             "NOTIFY sip:127.0.0.41:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.3:6060;branch=z9hG4bKm%u\r\n"
             "From: <sip:%s>;tag=core\r\nTo: <sip:127.0.0.41:5060>;tag=%s\r\nCall-ID: %s\r\nCSeq: %u NOTIFY\r\n"
             "Contact: <sip:scscf@127.0.0.3:6060>\r\nEvent: reg\r\nSubscription-State: active;expires=7200\r\n"
             "Content-Type: application/reginfo+xml\r\nContent-Length: %zu\r\n\r\n%s",
             ++branch, impi, s->tag, s->call_id, ++s->cseq, strlen(body), body);
    struct epc_reg *home = bench.regs[reg_home(bench.regs[0], impi)];
    size_t in = bench_request(0, text);
    bench_last_in()->leg = EPC_LEG_CORE;
    epc_reg_notify(home, bench_last_in());
    bench_end_of_turn();
    bench_deliver();
    if (!bench.in[in].released)
        fault("a NOTIFY is not answered");
    return bench.in[in].status;
}

/* The core says what has become of one contact; or says it late, or says rubbish. */
static void op_notify(const struct op *op)
{
    static const char *const ends[] = {"unregistered", "expired", "deactivated", "probation", "rejected"};
    int user = (int)(op->a % USERS);
    struct msub *s = &model.sub[user];
    struct mflow *f = NULL;
    char body[1400];
    bench_deliver();
    look(true);
    for (size_t i = 0; i < FLOWS_MAX && !f; i++) {
        struct mflow *o = &model.flow[(op->b + i) % FLOWS_MAX];
        f = o->used && o->bound && o->user == user ? o : NULL;
    }
    if (!s->known || !f)
        return;
    unsigned kind = op->c % 8, lasts_s = 20 + op->d % 600;
    bool end = kind < 3, shorter = kind == 3, old = kind == 6 && s->version > 0;
    unsigned version = s->version + !old;
    snprintf(body, sizeof body,
             "<?xml version=\"1.0\"?><reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"%u\" "
             "state=\"partial\"><registration aor=\"sip:%s@ims.test\" id=\"r\" state=\"active\">"
             "<contact id=\"c\" state=\"%s\" event=\"%s\" expires=\"%u\">"
             "<uri>sip:u@k%llu.invalid;transport=ws</uri>"
             "<unknown-param name=\"+sip.instance\">\"&lt;urn:uuid:i%d&gt;\"</unknown-param>"
             "<unknown-param name=\"reg-id\">1</unknown-param></contact></registration></reginfo>%s",
             version, users[user], end || old ? "terminated" : "active",
             end || old ? ends[op->d % EPC_ARRAY_LEN(ends)] : shorter ? "shortened" : "refreshed", lasts_s,
             (unsigned long long)f->id, f->instance, kind == 7 ? "<rubbish" : "");
    uint64_t until_ms = epc_now_ms() + lasts_s * 1000u;
    if (end) {
        model.ended_user = user;
        model.ended_instance = f->instance;
    }
    int status = send_notify(user, body);
    model.ended_user = -1;
    model.notified++;
    if (kind == 7 ? status == 200 : status != 200 && status != 481)
        fault("a NOTIFY was answered %d", status);
    if (status == 481)
        s->known = false;
    if (status == 200)
        s->version = version;
    if (status == 200 && end) {
        model.ended++;
        if (f->bound)
            fault("flow %llu is bound still, which the core has ended", (unsigned long long)f->id);
    }
    if (status == 200 && shorter && until_ms + 1000 < f->expires_ms) {
        f->expires_ms = until_ms;
        model.shortened++;
    }
}

static void op_reply(const struct op *op)
{
    static const int statuses[] = {401, 403, 404, 500, 503, 423, 494};
    size_t list[64], n = pending_outs(list);
    char headers[1024] = "";
    if (n == 0)
        return;
    struct bench_out *o = &bench.out[list[op->a % n]];
    struct mflow *f = o->fn == reg_on_response ? flow_of(((struct reg_tx *)o->arg)->rec->flow_id) : NULL;
    int status = op->b % 10 < 7 ? 200 : statuses[op->c % EPC_ARRAY_LEN(statuses)];
    if (!f) { /* of the node's own: a de-registration or a subscription */
        bool subscribe = strncmp(o->text, "SUBSCRIBE", 9) == 0;
        if (subscribe && status == 200)
            note_subscription(o->text);
        bench_answer(list[op->a % n], status,
                     subscribe ? "Contact: <sip:scscf@127.0.0.3:6060>\r\nExpires: 7200\r\n" : "");
        return;
    }
    use(f);
    if (status != 200) {
        bool ended = !f->pending;
        bench_answer(list[op->a % n], status, status == 401 ? "WWW-Authenticate: Digest realm=\"ims.test\", "
                                                              "nonce=\"n\"\r\n" : "");
        if (ended)
            fault("an answer for nobody");
        return;
    }
    uint64_t core_s = op->d % 5 == 0 ? 0 : op->d % 5 == 1 ? 30 : op->d % 5 == 2 ? 7200 : 540;
    bool contact = op->c % 8 != 0;
    if (contact)
        ok_headers(o, users[f->tx_user], (unsigned long)core_s, headers, sizeof headers);
    bool removes = f->tx_kind == REG_EV_DEREGISTER || (f->tx_kind == REG_EV_REGISTER && (!contact || core_s == 0));
    if (f->tx_kind == REG_EV_REGISTER && !removes)
        bound(f, core_s);
    model.removing = removes ? f : NULL;
    bench_answer(list[op->a % n], 200, headers);
    model.removing = NULL;
    if (removes && f->bound)
        fault("flow %llu is bound still, whose binding the core has removed", (unsigned long long)f->id);
}

static void op_silence(const struct op *op)
{
    static const int how[] = {408, 503, 0};
    size_t list[64], n = pending_outs(list);
    if (n)
        bench_no_answer(list[op->a % n], how[op->b % 3]);
}

static void op_close(struct mflow *f)
{
    if (!f->open)
        return;
    use(f);
    f->open = false;
    f->lost_ms = epc_now_ms();
    bench_flow_gone(f->id);
}

static void op_open(uint32_t slot)
{
    struct mflow *f = flow_at(slot);
    if (f && f->open && bench_flow_closed_code(f->id))
        op_close(f); /* the connection that the node ended ends */
    else if (!f || !f->open)
        new_flow(slot % SLOTS, bench_flow_again(model.slot[slot % SLOTS]));
}

static void op_revoke(const struct op *op)
{
    char impi[64];
    snprintf(impi, sizeof impi, "%s@ims.test", users[op->a % USERS]);
    for (size_t i = 0; i < FLOWS_MAX; i++) {
        struct mflow *f = &model.flow[i];
        if (f->used && f->pending && !f->bound && f->tx_user == (int)(op->a % USERS))
            f->revoked = true;
    }
    model.revoking = (int)(op->a % USERS);
    bench_on(op->b % model.n_shards);
    epc_reg_revoke(bench.reg, impi);
    bench_end_of_turn();
    bench_deliver();
    model.revoking = -1;
    for (size_t i = 0; i < FLOWS_MAX; i++) {
        struct mflow *f = &model.flow[i];
        const struct reg_record *rec = f->used && f->pending ? reg_record_find(bench.regs[f->shard], f->id) : NULL;
        if (rec && rec->state == REG_ORPHAN) /* replaced while it was refreshed, by word still on its way */
            f->revoked = true;
        if (f->used && f->bound && f->user == (int)(op->a % USERS))
            fault("flow %llu is bound still, whose user is revoked", (unsigned long long)f->id);
    }
    bench_advance(2); /* a token of this second would be one of before */
}

struct checked {
    unsigned calls;
    enum epc_err err;
};

static void on_checked(void *arg, enum epc_err err, const struct epc_binding *b, const struct epc_cause *cause,
                       const char *www_authenticate)
{
    struct checked *c = arg;
    (void)www_authenticate;
    c->calls++;
    c->err = err;
    if ((err == EPC_OK) != (b != NULL) || (err == EPC_OK) != (cause->sip_status == 0))
        fault("a check with %d and %s binding", cause->sip_status, b ? "a" : "no");
}

static void op_check(struct mflow *f, const struct op *op)
{
    char text[600];
    struct checked c = {0};
    if (!epc_wss_flow(NULL, f->id))
        return;
    snprintf(text, sizeof text, "MESSAGE sip:x@ims.test SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK%u\r\n"
             "To: <sip:x@ims.test>\r\nFrom: <sip:alice@ims.test>;tag=1\r\nCall-ID: c%u\r\nCSeq: 1 MESSAGE\r\n"
             "Content-Length: 0\r\n\r\n", op->b, op->c);
    use(f);
    size_t in = bench_request(f->id, text);
    epc_reg_check(bench.reg, bench_last_in(), on_checked, &c);
    bench_end_of_turn();
    bool good = f->bound && f->expires_ms > epc_now_ms() &&
                (f->mode != EPC_MODE_TOKEN || f->token_end_s > epc_wall_s());
    if (c.calls != 1 || (!f->unsure && good != (c.err == EPC_OK)))
        fault("a request of flow %llu passed %u times with %s", (unsigned long long)f->id, c.calls,
              epc_err_name(c.err));
    bench.in[in].status = 200; /* played out */
    bench.in[in].released = true;
}

static void step(const struct op *op)
{
    static const uint64_t seconds[] = {1, 1, 2, 2, 15, 25, 60, 250, 700};
    struct mflow *f = flow_at(op->a);
    switch (op->kind) {
    case OP_REPLY: op_reply(op); break;
    case OP_SILENCE: op_silence(op); break;
    case OP_OPEN: op_open(op->a); break;
    case OP_TIME: bench_advance(seconds[op->a % EPC_ARRAY_LEN(seconds)]); break;
    case OP_REVOKE: op_revoke(op); break;
    case OP_NOTIFY: op_notify(op); break;
    case OP_MAIL:
        if (op->a % 3)
            bench_deliver();
        else
            bench_deliver_one();
        break;
    default:
        if (!f || !f->open)
            break;
        if (op->kind == OP_TOKEN)
            op_token(f, op);
        else if (op->kind == OP_DIGEST || op->kind == OP_ANSWERED)
            op_digest(f, op, op->kind == OP_ANSWERED);
        else if (op->kind == OP_LEAVE)
            op_leave(f, op);
        else if (op->kind == OP_QUERY)
            op_query(f, op);
        else if (op->kind == OP_BAD)
            op_bad(f, op);
        else if (op->kind == OP_CLOSE)
            op_close(f);
        else if (op->kind == OP_CHECK)
            op_check(f, op);
        else if (op->kind == OP_CALL)
            f->busy = f->bound && !f->busy;
    }
}

/* ---- invariants ----------------------------------------------------------------------------- */

/* What time alone has ended; the room's timers have told already. */
static void age(struct mflow *f)
{
    uint64_t now = epc_now_ms();
    const struct epc_binding *b = epc_reg_by_flow(bench.regs[f->shard], f->id);
    f->busy = f->busy && f->bound && f->open;
    if (f->busy)
        f->busy_ms = now;
    if (!f->bound)
        return;
    /* Calls may go on beyond the token; whether they do is looked at every 5 s. */
    bool over = f->mode == EPC_MODE_TOKEN && f->token_end_s <= epc_wall_s();
    uint64_t last = f->busy_ms > f->at_core_ms ? f->busy_ms : f->at_core_ms;
    if (over && (now < last + 6000 || (!f->open && now < f->lost_ms + 6000 && now < f->lost_ms + GRACE_MS)))
        return;
    if (b && b->over && f->open)
        fault("flow %llu is kept for calls that are no more", (unsigned long long)f->id);
    if (!f->open && now >= f->lost_ms + GRACE_MS)
        fault("flow %llu is bound beyond its grace", (unsigned long long)f->id);
    else if (!f->open && now >= f->expires_ms && now >= f->lost_ms + 1000)
        fault("flow %llu is lost, and bound beyond its expiry", (unsigned long long)f->id);
    else if (now >= f->expires_ms + 1000 && !at_core(f) && now >= f->at_core_ms + 1000)
        fault("flow %llu is bound beyond its expiry", (unsigned long long)f->id);
    if (b && b->expires_at_ms != f->expires_ms && !f->unsure)
        fault("flow %llu expires at %llu, not %llu", (unsigned long long)f->id,
              (unsigned long long)b->expires_at_ms, (unsigned long long)f->expires_ms);
}

static void look_at_flow(struct mflow *f, bool quiet)
{
    struct epc_reg *r = bench.regs[f->shard];
    const struct epc_binding *b = epc_reg_by_flow(r, f->id);
    const struct reg_record *rec = reg_record_find(r, f->id);
    char impi[64];
    if (f->pending && bench.in[f->in].released)
        f->pending = false;
    if (at_core(f))
        f->at_core_ms = epc_now_ms();
    if (f->pending != (rec && rec->tx != NULL))
        fault("flow %llu: a transaction %s", (unsigned long long)f->id,
              f->pending ? "is lost" : "is held for nobody");
    if (f->bound != (b != NULL))
        fault("flow %llu is %sbound", (unsigned long long)f->id, b ? "" : "not ");
    if (b) {
        snprintf(impi, sizeof impi, "%s@ims.test", users[f->user]);
        if (strcmp(b->impi, impi) != 0 || b->mode != f->mode || b->flow_id != f->id)
            fault("flow %llu is bound to %s", (unsigned long long)f->id, b->impi);
    }
    if (!f->open && rec && !b && !at_core(f))
        fault("flow %llu: an orphan in state %s", (unsigned long long)f->id, reg_state_name(rec->state));
    if (epc_wss_flow(NULL, f->id) && bench_flow_registered(f->id) != (b != NULL))
        fault("flow %llu: the connection says registered=%d", (unsigned long long)f->id, b == NULL);
    age(f);
    if (quiet)
        f->unsure = false;
    if (!f->open && !rec && !f->pending)
        f->used = false; /* nothing will come of it any more */
}

static void count_one(const struct epc_binding *b, void *arg)
{
    (void)b;
    ++*(uint64_t *)arg;
}

static void look_at_numbers(void)
{
    uint64_t n = 0, held = 0, records = 0, known = 0, pending = 0, unanswered = 0;
    for (size_t i = 0; i < model.n_shards; i++) {
        epc_reg_each(bench.regs[i], count_one, &held);
        records += bench.regs[i]->by_flow.n_items;
    }
    for (size_t i = 0; i < FLOWS_MAX; i++) {
        const struct mflow *f = &model.flow[i];
        n += f->used && f->bound;
        pending += f->used && f->pending;
        known += f->used && reg_record_find(bench.regs[f->shard], f->id) != NULL;
    }
    for (size_t i = 0; i < bench.n_in; i++)
        unanswered += bench.in[i].status == 0 && !bench.in[i].released;
    int64_t gauge = epc_counter_read(EPC_C_REG_BINDINGS) - model.gauge0;
    if ((uint64_t)gauge != n || held != n)
        fault("registrations: gauge %lld, %llu held, the model has %llu", (long long)gauge,
              (unsigned long long)held, (unsigned long long)n);
    if (model.made - model.gone - model.moved != n)
        fault("%llu bindings made, %llu gone, %llu moved: not %llu left", (unsigned long long)model.made,
              (unsigned long long)model.gone, (unsigned long long)model.moved, (unsigned long long)n);
    if (records > known)
        fault("%llu records, but connections for %llu", (unsigned long long)records, (unsigned long long)known);
    if (unanswered > pending)
        fault("%llu requests unanswered, %llu pending", (unsigned long long)unanswered, (unsigned long long)pending);
    if (epc_counter_read(EPC_C_FSM_UNEXPECTED) != model.unexpected0)
        fault("an event that the table has no row for");
}

/* A key is on one flow of a shard at any time, and of the node when the shards have spoken. */
static void look_at_keys(bool quiet)
{
    for (size_t i = 0; i < FLOWS_MAX; i++) {
        for (size_t k = i + 1; k < FLOWS_MAX; k++) {
            const struct mflow *f = &model.flow[i], *o = &model.flow[k];
            if (f->used && o->used && f->bound && same_key(o, f->user, f->instance) &&
                (quiet || f->shard == o->shard))
                fault("flows %llu and %llu are both %s's instance %d", (unsigned long long)f->id,
                      (unsigned long long)o->id, users[f->user], f->instance);
        }
    }
}

/* The home shards' list is that of the bindings. */
static void look_at_roll(void)
{
    uint64_t listed = 0, claimed = 0, n = 0, pending = 0;
    for (int u = 0; u < USERS; u++) {
        char impi[64];
        snprintf(impi, sizeof impi, "%s@ims.test", users[u]);
        const struct epc_reg *home = bench.regs[reg_home(bench.regs[0], impi)];
        const struct roll_user *user = roll_user_find(home, impi);
        for (const struct roll_entry *e = user ? user->entries : NULL; e; e = e->next) {
            const struct mflow *f = flow_of(e->flow_id);
            if (e->stage != ROLL_BOUND)
                claimed++;
            else if (!f || !f->bound || f->user != u)
                fault("the roll has %s on flow %llu", users[u], (unsigned long long)e->flow_id);
            else
                listed++;
        }
    }
    for (size_t i = 0; i < FLOWS_MAX; i++) {
        n += model.flow[i].used && model.flow[i].bound;
        pending += model.flow[i].used && model.flow[i].pending;
    }
    if (listed != n)
        fault("the roll lists %llu bindings of %llu", (unsigned long long)listed, (unsigned long long)n);
    if (claimed > pending)
        fault("the roll waits for %llu claims, %llu are pending", (unsigned long long)claimed,
              (unsigned long long)pending);
}

static void look(bool quiet)
{
    for (size_t i = 0; i < FLOWS_MAX && !model.fault[0]; i++)
        if (model.flow[i].used)
            look_at_flow(&model.flow[i], quiet);
    if (!model.fault[0])
        look_at_numbers();
    if (!model.fault[0])
        look_at_keys(quiet);
    if (!model.fault[0] && quiet)
        look_at_roll();
}

/* ---- runs ----------------------------------------------------------------------------------- */

static void begin(size_t n_shards)
{
    memset(&model, 0, sizeof model);
    model.n_shards = n_shards;
    model.revoking = model.ended_user = -1;
    model.gauge0 = epc_counter_read(EPC_C_REG_BINDINGS);
    model.unexpected0 = epc_counter_read(EPC_C_FSM_UNEXPECTED);
    bench.cfg.registration.max_flows_per_identity = MAX_PER_IDENTITY;
    bench.cfg.registration.reg_event = true;
    bench.cfg.registration.reg_event_expires_s = 7200;
    if (n_shards > 1)
        bench_shards(n_shards);
    for (size_t i = 0; i < n_shards; i++) {
        epc_reg_on_gone(bench.regs[i], on_gone, NULL);
        epc_reg_on_moved(bench.regs[i], on_moved, NULL);
        epc_reg_on_token_end(bench.regs[i], on_token_end, NULL);
    }
    for (size_t s = 0; s < SLOTS; s++)
        new_flow(s, s);
}

/* Everything answered, everybody gone, time over: nothing may be left. */
static void end(void)
{
    for (size_t s = 0; s < SLOTS; s++) {
        struct mflow *f = flow_of(model.slot[s]);
        if (f)
            op_close(f);
    }
    for (int round = 0; round < 4 && !model.fault[0]; round++) {
        size_t list[64], n = pending_outs(list);
        for (size_t i = 0; i < n; i++)
            if (bench.out[list[i]].text && !bench.out[list[i]].detached)
                bench_no_answer(list[i], 408);
        bench_deliver();
        bench_advance(4000);
        bench_recycle();
    }
    for (size_t i = 0; i < model.n_shards && !model.fault[0]; i++) {
        if (bench.regs[i]->by_flow.n_items || bench.regs[i]->by_key.n_items ||
            bench.regs[i]->roll->users.n_items || bench.regs[i]->roll->claims.n_items ||
            bench.regs[i]->roll->claims_by_key.n_items)
            fault("shard %zu holds something at the end", i);
    }
    if (epc_counter_read(EPC_C_REG_BINDINGS) != model.gauge0)
        fault("the gauge of registrations is not 0 at the end");
}

/* The steps from @p from to @p to on a fresh room. Returns the index of the one that a fault followed,
 * @p to when it came at the end, or SIZE_MAX: none. The room is left as it is in the first case. */
static size_t run(const struct op *ops, size_t from, size_t to, size_t n_shards)
{
    begin(n_shards);
    for (size_t i = from; i < to; i++) {
        if (verbose)
            fprintf(stderr, "%zu %s %u %u %u %u\n", i, op_names[ops[i].kind], ops[i].a, ops[i].b, ops[i].c,
                    ops[i].d);
        step(&ops[i]);
        if (model.n_shards == 1)
            bench_deliver();
        bool quiet = model.n_shards == 1;
        if (!quiet && i % 8 == 0) {
            bench_deliver();
            quiet = true;
        }
        look(quiet);
        bench_recycle();
        if (model.fault[0])
            return i;
    }
    end();
    return model.fault[0] ? to : SIZE_MAX;
}

static size_t run_afresh(const struct op *ops, size_t from, size_t to, size_t n_shards)
{
    void *state = NULL;
    epc_count_add(EPC_C_REG_BINDINGS, -epc_counter_read(EPC_C_REG_BINDINGS)); /* of a run that failed */
    bench_setup(&state);
    size_t at = run(ops, from, to, n_shards);
    if (at == SIZE_MAX)
        bench_teardown(&state);
    return at;
}

static unsigned long number_of(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

/* Twice as many steps until they fail by themselves, from a fresh room. What a failed run leaves behind
 * stays: the program is about to end. */
static void show_tail(const struct op *ops, size_t to, size_t n_shards, unsigned long seed)
{
    size_t length = 1, from;
    char first[sizeof model.fault];
    memcpy(first, model.fault, sizeof first);
    for (;; length *= 2) {
        from = length > to ? 0 : to - length;
        if (run_afresh(ops, from, to, n_shards) != SIZE_MAX || from == 0)
            break;
    }
    print_message("%s\nThe last %zu steps fail by themselves (%s):\n", first, to - from, model.fault);
    for (size_t i = from; i < to; i++)
        print_message("  %zu %s %u %u %u %u\n", i, op_names[ops[i].kind], ops[i].a, ops[i].b, ops[i].c, ops[i].d);
    fail_msg("%s; again with EPC_MODEL_SEED=%lu EPC_MODEL_VERBOSE=1", first, seed);
}

static void random_steps(size_t n_shards, unsigned long steps)
{
    unsigned long seed = number_of("EPC_MODEL_SEED", 1);
    if (seed == 0)
        seed = (unsigned long)time(NULL) + (unsigned long)getpid();
    steps = number_of("EPC_MODEL_STEPS", steps);
    struct op *ops = calloc(steps, sizeof *ops);
    assert_non_null(ops);
    random_state = (seed + 1) * 88172645463325252u;
    for (size_t i = 0; i < steps; i++)
        ops[i] = random_op();
    print_message("seed %lu, %lu steps on %zu shards\n", seed, steps, n_shards);
    verbose = getenv("EPC_MODEL_VERBOSE") != NULL;
    size_t at = run_afresh(ops, 0, steps, n_shards);
    if (at != SIZE_MAX)
        show_tail(ops, at < steps ? at + 1 : steps, n_shards, seed);
    print_message("%llu bindings made, %llu gone, %llu moved; %llu NOTIFYs, %llu ended and %llu shortened one\n",
                  (unsigned long long)model.made, (unsigned long long)model.gone,
                  (unsigned long long)model.moved, (unsigned long long)model.notified,
                  (unsigned long long)model.ended, (unsigned long long)model.shortened);
    assert_true(steps < 5000 || (model.moved > steps / 2000 && model.gone > steps / 200));
    assert_true(steps < 5000 || (model.ended > steps / 2000 && model.shortened > steps / 5000));
    free(ops);
}

static void one_shard(void **state)
{
    (void)state;
    random_steps(1, 50000);
}

static void three_shards(void **state)
{
    (void)state;
    random_steps(3, 50000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_shard), cmocka_unit_test(three_shards)};
    epc_log_setup(getenv("EPC_MODEL_VERBOSE") ? EPC_LOG_DEBUG : EPC_LOG_ERROR,
                  getenv("EPC_MODEL_VERBOSE") ? 2 : open("/dev/null", O_WRONLY | O_CLOEXEC));
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
