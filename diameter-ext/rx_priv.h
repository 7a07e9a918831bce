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
#define RX_VENDOR_ETSI 13019u
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
    RX_AVP(FAILED_AVP, "Failed-AVP", 0, true)                                                      \
    RX_AVP(ERROR_MESSAGE, "Error-Message", 0, false)                                               \
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
    RX_AVP(SERVICE_AUTHORIZATION_INFO, "Service-Authorization-Info", RX_VENDOR, false)             \
    RX_AVP(SIP_FORKING_INDICATION, "SIP-Forking-Indication", RX_VENDOR, true)                      \
    RX_AVP(SERVICE_URN, "Service-URN", RX_VENDOR, true)                                            \
    RX_AVP(MPS_IDENTIFIER, "MPS-Identifier", RX_VENDOR, false)                                     \
    RX_AVP(RESERVATION_PRIORITY, "Reservation-Priority", RX_VENDOR_ETSI, false)                    \
    RX_AVP(CALLEE_INFORMATION, "Callee-Information", RX_VENDOR, false)                             \
    RX_AVP(CALLED_PARTY_ADDRESS, "Called-Party-Address", RX_VENDOR, false)                         \
    RX_AVP(CALLING_PARTY_ADDRESS, "Calling-Party-Address", RX_VENDOR, false)                       \
    RX_AVP(REQUIRED_ACCESS_INFO, "Required-Access-Info", RX_VENDOR, false)                         \
    RX_AVP(IP_DOMAIN_ID, "IP-Domain-Id", RX_VENDOR, false)                                         \
    RX_AVP(CALLED_STATION_ID, "Called-Station-Id", 0, true)                                        \
    RX_AVP(EXT_MAX_BW_UL, "Extended-Max-Requested-BW-UL", RX_VENDOR, false)                        \
    RX_AVP(EXT_MAX_BW_DL, "Extended-Max-Requested-BW-DL", RX_VENDOR, false)                        \
    RX_AVP(CHARGING_ADDRESS, "Access-Network-Charging-Address", RX_VENDOR, true)                   \
    RX_AVP(CHARGING_IDENTIFIER, "Access-Network-Charging-Identifier", RX_VENDOR, true)             \
    RX_AVP(CHARGING_IDENTIFIER_VALUE, "Access-Network-Charging-Identifier-Value", RX_VENDOR, true) \
    RX_AVP(USER_LOCATION_INFO, "3GPP-User-Location-Info", RX_VENDOR, false)                        \
    RX_AVP(MS_TIMEZONE, "3GPP-MS-TimeZone", RX_VENDOR, false)                                      \
    RX_AVP(SGSN_MCC_MNC, "3GPP-SGSN-MCC-MNC", RX_VENDOR, false)                                    \
    RX_AVP(TWAN_IDENTIFIER, "TWAN-Identifier", RX_VENDOR, false)                                   \
    RX_AVP(NETLOC_ACCESS_SUPPORT, "NetLoc-Access-Support", RX_VENDOR, false)                       \
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
/** Name of @p a in the dictionary, else "AVP vendor/code"; returns @p out. */
const char *rx_avp_label(struct avp *a, char *out, size_t n);
/** Like rx_put_*, for an AVP outside the table; @p model NULL: nothing happens. @p v NULL: a group. */
struct avp *rx_put_model(msg_or_avp *parent, struct dict_object *model, bool mandatory,
                         union avp_value *v, bool *ok);

/* ---- trace (rx_trace.c) ---------------------------------------------------------------------- */

/** The message as one line of text for the trace. Does nothing when tracing is off. */
void rx_trace(bool out, struct msg *m, const char *key);
/** Its pieces: "AAR"; an AVP's name, or "AVP-vendor/code"; a value on one line. */
const char *rx_command_name(uint32_t code, bool request);
void rx_avp_name(struct epc_buf *b, const struct avp_hdr *h, const struct dict_avp_data *data);
void rx_avp_value(struct epc_buf *b, struct avp *a, struct dict_object *model, enum dict_avp_basetype base);

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
    RX_EV_DUPLICATE,    /**< 5064: the PCRF has another session for this service */
    RX_EV_UNCLEAR,      /**< an answer that says neither yes nor no: the PCRF may hold a session */
    RX_EV_UNDELIVERED,  /**< no peer, 3xxx, send queue full */
    RX_EV_TIMEOUT,      /**< our own timer */
    RX_EV_EXPIRED,      /**< freeDiameter gave the request up, some time after our timer */
    RX_EV_UPDATE,       /**< the handle has a request */
    RX_EV_DETACH,       /**< the handle is closed, or wants another association */
    RX_EV_DISPLACED,    /**< another association of ours met it as a duplicate */
    RX_EV_ELSEWHERE,    /**< another PCRF must be asked, in another form */
    RX_EV_LOST,         /**< the PCRF has restarted without its sessions */
    RX_EVENT_COUNT
};

