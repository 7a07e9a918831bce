/* The pool: subscriptions of exactly one IMPI and one IMPU each, lent for a time (TS 33.203 X.4). */
#include "wwsf/store.h"

#include <stdlib.h>
#include <string.h>

enum { HISTORY_S = 30 * 24 * 3600, WAIT_MAX_S = 3600 };

/* ---- what there is ------------------------------------------------------------------------------ */

enum epc_err epc_store_add_pool(struct epc_store *s, const char *impi, const char *impu, const char *source)
{
    /* One that was removed while it was lent comes back with its history. */
    enum epc_err err = epc_sql_run(s, "UPDATE pool SET retired = 0, source = ? WHERE impi = ? AND impu = ?"
                                      " AND retired = 1", "ttt", source, impi, impu);
    if (err != EPC_OK || sqlite3_changes(s->db))
        return err;
    return epc_sql_run(s, "INSERT INTO pool (impi, impu, source) VALUES (?, ?, ?)", "ttt", impi, impu, source);
}

enum epc_err epc_store_remove_pool(struct epc_store *s, const char *impi)
{
    enum epc_err err = epc_sql_run(s, "DELETE FROM pool WHERE impi = ?1 AND NOT EXISTS"
                                      " (SELECT 1 FROM assignments WHERE impi = ?1)", "t", impi);
    if (err != EPC_OK || sqlite3_changes(s->db))
        return err;
    err = epc_sql_run(s, "UPDATE pool SET retired = 1 WHERE impi = ? AND retired = 0", "t", impi);
    return err == EPC_OK && sqlite3_changes(s->db) == 0 ? EPC_ENOENT : err;
}

static bool listed(const struct epc_users *list, const char *impi, const char *impu)
{
    const struct epc_user *u = epc_users_find(list, epc_str_c(impi));
    return u && strcmp(u->impus[0], impu) == 0;
}

/* Retired first and cleaned up later: the statement that reads must not see its table change. */
static enum epc_err retire_others(struct epc_store *s, const struct epc_users *list)
{
    struct epc_sql q;
    enum epc_err err = epc_sql_exec(s, "CREATE TEMP TABLE IF NOT EXISTS out (impi TEXT PRIMARY KEY);"
                                       "DELETE FROM temp.out");
    if (err != EPC_OK)
        return err;
    err = epc_sql_open(&q, s, "SELECT impi, impu FROM pool WHERE source = 'file'", "");
    while (err == EPC_OK && epc_sql_row(&q))
        if (!listed(list, epc_sql_text(&q, 0), epc_sql_text(&q, 1)))
            err = epc_sql_run(s, "INSERT INTO temp.out VALUES (?)", "t", epc_sql_text(&q, 0));
    enum epc_err end = epc_sql_close(&q);
    err = err == EPC_OK ? end : err;
    if (err == EPC_OK)
        err = epc_sql_exec(s, "UPDATE pool SET retired = 1 WHERE impi IN (SELECT impi FROM temp.out)");
    return err == EPC_OK ? epc_sql_exec(s, "DELETE FROM pool WHERE impi IN (SELECT impi FROM temp.out) AND"
                                           " impi NOT IN (SELECT impi FROM assignments)") : err;
}

static enum epc_err import_one(struct epc_store *s, const struct epc_user *u)
{
    struct epc_sql q;
    char shown[EPC_LOG_ID_LEN];
    enum epc_err err = epc_sql_open(&q, s, "SELECT 1 FROM pool WHERE impi = ? AND impu = ? AND retired = 0",
                                    "tt", u->impi, u->impus[0]);
    bool there = err == EPC_OK && epc_sql_row(&q);
    err = epc_sql_close(&q);
    if (err == EPC_OK && !there)
        err = epc_store_add_pool(s, u->impi, u->impus[0], "file");
    if (err == EPC_EEXIST)
        epc_log(EPC_LOG_ERROR, "wwsf", "event=pool-file-refused impi=%s why=\"impi or impu stands twice, is a "
                "user's, or was lent with another partner\" do=\"correct that entry\"",
                epc_log_id(epc_str_c(u->impi), shown));
    return err;
}

