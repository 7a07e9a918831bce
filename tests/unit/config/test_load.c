/* Good files: what ends up in the snapshot; and what the file system adds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "loading.h"

static const char least[] = "wss:\n"
                            "  certificate: c.pem\n"
                            "  key: /etc/k.pem\n"
                            "  origins:\n"
                            "    - origin: HTTPS://Phone.Example.org:443\n"
                            "      wwsf: phone\n"
                            "sip:\n"
                            "  public_host: edge.example.org\n"
                            "  core_host: 192.0.2.1\n"
                            "  icscf: 'sip:192.0.2.9:5070;transport=tcp'\n"
                            "  home_domains: [ims.example.org, other.example.org]\n";

static void load_good(struct loading *l, const char *file, const char *text)
{
    loading_text(l, file, text, false);
    if (l->err != EPC_OK)
        loading_print(l);
    assert_int_equal(l->err, EPC_OK);
    assert_int_equal(l->n_faults, 0);
}

static void defaults(void **state)
{
    (void)state;
    struct loading l;
    char text[EPC_ADDR_LEN];
    load_good(&l, "/etc/epcscf/e.yaml", least);
    const struct epc_config *c = l.cfg;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    assert_int_equal(c->shards, cores);
    assert_int_equal(c->log_level, EPC_LOG_INFO);
    assert_null(c->log_file);
    assert_string_equal(c->wss.certificate, "/etc/epcscf/c.pem");
    assert_string_equal(c->wss.key, "/etc/k.pem");
    assert_int_equal(c->wss.n_listen, 1);
    assert_string_equal(epc_addr_text(&c->wss.listen[0], text), "0.0.0.0:443");
    assert_int_equal(c->wss.n_origins, 1);
    assert_string_equal(c->wss.origins[0].origin, "https://phone.example.org");
    assert_int_equal(c->wss.origins[0].modes, EPC_MODE_DIGEST);
    assert_string_equal(c->wss.tls_min, "1.2");
    assert_string_equal(c->wss.paths[0], "/");
    assert_int_equal(c->sip.public_port, 443);
    assert_int_equal(c->sip.core_port, 5060);
    assert_int_equal(c->sip.core_transport, EPC_CORE_AUTO);
    assert_int_equal(c->sip.n_trusted, 1);
    assert_string_equal(c->sip.trusted[0], "192.0.2.9");
    assert_int_equal(c->sip.n_home_domains, 2);
    assert_string_equal(c->sip.visited_network, "ims.example.org");
    assert_string_equal(c->sip.ioi, "ims.example.org");
    assert_null(c->sip.token_key_file);
    assert_string_equal(c->tokens.realm, "ims.example.org");
    assert_int_equal(c->media.n_rtpengine, 1);
    assert_string_equal(epc_addr_text(&c->media.rtpengine[0], text), "127.0.0.1:2223");
    assert_string_equal(c->media.access_interface, "");
    assert_int_equal(c->media.n_audio_codecs, 6);
    assert_string_equal(c->media.audio_codecs[0], "opus");
    assert_int_equal(c->media.poll_ms, 10000);
    assert_int_equal(c->media.ice_timeout_ms, 30000);
    assert_int_equal(c->media.dtls_timeout_ms, 15000);
    assert_int_equal(c->media.inactivity_ms, 0);
    assert_int_equal(c->media.lost_after_ms, 10000);
    assert_int_equal(c->media.rtpengine_dscp, 0);
    assert_int_equal(c->policy.mode, EPC_POLICY_OFF);
    assert_null(c->policy.destination_host);
    assert_int_equal(c->policy.specific_actions, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 9);
    assert_false(c->wwsf.enabled);
    assert_int_equal(c->admin.metrics_listen.len, 0);
    assert_null(c->admin.control_socket);
    assert_int_equal(c->media.node_id, 0xebfe5d6b); /* the same in every process and release */
    loading_clear(&l);
}

static void turn_servers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *addr;
        bool tcp;
    } good[] = {
        {"192.0.2.9", "192.0.2.9:3478", false},         {"192.0.2.9:443/tcp", "192.0.2.9:443", true},
        {"2001:db8::9", "[2001:db8::9]:3478", false},   {"[2001:db8::9]:5349/TCP", "[2001:db8::9]:5349", true},
        {"[2001:db8::9]", "[2001:db8::9]:3478", false}, {"2001:db8::9/udp", "[2001:db8::9]:3478", false},
    };
    static const char *const bad[] = {"", ":", "[", "[]", "[::1]x", "[::1]:", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4/",
                                      "1.2.3.4/sctp", "turn.test:3478", "1.2.3.4:1:2"};
    struct epc_addr a;
    bool tcp;
    char text[EPC_ADDR_LEN];
    for (size_t i = 0; i < EPC_ARRAY_LEN(good); i++) {
        assert_true(epc_turn_server_parse(good[i].text, &a, &tcp));
        assert_string_equal(epc_addr_text(&a, text), good[i].addr);
        assert_int_equal(tcp, good[i].tcp);
    }
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++)
        assert_false(epc_turn_server_parse(bad[i], &a, &tcp));
}

