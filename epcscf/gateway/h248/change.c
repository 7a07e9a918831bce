/* ServiceChange (H.248.1 7.2.8, TS 23.334 6.1): registration and all that changes it, in both directions. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/h248/assoc.h"
#include "gateway/h248/wire.h"

enum {
    ERR_UNAUTHORIZED = 402,
    ERR_UNKNOWN_CONTEXT = 411,
    ERR_NOT_REGISTERED = 505,
    REASON_COLD_BOOT = 901,
    REASON_CANCEL_GRACEFUL = 918,
    MAX_DELAY_S = 3600,
};

/* ---- who may register ------------------------------------------------------------------------------------- */

static const struct epc_cfg_h248_gateway *allowed(const struct h248_hub *h, const struct epc_h248_mid *mid,
                                                  const struct epc_addr *addr)
{
    const struct epc_cfg_h248_gateway *best = NULL;
    for (size_t i = 0; i < h->cfg->n_gateways; i++) {
        const struct epc_cfg_h248_gateway *g = &h->cfg->gateways[i];
        struct epc_h248_mid named;
        if (g->mid && (epc_h248_mid_parse(epc_str_c(g->mid), &named) != EPC_OK || !epc_h248_mid_eq(mid, &named)))
            continue;
        if (g->network && !epc_network_fit(g->network, addr))
            continue;
        if (!best || (g->mid && !best->mid))
            best = g;
    }
    return best;
}

struct h248_mg *h248_mg_by_mid(const struct h248_hub *h, const struct epc_h248_mid *mid)
{
    char name[H248_MG_NAME_LEN];
    wire_mid_text(mid, name);
    for (unsigned i = 0; i < h->n_mgs; i++)
        if (strcmp(name, h->mg[i]->mid) == 0)
            return h->mg[i];
    return NULL;
}

static struct h248_mg *make_mg(struct h248_hub *h, const struct epc_h248_mid *mid)
{
    struct h248_mg *mg = h->n_mgs < H248_MAX_GATEWAYS ? calloc(1, sizeof *mg) : NULL;
    if (!mg)
        return NULL;
    mg->hub = h;
    wire_mid_text(mid, mg->mid);
    h->mg[h->n_mgs++] = mg;
    mg->number = h->n_mgs;
    mg->version = 1;
    snprintf(mg->key, sizeof mg->key, "iq-%u", mg->number);
    return mg;
}

struct h248_mg *h248_register(struct h248_hub *h, const struct h248_path *from, const struct epc_h248_mid *mid,
                              unsigned *error)
{
    const struct epc_cfg_h248_gateway *cfg = allowed(h, mid, &from->addr);
    struct h248_mg *mg = h248_mg_by_mid(h, mid);
    const struct h248_mg *owner = from->conn ? h248_conn_owner(from->conn) : NULL;
    *error = ERR_UNAUTHORIZED;
    if (!cfg || mid->host.n >= H248_MG_NAME_LEN - 10 || (owner && owner != mg))
        return NULL;
    if (!mg)
        mg = make_mg(h, mid);
    if (!mg) {
        *error = 510;
        return NULL;
    }
    mg->cfg = cfg;
    return mg;
}

/* ---- registration --------------------------------------------------------------------------------------------- */

/* The connection that the ServiceChange came on is the association's from now on. */
static void take_path(struct h248_mg *mg, const struct h248_path *from, const struct wire_change *c)
{
    struct h248_conn *old = mg->path.conn;
    char was[EPC_ADDR_LEN + 8], is[EPC_ADDR_LEN + 8];
    struct epc_addr a;
    if (mg->reachable && !epc_addr_same_ip(&mg->path.addr, &from->addr))
        epc_log(EPC_LOG_WARN, "gateway", "event=iq-gateway-moved gateway=%s from=%s to=%s why=\"another address "
                "registers with its MID\"", mg->mid, h248_path_text(&mg->path, was), h248_path_text(from, is));
    if (old && old != from->conn) {
        h248_exec_forget_conn(mg, old);
        h248_conn_close(old);
    }
    mg->path = *from;
    if (from->conn)
        h248_conn_set_owner(from->conn, mg);
    /* Where it wants its requests, instead of where it sends from (7.2.8); on its own host only. */
    else if (wire_change_address(c, &from->addr, &a) && epc_addr_same_ip(&a, &from->addr))
        mg->path.addr = a;
}

