/* Is this shard behind, and what should it refuse? Decides alone by the times it is given: no clock, no I/O.
 *
 * The loop looks what there is to do, and does it: a *round*. What it takes is no later than the round is old.
 * A burst makes a long round and is served; only where rounds of more than delay_ms follow one another for
 * interval_ms is more offered than can be done (the idea of CoDel, RFC 8289). From then on a request is taken
 * while its round is young, and refused when it is old: so the shard is never idle while it refuses, and what
 * it serves is never later than a few delay_ms. How old is too old depends on what the request is worth; and
 * as long as something worth more is refused, everything worth less is. Refusing takes time too: where that
 * alone makes rounds long, what is served would be late as well, so less of each is given to serving.
 * Who was told when to come back and comes sooner is worth least, and is not even read for a while (refuse.c): then
 * he costs next to nothing, until there is room.
 * Terms: RFC 5390, RFC 7339. */
#ifndef EPC_SIP_OVERLOAD_H
#define EPC_SIP_OVERLOAD_H

#include "base/base.h"

/** What a request is worth, the least first. */
enum epc_worth {
    EPC_WORTH_EARLY,   /**< who was told when to come back, and has come sooner */
    EPC_WORTH_NEW,     /**< who is not registered yet; requests that stand alone */
    EPC_WORTH_REFRESH, /**< a registration that stands, or the answer to the core's challenge */
    EPC_WORTH_CALL,    /**< a new call */
    EPC_WORTH_RELIEF,  /**< what takes load away (de-registration), or moves a call (Replaces) */
    EPC_WORTH_KEEP,    /**< never refused: calls in progress, emergency, priority */
};

struct epc_overload {
    uint32_t delay_ms;    /**< 0: never overloaded */
    uint32_t interval_ms;
    uint64_t round_ms;    /**< when it began */
    uint64_t last_ms;     /**< last request of it */
    uint64_t good_ms;     /**< last time that nothing was late */
    uint64_t refused_ms;  /**< last refusal */
    int refused, refused_before; /**< most worth that was refused in this round and the one before; -1: none */
    unsigned share; /**< per mille of the full age at which requests are refused */
    bool on;
};

void epc_overload_init(struct epc_overload *o, uint32_t delay_ms, uint32_t interval_ms, uint64_t now_ms);
/** For each request, before it is parsed. @p looked_ms when the round began.
 *  @return overloaded: ask epc_overload_refuses() */
bool epc_overload_look(struct epc_overload *o, uint64_t looked_ms, uint64_t now_ms);
bool epc_overload_refuses(struct epc_overload *o, enum epc_worth worth, uint64_t now_ms);
/** Refused for another reason, but because of the overload: it goes on. */
void epc_overload_refused(struct epc_overload *o, uint64_t now_ms);
/** Could more be taken than comes? The last round was short or nothing has come since, and this one is young. */
bool epc_overload_has_room(const struct epc_overload *o, uint64_t looked_ms, uint64_t now_ms);
/** Nothing was refused for interval_ms: it is over. */
bool epc_overload_over(struct epc_overload *o, uint64_t now_ms);

#endif
