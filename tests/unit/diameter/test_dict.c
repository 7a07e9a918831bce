/* dict/: the rules that must go, what another dictionary has defined, and faulty files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "dict_load.h"
#include "diameter_priv.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void quiet(int level, const char *format, va_list ap)
{
    (void)level, (void)format, (void)ap;
}

static json_t *delivered(const char *name)
{
    static char text[200000], path[4096];
    snprintf(path, sizeof path, "%s/../dict/%s", EPC_TEST_DIR, name);
    FILE *f = fopen(path, "rb");
    json_t *doc = NULL;
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    assert_int_equal(rx_dict_parse(text, n, name, &doc), 0);
    return doc;
}

static json_t *rx_json(void)
{
    return delivered("rx.json");
}

static void rule(const char *command, const char *avp, uint32_t vendor, struct dict_object **out)
{
    struct dict_rule_request what = {0};
    struct dict_avp_request by_name = {.avp_vendor = vendor, .avp_name = (char *)avp};
    assert_int_equal(fd_dict_search(fd_g_config->cnf_dict, DICT_COMMAND, CMD_BY_NAME, command,
                                    &what.rule_parent, ENOENT), 0);
    assert_int_equal(fd_dict_search(fd_g_config->cnf_dict, DICT_AVP, AVP_BY_NAME_AND_VENDOR,
                                    &by_name, &what.rule_avp, ENOENT), 0);
    *out = NULL;
    fd_dict_search(fd_g_config->cnf_dict, DICT_RULE, RULE_BY_AVP_AND_PARENT, &what, out, 0);
}

static int apply(const json_t *doc)
{
    int rc = rx_dict_define(fd_g_config->cnf_dict, doc);
    return rc ? rc : rx_dict_rules(fd_g_config->cnf_dict, doc);
}

static void put(msg_or_avp *parent, const char *avp, union avp_value *v, struct avp **out)
{
    struct dict_object *model;
    struct avp *a;
    assert_int_equal(fd_dict_search(fd_g_config->cnf_dict, DICT_AVP, AVP_BY_NAME, avp, &model,
                                    ENOENT), 0);
    assert_int_equal(fd_msg_avp_new(model, 0, &a), 0);
    if (v)
        assert_int_equal(fd_msg_avp_setvalue(a, v), 0);
    assert_int_equal(fd_msg_avp_add(parent, MSG_BRW_LAST_CHILD, a), 0);
    if (out)
        *out = a;
}

/* What fd_msg_parse_rules() says of an answer that carries Experimental-Result alone. */
static int judge(const char *command)
{
    struct dict_object *model;
    struct msg *m = NULL;
    struct avp *group;
    static char text[] = "x";
    union avp_value octets = {.os = {(uint8_t *)text, 1}}, app = {.u32 = 16777236},
                    vendor = {.u32 = 10415}, code = {.u32 = 5065};
    assert_int_equal(fd_dict_search(fd_g_config->cnf_dict, DICT_COMMAND, CMD_BY_NAME, command,
                                    &model, ENOENT), 0);
    assert_int_equal(fd_msg_new(model, 0, &m), 0);
    put(m, "Session-Id", &octets, NULL);
    put(m, "Auth-Application-Id", &app, NULL);
    put(m, "Origin-Host", &octets, NULL);
    put(m, "Origin-Realm", &octets, NULL);
    put(m, "Experimental-Result", NULL, &group);
    put(group, "Vendor-Id", &vendor, NULL);
    put(group, "Experimental-Result-Code", &code, NULL);
    int rc = fd_msg_parse_rules(m, fd_g_config->cnf_dict, NULL);
    fd_msg_free(m);
    return rc;
}

/* Runs first: the inherited rules are as libfdcore brings them. */
static void inherited_rules_forbid_correct_answers(void **state)
{
    (void)state;
    assert_int_not_equal(judge("Re-Auth-Answer"), 0);
    assert_int_not_equal(judge("Session-Termination-Answer"), 0);
    assert_int_not_equal(judge("Abort-Session-Answer"), 0);
}

static void after_loading_they_are_legal(void **state)
{
    (void)state;
    json_t *doc = rx_json();
    struct dict_object *r;
    assert_int_equal(apply(doc), 0);
    assert_int_equal(rx_dict_relax(fd_g_config->cnf_dict), 0);
    assert_int_equal(judge("AA-Answer"), 0);
    assert_int_equal(judge("Re-Auth-Answer"), 0);
    assert_int_equal(judge("Session-Termination-Answer"), 0);
    assert_int_equal(judge("Abort-Session-Answer"), 0);
    rule("Re-Auth-Request", "Re-Auth-Request-Type", 0, &r);
    assert_null(r);
    /* Commands of the base protocol belong to other applications too: no new rules on them. */
    rule("Abort-Session-Request", "Abort-Cause", 10415, &r);
    assert_null(r);
    rule("AA-Request", "Media-Component-Description", 10415, &r);
    assert_non_null(r);
    json_decref(doc);
}

static void loading_again_changes_nothing(void **state)
{
    (void)state;
    json_t *doc = rx_json();
    assert_int_equal(apply(doc), 0);
    assert_int_equal(rx_dict_relax(fd_g_config->cnf_dict), 0);
    json_decref(doc);
}

