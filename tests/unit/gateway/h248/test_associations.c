/* Associations of Iq: every form of ServiceChange, audits, heartbeat, loss and return, our own end. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "desk.h"
#include "gateway/h248/assoc.h"

static struct desk d;
static struct mg a, b;
static const char *const cold = "Method = Restart, Reason = \"901 Cold Boot\", Version = 2";
static const char *const disconnected = "Method = Disconnected, Reason = \"900 Service Restored\", Version = 2";
#define FORCED "Method = Forced, Reason = \"908 MG Impending Failure\""
#define ADD "Context = $ { Add = ip/1/access/$ }"

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

static void change(struct mg *m, unsigned id, const char *services, const char *answer)
{
    mg_say(m, "Transaction = %u { Context = - { ServiceChange = ROOT { Services { %s } } } }", id, services);
    assert_int_equal(mg_expect(m, answer), id);
}

static int end(void **state)
{
    (void)state;
    mg_close(&a);
    mg_close(&b);
    desk_stop(&d);
    return 0;
}

static void up(struct mg *m, unsigned number, const char *mid)
{
    char fact[96];
    snprintf(fact, sizeof fact, "gateway=%s kind=h248 state=up", mid);
    mg_open(m, true, d.host, mid);
    mg_register(m, 1, cold);
    desk_wait_fact(&d, number, fact, m);
}

static void make_context(struct mg *m, size_t shard, unsigned context)
{
    int n = desk_n_results(&d);
    desk_request(&d, shard, H248_MG_ANY, ADD, (int)context);
    uint32_t id = mg_expect(m, "Add = ip/1/access/$");
    mg_say(m, "Reply = %u { Context = %u { Add = ip/1/access/%u } }", (unsigned)id, context, context);
    struct desk_result r = desk_result_at(&d, n);
    assert_int_equal(r.err, EPC_OK);
    assert_int_equal(r.context, context);
}

static void expect_event(int n, int kind, unsigned mg, uint32_t context)
{
    struct desk_event e = desk_event_at(&d, n);
    assert_int_equal(e.kind, kind);
    assert_int_equal(e.mg, mg);
    assert_int_equal(e.context, context);
}

static void nothing_is_asked_of(unsigned mg, enum epc_err err)
{
    int n = desk_n_results(&d);
    desk_request(&d, 0, mg, mg ? "Context = 1 { Subtract = ip/1/x }" : ADD, 1);
    assert_int_equal(desk_result_at(&d, n).err, err);
}

/* ---- registration ------------------------------------------------------------------------------------------- */

static void versions_and_profiles(void **state)
{
    static const struct {
        const char *services, *answer, *fact;
    } cases[] = {
        {"Method = Restart, Reason = \"901\"", "Version = 1", "version=1 profile=-"},
        {"Method = Restart, Reason = \"901\", Version = 1", "Version = 1", "version=1 profile=-"},
        {"Method = Restart, Reason = \"901\", Version = 2, Profile = threegiq/4",
         "Version = 2, Profile = threegiq/4", "version=2 profile=threegiq/4"},
        {"Method = Restart, Reason = \"901\", Version = 3, Profile = ThreeGIq/2",
         "Version = 2, Profile = threegiq/2", "version=2 profile=threegiq/2"},
        {"Method = Restart, Reason = \"901\", Version = 2, Profile = threegiq/9",
         "Version = 2, Profile = threegiq/4", "version=2 profile=threegiq/4"},
        {"Method = Restart, Reason = \"901\", Version = 2, Profile = other/4", "Version = 2 }", "version=2 profile=-"},
        {"MT = RS, RE = 902, V = 3", "Version = 2 }", "version=2 profile=-"},
    };
    (void)state;
    desk_start(&d);
    mg_open(&a, true, d.host, "<mg-a>");
    for (unsigned i = 0; i < EPC_ARRAY_LEN(cases); i++) {
        change(&a, 10 + i, cases[i].services, cases[i].answer);
        desk_wait_count(&d, EPC_C_IQ_REGISTRATIONS, i + 1); /* the reply goes out before */
        desk_wait_fact(&d, 1, "state=up", &a);
        desk_wait_fact(&d, 1, cases[i].fact, &a);
    }
    assert_int_equal(desk_count(&d, EPC_C_IQ_REGISTRATIONS), EPC_ARRAY_LEN(cases));
    assert_int_equal(desk_count(&d, EPC_C_IQ_GATEWAYS), 1);
    /* What was up just now may have been the registration before, which said the same: it is audited again. */
    for (uint64_t until = epc_now_ms() + MG_WAIT_MS; desk_count(&d, EPC_C_IQ_GATEWAYS_UP) != 1 && epc_now_ms() < until;)
        desk_wait_fact(&d, 1, "state=up", &a);
    assert_int_equal(desk_count(&d, EPC_C_IQ_GATEWAYS_UP), 1);
}

