/* What the connections of a listener have in common: certificate, parameters, session tickets. */
#include "wss/tls.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { TICKET_PERIOD_S = 7200 }; /* a ticket is good for as long: OpenSSL's session timeout */

/* The root of the ticket keys, one for the whole process: the kernel spreads a browser's connections over the
 * shards, and a ticket must be good on each of them. Written once, under pthread_once, and only read
 * afterwards. It lives as long as the process, never on disk. */
static unsigned char ticket_root[32];
static pthread_once_t ticket_root_once = PTHREAD_ONCE_INIT;

static void make_ticket_root(void)
{
    epc_random(ticket_root, sizeof ticket_root);
}

static enum epc_err refused(const char *what, const char *file)
{
    epc_log(EPC_LOG_ERROR, "wss", "msg=\"%s\" file=%s error=\"%s\"", what, file ? file : "",
            ERR_reason_error_string(ERR_peek_last_error()));
    ERR_clear_error();
    return EPC_EIO;
}

static enum epc_err load_certificate(SSL_CTX *ctx, const struct epc_cfg_wss *cfg)
{
    if (!cfg->certificate || SSL_CTX_use_certificate_chain_file(ctx, cfg->certificate) != 1)
        return refused("wss.certificate cannot be used; it must be a PEM file, the server's certificate first",
                       cfg->certificate);
    if (!cfg->key || SSL_CTX_use_PrivateKey_file(ctx, cfg->key, SSL_FILETYPE_PEM) != 1)
        return refused("wss.key cannot be used; it must be a PEM file with the private key of wss.certificate",
                       cfg->key);
    return EPC_OK;
}

/* Into the context in use: a handshake takes what the context has when it begins. Tried on the side before, so
 * that a bad file changes nothing. */
enum epc_err epc_tls_reload(struct epc_tls_shard *ts, const struct epc_cfg_wss *cfg)
{
    SSL_CTX *trial = SSL_CTX_new(TLS_server_method());
    if (!trial)
        return EPC_ENOMEM;
    enum epc_err err = load_certificate(trial, cfg);
    SSL_CTX_free(trial);
    return err ? err : load_certificate(ts->ctx, cfg);
}

/* ---- tickets --------------------------------------------------------------------------------------- */

/* Each period has keys of its own, which every shard can work out. */
static const struct epc_ticket_key *ticket_key(struct epc_tls_shard *ts, uint64_t period)
{
    struct epc_ticket_key *k = &ts->ticket[period & 1];
    unsigned char label[1 + sizeof period], out[EVP_MAX_MD_SIZE];
    if (k->period == period)
        return k;
    k->period = 0;
    memcpy(label + 1, &period, sizeof period);
    for (unsigned char i = 0; i < 3; i++) {
        label[0] = i;
        if (!epc_tls_hmac(ts, ts->sha256, ticket_root, sizeof ticket_root, label, sizeof label, out))
            return NULL;
        if (i == 0)
            memcpy(k->name, out, sizeof k->name);
        else
            memcpy(i == 1 ? k->aes : k->mac, out, 32);
    }
    OPENSSL_cleanse(out, sizeof out);
    k->period = period;
    return k;
}

static bool use_ticket_key(struct epc_tls_shard *ts, const struct epc_ticket_key *k, const unsigned char *iv,
                           EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)k->mac, sizeof k->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CipherInit_ex2(cipher, ts->ticket_cipher, k->aes, iv, seal, NULL) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* OpenSSL's vocabulary: 1 good, 2 good and to be replaced, 0 not ours (a full handshake follows), -1 error. In
 * TLS 1.3 a client uses a ticket once (RFC 8446 C.4), so it gets the next. */
static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                     int seal)
{
    struct epc_tls_shard *ts = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    uint64_t period = epc_wall_s() / TICKET_PERIOD_S;
    const struct epc_ticket_key *k = ticket_key(ts, period), *before;
    if (!k)
        return -1;
    if (seal) {
        epc_random(iv, (size_t)EVP_CIPHER_get_iv_length(ts->ticket_cipher));
        memcpy(name, k->name, sizeof k->name);
        return use_ticket_key(ts, k, iv, cipher, mac, 1) ? 1 : -1;
    }
    if (memcmp(name, k->name, sizeof k->name) == 0)
        return !use_ticket_key(ts, k, iv, cipher, mac, 0) ? -1 : SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;
    before = ticket_key(ts, period - 1);
    if (!before || memcmp(name, before->name, sizeof before->name) != 0)
        return 0;
    return use_ticket_key(ts, before, iv, cipher, mac, 0) ? 2 : -1;
}

/* ---- what OpenSSL reads and writes --------------------------------------------------------------------- */

static int bio_read(BIO *bio, char *out, int n)
{
    struct epc_tls_shard *ts = BIO_get_data(bio);
    size_t k = n > 0 && (size_t)n < ts->feed_n ? (size_t)n : ts->feed_n;
    BIO_clear_retry_flags(bio);
    if (k == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, ts->feed, k);
    ts->feed += k;
    ts->feed_n -= k;
    return (int)k;
}

