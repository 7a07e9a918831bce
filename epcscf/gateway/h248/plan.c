/* An operation -> what each stream of both terminations shall be (TS 23.334 6.2, TS 29.334 5.17.2).
 *
 *   offer   reserves: the offerer's termination gets Remote and, where the stream is new, Local; the other
 *           one a Local with the description that its peer is going to get
 *   answer  configures: the answerer's Remote, and both Locals with what was agreed
 *
 * Media pass by the Mode of the core side alone: ICE and DTLS of the access side always run. */
#include "gateway/h248/iq_priv.h"

#include <stdlib.h>
#include <string.h>

void iq_streams_free(struct iq_stream *s, size_t n)
{
    for (size_t i = 0; s && i < n; i++) {
        free(s[i].wish);
        free(s[i].offered);
        free(s[i].local);
        free(s[i].remote);
        epc_sdp_free(s[i].got);
        epc_sdp_free(s[i].before);
    }
    free(s);
}

void iq_plan_drop(struct iq_ctx *c)
{
    for (int side = 0; side < 2; side++) {
        iq_streams_free(c->next_stream[side], c->next_n);
        c->next_stream[side] = NULL;
    }
    c->next_n = 0;
}

struct planner {
    struct iq_ctx *c;
    bool restoring;
    bool failed; /* out of memory */
    bool unfit;  /* a description that cannot travel on Iq */
};

static enum epc_gw_side other_side(enum epc_gw_side side)
{
    return side == EPC_GW_ACCESS ? EPC_GW_CORE : EPC_GW_ACCESS;
}

/* What the gateway has; nothing where it has none. */
static const struct iq_stream *had(const struct iq_ctx *c, enum epc_gw_side side, size_t i)
{
    static const struct iq_stream none;
    return i < c->n ? &c->leg[side].stream[i] : &none;
}

static char *copy(struct planner *p, const char *text)
{
    char *d = text ? strdup(text) : NULL;
    p->failed = p->failed || (text && !d);
    return d;
}

/* ---- one stream -------------------------------------------------------------------------------------- */

static void put_text(struct planner *p, char **slot, struct epc_buf *b)
{
    char *text = epc_buf_take(b, NULL);
    p->failed = p->failed || !text;
    p->unfit = p->unfit || !iq_text_fits(text);
    free(*slot);
    *slot = text;
}

static bool is_event_format(const struct epc_sdp_media *m, struct epc_str fmt)
{
    for (size_t i = 0; i < m->n_codec; i++) {
        char pt[16];
        snprintf(pt, sizeof pt, "%u", m->codec[i].pt);
        if (epc_str_eqc(fmt, pt))
            return epc_str_ieqc(m->codec[i].name, "telephone-event");
    }
    return false;
}

static bool has_alternatives(const struct iq_local *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->media->n_fmt; i++) {
        bool in = !l->only;
        for (size_t k = 0; l->only && k < l->only->n_fmt; k++)
            in = in || epc_str_eq(l->only->fmt[k], l->media->fmt[i]);
        n += in && !is_event_format(l->media, l->media->fmt[i]);
    }
    return n > 1;
}

/* TS 23.334 5.9: a little above what the description allows, in octets a second. */
static uint32_t police_rate(const struct iq_ctx *c, const struct epc_sdp_media *m)
{
    const struct epc_cfg_iq *cfg = &c->gw->cfg->iq;
    uint64_t bps = epc_str_ieqc(m->type, "video") ? cfg->video_bps
                   : epc_str_ieqc(m->type, "audio") ? cfg->audio_bps
                                                    : 0;
    if (!cfg->police)
        return 0;
    for (size_t i = 0; i < m->n_bw; i++)
        if (epc_str_eqc(m->bw[i].type, "AS") && m->bw[i].value > 0 && m->bw[i].value < UINT32_MAX / 1000)
            bps = m->bw[i].value * 1000;
    uint64_t octets = bps * 105 / 100 / 8;
    return octets < UINT32_MAX ? (uint32_t)octets : UINT32_MAX;
}

static uint32_t marking(const struct iq_ctx *c, const struct epc_sdp_media *m)
{
    const struct epc_cfg_iq *cfg = &c->gw->cfg->iq;
    return epc_str_ieqc(m->type, "audio") ? cfg->dscp_audio : epc_str_ieqc(m->type, "video") ? cfg->dscp_video : 0;
}

