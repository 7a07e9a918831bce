/* Offer and answer: SDP turned between the legs (sdp/), media at the gateway, and the policy
 * function's consent, in the order of TS 29.214 A.1: an answer waits until both have agreed.
 *
 *   offer in  -> gateway offer  -> offer out
 *   answer in -> gateway answer -> answer text -> policy request -> answer out
 *
 * The policy request needs the gateway's access address, which rtpengine tells only in its answer,
 * so the two run one after the other. */
#include "session/session_priv.h"

#include <stdlib.h>
#include <string.h>

static void finish(struct epc_session *s, const struct epc_cause *cause)
{
    struct job *j = s->active;
    media_done_fn *done = j->done;
    j->done = NULL;
    done(s, j, cause);
}

static void fail(struct epc_session *s, int status, const char *why)
{
    struct epc_cause cause;
    epc_cause_set(&cause, status, NULL, "%s", why);
    finish(s, &cause);
}

static enum epc_gw_side side_of(enum epc_leg leg)
{
    return leg == EPC_LEG_WIC ? EPC_GW_ACCESS : EPC_GW_CORE;
}

static enum epc_sdp_leg sdp_leg(enum epc_leg leg)
{
    return leg == EPC_LEG_WIC ? EPC_SDP_WIC : EPC_SDP_CORE;
}

/* ---- policy -------------------------------------------------------------------------------------- */

static void put_answer(struct epc_session *s);

/* A 2xx may wait without an answer of its own: see settles_call(). */
static void pass_answer(struct epc_session *s)
{
    if (s->active->answer)
        put_answer(s);
    else
        finish(s, NULL);
}

static void on_answer_policy(void *arg, const struct epc_policy_result *r)
{
    struct epc_session *s = arg;
    struct epc_cause cause = {0};
    if (!s->active)
        return;
    if (!policy_settle(s, r, &cause))
        finish(s, &cause);
    else
        pass_answer(s);
}

/* The message waits while the policy function is asked, if there is anything to ask. */
static void consent(struct epc_session *s)
{
    struct epc_cause cause = {0};
    policy_dialogue(s, s->active);
    enum epc_err err = policy_ask(s, false, on_answer_policy);
    if (err == EPC_OK)
        return;
    if (err == EPC_EAGAIN || policy_failed_here(s, &cause))
        pass_answer(s);
    else
        finish(s, &cause);
}

static void on_refresh_policy(void *arg, const struct epc_policy_result *r)
{
    struct epc_session *s = arg;
    struct epc_cause cause = {0};
    /* A running call keeps its old authorisation, whatever the answer (TS 29.214 4.4.2). */
    policy_settle(s, r, &cause);
    session_job_done(s);
}

void media_policy_refresh(struct epc_session *s, struct job *j)
{
    (void)j;
    if (s->state == CALL_ENDING || epc_iw_pending(s->iw) || policy_ask(s, false, on_refresh_policy) != EPC_OK)
        session_job_done(s);
}

/* ---- gateway events ---------------------------------------------------------------------------------- */

static const char *failure_name(enum epc_gw_failure f)
{
    switch (f) {
    case EPC_GW_FAIL_ICE:
        return "ICE failed";
    case EPC_GW_FAIL_DTLS:
        return "DTLS failed";
    case EPC_GW_FAIL_CONSENT:
        return "Consent expired";
    case EPC_GW_FAIL_BEARER:
        break;
    }
    return "Bearer lost";
}

