/* AAR and STR. Spec: TS 29.214 4.4.1, 4.4.2, 4.4.4, 5.6.1, 5.6.5; the AVPs in the order of the ABNF. */
#include "rx_history.h"

#include <stdlib.h>
#include <string.h>

enum { INITIAL_REQUEST = 0, UPDATE_REQUEST = 1 };

/* ---- what every request has ------------------------------------------------------------------------ */

static struct msg *new_request(uint32_t command)
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
    return m;
}

static void put_origin(struct msg *m, bool *ok)
{
    rx_put_octets(m, RX_ORIGIN_HOST, fd_g_config->cnf_diamid, fd_g_config->cnf_diamid_len, ok);
    rx_put_octets(m, RX_ORIGIN_REALM, fd_g_config->cnf_diamrlm, fd_g_config->cnf_diamrlm_len, ok);
}

static void put_class(struct msg *m, const struct rx_assoc *a, bool *ok)
{
    for (size_t i = 0; i < a->n_class; i++)
        rx_put_octets(m, RX_CLASS, a->class_avp[i].p, a->class_avp[i].n, ok);
}

static void put_required_access_info(struct msg *m, bool *ok)
{
    rx_put_i32(m, RX_REQUIRED_ACCESS_INFO, 0 /* USER_LOCATION */, ok);
    rx_put_i32(m, RX_REQUIRED_ACCESS_INFO, 1 /* MS_TIME_ZONE */, ok);
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
    rx_profile_strip(*m, a->profile);
    *tx = (struct rx_tx){.rs = a->rs, .token = a->token, .seq = a->seq, .command = command,
                         .opens = command == RX_CC_AA && !a->peer_host,
                         .bound = a->peer_host != NULL};
    memcpy(tx->hop, to->hop, sizeof tx->hop);
    rx_trace(true, *m, a->trace_key);
    rx_history_sent(a, *m, command, to->hop);
    tx->msg = *m;
    *m = NULL;
    enum epc_err e = rx_send(tx);
    if (e)
        rx_tx_free(tx);
    return e;
}

/* ---- AAR -------------------------------------------------------------------------------------------- */

static void put_text_if(struct msg *m, enum rx_avp id, const char *text, bool *ok)
{
    if (text && text[0])
        rx_put_text(m, id, text, ok);
}

static const struct epc_cfg_policy_access *access_of(const struct rx_assoc *a)
{
    return rx.host->access ? rx.host->access(rx.host->cfg, &a->ue) : NULL;
}

static void put_actions(struct msg *m, const struct epc_policy_session *h, bool *ok)
{
    uint32_t set = rx_actions(h);
    for (int32_t n = 0; n < 32; n++)
        if (set & 1u << n)
            rx_put_i32(m, RX_SPECIFIC_ACTION, n, ok);
}

static void put_parties(struct msg *m, const struct epc_policy_session *h, bool *ok)
{
    put_text_if(m, RX_CALLING_PARTY_ADDRESS, h->calling, ok);
    struct avp *callee = h->called ? rx_put_group(m, RX_CALLEE_INFORMATION, ok) : NULL;
    if (callee)
        rx_put_text(callee, RX_CALLED_PARTY_ADDRESS, h->called, ok);
}

/* From Specific-Action to Called-Station-Id: what holds for the whole session is said once. */
static void put_binding(struct msg *m, const struct rx_assoc *a, const struct epc_service_info *info,
                        const struct epc_cfg_policy_access *net, bool *ok)
{
    const struct epc_policy_session *h = a->handle;
    put_actions(m, h, ok); /* 5.3.13: in the initial request only */
    rx_put_subscriptions(m, h->impu, h->impi, ok);
    if (a->profile->cfg->features)
        rx_put_features(m, a, info, ok);
    if (h->reservation_priority >= 0 && h->reservation_priority <= 15)
        rx_put_i32(m, RX_RESERVATION_PRIORITY, h->reservation_priority, ok);
    rx_put_ue(m, &a->ue, ok);
    put_text_if(m, RX_CALLED_STATION_ID, net ? net->called_station_id : NULL, ok);
    put_text_if(m, RX_SERVICE_URN, h->service_urn, ok);
    put_text_if(m, RX_MPS_IDENTIFIER, h->mps, ok);
    put_parties(m, h, ok);
}