#define RX_NAME_MAX 256 /* a DiameterIdentity and its NUL */

/** Service information that a PCRF does not want to see again before a time (Retry-Interval). */
struct rx_intervals;

struct rx_shard {
    struct epc_shard *shard;
    unsigned index;
    struct epc_hash assocs; /**< by token */
    struct epc_hash orphans; /**< associations in the Orphan states, by the UE's address */
    struct rx_intervals *intervals;   /**< NULL until the first Retry-Interval */
    struct rx_history *history;       /**< NULL until the first session, or when it is off */
};

struct rx_request {
    struct rx_request *next;
    struct epc_service_info *info; /**< owned; what differs from the request before */
    epc_policy_done_fn *done;
    void *arg;
};

enum { RX_MAX_CLASS = 4 };

struct rx_assoc {
    struct epc_hnode node, ue_node;
    struct rx_shard *rs;
    uint64_t token;           /**< in the Session-Id; key of the table */
    char *session_id;
    enum rx_state state;
    struct epc_policy_session *handle; /**< NULL once closed */
    char *trace_key;
    struct epc_addr ue;
    uint32_t seq;             /**< of the outstanding request; older answers are stale */
    bool late;                /**< the outstanding request has timed out */
    bool orphan;              /**< in rs->orphans */
    bool doomed;              /**< out of the table, freed at the end of the turn */
    bool aborted;             /**< an ASR was heard */
    char *peer_host, *peer_realm; /**< who answered first: later requests go there */
    uint32_t peer_state;      /**< its Origin-State-Id when it last answered; 0 = not told */
    char via[RX_NAME_MAX];    /**< the peer through which it was reached */
    struct epc_str class_avp[RX_MAX_CLASS]; /**< owned; to be echoed */
    size_t n_class;
    const struct rx_profile *profile; /**< of who reads the next request */
    uint32_t features[2];     /**< lists 1 and 2 that both sides support; what is not listed is not used */
    bool answered;            /**< a PCRF has granted something */
    bool webrtc_agreed;       /**< the PCRF lists our feature WebRTC-Info */
    bool webrtc;              /**< the message in the making carries vendor AVPs */
    bool told_webrtc;         /**< so did what `told` holds */
    bool want_access_info;
    /** Shaped for its PCRF: what it was told and granted, and what the outstanding AAR tells. */
    struct epc_service_info *told, *telling;
    bool unsure;              /**< an AAR got no answer: `told` may or may not hold, all is told again */
    struct rx_record *record; /**< what is remembered of it; NULL = nothing */
};

/** Opaque to the daemon: struct epc_policy_session of policy.h. */
struct epc_policy_session {
    struct rx_shard *rs;
    struct rx_assoc *assoc;
    char *impu, *impi, *icid, *icsi, *service_urn, *called, *calling, *mps, *trace_key;
    int reservation_priority; /**< -1 = not sent */
    bool signalling, want_access_info;
    struct epc_addr ue;
    epc_policy_event_fn *on_event;
    void *arg;
    struct rx_request *queue, **queue_tail; /**< the first n_asked are outstanding */
    size_t n_queued, n_asked;
    bool closed;
    bool rebind;              /**< `ue` has changed: the next request opens a new association */
    bool again;               /**< what was asked is about to be asked again */
    bool displaced;           /**< a duplicate was ended and the request repeated (5064) */
    struct epc_timer timer;   /**< runs while something is asked */
    uint64_t deadline_ms;     /**< for what is asked, whatever number of messages it takes */
    /** A result without an answer: the timer (0 ms) reports it, so that `done` never runs inside
     *  request(). */
    bool has_early, unsent;   /**< unsent: the association waits for a message that never left */
    struct epc_policy_result early;
    /** Full pictures, as the caller sees them: what was not refused, and that with what is asked. */
    struct epc_service_info *full, *asked;
    struct rx_record *record; /**< of its newest association; NULL = nothing is remembered */
};

