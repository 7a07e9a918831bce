/* SDP of the access leg to service information (TS 29.213 6.2, TS 29.214 Annexes A and B), and the
 * difference between what was told and what holds now. */
#include "policy/policy_priv.h"

#include <stdlib.h>
#include <string.h>

/* ---- objects ------------------------------------------------------------------------------------------- */

static void component_clear(struct epc_media_component *c)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(c->codec_data); i++)
        free(c->codec_data[i]);
    *c = (struct epc_media_component){0};
}

void epc_service_info_free(struct epc_service_info *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_components; i++)
        component_clear(&s->component[i]);
    free(s->component);
    free(s->why);
    free(s);
}

static struct epc_service_info *info_new(size_t most)
{
    struct epc_service_info *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->component = calloc(most ? most : 1, sizeof *s->component);
    if (!s->component) {
        free(s);
        return NULL;
    }
    return s;
}

static struct epc_media_component component_of(unsigned number, enum epc_media_type type)
{
    return (struct epc_media_component){
        .number = number, .type = type, .status = EPC_FLOW_STATUS_NONE,
        .max_ul_bps = -1, .max_dl_bps = -1, .rr_bps = -1, .rs_bps = -1,
    };
}

static const struct epc_media_component *find(const struct epc_service_info *s, unsigned number)
{
    for (size_t i = 0; s && i < s->n_components; i++)
        if (s->component[i].number == number)
            return &s->component[i];
    return NULL;
}

/* ---- a component ------------------------------------------------------------------------------------------ */

static enum epc_media_type media_type(struct epc_str type)
{
    static const struct {
        const char *name;
        enum epc_media_type type;
    } types[] = {
        {"audio", EPC_MEDIA_AUDIO},     {"video", EPC_MEDIA_VIDEO}, {"data", EPC_MEDIA_DATA},
        {"control", EPC_MEDIA_CONTROL}, {"text", EPC_MEDIA_TEXT},   {"message", EPC_MEDIA_MESSAGE},
        {"application", EPC_MEDIA_APPLICATION},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(types); i++)
        if (epc_str_eqc(type, types[i].name))
            return types[i].type;
    return EPC_MEDIA_OTHER;
}

static const struct epc_sdp_bw *bandwidth_line(const struct epc_sdp_media *m, const char *type)
{
    for (size_t i = 0; m && i < m->n_bw; i++)
        if (epc_str_eqc(m->bw[i].type, type))
            return &m->bw[i];
    return NULL;
}

static int64_t cut(uint64_t bps) /* Unsigned32 in the AVP */
{
    return bps < UINT32_MAX ? (int64_t)bps : (int64_t)UINT32_MAX;
}

static uint64_t times(uint64_t a, uint64_t b)
{
    return (a < UINT32_MAX ? a : UINT32_MAX) * b;
}

/* b=TIAS counts payload alone: headers at the packet rate come on top. */
static uint64_t tias_bps(const struct epc_sdp_media *m, uint64_t tias)
{
    enum { IP4_UDP_RTP_OCTETS = 40, IP6_UDP_RTP_OCTETS = 60 };
    uint64_t rate = 0;
    for (size_t i = 0; i < m->n_attr; i++)
        if (epc_str_eqc(m->attr[i].name, "maxprate")) {
            struct epc_str v = epc_str_trim(m->attr[i].value), whole = epc_str_cut(&v, '.');
            if (epc_str_u64(whole, 100000, &rate) != EPC_OK)
                rate = 0;
            else if (v.p)
                rate++;
        }
    return (tias < UINT32_MAX ? tias : UINT32_MAX) +
           rate * 8 * (m->c_ip6 ? IP6_UDP_RTP_OCTETS : IP4_UDP_RTP_OCTETS);
}

static uint64_t default_bps(const struct epc_cfg_policy *cfg, enum epc_media_type type)
{
    switch (type) {
    case EPC_MEDIA_AUDIO:
        return cfg->audio_bw_bps;
    case EPC_MEDIA_VIDEO:
        return cfg->video_bw_bps;
    case EPC_MEDIA_APPLICATION:
    case EPC_MEDIA_DATA:
        return cfg->data_bw_bps;
    default:
        return 0;
    }
}

/* What the receiver that wrote @p m allows; with RTCP on the same flow, RTCP's share on top. */
static int64_t max_bps(const struct epc_policy_input *in, const struct epc_sdp_media *m,
                       enum epc_media_type type, bool mux)
{
    const struct epc_sdp_bw *as = bandwidth_line(m, "AS"), *tias = bandwidth_line(m, "TIAS");
    const struct epc_sdp_bw *rr = bandwidth_line(m, "RR"), *rs = bandwidth_line(m, "RS");
    uint64_t bps;
    if (as)
        bps = times(as->value, 1000);
    else if (tias)
        bps = tias_bps(m, tias->value);
    else {
        bps = default_bps(in->cfg, type);
        return bps ? cut(bps * 105 / 100) : -1;
    }
    if (mux && (rr || rs))
        bps += (rr ? times(rr->value, 1) : 0) + (rs ? times(rs->value, 1) : 0);
    else if (mux)
        bps = bps * 105 / 100;
    return cut(bps);
}