static void on_gateway_event(void *arg, const struct epc_gw_event *ev)
{
    struct epc_session *s = arg;
    struct epc_cause cause;
    char reason[96];
    unsigned number;
    switch (ev->kind) {
    case EPC_GW_EV_LEARNED:
        number = epc_iw_media_number(s->iw, ev->stream);
        if (number < 1 || number > EPC_SDP_MAX_MEDIA)
            return;
        s->learned[number - 1] = ev->addr;
        if (s->answered)
            policy_refresh_later(s);
        break;
    case EPC_GW_EV_FAILED:
        if (!s->answered)
            return; /* the caller may begin its checks with the final answer only; it is told again */
        epc_cause_set(&cause, 580, "TS 23.334 6.2.17", "%s", failure_name(ev->failure));
        snprintf(reason, sizeof reason, "SIP;cause=580;text=\"%s\"", failure_name(ev->failure));
        session_release(s, RELEASE_BOTH, &cause, reason);
        break;
    case EPC_GW_EV_INACTIVE:
    case EPC_GW_EV_LOST:
        epc_cause_set(&cause, 503, "TS 23.334 6.2", "%s",
                      ev->kind == EPC_GW_EV_LOST ? "media lost at the gateway" : "no media");
        session_release(s, RELEASE_BOTH, &cause, ev->kind == EPC_GW_EV_LOST ? "SIP;cause=503;text=\"Media lost\""
                                                                            : "SIP;cause=503;text=\"No media\"");
        break;
    }
}

/* ---- offer --------------------------------------------------------------------------------------------- */

static bool put_sdp(struct job *j, struct epc_str text)
{
    return epc_sip_set_sdp(j->msg, text) == EPC_OK;
}

static bool put_offer(struct job *j, struct epc_buf *text)
{
    if (!put_sdp(j, (struct epc_str){text->p, text->n}))
        return false;
    if (j->kind != JOB_RESPONSE)
        return true;
    free(j->x->offer_text);
    j->x->offer_text = epc_str_dup((struct epc_str){text->p, text->n});
    j->x->offered = true;
    return j->x->offer_text != NULL;
}

static void on_offer_policy(void *arg, const struct epc_policy_result *r)
{
    struct epc_session *s = arg;
    struct epc_cause cause = {0};
    if (!s->active)
        return;
    if (policy_settle(s, r, &cause)) {
        finish(s, NULL);
        return;
    }
    media_rollback(s);
    finish(s, &cause);
}

/* An offer may be authorised before anybody is called (TS 29.214 A.1, a choice of the operator's). True:
 * the answer comes later. */
static bool ask_early(struct epc_session *s, struct epc_cause *cause)
{
    const struct job *j = s->active;
    if (!policy_wants_offer(s, j))
        return false;
    enum epc_err err = policy_ask(s, true, on_offer_policy);
    if (err == EPC_OK)
        return true;
    if (err != EPC_EAGAIN && policy_failed_here(s, cause))
        cause->sip_status = 0;
    return false;
}

/* @p local NULL: the gateway has it already. */
static void offer_known(struct epc_session *s, const struct epc_sdp *local)
{
    struct epc_cause cause = {0};
    struct epc_buf text = {0};
    if (epc_iw_offer_out(s->iw, local, &text, &cause) != EPC_OK || text.failed) {
        if (cause.sip_status == 0)
            epc_cause_set(&cause, 500, NULL, "offer cannot be made");
    } else if (!put_offer(s->active, &text))
        epc_cause_set(&cause, 500, NULL, "offer cannot be put into the message");
    epc_buf_free(&text);
    if (cause.sip_status == 0 && ask_early(s, &cause))
        return;
    if (cause.sip_status) {
        media_rollback(s);
        finish(s, &cause);
    } else
        finish(s, NULL);
}

static void on_offer_reserved(void *arg, enum epc_err err, struct epc_sdp *local, const struct epc_cause *gw_cause)
{
    struct epc_session *s = arg;
    if (s->active && err == EPC_OK)
        offer_known(s, local);
    else if (s->active) {
        struct epc_cause cause = *gw_cause;
        media_rollback(s);
        finish(s, &cause);
    }
    epc_sdp_free(local);
}

/* ---- ... that the WIC need not hear of (early.c) ----------------------------------------------------------- */

