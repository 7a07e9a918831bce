/* TLS on the connections of one listener. OpenSSL makes the handshake. After one of TLS 1.3 only the two
 * traffic keys of a connection are kept and its records are sealed and opened here (RFC 8446 5.2), with
 * cipher contexts that all connections of the shard share: an idle connection then costs two hundred octets
 * instead of more than ten thousand. A connection of TLS 1.2 keeps OpenSSL's state for its life, and every
 * connection does where wss.tls_records says so.
 * Thread: the shard's. */
#ifndef EPC_WSS_TLS_H
#define EPC_WSS_TLS_H

#include "config/config.h"
#include "wss/fifo.h"

#include <openssl/ssl.h>

enum {
    EPC_TLS_PLAIN_MAX = 16384,   /* octets of one record */
    EPC_TLS_RECORD_EXTRA = 128,  /* what sealing adds to them, at most */
    EPC_TLS_SECRET_MAX = 48,
    EPC_TLS_KEY_MAX = 32,
    EPC_TLS_IV = 12,
};

/* A cipher suite of TLS 1.3 (RFC 8446 B.4). */
struct epc_tls_suite {
    uint16_t id;
    uint8_t key_n, secret_n;
    EVP_MD *md;
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *seal, *open; /* take the key anew for each record */
};
enum { EPC_TLS_SUITES = 3 };

/* One direction of one connection. */
struct epc_tls_keys {
    unsigned char secret[EPC_TLS_SECRET_MAX], key[EPC_TLS_KEY_MAX], iv[EPC_TLS_IV];
    bool ready;
    bool due;         /* of sending: the peer has asked for new ones, before the next data */
    uint8_t no_data;  /* of receiving: records one after the other that brought nothing */
    uint64_t seq;
};

struct epc_tls { /* zeroed: none */
    SSL *ssl;    /* NULL: the records are ours */
    const struct epc_tls_suite *suite;
    struct epc_tls_keys rx, tx;
};

struct epc_ticket_key {
    uint64_t period; /* 0: none yet */
    unsigned char name[16], aes[32], mac[32];
};

struct epc_tls_shard {
    SSL_CTX *ctx;
    BIO_METHOD *bio;
    struct epc_tls_suite suite[EPC_TLS_SUITES];
    EVP_MD *sha1, *sha256, *sha384;
    EVP_MD_CTX *md;
    EVP_CIPHER *ticket_cipher;
    struct epc_ticket_key ticket[2]; /* of this period and the one before */
    unsigned char *plain;            /* what SSL_read gave */
    bool openssl_records;            /* configured: no connection is taken over from OpenSSL */
    /* during a call of OpenSSL: what it reads, and where to it writes */
    const unsigned char *feed;
    size_t feed_n;
    struct epc_fifo *answer;
    unsigned char *sink;
    size_t sink_n, sink_room;
};

/* ---- tls_context.c ---- */
/** @return EPC_OK, EPC_ENOMEM, EPC_EIO (certificate, or OpenSSL refuses the parameters; logged) */
enum epc_err epc_tls_open_shard(struct epc_tls_shard *ts, const struct epc_cfg_wss *cfg) EPC_MUST_CHECK;
void epc_tls_close_shard(struct epc_tls_shard *ts);
/** Certificate and key again. EPC_EIO: not usable, the old ones stay (logged). */
enum epc_err epc_tls_reload(struct epc_tls_shard *ts, const struct epc_cfg_wss *cfg) EPC_MUST_CHECK;

/* ---- tls_handshake.c ---- */
enum epc_err epc_tls_accept(struct epc_tls_shard *ts, struct epc_tls *t) EPC_MUST_CHECK;
void epc_tls_free(struct epc_tls *t);
/** The next piece of plain text of what the peer sent. @p p and @p n move over what was used; @p plain is
 *  valid until the next call. What has to be answered (handshake, alerts) is added to @p answer.
 *  @return EPC_OK; EPC_EAGAIN: all is used but the beginning of a record (left at @p p); EPC_ENOENT: the peer
 *          has ended the connection; EPC_EPROTO: it broke the protocol, an alert is in @p answer; EPC_ENOMEM */
enum epc_err epc_tls_unseal(struct epc_tls_shard *ts, struct epc_tls *t, unsigned char **p, size_t *n,
                            unsigned char **plain, size_t *plain_n, struct epc_fifo *answer) EPC_MUST_CHECK;
/** @p n at most EPC_TLS_PLAIN_MAX octets to @p out, which has room for EPC_TLS_RECORD_EXTRA more.
 *  @return octets in @p out; 0: it cannot be (out of memory) */
size_t epc_tls_seal(struct epc_tls_shard *ts, struct epc_tls *t, const unsigned char *p, size_t n,
                    unsigned char *out);
/** The alert that ends the connection (close_notify), likewise. */
size_t epc_tls_bye(struct epc_tls_shard *ts, struct epc_tls *t, unsigned char *out);

/* ---- tls_record.c ---- */
bool epc_tls_hmac(struct epc_tls_shard *ts, const EVP_MD *md, const unsigned char *key, size_t key_n,
                  const void *data, size_t n, unsigned char out[EVP_MAX_MD_SIZE]);
/* From its traffic secret (RFC 8446 7.3); false: OpenSSL refuses */
bool epc_tls_derive(struct epc_tls_shard *ts, const struct epc_tls_suite *s, struct epc_tls_keys *k);
size_t epc_tls_record_seal(struct epc_tls_shard *ts, struct epc_tls *t, unsigned type, const unsigned char *p,
                           size_t n, unsigned char *out);
enum epc_err epc_tls_record_open(struct epc_tls_shard *ts, struct epc_tls *t, unsigned char **p, size_t *n,
                                 unsigned char **plain, size_t *plain_n, struct epc_fifo *answer) EPC_MUST_CHECK;

#endif
