/* Compact JWS (RFC 7515) with the algorithms of RFC 7518 and RFC 8037. The signature is checked with OpenSSL on a
 * key that was made for one algorithm: a token cannot choose another (RFC 8725 3.1, 3.2). */
#include "auth/auth_priv.h"

#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One more than the value; 0: no such digit. */
static const unsigned char digits[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64,
};

enum epc_err epc_base64url_decode(struct epc_str in, unsigned char *out, size_t *n)
{
    const unsigned char *p = (const unsigned char *)in.p;
    size_t rest = in.n % 4, len = 0;
    for (size_t i = 0; i + 4 <= in.n; i += 4) {
        unsigned a = digits[p[i]], b = digits[p[i + 1]], c = digits[p[i + 2]], d = digits[p[i + 3]];
        if (!a || !b || !c || !d)
            return EPC_EPROTO;
        uint32_t v = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
        out[len++] = (unsigned char)(v >> 16);
        out[len++] = (unsigned char)(v >> 8);
        out[len++] = (unsigned char)v;
    }
    if (rest) {
        const unsigned char *t = p + in.n - rest;
        unsigned a = digits[t[0]], b = rest > 1 ? digits[t[1]] : 0, c = rest > 2 ? digits[t[2]] : 1;
        if (!a || !b || !c)
            return EPC_EPROTO;
        uint32_t v = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6;
        if (v & (rest == 2 ? 0xffffu : 0xffu))
            return EPC_EPROTO;
        out[len++] = (unsigned char)(v >> 16);
        if (rest == 3)
            out[len++] = (unsigned char)(v >> 8);
    }
    *n = len;
    return EPC_OK;
}

