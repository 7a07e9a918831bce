/* SDP text to model (RFC 8866). Tolerant where peers differ (line ends, missing s= and t=, unknown
 * lines), strict where a wrong guess would misplace media (m= and o= lines). */
#include "sdp/sdp_priv.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What epc_sdp._priv points to. Gateways of other threads may hold a reference. */
struct model {
    struct epc_arena arena;
    struct epc_sdp *s;
    _Atomic unsigned refs;
};

struct line {
    char type;
    struct epc_str value;
};

struct connection {
    struct epc_str addr;
    bool ip6;
};

struct parser {
    struct epc_sdp *s;
    struct epc_arena *arena;
    struct epc_sdp_media *media;
    struct epc_sdp_attr *attr;
    struct epc_sdp_bw *bw;
    size_t n_media, n_attr, n_bw;
    struct connection session_c;
    bool have_origin;
    struct epc_cause *cause;
};

/* Next line of the form x=...; other lines are skipped. False at the end. */
static bool next_line(struct epc_str *rest, struct line *out)
{
    while (rest->p) {
        struct epc_str l = epc_str_cut(rest, '\n');
        if (l.n && l.p[l.n - 1] == '\r')
            l.n--;
        if (l.n < 2 || l.p[1] != '=' || l.p[0] < 'a' || l.p[0] > 'z')
            continue;
        out->type = l.p[0];
        out->value = (struct epc_str){l.p + 2, l.n - 2};
        return true;
    }
    return false;
}

/* Control octets could be read as line ends by the next node: not SDP. */
static bool text_is_clean(struct epc_str t)
{
    for (size_t i = 0; i < t.n; i++) {
        unsigned char c = (unsigned char)t.p[i];
        if (c >= 0x20 && c != 0x7f)
            continue;
        if (c == '\r' && (i + 1 == t.n || t.p[i + 1] == '\n'))
            continue;
        if (c != '\n' && c != '\t')
            return false;
    }
    return true;
}

static enum epc_err fault(struct parser *p, const char *what)
{
    epc_cause_set(p->cause, 400, "RFC 8866 5", "SDP: %s", what);
    return EPC_EPROTO;
}

/* A number as large as it likes: what does not fit counts as the largest. */
static bool lenient_u64(struct epc_str s, uint64_t *out)
{
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    if (epc_str_u64(s, UINT64_MAX, out) != EPC_OK)
        *out = UINT64_MAX;
    return true;
}

static enum epc_err parse_origin(struct parser *p, struct epc_str v)
{
    struct epc_sdp *s = p->s;
    struct epc_str user = sdp_word(&v), id = sdp_word(&v), version = sdp_word(&v);
    struct epc_str net = sdp_word(&v), type = sdp_word(&v), addr = sdp_word(&v);
    if (p->have_origin)
        return EPC_OK;
    if (!lenient_u64(id, &s->o_id) || !lenient_u64(version, &s->o_version))
        return fault(p, "o= line without session id and version");
    if (!epc_str_eqc(net, "IN") || addr.n == 0)
        return fault(p, "o= line without an address");
    s->o_user = user;
    s->o_addr = addr;
    s->o_ip6 = epc_str_eqc(type, "IP6");
    p->have_origin = true;
    return EPC_OK;
}

static void parse_connection(struct connection *c, struct epc_str v)
{
    struct epc_str net = sdp_word(&v), type = sdp_word(&v), addr = sdp_word(&v);
    if (!epc_str_eqc(net, "IN") || addr.n == 0)
        return;
    c->addr = epc_str_cut(&addr, '/'); /* multicast ttl and count do not matter here */
    c->ip6 = epc_str_eqc(type, "IP6");
    if (c->addr.n == 0)
        *c = (struct connection){0};
}

