/* Calls, one event at a time, with every door around session/ played by seams.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "seams.h"

#include "call_fixture.h"

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

/* ---- a connection is lost, and the registration waits for its WIC ---- */

static struct epc_sip_in *while_lost(const char *method, unsigned cseq, const char *to_tag, const char *from_tag)
{
    struct epc_sip_in *in = request(EPC_LEG_CORE, method, cseq, to_tag, from_tag, NULL, NULL);
    epc_sessions_lost(ss, in);
    assert_int_equal(in->released, 1);
    return in;
}

static void lose_the_flow(void)
{
    cfg.registration.flow_loss_grace_ms = 20000;
    seam.gone_flow = 1;
    epc_sessions_flow_closed(ss, 1);
}

static void come_back(void)
{
    seam.moved_from = 1;
    seam.moved_to = 2;
    epc_sessions_flow_moved(ss, 1, 2);
    flow = 2;
}

static void held_and_rebound(void **state)
{
    (void)state;
    uint64_t rebound = (uint64_t)epc_counter_read(EPC_C_SESSIONS_REBOUND);
    answered_from_wic();
    lose_the_flow();
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 1);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS_HELD), 1);
    assert_int_equal(seam.n_out, 1); /* nobody is told */
    assert_false(seam.gw[0]->released);
    assert_false(seam.rx[0]->closed);
    assert_int_equal(while_lost("UPDATE", 3, "caller", "callee")->final, 500);
    assert_int_equal(while_lost("INVITE", 4, "caller", "callee")->final, 500);
    assert_int_equal(while_lost("BYE", 5, "caller", "fork")->final, 481);
    come_back();
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS_HELD), 0);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS_REBOUND), rebound + 1);
    assert_true(epc_sessions_busy(ss, 2));
    assert_false(epc_sessions_busy(ss, 1));
    /* requests both ways: an ICE restart of the WIC's, then INFO and BYE of the other side */
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 2, "callee", "caller", WIC_HOLD);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_out, 2);
    seam_respond(seam.out[1], 200, "callee", CORE_SDP "a=recvonly\r\n", NULL);
    seam_gw_done(seam.gw[0], true);
    if (seam.rx[0]->done)
        seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(in->final, 200);
    in = receive(EPC_LEG_CORE, "INFO", 6, "caller", "callee", NULL);
    assert_int_equal(seam.n_out, 3);
    assert_int_equal(seam.out[2]->leg, EPC_LEG_WIC);
    assert_int_equal(seam.out[2]->flow, 2);
    seam_respond(seam.out[2], 200, "caller", NULL, NULL);
    assert_int_equal(in->final, 200);
    in = receive(EPC_LEG_CORE, "BYE", 7, "caller", "callee", NULL);
    assert_int_equal(seam.out[3]->flow, 2);
    seam_respond(seam.out[3], 200, "caller", NULL, NULL);
    assert_int_equal(in->final, 200);
    assert_true(seam.gw[0]->released);
}

static void held_and_given_up(void **state)
{
    (void)state;
    answered_from_core();
    lose_the_flow();
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS_HELD), 1);
    int before = seam.n_out;
    epc_sessions_registration_gone(ss, 1, "connection lost");
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 0);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS_HELD), 0);
    assert_int_equal(seam.n_out, before + 1);
    assert_int_equal(seam.out[before]->leg, EPC_LEG_CORE);
    assert_int_equal(sip_object(seam.out[before]->msg)->sip_request->rq_method, sip_method_bye);
    assert_true(epc_str_starts(epc_sip_get(seam.out[before]->msg, "Reason", 0), "SIP;cause=503"));
    assert_true(seam.gw[0]->released);
    assert_true(seam.rx[0]->closed);
}

/* The other side hangs up meanwhile: answered at once; the WIC hears of it when it is back. */
static void bye_while_lost(void **state)
{
    (void)state;
    answered_from_wic();
    lose_the_flow();
    assert_int_equal(while_lost("BYE", 5, "caller", "callee")->final, 200);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 0);
    assert_true(seam.gw[0]->released);
    assert_true(seam.rx[0]->closed);
    assert_int_equal(seam.n_out, 1);
    assert_int_equal(while_lost("INFO", 6, "caller", "callee")->final, 481);
    come_back();
    assert_int_equal(seam.n_out, 2);
    assert_int_equal(seam.out[1]->leg, EPC_LEG_WIC);
    assert_int_equal(seam.out[1]->flow, 2);
    assert_int_equal(sip_object(seam.out[1]->msg)->sip_request->rq_method, sip_method_bye);
    assert_int_equal(receive(EPC_LEG_WIC, "BYE", 2, "callee", "caller", NULL)->final, 481);
}

