/* Door of config/: YAML read through one schema table into an immutable snapshot.
 * A snapshot is never changed after epc_config_load(); every thread may read it. */
#ifndef EPC_CONFIG_H
#define EPC_CONFIG_H

#include "base/base.h"

/** Which registration modes (TS 23.228 U.2.1) an origin may use; bits. */
enum epc_reg_modes { EPC_MODE_DIGEST = 1, EPC_MODE_TOKEN = 2 };

/** wss.origins[]: a WWSF whose pages may connect. */
struct epc_cfg_origin {
    char *origin;    /**< scheme://host[:port], lower case, default port left out */
    char *wwsf;      /**< WWSF id: what the token's azp/client_id must say */
    unsigned modes;  /**< enum epc_reg_modes */
};

struct epc_cfg_wss {
    struct epc_addr *listen;
    size_t n_listen;
    char *certificate, *key;      /**< PEM files */
    char *tls_min;                /**< "1.2" or "1.3" */
    char *tls_records;            /**< "own" (NULL too) or "openssl" */
    char **paths;
    size_t n_paths;
    struct epc_cfg_origin *origins;
    size_t n_origins;
    bool allow_no_origin;         /**< non-browser clients */
    uint32_t max_message_octets;
    uint32_t send_queue_octets;
    uint32_t ping_interval_ms, pong_timeout_ms;
    uint32_t handshake_timeout_ms;
    uint32_t registration_timeout_ms; /**< close connections without a registration; 0 = never */
    uint32_t max_connections;     /**< per shard */
    uint32_t max_per_address;     /**< per source address and shard; 0 = no limit */
    uint32_t max_rate_per_address; /**< new connections a second, per source address and shard; 0 = no limit */
    uint32_t burst_per_address;   /**< so many more at once */
};

enum epc_core_transport { EPC_CORE_AUTO, EPC_CORE_UDP, EPC_CORE_TCP };

struct epc_cfg_sip {
    char *public_host;            /**< name or address of the WSS side, for Record-Route */
    uint16_t public_port;
    char *core_host;              /**< literal address to bind towards the core */
    uint16_t core_port;           /**< shard i listens on core_port + i, UDP and TCP */
    enum epc_core_transport core_transport; /**< auto: TCP when the request is over udp_max_octets */
    uint32_t udp_max_octets;
    char *icscf;                  /**< entry point of the home network, a SIP URI with a literal address */
    char **trusted;               /**< literal addresses that may send us requests */
    size_t n_trusted;
    char **home_domains;
    size_t n_home_domains;
    char *visited_network;        /**< P-Visited-Network-ID */
    char *ioi;                    /**< our inter-operator identifier, for orig-ioi/term-ioi */
    uint32_t timer_c_ms;
    uint32_t wic_timeout_ms;      /**< how long a WIC may take for a first answer (64*T1) */
    uint32_t flow_timer_s;        /**< Flow-Timer: a WIC keeps its connection alive that often; 0 = not said */
    bool no_outbound_480;         /**< answer 480 instead of 430 when the flow is gone */
    char *token_key_file;         /**< 32 octets for flow tokens; NULL: a fresh key at each start */
    uint32_t overload_delay_ms;   /**< lateness beyond which new requests are refused; 0: never */
    uint32_t overload_interval_ms; /**< how long it must last to count as overload */
    uint32_t overload_retry_after_s;
    uint32_t overload_pause_ms;   /**< how long who comes back too early is not read; 0: never */
};

