/* Captures: pcap and pcapng files, TCP streams put together, Diameter messages cut out of them.
 * Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng; RFC 9293 3.1; RFC 6733 3. */
#include "avp/msg_priv.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_STREAMS = 1024,
    MAX_PENDING = 256,        /* segments that came before their turn, per stream */
    MAX_INTERFACES = 64,
    NULL_LINK = 0, ETHERNET = 1, RAW = 101, LOOP = 108, SLL = 113, IPV4 = 228, IPV6 = 229, SLL2 = 276,
};

struct segment {
    uint32_t seq;
    uint64_t t_us;
    struct epc_str data; /* in the capture */
};
/* One direction of a connection. */
struct stream {
    uint8_t key[36]; /* addresses (16 each) and ports */
    char from[64], to[64];
    bool started, lost;
    uint32_t next;
    struct epc_buf data;
    struct segment pending[MAX_PENDING];
    size_t n_pending;
};
struct pcap {
    const struct epc_pcap_sink *sink;
    struct epc_buf *why;
    struct stream *stream[MAX_STREAMS];
    size_t n_streams;
    size_t messages, holes;
    bool big_endian, stop, nomem;
    struct {
        unsigned link;
        uint64_t per_second; /* ticks of its clock */
    } interface[MAX_INTERFACES];
    size_t n_interfaces;
};

static const uint8_t *octets(struct epc_str s)
{
    return (const uint8_t *)s.p;
}

static uint32_t u32(const struct pcap *c, const uint8_t *p)
{
    return c->big_endian ? epc_be32(p)
                         : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static unsigned u16(const struct pcap *c, const uint8_t *p)
{
    return c->big_endian ? (unsigned)p[0] << 8 | p[1] : (unsigned)p[1] << 8 | p[0];
}

static unsigned be16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static struct epc_str after(struct epc_str s, size_t n)
{
    return n > s.n ? EPC_STR_NULL : (struct epc_str){s.p + n, s.n - n};
}

/* ---- Diameter in a stream ------------------------------------------------------------------------------ */

/* Could a message begin here? Version 1, a length that can be, no reserved flag, R not with E. */
static bool plausible(const uint8_t *p)
{
    uint32_t n = epc_be24(p + 1);
    uint32_t code = epc_be24(p + 5);
    return p[0] == 1 && n >= 20 && n % 4 == 0 && n <= EPC_MSG_MAX_OCTETS && (p[4] & 0x0f) == 0 &&
           (p[4] & 0xa0) != 0xa0 && code >= 256;
}

static void cut_messages(struct pcap *c, struct stream *s, uint64_t t_us)
{
    size_t done = 0;
    while (!c->stop && s->data.n - done >= 20) {
        const uint8_t *p = (const uint8_t *)s->data.p + done;
        if (!plausible(p)) {
            /* Another protocol, or the middle of a message: begin again with the next segment. */
            done = s->data.n;
            s->lost = true;
            break;
        }
        uint32_t n = epc_be24(p + 1);
        if (n > s->data.n - done)
            break;
        c->messages++;
        c->stop = !c->sink->message(c->sink->arg, t_us, s->from, s->to, p, n);
        done += n;
    }
    if (done) {
        memmove(s->data.p, s->data.p + done, s->data.n - done);
        s->data.n -= done;
    }
}

/* ---- TCP ------------------------------------------------------------------------------------------------ */

static void take(struct pcap *c, struct stream *s, const struct segment *g)
{
    uint32_t old = s->next - g->seq; /* octets that were there before */
    if ((int32_t)old < 0 || old >= g->data.n)
        return;
    if (s->lost) { /* wait for a segment that begins with a message */
        if (g->data.n - old < 20 || !plausible(octets(g->data) + old)) {
            s->next = g->seq + (uint32_t)g->data.n;
            return;
        }
        s->lost = false;
    }
    epc_buf_add(&s->data, g->data.p + old, g->data.n - old);
    s->next = g->seq + (uint32_t)g->data.n;
    if (s->data.failed) {
        c->nomem = true;
        return;
    }
    cut_messages(c, s, g->t_us);
}

/* Segments whose turn has come. */
static void take_pending(struct pcap *c, struct stream *s)
{
    for (size_t i = 0; i < s->n_pending;) {
        struct segment g = s->pending[i];
        if ((int32_t)(g.seq - s->next) > 0) {
            i++;
            continue;
        }
        s->pending[i] = s->pending[--s->n_pending];
        take(c, s, &g);
        i = 0;
    }
}

/* What is missing will not come: go on behind it. */
static void skip_hole(struct pcap *c, struct stream *s)
{
    size_t first = 0;
    for (size_t i = 1; i < s->n_pending; i++)
        if ((int32_t)(s->pending[i].seq - s->pending[first].seq) < 0)
            first = i;
    c->holes++;
    s->data.n = 0;
    s->lost = true;
    s->next = s->pending[first].seq;
    take_pending(c, s);
}

static struct stream *find_stream(struct pcap *c, const uint8_t key[36], int family)
{
    for (size_t i = 0; i < c->n_streams; i++)
        if (memcmp(c->stream[i]->key, key, 36) == 0)
            return c->stream[i];
    struct stream *s = c->n_streams < MAX_STREAMS ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        c->nomem = c->nomem || c->n_streams < MAX_STREAMS;
        return NULL;
    }
    char ip[INET6_ADDRSTRLEN];
    memcpy(s->key, key, 36);
    const char *form = family == AF_INET ? "%s:%u" : "[%s]:%u";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* one of the two above */
    snprintf(s->from, sizeof s->from, form, inet_ntop(family, key, ip, sizeof ip) ? ip : "?", be16(key + 32));
    snprintf(s->to, sizeof s->to, form, inet_ntop(family, key + 16, ip, sizeof ip) ? ip : "?", be16(key + 34));
#pragma GCC diagnostic pop
    c->stream[c->n_streams++] = s;
    return s;
}

