/* The dictionary model on any octets, alone and after the first half as a file before. */
#include "avp/avp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_around(const struct epc_dict *d)
{
    const struct epc_dict_avp *a;
    const struct epc_dict_command *c;
    for (size_t i = 0; (a = epc_dict_avp_at(d, i)); i++) {
        if (epc_dict_avp(d, a->code, a->vendor) != a || epc_dict_avp_named(d, epc_str_c(a->name)) != a)
            abort();
        for (size_t k = 0; k < a->n_values; k++)
            if (epc_dict_value_name(a, a->values[k].value) != a->values[k].name)
                abort();
        for (size_t k = 0; k < a->n_places; k++)
            if (a->places[k].rule->avp != a)
                abort();
    }
    for (size_t i = 0; (c = epc_dict_command_at(d, i)); i++)
        if (epc_dict_command(d, c->code, c->request) != c)
            abort();
    (void)epc_dict_remarks(d, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t half = size / 2;
    const struct epc_dict_source source[] = {
        {.name = "all", .json = {text, size}, .vendor_from = 32473, .vendor_to = 7},
        {.name = "half", .json = {text, half}},
        {.name = "rest", .json = {text + half, size - half}},
    };
    for (size_t n = 1; n <= 2; n++) {
        struct epc_dict *d = NULL;
        struct epc_buf faults = {0};
        if (epc_dict_create(&d, n == 1 ? source : source + 1, n, &faults) == EPC_OK)
            look_around(d);
        epc_dict_destroy(d);
        epc_buf_free(&faults);
    }
    return 0;
}
