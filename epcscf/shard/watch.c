/* File descriptors of the rooms in the shard's loop. */
#include "shard/poller.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum epc_err epc_poller_open(struct epc_poller *p)
{
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    return p->fd < 0 ? EPC_EIO : EPC_OK;
}

void epc_poller_close(struct epc_poller *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

/* In the kernel's set only while something is waited for: it tells of a hang-up unasked, again and again. */
static int apply(struct epc_shard *sh, struct epc_watch *w)
{
    struct epoll_event ev = {
        .events = (w->_events & EPC_WATCH_IN ? EPOLLIN : 0u) | (w->_events & EPC_WATCH_OUT ? EPOLLOUT : 0u),
        .data.ptr = w,
    };
    int op = !w->_known ? EPOLL_CTL_ADD : w->_events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    if (!w->_known && !w->_events)
        return 0;
    if (epoll_ctl(epc_shard_poller(sh)->fd, op, w->fd, &ev) < 0)
        return -1;
    w->_known = w->_events != 0;
    return 0;
}

enum epc_err epc_watch_start(struct epc_shard *sh, struct epc_watch *w, unsigned events, epc_watch_fn *fn, void *arg)
{
    EPC_ASSERT_OWNER(sh);
    w->_events = (uint8_t)events;
    w->_known = false;
    if (apply(sh, w) < 0)
        return EPC_EIO;
    w->_on = true;
    w->fn = fn;
    w->arg = arg;
    return EPC_OK;
}

void epc_watch_set(struct epc_shard *sh, struct epc_watch *w, unsigned events)
{
    EPC_ASSERT_OWNER(sh);
    if (!w->_on || w->_events == events)
        return;
    w->_events = (uint8_t)events;
    if (apply(sh, w) < 0)
        epc_log(EPC_LOG_ERROR, "shard", "msg=\"cannot watch a descriptor\" error=\"%s\"", strerror(errno));
}

/* What the kernel has told already is not passed on: the watch may be freed now. */
static void forget(struct epc_shard *sh, struct epc_watch *w)
{
    struct epc_poller *p = epc_shard_poller(sh);
    for (int i = p->at; i < p->n_ready; i++)
        if (p->ready[i].data.ptr == w)
            p->ready[i].data.ptr = NULL;
    w->_on = w->_known = false;
    w->_events = 0;
}

void epc_watch_stop(struct epc_shard *sh, struct epc_watch *w)
{
    EPC_ASSERT_OWNER(sh);
    if (!w->_on)
        return;
    w->_events = 0;
    apply(sh, w); /* closing is not enough: a child of the process may still have the descriptor */
    forget(sh, w);
}

static unsigned events_of(const struct epc_watch *w, uint32_t told)
{
    if (told & EPOLLERR)
        return EPC_WATCH_ERR;
    unsigned events = (told & (EPOLLIN | EPOLLHUP) ? EPC_WATCH_IN : 0u) |
                      (told & (EPOLLOUT | EPOLLHUP) ? EPC_WATCH_OUT : 0u);
    return events & w->_events;
}

void epc_poller_wait(struct epc_poller *p, int timeout_ms)
{
    p->n_ready = epoll_wait(p->fd, p->ready, EPC_READY_MAX, timeout_ms);
    p->behind = p->n_ready == EPC_READY_MAX;
    if (!p->behind)
        p->looked_ms = epc_now_ms();
    for (p->at = 0; p->at < p->n_ready;) {
        const struct epoll_event *ev = &p->ready[p->at++];
        struct epc_watch *w = ev->data.ptr;
        unsigned events = w ? events_of(w, ev->events) : 0;
        if (events)
            w->fn(w->arg, events);
    }
    p->n_ready = p->at = 0;
}
