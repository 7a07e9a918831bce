/* Door of registration/: who is registered on which flow. Spec: TS 23.228 U.2.1, TS 24.229 5.2.2,
 * TS 24.371, TS 33.203 Annex U (TNA), RFC 5626, RFC 8898. Thread: the shard's. */
#ifndef EPC_REGISTRATION_H
#define EPC_REGISTRATION_H

#include "auth/auth.h"
#include "sip/sip.h"

struct epc_reg;

/** One registration: (IMPI, instance, reg-id) on a flow. Read-only outside the room; valid until the
 *  `gone` hook has returned. */
struct epc_binding {
    uint64_t flow_id;
    const char *impi;
    const char *const *impus;         /**< what may be asserted: the core's sets (P-Associated-URI, without
                                           barred ones), less what a token took back; of a pool, the one */
    size_t n_impus;                   /**< at least 1; impus[0] is the default identity */
    const char *const *service_route; /**< URIs in order, NULL-terminated; may be empty */
    const char *contact;              /**< the WIC's Contact URI */
    enum epc_reg_modes mode;          /**< one bit */
    const char *wwsf;                 /**< id, may be NULL in Digest mode */
    uint64_t expires_at_ms;           /**< epc_now_ms() clock */
    uint64_t token_expires_at_s;      /**< wall clock; 0 in Digest mode */
    const char *charging_functions;   /**< P-Charging-Function-Addresses of the 200, or NULL */
    bool anonymous;                   /**< pool user whom nobody knows: `Privacy: id` applies (RFC 3325 9.3) */
    bool over;                        /**< the token has ended; only calls that are up go on */
    const char *contact_params;       /**< instance and reg-id: ";+sip.instance=...;reg-id=1", or "" */
};

/** Hook for rooms above: the binding is about to be forgotten (expired, de-registered, flow lost). */
typedef void epc_reg_gone_fn(void *arg, const struct epc_binding *b, const char *why);

enum epc_err epc_reg_create(struct epc_reg **out, struct epc_shard *sh, struct epc_sip *sip,
                            struct epc_auth *auth, const struct epc_config *cfg) EPC_MUST_CHECK;
void epc_reg_destroy(struct epc_reg *r); /**< NULL-safe */
void epc_reg_set_wss(struct epc_reg *r, struct epc_wss *w);

/** The shards of the node and what lives on them, index by shard. The arrays are borrowed for the life
 *  of the object. @p regs and @p wss may be filled in later: each slot is written and read on its own
 *  shard's thread alone. */
struct epc_reg_peers {
    struct epc_shard *const *shards;
    struct epc_reg *const *regs;
    struct epc_wss *const *wss;
    size_t n;
};
/** Without this the object is the only one of the node. Before any REGISTER. */
void epc_reg_set_peers(struct epc_reg *r, const struct epc_reg_peers *peers);
void epc_reg_on_gone(struct epc_reg *r, epc_reg_gone_fn *fn, void *arg);
/** Hook for rooms above: the binding has come into force or was refreshed. */
typedef void epc_reg_bound_fn(void *arg, const struct epc_binding *b);
void epc_reg_on_bound(struct epc_reg *r, epc_reg_bound_fn *fn, void *arg);
/** What the policy function knows of a flow's access network: the value of a network-provided
 *  P-Access-Network-Info for REGISTERs towards the core, borrowed; NULL: nothing. */
typedef const char *epc_reg_access_fn(void *arg, uint64_t flow_id);
void epc_reg_on_access(struct epc_reg *r, epc_reg_access_fn *fn, void *arg);
/** The same instance came back on another connection of this shard: called when the new binding is in
 *  force and before the old one is dropped; the `gone` hook is not called for the old one then. */
typedef void epc_reg_moved_fn(void *arg, uint64_t old_flow_id, uint64_t new_flow_id);
void epc_reg_on_moved(struct epc_reg *r, epc_reg_moved_fn *fn, void *arg);

/** Are there calls on that flow? Asked at the end of a token when registration.token_end_calls is keep:
 *  the flow and its identity stay for them, nothing new begins, and the end comes after the last one. */
typedef bool epc_reg_busy_fn(void *arg, uint64_t flow_id);
void epc_reg_on_token_end(struct epc_reg *r, epc_reg_busy_fn *fn, void *arg);

/** Takes over a REGISTER of a WIC (answers and releases @p in). */
void epc_reg_handle(struct epc_reg *r, struct epc_sip_in *in);
/** May this request of a registered WIC pass? Checks expiry, a Bearer credential if one is present
 *  (RFC 8898), and that it belongs to the flow's IMPI.
 *  Calls @p done exactly once, now or later, with EPC_OK and the binding, or with the cause and the
 *  WWW-Authenticate value ("" = none) to answer. */
typedef void epc_reg_checked_fn(void *arg, enum epc_err err, const struct epc_binding *b,
                                const struct epc_cause *cause, const char *www_authenticate);
void epc_reg_check(struct epc_reg *r, struct epc_sip_in *in, epc_reg_checked_fn *done, void *arg);
/** May the user of @p b assert @p uri (TS 24.229 5.2.6.3)? It may if @p uri is one of its identities,
 *  the tel or sip companion of one (same number in the home domain), or fits a wildcarded one (TS 23.003
 *  13.5). Pure, any thread that may read @p b.
 *  @param uri addr-spec, any parameters. @param[out] asserted gives what to write into
 *  P-Asserted-Identity, on true: free(); may be NULL. False also when out of memory. */
bool epc_reg_may_assert(const struct epc_binding *b, struct epc_str uri, char **asserted);
/** Wildcarded public identity: an expression between exclamation marks, nobody's own URI. */
bool epc_reg_is_wildcard(struct epc_str impu);
/** NOTIFY of the core's to this node itself (no flow token): for our reg-event subscriptions? */
bool epc_reg_owns(struct epc_reg *r, const struct epc_sip_in *in);
/** Answers and releases @p in (RFC 6665 4.1.3): 200, 481 no such dialog, 489, 415 or 400. */
void epc_reg_notify(struct epc_reg *r, struct epc_sip_in *in);
/** Revoke an IMPI on every shard: its bindings end with their calls, the core is told, its
 *  connections are closed with 1008, tokens issued before are refused (TS 24.229 5.2.8).
 *  Thread: the shard's own. */
void epc_reg_revoke(struct epc_reg *r, const char *impi);
/** The same on this shard alone, for one IMPI or, with @p impi NULL, for whoever came by way of that
 *  WWSF. Returns how many connections it met. */
size_t epc_reg_revoke_here(struct epc_reg *r, const char *impi, const char *wwsf, uint64_t before_s);
/** NULL when nobody is registered on that flow. */
const struct epc_binding *epc_reg_by_flow(struct epc_reg *r, uint64_t flow_id);
void epc_reg_flow_closed(struct epc_reg *r, uint64_t flow_id);
void epc_reg_each(struct epc_reg *r, void (*fn)(const struct epc_binding *b, void *arg), void *arg);
/** The reg-event subscriptions that this shard looks after. */
void epc_reg_each_subscription(struct epc_reg *r,
                               void (*fn)(const char *impi, const char *state, size_t flows, void *arg),
                               void *arg);
/** The state machines of registration and subscription as Graphviz graphs, for the documentation. */
void epc_reg_fsm_print(FILE *out);

#endif