static enum epc_err parse_media(struct parser *p, struct epc_str v)
{
    struct epc_sdp_media *m = &p->media[p->n_media];
    uint64_t port;
    m->type = sdp_word(&v);
    struct epc_str ports = sdp_word(&v);
    m->proto = sdp_word(&v);
    struct epc_str first = epc_str_cut(&ports, '/');
    if (m->type.n == 0 || m->proto.n == 0)
        return fault(p, "m= line without type, port and protocol");
    if (epc_str_u64(first, UINT16_MAX, &port) != EPC_OK)
        return fault(p, "m= line with a port that is none");
    m->port = (uint16_t)port;

    struct epc_str count = v;
    while (sdp_word(&count).n)
        m->n_fmt++;
    struct epc_str *fmt = epc_arena_get(p->arena, m->n_fmt, sizeof *fmt);
    if (m->n_fmt && !fmt)
        return EPC_ENOMEM;
    for (size_t i = 0; i < m->n_fmt; i++)
        fmt[i] = sdp_word(&v);
    m->fmt = fmt;
    m->c_addr = p->session_c.addr;
    m->c_ip6 = p->session_c.ip6;
    m->attr = p->attr + p->n_attr;
    m->bw = p->bw + p->n_bw;
    p->n_media++;
    return EPC_OK;
}

static void parse_bandwidth(struct parser *p, struct epc_str v)
{
    struct epc_sdp_bw *bw = &p->bw[p->n_bw];
    bw->type = epc_str_cut(&v, ':');
    if (bw->type.n == 0 || !lenient_u64(epc_str_trim(v), &bw->value))
        return;
    p->n_bw++;
    if (p->n_media)
        p->media[p->n_media - 1].n_bw++;
    else
        p->s->n_bw++;
}

static void parse_attribute(struct parser *p, struct epc_str v)
{
    struct epc_sdp_attr *a = &p->attr[p->n_attr];
    a->name = epc_str_cut(&v, ':');
    a->value = v;
    if (a->name.n == 0)
        return;
    p->n_attr++;
    if (p->n_media)
        p->media[p->n_media - 1].n_attr++;
    else
        p->s->n_attr++;
}

static enum epc_err parse_line(struct parser *p, const struct line *l)
{
    struct epc_sdp_media *m = p->n_media ? &p->media[p->n_media - 1] : NULL;
    switch (l->type) {
    case 'o':
        return m ? EPC_OK : parse_origin(p, l->value);
    case 's':
        if (!m)
            p->s->s_name = l->value;
        return EPC_OK;
    case 'c': {
        struct connection c = {0};
        parse_connection(&c, l->value);
        if (!c.addr.p)
            return EPC_OK;
        if (m) {
            m->c_addr = c.addr;
            m->c_ip6 = c.ip6;
        } else {
            p->session_c = c;
        }
        return EPC_OK;
    }
    case 'm':
        return parse_media(p, l->value);
    case 'b':
        parse_bandwidth(p, l->value);
        return EPC_OK;
    case 'a':
        parse_attribute(p, l->value);
        return EPC_OK;
    default:
        return EPC_OK;
    }
}

struct counts {
    size_t media, attr, bw, words, candidates;
};

/* First pass: how much of everything there is, so that each array is one block. */
static enum epc_err count(struct parser *p, struct epc_str text, struct counts *n)
{
    struct line l;
    if (!next_line(&text, &l) || l.type != 'v' || !epc_str_eqc(epc_str_trim(l.value), "0"))
        return fault(p, "does not begin with v=0");
    while (next_line(&text, &l)) {
        n->attr += l.type == 'a';
        n->bw += l.type == 'b';
        n->candidates += l.type == 'a' && epc_str_starts(l.value, "candidate:");
        if (l.type != 'm')
            continue;
        n->media++;
        for (size_t i = 0; i < l.value.n; i++)
            n->words += l.value.p[i] == ' ';
    }
    if (n->media > EPC_SDP_MAX_MEDIA) {
        epc_cause_set(p->cause, 488, "RFC 3264 6", "SDP: more than %d m= lines", EPC_SDP_MAX_MEDIA);
        return EPC_ELIMIT;
    }
    return EPC_OK;
}

