/* Media of a call that is up: hold, re-offers, streams that come and go, and what the gateway finds. */
#include "call_fixture.h"

#define WIC_SDP(version, ufrag, dir) WIC_WITH(version, ufrag, "actpass", dir)
#define WIC_SAYS(version, dir) WIC_WITH(version, "wicu", "active", dir)
#define WIC_WITH(version, ufrag, setup, dir)                                                                   \
    "v=0\r\no=- 77 " version " IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"                                   \
    "m=audio 54321 UDP/TLS/RTP/SAVPF 0 126\r\nc=IN IP4 10.45.0.2\r\na=rtpmap:0 PCMU/8000\r\n"          \
    "a=rtpmap:126 telephone-event/8000\r\na=ice-ufrag:" ufrag "\r\na=ice-pwd:wicwicwicwicwicwicwicwic\r\n" \
    "a=candidate:1 1 udp 2122260223 10.45.0.2 54321 typ host\r\n" FP                                   \
    "a=setup:" setup "\r\na=mid:0\r\na=rtcp-mux\r\na=" dir "\r\n"
#define WIC_VIDEO(port)                                                                                \
    "m=video " port " UDP/TLS/RTP/SAVPF 102\r\nc=IN IP4 10.45.0.2\r\na=rtpmap:102 H264/90000\r\n"      \
    "a=fmtp:102 packetization-mode=1;profile-level-id=42e01f\r\n"                                      \
    "a=ice-ufrag:wicu\r\na=ice-pwd:wicwicwicwicwicwicwicwic\r\n" FP                                    \
    "a=setup:actpass\r\na=mid:1\r\na=rtcp-mux\r\na=sendrecv\r\n"
#define CORE(version, dir)                                                                             \
    "v=0\r\no=phone 5 " version " IN IP4 10.20.0.5\r\ns=-\r\nc=IN IP4 10.20.0.5\r\nt=0 0\r\n"          \
    "m=audio 30000 RTP/AVP 0 126\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:126 telephone-event/8000\r\na=" dir "\r\n"
#define CORE_VIDEO(port)                                                                               \
    "m=video " port " RTP/AVP 102\r\na=rtpmap:102 H264/90000\r\n"                                      \
    "a=fmtp:102 packetization-mode=1;profile-level-id=42e01f\r\na=sendrecv\r\n"

static char *h264[] = {(char *)"H264"};

static int without_policy(void **state)
{
    int rc = setup(state);
    cfg.policy.mode = EPC_POLICY_OFF;
    epc_sessions_destroy(ss); /* what may pass is read when the object is made */
    cfg.media.video_codecs = h264;
    cfg.media.n_video_codecs = 1;
    struct epc_sessions_opts o = {.shard = (struct epc_shard *)&seam, .sip = (struct epc_sip *)&seam,
                                  .reg = (struct epc_reg *)&seam, .gw = (struct epc_gw *)&seam,
                                  .policy = &seam_policy, .cfg = &cfg};
    assert_int_equal(epc_sessions_create(&ss, &o), EPC_OK);
    epc_sessions_set_wss(ss, (struct epc_wss *)&seam);
    return rc;
}

static void gateway_done_if_asked(void)
{
    if (seam.gw[0]->done)
        seam_gw_done(seam.gw[0], true);
}

static void established(void)
{
    receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_SDP("2", "wicu", "sendrecv"));
    seam_gw_done(seam.gw[0], true);
    seam_respond(seam.out[0], 200, "callee", CORE("5", "sendrecv"), NULL);
    seam_gw_done(seam.gw[0], true);
    ack(EPC_LEG_WIC, NULL);
}

/* A re-INVITE and its answer; gives the offer and the answer as they went out. */
static struct epc_sip_in *reoffer(enum epc_leg from, unsigned cseq, const char *offer, const char *answer)
{
    bool wic = from == EPC_LEG_WIC;
    struct epc_sip_in *in = receive(from, "INVITE", cseq, wic ? "callee" : "caller", wic ? "caller" : "callee", offer);
    gateway_done_if_asked();
    seam_respond(seam.out[seam.n_out - 1], 200, wic ? "callee" : "caller", answer, NULL);
    gateway_done_if_asked();
    assert_int_equal(in->final, 200);
    struct epc_sip_in *a = request(from, "ACK", cseq, wic ? "callee" : "caller", wic ? "caller" : "callee", NULL, NULL);
    epc_sessions_ack(ss, from, flow, msg_dup(a->msg));
    return in;
}

static const char *offered(void)
{
    return body(seam.out[seam.n_out - 1]->msg);
}

static const char *answered(const struct epc_sip_in *in)
{
    return body(in->answer[in->n_answers - 1]);
}