static void wish_for(struct epc_buf *b, const struct iq_local *l)
{
    struct iq_local all = *l;
    all.got = NULL;
    all.ask = IQ_ASK_ALL;
    iq_local_text(b, &all);
}

/* Local as it shall be; sent when something else is wished for than before, or asked for anew. */
static void set_local(struct planner *p, enum epc_gw_side side, size_t i, const struct epc_sdp_media *m,
                      const struct epc_sdp_media *only, enum epc_sdp_setup setup)
{
    struct iq_stream *s = &p->c->next_stream[side][i];
    const struct iq_stream *h = had(p->c, side, i);
    bool back = p->restoring && h->before;
    const struct epc_sdp *got = !h->on ? NULL : back ? h->before : h->got;
    struct iq_local l = {side, m, only, got ? &got->media[0] : NULL, 0, setup, s->ip6};
    struct epc_buf wish = {0}, text = {0};
    if (!got)
        s->ask = IQ_ASK_ALL;
    wish_for(&wish, &l);
    bool same = got && !back && !s->ask && h->wish && wish.p && strcmp(h->wish, wish.p) == 0;
    put_text(p, &s->wish, &wish);
    s->several = has_alternatives(&l);
    if (side == EPC_GW_ACCESS)
        s->rate = police_rate(p->c, m);
    s->dscp = marking(p->c, m);
    l.ask = s->ask;
    iq_local_text(&text, &l);
    put_text(p, &s->local, &text);
    s->send_local = !same;
}

static uint64_t key_of(const struct epc_buf *b)
{
    uint64_t key = b->n && !b->failed ? epc_hash_bytes(b->p, b->n) : 0;
    return key || !b->n ? key : 1;
}

static uint64_t ice_key(const struct epc_sdp_media *m)
{
    struct epc_buf b = {0};
    epc_buf_printf(&b, "%.*s %.*s", EPC_STR_ARG(m->ice_ufrag), EPC_STR_ARG(m->ice_pwd));
    uint64_t key = key_of(&b);
    epc_buf_free(&b);
    return key;
}

static uint64_t dtls_key(const struct epc_sdp_media *m)
{
    struct epc_buf b = {0};
    epc_buf_printf(&b, "%.*s", EPC_STR_ARG(m->tls_id));
    for (size_t i = 0; i < m->n_fingerprint; i++)
        epc_buf_printf(&b, " %.*s", EPC_STR_ARG(m->fingerprint[i].value));
    uint64_t key = key_of(&b);
    epc_buf_free(&b);
    return key;
}

static void set_remote(struct planner *p, enum epc_gw_side side, size_t i, const struct epc_sdp_media *m)
{
    struct iq_stream *s = &p->c->next_stream[side][i];
    struct epc_buf text = {0};
    iq_remote_text(&text, m);
    put_text(p, &s->remote, &text);
    if (side == EPC_GW_ACCESS) {
        s->check_due = s->check_due || s->ice_key != ice_key(m);
        s->ice_key = ice_key(m);
        s->dtls_key = dtls_key(m);
    } else /* never a WebRTC leg: STUN tells its address */
        s->filter = p->c->gw->cfg->iq.filter_core && !p->c->gw->cfg->iq.latch_core;
}

static void turn_off(struct iq_ctx *c, size_t i)
{
    for (int side = 0; side < 2; side++) {
        struct iq_stream *s = &c->next_stream[side][i];
        free(s->wish);
        free(s->offered);
        free(s->local);
        free(s->remote);
        *s = (struct iq_stream){0};
    }
}

static void turn_on(struct iq_ctx *c, size_t i, enum epc_gw_side from, bool from_ip6)
{
    for (int side = 0; side < 2; side++) {
        struct iq_stream *s = &c->next_stream[side][i];
        s->on = true;
        s->ask = IQ_ASK_ALL;
        s->ip6 = side == (int)from            ? from_ip6
                 : side == (int)EPC_GW_ACCESS ? c->gw->cfg->iq.access_ip6
                                              : c->gw->cfg->iq.core_ip6;
        s->mode = side == (int)EPC_GW_ACCESS ? IQ_SENDRECV : IQ_INACTIVE;
        s->rtcp = side == (int)EPC_GW_CORE; /* the access side multiplexes */
    }
}

