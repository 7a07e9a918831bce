/* Between the codec and the hub: what the hub reads out of messages, and the few that it makes itself. */
#ifndef EPC_H248_WIRE_H
#define EPC_H248_WIRE_H

#include "gateway/h248/hub_priv.h"

/* ---- reading ----------------------------------------------------------------------------------------- */

/** First error code anywhere in a reply; 0: none. */
unsigned wire_any_error(const struct epc_h248_transaction *t);
/** Does a message's request ask for a new context? */
bool wire_creates(const struct epc_h248_message *msg);
/** Is it one context, neither null, `$` nor `*`? */
bool wire_is_context(const struct epc_h248_action *a);
bool wire_is_root(const struct epc_h248_command *c);
/** Is there a ServiceChange on ROOT in that request? */
bool wire_registers(const struct epc_h248_transaction *t);
void wire_mid_text(const struct epc_h248_mid *mid, char out[H248_MG_NAME_LEN]);

enum wire_method {
    WIRE_METHOD_UNKNOWN, WIRE_RESTART, WIRE_DISCONNECTED, WIRE_HANDOFF, WIRE_FAILOVER, WIRE_FORCED, WIRE_GRACEFUL
};
struct wire_change {
    enum wire_method method;
    unsigned reason, version; /**< 0: not given */
    uint32_t delay_s;
    struct epc_str profile, address; /**< empty: not given */
};
/** @return false: there is no Services descriptor, or no method in it */
bool wire_change(const struct epc_h248_command *c, struct wire_change *out);
const char *wire_method_name(enum wire_method m);
/** ServiceChangeAddress, a port or a MID, seen from @p source. @return false: none, or unusable */
bool wire_change_address(const struct wire_change *c, const struct epc_addr *source, struct epc_addr *out);

/** Packages descriptors of a reply. @return how many, at most @p max */
size_t wire_packages(const struct epc_h248_transaction *t, struct h248_package *out, size_t max);
/** A property of the root's TerminationState ("root/maxNumberOfContexts"); 0: not told, or no number. */
uint32_t wire_root_property(const struct epc_h248_transaction *t, const char *name);
/** Does a Notify hold that event? @p number: its parameter @p parameter, if both are given. */
bool wire_observed(const struct epc_h248_command *c, const char *event, const char *parameter, unsigned *number);

/* ---- writing: by hand, they are so few ------------------------------------------------------------------ */

/** @p msg as a message of ours to @p mg; its one request gets @p id. */
enum epc_err wire_print(struct epc_buf *out, const struct h248_mg *mg, struct epc_h248_message *msg,
                        uint32_t id) EPC_MUST_CHECK;
/** @p version of the header, and the MID. */
void wire_header(struct epc_buf *out, const struct h248_hub *h, unsigned version);
/** A message with one request; @p actions is text with long tokens. */
void wire_request(struct epc_buf *out, const struct h248_mg *mg, uint32_t id, const char *actions);
void wire_pending(struct epc_buf *out, const struct h248_hub *h, unsigned version, uint32_t id);
void wire_ack(struct epc_buf *out, const struct h248_hub *h, unsigned version, uint32_t id);
/** A reply with @p error alone, and its text from H.248.8. */
void wire_error_reply(struct epc_buf *out, const struct h248_hub *h, unsigned version, uint32_t id,
                      unsigned error);
/** A message that says @p error of a whole message. */
void wire_error_message(struct epc_buf *out, const struct h248_hub *h, unsigned version, unsigned error);
/** "5001", "-", "$" or "*" */
void wire_context(struct epc_buf *out, const struct epc_h248_action *a);
/** The reply of a command. @p error 0: success, with @p body in braces (NULL: without). */
void wire_answer(struct epc_buf *out, const struct epc_h248_command *c, unsigned error, const char *body);
/** A message for the trace, without what keys media. @p key may be NULL. */
void wire_trace(bool out, const struct h248_path *peer, const char *key, struct epc_str text);
/** A message made by hand, in the style of the configuration. */
void wire_style(struct epc_buf *out, const struct h248_hub *h);

#endif
