/* HTTP over lws. Each endpoint has a vhost of its own, without listener: a TLS client context that
 * trusts one store and accepts one name. lws looks names up with a blocking call, so a thread does that
 * before and lws gets a literal address.
 *
 * A request ends in three steps: the outcome is noted (often inside lws's callback), a timer delivers it
 * outside of any callback, and then the connection, which no longer knows the request, is killed. */
#include "fetch/fetch.h"

#include <libwebsockets.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    ADDRS_MAX = 4,
    RESOLVED_MS = 60000,
    HOST_LEN = 254,
    RX_BUFFER_OCTETS = 4096,
};

struct epc_endpoint {
    struct epc_shard *sh;
    char *url, *path;
    char host[HOST_LEN];          /* without brackets */
    char authority[HOST_LEN + 8]; /* as the Host field wants it */
    uint16_t port;
    bool tls, literal, closing;
    uint32_t timeout_ms;
    SSL_CTX *ssl;
    struct lws_vhost *vhost;
    char addrs[ADDRS_MAX][EPC_ADDR_LEN];
    size_t n_addrs;
    uint64_t resolved_until_ms;
    struct epc_work *resolving;
    struct epc_request *requests;
};

struct epc_request {
    struct epc_request *next, **prev;
    struct epc_endpoint *ep;
    struct lws *wsi;
    struct epc_timer deadline, step;
    char *form;
    const char *basic;
    size_t max_octets, next_addr;
    struct epc_buf body;
    int status;
    uint32_t max_age_s;
    bool connecting, over;
    enum epc_err err;
    char why[96];
    epc_response_fn *done;
    void *arg;
};

/* ---- end of a request -------------------------------------------------------------------------------- */

/* The connection goes on dying on its own. Not from inside lws's callbacks. */
static void kill_connection(struct epc_request *r)
{
    struct lws *wsi = r->wsi;
    if (!wsi)
        return;
    r->wsi = NULL;
    lws_set_opaque_user_data(wsi, NULL);
    int fd = lws_get_socket_fd(wsi);
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR); /* or lws might wait for it to drain */
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}

static void wipe(char *secret)
{
    if (secret)
        OPENSSL_cleanse(secret, strlen(secret));
    free(secret);
}

static void free_request(struct epc_request *r)
{
    struct epc_shard *sh = r->ep->sh;
    epc_timer_stop(sh, &r->deadline);
    epc_timer_stop(sh, &r->step);
    *r->prev = r->next;
    if (r->next)
        r->next->prev = r->prev;
    kill_connection(r);
    wipe(r->form);
    if (r->body.p)
        OPENSSL_cleanse(r->body.p, r->body.n);
    epc_buf_free(&r->body);
    free(r);
}

void epc_request_cancel(struct epc_request *r)
{
    if (r)
        free_request(r);
}

static void deliver(void *arg)
{
    struct epc_request *r = arg;
    struct epc_response resp = {r->status, r->body.p ? r->body.p : "", r->body.n, r->max_age_s, r->why};
    epc_response_fn *done = r->done;
    void *done_arg = r->arg;
    enum epc_err err = r->err;
    /* Off the list first: the receiver may close the endpoint. */
    *r->prev = r->next;
    if (r->next)
        r->next->prev = r->prev;
    r->next = NULL;
    r->prev = &r->next;
    epc_timer_stop(r->ep->sh, &r->deadline);
    kill_connection(r);
    r->ep = NULL;
    done(done_arg, err, &resp);
    wipe(r->form);
    if (r->body.p)
        OPENSSL_cleanse(r->body.p, r->body.n);
    epc_buf_free(&r->body);
    free(r);
}

/* Note the outcome; the first one counts. Any place. */
static void finish(struct epc_request *r, enum epc_err err, const char *why)
{
    if (r->over)
        return;
    r->over = true;
    r->err = err;
    snprintf(r->why, sizeof r->why, "%s", why);
    for (char *c = r->why; *c; c++) {
        if (*c < ' ' || *c == '"')
            *c = '\'';
    }
    epc_timer_start(r->ep->sh, &r->step, 0, deliver, r);
}

