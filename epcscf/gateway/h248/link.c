#include "gateway/h248/link.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "gateway/h248/tpkt.h"

enum {
    MAX_DATAGRAM = 65536,
    READ_OCTETS = 65536,
    MAX_UDP_BODY = 65507,       /* RFC 768 over IPv4 */
    MAX_QUEUED = 8 << 20,       /* a gateway that does not read is given up */
    MAX_UNKNOWN = 64,           /* connections without an association */
    UNKNOWN_MS = 10000,         /* how long one may take to register */
    KEEPALIVE_S = 30,
    BACKLOG = 64,
};

struct listener {
    struct listener *next;
    struct h248_net *net;
    uv_tcp_t tcp;
};

struct h248_udp {
    struct h248_udp *next;
    struct h248_net *net;
    uv_udp_t udp;
};

struct h248_conn {
    struct h248_conn *next, **prev;
    struct h248_net *net;
    uv_tcp_t tcp;
    struct epc_addr addr;
    struct tpkt_reader reader;
    void *owner;
    bool over;             /* nothing is read or written any more */
    struct epc_timer timer; /* registration, or the end that is to be told */
};

struct h248_net {
    struct epc_shard *sh;
    const struct h248_net_ops *ops;
    void *arg;
    struct listener *listeners;
    struct h248_udp *sockets;
    struct h248_conn *conns;
    unsigned n_unknown;
    char *buffer; /* for one read */
};

bool h248_path_same(const struct h248_path *a, const struct h248_path *b)
{
    if (a->conn || b->conn)
        return a->conn == b->conn;
    return a->udp == b->udp && epc_addr_same_ip(&a->addr, &b->addr) &&
           epc_addr_port(&a->addr) == epc_addr_port(&b->addr);
}

const char *h248_path_text(const struct h248_path *p, char out[EPC_ADDR_LEN + 8])
{
    char addr[EPC_ADDR_LEN];
    const struct epc_addr *a = p->conn ? &p->conn->addr : &p->addr;
    snprintf(out, EPC_ADDR_LEN + 8, "%s:%s", p->conn ? "tcp" : "udp", a->len ? epc_addr_text(a, addr) : "-");
    return out;
}

static void set_addr(struct epc_addr *a, const struct sockaddr *sa)
{
    *a = (struct epc_addr){0};
    a->len = sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    memcpy(&a->ss, sa, a->len);
}

/* ---- TCP ----------------------------------------------------------------------------------------- */

static void on_conn_closed(uv_handle_t *h)
{
    struct h248_conn *c = h->data;
    tpkt_reader_free(&c->reader);
    free(c);
}

void h248_conn_close(struct h248_conn *c)
{
    struct h248_net *net = c->net;
    c->over = true;
    epc_timer_stop(net->sh, &c->timer);
    if (!c->owner)
        net->n_unknown--;
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    epc_count_add(EPC_C_IQ_LINKS, -1);
    uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
}

static void tell_end(void *arg)
{
    struct h248_conn *c = arg;
    struct h248_net *net = c->net;
    if (c->owner)
        net->ops->closed(net->arg, c);
    h248_conn_close(c);
}

/* Told from a timer: whoever writes must not lose what it works on. */
static void conn_lost(struct h248_conn *c, const char *why)
{
    char addr[EPC_ADDR_LEN];
    if (c->over)
        return;
    c->over = true;
    epc_log(EPC_LOG_INFO, "gateway", "event=iq-connection-closed address=%s why=\"%s\"", epc_addr_text(&c->addr, addr),
            why);
    uv_read_stop((uv_stream_t *)&c->tcp);
    epc_timer_start(c->net->sh, &c->timer, 0, tell_end, c);
}

static void on_unknown_too_long(void *arg)
{
    conn_lost(arg, "no registration in time");
}

static bool on_packet(void *arg, struct epc_str body)
{
    struct h248_conn *c = arg;
    struct h248_path from = {.conn = c, .addr = c->addr};
    c->net->ops->received(c->net->arg, &from, body);
    return !c->over;
}

static void on_read_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    const struct h248_conn *c = h->data;
    (void)suggested;
    *buf = uv_buf_init(c->net->buffer, READ_OCTETS);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct h248_conn *c = s->data;
    if (n < 0) {
        conn_lost(c, uv_strerror((int)n));
        return;
    }
    if (n == 0 || c->over)
        return;
    enum epc_err err = tpkt_feed(&c->reader, buf->base, (size_t)n, on_packet, c);
    if (err == EPC_OK)
        return;
    if (err == EPC_EPROTO)
        epc_count(EPC_C_GW_MALFORMED);
    conn_lost(c, err == EPC_EPROTO ? "no TPKT packet" : epc_err_name(err));
}

