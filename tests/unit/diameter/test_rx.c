/* The Rx client against a PCRF on stock freeDiameterd: what goes over the wire, what comes back to
 * the session, and what is left behind (nothing). */
#include "rx_case.h"

/* ---- tests ----------------------------------------------------------------------------------------- */

/* An AAA that carries only Experimental-Result must reach us: under the rules that RFC 4005 and RFC
 * 6733 put on these commands it would be dropped, and each refusal would look like a time-out. */
static void refusal_by_experimental_result_alone_arrives(void **state)
{
    (void)state;
    struct call c = {0};
    fresh("{'rules': [{'experimental': 5065}]}");
    ask(&c);
    UNTIL(atomic_load(&c.n_results) == 1);
    assert_int_equal(c.result[0].outcome, EPC_POLICY_REFUSED);
    assert_int_equal(c.result[0].code, 5065);
    assert_true(c.result[0].experimental);
    on_shard(close_call, &c);
    nothing_left();
    assert_int_equal(count("in", "STR"), 0); /* nothing was granted: nothing to end */
}

static void initial_aar_is_as_agreed(void **state)
{
    (void)state;
    struct call c = {0};
    json_t *all;
    fresh("{}");
    ask(&c);
    UNTIL(atomic_load(&c.n_results) == 1);
    assert_int_equal(c.result[0].outcome, EPC_POLICY_GRANTED);
    assert_int_equal(c.result[0].code, 2001);
    assert_int_equal(pcrf_peer_sessions(&t.pcrf), 1);
    golden("aar_initial.json", last(&all, "AAR"));
    json_decref(all);

    c.info[c.n_info++] = video_update();
    on_shard(send_all, &c);
    UNTIL(atomic_load(&c.n_results) == 2);
    json_t *aar = last(&all, "AAR");
    assert_string_equal(avp_str(aar, "Destination-Host"), "pcrf.ims.test"); /* sticky */
    golden("aar_update.json", aar);
    json_decref(all);

    on_shard(close_call, &c);
    nothing_left();
    json_t *str = last(&all, "STR");
    assert_int_equal(avp_int(str, "Termination-Cause"), 1);
    assert_int_equal(avp_int(str, "Auth-Application-Id"), 16777236);
    json_decref(all);
}

static void telephone_number_and_ipv6(void **state)
{
    (void)state;
    struct call c = {.impu = "tel:+1-201-555-0123;phone-context=x", .ue = "2001:db8::17"};
    json_t *all;
    fresh("{}");
    ask(&c);
    UNTIL(atomic_load(&c.n_results) == 1);
    json_t *aar = last(&all, "AAR");
    json_t *sub = json_object_get(avp_named(aar, "Subscription-Id"), "avps");
    assert_int_equal(avp_int(sub, "Subscription-Id-Type"), 0);
    assert_string_equal(avp_str(sub, "Subscription-Id-Data"), "12015550123");
    assert_string_equal(avp_str(aar, "Framed-IPv6-Prefix"),
                        "0x008020010db8000000000000000000000017");
    assert_null(avp_named(aar, "Framed-IP-Address"));
    json_decref(all);
    on_shard(close_call, &c);
    nothing_left();
}

/* The path of the signalling itself (TS 29.214 4.4.5). */
static void signalling_session(void **state)
{
    (void)state;
    struct call c = {0};
    json_t *all;
    fresh("{}");
    assert_int_equal(epc_policy_signalling_info(&c.info[c.n_info++]), EPC_OK);
    ask(&c);
    UNTIL(atomic_load(&c.n_results) == 1);
    json_t *aar = last(&all, "AAR");
    json_t *mcd = json_object_get(avp_named(aar, "Media-Component-Description"), "avps");
    json_t *msc = json_object_get(avp_named(mcd, "Media-Sub-Component"), "avps");
    assert_int_equal(avp_int(mcd, "Media-Component-Number"), 0);
    assert_int_equal(avp_int(mcd, "Media-Type"), 4);
    assert_int_equal(avp_int(msc, "Flow-Number"), 0);
    assert_int_equal(avp_int(msc, "Flow-Usage"), 2);
    assert_null(avp_named(msc, "Flow-Description"));
    json_t *a;
    size_t i;
    int actions = 0;
    json_array_foreach(aar, i, a)
        actions += strcmp(json_string_value(json_object_get(a, "name")), "Specific-Action") == 0;
    assert_int_equal(actions, 4);
    json_decref(all);
    on_shard(close_call, &c);
    nothing_left();
}

