/* Inside the H.248 back end. Below this header: the node's associations with its gateways (MGs).
 *   hub.c    the hub, its clients, which gateway a new context goes to; one thread for all
 *   link.c   TCP (TPKT) and UDP;  tpkt.c  the framing
 *   trans.c  transactions, both ways: repetition, Pending, at most once
 *   assoc.c  associations: ServiceChange, audits, heartbeat
 * Above it: what an offer, an answer and a release mean on Iq (context.c, operation.c, events.c, names.c).
 *
 * The hub lives on the thread of the shard with index 0; each shard has a client of it. All functions
 * here are for the client's own thread, and all callbacks run there. */
#ifndef EPC_H248_PRIV_H
#define EPC_H248_PRIV_H

#include "gateway/gateway_priv.h"
#include "h248/h248.h"

struct h248_client;

enum { H248_MG_ANY = 0 };      /* gateways have numbers from 1 on, for the life of the process */
#define H248_CONTEXT_ALL UINT32_C(0xffffffff) /* H.248.1 Annex A */
enum { H248_MG_NAME_LEN = 64 }; /* of a gateway's MID as text, NUL included */

/* ---- the hub ------------------------------------------------------------------------------------ */

/** For epc_gw_ops.hub_create. Nothing is opened yet. Main thread. @return EPC_OK, EPC_ENOMEM */
enum epc_err h248_hub_create(struct epc_gw_hub **out, const struct epc_cfg_media *cfg) EPC_MUST_CHECK;

/* ---- what happens by itself at a gateway ---------------------------------------------------------- */

struct h248_client_ops {
    /** A Notify on a context that this client created. @p cmd borrowed.
     *  @return 0: accepted, else the H.248 error code that answers it (430: no such termination) */
    unsigned (*notify)(void *arg, unsigned mg, uint32_t context, const struct epc_h248_command *cmd);
    /** Terminations of one context (or, with H248_CONTEXT_ALL, of all of this client's contexts there)
     *  change service: @p cmd is the ServiceChange, its termination may hold wildcards. Borrowed. */
    void (*service_change)(void *arg, unsigned mg, uint32_t context, const struct epc_h248_command *cmd);
    /** The gateway no longer has this context (audit after a reconnection). Nothing is to be subtracted. */
    void (*context_gone)(void *arg, unsigned mg, uint32_t context);
    /** The gateway restarted, or did not come back in time: it has none of this client's contexts. */
    void (*mg_lost)(void *arg, unsigned mg);
};

/** A shard's access to the hub; with the shard of index 0 the hub begins its work.
 *  @param ops, arg borrowed for the life of the client.
 *  @return EPC_OK, EPC_ENOMEM, EPC_EIO (a listener cannot be opened; logged) */
enum epc_err h248_client_create(struct h248_client **out, struct epc_gw_hub *hub, struct epc_shard *sh,
                                const struct epc_cfg_media *cfg, const struct h248_client_ops *ops,
                                void *arg) EPC_MUST_CHECK;
/** Open requests are forgotten (no callback). The shard of index 0 comes last: the hub ends in good order
 *  (ServiceChange to the gateways) and holds the shard until it has. NULL-safe. */
void h248_client_destroy(struct h248_client *c);

/* ---- requests ------------------------------------------------------------------------------------- */

struct h248_reply {
    unsigned mg;             /**< who served it, also where no reply came; 0: nobody was asked */
    const char *mg_name;     /**< its MID; never NULL. For logs and epc_gw_view.gateway */
    unsigned error;          /**< the transaction as a whole was refused with this code; 0: see `reply` */
    const struct epc_h248_transaction *reply; /**< action replies; NULL where there are none */
};
/** @p err
 *  EPC_OK        there is a reply: `error`, or `reply` (commands in it may hold errors of their own)
 *  EPC_ELIMIT    no gateway has room now (all avoided, draining or full); nothing was sent
 *  EPC_ENOENT    no gateway is registered, or the one asked for is lost; nothing was sent
 *  EPC_ETIMEDOUT no reply in time, or Pending for too long: whether it was carried out is not known
 *  EPC_EIO       the link broke with the request open: as EPC_ETIMEDOUT
 *  EPC_EPROTO    the reply could not be read: as EPC_ETIMEDOUT
 *  A context that a request with `$` may have created, but nobody heard of (those errors, and forgotten
 *  requests), is subtracted by the hub as soon as it shows.
 *  @p r borrowed; never NULL. */
typedef void h248_reply_fn(void *arg, enum epc_err err, const struct h248_reply *r);

struct h248_request_opts {
    unsigned mg;             /**< H248_MG_ANY: by load, for a new context */
    bool emergency;          /**< takes a gateway also where others would be turned away */
    const char *key;         /**< SIP Call-ID for the trace; may be NULL */
};
/** Send the actions of @p actions as one transaction. Its header and the transaction id are filled in by
 *  the hub.
 *  @param actions a message with one transaction request; takes, and *actions is NULL afterwards, whatever
 *  is returned. It may be used by the hub's thread: nothing in it may belong to others.
 *  @param[out] handle for h248_forget(), valid until @p done; may be NULL.
 *  @p done runs exactly once, never inside this call.
 *  @return EPC_OK, EPC_ENOMEM, EPC_EAGAIN (hub too busy), EPC_ENOENT (hub ended): then no callback */
enum epc_err h248_request(struct h248_client *c, const struct h248_request_opts *o,
                          struct epc_h248_message **actions, h248_reply_fn *done, void *arg,
                          uint64_t *handle) EPC_MUST_CHECK;
/** @p done of that request will not run. What was sent stays sent. */
void h248_forget(struct h248_client *c, uint64_t handle);

/** The context is done with (subtracted, or known to be gone): no longer counted, its Notifys get 411. */
void h248_context_ended(struct h248_client *c, unsigned mg, uint32_t context);

/* ---- what is known of a gateway --------------------------------------------------------------------- */

/** Does every gateway in service have that package (in any version)? As the audits said; false when none
 *  is registered. Any thread. @p package lower case. @p mg H248_MG_ANY: all in service. */
bool h248_has_package(struct h248_client *c, unsigned mg, const char *package);
/** For epc_gw_ops.each: asks no other thread, shows what the hub last published. */
void h248_each(struct h248_client *c, void (*fn)(const char *line, void *arg), void *arg);

#endif
