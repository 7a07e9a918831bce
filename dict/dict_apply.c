/* A checked document to objects of a freeDiameter dictionary. */
#include "dict_load.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static uint32_t number(const json_t *o, const char *key)
{
    return (uint32_t)json_integer_value(json_object_get(o, key));
}

static int complain(int rc, const char *what, const char *name)
{
    fd_log(FD_LOG_ERROR, "dictionary: %s '%s': %s", what, name, strerror(rc));
    return rc;
}

/* ---- vendors, applications, types ------------------------------------------------------------- */

static int add_vendor(struct dictionary *d, const json_t *v)
{
    struct dict_object *found = NULL;
    vendor_id_t id = number(v, "Code");
    struct dict_vendor_data data = {id, (char *)text(v, "Name")};
    int rc = fd_dict_search(d, DICT_VENDOR, VENDOR_BY_ID, &id, &found, 0);
    if (rc || found)
        return rc;
    rc = fd_dict_new(d, DICT_VENDOR, &data, NULL, NULL);
    return rc ? complain(rc, "vendor", data.vendor_name) : 0;
}

static int add_application(struct dictionary *d, const json_t *a)
{
    struct dict_object *found = NULL;
    application_id_t id = number(a, "Code");
    struct dict_application_data data = {id, (char *)text(a, "Name")};
    int rc = fd_dict_search(d, DICT_APPLICATION, APPLICATION_BY_ID, &id, &found, 0);
    if (rc || found)
        return rc;
    rc = fd_dict_new(d, DICT_APPLICATION, &data, NULL, NULL);
    return rc ? complain(rc, "application", data.application_name) : 0;
}

static const struct {
    const char *name;
    enum dict_avp_basetype base;
} base_types[] = {
    {"Grouped", AVP_TYPE_GROUPED},       {"OctetString", AVP_TYPE_OCTETSTRING},
    {"Integer32", AVP_TYPE_INTEGER32},   {"Enumerated", AVP_TYPE_INTEGER32},
    {"Integer64", AVP_TYPE_INTEGER64},   {"Unsigned32", AVP_TYPE_UNSIGNED32},
    {"Unsigned64", AVP_TYPE_UNSIGNED64}, {"Float32", AVP_TYPE_FLOAT32},
    {"Float64", AVP_TYPE_FLOAT64},
};

/* @param[out] derived NULL for a basic type. */
static int find_type(struct dictionary *d, const char *name, enum dict_avp_basetype *base,
                     struct dict_object **derived)
{
    *derived = NULL;
    for (size_t i = 0; i < sizeof base_types / sizeof base_types[0]; i++)
        if (strcmp(base_types[i].name, name) == 0) {
            *base = base_types[i].base;
            return 0;
        }
    struct dict_type_data data;
    int rc = fd_dict_search(d, DICT_TYPE, TYPE_BY_NAME, name, derived, ENOENT);
    if (!rc)
        rc = fd_dict_getval(*derived, &data);
    if (rc)
        return complain(rc, "type", name);
    *base = data.type_base;
    return 0;
}

static int add_type(struct dictionary *d, const json_t *t)
{
    struct dict_object *found = NULL, *parent;
    struct dict_type_data data = {.type_name = (char *)text(t, "Name")};
    int rc = fd_dict_search(d, DICT_TYPE, TYPE_BY_NAME, data.type_name, &found, 0);
    if (rc || found)
        return rc;
    rc = find_type(d, text(t, "Base"), &data.type_base, &parent);
    if (rc)
        return rc;
    rc = fd_dict_new(d, DICT_TYPE, &data, NULL, NULL);
    return rc ? complain(rc, "type", data.type_name) : 0;
}

/* ---- AVPs --------------------------------------------------------------------------------------- */

static uint8_t avp_flags(const char *letters)
{
    uint8_t f = 0;
    if (letters && strchr(letters, 'V'))
        f |= AVP_FLAG_VENDOR;
    if (letters && strchr(letters, 'M'))
        f |= AVP_FLAG_MANDATORY;
    return f;
}

static int find_avp(struct dictionary *d, uint32_t vendor, const char *name,
                    struct dict_object **out)
{
    struct dict_avp_request by_name = {.avp_vendor = vendor, .avp_name = (char *)name};
    *out = NULL;
    return fd_dict_search(d, DICT_AVP, AVP_BY_NAME_AND_VENDOR, &by_name, out, 0);
}

