/* Worker threads with one bounded queue; results come back through the shard's mailbox. */
#include "wwsf/jobs.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum { THREADS_MAX = 8 };

struct list {
    struct epc_job *first, *last;
};

struct epc_jobs {
    struct epc_shard *sh;
    void *ctx;
    char label[16];
    pthread_t thread[THREADS_MAX];
    unsigned n_threads;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t more;
    struct list waiting, finished;
    size_t n_waiting, max;
    bool ending, posted;  /* a message to the shard is under way */
};

static void append(struct list *l, struct epc_job *j)
{
    j->next = NULL;
    *(l->last ? &l->last->next : &l->first) = j;
    l->last = j;
}

static struct epc_job *take_all(struct list *l)
{
    struct epc_job *j = l->first;
    *l = (struct list){NULL, NULL};
    return j;
}

static void run_done(struct epc_job *j)
{
    while (j) {
        struct epc_job *next = j->next; /* done may free it */
        j->done(j);
        j = next;
    }
}

static void free_jobs(struct epc_jobs *js)
{
    pthread_cond_destroy(&js->more);
    pthread_mutex_destroy(&js->lock);
    free(js);
}

static void on_finished(struct epc_shard *sh, void *arg)
{
    (void)sh;
    struct epc_jobs *js = arg;
    pthread_mutex_lock(&js->lock);
    struct epc_job *j = take_all(&js->finished);
    js->posted = false;
    bool gone = js->ending;
    pthread_mutex_unlock(&js->lock);
    if (gone) /* destroyed while this message was under way: nothing was left to do */
        free_jobs(js);
    else
        run_done(j);
}

static void hand_back(struct epc_jobs *js, struct epc_job *j)
{
    append(&js->finished, j);
    /* A full or closed mailbox: the next result, or epc_jobs_destroy(), takes this one along. */
    if (!js->posted)
        js->posted = epc_shard_post(js->sh, on_finished, js) == EPC_OK;
}

static void *work(void *arg)
{
    struct epc_jobs *js = arg;
    epc_log_thread(js->label);
    pthread_mutex_lock(&js->lock);
    for (;;) {
        while (!js->waiting.first && !js->ending)
            pthread_cond_wait(&js->more, &js->lock);
        if (js->ending)
            break;
        struct epc_job *j = js->waiting.first;
        js->waiting.first = j->next;
        if (!j->next)
            js->waiting.last = NULL;
        js->n_waiting--;
        pthread_mutex_unlock(&js->lock);
        j->run(js->ctx, j);
        j->ran = true;
        pthread_mutex_lock(&js->lock);
        hand_back(js, j);
    }
    pthread_mutex_unlock(&js->lock);
    return NULL;
}

/* Signals are the main thread's. */
static int start_thread(struct epc_jobs *js)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&js->thread[js->n_threads], NULL, work, js);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        js->n_threads++;
    return r;
}

enum epc_err epc_jobs_create(struct epc_jobs **out, struct epc_shard *sh, const char *label, unsigned threads,
                             size_t max, void *ctx)
{
    struct epc_jobs *js = calloc(1, sizeof *js);
    if (!js)
        return EPC_ENOMEM;
    js->sh = sh;
    js->ctx = ctx;
    js->max = max;
    snprintf(js->label, sizeof js->label, "%s", label);
    pthread_mutex_init(&js->lock, NULL);
    pthread_cond_init(&js->more, NULL);
    for (unsigned i = 0; i < threads && i < THREADS_MAX; i++) {
        if (start_thread(js) != 0) {
            epc_log(EPC_LOG_ERROR, "wwsf", "event=thread-not-started label=%s", label);
            epc_jobs_destroy(js);
            return EPC_EIO;
        }
    }
    *out = js;
    return EPC_OK;
}

enum epc_err epc_jobs_push(struct epc_jobs *js, struct epc_job *j)
{
    enum epc_err err = EPC_ELIMIT;
    pthread_mutex_lock(&js->lock);
    if (js->n_waiting < js->max && !js->ending) {
        j->ran = false;
        append(&js->waiting, j);
        js->n_waiting++;
        err = EPC_OK;
        pthread_cond_signal(&js->more);
    }
    pthread_mutex_unlock(&js->lock);
    return err;
}

void epc_jobs_destroy(struct epc_jobs *js)
{
    if (!js)
        return;
    pthread_mutex_lock(&js->lock);
    js->ending = true;
    pthread_cond_broadcast(&js->more);
    pthread_mutex_unlock(&js->lock);
    for (unsigned i = 0; i < js->n_threads; i++)
        pthread_join(js->thread[i], NULL);
    struct epc_job *finished = take_all(&js->finished), *waiting = take_all(&js->waiting);
    run_done(finished);
    run_done(waiting);
    if (!js->posted) /* else the message frees it */
        free_jobs(js);
}
