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
    const char *const *impus;         /**< P-Associated-URI of the 200 without barred ones, in order */
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
};

/** Hook for rooms above: the binding is about to be forgotten (expired, de-registered, flow lost). */
typedef void epc_reg_gone_fn(void *arg, const struct epc_binding *b, const char *why);

enum epc_err epc_reg_create(struct epc_reg **out, struct epc_shard *sh, struct epc_sip *sip,
                            struct epc_auth *auth, const struct epc_config *cfg) EPC_MUST_CHECK;
void epc_reg_destroy(struct epc_reg *r); /**< NULL-safe */
void epc_reg_set_wss(struct epc_reg *r, struct epc_wss *w);
void epc_reg_on_gone(struct epc_reg *r, epc_reg_gone_fn *fn, void *arg);

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
/** NULL when nobody is registered on that flow. */
const struct epc_binding *epc_reg_by_flow(struct epc_reg *r, uint64_t flow_id);
void epc_reg_flow_closed(struct epc_reg *r, uint64_t flow_id);
void epc_reg_each(struct epc_reg *r, void (*fn)(const struct epc_binding *b, void *arg), void *arg);
/** The registration state machine as a Graphviz graph, for the documentation. */
void epc_reg_fsm_print(FILE *out);

#endif
