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
};
struct epc_service_info {
    struct epc_media_component *component;
    size_t n_components;
    bool preliminary;             /**< from an offer alone */
    bool signalling;              /**< AF signalling session (TS 29.214 4.4.5) */
};
void epc_service_info_free(struct epc_service_info *s); /**< NULL-safe; frees the object too */

struct epc_policy_input {
    const struct epc_sdp *uplink, *downlink; /**< see epc_iw_access(); downlink NULL = preliminary */
    bool uplink_is_offer;
    const struct epc_addr *ue;               /**< the UE's address in the IP-CAN */
    /** Remote address per m-line as the gateway learned it (len 0 = unknown); may be NULL. */
    const struct epc_addr *learned;
    size_t n_learned;
    const struct epc_cfg_policy *cfg;
    /** Service information that the session sent last, or NULL: keeps numbers stable and marks
     *  components that vanished as REMOVED. */
    const struct epc_service_info *previous;
};
/** Derive. Filters obey TS 29.214 5.3.8 for any input: never port 0 or 9, 0.0.0.0 or a name; an
 *  unknown WIC port leaves the downlink filter out.
 *  @param[out] out gives. @return EPC_OK, EPC_ENOMEM, EPC_EINVAL */
enum epc_err epc_policy_service_info(const struct epc_policy_input *in,
                                     struct epc_service_info **out) EPC_MUST_CHECK;
/** The AF signalling session of a registration. */
enum epc_err epc_policy_signalling_info(struct epc_service_info **out) EPC_MUST_CHECK;
/** What must be told again: only components that differ; an empty result (0 components) = nothing.
 *  @p prev NULL = everything. @param[out] delta gives. */
enum epc_err epc_service_info_diff(const struct epc_service_info *prev,
                                   const struct epc_service_info *next,
                                   struct epc_service_info **delta) EPC_MUST_CHECK;

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
};
/** Short text for logs: "DIAMETER REQUESTED_SERVICE_NOT_AUTHORIZED (5063)". Static. */
const char *epc_policy_code_name(const struct epc_policy_result *r);

enum epc_policy_phase { EPC_PHASE_SETUP, EPC_PHASE_MODIFY };
/** Does the session go on? True: yes (granted; or not granted but the mode or the phase allows it).
 *  False: @p cause holds status, reason and Retry-After for the SIP answer (TS 24.229 5.2.7.2).
 *  A refusal is never overridden by `optional`, a missing answer is. */
bool epc_policy_verdict(enum epc_policy_mode mode, enum epc_policy_phase phase,
                        const struct epc_policy_result *r, struct epc_cause *cause);

/* ---- what the policy function pushes ------------------------------------------------------------ */

enum epc_policy_event_kind {
    EPC_PEV_ABORT,          /**< ASR: end the session */
    EPC_PEV_ALL_MEDIA_LOST, /**< RAR 2/4/9 for everything */
    EPC_PEV_MEDIA_LOST,     /**< RAR 2/4/9 for `components` */
    EPC_PEV_RECOVERED,      /**< RAR 3 */
    EPC_PEV_INFO,           /**< access information changed: `access_info` */
};
struct epc_policy_event {
    enum epc_policy_event_kind kind;
    uint32_t code;          /**< Specific-Action or Abort-Cause */
    unsigned components[EPC_SDP_MAX_MEDIA];
    size_t n_components;
    const char *access_info; /**< for P-Access-Network-Info, or NULL */
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
    const struct epc_addr *ue;    /**< Framed-IP-Address / -IPv6-Prefix */
    const char *icid;             /**< AF-Charging-Identifier, may be NULL */
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
    /** First call: initial request; later ones: updates. Takes *info (nulled). */
    enum epc_err (*request)(struct epc_policy_session *s, struct epc_service_info **info,
                            epc_policy_done_fn *done, void *arg);
    /** End it: after the outstanding request, if any. No callback runs any more. */
    void (*close)(struct epc_policy_session *s);
};

#endif
