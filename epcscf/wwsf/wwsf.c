/* The WWSF's HTTPS listener on the service shard: life of its parts and of its connections. */
#include "wwsf/wwsf_priv.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, SOURCES_MAX = 32768, RX_OCTETS = 4096 };
/* Passwords take some 50 ms and 16 MB each; what waits here longer than a second gets 503 instead. */
enum { HASH_THREADS = 2, HASHES_WAITING_MAX = 32, STORES_WAITING_MAX = 512 };

/* ---- connections ---------------------------------------------------------------------------------- */

static bool may_accept(void *arg, const struct epc_addr *peer)
{
    struct epc_wwsf *w = arg;
    w->accepting = NULL;
    if (w->destroying || w->n_conns >= CONNECTIONS_MAX) {
        epc_count(EPC_C_WWSF_LIMITED);
        return false;
    }
    w->accepting = peer; /* valid until lws has taken the socket over, within this call's caller */
    return true;
}

static int on_accepted(struct epc_wwsf *w, struct lws *wsi)
{
    struct epc_conn *c = w->accepting ? calloc(1, sizeof *c) : NULL;
    if (!c)
        return -1; /* without it, every later callback closes the connection */
    c->w = w;
    c->wsi = wsi;
    c->peer = *w->accepting;
    w->accepting = NULL;
    c->next = w->conns;
    c->prev = &w->conns;
    if (c->next)
        c->next->prev = &c->next;
    w->conns = c;
    w->n_conns++;
    epc_conn_start(c);
    return 0;
}

/* lws clears a connection's user pointer right after it has announced the connection, so the pointer
 * is set at the next event; until then the connection is at the front of the list. */
static struct epc_conn *conn_of(struct epc_wwsf *w, struct lws *wsi)
{
    struct epc_conn *c = lws_get_opaque_user_data(wsi);
    if (c || !w)
        return c;
    for (c = w->conns; c && c->wsi != wsi; c = c->next) {
    }
    lws_set_opaque_user_data(wsi, c);
    return c;
}

static int setup_tls(SSL_CTX *ctx)
{
    static const unsigned char session_context[] = "epcscf-wwsf";
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
           SSL_CTX_set_session_id_context(ctx, session_context, sizeof session_context - 1) == 1 ? 0 : -1;
}

static int on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct lws_vhost *vhost = wsi ? lws_get_vhost(wsi) : NULL;
    struct epc_wwsf *w = vhost ? lws_vhost_user(vhost) : NULL;
    struct epc_conn *c;
    switch (reason) {
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
        return setup_tls(user);
    case LWS_CALLBACK_WSI_CREATE:
        return w ? on_accepted(w, wsi) : 0;
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
    case LWS_CALLBACK_HTTP:
    case LWS_CALLBACK_HTTP_BODY:
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
    case LWS_CALLBACK_HTTP_WRITEABLE:
    case LWS_CALLBACK_WSI_DESTROY:
        c = wsi ? conn_of(w, wsi) : NULL;
        return c ? epc_http_event(c, reason, in, len) : -1;
    default:
        return 0;
    }
}

/* ---- create ----------------------------------------------------------------------------------------- */

/* scheme, host and port of a URL: what CSP compares */
static struct epc_str url_origin(const char *url)
{
    const char *host = strstr(url, "://");
    if (!host)
        return EPC_STR_NULL;
    return (struct epc_str){url, (size_t)(host - url) + 3 + strcspn(host + 3, "/?#;, ")};
}

static char *security_headers(const struct epc_cfg_wwsf *cfg)
{
    struct epc_buf b = {0};
    epc_buf_adds(&b, "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
                     "img-src 'self'; media-src 'self' blob: mediastream:; base-uri 'none'; "
                     "form-action 'none'; frame-ancestors 'none'; connect-src 'self'");
    for (size_t i = 0; i < cfg->n_plmn; i++) {
        struct epc_str origin = url_origin(cfg->plmn[i].url);
        bool again = false;
        for (size_t k = 0; k < i && !again; k++)
            again = epc_str_eq(origin, url_origin(cfg->plmn[k].url));
        if (!again)
            epc_buf_printf(&b, " %.*s", EPC_STR_ARG(origin));
    }
    epc_buf_adds(&b, "\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
                     "Referrer-Policy: no-referrer\r\n"
                     "Strict-Transport-Security: max-age=31536000\r\n"
                     "Cross-Origin-Opener-Policy: same-origin\r\n"
                     "Cross-Origin-Resource-Policy: same-origin\r\n"
                     "Permissions-Policy: microphone=(self), camera=(self), geolocation=(), payment=()\r\n");
    return epc_buf_take(&b, NULL);
}

/* From here on no other thread works for it. */
static void stop_threads(struct epc_wwsf *w)
{
    epc_jobs_destroy(w->hashers);
    epc_jobs_destroy(w->stores);
    w->hashers = w->stores = NULL;
    epc_turn_stop(w->turn);
    w->turn = NULL;
}

static void free_wwsf(struct epc_wwsf *w)
{
    stop_threads(w);
    epc_ring_free(w->ring);
    epc_backend_close(&w->backend);
    epc_page_free(w->page);
    epc_choice_destroy(w->choice);
    epc_limits_destroy(w->limits);
    free(w->headers);
    free(w);
}

static void on_vhost_gone(struct lws_vhost *vhost, void *arg)
{
    struct epc_wwsf *w = arg;
    (void)vhost;
    if (!w->destroying)
        return; /* epc_wwsf_create() failed half-way and frees it */
    epc_shard_release(w->sh);
    free_wwsf(w);
}

