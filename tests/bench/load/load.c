/* bench_load: see load.h. Options first, then commands on standard input, a line each; every command is
 * answered by one line of JSON.
 *   connect N [C]      N users connect, each once, C at a time
 *   churn SECONDS C    C users connect, upgrade, close, again and again (with `resume on`: by ticket)
 *   register           each connected user registers once
 *   refresh SECONDS C  registrations refreshed, C at a time in a closed loop
 *   refresh-rate SECONDS R   R a second, whatever comes back (open loop)
 *   call SECONDS C, call-rate SECONDS R   INVITE, ACK, BYE by registered users
 *   fresh on|off, resume on|off, padding OCTETS, close, quit */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { OPERATION_LIMIT_S = 10 };

static struct load load = {.domain = "ims.test", .called = "sip:phone@ims.test"};

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct user *user_of(struct wic *w)
{
    return w->user;
}

/* ---- operations ---------------------------------------------------------------------------------------- */

static void start(struct load *l, struct user *u)
{
    u->busy = true;
    l->running++;
    if (l->work == WORK_REGISTER)
        user_register(l, u);
    else if (l->work == WORK_CALL)
        user_call(l, u);
    else {
        u->sent_ns = now_ns();
        u->wic.net = &l->net;
        if (!wic_connect(&u->wic))
            load_failed(l, u, (struct span){"connect", 7});
    }
}

static bool usable(const struct load *l, const struct user *u)
{
    bool open = u->wic.state == WIC_OPEN;
    if (u->busy)
        return false;
    return l->work == WORK_CONNECT || l->work == WORK_CHURN ? u->wic.state == WIC_IDLE
           : l->work == WORK_CALL                            ? open && u->registered
                                                             : open;
}

static struct user *next_user(struct load *l)
{
    for (unsigned tried = 0; tried < l->n_users; tried++) {
        struct user *u = &l->users[l->next];
        l->next = (l->next + 1) % l->n_users;
        if (usable(l, u))
            return u;
    }
    return NULL;
}

/* Closed loop: as many as may run; open loop: as many as are due. */
static void feed(struct load *l)
{
    uint64_t now = now_ns();
    while (l->work != WORK_NONE) {
        if (l->timed && now >= l->until_ns)
            return;
        if (!l->timed && l->left == 0)
            return;
        if (l->rate > 0 ? l->due_ns > now : l->running >= l->limit)
            return;
        struct user *u = next_user(l);
        if (!u) {
            if (l->rate > 0) { /* all are busy: what is due now is lost, not put off */
                l->lost++;
                l->due_ns += (uint64_t)(1e9 / l->rate);
                continue;
            }
            if (!l->timed)
                l->left = 0;
            return;
        }
        if (!l->timed)
            l->left--;
        if (l->rate > 0)
            l->due_ns += (uint64_t)(1e9 / l->rate);
        start(l, u);
    }
}

void load_done(struct load *l, struct user *u)
{
    if (!u->busy)
        return;
    u->busy = false;
    l->running--;
    l->done++;
}

void load_failed(struct load *l, struct user *u, struct span why)
{
    if (!u->busy)
        return;
    u->busy = false;
    l->running--;
    if (why.n > 12 && sip_status(why) == 503)
        l->refused++;
    else
        l->failed++;
    if (!*l->first_fault) {
        size_t n = why.n < sizeof l->first_fault - 1 ? why.n : sizeof l->first_fault - 1;
        for (size_t i = 0; i < n; i++)
            l->first_fault[i] = why.p[i] < ' ' || why.p[i] == '"' || why.p[i] == '\\' ? ' ' : why.p[i];
        l->first_fault[n] = 0;
    }
}

/* ---- events ---------------------------------------------------------------------------------------------- */

static void on_open(struct wic *w)
{
    struct user *u = user_of(w);
    histogram_add(&load.latency, now_ns() - u->sent_ns);
    if (load.work == WORK_CHURN && !load.net.resume)
        wic_close(w);
    else if (load.work == WORK_CHURN) /* its ticket comes with the first octets after the handshake */
        wic_close(w);
    load_done(&load, u);
}

static void on_text(struct wic *w, struct span message)
{
    user_text(&load, user_of(w), message);
}

