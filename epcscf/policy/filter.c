/* Flow-Description (TS 29.214 5.3.8): permit, one address and at most one port a side, never a name, an
 * unspecified address or a port that stands for "unknown". The UE's side is its address in the IP-CAN;
 * the remote side is the gateway's access side, or a TURN server when the media runs through one. */
#include "policy/policy_priv.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

enum { PORT_DISCARD = 9, TCP = 6, UDP = 17 };

bool pol_literal(struct epc_str text, uint16_t port, struct epc_addr *a)
{
    char host[EPC_ADDR_LEN];
    if (text.n == 0 || text.n >= sizeof host)
        return false;
    memcpy(host, text.p, text.n);
    host[text.n] = 0;
    return epc_addr_parse(a, host, port) == EPC_OK;
}

bool pol_private(const struct epc_addr *a)
{
    static const char *const networks[] = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
                                           "127.0.0.0/8", "169.254.0.0/16", "fc00::/7", "fe80::/10", "::1/128"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(networks); i++)
        if (epc_network_fit(networks[i], a))
            return true;
    return false;
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

/* ---- TCP ----------------------------------------------------------------------------------------------- */

static bool starts_tcp(const struct epc_sdp_media *m)
{
    return m && epc_str_starts(m->proto, "TCP");
}

static size_t count_candidates(const struct epc_sdp_media *m, const char *transport)
{
    size_t n = 0;
    for (size_t i = 0; m && i < m->n_candidate; i++)
        n += epc_str_ieqc(m->candidate[i].transport, transport);
    return n;
}

/* An m-line over TCP, or a UE with candidates of TCP alone and a gateway that has some too (RFC 6544). */
uint8_t pol_protocol(const struct pol_line *l)
{
    if (starts_tcp(l->up) || starts_tcp(l->down))
        return TCP;
    bool ice = count_candidates(l->up, "tcp") && !count_candidates(l->up, "udp") && count_candidates(l->down, "tcp");
    return ice ? TCP : UDP;
}

static bool of_protocol(const struct epc_sdp_candidate *c, uint8_t protocol)
{
    return epc_str_ieqc(c->transport, protocol == TCP ? "tcp" : "udp");
}

/* ---- TURN ---------------------------------------------------------------------------------------------- */

/* An end that is not the UE's. */
struct far_end {
    struct epc_addr addr;
    uint8_t protocol;
    const char *fact;
};
enum relay { RELAY_NONE, RELAY_OURS, RELAY_OTHER };

static bool turn_server(const struct epc_cfg_policy *cfg, const struct epc_addr *relayed, struct far_end *far)
{
    for (size_t i = 0; i < cfg->n_turn_servers; i++) {
        struct epc_addr turn;
        bool tcp;
        if (!epc_turn_server_parse(cfg->turn_servers[i], &turn, &tcp) || !epc_addr_same_ip(&turn, relayed))
            continue;
        *far = (struct far_end){turn, tcp ? TCP : UDP, "policy.turn_servers: the bearer carries UE to TURN server"};
        return true;
    }
    return false;
}

static bool is_relayed_candidate(const struct epc_sdp_media *m, const struct epc_addr *a)
{
    struct epc_addr c;
    for (size_t i = 0; m && i < m->n_candidate; i++)
        if (epc_str_eqc(m->candidate[i].typ, "relay") &&
            pol_literal(m->candidate[i].address, m->candidate[i].port, &c) && epc_addr_same_ip(&c, a) &&
            epc_addr_port(&c) == epc_addr_port(a))
            return true;
    return false;
}

/* Does the media run through a TURN server? What the gateway sees decides; before that, a WIC that gave
 * nothing but candidates of the operator's TURN servers. */
static enum relay relay(const struct epc_policy_input *in, const struct pol_line *l, struct far_end *far)
{
    if (l->learned) {
        if (turn_server(in->cfg, l->learned, far))
            return RELAY_OURS;
        return is_relayed_candidate(l->up, l->learned) ? RELAY_OTHER : RELAY_NONE;
    }
    enum relay found = RELAY_NONE;
    for (size_t i = 0; l->up && i < l->up->n_candidate; i++) {
        const struct epc_sdp_candidate *c = &l->up->candidate[i];
        struct epc_addr a;
        if (!epc_str_ieqc(c->transport, "udp"))
            continue;
        if (!epc_str_eqc(c->typ, "relay") || !pol_literal(c->address, c->port, &a) ||
            !turn_server(in->cfg, &a, far))
            return RELAY_NONE;
        found = RELAY_OURS;
    }
    return found;
}

bool pol_relayed(const struct epc_policy_input *in, const struct pol_line *l)
{
    struct far_end far;
    return relay(in, l, &far) != RELAY_NONE;
}

/* ---- the UE's side ------------------------------------------------------------------------------------- */

static bool at_ue(const struct pol_line *l, struct epc_str address, uint16_t port)
{
    struct epc_addr a;
    return port_known(port) && pol_literal(address, port, &a) && epc_addr_same_ip(&a, &l->ue);
}

/* Best candidate of the UE's own address; a reflexive one may still name its base there. */
static uint16_t candidate_port(const struct pol_line *l, unsigned component, const char **fact)
{
    const struct epc_sdp_media *m = l->up;
    uint8_t protocol = pol_protocol(l);
    uint32_t best = 0;
    uint16_t port = 0, base = 0;
    for (size_t i = 0; i < m->n_candidate; i++) {
        const struct epc_sdp_candidate *c = &m->candidate[i];
        if (c->component != component || !of_protocol(c, protocol))
            continue;
        bool own = epc_str_eqc(c->typ, "host") || epc_str_eqc(c->typ, "prflx");
        if (own && at_ue(l, c->address, c->port) && (!port || c->priority > best)) {
            port = c->port;
            best = c->priority;
        }
        if (epc_str_eqc(c->typ, "srflx") && !base && at_ue(l, c->raddr, c->rport))
            base = c->rport;
    }
    *fact = port ? "its candidate of highest priority there" : "the base of its reflexive candidate";
    return port ? port : base;
}

