/* The interworking object: which exchange is committed, which is pending, and the steps between. */
#include "sdp/iw_priv.h"

#include <stdlib.h>
#include <string.h>

static void exchange_free(struct iw_exchange *x)
{
    for (int leg = 0; leg < IW_LEGS; leg++) {
        epc_sdp_free(x->recv[leg]);
        epc_sdp_free(x->remote[leg]);
        epc_sdp_free(x->local[leg]);
        epc_sdp_free(x->sent[leg]);
        epc_sdp_free(x->want[leg]);
    }
    *x = (struct iw_exchange){0};
}

enum epc_err epc_iw_create(struct epc_iw **out, const struct epc_iw_policy *p)
{
    struct epc_iw *w = calloc(1, sizeof *w);
    if (!w)
        return EPC_ENOMEM;
    w->policy = *p;
    for (int leg = 0; leg < IW_LEGS; leg++) {
        /* Positive 63-bit numbers, as RFC 8829 5.2.1 asks for: some peers keep them signed. */
        epc_random(&w->author[leg].id, sizeof w->author[leg].id);
        w->author[leg].id = (w->author[leg].id >> 2) | 1;
    }
    *out = w;
    return EPC_OK;
}

void epc_iw_free(struct epc_iw *w)
{
    if (!w)
        return;
    exchange_free(&w->committed);
    exchange_free(&w->pending);
    for (int leg = 0; leg < IW_LEGS; leg++)
        free(w->author[leg].body);
    free(w);
}

void epc_iw_rest(struct epc_iw *w)
{
    exchange_free(&w->committed);
    exchange_free(&w->pending);
    w->have_committed = w->have_pending = false;
}

static const char *leg_name(enum epc_sdp_leg leg)
{
    return leg == EPC_SDP_WIC ? "wic" : "core";
}

/* Every refusal passes here: one log line, one count. */
static enum epc_err refuse(enum epc_sdp_leg leg, enum epc_err err, struct epc_cause *cause)
{
    if (err == EPC_ENOMEM)
        epc_cause_set(cause, 500, NULL, "out of memory");
    if (err == EPC_ELIMIT)
        err = EPC_EPROTO;
    epc_count(EPC_C_SDP_REFUSED);
    epc_log(EPC_LOG_INFO, "sdp", "leg=%s refused=%d reason=\"%s\"", leg_name(leg), cause->sip_status,
            cause->reason);
    return err;
}

/* ---- m-lines of the two legs ----------------------------------------------------------------------------- */

static bool line_new_on_core(const struct epc_iw *w, enum epc_sdp_leg from, const struct epc_sdp_media *m)
{
    return from == EPC_SDP_CORE || iw_carried(&w->policy, EPC_SDP_WIC, m);
}

static enum epc_err map_from_wic(const struct epc_iw *w, struct iw_exchange *x, const struct epc_sdp *s)
{
    for (size_t i = 0; i < s->n_media; i++) {
        if (i >= x->n_streams) {
            x->core_of[i] = -1;
            x->n_streams = i + 1;
        }
        if (x->core_of[i] < 0 && line_new_on_core(w, EPC_SDP_WIC, &s->media[i]))
            x->core_of[i] = (int)x->n_core++;
    }
    return EPC_OK;
}

static enum epc_err map_from_core(struct iw_exchange *x, const struct epc_sdp *s)
{
    while (x->n_core < s->n_media) {
        if (x->n_streams == EPC_SDP_MAX_MEDIA)
            return EPC_ELIMIT;
        x->core_of[x->n_streams++] = (int)x->n_core++;
    }
    return EPC_OK;
}

