/* The identities of a binding: what a token lists, what the core associates, what may be asserted. */
#include "harness.h"

#define ALICE "\"sip:alice@ims.test\""
#define WORK "\"sip:work@ims.test\""
#define TEL "\"tel:+15550001\""

static void must_be(uint64_t flow, const char *identities)
{
    const struct epc_binding *b = epc_reg_by_flow(bench.reg, flow);
    struct epc_buf have = {0};
    for (size_t i = 0; b && i < b->n_impus; i++)
        epc_buf_printf(&have, "%s%s", i ? " " : "", b->impus[i]);
    if (!b || strcmp(have.p, identities) != 0)
        fail_msg("'%s', not '%s'", have.p ? have.p : "nobody", identities);
    epc_buf_free(&have);
}

static size_t with_token(uint64_t flow, const char *user, const char *impus)
{
    return bench_register(
        flow, &(struct reg_text){.user = user, .extra = bench_bearer_for("alice", impus, 3600)});
}

static void ok(const char *associated, uint32_t expires_s)
{
    bench.associated = associated;
    bench_ok(bench.n_out - 1, expires_s);
}

#define PAU(list) "P-Associated-URI: " list "\r\n"

/* A token says what may be registered; the core says what may be asserted. */
static void core_decides_what_is_asserted(void **state)
{
    (void)state;
    with_token(1, "alice", ALICE);
    ok(PAU("<sip:alice@ims.test>, <sip:team@ims.test>") PAU("\"A, B\" <tel:+1-555-0001>"), 600);
    must_be(1, "sip:alice@ims.test sip:team@ims.test tel:+15550001");
}

static void implicit_identity_taken_back(void **state)
{
    (void)state;
    static const char set[] = PAU("<sip:alice@ims.test>, <tel:+15550001>, <sip:team@ims.test>");
    with_token(1, "alice", ALICE ", " TEL);
    ok(set, 600);
    must_be(1, "sip:alice@ims.test tel:+15550001 sip:team@ims.test");
    with_token(1, "alice", ALICE);
    ok(set, 600);
    must_be(1, "sip:alice@ims.test sip:team@ims.test");
    /* part of an implicit set: the core is not told, it would end the whole set */
    assert_int_equal(bench.n_out, 2);
    with_token(1, "alice", ALICE); /* not forgotten at the next refresh */
    ok(set, 600);
    must_be(1, "sip:alice@ims.test sip:team@ims.test");
    with_token(1, "alice", ALICE ", " TEL); /* and given again */
    ok(set, 600);
    must_be(1, "sip:alice@ims.test tel:+15550001 sip:team@ims.test");
    assert_int_equal(bench.n_out, 4);
    assert_int_equal(bench.gone, 0);
}

/* Coming back on another connection does not bring it back. */
static void taken_back_on_every_connection(void **state)
{
    (void)state;
    static const char instance[] = "<sip:a@b.invalid;transport=ws>;reg-id=1;+sip.instance=\"<urn:uuid:1>\"";
    static const char answer[] = "Contact: <sip:a@b.invalid;transport=ws>;reg-id=1;"
                                 "+sip.instance=\"<urn:uuid:1>\";expires=600\r\n"
                                 PAU("<sip:alice@ims.test>, <tel:+15550001>");
    static const char *const lists[] = {ALICE ", " TEL, ALICE, ALICE};
    for (uint64_t k = 0; k < EPC_ARRAY_LEN(lists); k++) {
        bench_register(k + 1, &(struct reg_text){.extra = bench_bearer_for("alice", lists[k], 3600),
                                                 .contact = instance});
        bench_answer(bench.n_out - 1, 200, answer);
    }
    must_be(3, "sip:alice@ims.test");
    assert_null(epc_reg_by_flow(bench.reg, 1));
}

