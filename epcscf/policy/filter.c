/* Flow-Description (TS 29.214 5.3.8): permit, one address and at most one port a side, never a name, an
 * unspecified address or a port that stands for "unknown". The UE's side is its address in the IP-CAN;
 * the remote side is the gateway's access side, or a TURN server when the media runs through one. */
#include "policy/policy_priv.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

enum { TURN_PORT = 3478, PORT_DISCARD = 9 };

static bool literal(struct epc_str text, uint16_t port, struct epc_addr *a)
{
    char host[EPC_ADDR_LEN];
    if (text.n == 0 || text.n >= sizeof host)
        return false;
    memcpy(host, text.p, text.n);
    host[text.n] = 0;
    return epc_addr_parse(a, host, port) == EPC_OK;
}

static bool unspecified(const struct epc_addr *a)
{
    if (a->ss.ss_family == AF_INET) {
        const struct sockaddr_in *in4 = (const void *)&a->ss;
        return in4->sin_addr.s_addr == htonl(INADDR_ANY);
    }
    if (a->ss.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)&a->ss;
        return IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr) != 0;
    }
    return true;
}

static bool port_known(uint16_t port)
{
    return port != 0 && port != PORT_DISCARD;
}

static bool is_turn(const struct epc_cfg_policy *cfg, const struct epc_addr *a)
{
    for (size_t i = 0; i < cfg->n_turn_servers; i++) {
        struct epc_addr turn;
        if (epc_addr_parse(&turn, cfg->turn_servers[i], 0) == EPC_OK && epc_addr_same_ip(&turn, a))
            return true;
    }
    return false;
}

/* Does the media run through one of the operator's TURN servers? What the gateway sees decides; before
 * that, a WIC that gave nothing but relayed candidates. */
static bool relay(const struct epc_policy_input *in, const struct pol_line *l, struct epc_addr *turn)
{
    if (l->learned) {
        *turn = *l->learned;
        return is_turn(in->cfg, l->learned);
    }
    bool found = false;
    for (size_t i = 0; l->up && i < l->up->n_candidate; i++) {
        const struct epc_sdp_candidate *c = &l->up->candidate[i];
        struct epc_addr a;
        if (!epc_str_ieqc(c->transport, "udp"))
            continue;
        if (!epc_str_eqc(c->typ, "relay") || !literal(c->address, c->port, &a) || !is_turn(in->cfg, &a))
            return false;
        *turn = a;
        found = true;
    }
    return found;
}

static bool at_ue(const struct epc_policy_input *in, struct epc_str address, uint16_t port)
{
    struct epc_addr a;
    return port_known(port) && literal(address, port, &a) && epc_addr_same_ip(&a, in->ue);
}

/* Best candidate of the UE's own address; a reflexive one may still name its base there. */
static uint16_t candidate_port(const struct epc_policy_input *in, const struct epc_sdp_media *m,
                               unsigned component)
{
    uint32_t best = 0;
    uint16_t port = 0, base = 0;
    for (size_t i = 0; i < m->n_candidate; i++) {
        const struct epc_sdp_candidate *c = &m->candidate[i];
        if (c->component != component || !epc_str_ieqc(c->transport, "udp"))
            continue;
        bool own = epc_str_eqc(c->typ, "host") || epc_str_eqc(c->typ, "prflx");
        if (own && at_ue(in, c->address, c->port) && (!port || c->priority > best)) {
            port = c->port;
            best = c->priority;
        }
        if (epc_str_eqc(c->typ, "srflx") && !base && at_ue(in, c->raddr, c->rport))
            base = c->rport;
    }
    return port ? port : base;
}

uint16_t pol_ue_port(const struct epc_policy_input *in, const struct pol_line *l, bool rtcp)
{
    const struct epc_sdp_media *m = l->up;
    if (!in->ue)
        return 0;
    if (!rtcp && l->learned && epc_addr_same_ip(l->learned, in->ue) &&
        port_known(epc_addr_port(l->learned)))
        return epc_addr_port(l->learned);
    if (!m)
        return 0;
    uint16_t port = candidate_port(in, m, rtcp ? 2 : 1);
    if (port || m->n_candidate || !at_ue(in, m->c_addr, m->port))
        return port;
    if (!rtcp)
        return m->port;
    return m->rtcp_port ? m->rtcp_port : (uint16_t)(m->port + 1);
}

/* Address of the sender's side: an IPv6 source is widened to its /64. */
static const char *source_text(const struct epc_addr *a, char out[EPC_ADDR_LEN])
{
    if (a->ss.ss_family != AF_INET6)
        return epc_addr_ip(a, out);
    struct in6_addr prefix = ((const struct sockaddr_in6 *)(const void *)&a->ss)->sin6_addr;
    memset(&prefix.s6_addr[8], 0, 8);
    if (!inet_ntop(AF_INET6, &prefix, out, EPC_ADDR_LEN - 3))
        out[0] = 0;
    strcat(out, "/64");
    return out;
}

void pol_filters(const struct epc_policy_input *in, const struct pol_line *l, bool rtcp,
                 struct epc_media_flow *f)
{
    struct epc_addr far;
    char from[EPC_ADDR_LEN], to[EPC_ADDR_LEN];
    uint16_t far_port = 0, ue_port = 0;
    f->uplink[0] = f->downlink[0] = 0;
    if (!in->ue || unspecified(in->ue))
        return;
    if (relay(in, l, &far)) {
        far_port = TURN_PORT; /* the UE's port towards its TURN server is not known */
    } else {
        if (!l->down)
            return;
        far_port = l->down->port;
        if (rtcp)
            far_port = l->down->rtcp_port ? l->down->rtcp_port : (uint16_t)(l->down->port + 1);
        if (!literal(l->down->c_addr, far_port, &far))
            return;
        ue_port = pol_ue_port(in, l, rtcp);
    }
    if (unspecified(&far) || !port_known(far_port) || far.ss.ss_family != in->ue->ss.ss_family)
        return;
    snprintf(f->uplink, sizeof f->uplink, "permit in 17 from %s to %s %u", source_text(in->ue, from),
             epc_addr_ip(&far, to), far_port);
    if (port_known(ue_port))
        snprintf(f->downlink, sizeof f->downlink, "permit out 17 from %s to %s %u", source_text(&far, from),
                 epc_addr_ip(in->ue, to), ue_port);
}
