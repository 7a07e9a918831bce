/* TCP connections with the core (RFC 3261 18): made when first needed and kept, or accepted. */
#include "sip/core_net_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum {
    READ_OCTETS = 65536,
    READS_PER_TURN = 4,
    OUT_MAX = 4 * 1024 * 1024, /* octets that wait for a peer which does not read */
    ACCEPTED_MAX = 4096,
    UNTRUSTED_MAX = 32,        /* they are told 403, and go */
    UNTRUSTED_MS = 5000,
    CONNECT_MS = 4000,
    ACCEPTS_PER_TURN = 32,
    LISTEN_PAUSE_MS = 200,     /* after EMFILE and its like */
    BACKLOG = 1024,
};

struct core_conn {
    struct epc_hnode id_node, addr_node;
    struct core_conn *next, **prev;
    struct core_conn *next_flush;
    struct core_net *net;
    struct epc_watch watch;
    uint64_t id;
    struct epc_addr peer;
    bool made;      /**< by us: found by its address */
    bool trusted, connecting, flush_set, gone;
    bool last;      /**< nothing more is read; closed once all is written */
    struct core_wait *waits;
    struct epc_timer timer; /**< connecting, or an untrusted one's life */
    char *out;
    size_t out_at, out_n, out_cap;
    char *in;
    size_t in_n, in_cap;
};

static uint64_t addr_hash(const struct epc_addr *a)
{
    unsigned char key[18];
    size_t n = 0;
    if (a->ss.ss_family == AF_INET6) {
        memcpy(key, &((const struct sockaddr_in6 *)(const void *)&a->ss)->sin6_addr, n = 16);
    } else
        memcpy(key, &((const struct sockaddr_in *)(const void *)&a->ss)->sin_addr, n = 4);
    uint16_t port = epc_addr_port(a);
    memcpy(key + n, &port, sizeof port);
    return epc_hash_bytes(key, n + sizeof port);
}

static bool addr_eq(const struct epc_hnode *node, const void *key)
{
    const struct epc_addr *a = &EPC_CONTAINER(node, struct core_conn, addr_node)->peer, *b = key;
    return epc_addr_same_ip(a, b) && epc_addr_port(a) == epc_addr_port(b);
}

static bool id_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, struct core_conn, id_node)->id == *(const uint64_t *)key;
}

enum epc_err core_conns_init(struct core_net *net)
{
    enum epc_err err = epc_hash_init(&net->by_id, id_eq);
    return err ? err : epc_hash_init(&net->by_addr, addr_eq);
}

/* ---- the end of one ----------------------------------------------------------------------------- */

static void conn_free(void *obj)
{
    struct core_conn *c = obj;
    free(c->out);
    free(c->in);
    free(c);
}

static void conn_close(struct core_conn *c, const char *why)
{
    struct core_net *net = c->net;
    if (c->gone)
        return;
    c->gone = true;
    epc_timer_stop(net->sh, &c->timer);
    epc_watch_stop(net->sh, &c->watch);
    close(c->watch.fd);
    epc_hash_del(&net->by_id, &c->id_node);
    if (c->made)
        epc_hash_del(&net->by_addr, &c->addr_node);
    else {
        net->n_accepted--;
        net->n_untrusted -= c->trusted ? 0 : 1;
    }
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    for (struct core_conn **at = &net->to_flush; c->flush_set && *at; at = &(*at)->next_flush)
        if (*at == c) {
            *at = c->next_flush;
            break;
        }
    /* RFC 3261 17.1.4: whoever waits for an answer here is told. */
    while (c->waits) {
        struct core_wait *w = c->waits;
        core_net_forget(w);
        if (!net->closing)
            net->h.failed(net->h.arg, w, why);
    }
    epc_shard_doom(net->sh, conn_free, c);
}

static void conn_fail(struct core_conn *c, const char *why)
{
    char text[EPC_ADDR_LEN];
    if (!c->last || c->out_n)
        epc_log(EPC_LOG_INFO, "sip", "event=connection-closed leg=core peer=%s why=\"%s\"",
                epc_addr_text(&c->peer, text), why);
    conn_close(c, why);
}

static void on_connect_late(void *arg)
{
    conn_fail(arg, "no connection in time");
}

static void on_untrusted_late(void *arg)
{
    conn_close(arg, "untrusted source");
}

