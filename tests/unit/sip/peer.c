#include "cm.h"
#include "peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static int bound(const struct epc_addr *a, int type)
{
    int fd = socket(a->ss.ss_family, type | SOCK_NONBLOCK, 0), one = 1;
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a->ss, a->len), 0);
    return fd;
}

void peer_open(struct peer *p, struct epc_shard *sh, const char *ip, uint16_t port, const char *them,
               uint16_t their_port)
{
    memset(p, 0, sizeof *p);
    p->sh = sh;
    assert_int_equal(epc_addr_parse(&p->us, ip, port), EPC_OK);
    assert_int_equal(epc_addr_parse(&p->them, them, their_port), EPC_OK);
    p->udp = bound(&p->us, SOCK_DGRAM);
    p->listener = bound(&p->us, SOCK_STREAM);
    assert_int_equal(listen(p->listener, 4), 0);
    p->tcp = -1;
}

void peer_close(struct peer *p)
{
    close(p->udp);
    close(p->listener);
    if (p->tcp >= 0)
        close(p->tcp);
}

/* A whole message at the front of the stream, by Content-Length. */
static char *take_framed(struct peer *p)
{
    char *end = memmem(p->buf, p->n, "\r\n\r\n", 4);
    if (!end)
        return NULL;
    char *head = strndup(p->buf, (size_t)(end - p->buf) + 2);
    char *cl = line_of(head, "Content-Length", 0);
    size_t total = (size_t)(end + 4 - p->buf) + strtoul(cl, NULL, 10);
    free(cl);
    free(head);
    if (total > p->n)
        return NULL;
    char *msg = strndup(p->buf, total);
    memmove(p->buf, p->buf + total, p->n - total);
    p->n -= total;
    return msg;
}

static char *try_recv(struct peer *p)
{
    char dgram[65536];
    ssize_t n = recv(p->udp, dgram, sizeof dgram, 0);
    if (n > 0) {
        p->last_was_tcp = false;
        return strndup(dgram, (size_t)n);
    }
    if (p->tcp < 0)
        p->tcp = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK);
    if (p->tcp >= 0 && (n = recv(p->tcp, p->buf + p->n, sizeof p->buf - p->n, 0)) > 0)
        p->n += (size_t)n;
    char *msg = take_framed(p);
    if (msg)
        p->last_was_tcp = true;
    return msg;
}

char *peer_recv(struct peer *p, unsigned ms)
{
    uint64_t until = epc_now_ms() + ms;
    for (;;) {
        char *msg = try_recv(p);
        if (msg)
            return msg;
        if (epc_now_ms() >= until)
            return NULL;
        fake_shard_turn(p->sh);
    }
}

void peer_send_udp(struct peer *p, const char *text)
{
    assert_int_equal(sendto(p->udp, text, strlen(text), 0, (const struct sockaddr *)&p->them.ss, p->them.len),
                     (ssize_t)strlen(text));
}

void peer_send(struct peer *p, const char *text)
{
    if (!p->last_was_tcp) {
        peer_send_udp(p, text);
        return;
    }
    assert_int_equal(send(p->tcp, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

char *line_of(const char *msg, const char *name, unsigned i)
{
    size_t m = strlen(name);
    for (const char *p = strstr(msg, "\r\n"); p && strncmp(p, "\r\n\r\n", 4) != 0; p = strstr(p + 2, "\r\n")) {
        const char *line = p + 2;
        if (strncasecmp(line, name, m) != 0 || line[m] != ':')
            continue;
        if (i-- > 0)
            continue;
        line += m + 1;
        while (*line == ' ')
            line++;
        return strndup(line, strcspn(line, "\r\n"));
    }
    return strdup("");
}

static void copy_lines(struct epc_buf *b, const char *req, const char *name)
{
    for (unsigned i = 0;; i++) {
        char *v = line_of(req, name, i);
        bool more = *v != 0;
        if (more)
            epc_buf_printf(b, "%s: %s\r\n", name, v);
        free(v);
        if (!more)
            return;
    }
}

char *answer_to(const char *req, const char *status, const char *to_tag, const char *extra, const char *body)
{
    struct epc_buf b = {0};
    epc_buf_printf(&b, "SIP/2.0 %s\r\n", status);
    copy_lines(&b, req, "Via");
    copy_lines(&b, req, "Record-Route");
    copy_lines(&b, req, "From");
    copy_lines(&b, req, "Call-ID");
    copy_lines(&b, req, "CSeq");
    char *to = line_of(req, "To", 0);
    epc_buf_printf(&b, "To: %s%s%s\r\n", to, to_tag && !strstr(to, ";tag=") ? ";tag=" : "",
                   to_tag && !strstr(to, ";tag=") ? to_tag : "");
    free(to);
    if (extra)
        epc_buf_adds(&b, extra);
    if (body)
        epc_buf_adds(&b, "Content-Type: application/sdp\r\n");
    epc_buf_printf(&b, "Content-Length: %zu\r\n\r\n%s", body ? strlen(body) : 0, body ? body : "");
    return epc_buf_take(&b, NULL);
}
