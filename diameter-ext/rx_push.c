/* RAR and ASR: what the PCRF starts. Answered at once; the session hears of it afterwards.
 * Spec: TS 29.214 4.4.6, 5.3.13, 5.6.3, 5.6.7. */
#include "rx_history.h"

#include <stdlib.h>
#include <string.h>

enum specific_action {
    SA_CHARGING_CORRELATION = 1, SA_LOSS_OF_BEARER = 2, SA_RECOVERY_OF_BEARER = 3,
    SA_RELEASE_OF_BEARER = 4, SA_IP_CAN_CHANGE = 6, SA_OUT_OF_CREDIT = 7, SA_RESOURCES_ALLOCATED = 8,
    SA_FAILED_ALLOCATION = 9, SA_LIMITED_PCC = 10, SA_ACCESS_NETWORK_INFO = 12,
    SA_LIMITED_PCC_OVER = 13, SA_ACCESS_INFO_FAILED = 14, SA_PLMN_CHANGE = 16, SA_CREDIT_BACK = 18,
    SA_HIGHEST = 20, /* FAILED_QOS_UPDATE */
};
enum {
    RESULT_SUCCESS = 2001, RESULT_TOO_BUSY = 3004, RESULT_UNKNOWN_SESSION = 5002,
    RESULT_INVALID_AVP_VALUE = 5004, RESULT_MISSING_AVP = 5005,
};

#define MAX_ACTIONS 8

/* What a RAR or ASR says, copied out of the message. */
struct push {
    struct epc_policy_event event[MAX_ACTIONS];
    size_t n_events;
    bool has_access, has_charging;
    struct epc_policy_access access;
    struct epc_policy_charging charging;
};

/* What is wrong with it; `result` RESULT_SUCCESS: nothing. */
struct fault {
    uint32_t result;
    enum rx_avp avp;
    uint32_t value;
};

/* ---- reading -------------------------------------------------------------------------------------- */

/* Components of the Flows AVPs. For SA_FAILED_ALLOCATION a component whose status is ACTIVE is none
 * of them (5.3.13: without Media-Component-Status it counts as inactive). @return false: no Flows. */
static bool read_flows(struct msg *m, bool skip_active, struct epc_policy_event *ev)
{
    struct avp *f = NULL;
    bool any = false;
    while ((f = rx_get(m, RX_FLOWS, f))) {
        uint32_t number, status = 1;
        any = true;
        (void)rx_get_u32(f, RX_MEDIA_COMPONENT_STATUS, &status);
        if (!rx_get_u32(f, RX_MEDIA_COMPONENT_NUMBER, &number) || (skip_active && status == 0))
            continue;
        if (ev->n_components < EPC_ARRAY_LEN(ev->components))
            ev->components[ev->n_components++] = number;
    }
    return any;
}

static bool covers_all(const struct epc_service_info *have, const struct epc_policy_event *ev)
{
    for (size_t i = 0; have && i < have->n_components; i++) {
        bool found = false;
        for (size_t k = 0; k < ev->n_components; k++)
            found = found || ev->components[k] == have->component[i].number;
        if (!found)
            return false;
    }
    return true;
}

static bool read_loss(struct msg *m, bool failed, const struct epc_service_info *have,
                      struct epc_policy_event *ev)
{
    bool flows = read_flows(m, failed, ev);
    if (flows && ev->n_components == 0)
        return false;
    ev->kind = !flows || covers_all(have, ev) ? EPC_PEV_ALL_MEDIA_LOST : EPC_PEV_MEDIA_LOST;
    return true;
}

/* @return false: nothing that session/ must hear. */
static bool read_action(struct msg *m, uint32_t action, const struct epc_service_info *have,
                        struct epc_policy_event *ev)
{
    *ev = (struct epc_policy_event){.code = action};
    switch ((enum specific_action)action) {
    case SA_LOSS_OF_BEARER:
    case SA_RELEASE_OF_BEARER:
    case SA_FAILED_ALLOCATION:
        return read_loss(m, action == SA_FAILED_ALLOCATION, have, ev);
    case SA_RECOVERY_OF_BEARER:
        ev->kind = EPC_PEV_RECOVERED;
        break;
    case SA_RESOURCES_ALLOCATED:
        ev->kind = EPC_PEV_RESOURCES;
        break;
    case SA_OUT_OF_CREDIT:
        ev->kind = EPC_PEV_OUT_OF_CREDIT;
        break;
    case SA_CREDIT_BACK:
        ev->kind = EPC_PEV_CREDIT_BACK;
        break;
    case SA_LIMITED_PCC:
    case SA_LIMITED_PCC_OVER:
        ev->kind = EPC_PEV_LIMITED_PCC;
        break;
    case SA_CHARGING_CORRELATION:
        ev->kind = EPC_PEV_CHARGING;
        return true;
    case SA_IP_CAN_CHANGE:
    case SA_ACCESS_NETWORK_INFO:
    case SA_ACCESS_INFO_FAILED:
    case SA_PLMN_CHANGE:
        ev->kind = EPC_PEV_ACCESS_INFO;
        return true;
    case SA_HIGHEST:
    default:
        return false; /* not subscribed to */
    }
    (void)read_flows(m, false, ev);
    return true;
}

