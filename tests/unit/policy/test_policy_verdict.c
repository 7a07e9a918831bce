/* Every result of the policy function, in every mode and phase. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

struct expect {
    uint32_t code;
    int required, optional; /* SIP status; 0 = goes on */
    int with_bandwidth;     /* status with acceptable bandwidth, required mode */
    bool retry;
};
static const struct expect refusals[] = {
    {5063, 500, 500, 488, false}, {5061, 488, 488, 500, false}, {4261, 503, 503, 503, true},
    {5068, 503, 503, 503, true},  {5065, 503, 0, 503, true},    {5066, 403, 403, 403, false},
    {5062, 500, 500, 500, false}, {5001, 500, 500, 500, false}, {5004, 500, 500, 500, false},
    {5005, 500, 500, 500, false}, {5009, 500, 500, 500, false}, {3002, 503, 0, 503, true},
    {3004, 503, 0, 503, true},    {3005, 503, 0, 503, true},    {5999, 500, 500, 500, false},
};

static void check(enum epc_policy_mode mode, const struct epc_policy_result *r, int want, bool retry)
{
    struct epc_cause c = {0};
    assert_int_equal(epc_policy_verdict(mode, EPC_PHASE_SETUP, r, &c), want == 0);
    assert_int_equal(c.sip_status, want);
    assert_int_equal(c.retry_after_s > 0, want && retry);
    assert_true(!want || c.reason[0]);
    assert_int_equal(epc_policy_verdict(mode, EPC_PHASE_SETUP, r, NULL), want == 0);
    assert_true(epc_policy_verdict(mode, EPC_PHASE_MODIFY, r, &c));
    assert_true(epc_policy_verdict(EPC_POLICY_OFF, EPC_PHASE_SETUP, r, &c));
}

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < EPC_ARRAY_LEN(refusals); i++) {
        const struct expect *e = &refusals[i];
        struct epc_policy_result r = {.outcome = EPC_POLICY_REFUSED, .code = e->code, .experimental = true};
        check(EPC_POLICY_REQUIRED, &r, e->required, e->retry);
        check(EPC_POLICY_OPTIONAL, &r, e->optional, e->retry);
        r.n_acceptable = 1;
        check(EPC_POLICY_REQUIRED, &r, e->with_bandwidth, e->retry);
    }
    struct epc_cause c = {0};
    struct epc_policy_result r = {.outcome = EPC_POLICY_REFUSED, .code = 4261, .retry_interval_s = 77};
    assert_false(epc_policy_verdict(EPC_POLICY_OPTIONAL, EPC_PHASE_SETUP, &r, &c));
    assert_int_equal(c.retry_after_s, 77);
}

static void test_no_answer(void **state)
{
    (void)state;
    struct epc_policy_result r = {.outcome = EPC_POLICY_GRANTED, .code = 2001};
    check(EPC_POLICY_REQUIRED, &r, 0, false);
    r = (struct epc_policy_result){.outcome = EPC_POLICY_TIMED_OUT};
    check(EPC_POLICY_REQUIRED, &r, 503, true);
    check(EPC_POLICY_OPTIONAL, &r, 0, true);
    r.outcome = EPC_POLICY_UNREACHABLE;
    check(EPC_POLICY_REQUIRED, &r, 503, true);
    check(EPC_POLICY_OPTIONAL, &r, 0, true);
    r.outcome = EPC_POLICY_FAILED;
    check(EPC_POLICY_REQUIRED, &r, 500, false);
    check(EPC_POLICY_OPTIONAL, &r, 0, false);
}

static void test_names(void **state)
{
    (void)state;
    struct epc_policy_result r = {.outcome = EPC_POLICY_REFUSED, .code = 5063, .experimental = true};
    assert_string_equal(epc_policy_code_name(&r), "DIAMETER REQUESTED_SERVICE_NOT_AUTHORIZED (5063)");
    r.code = 4999;
    assert_non_null(epc_policy_code_name(&r));
    r = (struct epc_policy_result){.outcome = EPC_POLICY_TIMED_OUT};
    assert_string_equal(epc_policy_code_name(&r), "no answer in time");
    r.outcome = (enum epc_policy_outcome)99;
    assert_non_null(epc_policy_code_name(&r));
}

