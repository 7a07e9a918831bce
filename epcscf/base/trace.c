#include "base/base.h"

#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

static _Atomic int trace_fd = -1;
static _Thread_local unsigned long sequence;

void epc_trace_setup(int fd)
{
    atomic_store(&trace_fd, fd);
}

bool epc_trace_on(void)
{
    return atomic_load_explicit(&trace_fd, memory_order_relaxed) >= 0;
}

/* A secret is what follows one of these, up to the end of the line or, for JSON, of the string.
 * Text that carries SDP inside JSON has "\r\n" as an escape: that ends a line too. */
static const struct {
    const char *mark;
    bool line_start;
    const char *with; /* the header is a secret only where it holds this */
} secrets[] = {
    {"authorization:", true, NULL},
    {"proxy-authorization:", true, NULL},
    /* An S-CSCF puts the session keys CK and IK beside an AKA challenge (TS 24.229 5.4.1.2.1). */
    {"www-authenticate:", true, "aka"},
    {"a=ice-pwd:", false, NULL},
    {"a=crypto:", false, NULL},
    {"\"ice-pwd\":\"", false, NULL},
    {"access_token=", false, NULL},
};

/* The end of a header field whose value begins at from, continuation lines included. */
static size_t header_end(const char *text, size_t n, size_t from)
{
    size_t i = from;
    while (i < n && !(text[i] == '\n' && (i + 1 >= n || (text[i + 1] != ' ' && text[i + 1] != '\t'))))
        i++;
    if (i > 0 && i <= n && text[i - 1] == '\r')
        i--;
    return i;
}

static bool holds(const char *text, size_t n, const char *what)
{
    size_t m = strlen(what);
    for (size_t i = 0; i + m <= n; i++)
        if (strncasecmp(text + i, what, m) == 0)
            return true;
    return false;
}

static size_t secret_end(const char *text, size_t n, size_t from)
{
    size_t i = from;
    for (; i < n; i++) {
        if (text[i] == '\r' || text[i] == '\n' || text[i] == '"')
            break;
        if (text[i] == '\\' && i + 1 < n && (text[i + 1] == 'r' || text[i + 1] == 'n'))
            break;
    }
    return i;
}

void epc_mask_secrets(struct epc_buf *out, const char *text, size_t n)
{
    size_t i = 0, kept = 0;
    while (i < n) {
        bool at_start = i == 0 || text[i - 1] == '\n';
        size_t hit = 0;
        bool whole_line = false;
        for (size_t k = 0; k < EPC_ARRAY_LEN(secrets); k++) {
            size_t m = strlen(secrets[k].mark);
            if (secrets[k].line_start && !at_start)
                continue;
            if (n - i >= m && strncasecmp(text + i, secrets[k].mark, m) == 0) {
                if (secrets[k].with &&
                    !holds(text + i, header_end(text, n, i + m) - i, secrets[k].with))
                    continue;
                hit = m;
                whole_line = secrets[k].line_start;
                break;
            }
        }
        if (!hit) {
            i++;
            continue;
        }
        i += hit;
        epc_buf_add(out, text + kept, i - kept);
        /* Digest parameters hold quotes: the whole header line goes, continuation lines too. */
        if (whole_line) {
            i = header_end(text, n, i);
            epc_buf_adds(out, " ");
        } else
            i = secret_end(text, n, text[i < n ? i : n - 1] == '"' ? i + 1 : i);
        epc_buf_adds(out, "***");
        kept = i;
    }
    epc_buf_add(out, text + kept, n - kept);
}

static void add_json(struct epc_buf *b, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c == '"' || c == '\\')
            epc_buf_printf(b, "\\%c", c);
        else if (c == '\n')
            epc_buf_adds(b, "\\n");
        else if (c == '\r')
            epc_buf_adds(b, "\\r");
        else if (c == '\t')
            epc_buf_adds(b, "\\t");
        else if (c < 0x20 || c >= 0x7f)
            epc_buf_printf(b, "\\u%04x", c);
        else
            epc_buf_add(b, &p[i], 1);
    }
}

void epc_trace(enum epc_trace_point point, bool out, const char *peer, const char *key,
               const char *text, size_t n)
{
    static const char *const name[] = {"Gm", "Mw", "Rx", "Iq"};
    int fd = atomic_load_explicit(&trace_fd, memory_order_relaxed);
    if (fd < 0)
        return;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    struct epc_buf masked = {0}, line = {0};
    epc_mask_secrets(&masked, text, n);
    epc_buf_printf(&line, "{\"t_us\":%lld,\"n\":%lu,\"point\":\"%s\",\"dir\":\"%s\",\"peer\":\"",
                   (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000, ++sequence, name[point],
                   out ? "out" : "in");
    if (peer)
        add_json(&line, peer, strlen(peer));
    epc_buf_adds(&line, "\",\"key\":\"");
    if (key)
        add_json(&line, key, strlen(key));
    epc_buf_adds(&line, "\",\"text\":\"");
    if (masked.p)
        add_json(&line, masked.p, masked.n);
    epc_buf_adds(&line, "\"}\n");
    if (!line.failed && !masked.failed && write(fd, line.p, line.n) < 0)
        epc_log(EPC_LOG_DEBUG, "base", "event=trace-write-failed");
    epc_buf_free(&masked);
    epc_buf_free(&line);
}
