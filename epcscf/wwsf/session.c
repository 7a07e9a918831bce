/* Log-in sessions: random ids in a cookie, the user's name behind them, in memory only. */
#include "wwsf/wwsf_priv.h"

#include <stdlib.h>
#include <string.h>

#define IDLE_MS ((uint64_t)12 * 3600 * 1000)
#define LIFE_MS ((uint64_t)7 * 24 * 3600 * 1000)

struct login {
    struct epc_hnode node;
    struct login *newer, *older; /* by last use */
    char id[EPC_SESSION_ID_LEN + 1];
    uint64_t idle_end_ms, end_ms;
    char user[];
};

struct epc_logins {
    struct epc_hash by_id;
    struct login *newest, *oldest;
    size_t max;
};

static bool id_eq(const struct epc_hnode *node, const void *key)
{
    const struct epc_str *id = key;
    return epc_str_eqc(*id, EPC_CONTAINER(node, const struct login, node)->id);
}

enum epc_err epc_logins_create(struct epc_logins **out, size_t max)
{
    struct epc_logins *l = calloc(1, sizeof *l);
    if (!l || epc_hash_init(&l->by_id, id_eq) != EPC_OK) {
        free(l);
        return EPC_ENOMEM;
    }
    l->max = max;
    *out = l;
    return EPC_OK;
}

static void unlink_login(struct epc_logins *l, struct login *s)
{
    *(s->newer ? &s->newer->older : &l->newest) = s->older;
    *(s->older ? &s->older->newer : &l->oldest) = s->newer;
}

static void link_newest(struct epc_logins *l, struct login *s)
{
    s->newer = NULL;
    s->older = l->newest;
    *(l->newest ? &l->newest->newer : &l->oldest) = s;
    l->newest = s;
}

static void drop(struct epc_logins *l, struct login *s)
{
    unlink_login(l, s);
    epc_hash_del(&l->by_id, &s->node);
    free(s);
}

void epc_logins_destroy(struct epc_logins *l)
{
    if (!l)
        return;
    while (l->oldest)
        drop(l, l->oldest);
    epc_hash_free(&l->by_id);
    free(l);
}

enum epc_err epc_logins_add(struct epc_logins *l, const char *user, uint64_t now_ms,
                            char id[EPC_SESSION_ID_LEN + 1])
{
    size_t n = strlen(user) + 1;
    struct login *s = calloc(1, sizeof *s + n);
    if (!s)
        return EPC_ENOMEM;
    while (l->oldest && (l->by_id.n_items >= l->max || now_ms >= l->oldest->idle_end_ms))
        drop(l, l->oldest);
    memcpy(s->user, user, n);
    epc_random_hex(s->id, EPC_SESSION_ID_OCTETS);
    s->idle_end_ms = now_ms + IDLE_MS;
    s->end_ms = now_ms + LIFE_MS;
    link_newest(l, s);
    epc_hash_add(&l->by_id, &s->node, epc_hash_bytes(s->id, EPC_SESSION_ID_LEN));
    memcpy(id, s->id, sizeof s->id);
    return EPC_OK;
}

static struct login *find(const struct epc_logins *l, struct epc_str id)
{
    if (id.n != EPC_SESSION_ID_LEN)
        return NULL;
    struct epc_hnode *node = epc_hash_find(&l->by_id, epc_hash_bytes(id.p, id.n), &id);
    return node ? EPC_CONTAINER(node, struct login, node) : NULL;
}

const char *epc_logins_use(struct epc_logins *l, struct epc_str id, uint64_t now_ms)
{
    struct login *s = find(l, id);
    if (!s)
        return NULL;
    if (now_ms >= s->idle_end_ms || now_ms >= s->end_ms) {
        drop(l, s);
        return NULL;
    }
    s->idle_end_ms = now_ms + IDLE_MS;
    unlink_login(l, s);
    link_newest(l, s);
    return s->user;
}

void epc_logins_remove(struct epc_logins *l, struct epc_str id)
{
    struct login *s = find(l, id);
    if (s)
        drop(l, s);
}

size_t epc_logins_count(const struct epc_logins *l)
{
    return l->by_id.n_items;
}
