/* What gateways report by themselves (TS 23.334 6.1, 6.2.17). */
#include <string.h>

#include "bench.h"
#include "sdp.h"
#include "seams.h"

static int setup(void **state)
{
    (void)state;
    seams_start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (seam.ctx)
        release();
    while (seam.n_open)
        reply("Context = 5001 { Subtract = ip/1/access/17, Subtract = ip/1/core/18 }");
    seams_stop();
    return 0;
}

static void talk(void)
{
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    play("core_call.txt");
    answer(sdp_wic_answer, NULL, 2);
    play("core_call.txt");
    result(2);
}

#define NOTIFY(event) "Notify = ip/1/access/17 { ObservedEvents = 1 { 20260822T10131300:" event " } }"

static void each_report_becomes_an_event(void **state)
{
    (void)state;
    static const struct {
        const char *notify;
        int kind, failure; /* -1: none */
    } t[] = {
        {NOTIFY("hangterm/thb"), -1, 0},
        {NOTIFY("adid/ipstop { Stream = 1 }"), EPC_GW_EV_INACTIVE, 0},
        {NOTIFY("g/cause { Stream = 1, Generalcause = FT, Failurecause = \"DTLS session establishment failure\" }"),
         EPC_GW_EV_FAILED, EPC_GW_FAIL_DTLS},
        {NOTIFY("g/cause { Generalcause = FT, Failurecause = \"ICE failed\" }"), EPC_GW_EV_FAILED, EPC_GW_FAIL_ICE},
        {NOTIFY("g/cause { Generalcause = FT, Failurecause = \"consent expired\" }"), EPC_GW_EV_FAILED,
         EPC_GW_FAIL_CONSENT},
        {NOTIFY("g/cause { Generalcause = FP, Failurecause = \"out of service\" }"), EPC_GW_EV_FAILED,
         EPC_GW_FAIL_BEARER},
        {NOTIFY("g/cause { Generalcause = NR }"), EPC_GW_EV_FAILED, EPC_GW_FAIL_BEARER},
        {NOTIFY("ostuncc/ccr { Stream = 1, Result = Failure }"), EPC_GW_EV_FAILED, EPC_GW_FAIL_ICE},
        {NOTIFY("ostuncc/ccr { Stream = 1, Result = Success }"), -1, 0},
        {NOTIFY("x/unheard { a = b }"), -1, 0},
    };
    talk();
    for (size_t i = 0; i < EPC_ARRAY_LEN(t); i++) {
        size_t n = seam.n_events;
        assert_int_equal(notify(5001, t[i].notify), 0);
        assert_int_equal(seam.n_events, n + (t[i].kind >= 0));
        if (t[i].kind < 0)
            continue;
        assert_int_equal(seam.event[n].kind, t[i].kind);
        assert_int_equal(seam.event[n].stream, 0);
        if (t[i].kind == EPC_GW_EV_FAILED)
            assert_int_equal(seam.event[n].failure, t[i].failure);
    }
    assert_int_equal(view().stream[0].ice, EPC_GW_ICE_CONNECTED);
}

static void new_peers_are_learned(void **state)
{
    (void)state;
    char text[EPC_ADDR_LEN];
    talk();
    assert_int_equal(notify(5001, NOTIFY("ostuncc/nprc { Stream = 1, address = \"192.0.2.77\", port = 4711 }")), 0);
    assert_int_equal(seam.n_events, 1);
    assert_int_equal(seam.event[0].kind, EPC_GW_EV_LEARNED);
    assert_string_equal(epc_addr_text(&seam.event[0].addr, text), "192.0.2.77:4711");
    assert_int_equal(notify(5001, NOTIFY("ostuncc/nprc { Stream = 1, address = \"192.0.2.77\", port = 4711 }")), 0);
    assert_int_equal(seam.n_events, 1); /* no news */
    assert_int_equal(notify(5001, NOTIFY("ostuncc/nprc { Stream = 1, address = \"wic.local\", port = 4711 }")), 0);
    assert_int_equal(notify(5001, NOTIFY("ostuncc/nprc { Stream = 1, address = \"192.0.2.78\" }")), 0);
    assert_int_equal(notify(5001, NOTIFY("ostuncc/nprc { Stream = 9, address = \"192.0.2.78\", port = 5 }")), 0);
    assert_int_equal(seam.n_events, 1);
    assert_string_equal(epc_addr_text(&view().stream[0].learned, text), "192.0.2.77:4711");
}

static void strangers_are_told_so(void **state)
{
    (void)state;
    talk();
    int64_t unknown = epc_counter_read(EPC_C_GW_EVENTS_UNKNOWN);
    assert_int_equal(notify(5002, NOTIFY("adid/ipstop")), 411);
    assert_int_equal(notify(5001, "Notify = ip/1/access/18 { ObservedEvents = 1 { 20260822T10131300:adid/ipstop } }"),
                     430);
    /* Answered, so that it is not repeated; not taken for ours. */
    assert_int_equal(notify(5001, "Notify = ip/1/access/17 { ObservedEvents = 77 { 20260822T10131300:adid/ipstop } }"),
                     0);
    assert_int_equal(seam.n_events, 0);
    assert_int_equal(epc_counter_read(EPC_C_GW_EVENTS_UNKNOWN), unknown + 1);
}

static void case_does_not_matter(void **state)
{
    (void)state;
    talk();
    assert_int_equal(notify(5001, "NOTIFY = IP/1/Access/17 { ObservedEvents = 1 { 20260822T10131300:ADID/IpStop } }"), 0);
    assert_int_equal(seam.n_events, 1);
}

