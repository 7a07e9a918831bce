/* Messages as lines of JSON: see epc_msg_to_json(). */
#include "avp/msg_priv.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { RX = 16777236, CER = 257, DWR = 280, DPR = 282 };

uint8_t epc_avp_usual_flags(const struct epc_dict_avp *dict, uint32_t vendor)
{
    return dict ? dict->must : vendor ? EPC_AVP_V : 0;
}

const char *epc_msg_name(const struct epc_msg *m, char out[EPC_MSG_NAME])
{
    if (m->dict)
        snprintf(out, EPC_MSG_NAME, "%s", m->dict->abbreviation);
    else
        snprintf(out, EPC_MSG_NAME, "command %u %s", m->command, m->flags & EPC_CMD_R ? "request" : "answer");
    return out;
}

/* ---- to JSON -------------------------------------------------------------------------------------------- */

static void add_string(struct epc_buf *out, const char *p, size_t n)
{
    epc_buf_adds(out, "\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c == '"' || c == '\\')
            epc_buf_printf(out, "\\%c", c);
        else if (c == '\n')
            epc_buf_adds(out, "\\n");
        else if (c < 0x20 || c == 0x7f)
            epc_buf_printf(out, "\\u%04x", c);
        else
            epc_buf_add(out, &p[i], 1);
    }
    epc_buf_adds(out, "\"");
}

/* Letters where they say all, else the octet as a number. */
static void add_flags(struct epc_buf *out, uint8_t flags, const char *letters)
{
    uint8_t rest = flags;
    for (size_t i = 0; letters[i]; i++)
        rest &= (uint8_t)~(0x80u >> i);
    epc_buf_adds(out, "\"flags\":");
    if (rest) {
        epc_buf_printf(out, "%u", flags);
        return;
    }
    epc_buf_adds(out, "\"");
    for (size_t i = 0; letters[i]; i++)
        if (flags & 0x80u >> i)
            epc_buf_add(out, &letters[i], 1);
    epc_buf_adds(out, "\"");
}

static void add_avps(struct epc_buf *out, const struct epc_avp *a);

static void add_value(struct epc_buf *out, const struct epc_avp *a)
{
    struct epc_buf text = {0};
    if (a->group)
        add_avps(out, a->child);
    else if (a->variable)
        add_string(out, a->variable, strlen(a->variable));
    else if (epc_value_format(a, &text) == EPC_VALUE_NUMBER)
        epc_buf_add(out, text.p, text.n);
    else
        add_string(out, text.p, text.n);
    out->failed = out->failed || text.failed;
    epc_buf_free(&text);
}

static void add_avps(struct epc_buf *out, const struct epc_avp *a)
{
    epc_buf_adds(out, "[");
    for (const char *comma = ""; a; a = a->next, comma = ",") {
        epc_buf_printf(out, "%s{", comma);
        if (a->dict)
            epc_buf_printf(out, "\"%s\":", a->dict->name);
        else
            epc_buf_printf(out, "\"%u/%u\":", a->code, a->vendor);
        add_value(out, a);
        if (a->flags != epc_avp_usual_flags(a->dict, a->vendor)) {
            epc_buf_adds(out, ",");
            add_flags(out, a->flags, "VMP");
        }
        epc_buf_adds(out, "}");
    }
    epc_buf_adds(out, "]");
}

void epc_msg_to_json(const struct epc_msg *m, struct epc_buf *out)
{
    if (m->dict)
        epc_buf_printf(out, "\"command\":\"%s\",", m->dict->abbreviation);
    else
        epc_buf_printf(out, "\"command\":%u,", m->command);
    add_flags(out, m->flags, "RPET");
    epc_buf_printf(out, ",\"application\":%u,\"hop_by_hop\":%u,\"end_to_end\":%u,\"avps\":", m->application,
                   m->hop_by_hop, m->end_to_end);
    add_avps(out, m->avp);
}

/* ---- from JSON ------------------------------------------------------------------------------------------- */

struct reader {
    struct epc_msg *m;
    const struct epc_dict *d;
    struct epc_buf *why;
};

