/* SDP of the access leg to service information (TS 29.213 6.2, TS 29.214 Annexes A and B): the whole,
 * what the m-lines share, and what other early dialogues and earlier exchanges add. */
#include "policy/policy_priv.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* ---- objects ------------------------------------------------------------------------------------------- */

void epc_service_info_free(struct epc_service_info *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_components; i++)
        pol_component_clear(&s->component[i]);
    free(s->component);
    free(s->why);
    free(s);
}

struct epc_service_info *pol_info_new(size_t most)
{
    struct epc_service_info *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->webrtc.ice_mode = -1;
    s->component = calloc(most ? most : 1, sizeof *s->component);
    if (!s->component) {
        free(s);
        return NULL;
    }
    return s;
}

struct epc_media_component pol_component_of(unsigned number, enum epc_media_type type)
{
    return (struct epc_media_component){
        .number = number, .type = type, .status = EPC_FLOW_STATUS_NONE,
        .max_ul_bps = -1, .max_dl_bps = -1, .rr_bps = -1, .rs_bps = -1,
        .webrtc = {.ice_state = EPC_ICE_UNKNOWN, .dtls_role = -1},
    };
}

const struct epc_media_component *pol_find(const struct epc_service_info *s, unsigned number)
{
    for (size_t i = 0; s && i < s->n_components; i++)
        if (s->component[i].number == number)
            return &s->component[i];
    return NULL;
}

/* ---- the lines ------------------------------------------------------------------------------------------- */

