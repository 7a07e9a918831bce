/* Masking of secrets: never reads past the input, never lets an ice-pwd value through. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct epc_buf out = {0};
    epc_mask_secrets(&out, (const char *)data, size);
    epc_buf_free(&out);
    return 0;
}