static int agree(struct dict_object *found, const struct dict_avp_data *want)
{
    struct dict_avp_data have;
    int rc = fd_dict_getval(found, &have);
    if (rc)
        return rc;
    if (have.avp_code == want->avp_code && have.avp_vendor == want->avp_vendor &&
        have.avp_basetype == want->avp_basetype && strcmp(have.avp_name, want->avp_name) == 0)
        return 0;
    fd_log(FD_LOG_ERROR,
           "dictionary: AVP %u/%u: wanted '%s' of base type %d, but another dictionary has '%s' "
           "(code %u) of base type %d",
           want->avp_vendor, want->avp_code, want->avp_name, want->avp_basetype, have.avp_name,
           have.avp_code, have.avp_basetype);
    return EEXIST;
}

static int add_enum_value(struct dictionary *d, struct dict_object *type,
                          enum dict_avp_basetype base, const json_t *v)
{
    const json_t *code = json_object_get(v, "Code");
    struct dict_enumval_data data = {.enum_name = (char *)text(v, "Name")};
    json_int_t n = json_integer_value(code);
    if (base == AVP_TYPE_INTEGER32 && json_is_integer(code) && n >= INT32_MIN && n <= INT32_MAX)
        data.enum_value.i32 = (int32_t)n;
    else if (base == AVP_TYPE_UNSIGNED32 && json_is_integer(code) && n >= 0 && n <= UINT32_MAX)
        data.enum_value.u32 = (uint32_t)n;
    else if (base == AVP_TYPE_OCTETSTRING && json_is_string(code)) {
        data.enum_value.os.data = (uint8_t *)json_string_value(code);
        data.enum_value.os.len = json_string_length(code);
    } else
        return complain(EINVAL, "value", data.enum_name);
    int rc = fd_dict_new(d, DICT_ENUMVAL, &data, type, NULL);
    return rc ? complain(rc, "value", data.enum_name) : 0;
}

/* Whether an earlier value of the list has the code or the name of the @p i-th. */
static bool repeated(const json_t *values, size_t i)
{
    const json_t *v = json_array_get(values, i);
    for (size_t k = 0; k < i; k++) {
        const json_t *other = json_array_get(values, k);
        if (json_equal(json_object_get(v, "Code"), json_object_get(other, "Code")) ||
            strcmp(text(v, "Name"), text(other, "Name")) == 0)
            return true;
    }
    return false;
}

/* The type that carries the names of an AVP's values. */
static int enum_type(struct dictionary *d, const json_t *avp, enum dict_avp_basetype base,
                     struct dict_object **out)
{
    char name[160];
    snprintf(name, sizeof name, "Enumerated(%u/%s)", (unsigned)number(avp, "Vendor"),
             text(avp, "Name"));
    struct dict_type_data data = {.type_base = base, .type_name = name};
    struct dict_object *type = NULL;
    int rc = fd_dict_search(d, DICT_TYPE, TYPE_BY_NAME, name, &type, 0);
    if (rc || type) {
        *out = type;
        return rc;
    }
    rc = fd_dict_new(d, DICT_TYPE, &data, NULL, &type);
    if (rc)
        return complain(rc, "type", name);
    size_t i;
    json_t *v;
    const json_t *values = json_object_get(avp, "EnumValues");
    json_array_foreach(values, i, v) {
        if (repeated(values, i)) /* the library would refuse it too, but loses memory then */
            return complain(EEXIST, "value", text(v, "Name"));
        if ((rc = add_enum_value(d, type, base, v)))
            return rc;
    }
    *out = type;
    return 0;
}

static int add_avp(struct dictionary *d, const json_t *a)
{
    struct dict_object *type, *found = NULL;
    struct dict_avp_data data = {
        .avp_code = number(a, "Code"),
        .avp_vendor = number(a, "Vendor"),
        .avp_name = (char *)text(a, "Name"),
    };
    const json_t *flags = json_object_get(a, "Flags");
    data.avp_flag_val = avp_flags(text(flags, "Must"));
    data.avp_flag_mask = (uint8_t)(data.avp_flag_val | avp_flags(text(flags, "MustNot")));
    data.avp_flag_mask |= AVP_FLAG_VENDOR;
    if (data.avp_vendor)
        data.avp_flag_val |= AVP_FLAG_VENDOR;
    else
        data.avp_flag_val &= (uint8_t)~AVP_FLAG_VENDOR;

    int rc = find_type(d, text(a, "Type"), &data.avp_basetype, &type);
    if (rc)
        return rc;
    struct dict_avp_request by_code = {.avp_vendor = data.avp_vendor, .avp_code = data.avp_code};
    rc = fd_dict_search(d, DICT_AVP, AVP_BY_CODE_AND_VENDOR, &by_code, &found, 0);
    if (!rc && !found)
        rc = find_avp(d, data.avp_vendor, data.avp_name, &found);
    if (rc)
        return complain(rc, "AVP", data.avp_name);
    if (found)
        return agree(found, &data);

    if (json_object_get(a, "EnumValues") && (rc = enum_type(d, a, data.avp_basetype, &type)))
        return rc;
    rc = fd_dict_new(d, DICT_AVP, &data, type, NULL);
    return rc ? complain(rc, "AVP", data.avp_name) : 0;
}