static void on_closed(struct wic *w, const char *why)
{
    struct user *u = user_of(w);
    u->registered = false;
    load_failed(&load, u, (struct span){why, strlen(why)});
}

/* ---- commands --------------------------------------------------------------------------------------------- */

static void turn(struct load *l, int wait_ms)
{
    struct epoll_event ev[256];
    int n = epoll_wait(l->net.poll, ev, 256, wait_ms);
    for (int i = 0; i < n; i++)
        wic_ready(ev[i].data.ptr, ev[i].events);
}

/* What is overdue when the time is up has failed. */
static void run(struct load *l)
{
    uint64_t began = now_ns(), last = 0, give_up;
    l->done = l->failed = l->refused = l->lost = 0;
    l->net.resumed = l->net.full = 0;
    *l->first_fault = 0;
    memset(&l->latency, 0, sizeof l->latency);
    l->due_ns = began;
    give_up = (l->timed ? l->until_ns : began + 3600000000000u) + OPERATION_LIMIT_S * 1000000000ull;
    unsigned long before = 0;
    uint64_t moved = began;
    for (;;) {
        feed(l);
        uint64_t now = now_ns();
        bool more = l->timed ? now < l->until_ns : l->left > 0;
        if (!more && !last)
            last = now;
        if (!more && l->running == 0)
            break;
        if (l->done + l->failed + l->refused != before) {
            before = l->done + l->failed + l->refused;
            moved = now;
        }
        if (now > give_up || (!more && now - moved > OPERATION_LIMIT_S * 1000000000ull))
            break;
        turn(l, l->rate > 0 && more ? 1 : 20);
    }
    double seconds = (double)(now_ns() - began) / 1e9;
    for (unsigned i = 0; i < l->n_users; i++)
        if (l->users[i].busy)
            load_failed(l, &l->users[i], (struct span){"no answer", 9});
    printf("{\"done\": %lu, \"failed\": %lu, \"refused\": %lu, \"lost\": %lu, \"seconds\": %.3f, \"full\": %lu, "
           "\"resumed\": %lu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"fault\": \"%s\"}\n",
           l->done, l->failed, l->refused, l->lost, seconds, l->net.full, l->net.resumed,
           histogram_us(&l->latency, 0.5), histogram_us(&l->latency, 0.99), histogram_us(&l->latency, 0.999),
           l->first_fault);
    fflush(stdout);
    l->work = WORK_NONE;
}

static void everybody(struct load *l, enum work work, unsigned count, unsigned limit)
{
    l->work = work;
    l->timed = false;
    l->rate = 0;
    l->left = count;
    l->limit = limit;
    l->next = 0;
    run(l);
}

static void for_a_time(struct load *l, enum work work, double seconds, double amount, bool rate)
{
    l->work = work;
    l->timed = true;
    l->rate = rate ? amount : 0;
    l->limit = (unsigned)amount;
    l->until_ns = now_ns() + (uint64_t)(seconds * 1e9);
    run(l);
}

static void make_users(struct load *l, unsigned count)
{
    if (l->users || count == 0)
        return;
    l->users = calloc(count, sizeof *l->users);
    if (!l->users)
        abort();
    l->n_users = count;
    for (unsigned i = 0; i < count; i++) {
        l->users[i].wic = (struct wic){.net = &l->net, .fd = -1, .index = i, .user = &l->users[i]};
        l->users[i].cseq = 1;
    }
}

static void close_all(struct load *l)
{
    for (unsigned i = 0; i < l->n_users; i++) {
        wic_close(&l->users[i].wic);
        l->users[i].busy = l->users[i].registered = false;
    }
    l->running = 0;
    printf("{}\n");
    fflush(stdout);
}

