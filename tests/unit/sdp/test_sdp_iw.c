/* The interworking object: checks, states and the rules that no golden dialog shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "peer_gateway.h"

static const char *const audio[] = {"opus", "PCMU", "PCMA"};
static const char *const video[] = {"VP8", "H264"};
static const struct epc_iw_policy policy = {
    .audio_codecs = audio, .n_audio_codecs = 3, .video_codecs = video, .n_video_codecs = 2,
    .audio_bw_bps = 64500, .video_bw_bps = 1000000,
};

#define FP    "a=fingerprint:sha-256 " HEX8 ":" HEX8 ":" HEX8 ":" HEX8 "\r\n"
#define HEX8  "00:11:22:33:44:55:66:77"
#define ICE   "a=ice-ufrag:wicU\r\na=ice-pwd:wicPasswordOf22charsXX\r\n"
#define WHEAD "v=0\r\no=- 4711 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
#define WAUDIO(port)                                                                               \
    "m=audio " port " UDP/TLS/RTP/SAVPF 111 0 126\r\nc=IN IP4 192.0.2.55\r\n" ICE FP                \
    "a=setup:actpass\r\na=mid:au\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n"                    \
    "a=rtpmap:126 telephone-event/8000\r\n"
#define WVIDEO                                                                                     \
    "m=video 4002 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 192.0.2.55\r\n" ICE FP                        \
    "a=setup:actpass\r\na=mid:vi\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\n" \
    "a=fmtp:97 apt=96\r\na=rtcp-fb:96 nack pli\r\n"
#define CHEAD  "v=0\r\no=c 1 1 IN IP4 203.0.113.9\r\ns=-\r\nc=IN IP4 203.0.113.9\r\nt=0 0\r\n"
#define CAUDIO "m=audio 6000 RTP/AVP 0\r\n"
#define CVIDEO "m=video 6002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"

static int setup(void **state)
{
    return epc_iw_create((struct epc_iw **)state, &policy);
}

static int teardown(void **state)
{
    epc_iw_free(*state);
    return 0;
}

static bool last_unchanged;
static struct epc_cause last_cause;

/* One step with the test gateway; gives what goes to the other leg, NULL when refused. */
static char *run(struct epc_iw *w, enum epc_sdp_leg from, bool offer, const char *text, bool keep_local)
{
    struct epc_sdp *remote = NULL, *local = NULL;
    struct epc_buf out = {0};
    last_cause = (struct epc_cause){0};
    enum epc_err err = offer ? epc_iw_offer(w, from, epc_str_c(text), &remote, &last_unchanged, &last_cause)
                             : epc_iw_answer(w, epc_str_c(text), &remote, &last_unchanged, &last_cause);
    if (err != EPC_OK) {
        assert_null(remote);
        assert_int_not_equal(last_cause.sip_status, 0);
        return NULL;
    }
    if (!keep_local)
        local = peer_gateway_local(remote, from == EPC_SDP_WIC ? EPC_SDP_CORE : EPC_SDP_WIC, 1);
    err = offer ? epc_iw_offer_out(w, local, &out, &last_cause) : epc_iw_answer_out(w, local, &out, &last_cause);
    if (err != EPC_OK)
        fail_msg("out: %s", last_cause.reason);
    epc_sdp_free(local);
    epc_sdp_free(remote);
    return epc_buf_take(&out, NULL);
}

#define OFFER(leg, text)  run(w, leg, true, text, false)
#define ANSWER(leg, text) run(w, leg, false, text, false)

static void has(const char *text, const char *want)
{
    assert_non_null(text);
    if (!strstr(text, want))
        fail_msg("no \"%s\" in:\n%s", want, text);
}

static void lacks(const char *text, const char *bad)
{
    assert_non_null(text);
    if (strstr(text, bad))
        fail_msg("\"%s\" in:\n%s", bad, text);
}

static void refused(struct epc_iw *w, enum epc_sdp_leg leg, const char *text, const char *why)
{
    char *out = OFFER(leg, text);
    if (out)
        fail_msg("not refused (%s):\n%s", why, out);
    assert_int_equal(last_cause.sip_status, 488);
    if (!strstr(last_cause.reason, why))
        fail_msg("'%s' says nothing of '%s'", last_cause.reason, why);
    assert_false(epc_iw_pending(w));
}

