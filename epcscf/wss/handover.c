/* A connection on another shard. The socket stays with the shard that accepted it; a flow without a
 * socket (the *far* one) lives where the WIC's registration is. Both ends speak by posts, each of which
 * names the listener on the receiver's side and the id that the socket's flow had: nothing of one thread
 * is read on the other but the relay, which holds atomic numbers only.
 *
 * A listener that a post names is there when the post runs: it is destroyed when its shard stops, and by
 * then the mailbox is closed and empty. */
#include "wss/wss_priv.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_MS = 50,                 /* a full mailbox, for what must arrive */
    INBOUND_MAX = 4 * 1024 * 1024, /* octets on their way to the far flow */
};

/* How much is on its way; both ends own it. */
struct epc_relay {
    atomic_uint ends;
    atomic_size_t out, in; /* octets posted towards the socket, towards the far flow */
};

enum post_kind {
    /* to the far flow's shard */
    POST_OPEN,
    POST_DATA,
    POST_GONE,
    /* to the socket's */
    POST_SEND,
    POST_CLOSE,
};

struct post {
    enum post_kind kind;
    struct epc_far ends;     /* the sender's view: where this goes; OPEN: where it comes from */
    struct epc_wss *const *slot;
    struct epc_addr peer;    /* OPEN */
    const struct epc_cfg_origin *origin;
    enum epc_flow_end why;   /* GONE, CLOSE */
    uint16_t code;           /* CLOSE; 0 = without a close frame */
    size_t n;
    char data[];             /* message, or close reason with its NUL */
};

static void run_post(struct epc_shard *sh, void *arg);

static void release_relay(struct epc_relay *r)
{
    if (r && atomic_fetch_sub(&r->ends, 1) == 1)
        free(r);
}

static struct post *new_post(enum post_kind kind, const void *p, size_t n)
{
    struct post *m = calloc(1, sizeof *m + n);
    if (!m)
        return NULL;
    m->kind = kind;
    m->n = n;
    if (n)
        memcpy(m->data, p, n);
    return m;
}

/* Takes @p m in any case. */
static enum epc_err send_post(const struct epc_flow *f, struct post *m)
{
    if (!m)
        return EPC_ENOMEM;
    m->ends = f->far;
    enum epc_err err = epc_shard_post(f->far.sh, run_post, m);
    if (err)
        free(m);
    return err;
}

static enum epc_err post_close(const struct epc_flow *f, uint16_t code, const char *reason)
{
    struct post *m = new_post(POST_CLOSE, reason, strlen(reason) + 1);
    if (m) {
        m->code = code;
        m->why = f->why;
    }
    return send_post(f, m);
}

/* ---- the socket's end --------------------------------------------------------------------------- */

void epc_flow_tell_moved(void *flow)
{
    struct epc_flow *f = flow;
    if (!f->told_moved && !f->w->destroying)
        f->w->h.closed(f->w->arg, f, EPC_FLOW_MOVED);
    f->told_moved = true;
}

enum epc_err epc_flow_hand_over(struct epc_flow *f, struct epc_shard *to_sh, struct epc_wss *const *to,
                                const char *msg, size_t n)
{
    struct epc_wss *w = f->w;
    EPC_ASSERT_OWNER(w->sh);
    if (!to_sh || !to || to_sh == w->sh || (n && !msg))
        return EPC_EINVAL;
    if (f->far.sh)
        return EPC_EPOLICY;
    if (f->state != EPC_FLOW_OPEN)
        return EPC_ENOENT;
    struct post *m = new_post(POST_OPEN, msg, n);
    struct epc_relay *relay = m ? calloc(1, sizeof *relay) : NULL;
    if (!relay) {
        free(m);
        return EPC_ENOMEM;
    }
    atomic_init(&relay->ends, 2);
    m->ends = (struct epc_far){.sh = w->sh, .w = w, .id = f->id, .relay = relay};
    m->slot = to;
    m->peer = f->peer;
    m->origin = f->origin;
    enum epc_err err = epc_shard_post(to_sh, run_post, m);
    if (err) {
        free(relay);
        free(m);
        return err;
    }
    f->far = (struct epc_far){.sh = to_sh, .slot = to, .id = f->id, .relay = relay};
    epc_timer_stop(w->sh, &f->timer); /* for a registration: the far flow's business */
    epc_count(EPC_C_WSS_HANDED_OVER);
    epc_log(EPC_LOG_INFO, "wss", "event=handed-over flow=%016llx shard=%u", (unsigned long long)f->id,
            epc_shard_index(to_sh));
    epc_shard_doom(w->sh, epc_flow_tell_moved, f);
    return EPC_OK;
}

