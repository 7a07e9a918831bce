/* Requests other than REGISTER: who may pass (RFC 8898, TS 24.371 7.2). */
#include "harness.h"

struct checked {
    unsigned calls;
    enum epc_err err;
    const struct epc_binding *b;
    int status;
    char header[256];
};

static void on_checked(void *arg, enum epc_err err, const struct epc_binding *b,
                       const struct epc_cause *cause, const char *www_authenticate)
{
    struct checked *c = arg;
    c->calls++;
    c->err = err;
    c->b = b;
    c->status = cause->sip_status;
    snprintf(c->header, sizeof c->header, "%s", www_authenticate);
}

static struct checked check(uint64_t flow, const char *extra)
{
    char text[8192];
    struct checked c = {0};
    snprintf(text, sizeof text,
             "MESSAGE sip:bob@ims.test SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK1\r\n"
             "Max-Forwards: 69\r\nTo: <sip:bob@ims.test>\r\nFrom: <sip:alice@ims.test>;tag=1\r\n"
             "Call-ID: c\r\nCSeq: 1 MESSAGE\r\n%sContent-Length: 0\r\n\r\n",
             extra);
    bench_request(flow, text);
    epc_reg_check(bench.reg, bench_last_in(), on_checked, &c);
    assert_int_equal(c.calls, 1);
    assert_true((c.err == EPC_OK) == (c.b != NULL));
    assert_true((c.err == EPC_OK) == (c.status == 0));
    return c;
}

static void not_registered(void **state)
{
    (void)state;
    assert_int_equal(check(1, "").status, 403);
    assert_string_equal(check(1, "").header, "");
    struct checked c = check(4, ""); /* Origin for tokens only */
    assert_int_equal(c.status, 401);
    assert_string_equal(c.header,
                        "Bearer realm=\"ims.test\", scope=\"sip\", authz_server=\"https://waf.test\"");
    assert_int_equal(check(6, "").status, 403);
    bench_register(1, &(struct reg_text){0}); /* at the core, not yet bound */
    assert_int_equal(check(1, "").status, 403);
}

static void registered_by_token(void **state)
{
    (void)state;
    const char *token = bench_bearer("alice", 600);
    bench_register(1, &(struct reg_text){.extra = token});
    bench_ok(0, 600);
    int64_t verified = epc_counter_read(EPC_C_AUTH_TOKENS_OK);
    assert_int_equal(check(1, "").err, EPC_OK);
    assert_ptr_equal(check(1, "").b, epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(check(1, token).err, EPC_OK);
    assert_int_equal(epc_counter_read(EPC_C_AUTH_TOKENS_OK), verified); /* known by its hash */
    const char *newer = bench_bearer("alice", 700);
    assert_int_equal(check(1, newer).err, EPC_OK);
    assert_int_equal(check(1, newer).err, EPC_OK);
    assert_int_equal(epc_counter_read(EPC_C_AUTH_TOKENS_OK), verified + 1); /* once for each */
    struct checked c = check(1, bench_bearer("bob", 600));
    assert_int_equal(c.status, 403);
    assert_string_equal(c.header, "");
    c = check(1, "Authorization: Bearer a.b.c\r\n");
    assert_int_equal(c.status, 401);
    expect_has(c.header, "error=\"invalid_token\"");
    char two[8192];
    snprintf(two, sizeof two, "%sProxy-%s", token, token);
    assert_int_equal(check(1, two).status, 400);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
}

static void token_over(void **state)
{
    (void)state;
    const char *token = bench_bearer("alice", 600);
    bench_register(1, &(struct reg_text){.extra = token});
    bench_ok(0, 600);
    bench_advance(590);
    bench_register(1, &(struct reg_text){.extra = bench_bearer("alice", 3600)});
    bench_advance(10); /* the refresh is at the core; the old token has ended */
    struct checked c = check(1, "");
    assert_int_equal(c.status, 401);
    expect_has(c.header, "error=\"invalid_token\"");
    bench_ok(1, 600);
    assert_int_equal(check(1, "").err, EPC_OK);
    assert_int_equal(check(1, token).status, 401); /* its signature is good, its time is over */
}

static void registered_by_digest(void **state)
{
    (void)state;
    bench_register(5, &(struct reg_text){0});
    bench_ok(0, 540);
    assert_int_equal(check(5, "").err, EPC_OK);
    assert_int_equal(check(5, "Authorization: Digest username=\"x\"\r\n").err, EPC_OK);
    assert_int_equal(check(5, bench_bearer("alice", 600)).status, 403); /* Origin without tokens */
    bench_register(5, &(struct reg_text){0});
    bench_advance(541);
    assert_int_equal(check(5, "").status, 403); /* expired, whatever the core will say */
}

static void too_many_failures(void **state)
{
    (void)state;
    bench_token_register(1, "alice", 600, "600");
    bench_ok(0, 600);
    for (int k = 1; k < REG_FAILURES_MAX; k++)
        assert_int_equal(check(1, "Authorization: Bearer a.b.c\r\n").status, 401);
    assert_int_equal(bench_flow_closed_code(1), 0);
    assert_int_equal(check(1, "Authorization: Bearer a.b.c\r\n").status, 403);
    assert_int_equal(bench_flow_closed_code(1), 1008);
}

/* TS 24.371 7.2.1: every request has a token; the lenient default trusts the connection. */
static void strict_about_tokens(void **state)
{
    (void)state;
    const char *token = bench_bearer("alice", 600);
    bench.cfg.registration.strict_token = true;
    bench_register(1, &(struct reg_text){.extra = token});
    bench_ok(0, 600);
    struct checked c = check(1, "");
    assert_int_equal(c.status, 401);
    expect_has(c.header, "Bearer realm=\"ims.test\"");
    expect_not(c.header, "error=");
    assert_int_equal(check(1, token).err, EPC_OK);
    bench_register(2, &(struct reg_text){0}); /* Digest mode has no token to give */
    bench_ok(1, 600);
    assert_int_equal(check(2, "").err, EPC_OK);
}

#define T(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(not_registered),
        T(registered_by_token),
        T(token_over),
        T(registered_by_digest),
        T(too_many_failures),
        T(strict_about_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
