/* Sockets towards the core: a UDP port and a TCP listener of the shard's own, and the connections made
 * and accepted (RFC 3261 18). What is sent within a turn leaves together at its end: many datagrams in
 * one system call, many messages of a connection in one write. Literal addresses only: nothing here
 * may ever ask the DNS. Thread: the shard's. */
#ifndef EPC_SIP_CORE_NET_H
#define EPC_SIP_CORE_NET_H

#include "base/base.h"
#include "shard/shard.h"

struct core_net;

/** Where a message goes, or where it came from. */
struct core_hop {
    struct epc_addr addr;
    bool tcp;
    uint64_t conn; /**< TCP: the connection that it came by, which is tried first; 0: none */
};

/** What wants to hear that a connection failed which its message went out on. Zeroed: idle. */
struct core_wait {
    struct core_wait *next, **prev;
};

struct core_net_handler {
    /** One message: octets as they came, framed by Content-Length where it has one. @p text borrowed.
     *  false: close the connection once what was answered is out. */
    bool (*message)(void *arg, const struct core_hop *from, const char *text, size_t n, size_t head);
    /** What came on a connection is no message, or is too large: why. The connection is closed. */
    void (*garbage)(void *arg, const struct core_hop *from, const char *why);
    /** The connection of @p w is gone, or cannot be made. It is off the list; may be called only on a
     *  later turn than the sending. */
    void (*failed)(void *arg, struct core_wait *w, const char *why);
    /** The network gave a datagram of ours back (ICMP): what it quotes of it. */
    void (*bounced)(void *arg, const char *quote, size_t n, int err);
    bool (*trusted)(void *arg, const struct epc_addr *peer);
    void *arg;
};

/** Bind both sockets. @return EPC_OK, EPC_ENOMEM, EPC_EIO (logged) */
enum epc_err core_net_open(struct core_net **out, struct epc_shard *sh, const struct epc_addr *us,
                           const struct core_net_handler *h) EPC_MUST_CHECK;
void core_net_close(struct core_net *net); /**< sends what is waiting; NULL-safe */
/** Queue one message, given in pieces. @p wait (may be NULL) hears of a failure until core_net_forget();
 *  with UDP it is not used. @return EPC_OK, EPC_ENOMEM, EPC_EIO (no connection to be had), EPC_ELIMIT
 *  (the peer does not read) */
enum epc_err core_net_send(struct core_net *net, const struct core_hop *to, const char *p, size_t n,
                           struct core_wait *wait) EPC_MUST_CHECK;
void core_net_forget(struct core_wait *wait);

#endif
