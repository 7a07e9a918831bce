/* Inside the lower half of the H.248 back end: one hub a node, a struct for each gateway that ever
 * registered. All on the hub's thread, but where it says otherwise.
 *   hub.c     life, clients, crossing of threads, contexts, load sharing
 *   facts.c   what other threads may know of the gateways
 *   trans.c   our transactions;  exec.c  the gateways' ones
 *   assoc.c   state of an association;  change.c  ServiceChange;  audit.c  audits, heartbeat */
#ifndef EPC_H248_HUB_PRIV_H
#define EPC_H248_HUB_PRIV_H

#include <pthread.h>

#include "gateway/h248/h248_priv.h"
#include "gateway/h248/link.h"

enum {
    H248_MAX_GATEWAYS = 256,
    H248_MAX_PACKAGES = 64,
    H248_MAX_EXECS = 4096,  /* transactions of one gateway that are remembered; then the oldest is forgotten */
};

/** A message that was received, shared by those who work on its transactions; immutable. */
struct h248_in {
    atomic_uint refs;
    struct epc_h248_message *msg;
};
struct h248_in *h248_in_ref(struct h248_in *in);
void h248_in_unref(struct h248_in *in); /**< any thread; NULL-safe */

enum mg_state {
    MG_DOWN,  /* not registered */
    MG_CHECK, /* registered, being audited */
    MG_UP,
    MG_DRAIN, /* going out of service: what it has may end by itself */
    MG_LOST,  /* silent, or its connection broke: its contexts are held for its return */
    MG_STATES
};
struct h248_mail;
struct h248_facts;
enum mg_event {
    MG_EV_COLD,     /* registered anew without contexts */
    MG_EV_WARM,     /* registered again; contexts may have survived */
    MG_EV_CHECKED,
    MG_EV_GRACEFUL,
    MG_EV_RESUMED,  /* graceful, cancelled */
    MG_EV_FORCED,
    MG_EV_SILENT,   /* too many audits unanswered, or the connection broke */
    MG_EV_HEARD,    /* it answered again */
    MG_EV_OVER,     /* too late to come back */
    MG_EVENTS
};
const char *h248_state_name(enum mg_state s);
const char *h248_event_name(enum mg_event e);

struct h248_package {
    char name[24];
    unsigned version;
};

struct h248_mg {
    struct h248_hub *hub;
    unsigned number; /* from 1 */
    char mid[H248_MG_NAME_LEN];
    const struct epc_cfg_h248_gateway *cfg;
    enum mg_state state;
    struct h248_path path;
    bool reachable;              /* path may be used */
    unsigned version;            /* agreed */
    char profile[64];            /* agreed; "" = none */
    struct h248_package package[H248_MAX_PACKAGES];
    size_t n_packages;
    /* Properties of its root, 0 = not told. */
    uint32_t max_contexts, mg_pending_ms, mgc_pending_ms, mg_pending_limit, mgc_pending_limit, mg_execution_ms;
    uint32_t n_contexts, n_opening;
    uint64_t avoid_until_ms;
    unsigned reduction_percent;  /* of new contexts, as long as avoid_until_ms says */
    uint32_t rtt_us;             /* smoothed; 0 = not known */
    unsigned misses;
    bool drains;                 /* graceful, for as long as drain_ms says; 0 = any time */
    uint32_t drain_ms;
    bool beating;                /* an audit of the heartbeat is open */
    unsigned checks_open;        /* steps of MG_CHECK */
    uint32_t check_run;          /* tells the answers of an earlier check from this one's */
    bool answered;               /* since its registration */
    uint64_t registered_ms;
    struct epc_timer beat, recovery, drain;
    struct h248_trans *open;     /* all of ours, given-up ones too */
    unsigned n_open;
    struct h248_exec *execs, *oldest; /* newest first */
    unsigned n_execs;
    char key[24];                /* in the trace, where no call has one */
};

