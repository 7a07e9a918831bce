/* A key that signs tokens: EC P-256 (ES256) or RSA (RS256), and its public half as a JWK. */
#include "wwsf/keys.h"
#include "wwsf/wwsf.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { P256_OCTETS = 32, RSA_BITS_MIN = 2048 };

struct epc_key {
    EVP_PKEY *pkey;
    bool ec;
    char *jwk_members; /* the required members in the order of RFC 7638 3.2, for thumbprint and set */
    char kid[44];      /* base64url of SHA-256 */
};

void epc_base64url(struct epc_buf *out, const void *p, size_t n)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *in = p;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        unsigned v = (unsigned)in[i] << 16 | (left > 1 ? (unsigned)in[i + 1] << 8 : 0) |
                     (left > 2 ? in[i + 2] : 0);
        char four[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63], alphabet[v >> 6 & 63], alphabet[v & 63]};
        epc_buf_add(out, four, left > 2 ? 4 : left + 1);
    }
}

/* ---- public half ----------------------------------------------------------------------------------- */

/* A number of the key in base64url; octets 0: as long as it is. */
static bool add_number(struct epc_buf *out, EVP_PKEY *pkey, const char *param, int octets)
{
    BIGNUM *bn = NULL;
    unsigned char bytes[2048];
    int n = -1;
    if (EVP_PKEY_get_bn_param(pkey, param, &bn) == 1) {
        n = octets ? octets : BN_num_bytes(bn);
        if (n > (int)sizeof bytes || BN_bn2binpad(bn, bytes, n) != n)
            n = -1;
    }
    BN_free(bn);
    if (n > 0)
        epc_base64url(out, bytes, (size_t)n);
    return n > 0;
}

static enum epc_err describe(struct epc_key *k)
{
    struct epc_buf b = {0}, id = {0};
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_n = 0;
    bool ok;
    if (k->ec) {
        epc_buf_adds(&b, "\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"");
        ok = add_number(&b, k->pkey, OSSL_PKEY_PARAM_EC_PUB_X, P256_OCTETS);
        epc_buf_adds(&b, "\",\"y\":\"");
        ok = ok && add_number(&b, k->pkey, OSSL_PKEY_PARAM_EC_PUB_Y, P256_OCTETS);
    } else {
        epc_buf_adds(&b, "\"e\":\"");
        ok = add_number(&b, k->pkey, OSSL_PKEY_PARAM_RSA_E, 0);
        epc_buf_adds(&b, "\",\"kty\":\"RSA\",\"n\":\"");
        ok = ok && add_number(&b, k->pkey, OSSL_PKEY_PARAM_RSA_N, 0);
    }
    epc_buf_adds(&b, "\"");
    k->jwk_members = epc_buf_take(&b, NULL);
    if (!ok || !k->jwk_members)
        return ok ? EPC_ENOMEM : EPC_EIO;
    epc_buf_printf(&b, "{%s}", k->jwk_members);
    if (!b.failed && EVP_Digest(b.p, b.n, digest, &digest_n, EVP_sha256(), NULL) == 1)
        epc_base64url(&id, digest, digest_n);
    ok = id.n == sizeof k->kid - 1 && !id.failed;
    if (ok)
        memcpy(k->kid, id.p, id.n + 1);
    epc_buf_free(&b);
    epc_buf_free(&id);
    return ok ? EPC_OK : EPC_ENOMEM;
}

void epc_key_jwk(const struct epc_key *k, struct epc_buf *out)
{
    epc_buf_printf(out, "{%s,\"use\":\"sig\",\"alg\":\"%s\",\"kid\":\"%s\"}", k->jwk_members, epc_key_alg(k), k->kid);
}

/* ---- open, sign ------------------------------------------------------------------------------------- */

/* A key with a passphrase must not stop the start to ask for it. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static EVP_PKEY *read_pem(const char *file, const char **why)
{
    *why = "not a PEM private key, or one with a passphrase";
    FILE *f = fopen(file, "re");
    if (!f) {
        *why = strerror(errno);
        return NULL;
    }
    EVP_PKEY *pkey = PEM_read_PrivateKey(f, NULL, no_passphrase, NULL);
    fclose(f);
    ERR_clear_error();
    return pkey;
}

static bool usable(const EVP_PKEY *pkey, bool *ec)
{
    char group[64];
    *ec = EVP_PKEY_is_a(pkey, "EC") == 1;
    if (*ec)
        return EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) == 1 &&
               (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
    return EVP_PKEY_is_a(pkey, "RSA") == 1 && EVP_PKEY_get_bits(pkey) >= RSA_BITS_MIN;
}

/* Takes @p pkey; @p what names its place in the log. */
static enum epc_err make(struct epc_key **out, EVP_PKEY *pkey, const char *what, const char *why)
{
    enum epc_err err = EPC_EIO;
    struct epc_key *k = calloc(1, sizeof *k);
    if (!k) {
        EVP_PKEY_free(pkey);
        return EPC_ENOMEM;
    }
    k->pkey = pkey;
    if (pkey && !usable(pkey, &k->ec)) {
        why = "neither EC P-256 nor RSA of at least 2048 bits";
    } else if (pkey) {
        why = "cannot be exported";
        err = describe(k);
    }
    if (err != EPC_OK) {
        epc_log(EPC_LOG_ERROR, "wwsf", "event=signing-key-unusable file=%s why=\"%s\"", what, why);
        epc_key_close(k);
        return err;
    }
    *out = k;
    return EPC_OK;
}

enum epc_err epc_key_open(struct epc_key **out, const char *file)
{
    const char *why;
    EVP_PKEY *pkey = read_pem(file, &why);
    return make(out, pkey, file, why);
}

enum epc_err epc_key_parse(struct epc_key **out, const char *pem, const char *file)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return make(out, pkey, file, "not a PEM private key");
}

