/* Operations as pairs of messages (TS 29.334 5.17.2). The longer exchanges are files in golden/iq. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "sdp.h"
#include "seams.h"

static int setup(void **state)
{
    (void)state;
    seams_start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    seams_stop();
    return 0;
}

/* A description without its video. Valid for seven further calls. */
static const char *audio(const char *text)
{
    static char kept[8][4096];
    static unsigned turn;
    char *out = kept[turn++ % 8];
    const char *video = strstr(text, "m=video");
    snprintf(out, sizeof kept[0], "%.*s", video ? (int)(video - text) : (int)strlen(text), text);
    return out;
}

static void talk(void)
{
    offer(EPC_GW_ACCESS, audio(sdp_wic_offer), audio(want_core), 1);
    play("audio_call.txt");
    result(1);
    answer(audio(sdp_core_answer), audio(want_wic), 2);
    play("audio_call.txt");
    result(2);
}

static void hang_up(void)
{
    release();
    expect("Context = 5001 { Subtract = ip/1/access/17 { Audit { Statistics } }, "
           "Subtract = ip/1/core/18 { Audit { Statistics } } }");
    reply("Context = 5001 { Subtract = ip/1/access/17, Subtract = ip/1/core/18 }");
}

static void call_from_the_wic(void **state)
{
    (void)state;
    char text[EPC_ADDR_LEN];
    offer(EPC_GW_ACCESS, sdp_wic_offer, want_core, 1);
    play("wic_call.txt");
    const char *core = result(1);
    assert_non_null(strstr(core, "m=audio 50000 RTP/AVP 111 0 8 126\r\nc=IN IP4 10.10.0.20\r\n"));
    assert_non_null(strstr(core, "m=video 50002 RTP/AVP 102 96\r\n"));
    assert_int_equal(view().stream[0].ice, EPC_GW_ICE_NEW);

    answer(sdp_core_answer, want_wic, 2);
    play("wic_call.txt");
    const char *wic = result(2);
    assert_non_null(strstr(wic, "a=ice-lite\r\n"));
    assert_non_null(strstr(wic, "m=audio 40000 UDP/TLS/RTP/SAVPF"));
    assert_non_null(strstr(wic, "a=ice-ufrag:Mf3b\r\n"));
    assert_non_null(strstr(wic, "a=setup:passive\r\n"));
    assert_non_null(strstr(wic, "m=video 0 "));
    struct epc_gw_view v = view();
    assert_string_equal(v.gateway, "[127.0.0.1]:2944");
    assert_string_equal(v.context, "5001");
    assert_int_equal(v.ice_mode, 1);
    assert_int_equal(v.n_streams, 2);
    assert_string_equal(epc_addr_text(&v.stream[0].access, text), "198.51.100.20:40000");
    assert_string_equal(epc_addr_text(&v.stream[0].core, text), "10.10.0.20:50000");
    assert_int_equal(v.stream[0].ice, EPC_GW_ICE_CHECKING);
    assert_int_equal(v.stream[1].access.len, 0);

    release();
    play("wic_call.txt");
    assert_int_equal(seam.n_ended, 1);
    assert_int_equal(seam.n_stats, 1);
    assert_int_equal(seam.stat.duration_ms, 61000);
    assert_int_equal(seam.stat.side[EPC_GW_ACCESS].octets_in, 486400);
    assert_int_equal(seam.stat.side[EPC_GW_ACCESS].octets_out, 488000);
    assert_int_equal(seam.stat.side[EPC_GW_CORE].octets_in, 488000);
    assert_int_equal(seam.stat.discarded, 3);
}

static void call_from_the_core(void **state)
{
    (void)state;
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    play("core_call.txt");
    assert_non_null(strstr(result(1), "m=audio 40000 UDP/TLS/RTP/SAVPF 0 126\r\n"));
    answer(sdp_wic_answer, NULL, 2);
    play("core_call.txt");
    assert_non_null(strstr(result(2), "m=audio 50000 RTP/AVP 0 126\r\n"));
    hang_up();
}

/* A session refresh costs no message. */
static void what_has_not_changed_is_not_sent(void **state)
{
    (void)state;
    talk();
    offer(EPC_GW_ACCESS, audio(sdp_wic_offer), audio(want_core), 3);
    expect_nothing();
    assert_non_null(strstr(result(3), "m=audio 50000 RTP/AVP"));
    answer(sdp_core_answer, audio(want_wic), 4);
    expect_nothing();
    assert_non_null(strstr(result(4), "m=audio 40000 UDP/TLS/RTP/SAVPF"));
    hang_up();
}

