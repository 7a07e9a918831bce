/* Associations with gateways over real sockets: registration in each of its forms, load, loss and return. */
#include <stdlib.h>
#include <string.h>

#include "desk.h"

#define RESTART(version) "Method = Restart, Reason = \"901 Cold Boot\", Version = " version ", Profile = ThreeGIq/3"
#define ADD     "Context = $ { Add = ip/1/access/$, Add = ip/1/core/$ }"
#define ADDED(n) "Context = " n " { Add = ip/1/access/" n ", Add = ip/1/core/" n "1 }"

static struct desk d;
static struct mg a, b;

static int setup(void **state)
{
    (void)state;
    a = b = (struct mg){.fd = -1};
    desk_init(&d, 1);
    return 0;
}

static int setup_two_shards(void **state)
{
    (void)state;
    a = b = (struct mg){.fd = -1};
    desk_init(&d, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mg_close(&a);
    mg_close(&b);
    desk_stop(&d);
    return 0;
}

/* The @p number-th gateway that the hub has met. */
static void up(struct mg *m, bool tcp, const char *mid, unsigned number)
{
    mg_open(m, tcp, tcp ? d.tcp_port : d.udp_port, mid);
    mg_register(m, 1, RESTART("2"));
    desk_wait_fact(&d, number, "state=up", m);
}

/* A context of shard @p shard at @p m, which is gateway @p number. */
static void context(struct mg *m, unsigned number, size_t shard, const char *added, int tag)
{
    int n = d.n_results;
    desk_request(&d, shard, number, ADD, tag);
    uint32_t id = mg_expect(m, "Context = $");
    mg_say(m, "Reply = %u { %s }", id, added);
    struct desk_result r = desk_result_at(&d, n);
    assert_int_equal(r.err, EPC_OK);
    assert_int_equal(r.tag, tag);
}

static void registered(void **state)
{
    (void)state;
    desk_start(&d);
    a.packages = "g-1, nt-2, gm-2";
    up(&a, true, "[127.0.0.1]:2944", 1);
    char line[1024];
    desk_facts(&d, 1, line, sizeof line);
    assert_non_null(strstr(line, "gateway=[127.0.0.1]:2944"));
    assert_non_null(strstr(line, "version=2"));
    assert_non_null(strstr(line, "threegiq/3")); /* the smaller one of both */
    assert_true(h248_has_package(d.client[0], H248_MG_ANY, "gm"));
    assert_false(h248_has_package(d.client[0], H248_MG_ANY, "adid"));
    assert_int_equal(desk_count(&d, EPC_C_IQ_REGISTRATIONS), 1);
    assert_int_equal(desk_count(&d, EPC_C_IQ_GATEWAYS), 1);
}

static void over_udp(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, false, "<mg.test>:2944", 1);
    context(&a, H248_MG_ANY, 0, ADDED("7"), 1);
}

static void version_is_the_smaller(void **state)
{
    (void)state;
    desk_start(&d);
    mg_open(&a, true, d.tcp_port, "[127.0.0.1]:2944");
    mg_say(&a, "Transaction = 9 { Context = - { ServiceChange = ROOT { Services { Method = Restart, "
               "Reason = \"901 Cold Boot\", Version = 3 } } } }");
    mg_expect(&a, "Version = 2");
    mg_say(&a, "Transaction = 10 { Context = - { ServiceChange = ROOT { Services { Method = Restart, "
               "Reason = \"901 Cold Boot\" } } } }");
    mg_expect(&a, "Version = 1");
}

static void strangers_are_refused(void **state)
{
    (void)state;
    static char known[] = "[127.0.0.1]:2944";
    d.gateway[0].mid = known;
    desk_start(&d);
    mg_open(&a, true, d.tcp_port, "<stranger.test>");
    mg_say(&a, "Transaction = 1 { Context = - { ServiceChange = ROOT { Services { %s } } } }", RESTART("1"));
    mg_expect(&a, "402");
    desk_wait_count(&d, EPC_C_IQ_REFUSED, 1);
    assert_int_equal(desk_count(&d, EPC_C_IQ_GATEWAYS), 0);
    /* Nor may somebody who is not registered say anything else. */
    mg_open(&b, true, d.tcp_port, "[127.0.0.1]:2944");
    mg_say(&b, "Transaction = 1 { Context = 5 { Notify = ip/1/access/5 { ObservedEvents = 1 { g/cause } } } }");
    assert_non_null(mg_hear(&b, MG_WAIT_MS));
    assert_non_null(strstr(b.text, "Error = "));
}

static void names_of_others_are_not_taken(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, true, "<one.test>", 1);
    /* Another name on its connection. */
    snprintf(a.mid, sizeof a.mid, "<two.test>");
    mg_say(&a, "Transaction = 5 { Context = - { ServiceChange = ROOT { Services { %s } } } }", RESTART("1"));
    mg_expect(&a, "402");
    assert_int_equal(desk_count(&d, EPC_C_IQ_GATEWAYS), 1);
}

