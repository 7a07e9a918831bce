/* A SIP peer of the core, on plain sockets: sends and receives text. */
#ifndef TEST_SIP_PEER_H
#define TEST_SIP_PEER_H

#include "fakes.h"

struct peer {
    struct epc_shard *sh; /**< turned while the peer waits */
    int udp, listener, tcp;
    struct epc_addr us, them; /**< them: the agent under test */
    char buf[70000];          /**< octets of the TCP stream not yet taken */
    size_t n;
    bool last_was_tcp;
};

void peer_open(struct peer *p, struct epc_shard *sh, const char *ip, uint16_t port, const char *them,
               uint16_t their_port);
void peer_close(struct peer *p);
/** Next message from the agent (gives); NULL when none came in @p ms. */
char *peer_recv(struct peer *p, unsigned ms);
void peer_send(struct peer *p, const char *text); /**< the way the last message came */
void peer_send_udp(struct peer *p, const char *text);

/** "Value" of the i-th header line of that name; "" when there is none. Gives. */
char *line_of(const char *msg, const char *name, unsigned i);
/** A response to @p req (gives): Via, From, To (+tag), Call-ID, CSeq, Record-Route copied. */
char *answer_to(const char *req, const char *status, const char *to_tag, const char *extra,
                const char *body);

#endif
