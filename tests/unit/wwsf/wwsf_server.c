/* A shard with nothing but the WWSF, for tests and for work on the page:
 *     wwsf_server FOLDER PORT [SETTING=VALUE...] [WSS-URL...]
 * FOLDER holds cert.pem, key.pem, users.json, pool.txt if there is a pool, and page/; the database, the
 * signing key and the key set are made in it. Ends when its standard input does.
 *     wwsf_server --hash PASSWORD       a users-file hash
 *     wwsf_server --tool FOLDER WORD... what epcscf --wwsf does */
#include "wwsf/wwsf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLMN_MAX = 16, ORIGINS_MAX = 4 };

struct run {
    struct epc_wwsf *wwsf;
    struct epc_cfg_wwsf cfg;
    enum epc_err err;
};

static void on_returned(void *arg, const char *impi, uint64_t now_s)
{
    (void)arg;
    epc_log(EPC_LOG_INFO, "test", "returned=%s at=%llu", impi, (unsigned long long)now_s);
}

static void on_start(struct epc_shard *sh, void *arg)
{
    struct run *r = arg;
    r->err = epc_wwsf_create(&r->wwsf, sh, &r->cfg);
    if (r->err == EPC_OK)
        epc_wwsf_on_returned(r->wwsf, on_returned, NULL);
}

static void on_stop(struct epc_shard *sh, void *arg)
{
    struct run *r = arg;
    (void)sh;
    epc_wwsf_destroy(r->wwsf);
}

static char *in_folder(const char *folder, const char *name)
{
    struct epc_buf b = {0};
    epc_buf_printf(&b, "%s/%s", folder, name);
    return epc_buf_take(&b, NULL);
}

static void print_counters(void)
{
    static const enum epc_counter shown[] = {EPC_C_WWSF_LOGIN_OK, EPC_C_WWSF_LOGIN_BAD, EPC_C_WWSF_TOKENS,
                                             EPC_C_WWSF_LIMITED, EPC_C_WWSF_BUSY,
                                             EPC_C_WWSF_FOREIGN, EPC_C_WWSF_POOL_EMPTY,
                                             EPC_C_WWSF_STORE_FAULTS, EPC_C_WWSF_POOL_LENT};
    for (size_t i = 0; i < EPC_ARRAY_LEN(shown); i++)
        printf("%s %lld\n", epc_counter_info(shown[i])->name, (long long)epc_counter_read(shown[i]));
}

static int serve(struct run *r)
{
    struct epc_shard_opts o = {.index = 0, .label = "service"};
    struct epc_shard *sh = NULL;
    char line[64];
    if (epc_wwsf_prepare(&r->cfg) != EPC_OK || epc_shard_create(&sh, &o) != EPC_OK)
        return 1;
    if (epc_shard_start(sh, on_start, r) != EPC_OK)
        r->err = EPC_EIO;
    if (r->err == EPC_OK) {
        puts("READY");
        fflush(stdout);
        while (fgets(line, sizeof line, stdin)) {
        }
    }
    epc_shard_stop(sh, on_stop, r);
    epc_shard_destroy(sh);
    print_counters();
    return r->err == EPC_OK ? 0 : 1;
}

static bool setting(struct epc_cfg_wwsf *cfg, char *arg)
{
    const struct {
        const char *name;
        uint32_t *slot;
    } numbers[] = {{"life=", &cfg->token_lifetime_s}, {"margin=", &cfg->pool_margin_s},
                   {"publish=", &cfg->key_publish_s}, {"rotation=", &cfg->key_rotation_s}};
    for (size_t i = 0; i < EPC_ARRAY_LEN(numbers); i++) {
        size_t n = strlen(numbers[i].name);
        if (strncmp(arg, numbers[i].name, n) == 0) {
            *numbers[i].slot = (uint32_t)atoi(arg + n);
            return true;
        }
    }
    if (strncmp(arg, "origin=", 7) == 0)
        cfg->allowed_origins[cfg->n_allowed_origins++] = arg + 7;
    else if (strcmp(arg, "guests=1") == 0)
        cfg->guests = true;
    else if (strcmp(arg, "revoke=1") == 0)
        cfg->pool_revoke = true;
    else
        return false;
    return true;
}

