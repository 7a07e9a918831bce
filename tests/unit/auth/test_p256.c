/* Verification by table beside OpenSSL's own: they never differ. */
#include "auth/auth_priv.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/rand.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static EVP_PKEY *key;
static struct epc_p256 *fast;
static unsigned char point[EPC_P256_POINT];
static BIGNUM *order, *secret;
static BN_CTX *ctx;

static bool openssl_says(const unsigned char digest[32], const unsigned char sig[64])
{
    unsigned char *der = NULL;
    ECDSA_SIG *s = ECDSA_SIG_new();
    assert_int_equal(ECDSA_SIG_set0(s, BN_bin2bn(sig, 32, NULL), BN_bin2bn(sig + 32, 32, NULL)), 1);
    int n = i2d_ECDSA_SIG(s, &der);
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_verify_init(c), 1);
    bool ok = n > 0 && EVP_PKEY_verify(c, der, (size_t)n, digest, 32) == 1;
    EVP_PKEY_CTX_free(c);
    ECDSA_SIG_free(s);
    OPENSSL_free(der);
    return ok;
}

static bool both(const unsigned char digest[32], const unsigned char sig[64])
{
    bool ours = epc_p256_verify(fast, digest, sig, 64);
    assert_int_equal(ours, openssl_says(digest, sig));
    return ours;
}

static void sign(const unsigned char digest[32], unsigned char sig[64])
{
    unsigned char der[80];
    const unsigned char *p = der;
    size_t n = sizeof der;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
    assert_int_equal(EVP_PKEY_sign_init(c), 1);
    assert_int_equal(EVP_PKEY_sign(c, der, &n, digest, 32), 1);
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)n);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, 32), 32);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + 32, 32), 32);
    ECDSA_SIG_free(s);
    EVP_PKEY_CTX_free(c);
}

static void good_and_spoilt(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        unsigned char digest[32], sig[64], which[2];
        assert_int_equal(RAND_bytes(digest, sizeof digest), 1);
        assert_int_equal(RAND_bytes(which, sizeof which), 1);
        memset(digest, i == 0 ? 0 : i == 1 ? 0xff : digest[0], i < 2 ? sizeof digest : 1);
        sign(digest, sig);
        assert_true(both(digest, sig));
        sig[which[0] % 64] ^= (unsigned char)(1u << which[1] % 8);
        assert_false(both(digest, sig));
        sig[which[0] % 64] ^= (unsigned char)(1u << which[1] % 8);
        digest[which[0] % 32] ^= (unsigned char)(1u << which[1] % 8);
        assert_false(both(digest, sig));
    }
}

static void put(unsigned char out[32], const BIGNUM *v)
{
    assert_int_equal(BN_bn2binpad(v, out, 32), 32);
}

static void numbers_out_of_range(void **state)
{
    unsigned char digest[32] = {1}, good[64], sig[64];
    BIGNUM *v = BN_new();
    (void)state;
    sign(digest, good);
    for (int half = 0; half < 2; half++)
        for (int what = 0; what < 5; what++) {
            memcpy(sig, good, sizeof sig);
            BN_copy(v, order);
            if (what == 0)
                BN_zero(v);
            else if (what == 1)
                BN_one(v);
            else if (what == 2)
                assert_int_equal(BN_sub_word(v, 1), 1);
            else if (what == 4)
                assert_int_equal(BN_add_word(v, 1), 1);
            put(sig + 32 * half, v);
            assert_false(both(digest, sig));
            memset(sig + 32 * half, 0xff, 32);
            assert_false(both(digest, sig));
        }
    assert_true(epc_p256_verify(fast, digest, good, 64));
    assert_false(epc_p256_verify(fast, digest, good, 63));
    assert_false(epc_p256_verify(fast, digest, good, 0));
    /* RFC 7518 3.4 knows no other form; -s stands for the same point, and both take it */
    BN_bin2bn(good + 32, 32, v);
    assert_int_equal(BN_sub(v, order, v), 1);
    memcpy(sig, good, sizeof sig);
    put(sig + 32, v);
    assert_true(both(digest, sig));
    BN_free(v);
}

/* e/s * G and r/s * key are the same point (the sum doubles it) or opposite ones (the sum is the
 * point at infinity, which is nobody's signature). */
static bool degenerate(bool opposite)
{
    unsigned char digest[32], sig[64];
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    BIGNUM *k = BN_new(), *r = BN_new(), *e = BN_new(), *s = BN_new();
    EC_POINT *p = EC_POINT_new(group);
    assert_int_equal(BN_rand_range(k, order), 1);
    assert_int_equal(EC_POINT_mul(group, p, k, NULL, NULL, ctx), 1);
    assert_int_equal(EC_POINT_get_affine_coordinates(group, p, r, NULL, ctx), 1);
    assert_int_equal(BN_nnmod(r, r, order, ctx), 1);
    assert_int_equal(BN_mod_mul(e, r, secret, order, ctx), 1); /* e = r * secret */
    assert_int_equal(BN_mod_lshift1(s, e, order, ctx), 1);
    assert_non_null(BN_mod_inverse(k, k, order, ctx));
    assert_int_equal(BN_mod_mul(s, s, k, order, ctx), 1); /* s = (e + r * secret) / k */
    if (opposite)
        assert_int_equal(BN_sub(e, order, e), 1);
    put(digest, e);
    put(sig, r);
    put(sig + 32, s);
    BN_free(k);
    BN_free(r);
    BN_free(e);
    BN_free(s);
    EC_POINT_free(p);
    EC_GROUP_free(group);
    return both(digest, sig);
}

static void points_that_meet(void **state)
{
    (void)state;
    assert_true(degenerate(false));
    assert_false(degenerate(true));
}

static void no_point_of_the_curve(void **state)
{
    unsigned char bad[EPC_P256_POINT];
    (void)state;
    memcpy(bad, point, sizeof bad);
    bad[64] ^= 1;
    assert_null(epc_p256_create(bad));
    memset(bad, 0, sizeof bad);
    assert_null(epc_p256_create(bad));
}

static int begin(void **state)
{
    size_t n = 0;
    (void)state;
    ctx = BN_CTX_new();
    key = EVP_EC_gen("P-256");
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    order = BN_dup(EC_GROUP_get0_order(group));
    EC_GROUP_free(group);
    if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &n) != 1 ||
        EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &secret) != 1)
        return -1;
    fast = epc_p256_create(point);
    return fast ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    epc_p256_free(fast);
    epc_p256_free(NULL);
    EVP_PKEY_free(key);
    BN_free(order);
    BN_free(secret);
    BN_CTX_free(ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_and_spoilt),
        cmocka_unit_test(numbers_out_of_range),
        cmocka_unit_test(points_that_meet),
        cmocka_unit_test(no_point_of_the_curve),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
