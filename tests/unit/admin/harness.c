#include "harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_S = 20 };

/* ---- commands ----------------------------------------------------------------------------------- */

/* Shows its words; with just one of them it refuses. */
static void cmd_words(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply)
{
    struct epc_buf b = {0};
    (void)arg;
    for (size_t i = 0; i < argc; i++)
        epc_buf_printf(&b, "[%s]", argv[i]);
    epc_admin_answer(reply, argc != 2, b.p, b.n);
    epc_buf_free(&b);
}

static void cmd_hold(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply)
{
    struct harness *h = arg;
    (void)argv;
    (void)argc;
    h->held = reply;
}

static void cmd_release(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply)
{
    struct harness *h = arg;
    bool held = h->held;
    (void)argv;
    (void)argc;
    if (held)
        epc_admin_answer(h->held, true, "held", 4);
    h->held = NULL;
    epc_admin_answer(reply, held, NULL, 0);
}

static const char *health(void *arg)
{
    return ((struct harness *)arg)->unhealthy;
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void on_start(struct epc_shard *sh, void *arg)
{
    struct harness *h = arg;
    h->result = epc_admin_create(&h->admin, sh, &h->cfg);
    if (h->result == EPC_OK)
        h->result = epc_admin_command(h->admin, "words", "shows its words", cmd_words, h);
    if (h->result == EPC_OK)
        h->result = epc_admin_command(h->admin, "hold", "waits for release", cmd_hold, h);
    if (h->result == EPC_OK)
        h->result = epc_admin_command(h->admin, "release", "ends hold", cmd_release, h);
    if (h->result == EPC_OK)
        epc_admin_health(h->admin, health, h);
}

static void on_stop(struct epc_shard *sh, void *arg)
{
    struct harness *h = arg;
    (void)sh;
    epc_admin_destroy(h->admin);
    if (h->held) /* still owed; its connection has gone with the room */
        epc_admin_answer(h->held, true, "nobody", 6);
}

static uint16_t free_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
    close(fd);
    return ntohs(in.sin_port);
}

void harness_folder(struct harness *h)
{
    strcpy(h->folder, "/tmp/epc-admin-XXXXXX");
    assert_non_null(mkdtemp(h->folder));
    snprintf(h->path, sizeof h->path, "%s/control.sock", h->folder);
}

void harness_start(struct harness *h)
{
    struct epc_shard_opts o = {.index = 0, .label = "service"};
    h->port = free_port();
    assert_int_equal(epc_addr_parse(&h->cfg.metrics_listen, "127.0.0.1", h->port), EPC_OK);
    h->cfg.control_socket = h->path;
    assert_int_equal(epc_shard_create(&h->sh, &o), EPC_OK);
    assert_int_equal(epc_shard_start(h->sh, on_start, h), EPC_OK);
}

void harness_stop(struct harness *h)
{
    epc_shard_stop(h->sh, on_stop, h);
    epc_shard_destroy(h->sh);
}

void harness_clear(struct harness *h)
{
    assert_int_equal(rmdir(h->folder), 0);
}

int harness_setup(void **state)
{
    struct harness *h = calloc(1, sizeof *h);
    assert_non_null(h);
    harness_folder(h);
    harness_start(h);
    assert_int_equal(h->result, EPC_OK);
    *state = h;
    return 0;
}

int harness_teardown(void **state)
{
    struct harness *h = *state;
    harness_stop(h);
    harness_clear(h);
    free(h);
    return 0;
}

/* ---- clients ------------------------------------------------------------------------------------------ */

static int dial(int family, const void *addr, socklen_t n)
{
    struct timeval tv = {.tv_sec = PATIENCE_S};
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
    assert_int_equal(connect(fd, addr, n), 0);
    return fd;
}

int dial_tcp(uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return dial(AF_INET, &in, sizeof in);
}

int dial_unix(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    return dial(AF_UNIX, &un, sizeof un);
}

void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void expect(int fd, const char *text)
{
    char buf[8192];
    size_t n = strlen(text), have = 0;
    assert_true(n < sizeof buf);
    while (have < n) {
        ssize_t r = recv(fd, buf + have, n - have, 0);
        if (r <= 0)
            break;
        have += (size_t)r;
    }
    buf[have] = 0;
    assert_string_equal(buf, text);
}

void expect_end(int fd)
{
    char c;
    ssize_t r = recv(fd, &c, 1, 0);
    assert_true(r == 0 || (r < 0 && errno == ECONNRESET));
}
