/* The choice of an eP-CSCF: forms of a PLMN, rows that fit, order, health. */
#include "wwsf/choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- forms -------------------------------------------------------------------------------------------- */

static struct epc_plmn plmn(const char *text)
{
    struct epc_plmn p = {0};
    if (*text && !epc_plmn_parse(epc_str_c(text), &p))
        fail_msg("refused: %s", text);
    return p;
}

static void test_plmn_form(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "2", "26", "2620", "2620155", "2620a", "26201 ", "+26201", "default",
                                      "-2620", "262-", "262-1", "262-0001", "262--01", "26-201", "262.01",
                                      "262-01..262-02", "26201-"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++) {
        struct epc_plmn p;
        if (epc_plmn_parse(epc_str_c(bad[i]), &p))
            fail_msg("taken: %s", bad[i]);
    }
    struct epc_plmn p;
    assert_false(epc_plmn_parse((struct epc_str){"26201\0", 6}, &p));
    assert_false(epc_plmn_parse(EPC_STR_NULL, &p));
    p = plmn("262-01");
    assert_true(p.given && p.mcc == 262 && p.mnc == 1 && p.mnc_digits == 2);
    p = plmn("26201");
    assert_true(p.mcc == 262 && p.mnc == 1 && p.mnc_digits == 2);
    p = plmn("262001");
    assert_true(p.mcc == 262 && p.mnc == 1 && p.mnc_digits == 3);
    p = plmn("001-999");
    assert_true(p.mcc == 1 && p.mnc == 999 && p.mnc_digits == 3);
    p = plmn("262");
    assert_true(p.given && p.mcc == 262 && p.mnc_digits == 0);
}

static unsigned rank(const char *row, const char *p)
{
    struct epc_plmn_range r;
    const char *why = epc_plmn_range_parse(epc_str_c(row), &r);
    struct epc_plmn one = plmn(p);
    if (why)
        fail_msg("%s %s", row, why);
    return epc_plmn_rank(&r, &one);
}

static void test_plmn_rank(void **state)
{
    (void)state;
    assert_int_equal(rank("262-01", "26201"), 5);
    assert_int_equal(rank("262-00..262-09", "26201"), 4);
    assert_int_equal(rank("262-01", "262001"), 3);
    assert_int_equal(rank("262-001", "26201"), 3);
    assert_int_equal(rank("262-00..262-09", "262001"), 2);
    assert_int_equal(rank("262", "26201"), 1);
    assert_int_equal(rank("262", "262"), 1);
    assert_int_equal(rank("default", "26201"), 0);
    assert_int_equal(rank("262-01", "262"), 0);
    assert_int_equal(rank("262-01", "263-01"), 0);
    assert_int_equal(rank("262-01", "262-010"), 0); /* no prefix */
    assert_int_equal(rank("262-10", "262-100"), 0);
    assert_int_equal(rank("262-00..262-09", "262-10"), 0);
    assert_int_equal(rank("262-100..262-199", "262-99"), 0);
}

/* ---- rows --------------------------------------------------------------------------------------------- */

#define ROW_OF(p, u, ...) {.plmn = (char *)(uintptr_t)(p), .url = (char *)(uintptr_t)(u), __VA_ARGS__}
#define ROW(p, u) ROW_OF(p, u, .weight = 0)

/* The last letters of the URLs, in order, and the reason: "ab serving". */
static void chosen(const struct epc_choice *c, const char *serving, const char *home, const char *want)
{
    struct epc_plmn_ask ask = {.serving = plmn(serving), .home = plmn(home)};
    json_t *body = json_object();
    char letters[16] = "", got[64];
    const json_t *url;
    size_t i;
    assert_int_equal(epc_choice_fill(c, &ask, body), 0);
    json_array_foreach(json_object_get(body, "epcscf"), i, url)
        letters[i] = json_string_value(url)[6];
    snprintf(got, sizeof got, "%s %s", letters, json_string_value(json_object_get(body, "reason")));
    if (strcmp(got, want) != 0)
        fail_msg("serving %s home %s: %s, not %s", serving, home, got, want);
    json_decref(body);
}

static struct epc_choice *make(struct epc_cfg_wwsf *cfg)
{
    struct epc_choice *c = NULL;
    cfg->plmn_ttl_s = 60;
    cfg->health_fall = 3;
    cfg->health_rise = 2;
    assert_int_equal(epc_choice_create(&c, cfg), EPC_OK);
    return c;
}

