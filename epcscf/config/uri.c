/* The forms of values that have a grammar. The texts end up in SIP headers, HTTP headers and JSON:
 * nothing passes that would need quoting there. */
#include "config/config_priv.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

static bool is_ip(const char *p, size_t n)
{
    char host[EPC_ADDR_LEN];
    struct epc_addr a;
    if (n == 0 || n >= sizeof host)
        return false;
    memcpy(host, p, n);
    host[n] = 0;
    return epc_addr_parse(&a, host, 1) == EPC_OK;
}

/* RFC 1123 2.1 labels; a name whose last label is all digits would be a broken IPv4 address. */
static bool is_name(const char *p, size_t n)
{
    size_t label = 0;
    bool digits = true;
    if (n == 0 || n > 253)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '.') {
            if (label == 0 || p[i - 1] == '-')
                return false;
            label = 0;
            digits = true;
            continue;
        }
        if (!isalnum((unsigned char)p[i]) && !(p[i] == '-' && label > 0))
            return false;
        digits = digits && isdigit((unsigned char)p[i]);
        if (++label > 63)
            return false;
    }
    return label > 0 && p[n - 1] != '-' && !digits;
}

static bool is_host(const char *p, size_t n)
{
    return is_name(p, n) || is_ip(p, n);
}

/* host[:port] as in URLs: an IPv6 address stands in brackets. */
static bool is_authority(const char *p, size_t n)
{
    size_t host = n;
    uint64_t port;
    const char *end = n && p[0] == '[' ? memchr(p, ']', n) : p;
    if (!end)
        return false;
    const char *colon = memchr(end, ':', n - (size_t)(end - p));
    if (colon) {
        host = (size_t)(colon - p);
        struct epc_str text = {colon + 1, n - host - 1};
        if (epc_str_u64(text, 65535, &port) != EPC_OK || port == 0)
            return false;
    }
    if (p[0] != '[' && memchr(p, ':', host))
        return false;
    return is_host(p, host);
}

static bool only(const char *p, const char *extra)
{
    for (; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr(extra, *p))
            return false;
    return true;
}

static bool is_origin(const char *text)
{
    const char *rest = strstr(text, "://");
    if (!rest || rest == text || !isalpha((unsigned char)text[0]))
        return false;
    for (const char *p = text; p < rest; p++)
        if (!isalnum((unsigned char)*p) && !strchr("+-.", *p))
            return false;
    return is_authority(rest + 3, strlen(rest + 3));
}

/* scheme://authority[/path][?query], RFC 3986 characters. */
static bool is_url(const char *text, const char *scheme)
{
    size_t n = strlen(scheme);
    if (strncasecmp(text, scheme, n) != 0)
        return false;
    const char *p = text + n;
    size_t authority = strcspn(p, "/?");
    return is_authority(p, authority) && only(p + authority, "-._~:/?@!$&()*+,;=%");
}

/* In the clear only inside this host, and never by a name that somebody else may resolve. */
static bool is_loopback_url(const char *text)
{
    struct epc_addr a;
    char host[EPC_ADDR_LEN], ip[EPC_ADDR_LEN];
    if (!is_url(text, "http://"))
        return false;
    const char *p = text + 7;
    size_t n = *p == '[' ? strcspn(p, "]") + 1 : strcspn(p, ":/?");
    if (n >= sizeof host)
        return false;
    memcpy(host, p, n);
    host[n] = 0;
    if (epc_addr_parse(&a, host, 1) != EPC_OK)
        return false;
    epc_addr_ip(&a, ip);
    return strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0;
}