static void set_mode(struct iq_ctx *c, size_t i)
{
    struct iq_stream *s = &c->next_stream[EPC_GW_CORE][i];
    bool in = s->to_access && c->to_access, out = s->to_core && c->to_core;
    if (s->on)
        s->mode = in && out ? IQ_SENDRECV : in ? IQ_RECVONLY : out ? IQ_SENDONLY : IQ_INACTIVE;
}

/* ---- roles --------------------------------------------------------------------------------------------- */

/* The gateway waits for the WIC's handshake unless the WIC insists on waiting itself (RFC 8842 5). */
static enum epc_sdp_setup role_beside(enum epc_sdp_setup wic)
{
    return wic == EPC_SETUP_PASSIVE ? EPC_SETUP_ACTIVE : EPC_SETUP_PASSIVE;
}

static bool sends(enum epc_sdp_dir d)
{
    return d == EPC_SDP_SENDRECV || d == EPC_SDP_SENDONLY;
}

static bool receives(enum epc_sdp_dir d)
{
    return d == EPC_SDP_SENDRECV || d == EPC_SDP_RECVONLY;
}

static const struct epc_sdp_media *line(const struct epc_sdp *s, size_t i)
{
    return s && i < s->n_media ? &s->media[i] : NULL;
}

/* ---- offer ------------------------------------------------------------------------------------------------ */

/* What the WIC starts anew, the gateway must too: ICE (RFC 8445 9), the DTLS association (RFC 8842 5.5). */
static unsigned restarts(const struct iq_ctx *c, enum epc_gw_side from, size_t i, const struct epc_sdp_media *r)
{
    const struct iq_stream *h = had(c, EPC_GW_ACCESS, i);
    if (from != EPC_GW_ACCESS || !h->remote)
        return 0;
    return (h->ice_key == ice_key(r) ? 0 : IQ_ASK_ICE) | (h->dtls_key == dtls_key(r) ? 0 : IQ_ASK_DTLS);
}

/* What is offered to a side a second time, be it with another direction, leaves what was agreed alone. */
static bool offered_before(struct planner *p, enum epc_gw_side side, size_t i, const struct epc_sdp_media *m)
{
    struct iq_stream *s = &p->c->next_stream[side][i];
    const struct iq_stream *h = had(p->c, side, i);
    struct iq_local l = {side, m, NULL, NULL, IQ_ASK_ALL, EPC_SETUP_NONE, s->ip6};
    struct epc_buf b = {0};
    iq_local_text(&b, &l);
    put_text(p, &s->offered, &b);
    return !p->restoring && h->on && h->got && h->offered && s->offered && strcmp(h->offered, s->offered) == 0;
}

static void offer_stream(struct planner *p, enum epc_gw_side from, size_t i, const struct epc_sdp_media *r,
                         const struct epc_sdp_media *w)
{
    struct iq_ctx *c = p->c;
    enum epc_gw_side other = other_side(from);
    struct iq_stream *a = &c->next_stream[from][i], *b = &c->next_stream[other][i];
    bool fresh = !a->on;
    a->leaving = b->leaving = a->refused = b->refused = false;
    if (!r || !w || r->port == 0 || w->port == 0) {
        a->leaving = b->leaving = a->on;
        return;
    }
    if (fresh) {
        turn_on(c, i, from, r->c_ip6);
        c->next_role[i] = from == EPC_GW_ACCESS ? role_beside(r->setup) : EPC_SETUP_ACTPASS;
    } else {
        a->ask = p->restoring ? 0 : restarts(c, from, i, r);
        if (a->ask & IQ_ASK_DTLS)
            c->next_role[i] = role_beside(r->setup);
    }
    if (fresh || a->ask)
        set_local(p, from, i, r, NULL, from == EPC_GW_ACCESS ? c->next_role[i] : EPC_SETUP_NONE);
    set_remote(p, from, i, r);
    if (!offered_before(p, other, i, w)) /* a running association keeps its roles */
        set_local(p, other, i, w, NULL, other == EPC_GW_ACCESS ? c->next_role[i] : EPC_SETUP_NONE);
}

