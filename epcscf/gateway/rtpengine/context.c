#include "gateway/rtpengine/rtpengine_priv.h"

#include <stdlib.h>
#include <string.h>

enum { POLL_OFTEN_MS = 1000, POLL_SELDOM_MS = 10000 };

static struct rtp_ctx *ctx_of(struct epc_gw_ctx *c)
{
    return EPC_CONTAINER(c, struct rtp_ctx, base);
}

void rtp_op_free(struct rtp_op *op)
{
    if (op)
        free(op->sdp);
    free(op);
}

static void ctx_free(struct rtp_ctx *c)
{
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    epc_timer_stop(c->gw->sh, &c->poll);
    epc_timer_stop(c->gw->sh, &c->failed);
    rtp_op_free(c->open);
    while (c->queue) {
        struct rtp_op *op = c->queue;
        c->queue = op->next;
        rtp_op_free(op);
    }
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
    rtp_op_free(op);
    c->busy = false;
    rtp_next(c);
}

static enum epc_gw_side other_side(enum epc_gw_side side)
{
    return side == EPC_GW_ACCESS ? EPC_GW_CORE : EPC_GW_ACCESS;
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
    if (err == EPC_OK)
        rtp_note_local(c, other_side(c->open->from), local);
    if (err == EPC_OK && c->open->kind == RTP_ANSWER) {
        c->answered = true;
        rtp_poll_start(c);
    }
    finish(c, err, local, &cause);
}

static bool start(struct rtp_ctx *c)
{
    json_t *cmd = rtp_command(c, c->open);
    bool ok = cmd && ng_send(c->gw->ng, c->at, cmd, c->key, on_reply, c) == EPC_OK;
    json_decref(cmd);
    return ok;
}

/* On a later turn: `done` never runs inside the caller's call. */
static void on_failed(void *arg)
{
    struct epc_cause cause;
    epc_cause_set(&cause, 500, NULL, "gateway: out of memory");
    finish(arg, EPC_ENOMEM, NULL, &cause);
}

static void on_deleted(void *arg, enum epc_err err, const json_t *reply)
{
    struct rtp_ctx *c = arg;
    (void)reply;
    if (err != EPC_OK)
        epc_log(EPC_LOG_WARN, "gateway", "event=delete-unconfirmed call=%.128s why=\"%s\"", c->key,
                epc_err_name(err));
    ctx_free(c);
}

static bool send_delete(struct rtp_ctx *c, ng_done_fn *done)
{
    json_t *cmd = json_pack("{s:s, s:s, s:i}", "command", "delete", "call-id", c->call_id, "delete-delay", 0);
    bool ok = cmd && ng_send(c->gw->ng, c->at, cmd, c->key, done, c) == EPC_OK;
    json_decref(cmd);
    return ok;
}

/* After the last open request, so that no late offer brings the call back to life. */
static void remove_call(struct rtp_ctx *c)
{
    c->busy = c->deleting = c->exists && send_delete(c, on_deleted);
    if (!c->deleting)
        ctx_free(c);
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
    if (!op)
        return;
    c->queue = op->next;
    if (!c->queue)
        c->queue_tail = &c->queue;
    c->open = op;
    c->busy = true;
    if (start(c))
        c->exists = true;
    else
        epc_timer_start(c->gw->sh, &c->failed, 0, on_failed, c);
}

static void enqueue(struct rtp_ctx *c, enum rtp_op_kind kind, enum epc_gw_side from,
                    const struct epc_sdp *remote, epc_gw_done_fn *done, void *arg)
{
    struct rtp_op *op = calloc(1, sizeof *op);
    struct epc_buf text = {0};
    enum epc_err err = op ? rtp_print(remote, &text) : EPC_ENOMEM;
    if (err != EPC_OK) {
        struct rtp_op lost = {.c = c, .done = done, .arg = arg};
        struct epc_cause cause;
        epc_cause_set(&cause, 500, NULL, "gateway: %s", epc_err_name(err));
        epc_buf_free(&text);
        free(op);
        tell(c, &lost, err, NULL, &cause);
        return;
    }
    *op = (struct rtp_op){.c = c, .kind = kind, .from = from, .n_media = remote->n_media, .done = done, .arg = arg};
    op->sdp = epc_buf_take(&text, NULL); /* not NULL: rtp_print() has looked */
    *c->queue_tail = op;
    c->queue_tail = &op->next;
    if (kind == RTP_OFFER)
        c->offerer = from;
    rtp_next(c);
}

static void rtp_offer(struct epc_gw_ctx *base, enum epc_gw_side from, const struct epc_gw_media *m,
                      epc_gw_done_fn *done, void *arg)
{
    enqueue(ctx_of(base), RTP_OFFER, from, m->remote, done, arg);
}