static char *with(const char *text, const char *old, const char *new)
{
    struct epc_buf b = {0};
    const char *at = strstr(text, old);
    assert_non_null(at);
    epc_buf_add(&b, text, (size_t)(at - text));
    epc_buf_adds(&b, new);
    epc_buf_adds(&b, at + strlen(old));
    return epc_buf_take(&b, NULL);
}

static void hold_is_a_mode(void **state)
{
    (void)state;
    talk();
    static const struct {
        const char *offered, *answered, *mode;
    } t[] = {{"a=sendonly", "a=recvonly", "SendOnly"},
             {"a=inactive", "a=inactive", "Inactive"},
             {"a=recvonly", "a=sendonly", "ReceiveOnly"},
             {"a=sendrecv", "a=sendrecv", "SendReceive"}};
    for (size_t i = 0; i < EPC_ARRAY_LEN(t); i++) {
        char *held = with(audio(sdp_wic_offer), "a=sendrecv", t[i].offered);
        char *taken = with(audio(sdp_core_answer), "a=sendrecv", t[i].answered), want[160];
        offer(EPC_GW_ACCESS, held, audio(want_core), 3);
        expect_nothing();
        result(3);
        answer(taken, audio(want_wic), 4);
        snprintf(want, sizeof want,
                 "Context = 5001 { Modify = ip/1/core/18 { Media { Stream = 1 { LocalControl { Mode = %s } } } } }",
                 t[i].mode);
        expect(want);
        reply("Context = 5001 { Modify = ip/1/core/18 }");
        result(4);
        free(held);
        free(taken);
    }
    hang_up();
}

static void early_media_are_gated(void **state)
{
    (void)state;
    offer(EPC_GW_ACCESS, sdp_wic_offer, want_core, 1);
    gate(true, false); /* waits its turn, and has nothing to say before an answer */
    play("wic_call.txt");
    result(1);
    answer(sdp_core_answer, want_wic, 2);
    play("gated_answer.txt");
    result(2);
    gate(true, true);
    expect("Context = 5001 { Modify = ip/1/core/18 { Media { Stream = 1 { LocalControl { Mode = SendReceive } } } } }");
    reply("Context = 5001 { Modify = ip/1/core/18 }");
    gate(false, false);
    expect("Context = 5001 { Modify = ip/1/core/18 { Media { Stream = 1 { LocalControl { Mode = Inactive } } } } }");
    reply("Context = 5001 { Modify = ip/1/core/18 }");
    gate(false, false);
    expect_nothing();
    hang_up();
}

/* The WIC's new credentials make the gateway choose its own anew; a refusal brings the old ones back. */
static void ice_restart_and_its_rejection(void **state)
{
    (void)state;
    talk();
    offer(EPC_GW_ACCESS, audio(sdp_wic_restart), audio(want_core), 3);
    play("ice_restart.txt");
    result(3);
    answer(sdp_core_answer, audio(want_wic), 4);
    play("ice_restart.txt");
    assert_non_null(strstr(result(4), "a=ice-ufrag:NewU\r\n"));
    offer(EPC_GW_ACCESS, audio(sdp_wic_offer), audio(want_core), 5); /* and back again */
    play("ice_restart.txt");
    result(5);
    restore(EPC_GW_ACCESS, audio(sdp_wic_restart), audio(sdp_core_answer));
    play("ice_restart.txt");
    hang_up();
}

static void another_fingerprint_is_another_association(void **state)
{
    (void)state;
    talk();
    char *other = with(audio(sdp_wic_offer), "27:5E:7E", "28:5E:7E");
    offer(EPC_GW_ACCESS, other, audio(want_core), 3);
    play("dtls_again.txt");
    result(3);
    answer(sdp_core_answer, audio(want_wic), 4);
    play("dtls_again.txt");
    assert_non_null(strstr(result(4), "a=fingerprint:sha-256 01:02"));
    free(other);
    hang_up();
}

/* A video stream comes in a later offer, is refused, comes again and stays, and goes. */
static void streams_come_and_go(void **state)
{
    (void)state;
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    play("core_call.txt");
    answer(sdp_wic_answer, NULL, 2);
    play("core_call.txt");
    result(2);
    offer(EPC_GW_ACCESS, sdp_wic_offer, want_core, 3);
    play("streams.txt");
    assert_non_null(strstr(result(3), "m=video 50002 RTP/AVP 102 96"));
    restore(EPC_GW_CORE, sdp_core_offer, sdp_wic_answer);
    play("streams.txt");
    offer(EPC_GW_ACCESS, sdp_wic_offer, want_core, 4);
    play("streams.txt");
    result(4);
    answer(sdp_core_answer_av, NULL, 5);
    play("streams.txt");
    assert_int_not_equal(view().stream[1].access.len, 0);
    offer(EPC_GW_CORE, sdp_core_reoffer, want_wic, 6);
    play("streams.txt"); /* nothing goes before the answer: the offer may be refused */
    assert_non_null(strstr(result(6), "m=video 0 "));
    assert_int_not_equal(view().stream[1].access.len, 0);
    answer(sdp_wic_answer_hold, NULL, 7);
    play("streams.txt");
    assert_int_equal(view().stream[1].access.len, 0);
    hang_up();
}

