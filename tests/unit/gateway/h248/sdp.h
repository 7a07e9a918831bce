/* What each side is to get: the descriptions of gateway_bench's sdp_text.c, as the other side sees them. */
#ifndef IQ_SDP_H
#define IQ_SDP_H

#define WANT_HEAD "v=0\no=- 1 1 IN IP4 192.0.0.8\ns=-\nt=0 0\n"
#define WANT_CORE_AUDIO                                                                              \
    "m=audio 9 RTP/AVP 111 0 8 126\nc=IN IP4 192.0.0.8\nb=AS:80\na=sendrecv\n"                       \
    "a=rtpmap:111 opus/48000/2\na=fmtp:111 minptime=10;useinbandfec=1\na=rtpmap:0 PCMU/8000\n"       \
    "a=rtpmap:8 PCMA/8000\na=rtpmap:126 telephone-event/8000\n"
#define WANT_CORE_VIDEO                                                                              \
    "m=video 9 RTP/AVP 102 96\nc=IN IP4 192.0.0.8\nb=AS:1500\na=sendrecv\na=rtpmap:102 H264/90000\n" \
    "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\n"            \
    "a=rtpmap:96 VP8/90000\n"
#define WANT_WIC_AUDIO                                                                               \
    "m=audio 9 UDP/TLS/RTP/SAVPF 0 126\nc=IN IP4 192.0.0.8\na=rtcp-mux\na=sendrecv\n"                \
    "a=rtpmap:0 PCMU/8000\na=rtpmap:126 telephone-event/8000\n"

static const char want_core[] = WANT_HEAD WANT_CORE_AUDIO WANT_CORE_VIDEO;
static const char want_wic[] = WANT_HEAD WANT_WIC_AUDIO "m=video 0 UDP/TLS/RTP/SAVPF 102\n";
static const char want_wic_audio[] = WANT_HEAD WANT_WIC_AUDIO;

#endif
