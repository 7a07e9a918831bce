/* Our transactions (H.248.1 8.2, Annex D.1). Over UDP a request is repeated, at growing distances, until
 * something comes back. A request that is given up stays known for LONG-TIMER: what a late reply says to
 * have made has no owner, and is subtracted. */
#include "gateway/h248/assoc.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/h248/wire.h"

static bool trans_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, struct h248_trans, node)->id == *(const uint32_t *)key;
}

/* Ids go on where the clock is: a restarted process does not use those of the last LONG-TIMER again,
 * as long as it made less than 8192 a second. */
enum epc_err h248_trans_init(struct h248_hub *h)
{
    h->next_id = (uint32_t)(epc_wall_s() << 13);
    return epc_hash_init(&h->trans, trans_eq);
}

static struct h248_trans *find(struct h248_hub *h, uint32_t id)
{
    struct epc_hnode *n = epc_hash_find(&h->trans, epc_hash_u64(id), &id);
    return n ? EPC_CONTAINER(n, struct h248_trans, node) : NULL;
}

static uint32_t fresh_id(struct h248_hub *h)
{
    do
        h->next_id++;
    while (h->next_id == 0 || find(h, h->next_id));
    return h->next_id;
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void trans_free(struct h248_trans *t)
{
    struct h248_hub *h = t->mg->hub;
    epc_timer_stop(h->sh, &t->timer);
    epc_hash_del(&h->trans, &t->node);
    *t->prev = t->next;
    if (t->next)
        t->next->prev = t->prev;
    free(t->text);
    free(t->key);
    free(t);
}

/* No longer open: what the gateway's load is counted by. */
static void closed(struct h248_trans *t)
{
    t->mg->n_open--;
    if (t->creates)
        t->mg->n_opening--;
}

static void on_late_over(void *arg)
{
    trans_free(arg);
}

static void give_up(struct h248_trans *t, enum epc_err err, unsigned error)
{
    struct h248_hub *h = t->mg->hub;
    h248_trans_fn *done = t->done;
    void *arg = t->arg;
    closed(t);
    epc_count(EPC_C_GW_TIMEOUTS);
    t->late = true;
    t->done = NULL;
    free(t->text);
    t->text = NULL;
    epc_timer_start(h->sh, &t->timer, h->cfg->long_timer_ms, on_late_over, t);
    if (done)
        done(arg, err, error, NULL, NULL);
}

static enum epc_err transmit(struct h248_trans *t)
{
    struct h248_mg *mg = t->mg;
    wire_trace(true, &mg->path, t->key ? t->key : mg->key, (struct epc_str){t->text, t->n});
    return h248_net_send(mg->hub->net, &mg->path, t->text, t->n);
}

/* An eighth to either side, so that what was lost together is not repeated together. */
static uint64_t jittered(uint64_t ms)
{
    uint16_t r;
    epc_random(&r, sizeof r);
    return ms - ms / 8 + ms * r / 65536 / 4;
}

static void on_wait_over(void *arg);

static void arm(struct h248_trans *t)
{
    struct h248_hub *h = t->mg->hub;
    uint64_t now = epc_now_ms(), left = t->deadline_ms > now ? t->deadline_ms - now : 0;
    uint64_t wait = jittered(t->wait_ms);
    bool again = !t->mg->path.conn && t->tries < h->cfg->retransmit_tries && wait < left;
    epc_timer_start(h->sh, &t->timer, again ? wait : left, on_wait_over, t);
}

static void on_wait_over(void *arg)
{
    struct h248_trans *t = arg;
    struct h248_mg *mg = t->mg;
    const struct epc_cfg_h248 *cfg = mg->hub->cfg;
    if (epc_now_ms() >= t->deadline_ms) {
        epc_log(EPC_LOG_WARN, "gateway", "event=iq-no-reply gateway=%s transaction=%u repeated=%u pendings=%u", mg->mid,
                (unsigned)t->id, t->tries, t->pendings);
        give_up(t, EPC_ETIMEDOUT, 0);
        return;
    }
    t->tries++;
    t->wait_ms = t->wait_ms * 2 < cfg->retransmit_max_ms ? t->wait_ms * 2 : cfg->retransmit_max_ms;
    epc_count(EPC_C_IQ_REPEATED);
    if (mg->reachable && transmit(t) != EPC_OK)
        epc_log(EPC_LOG_DEBUG, "gateway", "event=iq-not-repeated gateway=%s transaction=%u", mg->mid, (unsigned)t->id);
    arm(t);
}

static enum epc_err print(struct h248_trans *t, struct epc_h248_message *msg, const char *actions)
{
    struct epc_buf b = {0};
    enum epc_err err = EPC_OK;
    if (msg)
        err = wire_print(&b, t->mg, msg, t->id);
    else
        wire_request(&b, t->mg, t->id, actions);
    if (err != EPC_OK) {
        epc_buf_free(&b);
        return err;
    }
    t->text = epc_buf_take(&b, &t->n);
    return t->text ? EPC_OK : EPC_ENOMEM;
}

enum epc_err h248_trans_send(struct h248_mg *mg, struct epc_h248_message *msg, const char *actions,
                             const char *key, h248_trans_fn *done, void *arg)
{
    struct h248_hub *h = mg->hub;
    struct h248_trans *t = mg->reachable ? calloc(1, sizeof *t) : NULL;
    if (!t)
        return mg->reachable ? EPC_ENOMEM : EPC_EIO;
    t->mg = mg;
    t->id = fresh_id(h);
    enum epc_err err = print(t, msg, actions);
    if (err == EPC_OK && key && !(t->key = strdup(key)))
        err = EPC_ENOMEM;
    if (err == EPC_OK)
        err = transmit(t);
    if (err != EPC_OK) {
        free(t->text);
        free(t->key);
        free(t);
        return err;
    }
    t->creates = msg && wire_creates(msg);
    t->done = done;
    t->arg = arg;
    t->wait_ms = h->cfg->retransmit_ms;
    t->sent_us = now_us();
    t->deadline_ms = epc_now_ms() + h->media->timeout_ms;
    t->next = mg->open;
    t->prev = &mg->open;
    if (t->next)
        t->next->prev = &t->next;
    mg->open = t;
    mg->n_open++;
    if (t->creates)
        mg->n_opening++;
    epc_hash_add(&h->trans, &t->node, epc_hash_u64(t->id));
    epc_count(EPC_C_GW_REQUESTS);
    arm(t);
    return EPC_OK;
}

const char *h248_key_of(const struct h248_mg *mg, const struct epc_h248_message *msg)
{
    const struct h248_trans *t = mg && msg->n_transactions ? find(mg->hub, msg->transaction[0].id) : NULL;
    bool theirs = msg->n_transactions && msg->transaction[0].kind == EPC_H248_T_REQUEST;
    return t && t->key && !theirs ? t->key : mg ? mg->key : NULL;
}

/* ---- what comes back ----------------------------------------------------------------------------------- */

static void measure(struct h248_trans *t)
{
    struct h248_mg *mg = t->mg;
    uint64_t us = now_us() - t->sent_us;
    if (t->tries || t->pendings || us > UINT32_MAX)
        return; /* which of the copies was answered is not known */
    mg->rtt_us = mg->rtt_us ? (uint32_t)((mg->rtt_us * 7ull + us) / 8) : (uint32_t)us;
}

static void late_reply(struct h248_trans *t, const struct epc_h248_transaction *reply)
{
    epc_count(EPC_C_IQ_LATE);
    epc_log(EPC_LOG_WARN, "gateway", "event=iq-late-reply gateway=%s transaction=%u", t->mg->mid, (unsigned)t->id);
    if (t->creates)
        h248_subtract_orphans(t->mg, reply);
    trans_free(t);
}

void h248_trans_reply(struct h248_mg *mg, struct h248_in *in, const struct epc_h248_transaction *reply)
{
    uint32_t id = reply->id;
    struct h248_trans *t = find(mg->hub, id);
    if (reply->imm_ack_required)
        h248_send_ack(mg, id);
    if (!t || t->mg != mg) {
        epc_count(EPC_C_IQ_STRAY);
        epc_log(EPC_LOG_DEBUG, "gateway", "event=iq-stray-reply gateway=%s transaction=%u", mg->mid, (unsigned)id);
        return;
    }
    if (t->late) {
        late_reply(t, reply);
        return;
    }
    h248_trans_fn *done = t->done;
    void *arg = t->arg;
    unsigned error = reply->error.code;
    epc_count(error ? EPC_C_GW_ERRORS : EPC_C_GW_REPLIES);
    measure(t);
    closed(t);
    trans_free(t);
    if (done)
        done(arg, EPC_OK, error, in, reply);
}

/* The gateway works on it: no repetition before its next sign is due. */
void h248_trans_pending(struct h248_mg *mg, uint32_t id)
{
    struct h248_hub *h = mg->hub;
    struct h248_trans *t = find(h, id);
    epc_count(EPC_C_IQ_PENDINGS_IN);
    if (!t || t->mg != mg || t->late)
        return;
    uint32_t every = mg->mg_pending_ms ? mg->mg_pending_ms : h->cfg->pending_ms;
    uint32_t limit = mg->mg_pending_limit ? mg->mg_pending_limit : h->cfg->pending_limit;
    if (++t->pendings > limit) {
        epc_log(EPC_LOG_WARN, "gateway", "event=iq-too-many-pendings gateway=%s transaction=%u limit=%u", mg->mid,
                (unsigned)id, (unsigned)limit);
        give_up(t, EPC_ETIMEDOUT, 506);
        return;
    }
    t->wait_ms = every;
    t->deadline_ms = epc_now_ms() + every + h->media->timeout_ms;
    arm(t);
}

void h248_trans_fail_all(struct h248_mg *mg, enum epc_err err)
{
    /* A callback may send more, which stands before it in the list, and may not end others. */
    struct h248_trans *next;
    for (struct h248_trans *t = mg->open; t; t = next) {
        next = t->next;
        if (!t->late)
            give_up(t, err, 0);
    }
}

void h248_trans_drop_all(struct h248_mg *mg)
{
    while (mg->open) {
        struct h248_trans *t = mg->open;
        if (!t->late) {
            closed(t);
            epc_count(EPC_C_GW_TIMEOUTS);
        }
        trans_free(t);
    }
}
