/* The core leg: one nta agent per shard, bound to the shard's own port over UDP and TCP. Literal
 * addresses only: nothing here may ever ask the DNS. */
#include "sip/sip_priv.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SOCKET_BUFFER_OCTETS = 4 * 1024 * 1024, DAY_MS = 24 * 3600 * 1000, UNTRUSTED_LOG_MS = 1000 };

static int on_message(struct epc_sip *s, nta_agent_t *agent, msg_t *msg, sip_t *sip);

static const char *peer_of(msg_t *msg, char out[EPC_ADDR_LEN])
{
    struct epc_addr a = {.len = 0};
    const su_addrinfo_t *ai = msg_addrinfo(msg);
    if (!ai || !ai->ai_addr || ai->ai_addrlen > sizeof a.ss)
        return "?";
    memcpy(&a.ss, ai->ai_addr, ai->ai_addrlen);
    return epc_addr_text(&a, out);
}

/* ---- opening ------------------------------------------------------------------------------ */

static enum epc_err add_transport(struct epc_sip *s, const char *proto)
{
    char url[EPC_ADDR_LEN + 40];
    snprintf(url, sizeof url, "sip:%s:%u;transport=%s", s->core_host, (unsigned)s->core_port, proto);
    if (nta_agent_add_tport(s->agent, epc_url_string(url), TPTAG_REUSE(1), TPTAG_IDLE(UINT_MAX),
                            TPTAG_UDP_RMEM(SOCKET_BUFFER_OCTETS), TPTAG_UDP_WMEM(SOCKET_BUFFER_OCTETS),
                            TAG_END()) == 0)
        return EPC_OK;
    epc_log(EPC_LOG_ERROR, "sip",
            "event=cannot-bind address=%s:%u transport=%s why=\"%s\" hint=\"sip.core_host must be an address "
            "of this machine; shard i needs port sip.core_port + i for itself\"",
            s->core_host, (unsigned)s->core_port, proto, strerror(errno));
    return EPC_EIO;
}

enum epc_err epc_sip_core_open(struct epc_sip *s)
{
    struct epc_addr a;
    unsigned port = s->cfg->core_port + epc_shard_index(s->sh);
    if (port == 0 || port > UINT16_MAX || epc_addr_parse(&a, s->cfg->core_host, (uint16_t)port) != EPC_OK) {
        epc_log(EPC_LOG_ERROR, "sip", "event=bad-core-address host=%s port=%u", s->cfg->core_host, port);
        return EPC_EIO;
    }
    s->core_port = (uint16_t)port;
    epc_addr_ip(&a, s->core_bare);
    snprintf(s->core_host, sizeof s->core_host, a.ss.ss_family == AF_INET6 ? "[%.46s]" : "%.46s",
             s->core_bare);
    snprintf(s->core_uri, sizeof s->core_uri, "sip:%s:%u", s->core_host, port);
    /* UA(0) makes nta a proxy's stack: no 2xx to INVITE is swallowed, no CANCEL answered with 487.
     * Timer C is ours (client.c), so nta's is put out of the way. */
    s->agent = nta_agent_create(
        epc_shard_su_root(s->sh), (url_string_t *)(intptr_t)-1, on_message, s, NTATAG_UA(0),
        NTATAG_MERGE_482(0), NTATAG_CANCEL_487(0), NTATAG_PASS_100(1), NTATAG_PASS_408(1),
        NTATAG_REL100(0), NTATAG_EXTRA_100(0), NTATAG_USE_TIMESTAMP(0), NTATAG_USE_NAPTR(0),
        NTATAG_USE_SRV(0), NTATAG_CLIENT_RPORT(0), NTATAG_UDP_MTU(65535), NTATAG_GRAYLIST(0),
        NTATAG_MAXSIZE(EPC_SIP_MAX_OCTETS), NTATAG_TIMER_C(DAY_MS), TAG_END());
    if (!s->agent)
        return EPC_ENOMEM;
    enum epc_err err = add_transport(s, "udp");
    return err ? err : add_transport(s, "tcp");
}

/* ---- sending ------------------------------------------------------------------------------ */

