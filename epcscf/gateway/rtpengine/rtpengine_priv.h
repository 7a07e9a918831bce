/* Inside the rtpengine back end: a context is one call at an rtpengine; operations run one at a time.
 *   context.c    life of contexts, the operation queue
 *   operation.c  an operation as NG command, its reply as description
 *   codec.c      what is to be transcoded
 *   gate.c       which way media pass
 *   view.c       what is known of a context
 *   poll.c       events: rtpengine sends none, so they are made of what `query` shows
 *   instance.c   the rtpengines: what each can do, who gets a new call, what happens when one falls silent
 *   orphans.c    calls at an rtpengine that nobody owns any more
 *   door.c       the back end's face: creation, facts for people
 * NG has nothing for emergency calls and priorities: an emergency call is offered to every rtpengine, also to
 * those that said lately that they are full. */
#ifndef EPC_RTPENGINE_PRIV_H
#define EPC_RTPENGINE_PRIV_H

#include "gateway/gateway_priv.h"
#include "gateway/rtpengine/ng.h"

struct rtp_orphans;
struct rtp_ctx;
struct rtp_owed;

/* What this shard knows of one rtpengine. */
struct rtp_instance {
    struct rtp_gw *gw;
    struct ng_instance *ng;
    size_t contexts;               /* held there by this shard */
    uint64_t full_until_ms;        /* it turned a call away */
    /* from `statistics` */
    bool told;
    uint64_t uptime_s, sessions;
    /* from a description that it was asked to make, and that was thrown away */
    bool probed;
    uint32_t codecs;               /* bit n: media.audio_codecs[n] can be made of others */
    bool tls_id;                   /* it knows a=tls-id (RFC 8842), and the flag against it */
    struct epc_timer ask, silent, walk;
    struct rtp_ctx *cursor;        /* walk: the next context to look at */
    bool lost;                     /* walk: its calls are lost, else they are asked for */
    struct rtp_owed *owed, **owed_tail; /* calls whose deletion it has not confirmed */
    size_t n_owed;
    bool paying;
};

struct rtp_gw {
    struct epc_gw base;
    struct epc_shard *sh;
    const struct epc_cfg_media *cfg;
    struct ng *ng;
    struct rtp_instance *instance;
    size_t n_instances;
    struct rtp_orphans *orphans;
    uint32_t often_ms, seldom_ms; /* between polls, before and after all streams have settled */
    uint32_t ask_ms;       /* between questions for the statistics of an rtpengine */
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
    json_t *codec;       /* NG's "codec"; NULL: nothing is transcoded */
    struct epc_sdp *want;/* NULL: as `sdp` */
    size_t n_media;
    epc_gw_done_fn *done; /* NULL: nobody waits (restore) */
    void *arg;
};

struct rtp_stream {
    struct epc_addr local[2];  /* rtpengine's own, by enum epc_gw_side; len 0 = off */
    struct epc_addr seen;      /* the access side's remote endpoint last told */
    uint32_t srtp_profile;
    uint64_t waits_since_ms;   /* for ICE, then for DTLS */
    bool connected, secured;
};

enum rtp_gate_scope { RTP_GATE_ACCESS = EPC_GW_ACCESS, RTP_GATE_CORE = EPC_GW_CORE, RTP_GATE_CALL, RTP_GATE_SCOPES };

struct rtp_ctx {
    struct epc_gw_ctx base;
    struct rtp_gw *gw;
    struct rtp_ctx *next, **prev;
    struct rtp_instance *at;
    uint64_t tried;        /* bit n: instance n has had its chance */
    char *key;             /* SIP Call-ID, for the trace */
    char call_id[64];      /* at rtpengine */
    char tag[2][24];       /* of each side, by enum epc_gw_side; ours, not the dialog's */
    bool emergency;
    enum epc_gw_side offerer;
    json_t *offered_codec, *codec[2]; /* NG's "codec" of the last offer, and of the last one answered by its side */
    struct rtp_op *queue, **queue_tail;
    struct rtp_op *open;   /* whose request is open, or that is being told about */
    struct epc_timer failed;
    bool busy;             /* a request is open, or a callback of the owner runs */
    bool deleting;
    bool exists;           /* rtpengine may know the call */
    bool settled;          /* an operation has succeeded: the call stays where it is */
    bool answered;         /* both sides have a tag at rtpengine */
    bool released, polling, lost_told;
    bool whole_call;       /* deletion: without a tag, then no statistics */
    bool closed_from[2];   /* the gate: media that come from this side must not pass */
    unsigned blocked[2];   /* what rtpengine was told, media and DTMF: bits by enum rtp_gate_scope */
    unsigned polls;
    struct epc_timer poll;
    uint64_t created_ms, answered_ms;
    uint64_t packets, moved_ms; /* from both sides; when the number last changed */
    struct rtp_stream stream[EPC_SDP_MAX_MEDIA];
    size_t n_streams;
    epc_gw_event_fn *event;
    void *event_arg;
};

