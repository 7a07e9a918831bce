/* Loopback endpoints. A node on one machine (a lab, a test) is legitimate; libfdcore's filter is not
 * configurable, but its list is open to the program that embeds it. */
#include "diameter_priv.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

bool epc_endpoints_parse_line(const char *line, char *out, size_t cap)
{
    static const char key[] = "ListenOn";
    line += strspn(line, " \t");
    if (strncasecmp(line, key, sizeof key - 1) != 0)
        return false;
    line += sizeof key - 1;
    line += strspn(line, " \t");
    if (*line++ != '=')
        return false;
    line += strspn(line, " \t");
    if (*line++ != '"')
        return false;
    size_t n = strcspn(line, "\"\r\n");
    if (line[n] != '"' || n == 0 || n >= cap)
        return false;
    memcpy(out, line, n);
    out[n] = '\0';
    return true;
}

static bool is_loopback(const struct epc_addr *a)
{
    if (a->ss.ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)&a->ss)->sin_addr.s_addr) >> 24 == 127;
    return a->ss.ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&a->ss)->sin6_addr);
}

static enum epc_err add(const char *host)
{
    struct epc_addr a;
    if (epc_addr_parse(&a, host, 0) || !is_loopback(&a))
        return EPC_OK; /* the library's own business */
    if (fd_ep_add_merge(&fd_g_config->cnf_endpoints, (struct sockaddr *)&a.ss, a.len,
                        EP_FL_CONF | EP_ACCEPTALL)) {
        epc_log(EPC_LOG_ERROR, "diameter", "event=listen-failed address=%s", host);
        return EPC_EIO;
    }
    return EPC_OK;
}

static bool only_loopback(void)
{
    struct ifaddrs *list = NULL;
    bool other = false;
    if (getifaddrs(&list))
        return false;
    for (const struct ifaddrs *i = list; i; i = i->ifa_next)
        other = other || (i->ifa_addr && !(i->ifa_flags & IFF_LOOPBACK) &&
                          (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6));
    freeifaddrs(list);
    return !other;
}

enum epc_err epc_endpoints_complete(const char *file)
{
    char line[1024], host[EPC_ADDR_LEN];
    bool any = false;
    enum epc_err e = EPC_OK;
    FILE *f = fopen(file, "r");
    if (!f) {
        epc_log(EPC_LOG_ERROR, "diameter", "event=config-unreadable file=%s reason=\"%s\"", file,
                strerror(errno));
        return EPC_EIO;
    }
    while (!e && fgets(line, sizeof line, f))
        if (epc_endpoints_parse_line(line, host, sizeof host)) {
            any = true;
            e = add(host);
        }
    fclose(f);
    if (!e && !any && only_loopback()) {
        epc_log(EPC_LOG_WARN, "diameter",
                "event=loopback-only hint=\"no ListenOn, no other interface: using 127.0.0.1\"");
        e = add("127.0.0.1");
    }
    return e;
}
