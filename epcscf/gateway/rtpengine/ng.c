#include "gateway/rtpengine/ng.h"

#include "gateway/rtpengine/bencode.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { FIRST_REPEAT_MS = 250, PING_MS = 2000, MAX_DATAGRAM = 65536, COOKIE_LEN = 40 };

struct ng_instance {
    struct ng *ng;
    struct epc_addr addr;
    char name[EPC_ADDR_LEN];
    uv_udp_t *socket;
    bool up, met; /* met: it has answered at least once */
    unsigned open_pings;
};

struct ng {
    struct epc_shard *sh;
    const struct epc_cfg_media *cfg;
    struct ng_instance *instance;
    size_t n_instances;
    struct epc_hash requests;
    char prefix[17];
    uint64_t next_cookie;
    struct epc_timer ping;
    ng_change_fn *change;
    void *change_arg;
    char *datagram; /* receive buffer */
};

struct ng_request {
    struct epc_hnode node;
    struct ng *ng;
    struct ng_instance *to;
    char cookie[COOKIE_LEN];
    char *packet;
    size_t n;
    char *key;
    uint64_t deadline_ms, wait_ms;
    struct epc_timer timer;
    ng_done_fn *done;
    void *arg;
};

static bool request_eq(const struct epc_hnode *node, const void *key)
{
    const struct epc_str *cookie = key;
    return epc_str_eqc(*cookie, EPC_CONTAINER(node, struct ng_request, node)->cookie);
}

enum epc_err ng_parse(struct epc_str data, struct epc_str *cookie, json_t **reply)
{
    struct epc_str rest = data;
    struct epc_str head = epc_str_cut(&rest, ' ');
    json_error_t error;
    if (!rest.p || head.n == 0 || head.n >= COOKIE_LEN)
        return EPC_EPROTO;
    json_t *j = epc_str_starts(rest, "{") ? json_loadb(rest.p, rest.n, JSON_REJECT_DUPLICATES, &error)
                                          : epc_bencode_get(rest);
    if (!json_is_object(j)) {
        json_decref(j);
        return EPC_EPROTO;
    }
    *cookie = head;
    *reply = j;
    return EPC_OK;
}

static void request_free(struct ng_request *r)
{
    epc_timer_stop(r->ng->sh, &r->timer);
    epc_hash_del(&r->ng->requests, &r->node);
    free(r->packet);
    free(r->key);
    free(r);
}

static void request_end(struct ng_request *r, enum epc_err err, const json_t *reply)
{
    ng_done_fn *done = r->done;
    void *arg = r->arg;
    request_free(r);
    done(arg, err, reply);
}

static void set_up(struct ng_instance *i, bool up)
{
    if (i->up == up && (i->met || !up))
        return;
    if (i->up != up)
        epc_log(up ? EPC_LOG_INFO : EPC_LOG_WARN, "gateway", "event=rtpengine-%s address=%s",
                up ? "answers" : "silent", i->name);
    i->up = up;
    i->met = i->met || up;
    i->ng->change(i->ng->change_arg, (size_t)(i - i->ng->instance), up);
}

static void transmit(struct ng_request *r)
{
    uv_buf_t buf = uv_buf_init(r->packet, (unsigned)r->n);
    /* A refused or full socket is the same as a lost datagram: the repetition covers it. */
    int n = uv_udp_try_send(r->to->socket, &buf, 1, NULL);
    if (n < 0 && n != UV_EAGAIN && n != UV_ECONNREFUSED)
        epc_log(EPC_LOG_WARN, "gateway", "event=send-failed address=%s why=\"%s\"", r->to->name,
                uv_strerror(n));
}

static void on_wait_over(void *arg)
{
    struct ng_request *r = arg;
    uint64_t now = epc_now_ms();
    if (now >= r->deadline_ms) {
        epc_count(EPC_C_GW_TIMEOUTS);
        set_up(r->to, false);
        request_end(r, EPC_ETIMEDOUT, NULL);
        return;
    }
    transmit(r);
    r->wait_ms *= 2;
    uint64_t left = r->deadline_ms - now;
    epc_timer_start(r->ng->sh, &r->timer, r->wait_ms < left ? r->wait_ms : left, on_wait_over, r);
}

