/* Token mode: trusted node authentication towards the core (TS 33.203 Annex U). */
#include "harness.h"

static void first_registration(void **state)
{
    (void)state;
    size_t i = bench_register(1, &(struct reg_text){
        .extra = bench_bearer("alice", 3600),
    });
    assert_int_equal(bench.n_out, 1);
    const char *req = bench.out[0].text;
    assert_string_equal(bench.out[0].next_hop, "sip:127.0.0.2:4060");
    expect_has(req, "Authorization: Digest username=\"alice@ims.test\", realm=\"ims.test\", nonce=\"\", "
                    "uri=\"sip:ims.test\", response=\"\", integrity-protected=\"auth-done\", "
                    "authorization-entity=\"waf.test\"\r\n");
    expect_not(req, "Bearer");
    expect_has(req, "Path: <sip:flow1@127.0.0.41:5060;lr;ob>\r\n");
    expect_has(req, "Require: path\r\n");
    expect_has(req, "P-Visited-Network-ID: \"ims.test\"\r\n");
    expect_has(req, "P-Charging-Vector: icid-value=");
    expect_has(req, ";icid-generated-at=127.0.0.41;orig-ioi=\"Type 1ims.test\"\r\n");
    expect_has(req, "Max-Forwards: 68\r\n");
    expect_has(req, "User-Agent: JsSIP 3.13.8\r\n");
    expect_has(req, "<sip:lrs4jl2e@k1.invalid;transport=ws>");
    expect_not(req, "Route:");
    assert_null(epc_reg_by_flow(bench.reg, 1));

    bench_ok(0, 540);
    const struct bench_in *r = bench_result(i);
    assert_int_equal(r->status, 200);
    assert_true(r->released && bench.out[0].detached);
    expect_has(r->answer, "<sip:lrs4jl2e@k1.invalid;transport=ws>;expires=540");
    expect_not(r->answer, "53i95s0o"); /* the other device */
    expect_not(r->answer, "P-Charging");
    expect_has(r->answer, "Path:"); /* it said Supported: path */
    expect_has(r->answer, "P-Associated-URI:");
    expect_has(r->answer, "Service-Route:");
    const struct epc_binding *b = epc_reg_by_flow(bench.reg, 1);
    assert_non_null(b);
    assert_string_equal(b->impi, "alice@ims.test");
    assert_int_equal(b->n_impus, 2);
    assert_string_equal(b->impus[0], "sip:alice@ims.test");
    assert_string_equal(b->impus[1], "tel:+15550001");
    assert_string_equal(b->service_route[0], "sip:orig@127.0.0.3:6060;lr");
    assert_string_equal(b->service_route[1], "sip:two@127.0.0.4;lr");
    assert_null(b->service_route[2]);
    assert_string_equal(b->contact, "sip:lrs4jl2e@k1.invalid;transport=ws");
    assert_string_equal(b->wwsf, "wwsf1");
    assert_string_equal(b->charging_functions, "ccf=192.0.2.1");
    assert_int_equal(b->mode, EPC_MODE_TOKEN);
    assert_int_equal(b->expires_at_ms, epc_now_ms() + 540000);
    assert_int_equal(b->token_expires_at_s, epc_wall_s() + 3600);
    assert_true(bench_flow_registered(1));
}

static void other_syntax_and_param_off(void **state)
{
    (void)state;
    char text[4096];
    const char *bearer = bench_bearer("alice", 3600) + strlen("Authorization: Bearer ");
    snprintf(text, sizeof text, "Authorization: Bearer access_token=\"%.*s\"\r\n", (int)strcspn(bearer, "\r"),
             bearer);
    bench.cfg.registration.authorization_entity_param = NULL;
    bench.cfg.registration.tna_integrity_protected = "tls-yes";
    bench_register(1, &(struct reg_text){.extra = text, .supported = "gruu"});
    assert_int_equal(bench.n_out, 1);
    expect_has(bench.out[0].text, "integrity-protected=\"tls-yes\"\r\n");
    expect_not(bench.out[0].text, "authorization-entity");
    expect_not(bench.out[0].text, "access_token");
    expect_has(bench.out[0].text, ";lr>\r\n"); /* no ob without outbound */
    bench_ok(0, 540);
    expect_not(bench_result(0)->answer, "Path:");
    assert_string_equal(epc_reg_by_flow(bench.reg, 1)->impi, "alice@ims.test");
}