static void refused_with_acceptable_bandwidth(void **state)
{
    (void)state;
    struct call c = {0};
    fresh("{'rules': [{'match': {'media_type': 1, 'subscription': 'alice'}, 'experimental': 5063,"
          " 'acceptable': [{'component': 2, 'ul': 500000, 'dl': 600000}, {'dl': 700000}]}]}");
    ask(&c);
    UNTIL(atomic_load(&c.n_results) == 1);
    const struct epc_policy_result *r = &c.result[0];
    assert_int_equal(r->outcome, EPC_POLICY_REFUSED);
    assert_int_equal(r->n_acceptable, 2);
    for (size_t i = 0; i < 2; i++) {
        bool session = r->acceptable[i].number == 0;
        assert_int_equal(r->acceptable[i].number, session ? 0 : 2);
        assert_int_equal(r->acceptable[i].max_ul_bps, session ? -1 : 500000);
        assert_int_equal(r->acceptable[i].max_dl_bps, session ? 700000 : 600000);
    }
    on_shard(close_call, &c);
    nothing_left();
}

static void refusals_of_each_kind(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        enum epc_policy_outcome outcome;
        uint32_t code, retry_s;
        bool experimental;
    } kind[] = {
        {"{'rules': [{'experimental': 4261, 'retry_interval': 30}]}", EPC_POLICY_REFUSED, 4261, 30,
         true},
        {"{'rules': [{'result': 5012}]}", EPC_POLICY_REFUSED, 5012, 0, false},
        {"{'rules': [{'result': 5005, 'error_bit': true}]}", EPC_POLICY_REFUSED, 5005, 0, false},
        {"{'rules': [{'result': 3004, 'error_bit': true}]}", EPC_POLICY_UNREACHABLE, 3004, 0, false},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(kind); i++) {
        /* A UE of its own: what 4261 holds back must not meet the other tests. */
        struct call c = {.close_in_callback = true, .ue = "10.45.0.9"};
        fresh(kind[i].rule);
        c.info[c.n_info++] = i ? audio_video() : video_update();
        ask(&c);
        UNTIL(atomic_load(&c.n_results) == 1);
        assert_int_equal(c.result[0].outcome, kind[i].outcome);
        if (kind[i].outcome == EPC_POLICY_REFUSED)
            assert_int_equal(c.result[0].code, kind[i].code);
        assert_int_equal(c.result[0].retry_interval_s, kind[i].retry_s);
        assert_int_equal(c.result[0].experimental, kind[i].experimental);
        nothing_left();
        UNTIL(!avoided()); /* DIAMETER_TOO_BUSY */
    }
}

static void late_answer_is_followed_by_str(void **state)
{
    (void)state;
    struct call c = {0};
    int64_t late = epc_counter_read(EPC_C_RX_LATE), timeouts = epc_counter_read(EPC_C_RX_TIMEOUT);
    fresh("{'rules': [{'delay_ms': 900}]}");
    ask(&c);
    UNTIL(atomic_load(&c.n_results) == 1);
    assert_int_equal(c.result[0].outcome, EPC_POLICY_TIMED_OUT);
    assert_int_equal(epc_counter_read(EPC_C_RX_TIMEOUT), timeouts + 1);
    UNTIL(count("in", "STR") == 1);
    nothing_left();
    assert_int_equal(epc_counter_read(EPC_C_RX_LATE), late + 1);
    assert_int_equal(atomic_load(&c.n_results), 1);

    /* The handle lives on: its next request opens a new session with all that it said before. */
    fresh("{}");
    c.info[c.n_info++] = video_update();
    on_shard(send_all, &c);
    UNTIL(atomic_load(&c.n_results) == 2);
    assert_int_equal(c.result[1].outcome, EPC_POLICY_GRANTED);
    json_t *all, *aar = last(&all, "AAR");
    assert_int_equal(avp_int(aar, "Rx-Request-Type"), 0);
    json_t *a;
    size_t i;
    int components = 0;
    json_array_foreach(aar, i, a)
        components += strcmp(json_string_value(json_object_get(a, "name")),
                             "Media-Component-Description") == 0;
    assert_int_equal(components, 2);
    json_decref(all);
    on_shard(close_call, &c);
    nothing_left();
}

static void silence_is_followed_by_str(void **state)
{
    (void)state;
    struct call c = {0};
    fresh("{'rules': [{'drop': true}]}");
    ask(&c);
    UNTIL(atomic_load(&c.n_results) == 1);
    assert_int_equal(c.result[0].outcome, EPC_POLICY_TIMED_OUT);
    on_shard(close_call, &c);
    UNTIL(count("in", "STR") == 1); /* it may have been the AAA that was lost */
    nothing_left();
}

