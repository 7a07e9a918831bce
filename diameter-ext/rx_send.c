/* Requests on their way. One thread calls fd_msg_send(), and it never sends to a peer whose queue is
 * full: what freeDiameter's routing thread could not get rid of would hold up all other peers.
 *
 * A request is a *flight*: one or more *attempts*, each to one peer. An attempt that comes to nothing
 * (link lost, 3002 to 3006, no answer within policy.failover_ms) is followed by the next, with the T flag
 * and the same End-to-End identifier (RFC 6733 3, 5.5.4), while policy.timeout_ms is not over. The
 * shard hears of one end, the first that counts; what comes later is dealt with here.
 *
 * freeDiameter's callbacks get the flight's number, never a pointer: the library may drop a message
 * without calling back. */
#include "rx_history.h"
#include "rx_peer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_ATTEMPTS RX_MAX_TRIES
#define MAX_FLIGHTS 50000u
#define LATE_FACTOR 4         /* how long a late answer is told from a stray one: timeout_ms times this */
#define PEERS_AGE_MS 20
#define TICK_MS 50            /* while sessions wait to be closed */
#define IDLE_MS 1000
#define LOOK_MS 2000
#define PARKED_MS 2
#define MANY 64               /* requests before the timers get a look again */

struct attempt {
    struct rx_peer *hop;
    uint64_t sent_ms;
    bool out;                 /* sent and neither answered nor given up */
    bool with_host, our_realm;
    enum rx_try_end end;
    uint32_t code;            /* of an error answer */
};

struct flight {
    struct epc_hnode node;
    uint64_t id;
    size_t heap_at;           /* place in the heap + 1; 0 = not there */
    uint64_t due, give_up, retry_until;
    struct flight *next;      /* list of those to send */
    struct rx_tx *tx;         /* who waits; NULL: already told, or nobody (a STR of our own) */
    struct msg *first;        /* the message, until it has been sent */
    uint8_t *wire;            /* a copy of it, for further attempts; NULL = cannot be sent again */
    size_t wire_n;
    struct msg *bad;          /* an error answer, for want of a better */
    uint32_t command;
    bool opens, bound, closing, told, granted, waits;
    char sid[640], host[RX_NAME_MAX], realm[RX_NAME_MAX]; /* Destination-*, as asked for */
    char winner[RX_NAME_MAX], winner_hop[RX_NAME_MAX];
    struct attempt attempt[MAX_ATTEMPTS];
    size_t n;                 /* attempts begun */
    struct attempt next_try;  /* what the sender shall do; hop NULL = whichever */
    unsigned redirects;
};

struct list {
    struct rx_tx *head, **tail;
    unsigned n;
};

/* See struct rx_ext on globals; guarded by `lock`. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool running, stop, woken, ready;
    struct list out;   /* from the shards; bounded */
    struct list again; /* to shards whose mailbox was full; each belongs to one association */
    struct flight *send, **send_tail;     /* attempts to make */
    struct flight *parked;                /* their peer's queue is full */
    struct epc_hash flights;
    struct flight **heap;
    size_t heap_n, heap_cap;
    uint64_t next_id, look_until;
    struct fd_rt_out_hdl *routing;
    struct fd_hook_hdl *hook;
    _Atomic unsigned outstanding;
} s = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

void rx_lock(void)
{
    pthread_mutex_lock(&s.lock);
}

void rx_unlock(void)
{
    pthread_mutex_unlock(&s.lock);
}

/* With the lock. */
void rx_sender_wake(void)
{
    s.woken = true;
    pthread_cond_signal(&s.wake);
}

static void push(struct list *l, struct rx_tx *tx)
{
    if (!l->head)
        l->tail = &l->head;
    tx->next = NULL;
    *l->tail = tx;
    l->tail = &tx->next;
    l->n++;
}

static struct rx_tx *pop(struct list *l)
{
    struct rx_tx *tx = l->head;
    if (tx) {
        l->head = tx->next;
        l->n--;
    }
    return tx;
}

void rx_tx_free(struct rx_tx *tx)
{
    if (!tx)
        return;
    if (tx->msg)
        fd_msg_free(tx->msg);
    free(tx->tried);
    free(tx);
}

unsigned rx_outstanding(void)
{
    return atomic_load(&s.outstanding);
}

static bool is_request(const struct rx_tx *tx)
{
    return tx->command == RX_CC_AA || tx->command == RX_CC_ST;
}

enum epc_err rx_send(struct rx_tx *tx)
{
    enum epc_err e = EPC_ELIMIT;
    pthread_mutex_lock(&s.lock);
    if (s.running && s.out.n < RX_SEND_QUEUE_MAX && s.flights.n_items < MAX_FLIGHTS) {
        if (is_request(tx))
            atomic_fetch_add(&s.outstanding, 1);
        push(&s.out, tx);
        rx_sender_wake();
        e = EPC_OK;
    }
    pthread_mutex_unlock(&s.lock);
    if (e)
        epc_log(EPC_LOG_WARN, "rx", "event=send-queue-full limit=%d", RX_SEND_QUEUE_MAX);
    return e;
}

/* ---- to the shards ---------------------------------------------------------------------------------- */

/* @return false: try again later (@p tx is still the caller's). */
static bool deliver(struct rx_tx *tx)
{
    enum epc_err e = rx.host->post(tx->rs->shard, rx_on_tx, tx);
    if (e == EPC_ELIMIT)
        return false;
    if (e)
        rx_tx_free(tx); /* the shard is gone, and with it who asked */
    return true;
}

void rx_deliver(struct rx_tx *tx)
{
    if (is_request(tx))
        atomic_fetch_sub(&s.outstanding, 1);
    if (deliver(tx))
        return;
    epc_log(EPC_LOG_WARN, "rx", "event=mailbox-full shard=%u", tx->rs->index);
    pthread_mutex_lock(&s.lock);
    push(&s.again, tx);
    rx_sender_wake();
    pthread_mutex_unlock(&s.lock);
}

