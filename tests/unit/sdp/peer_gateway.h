/* A gateway for tests: describes each running stream of a remote description with fixed addresses. */
#ifndef PEER_GATEWAY_H
#define PEER_GATEWAY_H

#include "sdp/sdp.h"

#define GW_ACCESS_ADDR "198.51.100.20"
#define GW_CORE_ADDR   "10.10.0.20"

/** The local description for @p leg that fits @p remote (of the other leg); NULL when out of memory.
 *  @p generation goes into the ICE credentials: another value is an ICE restart. */
struct epc_sdp *peer_gateway_local(const struct epc_sdp *remote, enum epc_sdp_leg leg, unsigned generation);

#endif
