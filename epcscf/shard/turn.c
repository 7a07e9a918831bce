/* The shard's loop: wait for descriptors, give libuv its round if it has work, then a turn of ours. */
#include "shard/shard_priv.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    MAX_ROUNDS = 8,       /* of one turn, before file descriptors get theirs */
    STOP_GRACE_MS = 2000, /* how long rooms may finish after on_stop */
};

void epc_shard_run_doomed(struct epc_shard *sh)
{
    for (size_t i = 0; i < sh->n_doomed; i++) { /* a destructor may doom more */
        struct epc_doomed d = sh->doomed[i];
        d.fn(d.obj);
    }
    sh->n_doomed = 0;
}

static void on_stop_timer(void *arg)
{
    struct epc_shard *sh = arg;
    sh->stop_late = true;
}

static void begin_stop(struct epc_shard *sh)
{
    sh->stopping = true;
    /* Messages first: what they point to still lives, and they may own memory. */
    epc_mailbox_close(&sh->mailbox);
    epc_mailbox_run(&sh->mailbox, sh);
    if (sh->on_stop)
        sh->on_stop(sh, sh->on_stop_arg);
    epc_shard_close_listeners(sh);
    epc_timer_start(sh, &sh->stop_timer, STOP_GRACE_MS, on_stop_timer, sh);
}

/* One by one, as a hook may take another one off; those that are set meanwhile wait for the next round. */
static void run_hooks(struct epc_shard *sh)
{
    struct epc_turn_end **last = sh->hooks_tail;
    bool was_last = false;
    while (sh->hooks && !was_last) {
        struct epc_turn_end *h = sh->hooks;
        was_last = last == &h->_next;
        epc_shard_not_at_turn_end(sh, h);
        h->fn(h->arg);
    }
}

static bool has_more(struct epc_shard *sh, uint64_t now)
{
    return sh->hooks || sh->n_doomed || sh->mail_pending || epc_wheel_next(&sh->wheel) <= now;
}

/* Due timers, the mailbox, what waited for the end of the turn, then the doomed. True: something is left. */
static bool turn(struct epc_shard *sh)
{
    uint64_t now = epc_now_ms();
    for (int round = 0; round < MAX_ROUNDS; round++) {
        epc_wheel_advance(&sh->wheel, now);
        if (sh->mail_pending) {
            sh->mail_pending = false;
            epc_mailbox_run(&sh->mailbox, sh);
        }
        if (!sh->stopping && atomic_load_explicit(&sh->stop_asked, memory_order_acquire))
            begin_stop(sh);
        run_hooks(sh);
        epc_shard_run_doomed(sh);
        if (!has_more(sh, now))
            return false;
    }
    return true;
}

static void on_uv_ready(void *arg, unsigned events)
{
    struct epc_shard *sh = arg;
    (void)events;
    sh->uv_due = true;
}

/* libuv serves what lws does: little. It gets a round when its own epoll set has something, when one of its
 * timers is due, or when its set was changed: all but the first make its timeout 0. And whenever the shard is
 * behind: what comes by it (the gateway's answers) must not wait behind everybody else. */
static void run_uv(struct epc_shard *sh)
{
    if (!sh->uv_due && !sh->poller.behind && uv_backend_timeout(&sh->uv) != 0)
        return;
    sh->uv_due = false;
    uv_run(&sh->uv, UV_RUN_NOWAIT);
}

/* How long nothing is to be done, unless a descriptor becomes ready. */
static int time_to_wait(struct epc_shard *sh)
{
    enum { LONG_MS = 3600000 };
    uint64_t at = epc_wheel_next(&sh->wheel), now = epc_now_ms();
    uint64_t wait = at > now ? at - now : 0;
    uv_update_time(&sh->uv);
    int uv = uv_backend_timeout(&sh->uv);
    if (uv >= 0 && (uint64_t)uv < wait)
        wait = (uint64_t)uv;
    return (int)(wait < LONG_MS ? wait : LONG_MS);
}

static void never(uv_timer_t *t)
{
    (void)t;
}

static void on_mail(void *arg, unsigned events)
{
    struct epc_shard *sh = arg;
    uint64_t n;
    (void)events;
    if (read(sh->mailbox.fd, &n, sizeof n) < 0) {
        /* EAGAIN: nothing there, which harms nobody */
    }
    sh->mail_pending = true;
}

