/* SDP to service information: the worked example of WebRTC over Rx, and each rule by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>

#include "filter_grammar.h"

#define HEAD "v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\n"
#define SEC  "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=fingerprint:sha-256 4A:AD\r\na=setup:actpass\r\n"

static const char offer_text[] = HEAD
    "a=group:BUNDLE 0 1 2\r\n"
    "m=audio 54321 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 10.45.0.2\r\na=rtcp:9 IN IP4 0.0.0.0\r\n"
    "a=candidate:1467250027 1 udp 2122260223 10.45.0.2 54321 typ host generation 0 network-id 1\r\n"
    "a=candidate:435653019 1 udp 1686052607 203.0.113.7 61000 typ srflx raddr 10.45.0.2 rport 54321\r\n" SEC
    "a=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=sendrecv\r\na=rtcp-mux\r\n"
    "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10\r\na=ssrc:1 cname:x\r\n"
    "a=msid:a b\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n" SEC
    "a=mid:1\r\na=sendrecv\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:96 VP8/90000\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n" SEC
    "a=mid:2\r\na=sctp-port:5000\r\n";

static const char answer_text[] = HEAD
    "m=audio 40000 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 198.51.100.20\r\na=mid:0\r\na=rtcp-mux\r\n" SEC
    "a=candidate:1 1 udp 2130706431 198.51.100.20 40000 typ host\r\na=rtpmap:0 PCMU/8000\r\n"
    "m=video 40002 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 198.51.100.20\r\na=mid:1\r\na=rtcp-mux\r\n" SEC
    "a=rtpmap:96 VP8/90000\r\n"
    "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n";

static char *turn[] = {(char *)"192.0.2.99", (char *)"not an address"};
static const struct epc_cfg_policy cfg = {
    .audio_bw_bps = 80000, .video_bw_bps = 1500000, .data_bw_bps = 500000, .rtcp_percent = 5, .privacy = true,
    .turn_servers = turn, .n_turn_servers = 2,
};

struct access {
    struct epc_sdp *up, *down;
    struct epc_addr ue;
    struct epc_addr learned[4];
    struct epc_policy_input in;
};

static void access_init(struct access *a, const char *up, const char *down, const char *ue, bool up_is_offer)
{
    memset(a, 0, sizeof *a);
    if (up)
        assert_int_equal(epc_sdp_parse(&a->up, epc_str_c(up), NULL), EPC_OK);
    if (down)
        assert_int_equal(epc_sdp_parse(&a->down, epc_str_c(down), NULL), EPC_OK);
    assert_int_equal(epc_addr_parse(&a->ue, ue, 443), EPC_OK);
    a->in = (struct epc_policy_input){.uplink = a->up, .downlink = a->down, .uplink_is_offer = up_is_offer,
                                      .ue = &a->ue, .learned = a->learned, .n_learned = 4, .cfg = &cfg};
}

static void access_free(struct access *a)
{
    epc_sdp_free(a->up);
    epc_sdp_free(a->down);
}

static struct epc_service_info *derive(const struct access *a)
{
    struct epc_service_info *s = NULL;
    assert_int_equal(epc_policy_service_info(&a->in, &s), EPC_OK);
    grammar_info(s);
    return s;
}

static char *dump(const struct epc_service_info *s)
{
    struct epc_buf b = {0};
    for (size_t i = 0; i < s->n_components; i++) {
        const struct epc_media_component *c = &s->component[i];
        epc_buf_printf(&b, "%u type %d status %d ul %" PRId64 " dl %" PRId64 " rr %" PRId64 " rs %" PRId64 "\n",
                       c->number, (int)c->type, (int)c->status, c->max_ul_bps, c->max_dl_bps, c->rr_bps,
                       c->rs_bps);
        for (size_t k = 0; k < c->n_flows; k++)
            epc_buf_printf(&b, " flow %u usage %d status %d\n  [%s]\n  [%s]\n", c->flow[k].number,
                           (int)c->flow[k].usage, (int)c->flow[k].status, c->flow[k].uplink,
                           c->flow[k].downlink);
        for (size_t k = 0; k < 2 && c->codec_data[k]; k++)
            epc_buf_printf(&b, " <%s>\n", c->codec_data[k]);
    }
    return epc_buf_take(&b, NULL);
}

static void test_worked_example(void **state)
{
    (void)state;
    struct access a;
    access_init(&a, offer_text, answer_text, "10.45.0.2", true);
    struct epc_service_info *s = derive(&a), *d, *again;
    char *text = dump(s);
    assert_false(s->preliminary || s->signalling);
    assert_string_equal(
        text,
        "1 type 0 status 2 ul 84000 dl 84000 rr -1 rs -1\n"
        " flow 1 usage 0 status -1\n"
        "  [permit in 17 from 10.45.0.2 to 198.51.100.20 40000]\n"
        "  [permit out 17 from 198.51.100.20 to 10.45.0.2 54321]\n"
        " <uplink\noffer\nm=audio 54321 UDP/TLS/RTP/SAVPF 111 0\na=mid:0\na=rtcp-mux\n"
        "a=rtpmap:111 opus/48000/2\na=rtcp-fb:111 transport-cc\na=fmtp:111 minptime=10>\n"
        " <downlink\nanswer\nm=audio 40000 UDP/TLS/RTP/SAVPF 0\na=mid:0\na=rtcp-mux\na=rtpmap:0 PCMU/8000>\n"
        "2 type 1 status 2 ul 1575000 dl 1575000 rr -1 rs -1\n"
        " flow 1 usage 0 status -1\n"
        "  [permit in 17 from 10.45.0.2 to 198.51.100.20 40002]\n"
        "  []\n"
        " <uplink\noffer\nm=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:1\na=rtcp-mux\na=rtcp-rsize\n"
        "a=rtpmap:96 VP8/90000>\n"
        " <downlink\nanswer\nm=video 40002 UDP/TLS/RTP/SAVPF 96\na=mid:1\na=rtcp-mux\na=rtpmap:96 VP8/90000>\n");
    free(text);

    /* Step B: the gateway has seen the WIC; only the video changes, for a PCRF without vendor AVPs. */
    assert_int_equal(epc_addr_parse(&a.learned[0], "10.45.0.2", 54321), EPC_OK);
    assert_int_equal(epc_addr_parse(&a.learned[1], "10.45.0.2", 54987), EPC_OK);
    a.in.previous = s;
    again = derive(&a);
    struct epc_service_info *told, *now;
    assert_int_equal(epc_policy_shape(s, NULL, false, &told), EPC_OK);
    assert_int_equal(epc_policy_shape(again, NULL, false, &now), EPC_OK);
    assert_int_equal(epc_service_info_diff(told, now, &d), EPC_OK);
    epc_service_info_free(told);
    epc_service_info_free(now);
    assert_int_equal(d->n_components, 1);
    assert_int_equal(d->component[0].number, 2);
    assert_string_equal(d->component[0].flow[0].uplink, "permit in 17 from 10.45.0.2 to 198.51.100.20 40002");
    assert_string_equal(d->component[0].flow[0].downlink, "permit out 17 from 198.51.100.20 to 10.45.0.2 54987");
    epc_service_info_free(d);
    epc_service_info_free(again);
    epc_service_info_free(s);
    access_free(&a);
}

