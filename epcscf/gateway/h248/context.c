/* Life of contexts: one operation at a time, and a release that is never lost. */
#include "gateway/h248/iq_priv.h"

#include <stdlib.h>
#include <string.h>

/* Ringing, and so the time in which another answer may come, has an end (Timer C, RFC 3261 16.6). */
enum { SUBTRACT_AGAIN_MS = 1000, SUBTRACT_SELDOM_MS = 30000, TIDY_MS = 200000 };

static struct iq_ctx *ctx_of(struct epc_gw_ctx *c)
{
    return EPC_CONTAINER(c, struct iq_ctx, base);
}

/* ---- by number --------------------------------------------------------------------------------------- */

struct where {
    unsigned mg;
    uint32_t context;
};

static bool is_at(const struct epc_hnode *node, const void *key)
{
    const struct iq_ctx *c = EPC_CONTAINER(node, const struct iq_ctx, node);
    const struct where *w = key;
    return c->mg == w->mg && c->id == w->context;
}

static uint64_t hash_of(unsigned mg, uint32_t context)
{
    return epc_hash_u64((uint64_t)mg << 32 | context);
}

struct iq_ctx *iq_find(const struct iq_gw *gw, unsigned mg, uint32_t context)
{
    struct epc_hnode *node = epc_hash_find(&gw->by_id, hash_of(mg, context), &(struct where){mg, context});
    return node ? EPC_CONTAINER(node, struct iq_ctx, node) : NULL;
}

void iq_set_id(struct iq_ctx *c, unsigned mg, const char *mg_name, uint32_t id)
{
    if (c->id)
        epc_hash_del(&c->gw->by_id, &c->node);
    c->mg = mg;
    c->id = id;
    if (mg_name)
        snprintf(c->mg_name, sizeof c->mg_name, "%s", mg_name);
    if (id)
        epc_hash_add(&c->gw->by_id, &c->node, hash_of(mg, id));
}

void iq_each_of(struct iq_gw *gw, unsigned mg, void (*fn)(struct iq_ctx *c, void *arg), void *arg)
{
    gw->walk = gw->first;
    while (gw->walk) {
        struct iq_ctx *c = gw->walk;
        gw->walk = c->next;
        if (c->mg == mg && c->id)
            fn(c, arg);
    }
}

/* ---- life -------------------------------------------------------------------------------------------- */

static void ctx_free(struct iq_ctx *c)
{
    struct iq_gw *gw = c->gw;
    if (gw->walk == c)
        gw->walk = c->next;
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    iq_set_id(c, c->mg, NULL, 0);
    epc_timer_stop(gw->sh, &c->later);
    epc_timer_stop(gw->sh, &c->learn);
    epc_timer_stop(gw->sh, &c->tidy);
    iq_op_free(c->open);
    while (c->queue) {
        struct iq_op *op = c->queue;
        c->queue = op->next;
        iq_op_free(op);
    }
    iq_plan_drop(c);
    for (int side = 0; side < 2; side++)
        iq_streams_free(c->leg[side].stream, c->n);
    epc_sdp_free(c->offer);
    epc_sdp_free(c->offer_want);
    epc_count_add(EPC_C_GW_CONTEXTS, -1);
    free(c->key);
    free(c);
}

static enum epc_err iq_ctx_create(struct epc_gw_ctx **out, struct epc_gw *g, const struct epc_gw_ctx_opts *o)
{
    struct iq_gw *gw = EPC_CONTAINER(g, struct iq_gw, base);
    struct iq_ctx *c = calloc(1, sizeof *c);
    if (!c || !(c->key = strdup(o->call_id))) {
        free(c);
        return EPC_ENOMEM;
    }
    c->base.gw = g;
    c->gw = gw;
    c->event = o->event;
    c->event_arg = o->arg;
    c->emergency = o->emergency;
    c->priority = o->priority;
    c->to_access = c->to_core = true;
    c->queue_tail = &c->queue;
    gw->last_number = gw->last_number < INT32_MAX ? gw->last_number + 1 : 1;
    c->number = gw->last_number;
    c->next = gw->first;
    c->prev = &gw->first;
    if (c->next)
        c->next->prev = &c->next;
    gw->first = c;
    epc_count_add(EPC_C_GW_CONTEXTS, 1);
    *out = &c->base;
    return EPC_OK;
}

/* ---- release ------------------------------------------------------------------------------------------ */

static void end(struct iq_ctx *c);

static void on_end_again(void *arg)
{
    end(arg);
}

static void end_later(struct iq_ctx *c)
{
    uint64_t ms = (uint64_t)c->gw->again_ms << (c->end_tries < 10 ? c->end_tries : 10);
    c->end_tries++;
    epc_timer_start(c->gw->sh, &c->later, ms < SUBTRACT_SELDOM_MS ? ms : SUBTRACT_SELDOM_MS, on_end_again, c);
}

