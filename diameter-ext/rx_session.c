/* Associations (see rx_priv.h) and their state machine.
 * Spec: RFC 6733 8.1 (client, stateful), TS 29.214 4.4. */
#include "rx_history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- associations -------------------------------------------------------------------------------- */

bool rx_assoc_same_token(const struct epc_hnode *node, const void *key)
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
    for (size_t i = 0; i < a->n_class; i++)
        free((char *)a->class_avp[i].p);
    rx_told_free(a);
    free(a);
}

static uint64_t ue_hash(const struct epc_addr *ue)
{
    char ip[EPC_ADDR_LEN];
    epc_addr_ip(ue, ip);
    return epc_hash_bytes(ip, strlen(ip));
}

struct rx_assoc *rx_assoc_new(struct epc_policy_session *h)
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
    a->ue = h->ue;
    a->want_access_info = h->want_access_info;
    h->assoc = a;
    epc_hash_add(&a->rs->assocs, &a->node, epc_hash_u64(a->token));
    epc_count(EPC_C_RX_SESSIONS);
    rx_history_opened(a);
    return a;
}

/* Freed at the end of the turn: callers up the stack may still look at it. */
static void assoc_end(struct rx_assoc *a)
{
    if (a->doomed)
        return;
    a->doomed = true;
    rx_history_ended(a);
    rx_journal_closed(a);
    epc_hash_del(&a->rs->assocs, &a->node);
    if (a->orphan)
        epc_hash_del(&a->rs->orphans, &a->ue_node);
    epc_count_add(EPC_C_RX_SESSIONS, -1);
    rx.host->doom(a->rs->shard, assoc_free, a);
}

void rx_assoc_unlink(struct rx_assoc *a)
{
    if (a->handle)
        a->handle->assoc = NULL;
    a->handle = NULL;
}

/* Nobody's any more, and the PCRF may still hold it: another request of its UE may meet it there. */
static void orphan(struct rx_assoc *a)
{
    if (a->orphan)
        return;
    a->orphan = true;
    epc_hash_add(&a->rs->orphans, &a->ue_node, ue_hash(&a->ue));
}

bool rx_orphan_of_ue(const struct epc_hnode *node, const void *ue)
{
    return epc_addr_same_ip(&EPC_CONTAINER(node, const struct rx_assoc, ue_node)->ue, ue);
}

bool rx_assoc_displace(struct rx_assoc *a)
{
    struct epc_hnode *n = epc_hash_find(&a->rs->orphans, ue_hash(&a->ue), &a->ue);
    if (!n)
        return false;
    struct rx_assoc *other = EPC_CONTAINER(n, struct rx_assoc, ue_node);
    epc_log(EPC_LOG_INFO, "rx", "event=displaced session=%s by=%s", other->session_id, a->session_id);
    rx_history_remark(other, "It stood in the way of a new session of the same UE (5064), and is ended for it.");
    rx_history_remark(a, "An older session of this UE that nobody uses any more is ended; the same is asked again "
                         "in a new one.");
    if (other->state != RX_DISCON)
        rx_assoc_event(other, RX_EV_DISPLACED, NULL);
    return true;
}

/* ---- actions ------------------------------------------------------------------------------------- */

static void act_done(struct rx_assoc *a, const struct epc_policy_result *r)
{
    rx_told_settle(a, r);
    if (a->handle)
        rx_handle_done(a->handle, r);
}

static void act_done_unlink(struct rx_assoc *a, const struct epc_policy_result *r)
{
    struct epc_policy_session *h = a->handle;
    rx_assoc_unlink(a);
    if (h)
        rx_handle_done(h, r);
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
    rx_assoc_unlink(a);
    if (!h)
        return;
    epc_log(EPC_LOG_INFO, "rx", "event=reopen lost=%s", a->session_id);
    rx_history_remark(a, "The PCRF does not know the session any more: the same is asked in a new one.");
    rx_handle_again(h);
}

/* The PCRF believes that this service has a session already: what we have of that kind ends, once. */
static void act_duplicate(struct rx_assoc *a, const struct epc_policy_result *r)
{
    struct epc_policy_session *h = a->handle;
    if (!h || h->displaced || !rx_assoc_displace(a)) {
        act_done_unlink(a, r);
        return;
    }
    h->displaced = true;
    rx_assoc_unlink(a);
    rx_handle_again(h);
}

