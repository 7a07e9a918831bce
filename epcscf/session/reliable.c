/* Reliable provisional responses for WICs that do not know them (RFC 3262): browsers' stacks often do
 * not, and an IMS core's callees want them.
 *   WIC calls:  the INVITE goes on with Supported: 100rel; a reliable response is acknowledged from here
 *               with a PRACK in the WIC's name and reaches it as an ordinary one.
 *   WIC called: what the core requires is taken off; the WIC's provisional responses become reliable here,
 *               are repeated until their PRACK comes, and hold up what must wait for it. */
#include "session/session_priv.h"

#include <sofia-sip/sip_header.h>
#include <stdlib.h>
#include <string.h>

enum { T1_MS = 500, GIVE_UP_MS = 64 * T1_MS }; /* RFC 3262 3 */

struct held {
    struct held *next;
    msg_t *msg;
    int status;
};

struct reliable {
    struct transfer *x;
    uint32_t rseq;           /* of the newest sent */
    msg_t *sent;             /* not acknowledged yet; NULL: nothing is outstanding */
    bool with_sdp;
    uint32_t interval_ms, waited_ms;
    struct held *queue, **tail;
    struct epc_timer timer;
};

enum epc_err reliable_request(struct transfer *x, msg_t *msg)
{
    if (!x->initial || !x->s || !x->ss->cfg->calls.reliable_for_wic)
        return EPC_OK;
    if (x->from == EPC_LEG_CORE) {
        if (!epc_sip_lists(msg, "Require", "100rel"))
            return EPC_OK;
        x->acts_reliably = true;
        enum epc_err err = epc_sip_unlist(msg, "Require", "100rel");
        return err == EPC_OK ? epc_sip_unlist(msg, "Supported", "100rel") : err;
    }
    /* Without an offer in the INVITE the reliable response would have one, and its PRACK the answer, which
     * only the WIC could give. */
    if (!epc_sip_sdp(sip_object(msg)).p || epc_sip_lists(msg, "Supported", "100rel") ||
        epc_sip_lists(msg, "Require", "100rel"))
        return EPC_OK;
    x->acts_reliably = true;
    return epc_sip_add(msg, "Supported", "100rel");
}

/* ---- towards the callee of a WIC ------------------------------------------------------------------- */

static bool is_reliable(msg_t *msg)
{
    const sip_t *sip = sip_object(msg);
    int status = sip->sip_status ? sip->sip_status->st_status : 0;
    return status > 100 && status < 200 && sip->sip_rseq && epc_sip_lists(msg, "Require", "100rel");
}

bool reliable_expected(struct transfer *x, const struct early *e, msg_t *msg)
{
    if (!x->acts_reliably || x->from != EPC_LEG_WIC || !is_reliable(msg))
        return true;
    uint32_t rseq = (uint32_t)sip_object(msg)->sip_rseq->rs_response;
    if (!e->rseq || rseq == e->rseq + 1)
        return true;
    if (rseq != e->rseq) { /* RFC 3262 4: neither acknowledged nor passed on */
        epc_count(EPC_C_SESSION_RELIABLE_OUT_OF_ORDER);
        epc_log(EPC_LOG_INFO, "session", "event=response-out-of-order call=%.128s rseq=%u after=%u",
                x->s->call_id, (unsigned)rseq, (unsigned)e->rseq);
    }
    return false;
}

void reliable_acknowledge(struct transfer *x, struct early *e, msg_t *msg)
{
    if (!x->acts_reliably || x->from != EPC_LEG_WIC || !is_reliable(msg))
        return;
    const sip_t *sip = sip_object(msg);
    e->rseq = (uint32_t)sip->sip_rseq->rs_response;
    dialog_prack(x->s, sip, e->rseq);
    epc_count(EPC_C_SESSION_RELIABLE_ACKNOWLEDGED);
    epc_sip_remove(msg, "RSeq");
    if (epc_sip_unlist(msg, "Require", "100rel") != EPC_OK)
        epc_sip_remove(msg, "Require"); /* without memory: the WIC must at least not take it for reliable */
}

/* ---- towards the caller of a WIC --------------------------------------------------------------------- */

static void send_next(struct reliable *r);

static void repeat(void *arg)
{
    struct reliable *r = arg;
    struct transfer *x = r->x;
    r->waited_ms += r->interval_ms;
    if (r->waited_ms < GIVE_UP_MS) {
        msg_t *copy = msg_dup(r->sent);
        r->interval_ms *= 2;
        epc_timer_start(x->ss->shard, &r->timer, r->interval_ms, repeat, r);
        if (copy)
            epc_sip_in_forward(x->in, &copy);
        return;
    }
    struct epc_cause cause;
    epc_cause_set(&cause, 504, "RFC 3262 3", "reliable response was not acknowledged");
    reliable_stop(x);
    x->finished = epc_sip_in_final_status(x->in) != 0; /* a 2xx may have waited behind it */
    session_release(x->s, RELEASE_WIC_ONLY, &cause, "SIP;cause=504;text=\"No PRACK\"");
}