static void forged_headers_do_not_cross(void **state)
{
    (void)state;
    char text[4096];
    snprintf(text, sizeof text,
             "%sP-Visited-Network-ID: \"evil\"\r\nP-Charging-Vector: icid-value=evil\r\nPath: <sip:evil>\r\n"
             "P-Asserted-Identity: <sip:evil@ims.test>\r\nRoute: <sip:evil.test;lr>\r\n",
             bench_bearer("alice", 3600));
    bench_register(1, &(struct reg_text){.extra = text});
    assert_int_equal(bench.n_out, 1);
    expect_not(bench.out[0].text, "evil");
}

static const char *access_of(void *arg, uint64_t flow_id)
{
    (void)arg;
    return flow_id == 1 ? "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100;network-provided" : NULL;
}

static unsigned n_bound;

static void on_bound(void *arg, const struct epc_binding *b)
{
    (void)arg;
    n_bound++;
    assert_string_equal(b->impi, "alice@ims.test");
}

/* What the policy function knows of the access goes into the REGISTERs of that flow, and it hears of each. */
static void known_access_network(void **state)
{
    (void)state;
    n_bound = 0;
    epc_reg_on_access(bench.reg, access_of, NULL);
    epc_reg_on_bound(bench.reg, on_bound, NULL);
    bench_register(1, &(struct reg_text){.extra = bench_bearer("alice", 3600)});
    expect_has(bench.out[0].text, "P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010100;"
                                  "network-provided\r\n");
    assert_int_equal(n_bound, 0);
    bench_ok(0, 540);
    assert_int_equal(n_bound, 1);
}

static void expect_refused(const struct reg_text *t, uint64_t flow, int status, const char *header)
{
    size_t before = bench.n_out, i = bench_register(flow, t);
    if (bench_result(i)->status != status)
        fail_msg("status %d, not %d: %s", bench_result(i)->status, status, t->extra ? t->extra : "");
    assert_true(bench_result(i)->released);
    if (header)
        expect_has(bench_result(i)->answer, header);
    else
        expect_not(bench_result(i)->answer, "WWW-Authenticate");
    assert_int_equal(bench.n_out, before);
    assert_null(epc_reg_by_flow(bench.reg, flow));
}

#define CHALLENGE                                                                                  \
    "WWW-Authenticate: Bearer realm=\"ims.test\", scope=\"sip\", authz_server=\"https://waf.test\"\r\n"
#define INVALID                                                                                    \
    "WWW-Authenticate: Bearer realm=\"ims.test\", authz_server=\"https://waf.test\", "               \
    "error=\"invalid_token\"\r\n"

static void refusals(void **state)
{
    (void)state;
    char two[8192];
    const char *good = bench_bearer("alice", 3600);
    expect_refused(&(struct reg_text){0}, 4, 401, CHALLENGE);
    expect_refused(&(struct reg_text){.extra = "Authorization: Digest username=\"alice\", realm=\"x\", "
                                               "nonce=\"\", uri=\"sip:x\", response=\"\"\r\n"},
                   4, 401, CHALLENGE);
    expect_refused(&(struct reg_text){.extra = good}, 5, 403, NULL); /* Digest-only Origin */
    expect_refused(&(struct reg_text){.extra = "Authorization: Bearer tok-alice\r\n"}, 1, 401, INVALID);
    expect_refused(&(struct reg_text){.extra = good, .user = "bob"}, 1, 403, NULL);
    expect_refused(&(struct reg_text){.extra = good, .from = "sip:bob@ims.test"}, 1, 403, NULL);
    expect_refused(&(struct reg_text){.extra = good, .target = "sip:other.test"}, 1, 403, NULL);
    expect_refused(&(struct reg_text){.extra = good, .target = "sip:evil.test"}, 1, 403, NULL);
    expect_refused(&(struct reg_text){.extra = good, .expires = "30"}, 2, 423, "Min-Expires: 60\r\n");
    snprintf(two, sizeof two, "%sAuthorization: Digest username=\"a\", realm=\"b\", nonce=\"\", "
             "uri=\"sip:x\", response=\"\"\r\n", good);
    expect_refused(&(struct reg_text){.extra = two}, 2, 400, NULL);
    snprintf(two, sizeof two, "%sProxy-%s", good, good);
    expect_refused(&(struct reg_text){.extra = two}, 2, 400, NULL);
    expect_refused(&(struct reg_text){.extra = good, .contact = "<sip:a@b.invalid>, <sip:c@d.invalid>"}, 2,
                   400, NULL);
    expect_refused(&(struct reg_text){.extra = bench_bearer("alice", 40)}, 2, 401, INVALID);
}

