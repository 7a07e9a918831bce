/* Octets that wait. Costs nothing while empty. */
#ifndef EPC_WSS_FIFO_H
#define EPC_WSS_FIFO_H

#include "base/base.h"

struct epc_fifo { /* zeroed: empty */
    unsigned char *p;
    uint32_t at, end, cap; /* what is in it lies from p + at to p + end */
};
/* Room for @p n more octets. EPC_ENOMEM; EPC_ELIMIT: 1 GiB is never exceeded. */
enum epc_err epc_fifo_reserve(struct epc_fifo *f, size_t n) EPC_MUST_CHECK;
void epc_fifo_put(struct epc_fifo *f, const void *p, size_t n); /* into reserved room */
/* Append; all or nothing. */
enum epc_err epc_fifo_add(struct epc_fifo *f, const void *p, size_t n) EPC_MUST_CHECK;
void epc_fifo_drop(struct epc_fifo *f, size_t n); /* off the front; frees when nothing is left */
void epc_fifo_free(struct epc_fifo *f);
static inline size_t epc_fifo_n(const struct epc_fifo *f)
{
    return f->end - f->at;
}

#endif
