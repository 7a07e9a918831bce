/* What comes in from gateways: who is it, and where does it go. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/h248/client.h"
#include "gateway/h248/wire.h"

/* ---- sending without an association ------------------------------------------------------------------------ */

static void send_to(struct h248_hub *h, const struct h248_path *to, struct epc_buf *b)
{
    if (b->p && !b->failed && h248_net_send(h->net, to, b->p, b->n) == EPC_OK)
        wire_trace(true, to, NULL, (struct epc_str){b->p, b->n});
    epc_buf_free(b);
}

void h248_refuse(struct h248_hub *h, const struct h248_path *to, unsigned version, uint32_t id, unsigned error,
                 const char *why)
{
    struct epc_buf b = {0};
    char peer[EPC_ADDR_LEN + 8];
    epc_count(EPC_C_IQ_REFUSED);
    epc_log(EPC_LOG_WARN, "gateway", "event=iq-request-refused address=%s transaction=%u error=%u why=\"%s\"",
            h248_path_text(to, peer), (unsigned)id, error, why);
    wire_error_reply(&b, h, version, id, error);
    send_to(h, to, &b);
}

void h248_send_ack(struct h248_mg *mg, uint32_t id)
{
    struct epc_buf b = {0};
    wire_ack(&b, mg->hub, mg->version, id);
    send_to(mg->hub, &mg->path, &b);
}

/* ---- carrying out commands ------------------------------------------------------------------------------------ */

static enum h248_outcome notify(struct h248_exec *x, unsigned *error)
{
    struct h248_mg *mg = x->mg;
    uint32_t context = x->action->context;
    if (!wire_is_context(x->action)) {
        h248_root_notified(mg, x->command);
        return H248_CARRIED_OUT;
    }
    struct h248_client *owner = h248_context_owner(mg->hub, mg->number, context);
    *error = owner ? 500 : 411;
    return owner && h248_client_notify(owner, x, context) == EPC_OK ? H248_WAITS : H248_CARRIED_OUT;
}

enum h248_outcome h248_carry_out(struct h248_exec *x, unsigned *error)
{
    enum epc_h248_kind what = x->command->kind;
    if (what == EPC_H248_SERVICE_CHANGE)
        return h248_service_change(x, error);
    if (x->mg->state == MG_DOWN || !h248_is_its_conn(x->mg, &x->from))
        *error = 505;
    else if (what == EPC_H248_NOTIFY)
        return notify(x, error);
    else if (what != EPC_H248_AUDIT_VALUE || !wire_is_root(x->command))
        *error = 443;
    return H248_CARRIED_OUT;
}

/* ---- dispatch ---------------------------------------------------------------------------------------------------- */

/* Is it the gateway that it says, on the way that it registered on? */
static bool is_its_path(const struct h248_mg *mg, const struct h248_path *from)
{
    if (from->conn)
        return h248_conn_owner(from->conn) == mg;
    return !mg->path.conn && mg->path.udp && epc_addr_same_ip(&mg->path.addr, &from->addr);
}

static void on_request(struct h248_hub *h, struct h248_mg *mg, const struct h248_path *from, struct h248_in *in,
                       const struct epc_h248_transaction *t)
{
    unsigned version = in->msg->version, error;
    if (wire_registers(t)) {
        mg = h248_register(h, from, &in->msg->mid, &error);
        if (!mg) {
            h248_refuse(h, from, version, t->id, error, "not a gateway of media.h248.gateways");
            return;
        }
    } else if (!mg) {
        h248_refuse(h, from, version, t->id, 505, "it has not registered");
        return;
    }
    h248_exec_request(mg, from, version, in, t);
}

