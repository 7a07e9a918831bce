/* Emergency calls (TS 24.229 5.2.10, RFC 5031): to the E-CSCF where there is one, otherwise the user is
 * told to call in another way (380). Nothing that this node decides about other calls - the token's end,
 * a refusal of the policy function - stops one. */
#include "session/session_priv.h"

#include <sofia-sip/sip_header.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char sos[] = "urn:service:sos";

/* "1-1-2" and "112;phone-context=..." are "112" (RFC 3966 3). */
static bool same_number(const char *text, struct epc_str number)
{
    size_t k = 0;
    for (const char *p = text; *p && *p != ';'; p++) {
        if (strchr("-.()", *p))
            continue;
        if (k == number.n || number.p[k++] != *p)
            return false;
    }
    return k == number.n && k > 0;
}

static bool local_number(const struct epc_sessions *ss, const char *text, char out[EPC_EMERGENCY_URN_LEN])
{
    const struct epc_cfg_calls *cfg = &ss->cfg->calls;
    struct epc_str number, urn;
    for (size_t i = 0; text && i < cfg->n_emergency_numbers; i++) {
        if (!epc_emergency_number_parse(cfg->emergency_numbers[i], &number, &urn) || !same_number(text, number))
            continue;
        snprintf(out, EPC_EMERGENCY_URN_LEN, "%.*s", EPC_STR_ARG(urn));
        return true;
    }
    return false;
}

/* Is what stands before the @ dialled digits: here at home, or said to be? */
static bool dialled_here(const struct epc_sessions *ss, const url_t *u)
{
    if (u->url_params && strcasestr(u->url_params, "user=phone"))
        return true;
    for (size_t i = 0; u->url_host && i < ss->cfg->sip.n_home_domains; i++)
        if (strcasecmp(u->url_host, ss->cfg->sip.home_domains[i]) == 0)
            return true;
    return false;
}

bool emergency_urn(const struct epc_sessions *ss, const sip_t *sip, char out[EPC_EMERGENCY_URN_LEN])
{
    const url_t *u = sip->sip_request->rq_url;
    if (u->url_type == url_tel)
        return local_number(ss, u->url_user ? u->url_user : u->url_host, out);
    if (u->url_type == url_sip || u->url_type == url_sips)
        return dialled_here(ss, u) && local_number(ss, u->url_user, out);
    char text[EPC_EMERGENCY_URN_LEN];
    issize_t n = url_e(text, (isize_t)sizeof text, u);
    if (n <= 0 || (size_t)n >= sizeof text || strncasecmp(text, sos, sizeof sos - 1) != 0 ||
        (text[sizeof sos - 1] && text[sizeof sos - 1] != '.'))
        return false;
    memcpy(out, text, (size_t)n + 1);
    return true;
}

static void xml_text(struct epc_buf *b, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '<' || *p == '>' || *p == '&')
            epc_buf_adds(b, *p == '<' ? "&lt;" : *p == '>' ? "&gt;" : "&amp;");
        else
            epc_buf_add(b, p, 1);
    }
}

/* TS 24.229 5.2.10.4, body of 7.6.2. The identity is the one under which the WIC knows this node. */
static void alternative_service(struct epc_sessions *ss, struct epc_sip_in *in)
{
    const struct epc_cfg_sip *sip = &ss->cfg->sip;
    struct epc_buf body = {0};
    char extra[300];
    struct epc_cause cause = {0};
    epc_cause_set(&cause, 380, "TS 24.229 5.2.10.4", "Alternative Service");
    snprintf(extra, sizeof extra, "P-Asserted-Identity: <sip:%.200s:%u>\r\nContent-Disposition: render;handling=optional\r\n",
             sip->public_host ? sip->public_host : "invalid", (unsigned)sip->public_port);
    epc_buf_adds(&body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<ims-3gpp version=\"1\">\r\n"
                        "<alternative-service><type>emergency</type><reason>");
    xml_text(&body, ss->cfg->calls.emergency_reason ? ss->cfg->calls.emergency_reason : "");
    epc_buf_adds(&body, "</reason></alternative-service>\r\n</ims-3gpp>\r\n");
    if (body.failed)
        epc_sip_in_refuse(in, &cause);
    else
        epc_sip_in_refuse_body(in, &cause, extra, "application/3gpp-ims+xml", body.p);
    epc_buf_free(&body);
    epc_sip_in_release(in);
}

bool emergency_taken(struct epc_sessions *ss, struct epc_sip_in *in)
{
    char urn[EPC_EMERGENCY_URN_LEN];
    struct epc_cause cause = {0};
    if (!emergency_urn(ss, epc_sip_in_sip(in), urn))
        return false;
    const struct epc_binding *b = epc_reg_by_flow(ss->reg, epc_sip_in_flow(in));
    epc_count(EPC_C_SESSION_EMERGENCIES);
    epc_log(EPC_LOG_WARN, "session", "event=emergency service=%s registered=%d action=%s flow=%llx", urn, b != NULL,
            !b ? "refuse" : ss->cfg->calls.ecscf ? "route" : "alternative", (unsigned long long)epc_sip_in_flow(in));
    if (!b) {
        epc_cause_set(&cause, 403, "TS 24.229 5.2.10.2", "Not Registered");
        epc_sip_in_refuse(in, &cause);
        epc_sip_in_release(in);
    } else if (!ss->cfg->calls.ecscf)
        alternative_service(ss, in);
    else
        initial_request(ss, in, b);
    return true;
}

enum epc_err emergency_route(struct transfer *x, msg_t *msg)
{
    char urn[EPC_EMERGENCY_URN_LEN];
    const char *routes[] = {x->ss->cfg->calls.ecscf, NULL};
    char lr[300];
    if (!emergency_urn(x->ss, epc_sip_in_sip(x->in), urn))
        return EPC_EINVAL;
    enum epc_err err = epc_sip_set_request_uri(msg, urn);
    char *requested = strdup(urn);
    if (err == EPC_OK && !requested)
        err = EPC_ENOMEM;
    if (err == EPC_OK && x->s) { /* what the policy function hears of the call */
        free(x->s->requested);
        x->s->requested = requested;
        requested = NULL;
    }
    free(requested);
    if (!strstr(routes[0], ";lr")) {
        snprintf(lr, sizeof lr, "%.280s;lr", routes[0]);
        routes[0] = lr;
    }
    return err == EPC_OK ? epc_sip_set_routes(msg, routes) : err;
}

void emergency_read_invite(struct epc_session *s, msg_t *msg)
{
    char who[384];
    if (!epc_str_ieqc(epc_str_trim(epc_sip_get(msg, "Priority", 0)), "psap-callback"))
        return;
    s->emergency = true;
    epc_log(EPC_LOG_WARN, "session", "event=psap-callback %s", session_log(s, who));
}