static bool wants_tcp(const struct epc_sip *s, msg_t *msg, const char *transport)
{
    if (strcasecmp(transport, "tcp") == 0)
        return true;
    if (strcasecmp(transport, "udp") == 0 || s->cfg->core_transport == EPC_CORE_UDP)
        return false;
    if (s->cfg->core_transport == EPC_CORE_TCP)
        return true;
    /* TS 24.229 4.2A. What msg_prepare() encodes is used again when nta sends. */
    if (epc_sip_finish(msg) != EPC_OK)
        return false;
    int octets = msg_prepare(msg);
    msg_unprepare(msg);
    return octets < 0 || (uint32_t)octets + 80 > s->cfg->udp_max_octets; /* 80: our Via to come */
}

enum epc_err epc_sip_core_next_hop(const struct epc_sip *s, msg_t *msg, const char *next_hop,
                                   char *out, size_t n)
{
    const sip_t *sip = epc_sip_of(msg);
    const url_t *url = sip->sip_request ? sip->sip_request->rq_url : NULL;
    struct epc_addr a;
    char transport[16] = "", ip[EPC_ADDR_LEN];
    uint64_t port = 5060;
    if (next_hop)
        url = url_make(msg_home(msg), next_hop);
    else if (sip->sip_route)
        url = sip->sip_route->r_url;
    if (!url || url->url_type != url_sip || !url->url_host ||
        epc_addr_parse(&a, url->url_host, 0) != EPC_OK)
        return EPC_EPROTO;
    if (url->url_port && url->url_port[0] &&
        (epc_str_u64(epc_str_c(url->url_port), UINT16_MAX, &port) != EPC_OK || port == 0))
        return EPC_EPROTO;
    if (url->url_params &&
        url_param(url->url_params, "transport", transport, (isize_t)sizeof transport) >
            (isize_t)sizeof transport)
        return EPC_EPROTO;
    if (transport[0] && strcasecmp(transport, "udp") != 0 && strcasecmp(transport, "tcp") != 0)
        return EPC_EPROTO;
    snprintf(out, n, a.ss.ss_family == AF_INET6 ? "sip:[%s]:%u;transport=%s" : "sip:%s:%u;transport=%s",
             epc_addr_ip(&a, ip), (unsigned)port, wants_tcp(s, msg, transport) ? "tcp" : "udp");
    return EPC_OK;
}

static int on_response(struct epc_sip_out *out, nta_outgoing_t *orq, const sip_t *sip)
{
    if (!out || out->state == OUT_OVER)
        return 0;
    int status = nta_outgoing_status(orq);
    if (!sip || nta_sip_is_internal(sip)) {
        epc_sip_out_local(out, status == 408 ? 408 : 503);
        return 0;
    }
    msg_t *msg = nta_outgoing_getresponse(orq);
    if (!msg)
        return 0;
    char peer[EPC_ADDR_LEN];
    epc_sip_trace_msg(EPC_TRACE_MW, false, peer_of(msg, peer), msg);
    if (!epc_sip_check_response(msg)) {
        epc_count(EPC_C_SIP_CORE_STRAY);
        epc_log(EPC_LOG_WARN, "sip", "event=malformed-response leg=core status=%d", status);
        msg_destroy(msg);
        if (status >= 200)
            epc_sip_out_local(out, 503);
        return 0;
    }
    epc_sip_out_response(out, msg);
    return 0;
}

enum epc_err epc_sip_core_send(struct epc_sip_out *out, msg_t *msg)
{
    out->orq = nta_outgoing_mcreate(out->s->agent, on_response, out, epc_url_string(out->route), msg,
                                    NTATAG_BRANCH_KEY(out->branch), TAG_END());
    if (!out->orq) {
        msg_destroy(msg);
        return EPC_EPROTO;
    }
    out->req = nta_outgoing_getrequest(out->orq); /* shows our Via; CANCEL is made from it */
    epc_sip_trace_msg(EPC_TRACE_MW, true, out->route, out->req);
    return EPC_OK;
}

