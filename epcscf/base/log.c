/* The log is process-wide by nature: its threshold and sink are the room's only shared state. */
#include "base/base.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic int log_level = EPC_LOG_INFO;
static _Atomic int log_fd = STDERR_FILENO;
static _Atomic bool plain_ids;
static unsigned char id_key[32];
static pthread_once_t id_once = PTHREAD_ONCE_INIT;
static _Thread_local char thread_label[16] = "main";

void epc_log_setup(enum epc_log_level level, int fd)
{
    atomic_store(&log_level, (int)level);
    atomic_store(&log_fd, fd);
}

void epc_log_thread(const char *label)
{
    snprintf(thread_label, sizeof thread_label, "%s", label);
}

void epc_log_plain_ids(bool plain)
{
    atomic_store(&plain_ids, plain);
}

bool epc_log_on(enum epc_log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

void epc_logv(enum epc_log_level level, const char *area, const char *fmt, va_list ap)
{
    static const char *const name[] = {"error", "warn", "info", "debug"};
    char line[2048];
    struct timespec t;
    struct tm tm;
    if (!epc_log_on(level))
        return;
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%06ldZ %s %s %s ", t.tv_nsec / 1000,
                          name[level], area, thread_label);
    int m = vsnprintf(line + n, sizeof line - n - 1, fmt, ap);
    if (m < 0)
        m = 0;
    n = n + (size_t)m < sizeof line - 1 ? n + (size_t)m : sizeof line - 2;
    /* A peer's text must not be able to forge a line of its own. */
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
    line[n++] = '\n';
    if (write(atomic_load(&log_fd), line, n) < 0) {
        /* nowhere left to complain to */
    }
}

#undef epc_log
void epc_log(enum epc_log_level level, const char *area, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    epc_logv(level, area, fmt, ap);
    va_end(ap);
}

static void make_id_key(void)
{
    epc_random(id_key, sizeof id_key);
}

const char *epc_log_id(struct epc_str identity, char out[EPC_LOG_ID_LEN])
{
    if (identity.n == 0) {
        snprintf(out, EPC_LOG_ID_LEN, "-");
        return out;
    }
    if (atomic_load(&plain_ids)) {
        snprintf(out, EPC_LOG_ID_LEN, "%.*s", EPC_STR_ARG(identity));
        return out;
    }
    pthread_once(&id_once, make_id_key);
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (!HMAC(EVP_sha256(), id_key, sizeof id_key, (const unsigned char *)identity.p, identity.n,
              mac, &n) ||
        n < 4)
        memset(mac, 0, 4);
    snprintf(out, EPC_LOG_ID_LEN, "u:%02x%02x%02x%02x", mac[0], mac[1], mac[2], mac[3]);
    return out;
}
