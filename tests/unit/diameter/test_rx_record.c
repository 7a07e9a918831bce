/* What a shard remembers of Rx sessions stays within its bounds, and what goes first is what matters least. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rx_record.h"

#include <stdlib.h>
#include <string.h>

static size_t freed;

static void on_free(struct rx_record *r)
{
    (void)r;
    freed++;
}

static struct rx_record *session(struct rx_history *h, uint64_t token, const char *call)
{
    struct epc_addr ue;
    assert_int_equal(epc_addr_parse(&ue, "10.45.0.2", 5060), EPC_OK);
    struct rx_record *r = rx_record_new(h, &(struct rx_record_open){.token = token, .session_id = "sid",
                                                                    .call_id = call, .impu = "sip:a@b", .ue = &ue});
    assert_non_null(r);
    return r;
}

static struct rx_exchange *request(struct rx_history *h, struct rx_record *r, uint32_t seq, size_t octets)
{
    struct rx_exchange *x = rx_exchange_new(h, r, RX_SENT);
    assert_non_null(x);
    x->seq = seq;
    rx_exchange_wire(h, r, x, false, octets ? calloc(1, octets) : NULL, octets);
    return x;
}

/* What the counts say is what is there. */
static void consistent(const struct rx_history *h)
{
    size_t octets = 0;
    for (size_t l = 0; l < RX_LISTS; l++) {
        size_t n = 0;
        for (const struct rx_record *r = h->head[l]; r; r = r->next) {
            size_t of_record = 0, exchanges = 0;
            for (const struct rx_exchange *x = r->exchange; x; x = x->next) {
                of_record += x->octets;
                exchanges++;
            }
            assert_int_equal(r->octets, of_record);
            assert_int_equal(r->n, exchanges);
            assert_true(r->n <= RX_RECORD_EXCHANGES);
            assert_true(r->octets <= RX_RECORD_OCTETS);
            assert_int_equal(r->list, l);
            octets += of_record;
            n++;
        }
        assert_int_equal(h->n[l], n);
    }
    assert_int_equal(h->octets, octets);
    assert_true(h->octets <= h->max_octets);
    assert_true(h->n[RX_PLAIN] + h->n[RX_TROUBLED] <= h->max_ended);
}

static void a_session_keeps_its_first_and_newest_exchanges(void **state)
{
    (void)state;
    struct rx_history *h = rx_history_new(4, on_free);
    struct rx_record *r = session(h, 1, "call");
    for (uint32_t i = 0; i < 100; i++)
        request(h, r, i, 100);
    consistent(h);
    assert_int_equal(r->n, RX_RECORD_EXCHANGES);
    assert_int_equal(r->dropped, 100 - RX_RECORD_EXCHANGES);
    assert_int_equal(r->exchange->seq, 0);
    assert_non_null(rx_exchange_of(r, 99));
    assert_non_null(rx_exchange_of(r, 100 - RX_RECORD_EXCHANGES + 1));
    assert_null(rx_exchange_of(r, 50));
    rx_history_free(h);
}

static void a_session_keeps_so_many_octets(void **state)
{
    (void)state;
    struct rx_history *h = rx_history_new(64, on_free);
    struct rx_record *r = session(h, 1, "call");
    for (uint32_t i = 0; i < 20; i++)
        request(h, r, i, RX_RECORD_OCTETS / 4 - 1000);
    consistent(h);
    assert_int_equal(r->exchange->seq, 0);
    assert_non_null(rx_exchange_of(r, 19));
    assert_true(r->n == 4);

    struct rx_exchange *x = request(h, r, 20, RX_RECORD_OCTETS); /* too large to be kept: the rest is */
    assert_null(x->request);
    consistent(h);
    rx_history_free(h);
}

static void texts_are_cut_and_replaced(void **state)
{
    (void)state;
    struct rx_history *h = rx_history_new(4, on_free);
    struct rx_record *r = session(h, 1, "call");
    struct rx_exchange *x = request(h, r, 0, 0);
    char *longer = calloc(1, 2 * RX_RECORD_TEXT);
    memset(longer, 'a', 2 * RX_RECORD_TEXT - 1);
    rx_exchange_text(h, r, x, &x->why, longer);
    assert_int_equal(strlen(x->why), RX_RECORD_TEXT);
    rx_exchange_result(h, r, x, 2001, "good");
    assert_string_equal(r->last, "good");
    rx_exchange_text(h, r, x, &x->result, "better");
    assert_string_equal(r->last, "better");
    rx_exchange_text(h, r, x, &x->why, NULL);
    assert_null(x->why);
    consistent(h);
    free(longer);
    rx_history_free(h);
}

