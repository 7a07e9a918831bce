/* What became of each Rx session, for people: `epcscfctl rx`. The functions are called where things
 * happen and cost nothing when policy.history_sessions is 0. rx_record.h is where it is kept,
 * rx_history_print.c how it is told. All on the shard of the session. */
#ifndef EPC_RX_HISTORY_H
#define EPC_RX_HISTORY_H

#include "rx_priv.h"
#include "rx_record.h"

void rx_history_opened(struct rx_assoc *a);
/** A request of ours is about to go to @p hop ("" = not chosen yet); what it tells is in a->telling. */
void rx_history_sent(struct rx_assoc *a, struct msg *m, uint32_t command, const char *hop);
/** It went to more peers than one (tx->tried). */
void rx_history_tried(const struct rx_tx *tx);
/** It came to an end: the answer, or none; also long after the association is gone. */
void rx_history_answered(const struct rx_tx *tx, enum rx_event ev, const struct epc_policy_result *r);
/** What the handle is about to be told. */
void rx_history_concluded(struct epc_policy_session *h, const struct epc_policy_result *r);
/** A RAR or ASR, and the Result-Code of our answer. */
void rx_history_pushed(struct rx_assoc *a, struct msg *m, uint32_t command, uint32_t result);
/** Anything else worth knowing. */
void rx_history_remark(struct rx_assoc *a, const char *text);
void rx_history_ended(struct rx_assoc *a);
/** struct epc_policy_client's note(). */
void rx_history_note(struct epc_policy_session *h, const char *text);
void rx_history_handle_gone(struct epc_policy_session *h);
/** No shard runs any more. */
void rx_history_fini(struct rx_shard *rs);
/** Does anybody listen? Any thread. */
bool rx_history_on(void);

/* ---- rx_history_print.c --------------------------------------------------------------------------------- */

struct epc_rx_ask;
struct epc_rx_found;
/** struct epc_rx_ext's history(). */
void rx_history_tell(struct epc_shard *sh, const struct epc_rx_ask *ask, struct epc_rx_found *found,
                     struct epc_buf *out);

#endif