static void deliver_all(struct list *l)
{
    for (struct rx_tx *tx; (tx = pop(l));)
        rx_deliver(tx);
}

/* ---- flights: a table by number, a heap by time (with the lock) -------------------------------------- */

static bool same_id(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, const struct flight, node)->id == *(const uint64_t *)key;
}

static struct flight *flight_find(uint64_t id)
{
    struct epc_hnode *n = s.ready ? epc_hash_find(&s.flights, epc_hash_u64(id), &id) : NULL;
    return n ? EPC_CONTAINER(n, struct flight, node) : NULL;
}

static void heap_set(size_t at, struct flight *f)
{
    s.heap[at] = f;
    f->heap_at = at + 1;
}

static void heap_sift(size_t at)
{
    struct flight *f = s.heap[at];
    for (size_t up; at > 0 && s.heap[up = (at - 1) / 2]->due > f->due; at = up)
        heap_set(at, s.heap[up]);
    for (size_t down; (down = 2 * at + 1) < s.heap_n; at = down) {
        if (down + 1 < s.heap_n && s.heap[down + 1]->due < s.heap[down]->due)
            down++;
        if (s.heap[down]->due >= f->due)
            break;
        heap_set(at, s.heap[down]);
    }
    heap_set(at, f);
}

static void set_due(struct flight *f, uint64_t due)
{
    f->due = due;
    if (!f->heap_at)
        heap_set(s.heap_n++, f); /* there is room: flight_new() */
    heap_sift(f->heap_at - 1);
}

static void heap_remove(struct flight *f)
{
    if (!f->heap_at)
        return;
    size_t at = f->heap_at - 1;
    f->heap_at = 0;
    struct flight *last = s.heap[--s.heap_n];
    if (last == f)
        return;
    heap_set(at, last);
    heap_sift(at);
}

static struct flight *flight_new(uint32_t command)
{
    if (s.flights.n_items + 1 > s.heap_cap) { /* room for every flight there is */
        size_t cap = s.heap_cap ? 2 * s.heap_cap : 256;
        struct flight **grown = realloc(s.heap, cap * sizeof(struct flight *));
        if (!grown)
            return NULL;
        s.heap = grown;
        s.heap_cap = cap;
    }
    struct flight *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    uint64_t now = epc_now_ms(), timeout = rx.host->cfg->timeout_ms;
    f->id = ++s.next_id;
    f->command = command;
    f->give_up = now + timeout * LATE_FACTOR;
    f->retry_until = now + timeout;
    epc_hash_add(&s.flights, &f->node, epc_hash_u64(f->id));
    return f;
}

static void flight_free(struct flight *f)
{
    heap_remove(f);
    epc_hash_del(&s.flights, &f->node);
    if (f->first)
        fd_msg_free(f->first);
    if (f->bad)
        fd_msg_free(f->bad);
    rx_tx_free(f->tx);
    free(f->wire);
    free(f);
}

static bool any_out(const struct flight *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->attempt[i].out)
            return true;
    return false;
}

static void attempt_over(struct attempt *a)
{
    if (!a->out)
        return;
    a->out = false;
    a->hop->outstanding--;
}

/* ---- what comes next (with the lock) ------------------------------------------------------------------ */

static uint64_t failover_ms(void)
{
    uint64_t ms = rx.host->cfg->failover_ms ? rx.host->cfg->failover_ms : 1000;
    uint64_t most = rx.host->cfg->timeout_ms / 2;
    return ms < most ? ms : most;
}

static void queue_attempt(struct flight *f)
{
    if (f->waits)
        return;
    f->waits = true;
    f->next = NULL;
    if (!s.send)
        s.send_tail = &s.send;
    *s.send_tail = f;
    s.send_tail = &f->next;
    rx_sender_wake();
}

static size_t hops_tried(const struct flight *f, bool without_host, struct rx_peer *out[MAX_ATTEMPTS])
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        if (!without_host || !f->attempt[i].with_host)
            out[n++] = f->attempt[i].hop;
    return n;
}

/* What a failed attempt means for the next one. */
enum failure { FAIL_LINK, FAIL_SILENT, FAIL_NOT_DELIVERED, FAIL_NO_REALM, FAIL_BUSY };

static enum rx_try_end end_of(enum failure why)
{
    return why == FAIL_LINK     ? RX_TRY_LINK
           : why == FAIL_SILENT ? RX_TRY_SILENT
           : why == FAIL_BUSY   ? RX_TRY_BUSY
                                : RX_TRY_NOT_DELIVERED;
}

/* For the history: where the request went. One that was simply answered needs no such list. */
static struct rx_tried *tries_of(const struct flight *f)
{
    bool plain = f->n == 0 || (f->n == 1 && f->attempt[0].end == RX_TRY_ANSWERED);
    struct rx_tried *t = plain || !rx_history_on() ? NULL : calloc(1, sizeof *t);
    for (size_t i = 0; t && i < f->n; i++, t->n++) {
        const struct attempt *a = &f->attempt[i];
        t->one[i] = (struct rx_try){.sent_ms = a->sent_ms, .code = a->code, .end = a->end};
        memcpy(t->one[i].hop, a->hop->host, sizeof t->one[i].hop);
    }
    return t;
}

/* The shard may end its wait before the flight ends: it knows where the request has gone until then. */
static void report(const struct flight *f, struct list *to)
{
    struct rx_tried *t = f->tx ? tries_of(f) : NULL;
    struct rx_tx *tx = t ? calloc(1, sizeof *tx) : NULL;
    if (!tx) {
        free(t);
        return;
    }
    *tx = (struct rx_tx){.rs = f->tx->rs, .token = f->tx->token, .seq = f->tx->seq, .tried = t};
    push(to, tx);
}