static void bye_while_lost_for_good(void **state)
{
    (void)state;
    answered_from_wic();
    lose_the_flow();
    assert_int_equal(while_lost("BYE", 5, "caller", "callee")->final, 200);
    epc_sessions_registration_gone(ss, 1, "connection lost");
    assert_int_equal(seam.n_out, 1);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS_HELD), 0);
}

/* Only what is up is held: what is being set up ends as without a registration. */
static void early_call_is_not_held(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 180, "callee", NULL, NULL);
    lose_the_flow();
    assert_int_equal(in->final, 480);
    assert_true(seam.out[0]->cancelled);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 0);
    seam_respond(seam.out[0], 487, "callee", NULL, NULL);
}

static void not_held_without_registration(void **state)
{
    (void)state;
    answered_from_wic();
    seam.registered = false;
    lose_the_flow();
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 0);
    assert_int_equal(seam.n_out, 2);
    assert_int_equal(while_lost("NOTIFY", 5, "subscriber", "notifier")->final, 481);
    seam.registered = true; /* other dialogs of a WIC that may come back */
    assert_int_equal(while_lost("NOTIFY", 6, "subscriber", "notifier")->final, 500);
}

/* What is under way when the connection goes: the core's request is put off, the WIC's is undone. */
static void requests_under_way_when_lost(void **state)
{
    (void)state;
    answered_from_wic();
    struct epc_sip_in *info = receive(EPC_LEG_CORE, "INFO", 6, "caller", "callee", NULL);
    struct epc_sip_in *re = receive(EPC_LEG_WIC, "INVITE", 2, "callee", "caller", WIC_HOLD);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_out, 3);
    cfg.registration.flow_loss_grace_ms = 20000;
    seam.gone_flow = 1;
    seam.out[1]->fn(seam.out[1]->arg, seam.out[1], 408, NULL); /* as epc_sip_flow_closed() does */
    seam_over(seam.out[1]);
    epc_sessions_flow_closed(ss, 1);
    assert_int_equal(info->final, 500);
    assert_int_equal(re->final, 500);
    assert_true(seam.out[2]->cancelled);
    int acks = seam.n_ack;
    seam_respond(seam.out[2], 200, "callee", CORE_SDP "a=recvonly\r\n", NULL);
    assert_int_equal(seam.n_ack, acks + 1); /* its 200 crossed the CANCEL */
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 1);
    come_back();
    assert_int_equal(hang_up()->final, 200);
}

/* Registered again on a second connection while the first is still there and the call rings on it. */
static void answered_after_the_move(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 180, "callee", NULL, NULL);
    come_back();
    assert_true(epc_sessions_busy(ss, 1));
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(in->final, 200);
    assert_false(epc_sessions_busy(ss, 1));
    assert_true(epc_sessions_busy(ss, 2));
    ack(EPC_LEG_WIC, NULL);
    assert_int_equal(seam.n_ack, 1);
    epc_sessions_flow_closed(ss, 1);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 1);
    assert_int_equal(hang_up()->final, 200);
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

static void expect_header(msg_t *msg, const char *name, const char *value)
{
    struct epc_str v = epc_sip_get(msg, name, 0);
    if (!epc_str_eqc(v, value))
        fail_msg("%s: '%.*s', not '%s'", name, EPC_STR_ARG(v), value);
}

