/* What the other leg is to be described as. Where the gateway transcodes (TS 26.114 5.2.1, RFC 7874 3) an
 * offer grows by the codecs that it makes, behind those that pass as they are, and an answer is brought
 * back to what the offerer has. */
#include "sdp/iw_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_DYNAMIC = 96, LAST_PT = 127 };

/* What stands in an offer for a codec that the gateway makes. */
static const struct known {
    const char *name;
    uint32_t clock_hz;
    unsigned channels;
    int pt; /* static number (RFC 3551 6), or -1 */
    const char *fmtp;
    bool webrtc; /* browsers have it */
} known[] = {
    {"opus", 48000, 2, -1, "minptime=10;useinbandfec=1", true},
    {"AMR-WB", 16000, 1, -1, "mode-change-capability=2;max-red=0", false},
    {"AMR", 8000, 1, -1, "mode-change-capability=2;max-red=0", false},
    {"G722", 8000, 1, 9, NULL, true},
    {"PCMA", 8000, 1, 8, NULL, true},
    {"PCMU", 8000, 1, 0, NULL, true},
};

static const struct known *known_codec(const char *name)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(known); i++)
        if (epc_str_ieqc(epc_str_c(known[i].name), name))
            return &known[i];
    return NULL;
}

static bool makes(const struct epc_iw_policy *p, size_t i)
{
    return i < 32 && (p->transcodes >> i & 1);
}

static bool made(const struct epc_iw_policy *p, struct epc_str name)
{
    for (size_t i = 0; i < p->n_audio_codecs; i++)
        if (makes(p, i) && epc_str_ieqc(name, p->audio_codecs[i]))
            return true;
    return false;
}

static bool is_event(const struct epc_sdp_codec *c)
{
    return epc_str_ieqc(c->name, "telephone-event");
}

/* ---- payload numbers ----------------------------------------------------------------------------- */

static bool taken(const struct iw_codecs *codecs, const struct epc_sdp_media *own, unsigned pt)
{
    for (size_t i = 0; i < codecs->n; i++)
        if (codecs->c[i].pt == pt)
            return true;
    /* Numbers that the other side has given to what does not pass (RFC 3264 8.3.2). */
    for (size_t i = 0; own && i < own->n_codec; i++)
        if (own->codec[i].pt == pt)
            return true;
    return false;
}

/* The number that the codec had on that leg before, else its own, else a free one. False: none is left. */
static bool number(const struct epc_sdp_media *before, const struct epc_sdp_media *from, const struct iw_codecs *codecs,
                   struct epc_sdp_codec *c, int own)
{
    for (size_t i = 0; before && i < before->n_codec; i++) {
        const struct epc_sdp_codec *b = &before->codec[i];
        if (epc_str_ieq(b->name, c->name) && b->clock_hz == c->clock_hz && !taken(codecs, NULL, b->pt)) {
            c->pt = b->pt;
            return true;
        }
    }
    if (own >= 0 && !taken(codecs, NULL, (unsigned)own)) {
        c->pt = (unsigned)own;
        return true;
    }
    for (unsigned pt = FIRST_DYNAMIC; pt <= LAST_PT; pt++)
        if (!taken(codecs, from, pt) && !taken(codecs, before, pt)) {
            c->pt = pt;
            return true;
        }
    return false;
}

/* ---- an offer ------------------------------------------------------------------------------------ */

static bool has(const struct iw_codecs *codecs, struct epc_str name, uint32_t clock_hz)
{
    for (size_t i = 0; i < codecs->n; i++)
        if (epc_str_ieq(codecs->c[i].name, name) && codecs->c[i].clock_hz == clock_hz)
            return true;
    return false;
}

static void add(const struct epc_sdp_media *before, const struct epc_sdp_media *from, struct epc_sdp_codec c, int own,
                struct iw_codecs *codecs)
{
    if (codecs->n < IW_MAX_CODECS && !has(codecs, c.name, c.clock_hz) && number(before, from, codecs, &c, own))
        codecs->c[codecs->n++] = c;
}

static void add_events(const struct epc_sdp_media *before, const struct epc_sdp_media *from, struct iw_codecs *codecs)
{
    static const uint32_t clocks_hz[] = {8000, 16000, 48000};
    bool wanted = false;
    size_t n = codecs->n;
    for (size_t i = 0; i < n; i++)
        wanted = wanted || is_event(&codecs->c[i]);
    for (size_t k = 0; wanted && k < EPC_ARRAY_LEN(clocks_hz); k++) {
        bool used = false;
        for (size_t i = 0; i < n; i++)
            used = used || (!is_event(&codecs->c[i]) && codecs->c[i].clock_hz == clocks_hz[k]);
        if (used)
            add(before, from,
                (struct epc_sdp_codec){.name = EPC_STR("telephone-event"), .clock_hz = clocks_hz[k], .channels = 1,
                                       .fmtp = EPC_STR("0-16")},
                -1, codecs);
    }
}

static void grow(const struct epc_iw *w, enum epc_sdp_leg leg, const struct epc_sdp_media *before,
                 const struct epc_sdp_media *from, struct iw_codecs *codecs)
{
    const struct epc_iw_policy *p = &w->policy;
    bool source = false;
    for (size_t i = 0; i < codecs->n; i++)
        source = source || made(p, codecs->c[i].name);
    for (size_t i = 0; source && i < p->n_audio_codecs; i++) {
        const struct known *k = makes(p, i) ? known_codec(p->audio_codecs[i]) : NULL;
        if (k && (k->webrtc || leg == EPC_SDP_CORE))
            add(before, from,
                (struct epc_sdp_codec){.name = epc_str_c(k->name), .clock_hz = k->clock_hz, .channels = k->channels,
                                       .fmtp = k->fmtp ? epc_str_c(k->fmtp) : EPC_STR_NULL},
                k->pt, codecs);
    }
    if (source)
        add_events(before, from, codecs);
}

