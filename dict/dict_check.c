/* The rules of TS 29.214 5.6 on a message of the Rx application, and the form of its addresses. The command codes 258, 265, 274 and 275
 * are shared: a dictionary can hold one set of rules for each, so Rx's are looked after here. */
#include "dict_load.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct demand {
    struct dict_object *avp;
    uint32_t code, vendor;
    unsigned min, max; /* UINT_MAX: any number */
    bool first;
};

struct command {
    struct dict_object *model;
    struct demand *demand;
    size_t n;
};

/* Octets whose form the library does not look at. */
typedef bool right_fn(const uint8_t *p, size_t n);

struct form {
    uint32_t code, vendor;
    right_fn *right;
};

struct rx_check {
    struct command *command;
    size_t n;
    struct form *form;
    size_t n_forms;
};

/* RFC 6733 4.3.1: family, then as many octets as its addresses have; of other families, any. */
static bool is_address(const uint8_t *p, size_t n)
{
    unsigned family = n < 2 ? 0 : (unsigned)p[0] << 8 | p[1];
    return n > 2 && (family != 1 || n == 6) && (family != 2 || n == 18);
}

static bool is_ipv4(const uint8_t *p, size_t n)
{
    (void)p;
    return n == 4;
}

/* RFC 7155 4.4.10.5.6: reserved, length in bits, at least as many octets. */
static bool is_ipv6_prefix(const uint8_t *p, size_t n)
{
    return n >= 2 && n <= 18 && p[1] <= 128 && n - 2 >= (p[1] + 7u) / 8;
}

/* ---- from the documents ---------------------------------------------------------------------------- */

static const char *text(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static int add_demand(struct dictionary *d, struct command *c, const json_t *r)
{
    const json_t *max = json_object_get(r, "Max");
    struct dict_avp_request by_name = {.avp_vendor = (vendor_id_t)json_integer_value(json_object_get(r, "Vendor")),
                                       .avp_name = (char *)(uintptr_t)text(r, "AVP")};
    struct dict_avp_data data;
    struct demand *to = &c->demand[c->n];
    int rc = fd_dict_search(d, DICT_AVP, AVP_BY_NAME_AND_VENDOR, &by_name, &to->avp, ENOENT);
    if (!rc)
        rc = fd_dict_getval(to->avp, &data);
    if (rc) {
        fd_log(FD_LOG_ERROR, "dictionary: rules of '%s': AVP '%s' is not known", text(r, "Command"),
               by_name.avp_name);
        return rc;
    }
    to->code = data.avp_code;
    to->vendor = data.avp_vendor;
    to->first = json_is_true(json_object_get(r, "First"));
    to->min = (unsigned)json_integer_value(json_object_get(r, "Min"));
    to->max = json_is_integer(max) ? (unsigned)json_integer_value(max) : UINT_MAX;
    c->n++;
    return 0;
}

static struct command *find(const struct rx_check *c, const struct dict_object *model)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->command[i].model == model)
            return &c->command[i];
    return NULL;
}

static int add_set(struct rx_check *c, struct dictionary *d, const json_t *set)
{
    const json_t *content = json_object_get(set, "Content");
    struct dict_object *model = NULL;
    int rc = fd_dict_search(d, DICT_COMMAND, CMD_BY_NAME, text(set, "Command"), &model, ENOENT);
    if (rc)
        return rc;
    struct command *to = find(c, model);
    if (!to) {
        to = realloc(c->command, (c->n + 1) * sizeof *to);
        if (!to)
            return ENOMEM;
        c->command = to;
        to = &c->command[c->n++];
        *to = (struct command){.model = model};
    }
    size_t size = to->n + json_array_size(content);
    if (size > to->n) {
        struct demand *p = realloc(to->demand, size * sizeof *p);
        if (!p)
            return ENOMEM;
        to->demand = p;
    }
    size_t i;
    json_t *r;
    json_array_foreach(content, i, r)
        if ((rc = add_demand(d, to, r)))
            return rc;
    return 0;
}

static right_fn *form_of(const json_t *avp)
{
    json_int_t code = json_integer_value(json_object_get(avp, "Code"));
    if (strcmp(text(avp, "Type"), "Address") == 0)
        return is_address;
    if (json_integer_value(json_object_get(avp, "Vendor")) == 0 && (code == 8 || code == 97))
        return code == 8 ? is_ipv4 : is_ipv6_prefix;
    return NULL;
}

static int add_forms(struct rx_check *c, const json_t *avps)
{
    size_t i;
    json_t *a;
    json_array_foreach(avps, i, a) {
        right_fn *right = form_of(a);
        struct form *p = right ? realloc(c->form, (c->n_forms + 1) * sizeof *p) : c->form;
        if (!right)
            continue;
        if (!p)
            return ENOMEM;
        c->form = p;
        p[c->n_forms++] = (struct form){(uint32_t)json_integer_value(json_object_get(a, "Code")),
                                        (uint32_t)json_integer_value(json_object_get(a, "Vendor")), right};
    }
    return 0;
}

