#include "harness.h"

#include "sip/sip_priv.h"

#include <stdio.h>
#include <unistd.h>

struct bench bench;

/* ---- the clock ------------------------------------------------------------------------------ */

static uint64_t clock_ms = 1000000;
uint64_t __wrap_epc_now_ms(void);
uint64_t __wrap_epc_now_ms(void)
{
    return clock_ms;
}
uint64_t __wrap_epc_wall_s(void);
uint64_t __wrap_epc_wall_s(void)
{
    return 1700000000 + clock_ms / 1000;
}

/* ---- shard ---------------------------------------------------------------------------------- */

void epc_shard_assert_owner(const struct epc_shard *sh);
void epc_shard_assert_owner(const struct epc_shard *sh)
{
    (void)sh;
}

static struct {
    void (*fn)(void *obj);
    void *obj;
} doomed[256];
static size_t n_doomed;

void epc_shard_doom(struct epc_shard *sh, void (*fn)(void *obj), void *obj)
{
    (void)sh;
    assert_true(n_doomed < EPC_ARRAY_LEN(doomed));
    doomed[n_doomed].fn = fn;
    doomed[n_doomed++].obj = obj;
}

void bench_end_of_turn(void)
{
    for (size_t i = 0; i < n_doomed; i++)
        doomed[i].fn(doomed[i].obj);
    n_doomed = 0;
}

/* What the shards post to each other waits for bench_deliver(). On one shard only auth/ would post,
 * which reads and fetches keys in the background; here it never does. */
static char shards[BENCH_SHARDS];
static struct {
    epc_shard_fn *fn;
    void *arg;
    struct epc_shard *to;
} mail[256];
static size_t n_mail;

unsigned epc_shard_index(const struct epc_shard *sh)
{
    return (unsigned)((const char *)(const void *)sh - shards);
}

static pthread_t main_thread;

enum epc_err epc_shard_post(struct epc_shard *sh, epc_shard_fn *fn, void *arg)
{
    /* What works on a thread of its own finds nobody: here is no loop to run what it found. */
    if (!pthread_equal(pthread_self(), main_thread) || bench.n_shards < 2 || bench.stopped[epc_shard_index(sh)])
        return EPC_ENOENT;
    if (bench.mail_full)
        return EPC_ELIMIT;
    assert_true(n_mail < EPC_ARRAY_LEN(mail));
    mail[n_mail].fn = fn;
    mail[n_mail].arg = arg;
    mail[n_mail++].to = sh;
    return EPC_OK;
}

bool bench_deliver_one(void)
{
    if (n_mail == 0)
        return false;
    epc_shard_fn *fn = mail[0].fn;
    void *arg = mail[0].arg;
    struct epc_shard *to = mail[0].to;
    memmove(mail, mail + 1, --n_mail * sizeof mail[0]);
    fn(to, arg);
    bench_end_of_turn();
    return true;
}

void bench_deliver(void)
{
    while (bench_deliver_one())
        ;
}
void epc_shard_hold(struct epc_shard *sh)
{
    (void)sh;
}
void epc_shard_release(struct epc_shard *sh)
{
    (void)sh;
}
struct lws_context *epc_shard_lws(struct epc_shard *sh)
{
    (void)sh;
    return NULL;
}

static struct epc_timer *timers[64];

void epc_timer_stop(struct epc_shard *sh, struct epc_timer *t)
{
    (void)sh;
    for (size_t i = 0; i < EPC_ARRAY_LEN(timers); i++) {
        if (timers[i] == t)
            timers[i] = NULL;
    }
}

void epc_timer_start(struct epc_shard *sh, struct epc_timer *t, uint64_t after_ms, epc_timer_fn *fn,
                     void *arg)
{
    epc_timer_stop(sh, t);
    t->_at_ms = clock_ms + after_ms;
    t->fn = fn;
    t->arg = arg;
    for (size_t i = 0; i < EPC_ARRAY_LEN(timers); i++) {
        if (!timers[i]) {
            timers[i] = t;
            return;
        }
    }
    fail_msg("too many timers");
}

