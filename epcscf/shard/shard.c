/* A shard's life: made by the main thread, started, stopped, destroyed. */
#include "shard/shard_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { DEFAULT_MAX = 65536, MAX_LWS_FDS = 1 << 20, LWS_CLOSE_ROUNDS = 32, UV_CLOSE_ROUNDS = 1000 };

/* Which shard this thread is. The only way to know the owner without a lock; each thread has its
 * own, so nothing is shared. */
static _Thread_local struct epc_shard *this_shard;

/* lws reports what peers do wrong as errors: one step milder here. */
static void on_lws_log(int level, const char *line)
{
    enum epc_log_level l = level & LLL_ERR ? EPC_LOG_WARN : level & LLL_WARN ? EPC_LOG_INFO : EPC_LOG_DEBUG;
    struct epc_str s = epc_str_trim(epc_str_c(line));
    epc_log(l, "lws", "msg=\"%.*s\"", EPC_STR_ARG(s));
}

/* lws finds a connection by its descriptor in O(1) only while its table covers every descriptor
 * that the process may have (fd_limit_per_thread left 0); with a smaller table each event is a
 * linear search. So the table is as long as RLIMIT_NOFILE, and that must stay reasonable. */
static void check_fd_limit(unsigned max_connections)
{
    struct rlimit rl;
    if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
        return;
    if (rl.rlim_cur > MAX_LWS_FDS) {
        rl.rlim_cur = MAX_LWS_FDS;
        if (setrlimit(RLIMIT_NOFILE, &rl) == 0)
            epc_log(EPC_LOG_INFO, "shard", "msg=\"limit of open files lowered\" limit=%d", (int)MAX_LWS_FDS);
    }
    if (rl.rlim_cur < max_connections)
        epc_log(EPC_LOG_WARN, "shard",
                "msg=\"fewer open files allowed than connections configured\" limit=%llu connections=%u",
                (unsigned long long)rl.rlim_cur, max_connections);
}

static enum epc_err open_lws(struct epc_shard *sh)
{
    /* Both zero: no validity timers, which sit in a list that is searched for every connection. */
    static const lws_retry_bo_t no_validity_timers;
    void *loops[1] = {&sh->uv};
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_UV_NO_SIGSEGV_SIGFPE_SPIN |
                   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.foreign_loops = loops;
    info.pcontext = &sh->lws; /* set to NULL when the context is really gone */
    info.user = sh;
    info.gid = -1;
    info.uid = -1;
    info.timeout_secs = 30;
    info.server_string = "epcscf";
    info.retry_and_idle_policy = &no_validity_timers;
    struct lws_context *ctx = lws_create_context(&info);
    if (!ctx) {
        epc_log(EPC_LOG_ERROR, "shard", "msg=\"lws_create_context failed\" shard=%s", sh->label);
        return EPC_EIO;
    }
    sh->lws = ctx;
    return EPC_OK;
}

enum epc_err epc_shard_create(struct epc_shard **out, const struct epc_shard_opts *o)
{
    if (!out || !o || !o->label)
        return EPC_EINVAL;
    struct epc_shard *sh = calloc(1, sizeof *sh);
    if (!sh)
        return EPC_ENOMEM;
    enum epc_err e;
    sh->index = o->index;
    snprintf(sh->label, sizeof sh->label, "%s", o->label);
    sh->mailbox.fd = sh->poller.fd = -1;
    sh->hooks_tail = &sh->hooks;
    pthread_mutex_init(&sh->start_mutex, NULL);
    pthread_cond_init(&sh->start_cond, NULL);
    epc_wheel_init(&sh->wheel, epc_now_ms());
    lws_set_log_level(LLL_ERR | LLL_WARN | (epc_log_on(EPC_LOG_DEBUG) ? LLL_NOTICE : 0), on_lws_log);
    check_fd_limit(o->max_connections);
    e = epc_mailbox_init(&sh->mailbox, o->mailbox_max ? o->mailbox_max : DEFAULT_MAX);
    if (e)
        goto out;
    int r = epc_poller_open(&sh->poller) ? -errno : uv_loop_init(&sh->uv);
    if (r < 0) {
        epc_log(EPC_LOG_ERROR, "shard", "msg=\"uv_loop_init failed\" error=\"%s\"", uv_strerror(r));
        e = EPC_EIO;
        goto out;
    }
    sh->uv_ready = true;
    e = open_lws(sh);
out:
    if (e) {
        epc_shard_destroy(sh);
        return e;
    }
    *out = sh;
    return EPC_OK;
}

static void report_start(struct epc_shard *sh, enum epc_err e)
{
    pthread_mutex_lock(&sh->start_mutex);
    sh->start_done = true;
    sh->start_result = e;
    pthread_cond_signal(&sh->start_cond);
    pthread_mutex_unlock(&sh->start_mutex);
}

static void *shard_main(void *arg)
{
    struct epc_shard *sh = arg;
    this_shard = sh;
    epc_log_thread(sh->label);
    pthread_setname_np(pthread_self(), sh->label);
    enum epc_err e = epc_shard_loop_open(sh);
    if (e) {
        report_start(sh, e);
        return NULL;
    }
    if (sh->on_start)
        sh->on_start(sh, sh->on_start_arg);
    report_start(sh, EPC_OK);
    epc_shard_loop_run(sh);
    epc_shard_loop_close(sh);
    epc_shard_lws_close(sh);
    return NULL;
}