static void on_deadline(void *arg)
{
    finish(arg, EPC_ETIMEDOUT, "no complete answer in time");
}

/* ---- connection -------------------------------------------------------------------------------------- */

static void connect_now(void *arg)
{
    struct epc_request *r = arg;
    struct epc_endpoint *ep = r->ep;
    if (r->next_addr >= ep->n_addrs) {
        finish(r, EPC_EIO, "host name has no address");
        return;
    }
    struct lws_client_connect_info info;
    memset(&info, 0, sizeof info);
    info.context = epc_shard_lws(ep->sh);
    info.vhost = ep->vhost;
    info.address = ep->addrs[r->next_addr++];
    info.port = ep->port;
    info.path = ep->path;
    info.host = ep->authority;
    info.method = r->form ? "POST" : "GET";
    info.alpn = "http/1.1";
    info.local_protocol_name = "auth-http";
    info.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT;
    if (ep->tls)
        info.ssl_connection |= LCCSCF_USE_SSL;
    /* lws would look for an address among the names; the endpoint's context compares addresses. */
    if (ep->literal)
        info.ssl_connection |= LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;
    info.opaque_user_data = r;
    info.pwsi = &r->wsi;
    r->connecting = true;
    struct lws *wsi = lws_client_connect_via_info(&info);
    r->connecting = false;
    if (!wsi) {
        r->wsi = NULL;
        if (!r->over && r->next_addr < ep->n_addrs)
            epc_timer_start(ep->sh, &r->step, 0, connect_now, r);
        else
            finish(r, EPC_EIO, "connection refused by the library");
    }
}

/* Before any octet of an answer another address may be tried. */
static void connection_failed(struct epc_request *r, const char *why)
{
    r->wsi = NULL;
    if (r->over || r->connecting)
        return;
    if (r->next_addr < r->ep->n_addrs)
        epc_timer_start(r->ep->sh, &r->step, 0, connect_now, r);
    else
        finish(r, EPC_EIO, why && *why ? why : "connection failed");
}

static int add_header(struct lws *wsi, const char *name, const char *value, unsigned char **p,
                      unsigned char *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (const unsigned char *)value,
                                       (int)strlen(value), p, end);
}

static int on_headers(struct epc_request *r, struct lws *wsi, unsigned char **p, size_t room)
{
    unsigned char *end = *p + room;
    char length[24];
    if (add_header(wsi, "Accept:", "application/json", p, end) ||
        add_header(wsi, "User-Agent:", "epcscf", p, end))
        return -1;
    if (r->basic) {
        struct epc_buf b = {0};
        epc_buf_printf(&b, "Basic %s", r->basic);
        char *value = epc_buf_take(&b, NULL);
        int rc = value ? add_header(wsi, "Authorization:", value, p, end) : -1;
        wipe(value);
        if (rc)
            return -1;
    }
    if (!r->form)
        return 0;
    snprintf(length, sizeof length, "%zu", strlen(r->form));
    if (add_header(wsi, "Content-Type:", "application/x-www-form-urlencoded", p, end) ||
        add_header(wsi, "Content-Length:", length, p, end))
        return -1;
    lws_client_http_body_pending(wsi, 1);
    lws_callback_on_writable(wsi);
    return 0;
}

static int write_form(struct epc_request *r, struct lws *wsi)
{
    size_t n = r->form ? strlen(r->form) : 0;
    if (n == 0)
        return 0;
    unsigned char *frame = malloc(LWS_PRE + n);
    if (!frame)
        return -1;
    memcpy(frame + LWS_PRE, r->form, n);
    int sent = lws_write(wsi, frame + LWS_PRE, n, LWS_WRITE_HTTP_FINAL);
    OPENSSL_cleanse(frame + LWS_PRE, n);
    free(frame);
    lws_client_http_body_pending(wsi, 0);
    wipe(r->form);
    r->form = NULL;
    return sent < (int)n ? -1 : 0;
}

