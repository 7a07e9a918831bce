/* The socket of a flow: one read(2) for what has come, one send(2) at the end of the turn for all that the
 * turn has left to say. */
#include "wss/wss_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SENDS_PER_TURN = 8, /* of one flow */
    CATCH_UPS_PER_TURN = 32,
    RECORD_ROOM = EPC_TLS_PLAIN_MAX + EPC_TLS_RECORD_EXTRA,
};

bool epc_conn_room(struct epc_wss *w)
{
    w->rx = malloc(EPC_RX_OCTETS);
    w->tx = malloc(EPC_TX_OCTETS + RECORD_ROOM);
    return w->rx && w->tx;
}

static void on_readable(struct epc_flow *f);

/* ---- pauses ---------------------------------------------------------------------------------------- */

static void watch(struct epc_flow *f)
{
    epc_watch_set(f->w->sh, &f->watch, (f->paused ? 0u : EPC_WATCH_IN) | (f->full ? EPC_WATCH_OUT : 0u));
}

static void link_paused(struct epc_flow *f)
{
    struct epc_wss *w = f->w;
    struct epc_flow *before = w->paused_last;
    while (before && before->hears_ms > f->hears_ms) /* never far: pauses are of one length */
        before = before->prev_paused;
    f->prev_paused = before;
    f->next_paused = before ? before->next_paused : w->paused;
    *(before ? &before->next_paused : &w->paused) = f;
    *(f->next_paused ? &f->next_paused->prev_paused : &w->paused_last) = f;
    f->paused = true;
    w->n_paused++;
}

static void unlink_paused(struct epc_flow *f)
{
    struct epc_wss *w = f->w;
    if (!f->paused)
        return;
    *(f->prev_paused ? &f->prev_paused->next_paused : &w->paused) = f->next_paused;
    *(f->next_paused ? &f->next_paused->prev_paused : &w->paused_last) = f->prev_paused;
    f->paused = false;
    w->n_paused--;
}

void epc_conn_hear(struct epc_flow *f)
{
    if (!f->paused)
        return;
    unlink_paused(f);
    watch(f);
    epc_flow_heard(f); /* its pong may be among what waits */
}

/* What has waited is read at once, so that it can be told from what comes later. */
static void catch_up(struct epc_flow *f)
{
    epc_conn_hear(f);
    f->waited = true;
    on_readable(f);
    f->waited = false;
}

static void on_pause_end(void *arg)
{
    struct epc_wss *w = arg;
    uint64_t now = epc_now_ms();
    for (int i = 0; i < CATCH_UPS_PER_TURN && w->paused && w->paused->hears_ms <= now; i++)
        catch_up(w->paused);
    if (w->paused)
        epc_timer_start(w->sh, &w->pause, w->paused->hears_ms > now ? w->paused->hears_ms - now : 0, on_pause_end, w);
}

void epc_flow_pause(struct epc_flow *f, uint32_t for_ms)
{
    struct epc_wss *w = f->w;
    EPC_ASSERT_OWNER(w->sh);
    if (!for_ms || f->is_far || f->state != EPC_FLOW_OPEN || f->dying)
        return;
    unlink_paused(f);
    f->hears_ms = epc_now_ms() + for_ms;
    link_paused(f);
    watch(f);
    if (w->paused == f)
        epc_timer_start(w->sh, &w->pause, for_ms, on_pause_end, w);
}

unsigned epc_wss_hear(struct epc_wss *w, unsigned n)
{
    EPC_ASSERT_OWNER(w->sh);
    for (; n && w->paused; n--)
        catch_up(w->paused);
    return w->n_paused;
}

bool epc_flow_superseded(const struct epc_flow *f)
{
    return f->waited && (f->more_records || f->more_frames);
}

/* ---- the end --------------------------------------------------------------------------------------- */

void epc_conn_close(struct epc_flow *f)
{
    unlink_paused(f);
    if (f->prev_dirty) {
        *f->prev_dirty = f->next_dirty;
        if (f->next_dirty)
            f->next_dirty->prev_dirty = f->prev_dirty;
        f->prev_dirty = NULL;
    }
    epc_watch_stop(f->w->sh, &f->watch);
    if (f->watch.fd >= 0)
        close(f->watch.fd);
    f->watch.fd = -1;
    epc_tls_free(&f->tls);
    epc_fifo_free(&f->sealed);
    epc_fifo_free(&f->out);
    epc_fifo_free(&f->wire);
    epc_fifo_free(&f->in);
    epc_fifo_free(&f->message);
}

/* ---- sending --------------------------------------------------------------------------------------- */

/* What is due, up to a buffer full: first what is sealed already (@p old of it), then plain text, then the
 * farewell. False: it cannot be sealed. */
static bool fill(struct epc_flow *f, size_t *old, size_t *n)
{
    struct epc_wss *w = f->w;
    *old = epc_fifo_n(&f->sealed);
    bool all = *old <= EPC_TX_OCTETS;
    if (!all)
        *old = EPC_TX_OCTETS;
    if (*old)
        memcpy(w->tx, f->sealed.p + f->sealed.at, *old);
    *n = *old;
    while (all && epc_fifo_n(&f->out) && *n < EPC_TX_OCTETS) {
        size_t k = epc_fifo_n(&f->out), sealed;
        if (k > EPC_TLS_PLAIN_MAX)
            k = EPC_TLS_PLAIN_MAX;
        sealed = epc_tls_seal(&w->tls, &f->tls, f->out.p + f->out.at, k, w->tx + *n);
        if (!sealed)
            return false;
        epc_fifo_drop(&f->out, k);
        *n += sealed;
    }
    if (all && f->hang_up && !f->said_bye && !epc_fifo_n(&f->out) && *n < EPC_TX_OCTETS) {
        f->said_bye = true;
        *n += epc_tls_bye(&w->tls, &f->tls, w->tx + *n);
    }
    return true;
}

