/* Do the eP-CSCFs of the table live? Each is asked over TLS, as a browser would: an answer below 500 counts,
 * which from a WebSocket port without Upgrade is 426. 503 is what a node says that is full or drained. */
#include "wwsf/choice.h"

#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX = 4096, SPREAD_MS = 97 };

void epc_health_note(struct epc_target *t, bool alive, const char *why)
{
    const struct epc_cfg_wwsf *cfg = t->choice->cfg;
    if (alive == !t->down) {
        t->streak = 0;
        return;
    }
    if (++t->streak < (t->down ? cfg->health_rise : cfg->health_fall))
        return;
    t->streak = 0;
    t->down = !t->down;
    epc_count_add(EPC_C_WWSF_EPCSCF_DOWN, t->down ? 1 : -1);
    if (t->down)
        epc_log(EPC_LOG_WARN, "wwsf", "event=epcscf-down url=%s why=\"%s\"", t->row->url, why);
    else
        epc_log(EPC_LOG_INFO, "wwsf", "event=epcscf-up url=%s", t->row->url);
}

static void probe(void *arg);

static void plan(struct epc_target *t, uint64_t after_ms)
{
    epc_timer_start(t->choice->sh, &t->timer, after_ms, probe, t);
}

static void on_answer(void *arg, enum epc_err err, const struct epc_response *resp)
{
    struct epc_target *t = arg;
    char why[32];
    t->probe = NULL;
    snprintf(why, sizeof why, "HTTP %d", resp->status);
    /* A long answer is an answer. */
    bool answered = err == EPC_OK || err == EPC_ELIMIT;
    epc_health_note(t, answered && resp->status > 0 && resp->status < 500, answered ? why : resp->why);
    plan(t, (uint64_t)t->choice->cfg->health_interval_s * 1000);
}

static void probe(void *arg)
{
    struct epc_target *t = arg;
    t->probe = epc_http_ask(t->endpoint, NULL, NULL, ANSWER_MAX, on_answer, t);
    if (!t->probe) /* out of memory, which says nothing about the other side */
        plan(t, (uint64_t)t->choice->cfg->health_interval_s * 1000);
}

/* wss://host/path is asked as https://host/path. */
static char *probe_url(const struct epc_cfg_plmn *row)
{
    struct epc_buf b = {0};
    if (row->health_url)
        return epc_str_dup(epc_str_c(row->health_url));
    epc_buf_printf(&b, "https%s", row->url + strcspn(row->url, ":"));
    return epc_buf_take(&b, NULL);
}

static enum epc_err open_target(struct epc_target *t)
{
    const struct epc_cfg_wwsf *cfg = t->choice->cfg;
    char *url = probe_url(t->row);
    enum epc_err err = EPC_ENOMEM;
    if (url)
        err = epc_endpoint_open(&t->endpoint, t->choice->sh, url, cfg->health_ca_file, cfg->health_timeout_ms);
    free(url);
    return err;
}

enum epc_err epc_health_start(struct epc_choice *c, struct epc_shard *sh)
{
    if (!c->cfg->health_interval_s)
        return EPC_OK;
    c->sh = sh;
    for (size_t i = 0; i < c->n_targets; i++) {
        enum epc_err err = open_target(&c->targets[i]);
        if (err != EPC_OK)
            return err;
        plan(&c->targets[i], i * SPREAD_MS);
    }
    return EPC_OK;
}

void epc_health_stop(struct epc_choice *c)
{
    for (size_t i = 0; c->sh && i < c->n_targets; i++) {
        struct epc_target *t = &c->targets[i];
        epc_timer_stop(c->sh, &t->timer);
        if (t->down)
            epc_count_add(EPC_C_WWSF_EPCSCF_DOWN, -1);
        t->down = false;
        epc_endpoint_close(t->endpoint); /* cancels the probe */
        t->endpoint = NULL;
    }
    c->sh = NULL;
}
