#include "seams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h" /* sdp_from() */

struct seams seam;

/* ---- timers ------------------------------------------------------------------------------------------- */

static struct epc_timer *timers[SEAM_MAX];
static uint64_t now_ms;

void epc_timer_start(struct epc_shard *sh, struct epc_timer *t, uint64_t after_ms, epc_timer_fn *fn, void *arg)
{
    epc_timer_stop(sh, t);
    for (size_t i = 0; i < SEAM_MAX; i++)
        if (!timers[i]) {
            timers[i] = t;
            t->_prev = &t->_next;
            t->_at_ms = now_ms + after_ms;
            t->fn = fn;
            t->arg = arg;
            return;
        }
    fail_msg("too many timers");
}

void epc_timer_stop(struct epc_shard *sh, struct epc_timer *t)
{
    (void)sh;
    for (size_t i = 0; i < SEAM_MAX; i++)
        if (timers[i] == t)
            timers[i] = NULL;
    t->_prev = NULL;
}

bool epc_timer_running(const struct epc_timer *t)
{
    return t->_prev != NULL;
}

void seams_wait(uint64_t ms)
{
    uint64_t until = now_ms + ms;
    for (;;) {
        struct epc_timer *first = NULL;
        for (size_t i = 0; i < SEAM_MAX; i++)
            if (timers[i] && timers[i]->_at_ms <= until && (!first || timers[i]->_at_ms < first->_at_ms))
                first = timers[i];
        if (!first)
            break;
        now_ms = first->_at_ms;
        epc_timer_stop(NULL, first);
        first->fn(first->arg);
    }
    now_ms = until;
}

/* ---- the hub -------------------------------------------------------------------------------------------- */

enum epc_err h248_hub_create(struct epc_gw_hub **out, const struct epc_cfg_media *cfg)
{
    (void)cfg;
    *out = NULL;
    return EPC_OK;
}

enum epc_err h248_client_create(struct h248_client **out, struct epc_gw_hub *hub, struct epc_shard *sh,
                                const struct epc_cfg_media *cfg, const struct h248_client_ops *ops, void *arg)
{
    (void)hub;
    (void)sh;
    (void)cfg;
    seam.ops = ops;
    seam.ops_arg = arg;
    *out = (struct h248_client *)&seam;
    return EPC_OK;
}

void h248_client_destroy(struct h248_client *c)
{
    (void)c;
    seam.ops = NULL;
}

enum epc_err h248_request(struct h248_client *c, const struct h248_request_opts *o,
                          struct epc_h248_message **actions, h248_reply_fn *done, void *arg, uint64_t *handle)
{
    (void)c;
    (void)handle;
    struct epc_h248_message *m = *actions;
    *actions = NULL;
    if (seam.refuse != EPC_OK) {
        epc_h248_free(m);
        return seam.refuse;
    }
    assert_true(seam.n_open < SEAM_MAX);
    struct open_request *r = &seam.open[seam.n_open++];
    *r = (struct open_request){m, done, arg, o->mg, o->emergency};
    return EPC_OK;
}

void h248_forget(struct h248_client *c, uint64_t handle)
{
    (void)c;
    (void)handle;
}

void h248_context_ended(struct h248_client *c, unsigned mg, uint32_t context)
{
    (void)c;
    assert_int_equal(mg, 1);
    assert_int_not_equal(context, 0);
    seam.n_ended++;
}

bool h248_has_package(struct h248_client *c, unsigned mg, const char *package)
{
    (void)c;
    (void)mg;
    return seam.packages && strstr(seam.packages, package);
}

void h248_each(struct h248_client *c, void (*fn)(const char *line, void *arg), void *arg)
{
    (void)c;
    fn("gateway=[127.0.0.1]:2944", arg);
}

/* ---- statistics ------------------------------------------------------------------------------------------- */

void gw_statistics_init(struct gw_statistics *st)
{
    memset(st, 0xff, sizeof *st);
}

