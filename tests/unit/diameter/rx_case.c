#include "rx_case.h"

#include <semaphore.h>
#include <time.h>

#ifndef OTHER_DICTIONARIES
#define OTHER_DICTIONARIES 0
#endif

struct rx_case t;

/* ---- helpers --------------------------------------------------------------------------------------- */

void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

struct errand {
    void (*fn)(void *arg);
    void *arg;
    sem_t done;
};

static void do_errand(struct epc_shard *sh, void *arg)
{
    struct errand *e = arg;
    (void)sh;
    e->fn(e->arg);
    sem_post(&e->done);
}

void on_shard(void (*fn)(void *arg), void *arg)
{
    struct errand e = {.fn = fn, .arg = arg};
    sem_init(&e.done, 0, 0);
    assert_int_equal(epc_shard_post(t.shard, do_errand, &e), EPC_OK);
    while (sem_wait(&e.done) != 0)
        ;
    sem_destroy(&e.done);
}

void close_call(void *arg)
{
    struct call *c = arg;
    epc_diameter_client(t.d)->close(c->s);
    c->s = NULL;
}

static void on_done(void *arg, const struct epc_policy_result *r)
{
    struct call *c = arg;
    int i = atomic_load(&c->n_results);
    c->result[i % MAX_RESULTS] = *r;
    if (c->close_in_callback)
        close_call(c);
    atomic_store(&c->n_results, i + 1);
}

static void on_event(void *arg, const struct epc_policy_event *ev)
{
    struct call *c = arg;
    int i = atomic_load(&c->n_events);
    c->event[i % MAX_RESULTS] = *ev;
    if (ev->access)
        c->access[i % MAX_RESULTS] = *ev->access;
    if (ev->charging)
        c->charging[i % MAX_RESULTS] = *ev->charging;
    atomic_store(&c->n_events, i + 1);
}

void open_call(void *arg)
{
    struct call *c = arg;
    struct epc_addr ue;
    assert_int_equal(epc_addr_parse(&ue, c->ue ? c->ue : "10.45.0.2", 0), EPC_OK);
    struct epc_policy_open o = c->with;
    o.shard = t.shard;
    o.impu = c->impu ? c->impu : "sip:alice@ims.test";
    o.ue = &ue;
    o.icid = "icid-4711";
    o.trace_key = "call-1@wic";
    o.reservation_priority--; /* so that 0 in a test means none */
    o.on_event = on_event;
    o.arg = c;
    assert_int_equal(epc_diameter_client(t.d)->open(epc_diameter_client(t.d), &o, &c->s), EPC_OK);
}

void send_all(void *arg)
{
    struct call *c = arg;
    for (size_t i = 0; i < c->n_info; i++) {
        assert_int_equal(epc_diameter_client(t.d)->request(c->s, &c->info[i], on_done, c), EPC_OK);
        assert_null(c->info[i]);
    }
    c->n_info = 0;
}

void component(struct epc_media_component *c, unsigned number, enum epc_media_type type,
                      int64_t bps, unsigned agw_port, unsigned ue_port)
{
    *c = (struct epc_media_component){
        .number = number, .type = type, .status = EPC_FLOW_ENABLED, .max_ul_bps = bps,
        .max_dl_bps = bps, .rr_bps = -1, .rs_bps = -1, .n_flows = 1};
    c->flow[0] = (struct epc_media_flow){.number = 1, .status = EPC_FLOW_STATUS_NONE};
    snprintf(c->flow[0].uplink, sizeof c->flow[0].uplink,
             "permit in 17 from 10.45.0.2 to 198.51.100.20 %u", agw_port);
    if (ue_port)
        snprintf(c->flow[0].downlink, sizeof c->flow[0].downlink,
                 "permit out 17 from 198.51.100.20 to 10.45.0.2 %u", ue_port);
}

/* An audio and a video component, before ICE: the video port of the WIC is not known. */
struct epc_service_info *audio_video(void)
{
    struct epc_service_info *s = calloc(1, sizeof *s);
    s->component = calloc(3, sizeof *s->component);
    s->n_components = 3;
    component(&s->component[0], 1, EPC_MEDIA_AUDIO, 84000, 40000, 54321);
    s->component[0].codec_data[0] = strdup("uplink\noffer\nm=audio 54321 UDP/TLS/RTP/SAVPF 111\n"
                                           "a=rtpmap:111 opus/48000/2\n");
    s->component[0].codec_data[1] = strdup("downlink\nanswer\nm=audio 40000 UDP/TLS/RTP/SAVPF 0\n");
    component(&s->component[1], 2, EPC_MEDIA_VIDEO, 1575000, 40002, 0);
    s->component[2] = (struct epc_media_component){
        .number = 3, .type = EPC_MEDIA_APPLICATION, .status = EPC_FLOW_REMOVED, .max_ul_bps = -1,
        .max_dl_bps = -1, .rr_bps = -1, .rs_bps = -1};
    return s;
}

struct epc_service_info *video_update(void)
{
    struct epc_service_info *s = calloc(1, sizeof *s);
    s->component = calloc(1, sizeof *s->component);
    s->n_components = 1;
    component(&s->component[0], 2, EPC_MEDIA_VIDEO, 1575000, 40002, 54987);
    return s;
}

void ask(struct call *c)
{
    on_shard(open_call, c);
    if (!c->n_info)
        c->info[c->n_info++] = audio_video();
    on_shard(send_all, c);
}

