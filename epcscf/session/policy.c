/* What a call asks the policy function, and what that function says by itself.
 * When to ask: TS 29.214 4.4.1, 4.4.2 and A.1; what a refusal means: TS 24.229 5.2.7.2; pushes: 4.4.6. */
#include "session/session_priv.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void on_event(void *arg, const struct epc_policy_event *ev);

/* ---- asking ------------------------------------------------------------------------------------------ */

/* "urn:service:sos.police" as Service-URN; NULL: no emergency. */
static const char *service_urn(const struct epc_session *s)
{
    static const char prefix[] = "urn:service:";
    const char *to = s->requested;
    if (!to || strncasecmp(to, prefix, sizeof prefix - 1) != 0)
        return NULL;
    to += sizeof prefix - 1;
    return strncasecmp(to, "sos", 3) == 0 ? to : NULL;
}

static enum epc_err open_session(struct epc_session *s, const struct epc_addr *ue)
{
    const struct epc_binding *b = epc_reg_by_flow(s->ss->reg, s->flow_id);
    struct epc_policy_open o = {.shard = s->ss->shard,
                                .impu = s->impu ? s->impu : "",
                                .impi = b ? b->impi : NULL,
                                .ue = ue,
                                .icid = s->icid,
                                .icsi = s->icsi,
                                .service_urn = service_urn(s),
                                /* No parties: they belong to volume-based charging (feature VBC), which
                                 * is not offered. */
                                .mps = s->mps,
                                .reservation_priority = -1,
                                .want_access_info = s->ss->cfg->policy.access_info,
                                .trace_key = s->call_id,
                                .on_event = on_event,
                                .arg = s};
    enum epc_err err = s->ss->policy->open(s->ss->policy, &o, &s->policy);
    if (err == EPC_OK)
        s->ue = *ue;
    return err;
}

void policy_close(struct epc_session *s)
{
    if (s->policy)
        s->ss->policy->close(s->policy);
    s->policy = NULL;
    epc_service_info_free(s->told);
    epc_service_info_free(s->asked);
    s->told = s->asked = NULL;
    s->lost_components = s->unpaid_components = 0;
    s->tell_again = false;
}

static void forget_told(struct epc_session *s)
{
    epc_service_info_free(s->told);
    s->told = NULL;
}

static enum epc_ice_state ice_state(enum epc_gw_ice ice)
{
    return ice == EPC_GW_ICE_CONNECTED  ? EPC_ICE_CONNECTED
           : ice == EPC_GW_ICE_CHECKING ? EPC_ICE_CHECKING
                                        : EPC_ICE_NEW;
}

/* The gateway's part of the WebRTC information, and who vouches for the WIC. */
static void gateway_facts(struct epc_session *s, struct epc_flow *flow, struct epc_policy_gateway *g)
{
    const struct epc_binding *b = epc_reg_by_flow(s->ss->reg, s->flow_id);
    const struct epc_cfg_origin *origin = epc_flow_origin(flow);
    const char *wwsf = b && b->wwsf ? b->wwsf : origin ? origin->wwsf : NULL;
    struct epc_gw_view v = {.ice_mode = -1};
    *g = (struct epc_policy_gateway){.ice_generation = s->ice_generation};
    if (s->gw)
        epc_gw_ctx_view(s->gw, &v);
    snprintf(g->session.agw_identity, sizeof g->session.agw_identity, "%s", v.gateway);
    snprintf(g->session.agw_context, sizeof g->session.agw_context, "%s", v.context);
    snprintf(g->session.client_origin, sizeof g->session.client_origin, "%s", wwsf ? wwsf : "");
    g->session.ice_mode = v.ice_mode;
    for (size_t i = 0; i < v.n_streams; i++) {
        unsigned number = epc_iw_media_number(s->iw, i);
        if (number < 1 || number > EPC_SDP_MAX_MEDIA)
            continue;
        g->media[number - 1].core = v.stream[i].core;
        g->media[number - 1].ice_state = ice_state(v.stream[i].ice);
        g->media[number - 1].srtp_profile = v.stream[i].srtp_profile;
        g->media[number - 1].transcoded = epc_iw_transcoded(s->iw, i);
        if (g->n_media < number)
            g->n_media = number;
    }
}

