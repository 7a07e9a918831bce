/* What must not get through, and what must end by itself. */
#include "harness.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
static void wic_says(struct rig *r, const char *status)
{
    char *m = to_wic(r);
    expect_status(m, status);
    free(m);
}
static void core_says(struct rig *r, const char *status)
{
    char *m = to_core(r);
    expect_status(m, status);
    free(m);
}

static void malformed_from_wic(void **state)
{
    static const struct {
        const char *text, *status; /* status NULL: nothing is sent back */
    } t[] = {
        {"garbage\r\n\r\n", NULL},
        {"INVITE sip:a@b SIP/2.0\r\n\r\n", NULL},
        {"\0INVITE", NULL},
        {"SIP/2.0 200 OK\r\nVia: SIP/2.0/WSS x;branch=z9hG4bK1\r\n\r\n", NULL},
        {"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/WSS x;branch=z9hG4bK1\r\nFrom: <sip:a@b>\r\nTo: <sip:b@b>\r\n"
         "Call-ID: c\r\nCSeq: 1 INVITE\r\n\r\n", "400 Missing or bad From tag"},
        {"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/WSS x;branch=1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\n"
         "Call-ID: c\r\nCSeq: 1 INVITE\r\n\r\n", "400"},
        {"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/WSS x;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\n"
         "Call-ID: c\r\nCSeq: 1 BYE\r\n\r\n", "400 CSeq"},
        {"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/WSS x;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\n"
         "Call-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 5\r\n\r\nabc", "400"},
        {"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/WSS x;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\n"
         "Call-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 1\r\n\r\nabc", "400"},
        {"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/WSS x;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\n"
         "Call-ID: c\r\nCSeq: 1 INVITE\r\nMax-Forwards: 0\r\n\r\n", "483"},
        {"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/WSS x;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\n"
         "Call-ID: c\r\nCSeq: 1 INVITE\r\nProxy-Require: magic\r\n\r\n", "420"},
        {"INVITE sip:a@b SIP/3.0\r\nVia: SIP/2.0/WSS x;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\n"
         "Call-ID: c\r\nCSeq: 1 INVITE\r\n\r\n", "505"},
        {"ACK sip:a@b SIP/2.0\r\nVia: SIP/2.0/WSS x;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\n"
         "Call-ID: c\r\nCSeq: 1 ACK\r\nMax-Forwards: 0\r\n\r\n", NULL},
    };
    struct rig r;
    (void)state;
    rig_open(&r);
    int64_t in = epc_counter_read(EPC_C_SIP_WIC_IN), bad = epc_counter_read(EPC_C_SIP_WIC_MALFORMED);
    for (size_t i = 0; i < EPC_ARRAY_LEN(t); i++) {
        if (i == 2)
            epc_sip_from_wic(r.s, r.flow, "\0INVITE", 7);
        else
            from_wic(&r, t[i].text);
        char *m = fake_flow_take(r.w, FLOW);
        if (!t[i].status && m)
            fail_msg("case %zu answered: %s", i, m);
        if (t[i].status) {
            assert_non_null(m);
            expect_status(m, t[i].status);
            if (i == 10)
                expect_in(m, "Unsupported: magic\r\n");
        }
        free(m);
    }
    int64_t cases = (int64_t)EPC_ARRAY_LEN(t);
    assert_int_equal(epc_counter_read(EPC_C_SIP_WIC_IN) - in, cases);
    assert_int_equal(epc_counter_read(EPC_C_SIP_WIC_MALFORMED) - bad, cases);
    assert_int_equal(r.n_calls, 0);
    rig_close(&r);
}

