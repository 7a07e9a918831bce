/* Transactions over real sockets: repetition, at most once, Pending, what comes late, twice or broken. */
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <unistd.h>

#include "desk.h"

#define RESTART "Method = Restart, Reason = \"901 Cold Boot\", Version = 2"
#define ADD     "Context = $ { Add = ip/1/access/$, Add = ip/1/core/$ }"
#define ADDED   "Context = 5001 { Add = ip/1/access/1, Add = ip/1/core/2 }"

static struct desk d;
static struct mg a;
static FILE *trace;

static int setup(void **state)
{
    (void)state;
    a = (struct mg){.fd = -1};
    desk_init(&d, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mg_close(&a);
    epc_trace_setup(-1);
    desk_stop(&d);
    if (trace)
        fclose(trace);
    trace = NULL;
    return 0;
}

static void up(bool tcp)
{
    desk_start(&d);
    mg_open(&a, tcp, tcp ? d.tcp_port : d.udp_port, "<one.test>");
    mg_register(&a, 1, RESTART);
    desk_wait_fact(&d, 1, "state=up", &a);
}

static void lost_datagrams_are_repeated(void **state)
{
    (void)state;
    up(false);
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    uint32_t id = mg_expect(&a, "Context = $");
    assert_int_equal(mg_expect(&a, "Context = $"), id); /* the first one was lost */
    mg_say(&a, "Reply = %u { %s }", id, ADDED);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
    mg_say(&a, "Reply = %u { %s }", id, ADDED); /* and so was the reply, it seems */
    desk_wait_count(&d, EPC_C_IQ_STRAY, 1);
    assert_int_equal(d.n_results, 1);
    assert_true(desk_count(&d, EPC_C_IQ_REPEATED) >= 1);
}

static void nothing_is_repeated_over_tcp(void **state)
{
    (void)state;
    up(true);
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    uint32_t id = mg_expect(&a, "Context = $");
    mg_expect_nothing(&a, 300);
    mg_say(&a, "Reply = %u { %s }", id, ADDED);
    assert_int_equal(desk_result_at(&d, 0).context, 5001);
    assert_int_equal(desk_count(&d, EPC_C_IQ_REPEATED), 0);
}

/* Given up; what it made after all has no owner. */
static void late_reply(void **state)
{
    (void)state;
    d.cfg.timeout_ms = 200;
    up(true);
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    uint32_t id = mg_expect(&a, "Context = $");
    assert_int_equal(desk_result_at(&d, 0).err, EPC_ETIMEDOUT);
    mg_say(&a, "Reply = %u { %s }", id, ADDED);
    id = mg_expect(&a, "Context = 5001");
    assert_non_null(strstr(a.text, "W-Subtract = *"));
    mg_say(&a, "Reply = %u { Context = 5001 { W-Subtract = * } }", id);
    desk_wait_count(&d, EPC_C_IQ_LATE, 1);
    desk_wait_count(&d, EPC_C_IQ_ORPHANS, 1);
    assert_int_equal(d.n_results, 1);
}

static void forgotten_request(void **state)
{
    (void)state;
    up(true);
    uint64_t handle = desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    uint32_t id = mg_expect(&a, "Context = $");
    desk_forget(&d, 0, handle);
    mg_say(&a, "Reply = %u { %s }", id, ADDED);
    id = mg_expect(&a, "Context = 5001"); /* nobody wants it any more */
    mg_say(&a, "Reply = %u { Context = 5001 { W-Subtract = * } }", id);
    desk_wait_count(&d, EPC_C_IQ_ORPHANS, 1);
    assert_int_equal(d.n_results, 0);
}

static void pending_gives_time(void **state)
{
    (void)state;
    d.cfg.timeout_ms = 300;
    d.cfg.h248.pending_ms = 200;
    up(true);
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    uint32_t id = mg_expect(&a, "Context = $");
    for (int i = 0; i < 3; i++) {
        mg_say(&a, "Pending = %u { }", id);
        desk_wait_count(&d, EPC_C_IQ_PENDINGS_IN, i + 1);
    }
    mg_say(&a, "Reply = %u { %s }", id, ADDED);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
}

static void pending_for_ever(void **state)
{
    (void)state;
    up(true);
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    uint32_t id = mg_expect(&a, "Context = $");
    for (int i = 0; i < 4; i++)
        mg_say(&a, "Pending = %u { }", id);
    struct desk_result r = desk_result_at(&d, 0);
    assert_int_equal(r.err, EPC_ETIMEDOUT);
    assert_int_equal(r.error, 506);
}

static void errors_of_the_whole(void **state)
{
    (void)state;
    up(true);
    desk_request(&d, 0, 1, "Context = 9 { Subtract = ip/1/access/9 }", 1);
    uint32_t id = mg_expect(&a, "Context = 9");
    mg_say(&a, "Reply = %u { Error = 500 { \"Internal failure\" } }", id);
    struct desk_result r = desk_result_at(&d, 0);
    assert_int_equal(r.err, EPC_OK);
    assert_int_equal(r.error, 500);
    assert_string_equal(r.mg_name, "<one.test>");
}

/* The connection breaks with a request open, in the middle of a message. */
static void cut_with_a_request_open(void **state)
{
    (void)state;
    up(true);
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    mg_expect(&a, "Context = $");
    const char half[] = {3, 0, 1, 0, 'M', 'E', 'G'};
    assert_int_equal(write(a.fd, half, sizeof half), sizeof half);
    mg_cut(&a);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_EIO);
    desk_wait_fact(&d, 1, "state=lost", NULL);
}