struct h248_hub {
    struct epc_gw_hub base;
    const struct epc_cfg_media *media;
    const struct epc_cfg_h248 *cfg;
    struct epc_shard *home;      /* set before other threads know of the hub */
    struct epc_shard *sh;        /* the same while it works, else NULL */
    struct h248_net *net;
    struct h248_mg *mg[H248_MAX_GATEWAYS];
    unsigned n_mgs;
    struct epc_hash trans, execs, contexts;
    uint32_t next_id, exec_serial, comparison;
    unsigned turn;               /* of load sharing between equals */
    struct h248_client *clients; /* attached */
    struct h248_mail *unsent, **unsent_tail; /* full mailboxes */
    struct epc_timer resend, stop_timer;
    bool stopping, in_take;
    unsigned stops_open;
    pthread_mutex_t facts_mutex;
    struct h248_facts *facts;    /* one a gateway, under the mutex */
    unsigned n_facts;            /* under it too */
};

/* ---- trans.c: our transactions -------------------------------------------------------------------- */

/** @p error and @p t as in struct h248_reply. @p in borrowed, holds @p t; NULL where no reply came. */
typedef void h248_trans_fn(void *arg, enum epc_err err, unsigned error, struct h248_in *in,
                           const struct epc_h248_transaction *t);
struct h248_trans {
    struct epc_hnode node;
    struct h248_mg *mg;
    struct h248_trans *next, **prev;
    uint32_t id;
    char *text, *key;
    size_t n;
    bool creates;      /* asks for a new context */
    bool late;         /* given up; its reply may still come, and is not for anybody */
    unsigned tries, pendings;
    uint64_t sent_us, wait_ms, deadline_ms;
    struct epc_timer timer;
    h248_trans_fn *done;
    void *arg;
};
enum epc_err h248_trans_init(struct h248_hub *h) EPC_MUST_CHECK;
/** Send one request to @p mg. @p msg: a message with that request, whose header and id are set here; or
 *  NULL, and @p actions is the text of its actions. Both borrowed.
 *  @p done runs later, exactly once, but for h248_trans_drop_all(). NULL: nobody waits.
 *  @return EPC_OK, EPC_ENOMEM, EPC_ELIMIT (too long for the transport), EPC_EIO: then no callback */
enum epc_err h248_trans_send(struct h248_mg *mg, struct epc_h248_message *msg, const char *actions,
                             const char *key, h248_trans_fn *done, void *arg) EPC_MUST_CHECK;
void h248_trans_reply(struct h248_mg *mg, struct h248_in *in, const struct epc_h248_transaction *t);
void h248_trans_pending(struct h248_mg *mg, uint32_t id);
/** What ties a message that came to others in the trace: the Call-ID of the request that it answers. */
const char *h248_key_of(const struct h248_mg *mg, const struct epc_h248_message *msg);
/** All open ones of @p mg end with @p err. */
void h248_trans_fail_all(struct h248_mg *mg, enum epc_err err);
void h248_trans_drop_all(struct h248_mg *mg); /**< without callbacks; frees the given-up ones too */

/** Its own connection, or none (UDP)? What is kept beyond a call may point to no other. */
bool h248_is_its_conn(const struct h248_mg *mg, const struct h248_path *from);

/* ---- exec.c: transactions of the gateways ------------------------------------------------------------ */

struct h248_exec;
enum epc_err h248_exec_init(struct h248_hub *h) EPC_MUST_CHECK;
/** A request of @p mg has come, perhaps again; the reply's header says @p version. */
void h248_exec_request(struct h248_mg *mg, const struct h248_path *from, unsigned version, struct h248_in *in,
                       const struct epc_h248_transaction *t);
void h248_exec_ack(struct h248_mg *mg, uint32_t first, uint32_t last);
void h248_exec_forget_conn(struct h248_mg *mg, const struct h248_conn *conn);
void h248_exec_drop_done(struct h248_mg *mg);
void h248_exec_drop_all(struct h248_mg *mg);
/** A shard has answered for a Notify. */
void h248_exec_answered(struct h248_hub *h, unsigned mg, uint32_t id, uint32_t serial, unsigned error);

#endif
