/* WebRTC information of a component (TS 23.228 U.2.2): what the SDP of both sides and the gateway say that
 * Rx has no AVP for. Never a password or a key. */
#include "policy/policy_priv.h"

#include <inttypes.h>
#include <string.h>

/* ---- candidates ---------------------------------------------------------------------------------------- */

static enum epc_candidate_type candidate_type(struct epc_str typ)
{
    if (epc_str_eqc(typ, "srflx"))
        return EPC_CAND_SRFLX;
    if (epc_str_eqc(typ, "prflx"))
        return EPC_CAND_PRFLX;
    return epc_str_eqc(typ, "relay") ? EPC_CAND_RELAY : EPC_CAND_HOST;
}

/* The UE's address in the IP-CAN is no secret: it is the key of the Rx session. */
static bool may_be_told(const struct epc_policy_input *in, const struct pol_line *l, const struct epc_addr *a)
{
    return !in->cfg->privacy || !pol_private(a) || epc_addr_same_ip(a, &l->ue);
}

static bool same_end(const struct epc_addr *a, const struct epc_addr *b)
{
    if (!a->len || !b->len)
        return a->len == b->len;
    return epc_addr_same_ip(a, b) && epc_addr_port(a) == epc_addr_port(b);
}

static void add_candidate(struct epc_webrtc_media *w, const struct epc_webrtc_candidate *c)
{
    for (size_t i = 0; i < w->n_candidates; i++)
        if (w->candidate[i].remote == c->remote && same_end(&w->candidate[i].addr, &c->addr))
            return;
    if (w->n_candidates < EPC_WEBRTC_MAX_CANDIDATES)
        w->candidate[w->n_candidates++] = *c;
}

/* Those of one side, first component. @p only: none but the one with that address, or NULL. */
static bool add_candidates(const struct epc_policy_input *in, const struct pol_line *l,
                           const struct epc_sdp_media *m, const struct epc_addr *only, struct epc_webrtc_media *w)
{
    bool found = false;
    for (size_t i = 0; m && i < m->n_candidate; i++) {
        const struct epc_sdp_candidate *from = &m->candidate[i];
        struct epc_webrtc_candidate c = {.type = candidate_type(from->typ),
                                         .protocol = epc_str_ieqc(from->transport, "tcp") ? 6 : 17,
                                         .priority = from->priority,
                                         .remote = m == l->up};
        if (from->component != 1 || !pol_literal(from->address, from->port, &c.addr) ||
            !may_be_told(in, l, &c.addr) || (only && !same_end(only, &c.addr)))
            continue;
        add_candidate(w, &c);
        found = true;
    }
    return found;
}

/* The one in use first, then the others, the WIC's before the gateway's. */
static void candidates(const struct epc_policy_input *in, const struct pol_line *l, struct epc_webrtc_media *w)
{
    if (l->learned && may_be_told(in, l, l->learned) && !add_candidates(in, l, l->up, l->learned, w)) {
        struct epc_webrtc_candidate c = {.type = EPC_CAND_PRFLX, .addr = *l->learned, .remote = true,
                                         .protocol = pol_protocol(l)};
        add_candidate(w, &c);
    }
    add_candidates(in, l, l->up, NULL, w);
    add_candidates(in, l, l->down, NULL, w);
}

/* ---- DTLS ---------------------------------------------------------------------------------------------- */

static bool hex(char c, unsigned *v)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;
    if (!at || (unsigned char)c < '0')
        return false;
    *v = (unsigned)(at - digits);
    return true;
}

static void fingerprint(const struct epc_sdp_media *m, struct epc_webrtc_fingerprint *out)
{
    if (!m || m->n_fingerprint == 0)
        return;
    const struct epc_sdp_fingerprint *f = &m->fingerprint[0];
    struct epc_webrtc_fingerprint g = {.n = 0};
    if (f->hash.n == 0 || f->hash.n >= sizeof g.hash)
        return;
    for (size_t i = 0; i < f->hash.n; i++) /* a token (RFC 8122 5) */
        if (f->hash.p[i] <= ' ' || f->hash.p[i] > '~')
            return;
    memcpy(g.hash, f->hash.p, f->hash.n);
    for (size_t i = 0; i < f->value.n; i += 3) {
        unsigned high, low;
        if (i + 2 > f->value.n || g.n == sizeof g.value || !hex(f->value.p[i], &high) ||
            !hex(f->value.p[i + 1], &low) || (i + 2 < f->value.n && f->value.p[i + 2] != ':'))
            return;
        g.value[g.n++] = (uint8_t)(high << 4 | low);
    }
    *out = g;
}

