/* Header, transactions, actions, commands. */
#include "h248/h248_priv.h"

#include <stdlib.h>
#include <string.h>

/* ---- commands ------------------------------------------------------------------------------------------ */

static bool is_command(enum epc_h248_kind kind)
{
    switch (kind) {
    case EPC_H248_ADD:
    case EPC_H248_AUDIT_CAPABILITY:
    case EPC_H248_AUDIT_VALUE:
    case EPC_H248_MODIFY:
    case EPC_H248_MOVE:
    case EPC_H248_NOTIFY:
    case EPC_H248_SERVICE_CHANGE:
    case EPC_H248_SUBTRACT:
        return true;
    default:
        return false;
    }
}

/* A command is a node whose values are terminations and whose children are descriptors. */
static bool command_of(struct h248_reader *r, const struct epc_h248_node *n, struct epc_h248_command *c)
{
    c->kind = n->kind;
    if (n->relation != '=' || n->n_values == 0 || n->form == EPC_H248_RANGE || n->form == EPC_H248_ANY)
        return h248_fault(r, EPC_EPROTO, 442, "%s without a termination", epc_h248_token(n->kind));
    c->termination = epc_arena_get(r->arena, n->n_values, sizeof *c->termination);
    if (!c->termination)
        return h248_fault(r, EPC_ENOMEM, 500, "out of memory");
    for (size_t i = 0; i < n->n_values; i++)
        c->termination[i] = n->value[i].text;
    c->n_terminations = n->n_values;
    c->descriptor = n->child;
    c->n_descriptors = n->n_children;
    for (size_t i = 0; i < n->n_children; i++)
        if (n->child[i].kind == EPC_H248_ERROR && !h248_read_error(&n->child[i], &c->error))
            return h248_fault(r, EPC_EPROTO, 442, "an error without its code");
    return true;
}

/* "O-", "W-", "O-W-" before a command's name. */
static void prefixes(struct h248_reader *r, struct epc_h248_command *c)
{
    h248_space(r);
    for (int i = 0; i < 2 && r->end - r->at > 2 && r->at[1] == '-'; i++) {
        char p = (char)(r->at[0] & ~0x20);
        if (p == 'O')
            c->optional = true;
        else if (p == 'W')
            c->wildcard_reply = true;
        else
            return;
        r->at += 2;
    }
}

/* ---- actions --------------------------------------------------------------------------------------------- */

static bool context_number(struct h248_reader *r, struct epc_str s, uint32_t *out)
{
    uint64_t v;
    if (epc_str_eqc(s, "-"))
        *out = EPC_H248_CTX_NULL;
    else if (epc_str_eqc(s, "$"))
        *out = EPC_H248_CTX_CHOOSE;
    else if (epc_str_eqc(s, "*"))
        *out = EPC_H248_CTX_ALL;
    else if (epc_str_u64(s, EPC_H248_CTX_CHOOSE - 1, &v) == EPC_OK)
        *out = (uint32_t)v;
    else
        return h248_fault(r, EPC_EPROTO, 410, "a context is a number, -, $ or *");
    return true;
}

/* One part of an action: a command, a property of the context, or an error. */
static bool action_part(struct h248_reader *r, struct epc_h248_action *a)
{
    struct epc_h248_command c = {0};
    struct epc_h248_node n = {0};
    prefixes(r, &c);
    const char *name = r->at;
    if (!h248_node(r, &n, IN_CONTEXT, 422))
        return false;
    if (n.kind == EPC_H248_ITEM) {
        r->at = name;
        return h248_fault(r, EPC_EPROTO, 443, "no such command");
    }
    if (n.kind == EPC_H248_ERROR)
        return h248_read_error(&n, &a->error) || h248_fault(r, EPC_EPROTO, 422, "an error without its code");
    if (!is_command(n.kind)) {
        struct epc_h248_node *list = h248_grow(r, a->property, a->n_properties, sizeof *list);
        if (!list)
            return false;
        a->property = list;
        list[a->n_properties++] = n;
        return true;
    }
    struct epc_h248_command *list = h248_grow(r, a->command, a->n_commands, sizeof *list);
    if (!list || !command_of(r, &n, &c))
        return false;
    a->command = list;
    list[a->n_commands++] = c;
    return true;
}

