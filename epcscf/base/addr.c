#include "base/base.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

enum epc_err epc_addr_parse(struct epc_addr *a, const char *host, uint16_t port)
{
    struct epc_addr r = {.len = 0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&r.ss;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&r.ss;
    char bare[EPC_ADDR_LEN];
    if (!a || !host)
        return EPC_EINVAL;
    size_t n = strlen(host);
    if (n >= 2 && host[0] == '[' && host[n - 1] == ']' && n - 2 < sizeof bare) {
        memcpy(bare, host + 1, n - 2);
        bare[n - 2] = 0;
        host = bare;
    }
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        r.len = sizeof *v4;
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        r.len = sizeof *v6;
    } else
        return EPC_EPROTO;
    *a = r;
    return EPC_OK;
}

uint16_t epc_addr_port(const struct epc_addr *a)
{
    if (a->ss.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)(const void *)&a->ss)->sin_port);
    if (a->ss.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)&a->ss)->sin6_port);
    return 0;
}

static const void *octets(const struct epc_addr *a, socklen_t *n)
{
    static const struct in_addr none;
    if (a->ss.ss_family == AF_INET6) {
        *n = 16;
        return &((const struct sockaddr_in6 *)(const void *)&a->ss)->sin6_addr;
    }
    *n = 4;
    if (a->ss.ss_family != AF_INET)
        return &none;
    return &((const struct sockaddr_in *)(const void *)&a->ss)->sin_addr;
}

const char *epc_addr_ip(const struct epc_addr *a, char out[EPC_ADDR_LEN])
{
    socklen_t n;
    const void *p = octets(a, &n);
    if (!inet_ntop(n == 16 ? AF_INET6 : AF_INET, p, out, EPC_ADDR_LEN))
        snprintf(out, EPC_ADDR_LEN, "?");
    return out;
}

const char *epc_addr_text(const struct epc_addr *a, char out[EPC_ADDR_LEN])
{
    char ip[EPC_ADDR_LEN];
    snprintf(out, EPC_ADDR_LEN, a->ss.ss_family == AF_INET6 ? "[%.48s]:%u" : "%.48s:%u",
             epc_addr_ip(a, ip), (unsigned)epc_addr_port(a));
    return out;
}

bool epc_addr_same_ip(const struct epc_addr *a, const struct epc_addr *b)
{
    socklen_t na, nb;
    const void *pa = octets(a, &na), *pb = octets(b, &nb);
    return na == nb && memcmp(pa, pb, na) == 0;
}