void epc_sip_core_cancel(struct epc_sip_out *out)
{
    char extra[300] = "";
    if (out->cancel_reason)
        snprintf(extra, sizeof extra, "Reason: %.250s\r\n", out->cancel_reason);
    msg_t *msg = epc_sip_make_inner(epc_sip_of(out->req), SIP_METHOD_CANCEL, NULL, false, extra);
    if (!msg)
        return;
    /* Not nta_outgoing_tcancel(): on TCP it ends the INVITE transaction at once, and the 487 would
     * find nobody to ACK it. */
    nta_outgoing_t *orq = nta_outgoing_mcreate(out->s->agent, NULL, NULL, epc_url_string(out->route),
                                               msg, NTATAG_BRANCH_KEY(out->branch), TAG_END());
    if (!orq) {
        msg_destroy(msg);
        return;
    }
    msg_t *sent = nta_outgoing_getrequest(orq);
    epc_sip_trace_msg(EPC_TRACE_MW, true, out->route, sent);
    if (sent)
        msg_destroy(sent);
    nta_outgoing_destroy(orq); /* nta finishes it by itself */
}

enum epc_err epc_sip_send_ack(struct epc_sip *s, const struct epc_sip_dest *dest, msg_t **ack)
{
    EPC_ASSERT_OWNER(s->sh);
    msg_t *msg = *ack;
    *ack = NULL;
    char route[EPC_ADDR_LEN + 40];
    enum epc_err err;
    if (dest->leg == EPC_LEG_WIC) {
        char branch[EPC_SIP_BRANCH_LEN];
        epc_sip_new_branch(branch);
        sip_via_t *v = sip_via_format(msg_home(msg), "SIP/2.0/WSS %s:%u;branch=%s", s->cfg->public_host,
                                      (unsigned)s->cfg->public_port, branch);
        err = !v || msg_header_insert(msg, epc_pub(epc_sip_of(msg)), epc_hdr(v)) < 0
                  ? EPC_ENOMEM
                  : epc_sip_wic_send(s, dest->flow_id, msg, NULL, NULL);
        msg_destroy(msg);
        return err;
    }
    err = epc_sip_core_next_hop(s, msg, dest->next_hop, route, sizeof route);
    if (err) {
        msg_destroy(msg);
        return err;
    }
    msg_ref(msg); /* for the trace: nta adds our Via and gives its own reference up */
    nta_outgoing_t *orq = nta_outgoing_mcreate(s->agent, NULL, NULL, epc_url_string(route), msg,
                                               NTATAG_STATELESS(1), TAG_END());
    epc_sip_trace_msg(EPC_TRACE_MW, true, route, msg);
    msg_destroy(msg);
    if (orq)
        return EPC_OK;
    msg_destroy(msg);
    return EPC_EIO;
}

/* ---- receiving ---------------------------------------------------------------------------- */

static bool is_trusted(const struct epc_sip *s, msg_t *msg)
{
    struct epc_addr a = {.len = 0};
    const su_addrinfo_t *ai = msg_addrinfo(msg);
    if (!ai || !ai->ai_addr || ai->ai_addrlen > sizeof a.ss)
        return false;
    memcpy(&a.ss, ai->ai_addr, ai->ai_addrlen);
    a.len = ai->ai_addrlen;
    for (size_t i = 0; i < s->n_trusted; i++)
        if (epc_addr_same_ip(&a, &s->trusted[i]))
            return true;
    return false;
}

/* A response that nta has no transaction for. Over TCP nta forgets an INVITE with its first final
 * response, so repeated and forked 2xx come this way. */
static void take_stray(struct epc_sip *s, msg_t *msg, sip_t *sip)
{
    struct epc_sip_out *out =
        sip->sip_via && sip->sip_via->v_branch
            ? epc_sip_out_find(s, EPC_LEG_CORE, sip->sip_via->v_branch)
            : NULL;
    const sip_t *req = out && out->req ? epc_sip_of(out->req) : NULL;
    if (req && out->invite && sip->sip_status->st_status / 100 == 2 &&
        sip->sip_cseq->cs_method == sip_method_invite && epc_sip_check_response(msg) &&
        strcmp(sip->sip_call_id->i_id, req->sip_call_id->i_id) == 0) {
        char peer[EPC_ADDR_LEN];
        epc_sip_trace_msg(EPC_TRACE_MW, false, peer_of(msg, peer), msg);
        epc_sip_out_response(out, msg);
        return;
    }
    epc_count(EPC_C_SIP_CORE_STRAY);
    epc_log(EPC_LOG_DEBUG, "sip", "event=stray-response leg=core status=%d", sip->sip_status->st_status);
    msg_destroy(msg);
}

