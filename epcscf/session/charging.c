/* P-Charging-Vector over the life of a dialog (TS 24.229 4.5 and 7.2A.5, RFC 7315 4.6). */
#include "session/session_priv.h"

#include <stdlib.h>
#include <string.h>

char *charging_new_icid(struct epc_sessions *ss)
{
    char hex[33], *text = NULL;
    epc_random_hex(hex, 16);
    if (asprintf(&text, "%s-%u", hex, epc_shard_index(ss->shard)) < 0)
        return NULL;
    return text;
}

/* The value of a parameter, quoted or not (RFC 7315 5.6). */
static char *param_of(struct epc_str value, const char *wanted)
{
    struct epc_str rest = value;
    while (rest.p) {
        struct epc_str part = epc_str_trim(epc_str_cut(&rest, ';'));
        struct epc_str name = epc_str_trim(epc_str_cut(&part, '='));
        if (!epc_str_ieqc(name, wanted) || !part.p)
            continue;
        part = epc_str_trim(part);
        if (part.n >= 2 && part.p[0] == '"' && part.p[part.n - 1] == '"') {
            part.p++;
            part.n -= 2;
        }
        /* What goes back between quotation marks must not end there. */
        return part.n && !memchr(part.p, '"', part.n) && !memchr(part.p, '\\', part.n) ? epc_str_dup(part) : NULL;
    }
    return NULL;
}

void charging_read(struct transfer *x, msg_t *msg)
{
    struct epc_str v = epc_sip_get(msg, "P-Charging-Vector", 0);
    x->icid = param_of(v, "icid-value");
    x->orig_ioi = param_of(v, "orig-ioi");
}

enum epc_err charging_add(struct transfer *x, msg_t *msg, enum charging_role role)
{
    const struct epc_cfg_sip *cfg = &x->ss->cfg->sip;
    /* What the policy function told of the bearers' charging (TS 24.229 7.2A.5). */
    const char *bearer = x->s ? x->s->charging_info : NULL;
    struct epc_buf b = {0};
    epc_buf_printf(&b, "icid-value=\"%s\";icid-generated-at=%s", x->icid, cfg->core_host);
    if (role == CHARGING_RESPONSE && x->orig_ioi)
        epc_buf_printf(&b, ";orig-ioi=\"%s\"", x->orig_ioi);
    /* Type 1: between this node and the home network (TS 24.229 4.5.4). */
    if (cfg->ioi)
        epc_buf_printf(&b, ";%s=\"Type 1%s\"", role == CHARGING_REQUEST ? "orig-ioi" : "term-ioi", cfg->ioi);
    if (bearer)
        epc_buf_printf(&b, ";%s", bearer);
    enum epc_err err = b.failed ? EPC_ENOMEM : epc_sip_add(msg, "P-Charging-Vector", "%s", b.p);
    epc_buf_free(&b);
    return err;
}

bool charging_told(const struct transfer *x, int status)
{
    bool media = x->method == sip_method_invite || x->method == sip_method_update || x->method == sip_method_prack;
    if (!x->icid || status <= 100 || status >= 300)
        return false;
    return (!x->in_dialog && status / 100 == 2) || (media && x->s && x->s->charging_info);
}