static void filters_are(const struct access *a, const char *up, const char *down)
{
    struct epc_service_info *s = derive(a);
    assert_string_equal(s->component[0].n_flows ? s->component[0].flow[0].uplink : "", up);
    assert_string_equal(s->component[0].n_flows ? s->component[0].flow[0].downlink : "", down);
    epc_service_info_free(s);
}

#define IN4  "permit in 17 from 10.45.0.2 to 198.51.100.20 40000"
#define OUT4 "permit out 17 from 198.51.100.20 to 10.45.0.2 "

static void test_ue_side(void **state)
{
    (void)state;
    struct access a;
    access_init(&a, offer_text, answer_text, "10.45.0.2", true);
    /* A NAT outside the IP-CAN: the host candidate stays. */
    assert_int_equal(epc_addr_parse(&a.learned[0], "203.0.113.7", 61000), EPC_OK);
    filters_are(&a, IN4, OUT4 "54321");
    /* A peer-reflexive port on the UE's own address wins over the candidate. */
    assert_int_equal(epc_addr_parse(&a.learned[0], "10.45.0.2", 54999), EPC_OK);
    filters_are(&a, IN4, OUT4 "54999");
    /* Through the operator's TURN server: that is what the bearer carries. */
    assert_int_equal(epc_addr_parse(&a.learned[0], "192.0.2.99", 50505), EPC_OK);
    filters_are(&a, "permit in 17 from 10.45.0.2 to 192.0.2.99 3478", "");
    access_free(&a);
    /* An address that no candidate has. */
    access_init(&a, offer_text, answer_text, "10.45.0.77", true);
    filters_are(&a, "permit in 17 from 10.45.0.77 to 198.51.100.20 40000", "");
    access_free(&a);
    /* The family of the gateway's side differs: nothing sensible to say. */
    access_init(&a, offer_text, answer_text, "2001:db8::2", true);
    filters_are(&a, "", "");
    access_free(&a);
}

