/* Door of sip/: messages on sofia-sip, transactions on both legs, the trust-domain header table,
 * flow tokens and routing. Knows nothing of SDP content or Diameter.
 *
 * Two legs: the WIC's (our own transaction table over the reliable WebSocket: no retransmission)
 * and the core's (over UDP and TCP, with the timers of RFC 3261). The rooms above see the same two
 * objects for both:
 *   struct epc_sip_in   a request that came in (server transaction)
 *   struct epc_sip_out  a request that we sent (client transaction)
 * Spec: RFC 3261, 7118, 5626, 3327, 3608, 5658; TS 24.229 clauses 4.4, 5.2. Thread: the shard's. */
#ifndef EPC_SIP_H
#define EPC_SIP_H

#include <sofia-sip/msg.h>
#include <sofia-sip/sip.h>

#include "base/base.h"
#include "config/config.h"
#include "shard/shard.h"
#include "wss/wss.h"

struct epc_sip;
struct epc_sip_in;
struct epc_sip_out;

enum epc_leg { EPC_LEG_WIC, EPC_LEG_CORE };

struct epc_sip_handler {
    /** A new request, except ACK and CANCEL. Already checked: grammar, sanity, Max-Forwards (483),
     *  message size, Proxy-Require (420); on the core leg: trusted source, flow token (403) and
     *  live flow (430 or 480 for an initial request, in a dialog `lost`); on the WIC leg: the token of
     *  an in-dialog Route is this flow's own (403). Our own Route entries are popped.
     *  The handler answers @p in, now or later, and ends it with epc_sip_in_release(). 100 Trying
     *  for INVITE has been sent. A NOTIFY of the core's without a token of ours comes with flow 0: it
     *  is for this node itself. */
    void (*request)(void *arg, struct epc_sip_in *in);
    /** ACK for a 2xx. @p msg gives (msg_destroy() or pass it on). Own Routes popped. */
    void (*ack)(void *arg, enum epc_leg from, uint64_t flow_id, msg_t *msg);
    /** A request of the core's in a dialog, for a flow that is gone: the dialog may be waiting for its
     *  WIC to come back. Answers and releases @p in. NULL: 481 is answered. */
    void (*lost)(void *arg, struct epc_sip_in *in);
};

/** @param token_key 32 octets, the same for all shards (flow tokens). All pointers borrowed for the
 *  life of the object. @return EPC_OK, EPC_ENOMEM, EPC_EIO (address or port towards the core; logged) */
enum epc_err epc_sip_create(struct epc_sip **out, struct epc_shard *sh, const struct epc_cfg_sip *cfg,
                            const unsigned char token_key[32], const struct epc_sip_handler *h,
                            void *arg) EPC_MUST_CHECK;
void epc_sip_destroy(struct epc_sip *s); /**< NULL-safe */
/** The WSS room comes up after this one; requests to WICs go through it. */
void epc_sip_set_wss(struct epc_sip *s, struct epc_wss *w);

/** Numbers as in calls.emergency_numbers (borrowed): such calls are never refused for overload. */
void epc_sip_set_emergency(struct epc_sip *s, char *const *numbers, size_t n);

/** Feed from wss: one message of a flow. */
void epc_sip_from_wic(struct epc_sip *s, struct epc_flow *flow, const char *msg, size_t n);
/** The flow is gone: its client transactions end with 408 (callback), its server transactions stay
 *  usable and send nowhere. Call before the rooms above are told. */
void epc_sip_flow_closed(struct epc_sip *s, uint64_t flow_id);
/** The same WIC goes on with another flow of this shard: tokens of the old one (Route from the WIC,
 *  requests from the core) mean the new one from here on, and so do those of all that the old one stood
 *  for. At most 16 earlier flows are remembered for one. Transactions stay with their own flow.
 *  Out of memory: logged, and old tokens mean nothing. */
void epc_sip_flow_moved(struct epc_sip *s, uint64_t old_flow_id, uint64_t new_flow_id);
/** What that flow is called now: itself unless it has moved. */
uint64_t epc_sip_flow_now(const struct epc_sip *s, uint64_t flow_id);
/** The flow is closed and its registration has gone: nobody will come back for it. Tokens of the
 *  flows that it stood for mean nothing any more. Harmless for a flow that stood for none. */
void epc_sip_flow_forget(struct epc_sip *s, uint64_t flow_id);

/* ---- server transactions ------------------------------------------------------------------ */

enum epc_leg epc_sip_in_leg(const struct epc_sip_in *in);
/** The WIC's flow: the sender's on the WIC leg, the target's (from the token) on the core leg. */
uint64_t epc_sip_in_flow(const struct epc_sip_in *in);
/** Parsed request, borrowed until release; already without our Routes. Do not change it. */
const sip_t *epc_sip_in_sip(const struct epc_sip_in *in);
/** A private copy to edit and send on (gives); NULL when out of memory. */
msg_t *epc_sip_in_dup(const struct epc_sip_in *in);
/** Called when a CANCEL for this INVITE arrives (the CANCEL has been answered 200). Not after a final
 *  answer. */
