/* AAR/AAA and STR/STA. Spec: TS 29.214 4.4.1, 4.4.2, 4.4.4, 5.6.1 to 5.6.6; RFC 6733 8.4. */
#include "rx_priv.h"

#include <stdlib.h>
#include <string.h>

/* Rel8 | Rel9 | ProvAFsignalFlow | Rel10 | NetLoc of feature list 1 (TS 29.214 5.4.1). */
#define RX_FEATURES_LIST_1 0x37u

static void put_destination(struct msg *m, const struct rx_route *to, bool *ok)
{
    rx_put_text(m, RX_DESTINATION_REALM, to->realm, ok);
    if (to->host[0])
        rx_put_text(m, RX_DESTINATION_HOST, to->host, ok);
}

static struct msg *new_request(uint32_t command, const struct rx_assoc *a, const struct rx_route *to, bool *ok)
{
    struct msg *m = NULL;
    struct msg_hdr *h;
    if (fd_msg_new(rx_command(command), MSGFL_ALLOC_ETEID, &m))
        return NULL;
    if (fd_msg_hdr(m, &h)) {
        fd_msg_free(m);
        return NULL;
    }
    h->msg_appl = RX_APP_ID;
    h->msg_flags |= CMD_FLAG_PROXIABLE;
    rx_put_text(m, RX_SESSION_ID, a->session_id, ok);
    rx_put_u32(m, RX_AUTH_APPLICATION_ID, RX_APP_ID, ok);
    if (fd_msg_add_origin(m, 1)) /* Origin-Host, Origin-Realm, Origin-State-Id */
        *ok = false;
    put_destination(m, to, ok);
    return m;
}

static void put_subscriptions_to_events(struct msg *m, bool signalling, bool *ok)
{
    /* 5.3.13: in the initial request only. A signalling session reports its path alone (4.4.5). */
    static const int32_t call[] = {1, 2, 3, 4, 6, 9}, path[] = {2, 3, 4, 6};
    const int32_t *action = signalling ? path : call;
    size_t n = signalling ? EPC_ARRAY_LEN(path) : EPC_ARRAY_LEN(call);
    for (size_t i = 0; i < n; i++)
        rx_put_i32(m, RX_SPECIFIC_ACTION, action[i], ok);
}

static void put_features(struct msg *m, bool *ok)
{
    struct avp *f = rx_put_group(m, RX_SUPPORTED_FEATURES, ok);
    if (!f)
        return;
    rx_put_u32(f, RX_VENDOR_ID, RX_VENDOR, ok);
    rx_put_u32(f, RX_FEATURE_LIST_ID, 1, ok);
    rx_put_u32(f, RX_FEATURE_LIST, RX_FEATURES_LIST_1, ok);
}

static void put_initial(struct msg *m, const struct epc_policy_session *h, bool signalling,
                        bool *ok)
{
    put_subscriptions_to_events(m, signalling, ok);
    if (h->impu)
        rx_put_subscription(m, h->impu, ok);
    put_features(m, ok);
    rx_put_ue(m, &h->ue, ok);
}

static enum epc_err queue(struct rx_assoc *a, uint32_t command, const struct rx_route *to,
                          struct msg **m, bool ok)
{
    struct rx_tx *tx = ok ? calloc(1, sizeof *tx) : NULL;
    if (!tx) {
        fd_msg_free(*m);
        *m = NULL;
        return EPC_ENOMEM;
    }
    *tx = (struct rx_tx){.rs = a->rs, .token = a->token, .seq = a->seq, .command = command,
                         .opens = command == RX_CC_AA && !a->peer_host,
                         .bound = a->peer_host != NULL};
    memcpy(tx->hop, to->hop, sizeof tx->hop);
    rx_trace(true, *m, a->trace_key);
    tx->msg = *m;
    *m = NULL;
    enum epc_err e = rx_send(tx);
    if (e)
        rx_tx_free(tx);
    return e;
}

enum epc_err rx_send_aar(struct rx_assoc *a, const struct epc_service_info *info, bool initial)
{
    const struct epc_policy_session *h = a->handle;
    const char *app_id = rx.host->cfg->af_application_id;
    bool ok = true;
    struct rx_route to;
    rx_route(a, &to);
    struct msg *m = new_request(RX_CC_AA, a, &to, &ok);
    if (!m)
        return EPC_ENOMEM;
    a->seq++;
    a->late = false;
    if (app_id && app_id[0])
        rx_put_text(m, RX_AF_APPLICATION_IDENTIFIER, app_id, &ok);
    rx_put_components(m, info, &ok);
    if (info->preliminary)
        rx_put_i32(m, RX_SERVICE_INFO_STATUS, 1 /* PRELIMINARY_SERVICE_INFORMATION */, &ok);
    if (h->icid)
        rx_put_text(m, RX_AF_CHARGING_IDENTIFIER, h->icid, &ok);
    if (initial)
        put_initial(m, h, info->signalling, &ok);
    rx_put_i32(m, RX_RX_REQUEST_TYPE, initial ? 0 : 1, &ok);
    if (a->class_avp.n)
        rx_put_octets(m, RX_CLASS, a->class_avp.p, a->class_avp.n, &ok);
    enum epc_err e = queue(a, RX_CC_AA, &to, &m, ok);
    if (!e)
        epc_count(EPC_C_RX_AAR);
    return e;
}

