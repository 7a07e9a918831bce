/* A small Diameter peer over TCP for epcscfctl replay: whatever octets it is given, it sends. One
 * connection, one thread, poll(2), a deadline for every wait. */
#ifndef EPC_ADMIN_CTL_PEER_H
#define EPC_ADMIN_CTL_PEER_H

#include "avp/avp.h"

struct ctl_peer {
    const struct epc_dict *dict;
    const char *identity, *realm; /* ours */
    int fd, interrupt;            /* -1: none; signalfd of SIGINT and SIGTERM */
    struct epc_buf in;
    uint32_t next_id;
    char peer_host[256], peer_realm[256];
    bool closed; /* by the peer, or by DPR */
};

/** "127.0.0.1:3868" or "[::1]:3868". Says on stderr what is wrong. */
bool ctl_peer_address(const char *text, struct epc_addr *out);
/** Wait for a peer and its CER, or go to it and send one. EPC_OK; else said on stderr. */
enum epc_err ctl_peer_listen(struct ctl_peer *p, const struct epc_addr *at, unsigned wait_s) EPC_MUST_CHECK;
enum epc_err ctl_peer_connect(struct ctl_peer *p, const struct epc_addr *to, unsigned wait_s) EPC_MUST_CHECK;
/** All of it, before the deadline (epc_now_ms()). EPC_EIO, EPC_ETIMEDOUT, EPC_EAGAIN (interrupted) */
enum epc_err ctl_peer_send(struct ctl_peer *p, const void *octets, size_t n) EPC_MUST_CHECK;
/** The next message that is not of the base protocol: DWR and DPR are answered here. @param[out] m gives.
 *  @return EPC_OK, EPC_ETIMEDOUT, EPC_EIO (connection gone), EPC_EPROTO (not Diameter; said),
 *          EPC_EAGAIN (interrupted by a signal) */
enum epc_err ctl_peer_receive(struct ctl_peer *p, uint64_t deadline_ms, struct epc_msg **m) EPC_MUST_CHECK;
/** DPR, a second for its answer, the end. */
void ctl_peer_close(struct ctl_peer *p);

#endif
