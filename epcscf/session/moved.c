/* Calls whose connection is lost: held while the registration is, and gone on with when the same
 * instance registers on another connection (RFC 5626 4.4; TS 24.229 5.2.8.1 where nobody comes back). */
#include "session/session_priv.h"

#include <stdlib.h>

enum { RETRY_S = 5 };

static const char lost_reason[] = "SIP;cause=503;text=\"Connection to the user lost\"";

/* Not 408, 480 or 481: those would end the dialog at the other side (RFC 5057 5.1). */
void held_cause(struct epc_cause *cause)
{
    epc_cause_set(cause, 500, "RFC 3261 21.5.1", "connection to the WIC is interrupted");
    cause->retry_after_s = RETRY_S;
}

void session_set_held(struct epc_session *s, bool held)
{
    if (s->held != held)
        epc_count_add(EPC_C_SESSIONS_HELD, held ? 1 : -1);
    s->held = held;
}

/* ---- the connection is gone -------------------------------------------------------------------- */

static void hold(struct epc_session *s)
{
    struct epc_cause cause;
    char who[384];
    epc_log(EPC_LOG_INFO, "session", "event=held %s flow=%llx", session_log(s, who),
            (unsigned long long)s->flow_id);
    session_set_held(s, true);
    held_cause(&cause);
    session_end_transfers(s, &cause, lost_reason);
}

static void flow_closed(struct epc_session *s, void *arg)
{
    const bool *comes_back = arg;
    struct epc_cause cause;
    if (*comes_back && s->state == CALL_CONFIRMED) {
        hold(s);
        return;
    }
    epc_cause_set(&cause, 480, "RFC 5626 5.3.1", "connection to the WIC lost");
    session_release(s, RELEASE_CORE_ONLY, &cause, lost_reason);
}

void epc_sessions_flow_closed(struct epc_sessions *ss, uint64_t flow_id)
{
    bool comes_back =
        ss->cfg->registration.flow_loss_grace_ms > 0 && epc_reg_by_flow(ss->reg, flow_id) != NULL;
    sessions_of_flow(ss, flow_id, flow_closed, &comes_back);
}

static void registration_gone(struct epc_session *s, void *arg)
{
    const struct epc_cause *cause = arg;
    if (s->emergency && !s->held) /* goes on as long as its connection (TS 24.229 5.2.10.1) */
        return;
    if (!s->held) {
        session_release(s, RELEASE_BOTH, cause, "SIP;cause=480;text=\"Registration ended\"");
        return;
    }
    struct epc_cause lost;
    epc_cause_set(&lost, 503, "TS 24.229 5.2.8.1", "the WIC has not come back");
    s->bye_due = false;
    session_release(s, RELEASE_CORE_ONLY, &lost, lost_reason);
    session_set_held(s, false);
    session_check_end(s);
}

void epc_sessions_registration_gone(struct epc_sessions *ss, uint64_t flow_id, const char *why)
{
    struct epc_cause cause;
    epc_cause_set(&cause, 480, "TS 24.229 5.2.8", "registration ended: %s", why);
    sessions_of_flow(ss, flow_id, registration_gone, &cause);
    signalling_end(ss, flow_id);
    loose_flow_gone(ss, flow_id);
}

/* ---- the other side, meanwhile ------------------------------------------------------------------ */

static void refuse(struct epc_sip_in *in, const struct epc_cause *cause)
{
    epc_sip_in_refuse(in, cause);
    epc_sip_in_release(in);
}

/* The other side hangs up: answered here, and the WIC is told if it comes back. */
static void far_side_hangs_up(struct epc_session *s, struct epc_sip_in *in)
{
    struct epc_cause cause;
    epc_cause_set(&cause, 487, "TS 24.229 5.2.8", "the other side has hung up");
    epc_sip_in_reply(in, 200, NULL, NULL);
    epc_sip_in_release(in);
    session_release(s, RELEASE_WIC_ONLY, &cause, "SIP;cause=487");
}

void epc_sessions_lost(struct epc_sessions *ss, struct epc_sip_in *in)
{
    const sip_t *sip = epc_sip_in_sip(in);
    uint64_t flow_id = epc_sip_in_flow(in);
    sip_method_t m = sip->sip_request->rq_method;
    struct epc_session *s = session_find(ss, flow_id, EPC_LEG_CORE, sip);
    struct epc_cause cause;
    bool waits = s ? s->held && s->state != CALL_ENDING
                   : !needs_call(m) && epc_reg_by_flow(ss->reg, flow_id);
    if (!waits || (m == sip_method_bye && !dialog_is_confirmed(s, EPC_LEG_CORE, sip))) {
        epc_cause_set(&cause, 481, "RFC 3261 12.2.2", "Call/Transaction Does Not Exist");
        refuse(in, &cause);
        return;
    }
    if (s)
        dialog_seen_request(s, EPC_LEG_CORE, sip);
    if (m == sip_method_bye) {
        far_side_hangs_up(s, in);
        return;
    }
    held_cause(&cause);
    refuse(in, &cause);
}

/* ---- the WIC is back ------------------------------------------------------------------------------ */

static void moved(struct epc_session *s, void *arg)
{
    const uint64_t *to = arg;
    char who[384];
    /* What is still being set up hangs on a transaction of the old connection; it follows when it has
     * been answered. */
    if (s->state != CALL_CONFIRMED && !s->bye_due)
        return;
    if (!session_to_flow(s, *to)) {
        struct epc_cause cause;
        epc_cause_set(&cause, 500, NULL, "out of memory");
        s->bye_due = false;
        session_release(s, RELEASE_CORE_ONLY, &cause, lost_reason);
        session_check_end(s);
        return;
    }
    session_set_held(s, false);
    epc_count(EPC_C_SESSIONS_REBOUND);
    epc_log(EPC_LOG_INFO, "session", "event=moved %s flow=%llx", session_log(s, who),
            (unsigned long long)s->flow_id);
    if (!s->bye_due) {
        /* Perhaps from another address: then the policy function must know it by that one. */
        policy_refresh_later(s);
        return;
    }
    s->bye_due = false;
    dialog_send_bye(s, EPC_LEG_WIC, "SIP;cause=487;text=\"Ended while the connection was lost\"");
    session_check_end(s);
}

void epc_sessions_flow_moved(struct epc_sessions *ss, uint64_t old_flow_id, uint64_t new_flow_id)
{
    if (old_flow_id == new_flow_id)
        return;
    signalling_moved(ss, old_flow_id, new_flow_id);
    loose_flow_moved(ss, old_flow_id, new_flow_id);
    sessions_of_flow(ss, old_flow_id, moved, &new_flow_id);
}

void session_follow_flow(struct epc_session *s)
{
    uint64_t now = epc_sip_flow_now(s->ss->sip, s->flow_id);
    if (now != s->flow_id)
        moved(s, &now);
}
