/* What we send: each leg's SDP is built from the other leg's `remote` (codecs, direction, bandwidth),
 * the gateway's own description for this leg (transport) and this leg's own past (kind, mid, o=). */
#include "sdp/iw_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- shared writers ----------------------------------------------------------------------------------- */

void iw_put_media(struct epc_buf *b, struct epc_str type, unsigned port, struct epc_str proto)
{
    epc_buf_printf(b, "m=%.*s %u %.*s", EPC_STR_ARG(type), port, EPC_STR_ARG(proto));
}

void iw_put_formats(struct epc_buf *b, const struct iw_codecs *codecs)
{
    for (size_t i = 0; i < codecs->n; i++)
        epc_buf_printf(b, " %u", codecs->c[i].pt);
    epc_buf_adds(b, "\r\n");
}

void iw_put_codecs(struct epc_buf *b, const struct iw_codecs *codecs)
{
    for (size_t i = 0; i < codecs->n; i++) {
        const struct epc_sdp_codec *c = &codecs->c[i];
        epc_buf_printf(b, "a=rtpmap:%u %.*s/%" PRIu32, c->pt, EPC_STR_ARG(c->name), c->clock_hz);
        if (c->channels > 1)
            epc_buf_printf(b, "/%u", c->channels);
        epc_buf_adds(b, "\r\n");
        if (c->fmtp.n)
            epc_buf_printf(b, "a=fmtp:%u %.*s\r\n", c->pt, EPC_STR_ARG(c->fmtp));
    }
}

void iw_put_times(struct epc_buf *b, const struct epc_sdp_media *m)
{
    if (m->ptime_ms)
        epc_buf_printf(b, "a=ptime:%" PRIu32 "\r\n", m->ptime_ms);
    if (m->maxptime_ms)
        epc_buf_printf(b, "a=maxptime:%" PRIu32 "\r\n", m->maxptime_ms);
}

static bool is_ip6(struct epc_str addr)
{
    return memchr(addr.p, ':', addr.n) != NULL;
}

void iw_put_connection(struct epc_buf *b, struct epc_str addr)
{
    epc_buf_printf(b, "c=IN %s %.*s\r\n", is_ip6(addr) ? "IP6" : "IP4", EPC_STR_ARG(addr));
}

void iw_put_candidate(struct epc_buf *b, const struct epc_sdp_candidate *c)
{
    epc_buf_printf(b, "a=candidate:%.*s %u %.*s %" PRIu32 " %.*s %u typ %.*s", EPC_STR_ARG(c->foundation),
                   c->component, EPC_STR_ARG(c->transport), c->priority, EPC_STR_ARG(c->address), c->port,
                   EPC_STR_ARG(c->typ));
    if (iw_addr_usable(c->raddr))
        epc_buf_printf(b, " raddr %.*s rport %u", EPC_STR_ARG(c->raddr), c->rport);
    epc_buf_adds(b, "\r\n");
}

uint64_t iw_bandwidth(const struct epc_sdp_media *m, const char *type, uint64_t otherwise)
{
    uint64_t most = strcmp(type, "AS") == 0 ? UINT32_MAX / 1000 : UINT32_MAX;
    for (size_t i = 0; i < m->n_bw; i++)
        if (epc_str_eqc(m->bw[i].type, type))
            return m->bw[i].value < most ? m->bw[i].value : most;
    return otherwise;
}

/* ---- pieces -------------------------------------------------------------------------------------------- */

struct sender {
    const struct epc_iw *w;
    const struct iw_exchange *x;
    enum epc_sdp_leg leg;
    bool is_offer;
    const struct epc_sdp *local;
    struct epc_cause *cause;
    struct epc_str o_addr; /* first address that we name */
};

static const struct epc_sdp_media *source_line(const struct sender *s, size_t stream)
{
    return &s->x->remote[iw_other(s->leg)]->media[stream];
}

/* What the leg is to get: with the codecs that the gateway makes, if it makes any. */
static const struct epc_sdp_media *codec_line(const struct sender *s, size_t stream)
{
    const struct epc_sdp *want = s->x->want[s->leg];
    return want && stream < want->n_media ? &want->media[stream] : source_line(s, stream);
}

static bool runs(const struct sender *s, size_t stream)
{
    return source_line(s, stream)->port && s->local->media[stream].port;
}

static const struct epc_sdp_media *committed_line(const struct sender *s, size_t stream)
{
    const struct iw_exchange *c = &s->w->committed;
    if (!s->w->have_committed)
        return NULL;
    const struct epc_sdp_media *m = iw_line(c, c->recv[s->leg], s->leg, stream);
    return m ? m : iw_line(c, c->sent[s->leg], s->leg, stream);
}