/* Requests of ours are of the version that was agreed. */
static void agreed_version_is_spoken(void **state)
{
    (void)state;
    d.cfg.h248.version = 3;
    desk_start(&d);
    mg_open(&a, true, d.host, "<mg-a>");
    change(&a, 1, "Method = Restart, Reason = \"901\", Version = 3", "Version = 3");
    assert_int_equal(a.heard->version, 1); /* as the request's header */
    desk_wait_fact(&d, 1, "state=up", &a);
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    mg_expect(&a, "Add");
    assert_int_equal(a.heard->version, 3);
}

static void services_that_cannot_be_read(void **state)
{
    (void)state;
    desk_start(&d);
    mg_open(&a, true, d.host, "<mg-a>");
    change(&a, 1, "Method = Jump, Reason = \"901\"", "Error = 449");
    change(&a, 2, FORCED, "Error = 505");
    change(&a, 3, "Method = Graceful, Reason = \"905\"", "Error = 505");
    mg_say(&a, "Transaction = 4 { Context = - { ServiceChange = ip/1/* { Services { " FORCED " } } } }");
    assert_int_equal(mg_expect(&a, "Error = 505"), 4);
    mg_register(&a, 5, cold);
    desk_wait_fact(&d, 1, "state=up", &a);
}

static void what_the_root_tells(void **state)
{
    (void)state;
    a.packages = "g-1, root-2, IPDC-1, hangterm-1";
    a.root = "root/maxNumberOfContexts = 1";
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    desk_wait_fact(&d, 1, "max_contexts=1 ", &a);
    desk_wait_fact(&d, 1, "packages=g-1,root-2,ipdc-1,hangterm-1", &a);
    assert_true(h248_has_package(d.client[0], H248_MG_ANY, "ipdc"));
    assert_true(h248_has_package(d.client[0], 1, "hangterm"));
    assert_false(h248_has_package(d.client[0], 1, "adid"));
    assert_false(h248_has_package(d.client[0], 2, "g"));
    make_context(&a, 0, 5001);
    nothing_is_asked_of(H248_MG_ANY, EPC_ELIMIT);
}

/* ---- contexts over a restart or a loss ------------------------------------------------------------------------- */

static void cold_boot_loses_the_calls(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    make_context(&a, 0, 5001);
    change(&a, 2, cold, "ServiceChange = ROOT");
    expect_event(0, DESK_LOST, 1, 0);
    desk_wait_fact(&d, 1, "state=up", &a);
    desk_wait_fact(&d, 1, "contexts=0", &a);
    assert_int_equal(desk_count(&d, EPC_C_IQ_CONTEXTS_GONE), 1);
}

/* With the same ids as before, on a new connection. */
static void cold_boot_on_another_connection(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    make_context(&a, 0, 5001);
    mg_cut(&a);
    desk_wait_fact(&d, 1, "state=lost", NULL);
    assert_int_equal(desk_n_events(&d), 0);
    up(&a, 1, "<mg-a>");
    expect_event(0, DESK_LOST, 1, 0);
}

