/* The life of the signing keys. All decisions are made in the database, in transactions: several
 * processes may serve one, and any of them may die at any time. */
#include "wwsf/keys.h"
#include "wwsf/store.h"

#include <stdlib.h>
#include <string.h>

enum { KEEP_S = 120 }; /* after the last token's end: verifiers' clocks may be behind */

/* ---- in memory ---------------------------------------------------------------------------------- */

void epc_ring_free(struct epc_ring *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        epc_key_close(r->v[i].key);
    free(r->v);
    free(r->jwks);
    free(r);
}

static enum epc_err add_key(struct epc_ring *r, const char *pem, int64_t signs_from_s, const char *file)
{
    struct epc_key *k = NULL;
    enum epc_err err = epc_key_parse(&k, pem, file);
    if (err != EPC_OK)
        return err;
    void *v = realloc(r->v, (r->n + 1) * sizeof *r->v);
    if (!v) {
        epc_key_close(k);
        return EPC_ENOMEM;
    }
    r->v = v;
    r->v[r->n].key = k;
    r->v[r->n++].signs_from_s = (uint64_t)signs_from_s;
    return EPC_OK;
}

static char *key_set(const struct epc_ring *r)
{
    struct epc_buf b = {0};
    epc_buf_adds(&b, "{\"keys\":[");
    for (size_t i = 0; i < r->n; i++) {
        epc_buf_adds(&b, i ? "," : "");
        epc_key_jwk(r->v[i].key, &b);
    }
    epc_buf_adds(&b, "]}\n");
    return epc_buf_take(&b, NULL);
}

enum epc_err epc_ring_load(struct epc_ring **out, struct epc_store *s)
{
    struct epc_sql q;
    struct epc_ring *r = calloc(1, sizeof *r);
    if (!r)
        return EPC_ENOMEM;
    enum epc_err err = epc_sql_open(&q, s, "SELECT pem, coalesce(signs_from_s, 0) FROM keys"
                                           " WHERE pem IS NOT NULL ORDER BY made_s, rowid", "");
    while (err == EPC_OK && epc_sql_row(&q))
        err = add_key(r, epc_sql_text(&q, 0), epc_sql_int(&q, 1), s->file);
    enum epc_err end = epc_sql_close(&q);
    err = err == EPC_OK ? end : err;
    if (err == EPC_OK && !(r->jwks = key_set(r)))
        err = EPC_ENOMEM;
    if (err != EPC_OK) {
        epc_ring_free(r);
        return err;
    }
    *out = r;
    return EPC_OK;
}

const struct epc_key *epc_ring_signer(const struct epc_ring *r, uint64_t now_s)
{
    const struct epc_key *best = NULL;
    uint64_t best_from = 0;
    for (size_t i = 0; i < r->n; i++) {
        uint64_t from = r->v[i].signs_from_s;
        if (from && from <= now_s && from >= best_from) {
            best = r->v[i].key;
            best_from = from;
        }
    }
    return best;
}

/* ---- in the database ---------------------------------------------------------------------------- */

/* @param signs_from_s 0: once it has been published */
static enum epc_err insert(struct epc_store *s, const struct epc_key *k, const struct epc_ring_times *t,
                           uint64_t signs_from_s)
{
    char *pem = epc_key_pem(k);
    if (!pem)
        return EPC_EIO;
    enum epc_err err = epc_sql_run(s, "INSERT INTO keys (kid, pem, made_s, published_s, signs_from_s, token_life_s)"
                                      " VALUES (?, ?, ?, nullif(?, 0), nullif(?, 0), ?)", "ttiiii",
                                   epc_key_kid(k), pem, (int64_t)t->now_s, (int64_t)signs_from_s,
                                   (int64_t)signs_from_s, (int64_t)t->token_life_s);
    explicit_bzero(pem, strlen(pem));
    free(pem);
    return err;
}

enum epc_err epc_ring_adopt(struct epc_store *s, const struct epc_key *k, const struct epc_ring_times *t)
{
    enum epc_err err = epc_store_begin(s);
    if (err != EPC_OK)
        return err;
    err = insert(s, k, t, t->now_s);
    if (err == EPC_EEXIST) /* of an earlier start; replaced by now, perhaps */
        err = EPC_OK;
    /* Its tokens live longer now: so does it. */
    if (err == EPC_OK)
        err = epc_sql_run(s, "UPDATE keys SET token_life_s = max(token_life_s, ?) WHERE pem IS NOT NULL", "i",
                          (int64_t)t->token_life_s);
    return epc_store_end(s, err);
}

