/* The parser, the printer and the attribute layer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "sdp/sdp.h"

static struct epc_sdp *parse(const char *text)
{
    struct epc_sdp *s = NULL;
    struct epc_cause cause = {0};
    enum epc_err err = epc_sdp_parse(&s, epc_str_c(text), &cause);
    if (err != EPC_OK)
        print_error("refused: %s\n", cause.reason);
    assert_int_equal(err, EPC_OK);
    return s;
}

static void refused(const char *text, enum epc_err want, int status)
{
    struct epc_sdp *s = (void *)1;
    struct epc_cause cause = {0};
    assert_int_equal(epc_sdp_parse(&s, epc_str_c(text), &cause), want);
    assert_null(s);
    assert_int_equal(cause.sip_status, status);
    assert_true(cause.reason[0]);
}

static void is(struct epc_str s, const char *want)
{
    if (!epc_str_eqc(s, want))
        fail_msg("'%.*s', not '%s'", EPC_STR_ARG(s), want);
}

#define HEAD "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"

static void test_whole(void **state)
{
    (void)state;
    struct epc_sdp *s = parse(
        "v=0\r\no=alice 4611732 7 IN IP6 2001:db8::1\r\ns=talk\r\nc=IN IP4 192.0.2.7\r\nb=AS:100\r\n"
        "t=0 0\r\na=tool:x 1\r\na=recvonly\r\nm=audio 4000/2 RTP/AVP 111 0 101\r\nb=AS:64\r\nb=RR:0\r\n"
        "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=maxptime:240\r\na=rtcp:4005\r\n"
        "m=image 0 udptl t38\r\nc=IN IP6 2001:db8::2\r\na=inactive\r\n");
    is(s->o_user, "alice");
    assert_int_equal(s->o_id, 4611732);
    assert_int_equal(s->o_version, 7);
    assert_true(s->o_ip6);
    assert_int_equal(s->n_bw, 1);
    assert_int_equal(s->n_attr, 2);
    assert_int_equal(s->n_media, 2);
    const struct epc_sdp_media *m = &s->media[0];
    assert_int_equal(m->port, 4000);
    is(m->c_addr, "192.0.2.7");
    assert_int_equal(m->dir, EPC_SDP_RECVONLY);
    assert_int_equal(m->n_bw, 2);
    assert_int_equal(m->n_codec, 3);
    is(m->codec[0].name, "opus");
    assert_int_equal(m->codec[0].channels, 2);
    is(m->codec[0].fmtp, "minptime=10;useinbandfec=1");
    is(m->codec[1].name, "PCMU");
    assert_int_equal(m->codec[1].clock_hz, 8000);
    is(m->codec[2].name, "telephone-event");
    assert_int_equal(m->ptime_ms, 20);
    assert_int_equal(m->maxptime_ms, 240);
    assert_int_equal(m->rtcp_port, 4005);
    m = &s->media[1];
    is(m->c_addr, "2001:db8::2");
    assert_true(m->c_ip6);
    assert_int_equal(m->dir, EPC_SDP_INACTIVE);
    assert_int_equal(m->n_codec, 0);
    is(m->fmt[0], "t38");

    struct epc_buf b = {0};
    assert_int_equal(epc_sdp_print(s, &b), EPC_OK);
    assert_string_equal(
        b.p, "v=0\r\no=alice 4611732 7 IN IP6 2001:db8::1\r\ns=talk\r\nb=AS:100\r\nt=0 0\r\na=tool:x 1\r\n"
             "a=recvonly\r\nm=audio 4000 RTP/AVP 111 0 101\r\nc=IN IP4 192.0.2.7\r\nb=AS:64\r\nb=RR:0\r\n"
             "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n"
             "a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=maxptime:240\r\na=rtcp:4005\r\n"
             "m=image 0 udptl t38\r\nc=IN IP6 2001:db8::2\r\na=inactive\r\n");
    epc_buf_free(&b);
    epc_sdp_free(s);
}

static void test_tolerant(void **state)
{
    (void)state;
    /* LF, no s= and t=, unknown lines, odd formats, a number beyond 64 bits, no line end at the end. */
    struct epc_sdp *s = parse("v=0\no=- 99999999999999999999999 3 IN IP4 h\nx-nonsense\nq=1\n\n"
                              "m=audio 5 UDP/TLS/RTP/SAVPF /\nb=AS:\nb=:1\na=\na=:x\na=rtpmap:300 x/1\n"
                              "a=candidate:1 1 udp 99999999999 1.2.3.4 5 typ host\na=ptime:99999999999999\n"
                              "m=audio 0 RTP/AVP 0 0 8 200 x\na=rtcp-fb:* nack\na=sendonly");
    assert_int_equal(s->o_id, UINT64_MAX);
    assert_int_equal(s->n_media, 2);
    assert_int_equal(s->media[0].n_fmt, 1);
    assert_int_equal(s->media[0].n_codec, 0);
    assert_int_equal(s->media[0].n_bw, 0);
    assert_int_equal(s->media[0].n_candidate, 0);
    assert_int_equal(s->media[0].ptime_ms, 0);
    assert_null(s->media[0].c_addr.p);
    assert_int_equal(s->media[1].n_codec, 2);
    assert_int_equal(s->media[1].codec[1].n_fb, 1);
    assert_int_equal(s->media[1].dir, EPC_SDP_SENDONLY);
    epc_sdp_free(s);
}

