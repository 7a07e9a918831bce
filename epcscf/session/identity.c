/* Who a WIC is and what service it asks for, as the eP-CSCF vouches for them: P-Asserted-Identity,
 * P-Asserted-Service, Resource-Priority (TS 24.229 5.2.6.3.3 and 5.2.6.4.4; RFC 3325, 6050, 4412). */
#include "session/session_priv.h"

#include <sofia-sip/sip_header.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

char *identity_uri(struct epc_str value)
{
    struct epc_str v = epc_str_trim(value);
    const char *open = v.n ? memchr(v.p, '<', v.n) : NULL;
    if (open) {
        struct epc_str rest = {open + 1, v.n - (size_t)(open + 1 - v.p)};
        v = epc_str_cut(&rest, '>');
    }
    return v.p ? epc_auth_canonical_impu(v) : NULL;
}

void claim_read(struct claim *c, msg_t *msg)
{
    *c = (struct claim){0};
    /* At most two: a sip or sips URI and a tel URI (RFC 3325 9.2); in one field or in two. */
    for (unsigned i = 0, n = 0; n < EPC_ARRAY_LEN(c->preferred); i++) {
        struct epc_str rest = epc_sip_get(msg, "P-Preferred-Identity", i);
        if (!rest.p)
            break;
        const char *second = memmem(rest.p, rest.n, ">,", 2);
        struct epc_str one = {rest.p, second ? (size_t)(second + 1 - rest.p) : rest.n};
        c->preferred[n++] = identity_uri(one);
        if (second && n < EPC_ARRAY_LEN(c->preferred))
            c->preferred[n++] = identity_uri((struct epc_str){second + 2, rest.n - one.n - 1});
    }
    for (unsigned i = 0;; i++) {
        struct epc_str s = epc_sip_get(msg, "P-Preferred-Service", i);
        if (!s.p)
            break;
        epc_buf_printf(&c->services, "%s%.*s", c->services.n ? "," : "", EPC_STR_ARG(s));
    }
    for (unsigned i = 0;; i++) {
        struct epc_str p = epc_sip_get(msg, "Resource-Priority", i);
        if (!p.p)
            break;
        epc_buf_printf(&c->priority, "%s%.*s", c->priority.n ? ", " : "", EPC_STR_ARG(p));
    }
}

void claim_free(struct claim *c)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(c->preferred); i++)
        free(c->preferred[i]);
    epc_buf_free(&c->services);
    epc_buf_free(&c->priority);
}

/* ---- identity ------------------------------------------------------------------------------------ */

static bool is_tel(const char *uri)
{
    return strncasecmp(uri, "tel:", 4) == 0;
}

/* "+15550001" of tel:+15550001 and of sip:+15550001@home;user=phone. */
static struct epc_str number_of(const char *uri)
{
    struct epc_str rest = epc_str_c(uri), scheme = epc_str_cut(&rest, ':'), user;
    bool sip = epc_str_ieqc(scheme, "sip") || epc_str_ieqc(scheme, "sips");
    if (!sip && !epc_str_ieqc(scheme, "tel"))
        return EPC_STR_NULL;
    user = epc_str_cut(&rest, sip ? '@' : ';');
    if (sip && !rest.p) /* no user part */
        return EPC_STR_NULL;
    struct epc_str number = epc_str_cut(&user, ';');
    return number.n > 1 && number.p[0] == '+' ? number : EPC_STR_NULL;
}

/* The registered identity of the other scheme with the same number; of several none is guessed. */
static const char *companion(const struct epc_binding *b, const char *as)
{
    struct epc_str number = number_of(as);
    for (size_t i = 0; number.p && i < b->n_impus; i++)
        if (is_tel(b->impus[i]) != is_tel(as) && !epc_reg_is_wildcard(epc_str_c(b->impus[i])) &&
            epc_str_eq(number_of(b->impus[i]), number))
            return b->impus[i];
    return NULL;
}

void identity_free(struct identity *id)
{
    free(id->uri[0]);
    free(id->uri[1]);
    *id = (struct identity){0};
}

bool identity_assert(struct identity *id, const struct epc_cfg_calls *cfg, const struct epc_binding *b,
                     const struct claim *c, const char *called)
{
    const char *wish[] = {c ? c->preferred[0] : NULL, c ? c->preferred[1] : NULL, called};
    const char *other = NULL;
    *id = (struct identity){0};
    for (size_t w = 0; w < EPC_ARRAY_LEN(wish) && !id->uri[0]; w++)
        if (wish[w] && !epc_reg_may_assert(b, epc_str_c(wish[w]), &id->uri[0]))
            id->uri[0] = NULL;
    if (!id->uri[0])
        id->uri[0] = b->n_impus ? strdup(b->impus[0]) : NULL;
    if (!id->uri[0])
        return false;
    /* A second one of the other scheme: as the WIC says, or as configured. */
    if (wish[0] && wish[1] && is_tel(wish[1]) != is_tel(id->uri[0]) &&
        !epc_reg_may_assert(b, epc_str_c(wish[1]), &id->uri[1]))
        id->uri[1] = NULL;
    if (!id->uri[1] && cfg->both_identities && (other = companion(b, id->uri[0])))
        id->uri[1] = strdup(other);
    return true;
}

