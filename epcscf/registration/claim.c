/* A flow's side of the roll: asking before a binding is made, telling what became of it, and doing
 * what the home shard says. */
#include "registration/roll_priv.h"

#include <stdlib.h>
#include <string.h>

static uint64_t text_hash(const char *s)
{
    return epc_hash_bytes(s, strlen(s));
}

/* ---- claims --------------------------------------------------------------------------------- */

static void free_claim(struct reg_tx *tx)
{
    struct reg_claim *c = tx->claim;
    struct roll *roll = tx->rec->r->roll;
    tx->claim = NULL;
    epc_hash_del(&roll->claims, &c->by_id);
    epc_hash_del(&roll->claims_by_key, &c->by_key);
    free(c->key);
    free(c);
}

/* The home still counts with it, whatever became of its question. */
void reg_claim_end(struct reg_tx *tx)
{
    struct reg_claim *c = tx->claim;
    if (!c)
        return;
    struct epc_reg *r = tx->rec->r;
    struct reg_msg *m = c->ended || r->closing ? NULL : reg_msg_new(REG_MSG_RELEASE, tx->impi, c->key);
    uint64_t id = c->id;
    free_claim(tx);
    if (!m)
        return;
    m->flow_id = tx->rec->flow_id;
    m->claim_id = id;
    (void)reg_send(r, reg_home(r, m->impi), m);
}

static void refuse(struct reg_tx *tx, int status, const char *spec, const char *why)
{
    struct epc_cause cause = {0};
    epc_cause_set(&cause, status, spec, "%s", why);
    if (status == 503)
        cause.retry_after_s = 5;
    reg_refuse(tx, &cause, NULL);
}

static struct reg_claim *new_claim(struct reg_tx *tx, char *key)
{
    struct roll *roll = tx->rec->r->roll;
    struct reg_claim *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    *c = (struct reg_claim){.id = ++roll->last_claim, .tx = tx, .key = key};
    epc_hash_add(&roll->claims, &c->by_id, epc_hash_u64(c->id));
    epc_hash_add(&roll->claims_by_key, &c->by_key, text_hash(key));
    tx->claim = c;
    return c;
}

/* When the home cannot be asked the WIC is told so. @p tx may be gone. */
static void ask(struct reg_tx *tx)
{
    struct reg_claim *c = tx->claim;
    struct reg_record *rec = tx->rec;
    struct epc_reg *r = rec->r;
    unsigned home = reg_home(r, tx->impi);
    struct reg_msg *m = reg_msg_new(REG_MSG_CLAIM, tx->impi, c->key);
    c->ended = true; /* the home has not heard of it yet */
    if (!m) {
        refuse(tx, 500, NULL, "Out Of Memory");
        return;
    }
    m->flow_id = rec->flow_id;
    m->claim_id = c->id;
    m->pool = tx->id && tx->id->pool;
    m->proven = tx->id != NULL;
    m->fixed = c->fixed;
    if (home != reg_self(r) && reg_congested(r)) {
        reg_msg_free(m);
        refuse(tx, 503, "RFC 3261 21.5.4", "Busy");
        return;
    }
    c->ended = false;
    if (!reg_send(r, home, m))
        refuse(tx, 503, "RFC 3261 21.5.4", "Going down");
}

void reg_claim(struct reg_tx *tx)
{
    const struct reg_record *rec = tx->rec;
    char *key = tx->kind == REG_EV_REGISTER ? reg_key(tx->impi, tx->contact) : NULL;
    if (tx->kind != REG_EV_REGISTER || (key && rec->grant && strcmp(rec->grant->key, key) == 0)) {
        free(key);
        reg_forward(tx); /* nothing new on this flow */
        return;
    }
    struct reg_claim *c = key ? new_claim(tx, key) : NULL;
    if (!c) {
        free(key);
        refuse(tx, 500, NULL, "Out Of Memory");
        return;
    }
    c->fixed = rec->grant != NULL;
    ask(tx);
}

/* The connection moves to the thread that holds the older binding, so that it is replaced there and its
 * calls go on; its REGISTER is the first message that it brings. */
static bool hand_over(struct reg_tx *tx, unsigned target)
{
    const struct reg_record *rec = tx->rec;
    const struct epc_reg *r = rec->r;
    struct epc_flow *f = epc_wss_flow(r->wss, rec->flow_id);
    size_t n = 0;
    msg_t *msg = f ? epc_sip_in_dup(tx->in) : NULL;
    char *text = msg ? epc_sip_text(msg, &n) : NULL;
    bool ok = text && epc_flow_hand_over(f, r->peers.shards[target], &r->peers.wss[target], text, n) == EPC_OK;
    if (msg)
        msg_destroy(msg);
    free(text);
    return ok;
}

