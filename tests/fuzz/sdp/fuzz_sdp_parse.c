/* Any octets into the parser: parse-print-parse is stable. */
#include "sdp_properties.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    property_stable((struct epc_str){(const char *)data, size});
    return 0;
}
