/* Several gateways and several shards: who gets a new context, and who hears of it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "desk.h"

#define ADD "Context = $ { Add = ip/1/access/$ }"

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
    mg_open(m, true, d.host, mid);
    mg_register(m, 1, cold);
    desk_wait_fact(&d, number, "state=up", m);
}

static void both_up(void)
{
    up(&a, 1, "<mg-a>");
    up(&b, 2, "<mg-b>");
}

static struct mg *who_is_asked(void)
{
    for (uint64_t until = epc_now_ms() + MG_WAIT_MS; epc_now_ms() < until;) {
        if (a.fd >= 0 && mg_hear(&a, 5))
            return &a;
        if (b.fd >= 0 && mg_hear(&b, 5))
            return &b;
    }
    fail_msg("nobody was asked");
    return NULL;
}

static void say_added(struct mg *m, unsigned context)
{
    mg_say(m, "Reply = %u { Context = %u { Add = ip/1/access/%u } }", (unsigned)m->heard->transaction[0].id, context,
           context);
}

/* @return the gateway that got it */
static struct mg *make_context(size_t shard, unsigned context)
{
    int n = desk_n_results(&d);
    desk_request(&d, shard, H248_MG_ANY, ADD, (int)context);
    struct mg *m = who_is_asked();
    say_added(m, context);
    struct desk_result r = desk_result_at(&d, n);
    assert_int_equal(r.err, EPC_OK);
    assert_int_equal(r.context, context);
    assert_string_equal(r.mg_name, m->mid);
    return m;
}

static void refused_at_once(enum epc_err err)
{
    int n = desk_n_results(&d);
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    struct desk_result r = desk_result_at(&d, n);
    assert_int_equal(r.err, err);
    assert_int_equal(r.mg, 0);
}

static void nobody_there(void **state)
{
    (void)state;
    desk_start(&d);
    refused_at_once(EPC_ENOENT);
    assert_int_equal(desk_count(&d, EPC_C_IQ_NO_GATEWAY), 1);
}

static void load_is_shared(void **state)
{
    (void)state;
    desk_start(&d);
    both_up();
    for (unsigned i = 0; i < 6; i++)
        make_context(0, 100 + i);
    desk_wait_fact(&d, 1, "contexts=3 ", &a);
    desk_wait_fact(&d, 2, "contexts=3 ", &b);
}

static char mid_a[] = "<mg-a>", mid_b[] = "<mg-b>";

static void weigh(uint32_t of_a, uint32_t of_b)
{
    d.gateway[0].mid = mid_a;
    d.gateway[0].weight = of_a;
    d.gateway[1] = d.gateway[0];
    d.gateway[1].mid = mid_b;
    d.gateway[1].weight = of_b;
    d.cfg.h248.n_gateways = 2;
}

static void load_goes_by_weight(void **state)
{
    (void)state;
    weigh(30, 10);
    desk_start(&d);
    both_up();
    for (unsigned i = 0; i < 8; i++)
        make_context(0, 100 + i);
    desk_wait_fact(&d, 1, "contexts=6 ", &a);
    desk_wait_fact(&d, 2, "contexts=2 ", &b);
}

static void spare_only_when_the_other_is_full(void **state)
{
    (void)state;
    weigh(10, 0);
    d.gateway[0].max_contexts = 2;
    desk_start(&d);
    both_up();
    assert_ptr_equal(make_context(0, 1), &a);
    assert_ptr_equal(make_context(0, 2), &a);
    assert_ptr_equal(make_context(0, 3), &b);
    desk_context_ended(&d, 0, 1, 1);
    assert_ptr_equal(make_context(0, 4), &a);
}

static void all_full(void **state)
{
    (void)state;
    d.gateway[0].max_contexts = 1;
    desk_start(&d);
    both_up();
    make_context(0, 1);
    make_context(0, 2);
    refused_at_once(EPC_ELIMIT);
    d.emergency = true; /* not even those */
    refused_at_once(EPC_ELIMIT);
}

