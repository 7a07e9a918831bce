/* When a call asks the policy function: offers, answers, early dialogs, re-offers; and what crosses. */
#include "call_fixture.h"

#define FORK_SDP                                                                                       \
    "v=0\r\no=other 7 7 IN IP4 10.20.0.6\r\ns=-\r\nc=IN IP4 10.20.0.6\r\nt=0 0\r\n"                    \
    "m=audio 31000 RTP/AVP 0\r\nb=AS:500\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
#define WIC_VIDEO(port)                                                                                \
    "m=video " port " UDP/TLS/RTP/SAVPF 102\r\nc=IN IP4 10.45.0.2\r\na=rtpmap:102 H264/90000\r\n"      \
    "a=fmtp:102 packetization-mode=1;profile-level-id=42e01f\r\n"                                      \
    "a=ice-ufrag:wicu\r\na=ice-pwd:wicwicwicwicwicwicwicwic\r\n"                                       \
    "a=candidate:1 1 udp 2122260223 10.45.0.2 54325 typ host\r\n" FP "a=setup:actpass\r\na=mid:1\r\n"  \
    "a=rtcp-mux\r\na=sendrecv\r\n"
#define WIC_BOTH(version)                                                                              \
    "v=0\r\no=- 77 " version " IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n" WIC_MEDIA("actpass", "sendrecv")  \
        WIC_VIDEO("54325")
#define CORE_BOTH(version, video)                                                                      \
    "v=0\r\no=phone 5 " version " IN IP4 10.20.0.5\r\ns=-\r\nc=IN IP4 10.20.0.5\r\nt=0 0\r\n"          \
    "m=audio 30000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"                                \
    "m=video " video " RTP/AVP 102\r\na=rtpmap:102 H264/90000\r\n"                                     \
    "a=fmtp:102 packetization-mode=1;profile-level-id=42e01f\r\na=sendrecv\r\n"

static char *no_codecs[] = {(char *)"H264"};

static int with_video(void **state)
{
    int rc = setup(state);
    cfg.media.video_codecs = no_codecs;
    cfg.media.n_video_codecs = 1;
    cfg.policy.video_bw_bps = 1000000;
    cfg.policy.media_loss_grace_ms = 5000;
    /* what may pass is read when the object is made */
    epc_sessions_destroy(ss);
    struct epc_sessions_opts o = {.shard = (struct epc_shard *)&seam, .sip = (struct epc_sip *)&seam,
                                  .reg = (struct epc_reg *)&seam, .gw = (struct epc_gw *)&seam,
                                  .policy = &seam_policy, .cfg = &cfg};
    assert_int_equal(epc_sessions_create(&ss, &o), EPC_OK);
    epc_sessions_set_wss(ss, (struct epc_wss *)&seam);
    return rc;
}

static struct epc_policy_session *rx(void)
{
    return seam.rx[seam.n_rx - 1];
}

static void grant(void)
{
    seam_rx_done(rx(), EPC_POLICY_GRANTED, 0);
}

static void push(const struct epc_policy_event *ev)
{
    rx()->event(rx()->event_arg, ev);
}

static void push_kind(enum epc_policy_event_kind kind, unsigned component)
{
    push(&(struct epc_policy_event){.kind = kind, .components = {component}, .n_components = component ? 1 : 0});
}

static const struct epc_media_component *component(unsigned number)
{
    for (size_t i = 0; i < rx()->info->n_components; i++)
        if (rx()->info->component[i].number == number)
            return &rx()->info->component[i];
    return NULL;
}

static const char *header(msg_t *msg, const char *name, unsigned i)
{
    static char text[1024];
    struct epc_str v = epc_sip_get(msg, name, i);
    snprintf(text, sizeof text, "%.*s", EPC_STR_ARG(v));
    return text;
}

/* Audio and video, both granted. */
static void established_with_video(void)
{
    receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_BOTH("2"));
    seam_gw_done(seam.gw[0], true);
    seam_respond(seam.out[0], 200, "callee", CORE_BOTH("5", "30002"), NULL);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(rx()->info->n_components, 2);
    grant();
    ack(EPC_LEG_WIC, NULL);
}