static void cold_restart_loses_everything(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, true, "<one.test>", 1);
    context(&a, H248_MG_ANY, 0, ADDED("5001"), 1);
    mg_cut(&a);
    up(&b, true, "<one.test>", 1);
    struct desk_event e = desk_event_at(&d, 0);
    assert_int_equal(e.kind, DESK_LOST);
    assert_int_equal(e.mg, 1);
    desk_wait_fact(&d, 1, "contexts=0", &b);
}

/* Cut and back: what it kept goes on, what it lost is gone, what nobody owns is subtracted. */
static void back_after_a_cut(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, true, "<one.test>", 1);
    context(&a, H248_MG_ANY, 0, ADDED("5001"), 1);
    context(&a, H248_MG_ANY, 0, ADDED("5002"), 2);
    mg_cut(&a);
    desk_wait_fact(&d, 1, "state=lost", NULL);
    desk_request(&d, 0, H248_MG_ANY, ADD, 3);
    struct desk_result r = desk_result_at(&d, 2);
    assert_int_equal(r.err, EPC_ENOENT); /* nobody else is there */
    mg_open(&b, true, d.tcp_port, "<one.test>");
    b.contexts = "5001 5009";
    mg_say(&b, "Transaction = 2 { Context = - { ServiceChange = ROOT { Services { Method = Disconnected, "
               "Reason = \"900 Service Restored\", Version = 2 } } } }");
    mg_expect(&b, "ServiceChange = ROOT");
    uint32_t id = mg_expect(&b, "Context = 5009"); /* the stranger */
    assert_non_null(strstr(b.text, "W-Subtract = *"));
    mg_say(&b, "Reply = %u { Context = 5009 { W-Subtract = * } }", id);
    struct desk_event e = desk_event_at(&d, 0);
    assert_int_equal(e.kind, DESK_GONE);
    assert_int_equal(e.context, 5002);
    desk_wait_fact(&d, 1, "state=up", &b);
    desk_wait_count(&d, EPC_C_IQ_ORPHANS, 1);
    desk_request(&d, 0, 1, "Context = 5001 { Modify = ip/1/core/50011 }", 4);
    id = mg_expect(&b, "Context = 5001");
    mg_say(&b, "Reply = %u { Context = 5001 { Modify = ip/1/core/50011 } }", id);
    assert_int_equal(desk_result_at(&d, 3).err, EPC_OK);
}

static void not_back_in_time(void **state)
{
    (void)state;
    d.cfg.h248.recovery_ms = 100;
    desk_start(&d);
    up(&a, true, "<one.test>", 1);
    context(&a, H248_MG_ANY, 0, ADDED("5001"), 1);
    mg_cut(&a);
    assert_int_equal(desk_event_at(&d, 0).kind, DESK_LOST);
    desk_wait_fact(&d, 1, "state=down", NULL);
    assert_int_equal(desk_count(&d, EPC_C_IQ_GATEWAYS_LOST), 1);
}

static void silence_is_noticed(void **state)
{
    (void)state;
    d.cfg.h248.audit_interval_ms = 60;
    d.cfg.timeout_ms = 100;
    desk_start(&d);
    up(&a, false, "<one.test>", 1);
    a.mute = true;
    desk_wait_fact(&d, 1, "state=lost", &a);
    a.mute = false; /* and so is its return */
    desk_wait_fact(&d, 1, "state=up", &a);
}

static void going_out_of_service(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, true, "<one.test>", 1);
    up(&b, true, "<two.test>", 2);
    context(&a, 1, 0, ADDED("5001"), 1);
    mg_say(&a, "Transaction = 3 { Context = - { ServiceChange = ROOT { Services { Method = Graceful, "
               "Reason = \"905 Termination Taken Out Of Service\", Delay = 600 } } } }");
    mg_expect(&a, "ServiceChange = ROOT");
    desk_wait_fact(&d, 1, "state=drain", &a);
    context(&b, H248_MG_ANY, 0, ADDED("1"), 2); /* new ones go elsewhere, ... */
    context(&b, H248_MG_ANY, 0, ADDED("2"), 3);
    context(&b, H248_MG_ANY, 0, ADDED("3"), 4);
    mg_say(&a, "Transaction = 4 { Context = - { ServiceChange = ROOT { Services { Method = Restart, "
               "Reason = \"918 Cancel Graceful\" } } } }");
    mg_expect(&a, "ServiceChange = ROOT");
    desk_wait_fact(&d, 1, "state=up", &a);
    mg_say(&a, "Transaction = 5 { Context = - { ServiceChange = ROOT { Services { Method = Forced, "
               "Reason = \"908 MG Impending Failure\" } } } }");
    mg_expect(&a, "ServiceChange = ROOT");
    struct desk_event e = desk_event_at(&d, 0);
    assert_int_equal(e.kind, DESK_LOST);
    assert_int_equal(e.mg, 1);
}

static struct mg *who_is_asked(void)
{
    for (uint64_t until = epc_now_ms() + MG_WAIT_MS; epc_now_ms() < until;) {
        if (mg_hear(&a, 10))
            return &a;
        if (mg_hear(&b, 10))
            return &b;
    }
    fail_msg("nobody was asked");
    return NULL;
}

