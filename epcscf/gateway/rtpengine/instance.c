/* The rtpengines. Once one answers it is asked for its statistics, which show a restart, and for a throw-away
 * description, which shows what it transcodes and how new it is: NG has no question for either. While it is
 * silent new calls go elsewhere, and what was to be deleted there is kept; its calls are lost after
 * media.lost_after_ms. */
#include "gateway/rtpengine/rtpengine_priv.h"

#include <stdlib.h>
#include <string.h>

enum {
    FULL_MS = 5000,        /* who turned a call away is left alone for so long */
    WALK_STEP = 64, WALK_MS = 10, /* calls at a time, so that a lost rtpengine is no storm of BYEs */
    MAX_OWED = 10000,
};

struct rtp_owed {
    struct rtp_owed *next;
    char call_id[64];
};

size_t rtp_instance_index(const struct rtp_instance *i)
{
    return (size_t)(i - i->gw->instance);
}

/* ---- who gets a call ----------------------------------------------------------------------------- */

static int worth(const struct rtp_instance *i, bool any)
{
    if (!ng_answers(i->ng))
        return 0;
    return any || epc_now_ms() >= i->full_until_ms ? 2 : 1;
}

struct rtp_instance *rtp_choose(struct rtp_gw *gw, const char *key, uint64_t tried, bool any)
{
    size_t first = (size_t)(epc_hash_bytes(key, strlen(key)) % gw->n_instances);
    struct rtp_instance *best = NULL;
    for (size_t k = 0; k < gw->n_instances; k++) {
        size_t n = (first + k) % gw->n_instances;
        struct rtp_instance *i = &gw->instance[n];
        if (n < 64 && tried >> n & 1)
            continue;
        if (!best || worth(i, any) > worth(best, any) ||
            (worth(i, any) == worth(best, any) && i->contexts < best->contexts))
            best = i;
    }
    return best;
}

void rtp_turned_away(struct rtp_instance *i)
{
    i->full_until_ms = epc_now_ms() + FULL_MS;
}

/* ---- all calls of one, a few at a time ------------------------------------------------------------- */

static void walk(void *arg)
{
    struct rtp_instance *i = arg;
    for (int n = 0; i->cursor && n < WALK_STEP; n++) {
        struct rtp_ctx *c = i->cursor;
        i->cursor = c->next; /* the owner may release it, and others, in its event handler */
        if (c->at != i || !c->exists)
            continue;
        if (i->lost)
            rtp_tell_lost(c, "rtpengine is silent");
        else
            rtp_poll_now(c);
    }
    if (i->cursor)
        epc_timer_start(i->gw->sh, &i->walk, WALK_MS, walk, i);
}

static void walk_start(struct rtp_instance *i, bool lost)
{
    i->lost = lost;
    i->cursor = i->gw->first;
    epc_timer_start(i->gw->sh, &i->walk, 0, walk, i);
}

void rtp_walk_forget(struct rtp_ctx *c)
{
    for (size_t k = 0; k < c->gw->n_instances; k++)
        if (c->gw->instance[k].cursor == c)
            c->gw->instance[k].cursor = c->next;
}

static void on_silent_too_long(void *arg)
{
    walk_start(arg, true);
}

/* ---- what it still has to delete --------------------------------------------------------------------- */

void rtp_owe(struct rtp_instance *i, const char *call_id)
{
    struct rtp_owed *o = i->n_owed < MAX_OWED ? calloc(1, sizeof *o) : NULL;
    if (!o) {
        epc_log(EPC_LOG_WARN, "gateway", "event=delete-given-up address=%s context=%s", ng_instance_name(i->ng),
                call_id);
        return;
    }
    snprintf(o->call_id, sizeof o->call_id, "%s", call_id);
    *i->owed_tail = o; /* last: the first one may be under way */
    i->owed_tail = &o->next;
    i->n_owed++;
}

static void pay(struct rtp_instance *i);

