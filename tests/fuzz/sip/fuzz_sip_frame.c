/* Where a message on a stream ends: whatever comes, nothing is read beyond it, and the answer does not
 * depend on how the stream was cut. */
#include "sip/sip_priv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *p = malloc(n ? n : 1); /* of its very size: a sanitizer sees what goes over */
    struct epc_sip_extent e, part;
    if (!p)
        return 0;
    memcpy(p, data, n);
    enum epc_sip_frame f = epc_sip_frame(p, n, &e);
    if (e.head > n || e.body > EPC_SIP_MAX_OCTETS + 9 * (size_t)EPC_SIP_MAX_OCTETS + 9)
        abort();
    if (f == EPC_FRAME_WHOLE) {
        if (e.head == 0 || e.head + e.body > n)
            abort();
        if (epc_sip_frame(p, e.head + e.body, &part) != EPC_FRAME_WHOLE || part.head != e.head || part.body != e.body)
            abort();
        if (epc_sip_frame(p, e.head + e.body - 1, &part) == EPC_FRAME_WHOLE)
            abort();
    }
    free(p);
    return 0;
}
