/* Log-in sessions and the limits on attempts: both bounded, both with time given from outside. */
#include "wwsf/wwsf_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define HOUR ((uint64_t)3600 * 1000)

static void test_sessions(void **state)
{
    (void)state;
    struct epc_logins *l = NULL;
    char a[EPC_SESSION_ID_LEN + 1], b[EPC_SESSION_ID_LEN + 1];
    assert_int_equal(epc_logins_create(&l, 10), EPC_OK);
    assert_int_equal(epc_logins_add(l, "alice", 0, a), EPC_OK);
    assert_int_equal(epc_logins_add(l, "bob", 0, b), EPC_OK);
    assert_string_not_equal(a, b);
    assert_string_equal(epc_logins_use(l, epc_str_c(a), 1), "alice");
    assert_string_equal(epc_logins_use(l, epc_str_c(b), 1), "bob");
    assert_null(epc_logins_use(l, EPC_STR_NULL, 1));
    assert_null(epc_logins_use(l, EPC_STR("0"), 1));
    a[0] = a[0] == '0' ? '1' : '0';
    assert_null(epc_logins_use(l, epc_str_c(a), 1));
    epc_logins_remove(l, epc_str_c(b));
    epc_logins_remove(l, epc_str_c(b));
    assert_null(epc_logins_use(l, epc_str_c(b), 1));
    epc_logins_destroy(l);
}

static void test_sessions_end(void **state)
{
    (void)state;
    struct epc_logins *l = NULL;
    char id[EPC_SESSION_ID_LEN + 1];
    assert_int_equal(epc_logins_create(&l, 10), EPC_OK);
    assert_int_equal(epc_logins_add(l, "alice", 0, id), EPC_OK);
    /* Use keeps it alive, but not for ever. */
    uint64_t t = 0;
    for (; t < 7 * 24 * HOUR; t += 11 * HOUR)
        assert_non_null(epc_logins_use(l, epc_str_c(id), t));
    assert_null(epc_logins_use(l, epc_str_c(id), t));
    assert_int_equal(epc_logins_count(l), 0);
    assert_int_equal(epc_logins_add(l, "alice", 0, id), EPC_OK);
    assert_null(epc_logins_use(l, epc_str_c(id), 12 * HOUR));
    epc_logins_destroy(l);
}

static void test_sessions_bounded(void **state)
{
    (void)state;
    struct epc_logins *l = NULL;
    char id[4][EPC_SESSION_ID_LEN + 1];
    assert_int_equal(epc_logins_create(&l, 3), EPC_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(epc_logins_add(l, "alice", 0, id[i]), EPC_OK);
    assert_non_null(epc_logins_use(l, epc_str_c(id[0]), 1));
    assert_int_equal(epc_logins_add(l, "alice", 2, id[3]), EPC_OK);
    assert_int_equal(epc_logins_count(l), 3);
    assert_null(epc_logins_use(l, epc_str_c(id[1]), 3)); /* unused for longest */
    assert_non_null(epc_logins_use(l, epc_str_c(id[0]), 3));
    assert_non_null(epc_logins_use(l, epc_str_c(id[3]), 3));
    epc_logins_destroy(l);
}

static struct epc_addr address(const char *host)
{
    struct epc_addr a;
    assert_int_equal(epc_addr_parse(&a, host, 1), EPC_OK);
    return a;
}

static unsigned until_refused(struct epc_limits *l, const struct epc_addr *a, uint64_t now)
{
    unsigned n = 0;
    while (n < 1000 && epc_limits_take(l, a, now) == 0)
        n++;
    return n;
}

static void test_source_limit(void **state)
{
    (void)state;
    struct epc_limits *l = NULL;
    struct epc_addr one = address("192.0.2.1"), two = address("192.0.2.2");
    assert_int_equal(epc_limits_create(&l, 100), EPC_OK);
    assert_int_equal(until_refused(l, &one, 1000), 10);
    assert_in_range(epc_limits_take(l, &one, 1000), 1, 6);
    assert_int_equal(epc_limits_take(l, &two, 1000), 0); /* one's guesses are not two's */
    epc_limits_forgive(l, &one);
    assert_int_equal(until_refused(l, &one, 1000), 1);
    assert_int_equal(until_refused(l, &one, 7000), 1); /* one more every six seconds */
    assert_int_equal(until_refused(l, &one, 1000000), 10); /* never more than at first */
    epc_limits_destroy(l);
}

static void test_ipv6_network(void **state)
{
    (void)state;
    struct epc_limits *l = NULL;
    struct epc_addr one = address("2001:db8::1"), two = address("2001:db8::ffff:2"), other = address("2001:db8:0:1::1");
    assert_int_equal(epc_limits_create(&l, 100), EPC_OK);
    until_refused(l, &one, 1000);
    assert_int_not_equal(epc_limits_take(l, &two, 1000), 0); /* same /64 */
    assert_int_equal(epc_limits_take(l, &other, 1000), 0);
    epc_limits_destroy(l);
}

static void test_all_limit(void **state)
{
    (void)state;
    struct epc_limits *l = NULL;
    unsigned taken = 0;
    assert_int_equal(epc_limits_create(&l, 8), EPC_OK); /* fewer places than sources */
    for (unsigned i = 0; i < 200; i++) {
        char host[32];
        snprintf(host, sizeof host, "10.0.0.%u", i);
        struct epc_addr a = address(host);
        taken += epc_limits_take(l, &a, 1000) == 0;
    }
    assert_int_equal(taken, 60);
    epc_limits_destroy(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions),     cmocka_unit_test(test_sessions_end),
        cmocka_unit_test(test_sessions_bounded), cmocka_unit_test(test_source_limit),
        cmocka_unit_test(test_ipv6_network), cmocka_unit_test(test_all_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