void gw_report_statistics(const char *call_id, const char *gateway, const struct gw_statistics *st)
{
    assert_string_equal(call_id, "call@test");
    assert_string_equal(gateway, "[127.0.0.1]:2944");
    seam.stat = *st;
    seam.n_stats++;
}

/* ---- the gateway -------------------------------------------------------------------------------------------- */

static struct epc_h248_message *parsed(struct epc_buf *b)
{
    struct epc_h248_message *m = NULL;
    struct epc_h248_fault fault;
    if (epc_h248_parse(&m, (struct epc_str){b->p, b->n}, &fault) != EPC_OK)
        fail_msg("%s in line %u of\n%s", fault.why, fault.line, b->p);
    epc_buf_free(b);
    return m;
}

static struct epc_h248_message *message(const char *kind, const char *actions)
{
    struct epc_buf b = {0};
    epc_buf_printf(&b, "MEGACO/2 [127.0.0.1]:2944\n%s = 1 { %s }", kind, actions);
    return parsed(&b);
}

static char *pretty(const struct epc_h248_message *m)
{
    struct epc_buf b = {0};
    assert_int_equal(epc_h248_print(m, EPC_H248_PRETTY, &b), EPC_OK);
    return epc_buf_take(&b, NULL);
}

void expect(const char *want)
{
    struct epc_h248_message *w = NULL;
    struct epc_h248_fault fault;
    if (!seam.n_open)
        fail_msg("no request; wanted:\n%s", want);
    if (epc_h248_parse_actions(&w, epc_str_c(want), 2, &fault) != EPC_OK)
        fail_msg("%s in line %u of\n%s", fault.why, fault.line, want);
    if (!epc_h248_same(w, seam.open[0].msg))
        fail_msg("wanted:\n%s\ngot:\n%s", pretty(w), pretty(seam.open[0].msg));
    epc_h248_free(w);
}

void expect_nothing(void)
{
    if (seam.n_open)
        fail_msg("wanted nothing, got:\n%s", pretty(seam.open[0].msg));
}

bool asks_for(const char *part)
{
    char *text = seam.n_open ? pretty(seam.open[0].msg) : NULL;
    bool found = text && strstr(text, part);
    free(text);
    return found;
}

static struct open_request take(void)
{
    assert_true(seam.n_open > 0);
    struct open_request r = seam.open[0];
    memmove(seam.open, seam.open + 1, --seam.n_open * sizeof r);
    epc_h248_free(r.msg);
    return r;
}

void reply(const char *actions)
{
    struct open_request r = take();
    struct epc_h248_message *m = message("Reply", actions);
    r.done(r.arg, EPC_OK, &(struct h248_reply){1, "[127.0.0.1]:2944", 0, &m->transaction[0]});
    epc_h248_free(m);
}

void reply_error(unsigned code)
{
    struct open_request r = take();
    r.done(r.arg, EPC_OK, &(struct h248_reply){1, "[127.0.0.1]:2944", code, NULL});
}

void reply_fails(enum epc_err err)
{
    struct open_request r = take();
    r.done(r.arg, err, &(struct h248_reply){r.mg ? r.mg : err == EPC_ENOENT ? 0 : 1, "[127.0.0.1]:2944", 0, NULL});
}

static struct epc_h248_message *from_gateway(uint32_t context, const char *command)
{
    struct epc_buf b = {0};
    epc_buf_printf(&b, "Context = %u { %s }", (unsigned)context, command);
    struct epc_h248_message *m = message("Transaction", b.p);
    epc_buf_free(&b);
    return m;
}

unsigned notify(uint32_t context, const char *command)
{
    struct epc_h248_message *m = from_gateway(context, command);
    unsigned code = seam.ops->notify(seam.ops_arg, 1, context, &m->transaction[0].action[0].command[0]);
    epc_h248_free(m);
    return code;
}

void service_change(uint32_t context, const char *command)
{
    struct epc_h248_message *m = from_gateway(1, command);
    seam.ops->service_change(seam.ops_arg, 1, context, &m->transaction[0].action[0].command[0]);
    epc_h248_free(m);
}

