/* A message as text: long tokens with lines and tabs, or short ones without either. */
#include "h248/h248_priv.h"

#include <inttypes.h>
#include <string.h>

struct writer {
    struct epc_buf *b;
    bool pretty, bad;
    bool in_topology; /* whose words are keywords without being nodes of their own */
    unsigned depth;
};

static void line(struct writer *w)
{
    if (!w->pretty)
        return;
    epc_buf_adds(w->b, "\n");
    for (unsigned i = 0; i < w->depth; i++)
        epc_buf_adds(w->b, "\t");
}

static void open_brace(struct writer *w)
{
    epc_buf_adds(w->b, w->pretty ? " {" : "{");
    w->depth++;
}

static void close_brace(struct writer *w)
{
    w->depth--;
    line(w);
    epc_buf_adds(w->b, "}");
}

static void comma(struct writer *w, bool *first)
{
    if (!*first)
        epc_buf_adds(w->b, ",");
    *first = false;
    line(w);
}

static void put_token(struct writer *w, enum epc_h248_kind kind)
{
    const struct h248_keyword *k = h248_keyword_of(kind);
    epc_buf_adds(w->b, w->pretty ? k->name : k->compact);
}

static void put_sign(struct writer *w, char sign)
{
    if (w->pretty)
        epc_buf_printf(w->b, " %c ", sign);
    else
        epc_buf_add(w->b, &sign, 1);
}

/* A name cannot be quoted: it has to be of SafeChars. */
static void put_name(struct writer *w, struct epc_str s)
{
    w->bad = w->bad || s.n == 0;
    for (size_t i = 0; i < s.n; i++)
        w->bad = w->bad || !h248_is_safe(s.p[i]);
    epc_buf_addstr(w->b, s);
}

static void put_quoted(struct writer *w, struct epc_str s)
{
    for (size_t i = 0; i < s.n; i++)
        w->bad = w->bad || s.p[i] == '"' || s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == 0;
    epc_buf_adds(w->b, "\"");
    epc_buf_addstr(w->b, s);
    epc_buf_adds(w->b, "\"");
}

static void put_value(struct writer *w, enum epc_h248_kind kind, const struct epc_h248_value *v)
{
    bool safe = v->text.n > 0 && !v->quoted;
    for (size_t i = 0; safe && i < v->text.n; i++)
        safe = h248_is_safe(v->text.p[i]);
    if (!safe)
        put_quoted(w, v->text);
    else
        epc_buf_addstr(w->b, w->pretty ? v->text : h248_word_compact(kind, v->text));
}

static void put_values(struct writer *w, const struct epc_h248_node *n)
{
    static const char brackets[][3] = {[EPC_H248_ALL] = "[]", [EPC_H248_ANY] = "{}", [EPC_H248_RANGE] = "[]"};
    const struct h248_keyword *k = h248_keyword_of(n->kind);
    bool list = n->form == EPC_H248_ALL || n->form == EPC_H248_ANY || n->form == EPC_H248_RANGE;
    put_sign(w, n->relation ? n->relation : '=');
    if (list)
        epc_buf_add(w->b, &brackets[n->form][0], 1);
    for (size_t i = 0; i < n->n_values; i++) {
        if (i)
            epc_buf_adds(w->b, n->form == EPC_H248_RANGE ? ":" : ",");
        if (k && k->mid)
            epc_buf_addstr(w->b, n->value[i].text);
        else
            put_value(w, n->kind, &n->value[i]);
    }
    if (list)
        epc_buf_add(w->b, &brackets[n->form][1], 1);
}

/* The text begins on a line of its own, so that a description is one for those that look at lines. */
static void put_text(struct writer *w, struct epc_str text)
{
    epc_buf_adds(w->b, w->pretty ? " {\n" : "{\n");
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '}')
            epc_buf_adds(w->b, "\\");
        w->bad = w->bad || text.p[i] == 0;
        epc_buf_add(w->b, &text.p[i], 1);
    }
    if (text.n && text.p[text.n - 1] != '\n')
        epc_buf_adds(w->b, "\n");
    epc_buf_adds(w->b, "}");
}