static uint32_t action_of(struct avp *a)
{
    struct avp_hdr *h;
    return fd_msg_avp_hdr(a, &h) == 0 && h->avp_value ? h->avp_value->u32 : UINT32_MAX;
}

static void read_rar(struct msg *m, const struct epc_service_info *have, struct push *p)
{
    struct avp *a = NULL;
    p->has_access = rx_read_access(m, &p->access);
    p->has_charging = rx_read_charging(m, &p->charging);
    while (p->n_events < MAX_ACTIONS && (a = rx_get(m, RX_SPECIFIC_ACTION, a))) {
        struct epc_policy_event *ev = &p->event[p->n_events];
        if (!read_action(m, action_of(a), have, ev)) {
            epc_log(EPC_LOG_INFO, "rx", "event=specific-action-ignored value=%u", action_of(a));
            continue;
        }
        if (ev->code == SA_ACCESS_INFO_FAILED)
            p->has_access = p->access.reporting_failed = true;
        p->n_events++;
    }
    for (size_t i = 0; i < p->n_events; i++) {
        p->event[i].access = p->has_access ? &p->access : NULL;
        p->event[i].charging = p->has_charging ? &p->charging : NULL;
    }
}

static void read_asr(struct msg *m, struct push *p)
{
    p->event[0] = (struct epc_policy_event){.kind = EPC_PEV_ABORT};
    (void)rx_get_u32(m, RX_ABORT_CAUSE, &p->event[0].code);
    p->n_events = 1;
}

/* What freeDiameter's rules do not say, or said before another dictionary changed them. */
static struct fault check(struct msg *m, uint32_t command)
{
    struct avp *a = NULL;
    uint32_t app = 0;
    if (!rx_get_u32(m, RX_AUTH_APPLICATION_ID, &app))
        return (struct fault){RESULT_MISSING_AVP, RX_AUTH_APPLICATION_ID, 0};
    if (app != RX_APP_ID)
        return (struct fault){RESULT_INVALID_AVP_VALUE, RX_AUTH_APPLICATION_ID, app};
    if (command == RX_CC_AS)
        return (struct fault){rx_get(m, RX_ABORT_CAUSE, NULL) ? RESULT_SUCCESS : RESULT_MISSING_AVP,
                              RX_ABORT_CAUSE, 0};
    if (!rx_get(m, RX_SPECIFIC_ACTION, NULL))
        return (struct fault){RESULT_MISSING_AVP, RX_SPECIFIC_ACTION, 0};
    while ((a = rx_get(m, RX_SPECIFIC_ACTION, a)))
        if (action_of(a) > SA_HIGHEST)
            return (struct fault){RESULT_INVALID_AVP_VALUE, RX_SPECIFIC_ACTION, action_of(a)};
    return (struct fault){.result = RESULT_SUCCESS};
}

/* ---- answering ------------------------------------------------------------------------------------ */

static void put_result(struct msg *m, const struct fault *f, bool *ok)
{
    rx_put_u32(m, RX_RESULT_CODE, f->result, ok);
    if (f->result == RESULT_INVALID_AVP_VALUE || f->result == RESULT_MISSING_AVP) {
        struct avp *failed = rx_put_group(m, RX_FAILED_AVP, ok);
        if (failed)
            rx_put_u32(failed, f->avp, f->value, ok); /* all that can be at fault are integers */
    }
    if (f->result / 1000 == 3) { /* a protocol error carries the E bit (RFC 6733 7.2) */
        struct msg_hdr *h;
        if (fd_msg_hdr(m, &h) == 0)
            h->msg_flags |= CMD_FLAG_ERROR;
    }
}

/* Takes the request (nulled). */
static void answer_fault(struct msg **m, uint32_t command, const struct fault *f, const char *key)
{
    bool ok = true;
    if (fd_msg_new_answer_from_req(fd_g_config->cnf_dict, m, 0)) {
        epc_log(EPC_LOG_ERROR, "rx", "event=answer-failed command=%u", command);
        fd_msg_free(*m);
        *m = NULL;
        return;
    }
    if (fd_msg_add_origin(*m, 1))
        ok = false;
    put_result(*m, f, &ok);
    struct rx_tx *tx = ok ? calloc(1, sizeof *tx) : NULL;
    if (!tx) {
        fd_msg_free(*m);
        *m = NULL;
        return;
    }
    rx_trace(true, *m, key);
    tx->command = command;
    tx->msg = *m;
    *m = NULL;
    if (rx_send(tx))
        rx_tx_free(tx);
}

