/* One turn of a shard's loop, and what keeps the turns coming. */
#include "shard/shard_priv.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    MAX_ROUNDS = 8,        /* of one turn, before sofia gets its turn */
    STOP_GRACE_MS = 2000,  /* how long rooms may finish after on_stop */
    SU_MAX_WAIT_MS = 1000, /* su timers follow the wall clock: bound what a step of it can delay */
};

static void on_nudge(su_root_magic_t *magic, su_msg_r msg, su_msg_arg_t *arg)
{
    (void)msg;
    (void)arg;
    struct epc_shard *sh = (struct epc_shard *)magic;
    sh->nudged = false;
}

void epc_shard_nudge(struct epc_shard *sh)
{
    su_msg_r msg = SU_MSG_R_INIT;
    if (sh->nudged || sh->in_turn || !sh->root)
        return;
    if (su_msg_create(msg, su_root_task(sh->root), su_root_task(sh->root), on_nudge, 0) == 0 &&
        su_msg_send(msg) == 0)
        sh->nudged = true;
    else
        epc_mailbox_wake(&sh->mailbox); /* out of memory: the eventfd needs none */
}

/* libuv applies changes of its epoll set only inside uv_run, also those made by its callbacks:
 * uv_backend_timeout() says 0 as long as some are left. */
static void pump(struct epc_shard *sh)
{
    sh->dirty = false;
    uv_run(&sh->uv, UV_RUN_NOWAIT);
    int timeout_ms = uv_backend_timeout(&sh->uv);
    if (timeout_ms == 0)
        sh->dirty = true;
    sh->uv_due = timeout_ms < 0 ? UINT64_MAX : epc_now_ms() + (uint64_t)timeout_ms;
}

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
    epc_shard_close_listeners(sh, NULL);
    epc_timer_start(sh, &sh->stop_timer, STOP_GRACE_MS, on_stop_timer, sh);
    sh->dirty = true;
}

static void arm(struct epc_shard *sh);

static void turn(struct epc_shard *sh)
{
    bool again = true;
    if (sh->in_turn)
        return;
    sh->in_turn = true;
    for (int round = 0; again && round < MAX_ROUNDS; round++) {
        uint64_t now = epc_now_ms();
        epc_wheel_advance(&sh->wheel, now);
        if (sh->mail_pending) {
            sh->mail_pending = false;
            epc_mailbox_run(&sh->mailbox, sh);
        }
        if (!sh->stopping && atomic_load_explicit(&sh->stop_asked, memory_order_acquire))
            begin_stop(sh);
        if (sh->dirty || now >= sh->uv_due)
            pump(sh);
        epc_shard_run_doomed(sh);
        again = sh->dirty || sh->mail_pending;
    }
    sh->in_turn = false;
    if (sh->stopping && !sh->dirty && (sh->holds == 0 || sh->stop_late))
        su_root_break(sh->root);
    if (again)
        epc_shard_nudge(sh);
    arm(sh);
}

static void on_su_timer(su_root_magic_t *magic, su_timer_t *t, su_timer_arg_t *arg)
{
    (void)t;
    (void)arg;
    struct epc_shard *sh = (struct epc_shard *)magic;
    sh->su_timer_at = UINT64_MAX;
    turn(sh);
}

/* Let su wake us for the earlier of our next timer and libuv's. */
static void arm(struct epc_shard *sh)
{
    uint64_t at = epc_wheel_next(&sh->wheel);
    if (sh->uv_due < at)
        at = sh->uv_due;
    if (at == sh->su_timer_at)
        return;
    sh->su_timer_at = at;
    if (at == UINT64_MAX) {
        su_timer_reset(sh->su_timer);
        return;
    }
    uint64_t now = epc_now_ms();
    uint64_t wait_ms = at > now ? at - now : 1;
    if (wait_ms > 3600000)
        wait_ms = 3600000;
    su_timer_set_interval(sh->su_timer, on_su_timer, NULL, (su_duration_t)wait_ms);
}

static void on_prepoll(su_prepoll_magic_t *magic, su_root_t *root)
{
    (void)root;
    turn((struct epc_shard *)magic);
}

/* The two file descriptors only leave marks: a turn follows at once. */
static int on_uv_ready(su_root_magic_t *magic, su_wait_t *w, su_wakeup_arg_t *arg)
{
    (void)w;
    (void)arg;
    ((struct epc_shard *)magic)->dirty = true;
    return 0;
}

static int on_mail(su_root_magic_t *magic, su_wait_t *w, su_wakeup_arg_t *arg)
{
    struct epc_shard *sh = (struct epc_shard *)magic;
    uint64_t n;
    (void)w;
    (void)arg;
    if (read(sh->mailbox.fd, &n, sizeof n) < 0) {
        /* EAGAIN: nothing there, which harms nobody */
    }
    sh->mail_pending = true;
    return 0;
}

static int watch(struct epc_shard *sh, su_wait_t *w, int fd, su_wakeup_f fn)
{
    if (su_wait_create(w, fd, SU_WAIT_IN) < 0)
        return -1;
    return su_root_register(sh->root, w, fn, NULL, 0);
}

enum epc_err epc_shard_loop_open(struct epc_shard *sh)
{
    sh->root = su_root_create((su_root_magic_t *)sh);
    if (!sh->root)
        return EPC_EIO;
    su_root_threading(sh->root, 0);
    su_root_set_max_defer(sh->root, SU_MAX_WAIT_MS);
    sh->su_timer_at = UINT64_MAX;
    sh->su_timer = su_timer_create(su_root_task(sh->root), 0);
    sh->uv_wait_index = watch(sh, &sh->uv_wait, uv_backend_fd(&sh->uv), on_uv_ready);
    sh->mail_wait_index = watch(sh, &sh->mail_wait, sh->mailbox.fd, on_mail);
    if (!sh->su_timer || sh->uv_wait_index < 0 || sh->mail_wait_index < 0 ||
        su_root_add_prepoll(sh->root, on_prepoll, (su_prepoll_magic_t *)sh) < 0) {
        epc_log(EPC_LOG_ERROR, "shard", "msg=\"su_root refused\" shard=%s", sh->label);
        epc_shard_loop_close(sh);
        return EPC_EIO;
    }
    sh->dirty = true;
    sh->mail_pending = true; /* posts may have come before the thread */
    return EPC_OK;
}

void epc_shard_loop_run(struct epc_shard *sh)
{
    su_root_run(sh->root);
}

void epc_shard_loop_close(struct epc_shard *sh)
{
    if (!sh->root)
        return;
    if (sh->su_timer)
        su_timer_destroy(sh->su_timer);
    if (sh->uv_wait_index > 0)
        su_root_deregister(sh->root, sh->uv_wait_index);
    if (sh->mail_wait_index > 0)
        su_root_deregister(sh->root, sh->mail_wait_index);
    su_root_remove_prepoll(sh->root);
    su_root_destroy(sh->root);
    sh->root = NULL;
}

/* ---- the door's part --------------------------------------------------------------------------- */

void epc_shard_kick(struct epc_shard *sh)
{
    EPC_ASSERT_OWNER(sh);
    sh->dirty = true;
    epc_shard_nudge(sh);
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
    epc_shard_nudge(sh);
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
    epc_shard_nudge(sh);
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
    if (t->_at_ms < sh->su_timer_at)
        epc_shard_nudge(sh);
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
