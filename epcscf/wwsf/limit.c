/* Attempts at passwords, limited by token buckets: one for each source, one for each account, so that
 * nobody guesses, alone or with many addresses, and one for all, so that hashing never takes the whole
 * machine. An account's bucket is wider: who knows the name must not easily keep its user out. */
#include "wwsf/wwsf_priv.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* A bucket holds this many attempts and gains one in this time. */
enum { ALL_BURST = 60, ALL_GAIN_MS = 100, KEY_OCTETS = 17 };
struct rate {
    uint64_t burst, gain_ms;
};
static const struct rate rates[] = {
    ['4'] = {10, 6000},   ['6'] = {10, 6000},  /* an IPv4 address, an IPv6 /64 */
    ['g'] = {10, 30000},  ['G'] = {10, 30000}, /* the same, for guests: each takes an identity away */
    ['a'] = {20, 15000},                       /* an account */
};

struct bucket {
    uint64_t credit_ms; /* attempts left, in the time that it takes to gain them */
    uint64_t at_ms;
};

struct source { /* or account */
    struct epc_hnode node;
    struct source *newer, *older; /* by last attempt */
    unsigned char key[KEY_OCTETS]; /* the first: index of rates */
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
    return memcmp(EPC_CONTAINER(node, const struct source, node)->key, key, KEY_OCTETS) == 0;
}

enum epc_err epc_limits_create(struct epc_limits **out, size_t max)
{
    struct epc_limits *l = calloc(1, sizeof *l);
    if (!l || epc_hash_init(&l->by_key, key_eq) != EPC_OK) {
        free(l);
        return EPC_ENOMEM;
    }
    l->max = max > 1 ? max : 2; /* both that one attempt needs */
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
static void source_key(const struct epc_addr *a, bool guest, unsigned char key[KEY_OCTETS])
{
    memset(key, 0, KEY_OCTETS);
    if (a->ss.ss_family == AF_INET6) {
        key[0] = guest ? 'G' : '6';
        memcpy(key + 1, &((const struct sockaddr_in6 *)&a->ss)->sin6_addr, 8);
    } else {
        key[0] = guest ? 'g' : '4';
        memcpy(key + 1, &((const struct sockaddr_in *)&a->ss)->sin_addr, 4);
    }
}

/* Names of any length, and a flood of names that do not exist, take the same room as an address. */
static void account_key(struct epc_str account, unsigned char key[KEY_OCTETS])
{
    uint64_t h = epc_hash_bytes(account.p, account.n);
    memset(key, 0, KEY_OCTETS);
    key[0] = 'a';
    memcpy(key + 1, &h, sizeof h);
}

static struct source *find(const struct epc_limits *l, const unsigned char key[KEY_OCTETS])
{
    struct epc_hnode *node = epc_hash_find(&l->by_key, epc_hash_bytes(key, KEY_OCTETS), key);
    return node ? EPC_CONTAINER(node, struct source, node) : NULL;
}

static struct source *find_or_add(struct epc_limits *l, const unsigned char key[KEY_OCTETS], uint64_t now_ms)
{
    const struct rate *r = &rates[key[0]];
    struct source *s = find(l, key);
    if (s) {
        unlink_source(l, s);
    } else {
        if (l->by_key.n_items >= l->max)
            drop_oldest(l);
        s = calloc(1, sizeof *s);
        if (!s)
            return NULL;
        memcpy(s->key, key, KEY_OCTETS);
        s->bucket = (struct bucket){r->burst * r->gain_ms, now_ms};
        epc_hash_add(&l->by_key, &s->node, epc_hash_bytes(key, KEY_OCTETS));
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

static uint64_t longer(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

unsigned epc_limits_take(struct epc_limits *l, const struct epc_addr *source, struct epc_str account,
                         uint64_t now_ms)
{
    unsigned char key[2][KEY_OCTETS];
    struct source *s[2] = {NULL, NULL};
    size_t n = account.n ? 2 : 1;
    uint64_t wait = fill(&l->all, now_ms, ALL_BURST, ALL_GAIN_MS);
    source_key(source, account.n == 0, key[0]);
    account_key(account, key[1]);
    for (size_t i = 0; i < n; i++) {
        s[i] = find_or_add(l, key[i], now_ms);
        if (!s[i])
            return 1;
        const struct rate *r = &rates[key[i][0]];
        wait = longer(wait, fill(&s[i]->bucket, now_ms, r->burst, r->gain_ms));
    }
    if (wait)
        return (unsigned)((wait + 999) / 1000);
    for (size_t i = 0; i < n; i++)
        s[i]->bucket.credit_ms -= rates[key[i][0]].gain_ms;
    l->all.credit_ms -= ALL_GAIN_MS;
    return 0;
}

void epc_limits_forgive(struct epc_limits *l, const struct epc_addr *source, struct epc_str account)
{
    unsigned char key[2][KEY_OCTETS];
    source_key(source, account.n == 0, key[0]);
    account_key(account, key[1]);
    for (size_t i = 0; i < (account.n ? 2 : 1); i++) {
        struct source *s = find(l, key[i]);
        if (s)
            s->bucket.credit_ms += rates[key[i][0]].gain_ms;
    }
}
