#include "gateway/h248/wire.h"

#include <string.h>

/* ---- reading -------------------------------------------------------------------------------------------- */

unsigned wire_any_error(const struct epc_h248_transaction *t)
{
    if (t->error.code)
        return t->error.code;
    for (size_t i = 0; i < t->n_actions; i++) {
        const struct epc_h248_action *a = &t->action[i];
        if (a->error.code)
            return a->error.code;
        for (size_t k = 0; k < a->n_commands; k++)
            if (a->command[k].error.code)
                return a->command[k].error.code;
    }
    return 0;
}

bool wire_creates(const struct epc_h248_message *msg)
{
    for (size_t i = 0; i < msg->n_transactions; i++)
        for (size_t k = 0; k < msg->transaction[i].n_actions; k++)
            if (msg->transaction[i].action[k].context == EPC_H248_CTX_CHOOSE)
                return true;
    return false;
}

bool wire_is_context(const struct epc_h248_action *a)
{
    return a->context != EPC_H248_CTX_NULL && a->context < EPC_H248_CTX_CHOOSE;
}

bool wire_is_root(const struct epc_h248_command *c)
{
    return c->n_terminations == 1 && epc_str_ieqc(c->termination[0], "ROOT");
}

bool wire_registers(const struct epc_h248_transaction *t)
{
    for (size_t i = 0; i < t->n_actions; i++)
        for (size_t k = 0; k < t->action[i].n_commands; k++) {
            const struct epc_h248_command *c = &t->action[i].command[k];
            if (c->kind == EPC_H248_SERVICE_CHANGE && wire_is_root(c))
                return t->kind == EPC_H248_T_REQUEST;
        }
    return false;
}

void wire_mid_text(const struct epc_h248_mid *mid, char out[H248_MG_NAME_LEN])
{
    struct epc_buf b = {0};
    epc_h248_mid_text(mid, &b);
    snprintf(out, H248_MG_NAME_LEN, "%s", b.p ? b.p : "");
    for (char *p = out; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + 32);
    epc_buf_free(&b);
}

static const struct epc_h248_node *descriptor(const struct epc_h248_command *c, enum epc_h248_kind kind)
{
    for (size_t i = 0; i < c->n_descriptors; i++)
        if (c->descriptor[i].kind == kind)
            return &c->descriptor[i];
    return NULL;
}

static const struct {
    const char *token, *compact;
} methods[] = {
    [WIRE_METHOD_UNKNOWN] = {"?", "?"},          [WIRE_RESTART] = {"Restart", "RS"},
    [WIRE_DISCONNECTED] = {"Disconnected", "DC"}, [WIRE_HANDOFF] = {"Handoff", "HO"},
    [WIRE_FAILOVER] = {"Failover", "FL"},        [WIRE_FORCED] = {"Forced", "FO"},
    [WIRE_GRACEFUL] = {"Graceful", "GR"},
};

const char *wire_method_name(enum wire_method m)
{
    return methods[m].token;
}

/* "901 Cold Boot", quoted or not; 0 if no number leads it. */
static unsigned reason_code(struct epc_str text)
{
    unsigned code = 0;
    for (size_t i = 0; i < text.n && i < 4 && text.p[i] >= '0' && text.p[i] <= '9'; i++)
        code = code * 10 + (unsigned)(text.p[i] - '0');
    return code;
}

static uint32_t number(const struct epc_h248_node *n, uint64_t max)
{
    uint64_t v = 0;
    return n && epc_h248_number(n, max, &v) ? (uint32_t)v : 0;
}

bool wire_change(const struct epc_h248_command *c, struct wire_change *out)
{
    const struct epc_h248_node *s = descriptor(c, EPC_H248_SERVICES);
    struct epc_str method = epc_h248_value(epc_h248_child(s, EPC_H248_METHOD));
    struct wire_change w = {0};
    if (!s || method.n == 0)
        return false;
    for (size_t i = 1; i < EPC_ARRAY_LEN(methods); i++)
        if (epc_str_ieqc(method, methods[i].token) || epc_str_ieqc(method, methods[i].compact))
            w.method = (enum wire_method)i;
    w.reason = reason_code(epc_h248_value(epc_h248_child(s, EPC_H248_REASON)));
    w.version = number(epc_h248_child(s, EPC_H248_VERSION), 99);
    w.delay_s = number(epc_h248_child(s, EPC_H248_DELAY), UINT32_MAX);
    w.profile = epc_h248_value(epc_h248_child(s, EPC_H248_PROFILE));
    w.address = epc_h248_value(epc_h248_child(s, EPC_H248_SERVICE_CHANGE_ADDRESS));
    *out = w;
    return true;
}