/* A line end that others read differently could make two messages of one at the core. */
static void torn_lines_from_wic(void **state)
{
#define START "MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/WSS x;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n" \
              "To: <sip:b@b>\r\nCall-ID: c\r\nCSeq: 1 MESSAGE\r\n"
    static const char *const not_sip[] = {
        START "X: a\n\r\n", START "X: a\nY: b\r\n\r\n", START "X: a\rY: b\r\n\r\n", START "X: a\n\nbody\r\n\r\n",
        START "X: a\r\r\n\r\n", START "\n", START, START "X: a\r\n\r", "\nMESSAGE sip:a@b SIP/2.0\r\n\r\n",
    };
    static const char *const no_body[] = {
        START "\r\nMESSAGE sip:c@d SIP/2.0\r\n\r\n", START "Content-Length: 3\r\n\r\nabc",
    };
    struct rig r;
    (void)state;
    rig_open(&r);
    int64_t bad = epc_counter_read(EPC_C_SIP_WIC_MALFORMED);
    for (size_t i = 0; i < EPC_ARRAY_LEN(not_sip); i++) {
        from_wic(&r, not_sip[i]);
        nothing_to_wic(&r, 0);
    }
    for (size_t i = 0; i < EPC_ARRAY_LEN(no_body); i++) {
        from_wic(&r, no_body[i]);
        char *m = to_wic(&r);
        expect_status(m, "400 Body without Content-Type");
        free(m);
    }
    assert_int_equal(epc_counter_read(EPC_C_SIP_WIC_MALFORMED) - bad,
                     EPC_ARRAY_LEN(not_sip) + EPC_ARRAY_LEN(no_body));
    assert_int_equal(r.n_calls, 0);
    rig_close(&r);
#undef START
}

/* A continued line goes on in one piece. */
static void folded_lines_from_wic(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    char *m = wic_request("MESSAGE", "z9hG4bKf", 1, NULL,
                          "Subject: one\r\n two\r\n\tthree\r\nX-Quoted: \"a\r\n P-Asserted-Identity: b\"\r\n", NULL);
    from_wic(&r, m);
    free(m);
    m = to_core(&r);
    expect_in(m, "Subject: one   two  \tthree\r\n");
    expect_in(m, "X-Quoted: \"a   P-Asserted-Identity: b\"\r\n");
    core(&r, answer_to(m, "200 OK", "t", NULL, NULL));
    wic_says(&r, "200");
    free(m);
    rig_close(&r);
}

static void too_many_headers(void **state)
{
    struct rig r;
    struct epc_buf b = {0};
    (void)state;
    rig_open(&r);
    epc_buf_adds(&b, "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/WSS x;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
                     "To: <sip:b@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n");
    for (int i = 0; i < 300; i++)
        epc_buf_printf(&b, "X-%d: y\r\n", i);
    epc_buf_adds(&b, "\r\n");
    from_wic(&r, b.p);
    nothing_to_wic(&r, 0);
    assert_int_equal(r.n_calls, 0);
    epc_buf_free(&b);
    rig_close(&r);
}

static void keepalive(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    from_wic(&r, "\r\n\r\n");
    char *pong = to_wic(&r);
    assert_string_equal(pong, "\r\n");
    free(pong);
    from_wic(&r, "\r\n");
    nothing_to_wic(&r, 0);
    rig_close(&r);
}

static void unknown_method_passes(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    wic(&r, wic_request("FROBNICATE", "z9hG4bKf", 1, NULL, NULL, NULL));
    char *req = to_core(&r);
    expect_status(req, "FROBNICATE ");
    core(&r, answer_to(req, "405 Method Not Allowed", "t", NULL, NULL));
    wic_says(&r, "405");
    free(req);
    rig_close(&r);
}

static void foreign_token_from_wic(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    int64_t bad = epc_counter_read(EPC_C_SIP_TOKEN_BAD);
    wic(&r, wic_request("BYE", "z9hG4bK1", 2, "t", token_route(&r, 43), NULL));
    wic_says(&r, "403");
    char forged[300];
    snprintf(forged, sizeof forged, "%s", token_route(&r, FLOW));
    forged[20] = forged[20] == 'x' ? 'y' : 'x';
    wic(&r, wic_request("BYE", "z9hG4bK2", 2, "t", forged, NULL));
    wic_says(&r, "403");
    char two[600]; /* our own token first, then another flow's */
    snprintf(two, sizeof two, "%s", token_route(&r, FLOW));
    snprintf(two + strlen(two), sizeof two - strlen(two), "%s", token_route(&r, 43));
    wic(&r, wic_request("BYE", "z9hG4bK4", 2, "t", two, NULL));
    wic_says(&r, "403");
    wic(&r, wic_request("ACK", "z9hG4bK3", 2, "t", token_route(&r, 43), NULL));
    assert_int_equal(r.acks, 0);
    assert_int_equal(epc_counter_read(EPC_C_SIP_TOKEN_BAD) - bad, 3);
    assert_int_equal(r.n_calls, 0);
    nothing_to_core(&r, 10);
    rig_close(&r);
}

