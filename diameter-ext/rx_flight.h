/* Requests on their way.
 *
 * A request is a *flight*: one or more *attempts*, each to one peer. An attempt that comes to nothing
 * (link lost, 3002 to 3006, no answer within policy.failover_ms) is followed by the next, with the T flag
 * and the same End-to-End identifier (RFC 6733 3, 5.5.4), while policy.timeout_ms is not over. The
 * shard hears of one end, the first that counts; what comes later is dealt with by the flight.
 *
 * rx_flight.c: life of a flight, what an answer means for it; rx_fly.c: its messages, and sending them;
 * rx_send.c: queues and the sender's thread. All functions here are called with rx_lock() unless they say
 * otherwise; what the shards shall hear is appended to a list, and delivered without the lock. */
#ifndef EPC_RX_FLIGHT_H
#define EPC_RX_FLIGHT_H

#include "rx_history.h"
#include "rx_peer.h"

#define RX_MAX_FLIGHTS 50000u

struct rx_attempt {
    struct rx_peer *hop;
    uint64_t sent_ms;
    bool out;                 /* sent and neither answered nor given up */
    bool with_host, our_realm;
    enum rx_try_end end;
    uint32_t code;            /* of an error answer */
};

struct rx_flight {
    struct epc_hnode node;
    uint64_t id;
    size_t heap_at;           /* place in the heap + 1; 0 = not there */
    uint64_t due, give_up, retry_until;
    struct rx_flight *next;   /* list of those to send */
    struct rx_tx *tx;         /* who waits; NULL: already told, or nobody (a STR of our own) */
    struct msg *first;        /* the message, until it has been sent */
    uint8_t *wire;            /* a copy of it, for further attempts; NULL = cannot be sent again */
    size_t wire_n;
    struct msg *bad;          /* an error answer, for want of a better */
    uint32_t command;
    bool opens, bound, closing, told, granted, waits;
    char sid[640], host[RX_NAME_MAX], realm[RX_NAME_MAX]; /* Destination-*, as asked for */
    char winner[RX_NAME_MAX], winner_hop[RX_NAME_MAX];
    struct rx_attempt attempt[RX_MAX_TRIES];
    size_t n;                 /* attempts begun */
    struct rx_attempt next_try; /* what the sender shall do */
};

struct rx_list {
    struct rx_tx *head, **tail;
    unsigned n;
};


void rx_list_push(struct rx_list *l, struct rx_tx *tx);
struct rx_tx *rx_list_pop(struct rx_list *l); /**< NULL: empty */

/* ---- rx_flight.c -------------------------------------------------------------------------------------- */

enum epc_err rx_flights_init(void) EPC_MUST_CHECK;
/** Forgets all. @return how many of them somebody waited for */
unsigned rx_flights_fini(void);
size_t rx_flights_count(void);
struct rx_flight *rx_flight_new(uint32_t command); /**< NULL: out of memory */
void rx_flight_free(struct rx_flight *f);
/** Let the sender make the attempt f->next_try. */
void rx_flight_queue(struct rx_flight *f);
struct rx_flight *rx_flight_take(void); /**< the next to send, or NULL */
bool rx_flight_to_send(void);
/** Its timer: next look at the flight. */
void rx_flight_due(struct rx_flight *f, uint64_t due_ms);
void rx_flight_timers(uint64_t now, struct rx_list *to);
uint64_t rx_flight_next_due(void); /**< UINT64_MAX: none */
/** End the flight if nothing is on its way and nothing will be. May free it. */
void rx_flight_check(struct rx_flight *f, struct rx_list *to);
/** Who is left needs the request in another form (policy.peers[].profile): the shard makes it anew, as a
 *  session of its own; what the others may hold of this one is closed. May free the flight.
 *  @return false: nobody is left */
bool rx_flight_elsewhere(struct rx_flight *f, struct rx_list *to);
/** The shard may end its wait before the flight ends: for the history, where the request has gone until
 *  now. */
void rx_flight_report(const struct rx_flight *f, struct rx_list *to);
void rx_attempt_over(struct rx_flight *f, struct rx_attempt *a); /**< answered, or not any more */
enum rx_failure { FAIL_LINK, FAIL_SILENT, FAIL_NOT_DELIVERED, FAIL_NO_REALM, FAIL_BUSY };
/** Try the next peer, or end it. Takes @p m, an error answer or NULL. May free the flight. */
void rx_attempt_failed(struct rx_flight *f, struct rx_attempt *a, enum rx_failure why, struct msg *m,
                       struct rx_list *to);
/** How long a peer may be silent. */
uint64_t rx_failover_ms(void);
/** What freeDiameter gets for an attempt: a number, never a pointer, for it may drop a message without
 *  calling back. */
void *rx_flight_cookie(const struct rx_flight *f, size_t attempt);
struct rx_attempt *rx_flight_attempt(void *cookie, struct rx_flight **f); /**< NULL: over */
/* freeDiameter's callbacks; without the lock. */
void rx_flight_on_answer(void *cookie, struct msg **m);
void rx_flight_on_expiry(void *cookie, DiamId_t peer, size_t n, struct msg **m);
int rx_flight_on_route(void *arg, struct msg **m, struct fd_list *candidates);

/* ---- rx_fly.c ------------------------------------------------------------------------------------------- */

/** A request of a shard takes off; takes @p tx. */
void rx_fly_begin(struct rx_tx *tx, struct rx_list *to);
/** Make the attempt f->next_try; gives the lock up while it sends. May free the flight. */
void rx_fly(struct rx_flight *f, struct rx_list *to);
/** Would a message to @p host have to wait in freeDiameter, and all others behind it? Without the lock. */
bool rx_peer_full(const char *host);
/** An answer of ours: to the peer that asked, if that one takes anything. Takes @p tx. Without the lock. */
void rx_fly_answer(struct rx_tx *tx);

/* ---- rx_send.c ------------------------------------------------------------------------------------------ */

void rx_deliver_all(struct rx_list *l); /**< without the lock */

#endif