/* The handle is told; its next request opens a new session with all that is known. */
static void act_lost(struct rx_assoc *a, const struct epc_policy_result *r)
{
    struct epc_policy_session *h = a->handle;
    (void)r;
    rx_assoc_unlink(a);
    epc_log(EPC_LOG_INFO, "rx", "event=lost session=%s", a->session_id);
    rx_history_remark(a, "The PCRF has restarted and lost the session; the next request opens a new one.");
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
    {RX_PENDING, RX_EV_DUPLICATE, act_duplicate, RX_ENDED},
    {RX_PENDING, RX_EV_UNCLEAR, act_unlink_str, RX_DISCON},
    {RX_PENDING, RX_EV_UNDELIVERED, act_done_unlink, RX_ENDED},
    {RX_PENDING, RX_EV_TIMEOUT, act_timed_out_unlink, RX_ORPHAN_PENDING},
    {RX_PENDING, RX_EV_EXPIRED, act_unlink_str, RX_DISCON},
    {RX_PENDING, RX_EV_ELSEWHERE, act_reopen, RX_ENDED},
    {RX_PENDING, RX_EV_DETACH, NULL, RX_ORPHAN_PENDING},

    {RX_OPEN, RX_EV_UPDATE, NULL, RX_UPDATING},
    {RX_OPEN, RX_EV_DETACH, act_str, RX_DISCON},
    {RX_OPEN, RX_EV_LOST, act_lost, RX_ENDED},

    {RX_UPDATING, RX_EV_GRANTED, act_done, RX_OPEN},
    {RX_UPDATING, RX_EV_REFUSED, act_done, RX_OPEN},
    {RX_UPDATING, RX_EV_DUPLICATE, act_done, RX_OPEN},
    {RX_UPDATING, RX_EV_UNCLEAR, act_done, RX_OPEN},
    {RX_UPDATING, RX_EV_UNKNOWN, act_reopen, RX_ENDED},
    {RX_UPDATING, RX_EV_UNDELIVERED, act_done, RX_OPEN},
    {RX_UPDATING, RX_EV_TIMEOUT, act_timed_out, RX_OPEN},
    {RX_UPDATING, RX_EV_EXPIRED, act_done, RX_OPEN},
    {RX_UPDATING, RX_EV_ELSEWHERE, act_reopen, RX_ENDED},
    {RX_UPDATING, RX_EV_DETACH, NULL, RX_ORPHAN_UPDATING},

    {RX_ORPHAN_PENDING, RX_EV_GRANTED, act_str, RX_DISCON},
    {RX_ORPHAN_PENDING, RX_EV_REFUSED, NULL, RX_ENDED},
    {RX_ORPHAN_PENDING, RX_EV_UNKNOWN, NULL, RX_ENDED},
    {RX_ORPHAN_PENDING, RX_EV_DUPLICATE, NULL, RX_ENDED},
    {RX_ORPHAN_PENDING, RX_EV_UNCLEAR, act_str, RX_DISCON},
    {RX_ORPHAN_PENDING, RX_EV_UNDELIVERED, NULL, RX_ENDED},
    {RX_ORPHAN_PENDING, RX_EV_EXPIRED, act_str, RX_DISCON},
    {RX_ORPHAN_PENDING, RX_EV_ELSEWHERE, NULL, RX_ENDED},
    {RX_ORPHAN_PENDING, RX_EV_DISPLACED, act_str, RX_DISCON},

    {RX_ORPHAN_UPDATING, RX_EV_GRANTED, act_str, RX_DISCON},
    {RX_ORPHAN_UPDATING, RX_EV_REFUSED, act_str, RX_DISCON},
    {RX_ORPHAN_UPDATING, RX_EV_DUPLICATE, act_str, RX_DISCON},
    {RX_ORPHAN_UPDATING, RX_EV_UNCLEAR, act_str, RX_DISCON},
    {RX_ORPHAN_UPDATING, RX_EV_UNKNOWN, NULL, RX_ENDED},
    {RX_ORPHAN_UPDATING, RX_EV_UNDELIVERED, act_str, RX_DISCON},
    {RX_ORPHAN_UPDATING, RX_EV_EXPIRED, act_str, RX_DISCON},
    {RX_ORPHAN_UPDATING, RX_EV_ELSEWHERE, act_str, RX_DISCON},
    {RX_ORPHAN_UPDATING, RX_EV_DISPLACED, act_str, RX_DISCON},

    {RX_DISCON, RX_EV_GRANTED, NULL, RX_ENDED},
    {RX_DISCON, RX_EV_REFUSED, NULL, RX_ENDED},
    {RX_DISCON, RX_EV_UNKNOWN, NULL, RX_ENDED},
    {RX_DISCON, RX_EV_DUPLICATE, NULL, RX_ENDED},
    {RX_DISCON, RX_EV_UNCLEAR, NULL, RX_ENDED},
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
        "granted", "refused", "unknown-session", "duplicate", "unclear", "undelivered", "timeout",
        "expired", "update", "detach", "displaced", "elsewhere", "pcrf-restarted"};
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
    if (a->state == RX_ORPHAN_PENDING || a->state == RX_ORPHAN_UPDATING)
        orphan(a);
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
    else if (ev != RX_EV_ELSEWHERE)
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
    rx_history_answered(tx, ev, &r);
    if (!a || tx->seq != a->seq)
        return;
    if (tx->msg)
        rx_peer_answered(a, tx);
    if (ev == RX_EV_GRANTED && tx->command == RX_CC_AA) {
        rx_learn_peer(a, tx->msg);
        if (a->handle)
            rx_tell_answer(a, tx->msg);
    }
    rx_assoc_event(a, ev, &r);
}

void rx_on_tx(struct epc_shard *sh, void *arg)
{
    struct rx_tx *tx = arg;
    (void)sh;
    if (tx->event == RX_EV_LOST)
        rx_peer_lost(tx->rs, tx->hop, tx->seq);
    else if (!tx->command)
        rx_history_tried(tx);
    else if (tx->command == RX_CC_RA || tx->command == RX_CC_AS)
        rx_push(tx);
    else
        on_answer(tx);
    rx_tx_free(tx);
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
    if (a->orphan)
        epc_hash_del(&a->rs->orphans, &a->ue_node);
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
        rx_history_fini(rs);
        epc_hash_each(&rs->assocs, drop_one, &rs->assocs);
        epc_hash_free(&rs->assocs);
        epc_hash_free(&rs->orphans);
        rx_interval_free(rs);
        free(rs);
    }
}
