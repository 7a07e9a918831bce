/* Transactions of Iq, both ways: repetition, at most once, Pending, replies that come twice, late or never. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "desk.h"

static struct desk d;
static struct mg a, b;
static const char *const cold = "Method = Restart, Reason = \"901 Cold Boot\", Version = 2";

static int begin_with(size_t shards)
{
    a = (struct mg){.fd = -1};
    b = (struct mg){.fd = -1};
    desk_init(&d, shards);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    return begin_with(1);
}

static int begin_two(void **state)
{
    (void)state;
    return begin_with(2);
}

/* The hub says good-bye to those that are registered: these leave before. */
static void leave(struct mg *m)
{
    if (m->fd >= 0 && !m->tcp) {
        const struct epc_h248_message *heard = NULL;
        mg_say(m, "Transaction = 99999 { Context = - { ServiceChange = ROOT { Services { Method = Forced, Reason = "
                  "\"908\" } } } }");
        do
            heard = mg_hear(m, MG_WAIT_MS);
        while (heard && !(heard->n_transactions && heard->transaction[0].id == 99999));
        assert_non_null(heard);
    }
    mg_close(m);
}

static int end(void **state)
{
    (void)state;
    leave(&a);
    leave(&b);
    desk_stop(&d);
    return 0;
}

static void up(struct mg *m, bool tcp, const char *mid)
{
    mg_open(m, tcp, d.host, mid);
    mg_register(m, 1, cold);
    char fact[96];
    snprintf(fact, sizeof fact, "gateway=%s kind=h248 state=up", mid);
    for (unsigned i = 1;; i++) {
        char line[1024];
        desk_facts(&d, i, line, sizeof line);
        if (strstr(line, mid) || !line[0]) {
            desk_wait_fact(&d, i, fact, m);
            return;
        }
    }
}

#define ADD "Context = $ { Add = ip/1/access/$ }"
#define HEARTBEAT "ObservedEvents = 1 { 20260101T00000000:hangterm/thb }"

static uint32_t expect_add(struct mg *m)
{
    return mg_expect(m, "Add = ip/1/access/$");
}

static void added(struct mg *m, uint32_t id, unsigned context)
{
    mg_say(m, "Reply = %u { Context = %u { Add = ip/1/access/%u } }", (unsigned)id, context, context);
}

/* ---- ours ------------------------------------------------------------------------------------------------ */

static void repeated_over_udp_until_answered(void **state)
{
    char first[1024];
    (void)state;
    desk_start(&d);
    up(&a, false, "<mg-a>");
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    uint32_t id = expect_add(&a);
    snprintf(first, sizeof first, "%.1000s", a.text);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(expect_add(&a), id);
        assert_string_equal(a.text, first);
    }
    assert_int_equal(desk_n_results(&d), 0);
    added(&a, id, 5001);
    struct desk_result r = desk_result_at(&d, 0);
    assert_int_equal(r.err, EPC_OK);
    assert_int_equal(r.context, 5001);
    assert_int_equal(r.tag, 1);
    assert_true(desk_count(&d, EPC_C_IQ_REPEATED) >= 3);
    desk_wait_fact(&d, 1, "state=up", NULL);
}

static void not_repeated_over_tcp(void **state)
{
    (void)state;
    d.cfg.h248.retransmit_ms = 10;
    desk_start(&d);
    up(&a, true, "<mg-a>");
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    uint32_t id = expect_add(&a);
    mg_expect_nothing(&a, 100);
    added(&a, id, 5001);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
    assert_int_equal(desk_count(&d, EPC_C_IQ_REPEATED), 0);
}

static void never_answered_then_late(void **state)
{
    (void)state;
    d.cfg.timeout_ms = 300;
    desk_start(&d);
    up(&a, true, "<mg-a>");
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    uint32_t id = expect_add(&a);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_ETIMEDOUT);
    added(&a, id, 5001);
    uint32_t clear = mg_expect(&a, "Subtract = *"); /* what it has made has no owner */
    assert_int_equal(a.heard->transaction[0].action[0].context, 5001);
    mg_say(&a, "Reply = %u { Context = 5001 { Subtract = ip/1/access/5001 } }", (unsigned)clear);
    desk_wait_count(&d, EPC_C_IQ_LATE, 1);
    added(&a, id, 5001); /* and once more */
    desk_wait_count(&d, EPC_C_IQ_STRAY, 1);
    assert_int_equal(desk_count(&d, EPC_C_IQ_ORPHANS), 1);
    assert_int_equal(desk_count(&d, EPC_C_IQ_AVOIDED), 1);
    assert_int_equal(desk_n_results(&d), 1);
}