/* An IPv4 address that came over an IPv6 socket is an IPv4 address. */
static struct epc_addr plain(const struct epc_addr *a)
{
    struct epc_addr v4 = {.len = sizeof(struct sockaddr_in)};
    const struct sockaddr_in6 *in6 = (const void *)&a->ss;
    if (!a->len || a->ss.ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
        return *a;
    struct sockaddr_in *in4 = (void *)&v4.ss;
    in4->sin_family = AF_INET;
    in4->sin_port = in6->sin6_port;
    memcpy(&in4->sin_addr, &in6->sin6_addr.s6_addr[12], 4);
    return v4;
}

static struct pol_line line_of(const struct epc_policy_input *in, size_t i, struct epc_buf *why)
{
    struct pol_line l = {.number = (unsigned)i + 1, .why = why};
    if (in->ue)
        l.ue = plain(in->ue);
    if (in->uplink && i < in->uplink->n_media)
        l.up = &in->uplink->media[i];
    if (in->downlink && i < in->downlink->n_media)
        l.down = &in->downlink->media[i];
    if (in->uplink && in->downlink)
        l.answer = in->uplink_is_offer ? l.down : l.up;
    if (in->learned && i < in->n_learned && in->learned[i].len)
        l.learned = &in->learned[i];
    return l;
}

static bool is_off(const struct pol_line *l)
{
    if (!l->up && !l->down)
        return true;
    if (l->tag) /* the offer of a=bundle-only has port 0, the answer decides */
        return l->answer->port == 0;
    return (l->up && l->up->port == 0) || (l->down && l->down->port == 0);
}

/* ---- BUNDLE (RFC 9143): one transport, told once (TS 29.214 5.3.16) ----------------------------------------- */

static unsigned number_of_mid(const struct epc_sdp *sdp, struct epc_str mid)
{
    for (size_t i = 0; mid.n && i < sdp->n_media; i++)
        if (epc_str_eq(sdp->media[i].mid, mid))
            return (unsigned)i + 1;
    return 0;
}

/* The group's m-line whose transport the others use: the first one that the answer did not refuse. */
static unsigned tag_of(const struct epc_sdp *answer, unsigned number)
{
    for (size_t i = 0; i < answer->n_attr; i++) {
        struct epc_str v = epc_str_trim(answer->attr[i].value);
        unsigned tag = 0;
        bool member = false;
        if (!epc_str_eqc(answer->attr[i].name, "group") || !epc_str_eqc(epc_str_cut(&v, ' '), "BUNDLE"))
            continue;
        while (v.p) {
            unsigned k = number_of_mid(answer, epc_str_cut(&v, ' '));
            if (k && !tag && answer->media[k - 1].port)
                tag = k;
            member = member || k == number;
        }
        if (member)
            return tag;
    }
    return 0;
}

static void set_bundle(const struct epc_policy_input *in, struct pol_line *lines, size_t n)
{
    const struct epc_sdp *answer = in->uplink_is_offer ? in->downlink : in->uplink;
    if (in->cfg->bundle == EPC_BUNDLE_REFUSE || !in->uplink || !in->downlink)
        return;
    for (size_t i = 0; i < n; i++) {
        struct pol_line *l = &lines[i];
        if (!l->up || !l->down || !l->up->bundled || !l->down->bundled || l->answer->port == 0)
            continue;
        l->tag = tag_of(answer, l->number);
        if (l->tag > n)
            l->tag = 0;
        if (l->tag && l->tag != l->number)
            l->transport = &lines[l->tag - 1];
        if (l->transport && !l->learned)
            l->learned = l->transport->learned;
    }
}

static int64_t sum(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 ? a : a + b;
}

/* Audio and video on one flow get one QCI: video's, and the bandwidth of all. */
static void share_flow(const struct pol_line *l, const struct pol_line *t, const char *fact,
                       struct epc_media_component *c, struct epc_media_component *tag)
{
    tag->max_ul_bps = sum(tag->max_ul_bps, c->max_ul_bps);
    tag->max_dl_bps = sum(tag->max_dl_bps, c->max_dl_bps);
    if (c->type == EPC_MEDIA_VIDEO)
        tag->type = EPC_MEDIA_VIDEO;
    else if (c->type == EPC_MEDIA_AUDIO && tag->type != EPC_MEDIA_VIDEO)
        tag->type = EPC_MEDIA_AUDIO;
    pol_why(t, "Media-Type=%s Max-Requested-Bandwidth-UL=%" PRId64 " Max-Requested-Bandwidth-DL=%" PRId64
               " <- with component %u on its flow, %s (TS 29.214 5.3.16)",
            pol_media_type_name(tag->type), tag->max_ul_bps, tag->max_dl_bps, c->number, fact);
    pol_why(l, "Max-Requested-Bandwidth left out <- part of component %u's (TS 29.214 5.3.16)", t->number);
    if (c->n_flows)
        pol_why(l, "Media-Sub-Component left out <- on the flow of component %u, %s (TS 29.214 5.3.16)", t->number,
                fact);
    c->max_ul_bps = c->max_dl_bps = -1;
    c->n_flows = 0;
}

static bool same_uplink(const struct epc_media_component *a, const struct epc_media_component *b)
{
    return a->n_flows && b->n_flows && a->flow[0].uplink[0] && strcmp(a->flow[0].uplink, b->flow[0].uplink) == 0;
}

/* One flow, one component: members of a BUNDLE group, and media whose filters are the same all the same,
 * such as all that goes through one TURN server. */
static void merge_flows(struct epc_service_info *s, const struct pol_line *lines)
{
    for (size_t i = 0; i < s->n_components; i++) {
        struct epc_media_component *c = &s->component[i], *tag = NULL;
        const struct pol_line *l = &lines[c->number - 1];
        const char *fact = "policy.bundle=merge";
        for (size_t k = 0; k < s->n_components && l->transport; k++)
            if (s->component[k].number == l->tag)
                tag = &s->component[k];
        for (size_t k = 0; k < i && !tag; k++)
            if (same_uplink(&s->component[k], c)) {
                tag = &s->component[k];
                fact = "with the same filter";
            }
        if (tag && tag != c)
            share_flow(l, &lines[tag->number - 1], fact, c, tag);
    }
}

/* ---- other dialogues, earlier exchanges ------------------------------------------------------------------ */

/* Early dialogues of one INVITE share the Rx session: the greatest bandwidth, and a gate that is open for
 * all of them. Filters are those of the latest; the PCRF joins them (TS 29.214 Annex A, SIP forking). */
static void join_dialogue(const struct pol_line *l, const struct epc_media_component *old,
                          struct epc_media_component *c)
{
    int64_t ul = c->max_ul_bps, dl = c->max_dl_bps;
    if (ul >= 0 && old->max_ul_bps > ul) /* none of its own: part of another component's */
        c->max_ul_bps = old->max_ul_bps;
    if (dl >= 0 && old->max_dl_bps > dl)
        c->max_dl_bps = old->max_dl_bps;
    if (c->max_ul_bps != ul || c->max_dl_bps != dl)
        pol_why(l, "Max-Requested-Bandwidth-UL=%" PRId64 " Max-Requested-Bandwidth-DL=%" PRId64
                   " <- the greatest of the early dialogues (TS 29.214 Annex A)", c->max_ul_bps, c->max_dl_bps);
    if (old->status == c->status || old->status == EPC_FLOW_STATUS_NONE || old->status == EPC_FLOW_DISABLED)
        return;
    c->status = c->status == EPC_FLOW_DISABLED ? old->status : EPC_FLOW_ENABLED;
    pol_why(l, "Flow-Status=%s <- open for each of the early dialogues (TS 29.214 Annex A)",
            pol_flow_status_name(c->status));
}

static void join_dialogues(const struct epc_policy_input *in, const struct pol_line *lines,
                           struct epc_service_info *s)
{
    for (size_t i = 0; in->several_dialogues && i < s->n_components; i++) {
        struct epc_media_component *c = &s->component[i];
        const struct epc_media_component *old = pol_find(in->previous, c->number);
        if (old && old->status != EPC_FLOW_REMOVED)
            join_dialogue(&lines[c->number - 1], old, c);
    }
}

/* What was told before and runs no more: removed, unless another early dialogue has it. Never told:
 * nothing to remove. */
static enum epc_err add_gone(const struct epc_policy_input *in, struct epc_service_info *s, struct epc_buf *why)
{
    enum epc_err err = EPC_OK;
    for (size_t i = 0; err == EPC_OK && in->previous && i < in->previous->n_components; i++) {
        const struct epc_media_component *old = &in->previous->component[i];
        struct pol_line l = {.number = old->number, .why = why};
        if (old->number == 0 || pol_find(s, old->number))
            continue;
        struct epc_media_component *c = &s->component[s->n_components];
        if (in->several_dialogues && old->status != EPC_FLOW_REMOVED) {
            err = pol_component_copy(old, c);
            pol_why(&l, "Media-Component-Number=%u as before <- of another early dialogue (TS 29.214 Annex A)",
                    old->number);
        } else {
            *c = pol_component_of(old->number, old->type);
            c->status = EPC_FLOW_REMOVED;
            pol_why(&l, "Flow-Status=REMOVED <- m-line %u with port 0, or no longer there (TS 29.214 5.3.11)",
                    old->number);
        }
        if (err == EPC_OK)
            s->n_components++;
    }
    return err;
}

static enum epc_err add_lines(const struct epc_policy_input *in, struct pol_line *lines, size_t n,
                              struct epc_service_info *s)
{
    enum epc_err err = EPC_OK;
    for (size_t i = 0; err == EPC_OK && i < n; i++) {
        const struct epc_media_component *before = pol_find(in->previous, lines[i].number);
        struct epc_media_component *c = &s->component[s->n_components];
        if (is_off(&lines[i]))
            continue;
        if (before && before->status == EPC_FLOW_REMOVED)
            before = NULL;
        s->n_components++;
        err = pol_component(in, &lines[i], before, c);
    }
    return err;
}

/* ---- the whole -------------------------------------------------------------------------------------------- */

static void of_session(const struct epc_policy_input *in, struct epc_service_info *s, struct epc_buf *why)
{
    s->preliminary = !in->uplink || !in->downlink;
    s->several_dialogues = in->several_dialogues;
    if (in->gateway)
        s->webrtc = in->gateway->session;
    if (!why)
        return;
    epc_buf_printf(why, "- Service-Info-Status=%s <- %s (TS 29.214 A.1)\n", s->preliminary ? "PRELIMINARY" : "FINAL",
                   s->preliminary ? "offer alone" : "offer and answer");
    if (s->several_dialogues)
        epc_buf_printf(why, "- SIP-Forking-Indication=SEVERAL_DIALOGUES <- early dialogues share the session "
                            "(TS 29.214 Annex A)\n");
}

enum epc_err epc_policy_service_info(const struct epc_policy_input *in, struct epc_service_info **out)
{
    struct pol_line lines[EPC_SDP_MAX_MEDIA];
    struct epc_buf text = {0}, *why = in->explain ? &text : NULL;
    if (!in->cfg || (!in->uplink && !in->downlink))
        return EPC_EINVAL;
    size_t up = in->uplink ? in->uplink->n_media : 0, down = in->downlink ? in->downlink->n_media : 0;
    size_t n = up > down ? up : down, before = in->previous ? in->previous->n_components : 0;
    if (n > EPC_SDP_MAX_MEDIA)
        return EPC_EINVAL;
    struct epc_service_info *s = pol_info_new(n + before);
    if (!s)
        return EPC_ENOMEM;
    of_session(in, s, why);
    for (size_t i = 0; i < n; i++)
        lines[i] = line_of(in, i, why);
    set_bundle(in, lines, n);
    enum epc_err err = add_lines(in, lines, n, s);
    if (err == EPC_OK && in->cfg->bundle != EPC_BUNDLE_SPLIT)
        merge_flows(s, lines);
    if (err == EPC_OK)
        join_dialogues(in, lines, s);
    if (err == EPC_OK)
        err = add_gone(in, s, why);
    if (err == EPC_OK && why) {
        s->why = epc_buf_take(why, NULL);
        err = s->why ? EPC_OK : EPC_ENOMEM;
    }
    if (err != EPC_OK) {
        epc_buf_free(&text);
        epc_service_info_free(s);
        return err;
    }
    *out = s;
    return EPC_OK;
}

enum epc_err epc_policy_signalling_info(struct epc_service_info **out)
{
    struct epc_service_info *s = pol_info_new(1);
    if (!s)
        return EPC_ENOMEM;
    s->signalling = true;
    s->n_components = 1;
    s->component[0] = pol_component_of(0, EPC_MEDIA_CONTROL);
    s->component[0].n_flows = 1;
    s->component[0].flow[0] = (struct epc_media_flow){
        .usage = EPC_USAGE_AF_SIGNALLING, .status = EPC_FLOW_STATUS_NONE};
    *out = s;
    return EPC_OK;
}