/* A refresh whose 200 says the same goes on with what there is; each thing that it says anew counts. */
static void what_a_refresh_says_anew(void **state)
{
    (void)state;
    static const char a[] = "<sip:a@b.invalid;transport=ws>;reg-id=1;+sip.instance=\"<urn:uuid:1>\"";
    static const char b[] = "<sip:c@b.invalid;transport=ws>;reg-id=1;+sip.instance=\"<urn:uuid:1>\"";
#define OK_A "Contact: <sip:a@b.invalid;transport=ws>;reg-id=1;+sip.instance=\"<urn:uuid:1>\";expires=600\r\n"
#define OK_B "Contact: <sip:c@b.invalid;transport=ws>;reg-id=1;+sip.instance=\"<urn:uuid:1>\";expires=600\r\n"
#define ROUTE(host) "Service-Route: <sip:" host ";lr>\r\n"
#define CHARGING(host) "P-Charging-Function-Addresses: ccf=" host "\r\n"
    static const struct {
        const char *contact, *answer, *impus, *route, *charging, *uri;
    } rows[] = {
        {a, OK_A ROUTE("s1") CHARGING("c1") PAU("<sip:alice@ims.test>, <tel:+1>"), "sip:alice@ims.test tel:+1", "sip:s1;lr",
         "ccf=c1", "sip:a@b.invalid;transport=ws"},
        {a, OK_A ROUTE("s1") CHARGING("c1") PAU("<sip:alice@ims.test>, <tel:+1>"), "sip:alice@ims.test tel:+1", "sip:s1;lr",
         "ccf=c1", "sip:a@b.invalid;transport=ws"},
        {a, OK_A ROUTE("s1") CHARGING("c1") PAU("<sip:alice@ims.test>"), "sip:alice@ims.test", "sip:s1;lr", "ccf=c1",
         "sip:a@b.invalid;transport=ws"},
        {a, OK_A ROUTE("s1") CHARGING("c1") PAU("<sip:alice@ims.test>") PAU("<tel:+1>"), "sip:alice@ims.test tel:+1",
         "sip:s1;lr", "ccf=c1", "sip:a@b.invalid;transport=ws"},
        {a, OK_A ROUTE("s2") CHARGING("c1") PAU("<sip:alice@ims.test>") PAU("<tel:+1>"), "sip:alice@ims.test tel:+1",
         "sip:s2;lr", "ccf=c1", "sip:a@b.invalid;transport=ws"},
        {a, OK_A ROUTE("s2") CHARGING("c2") PAU("<sip:alice@ims.test>") PAU("<tel:+1>"), "sip:alice@ims.test tel:+1",
         "sip:s2;lr", "ccf=c2", "sip:a@b.invalid;transport=ws"},
        {b, OK_B ROUTE("s2") CHARGING("c2") PAU("<sip:alice@ims.test>") PAU("<tel:+1>"), "sip:alice@ims.test tel:+1",
         "sip:s2;lr", "ccf=c2", "sip:c@b.invalid;transport=ws"},
    };
    uint64_t until = 0;
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++) {
        bench_register(1, &(struct reg_text){.extra = bench_bearer_for("alice", ALICE, 3600), .contact = rows[i].contact});
        bench_answer(bench.n_out - 1, 200, rows[i].answer);
        must_be(1, rows[i].impus);
        const struct epc_binding *now = epc_reg_by_flow(bench.reg, 1);
        assert_string_equal(now->service_route[0], rows[i].route);
        assert_string_equal(now->charging_functions, rows[i].charging);
        assert_string_equal(now->contact, rows[i].uri);
        assert_true(now->expires_at_ms > until);
        until = now->expires_at_ms;
        bench_advance(10);
    }
    bench_advance(580);
    must_be(1, "sip:alice@ims.test tel:+1");
    bench_advance(20);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(bench.gone, 1);
}