static void agree_profile(struct h248_mg *mg, struct epc_str theirs)
{
    struct epc_str ours = epc_str_c(mg->hub->cfg->profile), name = theirs, their_version, our_version;
    uint64_t v = 1, w = 1;
    mg->profile[0] = 0;
    if (theirs.n == 0 || ours.n == 0)
        return;
    their_version = name;
    name = epc_str_cut(&their_version, '/');
    our_version = ours;
    ours = epc_str_cut(&our_version, '/');
    if (!epc_str_ieq(name, ours) || (their_version.p && epc_str_u64(their_version, 99, &v) != EPC_OK) ||
        (our_version.p && epc_str_u64(our_version, 99, &w) != EPC_OK)) {
        epc_log(EPC_LOG_WARN, "gateway", "event=iq-profile-not-agreed gateway=%s theirs=%.*s ours=%s", mg->mid,
                EPC_STR_ARG(theirs), mg->hub->cfg->profile);
        return;
    }
    snprintf(mg->profile, sizeof mg->profile, "%.*s/%u", EPC_STR_ARG(ours), (unsigned)(v < w ? v : w));
}

static void after_cold(struct h248_mg *mg)
{
    h248_mg_event(mg, MG_EV_COLD);
}

static void after_warm(struct h248_mg *mg)
{
    h248_mg_event(mg, MG_EV_WARM);
}

static void after_forced(struct h248_mg *mg)
{
    h248_mg_event(mg, MG_EV_FORCED);
}

static void after_graceful(struct h248_mg *mg)
{
    h248_mg_event(mg, MG_EV_GRACEFUL);
}

static void after_resumed(struct h248_mg *mg)
{
    h248_mg_event(mg, MG_EV_RESUMED);
}

static unsigned registered(struct h248_exec *x, const struct wire_change *c)
{
    struct h248_mg *mg = x->mg;
    unsigned theirs = c->version ? c->version : 1, ours = mg->hub->cfg->version;
    x->registers = true;
    mg->answered = false;
    mg->version = theirs < ours ? theirs : ours;
    agree_profile(mg, c->profile);
    take_path(mg, &x->from, c);
    if (c->method == WIRE_RESTART)
        h248_exec_drop_done(mg); /* it may begin with the same ids again */
    x->after = c->method == WIRE_RESTART && c->reason == REASON_COLD_BOOT ? after_cold : after_warm;
    epc_buf_printf(&x->body, "Services { Version = %u%s%s }", mg->version, mg->profile[0] ? ", Profile = " : "",
                   mg->profile);
    return 0;
}

static unsigned left(struct h248_exec *x, const struct wire_change *c)
{
    struct h248_mg *mg = x->mg;
    if (c->method == WIRE_GRACEFUL) {
        mg->drain_ms = (c->delay_s < MAX_DELAY_S ? c->delay_s : MAX_DELAY_S) * 1000u;
        x->after = after_graceful;
    } else {
        x->after = after_forced;
    }
    return 0;
}

static bool is_registered(const struct h248_mg *mg, const struct h248_path *from)
{
    return mg->state != MG_DOWN && (from->conn ? mg->path.conn == from->conn : !mg->path.conn);
}

