/* Where the gateway transcodes, and where the core wants preconditions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "peer_gateway.h"

static const char *const audio[] = {"opus", "AMR-WB", "AMR", "PCMA", "PCMU"};
static const char *const video[] = {"H264"};
static struct epc_iw_policy policy = {
    .audio_codecs = audio, .n_audio_codecs = 5, .video_codecs = video, .n_video_codecs = 1,
};

#define HEX8  "00:11:22:33:44:55:66:77"
#define FP    "a=fingerprint:sha-256 " HEX8 ":" HEX8 ":" HEX8 ":" HEX8 "\r\n"
#define WHEAD "v=0\r\no=- 4711 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
#define WIC(formats, setup, maps)                                                                  \
    WHEAD "m=audio 4000 UDP/TLS/RTP/SAVPF " formats "\r\nc=IN IP4 192.0.2.55\r\n"                  \
    "a=ice-ufrag:wicU\r\na=ice-pwd:wicPasswordOf22charsXX\r\n" FP "a=setup:" setup                 \
    "\r\na=mid:au\r\na=rtcp-mux\r\n" maps
#define OPUS  "a=rtpmap:111 opus/48000/2\r\n"
#define EV48  "a=rtpmap:110 telephone-event/48000\r\n"
#define EV8   "a=rtpmap:126 telephone-event/8000\r\n"
#define CORE(formats, maps)                                                                        \
    "v=0\r\no=c 1 1 IN IP4 203.0.113.9\r\ns=-\r\nc=IN IP4 203.0.113.9\r\nt=0 0\r\n"                \
    "m=audio 6000 RTP/AVP " formats "\r\n" maps

static int with(void **state, uint32_t transcodes)
{
    policy.transcodes = transcodes;
    return epc_iw_create((struct epc_iw **)state, &policy);
}

static int all(void **state)
{
    return with(state, UINT32_MAX);
}

static int narrow(void **state) /* opus, PCMA and PCMU */
{
    return with(state, 1 | 8 | 16);
}

static int none(void **state)
{
    return with(state, 0);
}

static int teardown(void **state)
{
    epc_iw_free(*state);
    return 0;
}

static char *run(struct epc_iw *w, enum epc_sdp_leg from, bool offer, const char *text)
{
    struct epc_sdp *remote = NULL, *local = NULL;
    struct epc_buf out = {0};
    bool unchanged;
    struct epc_cause cause = {0};
    enum epc_err err = offer ? epc_iw_offer(w, from, epc_str_c(text), &remote, &unchanged, &cause)
                             : epc_iw_answer(w, epc_str_c(text), &remote, &unchanged, &cause);
    if (err != EPC_OK)
        return NULL;
    local = peer_gateway_local(remote, from == EPC_SDP_WIC ? EPC_SDP_CORE : EPC_SDP_WIC, 1);
    err = offer ? epc_iw_offer_out(w, local, &out, &cause) : epc_iw_answer_out(w, local, &out, &cause);
    if (err != EPC_OK)
        fail_msg("out: %s", cause.reason);
    epc_sdp_free(local);
    epc_sdp_free(remote);
    return epc_buf_take(&out, NULL);
}

static void gives(char *text, const char *const *want)
{
    assert_non_null(text);
    for (; *want; want++)
        if (!strstr(text, *want))
            fail_msg("no \"%s\" in:\n%s", *want, text);
    free(text);
}
#define GIVES(text, ...) gives(text, (const char *const[]){__VA_ARGS__, NULL})

static void lacks(const char *text, const char *bad)
{
    if (strstr(text, bad))
        fail_msg("\"%s\" in:\n%s", bad, text);
}

/* ---- transcoding ------------------------------------------------------------------------------------ */

