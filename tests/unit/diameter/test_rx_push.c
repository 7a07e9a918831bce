/* RAR and ASR: what the PCRF reports, and what it gets for it. */
#include "rx_case.h"

/* A call that is granted; the push follows 20 ms later. */
static void ask_with(struct call *c, const char *rule)
{
    fresh(rule);
    ask(c);
    UNTIL(atomic_load(&c->n_results) == 1);
}

static void finish(struct call *c)
{
    on_shard(close_call, c);
    nothing_left();
}

static void each_specific_action(void **state)
{
    (void)state;
    static const struct {
        int action;
        const char *lost;
        enum epc_policy_event_kind kind;
        size_t n_components;
    } kind[] = {
        {1, "", EPC_PEV_CHARGING, 0},          {2, "2", EPC_PEV_MEDIA_LOST, 1},
        {2, "1, 2", EPC_PEV_ALL_MEDIA_LOST, 2}, {3, "2", EPC_PEV_RECOVERED, 1},
        {4, "", EPC_PEV_ALL_MEDIA_LOST, 0},    {6, "", EPC_PEV_ACCESS_INFO, 0},
        {7, "2", EPC_PEV_OUT_OF_CREDIT, 1},    {8, "1", EPC_PEV_RESOURCES, 1},
        {9, "1", EPC_PEV_MEDIA_LOST, 1},       {10, "", EPC_PEV_LIMITED_PCC, 0},
        {12, "", EPC_PEV_ACCESS_INFO, 0},      {13, "", EPC_PEV_LIMITED_PCC, 0},
        {14, "", EPC_PEV_ACCESS_INFO, 0},      {16, "", EPC_PEV_ACCESS_INFO, 0},
        {18, "2", EPC_PEV_CREDIT_BACK, 1},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(kind); i++) {
        struct call c = {0};
        char rule[256];
        json_t *all;
        snprintf(rule, sizeof rule, "{'rules': [{'rar_after_ms': 5, 'specific_action': [%d], 'lost': [%s]}]}",
                 kind[i].action, kind[i].lost);
        ask_with(&c, rule);
        UNTIL(atomic_load(&c.n_events) == 1);
        assert_int_equal(c.event[0].kind, kind[i].kind);
        assert_int_equal(c.event[0].code, kind[i].action);
        assert_int_equal(c.event[0].n_components, kind[i].n_components);
        assert_int_equal(c.access[0].reporting_failed, kind[i].action == 14);
        UNTIL(count("in", "RAA") == 1);
        assert_int_equal(avp_int(last(&all, "RAA"), "Result-Code"), 2001);
        json_decref(all);
        finish(&c);
    }
}

/* 5.3.13: a component of a failed allocation that is active is none. */
static void active_components_did_not_fail(void **state)
{
    (void)state;
    struct call c = {0};
    ask_with(&c, "{'rules': [{'rar_after_ms': 5, 'specific_action': [9], 'push_avps': ["
                 "{'name': 'Flows', 'avps': [{'name': 'Media-Component-Number', 'value': 1},"
                 "  {'name': 'Media-Component-Status', 'value': 0}]},"
                 "{'name': 'Flows', 'avps': [{'name': 'Media-Component-Number', 'value': 2},"
                 "  {'name': 'Media-Component-Status', 'value': 1}]}]}]}");
    UNTIL(atomic_load(&c.n_events) == 1);
    assert_int_equal(c.event[0].kind, EPC_PEV_MEDIA_LOST);
    assert_int_equal(c.event[0].n_components, 1);
    assert_int_equal(c.event[0].components[0], 2);
    finish(&c);
}

static const char where[] =
    "{'name': 'IP-CAN-Type', 'value': 5}, {'name': 'RAT-Type', 'value': 1004},"
    "{'name': '3GPP-User-Location-Info', 'value': '0x8262f210123462f2100abcdef1'},"
    "{'name': '3GPP-MS-TimeZone', 'value': '0x8001'},"
    "{'name': 'Access-Network-Charging-Address', 'address': '192.0.2.7'},"
    "{'name': 'Access-Network-Charging-Identifier', 'avps': ["
    "  {'name': 'Access-Network-Charging-Identifier-Value', 'value': '0x0102030405'},"
    "  {'name': 'Flows', 'avps': [{'name': 'Media-Component-Number', 'value': 2}]}]},"
    "{'name': 'Access-Network-Charging-Identifier', 'avps': ["
    "  {'name': 'Access-Network-Charging-Identifier-Value', 'value': '0xff00'}]}";

