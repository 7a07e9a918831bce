/* Queues between the shards and freeDiameter, and the one thread that calls fd_msg_send(). It never sends
 * to a peer whose queue is full: what freeDiameter's routing thread could not get rid of would hold up all
 * other peers. */
#include "rx_flight.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PEERS_AGE_MS 20
#define TICK_MS 50            /* while sessions wait to be closed */
#define IDLE_MS 1000
#define LOOK_MS 2000
#define PARKED_MS 2
#define GATHER_US 2000         /* between two rounds under load */
#define MANY 64               /* requests before the timers get a look again */

/* See struct rx_ext on globals; guarded by `lock`. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool running, stop, woken;
    struct rx_list out;   /* from the shards; bounded */
    struct rx_list again; /* to shards whose mailbox was full; each belongs to one association */
    struct rx_flight *parked; /* their peer's queue is full */
    uint64_t look_until;
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

void rx_list_push(struct rx_list *l, struct rx_tx *tx)
{
    if (!l->head)
        l->tail = &l->head;
    tx->next = NULL;
    *l->tail = tx;
    l->tail = &tx->next;
    l->n++;
}

struct rx_tx *rx_list_pop(struct rx_list *l)
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
    if (s.running && s.out.n < RX_SEND_QUEUE_MAX && rx_flights_count() < RX_MAX_FLIGHTS) {
        if (is_request(tx))
            atomic_fetch_add(&s.outstanding, 1);
        rx_list_push(&s.out, tx);
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
    rx_list_push(&s.again, tx);
    rx_sender_wake();
    pthread_mutex_unlock(&s.lock);
}

void rx_deliver_all(struct rx_list *l)
{
    for (struct rx_tx *tx; (tx = rx_list_pop(l));)
        rx_deliver(tx);
}

/* ---- sending ------------------------------------------------------------------------------------------ */

static void on_peer(enum fd_hook_type type, struct msg *m, struct peer_hdr *peer, void *other,
                    struct fd_hook_permsgdata *pmd, void *arg)
{
    (void)type, (void)m, (void)peer, (void)other, (void)pmd, (void)arg;
    pthread_mutex_lock(&s.lock);
    s.look_until = epc_now_ms() + LOOK_MS; /* the state itself changes a little later */
    rx_sender_wake();
    pthread_mutex_unlock(&s.lock);
}

/* A look into freeDiameter's queues takes its locks, under which its threads are at work: not for each
 * request. A peer that owes few answers has room for sure (the queues alone hold 20), and one that has just
 * answered is reading: what it still owes lies in its socket, which takes more than this. */
static bool has_room(const struct rx_peer *hop, uint64_t now)
{
    enum { FEW = 16, MODEST = 100, JUST_MS = 10 };
    return hop->outstanding < FEW || (hop->outstanding < MODEST && now <= hop->last_answer_ms + JUST_MS);
}

static bool is_full(const struct rx_peer *hop)
{
    if (has_room(hop, epc_now_ms()))
        return false;
    pthread_mutex_unlock(&s.lock);
    bool full = rx_peer_full(hop->host);
    pthread_mutex_lock(&s.lock);
    return full;
}

/* Take off everything that can. A peer whose queue is full holds up its own flights alone: they are
 * tried again soon, or go elsewhere when their time for this peer is over. */
static void send_all(struct rx_list *to)
{
    struct rx_flight *f;
    while ((f = rx_flight_take())) {
        bool blocked = is_full(f->next_try.hop); /* stays while f->waits */
        f->waits = blocked;
        if (f->told && !f->closing) { /* parked for too long */
            f->waits = false;
            rx_flight_check(f, to);
        } else if (!blocked)
            rx_fly(f, to);
        else {
            epc_count(EPC_C_RX_STALLED);
            f->next = s.parked;
            s.parked = f;
            if (!f->heap_at)
                rx_flight_due(f, f->give_up);
        }
    }
}

static void unpark(uint64_t now, struct rx_list *to)
{
    struct rx_flight *list = s.parked, *f;
    s.parked = NULL;
    while ((f = list)) {
        list = f->next;
        f->waits = false;
        uint64_t began = f->retry_until - rx.host->cfg->timeout_ms;
        if (f->closing || now < began + rx_failover_ms() || f->n > 0) {
            if (now < f->retry_until || f->closing)
                rx_flight_queue(f);
            else
                rx_flight_check(f, to);
            continue;
        }
        /* Its first peer takes nothing: as good as silent. */
        struct rx_peer *stuck = f->next_try.hop;
        rx_peer_silent(stuck);
        struct rx_peer *best = f->command == RX_CC_AA
                                   ? rx_peer_best(&stuck, 1, stuck->profile, false, f->host)
                                   : NULL;
        if (best)
            f->next_try = (struct rx_attempt){.hop = best};
        if (best || now < f->retry_until)
            rx_flight_queue(f);
        else
            rx_flight_check(f, to);
    }
}

