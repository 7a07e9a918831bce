/* The one table of configuration keys. */
#include "config/config_priv.h"

#include <limits.h>
#include <string.h>

#define AT(member) .at = offsetof(struct epc_config, member)
#define COUNT(member) .count_at = offsetof(struct epc_config, member)
#define IN(type, member) .at = offsetof(struct type, member)
#define IN_COUNT(type, member) .count_at = offsetof(struct type, member)
#define TABLE(keys_, type) {keys_, EPC_ARRAY_LEN(keys_), sizeof(type)}

_Static_assert(sizeof(enum epc_log_level) == sizeof(int) && sizeof(enum epc_policy_mode) == sizeof(int) &&
                   sizeof(enum epc_gateway_kind) == sizeof(int) && sizeof(enum epc_h248_stop) == sizeof(int) &&
                   sizeof(enum epc_core_transport) == sizeof(int) &&
                   sizeof(enum epc_token_replay) == sizeof(int) && sizeof(enum epc_trickle) == sizeof(int) &&
                   sizeof(enum epc_unrefreshed) == sizeof(int) &&
                   sizeof(enum epc_early_media) == sizeof(int) && sizeof(enum epc_preconditions) == sizeof(int),
               "CFG_ENUM writes an int");

static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const tls_records[] = {"own", "openssl", NULL};
static const char *const tls_versions[] = {"1.2", "1.3", NULL};
static const char *const reg_modes[] = {"digest", "token", NULL};
static const int reg_mode_bits[] = {EPC_MODE_DIGEST, EPC_MODE_TOKEN};
static const char *const core_transports[] = {"auto", "udp", "tcp", NULL};
static const char *const integrity_values[] = {"auth-done", "tls-yes", NULL};
static const char *const token_ends[] = {"keep", "release", NULL};
static const char *const token_replays[] = {"off", "same_instance", NULL};
static const char *const jwt_algorithms[] = {"ES256", "ES384", "RS256", "PS256", "EdDSA", NULL};
static const char *const gateways[] = {"rtpengine", "h248", NULL};
static const char *const h248_stops[] = {"forced", "graceful", "handoff", NULL};
static const char *const policy_modes[] = {"required", "optional", "off", NULL};
static const int policy_mode_values[] = {EPC_POLICY_REQUIRED, EPC_POLICY_OPTIONAL, EPC_POLICY_OFF};

static const char *const media_types[] = {"audio", "video", "data", "application", "control", "text", "message",
                                          "other", NULL};
static const int media_type_bits[] = {1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, INT_MIN};
static const char *const bundles[] = {"refuse", "merge", "split", NULL};
static const char *const trickles[] = {"refuse", "absorb", NULL};
static const char *const unrefreshed[] = {"keep", "refresh", "release", NULL};
static const char *const early_medias[] = {"open", "closed", NULL};
static const char *const preconditions[] = {"act", "refuse", "offer", NULL};
static const char *const charging_infos[] = {"off", "eps", NULL};
static const char *const webrtc_avps[] = {"off", "negotiated", "on", NULL};

static const char *const plmn_matches[] = {"either", "serving", "home", NULL};
static const char *const plmn_firsts[] = {"serving", "home", NULL};
static const int plmn_first_values[] = {EPC_PLMN_SERVING, EPC_PLMN_HOME};
static const char *const redirect_statuses[] = {"305", "503", NULL};
static const int redirect_status_values[] = {305, 503};

/* Specific-Actions that may be subscribed to (TS 29.214 5.3.13); bit n stands for value n. */
static const char *const specific_actions[] = {
    "charging_correlation", "loss_of_bearer", "recovery_of_bearer", "release_of_bearer", "ip_can_change",
    "out_of_credit", "resources_allocated", "resources_failed", "limited_pcc", "access_network_info",
    "limited_pcc_over", "plmn_change", "eps_fallback", "credit_back", NULL};
static const int specific_action_bits[] = {
    1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 6, 1 << 7, 1 << 8, 1 << 9, 1 << 10, 1 << 12, 1 << 13, 1 << 16, 1 << 17,
    1 << 18};

static const struct cfg_key origin_keys[] = {
    {"origin", CFG_ORIGIN, .need = CFG_NEED_ALWAYS, IN(epc_cfg_origin, origin),
     .help = "Origin header that browsers send from the WWSF's pages: `scheme://host[:port]`"},
    {"wwsf", CFG_STRING, .need = CFG_NEED_ALWAYS, IN(epc_cfg_origin, wwsf),
     .help = "id of that WWSF: what a token's `azp` or `client_id` must say"},
    {"modes", CFG_MODES, IN(epc_cfg_origin, modes), .names = reg_modes, .values = reg_mode_bits,
     .def = "digest", .help = "registration modes (TS 23.228 U.2.1) that its pages may use"},
};
static const struct cfg_table origin_table = TABLE(origin_keys, struct epc_cfg_origin);

static const struct cfg_key profile_keys[] = {
    {"name", CFG_TOKEN, .need = CFG_NEED_ALWAYS, IN(epc_cfg_policy_profile, name),
     .help = "how `policy.profile` and `policy.peers` refer to it; `3gpp` and `open5gs` are built in"},
    {"media_types", CFG_MODES, IN(epc_cfg_policy_profile, media_types), .names = media_types,
     .values = media_type_bits, .def = "audio video data application control text message other",
     .help = "Media-Types that the PCRF takes; components of others are not sent"},
    {"merge_same_type", CFG_BOOL, IN(epc_cfg_policy_profile, merge_same_type), .def = "false",
     .help = "components of one Media-Type become one"},
    {"one_filter_per_direction", CFG_BOOL, IN(epc_cfg_policy_profile, one_filter_per_direction),
     .def = "false", .help = "at most one Flow-Description for each direction of a component"},
    {"removed", CFG_BOOL, IN(epc_cfg_policy_profile, removed), .def = "true",
     .help = "send Flow-Status REMOVED for media that ended"},
    {"codec_data", CFG_BOOL, IN(epc_cfg_policy_profile, codec_data), .def = "true", .help = "send Codec-Data"},
    {"features", CFG_BOOL, IN(epc_cfg_policy_profile, features), .def = "true",
     .help = "send Supported-Features"},
    {"webrtc_avps", CFG_ENUM, IN(epc_cfg_policy_profile, webrtc_avps), .names = webrtc_avps, .def = "off",
     .help = "vendor AVPs with the gateway's WebRTC information: `negotiated` by Supported-Features"},
    {"logout_only", CFG_BOOL, IN(epc_cfg_policy_profile, logout_only), .def = "false",
     .help = "Termination-Cause is always DIAMETER_LOGOUT, also after an ASR and at shut-down"},
    {"omit", CFG_LIST, CFG_TOKEN, IN(epc_cfg_policy_profile, omit), IN_COUNT(epc_cfg_policy_profile, n_omit),
     .def_note = "none", .help = "names of AVPs that are never sent"},
};
static const struct cfg_table profile_table = TABLE(profile_keys, struct epc_cfg_policy_profile);

static const struct cfg_key codec_bw_keys[] = {
    {"codec", CFG_TOKEN, .need = CFG_NEED_ALWAYS, IN(epc_cfg_codec_bw, codec),
     .help = "name as in `a=rtpmap`: opus, PCMU, VP8, H264"},
    {"bps", CFG_U32, IN(epc_cfg_codec_bw, bps), .min = 1000, .max = 1000000000, .unit = "bit/s", .def = "64000",
     .help = "one direction, IP, UDP and RTP included"},
};
static const struct cfg_table codec_bw_table = TABLE(codec_bw_keys, struct epc_cfg_codec_bw);

static const struct cfg_key access_keys[] = {
    {"network", CFG_STRING, .need = CFG_NEED_ALWAYS, IN(epc_cfg_policy_access, network),
     .help = "addresses of its UEs: `address/bits`"},
    {"mode", CFG_ENUM, IN(epc_cfg_policy_access, mode), .names = policy_modes, .values = policy_mode_values,
     .def = "required", .help = "`policy.mode` for these UEs"},
    {"ip_domain_id", CFG_STRING, IN(epc_cfg_policy_access, ip_domain_id), .def_note = "none",
     .help = "IP-Domain-Id, where networks use the same private addresses"},
    {"called_station_id", CFG_STRING, IN(epc_cfg_policy_access, called_station_id), .def_note = "none",
     .help = "Called-Station-Id: APN or DNN"},
};
static const struct cfg_table access_table = TABLE(access_keys, struct epc_cfg_policy_access);

