/* Door of wwsf/: the embedded WebRTC Web Server Function: HTTPS page with a browser phone, log-in, pool of
 * identities, token issue, choice of the eP-CSCF by PLMN (TS 23.228 U.2.1.3 step 1). Off unless
 * configured. Its HTTP interface, files and tool: wwsf/README.md.
 * Runs on the service shard, without SIP; passwords and the database have threads of their own. */
#ifndef EPC_WWSF_H
#define EPC_WWSF_H

#include "base/base.h"
#include "config/config.h"
#include "shard/shard.h"

struct epc_wwsf;

/** Prepare keys before the shards start: make cfg->signing_key if it is missing, take it into
 *  cfg->database, write cfg->jwks_file. Main thread; may block.
 *  @return EPC_OK, EPC_EIO (logged with file and reason) */
enum epc_err epc_wwsf_prepare(const struct epc_cfg_wwsf *cfg) EPC_MUST_CHECK;
/** Open the HTTPS listener. Thread: the service shard's. */
enum epc_err epc_wwsf_create(struct epc_wwsf **out, struct epc_shard *service,
                             const struct epc_cfg_wwsf *cfg) EPC_MUST_CHECK;
void epc_wwsf_destroy(struct epc_wwsf *w); /**< NULL-safe; the service shard's thread */
/** A lent identity came back at log-out with cfg->pool_revoke: its tokens that were issued at @p now_s or
 *  earlier are to be refused from now on, and its registrations to end. Borrowed. The service shard's. */
typedef void epc_wwsf_returned_fn(void *arg, const char *impi, uint64_t now_s);
void epc_wwsf_on_returned(struct epc_wwsf *w, epc_wwsf_returned_fn *fn, void *arg);
/** Run a command of `epcscf --config FILE --wwsf COMMAND...` on cfg->database: users, pool, keys.
 *  A password is read from standard input. Main thread; blocks.
 *  @return the exit status: 0, 1 (refused, said on standard error), 64 (not understood) */
int epc_wwsf_tool(const struct epc_cfg_wwsf *cfg, const char *const *argv, size_t argc);
/** The users-file entry "scrypt$..." for a password (gives; free()). For `epcscf --hash-password`. */
char *epc_wwsf_hash_password(const char *password);

#endif
