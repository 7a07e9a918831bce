/* Public identities in the one form in which they are compared. */
#include "base/base.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* RFC 3261 19.1.4: an escape of an unreserved character equals that character. Other escapes stay,
 * with upper-case digits. No password. */
static bool add_user(struct epc_buf *b, struct epc_str user)
{
    for (size_t i = 0; i < user.n; i++) {
        char c = user.p[i];
        if (c == '%') {
            if (user.n - i < 3)
                return false;
            int h = hex_value(user.p[i + 1]), l = hex_value(user.p[i + 2]);
            if (h < 0 || l < 0)
                return false;
            char plain = (char)(h * 16 + l);
            if (is_alnum(plain) || (plain && strchr("-_.!~*'()", plain)))
                epc_buf_add(b, &plain, 1);
            else
                epc_buf_printf(b, "%%%02X", (unsigned)(h * 16 + l));
            i += 2;
        } else if (is_alnum(c) || (c && strchr("-_.!~*'()&=+$,;?/", c))) {
            epc_buf_add(b, &c, 1);
        } else {
            return false;
        }
    }
    return user.n > 0;
}

static bool add_host(struct epc_buf *b, struct epc_str host)
{
    bool v6 = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool ok = v6 ? (hex_value(c) >= 0 || c == ':' || c == '.' ||
                        (c == '[' && i == 0) || (c == ']' && i == host.n - 1))
                     : (is_alnum(c) || c == '-' || c == '.');
        if (!ok)
            return false;
        char low = (char)tolower((unsigned char)c);
        epc_buf_add(b, &low, 1);
    }
    return host.n > 0;
}

/* Port off, checked to be one. */
static bool cut_port(struct epc_str *hostport)
{
    size_t end = hostport->n;
    while (end > 0 && hostport->p[end - 1] != ':' && hostport->p[end - 1] != ']')
        end--;
    if (end == 0 || hostport->p[end - 1] == ']')
        return true;
    uint64_t port;
    struct epc_str digits = {hostport->p + end, hostport->n - end};
    hostport->n = end - 1;
    return epc_str_u64(digits, 65535, &port) == EPC_OK;
}

static bool add_sip(struct epc_buf *b, struct epc_str rest)
{
    const char *at = memchr(rest.p, '@', rest.n);
    if (!at)
        return false;
    struct epc_str user = {rest.p, (size_t)(at - rest.p)};
    struct epc_str host = {at + 1, rest.n - user.n - 1};
    if (host.n && memchr(host.p, '?', host.n))
        return false;
    host = epc_str_cut(&host, ';');
    if (!cut_port(&host))
        return false;
    epc_buf_adds(b, "sip:");
    if (!add_user(b, user))
        return false;
    epc_buf_adds(b, "@");
    return add_host(b, host);
}

/* RFC 3966: a global number; visual separators and parameters do not count. */
static bool add_tel(struct epc_buf *b, struct epc_str rest)
{
    struct epc_str number = epc_str_cut(&rest, ';');
    size_t digits = 0;
    if (number.n == 0 || number.p[0] != '+')
        return false;
    epc_buf_adds(b, "tel:+");
    for (size_t i = 1; i < number.n; i++) {
        char c = number.p[i];
        if (c >= '0' && c <= '9') {
            epc_buf_add(b, &c, 1);
            digits++;
        } else if (!c || !strchr("-.()", c)) {
            return false;
        }
    }
    return digits > 0 && digits <= 32;
}

char *epc_canonical_impu(struct epc_str uri)
{
    struct epc_buf b = {0};
    bool ok = false;
    if (uri.n > 4 && uri.n <= 1024) {
        struct epc_str scheme = {uri.p, 4}, rest = {uri.p + 4, uri.n - 4};
        if (epc_str_ieqc(scheme, "sip:"))
            ok = add_sip(&b, rest);
        else if (epc_str_ieqc(scheme, "tel:"))
            ok = add_tel(&b, rest);
    }
    if (!ok) {
        epc_buf_free(&b);
        return NULL;
    }
    return epc_buf_take(&b, NULL);
}

/* A Network Access Identifier user@realm that can stand in a quoted string and as a SIP host. */
static bool impi_ok(struct epc_str impi)
{
    const char *at = impi.n ? memchr(impi.p, '@', impi.n) : NULL;
    const char *end = impi.p + impi.n;
    if (!at || at == impi.p || at + 1 == end || impi.n > 253)
        return false;
    for (const char *c = impi.p; c < end; c++) {
        if (*c <= ' ' || *c == 0x7f || strchr("\"\\<>,;:()[]/?=", *c) || (*c == '@' && c != at))
            return false;
    }
    for (const char *c = at + 1; c < end; c++) {
        if (!is_alnum(*c) && *c != '-' && *c != '.')
            return false;
    }
    return true;
}

char *epc_canonical_impi(struct epc_str impi)
{
    char *s = impi_ok(impi) ? epc_str_dup(impi) : NULL;
    for (char *c = s ? strchr(s, '@') : NULL; c && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return s;
}