/* For people: as JSON. */
static void trace(bool out, const struct ng_instance *i, const char *key, const json_t *message)
{
    char *text = epc_trace_on() ? json_dumps(message, JSON_COMPACT) : NULL;
    if (text)
        epc_trace(EPC_TRACE_IQ, out, i->name, key, text, strlen(text));
    free(text);
}

enum epc_err ng_send(struct ng *ng, struct ng_instance *to, const json_t *command, const char *key,
                     ng_done_fn *done, void *arg)
{
    struct ng_request *r = calloc(1, sizeof *r);
    struct epc_buf packet = {0};
    if (!r)
        return EPC_ENOMEM;
    r->ng = ng;
    r->to = to;
    r->done = done;
    r->arg = arg;
    snprintf(r->cookie, sizeof r->cookie, "%s_%llx", ng->prefix, (unsigned long long)ng->next_cookie++);
    epc_buf_printf(&packet, "%s ", r->cookie);
    epc_bencode_put(&packet, command);
    r->packet = epc_buf_take(&packet, &r->n);
    if (!r->packet) {
        free(r);
        return EPC_ENOMEM;
    }
    r->key = key ? strdup(key) : NULL;
    r->wait_ms = FIRST_REPEAT_MS;
    r->deadline_ms = epc_now_ms() + ng->cfg->timeout_ms;
    epc_hash_add(&ng->requests, &r->node, epc_hash_bytes(r->cookie, strlen(r->cookie)));
    epc_count(EPC_C_GW_REQUESTS);
    if (key)
        trace(true, to, key, command);
    transmit(r);
    epc_timer_start(ng->sh, &r->timer,
                    r->wait_ms < ng->cfg->timeout_ms ? r->wait_ms : ng->cfg->timeout_ms, on_wait_over, r);
    return EPC_OK;
}

/* ---- receiving --------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    const struct ng_instance *i = h->data;
    (void)suggested;
    *buf = uv_buf_init(i->ng->datagram, MAX_DATAGRAM);
}

static void on_datagram(uv_udp_t *socket, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from,
                        unsigned flags)
{
    struct ng_instance *i = socket->data;
    struct epc_str cookie;
    json_t *reply = NULL;
    if (n < 0 || (n == 0 && !from))
        return; /* an ICMP error: the request's own time-out tells */
    if ((flags & UV_UDP_PARTIAL) || ng_parse((struct epc_str){buf->base, (size_t)n}, &cookie, &reply)) {
        epc_count(EPC_C_GW_MALFORMED);
        epc_log(EPC_LOG_WARN, "gateway", "event=malformed-datagram address=%s octets=%zd", i->name, n);
        return;
    }
    struct epc_hnode *node = epc_hash_find(&i->ng->requests, epc_hash_bytes(cookie.p, cookie.n), &cookie);
    if (node) { /* else the reply to a repetition: the first one counted */
        struct ng_request *r = EPC_CONTAINER(node, struct ng_request, node);
        const char *result = json_string_value(json_object_get(reply, "result"));
        bool bad = !result || strcmp(result, "error") == 0;
        epc_count(bad ? EPC_C_GW_ERRORS : EPC_C_GW_REPLIES);
        if (r->key)
            trace(false, i, r->key, reply);
        set_up(i, true);
        request_end(r, EPC_OK, reply);
    }
    json_decref(reply);
}

/* ---- liveness ------------------------------------------------------------------------------------ */

static void on_pong(void *arg, enum epc_err err, const json_t *reply)
{
    struct ng_instance *i = arg;
    (void)err;
    (void)reply;
    i->open_pings--;
}

