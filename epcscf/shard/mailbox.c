/* The mailbox: any thread puts, the owner takes whole batches. A burst costs one wake-up, because
 * only the post that finds the box empty writes to the eventfd. */
#include "shard/shard_priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum epc_err epc_mailbox_init(struct epc_mailbox *m, size_t max)
{
    memset(m, 0, sizeof *m);
    m->max = max;
    m->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (m->fd < 0)
        return EPC_EIO;
    pthread_mutex_init(&m->mutex, NULL);
    return EPC_OK;
}

void epc_mailbox_free(struct epc_mailbox *m)
{
    if (m->fd < 0)
        return;
    close(m->fd);
    pthread_mutex_destroy(&m->mutex);
    free(m->in.v);
    free(m->out.v);
    m->fd = -1;
}

void epc_mailbox_wake(struct epc_mailbox *m)
{
    uint64_t one = 1;
    if (write(m->fd, &one, sizeof one) < 0) {
        /* EAGAIN alone is possible: the counter is full, so the owner is awake anyway */
    }
}

static enum epc_err grow(struct epc_mails *v, size_t max)
{
    size_t cap = v->cap ? v->cap * 2 : 64;
    if (cap > max)
        cap = max;
    struct epc_mail *p = realloc(v->v, cap * sizeof *p);
    if (!p)
        return EPC_ELIMIT;
    v->v = p;
    v->cap = cap;
    return EPC_OK;
}

enum epc_err epc_mailbox_put(struct epc_mailbox *m, epc_shard_fn *fn, void *arg)
{
    enum epc_err e = EPC_OK;
    bool first = false;
    pthread_mutex_lock(&m->mutex);
    if (m->closed)
        e = EPC_ENOENT;
    else if (m->in.n >= m->max)
        e = EPC_ELIMIT;
    else if (m->in.n == m->in.cap)
        e = grow(&m->in, m->max);
    if (!e) {
        first = m->in.n == 0;
        m->in.v[m->in.n++] = (struct epc_mail){fn, arg};
    }
    pthread_mutex_unlock(&m->mutex);
    if (first)
        epc_mailbox_wake(m);
    return e;
}

void epc_mailbox_run(struct epc_mailbox *m, struct epc_shard *sh)
{
    pthread_mutex_lock(&m->mutex);
    struct epc_mails t = m->in;
    m->in = m->out;
    m->in.n = 0;
    m->out = t;
    pthread_mutex_unlock(&m->mutex);
    for (size_t i = 0; i < m->out.n; i++)
        m->out.v[i].fn(sh, m->out.v[i].arg);
    m->out.n = 0;
}

void epc_mailbox_close(struct epc_mailbox *m)
{
    pthread_mutex_lock(&m->mutex);
    m->closed = true;
    pthread_mutex_unlock(&m->mutex);
}
