/* The roll of registration/: who is registered where, across the shards of the node.
 *
 * Each IMPI has a home shard (hash of the IMPI modulo shards). It keeps an entry for each flow on
 * which that IMPI is registered or about to be, owns the reg-event subscription, and tells the
 * shards of those flows what to do. Shards speak by message only; one that is for the own shard is
 * handled in place. */
#ifndef EPC_REGISTRATION_ROLL_PRIV_H
#define EPC_REGISTRATION_ROLL_PRIV_H

#include "registration/registration_priv.h"

/* ---- messages ------------------------------------------------------------------------------- */

#define REG_MSGS_LIST(X)                                                                           \
    X(CLAIM)    /* to the home: may this flow bind that key? */                                    \
    X(RELEASE)  /* to the home: the claim came to nothing */                                       \
    X(BOUND)    /* to the home: registered */                                                      \
    X(GONE)     /* to the home: registered no longer */                                            \
    X(VERDICT)  /* to the claimant: go on, or why not */                                           \
    X(END)      /* to a flow's shard: end that binding, another one takes its place */             \
    X(EVENT)    /* to a flow's shard: what the core said about that binding */                     \
    X(STRIP)    /* to a flow's shard: the core has taken one public identity away */               \
    X(REVOKE)   /* to every shard: that IMPI is revoked */                                         \
    X(TOKEN)    /* to the home: may this instance use that token? */                               \
    X(TOKEN_VERDICT) /* to the one who asked */

enum reg_msg_kind {
#define X(id) REG_MSG_##id,
    REG_MSGS_LIST(X)
#undef X
        REG_MSGS
};

struct reg_msg {
    struct reg_msg *next;        /**< in the queue of what could not be posted yet */
    enum reg_msg_kind kind;
    unsigned from, to;           /**< shards */
    struct epc_reg *const *slot; /**< the receiver's; read on its own thread alone */
    uint64_t flow_id, claim_id;
    uint64_t number;             /**< VERDICT: status; EVENT: enum reg_change; REVOKE: since, s;
                                      TOKEN: its hash; TOKEN_VERDICT: status */
    uint64_t expires_s;          /**< EVENT: what is left; TOKEN: wall clock */
    unsigned target;             /**< VERDICT: the shard to hand over to */
    bool pool, proven;           /**< CLAIM */
    bool fixed;                  /**< CLAIM: its connection cannot be handed over */
    bool same_key;               /**< END: the new binding is of the same instance */
    char *impi, *key;
    char *uri;                   /**< BOUND: the contact; STRIP: the identity */
    char *aor;                   /**< BOUND: default public identity */
    char *path;                  /**< BOUND: our URI in the Path */
};

/** What the core says about one binding (RFC 3680 5.3). */
enum reg_change { REG_CHANGE_EXPIRES, REG_CHANGE_ENDED, REG_CHANGE_REJECTED };

/** How long a connection outlives its registration when the core has ended that: for the core's NOTIFY
 *  to the WIC, and for the WIC to register again. */
#define REG_LINGER_MS          32000
#define REG_LINGER_REJECTED_MS 2000

/** Empty message of that kind; NULL when out of memory. */
struct reg_msg *reg_msg_new(enum reg_msg_kind kind, const char *impi, const char *key);
/** Deliver to shard @p to; takes @p m. In place for the own shard, else by post. What a full mailbox
 *  refuses is kept and sent later, in order; to a shard that is stopping it is dropped.
 *  @return false when it was dropped */
bool reg_send(struct epc_reg *r, unsigned to, struct reg_msg *m);
void reg_msg_free(struct reg_msg *m); /**< NULL-safe */
/** True while messages wait for a full mailbox: no time for new work. */
bool reg_congested(const struct epc_reg *r);
void reg_msgs_free(struct epc_reg *r);
unsigned reg_self(const struct epc_reg *r);
unsigned reg_home(const struct epc_reg *r, const char *impi);
unsigned reg_n_shards(const struct epc_reg *r);

/* ---- home side ------------------------------------------------------------------------------ */

enum roll_stage {
    ROLL_WAITING, /**< claimed; others end first */
    ROLL_CLAIMED, /**< its REGISTER is at the core */
    ROLL_BOUND,
};

struct roll_user;
struct roll_entry {
    struct roll_entry *next;
    struct roll_user *user;
    uint64_t flow_id, claim_id;
    unsigned shard;
    enum roll_stage stage;
    bool pool, proven;
    bool ending;        /**< its shard has been told to end it */
    char **aors;        /**< public identities for which the core has shown it as registered */
    size_t n_aors;
    bool named;         /**< by the reginfo document that is being read */
    bool lost;          /**< that document has taken an identity from it */
    bool rejected;      /**< and for good */
    char *key;
    char *contact;      /**< URI; NULL unless bound */
    char *path;         /**< our URI in its Path; NULL unless bound */
};

struct reg_sub;
struct roll_user {
    struct epc_hnode by_impi;
    struct epc_reg *r;
    char *impi;
    char *aor;          /**< default public identity, of the latest binding */
    struct roll_entry *entries;
    struct reg_sub *sub; /**< NULL: none */
    unsigned held;      /**< in use further up the stack */
};

struct roll {
    struct epc_hash users;         /**< home side: by IMPI */
    struct epc_hash claims;        /**< claimant's side: by id */
    struct epc_hash claims_by_key;
    struct epc_hash subs;          /**< home side: by Call-ID */
    uint64_t last_claim;
    struct reg_msg *unsent, **unsent_tail;
    struct epc_timer retry;
};