/* The identities behind are registration's business; here stands which one is written. */
static void preferred_identity(void **state)
{
    (void)state;
    static const struct {
        const char *header, *asserted, *privacy;
        bool anonymous;
    } rows[] = {
        {"P-Preferred-Identity: \"A\" <tel:+1-555-0001>\r\n", "<tel:+15550001>", "", false},
        {"P-Preferred-Identity: <sip:+15550001@ims.test;user=phone>\r\n", "<tel:+15550001>", "", false},
        {"P-Preferred-Identity: <sip:mallory@ims.test>\r\n", "<sip:alice@ims.test>", "", false},
        {"Privacy: user\r\n", "<sip:alice@ims.test>", "user", false},
        {NULL, "<sip:alice@ims.test>", "id", true},
        {"Privacy: none\r\n", "<sip:alice@ims.test>", "id", true},
        {"Privacy: user;critical\r\n", "<sip:alice@ims.test>", "user;critical;id", true},
        {"Privacy: id\r\n", "<sip:alice@ims.test>", "id", true},
    };
    for (int i = 0; i < (int)EPC_ARRAY_LEN(rows); i++) {
        seam.anonymous = rows[i].anonymous;
        epc_sessions_request(ss, request(EPC_LEG_WIC, "MESSAGE", 1, NULL, "caller", NULL, rows[i].header));
        expect_header(seam.out[i]->msg, "P-Asserted-Identity", rows[i].asserted);
        expect_header(seam.out[i]->msg, "Privacy", rows[i].privacy);
        seam_respond(seam.out[i], 200, "callee", NULL, NULL);
    }
    /* and when an anonymous user answers */
    struct epc_sip_in *in = receive(EPC_LEG_CORE, "MESSAGE", 1, NULL, "core", NULL);
    seam_respond(seam.out[EPC_ARRAY_LEN(rows)], 200, "callee", NULL, NULL);
    expect_header(in->answer[0], "Privacy", "id");
}

