/* Between core_net.c (UDP, the door) and core_conn.c (TCP). */
#ifndef EPC_SIP_CORE_NET_PRIV_H
#define EPC_SIP_CORE_NET_PRIV_H

#include "sip/core_net.h"
#include "sip/sip_priv.h"

enum {
    CORE_BATCH = 32,            /* datagrams in one system call */
    CORE_DATAGRAM_ROOM = 65536, /* the largest there is, and a NUL */
};

struct core_datagram {
    struct epc_addr to;
    size_t at, n; /**< in core_net.text */
};

struct core_conn;

struct core_net {
    struct epc_shard *sh;
    struct core_net_handler h;
    struct epc_addr us;
    struct epc_watch udp, listener;
    struct epc_turn_end at_turn_end;
    bool flush_set, full, closing;
    struct core_datagram *out;
    size_t n_out, cap_out;
    char *text;
    size_t text_n, text_cap;
    char *in; /**< CORE_BATCH datagrams */
    /* core_conn.c */
    struct epc_hash by_id, by_addr; /**< all connections; those that we made */
    struct core_conn *conns;        /**< all */
    struct core_conn *to_flush;
    unsigned n_accepted, n_untrusted;
    uint64_t next_id;
    struct epc_timer listen_pause;
};

void core_net_flush_later(struct core_net *net);

enum epc_err core_conns_init(struct core_net *net) EPC_MUST_CHECK;
bool core_listen(struct core_net *net); /**< false: errno says why */
void core_conns_flush(struct core_net *net);
void core_conns_close(struct core_net *net);
enum epc_err core_conn_send(struct core_net *net, const struct core_hop *to, const char *p, size_t n,
                            struct core_wait *wait) EPC_MUST_CHECK;

#endif
