/* Which tokens are withdrawn before they expire. An entry for each IMPI, in the order of revocation, so
 * that the oldest are first when the table is full or when they are over. */
#include "auth/auth_priv.h"

#include <stdlib.h>
#include <string.h>

struct revoked {
    struct epc_hnode node;
    struct revoked *next;
    uint64_t before_s, until_s;
    char impi[];
};

static bool same_impi(const struct epc_hnode *node, const void *key)
{
    return strcmp(EPC_CONTAINER(node, const struct revoked, node)->impi, key) == 0;
}

enum epc_err epc_revocations_init(struct epc_revocations *r)
{
    *r = (struct epc_revocations){.last = &r->first};
    return epc_hash_init(&r->by_impi, same_impi);
}

static void drop_first(struct epc_revocations *r)
{
    struct revoked *e = r->first;
    epc_hash_del(&r->by_impi, &e->node);
    r->first = e->next;
    if (!r->first)
        r->last = &r->first;
    free(e);
}

void epc_revocations_clear(struct epc_revocations *r)
{
    while (r->first)
        drop_first(r);
    epc_hash_free(&r->by_impi);
}

/* What is dropped early goes on for everybody: rather a new log-in too many than a token too many. */
static void make_room(struct epc_revocations *r, uint64_t now_s)
{
    while (r->first && (r->first->until_s <= now_s || r->by_impi.n_items >= EPC_REVOKED_MAX)) {
        if (r->first->until_s > now_s) {
            if (r->first->before_s > r->all_before_s)
                r->all_before_s = r->first->before_s;
            epc_log(EPC_LOG_WARN, "auth",
                    "event=revocations_full limit=%d reason=\"all older tokens are refused\"",
                    EPC_REVOKED_MAX);
        }
        drop_first(r);
    }
}

void epc_revocations_add(struct epc_revocations *r, const char *impi, uint64_t before_s,
                         uint64_t keep_s, uint64_t now_s)
{
    uint64_t hash = epc_hash_bytes(impi, strlen(impi));
    struct epc_hnode *node = epc_hash_find(&r->by_impi, hash, impi);
    if (node) {
        struct revoked *have = EPC_CONTAINER(node, struct revoked, node);
        if (before_s > have->before_s)
            have->before_s = before_s;
        if (have->before_s + keep_s > have->until_s)
            have->until_s = have->before_s + keep_s;
        return;
    }
    make_room(r, now_s);
    struct revoked *e = calloc(1, sizeof *e + strlen(impi) + 1);
    if (!e) {
        if (before_s > r->all_before_s)
            r->all_before_s = before_s;
        epc_log(EPC_LOG_ERROR, "auth", "event=revocation reason=\"out of memory: all older tokens are refused\"");
        return;
    }
    memcpy(e->impi, impi, strlen(impi) + 1);
    e->before_s = before_s;
    e->until_s = before_s + keep_s;
    epc_hash_add(&r->by_impi, &e->node, hash);
    *r->last = e;
    r->last = &e->next;
}

bool epc_revocations_cover(const struct epc_revocations *r, const char *impi, uint64_t issued_at_s,
                           uint64_t now_s)
{
    if (r->all_before_s && issued_at_s <= r->all_before_s)
        return true;
    if (!r->first)
        return false;
    struct epc_hnode *node = epc_hash_find(&r->by_impi, epc_hash_bytes(impi, strlen(impi)), impi);
    const struct revoked *e = node ? EPC_CONTAINER(node, const struct revoked, node) : NULL;
    return e && e->until_s > now_s && issued_at_s <= e->before_s;
}
