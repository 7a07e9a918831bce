/* What comes up regularly, on the store's thread: keys that are to be made, published or withdrawn,
 * leases and sessions that end, files that have changed. */
#include "wwsf/wwsf_priv.h"

#include <stdlib.h>
#include <string.h>

enum { TURN_MS = 5000, TURN_MIN_MS = 250 };

/* ---- files -------------------------------------------------------------------------------------- */

static enum epc_err import_users(struct epc_backend *b)
{
    struct epc_users *list = NULL;
    enum epc_err err = epc_users_load(&list, b->cfg->users_file);
    if (err == EPC_OK)
        err = epc_store_import_users(b->store, list, epc_wall_s());
    epc_users_free(list);
    return err;
}

static enum epc_err import_pool(struct epc_backend *b)
{
    struct epc_users *list = NULL;
    enum epc_err err = epc_users_load_pool(&list, b->cfg->pool_file);
    if (err == EPC_OK)
        err = epc_store_import_pool(b->store, list);
    epc_users_free(list);
    return err;
}

static enum epc_err import(struct epc_backend *b, const char *file, struct stat *seen, bool first,
                           enum epc_err (*read)(struct epc_backend *b))
{
    struct stat now = {0};
    bool changed = file && epc_users_file_changed(file, seen, &now);
    if (!changed && !(first && file))
        return EPC_OK;
    enum epc_err err = read(b);
    if (err != EPC_EAGAIN)
        *seen = now; /* a fault is told once for each change, not at each turn */
    return first ? err : EPC_OK;
}

enum epc_err epc_backend_import(struct epc_backend *b, bool first)
{
    enum epc_err err = import(b, b->cfg->pool_file, &b->pool_seen, first, import_pool);
    return err == EPC_OK ? import(b, b->cfg->users_file, &b->users_seen, first, import_users) : err;
}

void epc_backend_close(struct epc_backend *b)
{
    epc_store_close(b->store);
    free(b->served);
    *b = (struct epc_backend){0};
}

/* ---- keys --------------------------------------------------------------------------------------- */

struct epc_ring_times epc_ring_times(const struct epc_cfg_wwsf *cfg, uint64_t now_s)
{
    return (struct epc_ring_times){now_s, cfg->token_lifetime_s, cfg->key_rotation_s, cfg->key_publish_s};
}

/* @param[out] fresh NULL when nothing has changed */
static enum epc_err load_ring(struct epc_backend *b, struct epc_ring **fresh)
{
    const char *file = b->cfg->jwks_file;
    struct epc_ring *r = NULL;
    enum epc_err err = epc_ring_load(&r, b->store);
    if (err == EPC_OK && (!b->served || strcmp(b->served, r->jwks) != 0)) {
        char *served = strdup(r->jwks);
        err = served ? epc_key_write_file(file, r->jwks, strlen(r->jwks), 0644, false) : EPC_ENOMEM;
        if (err == EPC_OK) {
            free(b->served);
            b->served = served;
        } else {
            free(served);
        }
    }
    if (err != EPC_OK) {
        epc_ring_free(r);
        return err;
    }
    *fresh = r;
    return EPC_OK;
}

static enum epc_err adopt_file(struct epc_store *s, const struct epc_cfg_wwsf *cfg)
{
    struct epc_key *k = NULL;
    struct epc_ring_times t = epc_ring_times(cfg, epc_wall_s());
    enum epc_err err = epc_key_open(&k, cfg->signing_key);
    if (err == EPC_OK)
        err = epc_ring_adopt(s, k, &t);
    epc_key_close(k);
    return err;
}

enum epc_err epc_wwsf_prepare(const struct epc_cfg_wwsf *cfg)
{
    if (!cfg || !cfg->signing_key || !cfg->jwks_file || !cfg->database)
        return EPC_EINVAL;
    struct epc_backend b = {.cfg = cfg};
    struct epc_ring *r = NULL;
    struct stat st;
    enum epc_err err = stat(cfg->signing_key, &st) == 0 ? EPC_OK : epc_key_make_file(cfg->signing_key);
    if (err == EPC_OK)
        err = epc_store_open(&b.store, cfg->database);
    if (err == EPC_OK)
        err = adopt_file(b.store, cfg);
    if (err == EPC_OK)
        err = load_ring(&b, &r);
    epc_ring_free(r);
    epc_backend_close(&b);
    return err;
}

/* ---- turns -------------------------------------------------------------------------------------- */

struct epc_turn {
    struct epc_job job;
    struct epc_timer timer;
    struct epc_wwsf *w;
    struct epc_ring *fresh;
    int64_t lent, free_now, told_lent, told_free;
};

static void run(void *ctx, struct epc_job *j)
{
    struct epc_backend *b = ctx;
    struct epc_turn *t = EPC_CONTAINER(j, struct epc_turn, job);
    struct epc_ring_times times = epc_ring_times(b->cfg, epc_wall_s());
    enum epc_err err = epc_backend_import(b, false);
    if (err == EPC_OK)
        err = epc_ring_turn(b->store, &times, b->served);
    if (err == EPC_OK)
        err = load_ring(b, &t->fresh);
    if (err == EPC_OK)
        err = epc_store_expire_sessions(b->store, times.now_s);
    if (err == EPC_OK)
        err = epc_store_sweep(b->store, times.now_s, &t->lent, &t->free_now);
    if (err != EPC_OK)
        epc_log(EPC_LOG_ERROR, "wwsf", "event=turn-failed why=\"%s\"", epc_err_name(err));
}

static void on_timer(void *arg);

static void plan(struct epc_turn *t)
{
    uint64_t ms = (uint64_t)t->w->cfg->key_publish_s * 1000 / 4;
    ms = ms < TURN_MIN_MS ? TURN_MIN_MS : ms > TURN_MS ? TURN_MS : ms;
    epc_timer_start(t->w->sh, &t->timer, ms, on_timer, t);
}

static void done(struct epc_job *j)
{
    struct epc_turn *t = EPC_CONTAINER(j, struct epc_turn, job);
    struct epc_wwsf *w = t->w;
    if (t->fresh) {
        epc_ring_free(w->ring);
        w->ring = t->fresh;
        t->fresh = NULL;
    }
    epc_count_add(EPC_C_WWSF_POOL_LENT, t->lent - t->told_lent);
    epc_count_add(EPC_C_WWSF_POOL_FREE, t->free_now - t->told_free);
    t->told_lent = t->lent;
    t->told_free = t->free_now;
    if (!w->destroying)
        plan(t);
}

static void on_timer(void *arg)
{
    struct epc_turn *t = arg;
    t->job = (struct epc_job){.run = run, .done = done};
    if (epc_jobs_push(t->w->stores, &t->job) != EPC_OK)
        plan(t);
}

enum epc_err epc_turn_start(struct epc_turn **out, struct epc_wwsf *w)
{
    struct epc_turn *t = calloc(1, sizeof *t);
    enum epc_err err = t ? load_ring(&w->backend, &w->ring) : EPC_ENOMEM;
    if (err != EPC_OK) {
        free(t);
        return err;
    }
    t->w = w;
    plan(t);
    *out = t;
    return EPC_OK;
}

void epc_turn_stop(struct epc_turn *t)
{
    if (!t)
        return;
    epc_timer_stop(t->w->sh, &t->timer);
    epc_count_add(EPC_C_WWSF_POOL_LENT, -t->told_lent);
    epc_count_add(EPC_C_WWSF_POOL_FREE, -t->told_free);
    epc_ring_free(t->fresh);
    free(t);
}
