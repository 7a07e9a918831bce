/* JSON text to a checked document. */
#include "dict_load.h"
#include "dict_schema.h"

#include <errno.h>
#include <stdint.h>

static void say(void *arg, const char *fault)
{
    fd_log(FD_LOG_ERROR, "dictionary: %s: %s", (const char *)arg, fault);
}

int rx_dict_parse(const char *text, size_t n, const char *name, json_t **out)
{
    json_error_t err;
    json_t *doc = json_loadb(text, n, JSON_REJECT_DUPLICATES, &err);
    if (!doc) {
        fd_log(FD_LOG_ERROR, "dictionary: %s:%d: %s", name, err.line, err.text);
        return EINVAL;
    }
    if (!rx_dict_schema(doc, say, (void *)(uintptr_t)name)) {
        json_decref(doc);
        return EINVAL;
    }
    *out = doc;
    return 0;
}
