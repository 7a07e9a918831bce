/* Which payload formats pass between the legs. Payload numbers stay as they are; what
 * the gateway makes is added in iw_want.c. */
#include "sdp/iw_priv.h"

#include <string.h>

static bool is_event(const struct epc_sdp_codec *c)
{
    return epc_str_ieqc(c->name, "telephone-event");
}

/* Repair, redundancy and comfort noise belong to the WebRTC leg alone. */
static bool never_passes(const struct epc_sdp_codec *c)
{
    static const char *const names[] = {"rtx", "red", "ulpfec", "flexfec", "flexfec-03", "CN"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(names); i++)
        if (epc_str_ieqc(c->name, names[i]))
            return true;
    return c->name.n == 0 || c->clock_hz == 0;
}

static bool fmtp_has(struct epc_str fmtp, const char *want)
{
    while (fmtp.p) {
        struct epc_str one = epc_str_trim(epc_str_cut(&fmtp, ';'));
        if (epc_str_ieqc(one, want))
            return true;
    }
    return false;
}

static bool is_h264(const struct epc_sdp_codec *c)
{
    return epc_str_ieqc(c->name, "H264");
}

static bool is_h264_mode1(const struct epc_sdp_codec *c)
{
    return is_h264(c) && fmtp_has(c->fmtp, "packetization-mode=1");
}

static void add_allowed(const struct epc_sdp_media *m, const char *name, struct iw_codecs *out)
{
    bool mode1 = false;
    for (size_t i = 0; i < m->n_codec; i++)
        mode1 = mode1 || is_h264_mode1(&m->codec[i]);
    for (size_t i = 0; i < m->n_codec && out->n < IW_MAX_CODECS; i++) {
        const struct epc_sdp_codec *c = &m->codec[i];
        if (never_passes(c) || is_event(c) || !epc_str_ieqc(c->name, name))
            continue;
        if (mode1 && is_h264(c) && !is_h264_mode1(c))
            continue;
        bool there = false; /* a name may stand twice in the configuration */
        for (size_t k = 0; k < out->n; k++)
            there = there || out->c[k].pt == c->pt;
        if (!there)
            out->c[out->n++] = *c;
    }
}

static void add_events(const struct epc_sdp_media *m, struct iw_codecs *out)
{
    size_t n_media = out->n;
    for (size_t i = 0; i < m->n_codec && out->n < IW_MAX_CODECS; i++) {
        const struct epc_sdp_codec *c = &m->codec[i];
        bool clock = false;
        for (size_t k = 0; k < n_media; k++)
            clock = clock || out->c[k].clock_hz == c->clock_hz;
        if (is_event(c) && clock)
            out->c[out->n++] = *c;
    }
}

void iw_codecs_of_offer(const struct epc_iw_policy *p, const struct epc_sdp_media *m,
                        struct iw_codecs *out)
{
    bool video = epc_str_eqc(m->type, "video");
    const char *const *names = video ? p->video_codecs : p->audio_codecs;
    size_t n = video ? p->n_video_codecs : p->n_audio_codecs;
    out->n = 0;
    for (size_t i = 0; i < n; i++)
        add_allowed(m, names[i], out);
    add_events(m, out);
}

static bool same_codec(const struct epc_sdp_codec *a, const struct epc_sdp_codec *b)
{
    return epc_str_ieq(a->name, b->name) && a->clock_hz == b->clock_hz && a->channels == b->channels;
}

static const struct epc_sdp_codec *find_offered(const struct epc_sdp_media *offered,
                                                const struct epc_sdp_codec *c)
{
    const struct epc_sdp_codec *like = NULL;
    for (size_t i = 0; i < offered->n_codec; i++) {
        const struct epc_sdp_codec *o = &offered->codec[i];
        /* Some answerers leave out rtpmap for a number that the offer has explained. */
        if (o->pt == c->pt && (c->name.n == 0 || same_codec(o, c)))
            return o;
        if (!like && c->name.n && same_codec(o, c))
            like = o;
    }
    return like;
}

void iw_codecs_of_answer(const struct epc_sdp_media *offered, const struct epc_sdp_media *answer,
                         struct iw_codecs *out)
{
    bool media = false;
    out->n = 0;
    for (size_t i = 0; i < answer->n_codec && out->n < IW_MAX_CODECS; i++) {
        struct epc_sdp_codec c = answer->codec[i];
        const struct epc_sdp_codec *o = find_offered(offered, &c);
        if (!o)
            continue;
        c.name = o->name;
        c.clock_hz = o->clock_hz;
        c.channels = o->channels;
        media = media || !is_event(&c);
        out->c[out->n++] = c;
    }
    if (!media)
        out->n = 0;
}
