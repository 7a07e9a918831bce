#include "auth/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    const char *values[3];
    enum epc_err err;
    const char *token;
} rows[] = {
    {{NULL}, EPC_ENOENT, NULL},
    {{"Bearer a.b.c"}, EPC_OK, "a.b.c"},
    {{"bearer   a.b.c  \r\n"}, EPC_OK, "a.b.c"},
    {{"Bearer a.b-_~+/c=="}, EPC_OK, "a.b-_~+/c=="},
    {{"Bearer access_token=\"a.b.c\""}, EPC_OK, "a.b.c"},
    {{"Bearer ACCESS_TOKEN = \"a.b.c\" , realm=\"x, \\\"y\""}, EPC_OK, "a.b.c"},
    {{"Bearer realm=home,\r\n access_token=\"a.b.c==\""}, EPC_OK, "a.b.c=="},
    {{"Bearer access_token=abc.d, x=y"}, EPC_OK, "abc.d"},
    {{"Bearer"}, EPC_EPROTO, NULL},
    {{"Bearer "}, EPC_EPROTO, NULL},
    {{"Bearer a b"}, EPC_EPROTO, NULL},
    {{"Bearer a.b=c d"}, EPC_EPROTO, NULL},
    {{"Bearer ="}, EPC_EPROTO, NULL},
    {{"Bearer access_token=\"\""}, EPC_EPROTO, NULL},
    {{"Bearer access_token=\"a b\""}, EPC_EPROTO, NULL},
    {{"Bearer access_token=\"a.b"}, EPC_EPROTO, NULL},
    {{"Bearer access_token=\"a\\"}, EPC_EPROTO, NULL},
    {{"Bearer access_token=\"a\","}, EPC_EPROTO, NULL},
    {{"Bearer access_token=\"a\", access_token=\"b\""}, EPC_EPROTO, NULL},
    {{"Bearer realm=\"a\""}, EPC_EPROTO, NULL},
    {{"Bearer a.b.c", "Bearer a.b.c"}, EPC_EPROTO, NULL},
    {{"Bearer a.b.c", "Digest username=\"x\""}, EPC_EPROTO, NULL},
    {{"Digest username=\"x\"", "Bearer a.b.c"}, EPC_EPROTO, NULL},
    {{"Digest username=\"x\""}, EPC_ENOENT, NULL},
    {{"BearerX a"}, EPC_ENOENT, NULL},
};

static void finds_the_one_bearer(void **state)
{
    (void)state;
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++) {
        struct epc_str v[3], token = EPC_STR("untouched");
        size_t n = 0;
        for (; n < 3 && rows[i].values[n]; n++)
            v[n] = epc_str_c(rows[i].values[n]);
        struct epc_cause cause = {0};
        enum epc_err err = epc_auth_find_bearer(v, n, &token, &cause);
        if (err != rows[i].err)
            fail_msg("row %zu '%s': %s", i, rows[i].values[0], epc_err_name(err));
        if (err == EPC_OK && !epc_str_eqc(token, rows[i].token))
            fail_msg("row %zu: token '%.*s'", i, EPC_STR_ARG(token));
        if (err != EPC_OK)
            assert_true(epc_str_eqc(token, "untouched"));
        assert_int_equal(cause.sip_status, err == EPC_EPROTO ? 400 : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_the_one_bearer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
