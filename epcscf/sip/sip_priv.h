/* Inside of sip/: the agent of one shard and its transactions. */
#ifndef EPC_SIP_PRIV_H
#define EPC_SIP_PRIV_H

#include "sip/core_net.h"
#include "sip/overload.h"
#include "sip/sip.h"
#include "sip/sofia.h"

#include <openssl/evp.h>

#define EPC_SIP_SERVER_MAX_HEADERS 200u /**< header fields per message; more is an attack */
#define EPC_SIP_MAX_OCTETS         65536u
#define EPC_SIP_BRANCH_LEN         40 /**< "z9hG4bK" + 24 hex digits + NUL fits */
#define EPC_SIP_T1_MS              500u   /**< RFC 3261 table 4 */
#define EPC_SIP_T2_MS              4000u
#define EPC_SIP_T4_MS              5000u
#define EPC_SIP_T64_MS             32000u /**< 64*T1 */
/** How long an answered non-INVITE of a WIC is remembered. Timer J is 0 on a reliable transport; a
 *  short memory makes a stack that repeats itself get the same answer. */
#define EPC_SIP_LINGER_MS 2000u

/** What ties a client transaction to a flow, so that the end of the flow finds it. (Server
 *  transactions need no such tie: they find the flow gone when they send.) */
struct flow_ref {
    struct epc_hnode node;
    uint64_t flow_id;
    struct epc_sip_out *out;
    bool linked;
};

/** Each transaction of either leg is in one of two lists of the agent until it is freed. */
struct tx_link {
    struct tx_link *next, **prev;
};

struct epc_sip_next_hop {
    struct core_hop hop;
    bool any_transport; /**< UDP, or TCP for what is too large (TS 24.229 4.2A) */
};

struct core_tx;

struct epc_sip {
    struct epc_shard *sh;
    const struct epc_cfg_sip *cfg;
    const struct epc_sip_handler *h;
    void *arg;
    struct epc_wss *wss;
    EVP_MAC *mac;
    EVP_MAC_CTX *mac_ctx; /**< holds the token key; only the shard's thread uses it */
    struct core_net *net;
    struct epc_hash wic_in;   /**< by flow, branch and method */
    struct epc_hash wic_out;  /**< by branch */
    struct epc_hash core_in;  /**< by branch, sent-by and method */
    struct epc_hash core_tx;  /**< by branch */
    struct epc_hash by_flow;
    struct epc_hash moved, moved_to; /**< moved.c */
    struct tx_link *ins, *outs, *txs;
    struct tx_link *remembered, **remembered_tail; /**< of WICs; linger_ms each, so the first is the oldest */
    struct epc_timer remember_timer;
    struct epc_addr *trusted;
    size_t n_trusted;
    char core_host[EPC_ADDR_LEN]; /**< bracketed if IPv6 */
    char core_bare[EPC_ADDR_LEN];
    uint16_t core_port;
    char core_uri[EPC_ADDR_LEN + 16];
    uint32_t t1_ms, t64_ms, linger_ms; /**< EPC_SIP_T1_MS and so on; tests shorten them */
    uint32_t timer_b_ms;               /**< B and F */
    uint64_t complaint_log_ms;
    struct epc_overload overload;      /**< refuse.c */
    struct epc_timer overload_timer, hear_timer;
    uint64_t overload_since_ms, n_refused;
    struct epc_buf refusal;            /**< its room is used again */
    char *const *emergency;            /**< numbers; epc_sip_set_emergency() */
    size_t n_emergency;
    char *last_hop_uri;                /**< what the last next hop was made of */
    struct epc_sip_next_hop last_hop;
};

struct epc_sip_in {
    struct epc_hnode node; /**< in wic_in or core_in */
    bool in_table;
    struct tx_link link;
    struct epc_sip *s; /**< NULL once the agent was destroyed */
    enum epc_leg leg;
    uint64_t flow_id;
    msg_t *req;
    sip_t *sip;
    struct core_hop *hop; /**< core leg: where answers go; behind the struct */
    bool invite;
    int final;
    bool released;
    bool wait_ack; /**< INVITE with a non-2xx final */
    bool over;     /**< about to be freed */
    bool counted;
    bool routed;   /**< our own Route stood on top */
    const char *response_source; /**< static; NULL: none */
    char *last;    /**< newest response as sent */
    size_t last_n;
    uint32_t interval_ms; /**< timer G; 0: nothing is repeated */
    uint64_t deadline_ms; /**< timer H */
    void (*cancel_fn)(void *arg, struct epc_sip_in *in, const sip_t *cancel);
    void *cancel_arg;
    msg_t *cancel; /**< a CANCEL that came before cancel_fn was set */
    bool cancelled;
    struct epc_timer timer;
    struct tx_link remembered; /**< in epc_sip.remembered; deadline_ms says how long */
    char to_tag[17];
    const char *method; /**< these point behind the struct */
    const char *branch, *sent_by;
};