/* Direction and formats travel; numbers of an m-line that does not run keep its place. */
static void put_refused(const struct sender *s, size_t stream, struct epc_buf *b)
{
    const struct epc_sdp_media *own = s->is_offer ? committed_line(s, stream)
                                                  : iw_line(s->x, s->x->recv[s->leg], s->leg, stream);
    enum epc_sdp_leg from = iw_other(s->leg);
    const struct epc_sdp_media *far = iw_line(s->x, s->x->recv[from], from, stream);
    struct epc_str type, proto, fmt;
    if (s->is_offer && far && iw_carried(&s->w->policy, from, far)) {
        type = far->type;
        proto = !sdp_proto_is_rtp(far->proto) ? far->proto
                : s->leg == EPC_SDP_WIC       ? EPC_STR("UDP/TLS/RTP/SAVPF")
                                              : EPC_STR("RTP/AVP");
        fmt = far->n_fmt ? far->fmt[0] : EPC_STR("0");
    } else {
        const struct epc_sdp_media *m = own ? own : far;
        type = m ? m->type : EPC_STR("application");
        proto = m ? m->proto : EPC_STR("UDP/DTLS/SCTP");
        fmt = m && m->n_fmt ? m->fmt[0] : EPC_STR("0");
    }
    iw_put_media(b, type, 0, proto);
    epc_buf_printf(b, " %.*s\r\n", EPC_STR_ARG(fmt));
}

/* A name for m-line @p stream towards the WIC: the one that it has, else its number. Numbers step by the
 * largest count of m-lines, so those made here never meet each other. */
static void put_mid(const struct sender *s, size_t stream, bool on, struct epc_buf *b)
{
    const struct iw_exchange *c = &s->w->committed;
    const struct epc_sdp_media *own = iw_line(s->x, s->x->recv[EPC_SDP_WIC], EPC_SDP_WIC, stream);
    if (!s->is_offer) {
        if (own && own->mid.n)
            epc_buf_printf(b, "a=mid:%.*s\r\n", EPC_STR_ARG(own->mid));
        return;
    }
    const struct epc_sdp *past[] = {s->w->have_committed ? c->recv[EPC_SDP_WIC] : NULL,
                                    s->w->have_committed ? c->sent[EPC_SDP_WIC] : NULL};
    struct epc_str mid = EPC_STR_NULL;
    bool was_off = false;
    for (size_t k = 0; k < EPC_ARRAY_LEN(past); k++) {
        if (!past[k] || stream >= past[k]->n_media)
            continue;
        const struct epc_sdp_media *m = &past[k]->media[stream];
        was_off = was_off || m->port == 0;
        if (!mid.n)
            mid = m->mid;
    }
    if (mid.n && !(was_off && on)) { /* a slot that is used again gets a new name, RFC 8829 5.2.2 */
        epc_buf_printf(b, "a=mid:%.*s\r\n", EPC_STR_ARG(mid));
        return;
    }
    for (size_t number = stream;; number += EPC_SDP_MAX_MEDIA) {
        char text[24];
        bool taken = false;
        snprintf(text, sizeof text, "%zu", number);
        for (size_t k = 0; k < EPC_ARRAY_LEN(past); k++)
            for (size_t i = 0; past[k] && i < past[k]->n_media; i++)
                taken = taken || epc_str_eqc(past[k]->media[i].mid, text);
        if (!taken) {
            epc_buf_printf(b, "a=mid:%s\r\n", text);
            return;
        }
    }
}

static enum epc_err gateway_fault(const struct sender *s, size_t stream, const char *what)
{
    epc_cause_set(s->cause, 500, NULL, "gateway's description, stream %zu: %s", stream + 1, what);
    return EPC_EPROTO;
}

static void codecs_of(const struct epc_sdp_media *m, struct iw_codecs *out)
{
    out->n = 0;
    for (size_t i = 0; i < m->n_codec && out->n < IW_MAX_CODECS; i++)
        out->c[out->n++] = m->codec[i];
}

static void put_formats_of(struct epc_buf *b, const struct epc_sdp_media *src, const struct iw_codecs *codecs)
{
    if (sdp_proto_is_rtp(src->proto))
        iw_put_formats(b, codecs);
    else
        epc_buf_printf(b, " %.*s\r\n", EPC_STR_ARG(src->n_fmt ? src->fmt[0] : EPC_STR("0")));
}