static void answer_here_known(struct epc_session *s, const struct epc_sdp *local, bool unchanged)
{
    struct epc_cause cause = {0};
    struct epc_buf text = {0};
    enum epc_err err = epc_iw_answer_out(s->iw, local, &text, &cause);
    char *sdp = epc_buf_take(&text, NULL);
    if (err == EPC_OK && sdp)
        early_update_answer(s->active->x, sdp);
    else if (cause.sip_status == 0)
        epc_cause_set(&cause, 500, NULL, "answer cannot be made");
    free(sdp);
    if (unchanged) { /* nothing new was agreed, and the gateway knows of nothing */
        epc_iw_rollback(s->iw);
        s->offering = NULL;
    } else if (cause.sip_status)
        media_rollback(s);
    else
        media_commit(s);
    finish(s, cause.sip_status ? &cause : NULL);
}

static void on_answered_here(void *arg, enum epc_err err, struct epc_sdp *local, const struct epc_cause *gw_cause)
{
    struct epc_session *s = arg;
    if (s->active && err == EPC_OK)
        answer_here_known(s, local, false);
    else if (s->active) {
        struct epc_cause cause = *gw_cause;
        media_rollback(s);
        finish(s, &cause);
    }
    epc_sdp_free(local);
}

/* The WIC's side stays as it is: its answer is what it said last. */
static void answer_here(struct epc_session *s, bool unchanged)
{
    struct epc_sdp *remote = NULL;
    struct epc_cause cause = {0};
    if (epc_iw_answer_for_wic(s->iw, &remote, &cause) != EPC_OK) {
        if (cause.sip_status == 0)
            epc_cause_set(&cause, 500, NULL, "no answer in the WIC's name");
        media_rollback(s);
        finish(s, &cause);
    } else if (unchanged)
        answer_here_known(s, NULL, true);
    else
        epc_gw_answer(s->gw, &(struct epc_gw_media){.remote = remote, .want = epc_iw_want(s->iw)}, on_answered_here, s);
    epc_sdp_free(remote);
}

static void on_reserved_here(void *arg, enum epc_err err, struct epc_sdp *local, const struct epc_cause *gw_cause)
{
    struct epc_session *s = arg;
    epc_sdp_free(local); /* what the WIC has already */
    if (s->active && err == EPC_OK)
        answer_here(s, false);
    else if (s->active) {
        struct epc_cause cause = *gw_cause;
        media_rollback(s);
        finish(s, &cause);
    }
}

/* Its sender is told what would be taken (TS 24.229 6.2). */
static void say_acceptable(struct epc_session *s, struct job *j, struct epc_cause *cause)
{
    struct epc_buf text = {0};
    if (!cause->warning)
        cause->warning = "399 epcscf \"Session description not acceptable\"";
    if (j->kind == JOB_REQUEST && !j->x->acceptable_sdp &&
        epc_iw_acceptable(&s->ss->iw_policy, sdp_leg(j->from), &text) == EPC_OK)
        j->x->acceptable_sdp = epc_buf_take(&text, NULL);
    epc_buf_free(&text);
}

