/* One shard's eP-CSCF: the rooms put together. Whatever belongs to one WIC (its flow, registration,
 * transactions, dialogs) lives on one edge for life. */
#ifndef EPC_EDGE_H
#define EPC_EDGE_H

#include "admin/admin.h"
#include "config/config.h"
#include "policy/policy.h"
#include "shard/shard.h"

struct epc_diameter;
struct epc_edge;
struct epc_gw_hub;
struct epc_reg;
struct epc_wss;

struct epc_edge_opts {
    const struct epc_config *cfg;
    struct epc_policy_client *policy; /**< NULL: policy is off */
    struct epc_gw_hub *gateways;      /**< NULL: the shards share nothing of them */
    unsigned char token_key[32];      /**< the same for all shards */
    /** The shards of the node, and for each a slot that its edge fills in and clears again: through
     *  these the shards speak to each other about registrations. */
    struct epc_shard *const *shards;
    struct epc_reg **regs;
    struct epc_wss **wss;
    size_t n_shards;
};

/** Build all rooms, listeners last. Thread: the shard's.
 *  @return EPC_OK, or what the room said that failed (logged) */
enum epc_err epc_edge_create(struct epc_edge **out, struct epc_shard *sh,
                             const struct epc_edge_opts *o) EPC_MUST_CHECK;
/** Stop accepting and release every call, with Reason; flows stay so that the BYEs can leave.
 *  Thread: the shard's. */
void epc_edge_drain(struct epc_edge *e);
/** Read or fetch again what may change at run time: the keys of the tokens' issuers, the certificate
 *  of the listener. Thread: the shard's. */
void epc_edge_reload(struct epc_edge *e);
/** Close every flow with 1001 and free all rooms. Thread: the shard's. NULL-safe. */
void epc_edge_destroy(struct epc_edge *e);

/** All edges of the node and the shards that they live on. */
struct epc_fleet {
    struct epc_shard *service;
    struct epc_shard *const *shards;
    struct epc_edge *const *edges;
    size_t n;
    struct epc_diameter *diameter; /**< NULL: policy is off */
};

/** Control commands that go to every shard: flows, registrations, sessions, revoke, reload, rx. @p fleet borrowed
 *  for the life of @p admin. Thread: the service shard's. */
enum epc_err epc_edge_commands(struct epc_admin *admin, const struct epc_fleet *fleet) EPC_MUST_CHECK;

#endif
