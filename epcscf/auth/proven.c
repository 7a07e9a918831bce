/* Tokens that have been found good already. A WIC shows the same one in every refresh, and the asymmetric
 * check is the dearest step of all. An entry counts for the key set that it was proven with, and no longer;
 * on a connection of another Origin all but the signature is judged anew. */
#include "auth/auth_priv.h"

#include <stdlib.h>
#include <string.h>

struct proven {
    struct epc_hnode node;
    struct proven *next, **prev;
    unsigned char digest[EPC_TOKEN_DIGEST_OCTETS];
    const struct epc_source *source;
    uint64_t generation; /* of the source's keys */
    const struct epc_cfg_origin *origin;
    struct epc_identity *id;
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

static void drop(struct epc_proven *p, struct proven *e)
{
    *e->prev = e->next;
    if (e->next)
        e->next->prev = e->prev;
    else
        p->last = e->prev;
    epc_hash_del(&p->by_digest, &e->node);
    e->id->proven = NULL;
    epc_identity_free(e->id);
    free(e);
}

void epc_proven_drop(struct epc_proven *p, struct epc_identity *id)
{
    if (id->proven)
        drop(p, id->proven);
}

void epc_proven_clear(struct epc_proven *p)
{
    while (p->first)
        drop(p, p->first);
    epc_hash_free(&p->by_digest);
}

static struct proven *find(const struct epc_proven *p, const unsigned char *digest)
{
    struct epc_hnode *n = epc_hash_find(&p->by_digest, slot_of(digest), digest);
    return n ? EPC_CONTAINER(n, struct proven, node) : NULL;
}

bool epc_proven_has(const struct epc_proven *p, const struct epc_source *s,
                    const unsigned char digest[EPC_TOKEN_DIGEST_OCTETS])
{
    const struct proven *e = find(p, digest);
    return e && e->source == s && e->generation == s->generation;
}

struct epc_identity *epc_proven_identity(const struct epc_proven *p, const struct epc_cfg_origin *origin,
                                         const unsigned char digest[EPC_TOKEN_DIGEST_OCTETS], uint64_t now_s)
{
    const struct proven *e = find(p, digest);
    if (!e || e->generation != e->source->generation || e->origin != origin ||
        now_s >= e->id->expires_at_s + e->source->is->skew_s)
        return NULL;
    return e->id;
}

void epc_proven_add(struct epc_proven *p, const struct epc_source *s, const struct epc_cfg_origin *origin,
                    const unsigned char digest[EPC_TOKEN_DIGEST_OCTETS], struct epc_identity *id, uint64_t now_s)
{
    struct proven *e = find(p, digest);
    /* Two steps back for each step on: what is over goes as fast as it comes. */
    for (int i = 0; i < 2 && p->first && p->first != e && p->first->id->expires_at_s + s->is->skew_s <= now_s; i++)
        drop(p, p->first);
    if (!e) {
        if (p->by_digest.n_items >= EPC_PROVEN_MAX)
            drop(p, p->first);
        e = calloc(1, sizeof *e);
        if (!e)
            return; /* it will be proven again */
        memcpy(e->digest, digest, EPC_TOKEN_DIGEST_OCTETS);
        epc_hash_add(&p->by_digest, &e->node, slot_of(digest));
        e->prev = p->last;
        *p->last = e;
        p->last = &e->next;
    }
    epc_identity_share(id);
    if (e->id)
        e->id->proven = NULL;
    epc_identity_free(e->id);
    id->proven = e;
    e->source = s;
    e->generation = s->generation;
    e->origin = origin;
    e->id = id;
}
