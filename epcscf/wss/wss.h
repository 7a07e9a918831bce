/* Door of wss/: secure WebSocket listener of one shard. Turns frames into whole messages and back;
 * knows nothing of SIP. A *flow* is one WebSocket connection (RFC 5626's flow).
 * Spec: RFC 6455, RFC 7118, TS 24.371. Thread: the shard's, throughout. */
#ifndef EPC_WSS_H
#define EPC_WSS_H

#include "base/base.h"
#include "config/config.h"
#include "shard/shard.h"

struct epc_wss;
struct epc_flow;

/** Why a flow ended, for logs and for the rooms above. */
enum epc_flow_end {
    EPC_FLOW_PEER_CLOSED,   /**< close frame, TCP FIN or reset */
    EPC_FLOW_LOCAL_CLOSED,  /**< epc_flow_close() */
    EPC_FLOW_PING_TIMEOUT,
    EPC_FLOW_BACKPRESSURE,  /**< the peer did not read: send queue over its cap */
    EPC_FLOW_SHUTDOWN,
    EPC_FLOW_MOVED,         /**< handed over to another shard: it goes on there under another id */
};

struct epc_wss_handler {
    /** A handshake succeeded. */
    void (*opened)(void *arg, struct epc_flow *flow);
    /** One whole WebSocket message (fragments joined). @p msg borrowed for the call, not
     *  NUL-terminated. CRLF keep-alives are given too. */
    void (*message)(void *arg, struct epc_flow *flow, const char *msg, size_t n);
    /** The flow is gone; its pointer is invalid afterwards. Never called inside a call of this
     *  door on the same flow, but on a later turn. */
    void (*closed)(void *arg, struct epc_flow *flow, enum epc_flow_end why);
};

/** Open the vhost (TLS 1.2/1.3, certificate from @p cfg) and the shard's listeners.
 *  @param cfg borrowed for the life of the object (wss part of the snapshot)
 *  @return EPC_OK, EPC_ENOMEM, EPC_EIO (certificate or port; logged with file or address) */
enum epc_err epc_wss_create(struct epc_wss **out, struct epc_shard *sh,
                            const struct epc_cfg_wss *cfg, const struct epc_wss_handler *h,
                            void *arg) EPC_MUST_CHECK;
/** Read certificate and key again, from the same files: new connections get the new one, flows go on.
 *  @return EPC_OK, EPC_EIO (not usable: the old one stays; logged), EPC_ENOMEM */
enum epc_err epc_wss_reload(struct epc_wss *w) EPC_MUST_CHECK;
/** Stop listening and close every flow with 1001. `closed` is called for each of them with
 *  EPC_FLOW_SHUTDOWN before this returns, and no handler afterwards; so destroy this before what the
 *  handler leads to. The close frames go out while the shard goes on (it is held for them). NULL-safe. */
void epc_wss_destroy(struct epc_wss *w);

/** Queue one message (copied), text frame if it is valid UTF-8, else binary (RFC 7118 5).
 *  @return EPC_OK, EPC_ENOMEM, EPC_ELIMIT (queue over wss.send_queue_octets: flow is being closed),
 *          EPC_ENOENT (flow is closing) */
enum epc_err epc_flow_send(struct epc_flow *f, const void *p, size_t n) EPC_MUST_CHECK;
/** Close after what is queued has been sent. @p code RFC 6455 7.4.1; @p reason ASCII, <= 120. */
void epc_flow_close(struct epc_flow *f, uint16_t code, const char *reason);
/** Never 0, unique in the process for its life; its upper 16 bits are the shard's index. */
uint64_t epc_flow_id(const struct epc_flow *f);
/** NULL when the flow is gone or closing. */
struct epc_flow *epc_wss_flow(struct epc_wss *w, uint64_t id);
const struct epc_addr *epc_flow_peer(const struct epc_flow *f);
/** The allow-list entry that the Origin matched; NULL if it came without Origin and that is
 *  allowed. Borrowed from the configuration. */
const struct epc_cfg_origin *epc_flow_origin(const struct epc_flow *f);
/** The flow carries a registration now: the unregistered-connection timer stops (or, with false,
 *  starts again). */
void epc_flow_set_registered(struct epc_flow *f, bool registered);
/** Does it carry a registration now? */
bool epc_flow_registered(const struct epc_flow *f);
/** A REGISTER has come on this flow: false when its source has sent too many of late
 *  (registration.max_rate_per_address). @p cfg the limits. */
bool epc_flow_may_register(struct epc_flow *f, const struct epc_cfg_registration *cfg);
/** Read nothing more from the peer for @p for_ms, from now on: TCP holds it back. What was read before is still given,
 *  what is sent goes out, and a flow that begins to close hears its peer again. A flow whose socket is on another
 *  shard is not paused. */
void epc_flow_pause(struct epc_flow *f, uint32_t for_ms);
/** End the pauses of @p n flows, who has waited longest first; what they have sent meanwhile is read at once. Not
 *  from inside `message`. @return how many are still paused */
unsigned epc_wss_hear(struct epc_wss *w, unsigned n);
/** In `message`: did this one wait for the end of a pause, and has the peer said more since? */
bool epc_flow_superseded(const struct epc_flow *f);
/** A number that the room above keeps with a flow: 0 at first, and again when it was handed over. */
void epc_flow_set_note(struct epc_flow *f, uint64_t note);
uint64_t epc_flow_note(const struct epc_flow *f);
/** Hand a connection over to another shard. The socket stays where it is, with its limits, its pings and
 *  its send queue; the flow is gone here at once (epc_wss_flow() has it no longer, `closed` follows on a
 *  later turn with EPC_FLOW_MOVED) and opens there with an id of that shard: `opened`, then @p msg as
 *  its first message, then what the peer sends. It arrives unregistered. All of this door works on it
 *  there, but that it cannot be handed over a second time.
 *  @param to_sh the other shard; must not be destroyed before this one has stopped
 *  @param to    where that shard's listener is found; read on that shard's thread alone. NULL in it (not
 *               up yet, or going down): the connection is closed with 1001.
 *  @param msg   copied
 *  @return EPC_OK; EPC_EINVAL (own shard), EPC_EPOLICY (was handed over before), EPC_ENOENT (flow is
 *          closing, or that shard is stopping), EPC_ELIMIT (its mailbox is full), EPC_ENOMEM: the flow
 *          stays as it was */
enum epc_err epc_flow_hand_over(struct epc_flow *f, struct epc_shard *to_sh, struct epc_wss *const *to,
                                const char *msg, size_t n) EPC_MUST_CHECK;
/** Visit all flows of this shard (admin). @p fn must not close them. */
void epc_wss_each(struct epc_wss *w, void (*fn)(struct epc_flow *f, void *arg), void *arg);

#endif
