/* What PCRFs may hold: for each Session-Id the places where it may be, in the journal as well. A place
 * that nobody uses any more (the association is over, another PCRF won, an earlier process left it) is
 * closed with STR until the PCRF has answered, in the background and at a bounded rate. */
#include "rx_journal.h"
#include "rx_peer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PLACES 3
#define CLOSE_PER_S 200u
#define CLOSE_AT_ONCE 32u        /* STRs of ours that are unanswered */
#define SCAN_AT_ONCE 256
#define CLOSE_DELAY_MS 1000u     /* after a failure, doubled up to: */
#define CLOSE_DELAY_MAX_MS 60000u
#define CLOSE_LIMIT_MS 3600000u  /* then it is the PCRF's to clean up */

struct place {
    char *hop, *host, *realm; /* host "" = not known */
    uint32_t state;
    bool abandoned, sent;
    bool pending; /* its AAR is unanswered: a STR might overtake that inside the PCRF */
    unsigned tries;
    uint64_t next_ms;
};
struct held {
    struct epc_hnode node;
    struct held *prev, *next; /* in the list of those to close */
    struct epc_str sid;       /* in the same block of memory */
    struct place place[MAX_PLACES];
    size_t n;
    bool over, listed;
    uint64_t listed_ms;
};

/* See struct rx_ext on globals; guarded by rx_lock(), the journal's file by the sender alone. */
static struct {
    bool ready;
    struct epc_hash table;
    struct held *first, *last; /* to close */
    size_t n_places;           /* = lines of the journal that hold */
    unsigned closing;          /* STRs sent and not answered */
    uint64_t allowance_ms, allowance;
    struct rx_journal *journal;
    struct epc_buf lines;      /* what the sender shall write */
} h;

static bool same_sid(const struct epc_hnode *node, const void *key)
{
    return epc_str_eq(EPC_CONTAINER(node, const struct held, node)->sid, *(const struct epc_str *)key);
}

static struct held *find(struct epc_str sid)
{
    struct epc_hnode *n = h.ready ? epc_hash_find(&h.table, epc_hash_bytes(sid.p, sid.n), &sid) : NULL;
    return n ? EPC_CONTAINER(n, struct held, node) : NULL;
}

/* ---- the journal's lines ---------------------------------------------------------------------------- */

static void write_line(enum rx_journal_kind kind, const struct held *e, const struct place *p)
{
    struct rx_journal_record r = {.kind = kind, .sid = e->sid, .hop = epc_str_c(p->hop),
                                  .host = epc_str_c(p->host), .realm = epc_str_c(p->realm),
                                  .state = p->state};
    if (!h.journal)
        return;
    if (rx_journal_format(&h.lines, &r))
        epc_count(EPC_C_RX_JOURNAL_FAULTS);
}

/* ---- places ----------------------------------------------------------------------------------------- */

static void list_remove(struct held *e)
{
    if (!e->listed)
        return;
    *(e->prev ? &e->prev->next : &h.first) = e->next;
    *(e->next ? &e->next->prev : &h.last) = e->prev;
    e->prev = e->next = NULL;
    e->listed = false;
    epc_count_add(EPC_C_RX_TO_CLOSE, -1);
}

static void list_append(struct held *e)
{
    e->prev = h.last;
    e->next = NULL;
    *(h.last ? &h.last->next : &h.first) = e;
    h.last = e;
    if (e->listed)
        return;
    e->listed = true;
    e->listed_ms = epc_now_ms();
    epc_count_add(EPC_C_RX_TO_CLOSE, 1);
}

static void free_place(struct place *p)
{
    free(p->hop);
    free(p->host);
    free(p->realm);
}

static void held_free(struct held *e)
{
    list_remove(e);
    epc_hash_del(&h.table, &e->node);
    for (size_t i = 0; i < e->n; i++)
        free_place(&e->place[i]);
    h.n_places -= e->n;
    free(e);
}

static void drop_place(struct held *e, size_t i)
{
    write_line(RX_JOURNAL_FREE, e, &e->place[i]);
    if (e->place[i].sent)
        h.closing--;
    free_place(&e->place[i]);
    e->place[i] = e->place[--e->n];
    h.n_places--;
    bool close_more = e->over;
    for (size_t k = 0; k < e->n; k++)
        close_more = close_more || e->place[k].abandoned;
    if (e->n == 0)
        held_free(e);
    else if (!close_more)
        list_remove(e);
}