bool wire_change_address(const struct wire_change *c, const struct epc_addr *source, struct epc_addr *out)
{
    uint64_t port;
    char host[EPC_ADDR_LEN];
    struct epc_h248_mid mid;
    if (c->address.n == 0)
        return false;
    if (epc_str_u64(c->address, 65535, &port) == EPC_OK)
        return port && epc_addr_parse(out, epc_addr_ip(source, host), (uint16_t)port) == EPC_OK;
    if (epc_h248_mid_parse(c->address, &mid) != EPC_OK || mid.kind > EPC_H248_MID_IP6 || mid.host.n >= sizeof host)
        return false;
    memcpy(host, mid.host.p, mid.host.n);
    host[mid.host.n] = 0;
    return epc_addr_parse(out, host, mid.port ? mid.port : epc_addr_port(source)) == EPC_OK;
}

/* "gm-2" */
static bool package(struct epc_str text, struct h248_package *out)
{
    const char *dash = text.n ? memrchr(text.p, '-', text.n) : NULL;
    size_t n = dash ? (size_t)(dash - text.p) : 0;
    uint64_t version;
    if (n == 0 || n >= sizeof out->name ||
        epc_str_u64((struct epc_str){dash + 1, text.n - n - 1}, 255, &version) != EPC_OK)
        return false;
    for (size_t i = 0; i < n; i++)
        out->name[i] = (char)(text.p[i] >= 'A' && text.p[i] <= 'Z' ? text.p[i] + 32 : text.p[i]);
    out->name[n] = 0;
    out->version = (unsigned)version;
    return true;
}

size_t wire_packages(const struct epc_h248_transaction *t, struct h248_package *out, size_t max)
{
    size_t found = 0;
    for (size_t i = 0; i < t->n_actions; i++)
        for (size_t k = 0; k < t->action[i].n_commands; k++) {
            const struct epc_h248_node *d = descriptor(&t->action[i].command[k], EPC_H248_PACKAGES);
            for (size_t j = 0; d && j < d->n_children && found < max; j++)
                found += package(d->child[j].name, &out[found]);
        }
    return found;
}

uint32_t wire_root_property(const struct epc_h248_transaction *t, const char *name)
{
    for (size_t i = 0; i < t->n_actions; i++)
        for (size_t k = 0; k < t->action[i].n_commands; k++) {
            const struct epc_h248_node *media = descriptor(&t->action[i].command[k], EPC_H248_MEDIA);
            const struct epc_h248_node *state = epc_h248_child(media, EPC_H248_TERMINATION_STATE);
            const struct epc_h248_node *item = state ? epc_h248_item(state, name) : NULL;
            if (item)
                return number(item, UINT32_MAX);
        }
    return 0;
}

bool wire_observed(const struct epc_h248_command *c, const char *event, const char *parameter, unsigned *out)
{
    const struct epc_h248_node *observed = descriptor(c, EPC_H248_OBSERVED_EVENTS);
    const struct epc_h248_node *item = observed ? epc_h248_item(observed, event) : NULL;
    if (item && parameter && out)
        *out = number(epc_h248_item(item, parameter), 100);
    return item != NULL;
}

/* ---- writing ------------------------------------------------------------------------------------------------ */

void wire_style(struct epc_buf *out, const struct h248_hub *h)
{
    struct epc_h248_message *m = NULL;
    struct epc_buf compact = {0};
    if (!h->cfg->compact || out->failed ||
        epc_h248_parse(&m, (struct epc_str){out->p, out->n}, NULL) != EPC_OK)
        return; /* the long form says the same */
    if (epc_h248_print(m, EPC_H248_COMPACT, &compact) == EPC_OK && !compact.failed) {
        epc_buf_free(out);
        *out = compact;
    } else {
        epc_buf_free(&compact);
    }
    epc_h248_free(m);
}

