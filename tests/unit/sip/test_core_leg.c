/* Transactions and sockets of the core leg: what is lost is sent again, what comes twice is taken once,
 * and a connection carries whole messages however it cuts them. */
#include "harness.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void open_fast(struct rig *r)
{
    rig_open(r);
    r->s->t1_ms = 20;
}
static void wic(struct rig *r, char *text)
{
    from_wic(r, text);
    free(text);
}
static void wic_says(struct rig *r, const char *status)
{
    char *m = to_wic(r);
    expect_status(m, status);
    free(m);
}
static void core(struct rig *r, char *text)
{
    peer_send(&r->core, text);
    free(text);
}
/* What comes next must be @p text again; gives nothing. */
static void again(struct rig *r, const char *text)
{
    char *m = to_core(r);
    assert_string_equal(m, text);
    free(m);
}

static void drain(struct rig *r, unsigned ms)
{
    char *m;
    while ((m = peer_recv(&r->core, ms)))
        free(m);
}

/* ---- client transactions ---- */
static void request_is_repeated(void **state)
{
    struct rig r;
    (void)state;
    open_fast(&r);
    int64_t repeated = epc_counter_read(EPC_C_SIP_CORE_REPEATED);
    wic(&r, wic_request("MESSAGE", "z9hG4bK1", 1, NULL, NULL, NULL));
    char *req = to_core(&r);
    again(&r, req);
    again(&r, req);
    assert_true(epc_counter_read(EPC_C_SIP_CORE_REPEATED) >= repeated + 2);
    core(&r, answer_to(req, "200 OK", "b", NULL, NULL));
    wic_says(&r, "200");
    turns(&r, 60);
    drain(&r, 0); /* what crossed the answer */
    nothing_to_core(&r, 100);
    /* The answer once more: of no transaction any more. */
    int64_t stray = epc_counter_read(EPC_C_SIP_CORE_STRAY);
    core(&r, answer_to(req, "200 OK", "b", NULL, NULL));
    nothing_to_wic(&r, 50);
    assert_int_equal(epc_counter_read(EPC_C_SIP_CORE_STRAY), stray + 1);
    free(req);
    rig_close(&r);
}

static void nobody_answers(void **state)
{
    struct rig r;
    (void)state;
    open_fast(&r);
    r.s->timer_b_ms = 150;
    int64_t late = epc_counter_read(EPC_C_SIP_CORE_TIMEOUT);
    wic(&r, wic_request("MESSAGE", "z9hG4bK1", 1, NULL, NULL, NULL));
    wic_says(&r, "408");
    assert_int_equal(epc_counter_read(EPC_C_SIP_CORE_TIMEOUT), late + 1);
    wic(&r, wic_request("INVITE", "z9hG4bK2", 2, NULL, NULL, NULL));
    wic_says(&r, "100");
    wic_says(&r, "408");
    wic(&r, wic_request("ACK", "z9hG4bK2", 2, "x", NULL, NULL));
    turns(&r, 20);
    drain(&r, 0);
    rig_close(&r);
}

static void refusal_is_acknowledged_each_time(void **state)
{
    struct rig r;
    (void)state;
    open_fast(&r);
    wic(&r, wic_request("INVITE", "z9hG4bK1", 1, NULL, NULL, NULL));
    wic_says(&r, "100");
    char *req = to_core(&r);
    again(&r, req); /* timer A */
    core(&r, answer_to(req, "180 Ringing", "b", NULL, NULL));
    wic_says(&r, "180");
    turns(&r, 30);
    drain(&r, 0);
    nothing_to_core(&r, 100); /* a provisional answer ends it */
    core(&r, answer_to(req, "486 Busy Here", "b", NULL, NULL));
    wic_says(&r, "486");
    char *ack = to_core(&r), *via = line_of(req, "Via", 0), *ack_via = line_of(ack, "Via", 0);
    assert_memory_equal(ack, "ACK ", 4);
    assert_string_equal(via, ack_via);
    expect_in(ack, ";tag=b\r\n");
    expect_in(ack, "CSeq: 1 ACK\r\n");
    core(&r, answer_to(req, "486 Busy Here", "b", NULL, NULL)); /* the ACK was lost */
    again(&r, ack);
    nothing_to_wic(&r, 30);
    wic(&r, wic_request("ACK", "z9hG4bK1", 1, "b", NULL, NULL));
    free(req);
    free(ack);
    free(via);
    free(ack_via);
    rig_close(&r);
}