static void core_side_refusals(void **state)
{
    struct rig r;
    char forged[300], stripped[100];
    (void)state;
    rig_open(&r);
    (void)fake_flow_open(r.w, 50);
    fake_flow_gone(r.w, 50);
    snprintf(forged, sizeof forged, "%s", token_route(&r, FLOW));
    forged[20] = forged[20] == 'x' ? 'y' : 'x';
    core(&r, core_request(&r, "MESSAGE", "z9hG4bK1", 1, NULL, forged, NULL));
    core_says(&r, "403");
    core(&r, core_request(&r, "MESSAGE", "z9hG4bK2", 1, NULL, token_route(&r, 50), NULL));
    core_says(&r, "430 Flow Failed");
    core(&r, core_request(&r, "BYE", "z9hG4bK3", 1, "tag", token_route(&r, 50), NULL));
    core_says(&r, "481");
    r.cfg.no_outbound_480 = true;
    core(&r, core_request(&r, "MESSAGE", "z9hG4bK4", 1, NULL, token_route(&r, 50), NULL));
    core_says(&r, "480");
    core(&r, core_request(&r, "OPTIONS", "z9hG4bK5", 1, NULL, NULL, NULL));
    core_says(&r, "200");
    core(&r, core_request(&r, "MESSAGE", "z9hG4bK6", 1, NULL, NULL, NULL));
    core_says(&r, "404");
    core(&r, core_request(&r, "INFO", "z9hG4bK7", 1, "tag", NULL, NULL));
    core_says(&r, "481");
    core(&r, core_request(&r, "NOTIFY", "z9hG4bK7n", 1, "tag", NULL, NULL)); /* handed up */
    core_says(&r, "489");
    core(&r, core_request(&r, "CANCEL", "z9hG4bK8", 1, NULL, token_route(&r, FLOW), NULL));
    core_says(&r, "481");
    snprintf(stripped, sizeof stripped, "Proxy-Require: magic\r\n");
    core(&r, core_request(&r, "MESSAGE", "z9hG4bK9", 1, NULL, stripped, NULL));
    char *m = to_core(&r);
    expect_status(m, "420");
    expect_in(m, "Unsupported: magic");
    free(m);
    /* An INVITE refused: the answer is repeated until the ACK, which goes no further. */
    core(&r, core_request(&r, "INVITE", "z9hG4bK10", 1, NULL, token_route(&r, 50), NULL));
    core_says(&r, "480");
    core(&r, core_request(&r, "ACK", "z9hG4bK10", 1, "x", token_route(&r, 50), NULL));
    assert_int_equal(r.acks, 0);
    assert_int_equal(r.n_calls, 0);
    nothing_to_wic(&r, 10);
    rig_close(&r);
}

static void untrusted_source(void **state)
{
    struct rig r;
    struct peer other;
    (void)state;
    rig_open(&r);
    peer_open(&other, r.sh, "127.0.0.73", r.port, "127.0.0.71", r.port);
    int64_t before = epc_counter_read(EPC_C_SIP_CORE_UNTRUSTED);
    char *req = core_request(&r, "INVITE", "z9hG4bK1", 1, NULL, token_route(&r, FLOW), NULL);
    memcpy(strstr(req, "127.0.0.72"), "127.0.0.73", 10);
    peer_send_udp(&other, req);
    char *m = peer_recv(&other, 2000);
    assert_non_null(m);
    expect_status(m, "403");
    free(m);
    free(req);
    req = core_request(&r, "ACK", "z9hG4bK1", 1, "x", token_route(&r, FLOW), NULL);
    peer_send_udp(&other, req);
    free(req);
    turns(&r, 20);
    assert_int_equal(r.n_calls, 0);
    assert_int_equal(r.acks, 0);
    assert_int_equal(epc_counter_read(EPC_C_SIP_CORE_UNTRUSTED) - before, 2);
    peer_close(&other);
    rig_close(&r);
}

