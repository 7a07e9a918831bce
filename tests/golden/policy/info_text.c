#include "info_text.h"

#include <inttypes.h>

static const char *name_of(const char *const *names, size_t n, int v)
{
    return v >= 0 && (size_t)v < n ? names[v] : "-";
}
#define NAME(names, v) name_of(names, EPC_ARRAY_LEN(names), v)

static const char *const media_types[] = {"AUDIO", "VIDEO", "DATA", "APPLICATION", "CONTROL", "TEXT", "MESSAGE"};
static const char *const statuses[] = {"ENABLED-UPLINK", "ENABLED-DOWNLINK", "ENABLED", "DISABLED", "REMOVED"};
static const char *const candidate_types[] = {"host", "srflx", "prflx", "relay"};

static void number(struct epc_buf *out, const char *name, int64_t v)
{
    if (v >= 0)
        epc_buf_printf(out, "  %s %" PRId64 "\n", name, v);
}

static void address(struct epc_buf *out, const char *name, const struct epc_addr *a)
{
    char text[EPC_ADDR_LEN];
    if (a->len)
        epc_buf_printf(out, "  WebRTC %s %s\n", name, epc_addr_text(a, text));
}

static void fingerprint(struct epc_buf *out, const char *side, const struct epc_webrtc_fingerprint *f)
{
    if (f->n == 0)
        return;
    epc_buf_printf(out, "  WebRTC %s fingerprint %s ", side, f->hash);
    for (size_t i = 0; i < f->n; i++)
        epc_buf_printf(out, "%02x", f->value[i]);
    epc_buf_printf(out, "\n");
}

static void webrtc(struct epc_buf *out, const struct epc_webrtc_media *w)
{
    char text[EPC_ADDR_LEN];
    if (!w->given)
        return;
    address(out, "AGW access", &w->agw_access);
    address(out, "AGW core", &w->agw_core);
    address(out, "AGW remote", &w->agw_remote);
    if (w->ice_state != EPC_ICE_UNKNOWN)
        epc_buf_printf(out, "  WebRTC ICE state %d\n", (int)w->ice_state);
    if (w->ice_generation)
        epc_buf_printf(out, "  WebRTC ICE generation %u\n", w->ice_generation);
    for (size_t i = 0; i < w->n_candidates; i++)
        epc_buf_printf(out, "  WebRTC %s candidate %s %s protocol %u priority %u\n",
                       w->candidate[i].remote ? "WIC" : "AGW", NAME(candidate_types, (int)w->candidate[i].type),
                       epc_addr_text(&w->candidate[i].addr, text), w->candidate[i].protocol,
                       w->candidate[i].priority);
    fingerprint(out, "WIC", &w->wic);
    fingerprint(out, "AGW", &w->agw);
    if (w->dtls_role >= 0)
        epc_buf_printf(out, "  WebRTC DTLS role of the AGW %s\n", w->dtls_role ? "active" : "passive");
    if (w->srtp_profile)
        epc_buf_printf(out, "  WebRTC SRTP profile %u\n", w->srtp_profile);
    epc_buf_printf(out, "  WebRTC flags 0x%x\n", w->mux_flags);
    if (w->bundle_tag)
        epc_buf_printf(out, "  WebRTC BUNDLE tag %u\n", w->bundle_tag);
    if (w->sctp_port)
        epc_buf_printf(out, "  WebRTC SCTP port %u, messages of %" PRIu64 ", streams %u\n", w->sctp_port,
                       w->max_message_size, w->max_streams);
    for (size_t i = 0; i < w->n_channels; i++)
        epc_buf_printf(out, "  WebRTC channel %u \"%s\" \"%s\" ordered %d retransmits %d\n", w->channel[i].stream,
                       w->channel[i].label, w->channel[i].subprotocol, w->channel[i].ordered,
                       w->channel[i].max_retransmits);
}

static void codec_text(struct epc_buf *out, const char *text, bool whole)
{
    struct epc_str rest = epc_str_c(text);
    if (!whole) {
        struct epc_str direction = epc_str_cut(&rest, '\n'), role = epc_str_cut(&rest, '\n');
        epc_buf_printf(out, "  Codec-Data %.*s %.*s\n", EPC_STR_ARG(direction), EPC_STR_ARG(role));
        return;
    }
    epc_buf_printf(out, "  Codec-Data\n");
    while (rest.p) {
        struct epc_str line = epc_str_cut(&rest, '\n');
        epc_buf_printf(out, "    | %.*s\n", EPC_STR_ARG(line));
    }
}

static void component(struct epc_buf *out, const struct epc_media_component *c, bool codec_data)
{
    epc_buf_printf(out, "component %u", c->number);
    if (c->status != EPC_FLOW_REMOVED)
        epc_buf_printf(out, " %s", NAME(media_types, (int)c->type));
    epc_buf_printf(out, " %s\n", NAME(statuses, (int)c->status));
    number(out, "Max-Requested-Bandwidth-UL", c->max_ul_bps);
    number(out, "Max-Requested-Bandwidth-DL", c->max_dl_bps);
    number(out, "RR-Bandwidth", c->rr_bps);
    number(out, "RS-Bandwidth", c->rs_bps);
    for (size_t i = 0; i < c->n_flows; i++) {
        const struct epc_media_flow *f = &c->flow[i];
        epc_buf_printf(out, "  flow %u%s", f->number, f->usage == EPC_USAGE_RTCP ? " RTCP" : "");
        if (f->status != EPC_FLOW_STATUS_NONE)
            epc_buf_printf(out, " %s", NAME(statuses, (int)f->status));
        epc_buf_printf(out, "\n");
        if (f->uplink[0])
            epc_buf_printf(out, "    %s\n", f->uplink);
        if (f->downlink[0])
            epc_buf_printf(out, "    %s\n", f->downlink);
    }
    for (size_t i = 0; i < EPC_ARRAY_LEN(c->codec_data); i++)
        if (c->codec_data[i])
            codec_text(out, c->codec_data[i], codec_data);
    webrtc(out, &c->webrtc);
}

void info_text(const struct epc_service_info *s, bool codec_data, struct epc_buf *out)
{
    epc_buf_printf(out, "%s%s\n", s->preliminary ? "preliminary" : "final",
                   s->several_dialogues ? ", several dialogues" : "");
    if (s->webrtc.agw_identity[0] || s->webrtc.ice_mode >= 0)
        epc_buf_printf(out, "AGW %s context %s ICE %s client %s\n", s->webrtc.agw_identity, s->webrtc.agw_context,
                       s->webrtc.ice_mode == 0 ? "full" : "lite", s->webrtc.client_origin);
    for (size_t i = 0; i < s->n_components; i++)
        component(out, &s->component[i], codec_data);
    if (s->n_components == 0)
        epc_buf_printf(out, "nothing\n");
}