static void cancel_is_repeated(void **state)
{
    struct rig r;
    (void)state;
    open_fast(&r);
    wic(&r, wic_request("INVITE", "z9hG4bK1", 1, NULL, NULL, NULL));
    wic_says(&r, "100");
    char *req = to_core(&r);
    core(&r, answer_to(req, "180 Ringing", "b", NULL, NULL));
    wic_says(&r, "180");
    drain(&r, 30);
    wic(&r, wic_request("CANCEL", "z9hG4bK1", 1, NULL, NULL, NULL));
    wic_says(&r, "200");
    char *cancel = to_core(&r);
    assert_memory_equal(cancel, "CANCEL ", 7);
    again(&r, cancel);
    core(&r, answer_to(cancel, "200 OK", "b", NULL, NULL));
    core(&r, answer_to(req, "487 Request Terminated", "b", NULL, NULL));
    wic_says(&r, "487");
    wic(&r, wic_request("ACK", "z9hG4bK1", 1, "b", NULL, NULL));
    free(cancel);
    free(req);
    rig_close(&r);
}

/* The port is closed: the network says so, and nobody waits for 32 s. */
static void port_unreachable(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    snprintf(r.next_hop, sizeof r.next_hop, "sip:127.0.0.72:9;transport=udp");
    wic(&r, wic_request("MESSAGE", "z9hG4bK1", 1, NULL, NULL, NULL));
    wic_says(&r, "503");
    wic(&r, wic_request("INVITE", "z9hG4bK2", 2, NULL, NULL, NULL));
    wic_says(&r, "100");
    wic_says(&r, "503");
    wic(&r, wic_request("ACK", "z9hG4bK2", 2, "x", NULL, NULL));
    /* It harms nobody else on the same socket. */
    snprintf(r.next_hop, sizeof r.next_hop, "sip:127.0.0.72:%u;transport=udp", (unsigned)r.port);
    wic(&r, wic_request("MESSAGE", "z9hG4bK3", 3, NULL, NULL, NULL));
    char *req = to_core(&r);
    core(&r, answer_to(req, "200 OK", "b", NULL, NULL));
    wic_says(&r, "200");
    free(req);
    rig_close(&r);
}

static void connection_breaks_while_waiting(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    snprintf(r.next_hop, sizeof r.next_hop, "sip:127.0.0.72:%u;transport=tcp", (unsigned)r.port);
    wic(&r, wic_request("MESSAGE", "z9hG4bK1", 1, NULL, NULL, NULL));
    free(to_core(&r));
    close(r.core.tcp);
    r.core.tcp = -1;
    wic_says(&r, "503");
    wic(&r, wic_request("MESSAGE", "z9hG4bK2", 2, NULL, NULL, NULL)); /* a new connection */
    char *req = to_core(&r);
    core(&r, answer_to(req, "200 OK", "b", NULL, NULL));
    wic_says(&r, "200");
    free(req);
    rig_close(&r);
}

/* ---- server transactions ---- */
static void request_comes_twice(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    char *msg = core_request(&r, "MESSAGE", "z9hG4bKc1", 1, NULL, token_route(&r, FLOW), NULL);
    peer_send_udp(&r.core, msg);
    char *at_wic = to_wic(&r);
    peer_send_udp(&r.core, msg);
    nothing_to_wic(&r, 30);
    assert_int_equal(r.n_calls, 1);
    from_wic(&r, "\r\n");
    char *answer = answer_to(at_wic, "200 OK", "w", NULL, NULL);
    from_wic(&r, answer);
    char *first = to_core(&r);
    expect_status(first, "200");
    peer_send_udp(&r.core, msg); /* the answer was lost */
    again(&r, first);
    assert_int_equal(r.n_calls, 1);
    free(first);
    free(answer);
    free(at_wic);
    free(msg);
    rig_close(&r);
}