static enum epc_err open_vhost(struct epc_wwsf *w)
{
    static const struct lws_protocols protocols[] = {
        {"http", on_lws, 0, RX_OCTETS, 0, NULL, 0},
        {NULL, NULL, 0, 0, 0, NULL, 0},
    };
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    /* The first switches TLS on for this vhost; the second keeps a folder of CAs from being read. */
    info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
    info.vhost_name = "wwsf";
    info.protocols = protocols;
    info.ssl_cert_filepath = w->cfg->certificate;
    info.ssl_private_key_filepath = w->cfg->key;
    info.alpn = "http/1.1";
    info.keepalive_timeout = 20;
    info.user = w;
    info.finalize = on_vhost_gone;
    info.finalize_arg = w;
    w->vhost = lws_create_vhost(epc_shard_lws(w->sh), &info);
    if (w->vhost)
        return EPC_OK;
    epc_log(EPC_LOG_ERROR, "wwsf", "event=tls-refused certificate=%s key=%s "
            "why=\"not readable, or certificate and key do not belong together\"",
            w->cfg->certificate, w->cfg->key);
    return EPC_EIO;
}

static enum epc_err readable(const char *file)
{
    if (file && access(file, R_OK) == 0)
        return EPC_OK;
    epc_log(EPC_LOG_ERROR, "wwsf", "event=file-unreadable file=%s", file ? file : "");
    return EPC_EIO;
}

/* The store is this thread's until its own has been started. */
static enum epc_err open_store(struct epc_wwsf *w)
{
    w->backend.cfg = w->cfg;
    enum epc_err err = epc_store_open(&w->backend.store, w->cfg->database);
    if (err == EPC_OK)
        err = epc_backend_import(&w->backend, true);
    if (err == EPC_OK)
        err = epc_turn_start(&w->turn, w);
    if (err == EPC_OK)
        err = epc_jobs_create(&w->stores, w->sh, "wwsf-store", 1, STORES_WAITING_MAX, &w->backend);
    if (err == EPC_OK)
        err = epc_jobs_create(&w->hashers, w->sh, "wwsf-hash", HASH_THREADS, HASHES_WAITING_MAX, NULL);
    return err;
}

static enum epc_err load(struct epc_wwsf *w)
{
    enum epc_err err = readable(w->cfg->certificate);
    if (err == EPC_OK)
        err = readable(w->cfg->key);
    if (err == EPC_OK)
        err = epc_page_load(&w->page, w->cfg->page_dir);
    if (err == EPC_OK)
        err = epc_choice_create(&w->choice, w->cfg);
    if (err == EPC_OK)
        err = epc_limits_create(&w->limits, SOURCES_MAX);
    if (err == EPC_OK && !(w->headers = security_headers(w->cfg)))
        err = EPC_ENOMEM;
    return err == EPC_OK ? open_store(w) : err;
}

void epc_wwsf_on_returned(struct epc_wwsf *w, epc_wwsf_returned_fn *fn, void *arg)
{
    EPC_ASSERT_OWNER(w->sh);
    w->returned = fn;
    w->returned_arg = arg;
}

enum epc_err epc_wwsf_create(struct epc_wwsf **out, struct epc_shard *service,
                             const struct epc_cfg_wwsf *cfg)
{
    char text[EPC_ADDR_LEN];
    if (!out || !service || !cfg)
        return EPC_EINVAL;
    EPC_ASSERT_OWNER(service);
    struct epc_wwsf *w = calloc(1, sizeof *w);
    if (!w)
        return EPC_ENOMEM;
    w->sh = service;
    w->cfg = cfg;
    enum epc_err err = load(w);
    if (err == EPC_OK)
        err = open_vhost(w);
    if (err == EPC_OK)
        err = epc_health_start(w->choice, service);
    if (err == EPC_OK)
        err = epc_shard_listen(service, &cfg->listen, w->vhost, may_accept, w);
    if (err != EPC_OK)
        goto out;
    epc_log(EPC_LOG_INFO, "wwsf", "event=listening address=%s url=%s", epc_addr_text(&cfg->listen, text),
            cfg->public_url);
    *out = w;
    return EPC_OK;
out:
    if (w->vhost)
        lws_vhost_destroy(w->vhost);
    free_wwsf(w);
    return err;
}

/* ---- destroy -------------------------------------------------------------------------------------------- */

static void finish_destroy(struct epc_wwsf *w)
{
    lws_vhost_destroy(w->vhost); /* calls on_vhost_gone, which frees w */
}

void epc_wwsf_conn_gone(struct epc_wwsf *w)
{
    w->n_conns--;
    if (w->destroying && w->n_conns == 0)
        finish_destroy(w);
}

void epc_wwsf_destroy(struct epc_wwsf *w)
{
    if (!w || w->destroying)
        return;
    EPC_ASSERT_OWNER(w->sh);
    epc_shard_unlisten(w->sh, w->vhost);
    epc_shard_hold(w->sh);
    w->destroying = true;
    stop_threads(w);
    epc_choice_destroy(w->choice);
    w->choice = NULL;
    w->cfg = NULL; /* the caller may free it now */
    w->backend.cfg = NULL;
    if (w->n_conns == 0) {
        finish_destroy(w);
        return;
    }
    for (struct epc_conn *c = w->conns; c; c = c->next)
        epc_conn_kill(c);
}