/* A gateway that has no room passes the call on, and is left alone for a while. */
static void other_one_is_tried(const char *refusal)
{
    desk_start(&d);
    both_up();
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    struct mg *first = who_is_asked(), *second = first == &a ? &b : &a;
    mg_say(first, "Reply = %u { %s }", (unsigned)first->heard->transaction[0].id, refusal);
    mg_expect(second, "Context = $");
    say_added(second, 77);
    struct desk_result r = desk_result_at(&d, 0);
    assert_int_equal(r.err, EPC_OK);
    assert_int_equal(r.context, 77);
    assert_string_equal(r.mg_name, second->mid);
    assert_int_equal(desk_n_results(&d), 1);
    assert_int_equal(desk_count(&d, EPC_C_IQ_FAILOVERS), 1);
    for (unsigned i = 0; i < 4; i++)
        assert_ptr_equal(make_context(0, 80 + i), second);
}

static void no_resources_there(void **state)
{
    (void)state;
    other_one_is_tried("Context = $ { Error = 510 { \"Insufficient resources\" } }");
}

static void no_service_there(void **state)
{
    (void)state;
    other_one_is_tried("Error = 502 { \"Not ready\" }");
}

/* Only once: two that are full do not get the call to and fro. */
static void no_resources_anywhere(void **state)
{
    (void)state;
    desk_start(&d);
    both_up();
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    for (int i = 0; i < 2; i++) {
        struct mg *m = who_is_asked();
        mg_say(m, "Reply = %u { Error = 510 { \"Insufficient resources\" } }", (unsigned)m->heard->transaction[0].id);
    }
    struct desk_result r = desk_result_at(&d, 0);
    assert_int_equal(r.err, EPC_OK);
    assert_int_equal(r.error, 510);
    refused_at_once(EPC_ELIMIT); /* both are avoided */
    assert_int_equal(desk_count(&d, EPC_C_IQ_AVOIDED), 2);
    d.emergency = true;
    make_context(0, 5);
}

static void avoided_for_a_while_only(void **state)
{
    (void)state;
    d.cfg.h248.avoid_ms = 100;
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    mg_say(&a, "Reply = %u { Error = 510 { \"Insufficient resources\" } }", (unsigned)mg_expect(&a, "Add"));
    assert_int_equal(desk_result_at(&d, 0).error, 510);
    mg_expect_nothing(&a, 150);
    make_context(0, 7);
}

static void connection_breaks_there(void **state)
{
    (void)state;
    desk_start(&d);
    both_up();
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    struct mg *first = who_is_asked(), *second = first == &a ? &b : &a;
    mg_cut(first);
    mg_expect(second, "Context = $");
    say_added(second, 77);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
    assert_int_equal(desk_n_results(&d), 1);
    desk_wait_fact(&d, first == &a ? 1 : 2, "state=lost", NULL);
    for (unsigned i = 0; i < 4; i++)
        assert_ptr_equal(make_context(0, 80 + i), second);
}

/* Half a context stays where the other half was refused: it goes before the other gateway is asked. */
static void what_was_half_made_is_subtracted(void **state)
{
    (void)state;
    desk_start(&d);
    both_up();
    desk_request(&d, 0, H248_MG_ANY, "Context = $ { Add = ip/1/access/$, Add = ip/1/core/$ }", 1);
    struct mg *first = who_is_asked(), *second = first == &a ? &b : &a;
    mg_say(first, "Reply = %u { Context = 31 { Add = ip/1/access/31, Add = ip/1/core/$ { Error = 510 { \"no\" } } } }",
           (unsigned)first->heard->transaction[0].id);
    mg_expect(first, "Subtract = *");
    assert_int_equal(first->heard->transaction[0].action[0].context, 31);
    mg_expect(second, "Context = $");
    say_added(second, 77);
    assert_int_equal(desk_result_at(&d, 0).context, 77);
}

static void overload_is_told(void **state)
{
    (void)state;
    desk_start(&d);
    both_up();
    mg_say(&a, "Transaction = 5 { Context = - { Notify = ROOT { ObservedEvents = 1 { ocp/mg_overload } } } }");
    assert_int_equal(mg_expect(&a, "Notify = ROOT"), 5);
    for (unsigned i = 0; i < 4; i++)
        assert_ptr_equal(make_context(0, 80 + i), &b);
    assert_int_equal(desk_count(&d, EPC_C_IQ_AVOIDED), 1);
}

