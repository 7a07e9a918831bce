/* The upper half of the H.248 back end: what an offer, an answer and a release mean on Iq (TS 29.334).
 *   context.c    life of contexts, the operation queue, release
 *   operation.c  the way of an operation
 *   plan.c       an operation -> what each stream of both terminations shall be
 *   request.c    the difference to what the gateway has -> commands
 *   reply.c      what a reply says -> what the gateway has
 *   refusal.c    error codes -> SIP causes
 *   local.c      descriptions in Local and Remote
 *   events.c     what is asked to be reported, and what is reported
 *   learn.c      asking for the WIC's address
 *   names.c      names of properties, events and signals; what a gateway refused
 *   statistics.c what a Subtract counted */
#ifndef EPC_IQ_PRIV_H
#define EPC_IQ_PRIV_H

#include "gateway/h248/h248_priv.h"

enum { IQ_TERM_LEN = 64, IQ_MAX_GATEWAYS = 64 };

/* ---- names.c ------------------------------------------------------------------------------------------ */

/** Elements whose names an operator can set (`media.h248.names`). */
enum iq_name {
    IQ_REALM,
    IQ_ADDRESS_FILTER,
    IQ_PORT_FILTER,
    IQ_POLICE,
    IQ_RATE,
    IQ_BURST,
    IQ_DSCP,
    IQ_RTCP,
    IQ_LATCH,
    IQ_LATCH_MODE,
    IQ_CAUSE,
    IQ_CAUSE_TEXT,
    IQ_HEARTBEAT,
    IQ_HEARTBEAT_TIME,
    IQ_INACTIVITY,
    IQ_INACTIVITY_TIME,
    IQ_INACTIVITY_DIR,
    IQ_ICE_CHECK,
    IQ_ICE_RESULT,
    IQ_ICE_RESULT_VALUE,
    IQ_ICE_RESULT_GOOD,
    IQ_NEW_PEER,
    IQ_NEW_PEER_ADDRESS,
    IQ_NEW_PEER_PORT,
    IQ_STUN_SERVER,
    IQ_CONSENT,
    IQ_DTLS_FAILURE_TEXT,
    IQ_ICE_FAILURE_TEXT,
    IQ_CONSENT_FAILURE_TEXT,
    IQ_NAMES
};

struct iq_gw;
struct iq_ctx;

/** The name of an element as configured; "" = not used. */
const char *iq_name(const struct iq_gw *gw, enum iq_name n);
/** May the element be used with gateway @p mg (0: whichever takes the context)? It has a name, its package
 *  is one of the profile's mandatory ones or the audit showed it, and it has not been refused there. */
bool iq_may_use(const struct iq_gw *gw, unsigned mg, enum iq_name n);
/** A command was refused with @p code and @p text: remember which elements not to use there.
 *  @param used bits of enum iq_name that the command had
 *  @return false: nothing that could be left out */
bool iq_refused(struct iq_gw *gw, unsigned mg, unsigned code, struct epc_str text, uint64_t used);

/* ---- what a gateway has, or shall have ---------------------------------------------------------------- */

enum iq_mode { IQ_INACTIVE, IQ_RECVONLY, IQ_SENDONLY, IQ_SENDRECV };

/** One stream of one termination. */
struct iq_stream {
    bool on;
    bool leaving;       /* off in an offer that is not answered yet: kept until it is */
    bool refused;       /* in the last answer: kept for a while, since another one may take it (forks) */
    enum iq_mode mode;
    bool filter;        /* only from the remote address and port */
    uint32_t rate;      /* policed to so many octets a second; 0 = not */
    uint32_t dscp;      /* 0 = not marked */
    bool rtcp;          /* a port of its own for RTCP */
    unsigned ask;       /* enum iq_ask: what the gateway shall choose (anew) */
    bool several;       /* formats are alternatives: all of them are to be reserved */
    bool ip6;
    bool to_access, to_core; /* what offer and answer let pass */
    bool check_due;     /* of a full agent: the WIC's credentials are new, and no check has been ordered */
    uint64_t ice_key, dtls_key; /* of the WIC's credentials: tell when it starts anew; 0 = none */
    char *wish;         /* Local with `$` throughout: tells whether Local has to be sent again */
    char *offered;      /* `wish` of the last offer to this side */
    char *local;        /* Local as it is sent */
    bool send_local;
    char *remote;       /* Remote as it is sent; NULL: not known yet */
    struct epc_sdp *got; /* Local as the gateway filled it in, one m-line; NULL: not told yet */
    struct epc_sdp *before; /* what `got` was before the last offer: for its rejection */
};

