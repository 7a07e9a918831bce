/* An open flow: sending, keep-alive, closing. */
#include "wss/wss_priv.h"

#include <stdlib.h>
#include <string.h>

enum {
    CLOSE_DEADLINE_MS = 5000, /* for draining, the close frame and the peer's answer to it */
    REASON_MAX = 120,
    PING_SLOT_MS = 200,
    PING_SLOTS_LEAST = 20, /* of an interval: it may be longer by one of so many */
    OP_TEXT = 1,
    OP_BINARY = 2,
    OP_CLOSE = 8,
    OP_PING = 9,
};

void epc_flow_end_because(struct epc_flow *f, enum epc_flow_end why)
{
    if (!f->why_set)
        f->why = why;
    f->why_set = true;
}

/* ---- closing ------------------------------------------------------------------------------------ */

static void on_kill(void *arg)
{
    epc_flow_gone(arg);
}

/* At the end of the turn: the caller may be at work on what the flow holds. */
void epc_flow_abort(struct epc_flow *f, enum epc_flow_end why)
{
    if (f->state == EPC_FLOW_GONE || f->is_far || f->dying)
        return;
    epc_flow_end_because(f, why);
    f->state = EPC_FLOW_CLOSING;
    f->dying = true;
    epc_shard_doom(f->w->sh, on_kill, f);
}

static void begin_closing(struct epc_flow *f)
{
    f->state = EPC_FLOW_CLOSING;
    epc_timer_stop(f->w->sh, &f->ping_timer);
    epc_timer_start(f->w->sh, &f->timer, CLOSE_DEADLINE_MS, on_kill, f);
    epc_conn_hear(f); /* the peer's answer */
    epc_conn_send_soon(f);
}

/* Behind what is queued. */
static void say_close(struct epc_flow *f, uint16_t code, const char *reason)
{
    unsigned char text[2 + REASON_MAX] = {(unsigned char)(code >> 8), (unsigned char)code};
    size_t n = reason ? strnlen(reason, REASON_MAX) : 0;
    if (n)
        memcpy(text + 2, reason, n);
    if (epc_frame_add(f, OP_CLOSE, text, 2 + n))
        epc_flow_abort(f, EPC_FLOW_LOCAL_CLOSED);
    begin_closing(f);
}

static void hang_up(struct epc_flow *f, bool linger)
{
    f->hang_up = f->deaf = true;
    f->linger = linger;
    epc_conn_send_soon(f);
}

void epc_flow_fail(struct epc_flow *f, uint16_t code, const char *reason)
{
    epc_flow_end_because(f, EPC_FLOW_LOCAL_CLOSED);
    if (f->state == EPC_FLOW_OPEN)
        say_close(f, code, reason);
    hang_up(f, true);
}

void epc_flow_refuse(struct epc_flow *f)
{
    begin_closing(f);
    hang_up(f, true);
}

/* Which codes may be on the wire (RFC 6455 7.4) */
static bool code_may_be_sent(unsigned code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

/* The answer to it is the same code (RFC 6455 5.5.1); if it is an answer itself, that was all. */
void epc_flow_peer_closes(struct epc_flow *f, const unsigned char *p, size_t n)
{
    unsigned code = n >= 2 ? (unsigned)p[0] << 8 | p[1] : EPC_WS_NORMAL;
    epc_flow_end_because(f, EPC_FLOW_PEER_CLOSED);
    if (f->state == EPC_FLOW_OPEN)
        say_close(f, n == 1 || !code_may_be_sent(code) ? EPC_WS_PROTOCOL_ERROR : (uint16_t)code, NULL);
    hang_up(f, false);
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
    say_close(f, code, reason);
}

/* ---- keep-alive --------------------------------------------------------------------------------- */

static void on_ping_timer(void *arg);

/* Many flows ping in the same moment, and their pongs come together: a shard with thousands of idle users wakes
 * up five times a second for them, and not for each. */
static void at_ping_slot(struct epc_flow *f, uint32_t after_ms)
{
    uint64_t now = epc_now_ms(), at = now + after_ms;
    if (after_ms >= PING_SLOT_MS * PING_SLOTS_LEAST)
        at = (at + PING_SLOT_MS - 1) / PING_SLOT_MS * PING_SLOT_MS;
    epc_timer_start(f->w->sh, &f->ping_timer, at - now, on_ping_timer, f);
}

static void start_ping_timer(struct epc_flow *f)
{
    const struct epc_cfg_wss *cfg = f->w->cfg;
    f->awaiting_pong = false;
    if (cfg->ping_interval_ms)
        at_ping_slot(f, cfg->ping_interval_ms);
}

static void on_ping_timer(void *arg)
{
    struct epc_flow *f = arg;
    const struct epc_cfg_wss *cfg = f->w->cfg;
    if (f->awaiting_pong && f->paused) { /* silence proves nothing */
        epc_flow_heard(f);
        return;
    }
    if (f->awaiting_pong) { /* nothing at all was heard: it would have moved the timer */
        epc_count(EPC_C_WSS_PING_TIMEOUT);
        epc_log(EPC_LOG_INFO, "wss", "msg=\"no pong\" flow=%016llx", (unsigned long long)f->id);
        epc_flow_abort(f, EPC_FLOW_PING_TIMEOUT);
        return;
    }
    if (epc_frame_add(f, OP_PING, "ping", 4)) {
        epc_flow_abort(f, EPC_FLOW_LOCAL_CLOSED);
        return;
    }
    epc_conn_send_soon(f);
    f->awaiting_pong = true;
    at_ping_slot(f, cfg->pong_timeout_ms);
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
    epc_flow_close(f, EPC_WS_POLICY, "no registration");
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

static bool has_room(const struct epc_flow *f, size_t n)
{
    size_t queued = epc_fifo_n(&f->out);
    return queued == 0 || queued + n <= f->w->cfg->send_queue_octets;
}

enum epc_err epc_flow_send(struct epc_flow *f, const void *p, size_t n)
{
    EPC_ASSERT_OWNER(f->w->sh);
    if (!p || n == 0)
        return EPC_EINVAL;
    if (f->is_far)
        return epc_far_send(f, p, n);
    if (f->state != EPC_FLOW_OPEN)
        return EPC_ENOENT;
    if (!has_room(f, n)) /* the turn says much: what the socket takes does not count */
        epc_conn_send_now(f);
    if (f->state != EPC_FLOW_OPEN)
        return EPC_ENOENT;
    if (!has_room(f, n)) {
        epc_count(EPC_C_WSS_BACKPRESSURE);
        epc_log(EPC_LOG_INFO, "wss", "msg=\"peer does not read\" flow=%016llx queued=%zu",
                (unsigned long long)f->id, epc_fifo_n(&f->out));
        epc_flow_abort(f, EPC_FLOW_BACKPRESSURE);
        return EPC_ELIMIT;
    }
    enum epc_err err = epc_frame_add(f, epc_utf8_valid(p, n) ? OP_TEXT : OP_BINARY, p, n);
    if (err)
        return err;
    epc_conn_send_soon(f);
    epc_count(EPC_C_WSS_MESSAGES_OUT);
    return EPC_OK;
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

void epc_flow_set_note(struct epc_flow *f, uint64_t note)
{
    f->note = note;
}

uint64_t epc_flow_note(const struct epc_flow *f)
{
    return f->note;
}

bool epc_flow_registered(const struct epc_flow *f)
{
    return f->registered;
}