static void on_paid(void *arg, enum epc_err err, const json_t *reply)
{
    struct rtp_instance *i = arg;
    (void)reply;
    i->paying = false;
    if (err != EPC_OK || !i->owed)
        return; /* silent again: later */
    struct rtp_owed *o = i->owed;
    i->owed = o->next;
    if (!i->owed)
        i->owed_tail = &i->owed;
    i->n_owed--;
    free(o);
    pay(i);
}

static void pay(struct rtp_instance *i)
{
    if (!i->owed || i->paying)
        return;
    json_t *cmd = json_pack("{s:s, s:s, s:i}", "command", "delete", "call-id", i->owed->call_id, "delete-delay", 0);
    i->paying = cmd && ng_send(i->gw->ng, i->ng, cmd, NULL, on_paid, i) == EPC_OK;
    json_decref(cmd);
}

/* ---- what it is and can -------------------------------------------------------------------------------- */

static void note_codecs(struct rtp_instance *i, const struct epc_sdp *s)
{
    const struct epc_cfg_media *cfg = i->gw->cfg;
    const struct epc_sdp_media *m = s->n_media ? &s->media[0] : NULL;
    struct epc_buf names = {0};
    i->codecs = 0;
    for (size_t n = 0; m && n < cfg->n_audio_codecs && n < 32; n++)
        for (size_t k = 0; k < m->n_codec; k++)
            if (epc_str_ieqc(m->codec[k].name, cfg->audio_codecs[n])) {
                i->codecs |= UINT32_C(1) << n;
                epc_buf_printf(&names, "%s%s", names.n ? "," : "", cfg->audio_codecs[n]);
                break;
            }
    i->tls_id = m && m->tls_id.n > 0;
    if (!i->probed)
        epc_log(EPC_LOG_INFO, "gateway", "event=rtpengine-known address=%s codecs=%s tls_id=%s",
                ng_instance_name(i->ng), names.p && !names.failed ? names.p : "", i->tls_id ? "yes" : "no");
    i->probed = true;
    epc_buf_free(&names);
}

static void probe_id(const struct rtp_instance *i, char id[64])
{
    char prefix[32];
    rtp_call_prefix(i->gw, true, prefix);
    snprintf(id, 64, "%sprobe-%u", prefix, epc_shard_index(i->gw->sh));
}

static void on_probed(void *arg, enum epc_err err, const json_t *reply)
{
    struct rtp_instance *i = arg;
    struct epc_sdp *s = NULL;
    struct epc_cause cause;
    char id[64];
    if (err != EPC_OK)
        return; /* asked again when it answers */
    if (rtp_local(reply, 1, &s, &cause) == EPC_OK)
        note_codecs(i, s);
    else
        epc_log(EPC_LOG_WARN, "gateway", "event=probe-failed address=%s why=\"%s\"", ng_instance_name(i->ng),
                cause.reason);
    epc_sdp_free(s);
    probe_id(i, id);
    rtp_owe(i, id);
    pay(i);
}

/* As if a phone with PCMU offered to a WIC; the addresses are the dummy of RFC 7600. */
static void probe(struct rtp_instance *i)
{
    const struct epc_cfg_media *cfg = i->gw->cfg;
    char id[64];
    probe_id(i, id);
    json_t *names = json_array();
    for (size_t n = 0; names && n < cfg->n_audio_codecs; n++)
        json_array_append_new(names, json_string(cfg->audio_codecs[n]));
    json_t *cmd = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:[s], s:[s], s:{s:O}}", "command", "offer", "call-id", id,
                            "from-tag", "probe", "transport-protocol", "UDP/TLS/RTP/SAVPF", "ICE", "force", "sdp",
                            "v=0\r\no=- 1 1 IN IP4 192.0.0.8\r\ns=-\r\nc=IN IP4 192.0.0.8\r\nt=0 0\r\n"
                            "m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n",
                            "SDES", "off", "flags", "trust-address", "codec", "transcode", names);
    if (cmd && cfg->access_interface && *cfg->access_interface && cfg->core_interface && *cfg->core_interface)
        json_object_set_new(cmd, "direction", json_pack("[ss]", cfg->core_interface, cfg->access_interface));
    if (!cmd || ng_send(i->gw->ng, i->ng, cmd, NULL, on_probed, i) != EPC_OK)
        epc_log(EPC_LOG_WARN, "gateway", "event=probe-not-sent address=%s", ng_instance_name(i->ng));
    json_decref(cmd);
    json_decref(names);
}

