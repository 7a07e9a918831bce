/* One door, whichever back end the configuration names. */
#include "gateway/gateway_priv.h"

static const struct epc_gw_ops *const back_ends[] = {
    [EPC_GATEWAY_RTPENGINE] = &epc_gw_rtpengine_ops,
};

enum epc_err epc_gw_create(struct epc_gw **out, struct epc_shard *sh, const struct epc_cfg_media *cfg)
{
    if (!out || !sh || !cfg || (size_t)cfg->gateway >= EPC_ARRAY_LEN(back_ends))
        return EPC_EINVAL;
    return back_ends[cfg->gateway]->create(out, sh, cfg);
}

void epc_gw_destroy(struct epc_gw *g)
{
    if (g)
        g->ops->destroy(g);
}

bool epc_gw_has_sctp(const struct epc_gw *g)
{
    return g->ops->has_sctp;
}

enum epc_err epc_gw_ctx_create(struct epc_gw_ctx **out, struct epc_gw *g, const char *call_id,
                               epc_gw_event_fn *fn, void *arg)
{
    return g->ops->ctx_create(out, g, call_id, fn, arg);
}

void epc_gw_offer(struct epc_gw_ctx *c, enum epc_gw_side from, const struct epc_sdp *remote,
                  epc_gw_done_fn *done, void *arg)
{
    c->gw->ops->offer(c, from, remote, done, arg);
}

void epc_gw_answer(struct epc_gw_ctx *c, const struct epc_sdp *remote, epc_gw_done_fn *done, void *arg)
{
    c->gw->ops->answer(c, remote, done, arg);
}

void epc_gw_restore(struct epc_gw_ctx *c, enum epc_gw_side offerer, const struct epc_sdp *offer,
                    const struct epc_sdp *answer)
{
    c->gw->ops->restore(c, offerer, offer, answer);
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
