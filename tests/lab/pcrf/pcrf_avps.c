/* AVPs written down as JSON: {"name": "RAT-Type", "value": 1004}; see README. */
#include "pcrf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool pcrf_names(const json_t *list, const char *name)
{
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
        if (json_is_string(v) && strcmp(json_string_value(v), name) == 0)
            return true;
    return false;
}

/* "0x" and hex digits, or the text itself. @return its length. */
static size_t octets(const char *text, uint8_t *out, size_t cap)
{
    size_t n = strlen(text);
    if (strncmp(text, "0x", 2) != 0) {
        if (n > cap)
            n = cap;
        memcpy(out, text, n);
        return n;
    }
    for (n = 0; n < cap && text[2 + 2 * n] && text[3 + 2 * n]; n++) {
        char pair[3] = {text[2 + 2 * n], text[3 + 2 * n], 0};
        out[n] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return n;
}

/* RFC 6733 4.3.1: family and address. */
static size_t address(const char *text, uint8_t out[18])
{
    if (inet_pton(AF_INET, text, out + 2) == 1) {
        out[0] = 0, out[1] = 1;
        return 6;
    }
    out[0] = 0, out[1] = 2;
    return inet_pton(AF_INET6, text, out + 2) == 1 ? 18 : 0;
}

static union avp_value value_of(const json_t *o, enum dict_avp_basetype base, uint8_t *space, size_t cap)
{
    const json_t *v = json_object_get(o, "value");
    const char *ip = json_string_value(json_object_get(o, "address"));
    union avp_value out = {0};
    switch (base) {
    case AVP_TYPE_OCTETSTRING:
        out.os.data = space;
        out.os.len = ip ? address(ip, space) : json_is_string(v) ? octets(json_string_value(v), space, cap) : 0;
        break;
    case AVP_TYPE_UNSIGNED64:
    case AVP_TYPE_INTEGER64:
        out.u64 = (uint64_t)json_integer_value(v);
        break;
    default:
        out.u32 = (uint32_t)json_integer_value(v); /* Enumerated: the same 32 bits */
        break;
    }
    return out;
}

static void put_one(msg_or_avp *parent, const json_t *o)
{
    const char *name = json_string_value(json_object_get(o, "name"));
    struct dict_object *model = NULL;
    struct dict_avp_data d;
    struct avp *a = NULL;
    uint8_t space[2048];
    if (!name || fd_dict_search(fd_g_config->cnf_dict, DICT_AVP, AVP_BY_NAME_ALL_VENDORS, name, &model, ENOENT) ||
        fd_dict_getval(model, &d) || fd_msg_avp_new(model, 0, &a)) {
        fd_log(FD_LOG_ERROR, "lab_pcrf: no AVP '%s'", name ? name : "");
        return;
    }
    if (d.avp_basetype == AVP_TYPE_GROUPED)
        pcrf_put_json(a, json_object_get(o, "avps"));
    else {
        union avp_value v = value_of(o, d.avp_basetype, space, sizeof space);
        fd_msg_avp_setvalue(a, &v);
    }
    if (fd_msg_avp_add(parent, MSG_BRW_LAST_CHILD, a))
        fd_msg_free(a);
}

void pcrf_put_json(msg_or_avp *parent, const json_t *avps)
{
    size_t i;
    json_t *o;
    json_array_foreach(avps, i, o)
        put_one(parent, o);
}
