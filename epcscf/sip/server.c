/* Server transactions of both legs (RFC 3261 17.2, RFC 6026). The WSS leg does without the timers that a
 * reliable transport does not need. */
#include "sip/sip_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SENT_BY_LEN = 128 };

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

struct core_key {
    const char *branch, *sent_by, *method;
};

static uint64_t core_hash(const struct core_key *k)
{
    return epc_hash_u64(epc_hash_bytes(k->branch, strlen(k->branch)) ^ epc_hash_bytes(k->method, strlen(k->method)));
}

bool epc_sip_in_core_eq(const struct epc_hnode *node, const void *key)
{
    const struct epc_sip_in *in = EPC_CONTAINER(node, struct epc_sip_in, node);
    const struct core_key *k = key;
    return strcmp(in->branch, k->branch) == 0 && strcmp(in->method, k->method) == 0 &&
           strcasecmp(in->sent_by, k->sent_by) == 0;
}

static void sent_by_text(const sip_via_t *v, char out[SENT_BY_LEN])
{
    snprintf(out, SENT_BY_LEN, "%.*s:%.5s", SENT_BY_LEN - 7, v->v_host, v->v_port ? v->v_port : "");
}

struct epc_sip_in *epc_sip_in_find_core(struct epc_sip *s, const sip_via_t *via, const char *method)
{
    char sent_by[SENT_BY_LEN];
    sent_by_text(via, sent_by);
    struct core_key k = {via->v_branch, sent_by, method};
    struct epc_hnode *node = epc_hash_find(&s->core_in, core_hash(&k), &k);
    return node ? EPC_CONTAINER(node, struct epc_sip_in, node) : NULL;
}

static enum epc_counter gauge(enum epc_leg leg)
{
    return leg == EPC_LEG_WIC ? EPC_C_SIP_TX_WIC : EPC_C_SIP_TX_CORE;
}

struct epc_sip_in *epc_sip_in_new(struct epc_sip *s, enum epc_leg leg, uint64_t flow_id, msg_t *msg,
                                  const struct core_hop *hop)
{
    sip_t *sip = epc_sip_of(msg);
    const char *branch = sip->sip_via->v_branch, *method = sip->sip_request->rq_method_name;
    char sent_by[SENT_BY_LEN] = "";
    if (hop)
        sent_by_text(sip->sip_via, sent_by);
    size_t nb = strlen(branch) + 1, nm = strlen(method) + 1, ns = strlen(sent_by) + 1, nh = hop ? sizeof *hop : 0;
    struct epc_sip_in *in = calloc(1, sizeof *in + nh + nb + nm + ns);
    if (!in)
        return NULL;
    if (hop) {
        in->hop = (struct core_hop *)(void *)(in + 1);
        *in->hop = *hop;
    }
    char *text = (char *)(in + 1) + nh;
    memcpy(text, branch, nb);
    memcpy(text + nb, method, nm);
    in->branch = text;
    in->method = text + nb;
    in->sent_by = memcpy(text + nb + nm, sent_by, ns);
    in->s = s;
    in->leg = leg;
    in->flow_id = flow_id;
    in->req = msg;
    in->sip = sip;
    in->invite = sip->sip_request->rq_method == sip_method_invite;
    if (leg == EPC_LEG_WIC)
        epc_hash_add(&s->wic_in, &in->node, key_hash(flow_id, branch, method));
    else
        epc_hash_add(&s->core_in, &in->node, core_hash(&(struct core_key){in->branch, in->sent_by, in->method}));
    in->in_table = true;
    in->counted = true;
    epc_sip_link(&s->ins, &in->link);
    epc_count(gauge(leg));
    return in;
}

