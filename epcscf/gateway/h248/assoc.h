/* What the parts of an association call of each other. Thread: the hub's. */
#ifndef EPC_H248_ASSOC_H
#define EPC_H248_ASSOC_H

#include "gateway/h248/exec.h"

/* assoc.c */
void h248_mg_event(struct h248_mg *mg, enum mg_event e);

/* audit.c */
/** Packages, properties of the root, contexts: then MG_EV_CHECKED. Starts the heartbeat too. */
void h248_check_start(struct h248_mg *mg);
/** Subtract whatever stands in that reply: it has no owner. */
void h248_subtract_orphans(struct h248_mg *mg, const struct epc_h248_transaction *reply);
void h248_subtract_context(struct h248_mg *mg, uint32_t context);

/* change.c */
struct h248_mg *h248_mg_by_mid(const struct h248_hub *h, const struct epc_h248_mid *mid);
/** ServiceChange, from the gateway. */
enum h248_outcome h248_service_change(struct h248_exec *x, unsigned *error);
/** The gateway that may register from there with that MID: known, or made now.
 *  @return NULL, and @p error says why not */
struct h248_mg *h248_register(struct h248_hub *h, const struct h248_path *from,
                              const struct epc_h248_mid *mid, unsigned *error);
/** Tell it that we stop, as the configuration says. @p done as in h248_trans_send(). */
enum epc_err h248_order_stop(struct h248_mg *mg, h248_trans_fn *done, void *arg) EPC_MUST_CHECK;
/** Ask it to register again. */
void h248_order_registration(struct h248_mg *mg);

/* hub.c */
void h248_contexts_lost(struct h248_mg *mg); /**< all of them; the clients are told */
void h248_send_ack(struct h248_mg *mg, uint32_t id);
/** Answer a request with an error, without remembering it. */
void h248_refuse(struct h248_hub *h, const struct h248_path *to, unsigned version, uint32_t id, unsigned error,
                 const char *why);
/** @return the client that has this context there, or NULL */
struct h248_client *h248_context_owner(struct h248_hub *h, unsigned mg, uint32_t context);
/** Contexts of @p mg that @p seen does not hold are gone: the clients are told. Strangers are subtracted. */
void h248_contexts_compare(struct h248_mg *mg, const struct epc_h248_transaction *reply);
/** Hand x->command, a Notify, to @p c; h248_exec_answered() follows. */
enum epc_err h248_client_notify(struct h248_client *c, struct h248_exec *x, uint32_t context) EPC_MUST_CHECK;
/** Tell a ServiceChange on terminations to the client of @p context, or to all (NULL). */
void h248_clients_change(struct h248_hub *h, struct h248_client *only, struct h248_exec *x, uint32_t context);

enum epc_err h248_contexts_init(struct h248_hub *h) EPC_MUST_CHECK;
void h248_contexts_drop(struct h248_hub *h);
uint32_t h248_capacity(const struct h248_mg *mg); /**< contexts that it may hold */
/** Overload, reduction: from a Notify on the root. */
void h248_root_notified(struct h248_mg *mg, const struct epc_h248_command *cmd);

/* receive.c */
void h248_hub_received(void *arg, const struct h248_path *from, struct epc_str text);

/* facts.c */
enum epc_err h248_facts_init(struct h248_hub *h) EPC_MUST_CHECK;
void h248_facts_publish(const struct h248_mg *mg);
void h248_facts_load(const struct h248_mg *mg); /**< what changes with every call, alone */

#endif
