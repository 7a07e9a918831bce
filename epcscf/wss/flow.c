/* An open flow: sending, keep-alive, closing. */
#include "wss/wss_priv.h"

#include <stdlib.h>
#include <string.h>

enum {
    WRITES_PER_TURN = 16,
    CLOSE_DEADLINE_MS = 5000, /* for draining, the close frame and the peer's answer to it */
    PING_OCTETS = 4,          /* lws does not report empty pongs */
};

static void on_kill(void *arg);

void epc_flow_end_because(struct epc_flow *f, enum epc_flow_end why)
{
    if (!f->why_set)
        f->why = why;
    f->why_set = true;
}

void epc_flow_drop_buffers(struct epc_flow *f)
{
    while (f->queue) {
        struct epc_out *o = f->queue;
        f->queue = o->next;
        free(o);
    }
    f->queue_tail = &f->queue;
    f->queued_octets = 0;
    free(f->rx);
    f->rx = NULL;
    f->rx_n = f->rx_cap = 0;
}

/* ---- closing ------------------------------------------------------------------------------------ */

/* The connection is cut from a timer of its own: an lws connection must not be freed inside one of
 * its callbacks. */
void epc_flow_abort(struct epc_flow *f, enum epc_flow_end why)
{
    if (f->state == EPC_FLOW_GONE || f->is_far)
        return;
    epc_flow_end_because(f, why);
    f->state = EPC_FLOW_CLOSING;
    epc_timer_stop(f->w->sh, &f->ping_timer);
    epc_timer_start(f->w->sh, &f->timer, 0, on_kill, f);
}

static void on_kill(void *arg)
{
    struct epc_flow *f = arg;
    if (f->state == EPC_FLOW_GONE)
        return;
    /* With the socket shut, lws cannot decide to wait for its buffers to drain. */
    int fd = lws_get_socket_fd(f->wsi);
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR);
    lws_set_timeout(f->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}

static void begin_closing(struct epc_flow *f, uint16_t code, const char *reason)
{
    f->state = EPC_FLOW_CLOSING;
    f->close_code = code;
    snprintf(f->close_reason, sizeof f->close_reason, "%s", reason ? reason : "");
    epc_timer_stop(f->w->sh, &f->ping_timer);
    epc_timer_start(f->w->sh, &f->timer, CLOSE_DEADLINE_MS, on_kill, f);
}

static void set_close_frame(struct epc_flow *f)
{
    lws_close_reason(f->wsi, (enum lws_close_status)f->close_code,
                     (unsigned char *)f->close_reason, strlen(f->close_reason));
    f->close_code = 0;
}

void epc_flow_fail(struct epc_flow *f, uint16_t code, const char *reason)
{
    epc_flow_end_because(f, EPC_FLOW_LOCAL_CLOSED);
    begin_closing(f, code, reason);
    set_close_frame(f);
}

/* At the end of the turn, outside lws. A flow outlives every call that was set down before the one
 * that frees it, so f is there; it may be gone, though. */
