/* See ctl_peer.h. RFC 6733 5.3 (capabilities), 5.4 (disconnection), 5.5 (watchdog). */
#include "admin/ctl_peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { CER = 257, DWR = 280, DPR = 282, ORIGIN_HOST = 264, ORIGIN_REALM = 296, RESULT_CODE = 268, SUCCESS = 2001 };

static void complain(const char *what, const char *why)
{
    fprintf(stderr, "epcscfctl replay: %s: %s\n", what, why);
}

bool ctl_peer_address(const char *text, struct epc_addr *out)
{
    char host[EPC_ADDR_LEN];
    const char *colon = strrchr(text, ':');
    uint64_t port;
    size_t n = colon ? (size_t)(colon - text) : 0;
    if (colon && n > 1 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    if (colon && n > 0 && n < sizeof host && epc_str_u64(epc_str_c(colon + 1), 65535, &port) == EPC_OK) {
        snprintf(host, sizeof host, "%.*s", (int)n, text);
        if (epc_addr_parse(out, host, (uint16_t)port) == EPC_OK)
            return true;
    }
    complain(text, "an address with a port is expected, like 127.0.0.1:3868 or [::1]:3868");
    return false;
}

/* ---- waiting ------------------------------------------------------------------------------------------- */

static const char *reason(enum epc_err e)
{
    return e == EPC_EAGAIN ? "interrupted" : epc_err_name(e);
}

static void watch_signals(struct ctl_peer *p)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGINT);
    sigaddset(&s, SIGTERM);
    sigprocmask(SIG_BLOCK, &s, NULL);
    signal(SIGPIPE, SIG_IGN);
    p->interrupt = signalfd(-1, &s, SFD_CLOEXEC);
}

static enum epc_err wait_for(const struct ctl_peer *p, int fd, short what, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now = epc_now_ms();
        struct pollfd f[2] = {{.fd = fd, .events = what}, {.fd = p->interrupt, .events = POLLIN}};
        int left = deadline_ms <= now ? 0 : deadline_ms - now > 3600000 ? 3600000 : (int)(deadline_ms - now);
        int n = poll(f, 2, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return EPC_EIO;
        if (f[1].revents)
            return EPC_EAGAIN;
        if (f[0].revents)
            return EPC_OK;
        if (left == 0 || epc_now_ms() >= deadline_ms)
            return EPC_ETIMEDOUT;
    }
}

