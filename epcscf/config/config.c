/* Loading a configuration from the first octet to the snapshot. */
#include "config/config_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void resolve_shards(struct epc_config *c)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (c->shards == 0)
        c->shards = cores < 1 ? 1 : cores > 256 ? 256 : (uint32_t)cores;
}

static void loader_clear(struct cfg_loader *ld)
{
    for (size_t i = 0; i < ld->n_faults; i++)
        free(ld->faults[i].text);
    free(ld->faults);
    free(ld->items);
    free(ld->dir);
}

static enum epc_err load(struct cfg_loader *ld, const char *text, size_t n)
{
    for (size_t i = 0; i < cfg_main_table.n_keys; i++)
        cfg_set_default(ld, &cfg_main_table.keys[i], (char *)ld->cfg);
    enum epc_err err = cfg_read_yaml(ld, text, n);
    if (err != EPC_OK)
        return err;
    resolve_shards(ld->cfg);
    cfg_derive(ld);
    cfg_check_needs(ld);
    cfg_check_relations(ld);
    if (ld->check_files)
        cfg_check_files(ld);
    cfg_check_pools(ld);
    return EPC_OK;
}

enum epc_err epc_config_load_text(const struct epc_config **out, const char *file, const char *text,
                                  size_t n, bool check_files,
                                  void (*report)(void *arg, const char *line), void *arg)
{
    if (!out || !file || !text)
        return EPC_EINVAL;
    struct cfg_loader *ld = calloc(1, sizeof *ld);
    struct epc_config *c = calloc(1, sizeof *c);
    const char *slash = strrchr(file, '/');
    enum epc_err err = EPC_ENOMEM;
    if (!ld || !c)
        goto out;
    ld->file = file;
    ld->check_files = check_files;
    ld->cfg = c;
    ld->dir = epc_str_dup((struct epc_str){file, slash == file ? 1 : slash ? (size_t)(slash - file) : 0});
    if (!ld->dir)
        goto out;
    err = load(ld, text, n);
    cfg_faults_report(ld, report, arg);
    if (ld->no_memory)
        err = EPC_ENOMEM;
    else if (err == EPC_OK && ld->n_faults)
        err = EPC_EPROTO;
out:
    if (err == EPC_OK) {
        *out = c;
        c = NULL;
    }
    epc_config_free(c);
    if (ld)
        loader_clear(ld);
    free(ld);
    return err;
}

/* The whole file; one octet more than allowed tells that it is too long. */
static enum epc_err read_file(const char *file, struct epc_buf *b, const char **why)
{
    char chunk[8192];
    size_t n;
    FILE *f = fopen(file, "rbe");
    if (!f) {
        *why = strerror(errno);
        return EPC_EIO;
    }
    while (b->n <= CFG_MAX_OCTETS && (n = fread(chunk, 1, sizeof chunk, f)) > 0)
        epc_buf_add(b, chunk, n);
    if (ferror(f))
        *why = strerror(errno);
    else if (b->n > CFG_MAX_OCTETS)
        *why = "more than 1 MiB";
    fclose(f);
    if (b->failed)
        return EPC_ENOMEM;
    return *why ? EPC_EIO : EPC_OK;
}

enum epc_err epc_config_load(const struct epc_config **out, const char *file,
                             void (*report)(void *arg, const char *line), void *arg)
{
    struct epc_buf text = {0};
    const char *why = NULL;
    if (!out || !file)
        return EPC_EINVAL;
    *out = NULL;
    enum epc_err err = read_file(file, &text, &why);
    if (err == EPC_OK)
        err = epc_config_load_text(out, file, text.p ? text.p : "", text.n, true, report, arg);
    else if (err == EPC_EIO && report) {
        struct epc_buf line = {0};
        epc_buf_printf(&line, "%s:1: file: cannot be read: %s; check the path and its rights", file, why);
        if (!line.failed)
            report(arg, line.p);
        epc_buf_free(&line);
    }
    epc_buf_free(&text);
    return err;
}

void epc_config_free(const struct epc_config *c)
{
    union {
        const struct epc_config *ro;
        struct epc_config *rw; /* ours: made by epc_config_load() */
    } u = {c};
    if (!c)
        return;
    epc_pools_free(u.rw->tokens.pool_index);
    cfg_clear(&cfg_main_table, (char *)u.rw);
    free(u.rw);
}