static void nothing_new_after_the_end_of_the_token(void **state)
{
    (void)state;
    answered_from_wic();
    seam.over = true;
    assert_int_equal(receive(EPC_LEG_CORE, "MESSAGE", 1, NULL, "core", NULL)->final, 480);
    assert_true(epc_sessions_busy(ss, 1));
    bye(EPC_LEG_CORE, "callee", "caller");
    assert_false(epc_sessions_busy(ss, 1));
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

/* ---- offers and answers out of the ordinary ------------------------------------------------------------------ */

static void offers_cross(void **state)
{
    (void)state;
    answered_from_wic();
    struct epc_sip_in *ours = receive(EPC_LEG_WIC, "INVITE", 2, "callee", "caller", WIC_HOLD);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(receive(EPC_LEG_CORE, "INVITE", 1, "caller", "callee", CORE_SDP)->final, 491);
    assert_int_equal(receive(EPC_LEG_CORE, "UPDATE", 2, "caller", "callee", CORE_SDP)->final, 491);
    assert_int_equal(receive(EPC_LEG_WIC, "UPDATE", 3, "callee", "caller", WIC_HOLD)->final, 500);
    assert_int_equal(seam.n_out, 2);
    seam_respond(seam.out[1], 491, "callee", NULL, NULL);
    assert_int_equal(ours->final, 491);
    struct epc_sip_in *again = receive(EPC_LEG_CORE, "INVITE", 3, "caller", "callee", CORE_SDP);
    seam_gw_done(seam.gw[0], true);
    seam_respond(seam.out[2], 488, NULL, NULL, NULL);
    assert_int_equal(again->final, 488);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void reinvite_cancelled_while_reserving(void **state)
{
    (void)state;
    answered_from_wic();
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 2, "callee", "caller", WIC_HOLD);
    seam_cancel(in);
    assert_int_equal(in->final, 487);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_out, 1); /* it does not go out any more */
    assert_int_equal(seam.restores, 1);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void refused_info_leaves_the_offer_alone(void **state)
{
    (void)state;
    answered_from_wic();
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 2, "callee", "caller", WIC_HOLD);
    seam_gw_done(seam.gw[0], true);
    struct epc_sip_in *info = receive(EPC_LEG_WIC, "INFO", 3, "callee", "caller", NULL);
    seam_respond(seam.out[2], 415, "callee", NULL, NULL);
    assert_int_equal(info->final, 415);
    assert_int_equal(seam.restores, 0);
    seam_respond(seam.out[1], 200, "callee", CORE_SDP, NULL);
    assert_true(seam.gw[0]->is_answer);
    seam_gw_done(seam.gw[0], true);
    if (seam.rx[0]->done)
        seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(in->final, 200);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void repeated_200_with_an_offer(void **state)
{
    (void)state;
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", NULL);
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL); /* the ACK takes its time */
    assert_int_equal(in->n_answers, 2);
    char first[8192];
    snprintf(first, sizeof first, "%s", body(in->answer[0]));
    assert_string_equal(first, body(in->answer[1]));
    ack(EPC_LEG_WIC, WIC_ANSWER);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    ack(EPC_LEG_WIC, WIC_ANSWER); /* for the second 200: the same answer, no new offer */
    assert_int_equal(seam.n_ack, 2);
    snprintf(first, sizeof first, "%s", body(seam.ack[0]));
    assert_string_equal(first, body(seam.ack[1]));
    assert_int_equal(seam.n_rx_requests, 1);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void ack_with_the_answer_never_comes(void **state)
{
    (void)state;
    receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", NULL);
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_over(seam.out[0]);
    struct epc_sip_in *in = receive(EPC_LEG_CORE, "INVITE", 1, "caller", "callee", CORE_SDP);
    seam_gw_done(seam.gw[0], true); /* an offer of its own, and no answer to the old one */
    assert_int_equal(seam.n_out, 2);
    seam_respond(seam.out[1], 486, NULL, NULL, NULL);
    assert_int_equal(in->final, 486);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void answer_in_183_only(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 183, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    seam_respond(seam.out[0], 200, "callee", NULL, NULL);
    assert_int_equal(in->final, 200);
    ack(EPC_LEG_WIC, NULL);
    receive(EPC_LEG_CORE, "INVITE", 1, "caller", "callee", CORE_SDP);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_out, 2); /* the first exchange no longer stands in the way */
    seam_respond(seam.out[1], 486, NULL, NULL, NULL);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void prack_answer_refused(void **state)
{
    (void)state;
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", NULL);
    seam_respond(seam.out[0], 183, "callee", CORE_SDP, "Require: 100rel\r\nRSeq: 1\r\n");
    seam_gw_done(seam.gw[0], true);
    struct epc_sip_in *prack = receive(EPC_LEG_WIC, "PRACK", 2, "callee", "caller", WIC_ANSWER);
    seam_gw_done(seam.gw[0], false);
    assert_int_equal(prack->final, 503);
    assert_int_equal(in->final, 503);
    assert_true(seam.out[0]->cancelled);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 0);
}

static void timer_c(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    assert_true(seams_fire_timer());
    assert_true(seam.out[0]->cancelled);
    seam_respond(seam.out[0], 487, "callee", NULL, NULL);
    assert_int_equal(in->final, 408);
}

static void timer_c_behind_a_waiting_answer(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_over(seam.out[0]);
    assert_true(seams_fire_timer());
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(in->final, 200);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void same_call_id_again(void **state)
{
    (void)state;
    offer_from_wic();
    assert_int_equal(receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_OFFER)->final, 482);
    seam_respond(seam.out[0], 407, "callee", NULL, NULL);
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 2, NULL, "caller", WIC_OFFER);
    assert_int_equal(in->final, 0); /* with credentials now: a call of its own */
    seam_gw_done(seam.gw[1], true);
    seam_respond(seam.out[1], 486, "callee", NULL, NULL);
    assert_int_equal(in->final, 486);
}

static void early_requests_keep_to_the_core(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    struct epc_sip_in *info = request(EPC_LEG_WIC, "INFO", 2, "guess", "caller", NULL,
                                      "Route: <sip:evil@192.0.2.1;lr>\r\n");
    epc_sessions_request(ss, info);
    assert_int_equal(info->final, 403);
    ack(EPC_LEG_WIC, NULL); /* nothing to acknowledge yet */
    assert_int_equal(seam.n_ack, 0);
    seam_respond(seam.out[0], 486, "callee", NULL, NULL);
    assert_int_equal(in->final, 486);
}

static void without_a_route_only_to_the_core(void **state)
{
    (void)state;
    struct epc_sip_in *in = receive(EPC_LEG_CORE, "INVITE", 1, NULL, "caller", CORE_SDP);
    seam_gw_done(seam.gw[0], true);
    /* no Record-Route but ours: only the Request-URI would lead, and that is the WIC's word */
    assert_int_equal(receive(EPC_LEG_WIC, "INFO", 2, "caller", "callee", NULL)->final, 403);
    seam_respond(seam.out[0], 486, "callee", NULL, NULL);
    assert_int_equal(in->final, 486);
}