static void refuse_untrusted(struct epc_sip *s, msg_t *msg, const sip_t *sip)
{
    char peer[EPC_ADDR_LEN];
    uint64_t now = epc_now_ms();
    epc_count(EPC_C_SIP_CORE_UNTRUSTED);
    /* One line a second at most: a flood must not become a flood of log lines. */
    if (!s->untrusted_log_ms || now - s->untrusted_log_ms >= UNTRUSTED_LOG_MS) {
        s->untrusted_log_ms = now;
        epc_log(EPC_LOG_WARN, "sip", "event=refused leg=core status=403 why=untrusted-source peer=%s",
                peer_of(msg, peer));
    }
    if (sip->sip_request->rq_method == sip_method_ack)
        msg_destroy(msg);
    else
        nta_msg_treply(s->agent, msg, SIP_403_FORBIDDEN, TAG_END());
}

static int on_server_event(struct epc_sip_in *in, nta_incoming_t *irq, const sip_t *sip)
{
    return epc_sip_in_core_event(in, irq, sip);
}

/* The server transaction; takes @p msg. */
static struct epc_sip_in *make_server(struct epc_sip *s, uint64_t flow_id, msg_t *msg, sip_t *sip)
{
    /* nta acts on "Require: 100rel" by itself (own RSeq, own PRACK handling). Reliable provisional
     * responses are the end points' business: it must not see the tag. */
    sip_require_t *require = sip->sip_require;
    sip_supported_t *supported = sip->sip_supported;
    sip->sip_require = NULL;
    sip->sip_supported = NULL;
    nta_incoming_t *irq = nta_incoming_create(s->agent, NULL, msg, sip, TAG_END());
    if (!irq)
        return NULL;
    sip->sip_require = require;
    sip->sip_supported = supported;
    struct epc_sip_in *in = epc_sip_in_new(s, EPC_LEG_CORE, flow_id, nta_incoming_getrequest(irq), irq);
    if (!in) {
        nta_incoming_destroy(irq); /* answers 500 */
        return NULL;
    }
    nta_incoming_bind(irq, on_server_event, in);
    return in;
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

static void take_request(struct epc_sip *s, msg_t *msg, sip_t *sip)
{
    struct epc_cause c = {0};
    char extra[256];
    uint64_t flow_id = 0;
    bool is_ack = sip->sip_request->rq_method == sip_method_ack;
    int status = epc_sip_check_request(msg, &c, extra);
    enum epc_err token = status ? EPC_ENOENT : epc_sip_pop_routes(s, msg, 0, &flow_id);
    if (is_ack) {
        if (status || token)
            msg_destroy(msg); /* of a request that we refused, or for nobody */
        else
            s->h->ack(s->arg, EPC_LEG_CORE, flow_id, msg);
        return;
    }
    if (sip->sip_request->rq_method == sip_method_cancel) {
        nta_msg_treply(s->agent, msg, SIP_481_NO_TRANSACTION, TAG_END());
        return;
    }
    if (status == 400 || status == 505) {
        /* Parts that a transaction is made of may be missing: answered without one. */
        nta_msg_treply(s->agent, msg, status, c.reason, TAG_END());
        return;
    }
    bool in_dialog = sip->sip_to->a_tag != NULL;
    struct epc_sip_in *in = make_server(s, flow_id, msg, sip);
    if (!in)
        return;
    if (status)
        finish(in, status, c.reason, extra);
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

static int on_message(struct epc_sip *s, nta_agent_t *agent, msg_t *msg, sip_t *sip)
{
    (void)agent;
    EPC_ASSERT_OWNER(s->sh);
    if (!sip->sip_request) {
        take_stray(s, msg, sip);
        return 0;
    }
    char peer[EPC_ADDR_LEN];
    epc_count(EPC_C_SIP_CORE_IN);
    epc_sip_trace_msg(EPC_TRACE_MW, false, peer_of(msg, peer), msg);
    if (!is_trusted(s, msg))
        refuse_untrusted(s, msg, sip);
    else
        take_request(s, msg, sip);
    return 0;
}
