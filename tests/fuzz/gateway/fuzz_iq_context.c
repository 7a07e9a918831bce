/* What a gateway says of a context: replies, reports and changes of service as it likes, at each step of a
 * call. Whatever it says, each offer and answer gets one result, and the context ends.
 *
 * The input is chunks parted by lines "=". The first letter of a chunk tells what it is: R, the actions of a
 * reply to the oldest request; N, a Notify; S, a ServiceChange; E, an error or none at all. */
#include <stdlib.h>
#include <string.h>

#include "gateway/h248/iq_priv.h"

enum { MAX_OPEN = 16, MAX_TIMERS = 16, CONTEXT = 5001 };

struct request {
    h248_reply_fn *done;
    void *arg;
};
static struct request open_requests[MAX_OPEN];
static size_t n_open;
static struct epc_timer *timers[MAX_TIMERS];
static const struct h248_client_ops *client_ops;
static void *client_arg;
static unsigned n_results;

#define CHECK(cond) ((cond) ? (void)0 : __builtin_trap())

/* ---- what lies below ------------------------------------------------------------------------------------ */

void epc_timer_start(struct epc_shard *sh, struct epc_timer *t, uint64_t after_ms, epc_timer_fn *fn, void *arg)
{
    (void)after_ms;
    epc_timer_stop(sh, t);
    for (size_t i = 0; i < MAX_TIMERS; i++)
        if (!timers[i]) {
            timers[i] = t;
            t->_prev = &t->_next;
            t->fn = fn;
            t->arg = arg;
            return;
        }
    CHECK(false);
}

void epc_timer_stop(struct epc_shard *sh, struct epc_timer *t)
{
    (void)sh;
    for (size_t i = 0; i < MAX_TIMERS; i++)
        if (timers[i] == t)
            timers[i] = NULL;
    t->_prev = NULL;
}

bool epc_timer_running(const struct epc_timer *t)
{
    return t->_prev != NULL;
}

static void fire(void)
{
    for (size_t i = 0; i < MAX_TIMERS; i++)
        if (timers[i]) {
            struct epc_timer *t = timers[i];
            epc_timer_stop(NULL, t);
            t->fn(t->arg);
        }
}

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
    client_ops = ops;
    client_arg = arg;
    *out = (struct h248_client *)&client_ops;
    return EPC_OK;
}

void h248_client_destroy(struct h248_client *c)
{
    (void)c;
}

enum epc_err h248_request(struct h248_client *c, const struct h248_request_opts *o,
                          struct epc_h248_message **actions, h248_reply_fn *done, void *arg, uint64_t *handle)
{
    (void)c;
    (void)o;
    (void)handle;
    CHECK(n_open < MAX_OPEN);
    open_requests[n_open++] = (struct request){done, arg};
    epc_h248_free(*actions);
    *actions = NULL;
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
    CHECK(mg == 1 && context != 0);
}

bool h248_has_package(struct h248_client *c, unsigned mg, const char *package)
{
    (void)c;
    (void)mg;
    (void)package;
    return true;
}

void h248_each(struct h248_client *c, void (*fn)(const char *line, void *arg), void *arg)
{
    (void)c;
    (void)fn;
    (void)arg;
}

void gw_statistics_init(struct gw_statistics *st)
{
    memset(st, 0xff, sizeof *st);
}

void gw_report_statistics(const char *call_id, const char *gateway, const struct gw_statistics *st)
{
    (void)call_id;
    (void)gateway;
    (void)st;
}

/* ---- the gateway ------------------------------------------------------------------------------------------ */

static struct request take(void)
{
    struct request r = open_requests[0];
    memmove(open_requests, open_requests + 1, --n_open * sizeof r);
    return r;
}

static void fail_request(enum epc_err err, unsigned error)
{
    struct request r = take();
    r.done(r.arg, err, &(struct h248_reply){err == EPC_ENOENT ? 0 : 1, "[192.0.2.1]", error, NULL});
}

static struct epc_h248_message *message(const char *kind, struct epc_str body, const char *end)
{
    struct epc_buf b = {0};
    struct epc_h248_message *m = NULL;
    epc_buf_printf(&b, "MEGACO/2 [192.0.2.1]\n%s = 1 { ", kind);
    epc_buf_addstr(&b, body);
    epc_buf_adds(&b, end);
    if (epc_h248_parse(&m, (struct epc_str){b.p, b.n}, NULL) != EPC_OK)
        m = NULL;
    epc_buf_free(&b);
    return m;
}

static void reply(struct epc_str actions)
{
    struct epc_h248_message *m = n_open ? message("Reply", actions, " }") : NULL;
    if (m && m->n_transactions) {
        struct request r = take();
        r.done(r.arg, EPC_OK, &(struct h248_reply){1, "[192.0.2.1]", 0, &m->transaction[0]});
    }
    epc_h248_free(m);
}

static void report(char kind, struct epc_str command)
{
    struct epc_buf b = {0};
    epc_buf_printf(&b, "Context = %d { ", CONTEXT);
    epc_buf_addstr(&b, command);
    struct epc_h248_message *m = message("Transaction", (struct epc_str){b.p, b.n}, " } }");
    epc_buf_free(&b);
    if (m && m->n_transactions && m->transaction[0].n_actions && m->transaction[0].action[0].n_commands) {
        const struct epc_h248_command *c = &m->transaction[0].action[0].command[0];
        if (kind == 'N')
            (void)client_ops->notify(client_arg, 1, CONTEXT, c);
        else
            client_ops->service_change(client_arg, 1, H248_CONTEXT_ALL, c);
    }
    epc_h248_free(m);
}