static int bio_write(BIO *bio, const char *p, int n)
{
    struct epc_tls_shard *ts = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (n <= 0)
        return 0;
    if (ts->answer)
        return epc_fifo_add(ts->answer, p, (size_t)n) ? -1 : n;
    if (!ts->sink || (size_t)n > ts->sink_room - ts->sink_n)
        return -1;
    memcpy(ts->sink + ts->sink_n, p, (size_t)n);
    ts->sink_n += (size_t)n;
    return n;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

/* ---- the keys of a connection, as the handshake comes to them ------------------------------------------ */

static unsigned nibble(char c)
{
    return (unsigned)(c >= 'a' ? c - 'a' + 10 : c >= 'A' ? c - 'A' + 10 : c - '0') & 15U;
}

/* "LABEL CLIENT-RANDOM SECRET", in hex: OpenSSL's way to tell a traffic secret */
static void on_secret(const SSL *ssl, const char *line)
{
    struct epc_tls *t = SSL_get_app_data(ssl);
    struct epc_tls_keys *k = strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0   ? &t->rx
                             : strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0 ? &t->tx
                                                                                    : NULL;
    const char *hex = k ? strrchr(line, ' ') + 1 : NULL;
    size_t n = hex ? strlen(hex) / 2 : 0;
    if (n == 0 || n > sizeof k->secret)
        return;
    for (size_t i = 0; i < n; i++)
        k->secret[i] = (unsigned char)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
    k->ready = true;
    k->seq = 0;
}

/* Session tickets are sent under the key that is taken over: they count. */
static void on_tls_message(int sent, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
    struct epc_tls *t = SSL_get_app_data(ssl);
    (void)version;
    (void)p;
    (void)n;
    (void)arg;
    if (sent && type == SSL3_RT_HEADER && t->tx.ready)
        t->tx.seq++;
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
                       unsigned in_n, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_n, ours, sizeof ours - 1, in, in_n) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- open and close ------------------------------------------------------------------------------------ */

static bool set_parameters(struct epc_tls_shard *ts, const struct epc_cfg_wss *cfg)
{
    static const unsigned char session_context[] = "epcscf-wss";
    SSL_CTX *ctx = ts->ctx;
    int min = cfg->tls_min && strcmp(cfg->tls_min, "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
    /* Buffers only while data flows; keys are taken over, so nothing of the handshake is needed after it.
     * AES-128 first, whose hash the processor has; a phone without AES gets ChaCha20. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA);
    /* Tickets carry the state: no cache of sessions in memory. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, TICKET_PERIOD_S);
    SSL_CTX_set_keylog_callback(ctx, on_secret);
    SSL_CTX_set_msg_callback(ctx, on_tls_message);
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    return SSL_CTX_set_app_data(ctx, ts) && SSL_CTX_set_min_proto_version(ctx, min) &&
           SSL_CTX_set_max_proto_version(ctx, 0) && SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") &&
           SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:"
                                         "TLS_AES_256_GCM_SHA384") &&
           SSL_CTX_set_session_id_context(ctx, session_context, sizeof session_context - 1) &&
           SSL_CTX_set_num_tickets(ctx, 1) && SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}

static bool open_suite(struct epc_tls_suite *s, uint16_t id, const char *cipher, EVP_MD *md)
{
    s->id = id;
    s->md = md;
    s->cipher = EVP_CIPHER_fetch(NULL, cipher, NULL);
    s->seal = EVP_CIPHER_CTX_new();
    s->open = EVP_CIPHER_CTX_new();
    if (!s->cipher || !md || !s->seal || !s->open)
        return false;
    s->key_n = (uint8_t)EVP_CIPHER_get_key_length(s->cipher);
    s->secret_n = (uint8_t)EVP_MD_get_size(md);
    return EVP_EncryptInit_ex2(s->seal, s->cipher, NULL, NULL, NULL) == 1 &&
           EVP_DecryptInit_ex2(s->open, s->cipher, NULL, NULL, NULL) == 1;
}

static bool open_algorithms(struct epc_tls_shard *ts)
{
    ts->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    ts->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    ts->sha384 = EVP_MD_fetch(NULL, "SHA384", NULL);
    ts->md = EVP_MD_CTX_new();
    ts->ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    ts->plain = malloc(EPC_TLS_PLAIN_MAX);
    ts->bio = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "wss");
    return ts->sha1 && ts->md && ts->ticket_cipher && ts->plain && ts->bio &&
           BIO_meth_set_read(ts->bio, bio_read) && BIO_meth_set_write(ts->bio, bio_write) &&
           BIO_meth_set_ctrl(ts->bio, bio_ctrl) && open_suite(&ts->suite[0], 0x1301, "AES-128-GCM", ts->sha256) &&
           open_suite(&ts->suite[1], 0x1302, "AES-256-GCM", ts->sha384) &&
           open_suite(&ts->suite[2], 0x1303, "ChaCha20-Poly1305", ts->sha256);
}

enum epc_err epc_tls_open_shard(struct epc_tls_shard *ts, const struct epc_cfg_wss *cfg)
{
    enum epc_err err = EPC_OK;
    pthread_once(&ticket_root_once, make_ticket_root);
    ts->ctx = SSL_CTX_new(TLS_server_method());
    if (!ts->ctx)
        return EPC_ENOMEM;
    ts->openssl_records = cfg->tls_records && strcmp(cfg->tls_records, "openssl") == 0;
    if (!open_algorithms(ts) || !set_parameters(ts, cfg))
        err = refused("TLS parameters refused", NULL);
    if (!err)
        err = load_certificate(ts->ctx, cfg);
    if (err)
        epc_tls_close_shard(ts);
    return err;
}

void epc_tls_close_shard(struct epc_tls_shard *ts)
{
    SSL_CTX_free(ts->ctx);
    BIO_meth_free(ts->bio);
    for (size_t i = 0; i < EPC_TLS_SUITES; i++) {
        EVP_CIPHER_CTX_free(ts->suite[i].seal);
        EVP_CIPHER_CTX_free(ts->suite[i].open);
        EVP_CIPHER_free(ts->suite[i].cipher);
    }
    EVP_MD_free(ts->sha1);
    EVP_MD_free(ts->sha256);
    EVP_MD_free(ts->sha384);
    EVP_MD_CTX_free(ts->md);
    EVP_CIPHER_free(ts->ticket_cipher);
    free(ts->plain);
    OPENSSL_cleanse(ts, sizeof *ts);
}
