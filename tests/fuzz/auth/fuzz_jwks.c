/* Key sets: any text must give sound keys or an error. */
#include "auth/auth_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct epc_jwks ks;
    epc_log_setup(EPC_LOG_ERROR, -1);
    if (epc_jwks_parse(&ks, (const char *)data, size, "fuzz") == EPC_OK) {
        for (size_t i = 0; i < ks.n; i++) {
            if (!ks.keys[i].pkey || EVP_PKEY_get_bits(ks.keys[i].pkey) < 256)
                __builtin_trap();
        }
        epc_jwks_clear(&ks);
    }
    return 0;
}
