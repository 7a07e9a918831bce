/* WebRTC information in AVPs of an enterprise of the operator's choice: Rx itself has none for ICE, DTLS,
 * BUNDLE or SCTP (the Iq reference point has: TS 23.228 U.2.2). V is set and M clear on every one, so that
 * a PCRF that does not know them passes over them (RFC 6733 4.1). */
#include "rx_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

enum web {
    WEB_SESSION_INFO, WEB_MEDIA_INFO, WEB_DATA_CHANNEL_INFO, WEB_AGW_IDENTITY, WEB_AGW_CONTEXT,
    WEB_CLIENT_ORIGIN, WEB_ICE_MODE, WEB_BUNDLE_GROUP, WEB_BUNDLE_TAG, WEB_BUNDLE_MEMBER, WEB_BUNDLE_ID,
    WEB_ACCESS_ADDRESS, WEB_ACCESS_PORT, WEB_CORE_ADDRESS, WEB_CORE_PORT, WEB_REMOTE_ADDRESS,
    WEB_REMOTE_PORT, WEB_ICE_STATE, WEB_CANDIDATE, WEB_ICE_GENERATION, WEB_FINGERPRINT, WEB_DTLS_ROLE,
    WEB_SRTP_PROFILE, WEB_MUX_FLAGS, WEB_SCTP_PORT, WEB_MESSAGE_SIZE, WEB_MAX_STREAMS, WEB_CHANNEL,
    WEB_STREAM, WEB_LABEL, WEB_SUBPROTOCOL, WEB_CAND_TYPE, WEB_CAND_ADDRESS, WEB_CAND_PORT,
    WEB_CAND_PROTOCOL, WEB_CAND_PRIORITY, WEB_CAND_SIDE, WEB_HASH_NAME, WEB_HASH_VALUE, WEB_HASH_SIDE,
    WEB_ORDERED, WEB_RETRANSMITS, WEB_COUNT
};
enum kind { GROUP, TEXT, NUMBER, LONG };

static const struct {
    uint32_t code;
    enum kind kind;
} shape[WEB_COUNT] = {
    [WEB_SESSION_INFO] = {9001, GROUP}, [WEB_MEDIA_INFO] = {9002, GROUP},
    [WEB_DATA_CHANNEL_INFO] = {9003, GROUP}, [WEB_AGW_IDENTITY] = {9010, TEXT},
    [WEB_AGW_CONTEXT] = {9011, TEXT}, [WEB_CLIENT_ORIGIN] = {9012, TEXT}, [WEB_ICE_MODE] = {9013, NUMBER},
    [WEB_BUNDLE_GROUP] = {9020, GROUP}, [WEB_BUNDLE_TAG] = {9021, NUMBER},
    [WEB_BUNDLE_MEMBER] = {9022, NUMBER}, [WEB_BUNDLE_ID] = {9023, NUMBER},
    [WEB_ACCESS_ADDRESS] = {9030, TEXT}, [WEB_ACCESS_PORT] = {9031, NUMBER},
    [WEB_CORE_ADDRESS] = {9032, TEXT}, [WEB_CORE_PORT] = {9033, NUMBER},
    [WEB_REMOTE_ADDRESS] = {9034, TEXT}, [WEB_REMOTE_PORT] = {9035, NUMBER},
    [WEB_ICE_STATE] = {9036, NUMBER}, [WEB_CANDIDATE] = {9037, GROUP}, [WEB_ICE_GENERATION] = {9038, NUMBER},
    [WEB_FINGERPRINT] = {9039, GROUP}, [WEB_DTLS_ROLE] = {9040, NUMBER}, [WEB_SRTP_PROFILE] = {9041, NUMBER},
    [WEB_MUX_FLAGS] = {9042, NUMBER}, [WEB_SCTP_PORT] = {9043, NUMBER}, [WEB_MESSAGE_SIZE] = {9044, LONG},
    [WEB_MAX_STREAMS] = {9045, NUMBER}, [WEB_CHANNEL] = {9046, GROUP}, [WEB_STREAM] = {9047, NUMBER},
    [WEB_LABEL] = {9048, TEXT}, [WEB_SUBPROTOCOL] = {9049, TEXT}, [WEB_CAND_TYPE] = {9050, NUMBER},
    [WEB_CAND_ADDRESS] = {9051, TEXT}, [WEB_CAND_PORT] = {9052, NUMBER}, [WEB_CAND_PROTOCOL] = {9053, NUMBER},
    [WEB_CAND_PRIORITY] = {9054, NUMBER}, [WEB_CAND_SIDE] = {9055, NUMBER}, [WEB_HASH_NAME] = {9056, TEXT},
    [WEB_HASH_VALUE] = {9057, TEXT}, [WEB_HASH_SIDE] = {9058, NUMBER}, [WEB_ORDERED] = {9059, NUMBER},
    [WEB_RETRANSMITS] = {9060, NUMBER},
};

