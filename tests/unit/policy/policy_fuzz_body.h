/* One derivation from two texts, checked; shared by the property test and the fuzz target. */
#ifndef POLICY_FUZZ_BODY_H
#define POLICY_FUZZ_BODY_H

#include "filter_grammar.h"

static inline void policy_round(struct epc_str up_text, struct epc_str down_text, unsigned bits)
{
    static char *turn[] = {(char *)"192.0.2.99", (char *)"127.0.0.1"};
    struct epc_cfg_policy cfg = {.audio_bw_bps = 80000, .video_bw_bps = 1500000, .data_bw_bps = 500000, .rtcp_percent = 5, .privacy = true,
                                 .turn_servers = turn, .n_turn_servers = bits & 1 ? 2 : 0};
    static const char *const ues[] = {"127.0.0.1", "10.45.0.2", "2001:db8::2", "0.0.0.0"};
    struct epc_sdp *up = NULL, *down = NULL;
    struct epc_addr ue, learned[2] = {{.len = 0}};
    struct epc_service_info *first = NULL, *second = NULL, *delta = NULL;
    if (epc_sdp_parse(&up, up_text, NULL) != EPC_OK)
        up = NULL;
    if (epc_sdp_parse(&down, down_text, NULL) != EPC_OK)
        down = NULL;
    MUST(epc_addr_parse(&ue, ues[(bits >> 1) & 3], 443) == EPC_OK);
    if (bits & 8)
        MUST(epc_addr_parse(&learned[0], ues[(bits >> 4) & 3], (uint16_t)(bits & 64 ? 54321 : 9)) == EPC_OK);
    struct epc_policy_input in = {.uplink = up, .downlink = down, .uplink_is_offer = (bits & 128) != 0,
                                  .ue = &ue, .learned = learned, .n_learned = 2, .cfg = &cfg};
    enum epc_err err = epc_policy_service_info(&in, &first);
    MUST(err == (up || down ? EPC_OK : EPC_EINVAL));
    if (first) {
        grammar_info(first);
        in.previous = first;
        in.downlink = up; /* any other SDP will do */
        in.uplink = down;
        MUST(epc_policy_service_info(&in, &second) == EPC_OK);
        grammar_info(second);
        MUST(epc_service_info_diff(first, second, &delta) == EPC_OK);
        grammar_info(delta);
        MUST(delta->n_components <= second->n_components);
        epc_service_info_free(delta);
        MUST(epc_service_info_diff(second, second, &delta) == EPC_OK && delta->n_components == 0);
    }
    epc_service_info_free(first);
    epc_service_info_free(second);
    epc_service_info_free(delta);
    epc_sdp_free(up);
    epc_sdp_free(down);
}

#endif