enum epc_err epc_shard_start(struct epc_shard *sh, epc_shard_fn *on_start, void *arg)
{
    sigset_t all, old;
    if (sh->started)
        return EPC_EINVAL;
    sh->on_start = on_start;
    sh->on_start_arg = arg;
    sh->start_done = false;
    /* Signals belong to the main thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&sh->thread, NULL, shard_main, sh);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r) {
        epc_log(EPC_LOG_ERROR, "shard", "msg=\"no thread\" error=\"%s\"", strerror(r));
        return EPC_EIO;
    }
    pthread_mutex_lock(&sh->start_mutex);
    while (!sh->start_done)
        pthread_cond_wait(&sh->start_cond, &sh->start_mutex);
    enum epc_err e = sh->start_result;
    pthread_mutex_unlock(&sh->start_mutex);
    if (e)
        pthread_join(sh->thread, NULL);
    else
        sh->started = true;
    return e;
}

void epc_shard_stop(struct epc_shard *sh, epc_shard_fn *on_stop, void *arg)
{
    if (!sh || !sh->started)
        return;
    sh->on_stop = on_stop;
    sh->on_stop_arg = arg;
    atomic_store_explicit(&sh->stop_asked, true, memory_order_release);
    epc_mailbox_wake(&sh->mailbox);
    pthread_join(sh->thread, NULL);
    sh->started = false;
}

static void close_leftover(uv_handle_t *h, void *arg)
{
    (void)arg;
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

/* Until nothing is left in it, at most @p rounds. */
static void run_uv(struct epc_shard *sh, int rounds)
{
    for (int i = 0; i < rounds && uv_run(&sh->uv, UV_RUN_NOWAIT); i++)
        epc_shard_run_doomed(sh);
    epc_shard_run_doomed(sh);
}

void epc_shard_lws_close(struct epc_shard *sh)
{
    if (!sh->uv_ready)
        return;
    /* lws ends in three steps on a foreign loop: the first call closes its connections, their close
     * callbacks close its own handles, and only the second call frees the context. */
    if (sh->lws)
        lws_context_destroy(sh->lws);
    run_uv(sh, LWS_CLOSE_ROUNDS);
    if (sh->lws)
        lws_context_destroy(sh->lws);
    if (sh->lws)
        epc_log(EPC_LOG_ERROR, "shard", "msg=\"lws did not close\" shard=%s", sh->label);
    uv_walk(&sh->uv, close_leftover, NULL);
    run_uv(sh, UV_CLOSE_ROUNDS);
    if (uv_loop_close(&sh->uv) < 0)
        epc_log(EPC_LOG_ERROR, "shard", "msg=\"libuv did not close\" shard=%s", sh->label);
    sh->uv_ready = false;
}

void epc_shard_destroy(struct epc_shard *sh)
{
    if (!sh)
        return;
    if (sh->started)
        epc_shard_stop(sh, NULL, NULL);
    if (sh->uv_ready) { /* it never ran: this thread is the owner for the rest */
        struct epc_shard *before = this_shard;
        this_shard = sh;
        epc_shard_lws_close(sh);
        this_shard = before;
    }
    epc_poller_close(&sh->poller);
    epc_mailbox_free(&sh->mailbox);
    pthread_mutex_destroy(&sh->start_mutex);
    pthread_cond_destroy(&sh->start_cond);
    free(sh->doomed);
    free(sh);
}

/* ---- access ------------------------------------------------------------------------------------- */

unsigned epc_shard_index(const struct epc_shard *sh)
{
    return sh->index;
}

bool epc_shard_is_owner(const struct epc_shard *sh)
{
    return this_shard == sh;
}

#ifdef EPC_DEBUG
void epc_shard_assert_owner(const struct epc_shard *sh)
{
    if (this_shard == sh)
        return;
    epc_log(EPC_LOG_ERROR, "shard", "msg=\"called from a foreign thread\" shard=%s", sh->label);
    abort();
}
#endif

enum epc_err epc_shard_post(struct epc_shard *sh, epc_shard_fn *fn, void *arg)
{
    if (!sh || !fn)
        return EPC_EINVAL;
    enum epc_err e = epc_mailbox_put(&sh->mailbox, fn, arg);
    epc_count(e ? EPC_C_SHARD_DROPPED : EPC_C_SHARD_POSTED);
    return e;
}

struct epc_poller *epc_shard_poller(struct epc_shard *sh)
{
    return &sh->poller;
}

bool epc_shard_behind(const struct epc_shard *sh)
{
    return sh->poller.behind;
}

uint64_t epc_shard_looked_ms(struct epc_shard *sh)
{
    EPC_ASSERT_OWNER(sh);
    return sh->poller.looked_ms;
}

uv_loop_t *epc_shard_uv(struct epc_shard *sh)
{
    return &sh->uv;
}

struct lws_context *epc_shard_lws(struct epc_shard *sh)
{
    return sh->lws;
}

struct epc_shard *epc_shard_from_lws(struct lws_context *ctx)
{
    return lws_context_user(ctx);
}
