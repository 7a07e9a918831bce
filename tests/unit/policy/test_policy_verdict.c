/* Every result of the policy function, in every mode and phase. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "policy/policy.h"

struct expect {
    uint32_t code;
    int required, optional; /* SIP status; 0 = goes on */
    int with_bandwidth;     /* status with acceptable bandwidth, required mode */
    bool retry;
};
static const struct expect refusals[] = {
    {5063, 500, 500, 488, false}, {5061, 500, 500, 488, false}, {4261, 503, 503, 503, true},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests_name("policy_verdict", tests, NULL, NULL);
}
