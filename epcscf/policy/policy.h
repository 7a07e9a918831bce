/* Door of policy/: from SDP and gateway addresses to protocol-neutral *service information*, and from
 * what the policy function says to what SIP does. Pure functions; no Diameter types, no I/O.
 * Also the interface that a policy client (Rx today; N5 could follow) offers to session/.
 * Spec: TS 29.213 6.2, TS 29.214 4.4 and Annexes A, B; TS 24.229 5.2.7.2. */
#ifndef EPC_POLICY_H
#define EPC_POLICY_H

#include "base/base.h"
#include "config/config.h"
#include "sdp/sdp.h"

/* ---- service information ---------------------------------------------------------------------- */

/** Media-Type (TS 29.214 5.3.19). */
enum epc_media_type {
    EPC_MEDIA_AUDIO = 0, EPC_MEDIA_VIDEO = 1, EPC_MEDIA_DATA = 2, EPC_MEDIA_APPLICATION = 3,
    EPC_MEDIA_CONTROL = 4, EPC_MEDIA_TEXT = 5, EPC_MEDIA_MESSAGE = 6, EPC_MEDIA_OTHER = -1,
};
/** Flow-Status (5.3.11). */
enum epc_flow_status {
    EPC_FLOW_ENABLED_UPLINK = 0, EPC_FLOW_ENABLED_DOWNLINK = 1, EPC_FLOW_ENABLED = 2,
    EPC_FLOW_DISABLED = 3, EPC_FLOW_REMOVED = 4, EPC_FLOW_STATUS_NONE = -1,
};
/** Flow-Usage (5.3.12). */
enum epc_flow_usage { EPC_USAGE_NONE = 0, EPC_USAGE_RTCP = 1, EPC_USAGE_AF_SIGNALLING = 2 };

/* WebRTC session information: what Rx has no AVP for. Sent in vendor AVPs to a PCRF that takes them.
 * Never a secret: no ice-pwd, no keys. */

enum { EPC_WEBRTC_MAX_CANDIDATES = 4, EPC_WEBRTC_MAX_CHANNELS = 8, EPC_FINGERPRINT_MAX = 64 };
enum epc_ice_state {
    EPC_ICE_NEW = 0, EPC_ICE_CHECKING = 1, EPC_ICE_CONNECTED = 2, EPC_ICE_COMPLETED = 3,
    EPC_ICE_FAILED = 4, EPC_ICE_DISCONNECTED = 5, EPC_ICE_CLOSED = 6, EPC_ICE_UNKNOWN = -1,
};
enum epc_candidate_type { EPC_CAND_HOST = 0, EPC_CAND_SRFLX = 1, EPC_CAND_PRFLX = 2, EPC_CAND_RELAY = 3 };
/** Bits of Media-Mux-Flags. */
enum {
    EPC_MUX_RTCP = 1 << 0, EPC_MUX_RTCP_RSIZE = 1 << 1, EPC_MUX_BUNDLED = 1 << 2,
    EPC_MUX_BUNDLE_ONLY = 1 << 3, EPC_MUX_SIMULCAST = 1 << 4, EPC_MUX_RTX = 1 << 5, EPC_MUX_FEC = 1 << 6,
    EPC_MUX_TRANSPORT_CC = 1 << 7, EPC_MUX_REMB = 1 << 8, EPC_MUX_RELAYED = 1 << 9,
    EPC_MUX_TRANSCODED = 1 << 10, EPC_MUX_TRANSPARENT = 1 << 11,
};
struct epc_webrtc_candidate {
    enum epc_candidate_type type;
    struct epc_addr addr;
    uint8_t protocol;             /**< IP protocol number */
    uint32_t priority;
    bool remote;                  /**< the WIC's side */
};
struct epc_webrtc_fingerprint {
    char hash[16];                /**< "sha-256"; "" = none */
    uint8_t value[EPC_FINGERPRINT_MAX];
    size_t n;
};
struct epc_webrtc_channel {
    uint32_t stream;
    char label[64], subprotocol[64];
    bool ordered;
    int32_t max_retransmits;      /**< -1 = reliable */
};
struct epc_webrtc_media {
    bool given;
    struct epc_addr agw_access, agw_core, agw_remote; /**< len 0 = unknown */
    enum epc_ice_state ice_state;
    uint32_t ice_generation;      /**< grows with each ICE restart of the WIC, from 0 */
    struct epc_webrtc_candidate candidate[EPC_WEBRTC_MAX_CANDIDATES];
    size_t n_candidates;
    struct epc_webrtc_fingerprint wic, agw;
    int dtls_role;                /**< of the gateway: 0 passive, 1 active, -1 unknown */
    uint32_t srtp_profile;        /**< IANA's DTLS-SRTP number; 0 = unknown */
    uint32_t mux_flags;
    uint32_t bundle_tag;          /**< component of the BUNDLE tag; 0 = not bundled */
    uint32_t sctp_port;           /**< 0: no data channel */
    uint64_t max_message_size;
    uint32_t max_streams;
    struct epc_webrtc_channel channel[EPC_WEBRTC_MAX_CHANNELS];
    size_t n_channels;
};
struct epc_webrtc_session {
    char agw_identity[64], agw_context[64]; /**< "" = not known */
    char client_origin[64];       /**< WWSF id */
    int ice_mode;                 /**< of the gateway: 0 full, 1 lite, -1 unknown */
};

