/* The attribute layer: effective values per m-line. Inherited are the session's ICE, DTLS and
 * direction lines (RFC 8839 5.4, 8842 5, 8866 6.7) and, inside a BUNDLE group, the tagged m-line's
 * transport lines (RFC 9143 10). */
#include "sdp/sdp_priv.h"

#include <string.h>

enum { MAX_FB = 16, N_PT = 128, FIRST_DYNAMIC_PT = 35 };

struct epc_str sdp_word(struct epc_str *s)
{
    size_t i = 0;
    while (i < s->n && (s->p[i] == ' ' || s->p[i] == '\t'))
        i++;
    size_t from = i;
    while (i < s->n && s->p[i] != ' ' && s->p[i] != '\t')
        i++;
    struct epc_str w = {s->p ? s->p + from : NULL, i - from};
    if (s->p)
        s->p += i;
    s->n -= i;
    return w;
}

bool sdp_proto_is_rtp(struct epc_str proto)
{
    static const char *const profile[] = {
        "RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF",
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(profile); i++)
        if (epc_str_ieqc(proto, profile[i]))
            return true;
    return false;
}

const struct epc_sdp_attr *sdp_attr_find(const struct epc_sdp_attr *attr, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (epc_str_eqc(attr[i].name, name))
            return &attr[i];
    return NULL;
}

static const char *const dir_names[] = {"sendrecv", "sendonly", "recvonly", "inactive"};
static const char *const setup_names[] = {"", "actpass", "active", "passive", "holdconn"};

const char *sdp_dir_name(enum epc_sdp_dir dir)
{
    return dir_names[dir];
}

const char *sdp_setup_name(enum epc_sdp_setup setup)
{
    return setup_names[setup];
}

/* ---- codecs ---------------------------------------------------------------------------------------- */

static const struct {
    uint8_t pt;
    uint8_t channels;
    uint32_t clock_hz;
    const char *name;
} static_types[] = {
    /* RFC 3551 6 */
    {0, 1, 8000, "PCMU"},   {3, 1, 8000, "GSM"},    {4, 1, 8000, "G723"},   {5, 1, 8000, "DVI4"},
    {6, 1, 16000, "DVI4"},  {7, 1, 8000, "LPC"},    {8, 1, 8000, "PCMA"},   {9, 1, 8000, "G722"},
    {10, 2, 44100, "L16"},  {11, 1, 44100, "L16"},  {12, 1, 8000, "QCELP"}, {13, 1, 8000, "CN"},
    {14, 1, 90000, "MPA"},  {15, 1, 8000, "G728"},  {16, 1, 11025, "DVI4"}, {17, 1, 22050, "DVI4"},
    {18, 1, 8000, "G729"},  {25, 1, 90000, "CelB"}, {26, 1, 90000, "JPEG"}, {28, 1, 90000, "nv"},
    {31, 1, 90000, "H261"}, {32, 1, 90000, "MPV"},  {33, 1, 90000, "MP2T"}, {34, 1, 90000, "H263"},
};

static void codec_static(struct epc_sdp_codec *c)
{
    for (size_t i = 0; c->pt < FIRST_DYNAMIC_PT && i < EPC_ARRAY_LEN(static_types); i++) {
        if (static_types[i].pt != c->pt)
            continue;
        c->name = epc_str_c(static_types[i].name);
        c->clock_hz = static_types[i].clock_hz;
        c->channels = static_types[i].channels;
    }
}

/* "111 opus/48000/2": leading payload type, rest in *rest. */
static bool pt_value(struct epc_str value, unsigned *pt, struct epc_str *rest)
{
    uint64_t n;
    struct epc_str w = sdp_word(&value);
    if (epc_str_u64(w, N_PT - 1, &n) != EPC_OK)
        return false;
    *pt = (unsigned)n;
    *rest = epc_str_trim(value);
    return true;
}

static void codec_rtpmap(struct epc_sdp_codec *c, struct epc_str map)
{
    uint64_t clock, channels;
    struct epc_str name = epc_str_cut(&map, '/');
    struct epc_str rate = epc_str_cut(&map, '/');
    if (name.n == 0 || epc_str_u64(rate, UINT32_MAX, &clock) != EPC_OK)
        return;
    c->name = name;
    c->clock_hz = (uint32_t)clock;
    c->channels = epc_str_u64(map, 255, &channels) == EPC_OK && channels ? (unsigned)channels : 1;
}