/* Of @p n octets, of which @p old are still in `sealed`, the socket took @p sent. */
static enum epc_err keep_rest(struct epc_flow *f, size_t old, size_t n, size_t sent)
{
    epc_fifo_drop(&f->sealed, sent < old ? sent : old);
    size_t from = sent > old ? sent : old;
    return epc_fifo_add(&f->sealed, f->w->tx + from, n - from);
}

static void lose(struct epc_flow *f)
{
    epc_flow_end_because(f, EPC_FLOW_PEER_CLOSED);
    epc_flow_gone(f);
}

static void all_sent(struct epc_flow *f)
{
    f->full = false;
    watch(f);
    if (!f->hang_up || !f->said_bye)
        return;
    if (f->linger) /* what the peer still sends would make the kernel reset the connection and lose our last words */
        shutdown(f->watch.fd, SHUT_WR);
    else
        epc_flow_gone(f);
}

static void flush(struct epc_flow *f)
{
    size_t old, n;
    for (int i = 0; i < SENDS_PER_TURN; i++) {
        if (!fill(f, &old, &n)) {
            lose(f);
            return;
        }
        if (n == 0) {
            all_sent(f);
            return;
        }
        ssize_t r = send(f->watch.fd, f->w->tx, n, MSG_NOSIGNAL);
        if (r < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            lose(f);
            return;
        }
        size_t sent = r > 0 ? (size_t)r : 0;
        if (keep_rest(f, old, n, sent)) {
            lose(f);
            return;
        }
        if (sent < n)
            break;
        if (!epc_fifo_n(&f->out) && !epc_fifo_n(&f->sealed) && (!f->hang_up || f->said_bye)) {
            all_sent(f);
            return;
        }
    }
    f->full = true;
    watch(f);
}

static void on_turn_end(void *arg)
{
    struct epc_wss *w = arg;
    while (w->dirty) {
        struct epc_flow *f = w->dirty;
        w->dirty = f->next_dirty;
        if (w->dirty)
            w->dirty->prev_dirty = &w->dirty;
        f->prev_dirty = NULL;
        flush(f);
    }
}

void epc_conn_send_soon(struct epc_flow *f)
{
    struct epc_wss *w = f->w;
    if (f->state == EPC_FLOW_GONE || f->prev_dirty || f->full)
        return;
    f->next_dirty = w->dirty;
    f->prev_dirty = &w->dirty;
    if (w->dirty)
        w->dirty->prev_dirty = &f->next_dirty;
    w->dirty = f;
    epc_shard_at_turn_end(w->sh, &w->turn_end, on_turn_end, w);
}

void epc_conn_send_now(struct epc_flow *f)
{
    if (f->state != EPC_FLOW_GONE && !f->full)
        flush(f);
}

/* ---- receiving ------------------------------------------------------------------------------------- */

static void broken(struct epc_flow *f)
{
    epc_flow_end_because(f, EPC_FLOW_PEER_CLOSED);
    f->said_bye = true; /* the alert says more */
    epc_flow_refuse(f);
}

static void take(struct epc_flow *f, unsigned char *p, size_t n)
{
    struct epc_wss *w = f->w;
    unsigned char *plain;
    size_t plain_n;
    enum epc_err err;
    while (!f->deaf && (err = epc_tls_unseal(&w->tls, &f->tls, &p, &n, &plain, &plain_n, &f->sealed)) == EPC_OK) {
        f->more_records = n > 0;
        if (plain_n)
            epc_flow_input(f, plain, plain_n);
        if (f->state == EPC_FLOW_GONE || f->dying)
            return;
    }
    if (f->deaf)
        return;
    if (err == EPC_EAGAIN) {
        if (epc_fifo_add(&f->wire, p, n))
            epc_flow_abort(f, EPC_FLOW_LOCAL_CLOSED);
    } else if (err == EPC_EPROTO) {
        broken(f);
    } else {
        epc_conn_send_now(f);
        lose(f);
        return;
    }
    if (epc_fifo_n(&f->sealed))
        epc_conn_send_soon(f);
}

static void on_readable(struct epc_flow *f)
{
    struct epc_wss *w = f->w;
    size_t have = epc_fifo_n(&f->wire);
    ssize_t n = recv(f->watch.fd, w->rx + have, EPC_RX_OCTETS - have, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n <= 0) {
        lose(f);
        return;
    }
    if (f->deaf)
        return;
    if (have)
        memcpy(w->rx, f->wire.p + f->wire.at, have);
    epc_fifo_free(&f->wire);
    take(f, w->rx, have + (size_t)n);
}

static void on_socket(void *arg, unsigned events)
{
    struct epc_flow *f = arg;
    if (events & (EPC_WATCH_IN | EPC_WATCH_ERR))
        on_readable(f);
    if ((events & EPC_WATCH_OUT) && f->state != EPC_FLOW_GONE && !f->dying)
        flush(f);
}

enum epc_err epc_conn_open(struct epc_flow *f, int fd)
{
    enum epc_err err = epc_tls_accept(&f->w->tls, &f->tls);
    if (err)
        return err;
    f->watch.fd = fd;
    err = epc_watch_start(f->w->sh, &f->watch, EPC_WATCH_IN, on_socket, f);
    if (err)
        epc_tls_free(&f->tls);
    return err;
}
