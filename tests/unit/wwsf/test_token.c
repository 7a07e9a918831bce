/* Keys and tokens: what is signed must verify with the published key, by OpenSSL alone. */
#include "wwsf/wwsf_priv.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[64], key_file[96], jwks_file[96], database[96];

static struct epc_cfg_wwsf config(void)
{
    static char issuer[] = "https://waf.test", audience[] = "edge", scope[] = "sip", id[] = "wwsf1";
    return (struct epc_cfg_wwsf){.issuer = issuer, .audience = audience, .scope = scope, .id = id,
                                 .signing_key = key_file, .jwks_file = jwks_file, .database = database,
                                 .token_lifetime_s = 300, .key_publish_s = 900};
}

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/epc_wwsf_XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(key_file, sizeof key_file, "%s/key.pem", folder);
    snprintf(database, sizeof database, "%s/wwsf.sqlite", folder);
    snprintf(jwks_file, sizeof jwks_file, "%s/jwks.json", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(key_file);
    unlink(jwks_file);
    unlink(database);
    return rmdir(folder); /* fails when a temporary file was left behind */
}

/* ---- reading back ---------------------------------------------------------------------------------- */

static size_t decode(const char *text, size_t n, unsigned char *out)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned v = 0, bits = 0;
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        const char *c = text[i] ? strchr(alphabet, text[i]) : NULL;
        assert_non_null(c);
        v = v << 6 | (unsigned)(c - alphabet);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[len++] = (unsigned char)(v >> bits);
        }
    }
    return len;
}

static json_t *part(const char **at)
{
    unsigned char out[4096];
    size_t n = strcspn(*at, ".");
    json_t *j = json_loadb((char *)out, decode(*at, n, out), JSON_REJECT_DUPLICATES, NULL);
    *at += n + 1;
    assert_non_null(j);
    return j;
}

static BIGNUM *number(const json_t *jwk, const char *name)
{
    unsigned char out[1024];
    const char *text = json_string_value(json_object_get(jwk, name));
    assert_non_null(text);
    return BN_bin2bn(out, (int)decode(text, strlen(text), out), NULL);
}

static EVP_PKEY *public_key(const json_t *jwk)
{
    bool ec = strcmp(json_string_value(json_object_get(jwk, "kty")), "EC") == 0;
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    BIGNUM *one = number(jwk, ec ? "x" : "n"), *two = number(jwk, ec ? "y" : "e");
    unsigned char point[65] = {4};
    EVP_PKEY *pkey = NULL;
    if (ec) {
        BN_bn2binpad(one, point + 1, 32);
        BN_bn2binpad(two, point + 33, 32);
        OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
        OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point);
    } else {
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, one);
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, two);
    }
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, ec ? "EC" : "RSA", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
    assert_int_equal(EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params), 1);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(b);
    BN_free(one);
    BN_free(two);
    return pkey;
}

static bool verifies(const char *token, const json_t *jwk)
{
    unsigned char raw[1024], *der = raw, *made = NULL;
    const char *dot = strrchr(token, '.');
    size_t n = decode(dot + 1, strlen(dot + 1), raw);
    EVP_PKEY *pkey = public_key(jwk);
    if (EVP_PKEY_is_a(pkey, "EC")) {
        assert_int_equal(n, 64);
        ECDSA_SIG *sig = ECDSA_SIG_new();
        ECDSA_SIG_set0(sig, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL));
        n = (size_t)i2d_ECDSA_SIG(sig, &made);
        der = made;
        ECDSA_SIG_free(sig);
    }
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1 &&
              EVP_DigestVerify(ctx, der, n, (const unsigned char *)token, (size_t)(dot - token)) == 1;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(made);
    EVP_PKEY_free(pkey);
    return ok;
}

/* ---- tests --------------------------------------------------------------------------------------------- */

static void says(const json_t *claims, const char *name, const char *value)
{
    const char *is = json_string_value(json_object_get(claims, name));
    assert_non_null(is);
    assert_string_equal(is, value);
}

static void check_claims(const char *token, const struct epc_key *k)
{
    const char *at = token;
    json_t *head = part(&at), *claims = part(&at);
    says(head, "alg", epc_key_alg(k));
    says(head, "kid", epc_key_kid(k));
    says(claims, "iss", "https://waf.test");
    says(claims, "aud", "edge");
    says(claims, "scope", "sip");
    says(claims, "azp", "wwsf1");
    says(claims, "impi", "alice@ims.test");
    assert_int_equal(json_integer_value(json_object_get(claims, "iat")), 1000);
    assert_int_equal(json_integer_value(json_object_get(claims, "nbf")), 1000);
    assert_int_equal(json_integer_value(json_object_get(claims, "exp")), 1300);
    assert_int_equal(strlen(json_string_value(json_object_get(claims, "jti"))), 32);
    json_t *impus = json_object_get(claims, "impu");
    assert_int_equal(json_array_size(impus), 2);
    assert_string_equal(json_string_value(json_array_get(impus, 1)), "tel:+491234");
    /* The log-in name itself is nobody's business. */
    const char *sub = json_string_value(json_object_get(claims, "sub"));
    assert_null(strstr(sub, "alice"));
    json_decref(head);
    json_decref(claims);
}

