/* A core that is never the bottleneck: I-CSCF, registrar, called and calling phones in one, over UDP and TCP.
 *   bench_core IP PORT [ring]
 * REGISTER gets 200 with Service-Route and P-Associated-URI; INVITE 180 (with `ring`) and 200 with an SDP
 * answer; everything else 200. A datagram "CALL 7" makes it call user u7. On SIGTERM it prints what it did. */
#include "core.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BATCH = 64, DATAGRAM = 16384, CONNECTIONS = 1024 };

struct connection {
    int fd;
    struct text in;
};

static struct core core;
static bool ring;
static volatile sig_atomic_t over;
static struct text reply;

static void on_signal(int number)
{
    (void)number;
    over = 1;
}

/* The lines that a response repeats. */
static void echo(struct span m, const char *status)
{
    struct span line, value;
    size_t at = 0;
    reply.n = 0;
    text_printf(&reply, "SIP/2.0 %s\r\n", status);
    sip_line(m, &at, &line);
    while (sip_line(m, &at, &line)) {
        bool to = sip_is(line, "To", 't', &value);
        if (!to && !sip_is(line, "Via", 'v', NULL) && !sip_is(line, "From", 'f', NULL) &&
            !sip_is(line, "Call-ID", 'i', NULL) && !sip_is(line, "CSeq", 0, NULL) &&
            !sip_is(line, "Record-Route", 0, NULL))
            continue;
        text_add(&reply, line.p, line.n);
        if (to && !sip_param(value, "tag").p)
            text_printf(&reply, ";tag=core");
        text_add(&reply, "\r\n", 2);
    }
}

static void no_body(void)
{
    text_printf(&reply, "Content-Length: 0\r\n\r\n");
}

static void registered(struct span m)
{
    struct span contact = sip_value(m, "Contact", 'm', 0), path = sip_value(m, "Path", 0, 0);
    struct span aor = sip_uri(sip_value(m, "To", 't', 0));
    caller_learn(aor, contact, path);
    echo(m, "200 OK");
    text_printf(&reply, "Contact: %.*s", (int)contact.n, contact.p);
    if (!sip_param(contact, "expires").p)
        text_printf(&reply, ";expires=600");
    text_printf(&reply, "\r\nService-Route: <sip:orig@%s:%d;lr>\r\nP-Associated-URI: <%.*s>\r\n", core.ip, core.port,
                (int)aor.n, aor.p);
    if (path.p)
        text_printf(&reply, "Path: %.*s\r\n", (int)path.n, path.p);
    no_body();
}

/* Every stream that is offered, the audio with PCMA; anything else is refused. */
static void describe(struct text *body, struct span offer)
{
    struct span line;
    unsigned stream = 0, port;
    char type[16];
    size_t at = 0;
    body->n = 0;
    text_printf(body, "v=0\r\no=- 20 1 IN IP4 10.20.0.5\r\ns=-\r\nc=IN IP4 10.20.0.5\r\nt=0 0\r\n");
    while (sip_line(offer, &at, &line)) {
        if (line.n < 8 || sscanf(line.p, "m=%15s %u", type, &port) != 2)
            continue;
        if (strcmp(type, "audio") == 0)
            text_printf(body, "m=audio %u RTP/AVP 8 101\r\nb=AS:41\r\na=rtpmap:8 PCMA/8000\r\n"
                        "a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n", 30000 + 2 * stream);
        else
            text_printf(body, "m=%s 0 RTP/AVP 0\r\n", type);
        stream++;
    }
}

static void answered(struct span m)
{
    static struct text body;
    size_t at = sip_body_at(m);
    describe(&body, (struct span){m.p + at, m.n - at});
    echo(m, "200 OK");
    text_printf(&reply, "Contact: <sip:phone@%s:%d>\r\nContent-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n",
                core.ip, core.port, body.n);
    text_add(&reply, body.p, body.n);
}

typedef void send_fn(void *to, const char *p, size_t n);

static void serve(struct span m, send_fn *give, void *to)
{
    if (sip_status(m))
        caller_response(&core, m);
    if (sip_status(m) || m.n < 12)
        return;
    core.requests++;
    if (memcmp(m.p, "ACK ", 4) == 0)
        return;
    if (memcmp(m.p, "REGISTER ", 9) == 0)
        registered(m);
    else if (memcmp(m.p, "INVITE ", 7) == 0) {
        if (ring) {
            echo(m, "180 Ringing");
            text_printf(&reply, "Contact: <sip:phone@%s:%d>\r\n", core.ip, core.port);
            no_body();
            give(to, reply.p, reply.n);
        }
        answered(m);
    } else {
        echo(m, "200 OK");
        no_body();
    }
    give(to, reply.p, reply.n);
}