static uint16_t ue_port(const struct pol_line *l, bool rtcp, const char **fact)
{
    const struct epc_sdp_media *m = l->up;
    *fact = "";
    if (!l->ue.len)
        return 0;
    if (!rtcp && l->learned && epc_addr_same_ip(l->learned, &l->ue) && port_known(epc_addr_port(l->learned))) {
        *fact = "the gateway has seen it";
        return epc_addr_port(l->learned);
    }
    if (!m)
        return 0;
    uint16_t port = candidate_port(l, rtcp ? 2 : 1, fact);
    if (port || m->n_candidate || !at_ue(l, m->c_addr, m->port))
        return port;
    *fact = rtcp ? "its a=rtcp, or the port after its m= line's" : "its m= and c= line";
    if (!rtcp)
        return m->port;
    return m->rtcp_port ? m->rtcp_port : (uint16_t)(m->port + 1);
}

uint16_t pol_ue_port(const struct pol_line *l, bool rtcp)
{
    const char *fact;
    return ue_port(l, rtcp, &fact);
}

/* ---- the gateway's side ---------------------------------------------------------------------------------- */

static bool gateway(const struct pol_line *l, bool rtcp, struct far_end *far)
{
    const struct epc_sdp_media *m = l->down;
    uint8_t protocol = pol_protocol(l);
    if (!m)
        return false;
    uint16_t port = m->port;
    if (rtcp)
        port = m->rtcp_port ? m->rtcp_port : (uint16_t)(m->port + 1);
    *far = (struct far_end){.protocol = protocol, .fact = "the gateway's m= and c= line, downlink"};
    if (!pol_literal(m->c_addr, port, &far->addr))
        return false;
    /* ICE over TCP beside a default of UDP: the gateway's own candidate of TCP. */
    for (size_t i = 0; protocol == TCP && !starts_tcp(m) && i < m->n_candidate; i++) {
        const struct epc_sdp_candidate *c = &m->candidate[i];
        if (c->component != (rtcp ? 2u : 1u) || !of_protocol(c, TCP) || !port_known(c->port) ||
            !pol_literal(c->address, c->port, &far->addr))
            continue;
        far->fact = "the gateway's candidate of TCP, downlink";
        break;
    }
    return true;
}

/* ---- the two filters ------------------------------------------------------------------------------------- */

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

static bool find_far_end(const struct pol_line *l, enum relay r, bool rtcp, struct far_end *far)
{
    if (!l->ue.len || unspecified(&l->ue)) {
        pol_why(l, "Flow-Description left out <- the UE's address in the IP-CAN is not known (TS 29.214 5.3.8)");
        return false;
    }
    if (r == RELAY_OTHER) {
        pol_why(l, "Flow-Description left out <- a TURN server that is not in policy.turn_servers: what the bearer "
                   "carries is not known (TS 29.214 5.3.8)");
        return false;
    }
    if (r == RELAY_NONE && !gateway(l, rtcp, far)) {
        pol_why(l, "Flow-Description left out <- the gateway's address is not known yet (TS 29.214 5.3.8)");
        return false;
    }
    if (unspecified(&far->addr) || !port_known(epc_addr_port(&far->addr)) ||
        far->addr.ss.ss_family != l->ue.ss.ss_family) {
        pol_why(l, "Flow-Description left out <- the far end is no address and port of the UE's IP version "
                   "(TS 29.214 5.3.8)");
        return false;
    }
    return true;
}

void pol_filters(const struct epc_policy_input *in, const struct pol_line *l, bool rtcp,
                 struct epc_media_flow *f)
{
    struct far_end far;
    char from[EPC_ADDR_LEN], to[EPC_ADDR_LEN];
    const char *fact = "";
    f->uplink[0] = f->downlink[0] = 0;
    enum relay r = relay(in, l, &far);
    if (!find_far_end(l, r, rtcp, &far))
        return;
    bool relayed = r == RELAY_OURS;
    snprintf(f->uplink, sizeof f->uplink, "permit in %u from %s to %s %u", far.protocol, source_text(&l->ue, from),
             epc_addr_ip(&far.addr, to), epc_addr_port(&far.addr));
    pol_why(l, "Flow-Description=\"%s\" <- the UE's address; %s (TS 29.214 5.3.8)", f->uplink, far.fact);
    /* The UE's port towards its TURN server is not known. */
    uint16_t port = relayed ? 0 : ue_port(l, rtcp, &fact);
    if (!port_known(port)) {
        pol_why(l, "Flow-Description of the downlink left out <- the UE's port is not known%s (TS 29.214 5.3.8)",
                relayed ? " towards the TURN server" : ": no candidate, m= line or report of the gateway has one at "
                                                       "its address");
        return;
    }
    snprintf(f->downlink, sizeof f->downlink, "permit out %u from %s to %s %u", far.protocol,
             source_text(&far.addr, from), epc_addr_ip(&l->ue, to), port);
    pol_why(l, "Flow-Description=\"%s\" <- the UE's port: %s (TS 29.214 5.3.8)", f->downlink, fact);
}
