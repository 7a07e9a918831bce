/* The core leg: what comes from the core's neighbours, and where what we send them goes. */
#include "sip/sip_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { COMPLAINT_LOG_MS = 1000 };

/* One line a second at most: a flood must not become a flood of log lines. */
static bool may_complain(struct epc_sip *s)
{
    uint64_t now = epc_now_ms();
    if (s->complaint_log_ms && now - s->complaint_log_ms < COMPLAINT_LOG_MS)
        return false;
    s->complaint_log_ms = now;
    return true;
}

/* ---- where to ----------------------------------------------------------------------------- */

static enum epc_err hop_of_url(const struct epc_sip *s, const url_t *url, struct epc_sip_next_hop *out)
{
    char transport[16] = "";
    uint64_t port = 5060;
    struct epc_sip_next_hop r = {.any_transport = false};
    if (!url || url->url_type != url_sip || !url->url_host)
        return EPC_EPROTO;
    if (url->url_port && url->url_port[0] &&
        (epc_str_u64(epc_str_c(url->url_port), UINT16_MAX, &port) != EPC_OK || port == 0))
        return EPC_EPROTO;
    if (epc_addr_parse(&r.hop.addr, url->url_host, (uint16_t)port) != EPC_OK)
        return EPC_EPROTO;
    if (url->url_params &&
        url_param(url->url_params, "transport", transport, (isize_t)sizeof transport) >
            (isize_t)sizeof transport)
        return EPC_EPROTO;
    if (strcasecmp(transport, "tcp") == 0)
        r.hop.tcp = true;
    else if (transport[0] && strcasecmp(transport, "udp") != 0)
        return EPC_EPROTO;
    else if (!transport[0]) {
        r.hop.tcp = s->cfg->core_transport == EPC_CORE_TCP;
        r.any_transport = !r.hop.tcp && s->cfg->core_transport != EPC_CORE_UDP;
    }
    *out = r;
    return EPC_OK;
}

enum epc_err epc_sip_core_next_hop(struct epc_sip *s, msg_t *msg, const char *next_hop, struct epc_sip_next_hop *out)
{
    const sip_t *sip = epc_sip_of(msg);
    if (!next_hop)
        return hop_of_url(s, sip->sip_route ? sip->sip_route->r_url : sip->sip_request ? sip->sip_request->rq_url : NULL,
                          out);
    /* Nearly every REGISTER goes the same way. */
    if (s->last_hop_uri && strcmp(s->last_hop_uri, next_hop) == 0) {
        *out = s->last_hop;
        return EPC_OK;
    }
    enum epc_err err = hop_of_url(s, url_make(msg_home(msg), next_hop), out);
    if (!err) {
        free(s->last_hop_uri);
        s->last_hop_uri = epc_str_dup(epc_str_c(next_hop));
        s->last_hop = *out;
    }
    return err;
}

enum epc_err epc_sip_send_ack(struct epc_sip *s, const struct epc_sip_dest *dest, msg_t **ack)
{
    EPC_ASSERT_OWNER(s->sh);
    msg_t *msg = *ack;
    *ack = NULL;
    enum epc_err err;
    if (dest->leg == EPC_LEG_WIC) {
        char branch[EPC_SIP_BRANCH_LEN];
        epc_sip_new_branch(branch);
        sip_via_t *v = sip_via_format(msg_home(msg), "SIP/2.0/WSS %s:%u;branch=%s", s->cfg->public_host,
                                      (unsigned)s->cfg->public_port, branch);
        err = !v || msg_header_insert(msg, epc_pub(epc_sip_of(msg)), epc_hdr(v)) < 0
                  ? EPC_ENOMEM
                  : epc_sip_wic_send(s, dest->flow_id, msg, NULL, NULL);
    } else {
        struct epc_sip_next_hop to;
        err = epc_sip_core_next_hop(s, msg, dest->next_hop, &to);
        if (!err)
            err = epc_core_send_stateless(s, msg, &to.hop, to.any_transport);
    }
    msg_destroy(msg);
    return err;
}

/* ---- answers to requests that get no transaction ------------------------------------------- */

