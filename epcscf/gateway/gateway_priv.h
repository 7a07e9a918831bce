/* Inside gateway/: what a back end offers. Each embeds these structs as its first member. */
#ifndef EPC_GATEWAY_PRIV_H
#define EPC_GATEWAY_PRIV_H

#include "gateway/gateway.h"

struct epc_gw_ops {
    enum epc_err (*hub_create)(struct epc_gw_hub **out, const struct epc_cfg_media *cfg); /* may be NULL */
    enum epc_err (*create)(struct epc_gw **out, struct epc_shard *sh, const struct epc_cfg_media *cfg,
                           struct epc_gw_hub *hub);
    void (*destroy)(struct epc_gw *g);
    void (*caps)(const struct epc_gw *g, struct epc_gw_caps *out);
    void (*each)(struct epc_gw *g, void (*fn)(const char *line, void *arg), void *arg);
    enum epc_err (*ctx_create)(struct epc_gw_ctx **out, struct epc_gw *g, const struct epc_gw_ctx_opts *o);
    void (*offer)(struct epc_gw_ctx *c, enum epc_gw_side from, const struct epc_gw_media *m,
                  epc_gw_done_fn *done, void *arg);
    void (*answer)(struct epc_gw_ctx *c, const struct epc_gw_media *m, epc_gw_done_fn *done, void *arg);
    void (*restore)(struct epc_gw_ctx *c, enum epc_gw_side offerer, const struct epc_gw_media *offer,
                    const struct epc_gw_media *answer);
    void (*gate)(struct epc_gw_ctx *c, bool to_access, bool to_core);
    void (*view)(const struct epc_gw_ctx *c, struct epc_gw_view *out);
    void (*release)(struct epc_gw_ctx *c);
};

struct epc_gw {
    const struct epc_gw_ops *ops;
};
struct epc_gw_hub {
    void (*destroy)(struct epc_gw_hub *h);
};
struct epc_gw_ctx {
    struct epc_gw *gw;
};

extern const struct epc_gw_ops epc_gw_rtpengine_ops, epc_gw_h248_ops;

/** What a gateway counted over the life of a context; a number that it did not tell is UINT64_MAX. */
struct gw_statistics {
    uint64_t duration_ms;
    struct {
        uint64_t octets_in, octets_out, packets_in, packets_out, packets_lost;
    } side[2]; /* by enum epc_gw_side, seen from the gateway */
    uint64_t discarded; /* packets that the gates dropped */
};
void gw_statistics_init(struct gw_statistics *st); /* nothing told */
/** One log line and the counters. */
void gw_report_statistics(const char *call_id, const char *gateway, const struct gw_statistics *st);

#endif
