/* Max-Requested-Bandwidth (TS 29.213 6.2): what the receiver's b= lines allow, or what the configuration
 * has for the codec, and what comes on top of it. */
#include "policy/policy_priv.h"

#include <inttypes.h>
#include <string.h>

static const struct epc_sdp_bw *bandwidth_line(const struct epc_sdp_media *m, const char *type)
{
    for (size_t i = 0; m && i < m->n_bw; i++)
        if (epc_str_eqc(m->bw[i].type, type))
            return &m->bw[i];
    return NULL;
}

static uint64_t at_most(uint64_t v, uint64_t most)
{
    return v < most ? v : most;
}

/* What the Extended AVPs can say, in kbit/s of 32 bits. */
static int64_t cut(uint64_t bps)
{
    return (int64_t)at_most(bps, (uint64_t)UINT32_MAX * 1000);
}

/* A bandwidth that grows, and how it did. */
struct sum {
    uint64_t bps;
    bool tell;
    struct epc_buf how;
};

static void percent(struct sum *s, uint32_t by, const char *what)
{
    if (by == 0)
        return;
    s->bps += s->bps * by / 100;
    if (s->tell)
        epc_buf_printf(&s->how, ", x%u.%02u for %s", 1 + by / 100, by % 100, what);
}

static void plus(struct sum *s, const struct epc_sdp_bw *line)
{
    if (!line)
        return;
    uint64_t bps = at_most(line->value, UINT32_MAX);
    s->bps += bps;
    if (s->tell)
        epc_buf_printf(&s->how, ", +%" PRIu64 " of \"b=%.*s\"", bps, EPC_STR_ARG(line->type));
}

/* ---- from b= lines -------------------------------------------------------------------------------------- */

/* Packets a second, rounded up; 0: not told. */
static uint64_t packet_rate(const struct epc_sdp_media *m)
{
    uint64_t rate = 0;
    for (size_t i = 0; i < m->n_attr; i++) {
        if (!epc_str_eqc(m->attr[i].name, "maxprate"))
            continue;
        struct epc_str v = epc_str_trim(m->attr[i].value), whole = epc_str_cut(&v, '.');
        if (epc_str_u64(whole, 100000, &rate) != EPC_OK)
            rate = 0;
        else if (v.p)
            rate++;
    }
    return rate;
}

/* b=TIAS counts payload alone: headers at the packet rate come on top (RFC 3890 6.2). */
static void from_tias(const struct pol_line *l, const struct epc_sdp_media *m, uint64_t tias, struct sum *s)
{
    enum { IP4_UDP_RTP_OCTETS = 40, IP6_UDP_RTP_OCTETS = 60 };
    unsigned octets = m->c_ip6 ? IP6_UDP_RTP_OCTETS : IP4_UDP_RTP_OCTETS;
    uint64_t rate = packet_rate(m);
    s->bps = at_most(tias, UINT32_MAX) + rate * 8 * octets;
    if (s->tell)
        epc_buf_printf(&s->how, "%s \"b=TIAS:%" PRIu64 "\", +%" PRIu64 " packets/s x %u octets of headers",
                       pol_side(l, m), tias, rate, octets);
}

/* ---- by codec ------------------------------------------------------------------------------------------- */

bool pol_has_codec(const struct pol_line *l, const char *name)
{
    const struct epc_sdp_media *m = l->answer ? l->answer : l->up ? l->up : l->down;
    for (size_t i = 0; i < m->n_codec; i++)
        if (epc_str_ieqc(m->codec[i].name, name))
            return true;
    return false;
}

/* Goes along with another codec. */
static bool auxiliary(struct epc_str name)
{
    static const char *const names[] = {"telephone-event", "CN", "rtx", "red", "ulpfec", "flexfec", "flexfec-03"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(names); i++)
        if (epc_str_ieqc(name, names[i]))
            return true;
    return false;
}

static uint64_t type_bps(const struct epc_cfg_policy *cfg, enum epc_media_type type, const char **key)
{
    switch (type) {
    case EPC_MEDIA_AUDIO:
        *key = "policy.audio_bw_bps";
        return cfg->audio_bw_bps;
    case EPC_MEDIA_VIDEO:
        *key = "policy.video_bw_bps";
        return cfg->video_bw_bps;
    case EPC_MEDIA_APPLICATION:
    case EPC_MEDIA_DATA:
        *key = "policy.data_bw_bps";
        return cfg->data_bw_bps;
    case EPC_MEDIA_CONTROL:
    case EPC_MEDIA_TEXT:
    case EPC_MEDIA_MESSAGE:
    case EPC_MEDIA_OTHER:
        break;
    }
    return 0;
}

