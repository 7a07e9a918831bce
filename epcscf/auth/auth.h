/* Door of auth/: who may register what. Verifies the WWSF's tokens, on its own with the issuer's keys
 * (RFC 7517) or by asking the issuer (RFC 7662); knows nothing of SIP state.
 * Spec: TS 23.228 U.2.1.3, TS 33.203 X.4, RFC 8898, RFC 7519, RFC 8725. Thread: the shard's, one
 * epc_auth a shard. Files and names are read by threads of its own; only creation blocks. */
#ifndef EPC_AUTH_H
#define EPC_AUTH_H

#include "base/base.h"
#include "config/config.h"
#include "shard/shard.h"

struct epc_auth;

/** What a valid token grants. Never changes once made, for several may hold it; each gives its share back
 *  with epc_identity_free(). */
struct epc_identity {
    char *impi;            /**< user@realm */
    char **impus;          /**< canonical sip:/tel: URIs, at least one */
    size_t n_impus;
    char *wwsf;            /**< azp or client_id */
    char *issuer;
    uint64_t expires_at_s; /**< wall clock */
    uint64_t token_hash;   /**< tells tokens apart without keeping them */
    uint64_t issued_at_s;  /**< iat, wall clock; 0 = the token does not say */
    bool pool;             /**< lent from the WWSF's pool: exactly one impu (TS 33.203 X.4) */
    bool anonymous;        /**< pool user whom nobody knows: Privacy is applied */
    unsigned holders;      /**< private */
    struct proven *proven; /**< private */
    char *waf;             /**< authorization-entity of this issuer; NULL =
                                registration.authorization_entity */
};
void epc_identity_free(struct epc_identity *id); /**< NULL-safe */
/** A further share, for epc_identity_free(). */
static inline struct epc_identity *epc_identity_share(struct epc_identity *id)
{
    id->holders++;
    return id;
}

/** EPC_EIO: a key file cannot be read or holds no usable key (logged with file and reason). */
enum epc_err epc_auth_create(struct epc_auth **out, struct epc_shard *sh,
                             const struct epc_cfg_tokens *cfg) EPC_MUST_CHECK;
void epc_auth_destroy(struct epc_auth *a); /**< NULL-safe */

/** The one whose token this was has shown a newer one: nothing is kept of it for the next time. @p id borrowed */
void epc_auth_superseded(struct epc_auth *a, struct epc_identity *id);

/** Tokens for @p impi that were issued at @p before_s (wall clock) or earlier, or do not say when, are
 *  refused from now on, with 401, until the last of them has expired. Bounded: when too many IMPIs are
 *  revoked at a time, the oldest revocation is widened to tokens for everybody, never dropped. */
void epc_auth_revoke(struct epc_auth *a, const char *impi, uint64_t before_s);

/** Read or fetch the keys of all issuers again, without blocking. What cannot be had keeps the keys it
 *  has (logged). */
void epc_auth_reload(struct epc_auth *a);

/** Find the one Bearer credential among the raw values of Authorization and Proxy-Authorization
 *  header fields. Both syntaxes: `Bearer <token68>` and `Bearer access_token="<token>"`.
 *  @param[out] token slice into @p values
 *  @return EPC_OK, EPC_ENOENT (none), EPC_EPROTO (does not parse, or two, or Bearer beside Digest) */
enum epc_err epc_auth_find_bearer(const struct epc_str *values, size_t n, struct epc_str *token,
                                  struct epc_cause *cause) EPC_MUST_CHECK;

/** Result of a verification. @p id gives on EPC_OK, else NULL. On error @p cause holds SIP status
 *  and reason, and @p www_authenticate the value of the header to add to the answer, or "". */
typedef void epc_auth_done_fn(void *arg, enum epc_err err, struct epc_identity *id,
                              const struct epc_cause *cause, const char *www_authenticate);

/** Check signature, issuer, audience, lifetime, scope, WWSF and its Origin, pool, revocation.
 *  Refusals: 401 with challenge (does not hold), 403 (holds, but not for this), 503 with Retry-After
 *  (the issuer cannot be asked; no challenge).
 *  @param token borrowed for the call. @param origin entry that the flow matched, or NULL.
 *  @p done may run before this returns, or later on the same shard; exactly once.
 *  @return a handle for epc_auth_cancel(), or NULL if @p done has run already. */
struct epc_auth_pending *epc_auth_verify(struct epc_auth *a, struct epc_str token,
                                         const struct epc_cfg_origin *origin,
                                         epc_auth_done_fn *done, void *arg);
void epc_auth_cancel(struct epc_auth_pending *p); /**< `done` will not run; NULL-safe */

/** Value of WWW-Authenticate for a request without credentials (RFC 8898 2.2). malloc'd (gives),
 *  NULL when out of memory. @param error NULL, "invalid_token" or "invalid_scope" */
char *epc_auth_challenge(const struct epc_auth *a, const char *error);
/** As above, with realm, scope and authorization server of the issuer that serves the Origin's WWSF.
 *  @param origin entry that the flow matched, or NULL */
char *epc_auth_challenge_for(const struct epc_auth *a, const struct epc_cfg_origin *origin,
                             const char *error);

/** As epc_canonical_impu(). */
static inline char *epc_auth_canonical_impu(struct epc_str uri)
{
    return epc_canonical_impu(uri);
}

#endif