static bool make_reliable(struct reliable *r, msg_t *msg)
{
    epc_sip_remove(msg, "RSeq");
    if (!sip_object(msg)->sip_to->a_tag)
        return false; /* no dialog, so there can be no PRACK */
    if (r->rseq == 0) {
        unsigned char random[3];
        epc_random(random, sizeof random);
        r->rseq = (uint32_t)random[0] << 16 | (uint32_t)random[1] << 8 | random[2];
    }
    return epc_sip_add(msg, "Require", "100rel") == EPC_OK && epc_sip_add(msg, "RSeq", "%u", (unsigned)++r->rseq) == EPC_OK &&
           (r->sent = msg_dup(msg)) != NULL;
}

static void send_now(struct reliable *r, msg_t **msg, int status)
{
    if (status < 200 && make_reliable(r, *msg)) {
        r->with_sdp = epc_sip_sdp(sip_object(*msg)).p != NULL;
        r->interval_ms = T1_MS;
        r->waited_ms = 0;
        epc_timer_start(r->x->ss->shard, &r->timer, T1_MS, repeat, r);
    }
    epc_sip_in_forward(r->x->in, msg);
}

static void send_next(struct reliable *r)
{
    struct held *h;
    while (!r->sent && (h = r->queue)) {
        r->queue = h->next;
        if (!r->queue)
            r->tail = &r->queue;
        send_now(r, &h->msg, h->status);
        if (h->msg)
            msg_destroy(h->msg);
        free(h);
    }
}

static void acknowledged(struct reliable *r)
{
    epc_timer_stop(r->x->ss->shard, &r->timer);
    if (r->sent)
        msg_destroy(r->sent);
    r->sent = NULL;
}

static void drop_queue(struct reliable *r)
{
    struct held *h;
    while ((h = r->queue)) {
        r->queue = h->next;
        msg_destroy(h->msg);
        free(h);
    }
    r->tail = &r->queue;
}

void reliable_forward(struct transfer *x, msg_t **msg, int status)
{
    struct reliable *r = x->reliable;
    if (!r && (r = calloc(1, sizeof *r))) {
        x->reliable = r;
        r->x = x;
        r->tail = &r->queue;
    }
    /* A final answer outruns what is not acknowledged, but for a 2xx behind a description (RFC 3262 3). */
    if (r && status >= 200 && !(status < 300 && r->sent && r->with_sdp)) {
        drop_queue(r);
        acknowledged(r);
    }
    struct held *h = r && r->sent ? calloc(1, sizeof *h) : NULL;
    if (!r || status >= 300 || (r->sent && !h))
        epc_sip_in_forward(x->in, msg);
    else if (!r->sent)
        send_now(r, msg, status);
    else {
        *h = (struct held){.msg = *msg, .status = status};
        *msg = NULL;
        *r->tail = h;
        r->tail = &h->next;
    }
}

static struct transfer *waiting_for(struct epc_session *s, const sip_rack_t *rack)
{
    for (struct transfer *x = s->transfers; x; x = x->next)
        if (x->reliable && x->reliable->sent && rack->ra_response == x->reliable->rseq &&
            rack->ra_method == sip_method_invite && rack->ra_cseq == epc_sip_in_sip(x->in)->sip_cseq->cs_seq)
            return x;
    return NULL;
}

static bool acts_for_callee(const struct epc_session *s)
{
    for (const struct transfer *x = s->transfers; x; x = x->next)
        if (x->initial && x->acts_reliably && x->from == EPC_LEG_CORE)
            return true;
    return false;
}

bool reliable_prack(struct epc_session *s, struct epc_sip_in *in)
{
    const sip_t *sip = epc_sip_in_sip(in);
    if (sip->sip_request->rq_method != sip_method_prack || epc_sip_in_leg(in) != EPC_LEG_CORE || !acts_for_callee(s))
        return false;
    struct transfer *x = sip->sip_rack ? waiting_for(s, sip->sip_rack) : NULL;
    struct epc_cause cause;
    dialog_seen_request(s, EPC_LEG_CORE, sip);
    if (!sip->sip_rack)
        epc_cause_set(&cause, 400, "RFC 3262 7.2", "PRACK without RAck");
    else if (!x)
        epc_cause_set(&cause, 481, "RFC 3262 3", "no response waits for this PRACK");
    else if (epc_sip_sdp(sip).p) /* the WIC has no transaction for an answer to it */
        epc_cause_set(&cause, 488, "RFC 3262 5", "no offer can be made in a PRACK here");
    else
        cause.sip_status = 0;
    if (cause.sip_status)
        epc_sip_in_refuse(in, &cause);
    else
        epc_sip_in_reply(in, 200, NULL, NULL);
    epc_sip_in_release(in);
    if (x) {
        acknowledged(x->reliable);
        send_next(x->reliable);
    }
    return true;
}

void reliable_stop(struct transfer *x)
{
    struct reliable *r = x->reliable;
    x->reliable = NULL;
    if (!r)
        return;
    acknowledged(r);
    drop_queue(r);
    free(r);
}
