/* State of an association (TS 23.334 6.1, H.248.1 11): a table, and what each step does. */
#include "gateway/h248/assoc.h"

#include <string.h>

typedef void action_fn(struct h248_mg *mg);

static const char *const state_names[MG_STATES] = {
    [MG_DOWN] = "down", [MG_CHECK] = "check", [MG_UP] = "up", [MG_DRAIN] = "drain", [MG_LOST] = "lost"};
static const char *const event_names[MG_EVENTS] = {
    [MG_EV_COLD] = "cold",       [MG_EV_WARM] = "warm",     [MG_EV_CHECKED] = "checked",
    [MG_EV_GRACEFUL] = "graceful", [MG_EV_RESUMED] = "resumed", [MG_EV_FORCED] = "forced",
    [MG_EV_SILENT] = "silent",   [MG_EV_HEARD] = "heard",   [MG_EV_OVER] = "over"};

const char *h248_state_name(enum mg_state s)
{
    return state_names[s];
}

const char *h248_event_name(enum mg_event e)
{
    return event_names[e];
}

/* ---- actions ------------------------------------------------------------------------------------------- */

static void nothing(struct h248_mg *mg)
{
    (void)mg;
}

static void stop_timers(struct h248_mg *mg)
{
    struct epc_shard *sh = mg->hub->sh;
    epc_timer_stop(sh, &mg->beat);
    epc_timer_stop(sh, &mg->recovery);
    epc_timer_stop(sh, &mg->drain);
}

static void begin(struct h248_mg *mg)
{
    stop_timers(mg);
    mg->reachable = true;
    mg->misses = 0;
    mg->drains = false;
    mg->avoid_until_ms = 0;
    mg->registered_ms = epc_now_ms();
    epc_count(EPC_C_IQ_REGISTRATIONS);
}

static void cold(struct h248_mg *mg)
{
    begin(mg);
    h248_trans_fail_all(mg, EPC_EIO);
    h248_contexts_lost(mg);
    h248_check_start(mg);
}

static void warm(struct h248_mg *mg)
{
    begin(mg);
    h248_trans_fail_all(mg, EPC_EIO);
    h248_check_start(mg);
}

static void up(struct h248_mg *mg)
{
    epc_log(EPC_LOG_INFO, "gateway", "event=iq-gateway-up gateway=%s version=%u profile=%s packages=%zu contexts=%u",
            mg->mid, mg->version, mg->profile[0] ? mg->profile : "-", mg->n_packages, (unsigned)mg->n_contexts);
    if (mg->drains) /* it was lost meanwhile; nobody has cancelled it */
        h248_mg_event(mg, MG_EV_GRACEFUL);
}

static void on_recovery_over(void *arg)
{
    h248_mg_event(arg, MG_EV_OVER);
}

static void on_drain_over(void *arg)
{
    h248_mg_event(arg, MG_EV_FORCED);
}

static void drain(struct h248_mg *mg)
{
    mg->drains = true;
    epc_timer_stop(mg->hub->sh, &mg->drain);
    if (mg->drain_ms)
        epc_timer_start(mg->hub->sh, &mg->drain, mg->drain_ms, on_drain_over, mg);
}

static void resume(struct h248_mg *mg)
{
    mg->drains = false;
    epc_timer_stop(mg->hub->sh, &mg->drain);
}

static void close_connection(struct h248_mg *mg)
{
    struct h248_conn *conn = mg->path.conn;
    if (!conn)
        return;
    mg->path = (struct h248_path){0};
    mg->reachable = false;
    h248_exec_forget_conn(mg, conn);
    h248_conn_close(conn);
}

/* Over UDP the heartbeat goes on: an answer brings the gateway back. A TCP connection is the gateway's to
 * make. */
static void lost(struct h248_mg *mg)
{
    struct h248_hub *h = mg->hub;
    epc_log(EPC_LOG_WARN, "gateway", "event=iq-gateway-lost gateway=%s contexts=%u held_ms=%u", mg->mid,
            (unsigned)mg->n_contexts, (unsigned)h->cfg->recovery_ms);
    epc_count(EPC_C_IQ_GATEWAYS_LOST);
    close_connection(mg);
    h248_trans_fail_all(mg, EPC_EIO);
    epc_timer_start(h->sh, &mg->recovery, h->cfg->recovery_ms, on_recovery_over, mg);
}

static void heard(struct h248_mg *mg)
{
    epc_timer_stop(mg->hub->sh, &mg->recovery);
    h248_check_start(mg);
}

