/* The users' file: a JSON array of {"user", "password", "impi", "impus", "display_name"}. */
#include "wwsf/wwsf_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_OCTETS_MAX = 32 * 1024 * 1024, USERS_MAX = 200000, IMPUS_MAX = 16, TEXT_MAX = 253 };

static bool name_eq(const struct epc_hnode *node, const void *key)
{
    const struct epc_str *name = key;
    return epc_str_eqc(*name, EPC_CONTAINER(node, const struct epc_user, node)->name);
}

const struct epc_user *epc_users_find(const struct epc_users *u, struct epc_str name)
{
    struct epc_hnode *node = epc_hash_find(&u->by_name, epc_hash_bytes(name.p, name.n), &name);
    return node ? EPC_CONTAINER(node, struct epc_user, node) : NULL;
}

const struct epc_user *epc_users_stand_in(const struct epc_users *u, struct epc_str name)
{
    return u->n ? &u->v[epc_hash_bytes(name.p, name.n) % u->n] : NULL;
}

static void free_user(struct epc_user *u)
{
    for (size_t i = 0; i < u->n_impus; i++)
        free(u->impus[i]);
    free(u->impus);
    free(u->name);
    free(u->impi);
    free(u->display_name);
}

void epc_users_free(struct epc_users *u)
{
    if (!u)
        return;
    for (size_t i = 0; i < u->n; i++)
        free_user(&u->v[i]);
    free(u->v);
    epc_hash_free(&u->by_name);
    free(u);
}

/* ---- one entry: NULL when it is good, else what is wrong ---------------------------------------- */

/* Names and identities travel in headers and quoted strings. */
static bool plain(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > TEXT_MAX)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            return false;
    return true;
}

static bool impi_ok(const char *s)
{
    const char *at = strchr(s, '@');
    return plain(s) && at && at != s && at[1] && !strchr(at + 1, '@') && !strpbrk(s, " \"\\<>,;:()[]/?=");
}

static bool impu_ok(const char *s)
{
    if (!plain(s) || strpbrk(s, " \"\\<>"))
        return false;
    if (strncmp(s, "sip:", 4) == 0)
        return strchr(s, '@') && s[4] != '@';
    return strncmp(s, "tel:", 4) == 0 && s[4];
}

static const char *read_impus(struct epc_user *u, const json_t *list)
{
    const json_t *one;
    size_t i;
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > IMPUS_MAX)
        return "\"impus\" must be an array of 1 to 16 identities";
    u->impus = calloc(json_array_size(list), sizeof *u->impus);
    if (!u->impus)
        return "out of memory";
    json_array_foreach(list, i, one) {
        const char *text = json_string_value(one);
        if (!text || !impu_ok(text))
            return "\"impus\" holds something other than sip:user@domain or tel:number";
        u->impus[i] = strdup(text);
        if (!u->impus[i])
            return "out of memory";
        u->n_impus++;
    }
    return NULL;
}

static const char *read_user(struct epc_user *u, const json_t *j)
{
    const char *name = json_string_value(json_object_get(j, "user"));
    const char *password = json_string_value(json_object_get(j, "password"));
    const char *impi = json_string_value(json_object_get(j, "impi"));
    const json_t *display = json_object_get(j, "display_name");
    if (!name || !plain(name))
        return "\"user\" is missing, empty or too long";
    if (!password || epc_password_parse(&u->password, password) != EPC_OK)
        return "\"password\" is not what --hash-password prints";
    if (!impi || !impi_ok(impi))
        return "\"impi\" must be user@realm";
    if (display && (!json_is_string(display) || !plain(json_string_value(display))))
        return "\"display_name\" must be text without control characters";
    u->name = strdup(name);
    u->impi = strdup(impi);
    u->display_name = display ? strdup(json_string_value(display)) : NULL;
    if (!u->name || !u->impi || (display && !u->display_name))
        return "out of memory";
    return read_impus(u, json_object_get(j, "impus"));
}

/* ---- the file ------------------------------------------------------------------------------------ */

static enum epc_err fault(const char *file, size_t entry, const char *why)
{
    epc_log(EPC_LOG_ERROR, "wwsf", "event=users-file-fault file=%s entry=%zu why=\"%s\"", file, entry, why);
    return EPC_EPROTO;
}

static enum epc_err read_users(struct epc_users *u, const json_t *list, const char *file)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > USERS_MAX)
        return fault(file, 0, "must be an array of at most 200000 users");
    u->v = calloc(n ? n : 1, sizeof *u->v);
    if (!u->v)
        return EPC_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct epc_user *user = &u->v[u->n++];
        const char *why = read_user(user, json_array_get(list, i));
        if (why)
            return fault(file, i + 1, why);
        if (epc_users_find(u, epc_str_c(user->name)))
            return fault(file, i + 1, "this \"user\" is there twice");
        epc_hash_add(&u->by_name, &user->node, epc_hash_bytes(user->name, strlen(user->name)));
    }
    return EPC_OK;
}

static enum epc_err open_json(json_t **out, struct stat *st, const char *file)
{
    json_error_t e;
    FILE *f = fopen(file, "re");
    if (!f || fstat(fileno(f), st) != 0) {
        epc_log(EPC_LOG_ERROR, "wwsf", "event=users-file-unreadable file=%s why=\"%s\"", file, strerror(errno));
        if (f)
            fclose(f);
        return EPC_EIO;
    }
    json_t *j = st->st_size <= FILE_OCTETS_MAX ? json_loadf(f, JSON_REJECT_DUPLICATES, &e) : NULL;
    fclose(f);
    if (!j && st->st_size > FILE_OCTETS_MAX)
        return fault(file, 0, "over 32 MB");
    if (!j) {
        /* The parser's own text could quote a piece of the file. */
        epc_log(EPC_LOG_ERROR, "wwsf", "event=users-file-fault file=%s line=%d column=%d why=\"not JSON\"",
                file, e.line, e.column);
        return EPC_EPROTO;
    }
    *out = j;
    return EPC_OK;
}

enum epc_err epc_users_load(struct epc_users **out, const char *file)
{
    json_t *j = NULL;
    struct epc_users *u = calloc(1, sizeof *u);
    if (!u)
        return EPC_ENOMEM;
    enum epc_err err = epc_hash_init(&u->by_name, name_eq);
    if (err == EPC_OK)
        err = open_json(&j, &u->seen, file);
    if (err == EPC_OK)
        err = read_users(u, j, file);
    json_decref(j);
    if (err != EPC_OK) {
        epc_users_free(u);
        return err;
    }
    epc_log(EPC_LOG_INFO, "wwsf", "event=users-read file=%s users=%zu", file, u->n);
    *out = u;
    return EPC_OK;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void epc_users_refresh(struct epc_users **u, const char *file)
{
    struct epc_users *fresh = NULL;
    struct stat now;
    if (stat(file, &now) != 0 || same_file(&now, &(*u)->seen))
        return;
    if (epc_users_load(&fresh, file) != EPC_OK) {
        (*u)->seen = now; /* told once for each change, not at each log-in */
        return;
    }
    epc_users_free(*u);
    *u = fresh;
}
