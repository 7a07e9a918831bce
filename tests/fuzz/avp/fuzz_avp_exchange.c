/* Any octets as a recorded exchange: lines of JSON, or a capture. */
#include "avp/avp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct epc_dict *d;
    struct epc_exchange x = {0};
    struct epc_buf why = {0};
    if (!d && epc_dict_load(&d, FUZZ_DICT_DIR, 0, NULL))
        abort();
    (void)!epc_exchange_read(&x, d, (struct epc_str){(const char *)data, size}, &why);
    for (size_t i = 0; i < x.n && i < 100; i++) {
        struct epc_msg *m = x.msg[i].msg;
        if (!m)
            continue;
        struct epc_vars vars = {0};
        (void)epc_msg_check(d, m, &why);
        if (i && x.msg[i - 1].msg)
            (void)epc_msg_diff(x.msg[i - 1].msg, m, NULL, &vars, &why);
        epc_vars_free(&vars);
    }
    epc_exchange_free(&x);
    epc_buf_free(&why);
    return 0;
}