static uint32_t max_age_of(struct lws *wsi)
{
    char text[256];
    struct epc_str rest;
    uint64_t v;
    int n = lws_hdr_copy(wsi, text, sizeof text, WSI_TOKEN_HTTP_CACHE_CONTROL);
    if (n <= 0)
        return UINT32_MAX;
    rest = (struct epc_str){text, (size_t)n};
    while (rest.p) {
        struct epc_str item = epc_str_trim(epc_str_cut(&rest, ','));
        if (epc_str_ieqc(item, "no-store") || epc_str_ieqc(item, "no-cache"))
            return 0;
        if (item.n > 8 && strncasecmp(item.p, "max-age=", 8) == 0 &&
            epc_str_u64((struct epc_str){item.p + 8, item.n - 8}, UINT32_MAX - 1, &v) == EPC_OK)
            return (uint32_t)v;
    }
    return UINT32_MAX;
}

static int on_answer(struct epc_request *r, struct lws *wsi)
{
    r->status = (int)lws_http_client_http_response(wsi);
    r->max_age_s = max_age_of(wsi);
    SSL *ssl = r->ep->tls ? lws_get_ssl(wsi) : NULL;
    if (r->ep->tls && (!ssl || SSL_get_verify_result(ssl) != X509_V_OK)) {
        finish(r, EPC_EIO, "certificate not verified");
        return -1;
    }
    return 0;
}

static int on_body(struct epc_request *r, const void *p, size_t n)
{
    if (r->body.n + n > r->max_octets) {
        finish(r, EPC_ELIMIT, "answer too long");
        return -1;
    }
    epc_buf_add(&r->body, p, n);
    if (r->body.failed) {
        finish(r, EPC_ENOMEM, "out of memory");
        return -1;
    }
    return 0;
}

static int read_some(struct lws *wsi)
{
    char buffer[LWS_PRE + RX_BUFFER_OCTETS], *p = buffer + LWS_PRE;
    int n = RX_BUFFER_OCTETS;
    return lws_http_client_read(wsi, &p, &n) < 0 ? -1 : 0;
}

static int on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct epc_request *r = wsi ? lws_get_opaque_user_data(wsi) : NULL;
    (void)user;
    if (!r)
        return reason == LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP ? -1 : 0;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        lws_set_opaque_user_data(wsi, NULL);
        connection_failed(r, in);
        return 0;
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return on_headers(r, wsi, in, len);
    case LWS_CALLBACK_CLIENT_HTTP_WRITEABLE:
        return write_form(r, wsi);
    case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
        return on_answer(r, wsi);
    case LWS_CALLBACK_RECEIVE_CLIENT_HTTP:
        return read_some(wsi);
    case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
        return on_body(r, in, len);
    case LWS_CALLBACK_COMPLETED_CLIENT_HTTP:
        finish(r, EPC_OK, "");
        return -1;
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
    case LWS_CALLBACK_WSI_DESTROY:
        lws_set_opaque_user_data(wsi, NULL);
        r->wsi = NULL;
        if (r->status)
            finish(r, EPC_EIO, "connection ended inside the answer");
        else
            connection_failed(r, "connection ended before an answer");
        return 0;
    default:
        return 0;
    }
}

/* ---- names ---------------------------------------------------------------------------------------------- */

struct name_job {
    struct epc_endpoint *ep; /* not for run() */
    char host[HOST_LEN];
    char addrs[ADDRS_MAX][EPC_ADDR_LEN];
    size_t n;
};

static void name_run(void *arg)
{
    struct name_job *j = arg;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    if (getaddrinfo(j->host, NULL, &hints, &found) != 0)
        return;
    for (const struct addrinfo *i = found; i && j->n < ADDRS_MAX; i = i->ai_next) {
        if (getnameinfo(i->ai_addr, i->ai_addrlen, j->addrs[j->n], EPC_ADDR_LEN, NULL, 0,
                        NI_NUMERICHOST) == 0)
            j->n++;
    }
    freeaddrinfo(found);
}