static enum epc_err prepare(struct parser *p, struct epc_str text, const struct counts *n)
{
    enum { ALIGN = 64 }; /* lost between arrays, an m-line */
    epc_arena_expect(p->arena, sizeof *p->s + text.n + (n->media + 1) * (sizeof *p->media + ALIGN) +
                                   (n->attr + 1) * sizeof *p->attr + (n->bw + 1) * sizeof *p->bw +
                                   n->words * (sizeof(struct epc_sdp_codec) + sizeof(struct epc_str)) +
                                   n->candidates * sizeof(struct epc_sdp_candidate));
    p->s = epc_arena_get(p->arena, 1, sizeof *p->s);
    char *copy = epc_arena_get(p->arena, text.n, 1);
    /* One more than there are: sections at the end point just behind the last line. */
    p->media = epc_arena_get(p->arena, n->media + 1, sizeof *p->media);
    p->attr = epc_arena_get(p->arena, n->attr + 1, sizeof *p->attr);
    p->bw = epc_arena_get(p->arena, n->bw + 1, sizeof *p->bw);
    if (!p->s || !copy || !p->media || !p->attr || !p->bw)
        return EPC_ENOMEM;
    memcpy(copy, text.p, text.n);
    p->arena->text = (struct epc_str){copy, text.n};
    p->s->attr = p->attr;
    p->s->bw = p->bw;
    p->s->media = p->media;
    return EPC_OK;
}

static enum epc_err parse_into(struct parser *p, struct epc_str text)
{
    struct line l;
    struct counts n = {0};
    enum epc_err err = count(p, text, &n);
    if (err == EPC_OK)
        err = prepare(p, text, &n);
    text = p->arena->text;
    while (err == EPC_OK && next_line(&text, &l))
        err = parse_line(p, &l);
    if (err != EPC_OK)
        return err;
    if (!p->have_origin)
        return fault(p, "no o= line");
    p->s->n_media = p->n_media;
    return sdp_attr_layer(p->s, p->media, p->arena);
}

enum epc_err epc_sdp_parse(struct epc_sdp **out, struct epc_str text, struct epc_cause *cause)
{
    enum epc_err err = EPC_ENOMEM;
    struct parser p = {.cause = cause};
    *out = NULL;
    if (text.n > EPC_SDP_MAX_OCTETS) {
        epc_cause_set(cause, 400, NULL, "SDP: longer than %d octets", EPC_SDP_MAX_OCTETS);
        return EPC_ELIMIT;
    }
    if (text.n == 0 || !text_is_clean(text))
        return fault(&p, text.n ? "control characters" : "empty");

    struct model *model = calloc(1, sizeof *model);
    if (!model)
        goto out;
    p.arena = &model->arena;
    err = parse_into(&p, text);
    if (err == EPC_OK) {
        model->s = p.s;
        model->refs = 1;
        p.s->_priv = model;
    }
out:
    if (err == EPC_OK)
        *out = p.s;
    else
        epc_arena_free(p.arena);
    if (err == EPC_ENOMEM)
        epc_cause_set(cause, 500, NULL, "out of memory");
    return err;
}

void epc_sdp_free(struct epc_sdp *s)
{
    struct model *model = s ? s->_priv : NULL;
    if (model && atomic_fetch_sub_explicit(&model->refs, 1, memory_order_acq_rel) == 1)
        epc_arena_free(&model->arena); /* the model itself lies in it */
}

struct epc_sdp *epc_sdp_ref(const struct epc_sdp *s)
{
    struct model *model = s ? s->_priv : NULL;
    if (!model)
        return NULL;
    atomic_fetch_add_explicit(&model->refs, 1, memory_order_relaxed);
    return model->s;
}

struct epc_str sdp_text(const struct epc_sdp *s)
{
    const struct model *model = s->_priv;
    return model->arena.text;
}
