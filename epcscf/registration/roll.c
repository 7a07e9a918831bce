/* The home shard's list of one IMPI's registrations (RFC 5626 6, TS 24.229 5.2.2). */
#include "registration/roll_priv.h"

#include <stdlib.h>
#include <string.h>

static bool user_eq(const struct epc_hnode *node, const void *key)
{
    return strcmp(EPC_CONTAINER(node, const struct roll_user, by_impi)->impi, key) == 0;
}

static uint64_t text_hash(const char *s)
{
    return epc_hash_bytes(s, strlen(s));
}

struct roll_user *roll_user_find(const struct epc_reg *r, const char *impi)
{
    struct epc_hnode *n = epc_hash_find(&r->roll->users, text_hash(impi), impi);
    return n ? EPC_CONTAINER(n, struct roll_user, by_impi) : NULL;
}

static void advance(struct roll_user *u);

static struct roll_user *user_get(struct epc_reg *r, const char *impi)
{
    struct roll_user *u = roll_user_find(r, impi);
    if (u)
        return u;
    u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    u->r = r;
    u->impi = epc_str_dup(epc_str_c(impi));
    if (!u->impi) {
        free(u);
        return NULL;
    }
    epc_hash_add(&r->roll->users, &u->by_impi, text_hash(impi));
    return u;
}

static void free_entry(struct roll_entry *e)
{
    for (size_t i = 0; i < e->n_aors; i++)
        free(e->aors[i]);
    free(e->aors);
    free(e->key);
    free(e->contact);
    free(e->path);
    free(e);
}

static void free_user(struct roll_user *u)
{
    epc_hash_del(&u->r->roll->users, &u->by_impi);
    while (u->entries) {
        struct roll_entry *e = u->entries;
        u->entries = e->next;
        free_entry(e);
    }
    free(u->impi);
    free(u->aor);
    free(u);
}

void roll_hold(struct roll_user *u)
{
    u->held++;
}

/* The list may be walked and changed in peace while it is held: who may go on, and whether the
 * subscription is wanted, is seen to by the last one to let go. */
void roll_let_go(struct roll_user *u)
{
    if (u->held == 1) {
        advance(u);
        reg_sub_update(u);
    }
    if (--u->held == 0 && !u->entries && !u->sub)
        free_user(u);
}

static struct roll_entry *entry_find(const struct roll_user *u, unsigned shard, uint64_t flow_id,
                                     const char *key)
{
    for (struct roll_entry *e = u->entries; e; e = e->next) {
        if (e->shard == shard && e->flow_id == flow_id && strcmp(e->key, key) == 0)
            return e;
    }
    return NULL;
}

/* ---- claims --------------------------------------------------------------------------------- */

static void say(struct epc_reg *r, unsigned shard, const char *impi, uint64_t claim_id, int status,
                unsigned target)
{
    struct reg_msg *v = reg_msg_new(REG_MSG_VERDICT, impi, NULL);
    if (!v)
        return; /* the WIC's transaction ends by its own timer */
    v->claim_id = claim_id;
    v->number = (uint64_t)status;
    v->target = target;
    (void)reg_send(r, shard, v);
}

/* Must @p e end before @p claim may go on? The same key: the core would take our de-registration of
 * the older binding for one of the new. A pool's identity has one user at a time (TS 33.203 X.4.1). */
static bool stands_in_the_way(const struct roll_entry *e, const struct roll_entry *claim)
{
    if (e == claim || e->stage == ROLL_WAITING)
        return false;
    if (claim->pool)
        return e->flow_id != claim->flow_id;
    return claim->proven && e->shard != claim->shard && strcmp(e->key, claim->key) == 0;
}

static struct roll_entry *first_in_the_way(const struct roll_user *u, const struct roll_entry *claim,
                                           bool told)
{
    for (struct roll_entry *e = u->entries; e; e = e->next) {
        if ((told || !e->ending) && stands_in_the_way(e, claim))
            return e;
    }
    return NULL;
}

/* False: its shard is stopping, and the flow with it. */
static bool tell_to_end(struct roll_entry *e, const struct roll_entry *by)
{
    struct reg_msg *m = reg_msg_new(REG_MSG_END, e->user->impi, e->key);
    if (!m)
        return false;
    e->ending = true;
    m->flow_id = e->flow_id;
    m->same_key = !by->pool && strcmp(by->key, e->key) == 0;
    return reg_send(e->user->r, e->shard, m);
}

