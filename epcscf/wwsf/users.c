/* Users as they stand in a file, a JSON array of {"user", "password", "impi", "impus", "display_name"},
 * and the pool's subscriptions in another, which is the one that tokens.pools[].file reads. */
#include "wwsf/users.h"

#include <errno.h>
#include <jansson.h>
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

void epc_user_clear(struct epc_user *u)
{
    for (size_t i = 0; i < u->n_impus; i++)
        free(u->impus[i]);
    free(u->impus);
    free(u->name);
    free(u->impi);
    free(u->display_name);
    free(u->hash);
    *u = (struct epc_user){0};
}

void epc_users_free(struct epc_users *u)
{
    if (!u)
        return;
    for (size_t i = 0; i < u->n; i++)
        epc_user_clear(&u->v[i]);
    free(u->v);
    epc_hash_free(&u->by_name);
    free(u);
}

/* ---- what may stand in one ---------------------------------------------------------------------- */

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

bool epc_user_impi_ok(const char *s)
{
    const char *at = strchr(s, '@');
    return plain(s) && at && at != s && at[1] && !strchr(at + 1, '@') && !strpbrk(s, " \"\\<>,;:()[]/?=");
}

bool epc_user_impu_ok(const char *s)
{
    if (!plain(s) || strpbrk(s, " \"\\<>"))
        return false;
    if (strncmp(s, "sip:", 4) == 0)
        return strchr(s, '@') && s[4] != '@';
    return strncmp(s, "tel:", 4) == 0 && s[4];
}

const char *epc_user_fault(const struct epc_user *u)
{
    struct epc_password p;
    if (!u->name || !plain(u->name))
        return "\"user\" is missing, empty or too long";
    if (!u->hash || epc_password_parse(&p, u->hash) != EPC_OK)
        return "\"password\" is not what --hash-password prints";
    if (u->display_name && !plain(u->display_name))
        return "\"display_name\" must be text without control characters";
    if (!u->impi)
        return u->n_impus ? "\"impus\" need an \"impi\"; without both the user takes one of the pool" : NULL;
    if (!epc_user_impi_ok(u->impi))
        return "\"impi\" must be user@realm";
    if (u->n_impus == 0 || u->n_impus > IMPUS_MAX)
        return "\"impus\" must be an array of 1 to 16 identities";
    for (size_t i = 0; i < u->n_impus; i++)
        if (!epc_user_impu_ok(u->impus[i]))
            return "\"impus\" holds something other than sip:user@domain or tel:number";
    return NULL;
}

/* ---- entries: NULL when it is good, else what is wrong ------------------------------------------ */

static const char *read_impus(struct epc_user *u, const json_t *list)
{
    const json_t *one;
    size_t i;
    if (!list)
        return NULL;
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > IMPUS_MAX)
        return "\"impus\" must be an array of 1 to 16 identities";
    u->impus = calloc(json_array_size(list), sizeof *u->impus);
    if (!u->impus)
        return "out of memory";
    json_array_foreach(list, i, one) {
        if (!json_is_string(one))
            return "\"impus\" holds something other than sip:user@domain or tel:number";
        u->impus[i] = strdup(json_string_value(one));
        if (!u->impus[i])
            return "out of memory";
        u->n_impus++;
    }
    return NULL;
}

/* @p *slot stays NULL without that member. */
static const char *read_text(char **slot, const json_t *j, const char *name)
{
    const json_t *text = json_object_get(j, name);
    if (!text)
        return NULL;
    if (!json_is_string(text))
        return "\"user\", \"password\", \"impi\" and \"display_name\" are texts";
    *slot = strdup(json_string_value(text));
    return *slot ? NULL : "out of memory";
}

static const char *read_user(struct epc_user *u, const json_t *j)
{
    const char *why = read_text(&u->name, j, "user");
    if (!why)
        why = read_text(&u->hash, j, "password");
    if (!why)
        why = read_text(&u->impi, j, "impi");
    if (!why)
        why = read_text(&u->display_name, j, "display_name");
    if (!why)
        why = read_impus(u, json_object_get(j, "impus"));
    return why ? why : epc_user_fault(u);
}

/* ---- the file ------------------------------------------------------------------------------------ */

static enum epc_err fault(const char *file, size_t entry, const char *why)
{
    epc_log(EPC_LOG_ERROR, "wwsf", "event=users-file-fault file=%s at=%zu why=\"%s\"", file, entry, why);
    return EPC_EPROTO;
}

