#include "gateway/rtpengine/rtpengine_priv.h"

#include <stdlib.h>
#include <string.h>

struct rtp_ctx *rtp_ctx_of(struct epc_gw_ctx *c)
{
    return EPC_CONTAINER(c, struct rtp_ctx, base);
}

enum epc_gw_side rtp_other(enum epc_gw_side side)
{
    return side == EPC_GW_ACCESS ? EPC_GW_CORE : EPC_GW_ACCESS;
}

static void op_free(struct rtp_op *op)
{
    if (!op)
        return;
    free(op->sdp);
    json_decref(op->codec);
    epc_sdp_free(op->want);
    free(op);
}

/* NULL: nowhere any more. */
static void go_to(struct rtp_ctx *c, struct rtp_instance *i)
{
    if (c->at)
        c->at->contexts--;
    c->at = i;
    if (!i)
        return;
    i->contexts++;
    size_t n = rtp_instance_index(i);
    if (n < 64)
        c->tried |= UINT64_C(1) << n;
}

void rtp_ctx_free(struct rtp_ctx *c)
{
    rtp_walk_forget(c);
    go_to(c, NULL);
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    epc_timer_stop(c->gw->sh, &c->poll);
    epc_timer_stop(c->gw->sh, &c->failed);
    op_free(c->open);
    while (c->queue) {
        struct rtp_op *op = c->queue;
        c->queue = op->next;
        op_free(op);
    }
    json_decref(c->offered_codec);
    for (int side = 0; side < 2; side++)
        json_decref(c->codec[side]);
    epc_count_add(EPC_C_GW_CONTEXTS, -1);
    free(c->key);
    free(c);
}

/* ---- one operation at a time --------------------------------------------------------------------- */

static void tell(struct rtp_ctx *c, struct rtp_op *op, enum epc_err err, struct epc_sdp *local,
                 const struct epc_cause *cause)
{
    if (err != EPC_OK)
        epc_log(EPC_LOG_WARN, "gateway", "event=request-failed call=%.128s status=%d why=\"%s\"", c->key,
                cause->sip_status, cause->reason);
    if (op->done && !c->released)
        op->done(op->arg, err, local, cause);
    else
        epc_sdp_free(local);
}

/* The owner may release the context in its callback: it stays busy, and so alive, until that returns. */
static void finish(struct rtp_ctx *c, enum epc_err err, struct epc_sdp *local, const struct epc_cause *cause)
{
    struct rtp_op *op = c->open;
    tell(c, op, err, local, cause);
    c->open = NULL;
    op_free(op);
    c->busy = false;
    rtp_next(c);
}

static bool start(struct rtp_ctx *c);

/* A call that no rtpengine holds yet is offered to the next one; what may have come of it at the last one is
 * deleted there. */
static bool goes_elsewhere(struct rtp_ctx *c, bool silent)
{
    if (c->settled || c->released || c->open->kind != RTP_OFFER)
        return false;
    struct rtp_instance *next = rtp_choose(c->gw, c->call_id, c->tried, c->emergency);
    if (!next || !ng_answers(next->ng))
        return false;
    epc_log(EPC_LOG_WARN, "gateway", "event=goes-elsewhere call=%.128s from=%s to=%s why=%s", c->key,
            ng_instance_name(c->at->ng), ng_instance_name(next->ng), silent ? "silent" : "full");
    if (silent)
        rtp_owe(c->at, c->call_id);
    go_to(c, next);
    c->exists = false;
    return start(c);
}

/* What a restored exchange is to be made with, if it is not told again. */
static void keep_codec(struct rtp_ctx *c)
{
    const struct rtp_op *op = c->open;
    if (op->kind == RTP_OFFER) {
        json_decref(c->offered_codec);
        c->offered_codec = json_incref(op->codec);
    } else {
        enum epc_gw_side offerer = rtp_other(op->from); /* c->offerer may be of a later offer, which waits */
        json_decref(c->codec[offerer]);
        c->codec[offerer] = json_incref(c->offered_codec);
    }
}

