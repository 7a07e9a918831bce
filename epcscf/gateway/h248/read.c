/* Between the codec and what is done here: actions as text -> a request; replies and reports -> calls. */
#include "gateway/h248/iq_priv.h"

#include <string.h>

enum { IQ_VERSION = 2 }; /* TS 29.334 5.1; the hub writes the association's into the header */

enum epc_err iq_read_actions(struct epc_str actions, struct epc_h248_message **out)
{
    struct epc_h248_fault fault;
    enum epc_err err = epc_h248_parse_actions(out, actions, IQ_VERSION, &fault);
    if (err != EPC_OK && err != EPC_ENOMEM)
        epc_log(EPC_LOG_ERROR, "gateway", "event=request-not-well-formed why=\"%s\" line=%u", fault.why, fault.line);
    return err;
}

/* ---- replies ------------------------------------------------------------------------------------------- */

static void read_stream(const struct epc_h248_node *n, size_t stream, const struct iq_reply_fns *fns, void *arg)
{
    const struct epc_h248_node *local = epc_h248_child(n, EPC_H248_LOCAL);
    const struct epc_h248_node *remote = epc_h248_child(n, EPC_H248_REMOTE);
    if (local && fns->local)
        fns->local(arg, stream, local->text);
    if (remote && fns->remote)
        fns->remote(arg, stream, remote->text);
}

/* Descriptions without a stream are of the first one (H.248.1 7.1.4). */
static void read_media(const struct epc_h248_node *media, const struct iq_reply_fns *fns, void *arg)
{
    uint64_t id;
    read_stream(media, 0, fns, arg);
    for (size_t i = 0; i < media->n_children; i++)
        if (media->child[i].kind == EPC_H248_STREAM && epc_h248_number(&media->child[i], EPC_SDP_MAX_MEDIA, &id) &&
            id > 0)
            read_stream(&media->child[i], (size_t)id - 1, fns, arg);
}

static void read_command(const struct epc_h248_command *cmd, const struct iq_reply_fns *fns, void *arg)
{
    enum iq_command kind = cmd->kind == EPC_H248_ADD           ? IQ_CMD_ADD
                           : cmd->kind == EPC_H248_MODIFY      ? IQ_CMD_MODIFY
                           : cmd->kind == EPC_H248_SUBTRACT    ? IQ_CMD_SUBTRACT
                           : cmd->kind == EPC_H248_AUDIT_VALUE ? IQ_CMD_AUDIT
                                                               : IQ_CMD_OTHER;
    if (fns->command)
        fns->command(arg, kind, iq_read_termination(cmd));
    if (cmd->error.code && fns->error)
        fns->error(arg, cmd->error.code, cmd->error.text);
    for (size_t i = 0; i < cmd->n_descriptors; i++) {
        const struct epc_h248_node *d = &cmd->descriptor[i];
        if (d->kind == EPC_H248_MEDIA)
            read_media(d, fns, arg);
        for (size_t k = 0; d->kind == EPC_H248_STATISTICS && fns->statistic && k < d->n_children; k++)
            fns->statistic(arg, d->child[k].name, epc_h248_value(&d->child[k]));
    }
}

static bool is_a_context(uint32_t context)
{
    return context != EPC_H248_CTX_NULL && context != EPC_H248_CTX_CHOOSE && context != EPC_H248_CTX_ALL;
}

void iq_read_reply(const struct epc_h248_transaction *t, const struct iq_reply_fns *fns, void *arg)
{
    if (t->error.code && fns->error)
        fns->error(arg, t->error.code, t->error.text);
    for (size_t i = 0; i < t->n_actions; i++) {
        const struct epc_h248_action *a = &t->action[i];
        if (fns->context)
            fns->context(arg, is_a_context(a->context) ? a->context : 0);
        for (size_t k = 0; k < a->n_commands; k++)
            read_command(&a->command[k], fns, arg);
        if (a->error.code && fns->error)
            fns->error(arg, a->error.code, a->error.text);
    }
}

/* ---- reports ------------------------------------------------------------------------------------------- */

struct epc_str iq_read_termination(const struct epc_h248_command *cmd)
{
    return cmd->n_terminations ? cmd->termination[0] : EPC_STR_NULL;
}

static const struct epc_h248_node *descriptor(const struct epc_h248_command *cmd, enum epc_h248_kind kind)
{
    for (size_t i = 0; i < cmd->n_descriptors; i++)
        if (cmd->descriptor[i].kind == kind)
            return &cmd->descriptor[i];
    return NULL;
}

static void read_event(const struct epc_h248_node *n, struct iq_observed *ev)
{
    uint64_t stream;
    *ev = (struct iq_observed){.name = n->name};
    for (size_t i = 0; i < n->n_children; i++) {
        const struct epc_h248_node *p = &n->child[i];
        if (p->kind == EPC_H248_STREAM) {
            if (epc_h248_number(p, EPC_SDP_MAX_MEDIA, &stream))
                ev->stream = (size_t)stream;
        } else if (ev->n_params < IQ_MAX_PARAMS) {
            ev->param[ev->n_params].name = p->name;
            ev->param[ev->n_params++].value = epc_h248_value(p);
        }
    }
}

uint32_t iq_read_request_id(const struct epc_h248_command *cmd)
{
    uint64_t id;
    return epc_h248_number(descriptor(cmd, EPC_H248_OBSERVED_EVENTS), UINT32_MAX, &id) ? (uint32_t)id : 0;
}

void iq_read_observed(const struct epc_h248_command *cmd, void (*fn)(void *arg, const struct iq_observed *ev),
                      void *arg)
{
    const struct epc_h248_node *d = descriptor(cmd, EPC_H248_OBSERVED_EVENTS);
    struct iq_observed ev;
    for (size_t i = 0; d && i < d->n_children; i++) {
        read_event(&d->child[i], &ev);
        fn(arg, &ev);
    }
}

enum iq_service iq_read_service_change(const struct epc_h248_command *cmd, unsigned *reason)
{
    const struct epc_h248_node *s = descriptor(cmd, EPC_H248_SERVICES);
    struct epc_str method = epc_h248_value(epc_h248_child(s, EPC_H248_METHOD));
    struct epc_str why = epc_str_trim(epc_h248_value(epc_h248_child(s, EPC_H248_REASON)));
    struct epc_str number = epc_str_cut(&why, ' ');
    uint64_t n;
    *reason = epc_str_u64(number, 999, &n) == EPC_OK ? (unsigned)n : 0;
    return epc_str_ieqc(method, "Forced")     ? IQ_SERVICE_FORCED
           : epc_str_ieqc(method, "Graceful") ? IQ_SERVICE_GRACEFUL
                                              : IQ_SERVICE_OTHER;
}
