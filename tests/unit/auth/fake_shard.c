#include "fake_shard.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

static char no_shard;
struct epc_shard *const fake_shard = (struct epc_shard *)(void *)&no_shard;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static struct {
    epc_shard_fn *fn;
    void *arg;
} mails[64];
static size_t n_mails;

enum epc_err epc_shard_post(struct epc_shard *sh, epc_shard_fn *fn, void *arg)
{
    (void)sh;
    enum epc_err err = EPC_ELIMIT;
    pthread_mutex_lock(&mutex);
    if (n_mails < EPC_ARRAY_LEN(mails)) {
        mails[n_mails].fn = fn;
        mails[n_mails++].arg = arg;
        err = EPC_OK;
    }
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&mutex);
    return err;
}

void fake_shard_run_one(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += 20;
    pthread_mutex_lock(&mutex);
    while (n_mails == 0) {
        if (pthread_cond_timedwait(&cond, &mutex, &t) != 0)
            abort();
    }
    epc_shard_fn *fn = mails[0].fn;
    void *arg = mails[0].arg;
    n_mails--;
    for (size_t i = 0; i < n_mails; i++)
        mails[i] = mails[i + 1];
    pthread_mutex_unlock(&mutex);
    fn(fake_shard, arg);
}

void epc_shard_assert_owner(const struct epc_shard *sh);
void epc_shard_assert_owner(const struct epc_shard *sh)
{
    (void)sh;
}
void epc_shard_doom(struct epc_shard *sh, void (*fn)(void *obj), void *obj)
{
    (void)sh;
    fn(obj);
}
void epc_shard_hold(struct epc_shard *sh)
{
    (void)sh;
}
void epc_shard_release(struct epc_shard *sh)
{
    (void)sh;
}
struct lws_context *epc_shard_lws(struct epc_shard *sh)
{
    (void)sh;
    return NULL;
}
void epc_timer_start(struct epc_shard *sh, struct epc_timer *t, uint64_t after_ms, epc_timer_fn *fn,
                     void *arg)
{
    (void)sh;
    (void)after_ms;
    t->fn = fn;
    t->arg = arg;
}
void epc_timer_stop(struct epc_shard *sh, struct epc_timer *t)
{
    (void)sh;
    (void)t;
}
bool epc_timer_running(const struct epc_timer *t)
{
    return t->_prev != NULL;
}