static void answer(struct msg **m, uint32_t command, uint32_t code, const char *key)
{
    answer_fault(m, command, &(struct fault){.result = code}, key);
}

static void answer_unknown(struct msg **m, uint32_t command)
{
    struct epc_str sid = EPC_STR_NULL;
    (void)rx_get_octets(*m, RX_SESSION_ID, &sid);
    epc_count(EPC_C_RX_UNKNOWN_SESSION);
    epc_log(EPC_LOG_INFO, "rx", "event=unknown-session command=%u session=%.*s", command,
            EPC_STR_ARG(sid));
    answer(m, command, RESULT_UNKNOWN_SESSION, NULL);
}

/* A signalling session's or a call's handle may be closed by any of its callbacks. */
static void tell(struct rx_assoc *a, const struct push *p)
{
    for (size_t i = 0; i < p->n_events; i++) {
        struct epc_policy_session *h = a->handle;
        if (!h)
            return;
        if (h->on_event)
            h->on_event(h->arg, &p->event[i]);
    }
}

static void answer_wrong(struct rx_assoc *a, struct rx_tx *tx, const struct fault *f)
{
    epc_log(EPC_LOG_WARN, "rx", "event=push-refused command=%u result=%u session=%s", tx->command, f->result,
            a->session_id);
    epc_count(EPC_C_RX_PUSH_REFUSED);
    answer_fault(&tx->msg, tx->command, f, a->trace_key);
}

void rx_push(struct rx_tx *tx)
{
    struct epc_str sid = EPC_STR_NULL;
    struct rx_assoc *a = rx_assoc_find(tx->rs, tx->token);
    struct push p;
    bool known = a && rx_get_octets(tx->msg, RX_SESSION_ID, &sid) &&
                 epc_str_eqc(sid, a->session_id);
    rx_trace(false, tx->msg, known ? a->trace_key : NULL);
    if (!known) {
        answer_unknown(&tx->msg, tx->command);
        return;
    }
    rx_peer_answered(a, tx);
    struct fault f = check(tx->msg, tx->command);
    rx_history_pushed(a, tx->msg, tx->command, f.result);
    if (f.result != RESULT_SUCCESS) {
        answer_wrong(a, tx, &f);
        return;
    }
    rx_learn_class(a, tx->msg);
    p.n_events = 0;
    if (tx->command == RX_CC_RA)
        read_rar(tx->msg, a->told ? a->told : a->telling, &p);
    else if (!a->aborted) /* a second ASR is answered like the first, and means no more */
        read_asr(tx->msg, &p);
    a->aborted = a->aborted || tx->command == RX_CC_AS;
    answer(&tx->msg, tx->command, RESULT_SUCCESS, a->trace_key);
    tell(a, &p);
}

/* ---- freeDiameter's callback ---------------------------------------------------------------------- */

static int on_request(struct msg **m, struct avp *avp, struct session *sess, void *arg,
                      enum disp_action *act)
{
    (void)avp, (void)sess, (void)arg;
    struct msg_hdr *h;
    struct epc_str sid = EPC_STR_NULL;
    struct rx_shard *rs;
    uint64_t token;
    *act = DISP_ACT_CONT;
    if (fd_msg_hdr(*m, &h))
        return 0;
    uint32_t command = h->msg_code;
    epc_count(command == RX_CC_AS ? EPC_C_RX_ASR : EPC_C_RX_RAR);
    if (!rx_get_octets(*m, RX_SESSION_ID, &sid) || !rx_session_id_parse(sid, &rs, &token)) {
        rx_trace(false, *m, NULL);
        answer_unknown(m, command);
        return 0;
    }
    struct rx_tx *tx = calloc(1, sizeof *tx);
    if (tx) {
        *tx = (struct rx_tx){.rs = rs, .token = token, .command = command, .msg = *m};
        if (rx.host->post(rs->shard, rx_on_tx, tx) == EPC_OK) {
            *m = NULL;
            return 0;
        }
        free(tx);
    }
    epc_log(EPC_LOG_WARN, "rx", "event=push-refused command=%u shard=%u", command, rs->index);
    answer(m, command, RESULT_TOO_BUSY, NULL);
    return 0;
}

bool rx_push_init(void)
{
    struct disp_when when = {.app = rx_app()};
    struct disp_hdl *handle;
    when.command = rx_command(RX_CC_RA);
    if (fd_disp_register(on_request, DISP_HOW_CC, &when, NULL, &handle))
        return false;
    when.command = rx_command(RX_CC_AS);
    return fd_disp_register(on_request, DISP_HOW_CC, &when, NULL, &handle) == 0;
}
