#include "base/base.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct epc_str epc_str_trim(struct epc_str s)
{
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

struct epc_str epc_str_cut(struct epc_str *s, char sep)
{
    struct epc_str head = *s;
    const char *at = s->n ? memchr(s->p, sep, s->n) : NULL;
    if (!at) {
        *s = EPC_STR_NULL;
        return head;
    }
    head.n = (size_t)(at - s->p);
    s->n -= head.n + 1;
    s->p = at + 1;
    return head;
}

enum epc_err epc_str_u64(struct epc_str s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0)
        return EPC_EPROTO;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return EPC_EPROTO;
        uint64_t d = (uint64_t)(s.p[i] - '0');
        if (v > (UINT64_MAX - d) / 10)
            return EPC_EPROTO;
        v = v * 10 + d;
        if (v > max)
            return EPC_EPROTO;
    }
    *out = v;
    return EPC_OK;
}

char *epc_str_dup(struct epc_str s)
{
    char *c = malloc(s.n + 1);
    if (!c)
        return NULL;
    if (s.n)
        memcpy(c, s.p, s.n);
    c[s.n] = 0;
    return c;
}
