#include "ws_client.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *ws_suites;

static int on_session(SSL *ssl, SSL_SESSION *s)
{
    struct ws *c = SSL_get_app_data(ssl);
    SSL_SESSION_free(c->session);
    c->session = s;
    return 1;
}

int ws_dial(struct ws *c, uint16_t port, int max_version, SSL_SESSION *resume)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval tv = {.tv_sec = 15};
    memset(c, 0, sizeof *c);
    c->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c->ctx, on_session);
    if (max_version)
        SSL_CTX_set_max_proto_version(c->ctx, max_version);
    if (ws_suites)
        SSL_CTX_set_ciphersuites(c->ctx, ws_suites);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    c->ssl = SSL_new(c->ctx);
    SSL_set_app_data(c->ssl, c);
    SSL_set_tlsext_host_name(c->ssl, "localhost");
    if (resume)
        SSL_set_session(c->ssl, resume);
    SSL_set_fd(c->ssl, c->fd);
    if (connect(c->fd, (struct sockaddr *)&in, sizeof in) < 0 || SSL_connect(c->ssl) != 1)
        return -1;
    return 0;
}

void ws_hang_up(struct ws *c)
{
    SSL_free(c->ssl);
    SSL_SESSION_free(c->session);
    SSL_CTX_free(c->ctx);
    if (c->fd >= 0)
        close(c->fd);
    c->ssl = NULL;
    c->session = NULL;
    c->ctx = NULL;
    c->fd = -1;
}

bool ws_write(struct ws *c, const void *p, size_t n)
{
    return SSL_write(c->ssl, p, (int)n) == (int)n;
}

int ws_request(struct ws *c, const char *request, char *answer, size_t size)
{
    size_t have = 0;
    int status = 0;
    if (!ws_write(c, request, strlen(request)))
        return 0;
    while (have < size - 1) { /* octet by octet: what follows the header is WebSocket */
        if (SSL_read(c->ssl, answer + have, 1) != 1)
            break;
        answer[++have] = 0;
        if (have >= 4 && memcmp(answer + have - 4, "\r\n\r\n", 4) == 0)
            break;
    }
    answer[have] = 0;
    return sscanf(answer, "HTTP/1.1 %d", &status) == 1 ? status : 0;
}

int ws_handshake(struct ws *c, const char *path, const char *origin, const char *protocols)
{
    char req[2048], ans[2048];
    snprintf(req, sizeof req,
             "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\n"
             "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s%s%s%s%s%s\r\n",
             path, origin ? "Origin: " : "", origin ? origin : "", origin ? "\r\n" : "",
             protocols ? "Sec-WebSocket-Protocol: " : "", protocols ? protocols : "",
             protocols ? "\r\n" : "");
    int status = ws_request(c, req, ans, sizeof ans);
    /* RFC 6455 1.3 gives the accept value of this key */
    if (status == 101 && (!strstr(ans, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") ||
                          !strcasestr(ans, "Sec-WebSocket-Protocol: sip\r\n")))
        return -101;
    return status;
}

bool ws_frame(struct ws *c, unsigned first, const void *p, size_t n)
{
    static const unsigned char mask[4] = {0xb2, 0x11, 0xbc, 0x0b};
    unsigned char *b = malloc(n + 14);
    size_t h = 0;
    b[h++] = (unsigned char)first;
    if (n < 126) {
        b[h++] = (unsigned char)(0x80 | n);
    } else if (n < 65536) {
        b[h++] = 0x80 | 126;
        b[h++] = (unsigned char)(n >> 8);
        b[h++] = (unsigned char)n;
    } else {
        b[h++] = 0x80 | 127;
        for (int i = 7; i >= 0; i--)
            b[h++] = (unsigned char)((uint64_t)n >> (8 * i));
    }
    memcpy(b + h, mask, 4);
    h += 4;
    for (size_t i = 0; i < n; i++)
        b[h + i] = ((const unsigned char *)p)[i] ^ mask[i % 4];
    bool ok = ws_write(c, b, h + n);
    free(b);
    return ok;
}

static bool read_all(struct ws *c, void *p, size_t n)
{
    for (size_t have = 0; have < n;) {
        int r = SSL_read(c->ssl, (char *)p + have, (int)(n - have));
        if (r <= 0)
            return false;
        have += (size_t)r;
    }
    return true;
}

int ws_read(struct ws *c, char *buf, size_t size, size_t *n)
{
    unsigned char h[10];
    if (!read_all(c, h, 2) || (h[1] & 0x80))
        return -1;
    uint64_t len = h[1] & 0x7f;
    size_t extra = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (extra) {
        if (!read_all(c, h + 2, extra))
            return -1;
        len = 0;
        for (size_t i = 0; i < extra; i++)
            len = len << 8 | h[2 + i];
    }
    if (len >= size || !read_all(c, buf, len))
        return -1;
    buf[len] = 0;
    *n = len;
    return h[0];
}

unsigned ws_read_close(struct ws *c)
{
    char buf[70000];
    size_t n;
    int first;
    while ((first = ws_read(c, buf, sizeof buf, &n)) >= 0)
        if ((first & 15) == WS_CLOSE)
            return n >= 2 ? (unsigned)(unsigned char)buf[0] << 8 | (unsigned char)buf[1] : 1005;
    return 0;
}

uint16_t ws_free_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&in, n) < 0 || getsockname(fd, (struct sockaddr *)&in, &n) < 0)
        abort();
    close(fd);
    return ntohs(in.sin_port);
}