/* What is said of the session as a whole; in an update only what the PCRF does not know. */
static void put_session_state(struct msg *m, const struct rx_assoc *a, const struct epc_service_info *info,
                              bool initial, bool *ok)
{
    const struct epc_service_info *told = initial ? NULL : a->told;
    if (info->preliminary)
        rx_put_i32(m, RX_SERVICE_INFO_STATUS, 1 /* PRELIMINARY_SERVICE_INFORMATION */, ok);
    else if (told && told->preliminary)
        rx_put_i32(m, RX_SERVICE_INFO_STATUS, 0 /* FINAL_SERVICE_INFORMATION */, ok);
    put_text_if(m, RX_AF_CHARGING_IDENTIFIER, a->handle->icid, ok);
    if (info->several_dialogues)
        rx_put_i32(m, RX_SIP_FORKING_INDICATION, 1 /* SEVERAL_DIALOGUES */, ok);
    else if (told && told->several_dialogues)
        rx_put_i32(m, RX_SIP_FORKING_INDICATION, 0 /* SINGLE_DIALOGUE */, ok);
}

enum epc_err rx_send_aar(struct rx_assoc *a, const struct epc_service_info *info, bool initial)
{
    const struct epc_policy_session *h = a->handle;
    const struct epc_cfg_policy_access *net = initial ? access_of(a) : NULL;
    bool ok = true;
    struct rx_route to;
    rx_route(a, &to);
    struct msg *m = new_request(RX_CC_AA);
    if (!m)
        return EPC_ENOMEM;
    a->seq++;
    a->late = false;
    rx_put_text(m, RX_SESSION_ID, a->session_id, &ok);
    rx_put_u32(m, RX_AUTH_APPLICATION_ID, RX_APP_ID, &ok);
    put_origin(m, &ok);
    rx_put_text(m, RX_DESTINATION_REALM, to.realm, &ok);
    put_text_if(m, RX_DESTINATION_HOST, to.host, &ok);
    put_text_if(m, RX_IP_DOMAIN_ID, net ? net->ip_domain_id : NULL, &ok);
    put_text_if(m, RX_AF_APPLICATION_IDENTIFIER, h->icsi ? h->icsi : rx.host->cfg->af_application_id, &ok);
    rx_put_components(m, a, info, &ok);
    put_session_state(m, a, info, initial, &ok);
    if (initial)
        put_binding(m, a, info, net, &ok);
    rx_put_i32(m, RX_RX_REQUEST_TYPE, initial ? INITIAL_REQUEST : UPDATE_REQUEST, &ok);
    if (initial && a->want_access_info)
        put_required_access_info(m, &ok);
    rx_put_u32(m, RX_ORIGIN_STATE_ID, fd_g_config->cnf_orstateid, &ok);
    put_class(m, a, &ok);
    if (a->webrtc && rx_told_webrtc_new(a))
        rx_put_webrtc_session(m, a->telling, &ok);
    enum epc_err e = queue(a, RX_CC_AA, &to, &m, ok);
    if (!e)
        epc_count(EPC_C_RX_AAR);
    return e;
}

/* ---- STR -------------------------------------------------------------------------------------------- */

/* RFC 6733 8.15: after an ASR and at shut-down it is not the user who leaves. */
static int32_t termination_cause(const struct rx_assoc *a)
{
    enum { LOGOUT = 1, ADMINISTRATIVE = 4 };
    bool ours = !a->aborted && !atomic_load(&rx.stopping);
    return ours || (a->profile && a->profile->cfg->logout_only) ? LOGOUT : ADMINISTRATIVE;
}

enum epc_err rx_send_str(struct rx_assoc *a)
{
    bool ok = true;
    struct rx_route to;
    rx_route(a, &to);
    struct msg *m = new_request(RX_CC_ST);
    if (!m)
        return EPC_ENOMEM;
    a->seq++;
    rx_put_text(m, RX_SESSION_ID, a->session_id, &ok);
    put_origin(m, &ok);
    rx_put_text(m, RX_DESTINATION_REALM, to.realm, &ok);
    rx_put_u32(m, RX_AUTH_APPLICATION_ID, RX_APP_ID, &ok);
    rx_put_i32(m, RX_TERMINATION_CAUSE, termination_cause(a), &ok);
    put_text_if(m, RX_DESTINATION_HOST, to.host, &ok);
    if (a->want_access_info && a->features[0] & RX_F1_NETLOC)
        put_required_access_info(m, &ok);
    put_class(m, a, &ok);
    rx_put_u32(m, RX_ORIGIN_STATE_ID, fd_g_config->cnf_orstateid, &ok);
    if (a->webrtc && a->told)
        rx_put_webrtc_final(m, a->told, &ok);
    enum epc_err e = queue(a, RX_CC_ST, &to, &m, ok);
    if (!e)
        epc_count(EPC_C_RX_STR);
    return e;
}
