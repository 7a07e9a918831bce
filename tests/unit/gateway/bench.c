#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- crossing to the shard ----------------------------------------------------------------------- */

struct crossing {
    struct bench *b;
    void (*fn)(struct bench *b, void *arg);
    void *arg;
    bool ran;
};

static void run_crossing(struct epc_shard *sh, void *arg)
{
    struct crossing *x = arg;
    struct bench *b = x->b;
    (void)sh;
    x->fn(b, x->arg);
    pthread_mutex_lock(&b->m);
    x->ran = true;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->m);
}

static void wait_for(struct bench *b, bool (*there)(struct bench *b, void *arg), void *arg, const char *what)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += BENCH_WAIT_MS / 1000;
    pthread_mutex_lock(&b->m);
    int rc = 0;
    while (!there(b, arg) && rc == 0)
        rc = pthread_cond_timedwait(&b->changed, &b->m, &until);
    bool ok = there(b, arg);
    pthread_mutex_unlock(&b->m);
    if (!ok)
        fail_msg("waited in vain for %s", what);
}

static bool crossing_ran(struct bench *b, void *arg)
{
    (void)b;
    return ((struct crossing *)arg)->ran;
}

void bench_run(struct bench *b, void (*fn)(struct bench *b, void *arg), void *arg)
{
    struct crossing x = {b, fn, arg, false};
    assert_int_equal(epc_shard_post(b->sh, run_crossing, &x), EPC_OK);
    wait_for(b, crossing_ran, &x, "the shard");
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void create_gw(struct bench *b, void *arg)
{
    (void)arg;
    assert_int_equal(epc_gw_create(&b->gw, b->sh, &b->cfg, b->hub), EPC_OK);
}

static void nothing(struct epc_shard *sh, void *arg)
{
    (void)sh;
    (void)arg;
}

void bench_start(struct bench *b, const unsigned *port, uint32_t timeout_ms, uint32_t node_id)
{
    bench_start_with(b, port, timeout_ms, node_id, NULL);
}

void bench_start_with(struct bench *b, const unsigned *port, uint32_t timeout_ms, uint32_t node_id,
                      void (*configure)(struct epc_cfg_media *cfg))
{
    static char access_name[] = "access", core_name[] = "core";
    *b = (struct bench){0};
    pthread_mutex_init(&b->m, NULL);
    pthread_cond_init(&b->changed, NULL);
    for (int c = 0; c < EPC_C_COUNT; c++)
        b->before[c] = epc_counter_read((enum epc_counter)c);
    for (; port[b->cfg.n_rtpengine]; b->cfg.n_rtpengine++)
        assert_int_equal(epc_addr_parse(&b->addr[b->cfg.n_rtpengine], "127.0.0.1",
                                        (uint16_t)port[b->cfg.n_rtpengine]),
                         EPC_OK);
    b->cfg.rtpengine = b->addr;
    b->cfg.access_interface = access_name;
    b->cfg.core_interface = core_name;
    b->cfg.timeout_ms = timeout_ms;
    b->cfg.node_id = node_id;
    if (configure)
        configure(&b->cfg);
    assert_int_equal(epc_gw_hub_create(&b->hub, &b->cfg), EPC_OK);
    struct epc_shard_opts o = {.index = 0, .label = "gw"};
    assert_int_equal(epc_shard_create(&b->sh, &o), EPC_OK);
    assert_int_equal(epc_shard_start(b->sh, nothing, NULL), EPC_OK);
    bench_run(b, create_gw, NULL);
}

static void destroy_gw(struct bench *b, void *arg)
{
    (void)arg;
    epc_gw_destroy(b->gw);
    b->gw = NULL;
    b->ctx = NULL;
}

void bench_destroy_gw(struct bench *b)
{
    bench_run(b, destroy_gw, NULL);
}

int64_t bench_count(const struct bench *b, enum epc_counter c)
{
    return epc_counter_read(c) - b->before[c];
}

void bench_stop(struct bench *b)
{
    bench_destroy_gw(b);
    epc_shard_stop(b->sh, nothing, NULL);
    epc_shard_destroy(b->sh);
    epc_gw_hub_destroy(b->hub);
    for (int i = 0; i < b->n_done; i++)
        free(b->done[i].local);
    pthread_mutex_destroy(&b->m);
    pthread_cond_destroy(&b->changed);
    assert_int_equal(bench_count(b, EPC_C_GW_REQUESTS), bench_count(b, EPC_C_GW_REPLIES) +
                                                            bench_count(b, EPC_C_GW_ERRORS) +
                                                            bench_count(b, EPC_C_GW_TIMEOUTS));
    assert_int_equal(bench_count(b, EPC_C_GW_CONTEXTS), 0);
}

/* ---- the owner of a context -------------------------------------------------------------------------- */

static void on_event(void *arg, const struct epc_gw_event *ev)
{
    struct bench *b = arg;
    bool release = b->release_in_event;
    struct epc_gw_ctx *ctx = b->ctx;
    if (release) {
        b->ctx = NULL;
        epc_gw_release(ctx);
    }
    pthread_mutex_lock(&b->m);
    assert_true(b->n_events < BENCH_MAX);
    b->event[b->n_events++] = *ev;
    if (!release && ctx)
        epc_gw_ctx_view(ctx, &b->view);
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->m);
}