/** What happens to calls when the token behind a registration ends. */
enum epc_token_end { EPC_TOKEN_END_KEEP, EPC_TOKEN_END_RELEASE };
struct epc_cfg_redirect;
struct epc_cfg_registration {
    uint32_t min_expires_s, max_expires_s;
    char *tna_integrity_protected;  /**< "auth-done" (TS 33.203 U) or "tls-yes" for cores that need it */
    char *authorization_entity_param; /**< name of the WAF parameter, NULL = not sent */
    char *authorization_entity;     /**< WAF identity to send */
    uint32_t flow_loss_grace_ms;    /**< how long a registration outlives its connection */
    enum epc_token_end token_end_calls;
    bool digest_deny_3gpp_access;   /**< TS 33.203 N.1 */
    uint32_t await_auth_s;          /**< reg-await-auth: how long a challenge may wait for its answer */
    uint32_t max_per_minute;        /**< REGISTER requests of one connection; 0 = any number */
    uint32_t max_rate_per_address;  /**< REGISTERs a second from one source address, per shard; 0 = no limit */
    uint32_t max_failures;          /**< refused credentials on a connection before it is closed */
    bool reg_event;                 /**< subscribe to each user's reg event (TS 24.229 5.2.3) */
    uint32_t reg_event_expires_s;
    uint32_t max_flows_per_identity; /**< connections registered for one IMPI; 0 = no limit */
    bool strict_token;              /**< in token mode every request outside of a dialog needs a token */
    bool strict_integrity;          /**< integrity-protected from a WIC: 403, not only removed */
    struct epc_cfg_redirect *redirect; /**< the first that fits counts */
    size_t n_redirect;
};

/** tokens.issuers[]: keys come from jwks_file or jwks_url; an issuer with introspection_url alone has
 *  opaque tokens only. */
struct epc_cfg_issuer {
    char *issuer;
    char *jwks_file;              /**< NULL: none */
    char *jwks_url;               /**< https, or http to a loopback literal; NULL: none */
    char *introspection_url;      /**< RFC 7662; as jwks_url */
    char *introspection_client_id, *introspection_secret_file;
    char *ca_file;                /**< PEM, for both URLs; NULL: the system's */
    char **algorithms;            /**< of ES256, ES384, RS256, PS256, EdDSA */
    size_t n_algorithms;
    char *audience;
    char *scope;                  /**< must be among the token's scopes; "" = not checked */
    char **wwsfs;                 /**< WWSF ids that may use this issuer */
    size_t n_wwsfs;
    char *impi_claim, *impu_claim; /**< name, or path of names with dots between */
    uint32_t max_lifetime_s, skew_s;
    char **home_domains;          /**< domains of the identities it may grant; none: not checked */
    size_t n_home_domains;
    char **origins;               /**< Origins that may bring its tokens; none: those of its WWSFs */
    size_t n_origins;
    char *realm, *authz_server;   /**< in challenges; NULL: those of tokens */
    char *waf;                    /**< authorization-entity; NULL: registration.authorization_entity */
};

/** tokens.pools[]: subscriptions that one WWSF lends to its users (TS 33.203 X.4), each exactly one
 *  IMPI and one IMPU. */
struct epc_cfg_pool {
    char *wwsf;
    char **subscriptions;         /**< "impi impu", a blank between */
    size_t n_subscriptions;
    char *impi_range, *impu_range; /**< one number range each: "guest{0000-9999}@ims.test" */
    char *file;                   /**< a subscription a line, as in subscriptions; # comments */
    bool anonymous;               /**< its users are not known to anybody: Privacy is applied */
    bool shared;                  /**< the WWSF also has users with subscriptions of their own */
};
enum epc_token_replay { EPC_REPLAY_OFF, EPC_REPLAY_SAME_INSTANCE };
struct epc_cfg_tokens {
    struct epc_cfg_issuer *issuers;
    size_t n_issuers;
    char *realm;                  /**< for WWW-Authenticate: Bearer */
    char *authz_server;           /**< https URI; obligatory once an origin allows tokens */
    struct epc_cfg_pool *pools;
    size_t n_pools;
    enum epc_token_replay replay; /**< which further connections may use a token that has registered one */
    struct epc_pools *pool_index; /**< no key: made from pools by the loader; NULL without pools */
    uint32_t http_timeout_ms;     /**< for one request to an issuer, name look-up included */
    uint32_t jwks_refresh_s;      /**< how often keys are fetched, when the issuer names no max-age */
    uint32_t keys_check_s;        /**< how often jwks_file is looked at for changes; 0: only on reload */
    uint32_t introspection_cache_s; /**< how long an issuer's word on a token is kept, at most */
};

/** tokens.pools[] as one index: immutable, may be asked by every thread. An identity belongs to one pool
 *  at most. NULL stands for no pools. */