void bench_advance(uint64_t s)
{
    uint64_t until = clock_ms + s * 1000;
    for (;;) {
        size_t next = EPC_ARRAY_LEN(timers);
        for (size_t i = 0; i < EPC_ARRAY_LEN(timers); i++) {
            if (timers[i] && timers[i]->_at_ms <= until &&
                (next == EPC_ARRAY_LEN(timers) || timers[i]->_at_ms < timers[next]->_at_ms))
                next = i;
        }
        if (next == EPC_ARRAY_LEN(timers))
            break;
        struct epc_timer *t = timers[next];
        timers[next] = NULL;
        clock_ms = t->_at_ms > clock_ms ? t->_at_ms : clock_ms;
        t->fn(t->arg);
        bench_end_of_turn();
    }
    clock_ms = until;
}

/* ---- flows ---------------------------------------------------------------------------------- */

struct epc_flow {
    uint64_t id;
    const struct epc_cfg_origin *origin;
    bool registered, gone;
    int closed;
};
static struct epc_flow flows[8];
static struct epc_cfg_origin origins[] = {
    {.origin = "https://a.test", .wwsf = "wwsf1", .modes = EPC_MODE_DIGEST | EPC_MODE_TOKEN},
    {.origin = "https://b.test", .wwsf = "wwsf1", .modes = EPC_MODE_TOKEN},
    {.origin = "https://c.test", .wwsf = "wwsf2", .modes = EPC_MODE_DIGEST},
};

struct epc_flow *epc_wss_flow(struct epc_wss *w, uint64_t id)
{
    (void)w;
    struct epc_flow *f = &flows[id % EPC_ARRAY_LEN(flows)];
    return f->id == id && !f->gone && !f->closed ? f : NULL;
}
const struct epc_cfg_origin *epc_flow_origin(const struct epc_flow *f)
{
    return f->origin;
}
void epc_flow_set_registered(struct epc_flow *f, bool registered)
{
    f->registered = registered;
}
void epc_flow_close(struct epc_flow *f, uint16_t code, const char *reason)
{
    (void)reason;
    f->closed = code;
}
/* The handed-over connection is flow 7 over there; bench_arrive() plays its first message. */
static char *handed;
static struct epc_shard *handed_to;
enum epc_err epc_flow_hand_over(struct epc_flow *f, struct epc_shard *to_sh, struct epc_wss *const *to,
                                const char *msg, size_t n)
{
    assert_true(to && *to);
    if (!bench.can_hand_over)
        return EPC_EPOLICY;
    f->gone = true;
    assert_null(handed);
    handed = strndup(msg, n);
    handed_to = to_sh;
    return EPC_OK;
}
bool bench_arrive(size_t *shard)
{
    if (!handed)
        return false;
    *shard = epc_shard_index(handed_to);
    flows[7] = (struct epc_flow){.id = 7, .origin = &origins[0]};
    bench_request(7, handed);
    free(handed);
    handed = NULL;
    epc_reg_handle(bench.regs[*shard], bench_last_in());
    bench_end_of_turn();
    return true;
}
int bench_flow_closed_code(uint64_t flow_id)
{
    return flows[flow_id % EPC_ARRAY_LEN(flows)].closed;
}
bool bench_flow_registered(uint64_t flow_id)
{
    return flows[flow_id % EPC_ARRAY_LEN(flows)].registered;
}
uint64_t bench_flow_again(uint64_t flow_id)
{
    struct epc_flow *f = &flows[flow_id % EPC_ARRAY_LEN(flows)];
    f->id += EPC_ARRAY_LEN(flows);
    f->gone = f->registered = false;
    f->closed = 0;
    return f->id;
}
void bench_flow_gone(uint64_t flow_id)
{
    flows[flow_id % EPC_ARRAY_LEN(flows)].gone = true;
    epc_reg_flow_closed(bench.reg, flow_id);
    bench_end_of_turn();
}

/* ---- transactions --------------------------------------------------------------------------- */

struct played_in {
    struct epc_sip_in base; /* first: the editing functions of sip/ read its message */
    struct bench_in *result;
};
static struct played_in *ins[64], *last;