static uint64_t figure(const json_t *group, const char *name)
{
    const json_t *f = json_object_get(group, name); /* a number, or a text with one */
    json_int_t n = json_is_string(f) ? strtoll(json_string_value(f), NULL, 10) : json_integer_value(f);
    return n > 0 ? (uint64_t)n : 0;
}

static void ask(void *arg);

static void on_statistics(void *arg, enum epc_err err, const json_t *reply)
{
    struct rtp_instance *i = arg;
    const json_t *st = json_object_get(reply, "statistics");
    if (err == EPC_OK && json_is_object(st)) {
        uint64_t uptime = figure(json_object_get(st, "totalstatistics"), "uptime");
        bool restarted = i->told && uptime < i->uptime_s;
        i->sessions = figure(json_object_get(st, "currentstatistics"), "sessionstotal");
        i->uptime_s = uptime;
        i->told = true;
        if (restarted) {
            epc_log(EPC_LOG_WARN, "gateway", "event=rtpengine-restarted address=%s", ng_instance_name(i->ng));
            probe(i);
            walk_start(i, false); /* each call is asked for: it may have been restored */
        }
    }
    epc_timer_start(i->gw->sh, &i->ask, i->gw->ask_ms, ask, i);
}

static void ask(void *arg)
{
    struct rtp_instance *i = arg;
    json_t *cmd = json_pack("{s:s}", "command", "statistics");
    if (!cmd || !ng_answers(i->ng) || ng_send(i->gw->ng, i->ng, cmd, NULL, on_statistics, i) != EPC_OK)
        epc_timer_start(i->gw->sh, &i->ask, i->gw->ask_ms, ask, i);
    json_decref(cmd);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

void rtp_instance_changed(void *arg, size_t n, bool answers)
{
    struct rtp_gw *gw = arg;
    struct rtp_instance *i = &gw->instance[n];
    if (answers) {
        epc_timer_stop(gw->sh, &i->silent);
        if (i->lost) /* those not told yet may live */
            i->cursor = NULL;
        epc_timer_start(gw->sh, &i->ask, 0, ask, i);
        if (!i->probed)
            probe(i);
        pay(i);
    } else if (gw->cfg->lost_after_ms)
        epc_timer_start(gw->sh, &i->silent, gw->cfg->lost_after_ms, on_silent_too_long, i);
}

enum epc_err rtp_instances_create(struct rtp_gw *gw)
{
    gw->instance = calloc(gw->cfg->n_rtpengine, sizeof *gw->instance);
    if (!gw->instance)
        return EPC_ENOMEM;
    for (; gw->n_instances < gw->cfg->n_rtpengine; gw->n_instances++) {
        struct rtp_instance *i = &gw->instance[gw->n_instances];
        i->gw = gw;
        i->owed_tail = &i->owed;
        i->ng = ng_instance_at(gw->ng, gw->n_instances);
    }
    return EPC_OK;
}

void rtp_instances_free(struct rtp_gw *gw)
{
    for (size_t n = 0; n < gw->n_instances; n++) {
        struct rtp_instance *i = &gw->instance[n];
        epc_timer_stop(gw->sh, &i->ask);
        epc_timer_stop(gw->sh, &i->silent);
        epc_timer_stop(gw->sh, &i->walk);
        while (i->owed) {
            struct rtp_owed *o = i->owed;
            i->owed = o->next;
            free(o);
        }
    }
    free(gw->instance);
}