static void negotiate_offer(struct epc_session *s, struct job *j, struct epc_str sdp)
{
    struct epc_sdp *remote = NULL;
    struct epc_cause cause = {0};
    bool unchanged = false, same_side = epc_iw_offerer(s->iw) == sdp_leg(j->from);
    bool glare = epc_iw_pending(s->iw) && !same_side;
    enum epc_err err = epc_iw_offer(s->iw, sdp_leg(j->from), sdp, &remote, &unchanged, &cause);
    if (err != EPC_OK) {
        epc_count(EPC_C_SDP_REFUSED);
        if (cause.sip_status == 488)
            say_acceptable(s, j, &cause);
        if (cause.sip_status == 0)
            epc_cause_set(&cause, glare ? 491 : 500, "RFC 3261 14.2", "%s", epc_err_name(err));
        finish(s, &cause);
        return;
    }
    s->offering = j->x;
    if (early_update_here(s, j) && s->gw) {
        if (unchanged)
            answer_here(s, true);
        else
            epc_gw_offer(s->gw, side_of(j->from), &(struct epc_gw_media){.remote = remote, .want = epc_iw_want(s->iw)},
                         on_reserved_here, s);
        epc_sdp_free(remote);
        return;
    }
    if (unchanged && same_side && s->gw) { /* a session refresh: the gateway is left alone */
        epc_sdp_free(remote);
        offer_known(s, NULL);
        return;
    }
    const struct epc_gw_ctx_opts gw_opts = {.call_id = s->call_id, .event = on_gateway_event, .arg = s,
                                            .emergency = s->emergency, .priority = s->emergency ? 15 : 0};
    if (!s->gw && epc_gw_ctx_create(&s->gw, s->ss->gw, &gw_opts) != EPC_OK) {
        epc_sdp_free(remote);
        media_rollback(s);
        fail(s, 500, "no gateway context");
        return;
    }
    early_gate(s);
    epc_gw_offer(s->gw, side_of(j->from), &(struct epc_gw_media){.remote = remote, .want = epc_iw_want(s->iw)},
                 on_offer_reserved, s);
    epc_sdp_free(remote);
}

/* ---- answer ---------------------------------------------------------------------------------------------- */

/* Final: nothing can replace this answer any more (RFC 3261 13.2.1, RFC 3262 5). */
static bool answer_is_final(const struct job *j)
{
    if (j->kind != JOB_RESPONSE)
        return true;
    bool made_reliable = j->x->acts_reliably && j->x->from == EPC_LEG_CORE;
    return j->status >= 200 || made_reliable || sip_object(j->msg)->sip_rseq;
}

static void put_answer(struct epc_session *s)
{
    struct job *j = s->active;
    if (!put_sdp(j, epc_str_c(j->answer))) {
        fail(s, 500, "answer cannot be put into the message");
        return;
    }
    char **keep = j->kind == JOB_RESPONSE ? &j->early->answer_text : j->kind == JOB_ACK ? &s->ack_text : NULL;
    if (keep) {
        free(*keep);
        *keep = j->answer;
        j->answer = NULL;
    }
    if (answer_is_final(j)) {
        if (j->kind == JOB_RESPONSE)
            j->early->final = true;
        media_commit(s);
    }
    early_gate(s);
    finish(s, NULL);
}

static void answer_known(struct epc_session *s, const struct epc_sdp *local)
{
    struct epc_cause cause = {0};
    struct epc_buf text = {0};
    enum epc_err err = epc_iw_answer_out(s->iw, local, &text, &cause);
    char *answer = epc_buf_take(&text, NULL);
    if (err != EPC_OK || !answer) {
        free(answer);
        if (cause.sip_status == 0)
            epc_cause_set(&cause, 500, NULL, "answer cannot be made");
        finish(s, &cause);
        return;
    }
    s->active->answer = answer;
    consent(s);
}

static void on_answer_configured(void *arg, enum epc_err err, struct epc_sdp *local,
                                 const struct epc_cause *cause)
{
    struct epc_session *s = arg;
    if (s->active) {
        if (err != EPC_OK)
            finish(s, cause);
        else
            answer_known(s, local);
    }
    epc_sdp_free(local);
}

/* While the call is being set up the caller may settle on any of the early dialogs. */
static bool keep_answer(struct epc_session *s, struct epc_str sdp)
{
    struct job *j = s->active;
    if (j->kind != JOB_RESPONSE || !j->x->initial || s->answered)
        return true;
    char *copy = epc_str_dup(sdp);
    if (!copy)
        return false;
    free(j->early->sdp);
    j->early->sdp = copy;
    s->at_gateway = j->early;
    return true;
}

