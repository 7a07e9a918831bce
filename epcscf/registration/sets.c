/* The public identities of a binding. A WIC may register several of them over one connection, each with
 * a REGISTER of its own; with each comes its implicit registration set (TS 23.228 5.2.1a). What may be
 * asserted is the union of these sets, as the core gave them, without what a token has taken back: a
 * token says what may be *registered*, the core's sets say what may be *asserted*. An identity out of a
 * pool stands alone (TS 33.203 X.4.1). */
#include "registration/registration_priv.h"

#include <stdlib.h>
#include <string.h>

/** Separate sets on one connection; one more takes the oldest one's place. */
enum { SETS_MAX = 16, LIST_MAX = 256 };

/* ---- lists ---------------------------------------------------------------------------------- */

void reg_list_free(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

bool reg_list_add(char ***list, size_t *n, char *text)
{
    char **grown = text && *n < LIST_MAX ? realloc(*list, (*n + 2) * sizeof *grown) : NULL;
    if (!grown) {
        free(text);
        return false;
    }
    grown[(*n)++] = text;
    grown[*n] = NULL;
    *list = grown;
    return true;
}

static bool has(char *const *list, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i], text) == 0)
            return true;
    }
    return false;
}

static bool add_new(char ***list, size_t *n, const char *text)
{
    return has(*list, *n, text) || reg_list_add(list, n, epc_str_dup(epc_str_c(text)));
}

/* ---- sets ----------------------------------------------------------------------------------- */

static void free_set(struct reg_set *s)
{
    free(s->aor);
    reg_list_free(s->impus);
    *s = (struct reg_set){0};
}

void reg_sets_free(struct reg_grant *g)
{
    for (size_t i = 0; i < g->n_sets; i++)
        free_set(&g->sets[i]);
    free(g->sets);
    reg_list_free(g->impus);
    reg_list_free(g->granted);
    reg_list_free(g->taken_back);
    reg_list_free(g->lost);
}

size_t reg_set_of(const struct reg_grant *g, const char *aor)
{
    for (size_t i = 0; i < g->n_sets; i++) {
        if (strcmp(g->sets[i].aor, aor) == 0)
            return i;
    }
    for (size_t i = 0; i < g->n_sets; i++) {
        if (has(g->sets[i].impus, g->sets[i].n_impus, aor))
            return i;
    }
    return g->n_sets;
}

/* P-Associated-URI: canonical where there is a canonical form. Without the header the identity itself is
 * all there is; with it, one that is not named is barred and must not be asserted. */
static bool read_set(struct reg_set *s, msg_t *resp, const char *aor)
{
    s->aor = epc_str_dup(epc_str_c(aor));
    for (unsigned i = 0;; i++) {
        struct epc_str rest = epc_sip_get(resp, "P-Associated-URI", i);
        if (!rest.p)
            break;
        while (rest.p) {
            struct epc_str uri = reg_item_uri(reg_next_item(&rest));
            if (uri.n == 0)
                continue;
            char *text = epc_reg_is_wildcard(uri) ? NULL : epc_auth_canonical_impu(uri);
            if (!reg_list_add(&s->impus, &s->n_impus, text ? text : epc_str_dup(uri)))
                return false;
        }
    }
    return s->aor && (s->n_impus > 0 || reg_list_add(&s->impus, &s->n_impus, epc_str_dup(epc_str_c(aor))));
}

/* Only what is still in force: the core may have ended single identities meanwhile. */
static bool copy_set(struct reg_set *to, const struct reg_set *from, const struct reg_grant *old)
{
    to->aor = epc_str_dup(epc_str_c(from->aor));
    to->expires_at_ms = from->expires_at_ms;
    to->core_expires_at_ms = from->core_expires_at_ms;
    bool ok = to->aor != NULL;
    for (size_t i = 0; ok && i < from->n_impus; i++) {
        if (has(old->impus, old->n_impus, from->impus[i]) ||
            has(old->taken_back, old->n_taken_back, from->impus[i]))
            ok = add_new(&to->impus, &to->n_impus, from->impus[i]);
    }
    return ok;
}

static void times(struct reg_grant *g)
{
    g->expires_at_ms = g->core_expires_at_ms = 0;
    for (size_t i = 0; i < g->n_sets; i++) {
        const struct reg_set *s = &g->sets[i];
        if (s->expires_at_ms > g->expires_at_ms)
            g->expires_at_ms = s->expires_at_ms;
        if (s->core_expires_at_ms > g->core_expires_at_ms)
            g->core_expires_at_ms = s->core_expires_at_ms;
    }
}

uint64_t reg_sets_next_expiry(const struct reg_grant *g)
{
    uint64_t next = g->expires_at_ms;
    for (size_t i = 0; i < g->n_sets; i++)
        next = g->sets[i].expires_at_ms < next ? g->sets[i].expires_at_ms : next;
    return next;
}

void reg_sets_cap(struct reg_grant *g, uint64_t until_ms)
{
    for (size_t i = 0; i < g->n_sets; i++) {
        struct reg_set *s = &g->sets[i];
        s->expires_at_ms = s->expires_at_ms < until_ms ? s->expires_at_ms : until_ms;
        s->core_expires_at_ms = s->core_expires_at_ms < until_ms ? s->core_expires_at_ms : until_ms;
    }
    times(g);
}

void reg_sets_renew(struct reg_grant *g, uint64_t until_ms, uint64_t core_until_ms)
{
    g->sets[0].expires_at_ms = until_ms;
    g->sets[0].core_expires_at_ms = core_until_ms;
    times(g);
}

/* ---- what may be asserted ------------------------------------------------------------------- */

