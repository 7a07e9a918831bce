/* The hub: which gateway serves what, who owns which context, and what comes in. */
#include <stdlib.h>
#include <string.h>

#include "gateway/h248/client.h"
#include "gateway/h248/wire.h"

/* ---- contexts: which client owns which ------------------------------------------------------------------ */

struct context {
    struct epc_hnode node;
    unsigned mg;
    uint32_t id, seen; /* seen: number of the comparison that found it */
    struct h248_client *client;
};
struct context_key {
    unsigned mg;
    uint32_t id;
};

static bool context_eq(const struct epc_hnode *node, const void *key)
{
    const struct context *c = EPC_CONTAINER(node, struct context, node);
    const struct context_key *k = key;
    return c->mg == k->mg && c->id == k->id;
}

enum epc_err h248_contexts_init(struct h248_hub *h)
{
    return epc_hash_init(&h->contexts, context_eq);
}

static uint64_t context_hash(unsigned mg, uint32_t id)
{
    return epc_hash_u64((uint64_t)mg << 32 | id);
}

static struct context *find_context(struct h248_hub *h, unsigned mg, uint32_t id)
{
    struct context_key k = {mg, id};
    struct epc_hnode *n = epc_hash_find(&h->contexts, context_hash(mg, id), &k);
    return n ? EPC_CONTAINER(n, struct context, node) : NULL;
}

struct h248_client *h248_context_owner(struct h248_hub *h, unsigned mg, uint32_t context)
{
    const struct context *c = find_context(h, mg, context);
    return c ? c->client : NULL;
}

static void context_free(struct h248_hub *h, struct context *c)
{
    struct h248_mg *mg = h->mg[c->mg - 1];
    mg->n_contexts--;
    epc_hash_del(&h->contexts, &c->node);
    free(c);
    h248_facts_load(mg);
}

static void drop_context(struct epc_hnode *node, void *arg)
{
    context_free(arg, EPC_CONTAINER(node, struct context, node));
}

void h248_contexts_drop(struct h248_hub *h)
{
    epc_hash_each(&h->contexts, drop_context, h);
}

static bool context_add(struct h248_mg *mg, uint32_t id, struct h248_client *client)
{
    struct h248_hub *h = mg->hub;
    struct context *c = find_context(h, mg->number, id);
    if (c) { /* the gateway gives a number anew that we thought in use: the old one is gone */
        c->client = client;
        return true;
    }
    c = calloc(1, sizeof *c);
    if (!c)
        return false;
    *c = (struct context){.mg = mg->number, .id = id, .client = client};
    epc_hash_add(&h->contexts, &c->node, context_hash(mg->number, id));
    mg->n_contexts++;
    h248_facts_load(mg);
    return true;
}

static void tell(struct h248_hub *h, struct h248_client *to, enum h248_mail_kind kind, unsigned mg, uint32_t context)
{
    struct h248_mail *m = h248_mail_new(to, kind);
    if (!m) {
        epc_log(EPC_LOG_ERROR, "gateway", "event=iq-client-not-told mg=%u context=%u", mg, (unsigned)context);
        return;
    }
    m->mg = mg;
    m->context = context;
    h248_mail_deliver(h, m);
}

struct sweep {
    struct h248_mg *mg;
    struct h248_client *client; /* of this one only */
    uint32_t seen;              /* those that were not seen in this comparison */
    enum { SWEEP_LOST, SWEEP_GONE, SWEEP_CLIENT } kind;
};

static void sweep_one(struct epc_hnode *node, void *arg)
{
    struct context *c = EPC_CONTAINER(node, struct context, node);
    const struct sweep *s = arg;
    struct h248_mg *mg = s->mg ? s->mg : s->client->hub->mg[c->mg - 1];
    uint32_t id = c->id;
    struct h248_client *owner = c->client;
    if ((s->mg && c->mg != s->mg->number) || (s->client && c->client != s->client) ||
        (s->kind == SWEEP_GONE && c->seen == s->seen))
        return;
    context_free(mg->hub, c);
    if (s->kind == SWEEP_GONE) {
        epc_count(EPC_C_IQ_CONTEXTS_GONE);
        tell(mg->hub, owner, MAIL_GONE, mg->number, id);
    } else if (s->kind == SWEEP_CLIENT && mg->reachable) {
        h248_subtract_context(mg, id);
    }
}