/* Waiting claims whose turn has come go on. */
static void advance(struct roll_user *u)
{
    for (struct roll_entry *e = u->entries; e;) {
        if (e->stage != ROLL_WAITING || first_in_the_way(u, e, true)) {
            e = e->next;
            continue;
        }
        e->stage = ROLL_CLAIMED;
        say(u->r, e->shard, u->impi, e->claim_id, 0, e->shard);
        e = u->entries; /* the verdict may have changed the list */
    }
}

static void remove_entry(struct roll_entry *gone)
{
    struct roll_user *u = gone->user;
    struct roll_entry **at = &u->entries;
    roll_hold(u);
    while (*at && *at != gone)
        at = &(*at)->next;
    if (*at)
        *at = gone->next;
    free_entry(gone);
    roll_let_go(u);
}

/* Status to answer the claim with, or 0; the shard that holds the same key already in @p target. */
static int judge(const struct roll_user *u, const struct reg_msg *m, unsigned *target)
{
    uint32_t max = u->r->cfg->registration.max_flows_per_identity;
    uint32_t others = 0;
    *target = m->from;
    for (const struct roll_entry *e = u->entries; e; e = e->next) {
        bool same_key = strcmp(e->key, m->key) == 0, same_flow = e->flow_id == m->flow_id;
        if (same_flow)
            continue;
        if (m->pool && e->stage != ROLL_BOUND)
            return 503; /* another one is taking it at this moment */
        if (!m->pool && !m->fixed && same_key && e->shard != m->from && !e->ending)
            *target = e->shard;
        if (!same_key && (e->stage == ROLL_BOUND || e->proven))
            others++;
    }
    return !m->pool && max && others >= max ? 403 : 0;
}

static struct roll_entry *add_entry(struct roll_user *u, const struct reg_msg *m)
{
    struct roll_entry *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    *e = (struct roll_entry){.next = u->entries, .user = u, .flow_id = m->flow_id,
                             .claim_id = m->claim_id, .shard = m->from, .pool = m->pool,
                             .proven = m->proven, .key = epc_str_dup(epc_str_c(m->key))};
    if (!e->key) {
        free(e);
        return NULL;
    }
    u->entries = e;
    return e;
}

static void make_room(struct roll_user *u, const struct roll_entry *claim)
{
    struct roll_entry *e;
    while ((e = first_in_the_way(u, claim, false))) {
        if (!tell_to_end(e, claim))
            remove_entry(e);
    }
}

void roll_on_claim(struct epc_reg *r, const struct reg_msg *m)
{
    struct roll_user *u = user_get(r, m->impi);
    unsigned target = m->from;
    int status = u ? judge(u, m, &target) : 500;
    struct roll_entry *e = NULL;
    if (u)
        roll_hold(u);
    if (status == 0 && target == m->from && !(e = add_entry(u, m)))
        status = 500;
    if (e)
        make_room(u, e);
    else
        say(r, m->from, m->impi, m->claim_id, status, target);
    if (u)
        roll_let_go(u);
}

void roll_on_release(struct epc_reg *r, const struct reg_msg *m)
{
    struct roll_user *u = roll_user_find(r, m->impi);
    struct roll_entry *e = u ? entry_find(u, m->from, m->flow_id, m->key) : NULL;
    if (e && e->claim_id == m->claim_id && e->stage != ROLL_BOUND)
        remove_entry(e);
}

/* ---- bindings ------------------------------------------------------------------------------- */

static struct roll_entry *first_rival(const struct roll_user *u, const struct roll_entry *bound)
{
    for (struct roll_entry *e = u->entries; e; e = e->next) {
        if (e == bound || e->stage != ROLL_BOUND || e->ending)
            continue;
        if (strcmp(e->key, bound->key) == 0 ? e->shard != bound->shard
                                            : bound->pool && e->flow_id != bound->flow_id)
            return e;
    }
    return NULL;
}