/* An a=rtcp-fb line: for one payload type or, "*", for all. */
static bool feedback_line(const struct epc_sdp_attr *a, unsigned *pt, bool *all, struct epc_str *value)
{
    if (!epc_str_eqc(a->name, "rtcp-fb"))
        return false;
    *all = epc_str_starts(a->value, "* ");
    if (!*all)
        return pt_value(a->value, pt, value);
    *value = epc_str_trim((struct epc_str){a->value.p + 2, a->value.n - 2});
    return true;
}

static enum epc_err read_feedback(const struct epc_sdp_media *m, struct epc_sdp_codec *codec, size_t n,
                                  struct epc_arena *a)
{
    struct epc_str *fb[N_PT] = {0}, value;
    size_t n_lines[N_PT] = {0}, n_all = 0;
    unsigned pt = 0;
    bool all;
    for (size_t i = 0; i < m->n_attr; i++)
        if (feedback_line(&m->attr[i], &pt, &all, &value))
            *(all ? &n_all : &n_lines[pt]) += 1;
    for (size_t i = 0; i < n; i++) {
        struct epc_sdp_codec *c = &codec[i];
        size_t room = n_lines[c->pt] + n_all < MAX_FB ? n_lines[c->pt] + n_all : (size_t)MAX_FB;
        c->fb = fb[c->pt] = epc_arena_get(a, room, sizeof *fb[0]);
        if (room && !c->fb)
            return EPC_ENOMEM;
        n_lines[c->pt] = room;
    }
    for (size_t i = 0; i < m->n_attr; i++) {
        if (!feedback_line(&m->attr[i], &pt, &all, &value))
            continue;
        for (size_t k = 0; k < n; k++) {
            struct epc_sdp_codec *c = &codec[k];
            if ((all || c->pt == pt) && c->n_fb < n_lines[c->pt])
                fb[c->pt][c->n_fb++] = value;
        }
    }
    return EPC_OK;
}

static enum epc_err read_codecs(struct epc_sdp_media *m, struct epc_arena *a)
{
    struct epc_sdp_codec *by_pt[N_PT] = {0};
    bool feedback = sdp_attr_find(m->attr, m->n_attr, "rtcp-fb") != NULL;
    struct epc_sdp_codec *codec =
        epc_arena_get(a, m->n_fmt < N_PT ? m->n_fmt : (size_t)N_PT, sizeof *codec);
    size_t n = 0;
    if (m->n_fmt && !codec)
        return EPC_ENOMEM;
    for (size_t i = 0; i < m->n_fmt; i++) {
        uint64_t pt;
        if (epc_str_u64(m->fmt[i], N_PT - 1, &pt) != EPC_OK || by_pt[pt])
            continue;
        struct epc_sdp_codec *c = &codec[n++];
        c->pt = (unsigned)pt;
        c->channels = 1;
        codec_static(c);
        by_pt[pt] = c;
    }
    for (size_t i = 0; i < m->n_attr; i++) {
        struct epc_str rest;
        unsigned pt;
        bool map = epc_str_eqc(m->attr[i].name, "rtpmap");
        if ((!map && !epc_str_eqc(m->attr[i].name, "fmtp")) ||
            !pt_value(m->attr[i].value, &pt, &rest) || !by_pt[pt])
            continue;
        if (map)
            codec_rtpmap(by_pt[pt], rest);
        else
            by_pt[pt]->fmtp = rest;
    }
    if (feedback && read_feedback(m, codec, n, a) != EPC_OK)
        return EPC_ENOMEM;
    m->codec = codec;
    m->n_codec = n;
    return EPC_OK;
}

/* ---- ICE and DTLS ----------------------------------------------------------------------------------- */

static bool read_candidate(struct epc_str v, struct epc_sdp_candidate *c)
{
    uint64_t component, priority, port;
    struct epc_sdp_candidate r = {.foundation = sdp_word(&v)};
    struct epc_str comp = sdp_word(&v);
    r.transport = sdp_word(&v);
    struct epc_str prio = sdp_word(&v);
    r.address = sdp_word(&v);
    struct epc_str port_text = sdp_word(&v), typ_word = sdp_word(&v);
    r.typ = sdp_word(&v);
    if (r.typ.n == 0 || !epc_str_eqc(typ_word, "typ") || epc_str_u64(comp, 256, &component) != EPC_OK ||
        epc_str_u64(prio, UINT32_MAX, &priority) != EPC_OK ||
        epc_str_u64(port_text, UINT16_MAX, &port) != EPC_OK)
        return false;
    r.component = (unsigned)component;
    r.priority = (uint32_t)priority;
    r.port = (uint16_t)port;
    for (;;) {
        struct epc_str key = sdp_word(&v), value = sdp_word(&v);
        uint64_t n;
        if (value.n == 0)
            break;
        if (epc_str_eqc(key, "raddr"))
            r.raddr = value;
        else if (epc_str_eqc(key, "rport") && epc_str_u64(value, UINT16_MAX, &n) == EPC_OK)
            r.rport = (uint16_t)n;
        else if (epc_str_eqc(key, "tcptype"))
            r.tcptype = value;
    }
    *c = r;
    return true;
}

