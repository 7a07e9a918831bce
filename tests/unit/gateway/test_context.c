/* Contexts: what is asked of rtpengine, in which order, and how a context ends. */
#include "bench.h"
#include "peer.h"

#include <string.h>

static void open_one(struct bench *b, struct peer *p)
{
    peer_open(p);
    bench_start(b, (unsigned[]){p->port, 0}, 10000, 0);
    bench_ctx(b, "call@test");
}

static void close_one(struct bench *b, struct peer *p)
{
    bench_stop(b);
    peer_close(p);
}

/* Take the next request, check its command, answer it with @p sdp (NULL: plain ok). */
static struct peer_request serve(struct peer *p, const char *command, const char *sdp)
{
    struct peer_request r = peer_next(p);
    assert_string_equal(peer_get(&r, "command"), command);
    if (sdp)
        peer_send_sdp(p, &r, sdp);
    else
        peer_send(p, &r, "{\"result\":\"ok\"}");
    return r;
}

static void drop(struct peer_request r)
{
    peer_request_free(&r);
}

static void offer_from_the_wic(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_one(&b, &p);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request offer = serve(&p, "offer", sdp_core_answer_av);
    assert_string_equal(peer_get(&offer, "transport-protocol"), "RTP/AVP");
    assert_string_equal(peer_get(&offer, "ICE"), "remove");
    assert_true(peer_list_has(&offer, "rtcp-mux", "demux"));
    assert_true(peer_list_has(&offer, "SDES", "off"));
    assert_string_equal(json_string_value(json_array_get(json_object_get(offer.json, "direction"), 0)), "access");
    assert_string_equal(json_string_value(json_array_get(json_object_get(offer.json, "direction"), 1)), "core");
    assert_null(json_object_get(offer.json, "to-tag"));
    assert_null(strstr(peer_get(&offer, "call-id"), "call@test")); /* of our own making */
    assert_non_null(strstr(peer_get(&offer, "sdp"), "m=audio 9 UDP/TLS/RTP/SAVPF"));
    assert_non_null(strstr(peer_get(&offer, "sdp"), "a=ice-ufrag:KKRA"));
    bench_wait_done(&b, 1);
    assert_non_null(strstr(b.done[0].local, "m=audio 5004 RTP/AVP"));
    char text[EPC_ADDR_LEN];
    assert_int_equal(b.view.n_streams, 2);
    assert_string_equal(b.view.context, peer_get(&offer, "call-id"));
    assert_string_equal(epc_addr_text(&b.view.stream[0].core, text), "127.0.0.9:5004");
    assert_int_equal(b.view.stream[0].access.len, 0);
    assert_int_equal(b.view.stream[0].ice, EPC_GW_ICE_NEW);
    assert_int_equal(b.view.ice_mode, 1);

    bench_answer(&b, sdp_core_answer, 2);
    struct peer_request answer = serve(&p, "answer", sdp_wic_answer_hold);
    assert_string_equal(peer_get(&answer, "call-id"), peer_get(&offer, "call-id"));
    assert_string_equal(peer_get(&answer, "from-tag"), peer_get(&offer, "from-tag"));
    assert_string_not_equal(peer_get(&answer, "to-tag"), peer_get(&answer, "from-tag"));
    assert_string_not_equal(peer_get(&answer, "to-tag"), "");
    assert_string_equal(peer_get(&answer, "DTLS"), "passive");
    bench_wait_done(&b, 2);
    assert_int_equal(b.done[1].tag, 2);
    assert_int_equal(b.done[1].err, EPC_OK);
    assert_int_equal(b.view.stream[0].ice, EPC_GW_ICE_CHECKING);
    assert_true(b.view.stream[0].access.len != 0);

    /* The other side offers again: the tags change places. */
    bench_offer(&b, EPC_GW_CORE, sdp_core_reoffer, 3);
    struct peer_request back = serve(&p, "offer", sdp_wic_answer_hold);
    assert_string_equal(peer_get(&back, "from-tag"), peer_get(&answer, "to-tag"));
    assert_string_equal(peer_get(&back, "to-tag"), peer_get(&answer, "from-tag"));
    assert_string_equal(peer_get(&back, "transport-protocol"), "UDP/TLS/RTP/SAVPF");
    assert_string_equal(peer_get(&back, "ICE"), "force");
    assert_true(peer_list_has(&back, "rtcp-mux", "require"));
    bench_wait_done(&b, 3);
    drop(offer);
    drop(answer);
    drop(back);
    close_one(&b, &p);
}

