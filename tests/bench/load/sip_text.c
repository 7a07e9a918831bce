#include "sip_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool sip_line(struct span text, size_t *at, struct span *line)
{
    const char *from = text.p + *at, *end = memchr(from, '\n', text.n - *at);
    if (!end)
        return false;
    size_t n = (size_t)(end - from);
    *at += n + 1;
    if (n && from[n - 1] == '\r')
        n--;
    *line = (struct span){from, n};
    return n > 0;
}

static struct span trim(struct span s)
{
    while (s.n && (*s.p == ' ' || *s.p == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

bool sip_is(struct span line, const char *name, char compact, struct span *value)
{
    const char *colon = memchr(line.p, ':', line.n);
    if (!colon)
        return false;
    struct span is = trim((struct span){line.p, (size_t)(colon - line.p)});
    bool same = (is.n == strlen(name) && strncasecmp(is.p, name, is.n) == 0) ||
                (compact && is.n == 1 && (*is.p | 0x20) == compact);
    if (same && value)
        *value = trim((struct span){colon + 1, line.n - (size_t)(colon + 1 - line.p)});
    return same;
}

struct span sip_value(struct span text, const char *name, char compact, unsigned index)
{
    struct span line, value;
    size_t at = 0;
    while (sip_line(text, &at, &line))
        if (sip_is(line, name, compact, &value) && index-- == 0)
            return value;
    return (struct span){NULL, 0};
}

struct span sip_uri(struct span value)
{
    const char *open = value.n ? memchr(value.p, '<', value.n) : NULL;
    if (open) {
        size_t left = value.n - (size_t)(open + 1 - value.p);
        const char *close = memchr(open + 1, '>', left);
        return (struct span){open + 1, close ? (size_t)(close - open - 1) : left};
    }
    const char *end = value.n ? memchr(value.p, ';', value.n) : NULL;
    return (struct span){value.p, end ? (size_t)(end - value.p) : value.n};
}

struct span sip_param(struct span value, const char *name)
{
    const char *close = value.n ? memchr(value.p, '>', value.n) : NULL;
    const char *at = close ? close : value.p, *end = value.p + value.n;
    size_t n = strlen(name);
    while (at && at < end && (at = memchr(at, ';', (size_t)(end - at))) != NULL) {
        at++;
        if ((size_t)(end - at) > n && strncasecmp(at, name, n) == 0 && at[n] == '=') {
            const char *from = at + n + 1, *to = from;
            while (to < end && *to != ';' && *to != ',' && *to != ' ')
                to++;
            return (struct span){from, (size_t)(to - from)};
        }
    }
    return (struct span){NULL, 0};
}

int sip_status(struct span text)
{
    return text.n > 12 && memcmp(text.p, "SIP/2.0 ", 8) == 0 ? atoi(text.p + 8) : 0;
}

size_t sip_body_at(struct span text)
{
    const char *end = memmem(text.p, text.n, "\r\n\r\n", 4);
    return end ? (size_t)(end - text.p) + 4 : 0;
}

size_t sip_length(struct span text)
{
    size_t body = sip_body_at(text);
    if (!body)
        return 0;
    struct span length = sip_value((struct span){text.p, body}, "Content-Length", 'l', 0);
    size_t whole = body + (length.p ? (size_t)strtoul(length.p, NULL, 10) : 0);
    return whole <= text.n ? whole : 0;
}

static void room(struct text *t, size_t n)
{
    if (t->n + n + 1 <= t->cap)
        return;
    t->cap = (t->n + n + 1) * 2;
    t->p = realloc(t->p, t->cap);
    if (!t->p)
        abort();
}

void text_add(struct text *t, const char *p, size_t n)
{
    room(t, n);
    memcpy(t->p + t->n, p, n);
    t->n += n;
    t->p[t->n] = 0;
}

void text_printf(struct text *t, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    room(t, 512);
    int n = vsnprintf(t->p + t->n, t->cap - t->n, fmt, ap);
    if (n > 0 && (size_t)n >= t->cap - t->n) {
        room(t, (size_t)n);
        n = vsnprintf(t->p + t->n, t->cap - t->n, fmt, again);
    }
    va_end(again);
    va_end(ap);
    t->n += n > 0 ? (size_t)n : 0;
}

void sip_routes(struct span response, struct text *out)
{
    unsigned n = 0;
    while (sip_value(response, "Record-Route", 0, n).p)
        n++;
    while (n-- > 0) {
        struct span value = sip_value(response, "Record-Route", 0, n);
        /* Several in one line stand in their order: the last first. */
        while (value.n) {
            const char *comma = memrchr(value.p, ',', value.n), *from = comma ? comma + 1 : value.p;
            text_printf(out, "Route: %.*s\r\n", (int)(value.n - (size_t)(from - value.p)), from);
            value.n = comma ? (size_t)(comma - value.p) : 0;
        }
    }
}