static void stray_responses(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    int64_t c = epc_counter_read(EPC_C_SIP_CORE_STRAY), w = epc_counter_read(EPC_C_SIP_WIC_STRAY);
    char *req = wic_request("INVITE", "z9hG4bKnobody", 1, NULL, NULL, NULL);
    wic(&r, answer_to(req, "200 OK", "t", NULL, NULL));
    free(req);
    req = core_request(&r, "INVITE", "z9hG4bKnobody", 1, NULL, NULL, NULL);
    core(&r, answer_to(req, "200 OK", "t", NULL, NULL));
    free(req);
    turns(&r, 20);
    assert_int_equal(epc_counter_read(EPC_C_SIP_CORE_STRAY) - c, 1);
    assert_int_equal(epc_counter_read(EPC_C_SIP_WIC_STRAY) - w, 1);
    nothing_to_core(&r, 5);
    rig_close(&r);
}

/* A core call of which the WIC says nothing. */
static void wic_silent(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    r.cfg.wic_timeout_ms = 60;
    core(&r, core_request(&r, "MESSAGE", "z9hG4bK1", 1, NULL, token_route(&r, FLOW), NULL));
    free(to_wic(&r));
    core_says(&r, "408");
    assert_int_equal(r.calls[0].local, 408);
    core(&r, core_request(&r, "INVITE", "z9hG4bK2", 2, NULL, token_route(&r, FLOW), NULL));
    core_says(&r, "100");
    char *inv = to_wic(&r);
    core_says(&r, "408");
    /* A late 200 still reaches the room, and no more the core. */
    unsigned before = r.calls[1].responses;
    wic(&r, answer_to(inv, "200 OK", "t", NULL, NULL));
    assert_int_equal(r.calls[1].responses, before + 1);
    nothing_to_core(&r, 10);
    core(&r, core_request(&r, "ACK", "z9hG4bK2", 2, "x", token_route(&r, FLOW), NULL));
    free(inv);
    rig_close(&r);
}

static void another_flows_answer(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    struct epc_flow *thief = fake_flow_open(r.w, 51);
    core(&r, core_request(&r, "MESSAGE", "z9hG4bK1", 1, NULL, token_route(&r, FLOW), NULL));
    char *req = to_wic(&r);
    char *answer = answer_to(req, "200 OK", "t", NULL, NULL);
    epc_sip_from_wic(r.s, thief, answer, strlen(answer));
    nothing_to_core(&r, 10);
    from_wic(&r, answer);
    core_says(&r, "200");
    free(req);
    free(answer);
    rig_close(&r);
}

/* A field that may come once came twice, and one cannot be read: the answer goes on without them. */
static void doubled_field(void **state)
{
    static const char extra[] = "Server: first\r\nServer: second\r\nServer: third\r\nMin-Expires: x\r\n";
    struct rig r;
    (void)state;
    rig_open(&r);
    core(&r, core_request(&r, "MESSAGE", "z9hG4bK1", 1, NULL, token_route(&r, FLOW), NULL));
    char *req = to_wic(&r);
    wic(&r, answer_to(req, "200 OK", "t", extra, NULL));
    char *answer = to_core(&r);
    expect_status(answer, "200");
    expect_not_in(answer, "second");
    expect_not_in(answer, "third");
    expect_not_in(answer, "Min-Expires");
    free(answer);
    free(req);
    wic(&r, wic_request("MESSAGE", "z9hG4bK2", 2, NULL, NULL, NULL));
    req = to_core(&r);
    core(&r, answer_to(req, "200 OK", "t", extra, NULL));
    answer = to_wic(&r);
    expect_status(answer, "200");
    expect_not_in(answer, "second");
    free(answer);
    free(req);
    rig_close(&r);
}

