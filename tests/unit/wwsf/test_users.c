/* Passwords, the users' file with its faults, the page's files. */
#include "wwsf/wwsf_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* Of the right form, and nobody's password. */
#define HASH "scrypt$16$1$1$000102030405060708090a0b0c0d0e0f$" \
    "c3163d7a2f6f1e85f7ef2b8b6d5c2a7f0c1b2a39485766758493a2b1c0dfeefd"
#define ENTRY(user, extra) "{\"user\":\"" user "\",\"password\":\"" HASH "\",\"impi\":\"a@ims.test\"," \
    "\"impus\":[\"sip:a@ims.test\"]" extra "}"

static char file[] = "/tmp/epc_users_XXXXXX";

static void write_text(const char *text)
{
    FILE *f = fopen(file, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(file);
}

/* ---- passwords --------------------------------------------------------------------------------------- */

static void test_password(void **state)
{
    (void)state;
    struct epc_password p, q;
    char *one = epc_wwsf_hash_password("p\xc3\xa4ss"), *two = epc_wwsf_hash_password("p\xc3\xa4ss");
    assert_non_null(one);
    assert_non_null(two);
    assert_string_not_equal(one, two); /* salted */
    assert_int_equal(epc_password_parse(&p, one), EPC_OK);
    assert_int_equal(epc_password_parse(&q, two), EPC_OK);
    assert_true(epc_password_is(&p, epc_str_c("p\xc3\xa4ss")));
    assert_true(epc_password_is(&q, epc_str_c("p\xc3\xa4ss")));
    assert_false(epc_password_is(&p, epc_str_c("pass")));
    assert_false(epc_password_is(&p, epc_str_c("p\xc3\xa4ss ")));
    assert_false(epc_password_is(&p, EPC_STR_NULL));
    assert_false(epc_password_is(&p, ((struct epc_str){"p\xc3\xa4ss\0x", 7})));
    free(one);
    free(two);
}

static void test_password_known(void **state)
{
    (void)state;
    /* scrypt("secret", 00..0f, N=16, r=1, p=1) of another implementation: Python's hashlib */
    static const char known[] = "f4f9ef50fde105b8e988b5c2b9cbbb74037fb3b0ef2ef516140c22ce8f4f3e4f";
    char text[256];
    struct epc_password p;
    snprintf(text, sizeof text, "scrypt$16$1$1$000102030405060708090a0b0c0d0e0f$%s", known);
    assert_int_equal(epc_password_parse(&p, text), EPC_OK);
    assert_true(epc_password_is(&p, epc_str_c("secret")));
    assert_false(epc_password_is(&p, epc_str_c("Secret")));
}

static void test_password_faults(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "secret", "scrypt", "bcrypt$16$1$1$00$00",
        "scrypt$15$1$1$000102030405060708090a0b0c0d0e0f$c3163d7a2f6f1e85f7ef2b8b6d5c2a7f0c1b2a39485766758493a2b1c0dfeefd",
        "scrypt$0$1$1$000102030405060708090a0b0c0d0e0f$c3163d7a2f6f1e85f7ef2b8b6d5c2a7f0c1b2a39485766758493a2b1c0dfeefd",
        "scrypt$67108864$8$1$000102030405060708090a0b0c0d0e0f$c3163d7a2f6f1e85f7ef2b8b6d5c2a7f0c1b2a39485766758493a2b1c0dfeefd",
        "scrypt$16$0$1$000102030405060708090a0b0c0d0e0f$c3163d7a2f6f1e85f7ef2b8b6d5c2a7f0c1b2a39485766758493a2b1c0dfeefd",
        "scrypt$16$1$17$000102030405060708090a0b0c0d0e0f$c3163d7a2f6f1e85f7ef2b8b6d5c2a7f0c1b2a39485766758493a2b1c0dfeefd",
        "scrypt$16$1$1$0001$c3163d7a2f6f1e85f7ef2b8b6d5c2a7f0c1b2a39485766758493a2b1c0dfeefd",
        "scrypt$16$1$1$000102030405060708090a0b0c0d0e0f$c316",
        "scrypt$16$1$1$000102030405060708090a0b0c0d0e0f$c3163d7a2f6f1e85f7ef2b8b6d5c2a7f0c1b2a39485766758493a2b1c0dfeefg",
        HASH "$", "scrypt$-16$1$1$00$00",
    };
    struct epc_password p;
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++)
        if (epc_password_parse(&p, bad[i]) != EPC_EPROTO)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(epc_password_parse(&p, HASH), EPC_OK);
}

/* ---- users' file ------------------------------------------------------------------------------------------ */

static void test_users(void **state)
{
    (void)state;
    struct epc_users *u = NULL;
    write_text("[" ENTRY("alice", ",\"display_name\":\"Alice \xc3\x84\"") "," ENTRY("bob", "") "]");
    assert_int_equal(epc_users_load(&u, file), EPC_OK);
    assert_int_equal(u->n, 2);
    const struct epc_user *alice = epc_users_find(u, EPC_STR("alice"));
    assert_non_null(alice);
    assert_string_equal(alice->display_name, "Alice \xc3\x84");
    assert_string_equal(alice->impus[0], "sip:a@ims.test");
    assert_null(epc_users_find(u, EPC_STR("Alice")));
    assert_null(epc_users_find(u, EPC_STR("carol")));
    assert_null(epc_users_find(u, EPC_STR("")));
    epc_users_free(u);
}

