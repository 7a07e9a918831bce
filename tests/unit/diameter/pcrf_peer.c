#include "pcrf_peer.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* libfdcore never frees the list of its trust anchors. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:gnutls_x509_crt_list_import2\n";
}

static void write_file(const char *dir, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void write_file(const char *dir, const char *name, const char *fmt, ...)
{
    char path[256], tmp[272];
    va_list ap;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    FILE *f = fopen(tmp, "w");
    if (!f)
        return;
    va_start(ap, fmt);
    vfprintf(f, fmt, ap);
    va_end(ap);
    fclose(f);
    if (rename(tmp, path) != 0)
        perror(path);
}

static bool make_certificates(const char *dir)
{
    char cmd[512];
    snprintf(cmd, sizeof cmd, "'%s/lab/pcrf/certs.sh' '%s' pcrf.ims.test epcscf.ims.test",
             EPC_TEST_DIR, dir);
    return system(cmd) == 0;
}

bool pcrf_peer_prepare(struct pcrf_peer *p, bool other_dictionaries)
{
    unsigned pid = (unsigned)getpid();
    memset(p, 0, sizeof *p);
    strcpy(p->dir, "/tmp/epc-rx-XXXXXX");
    snprintf(p->address, sizeof p->address, "127.%u.%u.%u", 64 + (pid >> 16) % 128, pid >> 8 & 255,
             (pid & 255) | 1);
    if (!mkdtemp(p->dir) || !make_certificates(p->dir)) {
        fprintf(stderr, "cannot prepare %s\n", p->dir);
        return false;
    }
    const char *tls = "TLS_Cred = \"%s/%s.cert.pem\", \"%s/%s.key.pem\";\n"
                      "TLS_CA = \"%s/ca.pem\";\n";
    char creds[2][512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(creds[0], 512, tls, p->dir, "pcrf.ims.test", p->dir, "pcrf.ims.test", p->dir);
    snprintf(creds[1], 512, tls, p->dir, "epcscf.ims.test", p->dir, "epcscf.ims.test", p->dir);
#pragma GCC diagnostic pop
    write_file(p->dir, "pcrf.conf",
               "Identity = \"pcrf.ims.test\";\nRealm = \"ims.test\";\nPort = 3868;\nSecPort = 0;\n"
               "No_SCTP;\nNo_IPv6;\nTwTimer = 6;\n%s"
               "LoadExtension = \"%s/dict_rx.fdx\";\n"
               "LoadExtension = \"%s/lab_pcrf.fdx\" : \"%s/pcrf.json\";\n"
               "ConnectPeer = \"epcscf.ims.test\" { No_TLS; ConnectTo = \"%s\"; Port = 3;};\n",
               creds[0], FDX_DIR, FDX_DIR, p->dir, p->address);
    write_file(p->dir, "pcrf.json",
               "{\"listen\":\"%s\",\"record\":\"%s/rx.jsonl\",\"state\":\"%s/state.json\","
               "\"rules\":\"%s/rules.json\"}\n",
               p->address, p->dir, p->dir, p->dir);
    write_file(p->dir, "node.conf",
               "Identity = \"epcscf.ims.test\";\nRealm = \"ims.test\";\nPort = 0;\nSecPort = 0;\n"
               "ListenOn = \"127.0.0.1\"; # ignored by the library, honoured by us\n"
               "No_SCTP;\nNo_IPv6;\nTwTimer = 6;\n%s%s"
               "LoadExtension = \"%s/dict_rx.fdx\";\nLoadExtension = \"%s/epcscf_rx.fdx\";\n"
               "ConnectPeer = \"pcrf.ims.test\" { No_TLS; ConnectTo = \"%s\"; Port = 3868; };\n",
               creds[1],
               other_dictionaries ? "LoadExtension = \"dict_nasreq.fdx\";\n"
                                    "LoadExtension = \"dict_dcca.fdx\";\n"
                                    "LoadExtension = \"dict_dcca_3gpp.fdx\";\n"
                                  : "",
               FDX_DIR, FDX_DIR, p->address);
    snprintf(p->node_conf, sizeof p->node_conf, "%s/node.conf", p->dir);
    pcrf_peer_rules(p, "{'rules': []}");
    return true;
}

static bool listens(const char *address)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(3868)};
    inet_pton(AF_INET, address, &sa.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0;
    close(fd);
    return ok;
}

bool pcrf_peer_start(struct pcrf_peer *p)
{
    char conf[128], log[128];
    snprintf(conf, sizeof conf, "%s/pcrf.conf", p->dir);
    snprintf(log, sizeof log, "%s/pcrf.log", p->dir);
    p->pid = fork();
    if (p->pid == 0) {
        if (!freopen(log, "a", stdout) || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
            _exit(126);
        /* Sanitizer settings of the test are not for a stock program. */
        execlp("freeDiameterd", "freeDiameterd", "-c", conf, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; p->pid > 0 && i < 1000; i++) {
        if (listens(p->address))
            return true;
        if (waitpid(p->pid, NULL, WNOHANG) == p->pid)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    fprintf(stderr, "freeDiameterd does not start; see %s\n", log);
    return false;
}

static void end_process(struct pcrf_peer *p, int sig)
{
    if (p->pid <= 0)
        return;
    kill(p->pid, sig);
    waitpid(p->pid, NULL, 0);
    p->pid = 0;
}

void pcrf_peer_kill(struct pcrf_peer *p)
{
    end_process(p, SIGKILL);
}

void pcrf_peer_stop(struct pcrf_peer *p)
{
    end_process(p, SIGTERM);
}

void pcrf_peer_end(struct pcrf_peer *p)
{
    char cmd[128];
    pcrf_peer_stop(p);
    if (getenv("EPC_KEEP")) {
        fprintf(stderr, "kept: %s\n", p->dir);
        return;
    }
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", p->dir);
    if (p->dir[0] && system(cmd) != 0)
        fprintf(stderr, "%s is left behind\n", p->dir);
}

void pcrf_peer_rules(struct pcrf_peer *p, const char *json)
{
    char text[4096];
    snprintf(text, sizeof text, "%s", json);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    write_file(p->dir, "rules.json", "%s\n", text);
}

json_t *pcrf_peer_record(struct pcrf_peer *p)
{
    char path[128], *line = NULL;
    size_t cap = 0;
    json_t *all = json_array();
    snprintf(path, sizeof path, "%s/rx.jsonl", p->dir);
    FILE *f = fopen(path, "r");
    while (f && getline(&line, &cap, f) > 0) {
        json_t *o = json_loads(line, 0, NULL);
        if (o)
            json_array_append_new(all, o);
    }
    if (f)
        fclose(f);
    free(line);
    return all;
}

int pcrf_peer_sessions(struct pcrf_peer *p)
{
    char path[128];
    snprintf(path, sizeof path, "%s/state.json", p->dir);
    json_t *o = json_load_file(path, 0, NULL);
    int n = o ? (int)json_integer_value(json_object_get(o, "sessions")) : -1;
    json_decref(o);
    return n;
}

json_t *avp_named(const json_t *avps, const char *name)
{
    size_t i;
    json_t *a;
    json_array_foreach(avps, i, a)
        if (strcmp(json_string_value(json_object_get(a, "name")), name) == 0)
            return a;
    return NULL;
}

json_int_t avp_int(const json_t *avps, const char *name)
{
    return json_integer_value(json_object_get(avp_named(avps, name), "value"));
}

const char *avp_str(const json_t *avps, const char *name)
{
    const char *s = json_string_value(json_object_get(avp_named(avps, name), "value"));
    return s ? s : "";
}
