/* What goes wrong, and how a context ends all the same (H.248.8; TS 23.334 6.1). */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "sdp.h"
#include "seams.h"

#define ADDED                                                                                        \
    "Context = 5001 { Add = ip/1/access/17 { Media { Stream = 1 { Local {\n"                         \
    "v=0\nc=IN IP4 198.51.100.20\nm=audio 40000 UDP/TLS/RTP/SAVPF 0 126\na=rtcp-mux\n"               \
    "a=ice-ufrag:Mf3b\na=ice-pwd:9uB6YZ1KyaEJGQk1ZKqH5d\n"                                           \
    "a=candidate:1 1 udp 2130706431 198.51.100.20 40000 typ host\n"                                  \
    "a=fingerprint:sha-256 AA:BB\na=setup:actpass\n } } } }, "                                       \
    "Add = ip/1/core/18 { Media { Stream = 1 { Local {\n"                                            \
    "v=0\nc=IN IP4 10.10.0.20\nm=audio 50000 RTP/AVP 0 126\n } } } } }"
#define SUBTRACT                                                                                     \
    "Context = 5001 { Subtract = ip/1/access/17 { Audit { Statistics } }, "                          \
    "Subtract = ip/1/core/18 { Audit { Statistics } } }"
#define WILDCARD "Context = 5001 { W-Subtract = * { Audit { } } }"

static int setup(void **state)
{
    (void)state;
    seams_start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    seams_stop();
    return 0;
}

static void ring(void)
{
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    reply(ADDED);
    result(1);
}

static void talk(void)
{
    ring();
    answer(sdp_wic_answer, NULL, 2);
    reply("Context = 5001 { Modify = ip/1/access/17, Modify = ip/1/core/18 }");
    result(2);
}

static void gone(void)
{
    reply("Context = 5001 { Subtract = ip/1/access/17, Subtract = ip/1/core/18 }");
}

static void error_codes_become_causes(void **state)
{
    (void)state;
    static const struct {
        unsigned code;
        int status;
        bool retry;
    } t[] = {{510, 503, true},  {412, 503, true},  {432, 503, true},  {434, 503, true}, {502, 503, true},
             {503, 503, true},  {505, 503, true},  {526, 503, true},  {530, 503, true}, {515, 488, false},
             {500, 500, false}, {501, 500, false}, {400, 500, false}, {403, 500, false}, {422, 500, false},
             {411, 503, false}, {99, 500, false}};
    for (size_t i = 0; i < EPC_ARRAY_LEN(t); i++) {
        offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
        reply_error(t[i].code); /* of the transaction */
        refusal(1, t[i].status, t[i].retry);
        char text[96];
        snprintf(text, sizeof text, "Context = $ { Error = %u { \"why\" } }", t[i].code);
        offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 2);
        reply(text); /* of the context: nothing is left behind */
        refusal(2, t[i].status, t[i].retry);
    }
    release();
    expect_nothing();
}

static void no_gateway_is_503(void **state)
{
    (void)state;
    static const enum epc_err t[] = {EPC_ENOENT, EPC_ELIMIT, EPC_ETIMEDOUT, EPC_EIO, EPC_EPROTO};
    for (size_t i = 0; i < EPC_ARRAY_LEN(t); i++) {
        offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
        reply_fails(t[i]);
        refusal(1, 503, true);
    }
    seam.refuse = EPC_EAGAIN;
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 2);
    refusal(2, 503, true);
    release(); /* what a lost Add may have made is the hub's to find */
}

/* One termination is there, the other is not: what is there goes before anybody is told. */
static void half_a_context_is_cleared(void **state)
{
    (void)state;
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    reply("Context = 5001 { Add = ip/1/access/17, Add = ip/1/core/$ { Error = 510 { \"Insufficient resources\" } } }");
    assert_int_equal(seam.n_done, 0);
    expect(WILDCARD);
    gone();
    refusal(1, 503, true);
    assert_int_equal(seam.n_ended, 1);
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 2); /* and a new one may be tried */
    assert_int_equal(seam.open[0].mg, H248_MG_ANY);
    reply(ADDED);
    result(2);
    release();
    expect(SUBTRACT);
    gone();
}

static void what_is_refused_is_left_out_for_good(void **state)
{
    (void)state;
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    reply("Context = 5001 { Add = ip/1/access/17 { Error = 445 { \"No such property: DS/DSCP\" } } }");
    expect(WILDCARD);
    gone();
    assert_int_equal(seam.n_done, 0);
    play("refused_dscp.txt"); /* the same without it */
    result(1);
    release();
    expect(SUBTRACT);
    gone();
    seams_context(false, 0);
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 2);
    play("refused_dscp_again.txt"); /* nor is it tried again */
    result(2);
    release();
    expect(SUBTRACT);
    gone();
    seam.ops->mg_lost(seam.ops_arg, 1); /* but after a restart */
    seams_context(false, 0);
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 3);
    play("tried_after_restart.txt");
    result(3);
    release();
    expect(SUBTRACT);
    gone();
}

