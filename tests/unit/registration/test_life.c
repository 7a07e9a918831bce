/* A binding's life: leaving, losing the connection, coming back, expiring. */
#include "harness.h"

static void by_token(uint64_t flow, const char *user)
{
    bench_token_register(flow, user, 3600, "600");
    bench_ok(bench.n_out - 1, 540);
    assert_non_null(epc_reg_by_flow(bench.reg, flow));
}

static void by_digest(uint64_t flow)
{
    bench_register(flow, &(struct reg_text){0});
    bench_ok(bench.n_out - 1, 540);
    assert_non_null(epc_reg_by_flow(bench.reg, flow));
}

static void leaving_without_token(void **state)
{
    (void)state;
    by_token(1, "alice");
    size_t i = bench_register(1, &(struct reg_text){.expires = "0"});
    expect_has(bench.out[1].text, "Expires: 0\r\n");
    expect_has(bench.out[1].text, "integrity-protected=\"auth-done\"");
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    bench_answer(1, 200, NULL);
    assert_int_equal(bench_result(i)->status, 200);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(bench.gone, 1);
    assert_string_equal(bench.gone_why, "de-registered");
    assert_false(bench_flow_registered(1));
    assert_int_equal(bench_flow_closed_code(1), 0);
}

static void leaving_with_star(void **state)
{
    (void)state;
    by_token(1, "alice");
    bench_register(1, &(struct reg_text){.expires = "0", .contact = "*"});
    expect_has(bench.out[1].text, "Contact: *");
    bench_answer(1, 200, NULL);
    assert_null(epc_reg_by_flow(bench.reg, 1));
}

static void nobody_leaves_for_others(void **state)
{
    (void)state;
    by_token(1, "alice");
    size_t i = bench_register(1, &(struct reg_text){.expires = "0", .user = "bob"});
    assert_int_equal(bench_result(i)->status, 403);
    assert_int_equal(bench.n_out, 1);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
}

static void refused_leaving_keeps_the_binding(void **state)
{
    (void)state;
    by_digest(1);
    bench_register(1, &(struct reg_text){.expires = "0"});
    expect_has(bench.out[1].text, "integrity-protected=\"tls-yes\"");
    bench_answer(1, 401, "WWW-Authenticate: Digest realm=\"ims.test\", nonce=\"x\"\r\n");
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(bench.gone, 0);
}

static void removing_another_contact(void **state)
{
    (void)state;
    by_digest(1);
    bench_register(1, &(struct reg_text){
        .expires = "0", .contact = "<sip:old@gone.invalid;transport=ws>;expires=0"});
    bench_answer(1, 200, NULL);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    bench_register(1, &(struct reg_text){.contact = ""}); /* asks for the bindings */
    bench_answer(2, 200, "Contact: <sip:lrs4jl2e@k1.invalid;transport=ws>;expires=500\r\n");
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(bench.gone, 0);
}

static void core_answers_without_our_contact(void **state)
{
    (void)state;
    by_digest(1);
    bench_register(1, &(struct reg_text){0});
    bench_answer(1, 200, "Contact: <sip:other@else.invalid>;expires=500\r\n");
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(bench.gone, 1);
    bench_register(1, &(struct reg_text){0});
    bench_answer(2, 200, "Contact: <sip:lrs4jl2e@k1.invalid;transport=ws>;expires=0\r\n");
    assert_null(epc_reg_by_flow(bench.reg, 1));
}

static void expiry(void **state)
{
    (void)state;
    by_digest(1);
    bench_advance(539);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    bench_advance(2);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_string_equal(bench.gone_why, "registration expired");
    assert_int_equal(bench.n_out, 1); /* the core has forgotten it by itself */
    assert_false(bench_flow_registered(1));
    by_digest(1); /* and again on the same flow */
}

static void expiry_while_a_refresh_is_under_way(void **state)
{
    (void)state;
    by_digest(1);
    bench_advance(530);
    bench_register(1, &(struct reg_text){0});
    bench_advance(15);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    bench_ok(1, 540);
    assert_int_equal(bench.gone, 0);
    bench_advance(530);
    bench_register(1, &(struct reg_text){0});
    bench_advance(32);
    bench_no_answer(2, 408);
    bench_advance(2);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(bench.gone, 1);
}