static void every_kind_of_value(void **state)
{
    (void)state;
    struct loading l;
    char text[EPC_ADDR_LEN], yaml[4096];
    snprintf(yaml, sizeof yaml,
             "%s"
             "shards: 3\n"
             "log: {level: debug, identities: true, file: log/e.log}\n"
             "tokens:\n"
             "  authz_server: https://as.example.org/token\n"
             "  issuers:\n"
             "    - {issuer: i1, jwks_file: j1, audience: a1, wwsfs: [phone, other], scope: ''}\n"
             "    - {issuer: i2, jwks_file: j2, audience: a2, wwsfs: [x], algorithms: [RS256, ES256], skew_s: 0}\n"
             "media: {rtpengine: ['127.0.0.1:1', '[::1]:2'], access_interface: access, rtpengine_dscp: 46,\n"
             "  inactivity_ms: 60000, lost_after_ms: 0,\n"
             "  h248: {listen: ['udp:[::1]:2944', 'tcp:127.0.0.1:1'], gateways: [{mid: '<a>', weight: 3}, {network: 10.0.0.0/8}],\n"
             "  stop: handoff, handoff_mid: '<mgc2.test>:2944', profile: ''}}\n"
             "policy: {mode: optional, diameter_config: fd.conf, signalling_session: true, failover_ms: 400,\n"
             "  history_sessions: 0,\n"
             "  specific_actions: [loss_of_bearer, plmn_change, credit_back], access_time_zone: true,\n"
             "  profiles: [{name: own, logout_only: true, media_types: [audio, other], omit: [Codec-Data]}],\n"
             "  journal_file: rx.journal, record_file: rx.jsonl, peers: [{host: p1.ims.test, priority: 1},\n"
             "  {host: p2.ims.test, realm: other.test, profile: open5gs}],\n"
             "  codec_bw: [{codec: opus, bps: 48000}], bundle: merge, turn_servers: ['192.0.2.9:443/tcp'],\n"
             "  profile: own, access: [{network: 10.0.0.0/8, mode: optional, ip_domain_id: a}]}\n"
             "admin: {metrics_listen: '[::1]:9090', control_socket: run/ctl}\n",
             least);
    load_good(&l, "conf/e.yaml", yaml);
    const struct epc_config *c = l.cfg;
    assert_int_equal(c->shards, 3);
    assert_int_equal(c->log_level, EPC_LOG_DEBUG);
    assert_true(c->log_identities);
    assert_string_equal(c->log_file, "conf/log/e.log");
    assert_int_equal(c->tokens.n_issuers, 2);
    assert_string_equal(c->tokens.issuers[0].scope, "");
    assert_string_equal(c->tokens.issuers[0].wwsfs[1], "other");
    assert_string_equal(c->tokens.issuers[0].algorithms[0], "ES256");
    assert_string_equal(c->tokens.issuers[1].scope, "sip");
    assert_int_equal(c->tokens.issuers[1].n_algorithms, 2);
    assert_int_equal(c->tokens.issuers[1].skew_s, 0);
    assert_string_equal(c->tokens.issuers[1].jwks_file, "conf/j2");
    assert_string_equal(c->tokens.issuers[1].impu_claim, "impu");
    assert_string_equal(epc_addr_text(&c->media.rtpengine[1], text), "[::1]:2");
    assert_int_equal(c->media.rtpengine_dscp, 46);
    assert_int_equal(c->media.inactivity_ms, 60000);
    assert_int_equal(c->media.lost_after_ms, 0);
    assert_int_equal(c->media.h248.n_listen, 2);
    assert_string_equal(c->media.h248.mid, "[::1]:2944"); /* follows from listen */
    assert_int_equal(c->media.h248.n_gateways, 2);
    assert_int_equal(c->media.h248.gateways[0].weight, 3);
    assert_null(c->media.h248.gateways[1].mid);
    assert_int_equal(c->media.h248.stop, EPC_H248_STOP_HANDOFF);
    assert_string_equal(c->media.h248.profile, "");
    assert_int_equal(c->policy.mode, EPC_POLICY_OPTIONAL);
    assert_true(c->policy.signalling_session);
    assert_int_equal(c->policy.specific_actions, 1 << 2 | 1 << 16 | 1 << 18);
    assert_true(c->policy.access_time_zone);
    assert_true(c->policy.profiles[0].logout_only);
    assert_int_equal(c->policy.failover_ms, 400);
    assert_int_equal(c->policy.history_sessions, 0);
    assert_string_equal(c->policy.journal_file, "conf/rx.journal");
    assert_string_equal(c->policy.record_file, "conf/rx.jsonl");
    assert_int_equal(c->policy.n_peers, 2);
    assert_string_equal(c->policy.peers[0].host, "p1.ims.test");
    assert_int_equal(c->policy.peers[0].priority, 1);
    assert_null(c->policy.peers[0].realm);
    assert_string_equal(c->policy.peers[1].realm, "other.test");
    assert_string_equal(c->policy.peers[1].profile, "open5gs");
    assert_int_equal(c->policy.peers[1].priority, 0);
    assert_int_equal(c->policy.n_codec_bw, 1);
    assert_string_equal(c->policy.codec_bw[0].codec, "opus");
    assert_int_equal(c->policy.codec_bw[0].bps, 48000);
    assert_int_equal(c->policy.bundle, EPC_BUNDLE_MERGE);
    assert_true(c->policy.privacy);
    assert_int_equal(c->policy.rtcp_percent, 5);
    assert_string_equal(c->policy.turn_servers[0], "192.0.2.9:443/tcp");
    assert_int_equal(c->policy.profiles[0].media_types, 1u | 1u << 31);
    assert_int_equal(c->policy.profiles[0].n_omit, 1);
    assert_true(c->policy.profiles[0].removed);
    assert_string_equal(c->policy.access[0].ip_domain_id, "a");
    assert_string_equal(epc_addr_text(&c->admin.metrics_listen, text), "[::1]:9090");
    assert_string_equal(c->admin.control_socket, "conf/run/ctl");
    loading_clear(&l);
}

