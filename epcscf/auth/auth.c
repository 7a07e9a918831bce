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
    if (err == EPC_OK)
        err = epc_proven_init(&a->proven);
    a->sources = calloc(cfg->n_issuers + 1, sizeof *a->sources);
    a->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    a->md_ctx = EVP_MD_CTX_new();
    if (!a->sources || !a->sha256 || !a->md_ctx)
        err = EPC_ENOMEM;
    for (size_t i = 0; err == EPC_OK && i < cfg->n_issuers; i++) {
        uint64_t life_s = (uint64_t)cfg->issuers[i].max_lifetime_s + 2 * (uint64_t)cfg->issuers[i].skew_s;
        if (life_s > a->longest_token_s)
            a->longest_token_s = life_s;
        err = epc_source_open(&a->sources[i], a, &cfg->issuers[i]);
    }
    if (err == EPC_OK)
        err = epc_introspection_open(&a->introspection, a);
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
    epc_introspection_close(&a->introspection, a);
    for (size_t i = 0; a->sources && i < a->cfg->n_issuers; i++)
        epc_source_close(&a->sources[i]);
    free(a->sources);
    epc_revocations_clear(&a->revoked);
    epc_proven_clear(&a->proven);
    EVP_MD_CTX_free(a->md_ctx);
    EVP_MD_free(a->sha256);
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
    char *canonical = epc_canonical_impi(epc_str_c(impi)); /* the form that tokens are compared in */
    epc_revocations_add(&a->revoked, canonical ? canonical : impi, before_s, a->longest_token_s, epc_wall_s());
    free(canonical);
    epc_log(EPC_LOG_INFO, "auth", "event=tokens_revoked impi=%s before=%llu",
            epc_log_id(epc_str_c(impi), id), (unsigned long long)before_s);
}

void epc_auth_superseded(struct epc_auth *a, struct epc_identity *id)
{
    EPC_ASSERT_OWNER(a->sh);
    epc_proven_drop(&a->proven, id);
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

char *epc_challenge_text(const struct epc_cfg_tokens *cfg, const struct epc_cfg_issuer *is,
                         const char *error, const char *scope)
{
    struct epc_buf b = {0};
    epc_buf_adds(&b, "Bearer ");
    add_quoted(&b, "realm", is && is->realm ? is->realm : cfg->realm);
    if (scope && *scope) {
        epc_buf_adds(&b, ", ");
        add_quoted(&b, "scope", scope);
    }
    epc_buf_adds(&b, ", ");
    add_quoted(&b, "authz_server", is && is->authz_server ? is->authz_server : cfg->authz_server);
    if (error) {
        epc_buf_adds(&b, ", ");
        add_quoted(&b, "error", error);
    }
    return epc_buf_take(&b, NULL);
}

/* Whose tokens would a page of this Origin bring? */
static const struct epc_cfg_issuer *issuer_for(const struct epc_cfg_tokens *cfg,
                                               const struct epc_cfg_origin *origin)
{
    for (size_t i = 0; origin && origin->wwsf && i < cfg->n_issuers; i++) {
        const struct epc_cfg_issuer *is = &cfg->issuers[i];
        bool may = is->n_origins == 0;
        for (size_t k = 0; k < is->n_origins; k++)
            may = may || strcmp(is->origins[k], origin->origin) == 0;
        for (size_t k = 0; may && k < is->n_wwsfs; k++) {
            if (strcmp(is->wwsfs[k], origin->wwsf) == 0)
                return is;
        }
    }
    return NULL;
}

char *epc_auth_challenge_for(const struct epc_auth *a, const struct epc_cfg_origin *origin, const char *error)
{
    const struct epc_cfg_issuer *is = issuer_for(a->cfg, origin);
    const char *scope = NULL;
    if (!error || strcmp(error, "invalid_scope") == 0) {
        scope = is ? is->scope : NULL;
        for (size_t i = 0; !scope && i < a->cfg->n_issuers; i++)
            scope = a->cfg->issuers[i].scope;
    }
    return epc_challenge_text(a->cfg, is, error, scope);
}

char *epc_auth_challenge(const struct epc_auth *a, const char *error)
{
    return epc_auth_challenge_for(a, NULL, error);
}