static void new_target_in_an_answer(void **state)
{
    (void)state;
    answered_from_wic();
    struct epc_sip_in *in = request(EPC_LEG_CORE, "UPDATE", 2, "caller", "callee", NULL, NULL);
    epc_sessions_request(ss, in); /* its Contact: c@x.invalid */
    seam_respond(seam.out[1], 200, NULL, NULL, NULL);
    receive(EPC_LEG_WIC, "UPDATE", 3, "callee", "caller", NULL);
    seam_respond(seam.out[2], 200, NULL, NULL, NULL); /* and back to callee@ */
    epc_sessions_release_all(ss, "test");
    assert_string_equal(sip_object(seam.out[3]->msg)->sip_request->rq_url->url_user, "callee");
}

/* ---- anything in any order ----------------------------------------------------------------------------------- */

enum { RANDOM_RUNS = 4000, RANDOM_EVENTS = 50 };
static uint32_t seed;
static int out_final[SEAM_MAX];
static enum epc_leg caller;

static unsigned roll(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 10) % n;
}

static const char *some_sdp(enum epc_leg leg)
{
    static const char *const wic[] = {NULL, WIC_OFFER, WIC_HOLD, WIC_ANSWER, CORE_SDP, "v=0\r\nrubbish"};
    static const char *const core[] = {NULL, CORE_SDP, CORE_SDP "a=recvonly\r\n", "v=0\r\nrubbish"};
    if (roll(4)) /* mostly what fits, so that calls get somewhere */
        return leg != EPC_LEG_WIC ? CORE_SDP : leg == caller || roll(2) ? WIC_OFFER : WIC_ANSWER;
    return leg == EPC_LEG_WIC ? wic[roll(EPC_ARRAY_LEN(wic))] : core[roll(EPC_ARRAY_LEN(core))];
}

static void some_request(void)
{
    static const char *const methods[] = {"INVITE", "INVITE", "UPDATE", "PRACK", "INFO", "MESSAGE"};
    enum epc_leg leg = roll(2) ? EPC_LEG_WIC : EPC_LEG_CORE;
    const char *method = roll(12) ? methods[roll(EPC_ARRAY_LEN(methods))] : "BYE";
    const char *callee = roll(8) ? "callee" : "fork";
    msg_t *said = ins[0]->n_answers ? ins[0]->answer[roll((unsigned)ins[0]->n_answers)] : NULL;
    if (strcmp(method, "PRACK") == 0 && said && roll(2)) {
        struct epc_str rseq = epc_sip_get(said, "RSeq", 0);
        char rack[96];
        snprintf(rack, sizeof rack, "RAck: %.*s 1 INVITE\r\n", EPC_STR_ARG(rseq));
        epc_sessions_request(ss, request(caller, method, (unsigned)n_ins + 2, callee, "caller", NULL, rseq.n ? rack : NULL));
    } else if (roll(6) == 0)
        receive(leg, method, (unsigned)n_ins + 2, NULL, roll(2) ? "caller" : "other", some_sdp(leg));
    else
        receive(leg, method, (unsigned)n_ins + 2, leg == caller ? callee : "caller",
                leg == caller ? "caller" : callee, some_sdp(leg));
}

static void some_ack(void)
{
    enum epc_leg leg = roll(2) ? EPC_LEG_WIC : EPC_LEG_CORE;
    struct epc_sip_in *like = ins[roll((unsigned)n_ins)];
    struct epc_sip_in *in = request(leg, "ACK", sip_object(like->msg)->sip_cseq->cs_seq,
                                    leg == caller ? "callee" : "caller",
                                    leg == caller ? "caller" : "callee", some_sdp(leg), NULL);
    epc_sessions_ack(ss, leg, flow, msg_dup(in->msg));
}