/* Made when first needed: most transactions only forward. */
const char *epc_sip_in_tag(struct epc_sip_in *in)
{
    if (!in->to_tag[0])
        epc_random_hex(in->to_tag, (sizeof in->to_tag - 1) / 2);
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

/* It is no work any more; it is only remembered. */
static void uncount(struct epc_sip_in *in)
{
    if (in->counted)
        epc_count_add(gauge(in->leg), -1);
    in->counted = false;
}

/* What is remembered of WICs' requests is many, each for the same time: a queue, and one timer for its head. */
static void forget_one(struct epc_sip_in *in)
{
    if (in->s->remembered_tail == &in->remembered.next)
        in->s->remembered_tail = in->remembered.prev;
    epc_sip_unlink(&in->remembered);
}

/* Out of every table; the memory goes at the end of the turn, as a caller may still hold it. */
static void in_over(struct epc_sip_in *in)
{
    struct epc_sip *s = in->s;
    if (in->over)
        return;
    in->over = true;
    epc_timer_stop(s->sh, &in->timer);
    forget_one(in);
    if (in->in_table)
        epc_hash_del(in->leg == EPC_LEG_WIC ? &s->wic_in : &s->core_in, &in->node);
    in->in_table = false;
    epc_sip_unlink(&in->link);
    uncount(in);
    forget_messages(in);
    epc_shard_doom(s->sh, in_free, in);
}

void epc_sip_in_orphan(struct epc_sip_in *in)
{
    in_over(in);
    in->s = NULL;
}

static void on_remembered_long(void *arg)
{
    struct epc_sip *s = arg;
    uint64_t now = epc_now_ms();
    while (s->remembered) {
        struct epc_sip_in *in = EPC_CONTAINER(s->remembered, struct epc_sip_in, remembered);
        if (in->deadline_ms > now) {
            epc_timer_start(s->sh, &s->remember_timer, in->deadline_ms - now, on_remembered_long, s);
            return;
        }
        in_over(in);
    }
}

static void remember(struct epc_sip_in *in, uint32_t memory_ms)
{
    struct epc_sip *s = in->s;
    in->deadline_ms = epc_now_ms() + memory_ms;
    if (!s->remembered) {
        s->remembered_tail = &s->remembered;
        epc_timer_start(s->sh, &s->remember_timer, memory_ms, on_remembered_long, s);
    }
    in->remembered.prev = s->remembered_tail;
    *s->remembered_tail = &in->remembered;
    s->remembered_tail = &in->remembered.next;
}

static void timer_fired(void *arg);

static void send_last(struct epc_sip_in *in)
{
    if (in->last && core_net_send(in->s->net, in->hop, in->last, in->last_n, NULL) != EPC_OK)
        epc_log(EPC_LOG_DEBUG, "sip", "event=answer-lost leg=core method=%s", in->method);
}

/* Timers G, where an answer may get lost, and H. */
static void wait_for_ack(struct epc_sip_in *in)
{
    uint64_t now = epc_now_ms(), left = in->deadline_ms > now ? in->deadline_ms - now : 0;
    epc_timer_start(in->s->sh, &in->timer, in->interval_ms && in->interval_ms < left ? in->interval_ms : left, timer_fired,
                    in);
}

static void begin_wait_for_ack(struct epc_sip_in *in)
{
    in->wait_ack = true;
    in->interval_ms = in->leg == EPC_LEG_CORE && !in->hop->tcp ? in->s->t1_ms : 0;
    in->deadline_ms = epc_now_ms() + in->s->t64_ms;
    wait_for_ack(in);
}

static void timer_fired(void *arg)
{
    struct epc_sip_in *in = arg;
    if (in->wait_ack && in->interval_ms && epc_now_ms() < in->deadline_ms) {
        send_last(in);
        in->interval_ms = in->interval_ms * 2 < EPC_SIP_T2_MS ? in->interval_ms * 2 : EPC_SIP_T2_MS;
        wait_for_ack(in);
        return;
    }
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
    return in->req ? epc_sip_copy(in->req) : NULL;
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
}

static void send_core(struct epc_sip_in *in, msg_t *resp, int status)
{
    size_t n = 0;
    char *text = epc_sip_text(resp, &n);
    if (!text) {
        epc_log(EPC_LOG_ERROR, "sip", "event=answer-not-built leg=core status=%d", status);
        return;
    }
    free(in->last);
    in->last = text;
    in->last_n = n;
    if (epc_trace_on()) {
        char peer[EPC_ADDR_LEN];
        const sip_t *sip = epc_sip_of(resp);
        epc_trace(EPC_TRACE_MW, true, epc_addr_text(&in->hop->addr, peer), sip->sip_call_id ? sip->sip_call_id->i_id : NULL,
                  text, n);
    }
    send_last(in);
}

/* The one way out for responses; takes @p resp. */
static void respond(struct epc_sip_in *in, msg_t *resp, int status)
{
    int before = in->final;
    if (status >= 200 && (!before || status < 300))
        in->final = status;
    if (in->leg == EPC_LEG_CORE)
        send_core(in, resp, status);
    else
        send_wic(in, resp, status);
    msg_destroy(resp);
    if (before == 0 && status >= 300 && in->invite)
        begin_wait_for_ack(in);
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
    /* A response of another transaction is a bug, not an end. */
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

/* How long copies of the request may come that must not be taken for a new one: timers J and L. */
static uint32_t remember_ms(const struct epc_sip_in *in)
{
    if (in->leg == EPC_LEG_CORE)
        return in->hop->tcp ? 0 : in->s->t64_ms;
    return in->invite ? 0 : in->s->linger_ms;
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
    uint32_t memory_ms = remember_ms(in);
    if (!in->wait_ack && !memory_ms) {
        in_over(in);
        return;
    }
    forget_messages(in);
    if (in->leg == EPC_LEG_CORE)
        uncount(in);
    if (in->wait_ack)
        return;
    if (in->invite) { /* repeats are kept away, and not answered */
        free(in->last);
        in->last = NULL;
    }
    if (in->leg == EPC_LEG_WIC)
        remember(in, memory_ms);
    else
        epc_timer_start(in->s->sh, &in->timer, memory_ms, timer_fired, in);
}

/* ---- what the peer does ----------------------------------------------------------------------- */

void epc_sip_in_repeat(struct epc_sip_in *in)
{
    epc_count(EPC_C_SIP_REQUEST_REPEATED);
    if (in->leg == EPC_LEG_CORE)
        send_last(in);
    else if (in->last && epc_sip_wic_send_text(in->s, in->flow_id, in->last, in->last_n, NULL) != EPC_OK)
        epc_log(EPC_LOG_DEBUG, "sip", "event=answer-lost leg=wic status=repeated");
}

void epc_sip_in_acked(struct epc_sip_in *in)
{
    if (!in->wait_ack)
        return;
    in->wait_ack = false;
    epc_timer_stop(in->s->sh, &in->timer);
    if (in->leg == EPC_LEG_CORE && !in->hop->tcp) { /* timer I: copies of the ACK */
        free(in->last);
        in->last = NULL;
        epc_timer_start(in->s->sh, &in->timer, in->s->t64_ms < EPC_SIP_T4_MS ? in->s->t64_ms : EPC_SIP_T4_MS, timer_fired,
                        in);
        return;
    }
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