/* ---- rules --------------------------------------------------------------------------------------- */

static int add_rule(struct dictionary *d, struct dict_object *parent, const json_t *r)
{
    const json_t *min = json_object_get(r, "Min"), *max = json_object_get(r, "Max");
    struct dict_rule_data data = {
        .rule_position = RULE_OPTIONAL,
        .rule_min = min ? (int)json_integer_value(min) : -1,
        .rule_max = json_is_integer(max) ? (int)json_integer_value(max) : -1,
    };
    if (json_is_true(json_object_get(r, "First"))) {
        data.rule_position = RULE_FIXED_HEAD;
        data.rule_order = 1;
    } else if (data.rule_min > 0)
        data.rule_position = RULE_REQUIRED;

    int rc = find_avp(d, number(r, "Vendor"), text(r, "AVP"), &data.rule_avp);
    if (!rc && !data.rule_avp)
        rc = ENOENT;
    if (!rc)
        rc = fd_dict_new(d, DICT_RULE, &data, parent, NULL);
    return rc ? complain(rc, "rule for AVP", text(r, "AVP")) : 0;
}

static bool has_rule(struct dictionary *d, struct dict_object *parent, const json_t *r)
{
    struct dict_rule_request what = {.rule_parent = parent};
    struct dict_object *found = NULL;
    return find_avp(d, number(r, "Vendor"), text(r, "AVP"), &what.rule_avp) == 0 && what.rule_avp &&
           fd_dict_search(d, DICT_RULE, RULE_BY_AVP_AND_PARENT, &what, &found, 0) == 0 && found;
}

static bool has_rules(struct dict_object *parent)
{
    struct fd_list *sentinel = NULL;
    if (fd_dict_getlistof(RULE_BY_AVP_AND_PARENT, parent, &sentinel) || !sentinel)
        return true;
    return !FD_IS_LIST_EMPTY(sentinel);
}

/* Rules that were there are shared with other applications and stay as they are; "Extends" adds rules
 * about AVPs of our own. */
static int add_rules(struct dictionary *d, struct dict_object *parent, const json_t *set)
{
    bool extends = json_is_true(json_object_get(set, "Extends"));
    size_t i;
    json_t *r;
    int rc;
    if (!extends && has_rules(parent))
        return 0;
    json_array_foreach(json_object_get(set, "Content"), i, r)
        if (!(extends && has_rule(d, parent, r)) && (rc = add_rule(d, parent, r)))
            return rc;
    return 0;
}

static int add_avp_rules(struct dictionary *d, const json_t *r)
{
    struct dict_object *avp;
    struct dict_avp_data data;
    int rc = find_avp(d, number(r, "Vendor"), text(r, "AVP"), &avp);
    if (!rc && !avp)
        rc = ENOENT;
    if (!rc)
        rc = fd_dict_getval(avp, &data);
    if (!rc && data.avp_basetype != AVP_TYPE_GROUPED)
        rc = EINVAL;
    if (rc)
        return complain(rc, "rules of AVP", text(r, "AVP"));
    return add_rules(d, avp, r);
}

/* ---- commands ------------------------------------------------------------------------------------- */

static uint8_t command_flags(const char *letters)
{
    uint8_t f = 0;
    if (letters && strchr(letters, 'R'))
        f |= CMD_FLAG_REQUEST;
    if (letters && strchr(letters, 'P'))
        f |= CMD_FLAG_PROXIABLE;
    if (letters && strchr(letters, 'E'))
        f |= CMD_FLAG_ERROR;
    if (letters && strchr(letters, 'T'))
        f |= CMD_FLAG_RETRANSMIT;
    return f;
}

