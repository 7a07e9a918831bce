/* One fault in an otherwise good file: found once, on its line, with a remedy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "loading.h"

#define WSS                                                                                          \
    "wss:\n"                                                                                         \
    "  certificate: c.pem\n"                                                                         \
    "  key: k.pem\n"                                                                                 \
    "  origins:\n"                                                                                   \
    "    - {origin: 'https://a.test', wwsf: w}\n"
#define SIP                                                                                          \
    "sip:\n"                                                                                         \
    "  public_host: edge.test\n"                                                                     \
    "  core_host: 127.0.0.1\n"                                                                       \
    "  icscf: 'sip:127.0.0.2'\n"                                                                     \
    "  home_domains: [ims.test]\n"
static const char base[] = WSS SIP; /* 10 lines */

#define TOKENS                                                                                       \
    "tokens:\n"                                                                                      \
    "  authz_server: https://a.test/token\n"                                                         \
    "  issuers:\n"                                                                                   \
    "    - issuer: i\n"                                                                              \
    "      jwks_file: j.json\n"                                                                      \
    "      audience: a\n"                                                                            \
    "      wwsfs: [w]\n"
#define WWSF                                                                                         \
    "wwsf:\n"                                                                                        \
    "  enabled: true\n"                                                                              \
    "  listen: 127.0.0.1:8443\n"                                                                     \
    "  public_url: https://a.test\n"                                                                 \
    "  id: w\n"                                                                                      \
    "  signing_key: s.pem\n"                                                                         \
    "  jwks_file: j.json\n"                                                                          \
    "  users_file: u.json\n"                                                                         \
    "  plmn:\n"                                                                                      \
    "    - {plmn: default, url: 'wss://e.test'}\n"

