/* The way of an operation: plan, request, reply, result. A first request that failed half-way leaves a
 * context behind: that goes before the result is told, or the second try begins. */
#include "gateway/h248/iq_priv.h"

#include <stdlib.h>

enum { MOST_TRIES = 5 };

void iq_op_free(struct iq_op *op)
{
    if (!op)
        return;
    epc_sdp_free(op->remote);
    epc_sdp_free(op->want);
    epc_sdp_free(op->answer);
    epc_sdp_free(op->answer_want);
    free(op);
}

static enum epc_gw_side other_side(enum epc_gw_side side)
{
    return side == EPC_GW_ACCESS ? EPC_GW_CORE : EPC_GW_ACCESS;
}

/* ---- results ------------------------------------------------------------------------------------------- */

/* The owner may release the context in its callback: it stays busy, and so alive, until that returns. */
static void finish(struct iq_ctx *c, enum epc_err err, struct epc_sdp *local)
{
    struct iq_op *op = c->open;
    if (err != EPC_OK)
        epc_log(EPC_LOG_WARN, "gateway", "event=request-failed call=%.128s gateway=%s context=%u status=%d why=\"%s\"",
                c->key, c->mg_name, (unsigned)c->id, c->cause.sip_status, c->cause.reason);
    if (op->done && !c->released)
        op->done(op->arg, err, local, &c->cause);
    else
        epc_sdp_free(local);
    c->open = NULL;
    iq_op_free(op);
    c->busy = false;
    iq_next(c);
}

static enum epc_err err_of(const struct epc_cause *cause)
{
    return cause->sip_status == 503 ? EPC_ELIMIT : EPC_EPROTO;
}

static void on_rested(void *arg)
{
    struct iq_ctx *c = arg;
    c->resting = false;
    c->busy = true;
    iq_op_start(c);
}

/* Gates and restorations, whose owners do not learn of a failure, are tried again; what comes after them
 * waits. A context whose media cannot be set as they should is broken. */
static bool try_again(struct iq_ctx *c)
{
    struct iq_op *op = c->open;
    if (op->done || op->kind == IQ_TIDY || c->released || c->gone || c->told_lost || !c->id)
        return false;
    if (op->tries == MOST_TRIES) {
        iq_broken(c);
        return false;
    }
    c->busy = false;
    c->resting = true;
    epc_timer_start(c->gw->sh, &c->later, (uint64_t)c->gw->again_ms << op->tries++, on_rested, c);
    return true;
}

static void fail(struct iq_ctx *c)
{
    iq_plan_drop(c);
    if (!try_again(c))
        finish(c, err_of(&c->cause), NULL);
}

/* Every stream that runs towards @p side must have been told. */
static enum epc_err describe(struct iq_ctx *c, enum epc_gw_side side, const struct epc_sdp *like,
                             struct epc_sdp **local)
{
    const struct iq_stream *s = c->leg[side].stream;
    for (size_t i = 0; i < c->n; i++)
        if (iq_runs(&s[i]) && !s[i].got) {
            epc_cause_set(&c->cause, 500, "TS 29.334 5.17.2", "gateway: no description of stream %zu", i + 1);
            return EPC_EPROTO;
        }
    bool lite = side == EPC_GW_ACCESS && c->gw->cfg->iq.ice == EPC_IQ_ICE_LITE;
    enum epc_err err = iq_describe(like, s, c->n, lite, local);
    if (err != EPC_OK)
        epc_cause_set(&c->cause, 500, NULL, "gateway: description not usable");
    return err;
}

static void carried_out(struct iq_ctx *c)
{
    struct iq_op *op = c->open;
    struct epc_sdp *local = NULL, *like = epc_sdp_ref(op->remote);
    enum epc_err err = EPC_OK;
    bool tells = op->done && (op->kind == IQ_OFFER || op->kind == IQ_ANSWER);
    iq_plan_commit(c, op);
    if (tells)
        err = describe(c, other_side(op->from), like, &local);
    epc_sdp_free(like);
    if (c->answered)
        iq_learn_start(c);
    finish(c, err, local);
}