/* The gateway's part in the DTLS association (RFC 8842 5): 0 passive, 1 active, -1 not settled. */
static int dtls_role(const struct pol_line *l)
{
    if (!l->answer)
        return -1;
    bool by_gateway = l->answer == l->down;
    if (l->answer->setup == EPC_SETUP_ACTIVE)
        return by_gateway ? 1 : 0;
    if (l->answer->setup == EPC_SETUP_PASSIVE)
        return by_gateway ? 0 : 1;
    return -1;
}

/* ---- what is agreed --------------------------------------------------------------------------------------- */

/* Of one side; a side that is not known yet objects to nothing. */
static bool feedback(const struct epc_sdp_media *m, const char *value)
{
    for (size_t i = 0; m && i < m->n_codec; i++)
        for (size_t k = 0; k < m->codec[i].n_fb; k++)
            if (epc_str_eqc(m->codec[i].fb[k], value))
                return true;
    return !m;
}

static const struct epc_sdp_attr *attribute(const struct epc_sdp_media *m, const char *name)
{
    for (size_t i = 0; m && i < m->n_attr; i++)
        if (epc_str_eqc(m->attr[i].name, name))
            return &m->attr[i];
    return NULL;
}

static uint32_t mux_flags(const struct epc_policy_input *in, const struct pol_line *l)
{
    const struct epc_sdp_media *up = l->up, *down = l->down;
    bool fec = pol_has_codec(l, "ulpfec") || pol_has_codec(l, "flexfec") || pol_has_codec(l, "flexfec-03") ||
               pol_has_codec(l, "red");
    bool transcoded = in->gateway && l->number <= in->gateway->n_media && in->gateway->media[l->number - 1].transcoded;
    const struct {
        bool on;
        uint32_t bit;
    } flags[] = {
        {(!up || up->rtcp_mux) && (!down || down->rtcp_mux), EPC_MUX_RTCP},
        {(!up || up->rtcp_rsize) && (!down || down->rtcp_rsize), EPC_MUX_RTCP_RSIZE},
        {l->tag != 0, EPC_MUX_BUNDLED},
        {up && up->bundle_only, EPC_MUX_BUNDLE_ONLY},
        {(!up || attribute(up, "simulcast")) && (!down || attribute(down, "simulcast")), EPC_MUX_SIMULCAST},
        {pol_has_codec(l, "rtx"), EPC_MUX_RTX},
        {fec, EPC_MUX_FEC},
        {feedback(up, "transport-cc") && feedback(down, "transport-cc"), EPC_MUX_TRANSPORT_CC},
        {feedback(up, "goog-remb") && feedback(down, "goog-remb"), EPC_MUX_REMB},
        {pol_relayed(in, l), EPC_MUX_RELAYED},
        {transcoded, EPC_MUX_TRANSCODED},
    };
    uint32_t v = 0;
    for (size_t i = 0; i < EPC_ARRAY_LEN(flags); i++)
        if (flags[i].on)
            v |= flags[i].bit;
    return v;
}

/* ---- data channels ------------------------------------------------------------------------------------------ */

/* Cut to size. Other than plain ASCII becomes '?': the AVPs are UTF8String, and the text is the WIC's. */
static void copy_text(char *to, size_t size, struct epc_str from)
{
    if (from.n >= 2 && from.p[0] == '"' && from.p[from.n - 1] == '"')
        from = (struct epc_str){from.p + 1, from.n - 2};
    size_t n = from.n < size - 1 ? from.n : size - 1;
    for (size_t i = 0; i < n; i++)
        to[i] = from.p[i] < ' ' || from.p[i] > '~' ? '?' : from.p[i];
    to[n] = 0;
}

