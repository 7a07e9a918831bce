/* Descriptions in Local and Remote descriptors (H.248.1 7.1.8, Annex C.11): one m-line a stream, `$` for
 * what the gateway shall choose. Media are held and gated by the Mode, so no direction attributes. */
#include "gateway/h248/iq_priv.h"

#include <inttypes.h>
#include <string.h>

static const char *setup_text(enum epc_sdp_setup setup)
{
    switch (setup) {
    case EPC_SETUP_ACTIVE:
        return "active";
    case EPC_SETUP_PASSIVE:
        return "passive";
    case EPC_SETUP_HOLDCONN:
        return "holdconn";
    case EPC_SETUP_ACTPASS:
    case EPC_SETUP_NONE:
        break;
    }
    return "actpass";
}

/* Lines of a description that belong to the transport, and so to whoever owns the address; and the
 * direction, which Iq does not use. */
static bool travels(struct epc_str name)
{
    static const char *const left_out[] = {
        "sendrecv",    "sendonly",  "recvonly",  "inactive", "rtcp",        "rtcp-mux", "rtcp-mux-only",
        "ice-ufrag",   "ice-pwd",   "ice-options", "ice-lite", "candidate", "end-of-candidates",
        "fingerprint", "setup",     "tls-id",    "mid",      "sctp-port",   "curr",     "des",
        "conf"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(left_out); i++)
        if (epc_str_ieqc(name, left_out[i]))
            return false;
    return true;
}

static bool has_format(const struct epc_sdp_media *only, struct epc_str fmt)
{
    for (size_t i = 0; only && i < only->n_fmt; i++)
        if (epc_str_eq(only->fmt[i], fmt))
            return true;
    return !only;
}

/* Attributes that speak of one format begin with its number. */
static bool of_format(const struct epc_sdp_attr *a, struct epc_str *fmt)
{
    static const char *const names[] = {"rtpmap", "fmtp", "rtcp-fb"};
    struct epc_str v = a->value;
    for (size_t i = 0; i < EPC_ARRAY_LEN(names); i++)
        if (epc_str_ieqc(a->name, names[i])) {
            *fmt = epc_str_cut(&v, ' ');
            return !epc_str_eqc(*fmt, "*");
        }
    return false;
}

static bool is_rtp(const struct epc_sdp_media *m)
{
    return m->proto.n && memmem(m->proto.p, m->proto.n, "RTP/", 4);
}

/* TS 23.334 5.20: the access side is WebRTC, the core side plain RTP, whatever the other side's description
 * says that a Local is made of. Other transports (data channels) are as they are. */
static struct epc_str own_proto(enum epc_gw_side side, const struct epc_sdp_media *m)
{
    return !is_rtp(m) ? m->proto : side == EPC_GW_ACCESS ? EPC_STR("UDP/TLS/RTP/SAVPF") : EPC_STR("RTP/AVP");
}

static void put_m(struct epc_buf *b, const struct epc_sdp_media *m, const struct epc_sdp_media *only,
                  const char *port, struct epc_str proto)
{
    epc_buf_printf(b, "m=%.*s %s %.*s", EPC_STR_ARG(m->type), port, EPC_STR_ARG(proto));
    for (size_t i = 0; i < m->n_fmt; i++)
        if (has_format(only, m->fmt[i]))
            epc_buf_printf(b, " %.*s", EPC_STR_ARG(m->fmt[i]));
    epc_buf_adds(b, "\r\n");
}

static void put_what_travels(struct epc_buf *b, const struct epc_sdp_media *m, const struct epc_sdp_media *only)
{
    for (size_t i = 0; i < m->n_bw; i++)
        epc_buf_printf(b, "b=%.*s:%" PRIu64 "\r\n", EPC_STR_ARG(m->bw[i].type), m->bw[i].value);
    for (size_t i = 0; i < m->n_attr; i++) {
        struct epc_str fmt;
        if (!travels(m->attr[i].name) || (of_format(&m->attr[i], &fmt) && !has_format(only, fmt)))
            continue;
        epc_buf_printf(b, "a=%.*s", EPC_STR_ARG(m->attr[i].name));
        if (m->attr[i].value.p)
            epc_buf_printf(b, ":%.*s", EPC_STR_ARG(m->attr[i].value));
        epc_buf_adds(b, "\r\n");
    }
}

