/* Private to epcscf_rx.fdx.
 *
 * Two objects. A *handle* (struct epc_policy_session) is what session/ holds: it queues requests,
 * one outstanding at a time, and may be closed at any moment. An *association* is a Rx session on
 * the wire: it has a Session-Id, its state machine (rx_session.c) is RFC 6733's client, and it
 * outlives its handle until the PCRF holds nothing of it any more. A handle may use several
 * associations one after the other (after 5002, or after an initial AAR that timed out).
 *
 * Threads. Both belong to one shard. freeDiameter's callbacks only wrap what they got into a struct
 * rx_tx and post it to that shard; what goes out passes through one sender thread (rx_send.c). */
#ifndef EPC_RX_PRIV_H
#define EPC_RX_PRIV_H

#include "rx.h"

#include <freeDiameter/freeDiameter-host.h>
#include <freeDiameter/libfdcore.h>
#include <freeDiameter/libfdproto.h>

#define RX_APP_ID 16777236u
#define RX_VENDOR 10415u
#define RX_MAX_SHARDS 256
enum { RX_CC_RA = 258, RX_CC_AA = 265, RX_CC_AS = 274, RX_CC_ST = 275 };

/* ---- dictionary (rx_avp.c) ------------------------------------------------------------------- */

/* RX_AVP(name in code, name in the dictionary, vendor, M bit): every AVP that we send or read. */
#define RX_AVPS                                                                                    \
    RX_AVP(SESSION_ID, "Session-Id", 0, true)                                                      \
    RX_AVP(AUTH_APPLICATION_ID, "Auth-Application-Id", 0, true)                                    \
    RX_AVP(ORIGIN_HOST, "Origin-Host", 0, true)                                                    \
    RX_AVP(ORIGIN_REALM, "Origin-Realm", 0, true)                                                  \
    RX_AVP(DESTINATION_REALM, "Destination-Realm", 0, true)                                        \
    RX_AVP(DESTINATION_HOST, "Destination-Host", 0, true)                                          \
    RX_AVP(ORIGIN_STATE_ID, "Origin-State-Id", 0, true)                                            \
    RX_AVP(REDIRECT_HOST, "Redirect-Host", 0, true)                                                \
    RX_AVP(REDIRECT_HOST_USAGE, "Redirect-Host-Usage", 0, true)                                    \
    RX_AVP(REDIRECT_MAX_CACHE_TIME, "Redirect-Max-Cache-Time", 0, true)                            \
    RX_AVP(RESULT_CODE, "Result-Code", 0, true)                                                    \
    RX_AVP(EXPERIMENTAL_RESULT, "Experimental-Result", 0, true)                                    \
    RX_AVP(EXPERIMENTAL_RESULT_CODE, "Experimental-Result-Code", 0, true)                          \
    RX_AVP(VENDOR_ID, "Vendor-Id", 0, true)                                                        \
    RX_AVP(TERMINATION_CAUSE, "Termination-Cause", 0, true)                                        \
    RX_AVP(CLASS, "Class", 0, true)                                                                \
    RX_AVP(FRAMED_IP_ADDRESS, "Framed-IP-Address", 0, true)                                        \
    RX_AVP(FRAMED_IPV6_PREFIX, "Framed-IPv6-Prefix", 0, true)                                      \
    RX_AVP(SUBSCRIPTION_ID, "Subscription-Id", 0, true)                                            \
    RX_AVP(SUBSCRIPTION_ID_TYPE, "Subscription-Id-Type", 0, true)                                  \
    RX_AVP(SUBSCRIPTION_ID_DATA, "Subscription-Id-Data", 0, true)                                  \
    RX_AVP(SUPPORTED_FEATURES, "Supported-Features", RX_VENDOR, false)                             \
    RX_AVP(FEATURE_LIST_ID, "Feature-List-ID", RX_VENDOR, false)                                   \
    RX_AVP(FEATURE_LIST, "Feature-List", RX_VENDOR, false)                                         \
    RX_AVP(AF_APPLICATION_IDENTIFIER, "AF-Application-Identifier", RX_VENDOR, true)                \
    RX_AVP(AF_CHARGING_IDENTIFIER, "AF-Charging-Identifier", RX_VENDOR, true)                      \
    RX_AVP(AF_SIGNALLING_PROTOCOL, "AF-Signalling-Protocol", RX_VENDOR, false)                     \
    RX_AVP(SPECIFIC_ACTION, "Specific-Action", RX_VENDOR, true)                                    \
    RX_AVP(RX_REQUEST_TYPE, "Rx-Request-Type", RX_VENDOR, false)                                   \
    RX_AVP(SERVICE_INFO_STATUS, "Service-Info-Status", RX_VENDOR, true)                            \
    RX_AVP(MEDIA_COMPONENT_DESCRIPTION, "Media-Component-Description", RX_VENDOR, true)            \
    RX_AVP(MEDIA_COMPONENT_NUMBER, "Media-Component-Number", RX_VENDOR, true)                      \
    RX_AVP(MEDIA_COMPONENT_STATUS, "Media-Component-Status", RX_VENDOR, false)                     \
    RX_AVP(MEDIA_SUB_COMPONENT, "Media-Sub-Component", RX_VENDOR, true)                            \
    RX_AVP(MEDIA_TYPE, "Media-Type", RX_VENDOR, true)                                              \
    RX_AVP(MAX_BW_UL, "Max-Requested-Bandwidth-UL", RX_VENDOR, true)                               \
    RX_AVP(MAX_BW_DL, "Max-Requested-Bandwidth-DL", RX_VENDOR, true)                               \
    RX_AVP(RR_BANDWIDTH, "RR-Bandwidth", RX_VENDOR, true)                                          \
    RX_AVP(RS_BANDWIDTH, "RS-Bandwidth", RX_VENDOR, true)                                          \
    RX_AVP(FLOW_STATUS, "Flow-Status", RX_VENDOR, true)                                            \
    RX_AVP(FLOW_NUMBER, "Flow-Number", RX_VENDOR, true)                                            \
    RX_AVP(FLOW_USAGE, "Flow-Usage", RX_VENDOR, true)                                              \
    RX_AVP(FLOW_DESCRIPTION, "Flow-Description", RX_VENDOR, true)                                  \
    RX_AVP(FLOWS, "Flows", RX_VENDOR, true)                                                        \
    RX_AVP(CODEC_DATA, "Codec-Data", RX_VENDOR, true)                                              \
    RX_AVP(ACCEPTABLE_SERVICE_INFO, "Acceptable-Service-Info", RX_VENDOR, true)                    \
    RX_AVP(RETRY_INTERVAL, "Retry-Interval", RX_VENDOR, false)                                     \
    RX_AVP(ABORT_CAUSE, "Abort-Cause", RX_VENDOR, true)                                            \
    RX_AVP(RAT_TYPE, "RAT-Type", RX_VENDOR, false)                                                 \
    RX_AVP(IP_CAN_TYPE, "IP-CAN-Type", RX_VENDOR, true)

