/* Door of admin/: metrics (OpenMetrics), health, and the control socket of epcscfctl.
 * Thread: the service shard's. */
#ifndef EPC_ADMIN_H
#define EPC_ADMIN_H

#include "base/base.h"
#include "config/config.h"
#include "shard/shard.h"

struct epc_admin;

/** A command of the control socket. Runs on the service shard; appends its answer (text or JSON) to
 *  @p out and returns, or keeps @p reply and answers later from the same thread. */
struct epc_admin_reply;
typedef void epc_admin_fn(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply);
/** Finish a reply: @p ok false makes epcscfctl exit with 1. Exactly once for each command. */
void epc_admin_answer(struct epc_admin_reply *reply, bool ok, const char *text, size_t n);

enum epc_err epc_admin_create(struct epc_admin **out, struct epc_shard *service,
                              const struct epc_cfg_admin *cfg) EPC_MUST_CHECK;
void epc_admin_destroy(struct epc_admin *a); /**< NULL-safe */
/** Add a command: @p name ("registrations"), @p help one line. Copied. */
enum epc_err epc_admin_command(struct epc_admin *a, const char *name, const char *help,
                               epc_admin_fn *fn, void *arg) EPC_MUST_CHECK;
/** Health is asked here at each GET /health: NULL = well, else the reason (static). */
void epc_admin_health(struct epc_admin *a, const char *(*fn)(void *arg), void *arg);

#endif
