/* Inside registration/: one record a flow, at most one REGISTER of it under way, at most one
 * binding on it. */
#ifndef EPC_REGISTRATION_PRIV_H
#define EPC_REGISTRATION_PRIV_H

#include "registration/registration.h"

#include <sofia-sip/msg_header.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/url.h>

/** A REGISTER with more Authorization fields is refused. */
#define REG_CREDENTIALS_MAX 8
/** A REGISTER with more Contacts is refused. */
#define REG_CONTACTS_MAX 8

#define REG_STATES_LIST(X)                                                                         \
    X(IDLE, "idle")             /* nobody registered on the flow */                                \
    X(PENDING, "pending")       /* first REGISTER is at the core */                                \
    X(CHALLENGED, "challenged") /* the core's challenge is with the WIC (reg-await-auth) */        \
    X(ACTIVE, "active")         /* registered */                                                   \
    X(REFRESHING, "refreshing") /* registered, another REGISTER is at the core */                  \
    X(LEAVING, "leaving")       /* registered, the de-registration is at the core */               \
    X(LOST, "lost")             /* registered, the flow is gone: the WIC may come back */          \
    X(OVER, "over")             /* the token has ended, calls that are up go on */                 \
    X(ORPHAN, "orphan")         /* first REGISTER is at the core, but the flow is gone */          \
    X(GONE, "gone")             /* about to be freed */
#define REG_EVENTS_LIST(X)                                                                         \
    X(REGISTER, "register")                                                                        \
    X(DEREGISTER, "deregister")                                                                    \
    X(QUERY, "query")       /* REGISTER that changes nothing on this flow */                       \
    X(ACCEPTED, "accepted") /* 200 with our contact */                                             \
    X(REMOVED, "removed")   /* 200 without it */                                                   \
    X(QUERIED, "queried")   /* 200 to a query */                                                   \
    X(CHALLENGED, "challenged") /* 401 to Digest */                                                \
    X(REFUSED, "refused")   /* any other final answer, or none */                                  \
    X(EXPIRED, "expired")                                                                          \
    X(FLOW_CLOSED, "flow-closed")                                                                  \
    X(GRACE_OVER, "grace-over")                                                                    \
    X(REPLACED, "replaced") /* the same instance registered on another flow */                     \
    X(NETWORK, "network")   /* the core says that it is over */                                    \
    X(REVOKED, "revoked")

enum reg_state {
#define X(id, name) REG_##id,
    REG_STATES_LIST(X)
#undef X
        REG_STATES
};
enum reg_event {
#define X(id, name) REG_EV_##id,
    REG_EVENTS_LIST(X)
#undef X
        REG_EVENTS
};

/** A public identity that the WIC registered, and what came with it. */
struct reg_set {
    char *aor;
    char **impus; /**< implicit registration set, default identity first; NULL-terminated */
    size_t n_impus;
    uint64_t expires_at_ms, core_expires_at_ms;
};

/** What a 200 granted. The strings behind a struct epc_binding. */
struct reg_grant {
    char *impi, *username, *contact, *wwsf, *charging, *aor, *home;
    char *waf;            /**< authorization-entity of the token's issuer, or NULL */
    char *contact_params; /**< instance and reg-id as a WIC wrote them: ";+sip.instance=..." */
    char *key;            /**< IMPI, instance, reg-id: the same one replaces an older binding */
    char **impus, **service_route; /**< NULL-terminated */
    size_t n_impus;                /**< at least 1; what may be asserted, the default identity first */
    struct reg_set *sets;          /**< behind impus; in the order of their registration */
    size_t n_sets;
    char **granted;                /**< what the token lists */
    char **taken_back;             /**< what an earlier token listed and this one does not */
    char **lost;                   /**< to be taken out of the core, as of the grant before */
    size_t n_granted, n_taken_back, n_lost;
    enum epc_reg_modes mode;
    uint64_t expires_at_ms, core_expires_at_ms; /**< the latest of the sets' */
    uint64_t token_expires_at_s;
    uint64_t made_of; /**< tells refreshes apart that change more than times; 0: changed since it was made */
    bool ob;
    bool anonymous;
    bool aka; /**< made by IMS AKA over TLS */
};

struct reg_tx;
struct reg_record {
    struct epc_reg *r;
    struct epc_hnode by_flow, by_key;
    uint64_t flow_id;
    bool flow_open;
    unsigned failures;
    unsigned recent;          /**< REGISTER requests since minute_ms */
    uint64_t minute_ms;
    enum reg_state state;
    char *challenged;         /**< IMPI that the outstanding challenge is for; NULL: none, or not known */
    struct reg_tx *tx;        /**< REGISTER under way, or NULL */
    struct reg_grant *grant;  /**< NULL unless registered */
    struct epc_binding public; /**< view of grant; its address stays through refreshes */
    struct epc_identity *id; /**< what the token granted that was verified last; NULL: none */
    struct epc_timer expiry;  /**< of the binding; in CHALLENGED, of the challenge */
    struct epc_timer grace;
    struct epc_timer linger;    /**< ended by the core: until the connection is closed */
    bool moved;                 /**< REPLACED, and what hangs on it has moved along */
    bool rejected;              /**< ended by the core, for good */
    const char *why;            /**< REVOKED: the reason, static */
    uint64_t told;              /**< what the roll knows of the grant */
    char token[EPC_SIP_TOKEN_LEN]; /**< of the flow; "" until it is needed */
};