static void refused_invite_until_ack(void **state)
{
    struct rig r;
    (void)state;
    open_fast(&r);
    char *invite = core_request(&r, "INVITE", "z9hG4bKc1", 1, NULL, token_route(&r, FLOW), NULL);
    peer_send_udp(&r.core, invite);
    char *m = to_core(&r);
    expect_status(m, "100");
    free(m);
    char *at_wic = to_wic(&r), *busy = answer_to(at_wic, "486 Busy Here", "w", NULL, NULL);
    from_wic(&r, busy);
    free(to_wic(&r)); /* ACK on that leg */
    char *first = to_core(&r);
    expect_status(first, "486");
    again(&r, first); /* timer G */
    again(&r, first);
    char *ack = core_request(&r, "ACK", "z9hG4bKc1", 1, "w", NULL, NULL);
    peer_send_udp(&r.core, ack);
    turns(&r, 30);
    drain(&r, 0);
    nothing_to_core(&r, 100);
    peer_send_udp(&r.core, ack);    /* timer I: a copy */
    peer_send_udp(&r.core, invite); /* a copy that was on its way for long */
    nothing_to_core(&r, 30);
    assert_int_equal(r.n_calls, 1);
    assert_int_equal(r.acks, 0);
    free(ack);
    free(first);
    free(busy);
    free(at_wic);
    free(invite);
    rig_close(&r);
}

/* RFC 6026: after a 2xx, copies of the INVITE are no new call. */
static void answered_invite_comes_again(void **state)
{
    struct rig r;
    (void)state;
    open_fast(&r);
    char *invite = core_request(&r, "INVITE", "z9hG4bKc1", 1, NULL, token_route(&r, FLOW), NULL);
    peer_send_udp(&r.core, invite);
    char *m = to_core(&r);
    expect_status(m, "100");
    char *at_wic = to_wic(&r), *ok = answer_to(at_wic, "200 OK", "w", "Contact: <sip:a@b.invalid>\r\n", NULL);
    from_wic(&r, ok);
    free(m);
    m = to_core(&r);
    expect_status(m, "200");
    turns(&r, 50);
    peer_send_udp(&r.core, invite);
    nothing_to_wic(&r, 50);
    assert_int_equal(r.n_calls, 1);
    free(m);
    free(ok);
    free(at_wic);
    free(invite);
    rig_close(&r);
}

static void answers_go_where_via_says(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    struct epc_addr other;
    struct peer elsewhere;
    peer_open(&elsewhere, r.sh, "127.0.0.72", (uint16_t)(r.port + 1), "127.0.0.71", r.port);
    assert_int_equal(epc_addr_parse(&other, "127.0.0.72", r.port), EPC_OK);
    /* Without rport: to the port of sent-by, wherever it came from. */
    char *msg = core_request(&r, "OPTIONS", "z9hG4bKc1", 1, NULL, NULL, NULL);
    peer_send_udp(&elsewhere, msg);
    free(msg);
    char *m = to_core(&r);
    expect_status(m, "200");
    free(m);
    /* With it: back, and told what it is. */
    msg = core_request(&r, "OPTIONS", "z9hG4bKc2;rport", 2, NULL, NULL, NULL);
    peer_send_udp(&elsewhere, msg);
    free(msg);
    m = peer_recv(&elsewhere, 3000);
    assert_non_null(m);
    expect_in(m, ";received=127.0.0.72");
    char rport[32];
    snprintf(rport, sizeof rport, ";rport=%u", (unsigned)r.port + 1u);
    expect_in(m, rport);
    free(m);
    peer_close(&elsewhere);
    rig_close(&r);
}

/* ---- TCP ---- */
static int connect_from(struct rig *r, const char *ip)
{
    struct epc_addr us, them;
    assert_int_equal(epc_addr_parse(&us, ip, 0), EPC_OK);
    assert_int_equal(epc_addr_parse(&them, "127.0.0.71", r->port), EPC_OK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&us.ss, us.len), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&them.ss, them.len), 0);
    return fd;
}
static void put(struct rig *r, int fd, const char *p, size_t n)
{
    assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), (ssize_t)n);
    fake_shard_turn(r->sh);
}
/* Turn until @p want has come; gives all that came. NULL in @p want: until the connection ends. */
static char *get(struct rig *r, int fd, const char *want)
{
    static char buf[8192];
    size_t n = 0;
    uint64_t until = epc_now_ms() + 3000;
    for (;;) {
        ssize_t k = recv(fd, buf + n, sizeof buf - 1 - n, MSG_DONTWAIT);
        if (k > 0)
            n += (size_t)k;
        buf[n] = 0;
        if (want ? strstr(buf, want) != NULL : k == 0)
            return buf;
        if (epc_now_ms() > until)
            fail_msg("came: %s", buf);
        fake_shard_turn(r->sh);
    }
}

