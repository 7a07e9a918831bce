/* Between rx_peer.c (who is there), rx_held.c (what PCRFs may hold) and rx_send.c (one request, one or
 * more attempts). All of it is guarded by one mutex, which nobody holds while he waits for anything.
 *
 * A *hop* is a peer of freeDiameter's: a PCRF or a DRA. Who answers behind a DRA is known by its
 * Origin-Host alone. */
#ifndef EPC_RX_PEER_H
#define EPC_RX_PEER_H

#include "rx_priv.h"

#define RX_MAX_PEERS 64
#define RX_MAX_HOLD_MS 30000u

void rx_lock(void);
void rx_unlock(void);

/* ---- rx_peer.c --------------------------------------------------------------------------------------- */

/** Why a peer is left alone. */
enum rx_hold { RX_FREE, RX_SILENT, RX_FAILING, RX_BUSY };

struct rx_peer {
    char host[RX_NAME_MAX], realm[RX_NAME_MAX]; /**< realm: configured; else as the peer says, or "" */
    const char *profile;        /**< NULL = policy.profile */
    uint32_t priority;
    bool configured;            /**< in policy.peers */
    bool open, relay, serves_rx;
    enum rx_hold hold;          /**< until hold_until */
    unsigned hold_level;
    uint64_t hold_until;
    uint64_t last_answer_ms;    /**< of any kind but our own node's */
    uint64_t asked, answered, failed_over;
    unsigned outstanding;
};

void rx_peers_init(void); /**< from the configuration; forgets what was */
/** Look at freeDiameter's peers when the last look is older than @p max_age_ms. Without the lock. */
void rx_peers_refresh(uint64_t max_age_ms);
void rx_peers_print(FILE *out); /**< a line for each, for people. Takes the lock; never waits */
/** By name; NULL: not known. With the lock, as all below. */
struct rx_peer *rx_peer_find(struct epc_str host);
/** Best peer for a new session that is not in @p tried. @param profile of the request, or any when
 *  @p any_profile. @param avoid Origin-Host that shall not get it, may be "". NULL: none. */
struct rx_peer *rx_peer_best(struct rx_peer *const *tried, size_t n_tried, const char *profile,
                             bool any_profile, const char *avoid);
/** An open relay that is not in @p tried, or NULL. */
struct rx_peer *rx_peer_relay(struct rx_peer *const *tried, size_t n_tried);
bool rx_peer_usable(const struct rx_peer *p); /**< open and not busy */
bool rx_peer_held(const struct rx_peer *p);
void rx_peer_heard(struct rx_peer *p, bool well); /**< it answered; @p well: as it should */
void rx_peer_failing(struct rx_peer *p); /**< it could not deliver a request for a new session */
void rx_peer_silent(struct rx_peer *p); /**< it did not answer in time, nor anything since */
void rx_peer_busy(struct rx_peer *p);   /**< DIAMETER_TOO_BUSY */
void rx_peer_gone(struct rx_peer *p);   /**< freeDiameter has no connection to it any more */
/** Realm for a request to @p p without Destination-Host. */
const char *rx_peer_realm(const struct rx_peer *p);
unsigned rx_peer_count_open(void);

/** A Origin-State-Id of @p host: a larger one than before tells that its sessions are lost. @return true
 *  if so: the caller runs rx_peer_tell_lost() without the lock. */
bool rx_state_note(struct epc_str host, uint32_t id);
uint32_t rx_state_of(struct epc_str host); /**< 0 = not told */
/** To every shard, and to rx_held.c. Without the lock. */
void rx_peer_tell_lost(const char *host, uint32_t id);

/** Keep what a Redirect answer says, for requests of the same kind. @param usage Redirect-Host-Usage */
void rx_redirect_keep(struct rx_peer *to, uint32_t usage, uint32_t max_cache_s, const char *realm,
                      const char *host);
struct rx_peer *rx_redirected(const char *realm, const char *host);

/* ---- rx_held.c --------------------------------------------------------------------------------------- */

/** @return EPC_OK, else the journal cannot be used (logged). Sets the node's Origin-State-Id. */
enum epc_err rx_held_init(void);
void rx_held_fini(void); /**< writes the journal a last time */
/** The PCRF behind @p hop may hold @p sid from now on. */
void rx_held_add(struct epc_str sid, const char *hop, const char *realm, bool relay);
/** The AAR that rx_held_add() announced will not be answered any more. */
void rx_held_settled(struct epc_str sid, const char *hop);
/** It was @p host of @p realm that answered. */
void rx_held_bind(struct epc_str sid, const char *hop, struct epc_str host, struct epc_str realm,
                  uint32_t state);
/** @p host has granted an update of a session that another was asked to hold: they share their state. */
void rx_held_move(struct epc_str sid, const char *hop, struct epc_str host, struct epc_str realm,
                  uint32_t state);
/** The PCRF behind @p hop holds it no more. @param host if not empty: only if it is that one. */
void rx_held_free(struct epc_str sid, const char *hop, struct epc_str host);
/** A STR that rx_send_closing() sent to @p host came to nothing. */
void rx_held_close_failed(struct epc_str sid, const char *host);
/** Close it behind @p hop alone: another PCRF won. */
void rx_held_abandon(struct epc_str sid, const char *hop);
/** Sender's thread, without the lock: write the journal; close what is due. */
void rx_held_flush(void);
void rx_held_close_some(uint64_t now);
bool rx_held_work(void); /**< something waits to be closed */
void rx_held_lost(const char *host, uint32_t id);

/* ---- rx_send.c --------------------------------------------------------------------------------------- */

/** Send a STR for @p sid to @p host (may be "") through @p hop, on behalf of nobody. With the lock.
 *  What becomes of it shows in rx_held_free(). @return EPC_OK, EPC_ENOMEM, EPC_ELIMIT */
enum epc_err rx_send_closing(struct epc_str sid, struct rx_peer *hop, const char *host,
                             const char *realm) EPC_MUST_CHECK;
void rx_sender_wake(void);

#endif
