/* Door of gateway/: one interface to the eIMS-AGW (TS 23.334), whatever protocol steers it.
 * Behind it, of equal standing: h248/ (Iq, TS 29.334) and rtpengine/ (its NG protocol).
 * A *context* is one call's media: a WebRTC termination on the access side (ICE, DTLS-SRTP, RTP/RTCP
 * mux) and a plain RTP one on the core side, a stream for each m-line.
 * Descriptions travel as SDP models, as they do in H.248 Local and Remote descriptors.
 * Thread: the shard's (one epc_gw a shard). */
#ifndef EPC_GATEWAY_H
#define EPC_GATEWAY_H

#include "base/base.h"
#include "config/config.h"
#include "sdp/sdp.h"
#include "shard/shard.h"

struct epc_gw;
struct epc_gw_ctx;
struct epc_gw_hub;

enum epc_gw_side { EPC_GW_ACCESS, EPC_GW_CORE };

/** What the gateway noticed by itself (Iq Notify, or made of rtpengine's statistics). */
enum epc_gw_event_kind {
    EPC_GW_EV_LEARNED,    /**< the access side sees the WIC at `addr` on stream `stream` */
    EPC_GW_EV_FAILED,     /**< stream `stream` has no connection to the WIC: `failure`. Told again
                               while it lasts */
    EPC_GW_EV_INACTIVE,   /**< no media and no checks for the configured time */
    EPC_GW_EV_LOST,       /**< the gateway no longer knows the context */
};
enum epc_gw_failure {
    EPC_GW_FAIL_ICE,     /**< no candidate pair */
    EPC_GW_FAIL_DTLS,    /**< no DTLS session, or a fingerprint that does not match */
    EPC_GW_FAIL_CONSENT, /**< the WIC stopped answering the checks of a full ICE agent (RFC 7675) */
    EPC_GW_FAIL_BEARER,  /**< the gateway gave the bearer up for another reason */
};
struct epc_gw_event {
    enum epc_gw_event_kind kind;
    size_t stream;
    struct epc_addr addr;
    enum epc_gw_failure failure;
};
typedef void epc_gw_event_fn(void *arg, const struct epc_gw_event *ev);

/** Result of offer/answer. @p local gives (NULL unless EPC_OK): the gateway's own description towards
 *  the other side than the SDP came from (after an offer) or towards the offerer (after an answer);
 *  an m-line for each of the request's, port 0 where the stream is off.
 *  On error @p cause says what SIP answers: 503 (unreachable, no resources), 488 (the SDP), 500. */
typedef void epc_gw_done_fn(void *arg, enum epc_err err, struct epc_sdp *local,
                            const struct epc_cause *cause);

/** What the shards share of the gateways (associations on Iq belong to the node, not to a shard). Main
 *  thread, before the first shard starts. @param[out] out gives; NULL where nothing is shared.
 *  @return EPC_OK, EPC_ENOMEM */
enum epc_err epc_gw_hub_create(struct epc_gw_hub **out, const struct epc_cfg_media *cfg) EPC_MUST_CHECK;
void epc_gw_hub_destroy(struct epc_gw_hub *h); /**< after the last shard has ended; NULL-safe */

/** @param hub borrowed for the life of @p out. The shard with index 0 is created first and destroyed last:
 *  it is the one that may do the hub's work. */
enum epc_err epc_gw_create(struct epc_gw **out, struct epc_shard *sh, const struct epc_cfg_media *cfg,
                           struct epc_gw_hub *hub) EPC_MUST_CHECK;
void epc_gw_destroy(struct epc_gw *g); /**< releases what is held; NULL-safe */

/** What the gateways in service can all do. */
struct epc_gw_caps {
    bool sctp;       /**< terminates data channels */
    bool transcodes; /**< audio between the codecs of the configuration */
    uint32_t audio_codecs; /**< with `transcodes`: bit n, media.audio_codecs[n] is one of those; 0 = all of them */
};
void epc_gw_caps(const struct epc_gw *g, struct epc_gw_caps *out);

