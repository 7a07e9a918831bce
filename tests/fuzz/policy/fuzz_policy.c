/* Octet 0 chooses roles and addresses; then the uplink SDP, a line "==", the downlink SDP. */
#include "policy_fuzz_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct epc_str up = {(const char *)data + 1, size - 1}, down = EPC_STR_NULL;
    const char *cut = up.n ? memmem(up.p, up.n, "\n==\n", 4) : NULL;
    if (cut) {
        down = (struct epc_str){cut + 4, up.n - (size_t)(cut - up.p) - 4};
        up.n = (size_t)(cut - up.p) + 1;
    }
    policy_round(up, down, data[0]);
    return 0;
}
