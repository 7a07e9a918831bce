/* avp/: the delivered dictionaries, lookups in them, and what is told of faulty ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "avp/avp.h"

#include <string.h>

#define DICT_DIR EPC_TEST_DIR "/../dict"

static const struct epc_dict_avp *must_have(const struct epc_dict *d, const char *name)
{
    const struct epc_dict_avp *a = epc_dict_avp_named(d, epc_str_c(name));
    if (!a)
        fail_msg("no AVP '%s'", name);
    return a;
}

static void avps_by_code_and_name(void **state)
{
    const struct epc_dict *d = *state;
    const struct epc_dict_avp *a = must_have(d, "Media-Component-Description");
    assert_ptr_equal(epc_dict_avp(d, 517, 10415), a);
    assert_null(epc_dict_avp(d, 517, 0));
    assert_int_equal(a->type, EPC_AVP_GROUPED);
    assert_int_equal(a->must, EPC_AVP_V | EPC_AVP_M);
    assert_string_equal(a->spec, "TS 29.214 5.3.16");
    assert_string_equal(a->file, "rx.json");
    a = epc_dict_avp(d, 458, 13019);
    assert_string_equal(a->name, "Reservation-Priority");
    assert_int_equal(a->must_not, EPC_AVP_M);
    assert_string_equal(epc_dict_avp(d, 458, 0)->name, "User-Equipment-Info");
    assert_null(epc_dict_avp_named(d, epc_str_c("Media-Component")));
    assert_null(epc_dict_avp_named(d, EPC_STR_NULL));
    assert_string_equal(epc_dict_vendor_name(d, 10415), "3GPP");
    assert_string_equal(epc_dict_application_name(d, 16777236), "3GPP Rx");
    for (size_t i = 0; (a = epc_dict_avp_at(d, i)); i++) {
        assert_ptr_equal(epc_dict_avp(d, a->code, a->vendor), a);
        assert_ptr_equal(epc_dict_avp_named(d, epc_str_c(a->name)), a);
    }
}

static void commands_and_their_rules(void **state)
{
    const struct epc_dict *d = *state;
    const struct epc_dict_command *aar = epc_dict_command(d, 265, true), *c;
    assert_ptr_equal(epc_dict_command_named(d, epc_str_c("aar")), aar);
    assert_ptr_equal(epc_dict_command_named(d, epc_str_c("AA-Request")), aar);
    assert_string_equal(aar->spec, "TS 29.214 5.6.1");
    assert_ptr_equal(aar->content.rule[0].avp, must_have(d, "Session-Id"));
    assert_true(aar->content.rule[0].first);
    const struct epc_dict_rule *r = epc_dict_rule(&aar->content, must_have(d, "Specific-Action"));
    assert_int_equal(r->min, 0);
    assert_int_equal(r->max, EPC_DICT_MANY);
    r = epc_dict_rule(&epc_dict_command(d, 258, true)->content, must_have(d, "Specific-Action"));
    assert_int_equal(r->min, 1);
    assert_null(epc_dict_rule(&aar->content, must_have(d, "Flow-Number")));
    static const char *const abbreviations[] = {"AAR", "AAA", "RAR", "RAA", "STR", "STA", "ASR", "ASA",
                                                "CER", "CEA", "DWR", "DWA", "DPR", "DPA"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(abbreviations); i++) {
        c = epc_dict_command_named(d, epc_str_c(abbreviations[i]));
        assert_non_null(c);
        assert_int_equal(c->request, abbreviations[i][2] == 'R');
        assert_true(c->content.n > 0);
    }
    assert_null(epc_dict_command_at(d, EPC_ARRAY_LEN(abbreviations)));
    assert_null(epc_dict_command_named(d, EPC_STR_NULL));
}

static void places_and_values(void **state)
{
    const struct epc_dict *d = *state;
    const struct epc_dict_avp *a = must_have(d, "Flow-Number");
    bool in_519 = false, in_510 = false;
    for (size_t i = 0; i < a->n_places; i++) {
        in_519 = in_519 || a->places[i].group == must_have(d, "Media-Sub-Component");
        in_510 = in_510 || a->places[i].group == must_have(d, "Flows");
        assert_ptr_equal(a->places[i].rule->avp, a);
    }
    assert_true(in_519 && in_510);
    a = must_have(d, "Media-Type");
    int64_t v = 99;
    assert_string_equal(epc_dict_value_name(a, 0), "AUDIO");
    assert_string_equal(epc_dict_value_name(a, -1), "OTHER");
    assert_null(epc_dict_value_name(a, 7));
    assert_int_equal(epc_dict_value(a, epc_str_c("VIDEO"), &v), EPC_OK);
    assert_int_equal(v, 1);
    assert_int_equal(epc_dict_value(a, epc_str_c("video"), &v), EPC_ENOENT);
}

/* Every code of TS 29.214 5.3; 514 is in none of its tables. */
static void every_avp_of_rx_is_there(void **state)
{
    const struct epc_dict *d = *state;
    for (uint32_t code = 500; code <= 582; code++)
        if (code != 514 && !epc_dict_avp(d, code, 10415))
            fail_msg("AVP %u is not defined", code);
    for (size_t i = 0;; i++) {
        const struct epc_dict_avp *a = epc_dict_avp_at(d, i);
        if (!a)
            break;
        if (a->vendor == 10415 && a->code >= 500 && a->code <= 582)
            assert_true(strncmp(a->spec, "TS 29.214", 9) == 0);
        /* Later than Release 7: M is clear (TS 29.214 5.3.0). */
        if (a->vendor == 10415 && a->code >= 528 && a->code <= 582)
            assert_int_equal(a->must_not, EPC_AVP_M);
    }
}

