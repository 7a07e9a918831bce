/* Octets of the packet core to P-Access-Network-Info: whatever they are, one header value comes out, or
 * none. Input: RAT-Type, three lengths, then location, time zone and TWAN. */
#include "rx_priv.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct epc_str take(const uint8_t **p, size_t *left, size_t want)
{
    struct epc_str s = {(const char *)(const void *)*p, want < *left ? want : *left};
    *p += s.n;
    *left -= s.n;
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int32_t rat[] = {-1, 0, 1000, 1001, 1003, 1004, 1006, 4711};
    char text[256];
    if (size < 4)
        return 0;
    const uint8_t *p = data + 4;
    size_t left = size - 4;
    struct rx_netinfo n = {.ip_can_type = -1, .rat_type = rat[data[0] % EPC_ARRAY_LEN(rat)]};
    n.user_location = take(&p, &left, data[1]);
    n.time_zone = take(&p, &left, data[2]);
    n.twan = take(&p, &left, data[3]);
    memset(text, 1, sizeof text);
    rx_netinfo_text(&n, true, text, sizeof text);
    size_t len = strnlen(text, sizeof text);
    if (len == sizeof text)
        __builtin_trap();
    for (size_t i = 0; i < len; i++)
        if (text[i] <= 0x20 || text[i] >= 0x7f)
            __builtin_trap();
    return 0;
}