static void two_identities_one_after_the_other(void **state)
{
    (void)state;
    with_token(1, "alice", ALICE ", " WORK);
    ok(PAU("<sip:alice@ims.test>"), 600);
    with_token(1, "work", ALICE ", " WORK);
    ok(PAU("<sip:work@ims.test>, <tel:+15550002>"), 300);
    must_be(1, "sip:alice@ims.test sip:work@ims.test tel:+15550002");
    /* the refresh of the first leaves it the default */
    with_token(1, "alice", ALICE ", " WORK);
    ok(PAU("<sip:alice@ims.test>"), 600);
    must_be(1, "sip:alice@ims.test sip:work@ims.test tel:+15550002");
    /* each expires by itself */
    bench_advance(301);
    must_be(1, "sip:alice@ims.test");
    assert_int_equal(bench.gone, 0);
    bench_advance(300);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench.n_out, 3);
}

static void registered_identity_taken_back(void **state)
{
    (void)state;
    with_token(1, "alice", ALICE ", " WORK);
    ok(PAU("<sip:alice@ims.test>"), 600);
    with_token(1, "work", ALICE ", " WORK);
    ok(PAU("<sip:work@ims.test>"), 600);
    with_token(1, "work", WORK);
    assert_int_equal(bench.n_out, 3);
    ok(PAU("<sip:work@ims.test>"), 600);
    must_be(1, "sip:work@ims.test");
    /* the core is told in the manner of a trusted node */
    assert_int_equal(bench.n_out, 4);
    const char *req = bench.out[3].text;
    expect_has(req, "REGISTER sip:ims.test SIP/2.0\r\n");
    expect_has(req, "To: <sip:alice@ims.test>\r\n");
    expect_has(req, "From: <sip:alice@ims.test>;tag=");
    expect_has(req, "Expires: 0\r\n");
    expect_has(req, "<sip:lrs4jl2e@k1.invalid;transport=ws>");
    expect_has(req, "username=\"alice@ims.test\"");
    expect_has(req, "integrity-protected=\"auth-done\"");
    bench_answer(3, 200, NULL);
    /* the identity cannot be registered again with this token */
    size_t i = with_token(1, "alice", WORK);
    assert_int_equal(bench_result(i)->status, 403);
    must_be(1, "sip:work@ims.test");
}

/* Registered by itself, but of one set with the new one: the core holds both under one registration. */
static void same_implicit_set(void **state)
{
    (void)state;
    static const char set[] = PAU("<sip:alice@ims.test>, <sip:work@ims.test>");
    with_token(1, "alice", ALICE ", " WORK);
    ok(set, 600);
    with_token(1, "work", WORK);
    ok(set, 600);
    must_be(1, "sip:work@ims.test");
    assert_int_equal(bench.n_out, 2);
    bench_advance(601);
    assert_null(epc_reg_by_flow(bench.reg, 1));
}

static void leaving_with_one_of_two(void **state)
{
    (void)state;
    with_token(1, "alice", ALICE ", " WORK);
    ok(PAU("<sip:alice@ims.test>"), 600);
    with_token(1, "work", ALICE ", " WORK);
    ok(PAU("<sip:work@ims.test>"), 600);
    bench_register(1, &(struct reg_text){.user = "alice", .expires = "0"});
    expect_has(bench.out[2].text, "To: <sip:alice@ims.test>");
    bench_answer(2, 200, NULL);
    must_be(1, "sip:work@ims.test");
    assert_int_equal(bench.gone, 0);
    bench_register(1, &(struct reg_text){.user = "work", .expires = "0"});
    bench_answer(3, 200, NULL);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(bench.gone, 1);
}

/* The connection is lost with two identities on it: the core hears of both. */
static void lost_with_two(void **state)
{
    (void)state;
    with_token(1, "alice", ALICE ", " WORK);
    ok(PAU("<sip:alice@ims.test>"), 600);
    with_token(1, "work", ALICE ", " WORK);
    ok(PAU("<sip:work@ims.test>"), 600);
    bench_flow_gone(1);
    bench_advance(21);
    assert_int_equal(bench.n_out, 4);
    expect_has(bench.out[2].text, "To: <sip:alice@ims.test>");
    expect_has(bench.out[3].text, "To: <sip:work@ims.test>");
    bench_answer(2, 200, NULL);
    bench_answer(3, 200, NULL);
}