static void on_done(void *arg, enum epc_err err, struct epc_sdp *local, const struct epc_cause *cause)
{
    struct bench_waiter *w = arg;
    struct bench *b = w->b;
    struct epc_buf text = {0};
    struct epc_gw_ctx *ctx = b->ctx;
    assert_true((err == EPC_OK) == (local != NULL));
    if (local)
        assert_int_equal(epc_sdp_print(local, &text), EPC_OK);
    epc_sdp_free(local);
    if (b->release_in_done) {
        b->ctx = NULL;
        epc_gw_release(ctx);
    }
    pthread_mutex_lock(&b->m);
    assert_true(b->n_done < BENCH_MAX);
    int n = b->n_done++;
    if (!b->release_in_done && ctx)
        epc_gw_ctx_view(ctx, &b->view);
    b->done[n].err = err;
    b->done[n].local = epc_buf_take(&text, NULL);
    b->done[n].cause = *cause;
    b->done[n].tag = w->tag;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->m);
}

struct order {
    enum epc_gw_side from;
    const char *sdp, *answer;
    int tag;
};

/* They stay in the bench: operations of a released context never come back. */
static struct bench_waiter *waiter(struct bench *b, int tag)
{
    assert_true(b->n_waiters < EPC_ARRAY_LEN(b->waiter));
    struct bench_waiter *w = &b->waiter[b->n_waiters++];
    *w = (struct bench_waiter){b, tag};
    return w;
}

static void make_ctx(struct bench *b, void *arg)
{
    assert_int_equal(epc_gw_ctx_create(&b->ctx, b->gw, &(struct epc_gw_ctx_opts){.call_id = arg, .event = on_event, .arg = b}), EPC_OK);
}

void bench_ctx(struct bench *b, const char *call_id)
{
    char id[64];
    snprintf(id, sizeof id, "%s", call_id);
    bench_run(b, make_ctx, id);
    memset(id, 'x', sizeof id); /* it is copied */
}

static struct epc_sdp *wanted(const struct bench *b)
{
    return b->want ? sdp_from(b->want) : NULL;
}

static void give_offer(struct bench *b, void *arg)
{
    const struct order *o = arg;
    struct epc_sdp *s = sdp_from(o->sdp), *want = wanted(b);
    int n = b->n_done;
    epc_gw_offer(b->ctx, o->from, &(struct epc_gw_media){.remote = s, .want = want}, on_done, waiter(b, o->tag));
    assert_int_equal(b->n_done, n); /* never inside the call */
    epc_sdp_free(s);
    epc_sdp_free(want);
}

void bench_offer(struct bench *b, enum epc_gw_side from, const char *sdp, int tag)
{
    struct order o = {from, sdp, NULL, tag};
    bench_run(b, give_offer, &o);
}