enum epc_err rx_send_str(struct rx_assoc *a)
{
    bool ok = true;
    struct rx_route to;
    rx_route(a, &to);
    struct msg *m = new_request(RX_CC_ST, a, &to, &ok);
    if (!m)
        return EPC_ENOMEM;
    a->seq++;
    rx_put_i32(m, RX_TERMINATION_CAUSE, 1 /* DIAMETER_LOGOUT */, &ok);
    if (a->class_avp.n)
        rx_put_octets(m, RX_CLASS, a->class_avp.p, a->class_avp.n, &ok);
    enum epc_err e = queue(a, RX_CC_ST, &to, &m, ok);
    if (!e)
        epc_count(EPC_C_RX_STR);
    return e;
}

/* ---- answers -------------------------------------------------------------------------------------- */

/* Result-Code or, in its place, Experimental-Result (RFC 6733 7.6). @return false: neither. */
static bool read_code(struct msg *m, struct epc_policy_result *r)
{
    struct avp *exp = rx_get(m, RX_EXPERIMENTAL_RESULT, NULL);
    bool plain = rx_get_u32(m, RX_RESULT_CODE, &r->code);
    if (plain && (r->code / 1000 != 2 || !exp))
        return true;
    if (exp && rx_get_u32(exp, RX_EXPERIMENTAL_RESULT_CODE, &r->code)) {
        r->experimental = true;
        return true;
    }
    return plain;
}

static void log_refusal(struct msg *m, const struct epc_policy_result *r)
{
    struct epc_str sid = EPC_STR_NULL;
    (void)rx_get_octets(m, RX_SESSION_ID, &sid);
    /* 5001 to 5015 without Experimental-Result: the PCRF found our request wrong. */
    bool our_fault = !r->experimental && r->code > 5000 && r->code < 5016 && r->code != 5002 &&
                     r->code != 5003;
    epc_log(our_fault ? EPC_LOG_ERROR : EPC_LOG_INFO, "rx",
            "event=%s code=%u experimental=%d session=%.*s",
            our_fault ? "request-faulted" : "refused", r->code, r->experimental, EPC_STR_ARG(sid));
}

enum rx_event rx_read_answer(struct msg *m, struct epc_policy_result *r)
{
    *r = (struct epc_policy_result){.outcome = EPC_POLICY_FAILED};
    if (!read_code(m, r)) {
        epc_log(EPC_LOG_WARN, "rx", "event=answer-without-result");
        return RX_EV_REFUSED;
    }
    if (r->code / 1000 == 2) {
        r->outcome = EPC_POLICY_GRANTED;
        return RX_EV_GRANTED;
    }
    if (!r->experimental && r->code / 1000 == 3) {
        r->outcome = EPC_POLICY_UNREACHABLE;
        epc_log(EPC_LOG_WARN, "rx", "event=undelivered code=%u", r->code);
        return RX_EV_UNDELIVERED;
    }
    r->outcome = EPC_POLICY_REFUSED;
    (void)rx_get_u32(m, RX_RETRY_INTERVAL, &r->retry_interval_s);
    rx_read_acceptable(m, r);
    log_refusal(m, r);
    return !r->experimental && r->code == 5002 ? RX_EV_UNKNOWN : RX_EV_REFUSED;
}

static void keep(char **to, struct msg *m, enum rx_avp id)
{
    struct epc_str v;
    if (*to || !rx_get_octets(m, id, &v))
        return;
    *to = epc_str_dup(v); /* without it requests go by realm: no failure */
}

void rx_learn_peer(struct rx_assoc *a, struct msg *m)
{
    struct epc_str v;
    keep(&a->peer_host, m, RX_ORIGIN_HOST);
    keep(&a->peer_realm, m, RX_ORIGIN_REALM);
    if (rx_get_octets(m, RX_CLASS, &v)) {
        char *copy = malloc(v.n ? v.n : 1);
        if (copy) {
            memcpy(copy, v.p, v.n);
            free((char *)a->class_avp.p);
            a->class_avp = (struct epc_str){copy, v.n};
        }
    }
}
