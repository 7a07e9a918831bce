/* The way of a message through the rooms of one shard:
 *   wss -> sip -> registration (REGISTER) or session (all else) -> sip -> core, and back. */
#include "edge.h"

#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "gateway/gateway.h"
#include "registration/registration.h"
#include "session/session.h"
#include "sip/sip.h"
#include "wss/wss.h"

struct epc_edge {
    struct epc_shard *shard;
    const struct epc_config *cfg;
    struct epc_wss *wss;
    struct epc_sip *sip;
    struct epc_auth *auth;
    struct epc_reg *reg;
    struct epc_gw *gw;
    struct epc_sessions *sessions;
};

/* ---- from wss ---------------------------------------------------------------------------------- */

static void on_flow_opened(void *arg, struct epc_flow *flow)
{
    (void)arg;
    char peer[EPC_ADDR_LEN];
    const struct epc_cfg_origin *o = epc_flow_origin(flow);
    epc_log(EPC_LOG_INFO, "edge", "event=flow-opened flow=%llx peer=%s wwsf=%s",
            (unsigned long long)epc_flow_id(flow), epc_addr_text(epc_flow_peer(flow), peer),
            o ? o->wwsf : "-");
}

static void on_flow_message(void *arg, struct epc_flow *flow, const char *msg, size_t n)
{
    struct epc_edge *e = arg;
    epc_sip_from_wic(e->sip, flow, msg, n);
}

/* Transactions first, so that the rooms above see them finished; then calls; then the registration,
 * whose identity the calls' release still needs. */
static void on_flow_closed(void *arg, struct epc_flow *flow, enum epc_flow_end why)
{
    struct epc_edge *e = arg;
    uint64_t id = epc_flow_id(flow);
    epc_log(EPC_LOG_INFO, "edge", "event=flow-closed flow=%llx why=%d", (unsigned long long)id, (int)why);
    epc_sip_flow_closed(e->sip, id);
    epc_sessions_flow_closed(e->sessions, id);
    epc_reg_flow_closed(e->reg, id);
}

static const struct epc_wss_handler wss_handler = {on_flow_opened, on_flow_message, on_flow_closed};

/* ---- from sip ------------------------------------------------------------------------------------ */

static void on_request(void *arg, struct epc_sip_in *in)
{
    struct epc_edge *e = arg;
    if (epc_sip_in_sip(in)->sip_request->rq_method != sip_method_register) {
        epc_sessions_request(e->sessions, in);
        return;
    }
    if (epc_sip_in_leg(in) == EPC_LEG_WIC) {
        epc_reg_handle(e->reg, in);
        return;
    }
    epc_sip_in_reply(in, 405, NULL, "Allow: INVITE, ACK, CANCEL, BYE, MESSAGE, OPTIONS\r\n");
    epc_sip_in_release(in);
}

static void on_ack(void *arg, enum epc_leg from, uint64_t flow_id, msg_t *msg)
{
    struct epc_edge *e = arg;
    epc_sessions_ack(e->sessions, from, flow_id, msg);
}

static const struct epc_sip_handler sip_handler = {on_request, on_ack};

static void on_registration_gone(void *arg, const struct epc_binding *b, const char *why)
{
    struct epc_edge *e = arg;
    epc_sessions_registration_gone(e->sessions, b->flow_id, why);
}

static bool on_token_end(void *arg, uint64_t flow_id)
{
    struct epc_edge *e = arg;
    return epc_sessions_busy(e->sessions, flow_id);
}

/* ---- life ------------------------------------------------------------------------------------------- */

enum epc_err epc_edge_create(struct epc_edge **out, struct epc_shard *sh, const struct epc_edge_opts *o)
{
    struct epc_edge *e = calloc(1, sizeof *e);
    if (!e)
        return EPC_ENOMEM;
    e->shard = sh;
    e->cfg = o->cfg;
    enum epc_err err = epc_sip_create(&e->sip, sh, &o->cfg->sip, o->token_key, &sip_handler, e);
    if (err == EPC_OK)
        err = epc_auth_create(&e->auth, sh, &o->cfg->tokens);
    if (err == EPC_OK)
        err = epc_reg_create(&e->reg, sh, e->sip, e->auth, o->cfg);
    if (err == EPC_OK)
        err = epc_gw_create(&e->gw, sh, &o->cfg->media);
    if (err == EPC_OK)
        err = epc_sessions_create(&e->sessions,
                                  &(struct epc_sessions_opts){.shard = sh,
                                                              .sip = e->sip,
                                                              .reg = e->reg,
                                                              .gw = e->gw,
                                                              .policy = o->policy,
                                                              .cfg = o->cfg});
    if (err == EPC_OK)
        err = epc_wss_create(&e->wss, sh, &o->cfg->wss, &wss_handler, e);
    if (err != EPC_OK) {
        epc_edge_destroy(e);
        return err;
    }
    epc_reg_on_gone(e->reg, on_registration_gone, e);
    epc_reg_on_token_end(e->reg, on_token_end, e);
    epc_sip_set_wss(e->sip, e->wss);
    epc_reg_set_wss(e->reg, e->wss);
    epc_sessions_set_wss(e->sessions, e->wss);
    *out = e;
    return EPC_OK;
}

void epc_edge_drain(struct epc_edge *e)
{
    epc_sessions_release_all(e->sessions, "Server going down");
}