static const struct cfg_key issuer_keys[] = {
    {"issuer", CFG_STRING, .need = CFG_NEED_ALWAYS, IN(epc_cfg_issuer, issuer),
     .help = "the tokens' `iss`, exactly"},
    {"jwks_file", CFG_FILE_READ, IN(epc_cfg_issuer, jwks_file), .def_note = "none",
     .help = "the issuer's public keys (RFC 7517), read again when they change; may be missing when it is "
             "`wwsf.jwks_file`"},
    {"jwks_url", CFG_HTTP_URL, IN(epc_cfg_issuer, jwks_url), .def_note = "none",
     .help = "where the issuer's public keys are fetched, instead of `jwks_file`; `https`, or `http` to a "
             "loopback address"},
    {"introspection_url", CFG_HTTP_URL, IN(epc_cfg_issuer, introspection_url), .def_note = "none",
     .help = "where the issuer tells what an opaque token grants (RFC 7662)"},
    {"introspection_client_id", CFG_STRING, IN(epc_cfg_issuer, introspection_client_id), .def_note = "none",
     .help = "the name under which the issuer knows the eP-CSCF; needed with `introspection_url`"},
    {"introspection_secret_file", CFG_FILE_READ, IN(epc_cfg_issuer, introspection_secret_file),
     .def_note = "none", .help = "file with the password to that name; needed with `introspection_url`"},
    {"ca_file", CFG_FILE_READ, IN(epc_cfg_issuer, ca_file), .def_note = "the system's store",
     .help = "PEM file: the CA certificates that the issuer's servers are checked against"},
    {"algorithms", CFG_LIST, CFG_CHOICE, IN(epc_cfg_issuer, algorithms),
     IN_COUNT(epc_cfg_issuer, n_algorithms), .names = jwt_algorithms, .def = "ES256",
     .help = "signature algorithms accepted from this issuer"},
    {"audience", CFG_STRING, .need = CFG_NEED_ALWAYS, IN(epc_cfg_issuer, audience),
     .help = "must be among the tokens' `aud`"},
    {"scope", CFG_STRING, IN(epc_cfg_issuer, scope), .def = "sip",
     .help = "must be among the tokens' scopes; `\"\"`: not checked"},
    {"wwsfs", CFG_LIST, CFG_STRING, .need = CFG_NEED_ALWAYS, IN(epc_cfg_issuer, wwsfs),
     IN_COUNT(epc_cfg_issuer, n_wwsfs), .help = "ids of the WWSFs that may use this issuer"},
    {"impi_claim", CFG_STRING, IN(epc_cfg_issuer, impi_claim), .def = "impi",
     .help = "claim that holds the private identity; dots lead into nested claims"},
    {"impu_claim", CFG_STRING, IN(epc_cfg_issuer, impu_claim), .def = "impu",
     .help = "claim that holds the public identity or identities; dots lead into nested claims"},
    {"max_lifetime_s", CFG_U32, IN(epc_cfg_issuer, max_lifetime_s), .min = 10, .max = 604800,
     .unit = "s", .def = "86400", .help = "tokens that live longer (`exp` - `iat`) are refused"},
    {"skew_s", CFG_U32, IN(epc_cfg_issuer, skew_s), .min = 0, .max = 600, .unit = "s", .def = "30",
     .help = "how far the issuer's clock may be off"},
    {"home_domains", CFG_LIST, CFG_HOST, IN(epc_cfg_issuer, home_domains),
     IN_COUNT(epc_cfg_issuer, n_home_domains), .def_note = "not checked",
     .help = "domains of the identities that it may grant"},
    {"origins", CFG_LIST, CFG_ORIGIN, IN(epc_cfg_issuer, origins), IN_COUNT(epc_cfg_issuer, n_origins),
     .def_note = "those of its WWSFs", .help = "origins whose pages may bring its tokens"},
    {"realm", CFG_STRING, IN(epc_cfg_issuer, realm), .def_note = "`tokens.realm`",
     .help = "realm in challenges to its users"},
    {"authz_server", CFG_HTTPS_URI, IN(epc_cfg_issuer, authz_server), .def_note = "`tokens.authz_server`",
     .help = "where its users get a token, told in the challenge"},
    {"waf", CFG_STRING, IN(epc_cfg_issuer, waf), .def_note = "`registration.authorization_entity`",
     .help = "the WAF's identity that the core is told for its users"},
};
static const struct cfg_table issuer_table = TABLE(issuer_keys, struct epc_cfg_issuer);

static const struct cfg_key pool_keys[] = {
    {"wwsf", CFG_STRING, .need = CFG_NEED_ALWAYS, IN(epc_cfg_pool, wwsf),
     .help = "id of the WWSF that lends these subscriptions; its tokens then grant nothing else, unless `shared`"},
    {"subscriptions", CFG_LIST, CFG_STRING, IN(epc_cfg_pool, subscriptions),
     IN_COUNT(epc_cfg_pool, n_subscriptions), .def_note = "none",
     .help = "each an IMPI, a blank and its one IMPU"},
    {"impi_range", CFG_STRING, IN(epc_cfg_pool, impi_range), .def_note = "none",
     .help = "IMPIs with a running number: `guest{0000-9999}@ims.example.org`"},
    {"impu_range", CFG_STRING, IN(epc_cfg_pool, impu_range), .def_note = "none",
     .help = "the IMPUs to `impi_range`, in the same order: `sip:guest{0000-9999}@ims.example.org`"},
    {"file", CFG_FILE_READ, IN(epc_cfg_pool, file), .def_note = "none",
     .help = "text file with a subscription a line, IMPI and IMPU; `#` begins a comment"},
    {"anonymous", CFG_BOOL, IN(epc_cfg_pool, anonymous), .def = "false",
     .help = "nobody knows its users: their identity is withheld from those they call"},
    {"shared", CFG_BOOL, IN(epc_cfg_pool, shared), .def = "false",
     .help = "the WWSF also has users with subscriptions of their own, outside all pools"},
};
static const struct cfg_table pool_table = TABLE(pool_keys, struct epc_cfg_pool);

static const char *const iq_ices[] = {"lite", "full", NULL};
static const struct cfg_key iq_name_keys[] = {
    {"element", CFG_CHOICE, .need = CFG_NEED_ALWAYS, IN(epc_cfg_iq_name, element), .names = epc_iq_elements,
     .help = "what it stands for; gateway/h248/README.md explains each"},
    {"name", CFG_STRING, IN(epc_cfg_iq_name, name), .def = "",
     .help = "what the gateways call it, as `package/name`; `\"\"`: it is not used"},
};
static const struct cfg_table iq_name_table = TABLE(iq_name_keys, struct epc_cfg_iq_name);

static const struct cfg_key plmn_keys[] = {
    {"plmn", CFG_PLMN, .need = CFG_NEED_ALWAYS, IN(epc_cfg_plmn, plmn),
     .help = "MCC and MNC (`26201`, `262-01`), an MCC alone (`262`), a range (`262-01..262-09`) or `default`"},
    {"url", CFG_WSS_URL, .need = CFG_NEED_ALWAYS, IN(epc_cfg_plmn, url),
     .help = "`wss://` URL of an eP-CSCF for users of that network; several in rows of their own"},
    {"match", CFG_ENUM, IN(epc_cfg_plmn, match), .names = plmn_matches, .def = "either",
     .help = "which network of the user's it is compared with"},
    {"priority", CFG_U32, IN(epc_cfg_plmn, priority), .max = 65535, .def = "0",
     .help = "among rows of the same plmn, lower ones come first (RFC 2782)"},
    {"weight", CFG_U32, IN(epc_cfg_plmn, weight), .max = 65535, .def = "0",
     .help = "among those of the same priority, its share of being first (RFC 2782); all 0: the order of the rows"},
    {"health_url", CFG_HTTP_URL, IN(epc_cfg_plmn, health_url), .def_note = "`url`, with `https`",
     .help = "what is asked whether the eP-CSCF lives; any answer under 500 says so"},
};
static const struct cfg_table plmn_table = TABLE(plmn_keys, struct epc_cfg_plmn);

