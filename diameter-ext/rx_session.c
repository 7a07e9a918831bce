/* Handles and associations (see rx_priv.h), the state machine, the policy client's functions.
 * Spec: RFC 6733 8.1 (client, stateful), TS 29.214 4.4. */
#include "rx_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void handle_next(struct epc_policy_session *h);

/* ---- associations -------------------------------------------------------------------------------- */

static bool same_token(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, const struct rx_assoc, node)->token == *(const uint64_t *)key;
}

struct rx_assoc *rx_assoc_find(struct rx_shard *rs, uint64_t token)
{
    struct epc_hnode *n = epc_hash_find(&rs->assocs, epc_hash_u64(token), &token);
    return n ? EPC_CONTAINER(n, struct rx_assoc, node) : NULL;
}

/* "<identity>;<start>;<count>;<shard>-<token>" (RFC 6733 8.8): the optional part brings RAR and ASR
 * straight to the owning shard; the token cannot be guessed from other Session-Ids. */
static char *session_id(const struct rx_shard *rs, uint64_t token)
{
    struct epc_buf b = {0};
    epc_buf_printf(&b, "%s;%" PRIu32 ";%" PRIu32 ";%x-%016" PRIx64, fd_g_config->cnf_diamid,
                   rx.start_s, atomic_fetch_add(&rx.next_sid, 1), rs->index, token);
    return epc_buf_take(&b, NULL);
}

static bool hex(struct epc_str s, size_t max_digits, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0 || s.n > max_digits)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        unsigned d = c >= '0' && c <= '9' ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                            : 16;
        if (d > 15)
            return false;
        v = v << 4 | d;
    }
    *out = v;
    return true;
}

bool rx_session_id_parse(struct epc_str sid, struct rx_shard **rs, uint64_t *token)
{
    uint64_t index;
    for (int i = 0; i < 3; i++)
        (void)epc_str_cut(&sid, ';');
    if (!sid.p)
        return false;
    struct epc_str shard = epc_str_cut(&sid, '-');
    if (!hex(shard, 4, &index) || index >= RX_MAX_SHARDS || !sid.p || !hex(sid, 16, token))
        return false;
    *rs = atomic_load(&rx.shard[index]);
    return *rs != NULL;
}

static void assoc_free(void *obj)
{
    struct rx_assoc *a = obj;
    free(a->session_id);
    free(a->trace_key);
    free(a->peer_host);
    free(a->peer_realm);
    free((char *)a->class_avp.p);
    free(a);
}

static struct rx_assoc *assoc_new(struct epc_policy_session *h)
{
    struct rx_assoc *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->rs = h->rs;
    do
        epc_random(&a->token, sizeof a->token);
    while (rx_assoc_find(h->rs, a->token));
    a->session_id = session_id(h->rs, a->token);
    a->trace_key = strdup(h->trace_key ? h->trace_key : a->session_id ? a->session_id : "");
    if (!a->session_id || !a->trace_key) {
        assoc_free(a);
        return NULL;
    }
    a->state = RX_PENDING;
    a->handle = h;
    h->assoc = a;
    epc_hash_add(&a->rs->assocs, &a->node, epc_hash_u64(a->token));
    epc_count(EPC_C_RX_SESSIONS);
    return a;
}

/* Freed at the end of the turn: callers up the stack may still look at it. */
static void assoc_end(struct rx_assoc *a)
{
    if (a->doomed)
        return;
    a->doomed = true;
    rx_journal_closed(a);
    epc_hash_del(&a->rs->assocs, &a->node);
    epc_count_add(EPC_C_RX_SESSIONS, -1);
    rx.host->doom(a->rs->shard, assoc_free, a);
}

static void unlink_handle(struct rx_assoc *a)
{
    if (a->handle)
        a->handle->assoc = NULL;
    a->handle = NULL;
}

/* ---- actions ------------------------------------------------------------------------------------- */

static void request_free(struct rx_request *q)
{
    if (!q)
        return;
    if (q->info)
        rx.host->info_free(q->info);
    free(q);
}