static struct place *place_of(struct held *e, const char *hop)
{
    for (size_t i = 0; i < e->n; i++)
        if (strcasecmp(e->place[i].hop, hop) == 0)
            return &e->place[i];
    return NULL;
}

static struct held *entry(struct epc_str sid)
{
    struct held *e = find(sid);
    if (e || !h.ready)
        return e;
    e = calloc(1, sizeof *e + sid.n + 1);
    if (!e)
        return NULL;
    memcpy(e + 1, sid.p, sid.n);
    e->sid = (struct epc_str){(char *)(e + 1), sid.n};
    epc_hash_add(&h.table, &e->node, epc_hash_bytes(sid.p, sid.n));
    return e;
}

/* Make or change the place behind @p hop. @return NULL: out of memory, or no room. */
static struct place *put(struct held *e, struct epc_str hop, struct epc_str host, struct epc_str realm,
                         uint32_t state)
{
    struct place new = {.hop = epc_str_dup(hop), .host = epc_str_dup(host.p ? host : EPC_STR("")),
                        .realm = epc_str_dup(realm), .state = state};
    struct place *p = new.hop ? place_of(e, new.hop) : NULL;
    if (!new.hop || !new.host || !new.realm || (!p && e->n == MAX_PLACES)) {
        free_place(&new);
        return NULL;
    }
    if (p) {
        new.abandoned = p->abandoned;
        new.sent = p->sent;
        new.tries = p->tries;
        new.next_ms = p->next_ms;
        free_place(p);
    } else {
        p = &e->place[e->n++];
        h.n_places++;
    }
    *p = new;
    return p;
}

void rx_held_add(struct epc_str sid, const char *hop, const char *realm, bool relay)
{
    struct held *e = entry(sid);
    struct place *p = e ? put(e, epc_str_c(hop), epc_str_c(relay ? "" : hop), epc_str_c(realm), 0) : NULL;
    if (p) {
        p->pending = true;
        write_line(RX_JOURNAL_HELD, e, p);
    } else
        epc_log(EPC_LOG_ERROR, "rx", "event=not-noted session=%.*s hop=%s", EPC_STR_ARG(sid), hop);
}

void rx_held_bind(struct epc_str sid, const char *hop, struct epc_str host, struct epc_str realm,
                  uint32_t state)
{
    struct held *e = find(sid);
    struct place *p = e ? place_of(e, hop) : NULL;
    if (!p)
        return;
    bool known = epc_str_ieqc(host, p->host) && epc_str_ieqc(realm, p->realm);
    p->pending = false;
    if (known) {
        p->state = state; /* not worth a line: in the worst case one STR too many */
        return;
    }
    p = put(e, epc_str_c(hop), host, realm, state);
    if (p)
        write_line(RX_JOURNAL_HELD, e, p);
}

void rx_held_free(struct epc_str sid, const char *hop, struct epc_str host)
{
    struct held *e = find(sid);
    bool only = e && e->n == 1 && !e->place[0].host[0] && host.n > 0; /* whoever it was that answered */
    for (size_t i = 0; e && i < e->n; i++) {
        const struct place *p = &e->place[i];
        bool is_hop = strcasecmp(p->hop, hop) == 0;
        bool is_host = host.n > 0 && p->host[0] && epc_str_ieqc(host, p->host);
        if (!only && (host.n > 0 && p->host[0] ? !is_host : !is_hop))
            continue;
        if (p->sent && e->listed)
            epc_count(EPC_C_RX_CLOSED_LATE);
        drop_place(e, i);
        return;
    }
}

void rx_held_settled(struct epc_str sid, const char *hop)
{
    struct held *e = find(sid);
    struct place *p = e ? place_of(e, hop) : NULL;
    if (p)
        p->pending = false;
}

void rx_held_move(struct epc_str sid, const char *hop, struct epc_str host, struct epc_str realm,
                  uint32_t state)
{
    struct held *e = entry(sid);
    if (!e)
        return;
    struct place *p = put(e, epc_str_c(hop), host, realm, state);
    if (!p)
        return;
    write_line(RX_JOURNAL_HELD, e, p);
    for (size_t i = e->n; i-- > 0;)
        if (!epc_str_ieqc(host, e->place[i].host))
            drop_place(e, i);
}

