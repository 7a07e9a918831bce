/* Golden tests of the service information. Each folder beside this file (but for sdp/, which they share) is
 * a session: its files NN-what.in are exchanges in order, NN-what.out what is expected of each: the whole,
 * what the PCRF is told of it, and why.
 *
 * Lines of a .in file; all but `uplink` and `downlink` hold for the exchanges after it too:
 *   uplink FILE, downlink FILE   SDP in sdp/ that came from the UE, that went to it; "-": none
 *   offer uplink|downlink        which of them offers
 *   ue ADDRESS                   the UE's address in the IP-CAN
 *   learned M ADDRESS:PORT       what the gateway has seen as the remote end of m-line M; "-": nothing
 *   core M ADDRESS:PORT, ice M STATE, srtp M PROFILE, transcoded M    the gateway's state of m-line M
 *   agw NAME CONTEXT full|lite, generation N
 *   dialogues one|several
 *   profile NAME, webrtc on|off, omit AVP     the PCRF
 *   bundle refuse|merge|split, codec NAME BPS, percent rtcp|srtp|rtx|fec|red|turn N, turn SERVER, privacy on|off
 *
 * To write the expected files anew after a wanted change:  EPC_GOLDEN_WRITE=1 ./test_golden_policy
 * and read the difference before committing it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <sys/stat.h>

#include "filter_grammar.h"
#include "info_text.h"

#define GOLDEN_DIR EPC_TEST_DIR "/golden/policy"

enum { MAX = 8 };

struct session {
    struct epc_cfg_policy cfg;
    struct epc_cfg_policy_profile profile;
    struct epc_cfg_codec_bw codec[MAX];
    char *turn[MAX], *omit[MAX];
    struct epc_addr ue, learned[MAX];
    struct epc_policy_gateway gateway;
    bool up_is_offer, several, webrtc;
    struct epc_sdp *up, *down;
    struct epc_service_info *full, *told; /* after the exchange before this one */
};

static char *slurp(const char *path)
{
    struct epc_buf b = {0};
    char chunk[4096];
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, f)) > 0;)
        epc_buf_add(&b, chunk, got);
    fclose(f);
    return epc_buf_take(&b, NULL);
}

/* ---- input --------------------------------------------------------------------------------------------- */

static void read_sdp(struct epc_sdp **out, const char *file)
{
    char path[1024];
    epc_sdp_free(*out);
    *out = NULL;
    if (strcmp(file, "-") == 0)
        return;
    snprintf(path, sizeof path, GOLDEN_DIR "/sdp/%s", file);
    char *text = slurp(path);
    if (!text || epc_sdp_parse(out, epc_str_c(text), NULL) != EPC_OK)
        fail_msg("%s is no SDP", path);
    free(text);
}

static struct epc_addr end(const char *text)
{
    struct epc_addr a = {.len = 0};
    char host[EPC_ADDR_LEN];
    const char *colon = strrchr(text, ':');
    if (strcmp(text, "-") == 0)
        return a;
    bool six = text[0] == '[';
    snprintf(host, sizeof host, "%.*s", (int)(colon - text) - (six ? 2 : 0), text + (six ? 1 : 0));
    assert_int_equal(epc_addr_parse(&a, host, (uint16_t)atoi(colon + 1)), EPC_OK);
    return a;
}

static uint32_t *percent_of(struct epc_cfg_policy *c, const char *name)
{
    struct {
        const char *name;
        uint32_t *at;
    } all[] = {{"rtcp", &c->rtcp_percent}, {"srtp", &c->srtp_percent}, {"rtx", &c->rtx_percent},
               {"fec", &c->fec_percent},   {"red", &c->red_percent},   {"turn", &c->turn_percent}};
    for (size_t i = 0; i < EPC_ARRAY_LEN(all); i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i].at;
    fail_msg("percent %s", name);
    return NULL;
}

