/* A gateway on a shard of its own, driven from the test's thread. */
#ifndef GATEWAY_BENCH_H
#define GATEWAY_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>

#include <cmocka.h>

#include "gateway/gateway_priv.h"

enum { BENCH_WAIT_MS = 20000, BENCH_MAX = 64 };

struct bench;
struct bench_waiter {
    struct bench *b;
    int tag;
};
struct bench {
    struct epc_shard *sh;
    struct epc_gw *gw;
    struct epc_gw_hub *hub;
    struct epc_cfg_media cfg;
    struct epc_addr addr[4]; /* of the rtpengines, into cfg */
    pthread_mutex_t m;
    pthread_cond_t changed;
    /* below: guarded by m */
    int n_done;
    struct {
        enum epc_err err;
        char *local; /* printed */
        struct epc_cause cause;
        int tag;
    } done[BENCH_MAX];
    int n_events;
    struct epc_gw_event event[BENCH_MAX];
    _Atomic bool release_in_done, release_in_event; /* set by the test, read by the shard */
    struct epc_gw_view view; /* as the newest callback saw it */
    struct epc_gw_ctx *ctx;
    struct bench_waiter waiter[256];
    size_t n_waiters;
    int64_t before[EPC_C_COUNT];
    const char *want; /* goes with each offer and answer until it is changed; NULL: none */
};

/** Start a shard and a gateway on it that uses the rtpengines at @p port (0: end of the list). */
void bench_start(struct bench *b, const unsigned *port, uint32_t timeout_ms, uint32_t node_id);
/** The same; @p configure (may be NULL) changes the configuration before. */
void bench_start_with(struct bench *b, const unsigned *port, uint32_t timeout_ms, uint32_t node_id,
                      void (*configure)(struct epc_cfg_media *cfg));
/** Destroy the gateway, stop the shard; checks that requests = replies + errors + timeouts. */
void bench_stop(struct bench *b);
/** Run @p fn(b, arg) on the shard's thread and wait for it. */
void bench_run(struct bench *b, void (*fn)(struct bench *b, void *arg), void *arg);

void bench_ctx(struct bench *b, const char *call_id); /**< makes b->ctx */
void bench_offer(struct bench *b, enum epc_gw_side from, const char *sdp, int tag);
void bench_answer(struct bench *b, const char *sdp, int tag);
void bench_restore(struct bench *b, enum epc_gw_side offerer, const char *offer, const char *answer);
void bench_gate(struct bench *b, bool to_access, bool to_core);
void bench_caps(struct bench *b, struct epc_gw_caps *out);
/** The lines of epc_gw_each(), each with a line feed; free() it. */
char *bench_lines(struct bench *b);
void bench_release(struct bench *b);
void bench_destroy_gw(struct bench *b);
/** Wait until @p n results (events) are there. */
void bench_wait_done(struct bench *b, int n);
void bench_wait_events(struct bench *b, int n);
/** Poll until the counter has grown by @p n since bench_start(). */
void bench_wait_count(struct bench *b, enum epc_counter c, int64_t n);
void bench_wait_no_contexts(struct bench *b);
/** How many events have been told so far. */
unsigned bench_event_count(struct bench *b);
int64_t bench_count(const struct bench *b, enum epc_counter c);

/** A bare LF becomes CRLF. */
struct epc_sdp *sdp_from(const char *text);
extern const char sdp_wic_offer[];      /* audio + video, as unbundled for the gateway */
extern const char sdp_wic_restart[];    /* the same with other ICE credentials, version 3 */
extern const char sdp_wic_answer[];     /* audio, to sdp_core_offer */
extern const char sdp_wic_answer_hold[];
extern const char sdp_core_answer[];    /* audio, video refused */
extern const char sdp_core_answer_av[];
extern const char sdp_core_offer[];     /* audio */
extern const char sdp_core_reoffer[];   /* audio sendonly, video off */

#endif