static void connection_lost_in_token_mode(void **state)
{
    (void)state;
    by_token(1, "alice");
    bench_flow_gone(1);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    bench_advance(19);
    assert_int_equal(bench.gone, 0);
    bench_advance(2);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_string_equal(bench.gone_why, "connection lost");
    assert_int_equal(bench.n_out, 2);
    const char *req = bench.out[1].text;
    expect_has(req, "REGISTER sip:ims.test SIP/2.0\r\n");
    expect_has(req, "To: <sip:alice@ims.test>\r\n");
    expect_has(req, "Contact: <sip:lrs4jl2e@k1.invalid;transport=ws>;"
                    "+sip.instance=\"<urn:uuid:80971e7c-f5f1-46fc-ae0d-3709de0e663b>\";reg-id=1;expires=0\r\n");
    expect_has(req, "Expires: 0\r\n");
    expect_has(req, "integrity-protected=\"auth-done\"");
    expect_has(req, "Path: <sip:flow1@127.0.0.41:5060;lr;ob>\r\n");
    expect_has(req, "P-Visited-Network-ID: \"ims.test\"\r\n");
    bench_answer(1, 200, NULL);
}

static void connection_lost_in_digest_mode(void **state)
{
    (void)state;
    by_digest(1);
    bench_flow_gone(1);
    bench_advance(21);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(bench.gone, 1);
    assert_int_equal(bench.n_out, 1); /* nothing that we could prove to the core */
}

static void back_on_a_new_connection(void **state)
{
    (void)state;
    by_token(1, "alice");
    bench_flow_gone(1);
    bench_advance(5);
    by_token(2, "alice");
    assert_int_equal(bench.gone, 1);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(epc_counter_read(EPC_C_REG_BINDINGS), 1);
    bench_advance(60);
    assert_non_null(epc_reg_by_flow(bench.reg, 2));
    assert_int_equal(bench.n_out, 2); /* no de-registration of what lives on */
    by_token(3, "alice");             /* the old connection is open still */
    assert_null(epc_reg_by_flow(bench.reg, 2));
    assert_false(bench_flow_registered(2));
    by_token(2, "bob"); /* and free for anybody */
    assert_int_equal(epc_counter_read(EPC_C_REG_BINDINGS), 2);
}

static void connection_lost_while_the_core_decides(void **state)
{
    (void)state;
    bench_token_register(1, "alice", 3600, "600");
    bench_flow_gone(1);
    bench_ok(0, 540);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(bench.n_out, 2); /* taken back */
    expect_has(bench.out[1].text, "Expires: 0\r\n");
    bench_token_register(2, "alice", 3600, "600");
    bench_flow_gone(2);
    bench_answer(2, 403, NULL);
    assert_int_equal(bench.n_out, 3);
    assert_int_equal(bench.gone, 0);
}

static void connection_lost_during_a_refresh(void **state)
{
    (void)state;
    by_token(1, "alice");
    bench_token_register(1, "alice", 3600, "600");
    bench_flow_gone(1);
    bench_ok(1, 540);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    bench_advance(21);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    by_token(2, "alice");
    bench_register(2, &(struct reg_text){.expires = "0"});
    bench_flow_gone(2);
    bench_answer(bench.n_out - 1, 200, NULL);
    assert_null(epc_reg_by_flow(bench.reg, 2));
    assert_string_equal(bench.gone_why, "de-registered");
    by_token(3, "alice");
    bench_token_register(3, "alice", 3600, "600");
    bench_flow_gone(3);
    bench_advance(21); /* the grace ends before the core answers */
    assert_null(epc_reg_by_flow(bench.reg, 3));
    assert_true(bench.out[bench.n_out - 2].detached);
}

static void destroyed_with_work_under_way(void **state)
{
    (void)state;
    by_token(1, "alice");
    bench_token_register(1, "alice", 3600, "600");
    bench_register(2, &(struct reg_text){0});
    /* teardown destroys and looks for what is left over */
}

static void count(const struct epc_binding *b, void *arg)
{
    assert_non_null(b->impi);
    ++*(unsigned *)arg;
}

static void visiting(void **state)
{
    (void)state;
    unsigned n = 0;
    by_token(1, "alice");
    by_token(2, "bob");
    bench_register(3, &(struct reg_text){0});
    epc_reg_each(bench.reg, count, &n);
    assert_int_equal(n, 2);
}

/* The table as a graph names every state that a flow can be in. */
static void table_prints_itself(void **state)
{
    (void)state;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    epc_reg_fsm_print(f);
    fclose(f);
    for (int s = 0; s < REG_STATES; s++)
        expect_has(text, reg_state_name((enum reg_state)s));
    free(text);
}