/* context.c */
extern const struct epc_gw_ops epc_gw_rtpengine_ops;
struct rtp_ctx *rtp_ctx_of(struct epc_gw_ctx *c);
enum epc_err rtp_ctx_create(struct epc_gw_ctx **out, struct epc_gw *g, const struct epc_gw_ctx_opts *o) EPC_MUST_CHECK;
void rtp_offer(struct epc_gw_ctx *base, enum epc_gw_side from, const struct epc_gw_media *m, epc_gw_done_fn *done,
               void *arg);
void rtp_answer(struct epc_gw_ctx *base, const struct epc_gw_media *m, epc_gw_done_fn *done, void *arg);
void rtp_restore(struct epc_gw_ctx *base, enum epc_gw_side offerer, const struct epc_gw_media *offer,
                 const struct epc_gw_media *answer);
void rtp_release(struct epc_gw_ctx *base);
void rtp_next(struct rtp_ctx *c); /**< start what waits, if nothing is open */
void rtp_ctx_free(struct rtp_ctx *c);
bool rtp_send_delete(struct rtp_ctx *c, ng_done_fn *done);
enum epc_gw_side rtp_other(enum epc_gw_side side);

/* operation.c */
/** The description as text for rtpengine; @p from its sender. */
enum epc_err rtp_print(const struct epc_sdp *s, enum epc_gw_side from, struct epc_buf *out) EPC_MUST_CHECK;
/** @return the NG command (gives) or NULL when out of memory */
json_t *rtp_command(const struct rtp_ctx *c, const struct rtp_op *op);
/** Reply of an offer or answer to the gateway's own description. */
enum epc_err rtp_local(const json_t *reply, size_t n_media, struct epc_sdp **local, struct epc_cause *cause);
bool rtp_unknown_call(const json_t *reply);
bool rtp_is_ok(const json_t *reply);
/** The port that stands for "not known" in what rtpengine is told of the WIC: until its checks have come. */
enum { RTP_NO_PORT = 9 };

/* codec.c */
/** NG's "codec" for an offer. @param[out] out gives; NULL: nothing is to be transcoded. */
enum epc_err rtp_transcoding(const struct rtp_instance *at, const struct epc_gw_media *m, json_t **out) EPC_MUST_CHECK;
/** Log where @p local lacks a codec that was wanted. */
void rtp_compare(const struct rtp_ctx *c, const struct epc_sdp *want, const struct epc_sdp *local);

/* gate.c */
void rtp_gate(struct epc_gw_ctx *base, bool to_access, bool to_core);
/** Tell rtpengine the next thing about the gate. @return whether a request is under way now */
bool rtp_gate_step(struct rtp_ctx *c);

/* view.c */
/** rtpengine's own description for @p side has come. */
void rtp_note_local(struct rtp_ctx *c, enum epc_gw_side side, const struct epc_sdp *local);
/** A media of a `query`: which SRTP protection DTLS has chosen; 0: none yet. */
uint32_t rtp_srtp_profile(const json_t *media);
void rtp_view(const struct epc_gw_ctx *base, struct epc_gw_view *out);
/** What the reply of a `delete` counted, into the log and the counters. */
void rtp_statistics(const struct rtp_ctx *c, const json_t *reply);

/* instance.c */
enum epc_err rtp_instances_create(struct rtp_gw *gw) EPC_MUST_CHECK; /**< after ng_create() */
void rtp_instances_free(struct rtp_gw *gw);                          /**< after ng_destroy() */
void rtp_instance_changed(void *gw, size_t i, bool answers);         /**< for ng_create() */
/** Who gets a call: the least busy of those that answer and are not full; then any that answers; then any.
 *  @param tried bits of those that have had their chance. @return NULL: none is left */
struct rtp_instance *rtp_choose(struct rtp_gw *gw, const char *key, uint64_t tried, bool any);
size_t rtp_instance_index(const struct rtp_instance *i);
void rtp_turned_away(struct rtp_instance *i); /**< it said that it is full */
void rtp_owe(struct rtp_instance *i, const char *call_id); /**< to be deleted there once it answers */
void rtp_walk_forget(struct rtp_ctx *c);      /**< @p c is about to be freed */

/* orphans.c */
void rtp_orphans_start(struct rtp_gw *gw); /**< once a process: on one shard */
void rtp_orphans_stop(struct rtp_gw *gw);  /**< after ng_destroy() */
/** "epcscf-NODE-", and with @p run "epcscf-NODE-RUN-": how call-ids begin. */
void rtp_call_prefix(const struct rtp_gw *gw, bool run, char out[32]);

/* poll.c */
void rtp_poll_start(struct rtp_ctx *c);
void rtp_poll_now(struct rtp_ctx *c);
void rtp_tell_lost(struct rtp_ctx *c, const char *why);

#endif