static unsigned root_changed(struct h248_exec *x, const struct wire_change *c)
{
    struct h248_mg *mg = x->mg;
    epc_log(EPC_LOG_INFO, "gateway", "event=iq-service-change gateway=%s method=%s reason=%u version=%u profile=%.*s",
            mg->mid, wire_method_name(c->method), c->reason, c->version, EPC_STR_ARG(c->profile));
    switch (c->method) {
    case WIRE_RESTART:
        if (c->reason == REASON_CANCEL_GRACEFUL && is_registered(mg, &x->from)) {
            x->after = after_resumed;
            return 0;
        }
        return registered(x, c);
    case WIRE_DISCONNECTED:
    case WIRE_HANDOFF:
    case WIRE_FAILOVER:
        return registered(x, c);
    case WIRE_FORCED:
    case WIRE_GRACEFUL:
        if (c->reason == REASON_CANCEL_GRACEFUL && is_registered(mg, &x->from)) {
            x->after = after_resumed;
            return 0;
        }
        return is_registered(mg, &x->from) ? left(x, c) : ERR_NOT_REGISTERED;
    case WIRE_METHOD_UNKNOWN:
        break;
    }
    return 449;
}

/* ---- terminations ------------------------------------------------------------------------------------------------ */

static unsigned terminations_changed(struct h248_exec *x, const struct wire_change *c)
{
    struct h248_mg *mg = x->mg;
    uint32_t context = 0;
    struct h248_client *owner = NULL;
    if (!is_registered(mg, &x->from))
        return ERR_NOT_REGISTERED;
    if (wire_is_context(x->action)) {
        context = x->action->context;
        owner = h248_context_owner(mg->hub, mg->number, context);
        if (!owner)
            return ERR_UNKNOWN_CONTEXT;
    }
    epc_log(EPC_LOG_INFO, "gateway", "event=iq-service-change gateway=%s context=%u method=%s reason=%u", mg->mid,
            (unsigned)context, wire_method_name(c->method), c->reason);
    h248_clients_change(mg->hub, owner, x, context);
    return 0;
}

enum h248_outcome h248_service_change(struct h248_exec *x, unsigned *error)
{
    struct wire_change c;
    if (!wire_change(x->command, &c))
        *error = 442;
    else if (wire_is_root(x->command))
        *error = root_changed(x, &c);
    else
        *error = terminations_changed(x, &c);
    return H248_CARRIED_OUT;
}

/* ---- ordered by us --------------------------------------------------------------------------------------------------- */

enum epc_err h248_order_stop(struct h248_mg *mg, h248_trans_fn *done, void *arg)
{
    const struct epc_cfg_h248 *cfg = mg->hub->cfg;
    static const char *const services[] = {
        [EPC_H248_STOP_FORCED] = "Method = Forced, Reason = \"909 MGC Impending Failure\"",
        [EPC_H248_STOP_GRACEFUL] = "Method = Graceful, Reason = \"909 MGC Impending Failure\"",
        [EPC_H248_STOP_HANDOFF] = "Method = Handoff, Reason = \"903 MGC Directed Change\"",
    };
    char actions[320];
    snprintf(actions, sizeof actions, "Context = - {\nServiceChange = ROOT {\nServices { %s%s%s }\n}\n}",
             services[cfg->stop], cfg->stop == EPC_H248_STOP_HANDOFF && cfg->handoff_mid ? ", MgcIdToTry = " : "",
             cfg->stop == EPC_H248_STOP_HANDOFF && cfg->handoff_mid ? cfg->handoff_mid : "");
    return h248_trans_send(mg, NULL, actions, NULL, done, arg);
}

void h248_order_registration(struct h248_mg *mg)
{
    char actions[320];
    snprintf(actions, sizeof actions,
             "Context = - {\nServiceChange = ROOT {\nServices { Method = Handoff, Reason = \"903 MGC Directed "
             "Change\", MgcIdToTry = %s }\n}\n}",
             mg->hub->cfg->mid);
    epc_log(EPC_LOG_WARN, "gateway", "event=iq-registration-ordered gateway=%s", mg->mid);
    if (h248_trans_send(mg, NULL, actions, NULL, NULL, NULL) != EPC_OK)
        epc_log(EPC_LOG_DEBUG, "gateway", "event=iq-registration-not-ordered gateway=%s", mg->mid);
}