/** A Media-Sub-Component: flows of one purpose. */
struct epc_media_flow {
    unsigned number;              /**< Flow-Number, from 1 (0: AF signalling) */
    enum epc_flow_usage usage;
    enum epc_flow_status status;  /**< NONE = not sent */
    char uplink[160];             /**< IPFilterRule "permit in ..."; "" = not known */
    char downlink[160];           /**< "permit out ..."; "" = not known */
};
/** A Media-Component-Description. */
struct epc_media_component {
    unsigned number;              /**< m-line ordinal on the access leg, from 1; 0: AF signalling */
    enum epc_media_type type;
    enum epc_flow_status status;
    int64_t max_ul_bps, max_dl_bps; /**< -1 = not sent */
    int64_t rr_bps, rs_bps;         /**< -1 = not sent */
    char *codec_data[2];            /**< owned; NULL = not sent. No ICE, fingerprint, ssrc, msid */
    struct epc_media_flow flow[2];
    size_t n_flows;
    struct epc_webrtc_media webrtc; /**< what the Iq session says of this m-line; given = false: nothing */
};
struct epc_service_info {
    struct epc_media_component *component;
    size_t n_components;
    bool preliminary;             /**< from an offer alone */
    bool signalling;              /**< AF signalling session (TS 29.214 4.4.5) */
    bool several_dialogues;       /**< SIP-Forking-Indication: early dialogs share the session */
    bool ends_silently;           /**< shaped for a PCRF that does not know REMOVED: an end is not told */
    struct epc_webrtc_session webrtc;
    char *why;                    /**< owned; see "why" below. NULL unless epc_policy_input.explain was set */
};
void epc_service_info_free(struct epc_service_info *s); /**< NULL-safe; frees the object too */

/* "why": the derivation in words, lines of text for people and for tools:
 *
 *      NUMBER AVP=VALUE <- SOURCE (CLAUSE)
 *      1 Max-Requested-Bandwidth-DL=84000 <- uplink "b=AS:80" x1000, x1.05 for RTCP multiplexing (TS 29.213 6.2)
 *
 * NUMBER is the Media-Component-Number, "-" the whole session. SOURCE names the SDP that came from the UE
 * (uplink) or went to it (downlink) with the line in quotation marks, a key of the configuration, or what the
 * gateway said. "NUMBER AVP left out <- ..." says why something is not sent; "NUMBER WebRTC NAME=..." is of a
 * vendor AVP; lines that epc_policy_shape() added name the profile and have no clause. Where an AVP has two
 * lines, the later one holds. Never a secret: no password, no key; of a fingerprint, only its hash's name. */