/** One REGISTER of a WIC, from its arrival to its final answer. */
struct reg_tx {
    struct reg_record *rec;
    struct epc_sip_in *in;
    struct epc_sip_out *out;
    struct epc_auth_pending *verifying;
    struct epc_identity *id;     /**< token mode */
    struct reg_grant *grant;     /**< on its way into the record */
    uint64_t renewed_ms, core_renewed_ms; /**< instead of that: the grant in force goes on until then */
    struct reg_claim *claim;     /**< the roll has been asked */
    struct reg_use *use;         /**< the token's home has been asked */
    enum epc_reg_modes mode;
    enum reg_event kind;         /**< REGISTER, DEREGISTER or QUERY */
    const sip_contact_t *contact; /**< this connection's, in the request; NULL: none, or "*" */
    char *aor;                   /**< To, canonical */
    char *home;                  /**< host of the Request-URI, lower case */
    char *impi;
    char *username;              /**< Digest: as the WIC writes it */
    bool has_authorization;      /**< Digest: the WIC sent one */
    bool has_response;           /**< Digest: it answers a challenge */
    bool aka;                    /**< Digest: AKAv2-SHA-256, IMS AKA over TLS (TS 33.203 P.1) */
    bool ob;                     /**< the WIC uses reg-id and outbound */
    bool supports_path;
    uint32_t expires_s;          /**< to ask the core for */
    bool capped;                 /**< the WIC asked for more, but its token ends before */
};

struct reg_check {
    struct reg_check *next, **prev;
    struct epc_reg *r;
    uint64_t flow_id, hash;
    struct epc_auth_pending *verifying;
    epc_reg_checked_fn *done;
    void *arg;
};

struct roll;
struct epc_reg {
    struct epc_shard *sh;
    struct epc_sip *sip;
    struct epc_auth *auth;
    const struct epc_config *cfg;
    struct epc_wss *wss;
    epc_reg_bound_fn *bound;
    void *bound_arg;
    epc_reg_access_fn *access;
    void *access_arg;
    epc_reg_gone_fn *gone;
    void *gone_arg;
    epc_reg_moved_fn *moved;
    void *moved_arg;
    epc_reg_busy_fn *busy;
    void *busy_arg;
    struct epc_hash by_flow, by_key;
    struct reg_check *checks;
    struct epc_reg_peers peers;
    struct roll *roll;
    struct reg_replay *replay;
    bool closing; /**< being destroyed */
};

/* fsm.c */
void reg_event(struct reg_record *rec, enum reg_event ev);
const char *reg_state_name(enum reg_state st);

/* registration.c */
/** Forget who was challenged on this flow. */
void reg_challenge_over(struct reg_record *rec);
struct reg_record *reg_record_find(const struct epc_reg *r, uint64_t flow_id);
/** Count a failed attempt; true when there were too many: the flow is being closed with 1008. */
bool reg_failed_attempt(struct reg_record *rec);
/** Answer with @p cause and end @p tx. @p www_authenticate "" or NULL: none. */
void reg_refuse(struct reg_tx *tx, const struct epc_cause *cause, const char *www_authenticate);
/** End @p tx, whatever it waits for. Without an answer so far, sip sends 500. */
void reg_tx_end(struct reg_tx *tx);
/** 401 with a Bearer challenge (RFC 8898 2.2). @p error NULL, or as epc_auth_challenge(). */
void reg_challenge(struct reg_tx *tx, const char *error);
/** Take the record out of the tables and free it at the end of the turn. */
void reg_record_drop(struct reg_record *rec);

/* mode.c */
/** Modes that the Origin of a flow allows; bits of enum epc_reg_modes. */
unsigned reg_modes(const struct epc_reg *r, const struct epc_cfg_origin *origin);
/** A REGISTER that has been read takes the way of its mode: to the claim, or refused. */
void reg_choose_mode(struct reg_tx *tx, const struct epc_cfg_origin *origin);

/* request.c: what a REGISTER says */
enum epc_err reg_read_request(struct reg_tx *tx, struct epc_cause *cause) EPC_MUST_CHECK;
enum epc_err reg_read_digest(struct reg_tx *tx, struct epc_cause *cause) EPC_MUST_CHECK;
/** The one Bearer credential of a request, from Authorization or Proxy-Authorization.
 *  @param[out] token gives, on EPC_OK: free(). @return as epc_auth_find_bearer(), or EPC_ENOMEM */
