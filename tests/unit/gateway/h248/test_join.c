/* `media.gateway: h248`, from the door down to the socket. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "desk.h"

#define RESTART "Method = Restart, Reason = \"901 Cold Boot\", Version = 2"
#define ADDED                                                                                          \
    "Context = 5001 { Add = ip/1/access/17 { Media { Stream = 1 { Local {\n"                           \
    "v=0\nc=IN IP4 198.51.100.20\nm=audio 40000 UDP/TLS/RTP/SAVPF 0 126\na=ice-ufrag:Mf3b\n"           \
    "a=ice-pwd:9uB6YZ1KyaEJGQk1ZKqH5d\na=fingerprint:sha-256 AA:BB\na=setup:actpass\n } } } }, "       \
    "Add = ip/1/core/18 { Media { Stream = 1 { Local {\n"                                              \
    "v=0\nc=IN IP4 10.10.0.20\nm=audio 50000 RTP/AVP 0 126\n } } } } }"
#define MODIFIED   "Context = 5001 { Modify = ip/1/access/17, Modify = ip/1/core/18 }"
#define SUBTRACTED "Context = 5001 { Subtract = ip/1/access/17, Subtract = ip/1/core/18 }"

static struct desk settings; /* for its address and its configuration; its shards are not started */
static struct bench b;
static struct mg mg;

static void configure(struct epc_cfg_media *cfg)
{
    static char access_term[] = "ip/1/access/$", core_term[] = "ip/1/core/$", access_realm[] = "access",
                core_realm[] = "core";
    *cfg = settings.cfg;
    cfg->gateway = EPC_GATEWAY_H248;
    cfg->poll_ms = 10000;
    cfg->timeout_ms = 20000; /* nothing here is to end, or be repeated, by time */
    cfg->h248.retransmit_ms = cfg->h248.retransmit_max_ms = 15000;
    cfg->iq = (struct epc_cfg_iq){.access_realm = access_realm, .core_realm = core_realm,
                                  .access_termination = access_term, .core_termination = core_term,
                                  .filter_core = true, .heartbeat_s = 3600};
}

static bool is_up(void *arg)
{
    (void)arg;
    char *lines = bench_lines(&b);
    bool up = strstr(lines, "state=up") != NULL;
    free(lines);
    return up;
}

static int setup(void **state)
{
    static const unsigned none[] = {0};
    (void)state;
    mg = (struct mg){.fd = -1};
    desk_init(&settings, 1);
    bench_start_with(&b, none, 0, 1, configure);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bench_stop(&b);
    mg_close(&mg);
    return 0;
}

static void up(bool tcp)
{
    mg_open(&mg, tcp, settings.host, "<one.test>");
    mg_register(&mg, 1, RESTART);
    mg_serve_until(&mg, is_up, NULL);
}

static void answer_next(const char *part, const char *actions)
{
    uint32_t id = mg_expect(&mg, part);
    mg_say(&mg, "Reply = %u { %s }", id, actions);
}

static void talk(void)
{
    bench_ctx(&b, "call@test");
    bench_offer(&b, EPC_GW_CORE, sdp_core_offer, 1);
    answer_next("Context = $", ADDED);
    bench_wait_done(&b, 1);
    assert_int_equal(b.done[0].err, EPC_OK);
    assert_non_null(strstr(b.done[0].local, "m=audio 40000 UDP/TLS/RTP/SAVPF"));
    bench_answer(&b, sdp_wic_answer, 2);
    answer_next("Mode = SendReceive", MODIFIED);
    bench_wait_done(&b, 2);
    assert_int_equal(b.done[1].err, EPC_OK);
    assert_non_null(strstr(b.done[1].local, "m=audio 50000 RTP/AVP"));
}

static void call(bool tcp)
{
    up(tcp);
    talk();
    bench_gate(&b, false, false);
    answer_next("Mode = Inactive", MODIFIED);
    mg_say(&mg, "Transaction = 9 { Context = 5001 { Notify = ip/1/access/17 { ObservedEvents = 1 { "
           "20260822T10131300:adid/ipstop { Stream = 1 } } } } }");
    assert_int_equal(mg_expect(&mg, "Notify = ip/1/access/17"), 9);
    bench_wait_events(&b, 1);
    assert_int_equal(b.event[0].kind, EPC_GW_EV_INACTIVE);
    assert_string_equal(b.view.gateway, "<one.test>");
    mg_say(&mg, "Transaction = 10 { Context = 77 { Notify = ip/1/access/17 { ObservedEvents = 1 { "
           "20260822T10131300:hangterm/thb } } } }");
    assert_int_equal(mg_expect(&mg, "411"), 10);
    bench_release(&b);
    answer_next("Subtract = ip/1/core/18", SUBTRACTED);
    bench_wait_no_contexts(&b);
}

static void a_call_over_tcp(void **state)
{
    (void)state;
    call(true);
}

static void a_call_over_udp(void **state)
{
    (void)state;
    call(false);
}

static void no_gateway_is_503(void **state)
{
    (void)state;
    bench_ctx(&b, "call@test");
    bench_offer(&b, EPC_GW_CORE, sdp_core_offer, 1);
    bench_wait_done(&b, 1);
    assert_int_equal(b.done[0].cause.sip_status, 503);
    assert_true(b.done[0].cause.retry_after_s > 0);
    bench_release(&b);
}

static void a_restart_ends_the_call(void **state)
{
    (void)state;
    up(true);
    talk();
    mg_register(&mg, 20, RESTART);
    bench_wait_events(&b, 1);
    assert_int_equal(b.event[0].kind, EPC_GW_EV_LOST);
    bench_release(&b);
    bench_wait_no_contexts(&b);
    mg_expect_nothing(&mg, 50);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(a_call_over_tcp), T(a_call_over_udp), T(no_gateway_is_503),
                                       T(a_restart_ends_the_call)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
