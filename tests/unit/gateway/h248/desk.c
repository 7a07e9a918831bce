#include "desk.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* An address of loopback that no other process uses: tests run side by side. */
static void own_host(char *out, size_t n)
{
    unsigned pid = (unsigned)getpid();
    snprintf(out, n, "127.%u.%u.%u", pid >> 14 & 255, pid >> 6 & 255, (pid & 63) << 2 | 1);
}

void desk_init(struct desk *d, size_t n_shards)
{
    *d = (struct desk){.n_shards = n_shards};
    pthread_mutex_init(&d->m, NULL);
    for (int c = 0; c < EPC_C_COUNT; c++)
        d->before[c] = epc_counter_read((enum epc_counter)c);
    own_host(d->host, sizeof d->host);
    snprintf(d->listen_text[0], sizeof d->listen_text[0], "tcp:%s:%d", d->host, MG_PORT);
    snprintf(d->listen_text[1], sizeof d->listen_text[1], "udp:%s:%d", d->host, MG_PORT);
    d->listen[0] = d->listen_text[0];
    d->listen[1] = d->listen_text[1];
    snprintf(d->mid, sizeof d->mid, "<mgc.test>:2944");
    snprintf(d->profile, sizeof d->profile, "threegiq/4");
    static char any[] = "127.0.0.0/8";
    d->gateway[0] = (struct epc_cfg_h248_gateway){.network = any, .weight = 10};
    d->cfg.timeout_ms = 20000;
    d->cfg.h248 = (struct epc_cfg_h248){
        .listen = d->listen, .n_listen = 2, .mid = d->mid, .gateways = d->gateway, .n_gateways = 1, .version = 2,
        .profile = d->profile, .retransmit_ms = 50, .retransmit_max_ms = 400, .retransmit_tries = 7,
        .long_timer_ms = 30000, .pending_ms = 1000, .pending_limit = 3, .audit_interval_ms = 60000,
        .audit_misses = 2, .recovery_ms = 60000, .avoid_ms = 60000, .max_contexts = 100};
}

/* ---- what the clients see ---------------------------------------------------------------------------------- */

static void note(struct desk *d, struct desk_event e)
{
    pthread_mutex_lock(&d->m);
    assert_true(d->n_events < DESK_MAX);
    d->event[d->n_events++] = e;
    pthread_mutex_unlock(&d->m);
}

struct seat {
    struct desk *d;
    size_t shard;
};
static struct seat seats[DESK_SHARDS];

static unsigned on_notify(void *arg, unsigned mg, uint32_t context, const struct epc_h248_command *cmd)
{
    const struct seat *s = arg;
    assert_int_equal(cmd->kind, EPC_H248_NOTIFY);
    note(s->d, (struct desk_event){DESK_NOTIFY, mg, context, s->shard});
    return s->d->notify_code;
}

static void on_change(void *arg, unsigned mg, uint32_t context, const struct epc_h248_command *cmd)
{
    const struct seat *s = arg;
    assert_int_equal(cmd->kind, EPC_H248_SERVICE_CHANGE);
    note(s->d, (struct desk_event){DESK_CHANGE, mg, context, s->shard});
}

static void on_gone(void *arg, unsigned mg, uint32_t context)
{
    const struct seat *s = arg;
    note(s->d, (struct desk_event){DESK_GONE, mg, context, s->shard});
}

static void on_lost(void *arg, unsigned mg)
{
    const struct seat *s = arg;
    note(s->d, (struct desk_event){DESK_LOST, mg, 0, s->shard});
}

static const struct h248_client_ops client_ops = {on_notify, on_change, on_gone, on_lost};

static void on_start(struct epc_shard *sh, void *arg)
{
    struct seat *s = arg;
    assert_int_equal(h248_client_create(&s->d->client[s->shard], s->d->hub, sh, &s->d->cfg, &client_ops, s), EPC_OK);
}

static void on_stop(struct epc_shard *sh, void *arg)
{
    struct seat *s = arg;
    (void)sh;
    h248_client_destroy(s->d->client[s->shard]);
}

void desk_start(struct desk *d)
{
    assert_int_equal(h248_hub_create(&d->hub, &d->cfg), EPC_OK);
    for (size_t i = 0; i < d->n_shards; i++) {
        struct epc_shard_opts o = {.index = (unsigned)i, .label = i ? "iq1" : "iq0"};
        assert_int_equal(epc_shard_create(&d->sh[i], &o), EPC_OK);
    }
    for (size_t i = 0; i < d->n_shards; i++) {
        seats[i] = (struct seat){d, i};
        assert_int_equal(epc_shard_start(d->sh[i], on_start, &seats[i]), EPC_OK);
    }
    d->started = true;
}