void h248_contexts_lost(struct h248_mg *mg)
{
    struct h248_hub *h = mg->hub;
    struct sweep s = {.mg = mg, .kind = SWEEP_LOST};
    bool any = mg->n_contexts > 0, in_take = h->in_take;
    epc_count_add(EPC_C_IQ_CONTEXTS_GONE, mg->n_contexts);
    h->in_take = true; /* a client must not change the table that is swept */
    epc_hash_each(&h->contexts, sweep_one, &s);
    for (struct h248_client *c = any ? h->clients : NULL; c; c = c->next)
        tell(h, c, MAIL_MG_LOST, mg->number, 0);
    h->in_take = in_take;
}

void h248_contexts_compare(struct h248_mg *mg, const struct epc_h248_transaction *reply)
{
    struct h248_hub *h = mg->hub;
    struct sweep s = {.mg = mg, .kind = SWEEP_GONE, .seen = ++h->comparison};
    bool in_take = h->in_take;
    uint32_t last = EPC_H248_CTX_NULL;
    h->in_take = true;
    for (size_t i = 0; i < reply->n_actions; i++) {
        const struct epc_h248_action *a = &reply->action[i];
        struct context *c = wire_is_context(a) ? find_context(h, mg->number, a->context) : NULL;
        if (c)
            c->seen = s.seen;
        else if (wire_is_context(a) && a->context != last)
            h248_subtract_context(mg, a->context);
        last = a->context;
    }
    epc_hash_each(&h->contexts, sweep_one, &s);
    h->in_take = in_take;
}

/* ---- load sharing ---------------------------------------------------------------------------------------------- */

uint32_t h248_capacity(const struct h248_mg *mg)
{
    uint32_t most = mg->cfg->max_contexts ? mg->cfg->max_contexts : mg->hub->cfg->max_contexts;
    if (mg->max_contexts && (!mg->cfg->max_contexts || mg->max_contexts < most))
        most = mg->max_contexts;
    return most;
}

static bool has_room(const struct h248_mg *mg, bool emergency)
{
    uint32_t used = mg->n_contexts + mg->n_opening;
    if (mg->state != MG_UP || used >= h248_capacity(mg))
        return false;
    if (emergency || epc_now_ms() >= mg->avoid_until_ms)
        return true;
    uint8_t dice;
    epc_random(&dice, sizeof dice);
    return mg->reduction_percent && dice * 100u / 256u >= mg->reduction_percent;
}

/* The least loaded by its weight; equals take turns. A weight of 0 is for when nobody else has room. */
static struct h248_mg *choose(struct h248_hub *h, bool emergency, const struct h248_mg *but)
{
    struct h248_mg *best = NULL;
    double best_load = 0;
    h->turn++;
    for (unsigned i = 0; i < h->n_mgs; i++) {
        struct h248_mg *mg = h->mg[(i + h->turn) % h->n_mgs];
        if (mg == but || !has_room(mg, emergency))
            continue;
        double load = (double)(mg->n_contexts + mg->n_opening) / h248_capacity(mg);
        load = mg->cfg->weight ? (load + 1e-9) / mg->cfg->weight : 1e9 + load;
        if (!best || load < best_load) {
            best = mg;
            best_load = load;
        }
    }
    return best;
}

static bool any_there(const struct h248_hub *h)
{
    for (unsigned i = 0; i < h->n_mgs; i++)
        if (h->mg[i]->state != MG_DOWN && h->mg[i]->state != MG_LOST)
            return true;
    return false;
}

/* Codes of H.248.8 by which a gateway says that it cannot take more. */
static bool no_room(unsigned error)
{
    static const unsigned codes[] = {412, 413, 432, 434, 502, 503, 510, 526, 529};
    for (size_t i = 0; i < EPC_ARRAY_LEN(codes); i++)
        if (codes[i] == error)
            return true;
    return false;
}