static void on_tcp(struct pcap *c, struct epc_str p, uint8_t key[36], int family, uint64_t t_us)
{
    if (p.n < 20)
        return;
    const uint8_t *h = octets(p);
    size_t head = (size_t)(h[12] >> 4) * 4;
    bool syn = h[13] & 2;
    if (head < 20 || head > p.n)
        return;
    memcpy(key + 32, h, 4);
    struct segment g = {.seq = epc_be32(h + 4) + syn, .t_us = t_us, .data = after(p, head)};
    if (!syn && g.data.n == 0)
        return;
    struct stream *s = find_stream(c, key, family);
    if (!s)
        return;
    if (syn || !s->started) { /* a capture may begin in the middle */
        s->started = true;
        s->lost = !syn;
        s->next = g.seq;
        s->data.n = 0;
        s->n_pending = 0;
    }
    if (g.data.n == 0)
        return;
    if ((int32_t)(g.seq - s->next) > 0) {
        if (s->n_pending == MAX_PENDING)
            skip_hole(c, s);
        if (s->n_pending < MAX_PENDING)
            s->pending[s->n_pending++] = g;
    } else
        take(c, s, &g);
    take_pending(c, s);
}

/* ---- IP ------------------------------------------------------------------------------------------------- */

static void on_ipv4(struct pcap *c, struct epc_str p, uint64_t t_us)
{
    uint8_t key[36] = {0};
    const uint8_t *h = octets(p);
    if (p.n < 20)
        return;
    size_t head = (size_t)(h[0] & 15) * 4, total = be16(h + 2);
    /* Fragments carry no Diameter in practice; segmentation offload writes 0 as the length. */
    if (head < 20 || head > p.n || h[9] != IPPROTO_TCP || (be16(h + 6) & 0x3fff))
        return;
    if (total >= head && total < p.n)
        p.n = total;
    memcpy(key, h + 12, 4);
    memcpy(key + 16, h + 16, 4);
    on_tcp(c, after(p, head), key, AF_INET, t_us);
}

