/* The record protection of TLS 1.3: RFC 8446 5.2 to 5.5, 4.6.3, 6, 7.1 to 7.3. */
#include "wss/tls.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

enum {
    HEADER = 5,
    TAG = 16,
    CIPHERTEXT_MAX = EPC_TLS_PLAIN_MAX + 256,
    TYPE_ALERT = 21,
    TYPE_HANDSHAKE = 22,
    TYPE_DATA = 23,
    KEY_UPDATE = 24,
    ALERT_CLOSE_NOTIFY = 0,
    ALERT_UNEXPECTED_MESSAGE = 10,
    ALERT_BAD_RECORD_MAC = 20,
    ALERT_RECORD_OVERFLOW = 22,
    ALERT_ILLEGAL_PARAMETER = 47,
    ALERT_INTERNAL_ERROR = 80,
    ALERT_USER_CANCELED = 90,
    /* Records under one key: well under what AES-GCM bears (RFC 8446 5.5) */
    RECORDS_MAX = 1 << 23,
    NO_DATA_MAX = 32, /* in a row; more of them is an attack on our time */
};

/* ---- keys ------------------------------------------------------------------------------------------ */

static bool digest(struct epc_tls_shard *ts, const EVP_MD *md, const unsigned char *block, size_t block_n,
                   const void *data, size_t n, unsigned char *out)
{
    return EVP_DigestInit_ex(ts->md, md, NULL) == 1 && EVP_DigestUpdate(ts->md, block, block_n) == 1 &&
           EVP_DigestUpdate(ts->md, data, n) == 1 && EVP_DigestFinal_ex(ts->md, out, NULL) == 1;
}

/* RFC 2104, on a context that is there: OpenSSL's own looks its algorithms up each time. */
bool epc_tls_hmac(struct epc_tls_shard *ts, const EVP_MD *md, const unsigned char *key, size_t key_n,
                  const void *data, size_t n, unsigned char out[EVP_MAX_MD_SIZE])
{
    unsigned char block[128] = {0};
    size_t block_n = (size_t)EVP_MD_get_block_size(md), md_n = (size_t)EVP_MD_get_size(md);
    if (block_n > sizeof block || key_n > block_n)
        return false;
    memcpy(block, key, key_n);
    for (size_t i = 0; i < block_n; i++)
        block[i] ^= 0x36;
    bool ok = digest(ts, md, block, block_n, data, n, out);
    for (size_t i = 0; i < block_n; i++)
        block[i] ^= 0x36 ^ 0x5c;
    ok = ok && digest(ts, md, block, block_n, out, md_n, out);
    OPENSSL_cleanse(block, sizeof block);
    return ok;
}

/* HKDF-Expand-Label without context, for at most one hash (RFC 8446 7.1) */
static bool expand(struct epc_tls_shard *ts, const struct epc_tls_suite *s, const unsigned char *secret,
                   const char *label, unsigned char *out, size_t n)
{
    unsigned char info[64], hash[EVP_MAX_MD_SIZE];
    size_t label_n = strlen(label), at = 0;
    info[at++] = 0;
    info[at++] = (unsigned char)n;
    info[at++] = (unsigned char)(6 + label_n);
    memcpy(info + at, "tls13 ", 6);
    memcpy(info + at + 6, label, label_n);
    at += 6 + label_n;
    info[at++] = 0;
    info[at++] = 1; /* HKDF's count */
    bool ok = epc_tls_hmac(ts, s->md, secret, s->secret_n, info, at, hash);
    if (ok)
        memcpy(out, hash, n);
    OPENSSL_cleanse(hash, sizeof hash);
    return ok;
}

bool epc_tls_derive(struct epc_tls_shard *ts, const struct epc_tls_suite *s, struct epc_tls_keys *k)
{
    return expand(ts, s, k->secret, "key", k->key, s->key_n) && expand(ts, s, k->secret, "iv", k->iv, EPC_TLS_IV);
}

static bool next_generation(struct epc_tls_shard *ts, const struct epc_tls_suite *s, struct epc_tls_keys *k)
{
    unsigned char secret[EPC_TLS_SECRET_MAX];
    bool ok = expand(ts, s, k->secret, "traffic upd", secret, s->secret_n);
    memcpy(k->secret, secret, s->secret_n);
    OPENSSL_cleanse(secret, sizeof secret);
    k->seq = 0;
    k->due = false;
    return ok && epc_tls_derive(ts, s, k);
}

static void nonce(const struct epc_tls_keys *k, unsigned char out[EPC_TLS_IV])
{
    memcpy(out, k->iv, EPC_TLS_IV);
    for (unsigned i = 0; i < 8; i++)
        out[EPC_TLS_IV - 1 - i] ^= (unsigned char)(k->seq >> (8 * i));
}

/* ---- sealing --------------------------------------------------------------------------------------- */