static void gives_up_over_udp(void **state)
{
    (void)state;
    d.cfg.timeout_ms = 600;
    d.cfg.h248.retransmit_tries = 2;
    desk_start(&d);
    up(&a, false, "<mg-a>");
    desk_request(&d, 0, 1, "Context = 5001 { Subtract = ip/1/access/1 }", 1);
    for (int i = 0; i < 3; i++)
        mg_expect(&a, "Subtract");
    assert_int_equal(desk_result_at(&d, 0).err, EPC_ETIMEDOUT);
    assert_int_equal(desk_count(&d, EPC_C_IQ_REPEATED), 2);
}

static void reply_twice(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, true, "<mg-a>");
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    uint32_t id = expect_add(&a);
    added(&a, id, 5001);
    added(&a, id, 5001);
    desk_wait_count(&d, EPC_C_IQ_STRAY, 1);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
    assert_int_equal(desk_n_results(&d), 1);
    assert_int_equal(desk_count(&d, EPC_C_IQ_ORPHANS), 0); /* it is the one that is known */
}

static void reply_of_another_gateway(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, true, "<mg-a>");
    up(&b, true, "<mg-b>");
    desk_request(&d, 0, 1, ADD, 1);
    uint32_t id = expect_add(&a);
    added(&b, id, 6001);
    mg_say(&b, "Pending = %u { }", (unsigned)id);
    desk_wait_count(&d, EPC_C_IQ_PENDINGS_IN, 1);
    assert_int_equal(desk_count(&d, EPC_C_IQ_STRAY), 1);
    added(&a, id, 5001);
    assert_int_equal(desk_result_at(&d, 0).context, 5001);
}

/* The time-out alone would be over; Pending gives it the gateway's own time. */
static void pending_gives_time(void **state)
{
    (void)state;
    d.cfg.timeout_ms = 300;
    a.root = "root/MGProvisionalResponseTimerValue = 60000, root/MGOriginatedPendingLimit = 9";
    desk_start(&d);
    up(&a, false, "<mg-a>");
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    uint32_t id = expect_add(&a);
    mg_say(&a, "Pending = %u { }", (unsigned)id);
    desk_wait_count(&d, EPC_C_IQ_PENDINGS_IN, 1);
    while (mg_hear(&a, 600))
        assert_non_null(strstr(a.text, "Add = ip/1/access/$")); /* sent before the Pending came; none is repeated after it */
    assert_int_equal(desk_n_results(&d), 0);
    added(&a, id, 5001);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
}

static void pending_for_ever(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, true, "<mg-a>");
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    uint32_t id = expect_add(&a);
    for (int i = 0; i < 4; i++) /* one more than the limit */
        mg_say(&a, "Pending = %u { }", (unsigned)id);
    struct desk_result r = desk_result_at(&d, 0);
    assert_int_equal(r.err, EPC_ETIMEDOUT);
    assert_int_equal(r.error, 506);
    mg_say(&a, "Pending = %u { }", (unsigned)id); /* nobody waits any more */
    added(&a, id, 5001);
    mg_expect(&a, "Subtract = *");
    desk_wait_count(&d, EPC_C_IQ_LATE, 1);
}

static void pending_then_silence(void **state)
{
    (void)state;
    d.cfg.timeout_ms = 300;
    d.cfg.h248.pending_ms = 200;
    desk_start(&d);
    up(&a, true, "<mg-a>");
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    mg_say(&a, "Pending = %u { }", (unsigned)expect_add(&a));
    struct desk_result r = desk_result_at(&d, 0);
    assert_int_equal(r.err, EPC_ETIMEDOUT);
    assert_int_equal(r.error, 0);
}