static void trouble(struct epc_str what)
{
    uint64_t code;
    what = epc_str_trim(what);
    if (epc_str_eqc(what, "gone"))
        client_ops->context_gone(client_arg, 1, CONTEXT);
    else if (epc_str_eqc(what, "lost"))
        client_ops->mg_lost(client_arg, 1);
    else if (n_open && epc_str_u64(what, 999, &code) == EPC_OK && code > 0)
        fail_request(EPC_OK, (unsigned)code);
    else if (n_open)
        fail_request(what.n % 2 ? EPC_ETIMEDOUT : EPC_EIO, 0);
}

/* ---- the owner ---------------------------------------------------------------------------------------------- */

static void on_done(void *arg, enum epc_err err, struct epc_sdp *local, const struct epc_cause *cause)
{
    (void)arg;
    CHECK((err == EPC_OK) == (local != NULL));
    CHECK(err == EPC_OK || cause->sip_status >= 400);
    n_results++;
    epc_sdp_free(local);
}

static void on_event(void *arg, const struct epc_gw_event *ev)
{
    (void)arg;
    CHECK(ev->stream < EPC_SDP_MAX_MEDIA);
}

static struct epc_sdp *sdp(const char *text)
{
    struct epc_sdp *s = NULL;
    CHECK(epc_sdp_parse(&s, epc_str_c(text), NULL) == EPC_OK);
    return s;
}

#define HEAD "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nt=0 0\r\n"
#define WIC(ufrag)                                                                                            \
    HEAD "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 192.0.2.7\r\na=rtcp-mux\r\na=ice-ufrag:" ufrag         \
         "\r\na=ice-pwd:wicPasswordOf22charsXX\r\na=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\n"
#define CORE HEAD "m=audio 6000 RTP/AVP 0\r\nc=IN IP4 192.0.2.8\r\n"

/* The next step of a call; false: that was the last. */
static bool next_step(struct epc_gw_ctx *c, unsigned step, unsigned *asked)
{
    static const char *const texts[] = {WIC("wicU"), CORE, WIC("wicV"), CORE};
    if (step >= 5)
        return false;
    if (step == 4) {
        epc_gw_h248_ops.gate(c, false, true);
        return true;
    }
    struct epc_sdp *s = sdp(texts[step]);
    struct epc_gw_media m = {s, NULL};
    if (step % 2 == 0)
        epc_gw_h248_ops.offer(c, EPC_GW_ACCESS, &m, on_done, NULL);
    else
        epc_gw_h248_ops.answer(c, &m, on_done, NULL);
    (*asked)++;
    epc_sdp_free(s);
    return true;
}

static void chunk(struct epc_str text)
{
    char kind = text.n ? text.p[0] : 0;
    struct epc_str rest = text.n ? (struct epc_str){text.p + 1, text.n - 1} : EPC_STR_NULL;
    if (kind == 'R')
        reply(rest);
    else if (kind == 'N' || kind == 'S')
        report(kind, rest);
    else if (kind == 'E')
        trouble(rest);
    fire();
}

static struct epc_str cut_chunk(struct epc_str *rest)
{
    static const char mark[] = "\n=\n";
    const char *end = rest->n ? memmem(rest->p, rest->n, mark, 3) : NULL;
    struct epc_str c = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
    *rest = end ? (struct epc_str){end + 3, rest->n - c.n - 3} : EPC_STR_NULL;
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char realm[] = "r", access_term[] = "ip/1/access/$", core_term[] = "ip/1/core/$";
    struct epc_cfg_media cfg = {.poll_ms = 10000, .inactivity_ms = 1000};
    cfg.iq = (struct epc_cfg_iq){.access_realm = realm, .core_realm = realm, .access_termination = access_term,
                                 .core_termination = core_term, .ice = EPC_IQ_ICE_FULL, .learn_by_audit = true,
                                 .filter_core = true, .heartbeat_s = 60};
    struct epc_gw *gw = NULL;
    struct epc_gw_ctx *c = NULL;
    struct epc_gw_view view;
    struct epc_str rest = {(const char *)data, size};
    unsigned asked = 0, step = 0;
    epc_log_setup(EPC_LOG_ERROR, -1);
    n_open = n_results = 0;
    CHECK(epc_gw_h248_ops.create(&gw, NULL, &cfg, (struct epc_gw_hub *)&client_ops) == EPC_OK);
    CHECK(epc_gw_h248_ops.ctx_create(&c, gw, &(struct epc_gw_ctx_opts){.call_id = "c", .event = on_event}) == EPC_OK);
    while (next_step(c, step++, &asked)) {
        chunk(cut_chunk(&rest));
        epc_gw_h248_ops.view(c, &view);
    }
    for (int i = 0; rest.n && i < 64; i++)
        chunk(cut_chunk(&rest));
    for (int i = 0; (n_open || n_results < asked) && i < 64; i++) {
        if (n_open)
            fail_request(EPC_ETIMEDOUT, 0);
        fire();
    }
    CHECK(n_results == asked);
    epc_gw_h248_ops.release(c);
    for (int i = 0; epc_counter_read(EPC_C_GW_CONTEXTS) && i < 64; i++) {
        if (n_open)
            fail_request(EPC_OK, 411);
        fire();
    }
    CHECK(epc_counter_read(EPC_C_GW_CONTEXTS) == 0);
    epc_gw_h248_ops.destroy(gw);
    return 0;
}
