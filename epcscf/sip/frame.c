/* Where one message ends and the next begins (RFC 3261 18.3): by Content-Length. */
#include "sip/sip_priv.h"

#include <string.h>
#include <strings.h>

enum { NO_LENGTH = -1, BAD_LENGTH = -2 };

static size_t line_end(const char *p, size_t n, size_t from)
{
    const char *nl = memchr(p + from, '\n', n - from);
    return nl ? (size_t)(nl - p) + 1 : 0;
}

/* The number behind the colon, of which nothing but blanks may follow. */
static long length_value(const char *p, size_t n)
{
    size_t i = 0;
    long v = 0;
    unsigned digits = 0;
    while (i < n && (p[i] == ' ' || p[i] == '\t'))
        i++;
    if (i == n || p[i++] != ':')
        return NO_LENGTH; /* another name that begins like it */
    while (i < n && (p[i] == ' ' || p[i] == '\t'))
        i++;
    for (; i < n && p[i] >= '0' && p[i] <= '9'; i++, digits++)
        if (v <= (long)EPC_SIP_MAX_OCTETS)
            v = v * 10 + (p[i] - '0');
    while (i < n && (p[i] == ' ' || p[i] == '\t' || p[i] == '\r' || p[i] == '\n'))
        i++;
    return digits && i == n ? v : BAD_LENGTH;
}

static long content_length(const char *p, size_t n)
{
    static const char name[] = "content-length";
    if (n > sizeof name - 1 && strncasecmp(p, name, sizeof name - 1) == 0)
        return length_value(p + sizeof name - 1, n - (sizeof name - 1));
    if (n > 1 && (p[0] == 'l' || p[0] == 'L'))
        return length_value(p + 1, n - 1);
    return NO_LENGTH;
}

enum epc_sip_frame epc_sip_frame(const char *p, size_t n, struct epc_sip_extent *e)
{
    size_t at = 0, end;
    long length = NO_LENGTH;
    memset(e, 0, sizeof *e);
    while ((end = line_end(p, n, at))) {
        size_t len = end - at;
        if (len == 1 || (len == 2 && p[at] == '\r')) {
            e->head = end;
            e->has_length = length >= 0;
            e->body = length > 0 ? (size_t)length : 0;
            if (length == BAD_LENGTH)
                return EPC_FRAME_BAD;
            if (e->head + e->body > EPC_SIP_MAX_OCTETS)
                return EPC_FRAME_TOO_LARGE;
            return e->head + e->body <= n ? EPC_FRAME_WHOLE : EPC_FRAME_MORE;
        }
        long found = content_length(p + at, len);
        if (found != NO_LENGTH)
            length = length == NO_LENGTH || length == found ? found : BAD_LENGTH;
        at = end;
    }
    return n > EPC_SIP_MAX_OCTETS ? EPC_FRAME_TOO_LARGE : EPC_FRAME_MORE;
}
