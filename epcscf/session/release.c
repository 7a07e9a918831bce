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

void session_release(struct epc_session *s, enum release_side side, const struct epc_cause *cause,
                     const char *reason)
{
    char who[384];
    if (s->state == CALL_ENDING)
        return;
    bool confirmed = s->state == CALL_CONFIRMED;
    epc_log(EPC_LOG_INFO, "session", "event=release %s why=\"%s\"", session_log(s, who), cause->reason);
    epc_count(EPC_C_SESSIONS_RELEASED);
    call_event(s, CALL_EV_RELEASE);
    /* The end of a transfer must not free the call under our feet. */
    bool was_running = s->running;
    s->running = true;
    session_drop_jobs(s);
    struct transfer *next;
    for (struct transfer *x = s->transfers; x; x = next) {
        next = x->next;
        release_transfer(x, cause, reason);
    }
    if (confirmed) {
        dialog_send_bye(s, EPC_LEG_CORE, reason);
        if (side == RELEASE_BOTH)
            dialog_send_bye(s, EPC_LEG_WIC, reason);
    }
    s->running = was_running;
    session_check_end(s);
}
