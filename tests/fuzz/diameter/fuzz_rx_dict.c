/* The JSON dictionary loader on any octets, into a dictionary of its own. */
#include "dict_load.h"

#include <stdarg.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void quiet(int level, const char *format, va_list ap)
{
    (void)level, (void)format, (void)ap;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int ready;
    struct dictionary *d = NULL;
    json_t *doc = NULL;
    if (!ready) {
        fd_log_handler_register(quiet);
        if (fd_libproto_init())
            return 0;
        ready = 1;
    }
    if (rx_dict_parse((const char *)data, size, "fuzz", &doc))
        return 0;
    rx_dict_renumber(doc, 32473, 7);
    if (fd_dict_init(&d) == 0) {
        if (rx_dict_define(d, doc) == 0) {
            struct rx_check *check = NULL;
            (void)rx_dict_rules(d, doc);
            if (rx_check_new(&check, d, &doc, 1) == 0)
                rx_check_free(check);
        }
        (void)rx_dict_relax(d);
        (void)fd_dict_fini(&d);
    }
    json_decref(doc);
    return 0;
}
