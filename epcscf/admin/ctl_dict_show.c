/* epcscfctl dict show, list, tree: what an engineer asks of a dictionary. */
#include "admin/ctl_dict.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A group in a group in a group; deeper is a dictionary that contains itself. */
#define MAX_DEPTH 8

const char *ctl_dict_count(const struct epc_dict_rule *r, char out[32])
{
    if (r->max == EPC_DICT_MANY)
        snprintf(out, 32, "%u..*", r->min);
    else
        snprintf(out, 32, "%u..%u", r->min, r->max);
    return out;
}

const char *ctl_dict_flags(uint8_t bits, char out[8])
{
    snprintf(out, 8, "%s%s%s", bits & EPC_AVP_V ? "V" : "", bits & EPC_AVP_M ? "M" : "",
             bits & EPC_AVP_P ? "P" : "");
    if (!out[0])
        snprintf(out, 8, "-");
    return out;
}

static const char *m_bit(const struct epc_dict_avp *a)
{
    return a->must & EPC_AVP_M ? "set" : a->must_not & EPC_AVP_M ? "clear" : "either";
}

const struct epc_dict_command *ctl_dict_command(const struct epc_dict *d, const char *name)
{
    const struct epc_dict_command *c = epc_dict_command_named(d, epc_str_c(name));
    if (c)
        return c;
    fprintf(stderr, "epcscfctl dict: no command '%s'; there are", name);
    for (size_t i = 0; (c = epc_dict_command_at(d, i)); i++)
        fprintf(stderr, " %s", c->abbreviation);
    fputc('\n', stderr);
    return NULL;
}

static int print_json(json_t *j)
{
    int rc = j ? json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : -1;
    json_decref(j);
    putchar('\n');
    return rc ? 2 : 0;
}

static void set_text(json_t *o, const char *key, const char *value)
{
    if (value)
        json_object_set_new(o, key, json_string(value));
}

/* ---- show --------------------------------------------------------------------------------------------- */

static void row(const char *key, const char *value)
{
    if (value)
        printf("  %-9s %s\n", key, value);
}

static void content_rows(const struct epc_dict_rules *r)
{
    char count[32], label[300];
    for (size_t i = 0; i < r->n; i++) {
        const struct epc_dict_avp *a = r->rule[i].avp;
        snprintf(label, sizeof label, "%-5s %s (%u%s)", ctl_dict_count(&r->rule[i], count), a->name, a->code,
                 r->rule[i].first ? ", first" : "");
        row(i == 0 ? "content" : "", label);
    }
}

static void place_rows(const struct epc_dict_avp *a)
{
    char count[32], label[300];
    for (size_t i = 0; i < a->n_places; i++) {
        const struct epc_dict_place *p = &a->places[i];
        snprintf(label, sizeof label, "%-5s in %s", ctl_dict_count(p->rule, count),
                 p->command ? p->command->abbreviation : p->group->name);
        row(i == 0 ? "appears" : "", label);
    }
}

static void show_avp(const struct epc_dict *d, const struct epc_dict_avp *a)
{
    char text[300];
    const char *vendor = epc_dict_vendor_name(d, a->vendor);
    printf("%s\n", a->name);
    snprintf(text, sizeof text, "%u", a->code);
    row("code", text);
    snprintf(text, sizeof text, "%u (%s)", a->vendor, vendor ? vendor : "none");
    row("vendor", text);
    row("type", a->type_name);
    snprintf(text, sizeof text, "V %s, M %s", a->must & EPC_AVP_V ? "set" : "clear", m_bit(a));
    row("flags", text);
    row("spec", a->spec);
    row("note", a->note);
    for (size_t i = 0; i < a->n_values; i++) {
        snprintf(text, sizeof text, "%lld %s", (long long)a->values[i].value, a->values[i].name);
        row(i == 0 ? "values" : "", text);
    }
    content_rows(&a->content);
    place_rows(a);
    row("file", a->file);
}

static void show_command(const struct epc_dict_command *c)
{
    char text[80];
    printf("%s (%s)\n", c->name, c->abbreviation);
    snprintf(text, sizeof text, "%u, %s", c->code, c->request ? "request" : "answer");
    row("code", text);
    row("flags", c->must & EPC_CMD_P ? "proxiable" : "not proxiable");
    row("spec", c->spec);
    row("note", c->note);
    content_rows(&c->content);
    row("file", c->file);
}