static void put_sctp(struct epc_buf *b, const struct epc_sdp_media *local)
{
    if (local->sctp_port)
        epc_buf_printf(b, "a=sctp-port:%" PRIu32 "\r\n", local->sctp_port);
    if (local->max_message_size)
        epc_buf_printf(b, "a=max-message-size:%" PRIu64 "\r\n", local->max_message_size);
}

/* ---- towards the core ----------------------------------------------------------------------------------- */

static void put_core_bandwidth(const struct sender *s, const struct epc_sdp_media *src, struct epc_buf *b)
{
    enum { AUDIO_KBPS = 80, VIDEO_KBPS = 1500 }; /* when the operator gives no figure */
    bool video = epc_str_eqc(src->type, "video");
    uint64_t bps = video ? s->w->policy.video_bw_bps : s->w->policy.audio_bw_bps;
    uint64_t kbps = bps ? (bps + 999) / 1000 : video ? VIDEO_KBPS : AUDIO_KBPS;
    uint64_t tias = iw_bandwidth(src, "TIAS", 0);
    if (tias)
        kbps = (tias + 999) / 1000;
    kbps = iw_bandwidth(src, "AS", kbps);
    epc_buf_printf(b, "b=AS:%" PRIu64 "\r\n", kbps);
    static const char *const rtcp[] = {"RS", "RR"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(rtcp); i++) {
        uint64_t v = iw_bandwidth(src, rtcp[i], UINT64_MAX);
        if (v != UINT64_MAX)
            epc_buf_printf(b, "b=%s:%" PRIu64 "\r\n", rtcp[i], v);
    }
}

static enum epc_err put_core_line(struct sender *s, size_t stream, struct iw_codecs *codecs,
                                  struct epc_buf *b)
{
    const struct epc_sdp_media *src = source_line(s, stream), *local = &s->local->media[stream];
    const struct epc_sdp_media *offered = iw_line(s->x, s->x->recv[EPC_SDP_CORE], EPC_SDP_CORE, stream);
    bool rtp = sdp_proto_is_rtp(src->proto);
    if (!iw_addr_usable(local->c_addr))
        return gateway_fault(s, stream, "no address for the core");
    if (!s->o_addr.p)
        s->o_addr = local->c_addr;
    codecs_of(codec_line(s, stream), codecs);
    iw_put_media(b, src->type, local->port,
                 !s->is_offer && offered ? offered->proto
                 : rtp                   ? EPC_STR("RTP/AVP")
                                         : src->proto);
    put_formats_of(b, src, codecs);
    iw_put_connection(b, local->c_addr);
    if (rtp) {
        put_core_bandwidth(s, src, b);
        if (local->rtcp_port)
            epc_buf_printf(b, "a=rtcp:%u\r\n", local->rtcp_port);
    } else {
        put_sctp(b, local);
    }
    epc_buf_printf(b, "a=%s\r\n", sdp_dir_name(src->dir));
    iw_put_times(b, src);
    iw_put_codecs(b, codecs);
    iw_put_qos(s->w, s->x, stream, b);
    return EPC_OK;
}

/* ---- towards the WIC ------------------------------------------------------------------------------------ */

static bool local_candidate(const struct epc_sdp_candidate *c)
{
    return c->component == 1 && epc_str_ieqc(c->transport, "udp") && c->port && iw_addr_usable(c->address);
}

/* The default destination must be one of the candidates (RFC 8839 4.2.5). */
static bool wic_default(const struct epc_sdp_media *local, struct epc_str *addr, unsigned *port)
{
    const struct epc_sdp_candidate *best = NULL;
    for (size_t i = 0; i < local->n_candidate; i++) {
        const struct epc_sdp_candidate *c = &local->candidate[i];
        if (!local_candidate(c))
            continue;
        if (c->port == local->port && epc_str_eq(c->address, local->c_addr)) {
            best = c;
            break;
        }
        if (!best || c->priority > best->priority)
            best = c;
    }
    *addr = best ? best->address : local->c_addr;
    *port = best ? best->port : local->port;
    return best || iw_addr_usable(local->c_addr);
}

static enum epc_sdp_setup wic_setup(const struct sender *s, size_t stream)
{
    if (s->is_offer)
        return EPC_SETUP_ACTPASS;
    const struct epc_sdp_media *offer = &s->x->recv[EPC_SDP_WIC]->media[stream];
    enum epc_sdp_setup own = s->local->media[stream].setup;
    if (offer->setup == EPC_SETUP_PASSIVE)
        return EPC_SETUP_ACTIVE;
    return offer->setup == EPC_SETUP_ACTPASS && own == EPC_SETUP_ACTIVE ? EPC_SETUP_ACTIVE
                                                                        : EPC_SETUP_PASSIVE;
}

