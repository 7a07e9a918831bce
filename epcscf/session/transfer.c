/* A request on its way through: in on one leg, out on the other, its responses back. */
#include "session/session_priv.h"

#include <stdlib.h>
#include <string.h>

static void on_cancel(void *arg, struct epc_sip_in *in, const sip_t *cancel);

/* ---- life ------------------------------------------------------------------------------------- */

struct transfer *transfer_new(struct epc_sessions *ss, struct epc_session *s, struct epc_sip_in *in)
{
    struct transfer *x = calloc(1, sizeof *x);
    const sip_t *sip = epc_sip_in_sip(in);
    if (!x)
        return NULL;
    x->ss = ss;
    x->s = s;
    x->in = in;
    x->method = sip->sip_request->rq_method;
    x->from = epc_sip_in_leg(in);
    x->in_dialog = sip->sip_to->a_tag != NULL;
    struct transfer **list = s ? &s->transfers : &ss->loose;
    x->next = *list;
    x->prev = list;
    if (x->next)
        x->next->prev = &x->next;
    *list = x;
    if (x->method == sip_method_invite)
        epc_sip_in_on_cancel(in, on_cancel, x);
    return x;
}

static void transfer_free(void *obj)
{
    struct transfer *x = obj;
    free(x->called_party);
    free(x->icid);
    free(x->orig_ioi);
    free(x->offer_text);
    free(x->acceptable_sdp);
    free(x);
}

void transfer_end(struct transfer *x)
{
    struct epc_session *s = x->s;
    if (!x->prev)
        return;
    *x->prev = x->next;
    if (x->next)
        x->next->prev = x->prev;
    x->prev = NULL;
    epc_timer_stop(x->ss->shard, &x->timer_c);
    reliable_stop(x);
    epc_sip_out_detach(x->out);
    x->out = NULL;
    if (s && s->invite == x)
        s->invite = NULL;
    /* An ACK that never came: the offer of the 2xx must not block later ones. */
    if (s && !s->active)
        media_give_up(x);
    if (s && s->offering == x)
        s->offering = NULL;
    early_free(x);
    epc_sip_in_on_cancel(x->in, NULL, NULL);
    epc_sip_in_release(x->in);
    x->in = NULL;
    epc_shard_doom(x->ss->shard, transfer_free, x);
    if (s)
        session_check_end(s);
}

/* Was each 2xx of this INVITE acknowledged? Then none comes again once the dialog is over. */
bool transfer_acked(const struct transfer *x)
{
    return x->method == sip_method_invite && x->finished && !x->jobs && x->unacked <= 0 &&
           epc_sip_in_final_status(x->in) / 100 == 2;
}

static void note_ack(struct epc_session *s, enum epc_leg from, uint32_t cseq)
{
    for (struct transfer *x = s->transfers; x; x = x->next)
        if (x->method == sip_method_invite && x->from == from && epc_sip_in_sip(x->in)->sip_cseq->cs_seq == cseq)
            x->unacked--;
}

/* An INVITE's transfer lives on after its final response: repeated and forked 2xx come the same way. */
void transfer_check_end(struct transfer *x)
{
    if (x->prev && x->jobs == 0 && x->finished && (!x->out || x->method != sip_method_invite))
        transfer_end(x);
}

void transfer_refuse(struct transfer *x, const struct epc_cause *cause)
{
    if (x->finished)
        return;
    x->finished = true;
    if (x->acceptable_sdp && cause->sip_status == 488)
        epc_sip_in_refuse_sdp(x->in, cause, cause->warning ? cause->warning : "370 epcscf \"Insufficient bandwidth\"",
                              x->acceptable_sdp);
    else
        epc_sip_in_refuse(x->in, cause);
    epc_timer_stop(x->ss->shard, &x->timer_c);
    transfer_check_end(x);
}

/* ---- sending on --------------------------------------------------------------------------------- */

static void on_response(void *arg, struct epc_sip_out *out, int status, msg_t *resp);
static void on_timer_c(void *arg);

static void restart_timer_c(struct transfer *x)
{
    if (x->method == sip_method_invite && !x->finished)
        epc_timer_start(x->ss->shard, &x->timer_c, x->ss->cfg->sip.timer_c_ms, on_timer_c, x);
}