static bool gateway_line(struct session *s, const char *key, const char *a, const char *b, const char *c)
{
    size_t m = (size_t)atoi(a) - 1;
    if (strcmp(key, "agw") == 0) {
        snprintf(s->gateway.session.agw_identity, sizeof s->gateway.session.agw_identity, "%s", a);
        snprintf(s->gateway.session.agw_context, sizeof s->gateway.session.agw_context, "%s", b);
        s->gateway.session.ice_mode = strcmp(c, "lite") == 0;
        return true;
    }
    if (strcmp(key, "generation") == 0) {
        s->gateway.ice_generation = (uint32_t)atoi(a);
        return true;
    }
    if (strcmp(key, "core") != 0 && strcmp(key, "ice") != 0 && strcmp(key, "srtp") != 0 &&
        strcmp(key, "transcoded") != 0)
        return false;
    assert_true(m < MAX);
    for (; s->gateway.n_media <= m; s->gateway.n_media++)
        s->gateway.media[s->gateway.n_media].ice_state = EPC_ICE_UNKNOWN;
    if (strcmp(key, "core") == 0)
        s->gateway.media[m].core = end(b);
    else if (strcmp(key, "ice") == 0)
        s->gateway.media[m].ice_state = (enum epc_ice_state)atoi(b);
    else if (strcmp(key, "srtp") == 0)
        s->gateway.media[m].srtp_profile = (uint32_t)atoi(b);
    else
        s->gateway.media[m].transcoded = true;
    return true;
}

static bool config_line(struct session *s, const char *key, const char *a, const char *b)
{
    if (strcmp(key, "bundle") == 0)
        s->cfg.bundle = a[0] == 'm' ? EPC_BUNDLE_MERGE : a[0] == 's' ? EPC_BUNDLE_SPLIT : EPC_BUNDLE_REFUSE;
    else if (strcmp(key, "codec") == 0) {
        s->codec[s->cfg.n_codec_bw].codec = strdup(a);
        s->codec[s->cfg.n_codec_bw++].bps = (uint32_t)atoi(b);
    } else if (strcmp(key, "percent") == 0)
        *percent_of(&s->cfg, a) = (uint32_t)atoi(b);
    else if (strcmp(key, "turn") == 0)
        s->turn[s->cfg.n_turn_servers++] = strdup(a);
    else if (strcmp(key, "privacy") == 0)
        s->cfg.privacy = strcmp(a, "on") == 0;
    else if (strcmp(key, "profile") == 0) {
        const struct epc_cfg_policy_profile *p = epc_policy_profile(&s->cfg, a);
        assert_non_null(p);
        s->profile = *p;
        s->profile.omit = s->omit;
    } else if (strcmp(key, "webrtc") == 0)
        s->webrtc = strcmp(a, "on") == 0;
    else if (strcmp(key, "omit") == 0)
        s->omit[s->profile.n_omit++] = strdup(a);
    else
        return false;
    return true;
}

static void read_line(struct session *s, const char *line)
{
    char key[32] = "", a[128] = "", b[128] = "", c[128] = "";
    if (line[0] == '#' || sscanf(line, "%31s %127s %127s %127s", key, a, b, c) < 1)
        return;
    if (strcmp(key, "uplink") == 0)
        read_sdp(&s->up, a);
    else if (strcmp(key, "downlink") == 0)
        read_sdp(&s->down, a);
    else if (strcmp(key, "offer") == 0)
        s->up_is_offer = strcmp(a, "uplink") == 0;
    else if (strcmp(key, "ue") == 0)
        assert_int_equal(epc_addr_parse(&s->ue, a, 443), EPC_OK);
    else if (strcmp(key, "learned") == 0)
        s->learned[(atoi(a) - 1) & (MAX - 1)] = end(b);
    else if (strcmp(key, "dialogues") == 0)
        s->several = strcmp(a, "several") == 0;
    else if (!gateway_line(s, key, a, b, c) && !config_line(s, key, a, b))
        fail_msg("what is \"%s\"?", line);
}

/* ---- an exchange ------------------------------------------------------------------------------------------- */

static void empty_difference(const struct epc_service_info *a, const struct epc_service_info *b)
{
    struct epc_service_info *d = NULL;
    assert_int_equal(epc_service_info_diff(a, b, &d), EPC_OK);
    assert_int_equal(d->n_components, 0);
    epc_service_info_free(d);
}

/* Shaping is stable, and keeps what was promised for the profile. */
static void check_shape(const struct session *s, const struct epc_service_info *full,
                        const struct epc_service_info *shaped)
{
    struct epc_service_info *again = NULL, *twice = NULL;
    bool seen[8] = {false};
    assert_int_equal(epc_policy_shape(full, &s->profile, s->webrtc, &again), EPC_OK);
    assert_int_equal(epc_policy_shape(shaped, &s->profile, s->webrtc, &twice), EPC_OK);
    empty_difference(shaped, again);
    empty_difference(shaped, twice);
    epc_service_info_free(again);
    epc_service_info_free(twice);
    for (size_t i = 0; strcmp(s->profile.name, "open5gs") == 0 && i < shaped->n_components; i++) {
        enum epc_media_type t = shaped->component[i].type;
        assert_true(t == EPC_MEDIA_AUDIO || t == EPC_MEDIA_VIDEO || t == EPC_MEDIA_CONTROL);
        assert_int_not_equal(shaped->component[i].status, EPC_FLOW_REMOVED);
        assert_false(seen[t]);
        seen[t] = true;
    }
}

