/* Private to shard/: the epoll set behind the watches of a loop. */
#ifndef EPC_SHARD_POLLER_H
#define EPC_SHARD_POLLER_H

#include "shard/shard.h"

#include <sys/epoll.h>

enum { EPC_READY_MAX = 256 }; /* descriptors of one wait; the rest comes with the next */
struct epc_poller {
    int fd;
    uint64_t looked_ms; /* last wait that left nothing behind: what comes is there since then, or later */
    bool behind;        /* the last wait was full: more is ready */
    int n_ready, at; /* of this wait, and what has been passed on of it */
    struct epoll_event ready[EPC_READY_MAX];
};
/* EPC_EIO: no descriptor to be had */
enum epc_err epc_poller_open(struct epc_poller *p) EPC_MUST_CHECK;
void epc_poller_close(struct epc_poller *p);
void epc_poller_wait(struct epc_poller *p, int timeout_ms); /* and call back for what is ready */
struct epc_poller *epc_shard_poller(struct epc_shard *sh);

#endif