enum epc_err wire_print(struct epc_buf *out, const struct h248_mg *mg, struct epc_h248_message *msg, uint32_t id)
{
    const struct epc_cfg_h248 *cfg = mg->hub->cfg;
    if (msg->n_transactions != 1)
        return EPC_EINVAL;
    msg->version = mg->version;
    msg->transaction[0].id = id;
    enum epc_err err = epc_h248_mid_parse(epc_str_c(cfg->mid), &msg->mid);
    return err == EPC_OK ? epc_h248_print(msg, cfg->compact ? EPC_H248_COMPACT : EPC_H248_PRETTY, out) : err;
}

void wire_header(struct epc_buf *out, const struct h248_hub *h, unsigned version)
{
    epc_buf_printf(out, "MEGACO/%u %s\n", version, h->cfg->mid);
}

void wire_request(struct epc_buf *out, const struct h248_mg *mg, uint32_t id, const char *actions)
{
    wire_header(out, mg->hub, mg->version);
    epc_buf_printf(out, "Transaction = %u {\n%s\n}\n", (unsigned)id, actions);
    wire_style(out, mg->hub);
}

void wire_pending(struct epc_buf *out, const struct h248_hub *h, unsigned version, uint32_t id)
{
    wire_header(out, h, version);
    epc_buf_printf(out, "Pending = %u { }\n", (unsigned)id);
    wire_style(out, h);
}

void wire_ack(struct epc_buf *out, const struct h248_hub *h, unsigned version, uint32_t id)
{
    wire_header(out, h, version);
    epc_buf_printf(out, "TransactionResponseAck { %u }\n", (unsigned)id);
    wire_style(out, h);
}

static void error_descriptor(struct epc_buf *out, unsigned error)
{
    const char *text = epc_h248_error_text(error);
    epc_buf_printf(out, "Error = %u { \"%s\" }", error, text[0] ? text : "refused");
}

void wire_error_reply(struct epc_buf *out, const struct h248_hub *h, unsigned version, uint32_t id, unsigned error)
{
    wire_header(out, h, version);
    epc_buf_printf(out, "Reply = %u {\n", (unsigned)id);
    error_descriptor(out, error);
    epc_buf_adds(out, "\n}\n");
    wire_style(out, h);
}

void wire_error_message(struct epc_buf *out, const struct h248_hub *h, unsigned version, unsigned error)
{
    wire_header(out, h, version);
    error_descriptor(out, error);
    epc_buf_adds(out, "\n");
    wire_style(out, h);
}

void wire_context(struct epc_buf *out, const struct epc_h248_action *a)
{
    if (a->context == EPC_H248_CTX_NULL)
        epc_buf_adds(out, "-");
    else if (a->context == EPC_H248_CTX_CHOOSE)
        epc_buf_adds(out, "$");
    else if (a->context == EPC_H248_CTX_ALL)
        epc_buf_adds(out, "*");
    else
        epc_buf_printf(out, "%u", (unsigned)a->context);
}

void wire_answer(struct epc_buf *out, const struct epc_h248_command *c, unsigned error, const char *body)
{
    epc_buf_printf(out, "%s = ", epc_h248_token(c->kind));
    for (size_t i = 0; i < c->n_terminations; i++)
        epc_buf_printf(out, "%s%.*s", i ? ", " : "", EPC_STR_ARG(c->termination[i]));
    if (error) {
        epc_buf_adds(out, " { ");
        error_descriptor(out, error);
        epc_buf_adds(out, " }");
    } else if (body && *body) {
        epc_buf_printf(out, " { %s }", body);
    }
}

void wire_trace(bool out, const struct h248_path *peer, const char *key, struct epc_str text)
{
    char name[EPC_ADDR_LEN + 8];
    struct epc_buf b = {0};
    if (!epc_trace_on())
        return;
    epc_h248_mask(text, &b);
    if (b.p && !b.failed)
        epc_trace(EPC_TRACE_IQ, out, h248_path_text(peer, name), key, b.p, b.n);
    epc_buf_free(&b);
}
