/* Attempts at passwords, limited by token buckets: one for each source, so that nobody guesses, and
 * one for all, so that the hashing never takes the whole thread. */
#include "wwsf/wwsf_priv.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* A bucket holds this many attempts and gains one in this time. */
enum { SOURCE_BURST = 10, SOURCE_GAIN_MS = 6000, ALL_BURST = 60, ALL_GAIN_MS = 100 };

struct bucket {
    uint64_t credit_ms; /* attempts left, in the time that it takes to gain them */
    uint64_t at_ms;
};

struct source {
    struct epc_hnode node;
    struct source *newer, *older; /* by last attempt */
    unsigned char key[16];
    struct bucket bucket;
};

struct epc_limits {
    struct epc_hash by_key;
    struct source *newest, *oldest;
    size_t max;
    struct bucket all;
};

static bool key_eq(const struct epc_hnode *node, const void *key)
{
    return memcmp(EPC_CONTAINER(node, const struct source, node)->key, key, 16) == 0;
}

enum epc_err epc_limits_create(struct epc_limits **out, size_t max_sources)
{
    struct epc_limits *l = calloc(1, sizeof *l);
    if (!l || epc_hash_init(&l->by_key, key_eq) != EPC_OK) {
        free(l);
        return EPC_ENOMEM;
    }
    l->max = max_sources ? max_sources : 1;
    l->all.credit_ms = (uint64_t)ALL_BURST * ALL_GAIN_MS;
    *out = l;
    return EPC_OK;
}

static void unlink_source(struct epc_limits *l, struct source *s)
{
    *(s->newer ? &s->newer->older : &l->newest) = s->older;
    *(s->older ? &s->older->newer : &l->oldest) = s->newer;
}

static void link_newest(struct epc_limits *l, struct source *s)
{
    s->newer = NULL;
    s->older = l->newest;
    *(l->newest ? &l->newest->newer : &l->oldest) = s;
    l->newest = s;
}

static void drop_oldest(struct epc_limits *l)
{
    struct source *s = l->oldest;
    unlink_source(l, s);
    epc_hash_del(&l->by_key, &s->node);
    free(s);
}

void epc_limits_destroy(struct epc_limits *l)
{
    if (!l)
        return;
    while (l->oldest)
        drop_oldest(l);
    epc_hash_free(&l->by_key);
    free(l);
}

/* An IPv4 address, or the /64 that an IPv6 host has to itself. */
static void source_key(const struct epc_addr *a, unsigned char key[16])
{
    memset(key, 0, 16);
    if (a->ss.ss_family == AF_INET6) {
        memcpy(key, &((const struct sockaddr_in6 *)&a->ss)->sin6_addr, 8);
        key[15] = 6;
    } else {
        memcpy(key, &((const struct sockaddr_in *)&a->ss)->sin_addr, 4);
        key[15] = 4;
    }
}

static struct source *find(const struct epc_limits *l, const unsigned char key[16])
{
    struct epc_hnode *node = epc_hash_find(&l->by_key, epc_hash_bytes(key, 16), key);
    return node ? EPC_CONTAINER(node, struct source, node) : NULL;
}

static struct source *find_or_add(struct epc_limits *l, const unsigned char key[16], uint64_t now_ms)
{
    struct source *s = find(l, key);
    if (s) {
        unlink_source(l, s);
    } else {
        if (l->by_key.n_items >= l->max)
            drop_oldest(l);
        s = calloc(1, sizeof *s);
        if (!s)
            return NULL;
        memcpy(s->key, key, 16);
        s->bucket = (struct bucket){(uint64_t)SOURCE_BURST * SOURCE_GAIN_MS, now_ms};
        epc_hash_add(&l->by_key, &s->node, epc_hash_bytes(key, 16));
    }
    link_newest(l, s);
    return s;
}

/* @return 0 = there is one, else milliseconds to wait */
static uint64_t fill(struct bucket *b, uint64_t now_ms, uint64_t burst, uint64_t gain_ms)
{
    if (now_ms > b->at_ms)
        b->credit_ms += now_ms - b->at_ms;
    b->at_ms = now_ms;
    if (b->credit_ms > burst * gain_ms)
        b->credit_ms = burst * gain_ms;
    return b->credit_ms >= gain_ms ? 0 : gain_ms - b->credit_ms;
}

unsigned epc_limits_take(struct epc_limits *l, const struct epc_addr *source, uint64_t now_ms)
{
    unsigned char key[16];
    source_key(source, key);
    struct source *s = find_or_add(l, key, now_ms);
    if (!s)
        return 1;
    uint64_t wait = fill(&s->bucket, now_ms, SOURCE_BURST, SOURCE_GAIN_MS);
    uint64_t wait_all = fill(&l->all, now_ms, ALL_BURST, ALL_GAIN_MS);
    if (wait_all > wait)
        wait = wait_all;
    if (wait)
        return (unsigned)((wait + 999) / 1000);
    s->bucket.credit_ms -= SOURCE_GAIN_MS;
    l->all.credit_ms -= ALL_GAIN_MS;
    return 0;
}

void epc_limits_forgive(struct epc_limits *l, const struct epc_addr *source)
{
    unsigned char key[16];
    source_key(source, key);
    struct source *s = find(l, key);
    if (s)
        s->bucket.credit_ms += SOURCE_GAIN_MS;
}
