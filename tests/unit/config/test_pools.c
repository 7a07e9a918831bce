/* The index over all pools: whose is an identity, is this a pair, do two pools overlap? */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct faults {
    size_t n, pool;
    char key[64], text[512];
};

static void on_fault(void *arg, size_t pool, const char *key, const char *text)
{
    struct faults *f = arg;
    f->n++;
    f->pool = pool;
    snprintf(f->key, sizeof f->key, "%s", key);
    snprintf(f->text, sizeof f->text, "%s", text);
}

static struct epc_pools *build(struct epc_cfg_pool *pools, size_t n, struct faults *f)
{
    struct epc_cfg_tokens t = {.pools = pools, .n_pools = n};
    struct epc_pools *p = NULL;
    *f = (struct faults){0};
    assert_int_equal(epc_pools_build(&p, &t, true, on_fault, f), EPC_OK);
    assert_non_null(p);
    return p;
}

static char *two[] = {"Lend1@ims.test sip:lend1@ims.test", " lend2@IMS.test   tel:+1-555-02 "};
static char impi_range[] = "g{008-120}@ims.test", impu_range[] = "sip:g{108-220}@ims.test";

static void whose_is_it(void **state)
{
    (void)state;
    struct faults f;
    struct epc_cfg_pool pools[] = {
        {.wwsf = "a", .subscriptions = two, .n_subscriptions = 2},
        {.wwsf = "b", .impi_range = impi_range, .impu_range = impu_range},
    };
    struct epc_pools *p = build(pools, 2, &f);
    assert_int_equal(f.n, 0);
    assert_int_equal(epc_pool_of_impi(p, "Lend1@ims.test"), 0);
    assert_int_equal(epc_pool_of_impi(p, "lend1@ims.test"), 0); /* no spelling slips past */
    assert_int_equal(epc_pool_of_impi(p, "lend3@ims.test"), EPC_POOL_NONE);
    assert_int_equal(epc_pool_of_impu(p, "sip:LEND1@ims.test"), 0);
    assert_int_equal(epc_pool_of_impu(p, "tel:+155502"), 0);
    assert_int_equal(epc_pool_of_impi(p, "g008@ims.test"), 1);
    assert_int_equal(epc_pool_of_impi(p, "G120@IMS.test"), 1);
    assert_int_equal(epc_pool_of_impi(p, "g121@ims.test"), EPC_POOL_NONE);
    assert_int_equal(epc_pool_of_impi(p, "g007@ims.test"), EPC_POOL_NONE);
    assert_int_equal(epc_pool_of_impi(p, "g08@ims.test"), EPC_POOL_NONE);
    assert_int_equal(epc_pool_of_impi(p, "g0008@ims.test"), EPC_POOL_NONE);
    assert_int_equal(epc_pool_of_impi(p, "g+08@ims.test"), EPC_POOL_NONE);
    assert_int_equal(epc_pool_of_impu(p, "sip:g220@ims.test"), 1);
    assert_int_equal(epc_pool_of_impi(p, ""), EPC_POOL_NONE);
    assert_int_equal(epc_pool_of_impi(NULL, "g008@ims.test"), EPC_POOL_NONE);
    epc_pools_free(p);
}

static void pairs_to_the_letter(void **state)
{
    (void)state;
    struct faults f;
    struct epc_cfg_pool pools[] = {
        {.wwsf = "a", .subscriptions = two, .n_subscriptions = 2},
        {.wwsf = "b", .impi_range = impi_range, .impu_range = impu_range},
    };
    struct epc_pools *p = build(pools, 2, &f);
    assert_true(epc_pool_has_pair(p, 0, "Lend1@ims.test", "sip:lend1@ims.test"));
    assert_true(epc_pool_has_pair(p, 0, "lend2@ims.test", "tel:+155502"));
    assert_false(epc_pool_has_pair(p, 0, "lend1@ims.test", "sip:lend1@ims.test"));
    assert_false(epc_pool_has_pair(p, 0, "Lend1@ims.test", "tel:+155502"));
    assert_false(epc_pool_has_pair(p, 1, "Lend1@ims.test", "sip:lend1@ims.test"));
    assert_true(epc_pool_has_pair(p, 1, "g010@ims.test", "sip:g110@ims.test"));
    assert_false(epc_pool_has_pair(p, 1, "g010@ims.test", "sip:g111@ims.test"));
    assert_false(epc_pool_has_pair(p, 1, "G010@ims.test", "sip:g110@ims.test"));
    assert_false(epc_pool_has_pair(p, 0, "g010@ims.test", "sip:g110@ims.test"));
    assert_false(epc_pool_has_pair(p, 7, "g010@ims.test", "sip:g110@ims.test"));
    epc_pools_free(p);
}