static enum epc_err read_flags(const json_t *v, const char *letters, uint8_t *out)
{
    uint8_t flags = 0;
    if (json_is_integer(v)) {
        if (json_integer_value(v) < 0 || json_integer_value(v) > 255)
            return EPC_EPROTO;
        *out = (uint8_t)json_integer_value(v);
        return EPC_OK;
    }
    if (!json_is_string(v))
        return EPC_EPROTO;
    for (const char *c = json_string_value(v); *c; c++) {
        const char *at = strchr(letters, *c);
        if (!at)
            return EPC_EPROTO;
        flags |= (uint8_t)(0x80u >> (at - letters));
    }
    *out = flags;
    return EPC_OK;
}

/* A name, or "code/vendor". */
static enum epc_err read_name(struct reader *r, const char *name, struct epc_avp *a)
{
    a->dict = epc_dict_avp_named(r->d, epc_str_c(name));
    if (a->dict) {
        a->code = a->dict->code;
        a->vendor = a->dict->vendor;
        return EPC_OK;
    }
    struct epc_str vendor = epc_str_c(name), code = epc_str_cut(&vendor, '/');
    uint64_t c, v;
    if (epc_str_u64(code, UINT32_MAX, &c) || epc_str_u64(vendor, UINT32_MAX, &v)) {
        epc_why(r->why, "no dictionary knows an AVP '%.100s'; unknown ones are written \"code/vendor\"", name);
        return EPC_EPROTO;
    }
    a->code = (uint32_t)c;
    a->vendor = (uint32_t)v;
    a->dict = epc_dict_avp(r->d, a->code, a->vendor);
    return EPC_OK;
}

static enum epc_err read_avps(struct reader *r, const json_t *list, unsigned depth, struct epc_avp **out);

static enum epc_err keep(struct reader *r, struct epc_avp *a, struct epc_buf *octets)
{
    uint8_t *copy = octets->failed ? NULL : epc_msg_alloc(r->m, octets->n ? octets->n : 1);
    if (!copy)
        return EPC_ENOMEM;
    if (octets->n)
        memcpy(copy, octets->p, octets->n);
    a->data = copy;
    a->n = octets->n;
    return EPC_OK;
}

static enum epc_err read_scalar(struct reader *r, const char *name, const json_t *v, struct epc_avp *a)
{
    struct epc_buf octets = {0};
    enum epc_err e = EPC_EPROTO;
    if (json_is_integer(v))
        e = epc_value_integer(a->dict, json_integer_value(v), &octets);
    else if (json_is_real(v))
        e = epc_value_real(a->dict, json_real_value(v), &octets);
    else if (json_is_string(v))
        e = epc_value_parse(a->dict, (struct epc_str){json_string_value(v), json_string_length(v)}, &octets);
    if (e == EPC_OK)
        e = keep(r, a, &octets);
    else
        epc_why(r->why, "%s: '%.80s' is no value of type %s", name,
                json_is_string(v) ? json_string_value(v) : "(not text)",
                a->dict ? a->dict->type_name : "unknown (write \"0x...\")");
    epc_buf_free(&octets);
    return e;
}

static enum epc_err read_value(struct reader *r, const char *name, const json_t *v, unsigned depth,
                               struct epc_avp *a)
{
    if (json_is_array(v)) {
        if (a->dict && a->dict->type != EPC_AVP_GROUPED) {
            epc_why(r->why, "%s: a list, but it is not Grouped", name);
            return EPC_EPROTO;
        }
        a->group = true;
        return read_avps(r, v, depth + 1, &a->child);
    }
    if (json_is_string(v) && json_string_value(v)[0] == '$') {
        size_t n = json_string_length(v);
        char *variable = n > 64 ? NULL : epc_msg_alloc(r->m, n + 1);
        if (!variable) {
            epc_why(r->why, "%s: a variable's name has 64 octets at most", name);
            return n > 64 ? EPC_ELIMIT : EPC_ENOMEM;
        }
        memcpy(variable, json_string_value(v), n);
        a->variable = variable;
        return EPC_OK;
    }
    return read_scalar(r, name, v, a);
}

static enum epc_err read_avp(struct reader *r, json_t *o, unsigned depth, struct epc_avp *a)
{
    const char *key, *name = NULL;
    const json_t *value = NULL, *flags = json_object_get(o, "flags");
    json_t *v;
    json_object_foreach(o, key, v)
        if (strcmp(key, "flags") != 0) {
            name = key;
            value = v;
        }
    if (!name || json_object_size(o) != (flags ? 2u : 1u)) {
        epc_why(r->why, "an AVP is an object with one name, and flags where they are unusual");
        return EPC_EPROTO;
    }
    enum epc_err e = read_name(r, name, a);
    if (e)
        return e;
    a->flags = epc_avp_usual_flags(a->dict, a->vendor);
    if (flags && read_flags(flags, "VMP", &a->flags)) {
        epc_why(r->why, "%s: its flags are letters of V, M, P, or a number", name);
        return EPC_EPROTO;
    }
    return read_value(r, name, value, depth, a);
}

