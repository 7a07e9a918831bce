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

static char *identity_uri(struct epc_str value)
{
    struct epc_str v = epc_str_trim(value);
    const char *open = v.n ? memchr(v.p, '<', v.n) : NULL;
    if (open) {
        struct epc_str rest = {open + 1, v.n - (size_t)(open + 1 - v.p)};
        v = epc_str_cut(&rest, '>');
    }
    return v.p ? epc_auth_canonical_impu(v) : NULL;
}

/* P-Asserted-Identity: what the WIC prefers if it is registered, else the default identity. Gives. */
static char *assert_identity(const struct epc_binding *b, const char *preferred, const char *called)
{
    const char *wish[] = {preferred, called};
    char *as = NULL;
    for (size_t w = 0; w < EPC_ARRAY_LEN(wish); w++)
        if (wish[w] && epc_reg_may_assert(b, epc_str_c(wish[w]), &as))
            return as;
    return b->n_impus ? strdup(b->impus[0]) : NULL;
}

/* Nobody knows who an anonymous user of a pool is; not even the pool's identity goes to the other side
 * (RFC 3325 9.3). */
static enum epc_err hide_identity(const struct epc_binding *b, msg_t *msg)
{
    if (!b->anonymous)
        return EPC_OK;
    struct epc_buf text = {0};
    bool id = false;
    for (unsigned i = 0;; i++) {
        struct epc_str has = epc_sip_get(msg, "Privacy", i);
        if (!has.p)
            break;
        while (has.p) {
            struct epc_str value = epc_str_trim(epc_str_cut(&has, ';'));
            id = id || epc_str_ieqc(value, "id");
            if (value.n && !epc_str_ieqc(value, "none"))
                epc_buf_printf(&text, "%s%.*s", text.n ? ";" : "", EPC_STR_ARG(value));
        }
    }
    if (!id)
        epc_buf_printf(&text, "%sid", text.n ? ";" : "");
    epc_sip_remove(msg, "Privacy");
    enum epc_err err = text.failed ? EPC_ENOMEM : epc_sip_add(msg, "Privacy", "%s", text.p);
    epc_buf_free(&text);
    return err;
}

static char *new_icid(struct epc_sessions *ss)
{
    char hex[33], *text = NULL;
    epc_random_hex(hex, 16);
    if (asprintf(&text, "%s-%u", hex, epc_shard_index(ss->shard)) < 0)
        return NULL;
    return text;
}

/* "icid-value=..." of a P-Charging-Vector, quoted or not (RFC 7315 5.6). */
static char *icid_of(struct epc_str value)
{
    struct epc_str rest = value;
    while (rest.p) {
        struct epc_str part = epc_str_trim(epc_str_cut(&rest, ';'));
        struct epc_str name = epc_str_trim(epc_str_cut(&part, '='));
        if (!epc_str_ieqc(name, "icid-value") || !part.p)
            continue;
        part = epc_str_trim(part);
        if (part.n >= 2 && part.p[0] == '"' && part.p[part.n - 1] == '"') {
            part.p++;
            part.n -= 2;
        }
        return epc_str_dup(part);
    }
    return NULL;
}

static bool copy(char **to, const char *text)
{
    free(*to);
    *to = text ? strdup(text) : NULL;
    return *to || !text;
}

/* @p role "orig-ioi" or "term-ioi": of type 1, between this node and the home network (TS 24.229 4.5). */
static enum epc_err add_charging_vector(struct transfer *x, msg_t *msg, const char *role)
{
    const struct epc_cfg_sip *cfg = &x->ss->cfg->sip;
    /* What the policy function told of the bearers' charging (TS 24.229 7.2A.5). */
    const char *bearer = x->s ? x->s->charging_info : NULL;
    return epc_sip_add(msg, "P-Charging-Vector", "icid-value=\"%s\";icid-generated-at=%s%s%s%s%s%s%s%s", x->icid,
                       cfg->core_host, cfg->ioi ? ";" : "", cfg->ioi ? role : "", cfg->ioi ? "=\"Type 1" : "",
                       cfg->ioi ? cfg->ioi : "", cfg->ioi ? "\"" : "", bearer ? ";" : "", bearer ? bearer : "");
}

/* The network's own knowledge of where the WIC is, for the core alone (TS 24.229 5.2.6.3, 7.2A.4). */
enum epc_err cross_access_info(const struct transfer *x, msg_t *msg)
{
    const char *info = x->s ? x->s->access_info : NULL;
    if (!info)
        info = signalling_access_info(x->ss, epc_sip_in_flow(x->in));
    return info ? epc_sip_add(msg, "P-Access-Network-Info", "%s", info) : EPC_OK;
}

