/* A gateway (MG) that does what the test says, over TCP or UDP. It answers audits by itself unless told
 * otherwise. On the test's thread. */
#ifndef GATEWAY_H248_MG_H
#define GATEWAY_H248_MG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/base.h"
#include "h248/h248.h"

enum { MG_WAIT_MS = 30000, MG_PORT = 2944 };

struct mg {
    int fd;
    bool tcp;
    char mid[64];
    unsigned version;        /* of its headers */
    const char *from;        /* its own address; NULL: any */
    int receive_octets;      /* its socket's buffer; 0: the system's */
    bool mute;               /* audits go unanswered */
    const char *packages, *root, *contexts; /* for the answers; contexts: "5001 5002" */
    unsigned n_beats, n_audits;
    char text[65536];        /* the message that was heard last */
    struct epc_h248_message *heard;
};

void mg_open(struct mg *m, bool tcp, const char *host, const char *mid);
void mg_close(struct mg *m);
void mg_cut(struct mg *m); /**< its connection alone, or its socket */
/** Header and @p fmt. */
void mg_say(struct mg *m, const char *fmt, ...) EPC_PRINTF(2, 3);
void mg_say_raw(struct mg *m, const char *text, size_t n);
/** The next message that is not an audit answered by itself; NULL when none comes within @p ms. */
const struct epc_h248_message *mg_hear(struct mg *m, int ms);
/** The next message must hold @p part. @return its first transaction's id */
uint32_t mg_expect(struct mg *m, const char *part);
void mg_expect_nothing(struct mg *m, int ms);
/** Register and have the audits answered. */
void mg_register(struct mg *m, unsigned id, const char *services);
/** Answer what comes until @p done(arg), at most MG_WAIT_MS. */
void mg_serve_until(struct mg *m, bool (*done)(void *arg), void *arg);

#endif
