/* tokens.replay: same_instance. A token registers one instance only; the home shard of its IMPI keeps
 * which, by digest, until the token has expired. RFC 8898 2.1 lets a UA use a token for several bindings
 * of its AoR, so this is an option, and another flow of the same instance may always use it. */
#include "registration/roll_priv.h"

#include <stdlib.h>
#include <string.h>

/** Tokens remembered on one shard; the oldest gives way. */
#define TOKENS_MAX 200000

struct used {
    struct epc_hnode node;
    struct used *next;
    uint64_t token, instance, until_s;
};
struct reg_replay {
    struct epc_hash used;    /* home side: by token */
    struct used *first, **last;
    struct epc_hash asked;   /* claimant's side: by id */
    uint64_t last_id;
};
struct reg_use {
    struct epc_hnode by_id;
    uint64_t id;
    struct reg_tx *tx;
};

static bool used_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, const struct used, node)->token == *(const uint64_t *)key;
}

static bool id_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, const struct reg_use, by_id)->id == *(const uint64_t *)key;
}

enum epc_err reg_replay_create(struct epc_reg *r)
{
    struct reg_replay *p = calloc(1, sizeof *p);
    if (!p || epc_hash_init(&p->used, used_eq) != EPC_OK || epc_hash_init(&p->asked, id_eq) != EPC_OK) {
        if (p)
            epc_hash_free(&p->used);
        free(p);
        return EPC_ENOMEM;
    }
    p->last = &p->first;
    r->replay = p;
    return EPC_OK;
}

static void drop_first(struct reg_replay *p)
{
    struct used *u = p->first;
    epc_hash_del(&p->used, &u->node);
    p->first = u->next;
    if (!p->first)
        p->last = &p->first;
    free(u);
}

void reg_replay_destroy(struct epc_reg *r)
{
    struct reg_replay *p = r->replay;
    if (!p)
        return;
    while (p->first)
        drop_first(p);
    epc_hash_free(&p->used);
    epc_hash_free(&p->asked); /* every request has ended */
    free(p);
    r->replay = NULL;
}

/* ---- home side -------------------------------------------------------------------------------- */

/* 0, or the status to answer with. */
static unsigned judge(struct reg_replay *p, const struct reg_msg *m)
{
    uint64_t now_s = epc_wall_s(), instance = epc_hash_bytes(m->key, strlen(m->key));
    while (p->first && p->first->until_s <= now_s)
        drop_first(p);
    struct epc_hnode *n = epc_hash_find(&p->used, epc_hash_u64(m->number), &m->number);
    if (n)
        return EPC_CONTAINER(n, const struct used, node)->instance == instance ? 0 : 401;
    if (p->used.n_items >= TOKENS_MAX)
        drop_first(p);
    struct used *u = calloc(1, sizeof *u);
    if (!u)
        return 500;
    *u = (struct used){.token = m->number, .instance = instance, .until_s = m->expires_s};
    epc_hash_add(&p->used, &u->node, epc_hash_u64(m->number));
    *p->last = u;
    p->last = &u->next;
    return 0;
}

void replay_on_token(struct epc_reg *r, const struct reg_msg *m)
{
    struct reg_msg *answer = reg_msg_new(REG_MSG_TOKEN_VERDICT, m->impi, NULL);
    if (!answer)
        return; /* the request ends by its own timer */
    answer->claim_id = m->claim_id;
    answer->number = judge(r->replay, m);
    (void)reg_send(r, m->from, answer);
}

/* ---- claimant's side ---------------------------------------------------------------------------- */

void reg_replay_end(struct reg_tx *tx)
{
    if (!tx->use)
        return;
    epc_hash_del(&tx->rec->r->replay->asked, &tx->use->by_id);
    free(tx->use);
    tx->use = NULL;
}

static void refuse(struct reg_tx *tx, int status)
{
    struct epc_cause cause = {0};
    if (status == 401) {
        epc_count(EPC_C_REG_TOKEN_REUSED);
        epc_log(EPC_LOG_WARN, "registration", "event=token_reused flow=%llx reason=\"registered another instance\"",
                (unsigned long long)tx->rec->flow_id);
        reg_challenge(tx, "invalid_token");
        return;
    }
    epc_cause_set(&cause, status, "RFC 3261 21.5.4", status == 503 ? "Busy" : "Out Of Memory");
    cause.retry_after_s = status == 503 ? 5 : 0;
    reg_refuse(tx, &cause, NULL);
}

void reg_replay_check(struct reg_tx *tx)
{
    struct epc_reg *r = tx->rec->r;
    if (r->cfg->tokens.replay == EPC_REPLAY_OFF || tx->kind != REG_EV_REGISTER || !tx->contact) {
        reg_claim(tx);
        return;
    }
    struct epc_str instance = reg_param(tx->contact, "+sip.instance=");
    char *name = instance.p ? epc_str_dup(instance) : reg_key(tx->impi, tx->contact);
    for (char *c = name; instance.p && c && *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c; /* URNs compare without regard to case */
    struct reg_msg *m = name ? reg_msg_new(REG_MSG_TOKEN, tx->impi, name) : NULL;
    struct reg_use *use = m ? calloc(1, sizeof *use) : NULL;
    free(name);
    if (!use) {
        reg_msg_free(m);
        refuse(tx, 500);
        return;
    }
    *use = (struct reg_use){.id = ++r->replay->last_id, .tx = tx};
    epc_hash_add(&r->replay->asked, &use->by_id, epc_hash_u64(use->id));
    tx->use = use;
    m->claim_id = use->id;
    m->number = tx->id->token_hash;
    m->expires_s = tx->id->expires_at_s + REG_REPLAY_SKEW_S;
    unsigned home = reg_home(r, tx->impi);
    if (home != reg_self(r) && reg_congested(r)) {
        reg_msg_free(m);
        refuse(tx, 503);
    } else if (!reg_send(r, home, m)) {
        refuse(tx, 503);
    }
}

void replay_on_verdict(struct epc_reg *r, const struct reg_msg *m)
{
    struct epc_hnode *n = epc_hash_find(&r->replay->asked, epc_hash_u64(m->claim_id), &m->claim_id);
    if (!n)
        return; /* the WIC is gone */
    struct reg_tx *tx = EPC_CONTAINER(n, struct reg_use, by_id)->tx;
    reg_replay_end(tx);
    if (!tx->rec->flow_open)
        reg_tx_end(tx);
    else if (m->number != 0)
        refuse(tx, (int)m->number);
    else
        reg_claim(tx);
}