static void kept_with(const char *services)
{
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    make_context(&a, 0, 5001);
    make_context(&a, 0, 5002);
    mg_cut(&a);
    desk_wait_fact(&d, 1, "state=lost", NULL);
    nothing_is_asked_of(H248_MG_ANY, EPC_ENOENT);
    a.contexts = "5001 7777"; /* one is gone, and one is nobody's */
    mg_open(&a, true, d.host, "<mg-a>");
    change(&a, 2, services, "ServiceChange = ROOT");
    mg_expect(&a, "Subtract = *");
    assert_int_equal(a.heard->transaction[0].action[0].context, 7777);
    expect_event(0, DESK_GONE, 1, 5002);
    desk_wait_fact(&d, 1, "state=up", &a);
    desk_wait_fact(&d, 1, "contexts=1 ", &a);
    mg_say(&a, "Transaction = 3 { Context = 5001 { Notify = ip/1/x { ObservedEvents = 1 { "
               "20260101T00000000:hangterm/thb } } } }");
    mg_expect(&a, "Notify = ip/1/x");
    expect_event(1, DESK_NOTIFY, 1, 5001);
}

static void kept_when_disconnected(void **state)
{
    (void)state;
    kept_with(disconnected);
}

static void kept_over_a_warm_boot(void **state)
{
    (void)state;
    kept_with("Method = Restart, Reason = \"902 Warm Boot\", Version = 2");
}

static void kept_over_a_handoff(void **state)
{
    (void)state;
    kept_with("Method = Handoff, Reason = \"903 MGC Directed Change\", Version = 2");
}

static void kept_over_a_failover(void **state)
{
    (void)state;
    kept_with("Method = Failover, Reason = \"919\", Version = 2");
}

/* What an earlier run of ours has left there. */
static void contexts_of_nobody(void **state)
{
    (void)state;
    a.contexts = "11 12";
    desk_start(&d);
    mg_open(&a, true, d.host, "<mg-a>");
    change(&a, 1, disconnected, "ServiceChange = ROOT");
    for (unsigned i = 0; i < 2; i++) {
        uint32_t id = mg_expect(&a, "Subtract = *");
        assert_int_equal(a.heard->transaction[0].action[0].context, 11 + i);
        mg_say(&a, "Reply = %u { Context = %u { Subtract = ip/1/x } }", (unsigned)id, 11 + i);
    }
    desk_wait_fact(&d, 1, "state=up", &a);
    assert_int_equal(desk_count(&d, EPC_C_IQ_ORPHANS), 2);
    assert_int_equal(desk_n_events(&d), 0);
}

static void not_back_in_time(void **state)
{
    (void)state;
    d.cfg.h248.recovery_ms = 100;
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    make_context(&a, 0, 5001);
    mg_cut(&a);
    expect_event(0, DESK_LOST, 1, 0);
    desk_wait_fact(&d, 1, "state=down", NULL);
    assert_int_equal(desk_count(&d, EPC_C_IQ_GATEWAYS_LOST), 1);
    assert_int_equal(desk_count(&d, EPC_C_IQ_GATEWAYS), 0);
}

/* ---- out of service ------------------------------------------------------------------------------------------------ */

static void forced_ends_the_calls(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    make_context(&a, 0, 5001);
    change(&a, 2, FORCED, "ServiceChange = ROOT");
    expect_event(0, DESK_LOST, 1, 0);
    desk_wait_fact(&d, 1, "state=down", NULL);
    mg_say(&a, "Transaction = 3 { Context = 5001 { Notify = ip/1/x { ObservedEvents = 1 { "
               "20260101T00000000:hangterm/thb } } } }");
    mg_expect(&a, "Error = 505");
    nothing_is_asked_of(1, EPC_ENOENT);
    change(&a, 4, cold, "ServiceChange = ROOT"); /* and back */
    desk_wait_fact(&d, 1, "state=up", &a);
}

