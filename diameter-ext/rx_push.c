/* RAR and ASR: what the PCRF starts. Answered at once; the session hears of it afterwards.
 * Spec: TS 29.214 4.4.6, 5.3.13, 5.6.3, 5.6.7. */
#include "rx_priv.h"

#include <stdlib.h>
#include <string.h>

enum {
    SA_CHARGING_CORRELATION = 1, SA_LOSS_OF_BEARER = 2, SA_RECOVERY_OF_BEARER = 3,
    SA_RELEASE_OF_BEARER = 4, SA_IP_CAN_CHANGE = 6, SA_FAILED_ALLOCATION = 9,
    SA_ACCESS_NETWORK_INFO = 12, SA_PLMN_CHANGE = 16,
};
enum { RESULT_SUCCESS = 2001, RESULT_TOO_BUSY = 3004, RESULT_UNKNOWN_SESSION = 5002 };

#define MAX_ACTIONS 8

/* What a RAR or ASR says, copied out of the message. */
struct push {
    struct epc_policy_event event[MAX_ACTIONS];
    size_t n_events;
    struct epc_policy_access access;
};

/* ---- reading -------------------------------------------------------------------------------------- */

/* access-class of P-Access-Network-Info (TS 24.229 7.2A.4.2): the network knows no more of a cell. */
static const char *access_class(struct msg *m)
{
    static const struct {
        uint32_t rat;
        const char *text;
    } known[] = {{0, "3GPP-WLAN;network-provided"},      {1000, "3GPP-UTRAN;network-provided"},
                 {1001, "3GPP-GERAN;network-provided"},  {1004, "3GPP-E-UTRAN;network-provided"},
                 {1006, "3GPP-NR;network-provided"}};
    uint32_t rat;
    if (rx_get_u32(m, RX_RAT_TYPE, &rat))
        for (size_t i = 0; i < EPC_ARRAY_LEN(known); i++)
            if (known[i].rat == rat)
                return known[i].text;
    return NULL;
}

/* Components of the Flows AVPs. For SA_FAILED_ALLOCATION a component whose status is ACTIVE is none
 * of them (5.3.13: without Media-Component-Status it counts as inactive). */
static void read_flows(struct msg *m, bool skip_active, struct epc_policy_event *ev, bool *any)
{
    struct avp *f = NULL;
    *any = false;
    while ((f = rx_get(m, RX_FLOWS, f))) {
        uint32_t number, status = 1;
        *any = true;
        (void)rx_get_u32(f, RX_MEDIA_COMPONENT_STATUS, &status);
        if (!rx_get_u32(f, RX_MEDIA_COMPONENT_NUMBER, &number) || (skip_active && status == 0))
            continue;
        if (ev->n_components < EPC_ARRAY_LEN(ev->components))
            ev->components[ev->n_components++] = number;
    }
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

/* @return false: nothing that session/ must hear. */
static bool read_action(struct msg *m, uint32_t action, const struct epc_service_info *have,
                        struct epc_policy_event *ev)
{
    bool flows;
    *ev = (struct epc_policy_event){.code = action};
    switch (action) {
    case SA_LOSS_OF_BEARER:
    case SA_RELEASE_OF_BEARER:
    case SA_FAILED_ALLOCATION:
        read_flows(m, action == SA_FAILED_ALLOCATION, ev, &flows);
        if (flows && ev->n_components == 0)
            return false;
        ev->kind = !flows || covers_all(have, ev) ? EPC_PEV_ALL_MEDIA_LOST : EPC_PEV_MEDIA_LOST;
        return true;
    case SA_RECOVERY_OF_BEARER:
        read_flows(m, false, ev, &flows);
        ev->kind = EPC_PEV_RECOVERED;
        return true;
    case SA_CHARGING_CORRELATION:
    case SA_IP_CAN_CHANGE:
    case SA_ACCESS_NETWORK_INFO:
    case SA_PLMN_CHANGE:
        ev->kind = EPC_PEV_ACCESS_INFO;
        return true;
    }
    return false; /* not subscribed to */
}

static void read_rar(struct msg *m, const struct epc_service_info *have, struct push *p)
{
    struct avp *a = NULL;
    const char *class = access_class(m);
    p->access = (struct epc_policy_access){.ip_can_type = -1, .rat_type = -1};
    if (class)
        snprintf(p->access.access_info, sizeof p->access.access_info, "%s", class);
    while (p->n_events < MAX_ACTIONS && (a = rx_get(m, RX_SPECIFIC_ACTION, a))) {
        struct avp_hdr *h;
        if (fd_msg_avp_hdr(a, &h) == 0 && h->avp_value &&
            read_action(m, h->avp_value->u32, have, &p->event[p->n_events])) {
            p->event[p->n_events].access = &p->access;
            p->n_events++;
        }
    }
}

static void read_asr(struct msg *m, struct push *p)
{
    p->event[0] = (struct epc_policy_event){.kind = EPC_PEV_ABORT};
    (void)rx_get_u32(m, RX_ABORT_CAUSE, &p->event[0].code);
    p->n_events = 1;
}

/* ---- answering ------------------------------------------------------------------------------------ */

/* Takes the request (nulled). */
static void answer(struct msg **m, uint32_t command, uint32_t code, const char *key)
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
    rx_put_u32(*m, RX_RESULT_CODE, code, &ok);
    if (code / 1000 == 3) { /* a protocol error carries the E bit (RFC 6733 7.2) */
        struct msg_hdr *h;
        if (fd_msg_hdr(*m, &h) == 0)
            h->msg_flags |= CMD_FLAG_ERROR;
    }
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

void rx_push(struct rx_tx *tx)
{
    struct epc_str sid = EPC_STR_NULL;
    struct rx_assoc *a = rx_assoc_find(tx->rs, tx->token);
    struct push p = {0};
    bool known = a && rx_get_octets(tx->msg, RX_SESSION_ID, &sid) &&
                 epc_str_eqc(sid, a->session_id);
    rx_trace(false, tx->msg, known ? a->trace_key : NULL);
    if (!known) {
        answer_unknown(&tx->msg, tx->command);
        return;
    }
    rx_peer_answered(a, tx);
    if (tx->command == RX_CC_AS)
        read_asr(tx->msg, &p);
    else
        read_rar(tx->msg, a->handle ? a->handle->current : NULL, &p);
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
