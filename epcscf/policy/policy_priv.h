/* Private to policy/: what the steps of a derivation share. */
#ifndef EPC_POLICY_PRIV_H
#define EPC_POLICY_PRIV_H

#include "policy/policy.h"

/** One m-line on the access leg: as it came from the UE, and as it was sent to it (NULL: not known). */
struct pol_line {
    const struct epc_sdp_media *up, *down;
    const struct epc_addr *learned; /* NULL: the gateway has not told */
};

/** Fill uplink and downlink of @p f for RTP (@p rtcp false) or for RTCP on a port of its own.
 *  TS 29.214 5.3.8. */
void pol_filters(const struct epc_policy_input *in, const struct pol_line *l, bool rtcp,
                 struct epc_media_flow *f);
/** UE-side port of the flow; 0 = not known. */
uint16_t pol_ue_port(const struct epc_policy_input *in, const struct pol_line *l, bool rtcp);
enum epc_err pol_component_copy(const struct epc_media_component *from, struct epc_media_component *to)
    EPC_MUST_CHECK;
/** Codec-Data text (TS 29.214 5.3.7), gives; NULL when out of memory. */
char *pol_codec_data(const struct epc_sdp_media *m, bool uplink, bool is_offer);
/** Same codecs and parameters? Who offered does not matter. */
bool pol_codec_data_same(const char *a, const char *b);

#endif