static bool command(struct load *l, char *line)
{
    char verb[32] = "", word[32] = "";
    double a = 0, b = 0;
    if (sscanf(line, "%31s %31s", verb, word) < 1)
        return true;
    sscanf(line, "%*s %lf %lf", &a, &b);
    bool on = strcmp(word, "on") == 0;
    if (strcmp(verb, "connect") == 0) {
        make_users(l, (unsigned)a);
        everybody(l, WORK_CONNECT, l->n_users, b > 0 ? (unsigned)b : 64);
    } else if (strcmp(verb, "churn") == 0) {
        make_users(l, (unsigned)b * 4);
        for_a_time(l, WORK_CHURN, a, b, false);
    } else if (strcmp(verb, "register") == 0)
        everybody(l, WORK_REGISTER, l->n_users, 64);
    else if (strncmp(verb, "refresh", 7) == 0)
        for_a_time(l, WORK_REGISTER, a, b, verb[7] != 0);
    else if (strncmp(verb, "call", 4) == 0)
        for_a_time(l, WORK_CALL, a, b, verb[4] != 0);
    else if (strcmp(verb, "close") == 0)
        close_all(l);
    else if (strcmp(verb, "quit") == 0)
        return false;
    else {
        if (strcmp(verb, "fresh") == 0)
            l->fresh = on;
        else if (strcmp(verb, "resume") == 0)
            l->net.resume = on;
        else if (strcmp(verb, "padding") == 0)
            l->padding = (size_t)a;
        else
            fprintf(stderr, "bench_load: unknown command %s\n", verb);
        printf("{}\n");
        fflush(stdout);
    }
    return true;
}

/* Between commands the connections still want their pings answered. */
static bool next_command(struct load *l, char *line, size_t size)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = read(0, line + n, 1);
        if (got == 0)
            return false;
        if (got < 0) {
            turn(l, 50);
            continue;
        }
        if (line[n] == '\n' || n + 2 == size) {
            line[n] = 0;
            return true;
        }
        n++;
    }
}

static char *read_file(const char *path)
{
    static char room[65536];
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(room, 1, sizeof room - 1, f) : 0;
    if (!f || !n) {
        fprintf(stderr, "bench_load: %s cannot be read\n", path);
        exit(2);
    }
    fclose(f);
    room[n] = 0;
    return room;
}

static const char usage[] = "usage: bench_load --server IP:PORT --host NAME --path PATH --origin URL [--domain NAME] "
                            "[--called URI] [--sdp FILE]\n"
                            "                  [--token KEY.pem --kid ID --issuer URL --audience NAME --wwsf ID]\n";

int main(int argc, char **argv)
{
    const char *key = NULL, *kid = "", *issuer = "", *audience = "", *wwsf = "", *server = NULL;
    struct load *l = &load;
    const struct {
        const char *name, **to;
    } options[] = {{"--server", &server},       {"--host", &l->net.host}, {"--path", &l->net.path},
                   {"--origin", &l->net.origin}, {"--domain", &l->domain}, {"--called", &l->called},
                   {"--sdp", &l->sdp},          {"--token", &key},        {"--kid", &kid},
                   {"--issuer", &issuer},       {"--audience", &audience}, {"--wwsf", &wwsf}};
    for (int i = 1; i + 1 < argc; i += 2) {
        size_t o = 0;
        while (o < sizeof options / sizeof *options && strcmp(options[o].name, argv[i]) != 0)
            o++;
        if (o == sizeof options / sizeof *options) {
            fputs(usage, stderr);
            return 2;
        }
        *options[o].to = argv[i + 1];
    }
    char ip[64] = "";
    unsigned port = 0;
    l->net.server.sin_family = AF_INET;
    if (!server || sscanf(server, "%63[0-9.]:%u", ip, &port) != 2 ||
        inet_pton(AF_INET, ip, &l->net.server.sin_addr) != 1 || !l->net.host || !l->net.path || !l->net.origin) {
        fputs(usage, stderr);
        return 2;
    }
    l->net.server.sin_port = htons((unsigned short)port);
    if (l->sdp)
        l->sdp = read_file(l->sdp);
    if (key)
        l->key = token_key(key, kid, issuer, audience, wwsf);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    l->net.poll = epoll_create1(0);
    l->net.spread = strncmp(ip, "127.", 4) == 0;
    l->net.on = (struct wic_events){on_open, on_text, on_closed};
    wic_net_init(&l->net);
    fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
    printf("{\"ready\": true}\n");
    fflush(stdout);
    char line[256];
    while (next_command(l, line, sizeof line) && command(l, line))
        ;
    return 0;
}