static enum epc_err conn_accept(struct h248_net *net, uv_stream_t *server, struct h248_conn *c)
{
    struct sockaddr_storage ss;
    int len = sizeof ss;
    c->net = net;
    c->tcp.data = c;
    if (uv_accept(server, (uv_stream_t *)&c->tcp) != 0 ||
        uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&ss, &len) != 0)
        return EPC_EIO;
    set_addr(&c->addr, (struct sockaddr *)&ss);
    if (!net->ops->welcome(net->arg, &c->addr))
        return EPC_EAUTH;
    if (net->n_unknown >= MAX_UNKNOWN)
        return EPC_ELIMIT;
    uv_tcp_nodelay(&c->tcp, 1);
    uv_tcp_keepalive(&c->tcp, 1, KEEPALIVE_S);
    return uv_read_start((uv_stream_t *)&c->tcp, on_read_alloc, on_read) == 0 ? EPC_OK : EPC_EIO;
}

static void on_connection(uv_stream_t *server, int status)
{
    const struct listener *l = server->data;
    struct h248_net *net = l->net;
    struct h248_conn *c = status == 0 ? calloc(1, sizeof *c) : NULL;
    char addr[EPC_ADDR_LEN];
    if (!c || uv_tcp_init(epc_shard_uv(net->sh), &c->tcp) != 0) {
        free(c); /* what waits is accepted with the next one */
        return;
    }
    enum epc_err err = conn_accept(net, server, c);
    if (err != EPC_OK) {
        epc_count(EPC_C_IQ_REFUSED);
        epc_log(EPC_LOG_WARN, "gateway", "event=iq-connection-refused address=%s why=\"%s\"",
                c->addr.len ? epc_addr_text(&c->addr, addr) : "-",
                err == EPC_EAUTH ? "no gateway of media.h248.gateways is there" : epc_err_name(err));
        uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
        return;
    }
    c->next = net->conns;
    c->prev = &net->conns;
    if (c->next)
        c->next->prev = &c->next;
    net->conns = c;
    net->n_unknown++;
    epc_count(EPC_C_IQ_LINKS);
    epc_timer_start(net->sh, &c->timer, UNKNOWN_MS, on_unknown_too_long, c);
    epc_log(EPC_LOG_INFO, "gateway", "event=iq-connection address=%s", epc_addr_text(&c->addr, addr));
}

void *h248_conn_owner(const struct h248_conn *c)
{
    return c->owner;
}

void h248_conn_set_owner(struct h248_conn *c, void *owner)
{
    if (!c->owner && owner) {
        c->net->n_unknown--;
        if (!c->over)
            epc_timer_stop(c->net->sh, &c->timer);
    } else if (c->owner && !owner) {
        c->net->n_unknown++;
        if (!c->over)
            epc_timer_start(c->net->sh, &c->timer, UNKNOWN_MS, on_unknown_too_long, c);
    }
    c->owner = owner;
}

struct writing {
    uv_write_t req;
    char octets[];
};

static void on_written(uv_write_t *req, int status)
{
    (void)status; /* the reading side tells of a lost connection */
    free(EPC_CONTAINER(req, struct writing, req));
}

/* What the kernel does not take at once waits in libuv. */
static enum epc_err conn_send(struct h248_conn *c, const char *text, size_t n)
{
    uint8_t header[TPKT_HEADER_OCTETS];
    uv_stream_t *s = (uv_stream_t *)&c->tcp;
    if (c->over)
        return EPC_EIO;
    if (n > TPKT_MAX_BODY)
        return EPC_ELIMIT;
    tpkt_header(header, n);
    uv_buf_t buf[2] = {uv_buf_init((char *)header, sizeof header), uv_buf_init((char *)(uintptr_t)text, (unsigned)n)};
    int sent = uv_try_write(s, buf, 2);
    size_t done = sent > 0 ? (size_t)sent : 0, all = n + sizeof header;
    if (done == all)
        return EPC_OK;
    if ((sent < 0 && sent != UV_EAGAIN) || uv_stream_get_write_queue_size(s) > MAX_QUEUED) {
        conn_lost(c, sent < 0 && sent != UV_EAGAIN ? uv_strerror(sent) : "it does not read");
        return EPC_EIO;
    }
    struct writing *w = malloc(sizeof *w + all);
    if (!w) {
        conn_lost(c, "out of memory"); /* half a message may have gone */
        return EPC_EIO;
    }
    memcpy(w->octets, header, sizeof header);
    memcpy(w->octets + sizeof header, text, n);
    uv_buf_t rest = uv_buf_init(w->octets + done, (unsigned)(all - done));
    if (uv_write(&w->req, s, &rest, 1, on_written) != 0) {
        free(w);
        conn_lost(c, "cannot be written to");
        return EPC_EIO;
    }
    return EPC_OK;
}

/* ---- UDP ------------------------------------------------------------------------------------------ */

static void on_udp_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    const struct h248_udp *u = h->data;
    (void)suggested;
    *buf = uv_buf_init(u->net->buffer, MAX_DATAGRAM);
}