/* @from in the base becomes @to; NULL: @to is added at the end, from line 11 on. */
struct one {
    const char *from, *to;
    size_t line;
    const char *key, *say;
};
static const struct one table[] = {
    /* shape of the file */
    {"  key: k.pem\n", "  key: [\n", 5, "file", "not YAML"},
    {NULL, "\ta: b\n", 11, "file", "not YAML"},
    {NULL, "---\nlog: {level: info}\n", 12, "file", "second document"},
    {NULL, "? [a]\n: b\n", 11, "file", "cannot be a key"},
    /* calls */
    {NULL, "calls:\n  emergency_numbers: [112, 'ab']\n", 12, "calls.emergency_numbers", "'ab' is no emergency number"},
    {NULL, "calls:\n  emergency_numbers: ['110=urn:service:sosx']\n", 12, "calls.emergency_numbers", "write its digits"},
    {NULL, "calls:\n  min_se_s: 200\n  session_expires_s: 100\n", 13, "calls.session_expires_s", "less than calls.min_se_s"},
    {NULL, "calls:\n  unrefreshed: release\n", 12, "calls.unrefreshed", "without calls.session_expires_s"},
    {NULL, "calls:\n  ecscf: 'sip:[2001:db8::1]'\n", 12, "calls.ecscf", "another address family"},
    /* unknown and repeated keys */
    {NULL, "log:\n  levle: info\n", 12, "log.levle", "did you mean log.level?"},
    {NULL, "core_port: 5060\n", 11, "core_port", "did you mean sip.core_port?"},
    {NULL, "logg:\n  level: info\n", 11, "logg", "unknown key"},
    {NULL, "quite_another_thing: 1\n", 11, "quite_another_thing", "unknown key; remove"},
    {"wwsf: w}", "wwsf: w, mode: [digest]}", 5, "wss.origins[0].mode", "did you mean wss.origins[0].modes?"},
    {"  key: k.pem\n", "  key: k.pem\n  key: l.pem\n", 4, "wss.key", "given twice; remove this one or that of line 3"},
    {NULL, "wss: {max_connections: 5}\n", 11, "wss", "section given twice"},
    {"wwsf: w}", "wwsf: w, wwsf: v}", 5, "wss.origins[0].wwsf", "given twice"},
    {NULL, "log: info\n", 11, "log", "is a section"},
    /* obligatory keys */
    {"  certificate: c.pem\n", "", 1, "wss.certificate", "missing, but needed; give it"},
    {"  core_host: 127.0.0.1\n", "", 6, "sip.core_host", "missing"},
    {SIP, "", 1, "sip.icscf", "missing"},
    {"  origins:\n    - {origin: 'https://a.test', wwsf: w}\n", "", 1, "wss.origins", "nobody may connect"},
    {"wwsf: w}", "}", 5, "wss.origins[0].wwsf", "missing"},
    {"wwsf: w}", "wwsf: w, modes: [token]}", 1, "tokens.authz_server", "when an origin allows `token`"},
    {"wwsf: w}", "wwsf: w, modes: [token]}", 1, "tokens.issuers", "when an origin allows `token`"},
    {NULL, "policy: {mode: required}\n", 11, "policy.diameter_config", "when `policy.mode` is not `off`"},
    {NULL, "policy: {mode: optional}\n", 11, "policy.diameter_config", "missing"},
    {NULL, "wwsf:\n  enabled: true\n", 11, "wwsf.jwks_file", "when `wwsf.enabled`"},
    {NULL, "wwsf:\n  enabled: true\n  plmn: []\n", 13, "wwsf.plmn", "name at least one"},
    /* single values */
    {NULL, "shards: 257\n", 11, "shards", "out of range; write 0 to 256"},
    {NULL, "shards: -1\n", 11, "shards", "is no number"},
    {NULL, "shards: 99999999999999999999\n", 11, "shards", "out of range"},
    {NULL, "shards:\n", 11, "shards", "has no value"},
    {NULL, "log: {level: verbose}\n", 11, "log.level", "write error or warn or info or debug"},
    {NULL, "log: {identities: yes}\n", 11, "log.identities", "write true or false"},
    {NULL, "log: {file: ''}\n", 11, "log.file", "is empty"},
    {"  key: k.pem\n", "  key: k.pem\n  tls_min: 1.1\n", 4, "wss.tls_min", "write 1.2 or 1.3"},
    {"  key: k.pem\n", "  key: k.pem\n  listen: ['127.0.0.1']\n", 4, "wss.listen", "is no address with port"},
    {"  key: k.pem\n", "  key: k.pem\n  listen:\n  - 127.0.0.1:1\n  - localhost:443\n", 6, "wss.listen", "is no address with port"},
    {"  key: k.pem\n", "  key: k.pem\n  listen: ['127.0.0.1:0']\n", 4, "wss.listen", "is no address with port"},
    {"  key: k.pem\n", "  key: k.pem\n  listen: ['::1:443']\n", 4, "wss.listen", "is no address with port"},
    {"  key: k.pem\n", "  key: k.pem\n  listen: 127.0.0.1:443\n", 4, "wss.listen", "must be a list"},
    {"  key: k.pem\n", "  key: k.pem\n  listen: []\n", 4, "wss.listen", "empty list"},
    {"  key: k.pem\n", "  key: k.pem\n  paths: [ws]\n", 4, "wss.paths", "is no path"},
    {"https://a.test", "https://a.test/", 5, "wss.origins[0].origin", "is no Origin"},
    {"https://a.test", "a.test", 5, "wss.origins[0].origin", "is no Origin"},
    {"https://a.test", "https://u@a.test", 5, "wss.origins[0].origin", "is no Origin"},
    {"https://a.test", "*", 5, "wss.origins[0].origin", "is no Origin"},
    {"https://a.test", "null", 5, "wss.origins[0].origin", "is no Origin"},
    {"https://a.test", "https://a.test:0", 5, "wss.origins[0].origin", "is no Origin"},
    {"wwsf: w}", "wwsf: w, modes: [plain]}", 5, "wss.origins[0].modes", "write digest or token"},
    {"wwsf: w}", "wwsf: w, modes: token}", 5, "wss.origins[0].modes", "must be a list"},
    {"    - {origin: 'https://a.test', wwsf: w}", "    - https://a.test", 5, "wss.origins[0]", "must be a map"},
    {"public_host: edge.test", "public_host: edge_1", 7, "sip.public_host", "is no host"},
    {"public_host: edge.test", "public_host: 300.1.1.1", 7, "sip.public_host", "is no host"},
    {"core_host: 127.0.0.1", "core_host: core.test", 8, "sip.core_host", "literal"},
    {"sip:127.0.0.2", "sip:core.test", 9, "sip.icscf", "a literal address"},
    {"sip:127.0.0.2", "sips:127.0.0.2", 9, "sip.icscf", "write sip:"},
    {"sip:127.0.0.2", "sip:127.0.0.2:99999", 9, "sip.icscf", "write sip:"},
    {"[ims.test]", "[ims..test]", 10, "sip.home_domains", "is no host"},
    {"[ims.test]", "[ims.test]\n  trusted: [127.0.0.2, core]", 11, "sip.trusted", "is no address"},
    {"[ims.test]", "[ims.test]\n  core_port: 70000", 11, "sip.core_port", "write 1 to 65535"},
    {"[ims.test]", "[ims.test]\n  core_transport: sctp", 11, "sip.core_transport", "write auto or udp or tcp"},
    {"[ims.test]", "[ims.test]\n  ioi: 'a b'", 11, "sip.ioi", "is no token"},
    {NULL, "media: {gateway: sbc}\n", 11, "media.gateway", "write rtpengine or h248"},
    {NULL, "media: {gateway: h248}\n", 11, "media.h248.gateways", "no gateway could register"},
    {NULL, "media:\n  gateway: h248\n  h248: {gateways: [{mid: '<a>'}], listen: ['udp:0.0.0.0:2944']}\n", 13,
     "media.h248.mid", "stands for all"},
    {NULL, "media: {h248: {listen: ['sctp:127.0.0.1:2944']}}\n", 11, "media.h248.listen", "write tcp:ADDRESS:PORT"},
    {NULL, "media: {h248: {listen: ['tcp:::1:2944']}}\n", 11, "media.h248.listen", "is no address to listen on"},
    {NULL, "media: {h248: {listen: ['tcp:[::1]']}}\n", 11, "media.h248.listen", "is no address to listen on"},
    {NULL, "media: {h248: {mid: 'a b'}}\n", 11, "media.h248.mid", "is no message identifier"},
    {NULL, "media: {h248: {handoff_mid: '[127.0.0.1'}}\n", 11, "media.h248.handoff_mid", "is no message identifier"},
    {NULL, "media: {h248: {gateways: [{weight: 1}]}}\n", 11, "media.h248.gateways", "names nobody"},
    {NULL, "media: {h248: {gateways: [{network: 10.0.0.0/33}]}}\n", 11, "media.h248.gateways", "network is none"},
    {NULL, "media: {h248: {gateways: [{mid: '<a.b>'}, {mid: '<A.b>'}]}}\n", 11, "media.h248.gateways", "stands twice"},
    {NULL, "media: {h248: {retransmit_ms: 500, retransmit_max_ms: 400}}\n", 11, "media.h248.retransmit_ms", "longer than"},
    {NULL, "media: {h248: {version: 4}}\n", 11, "media.h248.version", "write 1 to 3"},
    {NULL, "media: {rtpengine: ['localhost:2223']}\n", 11, "media.rtpengine", "is no address with port"},
    {NULL, "media: {h248: {access_termination: 'ip/1/access'}}\n", 11, "media.h248.access_termination", "asks for no termination"},
    {NULL, "media: {h248: {core_realm: 'a\"b'}}\n", 11, "media.h248.core_realm", "quoted string"},
    {NULL, "media: {h248: {ice: half}}\n", 11, "media.h248.ice", "write lite or full"},
    {NULL, "media: {h248: {names: [{element: nothing, name: x/y}]}}\n", 11, "media.h248.names[0].element", "write realm or"},
    {NULL, "media: {h248: {names: [{element: consent, name: 'x{y'}]}}\n", 11, "media.h248.names", "write package/name"},
    {NULL, "media: {h248: {names: [{element: consent, name: x/y}, {element: consent}]}}\n", 11, "media.h248.names",
     "stands twice"},
    {NULL, "media: {rtpengine_dscp: 64}\n", 11, "media.rtpengine_dscp", "0 to 63"},
    {NULL, "media: {poll_ms: 10}\n", 11, "media.poll_ms", "1000"},
    {NULL, "policy: {mode: 'on'}\n", 11, "policy.mode", "write required or optional or off"},
    {NULL, "policy: {failover_ms: 20}\n", 11, "policy.failover_ms", "50"},
    {NULL, "policy: {history_sessions: 100001}\n", 11, "policy.history_sessions", "100000"},
    {NULL, "policy: {peers: [{priority: 1}]}\n", 11, "policy.peers[0].host", "missing"},
    {NULL, "policy: {peers: [{host: a.b}, {host: A.b}]}\n", 11, "policy.peers", "A.b stands twice"},
    {NULL, "policy: {peers: [{host: a.b, profile: x}]}\n", 11, "policy.peers", "'x' is no profile"},
    {NULL, "policy: {turn_servers: [turn.test]}\n", 11, "policy.turn_servers", "is no address"},
    {NULL, "policy: {turn_servers: [192.0.2.1:0]}\n", 11, "policy.turn_servers", "is no address"},
    {NULL, "policy: {turn_servers: [192.0.2.1/tls]}\n", 11, "policy.turn_servers", "is no address"},
    {NULL, "policy: {codec_bw: [{codec: opus}, {codec: OPUS}]}\n", 11, "policy.codec_bw[1].codec", "stands twice"},
    {NULL, "policy: {bundle: both}\n", 11, "policy.bundle", "write refuse or merge or split"},
    {NULL, "policy: {rtcp_percent: 301}\n", 11, "policy.rtcp_percent", "300"},
    {NULL, "tokens: {authz_server: http://a.test}\n", 11, "tokens.authz_server", "is no https URI"},
    {NULL, "tokens: {authz_server: 'https://a.test/\"x'}\n", 11, "tokens.authz_server", "is no https URI"},
    {NULL, "tokens: {realm: \"a\\nb\"}\n", 11, "tokens.realm", "control character"},
    {NULL, "tokens: {realm: \"a\\0b\"}\n", 11, "tokens.realm", "NUL"},
    {NULL, "tokens:\n  issuers:\n    - {issuer: i, jwks_file: j, audience: a, wwsfs: [w], algorithms: [HS256]}\n",
     13, "tokens.issuers[0].algorithms", "write ES256 or ES384 or RS256"},
    {NULL, "tokens:\n  issuers:\n    - {issuer: i, jwks_file: j, audience: a}\n", 13, "tokens.issuers[0].wwsfs", "missing"},
    {NULL, "wwsf:\n  plmn:\n    - {plmn: 1234, url: 'wss://e.test'}\n", 13, "wwsf.plmn[0].plmn", "5 or 6 digits"},
    {NULL, "wwsf:\n  plmn:\n    - {plmn: '26201', url: 'https://e.test'}\n", 13, "wwsf.plmn[0].url", "is no wss URL"},
    {NULL, "wwsf: {public_url: 'https://a.test/x'}\n", 11, "wwsf.public_url", "is no https origin"},
    {NULL, "wwsf: {public_url: 'http://a.test'}\n", 11, "wwsf.public_url", "is no https origin"},
    /* relations */
    {"  key: k.pem\n", "  key: k.pem\n  ping_interval_ms: 5000\n  pong_timeout_ms: 5001\n", 5, "wss.pong_timeout_ms", "longer than wss.ping_interval_ms"},
    {"  key: k.pem\n", "  key: k.pem\n  listen: ['127.0.0.1:443', '127.0.0.1:443']\n", 4, "wss.listen", "stands twice"},
    {"    - {origin", "    - {origin: 'https://A.test:443', wwsf: v}\n    - {origin", 6, "wss.origins", "https://a.test stands twice"},
    {"wwsf: w}", "wwsf: w, modes: []}", 5, "wss.origins[0].modes", "empty list"},
    {"[ims.test]", "[ims.test]\n  core_port: 65535\nshards: 2", 11, "sip.core_port", "need ports up to 65536"},
    {"core_host: 127.0.0.1", "core_host: 0.0.0.0", 8, "sip.core_host", "write the address that the core reaches"},
    {"sip:127.0.0.2", "sip:[::1]", 9, "sip.icscf", "another address family"},
    {NULL, "registration:\n  min_expires_s: 601\n  max_expires_s: 600\n", 12, "registration.min_expires_s", "is over registration.max_expires_s"},
    {NULL, "registration: {authorization_entity: waf}\n", 11, "registration.authorization_entity", "not sent without its name"},
    {NULL, "registration: {authorization_entity_param: waf}\n", 11, "registration.authorization_entity_param", "has no value"},
    {"wwsf: w}\n" SIP, "wwsf: v, modes: [token]}\n" SIP TOKENS, 5, "wss.origins", "no issuer serves WWSF 'v'"},
    {NULL, TOKENS "    - {issuer: i, jwks_file: j.json, audience: a, wwsfs: [v]}\n", 18, "tokens.issuers", "'i' stands twice"},
    /* issuers: what must and must not stand together; line 18 follows TOKENS */
#define ISSUER(rest) TOKENS "    - {issuer: k, audience: a, wwsfs: [v]" rest "}\n"
    {NULL, ISSUER(""), 18, "tokens.issuers[1].jwks_file", "give jwks_file, jwks_url or introspection_url"},
    {NULL, ISSUER(", jwks_file: j, jwks_url: 'https://k.test/j'"), 18, "tokens.issuers[1].jwks_url", "choose one"},
    {NULL, ISSUER(", jwks_url: 'http://k.test/j'"), 18, "tokens.issuers[1].jwks_url", "http only to a loopback"},
    {NULL, ISSUER(", jwks_url: 'http://localhost/j'"), 18, "tokens.issuers[1].jwks_url", "http only to a loopback"},
    {NULL, ISSUER(", jwks_url: 'http://192.0.2.1/j'"), 18, "tokens.issuers[1].jwks_url", "http only to a loopback"},
    {NULL, ISSUER(", jwks_url: 'http://127.0.0.1@k.test/j'"), 18, "tokens.issuers[1].jwks_url", "http only to a loopback"},
    {NULL, ISSUER(", introspection_url: 'ftp://k.test'"), 18, "tokens.issuers[1].introspection_url", "is no URL"},
    {NULL, ISSUER(", introspection_url: 'https://k.test/i', introspection_secret_file: s"), 18,
     "tokens.issuers[1].introspection_url", "give introspection_client_id too"},
    {NULL, ISSUER(", introspection_url: 'https://k.test/i', introspection_client_id: c"), 18,
     "tokens.issuers[1].introspection_url", "give introspection_secret_file too"},
    {NULL, ISSUER(", jwks_file: j, introspection_client_id: c"), 18, "tokens.issuers[1].introspection_client_id",
     "has no use without introspection_url"},
    {NULL, ISSUER(", jwks_file: j, ca_file: c"), 18, "tokens.issuers[1].ca_file", "has no use"},
    {NULL, ISSUER(", jwks_file: j, origins: ['https://b.test']"), 18, "tokens.issuers[1].origins", "not in wss.origins"},
    {NULL, ISSUER(", introspection_url: 'https://k.test/i', introspection_client_id: c, introspection_secret_file: s}\n"
                  "    - {issuer: l, audience: a, wwsfs: [v], introspection_url: 'https://l.test/i', "
                  "introspection_client_id: c, introspection_secret_file: s"),
     19, "tokens.issuers[2].wwsfs", "whose opaque token"},
    /* pools */
#define POOL(rest) TOKENS "  pools:\n    - {wwsf: w" rest "}\n"
    {NULL, POOL(""), 19, "tokens.pools[0].subscriptions", "give one of them"},
    {NULL, POOL("x, subscriptions: ['a@b sip:a@b']"), 19, "tokens.pools[0].wwsf", "no issuer serves"},
    {NULL, POOL(", subscriptions: ['a@b']"), 19, "tokens.pools[0].subscriptions", "is no subscription"},
    {NULL, POOL(", subscriptions: ['a@b sip:a@b', 'A@B sip:c@b']"), 19, "tokens.pools[0].subscriptions", "in the pools already"},
    {NULL, POOL(", impi_range: 'g{00-99}@b'"), 19, "tokens.pools[0].impi_range", "give both"},
    {NULL, POOL(", impi_range: 'g{0-99}@b', impu_range: 'sip:g{00-99}@b'"), 19, "tokens.pools[0].impi_range", "is no range"},
    {NULL, POOL(", impi_range: 'g{9-0}@b', impu_range: 'sip:g{0-9}@b'"), 19, "tokens.pools[0].impi_range", "is no range"},
    {NULL, POOL(", impi_range: 'g{0000000-9999999}@b', impu_range: 'sip:g{0000000-9999999}@b'"), 19,
     "tokens.pools[0].impi_range", "is too long"},
    {NULL, POOL(", impi_range: 'g{00-99}@b', impu_range: 'sip:g{00-98}@b'"), 19, "tokens.pools[0].impu_range", "another count"},
    {NULL, POOL(", impi_range: 'g{00-99}@b', impu_range: 'sip:g{00-99}@B'"), 19, "tokens.pools[0].impu_range", "in lower case"},
    {NULL, POOL(", impi_range: 'g{00-99}@b', impu_range: 'sip:g{00-99}@b'}\n"
                "    - {wwsf: w, subscriptions: ['x@b sip:G42@b']"),
     20, "tokens.pools[1].subscriptions", "in the pools already"},
    {NULL, POOL(", impi_range: 'g{00-99}@b', impu_range: 'sip:g{00-99}@b'}\n"
                "    - {wwsf: w, impi_range: 'g9{0-9}@b', impu_range: 'sip:h{0-9}@b'"),
     20, "tokens.pools[1].impi_range", "overlaps"},
    {NULL, WWSF "    - {plmn: default, url: 'wss://e.test'}\n", 21, "wwsf.plmn", "default stands twice"},
    {NULL, WWSF "    - {plmn: default, url: 'wss://f.test', match: home}\n", 21, "wwsf.plmn", "match has no meaning"},
    {NULL, WWSF "    - {plmn: 262-01..262-09, url: 'wss://f.test'}\n    - {plmn: 262-08..262-12, url: 'wss://g.test'}\n",
     22, "wwsf.plmn", "262-08..262-12 overlaps 262-01..262-09"},
    {NULL, WWSF "    - {plmn: 262-09..262-01, url: 'wss://f.test'}\n", 21, "wwsf.plmn[1].plmn", "lower MNC first"},
    {NULL, WWSF "    - {plmn: 262-01..263-02, url: 'wss://f.test'}\n", 21, "wwsf.plmn[1].plmn", "same MCC"},
    {NULL, WWSF "    - {plmn: 262..263, url: 'wss://f.test'}\n", 21, "wwsf.plmn[1].plmn", "is no range"},
    {NULL, WWSF "    - {plmn: 262..262, url: 'wss://f.test'}\n", 21, "wwsf.plmn[1].plmn", "is no range"},
    {NULL, WWSF "    - {plmn: 26201, url: 'wss://f.test', weight: 65536}\n", 21, "wwsf.plmn[1].weight", "out of range"},
    {NULL, WWSF "    - {plmn: 26201, url: 'wss://f.test', health_url: 'ftp://f.test'}\n", 21, "wwsf.plmn[1].health_url",
     "is no URL"},
    {NULL, "registration:\n  redirect:\n    - {url: 'wss://f.test'}\n", 13, "registration.redirect",
     "neither home_domain nor plmn"},
    {NULL, "registration:\n  redirect:\n    - {plmn: default, url: 'wss://f.test'}\n", 13, "registration.redirect",
     "plmn is default"},
    {NULL, "registration:\n  redirect:\n    - {plmn: 26201, url: 'wss://f.test', status: 302}\n", 13,
     "registration.redirect[0].status", "305 or 503"},
    {NULL, WWSF "admin: {metrics_listen: '127.0.0.1:8443'}\n", 21, "admin.metrics_listen", "choose another port"},
    {NULL, WWSF "  issuer: i\n" TOKENS, 27, "tokens.issuers", "is not the embedded WWSF's 'ims.test'"},
    {NULL, WWSF "  key_rotation_s: 600\n  key_publish_s: 600\n", 21, "wwsf.key_rotation_s", "is not over wwsf.key_publish_s (600)"},
    {NULL, WWSF "  issuer: i\n  audience: a\n  key_publish_s: 10\n" TOKENS, 23, "wwsf.key_publish_s", "is not over tokens.keys_check_s (10)"},
    {NULL, WWSF "  allowed_origins: ['https://a.test/x']\n", 21, "wwsf.allowed_origins", "is no https origin"},
    {NULL, WWSF "  allowed_origins: ['http://a.test']\n", 21, "wwsf.allowed_origins", "is no https origin"},
    {NULL, WWSF "  issuer: i\n  audience: a\n  token_lifetime_s: 90000\n" TOKENS, 23, "wwsf.token_lifetime_s", "max_lifetime_s"},
};