static void a_second_refusal_counts(void **state)
{
    (void)state;
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    reply("Context = $ { Error = 449 { \"ds/dscp = 2E\" } }");
    assert_int_equal(seam.n_open, 1);
    reply("Context = $ { Error = 449 { \"tman/sdr\" } }");
    refusal(1, 500, false);
    release();
    expect_nothing();
}

/* No element is named: all that can be missed is left out. */
static void an_unnamed_refusal(void **state)
{
    (void)state;
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    reply("Context = $ { Error = 449 { \"Unsupported or unknown parameter or property value\" } }");
    play("bare.txt");
    result(1);
    release();
    expect(SUBTRACT);
    gone();
}

static void an_unknown_state_is_cleared_by_wildcard(void **state)
{
    (void)state;
    talk();
    gate(false, false);
    reply_fails(EPC_ETIMEDOUT);
    release();
    expect(WILDCARD);
    gone();
    assert_int_equal(seam.n_ended, 1);
}

/* Nobody hears that a gate could not be set, so it is set in the end; what comes after it waits. */
static void gates_are_tried_again(void **state)
{
    (void)state;
    talk();
    gate(false, false);
    reply_fails(EPC_ETIMEDOUT);
    gate(true, true);
    answer(sdp_wic_answer, NULL, 3);
    expect_nothing();
    seams_wait(1000);
    play("gate_again.txt");
    expect_nothing();
    seams_wait(0);
    result(3);
    release();
    expect(SUBTRACT);
    gone();
}

static void a_gate_that_cannot_be_set_ends_the_call(void **state)
{
    (void)state;
    talk();
    gate(false, false);
    for (unsigned wait_ms = 1000; wait_ms <= 16000; wait_ms *= 2) {
        reply("Context = 5001 { Modify = ip/1/core/18 { Error = 517 { \"Unsupported mode\" } } }");
        assert_int_equal(seam.n_events, 0);
        seams_wait(wait_ms);
    }
    reply_error(510);
    assert_int_equal(seam.n_events, 1);
    assert_int_equal(seam.event[0].kind, EPC_GW_EV_LOST);
    release();
    expect(WILDCARD);
    gone();
}

/* The owner lets go while a gate rests, by itself or because of a report; or the gateway loses it all. */
static void a_resting_gate_holds_nothing_up(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        if (!seam.ctx)
            seams_context(false, 0);
        talk();
        gate(false, false);
        reply_fails(EPC_ETIMEDOUT);
        seam.release_in_event = i > 0;
        if (i == 0)
            release();
        else if (i == 1)
            notify(5001, "Notify = ip/1/access/17 { ObservedEvents = 2 { 20260822T10131300:adid/ipstop } }");
        else
            seam.ops->mg_lost(seam.ops_arg, 1);
        if (i < 2) {
            expect(WILDCARD);
            gone();
        }
        seams_wait(60000);
        expect_nothing();
    }
    assert_int_equal(epc_counter_read(EPC_C_GW_CONTEXTS), 0);
}

/* After a request whose fate is unknown, everything is said again. */
static void everything_is_said_again(void **state)
{
    (void)state;
    talk();
    offer(EPC_GW_ACCESS, sdp_wic_restart, NULL, 3);
    reply_fails(EPC_EIO);
    refusal(3, 503, true);
    restore(EPC_GW_CORE, sdp_core_offer, sdp_wic_answer);
    play("said_again.txt");
    release();
    expect(SUBTRACT);
    gone();
}

static void release_is_repeated(void **state)
{
    (void)state;
    talk();
    release();
    expect(SUBTRACT);
    reply_fails(EPC_ETIMEDOUT);
    expect_nothing();
    for (int i = 0; i < 12; i++) { /* slower and slower, and never given up */
        seams_wait(30000);
        expect(WILDCARD);
        reply_fails(i % 2 ? EPC_ENOENT : EPC_ETIMEDOUT);
    }
    seam.refuse = EPC_EAGAIN;
    seams_wait(60000);
    expect_nothing();
    seam.refuse = EPC_OK;
    seams_wait(30000);
    expect(WILDCARD);
    reply_error(411);
    assert_int_equal(seam.n_ended, 1);
}

static void one_unknown_termination_is_not_both(void **state)
{
    (void)state;
    talk();
    release();
    reply("Context = 5001 { Subtract = ip/1/access/17 { Error = 430 { \"Unknown TerminationID\" } } }");
    seams_wait(1000);
    expect(WILDCARD);
    reply("Context = 5001 { Error = 411 { \"Unknown ContextID\" } }");
}

static void release_waits_for_what_is_open(void **state)
{
    (void)state;
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    release();
    assert_int_equal(seam.n_open, 1); /* nothing but the Add */
    reply(ADDED);
    assert_int_equal(seam.n_done, 0); /* the owner has gone */
    expect(SUBTRACT);
    gone();
}

static void release_in_callbacks(void **state)
{
    (void)state;
    seam.release_in_done = true;
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    reply(ADDED);
    result(1);
    expect(SUBTRACT);
    gone();
    seams_context(false, 0);
    seam.release_in_done = false;
    talk();
    seam.release_in_event = true;
    assert_int_equal(notify(5001, "Notify = ip/1/access/17 { ObservedEvents = 2 { "
                                  "20260822T10131300:adid/ipstop, 20260822T10131301:adid/ipstop } }"),
                     0);
    assert_int_equal(seam.n_events, 1);
    expect(SUBTRACT);
    gone();
}

