/* Recording of what is exchanged over Rx, as lines of JSON (avp/): for engineers, on demand. freeDiameter's
 * threads only copy the octets into a bounded queue; a thread of our own makes text of them and writes. */
#include "diameter_priv.h"

#include "avp/avp.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    QUEUE = 4096,                /* messages */
    QUEUE_OCTETS = 16 << 20,     /* of them together */
    RX = 16777236,
};
static const off_t rotate_at = (off_t)64 << 20;

struct item {
    uint64_t t_us;
    uint8_t *octets;
    size_t n;
    bool out;
    char peer[128];
};

struct epc_recorder {
    char *file;
    int fd;
    bool base;
    struct epc_dict *dict;
    struct fd_hook_hdl *hook;
    pthread_t thread;
    pthread_mutex_t lock; /* over the queue; never held while something is written */
    pthread_cond_t filled;
    struct item *queue;
    size_t first, n, octets;
    bool stop, reopen;
    _Atomic uint64_t written, lost;
};

/* ---- freeDiameter's side ---------------------------------------------------------------------------------- */

static bool push(struct epc_recorder *r, const struct item *i)
{
    pthread_mutex_lock(&r->lock);
    bool room = r->n < QUEUE && r->octets + i->n <= QUEUE_OCTETS;
    if (room) {
        r->queue[(r->first + r->n++) % QUEUE] = *i;
        r->octets += i->n;
        pthread_cond_signal(&r->filled);
    }
    pthread_mutex_unlock(&r->lock);
    return room;
}

static void count_lost(struct epc_recorder *r)
{
    atomic_fetch_add(&r->lost, 1);
    epc_count(EPC_C_RX_RECORD_LOST);
}

static void on_message(enum fd_hook_type type, struct msg *m, struct peer_hdr *peer, void *other,
                       struct fd_hook_permsgdata *pmd, void *regdata)
{
    struct epc_recorder *r = regdata;
    struct msg_hdr *h;
    struct timespec now;
    struct item i = {.out = type == HOOK_MESSAGE_SENDING};
    (void)other, (void)pmd;
    if (!m || fd_msg_hdr(m, &h) || (h->msg_appl != RX && !r->base))
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    i.t_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    snprintf(i.peer, sizeof i.peer, "%s", peer ? peer->info.pi_diamid : "");
    if (fd_msg_bufferize(m, &i.octets, &i.n)) {
        count_lost(r);
        return;
    }
    if (!push(r, &i)) {
        free(i.octets);
        count_lost(r);
    }
}

/* ---- the file ------------------------------------------------------------------------------------------------ */