static const struct epc_cfg_codec_bw *row_of(const struct epc_cfg_policy *cfg, struct epc_str name)
{
    for (size_t i = 0; i < cfg->n_codec_bw; i++)
        if (epc_str_ieqc(name, cfg->codec_bw[i].codec))
            return &cfg->codec_bw[i];
    return NULL;
}

/* The greatest of the codecs that may be used: which of them, changes without any message. */
static void from_codecs(const struct epc_policy_input *in, const struct pol_line *l, enum epc_media_type type,
                        struct sum *s)
{
    const struct epc_sdp_media *m = l->answer ? l->answer : l->up ? l->up : l->down;
    const struct epc_cfg_codec_bw *most = NULL;
    const char *key = "";
    bool other = false;
    for (size_t i = 0; i < m->n_codec; i++) {
        const struct epc_cfg_codec_bw *row = row_of(in->cfg, m->codec[i].name);
        if (row && (!most || row->bps > most->bps))
            most = row;
        other = other || (!row && !auxiliary(m->codec[i].name));
    }
    s->bps = type_bps(in->cfg, type, &key);
    bool by_codec = most && (!other || most->bps > s->bps);
    if (by_codec)
        s->bps = most->bps;
    if (s->tell && by_codec)
        epc_buf_printf(&s->how, "no b=AS or b=TIAS: policy.codec_bw %s=%" PRIu64, most->codec, s->bps);
    else if (s->tell)
        epc_buf_printf(&s->how, "no b=AS or b=TIAS: %s=%" PRIu64, key, s->bps);
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

static void overheads(const struct epc_policy_input *in, const struct pol_line *l, const struct epc_sdp_media *m,
                      bool mux, struct sum *s)
{
    const struct epc_sdp_bw *rr = bandwidth_line(m, "RR"), *rs = bandwidth_line(m, "RS");
    const struct epc_cfg_policy *cfg = in->cfg;
    const struct epc_sdp_media *any = l->up ? l->up : l->down;
    if (memmem(any->proto.p, any->proto.n, "RTP/SAVP", 8))
        percent(s, cfg->srtp_percent, "SRTP");
    if (pol_has_codec(l, "rtx"))
        percent(s, cfg->rtx_percent, "rtx");
    if (pol_has_codec(l, "ulpfec") || pol_has_codec(l, "flexfec") || pol_has_codec(l, "flexfec-03"))
        percent(s, cfg->fec_percent, "FEC");
    if (pol_has_codec(l, "red"))
        percent(s, cfg->red_percent, "red");
    if (mux && (rr || rs)) {
        plus(s, rr);
        plus(s, rs);
    } else if (mux)
        percent(s, cfg->rtcp_percent, "RTCP multiplexing");
    if (pol_relayed(in, l))
        percent(s, cfg->turn_percent, "the TURN server");
}

int64_t pol_max_bps(const struct epc_policy_input *in, const struct pol_line *l, bool uplink,
                    enum epc_media_type type, bool mux)
{
    /* b= limits what its writer receives: the uplink stands in what was sent to the UE. */
    const struct epc_sdp_media *m = uplink ? l->down : l->up;
    const struct epc_sdp_bw *as = bandwidth_line(m, "AS"), *tias = bandwidth_line(m, "TIAS");
    struct sum s = {.tell = l->why != NULL};
    if (as) {
        s.bps = at_most(as->value, UINT32_MAX) * 1000;
        if (s.tell)
            epc_buf_printf(&s.how, "%s \"b=AS:%" PRIu64 "\" x1000", pol_side(l, m), as->value);
    } else if (tias)
        from_tias(l, m, tias->value, &s);
    else
        from_codecs(in, l, type, &s);
    bool none = s.bps == 0 && !as && !tias;
    if (!none) {
        overheads(in, l, m, mux, &s);
        pol_why(l, "Max-Requested-Bandwidth-%s=%" PRId64 " <- %s (TS 29.213 6.2)", uplink ? "UL" : "DL", cut(s.bps),
                s.how.p ? s.how.p : "");
    }
    if (s.how.failed)
        l->why->failed = true;
    epc_buf_free(&s.how);
    return none ? -1 : cut(s.bps);
}

int64_t pol_rtcp_bps(const struct pol_line *l, bool sender)
{
    const char *type = sender ? "RS" : "RR";
    const struct epc_sdp_bw *b = bandwidth_line(l->answer, type);
    if (!b)
        return -1;
    pol_why(l, "%s-Bandwidth=%" PRIu64 " <- %s \"b=%s:%" PRIu64 "\" of the answer (TS 29.213 6.2)", type,
            at_most(b->value, UINT32_MAX), pol_side(l, l->answer), type, b->value);
    return (int64_t)at_most(b->value, UINT32_MAX);
}