static const struct cfg_key redirect_keys[] = {
    {"home_domain", CFG_HOST, IN(epc_cfg_redirect, home_domain), .def_note = "any",
     .help = "domain that the REGISTER is for"},
    {"plmn", CFG_PLMN, IN(epc_cfg_redirect, plmn), .def_note = "any",
     .help = "network that P-Access-Network-Info names: a PLMN, an MCC alone or a range"},
    {"url", CFG_WSS_URL, .need = CFG_NEED_ALWAYS, IN(epc_cfg_redirect, url),
     .help = "`wss://` URL of the eP-CSCF that serves these users"},
    {"status", CFG_ENUM, IN(epc_cfg_redirect, status), .names = redirect_statuses,
     .values = redirect_status_values, .def = "305",
     .help = "305 Use Proxy names that eP-CSCF in Contact; 503 only sends the user away"},
    {"retry_after_s", CFG_U32, IN(epc_cfg_redirect, retry_after_s), .min = 1, .max = 86400, .unit = "s",
     .def = "60", .help = "Retry-After of a 503"},
};
static const struct cfg_table redirect_table = TABLE(redirect_keys, struct epc_cfg_redirect);

static const struct cfg_key pcrf_keys[] = {
    {"host", CFG_HOST, IN(epc_cfg_pcrf, host), .need = CFG_NEED_ALWAYS,
     .help = "Diameter identity, as in a ConnectPeer line of `policy.diameter_config`"},
    {"realm", CFG_HOST, IN(epc_cfg_pcrf, realm), .def_note = "`policy.destination_realm`",
     .help = "Destination-Realm of what goes to it"},
    {"profile", CFG_TOKEN, IN(epc_cfg_pcrf, profile), .def_note = "`policy.profile`",
     .help = "what it bears; of an agent: what the PCRFs behind it bear"},
    {"priority", CFG_U32, IN(epc_cfg_pcrf, priority), .min = 0, .max = 1000000, .def = "0",
     .help = "lower is asked first; equals share the sessions"},
};
static const struct cfg_table pcrf_table = TABLE(pcrf_keys, struct epc_cfg_pcrf);

static const struct cfg_key h248_gateway_keys[] = {
    {"mid", CFG_STRING, IN(epc_cfg_h248_gateway, mid), .def_note = "any",
     .help = "message identifier that it registers with: `\"[192.0.2.20]:2944\"`, `<agw1.example.org>`"},
    {"network", CFG_STRING, IN(epc_cfg_h248_gateway, network), .def_note = "any",
     .help = "address or network that it comes from: `192.0.2.20`, `192.0.2.0/28`"},
    {"weight", CFG_U32, IN(epc_cfg_h248_gateway, weight), .min = 0, .max = 1000, .def = "10",
     .help = "its share of new calls; 0: only when no other has room"},
    {"max_contexts", CFG_U32, IN(epc_cfg_h248_gateway, max_contexts), .min = 0, .max = 10000000, .def = "0",
     .help = "calls that it holds at most; 0: what it says itself"},
};
static const struct cfg_table h248_gateway_table = TABLE(h248_gateway_keys, struct epc_cfg_h248_gateway);