static enum epc_err map_lines(const struct epc_iw *w, struct iw_exchange *x, enum epc_sdp_leg from,
                              struct epc_cause *cause)
{
    const struct epc_sdp *s = x->recv[from];
    if (w->have_committed) {
        x->n_streams = w->committed.n_streams;
        x->n_core = w->committed.n_core;
        memcpy(x->core_of, w->committed.core_of, sizeof x->core_of);
    }
    size_t before = from == EPC_SDP_WIC ? x->n_streams : x->n_core;
    if (s->n_media == 0 || s->n_media < before) {
        epc_cause_set(cause, 488, "RFC 3264 8", "%zu m-lines, %zu before", s->n_media, before);
        return EPC_EPROTO;
    }
    enum epc_err err = from == EPC_SDP_WIC ? map_from_wic(w, x, s) : map_from_core(x, s);
    if (err != EPC_OK)
        epc_cause_set(cause, 488, "RFC 3264 6", "more than %d m-lines", EPC_SDP_MAX_MEDIA);
    return err;
}

/* ---- checks ------------------------------------------------------------------------------------------------ */

static enum epc_err check_offer(const struct epc_iw *w, const struct iw_exchange *x, struct epc_cause *cause)
{
    const struct epc_sdp *s = x->recv[x->offerer];
    for (size_t i = 0; i < s->n_media; i++) {
        const struct epc_sdp_media *m = &s->media[i];
        if (m->port == 0 || !iw_carried(&w->policy, x->offerer, m))
            continue;
        enum epc_err err = iw_check_line(x->offerer, true, m, i + 1, cause);
        if (err != EPC_OK)
            return err;
    }
    return EPC_OK;
}

/* Something must be left, unless the offerer itself wants nothing. */
static enum epc_err check_rest(const struct iw_exchange *x, struct epc_cause *cause)
{
    const struct epc_sdp *s = x->recv[x->offerer], *r = x->remote[x->offerer];
    bool wanted = false, left = false, data = false, av = false, secure = true;
    for (size_t i = 0; i < s->n_media; i++) {
        const struct epc_sdp_media *m = &s->media[i];
        if (m->port == 0 && !m->bundle_only)
            continue;
        bool this_av = epc_str_eqc(m->type, "audio") || epc_str_eqc(m->type, "video");
        wanted = true;
        av = av || this_av;
        data = data || epc_str_eqc(m->type, "application");
        if (this_av && !iw_carried(&(struct epc_iw_policy){0}, x->offerer, m))
            secure = false;
    }
    for (size_t i = 0; i < r->n_media; i++)
        left = left || r->media[i].port != 0;
    if (!wanted || left)
        return EPC_OK;
    epc_cause_set(cause, 488, "RFC 3264 6", "%s",
                  !av && data ? "data channels alone cannot be carried"
                  : !av       ? "no media type that can be carried"
                  : !secure   ? "no transport protocol that can be carried"
                              : "no codec in common");
    cause->warning = !av     ? "304 epcscf \"Media type not available\""
                     : !secure ? "302 epcscf \"Incompatible transport protocol\""
                               : "305 epcscf \"Incompatible media format\"";
    return EPC_EPROTO;
}

static enum epc_err check_answer(const struct epc_iw *w, const struct iw_exchange *x, struct epc_cause *cause)
{
    enum epc_sdp_leg leg = iw_other(x->offerer);
    const struct epc_sdp *offer = x->sent[leg], *s = x->recv[leg];
    if (s->n_media != offer->n_media) {
        epc_cause_set(cause, 488, "RFC 3264 6", "answer has %zu m-lines, the offer %zu", s->n_media,
                      offer->n_media);
        return EPC_EPROTO;
    }
    for (size_t i = 0; i < s->n_media; i++) {
        const struct epc_sdp_media *m = &s->media[i];
        if (!epc_str_eq(m->type, offer->media[i].type)) {
            epc_cause_set(cause, 488, "RFC 3264 6", "m-line %zu changed its media type", i + 1);
            return EPC_EPROTO;
        }
        if (m->port == 0 || offer->media[i].port == 0 || !iw_carried(&w->policy, leg, m))
            continue;
        enum epc_err err = iw_check_line(leg, false, m, i + 1, cause);
        if (err != EPC_OK)
            return err;
    }
    return EPC_OK;
}

