/* Private to diameter/. */
#ifndef EPC_DIAMETER_PRIV_H
#define EPC_DIAMETER_PRIV_H

#include "base/base.h"
#include "config/config.h"

#include <freeDiameter/freeDiameter-host.h>
#include <freeDiameter/libfdcore.h>
#include <freeDiameter/libfdproto.h>

/** fdlog.c: freeDiameter's own log into ours, and peers that come and go as lines of ours. */
void epc_fdlog_install(void);
void epc_fdlog_hooks(void); /**< after fd_core_parseconf() */
void epc_fdlog_remove(void);
/** guard.c: takes from answers what the library's parser would end the process for; after
 *  fd_core_parseconf(). */
void epc_fdguard_hook(void);

/** endpoints.c: the loopback addresses that @p file names with ListenOn, and one when the host has
 *  nothing else: freeDiameter ignores such lines, and does not start without an address.
 *  After fd_core_parseconf(), before fd_core_start(). @return EPC_OK, EPC_EIO (logged) */
enum epc_err epc_endpoints_complete(const char *file) EPC_MUST_CHECK;
/** One ListenOn value of a line of configuration. @return false: the line has none. */
bool epc_endpoints_parse_line(const char *line, char *out, size_t cap);

/** record.c: messages into a file, as lines of JSON. Any thread, one call at a time.
 *  @param why a sentence when it fails; NULL allowed. @return EPC_OK, EPC_EIO (logged), EPC_ENOMEM */
struct epc_recorder;
enum epc_err epc_recorder_start(struct epc_recorder **out, const char *file, bool base, uint32_t webrtc_vendor,
                                struct epc_buf *why) EPC_MUST_CHECK;
void epc_recorder_stop(struct epc_recorder *r); /**< NULL-safe; writes what is queued first */
void epc_recorder_reopen(struct epc_recorder *r); /**< NULL-safe */
void epc_recorder_print(const struct epc_recorder *r, struct epc_buf *out); /**< NULL: off */

/** settings.c. @return NULL: out of memory */
struct epc_cfg_policy *epc_settings_copy(const struct epc_cfg_policy *from);
void epc_settings_free(struct epc_cfg_policy *c); /**< NULL-safe */

#endif