static char *make_text(const struct one *f)
{
    struct epc_buf b = {0};
    const char *at = f->from ? strstr(base, f->from) : base + sizeof base - 1;
    assert_non_null(at);
    epc_buf_add(&b, base, (size_t)(at - base));
    epc_buf_adds(&b, f->to);
    epc_buf_adds(&b, at + (f->from ? strlen(f->from) : 0));
    char *text = epc_buf_take(&b, NULL);
    assert_non_null(text);
    return text;
}

static void each_fault_is_found(void **state)
{
    (void)state;
    size_t missed = 0;
    for (size_t i = 0; i < EPC_ARRAY_LEN(table); i++) {
        const struct one *f = &table[i];
        struct loading l;
        char *text = make_text(f);
        loading_text(&l, "t.yaml", text, false);
        bool ok = l.err == EPC_EPROTO && !l.cfg && loading_has(&l, "t.yaml", f->line, f->key, f->say);
        for (size_t k = 0; k < l.n_faults; k++)
            ok = ok && strstr(l.faults[k], "; "); /* each says what to do */
        if (!ok) {
            fprintf(stderr, "case %zu: want t.yaml:%zu: %s: ... %s; got %s\n", i, f->line, f->key, f->say,
                    epc_err_name(l.err));
            loading_print(&l);
            missed++;
        }
        loading_clear(&l);
        free(text);
    }
    assert_int_equal(missed, 0);
}