static void on_ipv6(struct pcap *c, struct epc_str p, uint64_t t_us)
{
    uint8_t key[36];
    const uint8_t *h = octets(p);
    if (p.n < 40)
        return;
    size_t length = be16(h + 4);
    unsigned next = h[6];
    memcpy(key, h + 8, 32);
    p = after(p, 40);
    if (length && length < p.n)
        p.n = length;
    /* Extension headers whose second octet is their length: hop-by-hop, routing, destination options. */
    while ((next == 0 || next == 43 || next == 60) && p.n >= 8) {
        next = octets(p)[0];
        p = after(p, 8 + (size_t)octets(p)[1] * 8);
    }
    if (next == IPPROTO_TCP)
        on_tcp(c, p, key, AF_INET6, t_us);
}

static void on_ip(struct pcap *c, struct epc_str p, uint64_t t_us)
{
    if (p.n && octets(p)[0] >> 4 == 4)
        on_ipv4(c, p, t_us);
    else if (p.n && octets(p)[0] >> 4 == 6)
        on_ipv6(c, p, t_us);
}

static void on_ethernet(struct pcap *c, struct epc_str p, uint64_t t_us)
{
    size_t at = 12;
    /* VLAN tags */
    while (p.n >= at + 6 && (be16(octets(p) + at) == 0x8100 || be16(octets(p) + at) == 0x88a8))
        at += 4;
    on_ip(c, after(p, at + 2), t_us);
}

static void on_frame(struct pcap *c, unsigned link, struct epc_str p, uint64_t t_us)
{
    switch (link) {
    case ETHERNET: on_ethernet(c, p, t_us); break;
    case SLL: on_ip(c, after(p, 16), t_us); break;
    case SLL2: on_ip(c, after(p, 20), t_us); break;
    case NULL_LINK:
    case LOOP: on_ip(c, after(p, 4), t_us); break;
    case RAW:
    case 12: /* RAW on some systems */
    case IPV4:
    case IPV6: on_ip(c, p, t_us); break;
    default: break;
    }
}

static bool known_link(unsigned link)
{
    return link == ETHERNET || link == SLL || link == SLL2 || link == NULL_LINK || link == LOOP || link == RAW ||
           link == 12 || link == IPV4 || link == IPV6;
}

/* ---- files ------------------------------------------------------------------------------------------------ */

static const uint32_t PCAP_US = 0xa1b2c3d4, PCAP_NS = 0xa1b23c4d, PCAPNG = 0x0a0d0d0a, PCAPNG_ORDER = 0x1a2b3c4d;

static bool pcap_magic(uint32_t m)
{
    return m == PCAP_US || m == PCAP_NS;
}

bool epc_is_pcap(struct epc_str s)
{
    struct pcap little = {0};
    return s.n >= 4 && (epc_be32(octets(s)) == PCAPNG || pcap_magic(epc_be32(octets(s))) ||
                        pcap_magic(u32(&little, octets(s))));
}

static enum epc_err read_pcap(struct pcap *c, struct epc_str s)
{
    if (s.n < 24) {
        epc_why(c->why, "the capture ends within its header");
        return EPC_EPROTO;
    }
    c->big_endian = pcap_magic(epc_be32(octets(s)));
    bool ns = u32(c, octets(s)) == PCAP_NS;
    unsigned link = u32(c, octets(s) + 20) & 0xfffffff;
    if (!known_link(link)) {
        epc_why(c->why, "the capture's link type %u is not read; capture on Ethernet, \"any\" or loopback", link);
        return EPC_EPROTO;
    }
    for (size_t at = 24; at < s.n && !c->stop && !c->nomem;) {
        const uint8_t *h = octets(s) + at;
        if (s.n - at < 16 || u32(c, h + 8) > s.n - at - 16) {
            epc_why(c->why, "offset %zu: the capture ends within a packet", at);
            return EPC_OK; /* it was cut off: what came before is good */
        }
        uint32_t n = u32(c, h + 8), part = u32(c, h + 4);
        on_frame(c, link, (struct epc_str){s.p + at + 16, n}, (uint64_t)u32(c, h) * 1000000 + (ns ? part / 1000 : part));
        at += 16 + (size_t)n;
    }
    return EPC_OK;
}

