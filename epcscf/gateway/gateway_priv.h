/* Inside gateway/: what a back end offers. Each embeds these structs as its first member. */
#ifndef EPC_GATEWAY_PRIV_H
#define EPC_GATEWAY_PRIV_H

#include "gateway/gateway.h"

struct epc_gw_ops {
    enum epc_err (*create)(struct epc_gw **out, struct epc_shard *sh, const struct epc_cfg_media *cfg);
    void (*destroy)(struct epc_gw *g);
    bool has_sctp; /* terminates data channels */
    enum epc_err (*ctx_create)(struct epc_gw_ctx **out, struct epc_gw *g, const char *call_id,
                               epc_gw_event_fn *fn, void *arg);
    void (*offer)(struct epc_gw_ctx *c, enum epc_gw_side from, const struct epc_sdp *remote,
                  epc_gw_done_fn *done, void *arg);
    void (*answer)(struct epc_gw_ctx *c, const struct epc_sdp *remote, epc_gw_done_fn *done, void *arg);
    void (*restore)(struct epc_gw_ctx *c, enum epc_gw_side offerer, const struct epc_sdp *offer,
                    const struct epc_sdp *answer);
    void (*view)(const struct epc_gw_ctx *c, struct epc_gw_view *out);
    void (*release)(struct epc_gw_ctx *c);
};

struct epc_gw {
    const struct epc_gw_ops *ops;
};
struct epc_gw_ctx {
    struct epc_gw *gw;
};

extern const struct epc_gw_ops epc_gw_rtpengine_ops;

#endif
