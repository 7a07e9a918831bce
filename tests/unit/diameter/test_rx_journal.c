/* The journal of Rx sessions: what a crash, a full disk, a second process and a stranger's file do to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rx_journal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], path[96];

/* Found by a reader: one letter for each record, and the Session-Ids. */
struct found {
    char kinds[64], sids[512];
    size_t n;
};

static void note(void *arg, const struct rx_journal_record *r)
{
    struct found *f = arg;
    assert_true(f->n < sizeof f->kinds - 1);
    f->kinds[f->n++] = (char)r->kind;
    f->kinds[f->n] = '\0';
    size_t at = strlen(f->sids);
    snprintf(f->sids + at, sizeof f->sids - at, "%.*s ", EPC_STR_ARG(r->sid));
}

static struct rx_journal *opened(struct found *f, uint32_t *state)
{
    struct rx_journal *j = NULL;
    memset(f, 0, sizeof *f);
    assert_int_equal(rx_journal_open(&j, path, note, f, state), EPC_OK);
    return j;
}

static void add(struct rx_journal *j, enum rx_journal_kind kind, const char *sid)
{
    struct epc_buf b = {0};
    struct rx_journal_record r = {.kind = kind, .sid = epc_str_c(sid), .hop = EPC_STR("pcrf.ims.test"),
                                  .host = EPC_STR("pcrf.ims.test"), .realm = EPC_STR("ims.test"),
                                  .state = 7};
    assert_int_equal(rx_journal_format(&b, &r), EPC_OK);
    rx_journal_add_lines(j, &b, 1);
}

static void append(const char *text, size_t n)
{
    int fd = open(path, O_WRONLY | O_APPEND);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), n);
    close(fd);
}

static int fresh(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/epc-journal-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/rx.journal", dir);
    return 0;
}

static int clean(void **state)
{
    static const char *const names[] = {"", ".lock", ".new", ".other"};
    char name[128];
    (void)state;
    for (size_t i = 0; i < EPC_ARRAY_LEN(names); i++) {
        snprintf(name, sizeof name, "%s%s", path, names[i]);
        (void)unlink(name);
    }
    return rmdir(dir);
}

/* Opens, rewrites as a start does, adds, and ends without a word: as kill -9 would. */
static void leave(const char *const sids[], size_t n, uint32_t *state)
{
    struct found f;
    struct rx_journal *j = opened(&f, state);
    assert_int_equal(rx_journal_begin_rewrite(j), EPC_OK);
    assert_int_equal(rx_journal_end_rewrite(j), EPC_OK);
    for (size_t i = 0; i < n; i++)
        add(j, RX_JOURNAL_HELD, sids[i]);
    assert_int_equal(rx_journal_flush(j), EPC_OK);
    rx_journal_close(j);
}

