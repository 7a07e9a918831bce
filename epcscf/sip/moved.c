/* Flows that went on as other ones: what was written with the token of the old connection (routes of a
 * dialog, the Path at the registrar) means the connection on which the WIC is now. RFC 5626 leaves a
 * dialog to its connection; here it goes on where the same instance and reg-id registered again. */
#include "sip/sip_priv.h"

#include <stdlib.h>

/** The newest ones are kept when a flow has had more predecessors than this. */
enum { OLD_FLOWS_MAX = 16 };

struct old_flow {
    struct epc_hnode node; /* in s->moved, by old_id */
    uint64_t old_id;
    struct new_flow *now;
    struct old_flow *next; /* of the same new flow, newest first */
};

struct new_flow {
    struct epc_hnode node; /* in s->moved_to, by id */
    uint64_t id;
    struct old_flow *olds;
};

static bool old_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, struct old_flow, node)->old_id == *(const uint64_t *)key;
}

static bool new_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, struct new_flow, node)->id == *(const uint64_t *)key;
}

enum epc_err epc_sip_moved_init(struct epc_sip *s)
{
    enum epc_err err = epc_hash_init(&s->moved, old_eq);
    return err ? err : epc_hash_init(&s->moved_to, new_eq);
}

static struct old_flow *find_old(const struct epc_sip *s, uint64_t id)
{
    struct epc_hnode *n = epc_hash_find(&s->moved, epc_hash_u64(id), &id);
    return n ? EPC_CONTAINER(n, struct old_flow, node) : NULL;
}

static struct new_flow *find_new(const struct epc_sip *s, uint64_t id)
{
    struct epc_hnode *n = epc_hash_find(&s->moved_to, epc_hash_u64(id), &id);
    return n ? EPC_CONTAINER(n, struct new_flow, node) : NULL;
}

static void free_old(struct epc_sip *s, struct old_flow *o)
{
    epc_hash_del(&s->moved, &o->node);
    epc_count_add(EPC_C_SIP_FLOW_ALIASES, -1);
    free(o);
}

static void free_new(struct epc_sip *s, struct new_flow *n)
{
    epc_hash_del(&s->moved_to, &n->node);
    free(n);
}

static struct new_flow *make_new(struct epc_sip *s, uint64_t id)
{
    struct new_flow *n = find_new(s, id);
    if (n)
        return n;
    n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->id = id;
    epc_hash_add(&s->moved_to, &n->node, epc_hash_u64(id));
    return n;
}

/* All of @p from's predecessors are @p to's now: chains stay one step long. */
static void take_over(struct epc_sip *s, struct new_flow *from, struct new_flow *to)
{
    struct old_flow **end = &to->olds;
    while (*end)
        end = &(*end)->next;
    *end = from->olds;
    for (struct old_flow *o = from->olds; o; o = o->next)
        o->now = to;
    free_new(s, from);
}

static void keep_newest(struct epc_sip *s, struct new_flow *n)
{
    struct old_flow **at = &n->olds;
    for (int i = 0; *at && i < OLD_FLOWS_MAX; i++)
        at = &(*at)->next;
    struct old_flow *rest = *at, *next;
    *at = NULL;
    for (; rest; rest = next) {
        next = rest->next;
        free_old(s, rest);
    }
}

/* @p id is a connection's own again (or nobody's): it stands for no other any more. */
static void drop_old(struct epc_sip *s, uint64_t id)
{
    struct old_flow *o = find_old(s, id);
    if (!o)
        return;
    struct old_flow **at = &o->now->olds;
    while (*at != o)
        at = &(*at)->next;
    *at = o->next;
    if (!o->now->olds)
        free_new(s, o->now);
    free_old(s, o);
}

void epc_sip_flow_moved(struct epc_sip *s, uint64_t old_flow_id, uint64_t new_flow_id)
{
    EPC_ASSERT_OWNER(s->sh);
    if (old_flow_id == new_flow_id)
        return;
    /* A WIC may go back and forth between two open connections. */
    drop_old(s, new_flow_id);
    drop_old(s, old_flow_id);
    struct old_flow *o = calloc(1, sizeof *o);
    struct new_flow *to = o ? make_new(s, new_flow_id) : NULL;
    if (!to) {
        free(o);
        epc_log(EPC_LOG_ERROR, "sip", "event=out-of-memory what=\"flow moved\" flow=%llx",
                (unsigned long long)new_flow_id);
        return;
    }
    *o = (struct old_flow){.old_id = old_flow_id, .now = to, .next = to->olds};
    to->olds = o;
    epc_hash_add(&s->moved, &o->node, epc_hash_u64(old_flow_id));
    epc_count(EPC_C_SIP_FLOW_ALIASES);
    struct new_flow *from = find_new(s, old_flow_id);
    if (from)
        take_over(s, from, to);
    keep_newest(s, to);
}

uint64_t epc_sip_flow_now(const struct epc_sip *s, uint64_t flow_id)
{
    const struct old_flow *o = find_old(s, flow_id);
    return o ? o->now->id : flow_id;
}

void epc_sip_flow_forget(struct epc_sip *s, uint64_t flow_id)
{
    EPC_ASSERT_OWNER(s->sh);
    struct new_flow *n = find_new(s, flow_id);
    if (!n)
        return;
    for (struct old_flow *o = n->olds, *next; o; o = next) {
        next = o->next;
        free_old(s, o);
    }
    free_new(s, n);
}

static void forget_one(struct epc_hnode *node, void *arg)
{
    epc_sip_flow_forget(arg, EPC_CONTAINER(node, struct new_flow, node)->id);
}

void epc_sip_moved_free(struct epc_sip *s)
{
    if (s->moved_to.slot)
        epc_hash_each(&s->moved_to, forget_one, s);
    epc_hash_free(&s->moved_to);
    epc_hash_free(&s->moved);
}
