/* Life of a flight: what comes next when an attempt fails, what an answer means. See rx_flight.h. */
#include "rx_flight.h"

#include <stdlib.h>
#include <string.h>

#define LATE_FACTOR 4 /* how long a late answer is told from a stray one: timeout_ms times this */

/* See struct rx_ext on globals; guarded by rx_lock(). */
static struct {
    bool ready;
    struct epc_hash flights;
    struct rx_flight **heap; /* by time */
    size_t heap_n, heap_cap;
    uint64_t next_id;
    struct rx_flight *send, **send_tail; /* attempts to make */
} fl;

/* ---- flights: a table by number, a heap by time (with the lock) -------------------------------------- */

static bool same_id(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, const struct rx_flight, node)->id == *(const uint64_t *)key;
}

static struct rx_flight *flight_find(uint64_t id)
{
    struct epc_hnode *n = fl.ready ? epc_hash_find(&fl.flights, epc_hash_u64(id), &id) : NULL;
    return n ? EPC_CONTAINER(n, struct rx_flight, node) : NULL;
}

static void heap_set(size_t at, struct rx_flight *f)
{
    fl.heap[at] = f;
    f->heap_at = at + 1;
}

static void heap_sift(size_t at)
{
    struct rx_flight *f = fl.heap[at];
    for (size_t up; at > 0 && fl.heap[up = (at - 1) / 2]->due > f->due; at = up)
        heap_set(at, fl.heap[up]);
    for (size_t down; (down = 2 * at + 1) < fl.heap_n; at = down) {
        if (down + 1 < fl.heap_n && fl.heap[down + 1]->due < fl.heap[down]->due)
            down++;
        if (fl.heap[down]->due >= f->due)
            break;
        heap_set(at, fl.heap[down]);
    }
    heap_set(at, f);
}

void rx_flight_due(struct rx_flight *f, uint64_t due)
{
    f->due = due;
    if (!f->heap_at)
        heap_set(fl.heap_n++, f); /* there is room: rx_flight_new() */
    heap_sift(f->heap_at - 1);
}

static void heap_remove(struct rx_flight *f)
{
    if (!f->heap_at)
        return;
    size_t at = f->heap_at - 1;
    f->heap_at = 0;
    struct rx_flight *last = fl.heap[--fl.heap_n];
    if (last == f)
        return;
    heap_set(at, last);
    heap_sift(at);
}

struct rx_flight *rx_flight_new(uint32_t command)
{
    if (fl.flights.n_items + 1 > fl.heap_cap) { /* room for every flight there is */
        size_t cap = fl.heap_cap ? 2 * fl.heap_cap : 256;
        struct rx_flight **grown = realloc(fl.heap, cap * sizeof(struct rx_flight *));
        if (!grown)
            return NULL;
        fl.heap = grown;
        fl.heap_cap = cap;
    }
    struct rx_flight *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    uint64_t now = epc_now_ms(), timeout = rx.host->cfg->timeout_ms;
    f->id = ++fl.next_id;
    f->command = command;
    f->give_up = now + timeout * LATE_FACTOR;
    f->retry_until = now + timeout;
    epc_hash_add(&fl.flights, &f->node, epc_hash_u64(f->id));
    return f;
}

void rx_flight_free(struct rx_flight *f)
{
    heap_remove(f);
    epc_hash_del(&fl.flights, &f->node);
    if (f->first)
        fd_msg_free(f->first);
    if (f->bad)
        fd_msg_free(f->bad);
    rx_tx_free(f->tx);
    free(f->wire);
    free(f);
}

static bool any_out(const struct rx_flight *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->attempt[i].out)
            return true;
    return false;
}

void rx_attempt_over(struct rx_flight *f, struct rx_attempt *a)
{
    if (!a->out)
        return;
    a->out = false;
    a->hop->outstanding--;
    if (f->opens)
        rx_held_settled(epc_str_c(f->sid), a->hop->host);
}

/* ---- what comes next (with the lock) ------------------------------------------------------------------ */

uint64_t rx_failover_ms(void)
{
    uint64_t ms = rx.host->cfg->failover_ms ? rx.host->cfg->failover_ms : 1000;
    uint64_t most = rx.host->cfg->timeout_ms / 2;
    return ms < most ? ms : most;
}

void rx_flight_queue(struct rx_flight *f)
{
    if (f->waits)
        return;
    f->waits = true;
    f->next = NULL;
    if (!fl.send)
        fl.send_tail = &fl.send;
    *fl.send_tail = f;
    fl.send_tail = &f->next;
    rx_sender_wake();
}