static void load_is_shared(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, true, "<one.test>", 1);
    up(&b, true, "<two.test>", 2);
    for (int i = 0; i < 4; i++) {
        char added[64];
        desk_request(&d, 0, H248_MG_ANY, ADD, i);
        struct mg *asked = who_is_asked();
        uint32_t id = asked->heard->transaction[0].id;
        snprintf(added, sizeof added, "Context = %d { Add = ip/1/access/%d, Add = ip/1/core/%d1 }", 10 + i, i, i);
        mg_say(asked, "Reply = %u { %s }", id, added);
        assert_int_equal(desk_result_at(&d, i).err, EPC_OK);
    }
    desk_wait_fact(&d, 1, "contexts=2", &a);
    desk_wait_fact(&d, 2, "contexts=2", &b);
}

/* A gateway that has no room passes the call on, and is left alone for a while. */
static void full_gateway(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, true, "<one.test>", 1);
    up(&b, true, "<two.test>", 2);
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    struct mg *first = who_is_asked(), *second = first == &a ? &b : &a;
    uint32_t id = first->heard->transaction[0].id;
    mg_say(first, "Reply = %u { Context = $ { Error = 510 { \"Insufficient resources\" } } }", id);
    id = mg_expect(second, "Context = $");
    mg_say(second, "Reply = %u { %s }", id, ADDED("77"));
    struct desk_result r = desk_result_at(&d, 0);
    assert_int_equal(r.err, EPC_OK);
    assert_int_equal(r.context, 77);
    assert_int_equal(d.n_results, 1);
    assert_int_equal(desk_count(&d, EPC_C_IQ_FAILOVERS), 1);
    context(second, H248_MG_ANY, 0, ADDED("78"), 2);
}

static void nobody_there(void **state)
{
    (void)state;
    desk_start(&d);
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    struct desk_result r = desk_result_at(&d, 0);
    assert_int_equal(r.err, EPC_ENOENT);
    assert_int_equal(r.mg, 0);
    assert_int_equal(desk_count(&d, EPC_C_IQ_NO_GATEWAY), 1);
}

/* What a gateway reports goes to the shard that made the context. */
static void reports_find_their_shard(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, true, "<one.test>", 1);
    context(&a, H248_MG_ANY, 0, ADDED("11"), 1);
    context(&a, H248_MG_ANY, 1, ADDED("12"), 2);
    mg_say(&a, "Transaction = 30 { Context = 12 { Notify = ip/1/access/12 { ObservedEvents = 1 { g/cause } } } }");
    mg_expect(&a, "Notify = ip/1/access/12");
    struct desk_event e = desk_event_at(&d, 0);
    assert_int_equal(e.kind, DESK_NOTIFY);
    assert_int_equal(e.shard, 1);
    assert_int_equal(e.context, 12);
    mg_say(&a, "Transaction = 31 { Context = 13 { Notify = ip/1/access/13 { ObservedEvents = 1 { g/cause } } } }");
    mg_expect(&a, "411");
    desk_context_ended(&d, 1, 1, 12);
    desk_wait_fact(&d, 1, "contexts=1", &a);
    mg_say(&a, "Transaction = 32 { Context = 12 { Notify = ip/1/access/12 { ObservedEvents = 1 { g/cause } } } }");
    mg_expect(&a, "411");
    /* Terminations out of service concern everybody who has some there. */
    mg_say(&a, "Transaction = 33 { Context = 11 { ServiceChange = ip/1/access/11 { Services { Method = Forced, "
               "Reason = \"904 Termination Malfunctioning\" } } } }");
    mg_expect(&a, "ServiceChange = ip/1/access/11");
    e = desk_event_at(&d, 1);
    assert_int_equal(e.kind, DESK_CHANGE);
    assert_int_equal(e.shard, 0);
}

/* At the end of the process the gateways are told. */
static void told_at_the_end(void **state)
{
    (void)state;
    desk_init(&d, 1);
    d.cfg.h248.stop = EPC_H248_STOP_GRACEFUL;
    desk_start(&d);
    up(&a, false, "<one.test>", 1);
    desk_stop(&d); /* waits for an answer, and not for ever */
    mg_expect(&a, "Method = Graceful");
    mg_close(&a);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    epc_log_setup(EPC_LOG_ERROR, 2);
    const struct CMUnitTest tests[] = {
        T(registered),
        T(over_udp),
        T(version_is_the_smaller),
        T(strangers_are_refused),
        T(names_of_others_are_not_taken),
        T(cold_restart_loses_everything),
        T(back_after_a_cut),
        T(not_back_in_time),
        T(silence_is_noticed),
        T(going_out_of_service),
        T(load_is_shared),
        T(full_gateway),
        T(nobody_there),
        cmocka_unit_test_setup_teardown(reports_find_their_shard, setup_two_shards, teardown),
        cmocka_unit_test(told_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