static enum epc_err make(struct epc_store *s, const struct epc_ring_times *t)
{
    struct epc_key *k = NULL;
    enum epc_err err = epc_key_generate(&k);
    if (err == EPC_OK)
        err = insert(s, k, t, 0);
    if (err == EPC_OK) {
        epc_count(EPC_C_WWSF_KEYS);
        epc_log(EPC_LOG_INFO, "wwsf", "event=signing-key-made kid=%s alg=ES256 signs_in_s=%u", epc_key_kid(k),
                (unsigned)t->publish_s);
    }
    epc_key_close(k);
    return err;
}

enum epc_err epc_ring_rotate(struct epc_store *s, const struct epc_ring_times *t)
{
    return make(s, t);
}

static enum epc_err mark_published(struct epc_store *s, const struct epc_ring_times *t, const char *served)
{
    struct epc_sql q;
    enum epc_err err = epc_sql_open(&q, s, "SELECT kid FROM keys WHERE published_s IS NULL AND pem IS NOT NULL", "");
    while (err == EPC_OK && epc_sql_row(&q)) {
        const char *kid = epc_sql_text(&q, 0);
        if (served && strstr(served, kid))
            err = epc_sql_run(s, "UPDATE keys SET published_s = ?, signs_from_s = ? WHERE kid = ?", "iit",
                              (int64_t)t->now_s, (int64_t)(t->now_s + t->publish_s), kid);
    }
    enum epc_err end = epc_sql_close(&q);
    return err == EPC_OK ? end : err;
}

/* The newest key is so old that its successor, made now, will sign just in time. */
static enum epc_err make_when_due(struct epc_store *s, const struct epc_ring_times *t)
{
    struct epc_sql q;
    bool due = false;
    if (!t->rotation_s)
        return EPC_OK;
    enum epc_err err = epc_sql_open(&q, s,
        "SELECT count(*) = count(signs_from_s) AND max(signs_from_s) + ? <= ? FROM keys WHERE pem IS NOT NULL",
        "ii", (int64_t)t->rotation_s - t->publish_s, (int64_t)t->now_s);
    if (err == EPC_OK && epc_sql_row(&q))
        due = epc_sql_int(&q, 0) != 0;
    err = epc_sql_close(&q);
    return err == EPC_OK && due ? make(s, t) : err;
}

static enum epc_err withdraw_old(struct epc_store *s, const struct epc_ring_times *t)
{
    enum epc_err err = epc_sql_run(s,
        "UPDATE keys SET pem = NULL, withdrawn_s = ?1 WHERE pem IS NOT NULL AND EXISTS (SELECT 1 FROM keys n"
        " WHERE n.pem IS NOT NULL AND n.signs_from_s > keys.signs_from_s AND"
        " n.signs_from_s + keys.token_life_s + ?2 <= ?1)", "ii", (int64_t)t->now_s, (int64_t)KEEP_S);
    if (err == EPC_OK && sqlite3_changes(s->db))
        epc_log(EPC_LOG_INFO, "wwsf", "event=signing-keys-withdrawn count=%d", sqlite3_changes(s->db));
    return err;
}

enum epc_err epc_ring_turn(struct epc_store *s, const struct epc_ring_times *t, const char *served)
{
    enum epc_err err = epc_store_begin(s);
    if (err != EPC_OK)
        return err;
    err = mark_published(s, t, served);
    if (err == EPC_OK)
        err = make_when_due(s, t);
    if (err == EPC_OK)
        err = withdraw_old(s, t);
    return epc_store_end(s, err);
}

enum epc_err epc_ring_withdraw(struct epc_store *s, const char *kid, uint64_t now_s)
{
    struct epc_sql q;
    bool there = false, other = false;
    enum epc_err err = epc_store_begin(s);
    if (err != EPC_OK)
        return err;
    err = epc_sql_open(&q, s, "SELECT count(*) FILTER (WHERE kid = ?1), count(*) FILTER (WHERE kid <> ?1 AND"
                              " signs_from_s <= ?2) FROM keys WHERE pem IS NOT NULL", "ti", kid, (int64_t)now_s);
    if (err == EPC_OK && epc_sql_row(&q)) {
        there = epc_sql_int(&q, 0) != 0;
        other = epc_sql_int(&q, 1) != 0;
    }
    err = epc_sql_close(&q);
    if (err == EPC_OK)
        err = !there ? EPC_ENOENT : !other ? EPC_EPOLICY : EPC_OK;
    if (err == EPC_OK)
        err = epc_sql_run(s, "UPDATE keys SET pem = NULL, withdrawn_s = ? WHERE kid = ?", "it", (int64_t)now_s, kid);
    return epc_store_end(s, err);
}
