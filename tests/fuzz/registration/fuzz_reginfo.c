/* Reginfo: any text must give a document within the limits, each contact with its URI, or an error
 * that says why. */
#include "registration/reginfo.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reginfo *info = NULL;
    const char *why = NULL;
    size_t contacts = 0;
    if (reginfo_parse(&info, (const char *)data, size, &why) != EPC_OK) {
        if (info || !why)
            __builtin_trap();
        return 0;
    }
    if (info->n_registrations > REGINFO_REGISTRATIONS_MAX)
        __builtin_trap();
    for (size_t i = 0; i < info->n_registrations; i++) {
        if (!info->registrations[i].aor)
            __builtin_trap();
        contacts += info->registrations[i].n_contacts;
        for (size_t k = 0; k < info->registrations[i].n_contacts; k++) {
            const struct reginfo_contact *c = &info->registrations[i].contacts[k];
            if (!c->uri || !*c->uri || strlen(c->uri) > REGINFO_TEXT_MAX || c->event >= REGINFO_EVENTS)
                __builtin_trap();
        }
    }
    if (contacts > REGINFO_CONTACTS_MAX)
        __builtin_trap();
    reginfo_free(info);
    return 0;
}