/* End the outstanding request. The callback comes last: it may close the handle. */
static void complete(struct epc_policy_session *h, const struct epc_policy_result *r)
{
    struct rx_request *q = h->queue;
    rx.host->timer_stop(h->rs->shard, &h->timer);
    h->busy = false;
    h->send_failure = EPC_POLICY_GRANTED;
    h->queue = q->next;
    if (!h->queue)
        h->queue_tail = &h->queue;
    /* What was not refused counts as told: the caller's next request is a difference to it. */
    if (r->outcome != EPC_POLICY_REFUSED && rx_info_merge(&h->current, q->info))
        epc_log(EPC_LOG_ERROR, "rx", "event=out-of-memory what=service-information");
    handle_next(h);
    q->done(q->arg, r);
    request_free(q);
}

static void act_done(struct rx_assoc *a, const struct epc_policy_result *r)
{
    if (a->handle)
        complete(a->handle, r);
}

static void act_done_unlink(struct rx_assoc *a, const struct epc_policy_result *r)
{
    struct epc_policy_session *h = a->handle;
    unlink_handle(a);
    if (h)
        complete(h, r);
}

static void act_timed_out(struct rx_assoc *a, const struct epc_policy_result *r)
{
    a->late = true;
    a->seq++; /* its answer is none of a later request's */
    act_done(a, r);
}

static void act_timed_out_unlink(struct rx_assoc *a, const struct epc_policy_result *r)
{
    a->late = true; /* keeps its seq: the late answer decides about an STR */
    act_done_unlink(a, r);
}

static void act_str(struct rx_assoc *a, const struct epc_policy_result *r)
{
    (void)r;
    enum epc_err e = rx_send_str(a);
    if (e) {
        epc_log(EPC_LOG_ERROR, "rx", "event=str-not-sent session=%s reason=\"%s\"", a->session_id,
                epc_err_name(e));
        rx_assoc_event(a, RX_EV_UNDELIVERED, NULL);
    }
}

static void act_unlink_str(struct rx_assoc *a, const struct epc_policy_result *r)
{
    act_str(a, r);
    act_done_unlink(a, r);
}

/* The PCRF lost the session: the same request again in a new one, with all that is known. */
static void act_reopen(struct rx_assoc *a, const struct epc_policy_result *r)
{
    struct epc_policy_session *h = a->handle;
    (void)r;
    unlink_handle(a);
    if (!h)
        return;
    epc_log(EPC_LOG_INFO, "rx", "event=reopen lost=%s", a->session_id);
    rx.host->timer_stop(h->rs->shard, &h->timer);
    h->busy = false;
    handle_next(h);
}

/* The handle is told; its next request opens a new session with all that is known. */
static void act_lost(struct rx_assoc *a, const struct epc_policy_result *r)
{
    struct epc_policy_session *h = a->handle;
    (void)r;
    unlink_handle(a);
    epc_log(EPC_LOG_INFO, "rx", "event=lost session=%s", a->session_id);
    if (h && h->on_event)
        h->on_event(h->arg, &(struct epc_policy_event){.kind = EPC_PEV_LOST_SESSION});
}

/* ---- state machine ------------------------------------------------------------------------------- */

typedef void rx_action(struct rx_assoc *a, const struct epc_policy_result *r);

