/* The n-th allocation fails, for every n, in each function that makes service information: it says so, gives
 * nothing and leaves nothing behind (which AddressSanitizer sees). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "filter_grammar.h"

static long left = -1; /* allocations until one fails; negative: none does */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *text);

static bool fails(void)
{
    return left > 0 && --left == 0;
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

char *__wrap_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = __wrap_malloc(n);
    return copy ? memcpy(copy, text, n) : NULL;
}

static struct epc_sdp *read_sdp(const char *name)
{
    char path[1024], text[16384];
    struct epc_sdp *sdp = NULL;
    snprintf(path, sizeof path, EPC_TEST_DIR "/golden/policy/sdp/%s.sdp", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    assert_int_equal(epc_sdp_parse(&sdp, (struct epc_str){text, n}, NULL), EPC_OK);
    return sdp;
}

struct parts {
    struct epc_policy_input in;
    struct epc_service_info *full, *later;
};

/* Each writes its result to *out only on success. */
typedef enum epc_err make_fn(const struct parts *p, struct epc_service_info **out);

static enum epc_err make_info(const struct parts *p, struct epc_service_info **out)
{
    return epc_policy_service_info(&p->in, out);
}

static enum epc_err make_signalling(const struct parts *p, struct epc_service_info **out)
{
    (void)p;
    return epc_policy_signalling_info(out);
}

static enum epc_err make_shape(const struct parts *p, struct epc_service_info **out)
{
    return epc_policy_shape(p->full, epc_policy_profile(NULL, "open5gs"), true, out);
}

static enum epc_err make_difference(const struct parts *p, struct epc_service_info **out)
{
    return epc_service_info_diff(p->later, p->full, out);
}

static enum epc_err make_merge(const struct parts *p, struct epc_service_info **out)
{
    return epc_service_info_merge(out, p->full);
}

static void every_allocation(make_fn *make, const struct parts *p, long at_least)
{
    for (long n = 1;; n++) {
        struct epc_service_info *s = NULL;
        left = n;
        enum epc_err err = make(p, &s);
        bool failed = left == 0;
        left = -1;
        if (!failed) {
            assert_int_equal(err, EPC_OK);
            assert_true(n > at_least);
            grammar_info(s);
            epc_service_info_free(s);
            return;
        }
        assert_int_equal(err, EPC_ENOMEM);
        assert_null(s);
    }
}

static void nothing_left_behind(void **state)
{
    (void)state;
    struct epc_cfg_policy cfg = {.audio_bw_bps = 80000, .video_bw_bps = 1500000, .data_bw_bps = 500000,
                                 .rtcp_percent = 5, .bundle = EPC_BUNDLE_MERGE};
    struct epc_addr ue;
    struct epc_sdp *up = read_sdp("two-videos-offer"), *down = read_sdp("two-videos-answer"),
                   *answer = read_sdp("one-video-answer");
    assert_int_equal(epc_addr_parse(&ue, "10.45.0.2", 443), EPC_OK);
    struct parts p = {.in = {.uplink = up, .downlink = down, .uplink_is_offer = true, .ue = &ue, .cfg = &cfg,
                             .explain = true}};
    assert_int_equal(epc_policy_service_info(&p.in, &p.full), EPC_OK);
    p.in.previous = p.full;
    p.in.downlink = answer;
    assert_int_equal(epc_policy_service_info(&p.in, &p.later), EPC_OK);
    every_allocation(make_info, &p, 10);
    every_allocation(make_signalling, &p, 1);
    every_allocation(make_shape, &p, 5);
    every_allocation(make_difference, &p, 3);
    every_allocation(make_merge, &p, 5);
    epc_service_info_free(p.full);
    epc_service_info_free(p.later);
    epc_sdp_free(up);
    epc_sdp_free(down);
    epc_sdp_free(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_left_behind)};
    return cmocka_run_group_tests_name("policy_oom", tests, NULL, NULL);
}