static int add_command(struct dictionary *d, const json_t *c)
{
    struct dict_object *found = NULL, *app = NULL;
    struct dict_cmd_data data = {.cmd_code = number(c, "Code"), .cmd_name = (char *)text(c, "Name")};
    const json_t *flags = json_object_get(c, "Flags");
    data.cmd_flag_val = command_flags(text(flags, "Must"));
    data.cmd_flag_mask = (uint8_t)(data.cmd_flag_val | command_flags(text(flags, "MustNot")));
    /* The library tells requests from answers by this bit: it must be constrained. */
    data.cmd_flag_mask |= CMD_FLAG_REQUEST;

    int rc = fd_dict_search(d, DICT_COMMAND,
                            data.cmd_flag_val & CMD_FLAG_REQUEST ? CMD_BY_CODE_R : CMD_BY_CODE_A,
                            &data.cmd_code, &found, 0);
    if (rc)
        return complain(rc, "command", data.cmd_name);
    if (found) {
        struct dict_cmd_data have;
        rc = fd_dict_getval(found, &have);
        if (!rc && strcmp(have.cmd_name, data.cmd_name) != 0)
            rc = EEXIST;
        return rc ? complain(rc, "command", data.cmd_name) : 0;
    }
    if (text(c, "Application"))
        rc = fd_dict_search(d, DICT_APPLICATION, APPLICATION_BY_NAME, text(c, "Application"), &app,
                            ENOENT);
    if (!rc)
        rc = fd_dict_new(d, DICT_COMMAND, &data, app, &found);
    return rc ? complain(rc, "command", data.cmd_name) : 0;
}

static int add_command_rules(struct dictionary *d, const json_t *r)
{
    struct dict_object *command = NULL;
    int rc = fd_dict_search(d, DICT_COMMAND, CMD_BY_NAME, text(r, "Command"), &command, ENOENT);
    return rc ? complain(rc, "rules of command", text(r, "Command")) : add_rules(d, command, r);
}

static int each(struct dictionary *d, const json_t *doc, const char *section,
                int (*add)(struct dictionary *d, const json_t *o))
{
    size_t i;
    json_t *o;
    int rc;
    json_array_foreach(json_object_get(doc, section), i, o)
        if ((rc = add(d, o)))
            return rc;
    return 0;
}

int rx_dict_define(struct dictionary *d, const json_t *doc)
{
    int rc;
    if ((rc = each(d, doc, "Vendors", add_vendor)) ||
        (rc = each(d, doc, "Applications", add_application)) ||
        (rc = each(d, doc, "Types", add_type)) || (rc = each(d, doc, "AVPs", add_avp)))
        return rc;
    return each(d, doc, "Commands", add_command);
}

int rx_dict_rules(struct dictionary *d, const json_t *doc)
{
    int rc = each(d, doc, "AVPRules", add_avp_rules);
    return rc ? rc : each(d, doc, "CommandRules", add_command_rules);
}

/* ---- inherited rules ------------------------------------------------------------------------------ */

static int remove_rule(struct dictionary *d, const char *command, const char *avp)
{
    struct dict_rule_request what = {0};
    struct dict_object *rule = NULL;
    int rc = fd_dict_search(d, DICT_COMMAND, CMD_BY_NAME, command, &what.rule_parent, ENOENT);
    if (!rc)
        rc = find_avp(d, 0, avp, &what.rule_avp);
    if (rc || !what.rule_avp)
        return rc; /* without the AVP there is no rule about it */
    rc = fd_dict_search(d, DICT_RULE, RULE_BY_AVP_AND_PARENT, &what, &rule, 0);
    if (rc || !rule)
        return rc;
    struct dict_rule_data data;
    rc = fd_dict_getval(rule, &data);
    if (rc || data.rule_position == RULE_OPTIONAL)
        return rc; /* our own definition of the command: optional, as TS 29.214 has it */
    return fd_dict_delete(rule);
}

int rx_dict_relax(struct dictionary *d)
{
    static const struct {
        const char *command, *avp;
    } inherited[] = {
        {"AA-Request", "Auth-Request-Type"},
        {"AA-Answer", "Auth-Request-Type"},
        {"AA-Answer", "Result-Code"},
        {"Re-Auth-Answer", "Result-Code"},
        {"Session-Termination-Answer", "Result-Code"},
        {"Abort-Session-Answer", "Result-Code"},
        {"Re-Auth-Request", "Re-Auth-Request-Type"},
    };
    for (size_t i = 0; i < sizeof inherited / sizeof inherited[0]; i++) {
        int rc = remove_rule(d, inherited[i].command, inherited[i].avp);
        if (rc)
            return complain(rc, "inherited rule of", inherited[i].command);
    }
    return 0;
}