enum out_state {
    OUT_WAITING,   /**< no final response so far */
    OUT_LINGERING, /**< INVITE answered (2xx or local 408): repeated and forked 2xx still pass */
    OUT_OVER,
};

struct epc_sip_out {
    struct epc_hnode node; /**< in wic_out */
    bool in_table;
    struct flow_ref ref;
    struct tx_link link;
    struct epc_sip *s; /**< NULL once the agent was destroyed */
    enum epc_leg leg;
    uint64_t flow_id;
    enum out_state state;
    bool invite, got_1xx, cancel_wanted, cancel_sent;
    msg_t *req; /**< as sent; on the WIC leg with our Via */
    struct core_tx *tx; /**< core leg */
    char *cancel_reason;
    epc_sip_response_fn *fn;
    void *arg;
    struct epc_timer timer;
    char branch[EPC_SIP_BRANCH_LEN];
};

/* message.c: making and checking whole messages */
msg_t *epc_sip_make_response(const sip_t *req, int status, const char *phrase, const char *to_tag,
                             const char *extra);
/** ACK to a non-2xx or CANCEL: the same transaction as @p req, of which only the top Via is kept
 *  when @p with_via. @p to NULL: the request's To. */
msg_t *epc_sip_make_inner(const sip_t *req, sip_method_t method, const char *name,
                          const sip_to_t *to, bool with_via, const char *extra);
/** Replace all Via fields of @p msg by those of @p from. */
enum epc_err epc_sip_copy_vias(msg_t *msg, const sip_t *from);
enum epc_err epc_sip_copy_record_routes(msg_t *msg, const sip_t *from);
/** Content-Length and separator in place, header chain made. */
enum epc_err epc_sip_finish(msg_t *msg);
void epc_sip_trace_msg(enum epc_trace_point point, bool out, const char *peer, msg_t *msg);
void epc_sip_new_branch(char out[EPC_SIP_BRANCH_LEN]);

/* text.c */
/** As epc_sip_parse(), but octets of any value may stand behind the header, of @p head octets. */
msg_t *epc_sip_parse_octets(const char *p, size_t n, size_t head);
/** To edit and send on (gives): the fields' own, their text the original's, which lives as long as the copy
 *  does. No text of either may be written to. NULL when out of memory. */
msg_t *epc_sip_copy(msg_t *msg);

/* frame.c */
enum epc_sip_frame { EPC_FRAME_WHOLE, EPC_FRAME_MORE, EPC_FRAME_BAD, EPC_FRAME_TOO_LARGE };
struct epc_sip_extent {
    size_t head; /**< header with its empty line; 0: no end of it yet */
    size_t body;
    bool has_length;
};
/** How far the message reaches that @p p begins with. BAD: Content-Length is no number, or there are
 *  two of them. TOO_LARGE: beyond EPC_SIP_MAX_OCTETS. */
enum epc_sip_frame epc_sip_frame(const char *p, size_t n, struct epc_sip_extent *e);

/* check.c */
/** Sanity of a parsed request. @return 0 or the status to answer; @p c filled, @p extra the headers
 *  to answer with ("" = none). */
int epc_sip_check_request(msg_t *msg, struct epc_cause *c, char extra[256]);
/** Sanity of a parsed response (false: drop it). */
bool epc_sip_check_response(msg_t *msg);
unsigned epc_sip_count_headers(const char *p, size_t n);

/* token.c */
/** Pop our own entries off the top of Route. EPC_OK: *flow_id from the token, as the flow is called
 *  now; EPC_ENOENT: no token there; EPC_EAUTH: a token that does not verify, or tokens of two flows.
 *  @p own the sender's flow: its own token names it whatever came after it; 0 on the core leg. */
enum epc_err epc_sip_pop_routes(struct epc_sip *s, msg_t *msg, uint64_t own, uint64_t *flow_id);
enum epc_err epc_sip_token_init(struct epc_sip *s, const unsigned char key[32]) EPC_MUST_CHECK;
void epc_sip_token_free(struct epc_sip *s);

/* moved.c */
enum epc_err epc_sip_moved_init(struct epc_sip *s) EPC_MUST_CHECK;
void epc_sip_moved_free(struct epc_sip *s);

/* core.c */
enum epc_err epc_sip_core_open(struct epc_sip *s) EPC_MUST_CHECK;
/** Literal address, port, transport. EPC_EPROTO when there is none. */
enum epc_err epc_sip_core_next_hop(struct epc_sip *s, msg_t *msg, const char *next_hop,
                                   struct epc_sip_next_hop *out) EPC_MUST_CHECK;