static void call(struct epc_iw *w)
{
    char *a = OFFER(EPC_SDP_WIC, WHEAD WAUDIO("4000") WVIDEO);
    char *b = ANSWER(EPC_SDP_CORE, CHEAD CAUDIO CVIDEO);
    assert_true(a && b);
    epc_iw_commit(w);
    free(a);
    free(b);
}

static char *swap(const char *text, const char *from, const char *to)
{
    struct epc_buf b = {0};
    const char *at = strstr(text, from);
    assert_non_null(at);
    epc_buf_add(&b, text, (size_t)(at - text));
    epc_buf_adds(&b, to);
    epc_buf_adds(&b, at + strlen(from));
    return epc_buf_take(&b, NULL);
}

static void test_wic_checks(void **state)
{
    struct epc_iw *w = *state;
    static const struct {
        const char *from, *to, *why;
    } cases[] = {
        {ICE, "", "no ICE credentials"},
        {"ufrag:wicU", "ufrag:wi", "malformed"},
        {"wicPasswordOf22charsXX", "short", "malformed"},
        {"wicPasswordOf22charsXX", "wicPasswordOf22chars\"X", "malformed"},
        {FP, "", "no DTLS fingerprint"},
        {"sha-256", "sha-1", "sha-256 or better"},
        {HEX8 ":" HEX8, HEX8, "sha-256 or better"},
        {"setup:actpass", "setup:holdconn", "holdconn"},
        {"a=setup:actpass\r\n", "", "no setup"},
        {"a=rtcp-mux\r\n", "", "rtcp-mux"},
        {"UDP/TLS/RTP/SAVPF 111 0 126", "UDP/TLS/RTP/SAVPF 9", "no codec"},
        {"UDP/TLS/RTP/SAVPF 111 0 126", "UDP/TLS/RTP/SAVPF 126", "no codec"},
        {"UDP/TLS/RTP/SAVPF", "FOO", "transport protocol"},
        {"m=audio", "m=text", "media type"},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(cases); i++) {
        char *text = swap(WHEAD WAUDIO("4000"), cases[i].from, cases[i].to);
        refused(w, EPC_SDP_WIC, text, cases[i].why);
        free(text);
    }
    refused(w, EPC_SDP_WIC, WHEAD, "m-lines");
    refused(w, EPC_SDP_CORE, "v=0\r\no=c 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\n" CAUDIO, "c= line");
    refused(w, EPC_SDP_CORE, "v=0\r\no=c 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 host.example\r\nt=0 0\r\n" CAUDIO,
            "literal");
    refused(w, EPC_SDP_CORE, CHEAD "m=audio 6000 RTP/SAVP 0\r\n", "transport protocol");
}

static void test_core_offer(void **state)
{
    struct epc_iw *w = *state;
    char *out = OFFER(EPC_SDP_WIC, WHEAD WAUDIO("4000") WVIDEO);
    has(out, "m=audio 50000 RTP/AVP 111 0 126\r\n");
    has(out, "b=AS:65\r\n");
    has(out, "m=video 50002 RTP/AVP 96\r\n");
    has(out, "b=AS:1000\r\n");
    has(out, "a=rtcp:50001\r\n");
    static const char *const bad[] = {"rtx",      "a=mid",   "ice-",      "fingerprint", "setup", "mux",
                                      "rtcp-fb",  "wicU",    "192.0.2.55", "4711",       "apt=", "198.51.100",
                                      "192.0.2.99"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++)
        lacks(out, bad[i]);
    free(out);
    out = ANSWER(EPC_SDP_CORE, CHEAD "m=audio 6000 RTP/AVP 0\r\nm=video 0 RTP/AVP 96\r\n");
    has(out, "m=audio 40000 UDP/TLS/RTP/SAVPF 0\r\n");
    has(out, "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:vi\r\n");
    lacks(out, "203.0.113.9");
    lacks(out, "trickle");
    lacks(out, "group");
    free(out);
}

