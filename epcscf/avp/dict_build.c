/* JSON texts to a dictionary. Every fault is told, so that a file is mended in one go. */
#include "avp/dict_priv.h"
#include "dict_schema.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct build {
    struct epc_dict *d;
    struct epc_buf *faults;
    const struct epc_dict_source *source; /* the one being read */
    const json_t *doc;
    bool wrong, nomem;
};

static void fault(struct build *b, const char *fmt, ...) EPC_PRINTF(2, 3);
static void fault(struct build *b, const char *fmt, ...)
{
    char line[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    b->wrong = true;
    if (b->faults)
        epc_buf_printf(b->faults, "%s: %s\n", b->source->name, line);
}

static const char *text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static uint32_t number(const json_t *o, const char *key)
{
    return (uint32_t)json_integer_value(json_object_get(o, key));
}

static uint32_t vendor(const struct build *b, uint32_t id)
{
    return b->source->vendor_from && id == b->source->vendor_from ? b->source->vendor_to : id;
}

static uint8_t flag_bits(const json_t *flags, const char *key, const char *letters)
{
    const char *s = text(flags, key);
    uint8_t bits = 0;
    for (size_t i = 0; s && letters[i]; i++)
        if (strchr(s, letters[i]))
            bits |= (uint8_t)(0x80u >> i);
    return bits;
}

/* Room for one more at the end of an array that grows by powers of two. */
static void *grow(struct build *b, void *array, size_t n, size_t size)
{
    if (n & (n - 1))
        return array;
    void *p = realloc(array, (n ? 2 * n : 1) * size);
    if (!p)
        b->nomem = true;
    return p;
}

/* ---- vendors, applications ----------------------------------------------------------------------- */

static void add_named(struct build *b, const json_t *o, const char *what, struct epc_dict_named **list,
                      size_t *n, uint32_t id)
{
    for (size_t i = 0; i < *n; i++)
        if ((*list)[i].id == id) {
            if (strcmp((*list)[i].name, text(o, "Name")) != 0)
                fault(b, "%s %u: is '%s' here and '%s' elsewhere", what, id, text(o, "Name"), (*list)[i].name);
            return;
        }
    struct epc_dict_named *p = grow(b, *list, *n, sizeof **list);
    if (!p)
        return;
    *list = p;
    p[(*n)++] = (struct epc_dict_named){id, text(o, "Name")};
}

static void add_vendor(struct build *b, const json_t *o)
{
    add_named(b, o, "vendor", &b->d->vendor, &b->d->n_vendors, vendor(b, number(o, "Code")));
}

static void add_application(struct build *b, const json_t *o)
{
    add_named(b, o, "application", &b->d->application, &b->d->n_applications, number(o, "Code"));
}

/* ---- AVPs ------------------------------------------------------------------------------------------ */

static bool basic_type(const char *name, enum epc_avp_type *out)
{
    for (enum epc_avp_type t = EPC_AVP_OCTETSTRING; t <= EPC_AVP_IPFILTERRULE; t++)
        if (strcmp(epc_avp_type_name(t), name) == 0) {
            *out = t;
            return true;
        }
    return false;
}

/* A type of the standard, or one that this or an earlier document derives from such. */
static bool find_type(const struct build *b, const char *name, enum epc_avp_type *out)
{
    if (basic_type(name, out))
        return true;
    for (size_t n = 0; n < b->d->n_docs; n++) {
        size_t i;
        json_t *t;
        json_array_foreach(json_object_get(b->d->doc[n], "Types"), i, t)
            if (strcmp(text(t, "Name"), name) == 0)
                return basic_type(text(t, "Base"), out);
    }
    return false;
}

static void check_flags(struct build *b, const struct epc_dict_avp *a)
{
    if (a->must & a->must_not)
        fault(b, "AVP '%s': a flag is in Must and in MustNot", a->name);
    if (a->vendor && !(a->must & EPC_AVP_V))
        fault(b, "AVP '%s': it has a vendor, but V is not in Must", a->name);
    if (!a->vendor && (a->must & EPC_AVP_V))
        fault(b, "AVP '%s': V is in Must, but it has no vendor", a->name);
    if (a->vendor && !epc_dict_vendor_name(b->d, a->vendor))
        fault(b, "AVP '%s': vendor %u is not among the vendors", a->name, a->vendor);
}

static bool value_fits(const struct epc_dict_avp *a, int64_t v)
{
    switch (a->type) {
    case EPC_AVP_ENUMERATED:
    case EPC_AVP_INTEGER32:
        return v >= INT32_MIN && v <= INT32_MAX;
    case EPC_AVP_UNSIGNED32:
        return v >= 0 && v <= UINT32_MAX;
    default:
        return false;
    }
}

static void add_values(struct build *b, struct epc_dict_avp *a, const json_t *list)
{
    struct epc_dict_enum *values = NULL;
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v) {
        const json_t *code = json_object_get(v, "Code");
        /* Names of octets are of use to freeDiameter alone. */
        if (json_is_string(code) && a->type == EPC_AVP_OCTETSTRING)
            continue;
        int64_t value = json_integer_value(code);
        const char *name = text(v, "Name");
        if (!json_is_integer(code) || !value_fits(a, value))
            fault(b, "AVP '%s': value '%s' does not fit type %s", a->name, name, a->type_name);
        for (size_t k = 0; k < a->n_values; k++)
            if (values[k].value == value || strcmp(values[k].name, name) == 0)
                fault(b, "AVP '%s': values '%s' and '%s' have the same code or name", a->name,
                      values[k].name, name);
        struct epc_dict_enum *p = grow(b, values, a->n_values, sizeof *values);
        if (!p)
            break;
        values = p;
        values[a->n_values++] = (struct epc_dict_enum){value, name};
    }
    a->values = values;
}

