/* Access tokens: JWT (RFC 7519) in the profile of RFC 9068, with the IMS identities of TS 23.228
 * U.2.1.3 as claims. */
#include "wwsf/wwsf_priv.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Stable for one user of one issuer, and not the log-in name itself. */
static bool subject(char out[33], const char *issuer, const char *user)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    struct epc_buf b = {0};
    epc_buf_printf(&b, "%s\n%s", issuer, user);
    bool ok = !b.failed && EVP_Digest(b.p, b.n, digest, NULL, EVP_sha256(), NULL) == 1;
    epc_buf_free(&b);
    for (size_t i = 0; ok && i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return ok;
}

static json_t *claims(const struct epc_cfg_wwsf *cfg, const struct epc_user *u, uint64_t now_s)
{
    char sub[33], jti[33];
    if (!subject(sub, cfg->issuer, u->name))
        return NULL;
    epc_random_hex(jti, 16);
    json_t *impus = json_array();
    int bad = impus ? 0 : -1;
    for (size_t i = 0; !bad && i < u->n_impus; i++)
        bad = json_array_append_new(impus, json_string(u->impus[i]));
    if (bad) {
        json_decref(impus);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:o}",
                     "iss", cfg->issuer, "aud", cfg->audience, "sub", sub,
                     "iat", (json_int_t)now_s, "nbf", (json_int_t)now_s,
                     "exp", (json_int_t)(now_s + cfg->token_lifetime_s), "jti", jti,
                     "scope", cfg->scope, "azp", cfg->id, "client_id", cfg->id,
                     "impi", u->impi, "impu", impus);
}

/* Takes @p j. */
static bool add_part(struct epc_buf *out, json_t *j)
{
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    if (!text)
        return false;
    epc_base64url(out, text, strlen(text));
    free(text);
    return true;
}

char *epc_token_make(const struct epc_key *k, const struct epc_cfg_wwsf *cfg,
                     const struct epc_user *u, uint64_t now_s)
{
    struct epc_buf b = {0};
    bool ok = add_part(&b, json_pack("{s:s, s:s, s:s}", "alg", epc_key_alg(k), "typ", "at+jwt",
                                     "kid", epc_key_kid(k)));
    epc_buf_adds(&b, ".");
    ok = ok && add_part(&b, claims(cfg, u, now_s)) && !b.failed;
    if (ok) {
        struct epc_buf sig = {0};
        ok = epc_key_sign(k, (struct epc_str){b.p, b.n}, &sig) == EPC_OK && !sig.failed;
        epc_buf_adds(&b, ".");
        epc_buf_add(&b, sig.p, sig.n);
        epc_buf_free(&sig);
    }
    if (!ok) {
        epc_buf_free(&b);
        return NULL;
    }
    return epc_buf_take(&b, NULL);
}
