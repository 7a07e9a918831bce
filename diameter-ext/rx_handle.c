/* Handles (see rx_priv.h): the policy client's functions and the queue of requests behind them. */
#include "rx_history.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* So many requests wait one by one; more than these go into one AAR together, and more than the second
 * number are refused: what asks that often does not wait for answers. */
enum { QUEUE_SINGLY = 8, QUEUE_MAX = 64 };

static void handle_next(struct epc_policy_session *h);

static void request_free(struct rx_request *q)
{
    rx.host->info_free(q->info);
    free(q);
}

static void take_full(struct epc_policy_session *h, struct epc_service_info *info)
{
    rx.host->info_free(h->full);
    h->full = info;
}

/* ---- the end of what is asked --------------------------------------------------------------------- */

/* Take what was asked off the queue; its callbacks follow. */
static struct rx_request *take_asked(struct epc_policy_session *h)
{
    struct rx_request *first = h->queue, **end = &first;
    for (size_t i = 0; i < h->n_asked; i++)
        end = &(*end)->next;
    h->queue = *end;
    *end = NULL;
    if (!h->queue)
        h->queue_tail = &h->queue;
    h->n_queued -= h->n_asked;
    h->n_asked = 0;
    return first;
}

static void hold_back(struct epc_policy_session *h, const struct epc_policy_result *r)
{
    if (r->experimental && r->code == 4261 && r->retry_interval_s && !r->held_back && h->asked)
        rx_interval_add(h->rs, &h->ue, h->asked, r->retry_interval_s);
}

void rx_handle_done(struct epc_policy_session *h, const struct epc_policy_result *r)
{
    struct rx_request *done = take_asked(h);
    struct epc_policy_result kept = *r; /* r may be h->early */
    rx_history_concluded(h, &kept);
    rx.host->timer_stop(h->rs->shard, &h->timer);
    h->has_early = h->unsent = h->displaced = false;
    hold_back(h, &kept);
    /* What was not refused is what the caller's next request is a difference to. */
    if (kept.outcome != EPC_POLICY_REFUSED && h->asked) {
        take_full(h, h->asked);
        h->asked = NULL;
    }
    handle_next(h);
    while (done) {
        struct rx_request *q = done;
        done = q->next;
        if (!h->closed)
            q->done(q->arg, &kept);
        request_free(q);
    }
}

void rx_handle_again(struct epc_policy_session *h)
{
    rx.host->timer_stop(h->rs->shard, &h->timer);
    h->n_asked = 0;
    h->again = true; /* within the same time */
    handle_next(h);
}

static void on_timer(void *arg)
{
    struct epc_policy_session *h = arg;
    struct rx_assoc *a = h->assoc;
    struct epc_policy_result r = {.outcome = EPC_POLICY_TIMED_OUT};
    if (h->has_early) {
        if (h->unsent && a)
            rx_assoc_event(a, RX_EV_UNDELIVERED, &h->early);
        else
            rx_handle_done(h, &h->early);
        return;
    }
    epc_count(EPC_C_RX_TIMEOUT);
    epc_log(EPC_LOG_WARN, "rx", "event=timeout after_ms=%" PRIu32 " session=%s",
            rx.host->cfg->timeout_ms, a ? a->session_id : "-");
    if (a)
        rx_assoc_event(a, RX_EV_TIMEOUT, &r);
    else
        rx_handle_done(h, &r);
}

/* ---- asking --------------------------------------------------------------------------------------- */

/* The UE's address is the key that binds a Rx session to its IP-CAN session, and cannot change in it. */
static void leave_old_address(struct epc_policy_session *h)
{
    struct rx_assoc *a = h->assoc;
    h->rebind = false;
    if (!a)
        return;
    rx_history_remark(a, "The UE has another address: this session ends, a new one begins for the new address.");
    rx_assoc_unlink(a);
    rx_assoc_event(a, RX_EV_DETACH, NULL);
}

