/* A request comes in: may it pass, where does it belong, and on to the call's queue or to the other leg
 * (TS 24.229 5.2.6.3, 5.2.6.4). */
#include "session/session_priv.h"

#include <stdlib.h>
#include <string.h>

static void refuse(struct epc_sip_in *in, int status, const char *spec, const char *why)
{
    struct epc_cause cause;
    epc_cause_set(&cause, status, spec, "%s", why);
    epc_sip_in_refuse(in, &cause);
    epc_sip_in_release(in);
}

bool needs_call(sip_method_t m)
{
    return m == sip_method_invite || m == sip_method_bye || m == sip_method_prack ||
           m == sip_method_update;
}

/* Edit and send on, or hand to the call's queue. Takes over @p x. */
static void pass_on(struct transfer *x, const struct epc_binding *b)
{
    struct epc_cause cause = {0};
    msg_t *msg = epc_sip_in_dup(x->in);
    if (!msg) {
        epc_cause_set(&cause, 500, NULL, "out of memory");
        goto refused;
    }
    if (!cross_request(x, msg, b, &cause))
        goto refused;
    if (x->s) {
        session_queue(x->s, JOB_REQUEST, x, msg, 0, x->from);
        return;
    }
    if (epc_sip_sdp(sip_object(msg)).p && epc_sip_remove_sdp(msg) != EPC_OK) {
        epc_cause_set(&cause, 500, NULL, "body cannot be taken off");
        goto refused;
    }
    transfer_send(x, &msg);
    if (msg)
        msg_destroy(msg);
    return;
refused:
    epc_log(EPC_LOG_INFO, "session", "event=request-refused method=%s status=%d why=\"%s\"",
            epc_sip_in_sip(x->in)->sip_request->rq_method_name, cause.sip_status, cause.reason);
    if (msg)
        msg_destroy(msg);
    struct epc_session *s = x->s;
    bool initial = x->initial;
    transfer_refuse(x, &cause);
    if (s && initial) {
        call_event(s, CALL_EV_REJECTED);
        session_check_end(s);
    }
}

void initial_request(struct epc_sessions *ss, struct epc_sip_in *in, const struct epc_binding *b)
{
    const sip_t *sip = epc_sip_in_sip(in);
    struct epc_session *s = NULL;
    bool invite = sip->sip_request->rq_method == sip_method_invite;
    if (invite) {
        s = session_find(ss, epc_sip_in_flow(in), epc_sip_in_leg(in), sip);
        if (s && s->state != CALL_ENDING) {
            refuse(in, 482, "RFC 3261 8.2.2.2", "Merged Request");
            return;
        }
        s = session_new(ss, in);
        if (!s) {
            refuse(in, 500, NULL, "out of memory");
            return;
        }
    }
    struct transfer *x = transfer_new(ss, s, in);
    if (!x) {
        refuse(in, 500, NULL, "out of memory");
        if (s) {
            call_event(s, CALL_EV_REJECTED);
            session_check_end(s);
        }
        return;
    }
    char urn[EPC_EMERGENCY_URN_LEN];
    x->initial = invite;
    x->emergency = x->from == EPC_LEG_WIC && emergency_urn(ss, sip, urn);
    if (s) {
        s->invite = x;
        s->emergency = x->emergency;
    }
    pass_on(x, b);
}

struct waiting {
    struct epc_sessions *ss;
    struct epc_sip_in *in;
};

static void dialog_request(struct epc_sessions *ss, struct epc_sip_in *in);

static void on_checked(void *arg, enum epc_err err, const struct epc_binding *b,
                       const struct epc_cause *cause, const char *www_authenticate)
{
    struct waiting w = *(struct waiting *)arg;
    free(arg);
    if (err == EPC_OK && b) {
        if (epc_sip_in_sip(w.in)->sip_to->a_tag)
            dialog_request(w.ss, w.in);
        else
            initial_request(w.ss, w.in, b);
        return;
    }
    char extra[1024];
    epc_log(EPC_LOG_INFO, "session", "event=request-refused method=%s status=%d why=\"%s\"",
            epc_sip_in_sip(w.in)->sip_request->rq_method_name, cause->sip_status, cause->reason);
    snprintf(extra, sizeof extra, "WWW-Authenticate: %s\r\n", www_authenticate);
    if (*www_authenticate)
        epc_sip_in_reply(w.in, cause->sip_status, NULL, extra);
    else
        epc_sip_in_refuse(w.in, cause);
    epc_sip_in_release(w.in);
}

/* Does what the WIC wrote lead to a neighbour of ours? An empty route set takes its Route away. */
static bool trusted_hop(const struct epc_sessions *ss, const struct epc_session *s, const sip_t *sip)
{
    bool own_route = s && s->core_routes;
    const url_t *next = sip->sip_route && !own_route ? sip->sip_route->r_url : sip->sip_request->rq_url;
    for (size_t i = 0; next->url_host && i < ss->cfg->sip.n_trusted; i++)
        if (strcmp(next->url_host, ss->cfg->sip.trusted[i]) == 0)
            return true;
    return false;
}

