/* The schema as a table. Nothing here touches a dictionary, or knows who asks. */
#include "dict_schema.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum kind { UINT, INT_OR_TEXT, TEXT, BOOLEAN, FLAGS, LIST, MAX_COUNT };

struct member {
    const char *key;
    enum kind kind;
    bool required;
    const char *letters;     /* FLAGS: allowed letters */
    const struct member *of; /* LIST: members of each element */
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
    MAY("Spec", TEXT),
    MAY("Note", TEXT),
};
static const struct member command[] = {
    MUST("Code", UINT),
    MUST("Name", TEXT),
    MAY("Application", TEXT),
    MAY("Flags", FLAGS, .letters = "RPET"),
    MAY("Spec", TEXT),
    MAY("Note", TEXT),
};
static const struct member command_rules[] = {
    MUST("Command", TEXT),
    MAY("Extends", BOOLEAN),
    MUST("Content", LIST, MEMBERS(rule)),
    MAY("Spec", TEXT),
    MAY("Note", TEXT),
};
static const struct member avp_rules[] = {
    MUST("AVP", TEXT),
    MAY("Vendor", UINT),
    MAY("Extends", BOOLEAN),
    MUST("Content", LIST, MEMBERS(rule)),
    MAY("Spec", TEXT),
    MAY("Note", TEXT),
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

struct check {
    rx_dict_say_fn *say;
    void *arg;
};

static bool check_object(const struct check *c, const json_t *o, const struct member *m, size_t n,
                         const char *where);

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
    return strspn(s, letters) == json_string_length(v);
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

static bool check_list(const struct check *c, const json_t *v, const struct member *m)
{
    bool right = true;
    size_t i;
    json_t *item;
    json_array_foreach(v, i, item)
        right = check_object(c, item, m->of, m->n_of, m->key) && right;
    return right;
}

static bool right_kind(const json_t *v, const struct member *m)
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
        return json_is_array(v);
    case MAX_COUNT:
        return (json_is_integer(v) && json_integer_value(v) >= 0 &&
                json_integer_value(v) <= INT32_MAX) ||
               (json_is_string(v) && strcmp(json_string_value(v), "unbounded") == 0);
    }
    return false;
}

/* What an engineer knows the object by. */
static const char *label(const json_t *o)
{
    static const char *const keys[] = {"Name", "AVP", "Command"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (is_text(json_object_get(o, keys[i])))
            return json_string_value(json_object_get(o, keys[i]));
    return NULL;
}

static bool complain(const struct check *c, const json_t *o, const char *where, const char *key,
                     const char *what)
{
    char line[300], object[160] = "";
    const char *name = json_is_object(o) ? label(o) : NULL;
    if (name)
        snprintf(object, sizeof object, " '%.100s'", name);
    if (key)
        snprintf(line, sizeof line, "%s%s: member \"%.60s\" is %s", where, object, key, what);
    else
        snprintf(line, sizeof line, "%s%s: %s", where, object, what);
    c->say(c->arg, line);
    return false;
}

static bool check_member(const struct check *c, const json_t *o, const char *where, const char *key,
                         const json_t *v, const struct member *m, size_t n)
{
    size_t i = 0;
    while (i < n && strcmp(m[i].key, key) != 0)
        i++;
    if (i == n)
        return complain(c, o, where, key, "not part of the schema");
    if (!right_kind(v, &m[i]))
        return complain(c, o, where, key, "wrong");
    return m[i].kind != LIST || check_list(c, v, &m[i]);
}

static bool check_object(const struct check *c, const json_t *o, const struct member *m, size_t n,
                         const char *where)
{
    const char *key;
    json_t *v;
    bool right = true;
    if (!json_is_object(o))
        return complain(c, NULL, where, NULL, "an object is expected");
    json_object_foreach((json_t *)o, key, v)
        right = check_member(c, o, where, key, v, m, n) && right;
    for (size_t i = 0; i < n; i++)
        if (m[i].required && !json_object_get(o, m[i].key))
            right = complain(c, o, where, m[i].key, "missing");
    return right;
}

bool rx_dict_schema(const json_t *doc, rx_dict_say_fn *say, void *arg)
{
    const struct check c = {say, arg};
    return check_object(&c, doc, document, sizeof document / sizeof document[0], "dictionary");
}
