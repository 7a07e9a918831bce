#include "auth/auth_priv.h"

#include <stdlib.h>
#include <string.h>

enum epc_err epc_auth_create(struct epc_auth **out, struct epc_shard *sh,
                             const struct epc_cfg_tokens *cfg)
{
    if (!out || !sh || !cfg)
        return EPC_EINVAL;
    struct epc_auth *a = calloc(1, sizeof *a);
    if (!a)
        return EPC_ENOMEM;
    a->sh = sh;
    a->cfg = cfg;
    enum epc_err err = epc_revocations_init(&a->revoked);
    a->sources = calloc(cfg->n_issuers + 1, sizeof *a->sources);
    if (!a->sources)
        err = EPC_ENOMEM;
    for (size_t i = 0; err == EPC_OK && i < cfg->n_issuers; i++) {
        uint64_t life_s = (uint64_t)cfg->issuers[i].max_lifetime_s + 2 * (uint64_t)cfg->issuers[i].skew_s;
        if (life_s > a->longest_token_s)
            a->longest_token_s = life_s;
        err = epc_source_open(&a->sources[i], a, &cfg->issuers[i]);
    }
    if (err == EPC_OK)
        *out = a;
    else
        epc_auth_destroy(a);
    return err;
}

void epc_auth_destroy(struct epc_auth *a)
{
    if (!a)
        return;
    for (size_t i = 0; a->sources && i < a->cfg->n_issuers; i++)
        epc_source_close(&a->sources[i]);
    free(a->sources);
    epc_revocations_clear(&a->revoked);
    free(a);
}

void epc_auth_reload(struct epc_auth *a)
{
    EPC_ASSERT_OWNER(a->sh);
    for (size_t i = 0; i < a->cfg->n_issuers; i++)
        epc_source_reload(&a->sources[i]);
}

void epc_auth_revoke(struct epc_auth *a, const char *impi, uint64_t before_s)
{
    char id[EPC_LOG_ID_LEN];
    EPC_ASSERT_OWNER(a->sh);
    epc_revocations_add(&a->revoked, impi, before_s, a->longest_token_s, epc_wall_s());
    epc_log(EPC_LOG_INFO, "auth", "event=tokens_revoked impi=%s before=%llu",
            epc_log_id(epc_str_c(impi), id), (unsigned long long)before_s);
}

/* ---- challenge ------------------------------------------------------------------------------ */

static void add_quoted(struct epc_buf *b, const char *name, const char *value)
{
    epc_buf_printf(b, "%s=\"", name);
    for (const char *c = value ? value : ""; *c; c++) {
        if (*c == '"' || *c == '\\')
            epc_buf_adds(b, "\\");
        if ((unsigned char)*c >= ' ')
            epc_buf_add(b, c, 1);
    }
    epc_buf_adds(b, "\"");
}

static char *challenge(const struct epc_auth *a, const char *error, const char *scope)
{
    struct epc_buf b = {0};
    epc_buf_adds(&b, "Bearer ");
    add_quoted(&b, "realm", a->cfg->realm);
    if (scope && *scope) {
        epc_buf_adds(&b, ", ");
        add_quoted(&b, "scope", scope);
    }
    epc_buf_adds(&b, ", ");
    add_quoted(&b, "authz_server", a->cfg->authz_server);
    if (error) {
        epc_buf_adds(&b, ", ");
        add_quoted(&b, "error", error);
    }
    return epc_buf_take(&b, NULL);
}

char *epc_auth_challenge(const struct epc_auth *a, const char *error)
{
    const char *scope = NULL;
    if (!error || strcmp(error, "invalid_scope") == 0) {
        for (size_t i = 0; !scope && i < a->cfg->n_issuers; i++)
            scope = a->cfg->issuers[i].scope;
    }
    return challenge(a, error, scope);
}

/* ---- verification --------------------------------------------------------------------------- */

static bool alg_allowed(const struct epc_cfg_issuer *is, enum epc_jwt_alg alg)
{
    if (alg == EPC_JWT_ALG_NONE)
        return false;
    for (size_t i = 0; i < is->n_algorithms; i++) {
        if (strcmp(is->algorithms[i], epc_jwt_alg_name(alg)) == 0)
            return true;
    }
    return false;
}