static void test_our_fault(void **state)
{
    (void)state;
    struct epc_policy_result r = {.outcome = EPC_POLICY_REFUSED, .code = 5061, .experimental = true};
    strcpy(r.failed_avp, "Flow-Description");
    check(EPC_POLICY_REQUIRED, &r, 500, false);
}

static void test_acceptable_sdp(void **state)
{
    (void)state;
    static const char text[] = "v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
                               "a=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=rtpmap:111 opus/48000/2\r\n"
                               "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n";
    struct epc_sdp *offer = NULL;
    struct epc_buf out = {0};
    struct epc_policy_result r = {.outcome = EPC_POLICY_REFUSED, .code = 5063};
    assert_int_equal(epc_sdp_parse(&offer, epc_str_c(text), NULL), EPC_OK);
    assert_int_equal(epc_policy_acceptable_sdp(offer, &r, &out), EPC_ENOENT);
    r.n_acceptable = 2;
    r.acceptable[0] = (struct epc_acceptable_bw){.number = 0, .max_ul_bps = -1, .max_dl_bps = 700000};
    r.acceptable[1] = (struct epc_acceptable_bw){.number = 2, .max_ul_bps = 512000, .max_dl_bps = 384999};
    assert_int_equal(epc_policy_acceptable_sdp(offer, &r, &out), EPC_OK);
    char *got = epc_buf_take(&out, NULL);
    assert_string_equal(got, "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nb=AS:700\r\nt=0 0\r\n"
                             "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n"
                             "m=video 0 UDP/TLS/RTP/SAVPF 96\r\nb=AS:384\r\na=rtpmap:96 VP8/90000\r\n");
    free(got);
    epc_sdp_free(offer);
}

static char *explained(const struct epc_policy_result *r, const char *ue, const struct epc_service_info *sent,
                       const struct epc_cfg_policy *cfg)
{
    struct epc_addr a;
    struct epc_buf out = {0};
    assert_int_equal(epc_addr_parse(&a, ue, 0), EPC_OK);
    epc_policy_explain_result(&(struct epc_policy_question){r, sent, &a, cfg}, &out);
    char *text = epc_buf_take(&out, NULL);
    assert_non_null(text);
    return text;
}

static void assert_says(char *text, const char *what)
{
    if (!strstr(text, what))
        fail_msg("\"%s\" is not in: %s", what, text);
}

