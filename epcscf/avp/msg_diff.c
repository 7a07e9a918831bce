/* The difference of two messages, AVP by AVP. */
#include "avp/msg_priv.h"

#include <string.h>

/* What numbers a group among its like. */
static const struct {
    uint32_t code, vendor, key, key_vendor;
} keys[] = {
    {517, 10415, 518, 10415},    /* Media-Component-Description: its number */
    {519, 10415, 509, 10415},    /* Media-Sub-Component: Flow-Number */
    {510, 10415, 518, 10415},    /* Flows: Media-Component-Number */
    {628, 10415, 629, 10415},    /* Supported-Features: Feature-List-ID */
    {443, 0, 450, 0},            /* Subscription-Id: its type */
    {502, 10415, 503, 10415},    /* Access-Network-Charging-Identifier: its value */
    {260, 0, 258, 0},            /* Vendor-Specific-Application-Id */
    {9020, EPC_DICT_WEBRTC_VENDOR, 9023, EPC_DICT_WEBRTC_VENDOR}, /* Bundle-Group */
    {9039, EPC_DICT_WEBRTC_VENDOR, 9058, EPC_DICT_WEBRTC_VENDOR}, /* DTLS-Fingerprint: its side */
    {9046, EPC_DICT_WEBRTC_VENDOR, 9047, EPC_DICT_WEBRTC_VENDOR}, /* Data-Channel: stream */
};

enum { MAX_ALIKE = EPC_MSG_MAX_AVPS };

struct diff {
    const struct epc_msg_ignore *ignore;
    struct epc_vars *vars;
    struct epc_buf *out;
    size_t n;
    bool quiet; /* only whether there is any */
    char path[500];
};

static const struct epc_avp *key_of(const struct epc_avp *a)
{
    for (size_t i = 0; a->group && i < EPC_ARRAY_LEN(keys); i++)
        if (keys[i].code == a->code && keys[i].vendor == a->vendor)
            return epc_avp_find(a, keys[i].key, keys[i].key_vendor);
    return NULL;
}

static bool alike(const struct epc_avp *a, const struct epc_avp *b)
{
    return a->code == b->code && a->vendor == b->vendor;
}

static bool same_octets(const struct epc_avp *a, const struct epc_avp *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->data, b->data, a->n) == 0);
}

static bool ignored(const struct diff *d, const struct epc_avp *a)
{
    for (size_t i = 0; d->ignore && i < d->ignore->n; i++)
        if (d->ignore->avp[i]->code == a->code && d->ignore->avp[i]->vendor == a->vendor)
            return true;
    return false;
}

static void add_name(struct diff *d, const struct epc_avp *a)
{
    if (d->path[0])
        epc_buf_printf(d->out, "%s / ", d->path);
    epc_avp_print_name(a, d->out);
}

static void say(struct diff *d, const struct epc_avp *expected, const struct epc_avp *got)
{
    d->n++;
    if (!d->out)
        return;
    add_name(d, expected ? expected : got);
    if (!got)
        epc_buf_adds(d->out, ": missing, expected ");
    else if (!expected)
        epc_buf_adds(d->out, ": not expected, got ");
    else
        epc_buf_adds(d->out, ": expected ");
    epc_avp_print_value(expected ? expected : got, d->out);
    if (expected && got) {
        epc_buf_adds(d->out, ", got ");
        epc_avp_print_value(got, d->out);
    }
    epc_buf_adds(d->out, "\n");
}

/* ---- one AVP ---------------------------------------------------------------------------------------------- */

/* A variable: bound to what it meets if it is new. @return false: it has another value. */
static bool meets(struct diff *d, const char *variable, const struct epc_avp *got)
{
    struct epc_str value;
    if (got->group)
        return false;
    if (!d->vars || strcmp(variable, "$_") == 0)
        return true;
    if (epc_vars_get(d->vars, variable, &value))
        return value.n == got->n && (got->n == 0 || memcmp(value.p, got->data, got->n) == 0);
    return epc_vars_set(d->vars, variable, got->data, got->n) == EPC_OK;
}

static void compare_lists(struct diff *d, const struct epc_avp *expected, const struct epc_avp *got);

static void compare_groups(struct diff *d, const struct epc_avp *expected, const struct epc_avp *got)
{
    const struct epc_avp *key = key_of(expected);
    size_t end = strlen(d->path);
    struct epc_buf name = {0};
    epc_avp_print_name(expected, &name);
    if (key) {
        epc_buf_adds(&name, "[");
        epc_avp_print_value(key, &name);
        epc_buf_adds(&name, "]");
    }
    snprintf(d->path + end, sizeof d->path - end, "%s%s", end ? " / " : "", name.p ? name.p : "?");
    epc_buf_free(&name);
    compare_lists(d, expected->child, got->child);
    d->path[end] = 0;
}

static void compare(struct diff *d, const struct epc_avp *expected, const struct epc_avp *got)
{
    if (expected->flags != got->flags) {
        d->n++;
        if (d->out) {
            add_name(d, expected);
            epc_buf_printf(d->out, ": flags expected 0x%02x, got 0x%02x\n", expected->flags, got->flags);
        }
    }
    if (expected->variable) {
        if (!meets(d, expected->variable, got))
            say(d, expected, got);
    } else if (expected->group && got->group)
        compare_groups(d, expected, got);
    else if (expected->group != got->group || !same_octets(expected, got))
        say(d, expected, got);
}

/* ---- lists: pairs first, then what is left over ------------------------------------------------------------- */