/* Written once by rx_webrtc_init(), before any other thread runs; see struct rx_ext on globals. */
static struct {
    struct dict_object *avp[WEB_COUNT];
    bool known;
} web;

static bool fits(enum kind kind, enum dict_avp_basetype base)
{
    switch (base) {
    case AVP_TYPE_GROUPED:
        return kind == GROUP;
    case AVP_TYPE_OCTETSTRING:
        return kind == TEXT;
    case AVP_TYPE_INTEGER32:
    case AVP_TYPE_UNSIGNED32:
        return kind == NUMBER;
    case AVP_TYPE_UNSIGNED64:
        return kind == LONG;
    default:
        return false;
    }
}

bool rx_webrtc_init(void)
{
    uint32_t vendor = rx.host->cfg->webrtc_vendor;
    bool any = false;
    web.known = false;
    for (int i = 0; i < WEB_COUNT; i++) {
        struct dict_avp_request what = {.avp_vendor = vendor, .avp_code = shape[i].code};
        struct dict_avp_data d;
        web.avp[i] = NULL;
        if (!vendor || fd_dict_search(fd_g_config->cnf_dict, DICT_AVP, AVP_BY_CODE_AND_VENDOR, &what,
                                      &web.avp[i], ENOENT))
            continue;
        if (fd_dict_getval(web.avp[i], &d) || !fits(shape[i].kind, d.avp_basetype)) {
            epc_log(EPC_LOG_WARN, "rx", "event=webrtc-avp-ignored code=%u hint=\"its type is another\"",
                    shape[i].code);
            web.avp[i] = NULL;
        }
        any = any || web.avp[i];
    }
    web.known = any;
    return any;
}

bool rx_webrtc_known(void)
{
    return web.known;
}

/* ---- values ------------------------------------------------------------------------------------------ */

static struct avp *group(msg_or_avp *parent, enum web id, bool *ok)
{
    return rx_put_model(parent, web.avp[id], false, NULL, ok);
}

static void num(msg_or_avp *parent, enum web id, uint32_t n, bool *ok)
{
    /* Enumerated is Integer32 to freeDiameter: the same 32 bits. */
    rx_put_model(parent, web.avp[id], false, &(union avp_value){.u32 = n}, ok);
}

static void octets(msg_or_avp *parent, enum web id, const void *p, size_t n, bool *ok)
{
    rx_put_model(parent, web.avp[id], false, &(union avp_value){.os = {(uint8_t *)p, n}}, ok);
}

static void text(msg_or_avp *parent, enum web id, const char *s, bool *ok)
{
    if (s[0])
        octets(parent, id, s, strlen(s), ok);
}