/* ---- golden exchanges ---------------------------------------------------------------------------------------- */

static struct {
    char name[64];
    long at;
} playing;

static void step(char kind, struct epc_buf *text)
{
    if (kind == '>')
        expect(text->p);
    else if (kind == '<')
        reply(text->p);
    epc_buf_free(text);
}

/* ---- ... written anew -------------------------------------------------------------------------------------- */

/* EPC_GOLDEN_WRITE: the requests are written down as they come, each answered as a gateway would that fills
 * in what it is to choose. Read the difference before committing it. */
struct recorder {
    struct epc_buf reply;
    bool access, open;
    size_t stream;
};
static unsigned credentials; /* how often they were chosen */
static char recording[64];

static void fill_line(struct recorder *r, struct epc_str line)
{
    static const char *const ufrag[] = {"Mf3b", "NewU", "OldU", "4th0"};
    unsigned port = (r->access ? 40000 : 50000) + 2 * (unsigned)r->stream;
    const char *addr = r->access ? "198.51.100.20" : "10.10.0.20";
    const char *u = ufrag[(credentials - 1) % 4];
    struct epc_str start = line;
    if (!memchr(line.p, '$', line.n))
        epc_buf_printf(&r->reply, "%.*s\n", EPC_STR_ARG(line));
    else if (epc_str_starts(start, "c="))
        epc_buf_printf(&r->reply, "c=IN IP4 %s\n", addr);
    else if (epc_str_starts(start, "m=")) {
        struct epc_str kind = epc_str_cut(&start, '$');
        epc_buf_printf(&r->reply, "%.*s%u%.*s\n", EPC_STR_ARG(kind), port, EPC_STR_ARG(start));
    } else if (epc_str_starts(start, "a=ice-ufrag"))
        epc_buf_printf(&r->reply, "a=ice-ufrag:%s\n", u);
    else if (epc_str_starts(start, "a=ice-pwd"))
        epc_buf_printf(&r->reply, "a=ice-pwd:gatewayPasswordOf26chars%s\n", u);
    else if (epc_str_starts(start, "a=candidate"))
        epc_buf_printf(&r->reply, "a=candidate:1 1 udp 2130706431 %s %u typ host\n", addr, port);
    else if (epc_str_starts(start, "a=fingerprint")) {
        epc_buf_adds(&r->reply, "a=fingerprint:sha-256 01");
        for (unsigned i = 2; i <= 32; i++)
            epc_buf_printf(&r->reply, ":%02X", i);
        epc_buf_adds(&r->reply, "\n");
    } else if (epc_str_starts(start, "a=rtcp"))
        epc_buf_printf(&r->reply, "a=rtcp:%u\n", port + 1);
    else
        fail_msg("a gateway cannot choose %.*s", EPC_STR_ARG(line));
}

static void fill_local(void *arg, size_t stream, struct epc_str text)
{
    struct recorder *r = arg;
    if (!memchr(text.p, '$', text.n))
        return;
    r->stream = stream;
    epc_buf_printf(&r->reply, "%s\n  Stream = %zu { Local {\n", r->open ? "," : " { Media {", stream + 1);
    r->open = true;
    while (text.p) {
        struct epc_str line = epc_str_cut(&text, '\n');
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n)
            fill_line(r, line);
    }
    epc_buf_adds(&r->reply, "} }");
}

static void close_command(struct recorder *r)
{
    if (r->open)
        epc_buf_adds(&r->reply, " } }");
    r->open = false;
}

static void fill_command(void *arg, enum iq_command kind, struct epc_str termination)
{
    static const char *const names[] = {"Add", "Modify", "Subtract", "AuditValue", "?"};
    struct recorder *r = arg;
    close_command(r);
    r->access = memmem(termination.p, termination.n, "access", 6) != NULL;
    epc_buf_printf(&r->reply, "%s\n %s = %s", r->reply.p[r->reply.n - 1] == '{' ? "" : ",", names[kind],
                   r->access ? "ip/1/access/17" : "ip/1/core/18");
}