static void put_candidates(struct epc_buf *b, const struct epc_sdp_media *m)
{
    for (size_t i = 0; i < m->n_attr; i++)
        if (epc_str_ieqc(m->attr[i].name, "candidate"))
            epc_buf_printf(b, "a=candidate:%.*s\r\n", EPC_STR_ARG(m->attr[i].value));
}

static void put_fingerprints(struct epc_buf *b, const struct epc_sdp_media *m)
{
    for (size_t i = 0; i < m->n_fingerprint; i++)
        epc_buf_printf(b, "a=fingerprint:%.*s %.*s\r\n", EPC_STR_ARG(m->fingerprint[i].hash),
                       EPC_STR_ARG(m->fingerprint[i].value));
}

/* TS 23.334 6.2.17.1, 5.20: what the gateway has chosen stays unless it is asked for anew. */
static void put_own_webrtc(struct epc_buf *b, const struct iq_local *l)
{
    const struct epc_sdp_media *got = l->got;
    if (!got || (l->ask & IQ_ASK_ICE))
        epc_buf_adds(b, "a=ice-ufrag:$\r\na=ice-pwd:$\r\n");
    else
        epc_buf_printf(b, "a=ice-ufrag:%.*s\r\na=ice-pwd:%.*s\r\n", EPC_STR_ARG(got->ice_ufrag),
                       EPC_STR_ARG(got->ice_pwd));
    if (!got || (l->ask & IQ_ASK_PORT) || got->n_candidate == 0)
        epc_buf_adds(b, "a=candidate:$\r\n");
    else
        put_candidates(b, got);
    if (!got || (l->ask & IQ_ASK_DTLS))
        epc_buf_adds(b, "a=fingerprint:sha-256 $\r\n");
    else
        put_fingerprints(b, got);
    epc_buf_printf(b, "a=setup:%s\r\n", setup_text(l->setup));
}

void iq_local_text(struct epc_buf *b, const struct iq_local *l)
{
    const struct epc_sdp_media *m = l->media, *got = l->got;
    bool ip6 = got ? got->c_ip6 : l->ip6;
    char port[8] = "$";
    epc_buf_printf(b, "v=0\r\nc=IN %s ", ip6 ? "IP6" : "IP4");
    if (got && !(l->ask & IQ_ASK_PORT)) {
        epc_buf_printf(b, "%.*s\r\n", EPC_STR_ARG(got->c_addr));
        snprintf(port, sizeof port, "%u", got->port);
    } else
        epc_buf_adds(b, "$\r\n");
    put_m(b, m, l->only, port, own_proto(l->side, m));
    put_what_travels(b, m, l->only);
    if (m->sctp_port || m->max_message_size)
        epc_buf_adds(b, got && got->sctp_port ? "" : "a=sctp-port:$\r\n");
    if (got && got->sctp_port)
        epc_buf_printf(b, "a=sctp-port:%" PRIu32 "\r\n", got->sctp_port);
    if (l->side == EPC_GW_CORE)
        return;
    if (is_rtp(m))
        epc_buf_adds(b, "a=rtcp-mux\r\n"); /* RFC 8834 4.5 */
    put_own_webrtc(b, l);
}

void iq_remote_text(struct epc_buf *b, const struct epc_sdp_media *m)
{
    char port[8];
    snprintf(port, sizeof port, "%u", m->port);
    epc_buf_printf(b, "v=0\r\nc=IN %s %.*s\r\n", m->c_ip6 ? "IP6" : "IP4", EPC_STR_ARG(m->c_addr));
    if (m->ice_lite)
        epc_buf_adds(b, "a=ice-lite\r\n");
    put_m(b, m, NULL, port, m->proto);
    put_what_travels(b, m, NULL);
    if (m->rtcp_mux)
        epc_buf_adds(b, "a=rtcp-mux\r\n");
    else if (m->rtcp_port)
        epc_buf_printf(b, "a=rtcp:%u\r\n", m->rtcp_port);
    if (m->sctp_port)
        epc_buf_printf(b, "a=sctp-port:%" PRIu32 "\r\n", m->sctp_port);
    if (m->ice_ufrag.n)
        epc_buf_printf(b, "a=ice-ufrag:%.*s\r\na=ice-pwd:%.*s\r\n", EPC_STR_ARG(m->ice_ufrag),
                       EPC_STR_ARG(m->ice_pwd));
    put_candidates(b, m);
    put_fingerprints(b, m);
    if (m->n_fingerprint)
        epc_buf_printf(b, "a=setup:%s\r\n", setup_text(m->setup));
    if (m->tls_id.n)
        epc_buf_printf(b, "a=tls-id:%.*s\r\n", EPC_STR_ARG(m->tls_id));
}

