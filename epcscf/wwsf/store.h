/* Private to wwsf/: the SQLite database of users, log-ins, the pool and the signing keys. One store is
 * one connection and belongs to one thread at a time. Times are seconds since 1970 and come from the
 * caller. Any process may have the same file open: whatever must not happen twice is forbidden by the
 * schema itself.
 *
 * Errors of all functions, besides those that each names: EPC_EAGAIN (another process writes for too
 * long), EPC_EIO, EPC_ENOMEM; logged. */
#ifndef EPC_WWSF_STORE_H
#define EPC_WWSF_STORE_H

#include "wwsf/users.h"

#include <sqlite3.h>

struct epc_store {
    sqlite3 *db;
    char *file;
};
extern const char *const epc_store_steps[]; /**< the schema: SQL from version i to i + 1 */
extern const int epc_store_version;

/** Open @p file, made with mode 0600 when missing, and bring its schema up to date. */
enum epc_err epc_store_open(struct epc_store **out, const char *file) EPC_MUST_CHECK;
void epc_store_close(struct epc_store *s); /**< NULL-safe */

/* ---- store.c: statements ------------------------------------------------------------------------ */

struct epc_sql {
    struct epc_store *s;
    sqlite3_stmt *st;
    enum epc_err err; /* of the first call that failed */
};
/** @p types, one letter for each ?: t const char * (NULL allowed), S struct epc_str, i int64_t */
enum epc_err epc_sql_open(struct epc_sql *q, struct epc_store *s, const char *sql, const char *types, ...);
bool epc_sql_row(struct epc_sql *q);          /**< false: no more, or q->err */
enum epc_err epc_sql_close(struct epc_sql *q); /**< always; gives q->err */
const char *epc_sql_text(const struct epc_sql *q, int column); /**< until the next row; NULL: none */
int64_t epc_sql_int(const struct epc_sql *q, int column);
bool epc_sql_null(const struct epc_sql *q, int column);
/** Run to the end. @return also EPC_EEXIST: against a rule of the schema; not logged */
enum epc_err epc_sql_run(struct epc_store *s, const char *sql, const char *types, ...) EPC_MUST_CHECK;
enum epc_err epc_sql_exec(struct epc_store *s, const char *sql) EPC_MUST_CHECK;
enum epc_err epc_store_begin(struct epc_store *s) EPC_MUST_CHECK;
/** COMMIT when @p err is EPC_OK, else ROLLBACK. @return @p err, or what COMMIT said */
enum epc_err epc_store_end(struct epc_store *s, enum epc_err err) EPC_MUST_CHECK;

/* ---- store_users.c ------------------------------------------------------------------------------ */

/** @p source: "tool" or "file". @return also EPC_EEXIST: the name is taken, or an identity is the pool's */
enum epc_err epc_store_add_user(struct epc_store *s, const struct epc_user *u, const char *source,
                                uint64_t now_s) EPC_MUST_CHECK;
/** With its log-ins; an identity that it borrowed rests until its last token has ended. EPC_ENOENT */
enum epc_err epc_store_remove_user(struct epc_store *s, const char *name) EPC_MUST_CHECK;
/** Log-ins of that user end. EPC_ENOENT */
enum epc_err epc_store_set_password(struct epc_store *s, const char *name, const char *hash,
                                    uint64_t now_s) EPC_MUST_CHECK;
/** The hash to test for @p name; of somebody else, always the same for one name, when nobody has that
 *  name: the answer must cost the same. @param[out] known somebody has it; @param[out] p stays as it is
 *  without any users */
enum epc_err epc_store_password(struct epc_store *s, struct epc_str name, bool *known,
                                struct epc_password *p) EPC_MUST_CHECK;
/** Users of source "file" become those of @p list, in one transaction. A name that was given with the
 *  tool stays the tool's; the entry is logged and left out. */
enum epc_err epc_store_import_users(struct epc_store *s, const struct epc_users *list,
                                    uint64_t now_s) EPC_MUST_CHECK;

/* ---- store_pool.c ------------------------------------------------------------------------------- */

enum epc_err epc_store_add_pool(struct epc_store *s, const char *impi, const char *impu,
                                const char *source) EPC_MUST_CHECK; /**< EPC_EEXIST: it is there, or a user's */
/** No longer lent; whoever has it keeps it until the lease ends. EPC_ENOENT */
enum epc_err epc_store_remove_pool(struct epc_store *s, const char *impi) EPC_MUST_CHECK;
/** Pool identities of source "file" become those of @p list. */
enum epc_err epc_store_import_pool(struct epc_store *s, const struct epc_users *list) EPC_MUST_CHECK;
/** How long a lease lasts that begins now. */
struct epc_lease {
    uint64_t now_s;
    uint32_t life_s;   /* of the token that goes with it */
    uint32_t margin_s; /* after the token's end */
};
/** Inside a transaction: the identity that @p holder has, prolonged, or the one that has been free for
 *  longest. @param[out] u gets impi and impus (gives). @param[out] wait_s with EPC_ELIMIT: until the next
 *  one may be free. @return also EPC_ELIMIT: none is free */
enum epc_err epc_pool_lend(struct epc_store *s, const char *holder, const struct epc_lease *l,
                           struct epc_user *u, uint64_t *wait_s) EPC_MUST_CHECK;
/** Inside a transaction: @p holder gives back what it has. The identity rests until the lease's end, or
 *  only until the next second when @p revoked: its tokens are good for nothing any more.
 *  @param[out] impi gives; NULL: it had none */
enum epc_err epc_pool_return(struct epc_store *s, const char *holder, uint64_t now_s, bool revoked,
                             char **impi) EPC_MUST_CHECK;
/** Leases that have run out end, old history goes. @param[out] lent, free_now identities */
enum epc_err epc_store_sweep(struct epc_store *s, uint64_t now_s, int64_t *lent,
                             int64_t *free_now) EPC_MUST_CHECK;

/* ---- store_sessions.c --------------------------------------------------------------------------- */

enum { EPC_SESSION_ID_OCTETS = 32, EPC_SESSION_ID_LEN = 2 * EPC_SESSION_ID_OCTETS };

/** Log @p name in, or a guest when it is empty: a new session, and an identity of the pool for whom has
 *  none, in one transaction.
 *  @param origin of the page that asks; the session is good there only. @param[out] id for the cookie
 *  @param[out] u gives (epc_user_clear). @return also EPC_ENOENT: no such user (any more);
 *  EPC_ELIMIT: the pool is empty, see @p wait_s */
enum epc_err epc_store_login(struct epc_store *s, struct epc_str name, const char *origin,
                             const struct epc_lease *l, char id[EPC_SESSION_ID_LEN + 1], struct epc_user *u,
                             uint64_t *wait_s) EPC_MUST_CHECK;
/** The user behind a session, whose idle time starts anew and whose lease is prolonged; another identity
 *  when the lease had run out. @return also EPC_ENOENT: no such session; EPC_ELIMIT */
enum epc_err epc_store_refresh(struct epc_store *s, struct epc_str id, const char *origin,
                               const struct epc_lease *l, struct epc_user *u, uint64_t *wait_s) EPC_MUST_CHECK;
/** End the session, whether there is one or not; the last one of its user gives its identity back.
 *  @param[out] impi gives: it went back to the pool; NULL: none did */
enum epc_err epc_store_logout(struct epc_store *s, struct epc_str id, const char *origin, uint64_t now_s,
                              bool revoked, char **impi) EPC_MUST_CHECK;
enum epc_err epc_store_expire_sessions(struct epc_store *s, uint64_t now_s) EPC_MUST_CHECK;

#endif
