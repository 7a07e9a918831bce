/* epcscfctl: one command to the daemon's control socket, its answer to standard output; and tools that
 * need no daemon.
 * Exit status: 0 done, 1 refused or found wanting, 2 wrong usage, or it could not be asked. */
#include "admin/ctl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char default_path[] = "/run/epcscf.sock";

/* Commands that run here; argv[0] is the command's own name. */
static const struct local {
    const char *name, *help;
    int (*run)(int argc, char **argv);
} locals[] = {
    {"dict", "look things up in the Diameter dictionaries, check and export them", ctl_dict},
    {"replay", "play, compare, check and show recorded Rx exchanges and captures", ctl_replay},
};
#define N_LOCALS (sizeof locals / sizeof locals[0])

static int connect_to(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a.sun_path) {
        fprintf(stderr, "epcscfctl: %s: path too long for a Unix socket\n", path);
        return -1;
    }
    memcpy(a.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    fprintf(stderr, "epcscfctl: %s: %s; is epcscf running, and is this its admin.control_socket?\n", path,
            strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static int send_words(int fd, char **word, int n)
{
    for (int i = 0; i < n; i++) {
        if (strpbrk(word[i], " \n\r")) {
            fprintf(stderr, "epcscfctl: '%s': words of a command hold no blanks\n", word[i]);
            return -1;
        }
    }
    /* Errors show when the answer is read: a daemon that reads no further still says why. */
    for (int i = 0; i < n; i++)
        (void)dprintf(fd, "%s%s", word[i], i + 1 < n ? " " : "\n");
    return 0;
}

static int show_answer(FILE *f)
{
    char head[64], status[8];
    unsigned long n = 0;
    if (!fgets(head, sizeof head, f) || sscanf(head, "%7s %lu", status, &n) != 2) {
        fputs("epcscfctl: the daemon closed the connection without an answer\n", stderr);
        return 2;
    }
    char part[4096];
    while (n > 0) {
        size_t got = fread(part, 1, n < sizeof part ? n : sizeof part, f);
        if (got == 0) {
            fputs("epcscfctl: the daemon closed the connection before the end of its answer\n", stderr);
            return 2;
        }
        fwrite(part, 1, got, stdout);
        n -= got;
    }
    return strcmp(status, "ok") == 0 ? 0 : 1;
}

static void usage(FILE *f)
{
    fprintf(f, "usage: epcscfctl [--socket PATH] COMMAND [WORD...]   (help lists the daemon's commands)\n");
    for (size_t i = 0; i < N_LOCALS; i++)
        fprintf(f, "       epcscfctl %-7s ...   %s; without a daemon\n", locals[i].name, locals[i].help);
    fputs("       epcscfctl rx explain --sdp ...   what a PCRF would be told of a call; without a daemon\n", f);
}

int main(int argc, char **argv)
{
    const char *path = default_path;
    int first = 1;
    if (argc > 2 && strcmp(argv[1], "--socket") == 0) {
        path = argv[2];
        first = 3;
    }
    if (first >= argc) {
        usage(stderr);
        return 2;
    }
    if (strcmp(argv[first], "--help") == 0) {
        usage(stdout);
        return 0;
    }
    if (argc - first > 2 && ctl_rx_is_preview(argc - first, argv + first))
        return ctl_rx_preview(argc - first, argv + first);
    for (size_t i = 0; i < N_LOCALS; i++)
        if (strcmp(argv[first], locals[i].name) == 0)
            return locals[i].run(argc - first, argv + first);
    signal(SIGPIPE, SIG_IGN);
    int fd = connect_to(path);
    FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (!f) {
        if (strcmp(argv[first], "help") == 0)
            usage(stdout); /* what there is without a daemon */
        return 2;
    }
    int rc = send_words(fd, argv + first, argc - first) == 0 ? show_answer(f) : 2;
    fclose(f);
    return rc;
}