static void put_node(struct writer *w, const struct epc_h248_node *n);

static void put_nodes(struct writer *w, const struct epc_h248_node *n, size_t count, bool *first)
{
    for (size_t i = 0; i < count; i++) {
        comma(w, first);
        put_node(w, &n[i]);
    }
}

static void put_node(struct writer *w, const struct epc_h248_node *n)
{
    const struct h248_keyword *k = h248_keyword_of(n->kind);
    bool first = true;
    if (n->timestamp.n) {
        put_name(w, n->timestamp);
        epc_buf_adds(w->b, ":");
    }
    if (!n->name.p && n->form == EPC_H248_ONE) { /* a value that stands alone */
        put_value(w, n->kind, &n->value[0]);
        return;
    }
    if (k)
        put_token(w, n->kind);
    else
        put_name(w, w->in_topology && !w->pretty ? h248_word_compact(EPC_H248_TOPOLOGY, n->name) : n->name);
    if (n->n_values)
        put_values(w, n);
    if (!n->braces)
        return;
    if (k && k->body == BODY_TEXT) {
        put_text(w, n->text);
        return;
    }
    open_brace(w);
    if (k && k->body == BODY_ERROR) {
        if (n->text.p)
            put_quoted(w, n->text);
    } else {
        bool before = w->in_topology;
        w->in_topology = n->kind == EPC_H248_TOPOLOGY;
        put_nodes(w, n->child, n->n_children, &first);
        w->in_topology = before;
    }
    close_brace(w);
}

static void put_error(struct writer *w, const struct epc_h248_error *e)
{
    put_token(w, EPC_H248_ERROR);
    put_sign(w, '=');
    epc_buf_printf(w->b, "%u", e->code);
    epc_buf_adds(w->b, w->pretty ? " { " : "{");
    if (e->text.p)
        put_quoted(w, e->text);
    epc_buf_adds(w->b, w->pretty ? " }" : "}");
}

static void put_command(struct writer *w, const struct epc_h248_command *c)
{
    bool first = true;
    if (!h248_keyword_of(c->kind) || c->n_terminations == 0) {
        w->bad = true;
        return;
    }
    epc_buf_adds(w->b, c->optional ? "O-" : "");
    epc_buf_adds(w->b, c->wildcard_reply ? "W-" : "");
    put_token(w, c->kind);
    put_sign(w, '=');
    if (c->n_terminations > 1)
        epc_buf_adds(w->b, "[");
    for (size_t i = 0; i < c->n_terminations; i++) {
        epc_buf_adds(w->b, i ? "," : "");
        put_name(w, c->termination[i]);
    }
    if (c->n_terminations > 1)
        epc_buf_adds(w->b, "]");
    if (c->n_descriptors == 0) /* no empty braces: not everybody reads them */
        return;
    open_brace(w);
    put_nodes(w, c->descriptor, c->n_descriptors, &first);
    close_brace(w);
}

static void put_context(struct writer *w, uint32_t context)
{
    if (context == EPC_H248_CTX_NULL)
        epc_buf_adds(w->b, "-");
    else if (context == EPC_H248_CTX_CHOOSE)
        epc_buf_adds(w->b, "$");
    else if (context == EPC_H248_CTX_ALL)
        epc_buf_adds(w->b, "*");
    else
        epc_buf_printf(w->b, "%" PRIu32, context);
}

static void put_action(struct writer *w, const struct epc_h248_action *a)
{
    bool first = true;
    put_token(w, EPC_H248_CONTEXT);
    put_sign(w, '=');
    put_context(w, a->context);
    if (a->n_properties + a->n_commands == 0 && a->error.code == 0)
        return;
    open_brace(w);
    put_nodes(w, a->property, a->n_properties, &first);
    for (size_t i = 0; i < a->n_commands; i++) {
        comma(w, &first);
        put_command(w, &a->command[i]);
    }
    if (a->error.code) {
        comma(w, &first);
        put_error(w, &a->error);
    }
    close_brace(w);
}