static void wildcard_is_no_default(void **state)
{
    (void)state;
    with_token(1, "alice", ALICE);
    ok(PAU("<sip:list!.*!@ims.test>, <sip:alice@ims.test>, <tel:+1555!.*!>"), 600);
    must_be(1, "sip:alice@ims.test sip:list!.*!@ims.test tel:+1555!.*!");
    const struct epc_binding *b = epc_reg_by_flow(bench.reg, 1);
    assert_true(epc_reg_may_assert(b, EPC_STR("sip:list7@ims.test"), NULL));
    assert_false(epc_reg_may_assert(b, EPC_STR("sip:other7@ims.test"), NULL));
}

/* A barred identity may be registered but is not associated (TS 23.228 5.2.1a.1). */
static void barred_identity(void **state)
{
    (void)state;
    with_token(1, "alice", ALICE);
    ok(PAU("<sip:work@ims.test>, <tel:+15550002>"), 600);
    must_be(1, "sip:work@ims.test tel:+15550002");
    assert_false(epc_reg_may_assert(epc_reg_by_flow(bench.reg, 1), EPC_STR("sip:alice@ims.test"), NULL));
    bench_register(1, &(struct reg_text){.expires = "0"}); /* yet it may leave */
    bench_answer(1, 200, NULL);
    assert_null(epc_reg_by_flow(bench.reg, 1));
}

static void pool_user(void **state)
{
    (void)state;
    static char pair[] = "alice@ims.test sip:alice@ims.test", wwsf[] = "wwsf1", *pairs[] = {pair};
    struct epc_cfg_pool pool = {.wwsf = wwsf, .subscriptions = pairs, .n_subscriptions = 1};
    bench.cfg.tokens.pools = &pool;
    bench.cfg.tokens.n_pools = 1;
    assert_int_equal(epc_pools_build(&bench.cfg.tokens.pool_index, &bench.cfg.tokens, false, NULL, NULL), EPC_OK);
    for (int anonymous = 0; anonymous < 2; anonymous++) {
        pool.anonymous = anonymous;
        with_token(1, "alice", ALICE);
        ok(PAU("<sip:alice@ims.test>, <tel:+15550001>"), 600);
        must_be(1, "sip:alice@ims.test"); /* this pair, whatever else the core associates */
        assert_int_equal(epc_reg_by_flow(bench.reg, 1)->anonymous, anonymous);
    }
    size_t i = with_token(2, "alice", ALICE ", " TEL); /* never two */
    assert_int_equal(bench_result(i)->status, 403);
    epc_pools_free(bench.cfg.tokens.pool_index);
}

static void named_waf(void **state)
{
    (void)state;
    bench.cfg.tokens.issuers[0].waf = strdup("waf7.test");
    with_token(1, "alice", ALICE);
    expect_has(bench.out[0].text, "authorization-entity=\"waf7.test\"");
    ok(NULL, 600);
    bench_register(1, &(struct reg_text){.expires = "0"});
    expect_has(bench.out[1].text, "authorization-entity=\"waf7.test\"");
    bench_answer(1, 500, NULL);
    free(bench.cfg.tokens.issuers[0].waf);
    bench.cfg.tokens.issuers[0].waf = NULL;
}

/* ---- the end of the token ------------------------------------------------------------------- */

static void check_result(void *arg, enum epc_err err, const struct epc_binding *b,
                         const struct epc_cause *cause, const char *www_authenticate)
{
    (void)b;
    (void)err;
    *(int *)arg = cause->sip_status;
    if (cause->sip_status == 401)
        expect_has(www_authenticate, "error=\"invalid_token\"");
}

static int check(uint64_t flow)
{
    int status = -1;
    bench_request(flow, "MESSAGE sip:bob@ims.test SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bKm\r\n"
                        "Max-Forwards: 70\r\nTo: <sip:bob@ims.test>\r\nFrom: <sip:alice@ims.test>;tag=1\r\n"
                        "Call-ID: m\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n");
    epc_reg_check(bench.reg, bench_last_in(), check_result, &status);
    return status;
}