size_t epc_tls_record_seal(struct epc_tls_shard *ts, struct epc_tls *t, unsigned type, const unsigned char *p,
                           size_t n, unsigned char *out)
{
    static const unsigned char update[5] = {KEY_UPDATE, 0, 0, 1, 0};
    EVP_CIPHER_CTX *c = t->suite->seal;
    unsigned char iv[EPC_TLS_IV], *body = out + HEADER;
    size_t length = n + 1 + TAG, before = 0;
    int done, rest;
    if ((t->tx.seq >= RECORDS_MAX || t->tx.due) && type == TYPE_DATA) {
        before = epc_tls_record_seal(ts, t, TYPE_HANDSHAKE, update, sizeof update, out);
        if (!before || !next_generation(ts, t->suite, &t->tx))
            return 0;
        out += before;
        body += before;
    }
    out[0] = TYPE_DATA;
    out[1] = 3;
    out[2] = 3;
    out[3] = (unsigned char)(length >> 8);
    out[4] = (unsigned char)length;
    memcpy(body, p, n);
    body[n] = (unsigned char)type;
    nonce(&t->tx, iv);
    if (EVP_EncryptInit_ex2(c, NULL, t->tx.key, iv, NULL) != 1 || EVP_EncryptUpdate(c, NULL, &done, out, HEADER) != 1 ||
        EVP_EncryptUpdate(c, body, &done, body, (int)n + 1) != 1 || EVP_EncryptFinal_ex(c, body + done, &rest) != 1 ||
        EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, body + n + 1) != 1)
        return 0;
    t->tx.seq++;
    return before + HEADER + length;
}

static enum epc_err fail(struct epc_tls_shard *ts, struct epc_tls *t, unsigned alert, struct epc_fifo *answer)
{
    unsigned char text[2] = {2, (unsigned char)alert}, out[2 + EPC_TLS_RECORD_EXTRA];
    size_t n = epc_tls_record_seal(ts, t, TYPE_ALERT, text, sizeof text, out);
    enum epc_err err = epc_fifo_add(answer, out, n);
    return err ? err : EPC_EPROTO;
}

/* ---- opening --------------------------------------------------------------------------------------- */

static bool open_in_place(struct epc_tls *t, const unsigned char *header, unsigned char *body, size_t n)
{
    EVP_CIPHER_CTX *c = t->suite->open;
    unsigned char iv[EPC_TLS_IV];
    int done, rest;
    nonce(&t->rx, iv);
    return EVP_DecryptInit_ex2(c, NULL, t->rx.key, iv, NULL) == 1 &&
           EVP_DecryptUpdate(c, NULL, &done, header, HEADER) == 1 &&
           EVP_DecryptUpdate(c, body, &done, body, (int)n) == 1 &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, body + n) == 1 &&
           EVP_DecryptFinal_ex(c, body + done, &rest) == 1;
}

/* KeyUpdate is all that a client may send after the handshake; a key's last record holds it alone. Ours is
 * sent with the next data (RFC 8446 4.6.3): one who only asks cannot make an answer grow. */
static enum epc_err on_handshake(struct epc_tls_shard *ts, struct epc_tls *t, const unsigned char *p, size_t n,
                                 struct epc_fifo *answer)
{
    static const unsigned char update[4] = {KEY_UPDATE, 0, 0, 1};
    if (n != sizeof update + 1 || memcmp(p, update, sizeof update) != 0)
        return fail(ts, t, ALERT_UNEXPECTED_MESSAGE, answer);
    if (p[4] > 1)
        return fail(ts, t, ALERT_ILLEGAL_PARAMETER, answer);
    if (!next_generation(ts, t->suite, &t->rx))
        return fail(ts, t, ALERT_INTERNAL_ERROR, answer);
    if (p[4])
        t->tx.due = true;
    return EPC_OK;
}

static enum epc_err on_alert(struct epc_tls_shard *ts, struct epc_tls *t, const unsigned char *p, size_t n,
                             struct epc_fifo *answer)
{
    if (n != 2)
        return fail(ts, t, ALERT_UNEXPECTED_MESSAGE, answer);
    return p[1] == ALERT_USER_CANCELED ? EPC_OK : EPC_ENOENT; /* close_notify, or an error: the end */
}

enum epc_err epc_tls_record_open(struct epc_tls_shard *ts, struct epc_tls *t, unsigned char **p, size_t *n,
                                 unsigned char **plain, size_t *plain_n, struct epc_fifo *answer)
{
    *plain_n = 0;
    if (*n < HEADER)
        return EPC_EAGAIN;
    unsigned char *header = *p, *body = header + HEADER;
    size_t length = (size_t)header[3] << 8 | header[4];
    if (header[0] != TYPE_DATA)
        return fail(ts, t, ALERT_UNEXPECTED_MESSAGE, answer);
    if (length > CIPHERTEXT_MAX)
        return fail(ts, t, ALERT_RECORD_OVERFLOW, answer);
    if (length < TAG + 1)
        return fail(ts, t, ALERT_BAD_RECORD_MAC, answer);
    if (*n < HEADER + length)
        return EPC_EAGAIN;
    *p += HEADER + length;
    *n -= HEADER + length;
    length -= TAG;
    if (!open_in_place(t, header, body, length))
        return fail(ts, t, ALERT_BAD_RECORD_MAC, answer);
    t->rx.seq++;
    while (length && body[length - 1] == 0) /* padding */
        length--;
    if (length == 0)
        return fail(ts, t, ALERT_UNEXPECTED_MESSAGE, answer);
    unsigned type = body[--length];
    if (length > EPC_TLS_PLAIN_MAX)
        return fail(ts, t, ALERT_RECORD_OVERFLOW, answer);
    t->rx.no_data = type == TYPE_DATA && length ? 0 : t->rx.no_data + 1;
    if (t->rx.no_data > NO_DATA_MAX)
        return fail(ts, t, ALERT_UNEXPECTED_MESSAGE, answer);
    if (type == TYPE_HANDSHAKE)
        return on_handshake(ts, t, body, length, answer);
    if (type == TYPE_ALERT)
        return on_alert(ts, t, body, length, answer);
    if (type != TYPE_DATA)
        return fail(ts, t, ALERT_UNEXPECTED_MESSAGE, answer);
    *plain = body;
    *plain_n = length;
    return EPC_OK;
}
