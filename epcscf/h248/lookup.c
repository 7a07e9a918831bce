/* Finding one's way in a message, and whether two mean the same. */
#include "h248/h248_priv.h"

const struct epc_h248_node *epc_h248_child(const struct epc_h248_node *n, enum epc_h248_kind kind)
{
    for (size_t i = 0; n && i < n->n_children; i++)
        if (n->child[i].kind == kind)
            return &n->child[i];
    return NULL;
}

const struct epc_h248_node *epc_h248_item(const struct epc_h248_node *n, const char *name)
{
    for (size_t i = 0; n && i < n->n_children; i++)
        if (n->child[i].kind == EPC_H248_ITEM && epc_str_ieqc(n->child[i].name, name))
            return &n->child[i];
    return NULL;
}

struct epc_str epc_h248_value(const struct epc_h248_node *n)
{
    return n && n->n_values ? n->value[0].text : (struct epc_str){NULL, 0};
}

struct epc_str epc_h248_item_value(const struct epc_h248_node *n, const char *name)
{
    return epc_h248_value(epc_h248_item(n, name));
}

bool epc_h248_number(const struct epc_h248_node *n, uint64_t max, uint64_t *out)
{
    return n && n->n_values && epc_str_u64(n->value[0].text, max, out) == EPC_OK;
}

/* ---- the same meaning ---------------------------------------------------------------------------------- */

static bool same_error(const struct epc_h248_error *a, const struct epc_h248_error *b)
{
    return a->code == b->code && epc_str_ieq(epc_str_trim(a->text), epc_str_trim(b->text));
}

static bool same_line(struct epc_str *a, struct epc_str *b)
{
    struct epc_str x = epc_str_trim(epc_str_cut(a, '\n')), y = epc_str_trim(epc_str_cut(b, '\n'));
    return epc_str_eq(x, y);
}

/* Descriptions: line by line, whatever ends a line. */
static bool same_text(struct epc_str a, struct epc_str b)
{
    a = epc_str_trim(a);
    b = epc_str_trim(b);
    while (a.p && b.p)
        if (!same_line(&a, &b))
            return false;
    return !a.p && !b.p;
}

static bool same_nodes(const struct epc_h248_node *a, size_t n, const struct epc_h248_node *b, size_t m);

static bool same_node(const struct epc_h248_node *a, const struct epc_h248_node *b)
{
    if (a->kind != b->kind || a->relation != b->relation || a->n_values != b->n_values ||
        (a->n_values > 1 && a->form != b->form) || !epc_str_ieq(a->name, b->name) ||
        !epc_str_ieq(a->timestamp, b->timestamp))
        return false;
    for (size_t i = 0; i < a->n_values; i++)
        if (!epc_str_ieq(a->value[i].text, b->value[i].text))
            return false;
    const struct h248_keyword *k = h248_keyword_of(a->kind);
    if (k && k->body == BODY_TEXT && !same_text(a->text, b->text))
        return false;
    if (k && k->body == BODY_ERROR && !epc_str_ieq(epc_str_trim(a->text), epc_str_trim(b->text)))
        return false;
    return same_nodes(a->child, a->n_children, b->child, b->n_children);
}

static bool same_nodes(const struct epc_h248_node *a, size_t n, const struct epc_h248_node *b, size_t m)
{
    for (size_t i = 0; i < n && n == m; i++)
        if (!same_node(&a[i], &b[i]))
            return false;
    return n == m;
}

static bool same_command(const struct epc_h248_command *a, const struct epc_h248_command *b)
{
    if (a->kind != b->kind || a->optional != b->optional || a->wildcard_reply != b->wildcard_reply ||
        a->n_terminations != b->n_terminations)
        return false;
    for (size_t i = 0; i < a->n_terminations; i++)
        if (!epc_str_ieq(a->termination[i], b->termination[i]))
            return false;
    return same_nodes(a->descriptor, a->n_descriptors, b->descriptor, b->n_descriptors);
}

static bool same_action(const struct epc_h248_action *a, const struct epc_h248_action *b)
{
    if (a->context != b->context || a->n_commands != b->n_commands || !same_error(&a->error, &b->error))
        return false;
    for (size_t i = 0; i < a->n_commands; i++)
        if (!same_command(&a->command[i], &b->command[i]))
            return false;
    return same_nodes(a->property, a->n_properties, b->property, b->n_properties);
}

static bool same_transaction(const struct epc_h248_transaction *a, const struct epc_h248_transaction *b)
{
    if (a->kind != b->kind || a->id != b->id || a->imm_ack_required != b->imm_ack_required ||
        a->segment != b->segment || a->last_segment != b->last_segment || a->n_acks != b->n_acks ||
        a->n_actions != b->n_actions || !same_error(&a->error, &b->error))
        return false;
    for (size_t i = 0; i < a->n_acks; i++)
        if (a->ack[i].first != b->ack[i].first || a->ack[i].last != b->ack[i].last)
            return false;
    for (size_t i = 0; i < a->n_actions; i++)
        if (!same_action(&a->action[i], &b->action[i]))
            return false;
    return true;
}

bool epc_h248_same(const struct epc_h248_message *a, const struct epc_h248_message *b)
{
    if (a->version != b->version || !epc_h248_mid_eq(&a->mid, &b->mid) || !same_error(&a->error, &b->error) ||
        a->n_transactions != b->n_transactions)
        return false;
    for (size_t i = 0; i < a->n_transactions; i++)
        if (!same_transaction(&a->transaction[i], &b->transaction[i]))
            return false;
    return true;
}