static void plan_offer(struct planner *p, enum epc_gw_side from, const struct epc_sdp *remote,
                       const struct epc_sdp *want)
{
    for (size_t i = 0; i < p->c->next_n; i++)
        offer_stream(p, from, i, line(remote, i), line(want ? want : remote, i));
}

/* ---- answer ----------------------------------------------------------------------------------------------- */

struct exchange {
    enum epc_gw_side answerer;
    const struct epc_sdp *offer, *offer_want, *answer, *answer_want;
};

/* The first offer may be answered by several (forks): what one refuses waits, gated, for another. */
static void refuse(struct planner *p, size_t i)
{
    struct iq_stream *s = &p->c->next_stream[EPC_GW_CORE][i];
    if (p->restoring || p->c->reoffered)
        turn_off(p->c, i);
    s->to_access = s->to_core = false;
    set_mode(p->c, i);
}

static void answer_stream(struct planner *p, const struct exchange *x, size_t i)
{
    struct iq_ctx *c = p->c;
    enum epc_gw_side self = x->answerer, other = other_side(self);
    const struct epc_sdp_media *o = line(x->offer, i), *ow = line(x->offer_want ? x->offer_want : x->offer, i);
    const struct epc_sdp_media *r = line(x->answer, i), *w = line(x->answer_want ? x->answer_want : x->answer, i);
    struct iq_stream *a = &c->next_stream[self][i], *b = &c->next_stream[other][i];
    if (!a->on || a->leaving || !o || !ow) {
        turn_off(c, i);
        return;
    }
    a->refused = b->refused = !r || !w || r->port == 0 || w->port == 0;
    if (a->refused) {
        refuse(p, i);
        return;
    }
    if (!p->restoring)
        a->ask = b->ask = 0;
    enum epc_sdp_setup role = self == EPC_GW_ACCESS ? role_beside(r->setup) : c->next_role[i];
    c->next_role[i] = role;
    set_local(p, self, i, ow, r, self == EPC_GW_ACCESS ? role : EPC_SETUP_NONE);
    set_remote(p, self, i, r);
    set_local(p, other, i, x->answer_want ? w : o, x->answer_want ? NULL : r,
              other == EPC_GW_ACCESS ? role : EPC_SETUP_NONE);
    bool forth = sends(o->dir) && receives(r->dir), back = receives(o->dir) && sends(r->dir);
    c->next_stream[EPC_GW_CORE][i].to_core = other == EPC_GW_ACCESS ? forth : back;
    c->next_stream[EPC_GW_CORE][i].to_access = other == EPC_GW_ACCESS ? back : forth;
    set_mode(c, i);
}

static void plan_answer(struct planner *p, const struct exchange *x)
{
    for (size_t i = 0; i < p->c->next_n; i++)
        answer_stream(p, x, i);
}

/* ---- the whole --------------------------------------------------------------------------------------------- */

static bool start_from(struct planner *p, size_t n)
{
    struct iq_ctx *c = p->c;
    iq_plan_drop(c);
    c->next_n = n > c->n ? n : c->n;
    memcpy(c->next_role, c->role, sizeof c->next_role);
    for (int side = 0; side < 2; side++) {
        c->next_stream[side] = calloc(c->next_n ? c->next_n : 1, sizeof *c->next_stream[side]);
        if (!c->next_stream[side]) {
            p->failed = true;
            return false;
        }
        for (size_t i = 0; i < c->n; i++) {
            const struct iq_stream *h = &c->leg[side].stream[i];
            struct iq_stream *s = &c->next_stream[side][i];
            *s = *h;
            s->got = s->before = NULL;
            s->local = NULL;
            s->ask = 0;
            s->send_local = false;
            s->wish = copy(p, h->wish);
            s->offered = copy(p, h->offered);
            s->remote = copy(p, h->remote);
        }
    }
    return !p->failed;
}

static size_t lines_of(const struct epc_sdp *s)
{
    size_t n = s ? s->n_media : 0;
    return n < EPC_SDP_MAX_MEDIA ? n : EPC_SDP_MAX_MEDIA;
}

