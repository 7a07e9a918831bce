/* Work that may block (files, name look-ups) on a thread of its own, with its result on the shard. A
 * thread can outlive the shard when the system keeps it waiting: whoever lets go last frees the job. */
#include "shard/shard.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum { STACK_OCTETS = 512 * 1024, RETRY_NS = 10 * 1000 * 1000 };

struct epc_work {
    pthread_mutex_t mutex;
    struct epc_shard *sh; /* under the mutex; NULL: cancelled */
    bool lost;            /* under the mutex: the shard takes no messages any more */
    const struct epc_work_fns *fns;
    void *job;
};

static void bury(struct epc_work *w)
{
    w->fns->discard(w->job);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

static void on_done(struct epc_shard *sh, void *arg)
{
    struct epc_work *w = arg;
    (void)sh;
    pthread_mutex_lock(&w->mutex); /* the thread may still be on its way out of it */
    bool cancelled = w->sh == NULL;
    pthread_mutex_unlock(&w->mutex);
    if (!cancelled)
        w->fns->done(w->job);
    bury(w);
}

/* Whose handle lives on: on_done() buries it, or who cancels it. */
static enum epc_err hand_back(struct epc_work *w)
{
    pthread_mutex_lock(&w->mutex);
    bool cancelled = w->sh == NULL;
    enum epc_err err = cancelled ? EPC_ENOENT : epc_shard_post(w->sh, on_done, w);
    if (!cancelled && err == EPC_ENOENT)
        w->lost = true;
    pthread_mutex_unlock(&w->mutex);
    if (cancelled)
        bury(w);
    return err;
}

static void *work_main(void *arg)
{
    struct epc_work *w = arg;
    epc_log_thread("work");
    w->fns->run(w->job);
    while (hand_back(w) == EPC_ELIMIT) /* its mailbox is full */
        nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
    return NULL;
}

enum epc_err epc_work_start(struct epc_work **out, struct epc_shard *sh,
                            const struct epc_work_fns *fns, void *job)
{
    struct epc_work *w = calloc(1, sizeof *w);
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;
    if (!w)
        return EPC_ENOMEM;
    pthread_mutex_init(&w->mutex, NULL);
    w->sh = sh;
    w->fns = fns;
    w->job = job;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_OCTETS);
    sigfillset(&all); /* signals belong to the main thread */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    *out = w; /* before the thread: it may be done at once */
    int r = pthread_create(&thread, &attr, work_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (r == 0)
        return EPC_OK;
    *out = NULL;
    pthread_mutex_destroy(&w->mutex);
    free(w);
    return EPC_EIO;
}

void epc_work_cancel(struct epc_work *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    w->sh = NULL;
    bool lost = w->lost;
    pthread_mutex_unlock(&w->mutex);
    if (lost)
        bury(w);
}
