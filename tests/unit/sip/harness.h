/* The agent between a fake flow and a core peer, with the smallest room above it: a proxy that
 * forwards what it is given. */
#ifndef TEST_SIP_HARNESS_H
#define TEST_SIP_HARNESS_H

#include "cm.h"
#include "fakes.h"
#include "peer.h"
#include "sip/sip_priv.h"

enum { FLOW = 42, MAX_CALLS = 64 };

struct call {
    struct rig *r;
    struct epc_sip_in *in;
    struct epc_sip_out *out;
    bool cancelled, failed;
    int last_status; /**< of the responses; 0 = over */
    int local;       /**< last status that came without a message */
    unsigned responses;
};

struct rig {
    struct epc_shard *sh;
    struct epc_wss *w;
    struct epc_flow *flow;
    struct epc_sip *s;
    struct epc_cfg_sip cfg;
    struct peer core;
    uint16_t port;
    char next_hop[80];
    struct call calls[MAX_CALLS];
    unsigned n_calls, acks;
    int64_t base_wic, base_core; /**< gauges at the start: 0 unless a test before failed */
    bool hold; /**< the room keeps requests and does nothing with them */
};

void rig_open(struct rig *r);
void rig_close(struct rig *r); /**< asserts that no transaction is left */
void from_wic(struct rig *r, const char *text);
/** Next message to the WIC (gives); fails when none comes. */
char *to_wic(struct rig *r);
char *to_core(struct rig *r);
void nothing_to_wic(struct rig *r, unsigned ms);
void nothing_to_core(struct rig *r, unsigned ms);
/** A request line and headers; @p to_tag, @p route (header lines), @p extra may be NULL. Gives. */
char *wic_request(const char *method, const char *branch, unsigned cseq, const char *to_tag,
                  const char *extra, const char *body);
char *core_request(struct rig *r, const char *method, const char *branch, unsigned cseq,
                   const char *to_tag, const char *extra, const char *body);
/** "Route: ..." with the token of @p flow. Static buffer. */
const char *token_route(struct rig *r, uint64_t flow);
void expect_status(const char *msg, const char *status);
void expect_in(const char *msg, const char *piece);
void expect_not_in(const char *msg, const char *piece);
/** Turn until both transaction gauges are 0. */
void expect_idle(struct rig *r);
void turns(struct rig *r, unsigned ms);

#endif