static void add_avp(struct build *b, const json_t *o)
{
    const json_t *flags = json_object_get(o, "Flags");
    struct epc_dict_avp a = {
        .code = number(o, "Code"),
        .vendor = vendor(b, number(o, "Vendor")),
        .name = text(o, "Name"),
        .type_name = text(o, "Type"),
        .must = flag_bits(flags, "Must", "VMP"),
        .must_not = flag_bits(flags, "MustNot", "VMP"),
        .spec = text(o, "Spec"),
        .note = text(o, "Note"),
        .file = b->source->name,
    };
    if (a.vendor && !json_object_get(flags, "Must"))
        a.must |= EPC_AVP_V;
    check_flags(b, &a);
    if (!find_type(b, a.type_name, &a.type))
        fault(b, "AVP '%s': type '%s' is not known", a.name, a.type_name);
    struct epc_dict_avp *p = grow(b, b->d->avp, b->d->n_avps, sizeof *p);
    if (!p)
        return;
    b->d->avp = p;
    add_values(b, &a, json_object_get(o, "EnumValues"));
    p[b->d->n_avps++] = a;
}

/* ---- commands --------------------------------------------------------------------------------------- */

/* The first letter of each word; a word in capitals stays whole: AA-Request is AAR. */
static void abbreviate(struct epc_dict_command *c)
{
    size_t n = 0;
    for (const char *p = c->name; *p && n + 1 < sizeof c->abbreviation;) {
        size_t word = strcspn(p, "-"), capitals = 0;
        while (capitals < word && isupper((unsigned char)p[capitals]))
            capitals++;
        for (size_t i = 0; i < (capitals == word ? word : 1) && n + 1 < sizeof c->abbreviation && p[i] != '-'; i++)
            c->abbreviation[n++] = p[i];
        p += word + (p[word] == '-');
    }
    c->abbreviation[n] = 0;
}

static void add_command(struct build *b, const json_t *o)
{
    const json_t *flags = json_object_get(o, "Flags");
    struct epc_dict_command c = {
        .code = number(o, "Code"),
        .name = text(o, "Name"),
        .must = flag_bits(flags, "Must", "RPET"),
        .must_not = flag_bits(flags, "MustNot", "RPET"),
        .spec = text(o, "Spec"),
        .note = text(o, "Note"),
        .file = b->source->name,
    };
    c.request = c.must & EPC_CMD_R;
    abbreviate(&c);
    if (c.must & c.must_not)
        fault(b, "command '%s': a flag is in Must and in MustNot", c.name);
    if (text(o, "Application")) {
        bool known = false;
        for (size_t i = 0; i < b->d->n_applications; i++)
            known = known || strcmp(b->d->application[i].name, text(o, "Application")) == 0;
        if (!known)
            fault(b, "command '%s': application '%s' is not known", c.name, text(o, "Application"));
    }
    for (size_t i = 0; i < b->d->n_commands; i++)
        if ((b->d->command[i].code == c.code && b->d->command[i].request == c.request) ||
            strcmp(b->d->command[i].name, c.name) == 0)
            fault(b, "commands '%s' and '%s' have the same code or name", b->d->command[i].name, c.name);
    struct epc_dict_command *p = grow(b, b->d->command, b->d->n_commands, sizeof *p);
    if (!p)
        return;
    b->d->command = p;
    p[b->d->n_commands++] = c;
}

