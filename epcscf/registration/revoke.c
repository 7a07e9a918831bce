/* Revocation: as the end of the token, at once, and with the calls (TS 24.229 5.2.8). */
#include "registration/roll_priv.h"

#include <stdlib.h>
#include <string.h>

/* FSM action. A REGISTER of the WIC that is at the core goes unanswered there. */
void reg_revoked(struct reg_record *rec)
{
    struct epc_flow *f = rec->flow_open ? epc_wss_flow(rec->r->wss, rec->flow_id) : NULL;
    struct reg_tx *tx = rec->tx;
    const char *why = rec->why ? rec->why : "Revoked";
    if (tx && rec->state != REG_ORPHAN) {
        rec->tx = NULL;
        epc_sip_in_reply(tx->in, 403, why, NULL);
        reg_tx_end(tx);
    }
    if (rec->grant) {
        if (rec->grant->mode == EPC_MODE_TOKEN)
            reg_core_deregister(rec->r, rec->flow_id, rec->grant);
        reg_forget(rec, why);
    }
    if (f)
        epc_flow_close(f, 1008, why);
}

void reg_revoked_and_drop(struct reg_record *rec)
{
    reg_revoked(rec);
    reg_record_drop(rec);
}

void reg_revoke_record(struct reg_record *rec, const char *why)
{
    rec->why = why;
    reg_event(rec, REG_EV_REVOKED);
}

/* ---- by IMPI -------------------------------------------------------------------------------- */

struct search {
    const char *impi, *wwsf;
    uint64_t *flows;
    size_t n, cap;
    bool failed;
};

static bool same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static bool wanted(const struct search *s, const struct reg_record *rec)
{
    const struct reg_tx *tx = rec->tx;
    if (s->impi)
        return (rec->grant && same(rec->grant->impi, s->impi)) || (tx && same(tx->impi, s->impi));
    return (rec->grant && same(rec->grant->wwsf, s->wwsf)) || (tx && tx->id && same(tx->id->wwsf, s->wwsf));
}

static void look(struct epc_hnode *node, void *arg)
{
    const struct reg_record *rec = EPC_CONTAINER(node, struct reg_record, by_flow);
    struct search *s = arg;
    if (!wanted(s, rec))
        return;
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 16;
        uint64_t *grown = realloc(s->flows, cap * sizeof *grown);
        if (!grown) {
            s->failed = true;
            return;
        }
        s->flows = grown;
        s->cap = cap;
    }
    s->flows[s->n++] = rec->flow_id;
}

static const char *impi_of(const struct reg_record *rec)
{
    return rec->grant ? rec->grant->impi : rec->tx ? rec->tx->impi : NULL;
}

static void revoke_everywhere(struct epc_reg *r, const char *impi, uint64_t before_s)
{
    for (unsigned i = 0; i < reg_n_shards(r); i++) {
        struct reg_msg *m = reg_msg_new(REG_MSG_REVOKE, impi, NULL);
        if (!m) {
            epc_log(EPC_LOG_ERROR, "registration", "event=revocation_incomplete reason=\"out of memory\"");
            return;
        }
        m->number = before_s;
        (void)reg_send(r, i, m);
    }
}

/* @param everywhere the IMPI is not known on the other shards yet: tokens may be used there. */
static void revoke_one(struct epc_reg *r, uint64_t flow_id, bool everywhere, uint64_t before_s)
{
    struct reg_record *rec = reg_record_find(r, flow_id);
    const char *who = rec ? impi_of(rec) : NULL;
    char id[EPC_LOG_ID_LEN];
    if (!rec || (!rec->grant && !rec->tx))
        return; /* ended with another one of the same user */
    if (everywhere && who) {
        char *copy = epc_str_dup(epc_str_c(who));
        if (copy) {
            revoke_everywhere(r, copy, before_s);
            free(copy);
            return; /* this shard was among them */
        }
    }
    epc_count(EPC_C_REG_REVOKED);
    epc_log(EPC_LOG_WARN, "registration", "event=revoked flow=%llx impi=%s", (unsigned long long)flow_id,
            epc_log_id(epc_str_c(who), id));
    reg_revoke_record(rec, "Revoked");
}

size_t epc_reg_revoke_here(struct epc_reg *r, const char *impi, const char *wwsf, uint64_t before_s)
{
    EPC_ASSERT_OWNER(r->sh);
    struct search s = {.impi = impi, .wwsf = wwsf};
    if (impi)
        epc_auth_revoke(r->auth, impi, before_s);
    epc_hash_each(&r->by_flow, look, &s);
    for (size_t i = 0; i < s.n; i++)
        revoke_one(r, s.flows[i], impi == NULL, before_s);
    if (s.failed)
        epc_log(EPC_LOG_ERROR, "registration", "event=revocation_incomplete reason=\"out of memory\"");
    free(s.flows);
    return s.n;
}

void flow_on_revoke(struct epc_reg *r, const struct reg_msg *m)
{
    epc_reg_revoke_here(r, m->impi, NULL, m->number);
}

void epc_reg_revoke(struct epc_reg *r, const char *impi)
{
    EPC_ASSERT_OWNER(r->sh);
    revoke_everywhere(r, impi, epc_wall_s());
}
