/* The control socket as clients use and misuse it, and epcscfctl. */
#include "harness.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { LINE_MAX_OCTETS = 4096, WORDS_MAX = 64 }; /* of the protocol */

/* ---- commands ------------------------------------------------------------------------------------ */

static void several_commands_on_one_connection(void **state)
{
    const struct harness *h = *state;
    int fd = dial_unix(h->path);
    say(fd, "words a  b\r\n");
    expect(fd, "ok 13\n[words][a][b]");
    say(fd, "words x\nwords y z\n");
    expect(fd, "error 10\n[words][x]ok 13\n[words][y][z]");
    say(fd, "wor");
    say(fd, "ds\n");
    expect(fd, "ok 7\n[words]");
    close(fd);
}

static void unknown_commands_are_refused(void **state)
{
    static const char refusal[] = "error 26\nunknown command; try help\n";
    const struct harness *h = *state;
    int fd = dial_unix(h->path);
    say(fd, "nonsense\nword\nwordsx\n\n  \n");
    for (int i = 0; i < 5; i++)
        expect(fd, refusal);
    say(fd, "words\n");
    expect(fd, "ok 7\n[words]");
    close(fd);
}

static void answers_may_come_later(void **state)
{
    const struct harness *h = *state;
    int first = dial_unix(h->path), second = dial_unix(h->path);
    /* What follows on the same connection waits; other connections do not. */
    say(first, "hold\nwords a b\n");
    say(second, "words c d\n");
    expect(second, "ok 13\n[words][c][d]");
    say(second, "release\n");
    expect(second, "ok 0\n");
    expect(first, "ok 4\nheldok 13\n[words][a][b]");
    close(first);
    close(second);
}

static void client_may_leave_before_its_answer(void **state)
{
    const struct harness *h = *state;
    int first = dial_unix(h->path);
    int second = dial_unix(h->path);
    say(first, "hold\nwords a b\n");
    close(first);
    say(second, "words\n");
    expect(second, "ok 7\n[words]");
    say(second, "release\n");
    expect(second, "ok 0\n");
    say(second, "words\n");
    expect(second, "ok 7\n[words]");
    /* The teardown ends the room with this one pending. */
    say(second, "hold\n");
    close(second);
}

static void too_long_a_line_is_refused(void **state)
{
    const struct harness *h = *state;
    char line[LINE_MAX_OCTETS + 2];
    int fd = dial_unix(h->path);
    memset(line, 'x', sizeof line);
    line[LINE_MAX_OCTETS - 1] = '\n'; /* the longest */
    line[LINE_MAX_OCTETS] = 0;
    say(fd, line);
    expect(fd, "error 26\nunknown command; try help\n");
    memset(line, 'x', sizeof line);
    line[LINE_MAX_OCTETS + 1] = 0;
    say(fd, line);
    expect(fd, "error 21\nthe line is too long\n");
    expect_end(fd);
    close(fd);
    fd = dial_unix(h->path);
    say(fd, "words\n");
    expect(fd, "ok 7\n[words]");
    close(fd);
}

static void send_words(int fd, int n)
{
    struct epc_buf b = {0};
    epc_buf_adds(&b, "words");
    for (int i = 1; i < n; i++)
        epc_buf_adds(&b, " w");
    epc_buf_adds(&b, "\n");
    assert_false(b.failed);
    assert_int_equal(send(fd, b.p, b.n, MSG_NOSIGNAL), b.n);
    epc_buf_free(&b);
}

static void too_many_words_are_refused(void **state)
{
    const struct harness *h = *state;
    int fd = dial_unix(h->path);
    send_words(fd, WORDS_MAX);
    expect(fd, "ok 196\n[words]");
    for (int i = 1; i < WORDS_MAX; i++)
        expect(fd, "[w]");
    send_words(fd, WORDS_MAX + 1); /* not cut: a command must not do less than it was told */
    expect(fd, "error 15\ntoo many words\n");
    send_words(fd, 1000);
    expect(fd, "error 15\ntoo many words\n");
    say(fd, "words\n");
    expect(fd, "ok 7\n[words]");
    close(fd);
}

/* ---- the file --------------------------------------------------------------------------------------- */

static void others_cannot_connect(void **state)
{
    const struct harness *h = *state;
    struct stat st;
    assert_int_equal(stat(h->path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0600);
}

static int bind_unix(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    return fd;
}

static void stale_file_is_replaced(void **state)
{
    struct harness h = {0};
    (void)state;
    harness_folder(&h);
    close(bind_unix(h.path)); /* as a run leaves it that ended badly */
    harness_start(&h);
    assert_int_equal(h.result, EPC_OK);
    int fd = dial_unix(h.path);
    say(fd, "words\n");
    expect(fd, "ok 7\n[words]");
    close(fd);
    harness_stop(&h);
    assert_int_not_equal(access(h.path, F_OK), 0); /* a good end leaves none */
    harness_clear(&h);
}

/* Start, which must fail, with the log in a file; its text goes to @p log. */
static void start_refused(struct harness *h, char *log, size_t size)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    epc_log_setup(EPC_LOG_ERROR, fileno(f));
    harness_start(h);
    harness_stop(h);
    epc_log_setup(EPC_LOG_ERROR, 2);
    rewind(f);
    log[fread(log, 1, size - 1, f)] = 0;
    fclose(f);
    assert_int_equal(h->result, EPC_EIO);
    assert_non_null(strstr(log, h->path));
}

