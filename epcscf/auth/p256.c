/* ECDSA on P-256 for a key that checks signature after signature. OpenSSL multiplies the curve's own
 * generator by table, in a seventh of the time that any other point takes; a group whose generator is the
 * issuer's key makes it do the same for that. Everything here is public: no step needs to hide its time.
 * Spec: FIPS 186-5 6.4.2, RFC 7518 3.4. */
#define OPENSSL_SUPPRESS_DEPRECATED /* EC_GROUP_precompute_mult() has no other name */
#include "auth/auth_priv.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <stdlib.h>

enum { HALF = 32 };

struct epc_p256 {
    EC_GROUP *curve;
    EC_GROUP *key; /* the same curve with the key for its generator, and the table of that */
    EC_POINT *g, *k, *sum;
    BIGNUM *r, *s, *e, *w, *x;
    BN_CTX *ctx;
    EVP_MD *sha256;
    EVP_MD_CTX *md_ctx;
};

void epc_p256_free(struct epc_p256 *v)
{
    if (!v)
        return;
    EC_POINT_free(v->g);
    EC_POINT_free(v->k);
    EC_POINT_free(v->sum);
    EC_GROUP_free(v->curve);
    EC_GROUP_free(v->key);
    BN_free(v->r);
    BN_free(v->s);
    BN_free(v->e);
    BN_free(v->w);
    BN_free(v->x);
    BN_CTX_free(v->ctx);
    EVP_MD_CTX_free(v->md_ctx);
    EVP_MD_free(v->sha256);
    free(v);
}

static bool make_table(struct epc_p256 *v, const unsigned char point[EPC_P256_POINT])
{
    const BIGNUM *order = v->curve ? EC_GROUP_get0_order(v->curve) : NULL;
    v->key = v->curve ? EC_GROUP_dup(v->curve) : NULL;
    v->sum = v->key ? EC_POINT_new(v->key) : NULL;
    return v->sum && EC_POINT_oct2point(v->curve, v->sum, point, EPC_P256_POINT, v->ctx) == 1 &&
           EC_POINT_is_at_infinity(v->curve, v->sum) == 0 &&
           EC_GROUP_set_generator(v->key, v->sum, order, EC_GROUP_get0_cofactor(v->curve)) == 1 &&
           EC_GROUP_precompute_mult(v->key, v->ctx) == 1 && EC_GROUP_have_precompute_mult(v->key) == 1;
}

struct epc_p256 *epc_p256_create(const unsigned char point[EPC_P256_POINT])
{
    struct epc_p256 *v = calloc(1, sizeof *v);
    if (!v)
        return NULL;
    v->ctx = BN_CTX_new();
    v->curve = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    v->r = BN_new();
    v->s = BN_new();
    v->e = BN_new();
    v->w = BN_new();
    v->x = BN_new();
    v->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    v->md_ctx = EVP_MD_CTX_new();
    bool ok = v->sha256 && v->md_ctx && v->ctx && v->r && v->s && v->e && v->w && v->x && make_table(v, point);
    v->g = ok ? EC_POINT_new(v->curve) : NULL;
    v->k = v->g ? EC_POINT_new(v->key) : NULL;
    if (v->k)
        return v;
    epc_p256_free(v);
    return NULL;
}

static bool in_range(const BIGNUM *v, const BIGNUM *order)
{
    return !BN_is_zero(v) && BN_cmp(v, order) < 0;
}

/* x of e/s * G + r/s * key. */
static bool point_of(struct epc_p256 *v, const BIGNUM *order)
{
    return BN_mod_inverse(v->w, v->s, order, v->ctx) && BN_mod_mul(v->e, v->e, v->w, order, v->ctx) == 1 &&
           BN_mod_mul(v->w, v->r, v->w, order, v->ctx) == 1 &&
           EC_POINT_mul(v->curve, v->g, v->e, NULL, NULL, v->ctx) == 1 &&
           EC_POINT_mul(v->key, v->k, v->w, NULL, NULL, v->ctx) == 1 &&
           EC_POINT_add(v->curve, v->sum, v->g, v->k, v->ctx) == 1 && EC_POINT_is_at_infinity(v->curve, v->sum) == 0 &&
           EC_POINT_get_affine_coordinates(v->curve, v->sum, v->x, NULL, v->ctx) == 1;
}

bool epc_p256_verify(struct epc_p256 *v, const unsigned char digest[EPC_TOKEN_DIGEST_OCTETS],
                     const unsigned char *signature, size_t n)
{
    const BIGNUM *order = EC_GROUP_get0_order(v->curve);
    if (n != 2 * HALF || !BN_bin2bn(signature, HALF, v->r) || !BN_bin2bn(signature + HALF, HALF, v->s) ||
        !BN_bin2bn(digest, EPC_TOKEN_DIGEST_OCTETS, v->e))
        return false;
    return in_range(v->r, order) && in_range(v->s, order) && point_of(v, order) &&
           BN_nnmod(v->x, v->x, order, v->ctx) == 1 && BN_cmp(v->x, v->r) == 0;
}

bool epc_p256_verify_text(struct epc_p256 *v, struct epc_str text, const unsigned char *signature, size_t n)
{
    unsigned char digest[EPC_TOKEN_DIGEST_OCTETS];
    unsigned digest_n = 0;
    return EVP_DigestInit_ex2(v->md_ctx, v->sha256, NULL) == 1 && EVP_DigestUpdate(v->md_ctx, text.p, text.n) == 1 &&
           EVP_DigestFinal_ex(v->md_ctx, digest, &digest_n) == 1 && digest_n == sizeof digest &&
           epc_p256_verify(v, digest, signature, n);
}
