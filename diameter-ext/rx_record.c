#include "rx_record.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- lists ------------------------------------------------------------------------------------------ */

static void put(struct rx_history *h, struct rx_record *r, enum rx_record_list list)
{
    r->list = list;
    r->next = NULL;
    r->prev = h->tail[list];
    *h->tail[list] = r;
    h->tail[list] = &r->next;
    h->n[list]++;
}

static void take(struct rx_history *h, struct rx_record *r)
{
    *r->prev = r->next;
    if (r->next)
        r->next->prev = r->prev;
    else
        h->tail[r->list] = r->prev;
    h->n[r->list]--;
}

/* ---- exchanges -------------------------------------------------------------------------------------- */

static void charge(struct rx_history *h, struct rx_record *r, struct rx_exchange *x, size_t n)
{
    x->octets += n;
    r->octets += n;
    h->octets += n;
}

static void refund(struct rx_history *h, struct rx_record *r, struct rx_exchange *x, size_t n)
{
    x->octets -= n;
    r->octets -= n;
    h->octets -= n;
}

static void find_last(struct rx_record *r)
{
    r->last = NULL;
    for (const struct rx_exchange *x = r->exchange; x; x = x->next)
        if (x->result)
            r->last = x->result;
}

static void drop(struct rx_history *h, struct rx_record *r, struct rx_exchange **at)
{
    struct rx_exchange *x = *at;
    *at = x->next;
    refund(h, r, x, x->octets);
    r->n--;
    r->dropped++;
    free(x->peer);
    free(x->result);
    free(x->request);
    free(x->answer);
    free(x->why);
    free(x->words);
    free(x->tried);
    free(x);
}

static void drop_all(struct rx_history *h, struct rx_record *r)
{
    while (r->exchange)
        drop(h, r, &r->exchange);
    r->last = NULL;
}

/* The first says what the session is about, the newest how it goes: what is between them goes. */
static void bound_record(struct rx_history *h, struct rx_record *r, const struct rx_exchange *keep)
{
    while (r->n > RX_RECORD_EXCHANGES || r->octets > RX_RECORD_OCTETS) {
        struct rx_exchange **at = r->exchange ? &r->exchange->next : NULL;
        if (!at || !*at)
            break;
        if (*at == keep)
            at = (*at)->next ? &(*at)->next : &r->exchange;
        drop(h, r, at);
    }
    find_last(r);
}

/* ---- records ---------------------------------------------------------------------------------------- */

static void record_free(struct rx_history *h, struct rx_record *r)
{
    if (h->on_free)
        h->on_free(r);
    if (r->token)
        epc_hash_del(&h->by_token, &r->node);
    take(h, r);
    drop_all(h, r);
    free(r->session_id);
    free(r->call_id);
    free(r->impu);
    free(r);
}

static struct rx_record *oldest_but(struct rx_record *head, const struct rx_record *keep)
{
    return head == keep && head ? head->next : head;
}

/* @return false: nothing but @p keep is left. */
static bool forget_one(struct rx_history *h, const struct rx_record *keep)
{
    struct rx_record *plain = oldest_but(h->head[RX_PLAIN], keep);
    struct rx_record *troubled = oldest_but(h->head[RX_TROUBLED], keep);
    /* Trouble is what people ask about; still it may not crowd out everything else. */
    struct rx_record *r = plain && (!troubled || h->n[RX_TROUBLED] <= h->max_ended / 2) ? plain : troubled;
    if (!r)
        r = plain;
    if (!r)
        return false;
    record_free(h, r);
    h->forgotten++;
    return true;
}

static void bound_shard(struct rx_history *h, const struct rx_record *keep)
{
    while (h->n[RX_PLAIN] + h->n[RX_TROUBLED] > h->max_ended && forget_one(h, keep))
        ;
    while (h->octets > h->max_octets && forget_one(h, keep))
        ;
    while (h->octets > h->max_octets) {
        struct rx_record *r = oldest_but(h->head[RX_LIVE], keep);
        if (!r)
            return;
        drop_all(h, r);
        take(h, r);
        put(h, r, RX_BARE);
    }
}

static bool same_token(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, const struct rx_record, node)->token == *(const uint64_t *)key;
}

