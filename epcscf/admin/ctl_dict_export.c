/* epcscfctl dict export: Wireshark's XML, and the reference page. */
#include "admin/ctl_dict.h"

#include <stdlib.h>
#include <string.h>

/* ---- Wireshark ------------------------------------------------------------------------------------------ */

static void xml_text(const char *s)
{
    for (; *s; s++)
        switch (*s) {
        case '&': fputs("&amp;", stdout); break;
        case '<': fputs("&lt;", stdout); break;
        case '>': fputs("&gt;", stdout); break;
        case '"': fputs("&quot;", stdout); break;
        default: putchar(*s);
        }
}

/* The XML's ids are names: a letter first, no blanks. Those that Wireshark has itself are kept. */
static const char *vendor_key(uint32_t vendor, char out[24])
{
    if (vendor == 0 || vendor == 10415 || vendor == 13019)
        return vendor == 0 ? "None" : vendor == 10415 ? "TGPP" : "ETSI";
    snprintf(out, 24, "Vendor%u", vendor);
    return out;
}

static const char *wireshark_type(const struct epc_dict_avp *a)
{
    /* Octets that are text, or an address: the dictionary has the type of the standard, Wireshark one
     * that shows more. */
    if (a->type == EPC_AVP_ADDRESS)
        return "IPAddress";
    if (a->vendor == 0 && a->code == 8)
        return "IPAddress";
    if (a->type == EPC_AVP_OCTETSTRING)
        return "OctetStringOrUTF8";
    return epc_avp_type_name(a->type);
}

static void xml_avp(const struct epc_dict_avp *a)
{
    char key[24];
    printf("\t\t<avp name=\"");
    xml_text(a->name);
    printf("\" code=\"%u\" mandatory=\"%s\" vendor-bit=\"%s\"", a->code,
           a->must & EPC_AVP_M ? "must" : a->must_not & EPC_AVP_M ? "mustnot" : "may",
           a->vendor ? "must" : "mustnot");
    if (a->vendor)
        printf(" vendor-id=\"%s\"", vendor_key(a->vendor, key));
    fputs(">\n", stdout);
    if (a->content.n) {
        fputs("\t\t\t<grouped>\n", stdout);
        for (size_t i = 0; i < a->content.n; i++) {
            fputs("\t\t\t\t<gavp name=\"", stdout);
            xml_text(a->content.rule[i].avp->name);
            fputs("\"/>\n", stdout);
        }
        fputs("\t\t\t</grouped>\n", stdout);
    } else
        printf("\t\t\t<type type-name=\"%s\"/>\n", wireshark_type(a));
    for (size_t i = 0; i < a->n_values; i++) {
        fputs("\t\t\t<enum name=\"", stdout);
        xml_text(a->values[i].name);
        printf("\" code=\"%u\"/>\n", (uint32_t)a->values[i].value);
    }
    fputs("\t\t</avp>\n", stdout);
}

static size_t xml_avps(const struct epc_dict *d, uint32_t vendor)
{
    const struct epc_dict_avp *a;
    size_t n = 0;
    for (size_t i = 0; (a = epc_dict_avp_at(d, i)); i++)
        if (a->vendor == vendor) {
            xml_avp(a);
            n++;
        }
    return n;
}

static void xml_vendor_open(uint32_t id, const char *name)
{
    char key[24];
    printf("\t<vendor vendor-id=\"%s\" code=\"%u\" name=\"", vendor_key(id, key), id);
    xml_text(name);
    fputs("\">\n", stdout);
}

/* Wireshark has one name for a request and its answer. */
static void xml_commands(const struct epc_dict *d)
{
    const struct epc_dict_command *c;
    for (size_t i = 0; (c = epc_dict_command_at(d, i)); i++)
        if (c->request) {
            size_t n = strlen(c->name), tail = sizeof "-Request" - 1;
            if (n > tail && strcmp(c->name + n - tail, "-Request") == 0)
                n -= tail;
            printf("\t\t<command name=\"%.*s\" code=\"%u\" vendor-id=\"None\"/>\n", (int)n, c->name, c->code);
        }
}

static void xml_types(void)
{
    static const struct {
        const char *name, *parent;
    } types[] = {
        {"OctetString", NULL}, {"OctetStringOrUTF8", "OctetString"}, {"UTF8String", "OctetString"},
        {"IPAddress", "OctetString"}, {"DiameterIdentity", "OctetString"}, {"DiameterURI", "UTF8String"},
        {"IPFilterRule", "OctetString"}, {"Integer32", NULL}, {"Integer64", NULL}, {"Unsigned32", NULL},
        {"Unsigned64", NULL}, {"Float32", NULL}, {"Float64", NULL}, {"Time", NULL},
        {"Enumerated", "Integer32"}, {"Grouped", "OctetString"},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(types); i++) {
        printf("\t\t<typedefn type-name=\"%s\"", types[i].name);
        if (types[i].parent)
            printf(" type-parent=\"%s\"", types[i].parent);
        fputs("/>\n", stdout);
    }
}

/* AVPs of one vendor for the end of Wireshark's own dictionary. */
static int wireshark_fragment(const struct ctl_dict_ask *q)
{
    const char *name = epc_dict_vendor_name(q->dict, q->vendor);
    if (!name || q->vendor == 0 || q->vendor == 10415 || q->vendor == 13019) {
        fprintf(stderr, "epcscfctl dict: vendor %u %s\n", q->vendor,
                name ? "is in Wireshark's own dictionary already" : "has no AVPs here");
        return 1;
    }
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<!-- Made by epcscfctl dict export wireshark: put it in the place of Wireshark's diameter/Custom.xml. -->\n",
          stdout);
    xml_vendor_open(q->vendor, name);
    xml_avps(q->dict, q->vendor);
    fputs("\t</vendor>\n", stdout);
    return 0;
}