struct iq_leg {
    char name[IQ_TERM_LEN]; /* termination; "" = there is none */
    struct iq_stream *stream;
};

/** Does it carry media, as far as offer and answer say? */
static inline bool iq_runs(const struct iq_stream *s)
{
    return s->on && !s->leaving && !s->refused;
}
void iq_streams_free(struct iq_stream *s, size_t n); /**< NULL-safe */

/* ---- local.c -------------------------------------------------------------------------------------------- */

enum iq_ask { IQ_ASK_PORT = 1, IQ_ASK_ICE = 2, IQ_ASK_DTLS = 4, IQ_ASK_ALL = 7 };

struct iq_local {
    enum epc_gw_side side;
    const struct epc_sdp_media *media; /* kind, proto, codecs */
    const struct epc_sdp_media *only;  /* NULL, or: of those only the formats that this one has */
    const struct epc_sdp_media *got;   /* what the gateway has chosen; NULL: nothing yet */
    unsigned ask;
    enum epc_sdp_setup setup;
    bool ip6;
};
/** A Local descriptor's text. */
void iq_local_text(struct epc_buf *b, const struct iq_local *l);
/** A Remote descriptor's text: what a peer says of itself. */
void iq_remote_text(struct epc_buf *b, const struct epc_sdp_media *m);
/** A Local descriptor of a reply. @param[out] out gives: one m-line with address and port.
 *  @return EPC_OK, EPC_EPROTO (not usable), EPC_ENOMEM */
enum epc_err iq_local_parse(struct epc_str text, struct epc_sdp **out) EPC_MUST_CHECK;
/** The gateway's description of a side: an m-line for each of @p like's, port 0 where the stream is off.
 *  @param lite the gateway's agent is ICE-lite whatever it says */
enum epc_err iq_describe(const struct epc_sdp *like, const struct iq_stream *stream, size_t n, bool lite,
                         struct epc_sdp **out) EPC_MUST_CHECK;
/** Can it stand in a Local or Remote descriptor as every gateway reads them? */
bool iq_text_fits(const char *text);

/* ---- contexts --------------------------------------------------------------------------------------------- */

/** IQ_TIDY: streams that no answer has taken go. */
enum iq_op_kind { IQ_OFFER, IQ_ANSWER, IQ_RESTORE, IQ_GATE, IQ_TIDY };

struct iq_op {
    struct iq_op *next;
    enum iq_op_kind kind;
    enum epc_gw_side from;                 /* of the offer, or of the answer */
    struct epc_sdp *remote, *want;         /* of the offer, or of the answer; want may be NULL */
    struct epc_sdp *answer, *answer_want;  /* IQ_RESTORE: remote and want of the answer */
    bool again;                            /* the second try, without a refused element */
    unsigned tries;                        /* of one that nobody waits for */
    epc_gw_done_fn *done;                  /* NULL: nobody waits */
    void *arg;
};

struct iq_gw {
    struct epc_gw base;
    struct epc_shard *sh;
    const struct epc_cfg_media *cfg;
    struct h248_client *client;
    struct iq_ctx *first;                  /* all contexts, released ones until they are gone */
    struct iq_ctx *walk;                   /* the next one of a walk through all: freed ones are stepped over */
    struct epc_hash by_id;                 /* by gateway and number there */
    uint32_t last_number;
    uint32_t again_ms;                     /* first pause before a Subtract is repeated */
    uint64_t refused[IQ_MAX_GATEWAYS];     /* bits of enum iq_name, by gateway number */
};

struct iq_ctx {
    struct epc_gw_ctx base;
    struct iq_gw *gw;
    struct iq_ctx *next, **prev;
    struct epc_hnode node;                 /* in by_id while `id` is not 0 */
    char *key;                             /* SIP Call-ID */
    bool emergency;
    int priority;
    epc_gw_event_fn *event;
    void *event_arg;

