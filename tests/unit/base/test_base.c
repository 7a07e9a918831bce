#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"

static void slices(void **state)
{
    (void)state;
    struct epc_str s = EPC_STR("  a;b;;c \r\n"), rest = epc_str_trim(s);
    assert_true(epc_str_eqc(rest, "a;b;;c"));
    assert_true(epc_str_eqc(epc_str_cut(&rest, ';'), "a"));
    assert_true(epc_str_eqc(epc_str_cut(&rest, ';'), "b"));
    assert_int_equal(epc_str_cut(&rest, ';').n, 0);
    assert_non_null(rest.p);
    assert_true(epc_str_eqc(epc_str_cut(&rest, ';'), "c"));
    assert_null(rest.p);
    assert_true(epc_str_ieqc(EPC_STR("SIP"), "sip"));
    assert_false(epc_str_eqc(EPC_STR("SIP"), "sip"));
    assert_true(epc_str_starts(EPC_STR("abc"), "ab"));
    assert_false(epc_str_starts(EPC_STR("a"), "ab"));
}

static void numbers(void **state)
{
    (void)state;
    uint64_t v = 7;
    assert_int_equal(epc_str_u64(EPC_STR("65535"), 65535, &v), EPC_OK);
    assert_int_equal(v, 65535);
    assert_int_equal(epc_str_u64(EPC_STR("65536"), 65535, &v), EPC_EPROTO);
    assert_int_equal(epc_str_u64(EPC_STR("18446744073709551615"), UINT64_MAX, &v), EPC_OK);
    assert_true(v == UINT64_MAX);
    assert_int_equal(epc_str_u64(EPC_STR("18446744073709551616"), UINT64_MAX, &v), EPC_EPROTO);
    assert_int_equal(epc_str_u64(EPC_STR("99999999999999999999999"), UINT64_MAX, &v), EPC_EPROTO);
    assert_int_equal(epc_str_u64(EPC_STR(""), 9, &v), EPC_EPROTO);
    assert_int_equal(epc_str_u64(EPC_STR("-1"), 9, &v), EPC_EPROTO);
}

static void buffers(void **state)
{
    (void)state;
    struct epc_buf b = {0};
    size_t n = 1;
    char *empty = epc_buf_take(&b, &n);
    assert_string_equal(empty, "");
    assert_int_equal(n, 0);
    free(empty);
    for (int i = 0; i < 1000; i++)
        epc_buf_printf(&b, "%d,", i);
    epc_buf_adds(&b, "end");
    assert_false(b.failed);
    char *text = epc_buf_take(&b, &n);
    assert_int_equal(strlen(text), n);
    assert_string_equal(text + n - 7, "999,end");
    assert_null(b.p);
    free(text);
}

struct item {
    struct epc_hnode node;
    uint64_t key;
};

static bool item_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, struct item, node)->key == *(const uint64_t *)key;
}

static void drop_odd(struct epc_hnode *node, void *arg)
{
    if (EPC_CONTAINER(node, struct item, node)->key % 2)
        epc_hash_del(arg, node);
}

static void hash_table(void **state)
{
    (void)state;
    enum { N = 40000 };
    static struct item items[N];
    struct epc_hash h;
    assert_int_equal(epc_hash_init(&h, item_eq), EPC_OK);
    for (uint64_t i = 0; i < N; i++) {
        items[i].key = i;
        epc_hash_add(&h, &items[i].node, epc_hash_u64(i));
        /* Every earlier item stays reachable while buckets split one by one. */
        uint64_t probe = i / 2;
        assert_ptr_equal(epc_hash_find(&h, epc_hash_u64(probe), &probe), &items[probe].node);
    }
    assert_int_equal(h.n_items, N);
    epc_hash_each(&h, drop_odd, &h);
    assert_int_equal(h.n_items, N / 2);
    for (uint64_t i = 0; i < N; i++)
        assert_true((epc_hash_find(&h, epc_hash_u64(i), &i) != NULL) == (i % 2 == 0));
    epc_hash_free(&h);
}

static void hash_is_stable(void **state)
{
    (void)state;
    assert_true(epc_hash_bytes("alice", 5) == epc_hash_bytes("alice", 5));
    assert_true(epc_hash_bytes("alice", 5) != epc_hash_bytes("alicf", 5));
    assert_true(epc_hash_bytes("alice-longer-than-8", 19) != epc_hash_bytes("alice-longer-than-9", 19));
}

static void check_mask(const char *in, const char *expected)
{
    struct epc_buf b = {0};
    epc_mask_secrets(&b, in, strlen(in));
    assert_string_equal(b.p, expected);
    epc_buf_free(&b);
}