static void succeeded(struct rtp_ctx *c, const struct epc_sdp *local)
{
    c->settled = true;
    rtp_note_local(c, rtp_other(c->open->from), local);
    rtp_compare(c, c->open->want, local);
    keep_codec(c);
    if (c->open->kind == RTP_ANSWER) {
        c->answered = true;
        rtp_poll_start(c);
    }
}

static void on_reply(void *arg, enum epc_err err, const json_t *reply)
{
    struct rtp_ctx *c = arg;
    struct epc_sdp *local = NULL;
    struct epc_cause cause = {0};
    if (err == EPC_OK)
        err = rtp_local(reply, c->open->n_media, &local, &cause);
    else {
        epc_cause_set(&cause, 503, "TS 23.334 6.2", "the media gateway does not answer");
        cause.retry_after_s = 10;
    }
    if (err == EPC_ELIMIT)
        rtp_turned_away(c->at);
    if ((err == EPC_ETIMEDOUT || err == EPC_ELIMIT) && goes_elsewhere(c, err == EPC_ETIMEDOUT))
        return;
    if (err == EPC_OK)
        succeeded(c, local);
    finish(c, err, local, &cause);
}

static bool start(struct rtp_ctx *c)
{
    json_t *cmd = rtp_command(c, c->open);
    bool ok = cmd && ng_send(c->gw->ng, c->at->ng, cmd, c->key, on_reply, c) == EPC_OK;
    json_decref(cmd);
    c->exists = c->exists || ok;
    return ok;
}

/* On a later turn: `done` never runs inside the caller's call. */
static void on_failed(void *arg)
{
    struct epc_cause cause;
    epc_cause_set(&cause, 500, NULL, "gateway: out of memory");
    finish(arg, EPC_ENOMEM, NULL, &cause);
}

static void remove_call(struct rtp_ctx *c);

/* With a tag it counts; should it not find the tag, the call goes without. */
static void on_deleted(void *arg, enum epc_err err, const json_t *reply)
{
    struct rtp_ctx *c = arg;
    if (err != EPC_OK) {
        epc_log(EPC_LOG_WARN, "gateway", "event=delete-unconfirmed call=%.128s why=\"%s\"", c->key,
                epc_err_name(err));
        rtp_owe(c->at, c->call_id);
    } else if (json_object_get(reply, "tags"))
        rtp_statistics(c, reply);
    else if (!c->whole_call && json_object_get(reply, "warning")) {
        c->whole_call = true;
        remove_call(c);
        return;
    }
    rtp_ctx_free(c);
}

bool rtp_send_delete(struct rtp_ctx *c, ng_done_fn *done)
{
    json_t *cmd = json_pack("{s:s, s:s, s:i, s:s*}", "command", "delete", "call-id", c->call_id, "delete-delay", 0,
                            "from-tag", c->whole_call ? NULL : c->tag[c->offerer]);
    bool ok = cmd && ng_send(c->gw->ng, c->at->ng, cmd, c->key, done, c) == EPC_OK;
    json_decref(cmd);
    return ok;
}

/* After the last open request, so that no late offer brings the call back to life. */
static void remove_call(struct rtp_ctx *c)
{
    c->busy = c->deleting = c->exists && rtp_send_delete(c, on_deleted);
    if (!c->deleting)
        rtp_ctx_free(c);
}

void rtp_next(struct rtp_ctx *c)
{
    if (c->busy)
        return;
    if (c->released) {
        remove_call(c);
        return;
    }
    struct rtp_op *op = c->queue;
    if (rtp_gate_step(c) || !op)
        return;
    c->queue = op->next;
    if (!c->queue)
        c->queue_tail = &c->queue;
    c->open = op;
    c->busy = true;
    if (!op->done && !op->want && op->kind == RTP_OFFER) /* restored: as it was when it was answered */
        op->codec = json_incref(c->codec[op->from]);
    if (!start(c))
        epc_timer_start(c->gw->sh, &c->failed, 0, on_failed, c);
}

