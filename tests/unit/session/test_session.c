/* Calls, one event at a time, with every door around session/ played by seams.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "seams.h"

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

static struct epc_config cfg;
static struct epc_sessions *ss;
static struct epc_sip_in *ins[SEAM_MAX];
static int n_ins;

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
    struct epc_sip_in *in = seam_in(leg, 1, text);
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
    epc_sessions_ack(ss, leg, 1, msg_dup(in->msg));
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
    seams_reset();
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

/* Whatever happened: once all transactions are over, nothing is left. */
static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < seam.n_out; i++)
        seam_over(seam.out[i]);
    seams_turn();
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

static void originating(void **state)
{
    (void)state;
    struct epc_sip_in *in = answered_from_wic();
    const sip_t *sent = sip_object(seam.out[0]->msg);
    assert_string_equal(sent->sip_route->r_url->url_user, "orig");
    assert_true(epc_str_eqc(epc_sip_get(seam.out[0]->msg, "P-Asserted-Identity", 0), "<sip:alice@ims.test>"));
    assert_non_null(epc_sip_get(seam.out[0]->msg, "P-Charging-Vector", 0).p);
    char *sdp = body(seam.out[0]->msg);
    assert_non_null(strstr(sdp, "m=audio 50000 RTP/AVP"));
    assert_null(strstr(sdp, "ice-"));
    assert_null(strstr(sdp, "fingerprint"));
    sdp = body(in->answer[1]);
    assert_non_null(strstr(sdp, "m=audio 40000 UDP/TLS/RTP/SAVPF"));
    assert_null(strstr(sdp, "10.20.0.5"));
    /* the ACK goes the dialog's way */
    assert_string_equal(sip_object(seam.ack[0])->sip_route->r_url->url_user, "far");
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void terminating(void **state)
{
    (void)state;
    struct epc_sip_in *in = answered_from_core();
    assert_non_null(strstr(body(seam.out[0]->msg), "UDP/TLS/RTP/SAVPF"));
    assert_non_null(strstr(body(in->answer[1]), "m=audio 50000 RTP/AVP"));
    assert_true(epc_str_eqc(epc_sip_get(in->answer[1], "P-Asserted-Identity", 0), "<sip:alice@ims.test>"));
    bye(EPC_LEG_CORE, "caller", "callee");
}

static void callee_hangs_up(void **state)
{
    (void)state;
    answered_from_wic();
    bye(EPC_LEG_CORE, "callee", "caller");
    assert_int_equal(receive(EPC_LEG_WIC, "BYE", 9, "callee", "caller", NULL)->final, 481);
}

static void hold(void **state)
{
    (void)state;
    answered_from_wic();
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 2, "callee", "caller", WIC_HOLD);
    seam_gw_done(seam.gw[0], true);
    assert_non_null(strstr(body(seam.out[1]->msg), "a=sendonly"));
    assert_string_equal(sip_object(seam.out[1]->msg)->sip_route->r_url->url_user, "far");
    seam_respond(seam.out[1], 200, "callee", CORE_SDP "a=recvonly\r\n", NULL);
    seam_gw_done(seam.gw[0], true);
    if (seam.rx[0]->done)
        seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(in->final, 200);
    ack(EPC_LEG_WIC, NULL);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void reoffer_rejected(void **state)
{
    (void)state;
    answered_from_wic();
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 2, "callee", "caller", WIC_HOLD);
    seam_gw_done(seam.gw[0], true);
    seam_respond(seam.out[1], 488, "callee", NULL, NULL);
    assert_int_equal(in->final, 488);
    assert_int_equal(seam.restores, 1);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 1);
    bye(EPC_LEG_WIC, "caller", "callee");
}

/* ---- refusals --------------------------------------------------------------------------------------------- */

static void not_registered(void **state)
{
    (void)state;
    seam.registered = false;
    assert_int_equal(receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_OFFER)->final, 403);
    assert_int_equal(receive(EPC_LEG_CORE, "INVITE", 1, NULL, "caller", CORE_SDP)->final, 480);
}

static void no_service_route(void **state)
{
    (void)state;
    seam.no_service_route = true;
    assert_int_equal(receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_OFFER)->final, 403);
}

static void offer_without_dtls(void **state)
{
    (void)state;
    assert_int_equal(receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", CORE_SDP)->final, 488);
    assert_int_equal(seam.n_out, 0);
}

static void gateway_down(void **state)
{
    (void)state;
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_OFFER);
    seam_gw_done(seam.gw[0], false);
    assert_int_equal(in->final, 503);
    assert_int_equal(seam.n_out, 0);
}

