/* What is legal in a dictionary, but looks unfinished. */
#include "avp/dict_priv.h"

static size_t remark(struct epc_buf *out, const char *file, const char *name, const char *what)
{
    if (out)
        epc_buf_printf(out, "%s: '%s': %s\n", file, name, what);
    return 1;
}

size_t epc_dict_remarks(const struct epc_dict *d, struct epc_buf *out)
{
    size_t n = 0;
    for (size_t i = 0; i < d->n_avps; i++) {
        const struct epc_dict_avp *a = &d->avp[i];
        if (a->type == EPC_AVP_ENUMERATED && !a->n_values)
            n += remark(out, a->file, a->name, "Enumerated, but without values");
        /* A note may say why: Failed-AVP holds anything, Proxy-Info's state is its owner's. */
        if (a->type == EPC_AVP_GROUPED && !a->content.n && !a->note)
            n += remark(out, a->file, a->name, "Grouped, but without content");
        if (!a->n_places && !a->note)
            n += remark(out, a->file, a->name, "appears in no command and no group");
        if (!a->spec)
            n += remark(out, a->file, a->name, "no Spec");
    }
    for (size_t i = 0; i < d->n_commands; i++) {
        const struct epc_dict_command *c = &d->command[i];
        if (!c->content.n)
            n += remark(out, c->file, c->name, "command without content");
        if (!c->spec)
            n += remark(out, c->file, c->name, "no Spec");
    }
    return n;
}