/* base.json is for the tools, but freeDiameter's own definitions must be the same. */
static void base_agrees_with_the_library(void **state)
{
    (void)state;
    json_t *doc = delivered("base.json");
    assert_int_equal(rx_dict_define(fd_g_config->cnf_dict, doc), 0);
    json_decref(doc);
}

static struct dict_object *webrtc_avp(uint32_t vendor, uint32_t code)
{
    struct dict_avp_request what = {.avp_vendor = vendor, .avp_code = code};
    struct dict_object *found = NULL;
    assert_int_equal(fd_dict_search(fd_g_config->cnf_dict, DICT_AVP, AVP_BY_CODE_AND_VENDOR, &what, &found, 0), 0);
    return found;
}

static void webrtc_with_another_number(void **state)
{
    (void)state;
    json_t *doc = delivered("webrtc.json");
    struct rx_check *check = NULL;
    rx_dict_renumber(doc, 32473, 54321);
    assert_int_equal(apply(doc), 0);
    assert_int_equal(rx_check_new(&check, fd_g_config->cnf_dict, &doc, 1), 0);
    rx_check_free(check);
    assert_non_null(webrtc_avp(54321, 9001));
    assert_null(webrtc_avp(32473, 9001));
    json_decref(doc);
}

static int load(const char *text)
{
    json_t *doc = NULL;
    int rc = rx_dict_parse(text, strlen(text), "test", &doc);
    if (!rc)
        rc = apply(doc);
    json_decref(doc);
    return rc;
}

static void disagreement_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(load("{\"AVPs\": [{\"Code\": 520, \"Vendor\": 10415, \"Name\": \"Media-Type\","
                          " \"Type\": \"Grouped\"}]}"), EEXIST);
    assert_int_equal(load("{\"AVPs\": [{\"Code\": 521, \"Vendor\": 10415, \"Name\": \"Media-Type\","
                          " \"Type\": \"Enumerated\"}]}"), EEXIST);
    assert_int_equal(load("{\"Commands\": [{\"Code\": 265, \"Name\": \"Other-Request\","
                          " \"Flags\": {\"Must\": \"R\"}}]}"), EEXIST);
}

static void faulty_documents_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "[]", "{", "{\"Vendor\": []}", "{\"Vendors\": {}}", "{\"Vendors\": [{\"Code\": 1}]}",
        "{\"Vendors\": [{\"Code\": -1, \"Name\": \"x\"}]}",
        "{\"Vendors\": [{\"Code\": 4294967296, \"Name\": \"x\"}]}",
        "{\"Vendors\": [{\"Code\": 1, \"Name\": \"x\", \"Extra\": 1}]}",
        "{\"AVPs\": [{\"Code\": 1, \"Name\": \"x\", \"Type\": \"Grouped\", \"Flags\": {\"Must\": \"X\"}}]}",
        "{\"AVPRules\": [{\"AVP\": \"x\", \"Content\": [{\"AVP\": \"y\", \"Max\": \"many\"}]}]}",
        "{\"Vendors\": [], \"Vendors\": []}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(load(bad[i]), EINVAL);
    assert_int_equal(load("{\"AVPs\": [{\"Code\": 1, \"Vendor\": 32473, \"Name\": \"x\","
                          " \"Type\": \"NoSuchType\"}]}"), ENOENT);
    assert_int_equal(load("{\"AVPRules\": [{\"AVP\": \"Media-Type\", \"Vendor\": 10415,"
                          " \"Content\": []}]}"), EINVAL);
}

static void listen_on_lines(void **state)
{
    (void)state;
    char out[16];
    assert_true(epc_endpoints_parse_line("ListenOn = \"127.0.0.4\";\n", out, sizeof out));
    assert_string_equal(out, "127.0.0.4");
    assert_true(epc_endpoints_parse_line("\t listenon=\"::1\"; # v6", out, sizeof out));
    assert_string_equal(out, "::1");
    static const char *const no[] = {"# ListenOn = \"127.0.0.1\";", "ListenOn = 127.0.0.1;", "ListenOn",
                                     "ListenOn = \"127.0.0.1", "ListenOn = \"\";", "",
                                     "ListenOn = \"a very long name, not an address\";"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(no); i++)
        assert_false(epc_endpoints_parse_line(no[i], out, sizeof out));
}

static int set_up(void **state)
{
    (void)state;
    fd_log_handler_register(quiet);
    return fd_core_initialize();
}

static int tear_down(void **state)
{
    (void)state;
    return fd_core_shutdown() || fd_core_wait_shutdown_complete();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inherited_rules_forbid_correct_answers),
        cmocka_unit_test(after_loading_they_are_legal),
        cmocka_unit_test(loading_again_changes_nothing),
        cmocka_unit_test(base_agrees_with_the_library),
        cmocka_unit_test(webrtc_with_another_number),
        cmocka_unit_test(disagreement_is_an_error),
        cmocka_unit_test(faulty_documents_are_refused),
        cmocka_unit_test(listen_on_lines),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
