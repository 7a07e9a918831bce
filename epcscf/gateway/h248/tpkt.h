/* TPKT framing (RFC 1006 6, RFC 2126 4.3; H.248.1 Annex D.2): version 3, a reserved octet, two octets of
 * length that count themselves, then the message. No I/O. */
#ifndef EPC_H248_TPKT_H
#define EPC_H248_TPKT_H

#include "base/base.h"

enum { TPKT_HEADER_OCTETS = 4, TPKT_MAX_BODY = 65535 - TPKT_HEADER_OCTETS };

/** What has come of packets that are not complete. Zero-initialise. */
struct tpkt_reader {
    struct epc_buf part;
};
/** One message; @p body borrowed, may be empty. @return false: stop, the rest is not looked at */
typedef bool tpkt_fn(void *arg, struct epc_str body);

/** Octets from the stream: @p fn for each packet that they complete. Keeps at most one packet.
 *  @return EPC_OK, EPC_EPROTO (this is no TPKT; the stream cannot be followed any more), EPC_ENOMEM */
enum epc_err tpkt_feed(struct tpkt_reader *r, const char *p, size_t n, tpkt_fn *fn, void *arg) EPC_MUST_CHECK;
void tpkt_reader_free(struct tpkt_reader *r);
/** @p body_octets at most TPKT_MAX_BODY. */
void tpkt_header(uint8_t out[TPKT_HEADER_OCTETS], size_t body_octets);

#endif