/* RFC 3261 18.2.1, RFC 3581: where the request really came from. */
static bool note_source(msg_t *msg, const struct core_hop *from)
{
    sip_via_t *v = epc_sip_of(msg)->sip_via;
    char ip[EPC_ADDR_LEN];
    struct epc_addr sent_by;
    bool differs = epc_addr_parse(&sent_by, v->v_host, 0) != EPC_OK || !epc_addr_same_ip(&sent_by, &from->addr);
    if (!differs && !v->v_rport && !v->v_received)
        return true;
    char *received = su_sprintf(msg_home(msg), "received=%s", epc_addr_ip(&from->addr, ip));
    char *rport = v->v_rport ? su_sprintf(msg_home(msg), "rport=%u", (unsigned)epc_addr_port(&from->addr)) : NULL;
    if (!received || msg_header_replace_param(msg_home(msg), v->v_common, received) < 0 ||
        (v->v_rport && (!rport || msg_header_replace_param(msg_home(msg), v->v_common, rport) < 0)))
        return false;
    msg_fragment_clear_chain(epc_hdr(v));
    return true;
}

/* RFC 3261 18.2.2: the way of the answer. */
static struct core_hop answer_hop(const sip_t *sip, const struct core_hop *from)
{
    const sip_via_t *v = sip->sip_via;
    struct core_hop to = *from;
    uint64_t port = 5060;
    char ip[EPC_ADDR_LEN];
    if (!from->tcp && v->v_rport)
        return to;
    if (v->v_port && v->v_port[0] && epc_str_u64(epc_str_c(v->v_port), UINT16_MAX, &port) != EPC_OK)
        port = 5060;
    if (epc_addr_parse(&to.addr, epc_addr_ip(&from->addr, ip), (uint16_t)port) != EPC_OK)
        to.addr = from->addr;
    return to;
}

static void reply_stateless_with(struct epc_sip *s, const struct core_hop *from, const sip_t *sip, int status,
                                 const char *phrase, const char *to_tag, const char *extra)
{
    char tag[17];
    struct core_hop to;
    size_t n = 0;
    if (!sip->sip_via || !sip->sip_from || !sip->sip_to || !sip->sip_call_id || !sip->sip_cseq ||
        sip->sip_request->rq_method == sip_method_ack)
        return; /* RFC 3261 8.2.6: nothing to address an answer with */
    if (!to_tag) { /* RFC 3261 8.2.7: the same for each copy of the request */
        const char *branch = sip->sip_via->v_branch ? sip->sip_via->v_branch : sip->sip_call_id->i_id;
        snprintf(tag, sizeof tag, "%016llx", (unsigned long long)epc_hash_bytes(branch, strlen(branch)));
        to_tag = tag;
    }
    msg_t *resp = epc_sip_make_response(sip, status, phrase, to_tag, extra);
    char *text = resp ? epc_sip_text(resp, &n) : NULL;
    to = answer_hop(sip, from);
    if (!text || core_net_send(s->net, &to, text, n, NULL) != EPC_OK)
        epc_log(EPC_LOG_DEBUG, "sip", "event=answer-lost leg=core status=%d", status);
    else if (epc_trace_on()) {
        char peer[EPC_ADDR_LEN];
        epc_trace(EPC_TRACE_MW, true, epc_addr_text(&to.addr, peer), sip->sip_call_id->i_id, text, n);
    }
    free(text);
    if (resp)
        msg_destroy(resp);
}

static void reply_stateless(struct epc_sip *s, const struct core_hop *from, const sip_t *sip, int status,
                            const char *phrase, const char *to_tag)
{
    reply_stateless_with(s, from, sip, status, phrase, to_tag, NULL);
}

/* ---- responses ---------------------------------------------------------------------------- */

static void take_response(struct epc_sip *s, msg_t *msg)
{
    sip_t *sip = epc_sip_of(msg);
    int status = sip->sip_status->st_status;
    const char *branch = sip->sip_via ? sip->sip_via->v_branch : NULL;
    sip_method_t method = sip->sip_cseq ? sip->sip_cseq->cs_method : sip_method_unknown;
    if (!epc_sip_check_response(msg)) {
        epc_count(EPC_C_SIP_CORE_STRAY);
        epc_log(EPC_LOG_WARN, "sip", "event=malformed-response leg=core status=%d", status);
        if (branch)
            epc_core_tx_unreadable(s, branch, method, status);
        msg_destroy(msg);
        return;
    }
    if (epc_core_tx_response(s, msg))
        return;
    epc_count(EPC_C_SIP_CORE_STRAY);
    epc_log(EPC_LOG_DEBUG, "sip", "event=stray-response leg=core status=%d", status);
    msg_destroy(msg);
}

/* ---- requests ----------------------------------------------------------------------------- */

static bool is_trusted(const struct epc_sip *s, const struct epc_addr *a)
{
    for (size_t i = 0; i < s->n_trusted; i++)
        if (epc_addr_same_ip(a, &s->trusted[i]))
            return true;
    return false;
}