static void check_where(const struct call *c, int access, int charging)
{
    const struct epc_policy_access *a = &c->access[access];
    const struct epc_policy_charging *ch = &c->charging[charging];
    assert_int_equal(a->ip_can_type, 5);
    assert_int_equal(a->rat_type, 1004);
    assert_string_equal(a->access_info, "3GPP-E-UTRAN;utran-cell-id-3gpp=262011234abcdef1;network-provided");
    assert_string_equal(ch->address, "192.0.2.7");
    assert_int_equal(ch->n_ids, 2);
    assert_string_equal(ch->id[0].id, "0102030405");
    assert_int_equal(ch->id[0].n_components, 1);
    assert_int_equal(ch->id[0].components[0], 2);
    assert_string_equal(ch->id[1].id, "ff00");
    assert_int_equal(ch->id[1].n_components, 0);
}

static void several_actions_in_one_rar(void **state)
{
    (void)state;
    struct call c = {0};
    char rule[2048];
    snprintf(rule, sizeof rule,
             "{'rules': [{'rar_after_ms': 5, 'specific_action': [1, 6, 12], 'push_avps': [%s,"
             "{'name': 'Class', 'value': 'from the RAR'}]}]}", where);
    ask_with(&c, rule);
    UNTIL(atomic_load(&c.n_events) == 3);
    assert_int_equal(c.event[0].kind, EPC_PEV_CHARGING);
    assert_int_equal(c.event[1].kind, EPC_PEV_ACCESS_INFO);
    assert_int_equal(c.event[2].kind, EPC_PEV_ACCESS_INFO);
    assert_int_equal(c.event[2].code, 12);
    check_where(&c, 1, 0);
    UNTIL(count("in", "RAA") == 1);
    finish(&c);
    json_t *all;
    assert_string_equal(avp_str(last(&all, "STR"), "Class"), "from the RAR");
    json_decref(all);
}

/* The same in an AAA: known before the answer to it goes out. */
static void access_and_charging_in_an_aaa(void **state)
{
    (void)state;
    struct call c = {0};
    char rule[2048];
    snprintf(rule, sizeof rule, "{'rules': [{'answer_avps': [%s]}]}", where);
    ask_with(&c, rule);
    assert_int_equal(atomic_load(&c.n_events), 2);
    assert_int_equal(c.event[0].kind, EPC_PEV_CHARGING);
    assert_int_equal(c.event[1].kind, EPC_PEV_ACCESS_INFO);
    check_where(&c, 1, 0);
    finish(&c);
}

static void netloc_not_supported(void **state)
{
    (void)state;
    struct call c = {0};
    ask_with(&c, "{'rules': [{'answer_avps': [{'name': 'NetLoc-Access-Support', 'value': 0}]}]}");
    assert_int_equal(atomic_load(&c.n_events), 1);
    assert_true(c.access[0].reporting_failed);
    finish(&c);
}

static void wrong_pushes_are_answered_in_kind(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *answer, *failed;
        int code;
    } kind[] = {
        {"'rar_after_ms': 5, 'push_omit': ['Specific-Action']", "RAA", "Specific-Action", 5005},
        {"'rar_after_ms': 5, 'specific_action': [4, 99]", "RAA", "Specific-Action", 5004},
        {"'rar_after_ms': 5, 'specific_action': [4], 'push_omit': ['Auth-Application-Id'], 'push_avps': "
         "[{'name': 'Auth-Application-Id', 'value': 4711}]", "RAA", "Auth-Application-Id", 5004},
        {"'abort_after_ms': 5, 'push_omit': ['Abort-Cause']", "ASA", "Abort-Cause", 5005},
        {"'abort_after_ms': 5, 'push_omit': ['Auth-Application-Id']", "ASA", "Auth-Application-Id", 5005},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(kind); i++) {
        struct call c = {0};
        json_t *all;
        char rule[512];
        snprintf(rule, sizeof rule, "{'rules': [{%s}]}", kind[i].rule);
        ask_with(&c, rule);
        UNTIL(count("in", kind[i].answer) == 1);
        json_t *a = last(&all, kind[i].answer);
        assert_int_equal(avp_int(a, "Result-Code"), kind[i].code);
        json_t *failed = json_object_get(avp_named(a, "Failed-AVP"), "avps");
        assert_non_null(avp_named(failed, kind[i].failed));
        json_decref(all);
        assert_int_equal(atomic_load(&c.n_events), 0);
        finish(&c);
    }
}

