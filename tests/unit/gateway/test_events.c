/* Events made of what `query` shows, and the search for calls that an earlier run left. */
#include "bench.h"
#include "gateway/rtpengine/rtpengine_priv.h"
#include "peer.h"

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

static void poll_fast(struct bench *b, void *arg)
{
    struct rtp_gw *gw = EPC_CONTAINER(b->gw, struct rtp_gw, base);
    (void)arg;
    gw->often_ms = 20;
    gw->seldom_ms = 40;
}

/* A context with audio and refused video; @p tag gets the access side's tag. */
static void set_up_call(struct bench *b, struct peer *p, char tag[64])
{
    peer_open(p);
    bench_start(b, (unsigned[]){p->port, 0}, 10000, 0);
    bench_run(b, poll_fast, NULL);
    bench_ctx(b, "call@test");
    bench_offer(b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request r = next_of(p, "offer");
    snprintf(tag, 64, "%s", peer_get(&r, "from-tag"));
    peer_send_sdp(p, &r, sdp_core_answer_av);
    drop(r);
    bench_answer(b, sdp_core_answer, 2);
    r = next_of(p, "answer");
    peer_send_sdp(p, &r, sdp_wic_answer_hold);
    drop(r);
    bench_wait_done(b, 2);
}

static void answer_query(struct peer *p, const char *tag, const char *medias)
{
    struct epc_buf b = {0};
    struct peer_request r = next_of(p, "query");
    epc_buf_printf(&b, "{\"result\":\"ok\",\"tags\":{\"%s\":{\"medias\":%s},\"other\":{\"medias\":[]}}}", tag,
                   medias);
    assert_false(b.failed);
    peer_send(p, &r, b.p);
    epc_buf_free(&b);
    drop(r);
}

#define STREAM(port, packets)                                                                        \
    "{\"streams\":[{\"local port\":40000,\"crypto suite\":\"AEAD_AES_128_GCM\",\"endpoint\":{\"family\":\"IPv4\",\"address\":"             \
    "\"192.0.2.7\",\"port\":" port "},\"stats\":{\"packets\":" packets "}}]}"
#define OFF "{\"streams\":[{\"endpoint\":{\"address\":\"127.0.0.1\",\"port\":55908},\"stats\":{\"packets\":9}}]}"

static void an_endpoint_is_told_once_checks_came(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    char tag[64], text[EPC_ADDR_LEN];
    set_up_call(&b, &p, tag);
    answer_query(&p, tag, "[" STREAM("9", "0") "," OFF "]"); /* as told: no check has come */
    answer_query(&p, tag, "[" STREAM("5000", "0") "," OFF "]");
    bench_wait_events(&b, 1);
    assert_int_equal(b.event[0].kind, EPC_GW_EV_LEARNED);
    assert_int_equal(b.event[0].stream, 0);
    assert_string_equal(epc_addr_text(&b.event[0].addr, text), "192.0.2.7:5000");
    answer_query(&p, tag, "[" STREAM("5000", "900") "," OFF "]"); /* nothing new */
    answer_query(&p, tag, "[" STREAM("6000", "999") "," OFF "]"); /* moved */
    bench_wait_events(&b, 2);
    assert_string_equal(epc_addr_text(&b.event[1].addr, text), "192.0.2.7:6000");
    assert_string_equal(epc_addr_text(&b.view.stream[0].learned, text), "192.0.2.7:6000");
    assert_int_equal(b.view.stream[0].ice, EPC_GW_ICE_CONNECTED);
    assert_int_equal(b.view.stream[0].srtp_profile, 7);
    assert_int_equal(bench_event_count(&b), 2);
    bench_stop(&b);
    peer_close(&p);
}

/* ---- what fails ------------------------------------------------------------------------------------- */

#define MEDIA(port, packets, flags, more)                                                            \
    "{\"flags\":[" flags "],\"streams\":[{\"local port\":40000," more "\"endpoint\":{\"address\":\"192.0.2.7\","   \
    "\"port\":" port "},\"stats\":{\"packets\":" packets "}}]}"
#define DTLS "\"send\",\"recv\",\"DTLS-SRTP\""
#define SUITE "\"crypto suite\":\"AES_CM_128_HMAC_SHA1_80\","

static void impatient(struct bench *b, void *arg)
{
    (void)arg;
    b->cfg.ice_timeout_ms = 60;
    b->cfg.dtls_timeout_ms = 60;
}

/* Serves the same picture until @p n events are there. */
static void show(struct bench *b, struct peer *p, const char *tag, const char *medias, unsigned n)
{
    while (bench_event_count(b) < n)
        answer_query(p, tag, medias);
}

static void no_candidate_pair(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    char tag[64];
    set_up_call(&b, &p, tag);
    bench_run(&b, impatient, NULL);
    show(&b, &p, tag, "[" MEDIA("9", "0", DTLS, "") "," OFF "]", 2); /* and again, while it lasts */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(b.event[i].kind, EPC_GW_EV_FAILED);
        assert_int_equal(b.event[i].failure, EPC_GW_FAIL_ICE);
        assert_int_equal(b.event[i].stream, 0);
    }
    bench_stop(&b);
    peer_close(&p);
}