static void stream_in_pieces(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    int fd = connect_from(&r, "127.0.0.72");
    char *one = core_request(&r, "OPTIONS", "z9hG4bKt1", 1, NULL, NULL, "v=0\r\n"),
         *two = core_request(&r, "OPTIONS", "z9hG4bKt2", 2, NULL, NULL, NULL);
    for (size_t i = 0; one[i]; i++)
        put(&r, fd, one + i, 1);
    expect_in(get(&r, fd, "\r\n\r\n"), "SIP/2.0 200");
    struct epc_buf b = {0};
    epc_buf_printf(&b, "\r\n%s\r\n\r\n%s\r\n", two, one);
    put(&r, fd, b.p, b.n);
    const char *m = get(&r, fd, "CSeq: 1 OPTIONS");
    expect_in(m, "CSeq: 2 OPTIONS");
    expect_in(m, "\r\n\r\n\r\nSIP/2.0"); /* a keep-alive is answered in its place */
    epc_buf_free(&b);
    free(one);
    free(two);
    close(fd);
    rig_close(&r);
}

static void stream_without_sense(void **state)
{
    static const struct {
        const char *length;
        bool answered;
    } t[] = {{"Content-Length: x\r\n", false}, {"Content-Length: 5\r\nl: 6\r\n", false},
             {"Content-Length: 99999999999999999999\r\n", false}, {"", true}};
    struct rig r;
    (void)state;
    rig_open(&r);
    int64_t garbage = epc_counter_read(EPC_C_SIP_CORE_GARBAGE);
    for (size_t i = 0; i < EPC_ARRAY_LEN(t); i++) {
        char text[600];
        int fd = connect_from(&r, "127.0.0.72");
        int n = snprintf(text, sizeof text,
                         "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.72:%u;branch=z9hG4bKs%zu\r\nFrom: "
                         "<sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n%s\r\n",
                         (unsigned)r.port, i, t[i].length);
        put(&r, fd, text, (size_t)n);
        const char *m = get(&r, fd, NULL); /* it is closed */
        assert_int_equal(strstr(m, "SIP/2.0 200") != NULL, t[i].answered);
        close(fd);
    }
    assert_int_equal(epc_counter_read(EPC_C_SIP_CORE_GARBAGE), garbage + 3);
    int fd = connect_from(&r, "127.0.0.72");
    for (int i = 0; i < 80; i++) {
        char block[1024];
        memset(block, 'x', sizeof block);
        if (send(fd, block, sizeof block, MSG_NOSIGNAL) < 0)
            break;
        fake_shard_turn(r.sh);
    }
    uint64_t until = epc_now_ms() + 3000;
    while (epc_counter_read(EPC_C_SIP_CORE_GARBAGE) == garbage + 3 && epc_now_ms() < until)
        fake_shard_turn(r.sh);
    assert_int_equal(epc_counter_read(EPC_C_SIP_CORE_GARBAGE), garbage + 4);
    close(fd);
    rig_close(&r);
}

static void stranger_on_tcp(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    int fd = connect_from(&r, "127.0.0.73");
    char *msg = core_request(&r, "MESSAGE", "z9hG4bKt1", 1, NULL, token_route(&r, FLOW), NULL);
    put(&r, fd, msg, strlen(msg));
    expect_in(get(&r, fd, NULL), "SIP/2.0 403"); /* told, and closed */
    assert_int_equal(r.n_calls, 0);
    free(msg);
    close(fd);
    rig_close(&r);
}

