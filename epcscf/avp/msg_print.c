/* Messages as text for people. */
#include "avp/msg_priv.h"

#include <string.h>

void epc_avp_print_name(const struct epc_avp *a, struct epc_buf *out)
{
    if (a->dict)
        epc_buf_adds(out, a->dict->name);
    else
        epc_buf_printf(out, "%u/%u", a->code, a->vendor);
}

static void print_flags(struct epc_buf *out, uint8_t flags, const char *letters)
{
    for (size_t i = 0; letters[i]; i++)
        if (flags & 0x80u >> i)
            epc_buf_add(out, &letters[i], 1);
    if (!flags)
        epc_buf_adds(out, "-");
}

/* One line: a line end is shown as such. */
static void print_line(struct epc_buf *out, struct epc_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == '\t')
            epc_buf_adds(out, s.p[i] == '\n' ? "\\n" : s.p[i] == '\r' ? "\\r" : "\\t");
        else
            epc_buf_add(out, &s.p[i], 1);
    }
}

void epc_avp_print_value(const struct epc_avp *a, struct epc_buf *out)
{
    struct epc_buf text = {0};
    if (a->group) {
        epc_buf_adds(out, "{");
        for (const struct epc_avp *c = a->child; c; c = c->next) {
            epc_buf_adds(out, " ");
            epc_avp_print_name(c, out);
            epc_buf_adds(out, " ");
            epc_avp_print_value(c, out);
        }
        epc_buf_adds(out, " }");
        return;
    }
    if (a->variable) {
        epc_buf_adds(out, a->variable);
        return;
    }
    enum epc_value_form form = epc_value_format(a, &text);
    bool named = form == EPC_VALUE_TEXT && a->dict && epc_type_octets(a->dict->type) == 4 && a->n == 4 &&
                 a->dict->type != EPC_AVP_TIME;
    print_line(out, (struct epc_str){text.p ? text.p : "", text.n});
    if (named)
        epc_buf_printf(out, " (%d)", (int)epc_be32(a->data));
    epc_buf_free(&text);
}

static void print_avps(const struct epc_avp *a, unsigned depth, struct epc_buf *out)
{
    for (; a; a = a->next) {
        epc_buf_printf(out, "%*s", (int)(2 * depth), "");
        epc_avp_print_name(a, out);
        if (a->flags != epc_avp_usual_flags(a->dict, a->vendor)) {
            epc_buf_adds(out, " [");
            print_flags(out, a->flags, "VMP");
            epc_buf_adds(out, "]");
        }
        if (a->group) {
            epc_buf_adds(out, "\n");
            print_avps(a->child, depth + 1, out);
            continue;
        }
        epc_buf_adds(out, ": ");
        epc_avp_print_value(a, out);
        epc_buf_adds(out, "\n");
    }
}

void epc_msg_print(const struct epc_msg *m, struct epc_buf *out)
{
    char name[EPC_MSG_NAME];
    epc_buf_printf(out, "%s flags=", epc_msg_name(m, name));
    print_flags(out, m->flags, "RPET");
    epc_buf_printf(out, " application=%u hop-by-hop=0x%08x end-to-end=0x%08x\n", m->application, m->hop_by_hop,
                   m->end_to_end);
    print_avps(m->avp, 1, out);
}
