/* One m-line to one Media-Component-Description (TS 29.213 6.2, TS 29.214 5.3.16 and Annex B). */
#include "policy/policy_priv.h"

#include <string.h>

static const struct epc_sdp_media *either(const struct pol_line *l)
{
    return l->up ? l->up : l->down;
}

static void m_line(const struct pol_line *l, const struct epc_sdp_media *m, char out[POL_SHOWN_LEN])
{
    struct epc_buf b = {0};
    epc_buf_printf(&b, "m=%.*s %u %.*s", EPC_STR_ARG(m->type), m->port, EPC_STR_ARG(m->proto));
    for (size_t i = 0; i < m->n_fmt; i++)
        epc_buf_printf(&b, " %.*s", EPC_STR_ARG(m->fmt[i]));
    pol_shown(epc_str_c(b.p), out);
    l->why->failed = l->why->failed || b.failed;
    epc_buf_free(&b);
}

/* ---- Media-Type, Flow-Status ----------------------------------------------------------------------------- */

static enum epc_media_type media_type(const struct pol_line *l)
{
    static const struct {
        const char *name;
        enum epc_media_type type;
    } types[] = {
        {"audio", EPC_MEDIA_AUDIO},     {"video", EPC_MEDIA_VIDEO}, {"data", EPC_MEDIA_DATA},
        {"control", EPC_MEDIA_CONTROL}, {"text", EPC_MEDIA_TEXT},   {"message", EPC_MEDIA_MESSAGE},
        {"application", EPC_MEDIA_APPLICATION},
    };
    const struct epc_sdp_media *m = either(l);
    enum epc_media_type t = EPC_MEDIA_OTHER;
    char line[POL_SHOWN_LEN];
    for (size_t i = 0; i < EPC_ARRAY_LEN(types); i++)
        if (epc_str_eqc(m->type, types[i].name))
            t = types[i].type;
    if (l->why) {
        m_line(l, m, line);
        pol_why(l, "Media-Component-Number=%u <- %s \"%s\", m-line %u (TS 29.214 5.3.17)", l->number, pol_side(l, m),
                line, l->number);
        pol_why(l, "Media-Type=%s <- %s \"%s\" (TS 29.214 5.3.19)", pol_media_type_name(t), pol_side(l, m), line);
    }
    return t;
}

static const char *direction_name(enum epc_sdp_dir d)
{
    static const char *const names[] = {"sendrecv", "sendonly", "recvonly", "inactive"};
    return (unsigned)d < EPC_ARRAY_LEN(names) ? names[d] : "";
}

/* The offer's "inactive" wins, else the answer's direction counts. */
static enum epc_flow_status by_direction(const struct pol_line *l)
{
    const struct epc_sdp_media *offer = l->answer == l->up ? l->down : l->up;
    const struct epc_sdp_media *m = l->answer ? l->answer : either(l);
    if (l->answer && offer && offer->dir == EPC_SDP_INACTIVE)
        m = offer;
    bool from_ue = m == l->up;
    enum epc_flow_status s = EPC_FLOW_ENABLED;
    if (m->dir == EPC_SDP_INACTIVE)
        s = EPC_FLOW_DISABLED;
    else if (m->dir != EPC_SDP_SENDRECV)
        s = (m->dir == EPC_SDP_SENDONLY) == from_ue ? EPC_FLOW_ENABLED_UPLINK : EPC_FLOW_ENABLED_DOWNLINK;
    pol_why(l, "Flow-Status=%s <- %s \"a=%s\" (TS 29.213 6.2)", pol_flow_status_name(s), pol_side(l, m),
            direction_name(m->dir));
    return s;
}

static bool is_rtp(const struct pol_line *l)
{
    static const char rtp[] = "RTP/";
    struct epc_str proto = either(l)->proto;
    return memmem(proto.p, proto.n, rtp, sizeof rtp - 1) != NULL;
}

/* RTCP shares the port: gating the flow would gate RTCP too. */
static bool muxed(const struct pol_line *l)
{
    return is_rtp(l) && (!l->up || l->up->rtcp_mux) && (!l->down || l->down->rtcp_mux);
}

static enum epc_flow_status flow_status(const struct pol_line *l)
{
    const char *why = muxed(l) ? "a=rtcp-mux: RTP and RTCP on one flow"
                    : !is_rtp(l) ? "one flow, not RTP"
                    : pol_protocol(l) == 6 ? "TCP" : NULL;
    if (!why)
        return by_direction(l);
    pol_why(l, "Flow-Status=ENABLED <- %s, whatever the direction (TS 29.213 6.2)", why);
    return EPC_FLOW_ENABLED;
}

/* ---- Media-Sub-Components -------------------------------------------------------------------------------------- */

static const struct epc_media_flow *flow_of(const struct epc_media_component *c, enum epc_flow_usage usage)
{
    for (size_t i = 0; c && i < c->n_flows; i++)
        if (c->flow[i].usage == usage && c->flow[i].status != EPC_FLOW_REMOVED)
            return &c->flow[i];
    return NULL;
}