static int open_file(const char *file)
{
    struct stat st;
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || fchmod(fd, 0600) != 0) {
        int why = errno && !S_ISREG(st.st_mode) ? EINVAL : errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

static void reopen(struct epc_recorder *r)
{
    int fd = open_file(r->file);
    if (fd < 0) {
        epc_log(EPC_LOG_ERROR, "diameter", "event=record-not-reopened file=%s reason=\"%s\"", r->file, strerror(errno));
        return; /* the old one goes on */
    }
    close(r->fd);
    r->fd = fd;
}

/* One older file is kept: a record that is forgotten does not fill the disk. */
static void rotate(struct epc_recorder *r)
{
    struct stat st;
    char old[4096];
    if (fstat(r->fd, &st) != 0 || st.st_size < rotate_at)
        return;
    if (snprintf(old, sizeof old, "%s.1", r->file) >= (int)sizeof old || rename(r->file, old) != 0) {
        epc_log(EPC_LOG_ERROR, "diameter", "event=record-not-rotated file=%s reason=\"%s\"", r->file, strerror(errno));
        if (ftruncate(r->fd, 0) != 0) /* better a short record than a full disk */
            count_lost(r);
        return;
    }
    reopen(r);
}

static void write_line(struct epc_recorder *r, const struct item *i)
{
    struct epc_buf line = {0}, why = {0};
    struct epc_msg *m = NULL;
    if (epc_msg_decode(&m, r->dict, i->octets, i->n, &why) != EPC_OK)
        m = NULL;
    epc_recorded_write(&line, i->t_us, i->out, i->peer, m, (struct epc_str){(const char *)i->octets, i->n},
                       why.p ? why.p : "");
    if (!line.failed && write(r->fd, line.p, line.n) == (ssize_t)line.n) {
        atomic_fetch_add(&r->written, 1);
        epc_count(EPC_C_RX_RECORDED);
    } else
        count_lost(r);
    epc_msg_destroy(m);
    epc_buf_free(&line);
    epc_buf_free(&why);
}

static void *writer(void *arg)
{
    struct epc_recorder *r = arg;
    epc_log_thread("record");
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (r->n == 0 && !r->stop && !r->reopen)
            pthread_cond_wait(&r->filled, &r->lock);
        bool again = r->reopen;
        r->reopen = false;
        if (r->n == 0 && !again)
            break;
        struct item i = {0};
        if (r->n) {
            i = r->queue[r->first];
            r->first = (r->first + 1) % QUEUE;
            r->n--;
            r->octets -= i.n;
        }
        pthread_mutex_unlock(&r->lock);
        if (again)
            reopen(r);
        if (i.octets) {
            rotate(r);
            write_line(r, &i);
            free(i.octets);
        }
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* ---- on and off ------------------------------------------------------------------------------------------------ */

static void recorder_free(struct epc_recorder *r)
{
    if (r->fd >= 0)
        close(r->fd);
    epc_dict_destroy(r->dict);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->filled);
    free(r->queue);
    free(r->file);
    free(r);
}

static void say(struct epc_buf *why, const char *file, const char *reason)
{
    epc_log(EPC_LOG_ERROR, "diameter", "event=record-refused file=%s reason=\"%.300s\"", file, reason);
    if (why)
        epc_buf_printf(why, "%s: %s\n", file, reason);
}

static enum epc_err prepare(struct epc_recorder *r, const char *file, uint32_t webrtc_vendor, struct epc_buf *why)
{
    struct epc_buf faults = {0};
    r->file = strdup(file);
    r->queue = calloc(QUEUE, sizeof *r->queue);
    if (!r->file || !r->queue)
        return EPC_ENOMEM;
    enum epc_err e = epc_dict_load(&r->dict, NULL, webrtc_vendor, &faults);
    if (e)
        say(why, file, faults.p ? faults.p : epc_err_name(e));
    epc_buf_free(&faults);
    if (e)
        return e;
    r->fd = open_file(file);
    if (r->fd < 0) {
        say(why, file, strerror(errno));
        return EPC_EIO;
    }
    return EPC_OK;
}

enum epc_err epc_recorder_start(struct epc_recorder **out, const char *file, bool base, uint32_t webrtc_vendor,
                                struct epc_buf *why)
{
    struct epc_recorder *r = calloc(1, sizeof *r);
    if (!r)
        return EPC_ENOMEM;
    r->fd = -1;
    r->base = base;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->filled, NULL);
    enum epc_err e = prepare(r, file, webrtc_vendor, why);
    if (e == EPC_OK && pthread_create(&r->thread, NULL, writer, r) != 0)
        e = EPC_EIO;
    if (e) {
        recorder_free(r);
        return e;
    }
    if (fd_hook_register(HOOK_MASK(HOOK_MESSAGE_RECEIVED, HOOK_MESSAGE_SENDING), on_message, r, NULL, &r->hook)) {
        say(why, file, "freeDiameter takes no hook");
        epc_recorder_stop(r);
        return EPC_EIO;
    }
    epc_log(EPC_LOG_WARN, "diameter", "event=record-on file=%s holds=\"identities, addresses and service information of users\"",
            file);
    *out = r;
    return EPC_OK;
}

void epc_recorder_stop(struct epc_recorder *r)
{
    if (!r)
        return;
    if (r->hook)
        (void)fd_hook_unregister(r->hook); /* waits for calls that run */
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_signal(&r->filled);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    epc_log(EPC_LOG_INFO, "diameter", "event=record-off file=%s written=%llu lost=%llu", r->file,
            (unsigned long long)r->written, (unsigned long long)r->lost);
    recorder_free(r);
}

void epc_recorder_reopen(struct epc_recorder *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->reopen = true;
    pthread_cond_signal(&r->filled);
    pthread_mutex_unlock(&r->lock);
}

void epc_recorder_print(const struct epc_recorder *r, struct epc_buf *out)
{
    if (!r)
        epc_buf_adds(out, "record=off\n");
    else
        epc_buf_printf(out, "record=%s base=%s written=%llu lost=%llu\n", r->file, r->base ? "yes" : "no",
                       (unsigned long long)r->written, (unsigned long long)r->lost);
}
