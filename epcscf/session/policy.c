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
    s->lost_components = 0;
}

static void forget_told(struct epc_session *s)
{
    epc_service_info_free(s->told);
    s->told = NULL;
}

/* The gateway's part of the WebRTC information. */
static void gateway_facts(struct epc_session *s, struct epc_flow *flow, struct epc_policy_gateway *g)
{
    const struct epc_sdp *core = epc_iw_core_sent(s->iw), *up, *down;
    const struct epc_cfg_origin *origin = epc_flow_origin(flow);
    struct epc_gw_name name = {{0}, {0}};
    bool is_offer;
    epc_iw_access(s->iw, &up, &down, &is_offer);
    *g = (struct epc_policy_gateway){.session.ice_mode = -1, .ice_generation = s->ice_generation};
    if (s->gw)
        epc_gw_ctx_name(s->gw, &name);
    snprintf(g->session.agw_identity, sizeof g->session.agw_identity, "%s", name.gateway);
    snprintf(g->session.agw_context, sizeof g->session.agw_context, "%s", name.context);
    snprintf(g->session.client_origin, sizeof g->session.client_origin, "%s",
             origin && origin->wwsf ? origin->wwsf : "");
    if (down && down->n_media)
        g->session.ice_mode = down->media[0].ice_lite ? 1 : 0;
    for (size_t i = 0; i < EPC_SDP_MAX_MEDIA; i++) {
        g->media[i].ice_state = s->learned[i].len ? EPC_ICE_CONNECTED : EPC_ICE_CHECKING;
        char ip[EPC_ADDR_LEN];
        if (!core || i >= core->n_media || core->media[i].port == 0 || core->media[i].c_addr.n >= sizeof ip)
            continue;
        memcpy(ip, core->media[i].c_addr.p, core->media[i].c_addr.n);
        ip[core->media[i].c_addr.n] = 0;
        if (epc_addr_parse(&g->media[i].core, ip, core->media[i].port) != EPC_OK)
            g->media[i].core.len = 0;
        g->n_media = i + 1;
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
    if (s->ice_ufrag[0]) {
        s->ice_generation++;
        memset(s->learned, 0, sizeof s->learned); /* of the old generation */
    }
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
    return epc_policy_service_info(&in, out);
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
    if (s->policy_mode == EPC_POLICY_OFF)
        return EPC_EAGAIN;
    epc_service_info_free(s->asked);
    s->asked = NULL;
    enum epc_err err = follow_ue(s, ue);
    if (err == EPC_OK)
        err = derive(s, flow, preliminary, &s->asked);
    if (err == EPC_OK)
        err = epc_service_info_diff(s->told, s->asked, &delta);
    if (err == EPC_OK && delta->n_components == 0)
        err = EPC_EAGAIN;
    if (err == EPC_OK && !s->policy)
        err = open_session(s, ue);
    if (err == EPC_OK)
        err = s->ss->policy->request(s->policy, &delta, done, s);
    epc_service_info_free(delta);
    if (err != EPC_OK) {
        epc_service_info_free(s->asked);
        s->asked = NULL;
    }
    return err;
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
    bool go_on = epc_policy_verdict(s->policy_mode, phase, r, cause);
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
    return epc_policy_verdict(s->policy_mode, s->answered ? EPC_PHASE_MODIFY : EPC_PHASE_SETUP, &r, cause);
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

/* Do the lost components leave none of those that the PCRF was told of? */
static bool nothing_left(const struct epc_session *s)
{
    for (size_t i = 0; s->told && i < s->told->n_components; i++) {
        const struct epc_media_component *c = &s->told->component[i];
        if (c->status != EPC_FLOW_REMOVED && !(s->lost_components & component_bit(c->number)))
            return false;
    }
    return true;
}

static void media_lost(struct epc_session *s, const struct epc_policy_event *ev)
{
    s->lost_components |= components(ev);
    epc_count(EPC_C_SESSION_MEDIA_LOST);
    if (!nothing_left(s))
        return;
    policy_note(s, "all bearers are lost: the call is released in %u ms unless one recovers",
                      (unsigned)s->ss->cfg->policy.media_loss_grace_ms);
    epc_timer_start(s->ss->shard, &s->grace, s->ss->cfg->policy.media_loss_grace_ms, on_grace_over, s);
}

static void recovered(struct epc_session *s, const struct epc_policy_event *ev)
{
    s->lost_components &= ~components(ev);
    if (!nothing_left(s))
        epc_timer_stop(s->ss->shard, &s->grace);
}

static void out_of_credit(struct epc_session *s, const struct epc_policy_event *ev)
{
    struct epc_cause cause;
    uint32_t lost = s->lost_components;
    s->lost_components |= components(ev);
    bool all = nothing_left(s);
    s->lost_components = lost;
    if (!all)
        return;
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
            epc_buf_printf(&b, "%s{%u}", k ? "," : ";flow-id=(", c->id[i].components[k]);
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
        forget_told(s); /* the next request tells everything, in a new session */
        break;
    case EPC_PEV_ACCESS_INFO:
    case EPC_PEV_CHARGING:
    case EPC_PEV_RESOURCES:
    case EPC_PEV_CREDIT_BACK:
    case EPC_PEV_LIMITED_PCC:
        break;
    }
}
