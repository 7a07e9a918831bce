/* Service information to AVPs, and what an AAA says about acceptable service.
 * Spec: TS 29.214 5.3.16 (Media-Component-Description), 5.3.17, 5.3.24. */
#include "rx_priv.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static uint32_t clamp_bps(int64_t bps)
{
    return bps > (int64_t)UINT32_MAX ? UINT32_MAX : (uint32_t)bps;
}

static void put_flow(struct avp *mcd, const struct epc_media_flow *f, bool *ok)
{
    struct avp *msc = rx_put_group(mcd, RX_MEDIA_SUB_COMPONENT, ok);
    if (!msc)
        return;
    rx_put_u32(msc, RX_FLOW_NUMBER, f->number, ok);
    if (f->uplink[0])
        rx_put_text(msc, RX_FLOW_DESCRIPTION, f->uplink, ok);
    if (f->downlink[0])
        rx_put_text(msc, RX_FLOW_DESCRIPTION, f->downlink, ok);
    if (f->status != EPC_FLOW_STATUS_NONE)
        rx_put_i32(msc, RX_FLOW_STATUS, f->status, ok);
    if (f->usage != EPC_USAGE_NONE)
        rx_put_i32(msc, RX_FLOW_USAGE, (int32_t)f->usage, ok);
    /* The protocol belongs to provisioned signalling flows only (4.4.5a). */
    if (f->usage == EPC_USAGE_AF_SIGNALLING && f->uplink[0])
        rx_put_i32(msc, RX_AF_SIGNALLING_PROTOCOL, 1 /* SIP */, ok);
}

static void put_component(struct msg *m, const struct epc_media_component *c, bool *ok)
{
    struct avp *mcd = rx_put_group(m, RX_MEDIA_COMPONENT_DESCRIPTION, ok);
    if (!mcd)
        return;
    rx_put_u32(mcd, RX_MEDIA_COMPONENT_NUMBER, c->number, ok);
    if (c->status == EPC_FLOW_REMOVED) { /* number and status say it all (5.3.11) */
        rx_put_i32(mcd, RX_FLOW_STATUS, EPC_FLOW_REMOVED, ok);
        return;
    }
    for (size_t i = 0; i < c->n_flows && i < EPC_ARRAY_LEN(c->flow); i++)
        put_flow(mcd, &c->flow[i], ok);
    rx_put_i32(mcd, RX_MEDIA_TYPE, c->type, ok);
    if (c->max_ul_bps >= 0)
        rx_put_u32(mcd, RX_MAX_BW_UL, clamp_bps(c->max_ul_bps), ok);
    if (c->max_dl_bps >= 0)
        rx_put_u32(mcd, RX_MAX_BW_DL, clamp_bps(c->max_dl_bps), ok);
    if (c->status != EPC_FLOW_STATUS_NONE)
        rx_put_i32(mcd, RX_FLOW_STATUS, c->status, ok);
    if (c->rs_bps >= 0)
        rx_put_u32(mcd, RX_RS_BANDWIDTH, clamp_bps(c->rs_bps), ok);
    if (c->rr_bps >= 0)
        rx_put_u32(mcd, RX_RR_BANDWIDTH, clamp_bps(c->rr_bps), ok);
    for (size_t i = 0; i < EPC_ARRAY_LEN(c->codec_data); i++)
        if (c->codec_data[i])
            rx_put_text(mcd, RX_CODEC_DATA, c->codec_data[i], ok);
}

void rx_put_components(struct msg *m, const struct epc_service_info *info, bool *ok)
{
    for (size_t i = 0; i < info->n_components; i++)
        put_component(m, &info->component[i], ok);
}

void rx_put_ue(struct msg *m, const struct epc_addr *ue, bool *ok)
{
    if (ue->ss.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&ue->ss;
        rx_put_octets(m, RX_FRAMED_IP_ADDRESS, &in->sin_addr, 4, ok);
    } else if (ue->ss.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&ue->ss;
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
            rx_put_octets(m, RX_FRAMED_IP_ADDRESS, &in6->sin6_addr.s6_addr[12], 4, ok);
            return;
        }
        /* RFC 3162 2.3: reserved octet, prefix length, prefix. All of it: some PCRFs insist. */
        uint8_t prefix[18] = {0, 128};
        memcpy(prefix + 2, &in6->sin6_addr, 16);
        rx_put_octets(m, RX_FRAMED_IPV6_PREFIX, prefix, sizeof prefix, ok);
    }
}

