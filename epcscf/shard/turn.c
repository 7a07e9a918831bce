/* The shard's loop: libuv, and between its waits a turn of ours. */
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

static void on_wheel_timer(uv_timer_t *t)
{
    uv_stop(t->loop); /* libuv would wait on, were this due at the start of its round */
}

/* Let libuv wait no longer than for our next timer. */
static void arm(struct epc_shard *sh)
{
    uint64_t at = epc_wheel_next(&sh->wheel);
    if (at == sh->uv_due)
        return;
    sh->uv_due = at;
    if (at == UINT64_MAX) {
        uv_timer_stop(&sh->wheel_timer);
        return;
    }
    uv_update_time(&sh->uv);
    uint64_t now = epc_now_ms();
    uv_timer_start(&sh->wheel_timer, on_wheel_timer, at > now ? at - now : 0, 0);
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
    sh->uv_due = UINT64_MAX;
    uv_timer_init(&sh->uv, &sh->wheel_timer);
    sh->mail_watch.fd = sh->mailbox.fd;
    sh->mail_pending = true; /* posts may have come before the thread */
    return epc_watch_start(sh, &sh->mail_watch, EPC_WATCH_IN, on_mail, sh);
}

void epc_shard_loop_run(struct epc_shard *sh)
{
    for (;;) {
        bool left = turn(sh);
        /* What on_stop began has had its round of libuv. */
        bool done = sh->stopping && (sh->holds == 0 || sh->stop_late);
        if (!left && !done)
            arm(sh);
        uv_run(&sh->uv, left || done ? UV_RUN_NOWAIT : UV_RUN_ONCE);
        if (sh->uv_due != UINT64_MAX && !uv_is_active((const uv_handle_t *)&sh->wheel_timer))
            sh->uv_due = UINT64_MAX; /* it has fired */
        if (done && (sh->holds == 0 || sh->stop_late))
            return;
    }
}

void epc_shard_loop_close(struct epc_shard *sh)
{
    epc_watch_stop(sh, &sh->mail_watch);
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
