/* Session timers (RFC 4028): negotiated by the ends, with this node's policy as a proxy on the way (8.1,
 * 8.2); a session that nobody refreshes ends (10). Where neither end has session timers and policy asks
 * for them, this node asks both ends by itself whether they are still there, or ends the call. */
#include "session/session_priv.h"

#include <sofia-sip/sip_header.h>
#include <stdlib.h>
#include <string.h>

static const char expired[] = "SIP;cause=408;text=\"Session expired\"";

/* ---- reading ------------------------------------------------------------------------------------ */

/* "1800;refresher=uac": the number; 0: not there, or no number. */
static uint32_t seconds_of(msg_t *msg, const char *name)
{
    struct epc_str rest = epc_sip_get(msg, name, 0);
    uint64_t v = 0;
    if (!rest.p || epc_str_u64(epc_str_trim(epc_str_cut(&rest, ';')), UINT32_MAX, &v) != EPC_OK)
        return 0;
    return (uint32_t)v;
}

static bool refreshes(sip_method_t m)
{
    return m == sip_method_invite || m == sip_method_update;
}

/* ---- requests ----------------------------------------------------------------------------------- */

static enum epc_err put_interval(msg_t *msg, uint32_t seconds)
{
    struct epc_str was = epc_sip_get(msg, "Session-Expires", 0), number = epc_str_cut(&was, ';');
    (void)number;
    char *params = was.p ? epc_str_dup(was) : NULL; /* the slice goes with the header */
    epc_sip_remove(msg, "Session-Expires");
    enum epc_err err = was.p && !params ? EPC_ENOMEM
                                        : epc_sip_add(msg, "Session-Expires", "%u%s%s", (unsigned)seconds,
                                                      params ? ";" : "", params ? params : "");
    free(params);
    return err;
}

static enum epc_err put_minimum(msg_t *msg, uint32_t seconds)
{
    epc_sip_remove(msg, "Min-SE");
    return epc_sip_add(msg, "Min-SE", "%u", (unsigned)seconds);
}