/* h->asked: what holds so far and the next requests on top of it. */
static enum epc_err gather(struct epc_policy_session *h)
{
    struct epc_service_info *all = NULL;
    enum epc_err e = h->full ? rx.host->info_merge(&all, h->full) : EPC_OK;
    const struct rx_request *q = h->queue;
    for (size_t i = 0; i < h->n_asked && !e; i++, q = q->next)
        e = rx.host->info_merge(&all, q->info);
    if (e) {
        rx.host->info_free(all);
        return e;
    }
    rx.host->info_free(h->asked);
    h->asked = all;
    return EPC_OK;
}

static void early(struct epc_policy_session *h, const struct epc_policy_result *r)
{
    h->early = *r;
    h->has_early = true;
}

/* Of all media there are none that this PCRF bears. */
static bool has_nothing(const struct epc_policy_session *h, const struct epc_service_info *delta)
{
    return delta->n_components == 0 && !h->signalling && !h->want_access_info;
}

/* @return EPC_OK: sent, or a result is there without sending. */
static enum epc_err ask(struct epc_policy_session *h)
{
    static const struct epc_policy_result nothing_new = {.outcome = EPC_POLICY_GRANTED};
    bool initial = !h->assoc;
    struct epc_service_info *delta = NULL;
    struct rx_assoc *a = initial ? rx_assoc_new(h) : h->assoc;
    if (!a)
        return EPC_ENOMEM;
    h->unsent = initial; /* until it is on its way */
    enum epc_err e = rx_told_prepare(a, h->asked, &delta);
    if (e)
        return e;
    if (!delta || (initial && has_nothing(h, delta))) {
        rx.host->info_free(delta);
        early(h, &nothing_new);
        return EPC_OK;
    }
    if (!initial)
        rx_assoc_event(a, RX_EV_UPDATE, NULL);
    h->unsent = true;
    e = rx_send_aar(a, delta, initial);
    h->unsent = e != EPC_OK;
    rx.host->info_free(delta);
    return e;
}

static bool held_back(struct epc_policy_session *h)
{
    uint32_t left = rx_interval_left(h->rs, &h->ue, h->asked);
    if (!left)
        return false;
    epc_log(EPC_LOG_INFO, "rx", "event=held-back retry_after_s=%" PRIu32 " key=%s", left,
            h->trace_key ? h->trace_key : "-");
    epc_count(EPC_C_RX_HELD_BACK);
    early(h, &(struct epc_policy_result){.outcome = EPC_POLICY_REFUSED, .code = 4261,
                                         .experimental = true, .retry_interval_s = left,
                                         .held_back = true});
    return true;
}

static void start_timer(struct epc_policy_session *h)
{
    uint64_t now = epc_now_ms(), wait = h->deadline_ms > now ? h->deadline_ms - now : 1;
    rx.host->timer_start(h->rs->shard, &h->timer, h->has_early ? 0 : wait, on_timer, h);
}

/* Send the head of the queue if nothing is outstanding. Never calls back. */
static void handle_next(struct epc_policy_session *h)
{
    if (h->n_asked || !h->queue)
        return;
    h->n_asked = h->n_queued > QUEUE_SINGLY ? h->n_queued : 1;
    if (!h->again)
        h->deadline_ms = epc_now_ms() + rx.host->cfg->timeout_ms;
    h->again = false;
    if (h->rebind)
        leave_old_address(h);
    enum epc_err e = gather(h);
    if (!e && !held_back(h))
        e = ask(h);
    if (e)
        early(h, &(struct epc_policy_result){.outcome = e == EPC_ELIMIT ? EPC_POLICY_UNREACHABLE
                                                                        : EPC_POLICY_FAILED});
    start_timer(h);
}

/* ---- the client's functions ------------------------------------------------------------------------ */

static void handle_free(void *obj)
{
    struct epc_policy_session *h = obj;
    rx_history_handle_gone(h);
    while (h->queue) {
        struct rx_request *q = h->queue;
        h->queue = q->next;
        request_free(q);
    }
    rx.host->info_free(h->full);
    rx.host->info_free(h->asked);
    free(h->impu);
    free(h->impi);
    free(h->icid);
    free(h->icsi);
    free(h->service_urn);
    free(h->called);
    free(h->calling);
    free(h->mps);
    free(h->trace_key);
    free(h);
}

