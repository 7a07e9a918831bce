#include "token_maker.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *token_maker_base64url(const void *p, size_t n)
{
    char *out = malloc(4 * ((n + 2) / 3) + 1);
    if (!out)
        abort();
    EVP_EncodeBlock((unsigned char *)out, p, (int)n);
    for (char *c = out; *c; c++) {
        if (*c == '+')
            *c = '-';
        else if (*c == '/')
            *c = '_';
    }
    out[strcspn(out, "=")] = 0;
    return out;
}

static char *pem(EVP_PKEY *key, int private)
{
    BIO *b = BIO_new(BIO_s_mem());
    char *p, *out;
    if (private)
        PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);
    else
        PEM_write_bio_PUBKEY(b, key);
    long n = BIO_get_mem_data(b, &p);
    out = strndup(p, (size_t)n);
    BIO_free(b);
    return out;
}

static char *component(EVP_PKEY *key, const char *name, int octets)
{
    unsigned char raw[1024];
    BIGNUM *v = NULL;
    if (EVP_PKEY_get_bn_param(key, name, &v) != 1)
        abort();
    int n = octets ? BN_bn2binpad(v, raw, octets) : BN_bn2bin(v, raw);
    BN_free(v);
    return token_maker_base64url(raw, (size_t)n);
}

char *token_maker_jwk(EVP_PKEY *key, const char *kid)
{
    char *out = malloc(4096);
    int rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    char *a = component(key, rsa ? OSSL_PKEY_PARAM_RSA_N : OSSL_PKEY_PARAM_EC_PUB_X, rsa ? 0 : 32);
    char *b = component(key, rsa ? OSSL_PKEY_PARAM_RSA_E : OSSL_PKEY_PARAM_EC_PUB_Y, rsa ? 0 : 32);
    if (rsa)
        snprintf(out, 4096, "{\"kty\":\"RSA\",\"kid\":\"%s\",\"n\":\"%s\",\"e\":\"%s\"}", kid, a, b);
    else
        snprintf(out, 4096,
                 "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"%s\",\"x\":\"%s\",\"y\":\"%s\","
                 "\"use\":\"sig\",\"alg\":\"ES256\"}",
                 kid, a, b);
    free(a);
    free(b);
    return out;
}

void token_maker_init(struct token_maker *m)
{
    m->rsa = EVP_RSA_gen(2048);
    m->ec = EVP_EC_gen("P-256");
    m->other_ec = EVP_EC_gen("P-256");
    m->rsa_public_pem = pem(m->rsa, 0);
    m->rsa_private_pem = pem(m->rsa, 1);
    m->ec_private_pem = pem(m->ec, 1);
    char *r = token_maker_jwk(m->rsa, "rsa1"), *e = token_maker_jwk(m->ec, "ec1");
    size_t n = strlen(r) + strlen(e) + 32;
    m->jwks = malloc(n);
    snprintf(m->jwks, n, "{\"keys\":[%s,%s]}", r, e);
    free(r);
    free(e);
}

void token_maker_free(struct token_maker *m)
{
    EVP_PKEY_free(m->rsa);
    EVP_PKEY_free(m->ec);
    EVP_PKEY_free(m->other_ec);
    free(m->rsa_public_pem);
    free(m->rsa_private_pem);
    free(m->ec_private_pem);
    free(m->jwks);
}

/* DER to r || s. */
static size_t raw_ecdsa(unsigned char *sig, size_t n)
{
    const unsigned char *p = sig;
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)n);
    BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + 32, 32);
    ECDSA_SIG_free(s);
    return 64;
}

char *token_maker_sign(EVP_PKEY *key, const char *header, const char *claims)
{
    char *h = token_maker_base64url(header, strlen(header));
    char *c = token_maker_base64url(claims, strlen(claims));
    size_t in_n = strlen(h) + 1 + strlen(c);
    char *out = malloc(in_n + 1024);
    unsigned char sig[512];
    size_t sig_n = sizeof sig;
    snprintf(out, in_n + 1, "%s.%s", h, c);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(ctx, sig, &sig_n, (unsigned char *)out, in_n) != 1)
        abort();
    EVP_MD_CTX_free(ctx);
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
        sig_n = raw_ecdsa(sig, sig_n);
    char *s = token_maker_base64url(sig, sig_n);
    snprintf(out + in_n, 1024, ".%s", s);
    free(h);
    free(c);
    free(s);
    return out;
}

char *token_maker_es256(const struct token_maker *m, const char *claims)
{
    return token_maker_sign(m->ec, "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"ec1\"}", claims);
}
