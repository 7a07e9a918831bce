/* Preconditions (RFC 3312): browsers have none. What the network reserves for a WIC is authorised with the
 * policy function before an answer passes, so this node can say of the WIC's side that it is met; the
 * lines themselves are written and read in sdp/. */
#include "session/session_priv.h"

enum epc_err precondition_request(struct transfer *x, msg_t *msg, struct epc_cause *cause)
{
    if (x->from != EPC_LEG_CORE || !x->s || x->method == sip_method_ack)
        return EPC_OK;
    bool required = epc_sip_lists(msg, "Require", "precondition");
    bool act = x->ss->cfg->calls.preconditions == EPC_PRECONDITIONS_ACT;
    if (required && !act) {
        epc_cause_set(cause, 420, "RFC 3312 11", "Bad Extension");
        cause->unsupported = "precondition";
        return EPC_EPOLICY;
    }
    if (!act || (!required && !epc_sip_lists(msg, "Supported", "precondition")))
        return EPC_OK;
    x->s->preconditions = true;
    return required ? epc_sip_unlist(msg, "Require", "precondition") : EPC_OK;
}
