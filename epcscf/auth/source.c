/* Where an issuer's keys come from: a file that is looked at now and then, or a URL that is fetched. */
#include "auth/auth_priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    AGE_MIN_S = 60,
    AGE_MAX_S = 86400,
    RETRY_FIRST_MS = 1000,
    RETRY_MAX_MS = 60000,
    FORCED_EVERY_MS = 60000,     /* fetches for an unknown kid: anybody can make one up */
    FORCED_FILE_EVERY_MS = 1000,
};

/* ---- file: read by a thread of its own ------------------------------------------------------------- */

struct file_job {
    struct epc_source *s;
    const char *file; /* of the configuration */
    bool always;      /* also when the file looks unchanged */
    struct epc_file_stamp stamp;
    bool changed;
    struct epc_jwks keys;
    enum epc_err err;
};

static struct epc_file_stamp stamp_of(const char *file)
{
    struct stat st;
    if (stat(file, &st) != 0)
        return (struct epc_file_stamp){0};
    return (struct epc_file_stamp){.ino = (uint64_t)st.st_ino,
                                   .size = (uint64_t)st.st_size,
                                   .mtime_s = (uint64_t)st.st_mtim.tv_sec,
                                   .mtime_ns = (uint64_t)st.st_mtim.tv_nsec};
}

static void file_run(void *arg)
{
    struct file_job *j = arg;
    struct epc_file_stamp now = stamp_of(j->file);
    j->changed = j->always || memcmp(&now, &j->stamp, sizeof now) != 0;
    j->stamp = now;
    if (j->changed)
        j->err = epc_jwks_load(&j->keys, j->file);
}

static void file_discard(void *arg)
{
    struct file_job *j = arg;
    epc_jwks_clear(&j->keys);
    free(j);
}

static void use_keys(struct epc_source *s, struct epc_jwks *keys)
{
    epc_jwks_inherit(keys, &s->keys);
    epc_jwks_clear(&s->keys);
    s->keys = *keys;
    s->generation++;
    *keys = (struct epc_jwks){0};
    epc_log(EPC_LOG_INFO, "auth", "event=keys_renewed issuer=\"%s\" keys=%zu", s->is->issuer, s->keys.n);
}

static void arm(struct epc_source *s, uint64_t after_ms);

static void file_done(void *arg)
{
    struct file_job *j = arg;
    struct epc_source *s = j->s;
    s->work = NULL;
    s->stamp = j->stamp;
    if (j->changed && j->err == EPC_OK)
        use_keys(s, &j->keys);
    if (s->a->cfg->keys_check_s)
        arm(s, (uint64_t)s->a->cfg->keys_check_s * 1000);
    epc_verify_waiting(&s->waiting, NULL, false);
}

static const struct epc_work_fns file_work = {file_run, file_done, file_discard};

static void read_file(struct epc_source *s, bool always)
{
    if (s->work)
        return;
    struct file_job *j = calloc(1, sizeof *j);
    if (!j)
        return;
    *j = (struct file_job){.s = s, .file = s->is->jwks_file, .always = always, .stamp = s->stamp};
    if (epc_work_start(&s->work, s->a->sh, &file_work, j) != EPC_OK)
        free(j);
}

/* ---- tables of keys: made by a thread of its own ------------------------------------------------------ */

enum { USED_OFTEN = 64 }; /* what a table takes to make is saved again by some hundreds of signatures */

struct table_job {
    struct epc_source *s;
    unsigned char point[EPC_P256_POINT];
    struct epc_p256 *fast;
};

static void table_run(void *arg)
{
    struct table_job *j = arg;
    j->fast = epc_p256_create(j->point);
}

static void table_done(void *arg)
{
    struct table_job *j = arg;
    j->s->speeding = NULL;
    for (size_t i = 0; j->fast && i < j->s->keys.n; i++) {
        struct epc_jwk *k = &j->s->keys.keys[i];
        if (k->fast || k->alg != EPC_JWT_ES256 || memcmp(k->point, j->point, sizeof j->point) != 0)
            continue;
        k->fast = j->fast;
        j->fast = NULL;
    }
}

static void table_discard(void *arg)
{
    struct table_job *j = arg;
    epc_p256_free(j->fast);
    free(j);
}

static const struct epc_work_fns table_work = {table_run, table_done, table_discard};

void epc_source_used(struct epc_source *s, struct epc_jwk *key)
{
    if (key->alg != EPC_JWT_ES256 || ++key->uses < USED_OFTEN || s->speeding)
        return;
    struct table_job *j = calloc(1, sizeof *j);
    if (!j)
        return;
    j->s = s;
    memcpy(j->point, key->point, sizeof j->point);
    key->uses = 0;
    if (epc_work_start(&s->speeding, s->a->sh, &table_work, j) != EPC_OK)
        free(j);
}

/* ---- URL: fetched over and over --------------------------------------------------------------------- */

static void fetch(struct epc_source *s);