static void name_done(void *arg)
{
    struct name_job *j = arg;
    struct epc_endpoint *ep = j->ep;
    ep->resolving = NULL;
    memcpy(ep->addrs, j->addrs, sizeof ep->addrs);
    ep->n_addrs = j->n;
    ep->resolved_until_ms = epc_now_ms() + RESOLVED_MS;
    for (struct epc_request *r = ep->requests; r; r = r->next) {
        if (!r->over && !r->wsi && r->next_addr == 0)
            epc_timer_start(ep->sh, &r->step, 0, connect_now, r);
    }
}

static const struct epc_work_fns name_work = {name_run, name_done, free};

static bool resolve(struct epc_endpoint *ep)
{
    if (ep->resolving)
        return true;
    struct name_job *j = calloc(1, sizeof *j);
    if (!j)
        return false;
    j->ep = ep;
    memcpy(j->host, ep->host, sizeof j->host);
    if (epc_work_start(&ep->resolving, ep->sh, &name_work, j) == EPC_OK)
        return true;
    free(j);
    return false;
}

struct epc_request *epc_http_ask(struct epc_endpoint *ep, const char *form, const char *basic,
                                 size_t max_octets, epc_response_fn *done, void *arg)
{
    struct epc_request *r = calloc(1, sizeof *r);
    if (!r || (form && !(r->form = epc_str_dup(epc_str_c(form))))) {
        free(r);
        return NULL;
    }
    r->ep = ep;
    r->basic = basic;
    r->max_octets = max_octets;
    r->max_age_s = UINT32_MAX;
    r->done = done;
    r->arg = arg;
    r->next = ep->requests;
    r->prev = &ep->requests;
    if (r->next)
        r->next->prev = &r->next;
    ep->requests = r;
    epc_timer_start(ep->sh, &r->deadline, ep->timeout_ms, on_deadline, r);
    if (ep->n_addrs > 0 && (ep->literal || epc_now_ms() < ep->resolved_until_ms))
        epc_timer_start(ep->sh, &r->step, 0, connect_now, r);
    else if (!resolve(ep))
        finish(r, EPC_ENOMEM, "no thread to look the name up");
    return r;
}

/* ---- endpoints -------------------------------------------------------------------------------------------- */

/* https://host[:port][/path]; config/ has checked the form. */
static bool take_url_apart(struct epc_endpoint *ep, const char *url)
{
    ep->tls = strncasecmp(url, "https://", 8) == 0;
    if (!ep->tls && strncasecmp(url, "http://", 7) != 0)
        return false;
    const char *p = url + (ep->tls ? 8 : 7);
    size_t n = strcspn(p, "/?#");
    struct epc_buf b = {0};
    epc_buf_printf(&b, "%s%s", p[n] == '/' ? "" : "/", p + n);
    ep->path = epc_buf_take(&b, NULL);
    if (!ep->path || n == 0 || n >= sizeof ep->authority)
        return false;
    memcpy(ep->authority, p, n);
    struct epc_str host = {p, n};
    const char *after = p;
    if (*p == '[') {
        after = memchr(p, ']', n);
        if (!after)
            return false;
        host = (struct epc_str){p + 1, (size_t)(after - p - 1)};
    }
    const char *colon = memchr(after, ':', n - (size_t)(after - p));
    if (colon && *p != '[')
        host.n = (size_t)(colon - p);
    uint64_t port = ep->tls ? 443 : 80;
    if (colon && epc_str_u64((struct epc_str){colon + 1, n - (size_t)(colon + 1 - p)}, 65535, &port) != EPC_OK)
        return false;
    if (host.n == 0 || host.n >= sizeof ep->host)
        return false;
    memcpy(ep->host, host.p, host.n);
    ep->port = (uint16_t)port;
    struct epc_addr a;
    if (epc_addr_parse(&a, ep->host, ep->port) == EPC_OK) {
        ep->literal = true;
        epc_addr_ip(&a, ep->addrs[0]);
        ep->n_addrs = 1;
    }
    return true;
}

