/* epcscf: the WebRTC edge of an IMS network. Start-up and shutdown order, nothing else.
 *
 *   configuration -> log -> WWSF keys -> Diameter -> service shard (admin, WWSF) -> edge shards
 *
 * and down in the reverse order. The main thread only waits for signals. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "admin/admin.h"
#include "config/config.h"
#include "diameter/diameter.h"
#include "edge.h"
#include "gateway/gateway.h"
#include "registration/registration.h"
#include "session/session.h"
#include "sip/sip.h"
#include "wwsf/wwsf.h"

enum { DRAIN_MS = 2000, EXIT_USAGE = 64, EXIT_CONFIG = 78, EXIT_START = 71 };

struct node {
    const struct epc_config *cfg;
    struct epc_diameter *diameter;
    struct epc_edge_opts edge_opts;
    struct epc_shard *service;
    struct epc_admin *admin;
    struct epc_wwsf *wwsf;
    struct epc_shard **shards;
    struct epc_edge **edges;
    struct epc_reg **regs;
    struct epc_wss **wss;
    size_t n_shards;
    struct epc_fleet fleet;
    _Atomic bool draining;
};

static const char usage[] =
    "usage: epcscf --config FILE [--check]\n"
    "       epcscf --config FILE --wwsf help    (users, pool and keys of the embedded WWSF)\n"
    "       epcscf --config-reference | --header-policy | --state-machines | --version\n"
    "       epcscf --hash-password      (reads the password from standard input)\n";

/* ---- one-shot commands --------------------------------------------------------------------------- */

static void report_fault(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "%s\n", line);
}

static int hash_password(void)
{
    char line[512];
    if (!fgets(line, sizeof line, stdin)) {
        fputs("no password on standard input\n", stderr);
        return EXIT_USAGE;
    }
    line[strcspn(line, "\r\n")] = 0;
    char *hash = epc_wwsf_hash_password(line);
    memset(line, 0, sizeof line);
    if (!hash) {
        fputs("the password could not be hashed: out of memory\n", stderr);
        return EXIT_START;
    }
    puts(hash);
    free(hash);
    return 0;
}

/* ---- files ------------------------------------------------------------------------------------------ */

static int open_append(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        fprintf(stderr, "epcscf: %s: cannot be opened for writing: %s; correct log.file or trace.file, or its rights\n",
                path, strerror(errno));
    return fd;
}

struct logs {
    int log, trace; /* -1: not open */
};

/* The new file takes the old one's descriptor: other threads may be writing to it now. */
static bool open_log(const char *path, int *fd)
{
    int fresh = path ? open_append(path) : -1;
    if (fresh < 0)
        return !path;
    if (*fd < 0) {
        *fd = fresh;
        return true;
    }
    bool ok = dup3(fresh, *fd, O_CLOEXEC) >= 0;
    close(fresh);
    return ok;
}

/* Also on SIGHUP, after a log rotation. */
static bool open_logs(const struct epc_config *cfg, struct logs *l)
{
    if (!open_log(cfg->log_file, &l->log) || !open_log(cfg->trace_file, &l->trace))
        return false;
    epc_log_setup(cfg->log_level, l->log < 0 ? STDERR_FILENO : l->log);
    epc_log_plain_ids(cfg->log_identities);
    epc_trace_setup(l->trace);
    return true;
}

static bool token_key(const char *path, unsigned char key[32])
{
    if (!path) {
        epc_random(key, 32);
        return true;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, key, 32);
    if (fd >= 0)
        close(fd);
    if (n == 32)
        return true;
    epc_log(EPC_LOG_ERROR, "main", "event=token-key-unreadable file=%s need=\"32 octets\"", path);
    return false;
}

static void raise_file_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

/* ---- up ------------------------------------------------------------------------------------------------ */

static const char *health(void *arg)
{
    const struct node *n = arg;
    if (atomic_load(&n->draining))
        return "going down";
    if (n->cfg->policy.mode == EPC_POLICY_REQUIRED && epc_diameter_open_peers(n->diameter) == 0)
        return "no PCRF connected, and policy.mode is required";
    return NULL;
}

