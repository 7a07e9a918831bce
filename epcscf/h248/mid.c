/* Message identifiers: who speaks. */
#include "h248/h248_priv.h"

#include <arpa/inet.h>
#include <string.h>

static bool port(struct h248_reader *r, struct epc_h248_mid *out)
{
    uint64_t v;
    if (r->at == r->end || *r->at != ':')
        return true;
    r->at++;
    struct epc_str s = {r->at, 0};
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    s.n = (size_t)(r->at - s.p);
    if (epc_str_u64(s, 65535, &v) != EPC_OK || v == 0)
        return h248_fault(r, EPC_EPROTO, 400, "a port is a number up to 65535");
    out->port = (uint16_t)v;
    return true;
}

static bool address_fits(const struct epc_h248_mid *m)
{
    char text[INET6_ADDRSTRLEN + 1];
    struct in6_addr a;
    if (m->host.n == 0 || m->host.n >= sizeof text || memchr(m->host.p, 0, m->host.n))
        return false; /* what stands behind a NUL would not be looked at */
    memcpy(text, m->host.p, m->host.n);
    text[m->host.n] = 0;
    return inet_pton(m->kind == EPC_H248_MID_IP6 ? AF_INET6 : AF_INET, text, &a) == 1;
}

static bool bracketed(struct h248_reader *r, struct epc_h248_mid *out, char close)
{
    const char *from = ++r->at;
    const char *end = memchr(from, close, (size_t)(r->end - from));
    if (!end)
        return h248_fault(r, EPC_EPROTO, 400, "an address without its '%c'", close);
    out->host = (struct epc_str){from, (size_t)(end - from)};
    out->kind = close == '>' ? EPC_H248_MID_DOMAIN
                : memchr(from, ':', out->host.n) ? EPC_H248_MID_IP6 : EPC_H248_MID_IP4;
    for (size_t i = 0; close == '>' && i < out->host.n; i++)
        if (!h248_is_safe(from[i]))
            return h248_fault(r, EPC_EPROTO, 400, "not a domain name");
    if (out->host.n == 0 || (close == ']' && !address_fits(out)))
        return h248_fault(r, EPC_EPROTO, 400, "not an address");
    r->at = end + 1;
    return port(r, out);
}

/* MTP{hex}, else a device name: words with '/' and '@'; nothing here looks into either. A number alone is a
 * port at the address that the message came from (ServiceChangeAddress). */
static bool name(struct h248_reader *r, struct epc_h248_mid *out)
{
    struct epc_str s = h248_safe_chars(r);
    if (s.n == 0)
        return h248_fault(r, EPC_EPROTO, 400, "expected an address, a domain or a device");
    out->kind = EPC_H248_MID_DEVICE;
    out->host = s;
    if (!epc_str_ieqc(s, "MTP") || r->at == r->end || *r->at != '{')
        return true;
    const char *end = memchr(r->at, '}', (size_t)(r->end - r->at));
    if (!end)
        return h248_fault(r, EPC_EPROTO, 400, "an MTP address without its '}'");
    out->kind = EPC_H248_MID_MTP;
    out->host = (struct epc_str){r->at + 1, (size_t)(end - r->at - 1)};
    for (size_t i = 0; i < out->host.n; i++)
        if (!strchr("0123456789abcdefABCDEF", out->host.p[i]) || !out->host.p[i])
            return h248_fault(r, EPC_EPROTO, 400, "an MTP address is hexadecimal");
    r->at = end + 1;
    return true;
}

bool h248_read_mid(struct h248_reader *r, struct epc_h248_mid *out, struct epc_str *text)
{
    h248_space(r);
    const char *from = r->at;
    *out = (struct epc_h248_mid){0};
    bool ok = r->at < r->end && *r->at == '[' ? bracketed(r, out, ']')
              : r->at < r->end && *r->at == '<' ? bracketed(r, out, '>')
                                                : name(r, out);
    if (ok && text)
        *text = (struct epc_str){from, (size_t)(r->at - from)};
    return ok;
}

enum epc_err epc_h248_mid_parse(struct epc_str text, struct epc_h248_mid *out)
{
    struct h248_reader r = {.begin = text.p, .at = text.p, .end = text.p + text.n};
    struct epc_h248_mid m;
    if (!text.p || !h248_read_mid(&r, &m, NULL))
        return EPC_EPROTO;
    h248_space(&r);
    if (r.at != r.end)
        return EPC_EPROTO;
    *out = m;
    return EPC_OK;
}

void epc_h248_mid_text(const struct epc_h248_mid *m, struct epc_buf *out)
{
    static const char *const marks[][2] = {[EPC_H248_MID_IP4] = {"[", "]"},
                                           [EPC_H248_MID_IP6] = {"[", "]"},
                                           [EPC_H248_MID_DOMAIN] = {"<", ">"},
                                           [EPC_H248_MID_DEVICE] = {"", ""},
                                           [EPC_H248_MID_MTP] = {"MTP{", "}"}};
    epc_buf_printf(out, "%s%.*s%s", marks[m->kind][0], EPC_STR_ARG(m->host), marks[m->kind][1]);
    if (m->port)
        epc_buf_printf(out, ":%u", (unsigned)m->port);
}

static bool same_ip6(struct epc_str a, struct epc_str b)
{
    struct in6_addr x, y;
    char text[2][INET6_ADDRSTRLEN + 1];
    if (a.n >= sizeof text[0] || b.n >= sizeof text[1])
        return false;
    snprintf(text[0], sizeof text[0], "%.*s", EPC_STR_ARG(a));
    snprintf(text[1], sizeof text[1], "%.*s", EPC_STR_ARG(b));
    return inet_pton(AF_INET6, text[0], &x) == 1 && inet_pton(AF_INET6, text[1], &y) == 1 &&
           memcmp(&x, &y, sizeof x) == 0;
}

bool epc_h248_mid_eq(const struct epc_h248_mid *a, const struct epc_h248_mid *b)
{
    if (a->kind != b->kind || a->port != b->port)
        return false;
    return a->kind == EPC_H248_MID_IP6 ? same_ip6(a->host, b->host) : epc_str_ieq(a->host, b->host);
}