static void record(FILE *f)
{
    while (seam.n_open) {
        struct recorder r = {0};
        char *request = pretty(seam.open[0].msg);
        const char *from = strchr(strchr(request, '{') + 1, '\n') + 1, *to = strrchr(request, '}');
        fprintf(f, "> request\n%.*s", (int)(to - from), from);
        credentials += strstr(request, "ice-ufrag:$") ? 1 : 0;
        epc_buf_adds(&r.reply, "Context = 5001 {");
        static const struct iq_reply_fns fns = {.command = fill_command, .local = fill_local};
        iq_read_reply(&seam.open[0].msg->transaction[0], &fns, &r);
        close_command(&r);
        epc_buf_adds(&r.reply, "\n}\n");
        fprintf(f, "< reply\n%s", r.reply.p);
        reply(r.reply.p);
        epc_buf_free(&r.reply);
        free(request);
    }
    fputs("=\n", f);
}

/* Nothing is written down beyond what was played last? */
static bool ends_at(const char *path, const char *file)
{
    FILE *f = fopen(path, "r");
    bool end = !f || (fseek(f, strcmp(playing.name, file) == 0 ? playing.at : 0, SEEK_SET) == 0 && fgetc(f) == EOF);
    if (f)
        fclose(f);
    return end;
}

void play(const char *file)
{
    char path[512], line[1024], kind = 0;
    struct epc_buf text = {0};
    snprintf(path, sizeof path, "%s/golden/iq/%s", EPC_TEST_DIR, file);
    bool write = getenv("EPC_GOLDEN_WRITE") && (strcmp(recording, file) == 0 || ends_at(path, file));
    if (strcmp(recording, file) != 0)
        credentials = strstr(file, "restart") ? 1 : 0; /* those of the call that restarts are gone */
    snprintf(recording, sizeof recording, "%s", write ? file : "");
    FILE *f = fopen(path, write ? "a" : "r");
    if (!f)
        fail_msg("no %s", path);
    if (write) {
        record(f);
        fclose(f);
        return;
    }
    if (strcmp(playing.name, file) == 0)
        fseek(f, playing.at, SEEK_SET);
    snprintf(playing.name, sizeof playing.name, "%s", file);
    while (fgets(line, sizeof line, f)) {
        if (line[0] == '#')
            continue;
        if (line[0] == '>' || line[0] == '<' || line[0] == '=') {
            step(kind, &text);
            kind = line[0];
            if (kind == '=')
                break;
            continue;
        }
        epc_buf_adds(&text, line);
    }
    if (kind != '=')
        step(kind, &text);
    playing.at = ftell(f);
    fclose(f);
}

/* ---- the owner ------------------------------------------------------------------------------------------------- */

static void on_event(void *arg, const struct epc_gw_event *ev)
{
    assert_ptr_equal(arg, &seam);
    assert_true(seam.n_events < SEAM_MAX);
    seam.event[seam.n_events++] = *ev;
    if (seam.release_in_event)
        release();
}

static void on_done(void *arg, enum epc_err err, struct epc_sdp *local, const struct epc_cause *cause)
{
    struct epc_buf b = {0};
    assert_true((err == EPC_OK) == (local != NULL));
    assert_true(seam.n_done < SEAM_MAX);
    if (local)
        assert_int_equal(epc_sdp_print(local, &b), EPC_OK);
    epc_sdp_free(local);
    seam.done[seam.n_done].err = err;
    seam.done[seam.n_done].local = epc_buf_take(&b, NULL);
    seam.done[seam.n_done].cause = *cause;
    seam.done[seam.n_done++].tag = *(int *)arg;
    if (seam.release_in_done)
        release();
}

