/* Private to wss/. A struct epc_flow exists from accept on; rooms above see it from `opened` on. */
#ifndef EPC_WSS_PRIV_H
#define EPC_WSS_PRIV_H

#include "wss/wss.h"

#include "wss/fifo.h"
#include "wss/tls.h"

enum epc_flow_state {
    EPC_FLOW_HANDSHAKE, /* TLS and HTTP */
    EPC_FLOW_OPEN,
    EPC_FLOW_CLOSING,   /* we close: the queue drains, then the close frame, then the peer's answer */
    EPC_FLOW_GONE,      /* the socket is closed */
};

enum { /* RFC 6455 7.4.1 */
    EPC_WS_NORMAL = 1000,
    EPC_WS_GOING_AWAY = 1001,
    EPC_WS_PROTOCOL_ERROR = 1002,
    EPC_WS_BAD_DATA = 1007,
    EPC_WS_POLICY = 1008,
    EPC_WS_TOO_BIG = 1009,
    EPC_WS_INTERNAL = 1011,
    EPC_WS_TRY_AGAIN = 1013,
};

/* So many a second, and a burst; in thousandths. Zeroed: full. */
struct epc_bucket {
    uint64_t spent, at_ms;
};

/* One source: an IPv4 address or an IPv6 /64. Outlives its connections until its buckets are full. */
struct epc_source {
    struct epc_hnode node;
    struct epc_wss *w;
    unsigned char key[16];
    unsigned n;    /* sockets */
    unsigned refs; /* flows: those, and far ones */
    struct epc_bucket connections, registers;
    struct epc_timer idle;
};

/* The other end of a flow that lives on another shard than its socket (handover.c). */
struct epc_relay;
struct epc_far {
    struct epc_shard *sh;        /* NULL: socket and flow are together */
    struct epc_wss *const *slot; /* at the socket: the far flow's listener, read on its thread only */
    struct epc_wss *w;           /* at the far flow: the socket's listener, used on its thread only */
    uint64_t id;                 /* that the flow had on the socket's shard */
    struct epc_relay *relay;
};

struct epc_flow {
    struct epc_hnode node; /* by id, while OPEN or CLOSING */
    struct epc_flow *next, **prev; /* all of the listener's, in any state */
    struct epc_wss *w;
    uint64_t id;
    struct epc_addr peer;
    struct epc_source *source;
    const struct epc_cfg_origin *origin;
    enum epc_flow_state state;
    enum epc_flow_end why;
    bool opened;        /* the handler has been told */
    bool why_set;
    bool over_rate;     /* its handshake will be refused */
    bool registered;
    bool awaiting_pong; /* nothing came since the last ping */
    bool dying;         /* aborted: the socket closes at the end of the turn */
    bool full;          /* the socket takes no more for now, and will say when it does */
    bool paused;        /* nothing is read, until hears_ms */
    bool waited;        /* what is being read came in a pause */
    bool more_records, more_frames; /* of what is being read, after this message */
    bool hang_up;       /* when all is sent, the connection ends */
    bool said_bye;      /* the TLS alert that ends it is on its way */
    bool deaf;          /* nothing that still comes is of interest */
    bool linger;        /* and the peer is the one who closes then */
    bool fragments;     /* of a message have come, the last has not */
    bool fragments_binary;

    uint64_t note;
    uint64_t hears_ms;
    struct epc_flow *next_paused, *prev_paused;

    struct epc_far far;
    bool is_far;       /* has no socket here */
    bool told_moved, told_gone;
    uint16_t close_code; /* far: still to be told */
    struct epc_hnode socket_node; /* far: in by_socket */

    struct epc_timer timer; /* handshake, then registration, then end of the closing */
    struct epc_timer ping_timer;

    struct epc_watch watch;
    struct epc_flow *next_dirty, **prev_dirty;
    struct epc_tls tls;
    struct epc_fifo sealed; /* records that wait for the socket */
    struct epc_fifo out;    /* plain text that waits to be sealed: HTTP, then frames */
    struct epc_fifo wire;   /* the beginning of a record */
    struct epc_fifo in;     /* the beginning of a request or frame */
    struct epc_fifo message; /* fragments so far */
};