/* The sums of counters.def, whatever the test did. */
static void check_sums(const struct desk *d)
{
    assert_int_equal(desk_count(d, EPC_C_GW_REQUESTS), desk_count(d, EPC_C_GW_REPLIES) +
                                                           desk_count(d, EPC_C_GW_ERRORS) +
                                                           desk_count(d, EPC_C_GW_TIMEOUTS));
    assert_int_equal(desk_count(d, EPC_C_IQ_GATEWAYS), 0);
    assert_int_equal(desk_count(d, EPC_C_IQ_GATEWAYS_UP), 0);
    assert_int_equal(desk_count(d, EPC_C_IQ_LINKS), 0);
}

static void *stop_shards(void *arg)
{
    struct desk *d = arg;
    for (size_t i = d->n_shards; d->started && i-- > 0;)
        epc_shard_stop(d->sh[i], on_stop, &seats[i]);
    return NULL;
}

void desk_stop_begin(struct desk *d)
{
    assert_int_equal(pthread_create(&d->stopper, NULL, stop_shards, d), 0);
}

void desk_stop_end(struct desk *d)
{
    assert_int_equal(pthread_join(d->stopper, NULL), 0);
    for (size_t i = 0; i < d->n_shards; i++)
        epc_shard_destroy(d->sh[i]);
    d->hub->destroy(d->hub);
    pthread_mutex_destroy(&d->m);
    check_sums(d);
}

void desk_stop(struct desk *d)
{
    desk_stop_begin(d);
    desk_stop_end(d);
}

/* ---- requests ------------------------------------------------------------------------------------------------- */

struct order {
    struct desk *d;
    size_t shard;
    unsigned mg;
    const char *actions;
    int tag;
    uint64_t handle;
    uint32_t context;
    void (*fn)(struct order *o);
    bool ran;
};

static void on_done(void *arg, enum epc_err err, const struct h248_reply *r)
{
    const struct desk_asked *a = arg;
    struct desk *d = a->d;
    struct desk_result res = {.err = err, .mg = r->mg, .error = r->error, .tag = a->tag};
    snprintf(res.mg_name, sizeof res.mg_name, "%s", r->mg_name);
    if (r->reply) {
        res.n_actions = (unsigned)r->reply->n_actions;
        res.context = r->reply->n_actions ? r->reply->action[0].context : 0;
    }
    pthread_mutex_lock(&d->m);
    assert_true(d->n_results < DESK_MAX);
    d->result[d->n_results++] = res;
    pthread_mutex_unlock(&d->m);
}

static void run_order(struct epc_shard *sh, void *arg)
{
    struct order *o = arg;
    (void)sh;
    o->fn(o);
    pthread_mutex_lock(&o->d->m);
    o->ran = true;
    pthread_mutex_unlock(&o->d->m);
}

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

static void on_shard(struct order *o)
{
    bool ran = false;
    assert_int_equal(epc_shard_post(o->d->sh[o->shard], run_order, o), EPC_OK);
    while (!ran) {
        pause_ms(1);
        pthread_mutex_lock(&o->d->m);
        ran = o->ran;
        pthread_mutex_unlock(&o->d->m);
    }
}

static void do_request(struct order *o)
{
    struct epc_h248_message *msg = NULL;
    struct epc_h248_fault f = {0};
    assert_true(o->d->n_asked < DESK_MAX);
    struct desk_asked *a = &o->d->asked[o->d->n_asked++];
    struct h248_request_opts opts = {.mg = o->mg, .key = "call@test", .emergency = o->d->emergency};
    *a = (struct desk_asked){o->d, o->tag};
    if (epc_h248_parse_actions(&msg, epc_str_c(o->actions), 2, &f) != EPC_OK)
        fail_msg("%s: %s", o->actions, f.why);
    int before = o->d->n_results;
    assert_int_equal(h248_request(o->d->client[o->shard], &opts, &msg, on_done, a, &o->handle), EPC_OK);
    assert_null(msg);
    if (o->d->n_shards == 1)
        assert_int_equal(o->d->n_results, before); /* never inside the call */
}

uint64_t desk_request(struct desk *d, size_t shard, unsigned mg, const char *actions, int tag)
{
    struct order o = {.d = d, .shard = shard, .mg = mg, .actions = actions, .tag = tag, .fn = do_request};
    on_shard(&o);
    return o.handle;
}

