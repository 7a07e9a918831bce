/* Calls through session/ with every neighbour played by the test (seams.h): what its test programs share. */
#ifndef CALL_FIXTURE_H
#define CALL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "seams.h"

#pragma GCC diagnostic ignored "-Wunused-function" /* no program needs all of them */

#define FP                                                                                             \
    "a=fingerprint:sha-256 49:33:11:EB:70:57:DD:DF:7B:89:D1:1E:3A:E9:7D:93:61:35:08:19:1F:04:8B:C4:20:A6:" \
    "CF:B7:D6:02:BB:42\r\n"
#define WIC_MEDIA(setup, dir)                                                                          \
    "m=audio 54321 UDP/TLS/RTP/SAVPF 0 126\r\nc=IN IP4 10.45.0.2\r\na=rtpmap:0 PCMU/8000\r\n"          \
    "a=rtpmap:126 telephone-event/8000\r\na=ice-ufrag:wicu\r\na=ice-pwd:wicwicwicwicwicwicwicwic\r\n"  \
    "a=candidate:1 1 udp 2122260223 10.45.0.2 54321 typ host\r\n" FP "a=setup:" setup                  \
    "\r\na=mid:0\r\na=rtcp-mux\r\na=" dir "\r\n"
#define WIC_OFFER "v=0\r\no=- 77 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n" WIC_MEDIA("actpass", "sendrecv")
#define WIC_HOLD "v=0\r\no=- 77 3 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n" WIC_MEDIA("actpass", "sendonly")
#define WIC_ANSWER "v=0\r\no=- 77 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n" WIC_MEDIA("active", "sendrecv")
#define CORE_SDP                                                                                       \
    "v=0\r\no=phone 5 5 IN IP4 10.20.0.5\r\ns=-\r\nc=IN IP4 10.20.0.5\r\nt=0 0\r\n"                    \
    "m=audio 30000 RTP/AVP 0 126\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:126 telephone-event/8000\r\n"     \
    "a=sendrecv\r\n"

#define CORE_ROUTE "Record-Route: <sip:scscf@127.0.0.2:4060;lr>\r\n"

static struct epc_config cfg;
static struct epc_sessions *ss;
static struct epc_sip_in *ins[SEAM_MAX];
static int n_ins;
static uint64_t flow = 1; /* on which requests arrive */

static struct epc_sip_in *request(enum epc_leg leg, const char *method, unsigned cseq, const char *to_tag,
                                  const char *from_tag, const char *sdp, const char *extra)
{
    char text[8192];
    snprintf(text, sizeof text,
             "%s sip:phone@ims.test SIP/2.0\r\nVia: SIP/2.0/%s x.invalid;branch=z9hG4bK%d\r\n"
             "Max-Forwards: 69\r\nFrom: <sip:a@ims.test>;tag=%s\r\nTo: <sip:b@ims.test>%s%s\r\n"
             "Call-ID: call-1\r\nCSeq: %u %s\r\nContact: <sip:c@x.invalid;transport=ws>\r\n%s%s"
             "Content-Length: %zu\r\n\r\n%s",
             method, leg == EPC_LEG_WIC ? "WSS" : "UDP", n_ins, from_tag, to_tag ? ";tag=" : "",
             to_tag ? to_tag : "", cseq, method, extra ? extra : "",
             sdp ? "Content-Type: application/sdp\r\n" : "", sdp ? strlen(sdp) : 0, sdp ? sdp : "");
    struct epc_sip_in *in = seam_in(leg, flow, text);
    ins[n_ins++] = in;
    return in;
}

static struct epc_sip_in *receive(enum epc_leg leg, const char *method, unsigned cseq, const char *to_tag,
                                  const char *from_tag, const char *sdp)
{
    struct epc_sip_in *in = request(leg, method, cseq, to_tag, from_tag, sdp, NULL);
    epc_sessions_request(ss, in);
    return in;
}

static void ack(enum epc_leg leg, const char *sdp)
{
    struct epc_sip_in *in = request(leg, "ACK", 1, "callee", "caller", sdp, NULL);
    epc_sessions_ack(ss, leg, flow, msg_dup(in->msg));
}

static char *body(msg_t *msg)
{
    static char text[8192];
    struct epc_str sdp = epc_sip_sdp(sip_object(msg));
    snprintf(text, sizeof text, "%.*s", EPC_STR_ARG(sdp));
    return text;
}