/* ---- an answer -------------------------------------------------------------------------------------- */

static const struct epc_sdp_codec *like(const struct epc_sdp_media *m, const struct epc_sdp_codec *c)
{
    for (size_t i = 0; i < m->n_codec; i++)
        if (epc_str_ieq(m->codec[i].name, c->name) && m->codec[i].clock_hz == c->clock_hz &&
            m->codec[i].channels == c->channels)
            return &m->codec[i];
    return NULL;
}

static void put(struct iw_codecs *out, struct epc_sdp_codec c, unsigned pt)
{
    if (out->n < IW_MAX_CODECS) {
        c.pt = pt;
        out->c[out->n++] = c;
    }
}

/* What both ends have passes. If that is nothing, the first that the gateway can make of the answer. */
static bool bring_back(const struct epc_iw_policy *p, const struct epc_sdp_media *offered,
                       const struct epc_sdp_media *answer, struct iw_codecs *out)
{
    bool events = false, direct = false;
    uint32_t clock_hz = 0;
    out->n = 0;
    for (size_t i = 0; i < answer->n_codec; i++) {
        const struct epc_sdp_codec *a = &answer->codec[i], *o = like(offered, a);
        events = events || is_event(a);
        direct = direct || (o && !is_event(a));
        if (o)
            put(out, *a, o->pt);
    }
    if (direct) /* with the events that both have: they pass as they are, too */
        return false;
    out->n = 0;
    for (size_t i = 0; out->n == 0 && i < offered->n_codec; i++)
        if (!is_event(&offered->codec[i]) && made(p, offered->codec[i].name)) {
            put(out, offered->codec[i], offered->codec[i].pt);
            clock_hz = offered->codec[i].clock_hz;
        }
    for (size_t i = 0; events && i < offered->n_codec; i++)
        if (is_event(&offered->codec[i]) && offered->codec[i].clock_hz == clock_hz)
            put(out, offered->codec[i], offered->codec[i].pt);
    return true;
}

/* ---- the description ------------------------------------------------------------------------------------ */

static struct epc_str proto_towards(const struct iw_exchange *x, enum epc_sdp_leg leg, size_t stream,
                                    const struct epc_sdp_media *src)
{
    const struct epc_sdp_media *own = leg == x->offerer ? iw_line(x, x->recv[leg], leg, stream) : NULL;
    if (own)
        return own->proto;
    if (!sdp_proto_is_rtp(src->proto))
        return src->proto;
    return leg == EPC_SDP_WIC ? EPC_STR("UDP/TLS/RTP/SAVPF") : EPC_STR("RTP/AVP");
}

static void put_stream(const struct epc_iw *w, struct iw_exchange *x, enum epc_sdp_leg leg, size_t i,
                       struct iw_codecs *codecs, struct epc_buf *b)
{
    const struct epc_sdp_media *src = &x->remote[iw_other(leg)]->media[i];
    const struct epc_sdp_media *before =
        w->have_committed ? iw_line(&w->committed, w->committed.sent[leg], leg, i) : NULL;
    x->transcoded[i] = false;
    iw_put_media(b, src->type, src->port ? 9 : 0, proto_towards(x, leg, i, src));
    if (src->port == 0 || !sdp_proto_is_rtp(src->proto)) {
        epc_buf_printf(b, " %.*s\r\n", EPC_STR_ARG(src->n_fmt ? src->fmt[0] : EPC_STR("0")));
    } else {
        codecs->n = 0;
        for (size_t k = 0; k < src->n_codec && codecs->n < IW_MAX_CODECS; k++)
            codecs->c[codecs->n++] = src->codec[k];
        if (w->policy.transcodes && epc_str_eqc(src->type, "audio")) {
            if (leg == x->offerer)
                x->transcoded[i] = bring_back(&w->policy, &x->remote[leg]->media[i], src, codecs);
            else
                grow(w, leg, before, src, codecs);
        }
        iw_put_formats(b, codecs);
    }
    iw_put_connection(b, EPC_STR("0.0.0.0"));
    epc_buf_printf(b, "a=%s\r\n", sdp_dir_name(src->dir));
    if (src->port && sdp_proto_is_rtp(src->proto))
        iw_put_codecs(b, codecs);
}

enum epc_err iw_want(const struct epc_iw *w, struct iw_exchange *x, enum epc_sdp_leg leg, struct epc_cause *cause)
{
    struct epc_buf b = {0};
    struct epc_sdp *want = NULL;
    enum epc_err err = EPC_ENOMEM;
    struct iw_codecs *codecs = malloc(sizeof *codecs);
    epc_buf_adds(&b, "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n");
    for (size_t i = 0; codecs && i < x->n_streams; i++)
        put_stream(w, x, leg, i, codecs, &b);
    if (codecs && !b.failed)
        err = epc_sdp_parse(&want, (struct epc_str){b.p, b.n}, cause);
    free(codecs);
    epc_buf_free(&b);
    if (err == EPC_OK) {
        epc_sdp_free(x->want[leg]);
        x->want[leg] = want;
    }
    return err;
}