static bool action(struct h248_reader *r, struct epc_h248_action *a)
{
    if (!h248_expect(r, '=', 422, "Context") || !context_number(r, h248_safe_chars(r), &a->context))
        return false;
    /* An empty context audit reply may come without braces. */
    if (!h248_take(r, '{'))
        return true;
    if (h248_take(r, '}'))
        return true;
    do {
        if (!action_part(r, a))
            return false;
    } while (h248_take(r, ','));
    return h248_expect(r, '}', 422, "the last command");
}

static bool add_action(struct h248_reader *r, struct epc_h248_transaction *t)
{
    struct epc_h248_action *list = h248_grow(r, t->action, t->n_actions, sizeof *list);
    if (!list)
        return false;
    t->action = list;
    return action(r, &list[t->n_actions++]);
}

/* The rest of an error descriptor whose name has been read. */
static bool error_here(struct h248_reader *r, struct epc_h248_error *out)
{
    struct epc_h248_value v;
    uint64_t code;
    if (!h248_expect(r, '=', 403, "Error") || !h248_value(r, &v, 403))
        return false;
    if (epc_str_u64(v.text, 9999, &code) != EPC_OK || code == 0)
        return h248_fault(r, EPC_EPROTO, 403, "an error code is a number");
    *out = (struct epc_h248_error){.code = (unsigned)code};
    if (!h248_expect(r, '{', 403, "an error code"))
        return false;
    if (h248_take(r, '}'))
        return true;
    if (!h248_value(r, &v, 403))
        return false;
    out->text = v.text;
    return h248_expect(r, '}', 403, "the text of an error");
}

/* ---- transactions --------------------------------------------------------------------------------------------- */

static bool transaction_id(struct h248_reader *r, struct epc_str s, uint32_t *out)
{
    uint64_t v;
    if (epc_str_u64(s, UINT32_MAX, &v) != EPC_OK)
        return h248_fault(r, EPC_EPROTO, 403, "a transaction id is a number");
    *out = (uint32_t)v;
    return true;
}

/* id, or id/segment, or id/segment/END */
static bool segmented_id(struct h248_reader *r, struct epc_h248_transaction *t)
{
    struct epc_str rest = h248_safe_chars(r), id = epc_str_cut(&rest, '/');
    uint64_t v;
    if (!transaction_id(r, id, &t->id))
        return false;
    if (!rest.p)
        return true;
    struct epc_str number = epc_str_cut(&rest, '/');
    if (epc_str_u64(number, 65535, &v) != EPC_OK || v == 0 ||
        (rest.p && !epc_str_ieqc(rest, "END") && !epc_str_eqc(rest, "&")))
        return h248_fault(r, EPC_EPROTO, 459, "a segment is a number, perhaps with END");
    t->segment = (uint32_t)v;
    t->last_segment = rest.p != NULL;
    return true;
}

static bool reply_part(struct h248_reader *r, struct epc_h248_transaction *t)
{
    struct epc_str name = h248_safe_chars(r);
    const struct h248_keyword *k = h248_keyword(name, IN_TRANSACTION);
    if (k && k->kind == EPC_H248_CONTEXT)
        return add_action(r, t);
    if (k && k->kind == EPC_H248_ERROR && t->kind == EPC_H248_T_REPLY)
        return error_here(r, &t->error);
    if (k && k->kind == EPC_H248_IMM_ACK_REQUIRED && t->kind == EPC_H248_T_REPLY) {
        t->imm_ack_required = true;
        return true;
    }
    r->at = name.p;
    return h248_fault(r, EPC_EPROTO, t->kind == EPC_H248_T_REQUEST ? 421 : 403, "expected a context");
}

static bool actions(struct h248_reader *r, struct epc_h248_transaction *t)
{
    do {
        if (!reply_part(r, t))
            return false;
    } while (h248_take(r, ','));
    return true;
}

