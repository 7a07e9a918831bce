/* Frames from the peer to whole messages, and back: RFC 6455 5, RFC 7118 5. */
#include "wss/wss_priv.h"

#include <string.h>

enum {
    FIN = 0x80,
    RSV = 0x70,
    MASKED = 0x80,
    OP_CONTINUATION = 0,
    OP_TEXT = 1,
    OP_BINARY = 2,
    OP_CLOSE = 8,
    OP_PING = 9,
    OP_PONG = 10,
    CONTROL_MAX = 125,
};

struct frame {
    unsigned opcode;
    bool fin;
    size_t head_n;
    uint64_t n;
    unsigned char mask[4];
};

/* ---- sending --------------------------------------------------------------------------------------- */

enum epc_err epc_frame_add(struct epc_flow *f, unsigned first, const void *p, size_t n)
{
    unsigned char head[10] = {(unsigned char)(FIN | first)};
    size_t head_n = 2;
    if (n <= CONTROL_MAX) {
        head[1] = (unsigned char)n;
    } else if (n < 65536) {
        head[1] = 126;
        head[2] = (unsigned char)(n >> 8);
        head[3] = (unsigned char)n;
        head_n = 4;
    } else {
        head[1] = 127;
        for (unsigned i = 0; i < 8; i++)
            head[2 + i] = (unsigned char)((uint64_t)n >> (56 - 8 * i));
        head_n = 10;
    }
    enum epc_err err = epc_fifo_reserve(&f->out, head_n + n);
    if (err)
        return err;
    epc_fifo_put(&f->out, head, head_n);
    epc_fifo_put(&f->out, p, n);
    return EPC_OK;
}

/* ---- receiving ------------------------------------------------------------------------------------- */

static void protocol_error(struct epc_flow *f, const char *why)
{
    epc_log(EPC_LOG_INFO, "wss", "msg=\"wrong frame\" flow=%016llx why=\"%s\"", (unsigned long long)f->id, why);
    epc_flow_fail(f, EPC_WS_PROTOCOL_ERROR, why);
}

static void too_big(struct epc_flow *f)
{
    epc_count(EPC_C_WSS_TOO_BIG);
    epc_log(EPC_LOG_INFO, "wss", "msg=\"message too big\" flow=%016llx", (unsigned long long)f->id);
    epc_flow_fail(f, EPC_WS_TOO_BIG, "message too big");
}

/* Octets of the header; 0 while it is not whole. */
static size_t read_header(struct frame *h, const unsigned char *p, size_t n)
{
    if (n < 2)
        return 0;
    size_t extra = (p[1] & 0x7f) == 126 ? 2 : (p[1] & 0x7f) == 127 ? 8 : 0;
    h->head_n = 2 + extra + 4;
    if (n < h->head_n)
        return 0;
    h->opcode = p[0] & 15;
    h->fin = p[0] & FIN;
    h->n = p[1] & 0x7f;
    if (extra)
        h->n = 0;
    for (size_t i = 0; i < extra; i++)
        h->n = h->n << 8 | p[2 + i];
    memcpy(h->mask, p + 2 + extra, 4);
    return h->head_n;
}

/* Of the first two octets; NULL: nothing is wrong */
static const char *fault_of(const struct epc_flow *f, const unsigned char *p)
{
    unsigned opcode = p[0] & 15, n = p[1] & 0x7f;
    if (p[0] & RSV)
        return "reserved bits are set";
    if (!(p[1] & MASKED))
        return "frames of a client are masked";
    if (opcode >= OP_CLOSE)
        return opcode > OP_PONG           ? "unknown opcode"
               : !(p[0] & FIN) || n > 125 ? "a control frame is short and whole"
                                          : NULL;
    if (opcode > OP_BINARY)
        return "unknown opcode";
    if ((opcode == OP_CONTINUATION) != f->fragments)
        return f->fragments ? "a message has not ended" : "nothing to continue";
    return NULL;
}

static void unmask(unsigned char *p, size_t n, const unsigned char mask[4])
{
    uint64_t eight, wide;
    size_t i = 0;
    memcpy(&wide, mask, 4);
    memcpy((char *)&wide + 4, mask, 4);
    for (; i + 8 <= n; i += 8) {
        memcpy(&eight, p + i, 8);
        eight ^= wide;
        memcpy(p + i, &eight, 8);
    }
    for (; i < n; i++)
        p[i] ^= mask[i & 3];
}