void epc_flow_relay(struct epc_flow *f, const char *p, size_t n)
{
    struct epc_relay *r = f->far.relay;
    enum epc_err err = EPC_ELIMIT;
    if (atomic_fetch_add(&r->in, n) + n <= INBOUND_MAX)
        err = send_post(f, new_post(POST_DATA, p, n));
    if (err == EPC_OK)
        return;
    atomic_fetch_sub(&r->in, n);
    epc_count(EPC_C_WSS_BACKPRESSURE);
    epc_log(EPC_LOG_WARN, "wss", "msg=\"other shard does not take messages\" flow=%016llx why=\"%s\"",
            (unsigned long long)f->id, epc_err_name(err));
    epc_flow_fail(f, err == EPC_ENOENT ? EPC_WS_GOING_AWAY : EPC_WS_TRY_AGAIN, "try again later");
}

bool epc_flow_tell_gone(struct epc_flow *f)
{
    if (!f->told_gone) {
        struct post *m = new_post(POST_GONE, NULL, 0);
        if (m)
            m->why = f->why;
        enum epc_err err = send_post(f, m);
        f->told_gone = err == EPC_OK || err == EPC_ENOENT; /* that shard ends its flows by itself */
    }
    if (!f->told_gone && !f->w->destroying)
        return false;
    release_relay(f->far.relay);
    f->far.relay = NULL;
    return true;
}

/* ---- the far end ---------------------------------------------------------------------------------- */

static void bury(void *flow)
{
    struct epc_flow *f = flow;
    struct epc_wss *w = f->w;
    if (!w->destroying)
        w->h.closed(w->arg, f, f->why);
    epc_flow_unlink(f);
    w->n_far--;
    release_relay(f->far.relay);
    free(f);
    epc_wss_finish_destroy(w);
}

static void far_gone(struct epc_flow *f)
{
    if (f->state == EPC_FLOW_GONE)
        return;
    f->state = EPC_FLOW_GONE;
    epc_timer_stop(f->w->sh, &f->timer);
    epc_wss_uncount_source(f);
    epc_hash_del(&f->w->by_id, &f->node);
    epc_hash_del(&f->w->by_socket, &f->socket_node);
    epc_shard_doom(f->w->sh, bury, f);
}

static void on_close_retry(void *arg);

static void far_say_close(struct epc_flow *f, const char *reason)
{
    enum epc_err err = post_close(f, f->close_code, reason);
    epc_timer_stop(f->w->sh, &f->timer);
    if (err == EPC_ENOENT)
        far_gone(f); /* the socket's shard is going down, and the socket with it */
    else if (err)
        epc_timer_start(f->w->sh, &f->timer, RETRY_MS, on_close_retry, f);
}

static void on_close_retry(void *arg)
{
    far_say_close(arg, "");
}

void epc_far_close(struct epc_flow *f, uint16_t code, const char *reason, enum epc_flow_end why)
{
    if (f->state != EPC_FLOW_OPEN)
        return;
    epc_flow_end_because(f, why);
    f->state = EPC_FLOW_CLOSING;
    f->close_code = code;
    /* one that must be said again says the code alone */
    far_say_close(f, reason ? reason : "");
}

enum epc_err epc_far_send(struct epc_flow *f, const void *p, size_t n)
{
    struct epc_relay *r = f->far.relay;
    enum epc_err err = EPC_ELIMIT;
    if (f->state != EPC_FLOW_OPEN)
        return EPC_ENOENT;
    if (atomic_fetch_add(&r->out, n) + n <= f->w->cfg->send_queue_octets)
        err = send_post(f, new_post(POST_SEND, p, n));
    if (err == EPC_OK)
        return EPC_OK;
    atomic_fetch_sub(&r->out, n);
    if (err == EPC_ENOMEM)
        return err;
    if (err == EPC_ELIMIT)
        epc_count(EPC_C_WSS_BACKPRESSURE);
    epc_far_close(f, 0, NULL, err == EPC_ELIMIT ? EPC_FLOW_BACKPRESSURE : EPC_FLOW_SHUTDOWN);
    return err;
}

