#include "admin/admin_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

struct connection {
    struct connection *next, **prev;
    uv_pipe_t pipe;
    struct control *control;
    struct epc_admin_reply *reply; /* the command under way */
    char line[EPC_CONTROL_MAX_LINE];
    size_t n;
    bool closing, running;
    bool last; /* close when the answer has left */
};

struct control {
    struct epc_admin *admin;
    uv_pipe_t *listener;
    struct connection *connections;
    char *path;
};

struct epc_admin_reply {
    struct connection *to; /* NULL: it has gone */
};

struct write {
    uv_write_t req;
    char text[];
};

/* ---- connections ----------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *h)
{
    free(EPC_CONTAINER(h, struct connection, pipe));
}

static void connection_close(struct connection *c)
{
    if (c->closing)
        return;
    c->closing = true;
    if (c->reply)
        c->reply->to = NULL;
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    uv_close((uv_handle_t *)&c->pipe, on_closed);
}

static void on_written(uv_write_t *req, int status)
{
    struct connection *c = EPC_CONTAINER(req->handle, struct connection, pipe);
    free(EPC_CONTAINER(req, struct write, req));
    if (status != 0 || (c->last && uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) == 0))
        connection_close(c);
}

static void run_line(struct connection *c);

static void answer(struct connection *c, bool ok, const char *text, size_t n)
{
    char head[32];
    int h = snprintf(head, sizeof head, "%s %zu\n", ok ? "ok" : "error", n);
    struct write *w = h > 0 ? malloc(sizeof *w + (size_t)h + n) : NULL;
    if (!w) {
        connection_close(c);
        return;
    }
    memcpy(w->text, head, (size_t)h);
    if (n)
        memcpy(w->text + h, text, n);
    uv_buf_t buf = uv_buf_init(w->text, (unsigned)((size_t)h + n));
    if (uv_write(&w->req, (uv_stream_t *)&c->pipe, &buf, 1, on_written) != 0) {
        free(w);
        connection_close(c);
        return;
    }
}

void epc_admin_answer(struct epc_admin_reply *reply, bool ok, const char *text, size_t n)
{
    struct connection *c = reply->to;
    free(reply);
    if (!c)
        return;
    c->reply = NULL;
    answer(c, ok, text, n);
    if (!c->closing)
        run_line(c); /* the next one may have arrived meanwhile */
}

static void refuse(struct connection *c, const char *why)
{
    answer(c, false, why, strlen(why));
}

static void run_command(struct connection *c, const char *const *argv, size_t argc)
{
    for (struct command *k = c->control->admin->commands; k; k = k->next) {
        if (argc == 0 || strcmp(k->name, argv[0]) != 0)
            continue;
        struct epc_admin_reply *r = malloc(sizeof *r);
        if (!r) {
            connection_close(c);
            return;
        }
        r->to = c;
        c->reply = r;
        k->fn(k->arg, argv, argc, r);
        return;
    }
    refuse(c, "unknown command; try help\n");
}