static struct bench_in *result_of(const struct epc_sip_in *in)
{
    return ((const struct played_in *)(const void *)in)->result;
}
enum epc_leg epc_sip_in_leg(const struct epc_sip_in *in)
{
    return in->leg;
}
uint64_t epc_sip_in_flow(const struct epc_sip_in *in)
{
    return in->flow_id;
}
const sip_t *epc_sip_in_sip(const struct epc_sip_in *in)
{
    return in->sip;
}
msg_t *epc_sip_in_dup(const struct epc_sip_in *in)
{
    return msg_dup(in->req);
}
void epc_sip_in_reply(struct epc_sip_in *in, int status, const char *phrase, const char *extra)
{
    struct bench_in *r = result_of(in);
    snprintf(r->phrase, sizeof r->phrase, "%s", phrase ? phrase : "");
    assert_int_equal(r->status, 0);
    assert_false(r->released);
    r->status = status;
    r->answer = strdup(extra ? extra : "");
}
void epc_sip_in_refuse(struct epc_sip_in *in, const struct epc_cause *cause)
{
    char extra[64] = "";
    if (cause->retry_after_s)
        snprintf(extra, sizeof extra, "Retry-After: %u\r\n", cause->retry_after_s);
    epc_sip_in_reply(in, cause->sip_status, cause->reason, extra);
}
void epc_sip_in_forward(struct epc_sip_in *in, msg_t **resp)
{
    struct bench_in *r = result_of(in);
    assert_int_equal(r->status, 0);
    r->status = epc_sip_of(*resp)->sip_status->st_status;
    r->answer = epc_sip_text(*resp, NULL);
    assert_non_null(r->answer);
    r->forwarded = true;
    msg_destroy(*resp);
    *resp = NULL;
}
void epc_sip_in_release(struct epc_sip_in *in)
{
    struct bench_in *r = result_of(in);
    assert_false(r->released);
    r->released = true;
    if (!r->status)
        r->status = 500;
}

enum epc_err epc_sip_out_send(struct epc_sip_out **out, struct epc_sip *s,
                              const struct epc_sip_dest *dest, msg_t **req, epc_sip_response_fn *fn,
                              void *arg)
{
    (void)s;
    size_t i = 0;
    while (i < bench.n_out && bench.out[i].text)
        i++;
    assert_true(i < EPC_ARRAY_LEN(bench.out));
    assert_int_equal(dest->leg, EPC_LEG_CORE);
    struct bench_out *o = &bench.out[i];
    if (!dest->next_hop && !epc_sip_of(*req)->sip_route)
        return EPC_EPROTO;
    *o = (struct bench_out){.next_hop = dest->next_hop, .fn = fn, .arg = arg};
    o->text = epc_sip_text(*req, NULL);
    assert_non_null(o->text);
    msg_destroy(*req);
    o->msg = epc_sip_parse(o->text, strlen(o->text)); /* as the core reads it */
    assert_non_null(o->msg);
    o->handle = calloc(1, sizeof *o->handle);
    if (i == bench.n_out)
        bench.n_out++;
    *req = NULL;
    *out = o->handle;
    return EPC_OK;
}
void epc_sip_out_detach(struct epc_sip_out *out)
{
    for (size_t i = 0; out && i < bench.n_out; i++) {
        if (bench.out[i].handle == out)
            bench.out[i].detached = true;
    }
}
const char *epc_sip_core_uri(const struct epc_sip *s)
{
    (void)s;
    return "sip:127.0.0.41:5060";
}
char *epc_sip_path_uri(struct epc_sip *s, uint64_t flow_id, bool ob)
{
    char uri[64];
    (void)s;
    snprintf(uri, sizeof uri, "sip:flow%u@127.0.0.41:5060;lr%s", (unsigned)flow_id, ob ? ";ob" : "");
    return strdup(uri);
}
void epc_sip_flow_token(const struct epc_sip *s, uint64_t flow_id, char out[EPC_SIP_TOKEN_LEN])
{
    (void)s;
    snprintf(out, EPC_SIP_TOKEN_LEN, "flow%u", (unsigned)flow_id);
}
enum epc_err epc_sip_put_path(const struct epc_sip *s, msg_t *msg, const char *token, bool ob)
{
    char value[100];
    (void)s;
    snprintf(value, sizeof value, "<sip:%s@127.0.0.41:5060;lr%s>", token, ob ? ";ob" : "");
    return epc_sip_put(msg, "Path", epc_str_c(value));
}

/* ---- the WIC -------------------------------------------------------------------------------- */