/* ---- who it is about ---------------------------------------------------------------------------------- */

static void originating_facts(void **state)
{
    (void)state;
    receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_OFFER);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_rx, 0); /* the offer alone is not asked about */
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    assert_string_equal(rx()->called, "");
    assert_string_equal(rx()->calling, "");
    assert_string_equal(rx()->urn, "");
    assert_false(rx()->signalling);
    grant();
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void emergency_urn(void **state)
{
    (void)state;
    cfg.calls.ecscf = (char *)"sip:127.0.0.9:5060";
    char text[8192];
    snprintf(text, sizeof text,
             "INVITE urn:service:sos.police SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bKe\r\n"
             "Max-Forwards: 69\r\nFrom: <sip:a@ims.test>;tag=caller\r\nTo: <urn:service:sos.police>\r\n"
             "Call-ID: call-1\r\nCSeq: 1 INVITE\r\nContact: <sip:c@x.invalid;transport=ws>\r\n"
             "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s", strlen(WIC_OFFER), WIC_OFFER);
    struct epc_sip_in *in = seam_in(EPC_LEG_WIC, flow, text);
    ins[n_ins++] = in;
    epc_sessions_request(ss, in);
    seam_gw_done(seam.gw[0], true);
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    assert_string_equal(rx()->urn, "sos.police");
    grant();
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void priority_call_asks_on_the_offer(void **state)
{
    (void)state;
    struct epc_sip_in *in = request(EPC_LEG_CORE, "INVITE", 1, NULL, "caller", CORE_SDP,
                                    "Resource-Priority: wps.0\r\nP-Asserted-Identity: \"Eve\" <sip:eve@ims.test>\r\n"
                                    "P-Asserted-Service: urn:urn-7:3gpp-service.ims.icsi.mmtel\r\n" CORE_ROUTE);
    epc_sessions_request(ss, in);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_out, 0);
    assert_int_equal(seam.n_rx_requests, 1);
    assert_string_equal(rx()->mps, "wps");
    assert_string_equal(rx()->icsi, "urn:urn-7:3gpp-service.ims.icsi.mmtel");
    assert_true(rx()->info->preliminary);
    grant();
    assert_int_equal(seam.n_out, 1);
    seam_respond(seam.out[0], 200, "callee", WIC_ANSWER, NULL);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_rx_requests, 2);
    assert_int_equal(seam.n_rx, 1);
    assert_false(rx()->info->preliminary);
    grant();
    assert_int_equal(in->final, 200);
    bye(EPC_LEG_CORE, "caller", "callee");
}

/* ---- when ------------------------------------------------------------------------------------------------ */

static void preliminary_on_the_offer(void **state)
{
    (void)state;
    cfg.policy.preliminary = true;
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_OFFER);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_out, 0); /* waits for the PCRF */
    assert_true(rx()->info->preliminary);
    grant();
    assert_int_equal(seam.n_out, 1);
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_rx_requests, 2);
    assert_false(rx()->info->preliminary);
    grant();
    assert_int_equal(in->final, 200);
    bye(EPC_LEG_WIC, "caller", "callee");
    assert_int_equal(seam.n_rx, 1);
}

static void preliminary_not_before_preconditions(void **state)
{
    (void)state;
    cfg.policy.preliminary = true;
    receive(EPC_LEG_CORE, "INVITE", 1, NULL, "caller",
            CORE_SDP "a=curr:qos local none\r\na=curr:qos remote none\r\n"
                     "a=des:qos mandatory local sendrecv\r\na=des:qos mandatory remote sendrecv\r\n");
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_rx, 0);
    assert_int_equal(seam.n_out, 1);
    seam_respond(seam.out[0], 486, "callee", NULL, NULL);
}