static void run_line(struct connection *c)
{
    const char *argv[EPC_CONTROL_MAX_WORDS];
    char line[EPC_CONTROL_MAX_LINE], *end;
    if (c->running)
        return; /* a command that answers at once comes back here */
    c->running = true;
    while (!c->closing && !c->reply && (end = memchr(c->line, '\n', c->n))) {
        size_t n = (size_t)(end - c->line), argc = 0;
        memcpy(line, c->line, n);
        line[n] = 0;
        c->n -= n + 1;
        memmove(c->line, end + 1, c->n);
        char *save = NULL, *w = strtok_r(line, " \r", &save);
        for (; w && argc < EPC_ARRAY_LEN(argv); w = strtok_r(NULL, " \r", &save))
            argv[argc++] = w;
        if (w) /* never run it with less than it was told */
            refuse(c, "too many words\n");
        else
            run_command(c, argv, argc);
    }
    c->running = false;
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    struct connection *c = EPC_CONTAINER(h, struct connection, pipe);
    (void)suggested;
    *buf = uv_buf_init(c->line + c->n, (unsigned)(sizeof c->line - c->n));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct connection *c = EPC_CONTAINER(s, struct connection, pipe);
    (void)buf;
    if (n == UV_ENOBUFS && !c->reply) {
        c->last = true;
        uv_read_stop(s);
        refuse(c, "the line is too long\n");
        return;
    }
    if (n < 0) { /* also one that sends without end before it has its answer */
        connection_close(c);
        return;
    }
    c->n += (size_t)n;
    run_line(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct control *k = listener->data;
    struct connection *c = status == 0 ? calloc(1, sizeof *c) : NULL;
    if (!c)
        return;
    c->control = k;
    c->next = k->connections;
    c->prev = &k->connections;
    if (c->next)
        c->next->prev = &c->next;
    k->connections = c;
    if (uv_pipe_init(epc_shard_uv(k->admin->sh), &c->pipe, 0) != 0) {
        *c->prev = c->next;
        if (c->next)
            c->next->prev = c->prev;
        free(c);
        return;
    }
    if (uv_accept(listener, (uv_stream_t *)&c->pipe) != 0 ||
        uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) != 0)
        connection_close(c);
}

/* ---- listener ------------------------------------------------------------------------------------------ */

/* A file that nobody listens on is left over from a run that ended badly. */
static bool somebody_listens(const struct sockaddr_un *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof *a) == 0;
    if (fd >= 0)
        close(fd);
    return yes;
}

static int listen_fd(const char *path, const char **why)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a.sun_path) {
        *why = "path too long for a Unix socket";
        return -1;
    }
    memcpy(a.sun_path, path, strlen(path) + 1);
    if (somebody_listens(&a)) {
        *why = "another process listens on it; stop that one or name another path";
        return -1;
    }
    struct stat st;
    bool exists = lstat(path, &st) == 0;
    if (exists && !S_ISSOCK(st.st_mode)) {
        *why = "a file that is no socket is in its place; remove it or name another path";
        return -1;
    }
    if (exists)
        unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* Linux gives the file the mode of the socket: no moment in which others may connect. */
    if (fd < 0 || fchmod(fd, 0600) != 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        *why = strerror(errno);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static void on_listener_closed(uv_handle_t *h)
{
    free(h);
}

enum epc_err admin_control_open(struct epc_admin *a)
{
    const char *why = "out of memory";
    int fd = -1;
    struct control *k = calloc(1, sizeof *k);
    if (!k)
        return EPC_ENOMEM;
    a->control = k;
    k->admin = a;
    k->path = strdup(a->cfg->control_socket);
    uv_pipe_t *l = calloc(1, sizeof *l);
    if (!k->path || !l || uv_pipe_init(epc_shard_uv(a->sh), l, 0) != 0) {
        free(l);
        goto out;
    }
    k->listener = l;
    l->data = k;
    fd = listen_fd(k->path, &why);
    if (fd < 0)
        goto out;
    int rc = uv_pipe_open(l, fd);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)l, 16, on_connection);
    if (rc == 0)
        return EPC_OK;
    why = uv_strerror(rc);
out:
    epc_log(EPC_LOG_ERROR, "admin", "event=control-socket-failed path=%s why=\"%s\"",
            a->cfg->control_socket, why);
    return EPC_EIO;
}

void admin_control_close(struct epc_admin *a)
{
    struct control *k = a->control;
    if (!k)
        return;
    struct connection *next;
    for (struct connection *c = k->connections; c; c = next) {
        next = c->next;
        connection_close(c);
    }
    if (k->listener) {
        if (uv_is_active((uv_handle_t *)k->listener) && k->path)
            unlink(k->path);
        uv_close((uv_handle_t *)k->listener, on_listener_closed);
    }
    free(k->path);
    free(k);
    a->control = NULL;
}