/* ---- writing ------------------------------------------------------------------------------------ */

static void watch_for(struct core_conn *c)
{
    unsigned want = (c->last ? 0u : EPC_WATCH_IN) | (c->connecting || c->out_n ? EPC_WATCH_OUT : 0u);
    epc_watch_set(c->net->sh, &c->watch, want);
}

static void write_some(struct core_conn *c)
{
    while (c->out_n) {
        ssize_t n = send(c->watch.fd, c->out + c->out_at, c->out_n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0) {
            conn_fail(c, strerror(errno));
            return;
        }
        c->out_at += (size_t)n;
        c->out_n -= (size_t)n;
    }
    if (c->out_n == 0) {
        c->out_at = 0;
        if (c->out_cap > READ_OCTETS) { /* a burst is over */
            free(c->out);
            c->out = NULL;
            c->out_cap = 0;
        }
        if (c->last) {
            conn_close(c, "closed");
            return;
        }
    }
    watch_for(c);
}

void core_conns_flush(struct core_net *net)
{
    while (net->to_flush) {
        struct core_conn *c = net->to_flush;
        net->to_flush = c->next_flush;
        c->flush_set = false;
        if (!c->connecting)
            write_some(c);
    }
}

static void flush_later(struct core_conn *c)
{
    if (c->flush_set || c->connecting)
        return;
    c->flush_set = true;
    c->next_flush = c->net->to_flush;
    c->net->to_flush = c;
    core_net_flush_later(c->net);
}

static enum epc_err enqueue(struct core_conn *c, const char *p, size_t n)
{
    if (c->out_n + n > OUT_MAX) {
        conn_fail(c, "peer does not read");
        return EPC_ELIMIT;
    }
    if (c->out_at && c->out_at + c->out_n + n > c->out_cap) {
        memmove(c->out, c->out + c->out_at, c->out_n);
        c->out_at = 0;
    }
    if (c->out_at + c->out_n + n > c->out_cap) {
        size_t cap = c->out_cap ? c->out_cap : 4096;
        while (cap < c->out_n + n)
            cap *= 2;
        char *out = realloc(c->out, cap);
        if (!out)
            return EPC_ENOMEM;
        c->out = out;
        c->out_cap = cap;
    }
    memcpy(c->out + c->out_at + c->out_n, p, n);
    c->out_n += n;
    flush_later(c);
    return EPC_OK;
}

/* ---- reading ------------------------------------------------------------------------------------ */

static struct core_hop hop_of(const struct core_conn *c)
{
    return (struct core_hop){.addr = c->peer, .tcp = true, .conn = c->id};
}

/* The last of what it will hear is on its way. */
static void say_goodbye(struct core_conn *c)
{
    c->last = true;
    c->in_n = 0;
    if (c->out_n)
        flush_later(c);
    else
        conn_close(c, "closed");
}

/* RFC 5626 4.4.1: two line ends ask for one. @return octets used */
static size_t take_keepalive(struct core_conn *c, const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && (p[i] == '\r' || p[i] == '\n')) {
        if (n - i >= 4 && memcmp(p + i, "\r\n\r\n", 4) == 0) {
            if (enqueue(c, "\r\n", 2) != EPC_OK)
                return n;
            i += 4;
        } else if (n - i < 4 && memcmp(p + i, "\r\n\r\n", n - i) == 0) {
            break; /* the rest of it may be on its way */
        } else
            i++;
    }
    return i;
}

/* @return octets used; 0: more must come */
static size_t take_one(struct core_conn *c, const char *p, size_t n)
{
    struct core_net *net = c->net;
    struct core_hop from = hop_of(c);
    struct epc_sip_extent e;
    size_t blank = take_keepalive(c, p, n);
    if (blank || c->gone || n == 0 || p[0] == '\r' || p[0] == '\n')
        return blank;
    switch (epc_sip_frame(p, n, &e)) {
    case EPC_FRAME_MORE:
        return 0;
    case EPC_FRAME_WHOLE:
        break;
    case EPC_FRAME_BAD:
    case EPC_FRAME_TOO_LARGE:
    default:
        net->h.garbage(net->h.arg, &from, e.head ? "Content-Length" : "too large");
        say_goodbye(c);
        return n;
    }
    /* Without Content-Length nobody knows what comes next (RFC 3261 20.14): this one is answered. */
    bool more = net->h.message(net->h.arg, &from, p, e.head + e.body, e.head);
    if (c->gone)
        return n;
    if (!more || !e.has_length) {
        say_goodbye(c);
        return n;
    }
    return e.head + e.body;
}