static void flow_closes(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    /* one call each way and a MESSAGE each way, all open */
    wic(&r, wic_request("INVITE", "z9hG4bK1", 1, NULL, NULL, NULL));
    wic_says(&r, "100");
    char *up = to_core(&r);
    core(&r, answer_to(up, "180 Ringing", "b", NULL, NULL));
    wic_says(&r, "180");
    core(&r, core_request(&r, "INVITE", "z9hG4bK2", 1, NULL, token_route(&r, FLOW), NULL));
    core_says(&r, "100");
    free(to_wic(&r));
    core(&r, core_request(&r, "MESSAGE", "z9hG4bK3", 2, NULL, token_route(&r, FLOW), NULL));
    free(to_wic(&r));
    fake_flow_gone(r.w, FLOW);
    epc_sip_flow_closed(r.s, FLOW);
    assert_int_equal(r.calls[1].local, 408);
    assert_int_equal(r.calls[2].local, 408);
    assert_null(r.calls[1].out);
    char *a = to_core(&r), *b = to_core(&r);
    expect_status(a, "408");
    expect_status(b, "408");
    free(a);
    free(b);
    core(&r, core_request(&r, "ACK", "z9hG4bK2", 1, "x", token_route(&r, FLOW), NULL));
    /* The WIC's own call goes on towards the core; its answers send nowhere. */
    assert_non_null(r.calls[0].in);
    epc_sip_out_cancel(r.calls[0].out, NULL);
    char *cancel = to_core(&r);
    while (strncmp(cancel, "CANCEL", 6) != 0) {
        free(cancel);
        cancel = to_core(&r);
    }
    core(&r, answer_to(cancel, "200 OK", "b", NULL, NULL));
    core(&r, answer_to(up, "487 Request Terminated", "b", NULL, NULL));
    free(up);
    free(cancel);
    rig_close(&r); /* the INVITE server transaction waits for no ACK for ever */
}

static void room_forgets(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    r.hold = true;
    wic(&r, wic_request("MESSAGE", "z9hG4bK1", 1, NULL, NULL, NULL));
    epc_sip_in_release(r.calls[0].in);
    wic_says(&r, "500");
    core(&r, core_request(&r, "MESSAGE", "z9hG4bK1", 1, NULL, token_route(&r, FLOW), NULL));
    uint64_t until = epc_now_ms() + 2000;
    while (r.n_calls < 2 && epc_now_ms() < until)
        turns(&r, 1);
    assert_int_equal(r.n_calls, 2);
    epc_sip_in_release(r.calls[1].in);
    core_says(&r, "500");
    rig_close(&r);
}

static bool told;
static void note_cancel(void *arg, struct epc_sip_in *in, const sip_t *cancel)
{
    (void)arg;
    told = cancel != NULL;
    epc_sip_in_reply(in, 487, NULL, NULL);
    epc_sip_in_release(in); /* inside the callback */
}

/* The room asks for the CANCEL only after it came. */
static void cancel_overtakes(void **state)
{
    (void)state;
    for (int leg = 0; leg < 2; leg++) {
        struct rig r;
        rig_open(&r);
        r.hold = true;
        told = false;
        if (leg) {
            core(&r, core_request(&r, "INVITE", "z9hG4bK1", 1, NULL, token_route(&r, FLOW), NULL));
            core_says(&r, "100");
            core(&r, core_request(&r, "CANCEL", "z9hG4bK1", 1, NULL, token_route(&r, FLOW), NULL));
            core_says(&r, "200");
        } else {
            wic(&r, wic_request("INVITE", "z9hG4bK1", 1, NULL, NULL, NULL));
            wic_says(&r, "100");
            wic(&r, wic_request("CANCEL", "z9hG4bK1", 1, NULL, NULL, NULL));
            wic_says(&r, "200");
        }
        epc_sip_in_on_cancel(r.calls[0].in, note_cancel, NULL);
        assert_false(told);
        if (leg) {
            core_says(&r, "487");
            core(&r, core_request(&r, "ACK", "z9hG4bK1", 1, "x", token_route(&r, FLOW), NULL));
        } else {
            wic_says(&r, "487");
            wic(&r, wic_request("ACK", "z9hG4bK1", 1, "x", NULL, NULL));
        }
        assert_true(told);
        turns(&r, 10);
        rig_close(&r);
    }
}