struct epc_pools;
#define EPC_POOL_NONE ((size_t)-1)
/** Index into tokens.pools[], EPC_POOL_NONE: in no pool. Upper and lower case do not count. */
size_t epc_pool_of_impi(const struct epc_pools *p, const char *impi);
size_t epc_pool_of_impu(const struct epc_pools *p, const char *impu);
/** Is this a subscription of the pool, to the letter? Both canonical. */
bool epc_pool_has_pair(const struct epc_pools *p, size_t pool, const char *impi, const char *impu);
size_t epc_pool_size(const struct epc_pools *p, size_t pool);
/** Subscription @p i of the pool, in a fixed order. @param[out] impi, impu give.
 *  @return EPC_OK, EPC_ENOENT, EPC_ENOMEM */
enum epc_err epc_pool_pair(const struct epc_pools *p, size_t pool, size_t i, char **impi,
                           char **impu) EPC_MUST_CHECK;
/** For the loader and for tests. @p fault is called for each subscription that is left out: not
 *  well-formed, or in the pools already; @p key: the key of the pool that is meant.
 *  @param files read the files too. @param[out] out gives. @return EPC_OK, EPC_ENOMEM */
typedef void epc_pools_fault_fn(void *arg, size_t pool, const char *key, const char *text);
enum epc_err epc_pools_build(struct epc_pools **out, const struct epc_cfg_tokens *t, bool files,
                             epc_pools_fault_fn *fault, void *arg) EPC_MUST_CHECK;
void epc_pools_free(struct epc_pools *p); /**< NULL-safe */

/** media.h248.names[]: what an element of Iq that the public texts do not confirm is called here. */
struct epc_cfg_iq_name {
    char *element, *name;
};
extern const char *const epc_iq_elements[]; /**< what may be named; NULL-terminated */
enum epc_iq_ice { EPC_IQ_ICE_LITE, EPC_IQ_ICE_FULL };
/** What is asked of a gateway on Iq: the rest of media.h248.*. */
struct epc_cfg_iq {
    char *access_realm, *core_realm;             /**< ipdc/realm; "" = not sent */
    char *access_termination, *core_termination; /**< identifiers to create them with, holding a `$` */
    bool access_ip6, core_ip6;    /**< family of what the gateway reserves before a peer has shown its own */
    enum epc_iq_ice ice;          /**< the gateways' agent; FULL: checks and consent are ordered and reported */
    bool learn_by_audit;          /**< the Remote of an audited termination shows where the WIC is */
    bool filter_core, latch_core; /**< of the core side: source filtering; latching behind hosted NAT */
    bool police;
    uint32_t audio_bps, video_bps; /**< of media without b=AS */
    uint32_t burst_octets;        /**< 0 = not said */
    uint32_t dscp_audio, dscp_video; /**< 0 = not marked */
    uint32_t heartbeat_s;         /**< hanging termination detection; 0 = not asked for */
    bool data_channels, transcodes; /**< what all gateways can do */
    struct epc_cfg_iq_name *names;
    size_t n_names;
};

/** Trickled ICE candidates in INFO (RFC 8840): answered 469, or 200 and dropped. */
enum epc_trickle { EPC_TRICKLE_REFUSE, EPC_TRICKLE_ABSORB };
/** Calls that neither end refreshes although calls.session_expires_s asks for it (RFC 4028). */
enum epc_unrefreshed { EPC_UNREFRESHED_KEEP, EPC_UNREFRESHED_REFRESH, EPC_UNREFRESHED_RELEASE };
/** Media before the answer, where no P-Early-Media says what may pass. */
enum epc_early_media { EPC_EARLY_MEDIA_OPEN, EPC_EARLY_MEDIA_CLOSED };
/** A core's preconditions. */
enum epc_preconditions { EPC_PRECONDITIONS_ACT, EPC_PRECONDITIONS_REFUSE, EPC_PRECONDITIONS_OFFER };
struct epc_cfg_calls {
    bool strict_identity;         /**< From of a WIC must be one of its identities, else 403 */
    bool strict_routes;           /**< a WIC's Route that is not the known one: 400, 403 in a dialog */
    bool both_identities;         /**< assert the sip and the tel form where both are registered */
    char **services;              /**< ICSIs that a WIC may prefer; the others are removed */
    size_t n_services;
    bool strict_services;         /**< ... or refused with 403 */
    char **priority_users;        /**< identities whose Resource-Priority passes */
    size_t n_priority_users;
    bool in_dialog_tokens;        /**< access tokens in requests inside of dialogs are checked */
    bool response_source;         /**< Response-Source in failures of our own, towards the core */
    enum epc_trickle trickle;
    uint32_t min_se_s;            /**< smallest session interval taken; 0: any */
    uint32_t session_expires_s;   /**< largest interval, and asked for where nobody else does; 0: none */
    enum epc_unrefreshed unrefreshed;
    enum epc_early_media early_media;
    bool early_media_supported;   /**< WICs' INVITEs say P-Early-Media: supported */
    bool reliable_for_wic;        /**< RFC 3262 is done here for WICs that do not know it */
    enum epc_preconditions preconditions;
    char *ecscf;                  /**< SIP URI with a literal address; NULL: emergency calls are not taken */
    char **emergency_numbers;     /**< "112" or "110=urn:service:sos.police" */
    size_t n_emergency_numbers;
    char *emergency_reason;       /**< what a user is told who should call otherwise */
};