static void put_wic_transport(const struct sender *s, size_t stream, struct epc_str addr, unsigned port,
                              struct epc_buf *b)
{
    const struct epc_sdp_media *local = &s->local->media[stream];
    bool any = false;
    epc_buf_printf(b, "a=ice-ufrag:%.*s\r\na=ice-pwd:%.*s\r\n", EPC_STR_ARG(local->ice_ufrag),
                   EPC_STR_ARG(local->ice_pwd));
    for (size_t i = 0; i < local->n_candidate; i++) {
        if (!local_candidate(&local->candidate[i]))
            continue;
        iw_put_candidate(b, &local->candidate[i]);
        any = true;
    }
    if (!any)
        epc_buf_printf(b, "a=candidate:1 1 udp 2130706431 %.*s %u typ host\r\n", EPC_STR_ARG(addr), port);
    epc_buf_adds(b, "a=end-of-candidates\r\n"); /* the gateway has gathered: it need not trickle */
    for (size_t i = 0; i < local->n_fingerprint; i++)
        epc_buf_printf(b, "a=fingerprint:%.*s %.*s\r\n", EPC_STR_ARG(local->fingerprint[i].hash),
                       EPC_STR_ARG(local->fingerprint[i].value));
    epc_buf_printf(b, "a=setup:%s\r\n", sdp_setup_name(wic_setup(s, stream)));
    if (local->tls_id.n && (s->is_offer || s->x->recv[EPC_SDP_WIC]->media[stream].tls_id.n))
        epc_buf_printf(b, "a=tls-id:%.*s\r\n", EPC_STR_ARG(local->tls_id));
}

/* Picture loss feedback: offered by us, or answered where the WIC offered it for that payload. */
static void put_feedback(const struct sender *s, size_t stream, const struct iw_codecs *codecs,
                         struct epc_buf *b)
{
    static const char *const wanted[] = {"nack pli", "ccm fir"};
    const struct epc_sdp_media *offer = s->is_offer ? NULL : &s->x->recv[EPC_SDP_WIC]->media[stream];
    for (size_t i = 0; i < codecs->n; i++)
        for (size_t k = 0; k < EPC_ARRAY_LEN(wanted); k++) {
            bool want = !offer;
            for (size_t c = 0; offer && c < offer->n_codec; c++)
                for (size_t f = 0; offer->codec[c].pt == codecs->c[i].pt && f < offer->codec[c].n_fb; f++)
                    want = want || epc_str_eqc(offer->codec[c].fb[f], wanted[k]);
            if (want)
                epc_buf_printf(b, "a=rtcp-fb:%u %s\r\n", codecs->c[i].pt, wanted[k]);
        }
}

static enum epc_err put_wic_line(struct sender *s, size_t stream, struct iw_codecs *codecs,
                                 struct epc_buf *b)
{
    const struct epc_sdp_media *src = source_line(s, stream), *local = &s->local->media[stream];
    bool rtp = sdp_proto_is_rtp(src->proto);
    struct epc_str addr;
    unsigned port;
    if (!wic_default(local, &addr, &port))
        return gateway_fault(s, stream, "no address for the WIC");
    if (!local->ice_ufrag.n || !local->ice_pwd.n || !local->n_fingerprint)
        return gateway_fault(s, stream, "no ICE credentials or no DTLS fingerprint");
    if (!s->o_addr.p)
        s->o_addr = addr;
    codecs_of(codec_line(s, stream), codecs);
    iw_put_media(b, src->type, port,
                 !s->is_offer ? s->x->recv[EPC_SDP_WIC]->media[stream].proto
                 : rtp        ? EPC_STR("UDP/TLS/RTP/SAVPF")
                              : src->proto);
    put_formats_of(b, src, codecs);
    iw_put_connection(b, addr);
    static const char *const types[] = {"AS", "TIAS", "RR", "RS"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(types); i++) {
        uint64_t v = iw_bandwidth(src, types[i], UINT64_MAX);
        if (v != UINT64_MAX)
            epc_buf_printf(b, "b=%s:%" PRIu64 "\r\n", types[i], v);
    }
    put_mid(s, stream, true, b);
    if (rtp)
        epc_buf_adds(b, "a=rtcp-mux\r\n");
    else
        put_sctp(b, local);
    put_wic_transport(s, stream, addr, port, b);
    epc_buf_printf(b, "a=%s\r\n", sdp_dir_name(src->dir));
    iw_put_times(b, src);
    iw_put_codecs(b, codecs);
    if (epc_str_eqc(src->type, "video"))
        put_feedback(s, stream, codecs, b);
    return EPC_OK;
}