static const struct row {
    enum rx_state state;
    enum rx_event event;
    rx_action *action;
    enum rx_state next;
} rows[] = {
    {RX_PENDING, RX_EV_GRANTED, act_done, RX_OPEN},
    {RX_PENDING, RX_EV_REFUSED, act_done_unlink, RX_ENDED},
    {RX_PENDING, RX_EV_UNKNOWN, act_done_unlink, RX_ENDED},
    {RX_PENDING, RX_EV_UNDELIVERED, act_done_unlink, RX_ENDED},
    {RX_PENDING, RX_EV_TIMEOUT, act_timed_out_unlink, RX_ORPHAN_PENDING},
    {RX_PENDING, RX_EV_EXPIRED, act_unlink_str, RX_DISCON},
    {RX_PENDING, RX_EV_DETACH, NULL, RX_ORPHAN_PENDING},

    {RX_OPEN, RX_EV_UPDATE, NULL, RX_UPDATING},
    {RX_OPEN, RX_EV_DETACH, act_str, RX_DISCON},
    {RX_OPEN, RX_EV_LOST, act_lost, RX_ENDED},

    {RX_UPDATING, RX_EV_GRANTED, act_done, RX_OPEN},
    {RX_UPDATING, RX_EV_REFUSED, act_done, RX_OPEN},
    {RX_UPDATING, RX_EV_UNKNOWN, act_reopen, RX_ENDED},
    {RX_UPDATING, RX_EV_UNDELIVERED, act_done, RX_OPEN},
    {RX_UPDATING, RX_EV_TIMEOUT, act_timed_out, RX_OPEN},
    {RX_UPDATING, RX_EV_EXPIRED, act_done, RX_OPEN},
    {RX_UPDATING, RX_EV_DETACH, NULL, RX_ORPHAN_UPDATING},

    {RX_ORPHAN_PENDING, RX_EV_GRANTED, act_str, RX_DISCON},
    {RX_ORPHAN_PENDING, RX_EV_REFUSED, NULL, RX_ENDED},
    {RX_ORPHAN_PENDING, RX_EV_UNKNOWN, NULL, RX_ENDED},
    {RX_ORPHAN_PENDING, RX_EV_UNDELIVERED, NULL, RX_ENDED},
    {RX_ORPHAN_PENDING, RX_EV_EXPIRED, act_str, RX_DISCON},

    {RX_ORPHAN_UPDATING, RX_EV_GRANTED, act_str, RX_DISCON},
    {RX_ORPHAN_UPDATING, RX_EV_REFUSED, act_str, RX_DISCON},
    {RX_ORPHAN_UPDATING, RX_EV_UNKNOWN, NULL, RX_ENDED},
    {RX_ORPHAN_UPDATING, RX_EV_UNDELIVERED, act_str, RX_DISCON},
    {RX_ORPHAN_UPDATING, RX_EV_EXPIRED, act_str, RX_DISCON},

    {RX_DISCON, RX_EV_GRANTED, NULL, RX_ENDED},
    {RX_DISCON, RX_EV_REFUSED, NULL, RX_ENDED},
    {RX_DISCON, RX_EV_UNKNOWN, NULL, RX_ENDED},
    {RX_DISCON, RX_EV_UNDELIVERED, NULL, RX_ENDED},
    {RX_DISCON, RX_EV_EXPIRED, NULL, RX_ENDED},
};

const char *rx_state_name(enum rx_state s)
{
    static const char *const name[RX_STATE_COUNT] = {
        "Pending", "Open", "Updating", "Orphan-Pending", "Orphan-Updating", "Discon", "Idle"};
    return (unsigned)s < RX_STATE_COUNT ? name[s] : "?";
}

const char *rx_event_name(enum rx_event e)
{
    static const char *const name[RX_EVENT_COUNT] = {
        "granted", "refused", "unknown-session", "undelivered", "timeout", "expired", "update",
        "detach", "pcrf-restarted"};
    return (unsigned)e < RX_EVENT_COUNT ? name[e] : "?";
}

void rx_print_states(FILE *out)
{
    fprintf(out, "digraph rx_session {\n  \"Idle\" -> \"Pending\" [label=\"request\"];\n");
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++)
        fprintf(out, "  \"%s\" -> \"%s\" [label=\"%s\"];\n", rx_state_name(rows[i].state),
                rx_state_name(rows[i].next), rx_event_name(rows[i].event));
    fprintf(out, "}\n");
}

void rx_assoc_event(struct rx_assoc *a, enum rx_event ev, const struct epc_policy_result *r)
{
    static const struct epc_policy_result none = {.outcome = EPC_POLICY_UNREACHABLE};
    const struct row *row = NULL;
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows) && !row; i++)
        if (rows[i].state == a->state && rows[i].event == ev)
            row = &rows[i];
    if (!row) {
        epc_count(EPC_C_FSM_UNEXPECTED);
        epc_log(EPC_LOG_WARN, "rx", "event=unexpected state=%s what=%s session=%s",
                rx_state_name(a->state), rx_event_name(ev), a->session_id);
        return;
    }
    a->state = row->next;
    if (row->action)
        row->action(a, r ? r : &none);
    if (a->state == RX_ENDED)
        assoc_end(a);
}