/* May this request of a WIC be in the dialog that it names (TS 24.229 5.2.6.3.5)? */
static bool dialog_allowed(struct epc_sessions *ss, const struct epc_session *s, struct epc_sip_in *in)
{
    const sip_t *sip = epc_sip_in_sip(in);
    if (epc_sip_in_leg(in) != EPC_LEG_WIC)
        return true;
    if (ss->cfg->calls.strict_routes && !epc_sip_in_routed(in)) {
        refuse(in, 403, "TS 24.229 5.2.6.3.5", "Route without this node's entry");
        return false;
    }
    /* A dialog without a route that we know: where it goes is the WIC's word only, so it may lead into the
     * core and nowhere else. */
    bool routed = s ? s->core_routes && s->core_routes[0] : loose_routes(ss, in) != NULL;
    if (routed || trusted_hop(ss, s, sip))
        return true;
    refuse(in, 403, "TS 24.229 5.2.6.3", "route does not lead to the core");
    return false;
}

static void dialog_request(struct epc_sessions *ss, struct epc_sip_in *in)
{
    const sip_t *sip = epc_sip_in_sip(in);
    enum epc_leg from = epc_sip_in_leg(in);
    struct epc_session *s = session_find(ss, epc_sip_in_flow(in), from, sip);
    bool needs = needs_call(sip->sip_request->rq_method);
    if (needs && (!s || s->state == CALL_ENDING)) {
        refuse(in, 481, "RFC 3261 12.2.2", "Call/Transaction Does Not Exist");
        return;
    }
    if (s && s->state == CALL_ENDING)
        s = NULL; /* a subscription that REFER made outlives the call (RFC 5057 4.2) */
    if (!dialog_allowed(ss, s, in) || (s && reliable_prack(s, in)))
        return;
    struct transfer *x = transfer_new(ss, s, in);
    if (!x) {
        refuse(in, 500, NULL, "out of memory");
        return;
    }
    if (ss->cfg->calls.response_source && from == EPC_LEG_CORE)
        epc_sip_in_response_source(in, s && s->originating ? "<urn:3gpp:fe:p-cscf.orig>" : "<urn:3gpp:fe:p-cscf.term>");
    if (s)
        dialog_seen_request(s, from, sip);
    pass_on(x, NULL);
}

/* A WIC's request is checked before it may pass: now or, where its token must be looked at, later. */
static void check(struct epc_sessions *ss, struct epc_sip_in *in)
{
    struct waiting *w = malloc(sizeof *w);
    if (!w) {
        refuse(in, 500, NULL, "out of memory");
        return;
    }
    *w = (struct waiting){ss, in};
    epc_reg_check(ss->reg, in, on_checked, w);
}

static bool has_token(const struct epc_sip_in *in)
{
    static const char *const names[] = {"Authorization", "Proxy-Authorization"};
    for (size_t k = 0; k < EPC_ARRAY_LEN(names); k++)
        for (unsigned i = 0;; i++) {
            struct epc_str v = epc_str_trim(epc_sip_in_get(in, names[k], i));
            if (!v.p)
                break;
            if (epc_str_ieqc(epc_str_cut(&v, ' '), "Bearer"))
                return true;
        }
    return false;
}

static void from_core(struct epc_sessions *ss, struct epc_sip_in *in)
{
    const struct epc_binding *b = epc_reg_by_flow(ss->reg, epc_sip_in_flow(in));
    if (ss->cfg->calls.response_source)
        epc_sip_in_response_source(in, "<urn:3gpp:fe:p-cscf.term>");
    if (!b || b->over)
        refuse(in, 480, "TS 24.229 5.2.6.4", "user is not registered here");
    else if (signalling_lost(ss, b->flow_id))
        refuse(in, 500, "TS 24.229 5.2.6.4.3", "signalling path of the user is lost");
    else
        initial_request(ss, in, b);
}

void epc_sessions_request(struct epc_sessions *ss, struct epc_sip_in *in)
{
    const sip_t *sip = epc_sip_in_sip(in);
    sip_method_t m = sip->sip_request->rq_method;
    bool from_wic = epc_sip_in_leg(in) == EPC_LEG_WIC;
    if (from_wic)
        signalling_heard(ss, epc_sip_in_flow(in));
    if (!sip->sip_to->a_tag && needs_call(m) && m != sip_method_invite)
        refuse(in, 481, "RFC 3261 12.2.2", "Call/Transaction Does Not Exist");
    else if (loose_trickle(ss, in))
        return;
    /* Whoever hangs up shall not fail for a token. */
    else if (sip->sip_to->a_tag && from_wic && m != sip_method_bye && ss->cfg->calls.in_dialog_tokens && has_token(in))
        check(ss, in);
    else if (sip->sip_to->a_tag)
        dialog_request(ss, in);
    else if (!from_wic)
        from_core(ss, in);
    else if (!emergency_taken(ss, in))
        check(ss, in);
}

void epc_sessions_ack(struct epc_sessions *ss, enum epc_leg from, uint64_t flow_id, msg_t *msg)
{
    struct epc_session *s = session_find(ss, flow_id, from, sip_object(msg));
    if (!s) {
        epc_count(from == EPC_LEG_WIC ? EPC_C_SIP_WIC_STRAY : EPC_C_SIP_CORE_STRAY);
        msg_destroy(msg);
        return;
    }
    session_queue(s, JOB_ACK, NULL, msg, 0, from);
}
