/* Where an issuer's keys come from: a file that is looked at now and then, or a URL that is fetched. */
#include "auth/auth_priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
    epc_jwks_clear(&s->keys);
    s->keys = *keys;
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

/* ---- the door's part -------------------------------------------------------------------------------- */

static void on_timer(void *arg)
{
    read_file(arg, false);
}

static void arm(struct epc_source *s, uint64_t after_ms)
{
    epc_timer_start(s->a->sh, &s->timer, after_ms, on_timer, s);
}

enum epc_err epc_source_open(struct epc_source *s, struct epc_auth *a, const struct epc_cfg_issuer *is)
{
    s->a = a;
    s->is = is;
    if (!is->jwks_file)
        return EPC_OK;
    s->stamp = stamp_of(is->jwks_file);
    enum epc_err err = epc_jwks_load(&s->keys, is->jwks_file);
    if (err == EPC_OK && a->cfg->keys_check_s)
        arm(s, (uint64_t)a->cfg->keys_check_s * 1000);
    return err == EPC_OK || err == EPC_ENOMEM ? err : EPC_EIO;
}

void epc_source_reload(struct epc_source *s)
{
    if (s->is->jwks_file)
        read_file(s, true);
}

void epc_source_close(struct epc_source *s)
{
    if (!s->a)
        return;
    epc_work_cancel(s->work);
    if (s->timer._prev)
        epc_timer_stop(s->a->sh, &s->timer);
    epc_jwks_clear(&s->keys);
}