static void hold_from_the_core(void **state)
{
    (void)state;
    established();
    struct epc_sip_in *in = reoffer(EPC_LEG_CORE, 10, CORE("6", "sendonly"), WIC_SAYS("3", "recvonly"));
    assert_non_null(strstr(offered(), "a=sendonly\r\n"));
    assert_null(strstr(offered(), "0.0.0.0"));
    assert_non_null(strstr(answered(in), "a=recvonly\r\n"));
    /* The old way to hold (RFC 2543): no address at all. */
    in = reoffer(EPC_LEG_CORE, 11,
                 "v=0\r\no=phone 5 7 IN IP4 10.20.0.5\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
                 "m=audio 30000 RTP/AVP 0 126\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:126 telephone-event/8000\r\n",
                 WIC_SAYS("4", "inactive"));
    assert_non_null(strstr(offered(), "a=inactive\r\n"));
    assert_null(strstr(offered(), "0.0.0.0"));
    in = reoffer(EPC_LEG_CORE, 12, CORE("8", "sendrecv"), WIC_SAYS("5", "sendrecv"));
    assert_non_null(strstr(offered(), "a=sendrecv\r\n"));
    assert_non_null(strstr(answered(in), "a=sendrecv\r\n"));
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void refresh_leaves_the_gateway_alone(void **state)
{
    (void)state;
    established();
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 2, "callee", "caller", WIC_SDP("2", "wicu", "sendrecv"));
    assert_null(seam.gw[0]->done);
    seam_respond(seam.out[seam.n_out - 1], 200, "callee", CORE("5", "sendrecv"), NULL);
    assert_null(seam.gw[0]->done);
    assert_int_equal(in->final, 200);
    ack(EPC_LEG_WIC, NULL);
    /* The other side's turn: its offer is new to the gateway. */
    receive(EPC_LEG_CORE, "UPDATE", 9, "caller", "callee", CORE("5", "sendrecv"));
    assert_non_null(seam.gw[0]->done);
    seam_gw_done(seam.gw[0], true);
    seam_respond(seam.out[seam.n_out - 1], 200, "caller", WIC_SAYS("2", "sendrecv"), NULL);
    gateway_done_if_asked();
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void stream_added_and_used_again(void **state)
{
    (void)state;
    established();
    struct epc_sip_in *in = reoffer(EPC_LEG_WIC, 2, WIC_SDP("3", "wicu", "sendrecv") WIC_VIDEO("54325"),
                                    CORE("6", "sendrecv") CORE_VIDEO("30002"));
    assert_non_null(strstr(offered(), "m=video 50002 RTP/AVP 102"));
    assert_non_null(strstr(answered(in), "m=video 40002"));
    in = reoffer(EPC_LEG_WIC, 3, WIC_SDP("4", "wicu", "sendrecv") WIC_VIDEO("0"), CORE("7", "sendrecv") CORE_VIDEO("0"));
    assert_non_null(strstr(offered(), "m=video 0 "));
    assert_int_equal(seam.gw[0]->remote->media[1].port, 0);
    in = reoffer(EPC_LEG_CORE, 10, CORE("8", "sendrecv") CORE_VIDEO("30004"),
                 "v=0\r\no=- 77 5 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n" WIC_MEDIA("active", "sendrecv")
                 "m=video 54327 UDP/TLS/RTP/SAVPF 102\r\nc=IN IP4 10.45.0.2\r\na=rtpmap:102 H264/90000\r\n"
                 "a=fmtp:102 packetization-mode=1;profile-level-id=42e01f\r\n"
                 "a=ice-ufrag:wicu\r\na=ice-pwd:wicwicwicwicwicwicwicwic\r\n" FP "a=setup:active\r\na=rtcp-mux\r\n");
    assert_non_null(strstr(offered(), "m=video 40002"));
    assert_non_null(strstr(answered(in), "m=video 50002"));
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void ice_restart(void **state)
{
    (void)state;
    established();
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 2, "callee", "caller", WIC_SDP("3", "newu", "sendrecv"));
    assert_non_null(seam.gw[0]->done); /* the media are the same, the way to them is not */
    assert_true(epc_str_eqc(seam.gw[0]->remote->media[0].ice_ufrag, "newu"));
    seam_gw_done(seam.gw[0], true);
    assert_null(strstr(offered(), "newu"));
    seam_respond(seam.out[seam.n_out - 1], 200, "callee", CORE("5", "sendrecv"), NULL);
    assert_non_null(seam.gw[0]->done); /* new credentials are due, although the core's answer is the old one */
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(in->final, 200);
    ack(EPC_LEG_WIC, NULL);
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void offer_for_the_core(void **state)
{
    (void)state;
    established();
    struct epc_sip_in *in = receive(EPC_LEG_CORE, "INVITE", 10, "caller", "callee", NULL);
    assert_null(seam.gw[0]->done);
    seam_respond(seam.out[seam.n_out - 1], 200, "caller", WIC_SDP("3", "newu", "sendrecv"), NULL);
    assert_true(epc_str_eqc(seam.gw[0]->remote->media[0].ice_ufrag, "newu"));
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(in->final, 200);
    assert_non_null(strstr(answered(in), "m=audio 50000 RTP/AVP 0 126"));
    struct epc_sip_in *a = request(EPC_LEG_CORE, "ACK", 10, "caller", "callee", CORE("6", "sendrecv"), NULL);
    epc_sessions_ack(ss, EPC_LEG_CORE, flow, msg_dup(a->msg));
    seam_gw_done(seam.gw[0], true);
    assert_non_null(strstr(body(seam.ack[seam.n_ack - 1]), "m=audio 40000"));
    bye(EPC_LEG_WIC, "caller", "callee");
}

static void told_what_would_be_accepted(void **state)
{
    (void)state;
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller",
                                    "v=0\r\no=- 77 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
                                    "m=audio 54321 UDP/TLS/RTP/SAVPF 3\r\nc=IN IP4 10.45.0.2\r\na=rtpmap:3 GSM/8000\r\n"
                                    "a=ice-ufrag:wicu\r\na=ice-pwd:wicwicwicwicwicwicwicwic\r\n" FP
                                    "a=setup:actpass\r\na=rtcp-mux\r\n");
    assert_int_equal(in->final, 488);
    assert_non_null(strstr(in->refusal_warning, "305 "));
    assert_non_null(strstr(in->refusal_sdp, "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8\r\n"));
    assert_non_null(strstr(in->refusal_sdp, "a=rtpmap:111 opus/48000/2\r\n"));
    struct epc_sip_in *image = request(EPC_LEG_CORE, "INVITE", 1, NULL, "other",
                                       "v=0\r\no=f 1 1 IN IP4 10.20.0.5\r\ns=-\r\nc=IN IP4 10.20.0.5\r\nt=0 0\r\n"
                                       "m=image 30000 udptl t38\r\n", CORE_ROUTE);
    epc_sessions_request(ss, image);
    assert_int_equal(image->final, 488);
    assert_non_null(strstr(image->refusal_warning, "304 "));
    assert_non_null(strstr(image->refusal_sdp, "m=audio 9 RTP/AVP "));
}

/* ---- what the gateway finds --------------------------------------------------------------------------------- */

static const char *reason_of(enum epc_leg leg)
{
    for (int i = seam.n_out - 1; i >= 0; i--)
        if (seam.out[i]->leg == leg && sip_object(seam.out[i]->msg)->sip_request->rq_method == sip_method_bye)
            return epc_sip_get(seam.out[i]->msg, "Reason", 0).p;
    return NULL;
}

static void push(enum epc_gw_event_kind kind, enum epc_gw_failure failure)
{
    seam.gw[0]->event(seam.gw[0]->event_arg, &(struct epc_gw_event){.kind = kind, .failure = failure});
}

static void ended_with(const char *reason)
{
    assert_string_equal(reason_of(EPC_LEG_CORE), reason);
    assert_string_equal(reason_of(EPC_LEG_WIC), reason);
    assert_true(seam.gw[0]->released);
    for (int i = seam.n_out - 2; i < seam.n_out; i++)
        seam_respond(seam.out[i], 200, NULL, NULL, NULL);
}

static void no_way_to_the_wic(void **state)
{
    (void)state;
    established();
    push(EPC_GW_EV_FAILED, EPC_GW_FAIL_ICE);
    ended_with("SIP;cause=580;text=\"ICE failed\"");
}

static void wrong_certificate(void **state)
{
    (void)state;
    established();
    push(EPC_GW_EV_FAILED, EPC_GW_FAIL_DTLS);
    ended_with("SIP;cause=580;text=\"DTLS failed\"");
}

static void nobody_sends(void **state)
{
    (void)state;
    established();
    push(EPC_GW_EV_INACTIVE, EPC_GW_FAIL_ICE);
    ended_with("SIP;cause=503;text=\"No media\"");
}

static void not_before_the_answer(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    push(EPC_GW_EV_FAILED, EPC_GW_FAIL_ICE); /* nobody has begun */
    assert_false(seam.gw[0]->released);
    seam_respond(seam.out[0], 486, "callee", NULL, NULL);
    assert_int_equal(in->final, 486);
}

#define M(f) cmocka_unit_test_setup_teardown(f, without_policy, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        M(hold_from_the_core), M(refresh_leaves_the_gateway_alone), M(stream_added_and_used_again), M(ice_restart),
        M(offer_for_the_core), M(told_what_would_be_accepted),      M(no_way_to_the_wic),           M(wrong_certificate),
        M(nobody_sends),       M(not_before_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
