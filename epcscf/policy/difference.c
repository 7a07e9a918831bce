/* What must be told again. */
#include "policy/policy_priv.h"

#include <stdlib.h>
#include <string.h>

static const char *codec_data_of(const struct epc_media_component *c, const char *direction)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(c->codec_data); i++)
        if (c->codec_data[i] && strncmp(c->codec_data[i], direction, strlen(direction)) == 0)
            return c->codec_data[i];
    return NULL;
}

static const struct epc_media_flow *running(const struct epc_media_component *c, unsigned number)
{
    for (size_t i = 0; i < c->n_flows; i++)
        if (c->flow[i].number == number && c->flow[i].status != EPC_FLOW_REMOVED)
            return &c->flow[i];
    return NULL;
}

static bool same_flow(const struct epc_media_flow *a, const struct epc_media_flow *b)
{
    return a->number == b->number && a->usage == b->usage && a->status == b->status &&
           strcmp(a->uplink, b->uplink) == 0 && strcmp(a->downlink, b->downlink) == 0;
}

/* Every running flow of @p a runs the same in @p b. A flow that is removed in one and not there in the
 * other is the same. */
static bool flows_in(const struct epc_media_component *a, const struct epc_media_component *b)
{
    for (size_t i = 0; i < a->n_flows; i++) {
        const struct epc_media_flow *f = running(b, a->flow[i].number);
        if (a->flow[i].status != EPC_FLOW_REMOVED && (!f || !same_flow(&a->flow[i], f)))
            return false;
    }
    return true;
}

static bool same_component(const struct epc_media_component *a, const struct epc_media_component *b)
{
    return a->type == b->type && a->status == b->status && a->max_ul_bps == b->max_ul_bps &&
           a->max_dl_bps == b->max_dl_bps && a->rr_bps == b->rr_bps && a->rs_bps == b->rs_bps &&
           flows_in(a, b) && flows_in(b, a) &&
           pol_codec_data_same(codec_data_of(a, "uplink"), codec_data_of(b, "uplink")) &&
           pol_codec_data_same(codec_data_of(a, "downlink"), codec_data_of(b, "downlink")) &&
           pol_webrtc_same(&a->webrtc, &b->webrtc);
}

/* Preliminary or of several dialogues before, no longer so now: the PCRF must hear that of each component. */
static bool settled(const struct epc_service_info *prev, const struct epc_service_info *next)
{
    return prev && ((prev->preliminary && !next->preliminary) ||
                    (prev->several_dialogues && !next->several_dialogues));
}

static enum epc_err add_component(struct epc_service_info *d, const struct epc_media_component *c, bool told)
{
    struct epc_media_component *to = &d->component[d->n_components];
    enum epc_err err = pol_component_copy(c, to);
    if (err != EPC_OK)
        return err;
    d->n_components++;
    size_t n = 0;
    for (size_t i = 0; i < c->n_flows; i++) /* never told: nothing to remove */
        if (told || c->flow[i].status != EPC_FLOW_REMOVED)
            to->flow[n++] = c->flow[i];
    to->n_flows = n;
    return EPC_OK;
}

static enum epc_err add_changed(const struct epc_service_info *prev, const struct epc_service_info *next,
                                bool all, struct epc_service_info *d)
{
    enum epc_err err = EPC_OK;
    for (size_t i = 0; err == EPC_OK && i < next->n_components; i++) {
        const struct epc_media_component *c = &next->component[i], *old = pol_find(prev, c->number);
        if (old && old->status == EPC_FLOW_REMOVED)
            old = NULL;
        bool gone = c->status == EPC_FLOW_REMOVED;
        if (gone ? !old : old && !all && same_component(old, c))
            continue;
        err = add_component(d, c, old != NULL);
    }
    return err;
}

static void add_removed(const struct epc_service_info *prev, const struct epc_service_info *next,
                        struct epc_service_info *d)
{
    for (size_t i = 0; prev && i < prev->n_components; i++) {
        const struct epc_media_component *old = &prev->component[i];
        if (old->number == 0 || old->status == EPC_FLOW_REMOVED || pol_find(next, old->number))
            continue;
        d->component[d->n_components] = pol_component_of(old->number, old->type);
        d->component[d->n_components++].status = EPC_FLOW_REMOVED;
    }
}

enum epc_err epc_service_info_diff(const struct epc_service_info *prev, const struct epc_service_info *next,
                                   struct epc_service_info **delta)
{
    struct epc_service_info *d = pol_info_new(next->n_components + (prev ? prev->n_components : 0));
    if (!d)
        return EPC_ENOMEM;
    d->preliminary = next->preliminary;
    d->signalling = next->signalling;
    d->several_dialogues = next->several_dialogues;
    d->ends_silently = next->ends_silently;
    d->webrtc = next->webrtc;
    d->why = next->why ? strdup(next->why) : NULL;
    enum epc_err err = next->why && !d->why ? EPC_ENOMEM : EPC_OK;
    if (err == EPC_OK)
        err = add_changed(prev, next, settled(prev, next), d);
    if (err != EPC_OK) {
        epc_service_info_free(d);
        return err;
    }
    if (!next->ends_silently)
        add_removed(prev, next, d);
    *delta = d;
    return EPC_OK;
}