/* Issuer, algorithm, key, signature, in this order; then the claims. */
static enum epc_err check_token(const struct epc_auth *a, const struct epc_jwt *t,
                                const struct epc_cfg_origin *origin, struct epc_identity **id,
                                struct epc_verdict *v)
{
    const struct epc_cfg_issuer *is = NULL;
    const struct epc_jwks *keys = NULL;
    const char *iss = json_string_value(json_object_get(t->claims, "iss"));
    for (size_t i = 0; iss && !is && i < a->cfg->n_issuers; i++) {
        if (strcmp(a->cfg->issuers[i].issuer, iss) == 0) {
            is = &a->cfg->issuers[i];
            keys = &a->sources[i].keys;
        }
    }
    if (!is)
        return epc_verdict_invalid(v, "unknown issuer");
    if (!alg_allowed(is, t->alg))
        return epc_verdict_invalid(v, "algorithm not allowed");
    if (!t->kid)
        return epc_verdict_invalid(v, "no kid in header");
    const struct epc_jwk *key = epc_jwks_find(keys, t->kid);
    if (!key)
        return epc_verdict_invalid(v, "unknown key");
    if (key->alg != t->alg)
        return epc_verdict_invalid(v, "algorithm does not fit the key");
    if (!epc_jwt_signature_ok(t, key))
        return epc_verdict_invalid(v, "bad signature");
    uint64_t now_s = epc_wall_s();
    enum epc_err err = epc_claims_check(id, t->claims, is, origin, now_s, v);
    if (err == EPC_OK && epc_revocations_cover(&a->revoked, (*id)->impi, (*id)->issued_at_s, now_s)) {
        epc_identity_free(*id);
        *id = NULL;
        err = epc_verdict_invalid(v, "revoked");
    }
    return err;
}

static void refuse(const struct epc_auth *a, enum epc_err err, const struct epc_verdict *v,
                   epc_auth_done_fn *done, void *arg)
{
    char *header = v->error ? challenge(a, v->error, v->scope) : NULL;
    epc_count(EPC_C_AUTH_TOKENS_BAD);
    if (v->cause.sip_status == 403)
        epc_count(EPC_C_AUTH_FORBIDDEN);
    epc_log(v->cause.sip_status == 403 ? EPC_LOG_WARN : EPC_LOG_INFO, "auth",
            "event=token_refused status=%d reason=\"%s\" spec=\"%s\"", v->cause.sip_status,
            v->cause.reason, v->cause.spec ? v->cause.spec : "");
    done(arg, err, NULL, &v->cause, header ? header : "");
    free(header);
}

/* JWTs need no I/O: the answer is always ready at once. */
struct epc_auth_pending *epc_auth_verify(struct epc_auth *a, struct epc_str token,
                                         const struct epc_cfg_origin *origin,
                                         epc_auth_done_fn *done, void *arg)
{
    EPC_ASSERT_OWNER(a->sh);
    struct epc_verdict v = {0};
    struct epc_identity *id = NULL;
    struct epc_jwt t;
    const char *why = NULL;
    enum epc_err err = epc_jwt_parse(&t, token, &why);
    if (err == EPC_OK) {
        err = check_token(a, &t, origin, &id, &v);
        epc_jwt_clear(&t);
    } else if (err == EPC_ENOMEM) {
        epc_cause_set(&v.cause, 500, NULL, "Out Of Memory");
    } else {
        err = epc_verdict_invalid(&v, why);
    }
    if (err != EPC_OK) {
        refuse(a, err, &v, done, arg);
        return NULL;
    }
    id->token_hash = epc_hash_bytes(token.p, token.n);
    epc_count(EPC_C_AUTH_TOKENS_OK);
    done(arg, EPC_OK, id, &v.cause, "");
    return NULL;
}

void epc_auth_cancel(struct epc_auth_pending *p)
{
    (void)p; /* no verification outlives the call that started it */
}
