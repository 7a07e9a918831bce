/* TPKT: a stream gives the same packets, and the same end, however it is cut up. */
#include <stdlib.h>
#include <string.h>

#include "gateway/h248/tpkt.h"

struct seen {
    struct epc_buf bodies; /* each with its length before it */
    size_t n;
};

static bool note(void *arg, struct epc_str body)
{
    struct seen *s = arg;
    if (body.n > TPKT_MAX_BODY)
        __builtin_trap();
    epc_buf_add(&s->bodies, &body.n, sizeof body.n);
    if (body.n)
        epc_buf_add(&s->bodies, body.p, body.n);
    s->n++;
    return true;
}

static enum epc_err feed(const char *p, size_t size, size_t step, struct seen *s)
{
    struct tpkt_reader r = {0};
    enum epc_err err = EPC_OK;
    for (size_t at = 0; at < size && err == EPC_OK; at += step) {
        size_t n = size - at < step ? size - at : step;
        char *copy = malloc(n); /* so that a read beyond its end shows */
        if (!copy)
            abort();
        memcpy(copy, p + at, n);
        err = tpkt_feed(&r, copy, n, note, s);
        free(copy);
    }
    tpkt_reader_free(&r);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct seen whole = {0}, parts = {0};
    const char *p = (const char *)data + 1;
    enum epc_err a = feed(p, size - 1, size, &whole), b = feed(p, size - 1, data[0] % 64 + 1u, &parts);
    if (a != b || whole.n != parts.n || whole.bodies.n != parts.bodies.n ||
        (whole.bodies.n && memcmp(whole.bodies.p, parts.bodies.p, whole.bodies.n) != 0))
        __builtin_trap();
    epc_buf_free(&whole.bodies);
    epc_buf_free(&parts.bodies);
    return 0;
}
