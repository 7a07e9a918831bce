/* The record of Rx, switched while messages go by. Lives here because the dictionaries are found from the
 * program's own folder. */
#include "rx_case.h"

#include "avp/avp.h"

#include <fcntl.h>
#include <sys/stat.h>

static char file[128], moved[160];

static int set_up(void **state)
{
    if (rx_set_up(state))
        return -1;
    snprintf(file, sizeof file, "%s/record.jsonl", t.pcrf.dir);
    snprintf(moved, sizeof moved, "%s.old", file);
    return 0;
}

static struct epc_dict *dictionaries(void)
{
    struct epc_dict *d = NULL;
    assert_int_equal(epc_dict_load(&d, EPC_TEST_DIR "/../dict", 0, NULL), EPC_OK);
    return d;
}

/* How many messages of that name are in the file, all of them without a fault. */
static int recorded(const char *path, const char *name)
{
    struct epc_dict *d = dictionaries();
    struct epc_exchange x = {0};
    struct epc_buf text = {0};
    char part[4096];
    size_t n;
    int found = 0;
    FILE *f = fopen(path, "r");
    while (f && (n = fread(part, 1, sizeof part, f)) > 0)
        epc_buf_add(&text, part, n);
    if (f)
        fclose(f);
    assert_int_equal(epc_exchange_read(&x, d, (struct epc_str){text.p ? text.p : "", text.n}, NULL), EPC_OK);
    for (size_t i = 0; i < x.n; i++) {
        char is[EPC_MSG_NAME];
        assert_non_null(x.msg[i].msg);
        assert_int_equal(epc_msg_check(d, x.msg[i].msg, NULL), 0);
        found += strcmp(epc_msg_name(x.msg[i].msg, is), name) == 0 && strcmp(x.msg[i].peer, "pcrf.ims.test") == 0 &&
                 x.msg[i].out == ((x.msg[i].msg->flags & EPC_CMD_R) != 0);
    }
    epc_exchange_free(&x);
    epc_buf_free(&text);
    epc_dict_destroy(d);
    return found;
}

static void one_call(void)
{
    struct call c = {0};
    fresh("{}");
    ask(&c);
    UNTIL(atomic_load(&c.n_results) == 1);
    on_shard(close_call, &c);
    nothing_left();
}

static void says(const char *path, enum epc_err want, const char *text)
{
    struct epc_buf out = {0};
    assert_int_equal(epc_diameter_record(t.d, path, false, &out), want);
    if (!out.p || !strstr(out.p, text))
        fail_msg("'%s' is not in: %s", text, out.p ? out.p : "");
    epc_buf_free(&out);
}

static void on_and_off_at_run_time(void **state)
{
    (void)state;
    struct stat st;
    one_call(); /* nothing is written */
    says(file, EPC_OK, "written=0 lost=0");
    one_call();
    says(NULL, EPC_OK, "record=off");
    one_call(); /* nothing more */
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(recorded(file, "AAR"), 1);
    assert_int_equal(recorded(file, "AAA"), 1);
    assert_int_equal(recorded(file, "STR"), 1);
    assert_int_equal(recorded(file, "STA"), 1);
    assert_int_equal(recorded(file, "DWR"), 0);
}

static void what_cannot_be_written_changes_nothing(void **state)
{
    (void)state;
    char link[160];
    says(file, EPC_OK, file);
    says("record.jsonl", EPC_EINVAL, "an absolute path is needed");
    says("/nowhere/record.jsonl", EPC_EIO, "No such file");
    snprintf(link, sizeof link, "%s/link", t.pcrf.dir);
    assert_int_equal(symlink("/dev/null", link), 0);
    says(link, EPC_EIO, link);
    struct epc_buf out = {0};
    epc_diameter_record_print(t.d, &out);
    assert_non_null(strstr(out.p, file)); /* the first one still */
    epc_buf_free(&out);
    says(NULL, EPC_OK, "record=off");
}

static void another_file_after_a_rotation(void **state)
{
    (void)state;
    unlink(file);
    says(file, EPC_OK, file);
    one_call();
    UNTIL(recorded(file, "STA") == 1);
    assert_int_equal(rename(file, moved), 0);
    epc_diameter_record_reopen(t.d);
    UNTIL(access(file, F_OK) == 0);
    one_call();
    says(NULL, EPC_OK, "record=off");
    assert_int_equal(recorded(moved, "AAR"), 1);
    assert_int_equal(recorded(file, "AAR"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_and_off_at_run_time),
        cmocka_unit_test(what_cannot_be_written_changes_nothing),
        cmocka_unit_test(another_file_after_a_rotation),
    };
    return RX_RUN(tests, set_up);
}