static void what_was_written_is_read(void **unused)
{
    (void)unused;
    struct found f;
    uint32_t state = 1000;
    leave((const char *const[]){"a;1;1;0-1", "a;1;2;0-2"}, 2, &state);
    struct rx_journal *j = opened(&f, &state);
    assert_string_equal(f.kinds, "++");
    assert_string_equal(f.sids, "a;1;1;0-1 a;1;2;0-2 ");
    rx_journal_close(j);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void state_id_grows_with_each_start(void **unused)
{
    (void)unused;
    uint32_t state = 1000;
    leave(NULL, 0, &state);
    assert_int_equal(state, 1000);
    leave(NULL, 0, &state); /* in the same second */
    assert_int_equal(state, 1001);
    state = 5; /* the clock was set back */
    leave(NULL, 0, &state);
    assert_int_equal(state, 1002);
    state = 2000;
    leave(NULL, 0, &state);
    assert_int_equal(state, 2000);
}

/* Every length that a torn write can leave. */
static void torn_tail_is_cut(void **unused)
{
    (void)unused;
    struct found f;
    uint32_t state = 1;
    leave((const char *const[]){"a;1;1;0-1", "a;1;2;0-2"}, 2, &state);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    for (off_t size = st.st_size; size >= 0; size--) {
        assert_int_equal(truncate(path, size), 0);
        struct rx_journal *j = opened(&f, &state);
        assert_true(f.n <= 2);
        rx_journal_close(j);
    }
}

static void damage_in_the_middle_costs_its_own_line(void **unused)
{
    (void)unused;
    struct found f;
    uint32_t state = 1;
    char zero[3000] = {0};
    leave((const char *const[]){"a;1;1;0-1"}, 1, &state);
    append("rubbish\n\n\t\n", 11);
    append(zero, sizeof zero); /* one long line with what follows it */
    append("\n", 1);
    struct rx_journal *j = opened(&f, &state);
    add(j, RX_JOURNAL_HELD, "a;1;2;0-2");
    assert_int_equal(rx_journal_flush(j), EPC_OK);
    rx_journal_close(j);
    j = opened(&f, &state);
    assert_string_equal(f.sids, "a;1;1;0-1 a;1;2;0-2 ");
    rx_journal_close(j);

    int fd = open(path, O_RDWR); /* one bit of the first line that counts */
    char c;
    assert_int_equal(pread(fd, &c, 1, 60), 1);
    c ^= 4;
    assert_int_equal(pwrite(fd, &c, 1, 60), 1);
    close(fd);
    j = opened(&f, &state);
    assert_string_equal(f.sids, "a;1;2;0-2 ");
    rx_journal_close(j);
}

static void one_process_at_a_time(void **unused)
{
    (void)unused;
    struct found f;
    uint32_t state = 1;
    struct rx_journal *j = opened(&f, &state), *other = NULL;
    assert_int_equal(rx_journal_open(&other, path, note, &f, &state), EPC_EEXIST);
    assert_null(other);
    rx_journal_close(j);
    rx_journal_close(opened(&f, &state));
}

static void strange_files_are_refused(void **unused)
{
    (void)unused;
    struct found f = {0};
    struct rx_journal *j = NULL;
    uint32_t state = 1;
    char other[128];
    snprintf(other, sizeof other, "%s.other", path);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(rx_journal_open(&j, path, note, &f, &state), EPC_EIO);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(rx_journal_open(&j, path, note, &f, &state), EPC_EIO);
    assert_int_equal(unlink(path), 0);
    int fd = open(path, O_CREAT | O_WRONLY, 0644); /* readable by all: made ours alone */
    close(fd);
    rx_journal_close(opened(&f, &state));
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void fields_that_would_break_a_line_are_refused(void **unused)
{
    (void)unused;
    struct epc_buf b = {0};
    struct rx_journal_record r = {.kind = RX_JOURNAL_HELD, .sid = EPC_STR("a;1"), .hop = EPC_STR("p"),
                                  .host = EPC_STR("p"), .realm = EPC_STR("r")};
    assert_int_equal(rx_journal_format(&b, &r), EPC_OK);
    size_t n = b.n;
    r.host = EPC_STR("p\nq");
    assert_int_equal(rx_journal_format(&b, &r), EPC_EINVAL);
    r.host = EPC_STR("p\tq");
    assert_int_equal(rx_journal_format(&b, &r), EPC_EINVAL);
    r.host = EPC_STR("p");
    r.sid = EPC_STR_NULL;
    assert_int_equal(rx_journal_format(&b, &r), EPC_EINVAL);
    assert_int_equal(b.n, n);
    epc_buf_free(&b);
}

/* Dead lines make it want a rewrite; the rewrite makes it small. */
static void size_is_bounded(void **unused)
{
    (void)unused;
    struct found f;
    uint32_t state = 1;
    char sid[64];
    off_t largest = 0;
    struct rx_journal *j = opened(&f, &state);
    assert_int_equal(rx_journal_begin_rewrite(j), EPC_OK);
    assert_int_equal(rx_journal_end_rewrite(j), EPC_OK);
    for (int i = 0; i < 20000; i++) {
        struct stat st;
        snprintf(sid, sizeof sid, "edge.ims.test;1795402300;%d;0-0123456789abcdef", i);
        add(j, RX_JOURNAL_HELD, sid);
        add(j, RX_JOURNAL_FREE, sid);
        assert_int_equal(rx_journal_flush(j), EPC_OK);
        if (rx_journal_wants_rewrite(j, 1)) {
            assert_int_equal(rx_journal_begin_rewrite(j), EPC_OK);
            add(j, RX_JOURNAL_HELD, "the;one;that;stays");
            assert_int_equal(rx_journal_end_rewrite(j), EPC_OK);
        }
        assert_int_equal(stat(path, &st), 0);
        if (st.st_size > largest)
            largest = st.st_size;
    }
    assert_true(largest > 100000 && largest < 300000);
    rx_journal_close(j);
}

static void full_disk_is_survived(void **unused)
{
    (void)unused;
    struct found f;
    uint32_t state = 1;
    struct rlimit old, small;
    char sid[64];
    int64_t faults = epc_counter_read(EPC_C_RX_JOURNAL_FAULTS);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    leave((const char *const[]){"a;1;1;0-1"}, 1, &state);
    struct rx_journal *j = opened(&f, &state);
    small = (struct rlimit){.rlim_cur = 1000, .rlim_max = old.rlim_max};
    assert_int_equal(rx_journal_begin_rewrite(j), EPC_OK);
    add(j, RX_JOURNAL_HELD, "a;1;1;0-1");
    assert_int_equal(rx_journal_end_rewrite(j), EPC_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum epc_err e = EPC_OK;
    for (int i = 0; e == EPC_OK && i < 100; i++) {
        snprintf(sid, sizeof sid, "b;1;%d;0-2", i);
        add(j, RX_JOURNAL_HELD, sid);
        e = rx_journal_flush(j);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(e, EPC_EIO);
    assert_true(epc_counter_read(EPC_C_RX_JOURNAL_FAULTS) > faults);
    add(j, RX_JOURNAL_HELD, "c;1;1;0-3"); /* nothing more is written until a rewrite */
    assert_int_equal(rx_journal_flush(j), EPC_OK);
    rx_journal_close(j);
    j = opened(&f, &state); /* what was whole is there, and no half line before it */
    assert_non_null(strstr(f.sids, "a;1;1;0-1 b;1;0;0-2 "));
    assert_null(strstr(f.sids, "c;1"));
    assert_int_equal(rx_journal_begin_rewrite(j), EPC_OK);
    add(j, RX_JOURNAL_HELD, "d;1;1;0-4");
    assert_int_equal(rx_journal_end_rewrite(j), EPC_OK);
    rx_journal_close(j);
    rx_journal_close(opened(&f, &state));
    assert_string_equal(f.sids, "d;1;1;0-4 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_written_is_read, fresh, clean),
        cmocka_unit_test_setup_teardown(state_id_grows_with_each_start, fresh, clean),
        cmocka_unit_test_setup_teardown(torn_tail_is_cut, fresh, clean),
        cmocka_unit_test_setup_teardown(damage_in_the_middle_costs_its_own_line, fresh, clean),
        cmocka_unit_test_setup_teardown(one_process_at_a_time, fresh, clean),
        cmocka_unit_test_setup_teardown(strange_files_are_refused, fresh, clean),
        cmocka_unit_test_setup_teardown(fields_that_would_break_a_line_are_refused, fresh, clean),
        cmocka_unit_test_setup_teardown(size_is_bounded, fresh, clean),
        cmocka_unit_test_setup_teardown(full_disk_is_survived, fresh, clean),
    };
    epc_log_setup(EPC_LOG_ERROR, STDERR_FILENO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
