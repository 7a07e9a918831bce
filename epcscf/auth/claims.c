/* What a token with a good signature says: audience, times, scope, WWSF, identities. */
#include "auth/auth_priv.h"

#include <stdlib.h>
#include <string.h>

/* Beyond this a time is nonsense, and sums could overflow. */
#define NUMERIC_DATE_MAX ((uint64_t)1 << 53)

enum epc_err epc_verdict_invalid(struct epc_verdict *v, const char *why)
{
    epc_cause_set(&v->cause, 401, "RFC 8898 2.2", "Invalid Token (%s)", why);
    v->error = "invalid_token";
    return EPC_EAUTH;
}

/* One text for all, and that of registration/ too: the answer must not tell which identities there are. */
static enum epc_err forbidden(struct epc_verdict *v, const char *why)
{
    epc_cause_set(&v->cause, 403, "TS 33.203 X.4.1", "Identity not allowed");
    v->error = NULL;
    v->why = why;
    return EPC_EPOLICY;
}

enum epc_err epc_verdict_unavailable(struct epc_verdict *v, unsigned retry_after_s, const char *why)
{
    epc_cause_set(&v->cause, 503, "RFC 3261 21.5.4", "Service Unavailable");
    v->cause.retry_after_s = retry_after_s;
    v->error = NULL;
    v->why = why;
    return EPC_EAGAIN;
}

/* A claim by its name; where there is none of that name, dots lead into nested objects. */
static const json_t *claim(const json_t *claims, const char *name)
{
    const json_t *found = json_object_get(claims, name);
    struct epc_str rest = epc_str_c(name);
    if (found || !memchr(rest.p, '.', rest.n))
        return found;
    for (found = claims; rest.p && found;) {
        char part[128];
        struct epc_str cut = epc_str_cut(&rest, '.');
        if (cut.n >= sizeof part)
            return NULL;
        snprintf(part, sizeof part, "%.*s", EPC_STR_ARG(cut));
        found = json_object_get(found, part);
    }
    return found;
}

static bool audience_ok(const json_t *aud, const char *ours)
{
    const json_t *one;
    size_t i;
    if (json_is_string(aud))
        return strcmp(json_string_value(aud), ours) == 0;
    json_array_foreach(aud, i, one) {
        if (json_is_string(one) && strcmp(json_string_value(one), ours) == 0)
            return true;
    }
    return false;
}

/* NumericDate (RFC 7519 2): seconds, maybe with a fraction. *present false when it is missing. */
static bool numeric_date(const json_t *claims, const char *name, uint64_t *out, bool *present)
{
    const json_t *j = json_object_get(claims, name);
    *present = j != NULL;
    *out = 0;
    if (!j)
        return true;
    if (json_is_integer(j)) {
        if (json_integer_value(j) < 0 || (uint64_t)json_integer_value(j) > NUMERIC_DATE_MAX)
            return false;
        *out = (uint64_t)json_integer_value(j);
        return true;
    }
    if (!json_is_real(j) || !(json_real_value(j) >= 0) ||
        json_real_value(j) > (double)NUMERIC_DATE_MAX)
        return false;
    *out = (uint64_t)json_real_value(j);
    return true;
}

static enum epc_err check_times(const json_t *claims, const struct epc_cfg_issuer *is,
                                uint64_t now_s, uint64_t *exp_s, uint64_t *iat_s, struct epc_verdict *v)
{
    uint64_t exp, nbf, iat;
    bool has_exp, has_nbf, has_iat;
    if (!numeric_date(claims, "exp", &exp, &has_exp) ||
        !numeric_date(claims, "nbf", &nbf, &has_nbf) ||
        !numeric_date(claims, "iat", &iat, &has_iat))
        return epc_verdict_invalid(v, "time claim is not a number");
    if (!has_exp)
        return epc_verdict_invalid(v, "no exp");
    if (now_s >= exp + is->skew_s)
        return epc_verdict_invalid(v, "expired");
    if (has_nbf && nbf > now_s + is->skew_s)
        return epc_verdict_invalid(v, "not yet valid");
    if (has_iat && iat > now_s + is->skew_s)
        return epc_verdict_invalid(v, "issued in the future");
    /* Without iat the rest of the lifetime stands for the whole. */
    uint64_t start = has_iat ? iat : now_s + is->skew_s;
    if (is->max_lifetime_s && exp > start && exp - start > is->max_lifetime_s)
        return epc_verdict_invalid(v, "lifetime too long");
    *exp_s = exp;
    *iat_s = iat;
    return EPC_OK;
}

