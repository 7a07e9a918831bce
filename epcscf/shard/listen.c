/* Listeners of a shard: lws's own do not share a port between contexts, so the sockets are ours and
 * lws adopts what they accept. */
#include "shard/shard_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ACCEPTS_PER_TURN = 32,  /* the rest waits in the kernel while connections get their turn */
    ACCEPTS_BEHIND = 4,     /* when more is ready than one wait can tell: who is connected goes first */
    PAUSE_MS = 200,         /* after EMFILE and its like: the socket stays readable, do not spin */
    BACKLOG = 4096,
};

struct epc_listener {
    struct epc_listener *next;
    struct epc_shard *sh;
    struct epc_watch watch;
    struct lws_vhost *vhost;
    bool (*accept_fn)(void *arg, const struct epc_addr *peer);
    epc_accepted_fn *accepted; /* instead of the vhost */
    void *arg;
    struct epc_timer pause;
};

static void on_pause_end(void *arg)
{
    struct epc_listener *l = arg;
    epc_watch_set(l->sh, &l->watch, EPC_WATCH_IN);
}

static void pause_listener(struct epc_listener *l, int err)
{
    epc_log(EPC_LOG_ERROR, "shard", "msg=\"cannot accept connections for now\" error=\"%s\"",
            strerror(err));
    epc_watch_set(l->sh, &l->watch, 0);
    epc_timer_start(l->sh, &l->pause, PAUSE_MS, on_pause_end, l);
}

/* Errors that concern one connection that is gone already, not the listener (accept(2)). */
static bool passing_error(int err)
{
    switch (err) {
    case EINTR: case ECONNABORTED: case EPROTO: case ENETDOWN: case ENOPROTOOPT: case EHOSTDOWN:
    case ENONET: case EHOSTUNREACH: case EOPNOTSUPP: case ENETUNREACH: case EPERM:
        return true;
    default:
        return false;
    }
}

static void adopt(struct epc_listener *l, int fd, const struct epc_addr *peer)
{
    if (l->accepted) {
        l->accepted(l->arg, fd, peer);
        return;
    }
    if (l->accept_fn && !l->accept_fn(l->arg, peer)) {
        close(fd);
        return;
    }
    if (!lws_adopt_socket_vhost(l->vhost, fd)) /* closes fd when it fails */
        epc_log(EPC_LOG_WARN, "shard", "msg=\"connection not adopted\"");
}

static void on_readable(void *arg, unsigned events)
{
    struct epc_listener *l = arg;
    (void)events;
    bool behind = epc_shard_behind(l->sh);
    for (int i = 0; i < (behind ? ACCEPTS_BEHIND : ACCEPTS_PER_TURN) && l->watch.fd >= 0; i++) {
        struct epc_addr peer = {.len = sizeof peer.ss};
        int fd = accept4(l->watch.fd, (struct sockaddr *)&peer.ss, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            adopt(l, fd, &peer);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (!passing_error(errno)) {
            pause_listener(l, errno);
            return;
        }
    }
}

static int open_socket(const struct epc_addr *addr)
{
    int one = 1;
    int fd = socket(addr->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (addr->ss.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 || /* accepted ones inherit it */
        bind(fd, (const struct sockaddr *)&addr->ss, addr->len) < 0 || listen(fd, BACKLOG) < 0) {
        int err = errno;
        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

static enum epc_err listen_on(struct epc_shard *sh, const struct epc_addr *addr, const struct epc_listener *how)
{
    char text[EPC_ADDR_LEN];
    enum epc_err e = EPC_EIO;
    EPC_ASSERT_OWNER(sh);
    struct epc_listener *l = calloc(1, sizeof *l);
    if (!l)
        return EPC_ENOMEM;
    *l = *how;
    l->sh = sh;
    l->watch.fd = open_socket(addr);
    if (l->watch.fd < 0) {
        int why = errno;
        epc_log(EPC_LOG_ERROR, "shard", "msg=\"cannot listen\" address=%s error=\"%s\" hint=\"%s\"",
                epc_addr_text(addr, text), strerror(why),
                why == EACCES       ? "ports below 1024 need CAP_NET_BIND_SERVICE"
                : why == EADDRINUSE ? "end the process that has this port, or configure another"
                                    : "configure an address of this machine");
        goto out;
    }
    e = epc_watch_start(sh, &l->watch, EPC_WATCH_IN, on_readable, l);
    if (e) {
        epc_log(EPC_LOG_ERROR, "shard", "msg=\"cannot listen\" address=%s error=\"%s\"",
                epc_addr_text(addr, text), strerror(errno));
        goto out;
    }
    l->next = sh->listeners;
    sh->listeners = l;
    return EPC_OK;
out:
    if (l->watch.fd >= 0)
        close(l->watch.fd);
    free(l);
    return e;
}

enum epc_err epc_shard_listen(struct epc_shard *sh, const struct epc_addr *addr, struct lws_vhost *vhost,
                              bool (*accept_fn)(void *arg, const struct epc_addr *peer), void *arg)
{
    return listen_on(sh, addr, &(struct epc_listener){.vhost = vhost, .accept_fn = accept_fn, .arg = arg});
}

enum epc_err epc_shard_listen_fd(struct epc_shard *sh, const struct epc_addr *addr, epc_accepted_fn *accepted,
                                 void *arg)
{
    return listen_on(sh, addr, &(struct epc_listener){.accepted = accepted, .arg = arg});
}

static void close_listeners(struct epc_shard *sh, bool (*which)(const struct epc_listener *l, const void *key),
                            const void *key)
{
    struct epc_listener **at = &sh->listeners;
    while (*at) {
        struct epc_listener *l = *at;
        if (!which(l, key)) {
            at = &l->next;
            continue;
        }
        *at = l->next;
        epc_timer_stop(sh, &l->pause);
        epc_watch_stop(sh, &l->watch);
        close(l->watch.fd);
        l->watch.fd = -1;
        epc_shard_doom(sh, free, l); /* it may be the one that accepts just now */
    }
}

static bool any(const struct epc_listener *l, const void *key)
{
    (void)l;
    (void)key;
    return true;
}

static bool of_vhost(const struct epc_listener *l, const void *vhost)
{
    return !l->accepted && l->vhost == vhost;
}

static bool of_owner(const struct epc_listener *l, const void *arg)
{
    return l->accepted && l->arg == arg;
}

void epc_shard_close_listeners(struct epc_shard *sh)
{
    close_listeners(sh, any, NULL);
}

void epc_shard_unlisten(struct epc_shard *sh, struct lws_vhost *vhost)
{
    EPC_ASSERT_OWNER(sh);
    if (vhost)
        close_listeners(sh, of_vhost, vhost);
}

void epc_shard_unlisten_fd(struct epc_shard *sh, void *arg)
{
    EPC_ASSERT_OWNER(sh);
    close_listeners(sh, of_owner, arg);
}
