/* Door of wwsf/: the embedded WebRTC Web Server Function: HTTPS page with a browser phone, log-in,
 * token issue, choice of the eP-CSCF by PLMN (TS 23.228 U.2.1.3 step 1). Off unless configured.
 * Runs on the service shard, a thread of its own without SIP: password hashing is slow on purpose.
 *
 * HTTPS interface, JSON both ways; an error is {"error": text}. A POST needs the page's own Origin and
 * Content-Type: application/json.
 *   POST /api/login   {user, password, plmn?} -> {token, expires_at, impi, impus, display_name, epcscf:
 *                     [wss URLs in order of preference], home_domain, digest}, and the session's cookie.
 *                     401 for any wrong pair, 429 + Retry-After
 *   POST /api/token   {plmn?}, with the cookie -> as above with a fresh token; 401 without a session
 *   POST /api/logout  {} -> 204
 *   GET  /api/config?plmn=MCCMNC -> {epcscf, home_domain, modes}; without log-in, for SIP Digest
 *   GET  /.well-known/jwks.json -> the keys that tokens verify with
 *
 * Users' file, read again when it changes: [{"user", "password": what epc_wwsf_hash_password() gives,
 * "impi": "user@realm", "impus": ["sip:...", "tel:..."], "display_name" (optional)}, ...] */
#ifndef EPC_WWSF_H
#define EPC_WWSF_H

#include "base/base.h"
#include "config/config.h"
#include "shard/shard.h"

struct epc_wwsf;

/** Prepare keys before the shards start: make cfg->signing_key if it is missing, write
 *  cfg->jwks_file. Main thread; may block. @return EPC_OK, EPC_EIO (logged with file and reason) */
enum epc_err epc_wwsf_prepare(const struct epc_cfg_wwsf *cfg) EPC_MUST_CHECK;
/** Open the HTTPS listener. Thread: the service shard's. */
enum epc_err epc_wwsf_create(struct epc_wwsf **out, struct epc_shard *service,
                             const struct epc_cfg_wwsf *cfg) EPC_MUST_CHECK;
void epc_wwsf_destroy(struct epc_wwsf *w); /**< NULL-safe; the service shard's thread */
/** The users-file entry "scrypt$..." for a password (gives; free()). For `epcscf --hash-password`. */
char *epc_wwsf_hash_password(const char *password);

#endif
