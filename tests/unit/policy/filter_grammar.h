/* A recogniser of the Flow-Descriptions that TS 29.214 5.3.8 allows, and the promises that hold for any
 * service information; used by the property test and the fuzz target. */
#ifndef FILTER_GRAMMAR_H
#define FILTER_GRAMMAR_H

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #cond);                      \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A literal address; a source of IPv6 must be a /64 with nothing behind the prefix. */
static inline bool grammar_address(char *text, bool source)
{
    unsigned char octets[16];
    char *slash = strchr(text, '/');
    if (inet_pton(AF_INET, text, octets) == 1)
        return strcmp(text, "0.0.0.0") != 0;
    if (source) {
        static const unsigned char zero[8];
        if (!slash || strcmp(slash, "/64") != 0)
            return false;
        *slash = 0;
        return inet_pton(AF_INET6, text, octets) == 1 && memcmp(octets + 8, zero, 8) == 0;
    }
    return inet_pton(AF_INET6, text, octets) == 1 && strcmp(text, "::") != 0;
}

/** permit in|out 6|17 from <address> to <address> <port>, no more and no less. */
static inline bool grammar_filter(const char *filter, const char *direction)
{
    char action[16], dir[16], proto[16], from[16], src[64], to[16], dst[64], port[16], more[2];
    if (sscanf(filter, "%15s %15s %15s %15s %63s %15s %63s %15s %1s", action, dir, proto, from, src, to, dst, port,
               more) != 8)
        return false;
    char again[256];
    snprintf(again, sizeof again, "%s %s %s %s %s %s %s %s", action, dir, proto, from, src, to, dst, port);
    long n = strtol(port, NULL, 10);
    return strcmp(again, filter) == 0 && strcmp(action, "permit") == 0 && strcmp(dir, direction) == 0 &&
           (strcmp(proto, "17") == 0 || strcmp(proto, "6") == 0) && strcmp(from, "from") == 0 && strcmp(to, "to") == 0 &&
           grammar_address(src, true) && grammar_address(dst, false) && n > 0 && n < 65536 && n != 9 &&
           strspn(port, "0123456789") == strlen(port) && port[0] != '0';
}

static inline bool grammar_mux(const char *codec_data)
{
    return strstr(codec_data, "\na=rtcp-mux\n") != NULL;
}

static inline bool grammar_printable(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

/** Lines "NUMBER WHAT <- WHY", printable; none with what must not be seen. */
static inline void grammar_why(const char *why)
{
    for (const char *l = why; *l;) {
        const char *end = strchr(l, '\n');
        MUST(end != NULL);
        char line[1024];
        MUST((size_t)(end - l) < sizeof line);
        snprintf(line, sizeof line, "%.*s", (int)(end - l), l);
        MUST(line[strspn(line, line[0] == '-' ? "-" : "0123456789")] == ' ');
        MUST(strstr(line, " <- ") != NULL);
        MUST(grammar_printable(line));
        l = end + 1;
    }
}

static inline void grammar_info(const struct epc_service_info *s)
{
    if (s->why)
        grammar_why(s->why);
    static const char *const secret[] = {"ice-", "candidate", "fingerprint", "ssrc", "msid", "crypto", "\na=setup"};
    for (size_t i = 0; i < s->n_components; i++) {
        const struct epc_media_component *c = &s->component[i];
        MUST(c->n_flows <= 2);
        MUST(c->max_ul_bps <= 32 * INT64_C(1000) * UINT32_MAX && c->max_dl_bps <= 32 * INT64_C(1000) * UINT32_MAX);
        for (size_t k = 0; k < i; k++)
            MUST(s->component[k].number != c->number);
        for (size_t k = 0; k < c->webrtc.n_channels; k++) { /* UTF8String */
            MUST(grammar_printable(c->webrtc.channel[k].label));
            MUST(grammar_printable(c->webrtc.channel[k].subprotocol));
        }
        MUST(grammar_printable(c->webrtc.wic.hash) && grammar_printable(c->webrtc.agw.hash));
        if (c->status == EPC_FLOW_REMOVED)
            MUST(c->n_flows == 0 && !c->codec_data[0] && c->max_ul_bps == -1);
        if (c->status != EPC_FLOW_REMOVED && c->codec_data[0] && (!c->codec_data[1] || grammar_mux(c->codec_data[1])) &&
            grammar_mux(c->codec_data[0])) { /* RTCP on the same flow: nothing else runs */
            size_t running = 0;
            for (size_t f = 0; f < c->n_flows; f++)
                running += c->flow[f].status != EPC_FLOW_REMOVED;
            MUST(running <= 1);
        }
        for (size_t f = 0; f < c->n_flows; f++) {
            MUST(c->flow[f].uplink[0] || !c->flow[f].downlink[0]); /* not known: the uplink alone */
            MUST(!c->flow[f].uplink[0] || grammar_filter(c->flow[f].uplink, "in"));
            MUST(!c->flow[f].downlink[0] || grammar_filter(c->flow[f].downlink, "out"));
        }
        for (size_t d = 0; d < 2 && c->codec_data[d]; d++) {
            /* line beginnings only: what stands inside fmtp is the peer's own text */
            for (const char *l = c->codec_data[d]; l; l = strchr(l, '\n') ? strchr(l, '\n') + 1 : NULL)
                for (size_t k = 0; k < EPC_ARRAY_LEN(secret); k++)
                    MUST(strncmp(l, "a=", 2) != 0 || strncmp(l + 2, secret[k], strlen(secret[k])) != 0);
        }
    }
}

#endif