static void avoid(struct h248_mg *mg, const char *why)
{
    mg->avoid_until_ms = epc_now_ms() + mg->hub->cfg->avoid_ms;
    mg->reduction_percent = 0;
    epc_count(EPC_C_IQ_AVOIDED);
    epc_log(EPC_LOG_WARN, "gateway", "event=iq-gateway-avoided gateway=%s for_ms=%u why=\"%s\"", mg->mid,
            (unsigned)mg->hub->cfg->avoid_ms, why);
}

/* What the root says of load by itself: packages ocp (H.248.10) and chp (H.248.11). */
void h248_root_notified(struct h248_mg *mg, const struct epc_h248_command *cmd)
{
    unsigned percent = 0;
    if (wire_observed(cmd, "ocp/mg_overload", NULL, NULL))
        avoid(mg, "ocp/mg_overload");
    else if (wire_observed(cmd, "chp/mgcon", "reduction", &percent)) {
        avoid(mg, "chp/mgcon");
        mg->reduction_percent = percent < 100 ? percent : 0;
    }
}

/* ---- requests of clients -------------------------------------------------------------------------------------------- */

static void give_result(struct h248_hub *h, struct h248_mail *m, enum epc_err err)
{
    m->kind = MAIL_RESULT;
    m->err = err;
    h248_mail_deliver(h, m);
}

static void request_to(struct h248_mg *mg, struct h248_mail *m);

/* New contexts in a reply belong to who asked for them. */
static void note_contexts(struct h248_mg *mg, struct h248_mail *m, const struct epc_h248_transaction *t)
{
    for (size_t i = 0; i < t->n_actions; i++) {
        const struct epc_h248_action *a = &t->action[i];
        if (wire_is_context(a) && (!m->client->attached || !context_add(mg, a->context, m->client)))
            h248_subtract_context(mg, a->context);
    }
}

/* Another gateway may have room, or be there: once. */
static bool tried_elsewhere(struct h248_mg *mg, struct h248_mail *m, enum epc_err err, unsigned error,
                            const struct epc_h248_transaction *t)
{
    struct h248_hub *h = mg->hub;
    if (m->opts.mg != H248_MG_ANY || m->again || h->stopping || !(err == EPC_EIO || (err == EPC_OK && no_room(error))))
        return false;
    struct h248_mg *other = choose(h, m->opts.emergency, mg);
    if (!other)
        return false;
    if (t)
        h248_subtract_orphans(mg, t); /* what came before the command that failed */
    epc_count(EPC_C_IQ_FAILOVERS);
    m->again = true;
    request_to(other, m);
    return true;
}

static void on_request_done(void *arg, enum epc_err err, unsigned error, struct h248_in *in,
                            const struct epc_h248_transaction *t)
{
    struct h248_mail *m = arg;
    struct h248_hub *h = m->client->hub;
    struct h248_mg *mg = h->mg[m->mg - 1];
    unsigned any = t ? wire_any_error(t) : error;
    if (m->creates && no_room(any))
        avoid(mg, epc_h248_error_text(any));
    if (err == EPC_ETIMEDOUT)
        avoid(mg, "no reply");
    if (any == 505)
        h248_order_registration(mg);
    if (tried_elsewhere(mg, m, err, any, t))
        return;
    if (t && m->creates)
        note_contexts(mg, m, t);
    m->error = error;
    if (in) {
        m->in = h248_in_ref(in);
        m->reply = t;
        mg->answered = true;
    }
    give_result(h, m, err);
}

static void request_to(struct h248_mg *mg, struct h248_mail *m)
{
    m->mg = mg->number;
    snprintf(m->mg_name, sizeof m->mg_name, "%s", mg->mid);
    enum epc_err err = h248_trans_send(mg, m->msg, NULL, m->key, on_request_done, m);
    if (err != EPC_OK)
        give_result(mg->hub, m, err == EPC_ELIMIT ? EPC_EPROTO : err);
}

