/* HTTP/1.1 on lws: one request at a time, its body bounded, its answer built whole and then sent as
 * the socket takes it. */
#include "wwsf/wwsf_priv.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_OCTETS = 16384, DEADLINE_MS = 30000 };

static const char *phrase(int status)
{
    switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 429: return "Too Many Requests";
    case 503: return "Service Unavailable";
    default: return "Internal Server Error";
    }
}

/* ---- end --------------------------------------------------------------------------------------- */

/* From a timer of its own: an lws connection must not be freed inside one of its callbacks. */
static void on_kill(void *arg)
{
    struct epc_conn *c = arg;
    if (c->gone)
        return;
    int fd = lws_get_socket_fd(c->wsi);
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR); /* lws must not wait for its buffers to drain */
    lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}

void epc_conn_kill(struct epc_conn *c)
{
    if (!c->gone)
        epc_timer_start(c->w->sh, &c->deadline, 0, on_kill, c);
}

static void restart_deadline(struct epc_conn *c)
{
    if (!c->w->destroying)
        epc_timer_start(c->w->sh, &c->deadline, DEADLINE_MS, on_kill, c);
}

void epc_conn_start(struct epc_conn *c)
{
    restart_deadline(c);
}

/* ---- answers ------------------------------------------------------------------------------------- */

bool epc_http_header(struct epc_conn *c, enum lws_token_indexes token, char *buf, size_t size)
{
    buf[0] = 0;
    return lws_hdr_total_length(c->wsi, token) > 0 && lws_hdr_copy(c->wsi, buf, (int)size, token) > 0;
}

void epc_http_answer(struct epc_conn *c, int status, const char *type, const char *extra,
                     struct epc_str body)
{
    static const unsigned char headroom[LWS_PRE];
    epc_buf_free(&c->out);
    epc_buf_add(&c->out, headroom, sizeof headroom);
    epc_buf_printf(&c->out, "HTTP/1.1 %d %s\r\n%s%s", status, phrase(status), c->w->headers, extra);
    epc_cors_headers(c, false, &c->out);
    if (type)
        epc_buf_printf(&c->out, "Content-Type: %s\r\n", type);
    if (status != 204 && status != 304)
        epc_buf_printf(&c->out, "Content-Length: %zu\r\n", body.n);
    if (c->close)
        epc_buf_adds(&c->out, "Connection: close\r\n");
    epc_buf_adds(&c->out, "\r\n");
    if (c->method != EPC_HEAD)
        epc_buf_addstr(&c->out, body);
    c->out_at = sizeof headroom;
    lws_callback_on_writable(c->wsi);
}

void epc_http_json(struct epc_conn *c, int status, const char *extra, json_t *body)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    struct epc_buf headers = {0};
    json_decref(body);
    epc_buf_printf(&headers, "Cache-Control: no-store\r\n%s", extra);
    if (text && !headers.failed)
        epc_http_answer(c, status, "application/json", headers.p, epc_str_c(text));
    else
        epc_http_answer(c, 500, NULL, "", EPC_STR_NULL);
    epc_buf_free(&headers);
    free(text);
}

void epc_http_error(struct epc_conn *c, int status, const char *extra, const char *why)
{
    epc_http_json(c, status, extra, json_pack("{s:s}", "error", why));
}

/* ---- requests -------------------------------------------------------------------------------------- */

static void read_request_line(struct epc_conn *c)
{
    char *uri = NULL;
    int n = 0;
    switch (lws_http_get_uri_and_method(c->wsi, &uri, &n)) {
    case LWSHUMETH_GET:
        c->method = EPC_GET;
        break;
    case LWSHUMETH_POST:
        c->method = EPC_POST;
        break;
    case LWSHUMETH_HEAD:
        c->method = EPC_HEAD;
        break;
    case LWSHUMETH_OPTIONS:
        c->method = EPC_OPTIONS;
        break;
    default:
        c->method = EPC_METHOD_OTHER;
    }
    /* A longer path than all that exist is as good as none. */
    snprintf(c->path, sizeof c->path, "%.*s", n > 0 && (size_t)n < sizeof c->path ? n : 0, uri ? uri : "");
}