/* ---- order: from here on, pointers to AVPs and commands hold ------------------------------------------ */

static int by_vendor_and_code(const void *l, const void *r)
{
    const struct epc_dict_avp *a = l, *b = r;
    if (a->vendor != b->vendor)
        return a->vendor < b->vendor ? -1 : 1;
    return (a->code > b->code) - (a->code < b->code);
}

static int by_name(const void *l, const void *r)
{
    const struct epc_dict_avp *const *a = l, *const *b = r;
    return strcmp((*a)->name, (*b)->name);
}

static int by_command_code(const void *l, const void *r)
{
    const struct epc_dict_command *a = l, *b = r;
    if (a->code != b->code)
        return a->code < b->code ? -1 : 1;
    return b->request - a->request;
}

static void sort_all(struct build *b)
{
    struct epc_dict *d = b->d;
    if (d->n_commands)
        qsort(d->command, d->n_commands, sizeof *d->command, by_command_code);
    if (!d->n_avps)
        return;
    d->by_name = malloc(d->n_avps * sizeof(struct epc_dict_avp *));
    if (!d->by_name) {
        b->nomem = true;
        return;
    }
    qsort(d->avp, d->n_avps, sizeof *d->avp, by_vendor_and_code);
    for (size_t i = 0; i < d->n_avps; i++)
        d->by_name[i] = &d->avp[i];
    qsort(d->by_name, d->n_avps, sizeof d->by_name[0], by_name);
    for (size_t i = 1; i < d->n_avps; i++) {
        const struct epc_dict_avp *a = &d->avp[i - 1], *next = &d->avp[i];
        if (a->code == next->code && a->vendor == next->vendor)
            fault(b, "AVPs '%s' and '%s' have the same code %u, vendor %u", a->name, next->name, a->code,
                  a->vendor);
        a = d->by_name[i - 1], next = d->by_name[i];
        if (strcmp(a->name, next->name) == 0)
            fault(b, "two AVPs have the name '%s': codes %u and %u", a->name, a->code, next->code);
    }
}

/* ---- rules -------------------------------------------------------------------------------------------- */

static void add_rule(struct build *b, struct epc_dict_rules *to, const json_t *o, const char *where)
{
    const json_t *min = json_object_get(o, "Min"), *max = json_object_get(o, "Max");
    const char *name = text(o, "AVP");
    uint32_t of = vendor(b, number(o, "Vendor"));
    struct epc_dict_rule r = {
        .avp = epc_dict_avp_named(b->d, epc_str_c(name)),
        .min = min ? (uint32_t)json_integer_value(min) : 0,
        .max = json_is_integer(max) ? (uint32_t)json_integer_value(max) : EPC_DICT_MANY,
        .first = json_is_true(json_object_get(o, "First")),
    };
    if (r.first && !min)
        r.min = 1;
    if (!r.avp || r.avp->vendor != of)
        fault(b, "rules of '%s': AVP '%s' of vendor %u is not known", where, name, of);
    else if (epc_dict_rule(to, r.avp))
        fault(b, "rules of '%s': AVP '%s' is named twice", where, name);
    else if (r.min > r.max)
        fault(b, "rules of '%s': AVP '%s': Min is more than Max", where, name);
    struct epc_dict_rule *p = grow(b, (void *)(uintptr_t)to->rule, to->n, sizeof *p);
    if (!p)
        return;
    to->rule = p;
    p[to->n++] = r;
}

static void add_content(struct build *b, struct epc_dict_rules *to, const json_t *set, const char *where)
{
    bool extends = json_is_true(json_object_get(set, "Extends"));
    if (to->n && !extends)
        fault(b, "rules of '%s': given twice; \"Extends\": true adds to them", where);
    if (!extends || !to->spec)
        to->spec = text(set, "Spec");
    if (!extends || !to->note)
        to->note = text(set, "Note");
    size_t i;
    json_t *o;
    json_array_foreach(json_object_get(set, "Content"), i, o)
        add_rule(b, to, o, where);
}