static void repeated_answer_asks_nothing(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 183, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    grant();
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    if (seam.gw[0]->done)
        seam_gw_done(seam.gw[0], true);
    assert_int_equal(in->final, 200);
    assert_int_equal(seam.n_rx_requests, 1);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void later_messages_wait_behind(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 183, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_respond(seam.out[0], 180, "callee", NULL, NULL);
    assert_int_equal(in->n_answers, 0);
    grant();
    assert_int_equal(in->n_answers, 2);
    assert_int_equal(in->status[0], 183);
    assert_int_equal(in->status[1], 180);
    seam_respond(seam.out[0], 486, "callee", NULL, NULL);
}

static void several_dialogues(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 183, "one", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    assert_false(rx()->info->several_dialogues);
    grant();
    seam_respond(seam.out[0], 183, "two", FORK_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_rx_requests, 2);
    assert_true(rx()->info->several_dialogues);
    grant();
    seam_respond(seam.out[0], 200, "one", CORE_SDP, NULL);
    if (seam.gw[0]->done)
        seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_rx_requests, 3);
    assert_false(rx()->info->several_dialogues);
    assert_int_equal(in->final, 0); /* waits */
    grant();
    assert_int_equal(in->final, 200);
    assert_int_equal(seam.n_rx, 1);
    bye(EPC_LEG_WIC, "caller", "one");
}

/* The union keeps what the first dialogue needs: its video is not taken away by the second's answer. */
static void several_dialogues_share(void **state)
{
    (void)state;
    receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_BOTH("2"));
    seam_gw_done(seam.gw[0], true);
    seam_respond(seam.out[0], 183, "one", CORE_BOTH("5", "30002"), NULL);
    seam_gw_done(seam.gw[0], true);
    assert_non_null(component(2));
    grant();
    seam_respond(seam.out[0], 183, "two", CORE_BOTH("5", "0"), NULL);
    seam_gw_done(seam.gw[0], true);
    assert_true(rx()->info->several_dialogues);
    assert_null(component(2)); /* nothing changes for it */
    grant();
    seam_respond(seam.out[0], 200, "two", CORE_BOTH("5", "0"), NULL);
    if (seam.gw[0]->done)
        seam_gw_done(seam.gw[0], true);
    assert_non_null(component(2));
    assert_int_equal(component(2)->status, EPC_FLOW_REMOVED);
    grant();
    bye(EPC_LEG_WIC, "caller", "two");
}

static void media_removed(void **state)
{
    (void)state;
    established_with_video();
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 2, "callee", "caller", WIC_BOTH("3"));
    assert_null(seam.gw[0]->done); /* the same media: the gateway is left alone */
    seam_respond(seam.out[1], 200, "callee", CORE_BOTH("6", "0"), NULL);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(seam.n_rx_requests, 2);
    assert_int_equal(component(2)->status, EPC_FLOW_REMOVED);
    assert_null(component(1));
    grant();
    assert_int_equal(in->final, 200);
    bye(EPC_LEG_WIC, "caller", "callee");
}

/* The answer of a re-offer was told on the way; its rejection takes that back. */
static void rejected_reoffer_is_taken_back(void **state)
{
    (void)state;
    established_with_video();
    receive(EPC_LEG_WIC, "INVITE", 2, "callee", "caller", WIC_BOTH("3"));
    assert_null(seam.gw[0]->done); /* the same media: the gateway is left alone */
    seam_respond(seam.out[1], 183, "callee", CORE_BOTH("6", "0"), NULL);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(component(2)->status, EPC_FLOW_REMOVED);
    grant();
    seam_respond(seam.out[1], 488, "callee", NULL, NULL);
    assert_int_equal(seam.n_rx_requests, 3);
    assert_non_null(component(2));
    assert_int_not_equal(component(2)->status, EPC_FLOW_REMOVED);
    grant();
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void refused_modification_goes_on(void **state)
{
    (void)state;
    established_with_video();
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 2, "callee", "caller", WIC_BOTH("3"));
    assert_null(seam.gw[0]->done); /* the same media: the gateway is left alone */
    seam_respond(seam.out[1], 200, "callee", CORE_BOTH("6", "0"), NULL);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(rx(), EPC_POLICY_REFUSED, 5063);
    assert_int_equal(in->final, 200);
    assert_false(rx()->closed); /* the old authorisation holds */
    ack(EPC_LEG_WIC, NULL);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void ue_with_optional_policy(void **state)
{
    (void)state;
    struct epc_cfg_policy_access row = {.network = (char *)"10.45.0.0/16", .mode = EPC_POLICY_OPTIONAL};
    cfg.policy.access = &row;
    cfg.policy.n_access = 1;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(rx(), EPC_POLICY_TIMED_OUT, 0);
    assert_int_equal(in->final, 200);
    bye(EPC_LEG_WIC, "caller", "callee");
}

/* ---- refusals ----------------------------------------------------------------------------------------------- */

static void refused_early(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 183, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(rx(), EPC_POLICY_REFUSED, 5066);
    assert_int_equal(in->final, 403);
    assert_true(seam.out[0]->cancelled);
    assert_null(in->refusal_sdp);
}

/* ---- pushes --------------------------------------------------------------------------------------------------- */

static void some_media_lost(void **state)
{
    (void)state;
    established_with_video();
    push_kind(EPC_PEV_MEDIA_LOST, 2);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 1);
    assert_false(seams_fire_timer()); /* nothing runs */
    push_kind(EPC_PEV_MEDIA_LOST, 1);
    push_kind(EPC_PEV_RECOVERED, 2); /* one is back: no release */
    assert_false(seams_fire_timer());
    push_kind(EPC_PEV_MEDIA_LOST, 2);
    push_kind(EPC_PEV_MEDIA_LOST, 2); /* said twice: the time goes on */
    assert_true(seams_fire_timer());
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 0);
    assert_true(rx()->closed);
    assert_string_equal(header(seam.out[1]->msg, "Reason", 0), "SIP;cause=503;text=\"Bearer lost\"");
}