static void acknowledged_when_asked(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, false, "<mg-a>");
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    uint32_t id = expect_add(&a);
    mg_say(&a, "Reply = %u { ImmAckRequired, Context = 5001 { Add = ip/1/access/5001 } }", (unsigned)id);
    while (mg_hear(&a, MG_WAIT_MS) && !a.heard->transaction[0].n_acks)
        assert_non_null(strstr(a.text, "Add")); /* repeated before the reply was there */
    assert_int_equal(a.heard->transaction[0].ack[0].first, id);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
}

static void refused_as_a_whole(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, true, "<mg-a>");
    desk_request(&d, 0, 1, "Context = 5001 { Subtract = ip/1/access/1 }", 1);
    mg_say(&a, "Reply = %u { Error = 500 { \"Internal software failure\" } }", (unsigned)mg_expect(&a, "Subtract"));
    struct desk_result r = desk_result_at(&d, 0);
    assert_int_equal(r.err, EPC_OK);
    assert_int_equal(r.error, 500);
    assert_int_equal(r.n_actions, 0);
}

/* A context that nobody heard of is not left behind. */
static void forgotten_request(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, true, "<mg-a>");
    uint64_t handle = desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    uint32_t id = expect_add(&a);
    desk_forget(&d, 0, handle);
    added(&a, id, 5001);
    mg_expect(&a, "Subtract = *");
    assert_int_equal(a.heard->transaction[0].action[0].context, 5001);
    assert_int_equal(desk_n_results(&d), 0);
    desk_wait_fact(&d, 1, "contexts=0", &a);
}

static void forgotten_by_another_shard(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, true, "<mg-a>");
    uint64_t handle = desk_request(&d, 1, H248_MG_ANY, ADD, 1);
    uint32_t id = expect_add(&a);
    desk_forget(&d, 1, handle);
    added(&a, id, 5001);
    mg_expect(&a, "Subtract = *");
    assert_int_equal(desk_n_results(&d), 0);
}

static void too_long_for_the_transport(void **state)
{
    static char actions[66000];
    int n = snprintf(actions, sizeof actions, "Context = 1 { Modify = ip/1/access/1 { Media { Stream = 1 { Local {\n");
    (void)state;
    desk_start(&d);
    up(&a, true, "<mg-a>");
    while (n < 65450)
        n += snprintf(actions + n, sizeof actions - (size_t)n, "a=x:0123456789012345678901234567890123456789\n");
    snprintf(actions + n, sizeof actions - (size_t)n, "} } } } }");
    desk_request(&d, 0, 1, actions, 1);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_EPROTO);
    assert_int_equal(desk_count(&d, EPC_C_IQ_LINKS), 1);
}

/* ---- theirs ------------------------------------------------------------------------------------------------ */

static void carried_out_once(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, true, "<mg-a>");
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    added(&a, expect_add(&a), 5001);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
    for (int i = 0; i < 3; i++) {
        mg_say(&a, "Transaction = 70 { Context = 5001 { Notify = ip/1/access/5001 { " HEARTBEAT " } } }");
        assert_int_equal(mg_expect(&a, "Notify = ip/1/access/5001"), 70);
    }
    assert_int_equal(desk_n_events(&d), 1);
    assert_int_equal(desk_count(&d, EPC_C_IQ_DUPLICATES), 2);
    mg_say(&a, "TransactionResponseAck { 69-71 }"); /* then the id may be used again */
    mg_say(&a, "Transaction = 70 { Context = 5001 { Notify = ip/1/access/5001 { " HEARTBEAT " } } }");
    mg_expect(&a, "Notify = ip/1/access/5001");
    desk_event_at(&d, 1);
    assert_int_equal(desk_count(&d, EPC_C_IQ_DUPLICATES), 2);
}