enum epc_err epc_store_import_pool(struct epc_store *s, const struct epc_users *list)
{
    enum epc_err err = epc_store_begin(s);
    if (err != EPC_OK)
        return err;
    err = retire_others(s, list);
    for (size_t i = 0; err == EPC_OK && i < list->n; i++)
        err = import_one(s, &list->v[i]);
    return epc_store_end(s, err);
}

/* ---- lending ------------------------------------------------------------------------------------ */

static enum epc_err end_leases(struct epc_store *s, uint64_t now_s)
{
    return epc_sql_run(s, "UPDATE assignments SET ended_s = lease_end_s"
                          " WHERE ended_s IS NULL AND lease_end_s <= ?", "i", (int64_t)now_s);
}

static enum epc_err take_identity(struct epc_sql *q, struct epc_user *u)
{
    u->impi = epc_str_dup(epc_str_c(epc_sql_text(q, 0)));
    u->impus = calloc(1, sizeof *u->impus);
    if (!u->impi || !u->impus || !(u->impus[0] = epc_str_dup(epc_str_c(epc_sql_text(q, 1)))))
        return EPC_ENOMEM;
    u->n_impus = 1;
    u->pool = true;
    return EPC_OK;
}

/* What @p holder has, or gave back and nobody else may have yet: with many log-ins one user then does
 * not use up the pool. @param[out] id of the assignment, 0 = none */
static enum epc_err find_held(struct epc_store *s, const char *holder, uint64_t now_s, int64_t *id,
                              struct epc_user *u)
{
    struct epc_sql q;
    *id = 0;
    enum epc_err err = epc_sql_open(&q, s,
        "SELECT a.impi, p.impu, a.id FROM assignments a JOIN pool p ON p.impi = a.impi"
        " WHERE a.holder = ? AND a.lease_end_s > ? AND p.retired = 0 ORDER BY a.ended_s IS NOT NULL, a.id DESC"
        " LIMIT 1", "ti", holder, (int64_t)now_s);
    if (err == EPC_OK && epc_sql_row(&q)) {
        *id = epc_sql_int(&q, 2);
        enum epc_err taken = take_identity(&q, u);
        enum epc_err end = epc_sql_close(&q);
        return end != EPC_OK ? end : taken;
    }
    return epc_sql_close(&q);
}

static enum epc_err find_free(struct epc_store *s, uint64_t now_s, struct epc_user *u)
{
    struct epc_sql q;
    enum epc_err err = epc_sql_open(&q, s, "SELECT impi, impu FROM pool WHERE retired = 0 AND free_from_s <= ?"
                                           " ORDER BY free_from_s, impi LIMIT 1", "i", (int64_t)now_s);
    enum epc_err taken = EPC_ELIMIT;
    if (err == EPC_OK && epc_sql_row(&q))
        taken = take_identity(&q, u);
    err = epc_sql_close(&q);
    return err != EPC_OK ? err : taken;
}

static enum epc_err next_free(struct epc_store *s, uint64_t now_s, uint64_t *wait_s)
{
    struct epc_sql q;
    int64_t at = 0;
    enum epc_err err = epc_sql_open(&q, s, "SELECT min(free_from_s) FROM pool WHERE retired = 0", "");
    if (err == EPC_OK && epc_sql_row(&q))
        at = epc_sql_int(&q, 0);
    err = epc_sql_close(&q);
    if (err != EPC_OK)
        return err;
    uint64_t wait = (uint64_t)at > now_s ? (uint64_t)at - now_s : WAIT_MAX_S;
    *wait_s = wait < WAIT_MAX_S ? wait : WAIT_MAX_S;
    return EPC_ELIMIT;
}

static enum epc_err mark_lent(struct epc_store *s, const char *impi, uint64_t end_s)
{
    return epc_sql_run(s, "UPDATE pool SET free_from_s = max(free_from_s, ?) WHERE impi = ?", "it",
                       (int64_t)end_s, impi);
}

