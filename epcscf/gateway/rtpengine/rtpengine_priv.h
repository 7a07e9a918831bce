/* Inside the rtpengine back end: a context is one call at rtpengine; operations run one at a time.
 *   context.c    life of contexts, the operation queue
 *   operation.c  an operation as NG command, its reply as description
 *   view.c       what is known of a context
 *   orphans.c    calls that an earlier run of this node left at rtpengine
 *   poll.c       events: rtpengine sends none, so they are made of what `query` shows */
#ifndef EPC_RTPENGINE_PRIV_H
#define EPC_RTPENGINE_PRIV_H

#include "gateway/gateway_priv.h"
#include "gateway/rtpengine/ng.h"

struct rtp_orphans;

struct rtp_gw {
    struct epc_gw base;
    struct epc_shard *sh;
    const struct epc_cfg_media *cfg;
    struct ng *ng;
    struct rtp_orphans *orphans;
    uint32_t often_ms, seldom_ms; /* between polls, before and after all endpoints are known */
    uint32_t run;          /* tells the calls of this process from those of earlier ones */
    struct rtp_ctx *first; /* all contexts, released ones until rtpengine has confirmed */
};

enum rtp_op_kind { RTP_OFFER, RTP_ANSWER };

struct rtp_op {
    struct rtp_op *next;
    struct rtp_ctx *c;
    enum rtp_op_kind kind;
    enum epc_gw_side from;
    char *sdp;
    size_t n_media;
    epc_gw_done_fn *done; /* NULL: nobody waits (restore) */
    void *arg;
};

struct rtp_ctx {
    struct epc_gw_ctx base;
    struct rtp_gw *gw;
    struct rtp_ctx *next, **prev;
    struct ng_instance *at;
    char *key;             /* SIP Call-ID, for the trace */
    char call_id[64];      /* at rtpengine */
    char tag[2][24];       /* of each side, by enum epc_gw_side; ours, not the dialog's */
    enum epc_gw_side offerer;
    struct rtp_op *queue, **queue_tail;
    struct rtp_op *open;   /* whose request is open, or that is being told about */
    struct epc_timer failed;
    bool busy;             /* a request is open, or a callback of the owner runs */
    bool deleting;
    bool exists;           /* rtpengine may know the call */
    bool released, polling;
    unsigned polls;
    struct epc_timer poll;
    struct epc_addr seen[EPC_SDP_MAX_MEDIA]; /* the access side's remote endpoint last told */
    struct epc_addr local[2][EPC_SDP_MAX_MEDIA]; /* rtpengine's own, by enum epc_gw_side; len 0 = off */
    uint32_t srtp_profile[EPC_SDP_MAX_MEDIA];
    size_t n_streams;
    bool answered;
    epc_gw_event_fn *event;
    void *event_arg;
};

/* context.c */
void rtp_next(struct rtp_ctx *c); /**< start what waits, if nothing is open */
void rtp_op_free(struct rtp_op *op);

/* operation.c */
/** The description as text for rtpengine. */
enum epc_err rtp_print(const struct epc_sdp *s, struct epc_buf *out) EPC_MUST_CHECK;
/** @return the NG command (gives) or NULL when out of memory */
json_t *rtp_command(const struct rtp_ctx *c, const struct rtp_op *op);
/** Reply of an offer or answer to the gateway's own description. */
enum epc_err rtp_local(const json_t *reply, size_t n_media, struct epc_sdp **local, struct epc_cause *cause);
bool rtp_unknown_call(const json_t *reply);

/* view.c */
/** rtpengine's own description for @p side has come. */
void rtp_note_local(struct rtp_ctx *c, enum epc_gw_side side, const struct epc_sdp *local);
/** A media of a `query`: which SRTP protection DTLS has chosen. */
void rtp_note_srtp(struct rtp_ctx *c, size_t stream, const json_t *media);
void rtp_view(const struct epc_gw_ctx *base, struct epc_gw_view *out);

/* orphans.c */
void rtp_orphans_start(struct rtp_gw *gw); /**< once a process: on one shard */
void rtp_orphans_stop(struct rtp_gw *gw);  /**< after ng_destroy() */
/** "epcscf-NODE-", and with @p run "epcscf-NODE-RUN-": how call-ids begin. */
void rtp_call_prefix(const struct rtp_gw *gw, bool run, char out[32]);

/* poll.c */
void rtp_poll_start(struct rtp_ctx *c);

#endif
