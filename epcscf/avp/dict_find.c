/* Lookups in a finished dictionary. */
#include "avp/dict_priv.h"

#include <stdlib.h>
#include <string.h>

const char *epc_avp_type_name(enum epc_avp_type t)
{
    switch (t) {
    case EPC_AVP_OCTETSTRING: return "OctetString";
    case EPC_AVP_INTEGER32: return "Integer32";
    case EPC_AVP_INTEGER64: return "Integer64";
    case EPC_AVP_UNSIGNED32: return "Unsigned32";
    case EPC_AVP_UNSIGNED64: return "Unsigned64";
    case EPC_AVP_FLOAT32: return "Float32";
    case EPC_AVP_FLOAT64: return "Float64";
    case EPC_AVP_GROUPED: return "Grouped";
    case EPC_AVP_ENUMERATED: return "Enumerated";
    case EPC_AVP_ADDRESS: return "Address";
    case EPC_AVP_TIME: return "Time";
    case EPC_AVP_UTF8STRING: return "UTF8String";
    case EPC_AVP_IDENTITY: return "DiameterIdentity";
    case EPC_AVP_URI: return "DiameterURI";
    case EPC_AVP_IPFILTERRULE: return "IPFilterRule";
    }
    return "?";
}

const struct epc_dict_avp *epc_dict_avp(const struct epc_dict *d, uint32_t code, uint32_t vendor)
{
    size_t low = 0, high = d->n_avps;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct epc_dict_avp *a = &d->avp[mid];
        if (a->vendor == vendor && a->code == code)
            return a;
        if (a->vendor < vendor || (a->vendor == vendor && a->code < code))
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static int compare(const char *name, struct epc_str s)
{
    size_t n = strlen(name), common = n < s.n ? n : s.n;
    int c = common ? memcmp(name, s.p, common) : 0;
    return c ? c : (n > s.n) - (n < s.n);
}

const struct epc_dict_avp *epc_dict_avp_named(const struct epc_dict *d, struct epc_str name)
{
    size_t low = 0, high = d->n_avps;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = compare(d->by_name[mid]->name, name);
        if (c == 0)
            return d->by_name[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const struct epc_dict_command *epc_dict_command(const struct epc_dict *d, uint32_t code, bool request)
{
    for (size_t i = 0; i < d->n_commands; i++)
        if (d->command[i].code == code && d->command[i].request == request)
            return &d->command[i];
    return NULL;
}

const struct epc_dict_command *epc_dict_command_named(const struct epc_dict *d, struct epc_str name)
{
    for (size_t i = 0; i < d->n_commands; i++)
        if (epc_str_ieqc(name, d->command[i].name) || epc_str_ieqc(name, d->command[i].abbreviation))
            return &d->command[i];
    return NULL;
}

static const char *named(const struct epc_dict_named *list, size_t n, uint32_t id)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].id == id)
            return list[i].name;
    return NULL;
}

const char *epc_dict_vendor_name(const struct epc_dict *d, uint32_t vendor)
{
    return named(d->vendor, d->n_vendors, vendor);
}

const char *epc_dict_application_name(const struct epc_dict *d, uint32_t application)
{
    return named(d->application, d->n_applications, application);
}

const char *epc_dict_value_name(const struct epc_dict_avp *a, int64_t value)
{
    for (size_t i = 0; i < a->n_values; i++)
        if (a->values[i].value == value)
            return a->values[i].name;
    return NULL;
}

enum epc_err epc_dict_value(const struct epc_dict_avp *a, struct epc_str name, int64_t *out)
{
    for (size_t i = 0; i < a->n_values; i++)
        if (epc_str_eqc(name, a->values[i].name)) {
            *out = a->values[i].value;
            return EPC_OK;
        }
    return EPC_ENOENT;
}

const struct epc_dict_rule *epc_dict_rule(const struct epc_dict_rules *r, const struct epc_dict_avp *a)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->rule[i].avp == a)
            return &r->rule[i];
    return NULL;
}

const struct epc_dict_avp *epc_dict_avp_at(const struct epc_dict *d, size_t i)
{
    return i < d->n_avps ? &d->avp[i] : NULL;
}

const struct epc_dict_command *epc_dict_command_at(const struct epc_dict *d, size_t i)
{
    return i < d->n_commands ? &d->command[i] : NULL;
}

static const char *named_at(const struct epc_dict_named *list, size_t n, size_t i, uint32_t *id)
{
    if (i >= n)
        return NULL;
    if (id)
        *id = list[i].id;
    return list[i].name;
}

const char *epc_dict_vendor_at(const struct epc_dict *d, size_t i, uint32_t *id)
{
    return named_at(d->vendor, d->n_vendors, i, id);
}

const char *epc_dict_application_at(const struct epc_dict *d, size_t i, uint32_t *id)
{
    return named_at(d->application, d->n_applications, i, id);
}

void epc_dict_destroy(struct epc_dict *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n_avps; i++) {
        free((void *)(uintptr_t)d->avp[i].values);
        free((void *)(uintptr_t)d->avp[i].content.rule);
        free((void *)(uintptr_t)d->avp[i].places);
    }
    for (size_t i = 0; i < d->n_commands; i++)
        free((void *)(uintptr_t)d->command[i].content.rule);
    for (size_t i = 0; i < d->n_docs; i++)
        json_decref(d->doc[i]);
    free(d->doc);
    free(d->vendor);
    free(d->application);
    free(d->avp);
    free(d->by_name);
    free(d->command);
    free(d);
}