static enum epc_err read_users(struct epc_users *u, const json_t *list, const char *file)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > USERS_MAX)
        return fault(file, 0, "must be an array of at most 200000 entries");
    u->v = calloc(n ? n : 1, sizeof *u->v);
    if (!u->v)
        return EPC_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct epc_user *user = &u->v[u->n++];
        const char *why = read_user(user, json_array_get(list, i));
        if (why)
            return fault(file, i + 1, why);
        if (epc_users_find(u, epc_str_c(user->name)))
            return fault(file, i + 1, "this one is there twice");
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

/* ---- the pool's file: a subscription a line, the IMPI, blanks, the IMPU; # comments --------------- */

static const char *read_pool_line(struct epc_user *u, struct epc_str line)
{
    struct epc_str impu = line, impi = epc_str_cut(&impu, ' ');
    impu = epc_str_trim(impu);
    u->impus = calloc(1, sizeof *u->impus);
    u->name = epc_str_dup(impi);
    u->impi = epc_str_dup(impi);
    if (!u->impus || !u->name || !u->impi || !(u->impus[0] = epc_str_dup(impu)))
        return "out of memory";
    u->n_impus = 1;
    if (!epc_user_impi_ok(u->impi))
        return "must begin with an IMPI, user@realm, and a blank";
    return epc_user_impu_ok(u->impus[0]) ? NULL : "must end with one IMPU, sip:user@domain or tel:number";
}

static struct epc_user *next_user(struct epc_users *u, size_t *room)
{
    if (u->n == *room) {
        size_t more = *room ? 2 * *room : 64;
        struct epc_user *v = realloc(u->v, more * sizeof *v);
        if (!v)
            return NULL;
        u->v = v;
        *room = more;
    }
    u->v[u->n] = (struct epc_user){0};
    return &u->v[u->n++];
}

static enum epc_err read_pool(struct epc_users *u, FILE *f, const char *file)
{
    char line[2 * TEXT_MAX + 16];
    size_t room = 0;
    for (size_t n = 1; fgets(line, sizeof line, f); n++) {
        struct epc_str rest = epc_str_c(line), text = epc_str_trim(epc_str_cut(&rest, '#'));
        if (!strchr(line, '\n') && !feof(f))
            return fault(file, n, "the line is too long");
        for (size_t i = 0; i < strlen(line); i++)
            line[i] = line[i] == '\t' ? ' ' : line[i];
        if (text.n == 0)
            continue;
        struct epc_user *one = u->n < USERS_MAX ? next_user(u, &room) : NULL;
        const char *why = one ? read_pool_line(one, text) : "out of memory, or over 200000 subscriptions";
        if (why)
            return fault(file, n, why);
    }
    return EPC_OK;
}

/* Once nothing moves any more. */
static enum epc_err index_pool(struct epc_users *u, const char *file)
{
    for (size_t i = 0; i < u->n; i++) {
        struct epc_user *one = &u->v[i];
        if (epc_users_find(u, epc_str_c(one->name)))
            return fault(file, i + 1, "this IMPI is there twice");
        epc_hash_add(&u->by_name, &one->node, epc_hash_bytes(one->name, strlen(one->name)));
    }
    return EPC_OK;
}

enum epc_err epc_users_load_pool(struct epc_users **out, const char *file)
{
    struct epc_users *u = calloc(1, sizeof *u);
    if (!u)
        return EPC_ENOMEM;
    enum epc_err err = epc_hash_init(&u->by_name, name_eq);
    FILE *f = err == EPC_OK ? fopen(file, "re") : NULL;
    if (err == EPC_OK && (!f || fstat(fileno(f), &u->seen) != 0)) {
        epc_log(EPC_LOG_ERROR, "wwsf", "event=pool-file-unreadable file=%s why=\"%s\"", file, strerror(errno));
        err = EPC_EIO;
    }
    if (err == EPC_OK)
        err = read_pool(u, f, file);
    if (f)
        fclose(f);
    if (err == EPC_OK)
        err = index_pool(u, file);
    if (err != EPC_OK) {
        epc_users_free(u);
        return err;
    }
    epc_log(EPC_LOG_INFO, "wwsf", "event=pool-read file=%s subscriptions=%zu", file, u->n);
    *out = u;
    return EPC_OK;
}

bool epc_users_file_changed(const char *file, const struct stat *a, struct stat *b)
{
    return stat(file, b) == 0 &&
           (a->st_ino != b->st_ino || a->st_dev != b->st_dev || a->st_size != b->st_size ||
            a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec);
}