static void down(struct h248_mg *mg)
{
    epc_log(EPC_LOG_WARN, "gateway", "event=iq-gateway-down gateway=%s contexts=%u", mg->mid, (unsigned)mg->n_contexts);
    stop_timers(mg);
    mg->reachable = false;
    h248_trans_fail_all(mg, EPC_EIO);
    h248_contexts_lost(mg);
}

/* ---- table -------------------------------------------------------------------------------------------- */

static const struct row {
    enum mg_state state;
    enum mg_event event;
    action_fn *action;
    enum mg_state next;
} rows[] = {
    {MG_DOWN, MG_EV_COLD, cold, MG_CHECK},
    {MG_DOWN, MG_EV_WARM, warm, MG_CHECK},
    {MG_DOWN, MG_EV_FORCED, nothing, MG_DOWN},
    {MG_CHECK, MG_EV_COLD, cold, MG_CHECK},
    {MG_CHECK, MG_EV_WARM, warm, MG_CHECK},
    {MG_CHECK, MG_EV_CHECKED, up, MG_UP},
    {MG_CHECK, MG_EV_GRACEFUL, drain, MG_DRAIN},
    {MG_CHECK, MG_EV_RESUMED, resume, MG_CHECK},
    {MG_CHECK, MG_EV_FORCED, down, MG_DOWN},
    {MG_CHECK, MG_EV_SILENT, lost, MG_LOST},
    {MG_UP, MG_EV_COLD, cold, MG_CHECK},
    {MG_UP, MG_EV_WARM, warm, MG_CHECK},
    {MG_UP, MG_EV_GRACEFUL, drain, MG_DRAIN},
    {MG_UP, MG_EV_RESUMED, resume, MG_UP},
    {MG_UP, MG_EV_FORCED, down, MG_DOWN},
    {MG_UP, MG_EV_SILENT, lost, MG_LOST},
    {MG_DRAIN, MG_EV_COLD, cold, MG_CHECK},
    {MG_DRAIN, MG_EV_WARM, warm, MG_CHECK},
    {MG_DRAIN, MG_EV_CHECKED, nothing, MG_DRAIN},
    {MG_DRAIN, MG_EV_GRACEFUL, drain, MG_DRAIN},
    {MG_DRAIN, MG_EV_RESUMED, resume, MG_UP},
    {MG_DRAIN, MG_EV_FORCED, down, MG_DOWN},
    {MG_DRAIN, MG_EV_SILENT, lost, MG_LOST},
    {MG_LOST, MG_EV_COLD, cold, MG_CHECK},
    {MG_LOST, MG_EV_WARM, warm, MG_CHECK},
    {MG_LOST, MG_EV_GRACEFUL, drain, MG_LOST},
    {MG_LOST, MG_EV_RESUMED, resume, MG_LOST},
    {MG_LOST, MG_EV_FORCED, down, MG_DOWN},
    {MG_LOST, MG_EV_SILENT, nothing, MG_LOST},
    {MG_LOST, MG_EV_HEARD, heard, MG_CHECK},
    {MG_LOST, MG_EV_OVER, down, MG_DOWN},
};

static const struct row *find(enum mg_state s, enum mg_event e)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++)
        if (rows[i].state == s && rows[i].event == e)
            return &rows[i];
    return NULL;
}

static int in_service(enum mg_state s)
{
    return s == MG_CHECK || s == MG_UP || s == MG_DRAIN;
}

void h248_mg_event(struct h248_mg *mg, enum mg_event e)
{
    const struct row *r = find(mg->state, e);
    if (!r) {
        epc_count(EPC_C_FSM_UNEXPECTED);
        epc_log(EPC_LOG_WARN, "gateway", "event=unexpected gateway=%s state=%s what=%s", mg->mid,
                state_names[mg->state], event_names[e]);
        return;
    }
    epc_log(EPC_LOG_DEBUG, "gateway", "event=iq-association gateway=%s state=%s what=%s next=%s", mg->mid,
            state_names[r->state], event_names[e], state_names[r->next]);
    epc_count_add(EPC_C_IQ_GATEWAYS, in_service(r->next) - in_service(r->state));
    epc_count_add(EPC_C_IQ_GATEWAYS_UP, (r->next == MG_UP) - (r->state == MG_UP));
    mg->state = r->next; /* first: actions may cause further events */
    r->action(mg);
    h248_facts_publish(mg);
}

void epc_gw_fsm_print(FILE *out)
{
    fputs("digraph h248_association {\n", out);
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++)
        fprintf(out, "    %s -> %s [label=\"%s\"];\n", state_names[rows[i].state], state_names[rows[i].next],
                event_names[rows[i].event]);
    fputs("}\n", out);
}
