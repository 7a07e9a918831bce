/* A call and the policy function: what is asked when, what a refusal does, what comes of its pushes. */
#include "call_fixture.h"

#define CORE_LESS                                                                                      \
    "v=0\r\no=phone 5 6 IN IP4 10.20.0.5\r\ns=-\r\nc=IN IP4 10.20.0.5\r\nt=0 0\r\n"                    \
    "m=audio 30000 RTP/AVP 0 126\r\nb=AS:50\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:126 telephone-event/8000\r\n"

static const char *header(msg_t *msg, const char *name)
{
    static char text[512];
    struct epc_str v = epc_sip_get(msg, name, 0);
    snprintf(text, sizeof text, "%.*s", EPC_STR_ARG(v));
    return text;
}

static void push(enum epc_policy_event_kind kind, unsigned component, const struct epc_policy_access *access,
                 const struct epc_policy_charging *charging)
{
    struct epc_policy_event ev = {.kind = kind, .access = access, .charging = charging,
                                  .components = {component}, .n_components = component != 0};
    seam.rx[0]->event(seam.rx[0]->event_arg, &ev);
}

/* ---- refusals ------------------------------------------------------------------------------------------ */

static void refused_with_bandwidth(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    seam.acceptable_bps = 48000;
    seam_rx_done(seam.rx[0], EPC_POLICY_REFUSED, 5063);
    assert_int_equal(in->final, 488);
    assert_non_null(in->refusal_sdp);
    assert_non_null(strstr(in->refusal_sdp, "m=audio 0 UDP/TLS/RTP/SAVPF"));
    assert_non_null(strstr(in->refusal_sdp, "b=AS:48\r\n"));
    assert_null(strstr(in->refusal_sdp, "ice-")); /* nothing of the transport */
    assert_string_equal(in->refusal_warning, "370 epcscf \"Insufficient bandwidth\"");
    assert_int_equal(seam.n_ack, 1); /* the far side had answered */
    assert_int_equal(sip_object(seam.out[1]->msg)->sip_request->rq_method, sip_method_bye);
}

static void refused_with_bandwidth_terminating(void **state)
{
    (void)state;
    struct epc_sip_in *in = request(EPC_LEG_CORE, "INVITE", 1, NULL, "caller", CORE_SDP, CORE_ROUTE);
    epc_sessions_request(ss, in);
    seam_gw_done(seam.gw[0], true);
    seam_respond(seam.out[0], 200, "callee", WIC_ANSWER, NULL);
    seam_gw_done(seam.gw[0], true);
    seam.acceptable_bps = 48000;
    seam_rx_done(seam.rx[0], EPC_POLICY_REFUSED, 5063);
    assert_int_equal(in->final, 488);
    assert_non_null(strstr(in->refusal_sdp, "m=audio 0 RTP/AVP 0")); /* in the core's own terms */
}

static void refused_modification(void **state)
{
    (void)state;
    answered_from_wic();
    struct epc_sip_in *in = receive(EPC_LEG_CORE, "INVITE", 2, "caller", "callee", CORE_LESS);
    seam_gw_done(seam.gw[0], true);
    seam_respond(seam.out[1], 200, "caller", WIC_ANSWER, NULL);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_rx_requests, 2);
    seam_rx_done(seam.rx[0], EPC_POLICY_REFUSED, 5063);
    assert_int_equal(in->final, 200); /* SIP goes on */
    assert_false(seam.rx[0]->closed); /* and so does the old authorisation */
    ack(EPC_LEG_CORE, NULL);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void early_answer_of_a_rejected_offer(void **state)
{
    (void)state;
    answered_from_wic();
    int64_t before = seam.rx[0]->info->component[0].max_ul_bps;
    struct epc_sip_in *in = receive(EPC_LEG_CORE, "INVITE", 2, "caller", "callee", CORE_LESS);
    seam_gw_done(seam.gw[0], true);
    seam_respond(seam.out[1], 183, "caller", WIC_ANSWER, NULL);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_rx_requests, 2);
    assert_true(seam.rx[0]->info->component[0].max_ul_bps != before);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    seam_respond(seam.out[1], 488, "caller", NULL, NULL);
    assert_int_equal(in->final, 488);
    assert_int_equal(seam.n_rx_requests, 3); /* what holds, again */
    assert_int_equal(seam.rx[0]->info->component[0].max_ul_bps, before);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void held_back_by_retry_interval(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(seam.rx[0], EPC_POLICY_REFUSED, 4261);
    assert_int_equal(in->final, 503);
}

/* ---- when it is asked -------------------------------------------------------------------------------------- */

