/* Calls through the agent, both directions: what crosses, in which order, with what changed. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char small_sdp[] = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";

static char *big_sdp(void)
{
    char *p = malloc(3000);
    assert_non_null(p);
    strcpy(p, small_sdp);
    while (strlen(p) < 2500)
        strcat(p, "a=x-filler:0123456789012345678901234567890123456789\r\n");
    return p;
}

#define TAKE(var, call)                                                                              \
    char *var = (call)
/* Send text that was given and free it. */
static void wic(struct rig *r, char *text)
{
    from_wic(r, text);
    free(text);
}
static void core(struct rig *r, char *text)
{
    peer_send(&r->core, text);
    free(text);
}

static void register_there_and_back(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    wic(&r, wic_request("REGISTER", "z9hG4bKr1", 1, NULL,
                        "Authorization: Bearer aaa.bbb.ccc\r\nP-Asserted-Identity: <sip:evil@x>\r\n", NULL));
    TAKE(req, to_core(&r));
    expect_status(req, "REGISTER ");
    char *v0 = line_of(req, "Via", 0), *v1 = line_of(req, "Via", 1), *mf = line_of(req, "Max-Forwards", 0);
    expect_in(v0, "SIP/2.0/UDP 127.0.0.71:");
    expect_in(v1, "SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bKr1");
    expect_not_in(v1, "received");
    assert_string_equal(mf, "69");
    expect_not_in(req, "Bearer");
    expect_not_in(req, "evil");
    core(&r, answer_to(req, "200 OK", "s1", "P-Charging-Vector: icid-value=1\r\nService-Route: <sip:o@127.0.0.72;lr>\r\n", NULL));
    TAKE(resp, to_wic(&r));
    expect_status(resp, "200");
    expect_in(resp, "Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bKr1\r\n");
    expect_not_in(resp, "127.0.0.71");
    expect_not_in(resp, "P-Charging-Vector");
    expect_in(resp, "Service-Route");
    /* A request that is repeated soon gets the same answer, and the core hears nothing of it. */
    wic(&r, wic_request("REGISTER", "z9hG4bKr1", 1, NULL, NULL, NULL));
    TAKE(again, to_wic(&r));
    assert_string_equal(again, resp);
    nothing_to_core(&r, 20);
    assert_int_equal(r.n_calls, 1);
    free(req);
    free(resp);
    free(again);
    free(v0);
    free(v1);
    free(mf);
    rig_close(&r);
}

static void rport_answered(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    wic(&r, wic_request("OPTIONS", "z9hG4bKo1;rport;received=9.9.9.9", 1, NULL, NULL, NULL));
    TAKE(req, to_core(&r));
    expect_in(req, "rport=40000");
    expect_not_in(req, "9.9.9.9");
    core(&r, answer_to(req, "200 OK", "t", NULL, NULL));
    TAKE(resp, to_wic(&r));
    expect_in(resp, "rport=40000");
    expect_not_in(resp, "received");
    free(req);
    free(resp);
    rig_close(&r);
}

/* RFC 6223: who asks for keep is told how often; who does not, or says how often itself, is not. */
static void keep_answered(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    r.cfg.flow_timer_s = 95;
    wic(&r, wic_request("REGISTER", "z9hG4bKk1;keep", 1, NULL, NULL, NULL));
    TAKE(req, to_core(&r));
    core(&r, answer_to(req, "200 OK", "t", NULL, NULL));
    TAKE(resp, to_wic(&r));
    expect_in(resp, ";keep=95");
    free(req);
    free(resp);
    wic(&r, wic_request("REGISTER", "z9hG4bKk2", 2, NULL, NULL, NULL));
    TAKE(req2, to_core(&r));
    core(&r, answer_to(req2, "200 OK", "t", NULL, NULL));
    TAKE(resp2, to_wic(&r));
    expect_not_in(resp2, "keep");
    free(req2);
    free(resp2);
    wic(&r, wic_request("MESSAGE", "z9hG4bKk3;keep", 3, NULL, NULL, NULL));
    TAKE(req3, to_core(&r));
    core(&r, answer_to(req3, "200 OK", "t", NULL, NULL));
    TAKE(resp3, to_wic(&r));
    expect_not_in(resp3, "keep=");
    free(req3);
    free(resp3);
    rig_close(&r);
}

/* INVITE from the WIC up to the 200; @p tcp says which transport its size must choose. */
static char *call_up(struct rig *r, const char *body, bool tcp, const char *extra)
{
    wic(r, wic_request("INVITE", "z9hG4bKi1", 1, NULL, extra, body));
    TAKE(trying, to_wic(r));
    expect_status(trying, "100");
    free(trying);
    TAKE(req, to_core(r));
    expect_status(req, "INVITE ");
    assert_int_equal(r->core.last_was_tcp, tcp);
    return req;
}

