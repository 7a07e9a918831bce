/* Octets that wait. */
#include "wss/fifo.h"

#include <stdlib.h>
#include <string.h>

enum { LIMIT = 1 << 30 };

static enum epc_err make_room(struct epc_fifo *f, size_t n)
{
    size_t have = epc_fifo_n(f), cap = f->cap;
    if (n > LIMIT - have)
        return EPC_ELIMIT;
    if (f->at >= have && cap - have >= n) { /* moving is cheaper than what has been taken off since */
        memmove(f->p, f->p + f->at, have);
    } else {
        /* exact at first: most hold one message; then double, so that growing stays linear */
        cap = cap && have ? cap * 2 : n;
        if (cap < have + n)
            cap = have + n;
        unsigned char *p = malloc(cap);
        if (!p)
            return EPC_ENOMEM;
        if (have)
            memcpy(p, f->p + f->at, have);
        free(f->p);
        f->p = p;
        f->cap = (uint32_t)cap;
    }
    f->at = 0;
    f->end = (uint32_t)have;
    return EPC_OK;
}

enum epc_err epc_fifo_reserve(struct epc_fifo *f, size_t n)
{
    return n > f->cap - f->end ? make_room(f, n) : EPC_OK;
}

void epc_fifo_put(struct epc_fifo *f, const void *p, size_t n)
{
    if (n)
        memcpy(f->p + f->end, p, n);
    f->end += (uint32_t)n;
}

enum epc_err epc_fifo_add(struct epc_fifo *f, const void *p, size_t n)
{
    enum epc_err err = n ? epc_fifo_reserve(f, n) : EPC_OK;
    if (!err)
        epc_fifo_put(f, p, n);
    return err;
}

void epc_fifo_drop(struct epc_fifo *f, size_t n)
{
    f->at += (uint32_t)n;
    if (f->at >= f->end)
        epc_fifo_free(f);
}

void epc_fifo_free(struct epc_fifo *f)
{
    free(f->p);
    *f = (struct epc_fifo){0};
}
