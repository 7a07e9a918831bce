/* The node's side of the library's exchanges: the Rx client as the daemon has it, moved by the lines
 * {"node": ...} of the files (README.md). Says each line that did not come true, and exits with 1.
 *   replay_node FREEDIAMETER_CONF RECORD|- FILE... */
#include "diameter/diameter.h"

#include <jansson.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* libfdcore never frees the list of its trust anchors. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:gnutls_x509_crt_list_import2\n";
}

enum { WAIT_MS = 15000, MAX_HEARD = 32 };

struct heard_event {
    struct epc_policy_event ev;
    struct epc_policy_access access;
    bool has_access, has_charging;
};
/* One session. Written on the shard; the counts are read by the main thread. */
struct call {
    struct epc_policy_session *s;
    _Atomic int n_results, n_events;
    struct epc_policy_result result[MAX_HEARD];
    struct heard_event event[MAX_HEARD];
    int results_seen, events_seen;
};
struct node {
    struct epc_diameter *d;
    struct epc_shard *shard;
    struct call call;
    const char *file;
    size_t line;
    int faults;
};

static void fault(struct node *n, const char *what, const char *detail)
{
    n->faults++;
    fprintf(stderr, "%s:%zu: node: %s %s\n", n->file, n->line, what, detail ? detail : "");
}

static bool until(struct node *n, bool (*is)(struct node *n))
{
    uint64_t deadline = epc_now_ms() + WAIT_MS;
    while (!is(n)) {
        if (epc_now_ms() > deadline)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    return true;
}

/* ---- on the shard ------------------------------------------------------------------------------------- */

struct errand {
    struct node *n;
    const json_t *line;
    void (*fn)(struct node *n, const json_t *line);
    sem_t done;
};

static void do_errand(struct epc_shard *sh, void *arg)
{
    struct errand *e = arg;
    (void)sh;
    e->fn(e->n, e->line);
    sem_post(&e->done);
}

static void on_shard(struct node *n, void (*fn)(struct node *n, const json_t *line), const json_t *line)
{
    struct errand e = {.n = n, .line = line, .fn = fn};
    sem_init(&e.done, 0, 0);
    if (epc_shard_post(n->shard, do_errand, &e) != EPC_OK)
        abort();
    while (sem_wait(&e.done) != 0)
        ;
    sem_destroy(&e.done);
}

static void on_done(void *arg, const struct epc_policy_result *r)
{
    struct call *c = arg;
    int i = atomic_load(&c->n_results);
    c->result[i % MAX_HEARD] = *r;
    atomic_store(&c->n_results, i + 1);
}

static void on_event(void *arg, const struct epc_policy_event *ev)
{
    struct call *c = arg;
    int i = atomic_load(&c->n_events);
    struct heard_event *h = &c->event[i % MAX_HEARD];
    *h = (struct heard_event){.ev = *ev, .has_access = ev->access, .has_charging = ev->charging};
    if (ev->access)
        h->access = *ev->access;
    atomic_store(&c->n_events, i + 1);
}

static const char *text(const json_t *o, const char *key, const char *otherwise)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : otherwise;
}

static void open_call(struct node *n, const json_t *l)
{
    struct epc_addr ue;
    struct epc_policy_client *client = epc_diameter_client(n->d);
    if (epc_addr_parse(&ue, text(l, "ue", "10.45.0.2"), 0))
        abort();
    struct epc_policy_open o = {.shard = n->shard,
                                .impu = text(l, "impu", "sip:alice@ims.test"),
                                .ue = &ue,
                                .icid = "icid-4711",
                                .trace_key = "call-1@wic",
                                .service_urn = text(l, "service_urn", NULL),
                                .signalling = json_is_true(json_object_get(l, "signalling")),
                                .want_access_info = json_is_true(json_object_get(l, "want_access_info")),
                                .reservation_priority = -1,
                                .on_event = on_event,
                                .arg = &n->call};
    if (client->open(client, &o, &n->call.s) != EPC_OK)
        abort();
}