/* The PCRF may still be there when only the way to it failed: keep Destination-Host. */
static bool next_way(const struct flight *f, const struct attempt *a, enum failure why, struct attempt *next)
{
    struct rx_peer *tried[MAX_ATTEMPTS];
    size_t n = hops_tried(f, false, tried);
    if (!a->with_host || !f->host[0] || why == FAIL_BUSY)
        return false;
    if ((why == FAIL_NO_REALM || why == FAIL_NOT_DELIVERED) && a->hop->relay && !a->our_realm &&
        strcasecmp(f->realm, rx_peer_realm(a->hop)) != 0) {
        *next = (struct attempt){.hop = a->hop, .with_host = true, .our_realm = true};
        return true; /* TS 29.213 7.3.5: the same host by way of the configured realm */
    }
    if (why == FAIL_NOT_DELIVERED || why == FAIL_NO_REALM ||
        (why == FAIL_SILENT && a->hop->last_answer_ms > a->sent_ms))
        return false; /* the agent is well: it is the PCRF behind it that is not */
    next->hop = rx_peer_relay(tried, n);
    if (!next->hop)
        return false;
    next->with_host = true;
    return true;
}

/* Choose the next attempt. @return false: there is none. */
static bool choose_next(struct flight *f, const struct attempt *a, enum failure why)
{
    struct rx_peer *tried[MAX_ATTEMPTS], *reader = rx_peer_find(epc_str_c(f->host));
    struct attempt next = {0};
    if (f->told || !f->wire || f->n == MAX_ATTEMPTS || f->waits || epc_now_ms() >= f->retry_until)
        return false;
    if (!next_way(f, a, why, &next)) {
        if (f->command == RX_CC_ST)
            return false; /* nobody else has it; rx_held.c goes on trying */
        size_t n = hops_tried(f, true, tried);
        const char *profile = reader && reader->configured ? reader->profile : a->hop->profile;
        next.hop = rx_peer_best(tried, n, profile, false, f->host);
        /* An agent that was asked for the host may know another. */
        if (!next.hop)
            return false;
    }
    f->next_try = next;
    queue_attempt(f);
    return true;
}

/* ---- ends (with the lock; deliveries go to @p to) ----------------------------------------------------- */

static void tell(struct flight *f, struct msg *m, enum rx_event ev, struct list *to)
{
    struct rx_tx *tx = f->tx;
    f->told = true;
    f->tx = NULL;
    if (!tx) {
        if (m)
            fd_msg_free(m);
        return;
    }
    tx->msg = m;
    tx->event = ev;
    tx->tried = tries_of(f);
    push(to, tx);
}

/* Nothing more will come: settle what is open, and free. */
static void flight_end(struct flight *f, enum rx_event ev, struct list *to)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->attempt[i].end == RX_TRY_OPEN)
            f->attempt[i].end = RX_TRY_EXPIRED;
        attempt_over(&f->attempt[i]);
    }
    if (!f->told) {
        struct msg *bad = f->bad;
        f->bad = NULL;
        tell(f, bad, bad ? RX_EV_UNDELIVERED : ev, to);
    }
    if (f->closing)
        rx_held_close_failed(epc_str_c(f->sid), f->host);
    for (size_t i = 0; f->opens && f->granted && i < f->n; i++)
        if (strcasecmp(f->attempt[i].hop->host, f->winner_hop) != 0)
            rx_held_abandon(epc_str_c(f->sid), f->attempt[i].hop->host);
    flight_free(f);
}

static void flight_check(struct flight *f, struct list *to)
{
    if (!f->waits && !any_out(f))
        flight_end(f, RX_EV_UNDELIVERED, to);
}

static void attempt_failed(struct flight *f, struct attempt *a, enum failure why, struct msg *m,
                           struct list *to)
{
    a->end = end_of(why);
    if (m) {
        if (f->bad)
            fd_msg_free(f->bad);
        f->bad = m;
    }
    if (!choose_next(f, a, why))
        flight_check(f, to);
}

/* ---- answers ------------------------------------------------------------------------------------------ */

struct reply {
    struct epc_str host, realm;
    uint32_t code, state;
    bool protocol_error, granted, ours;
};

static void read_reply(struct msg *m, struct reply *r)
{
    struct avp *exp = rx_get(m, RX_EXPERIMENTAL_RESULT, NULL);
    *r = (struct reply){0};
    (void)rx_get_octets(m, RX_ORIGIN_HOST, &r->host);
    (void)rx_get_octets(m, RX_ORIGIN_REALM, &r->realm);
    (void)rx_get_u32(m, RX_ORIGIN_STATE_ID, &r->state);
    if (!rx_get_u32(m, RX_RESULT_CODE, &r->code) && exp)
        (void)rx_get_u32(exp, RX_EXPERIMENTAL_RESULT_CODE, &r->code);
    r->granted = r->code / 1000 == 2;
    r->protocol_error = r->code / 1000 == 3 && !exp;
    r->ours = epc_str_ieqc(r->host, fd_g_config->cnf_diamid);
}

/* "aaa://host:port;transport=..." (RFC 6733 4.3.1) */
static struct epc_str uri_host(struct epc_str uri)
{
    if (epc_str_starts(uri, "aaas://"))
        uri = (struct epc_str){uri.p + 7, uri.n - 7};
    else if (epc_str_starts(uri, "aaa://"))
        uri = (struct epc_str){uri.p + 6, uri.n - 6};
    uri = epc_str_cut(&uri, ';');
    return epc_str_cut(&uri, ':');
}

