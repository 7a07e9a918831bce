/* Digest mode (TS 24.229 5.2.2, 7.2A.2): messages as a browser's stack and an IMS core send them. */
#include "harness.h"

#define ANSWERED(user)                                                                             \
    "Authorization: Digest algorithm=MD5, username=\"" user "\", realm=\"ims.test\", "               \
    "nonce=\"awMloGsDJHTM06YHHzRd4XMzrQkTdNuU\", uri=\"sip:ims.test\", "                             \
    "response=\"73263567a250e53e2842aa822500bde3\", qop=auth, cnonce=\"5q3npuso25o3\", nc=00000001"
#define CHALLENGES                                                                                 \
    "WWW-Authenticate: Digest realm=\"ims.test\", nonce=\"abc\", algorithm=SHA-256, qop=\"auth\"\r\n" \
    "WWW-Authenticate: Digest realm=\"ims.test\", nonce=\"def\", algorithm=MD5, qop=\"auth\", "       \
    "ik=\"0123\", ck=\"4567\"\r\n"                                                                   \
    "Path: <sip:flow@127.0.0.41:5060;lr;ob>\r\n"

static void first_then_challenge_then_answer(void **state)
{
    (void)state;
    size_t i = bench_register(1, &(struct reg_text){0});
    assert_int_equal(bench.n_out, 1);
    /* The stack sent no Authorization: the identity is derived from the public one. */
    expect_has(bench.out[0].text, "Authorization: Digest username=\"alice@ims.test\", realm=\"ims.test\", "
                                  "nonce=\"\", uri=\"sip:ims.test\", response=\"\"\r\n");
    expect_not(bench.out[0].text, "integrity-protected");
    expect_has(bench.out[0].text, "Require: path");
    bench_answer(0, 401, CHALLENGES);
    const struct bench_in *r = bench_result(i);
    assert_int_equal(r->status, 401);
    assert_true(r->forwarded);
    expect_not(r->answer, "ik=");
    expect_not(r->answer, "ck=");
    expect_not(r->answer, "Path:");
    const char *sha = strstr(r->answer, "SHA-256"), *md5 = strstr(r->answer, "algorithm=MD5");
    assert_true(sha && md5 && sha < md5);
    assert_null(epc_reg_by_flow(bench.reg, 1));

    i = bench_register(1, &(struct reg_text){.extra = ANSWERED("alice") "\r\n"});
    expect_has(bench.out[1].text, "username=\"alice\"");
    expect_has(bench.out[1].text, "response=\"73263567a250e53e2842aa822500bde3\"");
    expect_has(bench.out[1].text, "integrity-protected=\"tls-pending\"");
    bench_ok(1, 540);
    assert_int_equal(bench_result(i)->status, 200);
    const struct epc_binding *b = epc_reg_by_flow(bench.reg, 1);
    assert_non_null(b);
    assert_string_equal(b->impi, "alice@ims.test");
    assert_int_equal(b->mode, EPC_MODE_DIGEST);
    assert_int_equal(b->token_expires_at_s, 0);

    /* refresh on the bound flow, with and without credentials */
    bench_register(1, &(struct reg_text){.extra = ANSWERED("alice") "\r\n"});
    expect_has(bench.out[2].text, "integrity-protected=\"tls-yes\"");
    bench_ok(2, 540);
    bench_register(1, &(struct reg_text){0});
    expect_has(bench.out[3].text, "username=\"alice\", realm"); /* as it was bound */
    expect_has(bench.out[3].text, "integrity-protected=\"tls-yes\"");
    bench_answer(3, 401, CHALLENGES);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));

    /* another username on the bound flow */
    i = bench_register(1, &(struct reg_text){.extra = ANSWERED("mallory") "\r\n"});
    assert_int_equal(bench_result(i)->status, 403);
    assert_int_equal(bench.n_out, 4);
    assert_int_equal(bench.gone, 0);
}