static void take_request(struct h248_hub *h, struct h248_mail *m)
{
    struct h248_mg *mg;
    m->creates = wire_creates(m->msg);
    if (m->opts.mg == H248_MG_ANY) {
        mg = choose(h, m->opts.emergency, NULL);
        if (!mg) {
            epc_count(EPC_C_IQ_NO_GATEWAY);
            give_result(h, m, any_there(h) ? EPC_ELIMIT : EPC_ENOENT);
            return;
        }
    } else {
        mg = m->opts.mg <= h->n_mgs ? h->mg[m->opts.mg - 1] : NULL;
        m->mg = m->opts.mg;
        if (mg)
            snprintf(m->mg_name, sizeof m->mg_name, "%s", mg->mid);
        if (!mg || !mg->reachable || mg->state == MG_DOWN || mg->state == MG_LOST) {
            give_result(h, m, EPC_ENOENT);
            return;
        }
    }
    request_to(mg, m);
}

static void take_orphans(struct h248_hub *h, const struct h248_mail *m)
{
    struct h248_mg *mg = h->mg[m->mg - 1];
    for (size_t i = 0; i < m->reply->n_actions; i++) {
        const struct epc_h248_action *a = &m->reply->action[i];
        struct context *c = wire_is_context(a) ? find_context(h, mg->number, a->context) : NULL;
        if (c)
            context_free(h, c);
    }
    h248_subtract_orphans(mg, m->reply);
}

static void detach(struct h248_hub *h, struct h248_client *c)
{
    struct sweep s = {.client = c, .kind = SWEEP_CLIENT};
    for (struct h248_client **at = &h->clients; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            c->attached = false;
            epc_hash_each(&h->contexts, sweep_one, &s);
            h248_client_unref(c);
            return;
        }
}

void h248_hub_take(struct h248_hub *h, struct h248_mail *m)
{
    bool in_take = h->in_take;
    struct context *c;
    h->in_take = true;
    if (!h->sh) {
        h248_mail_free(m); /* it ends; so do those who asked */
        m = NULL;
    } else if (m->kind == MAIL_REQUEST) {
        take_request(h, m);
        m = NULL;
    } else if (m->kind == MAIL_ATTACH) {
        m->client->attached = true;
        m->client->next = h->clients;
        h->clients = h248_client_ref(m->client);
    } else if (m->kind == MAIL_DETACH) {
        detach(h, m->client);
    } else if (m->kind == MAIL_NOTIFIED) {
        h248_exec_answered(h, m->mg, m->id, m->serial, m->error);
    } else if (m->kind == MAIL_ORPHAN) {
        take_orphans(h, m);
    } else if (m->kind == MAIL_ENDED && (c = find_context(h, m->mg, m->context)) && c->client == m->client) {
        context_free(h, c);
    }
    if (m)
        h248_mail_free(m);
    h->in_take = in_take;
}

/* ---- to clients ------------------------------------------------------------------------------------------------------ */

enum epc_err h248_client_notify(struct h248_client *c, struct h248_exec *x, uint32_t context)
{
    struct h248_mail *m = h248_mail_new(c, MAIL_NOTIFY);
    struct h248_hub *h = x->mg->hub;
    if (!m)
        return EPC_ENOMEM;
    m->mg = x->mg->number;
    m->context = context;
    m->id = x->id;
    m->serial = x->serial;
    m->in = h248_in_ref(x->in);
    m->command = x->command;
    bool in_take = h->in_take;
    h->in_take = true; /* never answered inside this call */
    h248_mail_deliver(h, m);
    h->in_take = in_take;
    return EPC_OK;
}

void h248_clients_change(struct h248_hub *h, struct h248_client *only, struct h248_exec *x, uint32_t context)
{
    for (struct h248_client *c = only ? only : h->clients; c; c = only ? NULL : c->next) {
        struct h248_mail *m = h248_mail_new(c, MAIL_CHANGE);
        if (!m) {
            epc_log(EPC_LOG_ERROR, "gateway", "event=iq-client-not-told mg=%u context=%u", x->mg->number,
                    (unsigned)context);
            continue;
        }
        m->mg = x->mg->number;
        m->context = only ? context : H248_CONTEXT_ALL;
        m->in = h248_in_ref(x->in);
        m->command = x->command;
        h248_mail_deliver(h, m);
    }
}