/* rtpengine wants an address for every m-line, those with port 0 included. */
static void lines_that_are_off_have_an_address(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_one(&b, &p);
    bench_offer(&b, EPC_GW_CORE, sdp_core_reoffer, 1);
    struct peer_request r = serve(&p, "offer", sdp_wic_answer_hold);
    const char *sdp = peer_get(&r, "sdp"), *c = strstr(sdp, "\r\nc=IN IP4 192.0.0.8\r\nt=0 0\r\nm=");
    assert_non_null(c);
    assert_non_null(strstr(sdp, "m=video 0 "));
    bench_wait_done(&b, 1);
    drop(r);
    close_one(&b, &p);
}

static void one_at_a_time(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_one(&b, &p);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    bench_answer(&b, sdp_core_answer, 2);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_restart, 3);
    struct peer_request first = peer_next(&p);
    struct peer_request again = peer_next(&p); /* the repetition, not the second operation */
    assert_string_equal(again.cookie, first.cookie);
    peer_send_sdp(&p, &first, sdp_core_answer_av);
    drop(first);
    drop(again);
    drop(serve(&p, "answer", sdp_wic_answer_hold));
    drop(serve(&p, "offer", sdp_core_answer_av));
    bench_wait_done(&b, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(b.done[i].err, EPC_OK);
        assert_int_equal(b.done[i].tag, i + 1);
    }
    close_one(&b, &p);
}

static void refusals_become_causes(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        int status;
        bool retry;
    } t[] = {
        {"{\"result\":\"error\",\"error-reason\":\"Failed to parse SDP\"}", 488, false},
        {"{\"result\":\"error\",\"error-reason\":\"Incomplete SDP specification\"}", 488, false},
        {"{\"result\":\"error\",\"error-reason\":\"Ran out of ports\"}", 503, true},
        {"{\"result\":\"error\",\"error-reason\":\"Parallel session limit reached\"}", 503, true},
        {"{\"result\":\"error\",\"error-reason\":\"Load limit exceeded\"}", 503, true},
        {"{\"result\":\"error\",\"error-reason\":\"Unknown call-id\"}", 503, false},
        {"{\"result\":\"error\",\"error-reason\":\"Unrecognized command\"}", 500, false},
        {"{\"result\":\"error\",\"error-reason\":7}", 500, false},
        {"{\"result\":\"error\"}", 500, false},
        {"{\"result\":\"ok\"}", 500, false},
        {"{\"result\":7,\"sdp\":\"\"}", 500, false},
        {"{\"sdp\":\"v=0\"}", 500, false},
        {"{\"result\":\"ok\",\"sdp\":\"no description\"}", 500, false},
        {"{\"result\":\"ok\",\"sdp\":[\"v=0\"]}", 500, false},
        /* one m-line where two were asked for */
        {"{\"result\":\"ok\",\"sdp\":\"v=0\\r\\no=- 1 1 IN IP4 1.1.1.1\\r\\ns=-\\r\\nt=0 0\\r\\n"
         "m=audio 5 RTP/AVP 0\\r\\nc=IN IP4 1.1.1.1\\r\\n\"}",
         500, false},
    };
    struct bench b;
    struct peer p;
    open_one(&b, &p);
    for (size_t i = 0; i < EPC_ARRAY_LEN(t); i++) {
        bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, (int)i);
        struct peer_request r = peer_next(&p);
        peer_send(&p, &r, t[i].reply);
        bench_wait_done(&b, (int)i + 1);
        assert_true(b.done[i].err != EPC_OK);
        assert_int_equal(b.done[i].cause.sip_status, t[i].status);
        assert_true((b.done[i].cause.retry_after_s > 0) == t[i].retry);
        drop(r);
    }
    assert_true(bench_count(&b, EPC_C_GW_ERRORS) >= 9);
    close_one(&b, &p);
}

static void restore_sends_the_committed_exchange(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_one(&b, &p);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request offer = serve(&p, "offer", sdp_core_answer_av);
    bench_answer(&b, sdp_core_answer, 2);
    drop(serve(&p, "answer", sdp_wic_answer_hold));
    bench_offer(&b, EPC_GW_CORE, sdp_core_reoffer, 3); /* and the WIC says no */
    drop(serve(&p, "offer", sdp_wic_answer_hold));
    bench_wait_done(&b, 3);
    bench_restore(&b, EPC_GW_ACCESS, sdp_wic_offer, sdp_core_answer);
    struct peer_request o = serve(&p, "offer", sdp_core_answer_av);
    struct peer_request a = serve(&p, "answer", sdp_wic_answer_hold);
    assert_string_equal(peer_get(&o, "from-tag"), peer_get(&offer, "from-tag"));
    assert_string_equal(peer_get(&a, "from-tag"), peer_get(&offer, "from-tag"));
    assert_string_equal(peer_get(&o, "sdp"), peer_get(&offer, "sdp"));
    assert_int_equal(b.n_done, 3);
    drop(offer);
    drop(o);
    drop(a);
    close_one(&b, &p);
}