/* ---- what a failed first request left behind --------------------------------------------------------------- */

static void after_clearing(struct iq_ctx *c)
{
    if (c->open->again && !c->released && !c->id)
        iq_op_start(c);
    else
        fail(c);
}

static void on_cleared(void *arg, enum epc_err err, const struct h248_reply *r)
{
    struct iq_ctx *c = arg;
    if (c->gone || iq_subtracted(c, err, r)) {
        h248_context_ended(c->gw->client, c->mg, c->id);
        iq_set_id(c, 0, NULL, 0);
        c->gone = c->unsure = false;
        c->leg[0].name[0] = c->leg[1].name[0] = 0;
    }
    after_clearing(c);
}

static void clear_first(struct iq_ctx *c)
{
    struct epc_h248_message *m = NULL;
    struct h248_request_opts o = {.mg = c->mg, .emergency = c->emergency, .key = c->key};
    c->unsure = true;
    if (iq_subtract(c, true, &m) != EPC_OK ||
        h248_request(c->gw->client, &o, &m, on_cleared, c, NULL) != EPC_OK)
        after_clearing(c);
}

/* ---- request and reply ------------------------------------------------------------------------------------ */

static void on_reply(void *arg, enum epc_err err, const struct h248_reply *r)
{
    struct iq_ctx *c = arg;
    bool fresh = !c->id;
    enum iq_verdict verdict = iq_reply(c, err, r, &c->cause);
    if (verdict == IQ_AGAIN && (c->open->again || c->released))
        verdict = IQ_REFUSED;
    if (verdict == IQ_AGAIN)
        c->open->again = true;
    else
        c->open->again = false;
    switch (verdict) {
    case IQ_DONE:
        carried_out(c);
        break;
    case IQ_AGAIN:
    case IQ_REFUSED:
        if (fresh && c->id)
            clear_first(c);
        else if (verdict == IQ_AGAIN)
            iq_op_start(c);
        else {
            c->unsure = c->id != 0;
            fail(c);
        }
        break;
    case IQ_VANISHED:
        if (!c->gone) {
            h248_context_ended(c->gw->client, c->mg, c->id);
            iq_lost(c);
        }
        fail(c);
        break;
    case IQ_BROKEN:
        c->unsure = true;
        iq_broken(c);
        fail(c);
        break;
    }
}

static void on_failed(void *arg)
{
    fail(arg);
}

static void on_nothing_to_do(void *arg)
{
    carried_out(arg);
}

/* Results that need no request come on a later turn: never inside the caller's call. */
static void later(struct iq_ctx *c, epc_timer_fn *fn)
{
    epc_timer_start(c->gw->sh, &c->later, 0, fn, c);
}

void iq_op_start(struct iq_ctx *c)
{
    struct epc_h248_message *m = NULL;
    struct h248_request_opts o = {.mg = c->id ? c->mg : H248_MG_ANY, .emergency = c->emergency, .key = c->key};
    c->cause = (struct epc_cause){0};
    if (c->gone) {
        epc_cause_set(&c->cause, 503, "TS 23.334 6.1", "the media gateway has lost the call");
        later(c, on_failed);
        return;
    }
    enum epc_err err = iq_plan(c, c->open, &c->cause);
    if (err == EPC_OK)
        err = iq_request(c, &m);
    if (err == EPC_OK && !m) {
        later(c, on_nothing_to_do);
        return;
    }
    if (err == EPC_OK)
        err = h248_request(c->gw->client, &o, &m, on_reply, c, NULL);
    if (err == EPC_OK)
        return;
    if (!c->cause.sip_status) {
        epc_cause_set(&c->cause, err == EPC_ENOMEM ? 500 : 503, NULL, "gateway: %s", epc_err_name(err));
        c->cause.retry_after_s = err == EPC_ENOMEM ? 0 : 10;
    }
    later(c, on_failed);
}