static void refuse_untrusted(struct epc_sip *s, const struct core_hop *from, const sip_t *sip)
{
    char peer[EPC_ADDR_LEN];
    epc_count(EPC_C_SIP_CORE_UNTRUSTED);
    if (may_complain(s))
        epc_log(EPC_LOG_WARN, "sip", "event=refused leg=core status=403 why=untrusted-source peer=%s",
                epc_addr_text(&from->addr, peer));
    reply_stateless(s, from, sip, 403, NULL, NULL);
}

static void finish(struct epc_sip_in *in, int status, const char *reason, const char *extra)
{
    epc_log(EPC_LOG_INFO, "sip", "event=answered leg=core method=%s status=%d why=\"%s\"", in->method,
            status, reason);
    /* RFC 5626 is younger than sofia-sip's list of phrases. */
    epc_sip_in_reply(in, status, status == 430 ? "Flow Failed" : NULL, extra);
    epc_sip_in_release(in);
}

/* No token: the request is for us, not for a WIC. */
static void take_own(struct epc_sip *s, struct epc_sip_in *in)
{
    const sip_t *sip = epc_sip_in_sip(in);
    if (sip->sip_request->rq_method == sip_method_notify)
        s->h->request(s->arg, in); /* of a subscription of our own, the rooms above know */
    else if (sip->sip_to->a_tag)
        finish(in, 481, "no such dialog here", NULL);
    else if (sip->sip_request->rq_method == sip_method_options)
        finish(in, 200, "ping",
               "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS, MESSAGE, SUBSCRIBE, "
               "NOTIFY, REFER, PUBLISH\r\n");
    else
        finish(in, 404, "no flow token", NULL);
}

/* A request of a transaction that is there already (RFC 3261 17.2.3). True: done with, @p msg is taken. */
static bool take_known(struct epc_sip *s, const struct core_hop *from, msg_t *msg)
{
    const sip_t *sip = epc_sip_of(msg);
    sip_method_t m = sip->sip_request->rq_method;
    bool of_invite = m == sip_method_ack || m == sip_method_cancel;
    struct epc_sip_in *in =
        epc_sip_in_find_core(s, sip->sip_via, of_invite ? "INVITE" : sip->sip_request->rq_method_name);
    if (m == sip_method_cancel) {
        reply_stateless(s, from, sip, in ? 200 : 481, NULL, in ? epc_sip_in_tag(in) : NULL);
        if (in)
            epc_sip_in_cancelled(in, msg);
        else
            msg_destroy(msg);
        return true;
    }
    if (!in || (m == sip_method_ack && in->final < 300))
        return false; /* the ACK of a 2xx is a request of its own */
    if (m == sip_method_ack)
        epc_sip_in_acked(in);
    else
        epc_sip_in_repeat(in);
    msg_destroy(msg);
    return true;
}

static void take_new(struct epc_sip *s, const struct core_hop *from, msg_t *msg, int status, const struct epc_cause *c,
                     const char *extra)
{
    sip_t *sip = epc_sip_of(msg);
    uint64_t flow_id = 0;
    enum epc_err token = status ? EPC_ENOENT : epc_sip_pop_routes(s, msg, 0, &flow_id);
    if (sip->sip_request->rq_method == sip_method_ack) {
        if (status || token)
            msg_destroy(msg); /* of a request that we refused, or for nobody */
        else
            s->h->ack(s->arg, EPC_LEG_CORE, flow_id, msg);
        return;
    }
    bool in_dialog = sip->sip_to->a_tag != NULL;
    struct core_hop to = answer_hop(sip, from);
    struct epc_sip_in *in = epc_sip_in_new(s, EPC_LEG_CORE, flow_id, msg, &to);
    if (!in) {
        reply_stateless(s, from, sip, 500, NULL, NULL);
        msg_destroy(msg);
        return;
    }
    if (status)
        finish(in, status, c->reason, extra);
    else if (token == EPC_EAUTH) {
        epc_count(EPC_C_SIP_TOKEN_BAD);
        finish(in, 403, "flow token does not verify", NULL); /* RFC 5626 5.3.1 */
    } else if (token != EPC_OK)
        take_own(s, in);
    else if (!s->wss || !epc_wss_flow(s->wss, flow_id)) {
        epc_count(EPC_C_SIP_FLOW_GONE);
        if (in_dialog && s->h->lost)
            s->h->lost(s->arg, in);
        else if (in_dialog)
            finish(in, 481, "flow is gone", NULL);
        else
            finish(in, s->cfg->no_outbound_480 ? 480 : 430, "flow is gone", NULL);
    } else {
        if (in->invite)
            epc_sip_in_reply(in, 100, NULL, NULL);
        s->h->request(s->arg, in);
    }
}

