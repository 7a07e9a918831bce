/* The database: opening, its schema step by step, and statements in one line each. */
#include "wwsf/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BUSY_MS = 5000, APPLICATION_ID = 0x65504357 /* "ePCW" */ };

/* ---- schema ------------------------------------------------------------------------------------ */

/* Step i takes version i to i + 1. Steps are never changed once released, only added. */
const char *const epc_store_steps[] = {
    "CREATE TABLE users ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT," /* never used again: holders of identities are named by it */
    " name TEXT NOT NULL UNIQUE CHECK (name <> ''),"
    " password TEXT NOT NULL," /* scrypt$... */
    " display_name TEXT,"
    " impi TEXT," /* NULL: takes an identity of the pool */
    " source TEXT NOT NULL CHECK (source IN ('tool', 'file')),"
    " changed_s INTEGER NOT NULL) STRICT;"
    "CREATE INDEX users_impi ON users(impi) WHERE impi IS NOT NULL;"
    "CREATE TABLE user_impus ("
    " user INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,"
    " place INTEGER NOT NULL, impu TEXT NOT NULL,"
    " PRIMARY KEY (user, place), UNIQUE (user, impu)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX user_impus_impu ON user_impus(impu);"
    "CREATE TABLE sessions ("
    " id TEXT PRIMARY KEY," /* SHA-256 of what the cookie says */
    " user INTEGER REFERENCES users(id) ON DELETE CASCADE," /* NULL: a guest */
    " origin TEXT NOT NULL, created_s INTEGER NOT NULL, used_s INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX sessions_user ON sessions(user);"
    "CREATE INDEX sessions_used ON sessions(used_s);"
    "CREATE TABLE keys ("
    " kid TEXT PRIMARY KEY, pem TEXT," /* NULL: withdrawn for good, so that it never comes back */
    " made_s INTEGER NOT NULL, published_s INTEGER, signs_from_s INTEGER,"
    " token_life_s INTEGER NOT NULL, withdrawn_s INTEGER) STRICT;",

    "CREATE TABLE pool ("
    " impi TEXT PRIMARY KEY, impu TEXT NOT NULL UNIQUE,"
    " source TEXT NOT NULL CHECK (source IN ('tool', 'file')),"
    " retired INTEGER NOT NULL DEFAULT 0," /* not lent any more */
    " free_from_s INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"
    "CREATE INDEX pool_free ON pool(free_from_s, impi) WHERE retired = 0;"
    /* Who had which identity, and when: one row for each time that it was lent. */
    "CREATE TABLE assignments ("
    " id INTEGER PRIMARY KEY, impi TEXT NOT NULL REFERENCES pool(impi),"
    " holder TEXT NOT NULL," /* u:<users.id>, or g:<sessions.id> of a guest */
    " since_s INTEGER NOT NULL, lease_end_s INTEGER NOT NULL, ended_s INTEGER,"
    " CHECK (lease_end_s >= since_s)) STRICT;"
    "CREATE UNIQUE INDEX lent_once ON assignments(impi) WHERE ended_s IS NULL;"
    "CREATE UNIQUE INDEX held_once ON assignments(holder) WHERE ended_s IS NULL;"
    "CREATE INDEX assignments_impi ON assignments(impi, lease_end_s);"
    "CREATE INDEX assignments_holder ON assignments(holder);"
    "CREATE INDEX assignments_end ON assignments(lease_end_s);"
    /* Tokens of the last holder may still be good: nobody else may get it before they end. */
    "CREATE TRIGGER not_too_early BEFORE INSERT ON assignments WHEN EXISTS"
    " (SELECT 1 FROM assignments WHERE impi = new.impi AND lease_end_s > new.since_s)"
    " BEGIN SELECT RAISE(ABORT, 'identity is still lent'); END;"
    /* An identity belongs to a user or to the pool, never to both. */
    "CREATE TRIGGER pool_is_no_users BEFORE INSERT ON pool WHEN"
    " EXISTS (SELECT 1 FROM users WHERE impi = new.impi) OR"
    " EXISTS (SELECT 1 FROM user_impus WHERE impu = new.impu)"
    " BEGIN SELECT RAISE(ABORT, 'identity belongs to a user'); END;"
    "CREATE TRIGGER users_is_no_pool BEFORE INSERT ON users WHEN"
    " EXISTS (SELECT 1 FROM pool WHERE impi = new.impi)"
    " BEGIN SELECT RAISE(ABORT, 'identity belongs to the pool'); END;"
    "CREATE TRIGGER users_stay_no_pool BEFORE UPDATE OF impi ON users WHEN"
    " EXISTS (SELECT 1 FROM pool WHERE impi = new.impi)"
    " BEGIN SELECT RAISE(ABORT, 'identity belongs to the pool'); END;"
    "CREATE TRIGGER impus_is_no_pool BEFORE INSERT ON user_impus WHEN"
    " EXISTS (SELECT 1 FROM pool WHERE impu = new.impu)"
    " BEGIN SELECT RAISE(ABORT, 'identity belongs to the pool'); END;"
    "CREATE TRIGGER users_gone AFTER DELETE ON users BEGIN"
    " UPDATE assignments SET ended_s = CAST(strftime('%s', 'now') AS INTEGER)"
    "  WHERE holder = 'u:' || old.id AND ended_s IS NULL; END;",
};
const int epc_store_version = EPC_ARRAY_LEN(epc_store_steps);

