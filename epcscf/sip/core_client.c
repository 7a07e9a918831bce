/* Client transactions of the core leg (RFC 3261 17.1, RFC 6026): what is sent, sent again, acknowledged
 * and given up. What an answer means to the rooms above is client.c's.
 *
 * Timer K is not kept: a repeated final answer of a non-INVITE finds no transaction and is dropped, which
 * is all that the timer is for. Timer D is: a repeated refusal of an INVITE must be acknowledged again. */
#include "sip/sip_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { VIA_ROOM = 80 }; /* what our Via will add */

enum tx_state {
    TX_TRYING,     /* RFC 3261: Calling or Trying */
    TX_PROCEEDING,
    TX_ACCEPTED,   /* INVITE with a 2xx: further ones come to the same place */
    TX_COMPLETED,  /* INVITE refused: ACK is kept */
};

struct core_tx {
    struct epc_hnode node;
    struct tx_link link;
    struct epc_sip *s;
    struct epc_sip_out *out; /* NULL: a CANCEL, or the room above has done with it */
    enum tx_state state;
    sip_method_t method;
    struct core_hop hop;
    struct core_wait wait;
    struct epc_timer timer;
    uint32_t interval_ms;
    uint64_t deadline_ms;
    char *text; /* the request; once refused, the ACK */
    size_t n;
    char branch[EPC_SIP_BRANCH_LEN];
};

struct tx_key {
    const char *branch;
    sip_method_t method; /* of CSeq; CANCEL shares the branch of what it cancels */
};

bool epc_core_tx_eq(const struct epc_hnode *node, const void *key)
{
    const struct core_tx *tx = EPC_CONTAINER(node, struct core_tx, node);
    const struct tx_key *k = key;
    return (tx->method == sip_method_cancel) == (k->method == sip_method_cancel) &&
           strcasecmp(tx->branch, k->branch) == 0;
}

static struct core_tx *find(struct epc_sip *s, const char *branch, sip_method_t method)
{
    struct tx_key k = {branch, method};
    if (!branch || strlen(branch) >= EPC_SIP_BRANCH_LEN)
        return NULL;
    struct epc_hnode *node = epc_hash_find(&s->core_tx, epc_sip_branch_hash(branch), &k);
    return node ? EPC_CONTAINER(node, struct core_tx, node) : NULL;
}

static void tx_free(void *obj)
{
    struct core_tx *tx = obj;
    free(tx->text);
    free(tx);
}

static void tx_end(struct core_tx *tx)
{
    struct epc_sip *s = tx->s;
    epc_timer_stop(s->sh, &tx->timer);
    core_net_forget(&tx->wait);
    epc_hash_del(&s->core_tx, &tx->node);
    epc_sip_unlink(&tx->link);
    if (tx->out)
        tx->out->tx = NULL;
    epc_shard_doom(s->sh, tx_free, tx);
}

void epc_core_tx_orphan(struct tx_link *l)
{
    tx_end(EPC_CONTAINER(l, struct core_tx, link));
}

/* ---- sending ------------------------------------------------------------------------------------ */

static enum epc_err transmit(struct core_tx *tx)
{
    return core_net_send(tx->s->net, &tx->hop, tx->text, tx->n, &tx->wait);
}

static void give_up(struct core_tx *tx, int status)
{
    struct epc_sip_out *out = tx->out;
    if (!out) {
        tx_end(tx);
        return;
    }
    epc_timer_stop(tx->s->sh, &tx->timer);
    epc_sip_out_local(out, status); /* ends the transaction, or waits on for a late 2xx */
}

static void on_timer(void *arg);

/* Timers A and E (when a datagram may have been lost), B and F. */
static void arm(struct core_tx *tx)
{
    uint64_t now = epc_now_ms(), left = tx->deadline_ms > now ? tx->deadline_ms - now : 0;
    epc_timer_start(tx->s->sh, &tx->timer, tx->interval_ms && tx->interval_ms < left ? tx->interval_ms : left,
                    on_timer, tx);
}

