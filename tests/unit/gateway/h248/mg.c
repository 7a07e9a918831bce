#include "mg.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/h248/tpkt.h"

void mg_open(struct mg *m, bool tcp, const char *host, const char *mid)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    m->fd = socket(AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    assert_true(m->fd >= 0);
    if (m->receive_octets)
        assert_int_equal(setsockopt(m->fd, SOL_SOCKET, SO_RCVBUF, &m->receive_octets, sizeof m->receive_octets), 0);
    if (m->from) {
        assert_int_equal(inet_pton(AF_INET, m->from, &a.sin_addr), 1);
        assert_int_equal(bind(m->fd, (struct sockaddr *)&a, sizeof a), 0);
    }
    a.sin_port = htons(MG_PORT);
    assert_int_equal(inet_pton(AF_INET, host, &a.sin_addr), 1);
    assert_int_equal(connect(m->fd, (struct sockaddr *)&a, sizeof a), 0);
    m->tcp = tcp;
    m->version = 1;
    snprintf(m->mid, sizeof m->mid, "%s", mid);
}

void mg_cut(struct mg *m)
{
    if (m->fd >= 0)
        close(m->fd);
    m->fd = -1;
}

void mg_close(struct mg *m)
{
    mg_cut(m);
    epc_h248_free(m->heard);
    m->heard = NULL;
}

void mg_say_raw(struct mg *m, const char *text, size_t n)
{
    char *packet = malloc(n + TPKT_HEADER_OCTETS);
    size_t head = m->tcp ? TPKT_HEADER_OCTETS : 0;
    assert_non_null(packet);
    if (m->tcp)
        tpkt_header((uint8_t *)packet, n);
    memcpy(packet + head, text, n);
    assert_int_equal(send(m->fd, packet, n + head, MSG_NOSIGNAL), (ssize_t)(n + head));
    free(packet);
}

void mg_say(struct mg *m, const char *fmt, ...)
{
    struct epc_buf b = {0};
    char text[8192];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    epc_buf_printf(&b, "MEGACO/%u %s\n%s\n", m->version, m->mid, text);
    mg_say_raw(m, b.p, b.n);
    epc_buf_free(&b);
}

static bool readable(const struct mg *m, int ms)
{
    struct pollfd p = {.fd = m->fd, .events = POLLIN};
    return poll(&p, 1, ms) == 1;
}

static void read_all(int fd, void *to, size_t n)
{
    char *p = to;
    while (n) {
        ssize_t got = read(fd, p, n);
        assert_true(got > 0);
        p += got;
        n -= (size_t)got;
    }
}

/* @return false: the other side has closed the connection */
static bool read_message(struct mg *m)
{
    ssize_t n;
    if (m->tcp) {
        uint8_t h[TPKT_HEADER_OCTETS];
        if (recv(m->fd, h, 1, MSG_PEEK) <= 0)
            return false;
        read_all(m->fd, h, sizeof h);
        n = (h[2] << 8 | h[3]) - TPKT_HEADER_OCTETS;
        read_all(m->fd, m->text, (size_t)n);
    } else {
        n = recv(m->fd, m->text, sizeof m->text - 1, 0);
        assert_true(n > 0);
    }
    m->text[n] = 0;
    epc_h248_free(m->heard);
    m->heard = NULL;
    struct epc_h248_fault f = {0};
    if (epc_h248_parse(&m->heard, (struct epc_str){m->text, (size_t)n}, &f) != EPC_OK)
        fail_msg("what the hub wrote cannot be read: %s\n%s", f.why, m->text);
    return true;
}

static void list_contexts(struct mg *m, uint32_t id)
{
    struct epc_buf b = {0};
    struct epc_str rest = epc_str_c(m->contexts);
    while (rest.n) {
        struct epc_str one = epc_str_cut(&rest, ' ');
        epc_buf_printf(&b, "%sContext = %.*s { AuditValue = ROOT }", b.n ? ",\n" : "", EPC_STR_ARG(one));
    }
    mg_say(m, "Reply = %u { %s }", id, b.n ? b.p : "Context = * { AuditValue = ROOT }");
    epc_buf_free(&b);
}

/* @return it was an audit, and is answered (or not, on purpose) */
static bool audit(struct mg *m)
{
    const struct epc_h248_transaction *t = m->heard->n_transactions ? &m->heard->transaction[0] : NULL;
    if (!t || t->kind != EPC_H248_T_REQUEST || t->n_actions != 1 || t->action[0].n_commands != 1 ||
        t->action[0].command[0].kind != EPC_H248_AUDIT_VALUE)
        return false;
    m->n_audits++;
    bool all = t->action[0].context == EPC_H248_CTX_ALL, packages = strstr(m->text, "Packages") != NULL;
    bool root = strstr(m->text, "Media") != NULL;
    if (!all && !packages && !root)
        m->n_beats++;
    if (m->mute)
        return true;
    if (all)
        list_contexts(m, t->id);
    else if (packages)
        mg_say(m, "Reply = %u { Context = - { AuditValue = ROOT { Packages { %s } } } }", t->id,
               m->packages ? m->packages : "g-1, root-2");
    else if (root && m->root)
        mg_say(m, "Reply = %u { Context = - { AuditValue = ROOT { Media { TerminationState { %s } } } } }", t->id,
               m->root);
    else
        mg_say(m, "Reply = %u { Context = - { AuditValue = ROOT } }", t->id);
    return true;
}

const struct epc_h248_message *mg_hear(struct mg *m, int ms)
{
    uint64_t until = epc_now_ms() + (uint64_t)ms;
    for (uint64_t now = epc_now_ms(); now <= until; now = epc_now_ms()) {
        if (!readable(m, (int)(until - now)))
            return NULL;
        if (!read_message(m))
            return NULL;
        if (!audit(m))
            return m->heard;
    }
    return NULL;
}

uint32_t mg_expect(struct mg *m, const char *part)
{
    if (!mg_hear(m, MG_WAIT_MS))
        fail_msg("waited in vain for %s", part);
    if (!strstr(m->text, part))
        fail_msg("%s is not in\n%s", part, m->text);
    return m->heard->n_transactions ? m->heard->transaction[0].id : 0;
}

void mg_expect_nothing(struct mg *m, int ms)
{
    if (mg_hear(m, ms))
        fail_msg("nothing was expected, but\n%s", m->text);
}

void mg_register(struct mg *m, unsigned id, const char *services)
{
    unsigned before = m->n_audits;
    mg_say(m, "Transaction = %u { Context = - { ServiceChange = ROOT { Services { %s } } } }", id, services);
    assert_int_equal(mg_expect(m, "ServiceChange = ROOT"), id);
    uint64_t until = epc_now_ms() + MG_WAIT_MS;
    while (m->n_audits < before + 3) {
        assert_true(epc_now_ms() < until);
        const struct epc_h248_message *heard = mg_hear(m, 20);
        if (heard)
            fail_msg("only audits were expected, but\n%s", m->text);
    }
}

void mg_serve_until(struct mg *m, bool (*done)(void *arg), void *arg)
{
    uint64_t until = epc_now_ms() + MG_WAIT_MS;
    while (!done(arg)) {
        if (epc_now_ms() > until)
            fail_msg("waited in vain");
        if (m->fd >= 0 && mg_hear(m, 10))
            fail_msg("only audits were expected, but\n%s", m->text);
    }
}