static json_t *rules_json(const struct epc_dict_rules *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n; i++) {
        const struct epc_dict_rule *rule = &r->rule[i];
        json_t *o = json_pack("{s:s, s:I, s:I, s:I}", "name", rule->avp->name, "code",
                              (json_int_t)rule->avp->code, "vendor", (json_int_t)rule->avp->vendor, "min",
                              (json_int_t)rule->min);
        json_object_set_new(o, "max", rule->max == EPC_DICT_MANY ? json_string("unbounded")
                                                                  : json_integer(rule->max));
        if (rule->first)
            json_object_set_new(o, "first", json_true());
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *avp_json(const struct epc_dict_avp *a, bool all)
{
    json_t *o = json_pack("{s:s, s:I, s:I, s:s, s:b, s:s}", "name", a->name, "code", (json_int_t)a->code,
                          "vendor", (json_int_t)a->vendor, "type", a->type_name, "V",
                          (a->must & EPC_AVP_V) != 0, "M", m_bit(a));
    set_text(o, "spec", a->spec);
    set_text(o, "note", a->note);
    if (!all)
        return o;
    json_t *values = json_array(), *places = json_array();
    for (size_t i = 0; i < a->n_values; i++)
        json_array_append_new(values, json_pack("{s:I, s:s}", "value", (json_int_t)a->values[i].value, "name",
                                                a->values[i].name));
    for (size_t i = 0; i < a->n_places; i++)
        json_array_append_new(places, json_string(a->places[i].command ? a->places[i].command->name
                                                                        : a->places[i].group->name));
    json_object_set_new(o, "values", values);
    json_object_set_new(o, "content", rules_json(&a->content));
    json_object_set_new(o, "appears", places);
    set_text(o, "file", a->file);
    return o;
}

static json_t *command_json(const struct epc_dict_command *c)
{
    json_t *o = json_pack("{s:s, s:s, s:I, s:b, s:b}", "name", c->name, "abbreviation", c->abbreviation, "code",
                          (json_int_t)c->code, "request", c->request, "proxiable", (c->must & EPC_CMD_P) != 0);
    set_text(o, "spec", c->spec);
    set_text(o, "note", c->note);
    json_object_set_new(o, "content", rules_json(&c->content));
    return o;
}

/* CODE or CODE@VENDOR. */
static bool is_code(const char *word, uint32_t *code, uint32_t *vendor, bool *has_vendor)
{
    struct epc_str left = epc_str_c(word), first = epc_str_cut(&left, '@');
    uint64_t n;
    *has_vendor = left.p != NULL;
    if (epc_str_u64(first, UINT32_MAX, &n))
        return false;
    *code = (uint32_t)n;
    if (*has_vendor) {
        if (epc_str_u64(left, UINT32_MAX, &n))
            return false;
        *vendor = (uint32_t)n;
    }
    return true;
}

/* Names that hold the word, in any case: what was perhaps meant. */
static int not_found(const struct epc_dict *d, const char *word)
{
    const struct epc_dict_avp *a;
    int n = 0;
    fprintf(stderr, "epcscfctl dict: nothing is called '%s'", word);
    for (size_t i = 0; word[0] && (a = epc_dict_avp_at(d, i)) && n < 12; i++)
        if (strcasestr(a->name, word))
            fprintf(stderr, "%s%s", n++ ? ", " : "; perhaps ", a->name);
    fputc('\n', stderr);
    return 1;
}

static size_t show_codes(const struct ctl_dict_ask *q, uint32_t code, bool has_vendor, uint32_t vendor,
                         json_t *list)
{
    const struct epc_dict_avp *a;
    size_t n = 0;
    for (size_t i = 0; (a = epc_dict_avp_at(q->dict, i)); i++) {
        if (a->code != code || (has_vendor && a->vendor != vendor))
            continue;
        if (list)
            json_array_append_new(list, avp_json(a, true));
        else
            show_avp(q->dict, a);
        n++;
    }
    return n;
}

int ctl_dict_show(const struct ctl_dict_ask *q)
{
    const char *word = q->word[0];
    uint32_t code = 0, vendor = 0;
    bool has_vendor;
    if (is_code(word, &code, &vendor, &has_vendor)) {
        json_t *list = q->json ? json_array() : NULL;
        size_t n = show_codes(q, code, has_vendor, vendor, list);
        if (!n)
            fprintf(stderr, "epcscfctl dict: no AVP has code %s\n", word);
        else if (list)
            return print_json(list);
        json_decref(list);
        return n ? 0 : 1;
    }
    const struct epc_dict_avp *a = epc_dict_avp_named(q->dict, epc_str_c(word)), *other;
    for (size_t i = 0; !a && (other = epc_dict_avp_at(q->dict, i)); i++)
        if (strcasecmp(other->name, word) == 0)
            a = other;
    const struct epc_dict_command *c = a ? NULL : epc_dict_command_named(q->dict, epc_str_c(word));
    if (!a && !c)
        return not_found(q->dict, word);
    if (q->json)
        return print_json(a ? avp_json(a, true) : command_json(c));
    if (a)
        show_avp(q->dict, a);
    else
        show_command(c);
    return 0;
}

/* ---- list ----------------------------------------------------------------------------------------------- */

static bool reaches(const struct epc_dict_rules *r, const struct epc_dict_avp *a, int depth)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->rule[i].avp == a || (depth && reaches(&r->rule[i].avp->content, a, depth - 1)))
            return true;
    return false;
}

