#include "admin/admin_priv.h"

#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

struct answer { /* of one request, in lws's per-session memory */
    char *text; /* LWS_PRE octets of room first */
    size_t n;
};

static int begin_answer(struct lws *wsi, struct answer *r, unsigned status, const char *type,
                        struct epc_buf *body)
{
    unsigned char head[LWS_PRE + 512], *start = head + LWS_PRE, *p = start, *end = head + sizeof head - 1;
    if (body->failed)
        return -1;
    free(r->text);
    r->text = malloc(LWS_PRE + body->n);
    if (!r->text)
        return -1;
    r->n = body->n;
    if (r->n)
        memcpy(r->text + LWS_PRE, body->p, r->n);
    if (lws_add_http_common_headers(wsi, status, type, r->n, &p, end) ||
        lws_finalize_write_http_header(wsi, start, &p, end))
        return -1;
    lws_callback_on_writable(wsi);
    return 0;
}

static int on_request(struct epc_admin *a, struct lws *wsi, struct answer *r, const char *path)
{
    static const char metrics_type[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    struct epc_buf body = {0};
    unsigned status = 200;
    const char *type = "application/json", *bad = NULL;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) <= 0) {
        /* Answered at once: lws would first wait for a body that may never come. */
        lws_return_http_status(wsi, 405, "only GET is allowed here");
        return -1;
    }
    if (strcmp(path, "/metrics") == 0) {
        type = metrics_type;
        admin_metrics(&body);
    } else if (strcmp(path, "/health") == 0) {
        bad = a->health ? a->health(a->health_arg) : NULL;
        status = bad ? 503 : 200;
        epc_buf_printf(&body, "{\"status\":\"%s\"%s%s%s}\n", bad ? "unhealthy" : "ok",
                       bad ? ",\"reason\":\"" : "", bad ? bad : "", bad ? "\"" : "");
    } else {
        status = 404;
        epc_buf_adds(&body, "{\"error\":\"paths are /metrics and /health\"}\n");
    }
    int rc = begin_answer(wsi, r, status, type, &body);
    epc_buf_free(&body);
    return rc;
}

static int on_writable(struct lws *wsi, struct answer *r)
{
    if (!r->text)
        return 0;
    int n = lws_write(wsi, (unsigned char *)r->text + LWS_PRE, r->n, LWS_WRITE_HTTP_FINAL);
    free(r->text);
    r->text = NULL;
    return n < 0 || lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct answer *r = user;
    struct lws_vhost *vhost = wsi ? lws_get_vhost(wsi) : NULL;
    struct epc_admin *a = vhost ? lws_get_vhost_user(vhost) : NULL;
    char path[64];
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        snprintf(path, sizeof path, "%.*s", (int)(len < sizeof path ? len : sizeof path - 1), (char *)in);
        return a && r ? on_request(a, wsi, r, path) : -1;
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return r ? on_writable(wsi, r) : -1;
    case LWS_CALLBACK_CLOSED_HTTP:
        if (r) {
            free(r->text);
            r->text = NULL;
        }
        return 0;
    default:
        return lws_callback_http_dummy(wsi, reason, user, in, len);
    }
}

enum epc_err admin_http_open(struct epc_admin *a)
{
    struct lws_context_creation_info info = {0};
    a->protocols = calloc(2, sizeof *a->protocols);
    if (!a->protocols)
        return EPC_ENOMEM;
    a->protocols[0] = (struct lws_protocols){
        .name = "http", .callback = callback, .per_session_data_size = sizeof(struct answer)};
    /* lws tells the vhosts of a context apart by port class: this one is the plain-text vhost. */
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.protocols = a->protocols;
    info.vhost_name = "admin";
    info.user = a;
    info.gid = -1;
    info.uid = -1;
    info.timeout_secs = 10;
    a->vhost = lws_create_vhost(epc_shard_lws(a->sh), &info);
    if (!a->vhost) {
        epc_log(EPC_LOG_ERROR, "admin", "event=vhost-failed");
        return EPC_EIO;
    }
    return epc_shard_listen(a->sh, &a->cfg->metrics_listen, a->vhost, NULL, NULL);
}

/* The vhost may outlive the room by a few loop turns, while lws lets go of its connections. */
static void free_protocols(void *obj)
{
    free(obj);
}

void admin_http_close(struct epc_admin *a)
{
    if (a->vhost) {
        lws_vhost_destroy(a->vhost);
    }
    a->vhost = NULL;
    if (a->protocols)
        epc_shard_doom(a->sh, free_protocols, a->protocols);
    a->protocols = NULL;
}