static void negotiate_answer(struct epc_session *s, struct epc_str sdp)
{
    struct epc_sdp *remote = NULL;
    struct epc_cause cause = {0};
    bool unchanged = false;
    enum epc_err err = epc_iw_answer(s->iw, sdp, &remote, &unchanged, &cause);
    if (err == EPC_OK && !keep_answer(s, sdp))
        err = EPC_ENOMEM;
    if (err != EPC_OK) {
        epc_sdp_free(remote);
        epc_count(EPC_C_SDP_REFUSED);
        if (cause.sip_status == 0)
            epc_cause_set(&cause, 500, NULL, "%s", epc_err_name(err));
        finish(s, &cause);
        return;
    }
    if (unchanged)
        answer_known(s, NULL);
    else
        epc_gw_answer(s->gw, &(struct epc_gw_media){.remote = remote, .want = epc_iw_want(s->iw)},
                      on_answer_configured, s);
    epc_sdp_free(remote);
}

/* ---- entry -------------------------------------------------------------------------------------------------- */

/* Which SDP is the answer to the pending offer: that of the offer's own response, or, when a response
 * made the offer, that of the PRACK or ACK to it (RFC 6337 2.2). INVITE and UPDATE only ever offer. */
static bool is_answer(const struct epc_session *s, const struct job *j)
{
    const struct transfer *x = s->offering;
    if (!x || epc_iw_offerer(s->iw) == sdp_leg(j->from))
        return false;
    if (j->kind == JOB_RESPONSE)
        return j->x == x;
    if (j->kind == JOB_REQUEST)
        return x->offered && j->x->method == sip_method_prack;
    return x->offered &&
           sip_object(j->msg)->sip_cseq->cs_seq == epc_sip_in_sip(x->in)->sip_cseq->cs_seq;
}

static bool may_offer(const struct job *j)
{
    if (j->kind == JOB_RESPONSE)
        return j->x->method == sip_method_invite && !epc_sip_sdp(epc_sip_in_sip(j->x->in)).p;
    return j->kind == JOB_REQUEST;
}

/* The 2xx of a call whose answer has passed before: what was told on the way may not be the last word
 * (several early dialogs, TS 29.214 Annex A). */
static bool settles_call(const struct epc_session *s, const struct job *j)
{
    return j->kind == JOB_RESPONSE && j->x->initial && j->status / 100 == 2 && s->told && !s->answered;
}

/* A repeated message carries what its first copy did; SDP that is neither offer nor answer goes. */
static void repeat(struct epc_session *s, struct job *j, const char *text)
{
    early_gate(s); /* it may have said something new of early media */
    bool ok = text ? put_sdp(j, epc_str_c(text)) : epc_sip_remove_sdp(j->msg) == EPC_OK;
    if (ok && settles_call(s, j))
        consent(s);
    else if (ok)
        finish(s, NULL);
    else
        fail(s, 500, "SDP cannot be repeated");
}

/* A 2xx without SDP makes an earlier preview the answer; without one the offer stays unanswered. */
static void settle_without_sdp(struct epc_session *s, struct job *j)
{
    struct transfer *x = j->x;
    if (j->kind != JOB_RESPONSE || j->status < 200 || s->offering != x || x->offered)
        return;
    if (j->early->answer_text) {
        j->early->final = true;
        media_commit(s);
    } else
        media_rollback(s);
}

/* A WIC for which this node acknowledged the answer has seen it in an ordinary 1xx, which is a preview to
 * it: the 2xx must carry it (RFC 3261 13.2.1). */
static bool lacks_answer(const struct job *j)
{
    return j->kind == JOB_RESPONSE && j->x->acts_reliably && j->x->from == EPC_LEG_WIC && j->status / 100 == 2 &&
           j->early->answer_text;
}

static void without_sdp(struct epc_session *s, struct job *j)
{
    settle_without_sdp(s, j);
    early_gate(s);
    if (lacks_answer(j) && !put_sdp(j, epc_str_c(j->early->answer_text)))
        fail(s, 500, "answer cannot be put into the message");
    else if (settles_call(s, j))
        consent(s);
    else
        finish(s, NULL);
}

/* ---- several early dialogs ------------------------------------------------------------------------------------ */

/* Every early dialog answers the same offer. The gateway has one answer at a time, the newest; the caller
 * settles on a dialog with its 2xx, and that one's answer counts then. */
