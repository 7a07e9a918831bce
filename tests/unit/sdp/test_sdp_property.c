/* Captured SDP, mutated at random: the parser stays stable, and the interworking keeps its promises.
 * The seed is fixed; EPC_SEED=n tries another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>

#include "sdp_properties.h"

#define GOLDEN_DIR EPC_TEST_DIR "/golden/sdp"
enum { MAX_INPUTS = 128, ROUNDS = 60 };

struct input {
    char *text;
    size_t n;
    enum epc_sdp_leg leg;
};

static struct input inputs[MAX_INPUTS];
static size_t n_inputs;
static uint64_t seed = 20260801;

static uint32_t rnd(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static void load_file(const char *dir, const char *name)
{
    char path[1200];
    size_t len = strlen(name);
    struct epc_buf b = {0};
    if (len < 4 || strcmp(name + len - 4, ".sdp") != 0 || n_inputs == MAX_INPUTS)
        return;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return;
    char chunk[4096];
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, f)) > 0;)
        epc_buf_add(&b, chunk, got);
    fclose(f);
    struct input *in = &inputs[n_inputs++];
    in->leg = strstr(name, "-wic-") ? EPC_SDP_WIC : EPC_SDP_CORE;
    in->text = epc_buf_take(&b, &in->n);
}

static int load(void **state)
{
    (void)state;
    DIR *top = opendir(GOLDEN_DIR);
    if (!top)
        return -1;
    for (struct dirent *c; (c = readdir(top));) {
        char dir[1024];
        snprintf(dir, sizeof dir, GOLDEN_DIR "/%s", c->d_name);
        DIR *d = c->d_name[0] == '.' ? NULL : opendir(dir);
        if (!d)
            continue;
        for (struct dirent *e; (e = readdir(d));)
            load_file(dir, e->d_name);
        closedir(d);
    }
    closedir(top);
    if (getenv("EPC_SEED"))
        seed = strtoull(getenv("EPC_SEED"), NULL, 10);
    return n_inputs > 20 ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_inputs; i++)
        free(inputs[i].text);
    return 0;
}

/* Change octets, drop lines, repeat lines. */
static char *mutate(const struct input *in, size_t *n)
{
    static const char octets[] = "0 9:/.=am\n\rx-";
    struct epc_buf b = {0};
    struct epc_str rest = {in->text, in->n};
    while (rest.p) {
        struct epc_str line = epc_str_cut(&rest, '\n');
        uint32_t dice = rnd(60);
        if (dice == 0)
            continue;
        for (uint32_t i = 0; i < (dice == 1 ? 2u : 1u); i++) {
            epc_buf_addstr(&b, line);
            epc_buf_adds(&b, "\n");
        }
        if (dice == 2 && b.n > 1)
            b.p[b.n - 2] = octets[rnd(sizeof octets - 1)];
        if (dice == 3 && line.n)
            b.p[b.n - 1 - rnd((uint32_t)line.n)] = octets[rnd(sizeof octets - 1)];
    }
    return epc_buf_take(&b, n);
}

static void test_parse_print_stable(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_inputs; i++) {
        property_stable((struct epc_str){inputs[i].text, inputs[i].n});
        for (int k = 0; k < ROUNDS; k++) {
            size_t n;
            char *text = mutate(&inputs[i], &n);
            property_stable((struct epc_str){text, n});
            free(text);
        }
    }
}

static const char *const audio[] = {"opus", "PCMU", "PCMA"};
static const char *const video[] = {"VP8", "H264"};

static void test_interwork(void **state)
{
    (void)state;
    struct epc_iw_policy policy = {
        .audio_codecs = audio, .n_audio_codecs = 3, .video_codecs = video, .n_video_codecs = 2,
    };
    for (size_t i = 0; i < n_inputs; i++)
        for (int k = 0; k < ROUNDS; k++) {
            struct epc_iw *w = NULL;
            const struct input *other = &inputs[rnd((uint32_t)n_inputs)];
            policy.transcodes = k & 1 ? UINT32_MAX : 0;
            assert_int_equal(epc_iw_create(&w, &policy), EPC_OK);
            epc_iw_act_for_preconditions(w, k & 2);
            for (int round = 0; round < 2; round++) {
                size_t n, m;
                char *offer = mutate(&inputs[i], &n), *answer = mutate(other, &m);
                property_exchange(w, inputs[i].leg, (struct epc_str){offer, n}, (struct epc_str){answer, m}, true);
                free(offer);
                free(answer);
            }
            epc_iw_free(w);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_print_stable),
        cmocka_unit_test(test_interwork),
    };
    epc_log_setup(EPC_LOG_ERROR, 2);
    return cmocka_run_group_tests_name("sdp_property", tests, load, unload);
}