/* Follow a redirect to a peer that we have; nobody can send us to a stranger. */
static bool follow_redirect(struct flight *f, const struct attempt *a, struct msg *m)
{
    struct rx_peer *tried[MAX_ATTEMPTS], *to = NULL;
    struct epc_str uri, first = EPC_STR_NULL;
    size_t n = hops_tried(f, false, tried);
    uint32_t usage = 0, cache_s = 0;
    for (struct avp *avp = NULL; !to && (avp = rx_get(m, RX_REDIRECT_HOST, avp));) {
        struct avp_hdr *hdr;
        if (fd_msg_avp_hdr(avp, &hdr) || !hdr->avp_value)
            continue;
        uri = (struct epc_str){(const char *)hdr->avp_value->os.data, hdr->avp_value->os.len};
        if (!first.p)
            first = uri;
        to = rx_peer_find(uri_host(uri));
        for (size_t i = 0; to && i < n; i++)
            if (tried[i] == to)
                to = NULL;
        if (to && !rx_peer_usable(to))
            to = NULL;
    }
    if (!to || f->told || !f->wire || f->n == MAX_ATTEMPTS || f->waits) {
        epc_count(EPC_C_RX_REDIRECT_REFUSED);
        epc_log(EPC_LOG_WARN, "rx", "event=redirect-refused by=%s to=\"%.*s\" hint=\"not an open peer "
                "that has not been asked yet; for a host of yours add ConnectPeer to the Diameter "
                "configuration and list it in policy.peers\"", a->hop->host, EPC_STR_ARG(first));
        return false;
    }
    (void)rx_get_u32(m, RX_REDIRECT_HOST_USAGE, &usage);
    (void)rx_get_u32(m, RX_REDIRECT_MAX_CACHE_TIME, &cache_s);
    rx_redirect_keep(to, usage, cache_s, f->realm, f->host);
    epc_count(EPC_C_RX_REDIRECTED);
    epc_log(EPC_LOG_INFO, "rx", "event=redirected by=%s to=%s usage=%u cache_s=%u", a->hop->host, to->host,
            usage, cache_s);
    snprintf(f->host, sizeof f->host, "%s", to->host);
    f->next_try = (struct attempt){.hop = to, .with_host = true};
    queue_attempt(f);
    return true;
}

/* What the answer says of who holds the session. */
static void note_holder(struct flight *f, const struct attempt *a, const struct reply *r)
{
    struct epc_str sid = epc_str_c(f->sid);
    const char *hop = a->hop->host;
    if (r->ours || r->code == 0)
        return; /* our own node's: it may have been sent, and the link lost afterwards; or says nothing */
    if (f->opens) {
        if (r->granted)
            rx_held_bind(sid, hop, r->host, r->realm, r->state ? r->state : rx_state_of(r->host));
        else
            rx_held_free(sid, hop, EPC_STR_NULL);
    } else if (f->command == RX_CC_ST) {
        if (!r->protocol_error)
            rx_held_free(sid, hop, r->host);
    } else if (r->granted && f->host[0] && !epc_str_ieqc(r->host, f->host))
        rx_held_move(sid, hop, r->host, r->realm, r->state);
    else if (r->code == 5002 && epc_str_ieqc(r->host, f->host))
        rx_held_free(sid, hop, r->host);
}

/* The shard knows the end already. Two that granted: the second one's session ends. */
static void late_answer(struct flight *f, const struct attempt *a, const struct reply *r)
{
    epc_count(EPC_C_RX_LATE);
    if (!f->opens || !r->granted || !f->granted)
        return;
    if (epc_str_ieqc(r->host, f->winner)) { /* by two ways to the same PCRF: one session */
        if (strcasecmp(a->hop->host, f->winner_hop) != 0)
            rx_held_free(epc_str_c(f->sid), a->hop->host, EPC_STR_NULL);
        return;
    }
    epc_count(EPC_C_RX_DUPLICATES);
    epc_log(EPC_LOG_INFO, "rx", "event=granted-twice session=%s first=%s second=%.*s", f->sid, f->winner,
            EPC_STR_ARG(r->host));
    rx_held_abandon(epc_str_c(f->sid), a->hop->host);
}

static void on_error_answer(struct flight *f, struct attempt *a, const struct reply *r, struct msg *m,
                            struct list *to)
{
    enum failure why = FAIL_NOT_DELIVERED;
    a->code = r->code;
    if (r->ours)
        why = FAIL_LINK;
    else if (r->code == 3003)
        why = FAIL_NO_REALM;
    else if (r->code == 3004) {
        why = FAIL_BUSY;
        if (epc_str_ieqc(r->host, a->hop->host))
            rx_peer_busy(a->hop);
        else if (rx_peer_find(r->host))
            rx_peer_busy(rx_peer_find(r->host));
    } else if (r->code == 3006 && follow_redirect(f, a, m)) {
        a->end = RX_TRY_REDIRECT;
        fd_msg_free(m);
        return;
    }
    epc_log(EPC_LOG_INFO, "rx", "event=attempt-failed session=%s peer=%s code=%u by=%.*s", f->sid,
            a->hop->host, r->code, EPC_STR_ARG(r->host));
    attempt_failed(f, a, why, m, to);
}

static void on_reply(struct flight *f, struct attempt *a, struct msg *m, struct list *to)
{
    struct reply r;
    read_reply(m, &r);
    attempt_over(a);
    a->end = RX_TRY_ANSWERED;
    if (!r.ours && r.code != 3004)
        rx_peer_heard(a->hop);
    note_holder(f, a, &r);
    if (f->told) {
        late_answer(f, a, &r);
        fd_msg_free(m);
        flight_check(f, to);
    } else if (r.protocol_error) {
        on_error_answer(f, a, &r, m, to);
    } else {
        f->granted = r.granted;
        snprintf(f->winner, sizeof f->winner, "%.*s", EPC_STR_ARG(r.host));
        memcpy(f->winner_hop, a->hop->host, sizeof f->winner_hop);
        if (f->tx)
            memcpy(f->tx->hop, a->hop->host, sizeof f->tx->hop);
        tell(f, m, RX_EV_GRANTED, to);
        flight_check(f, to);
    }
}