static void forged_integrity_protected(void **state)
{
    (void)state;
    bench_register(1, &(struct reg_text){.extra = "Authorization: Digest username=\"alice@ims.test\", "
                                                  "realm=\"ims.test\", nonce=\"\", uri=\"sip:ims.test\", "
                                                  "response=\"\", integrity-protected=\"auth-done\", "
                                                  "authorization-entity=\"waf.test\"\r\n"});
    assert_int_equal(bench.n_out, 1);
    expect_not(bench.out[0].text, "integrity-protected");
    expect_not(bench.out[0].text, "authorization-entity");
    bench_answer(0, 401, CHALLENGES);
    bench_register(1, &(struct reg_text){.extra = ANSWERED("alice") ", Integrity-Protected=auth-done\r\n"});
    expect_not(bench.out[1].text, "auth-done");
    expect_has(bench.out[1].text, "integrity-protected=\"tls-pending\"");
}

static void refusals(void **state)
{
    (void)state;
    const struct {
        struct reg_text t;
        uint64_t flow;
        int status;
    } rows[] = {
        {{.extra = "Authorization: Basic YWxpY2U6eA==\r\n"}, 1, 400},
        {{.extra = "Authorization: Digest realm=\"ims.test\", nonce=\"\", response=\"\"\r\n"}, 1, 400},
        {{.target = "sip:evil.test"}, 1, 403},
        {{.target = "sip:alice@ims.test"}, 1, 403},
        {{.from = "sip:bob@ims.test"}, 1, 403},
        {{.from = "sips:alice@ims.test"}, 1, 403},
        {{.expires = "59"}, 1, 423},
        {{.contact = "*", .expires = "600"}, 1, 400},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++) {
        size_t k = bench_register(rows[i].flow, &rows[i].t);
        if (bench_result(k)->status != rows[i].status)
            fail_msg("row %zu: %d", i, bench_result(k)->status);
        assert_true(bench_result(k)->released);
    }
    assert_int_equal(bench.n_out, 0);
}

static void wrong_passwords_close_the_connection(void **state)
{
    (void)state;
    for (int k = 1; k <= REG_FAILURES_MAX; k++) {
        size_t i = bench_register(5, &(struct reg_text){.extra = ANSWERED("alice") "\r\n"});
        bench_answer(bench.n_out - 1, 401, CHALLENGES);
        assert_int_equal(bench_result(i)->status, k < REG_FAILURES_MAX ? 401 : 403);
    }
    assert_int_equal(bench_flow_closed_code(5), 1008);
}

static void silence_and_failure_of_the_core(void **state)
{
    (void)state;
    size_t i = bench_register(1, &(struct reg_text){0});
    bench_no_answer(0, 408);
    assert_int_equal(bench_result(i)->status, 504);
    i = bench_register(1, &(struct reg_text){0});
    bench_no_answer(1, 503);
    assert_int_equal(bench_result(i)->status, 503);
    expect_has(bench_result(i)->answer, "Retry-After:");
    i = bench_register(1, &(struct reg_text){0});
    bench_no_answer(2, 0);
    assert_int_equal(bench_result(i)->status, 503);
    bench.cfg.sip.icscf = NULL;
    i = bench_register(1, &(struct reg_text){0});
    assert_int_equal(bench_result(i)->status, 500);
    assert_true(bench_result(i)->released);
}

static void associated_uri_missing(void **state)
{
    (void)state;
    bench_register(1, &(struct reg_text){0});
    bench_answer(0, 200, "Contact: <sip:lrs4jl2e@k1.invalid;transport=ws>\r\nExpires: 300\r\n");
    const struct epc_binding *b = epc_reg_by_flow(bench.reg, 1);
    assert_non_null(b);
    assert_int_equal(b->n_impus, 1);
    assert_string_equal(b->impus[0], "sip:alice@ims.test");
    assert_null(b->service_route[0]);
    assert_null(b->charging_functions);
    assert_int_equal(b->expires_at_ms, epc_now_ms() + 300000);
    assert_string_equal(b->wwsf, "wwsf1"); /* the Origin's */
}

static void two_at_once(void **state)
{
    (void)state;
    size_t a = bench_register(1, &(struct reg_text){0}), b = bench_register(1, &(struct reg_text){0});
    assert_int_equal(bench_result(b)->status, 500);
    expect_has(bench_result(b)->answer, "Retry-After:");
    assert_int_equal(bench_result(a)->status, 0);
    bench_ok(0, 600);
    assert_int_equal(bench_result(a)->status, 200);
}

#define T(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(first_then_challenge_then_answer),
        T(forged_integrity_protected),
        T(refusals),
        T(wrong_passwords_close_the_connection),
        T(silence_and_failure_of_the_core),
        T(associated_uri_missing),
        T(two_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
