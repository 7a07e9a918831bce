/* One side of the cross-check with Erlang's codec (h248_cross.erl), which drives it through a pipe. A frame is
 * four octets of length, big-endian, and so much text. For each message: a frame that is empty when it was
 * read, else says why not; then it in the long form, and in the short one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h248/h248.h"

static bool read_frame(struct epc_buf *b)
{
    unsigned char head[4];
    b->n = 0;
    if (fread(head, 1, sizeof head, stdin) != sizeof head)
        return false;
    size_t left = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    while (left) {
        char part[4096];
        size_t n = fread(part, 1, left < sizeof part ? left : sizeof part, stdin);
        if (n == 0)
            return false;
        epc_buf_add(b, part, n);
        left -= n;
    }
    return !b->failed;
}

static void write_frame(const char *p, size_t n)
{
    unsigned char head[4] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16), (unsigned char)(n >> 8),
                             (unsigned char)n};
    fwrite(head, 1, sizeof head, stdout);
    if (n)
        fwrite(p, 1, n, stdout);
}

static void write_text(const char *text)
{
    write_frame(text, strlen(text));
}

/* What was printed must also be read back as the same. */
static const char *print(const struct epc_h248_message *m, enum epc_h248_style style, struct epc_buf *out)
{
    struct epc_h248_message *again = NULL;
    if (epc_h248_print(m, style, out) != EPC_OK)
        return "cannot be printed";
    if (epc_h248_parse(&again, (struct epc_str){out->p, out->n}, NULL) != EPC_OK)
        return "what was printed cannot be read";
    bool same = epc_h248_same(m, again);
    epc_h248_free(again);
    return same ? NULL : "what was printed is read as something else";
}

static void serve(const struct epc_buf *in)
{
    struct epc_h248_message *m = NULL;
    struct epc_h248_fault fault = {0};
    struct epc_buf out[2] = {{0}, {0}};
    const char *why = NULL;
    char text[160];
    if (epc_h248_parse(&m, (struct epc_str){in->p, in->n}, &fault) != EPC_OK) {
        snprintf(text, sizeof text, "%u in line %u: %s", fault.code, fault.line, fault.why);
        why = text;
    }
    if (!why)
        why = print(m, EPC_H248_PRETTY, &out[0]);
    if (!why)
        why = print(m, EPC_H248_COMPACT, &out[1]);
    write_text(why ? why : "");
    for (int i = 0; i < 2; i++) {
        write_frame(out[i].p, why ? 0 : out[i].n);
        epc_buf_free(&out[i]);
    }
    fflush(stdout);
    epc_h248_free(m);
}

int main(void)
{
    struct epc_buf in = {0};
    while (read_frame(&in))
        serve(&in);
    epc_buf_free(&in);
    return 0;
}