/* ---- the whole -------------------------------------------------------------------------------------------- */

static enum epc_err put_line(struct sender *s, size_t stream, struct iw_codecs *codecs, struct epc_buf *b)
{
    bool on = runs(s, stream);
    if (on)
        return s->leg == EPC_SDP_WIC ? put_wic_line(s, stream, codecs, b)
                                     : put_core_line(s, stream, codecs, b);
    put_refused(s, stream, b);
    if (s->leg == EPC_SDP_WIC)
        put_mid(s, stream, false, b);
    return EPC_OK;
}

static enum epc_err put_body(struct sender *s, struct epc_buf *b)
{
    const struct iw_exchange *x = s->x;
    enum epc_err err = EPC_OK;
    struct iw_codecs *codecs = malloc(sizeof *codecs);
    if (!codecs)
        return EPC_ENOMEM;
    epc_buf_adds(b, "s=-\r\nt=0 0\r\n");
    for (size_t i = 0; s->leg == EPC_SDP_WIC && i < x->n_streams; i++)
        if (runs(s, i) && s->local->media[i].ice_lite) {
            epc_buf_adds(b, "a=ice-lite\r\n");
            break;
        }
    if (s->leg == EPC_SDP_WIC) {
        for (size_t i = 0; err == EPC_OK && i < x->n_streams; i++)
            err = put_line(s, i, codecs, b);
    } else {
        for (size_t k = 0; k < x->n_core; k++)
            for (size_t i = 0; err == EPC_OK && i < x->n_streams; i++)
                if (x->core_of[i] == (int)k)
                    err = put_line(s, i, codecs, b);
    }
    free(codecs);
    if (err == EPC_OK && b->failed)
        err = EPC_ENOMEM;
    return err;
}

static void author_addr(struct iw_author *a, struct epc_str addr)
{
    if (a->addr[0])
        return;
    if (!addr.p || addr.n >= sizeof a->addr)
        addr = EPC_STR("0.0.0.0");
    memcpy(a->addr, addr.p, addr.n);
    a->addr[addr.n] = 0;
    a->ip6 = is_ip6(addr);
}

enum epc_err iw_send(struct epc_iw *w, struct iw_exchange *x, enum epc_sdp_leg leg,
                     const struct epc_sdp *local, struct epc_buf *out, struct epc_cause *cause)
{
    struct sender s = {.w = w, .x = x, .leg = leg, .is_offer = leg != x->offerer, .local = local, .cause = cause};
    struct iw_author next = w->author[leg];
    struct epc_buf body = {0}, text = {0};
    struct epc_sdp *sent = NULL;
    char *copy = NULL;
    enum epc_err err;

    if (local->n_media != x->n_streams) {
        epc_cause_set(cause, 500, NULL, "gateway described %zu streams of %zu", local->n_media, x->n_streams);
        return EPC_EPROTO;
    }
    err = put_body(&s, &body);
    if (err != EPC_OK)
        goto out;
    author_addr(&next, s.o_addr);
    if (!next.body || strcmp(next.body, body.p) != 0) {
        next.version++;
        next.body = copy = epc_str_dup((struct epc_str){body.p, body.n});
    }
    epc_buf_printf(&text, "v=0\r\no=- %" PRIu64 " %" PRIu64 " IN %s %s\r\n", next.id, next.version,
                   next.ip6 ? "IP6" : "IP4", next.addr);
    epc_buf_add(&text, body.p, body.n);
    err = text.failed || !next.body ? EPC_ENOMEM
                                    : epc_sdp_parse(&sent, (struct epc_str){text.p, text.n}, cause);
    if (err == EPC_ELIMIT)
        err = EPC_EPROTO;
    if (err != EPC_OK)
        goto out;
    epc_buf_add(out, text.p, text.n);
    if (out->failed) {
        err = EPC_ENOMEM;
        goto out;
    }
    if (copy)
        free(w->author[leg].body);
    copy = NULL;
    w->author[leg] = next;
    epc_sdp_free(x->sent[leg]);
    x->sent[leg] = sent;
    sent = NULL;
out:
    free(copy);
    epc_sdp_free(sent);
    epc_buf_free(&body);
    epc_buf_free(&text);
    return err;
}