static uint32_t largest(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

enum epc_err timer_request(struct transfer *x, msg_t *msg, struct epc_cause *cause)
{
    const struct epc_cfg_calls *cfg = &x->ss->cfg->calls;
    uint32_t interval = seconds_of(msg, "Session-Expires"), least = seconds_of(msg, "Min-SE");
    enum epc_err err = EPC_OK;
    if (!x->s || !refreshes(x->method))
        return EPC_OK;
    x->uac_timer = epc_sip_lists(msg, "Supported", "timer");
    x->s->updates[x->from] = x->s->updates[x->from] || epc_sip_lists(msg, "Allow", "UPDATE");
    if (interval && interval < cfg->min_se_s && x->uac_timer) {
        epc_cause_set(cause, 422, "RFC 4028 8.1", "Session Interval Too Small");
        cause->min_se_s = cfg->min_se_s;
        return EPC_EPOLICY;
    }
    x->session_expires = interval;
    if (interval && interval < cfg->min_se_s) { /* a 422 would mean nothing to it: the interval is raised */
        x->session_expires = cfg->min_se_s;
        if (least < cfg->min_se_s)
            err = put_minimum(msg, cfg->min_se_s);
    } else if (cfg->session_expires_s && (!interval || interval > cfg->session_expires_s))
        x->session_expires = largest(cfg->session_expires_s, least);
    if (interval && x->session_expires > interval && interval >= cfg->min_se_s)
        x->session_expires = interval; /* never longer than its sender said */
    if (err == EPC_OK && x->session_expires != interval)
        err = put_interval(msg, x->session_expires);
    return err;
}

/* ---- the edge's own look at both ends --------------------------------------------------------------- */

static void on_due(void *arg);

static void arm(struct epc_session *s, uint64_t seconds)
{
    epc_timer_start(s->ss->shard, &s->session_timer, seconds * 1000, on_due, s);
}

static void expire(struct epc_session *s)
{
    struct epc_cause cause;
    epc_cause_set(&cause, 408, "RFC 4028 10", "the session has expired");
    epc_count(EPC_C_SESSIONS_EXPIRED);
    session_release(s, RELEASE_BOTH, &cause, expired);
}

static void probe_answered(struct epc_session *s, enum epc_leg leg, int status, msg_t *resp)
{
    if (resp)
        msg_destroy(resp);
    if (status == 0)
        s->probe[leg] = NULL;
    /* What ends a dialog (RFC 5057 5.1), or nobody there at all; any other answer is one. */
    else if (status == 408 || status == 481 || status == 404 || status == 410)
        expire(s);
}

static void wic_answered(void *arg, struct epc_sip_out *out, int status, msg_t *resp)
{
    (void)out;
    probe_answered(arg, EPC_LEG_WIC, status, resp);
}

static void core_answered(void *arg, struct epc_sip_out *out, int status, msg_t *resp)
{
    (void)out;
    probe_answered(arg, EPC_LEG_CORE, status, resp);
}

static void probe(struct epc_session *s, enum epc_leg leg)
{
    /* UPDATE is a refresh; OPTIONS at least shows whether the dialog is there (RFC 3261 11). */
    const char *method = s->updates[leg] ? "UPDATE" : "OPTIONS";
    if (!s->probe[leg])
        s->probe[leg] = dialog_send(s, leg, method, leg == EPC_LEG_WIC ? wic_answered : core_answered);
}

static void on_due(void *arg)
{
    struct epc_session *s = arg;
    if (s->state == CALL_ENDING)
        return;
    if (!s->self_refresh) {
        expire(s);
        return;
    }
    arm(s, largest(s->ss->cfg->calls.session_expires_s / 2, 1));
    /* What is under way shows better than a question of ours that somebody is there, and must keep its
     * place in the order of CSeq; a WIC that is away is waited for elsewhere. */
    if (s->transfers || s->active || s->queue || s->held)
        return;
    epc_count(EPC_C_SESSIONS_REFRESHED);
    probe(s, EPC_LEG_CORE);
    if (s->state != CALL_ENDING)
        probe(s, EPC_LEG_WIC);
}

/* ---- responses --------------------------------------------------------------------------------------- */

/* The callee has no session timers, but the caller has: it refreshes (RFC 4028 8.2). */
static bool caller_refreshes(msg_t *msg, uint32_t seconds)
{
    enum epc_err err = epc_sip_add(msg, "Session-Expires", "%u;refresher=uac", (unsigned)seconds);
    if (err == EPC_OK && !epc_sip_lists(msg, "Require", "timer"))
        err = epc_sip_add(msg, "Require", "timer");
    if (err != EPC_OK)
        epc_log(EPC_LOG_ERROR, "session", "event=header-not-added why=\"Session-Expires\"");
    return err == EPC_OK;
}

void timer_response(struct transfer *x, msg_t *msg, int status)
{
    struct epc_session *s = x->s;
    if (!s || s->state == CALL_ENDING || !refreshes(x->method) || status / 100 != 2)
        return;
    const struct epc_cfg_calls *cfg = &s->ss->cfg->calls;
    enum epc_leg to = other_leg(x->from);
    uint32_t agreed = seconds_of(msg, "Session-Expires");
    s->updates[to] = s->updates[to] || epc_sip_lists(msg, "Allow", "UPDATE");
    if (!agreed && x->session_expires && x->uac_timer && caller_refreshes(msg, x->session_expires))
        agreed = x->session_expires;
    s->self_refresh = false;
    if (agreed) {
        arm(s, agreed);
        return;
    }
    epc_timer_stop(s->ss->shard, &s->session_timer);
    if (!cfg->session_expires_s || cfg->unrefreshed == EPC_UNREFRESHED_KEEP)
        return;
    s->self_refresh = cfg->unrefreshed == EPC_UNREFRESHED_REFRESH;
    arm(s, s->self_refresh ? largest(cfg->session_expires_s / 2, 1) : cfg->session_expires_s);
}

void timer_stop(struct epc_session *s)
{
    epc_timer_stop(s->ss->shard, &s->session_timer);
    for (size_t i = 0; i < EPC_ARRAY_LEN(s->probe); i++) {
        epc_sip_out_detach(s->probe[i]);
        s->probe[i] = NULL;
    }
}