static void operations_queue(void **state)
{
    (void)state;
    offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
    answer(sdp_wic_answer, NULL, 2);
    gate(false, true);
    gate(true, true);
    assert_int_equal(seam.n_open, 1);
    reply(ADDED);
    assert_int_equal(seam.n_open, 1);
    reply("Context = 5001 { Modify = ip/1/access/17, Modify = ip/1/core/18 }");
    result(2);
    expect_nothing(); /* the gate is open by now */
    assert_int_equal(seam.n_done, 2);
    release();
    expect(SUBTRACT);
    gone();
}

static void a_restarted_gateway_has_nothing(void **state)
{
    (void)state;
    talk();
    gate(false, false);
    seam.ops->mg_lost(seam.ops_arg, 1);
    assert_int_equal(seam.n_events, 1);
    assert_int_equal(seam.event[0].kind, EPC_GW_EV_LOST);
    reply_fails(EPC_EIO);
    answer(sdp_wic_answer, NULL, 3);
    refusal(3, 503, false);
    release();
    expect_nothing();
}

static void a_lost_context_is_not_subtracted(void **state)
{
    (void)state;
    talk();
    seam.release_in_event = true;
    seam.ops->context_gone(seam.ops_arg, 1, 7);
    assert_int_equal(seam.n_events, 0);
    seam.ops->context_gone(seam.ops_arg, 1, 5001);
    assert_int_equal(seam.n_events, 1);
    expect_nothing();
}

/* Released while the gateway was away: its restart ends the waiting. */
static void a_restart_ends_a_release(void **state)
{
    (void)state;
    talk();
    release();
    reply_fails(EPC_EIO);
    seam.ops->mg_lost(seam.ops_arg, 1);
    assert_int_equal(epc_counter_read(EPC_C_GW_CONTEXTS), 0);
    seams_wait(60000);
    expect_nothing();
}

static void a_context_that_the_gateway_forgot(void **state)
{
    (void)state;
    talk();
    offer(EPC_GW_CORE, sdp_core_reoffer, want_wic, 3);
    answer(sdp_wic_answer_hold, NULL, 4);
    seams_wait(0); /* the offer asks for nothing new */
    while (seam.n_open)
        reply("Context = 5001 { Error = 411 { \"The transaction refers to an unknown ContextID\" } }");
    seams_wait(0);
    assert_int_equal(seam.n_events, 1);
    assert_int_equal(seam.event[0].kind, EPC_GW_EV_LOST);
    refusal(4, 503, false);
    release();
    expect_nothing();
    assert_int_equal(seam.n_ended, 1);
}

static void shutdown_subtracts(void **state)
{
    (void)state;
    talk();
    epc_gw_h248_ops.destroy(seam.gw);
    expect(SUBTRACT);
    epc_h248_free(seam.open[--seam.n_open].msg); /* nobody is there for its reply */
    assert_int_equal(epc_gw_h248_ops.create(&seam.gw, NULL, &seam.cfg, (struct epc_gw_hub *)&seam), EPC_OK);
}

static void descriptions_that_cannot_be_used(void **state)
{
    (void)state;
    static const char *const locals[] = {
        "v=0\nc=IN IP4 10.10.0.20\nm=audio $ RTP/AVP 0\n", "v=0\nm=audio 5 RTP/AVP 0\n",
        "v=0\nc=IN IP4 10.10.0.20\nm=audio 0 RTP/AVP 0\n", "nonsense", "v=0\n"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(locals); i++) {
        char text[512];
        offer(EPC_GW_CORE, sdp_core_offer, want_wic_audio, 1);
        snprintf(text, sizeof text,
                 "Context = 5001 { Add = ip/1/access/17 { Media { Stream = 1 { Local {\n%s } } } }, "
                 "Add = ip/1/core/18 }", locals[i]);
        reply(text);
        expect(WILDCARD);
        gone();
        refusal(1, 500, false);
    }
    release();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(error_codes_become_causes),
        T(no_gateway_is_503),
        T(half_a_context_is_cleared),
        T(what_is_refused_is_left_out_for_good),
        T(a_second_refusal_counts),
        T(an_unnamed_refusal),
        T(an_unknown_state_is_cleared_by_wildcard),
        T(gates_are_tried_again),
        T(a_gate_that_cannot_be_set_ends_the_call),
        T(a_resting_gate_holds_nothing_up),
        T(everything_is_said_again),
        T(release_is_repeated),
        T(one_unknown_termination_is_not_both),
        T(release_waits_for_what_is_open),
        T(release_in_callbacks),
        T(operations_queue),
        T(a_restarted_gateway_has_nothing),
        T(a_lost_context_is_not_subtracted),
        T(a_restart_ends_a_release),
        T(a_context_that_the_gateway_forgot),
        T(shutdown_subtracts),
        T(descriptions_that_cannot_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
