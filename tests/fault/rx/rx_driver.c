/* The Rx client without the rest of the daemon, driven by lines on standard input:
 *
 *     open NAME [COUNT]    initial requests of COUNT calls NAME0, NAME1, ...
 *     update NAME [COUNT]  a change to each
 *     close NAME [COUNT]
 *     metrics, peers       what they are now
 *     rx WORD...           what is remembered of Rx sessions, as `epcscfctl rx` asks for it
 *     note NAME [COUNT]    SIP refuses each
 *     stop                 end in order (end of file does the same)
 *
 * Answers on standard output, a line of JSON each: {"ev": "ready" | "done" | "event" | "metrics" | ...}.
 * Arguments: node.conf timeout_ms failover_ms journal|- [peer=priority[/profile] ...] */
#include "diameter/diameter.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHARDS 2
#define MAX_CALLS 4096

struct call {
    char name[64];
    struct epc_shard *shard;
    struct epc_policy_session *s;
    uint64_t asked_ms;
    uint32_t bps;
};

/* A program of one purpose: its state is in one place. */
static struct {
    struct epc_diameter *d;
    struct epc_shard *shard[SHARDS];
    struct call *call[MAX_CALLS];
    size_t n;
    pthread_mutex_t out;
} t = {.out = PTHREAD_MUTEX_INITIALIZER};

static void say(const char *fmt, ...) EPC_PRINTF(1, 2);
static void say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pthread_mutex_lock(&t.out);
    vprintf(fmt, ap);
    putchar('\n');
    fflush(stdout);
    pthread_mutex_unlock(&t.out);
    va_end(ap);
}

/* ---- on the shards ------------------------------------------------------------------------------------ */

static void on_done(void *arg, const struct epc_policy_result *r)
{
    static const char *const outcome[] = {"granted", "refused", "timed-out", "unreachable", "failed"};
    struct call *c = arg;
    say("{\"ev\":\"done\",\"call\":\"%s\",\"outcome\":\"%s\",\"code\":%u,\"ms\":%u}", c->name,
        outcome[r->outcome], r->code, (unsigned)(epc_now_ms() - c->asked_ms));
}

static void on_event(void *arg, const struct epc_policy_event *ev)
{
    const struct call *c = arg;
    say("{\"ev\":\"event\",\"call\":\"%s\",\"kind\":%d,\"code\":%u}", c->name, (int)ev->kind, ev->code);
}

static void do_ask(struct epc_shard *sh, void *arg)
{
    struct call *c = arg;
    struct epc_policy_client *client = epc_diameter_client(t.d);
    struct epc_service_info *info = calloc(1, sizeof *info);
    struct epc_addr ue;
    if (epc_addr_parse(&ue, "10.45.0.2", 0) || !info)
        abort();
    struct epc_policy_open o = {.shard = sh, .impu = "sip:alice@ims.test", .ue = &ue, .icid = c->name, .trace_key = c->name,
                                .reservation_priority = -1, .on_event = on_event, .arg = c};
    if (!c->s && client->open(client, &o, &c->s))
        abort();
    info->component = calloc(1, sizeof *info->component);
    if (!info->component)
        abort();
    info->n_components = 1;
    c->bps += 1000;
    *info->component = (struct epc_media_component){
        .number = 1, .type = EPC_MEDIA_AUDIO, .status = EPC_FLOW_ENABLED, .max_ul_bps = 80000 + c->bps,
        .max_dl_bps = 80000 + c->bps, .rr_bps = -1, .rs_bps = -1, .n_flows = 1};
    info->component->flow[0] = (struct epc_media_flow){
        .number = 1, .status = EPC_FLOW_STATUS_NONE,
        .uplink = "permit in 17 from 10.45.0.2 to 198.51.100.20 40000",
        .downlink = "permit out 17 from 198.51.100.20 to 10.45.0.2 50000"};
    info->why = strdup("- Service-Info-Status=FINAL <- offer and answer\n1 Media-Type=AUDIO <- \"m=audio\"\n");
    c->asked_ms = epc_now_ms();
    if (client->request(c->s, &info, on_done, c))
        abort();
}

static void do_close(struct epc_shard *sh, void *arg)
{
    struct call *c = arg;
    (void)sh;
    if (c->s)
        epc_diameter_client(t.d)->close(c->s);
    c->s = NULL;
    say("{\"ev\":\"closed\",\"call\":\"%s\"}", c->name);
}

/* ---- commands ----------------------------------------------------------------------------------------- */

static struct call *find(const char *name, bool make)
{
    for (size_t i = 0; i < t.n; i++)
        if (strcmp(t.call[i]->name, name) == 0)
            return t.call[i];
    if (!make || t.n == MAX_CALLS)
        return NULL;
    struct call *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    snprintf(c->name, sizeof c->name, "%s", name);
    c->shard = t.shard[t.n % SHARDS];
    t.call[t.n++] = c;
    return c;
}

static void each(const char *name, int count, bool make, epc_shard_fn *fn)
{
    char full[64];
    for (int i = 0; i < count; i++) {
        snprintf(full, sizeof full, "%.40s%d", name, i);
        struct call *c = find(full, make);
        while (c && epc_shard_post(c->shard, fn, c) == EPC_ELIMIT)
            usleep(1000);
    }
}

static void metrics(void)
{
    struct epc_buf b = {0};
    for (int i = 0; i < EPC_C_COUNT; i++)
        if (strncmp(epc_counter_info((enum epc_counter)i)->name, "rx_", 3) == 0)
            epc_buf_printf(&b, ",\"%s\":%lld", epc_counter_info((enum epc_counter)i)->name,
                           (long long)epc_counter_read((enum epc_counter)i));
    say("{\"ev\":\"metrics\"%s}", b.p ? b.p : "");
    epc_buf_free(&b);
}