static void expiry_is_capped_by_the_token(void **state)
{
    (void)state;
    size_t i = bench_token_register(1, "alice", 300, "600");
    expect_has(bench.out[0].text, "Expires: 300\r\n");
    expect_has(bench.out[0].text, "expires=300");
    expect_not(bench.out[0].text, "expires=600");
    bench_ok(0, 900); /* a core that grants more than it was asked for */
    expect_has(bench_result(i)->answer, "expires=300");
    assert_int_equal(epc_reg_by_flow(bench.reg, 1)->expires_at_ms, epc_now_ms() + 300000);
    bench_advance(301);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench_flow_closed_code(1), 1008);
    assert_int_equal(bench.n_out, 2); /* the core held it for longer: it is told */
    expect_has(bench.out[1].text, "Expires: 0\r\n");
    expect_has(bench.out[1].text, "integrity-protected=\"auth-done\"");
}

static void core_that_does_not_trust_us(void **state)
{
    (void)state;
    int64_t before = epc_counter_read(EPC_C_REG_TNA_CHALLENGED);
    size_t i = bench_token_register(1, "alice", 3600, "600");
    bench_answer(0, 401, "WWW-Authenticate: Digest realm=\"ims.test\", nonce=\"abc\"\r\n");
    assert_int_equal(bench_result(i)->status, 500);
    assert_false(bench_result(i)->forwarded);
    expect_not(bench_result(i)->answer, "Digest");
    assert_int_equal(epc_counter_read(EPC_C_REG_TNA_CHALLENGED), before + 1);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    i = bench_token_register(1, "alice", 3600, "600"); /* the flow is usable still */
    bench_ok(1, 600);
    assert_int_equal(bench_result(i)->status, 200);
}

static void too_many_failures(void **state)
{
    (void)state;
    for (int k = 1; k <= REG_FAILURES_MAX; k++) {
        size_t i = bench_register(1, &(struct reg_text){.extra = "Authorization: Bearer a.b.c\r\n"});
        assert_int_equal(bench_result(i)->status, k < REG_FAILURES_MAX ? 401 : 403);
        assert_int_equal(bench_flow_closed_code(1), k < REG_FAILURES_MAX ? 0 : 1008);
    }
}

static void refresh_with_a_new_token(void **state)
{
    (void)state;
    bench_token_register(1, "alice", 3600, "600");
    bench_ok(0, 540);
    const struct epc_binding *b = epc_reg_by_flow(bench.reg, 1);
    bench_advance(300);
    bench_token_register(1, "alice", 3600, "600");
    assert_non_null(epc_reg_by_flow(bench.reg, 1)); /* in force while the core decides */
    bench_ok(1, 540);
    assert_ptr_equal(epc_reg_by_flow(bench.reg, 1), b);
    assert_int_equal(b->expires_at_ms, epc_now_ms() + 540000);
    assert_int_equal(bench.gone, 0);
    /* another identity on a bound flow */
    size_t i = bench_token_register(1, "bob", 3600, "600");
    assert_int_equal(bench_result(i)->status, 403);
    /* no token at all */
    i = bench_register(1, &(struct reg_text){0});
    assert_int_equal(bench_result(i)->status, 401);
    assert_int_equal(bench.n_out, 2);
    /* a refused refresh leaves the binding */
    bench_token_register(1, "alice", 3600, "600");
    bench_answer(2, 503, NULL);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    bench_advance(541);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(bench.gone, 1);
}