static bool open_tls(struct epc_endpoint *ep, const char *ca_file)
{
    ep->ssl = SSL_CTX_new(TLS_client_method());
    if (!ep->ssl)
        return false;
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ep->ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    int named = ep->literal ? X509_VERIFY_PARAM_set1_ip_asc(param, ep->host)
                            : X509_VERIFY_PARAM_set1_host(param, ep->host, 0);
    SSL_CTX_set_verify(ep->ssl, SSL_VERIFY_PEER, NULL);
    int trusted = ca_file ? SSL_CTX_load_verify_file(ep->ssl, ca_file)
                          : SSL_CTX_set_default_verify_paths(ep->ssl);
    if (named == 1 && trusted == 1 && SSL_CTX_set_min_proto_version(ep->ssl, TLS1_2_VERSION) == 1)
        return true;
    epc_log(EPC_LOG_ERROR, "fetch", "event=http_refused url=\"%s\" ca_file=\"%s\" reason=\"%s\"", ep->url,
            ca_file ? ca_file : "", trusted == 1 ? "TLS context refused" : "no usable CA certificate in it");
    ERR_clear_error();
    return false;
}

static void free_endpoint(struct epc_endpoint *ep)
{
    SSL_CTX_free(ep->ssl);
    free(ep->url);
    free(ep->path);
    free(ep);
}

static void on_vhost_gone(struct lws_vhost *vhost, void *arg)
{
    struct epc_endpoint *ep = arg;
    (void)vhost;
    if (!ep->closing)
        return; /* epc_endpoint_open() failed half-way and frees it */
    epc_shard_release(ep->sh);
    free_endpoint(ep);
}

static bool open_vhost(struct epc_endpoint *ep)
{
    static const struct lws_protocols protocols[] = {
        {"auth-http", on_lws, 0, RX_BUFFER_OCTETS, 0, NULL, 0},
        {NULL, NULL, 0, 0, 0, NULL, 0},
    };
    static const lws_retry_bo_t no_validity_timers;
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    /* A vhost that serves (TLS: NO_LISTEN_SERVER) is never mixed up with this one. */
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.options = LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.vhost_name = ep->url;
    info.protocols = protocols;
    info.retry_and_idle_policy = &no_validity_timers;
    info.provided_client_ssl_ctx = ep->ssl;
    info.http_proxy_address = ":0"; /* none; or lws takes one from the environment */
    info.finalize = on_vhost_gone;
    info.finalize_arg = ep;
    ep->vhost = lws_create_vhost(epc_shard_lws(ep->sh), &info);
    if (!ep->vhost)
        epc_log(EPC_LOG_ERROR, "fetch", "event=http_refused url=\"%s\" reason=\"lws_create_vhost\"", ep->url);
    return ep->vhost != NULL;
}

enum epc_err epc_endpoint_open(struct epc_endpoint **out, struct epc_shard *sh, const char *url,
                               const char *ca_file, uint32_t timeout_ms)
{
    struct epc_endpoint *ep = calloc(1, sizeof *ep);
    if (!ep)
        return EPC_ENOMEM;
    ep->sh = sh;
    ep->timeout_ms = timeout_ms;
    ep->url = epc_str_dup(epc_str_c(url));
    enum epc_err err = EPC_EIO;
    if (!ep->url)
        err = EPC_ENOMEM;
    else if (!take_url_apart(ep, url))
        err = EPC_EINVAL;
    else if ((!ep->tls || open_tls(ep, ca_file)) && open_vhost(ep))
        err = EPC_OK;
    if (err == EPC_OK)
        *out = ep;
    else
        free_endpoint(ep);
    return err;
}

void epc_endpoint_close(struct epc_endpoint *ep)
{
    if (!ep)
        return;
    epc_work_cancel(ep->resolving);
    while (ep->requests)
        free_request(ep->requests);
    ep->closing = true;
    epc_shard_hold(ep->sh);
    lws_vhost_destroy(ep->vhost); /* calls on_vhost_gone, which frees ep */
}