static bool of_another_dialog(const struct epc_session *s, const struct job *j, struct epc_str sdp)
{
    const struct early *e = j->early;
    if (j->kind != JOB_RESPONSE || !j->x->initial || j->x->offered || s->answered || !s->at_gateway || s->at_gateway == e)
        return false;
    return j->status / 100 == 2 ? sdp.p || e->sdp : sdp.p && !e->final;
}

static void answer_of_dialog(struct epc_session *s, struct job *j, struct epc_str sdp)
{
    bool first_offer = !epc_iw_pending(s->iw) || s->offering == j->x;
    char *kept = NULL;
    if (!first_offer && j->status < 200) { /* an offer in the other dialog is open: this one's turn is its 2xx */
        free(j->early->sdp);
        j->early->sdp = epc_str_dup(sdp);
        repeat(s, j, NULL);
        return;
    }
    if (!first_offer)
        media_rollback(s);
    if (!epc_iw_pending(s->iw) && epc_iw_reopen(s->iw) != EPC_OK) {
        fail(s, 500, "no offer that this dialog could answer");
        return;
    }
    if (epc_iw_offerer(s->iw) != sdp_leg(j->x->from)) { /* meanwhile the other dialog's callee made an offer */
        fail(s, 500, "no offer that this dialog could answer");
        return;
    }
    s->offering = j->x;
    if (!sdp.p || j->early->final) {
        kept = j->early->sdp ? strdup(j->early->sdp) : NULL;
        sdp = kept ? epc_str_c(kept) : sdp;
    }
    negotiate_answer(s, sdp);
    free(kept);
}

void media_negotiate(struct epc_session *s, struct job *j, media_done_fn *next)
{
    struct epc_str sdp = epc_sip_sdp(sip_object(j->msg));
    struct transfer *x = j->x;
    j->done = next;
    if (of_another_dialog(s, j, sdp))
        answer_of_dialog(s, j, sdp);
    else if (!sdp.p)
        without_sdp(s, j);
    else if (j->kind == JOB_RESPONSE && (j->early->final || x->offered))
        repeat(s, j, x->offered ? x->offer_text : j->early->answer_text);
    else if (is_answer(s, j))
        negotiate_answer(s, sdp);
    else if (may_offer(j))
        negotiate_offer(s, j, sdp);
    else
        repeat(s, j, j->kind == JOB_ACK ? s->ack_text : NULL);
}

void media_commit(struct epc_session *s)
{
    s->offering = NULL;
    epc_iw_commit(s->iw);
}

void media_give_up(struct transfer *x)
{
    if (x->s && x->s->offering == x)
        media_rollback(x->s);
}

void media_rollback(struct epc_session *s)
{
    enum epc_sdp_leg offerer;
    const struct epc_sdp *offer = NULL, *answer = NULL;
    s->offering = NULL;
    if (!epc_iw_pending(s->iw))
        return;
    epc_iw_rollback(s->iw);
    epc_iw_gateway_state(s->iw, &offerer, &offer, &answer);
    enum epc_sdp_leg answerer = offerer == EPC_SDP_WIC ? EPC_SDP_CORE : EPC_SDP_WIC;
    if (s->gw && offer && answer)
        epc_gw_restore(s->gw, offerer == EPC_SDP_WIC ? EPC_GW_ACCESS : EPC_GW_CORE,
                       &(struct epc_gw_media){.remote = offer, .want = epc_iw_committed_want(s->iw, answerer)},
                       &(struct epc_gw_media){.remote = answer, .want = epc_iw_committed_want(s->iw, offerer)});
    if (s->told && offer && answer) /* it may have heard of an answer that holds no more */
        policy_refresh_later(s);
}

void media_release(struct epc_session *s)
{
    epc_timer_stop(s->ss->shard, &s->grace);
    policy_close(s);
    epc_gw_release(s->gw);
    s->gw = NULL;
}
