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

static size_t lines(const char *text, const char *start)
{
    size_t n = 0;
    for (const char *at = strstr(text, start); at; at = strstr(at + 1, start))
        n++;
    return n;
}

/* RFC 8760: what the core prefers comes first, and each challenge has a line of its own. */
static void several_challenges_in_order(void **state)
{
    (void)state;
    size_t i = bench_register(1, &(struct reg_text){0});
    bench_answer(0, 401,
                 "WWW-Authenticate: Digest realm=\"ims.test\", nonce=\"a\", algorithm=SHA-512-256, qop=\"auth\"\r\n"
                 "WWW-Authenticate: Digest realm=\"ims.test\", nonce=\"b\", algorithm=SHA-256, qop=\"auth\"\r\n"
                 "WWW-Authenticate: Digest realm=\"ims.test\", nonce=\"c\", algorithm=MD5, qop=\"auth\"\r\n");
    const char *text = bench_result(i)->answer;
    assert_int_equal(lines(text, "\r\nWWW-Authenticate: Digest"), 3);
    const char *a = strstr(text, "SHA-512-256"), *b = strstr(text, "=SHA-256"), *c = strstr(text, "=MD5");
    assert_true(a && b && c && a < b && b < c);
    static const char *const chosen[] = {"MD5", "SHA-256", "SHA-512-256"};
    for (size_t k = 0; k < EPC_ARRAY_LEN(chosen); k++) {
        char extra[512], want[64];
        snprintf(extra, sizeof extra,
                 "Authorization: Digest algorithm=%s, username=\"alice\", realm=\"ims.test\", nonce=\"a\", "
                 "uri=\"sip:ims.test\", response=\"0123\"\r\n", chosen[k]);
        snprintf(want, sizeof want, "algorithm=%s, ", chosen[k]);
        bench_register(1, &(struct reg_text){.extra = extra});
        expect_has(bench.out[k + 1].text, want);
        expect_has(bench.out[k + 1].text, "integrity-protected=\"tls-pending\"");
        bench_answer(k + 1, 401, CHALLENGES);
    }
}

#define AKA(rest)                                                                                  \
    "Authorization: Digest username=\"001010000000001@ims.test\", realm=\"ims.test\", uri=\"sip:ims.test\", " rest "\r\n"

/* IMS AKA over TLS (TS 33.203 P.1): tls-connected with and without an answer. */
static void aka_over_tls(void **state)
{
    (void)state;
    size_t i = bench_register(
        1, &(struct reg_text){.extra = AKA("nonce=\"\", response=\"\", algorithm=AKAv2-SHA-256")});
    expect_has(bench.out[0].text, "algorithm=AKAv2-SHA-256");
    expect_has(bench.out[0].text, "integrity-protected=\"tls-connected\"");
    bench_answer(0, 401, "WWW-Authenticate: Digest realm=\"ims.test\", nonce=\"cmFuZGF1dG4=\", "
                         "algorithm=AKAv2-SHA-256, qop=\"auth\", ik=\"00112233\", ck=\"44556677\"\r\n");
    expect_has(bench_result(i)->answer, "nonce=\"cmFuZGF1dG4=\", algorithm=AKAv2-SHA-256");
    expect_not(bench_result(i)->answer, "00112233");
    expect_not(bench_result(i)->answer, "44556677");
    bench_register(1, &(struct reg_text){.extra = AKA("nonce=\"cmFuZGF1dG4=\", response=\"77\", "
                                                      "algorithm=akav2-sha-256, qop=auth, nc=00000001, cnonce=\"c\"")});
    expect_has(bench.out[1].text, "response=\"77\"");
    expect_has(bench.out[1].text, "integrity-protected=\"tls-connected\"");
    bench_ok(1, 540);
    assert_string_equal(epc_reg_by_flow(bench.reg, 1)->impi, "001010000000001@ims.test");
    /* a refresh without credentials still says which scheme the flow was bound with */
    bench_register(1, &(struct reg_text){0});
    expect_has(bench.out[2].text, "username=\"001010000000001@ims.test\"");
    expect_has(bench.out[2].text, "algorithm=AKAv2-SHA-256, integrity-protected=\"tls-connected\"");
    bench_answer(2, 401, CHALLENGES);
}

static void aka_resynchronisation(void **state)
{
    (void)state;
    bench_register(1, &(struct reg_text){.extra = AKA("nonce=\"\", response=\"\"")});
    expect_not(bench.out[0].text, "integrity-protected");
    bench_answer(0, 401, "WWW-Authenticate: Digest realm=\"ims.test\", nonce=\"cmFuZGF1dG4=\", algorithm=AKAv1-MD5\r\n");
    bench_register(1, &(struct reg_text){.extra = AKA("nonce=\"cmFuZGF1dG4=\", response=\"\", algorithm=AKAv1-MD5, "
                                                      "auts=\"5PYxMuX2NOT2NeQ=\"")});
    expect_has(bench.out[1].text, "algorithm=AKAv1-MD5, auts=\"5PYxMuX2NOT2NeQ=\"");
    bench_answer(1, 401, "WWW-Authenticate: Digest realm=\"ims.test\", nonce=\"bmV3\", algorithm=AKAv1-MD5\r\n");
    bench_register(1, &(struct reg_text){.extra = AKA("nonce=\"bmV3\", response=\"88\", algorithm=AKAv1-MD5")});
    expect_has(bench.out[2].text, "integrity-protected=\"tls-pending\"");
    bench_ok(2, 540);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
}

