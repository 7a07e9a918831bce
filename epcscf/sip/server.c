/* Server transactions of both legs (RFC 3261 17.2). On the core leg nta keeps the state machine; on
 * the WSS leg it is here, without the timers that a reliable transport does not need. */
#include "sip/sip_priv.h"

#include <stdlib.h>
#include <string.h>

struct in_key {
    uint64_t flow_id;
    const char *branch, *method;
};

static uint64_t key_hash(uint64_t flow_id, const char *branch, const char *method)
{
    return epc_hash_u64(flow_id ^ epc_hash_bytes(branch, strlen(branch)) ^
                        epc_hash_bytes(method, strlen(method)));
}

bool epc_sip_in_eq(const struct epc_hnode *node, const void *key)
{
    const struct epc_sip_in *in = EPC_CONTAINER(node, struct epc_sip_in, node);
    const struct in_key *k = key;
    return in->flow_id == k->flow_id && strcmp(in->branch, k->branch) == 0 &&
           strcmp(in->method, k->method) == 0;
}

struct epc_sip_in *epc_sip_in_find(struct epc_sip *s, uint64_t flow_id, const char *branch,
                                   const char *method)
{
    struct in_key k = {flow_id, branch, method};
    struct epc_hnode *node = epc_hash_find(&s->wic_in, key_hash(flow_id, branch, method), &k);
    return node ? EPC_CONTAINER(node, struct epc_sip_in, node) : NULL;
}

static enum epc_counter gauge(enum epc_leg leg)
{
    return leg == EPC_LEG_WIC ? EPC_C_SIP_TX_WIC : EPC_C_SIP_TX_CORE;
}

struct epc_sip_in *epc_sip_in_new(struct epc_sip *s, enum epc_leg leg, uint64_t flow_id, msg_t *msg,
                                  nta_incoming_t *irq)
{
    sip_t *sip = epc_sip_of(msg);
    const char *branch = sip->sip_via->v_branch, *method = sip->sip_request->rq_method_name;
    size_t nb = strlen(branch) + 1, nm = strlen(method) + 1;
    struct epc_sip_in *in = calloc(1, sizeof *in + nb + nm);
    if (!in)
        return NULL;
    char *text = (char *)(in + 1);
    memcpy(text, branch, nb);
    memcpy(text + nb, method, nm);
    in->branch = text;
    in->method = text + nb;
    in->s = s;
    in->leg = leg;
    in->flow_id = flow_id;
    in->req = msg;
    in->sip = sip;
    in->irq = irq;
    in->invite = sip->sip_request->rq_method == sip_method_invite;
    if (leg == EPC_LEG_WIC) {
        epc_hash_add(&s->wic_in, &in->node, key_hash(flow_id, branch, method));
        in->in_table = true;
    }
    epc_sip_link(&s->ins, &in->link);
    epc_count(gauge(leg));
    return in;
}

/* Made when first needed: most transactions only forward. */
const char *epc_sip_in_tag(struct epc_sip_in *in)
{
    unsigned char raw[8];
    if (!in->to_tag[0]) {
        epc_random(raw, sizeof raw);
        for (size_t i = 0; i < sizeof raw; i++)
            snprintf(in->to_tag + 2 * i, 3, "%02x", raw[i]);
    }
    return in->to_tag;
}

static void in_free(void *obj)
{
    struct epc_sip_in *in = obj;
    free(in->last);
    free(in);
}

static void forget_messages(struct epc_sip_in *in)
{
    if (in->req)
        msg_destroy(in->req);
    if (in->cancel)
        msg_destroy(in->cancel);
    in->req = NULL;
    in->sip = NULL;
    in->cancel = NULL;
}

/* Out of every table; the memory goes at the end of the turn, as a caller may still hold it. */
static void in_over(struct epc_sip_in *in)
{
    struct epc_sip *s = in->s;
    if (in->over)
        return;
    in->over = true;
    epc_timer_stop(s->sh, &in->timer);
    if (in->in_table)
        epc_hash_del(&s->wic_in, &in->node);
    in->in_table = false;
    epc_sip_unlink(&in->link);
    epc_count_add(gauge(in->leg), -1);
    if (in->irq)
        nta_incoming_destroy(in->irq);
    in->irq = NULL;
    forget_messages(in);
    epc_shard_doom(s->sh, in_free, in);
}

