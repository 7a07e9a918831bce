/* The two clients of the benchmark. */
#ifndef RX_BENCH_H
#define RX_BENCH_H

#include <stdint.h>

/** What one run measured. */
struct bench_result {
    uint64_t pairs;        /* requests that were answered */
    uint64_t failed;       /* answered with anything but success, or not at all */
    double wall_s, cpu_s;  /* of this process, all threads, between the first and the last pair */
    uint32_t *latency_us;  /* of each pair; owned, NULL unless asked for */
};

struct bench_plan {
    unsigned outstanding;
    uint64_t pairs;
    int latency;           /* keep each pair's time */
};

double bench_cpu_s(void);
uint64_t bench_now_us(void);

#define BENCH_PCRF "pcrf.bench.test"

/** The same AAR, built and sent with freeDiameter's own functions and nothing else, in a node set up as
 *  any program that embeds it would. @p conf loads no epcscf_rx.fdx. Non-zero: could not run. */
int bare_run(const char *conf, const struct bench_plan *plan, struct bench_result *r);

/* The request that both send: an update of one audio component, two filters, offer and answer. */
#define BENCH_UE "10.45.0.2"
#define BENCH_UPLINK "permit in 17 from 10.45.0.2 to 198.51.100.20 40000"
#define BENCH_DOWNLINK "permit out 17 from 198.51.100.20 to 10.45.0.2 54321"
#define BENCH_OFFER                                                                                \
    "uplink\noffer\nm=audio 54321 UDP/TLS/RTP/SAVPF 111\na=rtpmap:111 opus/48000/2\na=rtcp-mux"
#define BENCH_ANSWER                                                                               \
    "downlink\nanswer\nm=audio 40000 UDP/TLS/RTP/SAVPF 111\na=rtpmap:111 opus/48000/2\na=rtcp-mux"
/** Bandwidth of the n-th request of a session: every one differs from the one before. */
static inline uint32_t bench_bps(uint64_t n)
{
    return n & 1 ? 84000 : 64000;
}

#endif