static void the_last_result_goes_with_its_exchange(void **state)
{
    (void)state;
    struct rx_history *h = rx_history_new(4, on_free);
    struct rx_record *r = session(h, 1, "call");
    request(h, r, 0, 10);
    struct rx_exchange *x = request(h, r, 1, 10);
    rx_exchange_result(h, r, x, 5063, "no");
    for (uint32_t i = 2; i < 2 * RX_RECORD_EXCHANGES; i++)
        request(h, r, i, 10);
    assert_null(r->last);
    rx_history_free(h);
}

static void ended_sessions_make_room(void **state)
{
    (void)state;
    struct rx_history *h = rx_history_new(10, on_free);
    freed = 0;
    for (uint64_t i = 1; i <= 25; i++) {
        struct rx_record *r = session(h, i, "call");
        request(h, r, 0, 10);
        rx_record_end(h, r);
        rx_record_end(h, r); /* once */
        consistent(h);
    }
    assert_int_equal(freed, 15);
    assert_int_equal(h->forgotten, 15);
    assert_null(rx_record_find(h, 15));
    assert_non_null(rx_record_find(h, 16));
    rx_history_free(h);
    assert_int_equal(freed, 25);
}

/* A hundred good calls must not hide the bad one; a hundred bad ones must not hide all good ones. */
static void trouble_is_remembered_longer(void **state)
{
    (void)state;
    struct rx_history *h = rx_history_new(10, on_free);
    struct rx_record *bad = session(h, 1, "bad");
    bad->troubled = true;
    rx_record_end(h, bad);
    for (uint64_t i = 2; i < 100; i++)
        rx_record_end(h, session(h, i, "good"));
    assert_ptr_equal(rx_record_find(h, 1), bad);
    for (uint64_t i = 100; i < 200; i++) {
        struct rx_record *r = session(h, i, "bad");
        r->troubled = true;
        rx_record_end(h, r);
    }
    consistent(h);
    assert_null(rx_record_find(h, 1));
    assert_int_equal(h->n[RX_TROUBLED], 5);
    assert_int_equal(h->n[RX_PLAIN], 5);
    rx_history_free(h);
}

/* All sessions of a shard are live, and there are more of them than octets. */
static void live_sessions_lose_their_messages_but_stay(void **state)
{
    (void)state;
    struct rx_history *h = rx_history_new(4, on_free);
    freed = 0;
    for (uint64_t i = 1; i <= 1000; i++) {
        struct rx_record *r = session(h, i, "call");
        struct rx_exchange *x = request(h, r, 7, 4000);
        rx_exchange_result(h, r, x, 2001, "good");
        consistent(h);
    }
    assert_int_equal(freed, 0);
    assert_int_equal(h->n[RX_LIVE] + h->n[RX_BARE], 1000);
    const struct rx_record *first = rx_record_find(h, 1), *last = rx_record_find(h, 1000);
    assert_int_equal(first->list, RX_BARE);
    assert_int_equal(first->dropped, 1);
    assert_null(first->last);
    assert_int_equal(last->n, 1);

    struct rx_record *again = rx_record_find(h, 1); /* it speaks again, and is heard */
    request(h, again, 8, 100);
    assert_int_equal(again->list, RX_LIVE);
    assert_int_equal(again->n, 1);
    rx_record_end(h, again);
    consistent(h);
    rx_history_free(h);
    assert_int_equal(freed, 1000);
}

static void ended_ones_go_before_live_ones_lose_anything(void **state)
{
    (void)state;
    struct rx_history *h = rx_history_new(4, on_free);
    struct rx_record *live = session(h, 1, "live");
    request(h, live, 0, 10000);
    for (uint64_t i = 2; i < 30; i++) {
        struct rx_record *r = session(h, i, "call");
        for (uint32_t k = 0; k < 3; k++)
            request(h, r, k, 14000);
        rx_record_end(h, r);
        consistent(h);
    }
    assert_int_equal(live->n, 1);
    rx_history_free(h);
}

static void no_session_no_token(void **state)
{
    (void)state;
    struct rx_history *h = rx_history_new(1, on_free);
    struct rx_record *r = rx_record_new(h, &(struct rx_record_open){0}); /* a request that was held back */
    assert_non_null(r);
    assert_null(rx_record_find(h, 0));
    rx_record_end(h, r);
    rx_record_end(h, session(h, 5, NULL));
    assert_int_equal(h->n[RX_PLAIN], 1);
    assert_non_null(rx_record_find(h, 5));
    rx_history_free(h);
    rx_history_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_keeps_its_first_and_newest_exchanges),
        cmocka_unit_test(a_session_keeps_so_many_octets),
        cmocka_unit_test(texts_are_cut_and_replaced),
        cmocka_unit_test(the_last_result_goes_with_its_exchange),
        cmocka_unit_test(ended_sessions_make_room),
        cmocka_unit_test(trouble_is_remembered_longer),
        cmocka_unit_test(live_sessions_lose_their_messages_but_stay),
        cmocka_unit_test(ended_ones_go_before_live_ones_lose_anything),
        cmocka_unit_test(no_session_no_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