/* core_client.c: client transactions of the core leg */
bool epc_core_tx_eq(const struct epc_hnode *node, const void *key);
/** Send @p msg (borrowed) with our Via and out->branch; again until answered.
 *  @return EPC_OK, EPC_ENOMEM, EPC_EIO, EPC_ELIMIT (no connection, or one that is full) */
enum epc_err epc_core_tx_start(struct epc_sip_out *out, msg_t *msg, const struct core_hop *hop,
                               bool any_transport) EPC_MUST_CHECK;
void epc_core_tx_cancel(struct epc_sip_out *out, const char *extra);
/** @p out ends; the transaction stays only to acknowledge a refusal again. */
void epc_core_tx_leave(struct epc_sip_out *out);
void epc_core_tx_orphan(struct tx_link *l);
/** False: of no transaction; @p msg is taken otherwise. */
bool epc_core_tx_response(struct epc_sip *s, msg_t *msg);
void epc_core_tx_unreadable(struct epc_sip *s, const char *branch, sip_method_t method, int status);
void epc_core_tx_wait_failed(struct core_wait *w, const char *why);
void epc_core_tx_bounced(struct epc_sip *s, const char *quote, size_t n, int err);
enum epc_err epc_core_send_stateless(struct epc_sip *s, msg_t *msg, const struct core_hop *hop,
                                     bool any_transport) EPC_MUST_CHECK;

/* refuse.c: overload */
void epc_sip_overload_open(struct epc_sip *s);
void epc_sip_overload_close(struct epc_sip *s);
/** True: the shard is overloaded, and the request that @p p may be was refused with 503. */
bool epc_sip_refuse_wic(struct epc_sip *s, struct epc_flow *flow, const char *p, size_t n);
/** True: this request of the core's, of no transaction so far, is to be refused with 503. */
bool epc_sip_refuse_core(struct epc_sip *s, const sip_t *sip);

/* wic.c */
/** Text of @p msg to a flow. @p text, when not NULL, gets the text (gives).
 *  EPC_ENOENT when the flow is gone. */
enum epc_err epc_sip_wic_send(struct epc_sip *s, uint64_t flow_id, msg_t *msg, char **text,
                              size_t *text_n) EPC_MUST_CHECK;
enum epc_err epc_sip_wic_send_text(struct epc_sip *s, uint64_t flow_id, const char *p, size_t n,
                                   const char *call_id) EPC_MUST_CHECK;

/* server.c */
/** Takes @p msg, unless NULL is returned. @p hop core leg: where answers go. */
struct epc_sip_in *epc_sip_in_new(struct epc_sip *s, enum epc_leg leg, uint64_t flow_id, msg_t *msg,
                                  const struct core_hop *hop);
/** RFC 3261 17.2.3 */
struct epc_sip_in *epc_sip_in_find_core(struct epc_sip *s, const sip_via_t *via, const char *method);
struct epc_sip_in *epc_sip_in_find(struct epc_sip *s, uint64_t flow_id, const char *branch,
                                   const char *method);
const char *epc_sip_in_tag(struct epc_sip_in *in);
bool epc_sip_in_eq(const struct epc_hnode *node, const void *key);
bool epc_sip_in_core_eq(const struct epc_hnode *node, const void *key);
void epc_sip_in_repeat(struct epc_sip_in *in);
void epc_sip_in_acked(struct epc_sip_in *in);
void epc_sip_in_cancelled(struct epc_sip_in *in, msg_t *cancel);
void epc_sip_in_orphan(struct epc_sip_in *in); /**< the agent goes away */

/* client.c */
bool epc_sip_out_eq(const struct epc_hnode *node, const void *key);
/** On the WIC leg. */
struct epc_sip_out *epc_sip_out_find(struct epc_sip *s, const char *branch);
uint64_t epc_sip_branch_hash(const char *branch);
/** A response (gives @p msg, our Via on top still). */
void epc_sip_out_response(struct epc_sip_out *out, msg_t *msg);
/** 408 or 503 of our own making. */
void epc_sip_out_local(struct epc_sip_out *out, int status);
void epc_sip_out_flow_gone(struct epc_sip_out *out);
void epc_sip_out_orphan(struct epc_sip_out *out);

/* sip.c */
void epc_sip_link(struct tx_link **list, struct tx_link *l);
void epc_sip_unlink(struct tx_link *l);
void epc_sip_ref_add(struct epc_sip *s, struct flow_ref *r, uint64_t flow_id);
void epc_sip_ref_del(struct epc_sip *s, struct flow_ref *r);

#endif