static enum epc_err assert_caller(struct transfer *x, msg_t *msg, const struct epc_binding *b)
{
    char *pai = assert_identity(b, x->ppi, NULL);
    enum epc_err err = pai ? epc_sip_add(msg, "P-Asserted-Identity", "<%s>", pai) : EPC_ENOMEM;
    if (err == EPC_OK)
        err = hide_identity(b, msg);
    if (err == EPC_OK && x->s && !copy(&x->s->impu, pai))
        err = EPC_ENOMEM;
    free(pai);
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

static enum epc_err wic_initial(struct transfer *x, msg_t *msg, const struct epc_binding *b,
                                struct epc_cause *cause)
{
    if (!b->service_route || !b->service_route[0]) {
        epc_cause_set(cause, 403, "TS 24.229 5.2.6.3", "no Service-Route from the registration");
        return EPC_EPOLICY;
    }
    if (!(x->icid = new_icid(x->ss)))
        return EPC_ENOMEM;
    /* Whatever route the WIC asked for, the core's own is the one that counts. */
    if (!same_routes(msg, b->service_route))
        epc_count(EPC_C_SESSION_ROUTES_REPLACED);
    enum epc_err err = epc_sip_set_routes(msg, b->service_route);
    if (err == EPC_OK)
        err = assert_caller(x, msg, b);
    if (err == EPC_OK)
        err = add_charging_vector(x, msg, "orig-ioi");
    if (err == EPC_OK && b->charging_functions)
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
    if (!x->s)
        return EPC_OK;
    if (!x->icid && x->s->icid && !copy(&x->icid, x->s->icid))
        return EPC_ENOMEM;
    enum epc_err err = x->s->core_routes
                           ? epc_sip_set_routes(msg, (const char *const *)x->s->core_routes)
                           : EPC_OK;
    if (err == EPC_OK && x->icid)
        err = add_charging_vector(x, msg, "orig-ioi");
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
    char *impu = assert_identity(b, x->called_party, NULL);
    bool kept = impu && copy(&x->s->impu, impu) && copy(&x->s->icid, x->icid);
    free(impu);
    return kept ? EPC_OK : EPC_ENOMEM;
}

bool cross_request(struct transfer *x, msg_t *msg, const struct epc_binding *b, struct epc_cause *cause)
{
    bool from_wic = x->from == EPC_LEG_WIC;
    if (from_wic)
        x->ppi = identity_uri(epc_sip_get(msg, "P-Preferred-Identity", 0));
    else {
        x->icid = icid_of(epc_sip_get(msg, "P-Charging-Vector", 0));
        x->called_party = identity_uri(epc_sip_get(msg, "P-Called-Party-ID", 0));
        if (x->s && x->initial) /* a WIC's own word for its service is not taken */
            policy_read_invite(x->s, msg);
    }
    epc_sip_policy_apply(msg, from_wic ? EPC_DIR_WIC_REQ : EPC_DIR_CORE_REQ);
    if (!epc_sip_max_forwards(msg)) {
        epc_cause_set(cause, 483, "RFC 3261 16.3", "Too Many Hops");
        return false;
    }
    enum epc_err err;
    cause->sip_status = 0;
    if (from_wic)
        err = x->in_dialog || !b ? wic_in_dialog(x, msg) : wic_initial(x, msg, b, cause);
    else
        err = x->in_dialog ? EPC_OK : core_initial(x, msg, b);
    if (err != EPC_OK && cause->sip_status == 0)
        epc_cause_set(cause, 500, NULL, "%s", epc_err_name(err));
    return err == EPC_OK;
}

static void wic_response(struct transfer *x, msg_t *msg, int status, char *ppi)
{
    const struct epc_binding *b = epc_reg_by_flow(x->ss->reg, epc_sip_in_flow(x->in));
    enum epc_err err = EPC_OK;
    char *pai = b ? assert_identity(b, ppi, x->called_party) : NULL;
    if (pai && status > 100) {
        err = epc_sip_add(msg, "P-Asserted-Identity", "<%s>", pai);
        if (err == EPC_OK)
            err = hide_identity(b, msg);
    }
    free(pai);
    if (err != EPC_OK)
        epc_log(EPC_LOG_ERROR, "session", "event=header-not-added status=%d why=\"%s\"", status,
                epc_err_name(err));
}

/* In the 2xx to what begins a dialog or stands alone; with what is known of the bearers also in earlier and
 * later answers that carry media (TS 24.229 5.2.7.4). */
static bool tells_charging(const struct transfer *x, int status)
{
    bool media = x->method == sip_method_invite || x->method == sip_method_update || x->method == sip_method_prack;
    if (!x->icid || status <= 100 || status >= 300)
        return false;
    return (!x->in_dialog && status / 100 == 2) || (media && x->s && x->s->charging_info);
}

void cross_response(struct transfer *x, msg_t *msg, int status)
{
    if (x->from == EPC_LEG_WIC) {
        epc_sip_policy_apply(msg, EPC_DIR_CORE_RESP);
        return;
    }
    char *ppi = identity_uri(epc_sip_get(msg, "P-Preferred-Identity", 0));
    epc_sip_policy_apply(msg, EPC_DIR_WIC_RESP);
    if (cross_access_info(x, msg) != EPC_OK)
        epc_log(EPC_LOG_ERROR, "session", "event=header-not-added status=%d why=\"access information\"", status);
    if (!x->in_dialog)
        wic_response(x, msg, status, ppi);
    if (tells_charging(x, status) && add_charging_vector(x, msg, "term-ioi") != EPC_OK)
        epc_log(EPC_LOG_ERROR, "session", "event=header-not-added status=%d why=\"charging\"", status);
    free(ppi);
}
