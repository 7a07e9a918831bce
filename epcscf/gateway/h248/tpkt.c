#include "gateway/h248/tpkt.h"

#include <string.h>

enum { VERSION = 3 };

void tpkt_header(uint8_t out[TPKT_HEADER_OCTETS], size_t body_octets)
{
    size_t n = body_octets + TPKT_HEADER_OCTETS;
    out[0] = VERSION;
    out[1] = 0;
    out[2] = (uint8_t)(n >> 8);
    out[3] = (uint8_t)n;
}

/* Length of the packet that begins at @p p, header included; 0: more is needed to know. */
static enum epc_err packet_length(const char *p, size_t n, size_t *length)
{
    *length = 0;
    if (n > 0 && p[0] != VERSION)
        return EPC_EPROTO;
    if (n < TPKT_HEADER_OCTETS)
        return EPC_OK;
    size_t l = (size_t)(uint8_t)p[2] << 8 | (uint8_t)p[3];
    if (l < TPKT_HEADER_OCTETS)
        return EPC_EPROTO;
    *length = l;
    return EPC_OK;
}

/* Complete packets of p..p+n, without copying. @p used: octets dealt with. */
static enum epc_err take_packets(const char *p, size_t n, size_t *used, bool *stop, tpkt_fn *fn, void *arg)
{
    *used = 0;
    while (!*stop) {
        size_t length, left = n - *used;
        enum epc_err err = packet_length(p + *used, left, &length);
        if (err != EPC_OK)
            return err;
        if (length == 0 || length > left)
            break;
        const char *body = p + *used + TPKT_HEADER_OCTETS;
        *used += length;
        *stop = !fn(arg, (struct epc_str){body, length - TPKT_HEADER_OCTETS});
    }
    return EPC_OK;
}

/* Octets that the packet begun in `part` still lacks, as far as its header tells. */
static enum epc_err missing(const struct tpkt_reader *r, size_t *lacks)
{
    size_t length;
    enum epc_err err = packet_length(r->part.p, r->part.n, &length);
    if (err == EPC_OK)
        *lacks = (length ? length : TPKT_HEADER_OCTETS) - r->part.n;
    return err;
}

static enum epc_err keep(struct tpkt_reader *r, const char *p, size_t n)
{
    if (n)
        epc_buf_add(&r->part, p, n);
    return r->part.failed ? EPC_ENOMEM : EPC_OK;
}

enum epc_err tpkt_feed(struct tpkt_reader *r, const char *p, size_t n, tpkt_fn *fn, void *arg)
{
    bool stop = false;
    size_t used, lacks;
    enum epc_err err;
    while (r->part.n && n && !stop) { /* first the packet that began earlier: its header, then its body */
        err = missing(r, &lacks);
        if (err != EPC_OK)
            return err;
        size_t take = lacks < n ? lacks : n;
        err = keep(r, p, take);
        if (err != EPC_OK)
            return err;
        p += take;
        n -= take;
        err = take_packets(r->part.p, r->part.n, &used, &stop, fn, arg);
        if (err != EPC_OK)
            return err;
        if (used)
            r->part.n = 0;
    }
    if (stop || n == 0)
        return EPC_OK;
    err = take_packets(p, n, &used, &stop, fn, arg);
    if (err != EPC_OK || stop)
        return err;
    return keep(r, p + used, n - used);
}

void tpkt_reader_free(struct tpkt_reader *r)
{
    epc_buf_free(&r->part);
}