bool transfer_send(struct transfer *x, msg_t **msg)
{
    struct epc_sip_dest dest = {.leg = other_leg(x->from), .flow_id = x->s ? x->s->flow_id : epc_sip_in_flow(x->in)};
    /* As late as that: the policy function may have told it while the request waited. */
    enum epc_err err = x->from == EPC_LEG_WIC ? cross_access_info(x, *msg) : EPC_OK;
    uint32_t shift = x->s && x->in_dialog ? x->s->cseq_shift[dest.leg] : 0;
    if (err == EPC_OK)
        err = epc_sip_shift_cseq(*msg, shift);
    if (x->s && x->method == sip_method_invite) {
        x->s->invite_sent[dest.leg].cseq = epc_sip_in_sip(x->in)->sip_cseq->cs_seq;
        x->s->invite_sent[dest.leg].shift = shift;
    }
    if (err == EPC_OK)
        err = epc_sip_out_send(&x->out, x->ss->sip, &dest, msg, on_response, x);
    if (err == EPC_OK) {
        restart_timer_c(x);
        return true;
    }
    struct epc_cause cause;
    x->out = NULL;
    if (err == EPC_ENOENT && x->s && x->s->held)
        held_cause(&cause);
    else if (err == EPC_ENOENT)
        epc_cause_set(&cause, x->in_dialog ? 481 : 430, "RFC 5626 5.3.1", "connection to the WIC is gone");
    else if (err == EPC_EPROTO)
        epc_cause_set(&cause, 404, "RFC 3261 16.5", "no usable next hop");
    else
        epc_cause_set(&cause, 500, NULL, "%s", epc_err_name(err));
    transfer_refuse(x, &cause);
    return false;
}

/* RFC 3261 16.8: cancel, and let the far side's 487 (or the time-out that follows) end it. */
static void on_timer_c(void *arg)
{
    struct transfer *x = arg;
    epc_log(EPC_LOG_WARN, "session", "event=timer-c call=%.128s",
            epc_sip_in_sip(x->in)->sip_call_id->i_id);
    x->timed_out = true;
    if (x->out)
        epc_sip_out_cancel(x->out, "SIP;cause=408;text=\"No final answer in time\"");
}

static void on_cancel(void *arg, struct epc_sip_in *in, const sip_t *cancel)
{
    struct transfer *x = arg;
    struct epc_session *s = x->s;
    (void)in;
    (void)cancel;
    x->cancelled = true;
    if (x->out) {
        /* The far side's 487 (or a 200 that crossed) ends it. */
        epc_sip_out_cancel(x->out, "SIP;cause=487;text=\"Cancelled by the caller\"");
        return;
    }
    struct epc_cause cause;
    epc_cause_set(&cause, 487, "RFC 3261 9.2", "Request Terminated");
    if (s && x->initial) {
        session_release(s, RELEASE_BOTH, &cause, "SIP;cause=487");
        return;
    }
    transfer_refuse(x, &cause);
}

/* ---- responses ---------------------------------------------------------------------------------------- */

static void relay(struct transfer *x, msg_t **msg, int status)
{
    /* Its sender knows nothing of requests of our own that stood before it. */
    int64_t shift = (int64_t)epc_sip_in_sip(x->in)->sip_cseq->cs_seq - (int64_t)sip_object(*msg)->sip_cseq->cs_seq;
    if (x->s && shift && epc_sip_shift_cseq(*msg, shift) != EPC_OK)
        epc_log(EPC_LOG_ERROR, "session", "event=cseq-not-restored call=%.128s", x->s->call_id);
    cross_response(x, *msg, status);
    if (status >= 200) {
        x->finished = true;
        x->unacked += status < 300;
        epc_timer_stop(x->ss->shard, &x->timer_c);
    } else
        restart_timer_c(x);
    if (x->acts_reliably && x->from == EPC_LEG_CORE)
        reliable_forward(x, msg, status);
    else
        epc_sip_in_forward(x->in, msg);
}