enum rx_avp {
#define RX_AVP(id, name, vendor, m) RX_##id,
    RX_AVPS
#undef RX_AVP
    RX_AVP_COUNT
};

/** Look up every AVP and command. @return false: dict_rx.fdx is missing (logged). */
bool rx_avp_init(void);
struct dict_object *rx_app(void);
struct dict_object *rx_command(uint32_t code); /**< the request */

/** Append to @p parent; NULL when out of memory. A failed append makes the message unusable: the
 *  caller collects failures in *ok. */
struct avp *rx_put_group(msg_or_avp *parent, enum rx_avp id, bool *ok);
void rx_put_u32(msg_or_avp *parent, enum rx_avp id, uint32_t v, bool *ok);
void rx_put_i32(msg_or_avp *parent, enum rx_avp id, int32_t v, bool *ok);
void rx_put_octets(msg_or_avp *parent, enum rx_avp id, const void *p, size_t n, bool *ok);
void rx_put_text(msg_or_avp *parent, enum rx_avp id, const char *text, bool *ok);
/** First child @p id of @p parent behind @p after (NULL: from the start); NULL when there is none. */
struct avp *rx_get(msg_or_avp *parent, enum rx_avp id, struct avp *after);
bool rx_get_u32(msg_or_avp *parent, enum rx_avp id, uint32_t *out);
bool rx_get_octets(msg_or_avp *parent, enum rx_avp id, struct epc_str *out); /**< borrowed */

/* ---- trace (rx_trace.c) ---------------------------------------------------------------------- */

/** The message as one line of text for the trace. Does nothing when tracing is off. */
void rx_trace(bool out, struct msg *m, const char *key);

/* ---- sessions (rx_session.c) ----------------------------------------------------------------- */

/** State of an association. RFC 6733 8.1 has Idle (no association), Pending, Open and Discon; the
 *  others split Pending by what the PCRF may hold and whether a handle still listens. */
