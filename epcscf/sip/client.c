/* Client transactions of both legs as the rooms above see them (RFC 3261 16.7, 16.8): timer C, the wait
 * after CANCEL and the time for repeated 2xx. core_client.c sends again and gives up on the core leg. */
#include "sip/sip_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TIMER_C_MS = 185000 }; /* RFC 3261 16.6: more than 3 minutes */

bool epc_sip_out_eq(const struct epc_hnode *node, const void *key)
{
    return strcasecmp(EPC_CONTAINER(node, struct epc_sip_out, node)->branch, key) == 0;
}

/* Our branches are lower case; a peer may not mind the case (RFC 3261 7.3.1). */
uint64_t epc_sip_branch_hash(const char *branch)
{
    char low[EPC_SIP_BRANCH_LEN];
    size_t n = 0;
    for (; n < sizeof low && branch[n]; n++)
        low[n] = (char)(branch[n] >= 'A' && branch[n] <= 'Z' ? branch[n] + 32 : branch[n]);
    return epc_hash_bytes(low, n);
}

struct epc_sip_out *epc_sip_out_find(struct epc_sip *s, const char *branch)
{
    if (strlen(branch) >= EPC_SIP_BRANCH_LEN)
        return NULL;
    struct epc_hnode *node = epc_hash_find(&s->wic_out, epc_sip_branch_hash(branch), branch);
    return node ? EPC_CONTAINER(node, struct epc_sip_out, node) : NULL;
}

static enum epc_counter gauge(enum epc_leg leg)
{
    return leg == EPC_LEG_WIC ? EPC_C_SIP_TX_WIC : EPC_C_SIP_TX_CORE;
}

static void out_free(void *obj)
{
    struct epc_sip_out *out = obj;
    free(out->cancel_reason);
    free(out);
}

static void out_remove(struct epc_sip_out *out)
{
    struct epc_sip *s = out->s;
    out->state = OUT_OVER;
    epc_timer_stop(s->sh, &out->timer);
    if (out->in_table)
        epc_hash_del(&s->wic_out, &out->node);
    out->in_table = false;
    epc_sip_ref_del(s, &out->ref);
}

/* The rest of the end, when nothing on the stack uses the request any more. */
static void out_end(void *obj)
{
    struct epc_sip_out *out = obj;
    epc_core_tx_leave(out);
    if (out->req)
        msg_destroy(out->req);
    out->req = NULL;
    if (out->s) {
        epc_sip_unlink(&out->link);
        epc_count_add(gauge(out->leg), -1);
    }
    out->s = NULL;
}

static void out_doomed(void *obj)
{
    out_end(obj);
    out_free(obj);
}

static void deliver(struct epc_sip_out *out, int status, msg_t *resp)
{
    if (out->fn)
        out->fn(out->arg, out, status, resp);
    else if (resp)
        msg_destroy(resp);
}

static void out_over(struct epc_sip_out *out)
{
    if (out->state == OUT_OVER)
        return;
    out_remove(out);
    epc_shard_doom(out->s->sh, out_doomed, out);
    deliver(out, 0, NULL);
    out->fn = NULL;
}

void epc_sip_out_orphan(struct epc_sip_out *out)
{
    struct epc_shard *sh = out->s->sh;
    bool doomed = out->state == OUT_OVER;
    if (!doomed)
        out_remove(out);
    out->fn = NULL;
    out_end(out);
    if (!doomed)
        epc_shard_doom(sh, out_free, out);
}

/* ---- timers ------------------------------------------------------------------------------- */

static void timer_fired(void *arg);

static void arm(struct epc_sip_out *out, uint64_t ms)
{
    epc_timer_start(out->s->sh, &out->timer, ms, timer_fired, out);
}

static void send_cancel(struct epc_sip_out *out)
{
    if (out->cancel_sent)
        return;
    out->cancel_sent = true;
    arm(out, out->s->t64_ms); /* RFC 3261 9.1: no final answer by then, and it is given up */
    char extra[300] = "";
    if (out->cancel_reason)
        snprintf(extra, sizeof extra, "Reason: %.250s\r\n", out->cancel_reason);
    if (out->leg == EPC_LEG_CORE) {
        epc_core_tx_cancel(out, extra);
        return;
    }
    msg_t *msg = epc_sip_make_inner(epc_sip_of(out->req), SIP_METHOD_CANCEL, NULL, true, extra);
    if (msg && epc_sip_wic_send(out->s, out->flow_id, msg, NULL, NULL) != EPC_OK)
        epc_log(EPC_LOG_DEBUG, "sip", "event=cancel-lost leg=wic flow=%llx",
                (unsigned long long)out->flow_id);
    if (msg)
        msg_destroy(msg);
}