static void offer_grows(void **state)
{
    struct epc_iw *w = *state;
    GIVES(run(w, EPC_SDP_WIC, true, WIC("111 0 110 126", "actpass", OPUS EV48 EV8)),
          "RTP/AVP 111 0 110 126 96 97 8 98\r\n", "a=rtpmap:96 AMR-WB/16000\r\n", "a=rtpmap:97 AMR/8000\r\n",
          "a=rtpmap:8 PCMA/8000\r\n", "a=rtpmap:98 telephone-event/16000\r\n", "a=fmtp:96 mode-change-capability=2");
    const struct epc_sdp *want = epc_iw_want(w);
    assert_non_null(want);
    assert_int_equal(want->media[0].n_codec, 8);
    /* The core takes what only the gateway makes: the WIC hears its own first one. */
    GIVES(run(w, EPC_SDP_CORE, false, CORE("96 98", "a=rtpmap:96 AMR-WB/16000\r\na=rtpmap:98 telephone-event/16000\r\n")),
          "SAVPF 111 110\r\n", "a=rtpmap:111 opus/48000/2\r\n", "a=rtpmap:110 telephone-event/48000\r\n");
    want = epc_iw_want(w);
    assert_non_null(want);
    assert_int_equal(want->media[0].codec[0].pt, 111);
    assert_true(epc_iw_transcoded(w, 0));
    epc_iw_commit(w);
    assert_true(epc_iw_transcoded(w, 0));
    assert_null(epc_iw_want(w));
    assert_non_null(epc_iw_committed_want(w, EPC_SDP_WIC));
    /* The same numbers for the same codecs again. */
    GIVES(run(w, EPC_SDP_WIC, true, WIC("111 0 110 126", "actpass", OPUS EV48 EV8)),
          "RTP/AVP 111 0 110 126 96 97 8 98\r\n", "a=rtpmap:96 AMR-WB/16000\r\n");
}

static void what_both_have_passes(void **state)
{
    struct epc_iw *w = *state;
    free(run(w, EPC_SDP_WIC, true, WIC("111 0 126", "actpass", OPUS EV8)));
    char *answer = run(w, EPC_SDP_CORE, false, CORE("8 0 126", EV8));
    lacks(answer, "opus");
    GIVES(answer, "SAVPF 0 126\r\n");
    assert_false(epc_iw_transcoded(w, 0));
}

static void from_the_core(void **state)
{
    struct epc_iw *w = *state;
    char *offer = run(w, EPC_SDP_CORE, true,
                      CORE("104 100", "a=rtpmap:104 AMR-WB/16000\r\na=fmtp:104 octet-align=1\r\n"
                                      "a=rtpmap:100 telephone-event/16000\r\n"));
    lacks(offer, " AMR/8000"); /* no browser has it */
    GIVES(offer, "SAVPF 104 100 96 8 0 97 98\r\n", "a=rtpmap:96 opus/48000/2\r\n", "telephone-event/48000");
    GIVES(run(w, EPC_SDP_WIC, false, WIC("96 98", "active", "a=rtpmap:96 opus/48000/2\r\na=rtpmap:98 telephone-event/48000\r\n")),
          "RTP/AVP 104 100\r\n", "a=fmtp:104 octet-align=1\r\n");
    assert_true(epc_iw_transcoded(w, 0));
}

static void only_what_the_gateway_has(void **state)
{
    struct epc_iw *w = *state;
    char *offer = run(w, EPC_SDP_WIC, true, WIC("111", "actpass", OPUS));
    lacks(offer, "AMR");
    GIVES(offer, "RTP/AVP 111 8 0\r\n");
    epc_iw_rollback(w);
    /* Nothing to make the others of. */
    GIVES(run(w, EPC_SDP_CORE, true, CORE("104", "a=rtpmap:104 AMR-WB/16000\r\n")), "SAVPF 104\r\n");
}

static void nothing_is_made(void **state)
{
    struct epc_iw *w = *state;
    GIVES(run(w, EPC_SDP_WIC, true, WIC("111 0 126", "actpass", OPUS EV8)), "RTP/AVP 111 0 126\r\n");
    const struct epc_sdp *want = epc_iw_want(w);
    assert_int_equal(want->media[0].n_codec, 3);
    assert_true(epc_str_eqc(want->media[0].proto, "RTP/AVP"));
}

/* All 32 dynamic numbers are in use: what has none is left out, and nothing stands twice. */
static void numbers_run_out(void **state)
{
    struct epc_iw *w = *state;
    struct epc_buf formats = {0}, maps = {0}, text = {0};
    for (unsigned pt = 96; pt < 128; pt++) {
        epc_buf_printf(&formats, "%s%u", pt > 96 ? " " : "", pt);
        epc_buf_printf(&maps, "a=rtpmap:%u opus/48000/2\r\n", pt);
    }
    epc_buf_printf(&text, WHEAD "m=audio 4000 UDP/TLS/RTP/SAVPF %s\r\nc=IN IP4 192.0.2.55\r\n"
                   "a=ice-ufrag:wicU\r\na=ice-pwd:wicPasswordOf22charsXX\r\n" FP "a=setup:actpass\r\na=rtcp-mux\r\n%s",
                   formats.p, maps.p);
    char *offer = run(w, EPC_SDP_WIC, true, text.p);
    assert_non_null(offer);
    lacks(offer, "AMR");
    GIVES(offer, " 8 0\r\n");
    epc_buf_free(&formats);
    epc_buf_free(&maps);
    epc_buf_free(&text);
}