void rx_held_abandon(struct epc_str sid, const char *hop)
{
    struct held *e = find(sid);
    struct place *p = e ? place_of(e, hop) : NULL;
    if (!p || p->abandoned)
        return;
    p->abandoned = true;
    if (!e->listed)
        list_append(e);
    rx_sender_wake();
}

void rx_journal_closed(const struct rx_assoc *a)
{
    rx_lock();
    struct held *e = find(epc_str_c(a->session_id));
    if (e) {
        e->over = true;
        if (!e->listed)
            list_append(e);
        rx_sender_wake();
    }
    rx_unlock();
}

struct sweep {
    const char *host;
    uint32_t state;
};

static void sweep_one(struct epc_hnode *node, void *arg)
{
    struct held *e = EPC_CONTAINER(node, struct held, node);
    const struct sweep *s = arg;
    for (size_t i = 0; i < e->n; i++)
        if (e->place[i].state && e->place[i].state < s->state && !e->place[i].sent &&
            strcasecmp(e->place[i].host, s->host) == 0) {
            drop_place(e, i);
            return;
        }
}

void rx_held_lost(const char *host, uint32_t id)
{
    rx_lock();
    if (h.ready)
        epc_hash_each(&h.table, sweep_one, &(struct sweep){host, id});
    rx_unlock();
    rx_sender_wake();
}

/* ---- closing ---------------------------------------------------------------------------------------- */

/* STR with the lock. @return false: no more now. */
static bool close_place(struct held *e, struct place *p, uint64_t now)
{
    struct rx_peer *hop = rx_peer_find(epc_str_c(p->hop));
    if (!p->host[0] && !e->over)
        return true; /* through an agent, to whom we do not know: the STR would reach the winner */
    if (!hop || !hop->open)
        hop = p->host[0] ? rx_peer_find(epc_str_c(p->host)) : NULL;
    if (!hop || !hop->open)
        hop = rx_peer_relay(NULL, 0);
    if (!hop || !rx_peer_usable(hop))
        return true;
    uint64_t delay = (uint64_t)CLOSE_DELAY_MS << (p->tries < 6 ? p->tries : 6);
    p->next_ms = now + (delay < CLOSE_DELAY_MAX_MS ? delay : CLOSE_DELAY_MAX_MS);
    p->tries++;
    if (rx_send_closing(e->sid, hop, p->host, p->realm))
        return false;
    p->sent = true;
    h.closing++;
    h.allowance--;
    return true;
}

void rx_held_close_failed(struct epc_str sid, const char *host)
{
    struct held *e = find(sid);
    for (size_t i = 0; e && i < e->n; i++)
        if (e->place[i].sent && strcasecmp(e->place[i].host, host) == 0) {
            e->place[i].sent = false;
            h.closing--;
            return;
        }
}

static bool give_up(struct held *e, uint64_t now)
{
    if (!e->over || now < e->listed_ms + CLOSE_LIMIT_MS)
        return false;
    epc_count(EPC_C_RX_CLOSE_GIVEN_UP);
    epc_log(EPC_LOG_WARN, "rx", "event=close-given-up session=%.*s hop=%s", EPC_STR_ARG(e->sid),
            e->place[0].hop);
    while (e->n > 1)
        drop_place(e, 0);
    drop_place(e, 0); /* frees it */
    return true;
}

bool rx_held_work(void)
{
    return h.first != NULL;
}

void rx_held_close_some(uint64_t now)
{
    rx_lock();
    uint64_t grown = now > h.allowance_ms ? (now - h.allowance_ms) * CLOSE_PER_S / 1000 : 0;
    if (grown > 0) {
        h.allowance_ms = now;
        h.allowance += grown;
        if (h.allowance > CLOSE_PER_S / 4)
            h.allowance = CLOSE_PER_S / 4;
    }
    bool more = rx_peer_count_open() > 0;
    struct held *stop = h.last;
    for (unsigned n = 0; more && h.first && n < SCAN_AT_ONCE; n++) {
        struct held *e = h.first;
        bool end = e == stop;
        if (!give_up(e, now)) {
            *(e->next ? &e->next->prev : &h.last) = NULL; /* to the end of the list */
            h.first = e->next;
            list_append(e);
            for (size_t i = 0; more && i < e->n; i++) {
                struct place *p = &e->place[i];
                if ((e->over || p->abandoned) && !p->sent && !p->pending && now >= p->next_ms)
                    more = h.allowance > 0 && h.closing < CLOSE_AT_ONCE && close_place(e, p, now);
            }
        }
        if (end)
            break;
    }
    rx_unlock();
}