/* A request of the core's in a dialog that its WIC's connection did not live to see answered. */
static bool cut_off(const struct transfer *x)
{
    return x->from == EPC_LEG_CORE && x->in_dialog && x->s && x->s->answered && x->ss->wss &&
           !epc_wss_flow(x->ss->wss, x->s->flow_id);
}

static void local_failure(struct transfer *x, int status)
{
    struct epc_cause cause = {0};
    if (status == 408 && x->cancelled)
        epc_cause_set(&cause, 487, "RFC 3261 9.1", "Request Terminated");
    else if (cut_off(x))
        held_cause(&cause);
    else if (status == 408)
        epc_cause_set(&cause, 408, "RFC 3261 16.7", "%s did not answer",
                      x->from == EPC_LEG_WIC ? "the core" : "the WIC");
    else
        epc_cause_set(&cause, status, "RFC 3261 16.9", "%s could not be reached",
                      x->from == EPC_LEG_WIC ? "the core" : "the WIC");
    epc_log(EPC_LOG_WARN, "session", "event=no-answer status=%d why=\"%s\" call=%.128s", status,
            cause.reason, epc_sip_in_sip(x->in)->sip_call_id->i_id);
    transfer_refuse(x, &cause);
}

/* Outside of a call there is no media: a session description has no business there, and a WIC's
 * (in the 200 to OPTIONS) would show the core what must stay at the edge. */
static void loose_response(struct transfer *x, int status, msg_t **resp)
{
    if (x->finished)
        return;
    if (!*resp) {
        local_failure(x, status);
        return;
    }
    if (epc_sip_sdp(sip_object(*resp)).p && epc_sip_remove_sdp(*resp) != EPC_OK) {
        local_failure(x, 500);
        return;
    }
    loose_answered(x, *resp, status);
    relay(x, resp, status);
    transfer_check_end(x);
}

static void on_response(void *arg, struct epc_sip_out *out, int status, msg_t *resp)
{
    struct transfer *x = arg;
    (void)out;
    if (status == 0) {
        x->out = NULL;
        if (!x->finished && x->s)
            session_queue(x->s, JOB_RESPONSE, x, NULL, 500, other_leg(x->from));
        else if (!x->finished)
            local_failure(x, 500);
        transfer_check_end(x);
        return;
    }
    if (!x->s) {
        loose_response(x, status, &resp);
        if (resp)
            msg_destroy(resp);
        return;
    }
    session_queue(x->s, JOB_RESPONSE, x, resp, status, other_leg(x->from));
}

static void response_refused(struct epc_session *s, struct job *j, const struct epc_cause *cause)
{
    struct transfer *x = j->x;
    char who[384], reason[192];
    snprintf(reason, sizeof reason, "SIP;cause=%d;text=\"%.100s\"", cause->sip_status, cause->reason);
    epc_log(EPC_LOG_WARN, "session", "event=answer-refused %s status=%d why=\"%s\"",
            session_log(s, who), cause->sip_status, cause->reason);
    if (x->method == sip_method_invite && j->status / 100 == 2)
        dialog_ack_and_bye(s, j->from, sip_object(j->msg), sip_object(j->msg)->sip_cseq->cs_seq,
                           x->initial, reason);
    else if (x->method == sip_method_invite && x->out)
        epc_sip_out_cancel(x->out, reason);
    transfer_refuse(x, cause);
    if (x->initial && !s->answered) {
        epc_count(EPC_C_SESSIONS_RELEASED);
        call_event(s, CALL_EV_REJECTED);
        session_job_done(s);
        return;
    }
    /* The far side has accepted what we cannot carry out: the call has no common media any more. */
    session_release(s, RELEASE_BOTH, cause, reason);
}

