/* TLS parameters of the listener. */
#include "wss/wss_priv.h"

#include <openssl/err.h>
#include <pthread.h>
#include <string.h>

/* One ticket key for the whole process: the kernel spreads a browser's connections over the shards,
 * and a ticket must be good on each of them. Written once, under pthread_once, and only read
 * afterwards. It lives as long as the process, never on disk. */
static unsigned char ticket_key[80];
static pthread_once_t ticket_key_once = PTHREAD_ONCE_INIT;

static void make_ticket_key(void)
{
    epc_random(ticket_key, sizeof ticket_key);
}

/* lws says little about a bad certificate (and leaks), so it is tried beforehand. */
enum epc_err epc_wss_check_certificate(const struct epc_cfg_wss *cfg)
{
    const char *what = NULL, *file = "";
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return EPC_ENOMEM;
    if (!cfg->certificate || SSL_CTX_use_certificate_chain_file(ctx, cfg->certificate) != 1) {
        what = "wss.certificate cannot be used; it must be a PEM file, the server's certificate first";
        file = cfg->certificate;
    } else if (!cfg->key || SSL_CTX_use_PrivateKey_file(ctx, cfg->key, SSL_FILETYPE_PEM) != 1) {
        what = "wss.key cannot be used; it must be a PEM file with the private key of wss.certificate";
        file = cfg->key;
    }
    if (what)
        epc_log(EPC_LOG_ERROR, "wss", "msg=\"%s\" file=%s error=\"%s\"", what, file ? file : "",
                ERR_reason_error_string(ERR_peek_last_error()));
    ERR_clear_error();
    SSL_CTX_free(ctx);
    return what ? EPC_EIO : EPC_OK;
}

enum epc_err epc_wss_setup_tls(SSL_CTX *ctx, const struct epc_cfg_wss *cfg)
{
    static const unsigned char session_context[] = "epcscf-wss";
    int min = cfg->tls_min && strcmp(cfg->tls_min, "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
    long key_size = SSL_CTX_get_tlsext_ticket_keys(ctx, NULL, 0);
    pthread_once(&ticket_key_once, make_ticket_key);
    if (!SSL_CTX_set_min_proto_version(ctx, min) || !SSL_CTX_set_max_proto_version(ctx, 0) ||
        !SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") ||
        !SSL_CTX_set_session_id_context(ctx, session_context, sizeof session_context - 1) ||
        key_size > (long)sizeof ticket_key ||
        !SSL_CTX_set_tlsext_ticket_keys(ctx, ticket_key, key_size)) {
        epc_log(EPC_LOG_ERROR, "wss", "msg=\"TLS parameters refused\" error=\"%s\"",
                ERR_reason_error_string(ERR_peek_last_error()));
        ERR_clear_error();
        return EPC_EIO;
    }
    /* Buffers only while data flows: most connections are idle. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    /* Tickets carry the state: no cache of sessions in memory. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 1);
    return EPC_OK;
}

/* Into the vhost's own context: a handshake takes what the context has when it begins, and a connection
 * keeps what it has begun with. Tried on the side before, so that a bad file changes nothing. */
enum epc_err epc_wss_reload(struct epc_wss *w)
{
    EPC_ASSERT_OWNER(w->sh);
    if (w->destroying)
        return EPC_OK;
    enum epc_err err = epc_wss_check_certificate(w->cfg);
    if (err)
        return err;
    if (SSL_CTX_use_certificate_chain_file(w->tls, w->cfg->certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(w->tls, w->cfg->key, SSL_FILETYPE_PEM) != 1) {
        epc_log(EPC_LOG_ERROR, "wss", "msg=\"certificate not taken over; start again\" file=%s error=\"%s\"",
                w->cfg->certificate, ERR_reason_error_string(ERR_peek_last_error()));
        ERR_clear_error();
        return EPC_EIO;
    }
    epc_log(EPC_LOG_INFO, "wss", "event=certificate-read file=%s", w->cfg->certificate);
    return EPC_OK;
}