static void test_bundle_only(void **state)
{
    struct epc_iw *w = *state;
    char *out = OFFER(EPC_SDP_WIC, WHEAD "a=group:BUNDLE au vi\r\n" WAUDIO("4000")
                      "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=bundle-only\r\na=mid:vi\r\na=rtpmap:96 VP8/90000\r\n");
    has(out, "m=video 0 RTP/AVP 96\r\n");
    free(out);
    out = ANSWER(EPC_SDP_CORE, CHEAD CAUDIO "m=video 0 RTP/AVP 96\r\n");
    has(out, "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:vi\r\n");
    lacks(out, "group");
    free(out);
}

static void test_follower_inherits(void **state)
{
    struct epc_iw *w = *state;
    struct epc_sdp *remote;
    bool unchanged;
    assert_int_equal(epc_iw_offer(w, EPC_SDP_WIC,
                                  epc_str_c(WHEAD "a=group:BUNDLE au vi\r\n" WAUDIO("4000")
                                            "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:vi\r\n"
                                            "a=rtpmap:96 VP8/90000\r\n"),
                                  &remote, &unchanged, NULL),
                     EPC_OK);
    assert_int_equal(remote->n_media, 2);
    const struct epc_sdp_media *v = &remote->media[1];
    assert_int_equal(v->port, 4000);
    assert_true(epc_str_eqc(v->c_addr, "192.0.2.55") && epc_str_eqc(v->ice_ufrag, "wicU"));
    assert_false(v->bundled);
    assert_int_equal(epc_iw_media_number(w, 1), 2);
    epc_sdp_free(remote);
}

/* mDNS and TCP candidates never reach the gateway; it gets a dummy rather than 0.0.0.0 and port 9. */
static void test_unknown_address(void **state)
{
    struct epc_iw *w = *state;
    struct epc_sdp *remote;
    struct epc_buf b = {0};
    bool unchanged;
    char *text = swap(WHEAD WAUDIO("9"), "192.0.2.55", "0.0.0.0");
    char *full = swap(text, "a=mid:au\r\n",
                      "a=mid:au\r\na=candidate:1 1 udp 2122260223 0a1b.local 54000 typ host\r\n"
                      "a=candidate:2 1 tcp 1518280447 192.0.2.55 9 typ host tcptype active\r\n");
    assert_int_equal(epc_iw_offer(w, EPC_SDP_WIC, epc_str_c(full), &remote, &unchanged, NULL), EPC_OK);
    assert_int_equal(epc_sdp_print(remote, &b), EPC_OK);
    lacks(b.p, "candidate");
    lacks(b.p, "0.0.0.0");
    lacks(b.p, " 9 ");
    lacks(b.p, "a=mid");
    epc_buf_free(&b);
    epc_sdp_free(remote);
    free(full);
    free(text);
}

static void test_glare(void **state)
{
    struct epc_iw *w = *state;
    char *out = OFFER(EPC_SDP_WIC, WHEAD WAUDIO("4000"));
    free(out);
    assert_true(epc_iw_pending(w));
    assert_null(OFFER(EPC_SDP_CORE, CHEAD CAUDIO));
    assert_int_equal(last_cause.sip_status, 491);
    assert_null(OFFER(EPC_SDP_WIC, WHEAD WAUDIO("4000")));
    assert_int_equal(last_cause.sip_status, 500);
    assert_true(last_cause.retry_after_s > 0);
    epc_iw_rollback(w);
    assert_false(epc_iw_pending(w));
}

static void test_unchanged_and_versions(void **state)
{
    struct epc_iw *w = *state;
    call(w);
    /* A session refresh: nothing for the gateway, nothing new for the core. */
    char *out = run(w, EPC_SDP_WIC, true, WHEAD WAUDIO("4000") WVIDEO, true);
    assert_true(last_unchanged);
    has(out, " 1 IN IP4 10.10.0.20\r\n");
    free(out);
    out = run(w, EPC_SDP_CORE, false, CHEAD CAUDIO CVIDEO, true);
    assert_true(last_unchanged);
    has(out, " 1 IN IP4 198.51.100.20\r\n");
    free(out);
    epc_iw_commit(w);
    /* Hold, refused by the core: the version goes up, comes back up once more, never down. */
    out = OFFER(EPC_SDP_WIC, WHEAD WAUDIO("4000") "a=sendonly\r\n" WVIDEO);
    assert_false(last_unchanged);
    has(out, " 2 IN IP4 10.10.0.20\r\n");
    free(out);
    epc_iw_rollback(w);
    out = OFFER(EPC_SDP_WIC, WHEAD WAUDIO("4000") WVIDEO);
    assert_true(last_unchanged);
    has(out, " 3 IN IP4 10.10.0.20\r\n");
    free(out);
    epc_iw_rollback(w);
    enum epc_sdp_leg offerer;
    const struct epc_sdp *o, *a;
    epc_iw_gateway_state(w, &offerer, &o, &a);
    assert_true(offerer == EPC_SDP_WIC && o && a && o->media[0].dir == EPC_SDP_SENDRECV);
}