enum epc_err reg_find_bearer(const sip_t *sip, char **token, struct epc_cause *cause) EPC_MUST_CHECK;
/** Is it the Contact of the binding in force, however it is written? */
bool reg_own_contact(const struct reg_grant *g, const sip_contact_t *c);
/** redirect.c: answer a REGISTER that belongs to another eP-CSCF. @return whether it was, and @p tx is gone */
bool reg_redirect(struct reg_tx *tx) EPC_MUST_CHECK;
bool reg_same_contact(const sip_contact_t *a, const sip_contact_t *b);
/** A parameter's value without quotes; p == NULL when there is none. @p name with "=". */
struct epc_str reg_param(const void *header, const char *name);
/** Cut the next element off a comma-separated list. */
struct epc_str reg_next_item(struct epc_str *rest);
/** The URI of a name-addr or addr-spec. */
struct epc_str reg_item_uri(struct epc_str item);
static inline sip_t *reg_sip_of(const msg_t *msg)
{
    return (sip_t *)(void *)msg_object(msg);
}

/* forward.c: towards the core */
void reg_forward(struct reg_tx *tx);
/** TNA: the eP-CSCF plays the UE and takes the binding out of the core (TS 33.203 U.1), with all
 *  identities that the core still holds on it. */
void reg_core_deregister(struct epc_reg *r, uint64_t flow_id, const struct reg_grant *g);
/** The same for one identity that was registered on it. */
void reg_core_deregister_one(struct epc_reg *r, uint64_t flow_id, const struct reg_grant *g,
                             const char *aor);

/* claim.c: the roll, which knows who is registered on the other shards */
/** In place of reg_forward(): a REGISTER that would make a binding on this flow asks first whether it
 *  may. Then goes on with reg_forward(), refuses, or hands the connection over. @p tx may be gone. */
void reg_claim(struct reg_tx *tx);
void reg_claim_end(struct reg_tx *tx); /**< from reg_tx_end() */

/* replay.c: tokens.replay */
/** A token is remembered for so long after its end: it may be accepted while clocks differ. */
#define REG_REPLAY_SKEW_S 600
enum epc_err reg_replay_create(struct epc_reg *r) EPC_MUST_CHECK;
void reg_replay_destroy(struct epc_reg *r); /**< NULL-safe in r->replay */
/** The token of @p tx is good: has it been used by another instance? Goes on with reg_claim(), or
 *  refuses. */
void reg_replay_check(struct reg_tx *tx);
void reg_replay_end(struct reg_tx *tx); /**< from reg_tx_end() */
void reg_roll_bound(struct reg_record *rec);
void reg_roll_gone(struct reg_record *rec); /**< while the grant is still there */
/** Another flow has this key, or is about to: the core must not be told that it is over. */
bool reg_roll_contested(const struct epc_reg *r, uint64_t flow_id, const char *key);
/** FSM actions. */
void reg_network_end(struct reg_record *rec);
void reg_revoked(struct reg_record *rec);
void reg_revoked_and_drop(struct reg_record *rec);
/** @p why static: for the WIC, the log and the close frame. */
void reg_revoke_record(struct reg_record *rec, const char *why);

/* answer.c */
void reg_on_response(void *arg, struct epc_sip_out *out, int status, msg_t *resp);

/* binding.c */
void reg_grant_free(struct reg_grant *g);
/** What a 200 grants, into @p tx: where the 200 says what the last one said, the grant in force goes on.
 *  False when out of memory. */
bool reg_grant_make(struct reg_tx *tx, msg_t *resp, uint32_t core_expires_s, uint32_t expires_s) EPC_MUST_CHECK;
void reg_bind(struct reg_record *rec);
void reg_forget(struct reg_record *rec, const char *why);
void reg_start_grace(struct reg_record *rec);
/** Write rec->public anew and set the timer, after a change of the grant in force. */
void reg_renew(struct reg_record *rec);
/** What is in force for that key on this shard, whatever the flow; or NULL. */
const struct reg_grant *reg_grant_by_key(const struct epc_reg *r, const char *key);
char *reg_key(const char *impi, const sip_contact_t *contact);

/* sets.c: the public identities of a binding */
bool reg_list_add(char ***list, size_t *n, char *text); /**< takes @p text; false: out of memory */
void reg_list_free(char **list);
/** Fill in sets, impus and times from a 200 and from the grant that is in force now. */
bool reg_sets_build(struct reg_grant *g, const struct reg_tx *tx, msg_t *resp, uint32_t core_expires_s,
                    uint32_t expires_s);
void reg_sets_free(struct reg_grant *g);
/** Index of the set that holds @p aor; n_sets: none. */
size_t reg_set_of(const struct reg_grant *g, const char *aor);
/** Take one set out; never the last. False when out of memory: its names stay until the refresh. */
bool reg_set_end(struct reg_record *rec, size_t i);
/** The only set goes on until then. */
void reg_sets_renew(struct reg_grant *g, uint64_t until_ms, uint64_t core_until_ms);
uint64_t reg_sets_next_expiry(const struct reg_grant *g);
void reg_sets_cap(struct reg_grant *g, uint64_t until_ms); /**< no set beyond that */

/* check.c */
/** A token was verified on that flow: an older one is past. @p id borrowed */
void reg_note_token(struct reg_record *rec, struct epc_identity *id);
void reg_forget_token(struct reg_record *rec);
void reg_checks_cancel(struct epc_reg *r);

#endif