static void add_command_rules(struct build *b, const json_t *set)
{
    const char *name = text(set, "Command");
    for (size_t i = 0; i < b->d->n_commands; i++)
        if (strcmp(b->d->command[i].name, name) == 0) {
            add_content(b, &b->d->command[i].content, set, name);
            return;
        }
    fault(b, "rules of '%s': there is no such command", name);
}

static void add_avp_rules(struct build *b, const json_t *set)
{
    const char *name = text(set, "AVP");
    struct epc_dict_avp *a = (void *)(uintptr_t)epc_dict_avp_named(b->d, epc_str_c(name));
    if (!a || a->vendor != vendor(b, number(set, "Vendor")))
        fault(b, "rules of '%s': there is no such AVP of that vendor", name);
    else if (a->type != EPC_AVP_GROUPED)
        fault(b, "rules of '%s': it is not Grouped", name);
    else
        add_content(b, &a->content, set, name);
}

/* ---- where each may appear ------------------------------------------------------------------------------ */

static void add_places(struct build *b, const struct epc_dict_rules *r, const struct epc_dict_command *c,
                       const struct epc_dict_avp *group)
{
    for (size_t i = 0; i < r->n && !b->nomem; i++) {
        struct epc_dict_avp *a = (void *)(uintptr_t)r->rule[i].avp;
        struct epc_dict_place *p = grow(b, (void *)(uintptr_t)a->places, a->n_places, sizeof *p);
        if (!p)
            return;
        a->places = p;
        p[a->n_places++] = (struct epc_dict_place){c, group, &r->rule[i]};
    }
}

static void places(struct build *b)
{
    for (size_t i = 0; i < b->d->n_commands; i++)
        add_places(b, &b->d->command[i].content, &b->d->command[i], NULL);
    for (size_t i = 0; i < b->d->n_avps; i++)
        add_places(b, &b->d->avp[i].content, NULL, &b->d->avp[i]);
}

/* ---- all of it ------------------------------------------------------------------------------------------ */

static void say(void *arg, const char *line)
{
    fault(arg, "%s", line);
}

static void parse(struct build *b)
{
    json_error_t err;
    json_t *doc = json_loadb(b->source->json.p ? b->source->json.p : "", b->source->json.n,
                             JSON_REJECT_DUPLICATES, &err);
    if (!doc) {
        fault(b, "line %d: %s", err.line, err.text);
        return;
    }
    json_t **p = grow(b, b->d->doc, b->d->n_docs, sizeof *p);
    if (!p) {
        json_decref(doc);
        return;
    }
    b->d->doc = p;
    p[b->d->n_docs++] = doc;
    (void)rx_dict_schema(doc, say, b);
}

static void section(struct build *b, const struct epc_dict_source *source, const char *name,
                    void (*add)(struct build *b, const json_t *o))
{
    for (size_t n = 0; n < b->d->n_docs; n++) {
        size_t i;
        json_t *o;
        b->source = &source[n];
        json_array_foreach(json_object_get(b->d->doc[n], name), i, o) {
            if (b->nomem)
                return;
            add(b, o);
        }
    }
}

enum epc_err epc_dict_create(struct epc_dict **out, const struct epc_dict_source *source, size_t n,
                             struct epc_buf *faults)
{
    if (!out || (n && !source))
        return EPC_EINVAL;
    struct build b = {.d = calloc(1, sizeof *b.d), .faults = faults};
    if (!b.d)
        return EPC_ENOMEM;
    for (size_t i = 0; i < n && !b.nomem; i++) {
        b.source = &source[i];
        parse(&b);
    }
    if (!b.wrong && !b.nomem) {
        section(&b, source, "Vendors", add_vendor);
        section(&b, source, "Applications", add_application);
        section(&b, source, "AVPs", add_avp);
        section(&b, source, "Commands", add_command);
        sort_all(&b);
    }
    if (!b.wrong && !b.nomem) {
        section(&b, source, "CommandRules", add_command_rules);
        section(&b, source, "AVPRules", add_avp_rules);
    }
    if (!b.wrong && !b.nomem)
        places(&b);
    if (b.wrong || b.nomem) {
        epc_dict_destroy(b.d);
        return b.nomem ? EPC_ENOMEM : EPC_EPROTO;
    }
    *out = b.d;
    return EPC_OK;
}