static void refuse_with_cause(void **state)
{
    struct rig r;
    struct epc_cause c = {0};
    (void)state;
    rig_open(&r);
    r.hold = true;
    wic(&r, wic_request("MESSAGE", "z9hG4bK1", 1, NULL, NULL, NULL));
    epc_cause_set(&c, 503, "RFC 3261 21.5.4", "Busy\r\nX-Evil: 1");
    c.retry_after_s = 7;
    epc_sip_in_refuse(r.calls[0].in, &c);
    assert_int_equal(epc_sip_in_final_status(r.calls[0].in), 503);
    epc_sip_in_reply(r.calls[0].in, 200, NULL, NULL); /* too late */
    epc_sip_in_release(r.calls[0].in);
    char *m = to_wic(&r);
    expect_status(m, "503 Busy\r\n");
    expect_in(m, "Retry-After: 7\r\n");
    expect_in(m, ";tag=");
    expect_not_in(m, "X-Evil");
    free(m);
    nothing_to_wic(&r, 5);
    rig_close(&r);
}

static void bad_extra_header(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    r.hold = true;
    wic(&r, wic_request("MESSAGE", "z9hG4bK1", 1, NULL, NULL, NULL));
    epc_sip_in_reply(r.calls[0].in, 423, NULL, "Min-Expires: many\r\n");
    epc_sip_in_release(r.calls[0].in);
    wic_says(&r, "423");
    wic(&r, wic_request("MESSAGE", "z9hG4bK2", 2, NULL, NULL, NULL));
    epc_sip_in_reply(r.calls[1].in, 401, NULL,
                     "WWW-Authenticate: Bearer realm=\"x\", error=\"invalid_token\"\r\nX-More: 1\r\n");
    epc_sip_in_release(r.calls[1].in);
    char *m = to_wic(&r);
    expect_in(m, "WWW-Authenticate: Bearer realm=\"x\", error=\"invalid_token\"\r\n");
    expect_in(m, "X-More: 1\r\n");
    free(m);
    rig_close(&r);
}

static void no_next_hop(void **state)
{
    static const char *const hops[] = {"sip:scscf.example.com;lr", "sip:x.invalid", "sips:127.0.0.72",
                                       "sip:127.0.0.72;transport=tls", "tel:+1555", "sip:127.0.0.72:0",
                                       "sip:127.0.0.72:99999", "nonsense", ""};
    struct rig r;
    (void)state;
    rig_open(&r);
    for (size_t i = 0; i < EPC_ARRAY_LEN(hops); i++) {
        char branch[40];
        snprintf(branch, sizeof branch, "z9hG4bKn%zu", i);
        snprintf(r.next_hop, sizeof r.next_hop, "%s", hops[i]);
        wic(&r, wic_request("MESSAGE", branch, 1, NULL, NULL, NULL));
        wic_says(&r, "503");
        assert_true(r.calls[i].failed);
    }
    /* A Route to a name must not make anything ask the DNS either. */
    wic(&r, wic_request("MESSAGE", "z9hG4bKz", 1, NULL, "Route: <sip:evil.example.com;lr>\r\n", NULL));
    wic_says(&r, "503");
    nothing_to_core(&r, 5);
    rig_close(&r);
}

static void core_refuses_tcp(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    snprintf(r.next_hop, sizeof r.next_hop, "sip:127.0.0.74:9;transport=tcp");
    wic(&r, wic_request("INVITE", "z9hG4bK1", 1, NULL, NULL, NULL));
    wic_says(&r, "100");
    wic_says(&r, "503");
    assert_int_equal(r.calls[0].local, 503);
    wic(&r, wic_request("ACK", "z9hG4bK1", 1, "x", NULL, NULL));
    rig_close(&r);
}