/* ---- preconditions ------------------------------------------------------------------------------------ */

#define QOS(curr_local)                                                                            \
    "a=curr:qos local " curr_local "\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n" \
    "a=des:qos mandatory remote sendrecv\r\n"

static void core_asks(void **state)
{
    struct epc_iw *w = *state;
    epc_iw_act_for_preconditions(w, true);
    char *offer = run(w, EPC_SDP_CORE, true, CORE("0", QOS("none")));
    lacks(offer, "qos");
    free(offer);
    assert_int_equal(epc_iw_qos(w), EPC_IW_QOS_PENDING);
    GIVES(run(w, EPC_SDP_WIC, false, WIC("0", "active", "")), "a=curr:qos local sendrecv\r\na=curr:qos remote none\r\n",
          "a=des:qos mandatory local sendrecv\r\na=des:qos mandatory remote sendrecv\r\n",
          "a=conf:qos remote sendrecv\r\n");
    epc_iw_commit(w);
    /* It has reserved: nothing to confirm, and nothing new for the WIC. */
    struct epc_sdp *remote = NULL;
    bool unchanged = false;
    assert_int_equal(epc_iw_offer(w, EPC_SDP_CORE, epc_str_c(CORE("0", QOS("sendrecv"))), &remote, &unchanged, NULL), EPC_OK);
    epc_sdp_free(remote);
    assert_true(unchanged);
    assert_int_equal(epc_iw_qos(w), EPC_IW_QOS_MET);
    struct epc_buf out = {0};
    assert_int_equal(epc_iw_answer_for_wic(w, &remote, NULL), EPC_OK);
    epc_sdp_free(remote);
    assert_int_equal(epc_iw_answer_out(w, NULL, &out, NULL), EPC_OK);
    lacks(out.p, "a=conf");
    GIVES(epc_buf_take(&out, NULL), "RTP/AVP 0\r\n", "a=curr:qos remote sendrecv\r\n");
    epc_iw_rollback(w);
}

static void offered(void **state)
{
    struct epc_iw *w = *state;
    epc_iw_act_for_preconditions(w, true);
    GIVES(run(w, EPC_SDP_WIC, true, WIC("0", "actpass", "")), "a=curr:qos local sendrecv\r\na=curr:qos remote none\r\n",
          "a=des:qos mandatory local sendrecv\r\na=des:qos optional remote sendrecv\r\n");
    char *answer = run(w, EPC_SDP_CORE, false, CORE("0", QOS("none") "a=conf:qos remote sendrecv\r\n"));
    lacks(answer, "qos");
    free(answer);
    assert_int_equal(epc_iw_qos(w), EPC_IW_QOS_PENDING);
}

static void not_acted_for(void **state)
{
    struct epc_iw *w = *state;
    free(run(w, EPC_SDP_CORE, true, CORE("0", QOS("none"))));
    char *answer = run(w, EPC_SDP_WIC, false, WIC("0", "active", ""));
    lacks(answer, "qos");
    free(answer);
    epc_iw_commit(w);
    epc_iw_act_for_preconditions(w, true); /* later offers do not bring up what nobody asked for */
    free(run(w, EPC_SDP_CORE, true, CORE("0", "")));
    answer = run(w, EPC_SDP_WIC, false, WIC("0", "active", ""));
    lacks(answer, "qos");
    free(answer);
}

static void odd_lines(void **state)
{
    struct epc_iw *w = *state;
    epc_iw_act_for_preconditions(w, true);
    char *offer = run(w, EPC_SDP_CORE, true,
                      CORE("0", "a=curr:qos\r\na=curr:\r\na=curr:qos e2e send\r\na=des:qos mandatory e2e sendrecv\r\n"
                                "a=des:qos\r\na=des:sec mandatory local sendrecv\r\na=curr:qos local \r\n"));
    assert_non_null(offer);
    free(offer);
    assert_int_equal(epc_iw_qos(w), EPC_IW_QOS_PENDING);
    free(run(w, EPC_SDP_WIC, false, WIC("0", "active", "")));
}

#define T(f, how) cmocka_unit_test_setup_teardown(f, how, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(offer_grows, all),     T(what_both_have_passes, all), T(from_the_core, all), T(only_what_the_gateway_has, narrow),
        T(nothing_is_made, none), T(numbers_run_out, all),      T(core_asks, none),    T(offered, none),
        T(not_acted_for, none),  T(odd_lines, none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