#define ONE(rest, port, addr) HEAD "m=audio " port " UDP/TLS/RTP/SAVPF 0\r\nc=IN " addr "\r\na=rtcp-mux\r\n" rest

static void test_candidates(void **state)
{
    (void)state;
    struct access a;
    static const char down[] = ONE("", "40000", "IP4 198.51.100.20");
    static const struct {
        const char *up, *port;
    } cases[] = {
        {ONE("a=candidate:1 1 udp 99 ab-cd.local 5000 typ host\r\n", "9", "IP4 0.0.0.0"), ""},
        {ONE("a=candidate:1 1 udp 99 10.45.0.2 5000 typ host\r\na=candidate:2 1 udp 100 10.45.0.2 5002 typ prflx\r\n",
             "9", "IP4 0.0.0.0"), "5002"},
        {ONE("a=candidate:1 1 tcp 99 10.45.0.2 5000 typ host\r\n", "9", "IP4 0.0.0.0"), ""},
        {ONE("a=candidate:1 1 udp 99 10.45.0.2 9 typ host\r\n", "9", "IP4 0.0.0.0"), ""},
        {ONE("a=candidate:1 1 udp 99 10.45.0.2 5000 typ relay\r\n", "9", "IP4 0.0.0.0"), ""},
        {ONE("a=candidate:1 1 udp 99 9.9.9.9 5 typ srflx raddr 10.45.0.2 rport 5004\r\n", "9", "IP4 0.0.0.0"), "5004"},
        {ONE("", "6000", "IP4 10.45.0.2"), "6000"},
        {ONE("", "9", "IP4 10.45.0.2"), ""},
        {ONE("", "6000", "IP4 10.45.0.3"), ""},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(cases); i++) {
        char want[120];
        access_init(&a, cases[i].up, down, "10.45.0.2", true);
        snprintf(want, sizeof want, "%s%s", cases[i].port[0] ? OUT4 : "", cases[i].port);
        filters_are(&a, IN4, want);
        access_free(&a);
    }
    /* Nothing but a relay of the operator: its server even before the gateway has seen anything. */
    access_init(&a, ONE("a=candidate:1 1 udp 99 192.0.2.99 5000 typ relay\r\n", "9", "IP4 0.0.0.0"), down,
                "10.45.0.2", true);
    filters_are(&a, "permit in 17 from 10.45.0.2 to 192.0.2.99 3478", "");
    access_free(&a);
    /* IPv6: the sender is widened to its prefix. */
    access_init(&a, ONE("a=candidate:1 1 udp 99 2001:db8:1::2 5000 typ host\r\n", "9", "IP6 ::"),
                ONE("", "40000", "IP6 2001:db8:9:8::20"), "2001:db8:1::2", true);
    filters_are(&a, "permit in 17 from 2001:db8:1::/64 to 2001:db8:9:8::20 40000",
                "permit out 17 from 2001:db8:9:8::/64 to 2001:db8:1::2 5000");
    access_free(&a);
    /* The gateway's side is no address or no port: no filter at all. */
    static const char *const bad[] = {ONE("", "9", "IP4 198.51.100.20"), ONE("", "40000", "IP4 0.0.0.0"),
                                      ONE("", "40000", "IP4 gw.example")};
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++) {
        access_init(&a, cases[1].up, bad[i], "10.45.0.2", true);
        filters_are(&a, "", "");
        access_free(&a);
    }
}

