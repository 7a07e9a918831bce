/* A REGISTER at the wrong eP-CSCF: registration.redirect. */
#include "harness.h"

static char other[] = "wss://edge-b.test:8443/ws", bare[] = "wss://[2001:db8::1]/ws", domain_b[] = "other.test",
            domain_own[] = "ims.test", m26201[] = "262-01", range[] = "310-200..310-299";
static struct epc_cfg_redirect rows[4];

static void add_row(char *home_domain, char *plmn, char *url, int status)
{
    rows[bench.cfg.registration.n_redirect++] =
        (struct epc_cfg_redirect){home_domain, plmn, url, status, 45};
    bench.cfg.registration.redirect = rows;
}

static size_t from_cell(const char *target, const char *access)
{
    char extra[256] = "";
    if (access)
        snprintf(extra, sizeof extra, "P-Access-Network-Info: %s\r\n", access);
    return bench_register(5, &(struct reg_text){.target = target, .extra = extra});
}

static void test_by_home_domain(void **state)
{
    (void)state;
    add_row(domain_b, NULL, other, 305);
    size_t i = from_cell("sip:OTHER.test", NULL);
    assert_int_equal(bench.in[i].status, 305);
    assert_string_equal(bench.in[i].answer, "Contact: <sips:edge-b.test:8443;transport=ws>\r\n");
    assert_true(bench.in[i].released);
    i = from_cell("sip:ims.test", NULL);
    assert_true(bench.in[i].status != 305 && bench.n_out == 1);
}

static void test_by_network(void **state)
{
    (void)state;
    static const char *const away[] = {
        "3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=2620112340abcdef",        /* TAC 1234, ECI 0abcdef */
        "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=\"26200112340abcdef\"",    /* MNC 001 */
        "IEEE-802.11;i-wlan-node-id=001122, 3GPP-NR;utran-cell-id-3gpp=26201123456012345678",
        "3GPP-GERAN; cgi-3gpp=2620112345678",
        "3GPP-E-UTRAN-TDD;utran-cell-id-3gpp=31026012340abcdef",
    };
    static const char *const stays[] = {
        NULL, "IEEE-802.11", "3GPP-E-UTRAN-FDD", "3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=",
        "3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=2620212340abcdef",
        "3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=26201",               /* no cell: how long is the MNC? */
        "3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=2620112340abcdef0123456789",
        "3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=26-0112340abcdef",
        "3GPP-E-UTRAN-FDD; =2620112340abcdef; ;x",
    };
    add_row(NULL, m26201, other, 305);
    add_row(NULL, range, bare, 503);
    for (size_t k = 0; k < EPC_ARRAY_LEN(away); k++) {
        size_t i = from_cell("sip:ims.test", away[k]);
        if (bench.in[i].status != (k == 4 ? 503 : 305))
            fail_msg("%s: %d", away[k], bench.in[i].status);
        if (k == 4)
            assert_string_equal(bench.in[i].answer, "Retry-After: 45\r\n");
        assert_int_equal(bench.n_out, 0);
    }
    for (size_t k = 0; k < EPC_ARRAY_LEN(stays); k++) {
        size_t i = from_cell("sip:ims.test", stays[k]);
        if (bench.n_out != k + 1)
            fail_msg("%s: %d", stays[k] ? stays[k] : "", bench.in[i].status);
        bench_answer(k, 500, "");
    }
}

static void test_both_conditions(void **state)
{
    (void)state;
    add_row(domain_own, m26201, bare, 305);
    size_t i = from_cell("sip:ims.test", "3GPP-E-UTRAN; utran-cell-id-3gpp=2620112340abcdef");
    assert_int_equal(bench.in[i].status, 305);
    assert_string_equal(bench.in[i].answer, "Contact: <sips:[2001:db8::1]:443;transport=ws>\r\n");
    i = from_cell("sip:elsewhere.test", "3GPP-E-UTRAN; utran-cell-id-3gpp=2620112340abcdef");
    assert_int_equal(bench.in[i].status, 403);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_by_home_domain, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_by_network, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_both_conditions, bench_setup, bench_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
