/* The WSS leg: one message of a flow in, one out. Reliable transport (RFC 7118 4.2): no
 * retransmission, no timers A, E and G. */
#include "sip/sip_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum epc_err epc_sip_wic_send_text(struct epc_sip *s, uint64_t flow_id, const char *p, size_t n,
                                   const char *call_id)
{
    struct epc_flow *flow = s->wss ? epc_wss_flow(s->wss, flow_id) : NULL;
    if (!flow)
        return EPC_ENOENT;
    if (epc_trace_on()) {
        char peer[EPC_ADDR_LEN];
        epc_trace(EPC_TRACE_GM, true, epc_addr_text(epc_flow_peer(flow), peer), call_id, p, n);
    }
    return epc_flow_send(flow, p, n);
}

enum epc_err epc_sip_wic_send(struct epc_sip *s, uint64_t flow_id, msg_t *msg, char **text,
                              size_t *text_n)
{
    size_t n = 0;
    char *p = epc_sip_text(msg, &n);
    if (!p)
        return EPC_ENOMEM;
    const sip_t *sip = epc_sip_of(msg);
    enum epc_err err =
        epc_sip_wic_send_text(s, flow_id, p, n, sip->sip_call_id ? sip->sip_call_id->i_id : NULL);
    if (text) {
        *text = p;
        *text_n = n;
    } else
        free(p);
    return err;
}

static void answer(struct epc_sip *s, uint64_t flow_id, const sip_t *sip, int status,
                   const char *phrase, const char *extra, const char *to_tag)
{
    char tag[17];
    if (!to_tag && status > 100) {
        epc_random_hex(tag, 8);
        to_tag = tag;
    }
    msg_t *resp = epc_sip_make_response(sip, status, phrase, to_tag, extra);
    if (!resp)
        return;
    if (epc_sip_wic_send(s, flow_id, resp, NULL, NULL) != EPC_OK)
        epc_log(EPC_LOG_DEBUG, "sip", "event=answer-lost leg=wic status=%d", status);
    msg_destroy(resp);
}

/* Enough is there to address an answer (RFC 3261 8.2.6). */
static bool can_answer(const sip_t *sip)
{
    return sip->sip_request && sip->sip_request->rq_method != sip_method_ack && sip->sip_via &&
           sip->sip_from && sip->sip_to && sip->sip_call_id && sip->sip_cseq;
}

/* RFC 3581: rport answered if asked. received= may stay out (RFC 7118 5.3). */
static void note_source(struct epc_flow *flow, msg_t *msg)
{
    sip_via_t *v = epc_sip_of(msg)->sip_via;
    if (v->v_received) {
        msg_header_remove_param(v->v_common, "received");
        msg_fragment_clear_chain(epc_hdr(v));
    }
    if (!v->v_rport)
        return;
    char *param = su_sprintf(msg_home(msg), "rport=%u", (unsigned)epc_addr_port(epc_flow_peer(flow)));
    if (param && msg_header_replace_param(msg_home(msg), v->v_common, param) >= 0)
        msg_fragment_clear_chain(epc_hdr(v));
}

/* RFC 6223 4.3: the WIC would keep its connection alive by itself, and is told how often. Only what it
 * has asked for, and only in what makes a registration or a dialog. */
static void note_keep(struct epc_sip *s, msg_t *msg)
{
    sip_via_t *v = epc_sip_of(msg)->sip_via;
    sip_method_t m = epc_sip_of(msg)->sip_request->rq_method;
    const char *asked = msg_params_find(v->v_params, "keep");
    if (!asked || *asked || (m != sip_method_register && m != sip_method_invite && m != sip_method_subscribe))
        return;
    char *param = su_sprintf(msg_home(msg), "keep=%u", (unsigned)s->cfg->flow_timer_s);
    if (param && msg_header_replace_param(msg_home(msg), v->v_common, param) >= 0)
        msg_fragment_clear_chain(epc_hdr(v));
}

static void take_cancel(struct epc_sip *s, uint64_t flow_id, msg_t *msg)
{
    const sip_t *sip = epc_sip_of(msg);
    struct epc_sip_in *in = epc_sip_in_find(s, flow_id, sip->sip_via->v_branch, "INVITE");
    if (!in) {
        answer(s, flow_id, sip, 481, NULL, NULL, NULL);
        msg_destroy(msg);
        return;
    }
    answer(s, flow_id, sip, 200, NULL, NULL, epc_sip_in_tag(in)); /* RFC 3261 9.2: one tag for both */
    epc_sip_in_cancelled(in, msg);
}