/* Interface Description Block: link type, and if_tsresol among its options. */
static void on_interface(struct pcap *c, struct epc_str b)
{
    if (c->n_interfaces == MAX_INTERFACES || b.n < 8)
        return;
    uint64_t per_second = 1000000;
    for (size_t at = 8; at + 4 <= b.n;) {
        unsigned code = u16(c, octets(b) + at), n = u16(c, octets(b) + at + 2);
        if (code == 9 && n >= 1 && at + 5 <= b.n) {
            unsigned r = octets(b)[at + 4];
            per_second = 1;
            if (r & 0x80)
                per_second = (r & 0x7f) < 63 ? UINT64_C(1) << (r & 0x7f) : 1000000;
            for (unsigned i = 0; !(r & 0x80) && i < r && i < 18; i++)
                per_second *= 10;
        }
        at += 4 + (n + 3u) / 4 * 4;
    }
    c->interface[c->n_interfaces].link = u16(c, octets(b));
    c->interface[c->n_interfaces++].per_second = per_second;
}

static void on_packet(struct pcap *c, struct epc_str b)
{
    if (b.n < 20)
        return;
    const uint8_t *p = octets(b);
    uint32_t interface = u32(c, p), n = u32(c, p + 12);
    if (interface >= c->n_interfaces || n > b.n - 20)
        return;
    uint64_t ticks = (uint64_t)u32(c, p + 4) << 32 | u32(c, p + 8);
    uint64_t per_second = c->interface[interface].per_second;
    uint64_t rest = ticks % per_second;
    uint64_t part = per_second > 1000000 ? rest / (per_second / 1000000) : rest * (1000000 / per_second);
    on_frame(c, c->interface[interface].link, (struct epc_str){b.p + 20, n}, ticks / per_second * 1000000 + part);
}

/* Simple Packet Block: of the first interface, without a time. */
static void on_simple_packet(struct pcap *c, struct epc_str b)
{
    if (b.n < 4 || c->n_interfaces == 0)
        return;
    size_t n = u32(c, octets(b));
    on_frame(c, c->interface[0].link, (struct epc_str){b.p + 4, n < b.n - 4 ? n : b.n - 4}, 0);
}

static enum epc_err read_pcapng(struct pcap *c, struct epc_str s)
{
    for (size_t at = 0; at < s.n && !c->stop && !c->nomem;) {
        const uint8_t *h = octets(s) + at;
        if (s.n - at >= 12 && epc_be32(h) == PCAPNG) {
            c->big_endian = epc_be32(h + 8) == PCAPNG_ORDER;
            c->n_interfaces = 0;
        }
        uint32_t n = s.n - at >= 12 ? u32(c, h + 4) : 0;
        if (n < 12 || n % 4 || n > s.n - at) {
            epc_why(c->why, "offset %zu: the capture ends within a block, or the block's length is wrong", at);
            return at == 0 ? EPC_EPROTO : EPC_OK;
        }
        struct epc_str body = {s.p + at + 8, n - 12};
        switch (u32(c, h)) {
        case 1: on_interface(c, body); break;
        case 3: on_simple_packet(c, body); break;
        case 6: on_packet(c, body); break;
        default: break;
        }
        at += n;
    }
    return EPC_OK;
}

enum epc_err epc_pcap_read(struct epc_str content, const struct epc_pcap_sink *sink, struct epc_buf *why)
{
    struct pcap *c = calloc(1, sizeof *c);
    if (!c)
        return EPC_ENOMEM;
    c->sink = sink;
    c->why = why;
    enum epc_err e = content.n >= 4 && epc_be32(octets(content)) == PCAPNG ? read_pcapng(c, content)
                                                                           : read_pcap(c, content);
    for (size_t i = 0; i < c->n_streams; i++) {
        while (c->stream[i]->n_pending && !c->stop && !c->nomem)
            skip_hole(c, c->stream[i]);
        epc_buf_free(&c->stream[i]->data);
        free(c->stream[i]);
    }
    if (c->holes)
        epc_why(why, "%zu holes in the TCP streams: segments were not captured, messages may be missing", c->holes);
    if (e == EPC_OK && c->messages == 0)
        epc_why(why, "no Diameter message was found (only TCP without TLS is read)");
    if (c->nomem)
        e = EPC_ENOMEM;
    free(c);
    return e;
}
