/* A received description as the gateway must see it: one m-line a stream in the WIC's numbering,
 * unbundled, every value spelled out, nothing that the gateway has no use for. */
#include "sdp/iw_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const struct epc_sdp_media *iw_line(const struct iw_exchange *x, const struct epc_sdp *s,
                                    enum epc_sdp_leg leg, size_t stream)
{
    if (!s || stream >= x->n_streams)
        return NULL;
    size_t i = stream;
    if (leg == EPC_SDP_CORE) {
        if (x->core_of[stream] < 0)
            return NULL;
        i = (size_t)x->core_of[stream];
    }
    return i < s->n_media ? &s->media[i] : NULL;
}

/* ---- where the WIC can be reached, for gateways that need an address before ICE has run ------------- */

struct target {
    struct epc_str addr;
    unsigned port;
};

/* UDP, a literal address, RTP's component. mDNS names and TCP show up as peer-reflexive. */
static bool candidate_usable(const struct epc_sdp_candidate *c)
{
    return epc_str_ieqc(c->transport, "udp") && iw_addr_usable(c->address) && c->port != 0 && c->port != 9;
}

static bool own_target(const struct epc_sdp_media *m, struct target *t)
{
    const struct epc_sdp_candidate *best = NULL;
    if (m->port != 0 && m->port != 9 && iw_addr_usable(m->c_addr)) {
        *t = (struct target){m->c_addr, m->port};
        return true;
    }
    for (size_t i = 0; i < m->n_candidate; i++) {
        const struct epc_sdp_candidate *c = &m->candidate[i];
        if (c->component == 1 && candidate_usable(c) && (!best || c->priority > best->priority))
            best = c;
    }
    if (best)
        *t = (struct target){best->address, best->port};
    return best != NULL;
}

/* A gateway may read 0.0.0.0 and port 9 as hold. In order: the line's own default or best candidate,
 * that of a line on the same transport, where the stream was before, and at last a dummy (RFC 7600,
 * RFC 6666) that nothing answers at: the checks of the WIC will tell. */
static struct target wic_target(const struct epc_iw *w, const struct iw_exchange *x, size_t stream)
{
    const struct epc_sdp *s = x->recv[EPC_SDP_WIC];
    const struct epc_sdp_media *m = &s->media[stream];
    struct target t;
    if (own_target(m, &t))
        return t;
    for (size_t i = 0; i < s->n_media; i++) {
        const struct epc_sdp_media *o = &s->media[i];
        if (o->ice_ufrag.n && epc_str_eq(o->ice_ufrag, m->ice_ufrag) &&
            epc_str_eq(o->ice_pwd, m->ice_pwd) && own_target(o, &t))
            return t;
    }
    const struct epc_sdp *before = w->have_committed ? w->committed.remote[EPC_SDP_WIC] : NULL;
    if (before && stream < before->n_media && before->media[stream].port &&
        iw_addr_usable(before->media[stream].c_addr))
        return (struct target){before->media[stream].c_addr, before->media[stream].port};
    return (struct target){m->c_ip6 ? EPC_STR("100::1") : EPC_STR("192.0.0.8"), 1024};
}

/* Held the old way, the core's address is where it was, else the dummy. */
static struct target core_target(const struct epc_iw *w, size_t stream, const struct epc_sdp_media *m)
{
    if (iw_addr_usable(m->c_addr))
        return (struct target){m->c_addr, m->port};
    const struct epc_sdp *before = w->have_committed ? w->committed.remote[EPC_SDP_CORE] : NULL;
    if (before && stream < before->n_media && before->media[stream].port &&
        iw_addr_usable(before->media[stream].c_addr))
        return (struct target){before->media[stream].c_addr, m->port};
    return (struct target){m->c_ip6 ? EPC_STR("100::1") : EPC_STR("192.0.0.8"), m->port};
}

/* ---- writing ------------------------------------------------------------------------------------------ */