static void on_transaction(struct h248_hub *h, struct h248_mg *mg, const struct h248_path *from, struct h248_in *in,
                           const struct epc_h248_transaction *t)
{
    if (t->kind == EPC_H248_T_REQUEST) {
        on_request(h, mg, from, in, t);
        return;
    }
    if (!mg || t->kind == EPC_H248_T_SEGMENT) {
        epc_count(EPC_C_IQ_STRAY);
        return;
    }
    if (t->kind == EPC_H248_T_REPLY)
        h248_trans_reply(mg, in, t);
    else if (t->kind == EPC_H248_T_PENDING)
        h248_trans_pending(mg, t->id);
    for (size_t i = 0; i < t->n_acks; i++)
        h248_exec_ack(mg, t->ack[i].first, t->ack[i].last);
}

/* An error descriptor is not answered with another: two that do not understand each other would go on so. */
static bool is_error(struct epc_str text)
{
    for (size_t i = 0; i + 7 < text.n && i < 256; i++)
        if (strncasecmp(text.p + i, "error", 5) == 0 || strncmp(text.p + i, "\nER=", 4) == 0)
            return true;
    return false;
}

static void not_read(struct h248_hub *h, const struct h248_path *from, struct epc_str text, enum epc_err err,
                     const struct epc_h248_fault *f)
{
    char peer[EPC_ADDR_LEN + 8];
    struct epc_buf b = {0};
    unsigned code = f->code ? f->code : err == EPC_EPROTO ? 400 : 500;
    unsigned version = f->has_version && f->version >= 1 && f->version <= h->cfg->version ? f->version : 1;
    epc_count(EPC_C_GW_MALFORMED);
    epc_log(EPC_LOG_WARN, "gateway", "event=iq-malformed address=%s error=%u line=%u column=%u why=\"%s\"",
            h248_path_text(from, peer), code, f->line, f->column, f->why);
    if (is_error(text))
        return;
    if (f->has_transaction)
        wire_error_reply(&b, h, version, f->transaction, code);
    else
        wire_error_message(&b, h, version, code);
    send_to(h, from, &b);
}

static struct h248_in *parse(struct h248_hub *h, const struct h248_path *from, struct epc_str text)
{
    struct epc_h248_fault fault = {0};
    struct h248_in *in = calloc(1, sizeof *in);
    enum epc_err err = in ? epc_h248_parse(&in->msg, text, &fault) : EPC_ENOMEM;
    if (err == EPC_OK) {
        atomic_init(&in->refs, 1);
        return in;
    }
    not_read(h, from, text, err, &fault);
    free(in);
    return NULL;
}

void h248_hub_received(void *arg, const struct h248_path *from, struct epc_str text)
{
    struct h248_hub *h = arg;
    char peer[EPC_ADDR_LEN + 8];
    epc_count(EPC_C_IQ_MESSAGES_IN);
    struct h248_in *in = parse(h, from, text);
    struct h248_mg *mg = in ? h248_mg_by_mid(h, &in->msg->mid) : NULL;
    if (mg && !is_its_path(mg, from))
        mg = NULL;
    if (epc_trace_on())
        wire_trace(false, from, in ? h248_key_of(mg, in->msg) : NULL, text);
    if (!in)
        return;
    if (in->msg->error.code)
        epc_log(EPC_LOG_WARN, "gateway", "event=iq-error-message address=%s error=%u", h248_path_text(from, peer),
                in->msg->error.code);
    bool news = mg && mg->state == MG_LOST && mg->reachable && in->msg->n_transactions &&
                in->msg->transaction[0].kind == EPC_H248_T_REQUEST;
    for (size_t i = 0; i < in->msg->n_transactions; i++) {
        const struct epc_h248_transaction *t = &in->msg->transaction[i];
        on_transaction(h, mg, from, in, t);
        if (!mg && wire_registers(t)) { /* those behind it come from a registered one */
            mg = h248_mg_by_mid(h, &in->msg->mid);
            mg = mg && is_its_path(mg, from) ? mg : NULL;
        }
    }
    if (news && mg->state == MG_LOST)
        h248_mg_event(mg, MG_EV_HEARD); /* with replies, the heartbeat's own does it */
    h248_in_unref(in);
}
