/* Records of flows, and one REGISTER on each. */
#include "registration/roll_priv.h"

#include <stdlib.h>
#include <string.h>

/* ---- records -------------------------------------------------------------------------------- */

static bool flow_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, const struct reg_record, by_flow)->flow_id == *(const uint64_t *)key;
}

static bool key_eq(const struct epc_hnode *node, const void *key)
{
    return strcmp(EPC_CONTAINER(node, const struct reg_record, by_key)->grant->key, key) == 0;
}

struct reg_record *reg_record_find(const struct epc_reg *r, uint64_t flow_id)
{
    struct epc_hnode *n = epc_hash_find(&r->by_flow, epc_hash_u64(flow_id), &flow_id);
    return n ? EPC_CONTAINER(n, struct reg_record, by_flow) : NULL;
}

static struct reg_record *record_get(struct epc_reg *r, uint64_t flow_id)
{
    struct reg_record *rec = reg_record_find(r, flow_id);
    if (rec)
        return rec;
    rec = calloc(1, sizeof *rec);
    if (!rec)
        return NULL;
    rec->r = r;
    rec->flow_id = flow_id;
    rec->flow_open = true;
    epc_hash_add(&r->by_flow, &rec->by_flow, epc_hash_u64(flow_id));
    return rec;
}

void reg_challenge_over(struct reg_record *rec)
{
    free(rec->challenged);
    rec->challenged = NULL;
}

static void free_record(void *record)
{
    struct reg_record *rec = record;
    reg_challenge_over(rec);
    reg_forget_token(rec);
    free(rec);
}

void reg_record_drop(struct reg_record *rec)
{
    struct epc_reg *r = rec->r;
    if (rec->tx)
        reg_tx_end(rec->tx);
    epc_timer_stop(r->sh, &rec->expiry);
    epc_timer_stop(r->sh, &rec->grace);
    epc_timer_stop(r->sh, &rec->linger);
    epc_hash_del(&r->by_flow, &rec->by_flow);
    rec->state = REG_GONE;
    epc_shard_doom(r->sh, free_record, rec);
}

/* ---- one REGISTER --------------------------------------------------------------------------- */

void reg_tx_end(struct reg_tx *tx)
{
    if (tx->rec->tx == tx)
        tx->rec->tx = NULL;
    reg_claim_end(tx);
    reg_replay_end(tx);
    epc_auth_cancel(tx->verifying);
    epc_sip_out_detach(tx->out);
    epc_sip_in_release(tx->in);
    epc_identity_free(tx->id);
    reg_grant_free(tx->grant);
    free(tx->aor);
    free(tx->home);
    free(tx->impi);
    free(tx->username);
    free(tx);
}

bool reg_failed_attempt(struct reg_record *rec)
{
    if (++rec->failures < rec->r->cfg->registration.max_failures)
        return false;
    struct epc_flow *f = rec->flow_open ? epc_wss_flow(rec->r->wss, rec->flow_id) : NULL;
    epc_count(EPC_C_REG_TOO_MANY_FAILURES);
    epc_log(EPC_LOG_WARN, "registration", "event=flow_closed flow=%llx reason=\"too many failures\"",
            (unsigned long long)rec->flow_id);
    if (f)
        epc_flow_close(f, 1008, "Too many failures");
    return true;
}

static void answer(struct reg_tx *tx, const struct epc_cause *cause, const char *www_authenticate)
{
    struct epc_buf extra = {0};
    if (www_authenticate && *www_authenticate)
        epc_buf_printf(&extra, "WWW-Authenticate: %s\r\n", www_authenticate);
    if (cause->sip_status == 423)
        epc_buf_printf(&extra, "Min-Expires: %lu\r\n",
                       (unsigned long)tx->rec->r->cfg->registration.min_expires_s);
    if (extra.p)
        epc_sip_in_reply(tx->in, cause->sip_status, cause->reason, extra.p);
    else
        epc_sip_in_refuse(tx->in, cause);
    epc_buf_free(&extra);
}

void reg_refuse(struct reg_tx *tx, const struct epc_cause *cause, const char *www_authenticate)
{
    struct reg_record *rec = tx->rec;
    struct epc_cause too_many = {0};
    int status = cause->sip_status;
    epc_log(EPC_LOG_INFO, "registration", "event=refused flow=%llx status=%d reason=\"%s\" spec=\"%s\"",
            (unsigned long long)rec->flow_id, status, cause->reason, cause->spec ? cause->spec : "");
    epc_count(EPC_C_REG_REFUSED);
    if ((status == 400 || status == 401 || status == 403) && reg_failed_attempt(rec)) {
        epc_cause_set(&too_many, 403, "RFC 6455 7.4.1", "Too Many Failures");
        cause = &too_many;
        www_authenticate = NULL;
    }
    answer(tx, cause, www_authenticate);
    bool at_core = tx->out != NULL || rec->state == REG_PENDING || rec->state == REG_REFRESHING ||
                   rec->state == REG_LEAVING || rec->state == REG_LOST || rec->state == REG_ORPHAN;
    if (at_core)
        reg_event(rec, REG_EV_REFUSED);
    if (rec->tx == tx)
        reg_tx_end(tx);
}