/* a=dcmap:2 subprotocol="msrp";label="chat";ordered=false;max-retr=3 (RFC 8864 5.1). Quoted text with a
 * semicolon in it is cut there. */
static void channel(struct epc_str v, struct epc_webrtc_media *w)
{
    struct epc_webrtc_channel ch = {.ordered = true, .max_retransmits = -1};
    uint64_t n;
    v = epc_str_trim(v);
    if (epc_str_u64(epc_str_cut(&v, ' '), 65535, &n) != EPC_OK || w->n_channels == EPC_WEBRTC_MAX_CHANNELS)
        return;
    ch.stream = (uint32_t)n;
    while (v.p) {
        struct epc_str value = epc_str_trim(epc_str_cut(&v, ';')), name = epc_str_cut(&value, '=');
        if (epc_str_eqc(name, "label"))
            copy_text(ch.label, sizeof ch.label, value);
        else if (epc_str_eqc(name, "subprotocol"))
            copy_text(ch.subprotocol, sizeof ch.subprotocol, value);
        else if (epc_str_eqc(name, "ordered"))
            ch.ordered = !epc_str_eqc(value, "false");
        else if (epc_str_eqc(name, "max-retr") && epc_str_u64(value, INT32_MAX, &n) == EPC_OK)
            ch.max_retransmits = (int32_t)n;
    }
    w->channel[w->n_channels++] = ch;
}