/* The default identity is the first one, and must be somebody's own (TS 24.229 5.4.1.2.2F). */
static bool default_first(struct reg_grant *g)
{
    size_t i = 0;
    while (i < g->n_impus && epc_reg_is_wildcard(epc_str_c(g->impus[i])))
        i++;
    if (i == g->n_impus && !reg_list_add(&g->impus, &g->n_impus, epc_str_dup(epc_str_c(g->sets[0].aor))))
        return false;
    char *first = g->impus[i];
    memmove(&g->impus[1], &g->impus[0], i * sizeof *g->impus);
    g->impus[0] = first;
    return true;
}

static bool unite(struct reg_grant *g)
{
    for (size_t i = 0; i < g->n_sets; i++) {
        const struct reg_set *s = &g->sets[i];
        for (size_t k = 0; k < s->n_impus; k++) {
            if (!has(g->taken_back, g->n_taken_back, s->impus[k]) &&
                !add_new(&g->impus, &g->n_impus, s->impus[k]))
                return false;
        }
    }
    return default_first(g);
}

/* What an earlier token of this binding listed and this one does not. */
static bool compare_tokens(struct reg_grant *g, const struct epc_identity *id, const struct reg_grant *old)
{
    for (size_t i = 0; i < id->n_impus; i++) {
        if (!add_new(&g->granted, &g->n_granted, id->impus[i]))
            return false;
    }
    if (!old || old->mode != EPC_MODE_TOKEN)
        return true;
    char *const *lists[] = {old->granted, old->taken_back};
    const size_t n[] = {old->n_granted, old->n_taken_back};
    for (size_t l = 0; l < EPC_ARRAY_LEN(lists); l++) {
        for (size_t i = 0; i < n[l]; i++) {
            if (!has(g->granted, g->n_granted, lists[l][i]) &&
                !add_new(&g->taken_back, &g->n_taken_back, lists[l][i]))
                return false;
        }
    }
    return true;
}

/* Does a set of the old grant go on beside the new one? Otherwise the core is told, unless it is part of
 * the new one: an implicit registration set ends as a whole. */
static bool goes_on(struct reg_grant *g, const struct reg_set *s, const struct reg_set *fresh,
                    const struct reg_grant *old, bool *ok)
{
    bool same_contact = strcmp(g->key, old->key) == 0;
    if (s->expires_at_ms <= epc_now_ms())
        return false;
    if (same_contact && (strcmp(s->aor, fresh->aor) == 0 || has(fresh->impus, fresh->n_impus, s->aor)))
        return false;
    bool granted = g->mode != EPC_MODE_TOKEN || has(g->granted, g->n_granted, s->aor);
    if (same_contact && granted && g->n_sets < SETS_MAX - 1)
        return true;
    if (g->mode == EPC_MODE_TOKEN)
        *ok = add_new(&g->lost, &g->n_lost, s->aor);
    return false;
}

static bool take_over(struct reg_grant *g, struct reg_set *fresh, const struct reg_grant *old)
{
    bool placed = false, ok = true;
    for (size_t i = 0; ok && old && i < old->n_sets; i++) {
        const struct reg_set *s = &old->sets[i];
        if (!placed && strcmp(s->aor, fresh->aor) == 0) { /* it keeps its place, and so the default */
            g->sets[g->n_sets++] = *fresh;
            placed = true;
        }
        if (goes_on(g, s, fresh, old, &ok))
            ok = copy_set(&g->sets[g->n_sets++], s, old);
    }
    if (!placed)
        g->sets[g->n_sets++] = *fresh;
    *fresh = (struct reg_set){0};
    return ok;
}

bool reg_sets_build(struct reg_grant *g, const struct reg_tx *tx, msg_t *resp, uint32_t core_expires_s,
                    uint32_t expires_s)
{
    const struct reg_grant *old = tx->rec->grant, *before = old ? old : reg_grant_by_key(tx->rec->r, g->key);
    uint64_t now = epc_now_ms();
    struct reg_set fresh = {.expires_at_ms = now + (uint64_t)expires_s * 1000,
                            .core_expires_at_ms = now + (uint64_t)core_expires_s * 1000};
    g->sets = calloc((old ? old->n_sets : 0) + 1, sizeof *g->sets);
    bool ok = g->sets && (!tx->id || compare_tokens(g, tx->id, before));
    if (ok && tx->id && tx->id->pool) {
        fresh.aor = epc_str_dup(epc_str_c(tx->aor));
        ok = fresh.aor && add_new(&fresh.impus, &fresh.n_impus, tx->aor);
    } else if (ok) {
        ok = read_set(&fresh, resp, tx->aor);
    }
    if (ok)
        ok = take_over(g, &fresh, old) && unite(g);
    times(g);
    free_set(&fresh);
    return ok;
}

/* ---- single sets end ------------------------------------------------------------------------ */

static void free_list(void *list)
{
    reg_list_free(list);
}

bool reg_set_end(struct reg_record *rec, size_t i)
{
    struct reg_grant *g = rec->grant;
    char **before = g->impus;
    size_t n_before = g->n_impus;
    struct reg_set gone = g->sets[i];
    g->made_of = 0;
    memmove(&g->sets[i], &g->sets[i + 1], (g->n_sets - i - 1) * sizeof *g->sets);
    g->n_sets--;
    g->impus = NULL;
    g->n_impus = 0;
    bool ok = unite(g);
    if (ok) {
        epc_shard_doom(rec->r->sh, free_list, before); /* rooms above may still read it this turn */
    } else { /* out of memory: the names stay for now, the next refresh sets it right */
        reg_list_free(g->impus);
        g->impus = before;
        g->n_impus = n_before;
    }
    free_set(&gone);
    times(g);
    return ok;
}