static struct rx_shard *shard_of(struct epc_shard *sh)
{
    unsigned i = rx.host->shard_index(sh);
    if (i >= RX_MAX_SHARDS)
        return NULL;
    struct rx_shard *rs = atomic_load(&rx.shard[i]);
    if (rs)
        return rs;
    rs = calloc(1, sizeof *rs);
    if (!rs || epc_hash_init(&rs->assocs, rx_assoc_same_token) ||
        epc_hash_init(&rs->orphans, rx_orphan_of_ue)) {
        if (rs)
            epc_hash_free(&rs->assocs);
        free(rs);
        return NULL;
    }
    rs->shard = sh;
    rs->index = i;
    atomic_store(&rx.shard[i], rs);
    return rs;
}

static bool copy_text(char **to, const char *from)
{
    *to = from && from[0] ? strdup(from) : NULL;
    return *to || !from || !from[0];
}

static enum epc_err client_open(struct epc_policy_client *c, const struct epc_policy_open *o,
                                struct epc_policy_session **out)
{
    (void)c;
    struct epc_policy_session *h = calloc(1, sizeof *h);
    if (!h)
        return EPC_ENOMEM;
    h->queue_tail = &h->queue;
    h->on_event = o->on_event;
    h->arg = o->arg;
    h->reservation_priority = o->reservation_priority;
    h->signalling = o->signalling;
    h->want_access_info = o->want_access_info;
    if (o->ue)
        h->ue = *o->ue;
    h->rs = shard_of(o->shard);
    if (!h->rs || !copy_text(&h->impu, o->impu) || !copy_text(&h->impi, o->impi) ||
        !copy_text(&h->icid, o->icid) || !copy_text(&h->icsi, o->icsi) ||
        !copy_text(&h->service_urn, o->service_urn) || !copy_text(&h->called, o->called) ||
        !copy_text(&h->calling, o->calling) || !copy_text(&h->mps, o->mps) ||
        !copy_text(&h->trace_key, o->trace_key)) {
        handle_free(h);
        return EPC_ENOMEM;
    }
    *out = h;
    return EPC_OK;
}

static enum epc_err client_request(struct epc_policy_session *h, struct epc_service_info **info,
                                   epc_policy_done_fn *done, void *arg)
{
    if (h->n_queued >= QUEUE_MAX) {
        epc_log(EPC_LOG_WARN, "rx", "event=session-queue-full limit=%d", QUEUE_MAX);
        return EPC_ELIMIT;
    }
    struct rx_request *q = calloc(1, sizeof *q);
    if (!q)
        return EPC_ENOMEM;
    *q = (struct rx_request){.info = *info, .done = done, .arg = arg};
    h->signalling = h->signalling || (*info)->signalling;
    *info = NULL;
    *h->queue_tail = q;
    h->queue_tail = &q->next;
    h->n_queued++;
    handle_next(h);
    return EPC_OK;
}

static enum epc_err client_rebind(struct epc_policy_session *h, const struct epc_addr *ue)
{
    h->rebind = h->rebind || !epc_addr_same_ip(&h->ue, ue);
    h->ue = *ue;
    return EPC_OK;
}

static void client_close(struct epc_policy_session *h)
{
    if (!h)
        return;
    struct rx_assoc *a = h->assoc;
    rx.host->timer_stop(h->rs->shard, &h->timer);
    h->closed = true;
    if (a) {
        rx_assoc_unlink(a);
        if (h->unsent) /* nothing is outstanding: no answer would ever end the wait for it */
            rx_assoc_event(a, RX_EV_UNDELIVERED, NULL);
        if (a->state != RX_ENDED)
            rx_assoc_event(a, RX_EV_DETACH, NULL);
    }
    rx.host->doom(h->rs->shard, handle_free, h);
}

void rx_client_init(struct epc_policy_client *c)
{
    *c = (struct epc_policy_client){.open = client_open, .request = client_request,
                                    .rebind = client_rebind, .note = rx_history_note,
                                    .close = client_close};
}