static size_t hops_tried(const struct rx_flight *f, bool without_host, struct rx_peer *out[RX_MAX_TRIES])
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        if (!without_host || !f->attempt[i].with_host)
            out[n++] = f->attempt[i].hop;
    return n;
}

static enum rx_try_end end_of(enum rx_failure why)
{
    return why == FAIL_LINK     ? RX_TRY_LINK
           : why == FAIL_SILENT ? RX_TRY_SILENT
           : why == FAIL_BUSY   ? RX_TRY_BUSY
                                : RX_TRY_NOT_DELIVERED;
}

/* For the history: where the request went. One that was simply answered needs no such list. */
static struct rx_tried *tries_of(const struct rx_flight *f)
{
    bool plain = f->n == 0 || (f->n == 1 && f->attempt[0].end == RX_TRY_ANSWERED);
    struct rx_tried *t = plain || !rx_history_on() ? NULL : calloc(1, sizeof *t);
    for (size_t i = 0; t && i < f->n; i++, t->n++) {
        const struct rx_attempt *a = &f->attempt[i];
        t->one[i] = (struct rx_try){.sent_ms = a->sent_ms, .code = a->code, .end = a->end};
        memcpy(t->one[i].hop, a->hop->host, sizeof t->one[i].hop);
    }
    return t;
}

void rx_flight_report(const struct rx_flight *f, struct rx_list *to)
{
    struct rx_tried *t = f->tx ? tries_of(f) : NULL;
    struct rx_tx *tx = t ? calloc(1, sizeof *tx) : NULL;
    if (!tx) {
        free(t);
        return;
    }
    *tx = (struct rx_tx){.rs = f->tx->rs, .token = f->tx->token, .seq = f->tx->seq, .tried = t};
    rx_list_push(to, tx);
}

/* The PCRF may still be there when only the way to it failed: keep Destination-Host. */
static bool next_way(const struct rx_flight *f, const struct rx_attempt *a, enum rx_failure why, struct rx_attempt *next)
{
    struct rx_peer *tried[RX_MAX_TRIES];
    size_t n = hops_tried(f, false, tried);
    if (!a->with_host || !f->host[0] || why == FAIL_BUSY)
        return false;
    if ((why == FAIL_NO_REALM || why == FAIL_NOT_DELIVERED) && !a->our_realm &&
        strcasecmp(f->realm, rx_peer_realm(a->hop)) != 0) {
        *next = (struct rx_attempt){.hop = a->hop, .with_host = true, .our_realm = true};
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
static bool choose_next(struct rx_flight *f, const struct rx_attempt *a, enum rx_failure why)
{
    struct rx_peer *tried[RX_MAX_TRIES], *reader = rx_peer_find(epc_str_c(f->host));
    struct rx_attempt next = {0};
    if (f->told || !f->wire || f->n == RX_MAX_TRIES || f->waits || epc_now_ms() >= f->retry_until)
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
    rx_flight_queue(f);
    return true;
}

/* ---- ends (with the lock; deliveries go to @p to) ----------------------------------------------------- */

static void tell(struct rx_flight *f, struct msg *m, enum rx_event ev, struct rx_list *to)
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
    rx_list_push(to, tx);
}

bool rx_flight_elsewhere(struct rx_flight *f, struct rx_list *to)
{
    struct rx_peer *tried[RX_MAX_TRIES];
    if (f->told || !f->tx || f->command != RX_CC_AA || f->waits || epc_now_ms() >= f->retry_until)
        return false;
    const struct rx_peer *p = rx_peer_best(tried, hops_tried(f, false, tried), NULL, true, f->host);
    if (!p || rx_peer_held(p))
        return false;
    tell(f, NULL, RX_EV_ELSEWHERE, to);
    rx_flight_check(f, to);
    return true;
}

/* Nothing more will come: settle what is open, and free. */
static void flight_end(struct rx_flight *f, enum rx_event ev, struct rx_list *to)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->attempt[i].end == RX_TRY_OPEN)
            f->attempt[i].end = RX_TRY_EXPIRED;
        rx_attempt_over(f, &f->attempt[i]);
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
    rx_flight_free(f);
}

void rx_flight_check(struct rx_flight *f, struct rx_list *to)
{
    if (!f->waits && !any_out(f))
        flight_end(f, RX_EV_UNDELIVERED, to);
}

