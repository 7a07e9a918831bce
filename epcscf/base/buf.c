#include "base/base.h"

#include <stdlib.h>
#include <string.h>

static bool reserve(struct epc_buf *b, size_t more)
{
    if (b->failed)
        return false;
    if (more > SIZE_MAX / 4 - b->n) {
        b->failed = true;
        return false;
    }
    size_t need = b->n + more + 1;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 256;
    while (cap < need)
        cap *= 2;
    char *p = realloc(b->p, cap);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

void epc_buf_add(struct epc_buf *b, const void *p, size_t n)
{
    if (!reserve(b, n))
        return;
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = 0;
}

void epc_buf_adds(struct epc_buf *b, const char *cstr)
{
    epc_buf_add(b, cstr, strlen(cstr));
}

void epc_buf_addu(struct epc_buf *b, uint64_t v)
{
    char digits[20], *p = digits + sizeof digits;
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    epc_buf_add(b, p, (size_t)(digits + sizeof digits - p));
}

void epc_buf_addstr(struct epc_buf *b, struct epc_str s)
{
    epc_buf_add(b, s.p, s.n);
}

/* The conversions that nearly all of our formats are made of. False: there is another one, or flags. */
static bool put_simple(struct epc_buf *b, const char *fmt, va_list ap)
{
    for (const char *p = fmt; *p;) {
        const char *plain = p;
        while (*p && *p != '%')
            p++;
        epc_buf_add(b, plain, (size_t)(p - plain));
        if (!*p)
            break;
        if (p[1] == 's') {
            epc_buf_adds(b, va_arg(ap, const char *));
            p += 2;
        } else if (p[1] == 'u') {
            epc_buf_addu(b, va_arg(ap, unsigned));
            p += 2;
        } else if (p[1] == 'l' && p[2] == 'u') {
            epc_buf_addu(b, va_arg(ap, unsigned long));
            p += 3;
        } else if (p[1] == '.' && p[2] == '*' && p[3] == 's') {
            int most = va_arg(ap, int);
            const char *text = va_arg(ap, const char *);
            epc_buf_add(b, text, strnlen(text, most > 0 ? (size_t)most : 0));
            p += 4;
        } else
            return false;
    }
    return true;
}

static void EPC_PRINTF(2, 0) put_formatted(struct epc_buf *b, const char *fmt, va_list ap)
{
    va_list again;
    size_t room = b->p ? b->cap - b->n : 0;
    va_copy(again, ap);
    int n = vsnprintf(room ? b->p + b->n : NULL, room, fmt, ap);
    if (n < 0)
        b->failed = true;
    else if ((size_t)n < room || (reserve(b, (size_t)n) && vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again) == n))
        b->n += (size_t)n;
    va_end(again);
}

void epc_buf_printf(struct epc_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    size_t before = b->n;
    if (b->failed)
        return;
    va_start(ap, fmt);
    va_copy(again, ap);
    if (!put_simple(b, fmt, ap)) {
        b->n = before;
        if (!b->failed)
            put_formatted(b, fmt, again);
    }
    va_end(again);
    va_end(ap);
    if (b->failed) {
        b->n = before;
        if (b->p)
            b->p[b->n] = 0; /* what did not fit is not there */
    }
}

void epc_buf_free(struct epc_buf *b)
{
    free(b->p);
    *b = (struct epc_buf){0};
}

char *epc_buf_take(struct epc_buf *b, size_t *n)
{
    if (!b->p && !b->failed)
        epc_buf_add(b, "", 0);
    char *p = b->failed ? NULL : b->p;
    if (n)
        *n = p ? b->n : 0;
    if (!p)
        free(b->p);
    *b = (struct epc_buf){0};
    return p;
}
