/* What changes in a message that crosses the edge, beside its SDP (TS 24.229 5.2.6.3 and 5.2.6.4).
 * What may not cross at all is the trust-domain table's business (sip/); here stands what the
 * eP-CSCF asserts by itself: identity, charging, route. */
#include "session/session_priv.h"

#include <sofia-sip/sip_header.h>
#include <stdlib.h>
#include <string.h>

bool opens_dialog(sip_method_t m, const sip_t *sip)
{
    (void)sip;
    return m == sip_method_invite || m == sip_method_subscribe || m == sip_method_refer;
}

static bool copy(char **to, const char *text)
{
    free(*to);
    *to = text ? strdup(text) : NULL;
    return *to || !text;
}

/* The network's own knowledge of where the WIC is, for the core alone (TS 24.229 5.2.6.3, 7.2A.4). */
enum epc_err cross_access_info(const struct transfer *x, msg_t *msg)
{
    const char *info = x->s ? x->s->access_info : NULL;
    if (!info)
        info = signalling_access_info(x->ss, epc_sip_in_flow(x->in));
    return info ? epc_sip_add(msg, "P-Access-Network-Info", "%s", info) : EPC_OK;
}

static enum epc_err assert_caller(struct transfer *x, msg_t *msg, const struct epc_binding *b, const struct claim *said,
                                  struct epc_cause *cause)
{
    struct identity id;
    if (x->ss->cfg->calls.strict_identity && !x->emergency && !identity_from_fits(b, sip_object(msg))) {
        epc_cause_set(cause, 403, "TS 24.229 5.2.6.3.3", "From is none of the user's identities");
        return EPC_EPOLICY;
    }
    if (!identity_assert(&id, &x->ss->cfg->calls, b, said, NULL))
        return EPC_ENOMEM;
    enum epc_err err = identity_add(msg, &id);
    if (err == EPC_OK)
        err = identity_hide(b, msg);
    if (err == EPC_OK)
        err = service_assert(x, msg, said, cause);
    if (err == EPC_OK)
        err = priority_assert(x, msg, said, &id);
    if (err == EPC_OK && x->s && !copy(&x->s->impu, id.uri[0]))
        err = EPC_ENOMEM;
    if (err == EPC_OK && x->s && x->initial)
        policy_read_invite(x->s, msg); /* of what now stands there, as asserted */
    identity_free(&id);
    return err;
}

static bool same_routes(msg_t *msg, const char *const *routes)
{
    const sip_route_t *r = sip_object(msg)->sip_route;
    for (; r && *routes; r = r->r_next, routes++) {
        char uri[1024];
        issize_t n = url_e(uri, (isize_t)sizeof uri, r->r_url);
        if (n <= 0 || (size_t)n >= sizeof uri || strcmp(uri, *routes) != 0)
            return false;
    }
    return !r && !*routes;
}

/* Whatever route the WIC asked for, the core's own is the one that counts (TS 24.229 5.2.6.3.3). No
 * Route at all is no contradiction: over one connection there is only one way. */
static enum epc_err service_route(struct transfer *x, msg_t *msg, const struct epc_binding *b, struct epc_cause *cause)
{
    if (!b->service_route || !b->service_route[0]) {
        epc_cause_set(cause, 403, "TS 24.229 5.2.6.3", "no Service-Route from the registration");
        return EPC_EPOLICY;
    }
    if (!same_routes(msg, b->service_route)) {
        epc_count(EPC_C_SESSION_ROUTES_REPLACED);
        if (x->ss->cfg->calls.strict_routes && sip_object(msg)->sip_route) {
            epc_cause_set(cause, 400, "TS 24.229 5.2.6.3.3", "Route is not the Service-Route");
            return EPC_EPOLICY;
        }
    }
    return epc_sip_set_routes(msg, b->service_route);
}

static enum epc_err wic_initial(struct transfer *x, msg_t *msg, const struct epc_binding *b, const struct claim *said,
                                struct epc_cause *cause)
{
    enum epc_err err = x->emergency ? emergency_route(x, msg) : service_route(x, msg, b, cause);
    if (err == EPC_OK && !(x->icid = charging_new_icid(x->ss)))
        err = EPC_ENOMEM;
    if (err == EPC_OK)
        err = assert_caller(x, msg, b, said, cause);
    if (err == EPC_OK)
        err = charging_add(x, msg, CHARGING_REQUEST);
    if (err == EPC_OK && b->charging_functions && !x->emergency)
        err = epc_sip_add(msg, "P-Charging-Function-Addresses", "%s", b->charging_functions);
    if (err == EPC_OK && opens_dialog(x->method, sip_object(msg)))
        err = epc_sip_record_route(x->ss->sip, msg, EPC_LEG_WIC, epc_sip_in_flow(x->in));
    if (err == EPC_OK && x->s && !copy(&x->s->icid, x->icid))
        err = EPC_ENOMEM;
    return err;
}

