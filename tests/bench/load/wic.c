#include "wic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { OPCODE_TEXT = 1, OPCODE_CLOSE = 8, OPCODE_PING = 9, OPCODE_PONG = 10 }; /* RFC 6455 5.2 */

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct wic *w = SSL_get_app_data(ssl);
    SSL_SESSION_free(w->session);
    w->session = session;
    return 1;
}

void wic_net_init(struct wic_net *net)
{
    net->ssl = SSL_CTX_new(TLS_client_method());
    if (!net->ssl)
        abort();
    SSL_CTX_set_min_proto_version(net->ssl, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(net->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(net->ssl, keep_session);
    SSL_CTX_set_mode(net->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                   SSL_MODE_RELEASE_BUFFERS);
}

static void watch(struct wic *w, bool writing)
{
    if (w->writing == writing)
        return;
    w->writing = writing;
    struct epoll_event ev = {.events = writing ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = w};
    epoll_ctl(w->net->poll, EPOLL_CTL_MOD, w->fd, &ev);
}

void wic_close(struct wic *w)
{
    if (w->ssl) {
        if (w->state >= WIC_UPGRADE)
            SSL_set_shutdown(w->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* the session stays good */
        SSL_free(w->ssl);
    }
    if (w->fd >= 0)
        close(w->fd);
    free(w->in.p);
    free(w->out.p);
    w->in = w->out = (struct text){0};
    w->ssl = NULL;
    w->fd = -1;
    w->state = WIC_IDLE;
}

static void lose(struct wic *w, const char *why)
{
    wic_close(w);
    w->net->on.closed(w, why);
}

bool wic_connect(struct wic *w)
{
    struct wic_net *net = w->net;
    int on = 1;
    w->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (w->fd < 0)
        return false;
    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (net->spread) {
        struct sockaddr_in from = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(0x7f640001u + net->next_source++ % 60000u)};
        setsockopt(w->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        bind(w->fd, (struct sockaddr *)&from, sizeof from);
    }
    if (connect(w->fd, (struct sockaddr *)&net->server, sizeof net->server) < 0 && errno != EINPROGRESS) {
        close(w->fd);
        w->fd = -1;
        return false;
    }
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.ptr = w};
    w->writing = true;
    w->state = WIC_CONNECTING;
    return epoll_ctl(net->poll, EPOLL_CTL_ADD, w->fd, &ev) == 0;
}

static bool flush(struct wic *w)
{
    size_t at = 0;
    while (at < w->out.n) {
        int n = SSL_write(w->ssl, w->out.p + at, (int)(w->out.n - at));
        if (n <= 0) {
            int why = SSL_get_error(w->ssl, n);
            if (why != SSL_ERROR_WANT_WRITE && why != SSL_ERROR_WANT_READ)
                return false;
            break;
        }
        at += (size_t)n;
    }
    memmove(w->out.p, w->out.p + at, w->out.n - at);
    w->out.n -= at;
    watch(w, w->out.n > 0);
    return true;
}

/* The mask need not be random against a server that only unmasks (RFC 6455 5.3 guards proxies). */
static void send_frame(struct wic *w, unsigned char opcode, const char *p, size_t n)
{
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    unsigned char head[14] = {(unsigned char)(0x80 | opcode)};
    size_t h = 2;
    if (n < 126)
        head[1] = (unsigned char)(0x80 | n);
    else {
        head[1] = 0x80 | 126;
        head[2] = (unsigned char)(n >> 8);
        head[3] = (unsigned char)n;
        h = 4;
    }
    memcpy(head + h, mask, 4);
    bool was_empty = w->out.n == 0;
    text_add(&w->out, (const char *)head, h + 4);
    size_t at = w->out.n;
    text_add(&w->out, p, n);
    for (size_t i = 0; i < n; i++)
        w->out.p[at + i] = (char)((unsigned char)w->out.p[at + i] ^ mask[i & 3]);
    if (was_empty && !flush(w))
        lose(w, "write");
}

void wic_send(struct wic *w, const char *p, size_t n)
{
    send_frame(w, OPCODE_TEXT, p, n);
}

static void upgrade(struct wic *w)
{
    SSL_session_reused(w->ssl) ? w->net->resumed++ : w->net->full++;
    text_printf(&w->out, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Protocol: sip\r\nOrigin: %s\r\n\r\n", w->net->path, w->net->host, w->net->origin);
    w->state = WIC_UPGRADE;
}

static bool handshake(struct wic *w)
{
    int n = SSL_connect(w->ssl);
    if (n == 1) {
        upgrade(w);
        return flush(w);
    }
    int why = SSL_get_error(w->ssl, n);
    watch(w, why == SSL_ERROR_WANT_WRITE);
    return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ;
}

static bool begin(struct wic *w)
{
    int err = 0;
    socklen_t len = sizeof err;
    if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err)
        return false;
    w->ssl = SSL_new(w->net->ssl);
    if (!w->ssl || SSL_set_fd(w->ssl, w->fd) != 1)
        return false;
    SSL_set_app_data(w->ssl, w);
    SSL_set_tlsext_host_name(w->ssl, "localhost");
    if (w->net->resume && w->session)
        SSL_set_session(w->ssl, w->session);
    w->state = WIC_TLS;
    return handshake(w);
}

static bool upgraded(struct wic *w)
{
    const char *end = w->in.n ? memmem(w->in.p, w->in.n, "\r\n\r\n", 4) : NULL;
    if (!end)
        return true;
    if (w->in.n < 12 || memcmp(w->in.p + 9, "101", 3) != 0)
        return false;
    size_t used = (size_t)(end - w->in.p) + 4;
    memmove(w->in.p, w->in.p + used, w->in.n - used);
    w->in.n -= used;
    w->state = WIC_OPEN;
    w->net->on.open(w);
    return true;
}

/* Server frames are not masked. A server closes on those who do not answer its pings. */
static bool frames(struct wic *w)
{
    size_t at = 0;
    while (w->state == WIC_OPEN && w->in.n - at >= 2) {
        const unsigned char *h = (const unsigned char *)w->in.p + at;
        size_t n = h[1] & 0x7f, head = 2;
        if (n == 126) {
            if (w->in.n - at < 4)
                break;
            n = (size_t)h[2] << 8 | h[3];
            head = 4;
        } else if (n == 127)
            return false;
        if (w->in.n - at < head + n)
            break;
        unsigned opcode = h[0] & 0x0f;
        if (opcode == OPCODE_CLOSE)
            return false;
        at += head + n;
        if (opcode == OPCODE_TEXT)
            w->net->on.text(w, (struct span){w->in.p + at - n, n});
        else if (opcode == OPCODE_PING)
            send_frame(w, OPCODE_PONG, w->in.p + at - n, n);
    }
    if (w->state != WIC_OPEN)
        return true;
    memmove(w->in.p, w->in.p + at, w->in.n - at);
    w->in.n -= at;
    if (w->in.n == 0 && w->in.cap > 8192) {
        free(w->in.p);
        w->in = (struct text){0};
    }
    return true;
}

static bool receive(struct wic *w)
{
    char room[16384];
    for (;;) {
        int n = SSL_read(w->ssl, room, (int)sizeof room);
        if (n <= 0) {
            int why = SSL_get_error(w->ssl, n);
            return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
        }
        text_add(&w->in, room, (size_t)n);
        if (w->state == WIC_UPGRADE && !upgraded(w))
            return false;
        if (w->state == WIC_OPEN && !frames(w))
            return false;
        if (w->state == WIC_IDLE)
            return true; /* closed by its owner */
    }
}

void wic_ready(struct wic *w, uint32_t events)
{
    bool ok = true;
    if (w->state == WIC_CONNECTING)
        ok = begin(w);
    else if (w->state == WIC_TLS)
        ok = handshake(w);
    else if (events & EPOLLOUT)
        ok = flush(w);
    if (ok && w->state >= WIC_UPGRADE && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        ok = receive(w);
    if (!ok)
        lose(w, w->state < WIC_UPGRADE ? "handshake" : w->state == WIC_UPGRADE ? "upgrade" : "closed");
}