static void outgoing_call(bool tcp)
{
    struct rig r;
    char *body = big_sdp();
    rig_open(&r);
    TAKE(req, call_up(&r, tcp ? body : small_sdp, tcp, NULL));
    expect_in(req, tcp ? body : small_sdp);
    char *rr0 = line_of(req, "Record-Route", 0);
    expect_in(rr0, "@127.0.0.71:");
    core(&r, answer_to(req, "100 Trying", NULL, NULL, NULL));
    core(&r, answer_to(req, "180 Ringing", "b1", NULL, NULL));
    TAKE(ringing, to_wic(&r));
    expect_status(ringing, "180");
    core(&r, answer_to(req, "200 OK", "b1", "Contact: <sip:bob@127.0.0.72>\r\n", small_sdp));
    TAKE(ok, to_wic(&r));
    expect_status(ok, "200");
    expect_in(ok, "transport=ws;lr");
    expect_in(ok, small_sdp);
    /* The ACK comes with our Record-Route entries as Route. */
    char *route = line_of(ok, "Record-Route", 0), *route2 = line_of(ok, "Record-Route", 1), lines[600];
    if (*route2)
        snprintf(lines, sizeof lines, "Route: %s\r\nRoute: %s\r\n", route2, route);
    else
        snprintf(lines, sizeof lines, "Route: %s\r\n", route);
    wic(&r, wic_request("ACK", "z9hG4bKa1", 1, "b1", lines, NULL));
    TAKE(ack, to_core(&r));
    expect_status(ack, "ACK ");
    expect_not_in(ack, "Route:");
    assert_int_equal(r.acks, 1);
    /* Repeated 2xx: passes again. Forked 2xx: passes too. */
    core(&r, answer_to(req, "200 OK", "b1", NULL, small_sdp));
    TAKE(rep, to_wic(&r));
    expect_in(rep, "tag=b1");
    core(&r, answer_to(req, "200 OK", "b2", NULL, small_sdp));
    TAKE(fork, to_wic(&r));
    expect_in(fork, "tag=b2");
    /* Nothing but 2xx after that. */
    core(&r, answer_to(req, "183 Late", "b3", NULL, NULL));
    core(&r, answer_to(req, "486 Busy", "b3", NULL, NULL));
    nothing_to_wic(&r, 30);
    free(peer_recv(&r.core, 30)); /* over UDP the late 486 still gets its ACK */
    /* BYE inside the dialog. */
    wic(&r, wic_request("BYE", "z9hG4bKb1", 2, "b1", lines, NULL));
    TAKE(bye, to_core(&r));
    expect_status(bye, "BYE ");
    expect_not_in(bye, "Record-Route");
    core(&r, answer_to(bye, "200 OK", NULL, NULL, NULL));
    TAKE(done, to_wic(&r));
    expect_status(done, "200");
    free(req), free(rr0), free(ringing), free(ok), free(route), free(route2), free(ack), free(rep);
    free(fork), free(bye), free(done), free(body);
    rig_close(&r);
}

static void outgoing_call_udp(void **state)
{
    (void)state;
    outgoing_call(false);
}

static void outgoing_call_tcp(void **state)
{
    (void)state;
    outgoing_call(true);
}

static void busy(void **state)
{
    (void)state;
    for (int tcp = 0; tcp < 2; tcp++) {
        struct rig r;
        char *body = big_sdp();
        rig_open(&r);
        TAKE(req, call_up(&r, tcp ? body : small_sdp, tcp, NULL));
        core(&r, answer_to(req, "486 Busy Here", "b1", NULL, NULL));
        TAKE(ack, to_core(&r)); /* hop by hop */
        expect_status(ack, "ACK ");
        TAKE(resp, to_wic(&r));
        expect_status(resp, "486");
        /* A repeated INVITE is answered again until the ACK is here. */
        wic(&r, wic_request("INVITE", "z9hG4bKi1", 1, NULL, NULL, small_sdp));
        TAKE(again, to_wic(&r));
        assert_string_equal(again, resp);
        wic(&r, wic_request("ACK", "z9hG4bKi1", 1, "b1", NULL, NULL));
        nothing_to_core(&r, 20); /* absorbed */
        assert_int_equal(r.acks, 0);
        free(req), free(ack), free(resp), free(again), free(body);
        rig_close(&r);
    }
}