/* From the top down: each room may still use those below it while it ends. */
void epc_edge_destroy(struct epc_edge *e)
{
    if (!e)
        return;
    if (e->sessions)
        epc_sessions_release_all(e->sessions, "Server going down");
    epc_wss_destroy(e->wss);
    if (e->sip)
        epc_sip_set_wss(e->sip, NULL);
    if (e->sessions)
        epc_sessions_set_wss(e->sessions, NULL);
    if (e->reg)
        epc_reg_set_wss(e->reg, NULL);
    epc_sessions_destroy(e->sessions);
    epc_gw_destroy(e->gw);
    epc_reg_destroy(e->reg);
    epc_auth_destroy(e->auth);
    epc_sip_destroy(e->sip);
    free(e);
}

/* ---- control commands: asked on the service shard, answered by every edge in turn --------------------- */

struct question {
    const struct epc_fleet *fleet;
    struct epc_admin_reply *reply;
    void (*ask)(struct epc_edge *e, struct epc_buf *out);
    size_t next;
    struct epc_buf text;
};

static void finish_question(struct epc_shard *sh, void *arg)
{
    struct question *q = arg;
    (void)sh;
    if (q->text.failed)
        epc_admin_answer(q->reply, false, "out of memory\n", 14);
    else
        epc_admin_answer(q->reply, true, q->text.p ? q->text.p : "", q->text.n);
    epc_buf_free(&q->text);
    free(q);
}

static void ask_edge(struct epc_shard *sh, void *arg)
{
    struct question *q = arg;
    (void)sh;
    q->ask(q->fleet->edges[q->next], &q->text);
    q->next++;
    if (q->next < q->fleet->n && epc_shard_post(q->fleet->shards[q->next], ask_edge, q) == EPC_OK)
        return;
    if (epc_shard_post(q->fleet->service, finish_question, q) != EPC_OK) {
        /* The service shard is going down and takes the control connection with it. */
        epc_buf_free(&q->text);
        free(q);
    }
}

static void start_question(const struct epc_fleet *f, struct epc_admin_reply *reply,
                           void (*ask)(struct epc_edge *e, struct epc_buf *out))
{
    struct question *q = calloc(1, sizeof *q);
    if (q) {
        *q = (struct question){.fleet = f, .reply = reply, .ask = ask};
        if (epc_shard_post(f->shards[0], ask_edge, q) == EPC_OK)
            return;
        free(q);
    }
    epc_admin_answer(reply, false, "busy, try again\n", 16);
}

static void show_flow(struct epc_flow *flow, void *arg)
{
    char peer[EPC_ADDR_LEN];
    const struct epc_cfg_origin *o = epc_flow_origin(flow);
    epc_buf_printf(arg, "flow=%llx peer=%s wwsf=%s\n", (unsigned long long)epc_flow_id(flow),
                   epc_addr_text(epc_flow_peer(flow), peer), o ? o->wwsf : "-");
}

static void show_binding(const struct epc_binding *b, void *arg)
{
    uint64_t now = epc_now_ms();
    epc_buf_printf(arg, "impi=%s impu=%s mode=%s wwsf=%s flow=%llx expires_in_s=%llu\n", b->impi,
                   b->n_impus ? b->impus[0] : "-", b->mode == EPC_MODE_TOKEN ? "token" : "digest",
                   b->wwsf ? b->wwsf : "-", (unsigned long long)b->flow_id,
                   (unsigned long long)(b->expires_at_ms > now ? (b->expires_at_ms - now) / 1000 : 0));
}

static void show_session(const struct epc_session_view *v, void *arg)
{
    epc_buf_printf(arg, "call=%s impu=%s side=%s state=%s flow=%llx age_ms=%llu\n", v->call_id, v->impu,
                   v->originating ? "originating" : "terminating", v->state,
                   (unsigned long long)v->flow_id, (unsigned long long)v->age_ms);
}

static void ask_flows(struct epc_edge *e, struct epc_buf *out)
{
    epc_wss_each(e->wss, show_flow, out);
}

static void ask_registrations(struct epc_edge *e, struct epc_buf *out)
{
    epc_reg_each(e->reg, show_binding, out);
}

static void ask_sessions(struct epc_edge *e, struct epc_buf *out)
{
    epc_sessions_each(e->sessions, show_session, out);
}

static void cmd_flows(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply)
{
    (void)argv;
    (void)argc;
    start_question(arg, reply, ask_flows);
}

static void cmd_registrations(void *arg, const char *const *argv, size_t argc,
                              struct epc_admin_reply *reply)
{
    (void)argv;
    (void)argc;
    start_question(arg, reply, ask_registrations);
}

static void cmd_sessions(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply)
{
    (void)argv;
    (void)argc;
    start_question(arg, reply, ask_sessions);
}

enum epc_err epc_edge_commands(struct epc_admin *admin, const struct epc_fleet *fleet)
{
    void *arg = (void *)(uintptr_t)fleet; /* only read */
    enum epc_err err = epc_admin_command(admin, "flows", "WebSocket connections", cmd_flows, arg);
    if (err == EPC_OK)
        err = epc_admin_command(admin, "registrations", "who is registered, on which flow",
                                cmd_registrations, arg);
    if (err == EPC_OK)
        err = epc_admin_command(admin, "sessions", "calls and their state", cmd_sessions, arg);
    return err;
}
