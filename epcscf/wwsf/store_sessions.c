/* Log-in sessions: what the cookie stands for. The database has only the hash of what it says. */
#include "wwsf/store.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { IDLE_S = 12 * 3600, LIFE_S = 7 * 24 * 3600, PER_USER_MAX = 20 };
enum { HASHED_LEN = 64, HOLDER_LEN = 80 };

static bool hash_id(struct epc_str id, char out[HASHED_LEN + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (EVP_Digest(id.p ? id.p : "", id.n, digest, NULL, EVP_sha256(), NULL) != 1)
        return false;
    for (size_t i = 0; i < HASHED_LEN / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    return true;
}

static void holder_of(char out[HOLDER_LEN], int64_t user, const char *hashed)
{
    if (user)
        snprintf(out, HOLDER_LEN, "u:%lld", (long long)user);
    else
        snprintf(out, HOLDER_LEN, "g:%s", hashed);
}

/* ---- the user behind it ------------------------------------------------------------------------- */

static enum epc_err read_impus(struct epc_store *s, int64_t user, struct epc_user *u)
{
    struct epc_sql q;
    enum epc_err err = epc_sql_open(&q, s, "SELECT impu FROM user_impus WHERE user = ? ORDER BY place", "i", user);
    while (err == EPC_OK && epc_sql_row(&q)) {
        char **more = realloc(u->impus, (u->n_impus + 1) * sizeof *more);
        if (more)
            u->impus = more;
        if (!more || !(u->impus[u->n_impus] = epc_str_dup(epc_str_c(epc_sql_text(&q, 0)))))
            err = EPC_ENOMEM;
        else
            u->n_impus++;
    }
    enum epc_err end = epc_sql_close(&q);
    return err == EPC_OK ? end : err;
}

/* NULL stays NULL. */
static bool copy_text(char **out, const char *text)
{
    *out = text ? strdup(text) : NULL;
    return *out || !text;
}

static enum epc_err read_user(struct epc_store *s, int64_t user, struct epc_user *u)
{
    struct epc_sql q;
    enum epc_err err = epc_sql_open(&q, s, "SELECT name, display_name, impi FROM users WHERE id = ?", "i", user);
    bool found = err == EPC_OK && epc_sql_row(&q), copied = true;
    if (found)
        copied = copy_text(&u->name, epc_sql_text(&q, 0)) && copy_text(&u->display_name, epc_sql_text(&q, 1)) &&
                 copy_text(&u->impi, epc_sql_text(&q, 2));
    err = epc_sql_close(&q);
    if (err != EPC_OK)
        return err;
    return !found ? EPC_ENOENT : !copied ? EPC_ENOMEM : read_impus(s, user, u);
}

/* Who it is, with the identity that is lent to whom has none. */
static enum epc_err grant(struct epc_store *s, int64_t user, const char *hashed, const struct epc_lease *l,
                          struct epc_user *u, uint64_t *wait_s)
{
    char holder[HOLDER_LEN];
    enum epc_err err = EPC_OK;
    holder_of(holder, user, hashed);
    if (user) {
        err = read_user(s, user, u);
    } else {
        u->guest = true;
        u->name = strdup(holder);
        err = u->name ? EPC_OK : EPC_ENOMEM;
    }
    if (err == EPC_OK && !u->impi)
        err = epc_pool_lend(s, holder, l, u, wait_s);
    return err;
}

/* ---- log-in ------------------------------------------------------------------------------------- */

static enum epc_err user_id(struct epc_store *s, struct epc_str name, int64_t *id)
{
    struct epc_sql q;
    *id = 0;
    if (name.n == 0)
        return EPC_OK;
    enum epc_err err = epc_sql_open(&q, s, "SELECT id FROM users WHERE name = ?", "S", name);
    if (err == EPC_OK && epc_sql_row(&q))
        *id = epc_sql_int(&q, 0);
    err = epc_sql_close(&q);
    return err == EPC_OK && !*id ? EPC_ENOENT : err;
}

/* A user's oldest sessions make room, so that the table stays bounded. */
static enum epc_err add_session(struct epc_store *s, const char *hashed, int64_t user, const char *origin,
                                uint64_t now_s)
{
    enum epc_err err = EPC_OK;
    if (user)
        err = epc_sql_run(s, "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE user = ?"
                             " ORDER BY used_s DESC LIMIT -1 OFFSET ?)", "ii", user, (int64_t)PER_USER_MAX - 1);
    return err == EPC_OK ? epc_sql_run(s, "INSERT INTO sessions (id, user, origin, created_s, used_s)"
                                          " VALUES (?, nullif(?, 0), ?, ?, ?)", "titii", hashed, user, origin,
                                       (int64_t)now_s, (int64_t)now_s) : err;
}

enum epc_err epc_store_login(struct epc_store *s, struct epc_str name, const char *origin,
                             const struct epc_lease *l, char id[EPC_SESSION_ID_LEN + 1], struct epc_user *u,
                             uint64_t *wait_s)
{
    int64_t user = 0;
    char fresh[EPC_SESSION_ID_LEN + 1], hashed[HASHED_LEN + 1];
    struct epc_user who = {0};
    epc_random_hex(fresh, EPC_SESSION_ID_OCTETS);
    if (!hash_id(epc_str_c(fresh), hashed))
        return EPC_ENOMEM;
    enum epc_err err = epc_store_begin(s);
    if (err != EPC_OK)
        return err;
    err = user_id(s, name, &user);
    if (err == EPC_OK)
        err = add_session(s, hashed, user, origin, l->now_s);
    if (err == EPC_OK)
        err = grant(s, user, hashed, l, &who, wait_s);
    err = epc_store_end(s, err);
    if (err != EPC_OK) {
        epc_user_clear(&who);
        return err;
    }
    memcpy(id, fresh, sizeof fresh);
    *u = who;
    return EPC_OK;
}

/* ---- use, log-out ------------------------------------------------------------------------------- */

static enum epc_err find(struct epc_store *s, struct epc_str id, const char *origin, uint64_t now_s,
                         char hashed[HASHED_LEN + 1], int64_t *user)
{
    struct epc_sql q;
    if (id.n != EPC_SESSION_ID_LEN || !hash_id(id, hashed))
        return EPC_ENOENT;
    enum epc_err err = epc_sql_open(&q, s, "SELECT user FROM sessions WHERE id = ? AND origin = ? AND used_s > ?"
                                           " AND created_s > ?", "ttii", hashed, origin,
                                    (int64_t)now_s - IDLE_S, (int64_t)now_s - LIFE_S);
    bool found = err == EPC_OK && epc_sql_row(&q);
    if (found)
        *user = epc_sql_int(&q, 0);
    err = epc_sql_close(&q);
    return err == EPC_OK && !found ? EPC_ENOENT : err;
}

enum epc_err epc_store_refresh(struct epc_store *s, struct epc_str id, const char *origin,
                               const struct epc_lease *l, struct epc_user *u, uint64_t *wait_s)
{
    int64_t user = 0;
    char hashed[HASHED_LEN + 1];
    struct epc_user who = {0};
    enum epc_err err = epc_store_begin(s);
    if (err != EPC_OK)
        return err;
    err = find(s, id, origin, l->now_s, hashed, &user);
    if (err == EPC_OK)
        err = epc_sql_run(s, "UPDATE sessions SET used_s = ? WHERE id = ?", "it", (int64_t)l->now_s, hashed);
    if (err == EPC_OK)
        err = grant(s, user, hashed, l, &who, wait_s);
    err = epc_store_end(s, err);
    if (err != EPC_OK) {
        epc_user_clear(&who);
        return err;
    }
    *u = who;
    return EPC_OK;
}

static enum epc_err last_one(struct epc_store *s, int64_t user, bool *last)
{
    struct epc_sql q;
    *last = true;
    if (!user)
        return EPC_OK;
    enum epc_err err = epc_sql_open(&q, s, "SELECT 1 FROM sessions WHERE user = ?", "i", user);
    if (err == EPC_OK && epc_sql_row(&q))
        *last = false;
    return epc_sql_close(&q);
}

enum epc_err epc_store_logout(struct epc_store *s, struct epc_str id, const char *origin, uint64_t now_s,
                              bool revoked, char **impi)
{
    int64_t user = 0;
    bool last = false;
    char hashed[HASHED_LEN + 1], holder[HOLDER_LEN], *had = NULL;
    enum epc_err err = epc_store_begin(s);
    if (err != EPC_OK)
        return err;
    err = find(s, id, origin, now_s, hashed, &user);
    if (err == EPC_OK)
        err = epc_sql_run(s, "DELETE FROM sessions WHERE id = ?", "t", hashed);
    if (err == EPC_OK)
        err = last_one(s, user, &last);
    if (err == EPC_OK && last) {
        holder_of(holder, user, hashed);
        err = epc_pool_return(s, holder, now_s, revoked, &had);
    }
    if (err == EPC_ENOENT) /* nothing to end is as good as ended */
        err = EPC_OK;
    err = epc_store_end(s, err);
    if (err != EPC_OK) {
        free(had);
        return err;
    }
    *impi = had;
    return EPC_OK;
}

enum epc_err epc_store_expire_sessions(struct epc_store *s, uint64_t now_s)
{
    return epc_sql_run(s, "DELETE FROM sessions WHERE used_s <= ? OR created_s <= ?", "ii",
                       (int64_t)now_s - IDLE_S, (int64_t)now_s - LIFE_S);
}
