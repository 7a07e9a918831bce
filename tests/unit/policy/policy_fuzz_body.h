/* One derivation from two texts, checked; shared by the property test and the fuzz target. */
#ifndef POLICY_FUZZ_BODY_H
#define POLICY_FUZZ_BODY_H

#include "filter_grammar.h"

static inline bool same_info(const struct epc_service_info *a, const struct epc_service_info *b)
{
    struct epc_service_info *d = NULL;
    MUST(epc_service_info_diff(a, b, &d) == EPC_OK);
    bool same = d->n_components == 0;
    epc_service_info_free(d);
    return same;
}

/* Shaping is stable, and what a profile does not bear is gone. */
static inline void check_shapes(const struct epc_service_info *full, bool webrtc)
{
    static const char *const names[] = {"3gpp", "open5gs"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(names); i++) {
        const struct epc_cfg_policy_profile *p = epc_policy_profile(NULL, names[i]);
        struct epc_service_info *a = NULL, *b = NULL;
        unsigned seen = 0;
        MUST(epc_policy_shape(full, p, webrtc, &a) == EPC_OK && epc_policy_shape(a, p, webrtc, &b) == EPC_OK);
        MUST(same_info(a, a) && same_info(a, b));
        grammar_info(a);
        for (size_t k = 0; k < a->n_components; k++) {
            const struct epc_media_component *c = &a->component[k];
            MUST(webrtc || !c->webrtc.given);
            if (i == 0)
                continue;
            MUST(c->type == EPC_MEDIA_AUDIO || c->type == EPC_MEDIA_VIDEO || c->type == EPC_MEDIA_CONTROL);
            MUST(c->status != EPC_FLOW_REMOVED && !(seen >> c->type & 1));
            seen |= 1u << c->type;
        }
        epc_service_info_free(a);
        epc_service_info_free(b);
    }
}

/* One flow, one component (TS 29.214 5.3.16). */
static inline void check_flows_differ(const struct epc_service_info *s)
{
    for (size_t i = 0; i < s->n_components; i++)
        for (size_t k = 0; k < i; k++)
            MUST(s->component[i].n_flows == 0 || s->component[k].n_flows == 0 ||
                 !s->component[i].flow[0].uplink[0] ||
                 strcmp(s->component[i].flow[0].uplink, s->component[k].flow[0].uplink) != 0);
}

/* What was told, with the difference laid over it, is what there is. */
static inline void check_merge(const struct epc_service_info *told, const struct epc_service_info *next)
{
    struct epc_service_info *all = NULL, *delta = NULL;
    MUST(epc_service_info_merge(&all, told) == EPC_OK);
    MUST(epc_service_info_diff(told, next, &delta) == EPC_OK);
    grammar_info(delta);
    MUST(epc_service_info_merge(&all, delta) == EPC_OK);
    MUST(same_info(all, next));
    epc_service_info_free(all);
    epc_service_info_free(delta);
}

static inline void policy_round(struct epc_str up_text, struct epc_str down_text, unsigned bits)
{
    static char *turn[] = {(char *)"192.0.2.99:443/tcp", (char *)"127.0.0.1"};
    static struct epc_cfg_codec_bw codec[] = {{(char *)"opus", 48000}, {(char *)"VP8", 900000}};
    static const char *const ues[] = {"127.0.0.1", "10.45.0.2", "2001:db8::2", "0.0.0.0"};
    unsigned more = (unsigned)(up_text.n * 31 + down_text.n); /* choices that no octet makes */
    struct epc_cfg_policy cfg = {.audio_bw_bps = 80000, .video_bw_bps = 1500000, .data_bw_bps = 500000,
                                 .rtcp_percent = 5, .red_percent = more & 1 ? 300 : 0, .privacy = more & 2,
                                 .bundle = (enum epc_bundle)(more % 3), .codec_bw = codec,
                                 .n_codec_bw = more & 4 ? 2 : 0,
                                 .turn_servers = turn, .n_turn_servers = bits & 1 ? 2 : 0};
    struct epc_policy_gateway gateway = {.n_media = 2, .ice_generation = more & 3};
    struct epc_sdp *up = NULL, *down = NULL;
    struct epc_addr ue, learned[2] = {{.len = 0}};
    struct epc_service_info *first = NULL, *second = NULL, *quiet = NULL;
    if (epc_sdp_parse(&up, up_text, NULL) != EPC_OK)
        up = NULL;
    if (epc_sdp_parse(&down, down_text, NULL) != EPC_OK)
        down = NULL;
    MUST(epc_addr_parse(&ue, ues[(bits >> 1) & 3], 443) == EPC_OK);
    if (bits & 8)
        MUST(epc_addr_parse(&learned[0], ues[(bits >> 4) & 3], (uint16_t)(bits & 64 ? 54321 : 9)) == EPC_OK);
    struct epc_policy_input in = {.uplink = up, .downlink = down, .uplink_is_offer = (bits & 128) != 0,
                                  .ue = &ue, .learned = learned, .n_learned = 2, .cfg = &cfg, .explain = true,
                                  .gateway = more & 8 ? &gateway : NULL};
    enum epc_err err = epc_policy_service_info(&in, &first);
    MUST(err == (up || down ? EPC_OK : EPC_EINVAL));
    if (first) {
        MUST(first->why != NULL);
        grammar_info(first);
        check_shapes(first, more & 16);
        if (cfg.bundle != EPC_BUNDLE_SPLIT)
            check_flows_differ(first);
        in.explain = false;
        MUST(epc_policy_service_info(&in, &quiet) == EPC_OK);
        MUST(!quiet->why && same_info(first, quiet)); /* words change nothing */
        in.previous = first; /* the same dialogue again adds nothing */
        in.several_dialogues = true;
        epc_service_info_free(quiet);
        quiet = NULL;
        MUST(epc_policy_service_info(&in, &quiet) == EPC_OK);
        MUST(same_info(first, quiet));
        in.downlink = up; /* any other SDP will do */
        in.uplink = down;
        in.several_dialogues = more & 32;
        MUST(epc_policy_service_info(&in, &second) == EPC_OK);
        grammar_info(second);
        check_shapes(second, more & 16);
        check_merge(first, second);
    }
    epc_service_info_free(first);
    epc_service_info_free(second);
    epc_service_info_free(quiet);
    epc_sdp_free(up);
    epc_sdp_free(down);
}

#endif