enum epc_err identity_add(msg_t *msg, const struct identity *id)
{
    if (id->uri[1])
        return epc_sip_add(msg, "P-Asserted-Identity", "<%s>, <%s>", id->uri[0], id->uri[1]);
    return epc_sip_add(msg, "P-Asserted-Identity", "<%s>", id->uri[0]);
}

bool identity_from_fits(const struct epc_binding *b, const sip_t *sip)
{
    const url_t *u = sip->sip_from->a_url;
    if (u->url_host && strcasecmp(u->url_host, "anonymous.invalid") == 0) /* RFC 3323 4.1.1.3 */
        return true;
    char *text = epc_sip_value(sip->sip_from), *uri = text ? identity_uri(epc_str_c(text)) : NULL;
    bool fits = uri && epc_reg_may_assert(b, epc_str_c(uri), NULL);
    free(text);
    free(uri);
    return fits;
}

/* Nobody knows who an anonymous user of a pool is; not even the pool's identity goes to the other side
 * (RFC 3325 9.3). */
enum epc_err identity_hide(const struct epc_binding *b, msg_t *msg)
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

/* ---- service --------------------------------------------------------------------------------------- */

/* Is @p service the one named, or a part of it ("...mmtel.gaming", RFC 6050 4.1)? */
static bool within(struct epc_str service, const char *name)
{
    size_t n = strlen(name);
    return service.n >= n && strncasecmp(service.p, name, n) == 0 && (service.n == n || service.p[n] == '.');
}

static bool allowed(const struct epc_cfg_calls *cfg, struct epc_str service)
{
    for (size_t i = 0; i < cfg->n_services; i++)
        if (within(service, cfg->services[i]))
            return true;
    return false;
}

/* "urn%3Aurn-7%3A..." as in a feature tag (TS 24.229 7.9.2). */
static char *unescaped(struct epc_str s)
{
    char *out = malloc(s.n + 1), *to = out;
    for (size_t i = 0; out && i < s.n; i++) {
        bool colon = s.n - i >= 3 && s.p[i] == '%' && s.p[i + 1] == '3' && (s.p[i + 2] | 0x20) == 'a';
        *to++ = colon ? ':' : s.p[i];
        i += colon ? 2 : 0;
    }
    if (to)
        *to = 0;
    return out;
}

/* Accept-Contact that names communication services must name this one. */
static bool fits_contacts(msg_t *msg, struct epc_str service)
{
    static const char tag[] = "g.3gpp.icsi-ref";
    bool named = false;
    for (unsigned i = 0;; i++) {
        struct epc_str v = epc_sip_get(msg, "Accept-Contact", i);
        const char *at = v.p ? memmem(v.p, v.n, tag, sizeof tag - 1) : NULL;
        if (!v.p)
            return !named;
        if (!at)
            continue;
        named = true;
        struct epc_str rest = {at, v.n - (size_t)(at - v.p)};
        epc_str_cut(&rest, '"');
        struct epc_str list = epc_str_cut(&rest, '"');
        while (list.p) {
            char *one = unescaped(epc_str_trim(epc_str_cut(&list, ',')));
            bool same = one && (within(service, one) || (strlen(one) >= service.n &&
                                                         strncasecmp(one, service.p, service.n) == 0));
            free(one);
            if (same)
                return true;
        }
    }
}

enum epc_err service_assert(struct transfer *x, msg_t *msg, const struct claim *c, struct epc_cause *cause)
{
    const struct epc_cfg_calls *cfg = &x->ss->cfg->calls;
    struct epc_str rest = {c->services.p, c->services.n};
    if (c->services.failed)
        return EPC_ENOMEM;
    if (c->services.n == 0)
        return EPC_OK;
    while (rest.p) {
        struct epc_str one = epc_str_trim(epc_str_cut(&rest, ','));
        if (!allowed(cfg, one) || !fits_contacts(msg, one))
            continue;
        return epc_sip_add(msg, "P-Asserted-Service", "%.*s", EPC_STR_ARG(one));
    }
    epc_count(EPC_C_SESSION_SERVICES_REFUSED);
    epc_log(EPC_LOG_INFO, "session", "event=service-not-allowed services=\"%.200s\"", c->services.p);
    if (!cfg->strict_services || x->emergency)
        return EPC_OK;
    epc_cause_set(cause, 403, "TS 24.229 5.2.6.3.3", "service is not allowed");
    return EPC_EPOLICY;
}

enum epc_err priority_assert(struct transfer *x, msg_t *msg, const struct claim *c, const struct identity *id)
{
    const struct epc_cfg_calls *cfg = &x->ss->cfg->calls;
    if (c->priority.failed)
        return EPC_ENOMEM;
    if (c->priority.n == 0)
        return EPC_OK;
    for (size_t i = 0; i < cfg->n_priority_users; i++)
        for (size_t k = 0; k < EPC_ARRAY_LEN(id->uri); k++)
            if (id->uri[k] && strcasecmp(cfg->priority_users[i], id->uri[k]) == 0)
                return epc_sip_add(msg, "Resource-Priority", "%s", c->priority.p);
    return EPC_OK;
}