/* A restart of ICE by the WIC shows in its ufrag (RFC 8839 4.4.1.1.1). */
static void follow_ice(struct epc_session *s, const struct epc_sdp *up)
{
    char now[sizeof s->ice_ufrag] = "";
    for (size_t i = 0; up && i < up->n_media && !now[0]; i++)
        if (up->media[i].port && up->media[i].ice_ufrag.n && up->media[i].ice_ufrag.n < sizeof now)
            memcpy(now, up->media[i].ice_ufrag.p, up->media[i].ice_ufrag.n);
    if (!now[0] || strcmp(now, s->ice_ufrag) == 0)
        return;
    /* Where the WIC was seen stays: the gateway tells when that is somewhere else. */
    if (s->ice_ufrag[0])
        s->ice_generation++;
    strcpy(s->ice_ufrag, now);
}

/* Another address of the UE cannot become part of an Rx session that stands. */
static enum epc_err follow_ue(struct epc_session *s, const struct epc_addr *ue)
{
    if (!s->policy || epc_addr_same_ip(&s->ue, ue))
        return EPC_OK;
    enum epc_err err = s->ss->policy->rebind(s->policy, ue);
    if (err != EPC_OK)
        return err;
    s->ue = *ue;
    memset(s->learned, 0, sizeof s->learned); /* seen at the old place */
    forget_told(s);
    return EPC_OK;
}

static enum epc_err derive(struct epc_session *s, struct epc_flow *flow, bool preliminary,
                           struct epc_service_info **out)
{
    struct epc_policy_gateway gateway;
    struct epc_policy_input in = {.ue = epc_flow_peer(flow),
                                  .learned = s->learned,
                                  .n_learned = EPC_ARRAY_LEN(s->learned),
                                  .gateway = &gateway,
                                  .several_dialogues = s->several_dialogues,
                                  .explain = s->ss->cfg->policy.history_sessions > 0,
                                  .cfg = &s->ss->cfg->policy,
                                  .previous = s->told};
    epc_iw_access(s->iw, &in.uplink, &in.downlink, &in.uplink_is_offer);
    if (preliminary && in.uplink_is_offer)
        in.downlink = NULL;
    else if (preliminary)
        in.uplink = NULL;
    else if (!in.uplink || !in.downlink)
        return EPC_EAGAIN;
    if (!in.uplink && !in.downlink)
        return EPC_EAGAIN;
    follow_ice(s, in.uplink);
    gateway_facts(s, flow, &gateway);
    enum epc_err err = epc_policy_service_info(&in, out);
    if (err == EPC_OK) {
        (*out)->several_dialogues = s->several_dialogues;
        (*out)->preliminary = preliminary;
    }
    return err;
}

/* Early dialogs share the Rx session: what any of them needs is asked for (TS 29.214 4.4.1, Annex A). */
static enum epc_err add_other_dialogues(struct epc_service_info **now, const struct epc_service_info *told)
{
    struct epc_service_info *all = NULL, *n = *now;
    size_t kept = 0;
    enum epc_err err = epc_service_info_diff(NULL, told, &all);
    for (size_t i = 0; err == EPC_OK && i < n->n_components; i++) {
        struct epc_media_component *c = &n->component[i];
        if (c->status == EPC_FLOW_REMOVED) /* another dialogue has it still; it owns nothing */
            continue;
        for (size_t k = 0; k < told->n_components; k++) {
            const struct epc_media_component *o = &told->component[k];
            if (o->number != c->number || o->status == EPC_FLOW_REMOVED)
                continue;
            c->max_ul_bps = c->max_ul_bps > o->max_ul_bps ? c->max_ul_bps : o->max_ul_bps;
            c->max_dl_bps = c->max_dl_bps > o->max_dl_bps ? c->max_dl_bps : o->max_dl_bps;
            if (o->status == EPC_FLOW_ENABLED)
                c->status = EPC_FLOW_ENABLED;
        }
        n->component[kept++] = *c;
    }
    if (err == EPC_OK) {
        n->n_components = kept;
        err = epc_service_info_merge(&all, n);
    }
    if (err != EPC_OK) {
        epc_service_info_free(all);
        return err;
    }
    epc_service_info_free(n);
    *now = all;
    return EPC_OK;
}

/* Is there more to say than which components differ? */
static bool session_differs(const struct epc_session *s)
{
    return s->tell_again || (s->told && (s->told->several_dialogues != s->asked->several_dialogues ||
                                         s->told->preliminary != s->asked->preliminary));
}