#define INSTANCE(n) "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-00000000000" n ">\""
#define HERE "<sip:lrs4jl2e@k1.invalid;transport=ws>;reg-id=1;+sip.instance=\"<urn:uuid:80971e7c-f5f1-46fc-ae0d-3709de0e663b>\""
#define THERE "<sip:old@gone.invalid;transport=ws>;reg-id=1;" INSTANCE("9")

/* Removals of other connections' contacts may stand beside this one's own. */
static void removals_beside_the_own_contact(void **state)
{
    (void)state;
    size_t i = bench_register(1, &(struct reg_text){.extra = bench_bearer("alice", 3600),
                                                    .contact = THERE ";expires=0, " HERE});
    assert_int_equal(bench_result(i)->status, 0);
    const char *req = bench.out[0].text;
    const char *there = strstr(req, "old@gone.invalid"), *here = strstr(req, "lrs4jl2e@k1.invalid");
    assert_true(there && here && there < here);
    expect_has(there, ";expires=0");
    expect_has(here, ";expires=600"); /* said by each, as the header speaks for those that say nothing */
    bench_ok(0, 540);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    assert_string_equal(epc_reg_by_flow(bench.reg, 1)->contact, "sip:lrs4jl2e@k1.invalid;transport=ws");
    /* a header Expires: 0 and a Contact that knows better */
    bench_register(1, &(struct reg_text){.extra = bench_bearer("alice", 3600),
                                         .expires = "0",
                                         .contact = THERE ", " HERE ";expires=300"});
    expect_has(bench.out[1].text, "Expires: 300\r\n");
    there = strstr(bench.out[1].text, "old@gone.invalid");
    expect_has(there, ";expires=0");
    bench_ok(1, 300);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    /* two removals, one of them this connection's */
    bench_register(1, &(struct reg_text){.expires = "0", .contact = THERE ", " HERE});
    bench_answer(2, 200, NULL);
    assert_null(epc_reg_by_flow(bench.reg, 1));
}

static void contacts_that_make_no_sense(void **state)
{
    (void)state;
    static const char *const contacts[] = {
        HERE ", " THERE,                                  /* two on one connection */
        HERE ";expires=0, " HERE ";expires=600",          /* removed and registered */
        "*, " HERE,
        HERE ", *",
        HERE ";expires=x",
        HERE ", <sip:a@b.invalid>;expires=0, <sip:c@b.invalid>;expires=0, <sip:d@b.invalid>;expires=0, "
             "<sip:e@b.invalid>;expires=0, <sip:f@b.invalid>;expires=0, <sip:g@b.invalid>;expires=0, "
             "<sip:h@b.invalid>;expires=0, <sip:i@b.invalid>;expires=0",
    };
    for (size_t k = 0; k < EPC_ARRAY_LEN(contacts); k++) {
        size_t i = bench_register(1, &(struct reg_text){.contact = contacts[k]});
        if (bench_result(i)->status != 400)
            fail_msg("row %zu: %d", k, bench_result(i)->status);
    }
    assert_int_equal(bench.n_out, 0);
}

/* Who asks for the bindings sees this connection's alone, and no longer than the token lasts. */
static void asking_for_the_bindings(void **state)
{
    (void)state;
    bench_token_register(1, "alice", 400, "600");
    bench_ok(0, 600);
    bench_advance(100);
    size_t i = bench_register(1, &(struct reg_text){.extra = bench_bearer("alice", 400), .contact = ""});
    bench_answer(1, 200, "Contact: " HERE ";expires=500, " THERE ";expires=100\r\n");
    assert_int_equal(bench_result(i)->status, 200);
    expect_has(bench_result(i)->answer, "lrs4jl2e@k1.invalid");
    expect_has(bench_result(i)->answer, ";expires=300");
    expect_not(bench_result(i)->answer, "gone.invalid");
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
}

static size_t from_instance(uint64_t flow, const char *contact)
{
    size_t i = bench_register(flow, &(struct reg_text){.extra = bench_bearer("alice", 3600), .contact = contact});
    char headers[1024];
    snprintf(headers, sizeof headers, "Contact: %s;expires=600\r\n", contact);
    bench_answer(bench.n_out - 1, 200, headers);
    return i;
}

/* RFC 5626: two devices, and two connections of one device, live side by side; the same connection
 * again takes the place of the one before. */