/* @p answers: what the WIC once offered stands for its answer; the gateway waits for its handshake. */
static void put_ice_dtls(struct epc_buf *b, const struct epc_sdp_media *m, bool answers)
{
    epc_buf_printf(b, "a=ice-ufrag:%.*s\r\na=ice-pwd:%.*s\r\n", EPC_STR_ARG(m->ice_ufrag),
                   EPC_STR_ARG(m->ice_pwd));
    if (m->trickle && !m->end_of_candidates)
        epc_buf_adds(b, "a=ice-options:trickle\r\n");
    for (size_t i = 0; i < m->n_candidate; i++)
        if (candidate_usable(&m->candidate[i]))
            iw_put_candidate(b, &m->candidate[i]);
    if (m->end_of_candidates)
        epc_buf_adds(b, "a=end-of-candidates\r\n");
    for (size_t i = 0; i < m->n_fingerprint; i++)
        if (iw_fingerprint_ok(&m->fingerprint[i]))
            epc_buf_printf(b, "a=fingerprint:%.*s %.*s\r\n", EPC_STR_ARG(m->fingerprint[i].hash),
                           EPC_STR_ARG(m->fingerprint[i].value));
    epc_buf_printf(b, "a=setup:%s\r\n", sdp_setup_name(answers && m->setup == EPC_SETUP_ACTPASS ? EPC_SETUP_ACTIVE : m->setup));
    if (m->tls_id.n)
        epc_buf_printf(b, "a=tls-id:%.*s\r\n", EPC_STR_ARG(m->tls_id));
}

static void put_off(const struct epc_iw *w, const struct iw_exchange *x, enum epc_sdp_leg leg,
                    size_t stream, struct epc_buf *b)
{
    const struct epc_sdp_media *m = iw_line(x, x->recv[leg], leg, stream);
    if (!m) /* a stream that the core does not have: the WIC's line tells its kind */
        m = iw_line(x, x->recv[EPC_SDP_WIC], EPC_SDP_WIC, stream);
    if (!m && w->have_committed)
        m = iw_line(&w->committed, w->committed.recv[EPC_SDP_WIC], EPC_SDP_WIC, stream);
    iw_put_media(b, m ? m->type : EPC_STR("application"), 0, m ? m->proto : EPC_STR("UDP/DTLS/SCTP"));
    epc_buf_adds(b, " ");
    epc_buf_addstr(b, m && m->n_fmt ? m->fmt[0] : EPC_STR("0"));
    epc_buf_adds(b, "\r\n");
}

static void put_bandwidths(struct epc_buf *b, const struct epc_sdp_media *m)
{
    static const char *const types[] = {"AS", "TIAS", "RR", "RS"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(types); i++) {
        uint64_t v = iw_bandwidth(m, types[i], UINT64_MAX);
        if (v != UINT64_MAX)
            epc_buf_printf(b, "b=%s:%" PRIu64 "\r\n", types[i], v);
    }
}