/* Forked calls: the last answer counts, and what one refuses waits for another. */
static void answers_may_differ(void **state)
{
    (void)state;
    offer(EPC_GW_ACCESS, sdp_wic_offer, want_core, 1);
    play("forks.txt");
    answer(sdp_core_answer, want_wic, 2);
    play("forks.txt");
    char *elsewhere = with(sdp_core_answer_av, "127.0.0.9", "127.0.0.8");
    answer(elsewhere, NULL, 3);
    play("forks.txt");
    assert_int_not_equal(view().stream[1].access.len, 0);
    answer(sdp_core_answer, want_wic, 4);
    play("forks.txt");
    result(4);
    seams_wait(200000); /* nobody else comes */
    play("forks.txt");
    free(elsewhere);
    hang_up();
}

static void emergency_and_priority(void **state)
{
    (void)state;
    release();
    seams_context(true, 15);
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    assert_true(seam.open[0].emergency);
    play("emergency.txt");
    result(1);
    hang_up();
}

/* Gateways that know their side towards the browser with the answer only. */
static void local_may_come_late(void **state)
{
    (void)state;
    offer(EPC_GW_ACCESS, sdp_wic_offer, want_core, 1);
    play("late_local.txt");
    result(1);
    answer(sdp_core_answer, want_wic, 2);
    play("late_local.txt");
    assert_non_null(strstr(result(2), "m=audio 40000 UDP/TLS/RTP/SAVPF"));
    hang_up();
}

static void without_a_local_there_is_no_answer(void **state)
{
    (void)state;
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    reply("Context = 5001 { Add = ip/1/access/17, Add = ip/1/core/18 }");
    refusal(1, 500, false);
    hang_up();
}

static void full_ice_is_ordered(void **state)
{
    (void)state;
    seam.cfg.iq.ice = EPC_IQ_ICE_FULL;
    seam.cfg.inactivity_ms = 120000;
    seam.packages = "ostuncc adid";
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    play("full_ice.txt");
    assert_null(strstr(result(1), "a=ice-lite"));
    assert_int_equal(view().ice_mode, 0);
    answer(sdp_wic_answer, NULL, 2);
    play("full_ice.txt");
    result(2);
    hang_up();
}

/* The WIC has Opus alone, the core G.711 alone: the gateway is told both. */
static void different_codecs_are_transcoded(void **state)
{
    (void)state;
    static const char rest[] = "a=sendrecv\na=rtpmap:126 telephone-event/8000\n";
    struct epc_buf offered = {0}, taken = {0};
    char *wic = with(audio(sdp_wic_offer), "111 0 8 126", "111 126"), *no_pcmu = with(wic, "a=rtpmap:0 PCMU/8000\n", "");
    char *opus = with(no_pcmu, "a=rtpmap:8 PCMA/8000\n", "");
    epc_buf_printf(&offered, WANT_HEAD "m=audio 9 RTP/AVP 0 126\nc=IN IP4 192.0.0.8\na=rtpmap:0 PCMU/8000\n%s", rest);
    epc_buf_printf(&taken, WANT_HEAD "m=audio 9 UDP/TLS/RTP/SAVPF 111 126\nc=IN IP4 192.0.0.8\na=rtcp-mux\n"
                   "a=rtpmap:111 opus/48000/2\n%s", rest);
    offer(EPC_GW_ACCESS, opus, offered.p, 1);
    play("transcoding.txt");
    assert_non_null(strstr(result(1), "RTP/AVP 0 126\r\n"));
    answer(audio(sdp_core_answer), taken.p, 2);
    play("transcoding.txt");
    assert_non_null(strstr(result(2), "UDP/TLS/RTP/SAVPF 111 126\r\n"));
    hang_up();
    epc_buf_free(&offered);
    epc_buf_free(&taken);
    free(wic);
    free(no_pcmu);
    free(opus);
}