static void cancel_after_1xx(void **state)
{
    (void)state;
    for (int tcp = 0; tcp < 2; tcp++) {
        struct rig r;
        char *body = big_sdp();
        rig_open(&r);
        TAKE(req, call_up(&r, tcp ? body : small_sdp, tcp, NULL));
        core(&r, answer_to(req, "180 Ringing", "b1", NULL, NULL));
        TAKE(ringing, to_wic(&r));
        wic(&r, wic_request("CANCEL", "z9hG4bKi1", 1, NULL, NULL, NULL));
        TAKE(ok, to_wic(&r));
        expect_status(ok, "200");
        expect_in(ok, "CSeq: 1 CANCEL");
        TAKE(cancel, to_core(&r));
        expect_status(cancel, "CANCEL ");
        char *v_inv = line_of(req, "Via", 0), *v_can = line_of(cancel, "Via", 0), *v2 = line_of(cancel, "Via", 1);
        assert_string_equal(v_inv, v_can); /* RFC 3261 9.1 */
        assert_string_equal(v2, "");
        expect_in(cancel, "Reason: SIP;cause=487");
        assert_true(r.calls[0].cancelled);
        core(&r, answer_to(cancel, "200 OK", "b1", NULL, NULL));
        core(&r, answer_to(req, "487 Request Terminated", "b1", NULL, NULL));
        TAKE(ack, to_core(&r));
        expect_status(ack, "ACK ");
        TAKE(resp, to_wic(&r));
        expect_status(resp, "487");
        wic(&r, wic_request("ACK", "z9hG4bKi1", 1, "b1", NULL, NULL));
        free(req), free(ringing), free(ok), free(cancel), free(v_inv), free(v_can), free(v2), free(ack);
        free(resp), free(body);
        rig_close(&r);
    }
}

static void cancel_before_1xx(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    TAKE(req, call_up(&r, small_sdp, false, NULL));
    wic(&r, wic_request("CANCEL", "z9hG4bKi1", 1, NULL, NULL, NULL));
    TAKE(ok, to_wic(&r));
    expect_status(ok, "200");
    nothing_to_core(&r, 30); /* must wait */
    core(&r, answer_to(req, "100 Trying", NULL, NULL, NULL));
    TAKE(cancel, to_core(&r));
    expect_status(cancel, "CANCEL ");
    core(&r, answer_to(cancel, "200 OK", "b1", NULL, NULL));
    core(&r, answer_to(req, "487 Request Terminated", "b1", NULL, NULL));
    TAKE(ack, to_core(&r));
    TAKE(resp, to_wic(&r));
    expect_status(resp, "487");
    wic(&r, wic_request("ACK", "z9hG4bKi1", 1, "b1", NULL, NULL));
    free(req), free(ok), free(cancel), free(ack), free(resp);
    rig_close(&r);
}

static void cancel_crosses_200(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    TAKE(req, call_up(&r, small_sdp, false, NULL));
    core(&r, answer_to(req, "200 OK", "b1", NULL, small_sdp));
    TAKE(ok, to_wic(&r));
    wic(&r, wic_request("CANCEL", "z9hG4bKi1", 1, NULL, NULL, NULL));
    TAKE(c, to_wic(&r));
    expect_in(c, "CSeq: 1 CANCEL");
    nothing_to_core(&r, 30);
    assert_false(r.calls[0].cancelled);
    wic(&r, wic_request("CANCEL", "z9hG4bKnone", 1, NULL, NULL, NULL));
    TAKE(none, to_wic(&r));
    expect_status(none, "481");
    free(req), free(ok), free(c), free(none);
    rig_close(&r);
}

/* The core calls the WIC. */
static char *call_down(struct rig *r, const char *extra_more)
{
    char extra[600];
    snprintf(extra, sizeof extra, "%s%s", token_route(r, FLOW), extra_more ? extra_more : "");
    core(r, core_request(r, "INVITE", "z9hG4bKc1", 1, NULL, extra, small_sdp));
    TAKE(trying, to_core(r));
    expect_status(trying, "100");
    free(trying);
    TAKE(req, to_wic(r));
    expect_status(req, "INVITE sip:7b3ca@df7jal23ls0d.invalid;transport=ws SIP/2.0");
    return req;
}