enum epc_err reg_roll_create(struct epc_reg *r) EPC_MUST_CHECK;
void reg_roll_destroy(struct epc_reg *r); /**< NULL-safe in r->roll */
/** What a shard tells the home of an IMPI. */
void roll_on_claim(struct epc_reg *r, const struct reg_msg *m);
void roll_on_release(struct epc_reg *r, const struct reg_msg *m);
void roll_on_bound(struct epc_reg *r, const struct reg_msg *m);
void roll_on_gone(struct epc_reg *r, const struct reg_msg *m);
void replay_on_token(struct epc_reg *r, const struct reg_msg *m);
void replay_on_verdict(struct epc_reg *r, const struct reg_msg *m);
struct roll_user *roll_user_find(const struct epc_reg *r, const char *impi);
/** Between these two, no entry's end frees the user. */
void roll_hold(struct roll_user *u);
void roll_let_go(struct roll_user *u);

/* ---- reg-event (regevent.c, subscription.c, notify.c) ---------------------------------------- */

#define SUB_STATES_LIST(X)                                                                         \
    X(NEW, "new")                                                                                  \
    X(SUBSCRIBING, "subscribing") /* the first SUBSCRIBE is at the core */                         \
    X(ACTIVE, "active")                                                                            \
    X(REFRESHING, "refreshing") /* another SUBSCRIBE of the dialog is at the core */               \
    X(WAITING, "waiting")       /* refused or ended: will be tried again */                        \
    X(ABANDONED, "abandoned")   /* not wanted any more, a SUBSCRIBE is at the core */              \
    X(ENDING, "ending")         /* SUBSCRIBE with Expires: 0 was sent */                           \
    X(OVER, "over")
#define SUB_EVENTS_LIST(X)                                                                         \
    X(WANTED, "wanted")                                                                            \
    X(UNWANTED, "unwanted") /* the last binding has gone */                                        \
    X(ACCEPTED, "accepted") /* 2xx */                                                              \
    X(LOST, "lost")         /* 481: the core knows no such dialog */                               \
    X(REFUSED, "refused")   /* any other final answer, or none */                                  \
    X(ENDED, "ended")       /* NOTIFY: Subscription-State: terminated */                           \
    X(STALE, "stale")       /* a NOTIFY is missing */                                              \
    X(TIMER, "timer")
enum sub_state {
#define X(id, name) SUB_##id,
    SUB_STATES_LIST(X)
#undef X
        SUB_STATES
};
enum sub_event {
#define X(id, name) SUB_EV_##id,
    SUB_EVENTS_LIST(X)
#undef X
        SUB_EVENTS
};

struct reg_sub {
    struct epc_hnode by_call_id;
    struct roll_user *user;
    enum sub_state state;
    bool wanted;
    char *aor;
    char call_id[33], tag[17];
    char *remote_tag, *target; /**< NULL: no dialog yet */
    char **routes;             /**< NULL-terminated, or NULL */
    uint32_t cseq, remote_cseq;
    bool has_remote_cseq;
    uint64_t until_ms;         /**< end of what the core granted; 0: no dialog */
    uint32_t expires_s;        /**< to ask for */
    uint32_t backoff_s;        /**< for the next time */
    uint32_t wait_s;           /**< said by the core; 0: by back-off */
    bool has_version;
    uint64_t version;          /**< of the last reginfo document */
    struct epc_sip_out *out;
    struct epc_timer timer;
};

/* subscription.c: the state machine */
void sub_event(struct reg_sub *s, enum sub_event ev); /**< @p s may be gone afterwards */
void sub_fsm_print(FILE *out);
const char *sub_state_name(enum sub_state st);
/* regevent.c: FSM actions */
void sub_subscribe(struct reg_sub *s);
void sub_refresh(struct reg_sub *s);
void sub_leave(struct reg_sub *s);
void sub_accepted(struct reg_sub *s);
void sub_wait(struct reg_sub *s);
void sub_over(struct reg_sub *s);
bool sub_has_dialog(const struct reg_sub *s);
void sub_arm(struct reg_sub *s, uint64_t after_s);
/** The dialog's far side, from a 2xx or a NOTIFY. @p from_notify: routes as they stand, else turned
 *  round (RFC 3261 12.1). */
enum epc_err sub_set_dialog(struct reg_sub *s, const sip_t *sip, bool from_notify) EPC_MUST_CHECK;
/* reginfo_apply.c */
struct reginfo;
void reginfo_apply(struct roll_user *u, const struct reginfo *info);

enum epc_err reg_subs_init(struct epc_reg *r) EPC_MUST_CHECK;
/** Is a subscription wanted, and is there one? */
void reg_sub_update(struct roll_user *u);
void reg_sub_free(struct roll_user *u); /**< without a word to the core */

/* ---- the flows' side ------------------------------------------------------------------------ */

struct reg_claim {
    struct epc_hnode by_id, by_key;
    uint64_t id;
    struct reg_tx *tx;
    char *key;
    bool fixed; /**< the connection stays on this shard */
    bool ended; /**< the home keeps no entry for it, or a binding by now */
};
void claim_on_verdict(struct epc_reg *r, const struct reg_msg *m);
void flow_on_end(struct epc_reg *r, const struct reg_msg *m);
void flow_on_event(struct epc_reg *r, const struct reg_msg *m);
void flow_on_strip(struct epc_reg *r, const struct reg_msg *m);
void flow_on_revoke(struct epc_reg *r, const struct reg_msg *m);

#endif