/* ---- the sender's thread -------------------------------------------------------------------------------- */

/* Give what waits to the shards. Lock held; released meanwhile. */
static void deliver_again(void)
{
    struct rx_list waiting = s.again;
    s.again = (struct rx_list){0};
    pthread_mutex_unlock(&s.lock);
    struct rx_list left = {0};
    for (struct rx_tx *tx; (tx = rx_list_pop(&waiting));)
        if (!deliver(tx))
            rx_list_push(&left, tx);
    pthread_mutex_lock(&s.lock);
    for (struct rx_tx *tx; (tx = rx_list_pop(&left));)
        rx_list_push(&s.again, tx);
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
    uint64_t due = rx_flight_next_due();
    if (due <= now + ms)
        ms = due > now ? due - now : 0;
    if (ms > TICK_MS && (rx_held_work() || now < s.look_until))
        ms = TICK_MS;
    if (ms > 10 && s.again.head)
        ms = 10;
    if (ms > PARKED_MS && s.parked)
        ms = PARKED_MS;
    return ms < IDLE_MS ? ms : IDLE_MS;
}

/* One round. With the lock, given up where something may take its time. */
static void turn(struct rx_list *to)
{
    pthread_mutex_unlock(&s.lock);
    rx_peers_refresh(PEERS_AGE_MS);
    pthread_mutex_lock(&s.lock);
    uint64_t now = epc_now_ms();
    rx_flight_timers(now, to);
    if (s.parked)
        unpark(now, to);
    struct rx_tx *tx;
    for (int i = 0; i < MANY && (tx = rx_list_pop(&s.out)); i++) {
        if (is_request(tx))
            rx_fly_begin(tx, to);
        else {
            pthread_mutex_unlock(&s.lock);
            rx_fly_answer(tx);
            pthread_mutex_lock(&s.lock);
        }
    }
    send_all(to);
    bool work = rx_held_work() && !s.stop;
    pthread_mutex_unlock(&s.lock);
    rx_deliver_all(to);
    if (work)
        rx_held_close_some(now);
    rx_held_flush();
    pthread_mutex_lock(&s.lock);
    if (s.again.head)
        deliver_again();
}

/* A request wakes half a dozen threads on its way out and its answer back, which is most of what it costs.
 * What comes in quick succession goes together: a first request at once, then a round in GATHER_US at most.
 * With the lock. */
static void gather(uint64_t *last_us)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t now_us = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000, passed = now_us - *last_us;
    if (passed < GATHER_US && !s.stop) {
        t = (struct timespec){.tv_nsec = (long)(GATHER_US - passed) * 1000};
        pthread_mutex_unlock(&s.lock);
        nanosleep(&t, NULL);
        pthread_mutex_lock(&s.lock);
        now_us += GATHER_US - passed;
    }
    *last_us = now_us;
}

static void *sender(void *arg)
{
    uint64_t last_us = 0;
    (void)arg;
    struct rx_list to = {0};
    epc_log_thread("rx-sender");
    pthread_mutex_lock(&s.lock);
    while (!s.stop || s.out.head) {
        turn(&to);
        if (!s.out.head && !rx_flight_to_send() && !to.head)
            wait_ms(pause_of(epc_now_ms()));
        gather(&last_us);
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
    if (rx_flights_init())
        return EPC_ENOMEM;
    if (fd_rt_out_register(rx_flight_on_route, NULL, 0, &s.routing) ||
        fd_hook_register(HOOK_MASK(HOOK_PEER_CONNECT_SUCCESS, HOOK_PEER_CONNECT_FAILED,
                                   HOOK_MESSAGE_FAILOVER),
                         on_peer, NULL, NULL, &s.hook))
        return EPC_EIO;
    rx_peers_refresh(0);
    pthread_mutex_lock(&s.lock);
    s.stop = false;
    s.running = pthread_create(&s.thread, NULL, sender, NULL) == 0;
    bool ok = s.running;
    pthread_mutex_unlock(&s.lock);
    return ok ? EPC_OK : EPC_EIO;
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
    for (struct rx_tx *tx; (tx = rx_list_pop(&s.again));)
        rx_tx_free(tx);
    atomic_fetch_sub(&s.outstanding, rx_flights_fini());
    s.parked = NULL;
    pthread_mutex_unlock(&s.lock);
}