/* Address (RFC 6733 4.3.1): family and address. */
static void address(msg_or_avp *parent, enum web id, const struct epc_addr *a, bool *ok)
{
    uint8_t v[18] = {0};
    if (a->len && a->ss.ss_family == AF_INET) {
        v[1] = 1;
        memcpy(v + 2, &((const struct sockaddr_in *)&a->ss)->sin_addr, 4);
        octets(parent, id, v, 6, ok);
    } else if (a->len && a->ss.ss_family == AF_INET6) {
        v[1] = 2;
        memcpy(v + 2, &((const struct sockaddr_in6 *)&a->ss)->sin6_addr, 16);
        octets(parent, id, v, 18, ok);
    }
}

static void transport(struct avp *in, enum web addr_id, enum web port_id, const struct epc_addr *a, bool *ok)
{
    if (!a->len)
        return;
    address(in, addr_id, a, ok);
    if (epc_addr_port(a))
        num(in, port_id, epc_addr_port(a), ok);
}

/* ---- groups ------------------------------------------------------------------------------------------ */

static void candidate(struct avp *in, const struct epc_webrtc_candidate *c, bool *ok)
{
    struct avp *g = group(in, WEB_CANDIDATE, ok);
    if (!g)
        return;
    num(g, WEB_CAND_TYPE, c->type, ok);
    transport(g, WEB_CAND_ADDRESS, WEB_CAND_PORT, &c->addr, ok);
    if (c->protocol)
        num(g, WEB_CAND_PROTOCOL, c->protocol, ok);
    if (c->priority)
        num(g, WEB_CAND_PRIORITY, c->priority, ok);
    num(g, WEB_CAND_SIDE, c->remote, ok);
}

static void fingerprint(struct avp *in, const struct epc_webrtc_fingerprint *f, bool agw, bool *ok)
{
    struct avp *g = f->hash[0] ? group(in, WEB_FINGERPRINT, ok) : NULL;
    if (!g)
        return;
    text(g, WEB_HASH_NAME, f->hash, ok);
    octets(g, WEB_HASH_VALUE, f->value, f->n <= sizeof f->value ? f->n : 0, ok);
    num(g, WEB_HASH_SIDE, agw, ok);
}

static void media_info(msg_or_avp *parent, const struct epc_webrtc_media *w, bool *ok)
{
    struct avp *g = group(parent, WEB_MEDIA_INFO, ok);
    if (!g)
        return;
    transport(g, WEB_ACCESS_ADDRESS, WEB_ACCESS_PORT, &w->agw_access, ok);
    transport(g, WEB_CORE_ADDRESS, WEB_CORE_PORT, &w->agw_core, ok);
    transport(g, WEB_REMOTE_ADDRESS, WEB_REMOTE_PORT, &w->agw_remote, ok);
    if (w->ice_state != EPC_ICE_UNKNOWN)
        num(g, WEB_ICE_STATE, (uint32_t)w->ice_state, ok);
    for (size_t i = 0; i < w->n_candidates && i < EPC_ARRAY_LEN(w->candidate); i++)
        candidate(g, &w->candidate[i], ok);
    num(g, WEB_ICE_GENERATION, w->ice_generation, ok);
    fingerprint(g, &w->wic, false, ok);
    fingerprint(g, &w->agw, true, ok);
    if (w->dtls_role >= 0)
        num(g, WEB_DTLS_ROLE, (uint32_t)w->dtls_role, ok);
    if (w->srtp_profile)
        num(g, WEB_SRTP_PROFILE, w->srtp_profile, ok);
    num(g, WEB_MUX_FLAGS, w->mux_flags, ok);
}

static void channel(struct avp *in, const struct epc_webrtc_channel *c, bool *ok)
{
    struct avp *g = group(in, WEB_CHANNEL, ok);
    if (!g)
        return;
    num(g, WEB_STREAM, c->stream, ok);
    text(g, WEB_LABEL, c->label, ok);
    text(g, WEB_SUBPROTOCOL, c->subprotocol, ok);
    num(g, WEB_ORDERED, c->ordered, ok);
    if (c->max_retransmits >= 0)
        num(g, WEB_RETRANSMITS, (uint32_t)c->max_retransmits, ok);
}

