/* The UDP port towards the core, and the door of core_net.h. */
#include "sip/core_net_priv.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SOCKET_BUFFER_OCTETS = 4 * 1024 * 1024,
    READS_PER_TURN = 32,              /* of CORE_BATCH datagrams each: flows must get their turn, but
                                       * answers end work, and must not wait behind what begins some */
    UDP_QUEUE_MAX = 4 * 1024 * 1024,  /* octets that wait while the socket is full */
};

/* ---- sending ------------------------------------------------------------------------------------ */

static void udp_flush(struct core_net *net);
static void on_udp(void *arg, unsigned events);

static void on_turn_end(void *arg)
{
    struct core_net *net = arg;
    net->flush_set = false;
    udp_flush(net);
    core_conns_flush(net);
    if (epc_shard_behind(net->sh) && !net->closing)
        on_udp(net, EPC_WATCH_IN); /* answers end work: they do not wait behind what begins some */
}

void core_net_flush_later(struct core_net *net)
{
    if (net->flush_set)
        return;
    net->flush_set = true;
    epc_shard_at_turn_end(net->sh, &net->at_turn_end, on_turn_end, net);
}

static bool grow(struct core_net *net, size_t n)
{
    if (net->n_out == net->cap_out) {
        size_t cap = net->cap_out ? net->cap_out * 2 : 2 * CORE_BATCH;
        struct core_datagram *d = realloc(net->out, cap * sizeof *d);
        if (!d)
            return false;
        net->out = d;
        net->cap_out = cap;
    }
    if (net->text_n + n > net->text_cap) {
        size_t cap = net->text_cap ? net->text_cap : 65536;
        while (cap < net->text_n + n)
            cap *= 2;
        char *t = realloc(net->text, cap);
        if (!t)
            return false;
        net->text = t;
        net->text_cap = cap;
    }
    return true;
}

static enum epc_err udp_queue(struct core_net *net, const struct epc_addr *to, const char *p, size_t n)
{
    if (net->text_n + n > UDP_QUEUE_MAX) {
        epc_count(EPC_C_SIP_CORE_DROPPED);
        return EPC_ELIMIT;
    }
    if (!grow(net, n))
        return EPC_ENOMEM;
    net->out[net->n_out++] = (struct core_datagram){.to = *to, .at = net->text_n, .n = n};
    memcpy(net->text + net->text_n, p, n);
    net->text_n += n;
    if (net->n_out % CORE_BATCH == 0 && !net->full)
        udp_flush(net);
    else
        core_net_flush_later(net);
    return EPC_OK;
}

/* How many of the datagrams from @p at on went; -1: the socket is full. */
static int udp_send_some(struct core_net *net, size_t at)
{
    struct mmsghdr m[CORE_BATCH];
    struct iovec iov[CORE_BATCH];
    unsigned n = 0;
    memset(m, 0, sizeof m);
    for (; n < CORE_BATCH && at + n < net->n_out; n++) {
        struct core_datagram *d = &net->out[at + n];
        iov[n] = (struct iovec){net->text + d->at, d->n};
        m[n].msg_hdr = (struct msghdr){.msg_name = &d->to.ss, .msg_namelen = d->to.len,
                                       .msg_iov = &iov[n], .msg_iovlen = 1};
    }
    /* An error that waits in the socket belongs to an earlier datagram, and is told once for each. */
    for (int tries = 0; tries < CORE_BATCH; tries++) {
        int sent = sendmmsg(net->udp.fd, m, n, MSG_DONTWAIT);
        if (sent > 0)
            return sent;
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
            return -1;
        if (errno != ECONNREFUSED && errno != EHOSTUNREACH && errno != ENETUNREACH && errno != EINTR)
            break;
    }
    epc_count(EPC_C_SIP_CORE_DROPPED);
    epc_log(EPC_LOG_INFO, "sip", "event=not-sent leg=core transport=udp error=\"%s\"", strerror(errno));
    return 1; /* this one does not go, whatever we do; its transaction tries again or gives up */
}

static void udp_flush(struct core_net *net)
{
    size_t at = 0;
    while (at < net->n_out) {
        int sent = udp_send_some(net, at);
        if (sent < 0)
            break;
        at += (size_t)sent;
    }
    bool full = at < net->n_out;
    if (full != net->full)
        epc_watch_set(net->sh, &net->udp, EPC_WATCH_IN | (full ? EPC_WATCH_OUT : 0u));
    net->full = full;
    if (!full) {
        net->n_out = 0;
        net->text_n = 0;
        return;
    }
    size_t gone = net->out[at].at;
    memmove(net->text, net->text + gone, net->text_n - gone);
    memmove(net->out, net->out + at, (net->n_out - at) * sizeof *net->out);
    net->n_out -= at;
    net->text_n -= gone;
    for (size_t i = 0; i < net->n_out; i++)
        net->out[i].at -= gone;
}

/* ---- receiving ---------------------------------------------------------------------------------- */

/* RFC 3261 18.3: what stands behind the body is thrown away. A body that is too short is for the parser
 * to find. */
static void take_datagram(struct core_net *net, const struct epc_addr *from, const char *p, size_t n)
{
    struct core_hop hop = {.addr = *from};
    struct epc_sip_extent e;
    enum epc_sip_frame f = epc_sip_frame(p, n, &e);
    if (n <= 4 && strspn(p, "\r\n") >= n)
        return; /* keep-alive: p has a NUL behind it */
    if (f == EPC_FRAME_WHOLE && e.has_length)
        n = e.head + e.body;
    if (e.head == 0 || f == EPC_FRAME_BAD)
        net->h.garbage(net->h.arg, &hop, e.head ? "Content-Length" : "no end of header");
    else
        (void)net->h.message(net->h.arg, &hop, p, n, e.head);
}