static uint64_t next_fetch_ms(const struct epc_source *s, uint32_t max_age_s)
{
    uint64_t age_s = max_age_s == UINT32_MAX ? s->a->cfg->jwks_refresh_s : max_age_s;
    age_s = age_s < AGE_MIN_S ? AGE_MIN_S : age_s > AGE_MAX_S ? AGE_MAX_S : age_s;
    return age_s * 1000;
}

static uint64_t retry_ms(unsigned failures)
{
    return failures > 6 ? RETRY_MAX_MS : (uint64_t)RETRY_FIRST_MS << (failures - 1);
}

static void on_fetched(void *arg, enum epc_err err, const struct epc_response *resp)
{
    struct epc_source *s = arg;
    struct epc_jwks keys = {0};
    s->fetch = NULL;
    bool ok = err == EPC_OK && resp->status == 200 &&
              epc_jwks_parse(&keys, resp->body, resp->n, s->is->jwks_url) == EPC_OK;
    if (ok) {
        s->failures = 0;
        use_keys(s, &keys);
    } else {
        s->failures++;
        epc_count(EPC_C_AUTH_JWKS_FAILED);
        epc_log(EPC_LOG_WARN, "auth",
                "event=jwks_not_fetched issuer=\"%s\" url=\"%s\" status=%d keys_kept=%zu reason=\"%s\"",
                s->is->issuer, s->is->jwks_url, resp->status, s->keys.n,
                err != EPC_OK ? resp->why : resp->status == 200 ? "no key set" : "not 200");
    }
    uint64_t after_ms = ok ? next_fetch_ms(s, resp->max_age_s) : retry_ms(s->failures);
    s->next_ms = epc_now_ms() + after_ms;
    arm(s, after_ms);
    epc_verify_waiting(&s->waiting, NULL, false);
}

static void fetch(struct epc_source *s)
{
    if (s->fetch)
        return;
    epc_count(EPC_C_AUTH_JWKS_FETCHED);
    s->fetch = epc_http_ask(s->ep, NULL, NULL, EPC_JWKS_MAX_OCTETS, on_fetched, s);
    if (!s->fetch) {
        s->next_ms = epc_now_ms() + RETRY_MAX_MS;
        arm(s, RETRY_MAX_MS);
    }
}

/* ---- both ------------------------------------------------------------------------------------------- */

static void on_timer(void *arg)
{
    struct epc_source *s = arg;
    if (s->ep)
        fetch(s);
    else
        read_file(s, false);
}

static void arm(struct epc_source *s, uint64_t after_ms)
{
    epc_timer_start(s->a->sh, &s->timer, after_ms, on_timer, s);
}

enum epc_err epc_source_open(struct epc_source *s, struct epc_auth *a, const struct epc_cfg_issuer *is)
{
    enum epc_err err = EPC_OK;
    s->a = a;
    s->is = is;
    if (is->jwks_url) {
        err = epc_endpoint_open(&s->ep, a->sh, is->jwks_url, is->ca_file, a->cfg->http_timeout_ms);
        if (err == EPC_OK)
            fetch(s);
    } else if (is->jwks_file) {
        s->stamp = stamp_of(is->jwks_file);
        err = epc_jwks_load(&s->keys, is->jwks_file);
        if (err == EPC_OK && a->cfg->keys_check_s)
            arm(s, (uint64_t)a->cfg->keys_check_s * 1000);
    }
    return err == EPC_OK || err == EPC_ENOMEM ? err : EPC_EIO;
}

void epc_source_reload(struct epc_source *s)
{
    if (s->ep)
        fetch(s);
    else if (s->is->jwks_file)
        read_file(s, true);
}

static bool look_into_file(struct epc_source *s, uint64_t now)
{
    if (!s->is->jwks_file || !s->a->cfg->keys_check_s)
        return false;
    if (!s->work && now - s->forced_ms >= FORCED_FILE_EVERY_MS) {
        s->forced_ms = now;
        read_file(s, false);
    }
    return s->work != NULL;
}

bool epc_source_look_for(struct epc_source *s)
{
    uint64_t now = epc_now_ms();
    if (!s->ep)
        return look_into_file(s, now);
    /* A source that is away has its own rhythm. */
    if (!s->fetch && s->failures == 0 && (s->forced_ms == 0 || now - s->forced_ms >= FORCED_EVERY_MS)) {
        s->forced_ms = now;
        fetch(s);
    }
    return s->fetch != NULL;
}

unsigned epc_source_away_s(const struct epc_source *s)
{
    uint64_t now = epc_now_ms();
    if (!s->ep || (s->failures == 0 && s->keys.n > 0))
        return 0;
    return s->next_ms > now ? (unsigned)((s->next_ms - now + 999) / 1000) : 1;
}

void epc_source_close(struct epc_source *s)
{
    if (!s->a)
        return;
    epc_work_cancel(s->work);
    epc_work_cancel(s->speeding);
    epc_jwt_header_clear(&s->header);
    epc_request_cancel(s->fetch);
    epc_endpoint_close(s->ep);
    epc_timer_stop(s->a->sh, &s->timer);
    epc_waiting_clear(&s->waiting);
    epc_jwks_clear(&s->keys);
}