void epc_sip_in_orphan(struct epc_sip_in *in)
{
    in_over(in);
    in->s = NULL;
}

static void timer_fired(void *arg)
{
    struct epc_sip_in *in = arg;
    in->wait_ack = false; /* timer H */
    if (in->released)
        in_over(in);
}

/* ---- what the room does --------------------------------------------------------------------- */

enum epc_leg epc_sip_in_leg(const struct epc_sip_in *in)
{
    return in->leg;
}

uint64_t epc_sip_in_flow(const struct epc_sip_in *in)
{
    return in->flow_id;
}

const sip_t *epc_sip_in_sip(const struct epc_sip_in *in)
{
    return in->sip;
}

msg_t *epc_sip_in_dup(const struct epc_sip_in *in)
{
    return in->req ? msg_dup(in->req) : NULL;
}

struct epc_str epc_sip_in_get(const struct epc_sip_in *in, const char *name, unsigned i)
{
    return in->req ? epc_sip_get(in->req, name, i) : EPC_STR_NULL;
}

int epc_sip_in_final_status(const struct epc_sip_in *in)
{
    return in->final;
}

static void send_wic(struct epc_sip_in *in, msg_t *resp, int status)
{
    char *text = NULL;
    size_t n = 0;
    if (epc_sip_wic_send(in->s, in->flow_id, resp, &text, &n) != EPC_OK)
        epc_log(EPC_LOG_DEBUG, "sip", "event=answer-lost leg=wic status=%d flow=%llx", status,
                (unsigned long long)in->flow_id);
    if (text) {
        free(in->last);
        in->last = text;
        in->last_n = n;
    }
    msg_destroy(resp);
}

static void send_core(struct epc_sip_in *in, msg_t *resp)
{
    if (!in->irq) {
        msg_destroy(resp);
        return;
    }
    if (epc_trace_on()) {
        char peer[EPC_ADDR_LEN] = "";
        const sip_via_t *v = epc_sip_of(resp)->sip_via;
        snprintf(peer, sizeof peer, "%.40s:%.8s", v->v_received ? v->v_received : v->v_host,
                 v->v_port ? v->v_port : "5060");
        epc_sip_trace_msg(EPC_TRACE_MW, true, peer, resp);
    }
    /* nta takes the message whatever it returns. */
    nta_incoming_mreply(in->irq, resp);
}

/* The one way out for responses; takes @p resp. */
static void respond(struct epc_sip_in *in, msg_t *resp, int status)
{
    int before = in->final;
    if (status >= 200 && (!before || status < 300))
        in->final = status;
    if (in->leg == EPC_LEG_CORE) {
        send_core(in, resp);
        return;
    }
    if (before == 0 && status >= 300 && in->invite) {
        in->wait_ack = true;
        epc_timer_start(in->s->sh, &in->timer, in->s->t64_ms, timer_fired, in);
    }
    send_wic(in, resp, status);
}

/* May this status still be sent? RFC 3261 17.2: one final, but any number of 2xx to INVITE. */
static bool may_send(const struct epc_sip_in *in, int status)
{
    if (in->over || in->released || !in->req)
        return false;
    if (in->final == 0)
        return true;
    return in->invite && in->final < 300 && status >= 200 && status < 300;
}

static msg_t *make_answer(struct epc_sip_in *in, int status, const char *phrase, const char *extra)
{
    msg_t *resp = epc_sip_make_response(in->sip, status, phrase, epc_sip_in_tag(in), extra);
    if (!resp && extra) {
        /* A header that does not parse must not cost the peer its answer. */
        epc_log(EPC_LOG_ERROR, "sip", "event=answer-headers-dropped status=%d", status);
        resp = epc_sip_make_response(in->sip, status, phrase, epc_sip_in_tag(in), NULL);
    }
    if (!resp)
        epc_log(EPC_LOG_ERROR, "sip", "event=answer-not-built status=%d", status);
    return resp;
}