#define FIRST(user)                                                                                \
    "Authorization: Digest username=\"" user "\", realm=\"ims.test\", nonce=\"\", uri=\"sip:ims.test\", "  \
    "response=\"\"\r\n"

static void challenge_is_for_one_identity(void **state)
{
    (void)state;
    bench_register(1, &(struct reg_text){.extra = FIRST("alice")});
    bench_answer(0, 401, CHALLENGES);
    size_t i = bench_register(1, &(struct reg_text){.extra = ANSWERED("mallory") "\r\n"});
    assert_int_equal(bench_result(i)->status, 403);
    assert_int_equal(bench.n_out, 1);
    /* another user may begin anew */
    bench_register(1, &(struct reg_text){.extra = FIRST("bob"), .user = "bob"});
    bench_answer(1, 401, CHALLENGES);
    i = bench_register(1, &(struct reg_text){.extra = ANSWERED("bob") "\r\n", .user = "bob"});
    bench_ok(2, 540);
    assert_int_equal(bench_result(i)->status, 200);
    assert_string_equal(epc_reg_by_flow(bench.reg, 1)->impi, "bob@ims.test");
}

/* Without Authorization at first nobody knows the private identity until the answer. */
static void private_identity_of_another_name(void **state)
{
    (void)state;
    bench_register(1, &(struct reg_text){0});
    bench_answer(0, 401, CHALLENGES);
    size_t i = bench_register(1, &(struct reg_text){.extra = ANSWERED("private-7@ims.test") "\r\n"});
    bench_ok(1, 540);
    assert_int_equal(bench_result(i)->status, 200);
    assert_string_equal(epc_reg_by_flow(bench.reg, 1)->impi, "private-7@ims.test");
}

static void challenge_never_answered(void **state)
{
    (void)state;
    int64_t before = epc_counter_read(EPC_C_REG_UNANSWERED);
    bench_register(1, &(struct reg_text){.extra = FIRST("alice")});
    bench_answer(0, 401, CHALLENGES);
    bench_advance(239);
    assert_int_equal(epc_counter_read(EPC_C_REG_UNANSWERED), before);
    bench_advance(2);
    assert_int_equal(epc_counter_read(EPC_C_REG_UNANSWERED), before + 1);
    /* forgotten: the name is nobody's any more */
    size_t i = bench_register(1, &(struct reg_text){.extra = ANSWERED("bob") "\r\n", .user = "bob"});
    assert_int_equal(bench_result(i)->status, 0);
    bench_answer(1, 401, CHALLENGES);
    /* and an answer in time ends the wait */
    bench_advance(100);
    bench_register(1, &(struct reg_text){.extra = ANSWERED("bob") "\r\n", .user = "bob"});
    bench_advance(30);
    bench_ok(2, 1000);
    bench_advance(300);
    assert_int_equal(epc_counter_read(EPC_C_REG_UNANSWERED), before + 1);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    /* a connection that goes away with a challenge open */
    bench_register(2, &(struct reg_text){.extra = FIRST("alice")});
    bench_answer(3, 401, CHALLENGES);
    bench_flow_gone(2);
    bench_advance(300);
    assert_int_equal(epc_counter_read(EPC_C_REG_UNANSWERED), before + 1);
}

static void strict_about_integrity_protected(void **state)
{
    (void)state;
    bench.cfg.registration.strict_integrity = true;
    static const char *const forged[] = {
        "Authorization: Digest username=\"alice\", realm=\"ims.test\", nonce=\"\", response=\"\", "
        "integrity-protected=\"tls-yes\"\r\n",
        "Authorization: Digest username=\"alice\", Integrity-Protected=no, realm=\"ims.test\", nonce=\"\", "
        "response=\"\"\r\n",
        "Authorization: Digest username=\"alice\", realm=\"ims.test\", nonce=\"\", response=\"\", "
        "authorization-entity=\"waf.test\"\r\n",
        "Proxy-Authorization: Digest username=\"alice\", realm=\"ims.test\", nonce=\"\", response=\"\", "
        "integrity-protected=\"auth-done\"\r\n",
    };
    for (size_t k = 0; k < EPC_ARRAY_LEN(forged); k++) {
        size_t i = bench_register(1, &(struct reg_text){.extra = forged[k]});
        assert_int_equal(bench_result(i)->status, 403);
    }
    assert_int_equal(bench.n_out, 0);
    bench_register(1, &(struct reg_text){.extra = FIRST("alice")});
    assert_int_equal(bench.n_out, 1);
}

