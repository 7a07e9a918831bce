/* Golden tests of the interworking. Each folder beside this file is a dialog; its files
 *   NN-wic-offer.sdp, NN-core-answer.sdp, ...   are what arrives, in order, and
 *   NN-wic-offer.out, NN-core-answer.out, ...   what is expected: first the description for the
 *                                               gateway, then the SDP for the other leg.
 * An answer ends its exchange. The gateway is unit/sdp/peer_gateway.c; an input whose name ends in
 * "-restart.sdp" makes it renew its ICE credentials.
 *
 * To write the expected files anew after a wanted change:  EPC_GOLDEN_WRITE=1 ./test_golden_sdp
 * and read the difference before committing it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "peer_gateway.h"

#define GOLDEN_DIR EPC_TEST_DIR "/golden/sdp"

static const char *const audio[] = {"opus", "PCMU", "PCMA", "G722"};
static const char *const video[] = {"H264", "VP8"};
static const struct epc_iw_policy policy = {
    .audio_codecs = audio, .n_audio_codecs = 4, .video_codecs = video, .n_video_codecs = 2,
    .audio_bw_bps = 80000, .video_bw_bps = 1500000,
};

static char *slurp(const char *path, size_t *n)
{
    struct epc_buf b = {0};
    char chunk[4096];
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, f)) > 0;)
        epc_buf_add(&b, chunk, got);
    fclose(f);
    return epc_buf_take(&b, n);
}

/* Our own session ids are random: the same word for all of them. CR is left out of the files. */
static void add_plain(struct epc_buf *out, const char *text)
{
    for (const char *p = text; *p;) {
        const char *end = strchr(p, '\n');
        size_t n = end ? (size_t)(end - p) : strlen(p);
        char line[4096];
        size_t keep = n && p[n - 1] == '\r' ? n - 1 : n;
        assert_true(keep < sizeof line);
        memcpy(line, p, keep);
        line[keep] = 0;
        if (strncmp(line, "o=- ", 4) == 0 && strchr(line + 4, ' '))
            epc_buf_printf(out, "o=- ID%s\n", strchr(line + 4, ' '));
        else
            epc_buf_printf(out, "%s\n", line);
        p += end ? n + 1 : n;
    }
}

static void compare(const char *path, const struct epc_buf *got)
{
    if (getenv("EPC_GOLDEN_WRITE")) {
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(got->p, 1, got->n, f), got->n);
        fclose(f);
        return;
    }
    size_t n;
    char *want = slurp(path, &n);
    if (!want)
        fail_msg("%s is missing: run with EPC_GOLDEN_WRITE=1", path);
    if (strcmp(want, got->p) != 0) {
        size_t line = 1, at = 0;
        for (; want[at] && want[at] == got->p[at]; at++)
            line += want[at] == '\n';
        fail_msg("%s line %zu differs; got:\n%s", path, line, got->p);
    }
    free(want);
}

static void step(struct epc_iw *w, const char *dir, const char *name, unsigned *generation)
{
    char path[2048], out_path[2048];
    size_t n;
    bool offer = strstr(name, "-offer") != NULL, unchanged = false;
    enum epc_sdp_leg from = strstr(name, "-wic-") ? EPC_SDP_WIC : EPC_SDP_CORE;
    enum epc_sdp_leg to = from == EPC_SDP_WIC ? EPC_SDP_CORE : EPC_SDP_WIC;
    struct epc_cause cause = {0};
    struct epc_sdp *remote = NULL;
    struct epc_buf sent = {0}, got = {0};
    snprintf(path, sizeof path, "%.1000s/%.255s", dir, name);
    snprintf(out_path, sizeof out_path, "%.1000s/%.*s.out", dir, (int)strlen(name) - 4, name);
    char *text = slurp(path, &n);
    assert_non_null(text);
    if (strstr(name, "-restart"))
        ++*generation;

    enum epc_err err = offer ? epc_iw_offer(w, from, (struct epc_str){text, n}, &remote, &unchanged, &cause)
                             : epc_iw_answer(w, (struct epc_str){text, n}, &remote, &unchanged, &cause);
    if (err != EPC_OK) {
        epc_buf_printf(&got, "refused: %d %s\n", cause.sip_status, cause.reason);
    } else {
        struct epc_buf plain = {0};
        struct epc_sdp *local = peer_gateway_local(remote, to, *generation);
        assert_non_null(local);
        err = offer ? epc_iw_offer_out(w, local, &sent, &cause) : epc_iw_answer_out(w, local, &sent, &cause);
        if (err != EPC_OK)
            fail_msg("%s: %s", path, cause.reason);
        assert_int_equal(epc_sdp_print(remote, &plain), EPC_OK);
        epc_buf_printf(&got, "# for the gateway%s\n", unchanged ? " (unchanged)" : "");
        add_plain(&got, plain.p);
        epc_buf_printf(&got, "# to the %s\n", to == EPC_SDP_WIC ? "WIC" : "core");
        add_plain(&got, sent.p);
        epc_buf_free(&plain);
        epc_sdp_free(local);
        if (!offer)
            epc_iw_commit(w);
    }
    compare(out_path, &got);
    epc_buf_free(&got);
    epc_buf_free(&sent);
    epc_sdp_free(remote);
    free(text);
}

static int is_input(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return n > 4 && strcmp(e->d_name + n - 4, ".sdp") == 0;
}

static void dialog(const char *dir)
{
    struct dirent **files;
    struct epc_iw *w = NULL;
    unsigned generation = 1;
    int n = scandir(dir, &files, is_input, alphasort);
    assert_true(n > 0);
    assert_int_equal(epc_iw_create(&w, &policy), EPC_OK);
    for (int i = 0; i < n; i++) {
        step(w, dir, files[i]->d_name, &generation);
        free(files[i]);
    }
    free(files);
    epc_iw_free(w);
}

static int is_case(const struct dirent *e)
{
    char path[1024];
    struct stat st;
    snprintf(path, sizeof path, GOLDEN_DIR "/%s", e->d_name);
    return e->d_name[0] != '.' && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void test_dialogs(void **state)
{
    (void)state;
    struct dirent **cases;
    int n = scandir(GOLDEN_DIR, &cases, is_case, alphasort);
    assert_true(n >= 10);
    for (int i = 0; i < n; i++) {
        char dir[1024];
        snprintf(dir, sizeof dir, GOLDEN_DIR "/%s", cases[i]->d_name);
        print_message("dialog %s\n", cases[i]->d_name);
        dialog(dir);
        free(cases[i]);
    }
    free(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_dialogs)};
    return cmocka_run_group_tests_name("golden_sdp", tests, NULL, NULL);
}
