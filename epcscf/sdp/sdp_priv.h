/* Private to sdp/: the helpers that the files of the room share. */
#ifndef EPC_SDP_PRIV_H
#define EPC_SDP_PRIV_H

#include "sdp/sdp.h"

/* ---- attribute layer (attr.c) -------------------------------------------------------------------- */

/** Fill the effective values of every m-line from the a= lines. */
enum epc_err sdp_attr_layer(struct epc_sdp *s, struct epc_sdp_media *media, struct epc_arena *a)
    EPC_MUST_CHECK;
/** The text that it was parsed from; lives as long as it. */
struct epc_str sdp_text(const struct epc_sdp *s);
/** RTP of any profile. */
bool sdp_proto_is_rtp(struct epc_str proto);
/** Next blank-separated word of @p s; empty when there is none. */
struct epc_str sdp_word(struct epc_str *s);
/** First attribute @p name of the list, or NULL. */
const struct epc_sdp_attr *sdp_attr_find(const struct epc_sdp_attr *attr, size_t n, const char *name);
const char *sdp_dir_name(enum epc_sdp_dir dir);
const char *sdp_setup_name(enum epc_sdp_setup setup);

#endif
