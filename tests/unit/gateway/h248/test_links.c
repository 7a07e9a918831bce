/* Links of Iq as they break, and peers that are no gateways: over real sockets. */
#include <string.h>
#include <unistd.h>

#include "desk.h"
#include "gateway/h248/tpkt.h"

static struct desk d;
static struct mg a, b;

static int begin(void **state)
{
    (void)state;
    a = (struct mg){.fd = -1};
    b = (struct mg){.fd = -1};
    desk_init(&d, 1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    mg_close(&a);
    mg_close(&b);
    desk_stop(&d);
    return 0;
}

static const char *const cold = "Method = Restart, Reason = \"901 Cold Boot\", Version = 2";

static void register_tcp(struct mg *m, const char *mid)
{
    mg_open(m, true, d.host, mid);
    mg_register(m, 1, cold);
}

static void expect_closed(struct mg *m)
{
    mg_expect_nothing(m, 0); /* what is there ends the connection, or nothing is there yet */
    char octet;
    assert_true(read(m->fd, &octet, 1) <= 0);
    mg_cut(m);
}

static void write_raw(const struct mg *m, const void *p, size_t n)
{
    assert_int_equal(write(m->fd, p, n), (ssize_t)n);
}

static void packet_in_pieces(void **state)
{
    static const char text[] = "MEGACO/1 [127.0.0.1]:2944\nTransaction = 7 { Context = - { ServiceChange = ROOT { "
                               "Services { Method = Restart, Reason = \"901\" } } } }";
    uint8_t head[TPKT_HEADER_OCTETS];
    (void)state;
    desk_start(&d);
    mg_open(&a, true, d.host, "[127.0.0.1]:2944");
    tpkt_header(head, strlen(text));
    for (size_t i = 0; i < sizeof head; i++)
        write_raw(&a, head + i, 1);
    for (size_t i = 0; i < strlen(text); i++)
        write_raw(&a, text + i, 1);
    assert_int_equal(mg_expect(&a, "ServiceChange = ROOT"), 7);
    desk_wait_fact(&d, 1, "state=up", &a);
}

static void several_packets_at_once(void **state)
{
    static const char one[] = "MEGACO/1 <mg-a>\nTransaction = 1 { Context = - { ServiceChange = ROOT { Services { "
                              "Method = Restart, Reason = \"901\" } } } }";
    static const char two[] = "MEGACO/1 <mg-a>\nTransaction = 2 { Context = - { AuditValue = ROOT { Audit { } } } }"
                              "\nTransaction = 3 { Context = - { AuditValue = ROOT { Audit { } } } }";
    char all[1024];
    size_t n = 0;
    (void)state;
    desk_start(&d);
    mg_open(&a, true, d.host, "<mg-a>");
    const char *const texts[] = {one, two};
    for (size_t i = 0; i < 2; i++) {
        tpkt_header((uint8_t *)all + n, strlen(texts[i]));
        memcpy(all + n + TPKT_HEADER_OCTETS, texts[i], strlen(texts[i]));
        n += TPKT_HEADER_OCTETS + strlen(texts[i]);
    }
    write_raw(&a, all, n);
    assert_int_equal(mg_expect(&a, "ServiceChange = ROOT"), 1);
    assert_int_equal(mg_expect(&a, "AuditValue = ROOT"), 2);
    assert_int_equal(mg_expect(&a, "AuditValue = ROOT"), 3);
    desk_wait_fact(&d, 1, "state=up", &a);
}

static void no_tpkt(void **state)
{
    (void)state;
    desk_start(&d);
    mg_open(&a, true, d.host, "<mg-a>");
    write_raw(&a, "GET / HTTP/1.1\r\n\r\n", 18);
    expect_closed(&a);
    desk_wait_count(&d, EPC_C_GW_MALFORMED, 1);
    register_tcp(&b, "<mg-b>"); /* others are not disturbed */
}

static void garbage_is_answered_and_the_link_stays(void **state)
{
    (void)state;
    desk_start(&d);
    register_tcp(&a, "<mg-a>");
    mg_say_raw(&a, "\x01\x02 nonsense", 11);
    mg_expect(&a, "Error = ");
    assert_int_not_equal(a.heard->error.code, 0);
    mg_say(&a, "Transaction = 9 { Context = - { AuditValue = ROOT { Audit { } }");
    assert_int_equal(mg_expect(&a, "Error = 4"), 9);
    mg_say(&a, "Transaction = 10 { Context = - { AuditValue = ROOT { Audit { } } } }");
    assert_int_equal(mg_expect(&a, "AuditValue = ROOT"), 10);
    assert_int_equal(desk_count(&d, EPC_C_GW_MALFORMED), 2);
}

static void garbage_of_all_kinds(void **state)
{
    static const char *const said[] = {"", "rubbish", "MEGACO/1", "MEGACO/9 <mg-a> Reply = 1 { }",
                                       "MEGACO/2 <mg-a>\nReply = 99 { Context = 1 { Add = } }",
                                       "MEGACO/2 <mg-a>\nTransaction = 1 { Context = $ {", "!/1 [\n"};
    (void)state;
    desk_start(&d);
    register_tcp(&a, "<mg-a>");
    for (size_t i = 0; i < EPC_ARRAY_LEN(said); i++)
        mg_say_raw(&a, said[i], strlen(said[i]));
    mg_say(&a, "Transaction = 10 { Context = - { AuditValue = ROOT { Audit { } } } }");
    do /* each may be told so; the association goes on */
        assert_non_null(mg_hear(&a, MG_WAIT_MS));
    while (strstr(a.text, "Error"));
    assert_int_equal(a.heard->transaction[0].id, 10);
    assert_true(desk_count(&d, EPC_C_GW_MALFORMED) >= 5);
}

/* Two that do not understand each other must not go on about it. */
static void errors_are_not_answered(void **state)
{
    (void)state;
    desk_start(&d);
    register_tcp(&a, "<mg-a>");
    mg_say(&a, "Error = 400 { \"Syntax error in message\" }");
    mg_say_raw(&a, "MEGACO/1 <mg-a>\nError = {{{", 27);
    mg_say(&a, "Transaction = 10 { Context = - { AuditValue = ROOT { Audit { } } } }");
    assert_int_equal(mg_expect(&a, "AuditValue = ROOT"), 10);
    assert_int_equal(desk_count(&d, EPC_C_GW_MALFORMED), 1);
}

static void version_that_nobody_knows(void **state)
{
    (void)state;
    desk_start(&d);
    mg_open(&a, true, d.host, "<mg-a>");
    a.version = 9;
    mg_say(&a, "Transaction = 1 { Context = - { ServiceChange = ROOT { Services { %s } } } }", cold);
    mg_expect(&a, "Error = 406");
}

static void address_that_may_not_come(void **state)
{
    static char only[] = "127.77.0.0/16";
    (void)state;
    d.gateway[0].network = only;
    desk_start(&d);
    mg_open(&a, true, d.host, "<mg-a>");
    expect_closed(&a);
    mg_open(&a, false, d.host, "<mg-a>");
    mg_say(&a, "Transaction = 1 { Context = - { ServiceChange = ROOT { Services { %s } } } }", cold);
    desk_wait_count(&d, EPC_C_IQ_REFUSED, 2);
    mg_expect_nothing(&a, 50);
    b.from = "127.77.3.4";
    register_tcp(&b, "<mg-b>");
}

static void mid_that_may_not_come(void **state)
{
    static char mid[] = "<mg-a>:2944";
    (void)state;
    d.gateway[0].mid = mid;
    desk_start(&d);
    mg_open(&b, true, d.host, "<mg-b>:2944");
    mg_say(&b, "Transaction = 1 { Context = - { ServiceChange = ROOT { Services { %s } } } }", cold);
    assert_int_equal(mg_expect(&b, "Error = 402"), 1);
    register_tcp(&a, "<MG-A>:2944"); /* letter case means nothing */
    assert_int_equal(desk_count(&d, EPC_C_IQ_REFUSED), 1);
}

static void not_registered(void **state)
{
    (void)state;
    desk_start(&d);
    mg_open(&a, true, d.host, "<mg-a>");
    mg_say(&a, "Transaction = 1 { Context = 5 { Notify = ip/1/access/1 { ObservedEvents = 1 { "
               "20260101T00000000:hangterm/thb } } } }");
    assert_int_equal(mg_expect(&a, "Error = 505"), 1);
    mg_say(&a, "Reply = 77 { Context = 5 { Subtract = ip/1/access/1 } }");
    desk_wait_count(&d, EPC_C_IQ_STRAY, 1);
    mg_say(&a, "Transaction = 2 { Context = - { ServiceChange = ROOT { Services { Method = Forced, Reason = \"908\" } "
               "} } }");
    assert_int_equal(mg_expect(&a, "Error = 505"), 2);
}

/* One connection is one gateway. */
static void second_mid_on_a_connection(void **state)
{
    (void)state;
    desk_start(&d);
    register_tcp(&a, "<mg-a>");
    register_tcp(&b, "<mg-c>");
    snprintf(a.mid, sizeof a.mid, "<mg-c>"); /* one that is known, and one that is not */
    mg_say(&a, "Transaction = 4 { Context = - { ServiceChange = ROOT { Services { %s } } } }", cold);
    assert_int_equal(mg_expect(&a, "Error = 402"), 4);
    snprintf(a.mid, sizeof a.mid, "<mg-b>");
    mg_say(&a, "Transaction = 2 { Context = - { ServiceChange = ROOT { Services { %s } } } }", cold);
    assert_int_equal(mg_expect(&a, "Error = 402"), 2);
    mg_say(&a, "Transaction = 3 { Context = - { AuditValue = ROOT { Audit { } } } }");
    assert_int_equal(mg_expect(&a, "Error = 505"), 3);
}

static void make_context(struct mg *m, unsigned context)
{
    desk_request(&d, 0, H248_MG_ANY, "Context = $ { Add = ip/1/access/$ }", (int)context);
    uint32_t id = mg_expect(m, "Add = ip/1/access/$");
    mg_say(m, "Reply = %u { Context = %u { Add = ip/1/access/%u } }", (unsigned)id, context, context);
}

/* The later one has it; what the first one had is lost with a cold boot. */
static void second_gateway_with_the_same_mid(void **state)
{
    (void)state;
    desk_start(&d);
    register_tcp(&a, "<mg-a>");
    desk_wait_fact(&d, 1, "state=up", &a);
    make_context(&a, 5001);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
    b.from = "127.77.3.4";
    register_tcp(&b, "<mg-a>");
    expect_closed(&a);
    struct desk_event e = desk_event_at(&d, 0);
    assert_int_equal(e.kind, DESK_LOST);
    assert_int_equal(e.mg, 1);
    desk_wait_fact(&d, 1, "address=tcp:127.77.3.4", &b);
}

/* An optional command that fails lets those behind it go on: they are not for somebody else to give. */
static void stranger_with_a_gateways_mid(void **state)
{
    (void)state;
    desk_start(&d);
    register_tcp(&a, "<mg-a>");
    desk_wait_fact(&d, 1, "state=up", &a);
    make_context(&a, 5001);
    assert_int_equal(desk_result_at(&d, 0).err, EPC_OK);
    mg_open(&b, true, d.host, "<mg-a>");
    mg_say(&b, "Transaction = 50 { Context = - { O-ServiceChange = ROOT { Services { Method = Forced, Reason = "
               "\"908\" } } }, Context = 5001 { Notify = ip/1/access/5001 { ObservedEvents = 1 { "
               "20260101T00000000:hangterm/thb } } } }");
    mg_expect(&b, "Error = 505");
    assert_null(strstr(b.text, "Notify = ip/1/access/5001\n"));
    mg_close(&b);
    desk_wait_count(&d, EPC_C_IQ_LINKS, 1);
    mg_say(&a, "Transaction = 50 { Context = - { AuditValue = ROOT { Audit { } } } }"); /* a duplicate, by its id */
    assert_int_equal(mg_expect(&a, "Reply = 50"), 50);
    assert_int_equal(desk_n_events(&d), 0);
}

static void cut_while_it_is_checked(void **state)
{
    (void)state;
    desk_start(&d);
    a.mute = true;
    mg_open(&a, true, d.host, "<mg-a>");
    mg_register(&a, 1, cold);
    mg_cut(&a);
    desk_wait_fact(&d, 1, "state=lost", NULL);
    a.mute = false;
    register_tcp(&a, "<mg-a>");
    desk_wait_fact(&d, 1, "state=up", &a);
}

static void cut_within_a_packet(void **state)
{
    (void)state;
    desk_start(&d);
    register_tcp(&a, "<mg-a>");
    write_raw(&a, "\x03\x00\x01\x00MEGACO/1 <mg", 16);
    mg_cut(&a);
    desk_wait_fact(&d, 1, "state=lost", NULL);
}

static void cut_with_a_request_open(void **state)
{
    (void)state;
    desk_start(&d);
    register_tcp(&a, "<mg-a>");
    desk_wait_fact(&d, 1, "state=up", &a);
    desk_request(&d, 0, H248_MG_ANY, "Context = $ { Add = ip/1/access/$ }", 1);
    mg_expect(&a, "Add = ip/1/access/$");
    mg_cut(&a);
    struct desk_result r = desk_result_at(&d, 0);
    assert_int_equal(r.err, EPC_EIO);
    assert_int_equal(r.mg, 1);
    assert_string_equal(r.mg_name, "<mg-a>");
    desk_request(&d, 0, 1, "Context = 5 { Subtract = ip/1/access/1 }", 2);
    assert_int_equal(desk_result_at(&d, 1).err, EPC_ENOENT);
}

/* It asks and asks, and does not read the answers. */
static void slow_reader(void **state)
{
    struct epc_buf audits = {0};
    char text[32768];
    (void)state;
    desk_start(&d);
    a.receive_octets = 4096;
    register_tcp(&a, "<mg-a>");
    desk_wait_fact(&d, 1, "state=up", &a);
    for (int i = 0; i < 500; i++)
        epc_buf_adds(&audits, i ? ",O-AuditValue=ROOT{Audit{}}" : "O-AuditValue=ROOT{Audit{}}");
    for (unsigned id = 100; id < 4000 && desk_count(&d, EPC_C_IQ_LINKS) > 0; id++) {
        int n = snprintf(text, sizeof text, "    MEGACO/2 <mg-a>\nTransaction = %u { Context = - { %s } }", id, audits.p);
        tpkt_header((uint8_t *)text, (size_t)n - TPKT_HEADER_OCTETS);
        for (int sent = 0; sent < n;) {
            ssize_t k = send(a.fd, text + sent, (size_t)(n - sent), MSG_NOSIGNAL);
            if (k < 0)
                break;
            sent += (int)k;
        }
    }
    epc_buf_free(&audits);
    desk_wait_count(&d, EPC_C_IQ_GATEWAYS_LOST, 1);
    mg_cut(&a);
    register_tcp(&b, "<mg-b>");
}

static void too_many_connections_of_nobody(void **state)
{
    enum { ALLOWED = 64, MORE = 10 };
    static struct mg many[ALLOWED + MORE];
    (void)state;
    desk_start(&d);
    for (size_t i = 0; i < EPC_ARRAY_LEN(many); i++)
        mg_open(&many[i], true, d.host, "<mg-a>");
    desk_wait_count(&d, EPC_C_IQ_REFUSED, MORE);
    assert_int_equal(desk_count(&d, EPC_C_IQ_LINKS), ALLOWED);
    for (size_t i = 0; i < EPC_ARRAY_LEN(many); i++)
        mg_close(&many[i]);
    for (uint64_t until = epc_now_ms() + MG_WAIT_MS; desk_count(&d, EPC_C_IQ_LINKS) > 0;)
        assert_true(epc_now_ms() < until);
    register_tcp(&a, "<mg-a>");
}

static void flood_of_garbage(void **state)
{
    (void)state;
    desk_start(&d);
    mg_open(&b, false, d.host, "<mg-b>");
    for (int i = 0; i < 500; i++)
        mg_say_raw(&b, "MEGACO/1 <mg-b>\nTransaction = 1 {", 33);
    register_tcp(&a, "<mg-a>");
    assert_true(desk_count(&d, EPC_C_GW_MALFORMED) > 0);
}

/* More transactions than are remembered: the oldest are forgotten, nobody is turned away. */
static void more_requests_than_are_remembered(void **state)
{
    (void)state;
    desk_start(&d);
    register_tcp(&a, "<mg-a>");
    desk_wait_fact(&d, 1, "state=up", &a);
    for (unsigned id = 100; id < 100 + 4200; id++) {
        mg_say(&a, "Transaction = %u { Context = - { AuditValue = ROOT { Audit { } } } }", id);
        assert_int_equal(mg_expect(&a, "AuditValue = ROOT"), id);
    }
    assert_int_equal(desk_count(&d, EPC_C_IQ_REFUSED), 0);
    assert_int_equal(desk_count(&d, EPC_C_IQ_DUPLICATES), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(packet_in_pieces), TEST(several_packets_at_once), TEST(no_tpkt),
        TEST(garbage_is_answered_and_the_link_stays), TEST(garbage_of_all_kinds), TEST(errors_are_not_answered),
        TEST(version_that_nobody_knows), TEST(address_that_may_not_come), TEST(mid_that_may_not_come),
        TEST(not_registered), TEST(second_mid_on_a_connection), TEST(second_gateway_with_the_same_mid),
        TEST(stranger_with_a_gateways_mid), TEST(cut_while_it_is_checked), TEST(cut_within_a_packet),
        TEST(cut_with_a_request_open), TEST(slow_reader), TEST(too_many_connections_of_nobody),
        TEST(flood_of_garbage), TEST(more_requests_than_are_remembered),
    };
    epc_log_setup(EPC_LOG_ERROR, STDERR_FILENO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
