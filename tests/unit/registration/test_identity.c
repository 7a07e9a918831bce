/* Which identities a user may assert (TS 24.229 5.2.6.3, TS 23.003 13.4A). */
#include "registration/registration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *const impus[] = {"sip:alice@ims.test", "tel:+15550001", "sip:+15550002@ims.test",
                                    "sip:chatlist!.*!@ims.test", "sip:+1666!([0-9]{4})!@ims.test",
                                    "sip:a!(b!c)!@ims.test"};
static const struct epc_binding binding = {
    .impi = "alice@ims.test", .impus = impus, .n_impus = EPC_ARRAY_LEN(impus)};

static void each_kind(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *asserted; /* NULL: not allowed */
    } rows[] = {
        {"sip:alice@ims.test", "sip:alice@ims.test"},
        {"sip:alice@IMS.test:5060;transport=ws", "sip:alice@ims.test"},
        {"sip:Alice@ims.test", NULL},
        {"sip:bob@ims.test", NULL},
        {"mailto:alice@ims.test", NULL},
        {"", NULL},
        /* tel and sip companions, in the home domain alone */
        {"tel:+1-555-0001", "tel:+15550001"},
        {"sip:+15550001@ims.test;user=phone", "tel:+15550001"},
        {"sip:+15550001@evil.test;user=phone", NULL},
        {"tel:+15550002", "sip:+15550002@ims.test"},
        {"sip:15550001@ims.test", NULL},
        {"tel:+15550003", NULL},
        /* wildcarded identities */
        {"sip:chatlist42@ims.test", "sip:chatlist42@ims.test"},
        {"sip:chatlist@ims.test", "sip:chatlist@ims.test"},
        {"sip:chatlist42@other.test", NULL},
        {"sip:xchatlist42@ims.test", NULL},
        {"sip:chatlist!.*!@ims.test", "sip:chatlist!.*!@ims.test"}, /* the text fits its own pattern */
        {"sip:+16661234@ims.test", "sip:+16661234@ims.test"},
        {"sip:+1666123@ims.test", NULL},
        {"sip:+166612345@ims.test", NULL},
        {"sip:ab!c@ims.test", "sip:ab!c@ims.test"}, /* the outermost marks count */
        {"sip:ab@ims.test", NULL},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++) {
        char *as = NULL;
        bool may = epc_reg_may_assert(&binding, epc_str_c(rows[i].uri), &as);
        if (may != (rows[i].asserted != NULL) || (may && strcmp(as, rows[i].asserted) != 0))
            fail_msg("%s: %s", rows[i].uri, as ? as : "no");
        assert_int_equal(epc_reg_may_assert(&binding, epc_str_c(rows[i].uri), NULL), may);
        free(as);
    }
}

static void costly_wildcards_match_nothing(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "sip:!(a{99}){99}!@ims.test", "sip:!(a*)\\1!@ims.test", "sip:!a{9999999999}!@ims.test",
        "sip:!a{!@ims.test",          "sip:!(!@ims.test",        "sip:!!@ims.test",
        "sip:!",                      "!",                        "sip:!a!b!c"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(patterns); i++) {
        struct epc_binding b = {.impi = "a@ims.test", .impus = &patterns[i], .n_impus = 1};
        assert_false(epc_reg_may_assert(&b, EPC_STR("sip:aa@ims.test"), NULL));
    }
}

static void what_is_a_wildcard(void **state)
{
    (void)state;
    assert_true(epc_reg_is_wildcard(EPC_STR("sip:chatlist!.*!@ims.test")));
    assert_true(epc_reg_is_wildcard(EPC_STR("tel:+1555!.*!")));
    assert_false(epc_reg_is_wildcard(EPC_STR("sip:alice@ims.test")));
    assert_false(epc_reg_is_wildcard(EPC_STR("sip:alice!@ims.test")));
    assert_false(epc_reg_is_wildcard(EPC_STR("sip:!!@ims.test")));
    assert_false(epc_reg_is_wildcard(EPC_STR_NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind),
        cmocka_unit_test(costly_wildcards_match_nothing),
        cmocka_unit_test(what_is_a_wildcard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