static void no_secret(const char *text)
{
    static const char *const secrets[] = {"asd88fgpdd777uzjYhagZg", "ice-pwd", "gwSecretPasswordOfIce00"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(secrets); i++)
        assert_null(strstr(text, secrets[i]));
    for (const char *p = strstr(text, "| a="); p; p = strstr(p + 1, "| a=")) /* in Codec-Data */
        assert_true(strncmp(p, "| a=fingerprint", 15) != 0 && strncmp(p, "| a=candidate", 13) != 0);
}

static void exchange(struct session *s, struct epc_buf *out)
{
    struct epc_policy_input in = {.uplink = s->up, .downlink = s->down, .uplink_is_offer = s->up_is_offer,
                                  .ue = &s->ue, .learned = s->learned, .n_learned = MAX,
                                  .gateway = s->gateway.n_media || s->gateway.session.agw_identity[0] ? &s->gateway
                                                                                                    : NULL,
                                  .several_dialogues = s->several, .explain = true, .cfg = &s->cfg,
                                  .previous = s->full};
    struct epc_service_info *full = NULL, *shaped = NULL, *delta = NULL;
    assert_int_equal(epc_policy_service_info(&in, &full), EPC_OK);
    grammar_info(full);
    assert_int_equal(epc_policy_shape(full, &s->profile, s->webrtc, &shaped), EPC_OK);
    check_shape(s, full, shaped);
    assert_int_equal(epc_service_info_diff(s->told, shaped, &delta), EPC_OK);
    epc_buf_printf(out, "# service information: ");
    info_text(full, true, out);
    epc_buf_printf(out, "# to a PCRF of profile %s: ", s->profile.name);
    info_text(delta, false, out);
    epc_buf_printf(out, "# why\n%s", shaped->why);
    no_secret(out->p);
    epc_service_info_free(delta);
    epc_service_info_free(s->full);
    epc_service_info_free(s->told);
    s->full = full;
    s->told = shaped;
}

static void compare(const char *path, const struct epc_buf *got)
{
    if (getenv("EPC_GOLDEN_WRITE")) {
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(got->p, 1, got->n, f), got->n);
        fclose(f);
        return;
    }
    char *want = slurp(path);
    if (!want)
        fail_msg("%s is missing: run with EPC_GOLDEN_WRITE=1", path);
    if (strcmp(want, got->p) != 0) {
        size_t line = 1;
        for (size_t at = 0; want[at] && want[at] == got->p[at]; at++)
            line += want[at] == '\n';
        fail_msg("%s line %zu differs; got:\n%s", path, line, got->p);
    }
    free(want);
}

static void step(struct session *s, const char *dir, const char *name)
{
    char path[2048];
    struct epc_buf out = {0};
    snprintf(path, sizeof path, "%.1000s/%.255s", dir, name);
    char *text = slurp(path);
    assert_non_null(text);
    for (struct epc_str rest = epc_str_c(text); rest.p && rest.n;) {
        char *line = epc_str_dup(epc_str_cut(&rest, '\n'));
        read_line(s, line);
        free(line);
    }
    exchange(s, &out);
    snprintf(path, sizeof path, "%.1000s/%.*s.out", dir, (int)strlen(name) - 3, name);
    compare(path, &out);
    epc_buf_free(&out);
    free(text);
}

/* ---- the sessions --------------------------------------------------------------------------------------------- */

static int is_input(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return n > 3 && strcmp(e->d_name + n - 3, ".in") == 0;
}

static void session(const char *dir)
{
    struct dirent **files;
    struct session s = {.cfg = {.audio_bw_bps = 80000, .video_bw_bps = 1500000, .data_bw_bps = 500000,
                                .rtcp_percent = 5, .turn_percent = 5, .privacy = true},
                        .gateway = {.session = {.ice_mode = -1}}, .up_is_offer = true};
    s.cfg.codec_bw = s.codec;
    s.cfg.turn_servers = s.turn;
    s.profile = *epc_policy_profile(NULL, "3gpp");
    s.profile.omit = s.omit;
    assert_int_equal(epc_addr_parse(&s.ue, "10.45.0.2", 443), EPC_OK);
    int n = scandir(dir, &files, is_input, alphasort);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        step(&s, dir, files[i]->d_name);
        free(files[i]);
    }
    free(files);
    epc_sdp_free(s.up);
    epc_sdp_free(s.down);
    epc_service_info_free(s.full);
    epc_service_info_free(s.told);
    for (size_t i = 0; i < MAX; i++) {
        free(s.codec[i].codec);
        free(s.turn[i]);
        free(s.omit[i]);
    }
}

