/* What would be accepted: the body of a 488 (RFC 3261 21.4.26; TS 24.229 6.2). */
#include "sdp/iw_priv.h"

#include <inttypes.h>

static const struct {
    const char *name, *map, *fmtp;
    unsigned pt;
} formats[] = {
    {"opus", "opus/48000/2", NULL, 111},
    {"AMR-WB", "AMR-WB/16000", NULL, 112},
    {"AMR", "AMR/8000", NULL, 113},
    {"G722", "G722/8000", NULL, 9},
    {"PCMA", "PCMA/8000", NULL, 8},
    {"PCMU", "PCMU/8000", NULL, 0},
    {"H264", "H264/90000", "packetization-mode=1;profile-level-id=42e01f", 102},
    {"VP8", "VP8/90000", NULL, 96},
};

static void put(const char *type, const char *proto, const char *const *names, size_t n, struct epc_buf *out)
{
    struct epc_buf maps = {0};
    bool any = false;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < EPC_ARRAY_LEN(formats); k++) {
            if (!epc_str_ieqc(epc_str_c(formats[k].name), names[i]))
                continue;
            if (!any)
                epc_buf_printf(out, "m=%s 9 %s", type, proto);
            any = true;
            epc_buf_printf(out, " %u", formats[k].pt);
            epc_buf_printf(&maps, "a=rtpmap:%u %s\r\n", formats[k].pt, formats[k].map);
            if (formats[k].fmtp)
                epc_buf_printf(&maps, "a=fmtp:%u %s\r\n", formats[k].pt, formats[k].fmtp);
        }
    if (any) {
        epc_buf_adds(out, "\r\n");
        epc_buf_add(out, maps.p, maps.n);
        out->failed = out->failed || maps.failed;
    }
    epc_buf_free(&maps);
}

enum epc_err epc_iw_acceptable(const struct epc_iw_policy *p, enum epc_sdp_leg leg, struct epc_buf *out)
{
    const char *proto = leg == EPC_SDP_WIC ? "UDP/TLS/RTP/SAVPF" : "RTP/AVP";
    epc_buf_adds(out, "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n");
    put("audio", proto, p->audio_codecs, p->n_audio_codecs, out);
    put("video", proto, p->video_codecs, p->n_video_codecs, out);
    return out->failed ? EPC_ENOMEM : EPC_OK;
}