static void lending_walks_through_all(void **state)
{
    (void)state;
    struct faults f;
    char *impi = NULL, *impu = NULL;
    struct epc_cfg_pool pools[] = {{.wwsf = "a", .subscriptions = two, .n_subscriptions = 2,
                                    .impi_range = impi_range, .impu_range = impu_range}};
    struct epc_pools *p = build(pools, 1, &f);
    assert_int_equal(epc_pool_size(p, 0), 2 + 113);
    assert_int_equal(epc_pool_size(p, 1), 0);
    for (size_t i = 0; i < epc_pool_size(p, 0); i++) {
        assert_int_equal(epc_pool_pair(p, 0, i, &impi, &impu), EPC_OK);
        assert_true(epc_pool_has_pair(p, 0, impi, impu));
        free(impi);
        free(impu);
    }
    assert_int_equal(epc_pool_pair(p, 0, 115, &impi, &impu), EPC_ENOENT);
    epc_pools_free(p);
}

static void a_big_file(void **state)
{
    (void)state;
    enum { N = 100000 };
    struct faults f;
    char file[] = "/tmp/epc_pools_XXXXXX", impi[64], impu[64];
    FILE *out = fdopen(mkstemp(file), "w");
    assert_non_null(out);
    fputs("# comment\n\n", out);
    for (int i = 0; i < N; i++)
        fprintf(out, "u%d@ims.test\tsip:user%d@ims.test\n", i * 7, i * 7);
    fclose(out);
    struct epc_cfg_pool pools[] = {{.wwsf = "a", .file = file}};
    struct epc_pools *p = build(pools, 1, &f);
    assert_int_equal(f.n, 0);
    assert_int_equal(epc_pool_size(p, 0), N);
    for (int i = 0; i < N; i++) {
        snprintf(impi, sizeof impi, "u%d@ims.test", i * 7);
        snprintf(impu, sizeof impu, "sip:user%d@ims.test", i * 7);
        assert_true(epc_pool_has_pair(p, 0, impi, impu));
        snprintf(impi, sizeof impi, "u%d@ims.test", i * 7 + 1);
        assert_int_equal(epc_pool_of_impi(p, impi), EPC_POOL_NONE);
    }
    epc_pools_free(p);
    unlink(file);
}

static void a_bad_line_is_named(void **state)
{
    (void)state;
    struct faults f;
    char file[] = "/tmp/epc_pools_XXXXXX";
    FILE *out = fdopen(mkstemp(file), "w");
    fputs("a@b sip:a@b\nlend2@ims.test sip:x@b\n", out);
    fclose(out);
    struct epc_cfg_pool pools[] = {{.wwsf = "a", .file = file},
                                   {.wwsf = "b", .subscriptions = two, .n_subscriptions = 2}};
    struct epc_pools *p = build(pools, 2, &f);
    assert_int_equal(f.n, 1); /* the later one of the two */
    assert_int_equal(f.pool, 1);
    epc_pools_free(p);
    struct epc_cfg_pool swapped[] = {pools[1], pools[0]};
    p = build(swapped, 2, &f);
    assert_int_equal(f.n, 1);
    assert_string_equal(f.key, "file");
    assert_non_null(strstr(f.text, "line 2: "));
    assert_non_null(strstr(f.text, "in the pools already"));
    epc_pools_free(p);
    unlink(file);
    p = build(pools, 1, &f);
    assert_int_equal(f.n, 1); /* gone */
    epc_pools_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whose_is_it),
        cmocka_unit_test(pairs_to_the_letter),
        cmocka_unit_test(lending_walks_through_all),
        cmocka_unit_test(a_big_file),
        cmocka_unit_test(a_bad_line_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