static void cancel_without_end(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    r.s->timer_b_ms = 600; /* the CANCEL is not answered either */
    wic(&r, wic_request("INVITE", "z9hG4bK1", 1, NULL, NULL, NULL));
    wic_says(&r, "100");
    char *req = to_core(&r);
    core(&r, answer_to(req, "180 Ringing", "b", NULL, NULL));
    wic_says(&r, "180");
    wic(&r, wic_request("CANCEL", "z9hG4bK1", 1, NULL, NULL, NULL));
    wic_says(&r, "200");
    core_says(&r, "CANCEL ");
    wic_says(&r, "408"); /* nothing more came: given up after 64*T1 */
    wic(&r, wic_request("ACK", "z9hG4bK1", 1, "x", NULL, NULL));
    free(req);
    rig_close(&r);
}

static void timer_c(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    r.cfg.timer_c_ms = 50;
    wic(&r, wic_request("INVITE", "z9hG4bK1", 1, NULL, NULL, NULL));
    wic_says(&r, "100");
    char *req = to_core(&r);
    core(&r, answer_to(req, "180 Ringing", "b", NULL, NULL));
    wic_says(&r, "180");
    char *cancel = to_core(&r);
    expect_status(cancel, "CANCEL ");
    core(&r, answer_to(cancel, "200 OK", "b", NULL, NULL));
    core(&r, answer_to(req, "487 Request Terminated", "b", NULL, NULL));
    wic_says(&r, "487");
    wic(&r, wic_request("ACK", "z9hG4bK1", 1, "x", NULL, NULL));
    free(req);
    free(cancel);
    rig_close(&r);
}

static void ended_with_all_open(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    wic(&r, wic_request("INVITE", "z9hG4bK1", 1, NULL, NULL, NULL));
    wic_says(&r, "100");
    free(to_core(&r));
    core(&r, core_request(&r, "INVITE", "z9hG4bK2", 1, NULL, token_route(&r, FLOW), NULL));
    core_says(&r, "100");
    free(to_wic(&r));
    wic(&r, wic_request("MESSAGE", "z9hG4bK3", 1, NULL, NULL, NULL));
    free(to_core(&r));
    epc_sip_destroy(r.s);
    assert_int_equal(epc_counter_read(EPC_C_SIP_TX_WIC), r.base_wic);
    assert_int_equal(epc_counter_read(EPC_C_SIP_TX_CORE), r.base_core);
    peer_close(&r.core);
    fake_wss_free(r.w);
    fake_shard_free(r.sh);
}

static void detached(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    wic(&r, wic_request("MESSAGE", "z9hG4bK1", 1, NULL, NULL, NULL));
    char *req = to_core(&r);
    epc_sip_out_detach(r.calls[0].out);
    epc_sip_in_reply(r.calls[0].in, 480, NULL, NULL);
    epc_sip_in_release(r.calls[0].in);
    wic_says(&r, "480");
    core(&r, answer_to(req, "200 OK", "t", NULL, NULL));
    nothing_to_wic(&r, 10);
    assert_int_equal(r.calls[0].responses, 0);
    free(req);
    epc_sip_out_detach(NULL);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_from_wic),  cmocka_unit_test(torn_lines_from_wic),
        cmocka_unit_test(folded_lines_from_wic), cmocka_unit_test(too_many_headers),
        cmocka_unit_test(keepalive),           cmocka_unit_test(unknown_method_passes),
        cmocka_unit_test(foreign_token_from_wic), cmocka_unit_test(core_side_refusals),
        cmocka_unit_test(untrusted_source),    cmocka_unit_test(stray_responses),
        cmocka_unit_test(wic_silent),          cmocka_unit_test(another_flows_answer),
        cmocka_unit_test(doubled_field),
        cmocka_unit_test(flow_closes),         cmocka_unit_test(room_forgets),
        cmocka_unit_test(cancel_overtakes),    cmocka_unit_test(refuse_with_cause),
        cmocka_unit_test(bad_extra_header),    cmocka_unit_test(no_next_hop),
               cmocka_unit_test(core_refuses_tcp),
        cmocka_unit_test(cancel_without_end),  cmocka_unit_test(timer_c),
        cmocka_unit_test(ended_with_all_open), cmocka_unit_test(detached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