/* As sip/ would: after a final answer only 2xx to INVITE come again, until the transaction is over. */
static void some_response(void)
{
    static const int statuses[] = {180, 183, 183, 200, 200, 200, 200, 200, 200, 200, 486, 491};
    if (seam.n_out == 0)
        return;
    unsigned i = roll(3) ? roll((unsigned)seam.n_out) : 0;
    struct epc_sip_out *out = seam.out[i];
    bool invite = sip_object(out->msg)->sip_request->rq_method == sip_method_invite;
    int status = out->cancelled && roll(2) ? 487 : statuses[roll(EPC_ARRAY_LEN(statuses))];
    if (out->detached || !out->fn || (out_final[i] && status / 100 != 2))
        return;
    if (roll(24) == 0 && !out_final[i]) {
        out_final[i] = 408;
        out->fn(out->arg, out, 408, NULL);
        if (!invite)
            seam_over(out);
        return;
    }
    if (status >= 200)
        out_final[i] = status;
    seam_respond(out, status, roll(6) ? "callee" : "fork", some_sdp(out->leg),
                 status == 183 && roll(2) ? roll(2) ? "Require: 100rel\r\nRSeq: 1\r\n"
                                                    : "Require: 100rel\r\nRSeq: 2\r\nP-Early-Media: sendonly\r\n"
                                          : NULL);
    if (status >= 200 && (!invite || status >= 300 || roll(8) == 0))
        seam_over(out);
}

static void some_gateway(void)
{
    struct epc_gw_ctx *c = seam.n_gw ? seam.gw[roll((unsigned)seam.n_gw)] : NULL;
    if (!c || c->released)
        return;
    struct epc_gw_event ev = {.kind = roll(24) ? EPC_GW_EV_LEARNED : EPC_GW_EV_LOST};
    if (c->done)
        seam_gw_done(c, roll(16) != 0);
    else if (roll(3) == 0 && epc_addr_parse(&ev.addr, "10.45.0.9", (uint16_t)(1024 + roll(9))) == EPC_OK)
        c->event(c->event_arg, &ev);
}

static void some_policy(void)
{
    static const enum epc_policy_outcome outcomes[] = {EPC_POLICY_GRANTED, EPC_POLICY_GRANTED,
                                                       EPC_POLICY_GRANTED, EPC_POLICY_GRANTED,
                                                       EPC_POLICY_GRANTED, EPC_POLICY_REFUSED,
                                                       EPC_POLICY_TIMED_OUT, EPC_POLICY_UNREACHABLE};
    static const enum epc_policy_event_kind kinds[] = {EPC_PEV_ABORT, EPC_PEV_ALL_MEDIA_LOST,
                                                       EPC_PEV_RECOVERED, EPC_PEV_MEDIA_LOST, EPC_PEV_ACCESS_INFO,
                                                       EPC_PEV_CHARGING, EPC_PEV_OUT_OF_CREDIT, EPC_PEV_CREDIT_BACK,
                                                       EPC_PEV_LOST_SESSION};
    static const struct epc_policy_access access_info = {.ip_can_type = 5, .access_info = "3GPP-NR;network-provided"};
    static const struct epc_policy_charging charging = {.address = "192.0.2.9", .id = {{.id = "0a"}}, .n_ids = 1};
    struct epc_policy_session *p = seam.n_rx ? seam.rx[roll((unsigned)seam.n_rx)] : NULL;
    if (!p || p->closed)
        return;
    struct epc_policy_event ev = {.kind = kinds[roll(EPC_ARRAY_LEN(kinds))], .components = {1 + roll(3)},
                                  .n_components = roll(2), .access = &access_info, .charging = &charging};
    if (p->done && roll(4)) {
        enum epc_policy_outcome o = outcomes[roll(EPC_ARRAY_LEN(outcomes))];
        seam_rx_done(p, o, o == EPC_POLICY_REFUSED ? 5063 : 0);
    } else if (roll(16) == 0)
        p->event(p->event_arg, &ev);
}

static void some_trouble(void)
{
    switch (roll(9)) {
    case 0:
        seam.gone_flow = flow;
        epc_sessions_flow_closed(ss, flow);
        break;
    case 1:
        epc_sessions_registration_gone(ss, flow, "test");
        break;
    case 2:
    case 3:
        seam.moved_from = flow;
        seam.moved_to = flow + 1;
        seam.ue = roll(2) ? "10.45.0.2" : "10.99.0.7";
        epc_sessions_flow_moved(ss, flow, flow + 1);
        if (roll(2))
            epc_sessions_flow_closed(ss, flow); /* the old connection was there still */
        flow++;
        break;
    case 4:
        seam.gone_flow = flow;
        epc_sessions_flow_closed(ss, flow);
        for (unsigned i = roll(4); i > 0; i--)
            epc_sessions_lost(ss, request(EPC_LEG_CORE, roll(3) ? "INFO" : "BYE", 40 + i,
                                          caller == EPC_LEG_CORE ? "callee" : "caller",
                                          caller == EPC_LEG_CORE ? "caller" : "callee", NULL, NULL));
        break;
    case 5:
        seams_fire_timer();
        break;
    case 6:
        seam.out_fails = !seam.out_fails;
        break;
    default:
        seam_cancel(ins[roll((unsigned)n_ins)]);
        break;
    }
}

