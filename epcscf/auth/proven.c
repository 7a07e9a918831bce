/* Signatures that have held already. A WIC shows the same token in every refresh, and the asymmetric
 * check is the dearest step of all; what else there is to a token (times, revocation, WWSF, identities)
 * is looked at anew each time. An entry counts for the key set that it was proven with, and no longer. */
#include "auth/auth_priv.h"

#include <stdlib.h>
#include <string.h>

struct proven {
    struct epc_hnode node;
    struct proven *next;
    unsigned char digest[EPC_TOKEN_DIGEST_OCTETS];
    const struct epc_source *source;
    uint64_t generation; /* of the source's keys */
    uint64_t until_s;    /* exp: after it the claims refuse the token anyhow */
};

static bool proven_eq(const struct epc_hnode *node, const void *key)
{
    return memcmp(EPC_CONTAINER(node, const struct proven, node)->digest, key, EPC_TOKEN_DIGEST_OCTETS) == 0;
}

/* The digest is a hash already, and of what nobody can aim. */
static uint64_t slot_of(const unsigned char *digest)
{
    uint64_t h;
    memcpy(&h, digest, sizeof h);
    return epc_hash_u64(h);
}

enum epc_err epc_proven_init(struct epc_proven *p)
{
    p->last = &p->first;
    return epc_hash_init(&p->by_digest, proven_eq);
}

static void drop_first(struct epc_proven *p)
{
    struct proven *e = p->first;
    p->first = e->next;
    if (!p->first)
        p->last = &p->first;
    epc_hash_del(&p->by_digest, &e->node);
    free(e);
}

void epc_proven_clear(struct epc_proven *p)
{
    while (p->first)
        drop_first(p);
    epc_hash_free(&p->by_digest);
}

bool epc_proven_has(const struct epc_proven *p, const struct epc_source *s,
                    const unsigned char digest[EPC_TOKEN_DIGEST_OCTETS])
{
    const struct epc_hnode *n = epc_hash_find(&p->by_digest, slot_of(digest), digest);
    const struct proven *e = n ? EPC_CONTAINER(n, const struct proven, node) : NULL;
    return e && e->source == s && e->generation == s->generation;
}

void epc_proven_add(struct epc_proven *p, const struct epc_source *s,
                    const unsigned char digest[EPC_TOKEN_DIGEST_OCTETS], uint64_t until_s, uint64_t now_s)
{
    struct epc_hnode *n = epc_hash_find(&p->by_digest, slot_of(digest), digest);
    struct proven *e = n ? EPC_CONTAINER(n, struct proven, node) : NULL;
    /* Two steps back for each step on: what is over goes as fast as it comes. */
    for (int i = 0; i < 2 && p->first && p->first != e && p->first->until_s <= now_s; i++)
        drop_first(p);
    if (!e) {
        if (p->by_digest.n_items >= EPC_PROVEN_MAX)
            drop_first(p);
        e = calloc(1, sizeof *e);
        if (!e)
            return; /* it will be proven again */
        memcpy(e->digest, digest, EPC_TOKEN_DIGEST_OCTETS);
        epc_hash_add(&p->by_digest, &e->node, slot_of(digest));
        *p->last = e;
        p->last = &e->next;
    }
    e->source = s;
    e->generation = s->generation;
    e->until_s = until_s;
}
