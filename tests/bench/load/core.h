/* The core that is never the bottleneck. core.c: sockets, and answers to what comes; caller.c: calls to WICs. */
#ifndef CORE_H
#define CORE_H

#include "sip_text.h"

struct core {
    const char *ip;
    int port, udp;
    unsigned long requests, faults;
};

/** The contact and Path of user @p aor ("sip:u7@..."), as registered; copies. */
void caller_learn(struct span aor, struct span contact, struct span path);
/** "CALL 7": an INVITE to user u7, and ACK and BYE as soon as it is answered. False: it is something else. */
bool caller_command(struct core *c, struct span m);
/** A response to one of these requests. */
void caller_response(struct core *c, struct span m);

#endif