static const struct cfg_key main_keys[] = {
    {"shards", CFG_U32, AT(shards), .min = 0, .max = 256, .def = "0",
     .help = "worker threads; 0: one for each online core"},

    {"log.level", CFG_ENUM, AT(log_level), .names = log_levels, .def = "info",
     .help = "least important lines that are written"},
    {"log.file", CFG_FILE_WRITE, AT(log_file), .def_note = "standard error",
     .help = "opened again on SIGHUP"},
    {"log.identities", CFG_BOOL, AT(log_identities), .def = "false",
     .help = "write public identities in clear instead of hashed"},
    {"trace.file", CFG_FILE_WRITE, AT(trace_file), .def_note = "no trace",
     .help = "every message at Gm, Mw, Rx and Iq as a line of JSON, secrets masked"},

    {"wss.listen", CFG_ADDRS, AT(wss.listen), COUNT(wss.n_listen), .def = "0.0.0.0:443",
     .help = "where browsers connect"},
    {"wss.certificate", CFG_FILE_READ, .need = CFG_NEED_ALWAYS, AT(wss.certificate),
     .help = "PEM file: the certificate and the chain above it"},
    {"wss.key", CFG_FILE_READ, .need = CFG_NEED_ALWAYS, AT(wss.key),
     .help = "PEM file: the certificate's private key"},
    {"wss.tls_min", CFG_CHOICE, AT(wss.tls_min), .names = tls_versions, .def = "1.2",
     .help = "lowest TLS version"},
    {"wss.tls_records", CFG_CHOICE, AT(wss.tls_records), .names = tls_records, .def = "own",
     .help = "who seals and opens the records of TLS 1.3 after OpenSSL's handshake: `own` keeps two keys of a "
             "connection and uses OpenSSL's ciphers, some 13 kB a user less; `openssl` leaves all to OpenSSL, for those "
             "who must (certified modules)"},
    {"wss.paths", CFG_LIST, CFG_PATH, AT(wss.paths), COUNT(wss.n_paths), .def = "/",
     .help = "URL paths that are served"},
    {"wss.origins", CFG_MAPS, AT(wss.origins), COUNT(wss.n_origins), .items = &origin_table,
     .def_note = "none", .help = "the WWSFs whose pages may connect"},
    {"wss.allow_no_origin", CFG_BOOL, AT(wss.allow_no_origin), .def = "false",
     .help = "serve clients without Origin header: no browsers"},
    {"wss.max_message_octets", CFG_U32, AT(wss.max_message_octets), .min = 4096, .max = 1048576,
     .unit = "octets", .def = "65536", .help = "longer messages close the connection with 1009"},
    {"wss.send_queue_octets", CFG_U32, AT(wss.send_queue_octets), .min = 16384, .max = 16777216,
     .unit = "octets", .def = "262144",
     .help = "what may wait for a browser that does not read, before it is closed"},
    {"wss.ping_interval_ms", CFG_U32, AT(wss.ping_interval_ms), .min = 1000, .max = 3600000,
     .unit = "ms", .def = "30000", .help = "time between WebSocket pings on an idle connection"},
    {"wss.pong_timeout_ms", CFG_U32, AT(wss.pong_timeout_ms), .min = 500, .max = 3600000,
     .unit = "ms", .def = "10000", .help = "no pong for so long: closed; at most the ping interval"},
    {"wss.handshake_timeout_ms", CFG_U32, AT(wss.handshake_timeout_ms), .min = 500, .max = 120000,
     .unit = "ms", .def = "10000", .help = "TLS and WebSocket handshake together"},
    {"wss.registration_timeout_ms", CFG_U32, AT(wss.registration_timeout_ms), .min = 0,
     .max = 3600000, .unit = "ms", .def = "60000",
     .help = "connections without a registration are closed after this; 0: never"},
    {"wss.max_connections", CFG_U32, AT(wss.max_connections), .min = 1, .max = 1000000,
     .def = "50000", .help = "connections on one shard"},
    {"wss.max_per_address", CFG_U32, AT(wss.max_per_address), .min = 0, .max = 1000000, .def = "0",
     .help = "connections on one shard from one address; 0: no limit"},
    {"wss.max_rate_per_address", CFG_U32, AT(wss.max_rate_per_address), .min = 0, .max = 1000000, .def = "0",
     .help = "new connections a second on one shard from one address, beyond which they get 429; 0: no limit"},
    {"wss.burst_per_address", CFG_U32, AT(wss.burst_per_address), .min = 1, .max = 1000000, .def = "50",
     .help = "new connections that `wss.max_rate_per_address` lets through at once after a quiet time"},

    {"sip.public_host", CFG_HOST, .need = CFG_NEED_ALWAYS, AT(sip.public_host),
     .help = "name or address of the browsers' side, for Record-Route"},
    {"sip.public_port", CFG_PORT, AT(sip.public_port), .def = "443",
     .help = "port of the browsers' side, for Record-Route"},
    {"sip.core_host", CFG_IP, .need = CFG_NEED_ALWAYS, AT(sip.core_host),
     .help = "own address towards the core"},
    {"sip.core_port", CFG_PORT, AT(sip.core_port), .def = "5060",
     .help = "first port towards the core, UDP and TCP; shard *i* uses this plus *i*"},
    {"sip.core_transport", CFG_ENUM, AT(sip.core_transport), .names = core_transports, .def = "auto",
     .help = "`auto`: UDP, and TCP for requests over `sip.udp_max_octets` (RFC 3261 18.1.1)"},
    {"sip.udp_max_octets", CFG_U32, AT(sip.udp_max_octets), .min = 512, .max = 65000,
     .unit = "octets", .def = "1300", .help = "longest request that `auto` sends over UDP"},
    {"sip.icscf", CFG_SIP_URI, .need = CFG_NEED_ALWAYS, AT(sip.icscf),
     .help = "entry point of the home network: a `sip:` URI with a literal address"},
    {"sip.trusted", CFG_LIST, CFG_IP, AT(sip.trusted), COUNT(sip.n_trusted),
     .def_note = "the address in `sip.icscf`",
     .help = "addresses of the core that may send requests; all others are refused"},
    {"sip.home_domains", CFG_LIST, CFG_HOST, .need = CFG_NEED_ALWAYS, AT(sip.home_domains),
     COUNT(sip.n_home_domains), .help = "domains of the home network; the first is the main one"},
    {"sip.visited_network", CFG_TOKEN, AT(sip.visited_network),
     .def_note = "the first of `sip.home_domains`", .help = "P-Visited-Network-ID"},
    {"sip.ioi", CFG_TOKEN, AT(sip.ioi), .def_note = "`sip.visited_network`",
     .help = "own inter-operator identifier, for orig-ioi and term-ioi"},
    {"sip.timer_c_ms", CFG_U32, AT(sip.timer_c_ms), .min = 1000, .max = 3600000, .unit = "ms",
     .def = "181000", .help = "Timer C: an INVITE without progress is cancelled; RFC 3261 16.6 asks for over 180000"},
    {"sip.wic_timeout_ms", CFG_U32, AT(sip.wic_timeout_ms), .min = 1000, .max = 300000, .unit = "ms",
     .def = "32000", .help = "how long a browser may take for its first answer (64*T1)"},
    {"sip.flow_timer_s", CFG_U32, AT(sip.flow_timer_s), .min = 0, .max = 3600, .unit = "s", .def = "120",
     .help = "how often a browser is asked to keep its connection alive, in `Flow-Timer` (RFC 5626 5.4) "
             "where the core uses outbound; 0: not asked"},
    {"sip.no_outbound_480", CFG_BOOL, AT(sip.no_outbound_480), .def = "false",
     .help = "answer 480 instead of 430 when the browser's connection is gone"},
    {"sip.token_key_file", CFG_FILE_READ, AT(sip.token_key_file),
     .def_note = "a fresh key at each start",
     .help = "32 octets that protect flow tokens; the same for all starts"},
    {"sip.overload_delay_ms", CFG_U32, AT(sip.overload_delay_ms), .min = 0, .max = 10000, .unit = "ms", .def = "50",
     .help = "when requests wait longer than this, all the time, the least urgent get 503 with `Retry-After`: "
             "first new registrations and requests that stand alone, at twice this time refreshes, then new calls, "
             "then de-registrations; requests within calls and emergency calls never. 0: nothing is refused"},
    {"sip.overload_interval_ms", CFG_U32, AT(sip.overload_interval_ms), .min = 100, .max = 60000, .unit = "ms",
     .def = "500", .help = "how long that must last before it is overload, and not be so before it is over"},
    {"sip.overload_retry_after_s", CFG_U32, AT(sip.overload_retry_after_s), .min = 1, .max = 3600, .unit = "s",
     .def = "5", .help = "least `Retry-After` that browsers are told in overload; each gets its own, up to three "
                         "times as much, so that they do not come back together. The core is told 1"},
    {"sip.overload_pause_ms", CFG_U32, AT(sip.overload_pause_ms), .min = 0, .max = 10000, .unit = "ms", .def = "2000",
     .help = "nothing is read for this long from a browser that comes back sooner than it was told and is refused "
             "again: refusing it over and over would take the time of those who wait. Its emergency "
             "calls wait no longer than this either. 0: it is read at once"},

    {"registration.min_expires_s", CFG_U32, AT(registration.min_expires_s), .min = 10,
     .max = 86400, .unit = "s", .def = "60", .help = "shorter registrations get 423"},
    {"registration.max_expires_s", CFG_U32, AT(registration.max_expires_s), .min = 10,
     .max = 2592000, .unit = "s", .def = "600000", .help = "longer registrations are shortened"},
    {"registration.max_rate_per_address", CFG_U32, AT(registration.max_rate_per_address), .min = 0,
     .max = 1000000, .def = "0",
     .help = "REGISTERs a second on one shard from one address; four times as many at once; 0: no limit"},
    {"registration.tna_integrity_protected", CFG_CHOICE, AT(registration.tna_integrity_protected),
     .names = integrity_values, .def = "auth-done",
     .help = "how the core is told that a token was accepted (TS 33.203 Annex U); `tls-yes` for "
             "cores that need it"},
    {"registration.authorization_entity_param", CFG_TOKEN,
     AT(registration.authorization_entity_param), .def_note = "not sent",
     .help = "name of the parameter that carries the WAF's identity"},
    {"registration.authorization_entity", CFG_STRING, AT(registration.authorization_entity),
     .def_note = "not sent", .help = "the WAF's identity"},
    {"registration.flow_loss_grace_ms", CFG_U32, AT(registration.flow_loss_grace_ms), .min = 0,
     .max = 600000, .unit = "ms", .def = "15000",
     .help = "how long a registration, and the calls that are up, outlive their connection"},
    {"registration.reg_event", CFG_BOOL, AT(registration.reg_event), .def = "false",
     .help = "subscribe at the core to the registration state of each user (TS 24.229 5.2.3), so that "
             "the network can end a registration"},
    {"registration.reg_event_expires_s", CFG_U32, AT(registration.reg_event_expires_s), .min = 60,
     .max = 2592000, .unit = "s", .def = "600000", .help = "how long such a subscription is asked for"},
    {"registration.max_flows_per_identity", CFG_U32, AT(registration.max_flows_per_identity), .min = 0,
     .max = 1000, .def = "10",
     .help = "connections on which one private identity may be registered at a time; 0: no limit"},
    {"registration.token_end_calls", CFG_ENUM, AT(registration.token_end_calls),
     .names = token_ends, .def = "keep",
     .help = "calls at the end of a token that nobody renewed: `keep` them until they end by themselves, "
             "with nothing new, or `release` them"},
    {"registration.digest_deny_3gpp_access", CFG_BOOL, AT(registration.digest_deny_3gpp_access),
     .def = "false", .help = "refuse Digest where the access network is a 3GPP one (TS 33.203 N.1)"},
    {"registration.await_auth_s", CFG_U32, AT(registration.await_auth_s), .min = 1, .max = 3600,
     .unit = "s", .def = "240",
     .help = "how long the core's challenge may wait for its answer (reg-await-auth, TS 24.229 7.8)"},
    {"registration.max_per_minute", CFG_U32, AT(registration.max_per_minute), .min = 0, .max = 100000,
     .def = "120",
     .help = "REGISTER requests of one connection in a minute; more get 500 with `Retry-After`; 0: any number"},
    {"registration.max_failures", CFG_U32, AT(registration.max_failures), .min = 1, .max = 1000,
     .def = "10", .help = "refused credentials on one connection before it is closed"},
    {"registration.strict_token", CFG_BOOL, AT(registration.strict_token), .def = "false",
     .help = "of browsers that registered with a token, ask for one in every request outside of a dialog "
             "(TS 24.371 7.2.1); else their connection speaks for them"},
    {"registration.strict_integrity", CFG_BOOL, AT(registration.strict_integrity), .def = "false",
     .help = "answer 403 to a browser that writes `integrity-protected`; else it is removed"},
    {"registration.redirect", CFG_MAPS, AT(registration.redirect), COUNT(registration.n_redirect),
     .def_note = "none", .items = &redirect_table,
     .help = "REGISTERs that belong to another eP-CSCF, which a WIC should have been given by its WWSF"},

    {"tokens.issuers", CFG_MAPS, .need = CFG_NEED_TOKENS, AT(tokens.issuers),
     COUNT(tokens.n_issuers), .items = &issuer_table, .help = "who may issue tokens"},
    {"tokens.realm", CFG_STRING, AT(tokens.realm), .def_note = "the first of `sip.home_domains`",
     .help = "realm in `WWW-Authenticate: Bearer` (RFC 8898)"},
    {"tokens.authz_server", CFG_HTTPS_URI, .need = CFG_NEED_TOKENS, AT(tokens.authz_server),
     .help = "where browsers get a token, told in the challenge"},
    {"tokens.pools", CFG_MAPS, AT(tokens.pools), COUNT(tokens.n_pools), .items = &pool_table,
     .def_note = "none",
     .help = "subscriptions that WWSFs lend to their users (TS 33.203 X.4); no other WWSF can grant them"},
    {"tokens.replay", CFG_ENUM, AT(tokens.replay), .names = token_replays, .def = "off",
     .help = "`same_instance`: a token registers one instance only (`+sip.instance`), on any connection; "
             "`off`: any of its identity (RFC 8898 2.1)"},
    {"tokens.http_timeout_ms", CFG_U32, AT(tokens.http_timeout_ms), .min = 100, .max = 30000, .unit = "ms",
     .def = "3000", .help = "for one request to an issuer, look-up of its name included"},
    {"tokens.jwks_refresh_s", CFG_U32, AT(tokens.jwks_refresh_s), .min = 60, .max = 86400, .unit = "s",
     .def = "600", .help = "how often keys are fetched when the issuer names no `max-age`"},
    {"tokens.keys_check_s", CFG_U32, AT(tokens.keys_check_s), .min = 0, .max = 3600, .unit = "s", .def = "10",
     .help = "how often key files are looked at for changes; 0: never"},
    {"tokens.introspection_cache_s", CFG_U32, AT(tokens.introspection_cache_s), .min = 0, .max = 60,
     .unit = "s", .def = "60", .help = "how long an issuer's word on an opaque token is kept, at most"},

    {"calls.strict_identity", CFG_BOOL, AT(calls.strict_identity), .def = "false",
     .help = "refuse a browser's request with 403 when its From is none of the user's identities; otherwise only "
             "P-Preferred-Identity counts"},
    {"calls.strict_routes", CFG_BOOL, AT(calls.strict_routes), .def = "false",
     .help = "refuse a browser's request whose Route is not the stored Service-Route (400) or, in a dialog, does "
             "not begin with this node's Record-Route (403); otherwise the stored route takes its place"},
    {"calls.both_identities", CFG_BOOL, AT(calls.both_identities), .def = "false",
     .help = "assert the telephone number and the SIP URI of a user (two P-Asserted-Identity) where both are "
             "registered"},
    {"calls.services", CFG_LIST, CFG_STRING, AT(calls.services), COUNT(calls.n_services),
     .def = "urn:urn-7:3gpp-service.ims.icsi.mmtel",
     .help = "IMS communication services that a browser may ask for in P-Preferred-Service; others are removed"},
    {"calls.strict_services", CFG_BOOL, AT(calls.strict_services), .def = "false",
     .help = "refuse requests for other services with 403 instead of removing the header"},
    {"calls.priority_users", CFG_LIST, CFG_STRING, AT(calls.priority_users), COUNT(calls.n_priority_users),
     .def_note = "none", .help = "public identities whose Resource-Priority passes, by their subscription"},
    {"calls.in_dialog_tokens", CFG_BOOL, AT(calls.in_dialog_tokens), .def = "false",
     .help = "check access tokens in requests inside of dialogs too, BYE excepted; otherwise they are only removed"},
    {"calls.response_source", CFG_BOOL, AT(calls.response_source), .def = "false",
     .help = "name this node in Response-Source of failures that it makes itself (TS 24.229 7.2.17)"},
    {"calls.trickle", CFG_ENUM, AT(calls.trickle), .names = trickles, .def = "refuse",
     .help = "ICE candidates that come later in INFO (RFC 8840): `refuse` with 469, or `absorb` with 200"},
    {"calls.min_se_s", CFG_U32, AT(calls.min_se_s), .min = 90, .max = 86400, .unit = "s", .def = "90",
     .help = "smallest interval of a session timer; less gets 422 (RFC 4028)"},
    {"calls.session_expires_s", CFG_U32, AT(calls.session_expires_s), .min = 0, .max = 86400, .unit = "s",
     .def = "0", .help = "largest interval of a session timer, asked for in each call; 0: what the ends agree on"},
    {"calls.unrefreshed", CFG_ENUM, AT(calls.unrefreshed), .names = unrefreshed, .def = "keep",
     .help = "calls without a session timer, because neither end has it, although `calls.session_expires_s` asks "
             "for one: `keep` them, ask both ends from here whether they are there (`refresh`), or `release` them "
             "after that time"},
    {"calls.early_media", CFG_ENUM, AT(calls.early_media), .names = early_medias, .def = "open",
     .help = "media before a call is answered, where no `P-Early-Media` of the core's says what may pass"},
    {"calls.early_media_supported", CFG_BOOL, AT(calls.early_media_supported), .def = "true",
     .help = "calls from browsers say `P-Early-Media: supported` to the core"},
    {"calls.reliable_for_wic", CFG_BOOL, AT(calls.reliable_for_wic), .def = "true",
     .help = "reliable provisional responses and their PRACK (RFC 3262) are done here for browsers that do not know "
             "them"},
    {"calls.preconditions", CFG_ENUM, AT(calls.preconditions), .names = preconditions, .def = "act",
     .help = "the core's preconditions (RFC 3312): `act` for the browser, which has none, `offer` them in its calls, "
             "too, or `refuse` what requires them with 420"},
    {"calls.ecscf", CFG_SIP_URI, AT(calls.ecscf), .def_note = "none",
     .help = "where emergency calls go: a `sip:` URI with a literal address; without it they get 380 and are to be "
             "made in another way"},
    {"calls.emergency_numbers", CFG_LIST, CFG_STRING, AT(calls.emergency_numbers), COUNT(calls.n_emergency_numbers),
     .def_note = "none", .help = "local emergency numbers: `112`, or with a service `110=urn:service:sos.police`; "
             "`urn:service:sos` and what begins with it is always one"},
    {"calls.emergency_reason", CFG_STRING, AT(calls.emergency_reason),
     .def = "Emergency calls are not possible here. Please use a telephone.",
     .help = "what the 380 tells the user"},

    {"media.gateway", CFG_ENUM, AT(media.gateway), .names = gateways, .def = "rtpengine",
     .help = "kind of media gateway"},
    {"media.rtpengine", CFG_ADDRS, AT(media.rtpengine), COUNT(media.n_rtpengine),
     .def = "127.0.0.1:2223", .help = "rtpengine's NG addresses; several share the calls"},
    {"media.access_interface", CFG_TOKEN, AT(media.access_interface), .def = "",
     .help = "rtpengine's interface name of the browsers' side; `\"\"`: not sent"},
    {"media.core_interface", CFG_TOKEN, AT(media.core_interface), .def = "",
     .help = "rtpengine's interface name of the core's side; `\"\"`: not sent"},
    {"media.timeout_ms", CFG_U32, AT(media.timeout_ms), .min = 300, .max = 30000, .unit = "ms",
     .def = "2000", .help = "for one request to the gateway, repetitions included"},
    {"media.poll_ms", CFG_U32, AT(media.poll_ms), .min = 1000, .max = 600000, .unit = "ms", .def = "10000",
     .help = "how often rtpengine is asked about a call whose media run; before that, every second"},
    {"media.ice_timeout_ms", CFG_U32, AT(media.ice_timeout_ms), .min = 0, .max = 600000, .unit = "ms",
     .def = "30000", .help = "a stream without a candidate pair for so long after its answer has failed; 0: never"},
    {"media.dtls_timeout_ms", CFG_U32, AT(media.dtls_timeout_ms), .min = 0, .max = 600000, .unit = "ms",
     .def = "15000", .help = "a stream with a candidate pair, but without a DTLS session for so long, has failed; "
                             "0: never"},
    {"media.inactivity_ms", CFG_U32, AT(media.inactivity_ms), .min = 0, .max = 86400000, .unit = "ms",
     .def = "0", .help = "a call without a packet from either side for so long ends, unless both sides hold it; "
                         "0: not looked for"},
    {"media.lost_after_ms", CFG_U32, AT(media.lost_after_ms), .min = 0, .max = 3600000, .unit = "ms",
     .def = "10000", .help = "calls of an rtpengine that is silent for so long end; 0: they are kept"},
    {"media.rtpengine_dscp", CFG_U32, AT(media.rtpengine_dscp), .min = 0, .max = 63, .def = "0",
     .help = "DiffServ code point of the media that rtpengine sends; 0: its own setting"},
    {"media.h248.access_realm", CFG_STRING, AT(media.iq.access_realm), .def = "access",
     .help = "IP realm of the browsers' side (ipdc/realm), in lower case; `\"\"`: not sent"},
    {"media.h248.core_realm", CFG_STRING, AT(media.iq.core_realm), .def = "core",
     .help = "IP realm of the core's side, in lower case; `\"\"`: not sent"},
    {"media.h248.access_termination", CFG_STRING, AT(media.iq.access_termination), .def = "ip/1/access/$",
     .help = "how a termination of the browsers' side is asked for, `$` where the gateway chooses"},
    {"media.h248.core_termination", CFG_STRING, AT(media.iq.core_termination), .def = "ip/1/core/$",
     .help = "how a termination of the core's side is asked for"},
    {"media.h248.access_ip6", CFG_BOOL, AT(media.iq.access_ip6), .def = "false",
     .help = "called browsers are offered IPv6 addresses; calling ones get the family that they use"},
    {"media.h248.core_ip6", CFG_BOOL, AT(media.iq.core_ip6), .def = "false",
     .help = "the core is offered IPv6 addresses; its own offers get the family that they use"},
    {"media.h248.ice", CFG_ENUM, AT(media.iq.ice), .names = iq_ices, .def = "lite",
     .help = "the gateways' ICE agent. `full`: connectivity checks are ordered and reported (TS 23.334 6.2.17.2)"},
    {"media.h248.learn_by_audit", CFG_BOOL, AT(media.iq.learn_by_audit), .def = "false",
     .help = "a lite gateway shows the browser's address in the Remote descriptor of an audit: it is asked every "
             "second until it does, then every `media.poll_ms`"},
    {"media.h248.filter_core", CFG_BOOL, AT(media.iq.filter_core), .def = "true",
     .help = "media of the core are taken only from the address and port of its description"},
    {"media.h248.latch_core", CFG_BOOL, AT(media.iq.latch_core), .def = "false",
     .help = "the core's peers sit behind hosted NAT: the gateway latches on to where their media come from"},
    {"media.h248.police", CFG_BOOL, AT(media.iq.police), .def = "true",
     .help = "media of the browsers are held to the rate of their description"},
    {"media.h248.audio_bps", CFG_U32, AT(media.iq.audio_bps), .min = 8000, .max = 10000000, .unit = "bit/s",
     .def = "100000", .help = "rate of audio without b=AS"},
    {"media.h248.video_bps", CFG_U32, AT(media.iq.video_bps), .min = 8000, .max = 100000000, .unit = "bit/s",
     .def = "2500000", .help = "rate of video without b=AS"},
    {"media.h248.burst_octets", CFG_U32, AT(media.iq.burst_octets), .min = 0, .max = 1000000, .unit = "octets",
     .def = "0", .help = "burst that policing lets pass; 0: not said"},
    {"media.h248.dscp_audio", CFG_U32, AT(media.iq.dscp_audio), .min = 0, .max = 63, .def = "46",
     .help = "DiffServ code point of audio, both sides; 0: not said"},
    {"media.h248.dscp_video", CFG_U32, AT(media.iq.dscp_video), .min = 0, .max = 63, .def = "34",
     .help = "DiffServ code point of video, both sides; 0: not said"},
    {"media.h248.heartbeat_s", CFG_U32, AT(media.iq.heartbeat_s), .min = 0, .max = 86400, .unit = "s",
     .def = "3600", .help = "how often each termination asks whether it is still wanted; 0: never"},
    {"media.h248.data_channels", CFG_BOOL, AT(media.iq.data_channels), .def = "false",
     .help = "the gateways terminate data channels"},
    {"media.h248.transcodes", CFG_BOOL, AT(media.iq.transcodes), .def = "false",
     .help = "the gateways transcode between the audio codecs of `media.audio_codecs`"},
    {"media.h248.names", CFG_MAPS, AT(media.iq.names), COUNT(media.iq.n_names), .items = &iq_name_table,
     .def_note = "those of gateway/h248/README.md",
     .help = "what the gateways call elements of packages whose names are not confirmed"},
    {"media.audio_codecs", CFG_LIST, CFG_TOKEN, AT(media.audio_codecs),
     COUNT(media.n_audio_codecs), .def = "opus AMR-WB AMR G722 PCMA PCMU",
     .help = "allowed between the legs, preferred first; telephone-event goes with them"},
    {"media.video_codecs", CFG_LIST, CFG_TOKEN, AT(media.video_codecs),
     COUNT(media.n_video_codecs), .def = "H264 VP8",
     .help = "allowed between the legs, preferred first"},
    {"media.h248.listen", CFG_LIST, CFG_H248_LISTEN, AT(media.h248.listen), COUNT(media.h248.n_listen),
     .def = "tcp:127.0.0.1:2944", .help = "where the gateways connect (Iq): `tcp:ADDRESS:PORT`, `udp:ADDRESS:PORT`"},
    {"media.h248.mid", CFG_STRING, AT(media.h248.mid), .def_note = "the first address of `media.h248.listen`",
     .help = "our message identifier: `[ADDRESS]:PORT` or `<NAME>:PORT`"},
    {"media.h248.gateways", CFG_MAPS, AT(media.h248.gateways), COUNT(media.h248.n_gateways),
     .def_note = "none; obligatory with `media.gateway: h248`", .items = &h248_gateway_table,
     .help = "who may register; several share the calls"},
    {"media.h248.version", CFG_U32, AT(media.h248.version), .min = 1, .max = 3, .def = "2",
     .help = "highest version of H.248.1 that is agreed to"},
    {"media.h248.profile", CFG_STRING, AT(media.h248.profile), .def = "threegiq/4",
     .help = "profile and version that are agreed to; `\"\"`: none"},
    {"media.h248.compact", CFG_BOOL, AT(media.h248.compact), .def = "false",
     .help = "write short tokens (both are read)"},
    {"media.h248.retransmit_ms", CFG_U32, AT(media.h248.retransmit_ms), .min = 50, .max = 10000, .unit = "ms",
     .def = "250", .help = "UDP: first repetition of a request; doubled each time"},
    {"media.h248.retransmit_max_ms", CFG_U32, AT(media.h248.retransmit_max_ms), .min = 50, .max = 60000,
     .unit = "ms", .def = "4000", .help = "UDP: longest wait between repetitions"},
    {"media.h248.retransmit_tries", CFG_U32, AT(media.h248.retransmit_tries), .min = 0, .max = 20, .def = "7",
     .help = "UDP: repetitions within `media.timeout_ms`"},
    {"media.h248.long_timer_ms", CFG_U32, AT(media.h248.long_timer_ms), .min = 1000, .max = 300000,
     .unit = "ms", .def = "30000", .help = "LONG-TIMER: how long replies are kept for repeated requests"},
    {"media.h248.pending_ms", CFG_U32, AT(media.h248.pending_ms), .min = 50, .max = 60000, .unit = "ms",
     .def = "2000", .help = "a request that takes longer is answered with TransactionPending first; a "
                            "gateway's own lengthens the wait by so much, unless it names another time"},
    {"media.h248.pending_limit", CFG_U32, AT(media.h248.pending_limit), .min = 1, .max = 100, .def = "5",
     .help = "TransactionPendings of one transaction, unless the gateway names another limit"},
    {"media.h248.audit_interval_ms", CFG_U32, AT(media.h248.audit_interval_ms), .min = 0, .max = 600000,
     .unit = "ms", .def = "10000", .help = "how often each gateway is asked whether it lives; 0: never"},
    {"media.h248.audit_misses", CFG_U32, AT(media.h248.audit_misses), .min = 1, .max = 20, .def = "3",
     .help = "so many unanswered in a row: the gateway counts as lost"},
    {"media.h248.recovery_ms", CFG_U32, AT(media.h248.recovery_ms), .min = 0, .max = 3600000, .unit = "ms",
     .def = "30000", .help = "a lost gateway's calls are held so long for its return"},
    {"media.h248.avoid_ms", CFG_U32, AT(media.h248.avoid_ms), .min = 0, .max = 600000, .unit = "ms",
     .def = "5000", .help = "no new calls for a gateway that said it had no room"},
    {"media.h248.max_contexts", CFG_U32, AT(media.h248.max_contexts), .min = 1, .max = 10000000,
     .def = "10000", .help = "calls of a gateway that names no limit"},
    {"media.h248.stop", CFG_ENUM, AT(media.h248.stop), .names = h248_stops, .def = "forced",
     .help = "what the gateways are told when this node stops: `forced`, `graceful`, or `handoff` to another MGC"},
    {"media.h248.handoff_mid", CFG_STRING, AT(media.h248.handoff_mid), .def_note = "none is named",
     .help = "message identifier of the MGC that they are handed to"},

    {"policy.mode", CFG_ENUM, AT(policy.mode), .names = policy_modes, .values = policy_mode_values,
     .def = "off",
     .help = "`required`: no call without the PCRF's consent; `optional`: calls go on while no PCRF "
             "answers; `off`: nobody is asked"},
    {"policy.diameter_config", CFG_FILE_READ, .need = CFG_NEED_POLICY, AT(policy.diameter_config),
     .help = "freeDiameter's own configuration file"},
    {"policy.destination_realm", CFG_HOST, AT(policy.destination_realm),
     .def_note = "the first of `sip.home_domains`", .help = "the PCRF's Diameter realm"},
    {"policy.destination_host", CFG_HOST, AT(policy.destination_host),
     .def_note = "any peer of the realm", .help = "one PCRF's Diameter identity"},
    {"policy.timeout_ms", CFG_U32, AT(policy.timeout_ms), .min = 200, .max = 30000, .unit = "ms",
     .def = "2000", .help = "for one Rx request"},
    {"policy.failover_ms", CFG_U32, AT(policy.failover_ms), .min = 50, .max = 10000, .unit = "ms",
     .def = "700", .help = "a peer silent for so long: the request goes to the next one as well; at most "
                           "half of `policy.timeout_ms` counts"},
    {"policy.peers", CFG_MAPS, AT(policy.peers), COUNT(policy.n_peers), .items = &pcrf_table,
     .def_note = "every PCRF and agent of `policy.diameter_config`",
     .help = "PCRFs and Diameter agents in the order in which they are asked; others only when none of "
             "these is connected"},
    {"policy.journal_file", CFG_FILE_MADE, AT(policy.journal_file), .def_note = "none",
     .help = "Rx sessions that PCRFs hold; after a crash the next start closes them there"},
    {"policy.record_file", CFG_FILE_MADE, AT(policy.record_file), .def_note = "none",
     .help = "every Rx message as a line of JSON, with the users' identities and addresses in clear; "
             "`epcscfctl record` switches it at run time, `epcscfctl replay` reads it"},
    {"policy.af_application_id", CFG_STRING, AT(policy.af_application_id),
     .def = "urn:urn-7:3gpp-service.ims.icsi.mmtel", .help = "AF-Application-Identifier"},
    {"policy.audio_bw_bps", CFG_U32, AT(policy.audio_bw_bps), .min = 1000, .max = 1000000000,
     .unit = "bit/s", .def = "96000", .help = "audio without `b=` line; IP, UDP and RTP included"},
    {"policy.video_bw_bps", CFG_U32, AT(policy.video_bw_bps), .min = 1000, .max = 1000000000,
     .unit = "bit/s", .def = "1500000", .help = "video without `b=` line; IP, UDP and RTP included"},
    {"policy.data_bw_bps", CFG_U32, AT(policy.data_bw_bps), .min = 1000, .max = 1000000000,
     .unit = "bit/s", .def = "256000", .help = "data channels without `b=` line"},
    {"policy.profile", CFG_TOKEN, AT(policy.profile), .def = "3gpp",
     .help = "what the PCRF bears: `3gpp`, `open5gs` or one of `policy.profiles`"},
    {"policy.profiles", CFG_MAPS, AT(policy.profiles), COUNT(policy.n_profiles), .items = &profile_table,
     .def_note = "none", .help = "profiles of your own"},
    {"policy.access", CFG_MAPS, AT(policy.access), COUNT(policy.n_access), .items = &access_table,
     .def_note = "none", .help = "access networks whose UEs are treated apart; the longest prefix counts"},
    {"policy.webrtc_vendor", CFG_U32, AT(policy.webrtc_vendor), .min = 1, .max = 16777215, .def = "32473",
     .help = "enterprise number of the vendor AVPs"},
    {"policy.preliminary", CFG_BOOL, AT(policy.preliminary), .def = "false",
     .help = "ask on the offer already (Service-Info-Status PRELIMINARY), before the answer"},
    {"policy.specific_actions", CFG_MODES, AT(policy.specific_actions), .names = specific_actions,
     .values = specific_action_bits,
     .def = "charging_correlation loss_of_bearer recovery_of_bearer release_of_bearer ip_can_change "
            "resources_failed",
     .help = "what the PCRF is asked to report of a call's bearers (Specific-Action)"},
    {"policy.access_time_zone", CFG_BOOL, AT(policy.access_time_zone), .def = "false",
     .help = "put the UE's time zone, as the PCRF reports it, into P-Access-Network-Info too"},
    {"policy.media_loss_grace_ms", CFG_U32, AT(policy.media_loss_grace_ms), .min = 0, .max = 60000,
     .unit = "ms", .def = "5000",
     .help = "how long a call whose bearers are all lost waits for their recovery before it is released"},
    {"policy.access_info", CFG_BOOL, AT(policy.access_info), .def = "false",
     .help = "ask for the user's location and time zone (Required-Access-Info), for P-Access-Network-Info"},
    {"policy.charging_info", CFG_ENUM, AT(policy.charging_info), .names = charging_infos, .def = "eps",
     .help = "how the PCRF's charging identifiers go into P-Charging-Vector: `eps` (pdngw, eps-info, ecid) or "
             "`off`"},
    {"policy.signalling_flows", CFG_BOOL, AT(policy.signalling_flows), .def = "false",
     .help = "the signalling session carries the filters of the WSS connection (TS 29.214 4.4.5a)"},
    {"policy.signalling_session", CFG_BOOL, AT(policy.signalling_session), .def = "false",
     .help = "an AF signalling session for each registration (TS 29.214 4.4.5)"},
    {"policy.history_sessions", CFG_U32, AT(policy.history_sessions), .max = 100000, .def = "256",
     .help = "ended Rx sessions that a shard remembers, with the messages of live and ended ones in 16 KiB for "
             "each: what `epcscfctl rx` tells; 0: none, not even live ones"},
    {"policy.codec_bw", CFG_MAPS, AT(policy.codec_bw), COUNT(policy.n_codec_bw), .items = &codec_bw_table,
     .def_note = "none",
     .help = "bandwidth of single codecs, before `policy.audio_bw_bps` and `policy.video_bw_bps`; of several "
             "codecs of a stream the greatest counts"},
    {"policy.rtcp_percent", CFG_U32, AT(policy.rtcp_percent), .min = 0, .max = 300, .unit = "%", .def = "5",
     .help = "added for RTCP on the same flow, unless `b=RR` and `b=RS` tell"},
    {"policy.srtp_percent", CFG_U32, AT(policy.srtp_percent), .min = 0, .max = 300, .unit = "%", .def = "0",
     .help = "added for SRTP's authentication tag: 10 to 16 octets a packet"},
    {"policy.rtx_percent", CFG_U32, AT(policy.rtx_percent), .min = 0, .max = 300, .unit = "%", .def = "0",
     .help = "added where retransmission (`rtx`) is agreed"},
    {"policy.fec_percent", CFG_U32, AT(policy.fec_percent), .min = 0, .max = 300, .unit = "%", .def = "0",
     .help = "added where `ulpfec` or `flexfec` is agreed"},
    {"policy.red_percent", CFG_U32, AT(policy.red_percent), .min = 0, .max = 300, .unit = "%", .def = "0",
     .help = "added where redundant encoding (`red`) is agreed"},
    {"policy.turn_percent", CFG_U32, AT(policy.turn_percent), .min = 0, .max = 300, .unit = "%", .def = "5",
     .help = "added for media through a TURN server: 4 to 36 octets a packet"},
    {"policy.bundle", CFG_ENUM, AT(policy.bundle), .names = bundles, .def = "refuse",
     .help = "how media that share one transport are told: `merge` into the first one's component, `split` into "
             "components with the same filters; `refuse`: none share, for the eP-CSCF does not agree to BUNDLE"},
    {"policy.privacy", CFG_BOOL, AT(policy.privacy), .def = "true",
     .help = "private addresses of ICE candidates stay out of the vendor AVPs"},
    {"policy.turn_servers", CFG_LIST, CFG_STRING, AT(policy.turn_servers), COUNT(policy.n_turn_servers),
     .def_note = "none",
     .help = "TURN servers inside the access network: `address`, `address:port` or `address:port/tcp`; "
             "3478 and UDP unless given"},

    {"wwsf.enabled", CFG_BOOL, AT(wwsf.enabled), .def = "false",
     .help = "run the embedded WWSF: page, log-in, tokens"},
    {"wwsf.listen", CFG_ADDR, .need = CFG_NEED_WWSF, AT(wwsf.listen), .help = "its HTTPS address"},
    {"wwsf.certificate", CFG_FILE_READ, AT(wwsf.certificate), .def_note = "`wss.certificate`",
     .help = "PEM file: the certificate and the chain above it"},
    {"wwsf.key", CFG_FILE_READ, AT(wwsf.key), .def_note = "`wss.key`",
     .help = "PEM file: the certificate's private key"},
    {"wwsf.public_url", CFG_HTTPS_ORIGIN, .need = CFG_NEED_WWSF, AT(wwsf.public_url),
     .help = "`https` origin under which browsers see it"},
    {"wwsf.id", CFG_STRING, .need = CFG_NEED_WWSF, AT(wwsf.id),
     .help = "its WWSF id, written into tokens as `azp`"},
    {"wwsf.issuer", CFG_STRING, AT(wwsf.issuer), .def_note = "`wwsf.public_url`",
     .help = "`iss` of its tokens"},
    {"wwsf.audience", CFG_STRING, AT(wwsf.audience), .def_note = "`wwsf.home_domain`",
     .help = "`aud` of its tokens"},
    {"wwsf.scope", CFG_STRING, AT(wwsf.scope), .def = "sip", .help = "`scope` of its tokens"},
    {"wwsf.signing_key", CFG_FILE_MADE, .need = CFG_NEED_WWSF, AT(wwsf.signing_key),
     .help = "PEM file, EC P-256 or RSA; made at start when it is missing"},
    {"wwsf.jwks_file", CFG_FILE_WRITE, .need = CFG_NEED_WWSF, AT(wwsf.jwks_file),
     .help = "where its public keys are written for the eP-CSCF"},
    {"wwsf.database", CFG_FILE_WRITE, AT(wwsf.database),
     .def_note = "`wwsf.sqlite` beside `wwsf.jwks_file`",
     .help = "SQLite file of its users, log-ins, pool and signing keys; made at start when it is missing"},
    {"wwsf.users_file", CFG_FILE_READ, AT(wwsf.users_file), .def_note = "none",
     .help = "JSON file of users that are brought into the database whenever it changes; passwords "
             "hashed with `epcscf --hash-password`"},
    {"wwsf.pool_file", CFG_FILE_READ, AT(wwsf.pool_file), .def_note = "none",
     .help = "file of the pool, IMPI and IMPU on a line, as in `tokens.pools[].file`; brought into the "
             "database whenever it changes"},
    {"wwsf.pool_margin_s", CFG_U32, AT(wwsf.pool_margin_s), .min = 0, .max = 86400, .unit = "s", .def = "60",
     .help = "an identity of the pool stays with its user so long after the last token for it has ended"},
    {"wwsf.pool_revoke", CFG_BOOL, AT(wwsf.pool_revoke), .def = "false",
     .help = "at log-out, revoke the tokens of a lent identity in this eP-CSCF and lend it again at once; "
             "only where no other eP-CSCF takes these tokens"},
    {"wwsf.guests", CFG_BOOL, AT(wwsf.guests), .def = "false",
     .help = "lend identities of the pool to anybody, without log-in"},
    {"wwsf.home_domain", CFG_HOST, AT(wwsf.home_domain),
     .def_note = "the first of `sip.home_domains`", .help = "domain of its users' identities"},
    {"wwsf.page_dir", CFG_DIR, AT(wwsf.page_dir), .def = EPC_PAGE_DIR,
     .help = "folder of the browser phone's page"},
    {"wwsf.token_lifetime_s", CFG_U32, AT(wwsf.token_lifetime_s), .min = 10, .max = 604800,
     .unit = "s", .def = "3600", .help = "lifetime of its tokens"},
    {"wwsf.key_rotation_s", CFG_U32, AT(wwsf.key_rotation_s), .min = 0, .max = 31536000, .unit = "s",
     .def = "0", .help = "make a new signing key so often; 0: only on demand"},
    {"wwsf.key_publish_s", CFG_U32, AT(wwsf.key_publish_s), .min = 1, .max = 604800, .unit = "s",
     .def = "900", .help = "a new key is published so long before it signs; longer than verifiers keep key sets"},
    {"wwsf.allowed_origins", CFG_LIST, CFG_HTTPS_ORIGIN, AT(wwsf.allowed_origins),
     COUNT(wwsf.n_allowed_origins), .def_note = "none",
     .help = "origins of pages hosted elsewhere that may log users in (CORS)"},
    {"wwsf.plmn", CFG_MAPS, .need = CFG_NEED_WWSF, AT(wwsf.plmn), COUNT(wwsf.n_plmn),
     .items = &plmn_table, .help = "which eP-CSCF serves which network (TS 23.228 U.2.1.3)"},
    {"wwsf.plmn_first", CFG_ENUM, AT(wwsf.plmn_first), .names = plmn_firsts, .values = plmn_first_values,
     .def = "serving", .help = "which network of a user's is looked up first; the other when no row has it"},
    {"wwsf.plmn_lenient", CFG_BOOL, AT(wwsf.plmn_lenient), .def = "false",
     .help = "take a malformed PLMN for none instead of refusing it with 400"},
    {"wwsf.plmn_ttl_s", CFG_U32, AT(wwsf.plmn_ttl_s), .min = 1, .max = 86400, .unit = "s", .def = "300",
     .help = "how long a WIC may keep the choice of eP-CSCFs"},
    {"wwsf.health_interval_s", CFG_U32, AT(wwsf.health_interval_s), .min = 0, .max = 3600, .unit = "s",
     .def = "0", .help = "how often each eP-CSCF of `wwsf.plmn` is asked whether it lives; 0: never"},
    {"wwsf.health_timeout_ms", CFG_U32, AT(wwsf.health_timeout_ms), .min = 100, .max = 60000, .unit = "ms",
     .def = "2000", .help = "how long it may take to answer"},
    {"wwsf.health_fall", CFG_U32, AT(wwsf.health_fall), .min = 1, .max = 100, .def = "3",
     .help = "failures in a row after which it is named last"},
    {"wwsf.health_rise", CFG_U32, AT(wwsf.health_rise), .min = 1, .max = 100, .def = "2",
     .help = "answers in a row after which it is in its place again"},
    {"wwsf.health_ca_file", CFG_FILE_READ, AT(wwsf.health_ca_file), .def_note = "the system's store",
     .help = "PEM file: the CA certificates that the eP-CSCFs are checked against"},

    {"admin.metrics_listen", CFG_ADDR, AT(admin.metrics_listen), .def_note = "off",
     .help = "plain HTTP for `/metrics` (OpenMetrics) and `/health`"},
    {"admin.control_socket", CFG_SOCKET, AT(admin.control_socket), .def_note = "off",
     .help = "path of the Unix socket of `epcscfctl`"},
};
const struct cfg_table cfg_main_table = TABLE(main_keys, struct epc_config);