static void no_dtls_session(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    char tag[64];
    set_up_call(&b, &p, tag);
    bench_run(&b, impatient, NULL);
    show(&b, &p, tag, "[" MEDIA("5000", "0", DTLS, "") "," OFF "]", 2);
    assert_int_equal(b.event[0].kind, EPC_GW_EV_LEARNED);
    assert_int_equal(b.event[1].kind, EPC_GW_EV_FAILED);
    assert_int_equal(b.event[1].failure, EPC_GW_FAIL_DTLS);
    /* It comes after all, and all is well. */
    for (int i = 0; i < 5; i++)
        answer_query(&p, tag, "[" MEDIA("5000", "0", DTLS, SUITE) "," OFF "]");
    unsigned n = bench_event_count(&b);
    for (int i = 0; i < 5; i++)
        answer_query(&p, tag, "[" MEDIA("5000", "0", DTLS, SUITE) "," OFF "]");
    assert_int_equal(bench_event_count(&b), n);
    bench_stop(&b);
    peer_close(&p);
}

static void quiet(struct bench *b, void *arg)
{
    (void)arg;
    b->cfg.inactivity_ms = 80;
}

static void no_packets_from_either_side(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    char tag[64];
    static const char *const moving[] = {"[" MEDIA("5000", "1", DTLS, SUITE) "]", "[" MEDIA("5000", "2", DTLS, SUITE) "]"};
    set_up_call(&b, &p, tag);
    bench_run(&b, quiet, NULL);
    uint64_t until = epc_now_ms() + 300;
    for (int i = 0; epc_now_ms() < until; i++)
        answer_query(&p, tag, moving[i % 2]);
    assert_int_equal(bench_event_count(&b), 1); /* LEARNED */
    until = epc_now_ms() + 300;                 /* both sides hold */
    while (epc_now_ms() < until)
        answer_query(&p, tag, "[" MEDIA("5000", "2", "\"DTLS-SRTP\"", SUITE) "]");
    assert_int_equal(bench_event_count(&b), 1);
    show(&b, &p, tag, moving[0], 2);
    assert_int_equal(b.event[1].kind, EPC_GW_EV_INACTIVE);
    bench_stop(&b);
    peer_close(&p);
}

static void odd_statistics_tell_nothing(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "[]", "{}", "7", "[7,[]]", "[{\"streams\":{}}]", "[{\"streams\":[{\"local port\":\"x\"}]}]",
        "[" STREAM("70000", "1") "]", "[" STREAM("-1", "1") "]", "[" STREAM("\"5\"", "1") "]",
    };
    struct bench b;
    struct peer p;
    char tag[64];
    set_up_call(&b, &p, tag);
    for (size_t i = 0; i < EPC_ARRAY_LEN(odd); i++)
        answer_query(&p, tag, odd[i]);
    answer_query(&p, "nobody", "[" STREAM("5000", "3") "]");
    bench_wait_count(&b, EPC_C_GW_REPLIES, (int64_t)EPC_ARRAY_LEN(odd) + 3);
    assert_int_equal(bench_event_count(&b), 0);
    bench_stop(&b);
    peer_close(&p);
}

static void lose_call(bool release)
{
    struct bench b;
    struct peer p;
    char tag[64];
    set_up_call(&b, &p, tag);
    b.release_in_event = release;
    struct peer_request r = next_of(&p, "query");
    peer_send(&p, &r, "{\"result\":\"error\",\"error-reason\":\"Unknown call-id\"}");
    drop(r);
    bench_wait_events(&b, 1);
    assert_int_equal(b.event[0].kind, EPC_GW_EV_LOST);
    if (release) {
        bench_wait_no_contexts(&b);
        peer_expect_nothing(&p, 50); /* nothing to delete */
    }
    bench_stop(&b);
    peer_close(&p);
}

