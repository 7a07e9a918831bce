/* A message against the dictionary (RFC 6733 4.1, 4.4, 7.1.5). */
#include "avp/msg_priv.h"

#include <string.h>

enum { FAILED_AVP = 279, RESULT_CODE = 268, EXPERIMENTAL_RESULT = 297, FRAMED_IP_ADDRESS = 8 };

struct check {
    struct epc_buf *out;
    size_t n;
    char path[400];
};

static void fault(struct check *c, const char *fmt, ...) EPC_PRINTF(2, 3);
static void fault(struct check *c, const char *fmt, ...)
{
    c->n++;
    if (!c->out)
        return;
    char line[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    epc_buf_printf(c->out, "%s: %s\n", c->path, line);
}

static void letters(uint8_t flags, const char *all, char out[8])
{
    size_t n = 0;
    for (size_t i = 0; all[i]; i++)
        if (flags & 0x80u >> i)
            out[n++] = all[i];
    out[n] = 0;
}

static void check_flags(struct check *c, const char *name, const char *all, uint8_t flags, uint8_t must,
                        uint8_t must_not)
{
    char text[8];
    if (must & ~flags) {
        letters((uint8_t)(must & ~flags), all, text);
        fault(c, "%s: flag %s is missing", name, text);
    }
    if (must_not & flags) {
        letters(must_not & flags, all, text);
        fault(c, "%s: flag %s must not be set", name, text);
    }
}

static void check_octets(struct check *c, const struct epc_avp *a)
{
    const struct epc_dict_avp *d = a->dict;
    size_t octets = epc_type_octets(d->type);
    if (octets && a->n != octets)
        fault(c, "%s: %zu octets, %s has %zu", d->name, a->n, d->type_name, octets);
    else if (d->type == EPC_AVP_GROUPED)
        fault(c, "%s: it is Grouped, but its content is no list of AVPs", d->name);
    else if (d->type == EPC_AVP_ENUMERATED && d->n_values && !epc_dict_value_name(d, (int32_t)epc_be32(a->data)))
        fault(c, "%s: there is no value %d", d->name, (int32_t)epc_be32(a->data));
    else if (d->type == EPC_AVP_ADDRESS && (a->n < 2 || (a->data[1] == 1 && a->n != 6) || (a->data[1] == 2 && a->n != 18)))
        fault(c, "%s: %zu octets are no Address of its family", d->name, a->n);
    else if (d->code == FRAMED_IP_ADDRESS && !d->vendor && a->n != 4)
        fault(c, "%s: %zu octets, an IPv4 address has 4", d->name, a->n);
    else if ((d->type == EPC_AVP_UTF8STRING || d->type == EPC_AVP_IDENTITY || d->type == EPC_AVP_URI ||
              d->type == EPC_AVP_IPFILTERRULE) && !epc_is_text(a->data, a->n))
        fault(c, "%s: it is not UTF-8 text", d->name);
    else if (d->type == EPC_AVP_IPFILTERRULE) {
        struct epc_str s = {(const char *)a->data, a->n};
        if (!epc_str_starts(s, "permit in ") && !epc_str_starts(s, "permit out ") &&
            !epc_str_starts(s, "deny in ") && !epc_str_starts(s, "deny out "))
            fault(c, "%s: a rule begins with permit or deny, and in or out", d->name);
    }
}

/* Whose content is being looked at. */
struct place {
    const char *name;
    const struct epc_dict_rules *rules; /* NULL: not known, or anything goes */
    bool command;
};

static void check_place(struct check *c, const struct epc_avp *a, const struct place *in)
{
    if (!in->rules || in->rules->n == 0 || epc_dict_rule(in->rules, a->dict) || a->dict->n_places == 0)
        return;
    /* RFC 6733's own AVPs are at home in any command: Auth-Application-Id comes in answers that do not name it. */
    if (in->command && a->dict->vendor == 0)
        return;
    const struct epc_dict_place *p = &a->dict->places[0];
    fault(c, "%s: it is not in the definition of %s, but of %s%s", a->dict->name, in->name,
          p->command ? p->command->name : p->group->name, a->dict->n_places > 1 ? " and others" : "");
}

static void check_counts(struct check *c, const struct epc_avp *list, const struct place *in)
{
    for (size_t i = 0; in->rules && i < in->rules->n; i++) {
        const struct epc_dict_rule *r = &in->rules->rule[i];
        size_t n = 0;
        for (const struct epc_avp *a = list; a; a = a->next)
            n += a->dict == r->avp;
        if (n < r->min && n == 0)
            fault(c, "%s is missing%s%s%s", r->avp->name, in->rules->spec ? " (" : "",
                  in->rules->spec ? in->rules->spec : "", in->rules->spec ? ")" : "");
        else if (n < r->min)
            fault(c, "%s is there %zu times, %u at least are due", r->avp->name, n, r->min);
        else if (n > r->max)
            fault(c, "%s is there %zu times, %u at most are allowed", r->avp->name, n, r->max);
        if (r->first && n && list->dict != r->avp)
            fault(c, "%s is not the first", r->avp->name);
    }
}

static void check_list(struct check *c, const struct epc_avp *list, const struct place *in);

static void check_avp(struct check *c, const struct epc_avp *a, const struct place *in)
{
    if (!a->dict) {
        if (a->flags & EPC_AVP_M)
            fault(c, "%u/%u: M is set, and no dictionary knows it", a->code, a->vendor);
        return;
    }
    check_flags(c, a->dict->name, "VMP", a->flags, a->dict->must, a->dict->must_not);
    check_place(c, a, in);
    if (a->variable)
        return;
    if (!a->group) {
        check_octets(c, a);
        return;
    }
    if (a->code == FAILED_AVP && a->vendor == 0) /* holds what is at fault */
        return;
    size_t end = strlen(c->path);
    snprintf(c->path + end, sizeof c->path - end, " / %s", a->dict->name);
    check_list(c, a->child, &(struct place){a->dict->name, &a->dict->content, false});
    c->path[end] = 0;
}

static void check_list(struct check *c, const struct epc_avp *list, const struct place *in)
{
    check_counts(c, list, in);
    for (const struct epc_avp *a = list; a; a = a->next)
        check_avp(c, a, in);
}

size_t epc_msg_check(const struct epc_dict *d, const struct epc_msg *m, struct epc_buf *out)
{
    struct check c = {.out = out};
    char name[EPC_MSG_NAME];
    snprintf(c.path, sizeof c.path, "%s", epc_msg_name(m, name));
    (void)d;
    if (!m->dict) {
        fault(&c, "no dictionary knows the command");
        check_list(&c, m->avp, &(struct place){name, NULL, true});
        return c.n;
    }
    check_flags(&c, "header", "RPET", m->flags, m->dict->must, m->dict->must_not);
    /* RFC 6733 7.2: an answer with the E bit follows its own, smaller definition. */
    bool error = m->flags & EPC_CMD_E;
    check_list(&c, m->avp, &(struct place){m->dict->name, error ? NULL : &m->dict->content, true});
    if (!(m->flags & EPC_CMD_R) && !epc_msg_find(m, RESULT_CODE, 0) && !epc_msg_find(m, EXPERIMENTAL_RESULT, 0))
        fault(&c, "neither Result-Code nor Experimental-Result is there");
    return c.n;
}