static void test_repeated_answer(void **state)
{
    struct epc_iw *w = *state;
    free(OFFER(EPC_SDP_WIC, WHEAD WAUDIO("4000")));
    char *a = ANSWER(EPC_SDP_CORE, CHEAD CAUDIO);
    assert_false(last_unchanged);
    char *b = run(w, EPC_SDP_CORE, false, CHEAD CAUDIO, true);
    assert_true(last_unchanged);
    assert_string_equal(a, b);
    /* another fork answers otherwise */
    char *c = ANSWER(EPC_SDP_CORE, CHEAD "m=audio 6100 RTP/AVP 111\r\na=rtpmap:111 opus/48000/2\r\n");
    assert_false(last_unchanged);
    has(c, "SAVPF 111\r\n");
    has(c, " 2 IN IP4 198.51.100.20");
    free(a);
    free(b);
    free(c);
}

static void test_answer_checks(void **state)
{
    struct epc_iw *w = *state;
    free(OFFER(EPC_SDP_WIC, WHEAD WAUDIO("4000") WVIDEO));
    assert_null(ANSWER(EPC_SDP_CORE, CHEAD CAUDIO));
    has(last_cause.reason, "m-lines");
    assert_null(ANSWER(EPC_SDP_CORE, CHEAD CVIDEO CAUDIO));
    has(last_cause.reason, "media type");
    assert_true(epc_iw_pending(w));
    /* A codec that was not offered is no codec: the stream is off. */
    char *out = ANSWER(EPC_SDP_CORE, CHEAD "m=audio 6000 RTP/AVP 18\r\n" CVIDEO);
    has(out, "m=audio 0 ");
    has(out, "m=video 40002 ");
    free(out);
}

static void test_wic_answers(void **state)
{
    struct epc_iw *w = *state;
    char *out = OFFER(EPC_SDP_CORE, CHEAD "m=audio 6000 RTP/AVPF 0 8 97\r\na=rtpmap:97 AMR/8000\r\n" CVIDEO);
    has(out, "m=audio 40000 UDP/TLS/RTP/SAVPF 0 8\r\n");
    has(out, "a=setup:actpass\r\n");
    has(out, "a=mid:0\r\n");
    has(out, "a=mid:1\r\n");
    has(out, "a=rtcp-fb:96 ccm fir\r\n");
    lacks(out, "203.0.113.9");
    free(out);
    char *bad = swap(WHEAD WAUDIO("4000") WVIDEO, "actpass", "holdconn");
    assert_null(ANSWER(EPC_SDP_WIC, bad));
    free(bad);
    assert_null(ANSWER(EPC_SDP_WIC, WHEAD WAUDIO("4000") WVIDEO)); /* actpass in an answer */
    char *one = swap(WHEAD WAUDIO("4000") "m=video 0 UDP/TLS/RTP/SAVPF 96\r\n", "actpass", "active");
    out = ANSWER(EPC_SDP_WIC, one);
    has(out, "m=audio 50000 RTP/AVPF 0\r\n");
    has(out, "m=video 0 RTP/AVP 96\r\n");
    has(out, "b=AS:65\r\n");
    lacks(out, "192.0.2.55");
    free(one);
    free(out);
    epc_iw_commit(w);
    const struct epc_sdp *up, *down;
    bool is_offer;
    epc_iw_access(w, &up, &down, &is_offer);
    assert_true(up && down && !is_offer);
    assert_int_equal(down->media[0].port, 40000);
}

