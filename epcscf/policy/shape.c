/* Copies of service information: laid over each other, and brought into the form that a PCRF bears. */
#include "policy/policy_priv.h"

#include <stdlib.h>
#include <string.h>

static void component_clear(struct epc_media_component *c)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(c->codec_data); i++) {
        free(c->codec_data[i]);
        c->codec_data[i] = NULL;
    }
}

enum epc_err pol_component_copy(const struct epc_media_component *from, struct epc_media_component *to)
{
    struct epc_media_component c = *from;
    bool ok = true;
    for (size_t i = 0; i < EPC_ARRAY_LEN(c.codec_data); i++) {
        c.codec_data[i] = from->codec_data[i] ? strdup(from->codec_data[i]) : NULL;
        ok = ok && (c.codec_data[i] || !from->codec_data[i]);
    }
    if (!ok) {
        component_clear(&c);
        return EPC_ENOMEM;
    }
    *to = c;
    return EPC_OK;
}

/* ---- merge ------------------------------------------------------------------------------------------- */

static struct epc_media_component *find(struct epc_service_info *s, unsigned number)
{
    for (size_t i = 0; i < s->n_components; i++)
        if (s->component[i].number == number)
            return &s->component[i];
    return NULL;
}

static void take_out(struct epc_service_info *s, struct epc_media_component *c)
{
    component_clear(c);
    size_t behind = s->n_components - (size_t)(c - s->component) - 1;
    memmove(c, c + 1, behind * sizeof *c);
    s->n_components--;
}

static enum epc_err append(struct epc_service_info *s, const struct epc_media_component *c)
{
    struct epc_media_component *more = realloc(s->component, (s->n_components + 1) * sizeof *more);
    if (!more)
        return EPC_ENOMEM;
    s->component = more;
    enum epc_err e = pol_component_copy(c, &more[s->n_components]);
    if (e == EPC_OK)
        s->n_components++;
    return e;
}

static enum epc_err merge_one(struct epc_service_info *s, const struct epc_media_component *c)
{
    struct epc_media_component copy, *have = find(s, c->number);
    if (c->status == EPC_FLOW_REMOVED) {
        if (have)
            take_out(s, have);
        return EPC_OK;
    }
    if (!have)
        return append(s, c);
    enum epc_err e = pol_component_copy(c, &copy);
    if (e == EPC_OK) {
        component_clear(have);
        *have = copy;
    }
    return e;
}

/* What belongs to the whole, not to a component. */
static enum epc_err copy_session(struct epc_service_info *to, const struct epc_service_info *from)
{
    char *why = from->why ? strdup(from->why) : NULL;
    if (from->why && !why)
        return EPC_ENOMEM;
    free(to->why);
    to->why = why;
    to->preliminary = from->preliminary;
    to->signalling = from->signalling;
    to->several_dialogues = from->several_dialogues;
    to->webrtc = from->webrtc;
    return EPC_OK;
}

enum epc_err epc_service_info_merge(struct epc_service_info **current, const struct epc_service_info *delta)
{
    struct epc_service_info *s = *current ? *current : calloc(1, sizeof *s);
    if (!s)
        return EPC_ENOMEM;
    enum epc_err e = copy_session(s, delta);
    for (size_t i = 0; !e && i < delta->n_components; i++)
        e = merge_one(s, &delta->component[i]);
    if (e && !*current)
        epc_service_info_free(s);
    else
        *current = s;
    return e;
}

/* ---- shape ------------------------------------------------------------------------------------------- */

static bool bears(const struct epc_cfg_policy_profile *p, enum epc_media_type type)
{
    unsigned bit = type == EPC_MEDIA_OTHER ? 31u : (unsigned)type;
    return bit < 32 && p->media_types >> bit & 1;
}

static bool omits(const struct epc_cfg_policy_profile *p, const char *avp)
{
    for (size_t i = 0; i < p->n_omit; i++)
        if (strcmp(p->omit[i], avp) == 0)
            return true;
    return false;
}

static int64_t sum(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 ? a : a + b;
}

/* A second component of the same type: its bandwidth joins the first one's. Its flows cannot all be
 * described, for a component has at most two sub-components here: they join where there is room. */
static void join(struct epc_media_component *into, const struct epc_media_component *c)
{
    into->max_ul_bps = sum(into->max_ul_bps, c->max_ul_bps);
    into->max_dl_bps = sum(into->max_dl_bps, c->max_dl_bps);
    for (size_t i = 0; i < c->n_flows && into->n_flows < EPC_ARRAY_LEN(into->flow); i++) {
        struct epc_media_flow f = c->flow[i];
        if (f.usage == EPC_USAGE_RTCP)
            continue;
        f.number = (unsigned)into->n_flows + 1;
        for (size_t k = 0; k < into->n_flows; k++)
            if (into->flow[k].number >= f.number)
                f.number = into->flow[k].number + 1;
        into->flow[into->n_flows++] = f;
    }
}

static void trim(struct epc_media_component *c, const struct epc_cfg_policy_profile *p, bool webrtc)
{
    if (!p->codec_data || omits(p, "Codec-Data"))
        component_clear(c);
    if (omits(p, "RR-Bandwidth"))
        c->rr_bps = -1;
    if (omits(p, "RS-Bandwidth"))
        c->rs_bps = -1;
    if (omits(p, "Flow-Status") && c->status != EPC_FLOW_REMOVED)
        c->status = EPC_FLOW_STATUS_NONE;
    if (!webrtc)
        c->webrtc = (struct epc_webrtc_media){0};
}

static enum epc_err shape_one(struct epc_service_info *to, const struct epc_media_component *c,
                              const struct epc_cfg_policy_profile *p, bool webrtc)
{
    if (!bears(p, c->type) || (c->status == EPC_FLOW_REMOVED && !p->removed))
        return EPC_OK;
    for (size_t i = 0; p->merge_same_type && i < to->n_components; i++)
        if (to->component[i].type == c->type && c->status != EPC_FLOW_REMOVED) {
            join(&to->component[i], c);
            return EPC_OK;
        }
    enum epc_err e = append(to, c);
    if (e == EPC_OK)
        trim(&to->component[to->n_components - 1], p, webrtc);
    return e;
}

enum epc_err epc_policy_shape(const struct epc_service_info *full, const struct epc_cfg_policy_profile *profile,
                              bool webrtc, struct epc_service_info **out)
{
    const struct epc_cfg_policy_profile *p = profile ? profile : epc_policy_profile(NULL, NULL);
    struct epc_service_info *s = calloc(1, sizeof *s);
    if (!s)
        return EPC_ENOMEM;
    enum epc_err e = copy_session(s, full);
    if (!webrtc)
        s->webrtc = (struct epc_webrtc_session){.ice_mode = -1};
    for (size_t i = 0; !e && i < full->n_components; i++)
        e = shape_one(s, &full->component[i], p, webrtc);
    if (e) {
        epc_service_info_free(s);
        return e;
    }
    *out = s;
    return EPC_OK;
}