static void data_channels(msg_or_avp *parent, const struct epc_webrtc_media *w, bool *ok)
{
    struct avp *g = w->sctp_port ? group(parent, WEB_DATA_CHANNEL_INFO, ok) : NULL;
    if (!g)
        return;
    num(g, WEB_SCTP_PORT, w->sctp_port, ok);
    if (w->max_message_size)
        rx_put_model(g, web.avp[WEB_MESSAGE_SIZE], false, &(union avp_value){.u64 = w->max_message_size}, ok);
    if (w->max_streams)
        num(g, WEB_MAX_STREAMS, w->max_streams, ok);
    for (size_t i = 0; i < w->n_channels && i < EPC_ARRAY_LEN(w->channel); i++)
        channel(g, &w->channel[i], ok);
}

void rx_put_webrtc_media(msg_or_avp *parent, const struct epc_webrtc_media *w, bool *ok)
{
    media_info(parent, w, ok);
    data_channels(parent, w, ok);
    if (w->bundle_tag)
        num(parent, WEB_BUNDLE_TAG, w->bundle_tag, ok);
}

void rx_put_webrtc_final(struct msg *m, const struct epc_service_info *info, bool *ok)
{
    for (size_t i = 0; i < info->n_components; i++)
        if (info->component[i].webrtc.given)
            media_info(m, &info->component[i].webrtc, ok);
}

/* One group for each tag, told at its tag's component. */
static void bundle_groups(struct avp *in, const struct epc_service_info *info, bool *ok)
{
    uint32_t id = 0;
    for (size_t i = 0; i < info->n_components; i++) {
        const struct epc_media_component *c = &info->component[i];
        struct avp *g = c->webrtc.bundle_tag && c->webrtc.bundle_tag == c->number
                            ? group(in, WEB_BUNDLE_GROUP, ok)
                            : NULL;
        if (!g)
            continue;
        num(g, WEB_BUNDLE_TAG, c->number, ok);
        for (size_t k = 0; k < info->n_components; k++)
            if (info->component[k].webrtc.bundle_tag == c->number)
                num(g, WEB_BUNDLE_MEMBER, info->component[k].number, ok);
        num(g, WEB_BUNDLE_ID, id++, ok);
    }
}

void rx_put_webrtc_session(struct msg *m, const struct epc_service_info *info, bool *ok)
{
    const struct epc_webrtc_session *w = &info->webrtc;
    bool bundled = false;
    for (size_t i = 0; i < info->n_components; i++)
        bundled = bundled || info->component[i].webrtc.bundle_tag;
    if (!w->agw_identity[0] && !w->agw_context[0] && !w->client_origin[0] && w->ice_mode < 0 && !bundled)
        return;
    struct avp *g = group(m, WEB_SESSION_INFO, ok);
    if (!g)
        return;
    text(g, WEB_AGW_IDENTITY, w->agw_identity, ok);
    text(g, WEB_AGW_CONTEXT, w->agw_context, ok);
    bundle_groups(g, info, ok);
    text(g, WEB_CLIENT_ORIGIN, w->client_origin, ok);
    if (w->ice_mode >= 0)
        num(g, WEB_ICE_MODE, (uint32_t)w->ice_mode, ok);
}

void rx_put_webrtc_feature(struct msg *m, bool *ok)
{
    struct avp *f = web.known ? rx_put_group(m, RX_SUPPORTED_FEATURES, ok) : NULL;
    if (!f)
        return;
    rx_put_u32(f, RX_VENDOR_ID, rx.host->cfg->webrtc_vendor, ok);
    rx_put_u32(f, RX_FEATURE_LIST_ID, 1, ok);
    rx_put_u32(f, RX_FEATURE_LIST, 1 /* WebRTC-Info */, ok);
}
