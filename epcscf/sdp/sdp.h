/* Door of sdp/: the SDP model, its WebRTC attribute layer, and the interworking between a WIC's SDP
 * and the core's. Pure functions and plain objects: no I/O, no clock, no network library.
 * Spec: RFC 8866, 3264, 8829, 8839, 8842, 8843/9143, 5761; TS 23.228 Annex U; TS 24.229 6.
 * Thread: any, one object at a time; parsed descriptions may be shared. */
#ifndef EPC_SDP_H
#define EPC_SDP_H

#include "base/base.h"

enum { EPC_SDP_MAX_MEDIA = 32, EPC_SDP_MAX_OCTETS = 65536 };

/* ---- model ---------------------------------------------------------------------------------- */

enum epc_sdp_dir { EPC_SDP_SENDRECV, EPC_SDP_SENDONLY, EPC_SDP_RECVONLY, EPC_SDP_INACTIVE };
enum epc_sdp_setup { EPC_SETUP_NONE, EPC_SETUP_ACTPASS, EPC_SETUP_ACTIVE, EPC_SETUP_PASSIVE, EPC_SETUP_HOLDCONN };

/** An a= line: value.p == NULL for a property attribute. */
struct epc_sdp_attr {
    struct epc_str name, value;
};
/** b=<type>:<value>, as written. */
struct epc_sdp_bw {
    struct epc_str type;
    uint64_t value;
};
struct epc_sdp_candidate {
    struct epc_str foundation, transport, address, typ, raddr, tcptype;
    unsigned component;
    uint32_t priority;
    uint16_t port, rport;
};
struct epc_sdp_fingerprint {
    struct epc_str hash, value; /**< "sha-256", "AB:CD:..." */
};
/** A payload format of an RTP m-line, in m-line order. */
struct epc_sdp_codec {
    unsigned pt;
    struct epc_str name;     /**< rtpmap encoding name; static types get theirs without rtpmap */
    uint32_t clock_hz;
    unsigned channels;       /**< 1 unless given */
    struct epc_str fmtp;     /**< p == NULL when absent */
    const struct epc_str *fb; /**< a=rtcp-fb values of this payload ("nack pli") */
    size_t n_fb;
};

struct epc_sdp_media {
    struct epc_str type, proto;      /**< "audio", "UDP/TLS/RTP/SAVPF" */
    uint16_t port;
    struct epc_str const *fmt;
    size_t n_fmt;
    struct epc_str c_addr;           /**< effective c= address (own or session's); p NULL if none */
    bool c_ip6;
    const struct epc_sdp_bw *bw;
    size_t n_bw;
    const struct epc_sdp_attr *attr; /**< all a= lines of the m-line, in order */
    size_t n_attr;
    /* the attribute layer, effective values (session level inherited where that is the rule) */
    enum epc_sdp_dir dir;
    const struct epc_sdp_codec *codec;
    size_t n_codec;
    struct epc_str mid, ice_ufrag, ice_pwd, tls_id;
    const struct epc_sdp_candidate *candidate;
    size_t n_candidate;
    const struct epc_sdp_fingerprint *fingerprint;
    size_t n_fingerprint;
    enum epc_sdp_setup setup;
    bool ice_lite, end_of_candidates, trickle, rtcp_mux, rtcp_mux_only, rtcp_rsize, bundle_only;
    bool bundled;                    /**< its mid is in a BUNDLE group */
    uint16_t rtcp_port;              /**< a=rtcp, else 0 */
    uint32_t ptime_ms, maxptime_ms;  /**< 0 = absent */
    uint32_t sctp_port;              /**< data channel; 0 = absent */
    uint64_t max_message_size;
};

struct epc_sdp {
    struct epc_str o_user, o_addr, s_name;
    uint64_t o_id, o_version;
    bool o_ip6;
    const struct epc_sdp_bw *bw;
    size_t n_bw;
    const struct epc_sdp_attr *attr; /**< session level */
    size_t n_attr;
    const struct epc_sdp_media *media;
    size_t n_media;
    void *_priv;                     /**< owns all memory of the model */
};