static void put_on(const struct epc_iw *w, const struct iw_exchange *x, enum epc_sdp_leg leg,
                   size_t stream, const struct iw_codecs *codecs, struct epc_buf *b)
{
    const struct epc_sdp_media *m = iw_line(x, x->recv[leg], leg, stream);
    struct target t = leg == EPC_SDP_WIC ? wic_target(w, x, stream) : core_target(w, stream, m);
    enum epc_sdp_dir dir = iw_dir(leg, m);
    if (leg != x->offerer)
        dir = iw_dir_clamp(iw_line(x, x->sent[leg], leg, stream)->dir, dir);
    iw_put_media(b, m->type, t.port, m->proto);
    if (sdp_proto_is_rtp(m->proto))
        iw_put_formats(b, codecs);
    else
        epc_buf_printf(b, " %.*s\r\n", EPC_STR_ARG(m->n_fmt ? m->fmt[0] : EPC_STR("0")));
    iw_put_connection(b, t.addr);
    put_bandwidths(b, m);
    if (sdp_proto_is_rtp(m->proto)) {
        if (leg == EPC_SDP_WIC)
            epc_buf_adds(b, "a=rtcp-mux\r\n");
        else if (m->rtcp_port)
            epc_buf_printf(b, "a=rtcp:%u\r\n", m->rtcp_port);
    } else {
        if (m->sctp_port)
            epc_buf_printf(b, "a=sctp-port:%" PRIu32 "\r\n", m->sctp_port);
        if (m->max_message_size)
            epc_buf_printf(b, "a=max-message-size:%" PRIu64 "\r\n", m->max_message_size);
    }
    if (leg == EPC_SDP_WIC)
        put_ice_dtls(b, m, leg != x->offerer);
    epc_buf_printf(b, "a=%s\r\n", sdp_dir_name(dir));
    iw_put_times(b, m);
    iw_put_codecs(b, codecs);
}

/* Does the stream run, as far as this leg's description says? Fills the codecs when it does. */
static bool stream_on(const struct epc_iw *w, const struct iw_exchange *x, enum epc_sdp_leg leg,
                      size_t stream, struct iw_codecs *codecs)
{
    const struct epc_sdp_media *m = iw_line(x, x->recv[leg], leg, stream);
    codecs->n = 0;
    if (!m || m->port == 0 || !iw_carried(&w->policy, leg, m))
        return false;
    if (leg == x->offerer) {
        if (!sdp_proto_is_rtp(m->proto))
            return true;
        iw_codecs_of_offer(&w->policy, m, codecs);
        return codecs->n > 0;
    }
    const struct epc_sdp_media *offered = iw_line(x, x->sent[leg], leg, stream);
    if (!offered || offered->port == 0)
        return false;
    if (!sdp_proto_is_rtp(m->proto))
        return true;
    iw_codecs_of_answer(offered, m, codecs);
    return codecs->n > 0;
}

enum epc_err iw_remote(const struct epc_iw *w, const struct iw_exchange *x, enum epc_sdp_leg leg,
                       struct epc_sdp **out, struct epc_cause *cause)
{
    const struct epc_sdp *s = x->recv[leg];
    struct epc_buf b = {0};
    struct iw_codecs *codecs = malloc(sizeof *codecs);
    enum epc_err err = EPC_ENOMEM;
    if (!codecs)
        goto out;
    epc_buf_printf(&b, "v=0\r\no=- %" PRIu64 " %" PRIu64 " IN IP4 192.0.0.8\r\ns=-\r\nt=0 0\r\n", s->o_id,
                   s->o_version);
    for (size_t i = 0; leg == EPC_SDP_WIC && i < s->n_media; i++)
        if (s->media[i].port && s->media[i].ice_lite) {
            epc_buf_adds(&b, "a=ice-lite\r\n");
            break;
        }
    for (size_t i = 0; i < x->n_streams; i++) {
        if (stream_on(w, x, leg, i, codecs))
            put_on(w, x, leg, i, codecs, &b);
        else
            put_off(w, x, leg, i, &b);
    }
    if (!b.failed)
        err = epc_sdp_parse(out, (struct epc_str){b.p, b.n}, cause);
    if (err == EPC_ELIMIT)
        err = EPC_EPROTO;
out:
    free(codecs);
    epc_buf_free(&b);
    return err;
}

/* Both texts are ours, so the third line on is everything but v= and o=. */
static struct epc_str below_origin(const struct epc_sdp *s)
{
    struct epc_str t = sdp_text(s);
    (void)epc_str_cut(&t, '\n');
    (void)epc_str_cut(&t, '\n');
    return t;
}

bool iw_same_media(const struct epc_sdp *a, const struct epc_sdp *b)
{
    return a && b && epc_str_eq(below_origin(a), below_origin(b));
}
