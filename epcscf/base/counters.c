/* Each thread counts in a block of its own; a reader adds the blocks up. Blocks are linked once and
 * never freed while the process lives, so that what an ended thread counted is not lost. */
#include "base/base.h"

#include <stdlib.h>

struct block {
    struct block *next;
    _Atomic int64_t cell[EPC_C_COUNT];
};

static const struct epc_counter_info info[EPC_C_COUNT] = {
#define EPC_COUNTER(id, kind_, name_, help_) \
    [EPC_C_##id] = {.name = (name_), .kind = (kind_), .help = (help_)},
#include "base/counters.def"
#undef EPC_COUNTER
};

static struct block *_Atomic blocks;
static struct block shared; /* where counts go when a thread's block cannot be had */
static _Thread_local struct block *mine;

const struct epc_counter_info *epc_counter_info(enum epc_counter c)
{
    return (unsigned)c < EPC_C_COUNT ? &info[c] : NULL;
}

static struct block *attach(void)
{
    struct block *b = calloc(1, sizeof *b);
    if (!b)
        return &shared;
    b->next = atomic_load(&blocks);
    while (!atomic_compare_exchange_weak(&blocks, &b->next, b))
        ;
    mine = b;
    return b;
}

void epc_count_add(enum epc_counter c, int64_t n)
{
    struct block *b = mine ? mine : attach();
    atomic_fetch_add_explicit(&b->cell[c], n, memory_order_relaxed);
}

int64_t epc_counter_read(enum epc_counter c)
{
    int64_t sum = atomic_load_explicit(&shared.cell[c], memory_order_relaxed);
    for (struct block *b = atomic_load(&blocks); b; b = b->next)
        sum += atomic_load_explicit(&b->cell[c], memory_order_relaxed);
    return sum;
}