static void data_channel(const struct pol_line *l, struct epc_webrtc_media *w)
{
    const struct epc_sdp_media *m = l->up ? l->up : l->down;
    const struct epc_sdp_attr *map = attribute(m, "sctpmap");
    w->sctp_port = m->sctp_port;
    w->max_message_size = m->max_message_size;
    if (map) { /* the form before RFC 8841: a=sctpmap:5000 webrtc-datachannel 1024 */
        struct epc_str v = epc_str_trim(map->value), port = epc_str_cut(&v, ' ');
        uint64_t n;
        epc_str_cut(&v, ' ');
        if (epc_str_u64(v, 65535, &n) == EPC_OK)
            w->max_streams = (uint32_t)n;
        if (!w->sctp_port && epc_str_u64(port, 65535, &n) == EPC_OK)
            w->sctp_port = (uint32_t)n;
    }
    for (size_t i = 0; w->sctp_port && i < m->n_attr; i++)
        if (epc_str_eqc(m->attr[i].name, "dcmap"))
            channel(m->attr[i].value, w);
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static void explain(const struct pol_line *l, const struct epc_webrtc_media *w)
{
    char a[EPC_ADDR_LEN];
    if (!l->why)
        return;
    if (w->agw_access.len)
        pol_why(l, "WebRTC AGW-Access-Address=%s <- the gateway's m= and c= line, downlink", epc_addr_text(&w->agw_access, a));
    if (w->agw_core.len)
        pol_why(l, "WebRTC AGW-Core-Address=%s <- gateway", epc_addr_text(&w->agw_core, a));
    if (w->agw_remote.len)
        pol_why(l, "WebRTC AGW-Remote-Address=%s <- gateway, as learned", epc_addr_text(&w->agw_remote, a));
    if (w->ice_state != EPC_ICE_UNKNOWN)
        pol_why(l, "WebRTC ICE-State=%d <- gateway", (int)w->ice_state);
    if (w->ice_generation)
        pol_why(l, "WebRTC ICE-Generation=%" PRIu32 " <- ICE restarts of the WIC", w->ice_generation);
    for (size_t i = 0; i < w->n_candidates; i++)
        pol_why(l, "WebRTC ICE-Candidate=%s <- %s a=candidate, or learned", epc_addr_text(&w->candidate[i].addr, a),
                w->candidate[i].remote ? "uplink" : "downlink");
    if (w->wic.n)
        pol_why(l, "WebRTC DTLS-Fingerprint=%s <- uplink a=fingerprint", w->wic.hash);
    if (w->agw.n)
        pol_why(l, "WebRTC DTLS-Fingerprint=%s <- downlink a=fingerprint", w->agw.hash);
    if (w->dtls_role >= 0)
        pol_why(l, "WebRTC DTLS-Role=%d <- a=setup of the answer", w->dtls_role);
    if (w->srtp_profile)
        pol_why(l, "WebRTC SRTP-Profile=%" PRIu32 " <- gateway", w->srtp_profile);
    pol_why(l, "WebRTC Media-Mux-Flags=0x%" PRIx32 " <- attributes that both sides have", w->mux_flags);
    if (w->bundle_tag)
        pol_why(l, "WebRTC Bundle-Tag-Component=%" PRIu32 " <- a=group:BUNDLE of the answer", w->bundle_tag);
    if (w->sctp_port)
        pol_why(l, "WebRTC SCTP-Port=%" PRIu32 " <- a=sctp-port", w->sctp_port);
}

void pol_webrtc(const struct epc_policy_input *in, const struct pol_line *l, struct epc_webrtc_media *w)
{
    const struct epc_policy_gateway *g = in->gateway;
    const struct epc_sdp_media *m = l->up ? l->up : l->down;
    *w = (struct epc_webrtc_media){.ice_state = EPC_ICE_UNKNOWN, .dtls_role = -1, .bundle_tag = l->tag};
    w->given = m->n_fingerprint > 0 || m->ice_ufrag.n > 0 || (g && l->number <= g->n_media);
    if (!w->given)
        return;
    if (l->down && l->down->port && l->down->port != 9 &&
        !pol_literal(l->down->c_addr, l->down->port, &w->agw_access))
        w->agw_access.len = 0;
    if (l->learned)
        w->agw_remote = *l->learned;
    if (g && l->number <= g->n_media) {
        w->agw_core = g->media[l->number - 1].core;
        w->ice_state = g->media[l->number - 1].ice_state;
        w->srtp_profile = g->media[l->number - 1].srtp_profile;
    }
    w->ice_generation = g ? g->ice_generation : 0;
    candidates(in, l, w);
    fingerprint(l->up, &w->wic);
    fingerprint(l->down, &w->agw);
    w->dtls_role = dtls_role(l);
    w->mux_flags = mux_flags(in, l);
    data_channel(l, w);
    explain(l, w);
}

/* ---- the same? ------------------------------------------------------------------------------------------------ */

static bool same_fingerprint(const struct epc_webrtc_fingerprint *a, const struct epc_webrtc_fingerprint *b)
{
    return strcmp(a->hash, b->hash) == 0 && a->n == b->n && memcmp(a->value, b->value, a->n) == 0;
}

static bool same_lists(const struct epc_webrtc_media *a, const struct epc_webrtc_media *b)
{
    if (a->n_candidates != b->n_candidates || a->n_channels != b->n_channels)
        return false;
    for (size_t i = 0; i < a->n_candidates; i++) {
        const struct epc_webrtc_candidate *x = &a->candidate[i], *y = &b->candidate[i];
        if (x->type != y->type || x->protocol != y->protocol || x->priority != y->priority ||
            x->remote != y->remote || !same_end(&x->addr, &y->addr))
            return false;
    }
    for (size_t i = 0; i < a->n_channels; i++) {
        const struct epc_webrtc_channel *x = &a->channel[i], *y = &b->channel[i];
        if (x->stream != y->stream || x->ordered != y->ordered || x->max_retransmits != y->max_retransmits ||
            strcmp(x->label, y->label) != 0 || strcmp(x->subprotocol, y->subprotocol) != 0)
            return false;
    }
    return true;
}

bool pol_webrtc_same(const struct epc_webrtc_media *a, const struct epc_webrtc_media *b)
{
    if (!a->given || !b->given)
        return a->given == b->given;
    return same_end(&a->agw_access, &b->agw_access) && same_end(&a->agw_core, &b->agw_core) &&
           same_end(&a->agw_remote, &b->agw_remote) && a->ice_state == b->ice_state &&
           a->ice_generation == b->ice_generation && same_fingerprint(&a->wic, &b->wic) &&
           same_fingerprint(&a->agw, &b->agw) && a->dtls_role == b->dtls_role &&
           a->srtp_profile == b->srtp_profile && a->mux_flags == b->mux_flags && a->bundle_tag == b->bundle_tag &&
           a->sctp_port == b->sctp_port && a->max_message_size == b->max_message_size &&
           a->max_streams == b->max_streams && same_lists(a, b);
}