enum rx_state {
    RX_PENDING,         /**< initial AAR sent */
    RX_OPEN,
    RX_UPDATING,        /**< a later AAR sent */
    RX_ORPHAN_PENDING,  /**< nobody waits for the initial AAA any more; it decides about an STR */
    RX_ORPHAN_UPDATING, /**< the same for a later AAA */
    RX_DISCON,          /**< STR sent */
    RX_ENDED,           /**< the PCRF holds nothing: to be freed */
    RX_STATE_COUNT
};
enum rx_event {
    RX_EV_GRANTED,      /**< answer 2xxx */
    RX_EV_REFUSED,      /**< any other answer that the PCRF made */
    RX_EV_UNKNOWN,      /**< 5002: the PCRF has no such session */
    RX_EV_UNDELIVERED,  /**< no peer, 3xxx, send queue full */
    RX_EV_TIMEOUT,      /**< our own timer */
    RX_EV_EXPIRED,      /**< freeDiameter gave the request up, long after our timer */
    RX_EV_UPDATE,       /**< the handle has a request */
    RX_EV_DETACH,       /**< the handle is closed */
    RX_EV_LOST,         /**< the PCRF has restarted without it */
    RX_EVENT_COUNT
};

#define RX_NAME_MAX 256 /* a DiameterIdentity and its NUL */

struct rx_shard {
    struct epc_shard *shard;
    unsigned index;
    struct epc_hash assocs; /**< by token */
};

struct rx_request {
    struct rx_request *next;
    struct epc_service_info *info; /**< owned */
    epc_policy_done_fn *done;
    void *arg;
};

struct rx_assoc {
    struct epc_hnode node;
    struct rx_shard *rs;
    uint64_t token;           /**< in the Session-Id; key of the table */
    char *session_id;
    enum rx_state state;
    struct epc_policy_session *handle; /**< NULL once closed */
    char *trace_key;
    uint32_t seq;             /**< of the outstanding request; older answers are stale */
    bool late;                /**< the outstanding request has timed out */
    bool doomed;              /**< out of the table, freed at the end of the turn */
    char *peer_host, *peer_realm; /**< who answered first: later requests go there */
    uint32_t peer_state;      /**< its Origin-State-Id when it last answered; 0 = not told */
    char via[RX_NAME_MAX];    /**< the peer through which it was reached */
    struct epc_str class_avp; /**< owned; to be echoed */
};

/** Opaque to the daemon: struct epc_policy_session of policy.h. */
struct epc_policy_session {
    struct rx_shard *rs;
    struct rx_assoc *assoc;
    char *impu, *icid, *trace_key;
    struct epc_addr ue;
    epc_policy_event_fn *on_event;
    void *arg;
    struct rx_request *queue, **queue_tail; /**< head = outstanding when `busy` */
    bool busy;
    bool rebind;              /**< `ue` has changed: the next request opens a new association */
    struct epc_timer timer;   /**< runs while busy */
    /** Could not even be queued: the timer (0 ms) reports this, so that `done` never runs inside
     *  request(). EPC_POLICY_GRANTED = nothing failed. */
    enum epc_policy_outcome send_failure;
    struct epc_service_info *current;       /**< what the PCRF was told so far, merged */
};

/** What crosses from freeDiameter's or the sender's thread to a shard, and back. */
struct rx_tx {
    struct rx_tx *next;       /**< sender's lists */
    struct rx_shard *rs;
    uint64_t token;
    uint32_t seq;
    uint32_t command;
    enum rx_event event;      /**< when there is no message */
    struct msg *msg;          /**< owned */
    bool opens;               /**< an initial AAR: from now on a PCRF may hold the session */
    bool bound;               /**< of a session that a PCRF has granted */
    char hop[RX_NAME_MAX];    /**< as rx_route() chose; "" = whichever */
};

/** The one extension of the process. freeDiameter's entry points and callbacks have no argument that
 *  could carry it, hence a global; set before any other thread runs, then only its atomics change. */
struct rx_ext {
    const struct epc_rx_host *host;
    _Atomic(struct rx_shard *) shard[RX_MAX_SHARDS];
    uint32_t start_s;             /**< high part of Session-Ids: differs at each start */
    _Atomic uint32_t next_sid;
    atomic_bool stopping;
};
extern struct rx_ext rx;

void rx_assoc_event(struct rx_assoc *a, enum rx_event ev, const struct epc_policy_result *r);
struct rx_assoc *rx_assoc_find(struct rx_shard *rs, uint64_t token);
/** Shard and token from a Session-Id of ours. @return false: not ours. */
bool rx_session_id_parse(struct epc_str sid, struct rx_shard **rs, uint64_t *token);
/** Frees every association that is left. No shard runs any more. */
void rx_session_fini(void);
void rx_client_init(struct epc_policy_client *c);
/** On the shard: what became of a request, or a request of the PCRF. Takes @p tx. */
void rx_on_tx(struct epc_shard *sh, void *tx);
/** Sends STR for every association that the PCRF may still hold. No shard runs any more. */
void rx_session_flush(void);
const char *rx_state_name(enum rx_state s);
const char *rx_event_name(enum rx_event e);
/** The table as a graph in dot's language, for the documentation. */
void rx_print_states(FILE *out);

