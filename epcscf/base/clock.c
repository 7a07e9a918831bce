#include "base/base.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <time.h>

uint64_t epc_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

uint64_t epc_wall_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec;
}

void epc_random(void *p, size_t n)
{
    /* Guessable flow tokens would be worse than no service. */
    if (n > INT32_MAX || RAND_bytes(p, (int)n) != 1) {
        epc_log(EPC_LOG_ERROR, "base", "event=no-random-octets action=exit");
        exit(70);
    }
}

void epc_random_hex(char *out, size_t n)
{
    static const char digit[] = "0123456789abcdef";
    /* One request to the generator; the octets wait in the upper half of the text. */
    epc_random(out + n, n);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)out[n + i];
        out[2 * i] = digit[c >> 4];
        out[2 * i + 1] = digit[c & 15];
    }
    out[2 * n] = 0;
}