/* Which mode a connection may use is its Origin's matter; which it does use, its credentials'. */
static void modes_by_origin_and_credentials(void **state)
{
    (void)state;
    static const char digest[] = "Authorization: Digest username=\"alice\", realm=\"ims.test\", nonce=\"\", "
                                 "uri=\"sip:ims.test\", response=\"\"\r\n";
    char proxy[4096], param[4096];
    const char *bearer = bench_bearer("alice", 3600), *token = bearer + strlen("Authorization: Bearer ");
    snprintf(proxy, sizeof proxy, "Proxy-%s", bearer);
    snprintf(param, sizeof param, "authorization: bearer  access_token=\"%.*s\"\r\n", (int)strcspn(token, "\r"),
             token);
    const struct {
        const char *credentials;
        int both, token_only, digest_only, no_origin; /* 0: goes to the core */
    } rows[] = {
        {NULL, 0, 401, 0, 0},
        {digest, 0, 401, 0, 0},
        {bearer, 0, 0, 403, 0},
        {param, 0, 0, 403, 0},
        {proxy, 0, 0, 403, 0},
    };
    for (size_t k = 0; k < EPC_ARRAY_LEN(rows); k++) {
        const uint64_t flows[] = {1, 4, 5, 6};
        const int want[] = {rows[k].both, rows[k].token_only, rows[k].digest_only, rows[k].no_origin};
        for (size_t f = 0; f < EPC_ARRAY_LEN(flows); f++) {
            size_t n = bench.n_out;
            size_t i = bench_register(flows[f], &(struct reg_text){.extra = rows[k].credentials});
            if (bench_result(i)->status != want[f])
                fail_msg("row %zu flow %zu: %d", k, f, bench_result(i)->status);
            assert_int_equal(bench.n_out - n, want[f] == 0);
            if (want[f])
                continue;
            expect_not(bench.out[n].text, "Bearer");
            expect_not(bench.out[n].text, "Proxy-Authorization");
            bench_answer(n, 480, NULL);
        }
    }
}

/* A core that wants longer registrations than the token lasts: a longer Expires would not help. */
static void core_wants_longer_than_the_token(void **state)
{
    (void)state;
    size_t i = bench_token_register(1, "alice", 200, "600");
    bench_answer(0, 423, "Min-Expires: 300\r\n");
    assert_int_equal(bench_result(i)->status, 401);
    expect_has(bench_result(i)->answer, "error=\"invalid_token\"");
    expect_not(bench_result(i)->answer, "Min-Expires");
    /* when the WIC itself asked for less, it may ask for more */
    i = bench_token_register(1, "alice", 3600, "100");
    bench_answer(1, 423, "Min-Expires: 300\r\n");
    assert_int_equal(bench_result(i)->status, 423);
    expect_has(bench_result(i)->answer, "Min-Expires: 300\r\n");
}

/* Nobody learns from the answer whether an identity exists. */
static void refusals_do_not_enumerate(void **state)
{
    (void)state;
    const char *bearer = bench_bearer("alice", 3600);
    bench_token_register(2, "bob", 3600, "600");
    bench_ok(0, 600); /* bob exists, and is registered */
    size_t known = bench_register(1, &(struct reg_text){.extra = bearer, .user = "bob"});
    size_t unknown = bench_register(1, &(struct reg_text){.extra = bearer, .user = "nobody-at-all"});
    assert_int_equal(bench_result(known)->status, 403);
    assert_int_equal(bench_result(unknown)->status, 403);
    assert_string_equal(bench_result(known)->phrase, bench_result(unknown)->phrase);
    assert_string_equal(bench_result(known)->answer, bench_result(unknown)->answer);
}

static void forbidden_by_the_core_is_counted(void **state)
{
    (void)state;
    int64_t before = epc_counter_read(EPC_C_REG_TNA_REFUSED);
    size_t i = bench_token_register(1, "alice", 3600, "600");
    bench_answer(0, 403, NULL);
    assert_int_equal(bench_result(i)->status, 403);
    assert_int_equal(epc_counter_read(EPC_C_REG_TNA_REFUSED), before + 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(known_access_network),
        T(first_registration),
        T(other_syntax_and_param_off),
        T(forged_headers_do_not_cross),
        T(refusals),
        T(expiry_is_capped_by_the_token),
        T(core_that_does_not_trust_us),
        T(too_many_failures),
        T(refresh_with_a_new_token),
        T(modes_by_origin_and_credentials),
        T(core_wants_longer_than_the_token),
        T(refusals_do_not_enumerate),
        T(forbidden_by_the_core_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
