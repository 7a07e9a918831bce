/* The listener and the life of its flows, from accept to the last callback. */
#include "wss/wss_priv.h"

#include <stdlib.h>
#include <string.h>

enum {
    RX_BUFFER_OCTETS = 512,   /* of each connection; saves 4 kB against the default */
    TX_PACKET_OCTETS = 65536, /* else a small receive buffer caps the writes too */
    LINGER_MS = 500,          /* for close frames at shutdown */
    TELL_AGAIN_MS = 50,       /* another shard whose mailbox was full */
};

/* ---- flows: accept, end ------------------------------------------------------------------------- */

static void on_handshake_timeout(void *arg)
{
    struct epc_flow *f = arg;
    epc_count(EPC_C_WSS_HANDSHAKE_TIMEOUT);
    epc_flow_abort(f, EPC_FLOW_LOCAL_CLOSED);
}

void epc_flow_link(struct epc_flow *f)
{
    struct epc_wss *w = f->w;
    f->next = w->flows;
    f->prev = &w->flows;
    if (f->next)
        f->next->prev = &f->next;
    w->flows = f;
}

void epc_flow_unlink(struct epc_flow *f)
{
    *f->prev = f->next;
    if (f->next)
        f->next->prev = f->prev;
}

static int on_accepted(struct epc_wss *w, struct lws *wsi)
{
    struct epc_flow *f = calloc(1, sizeof *f);
    if (!f || !w->accepting)
        goto out;
    f->w = w;
    f->wsi = wsi;
    f->peer = *w->accepting;
    w->accepting = NULL;
    f->why = EPC_FLOW_PEER_CLOSED;
    f->queue_tail = &f->queue;
    if (epc_wss_count_source(f))
        goto out;
    epc_flow_link(f);
    w->n_flows++;
    epc_timer_start(w->sh, &f->timer, w->cfg->handshake_timeout_ms, on_handshake_timeout, f);
    return 0;
out:
    free(f);
    return -1; /* without a flow, every later callback closes the connection */
}

void epc_flow_open(struct epc_flow *f)
{
    struct epc_wss *w = f->w;
    f->id = (uint64_t)epc_shard_index(w->sh) << 48 | (w->next_id++ & 0xffffffffffffULL);
    epc_hash_add(&w->by_id, &f->node, epc_hash_u64(f->id));
    f->opened = true;
    epc_flow_begin_life(f);
    w->h.opened(w->arg, f);
}

static void established(struct epc_flow *f)
{
    f->state = EPC_FLOW_OPEN;
    epc_count(EPC_C_WSS_OPENED);
    epc_count(EPC_C_WSS_FLOWS);
    epc_flow_open(f);
}

/* lws lets go of the socket: nothing may touch the connection any more. */
static void on_gone(struct epc_flow *f)
{
    struct epc_wss *w = f->w;
    if (f->state == EPC_FLOW_GONE)
        return;
    f->state = EPC_FLOW_GONE;
    epc_timer_stop(w->sh, &f->timer);
    epc_timer_stop(w->sh, &f->ping_timer);
    epc_flow_drop_buffers(f);
    epc_wss_uncount_source(f);
    if (f->opened) {
        epc_hash_del(&w->by_id, &f->node);
        epc_count(EPC_C_WSS_CLOSED);
        epc_count_add(EPC_C_WSS_FLOWS, -1);
    }
}

void epc_wss_finish_destroy(struct epc_wss *w)
{
    struct epc_shard *sh = w->sh;
    if (!w->destroying || w->n_flows || w->n_far)
        return;
    epc_timer_stop(sh, &w->linger);
    lws_vhost_destroy(w->vhost); /* calls on_vhost_gone, which frees w */
}

/* End of the turn in which the connection was freed: no call of ours is on the stack. */
static void bury_flow(void *flow)
{
    struct epc_flow *f = flow;
    struct epc_wss *w = f->w;
    if (epc_flow_is_away(f) && !epc_flow_tell_gone(f)) {
        epc_timer_start(w->sh, &f->timer, TELL_AGAIN_MS, bury_flow, f);
        return;
    }
    epc_flow_unlink(f);
    w->n_flows--;
    if (f->opened && !w->destroying && !epc_flow_is_away(f))
        w->h.closed(w->arg, f, f->why);
    free(f);
    epc_wss_finish_destroy(w);
}