static enum epc_flow_status flow_status(const struct pol_line *l, bool uplink_is_offer)
{
    const struct epc_sdp_media *offer = uplink_is_offer ? l->up : l->down;
    const struct epc_sdp_media *answer = uplink_is_offer ? l->down : l->up;
    const struct epc_sdp_media *m = answer ? answer : offer;
    if ((offer && offer->dir == EPC_SDP_INACTIVE) || m->dir == EPC_SDP_INACTIVE)
        return EPC_FLOW_DISABLED;
    if (m->dir == EPC_SDP_SENDRECV)
        return EPC_FLOW_ENABLED;
    bool from_ue = m == l->up;
    return (m->dir == EPC_SDP_SENDONLY) == from_ue ? EPC_FLOW_ENABLED_UPLINK : EPC_FLOW_ENABLED_DOWNLINK;
}

/* One flow when RTCP shares the port, or when there is none. */
static bool one_flow(const struct pol_line *l)
{
    const struct epc_sdp_media *any = l->up ? l->up : l->down;
    static const char rtp[] = "RTP/";
    if (!memmem(any->proto.p, any->proto.n, rtp, sizeof rtp - 1))
        return true;
    return (!l->up || l->up->rtcp_mux) && (!l->down || l->down->rtcp_mux);
}

static void set_flows(const struct epc_policy_input *in, const struct pol_line *l,
                      const struct epc_media_component *before, bool mux, struct epc_media_component *c)
{
    struct epc_media_flow *rtp = &c->flow[0], *rtcp = &c->flow[1];
    *rtp = (struct epc_media_flow){.number = 1, .status = EPC_FLOW_STATUS_NONE};
    pol_filters(in, l, false, rtp);
    c->n_flows = rtp->uplink[0] || !mux ? 1 : 0; /* nothing known: nothing to describe yet */
    if (mux)
        return;
    *rtcp = (struct epc_media_flow){.number = 2, .usage = EPC_USAGE_RTCP, .status = EPC_FLOW_STATUS_NONE};
    pol_filters(in, l, true, rtcp);
    c->n_flows = 2;
    /* Numbers go by the UE's port (TS 29.214 Annex B), once and for all. */
    uint16_t rtp_port = pol_ue_port(in, l, false), rtcp_port = pol_ue_port(in, l, true);
    bool swapped = rtcp_port && rtcp_port < rtp_port;
    if (before && before->n_flows == 2)
        swapped = before->flow[0].number == 2;
    if (swapped) {
        rtp->number = 2;
        rtcp->number = 1;
    }
}

static bool is_off(const struct pol_line *l)
{
    return (!l->up && !l->down) || (l->up && l->up->port == 0) || (l->down && l->down->port == 0);
}

static enum epc_err set_component(const struct epc_policy_input *in, const struct pol_line *l,
                                  unsigned number, struct epc_media_component *c)
{
    const struct epc_sdp_media *any = l->up ? l->up : l->down;
    const struct epc_sdp_media *answer = in->uplink_is_offer ? l->down : l->up;
    bool mux = one_flow(l);
    *c = component_of(number, media_type(any->type));
    c->status = mux ? EPC_FLOW_ENABLED : flow_status(l, in->uplink_is_offer);
    c->max_ul_bps = max_bps(in, l->down, c->type, mux);
    c->max_dl_bps = max_bps(in, l->up, c->type, mux);
    const struct epc_sdp_bw *rr = bandwidth_line(answer, "RR"), *rs = bandwidth_line(answer, "RS");
    c->rr_bps = rr ? cut(rr->value) : -1;
    c->rs_bps = rs ? cut(rs->value) : -1;
    set_flows(in, l, find(in->previous, number), mux, c);

    size_t n = 0;
    for (int k = 0; k < 2; k++) { /* the offer, then the answer */
        bool uplink = (k == 0) == in->uplink_is_offer;
        const struct epc_sdp_media *m = uplink ? l->up : l->down;
        if (!m)
            continue;
        c->codec_data[n] = pol_codec_data(m, uplink, k == 0);
        if (!c->codec_data[n++])
            return EPC_ENOMEM;
    }
    return EPC_OK;
}

/* ---- the whole ---------------------------------------------------------------------------------------------- */

static struct pol_line line_of(const struct epc_policy_input *in, size_t i)
{
    struct pol_line l = {0};
    if (in->uplink && i < in->uplink->n_media)
        l.up = &in->uplink->media[i];
    if (in->downlink && i < in->downlink->n_media)
        l.down = &in->downlink->media[i];
    if (in->learned && i < in->n_learned && in->learned[i].len)
        l.learned = &in->learned[i];
    return l;
}