struct rx_history *rx_history_new(size_t max_ended, void (*on_free)(struct rx_record *r))
{
    struct rx_history *h = calloc(1, sizeof *h);
    if (!h || epc_hash_init(&h->by_token, same_token)) {
        free(h);
        return NULL;
    }
    for (size_t i = 0; i < RX_LISTS; i++)
        h->tail[i] = &h->head[i];
    h->max_ended = max_ended;
    h->max_octets = max_ended * RX_HISTORY_OCTETS_EACH;
    if (h->max_octets < RX_RECORD_OCTETS)
        h->max_octets = RX_RECORD_OCTETS;
    h->on_free = on_free;
    return h;
}

void rx_history_free(struct rx_history *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < RX_LISTS; i++)
        while (h->head[i])
            record_free(h, h->head[i]);
    epc_hash_free(&h->by_token);
    free(h);
}

static bool copy(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return *to || !from;
}

struct rx_record *rx_record_new(struct rx_history *h, const struct rx_record_open *o)
{
    struct rx_record *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    if (!copy(&r->session_id, o->session_id) || !copy(&r->call_id, o->call_id) || !copy(&r->impu, o->impu)) {
        free(r->session_id);
        free(r->call_id);
        free(r);
        return NULL;
    }
    r->seq = ++h->made;
    r->token = o->token;
    r->signalling = o->signalling;
    if (o->ue && o->ue->len)
        epc_addr_ip(o->ue, r->ue);
    r->opened_ms = epc_now_ms();
    r->opened_wall_ms = wall_ms();
    if (r->token)
        epc_hash_add(&h->by_token, &r->node, epc_hash_u64(r->token));
    put(h, r, RX_LIVE);
    return r;
}

void rx_record_end(struct rx_history *h, struct rx_record *r)
{
    if (r->ended_ms)
        return;
    r->ended_ms = epc_now_ms();
    r->assoc = NULL;
    take(h, r);
    put(h, r, r->troubled ? RX_TROUBLED : RX_PLAIN);
    bound_shard(h, r);
}

struct rx_record *rx_record_find(const struct rx_history *h, uint64_t token)
{
    struct epc_hnode *n = epc_hash_find(&h->by_token, epc_hash_u64(token), &token);
    return n ? EPC_CONTAINER(n, struct rx_record, node) : NULL;
}

struct rx_exchange *rx_exchange_new(struct rx_history *h, struct rx_record *r, enum rx_exchange_kind kind)
{
    struct rx_exchange *x = calloc(1, sizeof *x), **end = &r->exchange;
    if (!x)
        return NULL;
    while (*end)
        end = &(*end)->next;
    *end = x;
    r->n++;
    x->kind = kind;
    x->at_ms = epc_now_ms();
    x->wall_ms = wall_ms();
    charge(h, r, x, sizeof *x);
    if (!r->ended_ms) { /* who speaks is the last to lose what he said */
        take(h, r);
        put(h, r, RX_LIVE);
    }
    bound_record(h, r, x);
    bound_shard(h, r);
    return x;
}

struct rx_exchange *rx_exchange_of(const struct rx_record *r, uint32_t seq)
{
    struct rx_exchange *found = NULL;
    for (struct rx_exchange *x = r->exchange; x; x = x->next)
        if (x->kind == RX_SENT && x->seq == seq)
            found = x;
    return found;
}

void rx_exchange_text(struct rx_history *h, struct rx_record *r, struct rx_exchange *x, char **field,
                      const char *text)
{
    if (*field)
        refund(h, r, x, strlen(*field) + 1);
    if (*field == r->last)
        r->last = NULL;
    free(*field);
    *field = text ? strndup(text, RX_RECORD_TEXT) : NULL;
    if (*field)
        charge(h, r, x, strlen(*field) + 1);
    bound_record(h, r, x);
    bound_shard(h, r);
}

void rx_exchange_wire(struct rx_history *h, struct rx_record *r, struct rx_exchange *x, bool answer,
                      uint8_t *wire, size_t n)
{
    uint8_t **field = answer ? &x->answer : &x->request;
    size_t *len = answer ? &x->answer_n : &x->request_n;
    if (*field || !wire || n > RX_RECORD_OCTETS / 4) {
        free(wire);
        return;
    }
    *field = wire;
    *len = n;
    charge(h, r, x, n);
    bound_record(h, r, x);
    bound_shard(h, r);
}

void rx_exchange_result(struct rx_history *h, struct rx_record *r, struct rx_exchange *x, uint32_t code,
                        const char *result)
{
    x->code = code;
    if (!x->done_ms)
        x->done_ms = epc_now_ms();
    rx_exchange_text(h, r, x, &x->result, result);
}