/* pcrfs: who answers for the policy function. */
static void cmd_pcrfs(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply)
{
    const struct node *n = arg;
    char *text = NULL;
    size_t size = 0;
    (void)argv, (void)argc;
    FILE *f = open_memstream(&text, &size);
    if (f && n->diameter)
        epc_diameter_print_peers(n->diameter, f);
    else if (f)
        fprintf(f, "policy.mode is off\n");
    if (f)
        fclose(f);
    epc_admin_answer(reply, f != NULL, text ? text : "", size);
    free(text);
}

struct start {
    struct node *node;
    size_t index;
    enum epc_err err;
};

/* An identity that the WWSF lent came back, and may be lent again from the next second on. */
struct returned {
    struct node *node;
    char *impi;
    uint64_t at_s;
};

static void revoke_returned(struct epc_shard *sh, void *arg)
{
    struct returned *m = arg;
    struct epc_reg *reg = m->node->edge_opts.regs[epc_shard_index(sh)];
    if (reg)
        epc_reg_revoke_here(reg, m->impi, NULL, m->at_s);
    free(m->impi);
    free(m);
}

static void on_returned(void *arg, const char *impi, uint64_t now_s)
{
    struct node *n = arg;
    for (size_t i = 0; i < n->n_shards; i++) {
        struct returned *m = calloc(1, sizeof *m);
        if (m)
            *m = (struct returned){n, epc_str_dup(epc_str_c(impi)), now_s};
        if (m && m->impi && epc_shard_post(n->shards[i], revoke_returned, m) == EPC_OK)
            continue;
        epc_log(EPC_LOG_ERROR, "main", "event=returned-identity-not-revoked shard=%zu", i);
        if (m)
            free(m->impi);
        free(m);
    }
}

static void start_service(struct epc_shard *sh, void *arg)
{
    struct start *st = arg;
    struct node *n = st->node;
    st->err = epc_admin_create(&n->admin, sh, &n->cfg->admin);
    if (st->err == EPC_OK) {
        epc_admin_health(n->admin, health, n);
        n->fleet = (struct epc_fleet){sh, n->shards, n->edges, n->n_shards, n->diameter};
        st->err = epc_edge_commands(n->admin, &n->fleet);
        if (st->err == EPC_OK)
            st->err = epc_admin_command(n->admin, "pcrfs", "PCRFs and Diameter agents: state, requests, answers",
                                        cmd_pcrfs, n);
    }
    if (st->err == EPC_OK && n->cfg->wwsf.enabled)
        st->err = epc_wwsf_create(&n->wwsf, sh, &n->cfg->wwsf);
    if (st->err == EPC_OK && n->wwsf)
        epc_wwsf_on_returned(n->wwsf, on_returned, n);
}

static void stop_service(struct epc_shard *sh, void *arg)
{
    struct node *n = arg;
    (void)sh;
    epc_wwsf_destroy(n->wwsf);
    epc_admin_destroy(n->admin);
    n->wwsf = NULL;
    n->admin = NULL;
}

static void start_edge(struct epc_shard *sh, void *arg)
{
    struct start *st = arg;
    st->err = epc_edge_create(&st->node->edges[st->index], sh, &st->node->edge_opts);
}

static void stop_edge(struct epc_shard *sh, void *arg)
{
    struct node *n = arg;
    unsigned i = epc_shard_index(sh);
    epc_edge_destroy(n->edges[i]);
    n->edges[i] = NULL;
}

static enum epc_err create_shard(struct node *n, struct epc_shard **sh, unsigned index, const char *label)
{
    struct epc_shard_opts o = {
        .index = index, .label = label, .max_connections = n->cfg->wss.max_connections};
    return epc_shard_create(sh, &o);
}

/* All of them before the first one runs: lws changes process-wide state with each new context. */
static enum epc_err create_shards(struct node *n)
{
    enum epc_err err = create_shard(n, &n->service, (unsigned)n->n_shards, "service");
    for (unsigned i = 0; err == EPC_OK && i < n->n_shards; i++) {
        char label[16];
        snprintf(label, sizeof label, "shard%u", i);
        err = create_shard(n, &n->shards[i], i, label);
    }
    return err;
}

static enum epc_err start_shard(struct node *n, struct epc_shard *sh, size_t index, epc_shard_fn *fn)
{
    struct start st = {.node = n, .index = index};
    enum epc_err err = epc_shard_start(sh, fn, &st);
    return err == EPC_OK ? st.err : err;
}