/* What had this key or this identity before and did not have to end first ends now. */
static void end_rivals(struct roll_user *u, const struct roll_entry *bound)
{
    struct roll_entry *e;
    while ((e = first_rival(u, bound))) {
        if (!tell_to_end(e, bound))
            remove_entry(e);
    }
}

static void set_text(char **at, const char *value)
{
    char *copy = value ? epc_str_dup(epc_str_c(value)) : NULL;
    if (copy) {
        free(*at);
        *at = copy;
    }
}

/* On one flow there is one binding: another key on it has taken the older one's place. */
static void drop_others_of_flow(struct roll_user *u, const struct roll_entry *bound)
{
    for (struct roll_entry **at = &u->entries; *at;) {
        struct roll_entry *e = *at;
        if (e == bound || e->flow_id != bound->flow_id || e->stage != ROLL_BOUND) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        free_entry(e);
    }
}

void roll_on_bound(struct epc_reg *r, const struct reg_msg *m)
{
    struct roll_user *u = user_get(r, m->impi);
    struct roll_entry *e = u ? entry_find(u, m->from, m->flow_id, m->key) : NULL;
    bool unclaimed = !e;
    if (u)
        roll_hold(u);
    if (u && !e)
        e = add_entry(u, m);
    if (!e) {
        epc_log(EPC_LOG_ERROR, "registration", "event=roll_incomplete flow=%llx reason=\"out of memory\"",
                (unsigned long long)m->flow_id);
        if (u)
            roll_let_go(u);
        return;
    }
    e->stage = ROLL_BOUND;
    set_text(&e->contact, m->uri);
    set_text(&e->path, m->path);
    set_text(&u->aor, m->aor);
    drop_others_of_flow(u, e);
    /* Its place was given to another while its REGISTER was still at the core. */
    bool late = false;
    for (const struct roll_entry *o = u->entries; unclaimed && o; o = o->next)
        late = late || (o != e && (o->pool || (strcmp(o->key, e->key) == 0 && o->shard != e->shard)));
    if (late && !tell_to_end(e, e))
        remove_entry(e);
    else if (!late)
        end_rivals(u, e);
    roll_let_go(u);
}

void roll_on_gone(struct epc_reg *r, const struct reg_msg *m)
{
    struct roll_user *u = roll_user_find(r, m->impi);
    struct roll_entry *e = u ? entry_find(u, m->from, m->flow_id, m->key) : NULL;
    /* One that was told to end while its REGISTER is at the core loses its place at once: should the core
     * accept it yet, roll_on_bound() finds it late. */
    if (e && (e->stage == ROLL_BOUND || e->ending))
        remove_entry(e);
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool claim_id_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, const struct reg_claim, by_id)->id == *(const uint64_t *)key;
}

static bool claim_key_eq(const struct epc_hnode *node, const void *key)
{
    return strcmp(EPC_CONTAINER(node, const struct reg_claim, by_key)->key, key) == 0;
}

enum epc_err reg_roll_create(struct epc_reg *r)
{
    struct roll *roll = calloc(1, sizeof *roll);
    if (!roll)
        return EPC_ENOMEM;
    r->roll = roll;
    roll->unsent_tail = &roll->unsent;
    enum epc_err err = epc_hash_init(&roll->users, user_eq);
    if (err == EPC_OK)
        err = epc_hash_init(&roll->claims, claim_id_eq);
    if (err == EPC_OK)
        err = epc_hash_init(&roll->claims_by_key, claim_key_eq);
    if (err == EPC_OK)
        err = reg_subs_init(r);
    if (err != EPC_OK)
        reg_roll_destroy(r);
    return err;
}

static void destroy_user(struct epc_hnode *node, void *arg)
{
    struct roll_user *u = EPC_CONTAINER(node, struct roll_user, by_impi);
    (void)arg;
    reg_sub_free(u);
    free_user(u);
}

void reg_roll_destroy(struct epc_reg *r)
{
    struct roll *roll = r->roll;
    if (!roll)
        return;
    reg_msgs_free(r);
    epc_hash_each(&roll->users, destroy_user, NULL);
    epc_hash_free(&roll->users);
    epc_hash_free(&roll->claims);
    epc_hash_free(&roll->claims_by_key);
    epc_hash_free(&roll->subs);
    free(roll);
    r->roll = NULL;
}
