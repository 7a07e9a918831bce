/* What a message of the PCRF says of access network and charging.
 * Spec: TS 29.214 4.4.6, 5.3.2 to 5.3.4, 5.6.2, 5.6.3, 5.6.6. */
#include "rx_priv.h"

#include <arpa/inet.h>
#include <string.h>

bool rx_read_access(struct msg *m, struct epc_policy_access *out)
{
    struct rx_netinfo n = {.ip_can_type = -1, .rat_type = -1};
    uint32_t v;
    *out = (struct epc_policy_access){.ip_can_type = -1, .rat_type = -1};
    if (rx_get_u32(m, RX_IP_CAN_TYPE, &v))
        n.ip_can_type = out->ip_can_type = (int32_t)v;
    if (rx_get_u32(m, RX_RAT_TYPE, &v))
        n.rat_type = out->rat_type = (int32_t)v;
    bool any = n.ip_can_type >= 0 || n.rat_type >= 0;
    any |= rx_get_octets(m, RX_USER_LOCATION_INFO, &n.user_location);
    any |= rx_get_octets(m, RX_MS_TIMEZONE, &n.time_zone);
    any |= rx_get(m, RX_SGSN_MCC_MNC, NULL) != NULL;
    any |= rx_get_octets(m, RX_TWAN_IDENTIFIER, &n.twan);
    rx_netinfo_text(&n, rx.host->cfg->access_time_zone, out->access_info, sizeof out->access_info);
    if (rx_get_u32(m, RX_NETLOC_ACCESS_SUPPORT, &v) && v == 0) /* NETLOC_ACCESS_NOT_SUPPORTED */
        any = out->reporting_failed = true;
    return any;
}

/* Address (RFC 6733 4.3.1): two octets of family, then the address. */
static void read_address(struct epc_str s, char *out, size_t size)
{
    const uint8_t *p = (const uint8_t *)(const void *)s.p;
    out[0] = '\0';
    if (s.n == 6 && p[0] == 0 && p[1] == 1)
        (void)inet_ntop(AF_INET, p + 2, out, (socklen_t)size);
    else if (s.n == 18 && p[0] == 0 && p[1] == 2)
        (void)inet_ntop(AF_INET6, p + 2, out, (socklen_t)size);
}

static bool read_identifier(struct avp *a, struct epc_policy_charging *c)
{
    struct epc_str v;
    struct avp *f = NULL;
    if (!rx_get_octets(a, RX_CHARGING_IDENTIFIER_VALUE, &v) || v.n == 0 ||
        v.n * 2 >= sizeof c->id[0].id)
        return false;
    memset(&c->id[c->n_ids], 0, sizeof c->id[0]);
    for (size_t i = 0; i < v.n; i++)
        snprintf(c->id[c->n_ids].id + 2 * i, 3, "%02x", (unsigned)(uint8_t)v.p[i]);
    while ((f = rx_get(a, RX_FLOWS, f)) &&
           c->id[c->n_ids].n_components < EPC_ARRAY_LEN(c->id[0].components)) {
        uint32_t number;
        if (rx_get_u32(f, RX_MEDIA_COMPONENT_NUMBER, &number))
            c->id[c->n_ids].components[c->id[c->n_ids].n_components++] = number;
    }
    c->n_ids++;
    return true;
}

bool rx_read_charging(struct msg *m, struct epc_policy_charging *out)
{
    struct avp *a = NULL;
    struct epc_str address;
    out->address[0] = '\0';
    out->n_ids = 0;
    if (rx_get_octets(m, RX_CHARGING_ADDRESS, &address))
        read_address(address, out->address, sizeof out->address);
    while (out->n_ids < EPC_ARRAY_LEN(out->id) && (a = rx_get(m, RX_CHARGING_IDENTIFIER, a)))
        if (!read_identifier(a, out))
            epc_log(EPC_LOG_WARN, "rx", "event=charging-identifier-ignored");
    return out->address[0] || out->n_ids;
}

static void tell(struct rx_assoc *a, const struct epc_policy_event *ev)
{
    struct epc_policy_session *h = a->handle;
    if (h && h->on_event)
        h->on_event(h->arg, ev);
}

void rx_tell_answer(struct rx_assoc *a, struct msg *m)
{
    struct epc_policy_access access;
    struct epc_policy_charging charging;
    if (rx_read_charging(m, &charging))
        tell(a, &(struct epc_policy_event){.kind = EPC_PEV_CHARGING, .charging = &charging});
    if (rx_read_access(m, &access))
        tell(a, &(struct epc_policy_event){.kind = EPC_PEV_ACCESS_INFO, .access = &access});
}