/* Octets of the body, or -1 when they are not said. */
static int64_t content_length(struct epc_conn *c)
{
    char text[24];
    uint64_t n;
    if (!epc_http_header(c, WSI_TOKEN_HTTP_CONTENT_LENGTH, text, sizeof text))
        return lws_hdr_total_length(c->wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0 ||
               lws_hdr_total_length(c->wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0 ? -1 : 0;
    return epc_str_u64(epc_str_c(text), INT32_MAX, &n) == EPC_OK ? (int64_t)n : -1;
}

static void refuse(struct epc_conn *c, int status)
{
    if (status == 403)
        epc_count(EPC_C_WWSF_FOREIGN);
    epc_http_error(c, status, status == 405 ? "Allow: GET, HEAD, POST\r\n" : "", phrase(status));
}

static void handle(struct epc_conn *c)
{
    c->handled = true;
    if (c->refused)
        refuse(c, c->refused);
    else
        epc_api_handle(c);
}

static int on_request(struct epc_conn *c)
{
    if (c->task || c->out.n)
        return -1; /* one at a time */
    c->handled = c->ended = false;
    int64_t n = content_length(c);
    read_request_line(c);
    epc_cors_read(c);
    restart_deadline(c);
    c->close = false;
    c->body.n = 0;
    c->body_left = 0;
    c->refused = epc_api_check(c);
    if (n < 0 || n > EPC_BODY_MAX) { /* not read at all: the rest of the connection is useless */
        c->close = true;
        c->refused = n < 0 ? 411 : 413;
    } else if (n > 0) {
        c->body_left = (size_t)n;
        return 0;
    }
    handle(c);
    return 0;
}

static int on_body(struct epc_conn *c, const void *in, size_t len)
{
    if (c->close) /* answered */
        return 0;
    if (len > c->body_left)
        return -1;
    c->body_left -= len;
    epc_buf_add(&c->body, in, len);
    return 0;
}

static int on_body_end(struct epc_conn *c)
{
    if (c->close)
        return 0;
    /* Told again before the answer has gone: more came than the body, and lws would tell so for ever.
     * Whoever does not wait for answers is sent away. */
    if (c->ended || c->body.failed || c->body_left)
        return -1;
    c->ended = true;
    if (c->handled) /* there was no body */
        return 0;
    handle(c);
    return 0;
}

static void wipe_body(struct epc_conn *c)
{
    if (c->body.p)
        explicit_bzero(c->body.p, c->body.cap); /* passwords */
    epc_buf_free(&c->body);
}

static int on_writable(struct epc_conn *c)
{
    if (c->out.failed)
        return -1;
    while (c->out_at < c->out.n) {
        size_t n = c->out.n - c->out_at;
        bool last = n <= CHUNK_OCTETS;
        if (!last)
            n = CHUNK_OCTETS;
        /* What lies before the chunk is sent already: lws may use it as headroom. */
        if (lws_write(c->wsi, (unsigned char *)c->out.p + c->out_at, n,
                      last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < (int)n)
            return -1;
        c->out_at += n;
        if (!last && (lws_partial_buffered(c->wsi) || lws_send_pipe_choked(c->wsi))) {
            lws_callback_on_writable(c->wsi);
            return 0;
        }
    }
    if (c->out.n == 0)
        return 0;
    epc_buf_free(&c->out);
    wipe_body(c);
    restart_deadline(c);
    return c->close || lws_http_transaction_completed(c->wsi) ? -1 : 0;
}

/* End of the turn in which lws freed the connection: no call of ours is on the stack. */
static void bury(void *conn)
{
    struct epc_conn *c = conn;
    struct epc_wwsf *w = c->w;
    free(c);
    epc_wwsf_conn_gone(w);
}

static void on_freed(struct epc_conn *c)
{
    c->gone = true;
    if (c->task)
        epc_task_conn_gone(c->task);
    epc_timer_stop(c->w->sh, &c->deadline);
    wipe_body(c);
    epc_buf_free(&c->out);
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    epc_shard_doom(c->w->sh, bury, c);
}

int epc_http_event(struct epc_conn *c, enum lws_callback_reasons reason, void *in, size_t len)
{
    if (c->w->destroying && reason != LWS_CALLBACK_WSI_DESTROY)
        return -1;
    switch (reason) {
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return -1; /* nothing here can be upgraded */
    case LWS_CALLBACK_HTTP:
        return on_request(c);
    case LWS_CALLBACK_HTTP_BODY:
        return on_body(c, in, len);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return on_body_end(c);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return on_writable(c);
    case LWS_CALLBACK_WSI_DESTROY:
        on_freed(c);
        return 0;
    default:
        return 0;
    }
}
