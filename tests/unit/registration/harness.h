/* The registration room on a bench: real header editing, tokens and tables; the transactions, the
 * flows, the timers and the clock are played by the test. */
#ifndef EPC_TEST_REG_HARNESS_H
#define EPC_TEST_REG_HARNESS_H

#include "registration/registration_priv.h"
#include "token_maker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* registration.max_failures on the bench */
#define REG_FAILURES_MAX 10

#define BENCH_SHARDS 4

/* A request of a WIC and what became of it. */
struct bench_in {
    int status;        /* final answer */
    char phrase[64];   /* of an own answer */
    char *answer;      /* header lines of an own answer, or the whole forwarded message */
    bool forwarded, released;
};
/* A request towards the core. */
struct bench_out {
    char *text;
    const char *next_hop;
    bool detached;
    struct epc_sip_out *handle;
    msg_t *msg;
    epc_sip_response_fn *fn;
    void *arg;
};
struct bench {
    struct epc_config cfg;
    struct epc_auth *auth;
    struct epc_reg *reg; /* the shard that flows and REGISTERs of the test are on: bench_on() */
    struct epc_reg *regs[BENCH_SHARDS];
    size_t n_shards;
    bool stopped[BENCH_SHARDS], mail_full, can_hand_over;
    struct bench_in in[64];
    size_t n_in;
    struct bench_out out[64];
    size_t n_out;
    unsigned gone;
    char gone_why[64];
    struct token_maker maker;
    const char *associated; /* P-Associated-URI lines of bench_ok(); NULL: alice's and a number */
    uint64_t calls_on;      /* flow with calls; 0: none */
};
extern struct bench bench;

int bench_setup(void **state);
int bench_teardown(void **state);

/* Flows 1..7. Flow 1-3: Origin with both modes, 4: token only, 5: Digest only, 6: no Origin. */
int bench_flow_closed_code(uint64_t flow_id); /* 0: open */
bool bench_flow_registered(uint64_t flow_id);
void bench_flow_gone(uint64_t flow_id);
/* Another connection in the place of one that is gone; returns its id. Ids are never used again: they
 * are the first one's plus a multiple of 8. */
uint64_t bench_flow_again(uint64_t flow_id);
/* Forget requests that are over, so that there is room for more: indexes are used again. */
void bench_recycle(void);

/* REGISTER as a browser's SIP stack sends it; NULL members have defaults. */
struct reg_text {
    const char *user;        /* alice */
    const char *from;        /* sip:alice@ims.test */
    const char *target;      /* sip:ims.test */
    const char *extra;       /* header lines */
    const char *contact;     /* whole value; default has instance and reg-id of the flow */
    const char *expires;     /* 600 */
    const char *supported;   /* path,gruu,outbound */
};
/* Returns the index into bench.in. */
size_t bench_register(uint64_t flow_id, const struct reg_text *t);
size_t bench_token_register(uint64_t flow_id, const char *user, uint32_t lifetime_s, const char *expires);
size_t bench_request(uint64_t flow_id, const char *text);
/* "Authorization: Bearer <token>\r\n"; freed at the end of the test. */
const char *bench_bearer(const char *user, uint32_t lifetime_s);
/* With the identities given, each quoted: "\"sip:a@ims.test\", \"tel:+1\"". */
const char *bench_bearer_for(const char *user, const char *impus, uint32_t lifetime_s);
/* The core answers request number @p i. */
void bench_answer(size_t i, int status, const char *headers);
/* 200 with contact, Service-Route and P-Associated-URI. */
void bench_ok(size_t i, uint32_t expires_s);
void bench_no_answer(size_t i, int status);
void bench_advance(uint64_t s);
void bench_end_of_turn(void);
struct epc_sip_in *bench_last_in(void);
const struct bench_in *bench_result(size_t i);

void bench_shards(size_t n);
void bench_on(size_t shard);
bool bench_deliver_one(void); /* false: nothing was on its way */
void bench_deliver(void);
bool bench_arrive(size_t *shard); /* false: no connection was handed over */

void expect_has(const char *text, const char *part);
void expect_not(const char *text, const char *part);

#endif