enum epc_err epc_key_generate(struct epc_key **out)
{
    return make(out, EVP_EC_gen("P-256"), "(new)", "could not be made");
}

char *epc_key_pem(const struct epc_key *k)
{
    char *p = NULL, *text = NULL;
    BIO *bio = BIO_new(BIO_s_secmem());
    if (bio && PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, NULL, NULL, 0, NULL, NULL) == 1) {
        long n = BIO_get_mem_data(bio, &p);
        text = n > 0 ? epc_str_dup((struct epc_str){p, (size_t)n}) : NULL;
    }
    if (!text)
        epc_log(EPC_LOG_ERROR, "wwsf", "event=key-not-written why=\"%s\"",
                ERR_reason_error_string(ERR_peek_last_error()));
    BIO_free(bio);
    return text;
}

void epc_key_close(struct epc_key *k)
{
    if (!k)
        return;
    EVP_PKEY_free(k->pkey);
    free(k->jwk_members);
    free(k);
}

const char *epc_key_alg(const struct epc_key *k)
{
    return k->ec ? "ES256" : "RS256";
}

const char *epc_key_kid(const struct epc_key *k)
{
    return k->kid;
}

/* JWS wants r and s at full length, OpenSSL makes DER (RFC 7518 3.4). */
static bool add_ecdsa(struct epc_buf *out, const unsigned char *der, size_t n)
{
    unsigned char raw[2 * P256_OCTETS];
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    bool ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, P256_OCTETS) == P256_OCTETS &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + P256_OCTETS, P256_OCTETS) == P256_OCTETS;
    ECDSA_SIG_free(sig);
    if (ok)
        epc_base64url(out, raw, sizeof raw);
    return ok;
}

enum epc_err epc_key_sign(const struct epc_key *k, struct epc_str text, struct epc_buf *out)
{
    unsigned char sig[2048];
    size_t n = sizeof sig;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) == 1 &&
              EVP_DigestSign(ctx, sig, &n, (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(ctx);
    if (ok && k->ec)
        ok = add_ecdsa(out, sig, n);
    else if (ok)
        epc_base64url(out, sig, n);
    if (!ok) {
        epc_log(EPC_LOG_ERROR, "wwsf", "event=signing-failed why=\"%s\"",
                ERR_reason_error_string(ERR_peek_last_error()));
        ERR_clear_error();
    }
    return ok ? EPC_OK : EPC_EIO;
}

/* ---- files ------------------------------------------------------------------------------------------- */

enum epc_err epc_key_write_file(const char *file, const char *p, size_t n, mode_t mode, bool keep)
{
    struct epc_buf tmp = {0};
    enum epc_err err = EPC_EIO;
    epc_buf_printf(&tmp, "%s.XXXXXX", file);
    if (tmp.failed) {
        epc_buf_free(&tmp);
        return EPC_ENOMEM;
    }
    int fd = mkostemp(tmp.p, O_CLOEXEC); /* 0600 */
    if (fd >= 0 && write(fd, p, n) == (ssize_t)n && fchmod(fd, mode) == 0 && fsync(fd) == 0) {
        int r = keep ? link(tmp.p, file) : rename(tmp.p, file);
        if (r == 0 || (keep && errno == EEXIST))
            err = EPC_OK;
    }
    if (err != EPC_OK)
        epc_log(EPC_LOG_ERROR, "wwsf", "event=file-not-written file=%s why=\"%s\"", file, strerror(errno));
    if (fd >= 0) {
        close(fd);
        if (err != EPC_OK || keep)
            unlink(tmp.p);
    }
    epc_buf_free(&tmp);
    return err;
}

enum epc_err epc_key_make_file(const char *file)
{
    struct epc_key *k = NULL;
    enum epc_err err = epc_key_generate(&k);
    if (err != EPC_OK)
        return err;
    char *pem = epc_key_pem(k);
    err = pem ? epc_key_write_file(file, pem, strlen(pem), 0600, true) : EPC_EIO;
    if (pem)
        explicit_bzero(pem, strlen(pem));
    free(pem);
    epc_key_close(k);
    if (err == EPC_OK)
        epc_log(EPC_LOG_INFO, "wwsf", "event=signing-key-made file=%s alg=ES256", file);
    return err;
}