void epc_far_shutdown(struct epc_flow *f)
{
    if (f->state == EPC_FLOW_GONE)
        return;
    epc_flow_end_because(f, EPC_FLOW_SHUTDOWN);
    if (post_close(f, EPC_WS_GOING_AWAY, "shutting down") == EPC_ELIMIT)
        epc_log(EPC_LOG_WARN, "wss", "msg=\"socket not told of the shutdown\" flow=%016llx",
                (unsigned long long)f->id);
    far_gone(f);
}

/* ---- posts ------------------------------------------------------------------------------------------ */

bool epc_socket_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, struct epc_flow, socket_node)->far.id == *(const uint64_t *)key;
}

static struct epc_flow *find_far(struct epc_wss *w, uint64_t id)
{
    struct epc_hnode *n = w ? epc_hash_find(&w->by_socket, epc_hash_u64(id), &id) : NULL;
    return n ? EPC_CONTAINER(n, struct epc_flow, socket_node) : NULL;
}

static struct epc_flow *find_socket(struct epc_wss *w, uint64_t id)
{
    struct epc_hnode *n = epc_hash_find(&w->by_id, epc_hash_u64(id), &id);
    return n ? EPC_CONTAINER(n, struct epc_flow, node) : NULL;
}

static void on_open(struct post *m)
{
    struct epc_wss *w = *m->slot;
    struct epc_flow *f = w && !w->destroying ? calloc(1, sizeof *f) : NULL;
    if (!f) {
        struct epc_flow nobody = {.far = m->ends, .why = EPC_FLOW_SHUTDOWN};
        (void)!post_close(&nobody, w ? EPC_WS_INTERNAL : EPC_WS_GOING_AWAY,
                          "going down");
        release_relay(m->ends.relay);
        return;
    }
    f->w = w;
    f->far = m->ends;
    f->is_far = true;
    f->peer = m->peer;
    f->origin = m->origin;
    f->state = EPC_FLOW_OPEN;
    f->watch.fd = -1;
    if (epc_wss_count_source(f))
        epc_log(EPC_LOG_WARN, "wss", "msg=\"no rate limit for a source: out of memory\"");
    epc_flow_link(f);
    w->n_far++;
    epc_hash_add(&w->by_socket, &f->socket_node, epc_hash_u64(f->far.id));
    epc_flow_open(f);
    if (m->n && f->state == EPC_FLOW_OPEN)
        w->h.message(w->arg, f, m->data, m->n);
}

static void on_data(struct epc_flow *f, const struct post *m)
{
    if (!f)
        return;
    atomic_fetch_sub(&f->far.relay->in, m->n);
    if (f->state == EPC_FLOW_OPEN)
        f->w->h.message(f->w->arg, f, m->data, m->n);
}

static void on_gone(struct epc_flow *f, const struct post *m)
{
    if (!f)
        return;
    epc_flow_end_because(f, m->why);
    far_gone(f);
}

static void on_send(struct epc_flow *f, const struct post *m)
{
    if (!f || !f->far.relay)
        return;
    atomic_fetch_sub(&f->far.relay->out, m->n);
    enum epc_err err = epc_flow_send(f, m->data, m->n);
    if (err == EPC_ENOMEM)
        epc_flow_close(f, EPC_WS_INTERNAL, "out of memory");
}

static void on_close(struct epc_flow *f, const struct post *m)
{
    if (!f)
        return;
    if (f->state == EPC_FLOW_OPEN)
        epc_flow_end_because(f, m->why);
    if (m->code)
        epc_flow_close(f, m->code, m->data);
    else
        epc_flow_abort(f, m->why);
}

static void run_post(struct epc_shard *sh, void *arg)
{
    struct post *m = arg;
    (void)sh;
    switch (m->kind) {
    case POST_OPEN:
        on_open(m);
        break;
    case POST_DATA:
        on_data(find_far(*m->ends.slot, m->ends.id), m);
        break;
    case POST_GONE:
        on_gone(find_far(*m->ends.slot, m->ends.id), m);
        break;
    case POST_SEND:
        on_send(find_socket(m->ends.w, m->ends.id), m);
        break;
    case POST_CLOSE:
        on_close(find_socket(m->ends.w, m->ends.id), m);
        break;
    }
    free(m);
}
