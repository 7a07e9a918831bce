/* A message for a trace: what keys media or proves who one is, is not in it. */
#include "h248/h248.h"

#include <string.h>

/* Where the secret part of a line of SDP begins; 0: there is none. */
static size_t secret_at(struct epc_str line)
{
    static const char *const starts[] = {"a=ice-pwd:", "a=crypto:", "a=key-mgmt:", "k=", "a=3ge2ae:"};
    struct epc_str s = line;
    while (s.n && (*s.p == ' ' || *s.p == '\t')) {
        s.p++;
        s.n--;
    }
    for (size_t i = 0; i < EPC_ARRAY_LEN(starts); i++) {
        size_t n = strlen(starts[i]);
        if (s.n > n && epc_str_ieqc((struct epc_str){s.p, n}, starts[i]))
            return (size_t)(s.p - line.p) + n;
    }
    return 0;
}

void epc_h248_mask(struct epc_str text, struct epc_buf *out)
{
    size_t at = 0;
    while (at < text.n) {
        const char *from = text.p + at;
        /* Short tokens leave no line between a brace and the description. */
        size_t n = 0;
        while (at + n < text.n && from[n] != '\n' && from[n] != '\r' && from[n] != '{')
            n++;
        size_t end = at + n < text.n ? n + 1 : n, secret = secret_at((struct epc_str){from, n});
        if (secret) {
            epc_buf_add(out, from, secret);
            epc_buf_adds(out, "***");
            if (end > n)
                epc_buf_add(out, from + n, 1);
        } else
            epc_buf_add(out, from, end);
        at += end;
    }
}