size_t bench_request(uint64_t flow_id, const char *text)
{
    struct played_in *p = calloc(1, sizeof *p);
    size_t i = 0;
    while (i < bench.n_in && ins[i])
        i++;
    assert_true(i < EPC_ARRAY_LEN(ins));
    if (i == bench.n_in)
        bench.n_in++;
    p->base.leg = EPC_LEG_WIC;
    p->base.flow_id = flow_id;
    p->base.req = epc_sip_parse(text, strlen(text));
    assert_non_null(p->base.req);
    p->base.sip = epc_sip_of(p->base.req);
    p->result = &bench.in[i];
    bench.in[i] = (struct bench_in){0};
    ins[i] = last = p;
    return i;
}

struct epc_sip_in *bench_last_in(void)
{
    return &last->base;
}

const struct bench_in *bench_result(size_t i)
{
    return &bench.in[i];
}

size_t bench_register(uint64_t flow_id, const struct reg_text *t)
{
    static unsigned cseq;
    char text[16384], contact[512], from[256];
    const char *user = t->user ? t->user : "alice";
    snprintf(contact, sizeof contact,
             "<sip:lrs4jl2e@k%u.invalid;transport=ws>;+sip.ice;reg-id=1;+sip.instance="
             "\"<urn:uuid:80971e7c-f5f1-46fc-ae0d-3709de0e663b>\";expires=%s",
             (unsigned)flow_id, t->expires ? t->expires : "600");
    snprintf(from, sizeof from, "sip:%s@ims.test", user);
    snprintf(text, sizeof text,
             "REGISTER %s SIP/2.0\r\n"
             "Via: SIP/2.0/WSS kcpbcbmohia3.invalid;branch=z9hG4bK%u\r\n"
             "Max-Forwards: 69\r\n"
             "To: <sip:%s@ims.test>\r\n"
             "From: <%s>;tag=47vtft3d7f\r\n"
             "Call-ID: 36fg3q2ublbbtm2jbts4c2\r\n"
             "CSeq: %u REGISTER\r\n"
             "%s"
             "Expires: %s\r\n"
             "%s%s%s"
             "Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY,SUBSCRIBE\r\n"
             "Supported: %s\r\n"
             "User-Agent: JsSIP 3.13.8\r\n"
             "Content-Length: 0\r\n\r\n",
             t->target ? t->target : "sip:ims.test", cseq, user, t->from ? t->from : from, cseq,
             t->extra ? t->extra : "", t->expires ? t->expires : "600",
             t->contact && !*t->contact ? "" : "Contact: ", t->contact ? t->contact : contact,
             t->contact && !*t->contact ? "" : "\r\n", t->supported ? t->supported : "path,gruu,outbound");
    cseq++;
    size_t i = bench_request(flow_id, text);
    epc_reg_handle(bench.reg, &ins[i]->base);
    bench_end_of_turn();
    return i;
}

static char *bearers[64];
static size_t n_bearers;

const char *bench_bearer_for(const char *user, const char *impus, uint32_t lifetime_s)
{
    char claims[1024], *text = malloc(4096);
    unsigned long long now = __wrap_epc_wall_s();
    snprintf(claims, sizeof claims,
             "{\"iss\":\"https://waf.test\",\"aud\":\"epcscf\",\"exp\":%llu,\"iat\":%llu,"
             "\"scope\":\"sip\",\"azp\":\"wwsf1\",\"impi\":\"%s@ims.test\","
             "\"impu\":[%s],\"n\":%zu}",
             now + lifetime_s, now, user, impus, n_bearers);
    char *token = token_maker_es256(&bench.maker, claims);
    snprintf(text, 4096, "Authorization: Bearer %s\r\n", token);
    free(token);
    bearers[n_bearers++] = text;
    return text;
}

const char *bench_bearer(const char *user, uint32_t lifetime_s)
{
    char impu[128];
    snprintf(impu, sizeof impu, "\"sip:%s@ims.test\"", user);
    return bench_bearer_for(user, impu, lifetime_s);
}

size_t bench_token_register(uint64_t flow_id, const char *user, uint32_t lifetime_s, const char *expires)
{
    return bench_register(flow_id, &(struct reg_text){.user = user,
                                                      .extra = bench_bearer(user, lifetime_s),
                                                      .expires = expires});
}

/* ---- the core ------------------------------------------------------------------------------- */