static void graceful_takes_no_new_calls(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    make_context(&a, 0, 5001);
    change(&a, 2, "Method = Graceful, Reason = \"905\"", "ServiceChange = ROOT");
    desk_wait_fact(&d, 1, "state=drain", &a);
    assert_int_equal(desk_count(&d, EPC_C_IQ_GATEWAYS_UP), 0);
    nothing_is_asked_of(H248_MG_ANY, EPC_ELIMIT);
    desk_request(&d, 0, 1, "Context = 5001 { Subtract = ip/1/access/5001 }", 2); /* what it has goes on */
    mg_say(&a, "Reply = %u { Context = 5001 { Subtract = ip/1/access/5001 } }", (unsigned)mg_expect(&a, "Subtract"));
    assert_int_equal(desk_result_at(&d, 2).err, EPC_OK);
    change(&a, 3, "Method = Restart, Reason = \"918 Cancel Graceful\"", "ServiceChange = ROOT");
    desk_wait_fact(&d, 1, "state=up", &a);
    make_context(&a, 0, 5002);
    assert_int_equal(desk_n_events(&d), 0);
}

static void graceful_with_an_end(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    make_context(&a, 0, 5001);
    change(&a, 2, "Method = Graceful, Reason = \"905\", Delay = 1", "ServiceChange = ROOT");
    expect_event(0, DESK_LOST, 1, 0);
    desk_wait_fact(&d, 1, "state=down", NULL);
}

static bool in_drain_again(void *arg)
{
    char line[1024];
    (void)arg;
    desk_facts(&d, 1, line, sizeof line);
    return strstr(line, "state=drain") != NULL;
}

/* Over UDP: silent for a while, then there again. */
static void silence_and_return(bool drains)
{
    d.cfg.timeout_ms = 200;
    d.cfg.h248.audit_interval_ms = 50;
    desk_start(&d);
    mg_open(&a, false, d.host, "<mg-a>");
    mg_register(&a, 1, cold);
    desk_wait_fact(&d, 1, "state=up", &a);
    if (drains) {
        change(&a, 2, "Method = Graceful, Reason = \"905\"", "ServiceChange = ROOT");
        desk_wait_fact(&d, 1, "state=drain", &a);
    }
    a.mute = true;
    desk_wait_fact(&d, 1, "state=lost", &a);
    assert_true(desk_count(&d, EPC_C_IQ_GATEWAYS_LOST) >= 1);
    nothing_is_asked_of(1, EPC_ENOENT);
    a.mute = false;
    if (drains)
        mg_serve_until(&a, in_drain_again, NULL);
    else
        desk_wait_fact(&d, 1, "state=up", &a);
    assert_true(a.n_beats > 0);
}

static void silent_and_back(void **state)
{
    (void)state;
    silence_and_return(false);
}

static void silent_and_back_still_draining(void **state)
{
    (void)state;
    silence_and_return(true);
}

static void heard_by_a_request_of_its_own(void **state)
{
    (void)state;
    d.cfg.timeout_ms = 200;
    d.cfg.h248.audit_interval_ms = 50;
    desk_start(&d);
    mg_open(&a, false, d.host, "<mg-a>");
    mg_register(&a, 1, cold);
    desk_wait_fact(&d, 1, "state=up", &a);
    a.mute = true;
    desk_wait_fact(&d, 1, "state=lost", &a);
    mg_say(&a, "Transaction = 5 { Context = - { AuditValue = ROOT { Audit { } } } }");
    a.mute = false;
    assert_int_equal(mg_expect(&a, "AuditValue = ROOT"), 5);
    desk_wait_fact(&d, 1, "state=up", &a);
}

/* A connection over which nothing is answered is closed: the gateway is to make another. */
static void silence_over_tcp(void **state)
{
    (void)state;
    d.cfg.timeout_ms = 100;
    d.cfg.h248.audit_interval_ms = 50;
    desk_start(&d);
    mg_open(&a, true, d.host, "<mg-a>");
    mg_register(&a, 1, cold);
    a.mute = true;
    desk_wait_fact(&d, 1, "state=lost", &a);
    desk_wait_fact(&d, 1, "open=0", NULL);
    for (uint64_t until = epc_now_ms() + MG_WAIT_MS; desk_count(&d, EPC_C_IQ_LINKS) > 0;)
        assert_true(epc_now_ms() < until);
}