static void instances_side_by_side(void **state)
{
    (void)state;
    from_instance(1, "<sip:a@one.invalid;transport=ws>;reg-id=1;" INSTANCE("1"));
    from_instance(2, "<sip:b@two.invalid;transport=ws>;reg-id=1;" INSTANCE("2"));
    from_instance(3, "<sip:c@three.invalid;transport=ws>;reg-id=2;" INSTANCE("1"));
    assert_int_equal(bench.gone, 0);
    for (uint64_t f = 1; f <= 3; f++)
        assert_non_null(epc_reg_by_flow(bench.reg, f));
    from_instance(4, "<sip:d@four.invalid;transport=ws>;reg-id=2;" INSTANCE("1"));
    assert_int_equal(bench.gone, 1);
    assert_null(epc_reg_by_flow(bench.reg, 3));
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    assert_non_null(epc_reg_by_flow(bench.reg, 2));
}

/* RFC 5627: asked for and answered through this node untouched. */
static void gruu(void **state)
{
    (void)state;
    size_t i = bench_register(1, &(struct reg_text){0});
    expect_has(bench.out[0].text, "gruu");
    bench_answer(0, 200,
                 "Contact: " HERE ";expires=600;pub-gruu=\"sip:alice@ims.test;gr=urn:uuid:80971e7c\";"
                 "temp-gruu=\"sip:tgruu.7hs=;gr@ims.test\"\r\n"
                 "Supported: gruu, outbound\r\nRequire: outbound\r\n");
    expect_has(bench_result(i)->answer, "pub-gruu=\"sip:alice@ims.test;gr=urn:uuid:80971e7c\"");
    expect_has(bench_result(i)->answer, "temp-gruu=\"sip:tgruu.7hs=;gr@ims.test\"");
    expect_has(bench_result(i)->answer, "Require: outbound");
}

static void flow_timer(void **state)
{
    (void)state;
    static const struct {
        const char *supported, *headers, *timer; /* NULL: none */
        uint32_t configured;
    } rows[] = {
        {"path,outbound", "Require: outbound\r\n", "Flow-Timer: 90\r\n", 90},
        {"path,outbound", "Require: outbound\r\nFlow-Timer: 700\r\n", "Flow-Timer: 90\r\n", 90},
        {"path,outbound", "", NULL, 90},                       /* the core knows no outbound */
        {"path", "Require: outbound\r\n", NULL, 90},           /* the WIC does not */
        {"path,outbound", "Require: outbound\r\n", NULL, 0},
    };
    for (size_t k = 0; k < EPC_ARRAY_LEN(rows); k++) {
        char headers[512];
        bench.cfg.sip.flow_timer_s = rows[k].configured;
        size_t i = bench_register(1, &(struct reg_text){.extra = bench_bearer("alice", 3600),
                                                        .supported = rows[k].supported});
        snprintf(headers, sizeof headers, "Contact: " HERE ";expires=600\r\n%s", rows[k].headers);
        bench_answer(k, 200, headers);
        if (rows[k].timer)
            expect_has(bench_result(i)->answer, rows[k].timer);
        else
            expect_not(bench_result(i)->answer, "Flow-Timer");
        expect_not(bench_result(i)->answer, "700");
    }
}

static void registering_too_often(void **state)
{
    (void)state;
    bench.cfg.registration.max_per_minute = 3;
    by_digest(1);
    by_digest(1);
    by_digest(1);
    bench_advance(20);
    size_t i = bench_register(1, &(struct reg_text){0});
    assert_int_equal(bench_result(i)->status, 500);
    expect_has(bench_result(i)->answer, "Retry-After: 40\r\n");
    assert_true(bench_result(i)->released);
    by_digest(2); /* each connection for itself */
    bench_advance(41);
    by_digest(1);
    assert_int_equal(bench.n_out, 5);
}

#define T(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(leaving_without_token),
        T(leaving_with_star),
        T(nobody_leaves_for_others),
        T(refused_leaving_keeps_the_binding),
        T(removing_another_contact),
        T(core_answers_without_our_contact),
        T(expiry),
        T(expiry_while_a_refresh_is_under_way),
        T(connection_lost_in_token_mode),
        T(connection_lost_in_digest_mode),
        T(back_on_a_new_connection),
        T(connection_lost_while_the_core_decides),
        T(connection_lost_during_a_refresh),
        T(destroyed_with_work_under_way),
        T(visiting),
        T(table_prints_itself),
        T(removals_beside_the_own_contact),
        T(contacts_that_make_no_sense),
        T(asking_for_the_bindings),
        T(instances_side_by_side),
        T(gruu),
        T(flow_timer),
        T(registering_too_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
