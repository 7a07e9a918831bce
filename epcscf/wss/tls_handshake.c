/* OpenSSL's part: the handshake, and all of TLS 1.2. It never sees the socket: it reads what was received
 * and writes to what will be sent. */
#include "wss/tls.h"

#include <openssl/err.h>
#include <string.h>

enum { TYPE_ALERT = 21, TYPE_DATA = 23 };

enum epc_err epc_tls_accept(struct epc_tls_shard *ts, struct epc_tls *t)
{
    SSL *ssl = SSL_new(ts->ctx);
    BIO *bio = ssl ? BIO_new(ts->bio) : NULL;
    if (!bio || !SSL_set_app_data(ssl, t)) {
        BIO_free(bio);
        SSL_free(ssl);
        ERR_clear_error();
        return EPC_ENOMEM;
    }
    BIO_set_data(bio, ts);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    t->ssl = ssl;
    return EPC_OK;
}

void epc_tls_free(struct epc_tls *t)
{
    SSL_free(t->ssl);
    OPENSSL_cleanse(t, sizeof *t);
}

/* Only from here on are the records ours, and only if OpenSSL holds nothing back. */
static void take_over(struct epc_tls_shard *ts, struct epc_tls *t)
{
    const struct epc_tls_suite *s = NULL;
    if (ts->openssl_records || SSL_version(t->ssl) != TLS1_3_VERSION || !t->rx.ready || !t->tx.ready || SSL_has_pending(t->ssl))
        return;
    unsigned id = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(t->ssl));
    for (size_t i = 0; i < EPC_TLS_SUITES; i++)
        if (ts->suite[i].id == id)
            s = &ts->suite[i];
    if (!s || !epc_tls_derive(ts, s, &t->rx) || !epc_tls_derive(ts, s, &t->tx))
        return;
    t->suite = s;
    SSL_free(t->ssl);
    t->ssl = NULL;
}

static enum epc_err failed(struct epc_tls *t, int result)
{
    int why = SSL_get_error(t->ssl, result);
    if (why == SSL_ERROR_WANT_READ)
        return EPC_EAGAIN;
    ERR_clear_error();
    return why == SSL_ERROR_ZERO_RETURN ? EPC_ENOENT : EPC_EPROTO;
}

static enum epc_err through_openssl(struct epc_tls_shard *ts, struct epc_tls *t, unsigned char **plain,
                                    size_t *plain_n)
{
    if (!SSL_is_init_finished(t->ssl)) {
        int r = SSL_do_handshake(t->ssl);
        if (r != 1)
            return failed(t, r);
        take_over(ts, t);
        return EPC_OK;
    }
    int r = SSL_read(t->ssl, ts->plain, EPC_TLS_PLAIN_MAX);
    if (r <= 0)
        return failed(t, r);
    *plain = ts->plain;
    *plain_n = (size_t)r;
    return EPC_OK;
}

enum epc_err epc_tls_unseal(struct epc_tls_shard *ts, struct epc_tls *t, unsigned char **p, size_t *n,
                            unsigned char **plain, size_t *plain_n, struct epc_fifo *answer)
{
    *plain_n = 0;
    if (!t->ssl)
        return epc_tls_record_open(ts, t, p, n, plain, plain_n, answer);
    ts->feed = *p;
    ts->feed_n = *n;
    ts->answer = answer;
    enum epc_err err = through_openssl(ts, t, plain, plain_n);
    *p += *n - ts->feed_n;
    *n = ts->feed_n;
    ts->feed = NULL;
    ts->feed_n = 0;
    ts->answer = NULL;
    return err;
}

size_t epc_tls_seal(struct epc_tls_shard *ts, struct epc_tls *t, const unsigned char *p, size_t n,
                    unsigned char *out)
{
    if (!t->ssl)
        return epc_tls_record_seal(ts, t, TYPE_DATA, p, n, out);
    ts->sink = out;
    ts->sink_n = 0;
    ts->sink_room = n + EPC_TLS_RECORD_EXTRA;
    int r = SSL_write(t->ssl, p, (int)n);
    ts->sink = NULL;
    ERR_clear_error();
    return r == (int)n ? ts->sink_n : 0;
}

size_t epc_tls_bye(struct epc_tls_shard *ts, struct epc_tls *t, unsigned char *out)
{
    static const unsigned char close_notify[2] = {1, 0};
    if (!t->ssl)
        return t->suite ? epc_tls_record_seal(ts, t, TYPE_ALERT, close_notify, sizeof close_notify, out) : 0;
    if (!SSL_is_init_finished(t->ssl))
        return 0;
    ts->sink = out;
    ts->sink_n = 0;
    ts->sink_room = EPC_TLS_RECORD_EXTRA;
    (void)SSL_shutdown(t->ssl);
    ts->sink = NULL;
    ERR_clear_error();
    return ts->sink_n;
}
