/* What a reginfo document means for the registrations that this node holds (TS 24.229 5.2.3, 5.2.5). */
#include "registration/reginfo.h"
#include "registration/roll_priv.h"

#include <stdlib.h>
#include <string.h>

/* ---- which binding is meant ----------------------------------------------------------------- */

static struct epc_str bare(struct epc_str s)
{
    while (s.n >= 2 && ((s.p[0] == '"' && s.p[s.n - 1] == '"') || (s.p[0] == '<' && s.p[s.n - 1] == '>')))
        s = (struct epc_str){s.p + 1, s.n - 2};
    return s;
}

static bool same_uri(const char *a, const char *b)
{
    su_home_t home[1] = {SU_HOME_INIT(home)};
    url_t *ua = url_make(home, a), *ub = url_make(home, b);
    bool same = ua && ub && url_cmp(ua, ub) == 0;
    su_home_deinit(home);
    return same;
}

/* RFC 5626: instance and reg-id name the binding where both sides tell them; else the URI does. The key
 * of an entry is "IMPI\ninstance\nreg-id" then. */
static bool is_meant(const struct roll_entry *e, const struct reginfo_contact *c)
{
    struct epc_str rest = epc_str_c(e->key);
    (void)epc_str_cut(&rest, '\n');
    struct epc_str instance = epc_str_cut(&rest, '\n');
    if (e->stage != ROLL_BOUND)
        return false;
    if (rest.p && c->instance)
        return epc_str_ieq(bare(instance), epc_str_c(c->instance)) &&
               (!c->reg_id || !rest.n || epc_str_eqc(bare(rest), c->reg_id));
    return e->contact && same_uri(e->contact, c->uri);
}

/* ---- what the core has shown of an entry ------------------------------------------------------ */

static size_t find_aor(const struct roll_entry *e, const char *aor)
{
    size_t i = 0;
    while (i < e->n_aors && strcmp(e->aors[i], aor) != 0)
        i++;
    return i;
}

static void add_aor(struct roll_entry *e, const char *aor)
{
    if (find_aor(e, aor) < e->n_aors || e->n_aors >= REGINFO_REGISTRATIONS_MAX)
        return;
    char **grown = realloc(e->aors, (e->n_aors + 1) * sizeof *grown);
    if (grown)
        e->aors = grown;
    char *copy = grown ? epc_str_dup(epc_str_c(aor)) : NULL;
    if (copy)
        e->aors[e->n_aors++] = copy;
}

static void remove_aor(struct roll_entry *e, size_t i)
{
    free(e->aors[i]);
    e->aors[i] = e->aors[--e->n_aors];
}

/* ---- what follows --------------------------------------------------------------------------- */

static void tell_event(const struct roll_entry *e, enum reg_change change, uint64_t expires_s)
{
    struct epc_reg *r = e->user->r;
    struct reg_msg *m = reg_msg_new(REG_MSG_EVENT, e->user->impi, e->key);
    if (!m)
        return;
    m->flow_id = e->flow_id;
    m->number = change;
    m->expires_s = expires_s;
    (void)reg_send(r, e->shard, m);
}

static void tell_strip(const struct roll_entry *e, const char *aor)
{
    struct reg_msg *m = reg_msg_new(REG_MSG_STRIP, e->user->impi, e->key);
    if (!m)
        return;
    m->flow_id = e->flow_id;
    m->uri = epc_str_dup(epc_str_c(aor));
    if (m->uri)
        (void)reg_send(e->user->r, e->shard, m);
    else
        reg_msg_free(m);
}

static void lose(struct roll_entry *e, const char *aor, bool rejected)
{
    size_t i = find_aor(e, aor);
    if (i < e->n_aors)
        remove_aor(e, i);
    e->lost = true;
    e->rejected = e->rejected || rejected;
}

static void apply_contact(struct roll_entry *e, const struct reginfo_registration *reg, const char *aor,
                          const struct reginfo_contact *c)
{
    e->named = true;
    if (c->state == REGINFO_TERMINATED || reg->state == REGINFO_TERMINATED) {
        lose(e, aor, c->state == REGINFO_TERMINATED && c->event == REGINFO_EV_REJECTED);
        return;
    }
    add_aor(e, aor);
    if (c->event == REGINFO_EV_SHORTENED && c->has_expires)
        tell_event(e, REG_CHANGE_EXPIRES, c->expires_s);
}

static void apply_registration(struct roll_user *u, const struct reginfo_registration *reg)
{
    char *aor = epc_auth_canonical_impu(epc_str_c(reg->aor)); /* a wildcarded one has no such form */
    const char *name = aor ? aor : reg->aor;
    for (struct roll_entry *e = u->entries; e; e = e->next) {
        bool named = false;
        for (size_t i = 0; i < reg->n_contacts; i++) {
            if (!is_meant(e, &reg->contacts[i]))
                continue;
            named = true;
            apply_contact(e, reg, name, &reg->contacts[i]);
        }
        if (!named && reg->state == REGINFO_TERMINATED && e->stage == ROLL_BOUND &&
            find_aor(e, name) < e->n_aors)
            lose(e, name, false);
    }
    free(aor);
}

/* Identities that a document took away from a binding that has others. */
static void strip(struct roll_user *u, const struct reginfo *info, const struct roll_entry *e)
{
    uint64_t flow_id = e->flow_id;
    for (size_t i = 0; i < info->n_registrations; i++) {
        char *aor = epc_auth_canonical_impu(epc_str_c(info->registrations[i].aor));
        const char *name = aor ? aor : info->registrations[i].aor;
        /* The end of the last identity ends the entry, too. */
        for (e = u->entries; e && e->flow_id != flow_id;)
            e = e->next;
        if (e && e->lost && find_aor(e, name) == e->n_aors)
            tell_strip(e, name);
        free(aor);
    }
}

static struct roll_entry *first_marked(const struct roll_user *u)
{
    for (struct roll_entry *e = u->entries; e; e = e->next) {
        if (e->lost)
            return e;
    }
    return NULL;
}

void reginfo_apply(struct roll_user *u, const struct reginfo *info)
{
    struct roll_entry *e;
    roll_hold(u);
    for (e = u->entries; e; e = e->next)
        e->named = e->lost = e->rejected = false;
    for (size_t i = 0; i < info->n_registrations; i++)
        apply_registration(u, &info->registrations[i]);
    /* A full document that does not have what an earlier one had: the end itself was missed. */
    for (e = u->entries; info->full && e; e = e->next) {
        if (!e->named && e->n_aors > 0) {
            e->lost = true;
            while (e->n_aors > 0)
                remove_aor(e, e->n_aors - 1);
        }
    }
    while ((e = first_marked(u))) {
        if (e->n_aors > 0)
            strip(u, info, e);
        else
            tell_event(e, e->rejected ? REG_CHANGE_REJECTED : REG_CHANGE_ENDED, 0);
        for (struct roll_entry *x = u->entries; x; x = x->next) { /* it may be gone by now */
            if (x == e)
                e->lost = false;
        }
    }
    roll_let_go(u);
}