    unsigned mg;                           /* 0 = none yet */
    char mg_name[H248_MG_NAME_LEN];
    uint32_t id;                           /* at the gateway; 0 = none */
    uint32_t number;                       /* ours: RequestID of its events */

    struct iq_leg leg[2];                  /* by enum epc_gw_side: what the gateway has */
    struct iq_stream *next_stream[2];      /* what it will have, while an operation is open */
    size_t n, next_n;                      /* streams of each leg */
    uint64_t used;                         /* enum iq_name bits of the open request */
    bool unsure;                           /* an operation failed half-way: everything is sent again */

    enum epc_gw_side offerer, last_offerer; /* carried out; asked for */
    struct epc_sdp *offer, *offer_want;    /* the last offer: an answer may come again */
    enum epc_sdp_setup role[EPC_SDP_MAX_MEDIA], next_role[EPC_SDP_MAX_MEDIA]; /* in DTLS, of the gateway */
    bool answered, reoffered;
    bool to_access, to_core;               /* the gate */

    struct iq_op *queue, **queue_tail, *open;
    struct epc_cause cause;                /* of an operation that failed before anything was sent, or that
                                              waits for what it left behind to be removed */
    struct epc_timer later;                /* results that need no request; repeated Subtracts */
    bool busy;                             /* a request is open, or a callback of the owner runs */
    bool resting;                          /* not busy: `open` waits for its next try */
    bool released, gone;                   /* gone: the gateway does not have it any more */
    bool told_lost;
    unsigned end_tries;

    struct epc_addr learned[EPC_SDP_MAX_MEDIA];
    enum epc_gw_ice ice[EPC_SDP_MAX_MEDIA];
    struct epc_timer learn, tidy;
    unsigned learn_tries;
};

/* context.c */
/** Start what waits, if nothing is open. May free @p c. */
void iq_next(struct iq_ctx *c);
/** Streams were refused: unless another answer takes them, they go. */
void iq_tidy_later(struct iq_ctx *c);
/** Tell the owner, who may release the context in the callback: @p c lives on as long as it is busy. */
void iq_tell(struct iq_ctx *c, const struct epc_gw_event *ev);
/** The gateway lost the context: told once, nothing is subtracted. May free @p c. */
void iq_lost(struct iq_ctx *c);
/** It cannot go on, but is there to be subtracted. Told once. May free @p c. */
void iq_broken(struct iq_ctx *c);
struct iq_ctx *iq_find(const struct iq_gw *gw, unsigned mg, uint32_t context);
/** Calls @p fn for all contexts of @p mg; it may free any of them. */
void iq_each_of(struct iq_gw *gw, unsigned mg, void (*fn)(struct iq_ctx *c, void *arg), void *arg);
void iq_set_id(struct iq_ctx *c, unsigned mg, const char *mg_name, uint32_t id);

/* operation.c */
void iq_op_free(struct iq_op *op);
/** Plan and send c->open, whose result comes later. */
void iq_op_start(struct iq_ctx *c);

/* plan.c */
/** Fill next_stream from the operation and what the gateway has.
 *  @return EPC_OK, EPC_ENOMEM, EPC_EPROTO (the descriptions do not fit); on error @p cause is set */
enum epc_err iq_plan(struct iq_ctx *c, const struct iq_op *op, struct epc_cause *cause) EPC_MUST_CHECK;
void iq_plan_drop(struct iq_ctx *c);
/** The plan has been carried out. Takes the operation's descriptions. */
void iq_plan_commit(struct iq_ctx *c, struct iq_op *op);

/* read.c: messages of the codec, as far as they matter here */

/** Text of the actions of one request -> a message with one transaction. @p out gives. */
enum epc_err iq_read_actions(struct epc_str actions, struct epc_h248_message **out) EPC_MUST_CHECK;