static void asked_on_the_offer(void **state)
{
    (void)state;
    cfg.policy.preliminary = true;
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_OFFER);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_rx_requests, 1);
    assert_true(seam.rx[0]->info->preliminary);
    assert_int_equal(seam.n_out, 0); /* nobody is called yet */
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(seam.n_out, 1);
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_rx_requests, 2);
    assert_false(seam.rx[0]->info->preliminary);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(in->final, 200);
    ack(EPC_LEG_WIC, NULL);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void refused_on_the_offer(void **state)
{
    (void)state;
    cfg.policy.preliminary = true;
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_OFFER);
    seam_gw_done(seam.gw[0], true);
    seam.acceptable_bps = 48000;
    seam_rx_done(seam.rx[0], EPC_POLICY_REFUSED, 5063);
    assert_int_equal(in->final, 488);
    assert_non_null(in->refusal_sdp);
    assert_int_equal(seam.n_out, 0);
}

static void cancelled_while_the_offer_is_asked(void **state)
{
    (void)state;
    cfg.policy.preliminary = true;
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_OFFER);
    seam_gw_done(seam.gw[0], true);
    seam_cancel(in);
    if (seam.rx[0]->done)
        seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(in->final, 487);
    assert_int_equal(seam.n_out, 0);
}

static void other_networks_are_not_asked_for(void **state)
{
    (void)state;
    static struct epc_cfg_policy_access row = {.network = (char *)"10.45.0.0/16", .mode = EPC_POLICY_OFF};
    cfg.policy.access = &row;
    cfg.policy.n_access = 1;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(in->final, 200);
    assert_int_equal(seam.n_rx, 0);
    ack(EPC_LEG_WIC, NULL);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void another_address_of_the_ue(void **state)
{
    (void)state;
    cfg.registration.flow_loss_grace_ms = 20000;
    answered_from_wic();
    seam.gone_flow = 1;
    epc_sessions_flow_closed(ss, 1);
    seam.ue = "10.46.0.9";
    epc_sessions_flow_moved(ss, 1, 2);
    flow = 2;
    assert_int_equal(seam.rx[0]->n_rebound, 1);
    assert_int_equal(seam.n_rx_requests, 2); /* all that holds, not a difference */
    assert_int_equal(seam.rx[0]->info->n_components, 1);
    assert_non_null(strstr(seam.rx[0]->info->component[0].flow[0].uplink, "from 10.46.0.9 "));
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(hang_up()->final, 200);
}

static void same_address_is_not_asked_again(void **state)
{
    (void)state;
    cfg.registration.flow_loss_grace_ms = 20000;
    answered_from_wic();
    seam.gone_flow = 1;
    epc_sessions_flow_closed(ss, 1);
    epc_sessions_flow_moved(ss, 1, 2);
    flow = 2;
    assert_int_equal(seam.rx[0]->n_rebound, 0);
    assert_int_equal(seam.n_rx_requests, 1);
    assert_int_equal(hang_up()->final, 200);
}

static void pcrf_has_restarted(void **state)
{
    (void)state;
    answered_from_wic();
    push(EPC_PEV_LOST_SESSION, 0, NULL, NULL);
    assert_int_equal(seam.n_rx_requests, 2); /* at once: the call is up, no message of its own may come */
    assert_int_equal(seam.rx[0]->info->n_components, 1);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void what_the_gateway_says(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_rx_requests, 1);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(in->final, 200);
    ack(EPC_LEG_WIC, NULL);
    bye(EPC_LEG_WIC, "caller", "callee");
}

/* ---- pushes ------------------------------------------------------------------------------------------------- */

static void one_component_lost(void **state)
{
    (void)state;
    answered_from_wic();
    push(EPC_PEV_MEDIA_LOST, 7, NULL, NULL); /* none of ours */
    assert_false(seams_fire_timer());
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 1);
    push(EPC_PEV_MEDIA_LOST, 1, NULL, NULL); /* the only one */
    push(EPC_PEV_RECOVERED, 1, NULL, NULL);
    assert_false(seams_fire_timer());
    push(EPC_PEV_MEDIA_LOST, 1, NULL, NULL);
    assert_true(seams_fire_timer());
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 0);
    assert_true(epc_str_starts(epc_sip_get(seam.out[1]->msg, "Reason", 0), "SIP;cause=503"));
}

static void credit_is_used_up(void **state)
{
    (void)state;
    answered_from_wic();
    push(EPC_PEV_OUT_OF_CREDIT, 7, NULL, NULL);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 1);
    push(EPC_PEV_OUT_OF_CREDIT, 0, NULL, NULL);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 0);
}

