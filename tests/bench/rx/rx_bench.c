/* rx_bench CONF ours|bare|ours-calls|ours-remembered OUTSTANDING PAIRS: one run, one line of JSON.
 *
 * ours        updates in OUTSTANDING open sessions, each with one AAR under way
 * ours-calls  the same, but each pair opens a session and ends it: an initial AAR and an STR
 * ours-remembered  as ours, with policy.history_sessions at its default
 * bare        the updates' AAR by freeDiameter's functions alone
 * With one outstanding the latency of each pair is kept. */
#include "rx_bench.h"

#include "diameter/diameter.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct run;
struct slot {
    struct run *run;
    struct epc_policy_session *s;
    struct epc_addr ue;
    uint64_t n, sent_us;
};

struct run {
    struct epc_policy_client *client;
    struct epc_shard *shard;
    const struct bench_plan *plan;
    bool calls;
    struct slot *slots;
    uint64_t started, answered, failed;
    uint32_t *latency_us;
    unsigned idle;
    sem_t done;
};

double bench_cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

uint64_t bench_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static struct epc_service_info *component(uint64_t n)
{
    struct epc_service_info *s = calloc(1, sizeof *s);
    struct epc_media_component *c = s ? calloc(1, sizeof *c) : NULL;
    if (!c)
        abort();
    s->webrtc.ice_mode = -1;
    *c = (struct epc_media_component){.number = 1, .type = EPC_MEDIA_AUDIO, .status = EPC_FLOW_ENABLED,
                                      .max_ul_bps = bench_bps(n), .max_dl_bps = bench_bps(n),
                                      .rr_bps = -1, .rs_bps = -1, .n_flows = 1};
    c->flow[0] = (struct epc_media_flow){.number = 1, .status = EPC_FLOW_STATUS_NONE};
    strcpy(c->flow[0].uplink, BENCH_UPLINK);
    strcpy(c->flow[0].downlink, BENCH_DOWNLINK);
    c->codec_data[0] = strdup(BENCH_OFFER);
    c->codec_data[1] = strdup(BENCH_ANSWER);
    s->component = c;
    s->n_components = 1;
    return s;
}

static void next(struct slot *t);

static void open_session(struct slot *t)
{
    struct epc_policy_open o = {.shard = t->run->shard, .impu = "sip:bench@bench.test", .ue = &t->ue,
                                .icid = "bench", .trace_key = "bench", .reservation_priority = -1};
    if (t->run->client->open(t->run->client, &o, &t->s) != EPC_OK)
        abort();
}

static void on_done(void *arg, const struct epc_policy_result *r)
{
    struct slot *t = arg;
    struct run *run = t->run;
    bool first = !run->calls && t->n == 1; /* the initial AAR of an update run is not counted */
    if (r->outcome != EPC_POLICY_GRANTED)
        run->failed++;
    if (!first) {
        if (run->latency_us && run->answered < run->plan->pairs)
            run->latency_us[run->answered] = (uint32_t)(bench_now_us() - t->sent_us);
        run->answered++;
    }
    if (run->calls) {
        run->client->close(t->s);
        t->s = NULL;
    }
    next(t);
}

static void next(struct slot *t)
{
    struct run *run = t->run;
    if (run->started >= run->plan->pairs) {
        if (++run->idle == run->plan->outstanding)
            sem_post(&run->done);
        return;
    }
    if (!t->s)
        open_session(t);
    if (run->calls || t->n > 0)
        run->started++;
    struct epc_service_info *info = component(t->n++);
    t->sent_us = bench_now_us();
    if (run->client->request(t->s, &info, on_done, t) != EPC_OK)
        abort();
}

static void begin(struct epc_shard *sh, void *arg)
{
    struct run *run = arg;
    (void)sh;
    for (unsigned i = 0; i < run->plan->outstanding; i++)
        next(&run->slots[i]);
}

static void end(struct epc_shard *sh, void *arg)
{
    struct run *run = arg;
    (void)sh;
    for (unsigned i = 0; i < run->plan->outstanding; i++)
        if (run->slots[i].s)
            run->client->close(run->slots[i].s);
}