static void component(struct epc_media_component *c, const json_t *m)
{
    static const char *const types[] = {"audio", "video", "data", "application", "control", "text", "message"};
    static const char *const states[] = {"uplink", "downlink", "enabled", "disabled", "removed"};
    const char *agw = text(m, "agw", NULL), *ue = text(m, "ue", NULL);
    int64_t bps = json_is_integer(json_object_get(m, "bps")) ? json_integer_value(json_object_get(m, "bps")) : -1;
    *c = (struct epc_media_component){.number = (unsigned)json_integer_value(json_object_get(m, "number")),
                                      .type = EPC_MEDIA_OTHER, .status = EPC_FLOW_ENABLED, .max_ul_bps = bps,
                                      .max_dl_bps = bps, .rr_bps = -1, .rs_bps = -1};
    for (size_t i = 0; i < EPC_ARRAY_LEN(types); i++)
        if (strcmp(types[i], text(m, "type", "")) == 0)
            c->type = (enum epc_media_type)i;
    for (size_t i = 0; i < EPC_ARRAY_LEN(states); i++)
        if (strcmp(states[i], text(m, "status", "enabled")) == 0)
            c->status = (enum epc_flow_status)i;
    if (!agw)
        return;
    c->n_flows = 1;
    c->flow[0] = (struct epc_media_flow){.number = 1, .status = EPC_FLOW_STATUS_NONE};
    snprintf(c->flow[0].uplink, sizeof c->flow[0].uplink, "permit in 17 from 10.45.0.2 to %.60s", agw);
    if (ue)
        snprintf(c->flow[0].downlink, sizeof c->flow[0].downlink, "permit out 17 from %.*s to 10.45.0.2 %.8s",
                 (int)strcspn(agw, " "), agw, ue);
}

static void request(struct node *n, const json_t *l)
{
    const json_t *media = json_object_get(l, "media");
    struct epc_service_info *s = NULL;
    if (json_is_true(json_object_get(l, "signalling"))) {
        if (epc_policy_signalling_info(&s))
            abort();
    } else {
        s = calloc(1, sizeof *s);
        s->n_components = json_array_size(media);
        s->component = calloc(s->n_components + 1, sizeof *s->component);
        for (size_t i = 0; i < s->n_components; i++)
            component(&s->component[i], json_array_get(media, i));
    }
    if (epc_diameter_client(n->d)->request(n->call.s, &s, on_done, &n->call) != EPC_OK)
        abort();
}

static void rebind(struct node *n, const json_t *l)
{
    struct epc_addr ue;
    if (epc_addr_parse(&ue, text(l, "ue", ""), 0) || epc_diameter_client(n->d)->rebind(n->call.s, &ue))
        abort();
}

static void close_call(struct node *n, const json_t *l)
{
    (void)l;
    if (n->call.s)
        epc_diameter_client(n->d)->close(n->call.s);
    n->call.s = NULL;
}

/* ---- what is to come true ------------------------------------------------------------------------------- */

static bool has_result(struct node *n)
{
    return atomic_load(&n->call.n_results) > n->call.results_seen;
}

static bool has_event(struct node *n)
{
    return atomic_load(&n->call.n_events) > n->call.events_seen;
}

static bool nothing_open(struct node *n)
{
    (void)n;
    return epc_counter_read(EPC_C_RX_SESSIONS) == 0;
}

static bool connected(struct node *n)
{
    return epc_diameter_open_peers(n->d) > 0;
}

static void expect_result(struct node *n, const json_t *l)
{
    static const char *const outcomes[] = {"granted", "refused", "timed_out", "unreachable", "failed"};
    const json_t *code = json_object_get(l, "code");
    char said[100];
    if (!until(n, has_result)) {
        fault(n, "no result came", NULL);
        return;
    }
    const struct epc_policy_result *r = &n->call.result[n->call.results_seen++ % MAX_HEARD];
    snprintf(said, sizeof said, "%s, code %u, acceptable %zu, retry %u", outcomes[r->outcome], r->code, r->n_acceptable,
             r->retry_interval_s);
    if (strcmp(outcomes[r->outcome], text(l, "outcome", "granted")) != 0 ||
        (code && json_integer_value(code) != (json_int_t)r->code) ||
        (json_object_get(l, "acceptable") &&
         json_integer_value(json_object_get(l, "acceptable")) != (json_int_t)r->n_acceptable) ||
        (json_object_get(l, "retry_s") &&
         json_integer_value(json_object_get(l, "retry_s")) != (json_int_t)r->retry_interval_s))
        fault(n, "the result is", said);
}

