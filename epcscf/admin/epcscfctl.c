/* epcscfctl: one command to the daemon's control socket, its answer to standard output.
 * Exit status: 0 done, 1 the daemon refused, 2 it could not be asked. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char default_path[] = "/run/epcscf.sock";

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

int main(int argc, char **argv)
{
    const char *path = default_path;
    int first = 1;
    if (argc > 2 && strcmp(argv[1], "--socket") == 0) {
        path = argv[2];
        first = 3;
    }
    if (first >= argc) {
        fprintf(stderr, "usage: epcscfctl [--socket PATH] COMMAND [WORD...]   (help lists the commands)\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    int fd = connect_to(path);
    FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (!f)
        return 2;
    int rc = send_words(fd, argv + first, argc - first) == 0 ? show_answer(f) : 2;
    fclose(f);
    return rc;
}