static void peers(void)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    if (!f)
        abort();
    epc_diameter_print_peers(t.d, f);
    fclose(f);
    for (char *p = text; *p; p++)
        if (*p == '\n')
            *p = '|';
    say("{\"ev\":\"peers\",\"text\":\"%s\"}", text);
    free(text);
}

struct ask {
    struct epc_rx_ask what;
    struct epc_rx_found found;
    struct epc_buf text;
    sem_t done;
};

static void do_history(struct epc_shard *sh, void *arg)
{
    struct ask *a = arg;
    epc_diameter_history(t.d, sh, &a->what, &a->found, &a->text);
    sem_post(&a->done);
}

static void history(const char *line)
{
    struct ask a = {.what = {.live = true}};
    char word[4][200] = {"", "", "", ""};
    int n = sscanf(line, "rx %199s %199s %199s %199s", word[0], word[1], word[2], word[3]);
    a.what.what = strcmp(word[0], "show") == 0      ? EPC_RX_SHOW
                  : strcmp(word[0], "explain") == 0 ? EPC_RX_EXPLAIN
                                                    : EPC_RX_LIST;
    for (int i = 1; i < n; i++) {
        if (strcmp(word[i], "--json") == 0)
            a.what.json = true;
        else if (strcmp(word[i], "--all") == 0)
            a.what.ended = true;
        else
            a.what.id = word[i];
    }
    sem_init(&a.done, 0, 0);
    for (int i = 0; i < SHARDS; i++) {
        if (epc_shard_post(t.shard[i], do_history, &a))
            abort();
        while (sem_wait(&a.done) != 0)
            ;
    }
    sem_destroy(&a.done);
    struct epc_buf json = {0};
    for (size_t i = 0; i < a.text.n; i++) {
        unsigned char c = (unsigned char)a.text.p[i];
        if (c < 0x20 || c == '"' || c == '\\')
            epc_buf_printf(&json, "\\u%04x", c);
        else
            epc_buf_add(&json, &c, 1);
    }
    say("{\"ev\":\"rx\",\"told\":%zu,\"live\":%zu,\"ended\":%zu,\"text\":\"%s\"}", a.found.told, a.found.live,
        a.found.ended, json.p ? json.p : "");
    epc_buf_free(&json);
    epc_buf_free(&a.text);
}

static void do_note(struct epc_shard *sh, void *arg)
{
    struct call *c = arg;
    (void)sh;
    if (c->s)
        epc_diameter_client(t.d)->note(c->s, "refused with 503");
}

static void command(char *line)
{
    char verb[16] = "", name[48] = "";
    int count = 1;
    (void)sscanf(line, "%15s %47s %d", verb, name, &count);
    if (strcmp(verb, "open") == 0)
        each(name, count, true, do_ask);
    else if (strcmp(verb, "update") == 0)
        each(name, count, false, do_ask);
    else if (strcmp(verb, "close") == 0)
        each(name, count, false, do_close);
    else if (strcmp(verb, "metrics") == 0)
        metrics();
    else if (strcmp(verb, "peers") == 0)
        peers();
    else if (strcmp(verb, "rx") == 0)
        history(line);
    else if (strcmp(verb, "note") == 0)
        each(name, count, false, do_note);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static void close_all(struct epc_shard *sh, void *arg)
{
    (void)arg;
    for (size_t i = 0; i < t.n; i++)
        if (t.call[i]->shard == sh && t.call[i]->s) {
            epc_diameter_client(t.d)->close(t.call[i]->s);
            t.call[i]->s = NULL;
        }
}

static void stop(void)
{
    for (int i = 0; i < SHARDS; i++) {
        epc_shard_stop(t.shard[i], close_all, NULL);
    }
    epc_diameter_stop(t.d);
    for (int i = 0; i < SHARDS; i++)
        epc_shard_destroy(t.shard[i]);
    metrics();
    for (size_t i = 0; i < t.n; i++)
        free(t.call[i]);
}

int main(int argc, char **argv)
{
    char line[256];
    struct epc_cfg_pcrf peer[16];
    struct epc_cfg_policy cfg = {.mode = EPC_POLICY_REQUIRED, .peers = peer, .history_sessions = 64};
    if (argc < 5)
        return 2;
    cfg.diameter_config = argv[1];
    cfg.destination_realm = (char[]){"ims.test"};
    cfg.timeout_ms = (uint32_t)atoi(argv[2]);
    cfg.failover_ms = (uint32_t)atoi(argv[3]);
    cfg.journal_file = strcmp(argv[4], "-") == 0 ? NULL : argv[4];
    for (int i = 5; i < argc && cfg.n_peers < EPC_ARRAY_LEN(peer); i++) {
        char *priority = strchr(argv[i], '=');
        if (!priority)
            return 2;
        *priority++ = '\0';
        char *profile = strchr(priority, '/');
        peer[cfg.n_peers++] = (struct epc_cfg_pcrf){.host = argv[i],
                                                    .priority = (uint32_t)atoi(priority),
                                                    .profile = profile ? profile + 1 : NULL};
    }
    epc_log_setup(EPC_LOG_INFO, STDERR_FILENO);
    for (unsigned i = 0; i < SHARDS; i++)
        if (epc_shard_create(&t.shard[i], &(struct epc_shard_opts){.index = i, .label = "shard"}))
            return 1;
    for (unsigned i = 0; i < SHARDS; i++)
        if (epc_shard_start(t.shard[i], NULL, NULL))
            return 1;
    if (epc_diameter_start(&t.d, &cfg))
        return 1;
    say("{\"ev\":\"ready\"}");
    while (fgets(line, sizeof line, stdin) && strncmp(line, "stop", 4) != 0)
        command(line);
    stop();
    return 0;
}
