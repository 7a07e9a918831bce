/* Transactions of the gateways (H.248.1 8.2, Annex D.1.2): carried out once; the reply is kept for
 * LONG-TIMER and repeated to duplicates. Commands are carried out one after the other; one that fails ends
 * the transaction. Some wait for another shard's answer. */
#include "gateway/h248/assoc.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/h248/wire.h"

struct key {
    unsigned mg;
    uint32_t id;
};

static bool exec_eq(const struct epc_hnode *node, const void *key)
{
    const struct h248_exec *x = EPC_CONTAINER(node, struct h248_exec, node);
    const struct key *k = key;
    return x->mg->number == k->mg && x->id == k->id;
}

enum epc_err h248_exec_init(struct h248_hub *h)
{
    return epc_hash_init(&h->execs, exec_eq);
}

static uint64_t key_hash(unsigned mg, uint32_t id)
{
    return epc_hash_u64((uint64_t)mg << 32 | id);
}

static struct h248_exec *find(struct h248_hub *h, unsigned mg, uint32_t id)
{
    struct key k = {mg, id};
    struct epc_hnode *n = epc_hash_find(&h->execs, key_hash(mg, id), &k);
    return n ? EPC_CONTAINER(n, struct h248_exec, node) : NULL;
}

static void exec_free(struct h248_exec *x)
{
    struct h248_mg *mg = x->mg;
    epc_timer_stop(mg->hub->sh, &x->timer);
    epc_hash_del(&mg->hub->execs, &x->node);
    *x->prev = x->next;
    if (x->next)
        x->next->prev = x->prev;
    else
        mg->oldest = x->prev == &mg->execs ? NULL : EPC_CONTAINER(x->prev, struct h248_exec, next);
    mg->n_execs--;
    h248_in_unref(x->in);
    epc_buf_free(&x->text);
    epc_buf_free(&x->reply);
    free(x);
}

void h248_exec_drop_all(struct h248_mg *mg)
{
    while (mg->execs)
        exec_free(mg->execs);
}

static void on_forgotten(void *arg)
{
    exec_free(arg);
}

bool h248_is_its_conn(const struct h248_mg *mg, const struct h248_path *from)
{
    return !from->conn || h248_conn_owner(from->conn) == mg;
}

static void give(struct h248_mg *mg, const struct h248_path *to, const struct epc_buf *b)
{
    struct h248_hub *h = mg->hub;
    if (!b->p || b->failed || h248_net_send(h->net, to, b->p, b->n) != EPC_OK) {
        epc_log(EPC_LOG_WARN, "gateway", "event=iq-reply-not-sent gateway=%s", mg->mid);
        return;
    }
    wire_trace(true, to, mg->key, (struct epc_str){b->p, b->n});
}

/* ---- Pending ------------------------------------------------------------------------------------------- */

static void send_pending(struct h248_exec *x)
{
    struct epc_buf b = {0};
    wire_pending(&b, x->mg->hub, x->version, x->id);
    give(x->mg, &x->from, &b);
    epc_buf_free(&b);
    x->pendings++;
    epc_count(EPC_C_IQ_PENDINGS_OUT);
}

static void finish(struct h248_exec *x, unsigned error);

static void on_slow(void *arg)
{
    struct h248_exec *x = arg;
    const struct h248_mg *mg = x->mg;
    const struct epc_cfg_h248 *cfg = mg->hub->cfg;
    unsigned limit = mg->mgc_pending_limit ? mg->mgc_pending_limit : cfg->pending_limit;
    if (x->pendings >= limit) {
        finish(x, 506);
        return;
    }
    send_pending(x);
    epc_timer_start(mg->hub->sh, &x->timer, mg->mgc_pending_ms ? mg->mgc_pending_ms : cfg->pending_ms, on_slow, x);
}

/* ---- carrying out ---------------------------------------------------------------------------------------- */

/* @p error: of the transaction as a whole, instead of what its actions led to. */
static void finish(struct h248_exec *x, unsigned error)
{
    struct h248_hub *h = x->mg->hub;
    if (error) {
        wire_error_reply(&x->reply, h, x->version, x->id, error);
    } else {
        wire_header(&x->reply, h, x->version);
        /* Acknowledged at once only over UDP, and where the gateway was asked to wait (8.2.3): it may have
         * lost its patience. */
        epc_buf_printf(&x->reply, "Reply = %u {\n%s", (unsigned)x->id,
                       x->pendings && !x->from.conn ? "ImmAckRequired,\n" : "");
        epc_buf_add(&x->reply, x->text.p ? x->text.p : "", x->text.n);
        epc_buf_adds(&x->reply, "\n}\n");
        wire_style(&x->reply, h);
    }
    epc_buf_free(&x->text);
    epc_buf_free(&x->body);
    h248_in_unref(x->in);
    x->in = NULL;
    x->t = NULL;
    x->action = NULL;
    x->command = NULL;
    x->done = true;
    x->done_ms = epc_now_ms();
    give(x->mg, &x->from, &x->reply);
    if (!h248_is_its_conn(x->mg, &x->from)) /* nobody would tell of its end */
        x->from = (struct h248_path){0};
    epc_timer_start(h->sh, &x->timer, h->cfg->long_timer_ms, on_forgotten, x);
}