static void take_all(struct core_conn *c)
{
    size_t at = 0;
    while (!c->gone && !c->last && at < c->in_n) {
        size_t n = take_one(c, c->in + at, c->in_n - at);
        if (n == 0)
            break;
        at += n;
    }
    if (c->gone || c->last)
        return;
    memmove(c->in, c->in + at, c->in_n - at);
    c->in_n -= at;
    if (c->in_n == 0 && c->in_cap > READ_OCTETS) {
        free(c->in);
        c->in = NULL;
        c->in_cap = 0;
    }
}

static bool room_to_read(struct core_conn *c)
{
    if (c->in_cap - c->in_n >= READ_OCTETS / 2)
        return true;
    size_t cap = c->in_cap ? c->in_cap * 2 : READ_OCTETS;
    char *in = realloc(c->in, cap);
    if (!in)
        return false;
    c->in = in;
    c->in_cap = cap;
    return true;
}

static void read_some(struct core_conn *c)
{
    for (int i = 0; i < READS_PER_TURN && !c->gone && !c->last; i++) {
        if (!room_to_read(c)) {
            conn_fail(c, "out of memory");
            return;
        }
        size_t room = c->in_cap - c->in_n;
        ssize_t n = recv(c->watch.fd, c->in + c->in_n, room, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            return;
        if (n <= 0) {
            conn_fail(c, n ? strerror(errno) : "closed by the peer");
            return;
        }
        c->in_n += (size_t)n;
        take_all(c);
        if ((size_t)n < room)
            return;
    }
}

static void finish_connect(struct core_conn *c)
{
    int err = 0;
    socklen_t len = sizeof err;
    if (getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        err = errno;
    if (err) {
        conn_fail(c, strerror(err));
        return;
    }
    c->connecting = false;
    epc_timer_stop(c->net->sh, &c->timer);
    write_some(c);
}

static void on_conn(void *arg, unsigned events)
{
    struct core_conn *c = arg;
    if (c->connecting) {
        if (events & (EPC_WATCH_OUT | EPC_WATCH_ERR))
            finish_connect(c);
        return;
    }
    if (events & (EPC_WATCH_IN | EPC_WATCH_ERR)) {
        if (c->last && (events & EPC_WATCH_ERR))
            conn_close(c, "closed");
        else
            read_some(c);
    }
    if (!c->gone && (events & EPC_WATCH_OUT))
        write_some(c);
}

/* ---- making ------------------------------------------------------------------------------------- */

static struct core_conn *adopt(struct core_net *net, int fd, const struct epc_addr *peer, bool made)
{
    int one = 1;
    struct core_conn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    c->net = net;
    c->watch.fd = fd;
    c->peer = *peer;
    c->made = made;
    c->connecting = made;
    c->trusted = made || net->h.trusted(net->h.arg, peer);
    c->id = ++net->next_id;
    if (epc_watch_start(net->sh, &c->watch, made ? EPC_WATCH_OUT : EPC_WATCH_IN, on_conn, c) != EPC_OK) {
        free(c);
        return NULL;
    }
    epc_hash_add(&net->by_id, &c->id_node, epc_hash_u64(c->id));
    if (made)
        epc_hash_add(&net->by_addr, &c->addr_node, addr_hash(peer));
    else {
        net->n_accepted++;
        net->n_untrusted += c->trusted ? 0 : 1;
    }
    c->next = net->conns;
    c->prev = &net->conns;
    if (c->next)
        c->next->prev = &c->next;
    net->conns = c;
    return c;
}

static int begin_connect(const struct core_net *net, const struct epc_addr *to)
{
    int one = 1, fd = socket(to->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct epc_addr from = net->us;
    if (fd < 0)
        return -1;
    /* The core knows us by this address; the port is the kernel's choice. */
    if (from.ss.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)&from.ss)->sin6_port = 0;
    else
        ((struct sockaddr_in *)(void *)&from.ss)->sin_port = 0;
    setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if ((from.ss.ss_family == to->ss.ss_family &&
         bind(fd, (const struct sockaddr *)&from.ss, from.len) < 0) ||
        (connect(fd, (const struct sockaddr *)&to->ss, to->len) < 0 && errno != EINPROGRESS)) {
        int err = errno;
        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

static struct core_conn *conn_to(struct core_net *net, const struct core_hop *to)
{
    struct epc_hnode *node = to->conn ? epc_hash_find(&net->by_id, epc_hash_u64(to->conn), &to->conn) : NULL;
    if (node && !EPC_CONTAINER(node, struct core_conn, id_node)->last)
        return EPC_CONTAINER(node, struct core_conn, id_node);
    node = epc_hash_find(&net->by_addr, addr_hash(&to->addr), &to->addr);
    if (node)
        return EPC_CONTAINER(node, struct core_conn, addr_node);
    char text[EPC_ADDR_LEN];
    int fd = begin_connect(net, &to->addr);
    struct core_conn *c = fd < 0 ? NULL : adopt(net, fd, &to->addr, true);
    if (c) {
        epc_timer_start(net->sh, &c->timer, CONNECT_MS, on_connect_late, c);
        return c;
    }
    epc_log(EPC_LOG_INFO, "sip", "event=cannot-connect leg=core peer=%s why=\"%s\"", epc_addr_text(&to->addr, text),
            strerror(errno));
    if (fd >= 0)
        close(fd);
    return NULL;
}

enum epc_err core_conn_send(struct core_net *net, const struct core_hop *to, const char *p, size_t n,
                            struct core_wait *wait)
{
    struct core_conn *c = conn_to(net, to);
    enum epc_err err = c ? enqueue(c, p, n) : EPC_EIO;
    if (err || !wait)
        return err;
    core_net_forget(wait);
    wait->next = c->waits;
    wait->prev = &c->waits;
    if (wait->next)
        wait->next->prev = &wait->next;
    c->waits = wait;
    return EPC_OK;
}

/* ---- accepting ---------------------------------------------------------------------------------- */

static void on_listener(void *arg, unsigned events);

static void on_pause_end(void *arg)
{
    struct core_net *net = arg;
    epc_watch_set(net->sh, &net->listener, EPC_WATCH_IN);
}

static void take_accepted(struct core_net *net, int fd, const struct epc_addr *peer)
{
    struct core_conn *c = NULL;
    bool trusted = net->h.trusted(net->h.arg, peer);
    if (net->n_accepted < ACCEPTED_MAX && (trusted || net->n_untrusted < UNTRUSTED_MAX))
        c = adopt(net, fd, peer, false);
    if (!c) {
        epc_count(EPC_C_SIP_CORE_CONN_REFUSED);
        close(fd);
    } else if (!trusted)
        epc_timer_start(net->sh, &c->timer, UNTRUSTED_MS, on_untrusted_late, c);
}

static void on_listener(void *arg, unsigned events)
{
    struct core_net *net = arg;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct epc_addr peer = {.len = sizeof peer.ss};
        int fd = accept4(net->listener.fd, (struct sockaddr *)&peer.ss, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            take_accepted(net, fd, &peer);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            epc_log(EPC_LOG_ERROR, "sip", "event=cannot-accept leg=core why=\"%s\"", strerror(errno));
            epc_watch_set(net->sh, &net->listener, 0);
            epc_timer_start(net->sh, &net->listen_pause, LISTEN_PAUSE_MS, on_pause_end, net);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
    }
}

bool core_listen(struct core_net *net)
{
    int one = 1;
    net->listener.fd = socket(net->us.ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return net->listener.fd >= 0 &&
           setsockopt(net->listener.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
           bind(net->listener.fd, (const struct sockaddr *)&net->us.ss, net->us.len) == 0 &&
           listen(net->listener.fd, BACKLOG) == 0 &&
           epc_watch_start(net->sh, &net->listener, EPC_WATCH_IN, on_listener, net) == EPC_OK;
}

void core_conns_close(struct core_net *net)
{
    core_conns_flush(net);
    while (net->conns)
        conn_close(net->conns, "shutting down");
    epc_timer_stop(net->sh, &net->listen_pause);
    if (net->listener.fd >= 0) {
        epc_watch_stop(net->sh, &net->listener);
        close(net->listener.fd);
    }
    epc_hash_free(&net->by_id);
    epc_hash_free(&net->by_addr);
}