static void webrtc_avps_have_m_clear_and_a_place(void **state)
{
    (void)state;
    struct epc_dict *d = NULL;
    const struct epc_dict_avp *a;
    assert_int_equal(epc_dict_load(&d, DICT_DIR, 54321, NULL), EPC_OK);
    assert_null(epc_dict_avp(d, 9001, EPC_DICT_WEBRTC_VENDOR));
    size_t n = 0;
    for (size_t i = 0; (a = epc_dict_avp_at(d, i)); i++) {
        if (a->vendor != 54321)
            continue;
        n++;
        assert_int_equal(a->must, EPC_AVP_V);
        assert_int_equal(a->must_not, EPC_AVP_M);
        assert_true(a->n_places > 0);
        for (size_t k = 0; k < a->n_places; k++)
            assert_true(a->places[k].command || a->places[k].group);
    }
    assert_true(n > 40);
    a = epc_dict_avp_named(d, epc_str_c("Media-Component-Description"));
    assert_non_null(epc_dict_rule(&a->content, epc_dict_avp(d, 9002, 54321)));
    assert_non_null(epc_dict_rule(&a->content, epc_dict_avp(d, 518, 10415)));
    epc_dict_destroy(d);
}

static void delivered_files_leave_no_remark(void **state)
{
    struct epc_buf out = {0};
    size_t n = epc_dict_remarks(*state, &out);
    if (n)
        fail_msg("%s", out.p);
    epc_buf_free(&out);
}