enum epc_err epc_shard_loop_open(struct epc_shard *sh)
{
    /* Without an active handle libuv would always ask for a round at once. */
    uv_timer_init(&sh->uv, &sh->uv_keep);
    uv_timer_start(&sh->uv_keep, never, UINT64_MAX / 2, 0);
    sh->mail_watch.fd = sh->mailbox.fd;
    sh->mail_pending = true; /* posts may have come before the thread */
    sh->uv_watch.fd = uv_backend_fd(&sh->uv);
    enum epc_err err = epc_watch_start(sh, &sh->mail_watch, EPC_WATCH_IN, on_mail, sh);
    return err ? err : epc_watch_start(sh, &sh->uv_watch, EPC_WATCH_IN, on_uv_ready, sh);
}

void epc_shard_loop_run(struct epc_shard *sh)
{
    for (;;) {
        bool left = turn(sh);
        /* What on_stop began has had its round of descriptors. */
        bool done = sh->stopping && (sh->holds == 0 || sh->stop_late);
        epc_poller_wait(&sh->poller, left || done ? 0 : time_to_wait(sh));
        run_uv(sh);
        if (done && (sh->holds == 0 || sh->stop_late))
            return;
    }
}

void epc_shard_loop_close(struct epc_shard *sh)
{
    epc_watch_stop(sh, &sh->mail_watch);
    epc_watch_stop(sh, &sh->uv_watch);
    epc_shard_run_doomed(sh);
}

/* ---- the door's part --------------------------------------------------------------------------- */

void epc_shard_at_turn_end(struct epc_shard *sh, struct epc_turn_end *h, epc_timer_fn *fn, void *arg)
{
    EPC_ASSERT_OWNER(sh);
    h->fn = fn;
    h->arg = arg;
    if (h->_set)
        return;
    h->_set = true;
    h->_next = NULL;
    *sh->hooks_tail = h;
    sh->hooks_tail = &h->_next;
}

void epc_shard_not_at_turn_end(struct epc_shard *sh, struct epc_turn_end *h)
{
    EPC_ASSERT_OWNER(sh);
    struct epc_turn_end **at = &sh->hooks;
    while (*at && *at != h)
        at = &(*at)->_next;
    if (!*at)
        return;
    *at = h->_next;
    if (sh->hooks_tail == &h->_next)
        sh->hooks_tail = at;
    h->_set = false;
}

void epc_shard_doom(struct epc_shard *sh, void (*fn)(void *obj), void *obj)
{
    EPC_ASSERT_OWNER(sh);
    if (sh->n_doomed == sh->cap_doomed) {
        size_t cap = sh->cap_doomed ? sh->cap_doomed * 2 : 64;
        struct epc_doomed *p = realloc(sh->doomed, cap * sizeof *p);
        if (!p) {
            epc_log(EPC_LOG_ERROR, "shard", "msg=\"out of memory: an ended object stays behind\"");
            return;
        }
        sh->doomed = p;
        sh->cap_doomed = cap;
    }
    sh->doomed[sh->n_doomed++] = (struct epc_doomed){fn, obj};
}

void epc_shard_hold(struct epc_shard *sh)
{
    EPC_ASSERT_OWNER(sh);
    sh->holds++;
}

void epc_shard_release(struct epc_shard *sh)
{
    EPC_ASSERT_OWNER(sh);
    if (sh->holds > 0)
        sh->holds--;
}

void epc_timer_start(struct epc_shard *sh, struct epc_timer *t, uint64_t after_ms, epc_timer_fn *fn,
                     void *arg)
{
    EPC_ASSERT_OWNER(sh);
    uint64_t now = epc_now_ms();
    epc_wheel_del(t);
    t->fn = fn;
    t->arg = arg;
    /* One more, as `now` is cut to whole milliseconds: never early. */
    t->_at_ms = after_ms < UINT64_MAX / 2 ? now + after_ms + 1 : UINT64_MAX / 2;
    epc_wheel_add(&sh->wheel, t);
}

void epc_timer_stop(struct epc_shard *sh, struct epc_timer *t)
{
    EPC_ASSERT_OWNER(sh);
    epc_wheel_del(t);
}

bool epc_timer_running(const struct epc_timer *t)
{
    return t->_prev != NULL;
}
