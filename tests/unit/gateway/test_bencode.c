/* Bencode both ways: what is written is what rtpengine reads, and nothing that is cut, doubled or too deep
 * is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/rtpengine/bencode.h"

static void written(void **state)
{
    (void)state;
    json_t *v = json_pack("{s:s, s:i, s:i, s:b, s:[s, [], {}], s:s}", "command", "offer", "TOS", 184, "less", -3, "yes", 1,
                          "flags", "trust-address", "sdp", "v=0\r\n\"\\e:");
    struct epc_buf b = {0};
    epc_bencode_put(&b, v);
    assert_false(b.failed);
    assert_string_equal(b.p, "d7:command5:offer3:TOSi184e4:lessi-3e3:yesi1e5:flagsl13:trust-addresslede"
                             "e3:sdp9:v=0\r\n\"\\e:e");
    json_t *back = epc_bencode_get((struct epc_str){b.p, b.n});
    json_object_set_new(v, "yes", json_integer(1)); /* a truth value comes back as a number */
    assert_true(json_equal(v, back));
    json_decref(back);
    json_decref(v);
    epc_buf_free(&b);
}

static void has_no_form(void **state)
{
    json_t *const v[] = {json_null(), json_real(0.5), json_pack("[n]"), NULL};
    (void)state;
    for (size_t i = 0; i < EPC_ARRAY_LEN(v); i++) {
        struct epc_buf b = {0};
        epc_bencode_put(&b, v[i]);
        assert_true(b.failed);
        epc_buf_free(&b);
        json_decref(v[i]);
    }
}

static void not_read(void **state)
{
    const struct epc_str bad[] = {
        EPC_STR(""), EPC_STR("e"), EPC_STR("i"), EPC_STR("ie"), EPC_STR("i-e"), EPC_STR("i1"), EPC_STR("i1.5e"),
        EPC_STR("i9223372036854775808e"), EPC_STR("3:ab"), EPC_STR("3ab"), EPC_STR("-1:a"), EPC_STR("99999999999:a"),
        EPC_STR("18446744073709551615:a"), EPC_STR("l"), EPC_STR("li1e"), EPC_STR("d"), EPC_STR("d1:ae"), EPC_STR("d1:a"),
        EPC_STR("di1ei2ee"), EPC_STR("d1:ai1e1:ai2ee"), EPC_STR("i1ei2e"), EPC_STR("{}"), EPC_STR("2:a\0"),
        EPC_STR("d2:a\0i1ee"), EPC_STR("x"),
    };
    char deep[200];
    (void)state;
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++)
        if (epc_bencode_get(bad[i]))
            fail_msg("case %zu was read", i);
    memset(deep, 'l', 100);
    memset(deep + 100, 'e', 100);
    assert_null(epc_bencode_get((struct epc_str){deep, 200}));
    json_t *v = epc_bencode_get((struct epc_str){deep + 80, 40}); /* twenty are no attack */
    assert_non_null(v);
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(written), cmocka_unit_test(has_no_form), cmocka_unit_test(not_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