/* ---- what comes back to the shard ---------------------------------------------------------------- */

static void count_answer(const struct rx_tx *tx, const struct rx_assoc *a, enum rx_event ev)
{
    bool late = a ? a->late || tx->seq != a->seq : false;
    if (tx->command != RX_CC_AA)
        return;
    if (late) {
        if (ev != RX_EV_EXPIRED)
            epc_count(EPC_C_RX_LATE);
    } else if (ev == RX_EV_GRANTED)
        epc_count(EPC_C_RX_AAA_OK);
    else if (ev == RX_EV_UNDELIVERED)
        epc_count(EPC_C_RX_NO_PEER);
    else if (ev == RX_EV_EXPIRED)
        epc_count(EPC_C_RX_TIMEOUT);
    else
        epc_count(EPC_C_RX_AAA_REFUSED);
}

static void on_answer(struct rx_tx *tx)
{
    struct rx_assoc *a = rx_assoc_find(tx->rs, tx->token);
    struct epc_policy_result r = {.outcome = EPC_POLICY_UNREACHABLE};
    enum rx_event ev = tx->event;
    if (tx->msg) {
        rx_trace(false, tx->msg, a ? a->trace_key : NULL);
        ev = rx_read_answer(tx->msg, &r);
    } else if (ev == RX_EV_EXPIRED)
        r.outcome = EPC_POLICY_TIMED_OUT;
    count_answer(tx, a, ev);
    if (!a || tx->seq != a->seq)
        return;
    if (tx->msg)
        rx_peer_answered(a, tx);
    if (ev == RX_EV_GRANTED && tx->command == RX_CC_AA)
        rx_learn_peer(a, tx->msg);
    rx_assoc_event(a, ev, &r);
}

void rx_on_tx(struct epc_shard *sh, void *arg)
{
    struct rx_tx *tx = arg;
    (void)sh;
    if (tx->event == RX_EV_LOST)
        rx_peer_lost(tx->rs, tx->hop, tx->seq);
    else if (tx->command == RX_CC_RA || tx->command == RX_CC_AS)
        rx_push(tx);
    else
        on_answer(tx);
    rx_tx_free(tx);
}

/* ---- handles ------------------------------------------------------------------------------------- */

static void on_timer(void *arg)
{
    struct epc_policy_session *h = arg;
    struct rx_assoc *a = h->assoc;
    struct epc_policy_result r = {.outcome = EPC_POLICY_TIMED_OUT};
    enum rx_event ev = RX_EV_TIMEOUT;
    if (h->send_failure != EPC_POLICY_GRANTED) {
        r.outcome = h->send_failure;
        ev = RX_EV_UNDELIVERED;
    } else {
        epc_count(EPC_C_RX_TIMEOUT);
        epc_log(EPC_LOG_WARN, "rx", "event=timeout after_ms=%" PRIu32 " session=%s",
                rx.host->cfg->timeout_ms, a ? a->session_id : "-");
    }
    if (a)
        rx_assoc_event(a, ev, &r);
    else
        complete(h, &r);
}

/* An initial AAR carries all that is known; @p delta alone would not do after 5002 or a time-out. */
static enum epc_err send_initial(struct epc_policy_session *h, const struct epc_service_info *delta)
{
    struct epc_service_info *all = NULL;
    enum epc_err e = h->current ? rx_info_merge(&all, h->current) : EPC_OK;
    if (!e)
        e = rx_info_merge(&all, delta);
    if (!e && !assoc_new(h))
        e = EPC_ENOMEM;
    if (!e)
        e = rx_send_aar(h->assoc, all, true);
    if (all)
        rx.host->info_free(all);
    return e;
}

/* The UE's address is the key that binds a Rx session to its IP-CAN session, and cannot change in it. */
static void leave_old_address(struct epc_policy_session *h)
{
    struct rx_assoc *a = h->assoc;
    h->rebind = false;
    if (!a)
        return;
    unlink_handle(a);
    rx_assoc_event(a, RX_EV_DETACH, NULL);
}

