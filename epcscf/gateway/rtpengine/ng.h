/* rtpengine's NG control protocol: a cookie, a blank and a command in a UDP datagram, the same cookie in the
 * reply. Commands go in bencode, and so do the replies; a reply in JSON is understood too.
 * A request is repeated with its cookie until the reply comes or the time is up; rtpengine answers a
 * repeated cookie from its cache. */
#ifndef EPC_NG_H
#define EPC_NG_H

#include <jansson.h>

#include "base/base.h"
#include "config/config.h"
#include "shard/shard.h"

struct ng;          /* the client of one shard: a socket for each rtpengine */
struct ng_instance; /* one rtpengine */
struct ng_request;

/** @p reply borrowed, a JSON object, NULL unless EPC_OK. EPC_OK also for result "error" replies.
 *  EPC_ETIMEDOUT: no reply in time. */
typedef void ng_done_fn(void *arg, enum epc_err err, const json_t *reply);

/** The rtpengine number @p i fell silent, or answers (again); at first all count as answering, and the first
 *  answer of each is told too. */
typedef void ng_change_fn(void *arg, size_t i, bool answers);

enum epc_err ng_create(struct ng **out, struct epc_shard *sh, const struct epc_cfg_media *cfg, ng_change_fn *change,
                       void *arg) EPC_MUST_CHECK;
/** Forgets open requests without a callback, and counts them as never answered. NULL-safe. */
void ng_destroy(struct ng *ng);
/** The rtpengines in the configuration's order; NULL past the last. */
struct ng_instance *ng_instance_at(struct ng *ng, size_t i);
const char *ng_instance_name(const struct ng_instance *i); /**< address and port, for logs */
bool ng_answers(const struct ng_instance *i);
/** Send @p command (borrowed). @p key: SIP Call-ID for the trace. @p done runs later, exactly once.
 *  @return EPC_OK, EPC_ENOMEM (no callback) */
enum epc_err ng_send(struct ng *ng, struct ng_instance *to, const json_t *command, const char *key,
                     ng_done_fn *done, void *arg) EPC_MUST_CHECK;
/** Take a datagram apart. @p reply gives (json_decref), @p cookie is a slice of @p data.
 *  @return EPC_OK, EPC_EPROTO */
enum epc_err ng_parse(struct epc_str data, struct epc_str *cookie, json_t **reply) EPC_MUST_CHECK;

#endif