void epc_sip_in_on_cancel(struct epc_sip_in *in,
                          void (*fn)(void *arg, struct epc_sip_in *in, const sip_t *cancel), void *arg);
/** Answer from here. @p extra: header lines "Name: value\r\n...", may be NULL. @p phrase NULL = the
 *  standard one. A To tag is added if there is none. */
void epc_sip_in_reply(struct epc_sip_in *in, int status, const char *phrase, const char *extra);
/** The same with a body. */
void epc_sip_in_reply_body(struct epc_sip_in *in, int status, const char *extra, const char *content_type,
                           const char *body);
/** As epc_sip_in_reply() from a cause, with Retry-After when it has one. */
void epc_sip_in_refuse(struct epc_sip_in *in, const struct epc_cause *cause);
/** The same with Warning: @p warning and a body of application/sdp (RFC 3261 21.4.26). */
void epc_sip_in_refuse_sdp(struct epc_sip_in *in, const struct epc_cause *cause, const char *warning,
                           const char *sdp);
/** The same with further header lines (NULL: none) and a body of any kind. */
void epc_sip_in_refuse_body(struct epc_sip_in *in, const struct epc_cause *cause, const char *extra,
                            const char *content_type, const char *body);
/** Failures that the rooms above make themselves for this request carry Response-Source with @p fe, e.g.
 *  "<urn:3gpp:fe:p-cscf.term>" (TS 24.229 7.2.17); static text, NULL: none. */
void epc_sip_in_response_source(struct epc_sip_in *in, const char *fe);
/** Did its Route begin with an entry of ours, with the token of its flow? */
bool epc_sip_in_routed(const struct epc_sip_in *in);
/** Pass a response on; takes *resp (nulled), whose top Via must be the one of @p in already (as
 *  epc_sip_out's callback gives it). May be called again for repeated or forked 2xx. */
void epc_sip_in_forward(struct epc_sip_in *in, msg_t **resp);
int epc_sip_in_final_status(const struct epc_sip_in *in); /**< 0 while none was sent */
/** The room needs @p in no longer. Without a final answer so far, 500 is sent. Exactly once. */
void epc_sip_in_release(struct epc_sip_in *in);

/* ---- client transactions ------------------------------------------------------------------ */

/** Each response: 1xx (never 100), final, and every repeated or forked 2xx for 32 s after the first.
 *  @param resp gives (forward or msg_destroy()); our Via is off. NULL for a local outcome: status 408
 *         (no answer in time), 503 (transport failed), or 0 = the transaction is over and @p out is
 *         invalid after this call (always the last call, unless detached).
 *  Non-2xx finals of INVITE have been ACKed. */
typedef void epc_sip_response_fn(void *arg, struct epc_sip_out *out, int status, msg_t *resp);

struct epc_sip_dest {
    enum epc_leg leg;
    uint64_t flow_id;      /**< WIC leg */
    const char *next_hop;  /**< core leg: SIP URI; NULL = topmost Route, else Request-URI */
};
/** Send a request; takes *req (nulled), without Via of ours. Max-Forwards, Route and body must be
 *  final. Core leg: transport by size or configuration (TS 24.229 4.2A); a host that is not a
 *  literal address or lies in .invalid is refused.
 *  @return EPC_OK; EPC_ENOENT (flow gone), EPC_EPROTO (no usable next hop), EPC_EIO, EPC_ELIMIT
 *  (no connection, or a peer that does not read), EPC_ENOMEM: no callback */
enum epc_err epc_sip_out_send(struct epc_sip_out **out, struct epc_sip *s,
                              const struct epc_sip_dest *dest, msg_t **req, epc_sip_response_fn *fn,
                              void *arg) EPC_MUST_CHECK;
/** CANCEL an INVITE: waits for the first 1xx if there was none (RFC 3261 9.1). @p reason: value of a
 *  Reason header or NULL. Harmless after a final answer. */
void epc_sip_out_cancel(struct epc_sip_out *out, const char *reason);
void epc_sip_out_detach(struct epc_sip_out *out); /**< no callback any more; sip finishes it. NULL-safe */
/** ACK for a 2xx: takes *ack. Stateless. */
enum epc_err epc_sip_send_ack(struct epc_sip *s, const struct epc_sip_dest *dest, msg_t **ack);

/* ---- editing ------------------------------------------------------------------------------ */

enum epc_sip_dir {
    EPC_DIR_WIC_REQ,   /**< request, WIC to core */
    EPC_DIR_CORE_REQ,  /**< request, core to WIC */
    EPC_DIR_WIC_RESP,  /**< response, WIC to core */
    EPC_DIR_CORE_RESP, /**< response, core to WIC */
};
/** Apply the trust-domain table (TS 24.229 4.4) to a message that is about to cross: removes what
 *  may not cross; headers that the table marks "used" must have been read before. Returns the
 *  number of header fields removed. */
unsigned epc_sip_policy_apply(msg_t *msg, enum epc_sip_dir dir);
/** The table as Markdown, for the documentation. */
void epc_sip_policy_print(FILE *out);