static void on_freed(struct epc_flow *f)
{
    on_gone(f);
    f->wsi = NULL;
    epc_shard_doom(f->w->sh, bury_flow, f);
}

/* ---- lws ---------------------------------------------------------------------------------------- */

static int on_flow_event(struct epc_flow *f, enum lws_callback_reasons reason, void *in, size_t len)
{
    switch (reason) {
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return f->state == EPC_FLOW_HANDSHAKE ? epc_wss_check_upgrade(f) : -1;
    case LWS_CALLBACK_HTTP:
        return f->state == EPC_FLOW_HANDSHAKE ? epc_wss_plain_http(f) : -1;
    case LWS_CALLBACK_ESTABLISHED:
        if (f->state != EPC_FLOW_HANDSHAKE)
            return -1;
        established(f);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        return epc_flow_receive(f, in, len);
    case LWS_CALLBACK_RECEIVE_PONG:
        epc_flow_heard(f);
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return epc_flow_writable(f);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        epc_flow_end_because(f, EPC_FLOW_PEER_CLOSED);
        return 0;
    case LWS_CALLBACK_CLOSED:
        on_gone(f);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        on_freed(f);
        return 0;
    default:
        return 0;
    }
}

/* lws clears the connection's user pointer right after it has announced the connection, so it is set
 * at the next event; until then the flow is the first of the list. */
static struct epc_flow *flow_of(struct epc_wss *w, struct lws *wsi)
{
    struct epc_flow *f = lws_get_opaque_user_data(wsi);
    if (f || !w)
        return f;
    for (f = w->flows; f && f->wsi != wsi; f = f->next)
        ;
    lws_set_opaque_user_data(wsi, f);
    return f;
}

static int on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct lws_vhost *vhost = wsi ? lws_get_vhost(wsi) : NULL;
    struct epc_wss *w = vhost ? lws_vhost_user(vhost) : NULL;
    struct epc_flow *f;
    switch (reason) {
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
        w = in ? lws_vhost_user(in) : w;
        if (!w || epc_wss_setup_tls(user, w->cfg))
            return -1;
        w->tls_ready = true;
        w->tls = user;
        return 0;
    case LWS_CALLBACK_WSI_CREATE:
        return w ? on_accepted(w, wsi) : 0;
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
    case LWS_CALLBACK_HTTP:
    case LWS_CALLBACK_ESTABLISHED:
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_RECEIVE_PONG:
    case LWS_CALLBACK_SERVER_WRITEABLE:
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_WSI_DESTROY:
        f = wsi ? flow_of(w, wsi) : NULL;
        return f ? on_flow_event(f, reason, in, len) : -1;
    default:
        return 0;
    }
}

/* ---- create and destroy ------------------------------------------------------------------------- */

static bool id_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, const struct epc_flow, node)->id == *(const uint64_t *)key;
}

static void free_wss(struct epc_wss *w)
{
    epc_hash_free(&w->by_id);
    epc_hash_free(&w->by_socket);
    epc_wss_free_sources(w);
    free(w->scratch);
    free(w);
}

static void on_vhost_gone(struct lws_vhost *vhost, void *arg)
{
    struct epc_wss *w = arg;
    (void)vhost;
    if (!w->destroying)
        return; /* epc_wss_create() failed half-way and frees it */
    epc_shard_release(w->sh);
    free_wss(w);
}

static enum epc_err open_vhost(struct epc_wss *w)
{
    static const struct lws_protocols protocols[] = {
        {"sip", on_lws, 0, RX_BUFFER_OCTETS, 0, NULL, TX_PACKET_OCTETS},
        {NULL, NULL, 0, 0, 0, NULL, 0},
    };
    /* Pings are ours: lws's validity timers sit in a list that every new connection walks. */
    static const lws_retry_bo_t no_validity_timers;
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    /* Without the first, lws serves in the clear; without the second, it loads the system's CA
     * certificates into a client context that nobody uses. */
    info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
    info.vhost_name = "wss";
    info.protocols = protocols;
    info.retry_and_idle_policy = &no_validity_timers;
    info.ssl_cert_filepath = w->cfg->certificate;
    info.ssl_private_key_filepath = w->cfg->key;
    info.alpn = "http/1.1";
    info.user = w;
    info.finalize = on_vhost_gone;
    info.finalize_arg = w;
    w->vhost = lws_create_vhost(epc_shard_lws(w->sh), &info);
    if (w->vhost && w->tls_ready)
        return EPC_OK;
    epc_log(EPC_LOG_ERROR, "wss", "msg=\"TLS listener refused\" certificate=%s", w->cfg->certificate);
    return EPC_EIO;
}

