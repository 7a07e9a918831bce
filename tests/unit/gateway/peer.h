/* An rtpengine that does what the test says. Pings, `statistics` and what the probe asks it answers by itself. */
#ifndef GATEWAY_PEER_H
#define GATEWAY_PEER_H

#include <jansson.h>
#include <netinet/in.h>

#include "base/base.h"

struct peer {
    int fd;
    unsigned port;
    bool mute; /* pings go unanswered */
    unsigned n_pings, n_statistics, n_probes;
    const char *statistics; /* reply to `statistics`; NULL: ok without any */
    const char *probe_sdp;  /* description for the probe; NULL: refused */
};
struct peer_request {
    char cookie[64];
    json_t *json;
    struct sockaddr_in from;
};

void peer_open(struct peer *p);
void peer_close(struct peer *p);
/** The next request that is no ping; fails the test when none comes. */
struct peer_request peer_next(struct peer *p);
/** The next request if one comes within @p ms. */
bool peer_try(struct peer *p, int ms, struct peer_request *out);
/** No request (but pings) for @p ms. */
void peer_expect_nothing(struct peer *p, int ms);
/** Serve pings until @p n have come. */
void peer_wait_pings(struct peer *p, unsigned n);
void peer_send(struct peer *p, const struct peer_request *r, const char *json);
void peer_send_raw(struct peer *p, const struct peer_request *to, const void *data, size_t n);
/** {"result":"ok","sdp":...} */
void peer_send_sdp(struct peer *p, const struct peer_request *r, const char *sdp);
void peer_request_free(struct peer_request *r);
const char *peer_get(const struct peer_request *r, const char *key); /**< a text member, "" if none */
bool peer_list_has(const struct peer_request *r, const char *key, const char *value);

#endif