/** Decrement Max-Forwards (or add 70). False when it was 0. */
bool epc_sip_max_forwards(msg_t *msg);
/** Two Record-Route entries with the flow's token (RFC 5658), for a request from @p from. */
enum epc_err epc_sip_record_route(struct epc_sip *s, msg_t *msg, enum epc_leg from, uint64_t flow_id);
/** The token that stands for a flow in our URIs; always the same for the same flow. */
#define EPC_SIP_TOKEN_LEN 40
void epc_sip_flow_token(const struct epc_sip *s, uint64_t flow_id, char out[EPC_SIP_TOKEN_LEN]);
/** Path with the flow's token; @p ob adds `;ob` (RFC 5626). For a message that is about to be sent, as
 *  epc_sip_put(). */
enum epc_err epc_sip_put_path(const struct epc_sip *s, msg_t *msg, const char *token, bool ob) EPC_MUST_CHECK;
/** The URI that epc_sip_put_path() writes. malloc'd (gives); NULL when out of memory. */
char *epc_sip_path_uri(struct epc_sip *s, uint64_t flow_id, bool ob);
/** Our core-side URI without token, e.g. for P-Asserted-Identity of our own requests: "sip:host:port". */
const char *epc_sip_core_uri(const struct epc_sip *s);
/** The flow named by the token of a Route/Path URI of ours. EPC_ENOENT not ours, EPC_EAUTH bad token */
enum epc_err epc_sip_token_flow(const struct epc_sip *s, const url_t *uri, uint64_t *flow_id);
/** Replace all Route headers: @p routes is a NULL-terminated list of URIs in order. */
enum epc_err epc_sip_set_routes(msg_t *msg, const char *const *routes);

/** Put @p uri in the Request-URI's place. EPC_EPROTO: it does not parse. */
enum epc_err epc_sip_set_request_uri(msg_t *msg, const char *uri) EPC_MUST_CHECK;
/** Another number in CSeq, and in the CSeq part of RAck the same difference. */
enum epc_err epc_sip_shift_cseq(msg_t *msg, int64_t by) EPC_MUST_CHECK;

/** Add "Name: value" (appended; @p value borrowed). */
enum epc_err epc_sip_add(msg_t *msg, const char *name, const char *fmt, ...) EPC_PRINTF(3, 4);
/** Add a field as it is, unparsed, to a message that is about to be sent: epc_sip_get() and epc_sip_remove()
 *  see it only where sofia-sip does not know the name. @p name static, @p value copied.
 *  EPC_EINVAL: a line end in the value. */
enum epc_err epc_sip_put(msg_t *msg, const char *name, struct epc_str value) EPC_MUST_CHECK;
/** Remove all header fields of that name, known or unknown to sofia. Returns how many. */
unsigned epc_sip_remove(msg_t *msg, const char *name);
/** Does a header of option tags or methods ("Supported", "Allow") list @p word? Case does not count. */
bool epc_sip_lists(msg_t *msg, const char *name, const char *word);
/** Take @p word off such a header; the others stay in their order. EPC_ENOMEM: nothing is changed. */
enum epc_err epc_sip_unlist(msg_t *msg, const char *name, const char *word) EPC_MUST_CHECK;
/** The i-th field's value of that name as text (i from 0); works for every header. Slice borrowed
 *  from the message's memory; p == NULL when there is none. */
struct epc_str epc_sip_get(msg_t *msg, const char *name, unsigned i);
/** Value of one parsed header structure (sip_from_t, ...) as text. malloc'd (gives); NULL when out of
 *  memory or @p header is NULL. */
char *epc_sip_value(const void *header);
/** As epc_sip_get() on a request held by a transaction. */
struct epc_str epc_sip_in_get(const struct epc_sip_in *in, const char *name, unsigned i);

/** The SDP body (also inside multipart): slice into the message; p == NULL when there is none. */
struct epc_str epc_sip_sdp(const sip_t *sip);
/** Put @p sdp in place of the SDP body (only that part of a multipart), fix Content-Length. */
enum epc_err epc_sip_set_sdp(msg_t *msg, struct epc_str sdp);
/** An SDP body, or one that may hold SDP, in an encoding that hides it from us (RFC 3261 21.4.13)? */
bool epc_sip_sdp_encoded(const sip_t *sip);
/** Put @p body of @p type in place of the whole body. */
enum epc_err epc_sip_set_body(msg_t *msg, const char *type, struct epc_str body) EPC_MUST_CHECK;
/** Drop the body or its SDP part. */
enum epc_err epc_sip_remove_sdp(msg_t *msg);

/** Make a request from its parts (gives; NULL when out of memory or a part does not parse).
 *  From/To: full header values with tags; @p routes NULL-terminated or NULL. Max-Forwards 70. */
struct epc_sip_parts {
    const char *method, *request_uri, *from, *to, *call_id;
    uint32_t cseq;
    const char *const *routes;
    const char *extra; /**< further header lines, may be NULL */
};
msg_t *epc_sip_request(const struct epc_sip_parts *parts);
/** Whole message as text (gives), for traces and tests. */
char *epc_sip_text(msg_t *msg, size_t *n);
/** Parse text (gives; NULL if it is no SIP message), for tests. */
msg_t *epc_sip_parse(const char *p, size_t n);

#endif