static void rar_while_an_aar_is_out(void **state)
{
    (void)state;
    struct call c = {0};
    fresh("{'rules': [{'keep': true, 'delay_ms': 200, 'rar_after_ms': 20, 'push_early': true,"
          " 'specific_action': [4], 'lost': [2]}]}");
    ask(&c);
    UNTIL(atomic_load(&c.n_events) == 1);
    assert_int_equal(c.event[0].kind, EPC_PEV_MEDIA_LOST);
    assert_int_equal(atomic_load(&c.n_results), 0); /* told at once, the AAA is still to come */
    UNTIL(atomic_load(&c.n_results) == 1);
    assert_int_equal(c.result[0].outcome, EPC_POLICY_GRANTED);
    finish(&c);
}

static void second_asr_means_no_more(void **state)
{
    (void)state;
    struct call c = {0};
    json_t *all;
    ask_with(&c, "{'rules': [{'abort_after_ms': 5, 'push_times': 2, 'abort_cause': 1}]}");
    UNTIL(count("in", "ASA") == 2);
    assert_int_equal(avp_int(last(&all, "ASA"), "Result-Code"), 2001);
    json_decref(all);
    assert_int_equal(atomic_load(&c.n_events), 1);
    assert_int_equal(c.event[0].code, 1);
    finish(&c);
    /* It was not the user who left. */
    assert_int_equal(avp_int(last(&all, "STR"), "Termination-Cause"), 4);
    json_decref(all);
}

static void close_on_event(void *arg, const struct epc_policy_event *ev)
{
    struct call *c = arg;
    (void)ev;
    close_call(c);
    atomic_fetch_add(&c->n_events, 1);
}

static void ask_closing(void *arg)
{
    struct call *c = arg;
    struct epc_addr ue;
    assert_int_equal(epc_addr_parse(&ue, "10.45.0.2", 0), EPC_OK);
    struct epc_policy_open o = {.shard = t.shard, .impu = "sip:alice@ims.test", .ue = &ue, .arg = c,
                                .reservation_priority = -1, .on_event = close_on_event};
    assert_int_equal(epc_diameter_client(t.d)->open(epc_diameter_client(t.d), &o, &c->s), EPC_OK);
    c->info[c->n_info++] = audio_video();
    send_all(c);
}

/* The callback of the first of several events closes the session: the others are for nobody. */
static void session_closed_by_its_own_event(void **state)
{
    (void)state;
    struct call c = {0};
    fresh("{'rules': [{'rar_after_ms': 5, 'specific_action': [2, 4, 9]}]}");
    on_shard(ask_closing, &c);
    UNTIL(atomic_load(&c.n_events) == 1);
    UNTIL(count("in", "STR") == 1);
    nothing_left();
    assert_int_equal(atomic_load(&c.n_events), 1);
}

/* Both ends end it at once: whichever message comes first, each request is answered, one STR is sent. */
static void asr_and_str_cross(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct call c = {.close_in_callback = true};
        json_t *all;
        fresh("{'rules': [{'abort_after_ms': 0}]}");
        ask(&c);
        UNTIL(atomic_load(&c.n_results) == 1);
        UNTIL(count("in", "ASA") == 1);
        UNTIL(count("in", "STR") == 1);
        json_int_t code = avp_int(last(&all, "ASA"), "Result-Code");
        json_decref(all);
        assert_true(code == 2001 || code == 5002);
        nothing_left();
        assert_int_equal(count("in", "STR"), 1);
    }
}

static void nothing_unexpected(void **state)
{
    (void)state;
    assert_int_equal(epc_counter_read(EPC_C_FSM_UNEXPECTED), 0);
    assert_true(epc_counter_read(EPC_C_RX_PUSH_REFUSED) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_specific_action),
        cmocka_unit_test(active_components_did_not_fail),
        cmocka_unit_test(several_actions_in_one_rar),
        cmocka_unit_test(access_and_charging_in_an_aaa),
        cmocka_unit_test(netloc_not_supported),
        cmocka_unit_test(wrong_pushes_are_answered_in_kind),
        cmocka_unit_test(rar_while_an_aar_is_out),
        cmocka_unit_test(second_asr_means_no_more),
        cmocka_unit_test(session_closed_by_its_own_event),
        cmocka_unit_test(asr_and_str_cross),
        cmocka_unit_test(nothing_unexpected),
    };
    return RX_RUN(tests, rx_set_up);
}