/* ---- service information (rx_info.c) --------------------------------------------------------- */

void rx_put_components(struct msg *m, const struct epc_service_info *info, bool *ok);
void rx_put_ue(struct msg *m, const struct epc_addr *ue, bool *ok);
void rx_put_subscription(struct msg *m, const char *impu, bool *ok);
/** Lay @p delta over *current (made if NULL): components by number; removed ones go. */
enum epc_err rx_info_merge(struct epc_service_info **current,
                           const struct epc_service_info *delta) EPC_MUST_CHECK;
void rx_read_acceptable(struct msg *m, struct epc_policy_result *r);

/* ---- AAR and STR (rx_aar.c) ------------------------------------------------------------------ */

/** Build and queue. @return EPC_OK (an event will follow), EPC_ENOMEM, EPC_ELIMIT (queue full) */
enum epc_err rx_send_aar(struct rx_assoc *a, const struct epc_service_info *info,
                         bool initial) EPC_MUST_CHECK;
enum epc_err rx_send_str(struct rx_assoc *a) EPC_MUST_CHECK;
/** Read an AAA or STA. @return the event that it is; @p r gets the details. */
enum rx_event rx_read_answer(struct msg *m, struct epc_policy_result *r);
/** Keep what later requests must carry: peer, Class. */
void rx_learn_peer(struct rx_assoc *a, struct msg *m);

/* ---- peers (rx_peer.c) ------------------------------------------------------------------------ */

/** Where a request goes. */
struct rx_route {
    char realm[RX_NAME_MAX]; /**< Destination-Realm */
    char host[RX_NAME_MAX];  /**< Destination-Host; "" = none */
    char hop[RX_NAME_MAX];   /**< the peer to hand it to; "" = whichever */
    const char *profile;     /**< name of the profile of who will read it; NULL = policy.profile */
};
/** Choose for the next request of @p a: the PCRF that it is bound to, else the best peer. The sender
 *  may still choose another peer of the same profile when this one fails. Any thread; never waits. */
void rx_route(const struct rx_assoc *a, struct rx_route *out);
/** On the shard, for each answer and each request of a PCRF that belongs to @p a (Origin-State-Id,
 *  and whether the PCRF holds the session). Retries are the sender's: an answer that reaches the
 *  shard is final. */
void rx_peer_answered(struct rx_assoc *a, const struct rx_tx *tx);
/** On the shard: @p host has restarted; sessions that it granted before are gone. */
void rx_peer_lost(struct rx_shard *rs, const char *host, uint32_t state);

/* ---- journal (rx_journal.c, rx_send.c) --------------------------------------------------------- */

/** The association is gone: what a PCRF may still hold of it is closed in the background. The sender
 *  itself notes the opening, before the initial AAR leaves. Any thread; never waits. */
void rx_journal_closed(const struct rx_assoc *a);

/* ---- RAR and ASR (rx_push.c) ----------------------------------------------------------------- */

bool rx_push_init(void);
/** On the shard: answer a RAR or ASR and tell the handle. Takes tx->msg. */
void rx_push(struct rx_tx *tx);

/* ---- sender (rx_send.c) ---------------------------------------------------------------------- */

#define RX_SEND_QUEUE_MAX 4096
enum epc_err rx_sender_start(void) EPC_MUST_CHECK;
/** Sends what is queued, then ends. */
void rx_sender_stop(void);
/** Queue a request (an event for its association follows, exactly one) or an answer. Takes @p tx
 *  when EPC_OK is returned. Any thread. @return EPC_OK, EPC_ELIMIT */
enum epc_err rx_send(struct rx_tx *tx) EPC_MUST_CHECK;
/** Give @p tx to its shard; takes it. When the mailbox is full the sender tries again later, so
 *  that an association always hears the end of its request. Any thread. */
void rx_deliver(struct rx_tx *tx);
void rx_tx_free(struct rx_tx *tx);
/** Requests sent and not yet answered or given up. Any thread. */
unsigned rx_outstanding(void);
/** Peers in state OPEN that serve Rx or relay. Any thread but a shard's (takes a lock). */
unsigned rx_open_peers(void);

#endif