static void put_paths(struct epc_cfg_wwsf *cfg, const char *folder)
{
    cfg->certificate = in_folder(folder, "cert.pem");
    cfg->key = in_folder(folder, "key.pem");
    cfg->signing_key = in_folder(folder, "signing.pem");
    cfg->jwks_file = in_folder(folder, "jwks.json");
    cfg->users_file = in_folder(folder, "users.json");
    cfg->pool_file = in_folder(folder, "pool.txt");
    cfg->database = in_folder(folder, "wwsf.sqlite");
    cfg->page_dir = in_folder(folder, "page");
    if (access(cfg->pool_file, F_OK) != 0) {
        free(cfg->pool_file);
        cfg->pool_file = NULL;
    }
}

static void free_paths(struct epc_cfg_wwsf *cfg)
{
    free(cfg->certificate);
    free(cfg->key);
    free(cfg->signing_key);
    free(cfg->jwks_file);
    free(cfg->users_file);
    free(cfg->pool_file);
    free(cfg->database);
    free(cfg->page_dir);
}

static int hash(const char *password)
{
    char *text = epc_wwsf_hash_password(password);
    puts(text ? text : "");
    free(text);
    return text ? 0 : 1;
}

int main(int argc, char **argv)
{
    char m26201[] = "26201", m310260[] = "310260";
    char urls[][40] = {"wss://one.ims.test/ws", "wss://two.ims.test:8443/ws"};
    struct epc_cfg_plmn plmn[PLMN_MAX] = {{.plmn = m26201, .url = urls[1]},
                                          {.plmn = m310260, .url = urls[0]}};
    size_t n = 2;
    char issuer[] = "https://waf.ims.test", audience[] = "epcscf.ims.test", scope[] = "sip";
    char id[] = "wwsf1", domain[] = "ims.test", public_url[64], word_default[] = "default";
    char *origins[ORIGINS_MAX];
    struct run r = {.cfg = {.enabled = true, .public_url = public_url, .id = id, .issuer = issuer,
                            .audience = audience, .scope = scope, .home_domain = domain,
                            .key_publish_s = 900, .plmn_ttl_s = 300, .token_lifetime_s = 600, .allowed_origins = origins,
                            .plmn = plmn}};
    if (argc == 3 && strcmp(argv[1], "--hash") == 0)
        return hash(argv[2]);
    if (argc < 3)
        return 64;
    epc_log_setup(EPC_LOG_DEBUG, STDERR_FILENO);
    if (strcmp(argv[1], "--tool") == 0) {
        put_paths(&r.cfg, argv[2]);
        int done = epc_wwsf_tool(&r.cfg, (const char *const *)argv + 3, (size_t)argc - 3);
        free_paths(&r.cfg);
        return done;
    }
    for (int i = 3; i < argc && n < PLMN_MAX && r.cfg.n_allowed_origins < ORIGINS_MAX; i++)
        if (!setting(&r.cfg, argv[i]))
            plmn[n++] = (struct epc_cfg_plmn){.plmn = word_default, .url = argv[i]};
    if (n == 2) {
        plmn[n++] = (struct epc_cfg_plmn){.plmn = word_default, .url = urls[0]};
        plmn[n++] = (struct epc_cfg_plmn){.plmn = word_default, .url = urls[1]};
    }
    r.cfg.n_plmn = n;
    snprintf(public_url, sizeof public_url, "https://127.0.0.1:%s", argv[2]);
    put_paths(&r.cfg, argv[1]);
    int status = 64;
    if (epc_addr_parse(&r.cfg.listen, "127.0.0.1", (uint16_t)atoi(argv[2])) == EPC_OK)
        status = serve(&r);
    free_paths(&r.cfg);
    return status;
}