enum iq_command { IQ_CMD_ADD, IQ_CMD_MODIFY, IQ_CMD_SUBTRACT, IQ_CMD_AUDIT, IQ_CMD_OTHER };
/** What a reply says, in its order; each may be NULL. Slices are borrowed. */
struct iq_reply_fns {
    void (*context)(void *arg, uint32_t context); /* begins an action reply; 0: none was chosen */
    void (*command)(void *arg, enum iq_command kind, struct epc_str termination);
    void (*error)(void *arg, unsigned code, struct epc_str text); /* of the action, or the last command */
    void (*local)(void *arg, size_t stream, struct epc_str text);  /* of the last command; stream from 0 on */
    void (*remote)(void *arg, size_t stream, struct epc_str text);
    void (*statistic)(void *arg, struct epc_str name, struct epc_str value);
};
void iq_read_reply(const struct epc_h248_transaction *t, const struct iq_reply_fns *fns, void *arg);

enum { IQ_MAX_PARAMS = 16 };
struct iq_observed {
    struct epc_str name;
    size_t stream; /* from 1 on; 0: not told */
    struct {
        struct epc_str name, value;
    } param[IQ_MAX_PARAMS];
    size_t n_params;
};
struct epc_str iq_read_termination(const struct epc_h248_command *cmd);
/** The observed events of a Notify, and their RequestID (0: none). */
void iq_read_observed(const struct epc_h248_command *cmd, void (*fn)(void *arg, const struct iq_observed *ev),
                      void *arg);
uint32_t iq_read_request_id(const struct epc_h248_command *cmd);
/** @return method is Forced or Graceful, with the reason's number in @p reason */
enum iq_service { IQ_SERVICE_FORCED, IQ_SERVICE_GRACEFUL, IQ_SERVICE_OTHER };
enum iq_service iq_read_service_change(const struct epc_h248_command *cmd, unsigned *reason);

/* request.c */
/** The commands that make the gateway's state the planned one.
 *  @param[out] out gives; NULL with EPC_OK: nothing has changed */
enum epc_err iq_request(struct iq_ctx *c, struct epc_h248_message **out) EPC_MUST_CHECK;
/** Subtract of both terminations with statistics, or of whatever the context holds. */
enum epc_err iq_subtract(const struct iq_ctx *c, bool wildcard, struct epc_h248_message **out) EPC_MUST_CHECK;
/** What are the access termination's descriptions? */
enum epc_err iq_audit(const struct iq_ctx *c, struct epc_h248_message **out) EPC_MUST_CHECK;

/* reply.c */
enum iq_verdict {
    IQ_DONE,     /* carried out; next_stream has what the gateway chose */
    IQ_AGAIN,    /* an optional element was refused: leave it out and try again */
    IQ_REFUSED,  /* see the cause */
    IQ_VANISHED, /* the gateway does not know the context */
    IQ_BROKEN,   /* it does not know one of the terminations */
};
/** @param[out] cause set unless IQ_DONE */
enum iq_verdict iq_reply(struct iq_ctx *c, enum epc_err err, const struct h248_reply *r,
                         struct epc_cause *cause);
/** A Subtract's reply: is the context gone? Reports statistics. */
bool iq_subtracted(struct iq_ctx *c, enum epc_err err, const struct h248_reply *r);
/** An audit's reply: where the WIC is. */
void iq_audited(struct iq_ctx *c, enum epc_err err, const struct h248_reply *r);
/** H.248.8 -> SIP. */
void iq_cause_of_code(unsigned code, struct epc_cause *cause);

/* events.c */
unsigned iq_on_notify(void *arg, unsigned mg, uint32_t context, const struct epc_h248_command *cmd);
void iq_on_service_change(void *arg, unsigned mg, uint32_t context, const struct epc_h248_command *cmd);
/** The access side sees the WIC at @p addr; told when it is news. */
void iq_learned(struct iq_ctx *c, size_t stream, const struct epc_addr *addr);

/* statistics.c */
void iq_statistic(struct gw_statistics *st, enum epc_gw_side side, struct epc_str name, struct epc_str value);

/* learn.c */
void iq_learn_start(struct iq_ctx *c);

/** A gateway's text as it may stand in a log line. */
struct iq_text {
    char text[64];
};
struct iq_text iq_printable(struct epc_str s);

/* view.c */
void iq_view(const struct epc_gw_ctx *base, struct epc_gw_view *out);

#endif