static void go_elsewhere(struct reg_tx *tx, unsigned target)
{
    if (target < tx->rec->r->peers.n && hand_over(tx, target)) {
        epc_count(EPC_C_REG_HANDED_OVER);
        epc_log(EPC_LOG_INFO, "registration", "event=handed_over flow=%llx shard=%u",
                (unsigned long long)tx->rec->flow_id, target);
        reg_tx_end(tx); /* it is answered over there */
        return;
    }
    /* The older binding ends over there instead, and its calls with it. */
    tx->claim->fixed = true;
    ask(tx);
}

static const char *why(int status)
{
    return status == 403   ? "Too many connections of one identity"
           : status == 503 ? "Another Registration Is Pending"
                           : "Out Of Memory";
}

void claim_on_verdict(struct epc_reg *r, const struct reg_msg *m)
{
    struct epc_hnode *n = epc_hash_find(&r->roll->claims, epc_hash_u64(m->claim_id), &m->claim_id);
    struct reg_claim *c = n ? EPC_CONTAINER(n, struct reg_claim, by_id) : NULL;
    if (!c)
        return; /* the WIC is gone: the home has been told */
    struct reg_tx *tx = c->tx;
    int status = (int)m->number;
    bool elsewhere = status == 0 && m->target != reg_self(r);
    c->ended = status != 0 || elsewhere; /* the home keeps no entry of it */
    if (!tx->rec->flow_open) {
        reg_tx_end(tx);
    } else if (status != 0) {
        if (status == 403)
            epc_count(EPC_C_REG_TOO_MANY_FLOWS);
        refuse(tx, status, status == 403 ? "TS 24.229 5.4.1.2.2" : "RFC 3261 21.5.4", why(status));
    } else if (elsewhere && !c->fixed) {
        go_elsewhere(tx, m->target);
    } else {
        reg_forward(tx);
    }
}

bool reg_roll_contested(const struct epc_reg *r, uint64_t flow_id, const char *key)
{
    struct epc_hnode *n = epc_hash_find(&r->roll->claims_by_key, text_hash(key), key);
    const struct reg_claim *c = n ? EPC_CONTAINER(n, struct reg_claim, by_key) : NULL;
    if (c && c->tx->rec->flow_id != flow_id)
        return true;
    n = epc_hash_find(&r->by_key, text_hash(key), key);
    return n && EPC_CONTAINER(n, struct reg_record, by_key)->flow_id != flow_id;
}

/* ---- bindings ------------------------------------------------------------------------------- */

void reg_roll_bound(struct reg_record *rec)
{
    struct epc_reg *r = rec->r;
    const struct reg_grant *g = rec->grant;
    epc_timer_stop(r->sh, &rec->linger);
    uint64_t told = text_hash(g->key) ^ text_hash(g->contact) * 3 ^ text_hash(g->impus[0]) * 5;
    if (rec->tx && rec->tx->claim) {
        rec->tx->claim->ended = true;
        free_claim(rec->tx);
    } else if (told == rec->told) {
        return; /* a refresh that changes nothing */
    }
    struct reg_msg *m = reg_msg_new(REG_MSG_BOUND, g->impi, g->key);
    if (m) {
        m->flow_id = rec->flow_id;
        m->proven = g->mode == EPC_MODE_TOKEN;
        m->uri = epc_str_dup(epc_str_c(g->contact));
        m->aor = epc_str_dup(epc_str_c(g->impus[0]));
        m->path = epc_sip_path_uri(r->sip, rec->flow_id, g->ob);
        rec->told = told;
        (void)reg_send(r, reg_home(r, g->impi), m);
    } else {
        epc_log(EPC_LOG_ERROR, "registration", "event=roll_incomplete flow=%llx reason=\"out of memory\"",
                (unsigned long long)rec->flow_id);
    }
}

void reg_roll_gone(struct reg_record *rec)
{
    struct epc_reg *r = rec->r;
    const struct reg_grant *g = rec->grant;
    struct reg_msg *m = reg_msg_new(REG_MSG_GONE, g->impi, g->key);
    rec->told = 0;
    if (!m)
        return;
    m->flow_id = rec->flow_id;
    (void)reg_send(r, reg_home(r, g->impi), m);
}

