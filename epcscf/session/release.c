/* Release of a call by the eP-CSCF itself (TS 24.229 5.2.8). */
#include "session/session_priv.h"

static void release_transfer(struct transfer *x, const struct epc_cause *cause, const char *reason)
{
    if (x->finished) {
        transfer_check_end(x);
        return;
    }
    if (x->out && x->method == sip_method_invite)
        epc_sip_out_cancel(x->out, reason);
    transfer_refuse(x, cause);
}

void session_end_transfers(struct epc_session *s, const struct epc_cause *cause, const char *reason)
{
    struct transfer *next;
    /* The end of a transfer must not free the call under our feet. */
    bool was_running = s->running;
    s->running = true;
    for (struct transfer *x = s->transfers; x; x = next) {
        next = x->next;
        release_transfer(x, cause, reason);
    }
    s->running = was_running;
    if (!was_running)
        session_run(s); /* ends the call, if nothing is left of it */
}

void session_release(struct epc_session *s, enum release_side side, const struct epc_cause *cause,
                     const char *reason)
{
    char who[384];
    if (s->state == CALL_ENDING)
        return;
    bool confirmed = s->state == CALL_CONFIRMED;
    epc_log(EPC_LOG_INFO, "session", "event=release %s why=\"%s\"", session_log(s, who), cause->reason);
    epc_count(EPC_C_SESSIONS_RELEASED);
    policy_note(s, "call released: %s", cause->reason);
    call_event(s, CALL_EV_RELEASE);
    bool was_running = s->running;
    s->running = true; /* as in session_end_transfers() */
    session_drop_jobs(s);
    session_end_transfers(s, cause, reason);
    if (confirmed && side != RELEASE_WIC_ONLY)
        dialog_send_bye(s, EPC_LEG_CORE, reason);
    if (confirmed && side != RELEASE_CORE_ONLY) {
        if (s->held)
            s->bye_due = true; /* when it comes back */
        else
            dialog_send_bye(s, EPC_LEG_WIC, reason);
    }
    s->running = was_running;
    session_check_end(s);
}
