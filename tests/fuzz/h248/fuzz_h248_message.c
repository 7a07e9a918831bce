/* What is read prints in both styles, and what is printed means the same; actions alone likewise. */
#include "h248/h248.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct epc_h248_message *m, enum epc_h248_style style)
{
    struct epc_buf b = {0};
    struct epc_h248_message *again = NULL;
    struct epc_h248_fault f;
    enum epc_err err = epc_h248_print(m, style, &b);
    if (err == EPC_ELIMIT || err == EPC_ENOMEM) { /* the pretty one is longer */
        epc_buf_free(&b);
        return;
    }
    if (err != EPC_OK || epc_h248_parse(&again, (struct epc_str){b.p, b.n}, &f) != EPC_OK || !epc_h248_same(m, again))
        abort();
    epc_h248_free(again);
    epc_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct epc_h248_message *m = NULL;
    struct epc_h248_fault f;
    struct epc_buf b = {0};
    struct epc_str text = {(const char *)data, size};
    if (epc_h248_parse(&m, text, &f) == EPC_OK) {
        check(m, EPC_H248_COMPACT);
        check(m, EPC_H248_PRETTY);
        epc_h248_free(m);
    } else if (f.code == 0 || !*f.why)
        abort();
    m = NULL;
    if (epc_h248_parse_actions(&m, text, 2, NULL) == EPC_OK)
        epc_h248_free(m);
    epc_h248_mask(text, &b);
    epc_buf_free(&b);
    return 0;
}