static void on_timer(void *arg)
{
    struct core_tx *tx = arg;
    if (tx->state == TX_COMPLETED) { /* timer D */
        if (tx->out) /* its own end is near: the refusal was delivered */
            tx->out->tx = NULL;
        tx->out = NULL;
        tx_end(tx);
        return;
    }
    if (epc_now_ms() >= tx->deadline_ms) {
        give_up(tx, 408);
        return;
    }
    epc_count(EPC_C_SIP_CORE_REPEATED);
    if (transmit(tx) != EPC_OK)
        epc_log(EPC_LOG_DEBUG, "sip", "event=not-repeated leg=core");
    tx->interval_ms = tx->method == sip_method_invite || tx->interval_ms * 2 < EPC_SIP_T2_MS ? tx->interval_ms * 2
                                                                                           : EPC_SIP_T2_MS;
    arm(tx);
}

/* Behind the request line (RFC 3261 18.1.1: the topmost Via is the sender's). */
static char *with_via(struct epc_sip *s, msg_t *msg, const char *branch, struct core_hop *hop, bool any, size_t *n)
{
    char via[EPC_ADDR_LEN + 80];
    size_t text_n = 0;
    char *text = epc_sip_text(msg, &text_n);
    const char *end = text ? memchr(text, '\n', text_n) : NULL;
    if (!end) {
        free(text);
        return NULL;
    }
    size_t line = (size_t)(end - text) + 1;
    if (any) /* TS 24.229 4.2A */
        hop->tcp = text_n + VIA_ROOM > s->cfg->udp_max_octets;
    int via_n = snprintf(via, sizeof via, "Via: SIP/2.0/%s %s:%u;branch=%s\r\n", hop->tcp ? "TCP" : "UDP", s->core_host,
                         (unsigned)s->core_port, branch);
    char *whole = realloc(text, text_n + (size_t)via_n + 1);
    if (!whole) {
        free(text);
        return NULL;
    }
    memmove(whole + line + via_n, whole + line, text_n - line + 1);
    memcpy(whole + line, via, (size_t)via_n);
    *n = text_n + (size_t)via_n;
    return whole;
}

static void trace(const struct core_hop *hop, msg_t *msg, const char *text, size_t n)
{
    if (!epc_trace_on())
        return;
    char peer[EPC_ADDR_LEN];
    const sip_t *sip = epc_sip_of(msg);
    epc_trace(EPC_TRACE_MW, true, epc_addr_text(&hop->addr, peer), sip->sip_call_id ? sip->sip_call_id->i_id : NULL,
              text, n);
}

/* @p msg borrowed. @p any_transport: UDP or TCP by size. */
static enum epc_err start(struct core_tx **result, struct epc_sip *s, struct epc_sip_out *out, msg_t *msg,
                          const char *branch, const struct core_hop *hop, bool any_transport)
{
    struct core_tx *tx = calloc(1, sizeof *tx);
    if (!tx)
        return EPC_ENOMEM;
    tx->s = s;
    tx->hop = *hop;
    tx->method = epc_sip_of(msg)->sip_request->rq_method;
    memcpy(tx->branch, branch, sizeof tx->branch);
    tx->text = with_via(s, msg, branch, &tx->hop, any_transport, &tx->n);
    enum epc_err err = tx->text ? transmit(tx) : EPC_ENOMEM;
    if (err) {
        tx_free(tx);
        return err;
    }
    trace(&tx->hop, msg, tx->text, tx->n);
    tx->out = out;
    tx->interval_ms = tx->hop.tcp ? 0 : s->t1_ms;
    tx->deadline_ms = epc_now_ms() + s->timer_b_ms;
    epc_hash_add(&s->core_tx, &tx->node, epc_sip_branch_hash(tx->branch));
    epc_sip_link(&s->txs, &tx->link);
    arm(tx);
    *result = tx;
    return EPC_OK;
}