static bool request(struct h248_reader *r, struct epc_h248_transaction *t)
{
    if (!h248_expect(r, '=', 403, "Transaction") || !transaction_id(r, h248_safe_chars(r), &t->id))
        return false;
    r->fault.has_transaction = true;
    r->fault.transaction = t->id;
    bool ok = h248_expect(r, '{', 403, "the transaction id") && actions(r, t) &&
              h248_expect(r, '}', 403, "the last action");
    if (ok)
        r->fault.has_transaction = false;
    return ok;
}

static bool reply(struct h248_reader *r, struct epc_h248_transaction *t)
{
    if (!h248_expect(r, '=', 403, "Reply") || !segmented_id(r, t) || !h248_expect(r, '{', 403, "the transaction id"))
        return false;
    if (h248_take(r, '}'))
        return true;
    return actions(r, t) && h248_expect(r, '}', 403, "the last action");
}

static bool pending(struct h248_reader *r, struct epc_h248_transaction *t)
{
    if (!h248_expect(r, '=', 403, "Pending") || !transaction_id(r, h248_safe_chars(r), &t->id))
        return false;
    return !h248_take(r, '{') || h248_expect(r, '}', 403, "a pending transaction");
}

static bool ack(struct h248_reader *r, struct epc_h248_transaction *t)
{
    if (!h248_expect(r, '{', 403, "TransactionResponseAck"))
        return false;
    do {
        struct epc_h248_range *list = h248_grow(r, t->ack, t->n_acks, sizeof *list), range;
        struct epc_str rest = h248_safe_chars(r), first = epc_str_cut(&rest, '-');
        if (!list || !transaction_id(r, first, &range.first))
            return false;
        range.last = range.first;
        if (rest.p && !transaction_id(r, rest, &range.last))
            return false;
        t->ack = list;
        list[t->n_acks++] = range;
    } while (h248_take(r, ','));
    t->id = t->ack[0].first;
    return h248_expect(r, '}', 403, "the last acknowledgement");
}

static bool transaction(struct h248_reader *r, const struct h248_keyword *k, struct epc_h248_transaction *t)
{
    switch (k->kind) {
    case EPC_H248_TRANSACTION:
        t->kind = EPC_H248_T_REQUEST;
        return request(r, t);
    case EPC_H248_REPLY:
        t->kind = EPC_H248_T_REPLY;
        return reply(r, t);
    case EPC_H248_PENDING:
        t->kind = EPC_H248_T_PENDING;
        return pending(r, t);
    case EPC_H248_SEGMENT:
        t->kind = EPC_H248_T_SEGMENT;
        return h248_expect(r, '=', 403, "Segment") && segmented_id(r, t);
    default:
        t->kind = EPC_H248_T_ACK;
        return ack(r, t);
    }
}

/* ---- message ------------------------------------------------------------------------------------------------------ */

static bool version(struct h248_reader *r, struct epc_h248_message *m)
{
    struct epc_str rest = h248_safe_chars(r), name = epc_str_cut(&rest, '/');
    uint64_t v;
    if ((!epc_str_ieqc(name, "MEGACO") && !epc_str_eqc(name, "!")) || epc_str_u64(rest, 99, &v) != EPC_OK)
        return h248_fault(r, EPC_EPROTO, 400, "expected MEGACO/ and a version");
    m->version = (unsigned)v;
    r->fault.has_version = true;
    r->fault.version = m->version;
    if (v < 1 || v > EPC_H248_MAX_VERSION)
        return h248_fault(r, EPC_EPROTO, 406, "version %u", m->version);
    return true;
}

/* Three numbers in hexadecimal, which nobody here checks (RFC 3525 10: it is a stopgap for IPsec). */
static bool authentication(struct h248_reader *r, struct epc_h248_message *m)
{
    const char *back = r->at;
    struct epc_str name = h248_safe_chars(r);
    struct epc_h248_value *v;
    if (!epc_str_ieqc(name, "Authentication") && !epc_str_ieqc(name, "AU")) {
        r->at = back;
        return true;
    }
    m->authentication = epc_arena_get(r->arena, 1, sizeof *m->authentication);
    v = epc_arena_get(r->arena, 3, sizeof *v);
    if (!m->authentication || !v)
        return h248_fault(r, EPC_ENOMEM, 500, "out of memory");
    if (!h248_expect(r, '=', 400, "Authentication"))
        return false;
    for (int i = 0; i < 3; i++)
        if ((i && !h248_expect(r, ':', 400, "a part of Authentication")) || !h248_value(r, &v[i], 400))
            return false;
    *m->authentication = (struct epc_h248_node){.kind = EPC_H248_AUTHENTICATION, .relation = '=', .value = v,
                                                .name = epc_str_c("Authentication"), .n_values = 3,
                                                .form = EPC_H248_ALL};
    return true;
}