/* ---- what the gateway says of itself ---------------------------------------------------------------- */

/* The first of several groups (they begin with v=) is the one that the gateway has reserved. */
static struct epc_str first_group(struct epc_str text)
{
    static const char next[] = "\nv=";
    for (size_t i = 1; i + 3 <= text.n; i++)
        if (memcmp(text.p + i, next, 3) == 0 && memchr(text.p, 'm', i))
            return (struct epc_str){text.p, i + 1};
    return text;
}

enum epc_err iq_local_parse(struct epc_str text, struct epc_sdp **out)
{
    struct epc_buf b = {0};
    struct epc_sdp *s = NULL;
    text = first_group(epc_str_trim(text));
    /* v=, o=, s= and t= may be left out on Iq. */
    epc_buf_adds(&b, "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n");
    epc_buf_addstr(&b, text);
    epc_buf_adds(&b, "\r\n");
    enum epc_err err = b.failed ? EPC_ENOMEM : epc_sdp_parse(&s, (struct epc_str){b.p, b.n}, NULL);
    epc_buf_free(&b);
    if (err == EPC_OK && (s->n_media != 1 || s->media[0].port == 0 || !s->media[0].c_addr.n)) {
        epc_sdp_free(s);
        err = EPC_EPROTO;
    }
    if (err == EPC_OK)
        *out = s;
    return err == EPC_ENOMEM ? err : err == EPC_OK ? EPC_OK : EPC_EPROTO;
}

static void put_own(struct epc_buf *b, const struct epc_sdp_media *m)
{
    char port[8];
    snprintf(port, sizeof port, "%u", m->port);
    put_m(b, m, NULL, port, m->proto);
    epc_buf_printf(b, "c=IN %s %.*s\r\n", m->c_ip6 ? "IP6" : "IP4", EPC_STR_ARG(m->c_addr));
    put_what_travels(b, m, NULL);
    if (m->rtcp_mux)
        epc_buf_adds(b, "a=rtcp-mux\r\n");
    else if (m->rtcp_port)
        epc_buf_printf(b, "a=rtcp:%u\r\n", m->rtcp_port);
    if (m->sctp_port)
        epc_buf_printf(b, "a=sctp-port:%" PRIu32 "\r\n", m->sctp_port);
    if (m->ice_ufrag.n)
        epc_buf_printf(b, "a=ice-ufrag:%.*s\r\na=ice-pwd:%.*s\r\n", EPC_STR_ARG(m->ice_ufrag),
                       EPC_STR_ARG(m->ice_pwd));
    put_candidates(b, m);
    put_fingerprints(b, m);
    if (m->setup != EPC_SETUP_NONE)
        epc_buf_printf(b, "a=setup:%s\r\n", setup_text(m->setup));
    if (m->tls_id.n)
        epc_buf_printf(b, "a=tls-id:%.*s\r\n", EPC_STR_ARG(m->tls_id));
}

static void put_off(struct epc_buf *b, const struct epc_sdp_media *m)
{
    epc_buf_printf(b, "m=%.*s 0 %.*s %.*s\r\n", EPC_STR_ARG(m->type), EPC_STR_ARG(m->proto),
                   EPC_STR_ARG(m->n_fmt ? m->fmt[0] : EPC_STR("0")));
}

enum epc_err iq_describe(const struct epc_sdp *like, const struct iq_stream *stream, size_t n, bool lite,
                         struct epc_sdp **out)
{
    struct epc_buf b = {0};
    epc_buf_adds(&b, "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n");
    for (size_t i = 0; i < n && !lite; i++)
        lite = stream[i].got && stream[i].got->media[0].ice_lite;
    if (lite)
        epc_buf_adds(&b, "a=ice-lite\r\n");
    for (size_t i = 0; i < like->n_media; i++) {
        if (i < n && iq_runs(&stream[i]) && stream[i].got)
            put_own(&b, &stream[i].got->media[0]);
        else
            put_off(&b, &like->media[i]);
    }
    enum epc_err err = b.failed ? EPC_ENOMEM : epc_sdp_parse(out, (struct epc_str){b.p, b.n}, NULL);
    epc_buf_free(&b);
    return err;
}

bool iq_text_fits(const char *text)
{
    return !text || !strpbrk(text, "}\\"); /* neither end nor escape of an octet string */
}
