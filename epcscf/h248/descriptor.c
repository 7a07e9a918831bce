/* Descriptors and everything else in braces: a tree of nodes, read by one rule. */
#include "h248/h248_priv.h"

#include <stdarg.h>
#include <string.h>

bool h248_fault(struct h248_reader *r, enum epc_err err, unsigned code, const char *fmt, ...)
{
    va_list ap;
    if (r->err != EPC_OK)
        return false;
    r->err = err;
    r->fault.code = code;
    r->fault.line = r->fault.column = 1;
    for (const char *c = r->begin; c < r->at; c++) {
        r->fault.column = *c == '\n' ? 1 : r->fault.column + 1;
        r->fault.line += *c == '\n';
    }
    va_start(ap, fmt);
    vsnprintf(r->fault.why, sizeof r->fault.why, fmt, ap);
    va_end(ap);
    return false;
}

/* ---- characters ------------------------------------------------------------------------------------- */

bool h248_is_safe(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("+-&!_/'?@^`~*$\\()%|.", c));
}

void h248_space(struct h248_reader *r)
{
    while (r->at < r->end) {
        char c = *r->at;
        if (c == ';') {
            while (r->at < r->end && *r->at != '\n' && *r->at != '\r')
                r->at++;
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
            r->at++;
        else
            return;
    }
}

bool h248_take(struct h248_reader *r, char c)
{
    h248_space(r);
    if (r->err != EPC_OK || r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

bool h248_expect(struct h248_reader *r, char c, unsigned code, const char *after)
{
    return h248_take(r, c) || h248_fault(r, EPC_EPROTO, code, "expected '%c' after %s", c, after);
}

struct epc_str h248_safe_chars(struct h248_reader *r)
{
    h248_space(r);
    struct epc_str s = {r->at, 0};
    while (r->at < r->end && h248_is_safe(*r->at))
        r->at++;
    s.n = (size_t)(r->at - s.p);
    return s;
}

static bool quoted(struct h248_reader *r, struct epc_h248_value *v)
{
    const char *from = ++r->at;
    while (r->at < r->end && *r->at && *r->at != '"' && *r->at != '\n' && *r->at != '\r')
        r->at++;
    if (r->at == r->end || *r->at != '"')
        return h248_fault(r, EPC_EPROTO, 403, "a quoted text without its end");
    *v = (struct epc_h248_value){.text = {from, (size_t)(r->at - from)}, .quoted = true};
    r->at++;
    return true;
}

bool h248_value(struct h248_reader *r, struct epc_h248_value *v, unsigned code)
{
    h248_space(r);
    if (r->at < r->end && *r->at == '"')
        return quoted(r, v);
    *v = (struct epc_h248_value){.text = h248_safe_chars(r)};
    return v->text.n || h248_fault(r, EPC_EPROTO, code, "expected a value");
}

/* ---- growing ------------------------------------------------------------------------------------------ */

void *h248_grow(struct h248_reader *r, void *array, size_t n, size_t size)
{
    if (++r->parts > H248_MAX_PARTS) {
        h248_fault(r, EPC_ELIMIT, 413, "more than %d parts", H248_MAX_PARTS);
        return NULL;
    }
    if (n && (n & (n - 1)))
        return array; /* capacities are powers of two */
    void *more = epc_arena_get(r->arena, n ? 2 * n : 1, size);
    if (!more) {
        h248_fault(r, EPC_ENOMEM, 500, "out of memory");
        return NULL;
    }
    if (n)
        memcpy(more, array, n * size);
    return more;
}

static bool add_value(struct h248_reader *r, struct epc_h248_node *n, const struct epc_h248_value *v)
{
    struct epc_h248_value *list = h248_grow(r, n->value, n->n_values, sizeof *list);
    if (!list)
        return false;
    n->value = list;
    list[n->n_values++] = (struct epc_h248_value){h248_word_long(n->kind, v->text), v->quoted};
    return true;
}

/* ---- values --------------------------------------------------------------------------------------------- */

/* What stands between brackets, or between braces that follow '=': A, B, ... or [ A : B ]. */
static bool several(struct h248_reader *r, struct epc_h248_node *n, char close, unsigned code)
{
    struct epc_h248_value v;
    n->form = close == ']' ? EPC_H248_ALL : EPC_H248_ANY;
    do {
        if (!h248_value(r, &v, code) || !add_value(r, n, &v))
            return false;
    } while (h248_take(r, ','));
    if (close == ']' && n->n_values == 1 && h248_take(r, ':')) {
        n->form = EPC_H248_RANGE;
        if (!h248_value(r, &v, code) || !add_value(r, n, &v))
            return false;
    }
    return h248_expect(r, close, code, "a list of values");
}

static bool values(struct h248_reader *r, struct epc_h248_node *n, const struct h248_keyword *k, unsigned code)
{
    struct epc_h248_value v = {0};
    n->relation = *r->at++;
    h248_space(r);
    bool list = r->at < r->end && (*r->at == '{' || *r->at == '[');
    if (k && k->mid) {
        struct epc_h248_mid mid;
        n->form = EPC_H248_ONE;
        return h248_read_mid(r, &mid, &v.text) && add_value(r, n, &v);
    }
    if (list && n->relation == '=')
        return several(r, n, *r->at++ == '{' ? '}' : ']', code);
    n->form = EPC_H248_ONE;
    return h248_value(r, &v, code) && add_value(r, n, &v);
}

/* ---- what is in braces ------------------------------------------------------------------------------------ */

/* octetString: everything up to the brace, "\}" stands for a brace in it. */
static bool text_body(struct h248_reader *r, struct epc_h248_node *n)
{
    const char *from = r->at;
    size_t escapes = 0;
    while (r->at < r->end && *r->at != '}') {
        if (*r->at == '\\' && r->at + 1 < r->end && r->at[1] == '}') {
            r->at++;
            escapes++;
        }
        if (*r->at == 0)
            return h248_fault(r, EPC_EPROTO, 442, "an octet of value 0 in a description");
        r->at++;
    }
    if (r->at == r->end)
        return h248_fault(r, EPC_EPROTO, 442, "a description without its '}'");
    n->text = (struct epc_str){from, (size_t)(r->at - from)};
    if (escapes) {
        char *to = epc_arena_get(r->arena, n->text.n, 1);
        if (!to)
            return h248_fault(r, EPC_ENOMEM, 500, "out of memory");
        size_t m = 0;
        for (size_t i = 0; i < n->text.n; i++)
            if (!(from[i] == '\\' && i + 1 < n->text.n && from[i + 1] == '}'))
                to[m++] = from[i];
        n->text = (struct epc_str){to, m};
    }
    r->at++;
    return true;
}

static bool error_body(struct h248_reader *r, struct epc_h248_node *n)
{
    struct epc_h248_value v = {0};
    h248_space(r);
    if (r->at < r->end && *r->at == '"' && !quoted(r, &v))
        return false;
    n->text = v.text;
    return h248_expect(r, '}', 422, "the text of an error");
}

/* Parameters of an item, as far as they may have keywords. */
static enum h248_place below(enum h248_place place)
{
    switch (place) {
    case IN_EVENTS:
        return IN_EVENT;
    case IN_SIGNALS:
        return IN_SIGNAL;
    case IN_OBSERVED:
        return IN_OBSERVED_EVENT;
    default:
        return IN_ITEMS;
    }
}

bool h248_children(struct h248_reader *r, struct epc_h248_node *n, enum h248_place place)
{
    n->braces = true;
    if (h248_take(r, '}'))
        return true;
    if (++r->depth > H248_MAX_DEPTH)
        return h248_fault(r, EPC_ELIMIT, 442, "more than %d braces in braces", H248_MAX_DEPTH);
    do {
        struct epc_h248_node *list = h248_grow(r, n->child, n->n_children, sizeof *list);
        if (!list)
            return false;
        n->child = list;
        if (!h248_node(r, &list[n->n_children], place, 442))
            return false;
        n->n_children++;
    } while (h248_take(r, ','));
    r->depth--;
    return h248_expect(r, '}', 442, "the last part");
}

static bool body(struct h248_reader *r, struct epc_h248_node *n, const struct h248_keyword *k, enum h248_place place)
{
    if (k && k->body == BODY_NONE)
        return h248_fault(r, EPC_EPROTO, 442, "%s takes nothing in braces", k->name);
    r->at++;
    n->braces = true;
    if (k && k->body == BODY_TEXT)
        return text_body(r, n);
    if (k && k->body == BODY_ERROR)
        return error_body(r, n);
    enum h248_place inside = k ? k->inside : below(place);
    /* AuditValue = Context { terminations }: what an audit of a context answers. */
    if (place == IN_CONTEXT && inside == IN_COMMAND &&
        (epc_str_ieqc(epc_h248_value(n), "Context") || epc_str_ieqc(epc_h248_value(n), "C")))
        inside = IN_ITEMS;
    return h248_children(r, n, inside);
}

/* ---- a node ------------------------------------------------------------------------------------------------ */

/* Places where a name that is no keyword belongs to no package and to nobody. */
static bool must_know(struct h248_reader *r, struct epc_str name, enum h248_place place)
{
    unsigned code = 0;
    if (place == IN_COMMAND || place == IN_MEDIA || place == IN_STREAM)
        code = 444;
    else if (place == IN_LOCAL_CONTROL && !memchr(name.p, '/', name.n))
        code = 445;
    if (!code)
        return true;
    r->at = name.p;
    return h248_fault(r, EPC_EPROTO, code, "'%.*s' is not known here", (int)(name.n < 40 ? name.n : 40), name.p);
}

static bool named(struct h248_reader *r, struct epc_h248_node *n, enum h248_place place, unsigned code,
                  const struct h248_keyword **keyword)
{
    struct epc_h248_value v;
    if (!h248_value(r, &v, code))
        return false;
    if (v.quoted) { /* a value that stands alone */
        n->form = EPC_H248_ONE;
        return add_value(r, n, &v);
    }
    if (place == IN_OBSERVED && h248_take(r, ':')) {
        n->timestamp = v.text;
        if (!h248_value(r, &v, code))
            return false;
    }
    *keyword = h248_keyword(v.text, place);
    if (!*keyword && !must_know(r, v.text, place))
        return false;
    n->kind = *keyword ? (*keyword)->kind : EPC_H248_ITEM;
    n->name = *keyword ? epc_str_c((*keyword)->name) : v.text;
    if (place == IN_TOPOLOGY)
        n->name = h248_word_long(EPC_H248_TOPOLOGY, n->name);
    return true;
}

bool h248_node(struct h248_reader *r, struct epc_h248_node *n, enum h248_place place, unsigned code)
{
    const struct h248_keyword *k = NULL;
    if (!named(r, n, place, code, &k))
        return false;
    if (n->form == EPC_H248_ONE)
        return true;
    h248_space(r);
    if (r->at < r->end && strchr("=#<>", *r->at) && *r->at && !values(r, n, k, code))
        return false;
    h248_space(r);
    if (r->at < r->end && *r->at == '{')
        return body(r, n, k, place);
    return true;
}

bool h248_read_error(const struct epc_h248_node *n, struct epc_h248_error *out)
{
    uint64_t code;
    if (!epc_h248_number(n, 9999, &code) || code == 0)
        return false;
    *out = (struct epc_h248_error){(unsigned)code, n->text};
    return true;
}