static void on_subtracted(void *arg, enum epc_err err, const struct h248_reply *r)
{
    struct iq_ctx *c = arg;
    bool gone = c->gone || iq_subtracted(c, err, r);
    c->busy = false;
    if (!gone) {
        c->unsure = true; /* by wildcard next time: some of it may be gone */
        end_later(c);
        return;
    }
    h248_context_ended(c->gw->client, c->mg, c->id);
    ctx_free(c);
}

static bool send_subtract(struct iq_ctx *c, h248_reply_fn *done)
{
    struct epc_h248_message *m = NULL;
    struct h248_request_opts o = {.mg = c->mg, .emergency = c->emergency, .key = c->key};
    return iq_subtract(c, c->unsure, &m) == EPC_OK &&
           h248_request(c->gw->client, &o, &m, done, c, NULL) == EPC_OK;
}

/* Nothing is open: Subtract, again and again until the gateway confirms or is known to have nothing. */
static void end(struct iq_ctx *c)
{
    if (!c->id || c->gone) {
        ctx_free(c);
        return;
    }
    c->busy = send_subtract(c, on_subtracted);
    if (!c->busy)
        end_later(c);
}

static void iq_release(struct epc_gw_ctx *base)
{
    struct iq_ctx *c = ctx_of(base);
    if (c->released)
        return;
    c->released = true;
    epc_timer_stop(c->gw->sh, &c->learn);
    epc_timer_stop(c->gw->sh, &c->tidy);
    iq_next(c);
}

/* ---- what happens to it --------------------------------------------------------------------------------- */

void iq_tell(struct iq_ctx *c, const struct epc_gw_event *ev)
{
    bool was_busy = c->busy;
    if (c->released)
        return;
    c->busy = true;
    c->event(c->event_arg, ev);
    c->busy = was_busy;
}

void iq_broken(struct iq_ctx *c)
{
    if (!c->told_lost && !c->released) {
        epc_log(EPC_LOG_WARN, "gateway", "event=context-lost call=%.128s gateway=%s context=%u", c->key, c->mg_name,
                (unsigned)c->id);
        c->told_lost = true;
        iq_tell(c, &(struct epc_gw_event){.kind = EPC_GW_EV_LOST});
    }
    if (!c->busy)
        iq_next(c);
}

void iq_lost(struct iq_ctx *c)
{
    c->gone = true;
    epc_timer_stop(c->gw->sh, &c->learn);
    iq_broken(c);
}

static void lose(struct iq_ctx *c, void *arg)
{
    (void)arg;
    iq_lost(c);
}

static void on_context_gone(void *arg, unsigned mg, uint32_t context)
{
    struct iq_ctx *c = iq_find(arg, mg, context);
    if (c)
        iq_lost(c);
}

static void on_mg_lost(void *arg, unsigned mg)
{
    struct iq_gw *gw = arg;
    if (mg < IQ_MAX_GATEWAYS)
        gw->refused[mg] = 0; /* it may come back with other software */
    iq_each_of(gw, mg, lose, NULL);
}

/* ---- operations ---------------------------------------------------------------------------------------------- */

static void stop_resting(struct iq_ctx *c)
{
    if (!c->resting)
        return;
    epc_timer_stop(c->gw->sh, &c->later);
    iq_op_free(c->open);
    c->open = NULL;
    c->resting = false;
}

void iq_next(struct iq_ctx *c)
{
    if (c->busy)
        return;
    if (c->released || c->gone)
        stop_resting(c);
    if (c->released) {
        if (!epc_timer_running(&c->later) || c->gone)
            end(c);
        return;
    }
    struct iq_op *op = c->queue;
    if (!op || c->resting)
        return;
    c->queue = op->next;
    if (!c->queue)
        c->queue_tail = &c->queue;
    c->open = op;
    c->busy = true;
    iq_op_start(c);
}

static void enqueue(struct iq_ctx *c, enum iq_op_kind kind, enum epc_gw_side from, const struct epc_gw_media *m,
                    const struct epc_gw_media *answer, epc_gw_done_fn *done, void *arg)
{
    struct iq_op *op = calloc(1, sizeof *op);
    if (!op) {
        struct epc_cause cause;
        epc_cause_set(&cause, 500, NULL, "gateway: out of memory");
        if (done)
            done(arg, EPC_ENOMEM, NULL, &cause);
        return;
    }
    *op = (struct iq_op){.kind = kind, .from = from, .done = done, .arg = arg};
    op->remote = epc_sdp_ref(m ? m->remote : NULL);
    op->want = epc_sdp_ref(m ? m->want : NULL);
    op->answer = epc_sdp_ref(answer ? answer->remote : NULL);
    op->answer_want = epc_sdp_ref(answer ? answer->want : NULL);
    *c->queue_tail = op;
    c->queue_tail = &op->next;
    if (kind == IQ_OFFER || kind == IQ_RESTORE)
        c->last_offerer = from;
    iq_next(c);
}