static void credit(void **state)
{
    (void)state;
    established_with_video();
    push_kind(EPC_PEV_OUT_OF_CREDIT, 2);
    push_kind(EPC_PEV_CREDIT_BACK, 2);
    push_kind(EPC_PEV_OUT_OF_CREDIT, 1);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 1);
    push_kind(EPC_PEV_OUT_OF_CREDIT, 0);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 0);
    assert_int_equal(seam.n_out, 3);
}

static const struct epc_policy_charging charging = {
    .address = "192.0.2.9",
    .id = {{.id = "0a1b2c", .components = {1, 2}, .n_components = 2}, {.id = "ff"}},
    .n_ids = 2,
};
static const struct epc_policy_access access_now = {
    .ip_can_type = 5, .rat_type = 1004,
    .access_info = "3GPP-E-UTRAN;utran-cell-id-3gpp=00101000100abcdef;network-provided"};

static void charging_towards_the_core(void **state)
{
    (void)state;
    cfg.policy.charging_info = EPC_CHARGING_INFO_EPS;
    answered_from_wic();
    push(&(struct epc_policy_event){.kind = EPC_PEV_CHARGING, .charging = &charging});
    push(&(struct epc_policy_event){.kind = EPC_PEV_ACCESS_INFO, .access = &access_now});
    receive(EPC_LEG_WIC, "INVITE", 2, "callee", "caller", WIC_HOLD);
    seam_gw_done(seam.gw[0], true);
    msg_t *sent = seam.out[1]->msg;
    assert_non_null(strstr(header(sent, "P-Charging-Vector", 0),
                           ";pdngw=192.0.2.9;eps-info=\"eps-item=1;eps-sig=no;ecid=0a1b2c;flow-id=({1,1},{2,1}),"
                           "eps-item=2;eps-sig=no;ecid=ff\""));
    assert_non_null(strstr(header(sent, "P-Charging-Vector", 0), "icid-value="));
    assert_null(epc_sip_get(sent, "P-Charging-Vector", 1).p);
    assert_string_equal(header(sent, "P-Access-Network-Info", 0), access_now.access_info);
    seam_respond(seam.out[1], 488, "callee", NULL, NULL);
    /* towards the WIC nothing of it */
    receive(EPC_LEG_CORE, "INFO", 5, "caller", "callee", NULL);
    assert_null(epc_sip_get(seam.out[2]->msg, "P-Access-Network-Info", 0).p);
    assert_null(epc_sip_get(seam.out[2]->msg, "P-Charging-Vector", 0).p);
    seam_respond(seam.out[2], 200, "callee", NULL, NULL);
    bye(EPC_LEG_WIC, "caller", "callee");
}

