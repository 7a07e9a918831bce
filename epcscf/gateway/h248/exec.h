/* A transaction of a gateway, while it is carried out and for as long as its reply is kept. */
#ifndef EPC_H248_EXEC_H
#define EPC_H248_EXEC_H

#include "gateway/h248/hub_priv.h"

struct h248_exec {
    struct epc_hnode node;
    struct h248_mg *mg;
    struct h248_exec *next, **prev;
    uint32_t id, serial;       /* serial: an id may be used again after LONG-TIMER */
    struct h248_path from;
    unsigned version;          /* of the request's header, and of its reply's */
    struct h248_in *in;        /* while it is carried out, as the next three */
    const struct epc_h248_transaction *t;
    const struct epc_h248_action *action;
    const struct epc_h248_command *command;
    unsigned n_answers;        /* of this action */
    struct epc_buf text;       /* action replies so far */
    struct epc_buf body;       /* what the reply of this command holds in braces; empty: nothing */
    struct epc_buf reply;      /* the whole message, once done */
    bool done, registers;
    uint64_t done_ms;
    unsigned pendings;
    struct epc_timer timer;
    void (*after)(struct h248_mg *mg); /* once the reply is out */
};

enum h248_outcome { H248_CARRIED_OUT, H248_WAITS };
/** Carry out x->command. @p error: H.248 code that answers it, 0 = it succeeded, and x->body goes with it.
 *  H248_WAITS: h248_exec_answered() follows. */
enum h248_outcome h248_carry_out(struct h248_exec *x, unsigned *error);

#endif