static void iq_offer(struct epc_gw_ctx *base, enum epc_gw_side from, const struct epc_gw_media *m,
                     epc_gw_done_fn *done, void *arg)
{
    enqueue(ctx_of(base), IQ_OFFER, from, m, NULL, done, arg);
}

static void iq_answer(struct epc_gw_ctx *base, const struct epc_gw_media *m, epc_gw_done_fn *done, void *arg)
{
    struct iq_ctx *c = ctx_of(base);
    enum epc_gw_side answerer = c->last_offerer == EPC_GW_ACCESS ? EPC_GW_CORE : EPC_GW_ACCESS;
    enqueue(c, IQ_ANSWER, answerer, m, NULL, done, arg);
}

static void iq_restore(struct epc_gw_ctx *base, enum epc_gw_side offerer, const struct epc_gw_media *offer,
                       const struct epc_gw_media *answer)
{
    enqueue(ctx_of(base), IQ_RESTORE, offerer, offer, answer, NULL, NULL);
}

static void iq_gate(struct epc_gw_ctx *base, bool to_access, bool to_core)
{
    struct iq_ctx *c = ctx_of(base);
    if (c->to_access == to_access && c->to_core == to_core)
        return;
    c->to_access = to_access;
    c->to_core = to_core;
    enqueue(c, IQ_GATE, EPC_GW_ACCESS, NULL, NULL, NULL, NULL);
}

static void on_tidy(void *arg)
{
    enqueue(arg, IQ_TIDY, EPC_GW_ACCESS, NULL, NULL, NULL, NULL);
}

void iq_tidy_later(struct iq_ctx *c)
{
    if (!c->released)
        epc_timer_start(c->gw->sh, &c->tidy, TIDY_MS, on_tidy, c);
}

/* ---- the back end --------------------------------------------------------------------------------------------- */

static const struct h248_client_ops client_ops = {
    .notify = iq_on_notify,
    .service_change = iq_on_service_change,
    .context_gone = on_context_gone,
    .mg_lost = on_mg_lost,
};

static enum epc_err iq_create(struct epc_gw **out, struct epc_shard *sh, const struct epc_cfg_media *cfg,
                              struct epc_gw_hub *hub)
{
    struct iq_gw *gw = hub ? calloc(1, sizeof *gw) : NULL;
    if (!gw)
        return hub ? EPC_ENOMEM : EPC_EINVAL;
    gw->base.ops = &epc_gw_h248_ops;
    gw->sh = sh;
    gw->cfg = cfg;
    gw->again_ms = SUBTRACT_AGAIN_MS;
    enum epc_err err = epc_hash_init(&gw->by_id, is_at);
    if (err == EPC_OK) {
        err = h248_client_create(&gw->client, hub, sh, cfg, &client_ops, gw);
        if (err != EPC_OK)
            epc_hash_free(&gw->by_id);
    }
    if (err != EPC_OK) {
        free(gw);
        return err;
    }
    *out = &gw->base;
    return EPC_OK;
}

/* The process, or its loop, is going away: nobody can wait for what this tells. */
static void ignore_reply(void *arg, enum epc_err err, const struct h248_reply *r)
{
    (void)arg;
    (void)err;
    (void)r;
}

static void iq_destroy(struct epc_gw *g)
{
    struct iq_gw *gw = EPC_CONTAINER(g, struct iq_gw, base);
    for (struct iq_ctx *c = gw->first; c; c = c->next)
        if (c->id && !c->gone && !send_subtract(c, ignore_reply))
            epc_log(EPC_LOG_WARN, "gateway", "event=subtract-not-sent call=%.128s context=%u", c->key,
                    (unsigned)c->id);
    h248_client_destroy(gw->client);
    while (gw->first)
        ctx_free(gw->first);
    epc_hash_free(&gw->by_id);
    free(gw);
}

static void iq_caps(const struct epc_gw *g, struct epc_gw_caps *out)
{
    const struct iq_gw *gw = EPC_CONTAINER(g, const struct iq_gw, base);
    out->sctp = gw->cfg->iq.data_channels;
    out->transcodes = gw->cfg->iq.transcodes;
}

static void iq_each(struct epc_gw *g, void (*fn)(const char *line, void *arg), void *arg)
{
    h248_each(EPC_CONTAINER(g, struct iq_gw, base)->client, fn, arg);
}

const struct epc_gw_ops epc_gw_h248_ops = {
    .hub_create = h248_hub_create,
    .create = iq_create,
    .destroy = iq_destroy,
    .caps = iq_caps,
    .each = iq_each,
    .ctx_create = iq_ctx_create,
    .offer = iq_offer,
    .answer = iq_answer,
    .restore = iq_restore,
    .gate = iq_gate,
    .view = iq_view,
    .release = iq_release,
};
