/* A connection handed over between two shards, with a real TLS client. */
#include "ws_client.h"
#include "ws_server.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ORIGIN "https://wwsf.example.com"

static struct server s[2];

static void start_two(void)
{
    for (unsigned i = 0; i < 2; i++)
        server_create(&s[i], i);
    for (unsigned i = 0; i < 2; i++)
        server_start(&s[i], i);
}

static int setup(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        server_defaults(&s[i]);
    s[0].peer = &s[1];
    s[1].peer = &s[0];
    return 0;
}

static void stop_two(unsigned first)
{
    server_halt(&s[first]);
    server_halt(&s[1 - first]);
    server_free(&s[0]);
    server_free(&s[1]);
    assert_int_equal(epc_counter_read(EPC_C_WSS_FLOWS), 0);
}

static void connect_and_move(struct ws *c)
{
    char buf[64];
    size_t n;
    int opened = s[1].opened, closed = s[0].closed;
    assert_int_equal(ws_dial(c, s[0].port, 0, NULL), 0);
    assert_int_equal(ws_handshake(c, "/sip", ORIGIN, "sip"), 101);
    assert_true(ws_frame(c, WS_FIN | WS_TEXT, "moveecho first", 14));
    assert_int_equal(ws_read(c, buf, sizeof buf, &n), WS_FIN | WS_TEXT);
    assert_string_equal(buf, " first");
    assert_true(server_wait(&s[1], &s[1].opened, opened + 1));
    assert_true(server_wait(&s[0], &s[0].closed, closed + 1));
    assert_int_equal(s[0].why, EPC_FLOW_MOVED);
    assert_false(s[0].closed_inside);
}

static void is_like_the_old_one(struct server *srv, struct epc_flow *f)
{
    char ip[EPC_ADDR_LEN];
    if (!f || epc_flow_id(f) >> 48 != 1 || strcmp(epc_addr_ip(epc_flow_peer(f), ip), "127.0.0.1") != 0 ||
        strcmp(epc_flow_origin(f)->wwsf, "w1") != 0)
        abort();
    epc_flow_set_registered(f, true);
    srv->move_result = epc_flow_hand_over(f, srv->peer->sh, &srv->peer->wss, "x", 1);
}

static void messages_both_ways(void **state)
{
    (void)state;
    struct ws c;
    char buf[4096], big[3000];
    size_t n;
    int64_t limit = epc_counter_read(EPC_C_WSS_REFUSED_LIMIT);
    s[0].cfg.max_per_address = 1;
    s[1].cfg.max_per_address = 1;
    start_two();
    connect_and_move(&c);
    server_do(&s[1], is_like_the_old_one);
    assert_int_equal(s[1].move_result, EPC_EPOLICY); /* once only */
    for (int i = 0; i < 200; i++)
        assert_true(ws_frame(&c, WS_FIN | WS_TEXT, "echo+", 5));
    for (int i = 0; i < 200; i++) {
        assert_int_equal(ws_read(&c, buf, sizeof buf, &n), WS_FIN | WS_TEXT);
        assert_string_equal(buf, "+");
    }
    memset(big, 0xee, sizeof big);
    memcpy(big, "echo", 4);
    assert_true(ws_frame(&c, WS_BINARY, big, 1000));
    assert_true(ws_frame(&c, WS_FIN, big + 1000, 2000));
    assert_int_equal(ws_read(&c, buf, sizeof buf, &n), WS_FIN | WS_BINARY);
    assert_int_equal(n, 2996);
    assert_int_equal(server_count(&s[0], &s[0].messages), 1);
    assert_int_equal(server_count(&s[1], &s[1].messages), 202);
    assert_int_equal(epc_counter_read(EPC_C_WSS_FLOWS), 1);

    /* The source counts where the socket is, and there alone. */
    struct ws d;
    assert_int_equal(ws_dial(&d, s[0].port, 0, NULL), 0);
    assert_int_equal(ws_handshake(&d, "/sip", ORIGIN, "sip"), 503);
    ws_hang_up(&d);
    assert_int_equal(epc_counter_read(EPC_C_WSS_REFUSED_LIMIT), limit + 1);
    assert_int_equal(ws_dial(&d, s[1].port, 0, NULL), 0);
    assert_int_equal(ws_handshake(&d, "/sip", ORIGIN, "sip"), 101);
    ws_hang_up(&d);
    assert_true(server_wait(&s[1], &s[1].closed, 1));

    assert_true(ws_frame(&c, WS_FIN | WS_CLOSE, "\x03\xe8", 2));
    assert_int_equal(ws_read_close(&c), 1000);
    ws_hang_up(&c);
    assert_true(server_wait(&s[1], &s[1].closed, 2));
    assert_int_equal(s[1].why, EPC_FLOW_PEER_CLOSED);
    assert_int_equal(server_count(&s[0], &s[0].closed), 1);
    stop_two(0);
}