void bench_answer(size_t i, int status, const char *headers)
{
    struct bench_out *o = &bench.out[i];
    assert_true(i < bench.n_out && !o->detached);
    msg_t *resp = epc_sip_make_response(epc_sip_of(o->msg), status, NULL, "core", headers);
    assert_non_null(resp);
    o->fn(o->arg, o->handle, status, resp);
    if (!o->detached)
        o->fn(o->arg, o->handle, 0, NULL);
    o->detached = true; /* over, in any case */
    bench_end_of_turn();
}

void bench_ok(size_t i, uint32_t expires_s)
{
    char headers[2048];
    uint64_t flow = 0;
    const char *at = strstr(bench.out[i].text, "@k");
    if (at)
        flow = (uint64_t)strtoul(at + 2, NULL, 10);
    /* Another device's contact first, and reg-id quoted, as a real S-CSCF writes them. */
    snprintf(headers, sizeof headers,
             "Contact: <sip:53i95s0o@8knce2qgeea0.invalid;transport=ws>;expires=478;reg-id=1;"
             "+sip.instance=\"<urn:uuid:68b5caeb-493c-4f2b-a2f4-d8f68ef3857c>\", "
             "<sip:lrs4jl2e@k%u.invalid;transport=ws>;expires=%u;"
             "+sip.instance=\"<urn:uuid:80971e7c-f5f1-46fc-ae0d-3709de0e663b>\";reg-id=\"1\";+sip.ice\r\n"
             "Path: <sip:flow@127.0.0.41:5060;lr;ob>\r\n"
             "%s"
             "P-Charging-Function-Addresses: ccf=192.0.2.1\r\n"
             "Service-Route: <sip:orig@127.0.0.3:6060;lr>, <sip:two@127.0.0.4;lr>\r\n",
             (unsigned)flow, expires_s,
             bench.associated ? bench.associated
                              : "P-Associated-URI: <sip:alice@ims.test>, <tel:+15550001>\r\n");
    bench_answer(i, 200, headers);
}

void bench_no_answer(size_t i, int status)
{
    struct bench_out *o = &bench.out[i];
    if (status)
        o->fn(o->arg, o->handle, status, NULL);
    if (!o->detached)
        o->fn(o->arg, o->handle, 0, NULL);
    o->detached = true; /* over, in any case */
    bench_end_of_turn();
}

/* ---- life ----------------------------------------------------------------------------------- */

static void on_gone(void *arg, const struct epc_binding *b, const char *why)
{
    (void)arg;
    bench.gone++;
    assert_true(b->n_impus > 0 && b->impi);
    snprintf(bench.gone_why, sizeof bench.gone_why, "%s", why);
}

static bool busy(void *arg, uint64_t flow_id)
{
    (void)arg;
    return bench.calls_on == flow_id;
}

static char jwks_file[32];
static char *algorithms[] = {"ES256"}, *wwsfs[] = {"wwsf1"}, *domains[] = {"ims.test", "other.test"};
static struct epc_cfg_issuer issuer = {
    .issuer = "https://waf.test", .jwks_file = jwks_file, .algorithms = algorithms, .n_algorithms = 1,
    .audience = "epcscf", .scope = "sip", .wwsfs = wwsfs, .n_wwsfs = 1, .impi_claim = "impi",
    .impu_claim = "impu", .max_lifetime_s = 86400, .skew_s = 0};
static char thing[4]; /* addresses for objects that nobody looks into */