static void give_answer(struct bench *b, void *arg)
{
    const struct order *o = arg;
    struct epc_sdp *s = sdp_from(o->sdp), *want = wanted(b);
    epc_gw_answer(b->ctx, &(struct epc_gw_media){.remote = s, .want = want}, on_done, waiter(b, o->tag));
    epc_sdp_free(want);
    epc_sdp_free(s);
}

void bench_answer(struct bench *b, const char *sdp, int tag)
{
    struct order o = {EPC_GW_CORE, sdp, NULL, tag};
    bench_run(b, give_answer, &o);
}

static void give_restore(struct bench *b, void *arg)
{
    const struct order *o = arg;
    struct epc_sdp *offer = sdp_from(o->sdp), *answer = sdp_from(o->answer);
    epc_gw_restore(b->ctx, o->from, &(struct epc_gw_media){.remote = offer},
                   &(struct epc_gw_media){.remote = answer});
    epc_sdp_free(offer);
    epc_sdp_free(answer);
}

void bench_restore(struct bench *b, enum epc_gw_side offerer, const char *offer, const char *answer)
{
    struct order o = {offerer, offer, answer, 0};
    bench_run(b, give_restore, &o);
}

static void give_gate(struct bench *b, void *arg)
{
    const bool *open = arg;
    epc_gw_gate(b->ctx, open[EPC_GW_ACCESS], open[EPC_GW_CORE]);
}

void bench_gate(struct bench *b, bool to_access, bool to_core)
{
    bool open[] = {[EPC_GW_ACCESS] = to_access, [EPC_GW_CORE] = to_core};
    bench_run(b, give_gate, open);
}

static void ask_caps(struct bench *b, void *arg)
{
    epc_gw_caps(b->gw, arg);
}

void bench_caps(struct bench *b, struct epc_gw_caps *out)
{
    bench_run(b, ask_caps, out);
}

static void add_line(const char *line, void *arg)
{
    epc_buf_printf(arg, "%s\n", line);
}

static void ask_lines(struct bench *b, void *arg)
{
    epc_gw_each(b->gw, add_line, arg);
}

char *bench_lines(struct bench *b)
{
    struct epc_buf text = {0};
    bench_run(b, ask_lines, &text);
    assert_false(text.failed);
    return epc_buf_take(&text, NULL);
}

static void release(struct bench *b, void *arg)
{
    (void)arg;
    epc_gw_release(b->ctx);
    b->ctx = NULL;
}

void bench_release(struct bench *b)
{
    bench_run(b, release, NULL);
}

/* ---- waiting ---------------------------------------------------------------------------------------------- */

static bool done_there(struct bench *b, void *arg)
{
    return b->n_done >= *(int *)arg;
}

void bench_wait_done(struct bench *b, int n)
{
    wait_for(b, done_there, &n, "a result");
}

static bool events_there(struct bench *b, void *arg)
{
    return b->n_events >= *(int *)arg;
}

void bench_wait_events(struct bench *b, int n)
{
    wait_for(b, events_there, &n, "an event");
}

void bench_wait_count(struct bench *b, enum epc_counter c, int64_t n)
{
    uint64_t until = epc_now_ms() + BENCH_WAIT_MS;
    while (bench_count(b, c) < n) {
        if (epc_now_ms() > until)
            fail_msg("%s stays at %lld", epc_counter_info(c)->name, (long long)bench_count(b, c));
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

void bench_wait_no_contexts(struct bench *b)
{
    uint64_t until = epc_now_ms() + BENCH_WAIT_MS;
    while (bench_count(b, EPC_C_GW_CONTEXTS) > 0) {
        if (epc_now_ms() > until)
            fail_msg("contexts stay");
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

unsigned bench_event_count(struct bench *b)
{
    pthread_mutex_lock(&b->m);
    unsigned n = (unsigned)b->n_events;
    pthread_mutex_unlock(&b->m);
    return n;
}