static bool depth_ok(const char *p, size_t n)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        if (in_string) {
            if (p[i] == '\\')
                i++;
            else if (p[i] == '"')
                in_string = false;
        } else if (p[i] == '"') {
            in_string = true;
        } else if (p[i] == '{' || p[i] == '[') {
            if (++depth > EPC_JSON_MAX_DEPTH)
                return false;
        } else if ((p[i] == '}' || p[i] == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

json_t *epc_json_object(const char *p, size_t n, const char **why)
{
    json_error_t error;
    if (!depth_ok(p, n)) {
        *why = "JSON too deep";
        return NULL;
    }
    json_t *j = json_loadb(p, n, JSON_REJECT_DUPLICATES, &error);
    if (!j) {
        *why = json_error_code(&error) == json_error_duplicate_key ? "duplicate name in JSON"
                                                                  : "not JSON";
        return NULL;
    }
    if (!json_is_object(j)) {
        *why = "JSON is not an object";
        json_decref(j);
        return NULL;
    }
    return j;
}

static json_t *decode_object(struct epc_str part, const char **why)
{
    json_t *j = NULL;
    size_t n;
    unsigned char *text = malloc(part.n + 1);
    if (!text)
        *why = "out of memory";
    else if (epc_base64url_decode(part, text, &n) != EPC_OK)
        *why = "not base64url";
    else
        j = epc_json_object((const char *)text, n, why);
    free(text);
    return j;
}

static const char *const alg_names[] = {
    [EPC_JWT_ALG_NONE] = "none", [EPC_JWT_RS256] = "RS256", [EPC_JWT_PS256] = "PS256",
    [EPC_JWT_ES256] = "ES256",   [EPC_JWT_ES384] = "ES384", [EPC_JWT_EDDSA] = "EdDSA",
};

const char *epc_jwt_alg_name(enum epc_jwt_alg alg)
{
    return alg_names[alg];
}

enum epc_jwt_alg epc_jwt_alg_of(const char *name)
{
    for (size_t i = EPC_JWT_ALG_NONE + 1; i < EPC_ARRAY_LEN(alg_names); i++) {
        if (strcmp(alg_names[i], name) == 0)
            return (enum epc_jwt_alg)i;
    }
    return EPC_JWT_ALG_NONE;
}

/* RFC 7519 5.1 and RFC 9068 2.1: media type, "application/" may be left out. */
static bool typ_ok(const json_t *typ)
{
    const char *t = json_string_value(typ);
    if (!t)
        return typ == NULL;
    if (strncasecmp(t, "application/", 12) == 0)
        t += 12;
    return strcasecmp(t, "JWT") == 0 || strcasecmp(t, "at+jwt") == 0;
}

static enum epc_err read_header(struct epc_jwt *t, const char **why)
{
    const char *alg = json_string_value(json_object_get(t->header, "alg"));
    t->kid = json_string_value(json_object_get(t->header, "kid"));
    *why = !alg                                    ? "no alg in header"
           : json_object_get(t->header, "crit")    ? "crit in header" /* RFC 7515 4.1.11 */
           : !typ_ok(json_object_get(t->header, "typ")) ? "typ is not JWT or at+jwt"
                                                   : NULL;
    if (*why)
        return EPC_EPROTO;
    t->alg = epc_jwt_alg_of(alg);
    return EPC_OK;
}

void epc_jwt_header_clear(struct epc_jwt_header *h)
{
    free((char *)(uintptr_t)h->text.p);
    json_decref(h->json);
    *h = (struct epc_jwt_header){0};
}

void epc_jwt_header_keep(struct epc_jwt_header *h, const struct epc_jwt *t)
{
    char *text = epc_str_eq(h->text, t->header_text) ? NULL : epc_str_dup(t->header_text);
    if (!text)
        return;
    epc_jwt_header_clear(h);
    *h = (struct epc_jwt_header){{text, t->header_text.n}, json_incref(t->header)};
}

enum epc_err epc_jwt_parse(struct epc_jwt *out, struct epc_str token, const struct epc_jwt_header *known,
                           const char **why)
{
    struct epc_jwt t = {0};
    struct epc_str rest = token, header, claims;
    enum epc_err err = EPC_EPROTO;
    if (token.n > EPC_TOKEN_MAX_OCTETS) {
        *why = "token too long";
        return EPC_EPROTO;
    }
    header = epc_str_cut(&rest, '.');
    claims = epc_str_cut(&rest, '.');
    if (!rest.p || header.n == 0 || claims.n == 0 || memchr(rest.p, '.', rest.n)) {
        *why = "not a compact JWS of three parts";
        return EPC_EPROTO;
    }
    t.signing_input = (struct epc_str){token.p, header.n + 1 + claims.n};
    t.header_text = header;
    t.header = known && known->json && epc_str_eq(known->text, header) ? json_incref(known->json)
                                                                       : decode_object(header, why);
    if (!t.header)
        goto out;
    t.claims = decode_object(claims, why);
    if (!t.claims)
        goto out;
    t.signature = malloc(rest.n + 1);
    if (!t.signature) {
        *why = "out of memory";
        err = EPC_ENOMEM;
        goto out;
    }
    *why = "signature is not base64url";
    if (epc_base64url_decode(rest, t.signature, &t.signature_n) != EPC_OK)
        goto out;
    err = read_header(&t, why);
out:
    if (err == EPC_OK)
        *out = t;
    else
        epc_jwt_clear(&t);
    return err;
}

void epc_jwt_clear(struct epc_jwt *t)
{
    json_decref(t->header);
    json_decref(t->claims);
    free(t->signature);
    *t = (struct epc_jwt){0};
}

/* RFC 7518 3.4: r and s, of the curve's length each; OpenSSL wants DER. */
static int ecdsa_to_der(const struct epc_jwt *t, size_t half, unsigned char **der)
{
    int n = -1;
    if (t->signature_n != 2 * half)
        return -1;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(t->signature, (int)half, NULL),
           *s = BN_bin2bn(t->signature + half, (int)half, NULL);
    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* sig's now */
        n = i2d_ECDSA_SIG(sig, der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return n;
}

static const EVP_MD *digest_of(enum epc_jwt_alg alg)
{
    return alg == EPC_JWT_EDDSA ? NULL : alg == EPC_JWT_ES384 ? EVP_sha384() : EVP_sha256();
}

/* RFC 7518 3.5: MGF1 with the same hash, salt as long as the hash. */
static bool set_padding(EVP_PKEY_CTX *ctx, enum epc_jwt_alg alg)
{
    return alg != EPC_JWT_PS256 ||
           (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
            EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
}

bool epc_jwt_signature_ok(const struct epc_jwt *t, const struct epc_jwk *key)
{
    if (t->alg == EPC_JWT_ALG_NONE || t->alg != key->alg || t->signature_n == 0)
        return false;
    if (key->fast)
        return epc_p256_verify_text(key->fast, t->signing_input, t->signature, t->signature_n);
    unsigned char *der = NULL;
    const unsigned char *sig = t->signature;
    size_t sig_n = t->signature_n;
    if (t->alg == EPC_JWT_ES256 || t->alg == EPC_JWT_ES384) {
        int n = ecdsa_to_der(t, t->alg == EPC_JWT_ES384 ? 48 : 32, &der);
        if (n <= 0)
            return false;
        sig = der;
        sig_n = (size_t)n;
    }
    EVP_PKEY_CTX *pctx = NULL; /* ctx's */
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestVerifyInit(ctx, &pctx, digest_of(t->alg), NULL, key->pkey) == 1 &&
              set_padding(pctx, t->alg) &&
              EVP_DigestVerify(ctx, sig, sig_n, (const unsigned char *)t->signing_input.p,
                               t->signing_input.n) == 1;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(der);
    return ok;
}
