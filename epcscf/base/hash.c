/* Linear hashing: the table grows by one bucket for each item added beyond the load limit, so that
 * no single insert pays for moving everything. The slots come in segments: a small table doubles its only
 * one, a large table gets one more. */
#include "base/base.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 16, SEGMENT = 4096 };

static uint64_t seed[2];
static pthread_once_t seeded = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
    epc_random(seed, sizeof seed);
}

static uint64_t rotl(uint64_t v, int by)
{
    return (v << by) | (v >> (64 - by));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotl(v[1], 13) ^ v[0], v[0] = rotl(v[0], 32);
    v[2] += v[3], v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotl(v[1], 17) ^ v[2], v[2] = rotl(v[2], 32);
}

/* SipHash-1-3 with a random key: keys that come from peers cannot be chosen to collide. */
uint64_t epc_hash_bytes(const void *p, size_t n)
{
    pthread_once(&seeded, make_seed);
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du,
                     seed[0] ^ 0x6c7967656e657261u, seed[1] ^ 0x7465646279746573u};
    const unsigned char *c = p;
    uint64_t m, tail = (uint64_t)n << 56;
    size_t left = n;
    for (; left >= 8; left -= 8, c += 8) {
        memcpy(&m, c, 8);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    for (size_t i = 0; i < left; i++)
        tail |= (uint64_t)c[i] << (8 * i);
    v[3] ^= tail;
    sip_round(v);
    v[0] ^= tail;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t epc_hash_u64(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdu;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53u;
    return x ^ (x >> 33);
}

static struct epc_hnode **at(const struct epc_hash *h, size_t i)
{
    return &h->slot[i / SEGMENT][i % SEGMENT];
}

enum epc_err epc_hash_init(struct epc_hash *h, epc_hash_eq_fn *eq)
{
    *h = (struct epc_hash){.n_slots = FIRST_SLOTS, .base = FIRST_SLOTS, .room = 1, .eq = eq};
    h->slot = calloc(1, sizeof *h->slot);
    if (h->slot)
        h->slot[0] = calloc(FIRST_SLOTS, sizeof **h->slot);
    if (h->slot && h->slot[0])
        return EPC_OK;
    free(h->slot);
    h->slot = NULL;
    return EPC_ENOMEM;
}

void epc_hash_free(struct epc_hash *h)
{
    for (size_t i = 0; h->slot && i * SEGMENT < h->n_slots; i++)
        free(h->slot[i]);
    free(h->slot);
    *h = (struct epc_hash){0};
}

static size_t place(const struct epc_hash *h, uint64_t hash)
{
    size_t i = (size_t)(hash & (h->base - 1));
    return i < h->split ? (size_t)(hash & (h->base * 2 - 1)) : i;
}

static bool double_segment(struct epc_hash *h)
{
    struct epc_hnode **grown = realloc(h->slot[0], 2 * h->n_slots * sizeof *grown);
    if (!grown)
        return false;
    memset(grown + h->n_slots, 0, h->n_slots * sizeof *grown);
    h->slot[0] = grown;
    h->n_slots *= 2;
    return true;
}

static bool add_segment(struct epc_hash *h)
{
    size_t n = h->n_slots / SEGMENT;
    if (n == h->room) {
        struct epc_hnode ***grown = realloc(h->slot, 2 * h->room * sizeof *grown);
        if (!grown)
            return false;
        h->slot = grown;
        h->room *= 2;
    }
    h->slot[n] = calloc(SEGMENT, sizeof **h->slot);
    if (!h->slot[n])
        return false;
    h->n_slots += SEGMENT;
    return true;
}

static void split_one(struct epc_hash *h)
{
    if (h->base + h->split >= h->n_slots && !(h->n_slots < SEGMENT ? double_segment(h) : add_segment(h)))
        return;
    struct epc_hnode *node = *at(h, h->split);
    *at(h, h->split) = NULL;
    h->split++;
    while (node) {
        struct epc_hnode *next = node->next;
        size_t i = (size_t)(node->hash & (h->base * 2 - 1));
        node->next = *at(h, i);
        *at(h, i) = node;
        node = next;
    }
    if (h->split == h->base) {
        h->base *= 2;
        h->split = 0;
    }
}

void epc_hash_add(struct epc_hash *h, struct epc_hnode *node, uint64_t hash)
{
    node->hash = hash;
    struct epc_hnode **first = at(h, place(h, hash));
    node->next = *first;
    *first = node;
    h->n_items++;
    if (h->n_items > h->base + h->split)
        split_one(h);
}

struct epc_hnode *epc_hash_find(const struct epc_hash *h, uint64_t hash, const void *key)
{
    for (struct epc_hnode *n = *at(h, place(h, hash)); n; n = n->next)
        if (n->hash == hash && h->eq(n, key))
            return n;
    return NULL;
}

void epc_hash_del(struct epc_hash *h, struct epc_hnode *node)
{
    struct epc_hnode **link = at(h, place(h, node->hash));
    while (*link && *link != node)
        link = &(*link)->next;
    if (*link) {
        *link = node->next;
        node->next = NULL;
        h->n_items--;
    }
}

void epc_hash_each(struct epc_hash *h, void (*fn)(struct epc_hnode *node, void *arg), void *arg)
{
    for (size_t i = 0; i < h->base + h->split; i++)
        for (struct epc_hnode *n = *at(h, i), *next; n; n = next) {
            next = n->next;
            fn(n, arg);
        }
}