/* ---- sockets ---------------------------------------------------------------------------------------- */

struct datagram_to {
    int fd;
    struct sockaddr_storage addr;
    socklen_t len;
};

static void give_datagram(void *to, const char *p, size_t n)
{
    struct datagram_to *d = to;
    if (sendto(d->fd, p, n, 0, (struct sockaddr *)&d->addr, d->len) < 0)
        core.faults++;
}

static void read_datagrams(int fd)
{
    static char room[BATCH][DATAGRAM + 1];
    static struct sockaddr_storage from[BATCH];
    struct iovec iov[BATCH];
    struct mmsghdr got[BATCH];
    memset(got, 0, sizeof got);
    for (int i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){room[i], DATAGRAM};
        got[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &iov[i],
                                         .msg_iovlen = 1};
    }
    int n = recvmmsg(fd, got, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        struct datagram_to to = {.fd = fd, .addr = from[i], .len = got[i].msg_hdr.msg_namelen};
        struct span m = {room[i], got[i].msg_len};
        room[i][m.n] = 0;
        if (!caller_command(&core, m))
            serve(m, give_datagram, &to);
    }
}

/* Small replies: a peer that does not read them is a fault of the run, not something to wait for. */
static void give_stream(void *to, const char *p, size_t n)
{
    struct connection *c = to;
    while (n) {
        ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0) {
            core.faults++;
            return;
        }
        p += sent;
        n -= (size_t)sent;
    }
}

static bool read_stream(struct connection *c)
{
    char room[65536];
    ssize_t n = recv(c->fd, room, sizeof room, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    text_add(&c->in, room, (size_t)n);
    size_t at = 0, whole;
    for (;;) {
        while (at < c->in.n && (c->in.p[at] == '\r' || c->in.p[at] == '\n'))
            at++;
        struct span rest = {c->in.p + at, c->in.n - at};
        if ((whole = sip_length(rest)) == 0)
            break;
        serve((struct span){rest.p, whole}, give_stream, c);
        at += whole;
    }
    memmove(c->in.p, c->in.p + at, c->in.n - at);
    c->in.n -= at;
    return true;
}

static int bound(int type, const struct sockaddr_in *addr)
{
    int fd = socket(AF_INET, type, 0), on = 1, size = 8 << 20;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size) < 0 ||
        bind(fd, (const struct sockaddr *)addr, sizeof *addr) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0)) {
        perror("bench_core: listen");
        exit(2);
    }
    return fd;
}

static void take(int listener, int poll)
{
    int on = 1;
    struct connection *c = calloc(1, sizeof *c);
    if (!c || (c->fd = accept(listener, NULL, NULL)) < 0) {
        free(c);
        return;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &ev);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: bench_core IP PORT [ring]\n");
        return 2;
    }
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2]))};
    core.ip = argv[1];
    core.port = atoi(argv[2]);
    ring = argc > 3 && strcmp(argv[3], "ring") == 0;
    if (inet_pton(AF_INET, core.ip, &addr.sin_addr) != 1) {
        fprintf(stderr, "bench_core: %s is not an IPv4 address\n", core.ip);
        return 2;
    }
    struct sigaction on = {.sa_handler = on_signal};
    sigaction(SIGTERM, &on, NULL);
    sigaction(SIGINT, &on, NULL);
    int udp = core.udp = bound(SOCK_DGRAM, &addr), tcp = bound(SOCK_STREAM, &addr), poll = epoll_create1(0);
    static int kinds[2]; /* their addresses tell the listeners from connections */
    struct epoll_event u = {.events = EPOLLIN, .data.ptr = &kinds[0]}, t = {.events = EPOLLIN, .data.ptr = &kinds[1]};
    epoll_ctl(poll, EPOLL_CTL_ADD, udp, &u);
    epoll_ctl(poll, EPOLL_CTL_ADD, tcp, &t);
    printf("ready\n");
    fflush(stdout);
    while (!over) {
        struct epoll_event ev[64];
        int n = epoll_wait(poll, ev, 64, 1000);
        for (int i = 0; i < n; i++) {
            struct connection *c = ev[i].data.ptr;
            if (ev[i].data.ptr == &kinds[0])
                read_datagrams(udp);
            else if (ev[i].data.ptr == &kinds[1])
                take(tcp, poll);
            else if (!read_stream(c)) {
                close(c->fd);
                free(c->in.p);
                free(c);
            }
        }
    }
    printf("{\"requests\": %lu, \"faults\": %lu}\n", core.requests, core.faults);
    return 0;
}