static enum epc_err read_candidates(struct epc_sdp_media *m, struct epc_arena *a)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_attr; i++)
        n += epc_str_eqc(m->attr[i].name, "candidate");
    struct epc_sdp_candidate *c = epc_arena_get(a, n, sizeof *c);
    if (n && !c)
        return EPC_ENOMEM;
    m->candidate = c;
    for (size_t i = 0; i < m->n_attr; i++)
        if (epc_str_eqc(m->attr[i].name, "candidate") &&
            read_candidate(m->attr[i].value, &c[m->n_candidate]))
            m->n_candidate++;
    return EPC_OK;
}

static enum epc_err read_fingerprints(const struct epc_sdp_attr *attr, size_t n_attr, struct epc_arena *a,
                                      const struct epc_sdp_fingerprint **out, size_t *n_out)
{
    size_t n = 0;
    for (size_t i = 0; i < n_attr; i++)
        n += epc_str_eqc(attr[i].name, "fingerprint");
    struct epc_sdp_fingerprint *f = epc_arena_get(a, n, sizeof *f);
    if (n && !f)
        return EPC_ENOMEM;
    size_t k = 0;
    for (size_t i = 0; i < n_attr; i++) {
        if (!epc_str_eqc(attr[i].name, "fingerprint"))
            continue;
        struct epc_str v = attr[i].value;
        f[k].hash = sdp_word(&v);
        f[k].value = sdp_word(&v);
        k += f[k].value.n > 0;
    }
    *out = f;
    *n_out = k;
    return EPC_OK;
}

static bool has_word(struct epc_str v, const char *word)
{
    for (struct epc_str w = sdp_word(&v); w.n; w = sdp_word(&v))
        if (epc_str_eqc(w, word))
            return true;
    return false;
}

/* Lines that may stand at session level and count for every m-line. */
static bool read_common(const struct epc_sdp_attr *a, struct epc_sdp_media *m)
{
    if (epc_str_eqc(a->name, "ice-ufrag"))
        m->ice_ufrag = epc_str_trim(a->value);
    else if (epc_str_eqc(a->name, "ice-pwd"))
        m->ice_pwd = epc_str_trim(a->value);
    else if (epc_str_eqc(a->name, "ice-lite"))
        m->ice_lite = true;
    else if (epc_str_eqc(a->name, "ice-options"))
        m->trickle = has_word(a->value, "trickle");
    else if (epc_str_eqc(a->name, "end-of-candidates"))
        m->end_of_candidates = true;
    else if (epc_str_eqc(a->name, "tls-id"))
        m->tls_id = epc_str_trim(a->value);
    else if (epc_str_eqc(a->name, "setup")) {
        for (size_t i = EPC_SETUP_ACTPASS; i < EPC_ARRAY_LEN(setup_names); i++)
            if (epc_str_ieqc(epc_str_trim(a->value), setup_names[i]))
                m->setup = (enum epc_sdp_setup)i;
    } else {
        for (size_t i = 0; i < EPC_ARRAY_LEN(dir_names); i++)
            if (!a->value.p && epc_str_eqc(a->name, dir_names[i])) {
                m->dir = (enum epc_sdp_dir)i;
                return true;
            }
        return false;
    }
    return true;
}

static uint32_t number(struct epc_str v)
{
    uint64_t n;
    v = epc_str_trim(v);
    return epc_str_u64(sdp_word(&v), UINT32_MAX, &n) == EPC_OK ? (uint32_t)n : 0;
}

