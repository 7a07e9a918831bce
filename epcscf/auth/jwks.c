/* JSON Web Key sets (RFC 7517, 7518 6, 8037): RSA, EC P-256 and P-384, Ed25519 public keys for
 * signatures. */
#include "auth/auth_priv.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

enum { RSA_MIN_BITS = 2048, RSA_MAX_BITS = 8192, EC_MAX_OCTETS = 48, ED25519_OCTETS = 32, COMPONENT_MAX_OCTETS = 1100 };

/* A base64url member; 0 when it is missing, malformed or too long. */
static size_t octets(const json_t *jwk, const char *name, unsigned char out[COMPONENT_MAX_OCTETS])
{
    struct epc_str text = epc_str_c(json_string_value(json_object_get(jwk, name)));
    size_t n;
    if (text.n == 0 || text.n > COMPONENT_MAX_OCTETS ||
        epc_base64url_decode(text, out, &n) != EPC_OK)
        return 0;
    return n;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *bld)
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return pkey;
}

static EVP_PKEY *rsa_key(const json_t *jwk, const char **why)
{
    unsigned char n_octets[COMPONENT_MAX_OCTETS], e_octets[COMPONENT_MAX_OCTETS];
    size_t n_len = octets(jwk, "n", n_octets), e_len = octets(jwk, "e", e_octets);
    EVP_PKEY *pkey = NULL;
    BIGNUM *n = BN_bin2bn(n_octets, (int)n_len, NULL), *e = BN_bin2bn(e_octets, (int)e_len, NULL);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    if (!n || !e || !bld) {
        *why = "out of memory";
    } else if (BN_num_bits(n) < RSA_MIN_BITS || BN_num_bits(n) > RSA_MAX_BITS || !BN_is_odd(n)) {
        *why = "RSA modulus missing, under 2048 bits or unsound";
    } else if (!BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > 64) {
        *why = "RSA exponent missing or unsound";
    } else if (OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
               OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) != 1 ||
               !(pkey = from_params("RSA", bld))) {
        *why = "RSA key refused by OpenSSL";
    }
    OSSL_PARAM_BLD_free(bld);
    BN_free(n);
    BN_free(e);
    return pkey;
}

static EVP_PKEY *ec_key(const json_t *jwk, struct epc_jwk *k, const char **why)
{
    unsigned char x[COMPONENT_MAX_OCTETS], y[COMPONENT_MAX_OCTETS], point[1 + 2 * EC_MAX_OCTETS] = {4};
    size_t n = k->alg == EPC_JWT_ES384 ? 48 : 32;
    if (octets(jwk, "x", x) != n || octets(jwk, "y", y) != n) {
        *why = "x or y is not as long as the curve's numbers";
        return NULL;
    }
    memcpy(point + 1, x, n);
    memcpy(point + 1 + n, y, n);
    EVP_PKEY *pkey = NULL;
    const char *group = k->alg == EPC_JWT_ES384 ? "secp384r1" : "prime256v1";
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    if (bld && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * n) == 1)
        pkey = from_params("EC", bld);
    OSSL_PARAM_BLD_free(bld);
    EVP_PKEY_CTX *check = pkey ? EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL) : NULL;
    if (!check || EVP_PKEY_public_check(check) != 1) {
        *why = "the point is not on the curve";
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    EVP_PKEY_CTX_free(check);
    if (k->alg == EPC_JWT_ES256)
        memcpy(k->point, point, sizeof k->point);
    return pkey;
}

static EVP_PKEY *ed25519_key(const json_t *jwk, const char **why)
{
    unsigned char x[COMPONENT_MAX_OCTETS];
    EVP_PKEY *pkey = octets(jwk, "x", x) == ED25519_OCTETS
                         ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, ED25519_OCTETS)
                         : NULL;
    if (!pkey)
        *why = "x is no Ed25519 key";
    return pkey;
}

/* The algorithm that the key is for; EPC_JWT_ALG_NONE with *why: none that we know. */
static enum epc_jwt_alg key_alg(const json_t *jwk, const char *kty, const char **why)
{
    const char *alg = json_string_value(json_object_get(jwk, "alg"));
    const char *crv = json_string_value(json_object_get(jwk, "crv"));
    enum epc_jwt_alg a = EPC_JWT_ALG_NONE;
    if (strcmp(kty, "RSA") == 0)
        a = alg && strcmp(alg, "PS256") == 0 ? EPC_JWT_PS256 : EPC_JWT_RS256;
    else if (strcmp(kty, "EC") == 0 && crv)
        a = strcmp(crv, "P-256") == 0 ? EPC_JWT_ES256 : strcmp(crv, "P-384") == 0 ? EPC_JWT_ES384 : a;
    else if (strcmp(kty, "OKP") == 0 && crv && strcmp(crv, "Ed25519") == 0)
        a = EPC_JWT_EDDSA;
    if (a == EPC_JWT_ALG_NONE)
        *why = "neither RSA, nor EC on P-256 or P-384, nor Ed25519";
    else if (alg && strcmp(alg, epc_jwt_alg_name(a)) != 0)
        *why = "alg does not fit the key: RS256, PS256, ES256, ES384 or EdDSA";
    return *why ? EPC_JWT_ALG_NONE : a;
}

/* RFC 7517 4.2, 4.3: where use or key_ops are given they must allow verification. */
static bool for_signatures(const json_t *jwk)
{
    const char *use = json_string_value(json_object_get(jwk, "use"));
    const json_t *ops = json_object_get(jwk, "key_ops"), *op;
    size_t i;
    if (use && strcmp(use, "sig") != 0)
        return false;
    if (!ops)
        return true;
    json_array_foreach(ops, i, op) {
        if (json_is_string(op) && strcmp(json_string_value(op), "verify") == 0)
            return true;
    }
    return false;
}

