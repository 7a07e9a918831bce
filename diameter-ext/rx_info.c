/* Service information and identities to AVPs.
 * Spec: TS 29.214 5.3.16 (Media-Component-Description), 5.3.17. */
#include "rx_priv.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static uint32_t clamp_bps(int64_t bps)
{
    return bps > (int64_t)UINT32_MAX ? UINT32_MAX : (uint32_t)bps;
}

/* More than 32 bits: the Extended AVPs, in kbit/s, for a PCRF that knows them (feature
 * Extended-Max-Requested-BW-NR); any other gets the most that it can be told. */
static void put_bandwidth(struct avp *mcd, const struct epc_media_component *c, bool extended, bool *ok)
{
    if (c->max_ul_bps >= 0)
        rx_put_u32(mcd, RX_MAX_BW_UL, clamp_bps(c->max_ul_bps), ok);
    if (c->max_dl_bps >= 0)
        rx_put_u32(mcd, RX_MAX_BW_DL, clamp_bps(c->max_dl_bps), ok);
    if (extended && c->max_ul_bps > (int64_t)UINT32_MAX)
        rx_put_u32(mcd, RX_EXT_MAX_BW_UL, clamp_bps(c->max_ul_bps / 1000), ok);
    if (extended && c->max_dl_bps > (int64_t)UINT32_MAX)
        rx_put_u32(mcd, RX_EXT_MAX_BW_DL, clamp_bps(c->max_dl_bps / 1000), ok);
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

static void put_component(struct msg *m, const struct rx_assoc *asc, const struct epc_media_component *c,
                          bool *ok)
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
    put_bandwidth(mcd, c, asc->features[1] & RX_F2_EXTENDED_BW_NR, ok);
    if (c->status != EPC_FLOW_STATUS_NONE)
        rx_put_i32(mcd, RX_FLOW_STATUS, c->status, ok);
    if (c->rs_bps >= 0)
        rx_put_u32(mcd, RX_RS_BANDWIDTH, clamp_bps(c->rs_bps), ok);
    if (c->rr_bps >= 0)
        rx_put_u32(mcd, RX_RR_BANDWIDTH, clamp_bps(c->rr_bps), ok);
    for (size_t i = 0; i < EPC_ARRAY_LEN(c->codec_data); i++)
        if (c->codec_data[i])
            rx_put_text(mcd, RX_CODEC_DATA, c->codec_data[i], ok);
    if (asc->webrtc && c->webrtc.given)
        rx_put_webrtc_media(mcd, &c->webrtc, ok);
}

void rx_put_components(struct msg *m, const struct rx_assoc *a, const struct epc_service_info *info, bool *ok)
{
    for (size_t i = 0; i < info->n_components; i++)
        put_component(m, a, &info->component[i], ok);
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

/* ---- Subscription-Id (RFC 8506 8.46) ---------------------------------------------------------------- */

enum { E164 = 0, IMSI = 1, SIP_URI = 2 };

static void put_subscription(struct msg *m, int32_t type, const char *data, bool *ok)
{
    struct avp *s = rx_put_group(m, RX_SUBSCRIPTION_ID, ok);
    if (!s)
        return;
    rx_put_i32(s, RX_SUBSCRIPTION_ID_TYPE, type, ok);
    rx_put_text(s, RX_SUBSCRIPTION_ID_DATA, data, ok);
}

/* The digits of a global number in a tel URI. */
static bool e164(const char *impu, char out[32])
{
    size_t n = 0;
    if (strncasecmp(impu, "tel:+", 5) != 0)
        return false;
    for (const char *p = impu + 5; *p && *p != ';' && n < 31; p++)
        if (*p >= '0' && *p <= '9')
            out[n++] = *p;
    out[n] = '\0';
    return n > 0;
}

bool rx_imsi(const char *impi, char out[16])
{
    unsigned mnc, mcc;
    int end = 0;
    size_t n = strspn(impi, "0123456789");
    if (n < 14 || n > 15 || impi[n] != '@' ||
        sscanf(impi + n, "@ims.mnc%3u.mcc%3u.3gppnetwork.org%n", &mnc, &mcc, &end) != 2 || end == 0 ||
        impi[n + (size_t)end])
        return false;
    memcpy(out, impi, n);
    out[n] = '\0';
    char digits[4];
    snprintf(digits, sizeof digits, "%03u", mcc % 1000);
    return strncmp(digits, out, 3) == 0;
}

void rx_put_subscriptions(struct msg *m, const char *impu, const char *impi, bool *ok)
{
    char digits[32], imsi[16];
    if (impu && e164(impu, digits))
        put_subscription(m, E164, digits, ok);
    else if (impu && strncasecmp(impu, "sip", 3) == 0)
        put_subscription(m, SIP_URI, impu, ok);
    if (impi && rx_imsi(impi, imsi))
        put_subscription(m, IMSI, imsi, ok);
}