static void a_fault_brings_no_others(void **state)
{
    (void)state;
    static const struct one alone[] = {
        {NULL, "shards: many\n", 11, "shards", ""},
        {"core_host: 127.0.0.1", "core_host: core", 8, "sip.core_host", ""},
        {"wwsf: w}", "wwsf: w, modes: [x]}", 5, "wss.origins[0].modes", ""},
        {NULL, "registration: {min_expires_s: x, max_expires_s: 10}\n", 11, "registration.min_expires_s", ""},
        {NULL, "wwsf: {issuer: [a]}\n", 11, "wwsf.issuer", ""},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(alone); i++) {
        struct loading l;
        char *text = make_text(&alone[i]);
        loading_text(&l, "t.yaml", text, false);
        if (l.n_faults != 1)
            loading_print(&l);
        assert_int_equal(l.n_faults, 1);
        assert_true(loading_has(&l, "t.yaml", alone[i].line, alone[i].key, ""));
        loading_clear(&l);
        free(text);
    }
}

static void all_faults_in_one_run_by_line(void **state)
{
    (void)state;
    struct loading l;
    loading_text(&l, "t.yaml", "sip:\n  core_port: x\nshards: x\nwhat: 1\n", false);
    assert_int_equal(l.err, EPC_EPROTO);
    assert_true(l.n_faults >= 8);
    assert_true(loading_has(&l, "t.yaml", 2, "sip.core_port", "is no number"));
    assert_true(loading_has(&l, "t.yaml", 3, "shards", "is no number"));
    assert_true(loading_has(&l, "t.yaml", 4, "what", "unknown key"));
    assert_true(loading_has(&l, "t.yaml", 1, "sip.icscf", "missing"));
    size_t last = 0;
    for (size_t i = 0; i < l.n_faults; i++) {
        size_t line = strtoul(l.faults[i] + strlen("t.yaml:"), NULL, 10);
        assert_true(line >= last);
        last = line;
    }
    loading_clear(&l);
}