static void faults_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *json, *told;
    } bad[] = {
        {"", "line 1"},
        {"{\"AVPs\": 1}", "\"AVPs\" is wrong"},
        {"{\"Avps\": []}", "\"Avps\" is not part of the schema"},
        {"{\"AVPs\": [{\"Name\": \"X\", \"Type\": \"Time\"}]}", "AVPs 'X': member \"Code\" is missing"},
        {"{\"AVPs\": [{\"Code\": 1, \"Name\": \"X\", \"Type\": \"Tim\"}]}", "type 'Tim' is not known"},
        {"{\"AVPs\": [{\"Code\": 1, \"Name\": \"X\", \"Type\": \"Time\", \"Vendor\": 7}]}", "vendor 7 is not among"},
        {"{\"AVPs\": [{\"Code\": 1, \"Name\": \"X\", \"Type\": \"Time\", \"Flags\": {\"Must\": \"V\"}}]}",
         "it has no vendor"},
        {"{\"AVPs\": [{\"Code\": 1, \"Name\": \"X\", \"Type\": \"Time\", \"Flags\": {\"Must\": \"M\", \"MustNot\": \"M\"}}]}",
         "in Must and in MustNot"},
        {"{\"AVPs\": [{\"Code\": 1, \"Name\": \"X\", \"Type\": \"Time\"}, {\"Code\": 1, \"Name\": \"Y\", \"Type\": \"Time\"}]}",
         "'X' and 'Y' have the same code 1"},
        {"{\"AVPs\": [{\"Code\": 1, \"Name\": \"X\", \"Type\": \"Time\"}, {\"Code\": 2, \"Name\": \"X\", \"Type\": \"Time\"}]}",
         "two AVPs have the name 'X'"},
        {"{\"AVPs\": [{\"Code\": 1, \"Name\": \"X\", \"Type\": \"Enumerated\", \"EnumValues\": [{\"Code\": 1, \"Name\": \"A\"}, "
         "{\"Code\": 1, \"Name\": \"B\"}]}]}", "values 'A' and 'B'"},
        {"{\"AVPs\": [{\"Code\": 1, \"Name\": \"X\", \"Type\": \"Time\", \"EnumValues\": [{\"Code\": 1, \"Name\": \"A\"}]}]}",
         "does not fit type Time"},
        {"{\"AVPRules\": [{\"AVP\": \"X\", \"Content\": []}]}", "no such AVP"},
        {"{\"AVPs\": [{\"Code\": 1, \"Name\": \"X\", \"Type\": \"Time\"}], \"AVPRules\": [{\"AVP\": \"X\", \"Content\": []}]}",
         "it is not Grouped"},
        {"{\"CommandRules\": [{\"Command\": \"X\", \"Content\": []}]}", "no such command"},
        {"{\"Commands\": [{\"Code\": 1, \"Name\": \"C\"}], \"CommandRules\": [{\"Command\": \"C\", \"Content\": [{\"AVP\": \"X\"}]}]}",
         "AVP 'X' of vendor 0 is not known"},
        {"{\"AVPs\": [{\"Code\": 1, \"Name\": \"X\", \"Type\": \"Time\"}], \"Commands\": [{\"Code\": 1, \"Name\": \"C\"}], "
         "\"CommandRules\": [{\"Command\": \"C\", \"Content\": [{\"AVP\": \"X\", \"Min\": 2, \"Max\": 1}]}]}",
         "Min is more than Max"},
        {"{\"AVPs\": [{\"Code\": 1, \"Name\": \"X\", \"Type\": \"Time\"}], \"Commands\": [{\"Code\": 1, \"Name\": \"C\"}], "
         "\"CommandRules\": [{\"Command\": \"C\", \"Content\": [{\"AVP\": \"X\"}, {\"AVP\": \"X\"}]}]}", "named twice"},
        {"{\"Commands\": [{\"Code\": 1, \"Name\": \"C\"}, {\"Code\": 1, \"Name\": \"D\"}]}", "'C' and 'D'"},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++) {
        struct epc_dict_source s = {.name = "bad.json", .json = epc_str_c(bad[i].json)};
        struct epc_dict *d = NULL;
        struct epc_buf faults = {0};
        assert_int_equal(epc_dict_create(&d, &s, 1, &faults), EPC_EPROTO);
        assert_null(d);
        if (!strstr(faults.p, bad[i].told) || strncmp(faults.p, "bad.json: ", 10) != 0)
            fail_msg("'%s' is not told in: %s", bad[i].told, faults.p);
        epc_buf_free(&faults);
        assert_int_equal(epc_dict_create(&d, &s, 1, NULL), EPC_EPROTO);
    }
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    struct epc_dict *d = NULL;
    struct epc_buf faults = {0};
    assert_int_equal(epc_dict_load(&d, "/nonexistent", 0, &faults), EPC_EIO);
    assert_non_null(strstr(faults.p, "/nonexistent/base.json: No such file"));
    epc_buf_free(&faults);
}

static int set_up(void **state)
{
    struct epc_buf faults = {0};
    struct epc_dict *d = NULL;
    if (epc_dict_load(&d, DICT_DIR, 0, &faults)) {
        fputs(faults.p ? faults.p : "?", stderr);
        return -1;
    }
    epc_buf_free(&faults);
    *state = d;
    return 0;
}

static int tear_down(void **state)
{
    epc_dict_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(avps_by_code_and_name),
        cmocka_unit_test(commands_and_their_rules),
        cmocka_unit_test(places_and_values),
        cmocka_unit_test(every_avp_of_rx_is_there),
        cmocka_unit_test(webrtc_avps_have_m_clear_and_a_place),
        cmocka_unit_test(delivered_files_leave_no_remark),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(a_missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