static void say_close(void *flow)
{
    struct epc_flow *f = flow;
    if (f->state != EPC_FLOW_CLOSING || !f->close_code)
        return;
    set_close_frame(f);
    lws_set_timeout(f->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}

/* lws sends no close frame when its writeable callback asks for the end, so it is asked later. */
static void say_close_when_drained(struct epc_flow *f)
{
    if (f->state != EPC_FLOW_CLOSING || !f->close_code)
        return;
    if (!f->queue && !lws_partial_buffered(f->wsi)) {
        epc_shard_doom(f->w->sh, say_close, f);
        return;
    }
    lws_callback_on_writable(f->wsi);
}

void epc_flow_close(struct epc_flow *f, uint16_t code, const char *reason)
{
    EPC_ASSERT_OWNER(f->w->sh);
    if (f->is_far) {
        epc_far_close(f, code, reason, EPC_FLOW_LOCAL_CLOSED);
        return;
    }
    if (f->state != EPC_FLOW_OPEN)
        return;
    epc_flow_end_because(f, EPC_FLOW_LOCAL_CLOSED);
    begin_closing(f, code, reason);
    say_close_when_drained(f);
}

/* ---- keep-alive --------------------------------------------------------------------------------- */

static void on_ping_timer(void *arg);

static void start_ping_timer(struct epc_flow *f)
{
    const struct epc_cfg_wss *cfg = f->w->cfg;
    f->awaiting_pong = false;
    if (cfg->ping_interval_ms)
        epc_timer_start(f->w->sh, &f->ping_timer, cfg->ping_interval_ms, on_ping_timer, f);
}

static void on_ping_timer(void *arg)
{
    struct epc_flow *f = arg;
    const struct epc_cfg_wss *cfg = f->w->cfg;
    if (f->awaiting_pong) { /* nothing at all was heard: it would have moved the timer */
        epc_count(EPC_C_WSS_PING_TIMEOUT);
        epc_log(EPC_LOG_INFO, "wss", "msg=\"no pong\" flow=%016llx", (unsigned long long)f->id);
        epc_flow_abort(f, EPC_FLOW_PING_TIMEOUT);
        return;
    }
    f->ping_due = true;
    f->awaiting_pong = true;
    lws_callback_on_writable(f->wsi);
    epc_timer_start(f->w->sh, &f->ping_timer, cfg->pong_timeout_ms, on_ping_timer, f);
}

/* Whatever the peer sends proves as much as a pong would. */
void epc_flow_heard(struct epc_flow *f)
{
    if (f->awaiting_pong && f->state == EPC_FLOW_OPEN)
        start_ping_timer(f);
}

static void on_unregistered(void *arg)
{
    struct epc_flow *f = arg;
    epc_count(EPC_C_WSS_IDLE_UNREGISTERED);
    epc_flow_close(f, LWS_CLOSE_STATUS_POLICY_VIOLATION, "no registration");
}

static void start_registration_timer(struct epc_flow *f)
{
    uint32_t ms = f->w->cfg->registration_timeout_ms;
    if (ms)
        epc_timer_start(f->w->sh, &f->timer, ms, on_unregistered, f);
    else
        epc_timer_stop(f->w->sh, &f->timer);
}

void epc_flow_begin_life(struct epc_flow *f)
{
    start_registration_timer(f);
    if (!f->is_far)
        start_ping_timer(f);
}

void epc_flow_set_registered(struct epc_flow *f, bool registered)
{
    EPC_ASSERT_OWNER(f->w->sh);
    if (f->state != EPC_FLOW_OPEN || f->registered == registered)
        return;
    f->registered = registered;
    if (registered)
        epc_timer_stop(f->w->sh, &f->timer);
    else
        start_registration_timer(f);
}

/* ---- sending ------------------------------------------------------------------------------------ */

static enum lws_write_protocol frame_type(bool binary)
{
    return binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT;
}

/* Straight to the socket: saves waiting for it to become writable, which it nearly always is. */
static enum epc_err send_now(struct epc_flow *f, const void *p, size_t n, bool binary)
{
    struct epc_wss *w = f->w;
    if (LWS_PRE + n > w->scratch_cap) {
        unsigned char *s = realloc(w->scratch, LWS_PRE + n);
        if (!s)
            return EPC_ENOMEM;
        w->scratch = s;
        w->scratch_cap = LWS_PRE + n;
    }
    memcpy(w->scratch + LWS_PRE, p, n);
    if (lws_write(f->wsi, w->scratch + LWS_PRE, n, frame_type(binary)) < (int)n) {
        epc_flow_abort(f, EPC_FLOW_PEER_CLOSED);
        return EPC_ENOENT;
    }
    return EPC_OK; /* what the socket does not take, lws keeps and sends */
}

static enum epc_err enqueue(struct epc_flow *f, const void *p, size_t n, bool binary)
{
    struct epc_out *o = malloc(sizeof *o + LWS_PRE + n);
    if (!o)
        return EPC_ENOMEM;
    o->next = NULL;
    o->n = n;
    o->binary = binary;
    memcpy(o->data + LWS_PRE, p, n);
    *f->queue_tail = o;
    f->queue_tail = &o->next;
    f->queued_octets += n;
    lws_callback_on_writable(f->wsi);
    return EPC_OK;
}

enum epc_err epc_flow_send(struct epc_flow *f, const void *p, size_t n)
{
    enum epc_err e;
    EPC_ASSERT_OWNER(f->w->sh);
    if (!p || n == 0)
        return EPC_EINVAL;
    if (f->is_far)
        return epc_far_send(f, p, n);
    if (f->state != EPC_FLOW_OPEN)
        return EPC_ENOENT;
    bool binary = !epc_utf8_valid(p, n);
    if (!f->queue && !f->ping_due && !lws_partial_buffered(f->wsi)) {
        e = send_now(f, p, n, binary);
    } else if (f->queued_octets + n > f->w->cfg->send_queue_octets) {
        epc_count(EPC_C_WSS_BACKPRESSURE);
        epc_log(EPC_LOG_INFO, "wss", "msg=\"peer does not read\" flow=%016llx queued=%zu",
                (unsigned long long)f->id, f->queued_octets);
        epc_flow_abort(f, EPC_FLOW_BACKPRESSURE);
        return EPC_ELIMIT;
    } else {
        e = enqueue(f, p, n, binary);
    }
    if (!e)
        epc_count(EPC_C_WSS_MESSAGES_OUT);
    return e;
}

static int write_ping(struct epc_flow *f)
{
    unsigned char buf[LWS_PRE + PING_OCTETS];
    f->ping_due = false;
    memcpy(buf + LWS_PRE, "ping", PING_OCTETS);
    return lws_write(f->wsi, buf + LWS_PRE, PING_OCTETS, LWS_WRITE_PING) < 0 ? -1 : 0;
}

int epc_flow_writable(struct epc_flow *f)
{
    if (f->ping_due && f->state == EPC_FLOW_OPEN && write_ping(f) < 0)
        return -1;
    for (int i = 0; f->queue && i < WRITES_PER_TURN && !lws_partial_buffered(f->wsi); i++) {
        struct epc_out *o = f->queue;
        f->queue = o->next;
        if (!f->queue)
            f->queue_tail = &f->queue;
        f->queued_octets -= o->n;
        int n = lws_write(f->wsi, o->data + LWS_PRE, o->n, frame_type(o->binary));
        bool bad = n < (int)o->n;
        free(o);
        if (bad)
            return -1;
    }
    if (f->queue)
        lws_callback_on_writable(f->wsi);
    say_close_when_drained(f);
    return 0;
}

/* ---- access ------------------------------------------------------------------------------------- */

uint64_t epc_flow_id(const struct epc_flow *f)
{
    return f->id;
}

const struct epc_addr *epc_flow_peer(const struct epc_flow *f)
{
    return &f->peer;
}

const struct epc_cfg_origin *epc_flow_origin(const struct epc_flow *f)
{
    return f->origin;
}
