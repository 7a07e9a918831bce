/* Stand-ins for the rooms below sip/, joined at link time. */
#ifndef TEST_SIP_FAKES_H
#define TEST_SIP_FAKES_H

#include "shard/shard.h"
#include "wss/wss.h"

struct epc_shard *fake_shard_new(unsigned index);
void fake_shard_turn(struct epc_shard *sh); /**< one turn of the loop, some ms */
/** From here on the loop last looked at @p at_ms; 0: always now. */
void fake_shard_looked(struct epc_shard *sh, uint64_t at_ms);
void fake_shard_free(struct epc_shard *sh);

struct epc_wss *fake_wss_new(void);
void fake_wss_free(struct epc_wss *w);
struct epc_flow *fake_flow_open(struct epc_wss *w, uint64_t id);
void fake_flow_registered(struct epc_flow *f, bool registered);
unsigned fake_flow_paused(const struct epc_flow *f); /**< for how long, ms; all pauses together */
void fake_flow_superseded(struct epc_flow *f, bool superseded); /**< what comes now */
void fake_flow_gone(struct epc_wss *w, uint64_t id);
/** Oldest message sent on the flow (gives), NULL when there is none. */
char *fake_flow_take(struct epc_wss *w, uint64_t id);

#endif