static void charging_goes_to_the_core(void **state)
{
    (void)state;
    cfg.policy.charging_info = EPC_CHARGING_INFO_EPS;
    answered_from_wic();
    struct epc_policy_charging c = {.address = "192.0.2.8", .n_ids = 2,
                                    .id = {{.id = "00c0ffee", .components = {1}, .n_components = 1},
                                           {.id = "00c0ffef"}}};
    push(EPC_PEV_CHARGING, 0, NULL, &c);
    bye(EPC_LEG_WIC, "caller", "callee");
    assert_non_null(strstr(header(seam.out[1]->msg, "P-Charging-Vector"),
                           ";pdngw=192.0.2.8;eps-info=\"eps-item=1;eps-sig=no;ecid=00c0ffee;flow-id=({1,1}),"
                           "eps-item=2;eps-sig=no;ecid=00c0ffef\""));
}

static void access_goes_to_the_core_alone(void **state)
{
    (void)state;
    answered_from_wic();
    struct epc_policy_access a = {.ip_can_type = 5, .rat_type = 1004,
                                  .access_info = "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=00101abcd;network-provided"};
    push(EPC_PEV_ACCESS_INFO, 0, &a, NULL);
    struct epc_sip_in *in = receive(EPC_LEG_CORE, "INFO", 2, "caller", "callee", NULL);
    assert_string_equal(header(seam.out[1]->msg, "P-Access-Network-Info"), "");
    seam_respond(seam.out[1], 200, "caller", NULL, NULL);
    assert_string_equal(header(in->answer[0], "P-Access-Network-Info"), a.access_info);
    bye(EPC_LEG_WIC, "caller", "callee");
    assert_string_equal(header(seam.out[2]->msg, "P-Access-Network-Info"), a.access_info);
}

static void pushes_without_effect(void **state)
{
    (void)state;
    answered_from_wic();
    push(EPC_PEV_RESOURCES, 0, NULL, NULL);
    push(EPC_PEV_CREDIT_BACK, 0, NULL, NULL);
    push(EPC_PEV_LIMITED_PCC, 0, NULL, NULL);
    assert_int_equal(seam.n_out, 1);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void abort_crosses_bye(void **state)
{
    (void)state;
    answered_from_wic();
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "BYE", 9, "callee", "caller", NULL);
    if (!seam.rx[0]->closed)
        push(EPC_PEV_ABORT, 0, NULL, NULL);
    seam_respond(seam.out[1], 200, "callee", NULL, NULL);
    assert_true(in->final >= 200);
}

static void abort_then_bye(void **state)
{
    (void)state;
    answered_from_wic();
    push(EPC_PEV_ABORT, 0, NULL, NULL);
    assert_true(seam.rx[0]->closed);
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "BYE", 9, "callee", "caller", NULL);
    assert_int_equal(in->final, 481);
}

static void abort_while_an_update_is_out(void **state)
{
    (void)state;
    answered_from_wic();
    struct epc_gw_event ev = {.kind = EPC_GW_EV_LEARNED};
    assert_int_equal(epc_addr_parse(&ev.addr, "10.45.0.2", 54987), EPC_OK);
    seam.gw[0]->event(seam.gw[0]->event_arg, &ev);
    assert_int_equal(seam.n_rx_requests, 2);
    push(EPC_PEV_ABORT, 0, NULL, NULL);
    assert_true(seam.rx[0]->closed);
}

/* ---- signalling ----------------------------------------------------------------------------------------------- */

static const struct epc_binding *registered(void)
{
    const struct epc_binding *b = epc_reg_by_flow((struct epc_reg *)&seam, 1);
    cfg.policy.signalling_session = true;
    epc_sessions_registered(ss, b);
    return b;
}

static void signalling_session(void **state)
{
    (void)state;
    const struct epc_binding *b = registered();
    assert_int_equal(seam.n_rx, 1);
    assert_true(seam.rx[0]->signalling && seam.rx[0]->info->signalling);
    assert_string_equal(seam.rx[0]->info->component[0].flow[0].uplink, "");
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    epc_sessions_registered(ss, b); /* a refresh */
    assert_int_equal(seam.n_rx, 1);
    epc_sessions_registration_gone(ss, 1, "expired");
    assert_true(seam.rx[0]->closed);
}

static void signalling_flows(void **state)
{
    (void)state;
    static struct epc_addr listen[1];
    assert_int_equal(epc_addr_parse(&listen[0], "198.51.100.4", 443), EPC_OK);
    cfg.policy.signalling_flows = true;
    cfg.wss.listen = listen;
    cfg.wss.n_listen = 1;
    registered();
    const struct epc_media_component *c = &seam.rx[0]->info->component[0];
    assert_int_equal(c->status, EPC_FLOW_ENABLED);
    assert_string_equal(c->flow[0].uplink, "permit in 6 from 10.45.0.2 to 198.51.100.4 443");
    assert_string_equal(c->flow[0].downlink, "permit out 6 from 198.51.100.4 443 to 10.45.0.2");
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    epc_sessions_registration_gone(ss, 1, "over");
}