/* ---- offer -------------------------------------------------------------------------------------------------- */

enum epc_err epc_iw_offer(struct epc_iw *w, enum epc_sdp_leg from, struct epc_str sdp,
                          struct epc_sdp **remote, bool *unchanged, struct epc_cause *cause)
{
    struct epc_cause own = {0};
    struct iw_exchange x = {.offerer = from};
    enum epc_err err;
    if (!cause)
        cause = &own;
    if (w->have_pending) {
        if (w->pending.offerer == from) {
            epc_cause_set(cause, 500, "RFC 3261 14.2", "an offer of this side is still open");
            cause->retry_after_s = 5;
        } else {
            epc_cause_set(cause, 491, "RFC 3261 14.2", "Request Pending");
        }
        return EPC_EAGAIN;
    }
    err = epc_sdp_parse(&x.recv[from], sdp, cause);
    if (err == EPC_OK)
        err = map_lines(w, &x, from, cause);
    if (err == EPC_OK)
        err = check_offer(w, &x, cause);
    if (err == EPC_OK)
        err = iw_remote(w, &x, from, &x.remote[from], cause);
    if (err == EPC_OK)
        err = check_rest(&x, cause);
    if (err == EPC_OK)
        err = iw_want(w, &x, iw_other(from), cause);
    if (err != EPC_OK) {
        exchange_free(&x);
        return refuse(from, err, cause);
    }
    x.offer_unchanged = w->have_committed && x.n_streams == w->committed.n_streams &&
                        iw_same_media(x.remote[from], w->committed.remote[from]);
    w->pending = x;
    w->have_pending = true;
    *remote = epc_sdp_ref(x.remote[from]);
    *unchanged = x.offer_unchanged;
    return EPC_OK;
}

/* The gateway's description to use: the new one (kept in the exchange), else the last known. */
static enum epc_err take_local(struct epc_iw *w, enum epc_sdp_leg leg, const struct epc_sdp *local,
                               const struct epc_sdp **use, struct epc_sdp **copy)
{
    *copy = NULL;
    if (local) {
        *use = *copy = epc_sdp_ref(local);
        return EPC_OK;
    }
    *use = w->pending.local[leg];
    if (!*use && w->have_committed)
        *use = w->committed.local[leg];
    return *use ? EPC_OK : EPC_EINVAL;
}

static enum epc_err send_with(struct epc_iw *w, enum epc_sdp_leg leg, const struct epc_sdp *local,
                              struct epc_buf *out, struct epc_cause *cause)
{
    struct epc_cause own = {0};
    const struct epc_sdp *use;
    struct epc_sdp *copy;
    if (!cause)
        cause = &own;
    enum epc_err err = take_local(w, leg, local, &use, &copy);
    if (err == EPC_EINVAL)
        epc_cause_set(cause, 500, NULL, "no description of the gateway for this side");
    if (err == EPC_OK)
        err = iw_send(w, &w->pending, leg, use, out, cause);
    if (err != EPC_OK) {
        epc_sdp_free(copy);
        return refuse(leg, err, cause);
    }
    if (copy) {
        epc_sdp_free(w->pending.local[leg]);
        w->pending.local[leg] = copy;
    }
    return EPC_OK;
}

enum epc_err epc_iw_offer_out(struct epc_iw *w, const struct epc_sdp *local, struct epc_buf *out,
                              struct epc_cause *cause)
{
    if (!w->have_pending)
        return EPC_EINVAL;
    return send_with(w, iw_other(w->pending.offerer), local, out, cause);
}

/* ---- answer ------------------------------------------------------------------------------------------------- */