static void for_a_token(uint32_t lifetime_s, uint32_t core_s)
{
    bench_token_register(1, "alice", lifetime_s, "600");
    bench.associated = NULL;
    bench_ok(bench.n_out - 1, core_s);
}

static void calls_outlive_the_token(void **state)
{
    (void)state;
    for_a_token(100, 600);
    bench.calls_on = 1;
    assert_int_equal(check(1), 0);
    bench_advance(102);
    const struct epc_binding *b = epc_reg_by_flow(bench.reg, 1);
    assert_non_null(b);
    assert_true(b->over);
    assert_int_equal(bench.gone, 0);
    assert_int_equal(bench.n_out, 1); /* the core would end the calls */
    assert_int_equal(check(1), 401);
    assert_int_equal(bench_flow_closed_code(1), 0);
    bench_advance(60);
    assert_int_equal(bench.gone, 0);
    bench.calls_on = 0;
    bench_advance(6);
    assert_int_equal(bench.gone, 1);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(bench_flow_closed_code(1), 1008);
    assert_int_equal(bench.n_out, 2);
    expect_has(bench.out[1].text, "Expires: 0\r\n");
    bench_answer(1, 200, NULL);
}

static void new_token_while_calls_last(void **state)
{
    (void)state;
    for_a_token(100, 600);
    bench.calls_on = 1;
    bench_advance(102);
    assert_true(epc_reg_by_flow(bench.reg, 1)->over);
    size_t i = bench_register(1, &(struct reg_text){0}); /* not without a token */
    assert_int_equal(bench_result(i)->status, 401);
    for_a_token(1000, 600);
    assert_false(epc_reg_by_flow(bench.reg, 1)->over);
    assert_int_equal(check(1), 0);
    bench.calls_on = 0;
    bench_advance(30);
    assert_int_equal(bench.gone, 0);
    /* over again, and the refresh is refused */
    bench.calls_on = 1;
    for_a_token(100, 600);
    bench_advance(102);
    bench_token_register(1, "alice", 1000, "600");
    bench_answer(bench.n_out - 1, 480, NULL);
    bench_advance(10);
    assert_true(epc_reg_by_flow(bench.reg, 1)->over);
    bench_flow_gone(1);
    bench_advance(10);
    assert_int_equal(bench.gone, 1);
    bench_answer(bench.n_out - 1, 200, NULL);
}

static void calls_end_with_the_token(void **state)
{
    (void)state;
    bench.cfg.registration.token_end_calls = EPC_TOKEN_END_RELEASE;
    for_a_token(100, 600);
    bench.calls_on = 1;
    bench_advance(102);
    assert_int_equal(bench.gone, 1); /* which releases the calls */
    assert_int_equal(bench_flow_closed_code(1), 1008);
    expect_has(bench.out[1].text, "Expires: 0\r\n");
    bench_answer(1, 200, NULL);
}

static void leaving_with_an_expired_token(void **state)
{
    (void)state;
    const char *bearer = bench_bearer("alice", 100);
    bench_register(1, &(struct reg_text){.extra = bearer});
    bench_ok(0, 600);
    bench.calls_on = 1;
    bench_advance(102);
    size_t i = bench_register(1, &(struct reg_text){.extra = bearer, .expires = "0"});
    expect_has(bench.out[1].text, "Expires: 0\r\n");
    expect_not(bench.out[1].text, "Bearer");
    bench_answer(1, 200, NULL);
    assert_int_equal(bench_result(i)->status, 200);
    assert_int_equal(bench.gone, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(core_decides_what_is_asserted),
        T(implicit_identity_taken_back),
        T(taken_back_on_every_connection),
        T(what_a_refresh_says_anew),
        T(two_identities_one_after_the_other),
        T(registered_identity_taken_back),
        T(same_implicit_set),
        T(leaving_with_one_of_two),
        T(lost_with_two),
        T(wildcard_is_no_default),
        T(barred_identity),
        T(pool_user),
        T(named_waf),
        T(calls_outlive_the_token),
        T(new_token_while_calls_last),
        T(calls_end_with_the_token),
        T(leaving_with_an_expired_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
