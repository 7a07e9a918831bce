/* The core's answer to a WIC's REGISTER. */
#include "registration/registration_priv.h"

#include <stdlib.h>
#include <string.h>

static uint32_t granted(const struct reg_tx *tx, const sip_t *resp, const sip_contact_t *own)
{
    uint64_t s = tx->expires_s;
    if (resp->sip_expires)
        s = resp->sip_expires->ex_delta;
    if (own->m_expires) {
        struct epc_str text = epc_str_c(own->m_expires);
        if (text.n >= 2 && text.p[0] == '"')
            text = (struct epc_str){text.p + 1, text.n - 2};
        if (epc_str_u64(text, UINT32_MAX, &s) != EPC_OK)
            s = tx->expires_s;
    }
    return s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

static void set_granted(msg_t *resp, sip_contact_t *own, uint32_t expires_s)
{
    const char *param = su_sprintf(msg_home(resp), "expires=%lu", (unsigned long)expires_s);
    if (param && msg_header_replace_param(msg_home(resp), (msg_common_t *)own, param) >= 0)
        msg_fragment_clear(own->m_common);
    if (reg_sip_of(resp)->sip_expires) {
        epc_sip_remove(resp, "Expires");
        if (epc_sip_add(resp, "Expires", "%lu", (unsigned long)expires_s) != EPC_OK)
            epc_log(EPC_LOG_WARN, "registration", "event=answer_incomplete header=Expires");
    }
}

/* Whoever asks for its bindings sees this connection's, and for no longer than it lasts here. */
static bool show_bound(const struct reg_tx *tx, msg_t *resp, sip_contact_t *c)
{
    const struct reg_grant *g = tx->rec->grant;
    uint64_t now = epc_now_ms();
    if (tx->kind != REG_EV_QUERY || !g || !reg_own_contact(g, c))
        return false;
    uint64_t rest_s = g->expires_at_ms > now ? (g->expires_at_ms - now) / 1000 : 0;
    if (granted(tx, reg_sip_of(resp), c) > rest_s)
        set_granted(resp, c, (uint32_t)rest_s);
    return true;
}

/* The core lists every contact of the identity: only this WIC's own is its business. */
static sip_contact_t *keep_own_contact(const struct reg_tx *tx, msg_t *resp)
{
    sip_t *sip = reg_sip_of(resp);
    sip_contact_t *own = NULL, *next;
    for (sip_contact_t *c = sip->sip_contact; c; c = next) {
        next = c->m_next;
        bool real = c->m_url->url_type != url_any;
        if (real && show_bound(tx, resp, c))
            continue;
        if (!own && real && tx->contact && reg_same_contact(c, tx->contact))
            own = c;
        else
            msg_header_remove(resp, (msg_pub_t *)sip, (msg_header_t *)(void *)c);
    }
    return own;
}

/* Never beyond the end of the token, whatever the core grants. */
static uint32_t capped(const struct reg_tx *tx, uint32_t core_s)
{
    if (!tx->id)
        return core_s;
    uint64_t now = epc_wall_s();
    uint64_t rest = tx->id->expires_at_s > now ? tx->id->expires_at_s - now : 0;
    return rest < core_s ? (uint32_t)rest : core_s;
}

/* RFC 5626 5.4: the edge says how often the WIC is to be heard, whatever the core thinks of it. */
static void set_flow_timer(const struct reg_tx *tx, msg_t *resp)
{
    uint32_t timer_s = tx->rec->r->cfg->sip.flow_timer_s;
    if (!tx->ob || !sip_has_feature(reg_sip_of(resp)->sip_require, "outbound"))
        return;
    epc_sip_remove(resp, "Flow-Timer");
    if (timer_s && epc_sip_add(resp, "Flow-Timer", "%lu", (unsigned long)timer_s) != EPC_OK)
        epc_log(EPC_LOG_WARN, "registration", "event=answer_incomplete header=Flow-Timer");
}

static void accepted(struct reg_tx *tx, msg_t **resp)
{
    struct reg_record *rec = tx->rec;
    enum reg_event ev = tx->kind == REG_EV_QUERY ? REG_EV_QUERIED : REG_EV_REMOVED;
    sip_contact_t *own = keep_own_contact(tx, *resp);
    uint32_t core_s = tx->kind == REG_EV_REGISTER && own ? granted(tx, reg_sip_of(*resp), own) : 0;
    if (core_s > 0) {
        uint32_t expires_s = capped(tx, core_s);
        if (!reg_grant_make(tx, *resp, core_s, expires_s)) {
            struct epc_cause cause = {0};
            epc_cause_set(&cause, 500, NULL, "Out Of Memory");
            reg_refuse(tx, &cause, NULL);
            return;
        }
        if (expires_s != core_s)
            set_granted(*resp, own, expires_s);
        ev = REG_EV_ACCEPTED;
    } else if (tx->kind == REG_EV_REGISTER) {
        epc_log(EPC_LOG_WARN, "registration",
                "event=no_binding flow=%llx reason=\"200 without the registered Contact\"",
                (unsigned long long)rec->flow_id);
    }
    epc_sip_policy_apply(*resp, EPC_DIR_CORE_RESP);
    if (core_s > 0)
        set_flow_timer(tx, *resp);
    if (!tx->supports_path)
        epc_sip_remove(*resp, "Path");
    epc_count(EPC_C_REG_OK);
    epc_sip_in_forward(tx->in, resp);
    rec->failures = 0;
    reg_event(rec, ev);
    if (rec->tx == tx) /* else the record ended and took it along */
        reg_tx_end(tx);
}

/* TS 33.203 Annex U: the core must take our word. If it asks for more, the WIC could not answer. */
static void not_trusted(struct reg_tx *tx, int status)
{
    struct epc_cause cause = {0};
    epc_count(EPC_C_REG_TNA_CHALLENGED);
    epc_log(EPC_LOG_ERROR, "registration",
            "event=tna_challenged status=%d integrity_protected=%s visited_network=\"%s\" "
            "reason=\"the core does not trust this node: it must accept this value of "
            "integrity-protected from it\"",
            status, tx->rec->r->cfg->registration.tna_integrity_protected,
            tx->rec->r->cfg->sip.visited_network);
    epc_cause_set(&cause, 500, "TS 33.203 U.2", "Server Internal Error");
    reg_refuse(tx, &cause, NULL);
}

/* There is no security agreement over a secure WebSocket: the WIC could make nothing of it. */
static void wants_agreement(struct reg_tx *tx, int status)
{
    struct epc_cause cause = {0};
    epc_log(EPC_LOG_ERROR, "registration",
            "event=sec_agree_asked status=%d reason=\"the core must not ask for a security agreement: "
            "TLS protects this access\"", status);
    epc_cause_set(&cause, 500, "RFC 3329", "Server Internal Error");
    reg_refuse(tx, &cause, NULL);
}

static void refused(struct reg_tx *tx, int status, msg_t **resp)
{
    struct reg_record *rec = tx->rec;
    if (status == 494) {
        wants_agreement(tx, status);
        return;
    }
    if (tx->mode == EPC_MODE_TOKEN && (status == 401 || status == 407)) {
        not_trusted(tx, status);
        return;
    }
    if (tx->capped && status == 423) { /* asking for longer would not help, a new token does */
        reg_challenge(tx, "invalid_token");
        return;
    }
    bool first_challenge = status == 401 && !tx->has_response;
    epc_log(first_challenge                             ? EPC_LOG_DEBUG
            : tx->mode == EPC_MODE_TOKEN && status == 403 ? EPC_LOG_WARN
                                                          : EPC_LOG_INFO,
            "registration", "event=refused_by_core flow=%llx status=%d mode=%s",
            (unsigned long long)rec->flow_id, status, tx->mode == EPC_MODE_TOKEN ? "token" : "digest");
    if (tx->mode == EPC_MODE_TOKEN && status == 403)
        epc_count(EPC_C_REG_TNA_REFUSED);
    bool wrong_answer = (status == 401 && tx->has_response) || status == 403;
    bool closing = wrong_answer && reg_failed_attempt(rec);
    epc_count(EPC_C_REG_REFUSED);
    if (closing) {
        epc_sip_in_reply(tx->in, 403, "Too Many Failures", NULL);
    } else if (status == 403 || status == 404) {
        /* Cores say in words whether it is the user or the identity that they do not know. */
        epc_sip_in_reply(tx->in, 403, "Forbidden", NULL);
    } else {
        epc_sip_policy_apply(*resp, EPC_DIR_CORE_RESP);
        epc_sip_remove(*resp, "Path");
        epc_sip_in_forward(tx->in, resp);
    }
    reg_event(rec, status == 401 && !closing ? REG_EV_CHALLENGED : REG_EV_REFUSED);
    if (rec->tx == tx)
        reg_tx_end(tx);
}

/* No answer of the core's: TS 24.229 5.2.2.1 wants 504 for silence. */
static void unanswered(struct reg_tx *tx, int status)
{
    struct epc_cause cause = {0};
    epc_log(EPC_LOG_WARN, "registration", "event=core_unreachable flow=%llx reason=\"%s\"",
            (unsigned long long)tx->rec->flow_id, status == 408 ? "no answer in time" : "transport");
    if (status == 408) {
        epc_cause_set(&cause, 504, "TS 24.229 5.2.2.1", "Server Time-out");
    } else {
        epc_cause_set(&cause, 503, "RFC 3261 16.9", "Core Not Reachable");
        cause.retry_after_s = 10;
    }
    reg_refuse(tx, &cause, NULL);
}

void reg_on_response(void *arg, struct epc_sip_out *out, int status, msg_t *resp)
{
    struct reg_tx *tx = arg;
    (void)out;
    if (status == 0)
        tx->out = NULL; /* invalid after this call */
    if (!resp)
        unanswered(tx, status);
    else if (status < 200)
        ; /* a non-INVITE needs no provisional answer */
    else if (status < 300)
        accepted(tx, &resp);
    else
        refused(tx, status, &resp);
    if (resp)
        msg_destroy(resp);
}