static void gateway_fails_at_the_answer(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], false);
    assert_int_equal(in->final, 503);
    assert_int_equal(seam.n_ack, 1);
    assert_int_equal(seam.n_out, 2);
    assert_int_equal(sip_object(seam.out[1]->msg)->sip_request->rq_method, sip_method_bye);
    assert_string_equal(sip_object(seam.out[1]->msg)->sip_route->r_url->url_user, "far");
}

static void pcrf_refuses(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(seam.rx[0], EPC_POLICY_REFUSED, 5063);
    assert_int_equal(in->final, 500);
    assert_int_equal(seam.n_ack, 1);
    assert_int_equal(sip_object(seam.out[1]->msg)->sip_request->rq_method, sip_method_bye);
}

static void pcrf_refuses_terminating(void **state)
{
    (void)state;
    struct epc_sip_in *in = receive(EPC_LEG_CORE, "INVITE", 1, NULL, "caller", CORE_SDP);
    seam_gw_done(seam.gw[0], true);
    seam_respond(seam.out[0], 200, "callee", WIC_ANSWER, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(seam.rx[0], EPC_POLICY_REFUSED, 5063);
    assert_int_equal(in->final, 500);
    assert_int_equal(seam.ack_leg[0], EPC_LEG_WIC);
    assert_int_equal(seam.out[1]->leg, EPC_LEG_WIC);
}

static void pcrf_silent(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(seam.rx[0], EPC_POLICY_TIMED_OUT, 0);
    assert_int_equal(in->final, 503);
}

static void pcrf_silent_but_optional(void **state)
{
    (void)state;
    cfg.policy.mode = EPC_POLICY_OPTIONAL;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(seam.rx[0], EPC_POLICY_TIMED_OUT, 0);
    assert_int_equal(in->final, 200);
    ack(EPC_LEG_WIC, NULL);
    bye(EPC_LEG_WIC, "caller", "callee");
}

/* ---- races and ends ------------------------------------------------------------------------------------------ */

static void cancel_while_reserving(void **state)
{
    (void)state;
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_OFFER);
    seam_cancel(in);
    assert_int_equal(in->final, 487);
    assert_int_equal(seam.n_out, 0);
    assert_true(seam.gw[0]->released);
}

static void cancel_in_progress(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 180, "callee", NULL, NULL);
    seam_cancel(in);
    assert_true(seam.out[0]->cancelled);
    seam_respond(seam.out[0], 487, "callee", NULL, NULL);
    assert_int_equal(in->final, 487);
}

static void cancel_crosses_200(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_cancel(in);
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(in->final, 200);
    ack(EPC_LEG_WIC, NULL);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void flow_lost_in_call(void **state)
{
    (void)state;
    answered_from_wic();
    epc_sessions_flow_closed(ss, 1);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 0);
    assert_int_equal(seam.n_out, 2);
    assert_int_equal(seam.out[1]->leg, EPC_LEG_CORE);
    assert_true(seam.gw[0]->released);
    assert_true(seam.rx[0]->closed);
}

static void flow_lost_while_policy_is_asked(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    epc_sessions_flow_closed(ss, 1);
    assert_int_equal(in->final, 480);
    assert_int_equal(seam.n_ack, 1); /* the far side had answered: it is told */
    assert_int_equal(sip_object(seam.out[1]->msg)->sip_request->rq_method, sip_method_bye);
}

static void pcrf_aborts(void **state)
{
    (void)state;
    answered_from_wic();
    struct epc_policy_event ev = {.kind = EPC_PEV_ABORT};
    seam.rx[0]->event(seam.rx[0]->event_arg, &ev);
    assert_int_equal(seam.n_out, 3);
    assert_true(seam.out[1]->leg != seam.out[2]->leg);
    assert_non_null(epc_sip_get(seam.out[1]->msg, "Reason", 0).p);
}

static void media_lost_and_recovered(void **state)
{
    (void)state;
    answered_from_wic();
    struct epc_policy_event lost = {.kind = EPC_PEV_ALL_MEDIA_LOST}, back = {.kind = EPC_PEV_RECOVERED};
    seam.rx[0]->event(seam.rx[0]->event_arg, &lost);
    seam.rx[0]->event(seam.rx[0]->event_arg, &back);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 1);
    seam.rx[0]->event(seam.rx[0]->event_arg, &lost);
    assert_true(seams_fire_timer());
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 0);
}