/** Gateway state that goes into a derivation, by m-line ordinal on the access leg minus 1. */
struct epc_policy_gateway {
    struct epc_webrtc_session session;
    struct {
        struct epc_addr core;      /**< gateway's core side; len 0 = unknown */
        enum epc_ice_state ice_state;
        uint32_t srtp_profile;     /**< 0 = unknown */
        bool transcoded;
    } media[EPC_SDP_MAX_MEDIA];
    size_t n_media;
    uint32_t ice_generation;
};

struct epc_policy_input {
    const struct epc_sdp *uplink, *downlink; /**< see epc_iw_access(); downlink NULL = preliminary */
    bool uplink_is_offer;
    const struct epc_addr *ue;               /**< the UE's address in the IP-CAN */
    /** Remote address per m-line as the gateway learned it (len 0 = unknown); may be NULL. */
    const struct epc_addr *learned;
    size_t n_learned;
    /** What the gateway says of the session; may be NULL. */
    const struct epc_policy_gateway *gateway;
    bool several_dialogues;                  /**< early dialogs share the Rx session */
    bool explain;                            /**< fill `why` */
    const struct epc_cfg_policy *cfg;
    /** Service information that the session sent last, or NULL: keeps numbers stable and marks
     *  components that vanished as REMOVED. */
    const struct epc_service_info *previous;
};
/** Derive. Filters obey TS 29.214 5.3.8 for any input: never port 0 or 9, 0.0.0.0 or a name; an
 *  unknown WIC port leaves the downlink filter out. Numbers of components and flows are those of
 *  @p in->previous. With several_dialogues the result also covers what the other early dialogues need:
 *  greatest bandwidth, open gate, their components; the filters are of this one, for the PCRF joins them.
 *  @param[out] out gives. @return EPC_OK, EPC_ENOMEM, EPC_EINVAL */
enum epc_err epc_policy_service_info(const struct epc_policy_input *in,
                                     struct epc_service_info **out) EPC_MUST_CHECK;
/** The AF signalling session of a registration. */
enum epc_err epc_policy_signalling_info(struct epc_service_info **out) EPC_MUST_CHECK;
/** What must be told again: only components that differ; an empty result (0 components) = nothing. All of
 *  them when the information was preliminary or of several dialogues and is so no longer.
 *  @p prev NULL = everything. @param[out] delta gives. */
enum epc_err epc_service_info_diff(const struct epc_service_info *prev,
                                   const struct epc_service_info *next,
                                   struct epc_service_info **delta) EPC_MUST_CHECK;

/** Bring service information into the form that a PCRF of @p profile bears: media types, components of
 *  the same type, flow forms, WebRTC information (only if @p webrtc). Pure; both sides of a difference
 *  must have been shaped. @p profile NULL = "3gpp". @param[out] out gives. */
enum epc_err epc_policy_shape(const struct epc_service_info *full, const struct epc_cfg_policy_profile *profile,
                              bool webrtc, struct epc_service_info **out) EPC_MUST_CHECK;
/** Lay @p delta over *current (made if NULL): components by number; removed ones go. */
enum epc_err epc_service_info_merge(struct epc_service_info **current,
                                    const struct epc_service_info *delta) EPC_MUST_CHECK;

/* ---- configuration looked up -------------------------------------------------------------------- */

/** The profile of that name, of cfg->profiles or built in ("3gpp", "open5gs"); @p name NULL: cfg->profile.
 *  @return NULL: there is none */
const struct epc_cfg_policy_profile *epc_policy_profile(const struct epc_cfg_policy *cfg, const char *name);
/** The row of policy.access with the longest prefix that holds the UE's address; NULL: none. */
const struct epc_cfg_policy_access *epc_policy_access_for(const struct epc_cfg_policy *cfg,
                                                          const struct epc_addr *ue);
/** policy.mode as it applies to that UE. */
enum epc_policy_mode epc_policy_mode_for(const struct epc_cfg_policy *cfg, const struct epc_addr *ue);

/* ---- what came back ----------------------------------------------------------------------------- */