enum epc_err policy_ask(struct epc_session *s, bool preliminary, epc_policy_done_fn *done)
{
    struct epc_service_info *delta = NULL;
    struct epc_flow *flow = s->ss->wss ? epc_wss_flow(s->ss->wss, s->flow_id) : NULL;
    if (!s->ss->policy)
        return EPC_EAGAIN;
    if (!flow)
        return EPC_ENOENT;
    const struct epc_addr *ue = epc_flow_peer(flow);
    s->policy_mode = epc_policy_mode_for(&s->ss->cfg->policy, ue);
    if (s->policy_mode == EPC_POLICY_OFF) {
        policy_close(s); /* where the UE was before it may have been wanted */
        return EPC_EAGAIN;
    }
    epc_service_info_free(s->asked);
    s->asked = NULL;
    enum epc_err err = follow_ue(s, ue);
    if (err == EPC_OK)
        err = derive(s, flow, preliminary, &s->asked);
    if (err == EPC_OK && s->several_dialogues && s->told)
        err = add_other_dialogues(&s->asked, s->told);
    if (err == EPC_OK)
        err = epc_service_info_diff(s->told, s->asked, &delta);
    if (err == EPC_OK && delta->n_components == 0 && !session_differs(s))
        err = EPC_EAGAIN;
    if (err == EPC_OK && !s->policy)
        err = open_session(s, ue);
    if (err == EPC_OK)
        err = s->ss->policy->request(s->policy, &delta, done, s);
    epc_service_info_free(delta);
    if (err == EPC_OK)
        s->tell_again = false;
    if (err != EPC_OK) {
        epc_service_info_free(s->asked);
        s->asked = NULL;
    }
    return err;
}

/* ---- when ------------------------------------------------------------------------------------------- */

/* Preconditions must be met at the far side before the offer alone may be asked about (TS 29.214 A.1). */
static bool far_side_ready(const struct transfer *x)
{
    struct epc_str sdp = epc_sip_sdp(epc_sip_in_sip(x->in));
    bool needs = false, met = false;
    while (sdp.p && sdp.n) {
        struct epc_str line = epc_str_trim(epc_str_cut(&sdp, '\n'));
        needs = needs || epc_str_starts(line, "a=des:qos ");
        met = met || (epc_str_starts(line, "a=curr:qos local ") && !epc_str_starts(line, "a=curr:qos local none"));
    }
    return !needs || met;
}

bool policy_wants_offer(const struct epc_session *s, const struct job *j)
{
    if (j->kind != JOB_REQUEST || !j->x->initial || (!s->ss->cfg->policy.preliminary && !s->mps))
        return false;
    return s->originating || far_side_ready(j->x);
}

void policy_dialogue(struct epc_session *s, const struct job *j)
{
    const sip_t *sip = j->kind == JOB_RESPONSE && j->x->initial && !s->answered ? sip_object(j->msg) : NULL;
    const char *tag = sip && sip->sip_to ? sip->sip_to->a_tag : NULL;
    if (!tag)
        return;
    if (j->status >= 200)
        s->several_dialogues = false;
    else if (!s->first_tag)
        s->first_tag = strdup(tag); /* out of memory: taken for a single dialogue */
    else if (strcmp(s->first_tag, tag) != 0)
        s->several_dialogues = true;
}

void policy_refresh_later(struct epc_session *s)
{
    if (s->policy && s->state != CALL_ENDING)
        session_queue(s, JOB_POLICY, NULL, NULL, 0, EPC_LEG_WIC);
}

void policy_read_invite(struct epc_session *s, msg_t *msg)
{
    struct epc_str rest = epc_sip_get(msg, "Resource-Priority", 0), ns = epc_str_trim(epc_str_cut(&rest, '.'));
    if (!s->icsi)
        s->icsi = epc_str_dup(epc_sip_get(msg, "P-Asserted-Service", 0));
    /* Namespaces of multimedia priority services (RFC 4412 12). */
    if (!s->mps && (epc_str_ieqc(ns, "wps") || epc_str_ieqc(ns, "ets")))
        s->mps = epc_str_dup(ns);
}

/* ---- what became of it, for those who ask later ------------------------------------------------------ */

void policy_note(struct epc_session *s, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    if (!s->policy || !s->ss->policy->note)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->ss->policy->note(s->policy, text);
}