void rx_put_subscription(struct msg *m, const char *impu, bool *ok)
{
    enum { E164 = 0, SIP_URI = 2 };
    char digits[32];
    size_t n = 0;
    bool tel = strncasecmp(impu, "tel:", 4) == 0;
    if (tel)
        for (const char *p = impu + 4; *p && *p != ';' && n < sizeof digits - 1; p++)
            if (*p >= '0' && *p <= '9')
                digits[n++] = *p;
    digits[n] = '\0';
    struct avp *s = rx_put_group(m, RX_SUBSCRIPTION_ID, ok);
    if (!s)
        return;
    rx_put_i32(s, RX_SUBSCRIPTION_ID_TYPE, tel ? E164 : SIP_URI, ok);
    rx_put_text(s, RX_SUBSCRIPTION_ID_DATA, tel ? digits : impu, ok);
}

/* ---- copies: what the PCRF holds, to open a new session with (5002) ----------------------------- */

static void component_clear(struct epc_media_component *c)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(c->codec_data); i++)
        free(c->codec_data[i]);
}

static enum epc_err component_copy(const struct epc_media_component *from,
                                   struct epc_media_component *to)
{
    struct epc_media_component c = *from;
    bool ok = true;
    for (size_t i = 0; i < EPC_ARRAY_LEN(c.codec_data); i++) {
        c.codec_data[i] = from->codec_data[i] ? strdup(from->codec_data[i]) : NULL;
        ok = ok && (c.codec_data[i] || !from->codec_data[i]);
    }
    if (!ok) {
        component_clear(&c);
        return EPC_ENOMEM;
    }
    *to = c;
    return EPC_OK;
}

static struct epc_media_component *find(struct epc_service_info *s, unsigned number)
{
    for (size_t i = 0; i < s->n_components; i++)
        if (s->component[i].number == number)
            return &s->component[i];
    return NULL;
}

static enum epc_err merge_one(struct epc_service_info *s, const struct epc_media_component *c)
{
    struct epc_media_component copy, *have = find(s, c->number);
    if (c->status == EPC_FLOW_REMOVED) {
        if (have) {
            component_clear(have);
            size_t behind = s->n_components - (size_t)(have - s->component) - 1;
            memmove(have, have + 1, behind * sizeof *have);
            s->n_components--;
        }
        return EPC_OK;
    }
    enum epc_err e = component_copy(c, &copy);
    if (e)
        return e;
    if (have) {
        component_clear(have);
        *have = copy;
        return EPC_OK;
    }
    struct epc_media_component *more =
        realloc(s->component, (s->n_components + 1) * sizeof *more);
    if (!more) {
        component_clear(&copy);
        return EPC_ENOMEM;
    }
    s->component = more;
    s->component[s->n_components++] = copy;
    return EPC_OK;
}

enum epc_err rx_info_merge(struct epc_service_info **current, const struct epc_service_info *delta)
{
    struct epc_service_info *s = *current ? *current : calloc(1, sizeof *s);
    if (!s)
        return EPC_ENOMEM;
    enum epc_err e = EPC_OK;
    for (size_t i = 0; !e && i < delta->n_components; i++)
        e = merge_one(s, &delta->component[i]);
    s->preliminary = delta->preliminary;
    s->signalling = delta->signalling;
    if (e && !*current)
        rx.host->info_free(s);
    else
        *current = s;
    return e;
}

/* ---- Acceptable-Service-Info --------------------------------------------------------------------- */

static bool read_bw(msg_or_avp *in, struct epc_acceptable_bw *bw)
{
    uint32_t v;
    bw->max_ul_bps = rx_get_u32(in, RX_MAX_BW_UL, &v) ? (int64_t)v : -1;
    bw->max_dl_bps = rx_get_u32(in, RX_MAX_BW_DL, &v) ? (int64_t)v : -1;
    return bw->max_ul_bps >= 0 || bw->max_dl_bps >= 0;
}

void rx_read_acceptable(struct msg *m, struct epc_policy_result *r)
{
    struct avp *info = rx_get(m, RX_ACCEPTABLE_SERVICE_INFO, NULL), *mcd = NULL;
    struct epc_acceptable_bw bw = {0};
    if (!info)
        return;
    if (read_bw(info, &bw))
        r->acceptable[r->n_acceptable++] = bw;
    while ((mcd = rx_get(info, RX_MEDIA_COMPONENT_DESCRIPTION, mcd)) &&
           r->n_acceptable < EPC_ARRAY_LEN(r->acceptable)) {
        uint32_t number;
        if (rx_get_u32(mcd, RX_MEDIA_COMPONENT_NUMBER, &number) && number > 0 && read_bw(mcd, &bw)) {
            bw.number = number;
            r->acceptable[r->n_acceptable++] = bw;
        }
    }
}