/** "112", or "110=urn:service:sos.police". @param[out] number, urn slices of @p text or of a constant.
 *  @return false: malformed, outputs untouched */
enum { EPC_EMERGENCY_URN_LEN = 64 }; /* NUL included */
bool epc_emergency_number_parse(const char *text, struct epc_str *number, struct epc_str *urn);

enum epc_gateway_kind { EPC_GATEWAY_RTPENGINE, EPC_GATEWAY_H248 };
/** "tcp:192.0.2.1:2944", "udp:[2001:db8::1]:2944". @return false: malformed, outputs untouched */
bool epc_h248_listen_parse(const char *text, struct epc_addr *addr, bool *tcp);
/** media.h248.gateways[]: a gateway that may register. At least one of mid and network. */
struct epc_cfg_h248_gateway {
    char *mid;                    /**< message identifier; case does not count; NULL: any */
    char *network;                /**< address or network that it comes from; NULL: any */
    uint32_t weight;              /**< share of new contexts, relative to the others' */
    uint32_t max_contexts;        /**< held at once; 0: what the gateway says itself */
};
/** What the gateways are told when this node stops in good order. */
enum epc_h248_stop { EPC_H248_STOP_FORCED, EPC_H248_STOP_GRACEFUL, EPC_H248_STOP_HANDOFF };
struct epc_cfg_h248 {
    char **listen;                /**< see epc_h248_listen_parse() */
    size_t n_listen;
    char *mid;                    /**< ours, as H.248.1 Annex B writes it */
    struct epc_cfg_h248_gateway *gateways;
    size_t n_gateways;
    uint32_t version;             /**< highest of the protocol that is agreed to: 1..3 */
    char *profile;                /**< NAME/VERSION; "": none is named */
    bool compact;                 /**< short tokens instead of long ones */
    uint32_t retransmit_ms, retransmit_max_ms, retransmit_tries; /**< UDP */
    uint32_t long_timer_ms;       /**< how long a reply is kept for repeated requests (LONG-TIMER) */
    uint32_t pending_ms;          /**< our own TransactionPending, and what a gateway's is worth */
    uint32_t pending_limit;       /**< of TransactionPending for one transaction, both ways */
    uint32_t audit_interval_ms, audit_misses;
    uint32_t recovery_ms;         /**< a silent gateway's contexts are held so long for its return */
    uint32_t avoid_ms;            /**< no new contexts to a gateway that had no room */
    uint32_t max_contexts;        /**< of a gateway that names no limit */
    enum epc_h248_stop stop;
    char *handoff_mid;            /**< the MGC that the gateways are sent to; NULL: none is named */
};
struct epc_cfg_media {
    enum epc_gateway_kind gateway;
    struct epc_addr *rtpengine;   /**< NG control addresses */
    size_t n_rtpengine;
    char *access_interface, *core_interface; /**< rtpengine interface names; "" = not sent */
    uint32_t timeout_ms;          /**< for one request, retransmissions included */
    uint32_t poll_ms;             /**< between two looks at a call whose media run: rtpengine tells nothing by itself */
    uint32_t ice_timeout_ms, dtls_timeout_ms; /**< then the stream has failed; 0 = never */
    uint32_t inactivity_ms;       /**< no packet from either side for so long; 0 = not looked for */
    uint32_t lost_after_ms;       /**< a silent rtpengine's calls are lost; 0 = never */
    uint32_t rtpengine_dscp;      /**< of the media that it sends; 0 = its own setting */
    struct epc_cfg_iq iq;
    char **audio_codecs, **video_codecs; /**< allowed to pass between the legs, in order; rtpmap names */
    size_t n_audio_codecs, n_video_codecs;
    struct epc_cfg_h248 h248;
    uint32_t node_id;             /**< no key, follows from sip.core_host and core_port: the same at each
                                       start, tells our calls at a shared gateway from others'; 0 = none */
};