/* The next command, in this action or in the next one. */
static bool advance(struct h248_exec *x)
{
    const struct epc_h248_action *end = x->t->action + x->t->n_actions;
    if (x->action && x->command && ++x->command < x->action->command + x->action->n_commands)
        return true;
    for (;;) {
        if (x->action)
            epc_buf_adds(&x->text, "\n}");
        x->action = x->action ? x->action + 1 : x->t->action;
        if (x->t->n_actions == 0 || x->action == end)
            return false;
        epc_buf_adds(&x->text, x->text.n ? ",\nContext = " : "Context = ");
        wire_context(&x->text, x->action);
        epc_buf_adds(&x->text, " {");
        x->n_answers = 0;
        x->command = x->action->command;
        if (x->action->n_commands)
            return true;
        epc_buf_printf(&x->text, "Error = 443 { \"%s\" }", epc_h248_error_text(443)); /* properties alone */
    }
}

/* @return go on with the next command */
static bool answer(struct h248_exec *x, unsigned error)
{
    epc_buf_adds(&x->text, x->n_answers++ ? ",\n  " : "\n  ");
    wire_answer(&x->text, x->command, error, x->body.p);
    epc_buf_free(&x->body);
    if (error) {
        epc_count(EPC_C_IQ_COMMANDS_REFUSED);
        epc_log(EPC_LOG_INFO, "gateway", "event=iq-command-refused gateway=%s transaction=%u error=%u why=\"%s\"",
                x->mg->mid, (unsigned)x->id, error, epc_h248_error_text(error));
    }
    return !error || x->command->optional;
}

static void run(struct h248_exec *x)
{
    while (advance(x)) {
        unsigned error = 0;
        if (h248_carry_out(x, &error) == H248_WAITS)
            return;
        if (!answer(x, error)) {
            epc_buf_adds(&x->text, "\n}");
            break;
        }
    }
    struct h248_mg *mg = x->mg;
    void (*after)(struct h248_mg *) = x->after;
    finish(x, x->text.n ? 0 : 422);
    if (after)
        after(mg);
}

void h248_exec_answered(struct h248_hub *h, unsigned mg, uint32_t id, uint32_t serial, unsigned error)
{
    struct h248_exec *x = find(h, mg, id);
    if (!x || x->serial != serial || x->done)
        return; /* it took too long */
    if (answer(x, error)) {
        run(x);
    } else {
        epc_buf_adds(&x->text, "\n}");
        finish(x, 0);
    }
}

/* ---- what comes in --------------------------------------------------------------------------------------- */

/* A gateway that starts again begins with the same ids as the last time, perhaps before LONG-TIMER is over.
 * Its registration is a new one if it came on another connection, or if the gateway had got the answer to
 * the first one (it answers our requests) and some time has passed. */
static bool starts_again(const struct h248_exec *x, const struct h248_path *from)
{
    enum { NOT_A_DUPLICATE_MS = 5000 };
    if (!x->registers || !x->done)
        return false;
    if (x->from.conn || from->conn)
        return x->from.conn != from->conn;
    return x->mg->answered && epc_now_ms() - x->done_ms > NOT_A_DUPLICATE_MS;
}

static void repeated(struct h248_exec *x, const struct h248_path *from)
{
    epc_count(EPC_C_IQ_DUPLICATES);
    if (h248_is_its_conn(x->mg, from))
        x->from = *from;
    if (x->done)
        give(x->mg, from, &x->reply);
    else
        send_pending(x);
}

void h248_exec_request(struct h248_mg *mg, const struct h248_path *from, unsigned version, struct h248_in *in,
                       const struct epc_h248_transaction *t)
{
    struct h248_hub *h = mg->hub;
    uint32_t id = t->id;
    struct h248_exec *x = find(h, mg->number, id);
    if (x && !starts_again(x, from)) {
        repeated(x, from);
        return;
    }
    if (x)
        exec_free(x);
    if (mg->n_execs >= H248_MAX_EXECS && mg->oldest->done)
        exec_free(mg->oldest);
    x = mg->n_execs < H248_MAX_EXECS ? calloc(1, sizeof *x) : NULL;
    if (!x) {
        h248_refuse(h, from, version, id, 510, "too many transactions at once");
        return;
    }
    x->mg = mg;
    x->id = id;
    x->serial = ++h->exec_serial;
    x->from = *from;
    x->version = version;
    x->in = h248_in_ref(in);
    x->t = t;
    x->next = mg->execs;
    x->prev = &mg->execs;
    if (x->next)
        x->next->prev = &x->next;
    else
        mg->oldest = x;
    mg->execs = x;
    mg->n_execs++;
    epc_hash_add(&h->execs, &x->node, key_hash(mg->number, id));
    epc_count(EPC_C_IQ_REQUESTS_IN);
    epc_timer_start(h->sh, &x->timer, mg->mgc_pending_ms ? mg->mgc_pending_ms : h->cfg->pending_ms, on_slow, x);
    run(x);
}

void h248_exec_ack(struct h248_mg *mg, uint32_t first, uint32_t last)
{
    struct h248_exec *next;
    for (struct h248_exec *x = mg->execs; x; x = next) {
        next = x->next;
        if (x->done && x->id >= first && x->id <= last)
            exec_free(x);
    }
}

/* A connection is gone: nothing more may be sent on it. */
void h248_exec_forget_conn(struct h248_mg *mg, const struct h248_conn *conn)
{
    for (struct h248_exec *x = mg->execs; x; x = x->next)
        if (x->from.conn == conn)
            x->from = (struct h248_path){0};
}

void h248_exec_drop_done(struct h248_mg *mg)
{
    struct h248_exec *next;
    for (struct h248_exec *x = mg->execs; x; x = next) {
        next = x->next;
        if (x->done)
            exec_free(x);
    }
}