static enum epc_err node_start(struct node *n)
{
    const struct epc_config *cfg = n->cfg;
    enum epc_err err = EPC_OK;
    n->n_shards = cfg->shards;
    n->shards = calloc(n->n_shards, sizeof(struct epc_shard *));
    n->edges = calloc(n->n_shards, sizeof(struct epc_edge *));
    n->regs = calloc(n->n_shards, sizeof(struct epc_reg *));
    n->wss = calloc(n->n_shards, sizeof(struct epc_wss *));
    if (!n->shards || !n->edges || !n->regs || !n->wss)
        return EPC_ENOMEM;
    n->edge_opts.cfg = cfg;
    n->edge_opts.shards = n->shards;
    n->edge_opts.regs = n->regs;
    n->edge_opts.wss = n->wss;
    n->edge_opts.n_shards = n->n_shards;
    if (!token_key(cfg->sip.token_key_file, n->edge_opts.token_key))
        return EPC_EIO;
    if (cfg->wwsf.enabled)
        err = epc_wwsf_prepare(&cfg->wwsf);
    if (err == EPC_OK && cfg->policy.mode != EPC_POLICY_OFF) {
        err = epc_diameter_start(&n->diameter, &cfg->policy);
        if (err == EPC_OK)
            n->edge_opts.policy = epc_diameter_client(n->diameter);
    }
    if (err == EPC_OK)
        err = epc_gw_hub_create(&n->edge_opts.gateways, &cfg->media);
    if (err == EPC_OK)
        err = create_shards(n);
    for (size_t i = 0; err == EPC_OK && i < n->n_shards; i++)
        err = start_shard(n, n->shards[i], i, start_edge);
    /* Last: from its first answer on, everything that it tells about is there. */
    if (err == EPC_OK)
        err = start_shard(n, n->service, n->n_shards, start_service);
    return err;
}

/* ---- down ------------------------------------------------------------------------------------------------ */

static void drain_edge(struct epc_shard *sh, void *arg)
{
    struct node *n = arg;
    epc_edge_drain(n->edges[epc_shard_index(sh)]);
}

static bool drained(void)
{
    return epc_counter_read(EPC_C_SESSIONS) == 0 && epc_counter_read(EPC_C_GW_CONTEXTS) == 0 &&
           epc_counter_read(EPC_C_RX_SESSIONS) == 0 && epc_counter_read(EPC_C_SIP_TX_CORE) == 0;
}

/* Calls end with BYE, Subtract and STR before the sockets go; a second signal cuts it short. */
static void node_drain(struct node *n, const sigset_t *signals)
{
    atomic_store(&n->draining, true);
    for (size_t i = 0; i < n->n_shards; i++)
        if (n->edges[i] && epc_shard_post(n->shards[i], drain_edge, n) != EPC_OK)
            epc_log(EPC_LOG_WARN, "main", "event=drain-not-posted shard=%zu", i);
    uint64_t until = epc_now_ms() + DRAIN_MS;
    while (!drained() && epc_now_ms() < until) {
        struct timespec step = {.tv_nsec = 20000000};
        int sig = sigtimedwait(signals, NULL, &step);
        if (sig == SIGTERM || sig == SIGINT) {
            epc_log(EPC_LOG_WARN, "main", "event=drain-cut-short");
            return;
        }
    }
    if (!drained())
        epc_log(EPC_LOG_WARN, "main", "event=drain-incomplete after_ms=%d", DRAIN_MS);
}

/* The first shard last: it does the gateways' work for all. */
static void node_stop(struct node *n)
{
    for (size_t i = n->n_shards; i-- > 0;)
        if (n->shards && n->shards[i])
            epc_shard_stop(n->shards[i], stop_edge, n);
    if (n->service)
        epc_shard_stop(n->service, stop_service, n);
    epc_diameter_stop(n->diameter);
    for (size_t i = 0; i < n->n_shards; i++)
        if (n->shards)
            epc_shard_destroy(n->shards[i]);
    epc_shard_destroy(n->service);
    epc_gw_hub_destroy(n->edge_opts.gateways);
    free(n->shards);
    free(n->edges);
    free(n->regs);
    free(n->wss);
}