int bench_setup(void **state)
{
    main_thread = pthread_self();
    (void)state;
    memset(&bench, 0, sizeof bench);
    memset(timers, 0, sizeof timers);
    memset(ins, 0, sizeof ins);
    n_doomed = n_mail = 0;
    memset(flows, 0, sizeof flows);
    for (size_t i = 0; i < EPC_ARRAY_LEN(flows); i++) {
        flows[i].id = i;
        flows[i].origin = i <= 3 ? &origins[0] : i == 4 ? &origins[1] : i == 5 ? &origins[2] : NULL;
    }
    token_maker_init(&bench.maker);
    snprintf(jwks_file, sizeof jwks_file, "/tmp/epc_reg_XXXXXX");
    int fd = mkstemp(jwks_file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bench.maker.jwks, strlen(bench.maker.jwks)), strlen(bench.maker.jwks));
    close(fd);
    bench.cfg.tokens = (struct epc_cfg_tokens){
        .issuers = &issuer, .n_issuers = 1, .realm = "ims.test", .authz_server = "https://waf.test"};
    bench.cfg.sip = (struct epc_cfg_sip){.core_host = "127.0.0.41", .core_port = 5060,
                                         .icscf = "sip:127.0.0.2:4060", .home_domains = domains,
                                         .n_home_domains = 2, .visited_network = "ims.test", .ioi = "ims.test"};
    bench.cfg.registration = (struct epc_cfg_registration){
        .min_expires_s = 60, .max_expires_s = 3600, .tna_integrity_protected = "auth-done",
        .authorization_entity_param = "authorization-entity", .authorization_entity = "waf.test",
        .flow_loss_grace_ms = 20000, .await_auth_s = 240, .max_failures = REG_FAILURES_MAX};
    assert_int_equal(epc_auth_create(&bench.auth, (void *)&shards[0], &bench.cfg.tokens), EPC_OK);
    assert_int_equal(
        epc_reg_create(&bench.reg, (void *)&shards[0], (void *)&thing[1], bench.auth, &bench.cfg), EPC_OK);
    bench.regs[0] = bench.reg;
    bench.n_shards = 1;
    epc_reg_set_wss(bench.reg, (void *)&thing[2]);
    epc_reg_on_gone(bench.reg, on_gone, NULL);
    epc_reg_on_token_end(bench.reg, busy, NULL);
    return 0;
}

/* More shards of the same node. Those that are there already must not be in use. */
void bench_shards(size_t n)
{
    static struct epc_shard *list[BENCH_SHARDS];
    static struct epc_wss *wss[BENCH_SHARDS];
    assert_true(n <= BENCH_SHARDS);
    for (size_t i = 0; i < n; i++) {
        list[i] = (void *)&shards[i];
        wss[i] = (void *)&thing[2];
        if (i >= bench.n_shards) {
            assert_int_equal(epc_reg_create(&bench.regs[i], list[i], (void *)&thing[1], bench.auth,
                                            &bench.cfg), EPC_OK);
            epc_reg_set_wss(bench.regs[i], wss[i]);
            epc_reg_on_gone(bench.regs[i], on_gone, NULL);
        }
        epc_reg_set_peers(bench.regs[i], &(struct epc_reg_peers){list, bench.regs, wss, n});
    }
    bench.n_shards = n;
}

void bench_on(size_t shard)
{
    bench.reg = bench.regs[shard];
}

static void free_in(size_t i)
{
    if (!ins[i])
        return;
    msg_destroy(ins[i]->base.req);
    free(ins[i]);
    free(bench.in[i].answer);
    ins[i] = NULL;
    bench.in[i] = (struct bench_in){.released = true};
}

static void free_out(size_t i)
{
    if (!bench.out[i].text)
        return;
    msg_destroy(bench.out[i].msg);
    free(bench.out[i].text);
    free(bench.out[i].handle);
    bench.out[i] = (struct bench_out){0};
}

void bench_recycle(void)
{
    for (size_t i = 0; i < bench.n_in; i++) {
        if (bench.in[i].released)
            free_in(i);
    }
    for (size_t i = 0; i < bench.n_out; i++) {
        if (bench.out[i].detached)
            free_out(i);
    }
    while (n_bearers)
        free(bearers[--n_bearers]);
}

int bench_teardown(void **state)
{
    (void)state;
    bench_deliver();
    for (size_t i = 0; i < bench.n_shards; i++)
        epc_reg_destroy(bench.regs[i]);
    bench_end_of_turn();
    for (size_t i = 0; i < bench.n_in; i++)
        free_in(i);
    for (size_t i = 0; i < bench.n_out; i++)
        free_out(i);
    bench_recycle();
    epc_auth_destroy(bench.auth);
    token_maker_free(&bench.maker);
    unlink(jwks_file);
    assert_int_equal(epc_counter_read(EPC_C_REG_BINDINGS), 0);
    for (size_t i = 0; i < EPC_ARRAY_LEN(timers); i++)
        assert_null(timers[i]);
    return 0;
}

void expect_has(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("'%s' is not in:\n%s", part, text ? text : "(nothing)");
}

void expect_not(const char *text, const char *part)
{
    if (text && strstr(text, part))
        fail_msg("'%s' is in:\n%s", part, text);
}