static void check_that_is_not_answered(void **state)
{
    (void)state;
    d.cfg.timeout_ms = 200;
    a.mute = true;
    desk_start(&d);
    mg_open(&a, true, d.host, "<mg-a>");
    mg_register(&a, 1, cold);
    desk_wait_fact(&d, 1, "state=lost", &a);
    nothing_is_asked_of(H248_MG_ANY, EPC_ENOENT);
}

/* It says that it is not registered: it is told to. */
static void sent_to_register_again(void **state)
{
    (void)state;
    d.cfg.h248.audit_interval_ms = 60000;
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    desk_request(&d, 0, 1, "Context = 5 { Subtract = ip/1/x }", 1);
    mg_say(&a, "Reply = %u { Error = 505 { \"not registered\" } }", (unsigned)mg_expect(&a, "Subtract"));
    mg_expect(&a, "Method = Handoff");
    assert_non_null(strstr(a.text, "903"));
    assert_non_null(strstr(a.text, "MgcIdToTry = <mgc.test>:2944"));
    assert_int_equal(desk_result_at(&d, 0).error, 505);
}

static void requests_go_where_it_says(void **state)
{
    char services[128];
    (void)state;
    desk_start(&d);
    mg_open(&b, false, d.host, "<mg-a>");
    struct sockaddr_in sa;
    socklen_t n = sizeof sa;
    assert_int_equal(getsockname(b.fd, (struct sockaddr *)&sa, &n), 0);
    mg_open(&a, false, d.host, "<mg-a>");
    snprintf(services, sizeof services, "%s, ServiceChangeAddress = %u", cold, ntohs(sa.sin_port));
    change(&a, 1, services, "ServiceChange = ROOT");
    desk_wait_fact(&d, 1, "state=up", &b);
    assert_true(b.n_audits >= 3);
    change(&b, 2, FORCED, "ServiceChange = ROOT"); /* both ports are the gateway's */
}

/* ---- terminations ------------------------------------------------------------------------------------------------------ */

static void terminations_out_of_service(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    make_context(&a, 0, 5001);
    make_context(&a, 1, 5002);
    mg_say(&a, "Transaction = 2 { Context = 5002 { ServiceChange = ip/1/access/5002 { Services { Method = Forced, "
               "Reason = \"904 Termination malfunctioning\" } } } }");
    mg_expect(&a, "ServiceChange = ip/1/access/5002");
    expect_event(0, DESK_CHANGE, 1, 5002);
    assert_int_equal(desk_event_at(&d, 0).shard, 1);
    mg_say(&a, "Transaction = 3 { Context = * { ServiceChange = ip/1/access/* { Services { Method = Forced, Reason = "
               "\"905\" } } } }");
    mg_expect(&a, "ServiceChange = ip/1/access/*");
    expect_event(1, DESK_CHANGE, 1, H248_CONTEXT_ALL);
    expect_event(2, DESK_CHANGE, 1, H248_CONTEXT_ALL);
    assert_int_not_equal(desk_event_at(&d, 1).shard, desk_event_at(&d, 2).shard);
}

static void loss_is_told_to_each_shard(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    make_context(&a, 0, 5001);
    make_context(&a, 1, 5002);
    change(&a, 2, cold, "ServiceChange = ROOT");
    expect_event(0, DESK_LOST, 1, 0);
    expect_event(1, DESK_LOST, 1, 0);
    assert_int_not_equal(desk_event_at(&d, 0).shard, desk_event_at(&d, 1).shard);
}

static void context_that_has_ended(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    make_context(&a, 1, 5001);
    desk_context_ended(&d, 1, 1, 5001);
    desk_context_ended(&d, 1, 1, 5001); /* twice, and one that never was */
    desk_context_ended(&d, 0, 1, 4711);
    for (unsigned id = 10;; id++) { /* the shard's word takes its time */
        mg_say(&a, "Transaction = %u { Context = 5001 { Notify = ip/1/x { ObservedEvents = 1 { "
                   "20260101T00000000:hangterm/thb } } } }", id);
        mg_hear(&a, MG_WAIT_MS);
        if (strstr(a.text, "Error = 411"))
            break;
        assert_true(id < 100);
    }
    change(&a, 2, cold, "ServiceChange = ROOT");
    desk_wait_fact(&d, 1, "contexts=0", &a);
}