static void on_ping_time(void *arg)
{
    struct ng *ng = arg;
    json_t *ping = json_pack("{s:s}", "command", "ping");
    for (size_t k = 0; ping && k < ng->n_instances; k++) {
        struct ng_instance *i = &ng->instance[k];
        if (i->open_pings == 0 && ng_send(ng, i, ping, NULL, on_pong, i) == EPC_OK)
            i->open_pings++;
    }
    json_decref(ping);
    epc_timer_start(ng->sh, &ng->ping, PING_MS, on_ping_time, ng);
}

struct ng_instance *ng_instance_at(struct ng *ng, size_t i)
{
    return i < ng->n_instances ? &ng->instance[i] : NULL;
}

const char *ng_instance_name(const struct ng_instance *i)
{
    return i->name;
}

bool ng_answers(const struct ng_instance *i)
{
    return i->up;
}

/* ---- life -------------------------------------------------------------------------------------------- */

static void on_socket_closed(uv_handle_t *h)
{
    free(h);
}

static enum epc_err open_socket(struct ng_instance *i)
{
    i->socket = calloc(1, sizeof *i->socket);
    if (!i->socket)
        return EPC_ENOMEM;
    int rc = uv_udp_init(epc_shard_uv(i->ng->sh), i->socket);
    if (rc != 0) {
        free(i->socket);
        i->socket = NULL;
        return EPC_EIO;
    }
    i->socket->data = i;
    rc = uv_udp_connect(i->socket, (const struct sockaddr *)&i->addr.ss);
    if (rc == 0)
        rc = uv_udp_recv_start(i->socket, on_alloc, on_datagram);
    if (rc == 0)
        return EPC_OK;
    epc_log(EPC_LOG_ERROR, "gateway", "event=socket-failed address=%s why=\"%s\"", i->name, uv_strerror(rc));
    return EPC_EIO;
}

enum epc_err ng_create(struct ng **out, struct epc_shard *sh, const struct epc_cfg_media *cfg, ng_change_fn *change,
                       void *arg)
{
    struct ng *ng = calloc(1, sizeof *ng);
    enum epc_err err = EPC_ENOMEM;
    if (!ng)
        return EPC_ENOMEM;
    ng->sh = sh;
    ng->cfg = cfg;
    ng->change = change;
    ng->change_arg = arg;
    ng->datagram = malloc(MAX_DATAGRAM);
    ng->instance = calloc(cfg->n_rtpengine, sizeof *ng->instance);
    epc_random_hex(ng->prefix, 8);
    if (cfg->n_rtpengine == 0 || !ng->datagram || !ng->instance ||
        epc_hash_init(&ng->requests, request_eq) != EPC_OK)
        goto out;
    for (size_t k = 0; k < cfg->n_rtpengine; k++) {
        struct ng_instance *i = &ng->instance[k];
        ng->n_instances = k + 1;
        i->ng = ng;
        i->up = true;
        i->addr = cfg->rtpengine[k];
        epc_addr_text(&i->addr, i->name);
        err = open_socket(i);
        if (err != EPC_OK)
            goto out;
    }
    epc_timer_start(sh, &ng->ping, 0, on_ping_time, ng);
    *out = ng;
    return EPC_OK;
out:
    ng_destroy(ng);
    return err;
}

static void drop_request(struct epc_hnode *node, void *arg)
{
    (void)arg;
    epc_count(EPC_C_GW_TIMEOUTS);
    request_free(EPC_CONTAINER(node, struct ng_request, node));
}

void ng_destroy(struct ng *ng)
{
    if (!ng)
        return;
    epc_timer_stop(ng->sh, &ng->ping);
    if (ng->requests.slot)
        epc_hash_each(&ng->requests, drop_request, NULL);
    epc_hash_free(&ng->requests);
    for (size_t k = 0; k < ng->n_instances; k++)
        if (ng->instance[k].socket) {
            uv_udp_recv_stop(ng->instance[k].socket);
            uv_close((uv_handle_t *)ng->instance[k].socket, on_socket_closed);
        }
    free(ng->instance);
    free(ng->datagram);
    free(ng);
}
