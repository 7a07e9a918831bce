/* Door of diameter/: embeds libfdcore in the daemon and stands between the shards and the Rx
 * application function (epcscf_rx.fdx, which freeDiameter loads). Offers the policy client interface.
 * Thread: start and stop on the main thread; the client from any shard. */
#ifndef EPC_DIAMETER_H
#define EPC_DIAMETER_H

#include "base/base.h"
#include "config/config.h"
#include "policy/policy.h"
#include "shard/shard.h"

struct epc_diameter;

/** Start freeDiameter with cfg->diameter_config; returns once its threads run (peers may connect
 *  later). Only one in a process; what it needs of @p cfg is copied.
 *  @return EPC_OK, EPC_EIO (logged: file, reason), EPC_ENOMEM */
enum epc_err epc_diameter_start(struct epc_diameter **out, const struct epc_cfg_policy *cfg) EPC_MUST_CHECK;
/** Sends what STRs are due, DPR to the peers, and waits for freeDiameter's threads. NULL-safe.
 *  Shards must have closed their sessions and stopped (epc_shard_stop()) before, and must not be
 *  destroyed until this has returned. */
void epc_diameter_stop(struct epc_diameter *d);
struct epc_policy_client *epc_diameter_client(struct epc_diameter *d);
/** How many peers are in state OPEN. Any thread. */
unsigned epc_diameter_open_peers(const struct epc_diameter *d);
/** The state machine of a Rx session as a graph in dot's language. */
void epc_diameter_print_states(const struct epc_diameter *d, FILE *out);
/** A line for each PCRF and Diameter agent: state, priority, what it was asked and has answered. Any
 *  thread; never waits. */
void epc_diameter_print_peers(const struct epc_diameter *d, FILE *out);

/* ---- recording (epcscfctl record) ---- */

/** Write every Rx message that comes or goes to @p file, one JSON object a line (epcscf/avp/avp.h,
 *  epc_msg_to_json()); the file is made with rights 0600 and moved to FILE.1 at 64 MiB. It holds what the
 *  messages hold: identities, addresses and service information of users, whatever log.identities says.
 *  Off costs nothing; on, freeDiameter's threads copy each message into a queue (4096 messages, 16 MiB;
 *  what finds no room is counted as rx_record_lost).
 *  @param file absolute; NULL = off. @param base the base protocol's messages too (CER, DWR, DPR).
 *  @param say what came of it, for people; NULL allowed.
 *  @return EPC_OK, EPC_EIO (the file, the dictionaries), EPC_EINVAL (not absolute), EPC_ENOMEM; on failure
 *          nothing has changed. Any thread but a call shard's: it opens files and waits for the writer. */
enum epc_err epc_diameter_record(struct epc_diameter *d, const char *file, bool base, struct epc_buf *say) EPC_MUST_CHECK;
/** Is there a record, where, how many messages. Any thread. */
void epc_diameter_record_print(struct epc_diameter *d, struct epc_buf *out);
/** After a rotation of log files. NULL-safe. Any thread. */
void epc_diameter_record_reopen(struct epc_diameter *d);

/* ---- what is remembered of Rx sessions (epcscfctl rx) ---- */

/** False: policy.history_sessions is 0. Any thread. */
bool epc_diameter_has_history(const struct epc_diameter *d);
struct epc_rx_ask {
    enum epc_rx_what { EPC_RX_LIST, EPC_RX_SHOW, EPC_RX_EXPLAIN } what;
    const char *id;           /**< Session-Id, Call-ID or public identity; EPC_RX_LIST: NULL */
    bool live, ended;         /**< EPC_RX_LIST: which */
    bool json;                /**< an object a line, else text */
};
struct epc_rx_found {
    size_t told;              /**< sessions that @p out got */
    size_t live, ended;       /**< that the shards remember */
    uint64_t forgotten;       /**< ended ones that made room */
};
/** Append what @p sh remembers to @p out, and add to *found. Identities in plain: for the operator's eyes.
 *  Thread: the shard's. */
void epc_diameter_history(const struct epc_diameter *d, struct epc_shard *sh, const struct epc_rx_ask *ask,
                          struct epc_rx_found *found, struct epc_buf *out);

#endif
