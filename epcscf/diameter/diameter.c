/* Embeds libfdcore: start in its order, stop with DPR, and the handshake with epcscf_rx.fdx. */
#include "diameter/diameter.h"

#include "diameter_priv.h"
#include "rx.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct epc_diameter {
    struct epc_rx_host host;
    struct epc_cfg_policy *cfg; /* own copy */
    const struct epc_rx_ext *ext;
    pthread_mutex_t record_lock;
    struct epc_recorder *recorder; /* NULL: off */
};

/* libfdcore is one per process, and its extension finds us by a symbol: this is what it finds. */
static struct epc_diameter *current;

const struct epc_rx_host *epc_rx_attach(const struct epc_rx_ext *ext)
{
    if (!current || current->ext || ext->abi != EPC_RX_ABI)
        return NULL;
    current->ext = ext;
    return &current->host;
}

static enum epc_err fail(const char *file, const char *what)
{
    epc_log(EPC_LOG_ERROR, "diameter", "event=start-failed file=%s reason=\"%s\"", file, what);
    return EPC_EIO;
}

static enum epc_err configure(struct epc_diameter *d, const char *file)
{
    if (access(file, R_OK) != 0)
        return fail(file, strerror(errno));
    if (fd_core_parseconf(file))
        return fail(file, "the file or an extension in it was refused; correct what the lines above name");
    if (!d->ext)
        return fail(file, "no LoadExtension line for epcscf_rx.fdx");
    epc_fdlog_hooks();
    epc_fdguard_hook();
    return epc_endpoints_complete(file);
}

static enum epc_err run(struct epc_diameter *d, const char *file)
{
    enum epc_err e = configure(d, file);
    if (!e && d->cfg->record_file)
        e = epc_recorder_start(&d->recorder, d->cfg->record_file, false, d->cfg->webrtc_vendor, NULL);
    if (e)
        return e;
    if (fd_core_start() || fd_core_waitstartcomplete())
        return fail(file, "freeDiameter did not start; see the lines above");
    e = d->ext->start();
    if (e)
        return fail(file, "the sender thread did not start");
    epc_log(EPC_LOG_INFO, "diameter", "event=started identity=%s realm=%s", fd_g_config->cnf_diamid,
            fd_g_config->cnf_diamrlm);
    return EPC_OK;
}

static void shut_down(void)
{
    (void)fd_core_shutdown();
    (void)fd_core_wait_shutdown_complete();
    epc_fdlog_remove();
}

static void diameter_free(struct epc_diameter *d)
{
    epc_recorder_stop(d->recorder);
    pthread_mutex_destroy(&d->record_lock);
    epc_settings_free(d->cfg);
    free(d);
}

static struct epc_diameter *diameter_new(const struct epc_cfg_policy *cfg)
{
    struct epc_diameter *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    pthread_mutex_init(&d->record_lock, NULL);
    d->cfg = epc_settings_copy(cfg);
    if (!d->cfg) {
        diameter_free(d);
        return NULL;
    }
    d->host = (struct epc_rx_host){
        .abi = EPC_RX_ABI,
        .cfg = d->cfg,
        .post = epc_shard_post,
        .shard_index = epc_shard_index,
        .timer_start = epc_timer_start,
        .timer_stop = epc_timer_stop,
        .doom = epc_shard_doom,
        .info_free = epc_service_info_free,
        .info_diff = epc_service_info_diff,
        .info_merge = epc_service_info_merge,
        .shape = epc_policy_shape,
        .profile = epc_policy_profile,
        .access = epc_policy_access_for,
        .code_name = epc_policy_code_name,
        .explain_result = epc_policy_explain_result,
    };
    return d;
}

enum epc_err epc_diameter_start(struct epc_diameter **out, const struct epc_cfg_policy *cfg)
{
    const char *file = cfg->diameter_config;
    if (current || !file)
        return fail(file ? file : "(none)", current ? "already started" : "no file is configured");
    struct epc_diameter *d = diameter_new(cfg);
    if (!d)
        return EPC_ENOMEM;
    current = d;
    epc_fdlog_install();
    enum epc_err e = fd_core_initialize() ? fail(file, "libfdcore does not initialise") : EPC_OK;
    if (!e) {
        e = run(d, file);
        if (e)
            shut_down();
    }
    if (e) {
        current = NULL;
        diameter_free(d);
        return e;
    }
    *out = d;
    return EPC_OK;
}

void epc_diameter_stop(struct epc_diameter *d)
{
    if (!d)
        return;
    d->ext->stop(); /* while the peers are still there to hear the STRs */
    shut_down();    /* DPR, then the end of its threads */
    epc_recorder_stop(d->recorder);
    d->recorder = NULL;
    epc_log(EPC_LOG_INFO, "diameter", "event=stopped");
    current = NULL;
    diameter_free(d);
}

struct epc_policy_client *epc_diameter_client(struct epc_diameter *d)
{
    return d->ext->client;
}

unsigned epc_diameter_open_peers(const struct epc_diameter *d)
{
    return d->ext->open_peers();
}

void epc_diameter_print_states(const struct epc_diameter *d, FILE *out)
{
    d->ext->print_states(out);
}

bool epc_diameter_has_history(const struct epc_diameter *d)
{
    return d->cfg->history_sessions > 0;
}

void epc_diameter_history(const struct epc_diameter *d, struct epc_shard *sh, const struct epc_rx_ask *ask,
                          struct epc_rx_found *found, struct epc_buf *out)
{
    d->ext->history(sh, ask, found, out);
}

void epc_diameter_print_peers(const struct epc_diameter *d, FILE *out)
{
    d->ext->print_peers(out);
}

/* ---- recording ---------------------------------------------------------------------------------------- */

enum epc_err epc_diameter_record(struct epc_diameter *d, const char *file, bool base, struct epc_buf *say)
{
    struct epc_recorder *next = NULL;
    enum epc_err e = EPC_OK;
    if (file && file[0] != '/') {
        if (say)
            epc_buf_printf(say, "%s: an absolute path is needed, the daemon's folder is not yours\n", file);
        return EPC_EINVAL;
    }
    pthread_mutex_lock(&d->record_lock);
    if (file)
        e = epc_recorder_start(&next, file, base, d->cfg->webrtc_vendor, say);
    if (e == EPC_OK) {
        epc_recorder_stop(d->recorder);
        d->recorder = next;
        if (say)
            epc_recorder_print(next, say);
    }
    pthread_mutex_unlock(&d->record_lock);
    return e;
}

void epc_diameter_record_print(struct epc_diameter *d, struct epc_buf *out)
{
    pthread_mutex_lock(&d->record_lock);
    epc_recorder_print(d->recorder, out);
    pthread_mutex_unlock(&d->record_lock);
}

void epc_diameter_record_reopen(struct epc_diameter *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->record_lock);
    epc_recorder_reopen(d->recorder);
    pthread_mutex_unlock(&d->record_lock);
}