/* ---- the journal ------------------------------------------------------------------------------------ */

static void write_places(struct epc_hnode *node, void *arg)
{
    const struct held *e = EPC_CONTAINER(node, const struct held, node);
    struct epc_buf *b = arg;
    for (size_t i = 0; i < e->n; i++)
        if (rx_journal_format(b, &(struct rx_journal_record){.kind = RX_JOURNAL_HELD,
                                                             .sid = e->sid,
                                                             .hop = epc_str_c(e->place[i].hop),
                                                             .host = epc_str_c(e->place[i].host),
                                                             .realm = epc_str_c(e->place[i].realm),
                                                             .state = e->place[i].state}))
            epc_count(EPC_C_RX_JOURNAL_FAULTS);
}

/* The lines are made with the lock, and written without. */
static void rewrite(void)
{
    struct epc_buf all = {0};
    rx_lock();
    epc_hash_each(&h.table, write_places, &all);
    h.lines.n = 0;
    size_t n = h.n_places;
    rx_unlock();
    if (rx_journal_begin_rewrite(h.journal) == EPC_OK) {
        rx_journal_add_lines(h.journal, &all, n);
        (void)rx_journal_end_rewrite(h.journal);
    }
    epc_buf_free(&all);
}

void rx_held_flush(void)
{
    if (!h.journal)
        return;
    rx_lock();
    size_t n = h.n_places;
    struct epc_buf lines = h.lines;
    h.lines = (struct epc_buf){0};
    rx_unlock();
    if (lines.n > 0 || lines.failed) {
        size_t count = 0;
        for (size_t i = 0; i < lines.n; i++)
            count += lines.p[i] == '\n';
        rx_journal_add_lines(h.journal, &lines, count);
        (void)rx_journal_flush(h.journal);
    }
    epc_buf_free(&lines);
    if (rx_journal_wants_rewrite(h.journal, n))
        rewrite();
}

static void on_record(void *arg, const struct rx_journal_record *r)
{
    char hop[RX_NAME_MAX];
    size_t *n = arg;
    if (r->kind == RX_JOURNAL_FREE) {
        snprintf(hop, sizeof hop, "%.*s", EPC_STR_ARG(r->hop));
        rx_held_free(r->sid, hop, EPC_STR_NULL);
        return;
    }
    struct held *e = entry(r->sid);
    if (!e)
        return;
    if (put(e, r->hop, r->host, r->realm, r->state)) {
        e->over = true;
        if (!e->listed)
            list_append(e);
        ++*n;
    } else if (e->n == 0)
        held_free(e);
}

enum epc_err rx_held_init(void)
{
    const char *path = rx.host->cfg->journal_file;
    uint32_t state = (uint32_t)epc_wall_s();
    size_t n = 0;
    if (epc_hash_init(&h.table, same_sid))
        return EPC_ENOMEM;
    h.ready = true;
    h.allowance_ms = epc_now_ms();
    if (!path || !path[0]) {
        fd_g_config->cnf_orstateid = state;
        return EPC_OK;
    }
    rx_lock();
    enum epc_err e = rx_journal_open(&h.journal, path, on_record, &n, &state);
    rx_unlock();
    if (e)
        return e;
    fd_g_config->cnf_orstateid = state;
    rewrite();
    if (h.n_places > 0)
        epc_log(EPC_LOG_WARN, "rx", "event=journal-found sessions=%zu file=%s hint=\"an earlier process "
                "left them at their PCRFs; they are closed there now\"", h.table.n_items, path);
    return EPC_OK;
}

static void drop(struct epc_hnode *node, void *arg)
{
    (void)arg;
    held_free(EPC_CONTAINER(node, struct held, node));
}

void rx_held_fini(void)
{
    if (!h.ready)
        return;
    if (h.journal) {
        if (h.n_places > 0)
            epc_log(EPC_LOG_WARN, "rx", "event=journal-left sessions=%zu hint=\"their PCRFs have not "
                    "answered; the next start closes them\"", h.table.n_items);
        rewrite();
        rx_journal_close(h.journal);
        h.journal = NULL;
    }
    rx_lock();
    epc_hash_each(&h.table, drop, NULL);
    epc_hash_free(&h.table);
    epc_buf_free(&h.lines);
    h.ready = false;
    h.closing = 0;
    rx_unlock();
}
