/* Networks as "address/bits". */
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
    size_t n_base, n_addr;
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
