#include "ws_server.h"
#include "ws_client.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "/tmp/epc-wss-XXXXXX", certificate[64], key[64];

static bool make(const char *name)
{
    char cmd[512];
    snprintf(cmd, sizeof cmd,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
             " -subj /CN=%s -keyout %s -out %s 2>/dev/null", name, key, certificate);
    return system(cmd) == 0;
}

bool server_make_certificate(void)
{
    if (!mkdtemp(folder))
        return false;
    snprintf(certificate, sizeof certificate, "%s/cert.pem", folder);
    snprintf(key, sizeof key, "%s/key.pem", folder);
    return make("localhost");
}

bool server_renew_certificate(bool good)
{
    return good ? make("renewed") : truncate(certificate, 10) == 0;
}

void server_remove_certificate(void)
{
    unlink(certificate);
    unlink(key);
    rmdir(folder);
}

void server_defaults(struct server *s)
{
    memset(s, 0, sizeof *s);
    pthread_mutex_init(&s->m, NULL);
    pthread_cond_init(&s->c, NULL);
    s->port = ws_free_port();
    if (epc_addr_parse(&s->addr, "127.0.0.1", s->port))
        abort();
    s->origins[0] = (struct epc_cfg_origin){.origin = "https://wwsf.example.com", .wwsf = "w1"};
    s->origins[1] = (struct epc_cfg_origin){.origin = "https://localhost:40947", .wwsf = "w2"};
    s->paths[0] = "/sip";
    s->paths[1] = "/ws";
    s->cfg = (struct epc_cfg_wss){
        .listen = &s->addr, .n_listen = 1, .certificate = certificate, .key = key, .tls_min = "1.2",
        .paths = s->paths, .n_paths = 2, .origins = s->origins, .n_origins = 2,
        .max_message_octets = 65536, .send_queue_octets = 262144, .ping_interval_ms = 60000,
        .pong_timeout_ms = 10000, .handshake_timeout_ms = 10000, .registration_timeout_ms = 60000,
        .max_connections = 100, .max_per_address = 100,
    };
}

static void on_opened(void *arg, struct epc_flow *f)
{
    struct server *s = arg;
    pthread_mutex_lock(&s->m);
    s->opened++;
    s->flow_id = epc_flow_id(f);
    s->origin = epc_flow_origin(f);
    pthread_cond_broadcast(&s->c);
    pthread_mutex_unlock(&s->m);
}

static void on_message(void *arg, struct epc_flow *f, const char *msg, size_t n)
{
    struct server *s = arg;
    pthread_mutex_lock(&s->m);
    s->messages++;
    s->superseded += epc_flow_superseded(f);
    s->last_n = n < sizeof s->last ? n : sizeof s->last;
    memcpy(s->last, msg, s->last_n);
    pthread_cond_broadcast(&s->c);
    pthread_mutex_unlock(&s->m);
    s->in_message = true;
    if (n > 4 && memcmp(msg, "move", 4) == 0) {
        uint64_t id = epc_flow_id(f);
        s->move_result = epc_flow_hand_over(f, s->peer->sh, &s->peer->wss, msg + 4, n - 4);
        if (s->move_result == EPC_OK && epc_wss_flow(s->wss, id))
            abort();
    }
    if (n > 4 && memcmp(msg, "echo", 4) == 0) {
        enum epc_err err = epc_flow_send(f, msg + 4, n - 4);
        if (err != EPC_OK && err != EPC_ENOENT) /* the shard that has the connection may be ending */
            abort();
    }
    if (n == 4 && memcmp(msg, "quit", 4) == 0) {
        if (epc_flow_send(f, "goodbye", 7) != EPC_OK)
            abort();
        epc_flow_close(f, 4000, "asked to");
        if (epc_flow_send(f, "too late", 8) != EPC_ENOENT || epc_wss_flow(s->wss, epc_flow_id(f)))
            abort();
    }
    s->in_message = false;
}

static void on_closed(void *arg, struct epc_flow *f, enum epc_flow_end why)
{
    struct server *s = arg;
    (void)f;
    pthread_mutex_lock(&s->m);
    s->closed++;
    s->why = why;
    s->closed_inside |= s->in_message;
    pthread_cond_broadcast(&s->c);
    pthread_mutex_unlock(&s->m);
}

static void on_start(struct epc_shard *sh, void *arg)
{
    static const struct epc_wss_handler handler = {on_opened, on_message, on_closed};
    struct server *s = arg;
    s->create_result = epc_wss_create(&s->wss, sh, &s->cfg, &handler, s);
}

void server_create(struct server *s, unsigned index)
{
    struct epc_shard_opts o = {.index = index, .label = "shard"};
    if (epc_shard_create(&s->sh, &o))
        abort();
}

void server_start(struct server *s, unsigned index)
{
    if (!s->sh)
        server_create(s, index);
    if (epc_shard_start(s->sh, on_start, s))
        abort();
}

static void on_stop(struct epc_shard *sh, void *arg)
{
    struct server *s = arg;
    (void)sh;
    epc_wss_destroy(s->wss);
    memset(&s->cfg, 0xa5, sizeof s->cfg); /* it may be freed now, so nobody may look at it */
}

void server_halt(struct server *s)
{
    epc_shard_stop(s->sh, on_stop, s);
}

void server_stop(struct server *s)
{
    server_halt(s);
    server_free(s);
}

void server_free(struct server *s)
{
    epc_shard_destroy(s->sh);
    s->over = true;
    pthread_mutex_destroy(&s->m);
    pthread_cond_destroy(&s->c);
}

struct command {
    struct server *s;
    void (*fn)(struct server *s, struct epc_flow *f);
};

static void on_command(struct epc_shard *sh, void *arg)
{
    struct command *c = arg;
    struct server *s = c->s;
    (void)sh;
    c->fn(s, epc_wss_flow(s->wss, s->flow_id));
    pthread_mutex_lock(&s->m);
    s->commands++;
    pthread_cond_broadcast(&s->c);
    pthread_mutex_unlock(&s->m);
}

void server_do(struct server *s, void (*fn)(struct server *s, struct epc_flow *f))
{
    struct command c = {s, fn};
    int before = s->commands;
    if (epc_shard_post(s->sh, on_command, &c) || !server_wait(s, &s->commands, before + 1))
        abort();
}

bool server_wait(struct server *s, const int *counter, int at_least)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += 20;
    pthread_mutex_lock(&s->m);
    while (*counter < at_least && pthread_cond_timedwait(&s->c, &s->m, &t) == 0)
        ;
    bool ok = *counter >= at_least;
    pthread_mutex_unlock(&s->m);
    return ok;
}

int server_count(struct server *s, const int *counter)
{
    if (s->over)
        return *counter;
    pthread_mutex_lock(&s->m);
    int n = *counter;
    pthread_mutex_unlock(&s->m);
    return n;
}