static void used_socket_is_left_alone(void **state)
{
    struct harness h = {0};
    char log[4096];
    (void)state;
    harness_folder(&h);
    int ready[2], end[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(end), 0);
    pid_t child = fork();
    if (child == 0) { /* another process, which listens until told to end */
        int fd = bind_unix(h.path);
        char c = (char)('0' + listen(fd, 4));
        close(end[1]);
        _exit(write(ready[1], &c, 1) == 1 && read(end[0], &c, 1) == 0 ? 0 : 1);
    }
    char c = 0;
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(c, '0');
    start_refused(&h, log, sizeof log);
    assert_non_null(strstr(log, "another process listens on it"));
    close(dial_unix(h.path)); /* it is still the other one's */
    for (int i = 0; i < 2; i++) {
        close(end[1 - i]);
        close(ready[i]);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(unlink(h.path), 0);
    harness_clear(&h);
}

static void plain_file_is_left_alone(void **state)
{
    struct harness h = {0};
    char log[4096];
    (void)state;
    harness_folder(&h);
    close(open(h.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    start_refused(&h, log, sizeof log);
    assert_non_null(strstr(log, "no socket"));
    assert_int_equal(unlink(h.path), 0);
    harness_clear(&h);
}

/* ---- epcscfctl -------------------------------------------------------------------------------------- */

static int run_ctl(const char *path, const char *words, char *out, size_t size)
{
    char cmd[8192];
    snprintf(cmd, sizeof cmd, "%s --socket %s %s 2>&1", EPC_CTL, path, words);
    FILE *p = popen(cmd, "r");
    assert_non_null(p);
    out[fread(out, 1, size - 1, p)] = 0;
    int status = pclose(p);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void ctl_shows_answers(void **state)
{
    const struct harness *h = *state;
    char out[65536];
    assert_int_equal(run_ctl(h->path, "version", out, sizeof out), 0);
    assert_int_equal(strncmp(out, "epcscf ", 7), 0);
    assert_int_equal(run_ctl(h->path, "help", out, sizeof out), 0);
    assert_non_null(strstr(out, "\nwords            shows its words\n"));
    assert_int_equal(run_ctl(h->path, "counters", out, sizeof out), 0);
    for (int i = 0; i < EPC_C_COUNT; i++)
        assert_non_null(strstr(out, epc_counter_info((enum epc_counter)i)->name));
    assert_int_equal(run_ctl(h->path, "words a b", out, sizeof out), 0);
    assert_string_equal(out, "[words][a][b]");
}

static void ctl_exits_1_when_refused(void **state)
{
    const struct harness *h = *state;
    char out[4096], word[6000];
    assert_int_equal(run_ctl(h->path, "words x", out, sizeof out), 1);
    assert_string_equal(out, "[words][x]");
    assert_int_equal(run_ctl(h->path, "nonsense", out, sizeof out), 1);
    assert_non_null(strstr(out, "unknown command"));
    memset(word, 'x', sizeof word - 1);
    word[sizeof word - 1] = 0;
    assert_int_equal(run_ctl(h->path, word, out, sizeof out), 1);
    assert_non_null(strstr(out, "too long"));
}

/* Accepts one client, reads its line and closes, maybe in the middle of an answer. */
static void ctl_meets(const char *folder, const char *answer, const char *message)
{
    char path[128], out[4096], line[64];
    snprintf(path, sizeof path, "%s/other.sock", folder);
    int listener = bind_unix(path);
    assert_int_equal(listen(listener, 1), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = accept(listener, NULL, NULL);
        _exit(read(fd, line, sizeof line) > 0 && write(fd, answer, strlen(answer)) >= 0 ? 0 : 1);
    }
    close(listener);
    assert_int_equal(run_ctl(path, "version", out, sizeof out), 2);
    assert_non_null(strstr(out, message));
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(unlink(path), 0);
}

static void ctl_exits_2_when_it_cannot_ask(void **state)
{
    const struct harness *h = *state;
    char out[4096], path[128];
    assert_int_equal(run_ctl(h->path, "", out, sizeof out), 2);
    assert_non_null(strstr(out, "usage"));
    assert_int_equal(run_ctl(h->path, "words 'a b'", out, sizeof out), 2);
    assert_non_null(strstr(out, "no blanks"));
    snprintf(path, sizeof path, "%s/nobody.sock", h->folder);
    assert_int_equal(run_ctl(path, "version", out, sizeof out), 2);
    assert_non_null(strstr(out, "is epcscf running"));
    ctl_meets(h->folder, "", "without an answer");
    ctl_meets(h->folder, "ok 10\nshort", "before the end of its answer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(several_commands_on_one_connection, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(unknown_commands_are_refused, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(answers_may_come_later, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(client_may_leave_before_its_answer, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(too_long_a_line_is_refused, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(too_many_words_are_refused, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(others_cannot_connect, harness_setup, harness_teardown),
        cmocka_unit_test(stale_file_is_replaced),
        cmocka_unit_test(used_socket_is_left_alone),
        cmocka_unit_test(plain_file_is_left_alone),
        cmocka_unit_test_setup_teardown(ctl_shows_answers, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(ctl_exits_1_when_refused, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(ctl_exits_2_when_it_cannot_ask, harness_setup, harness_teardown),
    };
    epc_log_setup(EPC_LOG_ERROR, 2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