enum epc_policy_mode { EPC_POLICY_OFF, EPC_POLICY_OPTIONAL, EPC_POLICY_REQUIRED };
/** "10.45.0.0/16", "2001:db8::/32" or one address. @return false: malformed, outputs untouched */
bool epc_network_parse(const char *text, struct epc_addr *base, unsigned *bits);
/** Does @p network hold @p addr? The number of its bits plus one; 0: no, or malformed. */
unsigned epc_network_fit(const char *network, const struct epc_addr *addr);

/** "192.0.2.99", "192.0.2.99:443/tcp", "[2001:db8::9]:3478/udp": without port 3478, without transport UDP.
 *  @return false: malformed, outputs untouched */
bool epc_turn_server_parse(const char *text, struct epc_addr *addr, bool *tcp);

enum epc_webrtc_avps { EPC_WEBRTC_AVPS_OFF, EPC_WEBRTC_AVPS_NEGOTIATED, EPC_WEBRTC_AVPS_ON };
/** policy.profiles[], and the built-in "3gpp" and "open5gs": what a PCRF bears. */
struct epc_cfg_policy_profile {
    char *name;
    uint32_t media_types;         /**< bit n: Media-Type n may be sent; bit 31: OTHER */
    bool merge_same_type;         /**< components of one Media-Type become one */
    bool one_filter_per_direction;
    bool removed;                 /**< Flow-Status REMOVED is understood */
    bool codec_data, features;    /**< Codec-Data, Supported-Features are sent */
    enum epc_webrtc_avps webrtc_avps;
    bool logout_only;             /**< Termination-Cause is always DIAMETER_LOGOUT */
    char **omit;                  /**< names of AVPs that are never sent */
    size_t n_omit;
};
/** policy.access[]: how UEs of a network are treated. */
struct epc_cfg_policy_access {
    char *network;                /**< "10.45.0.0/16" */
    enum epc_policy_mode mode;
    char *ip_domain_id;           /**< IP-Domain-Id; NULL = none */
    char *called_station_id;      /**< APN or DNN; NULL = none */
};
/** policy.peers[]: a PCRF or DRA. */
struct epc_cfg_pcrf {
    char *host;                   /**< DiameterIdentity */
    char *realm;                  /**< NULL: policy.destination_realm */
    char *profile;                /**< NULL: policy.profile */
    uint32_t priority;            /**< lower is asked first */
};
/** policy.codec_bw[]: what a codec needs where SDP names no bandwidth. */
struct epc_cfg_codec_bw {
    char *codec;                  /**< rtpmap encoding name; case does not count */
    uint32_t bps;                 /**< one direction; IP, UDP and RTP included */
};
/** How media that the WIC multiplexes on one transport are told (TS 29.214 5.3.16: one flow, one component). */
enum epc_bundle { EPC_BUNDLE_REFUSE, EPC_BUNDLE_MERGE, EPC_BUNDLE_SPLIT };
enum epc_charging_info { EPC_CHARGING_INFO_OFF, EPC_CHARGING_INFO_EPS };
struct epc_cfg_policy {
    enum epc_policy_mode mode;
    uint32_t media_loss_grace_ms; /**< between the loss of all bearers and the end of the call */
    bool access_info;             /**< ask for the access network's information (NetLoc) */
    enum epc_charging_info charging_info; /**< form of access-network-charging-info */
    bool signalling_flows;        /**< the signalling session carries the WSS connection's filters */
    char *diameter_config;        /**< freeDiameter's own configuration file */
    char *destination_realm, *destination_host; /**< host may be NULL */
    uint32_t timeout_ms;          /**< for one Rx request */
    uint32_t failover_ms;         /**< a peer silent for so long: the request goes to another */
    char *af_application_id;
    uint32_t audio_bw_bps, video_bw_bps, data_bw_bps; /**< without b= lines; IP/UDP/RTP included */
    struct epc_cfg_codec_bw *codec_bw; /**< before audio_bw_bps and video_bw_bps */
    size_t n_codec_bw;
    /* What comes on top of a bandwidth, in percent: RTCP on RTP's flow without b=RR and b=RS, SRTP's tag,
     * retransmissions, FEC, redundant encodings, the frame of a TURN server. */
    uint32_t rtcp_percent, srtp_percent, rtx_percent, fec_percent, red_percent, turn_percent;
    enum epc_bundle bundle;
    bool privacy;                 /**< private addresses of ICE candidates are told to nobody */
    bool signalling_session;      /**< one AF signalling session per registration (TS 29.214 4.4.5) */
    struct epc_cfg_policy_profile *profiles;
    size_t n_profiles;
    char *profile;                /**< of peers that name none; default "3gpp" */
    struct epc_cfg_policy_access *access;
    size_t n_access;
    struct epc_cfg_pcrf *peers;
    size_t n_peers;
    uint32_t webrtc_vendor;       /**< PEN of the vendor AVPs */
    bool preliminary;             /**< an AAR on the offer already */
    bool access_time_zone;        /**< the UE's time zone in network-provided access information too */
    unsigned specific_actions;    /**< bit n: Specific-Action n is subscribed to for a call; 0: the default */
    char *journal_file;           /**< open Rx sessions, for the next start; NULL = none */
    char *record_file;            /**< all Rx messages as lines of JSON; NULL = none */
    uint32_t history_sessions;    /**< ended Rx sessions that a shard remembers for "rx explain" */
    char **turn_servers;          /**< TURN servers inside the access network, see epc_turn_server_parse() */
    size_t n_turn_servers;
};

