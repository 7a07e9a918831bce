/* What a shard remembers of its Rx sessions: live ones, and the last that ended. Knows nothing of
 * Diameter (messages are octets here), so that tests can use it alone. Of one thread.
 *
 * Bounds: ended sessions by number; exchanges and octets of one session; octets of the shard. When the
 * shard's are used up, ended sessions go first (the ones without trouble before the others), then the
 * exchanges of the live session that has been silent longest. What went is counted where it went. */
#ifndef EPC_RX_RECORD_H
#define EPC_RX_RECORD_H

#include "base/base.h"

enum {
    RX_RECORD_EXCHANGES = 32,           /**< of one session: the first and the newest stay */
    RX_RECORD_OCTETS = 64 * 1024,       /**< of one session */
    RX_RECORD_TEXT = 8 * 1024,          /**< of one text; the rest is cut off */
    RX_HISTORY_OCTETS_EACH = 16 * 1024, /**< of a shard, for each ended session that it may keep */
};

enum rx_exchange_kind {
    RX_SENT,   /**< a request of ours */
    RX_PUSHED, /**< a request of the PCRF */
    RX_REMARK, /**< no message: what happened, in `words` */
    RX_SIP,    /**< the same: what SIP made of it */
};

struct rx_exchange {
    struct rx_exchange *next;
    enum rx_exchange_kind kind;
    uint64_t at_ms, wall_ms;    /**< monotonic; since 1970 */
    uint64_t done_ms;           /**< when the result came; 0 = not yet */
    uint32_t command, seq;
    bool initial;               /**< an AAR that opens the session */
    bool late;                  /**< its answer came when nobody waited any more */
    uint32_t code;              /**< of the result; 0 = none */
    char *peer;                 /**< whom it went to, or came from */
    char *result;               /**< in a few words; NULL = none yet */
    uint8_t *request, *answer;  /**< as on the wire; NULL = not kept */
    size_t request_n, answer_n;
    char *why;                  /**< what led to which AVP */
    char *words;                /**< what the result means, or a remark */
    char *tried;                /**< peers that it went to, a line each; NULL = one */
    size_t octets;
};

enum rx_record_list { RX_LIVE, RX_BARE /**< live, exchanges dropped */, RX_PLAIN, RX_TROUBLED, RX_LISTS };

struct rx_record {
    struct rx_record *next, **prev;
    struct epc_hnode node;
    enum rx_record_list list;
    uint64_t seq;               /**< in the order of their making */
    uint64_t token;             /**< of the association; 0 = none was made */
    char *session_id;           /**< NULL = none was made */
    char *call_id, *impu;
    char ue[EPC_ADDR_LEN];
    bool signalling;
    uint64_t opened_ms, opened_wall_ms, ended_ms; /**< ended_ms 0 = live */
    bool troubled;              /**< something was not granted, or the PCRF ended it */
    const char *last;           /**< result of the newest exchange that has one; borrowed from it */
    struct rx_exchange *exchange;
    size_t n, dropped;
    size_t octets;
    void *assoc, *handle;       /**< who points here; the owner of these clears them */
};

struct rx_history {
    struct rx_record *head[RX_LISTS], **tail[RX_LISTS];
    size_t n[RX_LISTS];
    struct epc_hash by_token;
    size_t max_ended, max_octets, octets;
    uint64_t made;
    uint64_t forgotten;         /**< ended sessions that made room */
    /** Told before a record is freed: nobody may keep a pointer to it. */
    void (*on_free)(struct rx_record *r);
};

/** @p max_ended at least 1. NULL: out of memory */
struct rx_history *rx_history_new(size_t max_ended, void (*on_free)(struct rx_record *r));
void rx_history_free(struct rx_history *h); /**< NULL-safe */

struct rx_record_open {
    uint64_t token;
    const char *session_id, *call_id, *impu; /**< copied; any may be NULL */
    const struct epc_addr *ue;
    bool signalling;
};
/** A live record, the youngest. NULL: out of memory */
struct rx_record *rx_record_new(struct rx_history *h, const struct rx_record_open *o);
/** It is live no more; the oldest may go for it, never @p r itself. */
void rx_record_end(struct rx_history *h, struct rx_record *r);
struct rx_record *rx_record_find(const struct rx_history *h, uint64_t token);

/** Append an exchange that begins now. NULL: out of memory; the record is as before. */
struct rx_exchange *rx_exchange_new(struct rx_history *h, struct rx_record *r, enum rx_exchange_kind kind);
/** The newest request with that number; NULL: none, or dropped. */
struct rx_exchange *rx_exchange_of(const struct rx_record *r, uint32_t seq);

/* Fill in; what was there is replaced. A text that does not fit is cut, a message that does not fit is
 * not kept. These may drop older exchanges, and other records. */
void rx_exchange_text(struct rx_history *h, struct rx_record *r, struct rx_exchange *x, char **field,
                      const char *text);
/** Takes @p wire (from malloc); @p answer: which of both. */
void rx_exchange_wire(struct rx_history *h, struct rx_record *r, struct rx_exchange *x, bool answer,
                      uint8_t *wire, size_t n);
void rx_exchange_result(struct rx_history *h, struct rx_record *r, struct rx_exchange *x, uint32_t code,
                        const char *result);

#endif
