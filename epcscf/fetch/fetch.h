/* Door of fetch/: an HTTP client for a few fixed URLs on the shard's own loop. Nothing blocks, redirects
 * are not followed, answers are bounded in size and time, certificates and names are checked. */
#ifndef EPC_FETCH_H
#define EPC_FETCH_H

#include "shard/shard.h"

/** One URL: where it leads and with which trust. */
struct epc_endpoint;
/** Reads @p ca_file: may block. @param url https, or http to a loopback literal (checked by config/).
 *  @param ca_file PEM, NULL = the system's store. @return EPC_OK, EPC_EINVAL, EPC_ENOMEM, EPC_EIO
 *  (logged). Shard's thread. */
enum epc_err epc_endpoint_open(struct epc_endpoint **out, struct epc_shard *sh, const char *url,
                               const char *ca_file, uint32_t timeout_ms) EPC_MUST_CHECK;
/** Cancels its requests. NULL-safe. */
void epc_endpoint_close(struct epc_endpoint *ep);

struct epc_request;
struct epc_response {
    int status;
    const char *body;   /**< borrowed for the call, NUL-terminated */
    size_t n;
    uint32_t max_age_s; /**< of Cache-Control; UINT32_MAX = not given */
    const char *why;    /**< on error, static or borrowed: for the log */
};
/** @param err EPC_OK: an answer with any status; EPC_ETIMEDOUT, EPC_EIO, EPC_ELIMIT (too long),
 *  EPC_ENOMEM */
typedef void epc_response_fn(void *arg, enum epc_err err, const struct epc_response *resp);

/** @param form NULL: GET; else POST of this application/x-www-form-urlencoded text (copied; wiped).
 *  @param basic credentials for Authorization: Basic, already in base64; borrowed for as long as the
 *  request lives, NULL: none. @p done runs later on the shard's thread, exactly once, unless cancelled.
 *  @return NULL: out of memory */
struct epc_request *epc_http_ask(struct epc_endpoint *ep, const char *form, const char *basic,
                                 size_t max_octets, epc_response_fn *done, void *arg);
void epc_request_cancel(struct epc_request *r); /**< NULL-safe */

#endif