static void take_request(struct epc_sip *s, const struct core_hop *from, msg_t *msg)
{
    struct epc_cause c = {0};
    char extra[256];
    int status = epc_sip_check_request(msg, &c, extra);
    if (status == 400 || status == 505 || !note_source(msg, from)) {
        /* Parts that a transaction is made of may be missing: answered without one. */
        reply_stateless(s, from, epc_sip_of(msg), status ? status : 500, c.reason, NULL);
        msg_destroy(msg);
        return;
    }
    if (take_known(s, from, msg))
        return;
    if (!status && epc_sip_refuse_core(s, epc_sip_of(msg))) {
        /* The shortest time there is: a proxy sends nothing at all here for so long (RFC 3261 16.7, 21.5.4), and
         * other users' requests may be more urgent than this one. */
        reply_stateless_with(s, from, epc_sip_of(msg), 503, NULL, NULL, "Retry-After: 1\r\n");
        msg_destroy(msg);
        return;
    }
    take_new(s, from, msg, status, &c, extra);
}

/* ---- from the sockets ----------------------------------------------------------------------- */

static void on_garbage(void *arg, const struct core_hop *from, const char *why)
{
    struct epc_sip *s = arg;
    char peer[EPC_ADDR_LEN];
    epc_count(EPC_C_SIP_CORE_GARBAGE);
    if (may_complain(s))
        epc_log(EPC_LOG_WARN, "sip", "event=dropped leg=core why=\"not a SIP message: %s\" peer=%s", why,
                epc_addr_text(&from->addr, peer));
}

static bool on_message(void *arg, const struct core_hop *from, const char *text, size_t n, size_t head)
{
    struct epc_sip *s = arg;
    EPC_ASSERT_OWNER(s->sh);
    msg_t *msg = epc_sip_count_headers(text, head) > EPC_SIP_SERVER_MAX_HEADERS ? NULL
                                                                                : epc_sip_parse_octets(text, n, head);
    if (!msg) {
        on_garbage(s, from, "does not parse");
        return false;
    }
    const sip_t *sip = epc_sip_of(msg);
    if (epc_trace_on()) {
        char peer[EPC_ADDR_LEN];
        epc_trace(EPC_TRACE_MW, false, epc_addr_text(&from->addr, peer), sip->sip_call_id ? sip->sip_call_id->i_id : NULL,
                  text, n);
    }
    if (!sip->sip_request) {
        take_response(s, msg);
        return true;
    }
    epc_count(EPC_C_SIP_CORE_IN);
    if (is_trusted(s, &from->addr)) {
        take_request(s, from, msg);
        return true;
    }
    refuse_untrusted(s, from, sip);
    msg_destroy(msg);
    return false;
}

static void on_failed(void *arg, struct core_wait *w, const char *why)
{
    (void)arg;
    epc_core_tx_wait_failed(w, why);
}

static void on_bounced(void *arg, const char *quote, size_t n, int err)
{
    epc_core_tx_bounced(arg, quote, n, err);
}

static bool on_accept(void *arg, const struct epc_addr *peer)
{
    return is_trusted(arg, peer);
}

enum epc_err epc_sip_core_open(struct epc_sip *s)
{
    const struct core_net_handler h = {on_message, on_garbage, on_failed, on_bounced, on_accept, s};
    struct epc_addr a;
    unsigned port = s->cfg->core_port + epc_shard_index(s->sh);
    if (port == 0 || port > UINT16_MAX || epc_addr_parse(&a, s->cfg->core_host, (uint16_t)port) != EPC_OK) {
        epc_log(EPC_LOG_ERROR, "sip", "event=bad-core-address host=%s port=%u", s->cfg->core_host, port);
        return EPC_EIO;
    }
    s->core_port = (uint16_t)port;
    epc_addr_ip(&a, s->core_bare);
    snprintf(s->core_host, sizeof s->core_host, a.ss.ss_family == AF_INET6 ? "[%.46s]" : "%.46s", s->core_bare);
    snprintf(s->core_uri, sizeof s->core_uri, "sip:%s:%u", s->core_host, port);
    return core_net_open(&s->net, s->sh, &a, &h);
}