enum epc_err epc_core_tx_start(struct epc_sip_out *out, msg_t *msg, const struct core_hop *hop, bool any_transport)
{
    return start(&out->tx, out->s, out, msg, out->branch, hop, any_transport);
}

void epc_core_tx_cancel(struct epc_sip_out *out, const char *extra)
{
    msg_t *msg = out->tx ? epc_sip_make_inner(epc_sip_of(out->req), SIP_METHOD_CANCEL, NULL, false, extra) : NULL;
    struct core_tx *tx;
    if (!msg)
        return;
    if (start(&tx, out->s, NULL, msg, out->branch, &out->tx->hop, false) != EPC_OK)
        epc_log(EPC_LOG_INFO, "sip", "event=cancel-lost leg=core");
    msg_destroy(msg);
}

void epc_core_tx_leave(struct epc_sip_out *out)
{
    struct core_tx *tx = out->tx;
    out->tx = NULL;
    if (!tx)
        return;
    tx->out = NULL;
    if (tx->state != TX_COMPLETED)
        tx_end(tx);
}

enum epc_err epc_core_send_stateless(struct epc_sip *s, msg_t *msg, const struct core_hop *hop, bool any_transport)
{
    char branch[EPC_SIP_BRANCH_LEN];
    struct core_hop to = *hop;
    size_t n;
    epc_sip_new_branch(branch);
    char *text = with_via(s, msg, branch, &to, any_transport, &n);
    enum epc_err err = text ? core_net_send(s->net, &to, text, n, NULL) : EPC_ENOMEM;
    if (!err)
        trace(&to, msg, text, n);
    free(text);
    return err;
}

/* ---- answers ------------------------------------------------------------------------------------ */

/* RFC 3261 17.1.1.3 */
static void acknowledge(struct core_tx *tx, const sip_t *resp)
{
    const sip_t *req = tx->out && tx->out->req ? epc_sip_of(tx->out->req) : NULL;
    msg_t *ack = req ? epc_sip_make_inner(req, SIP_METHOD_ACK, resp->sip_to, false, NULL) : NULL;
    size_t n = 0;
    char *text = ack ? with_via(tx->s, ack, tx->branch, &tx->hop, false, &n) : NULL;
    if (text) {
        free(tx->text);
        tx->text = text;
        tx->n = n;
        tx->state = TX_COMPLETED;
        core_net_forget(&tx->wait);
        if (core_net_send(tx->s->net, &tx->hop, tx->text, tx->n, NULL) != EPC_OK)
            epc_log(EPC_LOG_DEBUG, "sip", "event=ack-lost leg=core");
        trace(&tx->hop, ack, text, n);
        /* Timer D: nothing is repeated on a stream. */
        epc_timer_start(tx->s->sh, &tx->timer, tx->hop.tcp ? 0 : tx->s->t64_ms, on_timer, tx);
    }
    if (ack)
        msg_destroy(ack);
}

static void take_provisional(struct core_tx *tx, msg_t *msg)
{
    if (tx->state == TX_TRYING) {
        tx->state = TX_PROCEEDING;
        if (tx->method == sip_method_invite)
            epc_timer_stop(tx->s->sh, &tx->timer); /* timer C is client.c's */
        else {
            tx->interval_ms = tx->hop.tcp ? 0 : EPC_SIP_T2_MS;
            arm(tx);
        }
    }
    if (tx->out && tx->state == TX_PROCEEDING)
        epc_sip_out_response(tx->out, msg);
    else
        msg_destroy(msg);
}

static void take_refusal(struct core_tx *tx, msg_t *msg)
{
    if (tx->state == TX_COMPLETED) { /* our ACK was lost */
        if (core_net_send(tx->s->net, &tx->hop, tx->text, tx->n, NULL) != EPC_OK)
            epc_log(EPC_LOG_DEBUG, "sip", "event=ack-lost leg=core");
    } else if (tx->state != TX_ACCEPTED && tx->out) {
        struct epc_sip_out *out = tx->out;
        acknowledge(tx, epc_sip_of(msg));
        epc_sip_out_response(out, msg);
        return;
    }
    msg_destroy(msg);
}

