/* The timing wheel alone, on a clock of the test's own. */
#include "shard/shard_priv.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct item {
    struct epc_timer t;
    struct epc_wheel *w;
    uint64_t fired_at;
    unsigned serial, fires, restart;
    struct item *stops;
};
static unsigned next_serial;

static void on_fire(void *arg)
{
    struct item *i = arg;
    i->fired_at = i->w->now;
    i->serial = ++next_serial;
    i->fires++;
    if (i->stops)
        epc_wheel_del(&i->stops->t);
    if (i->restart) {
        i->restart--;
        i->t._at_ms = i->w->now; /* at once: must wait for the next tick, not loop */
        epc_wheel_add(i->w, &i->t);
    }
}

static void start(struct epc_wheel *w, struct item *i, uint64_t at)
{
    i->w = w;
    i->t.fn = on_fire;
    i->t.arg = i;
    i->t._at_ms = at;
    epc_wheel_add(w, &i->t);
}

static void exact_and_in_order(void **state)
{
    (void)state;
    static const uint64_t at[] = {5000, 1, 64, 63, 65, 4096, 4095, 262144, 1ULL << 40, 1000, 1000, 64};
    static const uint64_t base = 4030; /* so that several digits change on the way */
    struct epc_wheel w;
    struct item items[EPC_ARRAY_LEN(at)];
    memset(items, 0, sizeof items);
    epc_wheel_init(&w, base);
    for (size_t i = 0; i < EPC_ARRAY_LEN(at); i++)
        start(&w, &items[i], base + at[i]);
    for (;;) {
        uint64_t next = epc_wheel_next(&w);
        if (next == UINT64_MAX)
            break;
        assert_true(next > w.now);
        epc_wheel_advance(&w, next);
    }
    for (size_t i = 0; i < EPC_ARRAY_LEN(at); i++) {
        assert_int_equal(items[i].fires, 1);
        assert_int_equal(items[i].fired_at, base + at[i]);
    }
    assert_true(items[9].serial < items[10].serial); /* equal times: first come, first served */
    assert_true(items[2].serial < items[11].serial);
}

static void callbacks_may_stop_and_restart(void **state)
{
    (void)state;
    struct epc_wheel w;
    struct item a = {.restart = 3}, b = {0}, c = {0};
    epc_wheel_init(&w, 100);
    a.stops = &b; /* same tick, behind a */
    start(&w, &a, 150);
    start(&w, &b, 150);
    start(&w, &c, 150);
    epc_wheel_advance(&w, 150);
    assert_int_equal(a.fires, 1);
    assert_int_equal(b.fires, 0);
    assert_int_equal(c.fires, 1);
    for (unsigned tick = 1; tick <= 3; tick++) { /* once a tick, no later */
        epc_wheel_advance(&w, 150 + tick);
        assert_int_equal(a.fires, 1 + tick);
    }
    epc_wheel_advance(&w, 160);
    assert_int_equal(a.fires, 4);
    assert_true(epc_wheel_next(&w) == UINT64_MAX);
}

static void many_against_a_late_clock(void **state)
{
    (void)state;
    enum { N = 10000 };
    struct epc_wheel w;
    struct item *items = calloc(N, sizeof *items);
    uint64_t seed = 42, last = 0;
    unsigned live = 0;
    assert_non_null(items);
    epc_wheel_init(&w, 77);
    for (size_t i = 0; i < N; i++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        start(&w, &items[i], 78 + (seed >> 33) % 300000);
    }
    for (size_t i = 0; i < N; i += 3)
        epc_wheel_del(&items[i].t);
    next_serial = 0;
    for (uint64_t now = 77; now < 400000; now += 997)
        epc_wheel_advance(&w, now);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(items[i].fires, i % 3 ? 1 : 0);
        live += items[i].fires;
        if (items[i].fires)
            assert_int_equal(items[i].fired_at, items[i].t._at_ms);
        if (items[i].fired_at > last)
            last = items[i].fired_at;
    }
    assert_int_equal(live, next_serial);
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_and_in_order),
        cmocka_unit_test(callbacks_may_stop_and_restart),
        cmocka_unit_test(many_against_a_late_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