/* What the AAA tells is in the very message that waited for it. */
static void told_with_the_answer(void **state)
{
    (void)state;
    cfg.policy.charging_info = EPC_CHARGING_INFO_EPS;
    struct epc_sip_in *in = request(EPC_LEG_CORE, "INVITE", 1, NULL, "caller", CORE_SDP,
                                    "P-Charging-Vector: icid-value=abc\r\n" CORE_ROUTE);
    epc_sessions_request(ss, in);
    seam_gw_done(seam.gw[0], true);
    seam_respond(seam.out[0], 183, "callee", WIC_ANSWER,
                 "P-Access-Network-Info: 3GPP-NR;network-provided, IEEE-802.11\r\n");
    seam_gw_done(seam.gw[0], true);
    push(&(struct epc_policy_event){.kind = EPC_PEV_CHARGING, .charging = &charging});
    push(&(struct epc_policy_event){.kind = EPC_PEV_ACCESS_INFO, .access = &access_now});
    grant();
    assert_int_equal(in->status[0], 183);
    bool ours = false, forged = false;
    for (unsigned i = 0; epc_sip_get(in->answer[0], "P-Access-Network-Info", i).p; i++) {
        const char *v = header(in->answer[0], "P-Access-Network-Info", i);
        ours = ours || strstr(v, "utran-cell-id-3gpp");
        forged = forged || strstr(v, "3GPP-NR"); /* a WIC cannot speak for the network */
    }
    assert_true(ours && !forged);
    assert_non_null(strstr(header(in->answer[0], "P-Charging-Vector", 0), "icid-value=\"abc\""));
    assert_non_null(strstr(header(in->answer[0], "P-Charging-Vector", 0), "pdngw=192.0.2.9"));
    seam_respond(seam.out[0], 486, "callee", NULL, NULL);
}

static void pcrf_has_restarted(void **state)
{
    (void)state;
    answered_from_wic();
    push_kind(EPC_PEV_LOST_SESSION, 0);
    assert_int_equal(seam.n_rx_requests, 2); /* nothing changed, and yet it is told */
    grant();
    push_kind(EPC_PEV_RESOURCES, 1);
    push_kind(EPC_PEV_LIMITED_PCC, 0);
    assert_int_equal(seam.n_rx_requests, 2);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void abort_while_asked(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    push_kind(EPC_PEV_ABORT, 0);
    assert_int_equal(in->final, 500);
    assert_true(rx()->closed);
    assert_int_equal(seam.n_ack, 1);
}

static void push_while_asked(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    push_kind(EPC_PEV_ALL_MEDIA_LOST, 0);
    push_kind(EPC_PEV_RECOVERED, 0);
    grant();
    assert_int_equal(in->final, 200);
    assert_false(seams_fire_timer());
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void cancelled_while_asked(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    seam_respond(seam.out[0], 183, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_cancel(in);
    assert_true(seam.out[0]->cancelled);
    seam_respond(seam.out[0], 487, "callee", NULL, NULL);
    grant(); /* the AAA comes after the CANCEL */
    assert_int_equal(in->final, 487);
    assert_true(rx()->closed);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_VIDEO(f) cmocka_unit_test_setup_teardown(f, with_video, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(originating_facts),
        TEST(emergency_urn),
        TEST(priority_call_asks_on_the_offer),
        TEST(preliminary_on_the_offer),
        TEST(preliminary_not_before_preconditions),
        TEST(repeated_answer_asks_nothing),
        TEST(later_messages_wait_behind),
        TEST(several_dialogues),
        TEST_VIDEO(several_dialogues_share),
        TEST_VIDEO(media_removed),
        TEST_VIDEO(rejected_reoffer_is_taken_back),
        TEST_VIDEO(refused_modification_goes_on),
        TEST(ue_with_optional_policy),
        TEST(refused_early),
        TEST_VIDEO(some_media_lost),
        TEST_VIDEO(credit),
        TEST(charging_towards_the_core),
        TEST(told_with_the_answer),
        TEST(pcrf_has_restarted),
        TEST(abort_while_asked),
        TEST(push_while_asked),
        TEST(cancelled_while_asked),
    };
    epc_log_setup(EPC_LOG_ERROR, 2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