static void take_accepted(struct core_tx *tx, msg_t *msg)
{
    epc_timer_stop(tx->s->sh, &tx->timer);
    core_net_forget(&tx->wait);
    if (tx->state != TX_COMPLETED)
        tx->state = TX_ACCEPTED;
    free(tx->text); /* nothing will be sent again */
    tx->text = NULL;
    if (tx->out)
        epc_sip_out_response(tx->out, msg); /* may end it */
    else
        msg_destroy(msg);
}

/* A final answer to anything but INVITE. */
static void take_final(struct core_tx *tx, msg_t *msg)
{
    struct epc_sip_out *out = tx->out;
    if (out)
        epc_sip_out_response(out, msg);
    else {
        msg_destroy(msg);
        tx_end(tx);
    }
}

bool epc_core_tx_response(struct epc_sip *s, msg_t *msg)
{
    const sip_t *sip = epc_sip_of(msg);
    int status = sip->sip_status->st_status;
    struct core_tx *tx = find(s, sip->sip_via->v_branch, sip->sip_cseq->cs_method);
    if (!tx || tx->method != sip->sip_cseq->cs_method)
        return false;
    const sip_t *req = tx->out && tx->out->req ? epc_sip_of(tx->out->req) : NULL;
    if (req && strcmp(sip->sip_call_id->i_id, req->sip_call_id->i_id) != 0)
        return false;
    if (status < 200)
        take_provisional(tx, msg);
    else if (tx->method != sip_method_invite)
        take_final(tx, msg);
    else if (status < 300 && tx->state != TX_COMPLETED)
        take_accepted(tx, msg);
    else
        take_refusal(tx, msg);
    return true;
}

/* An answer that cannot be read: final ones end the transaction all the same. */
void epc_core_tx_unreadable(struct epc_sip *s, const char *branch, sip_method_t method, int status)
{
    struct core_tx *tx = find(s, branch, method);
    if (tx && status >= 200 && (tx->state == TX_TRYING || tx->state == TX_PROCEEDING))
        give_up(tx, 503);
}

/* ---- failures ----------------------------------------------------------------------------------- */

static void transport_failed(struct core_tx *tx, const char *why)
{
    char peer[EPC_ADDR_LEN];
    if (tx->state != TX_TRYING && tx->state != TX_PROCEEDING)
        return;
    epc_log(EPC_LOG_INFO, "sip", "event=transport-failed leg=core peer=%s why=\"%s\"",
            epc_addr_text(&tx->hop.addr, peer), why);
    give_up(tx, 503);
}

void epc_core_tx_wait_failed(struct core_wait *w, const char *why)
{
    transport_failed(EPC_CONTAINER(w, struct core_tx, wait), why);
}

/* The quote begins with the request line and our Via; it may end anywhere. */
void epc_core_tx_bounced(struct epc_sip *s, const char *quote, size_t n, int err)
{
    static const char mark[] = ";branch=";
    char branch[EPC_SIP_BRANCH_LEN];
    const char *p = memmem(quote, n, mark, sizeof mark - 1);
    if (!p || n < 7 || memcmp(quote, "SIP/2.0", 7) == 0)
        return;
    p += sizeof mark - 1;
    size_t len = 0, left = n - (size_t)(p - quote);
    while (len < left && len + 1 < sizeof branch && p[len] != '\r' && p[len] != ';')
        len++;
    memcpy(branch, p, len);
    branch[len] = 0;
    struct core_tx *tx = find(s, branch, memcmp(quote, "CANCEL ", 7) == 0 ? sip_method_cancel : sip_method_invite);
    if (tx)
        transport_failed(tx, strerror(err));
}