static void timer_fired(void *arg)
{
    struct epc_sip_out *out = arg;
    if (out->state == OUT_LINGERING)
        out_over(out);
    else if (out->invite && out->got_1xx && !out->cancel_sent) {
        epc_log(EPC_LOG_INFO, "sip", "event=timer-c leg=%s", out->leg == EPC_LEG_WIC ? "wic" : "core");
        out->cancel_wanted = true;
        send_cancel(out); /* RFC 3261 16.8 */
    } else
        epc_sip_out_local(out, 408);
}

/* ---- sending ------------------------------------------------------------------------------ */

static enum epc_err send_wic(struct epc_sip_out *out, msg_t *msg)
{
    struct epc_sip *s = out->s;
    const char *host = s->cfg->public_host;
    bool v6 = strchr(host, ':') && host[0] != '[';
    sip_via_t *v = sip_via_format(msg_home(msg), "SIP/2.0/WSS %s%s%s:%u;branch=%s", v6 ? "[" : "", host,
                                  v6 ? "]" : "", (unsigned)s->cfg->public_port, out->branch);
    if (!v || msg_header_insert(msg, epc_pub(epc_sip_of(msg)), epc_hdr(v)) < 0)
        return EPC_ENOMEM;
    enum epc_err err = epc_sip_wic_send(s, out->flow_id, msg, NULL, NULL);
    if (err == EPC_ELIMIT)
        err = EPC_ENOENT; /* the flow is being closed */
    if (!err)
        arm(out, s->cfg->wic_timeout_ms ? s->cfg->wic_timeout_ms : s->t64_ms);
    return err;
}

enum epc_err epc_sip_out_send(struct epc_sip_out **result, struct epc_sip *s,
                              const struct epc_sip_dest *dest, msg_t **req, epc_sip_response_fn *fn,
                              void *arg)
{
    EPC_ASSERT_OWNER(s->sh);
    msg_t *msg = *req;
    *req = NULL;
    struct epc_sip_next_hop to = {.any_transport = false};
    const sip_t *sip = epc_sip_of(msg);
    enum epc_err err = EPC_OK;
    if (!sip->sip_request || !sip->sip_from || !sip->sip_to || !sip->sip_call_id || !sip->sip_cseq)
        err = EPC_EPROTO;
    else if (dest->leg == EPC_LEG_CORE)
        err = epc_sip_core_next_hop(s, msg, dest->next_hop, &to);
    else if (!s->wss || !epc_wss_flow(s->wss, dest->flow_id))
        err = EPC_ENOENT;
    struct epc_sip_out *out = err ? NULL : calloc(1, sizeof *out);
    if (!out) {
        msg_destroy(msg);
        return err ? err : EPC_ENOMEM;
    }
    out->s = s;
    out->leg = dest->leg;
    out->flow_id = dest->flow_id;
    out->fn = fn;
    out->arg = arg;
    out->invite = sip->sip_request->rq_method == sip_method_invite;
    out->ref.out = out;
    epc_sip_new_branch(out->branch);
    out->req = msg;
    err = out->leg == EPC_LEG_WIC ? send_wic(out, msg) : epc_core_tx_start(out, msg, &to.hop, to.any_transport);
    if (err) {
        epc_timer_stop(s->sh, &out->timer);
        if (out->req)
            msg_destroy(out->req);
        out_free(out);
        return err;
    }
    if (out->leg == EPC_LEG_WIC) {
        epc_hash_add(&s->wic_out, &out->node, epc_sip_branch_hash(out->branch));
        out->in_table = true;
        epc_sip_ref_add(s, &out->ref, out->flow_id);
    }
    epc_sip_link(&s->outs, &out->link);
    epc_count(gauge(out->leg));
    *result = out;
    return EPC_OK;
}

void epc_sip_out_cancel(struct epc_sip_out *out, const char *reason)
{
    if (out->state != OUT_WAITING || !out->invite || out->cancel_wanted)
        return;
    EPC_ASSERT_OWNER(out->s->sh);
    out->cancel_wanted = true;
    if (reason && !strpbrk(reason, "\r\n"))
        out->cancel_reason = epc_str_dup(epc_str_c(reason));
    if (out->got_1xx)
        send_cancel(out);
}