static void deliver(struct epc_flow *f, const char *p, size_t n, bool binary)
{
    struct epc_wss *w = f->w;
    epc_count(EPC_C_WSS_MESSAGES_IN);
    if (!binary && !epc_utf8_valid(p, n))
        epc_flow_fail(f, EPC_WS_BAD_DATA, "text is not UTF-8");
    else if (n > 0 && epc_flow_is_away(f))
        epc_flow_relay(f, p, n);
    else if (n > 0)
        w->h.message(w->arg, f, p, n);
}

static void on_data(struct epc_flow *f, const struct frame *h, const unsigned char *p, size_t n)
{
    if (h->opcode != OP_CONTINUATION)
        f->fragments_binary = h->opcode == OP_BINARY;
    if (h->fin && !f->fragments) {
        deliver(f, (const char *)p, n, f->fragments_binary);
        return;
    }
    f->fragments = !h->fin;
    if (epc_fifo_add(&f->message, p, n)) {
        epc_flow_fail(f, EPC_WS_INTERNAL, "out of memory");
        return;
    }
    if (!h->fin)
        return;
    /* The buffer leaves the flow first: the message may end the flow. */
    struct epc_fifo whole = f->message;
    f->message = (struct epc_fifo){0};
    deliver(f, (const char *)whole.p, epc_fifo_n(&whole), f->fragments_binary);
    epc_fifo_free(&whole);
}

static void on_frame(struct epc_flow *f, const struct frame *h, const unsigned char *p, size_t n)
{
    if (h->opcode == OP_CLOSE) {
        epc_flow_peer_closes(f, p, n);
        return;
    }
    if (f->state != EPC_FLOW_OPEN)
        return; /* closing: what still comes is of no interest */
    epc_flow_heard(f);
    if (h->opcode == OP_PONG)
        return;
    if (h->opcode != OP_PING) {
        on_data(f, h, p, n);
        return;
    }
    if (epc_fifo_n(&f->out) > f->w->cfg->send_queue_octets) /* it asks and does not read */
        return;
    if (epc_frame_add(f, OP_PONG, p, n))
        epc_flow_fail(f, EPC_WS_INTERNAL, "out of memory");
    else
        epc_conn_send_soon(f);
}

/* The frame at @p p: octets of it that were used, 0 to wait for the rest. */
static size_t one_frame(struct epc_flow *f, unsigned char *p, size_t n)
{
    struct frame h;
    const char *fault = n >= 2 ? fault_of(f, p) : NULL;
    if (fault) {
        protocol_error(f, fault);
        return 0;
    }
    if (!read_header(&h, p, n))
        return 0;
    size_t max = f->w->cfg ? f->w->cfg->max_message_octets : CONTROL_MAX;
    size_t before = h.opcode < OP_CLOSE ? epc_fifo_n(&f->message) : 0;
    if (h.n > max || before + h.n > max) {
        too_big(f);
        return 0;
    }
    if (n - h.head_n < h.n)
        return 0;
    f->more_frames = n - h.head_n > h.n;
    unmask(p + h.head_n, (size_t)h.n, h.mask);
    on_frame(f, &h, p + h.head_n, (size_t)h.n);
    return h.head_n + (size_t)h.n;
}

static size_t one(struct epc_flow *f, unsigned char *p, size_t n)
{
    return f->state == EPC_FLOW_HANDSHAKE ? epc_wss_request(f, (const char *)p, n) : one_frame(f, p, n);
}

void epc_flow_input(struct epc_flow *f, unsigned char *p, size_t n)
{
    struct epc_fifo joined = f->in; /* leaves the flow: what it holds may end the flow */
    f->in = (struct epc_fifo){0};
    if (epc_fifo_n(&joined)) {
        if (epc_fifo_add(&joined, p, n)) {
            epc_fifo_free(&joined);
            epc_flow_abort(f, EPC_FLOW_LOCAL_CLOSED);
            return;
        }
        p = joined.p + joined.at;
        n = epc_fifo_n(&joined);
    }
    size_t at = 0, used = 1;
    while (at < n && used && !f->deaf && !f->dying && f->state != EPC_FLOW_GONE) {
        used = one(f, p + at, n - at);
        at += used;
    }
    bool wanted = at < n && !f->deaf && !f->dying && f->state != EPC_FLOW_GONE;
    if (wanted && joined.p) { /* goes back as it is: what is appended octet by octet is not copied each time */
        joined.at += (uint32_t)at;
        f->in = joined;
        return;
    }
    if (wanted && epc_fifo_add(&f->in, p + at, n - at))
        epc_flow_abort(f, EPC_FLOW_LOCAL_CLOSED);
    epc_fifo_free(&joined);
}