static void check_token(const struct epc_key *k, const json_t *jwk)
{
    static char name[] = "alice", impi[] = "alice@ims.test", sip[] = "sip:alice@ims.test", tel[] = "tel:+491234";
    char *impus[] = {sip, tel};
    struct epc_user u = {.name = name, .impi = impi, .impus = impus, .n_impus = 2};
    struct epc_cfg_wwsf cfg = config();
    for (int i = 0; i < 40; i++) { /* r and s with leading zeros come up now and then */
        char *token = epc_token_make(k, &cfg, &u, 1000);
        assert_non_null(token);
        assert_true(verifies(token, jwk));
        check_claims(token, k);
        char *dot = strrchr(token, '.');
        dot[-1] = dot[-1] == 'A' ? 'B' : 'A';
        assert_false(verifies(token, jwk));
        free(token);
    }
}

static json_t *read_jwk(json_t **set)
{
    *set = json_load_file(jwks_file, 0, NULL);
    assert_non_null(*set);
    assert_int_equal(json_array_size(json_object_get(*set, "keys")), 1);
    return json_array_get(json_object_get(*set, "keys"), 0);
}

static void test_key_is_made(void **state)
{
    (void)state;
    struct epc_cfg_wwsf cfg = config();
    struct epc_key *k = NULL;
    struct stat st;
    json_t *set;
    assert_int_equal(epc_wwsf_prepare(&cfg), EPC_OK);
    assert_int_equal(stat(key_file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(database, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(jwks_file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_equal(epc_key_open(&k, key_file), EPC_OK);
    json_t *jwk = read_jwk(&set);
    says(jwk, "alg", "ES256");
    says(jwk, "kid", epc_key_kid(k));
    assert_null(json_object_get(jwk, "d"));
    check_token(k, jwk);
    json_decref(set);
    /* A second start keeps the key. */
    char kid[64];
    snprintf(kid, sizeof kid, "%s", epc_key_kid(k));
    epc_key_close(k);
    assert_int_equal(epc_wwsf_prepare(&cfg), EPC_OK);
    assert_int_equal(epc_key_open(&k, key_file), EPC_OK);
    assert_string_equal(epc_key_kid(k), kid);
    epc_key_close(k);
}

static void write_key(EVP_PKEY *pkey, const char *passphrase)
{
    FILE *f = fopen(key_file, "we");
    assert_non_null(f);
    assert_int_equal(PEM_write_PrivateKey(f, pkey, passphrase ? EVP_aes_128_cbc() : NULL,
                                          (const unsigned char *)passphrase,
                                          passphrase ? (int)strlen(passphrase) : 0, NULL, NULL), 1);
    fclose(f);
    EVP_PKEY_free(pkey);
}

static void test_rsa(void **state)
{
    (void)state;
    struct epc_cfg_wwsf cfg = config();
    struct epc_key *k = NULL;
    json_t *set;
    write_key(EVP_RSA_gen(2048), NULL);
    assert_int_equal(epc_wwsf_prepare(&cfg), EPC_OK);
    assert_int_equal(epc_key_open(&k, key_file), EPC_OK);
    json_t *jwk = read_jwk(&set);
    says(jwk, "alg", "RS256");
    says(jwk, "e", "AQAB");
    check_token(k, jwk);
    json_decref(set);
    epc_key_close(k);
}

/* RFC 7638 3.1, the example. */
static void test_thumbprint(void **state)
{
    (void)state;
    static const char n[] =
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWK"
        "RXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMic"
        "AtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3"
        "XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    unsigned char json[1024], digest[32];
    int len = snprintf((char *)json, sizeof json, "{\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":\"%s\"}", n);
    struct epc_buf b = {0};
    assert_int_equal(EVP_Digest(json, (size_t)len, digest, NULL, EVP_sha256(), NULL), 1);
    epc_base64url(&b, digest, sizeof digest);
    assert_string_equal(b.p, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    epc_buf_free(&b);
}

static void test_bad_keys(void **state)
{
    (void)state;
    struct epc_cfg_wwsf cfg = config();
    write_key(EVP_RSA_gen(1024), NULL);
    assert_int_equal(epc_wwsf_prepare(&cfg), EPC_EIO);
    write_key(EVP_EC_gen("P-384"), NULL);
    assert_int_equal(epc_wwsf_prepare(&cfg), EPC_EIO);
    write_key(EVP_EC_gen("P-256"), "secret"); /* must not ask for it */
    assert_int_equal(epc_wwsf_prepare(&cfg), EPC_EIO);
    FILE *f = fopen(key_file, "we");
    assert_non_null(f);
    fputs("not a key\n", f);
    fclose(f);
    assert_int_equal(epc_wwsf_prepare(&cfg), EPC_EIO);
    assert_int_not_equal(access(jwks_file, F_OK), 0);
    static char nowhere[] = "/nonexistent/key.pem";
    cfg.signing_key = nowhere;
    assert_int_equal(epc_wwsf_prepare(&cfg), EPC_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_key_is_made, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rsa, setup, teardown),
        cmocka_unit_test(test_thumbprint),
        cmocka_unit_test_setup_teardown(test_bad_keys, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
