/* What the shards of a node tell each other about registrations. */
#include "registration/roll_priv.h"

#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 20 };

static const struct {
    void (*handle)(struct epc_reg *r, const struct reg_msg *m);
} kinds[REG_MSGS] = {
    [REG_MSG_CLAIM] = {roll_on_claim},     [REG_MSG_RELEASE] = {roll_on_release},
    [REG_MSG_BOUND] = {roll_on_bound},     [REG_MSG_GONE] = {roll_on_gone},
    [REG_MSG_VERDICT] = {claim_on_verdict}, [REG_MSG_END] = {flow_on_end},
    [REG_MSG_EVENT] = {flow_on_event},     [REG_MSG_STRIP] = {flow_on_strip},
    [REG_MSG_REVOKE] = {flow_on_revoke},   [REG_MSG_TOKEN] = {replay_on_token},
    [REG_MSG_TOKEN_VERDICT] = {replay_on_verdict},
};

unsigned reg_self(const struct epc_reg *r)
{
    return r->peers.n ? epc_shard_index(r->sh) : 0;
}

unsigned reg_n_shards(const struct epc_reg *r)
{
    return r->peers.n ? (unsigned)r->peers.n : 1;
}

unsigned reg_home(const struct epc_reg *r, const char *impi)
{
    return (unsigned)(epc_hash_bytes(impi, strlen(impi)) % reg_n_shards(r));
}

void reg_msg_free(struct reg_msg *m)
{
    if (!m)
        return;
    free(m->impi);
    free(m->key);
    free(m->uri);
    free(m->aor);
    free(m->path);
    free(m);
}

struct reg_msg *reg_msg_new(enum reg_msg_kind kind, const char *impi, const char *key)
{
    struct reg_msg *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->kind = kind;
    m->impi = impi ? epc_str_dup(epc_str_c(impi)) : NULL;
    m->key = key ? epc_str_dup(epc_str_c(key)) : NULL;
    if ((!impi || m->impi) && (!key || m->key))
        return m;
    reg_msg_free(m);
    return NULL;
}

/* On the receiver's thread. Its mailbox is run empty before its rooms end, so the slot is filled. */
static void arrived(struct epc_shard *sh, void *arg)
{
    struct reg_msg *m = arg;
    struct epc_reg *r = *m->slot;
    (void)sh;
    if (r)
        kinds[m->kind].handle(r, m);
    reg_msg_free(m);
}

static void keep(struct epc_reg *r, struct reg_msg *m);

static void retry(void *arg)
{
    struct epc_reg *r = arg;
    struct reg_msg *m = r->roll->unsent;
    r->roll->unsent = NULL;
    r->roll->unsent_tail = &r->roll->unsent;
    while (m) {
        struct reg_msg *next = m->next;
        m->next = NULL;
        enum epc_err err = r->roll->unsent ? EPC_ELIMIT
                                           : epc_shard_post(r->peers.shards[m->to], arrived, m);
        if (err == EPC_ELIMIT)
            keep(r, m);
        else if (err != EPC_OK)
            reg_msg_free(m);
        m = next;
    }
}

static void keep(struct epc_reg *r, struct reg_msg *m)
{
    if (!r->roll->unsent) {
        epc_count(EPC_C_REG_MAIL_DELAYED);
        epc_timer_start(r->sh, &r->roll->retry, RETRY_MS, retry, r);
    }
    *r->roll->unsent_tail = m;
    r->roll->unsent_tail = &m->next;
}

bool reg_send(struct epc_reg *r, unsigned to, struct reg_msg *m)
{
    m->from = reg_self(r);
    m->to = to;
    if (to == m->from) {
        kinds[m->kind].handle(r, m);
        reg_msg_free(m);
        return true;
    }
    m->slot = &r->peers.regs[to];
    enum epc_err err = r->roll->unsent ? EPC_ELIMIT : epc_shard_post(r->peers.shards[to], arrived, m);
    if (err == EPC_ELIMIT) {
        keep(r, m);
        return true;
    }
    if (err != EPC_OK)
        reg_msg_free(m);
    return err == EPC_OK;
}

bool reg_congested(const struct epc_reg *r)
{
    return r->roll->unsent != NULL;
}

void reg_msgs_free(struct epc_reg *r)
{
    epc_timer_stop(r->sh, &r->roll->retry);
    while (r->roll->unsent) {
        struct reg_msg *m = r->roll->unsent;
        r->roll->unsent = m->next;
        reg_msg_free(m);
    }
}