static int ours_run(struct run *run, struct bench_result *r)
{
    char ue[32];
    run->slots = calloc(run->plan->outstanding, sizeof *run->slots);
    run->latency_us = run->plan->latency ? calloc(run->plan->pairs, sizeof *run->latency_us) : NULL;
    sem_init(&run->done, 0, 0);
    for (unsigned i = 0; i < run->plan->outstanding; i++) {
        run->slots[i].run = run;
        snprintf(ue, sizeof ue, "10.45.%u.%u", i / 250, i % 250 + 2);
        if (epc_addr_parse(&run->slots[i].ue, ue, 0) != EPC_OK)
            return -1;
    }
    uint64_t begin_us = bench_now_us();
    double cpu = bench_cpu_s();
    if (epc_shard_post(run->shard, begin, run) != EPC_OK)
        return -1;
    while (sem_wait(&run->done) != 0)
        ;
    *r = (struct bench_result){.pairs = run->answered,
                               .failed = run->failed,
                               .wall_s = (double)(bench_now_us() - begin_us) / 1e6,
                               .cpu_s = bench_cpu_s() - cpu,
                               .latency_us = run->latency_us};
    return 0;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void print(const char *what, const struct bench_plan *plan, const struct bench_result *r)
{
    printf("{\"client\":\"%s\",\"outstanding\":%u,\"pairs\":%llu,\"failed\":%llu,\"wall_s\":%.3f,\"cpu_s\":%.3f,"
           "\"pairs_per_cpu_s\":%.0f,\"pairs_per_s\":%.0f",
           what, plan->outstanding, (unsigned long long)r->pairs, (unsigned long long)r->failed, r->wall_s,
           r->cpu_s, (double)r->pairs / r->cpu_s, (double)r->pairs / r->wall_s);
    if (r->latency_us && r->pairs) {
        qsort(r->latency_us, r->pairs, sizeof *r->latency_us, by_size);
        printf(",\"p50_us\":%u,\"p99_us\":%u,\"p999_us\":%u", r->latency_us[r->pairs / 2],
               r->latency_us[r->pairs * 99 / 100], r->latency_us[r->pairs * 999 / 1000]);
    }
    printf("}\n");
}

static bool peer_opens(struct epc_diameter *d)
{
    for (uint64_t until = epc_now_ms() + 20000; epc_now_ms() < until;) {
        if (epc_diameter_open_peers(d) > 0)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return false;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: rx_bench CONF ours|ours-calls|ours-remembered|bare OUTSTANDING PAIRS\n");
        return 64;
    }
    struct bench_plan plan = {(unsigned)strtoul(argv[3], NULL, 10), strtoull(argv[4], NULL, 10), 0};
    struct epc_cfg_policy cfg = {.mode = EPC_POLICY_REQUIRED, .diameter_config = argv[1],
                                 .destination_realm = (char[]){"bench.test"}, .timeout_ms = 5000,
                                 .af_application_id = (char[]){"bench"}};
    struct epc_shard_opts shard = {.label = "shard0"};
    struct epc_diameter *d;
    struct bench_result r = {0};
    struct run run = {.plan = &plan, .calls = strcmp(argv[2], "ours-calls") == 0};
    if (strcmp(argv[2], "ours-remembered") == 0)
        cfg.history_sessions = 256;
    plan.latency = plan.outstanding == 1;
    epc_log_setup(EPC_LOG_WARN, 2);
    if (strcmp(argv[2], "bare") == 0) {
        int rc = bare_run(argv[1], &plan, &r);
        if (rc == 0)
            print(argv[2], &plan, &r);
        free(r.latency_us);
        return rc ? 1 : 0;
    }
    if (epc_shard_create(&run.shard, &shard) || epc_shard_start(run.shard, NULL, NULL) ||
        epc_diameter_start(&d, &cfg) || !peer_opens(d)) {
        fprintf(stderr, "rx_bench: no peer; look at the peer's log\n");
        return 71;
    }
    run.client = epc_diameter_client(d);
    int rc = ours_run(&run, &r);
    if (rc == 0)
        print(argv[2], &plan, &r);
    epc_shard_stop(run.shard, run.slots ? end : NULL, &run);
    epc_diameter_stop(d);
    epc_shard_destroy(run.shard);
    free(run.slots);
    free(r.latency_us);
    return rc ? 1 : 0;
}