static void on_datagram(uv_udp_t *socket, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
                        unsigned flags)
{
    struct h248_udp *u = socket->data;
    struct h248_path path = {.udp = u};
    if (n <= 0 || !from)
        return; /* ICMP errors: the requests' own time-outs tell */
    set_addr(&path.addr, from);
    if (!u->net->ops->welcome(u->net->arg, &path.addr)) {
        epc_count(EPC_C_IQ_REFUSED);
        return;
    }
    if (flags & UV_UDP_PARTIAL)
        epc_count(EPC_C_GW_MALFORMED);
    else
        u->net->ops->received(u->net->arg, &path, (struct epc_str){buf->base, (size_t)n});
}

static enum epc_err udp_send(struct h248_udp *u, const struct epc_addr *to, const char *text, size_t n)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)text, (unsigned)n);
    char addr[EPC_ADDR_LEN];
    if (n > MAX_UDP_BODY)
        return EPC_ELIMIT;
    int rc = uv_udp_try_send(&u->udp, &buf, 1, (const struct sockaddr *)&to->ss);
    if (rc < 0 && rc != UV_EAGAIN && rc != UV_ECONNREFUSED)
        epc_log(EPC_LOG_WARN, "gateway", "event=iq-send-failed address=%s why=\"%s\"", epc_addr_text(to, addr),
                uv_strerror(rc));
    return rc == UV_EMSGSIZE ? EPC_ELIMIT : EPC_OK;
}

enum epc_err h248_net_send(struct h248_net *net, const struct h248_path *to, const char *text, size_t n)
{
    (void)net;
    epc_count(EPC_C_IQ_MESSAGES_OUT);
    if (to->conn)
        return conn_send(to->conn, text, n);
    return to->udp ? udp_send(to->udp, &to->addr, text, n) : EPC_EIO;
}

/* ---- life --------------------------------------------------------------------------------------------- */

static void on_listener_closed(uv_handle_t *h)
{
    free(h->data);
}

static enum epc_err open_tcp(struct h248_net *net, const struct epc_addr *addr, int *rc)
{
    struct listener *l = calloc(1, sizeof *l);
    if (!l || (*rc = uv_tcp_init(epc_shard_uv(net->sh), &l->tcp)) != 0) {
        free(l);
        return EPC_ENOMEM;
    }
    l->net = net;
    l->tcp.data = l;
    l->next = net->listeners;
    net->listeners = l;
    *rc = uv_tcp_bind(&l->tcp, (const struct sockaddr *)&addr->ss, 0);
    if (*rc == 0)
        *rc = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
    return *rc == 0 ? EPC_OK : EPC_EIO;
}

static enum epc_err open_udp(struct h248_net *net, const struct epc_addr *addr, int *rc)
{
    struct h248_udp *u = calloc(1, sizeof *u);
    if (!u || (*rc = uv_udp_init(epc_shard_uv(net->sh), &u->udp)) != 0) {
        free(u);
        return EPC_ENOMEM;
    }
    u->net = net;
    u->udp.data = u;
    u->next = net->sockets;
    net->sockets = u;
    *rc = uv_udp_bind(&u->udp, (const struct sockaddr *)&addr->ss, 0);
    if (*rc == 0)
        *rc = uv_udp_recv_start(&u->udp, on_udp_alloc, on_datagram);
    return *rc == 0 ? EPC_OK : EPC_EIO;
}

static enum epc_err open_all(struct h248_net *net, const struct epc_cfg_h248 *cfg)
{
    for (size_t i = 0; i < cfg->n_listen; i++) {
        struct epc_addr a;
        bool tcp;
        int rc = 0;
        if (!epc_h248_listen_parse(cfg->listen[i], &a, &tcp))
            return EPC_EINVAL;
        enum epc_err err = tcp ? open_tcp(net, &a, &rc) : open_udp(net, &a, &rc);
        if (err != EPC_OK) {
            epc_log(EPC_LOG_ERROR, "gateway", "event=iq-not-listening at=%s why=\"%s\"", cfg->listen[i],
                    rc ? uv_strerror(rc) : epc_err_name(err));
            return err;
        }
    }
    return EPC_OK;
}

enum epc_err h248_net_create(struct h248_net **out, struct epc_shard *sh, const struct epc_cfg_h248 *cfg,
                             const struct h248_net_ops *ops, void *arg)
{
    struct h248_net *net = calloc(1, sizeof *net);
    if (!net)
        return EPC_ENOMEM;
    net->sh = sh;
    net->ops = ops;
    net->arg = arg;
    net->buffer = malloc(MAX_DATAGRAM);
    enum epc_err err = net->buffer ? open_all(net, cfg) : EPC_ENOMEM;
    if (err == EPC_OK)
        *out = net;
    else
        h248_net_destroy(net);
    return err;
}

void h248_net_destroy(struct h248_net *net)
{
    if (!net)
        return;
    while (net->conns)
        h248_conn_close(net->conns);
    while (net->listeners) {
        struct listener *l = net->listeners;
        net->listeners = l->next;
        uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
    }
    while (net->sockets) {
        struct h248_udp *u = net->sockets;
        net->sockets = u->next;
        uv_close((uv_handle_t *)&u->udp, on_listener_closed);
    }
    free(net->buffer);
    free(net);
}
