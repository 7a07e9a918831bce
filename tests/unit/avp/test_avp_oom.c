/* Memory runs out at every allocation in turn while the dictionaries are read: an error, no leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "avp/avp.h"

#include <stdlib.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static long left = -1; /* allocations that still succeed; negative: all of them */

static bool fails(void)
{
    if (left <= 0)
        return left == 0;
    left--;
    return false;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

static const char good[] =
    "{\"Vendors\": [{\"Code\": 7, \"Name\": \"V\"}], \"Applications\": [{\"Code\": 1, \"Name\": \"A\"}], \"AVPs\": ["
    "{\"Code\": 1, \"Name\": \"E\", \"Type\": \"Enumerated\", \"EnumValues\": [{\"Code\": 0, \"Name\": \"X\"},"
    " {\"Code\": 1, \"Name\": \"Y\"}, {\"Code\": 2, \"Name\": \"Z\"}]},"
    "{\"Code\": 2, \"Vendor\": 7, \"Name\": \"G\", \"Type\": \"Grouped\"}, {\"Code\": 3, \"Name\": \"T\", \"Type\": \"Time\"}],"
    "\"Commands\": [{\"Code\": 9, \"Name\": \"Some-Request\", \"Flags\": {\"Must\": \"R\"}}],"
    "\"CommandRules\": [{\"Command\": \"Some-Request\", \"Content\": [{\"AVP\": \"E\"}, {\"AVP\": \"T\"}]}],"
    "\"AVPRules\": [{\"AVP\": \"G\", \"Vendor\": 7, \"Content\": [{\"AVP\": \"E\", \"Min\": 1}, {\"AVP\": \"T\"}]}]}";
static const char faulty[] = "{\"AVPs\": [{\"Code\": 1, \"Name\": \"E\", \"Type\": \"Tim\"}, {\"Code\": 1}]}";

static void until_it_passes(const char *json, enum epc_err last)
{
    enum epc_err e = EPC_ENOMEM;
    long n = 0;
    for (; e != last; n++) {
        const struct epc_dict_source source = {.name = "x", .json = epc_str_c(json)};
        struct epc_dict *d = NULL;
        struct epc_buf faults = {0};
        left = n;
        e = epc_dict_create(&d, &source, 1, &faults);
        left = -1;
        assert_true(e == EPC_ENOMEM || e == last);
        assert_int_equal(e == EPC_OK, d != NULL);
        epc_dict_destroy(d);
        epc_buf_free(&faults);
    }
    assert_true(n > 2);
}

static void a_good_text(void **state)
{
    (void)state;
    until_it_passes(good, EPC_OK);
}

static void a_faulty_text(void **state)
{
    (void)state;
    until_it_passes(faulty, EPC_EPROTO);
}

static void the_delivered_files(void **state)
{
    (void)state;
    /* Every allocation would take long: every 37th, from different starts. */
    for (long n = 0; n < 1500; n += 37) {
        struct epc_dict *d = NULL;
        struct epc_buf faults = {0};
        left = n;
        enum epc_err e = epc_dict_load(&d, EPC_TEST_DIR "/../dict", 54321, &faults);
        left = -1;
        assert_true(e == EPC_ENOMEM || e == EPC_OK);
        epc_dict_destroy(d);
        epc_buf_free(&faults);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_text),
        cmocka_unit_test(a_faulty_text),
        cmocka_unit_test(the_delivered_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