/** A PLMN identity (TS 23.003 2.2), or an MCC alone. */
struct epc_plmn {
    bool given;                   /**< false: none, the rest is 0 */
    uint8_t mnc_digits;           /**< 2 or 3; 0: the MCC alone */
    uint16_t mcc, mnc;
};
enum { EPC_PLMN_LEN = 8 }; /* of its longest form, NUL included */
/** "26201", "262001", "262-01", "262-001" or "262". @return false: malformed, @p out untouched */
bool epc_plmn_parse(struct epc_str text, struct epc_plmn *out);
/** What a row of a table names: from first to last; first.given false: "default". */
struct epc_plmn_range {
    struct epc_plmn first, last;
};
/** A PLMN, "262", "262-01..262-09" or "default". @return NULL, or what is wrong and what to do (static) */
const char *epc_plmn_range_parse(struct epc_str text, struct epc_plmn_range *out);
/** How well a row fits: 0 not at all; the higher, the more exactly (5 that PLMN, 4 a range with it; 3 and 2
 *  the same with an MNC of another length but the same number, 01 and 001; 1 its MCC). "default" fits nobody. */
unsigned epc_plmn_rank(const struct epc_plmn_range *r, const struct epc_plmn *p);
bool epc_plmn_ranges_overlap(const struct epc_plmn_range *a, const struct epc_plmn_range *b);
bool epc_plmn_ranges_equal(const struct epc_plmn_range *a, const struct epc_plmn_range *b);