enum epc_err epc_policy_service_info(const struct epc_policy_input *in, struct epc_service_info **out)
{
    if (!in->cfg || (!in->uplink && !in->downlink))
        return EPC_EINVAL;
    size_t up = in->uplink ? in->uplink->n_media : 0, down = in->downlink ? in->downlink->n_media : 0;
    size_t n = up > down ? up : down, before = in->previous ? in->previous->n_components : 0;
    struct epc_service_info *s = info_new(n + before);
    enum epc_err err = s ? EPC_OK : EPC_ENOMEM;
    if (s)
        s->preliminary = !in->uplink || !in->downlink;
    for (size_t i = 0; err == EPC_OK && i < n; i++) {
        struct pol_line l = line_of(in, i);
        unsigned number = (unsigned)i + 1;
        if (!is_off(&l))
            err = set_component(in, &l, number, &s->component[s->n_components++]);
    }
    /* What was told before and runs no more: removed. Never told: nothing to remove. */
    for (size_t i = 0; err == EPC_OK && i < before; i++) {
        const struct epc_media_component *old = &in->previous->component[i];
        if (old->number == 0 || find(s, old->number))
            continue;
        s->component[s->n_components] = component_of(old->number, old->type);
        s->component[s->n_components++].status = EPC_FLOW_REMOVED;
    }
    if (err != EPC_OK) {
        epc_service_info_free(s);
        return err;
    }
    *out = s;
    return EPC_OK;
}

enum epc_err epc_policy_signalling_info(struct epc_service_info **out)
{
    struct epc_service_info *s = info_new(1);
    if (!s)
        return EPC_ENOMEM;
    s->signalling = true;
    s->n_components = 1;
    s->component[0] = component_of(0, EPC_MEDIA_CONTROL);
    s->component[0].n_flows = 1;
    s->component[0].flow[0] = (struct epc_media_flow){
        .usage = EPC_USAGE_AF_SIGNALLING, .status = EPC_FLOW_STATUS_NONE};
    *out = s;
    return EPC_OK;
}

/* ---- difference ----------------------------------------------------------------------------------------------- */

static const char *codec_data_of(const struct epc_media_component *c, const char *direction)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(c->codec_data); i++)
        if (c->codec_data[i] && strncmp(c->codec_data[i], direction, strlen(direction)) == 0)
            return c->codec_data[i];
    return NULL;
}

static bool same_flow(const struct epc_media_flow *a, const struct epc_media_flow *b)
{
    return a->number == b->number && a->usage == b->usage && a->status == b->status &&
           strcmp(a->uplink, b->uplink) == 0 && strcmp(a->downlink, b->downlink) == 0;
}

static bool same_component(const struct epc_media_component *a, const struct epc_media_component *b)
{
    if (a->type != b->type || a->status != b->status || a->max_ul_bps != b->max_ul_bps ||
        a->max_dl_bps != b->max_dl_bps || a->rr_bps != b->rr_bps || a->rs_bps != b->rs_bps ||
        a->n_flows != b->n_flows)
        return false;
    for (size_t i = 0; i < a->n_flows; i++)
        if (!same_flow(&a->flow[i], &b->flow[i]))
            return false;
    return pol_codec_data_same(codec_data_of(a, "uplink"), codec_data_of(b, "uplink")) &&
           pol_codec_data_same(codec_data_of(a, "downlink"), codec_data_of(b, "downlink"));
}

enum epc_err epc_service_info_diff(const struct epc_service_info *prev, const struct epc_service_info *next,
                                   struct epc_service_info **delta)
{
    struct epc_service_info *d = info_new(next->n_components + (prev ? prev->n_components : 0));
    enum epc_err err = d ? EPC_OK : EPC_ENOMEM;
    if (d) {
        d->preliminary = next->preliminary;
        d->signalling = next->signalling;
        d->several_dialogues = next->several_dialogues;
        d->webrtc = next->webrtc;
        d->why = next->why ? strdup(next->why) : NULL;
        if (next->why && !d->why)
            err = EPC_ENOMEM;
    }
    for (size_t i = 0; err == EPC_OK && i < next->n_components; i++) {
        const struct epc_media_component *c = &next->component[i], *old = find(prev, c->number);
        bool gone = c->status == EPC_FLOW_REMOVED;
        if (gone ? !old || old->status == EPC_FLOW_REMOVED : old && same_component(old, c))
            continue;
        err = pol_component_copy(c, &d->component[d->n_components]);
        if (err == EPC_OK)
            d->n_components++;
    }
    for (size_t i = 0; err == EPC_OK && prev && i < prev->n_components; i++) {
        const struct epc_media_component *old = &prev->component[i];
        if (old->number == 0 || old->status == EPC_FLOW_REMOVED || find(next, old->number))
            continue;
        d->component[d->n_components] = component_of(old->number, old->type);
        d->component[d->n_components++].status = EPC_FLOW_REMOVED;
    }
    if (err != EPC_OK) {
        epc_service_info_free(d);
        return err;
    }
    *delta = d;
    return EPC_OK;
}