static void test_users_faults(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "{", "{}", "null", "[1]", "[{}]", "[" ENTRY("", "") "]", "[" ENTRY("a\\u0001", "") "]",
        "[" ENTRY("a", "") "," ENTRY("a", "") "]", "[" ENTRY("a", ",\"user\":\"b\"") "]",
        "[" ENTRY("a", ",\"display_name\":7") "]", "[" ENTRY("a", ",\"display_name\":\"x\\r\\ny\"") "]",
        "[{\"user\":\"a\",\"password\":\"plain\",\"impi\":\"a@b\",\"impus\":[\"sip:a@b\"]}]",
        "[{\"user\":\"a\",\"password\":\"" HASH "\",\"impi\":\"ab\",\"impus\":[\"sip:a@b\"]}]",
        "[{\"user\":\"a\",\"password\":\"" HASH "\",\"impi\":\"a@b\\\"c\",\"impus\":[\"sip:a@b\"]}]",
        "[{\"user\":\"a\",\"password\":\"" HASH "\",\"impi\":\"a@b\",\"impus\":[]}]",
        "[{\"user\":\"a\",\"password\":\"" HASH "\",\"impi\":\"a@b\",\"impus\":\"sip:a@b\"}]",
        "[{\"user\":\"a\",\"password\":\"" HASH "\",\"impi\":\"a@b\",\"impus\":[\"http://b\"]}]",
        "[{\"user\":\"a\",\"password\":\"" HASH "\",\"impi\":\"a@b\",\"impus\":[\"sip:a@b\",7]}]",
        "[{\"user\":\"a\",\"password\":\"" HASH "\",\"impi\":\"a@b\",\"impus\":[\"sip:a@b>;x\"]}]",
    };
    struct epc_users *u = NULL;
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++) {
        write_text(bad[i]);
        if (epc_users_load(&u, file) != EPC_EPROTO)
            fail_msg("taken: %s", bad[i]);
        assert_null(u);
    }
    assert_int_equal(epc_users_load(&u, "/nonexistent/users.json"), EPC_EIO);
    assert_null(u);
}

static void test_no_users(void **state)
{
    (void)state;
    struct epc_users *u = NULL;
    write_text("[]");
    assert_int_equal(epc_users_load(&u, file), EPC_OK);
    assert_null(epc_users_find(u, EPC_STR("alice")));
    epc_users_free(u);
}

/* Without identities of their own they take one of the pool. */
static void test_pool_user(void **state)
{
    (void)state;
    struct epc_users *u = NULL;
    write_text("[{\"user\":\"web\",\"password\":\"" HASH "\"}]");
    assert_int_equal(epc_users_load(&u, file), EPC_OK);
    assert_null(u->v[0].impi);
    assert_int_equal(u->v[0].n_impus, 0);
    epc_users_free(u);
    u = NULL;
    write_text("[{\"user\":\"web\",\"password\":\"" HASH "\",\"impus\":[\"sip:a@b\"]}]");
    assert_int_equal(epc_users_load(&u, file), EPC_EPROTO);
}

static void test_pool_file(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "g1@ims.test\n", "g1@ims.test sip:g1@ims.test sip:g2@ims.test\n", "g1 sip:g1@ims.test\n",
        "g1@ims.test g1@ims.test\n", "g1@ims.test sip:g1@ims.test\ng1@ims.test sip:g2@ims.test\n",
        "[{\"impi\": 1}]\n",
    };
    struct epc_users *u = NULL;
    write_text("# guests\n\n g1@ims.test  sip:g1@ims.test # the first\ng2@ims.test\ttel:+49302\n"
               "g3@ims.test sip:g3@ims.test");
    assert_int_equal(epc_users_load_pool(&u, file), EPC_OK);
    assert_int_equal(u->n, 3);
    const struct epc_user *g2 = epc_users_find(u, EPC_STR("g2@ims.test"));
    assert_non_null(g2);
    assert_string_equal(g2->impus[0], "tel:+49302");
    epc_users_free(u);
    u = NULL;
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++) {
        write_text(bad[i]);
        if (epc_users_load_pool(&u, file) != EPC_EPROTO)
            fail_msg("taken: %s", bad[i]);
    }
    assert_int_equal(epc_users_load_pool(&u, "/nonexistent/pool"), EPC_EIO);
}

/* ---- page ------------------------------------------------------------------------------------------------------ */

static void test_page(void **state)
{
    (void)state;
    char folder[] = "/tmp/epc_page_XXXXXX", path[64];
    struct epc_page *p = NULL;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/index.html", folder);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs("<!doctype html>", f);
    fclose(f);
    assert_int_equal(epc_page_load(&p, folder), EPC_OK);
    unlink(path);
    const struct epc_file *index = epc_page_find(p, EPC_STR("/"));
    assert_non_null(index);
    assert_int_equal(index->n, 15);
    assert_int_equal(strlen(index->etag), 34);
    assert_null(epc_page_find(p, EPC_STR("/app.js"))->p); /* known, not there */
    assert_null(epc_page_find(p, EPC_STR("/../etc/passwd")));
    assert_null(epc_page_find(p, EPC_STR("/index.html/")));
    assert_null(epc_page_find(p, EPC_STR("")));
    epc_page_free(p);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_password),       cmocka_unit_test(test_password_known),
        cmocka_unit_test(test_password_faults), cmocka_unit_test(test_users),
        cmocka_unit_test(test_users_faults),   cmocka_unit_test(test_pool_user),
        cmocka_unit_test(test_pool_file),      cmocka_unit_test(test_no_users),
        cmocka_unit_test(test_page),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
