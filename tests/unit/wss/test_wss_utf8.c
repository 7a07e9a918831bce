/* What counts as UTF-8. */
#include "wss/wss_priv.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static void good_and_bad(void **state)
{
    (void)state;
    static const char *const good[] = {"", "REGISTER sip:example.com SIP/2.0", "caf\xc3\xa9",
                                       "\xe2\x82\xac", "\xf0\x9f\x98\x80", "12345678\xc3\xa9",
                                       "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                                      "\xff", "abc\xc3", "1234567\xc3", "12345678\xe2\x82", "\xe2(\xa1"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(good); i++)
        assert_true(epc_utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++)
        assert_false(epc_utf8_valid(bad[i], strlen(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(good_and_bad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
