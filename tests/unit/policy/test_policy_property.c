/* Mutated descriptions never lead to a filter outside the grammar of TS 29.214 5.3.8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy_fuzz_body.h"

enum { ROUNDS = 600 };

static uint64_t seed = 20260801;

static uint32_t rnd(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static char *slurp(const char *path, size_t *n)
{
    struct epc_buf b = {0};
    char chunk[4096];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, f)) > 0;)
        epc_buf_add(&b, chunk, got);
    fclose(f);
    return epc_buf_take(&b, n);
}

static void mutate(char *text, size_t n)
{
    static const char octets[] = "0 9:/.=am\nfx-";
    for (uint32_t k = rnd(12); k; k--)
        text[rnd((uint32_t)n)] = octets[rnd(sizeof octets - 1)];
}

static void test_mutated(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"chromium-audio-video-datachannel/01-wic-offer.sdp", "chromium-audio-video/02-core-answer.sdp"},
        {"jssip-av/07-wic-offer-restart.sdp", "jssip-av/08-core-answer.sdp"},
        {"jssip-callee-av/02-wic-answer.sdp", "jssip-callee-av/01-core-offer.sdp"},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(pairs); i++)
        for (int k = 0; k < ROUNDS; k++) {
            char path[1024];
            struct epc_str text[2];
            char *own[2];
            for (int s = 0; s < 2; s++) {
                snprintf(path, sizeof path, EPC_TEST_DIR "/golden/sdp/%s", pairs[i][s]);
                own[s] = slurp(path, &text[s].n);
                mutate(own[s], text[s].n);
                text[s].p = own[s];
            }
            policy_round(text[0], text[1], rnd(256));
            free(own[0]);
            free(own[1]);
        }
}

static void test_recogniser(void **state)
{
    (void)state;
    assert_true(grammar_filter("permit in 17 from 10.0.0.1 to 10.0.0.2 4000", "in"));
    assert_true(grammar_filter("permit out 17 from 2001:db8::/64 to 2001:db8::1 4000", "out"));
    static const char *const bad[] = {
        "permit in 17 from 10.0.0.1 to 10.0.0.2",         "permit in 17 from 10.0.0.1 to 10.0.0.2 9",
        "permit in 17 from 0.0.0.0 to 10.0.0.2 4000",     "permit in 17 from 10.0.0.1 to x.local 4000",
        "permit in 17 from 10.0.0.1 to 10.0.0.2 1-2",     "deny in 17 from 10.0.0.1 to 10.0.0.2 4000",
        "permit in 17 from 2001:db8::1 to ::1 4000",      "permit in 17 from 10.0.0.1 to 10.0.0.2 0",
        "permit in 17 from 10.0.0.1 to assigned 4000",    "permit in 17 from 10.0.0.1 to 10.0.0.2 4000 x",
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++)
        assert_false(grammar_filter(bad[i], "in"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recogniser),
        cmocka_unit_test(test_mutated),
    };
    return cmocka_run_group_tests_name("policy_property", tests, NULL, NULL);
}