static void incoming_call(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    TAKE(req, call_down(&r, "P-Charging-Vector: icid-value=9\r\nP-Asserted-Identity: <sip:carol@x>\r\n"
                            "Require: 100rel\r\n"));
    char *via = line_of(req, "Via", 0);
    expect_in(via, "SIP/2.0/WSS edge.example.com:443;branch=z9hG4bK");
    expect_not_in(req, "\r\nRoute:");
    expect_not_in(req, "P-Charging-Vector");
    expect_in(req, "P-Asserted-Identity: <sip:carol@x>");
    wic(&r, answer_to(req, "100 Trying", NULL, NULL, NULL));
    wic(&r, answer_to(req, "180 Ringing", "a1", "P-Asserted-Identity: <sip:evil@x>\r\n", NULL));
    TAKE(ringing, to_core(&r));
    expect_status(ringing, "180");
    expect_not_in(ringing, "evil");
    expect_not_in(ringing, "RSeq"); /* nothing here makes it reliable by itself */
    char *v0 = line_of(ringing, "Via", 0), *v1 = line_of(ringing, "Via", 1);
    expect_in(v0, "branch=z9hG4bKc1");
    assert_string_equal(v1, "");
    wic(&r, answer_to(req, "200 OK", "a1", "Contact: <sip:7b3ca@df7jal23ls0d.invalid;transport=ws>\r\n", small_sdp));
    TAKE(ok, to_core(&r));
    expect_status(ok, "200");
    /* The UAS repeats its 2xx until the ACK (RFC 3261 13.3.1.4): each goes on. */
    wic(&r, answer_to(req, "200 OK", "a1", NULL, small_sdp));
    TAKE(again, to_core(&r));
    expect_status(again, "200");
    core(&r, core_request(&r, "ACK", "z9hG4bKc2", 1, "a1", token_route(&r, FLOW), NULL));
    TAKE(ack, to_wic(&r));
    expect_status(ack, "ACK ");
    assert_int_equal(r.acks, 1);
    core(&r, core_request(&r, "BYE", "z9hG4bKc3", 2, "a1", token_route(&r, FLOW), NULL));
    TAKE(bye, to_wic(&r));
    expect_status(bye, "BYE ");
    wic(&r, answer_to(bye, "200 OK", NULL, NULL, NULL));
    TAKE(done, to_core(&r));
    expect_status(done, "200");
    free(req), free(via), free(ringing), free(v0), free(v1), free(ok), free(again), free(ack);
    free(bye), free(done);
    rig_close(&r);
}

static void wic_tampers(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    TAKE(req, call_down(&r, "Record-Route: <sip:scscf@127.0.0.72;lr>\r\n"));
    TAKE(good, answer_to(req, "200 OK", "a1", NULL, small_sdp));
    /* Via of the core and Record-Route changed by the WIC: both come out right. */
    char bad[4000];
    char *top = line_of(good, "Via", 0), *from = line_of(good, "From", 0);
    snprintf(bad, sizeof bad,
             "SIP/2.0 200 OK\r\nVia: %s\r\nVia: SIP/2.0/UDP 127.0.0.99:1;branch=z9hG4bKx\r\n"
             "Record-Route: <sip:evil@127.0.0.99;lr>\r\nFrom: %s\r\nTo: <sip:alice@example.com>;tag=a1\r\n"
             "Call-ID: call-1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
             top, from);
    from_wic(&r, bad);
    TAKE(ok, to_core(&r));
    expect_status(ok, "200");
    expect_not_in(ok, "127.0.0.99");
    expect_in(ok, "branch=z9hG4bKc1");
    expect_in(ok, "scscf@127.0.0.72");
    expect_in(ok, "transport=ws;lr");
    core(&r, core_request(&r, "ACK", "z9hG4bKc2", 1, "a1", token_route(&r, FLOW), NULL));
    TAKE(ack, to_wic(&r));
    free(req), free(good), free(top), free(from), free(ok), free(ack);
    rig_close(&r);
}

static void incoming_cancelled(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    TAKE(req, call_down(&r, NULL));
    wic(&r, answer_to(req, "180 Ringing", "a1", NULL, NULL));
    TAKE(ringing, to_core(&r));
    core(&r, core_request(&r, "CANCEL", "z9hG4bKc1", 1, NULL, token_route(&r, FLOW), NULL));
    TAKE(ok, to_core(&r));
    expect_in(ok, "CSeq: 1 CANCEL");
    expect_status(ok, "200");
    TAKE(cancel, to_wic(&r));
    expect_status(cancel, "CANCEL ");
    char *v1 = line_of(req, "Via", 0), *v2 = line_of(cancel, "Via", 0);
    assert_string_equal(v1, v2);
    wic(&r, answer_to(cancel, "200 OK", "a1", NULL, NULL));
    wic(&r, answer_to(req, "487 Request Terminated", "a1", NULL, NULL));
    TAKE(ack, to_wic(&r));
    expect_status(ack, "ACK ");
    expect_in(ack, "tag=a1");
    TAKE(resp, to_core(&r));
    expect_status(resp, "487");
    core(&r, core_request(&r, "ACK", "z9hG4bKc1", 1, "a1", token_route(&r, FLOW), NULL));
    free(req), free(ringing), free(ok), free(cancel), free(v1), free(v2), free(ack), free(resp);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(register_there_and_back), cmocka_unit_test(rport_answered),
        cmocka_unit_test(keep_answered),
        cmocka_unit_test(outgoing_call_udp),       cmocka_unit_test(outgoing_call_tcp),
        cmocka_unit_test(busy),                    cmocka_unit_test(cancel_after_1xx),
        cmocka_unit_test(cancel_before_1xx),       cmocka_unit_test(cancel_crosses_200),
        cmocka_unit_test(incoming_call),           cmocka_unit_test(wic_tampers),
        cmocka_unit_test(incoming_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
