/* Users in the database. */
#include "wwsf/store.h"

#include <stdlib.h>
#include <string.h>

static enum epc_err add_impus(struct epc_store *s, int64_t id, const struct epc_user *u)
{
    enum epc_err err = EPC_OK;
    for (size_t i = 0; err == EPC_OK && i < u->n_impus; i++)
        err = epc_sql_run(s, "INSERT OR IGNORE INTO user_impus (user, place, impu) VALUES (?, ?, ?)", "iit",
                          id, (int64_t)i, u->impus[i]);
    return err;
}

static enum epc_err insert(struct epc_store *s, const struct epc_user *u, const char *source, uint64_t now_s)
{
    enum epc_err err = epc_sql_run(s, "INSERT INTO users (name, password, display_name, impi, source,"
                                      " changed_s) VALUES (?, ?, ?, ?, ?, ?)",
                                   "ttttti", u->name, u->hash, u->display_name, u->impi, source,
                                   (int64_t)now_s);
    return err == EPC_OK ? add_impus(s, sqlite3_last_insert_rowid(s->db), u) : err;
}

enum epc_err epc_store_add_user(struct epc_store *s, const struct epc_user *u, const char *source,
                                uint64_t now_s)
{
    enum epc_err err = epc_store_begin(s);
    return err == EPC_OK ? epc_store_end(s, insert(s, u, source, now_s)) : err;
}

/* EPC_ENOENT when @p err is EPC_OK but no row was touched. */
static enum epc_err touched(const struct epc_store *s, enum epc_err err)
{
    return err == EPC_OK && sqlite3_changes(s->db) == 0 ? EPC_ENOENT : err;
}

enum epc_err epc_store_remove_user(struct epc_store *s, const char *name)
{
    return touched(s, epc_sql_run(s, "DELETE FROM users WHERE name = ?", "t", name));
}

enum epc_err epc_store_set_password(struct epc_store *s, const char *name, const char *hash, uint64_t now_s)
{
    enum epc_err err = epc_store_begin(s);
    if (err != EPC_OK)
        return err;
    err = epc_sql_run(s, "DELETE FROM sessions WHERE user IN (SELECT id FROM users WHERE name = ?)", "t", name);
    if (err == EPC_OK)
        err = touched(s, epc_sql_run(s, "UPDATE users SET password = ?, changed_s = ?, source = 'tool'"
                                        " WHERE name = ?", "tit", hash, (int64_t)now_s, name));
    return epc_store_end(s, err);
}

/* ---- whose password to test --------------------------------------------------------------------- */

static enum epc_err read_password(struct epc_sql *q, bool *found, struct epc_password *p)
{
    if (epc_sql_row(q) && epc_password_parse(p, epc_sql_text(q, 0)) == EPC_OK)
        *found = true;
    return epc_sql_close(q);
}

enum epc_err epc_store_password(struct epc_store *s, struct epc_str name, bool *known, struct epc_password *p)
{
    struct epc_sql q;
    struct epc_password his = epc_password_stand_in(), other = his;
    bool found = false, any = false;
    int64_t at = (int64_t)(epc_hash_bytes(name.p, name.n) >> 1);
    enum epc_err err = epc_sql_open(&q, s, "SELECT password FROM users WHERE name = ?", "S", name);
    enum epc_err end = read_password(&q, &found, &his);
    /* Asked for in any case, so that both take the same way. */
    if (err == EPC_OK && end == EPC_OK) {
        err = epc_sql_open(&q, s, "SELECT password FROM users WHERE id >= 1 + ? % "
                                  "(SELECT max(1, coalesce(max(id), 1)) FROM users) ORDER BY id LIMIT 1", "i", at);
        end = read_password(&q, &any, &other);
    }
    if (err != EPC_OK || end != EPC_OK)
        return err != EPC_OK ? err : end;
    *known = found;
    *p = found ? his : other;
    return EPC_OK;
}