/* ---- the end of a context ---------------------------------------------------------------------------- */

static void release_is_repeated_until_confirmed(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_one(&b, &p);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request offer = serve(&p, "offer", sdp_core_answer_av);
    bench_wait_done(&b, 1);
    bench_release(&b);
    struct peer_request del = peer_next(&p), again = peer_next(&p);
    assert_string_equal(peer_get(&del, "command"), "delete");
    assert_string_equal(peer_get(&del, "call-id"), peer_get(&offer, "call-id"));
    assert_string_equal(again.cookie, del.cookie);
    assert_int_equal(bench_count(&b, EPC_C_GW_CONTEXTS), 1);
    peer_send(&p, &again, "{\"result\":\"ok\"}");
    bench_wait_no_contexts(&b);
    drop(offer);
    drop(del);
    drop(again);
    close_one(&b, &p);
}

static void release_with_an_operation_open(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_one(&b, &p);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    bench_answer(&b, sdp_core_answer, 2); /* waits, and is dropped */
    struct peer_request offer = peer_next(&p);
    bench_release(&b);
    peer_send_sdp(&p, &offer, sdp_core_answer_av);
    struct peer_request del = peer_next(&p);
    while (strcmp(peer_get(&del, "command"), "offer") == 0) { /* repetitions that were under way */
        drop(del);
        del = peer_next(&p);
    }
    assert_string_equal(peer_get(&del, "command"), "delete");
    peer_send(&p, &del, "{\"result\":\"ok\"}");
    bench_wait_count(&b, EPC_C_GW_REPLIES, 2);
    assert_int_equal(b.n_done, 0);
    drop(offer);
    drop(del);
    close_one(&b, &p);
}

static void release_before_anything(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_one(&b, &p);
    bench_release(&b);
    peer_expect_nothing(&p, 100);
    assert_int_equal(bench_count(&b, EPC_C_GW_CONTEXTS), 0);
    close_one(&b, &p);
}

static void release_inside_done(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_one(&b, &p);
    b.release_in_done = true;
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    drop(serve(&p, "offer", sdp_core_answer_av));
    drop(serve(&p, "delete", NULL));
    bench_wait_done(&b, 1);
    close_one(&b, &p);
}

static void release_while_the_gateway_is_silent(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    peer_open(&p);
    bench_start(&b, (unsigned[]){p.port, 0}, 400, 0);
    bench_ctx(&b, "call@test");
    b.release_in_done = true;
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    bench_wait_done(&b, 1);
    bench_wait_no_contexts(&b);
    close_one(&b, &p);
}

/* Going down with everything open: each call is deleted once, nothing is left behind. */
static void destroy_with_operations_open(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_one(&b, &p);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    bench_answer(&b, sdp_core_answer, 2);
    struct peer_request offer = peer_next(&p);
    bench_destroy_gw(&b);
    struct peer_request del = peer_next(&p);
    while (strcmp(peer_get(&del, "command"), "offer") == 0) {
        drop(del);
        del = peer_next(&p);
    }
    assert_string_equal(peer_get(&del, "command"), "delete");
    assert_string_equal(peer_get(&del, "call-id"), peer_get(&offer, "call-id"));
    peer_send_sdp(&p, &offer, sdp_core_answer_av); /* into the void */
    drop(offer);
    drop(del);
    close_one(&b, &p);
    assert_int_equal(b.n_done, 0);
}

static void creation_wants_sense(void **state)
{
    (void)state;
    struct epc_gw *gw = NULL;
    struct epc_cfg_media cfg = {.gateway = (enum epc_gateway_kind)7};
    assert_int_equal(epc_gw_create(&gw, (struct epc_shard *)&cfg, &cfg, NULL), EPC_EINVAL);
    assert_int_equal(epc_gw_create(NULL, NULL, &cfg, NULL), EPC_EINVAL);
    assert_null(gw);
    epc_gw_destroy(NULL);
    epc_gw_release(NULL);
}

int main(void)
{
    epc_log_setup(EPC_LOG_ERROR, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offer_from_the_wic),
        cmocka_unit_test(lines_that_are_off_have_an_address),
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(refusals_become_causes),
        cmocka_unit_test(restore_sends_the_committed_exchange),
        cmocka_unit_test(release_is_repeated_until_confirmed),
        cmocka_unit_test(release_with_an_operation_open),
        cmocka_unit_test(release_before_anything),
        cmocka_unit_test(release_inside_done),
        cmocka_unit_test(release_while_the_gateway_is_silent),
        cmocka_unit_test(destroy_with_operations_open),
        cmocka_unit_test(creation_wants_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
