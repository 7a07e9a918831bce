/* Bump allocator: a parsed message is many small arrays with one lifetime. */
#include "base/base.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_OCTETS = 1024 - 64, MAX_OCTETS = 8192 - 64 }; /* of a chunk; it grows with what is in use */

struct epc_arena_chunk {
    struct epc_arena_chunk *next;
    size_t used, size;
    alignas(max_align_t) char mem[];
};

static struct epc_arena_chunk *add_chunk(struct epc_arena *a, size_t room)
{
    struct epc_arena_chunk *c = malloc(sizeof *c + room);
    if (!c)
        return NULL;
    c->next = a->head;
    c->used = 0;
    c->size = room;
    a->head = c;
    return c;
}

void epc_arena_expect(struct epc_arena *a, size_t octets)
{
    if (!a->head && octets > FIRST_OCTETS)
        (void)!add_chunk(a, octets); /* epc_arena_get() tries again */
}

void *epc_arena_get(struct epc_arena *a, size_t n, size_t size)
{
    if (n == 0 || size == 0 || n > SIZE_MAX / 2 / size)
        return NULL;
    size_t need = (n * size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    struct epc_arena_chunk *c = a->head;
    if (!c || c->size - c->used < need) {
        size_t room = !c ? FIRST_OCTETS : c->size < MAX_OCTETS / 2 ? c->size * 2 : MAX_OCTETS;
        if (room < need)
            room = need;
        c = add_chunk(a, room);
        if (!c)
            return NULL;
    }
    void *p = c->mem + c->used;
    c->used += need;
    memset(p, 0, need);
    return p;
}

void epc_arena_free(struct epc_arena *a)
{
    if (!a)
        return;
    for (struct epc_arena_chunk *c = a->head; c;) {
        struct epc_arena_chunk *next = c->next;
        free(c);
        c = next;
    }
    free(a);
}
