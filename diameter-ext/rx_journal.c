/* See rx_journal.h. */
#include "rx_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION "epcscf-rx 1"
#define SMALL_FILE (256 * 1024) /* below this nobody minds dead lines */
#define RETRY_MS 10000          /* after a failed write */

struct rx_journal {
    char *path;
    int fd, lock_fd, new_fd; /* -1 = none */
    struct epc_buf pending;
    uint64_t size, lines;
    uint32_t state;
    bool broken;             /* a write has failed: the file does not tell the whole truth */
    uint64_t broken_ms;
};

/* ---- lines ------------------------------------------------------------------------------------------ */

/* CRC-32 (ISO 3309), four bits at a time. */
static uint32_t checksum(const void *p, size_t n)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffff;
    for (const uint8_t *c = p; n-- > 0; c++) {
        crc = table[(crc ^ *c) & 15] ^ crc >> 4;
        crc = table[(crc ^ (uint32_t)*c >> 4) & 15] ^ crc >> 4;
    }
    return ~crc;
}

void rx_journal_sum(struct epc_str body, char out[9])
{
    snprintf(out, 9, "%08" PRIx32, checksum(body.p, body.n));
}

static bool read_checksum(struct epc_str s, uint32_t *out)
{
    uint32_t v = 0;
    if (s.n != 8)
        return false;
    for (size_t i = 0; i < 8; i++) {
        const char *digits = "0123456789abcdef", *d = s.p[i] ? strchr(digits, s.p[i]) : NULL;
        if (!d)
            return false;
        v = v << 4 | (uint32_t)(d - digits);
    }
    *out = v;
    return true;
}