enum epc_err ctl_peer_send(struct ctl_peer *p, const void *octets, size_t n)
{
    const char *at = octets;
    uint64_t deadline = epc_now_ms() + 10000;
    while (n > 0 && !p->closed) {
        ssize_t k = send(p->fd, at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (k > 0) {
            at += k;
            n -= (size_t)k;
            continue;
        }
        if (k < 0 && errno != EAGAIN && errno != EINTR) {
            complain("sending", strerror(errno));
            p->closed = true;
            break;
        }
        enum epc_err e = wait_for(p, p->fd, POLLOUT, deadline);
        if (e)
            return e;
    }
    return p->closed ? EPC_EIO : EPC_OK;
}

/* One whole message off the wire. */
static enum epc_err receive_any(struct ctl_peer *p, uint64_t deadline_ms, struct epc_msg **m)
{
    for (;;) {
        const uint8_t *b = (const uint8_t *)p->in.p;
        size_t need = p->in.n >= 4 ? (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3] : 20;
        struct epc_buf why = {0};
        if (p->in.n >= 20 && (b[0] != 1 || need < 20 || need > EPC_MSG_MAX_OCTETS || p->in.n >= need)) {
            if (need > p->in.n)
                need = p->in.n;
            enum epc_err e = epc_msg_decode(m, p->dict, p->in.p, need, &why);
            memmove(p->in.p, p->in.p + need, p->in.n - need);
            p->in.n -= need;
            if (e)
                complain("what came is not a Diameter message", why.p ? why.p : epc_err_name(e));
            epc_buf_free(&why);
            return e;
        }
        enum epc_err e = wait_for(p, p->fd, POLLIN, deadline_ms);
        if (e)
            return e;
        char part[16384];
        ssize_t k = recv(p->fd, part, sizeof part, MSG_DONTWAIT);
        if (k < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (k <= 0) {
            p->closed = true;
            return EPC_EIO;
        }
        epc_buf_add(&p->in, part, (size_t)k);
        if (p->in.failed)
            return EPC_ENOMEM;
    }
}

/* ---- the base protocol ------------------------------------------------------------------------------------ */

/* A message of ours from the text of its AVPs. */
static enum epc_err say(struct ctl_peer *p, const char *command, const char *avps, const struct epc_msg *to)
{
    struct epc_buf json = {0}, octets = {0}, why = {0};
    struct epc_msg *m = NULL;
    epc_buf_printf(&json, "{\"command\":\"%s\",\"avps\":[%s{\"Origin-Host\":\"%s\"},{\"Origin-Realm\":\"%s\"}%s]}", command,
                   to ? "{\"Result-Code\":2001}," : "", p->identity, p->realm, avps);
    enum epc_err e = epc_msg_from_json(&m, p->dict, (struct epc_str){json.p, json.n}, &why);
    if (e == EPC_OK) {
        m->hop_by_hop = to ? to->hop_by_hop : p->next_id;
        m->end_to_end = to ? to->end_to_end : p->next_id++;
        e = epc_msg_encode(m, NULL, &octets, &why);
    }
    if (e)
        complain(command, why.p ? why.p : epc_err_name(e));
    else
        e = ctl_peer_send(p, octets.p, octets.n);
    epc_msg_destroy(m);
    epc_buf_free(&json);
    epc_buf_free(&octets);
    epc_buf_free(&why);
    return e;
}

static void learn_peer(struct ctl_peer *p, const struct epc_msg *m)
{
    const struct epc_avp *host = epc_msg_find(m, ORIGIN_HOST, 0), *realm = epc_msg_find(m, ORIGIN_REALM, 0);
    if (host)
        snprintf(p->peer_host, sizeof p->peer_host, "%.*s", (int)host->n, (const char *)host->data);
    if (realm)
        snprintf(p->peer_realm, sizeof p->peer_realm, "%.*s", (int)realm->n, (const char *)realm->data);
}

/* What we are: an Rx node of 3GPP's, without TLS. */
static enum epc_err say_capabilities(struct ctl_peer *p, const struct epc_msg *cer)
{
    struct sockaddr_storage ss = {0};
    socklen_t n = sizeof ss;
    char ip[EPC_ADDR_LEN], avps[800];
    struct epc_addr local = {.len = sizeof ss};
    if (getsockname(p->fd, (struct sockaddr *)&ss, &n) != 0)
        return EPC_EIO;
    local.ss = ss;
    local.len = n;
    snprintf(avps, sizeof avps,
             ",{\"Host-IP-Address\":\"%s\"},{\"Vendor-Id\":10415},{\"Product-Name\":\"epcscfctl replay\"},"
             "{\"Supported-Vendor-Id\":10415},{\"Supported-Vendor-Id\":13019},{\"Auth-Application-Id\":16777236},"
             "{\"Inband-Security-Id\":0},{\"Vendor-Specific-Application-Id\":[{\"Vendor-Id\":10415},"
             "{\"Auth-Application-Id\":16777236}]}",
             epc_addr_ip(&local, ip));
    return say(p, cer ? "CEA" : "CER", avps, cer);
}

/* @return true: it was of the base protocol and is done with. */
static bool base_message(struct ctl_peer *p, const struct epc_msg *m)
{
    bool request = m->flags & EPC_CMD_R;
    if (m->command == DWR && request)
        (void)!say(p, "DWA", "", m);
    else if (m->command == DPR && request) {
        (void)!say(p, "DPA", "", m);
        p->closed = true;
    } else if (m->command == CER && request)
        (void)!say_capabilities(p, m);
    return m->command == DWR || m->command == DPR || m->command == CER;
}

enum epc_err ctl_peer_receive(struct ctl_peer *p, uint64_t deadline_ms, struct epc_msg **out)
{
    while (!p->closed) {
        struct epc_msg *m = NULL;
        enum epc_err e = receive_any(p, deadline_ms, &m);
        if (e)
            return e;
        if (!base_message(p, m)) {
            *out = m;
            return EPC_OK;
        }
        epc_msg_destroy(m);
    }
    return EPC_EIO;
}

/* ---- the connection ------------------------------------------------------------------------------------------ */

static enum epc_err expect_capabilities(struct ctl_peer *p, bool request, uint64_t deadline_ms)
{
    struct epc_msg *m = NULL;
    enum epc_err e = receive_any(p, deadline_ms, &m);
    uint32_t result = 0;
    if (e) {
        if (e != EPC_EPROTO)
            complain(request ? "waiting for the peer's CER" : "waiting for the peer's CEA",
                     e == EPC_EIO ? "the peer closed the connection: does it know our --identity, and is TLS off for us?"
                                  : reason(e));
        return e;
    }
    if (m->command != CER || (m->flags & EPC_CMD_R ? true : false) != request) {
        complain("the peer's first message", "is not of the capabilities exchange");
        e = EPC_EPROTO;
    }
    if (e == EPC_OK && !request && (!epc_avp_u32(epc_msg_find(m, RESULT_CODE, 0), &result) || result != SUCCESS)) {
        struct epc_buf text = {0};
        epc_msg_print(m, &text);
        complain("the peer refused us; correct --identity, --realm, or its configuration", text.p ? text.p : "");
        epc_buf_free(&text);
        e = EPC_EPOLICY;
    }
    if (e == EPC_OK) {
        learn_peer(p, m);
        if (request)
            e = say_capabilities(p, m);
    }
    epc_msg_destroy(m);
    return e;
}

static void begin(struct ctl_peer *p)
{
    watch_signals(p);
    p->next_id = (uint32_t)epc_wall_s() << 12;
}

enum epc_err ctl_peer_listen(struct ctl_peer *p, const struct epc_addr *at, unsigned wait_s)
{
    char text[EPC_ADDR_LEN];
    uint64_t deadline = epc_now_ms() + wait_s * UINT64_C(1000);
    begin(p);
    epc_addr_text(at, text);
    int fd = socket(at->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&at->ss, at->len) != 0 || listen(fd, 1) != 0) {
        complain(text, strerror(errno));
        if (fd >= 0)
            close(fd);
        return EPC_EIO;
    }
    fprintf(stderr, "epcscfctl replay: %s waits at %s\n", p->identity, text);
    enum epc_err e;
    do { /* a first attempt may be one that only looks whether somebody listens */
        e = wait_for(p, fd, POLLIN, deadline);
        if (e) {
            complain(text, e == EPC_ETIMEDOUT ? "nobody connected in time" : reason(e));
            break;
        }
        p->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        e = p->fd < 0 ? EPC_EIO : expect_capabilities(p, true, deadline);
        if (e == EPC_EIO && p->fd >= 0) {
            close(p->fd);
            p->fd = -1;
            p->closed = false;
            p->in.n = 0;
        }
    } while (e == EPC_EIO);
    close(fd);
    return e;
}

enum epc_err ctl_peer_connect(struct ctl_peer *p, const struct epc_addr *to, unsigned wait_s)
{
    char text[EPC_ADDR_LEN];
    uint64_t deadline = epc_now_ms() + wait_s * UINT64_C(1000);
    int fault = 0;
    socklen_t n = sizeof fault;
    begin(p);
    epc_addr_text(to, text);
    p->fd = socket(to->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->fd < 0)
        return EPC_EIO;
    if (connect(p->fd, (const struct sockaddr *)&to->ss, to->len) != 0 && errno != EINPROGRESS)
        fault = errno;
    enum epc_err e = fault ? EPC_EIO : wait_for(p, p->fd, POLLOUT, deadline);
    if (e == EPC_OK && (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &fault, &n) != 0 || fault))
        e = EPC_EIO;
    if (e) {
        complain(text, fault ? strerror(fault) : e == EPC_ETIMEDOUT ? "no connection in time" : reason(e));
        p->closed = true;
        return e;
    }
    e = say_capabilities(p, NULL);
    return e ? e : expect_capabilities(p, false, deadline);
}

/* The other side may be leaving as well: its DPR is answered, and it closes. */
static void leave(struct ctl_peer *p)
{
    struct epc_msg *m = NULL;
    uint64_t deadline = epc_now_ms() + 1000;
    if (say(p, "DPR", ",{\"Disconnect-Cause\":\"DO_NOT_WANT_TO_TALK_TO_YOU\"}", NULL))
        return;
    for (bool done = false; !done && !p->closed && receive_any(p, deadline, &m) == EPC_OK;) {
        done = m->command == DPR && !(m->flags & EPC_CMD_R);
        if (base_message(p, m))
            p->closed = false;
        epc_msg_destroy(m);
        m = NULL;
    }
}

void ctl_peer_close(struct ctl_peer *p)
{
    if (p->fd >= 0) {
        if (!p->closed)
            leave(p);
        close(p->fd);
    }
    if (p->interrupt >= 0)
        close(p->interrupt);
    epc_buf_free(&p->in);
    p->fd = p->interrupt = -1;
}