static void expect_event(struct node *n, const json_t *l)
{
    static const char *const kinds[] = {"abort", "all_media_lost", "media_lost", "recovered", "access_info", "charging",
                                        "resources", "out_of_credit", "credit_back", "limited_pcc", "lost_session"};
    const json_t *components = json_object_get(l, "components"), *code = json_object_get(l, "code");
    char said[100];
    if (!until(n, has_event)) {
        fault(n, "no event came", NULL);
        return;
    }
    const struct heard_event *h = &n->call.event[n->call.events_seen++ % MAX_HEARD];
    snprintf(said, sizeof said, "%s, code %u, %zu components, first %u", kinds[h->ev.kind], h->ev.code, h->ev.n_components,
             h->ev.n_components ? h->ev.components[0] : 0);
    bool same = strcmp(kinds[h->ev.kind], text(l, "kind", "")) == 0 &&
                (!code || json_integer_value(code) == (json_int_t)h->ev.code) &&
                json_array_size(components) == h->ev.n_components;
    for (size_t i = 0; same && i < h->ev.n_components; i++)
        same = json_integer_value(json_array_get(components, i)) == (json_int_t)h->ev.components[i];
    if (!same)
        fault(n, "the event is", said);
}

static void do_line(struct node *n, const json_t *l, const char *what)
{
    if (strcmp(what, "open") == 0)
        on_shard(n, open_call, l);
    else if (strcmp(what, "request") == 0) {
        on_shard(n, request, l);
        expect_result(n, l);
    } else if (strcmp(what, "event") == 0)
        expect_event(n, l);
    else if (strcmp(what, "rebind") == 0)
        on_shard(n, rebind, l);
    else if (strcmp(what, "close") == 0)
        on_shard(n, close_call, l);
    else
        fault(n, "there is no such line:", what);
}

/* ---- files ------------------------------------------------------------------------------------------------- */

static char *slurp(const char *path)
{
    FILE *f = fopen(path, "r");
    struct epc_buf b = {0};
    char part[4096];
    size_t k;
    while (f && (k = fread(part, 1, sizeof part, f)) > 0)
        epc_buf_add(&b, part, k);
    if (f)
        fclose(f);
    return epc_buf_take(&b, &k);
}

static void play(struct node *n, const char *path)
{
    char *all = slurp(path);
    n->file = path;
    n->line = 1;
    n->call = (struct call){0};
    for (char *at = all; at && *at;) {
        json_error_t err;
        size_t used = strcspn(at, "\n");
        json_t *o = at[0] == '{' ? json_loads(at, JSON_DISABLE_EOF_CHECK, &err) : NULL;
        if (o)
            used = (size_t)err.position;
        else if (at[0] == '{')
            fault(n, "not JSON:", err.text);
        const char *what = text(o, "node", NULL);
        if (what)
            do_line(n, o, what);
        json_decref(o);
        used += at[used] == '\n';
        for (size_t i = 0; i < used; i++)
            n->line += at[i] == '\n';
        at += used;
    }
    on_shard(n, close_call, NULL);
    if (!until(n, nothing_open))
        fault(n, "an Rx session is left open", NULL);
    if (has_event(n))
        fault(n, "more events came than the file has", NULL);
    free(all);
    printf("%s done\n", path);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct node n = {0};
    struct epc_cfg_policy cfg = {.mode = EPC_POLICY_REQUIRED, .destination_realm = (char *)"ims.test", .timeout_ms = 2000,
                                 .failover_ms = 700, .charging_info = EPC_CHARGING_INFO_EPS, .webrtc_vendor = 32473,
                                 .af_application_id = (char *)"urn:urn-7:3gpp-service.ims.icsi.mmtel"};
    if (argc < 4)
        return 2;
    epc_log_setup(getenv("EPC_DEBUG") ? EPC_LOG_DEBUG : EPC_LOG_WARN, 2);
    cfg.diameter_config = argv[1];
    if (strcmp(argv[2], "-") != 0)
        cfg.record_file = argv[2];
    if (epc_diameter_start(&n.d, &cfg) || epc_shard_create(&n.shard, &(struct epc_shard_opts){.label = "node"}) || epc_shard_start(n.shard, NULL, NULL))
        return 2;
    if (!until(&n, connected)) {
        fprintf(stderr, "node: no connection to the PCRF\n");
        n.faults++;
    }
    for (int i = 3; i < argc && connected(&n); i++)
        play(&n, argv[i]);
    epc_shard_stop(n.shard, NULL, NULL);
    epc_diameter_stop(n.d);
    epc_shard_destroy(n.shard);
    return n.faults ? 1 : 0;
}