static void the_example_is_good(void **state)
{
    (void)state;
    struct loading l;
    struct stat st;
    const char *file = EPC_TEST_DIR "/../conf/epcscf.yaml";
    assert_int_equal(stat(file, &st), 0);
    char *text = calloc(1, (size_t)st.st_size + 1);
    FILE *f = fopen(file, "r");
    assert_true(text && f);
    assert_int_equal(fread(text, 1, (size_t)st.st_size, f), st.st_size);
    fclose(f);
    load_good(&l, file, text);
    assert_int_equal(l.cfg->policy.mode, EPC_POLICY_REQUIRED);
    assert_int_equal(l.cfg->wwsf.n_plmn, 1);
    loading_clear(&l);
    free(text);
}

/* ---- files ---------------------------------------------------------------------------------------- */

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/epc-config-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void drop(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(unlink(path), 0);
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

static const char with_wwsf[] = "wss:\n"
                                "  certificate: c.pem\n"
                                "  key: k.pem\n"
                                "  origins:\n"
                                "    - {origin: 'https://a.test', wwsf: w, modes: [token]}\n"
                                "sip:\n"
                                "  public_host: edge.test\n"
                                "  core_host: 127.0.0.1\n"
                                "  icscf: 'sip:127.0.0.2'\n"
                                "  home_domains: [ims.test]\n"
                                "tokens:\n"
                                "  authz_server: https://a.test/token\n"
                                "  issuers:\n"
                                "    - {issuer: 'https://a.test', jwks_file: j.json, audience: ims.test, wwsfs: [w]}\n"
                                "policy: {mode: off, diameter_config: missing.conf}\n"
                                "wwsf:\n"
                                "  enabled: true\n"
                                "  listen: 127.0.0.1:8443\n"
                                "  public_url: https://a.test\n"
                                "  id: w\n"
                                "  signing_key: s.pem\n"
                                "  jwks_file: j.json\n"
                                "  users_file: u.json\n"
                                "  page_dir: .\n"
                                "  plmn: [{plmn: default, url: 'wss://e.test'}]\n";

static void files_are_looked_for(void **state)
{
    (void)state;
    struct loading l;
    char file[128];
    snprintf(file, sizeof file, "%s/e.yaml", dir);
    put("e.yaml", with_wwsf);
    loading_file(&l, file);
    assert_int_equal(l.err, EPC_EPROTO);
    assert_true(loading_has(&l, file, 2, "wss.certificate", "No such file or directory; make the file"));
    assert_true(loading_has(&l, file, 3, "wss.key", "No such file"));
    assert_true(loading_has(&l, file, 23, "wwsf.users_file", "No such file"));
    assert_int_equal(l.n_faults, 3); /* keys that the WWSF makes at start are not missed */
    loading_clear(&l);

    put("c.pem", "x");
    put("k.pem", "x");
    put("u.json", "{}");
    loading_file(&l, file);
    loading_print(&l);
    assert_int_equal(l.err, EPC_OK);
    assert_string_equal(l.cfg->wwsf.certificate, l.cfg->wss.certificate);
    assert_string_equal(l.cfg->wwsf.issuer, "https://a.test");
    const char *made = strrchr(l.cfg->wwsf.database, '/');
    assert_string_equal(made ? made : "", "/wwsf.sqlite");
    assert_int_equal(strncmp(l.cfg->wwsf.database, l.cfg->wwsf.jwks_file,
                             (size_t)(made - l.cfg->wwsf.database)), 0);
    assert_int_equal(l.cfg->wwsf.key_rotation_s, 0);
    assert_false(l.cfg->wwsf.guests);
    assert_string_equal(l.cfg->wwsf.audience, "ims.test");
    loading_clear(&l);
    drop("c.pem");
    drop("k.pem");
    drop("u.json");
    drop("e.yaml");
}

static void keys_of_others_must_be_there(void **state)
{
    (void)state;
    struct loading l;
    char file[128], text[4096];
    const char *at = strstr(with_wwsf, "  enabled: true");
    snprintf(file, sizeof file, "%s/e.yaml", dir);
    snprintf(text, sizeof text, "%.*s  enabled: false%s", (int)(at - with_wwsf), with_wwsf,
             at + strlen("  enabled: true"));
    put("c.pem", "x");
    put("k.pem", "x");
    put("e.yaml", text);
    loading_file(&l, file);
    assert_int_equal(l.err, EPC_EPROTO);
    assert_int_equal(l.n_faults, 1);
    assert_true(loading_has(&l, file, 14, "tokens.issuers[0].jwks_file", "No such file"));
    loading_clear(&l);
    drop("c.pem");
    drop("k.pem");
    drop("e.yaml");
}

static void folders_must_be_there(void **state)
{
    (void)state;
    struct loading l;
    char file[128], text[2048];
    snprintf(file, sizeof file, "%s/e.yaml", dir);
    snprintf(text, sizeof text,
             "%slog: {file: no/e.log}\ntrace: {file: e.yaml/t}\nadmin: {control_socket: no/ctl}\n", least);
    loading_text(&l, file, text, true);
    assert_true(loading_has(&l, file, 12, "log.file", "make that folder"));
    assert_true(loading_has(&l, file, 13, "trace.file", "correct the path"));
    assert_true(loading_has(&l, file, 14, "admin.control_socket", "make that folder"));
    loading_clear(&l);
    memset(text, 'a', sizeof text);
    snprintf(text, sizeof text, "admin: {control_socket: /%0120d}\n", 0);
    loading_text(&l, file, text, false);
    assert_true(loading_has(&l, file, 1, "admin.control_socket", "too long"));
    loading_clear(&l);
}

static void unreadable(void **state)
{
    (void)state;
    struct loading l;
    char file[128];
    snprintf(file, sizeof file, "%s/none.yaml", dir);
    loading_file(&l, file);
    assert_int_equal(l.err, EPC_EIO);
    assert_null(l.cfg);
    assert_true(loading_has(&l, file, 1, "file", "No such file"));
    loading_clear(&l);
    loading_file(&l, dir);
    assert_int_equal(l.err, EPC_EIO);
    loading_clear(&l);
    loading_text(&l, "t.yaml", "", false);
    assert_true(loading_has(&l, "t.yaml", 1, "file", "holds no configuration"));
    loading_clear(&l);
    loading_text(&l, "t.yaml", "- a\n", false);
    assert_true(loading_has(&l, "t.yaml", 1, "file", "must be a map"));
    loading_clear(&l);
    loading_text(&l, "t.yaml", "a: \xff\n", false);
    assert_int_equal(l.err, EPC_EPROTO);
    assert_int_equal(l.n_faults, 1);
    loading_clear(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(every_kind_of_value), cmocka_unit_test(turn_servers),
        cmocka_unit_test(the_example_is_good),
        cmocka_unit_test(files_are_looked_for),
        cmocka_unit_test(keys_of_others_must_be_there),
        cmocka_unit_test(folders_must_be_there),
        cmocka_unit_test(unreadable),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