void seams_start(void)
{
    static char access_realm[] = "access", core_realm[] = "core", access_term[] = "ip/1/access/$",
                core_term[] = "ip/1/core/$";
    seam = (struct seams){0};
    memset(&playing, 0, sizeof playing);
    seam.cfg.poll_ms = 10000;
    seam.cfg.iq = (struct epc_cfg_iq){.access_realm = access_realm,
                                      .core_realm = core_realm,
                                      .access_termination = access_term,
                                      .core_termination = core_term,
                                      .filter_core = true,
                                      .police = true,
                                      .audio_bps = 100000,
                                      .video_bps = 2000000,
                                      .dscp_audio = 46,
                                      .dscp_video = 34,
                                      .heartbeat_s = 3600};
    assert_int_equal(epc_gw_h248_ops.create(&seam.gw, NULL, &seam.cfg, (struct epc_gw_hub *)&seam), EPC_OK);
    seams_context(false, 0);
}

void seams_context(bool emergency, int priority)
{
    struct epc_gw_ctx_opts o = {"call@test", on_event, &seam, emergency, priority};
    assert_int_equal(epc_gw_h248_ops.ctx_create(&seam.ctx, seam.gw, &o), EPC_OK);
}

void seams_stop(void)
{
    expect_nothing();
    epc_gw_h248_ops.destroy(seam.gw);
    while (seam.n_open)
        take();
    for (size_t i = 0; i < SEAM_MAX; i++)
        assert_null(timers[i]);
    for (size_t i = 0; i < seam.n_done; i++)
        free(seam.done[i].local);
    assert_int_equal(epc_counter_read(EPC_C_GW_CONTEXTS), 0);
}

static int tags[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

void offer(enum epc_gw_side from, const char *remote, const char *want, int tag)
{
    struct epc_sdp *r = sdp_from(remote), *w = want ? sdp_from(want) : NULL;
    size_t n = seam.n_done;
    epc_gw_h248_ops.offer(seam.ctx, from, &(struct epc_gw_media){r, w}, on_done, &tags[tag]);
    assert_int_equal(seam.n_done, n); /* never inside the call */
    epc_sdp_free(r);
    epc_sdp_free(w);
}

void answer(const char *remote, const char *want, int tag)
{
    struct epc_sdp *r = sdp_from(remote), *w = want ? sdp_from(want) : NULL;
    epc_gw_h248_ops.answer(seam.ctx, &(struct epc_gw_media){r, w}, on_done, &tags[tag]);
    epc_sdp_free(r);
    epc_sdp_free(w);
}

void restore(enum epc_gw_side offerer, const char *offer_remote, const char *answer_remote)
{
    struct epc_sdp *o = sdp_from(offer_remote), *a = sdp_from(answer_remote);
    epc_gw_h248_ops.restore(seam.ctx, offerer, &(struct epc_gw_media){o, NULL}, &(struct epc_gw_media){a, NULL});
    epc_sdp_free(o);
    epc_sdp_free(a);
}

void gate(bool to_access, bool to_core)
{
    epc_gw_h248_ops.gate(seam.ctx, to_access, to_core);
}

void release(void)
{
    struct epc_gw_ctx *c = seam.ctx;
    seam.ctx = NULL;
    epc_gw_h248_ops.release(c);
}

struct epc_gw_view view(void)
{
    struct epc_gw_view v;
    epc_gw_h248_ops.view(seam.ctx, &v);
    return v;
}

const char *result(int tag)
{
    seams_wait(0);
    assert_true(seam.n_done > 0);
    if (seam.done[seam.n_done - 1].err != EPC_OK)
        fail_msg("refused: %s", seam.done[seam.n_done - 1].cause.reason);
    assert_int_equal(seam.done[seam.n_done - 1].tag, tag);
    return seam.done[seam.n_done - 1].local;
}

void refusal(int tag, int status, bool retry_after)
{
    seams_wait(0);
    assert_true(seam.n_done > 0);
    assert_int_not_equal(seam.done[seam.n_done - 1].err, EPC_OK);
    assert_int_equal(seam.done[seam.n_done - 1].tag, tag);
    assert_int_equal(seam.done[seam.n_done - 1].cause.sip_status, status);
    assert_int_equal(seam.done[seam.n_done - 1].cause.retry_after_s > 0, retry_after);
}