int rx_check_new(struct rx_check **out, struct dictionary *d, json_t *const *doc, size_t n)
{
    struct rx_check *c = calloc(1, sizeof *c);
    int rc = c ? 0 : ENOMEM;
    for (size_t k = 0; k < n && !rc; k++) {
        size_t i;
        json_t *set;
        if ((rc = add_forms(c, json_object_get(doc[k], "AVPs"))))
            break;
        json_array_foreach(json_object_get(doc[k], "CommandRules"), i, set)
            if ((rc = add_set(c, d, set)))
                break;
    }
    if (rc) {
        rx_check_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

void rx_check_free(struct rx_check *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++)
        free(c->command[i].demand);
    free(c->command);
    free(c->form);
    free(c);
}

/* ---- a message --------------------------------------------------------------------------------------- */

/* RFC 6733 7.5: an example of the missing AVP, its value zeros. */
static int example(const struct demand *r, struct avp **out)
{
    static uint8_t nothing[1];
    union avp_value zero;
    struct dict_avp_data data;
    int rc = fd_dict_getval(r->avp, &data);
    if (!rc)
        rc = fd_msg_avp_new(r->avp, 0, out);
    if (rc || data.avp_basetype == AVP_TYPE_GROUPED)
        return rc;
    memset(&zero, 0, sizeof zero);
    if (data.avp_basetype == AVP_TYPE_OCTETSTRING)
        zero.os.data = nothing;
    return fd_msg_avp_setvalue(*out, &zero);
}

static int missing(const struct demand *r, struct fd_pei *wrong)
{
    struct avp *a = NULL;
    wrong->pei_errcode = (char *)(uintptr_t)"DIAMETER_MISSING_AVP";
    if (example(r, &a) == 0) {
        wrong->pei_avp = a;
        wrong->pei_avp_free = 1;
    } else if (a)
        fd_msg_free(a);
    return EBADMSG;
}

/* The AVP that is one too many, and how many there are. */
static unsigned count(struct msg *m, const struct demand *r, struct avp **excess)
{
    msg_or_avp *a = NULL;
    unsigned n = 0;
    for (int rc = fd_msg_browse(m, MSG_BRW_FIRST_CHILD, &a, NULL); rc == 0 && a;
         rc = fd_msg_browse(a, MSG_BRW_NEXT, &a, NULL)) {
        struct avp_hdr *h;
        if (fd_msg_avp_hdr(a, &h) == 0 && h->avp_code == r->code && h->avp_vendor == r->vendor &&
            ++n == r->max + 1 && r->max != UINT_MAX)
            *excess = a;
    }
    return n;
}

static bool comes_first(struct msg *m, const struct demand *r)
{
    msg_or_avp *a = NULL;
    struct avp_hdr *h;
    return fd_msg_browse(m, MSG_BRW_FIRST_CHILD, &a, NULL) == 0 && a && fd_msg_avp_hdr(a, &h) == 0 &&
           h->avp_code == r->code && h->avp_vendor == r->vendor;
}

/* The first AVP at any depth whose octets have the wrong form. */
static struct avp *malformed(const struct rx_check *c, struct msg *m)
{
    msg_or_avp *a = NULL;
    for (int rc = fd_msg_browse(m, MSG_BRW_WALK, &a, NULL); rc == 0 && a;
         rc = fd_msg_browse(a, MSG_BRW_WALK, &a, NULL)) {
        struct avp_hdr *h;
        if (fd_msg_avp_hdr(a, &h) || !h->avp_value)
            continue;
        for (size_t i = 0; i < c->n_forms; i++)
            if (h->avp_code == c->form[i].code && h->avp_vendor == c->form[i].vendor &&
                !c->form[i].right(h->avp_value->os.data, h->avp_value->os.len))
                return a;
    }
    return NULL;
}

static int violation(const char *code, struct avp *a, struct fd_pei *wrong)
{
    wrong->pei_errcode = (char *)(uintptr_t)code;
    wrong->pei_avp = a;
    return EBADMSG;
}

int rx_check_message(const struct rx_check *c, struct msg *m, struct fd_pei *wrong)
{
    struct dict_object *model = NULL;
    int rc = fd_msg_model(m, &model);
    const struct command *of = rc ? NULL : find(c, model);
    memset(wrong, 0, sizeof *wrong);
    for (size_t i = 0; of && i < of->n; i++) {
        const struct demand *r = &of->demand[i];
        struct avp *excess = NULL;
        unsigned n = count(m, r, &excess);
        if (n < r->min || (r->first && n && !comes_first(m, r)))
            return missing(r, wrong);
        if (excess)
            return violation("DIAMETER_AVP_OCCURS_TOO_MANY_TIMES", excess, wrong);
    }
    struct avp *bad = rc ? NULL : malformed(c, m);
    return bad ? violation("DIAMETER_INVALID_AVP_VALUE", bad, wrong) : rc;
}