static void rtp_answer(struct epc_gw_ctx *base, const struct epc_gw_media *m, epc_gw_done_fn *done, void *arg)
{
    struct rtp_ctx *c = ctx_of(base);
    enqueue(c, RTP_ANSWER, other_side(c->offerer), m->remote, done, arg);
}

static void rtp_restore(struct epc_gw_ctx *base, enum epc_gw_side offerer, const struct epc_gw_media *offer,
                        const struct epc_gw_media *answer)
{
    struct rtp_ctx *c = ctx_of(base);
    enqueue(c, RTP_OFFER, offerer, offer->remote, NULL, NULL);
    enqueue(c, RTP_ANSWER, other_side(offerer), answer->remote, NULL, NULL);
}

/* rtpengine forwards what the descriptions let pass. */
static void rtp_gate(struct epc_gw_ctx *base, bool to_access, bool to_core)
{
    (void)base;
    (void)to_access;
    (void)to_core;
}

static void rtp_release(struct epc_gw_ctx *base)
{
    struct rtp_ctx *c = ctx_of(base);
    if (c->released)
        return;
    c->released = true;
    epc_timer_stop(c->gw->sh, &c->poll);
    rtp_next(c);
}

/* ---- life ------------------------------------------------------------------------------------------- */

static enum epc_err rtp_ctx_create(struct epc_gw_ctx **out, struct epc_gw *g, const struct epc_gw_ctx_opts *o)
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
    c->queue_tail = &c->queue;
    epc_random_hex(random, 16);
    rtp_call_prefix(gw, true, prefix);
    snprintf(c->call_id, sizeof c->call_id, "%s%s", prefix, random);
    snprintf(c->tag[EPC_GW_ACCESS], sizeof c->tag[0], "a%.16s", random);
    snprintf(c->tag[EPC_GW_CORE], sizeof c->tag[0], "c%.16s", random);
    c->at = ng_choose(gw->ng, c->call_id);
    c->next = gw->first;
    c->prev = &gw->first;
    if (c->next)
        c->next->prev = &c->next;
    gw->first = c;
    epc_count_add(EPC_C_GW_CONTEXTS, 1);
    *out = &c->base;
    return EPC_OK;
}

static void rtp_caps(const struct epc_gw *g, struct epc_gw_caps *out)
{
    (void)g;
    (void)out; /* neither data channels nor transcoding */
}

static void rtp_each(struct epc_gw *g, void (*fn)(const char *line, void *arg), void *arg)
{
    (void)g;
    (void)fn;
    (void)arg;
}

static enum epc_err rtp_create(struct epc_gw **out, struct epc_shard *sh, const struct epc_cfg_media *cfg,
                               struct epc_gw_hub *hub)
{
    (void)hub; /* NG has no associations */
    struct rtp_gw *gw = calloc(1, sizeof *gw);
    if (!gw)
        return EPC_ENOMEM;
    gw->base.ops = &epc_gw_rtpengine_ops;
    gw->sh = sh;
    gw->cfg = cfg;
    gw->often_ms = POLL_OFTEN_MS;
    gw->seldom_ms = POLL_SELDOM_MS;
    enum epc_err err = ng_create(&gw->ng, sh, cfg);
    if (err != EPC_OK) {
        free(gw);
        return err;
    }
    /* Seeded anew in each process, and the same on all its shards. */
    gw->run = (uint32_t)epc_hash_bytes("run", 3);
    if (cfg->node_id && epc_shard_index(sh) == 0)
        rtp_orphans_start(gw);
    *out = &gw->base;
    return EPC_OK;
}

/* The process, or its loop, is going away: nobody can wait for what this tells. */
static void ignore_reply(void *arg, enum epc_err err, const json_t *reply)
{
    (void)arg;
    (void)err;
    (void)reply;
}

static void rtp_destroy(struct epc_gw *g)
{
    struct rtp_gw *gw = EPC_CONTAINER(g, struct rtp_gw, base);
    for (struct rtp_ctx *c = gw->first; c; c = c->next)
        if (c->exists && !c->deleting && !send_delete(c, ignore_reply))
            epc_log(EPC_LOG_WARN, "gateway", "event=delete-not-sent call=%.128s", c->key);
    ng_destroy(gw->ng);
    rtp_orphans_stop(gw);
    while (gw->first)
        ctx_free(gw->first);
    free(gw);
}

const struct epc_gw_ops epc_gw_rtpengine_ops = {
    .create = rtp_create,
    .destroy = rtp_destroy,
    .caps = rtp_caps,
    .each = rtp_each,
    .ctx_create = rtp_ctx_create,
    .offer = rtp_offer,
    .answer = rtp_answer,
    .restore = rtp_restore,
    .gate = rtp_gate,
    .view = rtp_view,
    .release = rtp_release,
};
