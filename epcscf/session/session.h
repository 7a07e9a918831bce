/* Door of session/: calls through the eP-CSCF as a P-CSCF with IMS-ALG: a proxy that keeps dialog
 * state, turns the SDP between the legs, steers the gateway, asks the policy function, and can end a
 * call by itself. Call-ID, tags and CSeq stay untouched.
 * Spec: TS 24.229 5.2.6 to 5.2.9 and 6, TS 24.371, TS 23.334, TS 29.214 4.4, RFC 3261, 3264.
 * Thread: the shard's (one epc_sessions a shard). */
#ifndef EPC_SESSION_H
#define EPC_SESSION_H

#include "gateway/gateway.h"
#include "policy/policy.h"
#include "registration/registration.h"
#include "sip/sip.h"

struct epc_sessions;

/** The rooms that a call needs; all borrowed for the life of the object. */
struct epc_sessions_opts {
    struct epc_shard *shard;
    struct epc_sip *sip;
    struct epc_reg *reg;
    struct epc_gw *gw;
    struct epc_policy_client *policy; /**< NULL: policy.mode is off */
    const struct epc_config *cfg;
};

/** @return EPC_OK, EPC_ENOMEM, EPC_EINVAL */
enum epc_err epc_sessions_create(struct epc_sessions **out, const struct epc_sessions_opts *o)
    EPC_MUST_CHECK;
/** Drops what is left without telling anyone: call epc_sessions_release_all() before. NULL-safe. */
void epc_sessions_destroy(struct epc_sessions *ss);
void epc_sessions_set_wss(struct epc_sessions *ss, struct epc_wss *w);

/** Any request but REGISTER, from either leg, in or outside of a dialog: answers and releases @p in. */
void epc_sessions_request(struct epc_sessions *ss, struct epc_sip_in *in);
/** ACK for a 2xx; @p msg gives. */
void epc_sessions_ack(struct epc_sessions *ss, enum epc_leg from, uint64_t flow_id, msg_t *msg);
/** The flow is gone (after epc_sip_flow_closed(), before the registration is told). Calls that are up
 *  are held with their media while the registration is in grace (registration.flow_loss_grace_ms);
 *  the others are released towards the core. */
void epc_sessions_flow_closed(struct epc_sessions *ss, uint64_t flow_id);
/** The same WIC goes on with another flow of this shard (after epc_sip_flow_moved()): so do its calls
 *  that are up. One that the other side has ended meanwhile is ended with the WIC, too. */
void epc_sessions_flow_moved(struct epc_sessions *ss, uint64_t old_flow_id, uint64_t new_flow_id);
/** A request of the core's in a dialog, for a flow that is gone (struct epc_sip_handler `lost`): BYE ends
 *  a held call, all else is put off (500 with Retry-After), without a held call 481. */
void epc_sessions_lost(struct epc_sessions *ss, struct epc_sip_in *in);
/** A binding came into force or was refreshed: the policy function is asked to watch its signalling path
 *  (TS 29.214 4.4.5), once, if policy.signalling_session. */
void epc_sessions_registered(struct epc_sessions *ss, const struct epc_binding *b);
/** A REGISTER of the WIC arrived: its signalling path is there. */
void epc_sessions_heard(struct epc_sessions *ss, uint64_t flow_id);
/** Value of a network-provided P-Access-Network-Info for that flow, borrowed until the next turn; NULL:
 *  not known. */
const char *epc_sessions_access_info(struct epc_sessions *ss, uint64_t flow_id);
/** The registration of that flow ended: its calls are released both ways (TS 24.229 5.2.8), held ones
 *  towards the core with Reason: SIP;cause=503 (5.2.8.1). */
void epc_sessions_registration_gone(struct epc_sessions *ss, uint64_t flow_id, const char *why);
/** Are there calls on that flow? */
bool epc_sessions_busy(struct epc_sessions *ss, uint64_t flow_id);
/** Release every call (shutdown), with Reason. */
void epc_sessions_release_all(struct epc_sessions *ss, const char *why);

/** What admin/ may show of a call. Borrowed for the call of @p fn. */
struct epc_session_view {
    const char *call_id;
    const char *impu;
    const char *state;
    bool originating;
    uint64_t flow_id;
    uint64_t age_ms;
};
void epc_sessions_each(struct epc_sessions *ss, void (*fn)(const struct epc_session_view *v, void *arg),
                       void *arg);
/** The dialog state machine as a Graphviz graph, for the documentation. */
void epc_session_fsm_print(FILE *out);

#endif
