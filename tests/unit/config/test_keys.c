/* Each key of the schema table in turn: a wrong type, a wrong range, its default, its reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "loading.h"

static bool is_list(enum cfg_type t)
{
    return t == CFG_ADDRS || t == CFG_LIST || t == CFG_MODES || t == CFG_MAPS;
}

/* A file with nothing but this key; @return its line. */
static size_t only_key(struct epc_buf *b, const struct cfg_key *list, const struct cfg_key *k,
                       const char *value)
{
    const char *path = list ? list->path : k->path;
    const char *dot = strchr(path, '.');
    size_t line = dot ? 2 : 1;
    if (dot)
        epc_buf_printf(b, "%.*s:\n  %s:", (int)(dot - path), path, dot + 1);
    else
        epc_buf_printf(b, "%s:", path);
    if (list) {
        epc_buf_printf(b, "\n    - %s:", k->path);
        line++;
    }
    epc_buf_printf(b, " %s\n", value);
    assert_false(b->failed);
    return line;
}

static void must_fault(const struct cfg_key *list, const struct cfg_key *k, const char *value)
{
    struct epc_buf b = {0};
    struct loading l;
    char shown[128];
    size_t line = only_key(&b, list, k, value);
    snprintf(shown, sizeof shown, "%s%s%s", list ? list->path : "", list ? "[0]." : "", k->path);
    loading_text(&l, "t.yaml", b.p, false);
    if (l.err != EPC_EPROTO || !loading_has(&l, "t.yaml", line, shown, "; ")) {
        fprintf(stderr, "no fault for:\n%s", b.p);
        loading_print(&l);
        fail();
    }
    loading_clear(&l);
    epc_buf_free(&b);
}

static void must_pass(const struct cfg_key *list, const struct cfg_key *k, const char *value)
{
    struct epc_buf b = {0};
    struct loading l;
    char text[128];
    size_t line = only_key(&b, list, k, value);
    loading_text(&l, "t.yaml", b.p, false);
    snprintf(text, sizeof text, "'%s' is", value);
    if (loading_has(&l, "t.yaml", line, k->path, text)) {
        loading_print(&l);
        fail();
    }
    loading_clear(&l);
    epc_buf_free(&b);
}

static void try_types(const struct cfg_key *list, const struct cfg_key *k)
{
    must_fault(list, k, "{a: b}");
    must_fault(list, k, "");
    if (is_list(k->type)) {
        must_fault(list, k, "plain");
        if (k->type != CFG_MAPS) /* its elements' faults name the element: test_faults.c */
            must_fault(list, k, "[[a]]");
    } else
        must_fault(list, k, "[a]");
    if (k->type == CFG_BOOL || k->type == CFG_U32 || k->type == CFG_PORT || k->names ||
        k->type == CFG_ADDR)
        must_fault(list, k, is_list(k->type) ? "[words]" : "words");
}

static void try_ranges(const struct cfg_key *list, const struct cfg_key *k)
{
    char v[32];
    if (k->type != CFG_U32 && k->type != CFG_PORT)
        return;
    uint64_t min = k->type == CFG_PORT ? 1 : k->min, max = k->type == CFG_PORT ? 65535 : k->max;
    snprintf(v, sizeof v, "%llu", (unsigned long long)max + 1);
    must_fault(list, k, v);
    if (min > 0) {
        snprintf(v, sizeof v, "%llu", (unsigned long long)min - 1);
        must_fault(list, k, v);
    }
    snprintf(v, sizeof v, "%llu", (unsigned long long)min);
    must_pass(list, k, v);
    snprintf(v, sizeof v, "%llu", (unsigned long long)max);
    must_pass(list, k, v);
    must_fault(list, k, "-1");
    must_fault(list, k, "1.5");
    must_fault(list, k, "0x10");
}

static void each_key(void (*fn)(const struct cfg_key *list, const struct cfg_key *k))
{
    for (size_t i = 0; i < cfg_main_table.n_keys; i++) {
        const struct cfg_key *k = &cfg_main_table.keys[i];
        fn(NULL, k);
        for (size_t j = 0; k->type == CFG_MAPS && j < k->items->n_keys; j++)
            fn(k, &k->items->keys[j]);
    }
}

static void wrong_types(void **state)
{
    (void)state;
    each_key(try_types);
}

static void wrong_ranges(void **state)
{
    (void)state;
    each_key(try_ranges);
}

/* A key has a default, a note where it comes from, or must be given. */
static void check_row(const struct cfg_key *list, const struct cfg_key *k)
{
    (void)list;
    assert_non_null(k->help);
    if (!k->def && !k->def_note && k->need == CFG_NEED_NOT)
        fail_msg("%s: nothing says what holds when it is not given", k->path);
    if (k->type == CFG_U32)
        assert_true(k->min < k->max);
    if (is_list(k->type) && k->type != CFG_MODES)
        assert_true(k->count_at > 0);
}

static void table_is_sound(void **state)
{
    (void)state;
    each_key(check_row);
    for (size_t i = 0; i < cfg_main_table.n_keys; i++)
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(cfg_main_table.keys[i].path, cfg_main_table.keys[j].path);
            assert_true(cfg_main_table.keys[i].at != cfg_main_table.keys[j].at);
        }
}

static char *reference;

static void check_reference(const struct cfg_key *list, const struct cfg_key *k)
{
    char cell[128];
    (void)list;
    snprintf(cell, sizeof cell, "\n| `%s` | ", k->path);
    if (!strstr(reference, cell))
        fail_msg("%s is not in the reference", k->path);
}

static void reference_holds_every_key(void **state)
{
    size_t n = 0;
    (void)state;
    FILE *f = open_memstream(&reference, &n);
    assert_non_null(f);
    epc_config_reference(f);
    fclose(f);
    each_key(check_reference);
    assert_non_null(strstr(reference, "## wss.origins, each"));
    assert_non_null(strstr(reference, "| `wss.listen` | list of address:port | `[0.0.0.0:443]` |"));
    assert_non_null(strstr(reference, "| `tokens.authz_server` | https URI | obligatory when an origin allows"));
    free(reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_sound),
        cmocka_unit_test(wrong_types),
        cmocka_unit_test(wrong_ranges),
        cmocka_unit_test(reference_holds_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