static void repeated_200(void **state)
{
    (void)state;
    struct epc_sip_in *in = answered_from_wic();
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    assert_int_equal(in->n_answers, 3);
    char first[8192];
    snprintf(first, sizeof first, "%s", body(in->answer[1]));
    assert_string_equal(first, body(in->answer[2]));
    assert_int_equal(seam.n_rx_requests, 1);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void late_200_after_release(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    epc_sessions_registration_gone(ss, 1, "test");
    assert_int_equal(in->final, 480);
    assert_true(seam.out[0]->cancelled);
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    assert_int_equal(seam.n_ack, 1);
    assert_int_equal(sip_object(seam.out[1]->msg)->sip_request->rq_method, sip_method_bye);
}

static void answer_in_183_then_200(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 183, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(in->status[0], 183);
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    assert_int_equal(in->final, 200); /* unchanged: neither gateway nor PCRF is asked again */
    assert_int_equal(seam.n_rx_requests, 1);
    ack(EPC_LEG_WIC, NULL);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void offer_in_200_answer_in_ack(void **state)
{
    (void)state;
    struct epc_sip_in *in = receive(EPC_LEG_CORE, "INVITE", 1, NULL, "caller", NULL);
    assert_int_equal(seam.n_out, 1);
    seam_respond(seam.out[0], 200, "callee", WIC_OFFER, NULL);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(in->final, 200);
    assert_non_null(strstr(body(in->answer[0]), "RTP/AVP"));
    ack(EPC_LEG_CORE, CORE_SDP);
    assert_int_equal(seam.n_ack, 0);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(seam.n_ack, 1);
    assert_non_null(strstr(body(seam.ack[0]), "UDP/TLS/RTP/SAVPF"));
    bye(EPC_LEG_CORE, "caller", "callee");
}

static void message_passes(void **state)
{
    (void)state;
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "MESSAGE", 1, NULL, "caller", NULL);
    assert_string_equal(sip_object(seam.out[0]->msg)->sip_route->r_url->url_user, "orig");
    seam_respond(seam.out[0], 200, "callee", NULL, NULL);
    assert_int_equal(in->final, 200);
    in = receive(EPC_LEG_CORE, "OPTIONS", 1, NULL, "core", NULL);
    seam_respond(seam.out[1], 200, "callee", WIC_OFFER, NULL);
    assert_int_equal(in->final, 200);
    assert_string_equal(body(in->answer[0]), ""); /* the WIC's SDP stays at the edge */
}

static void bye_behind_a_pending_answer(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    struct epc_sip_in *b = receive(EPC_LEG_CORE, "BYE", 1, "caller", "callee", NULL);
    assert_int_equal(seam.n_out, 1); /* it waits its turn */
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(in->final, 200);
    assert_int_equal(seam.n_out, 2);
    seam_respond(seam.out[1], 200, "callee", NULL, NULL);
    assert_int_equal(b->final, 200);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 0);
}

static void subscribe_dialog_keeps_to_the_core(void **state)
{
    (void)state;
    struct epc_sip_in *in = request(EPC_LEG_WIC, "NOTIFY", 2, "other", "mine", NULL,
                                    "Route: <sip:evil@192.0.2.1;lr>\r\n");
    epc_sessions_request(ss, in);
    assert_int_equal(in->final, 403);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(originating),
        TEST(terminating),
        TEST(callee_hangs_up),
        TEST(hold),
        TEST(reoffer_rejected),
        TEST(not_registered),
        TEST(no_service_route),
        TEST(offer_without_dtls),
        TEST(gateway_down),
        TEST(gateway_fails_at_the_answer),
        TEST(pcrf_refuses),
        TEST(pcrf_refuses_terminating),
        TEST(pcrf_silent),
        TEST(pcrf_silent_but_optional),
        TEST(cancel_while_reserving),
        TEST(cancel_in_progress),
        TEST(cancel_crosses_200),
        TEST(flow_lost_in_call),
        TEST(flow_lost_while_policy_is_asked),
        TEST(pcrf_aborts),
        TEST(media_lost_and_recovered),
        TEST(repeated_200),
        TEST(late_200_after_release),
        TEST(answer_in_183_then_200),
        TEST(offer_in_200_answer_in_ack),
        TEST(message_passes),
        TEST(bye_behind_a_pending_answer),
        TEST(subscribe_dialog_keeps_to_the_core),
    };
    epc_log_setup(EPC_LOG_ERROR, 2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