static bool sip_uri_host(const char *text, struct epc_str *host, uint16_t *port)
{
    if (strncasecmp(text, "sip:", 4) != 0)
        return false;
    const char *p = text + 4, *at = strchr(p, '@');
    if (at) {
        for (const char *c = p; c < at; c++)
            if (!isalnum((unsigned char)*c) && !strchr("-_.!~*'()&=+$%", *c))
                return false;
        p = at + 1;
    }
    size_t n = strcspn(p, ";");
    if (!is_authority(p, n) || !only(p + n, ";=-._~"))
        return false;
    const char *end = p[0] == '[' ? memchr(p, ']', n) : p;
    const char *colon = memchr(end, ':', n - (size_t)(end - p));
    *host = (struct epc_str){p, colon ? (size_t)(colon - p) : n};
    *port = colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : 5060;
    return true;
}

bool cfg_sip_uri_addr(const char *text, struct epc_addr *a)
{
    struct epc_str host;
    uint16_t port;
    char ip[EPC_ADDR_LEN];
    if (!text || !sip_uri_host(text, &host, &port) || host.n >= sizeof ip)
        return false;
    memcpy(ip, host.p, host.n);
    ip[host.n] = 0;
    return epc_addr_parse(a, ip, port) == EPC_OK;
}

const char *cfg_check_text(enum cfg_type t, const char *text)
{
    struct epc_addr a;
    struct epc_plmn_range range;
    bool tcp;
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return "holds a control character; write it on one line without";
    switch (t) {
    case CFG_TOKEN:
        return only(text, "-.!%*_+`'~") ? NULL
                                        : "is no token; use letters, digits and -.!%*_+`'~ only";
    case CFG_HOST:
        return is_host(text, strlen(text)) ? NULL : "is no host; write a domain name or an address";
    case CFG_IP:
        return is_ip(text, strlen(text)) ? NULL : "is no address; write a literal IPv4 or IPv6 one";
    case CFG_ORIGIN:
        return is_origin(text) ? NULL : "is no Origin; write scheme://host[:port] and nothing after it";
    case CFG_HTTPS_ORIGIN:
        return is_origin(text) && strncasecmp(text, "https://", 8) == 0
                   ? NULL
                   : "is no https origin; write https://host[:port] and nothing after it";
    case CFG_HTTPS_URI:
        return is_url(text, "https://") ? NULL : "is no https URI; write https://host[:port][/path]";
    case CFG_HTTP_URL:
        return is_url(text, "https://") || is_loopback_url(text)
                   ? NULL
                   : "is no URL for secrets and keys; write https://host[:port][/path] (http only to a "
                     "loopback address)";
    case CFG_WSS_URL:
        return is_url(text, "wss://") ? NULL : "is no wss URL; write wss://host[:port][/path]";
    case CFG_SIP_URI:
        return cfg_sip_uri_addr(text, &a)
                   ? NULL
                   : "is no usable SIP URI; write sip:ADDRESS[:port][;transport=...], a literal address";
    case CFG_PLMN:
        return epc_plmn_range_parse(epc_str_c(text), &range);
    case CFG_H248_LISTEN:
        return epc_h248_listen_parse(text, &a, &tcp)
                   ? NULL
                   : "is no address to listen on; write tcp:ADDRESS:PORT or udp:ADDRESS:PORT";
    case CFG_PATH:
        return text[0] == '/' && only(text, "-._~/") ? NULL : "is no path; write /..., without query";
    case CFG_SOCKET:
        return strlen(text) < sizeof((struct sockaddr_un *)0)->sun_path
                   ? NULL
                   : "is too long for a Unix socket; use a shorter path";
    default:
        return NULL;
    }
}

char *cfg_canonical_origin(const char *text)
{
    char *s = epc_str_dup(epc_str_c(text));
    if (!s)
        return NULL;
    for (char *p = s; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    size_t n = strlen(s);
    if (strncmp(s, "https://", 8) == 0 && n > 12 && strcmp(s + n - 4, ":443") == 0 && s[n - 5] != ':')
        s[n - 4] = 0;
    else if (strncmp(s, "http://", 7) == 0 && n > 10 && strcmp(s + n - 3, ":80") == 0 && s[n - 4] != ':')
        s[n - 3] = 0;
    return s;
}
