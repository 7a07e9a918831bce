#include "load.h"

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct token_key {
    EVP_PKEY *key;
    const char *kid, *issuer, *audience, *wwsf;
    unsigned long serial;
};

struct token_key *token_key(const char *pem_file, const char *kid, const char *issuer, const char *audience,
                            const char *wwsf)
{
    struct token_key *k = calloc(1, sizeof *k);
    FILE *f = fopen(pem_file, "r");
    if (!k || !f || !(k->key = PEM_read_PrivateKey(f, NULL, NULL, NULL))) {
        fprintf(stderr, "bench_load: no private key in %s\n", pem_file);
        exit(2);
    }
    fclose(f);
    k->kid = kid;
    k->issuer = issuer;
    k->audience = audience;
    k->wwsf = wwsf;
    return k;
}

static void base64url(struct text *t, const unsigned char *p, size_t n)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0u);
        char out[4] = {set[v >> 18], set[v >> 12 & 63], set[v >> 6 & 63], set[v & 63]};
        text_add(t, out, i + 2 < n ? 4 : i + 1 < n ? 3 : 2);
    }
}

/* r || s of a DER signature (RFC 7518 3.4). */
static void raw_signature(const unsigned char *der, size_t n, unsigned char raw[64])
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    if (!sig || BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32) != 32 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32) != 32)
        abort();
    ECDSA_SIG_free(sig);
}

char *token_make(struct token_key *k, unsigned index, const char *domain)
{
    struct text json = {0}, out = {0};
    unsigned char der[128], raw[64];
    size_t n = sizeof der;
    long now = (long)time(NULL);
    text_printf(&json, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", k->kid);
    base64url(&out, (unsigned char *)json.p, json.n);
    json.n = 0;
    text_printf(&json, "{\"iss\":\"%s\",\"aud\":\"%s\",\"iat\":%ld,\"exp\":%ld,\"scope\":\"sip\",\"azp\":\"%s\","
                "\"jti\":\"%lx\",\"impi\":\"u%u@%s\",\"impu\":[\"sip:u%u@%s\"]}", k->issuer, k->audience, now,
                now + 3600, k->wwsf, ++k->serial, index, domain, index, domain);
    text_add(&out, ".", 1);
    base64url(&out, (unsigned char *)json.p, json.n);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (!md || EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, k->key) != 1 ||
        EVP_DigestSign(md, der, &n, (unsigned char *)out.p, out.n) != 1)
        abort();
    EVP_MD_CTX_free(md);
    raw_signature(der, n, raw);
    text_add(&out, ".", 1);
    base64url(&out, raw, sizeof raw);
    free(json.p);
    return out.p;
}
