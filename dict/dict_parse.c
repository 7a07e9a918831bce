/* JSON text to a checked document. */
#include "dict_load.h"
#include "dict_schema.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

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

static void renumber(json_t *o, const char *key, uint32_t from, uint32_t to)
{
    json_t *v = json_object_get(o, key);
    if (json_is_integer(v) && json_integer_value(v) == from)
        json_integer_set(v, to);
}

void rx_dict_renumber(json_t *doc, uint32_t from, uint32_t to)
{
    const char *section;
    json_t *list, *o, *r;
    size_t i, k;
    json_object_foreach(doc, section, list)
        json_array_foreach(list, i, o) {
            if (strcmp(section, "Vendors") == 0)
                renumber(o, "Code", from, to);
            renumber(o, "Vendor", from, to);
            json_array_foreach(json_object_get(o, "Content"), k, r)
                renumber(r, "Vendor", from, to);
        }
}
