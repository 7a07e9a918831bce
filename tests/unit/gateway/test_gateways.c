/* Several rtpengines: who gets a call, what happens when one is full, falls silent or begins anew. */
#include "bench.h"
#include "gateway/rtpengine/rtpengine_priv.h"
#include "peer.h"

#include <stdlib.h>
#include <string.h>

static void drop(struct peer_request r)
{
    peer_request_free(&r);
}

static struct peer_request next_of(struct peer *p, const char *command)
{
    struct peer_request r = peer_next(p);
    assert_string_equal(peer_get(&r, "command"), command);
    return r;
}

static void ok(struct peer *p, struct peer_request r)
{
    peer_send(p, &r, "{\"result\":\"ok\"}");
    drop(r);
}

static void open_two(struct bench *b, struct peer p[2], void (*configure)(struct epc_cfg_media *cfg))
{
    peer_open(&p[0]);
    peer_open(&p[1]);
    bench_start_with(b, (unsigned[]){p[0].port, p[1].port, 0}, 400, 0, configure);
    for (int i = 0; i < 2; i++)
        peer_wait_pings(&p[i], 1);
}

static void close_two(struct bench *b, struct peer p[2])
{
    bench_stop(b);
    peer_close(&p[0]);
    peer_close(&p[1]);
}

/* The peer that the first request came to. */
static int who_has_it(struct peer p[2], struct peer_request *r)
{
    for (;;)
        for (int i = 0; i < 2; i++)
            if (peer_try(&p[i], 20, r))
                return i;
}

static void a_silent_one_loses_the_new_call(void **state)
{
    (void)state;
    struct bench b;
    struct peer p[2];
    open_two(&b, p, NULL);
    bench_ctx(&b, "call@test");
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request r, again;
    int first = who_has_it(p, &r); /* which says no more from now on */
    p[first].mute = true;
    struct peer *other = &p[!first];
    again = next_of(other, "offer");
    assert_string_equal(peer_get(&again, "call-id"), peer_get(&r, "call-id"));
    assert_string_equal(peer_get(&again, "sdp"), peer_get(&r, "sdp"));
    peer_send_sdp(other, &again, sdp_core_answer_av);
    bench_wait_done(&b, 1);
    assert_int_equal(b.done[0].err, EPC_OK);
    bench_release(&b);
    ok(other, next_of(other, "delete"));
    /* It comes back, and may have made the call: that is to go. */
    p[first].mute = false;
    struct peer_request del;
    do
        del = peer_next(&p[first]);
    while (strcmp(peer_get(&del, "command"), "offer") == 0 && (drop(del), true)); /* repetitions that lay about */
    assert_string_equal(peer_get(&del, "command"), "delete");
    assert_string_equal(peer_get(&del, "call-id"), peer_get(&r, "call-id"));
    ok(&p[first], del);
    drop(r);
    drop(again);
    close_two(&b, p);
}

static void a_full_one_passes_the_call_on(void **state)
{
    (void)state;
    struct bench b;
    struct peer p[2];
    open_two(&b, p, NULL);
    bench_ctx(&b, "call@test");
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request r;
    int full = who_has_it(p, &r);
    peer_send(&p[full], &r, "{\"result\":\"error\",\"error-reason\":\"Parallel session limit reached\"}");
    drop(r);
    r = next_of(&p[!full], "offer");
    peer_send(&p[!full], &r, "{\"result\":\"error\",\"error-reason\":\"Ran out of ports\"}");
    drop(r);
    bench_wait_done(&b, 1); /* and nobody is asked twice */
    assert_int_equal(b.done[0].err, EPC_ELIMIT);
    assert_int_equal(b.done[0].cause.sip_status, 503);
    assert_true(b.done[0].cause.retry_after_s > 0);
    char *lines = bench_lines(&b);
    assert_non_null(strstr(lines, "state=full"));
    free(lines);
    bench_release(&b);
    close_two(&b, p);
}

/* Equal shares, whatever the hash of their names says. */
static void the_least_busy_gets_the_call(void **state)
{
    (void)state;
    struct bench b;
    struct peer p[2];
    int got[2] = {0, 0};
    open_two(&b, p, NULL);
    for (int i = 0; i < 8; i++) {
        struct peer_request r;
        bench_ctx(&b, "call@test");
        bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, i);
        int at = who_has_it(p, &r);
        got[at]++;
        peer_send_sdp(&p[at], &r, sdp_core_answer_av);
        drop(r);
        bench_wait_done(&b, i + 1);
    }
    assert_int_equal(got[0], 4);
    assert_int_equal(got[1], 4);
    close_two(&b, p);
}

/* ---- silence and restart --------------------------------------------------------------------------- */

static void soon_lost(struct epc_cfg_media *cfg)
{
    cfg->lost_after_ms = 100;
}

