#include "auth/auth_priv.h"
#include "token_maker.h"

#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>


static struct token_maker maker;

static enum epc_err parse(struct epc_jwks *ks, const char *text)
{
    return epc_jwks_parse(ks, text, strlen(text), "test");
}

static void several_keys(void **state)
{
    (void)state;
    struct epc_jwks ks;
    assert_int_equal(parse(&ks, maker.jwks), EPC_OK);
    assert_int_equal(ks.n, 2);
    assert_int_equal(epc_jwks_find(&ks, "rsa1")->alg, EPC_JWT_RS256);
    assert_int_equal(epc_jwks_find(&ks, "ec1")->alg, EPC_JWT_ES256);
    assert_null(epc_jwks_find(&ks, "other"));
    epc_jwks_clear(&ks);
}

/* What was made for a key stays with it when the set is read again, whatever it is called then. */
static void tables_are_inherited(void **state)
{
    (void)state;
    struct epc_jwks old, new;
    char *again = token_maker_jwk(maker.ec, "renamed"), set[4096];
    snprintf(set, sizeof set, "{\"keys\":[%s]}", again);
    assert_int_equal(parse(&old, maker.jwks), EPC_OK);
    assert_int_equal(parse(&new, set), EPC_OK);
    struct epc_jwk *key = epc_jwks_find(&old, "ec1");
    struct epc_p256 *made = key->fast = epc_p256_create(key->point);
    assert_non_null(made);
    epc_jwks_inherit(&new, &old);
    assert_ptr_equal(new.keys[0].fast, made);
    assert_null(key->fast);
    epc_jwks_clear(&old);
    assert_int_equal(parse(&old, maker.jwks), EPC_OK);
    epc_jwks_find(&old, "rsa1")->fast = NULL;
    epc_jwks_inherit(&old, &new);
    assert_ptr_equal(epc_jwks_find(&old, "ec1")->fast, made);
    assert_null(epc_jwks_find(&old, "rsa1")->fast);
    epc_jwks_clear(&old);
    epc_jwks_clear(&new);
    free(again);
}

/* Each alone: no usable key. Beside a good one: left out. */
static void unsound_keys(void **state)
{
    (void)state;
    char *good = token_maker_jwk(maker.ec, "good");
    EVP_PKEY *small = EVP_RSA_gen(1024);
    char *weak = token_maker_jwk(small, "weak");
    char *off_curve = token_maker_jwk(maker.ec, "off");
    char *y = strstr(off_curve, "\"y\":\"") + 5;
    *y = *y == 'A' ? 'B' : 'A';
    char *no_kid = token_maker_jwk(maker.ec, "x");
    memcpy(strstr(no_kid, "kid"), "kix", 3);
    char *enc = token_maker_jwk(maker.ec, "x");
    memcpy(strstr(enc, "\"sig\""), "\"enc\"", 5);
    char *wrong_alg = token_maker_jwk(maker.ec, "x");
    memcpy(strstr(wrong_alg, "ES256"), "ES512", 5);
    char *curve = token_maker_jwk(maker.ec, "x");
    memcpy(strstr(curve, "P-256"), "P-384", 5);
    const char *bad[] = {
        weak, off_curve, no_kid, enc, wrong_alg, curve, "{}", "[]", "7",
        "{\"kty\":\"oct\",\"kid\":\"o\",\"k\":\"c2VjcmV0\"}",
        "{\"kty\":\"RSA\",\"kid\":\"r\",\"n\":\"\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"kid\":\"r\",\"n\":17,\"e\":\"AQAB\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
        good /* kid twice */,
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++) {
        char text[8192];
        struct epc_jwks ks = {0};
        if (bad[i] != good) {
            snprintf(text, sizeof text, "{\"keys\":[%s]}", bad[i]);
            assert_int_equal(parse(&ks, text), EPC_EPROTO);
        }
        snprintf(text, sizeof text, "{\"keys\":[%s,%s]}", good, bad[i]);
        assert_int_equal(parse(&ks, text), EPC_OK);
        if (ks.n != 1)
            fail_msg("accepted: %s", bad[i]);
        epc_jwks_clear(&ks);
    }
    EVP_PKEY_free(small);
    char *texts[] = {good, weak, off_curve, no_kid, enc, wrong_alg, curve};
    for (size_t i = 0; i < EPC_ARRAY_LEN(texts); i++)
        free(texts[i]);
}

static void not_a_key_set(void **state)
{
    (void)state;
    struct epc_jwks ks;
    assert_int_equal(parse(&ks, ""), EPC_EPROTO);
    assert_int_equal(parse(&ks, "{}"), EPC_EPROTO);
    assert_int_equal(parse(&ks, "{\"keys\":{}}"), EPC_EPROTO);
    assert_int_equal(parse(&ks, "{\"keys\":[]}"), EPC_EPROTO);
    assert_int_equal(parse(&ks, "{\"keys\":[],\"keys\":[]}"), EPC_EPROTO);
}

static void from_file(void **state)
{
    (void)state;
    char name[] = "/tmp/epc_jwks_XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, maker.jwks, strlen(maker.jwks)), strlen(maker.jwks));
    close(fd);
    struct epc_jwks ks;
    assert_int_equal(epc_jwks_load(&ks, name), EPC_OK);
    epc_jwks_clear(&ks);
    unlink(name);
    assert_int_equal(epc_jwks_load(&ks, name), EPC_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_keys),
        cmocka_unit_test(tables_are_inherited),
        cmocka_unit_test(unsound_keys),
        cmocka_unit_test(not_a_key_set),
        cmocka_unit_test(from_file),
    };
    token_maker_init(&maker);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    token_maker_free(&maker);
    return rc;
}