/* ---- while it runs ----------------------------------------------------------------------------------- */

static void reload_edge(struct epc_shard *sh, void *arg)
{
    struct node *n = arg;
    epc_edge_reload(n->edges[epc_shard_index(sh)]);
}

/* SIGHUP: log files after a rotation, and the keys of the tokens' issuers. */
static void reload(struct node *n, struct logs *logs)
{
    if (!open_logs(n->cfg, logs))
        epc_log(EPC_LOG_ERROR, "main", "event=log-not-reopened");
    epc_diameter_record_reopen(n->diameter);
    for (size_t i = 0; i < n->n_shards; i++)
        if (epc_shard_post(n->shards[i], reload_edge, n) != EPC_OK)
            epc_log(EPC_LOG_WARN, "main", "event=reload-not-posted shard=%zu", i);
}

static int run(const struct epc_config *cfg)
{
    struct node node = {.cfg = cfg};
    struct logs logs = {-1, -1};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    /* Before any thread starts, so that all of them inherit the mask. */
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    if (!open_logs(cfg, &logs))
        return EXIT_START;
    enum epc_err err = node_start(&node);
    if (err != EPC_OK) {
        epc_log(EPC_LOG_ERROR, "main", "event=start-failed why=\"%s\"", epc_err_name(err));
        if (cfg->log_file)
            fprintf(stderr, "epcscf: start failed: %s; the last lines of %s have the reason\n",
                    epc_err_name(err), cfg->log_file);
        else
            fprintf(stderr, "epcscf: start failed: %s; the lines above have the reason\n",
                    epc_err_name(err));
        node_stop(&node);
        return EXIT_START;
    }
    epc_log(EPC_LOG_INFO, "main", "event=started version=%s shards=%zu", EPC_VERSION, node.n_shards);
    for (int sig = 0; sig != SIGTERM && sig != SIGINT;) {
        if (sigwait(&signals, &sig) != 0)
            break;
        if (sig == SIGHUP)
            reload(&node, &logs);
    }
    epc_log(EPC_LOG_INFO, "main", "event=stopping");
    node_drain(&node, &signals);
    node_stop(&node);
    epc_log(EPC_LOG_INFO, "main", "event=stopped");
    return 0;
}

int main(int argc, char **argv)
{
    const char *file = NULL;
    bool check = false;
    const char *const *tool = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            file = argv[++i];
        else if (strcmp(argv[i], "--check") == 0)
            check = true;
        else if (strcmp(argv[i], "--wwsf") == 0 && i + 1 < argc) {
            tool = (const char *const *)argv + i + 1; /* all that follows */
            break;
        } else if (strcmp(argv[i], "--version") == 0)
            return puts("epcscf " EPC_VERSION) < 0;
        else if (strcmp(argv[i], "--help") == 0)
            return fputs(usage, stdout) < 0;
        else if (strcmp(argv[i], "--config-reference") == 0)
            return epc_config_reference(stdout), 0;
        else if (strcmp(argv[i], "--header-policy") == 0)
            return epc_sip_policy_print(stdout), 0;
        else if (strcmp(argv[i], "--state-machines") == 0)
            return epc_reg_fsm_print(stdout), epc_session_fsm_print(stdout), epc_gw_fsm_print(stdout), 0;
        else if (strcmp(argv[i], "--hash-password") == 0)
            return hash_password();
        else {
            fprintf(stderr, "epcscf: unknown argument '%s'\n%s", argv[i], usage);
            return EXIT_USAGE;
        }
    }
    if (!file) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    const struct epc_config *cfg = NULL;
    enum epc_err err = epc_config_load(&cfg, file, report_fault, NULL);
    if (err != EPC_OK) {
        if (err == EPC_EPROTO) /* each fault has been named */
            fprintf(stderr, "%s: not usable until this is mended\n", file);
        else
            fprintf(stderr, "%s: not usable (%s)\n", file, epc_err_name(err));
        return EXIT_CONFIG;
    }
    int status = 0;
    if (tool)
        status = epc_wwsf_tool(&cfg->wwsf, tool, (size_t)((const char *const *)argv + argc - tool));
    else if (check)
        printf("%s: ok\n", file);
    else
        status = run(cfg);
    epc_config_free(cfg);
    return status;
}