static int setup(void **state)
{
    (void)state;
    static char *audio[] = {(char *)"opus", (char *)"PCMU", (char *)"PCMA"};
    static char *trusted[] = {(char *)"127.0.0.2"};
    cfg = (struct epc_config){0};
    cfg.media.audio_codecs = audio;
    cfg.media.n_audio_codecs = 3;
    cfg.sip.trusted = trusted;
    cfg.sip.n_trusted = 1;
    cfg.sip.core_host = (char *)"127.0.0.3";
    cfg.sip.timer_c_ms = 185000;
    cfg.policy.mode = EPC_POLICY_REQUIRED;
    cfg.policy.audio_bw_bps = 80000;
    cfg.policy.rtcp_percent = 5;
    seams_reset();
    flow = 1;
    struct epc_sessions_opts o = {.shard = (struct epc_shard *)&seam,
                                  .sip = (struct epc_sip *)&seam,
                                  .reg = (struct epc_reg *)&seam,
                                  .gw = (struct epc_gw *)&seam,
                                  .policy = &seam_policy,
                                  .cfg = &cfg};
    assert_int_equal(epc_sessions_create(&ss, &o), EPC_OK);
    epc_sessions_set_wss(ss, (struct epc_wss *)&seam);
    return 0;
}

static void count_view(const struct epc_session_view *v, void *arg)
{
    (void)v;
    ++*(int *)arg;
}

/* Whatever happened: once all transactions are over, nothing is left. */
static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < seam.n_out; i++)
        seam_over(seam.out[i]);
    seams_turn();
    int left = 0;
    epc_sessions_each(ss, count_view, &left);
    assert_int_equal(left, 0);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 0);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS_STARTED), epc_counter_read(EPC_C_SESSIONS_ENDED));
    for (int i = 0; i < seam.n_gw; i++)
        assert_true(seam.gw[i]->released);
    for (int i = 0; i < seam.n_rx; i++)
        assert_true(seam.rx[i]->closed);
    for (int i = 0; i < n_ins; i++) {
        if (sip_object(ins[i]->msg)->sip_request->rq_method != sip_method_ack) {
            assert_true(ins[i]->final >= 200);
            assert_int_equal(ins[i]->released, 1);
        }
        seam_in_free(ins[i]);
    }
    n_ins = 0;
    epc_sessions_destroy(ss);
    seams_reset();
    return 0;
}

/* ---- the ways of a call ---------------------------------------------------------------------------- */

static struct epc_sip_in *offer_from_wic(void)
{
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_OFFER);
    assert_int_equal(seam.n_gw, 1);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_out, 1);
    return in;
}

static struct epc_sip_in *answered_from_wic(void)
{
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 180, "callee", NULL, NULL);
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    assert_int_equal(in->n_answers, 1); /* the 200 waits */
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(in->n_answers, 1); /* for the PCRF as well */
    assert_int_equal(seam.n_rx_requests, 1);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(in->final, 200);
    ack(EPC_LEG_WIC, NULL);
    assert_int_equal(seam.n_ack, 1);
    return in;
}

static struct epc_sip_in *answered_from_core(void)
{
    struct epc_sip_in *in = request(EPC_LEG_CORE, "INVITE", 1, NULL, "caller", CORE_SDP,
                                    "Record-Route: <sip:scscf@127.0.0.2:4060;lr>\r\n");
    epc_sessions_request(ss, in);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_out, 1);
    assert_int_equal(seam.out[0]->leg, EPC_LEG_WIC);
    seam_respond(seam.out[0], 180, "callee", NULL, NULL);
    seam_respond(seam.out[0], 200, "callee", WIC_ANSWER, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(in->final, 200);
    ack(EPC_LEG_CORE, NULL);
    return in;
}

static void bye(enum epc_leg leg, const char *from_tag, const char *to_tag)
{
    struct epc_sip_in *in = receive(leg, "BYE", 9, to_tag, from_tag, NULL);
    struct epc_sip_out *out = seam.out[seam.n_out - 1];
    assert_int_equal(sip_object(out->msg)->sip_request->rq_method, sip_method_bye);
    seam_respond(out, 200, "callee", NULL, NULL);
    assert_int_equal(in->final, 200);
}

static struct epc_sip_in *hang_up(void)
{
    int next = seam.n_out;
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "BYE", 9, "callee", "caller", NULL);
    assert_int_equal(seam.n_out, next + 1);
    seam_respond(seam.out[next], 200, "callee", NULL, NULL);
    seam_over(seam.out[next]);
    return in;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
