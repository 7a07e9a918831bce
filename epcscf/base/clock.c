#include "base/base.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
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

static void generate(void *p, size_t n)
{
    /* Guessable flow tokens would be worse than no service. */
    if (n > INT32_MAX || RAND_bytes(p, (int)n) != 1) {
        epc_log(EPC_LOG_ERROR, "base", "event=no-random-octets action=exit");
        exit(70);
    }
}

/* A call to the generator costs far more than the octets: tags and branches take theirs from a stock,
 * and leave nothing there. */
void epc_random(void *p, size_t n)
{
    static _Thread_local unsigned char stock[1024];
    static _Thread_local size_t left;
    if (n > sizeof stock / 8) {
        generate(p, n);
        return;
    }
    if (left < n) {
        generate(stock, sizeof stock);
        left = sizeof stock;
    }
    left -= n;
    memcpy(p, stock + left, n);
    OPENSSL_cleanse(stock + left, n);
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