static bool clean(struct epc_str s, size_t max)
{
    if (s.n > max)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

#define SID_MAX 600
#define NAME_MAX_N 255

static bool sound(const struct rx_journal_record *r)
{
    if (r->kind == RX_JOURNAL_HEAD)
        return true;
    return r->sid.n > 0 && clean(r->sid, SID_MAX) && clean(r->hop, NAME_MAX_N) &&
           clean(r->host, NAME_MAX_N) && clean(r->realm, NAME_MAX_N) &&
           (r->kind != RX_JOURNAL_HELD || r->realm.n > 0);
}

enum epc_err rx_journal_parse(struct epc_str line, struct rx_journal_record *out)
{
    struct rx_journal_record r = {0};
    struct epc_str rest = line, sum = epc_str_cut(&rest, '\t');
    uint32_t want;
    uint64_t state = 0;
    if (line.n > RX_JOURNAL_LINE_MAX || !rest.p || !read_checksum(sum, &want) ||
        checksum(rest.p, rest.n) != want)
        return EPC_EPROTO;
    struct epc_str kind = epc_str_cut(&rest, '\t');
    if (kind.n != 1 || !rest.p)
        return EPC_EPROTO;
    if (kind.p[0] == RX_JOURNAL_HEAD) {
        r.kind = RX_JOURNAL_HEAD;
        if (!epc_str_eqc(epc_str_cut(&rest, '\t'), VERSION) || epc_str_u64(rest, UINT32_MAX, &state))
            return EPC_EPROTO;
    } else if (kind.p[0] == RX_JOURNAL_HELD) {
        r.kind = RX_JOURNAL_HELD;
        r.sid = epc_str_cut(&rest, '\t');
        r.hop = epc_str_cut(&rest, '\t');
        r.host = epc_str_cut(&rest, '\t');
        r.realm = epc_str_cut(&rest, '\t');
        if (epc_str_u64(rest, UINT32_MAX, &state))
            return EPC_EPROTO;
    } else if (kind.p[0] == RX_JOURNAL_FREE) {
        r.kind = RX_JOURNAL_FREE;
        r.sid = epc_str_cut(&rest, '\t');
        r.hop = rest;
    } else
        return EPC_EPROTO;
    r.state = (uint32_t)state;
    if (!sound(&r))
        return EPC_EPROTO;
    *out = r;
    return EPC_OK;
}

enum epc_err rx_journal_format(struct epc_buf *b, const struct rx_journal_record *r)
{
    char text[RX_JOURNAL_LINE_MAX];
    int n;
    if (!sound(r))
        return EPC_EINVAL;
    if (r->kind == RX_JOURNAL_HEAD)
        n = snprintf(text, sizeof text, "#\t%s\t%" PRIu32, VERSION, r->state);
    else if (r->kind == RX_JOURNAL_HELD)
        n = snprintf(text, sizeof text, "+\t%.*s\t%.*s\t%.*s\t%.*s\t%" PRIu32, EPC_STR_ARG(r->sid),
                     EPC_STR_ARG(r->hop), EPC_STR_ARG(r->host), EPC_STR_ARG(r->realm), r->state);
    else
        n = snprintf(text, sizeof text, "-\t%.*s\t%.*s", EPC_STR_ARG(r->sid), EPC_STR_ARG(r->hop));
    if (n < 0 || (size_t)n + 9 > RX_JOURNAL_LINE_MAX)
        return EPC_EINVAL;
    epc_buf_printf(b, "%08" PRIx32 "\t%s\n", checksum(text, (size_t)n), text);
    return b->failed ? EPC_ENOMEM : EPC_OK;
}

/* ---- opening and reading ---------------------------------------------------------------------------- */

static enum epc_err refuse(const char *path, const char *what)
{
    epc_log(EPC_LOG_ERROR, "rx", "event=journal-fault file=%s reason=\"%s\"", path, what);
    return EPC_EIO;
}

static enum epc_err take_lock(struct rx_journal *j)
{
    char name[PATH_MAX];
    if ((size_t)snprintf(name, sizeof name, "%s.lock", j->path) >= sizeof name)
        return refuse(j->path, "the name is too long");
    j->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (j->lock_fd < 0)
        return refuse(name, strerror(errno));
    if (flock(j->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return EPC_OK;
    epc_log(EPC_LOG_ERROR, "rx",
            "event=journal-fault file=%s reason=\"another process uses it; each needs a file of its own "
            "(policy.journal_file)\"", j->path);
    return EPC_EEXIST;
}

static enum epc_err open_file(struct rx_journal *j)
{
    struct stat st;
    j->fd = open(j->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (j->fd < 0 || fstat(j->fd, &st) != 0)
        return refuse(j->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return refuse(j->path, "it is no regular file");
    if ((st.st_mode & 077) && fchmod(j->fd, 0600) == 0)
        epc_log(EPC_LOG_WARN, "rx", "event=journal-mode file=%s was=%o now=600", j->path,
                (unsigned)st.st_mode & 0777);
    return EPC_OK;
}

struct reading {
    void (*fn)(void *arg, const struct rx_journal_record *r);
    void *arg;
    uint64_t whole, damaged;
    uint32_t newest_state;
};

static void read_line(struct reading *rd, struct epc_str line)
{
    struct rx_journal_record r;
    if (rx_journal_parse(line, &r)) {
        rd->damaged++;
        return;
    }
    rd->whole++;
    if (r.kind == RX_JOURNAL_HEAD) {
        if (r.state > rd->newest_state)
            rd->newest_state = r.state;
    } else
        rd->fn(rd->arg, &r);
}

/* A line longer than any of ours is damaged; its rest is not kept. */
static enum epc_err read_all(struct rx_journal *j, struct reading *rd)
{
    char line[RX_JOURNAL_LINE_MAX + 1];
    size_t n = 0;
    int c, fd = dup(j->fd);
    FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (!f) {
        if (fd >= 0)
            close(fd);
        return refuse(j->path, strerror(errno));
    }
    while ((c = getc_unlocked(f)) != EOF)
        if (c == '\n') {
            read_line(rd, (struct epc_str){line, n});
            n = 0;
        } else if (n < sizeof line)
            line[n++] = (char)c;
    if (n > 0)
        read_line(rd, (struct epc_str){line, n});
    bool failed = ferror(f);
    fclose(f);
    return failed ? refuse(j->path, "it cannot be read") : EPC_OK;
}

enum epc_err rx_journal_open(struct rx_journal **out, const char *path,
                             void (*fn)(void *arg, const struct rx_journal_record *r), void *arg,
                             uint32_t *state)
{
    struct reading rd = {.fn = fn, .arg = arg};
    struct rx_journal *j = calloc(1, sizeof *j);
    if (!j)
        return EPC_ENOMEM;
    j->fd = j->lock_fd = j->new_fd = -1;
    j->path = strdup(path);
    enum epc_err e = j->path ? take_lock(j) : EPC_ENOMEM;
    if (!e)
        e = open_file(j);
    if (!e)
        e = read_all(j, &rd);
    if (e) {
        rx_journal_close(j);
        return e;
    }
    if (rd.damaged)
        epc_log(EPC_LOG_WARN, "rx", "event=journal-damaged file=%s lines=%" PRIu64 " whole=%" PRIu64
                " hint=\"cut off; a process ended in the middle of a write\"", path, rd.damaged, rd.whole);
    if (*state <= rd.newest_state)
        *state = rd.newest_state + 1; /* two starts in a second, or a clock set back */
    j->state = *state;
    *out = j;
    return EPC_OK;
}

/* ---- writing ---------------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

static void empty_pending(struct rx_journal *j)
{
    if (j->pending.failed)
        epc_buf_free(&j->pending);
    j->pending.n = 0;
    j->pending.failed = false;
}

static void break_down(struct rx_journal *j, const char *why)
{
    epc_count(EPC_C_RX_JOURNAL_FAULTS);
    if (!j->broken)
        epc_log(EPC_LOG_ERROR, "rx",
                "event=journal-fault file=%s reason=\"%s\" hint=\"calls go on; sessions that a crash "
                "leaves open are not closed until it works again\"", j->path, why);
    j->broken = true;
    j->broken_ms = epc_now_ms();
}

void rx_journal_add_lines(struct rx_journal *j, struct epc_buf *lines, size_t n)
{
    if (!j->broken || j->new_fd >= 0) { /* else the rewrite that mends it tells everything */
        if (lines->failed)
            j->pending.failed = true;
        else if (lines->n > 0)
            epc_buf_add(&j->pending, lines->p, lines->n);
        j->lines += n;
    }
    epc_buf_free(lines);
}

enum epc_err rx_journal_flush(struct rx_journal *j)
{
    bool rewriting = j->new_fd >= 0;
    if (j->pending.failed) {
        break_down(j, "out of memory");
        empty_pending(j);
        return EPC_EIO;
    }
    if (j->pending.n == 0)
        return EPC_OK;
    size_t n = j->pending.n;
    bool ok = write_all(rewriting ? j->new_fd : j->fd, j->pending.p, n);
    int why = errno;
    empty_pending(j);
    if (!ok) {
        /* Half a line may be there. The reader passes it over, but what follows must be a new line. */
        if (!rewriting && ftruncate(j->fd, (off_t)j->size) == 0)
            (void)lseek(j->fd, (off_t)j->size, SEEK_SET);
        break_down(j, strerror(why));
        return EPC_EIO;
    }
    j->size += n;
    return EPC_OK;
}

bool rx_journal_wants_rewrite(const struct rx_journal *j, size_t held)
{
    if (j->broken)
        return epc_now_ms() - j->broken_ms >= RETRY_MS;
    return j->size > SMALL_FILE && j->lines > 4 * held + 1;
}

static bool new_name(const struct rx_journal *j, char name[PATH_MAX])
{
    return (size_t)snprintf(name, PATH_MAX, "%s.new", j->path) < PATH_MAX;
}

enum epc_err rx_journal_begin_rewrite(struct rx_journal *j)
{
    char name[PATH_MAX];
    j->broken_ms = epc_now_ms();
    if (!new_name(j, name))
        return refuse(j->path, "the name is too long");
    (void)unlink(name);
    j->new_fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (j->new_fd < 0) {
        break_down(j, strerror(errno));
        return EPC_EIO;
    }
    empty_pending(j);
    j->size = j->lines = 0;
    j->broken = false;
    return rx_journal_format(&j->pending, &(struct rx_journal_record){.kind = RX_JOURNAL_HEAD,
                                                                      .state = j->state});
}

enum epc_err rx_journal_end_rewrite(struct rx_journal *j)
{
    char name[PATH_MAX];
    bool ok = rx_journal_flush(j) == EPC_OK && !j->broken && new_name(j, name);
    if (ok && (fdatasync(j->new_fd) != 0 || rename(name, j->path) != 0)) {
        break_down(j, strerror(errno));
        ok = false;
    }
    if (!ok) {
        if (new_name(j, name))
            (void)unlink(name);
        close(j->new_fd);
        j->new_fd = -1;
        return EPC_EIO;
    }
    if (j->fd >= 0)
        close(j->fd);
    j->fd = j->new_fd;
    j->new_fd = -1;
    return EPC_OK;
}

void rx_journal_close(struct rx_journal *j)
{
    if (!j)
        return;
    int fds[] = {j->fd, j->new_fd, j->lock_fd}; /* the lock last */
    for (size_t i = 0; i < EPC_ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    epc_buf_free(&j->pending);
    free(j->path);
    free(j);
}