static void bandwidth_is(const char *up_b, const char *down_b, int64_t ul, int64_t dl, int64_t rr, int64_t rs)
{
    struct access a;
    char up[512], down[512];
    snprintf(up, sizeof up, HEAD "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 10.45.0.2\r\n%sa=rtcp-mux\r\n", up_b);
    snprintf(down, sizeof down, HEAD "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 10.45.0.2\r\n%sa=rtcp-mux\r\n",
             down_b);
    access_init(&a, up, down, "10.45.0.2", true);
    struct epc_service_info *s = derive(&a);
    assert_int_equal(s->component[0].max_ul_bps, ul);
    assert_int_equal(s->component[0].max_dl_bps, dl);
    assert_int_equal(s->component[0].rr_bps, rr);
    assert_int_equal(s->component[0].rs_bps, rs);
    epc_service_info_free(s);
    access_free(&a);
}

static void test_bandwidth(void **state)
{
    (void)state;
    bandwidth_is("", "", 84000, 84000, -1, -1);
    bandwidth_is("b=AS:100\r\n", "b=AS:40\r\n", 42000, 105000, -1, -1);
    bandwidth_is("", "b=AS:64\r\nb=RR:2000\r\nb=RS:500\r\n", 66500, 84000, 2000, 500);
    bandwidth_is("b=AS:64\r\nb=RR:0\r\nb=RS:0\r\n", "", 84000, 64000, -1, -1);
    bandwidth_is("b=TIAS:32000\r\na=maxprate:50\r\n", "", 84000, (32000 + 50 * 320) * 105 / 100, -1, -1);
    bandwidth_is("b=AS:99999999999999999999\r\n", "", 84000, INT64_C(1000) * UINT32_MAX, -1, -1);
}

static void test_flow_status(void **state)
{
    (void)state;
    /* Without mux the direction counts; with it never. */
    static const struct {
        const char *up, *down;
        bool up_is_offer;
        enum epc_flow_status want;
    } cases[] = {
        {"sendrecv", "sendrecv", true, EPC_FLOW_ENABLED},
        {"sendonly", "recvonly", true, EPC_FLOW_ENABLED_UPLINK},
        {"recvonly", "sendonly", true, EPC_FLOW_ENABLED_DOWNLINK},
        {"sendonly", "recvonly", false, EPC_FLOW_ENABLED_UPLINK},
        {"recvonly", "sendonly", false, EPC_FLOW_ENABLED_DOWNLINK},
        {"inactive", "inactive", true, EPC_FLOW_DISABLED},
        {"sendrecv", "inactive", true, EPC_FLOW_DISABLED},
        {"sendrecv", "inactive", false, EPC_FLOW_DISABLED},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(cases); i++)
        for (int mux = 0; mux < 2; mux++) {
            struct access a;
            char up[400], down[400];
            const char *line = mux ? "a=rtcp-mux\r\n" : "";
            snprintf(up, sizeof up, HEAD "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 10.45.0.2\r\na=%s\r\n%s",
                     cases[i].up, line);
            snprintf(down, sizeof down, HEAD "m=audio 5000 RTP/AVP 0\r\nc=IN IP4 198.51.100.20\r\na=%s\r\n%s",
                     cases[i].down, line);
            access_init(&a, up, down, "10.45.0.2", cases[i].up_is_offer);
            struct epc_service_info *s = derive(&a);
            assert_int_equal(s->component[0].status, mux ? EPC_FLOW_ENABLED : cases[i].want);
            assert_int_equal(s->component[0].n_flows, mux ? 1 : 2);
            if (!mux) {
                assert_int_equal(s->component[0].flow[1].usage, EPC_USAGE_RTCP);
                assert_string_equal(s->component[0].flow[1].uplink,
                                    "permit in 17 from 10.45.0.2 to 198.51.100.20 5001");
            }
            epc_service_info_free(s);
            access_free(&a);
        }
}