static bool scope_has(const char *scopes, const char *want)
{
    struct epc_str rest = epc_str_c(scopes);
    while (rest.p) {
        if (epc_str_eqc(epc_str_cut(&rest, ' '), want))
            return true;
    }
    return false;
}

static enum epc_err check_scope(const json_t *claims, const struct epc_cfg_issuer *is,
                                struct epc_verdict *v)
{
    if (!is->scope || !*is->scope)
        return EPC_OK;
    if (scope_has(json_string_value(json_object_get(claims, "scope")), is->scope))
        return EPC_OK;
    epc_cause_set(&v->cause, 401, "RFC 8898 4", "Insufficient Scope");
    v->error = "invalid_scope";
    v->scope = is->scope;
    return EPC_EAUTH;
}

static bool origin_ok(const struct epc_cfg_issuer *is, const struct epc_cfg_origin *origin)
{
    for (size_t i = 0; origin && i < is->n_origins; i++) {
        if (strcmp(is->origins[i], origin->origin) == 0)
            return true;
    }
    return is->n_origins == 0;
}

/* azp and client_id both name the client that the token was issued to: the WWSF. */
static enum epc_err check_wwsf(const char **wwsf, const json_t *claims,
                               const struct epc_cfg_issuer *is, const struct epc_cfg_origin *origin,
                               struct epc_verdict *v)
{
    const json_t *azp = json_object_get(claims, "azp");
    const json_t *client = json_object_get(claims, "client_id");
    const char *id = json_string_value(azp ? azp : client);
    bool listed = false;
    if (!id || !*id)
        return forbidden(v, "token names no WWSF");
    if (azp && client && !json_equal(azp, client))
        return forbidden(v, "azp and client_id differ");
    for (size_t i = 0; i < is->n_wwsfs; i++)
        listed = listed || strcmp(is->wwsfs[i], id) == 0;
    if (!listed)
        return forbidden(v, "WWSF not allowed for this issuer");
    if (origin && (!origin->wwsf || strcmp(origin->wwsf, id) != 0))
        return forbidden(v, "WWSF does not belong to this Origin");
    if (!origin_ok(is, origin))
        return forbidden(v, "Origin not allowed for this issuer");
    *wwsf = id;
    return EPC_OK;
}

static bool home_domain_ok(const struct epc_cfg_issuer *is, const char *id)
{
    const char *at = strrchr(id, '@');
    for (size_t i = 0; at && i < is->n_home_domains; i++) {
        if (epc_str_ieqc(epc_str_c(at + 1), is->home_domains[i]))
            return true;
    }
    return is->n_home_domains == 0 || !at; /* tel: has none */
}

static enum epc_err add_impu(struct epc_identity *id, const json_t *uri, const struct epc_cfg_issuer *is,
                             struct epc_verdict *v)
{
    if (!json_is_string(uri))
        return forbidden(v, "public identity is not a string");
    char *canonical = epc_canonical_impu((struct epc_str){json_string_value(uri), json_string_length(uri)});
    if (!canonical)
        return forbidden(v, "public identity is no sip or tel URI");
    id->impus[id->n_impus++] = canonical;
    return home_domain_ok(is, canonical) ? EPC_OK
                                         : forbidden(v, "public identity of a foreign domain");
}

static enum epc_err read_identities(struct epc_identity *id, const json_t *claims,
                                    const struct epc_cfg_issuer *is, struct epc_verdict *v)
{
    const json_t *impi = claim(claims, is->impi_claim);
    const json_t *impu = claim(claims, is->impu_claim), *one;
    size_t n = json_is_array(impu) ? json_array_size(impu) : json_is_string(impu) ? 1 : 0, i;
    enum epc_err err = EPC_OK;
    id->impi = json_is_string(impi)
                   ? epc_canonical_impi((struct epc_str){json_string_value(impi), json_string_length(impi)})
                   : NULL;
    if (!id->impi)
        return forbidden(v, "token grants no usable private identity");
    if (!home_domain_ok(is, id->impi))
        return forbidden(v, "private identity of a foreign domain");
    if (n == 0 || n > EPC_IMPUS_MAX)
        return forbidden(v, "token grants no public identity, or too many");
    id->impus = calloc(n, sizeof *id->impus);
    if (!id->impus)
        return EPC_ENOMEM;
    if (json_is_string(impu))
        return add_impu(id, impu, is, v);
    json_array_foreach(impu, i, one) {
        err = add_impu(id, one, is, v);
        if (err != EPC_OK)
            break;
    }
    return err;
}