struct epc_wss {
    struct epc_shard *sh;
    const struct epc_cfg_wss *cfg;
    struct epc_wss_handler h;
    void *arg;
    struct epc_tls_shard tls;
    struct epc_hash by_id, by_socket, sources;
    struct epc_flow *flows;
    unsigned n_flows;         /* with a socket, in any state */
    unsigned n_far;           /* without */
    uint64_t next_id;
    struct epc_flow *dirty; /* what they have is sent at the end of the turn */
    struct epc_flow *paused, *paused_last; /* who hears first is first */
    unsigned n_paused;
    struct epc_timer pause;   /* of the first */
    struct epc_turn_end turn_end;
    unsigned char *rx, *tx;   /* what has been read, what is about to be written; of the turn */
    bool destroying;
    struct epc_timer linger;
};

enum {
    EPC_RX_OCTETS = 65536, /* read(2) at once; a record fits several times */
    EPC_TX_OCTETS = 65536, /* send(2) at once, roughly */
};

/* http.c: a request, or the beginning of one; returns how much of it was used, 0 to wait for the rest */
size_t epc_wss_request(struct epc_flow *f, const char *p, size_t n);

/* frame.c: plain text from the peer, which is unmasked where it lies */
void epc_flow_input(struct epc_flow *f, unsigned char *p, size_t n);
enum epc_err epc_frame_add(struct epc_flow *f, unsigned first, const void *p, size_t n) EPC_MUST_CHECK;

/* conn.c: the socket */
enum epc_err epc_conn_open(struct epc_flow *f, int fd) EPC_MUST_CHECK;
void epc_conn_send_soon(struct epc_flow *f); /* what is in `out` and `sealed`, at the end of the turn */
void epc_conn_send_now(struct epc_flow *f);
void epc_conn_close(struct epc_flow *f);     /* the socket and what belongs to it, at once */
void epc_conn_hear(struct epc_flow *f);      /* the end of a pause; harmless when there was none */
bool epc_conn_room(struct epc_wss *w);       /* the buffers of the turn; false: out of memory */

/* flow.c */
void epc_flow_abort(struct epc_flow *f, enum epc_flow_end why); /* no close frame; from any place */
void epc_flow_begin_life(struct epc_flow *f);                   /* timers of an open flow */
void epc_flow_heard(struct epc_flow *f);
void epc_flow_fail(struct epc_flow *f, uint16_t code, const char *reason); /* and hear no more */
void epc_flow_peer_closes(struct epc_flow *f, const unsigned char *p, size_t n); /* its close frame */
void epc_flow_refuse(struct epc_flow *f); /* the handshake, with what is in `out` */
void epc_flow_end_because(struct epc_flow *f, enum epc_flow_end why); /* the first reason stays */

/* wss.c */
void epc_flow_link(struct epc_flow *f);
void epc_flow_unlink(struct epc_flow *f);
void epc_flow_open(struct epc_flow *f); /* id, table, `opened` */
void epc_flow_established(struct epc_flow *f);
void epc_flow_gone(struct epc_flow *f); /* its socket is to close; `closed` follows */
void epc_wss_finish_destroy(struct epc_wss *w); /* when nothing is left of a listener that ends */

/* handover.c: the socket's end */
static inline bool epc_flow_is_away(const struct epc_flow *f)
{
    return f->far.sh && !f->is_far;
}
void epc_flow_relay(struct epc_flow *f, const char *p, size_t n);
void epc_flow_tell_moved(void *flow);
/* The socket is gone. False: the other shard could not be told yet, ask again. */
bool epc_flow_tell_gone(struct epc_flow *f);
/* the far end */
enum epc_err epc_far_send(struct epc_flow *f, const void *p, size_t n) EPC_MUST_CHECK;
void epc_far_close(struct epc_flow *f, uint16_t code, const char *reason, enum epc_flow_end why);
void epc_far_shutdown(struct epc_flow *f);
bool epc_socket_eq(const struct epc_hnode *node, const void *key);

/* limits.c */
bool epc_wss_may_accept(struct epc_wss *w, const struct epc_addr *peer);
enum epc_err epc_wss_count_source(struct epc_flow *f) EPC_MUST_CHECK;
void epc_wss_uncount_source(struct epc_flow *f);
void epc_wss_free_sources(struct epc_wss *w);
bool epc_wss_over_limit(const struct epc_flow *f);
bool epc_source_eq(const struct epc_hnode *node, const void *key);

/* utf8.c */
bool epc_utf8_valid(const char *p, size_t n);

#endif