/* ---- our own end --------------------------------------------------------------------------------------------------------- */

static void stop_and_expect(const char *one, const char *two)
{
    desk_stop_begin(&d);
    uint32_t id = mg_expect(&a, one);
    assert_non_null(strstr(a.text, two));
    mg_say(&a, "Reply = %u { Context = - { ServiceChange = ROOT } }", (unsigned)id);
    desk_stop_end(&d);
    mg_close(&a);
}

static void says_that_it_stops(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    stop_and_expect("Method = Forced", "909");
}

static void sends_its_gateways_to_another(void **state)
{
    static char other[] = "<other.test>:2944";
    (void)state;
    d.cfg.h248.stop = EPC_H248_STOP_HANDOFF;
    d.cfg.h248.handoff_mid = other;
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    stop_and_expect("Method = Handoff", "MgcIdToTry = <other.test>:2944");
}

/* ---- the table --------------------------------------------------------------------------------------------------------------- */

static void unknown_pair_is_counted(void **state)
{
    struct h248_hub h = {0};
    struct h248_mg mg = {.hub = &h, .number = 1, .state = MG_DOWN};
    int64_t before = epc_counter_read(EPC_C_FSM_UNEXPECTED);
    (void)state;
    h248_mg_event(&mg, MG_EV_HEARD);
    h248_mg_event(&mg, MG_EV_CHECKED);
    assert_int_equal(mg.state, MG_DOWN);
    assert_int_equal(epc_counter_read(EPC_C_FSM_UNEXPECTED), before + 2);
}

static void every_state_is_left_and_reached(void **state)
{
    char *text = NULL, part[32];
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    (void)state;
    epc_gw_fsm_print(f);
    fclose(f);
    for (enum mg_state s = MG_DOWN; s < MG_STATES; s++) {
        snprintf(part, sizeof part, "    %s -> ", h248_state_name(s));
        assert_non_null(strstr(text, part));
        snprintf(part, sizeof part, " -> %s [", h248_state_name(s));
        assert_non_null(strstr(text, part));
    }
    for (enum mg_event e = MG_EV_COLD; e < MG_EVENTS; e++)
        assert_non_null(strstr(text, h248_event_name(e)));
    free(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
#define TEST_TWO(f) cmocka_unit_test_setup_teardown(f, begin_two, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(versions_and_profiles), TEST(agreed_version_is_spoken), TEST(services_that_cannot_be_read),
        TEST(what_the_root_tells), TEST(cold_boot_loses_the_calls), TEST(cold_boot_on_another_connection),
        TEST(kept_when_disconnected), TEST(kept_over_a_warm_boot), TEST(kept_over_a_handoff),
        TEST(kept_over_a_failover), TEST(contexts_of_nobody), TEST(not_back_in_time), TEST(forced_ends_the_calls),
        TEST(graceful_takes_no_new_calls), TEST(graceful_with_an_end), TEST(silent_and_back),
        TEST(silent_and_back_still_draining), TEST(heard_by_a_request_of_its_own),
        TEST(silence_over_tcp), TEST(check_that_is_not_answered), TEST(sent_to_register_again),
        TEST(requests_go_where_it_says), TEST_TWO(terminations_out_of_service),
        TEST_TWO(loss_is_told_to_each_shard), TEST_TWO(context_that_has_ended),
        cmocka_unit_test_setup(says_that_it_stops, begin),
        cmocka_unit_test_setup(sends_its_gateways_to_another, begin),
        cmocka_unit_test(unknown_pair_is_counted), cmocka_unit_test(every_state_is_left_and_reached),
    };
    epc_log_setup(EPC_LOG_ERROR, STDERR_FILENO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