struct body {
    const char *type, *text;
};

static void reply(struct epc_sip_in *in, int status, const char *phrase, const char *extra, const struct body *body)
{
    EPC_ASSERT_OWNER(in->s->sh);
    if (status < 100 || status > 699 || !may_send(in, status))
        return;
    msg_t *resp = make_answer(in, status, phrase, extra);
    if (!resp)
        return;
    if (body && epc_sip_set_body(resp, body->type, epc_str_c(body->text)) != EPC_OK) /* the refusal counts */
        epc_log(EPC_LOG_ERROR, "sip", "event=answer-body-dropped status=%d", status);
    if (status >= 300 && in->response_source && epc_sip_add(resp, "Response-Source", "fe=%s", in->response_source) != EPC_OK)
        epc_log(EPC_LOG_ERROR, "sip", "event=header-not-added status=%d why=response-source", status);
    respond(in, resp, status);
}

void epc_sip_in_reply(struct epc_sip_in *in, int status, const char *phrase, const char *extra)
{
    reply(in, status, phrase, extra, NULL);
}

void epc_sip_in_reply_body(struct epc_sip_in *in, int status, const char *extra, const char *content_type,
                           const char *body)
{
    reply(in, status, NULL, extra, &(struct body){content_type, body});
}

static void refuse(struct epc_sip_in *in, const struct epc_cause *cause, const char *lines, const struct body *body)
{
    char extra[512] = "";
    int status = cause->sip_status >= 300 && cause->sip_status <= 699 ? cause->sip_status : 500;
    if (cause->retry_after_s)
        snprintf(extra, sizeof extra, "Retry-After: %u\r\n", cause->retry_after_s);
    size_t n = strlen(extra);
    if (status == 422 && cause->min_se_s)
        snprintf(extra + n, sizeof extra - n, "Min-SE: %u\r\n", cause->min_se_s);
    if (status == 420 && cause->unsupported)
        snprintf(extra + n, sizeof extra - n, "Unsupported: %s\r\n", cause->unsupported);
    if (status == 415)
        snprintf(extra, sizeof extra, "Accept-Encoding: identity\r\n");
    n = strlen(extra);
    if (lines)
        snprintf(extra + n, sizeof extra - n, "%s", lines);
    epc_log(EPC_LOG_INFO, "sip", "event=refused leg=%s method=%s status=%d reason=\"%s\" spec=\"%s\"",
            in->leg == EPC_LEG_WIC ? "wic" : "core", in->method, status, cause->reason,
            cause->spec ? cause->spec : "");
    /* The reason is our own text, but it may quote: no line end may get into the phrase. */
    char phrase[sizeof cause->reason];
    snprintf(phrase, sizeof phrase, "%s", cause->reason);
    phrase[strcspn(phrase, "\r\n")] = 0;
    reply(in, status, phrase[0] ? phrase : NULL, extra, body);
}

void epc_sip_in_refuse(struct epc_sip_in *in, const struct epc_cause *cause)
{
    refuse(in, cause, NULL, NULL);
}

void epc_sip_in_refuse_sdp(struct epc_sip_in *in, const struct epc_cause *cause, const char *warning,
                           const char *sdp)
{
    char line[256];
    snprintf(line, sizeof line, "Warning: %s\r\n", warning);
    refuse(in, cause, line, &(struct body){"application/sdp", sdp});
}

void epc_sip_in_refuse_body(struct epc_sip_in *in, const struct epc_cause *cause, const char *extra,
                            const char *content_type, const char *body)
{
    refuse(in, cause, extra, &(struct body){content_type, body});
}

void epc_sip_in_response_source(struct epc_sip_in *in, const char *fe)
{
    in->response_source = fe;
}

bool epc_sip_in_routed(const struct epc_sip_in *in)
{
    return in->routed;
}