static void many_faults_end(void **state)
{
    (void)state;
    struct epc_buf b = {0};
    struct loading l;
    for (int i = 0; i < 500; i++)
        epc_buf_printf(&b, "unknown_%d: 1\n", i);
    assert_false(b.failed);
    loading_text(&l, "t.yaml", b.p, false);
    assert_int_equal(l.err, EPC_EPROTO);
    assert_int_equal(l.n_faults, CFG_MAX_FAULTS + 1);
    assert_non_null(strstr(l.faults[CFG_MAX_FAULTS], "more faults"));
    loading_clear(&l);
    epc_buf_free(&b);
}

/* Aliases make a list of lists without many octets; the walk must end early. */
static void aliases_are_limited(void **state)
{
    (void)state;
    struct epc_buf b = {0};
    struct loading l;
    epc_buf_adds(&b, "wss:\n  origins:\n    - &a\n      origin: https://a.test\n      wwsf: w\n      modes: &m [");
    for (int i = 0; i < 2000; i++)
        epc_buf_adds(&b, "token,");
    epc_buf_adds(&b, "token]\n");
    for (int i = 0; i < 2000; i++)
        epc_buf_adds(&b, "    - *a\n");
    assert_false(b.failed);
    loading_text(&l, "t.yaml", b.p, false);
    assert_int_equal(l.err, EPC_EPROTO);
    assert_true(loading_has(&l, "t.yaml", 1, "file", "fewer aliases"));
    loading_clear(&l);
    epc_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_is_found),           cmocka_unit_test(a_fault_brings_no_others),
        cmocka_unit_test(all_faults_in_one_run_by_line), cmocka_unit_test(many_faults_end),
        cmocka_unit_test(aliases_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
