/* JSON text to a checked document. The schema is a table; nothing here touches a dictionary. */
#include "dict_load.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum kind { UINT, INT_OR_TEXT, TEXT, BOOLEAN, FLAGS, LIST, MAX_COUNT };

struct member {
    const char *key;
    enum kind kind;
    bool required;
    const char *letters;          /* FLAGS: allowed letters */
    const struct member *of;      /* LIST: members of each element */
    size_t n_of;
};
#define MUST(k, ...) {.key = (k), .required = true, .kind = __VA_ARGS__}
#define MAY(k, ...) {.key = (k), .kind = __VA_ARGS__}
#define MEMBERS(table) .of = (table), .n_of = sizeof(table) / sizeof((table)[0])

static const struct member enum_value[] = {
    MUST("Code", INT_OR_TEXT),
    MUST("Name", TEXT),
};
static const struct member rule[] = {
    MUST("AVP", TEXT),
    MAY("Vendor", UINT),
    MAY("First", BOOLEAN),
    MAY("Min", UINT),
    MAY("Max", MAX_COUNT),
};
static const struct member named[] = {
    MUST("Code", UINT),
    MUST("Name", TEXT),
};
static const struct member type[] = {
    MUST("Name", TEXT),
    MUST("Base", TEXT),
};
static const struct member avp[] = {
    MUST("Code", UINT),
    MAY("Vendor", UINT),
    MUST("Name", TEXT),
    MAY("Flags", FLAGS, .letters = "VMP"),
    MUST("Type", TEXT),
    MAY("EnumValues", LIST, MEMBERS(enum_value)),
};
static const struct member command[] = {
    MUST("Code", UINT),
    MUST("Name", TEXT),
    MAY("Application", TEXT),
    MAY("Flags", FLAGS, .letters = "RPET"),
};
static const struct member command_rules[] = {
    MUST("Command", TEXT),
    MUST("Content", LIST, MEMBERS(rule)),
};
static const struct member avp_rules[] = {
    MUST("AVP", TEXT),
    MAY("Vendor", UINT),
    MUST("Content", LIST, MEMBERS(rule)),
};
static const struct member document[] = {
    MAY("Vendors", LIST, MEMBERS(named)),
    MAY("Applications", LIST, MEMBERS(named)),
    MAY("Types", LIST, MEMBERS(type)),
    MAY("AVPs", LIST, MEMBERS(avp)),
    MAY("Commands", LIST, MEMBERS(command)),
    MAY("CommandRules", LIST, MEMBERS(command_rules)),
    MAY("AVPRules", LIST, MEMBERS(avp_rules)),
};

static bool check_object(const json_t *o, const struct member *m, size_t n, const char *where);

static bool is_u32(const json_t *v)
{
    return json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= UINT32_MAX;
}

static bool is_text(const json_t *v)
{
    return json_is_string(v) && json_string_length(v) > 0 &&
           strlen(json_string_value(v)) == json_string_length(v);
}

static bool is_flag_text(const json_t *v, const char *letters)
{
    if (!v)
        return true;
    if (!json_is_string(v))
        return false;
    const char *s = json_string_value(v);
    return strspn(s, letters) == strlen(s);
}

static bool is_flags(const json_t *v, const char *letters)
{
    const char *key;
    json_t *item;
    if (!json_is_object(v))
        return false;
    json_object_foreach((json_t *)v, key, item)
        if (strcmp(key, "Must") != 0 && strcmp(key, "MustNot") != 0)
            return false;
    return is_flag_text(json_object_get(v, "Must"), letters) &&
           is_flag_text(json_object_get(v, "MustNot"), letters);
}

static bool check_list(const json_t *v, const struct member *m)
{
    size_t i;
    json_t *item;
    if (!json_is_array(v))
        return false;
    json_array_foreach(v, i, item)
        if (!check_object(item, m->of, m->n_of, m->key))
            return false;
    return true;
}

static bool check_value(const json_t *v, const struct member *m)
{
    switch (m->kind) {
    case UINT:
        return is_u32(v);
    case INT_OR_TEXT:
        return json_is_integer(v) || is_text(v);
    case TEXT:
        return is_text(v);
    case BOOLEAN:
        return json_is_boolean(v);
    case FLAGS:
        return is_flags(v, m->letters);
    case LIST:
        return check_list(v, m);
    case MAX_COUNT:
        return (json_is_integer(v) && json_integer_value(v) >= 0 &&
                json_integer_value(v) <= INT32_MAX) ||
               (json_is_string(v) && strcmp(json_string_value(v), "unbounded") == 0);
    }
    return false;
}

static bool check_object(const json_t *o, const struct member *m, size_t n, const char *where)
{
    const char *key;
    json_t *v;
    if (!json_is_object(o)) {
        fd_log(FD_LOG_ERROR, "dictionary: %s: an object is expected", where);
        return false;
    }
    json_object_foreach((json_t *)o, key, v) {
        size_t i = 0;
        while (i < n && strcmp(m[i].key, key) != 0)
            i++;
        if (i == n || !check_value(v, &m[i])) {
            fd_log(FD_LOG_ERROR, "dictionary: %s: member \"%s\" is %s", where, key,
                   i == n ? "not part of the schema" : "wrong");
            return false;
        }
    }
    for (size_t i = 0; i < n; i++)
        if (m[i].required && !json_object_get(o, m[i].key)) {
            fd_log(FD_LOG_ERROR, "dictionary: %s: member \"%s\" is missing", where, m[i].key);
            return false;
        }
    return true;
}

int rx_dict_parse(const char *text, size_t n, const char *name, json_t **out)
{
    json_error_t err;
    json_t *doc = json_loadb(text, n, JSON_REJECT_DUPLICATES, &err);
    if (!doc) {
        fd_log(FD_LOG_ERROR, "dictionary: %s:%d: %s", name, err.line, err.text);
        return EINVAL;
    }
    if (!check_object(doc, document, sizeof document / sizeof document[0], name)) {
        json_decref(doc);
        return EINVAL;
    }
    *out = doc;
    return 0;
}