static void put_id(struct writer *w, enum epc_h248_kind kind, const struct epc_h248_transaction *t)
{
    put_token(w, kind);
    put_sign(w, '=');
    epc_buf_printf(w->b, "%" PRIu32, t->id);
    if (t->segment)
        epc_buf_printf(w->b, "/%" PRIu32 "%s", t->segment, !t->last_segment ? "" : w->pretty ? "/END" : "/&");
}

static void put_actions(struct writer *w, const struct epc_h248_transaction *t)
{
    bool first = true;
    open_brace(w);
    if (t->imm_ack_required) {
        comma(w, &first);
        put_token(w, EPC_H248_IMM_ACK_REQUIRED);
    }
    if (t->error.code) {
        comma(w, &first);
        put_error(w, &t->error);
    }
    for (size_t i = 0; i < t->n_actions; i++) {
        comma(w, &first);
        put_action(w, &t->action[i]);
    }
    close_brace(w);
}

static void put_acks(struct writer *w, const struct epc_h248_transaction *t)
{
    put_token(w, EPC_H248_TRANSACTION_ACK);
    epc_buf_adds(w->b, w->pretty ? " { " : "{");
    w->bad = w->bad || t->n_acks == 0;
    for (size_t i = 0; i < t->n_acks; i++) {
        epc_buf_printf(w->b, "%s%" PRIu32, i ? "," : "", t->ack[i].first);
        if (t->ack[i].last != t->ack[i].first)
            epc_buf_printf(w->b, "-%" PRIu32, t->ack[i].last);
    }
    epc_buf_adds(w->b, w->pretty ? " }" : "}");
}

static void put_transaction(struct writer *w, const struct epc_h248_transaction *t)
{
    switch (t->kind) {
    case EPC_H248_T_REQUEST:
        put_id(w, EPC_H248_TRANSACTION, t);
        w->bad = w->bad || t->n_actions == 0;
        put_actions(w, t);
        break;
    case EPC_H248_T_REPLY:
        put_id(w, EPC_H248_REPLY, t);
        put_actions(w, t);
        break;
    case EPC_H248_T_PENDING:
        put_id(w, EPC_H248_PENDING, t);
        epc_buf_adds(w->b, w->pretty ? " { }" : "{}");
        break;
    case EPC_H248_T_SEGMENT:
        put_id(w, EPC_H248_SEGMENT, t);
        break;
    case EPC_H248_T_ACK:
        put_acks(w, t);
        break;
    }
}

static void put_authentication(struct writer *w, const struct epc_h248_node *n)
{
    put_token(w, EPC_H248_AUTHENTICATION);
    put_sign(w, '=');
    for (size_t i = 0; i < n->n_values; i++) {
        epc_buf_adds(w->b, i ? ":" : "");
        put_name(w, n->value[i].text);
    }
    epc_buf_adds(w->b, "\n");
}

enum epc_err epc_h248_print(const struct epc_h248_message *m, enum epc_h248_style style, struct epc_buf *out)
{
    struct epc_buf b = {0};
    struct writer w = {.b = &b, .pretty = style == EPC_H248_PRETTY};
    if (m->authentication)
        put_authentication(&w, m->authentication);
    epc_buf_printf(&b, "%s/%u ", w.pretty ? "MEGACO" : "!", m->version);
    epc_h248_mid_text(&m->mid, &b);
    epc_buf_adds(&b, "\n");
    if (m->error.code)
        put_error(&w, &m->error);
    for (size_t i = 0; i < m->n_transactions; i++) {
        if (i)
            epc_buf_adds(&b, "\n");
        put_transaction(&w, &m->transaction[i]);
    }
    if (w.pretty)
        epc_buf_adds(&b, "\n");
    enum epc_err err = b.failed ? EPC_ENOMEM : w.bad ? EPC_EINVAL : b.n > EPC_H248_MAX_OCTETS ? EPC_ELIMIT : EPC_OK;
    if (err == EPC_OK)
        epc_buf_add(out, b.p, b.n);
    epc_buf_free(&b);
    return err == EPC_OK && out->failed ? EPC_ENOMEM : err;
}