/* ---- freeDiameter's callbacks -------------------------------------------------------------------------- */

static void *cookie(const struct flight *f, size_t i)
{
    return (void *)(uintptr_t)(f->id * MAX_ATTEMPTS + i);
}

static struct attempt *from_cookie(void *data, struct flight **f)
{
    uintptr_t v = (uintptr_t)data;
    *f = flight_find(v / MAX_ATTEMPTS);
    return *f && v % MAX_ATTEMPTS < (*f)->n ? &(*f)->attempt[v % MAX_ATTEMPTS] : NULL;
}

static void on_answer(void *data, struct msg **m)
{
    struct flight *f;
    struct list to = {0};
    pthread_mutex_lock(&s.lock);
    struct attempt *a = from_cookie(data, &f);
    if (a && a->out)
        on_reply(f, a, *m, &to);
    else {
        epc_count(EPC_C_RX_LATE);
        fd_msg_free(*m);
    }
    *m = NULL;
    pthread_mutex_unlock(&s.lock);
    deliver_all(&to);
}

/* At the time when the flight is given up, too; who comes first ends it. */
static void on_expiry(void *data, DiamId_t peer, size_t n, struct msg **m)
{
    struct flight *f;
    struct list to = {0};
    (void)peer, (void)n;
    pthread_mutex_lock(&s.lock);
    struct attempt *a = from_cookie(data, &f);
    if (a && a->out) {
        attempt_over(a);
        if (!f->waits && !any_out(f))
            flight_end(f, RX_EV_EXPIRED, &to);
    }
    pthread_mutex_unlock(&s.lock);
    fd_msg_free(*m);
    *m = NULL;
    deliver_all(&to);
}

/* Our requests go to the peer that was chosen, or come back as 3002: what freeDiameter sends again by
 * itself when a link is lost would reach whoever is left. Last of all routing callbacks. */
static int on_route(void *arg, struct msg **m, struct fd_list *candidates)
{
    void (*cb)(void *, struct msg **) = NULL;
    void *data = NULL;
    char hop[RX_NAME_MAX] = "";
    struct flight *f;
    (void)arg;
    if (fd_msg_anscb_get(*m, &cb, NULL, &data) || cb != on_answer)
        return 0;
    pthread_mutex_lock(&s.lock);
    const struct attempt *a = from_cookie(data, &f);
    if (a)
        memcpy(hop, a->hop->host, sizeof hop);
    pthread_mutex_unlock(&s.lock);
    for (struct fd_list *li = candidates->next; li != candidates; li = li->next) {
        struct rtd_candidate *c = (struct rtd_candidate *)li;
        bool chosen = strcasecmp(c->diamid, hop) == 0;
        /* A negative score from before: it has no application in common with us. */
        c->score = chosen && c->score > FD_SCORE_NO_DELIVERY / 2 ? FD_SCORE_FINALDEST
                                                                 : FD_SCORE_NO_DELIVERY;
    }
    return 0;
}

static void on_peer(enum fd_hook_type type, struct msg *m, struct peer_hdr *peer, void *other,
                    struct fd_hook_permsgdata *pmd, void *arg)
{
    (void)type, (void)m, (void)peer, (void)other, (void)pmd, (void)arg;
    pthread_mutex_lock(&s.lock);
    s.look_until = epc_now_ms() + LOOK_MS; /* the state itself changes a little later */
    rx_sender_wake();
    pthread_mutex_unlock(&s.lock);
}

/* ---- sending (the sender's thread, without the lock unless said) ----------------------------------------- */

static void limit_of(const struct flight *f, struct timespec *t)
{
    uint64_t now = epc_now_ms(), ms = f->give_up > now ? f->give_up - now : 1;
    clock_gettime(CLOCK_REALTIME, t);
    t->tv_sec += (time_t)(ms / 1000);
    t->tv_nsec += (long)(ms % 1000) * 1000000;
    if (t->tv_nsec >= 1000000000) {
        t->tv_sec++;
        t->tv_nsec -= 1000000000;
    }
}

/* Would a message to @p host block freeDiameter's routing thread? */
static bool full(const char *host)
{
    struct peer_hdr *p = NULL;
    int waiting = 0, limit = 0, routing = 0, routing_limit = 0;
    if (fd_peer_getbyid((DiamId_t)host, strlen(host), 0, &p) || !p ||
        fd_stat_getstats(STAT_P_TOSEND, p, &waiting, &limit, NULL, NULL, NULL, NULL, NULL) ||
        fd_stat_getstats(STAT_G_OUTGOING, NULL, &routing, &routing_limit, NULL, NULL, NULL, NULL, NULL))
        return false;
    return (limit > 0 && waiting + routing >= limit) ||
           (routing_limit > 0 && routing >= routing_limit - 1);
}

static bool full_for_long(const char *host)
{
    for (int i = 0; i < 50; i++) {
        if (!full(host))
            return false;
        sched_yield();
    }
    return true;
}

static struct avp *find_avp(struct msg *m, uint32_t code)
{
    struct avp *a = NULL, *next = NULL;
    struct avp_hdr *h;
    if (fd_msg_browse(m, MSG_BRW_FIRST_CHILD, &a, NULL))
        return NULL;
    for (; a; a = next) {
        if (fd_msg_avp_hdr(a, &h) == 0 && h->avp_code == code && !(h->avp_flags & AVP_FLAG_VENDOR))
            return a;
        next = NULL;
        if (fd_msg_browse(a, MSG_BRW_NEXT, &next, NULL))
            break;
    }
    return NULL;
}

enum { CODE_DESTINATION_REALM = 283, CODE_DESTINATION_HOST = 293 };

static bool set_value(struct avp *a, const char *text)
{
    union avp_value v = {.os = {(uint8_t *)(uintptr_t)text, strlen(text)}};
    return fd_msg_avp_setvalue(a, &v) == 0;
}