static void response_ready(struct epc_session *s, struct job *j, const struct epc_cause *cause)
{
    struct transfer *x = j->x;
    int status = j->status;
    if (cause) {
        response_refused(s, j, cause);
        return;
    }
    const sip_t *sip = sip_object(j->msg);
    if (x->finished && x->method == sip_method_invite && status / 100 == 2 &&
        epc_sip_in_final_status(x->in) / 100 != 2) { /* given up while the gateway was asked */
        dialog_ack_and_bye(s, j->from, sip, sip->sip_cseq->cs_seq, x->initial, "SIP;cause=487");
        session_job_done(s);
        return;
    }
    bool dialog = status > 100 && sip->sip_to->a_tag;
    reliable_acknowledge(x, j->early, j->msg);
    if (x->initial)
        dialog_from_response(s, sip, status);
    else if (status / 100 == 2)
        dialog_seen_target(s, j->from, x->method, sip);
    relay(x, &j->msg, status);
    if (x->initial && s->state != CALL_ENDING) {
        if (status / 100 == 2) {
            call_event(s, CALL_EV_ANSWERED);
            early_gate(s);
            session_follow_flow(s);
        }
        else if (status < 200 && dialog)
            call_event(s, CALL_EV_EARLY);
    }
    session_job_done(s);
}

static void response_rejected(struct epc_session *s, struct job *j)
{
    struct transfer *x = j->x;
    media_give_up(x);
    if (!j->msg)
        local_failure(x, j->status);
    else if (x->timed_out && j->status == 487)
        local_failure(x, 408); /* nobody above us has cancelled */
    else if (epc_sip_sdp(sip_object(j->msg)).p && epc_sip_remove_sdp(j->msg) != EPC_OK)
        local_failure(x, 500);
    else
        relay(x, &j->msg, j->status);
    if (x->initial)
        call_event(s, CALL_EV_REJECTED);
    session_job_done(s);
}

static bool may_carry_sdp(sip_method_t m)
{
    return m == sip_method_invite || m == sip_method_update || m == sip_method_prack ||
           m == sip_method_ack;
}

void job_response(struct epc_session *s, struct job *j)
{
    struct transfer *x = j->x;
    bool invite_2xx = x->method == sip_method_invite && j->status / 100 == 2;
    /* Late 2xx of an INVITE that we have refused or given up: nobody else will end that dialog. */
    if (invite_2xx && j->msg && x->finished && epc_sip_in_final_status(x->in) / 100 != 2) {
        dialog_ack_and_bye(s, j->from, sip_object(j->msg), sip_object(j->msg)->sip_cseq->cs_seq,
                           x->initial, "SIP;cause=487");
        session_job_done(s);
        return;
    }
    if (x->finished && (!invite_2xx || s->state == CALL_ENDING)) {
        session_job_done(s);
        return;
    }
    if (!j->msg || j->status >= 300) {
        response_rejected(s, j);
        return;
    }
    j->early = early_of(x, sip_object(j->msg)->sip_to->a_tag);
    if (!j->early || !reliable_expected(x, j->early, j->msg)) {
        session_job_done(s); /* it will be repeated, or the INVITE's own time-out ends it */
        return;
    }
    if (x->initial)
        early_authorise(s, j->early, j->msg);
    if (s->state == CALL_ENDING || !may_carry_sdp(x->method)) {
        if (epc_sip_sdp(sip_object(j->msg)).p && epc_sip_remove_sdp(j->msg) != EPC_OK) {
            local_failure(x, 500);
            session_job_done(s);
            return;
        }
        response_ready(s, j, NULL);
        return;
    }
    media_negotiate(s, j, response_ready);
}

/* ---- requests ------------------------------------------------------------------------------------------- */

/* The answer in a PRACK cannot be carried out: what the 1xx offered has no other one. */
static void prack_refused(struct epc_session *s, const struct epc_cause *cause)
{
    char reason[192];
    struct epc_cause why = *cause;
    snprintf(reason, sizeof reason, "SIP;cause=%d;text=\"%.100s\"", why.sip_status, why.reason);
    session_release(s, RELEASE_BOTH, &why, reason);
}