static int wireshark(const struct ctl_dict_ask *q)
{
    const char *name;
    uint32_t id;
    if (q->has_vendor)
        return wireshark_fragment(q);
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<!-- Made by epcscfctl dict export wireshark: put it in the place of Wireshark's diameter/dictionary.xml. -->\n"
          "<!DOCTYPE dictionary SYSTEM \"dictionary.dtd\">\n"
          "<dictionary>\n"
          "\t<base uri=\"http://www.ietf.org/rfc/rfc6733.txt\">\n", stdout);
    xml_commands(q->dict);
    xml_types();
    xml_avps(q->dict, 0);
    fputs("\t</base>\n", stdout);
    for (size_t i = 0; (name = epc_dict_application_at(q->dict, i, &id)); i++) {
        printf("\t<application id=\"%u\" name=\"", id);
        xml_text(name);
        fputs("\"/>\n", stdout);
    }
    fputs("\t<vendor vendor-id=\"None\" code=\"0\" name=\"None\"/>\n", stdout);
    for (size_t i = 0; (name = epc_dict_vendor_at(q->dict, i, &id)); i++) {
        xml_vendor_open(id, name);
        xml_avps(q->dict, id);
        fputs("\t</vendor>\n", stdout);
    }
    fputs("</dictionary>\n", stdout);
    return 0;
}

/* ---- the reference page ------------------------------------------------------------------------------------ */

static void md_text(const char *s)
{
    for (; s && *s; s++) {
        if (*s == '|' || *s == '*' || *s == '<')
            putchar('\\');
        putchar(*s);
    }
}

static void md_rules(const struct epc_dict_rules *r)
{
    char count[32];
    fputs("| AVP | Code | Vendor | Count |\n|---|---|---|---|\n", stdout);
    for (size_t i = 0; i < r->n; i++) {
        const struct epc_dict_avp *a = r->rule[i].avp;
        printf("| %s%s | %u | %u | ", a->name, r->rule[i].first ? " (first)" : "", a->code, a->vendor);
        md_text(ctl_dict_count(&r->rule[i], count));
        fputs(" |\n", stdout);
    }
    putchar('\n');
}

static void md_note(const char *spec, const char *note)
{
    if (spec)
        printf("%s%s", spec, note ? "; " : ".\n\n");
    if (note) {
        md_text(note);
        fputs(".\n\n", stdout);
    }
}

static void md_avps(const struct epc_dict *d, uint32_t vendor, const char *title)
{
    const struct epc_dict_avp *a;
    printf("### %s\n\n| Code | Name | Type | M | Clause | Note |\n|---|---|---|---|---|---|\n", title);
    for (size_t i = 0; (a = epc_dict_avp_at(d, i)); i++) {
        if (a->vendor != vendor)
            continue;
        printf("| %u | %s | %s | %s | %s | ", a->code, a->name, a->type_name,
               a->must & EPC_AVP_M ? "set" : a->must_not & EPC_AVP_M ? "clear" : "either",
               a->spec ? a->spec : "");
        md_text(a->note);
        fputs(" |\n", stdout);
    }
    putchar('\n');
}

static void md_values(const struct epc_dict *d)
{
    const struct epc_dict_avp *a;
    fputs("## Values\n\n", stdout);
    for (size_t i = 0; (a = epc_dict_avp_at(d, i)); i++) {
        if (!a->n_values)
            continue;
        printf("- **%s** (%u):", a->name, a->code);
        for (size_t k = 0; k < a->n_values; k++)
            printf(" %lld %s%s", (long long)a->values[k].value, a->values[k].name,
                   k + 1 < a->n_values ? "," : "\n");
    }
    putchar('\n');
}

static int markdown(const struct ctl_dict_ask *q)
{
    const struct epc_dict_command *c;
    const struct epc_dict_avp *a;
    const char *name;
    uint32_t id;
    if (q->has_vendor) {
        fputs("epcscfctl dict: --vendor is for export wireshark\n", stderr);
        return 2;
    }
    fputs("# Diameter on the Rx reference point: commands and AVPs\n\n"
          "Made by `epcscfctl dict export markdown` from the JSON files beside this page; see README.md.\n"
          "Every command and group may hold other AVPs too (`*[ AVP ]`).\n\n## Commands\n\n", stdout);
    for (size_t i = 0; (c = epc_dict_command_at(q->dict, i)); i++) {
        printf("### %s: %s (%u)\n\n", c->abbreviation, c->name, c->code);
        md_note(c->spec, c->note);
        md_rules(&c->content);
    }
    fputs("## AVPs\n\n", stdout);
    md_avps(q->dict, 0, "Without vendor");
    for (size_t i = 0; (name = epc_dict_vendor_at(q->dict, i, &id)); i++) {
        char title[120];
        snprintf(title, sizeof title, "Vendor %u, %.80s", id, name);
        md_avps(q->dict, id, title);
    }
    md_values(q->dict);
    fputs("## Groups\n\n", stdout);
    for (size_t i = 0; (a = epc_dict_avp_at(q->dict, i)); i++)
        if (a->content.n) {
            printf("### %s (%u)\n\n", a->name, a->code);
            md_note(a->content.spec, a->content.note);
            md_rules(&a->content);
        }
    return 0;
}

int ctl_dict_export(const struct ctl_dict_ask *q)
{
    if (strcmp(q->word[0], "wireshark") == 0)
        return wireshark(q);
    if (strcmp(q->word[0], "markdown") == 0)
        return markdown(q);
    fprintf(stderr, "epcscfctl dict: export knows wireshark and markdown, not '%s'\n", q->word[0]);
    return 2;
}