/* Equal without a word; variables as far as they are known. */
static bool equal(const struct diff *d, const struct epc_avp *expected, const struct epc_avp *got)
{
    struct diff quiet = {.ignore = d->ignore, .quiet = true};
    struct epc_str value;
    if (expected->variable && d->vars && epc_vars_get(d->vars, expected->variable, &value))
        return !got->group && value.n == got->n && (got->n == 0 || memcmp(value.p, got->data, got->n) == 0);
    if (expected->variable)
        return false; /* left for what no other takes */
    compare(&quiet, expected, got);
    return quiet.n == 0;
}

static bool same_key(const struct diff *d, const struct epc_avp *expected, const struct epc_avp *got)
{
    const struct epc_avp *a = key_of(expected), *b = key_of(got);
    return a && b && (a->variable ? equal(d, a, b) : !b->group && same_octets(a, b));
}

static bool any_pair(const struct diff *d, const struct epc_avp *expected, const struct epc_avp *got)
{
    (void)d;
    /* Groups with a number of their own are never held against those of another. */
    return !key_of(expected) || !key_of(got) || key_of(expected)->variable;
}

struct alike {
    const struct epc_avp *a[MAX_ALIKE], *other[MAX_ALIKE];
    size_t n;
};

static void collect(const struct epc_avp *list, const struct epc_avp *like, struct alike *out)
{
    out->n = 0;
    for (; list; list = list->next)
        if (alike(list, like) && out->n < MAX_ALIKE) {
            out->a[out->n] = list;
            out->other[out->n++] = NULL;
        }
}

static void pair(const struct diff *d, struct alike *want, struct alike *have,
                 bool (*fits)(const struct diff *d, const struct epc_avp *e, const struct epc_avp *g))
{
    for (size_t i = 0; i < want->n; i++)
        for (size_t k = 0; !want->other[i] && k < have->n; k++)
            if (!have->other[k] && fits(d, want->a[i], have->a[k])) {
                want->other[i] = have->a[k];
                have->other[k] = want->a[i];
            }
}

static void compare_alike(struct diff *d, const struct epc_avp *expected, const struct epc_avp *got,
                          const struct epc_avp *like)
{
    struct alike want, have;
    collect(expected, like, &want);
    collect(got, like, &have);
    pair(d, &want, &have, same_key);
    pair(d, &want, &have, equal);
    pair(d, &want, &have, any_pair);
    for (size_t i = 0; i < want.n; i++) {
        if (want.other[i])
            compare(d, want.a[i], want.other[i]);
        else
            say(d, want.a[i], NULL);
    }
    for (size_t k = 0; k < have.n; k++)
        if (!have.other[k])
            say(d, NULL, have.a[k]);
}

static bool seen_before(const struct epc_avp *list, const struct epc_avp *a)
{
    for (; list && list != a; list = list->next)
        if (alike(list, a))
            return true;
    return false;
}

static void compare_lists(struct diff *d, const struct epc_avp *expected, const struct epc_avp *got)
{
    for (const struct epc_avp *a = expected; a && !(d->quiet && d->n); a = a->next)
        if (!ignored(d, a) && !seen_before(expected, a))
            compare_alike(d, expected, got, a);
    for (const struct epc_avp *a = got; a && !(d->quiet && d->n); a = a->next)
        if (!ignored(d, a) && !seen_before(got, a)) {
            struct alike want;
            collect(expected, a, &want);
            if (want.n == 0)
                compare_alike(d, expected, got, a);
        }
}

/* ---- doors -------------------------------------------------------------------------------------------------- */

size_t epc_msg_diff(const struct epc_msg *expected, const struct epc_msg *got, const struct epc_msg_ignore *ignore,
                    struct epc_vars *vars, struct epc_buf *out)
{
    struct diff d = {.ignore = ignore, .vars = vars, .out = out};
    if (expected->command != got->command || (expected->flags & EPC_CMD_R) != (got->flags & EPC_CMD_R)) {
        char a[EPC_MSG_NAME], b[EPC_MSG_NAME];
        if (out)
            epc_buf_printf(out, "expected %s, got %s\n", epc_msg_name(expected, a), epc_msg_name(got, b));
        return 1;
    }
    /* T says how often it was sent, not what. */
    uint8_t differing = (expected->flags ^ got->flags) & (uint8_t)~EPC_CMD_T;
    if (differing || expected->application != got->application) {
        d.n++;
        if (out)
            epc_buf_printf(out, "header: expected flags 0x%02x, application %u, got 0x%02x, %u\n",
                           expected->flags, expected->application, got->flags, got->application);
    }
    compare_lists(&d, expected->avp, got->avp);
    return d.n;
}

void epc_msg_ignore_usual(struct epc_msg_ignore *i, const struct epc_dict *d)
{
    static const char *const usual[] = {
        "Session-Id", "Origin-Host", "Origin-Realm", "Destination-Host", "Destination-Realm",
        "Origin-State-Id", "Route-Record", "Proxy-Info", "Error-Message", "Error-Reporting-Host",
        "Host-IP-Address", "Product-Name", "Firmware-Revision", "User-Location-Info-Time",
        "AF-Charging-Identifier"};
    for (size_t k = 0; k < EPC_ARRAY_LEN(usual); k++)
        if (epc_msg_ignore_add(i, d, usual[k]) == EPC_ELIMIT)
            return;
}

enum epc_err epc_msg_ignore_add(struct epc_msg_ignore *i, const struct epc_dict *d, const char *name)
{
    const struct epc_dict_avp *a = epc_dict_avp_named(d, epc_str_c(name));
    if (!a)
        return EPC_ENOENT;
    if (i->n >= EPC_ARRAY_LEN(i->avp))
        return EPC_ELIMIT;
    i->avp[i->n++] = a;
    return EPC_OK;
}