enum epc_err epc_iw_answer(struct epc_iw *w, struct epc_str sdp, struct epc_sdp **remote, bool *unchanged,
                           struct epc_cause *cause)
{
    struct epc_cause own = {0};
    enum epc_err err;
    if (!cause)
        cause = &own;
    if (!w->have_pending)
        return EPC_EINVAL;
    enum epc_sdp_leg leg = iw_other(w->pending.offerer);
    if (!w->pending.sent[leg])
        return EPC_EINVAL;
    struct iw_exchange x = w->pending; /* borrowed but for the two that are replaced */
    x.recv[leg] = x.remote[leg] = x.want[x.offerer] = NULL;
    err = epc_sdp_parse(&x.recv[leg], sdp, cause);
    if (err == EPC_OK)
        err = check_answer(w, &x, cause);
    if (err == EPC_OK)
        err = iw_remote(w, &x, leg, &x.remote[leg], cause);
    if (err == EPC_OK)
        err = iw_want(w, &x, x.offerer, cause);
    if (err != EPC_OK) {
        epc_sdp_free(x.recv[leg]);
        epc_sdp_free(x.remote[leg]);
        epc_sdp_free(x.want[x.offerer]);
        return refuse(leg, err, cause);
    }
    const struct epc_sdp *last = w->pending.remote[leg];
    if (!last && w->pending.offer_unchanged && w->committed.offerer == w->pending.offerer)
        last = w->committed.remote[leg];
    *unchanged = iw_same_media(x.remote[leg], last);
    epc_sdp_free(w->pending.recv[leg]);
    epc_sdp_free(w->pending.remote[leg]);
    w->pending.recv[leg] = x.recv[leg];
    w->pending.remote[leg] = x.remote[leg];
    epc_sdp_free(w->pending.want[x.offerer]);
    w->pending.want[x.offerer] = x.want[x.offerer];
    memcpy(w->pending.transcoded, x.transcoded, sizeof x.transcoded);
    *remote = epc_sdp_ref(x.remote[leg]);
    return EPC_OK;
}

enum epc_err epc_iw_answer_out(struct epc_iw *w, const struct epc_sdp *local, struct epc_buf *out,
                               struct epc_cause *cause)
{
    if (!w->have_pending || !w->pending.remote[iw_other(w->pending.offerer)])
        return EPC_EINVAL;
    return send_with(w, w->pending.offerer, local, out, cause);
}

/* Does the core's offer have a codec of what the WIC uses, or one that the gateway makes of it? */
static bool iw_common(const struct iw_exchange *x, size_t stream)
{
    const struct epc_sdp_media *offer = &x->remote[EPC_SDP_CORE]->media[stream];
    const struct epc_sdp_media *answer = &x->want[EPC_SDP_CORE]->media[stream];
    if (offer->port == 0)
        return false;
    for (size_t i = 0; i < offer->n_codec; i++)
        for (size_t k = 0; k < answer->n_codec; k++)
            if (epc_str_ieq(offer->codec[i].name, answer->codec[k].name) &&
                !epc_str_ieqc(offer->codec[i].name, "telephone-event"))
                return true;
    return !sdp_proto_is_rtp(offer->proto);
}

enum epc_err epc_iw_answer_for_wic(struct epc_iw *w, struct epc_sdp **remote, struct epc_cause *cause)
{
    struct iw_exchange *x = &w->pending;
    bool runs = false;
    if (!w->have_pending || x->offerer != EPC_SDP_CORE || x->recv[EPC_SDP_WIC] || x->sent[EPC_SDP_WIC] ||
        !w->committed.recv[EPC_SDP_WIC] || !w->committed.sent[EPC_SDP_WIC])
        return EPC_EINVAL;
    x->recv[EPC_SDP_WIC] = epc_sdp_ref(w->committed.recv[EPC_SDP_WIC]);
    x->sent[EPC_SDP_WIC] = epc_sdp_ref(w->committed.sent[EPC_SDP_WIC]);
    enum epc_err err = iw_remote(w, x, EPC_SDP_WIC, &x->remote[EPC_SDP_WIC], cause);
    if (err == EPC_OK)
        err = iw_want(w, x, EPC_SDP_CORE, cause);
    for (size_t i = 0; err == EPC_OK && i < x->n_streams; i++)
        runs = runs || (x->remote[EPC_SDP_WIC]->media[i].port && iw_common(x, i));
    if (err == EPC_OK && !runs) {
        epc_cause_set(cause, 488, "RFC 3311 5.2", "the offer has nothing of what the WIC uses");
        err = EPC_EPROTO;
    }
    if (err == EPC_OK)
        *remote = epc_sdp_ref(x->remote[EPC_SDP_WIC]);
    return err;
}

