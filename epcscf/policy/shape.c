/* Copies of service information: laid over each other, and brought into the form that a PCRF bears. */
#include "policy/policy_priv.h"

#include <stdlib.h>
#include <string.h>

void pol_component_clear(struct epc_media_component *c)
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
        pol_component_clear(&c);
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
    pol_component_clear(c);
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
        pol_component_clear(have);
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
    to->ends_silently = from->ends_silently;
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

struct shaping {
    const struct epc_cfg_policy_profile *profile;
    bool webrtc;
    struct epc_service_info *to;
    struct epc_buf *why;          /* NULL: nobody asks */
};

static void why(const struct shaping *sh, unsigned number, const char *what, const char *key)
{
    if (sh->why)
        epc_buf_printf(sh->why, "%u %s <- profile %s: %s\n", number, what, sh->profile->name, key);
}

static bool bears(const struct epc_cfg_policy_profile *p, enum epc_media_type type)
{
    unsigned bit = type == EPC_MEDIA_OTHER ? 31u : (unsigned)type;
    return bit < 32 && p->media_types >> bit & 1;
}

static bool omits(const struct shaping *sh, unsigned number, const char *avp)
{
    for (size_t i = 0; i < sh->profile->n_omit; i++)
        if (strcmp(sh->profile->omit[i], avp) == 0) {
            if (sh->why)
                epc_buf_printf(sh->why, "%u %s left out <- profile %s: omit\n", number, avp, sh->profile->name);
            return true;
        }
    return false;
}

/* A further component of the same type. A component's bandwidth is for each of its flows (TS 29.214
 * 5.3.16), so with a flow more the greater one holds for both. */
static void join(const struct shaping *sh, struct epc_media_component *into, const struct epc_media_component *c)
{
    const struct epc_media_flow *f = NULL;
    for (size_t i = 0; i < c->n_flows && !f; i++)
        if (c->flow[i].usage == EPC_USAGE_NONE && c->flow[i].status != EPC_FLOW_REMOVED)
            f = &c->flow[i];
    if (f && into->n_flows && sh->profile->one_filter_per_direction) {
        why(sh, c->number, "left out", "merge_same_type, one_filter_per_direction");
        return;
    }
    if (f && into->n_flows == EPC_ARRAY_LEN(into->flow)) {
        why(sh, c->number, "left out", "merge_same_type, and no room for a flow more");
        return;
    }
    why(sh, c->number, "is part of the component of its type before it", "merge_same_type");
    if (!f)
        return;
    struct epc_media_flow *to = &into->flow[into->n_flows];
    *to = *f;
    to->number = 1;
    for (size_t k = 0; k < into->n_flows; k++)
        if (into->flow[k].number >= to->number)
            to->number = into->flow[k].number + 1;
    into->n_flows++;
    if (c->max_ul_bps > into->max_ul_bps)
        into->max_ul_bps = c->max_ul_bps;
    if (c->max_dl_bps > into->max_dl_bps)
        into->max_dl_bps = c->max_dl_bps;
}

static void trim_flows(const struct shaping *sh, struct epc_media_component *c)
{
    bool filters = !omits(sh, c->number, "Flow-Description"), usage = !omits(sh, c->number, "Flow-Usage");
    bool status = !omits(sh, c->number, "Flow-Status");
    size_t n = 0;
    if (omits(sh, c->number, "Media-Sub-Component"))
        c->n_flows = 0;
    for (size_t i = 0; i < c->n_flows; i++) {
        struct epc_media_flow f = c->flow[i];
        if (f.status == EPC_FLOW_REMOVED && !sh->profile->removed)
            continue;
        if (!filters)
            f.uplink[0] = f.downlink[0] = 0;
        if (!usage)
            f.usage = EPC_USAGE_NONE;
        if (!status && f.status != EPC_FLOW_REMOVED)
            f.status = EPC_FLOW_STATUS_NONE;
        c->flow[n++] = f;
    }
    c->n_flows = n;
    if (!status && c->status != EPC_FLOW_REMOVED)
        c->status = EPC_FLOW_STATUS_NONE;
}

