/* File descriptors of the rooms in the shard's loop. */
#include "shard/shard.h"

#include <stdlib.h>
#include <uv.h>

/* libuv lets go of its handle later than the owner of the watch may live. */
struct epc_watch_io {
    uv_poll_t poll;
    struct epc_watch *w; /* NULL: stopped */
};

static void on_poll(uv_poll_t *p, int status, int events);

static void on_closed(uv_handle_t *h)
{
    free(EPC_CONTAINER(h, struct epc_watch_io, poll));
}

static int apply(struct epc_watch *w)
{
    int events = (w->_events & EPC_WATCH_IN ? UV_READABLE : 0) | (w->_events & EPC_WATCH_OUT ? UV_WRITABLE : 0);
    return events ? uv_poll_start(&w->_io->poll, events, on_poll) : uv_poll_stop(&w->_io->poll);
}

static void on_poll(uv_poll_t *p, int status, int events)
{
    struct epc_watch_io *io = EPC_CONTAINER(p, struct epc_watch_io, poll);
    if (!io->w)
        return;
    if (status >= 0) {
        io->w->fn(io->w->arg, (events & UV_READABLE ? EPC_WATCH_IN : 0u) | (events & UV_WRITABLE ? EPC_WATCH_OUT : 0u));
        return;
    }
    /* An error of the socket: libuv has stopped watching. Whoever owns it reads the error away. */
    io->w->fn(io->w->arg, EPC_WATCH_ERR);
    if (io->w)
        apply(io->w);
}

enum epc_err epc_watch_start(struct epc_shard *sh, struct epc_watch *w, unsigned events, epc_watch_fn *fn, void *arg)
{
    EPC_ASSERT_OWNER(sh);
    struct epc_watch_io *io = calloc(1, sizeof *io);
    if (!io)
        return EPC_ENOMEM;
    if (uv_poll_init(epc_shard_uv(sh), &io->poll, w->fd) < 0) {
        free(io);
        return EPC_EIO;
    }
    io->w = w;
    w->_io = io;
    w->_events = events;
    w->fn = fn;
    w->arg = arg;
    apply(w);
    return EPC_OK;
}

void epc_watch_set(struct epc_shard *sh, struct epc_watch *w, unsigned events)
{
    EPC_ASSERT_OWNER(sh);
    if (!w->_io || w->_events == events)
        return;
    w->_events = events;
    apply(w);
}

void epc_watch_stop(struct epc_shard *sh, struct epc_watch *w)
{
    EPC_ASSERT_OWNER(sh);
    if (!w->_io)
        return;
    w->_io->w = NULL;
    uv_close((uv_handle_t *)&w->_io->poll, on_closed);
    w->_io = NULL;
}