static void note_verdict(struct epc_session *s, bool go_on, const struct epc_cause *cause)
{
    if (!go_on)
        policy_note(s, "refused with %d, \"%s\"", cause->sip_status, cause->reason);
    else if (s->answered)
        policy_note(s, "the call goes on with what was authorised before");
    else
        policy_note(s, "the call goes on without policy control (policy.mode, policy.access)");
}

/* ---- what came back ----------------------------------------------------------------------------------- */

/* The offer as its sender wrote it, with what the PCRF would take: the body of the 488. */
static void keep_acceptable(struct epc_session *s, const struct epc_policy_result *r)
{
    struct transfer *x = s->offering;
    struct epc_sdp *offer = NULL;
    struct epc_buf text = {0};
    if (!x || x->offered || r->n_acceptable == 0)
        return;
    struct epc_str sdp = epc_sip_sdp(epc_sip_in_sip(x->in));
    if (sdp.p && epc_sdp_parse(&offer, sdp, NULL) == EPC_OK &&
        epc_policy_acceptable_sdp(offer, r, &text) == EPC_OK) {
        free(x->acceptable_sdp);
        x->acceptable_sdp = epc_buf_take(&text, NULL);
    }
    epc_buf_free(&text);
    epc_sdp_free(offer);
}

bool policy_settle(struct epc_session *s, const struct epc_policy_result *r, struct epc_cause *cause)
{
    char who[384];
    enum epc_policy_phase phase = s->answered ? EPC_PHASE_MODIFY : EPC_PHASE_SETUP;
    bool go_on = epc_policy_verdict(s->policy_mode, phase, r, cause) || s->emergency;
    if (r->outcome == EPC_POLICY_GRANTED) {
        epc_service_info_free(s->told);
        s->told = s->asked;
        s->asked = NULL;
        return true;
    }
    epc_log(EPC_LOG_WARN, "session", "event=policy-not-granted %s code=\"%s\" action=%s held_back=%d",
            session_log(s, who), epc_policy_code_name(r), go_on ? "go-on" : "refuse", r->held_back);
    note_verdict(s, go_on, cause);
    if (!go_on && cause->sip_status == 488)
        keep_acceptable(s, r);
    /* Without an answer nobody knows what the policy function holds: the next request starts anew. */
    if (r->outcome != EPC_POLICY_REFUSED || !s->told)
        policy_close(s);
    epc_service_info_free(s->asked);
    s->asked = NULL;
    return go_on;
}

bool policy_failed_here(struct epc_session *s, struct epc_cause *cause)
{
    struct epc_policy_result r = {.outcome = EPC_POLICY_FAILED};
    return epc_policy_verdict(s->policy_mode, s->answered ? EPC_PHASE_MODIFY : EPC_PHASE_SETUP, &r, cause) ||
           s->emergency;
}

/* ---- pushes ----------------------------------------------------------------------------------------------- */

static void on_grace_over(void *arg)
{
    struct epc_cause cause;
    epc_cause_set(&cause, 500, "TS 24.229 5.2.8.1", "bearers of all media lost");
    session_release(arg, RELEASE_BOTH, &cause, "SIP;cause=503;text=\"Bearer lost\"");
}

static uint32_t component_bit(unsigned number)
{
    return number >= 1 && number <= 32 ? UINT32_C(1) << (number - 1) : 0;
}

/* None named is all of them. */
static uint32_t components(const struct epc_policy_event *ev)
{
    uint32_t mask = 0;
    for (size_t i = 0; i < ev->n_components; i++)
        mask |= component_bit(ev->components[i]);
    return ev->kind == EPC_PEV_ALL_MEDIA_LOST || ev->n_components == 0 ? UINT32_MAX : mask;
}

/* Is @p mask all that the PCRF was told of? */
static bool covers(const struct epc_session *s, uint32_t mask)
{
    for (size_t i = 0; s->told && i < s->told->n_components; i++) {
        const struct epc_media_component *c = &s->told->component[i];
        if (c->status != EPC_FLOW_REMOVED && !(mask & component_bit(c->number)))
            return false;
    }
    return true;
}

static void media_lost(struct epc_session *s, const struct epc_policy_event *ev)
{
    bool running = s->lost_components && covers(s, s->lost_components);
    s->lost_components |= components(ev);
    epc_count(EPC_C_SESSION_MEDIA_LOST);
    if (!covers(s, s->lost_components)) {
        policy_note(s, "the bearer of some media is lost: the call goes on with the rest");
        return;
    }
    if (running) /* said before */
        return;
    policy_note(s, "all bearers are lost: the call is released in %u ms unless one recovers",
                      (unsigned)s->ss->cfg->policy.media_loss_grace_ms);
    epc_timer_start(s->ss->shard, &s->grace, s->ss->cfg->policy.media_loss_grace_ms, on_grace_over, s);
}