void epc_sip_in_forward(struct epc_sip_in *in, msg_t **resp)
{
    EPC_ASSERT_OWNER(in->s->sh);
    msg_t *msg = *resp;
    *resp = NULL;
    if (!msg)
        return;
    sip_t *sip = epc_sip_of(msg);
    int status = sip->sip_status ? sip->sip_status->st_status : 0;
    /* nta asserts that the method fits; a response of another transaction is a bug, not an end. */
    if (status < 100 || !may_send(in, status) || !sip->sip_cseq ||
        sip->sip_cseq->cs_method != in->sip->sip_cseq->cs_method) {
        msg_destroy(msg);
        return;
    }
    /* Our answer goes where the request came from, whatever the answerer made of Via. */
    if (epc_sip_copy_vias(msg, in->sip) != EPC_OK || epc_sip_finish(msg) != EPC_OK) {
        msg_destroy(msg);
        if (status >= 200 && !in->final)
            epc_sip_in_reply(in, 500, NULL, NULL);
        return;
    }
    respond(in, msg, status);
}

void epc_sip_in_release(struct epc_sip_in *in)
{
    EPC_ASSERT_OWNER(in->s->sh);
    if (in->released || in->over)
        return;
    if (!in->final)
        epc_sip_in_reply(in, 500, NULL, NULL);
    in->released = true;
    in->cancel_fn = NULL;
    if (in->leg == EPC_LEG_CORE || !in->in_table || (in->invite && !in->wait_ack)) {
        in_over(in);
        return;
    }
    forget_messages(in);
    if (!in->wait_ack)
        epc_timer_start(in->s->sh, &in->timer, in->s->linger_ms, timer_fired, in);
}

/* ---- what the peer does ----------------------------------------------------------------------- */

void epc_sip_in_repeat(struct epc_sip_in *in)
{
    if (in->last && epc_sip_wic_send_text(in->s, in->flow_id, in->last, in->last_n, NULL) != EPC_OK)
        epc_log(EPC_LOG_DEBUG, "sip", "event=answer-lost leg=wic status=repeated");
}

void epc_sip_in_acked(struct epc_sip_in *in)
{
    in->wait_ack = false;
    epc_timer_stop(in->s->sh, &in->timer);
    if (in->released)
        in_over(in);
}

static void deliver_cancel(void *arg)
{
    struct epc_sip_in *in = arg;
    msg_t *cancel = in->cancel;
    if (!cancel || !in->cancel_fn || in->final || in->released)
        return;
    in->cancel = NULL;
    in->cancel_fn(in->cancel_arg, in, epc_sip_of(cancel));
    msg_destroy(cancel);
}

void epc_sip_in_cancelled(struct epc_sip_in *in, msg_t *cancel)
{
    if (in->final || in->released || in->cancelled) {
        msg_destroy(cancel);
        return;
    }
    in->cancelled = true;
    in->cancel = cancel;
    deliver_cancel(in);
}

void epc_sip_in_on_cancel(struct epc_sip_in *in,
                          void (*fn)(void *arg, struct epc_sip_in *in, const sip_t *cancel), void *arg)
{
    in->cancel_fn = fn;
    in->cancel_arg = arg;
    /* A CANCEL that overtook the room is told on the next turn: the room is in the middle of it. */
    if (fn && in->cancel && !in->final && !in->released)
        epc_timer_start(in->s->sh, &in->timer, 0, deliver_cancel, in);
}

int epc_sip_in_core_event(struct epc_sip_in *in, nta_incoming_t *irq, const sip_t *sip)
{
    if (!in || in->over)
        return 0;
    if (!sip || !sip->sip_request) {
        /* The transport or timer H gave up. Only a room that has not answered yet cares. */
        if (!in->final && !in->released && in->cancel_fn)
            in->cancel_fn(in->cancel_arg, in, NULL);
        return 0;
    }
    msg_t *msg = nta_incoming_getrequest_ackcancel(irq);
    epc_sip_trace_msg(EPC_TRACE_MW, false, NULL, msg);
    if (sip->sip_request->rq_method == sip_method_cancel && msg)
        epc_sip_in_cancelled(in, msg);
    else if (msg)
        msg_destroy(msg);
    return 0;
}
