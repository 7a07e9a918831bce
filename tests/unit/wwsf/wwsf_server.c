/* A shard with nothing but the WWSF, for tests and for work on the page:
 *     wwsf_server FOLDER PORT [WSS-URL...]
 * FOLDER holds cert.pem, key.pem, users.json and page/; the signing key and the key set are made in
 * it. Ends when its standard input does. `wwsf_server --hash PASSWORD` prints a users-file hash. */
#include "wwsf/wwsf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLMN_MAX = 16 };

struct run {
    struct epc_wwsf *wwsf;
    struct epc_cfg_wwsf cfg;
    enum epc_err err;
};

static void on_start(struct epc_shard *sh, void *arg)
{
    struct run *r = arg;
    r->err = epc_wwsf_create(&r->wwsf, sh, &r->cfg);
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
                                             EPC_C_WWSF_LIMITED};
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

int main(int argc, char **argv)
{
    char urls[][40] = {"wss://one.ims.test/ws", "wss://two.ims.test:8443/ws"};
    struct epc_cfg_plmn plmn[PLMN_MAX] = {{"26201", urls[1]}, {"310260", urls[0]}};
    size_t n = 2;
    char issuer[] = "https://waf.ims.test", audience[] = "epcscf.ims.test", scope[] = "sip";
    char id[] = "wwsf1", domain[] = "ims.test", public_url[64], word_default[] = "default";
    if (argc == 3 && strcmp(argv[1], "--hash") == 0) {
        char *hash = epc_wwsf_hash_password(argv[2]);
        puts(hash ? hash : "");
        free(hash);
        return 0;
    }
    if (argc < 3)
        return 64;
    epc_log_setup(EPC_LOG_DEBUG, STDERR_FILENO);
    for (int i = 3; i < argc && n < PLMN_MAX; i++)
        plmn[n++] = (struct epc_cfg_plmn){word_default, argv[i]};
    if (n == 2) {
        plmn[n++] = (struct epc_cfg_plmn){word_default, urls[0]};
        plmn[n++] = (struct epc_cfg_plmn){word_default, urls[1]};
    }
    snprintf(public_url, sizeof public_url, "https://127.0.0.1:%s", argv[2]);
    struct run r = {.cfg = {.enabled = true, .certificate = in_folder(argv[1], "cert.pem"),
                            .key = in_folder(argv[1], "key.pem"), .public_url = public_url, .id = id,
                            .issuer = issuer, .audience = audience, .scope = scope,
                            .signing_key = in_folder(argv[1], "signing.pem"),
                            .jwks_file = in_folder(argv[1], "jwks.json"),
                            .users_file = in_folder(argv[1], "users.json"), .home_domain = domain,
                            .database = in_folder(argv[1], "wwsf.sqlite"), .key_publish_s = 900,
                            .page_dir = in_folder(argv[1], "page"), .token_lifetime_s = 600,
                            .plmn = plmn, .n_plmn = n}};
    if (epc_addr_parse(&r.cfg.listen, "127.0.0.1", (uint16_t)atoi(argv[2])) != EPC_OK)
        return 64;
    int status = serve(&r);
    free(r.cfg.certificate);
    free(r.cfg.key);
    free(r.cfg.signing_key);
    free(r.cfg.jwks_file);
    free(r.cfg.users_file);
    free(r.cfg.database);
    free(r.cfg.page_dir);
    return status;
}