static void set_up_call(struct bench *b, struct peer *p)
{
    bench_ctx(b, "call@test");
    bench_offer(b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request r = next_of(p, "offer");
    peer_send_sdp(p, &r, sdp_core_answer_av);
    drop(r);
    bench_answer(b, sdp_core_answer, 2);
    r = next_of(p, "answer");
    peer_send_sdp(p, &r, sdp_wic_answer_hold);
    drop(r);
    bench_wait_done(b, 2);
}

static void calls_of_a_silent_one_are_lost(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    peer_open(&p);
    bench_start_with(&b, (unsigned[]){p.port, 0}, 400, 0, soon_lost);
    b.release_in_event = true;
    set_up_call(&b, &p);
    char id[64];
    snprintf(id, sizeof id, "%s", b.view.context);
    bench_wait_events(&b, 1);
    assert_int_equal(b.event[0].kind, EPC_GW_EV_LOST);
    bench_wait_no_contexts(&b);
    /* Only the way to it was cut: the call is still there, and goes as soon as it answers. */
    struct peer_request del;
    for (;;) {
        del = peer_next(&p);
        if (strcmp(peer_get(&del, "command"), "delete") == 0)
            break;
        drop(del); /* what was asked in vain */
    }
    assert_string_equal(peer_get(&del, "call-id"), id);
    ok(&p, del);
    bench_stop(&b);
    peer_close(&p);
}

static void calls_may_be_kept(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    peer_open(&p);
    bench_start(&b, (unsigned[]){p.port, 0}, 400, 0);
    set_up_call(&b, &p);
    bench_wait_count(&b, EPC_C_GW_TIMEOUTS, 2);
    assert_int_equal(bench_event_count(&b), 0);
    bench_stop(&b);
    peer_close(&p);
}

static void ask_fast(struct bench *b, void *arg)
{
    struct rtp_gw *gw = EPC_CONTAINER(b->gw, struct rtp_gw, base);
    (void)arg;
    gw->ask_ms = 20;
    gw->often_ms = gw->seldom_ms = 1000000;
}

/* Its time since the start goes back: each call is asked for, though no look at it was due. */
static void a_restart_is_noticed(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    peer_open(&p);
    p.statistics = "{\"result\":\"ok\",\"statistics\":{\"totalstatistics\":{\"uptime\":\"77\"},"
                   "\"currentstatistics\":{\"sessionstotal\":3}}}";
    bench_start(&b, (unsigned[]){p.port, 0}, 10000, 0);
    bench_run(&b, ask_fast, NULL);
    set_up_call(&b, &p);
    while (p.n_statistics < 2)
        peer_expect_nothing(&p, 20);
    char *lines = bench_lines(&b);
    assert_non_null(strstr(lines, "contexts=1 sessions=3 uptime_s=77"));
    free(lines);
    p.statistics = "{\"result\":\"ok\",\"statistics\":{\"totalstatistics\":{\"uptime\":\"1\"}}}";
    struct peer_request r = next_of(&p, "query");
    b.release_in_event = true;
    peer_send(&p, &r, "{\"result\":\"error\",\"error-reason\":\"Unknown call-id\"}");
    drop(r);
    bench_wait_events(&b, 1);
    assert_int_equal(b.event[0].kind, EPC_GW_EV_LOST);
    bench_stop(&b);
    peer_close(&p);
}

static void odd_statistics_do_no_harm(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "{\"result\":\"ok\",\"statistics\":7}",
        "{\"result\":\"ok\",\"statistics\":{\"totalstatistics\":[],\"currentstatistics\":\"x\"}}",
        "{\"result\":\"ok\",\"statistics\":{\"totalstatistics\":{\"uptime\":\"-9\"}}}",
        "{\"result\":\"ok\",\"statistics\":{\"totalstatistics\":{\"uptime\":\"99999999999999999999999\"}}}",
        "{\"result\":\"error\"}",
    };
    struct bench b;
    struct peer p;
    peer_open(&p);
    bench_start(&b, (unsigned[]){p.port, 0}, 10000, 0);
    for (size_t i = 0; i < EPC_ARRAY_LEN(odd); i++) {
        unsigned n = p.n_statistics;
        p.statistics = odd[i];
        bench_run(&b, ask_fast, NULL);
        while (p.n_statistics == n)
            peer_expect_nothing(&p, 10);
    }
    assert_int_equal(bench_event_count(&b), 0);
    bench_stop(&b);
    peer_close(&p);
}

int main(void)
{
    epc_log_setup(EPC_LOG_ERROR, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_one_loses_the_new_call),
        cmocka_unit_test(a_full_one_passes_the_call_on),
        cmocka_unit_test(the_least_busy_gets_the_call),
        cmocka_unit_test(calls_of_a_silent_one_are_lost),
        cmocka_unit_test(calls_may_be_kept),
        cmocka_unit_test(a_restart_is_noticed),
        cmocka_unit_test(odd_statistics_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