/* ---- what the home says --------------------------------------------------------------------- */

static struct reg_record *bound_record(const struct epc_reg *r, const struct reg_msg *m)
{
    struct reg_record *rec = reg_record_find(r, m->flow_id);
    return rec && rec->grant && strcmp(rec->grant->key, m->key) == 0 ? rec : NULL;
}

/* The same instance elsewhere: the core replaces the binding by itself. Another user of a pool's
 * identity: what the core holds of the last one goes first. */
void flow_on_end(struct epc_reg *r, const struct reg_msg *m)
{
    struct reg_record *rec = bound_record(r, m);
    if (!rec) { /* never bound, or gone: what went before may have told so already */
        struct reg_msg *gone = reg_msg_new(REG_MSG_GONE, m->impi, m->key);
        if (gone) {
            gone->flow_id = m->flow_id;
            (void)reg_send(r, m->from, gone);
        }
        return;
    }
    epc_count(EPC_C_REG_DISPLACED);
    if (m->same_key)
        reg_event(rec, REG_EV_REPLACED);
    else
        reg_revoke_record(rec, "Identity in use elsewhere");
}

static void shorten(struct reg_record *rec, uint64_t expires_s)
{
    struct reg_grant *g = rec->grant;
    uint64_t until = epc_now_ms() + expires_s * 1000;
    bool shorter = until + 1000 < g->expires_at_ms;
    reg_sets_cap(g, until);
    if (!shorter)
        return;
    epc_log(EPC_LOG_INFO, "registration", "event=shortened flow=%llx expires_s=%llu",
            (unsigned long long)rec->flow_id, (unsigned long long)expires_s);
    epc_count(EPC_C_REG_SHORTENED);
    reg_renew(rec);
}

static void linger_over(void *arg)
{
    struct reg_record *rec = arg;
    struct epc_flow *f = rec->grant || !rec->flow_open ? NULL : epc_wss_flow(rec->r->wss, rec->flow_id);
    if (f)
        epc_flow_close(f, rec->rejected ? 1008 : 1000,
                       rec->rejected ? "Registration rejected" : "Registration ended");
}

/* FSM action: the connection stays for a moment, for the core's NOTIFY to the WIC itself. */
void reg_network_end(struct reg_record *rec)
{
    epc_count(EPC_C_REG_ENDED_BY_CORE);
    reg_forget(rec, "ended by the network");
    if (rec->flow_open)
        epc_timer_start(rec->r->sh, &rec->linger, rec->rejected ? REG_LINGER_REJECTED_MS : REG_LINGER_MS,
                        linger_over, rec);
}

void flow_on_event(struct epc_reg *r, const struct reg_msg *m)
{
    struct reg_record *rec = bound_record(r, m);
    if (!rec)
        return;
    switch ((enum reg_change)m->number) {
    case REG_CHANGE_EXPIRES:
        shorten(rec, m->expires_s);
        break;
    case REG_CHANGE_ENDED:
    case REG_CHANGE_REJECTED:
        rec->rejected = m->number == REG_CHANGE_REJECTED;
        reg_event(rec, REG_EV_NETWORK);
        break;
    }
}

static void free_text(void *text)
{
    free(text);
}

/* One public identity less (TS 24.229 5.2.5); the last one takes the binding along. */
void flow_on_strip(struct epc_reg *r, const struct reg_msg *m)
{
    struct reg_record *rec = bound_record(r, m);
    struct reg_grant *g = rec ? rec->grant : NULL;
    size_t i = 0;
    while (g && i < g->n_impus && strcmp(g->impus[i], m->uri) != 0)
        i++;
    if (!g || i == g->n_impus)
        return;
    if (g->n_impus == 1) {
        reg_event(rec, REG_EV_NETWORK);
        return;
    }
    char id[EPC_LOG_ID_LEN];
    epc_log(EPC_LOG_INFO, "registration", "event=identity_ended flow=%llx impu=%s",
            (unsigned long long)rec->flow_id, epc_log_id(epc_str_c(m->uri), id));
    g->made_of = 0;
    epc_shard_doom(r->sh, free_text, g->impus[i]); /* rooms above may still read it this turn */
    memmove(&g->impus[i], &g->impus[i + 1], (g->n_impus - i) * sizeof *g->impus);
    rec->public.n_impus = --g->n_impus;
}