static bool readdress(struct msg *m, const char *realm, const char *host)
{
    struct avp *r = find_avp(m, CODE_DESTINATION_REALM), *h = find_avp(m, CODE_DESTINATION_HOST);
    bool ok = r && set_value(r, realm);
    if (h && host[0])
        return ok && set_value(h, host);
    if (h)
        return ok && fd_msg_free(h) == 0;
    if (host[0])
        rx_put_text(m, RX_DESTINATION_HOST, host, &ok);
    return ok;
}

static struct msg *from_wire(const struct flight *f)
{
    struct msg *m = NULL;
    struct msg_hdr *h;
    uint8_t *copy = malloc(f->wire_n);
    if (!copy)
        return NULL;
    memcpy(copy, f->wire, f->wire_n);
    if (fd_msg_parse_buffer(&copy, f->wire_n, &m)) {
        free(copy);
        return NULL;
    }
    if (fd_msg_parse_dict(m, fd_g_config->cnf_dict, NULL) || fd_msg_hdr(m, &h)) {
        fd_msg_free(m);
        return NULL;
    }
    h->msg_flags |= CMD_FLAG_RETRANSMIT;
    return m;
}

/* The message of the attempt that begins now. With the lock: it reads the flight. */
static struct msg *message_of(struct flight *f, const struct attempt *a)
{
    struct msg *m = f->first ? f->first : f->wire ? from_wire(f) : NULL;
    bool again = !f->first;
    const char *realm = a->with_host && !a->our_realm && f->host[0] ? f->realm : rx_peer_realm(a->hop);
    f->first = NULL;
    if (!m)
        return NULL;
    if (readdress(m, realm, a->with_host ? f->host : "")) {
        if (again)
            rx_trace(true, m, NULL);
        return m;
    }
    fd_msg_free(m);
    return NULL;
}

/* A copy is only worth its time when there is somebody else to send it to. */
static void keep_copy(struct flight *f)
{
    if (f->wire || !f->first || (rx_peer_count_open() < 2 && !f->next_try.hop->relay))
        return;
    if (fd_msg_bufferize(f->first, &f->wire, &f->wire_n))
        f->wire = NULL;
}

/* Begin the attempt f->next_try. With the lock, which it gives up while it sends. */
static void fly(struct flight *f, struct list *to)
{
    struct attempt *a = &f->attempt[f->n];
    struct timespec limit;
    keep_copy(f);
    *a = f->next_try;
    struct msg *m = message_of(f, a);
    if (!m) {
        epc_log(EPC_LOG_ERROR, "rx", "event=not-sent session=%s reason=\"out of memory\"", f->sid);
        flight_check(f, to);
        return;
    }
    void *data = cookie(f, f->n);
    f->n++;
    a->out = true;
    a->sent_ms = epc_now_ms();
    a->hop->outstanding++;
    a->hop->asked++;
    if (f->n > 1) {
        epc_count(EPC_C_RX_FAILOVER);
        f->attempt[f->n - 2].hop->failed_over++;
        epc_log(EPC_LOG_INFO, "rx", "event=sent-again session=%s from=%s to=%s", f->sid,
                f->attempt[f->n - 2].hop->host, a->hop->host);
        report(f, to);
    }
    if (f->opens)
        rx_held_add(epc_str_c(f->sid), a->hop->host, rx_peer_realm(a->hop), a->hop->relay);
    uint64_t retry = a->sent_ms + failover_ms();
    set_due(f, retry < f->give_up ? retry : f->give_up);
    limit_of(f, &limit);
    bool journal = f->opens;
    pthread_mutex_unlock(&s.lock);
    if (journal)
        rx_held_flush(); /* before the PCRF can hold it */
    bool sent = fd_msg_send_timeout(&m, on_answer, data, on_expiry, &limit) == 0;
    if (!sent && m)
        fd_msg_free(m);
    pthread_mutex_lock(&s.lock);
    if (!sent && (a = from_cookie(data, &f)) && a->out) {
        attempt_over(a);
        attempt_failed(f, a, FAIL_LINK, NULL, to);
    }
}

/* Where the first attempt goes, now that it is its turn. */
static bool choose_first(struct flight *f, const char *hop)
{
    struct rx_peer *p = rx_peer_find(epc_str_c(hop));
    bool with_host = f->host[0] != '\0';
    if (p && rx_peer_usable(p) && !(rx_peer_held(p) && f->opens)) {
        f->next_try = (struct attempt){.hop = p, .with_host = with_host};
        /* A bound session whose PCRF is silent: ask another at once, 5002 opens a new session there. */
        if (!f->bound || f->command == RX_CC_ST || !rx_peer_held(p))
            return true;
    }
    if (f->bound && with_host) {
        struct rx_peer *relay = p && p->open ? NULL : rx_peer_relay(NULL, 0);
        if (relay) {
            f->next_try = (struct attempt){.hop = relay, .with_host = true};
            return true;
        }
        if (f->command == RX_CC_ST)
            return false;
    }
    const char *profile = p ? p->profile : NULL;
    struct rx_peer *best = rx_peer_best(NULL, 0, profile, p == NULL, f->bound ? f->host : "");
    if (best)
        f->next_try = (struct attempt){.hop = best, .with_host = with_host && !f->bound && !best->configured};
    return f->next_try.hop != NULL;
}

static bool read_text(struct msg *m, uint32_t code, char *out, size_t cap)
{
    struct avp *a = find_avp(m, code);
    struct avp_hdr *h;
    if (!a || fd_msg_avp_hdr(a, &h) || !h->avp_value || h->avp_value->os.len >= cap)
        return false;
    memcpy(out, h->avp_value->os.data, h->avp_value->os.len);
    out[h->avp_value->os.len] = '\0';
    return true;
}