void reg_challenge(struct reg_tx *tx, const char *error)
{
    const struct epc_reg *r = tx->rec->r;
    struct epc_cause cause = {0};
    struct epc_flow *flow = epc_wss_flow(r->wss, tx->rec->flow_id);
    char *value = epc_auth_challenge_for(r->auth, flow ? epc_flow_origin(flow) : NULL, error);
    epc_cause_set(&cause, value ? 401 : 500, "RFC 8898 2.2", value ? "Unauthorized" : "Out Of Memory");
    reg_refuse(tx, &cause, value);
    free(value);
}

/* RFC 3261 10.2: no new REGISTER before the answer to the last one; 8.2.2.2: the same one twice, as two
 * transactions, is a loop. (The same transaction repeated does not come here.) */
static void refuse_overlapping(const struct reg_tx *tx, struct epc_sip_in *in)
{
    const sip_t *last = epc_sip_in_sip(tx->in), *now = epc_sip_in_sip(in);
    bool same = last->sip_call_id && now->sip_call_id && last->sip_cseq && now->sip_cseq &&
                last->sip_cseq->cs_seq == now->sip_cseq->cs_seq &&
                strcmp(last->sip_call_id->i_id, now->sip_call_id->i_id) == 0;
    int status = same ? 482 : 500;
    epc_log(EPC_LOG_INFO, "registration",
            "event=refused flow=%llx status=%d reason=\"another REGISTER is pending\" spec=\"%s\"",
            (unsigned long long)tx->rec->flow_id, status, same ? "RFC 3261 8.2.2.2" : "RFC 3261 10.2");
    if (same)
        epc_sip_in_reply(in, 482, NULL, NULL);
    else
        epc_sip_in_reply(in, 500, "Another Registration Is Pending", "Retry-After: 5\r\n");
}

/* The limits for connections of a source (wss) and of an identity (the roll) make this one hold for both. */
static bool too_often(struct reg_record *rec, struct epc_sip_in *in)
{
    uint32_t most = rec->r->cfg->registration.max_per_minute;
    uint64_t now = epc_now_ms();
    char extra[40];
    if (now - rec->minute_ms >= 60000) {
        rec->minute_ms = now;
        rec->recent = 0;
    }
    if (most == 0 || ++rec->recent <= most)
        return false;
    epc_count(EPC_C_REG_TOO_OFTEN);
    if (rec->recent == most + 1)
        epc_log(EPC_LOG_WARN, "registration", "event=too_often flow=%llx limit=%u",
                (unsigned long long)rec->flow_id, (unsigned)most);
    snprintf(extra, sizeof extra, "Retry-After: %u\r\n",
             (unsigned)((rec->minute_ms + 60000 - now + 999) / 1000));
    epc_sip_in_reply(in, 500, "Too Many Registrations", extra);
    return true;
}

void epc_reg_handle(struct epc_reg *r, struct epc_sip_in *in)
{
    EPC_ASSERT_OWNER(r->sh);
    struct epc_cause cause = {0};
    struct epc_flow *flow = epc_wss_flow(r->wss, epc_sip_in_flow(in));
    struct reg_record *rec = flow ? record_get(r, epc_sip_in_flow(in)) : NULL;
    bool refused = rec && too_often(rec, in);
    struct reg_tx *tx = rec && !refused && !rec->tx ? calloc(1, sizeof *tx) : NULL;
    if (!tx) {
        if (rec && rec->tx && !refused)
            refuse_overlapping(rec->tx, in);
        epc_count(EPC_C_REG_REFUSED);
        epc_sip_in_release(in);
        return;
    }
    tx->rec = rec;
    tx->in = in;
    rec->tx = tx;
    if (reg_redirect(tx))
        return;
    enum epc_err err = reg_read_request(tx, &cause);
    if (err == EPC_OK) {
        reg_choose_mode(tx, epc_flow_origin(flow));
        return;
    }
    if (!cause.sip_status)
        epc_cause_set(&cause, 500, NULL, "Out Of Memory");
    reg_refuse(tx, &cause, NULL);
}

/* ---- life ----------------------------------------------------------------------------------- */