static bool message(struct h248_reader *r, struct epc_h248_message *m)
{
    if (!authentication(r, m) || !version(r, m) || !h248_read_mid(r, &m->mid, NULL))
        return false;
    for (h248_space(r); r->at < r->end; h248_space(r)) {
        struct epc_str name = h248_safe_chars(r);
        const struct h248_keyword *k = h248_keyword(name, IN_MESSAGE);
        if (!k) {
            r->at = name.p;
            return h248_fault(r, EPC_EPROTO, 401, "expected a transaction");
        }
        if (k->kind == EPC_H248_ERROR) {
            if (m->n_transactions)
                return h248_fault(r, EPC_EPROTO, 401, "an error beside transactions");
            return error_here(r, &m->error) &&
                   (h248_space(r), r->at == r->end || h248_fault(r, EPC_EPROTO, 401, "more after the error"));
        }
        struct epc_h248_transaction *list = h248_grow(r, m->transaction, m->n_transactions, sizeof *list);
        if (!list)
            return false;
        m->transaction = list;
        if (!transaction(r, k, &list[m->n_transactions]))
            return false;
        m->n_transactions++;
    }
    return m->n_transactions > 0 || h248_fault(r, EPC_EPROTO, 400, "a message without a transaction");
}

static bool only_actions(struct h248_reader *r, struct epc_h248_message *m)
{
    m->transaction = epc_arena_get(r->arena, 1, sizeof *m->transaction);
    if (!m->transaction)
        return h248_fault(r, EPC_ENOMEM, 500, "out of memory");
    m->n_transactions = 1;
    if (!actions(r, m->transaction))
        return false;
    h248_space(r);
    return r->at == r->end || h248_fault(r, EPC_EPROTO, 403, "more after the last action");
}

static enum epc_err read_with(struct epc_h248_message **out, struct epc_str text, unsigned version_number,
                              bool (*read)(struct h248_reader *r, struct epc_h248_message *m),
                              struct epc_h248_fault *fault)
{
    struct h248_reader r = {.arena = calloc(1, sizeof *r.arena)};
    struct epc_h248_message *m = r.arena ? epc_arena_get(r.arena, 1, sizeof *m) : NULL;
    char *copy = m ? epc_arena_get(r.arena, text.n + 1, 1) : NULL;
    r.begin = r.at = r.end = copy ? copy : "";
    if (!copy)
        h248_fault(&r, EPC_ENOMEM, 500, "out of memory");
    else if (text.n > EPC_H248_MAX_OCTETS)
        h248_fault(&r, EPC_ELIMIT, 413, "longer than %d octets", EPC_H248_MAX_OCTETS);
    else {
        memcpy(copy, text.p, text.n);
        r.end = copy + text.n;
        m->version = version_number;
        if (read(&r, m)) {
            m->_priv = r.arena;
            *out = m;
            return EPC_OK;
        }
    }
    if (fault)
        *fault = r.fault;
    epc_arena_free(r.arena);
    return r.err;
}

enum epc_err epc_h248_parse(struct epc_h248_message **out, struct epc_str text, struct epc_h248_fault *fault)
{
    return read_with(out, text, 0, message, fault);
}

enum epc_err epc_h248_parse_actions(struct epc_h248_message **out, struct epc_str text, unsigned version_number,
                                    struct epc_h248_fault *fault)
{
    return read_with(out, text, version_number, only_actions, fault);
}

void epc_h248_free(struct epc_h248_message *m)
{
    if (m)
        epc_arena_free(m->_priv);
}
