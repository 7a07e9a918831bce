/* The one thread that calls fd_msg_send(): it can block for seconds when a peer stalls. */
#include "rx_priv.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct list {
    struct rx_tx *head, **tail;
    unsigned n;
};

/* See struct rx_ext on globals; guarded by `lock`. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool running, stop;
    struct list out;   /* to freeDiameter; bounded */
    struct list again; /* to shards whose mailbox was full; each belongs to one association */
    _Atomic unsigned outstanding;
} s = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

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
    if (s.running && s.out.n < RX_SEND_QUEUE_MAX) {
        if (is_request(tx))
            atomic_fetch_add(&s.outstanding, 1);
        push(&s.out, tx);
        pthread_cond_signal(&s.wake);
        e = EPC_OK;
    }
    pthread_mutex_unlock(&s.lock);
    if (e)
        epc_log(EPC_LOG_WARN, "rx", "event=send-queue-full limit=%d", RX_SEND_QUEUE_MAX);
    return e;
}

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
    pthread_cond_signal(&s.wake);
    pthread_mutex_unlock(&s.lock);
}

/* ---- freeDiameter's callbacks: copy and post ------------------------------------------------------ */

static void on_answer(void *data, struct msg **m)
{
    struct rx_tx *tx = data;
    tx->msg = *m;
    *m = NULL;
    rx_deliver(tx);
}

static void on_expiry(void *data, DiamId_t peer, size_t n, struct msg **m)
{
    struct rx_tx *tx = data;
    (void)peer, (void)n;
    fd_msg_free(*m);
    *m = NULL;
    tx->event = RX_EV_EXPIRED;
    rx_deliver(tx);
}

unsigned rx_open_peers(void)
{
    unsigned n = 0;
    struct fd_app *app;
    if (pthread_rwlock_rdlock(&fd_g_peers_rw))
        return 0;
    for (struct fd_list *li = fd_g_peers.next; li != &fd_g_peers; li = li->next) {
        struct peer_hdr *p = li->o;
        if (fd_peer_get_state(p) == STATE_OPEN &&
            (p->info.runtime.pir_relay ||
             (fd_app_check(&p->info.runtime.pir_apps, RX_APP_ID, &app) == 0 && app)))
            n++;
    }
    pthread_rwlock_unlock(&fd_g_peers_rw);
    return n;
}

/* How long a late answer may still be told from a stray one: long enough for a PCRF that is slow,
 * short enough that sessions which got no answer at all do not pile up. */
static void late_limit(struct timespec *t)
{
    uint64_t ms = (uint64_t)rx.host->cfg->timeout_ms * 4;
    clock_gettime(CLOCK_REALTIME, t);
    t->tv_sec += (time_t)(ms / 1000);
    t->tv_nsec += (long)(ms % 1000) * 1000000;
    if (t->tv_nsec >= 1000000000) {
        t->tv_sec++;
        t->tv_nsec -= 1000000000;
    }
}

static void transmit(struct rx_tx *tx)
{
    struct timespec limit;
    struct msg *m = tx->msg;
    tx->msg = NULL;
    if (!is_request(tx)) {
        if (fd_msg_send(&m, NULL, NULL) && m)
            fd_msg_free(m);
        rx_tx_free(tx);
        return;
    }
    late_limit(&limit);
    if (rx_open_peers() > 0 && fd_msg_send_timeout(&m, on_answer, tx, on_expiry, &limit) == 0)
        return;
    if (m)
        fd_msg_free(m);
    tx->event = RX_EV_UNDELIVERED;
    rx_deliver(tx);
}

/* Give what waits to the shards. Lock held; released meanwhile. */
static void deliver_again(void)
{
    struct list waiting = s.again;
    s.again = (struct list){0};
    pthread_mutex_unlock(&s.lock);
    for (struct rx_tx *tx; (tx = pop(&waiting));)
        if (!deliver(tx)) {
            pthread_mutex_lock(&s.lock);
            push(&s.again, tx);
            pthread_mutex_unlock(&s.lock);
        }
    pthread_mutex_lock(&s.lock);
}

static void pause_ms(long ms)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += ms * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&s.wake, &s.lock, &t);
}

static void *sender(void *arg)
{
    (void)arg;
    epc_log_thread("rx-sender");
    pthread_mutex_lock(&s.lock);
    while (!s.stop || s.out.head) {
        struct rx_tx *tx = pop(&s.out);
        if (tx) {
            pthread_mutex_unlock(&s.lock);
            transmit(tx);
            pthread_mutex_lock(&s.lock);
        } else if (s.again.head) {
            deliver_again();
            if (s.again.head)
                pause_ms(10);
        } else
            pthread_cond_wait(&s.wake, &s.lock);
    }
    pthread_mutex_unlock(&s.lock);
    return NULL;
}

enum epc_err rx_sender_start(void)
{
    pthread_mutex_lock(&s.lock);
    s.stop = false;
    bool ok = s.running || pthread_create(&s.thread, NULL, sender, NULL) == 0;
    s.running = ok;
    pthread_mutex_unlock(&s.lock);
    return ok ? EPC_OK : EPC_EIO;
}

void rx_sender_stop(void)
{
    pthread_mutex_lock(&s.lock);
    bool running = s.running;
    s.stop = true;
    s.running = false;
    pthread_cond_signal(&s.wake);
    pthread_mutex_unlock(&s.lock);
    if (running)
        pthread_join(s.thread, NULL);
    for (struct rx_tx *tx; (tx = pop(&s.again));)
        rx_tx_free(tx);
}
