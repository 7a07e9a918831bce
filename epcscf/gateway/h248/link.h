/* Transports of Iq: TCP connections that gateways open to us (TPKT), and UDP. Octets in, messages out;
 * what they say is not looked at here. Thread: the hub's. */
#ifndef EPC_H248_LINK_H
#define EPC_H248_LINK_H

#include "base/base.h"
#include "config/config.h"
#include "shard/shard.h"

struct h248_net;
struct h248_conn; /* one TCP connection */
struct h248_udp;  /* one UDP socket of ours */

/** Where a message came from, and where one goes to: conn, or udp and addr. */
struct h248_path {
    struct h248_conn *conn;
    struct h248_udp *udp;
    struct epc_addr addr;
};

struct h248_net_ops {
    /** May somebody at that address be a gateway? Else the connection is closed at once, the datagram
     *  dropped. */
    bool (*welcome)(void *arg, const struct epc_addr *peer);
    void (*received)(void *arg, const struct h248_path *from, struct epc_str text);
    /** The connection is lost; its pointer is invalid afterwards. Never inside another call. */
    void (*closed)(void *arg, struct h248_conn *conn);
};

/** Open all of media.h248.listen. @return EPC_OK, EPC_ENOMEM, EPC_EIO (logged) */
enum epc_err h248_net_create(struct h248_net **out, struct epc_shard *sh, const struct epc_cfg_h248 *cfg,
                             const struct h248_net_ops *ops, void *arg) EPC_MUST_CHECK;
/** Closes everything, without callbacks; what was queued is still written if the kernel takes it. NULL-safe. */
void h248_net_destroy(struct h248_net *net);
/** UDP: as good as a lost datagram where the socket is full.
 *  @return EPC_OK, EPC_ELIMIT (longer than the transport bears), EPC_EIO (the connection is lost, or so slow
 *  that it is given up) */
enum epc_err h248_net_send(struct h248_net *net, const struct h248_path *to, const char *text,
                           size_t n) EPC_MUST_CHECK;
/** No callback. For connections that are refused or replaced by another. */
void h248_conn_close(struct h248_conn *c);
/** Which association a connection serves; one without is closed after some seconds. NULL at first. */
void *h248_conn_owner(const struct h248_conn *c);
void h248_conn_set_owner(struct h248_conn *c, void *owner);
bool h248_path_same(const struct h248_path *a, const struct h248_path *b);
/** "tcp:192.0.2.20:40112" */
const char *h248_path_text(const struct h248_path *p, char out[EPC_ADDR_LEN + 8]);

#endif