static void far_end_closes(void **state)
{
    (void)state;
    struct ws c;
    char buf[64];
    size_t n;
    start_two();
    connect_and_move(&c);
    assert_true(ws_frame(&c, WS_FIN | WS_TEXT, "quit", 4));
    assert_int_equal(ws_read(&c, buf, sizeof buf, &n), WS_FIN | WS_TEXT);
    assert_string_equal(buf, "goodbye");
    assert_int_equal(ws_read(&c, buf, sizeof buf, &n), WS_FIN | WS_CLOSE);
    assert_memory_equal(buf, "\x0f\xa0" "asked to", 10);
    assert_true(ws_frame(&c, WS_FIN | WS_CLOSE, "\x0f\xa0", 2));
    assert_true(server_wait(&s[1], &s[1].closed, 1));
    assert_int_equal(s[1].why, EPC_FLOW_LOCAL_CLOSED);
    assert_false(s[1].closed_inside);
    ws_hang_up(&c);
    stop_two(1);
}

static enum epc_err flood_result;
static void flood(struct server *srv, struct epc_flow *f)
{
    static char block[32768];
    (void)srv;
    memset(block, 'b', sizeof block);
    flood_result = EPC_OK;
    for (int i = 0; i < 1000 && flood_result == EPC_OK; i++)
        flood_result = epc_flow_send(f, block, sizeof block);
    if (flood_result != EPC_OK && epc_flow_send(f, "x", 1) != EPC_ENOENT)
        abort();
}

/* However it is noticed first: what is on its way between the shards is limited as the queue is. */
static void peer_that_does_not_read(void **state)
{
    (void)state;
    struct ws c;
    start_two();
    connect_and_move(&c);
    server_do(&s[1], flood);
    assert_true(server_wait(&s[1], &s[1].closed, 1));
    assert_int_equal(s[1].why, EPC_FLOW_BACKPRESSURE);
    ws_hang_up(&c);
    stop_two(0);
}

static void timers_of_both_ends(void **state)
{
    (void)state;
    struct ws c;
    s[0].cfg.ping_interval_ms = 30;
    s[0].cfg.pong_timeout_ms = 60;
    s[1].cfg.registration_timeout_ms = 200;
    start_two();
    connect_and_move(&c);
    assert_true(server_wait(&s[1], &s[1].closed, 1));
    assert_int_equal(s[1].why, EPC_FLOW_PING_TIMEOUT);
    ws_hang_up(&c);
    stop_two(0);
}

static void never_registered_there(void **state)
{
    (void)state;
    struct ws c;
    s[0].cfg.registration_timeout_ms = 100;
    s[1].cfg.registration_timeout_ms = 300;
    start_two();
    connect_and_move(&c);
    assert_int_equal(ws_read_close(&c), 1008);
    ws_hang_up(&c);
    assert_true(server_wait(&s[1], &s[1].closed, 1));
    assert_int_equal(s[1].why, EPC_FLOW_LOCAL_CLOSED);
    stop_two(0);
}

