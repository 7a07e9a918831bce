/* The limits on attempts: bounded, with time given from outside. */
#include "wwsf/wwsf_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct epc_addr address(const char *host)
{
    struct epc_addr a;
    assert_int_equal(epc_addr_parse(&a, host, 1), EPC_OK);
    return a;
}

static unsigned until_refused(struct epc_limits *l, const struct epc_addr *a, uint64_t now)
{
    unsigned n = 0;
    while (n < 1000 && epc_limits_take(l, a, EPC_STR("x"), now) == 0)
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
    assert_in_range(epc_limits_take(l, &one, EPC_STR("alice"), 1000), 1, 6);
    assert_int_equal(epc_limits_take(l, &two, EPC_STR("alice"), 1000), 0); /* one's guesses are not two's */
    epc_limits_forgive(l, &one, EPC_STR("x"));
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
    assert_int_not_equal(epc_limits_take(l, &two, EPC_STR("alice"), 1000), 0); /* same /64 */
    assert_int_equal(epc_limits_take(l, &other, EPC_STR("alice"), 1000), 0);
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
        taken += epc_limits_take(l, &a, epc_str_c(host), 1000) == 0;
    }
    assert_int_equal(taken, 60);
    epc_limits_destroy(l);
}

/* Many addresses, one account: guesses are counted all the same. */
static void test_account_limit(void **state)
{
    (void)state;
    struct epc_limits *l = NULL;
    unsigned taken = 0, wait_s = 0;
    assert_int_equal(epc_limits_create(&l, 100), EPC_OK);
    for (unsigned i = 0; i < 40; i++) {
        char host[32];
        snprintf(host, sizeof host, "10.0.0.%u", i);
        struct epc_addr a = address(host);
        unsigned w = epc_limits_take(l, &a, EPC_STR("alice"), 1000);
        taken += w == 0;
        wait_s = w ? w : wait_s;
    }
    assert_int_equal(taken, 20);
    assert_in_range(wait_s, 1, 15);
    struct epc_addr a = address("10.0.1.1");
    assert_int_equal(epc_limits_take(l, &a, EPC_STR("bob"), 1000), 0);
    epc_limits_forgive(l, &a, EPC_STR("alice")); /* the right password did not count */
    assert_int_equal(epc_limits_take(l, &a, EPC_STR("alice"), 1000), 0);
    assert_int_not_equal(epc_limits_take(l, &a, EPC_STR("alice"), 1000), 0);
    epc_limits_destroy(l);
}

static void test_guest_limit(void **state)
{
    (void)state;
    struct epc_limits *l = NULL;
    struct epc_addr one = address("192.0.2.1");
    unsigned taken = 0;
    assert_int_equal(epc_limits_create(&l, 100), EPC_OK);
    while (taken < 100 && epc_limits_take(l, &one, EPC_STR_NULL, 1000) == 0)
        taken++;
    assert_int_equal(taken, 10);
    assert_in_range(epc_limits_take(l, &one, EPC_STR_NULL, 1000), 7, 30);
    assert_int_equal(epc_limits_take(l, &one, EPC_STR("alice"), 1000), 0); /* log-ins are counted apart */
    epc_limits_destroy(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source_limit),  cmocka_unit_test(test_ipv6_network),
        cmocka_unit_test(test_all_limit),     cmocka_unit_test(test_account_limit),
        cmocka_unit_test(test_guest_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