enum epc_policy_outcome {
    EPC_POLICY_GRANTED,
    EPC_POLICY_REFUSED,     /**< the policy function said no: code and acceptable bandwidth below */
    EPC_POLICY_TIMED_OUT,   /**< asked, no answer in time */
    EPC_POLICY_UNREACHABLE, /**< no policy function to ask, or it could not be delivered */
    EPC_POLICY_FAILED,      /**< our own fault: encoding, memory */
};
struct epc_acceptable_bw {
    unsigned number;        /**< component; 0 = for the whole session */
    int64_t max_ul_bps, max_dl_bps;
};
struct epc_policy_result {
    enum epc_policy_outcome outcome;
    uint32_t code;          /**< Result-Code or Experimental-Result-Code; 0 = none */
    bool experimental;
    uint32_t retry_interval_s;
    struct epc_acceptable_bw acceptable[EPC_SDP_MAX_MEDIA];
    size_t n_acceptable;
    uint32_t authorization_info; /**< Service-Authorization-Info bits; 0 = none */
    bool held_back;              /**< not sent: the PCRF's Retry-Interval is not over (TS 29.214 4.4.1) */
    char failed_avp[64];         /**< name of the AVP in Failed-AVP; "" = none */
    char error_message[128];     /**< Error-Message; "" = none */
};
/** Short text for logs: "DIAMETER REQUESTED_SERVICE_NOT_AUTHORIZED (5063)". Static. */
const char *epc_policy_code_name(const struct epc_policy_result *r);

enum epc_policy_phase { EPC_PHASE_SETUP, EPC_PHASE_MODIFY };
/** Does the session go on? True: yes (granted; or not granted but the mode or the phase allows it).
 *  False: @p cause holds status, reason and Retry-After for the SIP answer (TS 24.229 5.2.7.2).
 *  A refusal is never overridden by `optional`, a missing answer is. */
bool epc_policy_verdict(enum epc_policy_mode mode, enum epc_policy_phase phase,
                        const struct epc_policy_result *r, struct epc_cause *cause);

/** The SDP body of a 488: the offer's m-lines with the bandwidth that the PCRF would take (RFC 3261
 *  21.4.26, TS 24.229 5.2.7.2). Appends to @p out. @return EPC_OK; EPC_ENOENT: nothing acceptable was
 *  named; EPC_ENOMEM */
enum epc_err epc_policy_acceptable_sdp(const struct epc_sdp *offer, const struct epc_policy_result *r,
                                       struct epc_buf *out) EPC_MUST_CHECK;
/** A result and what had been asked; all borrowed, all but the result may be NULL. */
struct epc_policy_question {
    const struct epc_policy_result *result;
    const struct epc_service_info *sent;
    const struct epc_addr *ue;
    const struct epc_cfg_policy *cfg;
};
/** In words, for an engineer: the result, why, and what to check. Lines of text appended to @p out. */
void epc_policy_explain_result(const struct epc_policy_question *q, struct epc_buf *out);

/* ---- what the policy function pushes ------------------------------------------------------------ */

/** What is known of the access network (RAR 6, 12, 16, AAA, STA). */
struct epc_policy_access {
    int32_t ip_can_type, rat_type; /**< -1 = not told */
    char access_info[256];         /**< value of a network-provided P-Access-Network-Info; "" = none */
    bool reporting_failed;         /**< Specific-Action 14, or NetLoc-Access-Support 0 */
};
/** Charging correlation (RAR 1, AAA), for access-network-charging-info of P-Charging-Vector. */
struct epc_policy_charging {
    char address[64];              /**< of the charging node, a literal; "" = not told */
    struct {
        char id[65];               /**< Access-Network-Charging-Identifier-Value as hex digits */
        unsigned components[EPC_SDP_MAX_MEDIA]; /**< none = the whole session */
        size_t n_components;
    } id[8];
    size_t n_ids;
};