int ctl_dict_list(const struct ctl_dict_ask *q)
{
    const struct epc_dict_command *c = q->command ? ctl_dict_command(q->dict, q->command) : NULL;
    const struct epc_dict_avp *a;
    json_t *list = q->json ? json_array() : NULL;
    size_t n = 0;
    if (q->command && !c) {
        json_decref(list);
        return 1;
    }
    for (size_t i = 0; (a = epc_dict_avp_at(q->dict, i)); i++) {
        if ((q->has_vendor && a->vendor != q->vendor) || (c && !reaches(&c->content, a, MAX_DEPTH)))
            continue;
        n++;
        if (list)
            json_array_append_new(list, avp_json(a, false));
        else
            printf("%5u %6u  %-42s %-16s M %-6s %s\n", a->code, a->vendor, a->name, a->type_name, m_bit(a),
                   a->spec ? a->spec : "");
    }
    if (list)
        return print_json(list);
    if (!n)
        fprintf(stderr, "epcscfctl dict: no such AVPs\n");
    return n ? 0 : 1;
}

/* ---- tree ----------------------------------------------------------------------------------------------- */

/* The ABNF's own notation: < fixed >, { required }, [ optional ], and how many. */
static void abnf(const struct epc_dict_rule *r, char out[200])
{
    const char *open = r->first ? "<" : r->min ? "{" : "[", *end = r->first ? ">" : r->min ? "}" : "]";
    char many[32] = "";
    if (r->max == EPC_DICT_MANY)
        snprintf(many, sizeof many, "*");
    else if (r->max > 1)
        snprintf(many, sizeof many, "%u*%u", r->min, r->max);
    snprintf(out, 200, "%3s%s %.150s %s", many, open, r->avp->name, end);
}

static void tree(const struct epc_dict_rules *r, int depth)
{
    char text[200], count[32];
    for (size_t i = 0; i < r->n; i++) {
        const struct epc_dict_avp *a = r->rule[i].avp;
        abnf(&r->rule[i], text);
        int indent = 4 * depth;
        printf("%*s%-*s %6u %-16s %s\n", indent, "", 60 - indent > 0 ? 60 - indent : 0, text, a->code,
               a->type_name, ctl_dict_count(&r->rule[i], count));
        if (a->content.n && depth < MAX_DEPTH)
            tree(&a->content, depth + 1);
    }
    if (r->n)
        printf("%*s  *[ AVP ]\n", 4 * depth, "");
}

static json_t *tree_json(const struct epc_dict_rules *r, int depth)
{
    json_t *list = rules_json(r), *o;
    size_t i;
    json_array_foreach(list, i, o) {
        const struct epc_dict_avp *a = r->rule[i].avp;
        json_object_set_new(o, "type", json_string(a->type_name));
        if (a->content.n && depth < MAX_DEPTH)
            json_object_set_new(o, "content", tree_json(&a->content, depth + 1));
    }
    return list;
}

int ctl_dict_tree(const struct ctl_dict_ask *q)
{
    const struct epc_dict_command *c = ctl_dict_command(q->dict, q->word[0]);
    if (!c)
        return 1;
    if (q->json) {
        json_t *o = command_json(c);
        json_object_set_new(o, "content", tree_json(&c->content, 0));
        return print_json(o);
    }
    printf("%s ::= < Diameter Header: %u%s%s >%s%s\n", c->name, c->code, c->request ? ", REQ" : "",
           c->must & EPC_CMD_P ? ", PXY" : "", c->spec ? "   " : "", c->spec ? c->spec : "");
    tree(&c->content, 0);
    return 0;
}
