/* What the keys of media.h248.* say together. */
#include "config/config_priv.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool epc_h248_listen_parse(const char *text, struct epc_addr *addr, bool *tcp)
{
    char host[EPC_ADDR_LEN];
    struct epc_str rest = epc_str_c(text), kind = epc_str_cut(&rest, ':'), ip = rest;
    uint64_t port;
    struct epc_addr a;
    bool is_tcp = epc_str_ieqc(kind, "tcp");
    if (!rest.p || (!is_tcp && !epc_str_ieqc(kind, "udp")))
        return false;
    const char *colon = memrchr(rest.p, ':', rest.n);
    if (!colon)
        return false;
    ip.n = (size_t)(colon - rest.p);
    rest = (struct epc_str){colon + 1, rest.n - ip.n - 1};
    if (ip.n >= 2 && ip.p[0] == '[' && ip.p[ip.n - 1] == ']')
        ip = (struct epc_str){ip.p + 1, ip.n - 2};
    else if (memchr(ip.p, ':', ip.n))
        return false; /* IPv6 without brackets: where the port begins is a guess */
    if (ip.n == 0 || ip.n >= sizeof host || epc_str_u64(rest, 65535, &port) != EPC_OK || port == 0)
        return false;
    memcpy(host, ip.p, ip.n);
    host[ip.n] = 0;
    if (epc_addr_parse(&a, host, (uint16_t)port) != EPC_OK)
        return false;
    *addr = a;
    *tcp = is_tcp;
    return true;
}

/* An address that stands for every one of the host's is no name for it. */
static bool is_any(const struct epc_addr *a)
{
    char ip[EPC_ADDR_LEN];
    epc_addr_ip(a, ip);
    return strcmp(ip, "0.0.0.0") == 0 || strcmp(ip, "::") == 0;
}

void cfg_derive_h248(struct cfg_loader *ld)
{
    struct epc_cfg_h248 *h = &ld->cfg->media.h248;
    struct epc_addr a;
    bool tcp;
    char ip[EPC_ADDR_LEN], mid[EPC_ADDR_LEN + 16];
    if (h->mid || h->n_listen == 0 || !epc_h248_listen_parse(h->listen[0], &a, &tcp) || is_any(&a))
        return;
    snprintf(mid, sizeof mid, "[%s]:%u", epc_addr_ip(&a, ip), (unsigned)epc_addr_port(&a));
    cfg_put_string(ld, &h->mid, mid);
}

/* H.248.1 Annex B.2: an address in brackets, a domain name in angle brackets, or a device's name. */
static bool is_mid(const char *m)
{
    size_t n = strlen(m);
    if (n < 1 || n > 63 || strpbrk(m, " \t\"{};,=()"))
        return false;
    if (m[0] == '[')
        return strchr(m, ']') != NULL;
    return m[0] != '<' || strchr(m, '>') != NULL;
}

static void check_mid(struct cfg_loader *ld, size_t line, const char *key, const char *mid)
{
    char shown[CFG_SHOWN_LEN];
    if (mid && !is_mid(mid))
        cfg_fault(ld, line, key, "'%s' is no message identifier; write [ADDRESS]:PORT or <NAME>:PORT",
                  cfg_shown(mid, shown));
}

static void check_gateways(struct cfg_loader *ld, const struct epc_cfg_h248 *h)
{
    static const char list[] = "media.h248.gateways";
    struct epc_addr base;
    unsigned bits;
    for (size_t i = 0; i < h->n_gateways; i++) {
        const struct epc_cfg_h248_gateway *g = &h->gateways[i];
        check_mid(ld, cfg_item_line(ld, list, i, "mid"), list, g->mid);
        if (!g->mid && !g->network)
            cfg_fault(ld, cfg_item_line(ld, list, i, NULL), list,
                      "element %zu names nobody; give it mid, network or both", i);
        if (g->network && !epc_network_parse(g->network, &base, &bits))
            cfg_fault(ld, cfg_item_line(ld, list, i, "network"), list,
                      "element %zu: network is none; write an address, or address/bits such as 192.0.2.0/28", i);
        for (size_t j = 0; j < i && g->mid; j++)
            if (h->gateways[j].mid && strcasecmp(h->gateways[j].mid, g->mid) == 0) {
                cfg_fault(ld, cfg_item_line(ld, list, i, "mid"), list, "%s stands twice; remove one", g->mid);
                break;
            }
    }
}

void cfg_check_h248(struct cfg_loader *ld)
{
    const struct epc_cfg_h248 *h = &ld->cfg->media.h248;
    check_mid(ld, cfg_line_of(ld, "media.h248.mid"), "media.h248.mid", h->mid);
    check_mid(ld, cfg_line_of(ld, "media.h248.handoff_mid"), "media.h248.handoff_mid", h->handoff_mid);
    check_gateways(ld, h);
    if (h->retransmit_ms > h->retransmit_max_ms)
        cfg_fault(ld, cfg_line_of(ld, "media.h248.retransmit_ms"), "media.h248.retransmit_ms",
                  "is longer than media.h248.retransmit_max_ms (%u); lower it or raise the other",
                  (unsigned)h->retransmit_max_ms);
    if (ld->cfg->media.gateway != EPC_GATEWAY_H248)
        return;
    if (h->n_gateways == 0)
        cfg_fault(ld, cfg_line_of(ld, "media.gateway"), "media.h248.gateways",
                  "is empty, so that no gateway could register; name them by mid or network");
    if (h->n_listen && !h->mid)
        cfg_fault(ld, cfg_line_of(ld, "media.h248.listen"), "media.h248.mid",
                  "does not follow from an address that stands for all; write [ADDRESS]:PORT or <NAME>:PORT");
}