/* A request of a shard takes off. With the lock. */
static void begin(struct rx_tx *tx, struct list *to)
{
    struct flight *f = flight_new(tx->command);
    if (!f || !read_text(tx->msg, 263, f->sid, sizeof f->sid)) {
        if (f)
            flight_free(f);
        fd_msg_free(tx->msg);
        tx->msg = NULL;
        tx->event = RX_EV_UNDELIVERED;
        push(to, tx);
        return;
    }
    (void)read_text(tx->msg, CODE_DESTINATION_HOST, f->host, sizeof f->host);
    (void)read_text(tx->msg, CODE_DESTINATION_REALM, f->realm, sizeof f->realm);
    f->first = tx->msg;
    tx->msg = NULL;
    f->tx = tx;
    f->opens = tx->opens;
    f->bound = tx->bound;
    if (choose_first(f, tx->hop))
        queue_attempt(f);
    else
        flight_check(f, to);
}

enum epc_err rx_send_closing(struct epc_str sid, struct rx_peer *hop, const char *host, const char *realm)
{
    struct msg *m = NULL;
    struct msg_hdr *hdr;
    bool ok = true;
    if (sid.n >= sizeof((struct flight *)NULL)->sid || s.flights.n_items >= MAX_FLIGHTS)
        return EPC_ELIMIT;
    if (fd_msg_new(rx_command(RX_CC_ST), MSGFL_ALLOC_ETEID, &m) || fd_msg_hdr(m, &hdr))
        return EPC_ENOMEM;
    hdr->msg_appl = RX_APP_ID;
    hdr->msg_flags |= CMD_FLAG_PROXIABLE;
    rx_put_octets(m, RX_SESSION_ID, sid.p, sid.n, &ok);
    rx_put_u32(m, RX_AUTH_APPLICATION_ID, RX_APP_ID, &ok);
    if (fd_msg_add_origin(m, 1))
        ok = false;
    rx_put_text(m, RX_DESTINATION_REALM, realm, &ok);
    if (host[0])
        rx_put_text(m, RX_DESTINATION_HOST, host, &ok);
    rx_put_i32(m, RX_TERMINATION_CAUSE, 1 /* DIAMETER_LOGOUT */, &ok);
    struct flight *f = ok ? flight_new(RX_CC_ST) : NULL;
    if (!f) {
        fd_msg_free(m);
        return EPC_ENOMEM;
    }
    memcpy(f->sid, sid.p, sid.n);
    snprintf(f->host, sizeof f->host, "%s", host);
    snprintf(f->realm, sizeof f->realm, "%s", realm);
    f->first = m;
    f->closing = f->bound = true;
    f->next_try = (struct attempt){.hop = hop, .with_host = host[0] != '\0'};
    epc_count(EPC_C_RX_STR);
    queue_attempt(f);
    return EPC_OK;
}

/* An answer of ours: to the peer that asked, if that one takes anything. Without the lock. */
static void send_answer(struct rx_tx *tx)
{
    struct msg *m = tx->msg, *question = NULL;
    DiamId_t from = NULL;
    size_t n;
    tx->msg = NULL;
    if (fd_msg_answ_getq(m, &question) == 0 && question && fd_msg_source_get(question, &from, &n) == 0 &&
        from && full_for_long(from)) {
        epc_count(EPC_C_RX_STALLED);
        epc_log(EPC_LOG_WARN, "rx", "event=answer-dropped peer=%s reason=\"its send queue is full\"", from);
        fd_msg_free(m);
    } else if (fd_msg_send(&m, NULL, NULL) && m)
        fd_msg_free(m);
    rx_tx_free(tx);
}

/* ---- time -------------------------------------------------------------------------------------------- */

/* An attempt may have been silent for too long, or the whole flight. */
static void on_due(struct flight *f, uint64_t now, struct list *to)
{
    set_due(f, f->give_up);
    if (now >= f->give_up) {
        if (f->waits) { /* parked for all that time: it is in a list of the sender's */
            f->give_up = now + 1000;
            set_due(f, f->give_up);
            if (!f->told)
                tell(f, NULL, RX_EV_UNDELIVERED, to);
            return;
        }
        flight_end(f, any_out(f) ? RX_EV_EXPIRED : RX_EV_UNDELIVERED, to);
        return;
    }
    struct attempt *a = f->n ? &f->attempt[f->n - 1] : NULL;
    if (!a || !a->out || f->waits)
        return;
    a->end = RX_TRY_SILENT;
    if (a->hop->last_answer_ms < a->sent_ms)
        rx_peer_silent(a->hop);
    (void)choose_next(f, a, FAIL_SILENT);
}

static void run_timers(uint64_t now, struct list *to)
{
    while (s.heap_n > 0 && s.heap[0]->due <= now)
        on_due(s.heap[0], now, to);
}

/* Take off everything that can. A peer whose queue is full holds up its own flights alone: they are
 * tried again soon, or go elsewhere when their time for this peer is over. */
static void send_all(struct list *to)
{
    struct flight *f;
    while ((f = s.send)) {
        s.send = f->next;
        f->next = NULL;
        f->waits = false;
        if (f->told && !f->closing) { /* parked too long */
            flight_check(f, to);
            continue;
        }
        struct rx_peer *hop = f->next_try.hop;
        pthread_mutex_unlock(&s.lock);
        bool blocked = full_for_long(hop->host);
        pthread_mutex_lock(&s.lock);
        if (!blocked) {
            fly(f, to);
            continue;
        }
        epc_count(EPC_C_RX_STALLED);
        f->waits = true;
        f->next = s.parked;
        s.parked = f;
        if (!f->heap_at)
            set_due(f, f->give_up);
    }
}