/* Send the head of the queue if nothing is outstanding. Never calls back. */
static void handle_next(struct epc_policy_session *h)
{
    enum epc_err e;
    if (h->busy || !h->queue)
        return;
    h->busy = true;
    if (h->rebind)
        leave_old_address(h);
    if (h->assoc) {
        rx_assoc_event(h->assoc, RX_EV_UPDATE, NULL);
        e = rx_send_aar(h->assoc, h->queue->info, false);
    } else
        e = send_initial(h, h->queue->info);
    if (e)
        h->send_failure = e == EPC_ELIMIT ? EPC_POLICY_UNREACHABLE : EPC_POLICY_FAILED;
    rx.host->timer_start(h->rs->shard, &h->timer, e ? 0 : rx.host->cfg->timeout_ms, on_timer, h);
}

static void handle_free(void *obj)
{
    struct epc_policy_session *h = obj;
    while (h->queue) {
        struct rx_request *q = h->queue;
        h->queue = q->next;
        request_free(q);
    }
    if (h->current)
        rx.host->info_free(h->current);
    free(h->impu);
    free(h->icid);
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
    if (!rs || epc_hash_init(&rs->assocs, same_token)) {
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
    *to = from ? strdup(from) : NULL;
    return *to || !from;
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
    if (o->ue)
        h->ue = *o->ue;
    h->rs = shard_of(o->shard);
    if (!h->rs || !copy_text(&h->impu, o->impu) || !copy_text(&h->icid, o->icid) ||
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
    struct rx_request *q = calloc(1, sizeof *q);
    if (!q)
        return EPC_ENOMEM;
    *q = (struct rx_request){.info = *info, .done = done, .arg = arg};
    *info = NULL;
    *h->queue_tail = q;
    h->queue_tail = &q->next;
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
    bool unsent = h->send_failure != EPC_POLICY_GRANTED;
    rx.host->timer_stop(h->rs->shard, &h->timer);
    if (a) {
        unlink_handle(a);
        if (unsent) /* nothing is outstanding: no answer would ever end the wait for it */
            rx_assoc_event(a, RX_EV_UNDELIVERED, NULL);
        if (a->state != RX_ENDED)
            rx_assoc_event(a, RX_EV_DETACH, NULL);
    }
    rx.host->doom(h->rs->shard, handle_free, h);
}

void rx_client_init(struct epc_policy_client *c)
{
    *c = (struct epc_policy_client){.open = client_open, .request = client_request,
                                     .rebind = client_rebind, .close = client_close};
}

/* ---- the end ------------------------------------------------------------------------------------- */

static void flush_one(struct epc_hnode *node, void *arg)
{
    struct rx_assoc *a = EPC_CONTAINER(node, struct rx_assoc, node);
    (void)arg;
    if (a->state != RX_DISCON && rx_send_str(a))
        epc_log(EPC_LOG_WARN, "rx", "event=str-not-sent session=%s", a->session_id);
}

static void drop_one(struct epc_hnode *node, void *arg)
{
    struct rx_assoc *a = EPC_CONTAINER(node, struct rx_assoc, node);
    struct epc_hash *table = arg;
    epc_hash_del(table, node);
    epc_count_add(EPC_C_RX_SESSIONS, -1);
    if (a->handle)
        epc_log(EPC_LOG_ERROR, "rx", "event=session-never-closed session=%s", a->session_id);
    assoc_free(a);
}

void rx_session_flush(void)
{
    for (size_t i = 0; i < RX_MAX_SHARDS; i++) {
        struct rx_shard *rs = atomic_load(&rx.shard[i]);
        if (rs)
            epc_hash_each(&rs->assocs, flush_one, NULL);
    }
}

void rx_session_fini(void)
{
    for (size_t i = 0; i < RX_MAX_SHARDS; i++) {
        struct rx_shard *rs = atomic_exchange(&rx.shard[i], NULL);
        if (!rs)
            continue;
        epc_hash_each(&rs->assocs, drop_one, &rs->assocs);
        epc_hash_free(&rs->assocs);
        free(rs);
    }
}
