/* Networks as "address/bits", TURN servers as "address:port/transport". */
#include "config/config.h"

#include <netinet/in.h>
#include <string.h>

static const uint8_t *octets(const struct epc_addr *a, size_t *n)
{
    if (a->ss.ss_family == AF_INET) {
        *n = 4;
        return (const uint8_t *)&((const struct sockaddr_in *)(const void *)&a->ss)->sin_addr;
    }
    if (a->ss.ss_family != AF_INET6)
        return NULL;
    const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)&a->ss)->sin6_addr;
    bool v4 = IN6_IS_ADDR_V4MAPPED(in6);
    *n = v4 ? 4 : 16;
    return in6->s6_addr + (v4 ? 12 : 0);
}

bool epc_network_parse(const char *text, struct epc_addr *base, unsigned *bits)
{
    char address[EPC_ADDR_LEN];
    struct epc_str s = epc_str_c(text), ip = epc_str_cut(&s, '/');
    uint64_t n_bits;
    size_t n;
    if (ip.n == 0 || ip.n >= sizeof address)
        return false;
    memcpy(address, ip.p, ip.n);
    address[ip.n] = 0;
    struct epc_addr a;
    if (epc_addr_parse(&a, address, 0) != EPC_OK || !octets(&a, &n))
        return false;
    if (!s.p)
        n_bits = n * 8;
    else if (epc_str_u64(s, n * 8, &n_bits) != EPC_OK)
        return false;
    *base = a;
    *bits = (unsigned)n_bits;
    return true;
}

unsigned epc_network_fit(const char *network, const struct epc_addr *addr)
{
    struct epc_addr base;
    unsigned bits;
    size_t n_base = 0, n_addr = 0;
    if (!epc_network_parse(network, &base, &bits))
        return 0;
    const uint8_t *a = octets(&base, &n_base), *b = octets(addr, &n_addr);
    if (!a || !b || n_base != n_addr || memcmp(a, b, bits / 8) != 0)
        return 0;
    unsigned rest = bits % 8;
    if (rest && ((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)) != 0)
        return 0;
    return bits + 1;
}

bool epc_turn_server_parse(const char *text, struct epc_addr *addr, bool *tcp)
{
    enum { TURN_PORT = 3478 };
    char host[EPC_ADDR_LEN];
    struct epc_str transport = epc_str_c(text), at = epc_str_cut(&transport, '/'), ip = at, port = EPC_STR_NULL;
    uint64_t n = TURN_PORT;
    struct epc_addr a;
    if (at.n && at.p[0] == '[') {
        port = (struct epc_str){at.p + 1, at.n - 1};
        ip = epc_str_cut(&port, ']');
        if (!port.p || (port.n && port.p[0] != ':'))
            return false;
        port = port.n ? (struct epc_str){port.p + 1, port.n - 1} : EPC_STR_NULL;
    } else if (memchr(at.p ? at.p : "", ':', at.n) == memrchr(at.p ? at.p : "", ':', at.n)) {
        port = at; /* more than one colon: IPv6 without a port */
        ip = epc_str_cut(&port, ':');
    }
    if (ip.n == 0 || ip.n >= sizeof host || (port.p && (epc_str_u64(port, 65535, &n) != EPC_OK || n == 0)))
        return false;
    if (transport.p && !epc_str_ieqc(transport, "udp") && !epc_str_ieqc(transport, "tcp"))
        return false;
    memcpy(host, ip.p, ip.n);
    host[ip.n] = 0;
    if (epc_addr_parse(&a, host, (uint16_t)n) != EPC_OK)
        return false;
    *addr = a;
    *tcp = transport.p && epc_str_ieqc(transport, "tcp");
    return true;
}