/* ---- from a file -------------------------------------------------------------------------------- */

/* 0: nobody has that name. */
static enum epc_err find_source(struct epc_store *s, const char *name, int64_t *id, bool *ours)
{
    struct epc_sql q;
    *id = 0;
    enum epc_err err = epc_sql_open(&q, s, "SELECT id, source = 'file' FROM users WHERE name = ?", "t", name);
    if (err == EPC_OK && epc_sql_row(&q)) {
        *id = epc_sql_int(&q, 0);
        *ours = epc_sql_int(&q, 1) != 0;
    }
    return epc_sql_close(&q);
}

/* Updated in place: its id, and with it log-ins and leases, stays. */
static enum epc_err update(struct epc_store *s, int64_t id, const struct epc_user *u, uint64_t now_s)
{
    enum epc_err err = epc_sql_run(s, "DELETE FROM sessions WHERE user = ? AND"
                                      " (SELECT password FROM users WHERE id = ?) <> ?", "iit", id, id, u->hash);
    if (err == EPC_OK)
        err = epc_sql_run(s, "UPDATE users SET password = ?, display_name = ?, impi = ?, changed_s = ?"
                             " WHERE id = ?", "tttii", u->hash, u->display_name, u->impi, (int64_t)now_s, id);
    if (err == EPC_OK)
        err = epc_sql_run(s, "DELETE FROM user_impus WHERE user = ?", "i", id);
    return err == EPC_OK ? add_impus(s, id, u) : err;
}

static enum epc_err import_one(struct epc_store *s, const struct epc_user *u, uint64_t now_s)
{
    int64_t id;
    bool ours = false;
    char shown[EPC_LOG_ID_LEN];
    enum epc_err err = find_source(s, u->name, &id, &ours);
    if (err == EPC_OK && (!id || ours))
        err = id ? update(s, id, u, now_s) : insert(s, u, "file", now_s);
    else if (err == EPC_OK)
        epc_log(EPC_LOG_WARN, "wwsf", "event=user-not-imported user=%s why=\"added with --wwsf user, which counts\"",
                epc_log_id(epc_str_c(u->name), shown));
    if (err == EPC_EEXIST)
        epc_log(EPC_LOG_ERROR, "wwsf", "event=users-file-refused user=%s why=\"its identity is the pool's\" "
                "do=\"take the identity out of one of the two\"", epc_log_id(epc_str_c(u->name), shown));
    return err;
}

static enum epc_err remove_others(struct epc_store *s, const struct epc_users *list)
{
    struct epc_sql q;
    enum epc_err err = epc_sql_exec(s, "CREATE TEMP TABLE IF NOT EXISTS gone (id INTEGER PRIMARY KEY);"
                                       "DELETE FROM temp.gone");
    if (err != EPC_OK)
        return err;
    err = epc_sql_open(&q, s, "SELECT id, name FROM users WHERE source = 'file'", "");
    while (err == EPC_OK && epc_sql_row(&q))
        if (!epc_users_find(list, epc_str_c(epc_sql_text(&q, 1))))
            err = epc_sql_run(s, "INSERT INTO temp.gone VALUES (?)", "i", epc_sql_int(&q, 0));
    enum epc_err end = epc_sql_close(&q);
    err = err == EPC_OK ? end : err;
    return err == EPC_OK ? epc_sql_exec(s, "DELETE FROM users WHERE id IN (SELECT id FROM temp.gone)") : err;
}

enum epc_err epc_store_import_users(struct epc_store *s, const struct epc_users *list, uint64_t now_s)
{
    enum epc_err err = epc_store_begin(s);
    if (err != EPC_OK)
        return err;
    err = remove_others(s, list);
    for (size_t i = 0; err == EPC_OK && i < list->n; i++)
        err = import_one(s, &list->v[i], now_s);
    return epc_store_end(s, err);
}