/** Parse. Accepts what browsers, IMS cores and phones send, LF or CRLF; refuses what is not SDP.
 *  @param[out] out gives: epc_sdp_free(). NULL unless EPC_OK; holds its own copy of the text
 *  @param cause NULL, or filled with 400/488 and a reason on error
 *  @return EPC_OK, EPC_EPROTO, EPC_ELIMIT (too long, too many m-lines), EPC_ENOMEM */
enum epc_err epc_sdp_parse(struct epc_sdp **out, struct epc_str text, struct epc_cause *cause)
    EPC_MUST_CHECK;
void epc_sdp_free(struct epc_sdp *s); /**< one reference; the memory with the last. NULL-safe, any thread */
/** Text of the model: v=, o=, ... each m-line with its c=, b=, a= as they stand in `attr`. */
enum epc_err epc_sdp_print(const struct epc_sdp *s, struct epc_buf *out) EPC_MUST_CHECK;
/** A reference more (gives: epc_sdp_free()); a parsed model never changes. NULL-safe, any thread. */
struct epc_sdp *epc_sdp_ref(const struct epc_sdp *s) EPC_MUST_CHECK;

/* ---- interworking: one object per dialog (struct epc_iw) -------------------------------------- */

/** The two legs, as in sip/ and gateway/. */
enum epc_sdp_leg { EPC_SDP_WIC, EPC_SDP_CORE };

struct epc_iw;

/** What the operator allows; borrowed for the life of the object. */
struct epc_iw_policy {
    const char *const *audio_codecs, *const *video_codecs; /**< rtpmap names, order = preference */
    size_t n_audio_codecs, n_video_codecs;
    uint32_t audio_bw_bps, video_bw_bps; /**< for b=AS towards the core where the WIC gave none */
    bool gateway_sctp;                   /**< the gateway can terminate data channels */
    uint32_t transcodes;                 /**< bit n: the gateway makes audio_codecs[n] of any other such one */
};

enum epc_err epc_iw_create(struct epc_iw **out, const struct epc_iw_policy *p) EPC_MUST_CHECK;
void epc_iw_free(struct epc_iw *w); /**< NULL-safe */
/** The call is over: forget what was negotiated, as if nothing had been. */
void epc_iw_rest(struct epc_iw *w);

/** What would be accepted on @p leg, as a description for a 488. */
enum epc_err epc_iw_acceptable(const struct epc_iw_policy *p, enum epc_sdp_leg leg, struct epc_buf *out) EPC_MUST_CHECK;

/** An offer arrived on @p from. Checks it (RFC 8839, 8842, 8858; WIC offers need ICE, DTLS, mux) and
 *  makes it the pending one.
 *  @param[out] remote gives: the same media as the gateway must see them, one m-line a stream:
 *         unbundled, with effective ICE/DTLS lines, allowed codecs only; refused streams port 0.
 *  @param[out] unchanged true when it repeats the committed offer of that leg (same o= version or
 *         same media): the gateway may be left alone
 *  @return EPC_OK; EPC_EPROTO with cause 488 or 400; EPC_EAGAIN: an offer is pending already
 *          (glare: 491; 500 if the same leg sent both, RFC 3261 14.2); EPC_ENOMEM */
enum epc_err epc_iw_offer(struct epc_iw *w, enum epc_sdp_leg from, struct epc_str sdp,
                          struct epc_sdp **remote, bool *unchanged, struct epc_cause *cause)
    EPC_MUST_CHECK;
/** The offer for the other leg. @p local: what the gateway answered for that leg: one m-line for each
 *  of @p remote's, with its address, port and, for the WIC's leg, ICE and DTLS lines.
 *  NULL: reuse the gateway's description of the committed state (unchanged re-offer).
 *  Appends text to @p out. */
enum epc_err epc_iw_offer_out(struct epc_iw *w, const struct epc_sdp *local, struct epc_buf *out,
                              struct epc_cause *cause) EPC_MUST_CHECK;