static void what_the_client_answers(void **state)
{
    (void)state;
    d.notify_code = 430;
    desk_start(&d);
    up(&a, true, "<mg-a>");
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    added(&a, expect_add(&a), 5001);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
    mg_say(&a, "Transaction = 70 { Context = 5001 { Notify = ip/1/x { " HEARTBEAT " } }, Context = - { AuditValue = "
               "ROOT { Audit { } } } }");
    mg_expect(&a, "Error = 430");
    assert_null(strstr(a.text, "AuditValue")); /* what stands behind the failure is not carried out */
    mg_say(&a, "Transaction = 71 { Context = 5001 { O-Notify = ip/1/x { " HEARTBEAT " } }, Context = - { AuditValue "
               "= ROOT { Audit { } } } }");
    mg_expect(&a, "Error = 430");
    assert_non_null(strstr(a.text, "AuditValue = ROOT"));
    assert_int_equal(desk_count(&d, EPC_C_IQ_COMMANDS_REFUSED), 2);
}

static void commands_that_an_mgc_does_not_take(void **state)
{
    static const struct {
        const char *actions, *answer;
    } cases[] = {
        {"Context = 4711 { Notify = ip/1/x { " HEARTBEAT " } }", "Error = 411"},
        {"Context = - { AuditValue = ip/1/x { Audit { } } }", "Error = 443"},
        {"Context = $ { Add = ip/1/$ }", "Error = 443"},
        {"Context = 1 { Subtract = ip/1/x }", "Error = 443"},
        {"Context = - { ServiceChange = ROOT { Services { Method = Jump, Reason = \"901\" } } }", "Error = 4"},
        {"Context = - { Notify = ROOT { " HEARTBEAT " } }", "Notify = ROOT"},
        {"Context = 1 { ServiceChange = ip/1/x { Services { Method = Forced, Reason = \"904\" } } }", "Error = 411"},
    };
    (void)state;
    desk_start(&d);
    up(&a, true, "<mg-a>");
    for (unsigned i = 0; i < EPC_ARRAY_LEN(cases); i++) {
        mg_say(&a, "Transaction = %u { %s }", 100 + i, cases[i].actions);
        assert_int_equal(mg_expect(&a, cases[i].answer), 100 + i);
    }
    assert_int_equal(desk_n_events(&d), 0);
}

static void slow_shard_gets_pendings_out(void **state)
{
    (void)state;
    d.cfg.h248.pending_ms = 50;
    d.cfg.h248.pending_limit = 1000;
    desk_start(&d);
    up(&a, false, "<mg-a>");
    desk_request(&d, 1, H248_MG_ANY, ADD, 1);
    uint32_t id = expect_add(&a);
    added(&a, id, 5001);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
    desk_block(&d, 1);
    mg_say(&a, "Transaction = 70 { Context = 5001 { Notify = ip/1/access/5001 { " HEARTBEAT " } } }");
    while (mg_hear(&a, MG_WAIT_MS) && a.heard->transaction[0].kind != EPC_H248_T_PENDING)
        assert_non_null(strstr(a.text, "Add"));
    assert_int_equal(a.heard->transaction[0].id, 70);
    mg_say(&a, "Transaction = 70 { Context = 5001 { Notify = ip/1/access/5001 { " HEARTBEAT " } } }");
    desk_wait_count(&d, EPC_C_IQ_DUPLICATES, 1);
    desk_unblock(&d);
    while (mg_hear(&a, MG_WAIT_MS) && a.heard->transaction[0].kind == EPC_H248_T_PENDING)
        assert_int_equal(a.heard->transaction[0].id, 70);
    assert_non_null(strstr(a.text, "Notify = ip/1/access/5001"));
    assert_true(a.heard->transaction[0].imm_ack_required);
    assert_int_equal(desk_n_events(&d), 1);
    assert_int_equal(desk_event_at(&d, 0).shard, 1);
    mg_say(&a, "TransactionResponseAck { 70 }");
}

static void shard_that_never_answers(void **state)
{
    (void)state;
    d.cfg.h248.pending_ms = 20;
    desk_start(&d);
    up(&a, true, "<mg-a>");
    desk_request(&d, 1, H248_MG_ANY, ADD, 1);
    added(&a, expect_add(&a), 5001);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
    desk_block(&d, 1);
    mg_say(&a, "Transaction = 70 { Context = 5001 { Notify = ip/1/access/5001 { " HEARTBEAT " } } }");
    for (int i = 0; i < 3; i++)
        mg_expect(&a, "Pending = 70");
    mg_expect(&a, "Error = 506");
    desk_unblock(&d);
    assert_int_equal(desk_event_at(&d, 0).kind, DESK_NOTIFY);
    mg_expect_nothing(&a, 50);
}