static void request_ready(struct epc_session *s, struct job *j, const struct epc_cause *cause)
{
    struct transfer *x = j->x;
    bool sent = false, bye = x->method == sip_method_bye;
    bool ends = bye && dialog_is_confirmed(s, x->from, sip_object(j->msg));
    if (cause) {
        char who[384];
        epc_log(EPC_LOG_WARN, "session", "event=offer-refused %s status=%d why=\"%s\"",
                session_log(s, who), cause->sip_status, cause->reason);
        transfer_refuse(x, cause);
        if (x->method == sip_method_prack && s->offering) {
            prack_refused(s, cause);
            return;
        }
    } else {
        /* finished: cancelled while the gateway was asked */
        sent = !x->finished && transfer_send(x, &j->msg);
        if (!sent)
            media_give_up(x);
    }
    if (x->initial)
        call_event(s, sent ? CALL_EV_SENT : CALL_EV_REJECTED);
    else if (ends)
        call_event(s, CALL_EV_BYE);
    session_job_done(s);
}

void job_request(struct epc_session *s, struct job *j)
{
    struct transfer *x = j->x;
    if (x->finished) {
        session_job_done(s);
        return;
    }
    if (s->state == CALL_ENDING) {
        struct epc_cause cause;
        epc_cause_set(&cause, 481, "RFC 3261 12.2.2", "the call is over");
        transfer_refuse(x, &cause);
        session_job_done(s);
        return;
    }
    early_seen_request(s, j);
    if (early_update_here(s, j) && !epc_sip_sdp(sip_object(j->msg)).p) {
        early_update_answer(x, NULL);
        session_job_done(s);
        return;
    }
    if (may_carry_sdp(x->method)) {
        media_negotiate(s, j, request_ready);
        return;
    }
    struct epc_cause cause;
    bool failed = epc_sip_sdp(sip_object(j->msg)).p && epc_sip_remove_sdp(j->msg) != EPC_OK;
    if (failed)
        epc_cause_set(&cause, 500, NULL, "body cannot be taken off");
    request_ready(s, j, failed ? &cause : NULL);
}

static void ack_ready(struct epc_session *s, struct job *j, const struct epc_cause *cause)
{
    struct epc_sip_dest dest = {.leg = other_leg(j->from), .flow_id = s->flow_id};
    if (cause) {
        /* An answer in an ACK cannot be refused: the call ends (RFC 3264 has no other way). */
        char reason[192];
        struct epc_cause why = *cause;
        snprintf(reason, sizeof reason, "SIP;cause=%d;text=\"%.100s\"", why.sip_status, why.reason);
        if (epc_sip_remove_sdp(j->msg) == EPC_OK)
            (void)!epc_sip_send_ack(s->ss->sip, &dest, &j->msg);
        session_release(s, RELEASE_BOTH, &why, reason);
        return;
    }
    /* It has its INVITE's number, whatever was sent since. */
    bool newest = sip_object(j->msg)->sip_cseq->cs_seq == s->invite_sent[dest.leg].cseq;
    enum epc_err err = epc_sip_shift_cseq(j->msg, newest ? s->invite_sent[dest.leg].shift : s->cseq_shift[dest.leg]);
    if (err == EPC_OK)
        err = epc_sip_send_ack(s->ss->sip, &dest, &j->msg);
    if (err != EPC_OK)
        epc_log(EPC_LOG_WARN, "session", "event=ack-not-sent call=%.128s why=\"%s\"", s->call_id,
                epc_err_name(err));
    session_job_done(s);
}

void job_ack(struct epc_session *s, struct job *j)
{
    bool from_wic = j->from == EPC_LEG_WIC;
    if (!s->answered) { /* without a 2xx there is nothing to acknowledge, and no route that we know */
        session_job_done(s);
        return;
    }
    note_ack(s, j->from, sip_object(j->msg)->sip_cseq->cs_seq);
    epc_sip_policy_apply(j->msg, from_wic ? EPC_DIR_WIC_REQ : EPC_DIR_CORE_REQ);
    if (!epc_sip_max_forwards(j->msg) ||
        (from_wic && s->core_routes &&
         epc_sip_set_routes(j->msg, (const char *const *)s->core_routes) != EPC_OK)) {
        session_job_done(s);
        return;
    }
    if (s->state == CALL_ENDING) {
        if (!epc_sip_sdp(sip_object(j->msg)).p || epc_sip_remove_sdp(j->msg) == EPC_OK)
            ack_ready(s, j, NULL);
        else
            session_job_done(s);
        return;
    }
    media_negotiate(s, j, ack_ready);
}
