/* Between rx_history_print.c (who is meant, show, JSON) and rx_history_explain.c. */
#ifndef EPC_RX_HISTORY_TELL_H
#define EPC_RX_HISTORY_TELL_H

#include "rx_history.h"

void rx_tell_time(struct epc_buf *b, uint64_t wall_ms);
/** Lines of @p text, each behind @p indent. */
void rx_tell_lines(struct epc_buf *b, const char *indent, const char *text);
const char *rx_or_dash(const char *text);
const char *rx_record_state(const struct rx_record *r);
const char *rx_record_pcrf(const struct rx_record *r); /**< NULL: not known */

/** A message from its octets, as far as the dictionary knows it; NULL: not kept, or out of memory. */
struct msg *rx_decode(const uint8_t *wire, size_t n);
/** One AVP of a message. */
struct rx_item {
    struct avp *avp;
    struct avp_hdr *hdr;
    struct dict_object *model;
    struct dict_avp_data data;
    bool grouped;
};
bool rx_first_item(msg_or_avp *parent, struct rx_item *it);
bool rx_next_item(struct rx_item *it);
bool rx_read_item(struct rx_item *it); /**< after either of these */
void rx_tell_tree(struct epc_buf *b, msg_or_avp *parent, unsigned depth);

/** rx_history_explain.c */
void rx_tell_explanation(struct epc_buf *b, const struct rx_record *r);

#endif