enum epc_policy_event_kind {
    EPC_PEV_ABORT,          /**< ASR: end the session */
    EPC_PEV_ALL_MEDIA_LOST, /**< RAR 2/4/9 for everything; on a signalling session: its path */
    EPC_PEV_MEDIA_LOST,     /**< RAR 2/4/9 for `components` */
    EPC_PEV_RECOVERED,      /**< RAR 3, for `components` (none = all) */
    EPC_PEV_ACCESS_INFO,    /**< access information: `access` */
    EPC_PEV_CHARGING,       /**< charging correlation: `charging` */
    EPC_PEV_RESOURCES,      /**< RAR 8: resources for `components` (none = all) are there */
    EPC_PEV_OUT_OF_CREDIT,  /**< RAR 7, for `components` (none = all) */
    EPC_PEV_CREDIT_BACK,    /**< RAR 18 */
    EPC_PEV_LIMITED_PCC,    /**< RAR 10; RAR 13 ends it (code tells) */
    EPC_PEV_LOST_SESSION,   /**< the PCRF has restarted: the next request opens a new Rx session */
};
struct epc_policy_event {
    enum epc_policy_event_kind kind;
    uint32_t code;          /**< Specific-Action or Abort-Cause */
    unsigned components[EPC_SDP_MAX_MEDIA];
    size_t n_components;
    const struct epc_policy_access *access;     /**< borrowed; NULL = none */
    const struct epc_policy_charging *charging; /**< borrowed; NULL = none */
};

/* ---- the client interface ------------------------------------------------------------------------- */

struct epc_shard;
struct epc_policy_session; /* private to the implementation */

/** All callbacks run on the shard that opened the session. */
typedef void epc_policy_done_fn(void *arg, const struct epc_policy_result *r);
typedef void epc_policy_event_fn(void *arg, const struct epc_policy_event *ev);

struct epc_policy_open {
    struct epc_shard *shard;
    const char *impu;             /**< Subscription-Id */
    const char *impi;             /**< for a Subscription-Id with the IMSI, if it is made of one; may be NULL */
    const struct epc_addr *ue;    /**< Framed-IP-Address / -IPv6-Prefix */
    const char *icid;             /**< AF-Charging-Identifier, may be NULL */
    const char *icsi;             /**< AF-Application-Identifier; NULL: policy.af_application_id */
    const char *service_urn;      /**< "sos.police": emergency (Service-URN); may be NULL */
    const char *called;           /**< Callee-Information, may be NULL */
    const char *calling;          /**< Calling-Party-Address, may be NULL */
    const char *mps;              /**< MPS-Identifier (namespace of Resource-Priority), may be NULL */
    int reservation_priority;     /**< 0..15; -1 = not sent */
    bool signalling;              /**< AF signalling session: other Specific-Actions (4.4.5) */
    bool want_access_info;        /**< Required-Access-Info and Specific-Action 12 */
    const char *trace_key;        /**< Call-ID, ties trace lines together; may be NULL */
    epc_policy_event_fn *on_event;
    void *arg;
};
/** A policy client; one for the process, used from every shard. Requests of one session queue behind
 *  each other (one outstanding); each `done` runs exactly once unless the session was closed. */
struct epc_policy_client {
    /** No request is sent yet. All of @p o is copied. @return EPC_OK, EPC_ENOMEM */
    enum epc_err (*open)(struct epc_policy_client *c, const struct epc_policy_open *o,
                         struct epc_policy_session **out);
    /** First call: initial request; later ones: updates, each what differs from the one before that was
     *  not refused (epc_service_info_diff()). Takes *info on EPC_OK (nulled). What the policy function
     *  knows already is granted without asking it; @p done never runs inside request().
     *  @return EPC_OK, EPC_ENOMEM, EPC_ELIMIT (64 requests wait already) */
    enum epc_err (*request)(struct epc_policy_session *s, struct epc_service_info **info,
                            epc_policy_done_fn *done, void *arg);
    /** The UE has another address: the binding key of an Rx session cannot change, so the next request
     *  ends the old Rx session and opens a new one with all that is known. @return EPC_OK, EPC_ENOMEM */
    enum epc_err (*rebind)(struct epc_policy_session *s, const struct epc_addr *ue);
    /** For people who ask later: what SIP made of the newest result or push, e.g. "INVITE answered with
     *  503". May be NULL. Never fails in a way that the caller must know. */
    void (*note)(struct epc_policy_session *s, const char *text);
    /** End it: after the outstanding request, if any. No callback runs any more. */
    void (*close)(struct epc_policy_session *s);
};

#endif
