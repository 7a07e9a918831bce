/* Latencies: octaves of 32 steps each, so that a percentile is off by 3 % at most. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>
#include <string.h>

struct histogram {
    uint64_t count[64 * 32], total;
};

static inline unsigned histogram_slot(uint64_t ns)
{
    if (ns < 32)
        return (unsigned)ns;
    unsigned top = 63u - (unsigned)__builtin_clzll(ns);
    return (top - 4) * 32 + (unsigned)(ns >> (top - 5) & 31);
}

static inline void histogram_add(struct histogram *h, uint64_t ns)
{
    h->count[histogram_slot(ns)]++;
    h->total++;
}

static inline double histogram_us(const struct histogram *h, double share)
{
    uint64_t wanted = (uint64_t)((double)h->total * share), seen = 0;
    for (unsigned i = 0; i < 64 * 32; i++) {
        seen += h->count[i];
        if (seen > wanted)
            return i < 32 ? i / 1e3 : (double)((32ull + i % 32) << (i / 32 - 1)) / 1e3;
    }
    return 0;
}

#endif