static void test_removed(void **state)
{
    (void)state;
    struct access a, b;
    struct epc_service_info *first, *second, *third, *d;
    char *gone = strdup(answer_text);
    assert_non_null(gone);
    memcpy(strstr(gone, "m=video 40002"), "m=video 00000", 13);
    access_init(&a, offer_text, answer_text, "10.45.0.2", true);
    access_init(&b, offer_text, gone, "10.45.0.2", true);
    first = derive(&a);
    b.in.previous = first;
    second = derive(&b);
    assert_int_equal(second->n_components, 2);
    assert_int_equal(second->component[1].number, 2);
    assert_int_equal(second->component[1].status, EPC_FLOW_REMOVED);
    assert_int_equal(epc_service_info_diff(first, second, &d), EPC_OK);
    assert_int_equal(d->n_components, 1);
    assert_int_equal(d->component[0].status, EPC_FLOW_REMOVED);
    epc_service_info_free(d);
    b.in.previous = second; /* told once is enough */
    third = derive(&b);
    assert_int_equal(epc_service_info_diff(second, third, &d), EPC_OK);
    assert_int_equal(d->n_components, 0);
    epc_service_info_free(d);
    assert_int_equal(epc_service_info_diff(NULL, third, &d), EPC_OK); /* a new session: never told */
    assert_int_equal(d->n_components, 1);
    assert_int_equal(d->component[0].number, 1);
    assert_string_equal(d->component[0].codec_data[0], third->component[0].codec_data[0]);
    epc_service_info_free(d);
    epc_service_info_free(first);
    epc_service_info_free(second);
    epc_service_info_free(third);
    access_free(&a);
    access_free(&b);
    free(gone);
}

static void test_rtcp_ends(void **state)
{
    (void)state;
    struct access a, b;
#define AVP(port, addr, mux) HEAD "m=audio " port " RTP/AVP 0\r\nc=IN IP4 " addr "\r\n" mux
    access_init(&a, AVP("6000", "10.45.0.2", ""), AVP("40000", "198.51.100.20", ""), "10.45.0.2", true);
    access_init(&b, AVP("6000", "10.45.0.2", "a=rtcp-mux\r\n"), AVP("40000", "198.51.100.20", "a=rtcp-mux\r\n"),
                "10.45.0.2", true);
    struct epc_service_info *first = derive(&a), *second, *d;
    b.in.previous = first;
    second = derive(&b);
    assert_int_equal(epc_service_info_diff(first, second, &d), EPC_OK);
    assert_int_equal(d->component[0].n_flows, 2);
    assert_int_equal(d->component[0].flow[1].status, EPC_FLOW_REMOVED);
    epc_service_info_free(d);
    assert_int_equal(epc_service_info_diff(NULL, second, &d), EPC_OK); /* a new session: never told */
    assert_int_equal(d->component[0].n_flows, 1);
    epc_service_info_free(d);
    epc_service_info_free(first);
    epc_service_info_free(second);
    access_free(&a);
    access_free(&b);
}

static void test_preliminary(void **state)
{
    (void)state;
    struct access a;
    access_init(&a, offer_text, NULL, "10.45.0.2", true);
    struct epc_service_info *s = derive(&a), *final, *d;
    assert_true(s->preliminary);
    assert_int_equal(s->n_components, 3);
    assert_int_equal(s->component[0].n_flows, 0);
    assert_int_equal(s->component[2].type, EPC_MEDIA_APPLICATION);
    assert_int_equal(s->component[2].max_ul_bps, 500000); /* no RTCP */
    assert_null(s->component[0].codec_data[1]);
    access_free(&a);
    access_init(&a, offer_text, answer_text, "10.45.0.2", true);
    a.in.previous = s;
    final = derive(&a);
    assert_int_equal(epc_service_info_diff(s, final, &d), EPC_OK);
    assert_int_equal(d->n_components, 3);
    assert_int_equal(d->component[2].status, EPC_FLOW_REMOVED);
    epc_service_info_free(d);
    epc_service_info_free(final);
    epc_service_info_free(s);
    access_free(&a);
    /* Terminating: the offer to the UE names the gateway. */
    access_init(&a, NULL, answer_text, "10.45.0.2", false);
    filters_are(&a, IN4, "");
    access_free(&a);
    assert_int_equal(epc_policy_service_info(&(struct epc_policy_input){.cfg = &cfg}, &s), EPC_EINVAL);
}

static void test_roles_do_not_matter(void **state)
{
    (void)state;
    struct access a, b;
    struct epc_service_info *x, *y, *d;
    access_init(&a, offer_text, answer_text, "10.45.0.2", true);
    access_init(&b, offer_text, answer_text, "10.45.0.2", false); /* the same, offered by the other side */
    x = derive(&a);
    y = derive(&b);
    assert_int_equal(epc_service_info_diff(x, y, &d), EPC_OK);
    assert_int_equal(d->n_components, 0);
    assert_int_equal(strncmp(y->component[0].codec_data[0], "downlink\noffer\n", 15), 0);
    epc_service_info_free(d);
    epc_service_info_free(x);
    epc_service_info_free(y);
    access_free(&a);
    access_free(&b);
}