void epc_sip_out_detach(struct epc_sip_out *out)
{
    if (!out)
        return;
    out->fn = NULL;
    out->arg = NULL;
    if (out->state == OUT_LINGERING)
        out_over(out);
}

/* ---- answers ------------------------------------------------------------------------------ */

static void ack_non_2xx(struct epc_sip_out *out, const sip_t *resp)
{
    if (out->leg == EPC_LEG_CORE)
        return; /* core_client.c has done it */
    msg_t *ack = epc_sip_make_inner(epc_sip_of(out->req), SIP_METHOD_ACK, resp->sip_to, true, NULL);
    if (ack && epc_sip_wic_send(out->s, out->flow_id, ack, NULL, NULL) != EPC_OK)
        epc_log(EPC_LOG_DEBUG, "sip", "event=ack-lost leg=wic");
    if (ack)
        msg_destroy(ack);
}

static bool makes_dialog(const sip_t *req)
{
    sip_method_t m = req->sip_request->rq_method;
    return !req->sip_to->a_tag &&
           (m == sip_method_invite || m == sip_method_subscribe || m == sip_method_refer);
}

/* Our Via off; a WIC cannot change the recorded route (TS 24.229 5.2.6.4). */
static bool strip_ours(struct epc_sip_out *out, msg_t *msg)
{
    sip_t *sip = epc_sip_of(msg);
    const sip_t *req = epc_sip_of(out->req);
    int status = sip->sip_status->st_status;
    if (msg_header_remove(msg, epc_pub(sip), epc_hdr(sip->sip_via)) != 0)
        return false;
    if (out->leg == EPC_LEG_WIC && status > 100 && status < 300 &&
        (sip->sip_record_route || makes_dialog(req)))
        return epc_sip_copy_record_routes(msg, req) == EPC_OK;
    return true;
}

static void take_provisional(struct epc_sip_out *out, msg_t *msg, int status)
{
    struct epc_sip *s = out->s;
    if (out->state != OUT_WAITING) {
        msg_destroy(msg);
        return;
    }
    out->got_1xx = true;
    if (out->cancel_wanted)
        send_cancel(out);
    else if (out->invite && !out->cancel_sent)
        arm(out, s->cfg->timer_c_ms ? s->cfg->timer_c_ms : TIMER_C_MS);
    if (status == 100 || !strip_ours(out, msg))
        msg_destroy(msg);
    else
        deliver(out, status, msg);
}

void epc_sip_out_response(struct epc_sip_out *out, msg_t *msg)
{
    int status = epc_sip_of(msg)->sip_status->st_status;
    bool success = status >= 200 && status < 300;
    if (out->state == OUT_OVER) {
        msg_destroy(msg);
        return;
    }
    if (status < 200) {
        take_provisional(out, msg, status);
        return;
    }
    if (out->invite && !success)
        ack_non_2xx(out, epc_sip_of(msg));
    if (out->state == OUT_LINGERING && !success) {
        msg_destroy(msg); /* the final answer was given already */
        return;
    }
    bool last = !out->invite || !success;
    if (!last && out->state == OUT_WAITING) {
        out->state = OUT_LINGERING;
        arm(out, out->s->t64_ms);
    }
    if (!strip_ours(out, msg)) {
        msg_destroy(msg);
        return;
    }
    deliver(out, status, msg);
    if (last)
        out_over(out);
}

void epc_sip_out_local(struct epc_sip_out *out, int status)
{
    if (out->state != OUT_WAITING)
        return;
    if (out->leg == EPC_LEG_CORE && status == 408)
        epc_count(EPC_C_SIP_CORE_TIMEOUT);
    epc_log(EPC_LOG_INFO, "sip", "event=no-answer leg=%s status=%d",
            out->leg == EPC_LEG_WIC ? "wic" : "core", status);
    bool linger = out->invite && status == 408;
    if (linger) {
        /* The answer may still come: the room must hear of a late 2xx to end that call. */
        out->state = OUT_LINGERING;
        arm(out, out->s->t64_ms);
    }
    deliver(out, status, NULL);
    if (!linger)
        out_over(out);
}

void epc_sip_out_flow_gone(struct epc_sip_out *out)
{
    if (out->state == OUT_WAITING)
        deliver(out, 408, NULL);
    out_over(out);
}
