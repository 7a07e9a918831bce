/* The back end's face: creation and destruction, what it can, facts for people. */
#include "gateway/rtpengine/rtpengine_priv.h"

#include <stdlib.h>

enum { POLL_OFTEN_MS = 1000, POLL_SELDOM_MS = 10000, ASK_MS = 10000 };

/* What those in service can all make; of the others no call comes. */
static void rtp_caps(const struct epc_gw *g, struct epc_gw_caps *out)
{
    const struct rtp_gw *gw = EPC_CONTAINER(g, const struct rtp_gw, base);
    uint32_t codecs = UINT32_MAX;
    bool known = false;
    for (size_t n = 0; n < gw->n_instances; n++) {
        const struct rtp_instance *i = &gw->instance[n];
        if (!i->probed || !ng_answers(i->ng))
            continue;
        known = true;
        codecs &= i->codecs;
    }
    out->audio_codecs = known ? codecs : 0;
    out->transcodes = known && (codecs & (codecs - 1)) != 0; /* two at least */
}

static void add_codecs(const struct rtp_instance *i, struct epc_buf *line)
{
    const struct epc_cfg_media *cfg = i->gw->cfg;
    bool first = true;
    epc_buf_adds(line, " codecs=");
    for (size_t n = 0; n < cfg->n_audio_codecs && n < 32; n++)
        if (i->codecs >> n & 1) {
            epc_buf_printf(line, "%s%s", first ? "" : ",", cfg->audio_codecs[n]);
            first = false;
        }
}

static const char *state_of(const struct rtp_instance *i)
{
    return !ng_answers(i->ng) ? "silent" : epc_now_ms() < i->full_until_ms ? "full" : "up";
}

static void rtp_each(struct epc_gw *g, void (*fn)(const char *line, void *arg), void *arg)
{
    struct rtp_gw *gw = EPC_CONTAINER(g, struct rtp_gw, base);
    for (size_t n = 0; n < gw->n_instances; n++) {
        const struct rtp_instance *i = &gw->instance[n];
        struct epc_buf line = {0};
        epc_buf_printf(&line, "gateway=%s kind=rtpengine shard=%u state=%s contexts=%zu", ng_instance_name(i->ng),
                       epc_shard_index(gw->sh), state_of(i), i->contexts);
        if (i->told)
            epc_buf_printf(&line, " sessions=%llu uptime_s=%llu", (unsigned long long)i->sessions,
                           (unsigned long long)i->uptime_s);
        if (i->probed) {
            add_codecs(i, &line);
            epc_buf_printf(&line, " tls_id=%s", i->tls_id ? "yes" : "no");
        }
        if (i->n_owed)
            epc_buf_printf(&line, " to_delete=%zu", i->n_owed);
        if (line.p && !line.failed)
            fn(line.p, arg);
        epc_buf_free(&line);
    }
}

static enum epc_err rtp_create(struct epc_gw **out, struct epc_shard *sh, const struct epc_cfg_media *cfg,
                               struct epc_gw_hub *hub)
{
    (void)hub; /* NG has no associations */
    struct rtp_gw *gw = calloc(1, sizeof *gw);
    if (!gw)
        return EPC_ENOMEM;
    gw->base.ops = &epc_gw_rtpengine_ops;
    gw->sh = sh;
    gw->cfg = cfg;
    gw->often_ms = POLL_OFTEN_MS;
    gw->seldom_ms = cfg->poll_ms ? cfg->poll_ms : POLL_SELDOM_MS;
    gw->ask_ms = ASK_MS;
    /* Seeded anew in each process, and the same on all its shards. */
    gw->run = (uint32_t)epc_hash_bytes("run", 3);
    enum epc_err err = ng_create(&gw->ng, sh, cfg, rtp_instance_changed, gw);
    if (err == EPC_OK && (err = rtp_instances_create(gw)) != EPC_OK)
        ng_destroy(gw->ng);
    if (err != EPC_OK) {
        free(gw);
        return err;
    }
    if (cfg->node_id && epc_shard_index(sh) == 0)
        rtp_orphans_start(gw);
    *out = &gw->base;
    return EPC_OK;
}

/* The process, or its loop, is going away: nobody can wait for what this tells. */
static void ignore_reply(void *arg, enum epc_err err, const json_t *reply)
{
    (void)arg;
    (void)err;
    (void)reply;
}

static void rtp_destroy(struct epc_gw *g)
{
    struct rtp_gw *gw = EPC_CONTAINER(g, struct rtp_gw, base);
    for (struct rtp_ctx *c = gw->first; c; c = c->next)
        if (c->exists && !c->deleting && !rtp_send_delete(c, ignore_reply))
            epc_log(EPC_LOG_WARN, "gateway", "event=delete-not-sent call=%.128s", c->key);
    ng_destroy(gw->ng);
    rtp_orphans_stop(gw);
    while (gw->first)
        rtp_ctx_free(gw->first);
    rtp_instances_free(gw);
    free(gw);
}

const struct epc_gw_ops epc_gw_rtpengine_ops = {
    .create = rtp_create,
    .destroy = rtp_destroy,
    .caps = rtp_caps,
    .each = rtp_each,
    .ctx_create = rtp_ctx_create,
    .offer = rtp_offer,
    .answer = rtp_answer,
    .restore = rtp_restore,
    .gate = rtp_gate,
    .view = rtp_view,
    .release = rtp_release,
};