static const char *tested[64];
static size_t n_tested;

static void play(const char *name)
{
    char dir[1024];
    snprintf(dir, sizeof dir, GOLDEN_DIR "/%s", name);
    assert_true(n_tested < EPC_ARRAY_LEN(tested));
    tested[n_tested++] = name;
    session(dir);
}

static void worked_example_with_webrtc_avps(void **state)
{
    (void)state;
    play("worked-example");
}

static void worked_example_as_rx_alone(void **state)
{
    (void)state;
    play("plain");
}

static void nat_keeps_the_inner_address(void **state)
{
    (void)state;
    play("nat");
}

static void turn_servers_of_the_access_network(void **state)
{
    (void)state;
    play("relay");
    play("relay-av");
    play("relay-tcp");
    play("relay-other");
}

static void bundle_merged_or_split(void **state)
{
    (void)state;
    play("bundle-merge");
    play("bundle-split");
    play("bundle-merge-open5gs");
}

static void open5gs_gets_what_it_bears(void **state)
{
    (void)state;
    play("open5gs");
}

static void components_of_one_type(void **state)
{
    (void)state;
    play("two-videos");
}

static void bandwidth_of_b_lines_and_codecs(void **state)
{
    (void)state;
    play("bandwidth");
}

static void overheads(void **state)
{
    (void)state;
    play("overhead");
}

static void rtcp_on_its_own_flow(void **state)
{
    (void)state;
    play("rtcp");
    play("rtcp-later");
}

static void preliminary_then_final(void **state)
{
    (void)state;
    play("preliminary");
    play("preliminary-same");
    play("terminating");
}

static void early_dialogues(void **state)
{
    (void)state;
    play("forking");
}

static void ip_versions(void **state)
{
    (void)state;
    play("ipv6");
    play("ipv4-mapped");
}

static void data_channel(void **state)
{
    (void)state;
    play("data-channel");
}

static void ice_over_tcp(void **state)
{
    (void)state;
    play("ice-tcp");
}

static void unknown_port_of_the_ue(void **state)
{
    (void)state;
    play("mdns");
}

static void what_a_profile_leaves_out(void **state)
{
    (void)state;
    play("omit");
}

static void ice_restart(void **state)
{
    (void)state;
    play("ice-restart");
}

static void private_candidates(void **state)
{
    (void)state;
    play("privacy");
}

static int is_session(const struct dirent *e)
{
    char path[1024];
    struct stat st;
    snprintf(path, sizeof path, GOLDEN_DIR "/%s", e->d_name);
    return e->d_name[0] != '.' && strcmp(e->d_name, "sdp") != 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void no_session_is_forgotten(void **state)
{
    (void)state;
    struct dirent **found;
    int n = scandir(GOLDEN_DIR, &found, is_session, alphasort);
    assert_int_equal(n, (int)n_tested);
    for (int i = 0; i < n; i++)
        free(found[i]);
    free(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_example_with_webrtc_avps),
        cmocka_unit_test(worked_example_as_rx_alone),
        cmocka_unit_test(nat_keeps_the_inner_address),
        cmocka_unit_test(turn_servers_of_the_access_network),
        cmocka_unit_test(bundle_merged_or_split),
        cmocka_unit_test(open5gs_gets_what_it_bears),
        cmocka_unit_test(components_of_one_type),
        cmocka_unit_test(bandwidth_of_b_lines_and_codecs),
        cmocka_unit_test(overheads),
        cmocka_unit_test(rtcp_on_its_own_flow),
        cmocka_unit_test(preliminary_then_final),
        cmocka_unit_test(early_dialogues),
        cmocka_unit_test(ip_versions),
        cmocka_unit_test(data_channel),
        cmocka_unit_test(ice_over_tcp),
        cmocka_unit_test(unknown_port_of_the_ue),
        cmocka_unit_test(what_a_profile_leaves_out),
        cmocka_unit_test(ice_restart),
        cmocka_unit_test(private_candidates),
        cmocka_unit_test(no_session_is_forgotten),
    };
    return cmocka_run_group_tests_name("golden_policy", tests, NULL, NULL);
}