/* Numbers go by the UE's port, once and for all; what comes later gets the next one (Annex B). */
static void set_numbers(const struct pol_line *l, const struct epc_media_component *before,
                        struct epc_media_flow *rtp, struct epc_media_flow *rtcp)
{
    const struct epc_media_flow *old_rtp = flow_of(before, EPC_USAGE_NONE);
    const struct epc_media_flow *old_rtcp = flow_of(before, EPC_USAGE_RTCP);
    uint16_t rtp_port = pol_ue_port(l, false), rtcp_port = rtcp ? pol_ue_port(l, true) : 0;
    rtp->number = old_rtp ? old_rtp->number : rtcp_port && rtcp_port < rtp_port ? 2 : 1;
    if (rtcp && old_rtcp)
        rtcp->number = old_rtcp->number;
    else if (rtcp)
        rtcp->number = rtp->number == 2 && !old_rtp ? 1 : rtp->number + 1;
}

static void add_flow(const struct pol_line *l, const struct epc_media_component *before,
                     const struct epc_media_flow *f, struct epc_media_component *c)
{
    bool rtcp = f->usage == EPC_USAGE_RTCP;
    c->flow[c->n_flows++] = *f;
    pol_why(l, "Flow-Number=%u%s <- %s; %s (TS 29.214 Annex B)", f->number, rtcp ? " Flow-Usage=RTCP" : "",
            rtcp ? "RTCP without a=rtcp-mux" : "RTP, or the only flow",
            flow_of(before, f->usage) ? "as before" : "by rising port of the UE, a later flow after the earlier");
}

/* RTCP had a flow of its own and has none any more. */
static void end_rtcp(const struct pol_line *l, const struct epc_media_component *before, struct epc_media_component *c)
{
    const struct epc_media_flow *old = flow_of(before, EPC_USAGE_RTCP);
    if (!old)
        return;
    c->flow[c->n_flows++] = (struct epc_media_flow){.number = old->number, .usage = EPC_USAGE_RTCP,
                                                    .status = EPC_FLOW_REMOVED};
    pol_why(l, "Flow-Number=%u Flow-Status=REMOVED <- RTCP now on RTP's flow (TS 29.214 5.3.11)", old->number);
}

static void set_flows(const struct epc_policy_input *in, const struct pol_line *l,
                      const struct epc_media_component *before, struct epc_media_component *c)
{
    struct epc_media_flow rtp = {.status = EPC_FLOW_STATUS_NONE};
    struct epc_media_flow rtcp = {.usage = EPC_USAGE_RTCP, .status = EPC_FLOW_STATUS_NONE};
    struct pol_line shared = l->transport ? *l->transport : *l;
    bool two = is_rtp(l) && !muxed(l);
    shared.number = l->number;
    if (in->cfg->bundle == EPC_BUNDLE_MERGE && l->transport) {
        pol_why(l, "no Media-Sub-Component <- on the flow of component %u, policy.bundle=merge (TS 29.214 5.3.16)",
                l->tag);
        return;
    }
    set_numbers(l, before, &rtp, two ? &rtcp : NULL);
    pol_filters(in, &shared, false, &rtp);
    if (rtp.uplink[0] || two) /* nothing known: nothing to describe yet */
        add_flow(l, before, &rtp, c);
    if (two)
        pol_filters(in, &shared, true, &rtcp);
    if (two && !(rtcp.uplink[0] && strcmp(rtcp.uplink, rtp.uplink) == 0)) /* a TURN server has one port for both */
        add_flow(l, before, &rtcp, c);
    else
        end_rtcp(l, before, c);
}

/* ---- the whole component ---------------------------------------------------------------------------------------- */

static enum epc_err set_codec_data(const struct pol_line *l, bool uplink_is_offer, struct epc_media_component *c)
{
    size_t n = 0;
    for (int k = 0; k < 2; k++) { /* the offer, then the answer */
        bool uplink = (k == 0) == uplink_is_offer;
        const struct epc_sdp_media *m = uplink ? l->up : l->down;
        if (!m)
            continue;
        c->codec_data[n] = pol_codec_data(m, uplink, k == 0);
        if (!c->codec_data[n++])
            return EPC_ENOMEM;
        pol_why(l, "Codec-Data=\"%s %s\" <- the m-line %s, without ICE, DTLS and sources (TS 29.214 5.3.7)",
                uplink ? "uplink" : "downlink", k == 0 ? "offer" : "answer", pol_side(l, m));
    }
    return EPC_OK;
}

enum epc_err pol_component(const struct epc_policy_input *in, const struct pol_line *l,
                           const struct epc_media_component *before, struct epc_media_component *c)
{
    *c = pol_component_of(l->number, media_type(l));
    c->status = flow_status(l);
    c->max_ul_bps = pol_max_bps(in, l, true, c->type, muxed(l));
    c->max_dl_bps = pol_max_bps(in, l, false, c->type, muxed(l));
    c->rr_bps = pol_rtcp_bps(l, false);
    c->rs_bps = pol_rtcp_bps(l, true);
    set_flows(in, l, before, c);
    pol_webrtc(in, l, &c->webrtc);
    return set_codec_data(l, in->uplink_is_offer, c);
}