static void test_signalling(void **state)
{
    (void)state;
    struct epc_service_info *s;
    assert_int_equal(epc_policy_signalling_info(&s), EPC_OK);
    assert_true(s->signalling);
    char *text = dump(s);
    assert_string_equal(text, "0 type 4 status -1 ul -1 dl -1 rr -1 rs -1\n flow 0 usage 2 status -1\n  []\n  []\n");
    free(text);
    epc_service_info_free(s);
    epc_service_info_free(NULL);
}

static void test_media_types(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum epc_media_type type;
    } cases[] = {
        {"audio 54321 RTP/AVP 0", EPC_MEDIA_AUDIO},     {"video 54321 RTP/AVP 96", EPC_MEDIA_VIDEO},
        {"data 54321 udp x", EPC_MEDIA_DATA},           {"application 54321 UDP/DTLS/SCTP webrtc-datachannel",
                                                         EPC_MEDIA_APPLICATION},
        {"control 54321 udp x", EPC_MEDIA_CONTROL},     {"text 54321 RTP/AVP 98", EPC_MEDIA_TEXT},
        {"message 54321 TCP/MSRP *", EPC_MEDIA_MESSAGE}, {"image 54321 udptl t38", EPC_MEDIA_OTHER},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(cases); i++) {
        char up[256], down[256];
        struct access a;
        snprintf(up, sizeof up, HEAD "m=%s\r\nc=IN IP4 10.45.0.2\r\n", cases[i].line);
        snprintf(down, sizeof down, HEAD "m=%s\r\nc=IN IP4 198.51.100.20\r\n", cases[i].line);
        access_init(&a, up, down, "10.45.0.2", true);
        struct epc_service_info *s = derive(&a);
        assert_int_equal(s->n_components, 1);
        assert_int_equal(s->component[0].type, cases[i].type);
        epc_service_info_free(s);
        access_free(&a);
    }
}

/* A library between the browser and us may write the same lines in another order: nothing is told again. */
static void test_reordered_lines(void **state)
{
    (void)state;
    static const char head[] = HEAD "m=audio 54321 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 10.45.0.2\r\n" SEC;
    static const char *const lines[2] = {
        "a=mid:0\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\na=rtpmap:0 PCMU/8000\r\n",
        "a=rtpmap:0 PCMU/8000\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\na=rtcp-mux\r\na=mid:0\r\n"};
    char text[2][2048];
    struct access a, b;
    struct epc_service_info *delta = NULL;
    for (int i = 0; i < 2; i++)
        snprintf(text[i], sizeof text[i], "%s%s", head, lines[i]);
    access_init(&a, text[0], answer_text, "10.45.0.2", true);
    access_init(&b, text[1], answer_text, "10.45.0.2", true);
    struct epc_service_info *x = derive(&a), *y = derive(&b);
    assert_int_equal(epc_service_info_diff(x, y, &delta), EPC_OK);
    assert_int_equal(delta->n_components, 0);
    epc_service_info_free(delta);
    strstr(y->component[0].codec_data[0], "opus")[0] = 'O'; /* and another line is told */
    assert_int_equal(epc_service_info_diff(x, y, &delta), EPC_OK);
    assert_int_equal(delta->n_components, 1);
    epc_service_info_free(delta);
    epc_service_info_free(x);
    epc_service_info_free(y);
    access_free(&a);
    access_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_media_types),
        cmocka_unit_test(test_reordered_lines),
        cmocka_unit_test(test_worked_example), cmocka_unit_test(test_ue_side),
        cmocka_unit_test(test_candidates),     cmocka_unit_test(test_bandwidth),
        cmocka_unit_test(test_flow_status),    cmocka_unit_test(test_removed),
        cmocka_unit_test(test_preliminary),    cmocka_unit_test(test_roles_do_not_matter),
        cmocka_unit_test(test_signalling),     cmocka_unit_test(test_rtcp_ends),
    };
    return cmocka_run_group_tests_name("policy_info", tests, NULL, NULL);
}