static bool has_pool(const struct epc_cfg_tokens *cfg, const char *wwsf)
{
    for (size_t i = 0; i < cfg->n_pools; i++) {
        if (strcmp(cfg->pools[i].wwsf, wwsf) == 0)
            return true;
    }
    return false;
}

static enum epc_err pool_violation(struct epc_verdict *v, const char *why)
{
    epc_count(EPC_C_AUTH_POOL);
    return forbidden(v, why);
}

/* Also users with subscriptions of their own, beside those that borrow one. */
static bool is_exclusive(const struct epc_cfg_tokens *cfg, const char *wwsf)
{
    for (size_t i = 0; i < cfg->n_pools; i++) {
        if (strcmp(cfg->pools[i].wwsf, wwsf) == 0 && !cfg->pools[i].shared)
            return true;
    }
    return false;
}

/* TS 33.203 X.4.1 REQ 3.2: a WWSF with a pool lends its own subscriptions, and nothing else unless the
 * configuration says so; nobody else grants them. */
static enum epc_err check_pool(struct epc_identity *id, const struct epc_cfg_tokens *cfg, const char *wwsf,
                               struct epc_verdict *v)
{
    size_t pool = epc_pool_of_impi(cfg->pool_index, id->impi);
    bool lent = pool != EPC_POOL_NONE;
    for (size_t i = 0; i < id->n_impus; i++)
        lent = lent || epc_pool_of_impu(cfg->pool_index, id->impus[i]) != EPC_POOL_NONE;
    if (!has_pool(cfg, wwsf))
        return lent ? pool_violation(v, "identity of a pool, WWSF has none") : EPC_OK;
    if (!lent && !is_exclusive(cfg, wwsf))
        return EPC_OK;
    if (pool == EPC_POOL_NONE || strcmp(cfg->pools[pool].wwsf, wwsf) != 0)
        return pool_violation(v, "private identity is not in the WWSF's pool");
    if (id->n_impus != 1)
        return pool_violation(v, "a pool subscription has exactly one public identity");
    if (!epc_pool_has_pair(cfg->pool_index, pool, id->impi, id->impus[0]))
        return pool_violation(v, "not the pool's pair of identities");
    id->pool = true;
    id->anonymous = cfg->pools[pool].anonymous;
    return EPC_OK;
}

enum epc_err epc_claims_check(struct epc_identity **out, const json_t *claims,
                              const struct epc_cfg_tokens *cfg,
                              const struct epc_cfg_issuer *issuer,
                              const struct epc_cfg_origin *origin, uint64_t now_s,
                              struct epc_verdict *v)
{
    const char *wwsf = NULL;
    enum epc_err err = EPC_ENOMEM;
    struct epc_identity *id = calloc(1, sizeof *id);
    if (!id)
        goto out;
    id->holders = 1;
    if (!audience_ok(json_object_get(claims, "aud"), issuer->audience)) {
        err = epc_verdict_invalid(v, "wrong audience");
        goto out;
    }
    err = check_times(claims, issuer, now_s, &id->expires_at_s, &id->issued_at_s, v);
    if (err != EPC_OK)
        goto out;
    err = check_scope(claims, issuer, v);
    if (err != EPC_OK)
        goto out;
    err = check_wwsf(&wwsf, claims, issuer, origin, v);
    if (err != EPC_OK)
        goto out;
    err = read_identities(id, claims, issuer, v);
    if (err == EPC_OK)
        err = check_pool(id, cfg, wwsf, v);
    if (err != EPC_OK)
        goto out;
    id->wwsf = epc_str_dup(epc_str_c(wwsf));
    id->issuer = epc_str_dup(epc_str_c(issuer->issuer));
    id->waf = issuer->waf ? epc_str_dup(epc_str_c(issuer->waf)) : NULL;
    if (!id->wwsf || !id->issuer || (issuer->waf && !id->waf))
        err = EPC_ENOMEM;
out:
    if (err == EPC_ENOMEM)
        epc_cause_set(&v->cause, 500, NULL, "Out Of Memory");
    if (err == EPC_OK)
        *out = id;
    else
        epc_identity_free(id);
    return err;
}

void epc_identity_free(struct epc_identity *id)
{
    if (!id || id->holders-- > 1)
        return;
    for (size_t i = 0; i < id->n_impus; i++)
        free(id->impus[i]);
    free(id->impus);
    free(id->impi);
    free(id->wwsf);
    free(id->issuer);
    free(id->waf);
    free(id);
}
