/* Private to policy/: what the steps of a derivation share. */
#ifndef EPC_POLICY_PRIV_H
#define EPC_POLICY_PRIV_H

#include "policy/policy.h"

/** One m-line on the access leg: as it came from the UE, and as it was sent to it (NULL: not known). */
struct pol_line {
    unsigned number;                        /* of the component */
    const struct epc_sdp_media *up, *down;
    const struct epc_sdp_media *answer;     /* the one of them that answers; NULL: there is none yet */
    const struct epc_addr *learned;         /* NULL: the gateway has not told */
    struct epc_addr ue;                     /* in the IP-CAN; len 0: not known */
    unsigned tag;                           /* component whose transport it shares; 0: its own */
    const struct pol_line *transport;       /* the line of that component; NULL: itself */
    struct epc_buf *why;                    /* NULL: nobody asks */
};

/* ---- why.c: a line for each AVP value ------------------------------------------------------------------ */

/** "NUMBER WHAT <- ..." in words; nothing when nobody asks. */
void pol_why(const struct pol_line *l, const char *fmt, ...) EPC_PRINTF(2, 3);
/** "uplink" for what came from the UE, "downlink" for what was sent to it. */
const char *pol_side(const struct pol_line *l, const struct epc_sdp_media *m);
/** @p text fit for a line: printable, not too long. */
enum { POL_SHOWN_LEN = 200 };
const char *pol_shown(struct epc_str text, char out[POL_SHOWN_LEN]);
const char *pol_media_type_name(enum epc_media_type t);
const char *pol_flow_status_name(enum epc_flow_status s);

/* ---- bandwidth.c ------------------------------------------------------------------------------------------- */

/** Max-Requested-Bandwidth of one direction; -1: not sent. @p uplink: of what the UE sends. */
int64_t pol_max_bps(const struct epc_policy_input *in, const struct pol_line *l, bool uplink,
                    enum epc_media_type type, bool mux);
/** The answer's b=RR (@p sender false) or b=RS; -1: none. */
int64_t pol_rtcp_bps(const struct pol_line *l, bool sender);
/** Is that encoding agreed (without an answer: offered)? Case does not count. */
bool pol_has_codec(const struct pol_line *l, const char *name);

/* ---- filter.c -------------------------------------------------------------------------------------------------- */

/** Fill uplink and downlink of @p f for RTP (@p rtcp false) or for RTCP on a port of its own.
 *  TS 29.214 5.3.8. */
void pol_filters(const struct epc_policy_input *in, const struct pol_line *l, bool rtcp,
                 struct epc_media_flow *f);
/** UE-side port of the flow; 0 = not known. */
uint16_t pol_ue_port(const struct pol_line *l, bool rtcp);
/** Does the media run through a TURN server, one of the operator's or another's? */
bool pol_relayed(const struct epc_policy_input *in, const struct pol_line *l);
/** IP protocol number of the m-line's transport: 6 or 17. */
uint8_t pol_protocol(const struct pol_line *l);
/** A literal address with its port; false: a name, or nothing. */
bool pol_literal(struct epc_str text, uint16_t port, struct epc_addr *a);
/** Of a private network, or of a link. */
bool pol_private(const struct epc_addr *a);

/* ---- webrtc.c -------------------------------------------------------------------------------------------------- */

void pol_webrtc(const struct epc_policy_input *in, const struct pol_line *l, struct epc_webrtc_media *w);
bool pol_webrtc_same(const struct epc_webrtc_media *a, const struct epc_webrtc_media *b);

/* ---- the rest ------------------------------------------------------------------------------------------------ */

/** A component of one m-line. @p before: as it was told last, NULL: never. */
enum epc_err pol_component(const struct epc_policy_input *in, const struct pol_line *l,
                           const struct epc_media_component *before, struct epc_media_component *c) EPC_MUST_CHECK;
struct epc_service_info *pol_info_new(size_t most); /* NULL when out of memory */
struct epc_media_component pol_component_of(unsigned number, enum epc_media_type type);
const struct epc_media_component *pol_find(const struct epc_service_info *s, unsigned number);
enum epc_err pol_component_copy(const struct epc_media_component *from, struct epc_media_component *to)
    EPC_MUST_CHECK;
void pol_component_clear(struct epc_media_component *c); /* frees Codec-Data */
/** Codec-Data text (TS 29.214 5.3.7), gives; NULL when out of memory. */
char *pol_codec_data(const struct epc_sdp_media *m, bool uplink, bool is_offer);
/** Same codecs and parameters? Who offered does not matter. */
bool pol_codec_data_same(const char *a, const char *b);

#endif