static void trim(const struct shaping *sh, struct epc_media_component *c)
{
    if (!sh->profile->codec_data)
        why(sh, c->number, "Codec-Data left out", "codec_data");
    if (!sh->profile->codec_data || omits(sh, c->number, "Codec-Data"))
        pol_component_clear(c);
    if (omits(sh, c->number, "Max-Requested-Bandwidth-UL"))
        c->max_ul_bps = -1;
    if (omits(sh, c->number, "Max-Requested-Bandwidth-DL"))
        c->max_dl_bps = -1;
    if (omits(sh, c->number, "RR-Bandwidth"))
        c->rr_bps = -1;
    if (omits(sh, c->number, "RS-Bandwidth"))
        c->rs_bps = -1;
    trim_flows(sh, c);
    if (!sh->webrtc)
        c->webrtc = (struct epc_webrtc_media){.ice_state = EPC_ICE_UNKNOWN, .dtls_role = -1};
}

/* Shares another component's flow and has nothing of its own to tell of. */
static bool bundle_member(const struct epc_media_component *c)
{
    return c->n_flows == 0 && c->webrtc.bundle_tag && c->webrtc.bundle_tag != c->number;
}

static enum epc_err shape_one(const struct shaping *sh, const struct epc_media_component *c)
{
    const struct epc_cfg_policy_profile *p = sh->profile;
    if (!bears(p, c->type)) {
        why(sh, c->number, "left out", "media_types");
        return EPC_OK;
    }
    if (c->status == EPC_FLOW_REMOVED && !p->removed) {
        why(sh, c->number, "left out", "removed");
        return EPC_OK;
    }
    if (p->merge_same_type && bundle_member(c)) {
        why(sh, c->number, "left out", "merge_same_type, on another component's flow");
        return EPC_OK;
    }
    for (size_t i = 0; p->merge_same_type && c->status != EPC_FLOW_REMOVED && i < sh->to->n_components; i++) {
        struct epc_media_component *first = &sh->to->component[i];
        if (first->type != c->type || first->status == EPC_FLOW_REMOVED)
            continue;
        join(sh, first, c);
        return EPC_OK;
    }
    return append(sh->to, c);
}

/* Without the lines on what is not sent. */
static void put_why(const char *text, bool webrtc, struct epc_buf *out)
{
    for (struct epc_str rest = epc_str_c(text); rest.p && rest.n;) {
        struct epc_str line = epc_str_cut(&rest, '\n'), word = line;
        epc_str_cut(&word, ' ');
        if (webrtc || !word.p || !epc_str_starts(word, "WebRTC "))
            epc_buf_printf(out, "%.*s\n", EPC_STR_ARG(line));
    }
}

static enum epc_err shape_all(const struct shaping *sh, const struct epc_service_info *full)
{
    enum epc_err e = EPC_OK;
    for (size_t i = 0; !e && i < full->n_components; i++)
        e = shape_one(sh, &full->component[i]);
    for (size_t i = 0; !e && i < sh->to->n_components; i++)
        trim(sh, &sh->to->component[i]);
    if (e || !sh->why)
        return e;
    free(sh->to->why);
    sh->to->why = epc_buf_take(sh->why, NULL);
    return sh->to->why ? EPC_OK : EPC_ENOMEM;
}

enum epc_err epc_policy_shape(const struct epc_service_info *full, const struct epc_cfg_policy_profile *profile,
                              bool webrtc, struct epc_service_info **out)
{
    struct epc_buf text = {0};
    struct shaping sh = {.profile = profile ? profile : epc_policy_profile(NULL, NULL), .webrtc = webrtc,
                         .to = calloc(1, sizeof *sh.to), .why = full->why ? &text : NULL};
    if (!sh.to)
        return EPC_ENOMEM;
    enum epc_err e = copy_session(sh.to, full);
    sh.to->ends_silently = !sh.profile->removed;
    if (!webrtc)
        sh.to->webrtc = (struct epc_webrtc_session){.ice_mode = -1};
    if (sh.why)
        put_why(full->why, webrtc, sh.why);
    if (!e)
        e = shape_all(&sh, full);
    if (e) {
        epc_buf_free(&text);
        epc_service_info_free(sh.to);
        return e;
    }
    *out = sh.to;
    return EPC_OK;
}
