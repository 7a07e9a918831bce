/* Descriptions as the interworking hands them over: from a Chromium offer, unbundled, and a plain RTP
 * phone. */
#include "bench.h"

#include <string.h>

#define HEAD(version) "v=0\no=- 4383535024244423195 " version " IN IP4 192.0.0.8\ns=-\nt=0 0\n"
#define WIC_TRANSPORT(ufrag, pwd, port, setup)                                                       \
    "c=IN IP4 127.0.0.1\n"                                                                           \
    "a=rtcp-mux\n"                                                                                   \
    "a=ice-ufrag:" ufrag "\n"                                                                        \
    "a=ice-pwd:" pwd "\n"                                                                            \
    "a=ice-options:trickle\n"                                                                        \
    "a=candidate:2768172952 1 udp 2122260223 127.0.0.1 " port " typ host\n"                          \
    "a=fingerprint:sha-256 27:5E:7E:90:1E:26:35:9B:6A:B0:74:24:CA:57:3A:86:34:36:62:58:8B:73:A8:"    \
    "A0:F1:63:CC:2B:D9:D9:E4:35\n"                                                                   \
    "a=setup:" setup "\n"
#define WIC_AUDIO(ufrag, pwd)                                                                        \
    "m=audio 59679 UDP/TLS/RTP/SAVPF 111 0 8 126\n" WIC_TRANSPORT(ufrag, pwd, "59679", "actpass")    \
    "a=sendrecv\n"                                                                                   \
    "a=rtpmap:111 opus/48000/2\n"                                                                    \
    "a=fmtp:111 minptime=10;useinbandfec=1\n"                                                        \
    "a=rtpmap:0 PCMU/8000\n"                                                                         \
    "a=rtpmap:8 PCMA/8000\n"                                                                         \
    "a=rtpmap:126 telephone-event/8000\n"
#define WIC_VIDEO(ufrag, pwd)                                                                        \
    "m=video 55908 UDP/TLS/RTP/SAVPF 102 96\n" WIC_TRANSPORT(ufrag, pwd, "55908", "actpass")         \
    "a=sendrecv\n"                                                                                   \
    "a=rtpmap:102 H264/90000\n"                                                                      \
    "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\n"            \
    "a=rtpmap:96 VP8/90000\n"
#define CORE_AUDIO(dir)                                                                              \
    "m=audio 5004 RTP/AVP 0 126\n"                                                                   \
    "c=IN IP4 127.0.0.9\n"                                                                           \
    "a=" dir "\n"                                                                                    \
    "a=rtpmap:0 PCMU/8000\n"                                                                         \
    "a=rtpmap:126 telephone-event/8000\n"

const char sdp_wic_offer[] = HEAD("2") WIC_AUDIO("KKRA", "jqjg20Gz0wkAhgIwpcSR2moW")
    WIC_VIDEO("KKRA", "jqjg20Gz0wkAhgIwpcSR2moW");
const char sdp_wic_restart[] = HEAD("3") WIC_AUDIO("9Xyz", "bbbb20Gz0wkAhgIwpcSR2bbb")
    WIC_VIDEO("9Xyz", "bbbb20Gz0wkAhgIwpcSR2bbb");
const char sdp_wic_answer[] = HEAD("2") "m=audio 56671 UDP/TLS/RTP/SAVPF 0 126\n" WIC_TRANSPORT(
    "AHg8", "gr0KBh4H7KYYIXe/tMjNa5vV", "56671", "active") "a=sendrecv\na=rtpmap:0 PCMU/8000\n"
                                                           "a=rtpmap:126 telephone-event/8000\n";
const char sdp_wic_answer_hold[] = HEAD("4") "m=audio 59679 UDP/TLS/RTP/SAVPF 0 126\n" WIC_TRANSPORT(
    "KKRA", "jqjg20Gz0wkAhgIwpcSR2moW", "59679",
    "active") "a=recvonly\na=rtpmap:0 PCMU/8000\na=rtpmap:126 telephone-event/8000\n"
              "m=video 0 UDP/TLS/RTP/SAVPF 102\n";
const char sdp_core_answer[] = HEAD("1") CORE_AUDIO("sendrecv") "m=video 0 RTP/AVP 102\n";
const char sdp_core_answer_av[] = HEAD("1") CORE_AUDIO("sendrecv") "m=video 5006 RTP/AVP 102\n"
                                                                   "c=IN IP4 127.0.0.9\n"
                                                                   "a=sendrecv\n"
                                                                   "a=rtpmap:102 H264/90000\n";
const char sdp_core_offer[] = HEAD("1") CORE_AUDIO("sendrecv");
const char sdp_core_reoffer[] = HEAD("2") CORE_AUDIO("sendonly") "m=video 0 RTP/AVP 102\n";

struct epc_sdp *sdp_from(const char *text)
{
    struct epc_buf b = {0};
    struct epc_sdp *s = NULL;
    for (const char *p = text; *p; p++) {
        if (*p == '\n' && (p == text || p[-1] != '\r'))
            epc_buf_adds(&b, "\r");
        epc_buf_add(&b, p, 1);
    }
    assert_false(b.failed);
    assert_int_equal(epc_sdp_parse(&s, (struct epc_str){b.p, b.n}, NULL), EPC_OK);
    epc_buf_free(&b);
    return s;
}