static void do_block(struct order *o)
{
    pthread_mutex_lock(&o->d->m);
    o->d->blocked = true;
    pthread_mutex_unlock(&o->d->m);
}

static void hold(struct epc_shard *sh, void *arg)
{
    struct desk *d = arg;
    (void)sh;
    for (bool blocked = true; blocked; pause_ms(1)) {
        pthread_mutex_lock(&d->m);
        blocked = d->blocked;
        pthread_mutex_unlock(&d->m);
    }
}

void desk_block(struct desk *d, size_t shard)
{
    struct order o = {.d = d, .shard = shard, .fn = do_block};
    on_shard(&o);
    assert_int_equal(epc_shard_post(d->sh[shard], hold, d), EPC_OK);
}

void desk_unblock(struct desk *d)
{
    pthread_mutex_lock(&d->m);
    d->blocked = false;
    pthread_mutex_unlock(&d->m);
}

static void do_forget(struct order *o)
{
    h248_forget(o->d->client[o->shard], o->handle);
}

void desk_forget(struct desk *d, size_t shard, uint64_t handle)
{
    struct order o = {.d = d, .shard = shard, .handle = handle, .fn = do_forget};
    on_shard(&o);
}

static void do_ended(struct order *o)
{
    h248_context_ended(o->d->client[o->shard], o->mg, o->context);
}

void desk_context_ended(struct desk *d, size_t shard, unsigned mg, uint32_t context)
{
    struct order o = {.d = d, .shard = shard, .mg = mg, .context = context, .fn = do_ended};
    on_shard(&o);
}

/* ---- waiting ------------------------------------------------------------------------------------------------------ */

struct desk_result desk_result_at(struct desk *d, int n)
{
    uint64_t until = epc_now_ms() + MG_WAIT_MS;
    for (;;) {
        pthread_mutex_lock(&d->m);
        bool there = d->n_results > n;
        struct desk_result r = d->result[n];
        pthread_mutex_unlock(&d->m);
        if (there)
            return r;
        if (epc_now_ms() > until)
            fail_msg("waited in vain for result %d", n);
        pause_ms(2);
    }
}

struct desk_event desk_event_at(struct desk *d, int n)
{
    uint64_t until = epc_now_ms() + MG_WAIT_MS;
    for (;;) {
        pthread_mutex_lock(&d->m);
        bool there = d->n_events > n;
        struct desk_event e = d->event[n];
        pthread_mutex_unlock(&d->m);
        if (there)
            return e;
        if (epc_now_ms() > until)
            fail_msg("waited in vain for event %d", n);
        pause_ms(2);
    }
}

static int locked(struct desk *d, const int *n)
{
    pthread_mutex_lock(&d->m);
    int v = *n;
    pthread_mutex_unlock(&d->m);
    return v;
}

int desk_n_results(struct desk *d)
{
    return locked(d, &d->n_results);
}

int desk_n_events(struct desk *d)
{
    return locked(d, &d->n_events);
}

int64_t desk_count(const struct desk *d, enum epc_counter c)
{
    return epc_counter_read(c) - d->before[c];
}

void desk_wait_count(struct desk *d, enum epc_counter c, int64_t n)
{
    uint64_t until = epc_now_ms() + MG_WAIT_MS;
    while (desk_count(d, c) < n) {
        if (epc_now_ms() > until)
            fail_msg("%s stays at %lld", epc_counter_info(c)->name, (long long)desk_count(d, c));
        pause_ms(2);
    }
}

struct facts {
    unsigned want, at;
    char *out;
    size_t n;
};

static void take_line(const char *line, void *arg)
{
    struct facts *f = arg;
    if (++f->at == f->want)
        snprintf(f->out, f->n, "%s", line);
}

void desk_facts(struct desk *d, unsigned mg, char *out, size_t n)
{
    struct facts f = {mg, 0, out, n};
    out[0] = 0;
    h248_each(d->client[0], take_line, &f);
}

void desk_wait_fact(struct desk *d, unsigned mg, const char *part, struct mg *serve)
{
    char line[1024];
    uint64_t until = epc_now_ms() + MG_WAIT_MS;
    for (;;) {
        desk_facts(d, mg, line, sizeof line);
        if (strstr(line, part))
            return;
        if (epc_now_ms() > until)
            fail_msg("waited in vain for %s; it is: %s", part, line);
        if (serve && serve->fd >= 0) {
            if (mg_hear(serve, 2))
                fail_msg("only audits were expected, but\n%s", serve->text);
        } else {
            pause_ms(2);
        }
    }
}