static void test_refusals(void **state)
{
    (void)state;
    refused("", EPC_EPROTO, 400);
    refused("hello", EPC_EPROTO, 400);
    refused("v=1\r\no=- 1 1 IN IP4 h\r\n", EPC_EPROTO, 400);
    refused("v=0\r\ns=-\r\n", EPC_EPROTO, 400);
    refused("v=0\r\no=- x 1 IN IP4 h\r\n", EPC_EPROTO, 400);
    refused("v=0\r\no=- 1 1\r\n", EPC_EPROTO, 400);
    refused(HEAD "m=audio\r\n", EPC_EPROTO, 400);
    refused(HEAD "m=audio 65536 RTP/AVP 0\r\n", EPC_EPROTO, 400);
    refused(HEAD "m=audio -1 RTP/AVP 0\r\n", EPC_EPROTO, 400);
    refused(HEAD "a=x\ry\r\n", EPC_EPROTO, 400);
    refused(HEAD "a=x\001y\r\n", EPC_EPROTO, 400);

    struct epc_buf b = {0};
    epc_buf_adds(&b, HEAD);
    for (int i = 0; i <= EPC_SDP_MAX_MEDIA; i++)
        epc_buf_adds(&b, "m=audio 1 RTP/AVP 0\r\n");
    refused(b.p, EPC_ELIMIT, 488);
    while (b.n <= EPC_SDP_MAX_OCTETS)
        epc_buf_adds(&b, "a=x\r\n");
    refused(b.p, EPC_ELIMIT, 400);
    epc_buf_free(&b);
}

static void test_webrtc(void **state)
{
    (void)state;
    struct epc_sdp *s = parse(
        HEAD "a=ice-lite\r\na=ice-options:ice2 trickle\r\na=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\n"
             "a=tls-id:abc\r\n"
             "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\na=mid:a1\r\na=ice-ufrag:uuuu\r\na=ice-pwd:p\r\na=rtcp-mux\r\n"
             "a=candidate:1 1 udp 2122260223 10.0.0.1 4000 typ host generation 0\r\n"
             "a=candidate:2 1 UDP 1686052607 203.0.113.7 61000 typ srflx raddr 10.0.0.1 rport 4000\r\n"
             "a=candidate:3 1 tcp 1518280447 10.0.0.1 9 typ host tcptype active\r\na=candidate:bad\r\n"
             "a=end-of-candidates\r\n"
             "m=video 4000 UDP/TLS/RTP/SAVPF 96\r\na=setup:passive\r\na=fingerprint:sha-1 CC\r\n"
             "a=fingerprint:sha-512 DD\r\na=rtcp-rsize\r\na=rtcp-mux-only\r\na=bundle-only\r\n");
    const struct epc_sdp_media *m = &s->media[0];
    assert_true(m->ice_lite && m->trickle && m->rtcp_mux && m->end_of_candidates);
    assert_int_equal(m->setup, EPC_SETUP_ACTPASS);
    is(m->fingerprint[0].value, "AA:BB");
    is(m->tls_id, "abc");
    assert_int_equal(m->n_candidate, 3);
    is(m->candidate[1].raddr, "10.0.0.1");
    assert_int_equal(m->candidate[1].rport, 4000);
    assert_int_equal(m->candidate[0].priority, 2122260223u);
    is(m->candidate[2].tcptype, "active");
    m = &s->media[1];
    assert_int_equal(m->setup, EPC_SETUP_PASSIVE);
    assert_int_equal(m->n_fingerprint, 2);
    is(m->fingerprint[1].hash, "sha-512");
    assert_null(m->ice_ufrag.p);
    assert_true(m->rtcp_rsize && m->rtcp_mux_only && m->bundle_only && !m->rtcp_mux && !m->bundled);
    epc_sdp_free(s);
}

static void test_bundle_inheritance(void **state)
{
    (void)state;
    struct epc_sdp *s = parse(
        HEAD "a=group:BUNDLE v a gone\r\na=group:BUNDLE a\r\na=group:LS a\r\n"
             "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:a\r\n"
             "m=video 4000 UDP/TLS/RTP/SAVPF 96\r\na=mid:v\r\na=ice-ufrag:uuuu\r\na=ice-pwd:pppp\r\n"
             "a=fingerprint:sha-256 AA\r\na=setup:actpass\r\na=rtcp-mux\r\n"
             "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:d\r\na=sctp-port:5000\r\n"
             "a=max-message-size:262144\r\n");
    is(s->media[0].ice_ufrag, "uuuu");
    is(s->media[0].ice_pwd, "pppp");
    assert_true(s->media[0].rtcp_mux && s->media[0].bundled && s->media[1].bundled);
    assert_int_equal(s->media[0].setup, EPC_SETUP_ACTPASS);
    assert_int_equal(s->media[0].n_fingerprint, 1);
    assert_false(s->media[2].bundled);
    assert_null(s->media[2].ice_ufrag.p);
    assert_int_equal(s->media[2].sctp_port, 5000);
    assert_int_equal(s->media[2].max_message_size, 262144);
    struct epc_sdp *d = epc_sdp_ref(s);
    epc_sdp_free(s);
    is(d->media[0].ice_ufrag, "uuuu");
    epc_sdp_free(d);
    epc_sdp_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),    cmocka_unit_test(test_tolerant),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_webrtc),
        cmocka_unit_test(test_bundle_inheritance),
    };
    return cmocka_run_group_tests_name("sdp_parse", tests, NULL, NULL);
}
