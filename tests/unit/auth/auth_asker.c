/* A shard with auth/ and the browsers' listener, driven line by line, for tests against issuers that are
 * not ours: auth_asker CONFIG. Prints READY or FAILED. Then:
 *     verify N ORIGIN|- TOKEN   -> "N STATUS RETRY-AFTER IMPI|- POOL HEADER", now or later
 *     cancel N                  -> no answer any more
 *     revoke IMPI BEFORE-S, reload
 *     counters                  -> "counters NAME=VALUE ..."
 * Ends with its standard input. */
#include "auth/auth.h"
#include "wss/wss.h"

#include <stdlib.h>
#include <string.h>

enum { ASKED_MAX = 2048, LINE_LEN = 2 << 20 };

struct run;
struct asked {
    struct run *r;
    size_t n;
    struct epc_auth_pending *pending;
};
struct run {
    const struct epc_config *cfg;
    struct epc_shard *sh;
    struct epc_auth *auth;
    struct epc_wss *wss;
    enum epc_err err;
    struct asked asked[ASKED_MAX];
};
struct command {
    struct run *r;
    char *line;
};

static void on_flow(void *arg, struct epc_flow *f)
{
    (void)arg;
    (void)f;
}
static void on_message(void *arg, struct epc_flow *f, const char *p, size_t n)
{
    (void)arg;
    (void)f;
    (void)p;
    (void)n;
}
static void on_closed(void *arg, struct epc_flow *f, enum epc_flow_end why)
{
    (void)arg;
    (void)f;
    (void)why;
}
static const struct epc_wss_handler no_sip = {.opened = on_flow, .message = on_message, .closed = on_closed};

static void on_start(struct epc_shard *sh, void *arg)
{
    struct run *r = arg;
    r->err = epc_auth_create(&r->auth, sh, &r->cfg->tokens);
    if (r->err == EPC_OK)
        r->err = epc_wss_create(&r->wss, sh, &r->cfg->wss, &no_sip, r);
}

static void on_stop(struct epc_shard *sh, void *arg)
{
    struct run *r = arg;
    (void)sh;
    epc_wss_destroy(r->wss);
    epc_auth_destroy(r->auth);
}

static void on_verified(void *arg, enum epc_err err, struct epc_identity *id, const struct epc_cause *cause,
                        const char *header)
{
    struct asked *q = arg;
    q->pending = NULL;
    printf("%zu %d %u %s %s %s\n", q->n, err == EPC_OK ? 200 : cause->sip_status, cause->retry_after_s,
           id ? id->impi : "-", id && id->pool ? (id->anonymous ? "anonymous" : "pool") : "-", header);
    fflush(stdout);
    epc_identity_free(id);
}

static void verify(struct run *r, char *line)
{
    char *rest = NULL;
    char *n = strtok_r(line, " ", &rest), *origin = strtok_r(NULL, " ", &rest),
         *token = strtok_r(NULL, " ", &rest);
    size_t k = n ? strtoul(n, NULL, 10) : ASKED_MAX;
    const struct epc_cfg_origin *o = NULL;
    if (k >= ASKED_MAX || !origin)
        abort();
    for (size_t i = 0; i < r->cfg->wss.n_origins; i++) {
        if (strcmp(r->cfg->wss.origins[i].origin, origin) == 0)
            o = &r->cfg->wss.origins[i];
    }
    struct asked *q = &r->asked[k];
    *q = (struct asked){.r = r, .n = k};
    struct epc_auth_pending *p = epc_auth_verify(r->auth, epc_str_c(token ? token : ""), o, on_verified, q);
    if (p)
        q->pending = p;
}

static void revoke(struct run *r, char *line)
{
    char *space = strchr(line, ' ');
    if (!space)
        abort();
    *space = 0;
    epc_auth_revoke(r->auth, line, strtoull(space + 1, NULL, 10));
}

static void counters(void)
{
    printf("counters");
    for (int i = EPC_C_AUTH_TOKENS_OK; i <= EPC_C_AUTH_ASK_SAVED; i++)
        printf(" %s=%lld", epc_counter_info((enum epc_counter)i)->name,
               (long long)epc_counter_read((enum epc_counter)i));
    printf("\n");
    fflush(stdout);
}

static void on_command(struct epc_shard *sh, void *arg)
{
    struct command *c = arg;
    (void)sh;
    if (strncmp(c->line, "verify ", 7) == 0)
        verify(c->r, c->line + 7);
    else if (strncmp(c->line, "revoke ", 7) == 0)
        revoke(c->r, c->line + 7);
    else if (strncmp(c->line, "cancel ", 7) == 0)
        epc_auth_cancel(c->r->asked[strtoul(c->line + 7, NULL, 10) % ASKED_MAX].pending);
    else if (strcmp(c->line, "reload") == 0)
        epc_auth_reload(c->r->auth);
    else if (strcmp(c->line, "counters") == 0)
        counters();
    else
        abort();
    free(c->line);
    free(c);
}

static void read_commands(struct run *r)
{
    static char line[LINE_LEN];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        struct command *c = calloc(1, sizeof *c);
        if (!c || !(c->line = strdup(line)))
            abort();
        c->r = r;
        if (epc_shard_post(r->sh, on_command, c) != EPC_OK)
            abort();
    }
}

static void report(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "%s\n", line);
}

int main(int argc, char **argv)
{
    static struct run r;
    struct epc_shard_opts o = {.index = 0, .label = "shard0"};
    if (argc != 2 || epc_config_load(&r.cfg, argv[1], report, NULL) != EPC_OK)
        return 2;
    if (epc_shard_create(&r.sh, &o) != EPC_OK || epc_shard_start(r.sh, on_start, &r) != EPC_OK)
        return 2;
    puts(r.err == EPC_OK ? "READY" : "FAILED");
    fflush(stdout);
    if (r.err == EPC_OK)
        read_commands(&r);
    epc_shard_stop(r.sh, on_stop, &r);
    epc_shard_destroy(r.sh);
    epc_config_free(r.cfg);
    return r.err == EPC_OK ? 0 : 1;
}