/* Its name is the operator's to say: no public text has it. */
static void consent_has_an_event_of_its_own(void **state)
{
    (void)state;
    static char element[] = "consent", name[] = "own/consent";
    struct epc_cfg_iq_name names[] = {{element, name}};
    seam.cfg.iq.ice = EPC_IQ_ICE_FULL;
    seam.cfg.iq.names = names;
    seam.cfg.iq.n_names = 1;
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    assert_false(asks_for("own/consent")); /* no gateway has that package */
    reply("Context = $ { Error = 510 { \"Insufficient resources\" } }");
    seam.packages = "ostuncc own";
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 2);
    assert_true(asks_for("own/consent"));
    reply("Context = 5001 { Add = ip/1/access/17, Add = ip/1/core/18 }");
    assert_int_equal(notify(5001, NOTIFY("own/consent { Stream = 1 }")), 0);
    assert_int_equal(seam.n_events, 1);
    assert_int_equal(seam.event[0].kind, EPC_GW_EV_FAILED);
    assert_int_equal(seam.event[0].failure, EPC_GW_FAIL_CONSENT);
    seam.cfg.iq.n_names = 0;
}

#define FORCED "{ Services { Method = Forced, Reason = \"904 Termination malfunctioning\" } }"

static void terminations_out_of_service(void **state)
{
    (void)state;
    static const char *const others[] = {"ServiceChange = ip/1/access/18 " FORCED, "ServiceChange = ip/2/* " FORCED,
                                         "ServiceChange = ip/1/access/* { Services { Method = Restart, "
                                         "Reason = \"900 Service Restored\" } }"};
    static const char *const ours[] = {"ServiceChange = ip/1/access/17 " FORCED, "ServiceChange = ip/1/Core/* " FORCED,
                                       "ServiceChange = * " FORCED};
    talk();
    for (size_t i = 0; i < EPC_ARRAY_LEN(others); i++) {
        service_change(EPC_H248_CTX_ALL, others[i]);
        assert_int_equal(seam.n_events, 0);
    }
    service_change(EPC_H248_CTX_ALL, ours[0]);
    assert_int_equal(seam.n_events, 1);
    assert_int_equal(seam.event[0].kind, EPC_GW_EV_LOST);
    service_change(5001, ours[1]); /* told once */
    assert_int_equal(seam.n_events, 1);
    release(); /* the context is there all the same */
    expect("Context = 5001 { W-Subtract = * { Audit { } } }");
    reply("Context = 5001 { W-Subtract = * }");
    for (size_t i = 1; i < EPC_ARRAY_LEN(ours); i++) {
        seams_context(false, 0);
        offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
        reply("Context = 5001 { Add = ip/1/access/17, Add = ip/1/core/18 }");
        service_change(i == 1 ? 5001 : EPC_H248_CTX_ALL, ours[i]);
        assert_int_equal(seam.n_events, i + 1);
        release();
        reply("Context = 5001 { W-Subtract = * }");
    }
}

static void lite_gateways_are_asked(void **state)
{
    (void)state;
    static const char ask[] = "Context = 5001 { AuditValue = ip/1/access/17 { Audit { Media } } }";
    char text[EPC_ADDR_LEN];
    seam.cfg.iq.learn_by_audit = true;
    talk();
    seams_wait(1000);
    expect(ask);
    reply_fails(EPC_ETIMEDOUT);
    seams_wait(1000);
    expect(ask);
    /* Remote as it was set: nothing has been learned. */
    reply("Context = 5001 { AuditValue = ip/1/access/17 { Media { Stream = 1 { Remote {\nv=0\nc=IN IP4 127.0.0.1\n"
          "m=audio 56671 UDP/TLS/RTP/SAVPF 0 126\n} } } } }");
    assert_int_equal(seam.n_events, 0);
    seams_wait(1000);
    reply("Context = 5001 { AuditValue = ip/1/access/17 { Media { Stream = 1 { Remote {\nv=0\nc=IN IP4 192.0.2.5\n"
          "m=audio 7000 UDP/TLS/RTP/SAVPF 0 126\n} } } } }");
    assert_int_equal(seam.n_events, 1);
    assert_int_equal(seam.event[0].kind, EPC_GW_EV_LEARNED);
    assert_string_equal(epc_addr_text(&seam.event[0].addr, text), "192.0.2.5:7000");
    assert_int_equal(view().stream[0].ice, EPC_GW_ICE_CONNECTED);
    seams_wait(1000);
    expect_nothing(); /* now and then */
    seams_wait(9000);
    expect(ask);
    release(); /* waits for the reply */
    reply_fails(EPC_ETIMEDOUT);
    expect("Context = 5001 { Subtract = ip/1/access/17 { Audit { Statistics } }, "
           "Subtract = ip/1/core/18 { Audit { Statistics } } }");
}

static void what_the_gateways_can_do(void **state)
{
    (void)state;
    struct epc_gw_caps caps = {0};
    epc_gw_h248_ops.caps(seam.gw, &caps);
    assert_false(caps.sctp || caps.transcodes);
    seam.cfg.iq.data_channels = seam.cfg.iq.transcodes = true;
    epc_gw_h248_ops.caps(seam.gw, &caps);
    assert_true(caps.sctp && caps.transcodes);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(each_report_becomes_an_event), T(new_peers_are_learned),       T(strangers_are_told_so),
        T(case_does_not_matter),         T(terminations_out_of_service), T(lite_gateways_are_asked),
        T(what_the_gateways_can_do),     T(consent_has_an_event_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
