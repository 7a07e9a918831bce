/* Octets as a Diameter message: what is read comes back the same, by way of JSON too. */
#include "avp/avp.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Padding is not kept: the first encoding is what later ones are held against. */
static void round_trip(const struct epc_dict *d, const struct epc_msg *m)
{
    struct epc_buf first = {0}, second = {0}, json = {0}, text = {0};
    struct epc_msg *again = NULL;
    epc_buf_adds(&json, "{");
    epc_msg_to_json(m, &json);
    epc_buf_adds(&json, "}");
    if (epc_msg_encode(m, NULL, &first, NULL) || json.failed)
        abort();
    if (epc_msg_from_json(&again, d, (struct epc_str){json.p, json.n}, NULL) == EPC_OK) {
        if (epc_msg_encode(again, NULL, &second, NULL) || first.n != second.n ||
            memcmp(first.p, second.p, first.n) != 0 || epc_msg_diff(m, again, NULL, NULL, &text))
            abort();
    } else
        abort();
    epc_msg_destroy(again);
    epc_buf_free(&first);
    epc_buf_free(&second);
    epc_buf_free(&json);
    epc_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct epc_dict *d; /* loading it takes longer than all else */
    struct epc_msg *m = NULL;
    struct epc_buf out = {0};
    if (!d && epc_dict_load(&d, FUZZ_DICT_DIR, 0, NULL))
        abort();
    if (epc_msg_decode(&m, d, data, size, &out) == EPC_OK) {
        round_trip(d, m);
        epc_msg_print(m, &out);
        (void)epc_msg_check(d, m, &out);
    } else if (!out.p && size)
        abort(); /* refused without a word */
    epc_msg_destroy(m);
    epc_buf_free(&out);
    return 0;
}