/* ---- faults ------------------------------------------------------------------------------------- */

static enum epc_err fault(struct epc_store *s, int rc, const char *doing)
{
    int primary = rc & 0xff;
    if (primary == SQLITE_CONSTRAINT)
        return EPC_EEXIST; /* an answer, not a fault */
    epc_count(EPC_C_WWSF_STORE_FAULTS);
    epc_log(EPC_LOG_ERROR, "wwsf", "event=database-fault file=%s doing=\"%s\" why=\"%s\"", s->file, doing,
            s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
    return primary == SQLITE_BUSY || primary == SQLITE_LOCKED ? EPC_EAGAIN
           : primary == SQLITE_NOMEM ? EPC_ENOMEM : EPC_EIO;
}

/* ---- statements --------------------------------------------------------------------------------- */

enum epc_err epc_sql_exec(struct epc_store *s, const char *sql)
{
    int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? EPC_OK : fault(s, rc, "exec");
}

static int bind_all(sqlite3_stmt *st, const char *types, va_list ap)
{
    int rc = SQLITE_OK;
    for (int i = 1; *types && rc == SQLITE_OK; i++, types++) {
        if (*types == 'i') {
            rc = sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
        } else if (*types == 'S') {
            struct epc_str text = va_arg(ap, struct epc_str);
            rc = sqlite3_bind_text64(st, i, text.p ? text.p : "", text.n, SQLITE_TRANSIENT, SQLITE_UTF8);
        } else {
            rc = sqlite3_bind_text(st, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
        }
    }
    return rc;
}

enum epc_err epc_sql_open(struct epc_sql *q, struct epc_store *s, const char *sql, const char *types, ...)
{
    va_list ap;
    *q = (struct epc_sql){.s = s};
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &q->st, NULL);
    va_start(ap, types);
    if (rc == SQLITE_OK)
        rc = bind_all(q->st, types, ap);
    va_end(ap);
    q->err = rc == SQLITE_OK ? EPC_OK : fault(s, rc, sql);
    return q->err;
}

bool epc_sql_row(struct epc_sql *q)
{
    if (q->err != EPC_OK)
        return false;
    int rc = sqlite3_step(q->st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        q->err = fault(q->s, rc, sqlite3_sql(q->st));
    return rc == SQLITE_ROW;
}

enum epc_err epc_sql_close(struct epc_sql *q)
{
    sqlite3_finalize(q->st);
    q->st = NULL;
    return q->err;
}

enum epc_err epc_sql_run(struct epc_store *s, const char *sql, const char *types, ...)
{
    va_list ap;
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
    va_start(ap, types);
    if (rc == SQLITE_OK)
        rc = bind_all(st, types, ap);
    va_end(ap);
    if (rc == SQLITE_OK)
        while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        }
    enum epc_err err = rc == SQLITE_DONE ? EPC_OK : fault(s, rc, sql);
    sqlite3_finalize(st);
    return err;
}

const char *epc_sql_text(const struct epc_sql *q, int column)
{
    return (const char *)sqlite3_column_text(q->st, column);
}

int64_t epc_sql_int(const struct epc_sql *q, int column)
{
    return sqlite3_column_int64(q->st, column);
}

bool epc_sql_null(const struct epc_sql *q, int column)
{
    return sqlite3_column_type(q->st, column) == SQLITE_NULL;
}

/* ---- transactions ------------------------------------------------------------------------------- */

enum epc_err epc_store_begin(struct epc_store *s)
{
    /* IMMEDIATE: waits for its turn here, and never fails half-way for another writer's sake. */
    return epc_sql_exec(s, "BEGIN IMMEDIATE");
}

enum epc_err epc_store_end(struct epc_store *s, enum epc_err err)
{
    if (err == EPC_OK)
        err = epc_sql_exec(s, "COMMIT");
    if (err != EPC_OK && !sqlite3_get_autocommit(s->db)) {
        enum epc_err undo = epc_sql_exec(s, "ROLLBACK");
        (void)undo; /* logged; the first error is the one that counts */
    }
    return err;
}

/* ---- open --------------------------------------------------------------------------------------- */

static enum epc_err refuse(const struct epc_store *s, const char *why, const char *remedy)
{
    epc_log(EPC_LOG_ERROR, "wwsf", "event=database-refused file=%s why=\"%s\" do=\"%s\"", s->file, why, remedy);
    return EPC_EIO;
}

static enum epc_err pragma(struct epc_store *s, const char *sql, int64_t *out)
{
    struct epc_sql q;
    enum epc_err err = epc_sql_open(&q, s, sql, "");
    if (err == EPC_OK && epc_sql_row(&q))
        *out = epc_sql_int(&q, 0);
    return epc_sql_close(&q);
}

static enum epc_err step_up(struct epc_store *s, int64_t from)
{
    char text[96];
    enum epc_err err = epc_sql_exec(s, epc_store_steps[from]);
    snprintf(text, sizeof text, "PRAGMA user_version = %d; PRAGMA application_id = %d", (int)from + 1,
             APPLICATION_ID);
    return err == EPC_OK ? epc_sql_exec(s, text) : err;
}

/* In one transaction: a crash on the way leaves the old version, whole. */
static enum epc_err migrate(struct epc_store *s)
{
    int64_t version = 0, application = 0, tables = 0;
    enum epc_err err = epc_store_begin(s); /* two processes may start at once */
    if (err != EPC_OK)
        return err;
    err = pragma(s, "PRAGMA user_version", &version);
    if (err == EPC_OK)
        err = pragma(s, "PRAGMA application_id", &application);
    if (err == EPC_OK)
        err = pragma(s, "SELECT count(*) FROM sqlite_schema", &tables);
    if (err == EPC_OK && tables && application != APPLICATION_ID)
        err = refuse(s, "a database of another program", "name another file in wwsf.database");
    if (err == EPC_OK && version > epc_store_version)
        err = refuse(s, "written by a newer version of epcscf", "run that version, or restore an older copy");
    int64_t first = version;
    while (err == EPC_OK && version < epc_store_version)
        err = step_up(s, version++);
    err = epc_store_end(s, err);
    if (err == EPC_OK && first < epc_store_version)
        epc_log(EPC_LOG_INFO, "wwsf", "event=database-migrated file=%s from=%d to=%d", s->file, (int)first,
                epc_store_version);
    return err;
}

/* Nobody else's eyes: it holds private keys. SQLite gives its other files the same rights. */
static enum epc_err make_file(const struct epc_store *s)
{
    int fd = open(s->file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return refuse(s, strerror(errno), "correct wwsf.database, or the rights of its folder");
    close(fd);
    return EPC_OK;
}

/* Where another process is just recovering the log of one that was killed, SQLite answers BUSY at once here,
 * whatever its time-out. */
static enum epc_err set_up(struct epc_store *s)
{
    static const char sql[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                              "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
                              "PRAGMA secure_delete = ON";
    uint64_t until = epc_now_ms() + BUSY_MS;
    int rc;
    while (((rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL)) & 0xff) == SQLITE_BUSY && epc_now_ms() < until)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    return rc == SQLITE_OK ? EPC_OK : fault(s, rc, "set up");
}

static enum epc_err connect_file(struct epc_store *s)
{
    int rc = sqlite3_open_v2(s->file, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return fault(s, rc, "open");
    sqlite3_busy_timeout(s->db, BUSY_MS);
    sqlite3_extended_result_codes(s->db, 1);
    /* FULL: what was told to a user has reached the disk; else a power cut could lend it again. */
    enum epc_err err = set_up(s);
    return err == EPC_EIO ? refuse(s, "no usable SQLite database",
                                   "name another file in wwsf.database, or restore a copy of this one") : err;
}

enum epc_err epc_store_open(struct epc_store **out, const char *file)
{
    struct epc_store *s = calloc(1, sizeof *s);
    if (s)
        s->file = strdup(file);
    enum epc_err err = s && s->file ? make_file(s) : EPC_ENOMEM;
    if (err == EPC_OK)
        err = connect_file(s);
    if (err == EPC_OK)
        err = migrate(s);
    if (err != EPC_OK) {
        epc_store_close(s);
        return err;
    }
    *out = s;
    return EPC_OK;
}

void epc_store_close(struct epc_store *s)
{
    if (!s)
        return;
    sqlite3_close(s->db);
    free(s->file);
    free(s);
}
