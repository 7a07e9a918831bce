/* The listener and the life of its flows, from accept to the last callback. */
#include "wss/wss_priv.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LINGER_MS = 500,    /* for close frames at shutdown */
    TELL_AGAIN_MS = 50, /* another shard whose mailbox was full */
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

/* Takes @p fd. */
static void on_accepted(void *arg, int fd, const struct epc_addr *peer)
{
    struct epc_wss *w = arg;
    struct epc_flow *f = epc_wss_may_accept(w, peer) ? calloc(1, sizeof *f) : NULL;
    if (!f)
        goto out;
    f->w = w;
    f->peer = *peer;
    f->why = EPC_FLOW_PEER_CLOSED;
    if (epc_wss_count_source(f) || epc_conn_open(f, fd))
        goto out;
    epc_flow_link(f);
    w->n_flows++;
    epc_timer_start(w->sh, &f->timer, w->cfg->handshake_timeout_ms, on_handshake_timeout, f);
    return;
out:
    if (f)
        epc_wss_uncount_source(f);
    free(f);
    close(fd);
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

void epc_flow_established(struct epc_flow *f)
{
    f->state = EPC_FLOW_OPEN;
    epc_count(EPC_C_WSS_OPENED);
    epc_count(EPC_C_WSS_FLOWS);
    epc_flow_open(f);
}

static void bury_flow(void *flow);

void epc_flow_gone(struct epc_flow *f)
{
    struct epc_wss *w = f->w;
    if (f->state == EPC_FLOW_GONE)
        return;
    f->state = EPC_FLOW_GONE;
    epc_timer_stop(w->sh, &f->timer);
    epc_timer_stop(w->sh, &f->ping_timer);
    epc_conn_close(f);
    epc_wss_uncount_source(f);
    if (f->opened) {
        epc_hash_del(&w->by_id, &f->node);
        epc_count(EPC_C_WSS_CLOSED);
        epc_count_add(EPC_C_WSS_FLOWS, -1);
    }
    epc_shard_doom(w->sh, bury_flow, f);
}

static void free_wss(struct epc_wss *w)
{
    epc_shard_not_at_turn_end(w->sh, &w->turn_end);
    epc_timer_stop(w->sh, &w->pause);
    epc_tls_close_shard(&w->tls);
    epc_hash_free(&w->by_id);
    epc_hash_free(&w->by_socket);
    epc_wss_free_sources(w);
    free(w->rx);
    free(w->tx);
    free(w);
}

void epc_wss_finish_destroy(struct epc_wss *w)
{
    struct epc_shard *sh = w->sh;
    if (!w->destroying || w->n_flows || w->n_far)
        return;
    epc_timer_stop(sh, &w->linger);
    free_wss(w);
    epc_shard_release(sh);
}

/* End of the turn in which the socket was closed: no call of ours is on the stack. */
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

/* ---- create and destroy ------------------------------------------------------------------------- */

static bool id_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, const struct epc_flow, node)->id == *(const uint64_t *)key;
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
    if (!epc_conn_room(w) || epc_hash_init(&w->by_id, id_eq) || epc_hash_init(&w->by_socket, epc_socket_eq) ||
        epc_hash_init(&w->sources, epc_source_eq))
        goto out;
    e = epc_tls_open_shard(&w->tls, cfg);
    for (size_t i = 0; !e && i < cfg->n_listen; i++)
        e = epc_shard_listen_fd(sh, &cfg->listen[i], on_accepted, w);
    if (e)
        goto out;
    *out = w;
    return EPC_OK;
out:
    epc_shard_unlisten_fd(sh, w);
    free_wss(w);
    return e;
}

enum epc_err epc_wss_reload(struct epc_wss *w)
{
    EPC_ASSERT_OWNER(w->sh);
    if (w->destroying)
        return EPC_OK;
    enum epc_err err = epc_tls_reload(&w->tls, w->cfg);
    if (!err)
        epc_log(EPC_LOG_INFO, "wss", "event=certificate-read file=%s", w->cfg->certificate);
    return err;
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
        epc_flow_close(f, EPC_WS_GOING_AWAY, "shutting down");
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
    epc_shard_unlisten_fd(w->sh, w);
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
