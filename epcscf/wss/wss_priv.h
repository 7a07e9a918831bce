/* Private to wss/. A struct epc_flow exists from accept on; rooms above see it from `opened` on. */
#ifndef EPC_WSS_PRIV_H
#define EPC_WSS_PRIV_H

#include "wss/wss.h"

#include <libwebsockets.h>
#include <openssl/ssl.h>

enum epc_flow_state {
    EPC_FLOW_HANDSHAKE, /* TLS and HTTP */
    EPC_FLOW_OPEN,
    EPC_FLOW_CLOSING,   /* we close: the queue drains, then the close frame, then the peer's answer */
    EPC_FLOW_GONE,      /* lws has let go of the socket */
};

struct epc_out { /* one message that waits for the peer to read */
    struct epc_out *next;
    size_t n;
    bool binary;
    unsigned char data[]; /* LWS_PRE octets of headroom, then the message */
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
    struct lws *wsi;
    uint64_t id;
    struct epc_addr peer;
    struct epc_source *source;
    const struct epc_cfg_origin *origin;
    enum epc_flow_state state;
    bool opened;       /* the handler has been told */
    enum epc_flow_end why;
    bool why_set;

    struct epc_far far;
    bool is_far;       /* has no socket here */
    bool told_moved, told_gone;
    struct epc_hnode socket_node; /* far: in by_socket */

    struct epc_timer timer; /* handshake, then registration, then end of the closing */
    struct epc_timer ping_timer;
    bool over_rate; /* its handshake will be refused */
    bool registered, ping_due, heard; /* heard: something came since the last ping */
    bool awaiting_pong;

    struct epc_out *queue, **queue_tail;
    size_t queued_octets;
    uint16_t close_code;
    char close_reason[124];

    char *rx; /* fragments of a message so far */
    size_t rx_n, rx_cap;
};

struct epc_wss {
    struct epc_shard *sh;
    const struct epc_cfg_wss *cfg;
    struct epc_wss_handler h;
    void *arg;
    struct lws_vhost *vhost;
    bool tls_ready;
    SSL_CTX *tls; /* the vhost's */
    struct epc_hash by_id, by_socket, sources;
    struct epc_flow *flows;
    unsigned n_flows;         /* with a socket, in any state */
    unsigned n_far;           /* without */
    uint64_t next_id;
    const struct epc_addr *accepting; /* the peer whose socket lws is taking over */
    unsigned char *scratch;   /* outgoing message with headroom */
    size_t scratch_cap;
    bool destroying;
    struct epc_timer linger;
};

/* handshake.c: 0 go on, -1 answered with an error and to be closed */
int epc_wss_check_upgrade(struct epc_flow *f);
int epc_wss_plain_http(struct epc_flow *f);

/* receive.c: lws's vocabulary: 0 go on, -1 close */
int epc_flow_receive(struct epc_flow *f, const char *p, size_t n);

/* flow.c */
int epc_flow_writable(struct epc_flow *f);
void epc_flow_abort(struct epc_flow *f, enum epc_flow_end why); /* no close frame; from any place */
void epc_flow_begin_life(struct epc_flow *f);                   /* timers of an open flow */
void epc_flow_heard(struct epc_flow *f);
/* For a callback of lws on this flow: set the close frame; the caller returns -1 to lws. */
void epc_flow_fail(struct epc_flow *f, uint16_t code, const char *reason);
void epc_flow_end_because(struct epc_flow *f, enum epc_flow_end why); /* the first reason stays */
void epc_flow_drop_buffers(struct epc_flow *f);

/* wss.c */
void epc_flow_link(struct epc_flow *f);
void epc_flow_unlink(struct epc_flow *f);
void epc_flow_open(struct epc_flow *f); /* id, table, `opened` */
void epc_wss_finish_destroy(struct epc_wss *w); /* when nothing is left of a listener that ends */

/* handover.c: the socket's end */
static inline bool epc_flow_is_away(const struct epc_flow *f)
{
    return f->far.sh && !f->is_far;
}
int epc_flow_relay(struct epc_flow *f, const char *p, size_t n); /* lws's vocabulary */
void epc_flow_tell_moved(void *flow);
/* The socket is gone. False: the other shard could not be told yet, ask again. */
bool epc_flow_tell_gone(struct epc_flow *f);
/* the far end */
enum epc_err epc_far_send(struct epc_flow *f, const void *p, size_t n) EPC_MUST_CHECK;
void epc_far_close(struct epc_flow *f, uint16_t code, const char *reason, enum epc_flow_end why);
void epc_far_shutdown(struct epc_flow *f);
bool epc_socket_eq(const struct epc_hnode *node, const void *key);

/* limits.c */
bool epc_wss_may_accept(void *wss, const struct epc_addr *peer);
enum epc_err epc_wss_count_source(struct epc_flow *f) EPC_MUST_CHECK;
void epc_wss_uncount_source(struct epc_flow *f);
void epc_wss_free_sources(struct epc_wss *w);
bool epc_wss_over_limit(const struct epc_flow *f);
bool epc_source_eq(const struct epc_hnode *node, const void *key);

/* tls.c */
enum epc_err epc_wss_check_certificate(const struct epc_cfg_wss *cfg) EPC_MUST_CHECK;
enum epc_err epc_wss_setup_tls(SSL_CTX *ctx, const struct epc_cfg_wss *cfg) EPC_MUST_CHECK;

/* utf8.c */
bool epc_utf8_valid(const char *p, size_t n);

#endif