static void requests_queue_behind_each_other(void **state)
{
    (void)state;
    struct call c = {0};
    fresh("{'rules': [{'delay_ms': 60}]}");
    c.info[c.n_info++] = audio_video();
    c.info[c.n_info++] = video_update();
    c.info[c.n_info++] = video_update(); /* nothing new: granted without a message */
    c.info[c.n_info++] = video_update();
    strcpy(c.info[3]->component[0].flow[0].downlink,
           "permit out 17 from 198.51.100.20 to 10.45.0.2 54989");
    ask(&c);
    UNTIL(atomic_load(&c.n_results) == 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(c.result[i].outcome, EPC_POLICY_GRANTED);
    json_t *all = pcrf_peer_record(&t.pcrf), *m;
    size_t i;
    assert_int_equal(json_array_size(all), 6);
    json_array_foreach(all, i, m)
        assert_string_equal(json_string_value(json_object_get(m, "command")), i % 2 ? "AAA" : "AAR");
    json_decref(all);
    on_shard(close_call, &c);
    nothing_left();
}

static void ask_and_close(void *arg)
{
    open_call(arg);
    ((struct call *)arg)->info[((struct call *)arg)->n_info++] = audio_video();
    send_all(arg);
    close_call(arg);
}

static void close_while_outstanding(void **state)
{
    (void)state;
    struct call c = {0};
    fresh("{'rules': [{'delay_ms': 100}]}");
    on_shard(ask_and_close, &c);
    UNTIL(count("in", "STR") == 1);
    nothing_left();
    assert_int_equal(atomic_load(&c.n_results), 0);
    json_t *all = pcrf_peer_record(&t.pcrf);
    static const char *const order[] = {"AAR", "AAA", "STR", "STA"};
    assert_int_equal(json_array_size(all), 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(
            json_string_value(json_object_get(json_array_get(all, i), "command")), order[i]);
    json_decref(all);
}

static void lost_session_is_opened_anew(void **state)
{
    (void)state;
    struct call c = {0};
    fresh("{'rules': [{'match': {'request_type': 1}, 'result': 5002}]}");
    c.info[c.n_info++] = audio_video();
    c.info[c.n_info++] = video_update();
    ask(&c);
    UNTIL(atomic_load(&c.n_results) == 2);
    assert_int_equal(c.result[1].outcome, EPC_POLICY_GRANTED);
    assert_int_equal(count("in", "AAR"), 3);
    assert_int_equal(pcrf_peer_sessions(&t.pcrf), 1);
    on_shard(close_call, &c);
    nothing_left();
}

static void rar_tells_what_was_lost(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        enum epc_policy_event_kind kind;
        unsigned n_components;
    } kind[] = {
        {"{'rules': [{'rar_after_ms': 20, 'specific_action': [4], 'lost': [2]}]}",
         EPC_PEV_MEDIA_LOST, 1},
        {"{'rules': [{'rar_after_ms': 20, 'specific_action': [2], 'lost': [2, 1]}]}",
         EPC_PEV_ALL_MEDIA_LOST, 2},
        {"{'rules': [{'rar_after_ms': 20, 'specific_action': [9]}]}", EPC_PEV_ALL_MEDIA_LOST, 0},
        {"{'rules': [{'rar_after_ms': 20, 'specific_action': [3]}]}", EPC_PEV_RECOVERED, 0},
        {"{'rules': [{'rar_after_ms': 20, 'specific_action': [6]}]}", EPC_PEV_ACCESS_INFO, 0},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(kind); i++) {
        struct call c = {0};
        json_t *all;
        fresh(kind[i].rule);
        ask(&c);
        UNTIL(atomic_load(&c.n_events) == 1);
        assert_int_equal(c.event[0].kind, kind[i].kind);
        assert_int_equal(c.event[0].n_components, kind[i].n_components);
        if (kind[i].n_components)
            assert_int_equal(c.event[0].components[0], 2);
        UNTIL(count("in", "RAA") == 1);
        assert_int_equal(avp_int(last(&all, "RAA"), "Result-Code"), 2001);
        json_decref(all);
        on_shard(close_call, &c);
        nothing_left();
    }
}

static void asr_is_answered_and_told(void **state)
{
    (void)state;
    struct call c = {0};
    json_t *all;
    fresh("{'rules': [{'abort_after_ms': 20, 'abort_cause': 2}]}");
    ask(&c);
    UNTIL(atomic_load(&c.n_events) == 1);
    assert_int_equal(c.event[0].kind, EPC_PEV_ABORT);
    assert_int_equal(c.event[0].code, 2);
    UNTIL(count("in", "ASA") == 1);
    assert_int_equal(avp_int(last(&all, "ASA"), "Result-Code"), 2001);
    json_decref(all);
    assert_int_equal(pcrf_peer_sessions(&t.pcrf), 1);
    on_shard(close_call, &c);
    nothing_left();
    assert_int_equal(count("in", "STR"), 1);
}

static void push_for_unknown_session_gets_5002(void **state)
{
    (void)state;
    static const char *const rule[] = {
        "{'rules': [{'abort_after_ms': 300}]}",
        "{'rules': [{'rar_after_ms': 300, 'specific_action': [2]}]}"};
    static const char *const answer[] = {"ASA", "RAA"};
    for (size_t i = 0; i < 2; i++) {
        struct call c = {.close_in_callback = true};
        json_t *all;
        int64_t unknown = epc_counter_read(EPC_C_RX_UNKNOWN_SESSION);
        fresh(rule[i]);
        ask(&c);
        UNTIL(atomic_load(&c.n_results) == 1);
        UNTIL(count("in", answer[i]) == 1);
        assert_int_equal(avp_int(last(&all, answer[i]), "Result-Code"), 5002);
        json_decref(all);
        assert_int_equal(atomic_load(&c.n_events), 0);
        assert_int_equal(epc_counter_read(EPC_C_RX_UNKNOWN_SESSION), unknown + 1);
        nothing_left();
    }
}

static void many_sessions_leave_nothing(void **state)
{
    (void)state;
    enum { N = 300 };
    struct call *c = calloc(N, sizeof *c);
    fresh("{}");
    for (int i = 0; i < N; i++) {
        c[i].close_in_callback = true;
        ask(&c[i]);
    }
    for (int i = 0; i < N; i++) {
        UNTIL(atomic_load(&c[i].n_results) == 1);
        assert_int_equal(c[i].result[0].outcome, EPC_POLICY_GRANTED);
    }
    nothing_left();
    free(c);
}

static void counters_add_up(void **state)
{
    (void)state;
    int64_t sent = epc_counter_read(EPC_C_RX_AAR);
    assert_true(sent > 300);
    assert_int_equal(sent, epc_counter_read(EPC_C_RX_AAA_OK) +
                               epc_counter_read(EPC_C_RX_AAA_REFUSED) +
                               epc_counter_read(EPC_C_RX_TIMEOUT) +
                               epc_counter_read(EPC_C_RX_NO_PEER));
    assert_int_equal(epc_counter_read(EPC_C_FSM_UNEXPECTED), 0);
}

/* The table as a graph: every state is reached, and all but the end are left again. */
static void states_are_connected(void **state)
{
    (void)state;
    static const char *const name[] = {"Pending", "Open", "Updating", "Orphan-Pending",
                                       "Orphan-Updating", "Discon", "Idle"};
    char *text = NULL, from[64], to[64];
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    epc_diameter_print_states(t.d, f);
    fclose(f);
    for (size_t i = 0; i < EPC_ARRAY_LEN(name); i++) {
        snprintf(from, sizeof from, "\"%s\" ->", name[i]);
        snprintf(to, sizeof to, "-> \"%s\"", name[i]);
        assert_non_null(strstr(text, from));
        assert_non_null(strstr(text, to));
    }
    assert_null(strstr(text, "?"));
    free(text);
}

static void without_peer_unreachable_at_once(void **state)
{
    (void)state;
    struct call c = {0}, open = {0};
    fresh("{}");
    ask(&open); /* its STR will find nobody either */
    UNTIL(atomic_load(&open.n_results) == 1);
    pcrf_peer_kill(&t.pcrf);
    UNTIL(epc_diameter_open_peers(t.d) == 0);
    int64_t timeouts = epc_counter_read(EPC_C_RX_TIMEOUT);
    ask(&c);
    UNTIL(atomic_load(&c.n_results) == 1);
    assert_int_equal(c.result[0].outcome, EPC_POLICY_UNREACHABLE);
    assert_int_equal(epc_counter_read(EPC_C_RX_TIMEOUT), timeouts);
    on_shard(close_call, &c);
    on_shard(close_call, &open);
    UNTIL(epc_counter_read(EPC_C_RX_SESSIONS) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusal_by_experimental_result_alone_arrives),
        cmocka_unit_test(initial_aar_is_as_agreed),
        cmocka_unit_test(telephone_number_and_ipv6),
        cmocka_unit_test(signalling_session),
        cmocka_unit_test(refused_with_acceptable_bandwidth),
        cmocka_unit_test(refusals_of_each_kind),
        cmocka_unit_test(late_answer_is_followed_by_str),
        cmocka_unit_test(silence_is_followed_by_str),
        cmocka_unit_test(requests_queue_behind_each_other),
        cmocka_unit_test(close_while_outstanding),
        cmocka_unit_test(lost_session_is_opened_anew),
        cmocka_unit_test(rar_tells_what_was_lost),
        cmocka_unit_test(asr_is_answered_and_told),
        cmocka_unit_test(push_for_unknown_session_gets_5002),
        cmocka_unit_test(many_sessions_leave_nothing),
        cmocka_unit_test(counters_add_up),
        cmocka_unit_test(states_are_connected),
        cmocka_unit_test(without_peer_unreachable_at_once),
    };
    t.cfg.timeout_ms = 500; /* some of these wait for it */
    return RX_RUN(tests, rx_set_up);
}