static void signalling_lost_and_back(void **state)
{
    (void)state;
    registered();
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    push(EPC_PEV_ALL_MEDIA_LOST, 0, NULL, NULL);
    assert_int_equal(receive(EPC_LEG_CORE, "INVITE", 1, NULL, "x1", CORE_SDP)->final, 500);
    assert_int_equal(receive(EPC_LEG_CORE, "MESSAGE", 1, NULL, "x2", NULL)->final, 500);
    assert_int_equal(seam.n_out, 0);
    receive(EPC_LEG_WIC, "MESSAGE", 1, NULL, "x3", NULL); /* the WIC is there after all */
    assert_int_equal(seam.n_out, 1);
    receive(EPC_LEG_CORE, "MESSAGE", 2, NULL, "x4", NULL);
    assert_int_equal(seam.n_out, 2);
    seam_respond(seam.out[0], 200, "y", NULL, NULL);
    seam_respond(seam.out[1], 200, "y", NULL, NULL);
    epc_sessions_registration_gone(ss, 1, "over");
}

static void signalling_refused_harms_nobody(void **state)
{
    (void)state;
    const struct epc_binding *b = registered();
    seam_rx_done(seam.rx[0], EPC_POLICY_REFUSED, 5065);
    assert_true(seam.rx[0]->closed);
    receive(EPC_LEG_CORE, "MESSAGE", 1, NULL, "x1", NULL);
    assert_int_equal(seam.n_out, 1);
    seam_respond(seam.out[0], 200, "y", NULL, NULL);
    epc_sessions_registered(ss, b); /* the next REGISTER tries again */
    assert_int_equal(seam.n_rx, 2);
    seam_rx_done(seam.rx[1], EPC_POLICY_TIMED_OUT, 0);
    assert_true(seam.rx[1]->closed);
}

static void signalling_moves(void **state)
{
    (void)state;
    registered();
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    epc_sessions_flow_moved(ss, 1, 2);
    assert_int_equal(seam.rx[0]->n_rebound, 0);
    seam.ue = "10.46.0.9";
    epc_sessions_flow_moved(ss, 2, 3);
    assert_int_equal(seam.rx[0]->n_rebound, 1);
    assert_int_equal(seam.n_rx_requests, 2);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    epc_sessions_registration_gone(ss, 1, "an old one");
    assert_false(seam.rx[0]->closed);
    epc_sessions_registration_gone(ss, 3, "expired");
    assert_true(seam.rx[0]->closed);
}

static void signalling_abort(void **state)
{
    (void)state;
    registered();
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    push(EPC_PEV_ABORT, 0, NULL, NULL);
    assert_true(seam.rx[0]->closed);
}

static void signalling_tells_the_access(void **state)
{
    (void)state;
    registered();
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    struct epc_policy_access a = {.ip_can_type = 5, .rat_type = 1004, .access_info = "3GPP-E-UTRAN;network-provided"};
    push(EPC_PEV_ACCESS_INFO, 0, &a, NULL);
    assert_string_equal(epc_sessions_access_info(ss, 1), a.access_info);
    receive(EPC_LEG_WIC, "MESSAGE", 1, NULL, "x1", NULL);
    assert_string_equal(header(seam.out[0]->msg, "P-Access-Network-Info"), a.access_info);
    seam_respond(seam.out[0], 200, "y", NULL, NULL);
    epc_sessions_registration_gone(ss, 1, "over");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refused_with_bandwidth), TEST(refused_with_bandwidth_terminating), TEST(refused_modification), TEST(early_answer_of_a_rejected_offer),
        TEST(held_back_by_retry_interval), TEST(asked_on_the_offer), TEST(refused_on_the_offer),
        TEST(cancelled_while_the_offer_is_asked), TEST(other_networks_are_not_asked_for),
        TEST(another_address_of_the_ue), TEST(same_address_is_not_asked_again), TEST(pcrf_has_restarted),
        TEST(what_the_gateway_says), TEST(one_component_lost), TEST(credit_is_used_up),
        TEST(charging_goes_to_the_core), TEST(access_goes_to_the_core_alone), TEST(pushes_without_effect),
        TEST(abort_crosses_bye), TEST(abort_then_bye), TEST(abort_while_an_update_is_out),
        TEST(signalling_session), TEST(signalling_flows), TEST(signalling_lost_and_back),
        TEST(signalling_refused_harms_nobody), TEST(signalling_moves), TEST(signalling_abort),
        TEST(signalling_tells_the_access),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