static int udp_receive_some(struct core_net *net)
{
    struct mmsghdr m[CORE_BATCH];
    struct iovec iov[CORE_BATCH];
    struct epc_addr from[CORE_BATCH];
    memset(m, 0, sizeof m);
    for (unsigned i = 0; i < CORE_BATCH; i++) {
        iov[i] = (struct iovec){net->in + i * CORE_DATAGRAM_ROOM, CORE_DATAGRAM_ROOM - 1};
        m[i].msg_hdr = (struct msghdr){.msg_name = &from[i].ss, .msg_namelen = sizeof from[i].ss,
                                       .msg_iov = &iov[i], .msg_iovlen = 1};
    }
    int got = recvmmsg(net->udp.fd, m, CORE_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < got; i++) {
        char *p = net->in + (size_t)i * CORE_DATAGRAM_ROOM;
        from[i].len = m[i].msg_hdr.msg_namelen;
        p[m[i].msg_len] = 0;
        if (m[i].msg_len > 0 && !net->closing)
            take_datagram(net, &from[i], p, m[i].msg_len);
    }
    return got;
}

/* What the network gave back: the start of our datagram, and why. */
static void read_errors(struct core_net *net)
{
    for (int i = 0; i < CORE_BATCH; i++) {
        char quote[1024], control[512];
        struct iovec iov = {quote, sizeof quote};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(net->udp.fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);
        if (n < 0)
            return;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
            struct sock_extended_err e;
            if (!((c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) ||
                  (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR)) ||
                c->cmsg_len < CMSG_LEN(sizeof e))
                continue;
            memcpy(&e, CMSG_DATA(c), sizeof e);
            net->h.bounced(net->h.arg, quote, (size_t)n, (int)e.ee_errno);
        }
    }
}

static void on_udp(void *arg, unsigned events)
{
    struct core_net *net = arg;
    if (events & EPC_WATCH_ERR)
        read_errors(net);
    if (events & EPC_WATCH_OUT)
        udp_flush(net);
    for (int i = 0; (events & EPC_WATCH_IN) && i < READS_PER_TURN; i++)
        if (udp_receive_some(net) < CORE_BATCH)
            break;
}

/* ---- opening and closing ------------------------------------------------------------------------ */

static int open_udp(const struct epc_addr *us)
{
    int one = 1, size = SOCKET_BUFFER_OCTETS;
    int fd = socket(us->ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    bool v6 = us->ss.ss_family == AF_INET6;
    setsockopt(fd, v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_RECVERR : IP_RECVERR, &one, sizeof one);
    /* Beyond the system's bound where we may: bursts wait there. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (bind(fd, (const struct sockaddr *)&us->ss, us->len) == 0)
        return fd;
    int err = errno;
    close(fd);
    errno = err;
    return -1;
}

static enum epc_err cannot_bind(const struct epc_addr *us, const char *transport)
{
    char text[EPC_ADDR_LEN];
    epc_log(EPC_LOG_ERROR, "sip",
            "event=cannot-bind address=%s transport=%s why=\"%s\" hint=\"sip.core_host must be an address "
            "of this machine; shard i needs port sip.core_port + i for itself\"",
            epc_addr_text(us, text), transport, strerror(errno));
    return EPC_EIO;
}

enum epc_err core_net_open(struct core_net **out, struct epc_shard *sh, const struct epc_addr *us,
                           const struct core_net_handler *h)
{
    struct core_net *net = calloc(1, sizeof *net);
    if (!net)
        return EPC_ENOMEM;
    net->sh = sh;
    net->h = *h;
    net->us = *us;
    net->udp.fd = net->listener.fd = -1;
    net->in = malloc(CORE_BATCH * CORE_DATAGRAM_ROOM); /* only what datagrams fill is ever touched */
    enum epc_err err = net->in ? core_conns_init(net) : EPC_ENOMEM;
    if (!err && (net->udp.fd = open_udp(us)) < 0)
        err = cannot_bind(us, "udp");
    if (!err)
        err = epc_watch_start(sh, &net->udp, EPC_WATCH_IN, on_udp, net);
    if (!err && !core_listen(net))
        err = cannot_bind(us, "tcp");
    if (err) {
        core_net_close(net);
        return err;
    }
    *out = net;
    return EPC_OK;
}

static void net_free(void *obj)
{
    struct core_net *net = obj;
    free(net->in);
    free(net->out);
    free(net->text);
    free(net);
}

void core_net_close(struct core_net *net)
{
    if (!net)
        return;
    net->closing = true;
    if (net->n_out)
        udp_flush(net);
    epc_shard_not_at_turn_end(net->sh, &net->at_turn_end);
    core_conns_close(net);
    if (net->udp.fd >= 0) {
        epc_watch_stop(net->sh, &net->udp);
        close(net->udp.fd);
    }
    epc_shard_doom(net->sh, net_free, net); /* may be inside one of its callbacks */
}

enum epc_err core_net_send(struct core_net *net, const struct core_hop *to, const char *p, size_t n,
                           struct core_wait *wait)
{
    EPC_ASSERT_OWNER(net->sh);
    return to->tcp ? core_conn_send(net, to, p, n, wait) : udp_queue(net, &to->addr, p, n);
}

void core_net_forget(struct core_wait *w)
{
    if (!w->prev)
        return;
    *w->prev = w->next;
    if (w->next)
        w->next->prev = w->prev;
    w->next = NULL;
    w->prev = NULL;
}