/* EPC_EPROTO with *why: leave this key out. */
static enum epc_err read_key(struct epc_jwk *out, const json_t *jwk, const char **why)
{
    const char *kty = json_string_value(json_object_get(jwk, "kty"));
    const char *kid = json_string_value(json_object_get(jwk, "kid"));
    struct epc_jwk k = {0};
    *why = NULL;
    if (!kty || !kid || !*kid)
        *why = "no kty or no kid";
    else if (!for_signatures(jwk))
        *why = "not for signatures";
    else
        k.alg = key_alg(jwk, kty, why);
    if (*why)
        return EPC_EPROTO;
    k.pkey = k.alg == EPC_JWT_RS256 || k.alg == EPC_JWT_PS256 ? rsa_key(jwk, why)
             : k.alg == EPC_JWT_EDDSA                         ? ed25519_key(jwk, why)
                                                              : ec_key(jwk, &k, why);
    if (!k.pkey)
        return EPC_EPROTO;
    k.kid = epc_str_dup(epc_str_c(kid));
    if (!k.kid) {
        EVP_PKEY_free(k.pkey);
        return EPC_ENOMEM;
    }
    *out = k;
    return EPC_OK;
}

enum epc_err epc_jwks_parse(struct epc_jwks *out, const char *p, size_t n, const char *name)
{
    struct epc_jwks ks = {0};
    enum epc_err err = EPC_EPROTO;
    const char *why = "no \"keys\" array";
    const json_t *keys, *jwk;
    size_t i;
    json_t *j = epc_json_object(p, n, &why);
    keys = j ? json_object_get(j, "keys") : NULL;
    if (!json_is_array(keys)) {
        epc_log(EPC_LOG_ERROR, "auth", "event=jwks_refused source=\"%s\" reason=\"%s\"", name, why);
        goto out;
    }
    ks.keys = calloc(json_array_size(keys) + 1, sizeof *ks.keys);
    if (!ks.keys) {
        err = EPC_ENOMEM;
        goto out;
    }
    json_array_foreach(keys, i, jwk) {
        struct epc_jwk k;
        err = read_key(&k, jwk, &why);
        if (err == EPC_ENOMEM)
            goto out;
        if (err == EPC_OK && epc_jwks_find(&ks, k.kid)) {
            EVP_PKEY_free(k.pkey);
            free(k.kid);
            why = "kid occurs twice";
            err = EPC_EPROTO;
        }
        if (err == EPC_OK)
            ks.keys[ks.n++] = k;
        else
            epc_log(EPC_LOG_WARN, "auth", "event=jwk_skipped source=\"%s\" index=%zu reason=\"%s\"",
                    name, i, why);
    }
    err = ks.n > 0 ? EPC_OK : EPC_EPROTO;
    if (err != EPC_OK)
        epc_log(EPC_LOG_ERROR, "auth", "event=jwks_refused source=\"%s\" reason=\"no usable key; an issuer's key set (RFC 7517) is needed\"",
                name);
out:
    json_decref(j);
    if (err == EPC_OK)
        *out = ks;
    else
        epc_jwks_clear(&ks);
    return err;
}

enum epc_err epc_jwks_load(struct epc_jwks *out, const char *file)
{
    enum epc_err err = EPC_EIO;
    FILE *f = fopen(file, "rb");
    char *text = malloc(EPC_JWKS_MAX_OCTETS);
    if (!f) {
        epc_log(EPC_LOG_ERROR, "auth", "event=jwks_refused source=\"%s\" reason=\"%s\"", file,
                strerror(errno));
    } else if (!text) {
        err = EPC_ENOMEM;
    } else {
        size_t n = fread(text, 1, EPC_JWKS_MAX_OCTETS, f);
        if (ferror(f) || n == EPC_JWKS_MAX_OCTETS)
            epc_log(EPC_LOG_ERROR, "auth",
                    "event=jwks_refused source=\"%s\" reason=\"unreadable or over %d octets\"", file,
                    EPC_JWKS_MAX_OCTETS);
        else
            err = epc_jwks_parse(out, text, n, file);
    }
    free(text);
    if (f)
        fclose(f);
    return err;
}

void epc_jwks_clear(struct epc_jwks *ks)
{
    for (size_t i = 0; i < ks->n; i++) {
        EVP_PKEY_free(ks->keys[i].pkey);
        epc_p256_free(ks->keys[i].fast);
        free(ks->keys[i].kid);
    }
    free(ks->keys);
    *ks = (struct epc_jwks){0};
}

void epc_jwks_inherit(struct epc_jwks *ks, struct epc_jwks *old)
{
    for (size_t i = 0; i < ks->n; i++) {
        for (size_t k = 0; k < old->n && !ks->keys[i].fast; k++) {
            struct epc_jwk *from = &old->keys[k];
            if (!from->fast || ks->keys[i].alg != EPC_JWT_ES256 ||
                memcmp(ks->keys[i].point, from->point, sizeof from->point) != 0)
                continue;
            ks->keys[i].fast = from->fast;
            from->fast = NULL;
        }
    }
}

struct epc_jwk *epc_jwks_find(const struct epc_jwks *ks, const char *kid)
{
    for (size_t i = 0; i < ks->n; i++) {
        if (strcmp(ks->keys[i].kid, kid) == 0)
            return &ks->keys[i];
    }
    return NULL;
}