/** The answer to the pending offer arrived (on the leg that the offer went out on). May come several
 *  times (183, then 200; forks): the last counts, @p unchanged tells a repetition.
 *  @param[out] remote gives: for the gateway, aligned with the streams of the offer's `remote` */
enum epc_err epc_iw_answer(struct epc_iw *w, struct epc_str sdp, struct epc_sdp **remote,
                           bool *unchanged, struct epc_cause *cause) EPC_MUST_CHECK;
/** The answer for the offerer's leg; @p local from the gateway for that leg, NULL = as last time. */
enum epc_err epc_iw_answer_out(struct epc_iw *w, const struct epc_sdp *local, struct epc_buf *out,
                               struct epc_cause *cause) EPC_MUST_CHECK;
/** The answer to a pending offer of the core's in the WIC's name, from what the WIC said last: as
 *  epc_iw_answer(). The WIC hears nothing of the exchange, so it must be one that leaves its side as it is.
 *  @return EPC_OK; EPC_EPROTO with cause 488 (nothing of what the WIC uses is offered); EPC_EINVAL (no such
 *          offer, or nothing agreed before); EPC_ENOMEM */
enum epc_err epc_iw_answer_for_wic(struct epc_iw *w, struct epc_sdp **remote, struct epc_cause *cause) EPC_MUST_CHECK;
/** The exchange is final: pending becomes committed. */
void epc_iw_commit(struct epc_iw *w);
/** The offer was rejected or given up: back to the committed state (o= versions never go back). */
void epc_iw_rollback(struct epc_iw *w);
/** Another early dialog answers the offer that was committed last: it is pending again, with the answer
 *  that it had. EPC_EINVAL: nothing is committed, or an offer is pending. */
enum epc_err epc_iw_reopen(struct epc_iw *w) EPC_MUST_CHECK;
bool epc_iw_pending(const struct epc_iw *w);
/** Leg that sent the pending, else the committed offer. */
enum epc_sdp_leg epc_iw_offerer(const struct epc_iw *w);
/** What passed on the WIC's leg in the pending, else the committed exchange, for policy/: @p uplink
 *  came from the WIC, @p downlink was sent to it. Borrowed until the next call; NULL while unknown. */
void epc_iw_access(const struct epc_iw *w, const struct epc_sdp **uplink,
                   const struct epc_sdp **downlink, bool *uplink_is_offer);
/** The committed descriptions as the gateway saw them (for restoring it after a rollback); borrowed,
 *  NULL when nothing is committed. */
void epc_iw_gateway_state(const struct epc_iw *w, enum epc_sdp_leg *offerer,
                          const struct epc_sdp **offer, const struct epc_sdp **answer);
/** What the other leg shall be described as, after epc_iw_offer() or epc_iw_answer(): m-lines as in
 *  `remote`, with the codecs, payload numbers and direction that the other side is to get; no addresses.
 *  Codecs that `remote` lacks are the gateway's to transcode. Borrowed until the next call; NULL before the
 *  first. */
const struct epc_sdp *epc_iw_want(const struct epc_iw *w);
/** Does the gateway transcode stream @p i, as the exchange stands? */
bool epc_iw_transcoded(const struct epc_iw *w, size_t stream);
/** What epc_iw_want() was for a side in the committed exchange: towards @p leg. */
const struct epc_sdp *epc_iw_committed_want(const struct epc_iw *w, enum epc_sdp_leg leg);

/** Stand for the WIC's preconditions towards the core from now on (RFC 3312): its side is met; asked for in
 *  our offers, answered where the core asks. Towards the WIC such lines never go. */
void epc_iw_act_for_preconditions(struct epc_iw *w, bool on);
/** The core's own side, as its newest description says. */
enum epc_iw_qos { EPC_IW_QOS_NONE, EPC_IW_QOS_PENDING, EPC_IW_QOS_MET };
enum epc_iw_qos epc_iw_qos(const struct epc_iw *w);

/** Number (from 1, on the WIC's leg) of the m-line that stream @p i of `remote` stands for. */
unsigned epc_iw_media_number(const struct epc_iw *w, size_t stream);

#endif
