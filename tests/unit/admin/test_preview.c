/* epcscfctl rx explain --sdp: from SDP in files to what a PCRF would be told, with the reasons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* In the folder; @p out is what it prints. */
static int preview(const char *words, char *out, size_t size)
{
    char cmd[1024];
    snprintf(cmd, sizeof cmd, "cd %s && %s rx explain %s 2>&1", folder, EPC_CTL, words);
    FILE *p = popen(cmd, "r");
    assert_non_null(p);
    out[fread(out, 1, size - 1, p)] = 0;
    int status = pclose(p);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define M_LINES(address, audio, data, as, setup)                                                                \
    "v=0\r\no=- 1 2 IN IP4 " address "\r\ns=-\r\nt=0 0\r\n"                                                     \
    "m=audio " audio " UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 " address "\r\nb=AS:" as "\r\na=mid:0\r\na=rtcp-mux\r\n" \
    "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=rtpmap:111 opus/48000/2\r\na=setup:" setup "\r\n" \
    "m=application " data " UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 " address "\r\na=mid:1\r\n"            \
    "a=sctp-port:5000\r\na=setup:" setup "\r\n"

static int begin(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/epc-preview-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    put("c.pem", "");
    put("k.pem", "");
    put("e.yaml", "wss:\n  certificate: c.pem\n  key: k.pem\n  origins:\n    - origin: https://p.example.org\n"
                  "      wwsf: phone\n"
                  "sip:\n  public_host: edge.example.org\n  core_host: 192.0.2.1\n  icscf: 'sip:192.0.2.9'\n"
                  "  home_domains: [ims.example.org]\n"
                  "policy:\n  access:\n    - {network: 10.45.0.0/16, mode: required, ip_domain_id: west}\n");
    put("offer.sdp", M_LINES("10.45.0.2", "54321", "54323", "80", "actpass"));
    put("answer.sdp", M_LINES("198.51.100.20", "40000", "40004", "64", "passive"));
    put("names.sdp", "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
                     "c=IN IP4 0.0.0.0\r\n");
    put("no.sdp", "nothing of the kind");
    return 0;
}

static int end(void **state)
{
    (void)state;
    static const char *const names[] = {"c.pem", "k.pem", "e.yaml", "offer.sdp", "answer.sdp", "names.sdp", "no.sdp"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

/* Each after the one before it. */
static void says(const char *text, const char *const *fact, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *at = strstr(text, fact[i]);
        if (!at)
            fail_msg("'%s' is not said, or not there, in:\n%s", fact[i], text);
        text = at + strlen(fact[i]);
    }
}
#define SAYS(text, ...)                                                                                         \
    do {                                                                                                        \
        static const char *const facts_[] = {__VA_ARGS__};                                                      \
        says(text, facts_, sizeof facts_ / sizeof facts_[0]);                                                   \
    } while (0)

static void offer_and_answer(void **state)
{
    char out[65536];
    (void)state;
    assert_int_equal(preview("--config e.yaml --sdp offer.sdp --answer answer.sdp", out, sizeof out), 0);
    SAYS(out, "UE at 10.45.0.2", "policy.mode off", "profile 3gpp", "IP-Domain-Id=\"west\" <- policy.access, 10.45.0.0/16",
         "component 1:", "Max-Requested-Bandwidth-UL=67200 <- downlink \"b=AS:64\"",
         "Max-Requested-Bandwidth-DL=84000 <- uplink \"b=AS:80\"",
         "permit in 17 from 10.45.0.2 to 198.51.100.20 40000", "component 2:", "Media-Type=APPLICATION");
    assert_null(strstr(out, "asd88fgpdd777uzjYhagZg"));
    assert_null(strstr(out, "not sent"));
}

static void what_a_profile_leaves_out(void **state)
{
    char out[65536];
    (void)state;
    assert_int_equal(preview("--profile open5gs --config e.yaml --sdp offer.sdp --answer answer.sdp", out, sizeof out), 0);
    SAYS(out, "profile open5gs", "component 1:", "component 2, not sent:", "left out <- profile open5gs: media_types");
}

static void the_other_way_round(void **state)
{
    char out[65536];
    (void)state;
    assert_int_equal(preview("--config e.yaml --to-ue --sdp answer.sdp --answer offer.sdp", out, sizeof out), 0);
    SAYS(out, "UE at 10.45.0.2", "Max-Requested-Bandwidth-UL=67200 <- downlink \"b=AS:64\"", "permit in 17 from 10.45.0.2 to",
         "Codec-Data=\"uplink answer\"");
}

static void an_offer_alone(void **state)
{
    char out[65536];
    (void)state;
    assert_int_equal(preview("--config e.yaml --sdp offer.sdp --ue 192.0.2.77", out, sizeof out), 0);
    SAYS(out, "UE at 192.0.2.77", "offer alone", "Service-Info-Status=PRELIMINARY", "Media-Type=AUDIO");
    assert_null(strstr(out, "IP-Domain-Id"));
}

static void faults_are_told(void **state)
{
    static const struct {
        const char *words, *says;
        int status;
    } fault[] = {
        {"--sdp offer.sdp", "usage: epcscfctl rx explain --config", 2},
        {"--config e.yaml --sdp", "usage:", 2},
        {"--config e.yaml --sdp offer.sdp --what", "usage:", 2},
        {"--config none.yaml --sdp offer.sdp", "none.yaml", 1},
        {"--config e.yaml --sdp none.sdp", "none.sdp: No such file", 1},
        {"--config e.yaml --sdp no.sdp", "no.sdp: no SDP", 1},
        {"--config e.yaml --sdp offer.sdp --answer none.sdp", "none.sdp: No such file", 1},
        {"--config e.yaml --sdp offer.sdp --ue nowhere", "--ue nowhere: no address", 1},
        {"--config e.yaml --sdp offer.sdp --profile none", "there is no profile none", 1},
        {"--config e.yaml --sdp names.sdp", "name the one in its IP-CAN with --ue", 1},
    };
    char out[65536];
    (void)state;
    for (size_t i = 0; i < sizeof fault / sizeof fault[0]; i++) {
        assert_int_equal(preview(fault[i].words, out, sizeof out), fault[i].status);
        says(out, &fault[i].says, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offer_and_answer),
        cmocka_unit_test(what_a_profile_leaves_out),
        cmocka_unit_test(the_other_way_round),
        cmocka_unit_test(an_offer_alone),
        cmocka_unit_test(faults_are_told),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