enum epc_err epc_pool_lend(struct epc_store *s, const char *holder, const struct epc_lease *l,
                           struct epc_user *u, uint64_t *wait_s)
{
    int64_t id = 0;
    int64_t end_s = (int64_t)(l->now_s + l->life_s + l->margin_s);
    enum epc_err err = end_leases(s, l->now_s);
    if (err == EPC_OK)
        err = find_held(s, holder, l->now_s, &id, u);
    if (err == EPC_OK && id) {
        err = epc_sql_run(s, "UPDATE assignments SET ended_s = NULL, lease_end_s = max(lease_end_s, ?)"
                             " WHERE id = ?", "ii", end_s, id);
        return err == EPC_OK ? mark_lent(s, u->impi, (uint64_t)end_s) : err;
    }
    /* A retired identity that the holder still has: it gets another one now. */
    if (err == EPC_OK)
        err = epc_sql_run(s, "UPDATE assignments SET ended_s = ? WHERE holder = ? AND ended_s IS NULL", "it",
                          (int64_t)l->now_s, holder);
    if (err == EPC_OK)
        err = find_free(s, l->now_s, u);
    if (err == EPC_ELIMIT)
        return next_free(s, l->now_s, wait_s);
    if (err == EPC_OK)
        err = epc_sql_run(s, "INSERT INTO assignments (impi, holder, since_s, lease_end_s) VALUES (?, ?, ?, ?)",
                          "ttii", u->impi, holder, (int64_t)l->now_s, end_s);
    return err == EPC_OK ? mark_lent(s, u->impi, (uint64_t)end_s) : err;
}

enum epc_err epc_pool_return(struct epc_store *s, const char *holder, uint64_t now_s, bool revoked, char **impi)
{
    struct epc_sql q;
    char *had = NULL;
    int64_t id = 0;
    enum epc_err err = epc_sql_open(&q, s, "SELECT impi, id FROM assignments WHERE holder = ? AND ended_s IS NULL",
                                    "t", holder);
    if (err == EPC_OK && epc_sql_row(&q)) {
        had = epc_str_dup(epc_str_c(epc_sql_text(&q, 0)));
        id = epc_sql_int(&q, 1);
    }
    err = epc_sql_close(&q);
    if (err == EPC_OK && id && !had)
        err = EPC_ENOMEM;
    if (err == EPC_OK && id)
        err = epc_sql_run(s, "UPDATE assignments SET ended_s = max(since_s, ?) WHERE id = ?", "ii",
                          (int64_t)now_s, id);
    if (err == EPC_OK && id && revoked) {
        int64_t end_s = (int64_t)now_s + 1; /* tokens of the next holder are told by iat, in seconds */
        err = epc_sql_run(s, "UPDATE assignments SET lease_end_s = max(since_s, min(lease_end_s, ?))"
                             " WHERE id = ?", "ii", end_s, id);
        if (err == EPC_OK)
            err = epc_sql_run(s, "UPDATE pool SET free_from_s = min(free_from_s, ?) WHERE impi = ?", "it",
                              end_s, had);
    }
    if (err != EPC_OK) {
        free(had);
        return err;
    }
    *impi = had;
    return EPC_OK;
}

enum epc_err epc_store_sweep(struct epc_store *s, uint64_t now_s, int64_t *lent, int64_t *free_now)
{
    struct epc_sql q;
    int64_t old = (int64_t)now_s - HISTORY_S;
    enum epc_err err = end_leases(s, now_s);
    if (err == EPC_OK && old > 0)
        err = epc_sql_run(s, "DELETE FROM assignments WHERE lease_end_s < ? AND ended_s IS NOT NULL", "i", old);
    if (err != EPC_OK)
        return err;
    err = epc_sql_open(&q, s, "SELECT (SELECT count(*) FROM assignments WHERE ended_s IS NULL),"
                              " (SELECT count(*) FROM pool WHERE retired = 0 AND free_from_s <= ?)", "i",
                       (int64_t)now_s);
    if (err == EPC_OK && epc_sql_row(&q)) {
        *lent = epc_sql_int(&q, 0);
        *free_now = epc_sql_int(&q, 1);
    }
    return epc_sql_close(&q);
}