/* Is the PCRF left alone for a while? */
bool avoided(void)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    epc_diameter_print_peers(t.d, f);
    fclose(f);
    bool is = strstr(text, "avoided=") != NULL;
    free(text);
    return is;
}

int count(const char *dir, const char *command)
{
    json_t *all = pcrf_peer_record(&t.pcrf), *m;
    size_t i;
    int n = 0;
    json_array_foreach(all, i, m)
        n += strcmp(json_string_value(json_object_get(m, "dir")), dir) == 0 &&
             strcmp(json_string_value(json_object_get(m, "command")), command) == 0;
    json_decref(all);
    return n;
}

/* The last message of that kind; *all keeps it alive. */
json_t *last(json_t **all, const char *command)
{
    json_t *m, *found = NULL;
    size_t i;
    *all = pcrf_peer_record(&t.pcrf);
    json_array_foreach(*all, i, m)
        if (strcmp(json_string_value(json_object_get(m, "command")), command) == 0)
            found = json_object_get(m, "avps");
    assert_non_null(found);
    return found;
}

void nothing_left(void)
{
    UNTIL(epc_counter_read(EPC_C_RX_SESSIONS) == 0);
    UNTIL(pcrf_peer_sessions(&t.pcrf) == 0);
}

void fresh(const char *rules)
{
    pcrf_peer_rules(&t.pcrf, rules);
    char path[128];
    snprintf(path, sizeof path, "%s/rx.jsonl", t.pcrf.dir);
    if (truncate(path, 0) != 0)
        perror(path);
}

const struct epc_policy_result *tell(struct call *c, struct epc_service_info *info)
{
    int before = atomic_load(&c->n_results);
    c->info[c->n_info++] = info;
    on_shard(send_all, c);
    UNTIL(atomic_load(&c->n_results) == before + 1);
    return &c->result[before % MAX_RESULTS];
}

struct epc_service_info *one_component(unsigned number, enum epc_media_type type, int64_t bps)
{
    struct epc_service_info *s = calloc(1, sizeof *s);
    s->component = calloc(1, sizeof *s->component);
    s->n_components = 1;
    s->webrtc.ice_mode = -1;
    component(&s->component[0], number, type, bps, 40000 + 2 * number, 54000 + 2 * number);
    return s;
}

int count_avps(const json_t *avps, const char *name)
{
    const json_t *a;
    size_t i;
    int n = 0;
    json_array_foreach(avps, i, a)
        n += strcmp(json_string_value(json_object_get(a, "name")), name) == 0;
    return n;
}

static void strip(json_t *avps)
{
    size_t i;
    json_t *a;
    json_array_foreach(avps, i, a) {
        const char *name = json_string_value(json_object_get(a, "name"));
        if (strcmp(name, "Session-Id") == 0 || strcmp(name, "Origin-State-Id") == 0)
            json_object_del(a, "value");
    }
}

void golden(const char *file, json_t *avps)
{
    char path[256];
    snprintf(path, sizeof path, EPC_TEST_DIR "/unit/diameter/%s", file);
    json_t *want = json_load_file(path, 0, NULL);
    strip(avps);
    if (!want || !json_equal(want, avps)) {
        if (getenv("EPC_GOLDEN")) /* to look at the difference in the working copy */
            json_dump_file(avps, path, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
        fprintf(stderr, "%s: not as expected; got\n", path);
        json_dumpf(avps, stderr, JSON_INDENT(1));
        fail_msg("%s", path);
    }
    json_decref(want);
}

/* ---- set-up ---------------------------------------------------------------------------------------- */

int rx_set_up(void **state)
{
    (void)state;
    epc_log_setup(getenv("EPC_VERBOSE") ? EPC_LOG_DEBUG : EPC_LOG_ERROR, STDERR_FILENO);
    if (getenv("EPC_TRACE"))
        epc_trace_setup(STDERR_FILENO);
    if (!pcrf_peer_prepare(&t.pcrf, OTHER_DICTIONARIES) || !pcrf_peer_start(&t.pcrf))
        return -1;
    struct epc_shard_opts o = {.index = 3, .label = "shard3", .max_connections = 64};
    if (epc_shard_create(&t.shard, &o) || epc_shard_start(t.shard, NULL, NULL))
        return -1;
    t.cfg.diameter_config = t.pcrf.node_conf;
    t.cfg.destination_realm = (char[]){"ims.test"};
    t.cfg.timeout_ms = t.cfg.timeout_ms ? t.cfg.timeout_ms : 2000;
    t.cfg.history_sessions = 64;
    t.cfg.af_application_id = (char[]){"urn:urn-7:3gpp-service.ims.icsi.mmtel"};
    if (epc_diameter_start(&t.d, &t.cfg))
        return -1;
    for (uint64_t until = epc_now_ms() + 20000; epc_diameter_open_peers(t.d) == 0;) {
        if (epc_now_ms() > until) {
            fprintf(stderr, "the PCRF never came up; EPC_KEEP=1 keeps its log\n");
            return -1;
        }
        nap();
    }
    return 0;
}

int rx_tear_down(void **state)
{
    (void)state;
    epc_shard_stop(t.shard, NULL, NULL);
    epc_diameter_stop(t.d);
    t.d = NULL;
    epc_shard_destroy(t.shard);
    pcrf_peer_end(&t.pcrf);
    return 0;
}
