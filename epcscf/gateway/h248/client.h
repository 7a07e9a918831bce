/* A shard's access to the hub, and what travels between the two. */
#ifndef EPC_H248_CLIENT_H
#define EPC_H248_CLIENT_H

#include "gateway/h248/assoc.h"

/** Held by its shard until it is destroyed, by the hub while it is attached, and by each mail on its way. */
struct h248_client {
    atomic_uint refs;
    struct h248_hub *hub;
    struct epc_shard *sh;
    const struct h248_client_ops *ops;
    void *arg;
    /* The shard's: */
    bool ended;
    struct epc_hash open; /* requests without a result */
    uint64_t last_handle;
    /* The hub's: */
    struct h248_client *next;
    bool attached;
};
struct h248_client *h248_client_ref(struct h248_client *c);
void h248_client_unref(struct h248_client *c); /**< any thread */

enum h248_mail_kind {
    MAIL_ATTACH, MAIL_DETACH, MAIL_REQUEST, MAIL_ENDED, MAIL_ORPHAN, MAIL_NOTIFIED, /* to the hub */
    MAIL_RESULT, MAIL_NOTIFY, MAIL_CHANGE, MAIL_GONE, MAIL_MG_LOST                  /* to a client */
};
/** One message between a client and the hub. A request's goes there and comes back as its result. */
struct h248_mail {
    struct h248_mail *next; /* while the mailbox is full */
    enum h248_mail_kind kind;
    struct h248_client *client; /* a reference */
    unsigned mg, error;
    uint32_t context, id, serial;
    enum epc_err err;
    uint64_t handle;
    struct h248_request_opts opts;
    char *key;
    bool creates, again;          /* again: it was another gateway's before */
    char mg_name[H248_MG_NAME_LEN];
    struct epc_h248_message *msg; /* the request */
    struct h248_in *in;           /* holds the next two */
    const struct epc_h248_transaction *reply;
    const struct epc_h248_command *command;
};
/** @return NULL: out of memory */
struct h248_mail *h248_mail_new(struct h248_client *c, enum h248_mail_kind kind);
void h248_mail_free(struct h248_mail *m);
/** hub.c: one has come. Takes @p m. */
void h248_hub_take(struct h248_hub *h, struct h248_mail *m);
/** client.c: to its client's shard; waits while the mailbox there is full. Takes @p m. Hub's thread. */
void h248_mail_deliver(struct h248_hub *h, struct h248_mail *m);
void h248_mail_drop_unsent(struct h248_hub *h);
/** hub.c: begin and end of its work, on its thread. */
enum epc_err h248_hub_start(struct h248_hub *h, struct epc_shard *sh) EPC_MUST_CHECK;
void h248_hub_stop(struct h248_hub *h);

#endif