static void a_lost_call_is_told(void **state)
{
    (void)state;
    lose_call(false);
}

static void release_inside_lost(void **state)
{
    (void)state;
    lose_call(true);
}

static void release_inside_learned(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    char tag[64];
    set_up_call(&b, &p, tag);
    b.release_in_event = true;
    answer_query(&p, tag, "[" STREAM("5000", "1") "," STREAM("5002", "1") "]");
    struct peer_request r = next_of(&p, "delete");
    peer_send(&p, &r, "{\"result\":\"ok\"}");
    drop(r);
    bench_wait_no_contexts(&b);
    assert_int_equal(bench_event_count(&b), 1);
    bench_stop(&b);
    peer_close(&p);
}

/* An operation that comes while a query is open follows it. */
static void operations_wait_for_a_query(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    char tag[64];
    set_up_call(&b, &p, tag);
    struct peer_request q = next_of(&p, "query");
    bench_offer(&b, EPC_GW_CORE, sdp_core_reoffer, 3);
    peer_send(&p, &q, "{\"result\":\"ok\"}");
    struct peer_request o = peer_next(&p);
    while (strcmp(peer_get(&o, "command"), "query") == 0) {
        drop(o);
        o = peer_next(&p);
    }
    assert_string_equal(peer_get(&o, "command"), "offer");
    peer_send_sdp(&p, &o, sdp_wic_answer_hold);
    bench_wait_done(&b, 3);
    drop(q);
    drop(o);
    bench_stop(&b);
    peer_close(&p);
}

/* ---- what an earlier run left -------------------------------------------------------------------------- */

static void leftovers_of_this_node_are_deleted(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    peer_open(&p);
    bench_start(&b, (unsigned[]){p.port, 0}, 10000, 0xabc);
    struct peer_request r = next_of(&p, "list");
    bench_ctx(&b, "call@test"); /* of this run, and in the list already */
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request o = next_of(&p, "offer");
    struct epc_buf list = {0};
    epc_buf_printf(&list,
                   "{\"result\":\"ok\",\"calls\":[\"epcscf-00000abc-00000000-01\",\"%s\",7,"
                   "\"epcscf-00000abd-00000000-02\",\"someone-else\",\"epcscf-00000abc-00000000-03\"]}",
                   peer_get(&o, "call-id"));
    peer_send(&p, &r, list.p);
    peer_send_sdp(&p, &o, sdp_core_answer_av);
    drop(r);
    static const char *const want[] = {"epcscf-00000abc-00000000-01", "epcscf-00000abc-00000000-03"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(want); i++) {
        r = next_of(&p, "delete");
        assert_string_equal(peer_get(&r, "call-id"), want[i]);
        peer_send(&p, &r, "{\"result\":\"ok\"}");
        drop(r);
    }
    peer_expect_nothing(&p, 100);
    bench_wait_done(&b, 1);
    drop(o);
    epc_buf_free(&list);
    bench_stop(&b);
    peer_close(&p);
}

static void the_search_may_be_cut_short(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    peer_open(&p);
    bench_start(&b, (unsigned[]){p.port, 0}, 10000, 0xabc);
    struct peer_request r = next_of(&p, "list");
    peer_send(&p, &r, "{\"result\":\"ok\",\"calls\":[\"epcscf-00000abc-00000000-01\"]}");
    drop(r);
    drop(next_of(&p, "delete"));
    bench_stop(&b);
    bench_start(&b, (unsigned[]){p.port, 0}, 300, 0xabc);
    bench_wait_count(&b, EPC_C_GW_TIMEOUTS, 1); /* the list is not answered */
    bench_stop(&b);
    peer_close(&p);
}

int main(void)
{
    epc_log_setup(EPC_LOG_ERROR, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endpoint_is_told_once_checks_came),
        cmocka_unit_test(no_candidate_pair),
        cmocka_unit_test(no_dtls_session),
        cmocka_unit_test(no_packets_from_either_side),
        cmocka_unit_test(odd_statistics_tell_nothing),
        cmocka_unit_test(a_lost_call_is_told),
        cmocka_unit_test(release_inside_lost),
        cmocka_unit_test(release_inside_learned),
        cmocka_unit_test(operations_wait_for_a_query),
        cmocka_unit_test(leftovers_of_this_node_are_deleted),
        cmocka_unit_test(the_search_may_be_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