static void shutdown_in_either_order(void **state)
{
    for (unsigned first = 0; first < 2; first++) {
        struct ws c, d;
        setup(state);
        start_two();
        connect_and_move(&c);
        connect_and_move(&d);
        stop_two(first);
        assert_int_equal(server_count(&s[1], &s[1].closed), 2);
        assert_int_equal(s[1].why, EPC_FLOW_SHUTDOWN);
        assert_int_equal(server_count(&s[0], &s[0].closed), 2);
        assert_int_equal(ws_read_close(&c), 1001);
        assert_int_equal(ws_read_close(&d), 1001);
        ws_hang_up(&c);
        ws_hang_up(&d);
    }
}

static struct epc_wss *hidden;
static void hide(struct server *srv, struct epc_flow *f)
{
    (void)f;
    hidden = srv->wss;
    srv->wss = NULL;
}

static void unhide(struct epc_shard *sh, void *arg)
{
    (void)sh;
    ((struct server *)arg)->wss = hidden;
}

static void other_shard_has_no_listener(void **state)
{
    (void)state;
    struct ws c;
    start_two();
    server_do(&s[1], hide);
    assert_int_equal(ws_dial(&c, s[0].port, 0, NULL), 0);
    assert_int_equal(ws_handshake(&c, "/sip", ORIGIN, "sip"), 101);
    assert_true(ws_frame(&c, WS_FIN | WS_TEXT, "moveecho", 8));
    assert_int_equal(ws_read_close(&c), 1001);
    ws_hang_up(&c);
    assert_true(server_wait(&s[0], &s[0].closed, 1));
    assert_int_equal(s[0].why, EPC_FLOW_MOVED);
    assert_int_equal(server_count(&s[1], &s[1].opened), 0);
    assert_int_equal(epc_shard_post(s[1].sh, unhide, &s[1]), EPC_OK);
    stop_two(1);
}

/* Connections come, move, talk and go in every stage while both shards end. */
static void many_at_once(void **state)
{
    (void)state;
    enum { N = 12 };
    struct ws c[N];
    start_two();
    for (int i = 0; i < N; i++) {
        assert_int_equal(ws_dial(&c[i], s[i & 1].port, 0, NULL), 0);
        assert_int_equal(ws_handshake(&c[i], "/sip", ORIGIN, "sip"), 101);
        assert_true(ws_frame(&c[i], WS_FIN | WS_TEXT, "moveecho", 8));
    }
    for (int i = 0; i < N; i += 3)
        ws_hang_up(&c[i]);
    for (int i = 1; i < N; i += 3)
        for (int k = 0; k < 20; k++)
            assert_true(ws_frame(&c[i], WS_FIN | WS_TEXT, "echo.", 5));
    stop_two(0);
    for (int i = 0; i < N; i++)
        if (i % 3)
            ws_hang_up(&c[i]);
    assert_int_equal(s[0].opened + s[1].opened, s[0].closed + s[1].closed);
}

static int group_setup(void **state)
{
    (void)state;
    epc_log_setup(getenv("V") ? EPC_LOG_DEBUG : EPC_LOG_ERROR, 2);
    return server_make_certificate() ? 0 : -1;
}

static int group_teardown(void **state)
{
    (void)state;
    server_remove_certificate();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(messages_both_ways, setup),
        cmocka_unit_test_setup(far_end_closes, setup),
        cmocka_unit_test_setup(peer_that_does_not_read, setup),
        cmocka_unit_test_setup(timers_of_both_ends, setup),
        cmocka_unit_test_setup(never_registered_there, setup),
        cmocka_unit_test_setup(shutdown_in_either_order, setup),
        cmocka_unit_test_setup(other_shard_has_no_listener, setup),
        cmocka_unit_test_setup(many_at_once, setup),
    };
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
