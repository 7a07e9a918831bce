/* bench_load: see load.h. Options first, then commands on standard input, a line each; every command is
 * answered by one line of JSON.
 *   connect N [C]      N users are connected (those who are stay so), C at a time
 *   churn SECONDS C    C users connect, upgrade, close, again and again (with `resume on`: by ticket)
 *   register           each connected user that has not registered registers once
 *   refresh SECONDS C, refresh-rate SECONDS R    registrations refreshed: C at a time in a closed loop, or R a
 *                      second whatever comes back (open loop)
 *   call SECONDS C, call-rate SECONDS R          INVITE, ACK, BYE by registered users
 *   called SECONDS C   the core calls them: INVITE, ACK, BYE
 *   hold N             calls that stay, until N stand
 *   hangup             all of them end
 *   dialog-rate SECONDS R                        INFO inside the calls that stand
 *   mix SECONDS R D E S2 R2   open loop: R a second, of which D in standing calls, E emergency calls, the rest
 *                      REGISTER; at once after it, for S2 seconds, R2 REGISTERs a second ("after" in the answer)
 *   patience SECONDS   a REGISTER that is answered later has failed, but for a 503, which is only late (10;
 *                      anything else always has 10)
 *   count              how many are connected, registered, in calls that stand
 *   fresh on|off, resume on|off, padding OCTETS, sdp FILE, close, quit */
#include "load.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MAX_USERS = 65536 };

static void nothing_to_say(void)
{
    printf("{}\n");
    fflush(stdout);
}

/* ---- commands ---------------------------------------------------------------------------------------------- */

static void times(struct load *l, enum work work, unsigned count, unsigned limit)
{
    l->work = work;
    l->timed = false;
    l->left = count;
    l->limit = limit;
    load_run(l);
}

static void for_a_time(struct load *l, enum work work, double seconds, double amount, bool rate)
{
    l->work = work;
    l->timed = true;
    l->rate = rate ? amount : 0;
    l->limit = (unsigned)amount;
    l->until_ns = now_ns() + (uint64_t)(seconds * 1e9);
    load_run(l);
}

/* Room for all is there from the start: connections point into it. */
static void make_users(struct load *l, unsigned count)
{
    if (!l->users && !(l->users = calloc(MAX_USERS, sizeof *l->users)))
        abort();
    for (; l->n_users < count && l->n_users < MAX_USERS; l->n_users++) {
        struct user *u = &l->users[l->n_users];
        u->wic = (struct wic){.net = &l->net, .fd = -1, .index = l->n_users, .user = u};
        u->cseq = 1;
    }
}

static void connect_users(struct load *l, unsigned count, unsigned at_once)
{
    make_users(l, count);
    times(l, WORK_CONNECT, count, at_once ? at_once : 64);
}

static void register_users(struct load *l)
{
    unsigned todo = 0;
    for (unsigned i = 0; i < l->n_users; i++)
        if (l->users[i].wic.state == WIC_OPEN && !l->users[i].registered) {
            if (!todo++)
                l->cursor[WORK_REGISTER] = i ? i - 1 : l->n_users - 1;
        }
    times(l, WORK_REGISTER, todo, 64);
}

static unsigned held(const struct load *l)
{
    unsigned n = 0;
    for (unsigned i = 0; i < l->n_users; i++)
        n += l->users[i].held;
    return n;
}

static void count(const struct load *l)
{
    unsigned open = 0, registered = 0;
    for (unsigned i = 0; i < l->n_users; i++) {
        open += l->users[i].wic.state == WIC_OPEN;
        registered += l->users[i].registered;
    }
    printf("{\"connected\": %u, \"registered\": %u, \"held\": %u}\n", open, registered, held(l));
    fflush(stdout);
}