/* In a dialog the route is the one that the dialog was made with, not what the WIC now writes. */
static enum epc_err wic_in_dialog(struct transfer *x, msg_t *msg)
{
    const struct epc_session *s = x->s;
    char *const *routes = s ? s->core_routes : loose_routes(x->ss, x->in);
    const char *icid = s ? s->icid : loose_icid(x->ss, x->in);
    if (!x->icid && icid && !copy(&x->icid, icid))
        return EPC_ENOMEM;
    enum epc_err err = routes ? epc_sip_set_routes(msg, (const char *const *)routes) : EPC_OK;
    if (err == EPC_OK && x->icid)
        err = charging_add(x, msg, CHARGING_REQUEST);
    return err;
}

static enum epc_err core_initial(struct transfer *x, msg_t *msg, const struct epc_binding *b)
{
    if (!opens_dialog(x->method, sip_object(msg)))
        return EPC_OK;
    enum epc_err err = epc_sip_record_route(x->ss->sip, msg, EPC_LEG_CORE, epc_sip_in_flow(x->in));
    if (err != EPC_OK)
        return err;
    if (!x->s || !b)
        return EPC_OK;
    struct identity id;
    bool kept = identity_assert(&id, &x->ss->cfg->calls, b, NULL, x->called_party) && copy(&x->s->impu, id.uri[0]) &&
                copy(&x->s->icid, x->icid);
    identity_free(&id);
    return kept ? EPC_OK : EPC_ENOMEM;
}

static void read_core_request(struct transfer *x, msg_t *msg)
{
    x->wants_preconditions = epc_sip_lists(msg, "Supported", "precondition"); /* which goes no further */
    charging_read(x, msg);
    x->called_party = identity_uri(epc_sip_get(msg, "P-Called-Party-ID", 0));
    if (x->s && x->initial) {
        policy_read_invite(x->s, msg);
        emergency_read_invite(x->s, msg);
    }
}

/* What is asserted, charged and routed, by where the request came from. */
static enum epc_err cross_from(struct transfer *x, msg_t *msg, const struct epc_binding *b, const struct claim *said,
                               struct epc_cause *cause)
{
    if (x->from == EPC_LEG_WIC)
        return x->in_dialog || !b ? wic_in_dialog(x, msg) : wic_initial(x, msg, b, said, cause);
    return x->in_dialog ? EPC_OK : core_initial(x, msg, b);
}

bool cross_request(struct transfer *x, msg_t *msg, const struct epc_binding *b, struct epc_cause *cause)
{
    bool from_wic = x->from == EPC_LEG_WIC;
    struct claim said = {0};
    cause->sip_status = 0;
    if (!loose_check(x, cause))
        return false;
    if (from_wic)
        claim_read(&said, msg);
    else
        read_core_request(x, msg);
    epc_sip_policy_apply(msg, from_wic ? EPC_DIR_WIC_REQ : EPC_DIR_CORE_REQ);
    if (!epc_sip_max_forwards(msg))
        epc_cause_set(cause, 483, "RFC 3261 16.3", "Too Many Hops");
    enum epc_err err = cause->sip_status ? EPC_EPOLICY : cross_from(x, msg, b, &said, cause);
    claim_free(&said);
    if (err == EPC_OK)
        err = timer_request(x, msg, cause);
    if (err == EPC_OK)
        err = early_request(x, msg);
    if (err == EPC_OK)
        err = reliable_request(x, msg);
    if (err == EPC_OK)
        err = precondition_request(x, msg, cause);
    if (err != EPC_OK && cause->sip_status == 0)
        epc_cause_set(cause, 500, NULL, "%s", epc_err_name(err));
    return err == EPC_OK;
}

static void wic_response(struct transfer *x, msg_t *msg, int status, const struct claim *said)
{
    const struct epc_binding *b = epc_reg_by_flow(x->ss->reg, epc_sip_in_flow(x->in));
    struct identity id;
    if (!b || status <= 100)
        return;
    enum epc_err err = identity_assert(&id, &x->ss->cfg->calls, b, said, x->called_party) ? identity_add(msg, &id)
                                                                                         : EPC_ENOMEM;
    if (err == EPC_OK)
        err = identity_hide(b, msg);
    identity_free(&id);
    if (err != EPC_OK)
        epc_log(EPC_LOG_ERROR, "session", "event=header-not-added status=%d why=\"%s\"", status,
                epc_err_name(err));
}

void cross_response(struct transfer *x, msg_t *msg, int status)
{
    timer_response(x, msg, status);
    if (x->from == EPC_LEG_WIC) {
        epc_sip_policy_apply(msg, EPC_DIR_CORE_RESP);
        return;
    }
    struct claim said;
    claim_read(&said, msg);
    epc_sip_policy_apply(msg, EPC_DIR_WIC_RESP);
    if (cross_access_info(x, msg) != EPC_OK)
        epc_log(EPC_LOG_ERROR, "session", "event=header-not-added status=%d why=\"access information\"", status);
    if (!x->in_dialog)
        wic_response(x, msg, status, &said);
    if (charging_told(x, status) && charging_add(x, msg, CHARGING_RESPONSE) != EPC_OK)
        epc_log(EPC_LOG_ERROR, "session", "event=header-not-added status=%d why=\"charging\"", status);
    claim_free(&said);
}