static void denied_on_3gpp_access(void **state)
{
    (void)state;
    static const char lte[] = FIRST("alice") "P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=\"0010100\"\r\n";
    bench_register(1, &(struct reg_text){.extra = lte});
    assert_int_equal(bench.n_out, 1); /* off by default */
    bench_answer(0, 401, CHALLENGES);
    bench.cfg.registration.digest_deny_3gpp_access = true;
    size_t i = bench_register(1, &(struct reg_text){.extra = lte});
    assert_int_equal(bench_result(i)->status, 403);
    i = bench_register(1, &(struct reg_text){.extra = FIRST("alice") "P-Access-Network-Info: IEEE-802.11, 3gpp-nr-fdd\r\n"});
    assert_int_equal(bench_result(i)->status, 403);
    i = bench_register(1, &(struct reg_text){.extra = FIRST("alice") "P-Access-Network-Info: IEEE-802.11\r\n"});
    assert_int_equal(bench_result(i)->status, 0);
    /* AKA and tokens are no Digest in the sense of the rule */
    i = bench_register(2, &(struct reg_text){.extra = AKA("nonce=\"\", response=\"\", algorithm=AKAv2-SHA-256\r\n"
                                                          "P-Access-Network-Info: 3GPP-NR-FDD")});
    assert_int_equal(bench_result(i)->status, 0);
    bench_no_answer(1, 408);
    bench_no_answer(2, 408);
}

static void no_security_agreement(void **state)
{
    (void)state;
    size_t i = bench_register(1, &(struct reg_text){
        .extra = "Security-Client: ipsec-3gpp;alg=hmac-sha-1-96;spi-c=1;spi-s=2;port-c=3;port-s=4\r\n"
                 "Security-Verify: ipsec-3gpp;q=0.1\r\nRequire: sec-agree\r\nProxy-Require: sec-agree\r\n",
        .supported = "path,sec-agree"});
    expect_not(bench.out[0].text, "sec-agree");
    expect_not(bench.out[0].text, "Security-");
    bench_answer(0, 494, "Security-Server: tls;q=0.2\r\nRequire: sec-agree\r\n");
    assert_int_equal(bench_result(i)->status, 500);
    assert_false(bench_result(i)->forwarded);
}

/* The core's word about the password of the answered challenge passes untouched. */
static void mutual_authentication(void **state)
{
    (void)state;
    size_t i = bench_register(1, &(struct reg_text){.extra = ANSWERED("alice") "\r\n"});
    bench_answer(0, 200,
                 "Contact: <sip:lrs4jl2e@k1.invalid;transport=ws>;expires=300\r\n"
                 "Authentication-Info: qop=auth, rspauth=\"31a2\", cnonce=\"5q3npuso25o3\", nc=00000001, nextnonce=\"n2\"\r\n"
                 "Date: Sun, 22 Nov 2026 22:00:00 GMT\r\n"
                 "P-Charging-Vector: icid-value=1;term-ioi=\"Type 1ims.test\"\r\n");
    expect_has(bench_result(i)->answer, "rspauth=\"31a2\"");
    expect_has(bench_result(i)->answer, "nextnonce=\"n2\"");
    expect_has(bench_result(i)->answer, "Date: Sun, 22 Nov 2026 22:00:00 GMT\r\n");
    expect_not(bench_result(i)->answer, "P-Charging");
}

static void failures_as_configured(void **state)
{
    (void)state;
    bench.cfg.registration.max_failures = 2;
    bench_register(1, &(struct reg_text){.target = "sip:evil.test"});
    assert_int_equal(bench_flow_closed_code(1), 0);
    bench_register(1, &(struct reg_text){.target = "sip:evil.test"});
    assert_int_equal(bench_flow_closed_code(1), 1008);
}

static void same_register_twice(void **state)
{
    (void)state;
    size_t a = bench_register(1, &(struct reg_text){0});
    char *text = epc_sip_text(bench.out[0].msg, NULL);
    size_t b = bench_request(1, text); /* same Call-ID and CSeq as another transaction */
    epc_reg_handle(bench.reg, bench_last_in());
    assert_int_equal(bench_result(b)->status, 482);
    assert_int_equal(bench_result(a)->status, 0);
    free(text);
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
        T(several_challenges_in_order),
        T(aka_over_tls),
        T(aka_resynchronisation),
        T(challenge_is_for_one_identity),
        T(private_identity_of_another_name),
        T(challenge_never_answered),
        T(strict_about_integrity_protected),
        T(denied_on_3gpp_access),
        T(no_security_agreement),
        T(mutual_authentication),
        T(failures_as_configured),
        T(same_register_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