enum epc_err iq_plan(struct iq_ctx *c, const struct iq_op *op, struct epc_cause *cause)
{
    struct planner p = {.c = c, .restoring = op->kind == IQ_RESTORE};
    struct exchange x;
    if (!start_from(&p, lines_of(op->remote)))
        goto out;
    switch (op->kind) {
    case IQ_OFFER:
        plan_offer(&p, op->from, op->remote, op->want);
        break;
    case IQ_ANSWER:
        if (!c->offer) {
            epc_cause_set(cause, 500, NULL, "gateway: an answer without an offer");
            return EPC_EPROTO;
        }
        x = (struct exchange){op->from, c->offer, c->offer_want, op->remote, op->want};
        plan_answer(&p, &x);
        break;
    case IQ_RESTORE:
        plan_offer(&p, op->from, op->remote, op->want);
        x = (struct exchange){other_side(op->from), op->remote, op->want, op->answer, op->answer_want};
        plan_answer(&p, &x);
        break;
    case IQ_TIDY:
        for (size_t i = 0; i < c->next_n; i++)
            if (c->next_stream[EPC_GW_CORE][i].refused)
                turn_off(c, i);
        break;
    case IQ_GATE:
        for (size_t i = 0; c->answered && i < c->next_n; i++)
            set_mode(c, i);
        break;
    }
out:
    if (p.failed) {
        epc_cause_set(cause, 500, NULL, "gateway: out of memory");
        return EPC_ENOMEM;
    }
    if (p.unfit) {
        epc_cause_set(cause, 488, "H.248.1 Annex B", "description holds what Iq cannot carry");
        return EPC_EPROTO;
    }
    return EPC_OK;
}

/* ---- carried out --------------------------------------------------------------------------------------------- */

/* What the gateway has not told anew is as it was; what an offer made it choose anew is kept as it was, for
 * the offer's rejection. */
static void settle(struct iq_stream *s, struct iq_stream *h, enum iq_op_kind kind)
{
    unsigned asked = s->ask;
    s->ask = 0;
    s->check_due = s->check_due && kind == IQ_OFFER;
    s->send_local = false;
    if (!s->on)
        return;
    struct epc_sdp **was = kind == IQ_RESTORE && h->before ? &h->before : &h->got;
    if (!s->got) {
        s->got = *was;
        *was = NULL;
    } else if (kind == IQ_OFFER && asked && h->got) {
        s->before = h->got;
        h->got = NULL;
    }
    if (kind != IQ_OFFER && kind != IQ_RESTORE) {
        s->before = h->before;
        h->before = NULL;
    }
}

static void keep(struct epc_sdp **to, struct epc_sdp **from)
{
    epc_sdp_free(*to);
    *to = *from;
    *from = NULL;
}

void iq_plan_commit(struct iq_ctx *c, struct iq_op *op)
{
    for (int side = 0; side < 2; side++) {
        struct iq_stream *h = c->leg[side].stream, none = {0};
        for (size_t i = 0; i < c->next_n; i++)
            settle(&c->next_stream[side][i], i < c->n ? &h[i] : &none, op->kind);
        iq_streams_free(h, c->n);
        c->leg[side].stream = c->next_stream[side];
        c->next_stream[side] = NULL;
    }
    c->n = c->next_n;
    c->next_n = 0;
    c->unsure = false;
    memcpy(c->role, c->next_role, sizeof c->role);
    if (op->kind == IQ_OFFER || op->kind == IQ_RESTORE) {
        c->reoffered = c->offer != NULL;
        c->offerer = op->from;
        keep(&c->offer, &op->remote);
        keep(&c->offer_want, &op->want);
    }
    if (op->kind == IQ_OFFER)
        return;
    if (op->kind == IQ_ANSWER || op->kind == IQ_RESTORE)
        c->answered = true;
    if (op->kind == IQ_ANSWER)
        for (size_t i = 0; i < c->n; i++)
            if (c->leg[EPC_GW_CORE].stream[i].refused)
                iq_tidy_later(c);
    for (size_t i = 0; i < c->n; i++)
        if (!c->leg[EPC_GW_ACCESS].stream[i].on)
            c->ice[i] = EPC_GW_ICE_NEW;
        else if (c->answered && c->ice[i] == EPC_GW_ICE_NEW)
            c->ice[i] = EPC_GW_ICE_CHECKING;
}
