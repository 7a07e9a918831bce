/* bench_tls IP PORT CERT KEY: what TLS 1.3 and WebSocket cost by themselves. One thread, epoll, one SSL_CTX with its
 * own tickets; each connection gets a 101, and each request on it (a whole one in a frame) at once a 200. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sip_text.h"

struct conn {
    int fd;
    SSL *ssl;
    bool up;
};

static const char switching[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
                                "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
static int poll_fd;
static SSL_CTX *ctx;

static void drop(struct conn *c)
{
    SSL_free(c->ssl);
    close(c->fd);
    free(c);
}

static void take(int listener)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        struct conn *c = calloc(1, sizeof *c);
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!c || !(c->ssl = SSL_new(ctx)) || SSL_set_fd(c->ssl, fd) != 1)
            abort();
        c->fd = fd;
        SSL_set_accept_state(c->ssl);
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &ev);
    }
}

/* 200 with the request's own Contact: what a registrar's answer has at the least. */
static void ok(struct text *out, struct span request)
{
    struct span line;
    size_t at = 0;
    out->n = 0;
    text_printf(out, "SIP/2.0 200 OK\r\n");
    sip_line(request, &at, &line);
    while (sip_line(request, &at, &line))
        if (sip_is(line, "Via", 'v', NULL) || sip_is(line, "From", 'f', NULL) || sip_is(line, "To", 't', NULL) ||
            sip_is(line, "Call-ID", 'i', NULL) || sip_is(line, "CSeq", 0, NULL) || sip_is(line, "Contact", 'm', NULL)) {
            text_add(out, line.p, line.n);
            text_add(out, "\r\n", 2);
        }
    text_printf(out, "Content-Length: 0\r\n\r\n");
}

static void answer(struct conn *c, struct span request)
{
    static struct text body, frame;
    ok(&body, request);
    unsigned char head[4] = {0x81, (unsigned char)body.n};
    size_t n = 2;
    if (body.n > 125) {
        head[1] = 126;
        head[2] = (unsigned char)(body.n >> 8);
        head[3] = (unsigned char)body.n;
        n = 4;
    }
    frame.n = 0;
    text_add(&frame, (char *)head, n);
    text_add(&frame, body.p, body.n);
    SSL_write(c->ssl, frame.p, (int)frame.n);
}

/* The load writes whole frames, masked, each in one TLS record. */
static void requests(struct conn *c, unsigned char *p, size_t n)
{
    while (n >= 6) {
        size_t length = p[1] & 0x7f, head = 2;
        if (length == 126) {
            length = (size_t)p[2] << 8 | p[3];
            head = 4;
        }
        if (n < head + 4 + length)
            return;
        unsigned char *mask = p + head, *text = mask + 4;
        for (size_t i = 0; i < length; i++)
            text[i] ^= mask[i & 3];
        if ((p[0] & 15) == 1)
            answer(c, (struct span){(char *)text, length});
        p = text + length;
        n -= head + 4 + length;
    }
}

static void serve(struct conn *c)
{
    char room[16384];
    for (;;) {
        int n = SSL_read(c->ssl, room, (int)sizeof room);
        if (n <= 0) {
            int why = SSL_get_error(c->ssl, n);
            if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
                drop(c);
            return;
        }
        if (c->up)
            requests(c, (unsigned char *)room, (size_t)n);
        else if (n > 4 && memcmp(room, "GET ", 4) == 0) {
            c->up = true;
            SSL_write(c->ssl, switching, (int)sizeof switching - 1);
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in own = {.sin_family = AF_INET};
    struct rlimit files;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (argc != 5 || inet_pton(AF_INET, argv[1], &own.sin_addr) != 1) {
        fputs("usage: bench_tls IP PORT CERTIFICATE KEY\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    own.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, argv[3]) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, argv[4], SSL_FILETYPE_PEM) != 1)
        return 1;
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"b", 1);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&own, sizeof own) != 0 || listen(listener, 1024) != 0) {
        perror("bench_tls");
        return 1;
    }
    poll_fd = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL}, ready[256];
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &ev);
    for (;;) {
        int n = epoll_wait(poll_fd, ready, 256, -1);
        for (int i = 0; i < n; i++)
            if (ready[i].data.ptr)
                serve(ready[i].data.ptr);
            else
                take(listener);
    }
}