/* RFC 8842 5: who insists on waiting is called upon. */
static void the_dtls_role_follows_the_wic(void **state)
{
    (void)state;
    static const struct {
        const char *wic, *gateway;
    } t[] = {{"a=setup:actpass", "a=setup:passive"},
             {"a=setup:active", "a=setup:passive"},
             {"a=setup:passive", "a=setup:active"}};
    for (size_t i = 0; i < EPC_ARRAY_LEN(t); i++) {
        char *text = with(audio(sdp_wic_offer), "a=setup:actpass", t[i].wic);
        offer(EPC_GW_ACCESS, text, audio(want_core), 1);
        assert_true(asks_for(t[i].gateway));
        reply("Context = $ { Error = 510 { \"Insufficient resources\" } }");
        refusal(1, 503, true);
        free(text);
    }
    release();
}

static void families_rates_and_markings(void **state)
{
    (void)state;
    seam.cfg.iq.core_ip6 = true;
    seam.cfg.iq.burst_octets = 9000;
    char *text = with(audio(sdp_wic_offer), "a=rtcp-mux", "b=AS:64\na=rtcp-mux");
    offer(EPC_GW_ACCESS, text, audio(want_core), 1);
    assert_true(asks_for("c=IN IP6 $"));
    assert_true(asks_for("c=IN IP4 $"));
    assert_true(asks_for("tman/sdr = 8400"));
    assert_true(asks_for("tman/mbs = 9000"));
    assert_true(asks_for("ds/dscp = 2E"));
    reply("Context = $ { Error = 510 { \"Insufficient resources\" } }");
    refusal(1, 503, true);
    seam.cfg.iq.police = false;
    seam.cfg.iq.dscp_audio = 0;
    seam.cfg.iq.heartbeat_s = 0;
    static char none[] = "";
    seam.cfg.iq.access_realm = none;
    offer(EPC_GW_ACCESS, text, audio(want_core), 2);
    assert_false(asks_for("tman/"));
    assert_false(asks_for("ds/dscp"));
    assert_false(asks_for("hangterm/thb"));
    assert_false(asks_for("\"access\""));
    assert_true(asks_for("ipdc/realm = \"core\""));
    reply("Context = $ { Error = 510 { \"Insufficient resources\" } }");
    free(text);
    release();
}

static void hosted_nat_is_latched_on_to(void **state)
{
    (void)state;
    seam.cfg.iq.latch_core = true;
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    play("latch.txt");
    result(1);
    hang_up();
}

static void names_are_the_operators(void **state)
{
    (void)state;
    static char dscp[] = "dscp", realm[] = "realm", none[] = "", other[] = "Own/Realm";
    struct epc_cfg_iq_name names[] = {{dscp, none}, {realm, other}};
    seam.cfg.iq.names = names;
    seam.cfg.iq.n_names = 2;
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    play("names.txt");
    result(1);
    hang_up();
}

static void braces_cannot_travel(void **state)
{
    (void)state;
    char *bad = with(sdp_wic_offer, "minptime=10", "minptime={10}");
    offer(EPC_GW_ACCESS, bad, NULL, 1);
    expect_nothing();
    refusal(1, 488, false);
    free(bad);
    release();
}

static void nothing_offered_is_nothing_asked(void **state)
{
    (void)state;
    offer(EPC_GW_CORE, WANT_HEAD "m=video 0 RTP/AVP 102\n", NULL, 1);
    expect_nothing();
    assert_non_null(strstr(result(1), "m=video 0 RTP/AVP 102\r\n"));
    release();
}

/* Without `want` each side gets the other's formats. */
static void without_want_as_remote(void **state)
{
    (void)state;
    offer(EPC_GW_CORE, sdp_core_offer, NULL, 1);
    play("without_want.txt");
    result(1);
    hang_up();
}

static void an_answer_needs_an_offer(void **state)
{
    (void)state;
    answer(sdp_core_answer, NULL, 1);
    expect_nothing();
    refusal(1, 500, false);
    release();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(call_from_the_wic),
        T(call_from_the_core),
        T(what_has_not_changed_is_not_sent),
        T(hold_is_a_mode),
        T(early_media_are_gated),
        T(ice_restart_and_its_rejection),
        T(another_fingerprint_is_another_association),
        T(streams_come_and_go),
        T(answers_may_differ),
        T(emergency_and_priority),
        T(local_may_come_late),
        T(without_a_local_there_is_no_answer),
        T(full_ice_is_ordered),
        T(different_codecs_are_transcoded),
        T(the_dtls_role_follows_the_wic),
        T(families_rates_and_markings),
        T(hosted_nat_is_latched_on_to),
        T(names_are_the_operators),
        T(braces_cannot_travel),
        T(nothing_offered_is_nothing_asked),
        T(without_want_as_remote),
        T(an_answer_needs_an_offer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