_Static_assert(EPC_ARRAY_LEN(main_keys) <= CFG_MAX_KEYS, "CFG_MAX_KEYS");
_Static_assert(EPC_ARRAY_LEN(issuer_keys) <= CFG_MAX_ITEM_KEYS, "CFG_MAX_ITEM_KEYS");
_Static_assert(EPC_ARRAY_LEN(pcrf_keys) <= CFG_MAX_ITEM_KEYS, "CFG_MAX_ITEM_KEYS");
_Static_assert(EPC_ARRAY_LEN(h248_gateway_keys) <= CFG_MAX_ITEM_KEYS, "CFG_MAX_ITEM_KEYS");
_Static_assert(EPC_ARRAY_LEN(pool_keys) <= CFG_MAX_ITEM_KEYS, "CFG_MAX_ITEM_KEYS");

const struct cfg_key *cfg_find(const struct cfg_table *t, const char *path, size_t *index)
{
    for (size_t i = 0; i < t->n_keys; i++) {
        if (strcmp(t->keys[i].path, path) == 0) {
            if (index)
                *index = i;
            return &t->keys[i];
        }
    }
    return NULL;
}

const char *cfg_need_text(enum cfg_need need)
{
    switch (need) {
    case CFG_NEED_ALWAYS:
        return "always";
    case CFG_NEED_TOKENS:
        return "when an origin allows `token`";
    case CFG_NEED_POLICY:
        return "when `policy.mode` is not `off`";
    case CFG_NEED_WWSF:
        return "when `wwsf.enabled`";
    case CFG_NEED_NOT:
        break;
    }
    return "";
}

bool cfg_is_file(enum cfg_type t)
{
    return t == CFG_FILE_READ || t == CFG_FILE_MADE || t == CFG_FILE_WRITE || t == CFG_DIR ||
           t == CFG_SOCKET;
}