static void take_ack(struct epc_sip *s, uint64_t flow_id, msg_t *msg)
{
    const sip_t *sip = epc_sip_of(msg);
    struct epc_sip_in *in = epc_sip_in_find(s, flow_id, sip->sip_via->v_branch, "INVITE");
    if (in && in->final >= 300) {
        epc_sip_in_acked(in);
        msg_destroy(msg);
        return;
    }
    uint64_t token_flow = flow_id;
    enum epc_err err = epc_sip_pop_routes(s, msg, flow_id, &token_flow);
    if (err == EPC_EAUTH || token_flow != flow_id) {
        epc_count(EPC_C_SIP_WIC_STRAY);
        msg_destroy(msg);
        return;
    }
    s->h->ack(s->arg, EPC_LEG_WIC, flow_id, msg);
}

static void take_request(struct epc_sip *s, struct epc_flow *flow, msg_t *msg)
{
    const sip_t *sip = epc_sip_of(msg);
    uint64_t flow_id = epc_flow_id(flow), token_flow = flow_id;
    const char *branch = sip->sip_via->v_branch;
    struct epc_sip_in *in = epc_sip_in_find(s, flow_id, branch, sip->sip_request->rq_method_name);
    if (in) {
        epc_sip_in_repeat(in);
        msg_destroy(msg);
        return;
    }
    enum epc_err err = epc_sip_pop_routes(s, msg, flow_id, &token_flow);
    in = epc_sip_in_new(s, EPC_LEG_WIC, flow_id, msg, NULL);
    if (!in) {
        answer(s, flow_id, sip, 500, NULL, NULL, NULL);
        msg_destroy(msg);
        return;
    }
    if (err == EPC_EAUTH || token_flow != flow_id) {
        /* RFC 5626 5.3.1: a token that is not ours, or another connection's */
        epc_count(EPC_C_SIP_TOKEN_BAD);
        epc_log(EPC_LOG_WARN, "sip", "event=refused leg=wic status=403 why=flow-token flow=%llx",
                (unsigned long long)flow_id);
        epc_sip_in_reply(in, 403, NULL, NULL);
        epc_sip_in_release(in);
        return;
    }
    in->routed = err == EPC_OK;
    if (in->invite)
        epc_sip_in_reply(in, 100, NULL, NULL);
    s->h->request(s->arg, in);
}

static void take_response(struct epc_sip *s, uint64_t flow_id, msg_t *msg)
{
    const sip_t *sip = epc_sip_of(msg);
    struct epc_sip_out *out = epc_sip_out_find(s, sip->sip_via->v_branch);
    const sip_t *req = out && out->req ? epc_sip_of(out->req) : NULL;
    bool fits = req && out->flow_id == flow_id && sip->sip_cseq->cs_seq == req->sip_cseq->cs_seq &&
                strcmp(sip->sip_call_id->i_id, req->sip_call_id->i_id) == 0 &&
                strcasecmp(sip->sip_from->a_tag, req->sip_from->a_tag ? req->sip_from->a_tag : "") == 0;
    if (fits && sip->sip_cseq->cs_method == sip_method_cancel) {
        msg_destroy(msg); /* the answer to our CANCEL says nothing more */
        return;
    }
    if (!fits || strcmp(sip->sip_cseq->cs_method_name, req->sip_request->rq_method_name) != 0) {
        epc_count(EPC_C_SIP_WIC_STRAY);
        epc_log(EPC_LOG_DEBUG, "sip", "event=stray-response leg=wic status=%d flow=%llx",
                sip->sip_status->st_status, (unsigned long long)flow_id);
        msg_destroy(msg);
        return;
    }
    epc_sip_out_response(out, msg);
}

static bool is_keepalive(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != '\r' && p[i] != '\n')
            return false;
    return true;
}

/* Where the header ends; 0 when a line of it does not end with CRLF (RFC 3261 7). Others read a lone CR
 * or LF differently than sofia-sip does: what is a body here could be a second message there. */
static size_t header_octets(const char *p, size_t n, bool *folded, unsigned *fields)
{
    *folded = false;
    *fields = 0;
    for (size_t at = 0; at < n;) {
        const char *cr = memchr(p + at, '\r', n - at);
        size_t end = cr ? (size_t)(cr - p) : n;
        if (end + 3 >= n || p[end + 1] != '\n' || memchr(p + at, '\n', end - at))
            return 0;
        at = end + 2;
        if (p[at] == '\r' && p[at + 1] == '\n')
            return at + 2;
        if (p[at] == ' ' || p[at] == '\t')
            *folded = true;
        else
            ++*fields;
    }
    return 0;
}