static void enqueue(struct rtp_ctx *c, enum rtp_op_kind kind, enum epc_gw_side from, const struct epc_gw_media *m,
                    epc_gw_done_fn *done, void *arg)
{
    struct rtp_op *op = calloc(1, sizeof *op);
    struct epc_buf text = {0};
    enum epc_err err = op ? rtp_print(m->remote, from, &text) : EPC_ENOMEM;
    if (err == EPC_OK) {
        *op = (struct rtp_op){.c = c, .kind = kind, .from = from, .n_media = m->remote->n_media, .done = done,
                              .arg = arg};
        op->sdp = epc_buf_take(&text, NULL); /* not NULL: rtp_print() has looked */
        op->want = epc_sdp_ref(m->want);
        if (m->want && kind == RTP_OFFER)
            err = rtp_transcoding(c->at, m, &op->codec);
    }
    if (err != EPC_OK) {
        struct rtp_op lost = {.c = c, .done = done, .arg = arg};
        struct epc_cause cause;
        epc_cause_set(&cause, 500, NULL, "gateway: %s", epc_err_name(err));
        epc_buf_free(&text);
        op_free(op);
        tell(c, &lost, err, NULL, &cause);
        return;
    }
    *c->queue_tail = op;
    c->queue_tail = &op->next;
    if (kind == RTP_OFFER)
        c->offerer = from;
    rtp_next(c);
}

void rtp_offer(struct epc_gw_ctx *base, enum epc_gw_side from, const struct epc_gw_media *m, epc_gw_done_fn *done,
               void *arg)
{
    enqueue(rtp_ctx_of(base), RTP_OFFER, from, m, done, arg);
}

void rtp_answer(struct epc_gw_ctx *base, const struct epc_gw_media *m, epc_gw_done_fn *done, void *arg)
{
    struct rtp_ctx *c = rtp_ctx_of(base);
    enqueue(c, RTP_ANSWER, rtp_other(c->offerer), m, done, arg);
}

void rtp_restore(struct epc_gw_ctx *base, enum epc_gw_side offerer, const struct epc_gw_media *offer,
                 const struct epc_gw_media *answer)
{
    struct rtp_ctx *c = rtp_ctx_of(base);
    enqueue(c, RTP_OFFER, offerer, offer, NULL, NULL);
    enqueue(c, RTP_ANSWER, rtp_other(offerer), answer, NULL, NULL);
}

void rtp_release(struct epc_gw_ctx *base)
{
    struct rtp_ctx *c = rtp_ctx_of(base);
    if (c->released)
        return;
    c->released = true;
    epc_timer_stop(c->gw->sh, &c->poll);
    rtp_next(c);
}

/* ---- life ------------------------------------------------------------------------------------------- */

enum epc_err rtp_ctx_create(struct epc_gw_ctx **out, struct epc_gw *g, const struct epc_gw_ctx_opts *o)
{
    struct rtp_gw *gw = EPC_CONTAINER(g, struct rtp_gw, base);
    struct rtp_ctx *c = calloc(1, sizeof *c);
    char random[33], prefix[32];
    if (!c || !(c->key = strdup(o->call_id))) {
        free(c);
        return EPC_ENOMEM;
    }
    c->base.gw = g;
    c->gw = gw;
    c->event = o->event;
    c->event_arg = o->arg;
    c->emergency = o->emergency;
    c->queue_tail = &c->queue;
    c->created_ms = epc_now_ms();
    epc_random_hex(random, 16);
    rtp_call_prefix(gw, true, prefix);
    snprintf(c->call_id, sizeof c->call_id, "%s%s", prefix, random);
    snprintf(c->tag[EPC_GW_ACCESS], sizeof c->tag[0], "a%.16s", random);
    snprintf(c->tag[EPC_GW_CORE], sizeof c->tag[0], "c%.16s", random);
    go_to(c, rtp_choose(gw, c->call_id, 0, c->emergency));
    c->next = gw->first;
    c->prev = &gw->first;
    if (c->next)
        c->next->prev = &c->next;
    gw->first = c;
    epc_count_add(EPC_C_GW_CONTEXTS, 1);
    *out = &c->base;
    return EPC_OK;
}