static void test_in_words(void **state)
{
    (void)state;
    struct epc_cfg_policy_access row = {.network = (char *)"10.45.0.0/16", .mode = EPC_POLICY_REQUIRED};
    struct epc_cfg_policy cfg = {.mode = EPC_POLICY_REQUIRED, .access = &row, .n_access = 1, .timeout_ms = 2000};
    struct epc_policy_result r = {.outcome = EPC_POLICY_REFUSED, .code = 5065, .experimental = true};
    char *text = explained(&r, "10.45.0.2", NULL, &cfg);
    assert_says(text, "IP-CAN_SESSION_NOT_AVAILABLE (5065)");
    assert_says(text, "10.45.0.2, a private one; policy.access has it in 10.45.0.0/16");
    free(text);
    text = explained(&r, "203.0.113.7", NULL, &cfg);
    assert_says(text, "203.0.113.7, a public one; no row of policy.access holds it");
    assert_says(text, "a NAT between the UE and the eP-CSCF");
    free(text);

    struct epc_media_component c = {.number = 1, .status = EPC_FLOW_ENABLED, .max_ul_bps = 84000, .max_dl_bps = -1,
                                    .n_flows = 1, .flow = {{.number = 1}}};
    strcpy(c.flow[0].uplink, "permit in 17 from 10.45.0.2 to 198.51.100.20 40000");
    struct epc_service_info sent = {.component = &c, .n_components = 1};
    r.code = 5063;
    r.n_acceptable = 1;
    r.acceptable[0] = (struct epc_acceptable_bw){.number = 1, .max_ul_bps = 32000, .max_dl_bps = 32000};
    text = explained(&r, "10.45.0.2", &sent, &cfg);
    assert_says(text, "Asked for component 1: uplink 84000 bit/s.");
    assert_says(text, "Acceptable for component 1: uplink 32000 bit/s downlink 32000 bit/s.");
    free(text);
    r = (struct epc_policy_result){.outcome = EPC_POLICY_REFUSED, .code = 5062};
    text = explained(&r, "10.45.0.2", &sent, &cfg);
    assert_says(text, c.flow[0].uplink);
    free(text);
    r = (struct epc_policy_result){.outcome = EPC_POLICY_REFUSED, .code = 4261, .retry_interval_s = 30,
                                   .held_back = true};
    text = explained(&r, "10.45.0.2", &sent, &cfg);
    assert_says(text, "Not sent");
    assert_says(text, "in 30 s");
    free(text);
    r = (struct epc_policy_result){.outcome = EPC_POLICY_REFUSED, .code = 5005};
    strcpy(r.failed_avp, "Media-Type");
    text = explained(&r, "10.45.0.2", &sent, &cfg);
    assert_says(text, "it names Media-Type");
    free(text);
    r = (struct epc_policy_result){.outcome = EPC_POLICY_TIMED_OUT};
    text = explained(&r, "10.45.0.2", &sent, &cfg);
    assert_says(text, "2000 ms");
    free(text);
    for (uint32_t code = 1; code < 6000; code++) { /* none without its name, none that falls over */
        r = (struct epc_policy_result){.outcome = EPC_POLICY_REFUSED, .code = code};
        text = explained(&r, "10.45.0.2", NULL, NULL);
        assert_says(text, "DIAMETER");
        free(text);
    }
}

static void test_access(void **state)
{
    (void)state;
    struct epc_cfg_policy_access rows[] = {{.network = (char *)"10.0.0.0/8", .mode = EPC_POLICY_OPTIONAL},
                                           {.network = (char *)"10.45.0.0/17", .mode = EPC_POLICY_OFF},
                                           {.network = (char *)"2001:db8::/32", .mode = EPC_POLICY_OFF}};
    struct epc_cfg_policy cfg = {.mode = EPC_POLICY_REQUIRED, .access = rows, .n_access = 3};
    static const struct {
        const char *ue;
        enum epc_policy_mode mode;
    } cases[] = {{"10.45.127.255", EPC_POLICY_OFF}, {"10.45.128.1", EPC_POLICY_OPTIONAL},
                 {"11.0.0.1", EPC_POLICY_REQUIRED}, {"2001:db8:1::1", EPC_POLICY_OFF},
                 {"2001:db9::1", EPC_POLICY_REQUIRED}, {"::ffff:10.45.0.1", EPC_POLICY_OFF}};
    for (size_t i = 0; i < EPC_ARRAY_LEN(cases); i++) {
        struct epc_addr ue;
        assert_int_equal(epc_addr_parse(&ue, cases[i].ue, 443), EPC_OK);
        assert_int_equal(epc_policy_mode_for(&cfg, &ue), cases[i].mode);
    }
    cfg.mode = EPC_POLICY_OFF;
    struct epc_addr ue;
    assert_int_equal(epc_addr_parse(&ue, "10.1.1.1", 0), EPC_OK);
    assert_int_equal(epc_policy_mode_for(&cfg, &ue), EPC_POLICY_OFF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_our_fault),   cmocka_unit_test(test_acceptable_sdp),
        cmocka_unit_test(test_in_words),    cmocka_unit_test(test_access),
    };
    return cmocka_run_group_tests_name("policy_verdict", tests, NULL, NULL);
}