/* The data channel stays on the WIC's leg through every exchange, whoever offers. */
static void test_data_channel_map(void **state)
{
    struct epc_iw *w = *state;
#define WDATA "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:da\r\n"
    char *out = OFFER(EPC_SDP_WIC, WHEAD WAUDIO("4000") WDATA WVIDEO);
    has(out, "m=video 50004 RTP/AVP 96\r\n");
    lacks(out, "application");
    free(out);
    out = ANSWER(EPC_SDP_CORE, CHEAD CAUDIO CVIDEO);
    has(out, "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:da\r\nm=video 40004 ");
    free(out);
    epc_iw_commit(w);
    out = OFFER(EPC_SDP_CORE, CHEAD CAUDIO CVIDEO "m=audio 6010 RTP/AVP 8\r\n");
    has(out, "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:da\r\nm=video 40004 ");
    has(out, "a=mid:au\r\n");
    has(out, "m=audio 40006 UDP/TLS/RTP/SAVPF 8\r\n");
    has(out, "a=mid:3\r\n");
    free(out);
    epc_iw_rollback(w);
    refused(w, EPC_SDP_CORE, CHEAD CAUDIO, "m-lines");
    refused(w, EPC_SDP_WIC, WHEAD WAUDIO("4000"), "m-lines");
}

/* A refused slot comes back as something else: a new core m-line at the end. */
static void test_slot_used_again(void **state)
{
    struct epc_iw *w = *state;
    free(OFFER(EPC_SDP_WIC, WHEAD WAUDIO("4000") WDATA));
    free(ANSWER(EPC_SDP_CORE, CHEAD CAUDIO));
    epc_iw_commit(w);
    char *out = OFFER(EPC_SDP_WIC, WHEAD WAUDIO("4000") WVIDEO);
    has(out, "m=audio 50000 ");
    has(out, "m=video 50002 ");
    free(out);
}

static void test_direction(void **state)
{
    struct epc_iw *w = *state;
    free(OFFER(EPC_SDP_WIC, WHEAD WAUDIO("4000") "a=sendonly\r\n"));
    char *out = ANSWER(EPC_SDP_CORE, CHEAD CAUDIO "a=sendrecv\r\n");
    has(out, "a=recvonly\r\n"); /* never more than was offered */
    free(out);
    out = ANSWER(EPC_SDP_CORE, CHEAD "m=audio 6000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n");
    has(out, "a=inactive\r\n");
    lacks(out, "0.0.0.0");
    free(out);
    epc_iw_rollback(w);
    out = OFFER(EPC_SDP_CORE, CHEAD "m=audio 6000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=sendonly\r\n");
    has(out, "a=sendonly\r\n");
    lacks(out, "0.0.0.0");
    free(out);
}

static void test_gateway_faults(void **state)
{
    struct epc_iw *w = *state;
    struct epc_sdp *remote, *local = NULL;
    struct epc_buf out = {0};
    struct epc_cause cause = {0};
    bool unchanged;
    assert_int_equal(epc_iw_offer(w, EPC_SDP_CORE, epc_str_c(CHEAD CAUDIO), &remote, &unchanged, NULL), EPC_OK);
    epc_sdp_free(remote);
    assert_int_equal(epc_iw_offer_out(w, NULL, &out, &cause), EPC_EINVAL);
    static const char *const bad[] = {
        CHEAD, CHEAD CAUDIO, "v=0\r\no=c 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\n" CAUDIO ICE FP,
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++) {
        assert_int_equal(epc_sdp_parse(&local, epc_str_c(bad[i]), NULL), EPC_OK);
        assert_int_equal(epc_iw_offer_out(w, local, &out, &cause), EPC_EPROTO);
        assert_int_equal(cause.sip_status, 500);
        assert_int_equal(out.n, 0);
        epc_sdp_free(local);
    }
    assert_int_equal(epc_iw_answer_out(w, NULL, &out, &cause), EPC_EINVAL);
    epc_buf_free(&out);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_wic_checks),  T(test_core_offer),       T(test_bundle_only),  T(test_follower_inherits),
        T(test_unknown_address), T(test_glare),        T(test_unchanged_and_versions),
        T(test_repeated_answer), T(test_answer_checks), T(test_wic_answers), T(test_data_channel_map),
        T(test_slot_used_again), T(test_direction),    T(test_gateway_faults),
    };
    epc_log_setup(EPC_LOG_ERROR, 2);
    return cmocka_run_group_tests_name("sdp_iw", tests, NULL, NULL);
}
