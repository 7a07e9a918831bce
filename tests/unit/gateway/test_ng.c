/* The NG client against a peer that loses, repeats and garbles. */
#include "bench.h"
#include "peer.h"

#include <string.h>

static void open_one(struct bench *b, struct peer *p, uint32_t timeout_ms)
{
    peer_open(p);
    bench_start(b, (unsigned[]){p->port, 0}, timeout_ms, 0);
    bench_ctx(b, "call@test");
}

static void close_one(struct bench *b, struct peer *p)
{
    bench_stop(b);
    peer_close(p);
}

static void a_lost_reply_is_asked_for_again(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_one(&b, &p, 10000);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request first = peer_next(&p), again = peer_next(&p), third = peer_next(&p);
    assert_string_equal(again.cookie, first.cookie);
    assert_string_equal(third.cookie, first.cookie);
    assert_true(json_equal(again.json, first.json));
    peer_send_sdp(&p, &third, sdp_core_answer_av);
    bench_wait_done(&b, 1);
    assert_int_equal(b.done[0].err, EPC_OK);
    assert_int_equal(b.done[0].tag, 1);
    peer_request_free(&first);
    peer_request_free(&again);
    peer_request_free(&third);
    close_one(&b, &p);
}

static void a_repeated_reply_counts_once(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_one(&b, &p, 10000);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request r = peer_next(&p);
    for (int i = 0; i < 3; i++)
        peer_send_sdp(&p, &r, sdp_core_answer_av);
    bench_wait_done(&b, 1);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_restart, 2);
    struct peer_request second = peer_next(&p);
    assert_string_not_equal(second.cookie, r.cookie);
    peer_send_sdp(&p, &r, sdp_core_answer_av); /* late once more, while another is open */
    peer_send_sdp(&p, &second, sdp_core_answer_av);
    bench_wait_done(&b, 2);
    assert_int_equal(b.done[1].tag, 2);
    assert_int_equal(b.n_done, 2);
    assert_int_equal(bench_count(&b, EPC_C_GW_MALFORMED), 0);
    peer_request_free(&r);
    peer_request_free(&second);
    close_one(&b, &p);
}

static void garbage_is_counted_and_passed_over(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_one(&b, &p, 10000);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request r = peer_next(&p);
    char half[128], deep[20000];
    snprintf(half, sizeof half, "%s {\"result\":\"ok\",\"sdp\":\"v=0", r.cookie);
    size_t n = (size_t)snprintf(deep, sizeof deep, "%s ", r.cookie);
    memset(deep + n, '[', sizeof deep - n);
    static const char zero[] = "\0\0\0 {}", long_cookie[] = "01234567890123456789012345678901234567890123456 {}";
    peer_send_raw(&p, &r, "x", 1);
    peer_send_raw(&p, &r, half, strlen(half));
    peer_send_raw(&p, &r, deep, sizeof deep);
    peer_send_raw(&p, &r, " {}", 3);
    peer_send_raw(&p, &r, long_cookie, strlen(long_cookie));
    peer_send(&p, &r, "[]");
    peer_send(&p, &r, "\"ok\"");
    peer_send(&p, &r, "{\"result\":\"ok\",\"result\":\"error\"}");
    bench_wait_count(&b, EPC_C_GW_MALFORMED, 8);
    peer_send_raw(&p, &r, zero, sizeof zero - 1); /* well-formed, but nobody's */
    static const char unknown[] = "unknown_1 {\"result\":\"ok\"}";
    peer_send_raw(&p, &r, unknown, sizeof unknown - 1);
    peer_send_sdp(&p, &r, sdp_core_answer_av);
    bench_wait_done(&b, 1);
    assert_int_equal(b.done[0].err, EPC_OK);
    assert_int_equal(bench_count(&b, EPC_C_GW_MALFORMED), 8);
    peer_request_free(&r);
    close_one(&b, &p);
}

static void silence_ends(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_one(&b, &p, 600);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    bench_wait_done(&b, 1);
    assert_int_equal(b.done[0].err, EPC_ETIMEDOUT);
    assert_int_equal(b.done[0].cause.sip_status, 503);
    assert_true(b.done[0].cause.retry_after_s > 0);
    assert_true(bench_count(&b, EPC_C_GW_TIMEOUTS) >= 1);
    close_one(&b, &p);
}

/* A port where nobody listens: ICMP errors must do no more than silence does. */
static void nobody_listens(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    peer_open(&p);
    unsigned port = p.port;
    peer_close(&p);
    bench_start(&b, (unsigned[]){port, 0}, 600, 0);
    bench_ctx(&b, "call@test");
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    bench_wait_done(&b, 1);
    assert_int_equal(b.done[0].err, EPC_ETIMEDOUT);
    bench_stop(&b);
}

static void new_contexts_go_where_an_answer_comes_from(void **state)
{
    (void)state;
    struct bench b;
    struct peer p[2];
    peer_open(&p[0]);
    peer_open(&p[1]);
    p[0].mute = true;
    bench_start(&b, (unsigned[]){p[0].port, p[1].port, 0}, 1500, 0);
    peer_wait_pings(&p[1], 1);
    bench_wait_count(&b, EPC_C_GW_TIMEOUTS, 1);
    for (int i = 0; i < 8; i++) {
        bench_ctx(&b, "call@test");
        bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, i);
        struct peer_request r = peer_next(&p[1]);
        assert_string_equal(peer_get(&r, "command"), "offer");
        peer_send_sdp(&p[1], &r, sdp_core_answer_av);
        bench_wait_done(&b, i + 1);
        assert_int_equal(b.done[i].err, EPC_OK);
        peer_request_free(&r);
        bench_release(&b);
        r = peer_next(&p[1]); /* a context stays with its rtpengine */
        assert_string_equal(peer_get(&r, "command"), "delete");
        peer_send(&p[1], &r, "{\"result\":\"ok\"}");
        peer_request_free(&r);
    }
    bench_stop(&b);
    peer_close(&p[0]);
    peer_close(&p[1]);
}

static void several_share_the_calls(void **state)
{
    (void)state;
    struct bench b;
    struct peer p[2];
    bool used[2] = {false, false};
    peer_open(&p[0]);
    peer_open(&p[1]);
    bench_start(&b, (unsigned[]){p[0].port, p[1].port, 0}, 10000, 0);
    for (int i = 0; i < 200 && !(used[0] && used[1]); i++) {
        bench_ctx(&b, "call@test");
        bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, i);
        bench_release(&b);
        for (int k = 0; k < 2; k++) {
            struct sockaddr_in from;
            char c[4096];
            socklen_t n = sizeof from;
            ssize_t got;
            while ((got = recvfrom(p[k].fd, c, sizeof c, MSG_DONTWAIT, (struct sockaddr *)&from, &n)) > 0)
                used[k] = used[k] || memmem(c, (size_t)got, "7:command5:offer", 16);
        }
    }
    assert_true(used[0] && used[1]);
    bench_stop(&b);
    peer_close(&p[0]);
    peer_close(&p[1]);
}

int main(void)
{
    epc_log_setup(EPC_LOG_ERROR, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_reply_is_asked_for_again),
        cmocka_unit_test(a_repeated_reply_counts_once),
        cmocka_unit_test(garbage_is_counted_and_passed_over),
        cmocka_unit_test(silence_ends),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(new_contexts_go_where_an_answer_comes_from),
        cmocka_unit_test(several_share_the_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