static void reduction_is_told(void **state)
{
    unsigned of_a = 0;
    (void)state;
    d.cfg.h248.max_contexts = 1000;
    desk_start(&d);
    both_up();
    mg_say(&a, "Transaction = 5 { Context = - { Notify = ROOT { ObservedEvents = 1 { chp/mgcon { reduction = 50 } } } "
               "} }");
    assert_int_equal(mg_expect(&a, "Notify = ROOT"), 5);
    for (unsigned i = 0; i < 60; i++) { /* d has room for so many results; even is 30 */
        desk_request(&d, 0, H248_MG_ANY, ADD, 1);
        struct mg *m = who_is_asked();
        say_added(m, 100 + i);
        of_a += m == &a;
        desk_result_at(&d, (int)i);
    }
    assert_true(of_a > 0); /* not none, as when avoided: by chance in fewer than one of 2^30 runs */
    assert_int_equal(desk_count(&d, EPC_C_IQ_AVOIDED), 1);
}

/* ---- shards ------------------------------------------------------------------------------------------------------ */

static void reports_find_their_shard(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    make_context(0, 11);
    make_context(1, 12);
    mg_say(&a, "Transaction = 30 { Context = 12 { Notify = ip/1/access/12 { ObservedEvents = 1 { g/cause } } } }");
    mg_expect(&a, "Notify = ip/1/access/12");
    struct desk_event e = desk_event_at(&d, 0);
    assert_int_equal(e.kind, DESK_NOTIFY);
    assert_int_equal(e.shard, 1);
    assert_int_equal(e.context, 12);
    mg_say(&a, "Transaction = 31 { Context = 11 { Notify = ip/1/access/11 { ObservedEvents = 1 { g/cause } } } }");
    mg_expect(&a, "Notify = ip/1/access/11");
    e = desk_event_at(&d, 1);
    assert_int_equal(e.shard, 0);
    assert_int_equal(e.context, 11);
    desk_context_ended(&d, 1, 1, 12);
    desk_wait_fact(&d, 1, "contexts=1 ", &a);
    mg_say(&a, "Transaction = 32 { Context = 12 { Notify = ip/1/access/12 { ObservedEvents = 1 { g/cause } } } }");
    mg_expect(&a, "Error = 411");
    assert_int_equal(desk_n_events(&d), 2);
}

/* Results reach who asked, however many wait in between. */
static void results_reach_their_shard(void **state)
{
    (void)state;
    desk_start(&d);
    up(&a, 1, "<mg-a>");
    for (int i = 0; i < 40; i++)
        desk_request(&d, (size_t)i % 2, 1, "Context = 5 { Subtract = ip/1/x }", i);
    for (int i = 0; i < 40; i++)
        mg_say(&a, "Reply = %u { Context = 5 { Subtract = ip/1/x } }", (unsigned)mg_expect(&a, "Subtract"));
    uint64_t seen = 0;
    for (int i = 0; i < 40; i++) {
        struct desk_result r = desk_result_at(&d, i);
        assert_int_equal(r.err, EPC_OK);
        seen |= UINT64_C(1) << r.tag;
    }
    assert_true(seen == (UINT64_C(1) << 40) - 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
#define TEST_TWO(f) cmocka_unit_test_setup_teardown(f, begin_two, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_there), TEST(load_is_shared), TEST(load_goes_by_weight), TEST(spare_only_when_the_other_is_full),
        TEST(all_full), TEST(no_resources_there), TEST(no_service_there), TEST(no_resources_anywhere),
        TEST(avoided_for_a_while_only), TEST(connection_breaks_there), TEST(what_was_half_made_is_subtracted),
        TEST(overload_is_told), TEST(reduction_is_told), TEST_TWO(reports_find_their_shard),
        TEST_TWO(results_reach_their_shard),
    };
    epc_log_setup(EPC_LOG_ERROR, STDERR_FILENO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
