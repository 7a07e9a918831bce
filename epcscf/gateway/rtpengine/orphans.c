/* A node that ended abruptly leaves its calls at rtpengine, with their ports. At start, what carries
 * this node's name but not this run's is deleted, one after the other, at each rtpengine once it
 * answers. Calls of other nodes that share the rtpengine are left alone. */
#include "gateway/rtpengine/rtpengine_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A list of so many call-ids still fits into a datagram. */
enum { LIST_MAX = 1000, AGAIN_MS = 10000, MAX_ROUNDS = 50 };

/* The work at one rtpengine. */
struct sweep {
    struct rtp_gw *gw;
    struct ng_instance *at;
    json_t *calls; /* of the last `list` */
    size_t next, n_deleted; /* in this list */
    unsigned rounds;
    struct epc_timer again;
};
struct rtp_orphans {
    size_t n;
    struct sweep sweep[];
};

void rtp_call_prefix(const struct rtp_gw *gw, bool run, char out[32])
{
    int n = snprintf(out, 32, "epcscf-%08" PRIx32 "-", gw->cfg->node_id);
    if (run)
        snprintf(out + n, 32 - (size_t)n, "%08" PRIx32 "-", gw->run);
}

static void ask(void *arg);

/* The next call-id that is ours of an earlier run, or NULL. */
static const char *next_orphan(struct sweep *s)
{
    char node[32], run[32];
    rtp_call_prefix(s->gw, false, node);
    rtp_call_prefix(s->gw, true, run);
    while (s->next < json_array_size(s->calls)) {
        const char *id = json_string_value(json_array_get(s->calls, s->next++));
        if (id && strncmp(id, node, strlen(node)) == 0 && strncmp(id, run, strlen(run)) != 0)
            return id;
    }
    return NULL;
}

static void delete_next(struct sweep *s);

static void on_deleted(void *arg, enum epc_err err, const json_t *reply)
{
    struct sweep *s = arg;
    (void)reply;
    if (err == EPC_OK) {
        s->n_deleted++;
        delete_next(s);
    } else
        epc_timer_start(s->gw->sh, &s->again, AGAIN_MS, ask, s);
}

static void delete_next(struct sweep *s)
{
    const char *id = next_orphan(s);
    if (id) {
        json_t *cmd = json_pack("{s:s, s:s, s:i}", "command", "delete", "call-id", id, "delete-delay", 0);
        if (!cmd || ng_send(s->gw->ng, s->at, cmd, NULL, on_deleted, s) != EPC_OK)
            epc_timer_start(s->gw->sh, &s->again, AGAIN_MS, ask, s);
        json_decref(cmd);
        return;
    }
    bool full = json_array_size(s->calls) >= LIST_MAX && s->n_deleted > 0 &&
                ++s->rounds < MAX_ROUNDS;
    if (s->n_deleted > 0)
        epc_log(EPC_LOG_INFO, "gateway", "event=orphans-deleted address=%s count=%zu",
                ng_instance_name(s->at), s->n_deleted);
    if (full)
        ask(s); /* there may be more */
}

static void on_list(void *arg, enum epc_err err, const json_t *reply)
{
    struct sweep *s = arg;
    json_t *calls = json_object_get(reply, "calls");
    if (err != EPC_OK) { /* silent, or not started yet */
        epc_timer_start(s->gw->sh, &s->again, AGAIN_MS, ask, s);
        return;
    }
    json_decref(s->calls);
    s->calls = json_incref(calls);
    s->next = s->n_deleted = 0;
    delete_next(s);
}

static void ask(void *arg)
{
    struct sweep *s = arg;
    json_t *cmd = json_pack("{s:s, s:i}", "command", "list", "limit", (int)LIST_MAX);
    if (!cmd || ng_send(s->gw->ng, s->at, cmd, NULL, on_list, s) != EPC_OK)
        epc_timer_start(s->gw->sh, &s->again, AGAIN_MS, ask, s);
    json_decref(cmd);
}

void rtp_orphans_start(struct rtp_gw *gw)
{
    size_t n = gw->cfg->n_rtpengine;
    struct rtp_orphans *o = calloc(1, sizeof *o + n * sizeof o->sweep[0]);
    if (!o) {
        epc_log(EPC_LOG_WARN, "gateway", "event=orphans-not-looked-for why=\"out of memory\"");
        return;
    }
    gw->orphans = o;
    for (; o->n < n; o->n++) {
        o->sweep[o->n].gw = gw;
        o->sweep[o->n].at = gw->instance[o->n].ng;
        ask(&o->sweep[o->n]);
    }
}

void rtp_orphans_stop(struct rtp_gw *gw)
{
    for (size_t i = 0; gw->orphans && i < gw->orphans->n; i++) {
        epc_timer_stop(gw->sh, &gw->orphans->sweep[i].again);
        json_decref(gw->orphans->sweep[i].calls);
    }
    free(gw->orphans);
}