static void unpark(uint64_t now, struct list *to)
{
    struct flight *list = s.parked, *f;
    s.parked = NULL;
    while ((f = list)) {
        list = f->next;
        f->waits = false;
        uint64_t began = f->retry_until - rx.host->cfg->timeout_ms;
        if (f->closing || now < began + failover_ms() || f->n > 0) {
            if (now < f->retry_until || f->closing)
                queue_attempt(f);
            else
                flight_check(f, to);
            continue;
        }
        /* Its first peer takes nothing: as good as silent. */
        struct rx_peer *stuck = f->next_try.hop;
        rx_peer_silent(stuck);
        struct rx_peer *best = f->command == RX_CC_AA
                                   ? rx_peer_best(&stuck, 1, stuck->profile, false, f->host)
                                   : NULL;
        if (best)
            f->next_try = (struct attempt){.hop = best};
        if (best || now < f->retry_until)
            queue_attempt(f);
        else
            flight_check(f, to);
    }
}

/* ---- the sender's thread -------------------------------------------------------------------------------- */

/* Give what waits to the shards. Lock held; released meanwhile. */
static void deliver_again(void)
{
    struct list waiting = s.again;
    s.again = (struct list){0};
    pthread_mutex_unlock(&s.lock);
    struct list left = {0};
    for (struct rx_tx *tx; (tx = pop(&waiting));)
        if (!deliver(tx))
            push(&left, tx);
    pthread_mutex_lock(&s.lock);
    for (struct rx_tx *tx; (tx = pop(&left));)
        push(&s.again, tx);
}

static void wait_ms(uint64_t ms)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += (time_t)(ms / 1000);
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    if (!s.woken)
        pthread_cond_timedwait(&s.wake, &s.lock, &t);
    s.woken = false;
}

static uint64_t pause_of(uint64_t now)
{
    uint64_t ms = IDLE_MS;
    if (s.heap_n > 0)
        ms = s.heap[0]->due > now ? s.heap[0]->due - now : 0;
    if (ms > TICK_MS && (rx_held_work() || now < s.look_until))
        ms = TICK_MS;
    if (ms > 10 && s.again.head)
        ms = 10;
    if (ms > PARKED_MS && s.parked)
        ms = PARKED_MS;
    return ms < IDLE_MS ? ms : IDLE_MS;
}

/* One round. With the lock, given up where something may take its time. */
static void turn(struct list *to)
{
    pthread_mutex_unlock(&s.lock);
    rx_peers_refresh(PEERS_AGE_MS);
    pthread_mutex_lock(&s.lock);
    uint64_t now = epc_now_ms();
    run_timers(now, to);
    if (s.parked)
        unpark(now, to);
    struct rx_tx *tx;
    for (int i = 0; i < MANY && (tx = pop(&s.out)); i++) {
        if (is_request(tx))
            begin(tx, to);
        else {
            pthread_mutex_unlock(&s.lock);
            send_answer(tx);
            pthread_mutex_lock(&s.lock);
        }
    }
    send_all(to);
    bool work = rx_held_work() && !s.stop;
    pthread_mutex_unlock(&s.lock);
    deliver_all(to);
    if (work)
        rx_held_close_some(now);
    rx_held_flush();
    pthread_mutex_lock(&s.lock);
    if (s.again.head)
        deliver_again();
}

static void *sender(void *arg)
{
    (void)arg;
    struct list to = {0};
    epc_log_thread("rx-sender");
    pthread_mutex_lock(&s.lock);
    while (!s.stop || s.out.head) {
        turn(&to);
        if (!s.out.head && !s.send && !to.head)
            wait_ms(pause_of(epc_now_ms()));
    }
    pthread_mutex_unlock(&s.lock);
    return NULL;
}

enum epc_err rx_sender_start(void)
{
    pthread_mutex_lock(&s.lock);
    bool again = s.running;
    pthread_mutex_unlock(&s.lock);
    if (again)
        return EPC_OK;
    if (epc_hash_init(&s.flights, same_id))
        return EPC_ENOMEM;
    if (fd_rt_out_register(on_route, NULL, 0, &s.routing) ||
        fd_hook_register(HOOK_MASK(HOOK_PEER_CONNECT_SUCCESS, HOOK_PEER_CONNECT_FAILED,
                                   HOOK_MESSAGE_FAILOVER),
                         on_peer, NULL, NULL, &s.hook))
        return EPC_EIO;
    rx_peers_refresh(0);
    pthread_mutex_lock(&s.lock);
    s.stop = false;
    s.ready = true;
    s.running = pthread_create(&s.thread, NULL, sender, NULL) == 0;
    bool ok = s.running;
    pthread_mutex_unlock(&s.lock);
    return ok ? EPC_OK : EPC_EIO;
}

static void drop_flight(struct epc_hnode *node, void *arg)
{
    struct flight *f = EPC_CONTAINER(node, struct flight, node);
    (void)arg;
    for (size_t i = 0; i < f->n; i++)
        attempt_over(&f->attempt[i]);
    if (f->tx)
        atomic_fetch_sub(&s.outstanding, 1);
    flight_free(f);
}

void rx_sender_stop(void)
{
    pthread_mutex_lock(&s.lock);
    bool running = s.running;
    s.stop = true;
    s.running = false;
    rx_sender_wake();
    pthread_mutex_unlock(&s.lock);
    if (!running)
        return;
    pthread_join(s.thread, NULL);
    (void)fd_rt_out_unregister(s.routing, NULL);
    (void)fd_hook_unregister(s.hook);
    pthread_mutex_lock(&s.lock);
    for (struct rx_tx *tx; (tx = pop(&s.again));)
        rx_tx_free(tx);
    epc_hash_each(&s.flights, drop_flight, NULL);
    epc_hash_free(&s.flights);
    free(s.heap);
    s.heap = NULL;
    s.heap_n = s.heap_cap = 0;
    s.send = s.parked = NULL;
    s.ready = false;
    pthread_mutex_unlock(&s.lock);
}