static void test_plmn(void **state)
{
    (void)state;
    struct epc_cfg_plmn rows[] = {
        ROW("26201", "wss://b"), ROW("default", "wss://c"), ROW("262-01", "wss://a"), ROW("310260", "wss://d"),
        ROW("default", "wss://a"), ROW("262", "wss://e"), ROW("262-10..262-19", "wss://f"),
        ROW("262-15", "wss://g"), ROW_OF("208", "wss://h", .match = EPC_PLMN_HOME),
        ROW_OF("208-10", "wss://i", .match = EPC_PLMN_SERVING), ROW_OF("208-10", "wss://j", .match = EPC_PLMN_HOME)};
    struct epc_cfg_wwsf cfg = {.plmn = rows, .n_plmn = EPC_ARRAY_LEN(rows)};
    struct epc_choice *c = make(&cfg);
    chosen(c, "26201", "", "ba serving"); /* weights of 0: as they stand */
    chosen(c, "262001", "", "ba serving");
    chosen(c, "262-17", "", "f serving");
    chosen(c, "262-15", "", "g serving");
    chosen(c, "262-99", "", "e serving");
    chosen(c, "262", "", "e serving");
    chosen(c, "310260", "", "d serving");
    chosen(c, "31026", "", "ca unknown"); /* exact: no prefix */
    chosen(c, "", "", "ca none");
    chosen(c, "", "310260", "d home");
    chosen(c, "208-01", "", "ca unknown"); /* a row for home users only */
    chosen(c, "", "208-01", "h home");
    chosen(c, "208-10", "208-10", "i serving");
    chosen(c, "310260", "208-01", "d serving");
    cfg.plmn_first = EPC_PLMN_HOME;
    chosen(c, "310260", "208-01", "h home");
    chosen(c, "310260", "208-10", "j home");
    chosen(c, "310260", "999-99", "d serving");
    epc_choice_destroy(c);

    cfg.n_plmn = 1;
    c = make(&cfg);
    chosen(c, "310260", "", " unknown");
    struct epc_plmn_ask ask = {.malformed = true};
    json_t *body = json_object();
    assert_int_equal(epc_choice_fill(c, &ask, body), 0);
    assert_string_equal(json_string_value(json_object_get(body, "reason")), "malformed");
    assert_int_equal(json_integer_value(json_object_get(body, "ttl_s")), 60);
    json_decref(body);
    epc_choice_destroy(c);
}

static void test_known(void **state)
{
    (void)state;
    struct epc_cfg_plmn rows[] = {ROW("26201", "wss://b"), ROW("default", "wss://c"), ROW("262-02", "wss://b")};
    struct epc_cfg_wwsf cfg = {.plmn = rows, .n_plmn = EPC_ARRAY_LEN(rows)};
    struct epc_choice *c = make(&cfg);
    struct epc_plmn_ask ask = {0};
    json_t *body = json_object();
    assert_int_equal(epc_choice_fill(c, &ask, body), 0);
    assert_int_equal(json_array_size(json_object_get(body, "known")), 2);
    assert_string_equal(json_string_value(json_object_get(body, "network")), "default");
    assert_int_equal(c->n_targets, 2);
    json_decref(body);
    epc_choice_destroy(c);
}

/* ---- order ---------------------------------------------------------------------------------------------- */

static char first(const struct epc_choice *c)
{
    struct epc_plmn_ask ask = {0};
    json_t *body = json_object();
    assert_int_equal(epc_choice_fill(c, &ask, body), 0);
    const json_t *urls = json_object_get(body, "epcscf");
    assert_int_equal(json_array_size(urls), c->n_entries); /* all of them, whatever the order */
    char letter = json_string_value(json_array_get(urls, 0))[6];
    json_decref(body);
    return letter;
}

static void test_weights(void **state)
{
    (void)state;
    struct epc_cfg_plmn rows[] = {ROW_OF("default", "wss://z", .priority = 1, .weight = 1000),
                                  ROW_OF("default", "wss://a", .weight = 3), ROW_OF("default", "wss://b", .weight = 1),
                                  ROW("default", "wss://c")};
    struct epc_cfg_wwsf cfg = {.plmn = rows, .n_plmn = EPC_ARRAY_LEN(rows)};
    struct epc_choice *c = make(&cfg);
    unsigned a = 0, b = 0, n = 4000;
    for (unsigned i = 0; i < n; i++) {
        char l = first(c);
        a += l == 'a';
        b += l == 'b';
    }
    assert_int_equal(a + b, n); /* neither weight 0 nor the next priority */
    assert_in_range(a, n * 6 / 10, n * 9 / 10); /* 3 of 4, 22 standard deviations to either side */
    epc_choice_destroy(c);
}

static void report(struct epc_choice *c, char letter, bool alive, unsigned times)
{
    for (size_t i = 0; i < c->n_targets; i++)
        for (unsigned k = 0; c->targets[i].row->url[6] == letter && k < times; k++)
            epc_health_note(&c->targets[i], alive, "test");
}

static void test_health(void **state)
{
    (void)state;
    struct epc_cfg_plmn rows[] = {ROW("default", "wss://a"), ROW("default", "wss://b"),
                                  ROW_OF("default", "wss://c", .priority = 9)};
    struct epc_cfg_wwsf cfg = {.plmn = rows, .n_plmn = EPC_ARRAY_LEN(rows)};
    struct epc_choice *c = make(&cfg);
    long long down = epc_counter_read(EPC_C_WWSF_EPCSCF_DOWN);
    report(c, 'a', false, 2);
    report(c, 'a', true, 1); /* not in a row */
    report(c, 'a', false, 2);
    chosen(c, "", "", "abc none");
    report(c, 'a', false, 1);
    chosen(c, "", "", "bca none");
    assert_int_equal(epc_counter_read(EPC_C_WWSF_EPCSCF_DOWN), down + 1);
    report(c, 'b', false, 3);
    chosen(c, "", "", "cab none");
    report(c, 'c', false, 3); /* none lives: all are named, as if all did */
    chosen(c, "", "", "abc none");
    report(c, 'b', true, 1);
    chosen(c, "", "", "abc none");
    report(c, 'b', true, 1);
    chosen(c, "", "", "bac none");
    report(c, 'a', true, 2);
    report(c, 'c', true, 2);
    chosen(c, "", "", "abc none");
    assert_int_equal(epc_counter_read(EPC_C_WWSF_EPCSCF_DOWN), down);
    epc_choice_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plmn_form), cmocka_unit_test(test_plmn_rank), cmocka_unit_test(test_plmn),
        cmocka_unit_test(test_known),     cmocka_unit_test(test_weights),   cmocka_unit_test(test_health),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
