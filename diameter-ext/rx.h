/* The border between the daemon and epcscf_rx.fdx, the Rx application function that freeDiameter
 * loads into it. The extension finds the daemon by the symbol epc_rx_attach() (the daemon is linked
 * with -rdynamic); stock freeDiameterd has no such symbol and gets a polite refusal.
 * Both sides are built together: EPC_RX_ABI only guards against a stale file on disk. */
#ifndef EPC_RX_H
#define EPC_RX_H

#include "base/base.h"
#include "config/config.h"
#include "policy/policy.h"
#include "shard/shard.h"

#define EPC_RX_ABI 2u

/** What the extension needs of the daemon; the functions are those of the same name. */
struct epc_rx_host {
    unsigned abi;
    const struct epc_cfg_policy *cfg; /**< lives until stop() has returned */
    enum epc_err (*post)(struct epc_shard *sh, epc_shard_fn *fn, void *arg);
    unsigned (*shard_index)(const struct epc_shard *sh);
    void (*timer_start)(struct epc_shard *sh, struct epc_timer *t, uint64_t after_ms,
                        epc_timer_fn *fn, void *arg);
    void (*timer_stop)(struct epc_shard *sh, struct epc_timer *t);
    void (*doom)(struct epc_shard *sh, void (*fn)(void *obj), void *obj);
    void (*info_free)(struct epc_service_info *s);
    /* Pure functions of policy/, see policy.h. */
    enum epc_err (*info_diff)(const struct epc_service_info *prev, const struct epc_service_info *next,
                              struct epc_service_info **delta);
    enum epc_err (*info_merge)(struct epc_service_info **current, const struct epc_service_info *delta);
    enum epc_err (*shape)(const struct epc_service_info *full, const struct epc_cfg_policy_profile *profile,
                          bool webrtc, struct epc_service_info **out);
    const struct epc_cfg_policy_profile *(*profile)(const struct epc_cfg_policy *cfg, const char *name);
    const struct epc_cfg_policy_access *(*access)(const struct epc_cfg_policy *cfg, const struct epc_addr *ue);
    const char *(*code_name)(const struct epc_policy_result *r);
    void (*explain_result)(const struct epc_policy_question *q, struct epc_buf *out);
};

struct epc_rx_ask;   /* diameter/diameter.h */
struct epc_rx_found;

/** What the extension offers. */
struct epc_rx_ext {
    unsigned abi;
    struct epc_policy_client *client;
    /** After freeDiameter has started, before the first session. @return EPC_OK, EPC_EIO */
    enum epc_err (*start)(void);
    /** No shard runs any more and freeDiameter still does: sends the STRs that are due, waits a
     *  little for their answers, forgets everything. Idempotent. */
    void (*stop)(void);
    unsigned (*open_peers)(void); /**< never waits */
    void (*print_states)(FILE *out); /**< the session's state machine, in dot's language */
    void (*print_peers)(FILE *out);  /**< a line for each PCRF and agent; never waits */
    /** What the shard remembers of its Rx sessions. On the shard. */
    void (*history)(struct epc_shard *sh, const struct epc_rx_ask *ask, struct epc_rx_found *found,
                    struct epc_buf *out);
};

#define EPC_RX_ATTACH "epc_rx_attach"
/** Called by the extension while freeDiameter loads it. @p ext borrowed until the extension's end.
 *  @return the host; NULL when it wants no (second) extension or another ABI. */
typedef const struct epc_rx_host *epc_rx_attach_fn(const struct epc_rx_ext *ext);
epc_rx_attach_fn epc_rx_attach;

#endif
