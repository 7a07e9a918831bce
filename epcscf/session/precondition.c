/* Preconditions (RFC 3312): browsers have none. What the network reserves for a WIC is authorised with the
 * policy function before an answer passes, so this node can say of the WIC's side that it is met; the
 * lines themselves are written and read in sdp/. */
#include "session/session_priv.h"

/* A call of the WIC's: they are part of the offer where the operator wants it so. Their answer comes in a
 * reliable response (RFC 3312 5), so whoever acts must acknowledge it. */
static enum epc_err offer(struct transfer *x, msg_t *msg)
{
    if (!x->initial || !x->acts_reliably || x->ss->cfg->calls.preconditions != EPC_PRECONDITIONS_OFFER)
        return EPC_OK;
    x->s->preconditions = true;
    epc_iw_act_for_preconditions(x->s->iw, true);
    return epc_sip_add(msg, "Supported", "precondition");
}

enum epc_err precondition_request(struct transfer *x, msg_t *msg, struct epc_cause *cause)
{
    if (!x->s || x->method == sip_method_ack)
        return EPC_OK;
    if (x->from == EPC_LEG_WIC)
        return offer(x, msg);
    bool required = epc_sip_lists(msg, "Require", "precondition");
    bool act = x->ss->cfg->calls.preconditions != EPC_PRECONDITIONS_REFUSE;
    if (required && !act) {
        epc_cause_set(cause, 420, "RFC 3312 11", "Bad Extension");
        cause->unsupported = "precondition";
        return EPC_EPOLICY;
    }
    if (!act || (!required && !x->wants_preconditions))
        return EPC_OK;
    x->s->preconditions = true;
    epc_iw_act_for_preconditions(x->s->iw, true);
    return required ? epc_sip_unlist(msg, "Require", "precondition") : EPC_OK;
}