static void close_all(struct load *l)
{
    for (unsigned i = 0; i < l->n_users; i++) {
        struct user *u = &l->users[i];
        wic_close(&u->wic);
        u->doing = WORK_NONE;
        u->registered = u->held = false;
    }
    l->running = 0;
    nothing_to_say();
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

static bool set(struct load *l, const char *what, const char *value)
{
    bool on = strcmp(value, "on") == 0;
    if (strcmp(what, "fresh") == 0)
        l->fresh = on;
    else if (strcmp(what, "resume") == 0)
        l->net.resume = on;
    else if (strcmp(what, "padding") == 0)
        l->padding = strtoul(value, NULL, 10);
    else if (strcmp(what, "patience") == 0)
        l->patience_ns = (uint64_t)(strtod(value, NULL) * 1e9);
    else if (strcmp(what, "sdp") == 0)
        l->sdp = read_file(value);
    else
        return false;
    return true;
}

static bool run_command(struct load *l, const char *verb, const double *n)
{
    static const struct {
        const char *verb;
        enum work work;
        bool rate;
    } timed[] = {{"refresh", WORK_REGISTER, false}, {"refresh-rate", WORK_REGISTER, true}, {"call", WORK_CALL, false},
                 {"call-rate", WORK_CALL, true},    {"called", WORK_CALLED, false},
                 {"dialog-rate", WORK_DIALOG, true}};
    for (size_t i = 0; i < sizeof timed / sizeof *timed; i++)
        if (strcmp(timed[i].verb, verb) == 0) {
            for_a_time(l, timed[i].work, n[0], n[1], timed[i].rate);
            return true;
        }
    if (strcmp(verb, "connect") == 0)
        connect_users(l, (unsigned)n[0], (unsigned)n[1]);
    else if (strcmp(verb, "churn") == 0) {
        make_users(l, (unsigned)n[1] * 4);
        for_a_time(l, WORK_CHURN, n[0], n[1], false);
    } else if (strcmp(verb, "register") == 0)
        register_users(l);
    else if (strcmp(verb, "hold") == 0)
        times(l, WORK_HOLD, (unsigned)n[0] > held(l) ? (unsigned)n[0] - held(l) : 0, 32);
    else if (strcmp(verb, "hangup") == 0)
        times(l, WORK_HANGUP, held(l), 32);
    else if (strcmp(verb, "count") == 0)
        count(l);
    else if (strcmp(verb, "mix") == 0) {
        l->dialogs = n[2];
        l->soses = n[3];
        l->after_ns = now_ns() + (uint64_t)(n[0] * 1e9);
        l->after_rate = n[5];
        for_a_time(l, WORK_MIX, n[0] + n[4], n[1], true);
    } else if (strcmp(verb, "close") == 0)
        close_all(l);
    else
        return false;
    return true;
}

static bool command(struct load *l, char *line)
{
    char verb[32] = "", word[192] = "";
    double n[6] = {0};
    if (sscanf(line, "%31s %191s", verb, word) < 1)
        return true;
    if (strcmp(verb, "quit") == 0)
        return false;
    sscanf(line, "%*s %lf %lf %lf %lf %lf %lf", &n[0], &n[1], &n[2], &n[3], &n[4], &n[5]);
    if (run_command(l, verb, n))
        return true;
    if (!set(l, verb, word))
        fprintf(stderr, "bench_load: unknown command %s\n", verb);
    nothing_to_say();
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
            load_turn(l, 50);
            continue;
        }
        if (line[n] == '\n' || n + 2 == size) {
            line[n] = 0;
            return true;
        }
        n++;
    }
}

/* ---- start -------------------------------------------------------------------------------------------------- */

static const char usage[] = "usage: bench_load --server IP:PORT --host NAME --path PATH --origin URL [--domain NAME] "
                            "[--called URI] [--sdp FILE] [--core IP:PORT]\n"
                            "                  [--token KEY.pem --kid ID --issuer URL --audience NAME --wwsf ID]\n";

struct settings {
    const char *server, *core, *sdp, *key, *kid, *issuer, *audience, *wwsf;
};

static bool read_options(struct load *l, struct settings *s, int argc, char **argv)
{
    const struct {
        const char *name, **to;
    } options[] = {{"--server", &s->server},     {"--host", &l->net.host}, {"--path", &l->net.path},
                   {"--origin", &l->net.origin}, {"--domain", &l->domain}, {"--called", &l->called},
                   {"--sdp", &s->sdp},           {"--core", &s->core},     {"--token", &s->key},     {"--kid", &s->kid},
                   {"--issuer", &s->issuer},     {"--audience", &s->audience}, {"--wwsf", &s->wwsf}};
    for (int i = 1; i + 1 < argc; i += 2) {
        size_t o = 0;
        while (o < sizeof options / sizeof *options && strcmp(options[o].name, argv[i]) != 0)
            o++;
        if (o == sizeof options / sizeof *options)
            return false;
        *options[o].to = argv[i + 1];
    }
    return s->server && l->net.host && l->net.path && l->net.origin;
}

static bool read_address(const char *text, struct sockaddr_in *to)
{
    char ip[64] = "";
    unsigned port = 0;
    to->sin_family = AF_INET;
    if (sscanf(text, "%63[0-9.]:%u", ip, &port) != 2 || inet_pton(AF_INET, ip, &to->sin_addr) != 1)
        return false;
    to->sin_port = htons((unsigned short)port);
    return true;
}

static bool read_addresses(struct load *l, const struct settings *s)
{
    struct sockaddr_in core;
    if (!read_address(s->server, &l->net.server))
        return false;
    l->net.spread = strncmp(s->server, "127.", 4) == 0;
    if (!s->core)
        return true;
    l->core_fd = socket(AF_INET, SOCK_DGRAM, 0);
    return read_address(s->core, &core) && connect(l->core_fd, (struct sockaddr *)&core, sizeof core) == 0;
}

int main(int argc, char **argv)
{
    static struct load load = {.domain = "ims.test", .called = "sip:phone@ims.test", .sos = "urn:service:sos", .core_fd = -1};
    struct settings s = {.kid = "", .issuer = "", .audience = "", .wwsf = ""};
    struct load *l = &load;
    struct rlimit files;
    if (!read_options(l, &s, argc, argv) || !read_addresses(l, &s)) {
        fputs(usage, stderr);
        return 2;
    }
    if (s.sdp)
        l->sdp = read_file(s.sdp);
    if (s.key)
        l->key = token_key(s.key, s.kid, s.issuer, s.audience, s.wwsf);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    load_init(l);
    signal(SIGPIPE, SIG_IGN); /* a server that ends is a result, not our end */
    fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
    printf("{\"ready\": true}\n");
    fflush(stdout);
    char line[256];
    while (next_command(l, line, sizeof line) && command(l, line))
        ;
    return 0;
}