/** Which peers a request went to, and what became of it there. */
enum rx_try_end {
    RX_TRY_OPEN, RX_TRY_ANSWERED, RX_TRY_LINK, RX_TRY_SILENT, RX_TRY_NOT_DELIVERED, RX_TRY_BUSY,
    RX_TRY_REDIRECT, RX_TRY_EXPIRED,
};
enum { RX_MAX_TRIES = 4 };
struct rx_tried {
    struct rx_try {
        char hop[RX_NAME_MAX];
        uint64_t sent_ms;
        uint32_t code;        /**< of the answer; 0 = none */
        enum rx_try_end end;
    } one[RX_MAX_TRIES];
    size_t n;
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
    struct rx_tried *tried;   /**< owned; NULL: one peer, nothing to tell. With command 0: a report on the way */
};

/** The one extension of the process. freeDiameter's entry points and callbacks have no argument that
 *  could carry it, hence a global; set before any other thread runs, then only its atomics change. */
struct rx_ext {
    const struct epc_rx_host *host;
    _Atomic(struct rx_shard *) shard[RX_MAX_SHARDS];
    uint32_t start_s;             /**< high part of Session-Ids: differs at each start */
    _Atomic uint32_t next_sid;
    atomic_bool stopping;
    struct rx_profile *profiles;  /**< rx_profiles_init() */
    size_t n_profiles, default_profile;
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

/** The association, in state RX_PENDING, for @p h, which gets it. NULL: out of memory. */
struct rx_assoc *rx_assoc_new(struct epc_policy_session *h);
/** Take it from its handle. */
void rx_assoc_unlink(struct rx_assoc *a);
/** End an orphan of the same UE, which stands in the way of @p a. @return false: there is none. */
bool rx_assoc_displace(struct rx_assoc *a);
epc_hash_eq_fn rx_assoc_same_token, rx_orphan_of_ue; /**< of the shard's tables */
/* ---- handles (rx_handle.c) -------------------------------------------------------------------- */

/** End what is asked and go on with the queue. The callbacks come last: they may close the handle. */
void rx_handle_done(struct epc_policy_session *h, const struct epc_policy_result *r);
/** What was asked is asked again, in a new association. */
void rx_handle_again(struct epc_policy_session *h);

/* ---- what is told (rx_told.c) ------------------------------------------------------------------ */

/** Shape @p full for the PCRF of @p a and find what it must be told: a->telling and *delta (gives).
 *  *delta is NULL when the PCRF knows all of it.
 *  @return EPC_OK, EPC_ENOMEM */
enum epc_err rx_told_prepare(struct rx_assoc *a, const struct epc_service_info *full,
                             struct epc_service_info **delta) EPC_MUST_CHECK;
/** The outstanding AAR was granted, refused, or nobody knows. */
void rx_told_settle(struct rx_assoc *a, const struct epc_policy_result *r);
void rx_told_free(struct rx_assoc *a);
/** The PCRF has not heard the session's WebRTC information in this form. */
bool rx_told_webrtc_new(const struct rx_assoc *a);

/* ---- Retry-Interval (rx_interval.c) ----------------------------------------------------------------- */

/** The PCRF does not want to see @p info for @p ue again within @p seconds (TS 29.214 4.4.1).
 *  Same information: same kinds of media, directions and bandwidth; addresses and ports, which differ
 *  with each call, do not count. */
void rx_interval_add(struct rx_shard *rs, const struct epc_addr *ue, const struct epc_service_info *info,
                 uint32_t seconds);
/** @return seconds left, 0 = may be sent. */
uint32_t rx_interval_left(const struct rx_shard *rs, const struct epc_addr *ue,
                      const struct epc_service_info *info);
void rx_interval_free(struct rx_shard *rs);

/* ---- profiles and features (rx_features.c) ------------------------------------------------------ */

/** A profile of the configuration, made ready: what may not be sent, by code. */
struct rx_profile {
    const struct epc_cfg_policy_profile *cfg;
    uint64_t *omit;           /**< vendor << 32 | code */
    size_t n_omit;
};
/** Once, at start; logs names of AVPs that nobody knows. @return EPC_OK, EPC_ENOMEM */
enum epc_err rx_profiles_init(void) EPC_MUST_CHECK;
void rx_profiles_fini(void);
/** @p name NULL: policy.profile. Never NULL: an unknown name means the default. */
const struct rx_profile *rx_profile(const char *name);
/** Take out what the profile omits, also inside groups. */
void rx_profile_strip(msg_or_avp *parent, const struct rx_profile *p);
enum { /* bits of feature lists 1 and 2 (TS 29.214 5.4.1) */
    RX_F1_REL8 = 1u << 0, RX_F1_REL9 = 1u << 1, RX_F1_PROV_AF_SIGNAL_FLOW = 1u << 2, RX_F1_REL10 = 1u << 4,
    RX_F1_NETLOC = 1u << 5, RX_F1_NETLOC_TRUSTED_WLAN = 1u << 8, RX_F1_PLMN_INFO = 1u << 19,
    RX_F2_EXTENDED_BW_NR = 1u << 1, RX_F2_EPS_FALLBACK_REPORT = 1u << 8,
    RX_F2_REALLOCATION_OF_CREDIT = 1u << 11,
};
/** Specific-Actions that a session subscribes to: bit n stands for value n. */
uint32_t rx_actions(const struct epc_policy_session *h);
void rx_put_features(struct msg *m, const struct rx_assoc *a, const struct epc_service_info *info, bool *ok);
void rx_read_features(struct msg *m, struct rx_assoc *a);

/* ---- service information (rx_info.c) --------------------------------------------------------- */

void rx_put_components(struct msg *m, const struct rx_assoc *a, const struct epc_service_info *info,
                       bool *ok);
void rx_put_ue(struct msg *m, const struct epc_addr *ue, bool *ok);
/** Subscription-Id of a public identity, and of the IMSI if @p impi is made of one. */
void rx_put_subscriptions(struct msg *m, const char *impu, const char *impi, bool *ok);
/** IMSI of a private identity of TS 23.003 13.3. @return false: it has none. */
bool rx_imsi(const char *impi, char out[16]);

/* ---- WebRTC information in vendor AVPs (rx_webrtc.c) -------------------------------------------- */

/** Find the AVPs of policy.webrtc_vendor. @return false: no such dictionary; they are never sent. */
bool rx_webrtc_init(void);
bool rx_webrtc_known(void);
void rx_put_webrtc_feature(struct msg *m, bool *ok);
void rx_put_webrtc_session(struct msg *m, const struct epc_service_info *info, bool *ok);
void rx_put_webrtc_media(msg_or_avp *parent, const struct epc_webrtc_media *w, bool *ok);
/** In a STR: what is known of each component at the end. */
void rx_put_webrtc_final(struct msg *m, const struct epc_service_info *info, bool *ok);

/* ---- AAR and STR (rx_aar.c) ------------------------------------------------------------------ */

/** Build and queue; @p info is shaped. @return EPC_OK (an event will follow), EPC_ENOMEM, EPC_ELIMIT
 *  (queue full) */
enum epc_err rx_send_aar(struct rx_assoc *a, const struct epc_service_info *info,
                         bool initial) EPC_MUST_CHECK;
enum epc_err rx_send_str(struct rx_assoc *a) EPC_MUST_CHECK;

/* ---- AAA and STA (rx_answer.c) ------------------------------------------------------------------ */

/** Read an AAA or STA. @return the event that it is; @p r gets the details. */
enum rx_event rx_read_answer(struct msg *m, struct epc_policy_result *r);
/** Keep what later requests must carry: peer, Class, features. */
void rx_learn_peer(struct rx_assoc *a, struct msg *m);
void rx_learn_class(struct rx_assoc *a, struct msg *m); /**< of a RAR too */

/* ---- access network (rx_access.c, rx_netinfo.c) ------------------------------------------------- */

/** @return false: the message says nothing of it. */
bool rx_read_access(struct msg *m, struct epc_policy_access *out);
bool rx_read_charging(struct msg *m, struct epc_policy_charging *out);
/** The handle hears what an AAA says of access network and charging. It may close itself. */
void rx_tell_answer(struct rx_assoc *a, struct msg *m);

/* Pure: octets to text. */

/** What a PCRF says of where the UE is. Slices with p NULL were not told. */
struct rx_netinfo {
    int32_t ip_can_type, rat_type; /**< -1 = not told */
    struct epc_str user_location;  /**< 3GPP-User-Location-Info (TS 29.061 16.4.7.2) */
    struct epc_str time_zone;      /**< 3GPP-MS-TimeZone (TS 29.060 7.7.52) */
    struct epc_str twan;           /**< TWAN-Identifier (TS 29.274 8.100) */
};
/** A network-provided value of P-Access-Network-Info (TS 24.229 7.2A.4); "" when nothing is known.
 *  @param zone also the time zone. Any octets allowed. */
void rx_netinfo_text(const struct rx_netinfo *n, bool zone, char *out, size_t size);

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
void rx_route(struct rx_assoc *a, struct rx_route *out);
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
/** Peers in state OPEN that serve Rx or relay. Any thread; never waits. */
unsigned rx_open_peers(void);

#endif
