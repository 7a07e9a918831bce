/* Door of gateway/: one interface to the eIMS-AGW (TS 23.334), whatever protocol steers it.
 * Behind it: rtpengine/ (NG protocol) today; h248/ (Iq, TS 29.334) has its place beside it.
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

enum epc_gw_side { EPC_GW_ACCESS, EPC_GW_CORE };

/** What the gateway noticed by itself (Iq Notify, or made of rtpengine's statistics). */
enum epc_gw_event_kind {
    EPC_GW_EV_LEARNED,    /**< the access side sees the WIC at `addr` on stream `stream` */
    EPC_GW_EV_INACTIVE,   /**< no media and no checks for the configured time */
    EPC_GW_EV_LOST,       /**< the gateway no longer knows the context */
};
struct epc_gw_event {
    enum epc_gw_event_kind kind;
    size_t stream;
    struct epc_addr addr;
};
typedef void epc_gw_event_fn(void *arg, const struct epc_gw_event *ev);

/** Result of offer/answer. @p local gives (NULL unless EPC_OK): the gateway's own description towards
 *  the other side than the SDP came from (after an offer) or towards the offerer (after an answer);
 *  an m-line for each of the request's, port 0 where the stream is off.
 *  On error @p cause says what SIP answers: 503 (unreachable, no resources), 488 (the SDP), 500. */
typedef void epc_gw_done_fn(void *arg, enum epc_err err, struct epc_sdp *local,
                            const struct epc_cause *cause);

enum epc_err epc_gw_create(struct epc_gw **out, struct epc_shard *sh,
                           const struct epc_cfg_media *cfg) EPC_MUST_CHECK;
void epc_gw_destroy(struct epc_gw *g); /**< releases what is held; NULL-safe */
bool epc_gw_has_sctp(const struct epc_gw *g);

/** @param call_id SIP Call-ID (copied): trace key and part of the gateway's key. */
enum epc_err epc_gw_ctx_create(struct epc_gw_ctx **out, struct epc_gw *g, const char *call_id,
                               epc_gw_event_fn *fn, void *arg) EPC_MUST_CHECK;
/** The offer of @p from's side: reserve or re-configure. @p remote borrowed for the call.
 *  One operation of a context is under way at a time; later ones queue. @p done runs exactly once,
 *  never inside this call (but for out of memory), unless the context is released first (then never). */
void epc_gw_offer(struct epc_gw_ctx *c, enum epc_gw_side from, const struct epc_sdp *remote,
                  epc_gw_done_fn *done, void *arg);
/** The answer of the other side to the last offer. */
void epc_gw_answer(struct epc_gw_ctx *c, const struct epc_sdp *remote, epc_gw_done_fn *done, void *arg);
/** Put the media back to a committed exchange after a rejected re-offer. Fire and forget. */
void epc_gw_restore(struct epc_gw_ctx *c, enum epc_gw_side offerer, const struct epc_sdp *offer,
                    const struct epc_sdp *answer);
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