static void secrets_are_masked(void **state)
{
    (void)state;
    check_mask("To: x\r\nAuthorization: Bearer abc\r\nVia: y\r\n",
               "To: x\r\nAuthorization: ***\r\nVia: y\r\n");
    check_mask("authorization: Digest a=\"b\",\r\n response=\"c\"\r\nVia: y\r\n",
               "authorization: ***\r\nVia: y\r\n");
    check_mask("Proxy-Authorization:x", "Proxy-Authorization: ***");
    check_mask("WWW-Authenticate: Digest nonce=\"n\", algorithm=AKAv1-MD5,\r\n ik=\"a\", ck=\"b\"\r\nVia: y\r\n",
               "WWW-Authenticate: ***\r\nVia: y\r\n");
    check_mask("WWW-Authenticate: Digest nonce=\"n\", algorithm=MD5\r\nTo: aka\r\n",
               "WWW-Authenticate: Digest nonce=\"n\", algorithm=MD5\r\nTo: aka\r\n");
    check_mask("m=audio\r\na=ice-pwd:secret\r\na=mid:0\r\n", "m=audio\r\na=ice-pwd:***\r\na=mid:0\r\n");
    check_mask("{\"sdp\":\"a=ice-pwd:secret\\r\\na=mid:0\"}", "{\"sdp\":\"a=ice-pwd:***\\r\\na=mid:0\"}");
    check_mask("a=crypto:1 AES inline:key\nx", "a=crypto:***\nx");
    check_mask("X-Authorization-Like: keep\r\n", "X-Authorization-Like: keep\r\n");
    check_mask("", "");
}

static char *read_all(int fd)
{
    static char text[8192];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static void log_lines_cannot_be_forged(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    epc_log_setup(EPC_LOG_INFO, fileno(f));
    epc_log(EPC_LOG_INFO, "test", "user=%s", "x\nforged");
    epc_log(EPC_LOG_DEBUG, "test", "not written");
    char *text = read_all(fileno(f));
    assert_non_null(strstr(text, "info test main user=x forged\n"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    epc_log_setup(EPC_LOG_INFO, STDERR_FILENO);
    fclose(f);
}

static void identities_are_hashed(void **state)
{
    (void)state;
    char a[EPC_LOG_ID_LEN], b[EPC_LOG_ID_LEN];
    epc_log_id(EPC_STR("sip:alice@ims.test"), a);
    assert_null(strstr(a, "alice"));
    assert_string_equal(a, epc_log_id(EPC_STR("sip:alice@ims.test"), b));
    epc_log_plain_ids(true);
    assert_string_equal(epc_log_id(EPC_STR("sip:alice@ims.test"), a), "sip:alice@ims.test");
    epc_log_plain_ids(false);
}

static void trace_is_json_without_secrets(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    assert_false(epc_trace_on());
    epc_trace_setup(fileno(f));
    static const char msg[] = "INVITE sip:a SIP/2.0\r\nAuthorization: Bearer tok\r\n\r\n\"\\\x01\xff";
    epc_trace(EPC_TRACE_GM, false, "1.2.3.4:5", "call-1", msg, sizeof msg - 1);
    epc_trace_setup(-1);
    char *text = read_all(fileno(f));
    assert_null(strstr(text, "tok"));
    assert_non_null(strstr(text, "\"point\":\"Gm\",\"dir\":\"in\""));
    assert_non_null(strstr(text, "\\\"\\\\\\u0001\\u00ff\"}\n"));
    fclose(f);
}

static void counter_table_is_sound(void **state)
{
    (void)state;
    for (int i = 0; i < EPC_C_COUNT; i++) {
        const struct epc_counter_info *a = epc_counter_info((enum epc_counter)i);
        assert_true(a->name[0] && strlen(a->help) > 8);
        assert_int_equal(strspn(a->name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(a->name));
        for (int k = 0; k < i; k++) {
            const struct epc_counter_info *b = epc_counter_info((enum epc_counter)k);
            assert_string_not_equal(a->name, b->name);
            assert_string_not_equal(a->help, b->help);
        }
    }
    epc_count(EPC_C_SESSIONS_STARTED);
    epc_count_add(EPC_C_SESSIONS, 3);
    epc_count_add(EPC_C_SESSIONS, -1);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS_STARTED), 1);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 2);
}

static void addresses(void **state)
{
    (void)state;
    struct epc_addr a, b;
    char text[EPC_ADDR_LEN];
    assert_int_equal(epc_addr_parse(&a, "127.0.0.1", 5060), EPC_OK);
    assert_string_equal(epc_addr_text(&a, text), "127.0.0.1:5060");
    assert_int_equal(epc_addr_parse(&b, "[::1]", 443), EPC_OK);
    assert_string_equal(epc_addr_text(&b, text), "[::1]:443");
    assert_false(epc_addr_same_ip(&a, &b));
    assert_int_equal(epc_addr_parse(&b, "127.0.0.1", 1), EPC_OK);
    assert_true(epc_addr_same_ip(&a, &b));
    assert_int_equal(epc_addr_parse(&a, "example.invalid", 1), EPC_EPROTO);
    assert_int_equal(epc_addr_parse(&a, "[]", 1), EPC_EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices),
        cmocka_unit_test(numbers),
        cmocka_unit_test(buffers),
        cmocka_unit_test(hash_table),
        cmocka_unit_test(hash_is_stable),
        cmocka_unit_test(secrets_are_masked),
        cmocka_unit_test(log_lines_cannot_be_forged),
        cmocka_unit_test(identities_are_hashed),
        cmocka_unit_test(trace_is_json_without_secrets),
        cmocka_unit_test(counter_table_is_sound),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