enum epc_err epc_wss_create(struct epc_wss **out, struct epc_shard *sh,
                            const struct epc_cfg_wss *cfg, const struct epc_wss_handler *h,
                            void *arg)
{
    if (!out || !sh || !cfg || !h || !h->opened || !h->message || !h->closed)
        return EPC_EINVAL;
    EPC_ASSERT_OWNER(sh);
    enum epc_err e = EPC_ENOMEM;
    struct epc_wss *w = calloc(1, sizeof *w);
    if (!w)
        return EPC_ENOMEM;
    w->sh = sh;
    w->cfg = cfg;
    w->h = *h;
    w->arg = arg;
    /* Ahead of every id that an earlier listener of this shard can have given out. */
    w->next_id = epc_now_ms() << 8 | 1;
    if (epc_hash_init(&w->by_id, id_eq) || epc_hash_init(&w->by_socket, epc_socket_eq) ||
        epc_hash_init(&w->sources, epc_source_eq))
        goto out;
    e = epc_wss_check_certificate(cfg);
    if (!e)
        e = open_vhost(w);
    for (size_t i = 0; !e && i < cfg->n_listen; i++)
        e = epc_shard_listen(sh, &cfg->listen[i], w->vhost, epc_wss_may_accept, w);
    if (e)
        goto out;
    *out = w;
    return EPC_OK;
out:
    if (w->vhost) {
        epc_shard_unlisten(sh, w->vhost);
        lws_vhost_destroy(w->vhost);
    }
    free_wss(w);
    return e;
}

static void on_linger_end(void *arg)
{
    struct epc_wss *w = arg;
    for (struct epc_flow *f = w->flows; f; f = f->next)
        epc_flow_abort(f, EPC_FLOW_SHUTDOWN);
}

static void shut_down_flow(struct epc_flow *f)
{
    struct epc_wss *w = f->w;
    bool told = f->opened && !epc_flow_is_away(f);
    if (epc_flow_is_away(f))
        epc_flow_tell_moved(f);
    if (f->is_far) {
        epc_far_shutdown(f);
    } else if (f->state == EPC_FLOW_OPEN) {
        epc_flow_end_because(f, EPC_FLOW_SHUTDOWN);
        epc_flow_close(f, LWS_CLOSE_STATUS_GOINGAWAY, "shutting down");
    } else if (f->state == EPC_FLOW_HANDSHAKE) {
        epc_flow_abort(f, EPC_FLOW_SHUTDOWN);
    }
    if (told)
        w->h.closed(w->arg, f, f->why);
}

void epc_wss_destroy(struct epc_wss *w)
{
    if (!w || w->destroying)
        return;
    EPC_ASSERT_OWNER(w->sh);
    epc_shard_unlisten(w->sh, w->vhost);
    epc_shard_hold(w->sh);
    for (struct epc_flow *f = w->flows, *next; f; f = next) {
        next = f->next;
        shut_down_flow(f);
    }
    w->destroying = true;
    w->cfg = NULL; /* the caller may free it now */
    if (w->n_flows || w->n_far)
        epc_timer_start(w->sh, &w->linger, LINGER_MS, on_linger_end, w);
    else
        epc_wss_finish_destroy(w);
}

struct epc_flow *epc_wss_flow(struct epc_wss *w, uint64_t id)
{
    EPC_ASSERT_OWNER(w->sh);
    struct epc_hnode *node = epc_hash_find(&w->by_id, epc_hash_u64(id), &id);
    struct epc_flow *f = node ? EPC_CONTAINER(node, struct epc_flow, node) : NULL;
    return f && f->state == EPC_FLOW_OPEN && !epc_flow_is_away(f) ? f : NULL;
}

void epc_wss_each(struct epc_wss *w, void (*fn)(struct epc_flow *f, void *arg), void *arg)
{
    EPC_ASSERT_OWNER(w->sh);
    for (struct epc_flow *f = w->flows; f; f = f->next)
        if (f->state == EPC_FLOW_OPEN && !epc_flow_is_away(f))
            fn(f, arg);
}