static enum epc_err read_avps(struct reader *r, const json_t *list, unsigned depth, struct epc_avp **out)
{
    struct epc_avp *first = NULL, **tail = &first, *a;
    size_t i;
    json_t *o;
    if (depth > EPC_MSG_MAX_DEPTH) {
        epc_why(r->why, "more than %d groups in each other", EPC_MSG_MAX_DEPTH);
        return EPC_ELIMIT;
    }
    json_array_foreach(list, i, o) {
        enum epc_err e = epc_msg_add(r->m, &tail, &a);
        if (e) {
            epc_why(r->why, "too many AVPs");
            return e;
        }
        e = read_avp(r, o, depth, a);
        if (e)
            return e;
    }
    *out = first;
    return EPC_OK;
}

/* A number that may be missing. */
static bool read_number(const json_t *o, const char *name, uint32_t *out)
{
    const json_t *v = json_object_get(o, name);
    if (!v)
        return true;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > UINT32_MAX)
        return false;
    *out = (uint32_t)json_integer_value(v);
    return true;
}

static enum epc_err read_command(struct reader *r, const json_t *o)
{
    const json_t *c = json_object_get(o, "command"), *flags = json_object_get(o, "flags");
    struct epc_msg *m = r->m;
    if (json_is_string(c)) {
        m->dict = epc_dict_command_named(r->d, epc_str_c(json_string_value(c)));
        if (!m->dict) {
            epc_why(r->why, "no dictionary knows a command '%.60s'", json_string_value(c));
            return EPC_EPROTO;
        }
        m->command = m->dict->code;
        m->flags = m->dict->must;
    } else if (!read_number(o, "command", &m->command) || !c || m->command > 0xffffff) {
        epc_why(r->why, "\"command\" is a name like \"AAR\" or a number");
        return EPC_EPROTO;
    }
    if (flags && read_flags(flags, "RPET", &m->flags)) {
        epc_why(r->why, "\"flags\" are letters of R, P, E, T, or a number");
        return EPC_EPROTO;
    }
    m->dict = epc_dict_command(r->d, m->command, m->flags & EPC_CMD_R);
    m->application = m->command == CER || m->command == DWR || m->command == DPR ? 0 : RX;
    if (!read_number(o, "application", &m->application) || !read_number(o, "hop_by_hop", &m->hop_by_hop) ||
        !read_number(o, "end_to_end", &m->end_to_end)) {
        epc_why(r->why, "\"application\", \"hop_by_hop\" and \"end_to_end\" are numbers of 32 bits");
        return EPC_EPROTO;
    }
    return EPC_OK;
}

static enum epc_err read_message(struct reader *r, const json_t *o)
{
    const json_t *avps = json_object_get(o, "avps");
    enum epc_err e = read_command(r, o);
    if (e)
        return e;
    if (!json_is_array(avps)) {
        epc_why(r->why, "\"avps\" is a list of AVPs");
        return EPC_EPROTO;
    }
    return read_avps(r, avps, 0, &r->m->avp);
}

enum epc_err epc_msg_from_json(struct epc_msg **out, const struct epc_dict *d, struct epc_str line,
                               struct epc_buf *why)
{
    if (!out || !d || !line.p)
        return EPC_EINVAL;
    json_error_t err;
    if (line.n > 8 * EPC_MSG_MAX_OCTETS) {
        epc_why(why, "a line of more than %d octets", 8 * EPC_MSG_MAX_OCTETS);
        return EPC_ELIMIT;
    }
    json_t *o = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, &err);
    if (!json_is_object(o)) {
        epc_why(why, "no JSON object: %s at column %d", o ? "another value" : err.text, o ? 1 : err.column);
        json_decref(o);
        return EPC_EPROTO;
    }
    struct reader r = {.m = epc_msg_new(), .d = d, .why = why};
    enum epc_err e = r.m ? read_message(&r, o) : EPC_ENOMEM;
    json_decref(o);
    if (e) {
        epc_msg_destroy(r.m);
        return e;
    }
    *out = r.m;
    return EPC_OK;
}