static void recovered(struct epc_session *s, const struct epc_policy_event *ev)
{
    s->lost_components &= ~components(ev);
    if (s->lost_components && covers(s, s->lost_components))
        return;
    policy_note(s, "bearers are back: the call stays");
    epc_timer_stop(s->ss->shard, &s->grace);
}

static void out_of_credit(struct epc_session *s, const struct epc_policy_event *ev)
{
    struct epc_cause cause;
    s->unpaid_components |= components(ev);
    if (!covers(s, s->unpaid_components)) {
        policy_note(s, "some media are out of credit: the call goes on");
        return;
    }
    epc_cause_set(&cause, 500, "TS 29.214 4.4.6", "out of credit");
    session_release(s, RELEASE_BOTH, &cause, "SIP;cause=503;text=\"Out of credit\"");
}

static void keep_charging(struct epc_session *s, const struct epc_policy_charging *c)
{
    struct epc_buf b = {0};
    if (!c || s->ss->cfg->policy.charging_info == EPC_CHARGING_INFO_OFF)
        return;
    bool v6 = strchr(c->address, ':') != NULL;
    if (c->address[0])
        epc_buf_printf(&b, "pdngw=%s%s%s;", v6 ? "[" : "", c->address, v6 ? "]" : "");
    epc_buf_adds(&b, "eps-info=\"");
    for (size_t i = 0; i < c->n_ids; i++) {
        epc_buf_printf(&b, "%seps-item=%zu;eps-sig=no;ecid=%s", i ? "," : "", i + 1, c->id[i].id);
        for (size_t k = 0; k < c->id[i].n_components; k++)
            epc_buf_printf(&b, "%s{%u,1}", k ? "," : ";flow-id=(", c->id[i].components[k]);
        if (c->id[i].n_components)
            epc_buf_adds(&b, ")");
    }
    epc_buf_adds(&b, "\"");
    char *text = epc_buf_take(&b, NULL);
    if (!text || c->n_ids == 0) {
        free(text);
        return;
    }
    free(s->charging_info);
    s->charging_info = text;
}

static void keep_access(struct epc_session *s, const struct epc_policy_access *a)
{
    if (!a || !a->access_info[0])
        return;
    char *text = strdup(a->access_info);
    if (!text)
        return;
    free(s->access_info);
    s->access_info = text;
}

/* Everything is told again, in a new session: for a call that is up at once, as no message of its own may
 * come; for one that is being set up with its next answer. */
static void session_lost(struct epc_session *s)
{
    forget_told(s);
    s->tell_again = true;
    if (s->answered)
        policy_refresh_later(s);
}

static void on_event(void *arg, const struct epc_policy_event *ev)
{
    struct epc_session *s = arg;
    struct epc_cause cause;
    char who[384];
    epc_log(EPC_LOG_INFO, "session", "event=policy-push kind=%d code=%u %s", (int)ev->kind, ev->code,
            session_log(s, who));
    keep_access(s, ev->access);
    keep_charging(s, ev->charging);
    switch (ev->kind) {
    case EPC_PEV_ABORT:
        epc_cause_set(&cause, 500, "TS 24.229 5.2.8.1", "ended by the policy function");
        session_release(s, RELEASE_BOTH, &cause, "SIP;cause=503;text=\"Ended by policy\"");
        break;
    case EPC_PEV_ALL_MEDIA_LOST:
    case EPC_PEV_MEDIA_LOST:
        media_lost(s, ev);
        break;
    case EPC_PEV_RECOVERED:
        recovered(s, ev);
        break;
    case EPC_PEV_OUT_OF_CREDIT:
        out_of_credit(s, ev);
        break;
    case EPC_PEV_LOST_SESSION:
        session_lost(s);
        break;
    case EPC_PEV_CREDIT_BACK:
        s->unpaid_components &= ~components(ev);
        break;
    case EPC_PEV_ACCESS_INFO:
    case EPC_PEV_CHARGING:
    case EPC_PEV_RESOURCES:
    case EPC_PEV_LIMITED_PCC:
        break;
    }
}