/* A copy with each continued line in one piece (RFC 3261 7.3.1): sofia-sip passes fields on as they came,
 * and what stands at the start of a line should be a field's name for every reader. */
static char *unfolded(const char *p, size_t n, size_t head)
{
    char *out = malloc(n);
    if (!out)
        return NULL;
    memcpy(out, p, n);
    for (size_t i = 0; i + 2 < head; i++)
        if (out[i] == '\r' && (out[i + 2] == ' ' || out[i + 2] == '\t'))
            out[i] = out[i + 1] = ' ';
    return out;
}

static msg_t *parse(const char *p, size_t n, size_t *head)
{
    bool folded;
    unsigned fields;
    *head = header_octets(p, n, &folded, &fields);
    if (!*head || fields > EPC_SIP_SERVER_MAX_HEADERS)
        return NULL;
    char *whole = folded ? unfolded(p, n, *head) : NULL;
    msg_t *msg = folded && !whole ? NULL : epc_sip_parse(whole ? whole : p, n);
    free(whole);
    return msg;
}

/* Content-Length may be left out over WebSocket; if there, it must match (RFC 7118 5). What stands
 * behind the header without a type is no body (RFC 3261 20.15), but likely a second message. */
static bool body_ok(const sip_t *sip, size_t body, struct epc_cause *c)
{
    if (sip->sip_content_length && sip->sip_content_length->l_length != body)
        epc_cause_set(c, 400, "RFC 7118 5", "Content-Length does not match");
    else if (body && !sip->sip_content_type)
        epc_cause_set(c, 400, "RFC 3261 20.15", "Body without Content-Type");
    else
        return true;
    return false;
}

static void malformed(struct epc_sip *s, uint64_t flow_id, msg_t *msg, int status,
                      const struct epc_cause *c, const char *extra)
{
    epc_count(EPC_C_SIP_WIC_MALFORMED);
    epc_log(EPC_LOG_INFO, "sip", "event=refused leg=wic status=%d reason=\"%s\" flow=%llx", status,
            c->reason, (unsigned long long)flow_id);
    if (msg && can_answer(epc_sip_of(msg)))
        answer(s, flow_id, epc_sip_of(msg), status, c->reason, extra, NULL);
    if (msg)
        msg_destroy(msg);
}

void epc_sip_from_wic(struct epc_sip *s, struct epc_flow *flow, const char *p, size_t n)
{
    EPC_ASSERT_OWNER(s->sh);
    struct epc_cause c = {0};
    uint64_t flow_id = epc_flow_id(flow);
    char extra[256] = "";
    epc_count(EPC_C_SIP_WIC_IN);
    if (is_keepalive(p, n)) {
        epc_count(EPC_C_SIP_WIC_KEEPALIVE);
        if (n >= 4 && epc_flow_send(flow, "\r\n", 2) != EPC_OK) /* RFC 5626 4.4.1 */
            epc_log(EPC_LOG_DEBUG, "sip", "event=pong-lost flow=%llx", (unsigned long long)flow_id);
        return;
    }
    if (epc_sip_refuse_wic(s, flow, p, n))
        return;
    size_t head;
    msg_t *msg = parse(p, n, &head);
    if (!msg) {
        epc_cause_set(&c, 400, NULL, "Not a SIP message");
        malformed(s, flow_id, NULL, 400, &c, NULL);
        return;
    }
    const sip_t *sip = epc_sip_of(msg);
    if (epc_trace_on()) {
        char peer[EPC_ADDR_LEN];
        epc_trace(EPC_TRACE_GM, false, epc_addr_text(epc_flow_peer(flow), peer),
                  sip->sip_call_id ? sip->sip_call_id->i_id : NULL, p, n);
    }
    if (sip->sip_status) {
        if (!epc_sip_check_response(msg)) {
            epc_cause_set(&c, 400, NULL, "Malformed response");
            malformed(s, flow_id, msg, 400, &c, NULL);
            return;
        }
        epc_count(EPC_C_SIP_WIC_HANDLED);
        take_response(s, flow_id, msg);
        return;
    }
    int status = epc_sip_check_request(msg, &c, extra);
    if (!status && !body_ok(sip, n - head, &c))
        status = 400;
    if (status) {
        malformed(s, flow_id, msg, status, &c, extra);
        return;
    }
    epc_count(EPC_C_SIP_WIC_HANDLED);
    note_source(flow, msg);
    note_keep(s, msg);
    if (sip->sip_request->rq_method == sip_method_ack)
        take_ack(s, flow_id, msg);
    else if (sip->sip_request->rq_method == sip_method_cancel)
        take_cancel(s, flow_id, msg);
    else
        take_request(s, flow, msg);
}
