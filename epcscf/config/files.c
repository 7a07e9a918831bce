/* Do the files that the configuration names exist? Only those of features that are on. */
#include "config/config_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void fault_file(struct cfg_loader *ld, size_t line, const char *key, const char *path,
                       const char *wrong, const char *todo)
{
    char shown[CFG_SHOWN_LEN];
    cfg_fault(ld, line, key, "%s: %s; %s", cfg_shown(path, shown), wrong, todo);
}

static void check_readable(struct cfg_loader *ld, size_t line, const char *key, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        fault_file(ld, line, key, path, strerror(errno), "make the file or correct the path");
    else if (S_ISDIR(st.st_mode))
        fault_file(ld, line, key, path, "is a folder", "name a file");
    else if (access(path, R_OK) != 0)
        fault_file(ld, line, key, path, strerror(errno), "let the user that runs epcscf read it");
}

/* The folder in which @p path is to be made. */
static void check_parent(struct cfg_loader *ld, size_t line, const char *key, const char *path)
{
    char dir[4096] = ".";
    struct stat st;
    const char *slash = strrchr(path, '/');
    if (slash && (size_t)(slash - path) >= sizeof dir) {
        fault_file(ld, line, key, path, "is too long", "use a shorter path");
        return;
    }
    if (slash)
        snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    if (stat(dir, &st) != 0)
        fault_file(ld, line, key, dir, strerror(errno), "make that folder or correct the path");
    else if (!S_ISDIR(st.st_mode))
        fault_file(ld, line, key, dir, "is no folder", "correct the path");
}

static void check_dir(struct cfg_loader *ld, size_t line, const char *key, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        fault_file(ld, line, key, path, strerror(errno), "correct the path");
    else if (!S_ISDIR(st.st_mode))
        fault_file(ld, line, key, path, "is no folder", "correct the path");
}

static void check_file(struct cfg_loader *ld, const struct cfg_key *k, size_t line, const char *shown_key,
                       const char *path)
{
    switch (k->type) {
    case CFG_FILE_READ:
        check_readable(ld, line, shown_key, path);
        break;
    case CFG_FILE_MADE:
        if (access(path, F_OK) == 0)
            check_readable(ld, line, shown_key, path);
        else
            check_parent(ld, line, shown_key, path);
        break;
    case CFG_FILE_WRITE:
    case CFG_SOCKET:
        check_parent(ld, line, shown_key, path);
        break;
    case CFG_DIR:
        check_dir(ld, line, shown_key, path);
        break;
    default:
        break;
    }
}

/* Keys of a section that is off are not looked at: their files may come later. */
static bool is_on(const struct epc_config *c, const char *path)
{
    if (strncmp(path, "wwsf.", 5) == 0)
        return c->wwsf.enabled;
    if (strncmp(path, "policy.", 7) == 0)
        return c->policy.mode != EPC_POLICY_OFF;
    return true;
}

/* The embedded WWSF writes its own key set at start-up. */
static bool is_made(const struct epc_config *c, const struct cfg_key *k, const char *path)
{
    return strcmp(k->path, "jwks_file") == 0 && c->wwsf.enabled && c->wwsf.jwks_file &&
           strcmp(path, c->wwsf.jwks_file) == 0;
}

static void check_item(struct cfg_loader *ld, const struct cfg_item *it, const char *base)
{
    for (size_t i = 0; i < it->list->items->n_keys; i++) {
        const struct cfg_key *k = &it->list->items->keys[i];
        const char *path = cfg_is_file(k->type) ? cfg_get_ptr(k, base) : NULL;
        char shown[128];
        if (!path || it->key_bad[i] || is_made(ld->cfg, k, path))
            continue;
        snprintf(shown, sizeof shown, "%s[%zu].%s", it->list->path, it->index, k->path);
        check_file(ld, k, it->key_line[i] ? it->key_line[i] : it->line, shown, path);
    }
}

/* The items of one list follow each other, in the order of its elements. */
static void check_items(struct cfg_loader *ld)
{
    const struct cfg_key *list = NULL;
    size_t used = 0;
    for (size_t i = 0; i < ld->n_items; i++) {
        const struct cfg_item *it = &ld->items[i];
        if (it->list != list)
            used = 0;
        list = it->list;
        if (used >= cfg_get_count(list, (char *)ld->cfg) || !is_on(ld->cfg, list->path))
            continue;
        check_item(ld, it, cfg_get_ptr(list, (char *)ld->cfg) + used++ * list->items->size);
    }
}

void cfg_check_files(struct cfg_loader *ld)
{
    for (size_t i = 0; i < cfg_main_table.n_keys; i++) {
        const struct cfg_key *k = &cfg_main_table.keys[i];
        if (!cfg_is_file(k->type) || ld->key_bad[i] || !is_on(ld->cfg, k->path))
            continue;
        /* A default that follows another key is looked at there. */
        const char *path = cfg_get_ptr(k, (char *)ld->cfg);
        size_t line = ld->key_line[i];
        if (!path || (!line && !k->def))
            continue;
        check_file(ld, k, line ? line : 1, k->path, path);
    }
    check_items(ld);
}
