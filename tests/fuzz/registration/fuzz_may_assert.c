/* Identities that the core associates (a line each) against one that a WIC prefers (the last line):
 * whatever they are, the answer comes at once, and what is asserted is one of the core's or fits one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "registration/registration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { LINES = 8 };
    const char *impus[LINES];
    char *text = epc_str_dup((struct epc_str){(const char *)data, size});
    size_t n = 0;
    for (char *line = text; line && n < LINES; n++) {
        impus[n] = line;
        line = strchr(line, '\n');
        if (line)
            *line++ = 0;
    }
    if (text && n > 1) {
        struct epc_binding b = {.impi = "alice@ims.test", .impus = impus, .n_impus = n - 1};
        char *as = NULL;
        if (epc_reg_may_assert(&b, epc_str_c(impus[n - 1]), &as)) {
            char *wish = epc_auth_canonical_impu(epc_str_c(impus[n - 1]));
            bool known = wish && strcmp(wish, as) == 0;
            for (size_t i = 0; i + 1 < n; i++)
                known = known || strcmp(impus[i], as) == 0;
            if (!known)
                abort();
            free(wish);
            free(as);
        }
    }
    free(text);
    return 0;
}