enum epc_err epc_reg_create(struct epc_reg **out, struct epc_shard *sh, struct epc_sip *sip,
                            struct epc_auth *auth, const struct epc_config *cfg)
{
    if (!out || !sh || !sip || !auth || !cfg)
        return EPC_EINVAL;
    struct epc_reg *r = calloc(1, sizeof *r);
    if (!r)
        return EPC_ENOMEM;
    *r = (struct epc_reg){.sh = sh, .sip = sip, .auth = auth, .cfg = cfg};
    enum epc_err err = epc_hash_init(&r->by_flow, flow_eq);
    if (err == EPC_OK) {
        err = epc_hash_init(&r->by_key, key_eq);
        if (err != EPC_OK)
            epc_hash_free(&r->by_flow);
    }
    if (err == EPC_OK) {
        err = reg_roll_create(r);
        if (err != EPC_OK) {
            epc_hash_free(&r->by_flow);
            epc_hash_free(&r->by_key);
        }
    }
    if (err == EPC_OK) {
        err = reg_replay_create(r);
        if (err != EPC_OK) {
            epc_hash_free(&r->by_flow);
            epc_hash_free(&r->by_key);
            reg_roll_destroy(r);
        }
    }
    if (err == EPC_OK)
        *out = r;
    else
        free(r);
    return err;
}

static void destroy_record(struct epc_hnode *node, void *arg)
{
    struct reg_record *rec = EPC_CONTAINER(node, struct reg_record, by_flow);
    struct epc_reg *r = arg;
    if (rec->tx)
        reg_tx_end(rec->tx);
    epc_timer_stop(r->sh, &rec->expiry);
    epc_timer_stop(r->sh, &rec->grace);
    epc_timer_stop(r->sh, &rec->linger);
    epc_hash_del(&r->by_flow, node);
    if (rec->grant) {
        epc_hash_del(&r->by_key, &rec->by_key);
        epc_count_add(EPC_C_REG_BINDINGS, -1);
        epc_count(EPC_C_REG_REMOVED);
    }
    reg_grant_free(rec->grant);
    free_record(rec);
}

void epc_reg_destroy(struct epc_reg *r)
{
    if (!r)
        return;
    r->closing = true;
    reg_checks_cancel(r);
    epc_hash_each(&r->by_flow, destroy_record, r);
    epc_hash_free(&r->by_flow);
    epc_hash_free(&r->by_key);
    reg_roll_destroy(r);
    reg_replay_destroy(r);
    free(r);
}

void epc_reg_set_wss(struct epc_reg *r, struct epc_wss *w)
{
    r->wss = w;
}

void epc_reg_set_peers(struct epc_reg *r, const struct epc_reg_peers *peers)
{
    r->peers = *peers;
}

void epc_reg_on_bound(struct epc_reg *r, epc_reg_bound_fn *fn, void *arg)
{
    r->bound = fn;
    r->bound_arg = arg;
}

void epc_reg_on_access(struct epc_reg *r, epc_reg_access_fn *fn, void *arg)
{
    r->access = fn;
    r->access_arg = arg;
}

void epc_reg_on_gone(struct epc_reg *r, epc_reg_gone_fn *fn, void *arg)
{
    r->gone = fn;
    r->gone_arg = arg;
}

void epc_reg_on_moved(struct epc_reg *r, epc_reg_moved_fn *fn, void *arg)
{
    r->moved = fn;
    r->moved_arg = arg;
}

void epc_reg_on_token_end(struct epc_reg *r, epc_reg_busy_fn *fn, void *arg)
{
    r->busy = fn;
    r->busy_arg = arg;
}

const struct epc_binding *epc_reg_by_flow(struct epc_reg *r, uint64_t flow_id)
{
    const struct reg_record *rec = reg_record_find(r, flow_id);
    return rec && rec->grant ? &rec->public : NULL;
}

void epc_reg_flow_closed(struct epc_reg *r, uint64_t flow_id)
{
    struct reg_record *rec = reg_record_find(r, flow_id);
    if (!rec)
        return;
    rec->flow_open = false;
    reg_event(rec, REG_EV_FLOW_CLOSED);
}

struct each {
    void (*fn)(const struct epc_binding *b, void *arg);
    void *arg;
};

static void visit(struct epc_hnode *node, void *arg)
{
    const struct reg_record *rec = EPC_CONTAINER(node, struct reg_record, by_flow);
    const struct each *e = arg;
    if (rec->grant)
        e->fn(&rec->public, e->arg);
}

void epc_reg_each(struct epc_reg *r, void (*fn)(const struct epc_binding *b, void *arg), void *arg)
{
    struct each e = {fn, arg};
    epc_hash_each(&r->by_flow, visit, &e);
}