static void garbage(void **state)
{
    (void)state;
    static const char *const said[] = {"", "rubbish", "MEGACO/1", "MEGACO/9 <one.test> Reply = 1 { }",
                                       "MEGACO/2 <one.test>\nReply = 99 { Context = 1 { Add = } }",
                                       "MEGACO/2 <one.test>\nTransaction = 1 { Context = $ {", "!/1 [\n"};
    up(true);
    for (size_t i = 0; i < EPC_ARRAY_LEN(said); i++)
        mg_say_raw(&a, said[i], strlen(said[i]));
    desk_wait_count(&d, EPC_C_GW_MALFORMED, 1);
    /* It may be told so; the association goes on. */
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    for (;;) {
        assert_non_null(mg_hear(&a, MG_WAIT_MS));
        if (strstr(a.text, "Context = $"))
            break;
        assert_non_null(strstr(a.text, "Error"));
    }
    mg_say(&a, "Reply = %u { %s }", a.heard->transaction[0].id, ADDED);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
}

static void broken_framing_ends_the_connection(void **state)
{
    (void)state;
    up(true);
    assert_int_equal(write(a.fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
    desk_wait_fact(&d, 1, "state=lost", NULL);
}

/* A repeated request of the gateway's is carried out once and gets the same answer. */
static void at_most_once(void **state)
{
    (void)state;
    up(false);
    desk_request(&d, 0, H248_MG_ANY, ADD, 1);
    uint32_t id = mg_expect(&a, "Context = $");
    mg_say(&a, "Reply = %u { %s }", id, ADDED);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
    for (int i = 0; i < 3; i++) {
        mg_say(&a, "Transaction = 50 { Context = 5001 { Notify = ip/1/access/1 { ObservedEvents = 1 { g/cause } } } }");
        assert_int_equal(mg_expect(&a, "Notify = ip/1/access/1"), 50);
    }
    desk_wait_count(&d, EPC_C_IQ_DUPLICATES, 2);
    desk_event_at(&d, 0);
    assert_int_equal(d.n_events, 1);
    mg_say(&a, "TransactionResponseAck { 50 }");
    /* Forgotten now: the same number is another transaction. */
    mg_say(&a, "Transaction = 50 { Context = 5001 { Notify = ip/1/core/2 { ObservedEvents = 1 { g/cause } } } }");
    mg_expect(&a, "Notify = ip/1/core/2");
    desk_event_at(&d, 1);
}

static void commands_that_a_gateway_may_not_send(void **state)
{
    (void)state;
    up(true);
    static const char *const wrong[] = {"Context = $ { Add = ip/1/access/$ }", "Context = 5 { Modify = ip/1/access/5 }",
                                        "Context = 5 { Subtract = ip/1/access/5 }", "Context = - { AuditValue = ip/1/access/5 { Audit { } } }"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(wrong); i++) {
        mg_say(&a, "Transaction = %zu { %s }", 60 + i, wrong[i]);
        assert_non_null(mg_hear(&a, MG_WAIT_MS));
        if (!strstr(a.text, "Error = "))
            fail_msg("%s: %s", wrong[i], a.text);
    }
    assert_int_equal(desk_count(&d, EPC_C_IQ_COMMANDS_REFUSED), EPC_ARRAY_LEN(wrong));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static bool traced(const char *what)
{
    char line[8192];
    bool found = false;
    rewind(trace);
    while (fgets(line, sizeof line, trace))
        found = found || strstr(line, what);
    return found;
}

/* Requests and replies, sent and received. */
static void keys_stay_out_of_the_trace(void **state)
{
    (void)state;
    trace = tmpfile();
    assert_non_null(trace);
    assert_int_equal(fcntl(fileno(trace), F_SETFL, O_APPEND), 0); /* it is read on the same descriptor */
    epc_trace_setup(fileno(trace));
    up(true);
    desk_request(&d, 0, H248_MG_ANY, "Context = $ { Add = ip/1/access/$ { Media { Remote {\nv=0\na=ice-ufrag:wicU\n"
                 "a=ice-pwd:secret1\na=key-mgmt:secret2\nk=secret3\n} } } }", 1);
    uint32_t id = mg_expect(&a, "secret1");
    mg_say(&a, "Reply = %u { Context = 5001 { Add = ip/1/access/1 { Media { Local{a=ice-pwd:secret4\n"
           "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:secret5\n} } } } }", id);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
    assert_true(traced("a=ice-ufrag:wicU"));
    assert_true(traced("ip/1/access/1 "));
    assert_false(traced("secret"));
}

int main(void)
{
    epc_log_setup(EPC_LOG_ERROR, 2);
    const struct CMUnitTest tests[] = {
        T(lost_datagrams_are_repeated), T(nothing_is_repeated_over_tcp),
        T(late_reply),                  T(forgotten_request),
        T(pending_gives_time),          T(pending_for_ever),
        T(errors_of_the_whole),         T(cut_with_a_request_open),
        T(garbage),                     T(broken_framing_ends_the_connection),
        T(at_most_once),                T(commands_that_a_gateway_may_not_send),
        T(keys_stay_out_of_the_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
