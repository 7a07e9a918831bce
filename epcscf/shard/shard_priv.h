/* Private to shard/: how a turn of the loop, the mailbox and the timing wheel fit together.
 *
 * The loop waits for file descriptors (watch.c) and calls back for them; libuv, which lws needs, is one of them.
 * Between two waits lies the *turn*: due timers, the mailbox, the hooks of the turn's end, then the doomed list. */
#ifndef EPC_SHARD_PRIV_H
#define EPC_SHARD_PRIV_H

#include "shard/poller.h"

#include <libwebsockets.h>
#include <pthread.h>
#include <uv.h>

/* ---- timing wheel: 64 slots a level, a level for each 6 bits of the time in ms -------------------
 * A timer sits at the level of the highest 6-bit digit in which its time differs from the wheel's
 * `now`; so every slot of a level lies ahead, and timers move down at most once for each level. */
enum { EPC_WHEEL_BITS = 6, EPC_WHEEL_SLOTS = 64, EPC_WHEEL_LEVELS = 11 };
struct epc_wheel {
    uint64_t now;
    uint64_t used[EPC_WHEEL_LEVELS]; /* a bit for each slot that may hold timers */
    struct epc_timer *slot[EPC_WHEEL_LEVELS][EPC_WHEEL_SLOTS];
    struct epc_timer *due; /* being fired */
};
void epc_wheel_init(struct epc_wheel *w, uint64_t now);
void epc_wheel_add(struct epc_wheel *w, struct epc_timer *t); /* t->_at_ms set, t idle */
void epc_wheel_del(struct epc_timer *t);
/* Time of the next event (a timer or a move between levels); UINT64_MAX when there is none. */
uint64_t epc_wheel_next(struct epc_wheel *w);
void epc_wheel_advance(struct epc_wheel *w, uint64_t now);

/* ---- mailbox: a mutex around two arrays that are swapped --------------------------------------- */
struct epc_mail {
    epc_shard_fn *fn;
    void *arg;
};
struct epc_mails {
    struct epc_mail *v;
    size_t n, cap;
};
struct epc_mailbox {
    pthread_mutex_t mutex;
    struct epc_mails in; /* under the mutex */
    bool closed;         /* under the mutex */
    struct epc_mails out; /* the owner's */
    size_t max;
    int fd; /* eventfd: written once for each batch */
};
enum epc_err epc_mailbox_init(struct epc_mailbox *m, size_t max) EPC_MUST_CHECK;
void epc_mailbox_free(struct epc_mailbox *m);
enum epc_err epc_mailbox_put(struct epc_mailbox *m, epc_shard_fn *fn, void *arg) EPC_MUST_CHECK;
void epc_mailbox_wake(struct epc_mailbox *m);
void epc_mailbox_run(struct epc_mailbox *m, struct epc_shard *sh); /* one batch */
void epc_mailbox_close(struct epc_mailbox *m);

/* ---- the shard ---------------------------------------------------------------------------------- */
struct epc_doomed {
    void (*fn)(void *obj);
    void *obj;
};
struct epc_listener;

struct epc_shard {
    unsigned index;
    char label[16];

    pthread_t thread;
    bool started;
    pthread_mutex_t start_mutex;
    pthread_cond_t start_cond;
    bool start_done;            /* under start_mutex, as the next two */
    enum epc_err start_result;
    epc_shard_fn *on_start;
    void *on_start_arg;

    atomic_bool stop_asked;     /* published by the stopping thread after the next two are set */
    epc_shard_fn *on_stop;
    void *on_stop_arg;
    bool stopping;
    unsigned holds;             /* rooms that still finish something */
    struct epc_timer stop_timer;
    bool stop_late;

    uv_loop_t uv;
    bool uv_ready;
    uv_timer_t uv_keep;         /* never fires */
    struct epc_watch uv_watch;  /* its epoll set */
    bool uv_due;
    struct lws_context *lws;

    struct epc_poller poller;

    struct epc_wheel wheel;
    struct epc_mailbox mailbox;
    struct epc_watch mail_watch;
    bool mail_pending;

    struct epc_turn_end *hooks, **hooks_tail;
    struct epc_doomed *doomed;
    size_t n_doomed, cap_doomed;

    struct epc_listener *listeners;
};

enum epc_err epc_shard_loop_open(struct epc_shard *sh) EPC_MUST_CHECK; /* owner thread */
void epc_shard_loop_run(struct epc_shard *sh);
void epc_shard_loop_close(struct epc_shard *sh);
void epc_shard_lws_close(struct epc_shard *sh); /* lws and libuv */
void epc_shard_run_doomed(struct epc_shard *sh);
void epc_shard_close_listeners(struct epc_shard *sh);

#endif
