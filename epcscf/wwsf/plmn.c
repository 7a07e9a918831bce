/* Which eP-CSCF serves a network (TS 23.228 U.2.1.2 and U.2.1.3 step 1), from what the UE tells of its
 * networks and from what the probes have found: see PLMN.md. */
#include "wwsf/choice.h"

#include <stdlib.h>
#include <string.h>

/* ---- the table -------------------------------------------------------------------------------------- */

static struct epc_target *target_of(struct epc_choice *c, const struct epc_cfg_plmn *row)
{
    for (size_t i = 0; i < c->n_targets; i++) {
        const struct epc_cfg_plmn *r = c->targets[i].row;
        bool same = !r->health_url == !row->health_url &&
                    (!r->health_url || strcmp(r->health_url, row->health_url) == 0);
        if (same && strcmp(r->url, row->url) == 0)
            return &c->targets[i];
    }
    struct epc_target *t = &c->targets[c->n_targets++];
    *t = (struct epc_target){.choice = c, .row = row};
    return t;
}

enum epc_err epc_choice_create(struct epc_choice **out, const struct epc_cfg_wwsf *cfg)
{
    struct epc_choice *c = calloc(1, sizeof *c);
    size_t n = cfg->n_plmn ? cfg->n_plmn : 1;
    if (!c)
        return EPC_ENOMEM;
    c->cfg = cfg;
    c->targets = calloc(n, sizeof *c->targets);
    c->entries = calloc(n, sizeof *c->entries);
    if (!c->targets || !c->entries) {
        epc_choice_destroy(c);
        return EPC_ENOMEM;
    }
    for (size_t i = 0; i < cfg->n_plmn; i++) {
        struct epc_entry *e = &c->entries[c->n_entries];
        if (epc_plmn_range_parse(epc_str_c(cfg->plmn[i].plmn), &e->range)) {
            epc_choice_destroy(c);
            return EPC_EINVAL;
        }
        e->row = &cfg->plmn[i];
        e->target = target_of(c, e->row);
        c->n_entries++;
    }
    *out = c;
    return EPC_OK;
}

void epc_choice_destroy(struct epc_choice *c)
{
    if (!c)
        return;
    epc_health_stop(c);
    free(c->targets);
    free(c->entries);
    free(c);
}

/* ---- which rows ------------------------------------------------------------------------------------- */

static const struct epc_entry *best(const struct epc_choice *c, const struct epc_plmn *p,
                                    enum epc_plmn_match which)
{
    const struct epc_entry *found = NULL;
    unsigned most = 0;
    for (size_t i = 0; i < c->n_entries; i++) {
        const struct epc_entry *e = &c->entries[i];
        bool meant = e->row->match == EPC_PLMN_EITHER || e->row->match == which;
        /* Among rows for the same network, one for just this use of it is the more exact. */
        unsigned rank = meant ? epc_plmn_rank(&e->range, p) * 2 : 0;
        if (rank && e->row->match == which)
            rank++;
        if (rank > most) {
            most = rank;
            found = e;
        }
    }
    return found;
}

static const struct epc_entry *default_row(const struct epc_choice *c)
{
    for (size_t i = 0; i < c->n_entries; i++)
        if (!c->entries[i].range.first.given)
            return &c->entries[i];
    return NULL;
}

static const struct epc_entry *find(const struct epc_choice *c, const struct epc_plmn_ask *ask,
                                    const char **reason)
{
    bool home_first = c->cfg->plmn_first == EPC_PLMN_HOME;
    for (int i = 0; i < 2; i++) {
        bool home = home_first == (i == 0);
        const struct epc_entry *e = home ? best(c, &ask->home, EPC_PLMN_HOME)
                                         : best(c, &ask->serving, EPC_PLMN_SERVING);
        if (e) {
            *reason = home ? "home" : "serving";
            return e;
        }
    }
    *reason = ask->malformed ? "malformed" : ask->serving.given || ask->home.given ? "unknown" : "none";
    return default_row(c);
}

/* ---- in which order (RFC 2782) ---------------------------------------------------------------------- */

static uint32_t below(uint64_t limit)
{
    uint64_t v;
    epc_random(&v, sizeof v);
    return (uint32_t)(v % limit); /* the bias is 2^-32 at most: weights have 16 bits */
}

/* Lower priorities first; what does not answer goes behind everything that does. */
static int compare(const struct epc_entry *a, const struct epc_entry *b)
{
    if (a->target->down != b->target->down)
        return a->target->down ? 1 : -1;
    if (a->row->priority != b->row->priority)
        return a->row->priority < b->row->priority ? -1 : 1;
    return 0;
}

static void swap_front(const struct epc_entry **e, size_t at)
{
    const struct epc_entry *chosen = e[at];
    memmove(e + 1, e, at * sizeof *e);
    e[0] = chosen;
}

static void draw(const struct epc_entry **e, size_t n)
{
    for (; n > 1; e++, n--) {
        uint64_t sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += e[i]->row->weight;
        if (sum == 0)
            return; /* the rest stays in the order of the rows */
        uint64_t mark = below(sum);
        size_t i = 0;
        for (; mark >= e[i]->row->weight; i++)
            mark -= e[i]->row->weight;
        swap_front(e, i);
    }
}

static void order(const struct epc_entry **e, size_t n)
{
    for (size_t i = 1; i < n; i++) /* insertion: keeps the order of the rows */
        for (size_t k = i; k > 0 && compare(e[k - 1], e[k]) > 0; k--)
            swap_front(e + k - 1, 1);
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && compare(e[from], e[to]) == 0; to++) {
        }
        draw(e + from, to - from);
    }
}

static int add_chosen(const struct epc_choice *c, const struct epc_entry *like, json_t *urls)
{
    const struct epc_entry **e = calloc(c->n_entries + 1, sizeof *e);
    size_t n = 0;
    int bad = e ? 0 : -1;
    for (size_t i = 0; e && like && i < c->n_entries; i++)
        if (c->entries[i].row->match == like->row->match &&
            epc_plmn_ranges_equal(&c->entries[i].range, &like->range))
            e[n++] = &c->entries[i];
    if (e)
        order(e, n);
    for (size_t i = 0; i < n && !bad; i++)
        bad = json_array_append_new(urls, json_string(e[i]->row->url));
    free(e);
    return bad;
}

/* ---- the answer ------------------------------------------------------------------------------------- */

static int add_known(const struct epc_choice *c, json_t *urls)
{
    int bad = 0;
    for (size_t i = 0; i < c->n_entries && !bad; i++) {
        bool again = false;
        for (size_t k = 0; k < i && !again; k++)
            again = strcmp(c->entries[i].row->url, c->entries[k].row->url) == 0;
        if (!again)
            bad = json_array_append_new(urls, json_string(c->entries[i].row->url));
    }
    return bad;
}

int epc_choice_fill(const struct epc_choice *c, const struct epc_plmn_ask *ask, json_t *body)
{
    const char *reason;
    const struct epc_entry *e = find(c, ask, &reason);
    json_t *urls = json_array(), *known = json_array();
    int bad = !urls || !known || add_chosen(c, e, urls) || add_known(c, known) ||
              json_object_set(body, "epcscf", urls) || json_object_set(body, "known", known) ||
              json_object_set_new(body, "reason", json_string(reason)) ||
              json_object_set_new(body, "network", json_string(e ? e->row->plmn : "")) ||
              json_object_set_new(body, "ttl_s", json_integer(c->cfg->plmn_ttl_s));
    json_decref(urls);
    json_decref(known);
    return bad ? -1 : 0;
}