void rx_attempt_failed(struct rx_flight *f, struct rx_attempt *a, enum rx_failure why, struct msg *m,
                           struct rx_list *to)
{
    a->end = end_of(why);
    if (m) {
        if (f->bad)
            fd_msg_free(f->bad);
        f->bad = m;
    }
    if (!choose_next(f, a, why) && !rx_flight_elsewhere(f, to))
        rx_flight_check(f, to);
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
static bool follow_redirect(struct rx_flight *f, const struct rx_attempt *a, struct msg *m)
{
    struct rx_peer *tried[RX_MAX_TRIES], *to = NULL;
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
    if (!to || f->told || !f->wire || f->n == RX_MAX_TRIES || f->waits) {
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
    f->next_try = (struct rx_attempt){.hop = to, .with_host = true};
    rx_flight_queue(f);
    return true;
}

/* What the answer says of who holds the session. */
static void note_holder(struct rx_flight *f, const struct rx_attempt *a, const struct reply *r)
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
static void late_answer(struct rx_flight *f, const struct rx_attempt *a, const struct reply *r)
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
    epc_log(EPC_LOG_DEBUG, "rx", "event=granted-twice session=%s first=%s second=%.*s", f->sid, f->winner,
            EPC_STR_ARG(r->host));
    rx_held_abandon(epc_str_c(f->sid), a->hop->host);
}

static void on_error_answer(struct rx_flight *f, struct rx_attempt *a, const struct reply *r, struct msg *m,
                            struct rx_list *to)
{
    enum rx_failure why = FAIL_NOT_DELIVERED;
    a->code = r->code;
    if (r->ours) {
        why = FAIL_LINK;
        rx_peer_gone(a->hop);
    } else if (r->code == 3003)
        why = FAIL_NO_REALM;
    else if (r->code == 3004) {
        why = FAIL_BUSY;
        if (epc_str_ieqc(r->host, a->hop->host))
            rx_peer_busy(a->hop);
        else if (rx_peer_find(r->host))
            rx_peer_busy(rx_peer_find(r->host));
    } else if (!a->with_host && !r->ours && r->code != 3006)
        rx_peer_failing(a->hop);
    else if (r->code == 3006 && follow_redirect(f, a, m)) {
        a->end = RX_TRY_REDIRECT;
        fd_msg_free(m);
        return;
    }
    epc_log(EPC_LOG_DEBUG, "rx", "event=attempt-failed session=%s peer=%s code=%u by=%.*s", f->sid,
            a->hop->host, r->code, EPC_STR_ARG(r->host));
    rx_attempt_failed(f, a, why, m, to);
}

static void on_reply(struct rx_flight *f, struct rx_attempt *a, struct msg *m, struct rx_list *to)
{
    struct reply r;
    read_reply(m, &r);
    rx_attempt_over(f, a);
    a->end = RX_TRY_ANSWERED;
    if (!r.ours)
        rx_peer_heard(a->hop, !r.protocol_error);
    note_holder(f, a, &r);
    if (f->told) {
        late_answer(f, a, &r);
        fd_msg_free(m);
        rx_flight_check(f, to);
    } else if (r.protocol_error) {
        on_error_answer(f, a, &r, m, to);
    } else {
        f->granted = r.granted;
        snprintf(f->winner, sizeof f->winner, "%.*s", EPC_STR_ARG(r.host));
        memcpy(f->winner_hop, a->hop->host, sizeof f->winner_hop);
        if (f->tx)
            memcpy(f->tx->hop, a->hop->host, sizeof f->tx->hop);
        tell(f, m, RX_EV_GRANTED, to);
        rx_flight_check(f, to);
    }
}

/* ---- freeDiameter's callbacks -------------------------------------------------------------------------- */

void *rx_flight_cookie(const struct rx_flight *f, size_t i)
{
    return (void *)(uintptr_t)(f->id * RX_MAX_TRIES + i);
}

struct rx_attempt *rx_flight_attempt(void *data, struct rx_flight **f)
{
    uintptr_t v = (uintptr_t)data;
    *f = flight_find(v / RX_MAX_TRIES);
    return *f && v % RX_MAX_TRIES < (*f)->n ? &(*f)->attempt[v % RX_MAX_TRIES] : NULL;
}

void rx_flight_on_answer(void *data, struct msg **m)
{
    struct rx_flight *f;
    struct rx_list to = {0};
    rx_lock();
    struct rx_attempt *a = rx_flight_attempt(data, &f);
    if (a && a->out)
        on_reply(f, a, *m, &to);
    else {
        epc_count(EPC_C_RX_LATE);
        fd_msg_free(*m);
    }
    *m = NULL;
    rx_unlock();
    rx_deliver_all(&to);
}

/* At the time when the flight is given up, too; who comes first ends it. */
void rx_flight_on_expiry(void *data, DiamId_t peer, size_t n, struct msg **m)
{
    struct rx_flight *f;
    struct rx_list to = {0};
    (void)peer, (void)n;
    rx_lock();
    struct rx_attempt *a = rx_flight_attempt(data, &f);
    if (a && a->out) {
        rx_attempt_over(f, a);
        if (!f->waits && !any_out(f))
            flight_end(f, RX_EV_EXPIRED, &to);
    }
    rx_unlock();
    fd_msg_free(*m);
    *m = NULL;
    rx_deliver_all(&to);
}

/* Our requests go to the peer that was chosen, or come back as 3002: what freeDiameter sends again by
 * itself when a link is lost would reach whoever is left. Last of all routing callbacks. */
int rx_flight_on_route(void *arg, struct msg **m, struct fd_list *candidates)
{
    void (*cb)(void *, struct msg **) = NULL;
    void *data = NULL;
    char hop[RX_NAME_MAX] = "";
    struct rx_flight *f;
    (void)arg;
    if (fd_msg_anscb_get(*m, &cb, NULL, &data) || cb != rx_flight_on_answer)
        return 0;
    rx_lock();
    const struct rx_attempt *a = rx_flight_attempt(data, &f);
    if (a)
        memcpy(hop, a->hop->host, sizeof hop);
    rx_unlock();
    for (struct fd_list *li = candidates->next; li != candidates; li = li->next) {
        struct rtd_candidate *c = (struct rtd_candidate *)li;
        bool chosen = strcasecmp(c->diamid, hop) == 0;
        /* A negative score from before: it has no application in common with us. */
        c->score = chosen && c->score > FD_SCORE_NO_DELIVERY / 2 ? FD_SCORE_FINALDEST
                                                                 : FD_SCORE_NO_DELIVERY;
    }
    return 0;
}

/* ---- time -------------------------------------------------------------------------------------------- */

/* An attempt may have been silent for too long, or the whole flight. */
static void on_due(struct rx_flight *f, uint64_t now, struct rx_list *to)
{
    rx_flight_due(f, f->give_up);
    if (now >= f->give_up) {
        if (f->waits) { /* parked for all that time: it is in a list of the sender's */
            f->give_up = now + 1000;
            rx_flight_due(f, f->give_up);
            if (!f->told)
                tell(f, NULL, RX_EV_UNDELIVERED, to);
            return;
        }
        flight_end(f, any_out(f) ? RX_EV_EXPIRED : RX_EV_UNDELIVERED, to);
        return;
    }
    struct rx_attempt *a = f->n ? &f->attempt[f->n - 1] : NULL;
    if (!a || !a->out || f->waits)
        return;
    a->end = RX_TRY_SILENT;
    if (a->hop->last_answer_ms < a->sent_ms)
        rx_peer_silent(a->hop);
    if (!choose_next(f, a, FAIL_SILENT))
        (void)rx_flight_elsewhere(f, to);
}

void rx_flight_timers(uint64_t now, struct rx_list *to)
{
    while (fl.heap_n > 0 && fl.heap[0]->due <= now)
        on_due(fl.heap[0], now, to);
}


uint64_t rx_flight_next_due(void)
{
    return fl.heap_n > 0 ? fl.heap[0]->due : UINT64_MAX;
}

/* ---- all of them ----------------------------------------------------------------------------------------- */

enum epc_err rx_flights_init(void)
{
    if (epc_hash_init(&fl.flights, same_id))
        return EPC_ENOMEM;
    fl.ready = true;
    return EPC_OK;
}

size_t rx_flights_count(void)
{
    return fl.flights.n_items;
}

struct rx_flight *rx_flight_take(void)
{
    struct rx_flight *f = fl.send;
    if (!f)
        return NULL;
    fl.send = f->next;
    f->next = NULL;
    return f; /* still "waits": nobody may free it before its attempt */
}

bool rx_flight_to_send(void)
{
    return fl.send != NULL;
}

static void drop_flight(struct epc_hnode *node, void *arg)
{
    struct rx_flight *f = EPC_CONTAINER(node, struct rx_flight, node);
    unsigned *waited = arg;
    for (size_t i = 0; i < f->n; i++)
        rx_attempt_over(f, &f->attempt[i]);
    *waited += f->tx != NULL;
    rx_flight_free(f);
}

unsigned rx_flights_fini(void)
{
    unsigned waited = 0;
    fl.ready = false;
    epc_hash_each(&fl.flights, drop_flight, &waited);
    epc_hash_free(&fl.flights);
    free(fl.heap);
    fl.heap = NULL;
    fl.heap_n = fl.heap_cap = 0;
    fl.send = NULL;
    return waited;
}