/* ---- end of an exchange -------------------------------------------------------------------------------------- */

void epc_iw_commit(struct epc_iw *w)
{
    if (!w->have_pending)
        return;
    if (!w->pending.sent[w->pending.offerer]) { /* never answered: there is nothing to keep */
        epc_iw_rollback(w);
        return;
    }
    for (int leg = 0; leg < IW_LEGS; leg++)
        if (!w->pending.local[leg]) {
            w->pending.local[leg] = w->committed.local[leg];
            w->committed.local[leg] = NULL;
        }
    exchange_free(&w->committed);
    w->committed = w->pending;
    w->pending = (struct iw_exchange){0};
    w->have_committed = true;
    w->have_pending = false;
}

void epc_iw_rollback(struct epc_iw *w)
{
    exchange_free(&w->pending);
    w->have_pending = false;
}

enum epc_err epc_iw_reopen(struct epc_iw *w)
{
    if (!w->have_committed || w->have_pending)
        return EPC_EINVAL;
    w->pending = w->committed;
    w->pending.offer_unchanged = false;
    w->committed = (struct iw_exchange){0};
    w->have_pending = true;
    w->have_committed = false;
    return EPC_OK;
}

/* ---- views ------------------------------------------------------------------------------------------------------ */

bool epc_iw_pending(const struct epc_iw *w)
{
    return w->have_pending;
}

enum epc_sdp_leg epc_iw_offerer(const struct epc_iw *w)
{
    return w->have_pending ? w->pending.offerer : w->committed.offerer;
}

void epc_iw_access(const struct epc_iw *w, const struct epc_sdp **uplink, const struct epc_sdp **downlink,
                   bool *uplink_is_offer)
{
    const struct iw_exchange *x = w->have_pending ? &w->pending : &w->committed;
    *uplink = x->recv[EPC_SDP_WIC];
    *downlink = x->sent[EPC_SDP_WIC];
    *uplink_is_offer = x->offerer == EPC_SDP_WIC;
}

void epc_iw_gateway_state(const struct epc_iw *w, enum epc_sdp_leg *offerer, const struct epc_sdp **offer,
                          const struct epc_sdp **answer)
{
    const struct iw_exchange *x = &w->committed;
    *offerer = x->offerer;
    *offer = w->have_committed ? x->remote[x->offerer] : NULL;
    *answer = w->have_committed ? x->remote[iw_other(x->offerer)] : NULL;
}

unsigned epc_iw_media_number(const struct epc_iw *w, size_t stream)
{
    (void)w; /* streams are numbered as the WIC's m-lines are */
    return (unsigned)stream + 1;
}

const struct epc_sdp *epc_iw_want(const struct epc_iw *w)
{
    const struct iw_exchange *x = &w->pending;
    if (!w->have_pending)
        return NULL;
    enum epc_sdp_leg to = iw_other(x->offerer);
    return x->recv[to] ? x->want[x->offerer] : x->want[to];
}

const struct epc_sdp *epc_iw_committed_want(const struct epc_iw *w, enum epc_sdp_leg leg)
{
    return w->have_committed ? w->committed.want[leg] : NULL;
}

bool epc_iw_transcoded(const struct epc_iw *w, size_t stream)
{
    const struct iw_exchange *x = w->have_pending ? &w->pending : &w->committed;
    return stream < EPC_SDP_MAX_MEDIA && x->transcoded[stream];
}