enum epc_plmn_match { EPC_PLMN_EITHER, EPC_PLMN_SERVING, EPC_PLMN_HOME };
struct epc_cfg_plmn {             /**< wwsf.plmn[]; rows of the same plmn and match stand together */
    char *plmn;                   /**< see epc_plmn_range_parse() */
    char *url;                    /**< wss:// URL of the eP-CSCF */
    enum epc_plmn_match match;    /**< which of the user's networks it is compared with */
    uint32_t priority, weight;    /**< as in RFC 2782 */
    char *health_url;             /**< what is asked instead of url; NULL: url itself, with https */
};
/** registration.redirect[]: who is sent to another eP-CSCF. A row with both conditions needs both. */
struct epc_cfg_redirect {
    char *home_domain;            /**< host of the REGISTER's Request-URI; NULL: any */
    char *plmn;                   /**< network in P-Access-Network-Info; NULL: any */
    char *url;                    /**< wss:// URL of the eP-CSCF that serves them */
    int status;                   /**< 305 or 503 */
    uint32_t retry_after_s;       /**< with 503 */
};
struct epc_cfg_wwsf {
    bool enabled;
    struct epc_addr listen;
    char *certificate, *key;
    char *public_url;             /**< https origin under which browsers see it */
    char *id;                     /**< its WWSF id (azp) */
    char *issuer, *audience, *scope;
    char *signing_key;            /**< PEM file, EC P-256 or RSA; made at start if missing */
    char *jwks_file;              /**< where the public key set is written for the eP-CSCF */
    char *database;               /**< SQLite file: users, sessions, pool, keys; made if missing */
    char *users_file;             /**< JSON, brought into the database; NULL = none: wwsf/README.md */
    char *pool_file;              /**< the pool's identities, IMPI and IMPU on a line */
    char *home_domain;
    char *page_dir;               /**< the built page; default: installed location */
    uint32_t token_lifetime_s;
    bool guests;                  /**< anybody may borrow an identity of the pool */
    bool pool_revoke;             /**< at log-out, revoke the identity's tokens and lend it again at once */
    uint32_t pool_margin_s;       /**< a lent identity stays with its user so long after its last token */
    uint32_t key_rotation_s;      /**< a new signing key so often; 0 = never by itself */
    uint32_t key_publish_s;       /**< a new key is published so long before it signs */
    char **allowed_origins;       /**< of pages hosted elsewhere that may use /api/ (CORS) */
    size_t n_allowed_origins;
    struct epc_cfg_plmn *plmn;
    size_t n_plmn;
    enum epc_plmn_match plmn_first; /**< SERVING or HOME: which is looked up first */
    bool plmn_lenient;            /**< a malformed PLMN counts as none, instead of 400 */
    uint32_t plmn_ttl_s;          /**< how long a WIC may keep the choice */
    uint32_t health_interval_s;   /**< between probes of an eP-CSCF; 0: none */
    uint32_t health_timeout_ms;   /**< for one probe */
    uint32_t health_fall, health_rise; /**< probes in a row that make it unhealthy, healthy */
    char *health_ca_file;         /**< PEM; NULL: the system's */
};

struct epc_cfg_admin {
    struct epc_addr metrics_listen; /**< plain HTTP: /metrics, /health; len 0 = off */
    char *control_socket;           /**< path of the Unix socket of epcscfctl; NULL = off */
};

struct epc_config {
    uint32_t shards;              /**< already resolved: never 0 */
    enum epc_log_level log_level;
    char *log_file;               /**< NULL = standard error */
    bool log_identities;
    char *trace_file;             /**< NULL = off */
    struct epc_cfg_wss wss;
    struct epc_cfg_sip sip;
    struct epc_cfg_registration registration;
    struct epc_cfg_tokens tokens;
    struct epc_cfg_calls calls;
    struct epc_cfg_media media;
    struct epc_cfg_policy policy;
    struct epc_cfg_wwsf wwsf;
    struct epc_cfg_admin admin;
};

/** Read and check a whole file. Every fault is reported, not just the first, as
 *  "FILE:LINE: key: what is wrong; what to do" through @p report.
 *  @param[out] out gives; NULL unless EPC_OK
 *  @return EPC_OK, EPC_EIO (cannot read), EPC_EPROTO (at least one fault), EPC_ENOMEM
 *  Thread: any that may block. */
enum epc_err epc_config_load(const struct epc_config **out, const char *file,
                             void (*report)(void *arg, const char *line), void *arg) EPC_MUST_CHECK;
void epc_config_free(const struct epc_config *c); /**< NULL-safe */
/** The reference of all keys, from the schema table, as Markdown. */
void epc_config_reference(FILE *out);

#endif
