/* Hierarchical timing wheel; see shard_priv.h. */
#include "shard/shard_priv.h"

#include <string.h>

#define SLOT_MASK ((uint64_t)(EPC_WHEEL_SLOTS - 1))

void epc_wheel_init(struct epc_wheel *w, uint64_t now)
{
    memset(w, 0, sizeof *w);
    w->now = now;
}

static void push(struct epc_timer **head, struct epc_timer *t)
{
    t->_next = *head;
    if (t->_next)
        t->_next->_prev = &t->_next;
    t->_prev = head;
    *head = t;
}

void epc_wheel_del(struct epc_timer *t)
{
    if (!t->_prev)
        return;
    *t->_prev = t->_next;
    if (t->_next)
        t->_next->_prev = t->_prev;
    t->_next = NULL;
    t->_prev = NULL;
    /* the slot's bit in `used` is cleared when it is next looked at */
}

void epc_wheel_add(struct epc_wheel *w, struct epc_timer *t)
{
    if (t->_at_ms <= w->now)
        t->_at_ms = w->now + 1; /* never into the slot that is being fired */
    unsigned level = (63U - (unsigned)__builtin_clzll(t->_at_ms ^ w->now)) / EPC_WHEEL_BITS;
    size_t slot = (size_t)((t->_at_ms >> (level * EPC_WHEEL_BITS)) & SLOT_MASK);
    push(&w->slot[level][slot], t);
    w->used[level] |= 1ULL << slot;
}

/* The nearest slot in use, with the time at which it begins. Lower levels always come first. */
static bool nearest(struct epc_wheel *w, unsigned *level, size_t *slot, uint64_t *at)
{
    for (unsigned l = 0; l < EPC_WHEEL_LEVELS; l++) {
        while (w->used[l]) {
            size_t s = (size_t)__builtin_ctzll(w->used[l]);
            if (!w->slot[l][s]) {
                w->used[l] &= w->used[l] - 1;
                continue;
            }
            unsigned shift = l * EPC_WHEEL_BITS;
            uint64_t above = shift + EPC_WHEEL_BITS < 64
                                 ? w->now >> (shift + EPC_WHEEL_BITS) << (shift + EPC_WHEEL_BITS)
                                 : 0;
            *level = l;
            *slot = s;
            *at = above | (uint64_t)s << shift;
            return true;
        }
    }
    return false;
}

uint64_t epc_wheel_next(struct epc_wheel *w)
{
    unsigned level;
    size_t slot;
    uint64_t at;
    return nearest(w, &level, &slot, &at) ? at : UINT64_MAX;
}

/* Take a slot's timers, oldest first (slots are filled at the head). */
static struct epc_timer *take_reversed(struct epc_timer **head)
{
    struct epc_timer *out = NULL;
    while (*head) {
        struct epc_timer *t = *head;
        epc_wheel_del(t);
        t->_next = out;
        out = t;
    }
    return out;
}

static void fire(struct epc_wheel *w)
{
    while (w->due) {
        struct epc_timer *t = w->due;
        epc_wheel_del(t); /* before the call: it may restart or free its timer */
        t->fn(t->arg);
    }
}

void epc_wheel_advance(struct epc_wheel *w, uint64_t now)
{
    unsigned level;
    size_t slot;
    uint64_t at;
    while (nearest(w, &level, &slot, &at) && at <= now) {
        struct epc_timer *list = take_reversed(&w->slot[level][slot]);
        struct epc_timer **due_tail = &w->due;
        w->used[level] &= ~(1ULL << slot);
        w->now = at;
        while (list) {
            struct epc_timer *t = list;
            list = t->_next;
            t->_next = NULL;
            if (t->_at_ms > at) {
                epc_wheel_add(w, t);
            } else {
                push(due_tail, t);
                due_tail = &t->_next;
            }
        }
        fire(w);
    }
    if (now > w->now)
        w->now = now;
}
