/* One door, whichever back end the configuration names. */
#include "gateway/gateway_priv.h"

#include <string.h>

static const struct epc_gw_ops *const back_ends[] = {
    [EPC_GATEWAY_RTPENGINE] = &epc_gw_rtpengine_ops,
    [EPC_GATEWAY_H248] = &epc_gw_h248_ops,
};

static const struct epc_gw_ops *back_end(const struct epc_cfg_media *cfg)
{
    return cfg && (size_t)cfg->gateway < EPC_ARRAY_LEN(back_ends) ? back_ends[cfg->gateway] : NULL;
}

enum epc_err epc_gw_hub_create(struct epc_gw_hub **out, const struct epc_cfg_media *cfg)
{
    const struct epc_gw_ops *ops = back_end(cfg);
    if (!out || !ops)
        return EPC_EINVAL;
    if (ops->hub_create)
        return ops->hub_create(out, cfg);
    *out = NULL;
    return EPC_OK;
}

void epc_gw_hub_destroy(struct epc_gw_hub *h)
{
    if (h)
        h->destroy(h);
}

enum epc_err epc_gw_create(struct epc_gw **out, struct epc_shard *sh, const struct epc_cfg_media *cfg,
                           struct epc_gw_hub *hub)
{
    const struct epc_gw_ops *ops = back_end(cfg);
    return out && sh && ops ? ops->create(out, sh, cfg, hub) : EPC_EINVAL;
}

void epc_gw_destroy(struct epc_gw *g)
{
    if (g)
        g->ops->destroy(g);
}

void epc_gw_caps(const struct epc_gw *g, struct epc_gw_caps *out)
{
    *out = (struct epc_gw_caps){0};
    g->ops->caps(g, out);
}

void epc_gw_each(struct epc_gw *g, void (*fn)(const char *line, void *arg), void *arg)
{
    g->ops->each(g, fn, arg);
}

enum epc_err epc_gw_ctx_create(struct epc_gw_ctx **out, struct epc_gw *g, const struct epc_gw_ctx_opts *o)
{
    return g->ops->ctx_create(out, g, o);
}

void epc_gw_offer(struct epc_gw_ctx *c, enum epc_gw_side from, const struct epc_gw_media *m,
                  epc_gw_done_fn *done, void *arg)
{
    c->gw->ops->offer(c, from, m, done, arg);
}

void epc_gw_answer(struct epc_gw_ctx *c, const struct epc_gw_media *m, epc_gw_done_fn *done, void *arg)
{
    c->gw->ops->answer(c, m, done, arg);
}

void epc_gw_restore(struct epc_gw_ctx *c, enum epc_gw_side offerer, const struct epc_gw_media *offer,
                    const struct epc_gw_media *answer)
{
    c->gw->ops->restore(c, offerer, offer, answer);
}

void epc_gw_gate(struct epc_gw_ctx *c, bool to_access, bool to_core)
{
    c->gw->ops->gate(c, to_access, to_core);
}

void epc_gw_ctx_view(const struct epc_gw_ctx *c, struct epc_gw_view *out)
{
    c->gw->ops->view(c, out);
}

void epc_gw_release(struct epc_gw_ctx *c)
{
    if (c)
        c->gw->ops->release(c);
}

void gw_statistics_init(struct gw_statistics *st)
{
    memset(st, 0xff, sizeof *st); /* UINT64_MAX throughout */
}

static void add_figure(struct epc_buf *b, const char *name, uint64_t value)
{
    if (value != UINT64_MAX)
        epc_buf_printf(b, " %s=%llu", name, (unsigned long long)value);
}

static void count(enum epc_counter c, uint64_t value)
{
    if (value != UINT64_MAX)
        epc_count_add(c, (int64_t)(value & INT64_MAX));
}

void gw_report_statistics(const char *call_id, const char *gateway, const struct gw_statistics *st)
{
    struct epc_buf b = {0};
    count(EPC_C_GW_PACKETS_FROM_ACCESS, st->side[EPC_GW_ACCESS].packets_in);
    count(EPC_C_GW_OCTETS_FROM_ACCESS, st->side[EPC_GW_ACCESS].octets_in);
    count(EPC_C_GW_PACKETS_FROM_CORE, st->side[EPC_GW_CORE].packets_in);
    count(EPC_C_GW_OCTETS_FROM_CORE, st->side[EPC_GW_CORE].octets_in);
    add_figure(&b, "duration_ms", st->duration_ms);
    for (int side = 0; side < 2; side++) {
        char name[32];
        const char *at = side == EPC_GW_ACCESS ? "access" : "core";
        const struct {
            const char *what;
            uint64_t value;
        } figures[] = {{"packets_in", st->side[side].packets_in},   {"octets_in", st->side[side].octets_in},
                       {"packets_out", st->side[side].packets_out}, {"octets_out", st->side[side].octets_out},
                       {"packets_lost", st->side[side].packets_lost}};
        for (size_t i = 0; i < EPC_ARRAY_LEN(figures); i++) {
            snprintf(name, sizeof name, "%s_%s", at, figures[i].what);
            add_figure(&b, name, figures[i].value);
        }
    }
    add_figure(&b, "discarded", st->discarded);
    if (b.n && !b.failed)
        epc_log(EPC_LOG_INFO, "gateway", "event=media-statistics call=%.128s gateway=%s%s", call_id, gateway, b.p);
    epc_buf_free(&b);
}