/* A body may hold any octet, a header may not. */
static void octets(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    int fd = connect_from(&r, "127.0.0.72");
    char text[1000];
    const char *route = token_route(&r, FLOW);
    int n = snprintf(text, sizeof text,
                     "MESSAGE sip:a@b.invalid SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.72:%u;branch=z9hG4bKo\r\nFrom: "
                     "<sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: c\r\nCSeq: 1 MESSAGE\r\n%sContent-Type: "
                     "application/isup\r\nContent-Length: 4\r\n\r\n",
                     (unsigned)r.port, route);
    memcpy(text + n, "a\0b\0", 4);
    put(&r, fd, text, (size_t)n + 4);
    char *m = to_wic(&r);
    expect_in(m, "Content-Length: 4\r\n");
    char *ok = answer_to(m, "200 OK", "w", NULL, NULL);
    from_wic(&r, ok);
    expect_in(get(&r, fd, "\r\n\r\n"), "SIP/2.0 200");
    int64_t garbage = epc_counter_read(EPC_C_SIP_CORE_GARBAGE);
    *strstr(text, "tag=1") = 0;
    put(&r, fd, text, (size_t)n + 4);
    get(&r, fd, NULL);
    assert_int_equal(epc_counter_read(EPC_C_SIP_CORE_GARBAGE), garbage + 1);
    free(ok);
    free(m);
    close(fd);
    rig_close(&r);
}

/* ---- frames ---- */
static void frames(void **state)
{
    static const struct {
        const char *text;
        enum epc_sip_frame f;
        size_t head, body;
        bool has_length;
    } t[] = {
        {"", EPC_FRAME_MORE, 0, 0, false},
        {"OPTIONS sip:a SIP/2.0\r\nTo: b\r\n", EPC_FRAME_MORE, 0, 0, false},
        {"A\r\nl: 2\r\n\r\nab", EPC_FRAME_WHOLE, 11, 2, true},
        {"A\r\nl: 2\r\n\r\nabc", EPC_FRAME_WHOLE, 11, 2, true},
        {"A\r\nL:3\r\n\r\nab", EPC_FRAME_MORE, 10, 3, true},
        {"A\r\nCONTENT-LENGTH \t: 2 \r\n\r\nab", EPC_FRAME_WHOLE, 27, 2, true},
        {"A\nContent-Length: 0\n\n", EPC_FRAME_WHOLE, 21, 0, true},
        {"A\r\nContent-Lengthy: 7\r\n\r\n", EPC_FRAME_WHOLE, 25, 0, false},
        {"A\r\nlabel: 7\r\n\r\n", EPC_FRAME_WHOLE, 15, 0, false},
        {"A\r\n\r\nl: 5\r\n", EPC_FRAME_WHOLE, 5, 0, false},
        {"A\r\nl: 2\r\nContent-Length: 2\r\n\r\nab", EPC_FRAME_WHOLE, 30, 2, true},
        {"A\r\nl: 2\r\nl: 3\r\n\r\nab", EPC_FRAME_BAD, 17, 0, false},
        {"A\r\nl: -1\r\n\r\n", EPC_FRAME_BAD, 12, 0, false},
        {"A\r\nl:\r\n\r\n", EPC_FRAME_BAD, 9, 0, false},
        {"A\r\nl: 2 3\r\n\r\n", EPC_FRAME_BAD, 13, 0, false},
        {"A\r\nl: 65536\r\n\r\n", EPC_FRAME_TOO_LARGE, 15, 65536, true},
    };
    (void)state;
    for (size_t i = 0; i < EPC_ARRAY_LEN(t); i++) {
        struct epc_sip_extent e;
        enum epc_sip_frame f = epc_sip_frame(t[i].text, strlen(t[i].text), &e);
        if (f != t[i].f || e.head != t[i].head || e.body != t[i].body || e.has_length != t[i].has_length)
            fail_msg("case %zu: %d, %zu, %zu, %d", i, (int)f, e.head, e.body, e.has_length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_is_repeated),        cmocka_unit_test(nobody_answers),
        cmocka_unit_test(refusal_is_acknowledged_each_time), cmocka_unit_test(cancel_is_repeated),
        cmocka_unit_test(port_unreachable),           cmocka_unit_test(connection_breaks_while_waiting),
        cmocka_unit_test(request_comes_twice),        cmocka_unit_test(refused_invite_until_ack),
        cmocka_unit_test(answered_invite_comes_again), cmocka_unit_test(answers_go_where_via_says),
        cmocka_unit_test(stream_in_pieces),           cmocka_unit_test(stream_without_sense),
        cmocka_unit_test(stranger_on_tcp),            cmocka_unit_test(octets),
        cmocka_unit_test(frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