static void link_cut_while_a_shard_works_on_it(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, true, "<mg-a>");
    desk_request(&d, 1, H248_MG_ANY, ADD, 1);
    added(&a, expect_add(&a), 5001);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
    desk_block(&d, 1);
    mg_say(&a, "Transaction = 70 { Context = 5001 { Notify = ip/1/access/5001 { " HEARTBEAT " } } }");
    desk_wait_count(&d, EPC_C_IQ_REQUESTS_IN, 2);
    mg_cut(&a);
    desk_wait_fact(&d, 1, "state=lost", NULL);
    desk_unblock(&d);
    desk_event_at(&d, 0);
    a.contexts = "5001";
    mg_open(&a, true, d.host, "<mg-a>");
    mg_register(&a, 71, "Method = Disconnected, Reason = \"900\", Version = 2");
    desk_wait_fact(&d, 1, "state=up", &a);
    desk_wait_fact(&d, 1, "contexts=1", &a);
}

/* ---- the trace -------------------------------------------------------------------------------------------- */

static bool traced(FILE *trace, const char *what)
{
    char line[8192];
    bool found = false;
    rewind(trace);
    while (fgets(line, sizeof line, trace))
        found = found || strstr(line, what);
    return found;
}

/* Requests and replies, sent and received. */
static void keys_stay_out_of_the_trace(void **state)
{
    FILE *trace = tmpfile();
    (void)state;
    assert_non_null(trace);
    assert_int_equal(fcntl(fileno(trace), F_SETFL, O_APPEND), 0); /* it is read on the same descriptor */
    epc_trace_setup(fileno(trace));
    desk_start(&d);
    up(&a, true, "<mg-a>");
    desk_request(&d, 0, H248_MG_ANY, "Context = $ { Add = ip/1/access/$ { Media { Remote {\nv=0\na=ice-ufrag:wicU\n"
                 "a=ice-pwd:secret1\na=key-mgmt:secret2\nk=secret3\n} } } }", 1);
    mg_say(&a, "Reply = %u { Context = 5001 { Add = ip/1/access/1 { Media { Local{a=ice-pwd:secret4\n"
           "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:secret5\n} } } } }", (unsigned)mg_expect(&a, "secret1"));
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
    epc_trace_setup(-1);
    assert_true(traced(trace, "a=ice-ufrag:wicU"));
    assert_true(traced(trace, "ip/1/access/1 "));
    assert_false(traced(trace, "secret"));
    fclose(trace);
}

static void compact_style(void **state)
{
    (void)state;
    d.cfg.h248.compact = true;
    desk_start(&d);
    mg_open(&a, true, d.host, "<mg-a>");
    mg_say(&a, "T = 1 { C = - { AV = ROOT { AT { } } } }");
    assert_int_equal(mg_expect(&a, "ER=505"), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
#define TEST_TWO(f) cmocka_unit_test_setup_teardown(f, begin_two, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(repeated_over_udp_until_answered), TEST(not_repeated_over_tcp), TEST(never_answered_then_late),
        TEST(gives_up_over_udp), TEST(reply_twice), TEST(reply_of_another_gateway), TEST(pending_gives_time),
        TEST(pending_for_ever), TEST(pending_then_silence), TEST(acknowledged_when_asked), TEST(refused_as_a_whole),
        TEST(forgotten_request), TEST_TWO(forgotten_by_another_shard), TEST(too_long_for_the_transport),
        TEST(carried_out_once), TEST(what_the_client_answers), TEST(commands_that_an_mgc_does_not_take),
        TEST_TWO(slow_shard_gets_pendings_out), TEST_TWO(shard_that_never_answers),
        TEST_TWO(link_cut_while_a_shard_works_on_it), TEST(compact_style),
        TEST(keys_stay_out_of_the_trace),
    };
    epc_log_setup(EPC_LOG_ERROR, STDERR_FILENO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