static void read_own(const struct epc_sdp_attr *a, struct epc_sdp_media *m)
{
    if (epc_str_eqc(a->name, "mid"))
        m->mid = epc_str_trim(a->value);
    else if (epc_str_eqc(a->name, "rtcp-mux"))
        m->rtcp_mux = true;
    else if (epc_str_eqc(a->name, "rtcp-mux-only"))
        m->rtcp_mux_only = true;
    else if (epc_str_eqc(a->name, "rtcp-rsize"))
        m->rtcp_rsize = true;
    else if (epc_str_eqc(a->name, "bundle-only"))
        m->bundle_only = true;
    else if (epc_str_eqc(a->name, "rtcp")) {
        uint32_t port = number(a->value);
        m->rtcp_port = port <= UINT16_MAX ? (uint16_t)port : 0;
    } else if (epc_str_eqc(a->name, "ptime"))
        m->ptime_ms = number(a->value);
    else if (epc_str_eqc(a->name, "maxptime"))
        m->maxptime_ms = number(a->value);
    else if (epc_str_eqc(a->name, "sctp-port"))
        m->sctp_port = number(a->value);
    else if (epc_str_eqc(a->name, "max-message-size")) {
        uint64_t n;
        if (epc_str_u64(epc_str_trim(a->value), UINT64_MAX, &n) == EPC_OK)
            m->max_message_size = n;
    }
}

/* ---- BUNDLE ------------------------------------------------------------------------------------------ */

static struct epc_sdp_media *by_mid(struct epc_sdp_media *media, size_t n, struct epc_str mid)
{
    for (size_t i = 0; i < n; i++)
        if (media[i].mid.n && epc_str_eq(media[i].mid, mid))
            return &media[i];
    return NULL;
}

static void inherit_bundle(struct epc_sdp_media *m, const struct epc_sdp_media *tag)
{
    if (!m->ice_ufrag.p && !m->ice_pwd.p) {
        m->ice_ufrag = tag->ice_ufrag;
        m->ice_pwd = tag->ice_pwd;
        m->trickle = tag->trickle;
    }
    if (m->n_fingerprint == 0) {
        m->fingerprint = tag->fingerprint;
        m->n_fingerprint = tag->n_fingerprint;
    }
    if (m->setup == EPC_SETUP_NONE)
        m->setup = tag->setup;
    if (!m->tls_id.p)
        m->tls_id = tag->tls_id;
    m->ice_lite = m->ice_lite || tag->ice_lite;
    m->rtcp_mux = m->rtcp_mux || (tag->rtcp_mux && sdp_proto_is_rtp(m->proto));
}

static void read_bundle(const struct epc_sdp *s, struct epc_sdp_media *media)
{
    for (size_t i = 0; i < s->n_attr; i++) {
        struct epc_str v = s->attr[i].value;
        struct epc_sdp_media *tag = NULL;
        if (!epc_str_eqc(s->attr[i].name, "group") || !epc_str_eqc(sdp_word(&v), "BUNDLE"))
            continue;
        for (struct epc_str mid = sdp_word(&v); mid.n; mid = sdp_word(&v)) {
            struct epc_sdp_media *m = by_mid(media, s->n_media, mid);
            if (!m || m->bundled) /* an m-line is in one group at most: no endless work */
                continue;
            m->bundled = true;
            if (!tag)
                tag = m;
            else
                inherit_bundle(m, tag);
        }
    }
}

enum epc_err sdp_attr_layer(struct epc_sdp *s, struct epc_sdp_media *media, struct epc_arena *a)
{
    struct epc_sdp_media common = {0};
    for (size_t i = 0; i < s->n_attr; i++)
        (void)read_common(&s->attr[i], &common);
    enum epc_err err =
        read_fingerprints(s->attr, s->n_attr, a, &common.fingerprint, &common.n_fingerprint);
    for (size_t i = 0; err == EPC_OK && i < s->n_media; i++) {
        struct epc_sdp_media *m = &media[i];
        m->ice_ufrag = common.ice_ufrag;
        m->ice_pwd = common.ice_pwd;
        m->ice_lite = common.ice_lite;
        m->trickle = common.trickle;
        m->end_of_candidates = common.end_of_candidates;
        m->tls_id = common.tls_id;
        m->setup = common.setup;
        m->dir = common.dir;
        for (size_t k = 0; k < m->n_attr; k++)
            if (!read_common(&m->attr[k], m))
                read_own(&m->attr[k], m);
        err = read_fingerprints(m->attr, m->n_attr, a, &m->fingerprint, &m->n_fingerprint);
        if (err == EPC_OK && m->n_fingerprint == 0) {
            m->fingerprint = common.fingerprint;
            m->n_fingerprint = common.n_fingerprint;
        }
        if (err == EPC_OK)
            err = read_candidates(m, a);
        if (err == EPC_OK && sdp_proto_is_rtp(m->proto))
            err = read_codecs(m, a);
    }
    if (err == EPC_OK)
        read_bundle(s, media);
    return err;
}