static void some_event(void)
{
    unsigned kind = roll(40);
    if (kind < 6)
        some_request();
    else if (kind < 9)
        some_ack();
    else if (kind < 21)
        some_response();
    else if (kind < 31)
        some_gateway();
    else if (kind < 39)
        some_policy();
    else
        some_trouble();
    seams_turn();
}

static void any_order(void **state)
{
    uint64_t answered = (uint64_t)epc_counter_read(EPC_C_SESSIONS_ANSWERED);
    for (unsigned run = 0; run < RANDOM_RUNS; run++) {
        teardown(state);
        setup(state);
        seed = run * 2654435761u;
        memset(out_final, 0, sizeof out_final);
        cfg.registration.flow_loss_grace_ms = roll(4) ? 20000 : 0;
        cfg.policy.preliminary = roll(4) == 0;
        cfg.policy.mode = roll(2) ? EPC_POLICY_REQUIRED : EPC_POLICY_OPTIONAL;
        caller = roll(2) ? EPC_LEG_WIC : EPC_LEG_CORE;
        cfg.calls.reliable_for_wic = roll(2);
        cfg.calls.early_media = roll(2) ? EPC_EARLY_MEDIA_OPEN : EPC_EARLY_MEDIA_CLOSED;
        cfg.calls.preconditions = roll(2) ? EPC_PRECONDITIONS_ACT : EPC_PRECONDITIONS_OFFER;
        epc_sessions_request(ss, request(caller, "INVITE", 1, NULL, "caller",
                                         roll(5) == 0            ? NULL
                                         : caller == EPC_LEG_WIC ? WIC_OFFER
                                                                 : CORE_SDP,
                                         caller != EPC_LEG_CORE || !roll(8) ? NULL
                                         : roll(3) ? CORE_ROUTE
                                                   : CORE_ROUTE "Require: 100rel, precondition\r\n"));
        /* the seams keep what they are given: leave them room for what one event may bring */
        for (int i = 0; i < RANDOM_EVENTS && seam.n_out < SEAM_MAX - 12 && seam.n_ack < SEAM_MAX - 8; i++)
            some_event();
        epc_sessions_release_all(ss, "test");
        epc_sessions_registration_gone(ss, flow, "test"); /* what waits to be told of its end */
    }
    assert_int_equal(epc_counter_read(EPC_C_FSM_UNEXPECTED), 0);
    assert_true((uint64_t)epc_counter_read(EPC_C_SESSIONS_ANSWERED) - answered > RANDOM_RUNS / 10);
}

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
        TEST(held_and_rebound),
        TEST(held_and_given_up),
        TEST(bye_while_lost),
        TEST(bye_while_lost_for_good),
        TEST(early_call_is_not_held),
        TEST(not_held_without_registration),
        TEST(requests_under_way_when_lost),
        TEST(answered_after_the_move),
        TEST(pcrf_aborts),
        TEST(media_lost_and_recovered),
        TEST(repeated_200),
        TEST(late_200_after_release),
        TEST(answer_in_183_then_200),
        TEST(offer_in_200_answer_in_ack),
        TEST(message_passes),
        TEST(preferred_identity),
        TEST(nothing_new_after_the_end_of_the_token),
        TEST(bye_behind_a_pending_answer),
        TEST(subscribe_dialog_keeps_to_the_core),
        TEST(offers_cross),
        TEST(reinvite_cancelled_while_reserving),
        TEST(refused_info_leaves_the_offer_alone),
        TEST(repeated_200_with_an_offer),
        TEST(ack_with_the_answer_never_comes),
        TEST(answer_in_183_only),
        TEST(prack_answer_refused),
        TEST(timer_c),
        TEST(timer_c_behind_a_waiting_answer),
        TEST(same_call_id_again),
        TEST(early_requests_keep_to_the_core),
        TEST(without_a_route_only_to_the_core),
        TEST(new_target_in_an_answer),
        TEST(any_order),
    };
    epc_log_setup(EPC_LOG_ERROR, 2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
