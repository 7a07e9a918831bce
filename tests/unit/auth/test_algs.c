/* Each signature algorithm with a key of its kind, and with everything that must not pass for it. */
#include "auth/auth_priv.h"
#include "token_maker.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static EVP_PKEY *rsa, *p256, *p384, *ed;

static char *octets(EVP_PKEY *key, const char *name, int n)
{
    unsigned char raw[1024];
    BIGNUM *v = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &v), 1);
    int len = n ? BN_bn2binpad(v, raw, n) : BN_bn2bin(v, raw);
    BN_free(v);
    return token_maker_base64url(raw, (size_t)len);
}

/* A set with one key, kid "k". */
static struct epc_jwks set_of(EVP_PKEY *key, const char *alg)
{
    struct epc_jwks ks = {0};
    char text[4096], member[32] = "";
    if (alg)
        snprintf(member, sizeof member, ",\"alg\":\"%s\"", alg);
    if (key == ed) {
        unsigned char raw[32];
        size_t n = sizeof raw;
        assert_int_equal(EVP_PKEY_get_raw_public_key(key, raw, &n), 1);
        char *x = token_maker_base64url(raw, n);
        snprintf(text, sizeof text,
                 "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":\"%s\"%s}]}", x, member);
        free(x);
    } else {
        bool is_rsa = key == rsa;
        int half = key == p384 ? 48 : 32;
        char *a = octets(key, is_rsa ? OSSL_PKEY_PARAM_RSA_N : OSSL_PKEY_PARAM_EC_PUB_X, is_rsa ? 0 : half);
        char *b = octets(key, is_rsa ? OSSL_PKEY_PARAM_RSA_E : OSSL_PKEY_PARAM_EC_PUB_Y, is_rsa ? 0 : half);
        snprintf(text, sizeof text, "{\"keys\":[{\"kty\":\"%s\",%s\"kid\":\"k\",\"%s\":\"%s\",\"%s\":\"%s\"%s}]}",
                 is_rsa ? "RSA" : "EC",
                 is_rsa ? "" : key == p384 ? "\"crv\":\"P-384\"," : "\"crv\":\"P-256\",", is_rsa ? "n" : "x", a,
                 is_rsa ? "e" : "y", b, member);
        free(a);
        free(b);
    }
    assert_int_equal(epc_jwks_parse(&ks, text, strlen(text), "test"), EPC_OK);
    assert_int_equal(ks.n, 1);
    return ks;
}

static char *sign(EVP_PKEY *key, const char *header_alg, bool pss, const EVP_MD *md, int half)
{
    char header[128], text[1024];
    unsigned char sig[1024];
    size_t n = sizeof sig;
    snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"k\"}", header_alg);
    char *h = token_maker_base64url(header, strlen(header)), *c = token_maker_base64url("{\"a\":1}", 7);
    snprintf(text, sizeof text, "%s.%s", h, c);
    EVP_PKEY_CTX *pctx = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, &pctx, md, NULL, key), 1);
    if (pss) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    assert_int_equal(EVP_DigestSign(ctx, sig, &n, (unsigned char *)text, strlen(text)), 1);
    EVP_MD_CTX_free(ctx);
    if (half) {
        const unsigned char *p = sig;
        ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)n);
        assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, half), half);
        assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + half, half), half);
        ECDSA_SIG_free(s);
        n = 2 * (size_t)half;
    }
    char *s = token_maker_base64url(sig, n);
    struct epc_buf b = {0};
    epc_buf_printf(&b, "%s.%s", text, s);
    free(h);
    free(c);
    free(s);
    return epc_buf_take(&b, NULL);
}

static bool passes(const char *token, const struct epc_jwks *ks)
{
    struct epc_jwt t;
    const char *why = NULL;
    assert_int_equal(epc_jwt_parse(&t, epc_str_c(token), NULL, &why), EPC_OK);
    bool ok = epc_jwt_signature_ok(&t, &ks->keys[0]);
    epc_jwt_clear(&t);
    return ok;
}

struct row {
    const char *alg;
    EVP_PKEY **key;
    bool pss;
    const EVP_MD *(*md)(void);
    int half;
};
static const struct row rows[] = {
    {"RS256", &rsa, false, EVP_sha256, 0},   {"PS256", &rsa, true, EVP_sha256, 0},
    {"ES256", &p256, false, EVP_sha256, 32}, {"ES384", &p384, false, EVP_sha384, 48},
    {"EdDSA", &ed, false, NULL, 0},
};

/* Signed as row i says, under the header of row j, with the key set for row k. */
static bool combination(size_t i, size_t j, size_t k)
{
    struct epc_jwks ks = set_of(*rows[k].key, rows[k].alg);
    char *token = sign(*rows[i].key, rows[j].alg, rows[i].pss, rows[i].md ? rows[i].md() : NULL, rows[i].half);
    bool ok = passes(token, &ks);
    free(token);
    epc_jwks_clear(&ks);
    return ok;
}

static void only_what_belongs_together(void **state)
{
    (void)state;
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++)
        for (size_t j = 0; j < EPC_ARRAY_LEN(rows); j++)
            for (size_t k = 0; k < EPC_ARRAY_LEN(rows); k++)
                assert_int_equal(combination(i, j, k), i == j && j == k);
}

static void an_rsa_key_without_alg_is_for_rs256(void **state)
{
    (void)state;
    struct epc_jwks ks = set_of(rsa, NULL);
    char *pkcs1 = sign(rsa, "RS256", false, EVP_sha256(), 0), *pss = sign(rsa, "PS256", true, EVP_sha256(), 0);
    assert_true(passes(pkcs1, &ks));
    assert_false(passes(pss, &ks));
    free(pkcs1);
    free(pss);
    epc_jwks_clear(&ks);
}

static void one_bit_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++) {
        struct epc_jwks ks = set_of(*rows[i].key, rows[i].alg);
        char *token = sign(*rows[i].key, rows[i].alg, rows[i].pss, rows[i].md ? rows[i].md() : NULL, rows[i].half);
        char *sig = strrchr(token, '.') + 1;
        assert_true(passes(token, &ks));
        sig[8] = sig[8] == 'A' ? 'B' : 'A';
        assert_false(passes(token, &ks));
        sig[8] = 0; /* short */
        assert_false(passes(token, &ks));
        free(token);
        epc_jwks_clear(&ks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_belongs_together),
        cmocka_unit_test(an_rsa_key_without_alg_is_for_rs256),
        cmocka_unit_test(one_bit_more),
    };
    rsa = EVP_RSA_gen(2048);
    p256 = EVP_EC_gen("P-256");
    p384 = EVP_EC_gen("P-384");
    ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p256);
    EVP_PKEY_free(p384);
    EVP_PKEY_free(ed);
    return rc;
}