/** A line of facts for people ("gateway=... state=... contexts=..."), for each gateway. */
void epc_gw_each(struct epc_gw *g, void (*fn)(const char *line, void *arg), void *arg);

/** The state machine of an association over H.248 as a graph (dot), for the documentation. */
void epc_gw_fsm_print(FILE *out);

struct epc_gw_ctx_opts {
    const char *call_id;   /**< SIP Call-ID (copied): trace key and part of the gateway's key */
    epc_gw_event_fn *event;
    void *arg;
    bool emergency;        /**< an emergency call: the gateway must not turn it away for others */
    int priority;          /**< 1..15 as in H.248.1 6.1.1; 0 = none */
};
enum epc_err epc_gw_ctx_create(struct epc_gw_ctx **out, struct epc_gw *g,
                               const struct epc_gw_ctx_opts *o) EPC_MUST_CHECK;

/** One side's part of an exchange, and what it leads to on the other side. */
struct epc_gw_media {
    const struct epc_sdp *remote; /**< what the peer on that side sent: addresses, ICE, DTLS, codecs */
    /** The description that the other side shall get: m-lines, proto, codecs with payload numbers,
     *  direction; addresses and transport lines are the gateway's to fill. A codec here that `remote`
     *  lacks is transcoded. NULL: as `remote`. */
    const struct epc_sdp *want;
};
/** The offer of @p from's side: reserve or re-configure. @p m borrowed for the call.
 *  One operation of a context is under way at a time; later ones queue. @p done runs exactly once,
 *  never inside this call (but for out of memory), unless the context is released first (then never). */
void epc_gw_offer(struct epc_gw_ctx *c, enum epc_gw_side from, const struct epc_gw_media *m,
                  epc_gw_done_fn *done, void *arg);
/** The answer of the other side to the last offer; may come again with other contents (forks): the last
 *  counts. */
void epc_gw_answer(struct epc_gw_ctx *c, const struct epc_gw_media *m, epc_gw_done_fn *done, void *arg);
/** Put the media back to a committed exchange after a rejected re-offer. Fire and forget. */
void epc_gw_restore(struct epc_gw_ctx *c, enum epc_gw_side offerer, const struct epc_gw_media *offer,
                    const struct epc_gw_media *answer);
/** Let media pass to either side or not (RFC 5009); STUN, DTLS and RTCP go on. Both ways at first; holds
 *  until it is changed. Fire and forget. */
void epc_gw_gate(struct epc_gw_ctx *c, bool to_access, bool to_core);
/** How far ICE and DTLS of a stream are, as far as the gateway tells. */
enum epc_gw_ice {
    EPC_GW_ICE_NEW,       /**< no exchange is complete yet */
    EPC_GW_ICE_CHECKING,  /**< waiting for the WIC's checks */
    EPC_GW_ICE_CONNECTED, /**< packets have come from the WIC's address */
};
/** What is known of a context, for the policy function and for people. */
struct epc_gw_view {
    char gateway[64], context[64];    /**< who holds it and under what name; "" = not known */
    int ice_mode;                     /**< 0 full, 1 lite, -1 unknown */
    struct {
        struct epc_addr access, core; /**< the gateway's own side of each leg; len 0 = unknown or off */
        struct epc_addr learned;      /**< the WIC as the gateway sees it; len 0 = unknown */
        enum epc_gw_ice ice;
        uint32_t srtp_profile;        /**< IANA's DTLS-SRTP number; 0 = unknown */
    } stream[EPC_SDP_MAX_MEDIA];
    size_t n_streams;
};
void epc_gw_ctx_view(const struct epc_gw_ctx *c, struct epc_gw_view *out);
/** Subtract everything; the pointer is invalid afterwards. Sent once the open operation, if any, has
 *  ended (a late request must not bring the context back), and repeated until the gateway confirms or
 *  the time-out ends it. NULL-safe. */
void epc_gw_release(struct epc_gw_ctx *c);

#endif
