/* The way of a message through the rooms of one shard:
 *   wss -> sip -> registration (REGISTER) or session (all else) -> sip -> core, and back. */
#include "edge.h"

#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "diameter/diameter.h"
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
    struct epc_reg **reg_slot; /* where other shards' messages find it */
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
    if (!epc_reg_by_flow(e->reg, id))
        epc_sip_flow_forget(e->sip, id);
}

static const struct epc_wss_handler wss_handler = {on_flow_opened, on_flow_message, on_flow_closed};

/* ---- from sip ------------------------------------------------------------------------------------ */

static bool too_often(struct epc_edge *e, struct epc_sip_in *in)
{
    struct epc_flow *f = epc_wss_flow(e->wss, epc_sip_in_flow(in));
    if (!f || epc_flow_may_register(f, &e->cfg->registration))
        return false;
    struct epc_cause cause;
    epc_cause_set(&cause, 503, "RFC 3261 21.5.4", "too many registrations");
    cause.retry_after_s = 5;
    epc_sip_in_refuse(in, &cause);
    epc_sip_in_release(in);
    return true;
}

static void on_request(void *arg, struct epc_sip_in *in)
{
    struct epc_edge *e = arg;
    if (epc_reg_owns(e->reg, in)) {
        epc_reg_notify(e->reg, in);
        return;
    }
    if (epc_sip_in_sip(in)->sip_request->rq_method != sip_method_register) {
        epc_sessions_request(e->sessions, in);
        return;
    }
    if (epc_sip_in_leg(in) == EPC_LEG_WIC && too_often(e, in))
        return;
    if (epc_sip_in_leg(in) == EPC_LEG_WIC) {
        epc_sessions_heard(e->sessions, epc_sip_in_flow(in));
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

static void on_lost(void *arg, struct epc_sip_in *in)
{
    struct epc_edge *e = arg;
    epc_sessions_lost(e->sessions, in);
}

static const struct epc_sip_handler sip_handler = {on_request, on_ack, on_lost};

static void on_registration_gone(void *arg, const struct epc_binding *b, const char *why)
{
    struct epc_edge *e = arg;
    epc_sessions_registration_gone(e->sessions, b->flow_id, why);
    if (!e->wss || !epc_wss_flow(e->wss, b->flow_id))
        epc_sip_flow_forget(e->sip, b->flow_id);
}

/* The same instance on another connection: first its tokens, then what is routed by them. */
static void on_registration_moved(void *arg, uint64_t old_flow_id, uint64_t new_flow_id)
{
    struct epc_edge *e = arg;
    epc_log(EPC_LOG_INFO, "edge", "event=flow-moved flow=%llx now=%llx", (unsigned long long)old_flow_id,
            (unsigned long long)new_flow_id);
    epc_sip_flow_moved(e->sip, old_flow_id, new_flow_id);
    epc_sessions_flow_moved(e->sessions, old_flow_id, new_flow_id);
}

static void on_registered(void *arg, const struct epc_binding *b)
{
    struct epc_edge *e = arg;
    epc_sessions_registered(e->sessions, b);
}

static const char *on_access_info(void *arg, uint64_t flow_id)
{
    struct epc_edge *e = arg;
    return epc_sessions_access_info(e->sessions, flow_id);
}

static bool on_token_end(void *arg, uint64_t flow_id)
{
    struct epc_edge *e = arg;
    return epc_sessions_busy(e->sessions, flow_id);
}

/* ---- life ------------------------------------------------------------------------------------------- */

/* From the start, so that an IMPI's home is the same shard for all of them. */
static void join_peers(struct epc_edge *e, const struct epc_edge_opts *o)
{
    if (!o->regs || !o->shards || !o->wss)
        return;
    epc_reg_set_peers(e->reg, &(struct epc_reg_peers){o->shards, o->regs, o->wss, o->n_shards});
    e->reg_slot = &o->regs[epc_shard_index(e->shard)];
    *e->reg_slot = e->reg;
}

enum epc_err epc_edge_create(struct epc_edge **out, struct epc_shard *sh, const struct epc_edge_opts *o)
{
    struct epc_edge *e = calloc(1, sizeof *e);
    if (!e)
        return EPC_ENOMEM;
    e->shard = sh;
    e->cfg = o->cfg;
    enum epc_err err = epc_sip_create(&e->sip, sh, &o->cfg->sip, o->token_key, &sip_handler, e);
    if (err == EPC_OK)
        epc_sip_set_emergency(e->sip, o->cfg->calls.emergency_numbers, o->cfg->calls.n_emergency_numbers);
    if (err == EPC_OK)
        err = epc_auth_create(&e->auth, sh, &o->cfg->tokens);
    if (err == EPC_OK)
        err = epc_reg_create(&e->reg, sh, e->sip, e->auth, o->cfg);
    if (err == EPC_OK)
        join_peers(e, o);
    if (err == EPC_OK)
        err = epc_gw_create(&e->gw, sh, &o->cfg->media, o->gateways);
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
    epc_reg_on_bound(e->reg, on_registered, e);
    epc_reg_on_access(e->reg, on_access_info, e);
    epc_reg_on_gone(e->reg, on_registration_gone, e);
    epc_reg_on_moved(e->reg, on_registration_moved, e);
    epc_reg_on_token_end(e->reg, on_token_end, e);
    epc_sip_set_wss(e->sip, e->wss);
    epc_reg_set_wss(e->reg, e->wss);
    epc_sessions_set_wss(e->sessions, e->wss);
    if (o->wss)
        o->wss[epc_shard_index(sh)] = e->wss;
    *out = e;
    return EPC_OK;
}

void epc_edge_drain(struct epc_edge *e)
{
    epc_sessions_release_all(e->sessions, "Server going down");
}

void epc_edge_reload(struct epc_edge *e)
{
    (void)!epc_wss_reload(e->wss); /* logged; the old certificate stays */
    epc_auth_reload(e->auth);
}

/* From the top down: each room may still use those below it while it ends. */
void epc_edge_destroy(struct epc_edge *e)
{
    if (!e)
        return;
    if (e->sessions)
        epc_sessions_release_all(e->sessions, "Server going down");
    epc_wss_destroy(e->wss);
    e->wss = NULL;
    if (e->sip)
        epc_sip_set_wss(e->sip, NULL);
    if (e->sessions)
        epc_sessions_set_wss(e->sessions, NULL);
    if (e->reg)
        epc_reg_set_wss(e->reg, NULL);
    epc_sessions_destroy(e->sessions);
    epc_gw_destroy(e->gw);
    if (e->reg_slot)
        *e->reg_slot = NULL;
    epc_reg_destroy(e->reg);
    epc_auth_destroy(e->auth);
    epc_sip_destroy(e->sip);
    free(e);
}

/* ---- control commands: asked on the service shard, answered by every edge in turn --------------------- */

struct question {
    const struct epc_fleet *fleet;
    struct epc_admin_reply *reply;
    void (*ask)(struct epc_edge *e, struct question *q);
    size_t next;
    struct epc_buf text;
    char *impi, *wwsf; /* revoke: of whom */
    uint64_t at_s;     /* revoke: since when */
    size_t met;        /* revoke: connections so far */
    struct epc_rx_ask rx;     /* rx; its id is `rx_id` */
    struct epc_rx_found found;
    char *rx_id;
    bool failed;       /* what `text` says is a complaint */
    void (*sum)(struct question *q); /* last of all; may be NULL */
};

static void free_question(struct question *q)
{
    epc_buf_free(&q->text);
    free(q->impi);
    free(q->wwsf);
    free(q->rx_id);
    free(q);
}

static void finish_question(struct epc_shard *sh, void *arg)
{
    struct question *q = arg;
    (void)sh;
    if (q->sum)
        q->sum(q);
    if (q->text.failed)
        epc_admin_answer(q->reply, false, "out of memory\n", 14);
    else
        epc_admin_answer(q->reply, !q->failed, q->text.p ? q->text.p : "", q->text.n);
    free_question(q);
}

static void ask_edge(struct epc_shard *sh, void *arg)
{
    struct question *q = arg;
    (void)sh;
    q->ask(q->fleet->edges[q->next], q);
    q->next++;
    if (q->next < q->fleet->n && epc_shard_post(q->fleet->shards[q->next], ask_edge, q) == EPC_OK)
        return;
    if (epc_shard_post(q->fleet->service, finish_question, q) != EPC_OK) {
        /* The service shard is going down and takes the control connection with it. */
        free_question(q);
    }
}

/* Takes @p model's texts. */
static void start_question(const struct epc_fleet *f, struct epc_admin_reply *reply,
                           const struct question *model)
{
    struct question *q = calloc(1, sizeof *q);
    if (q) {
        *q = *model;
        q->fleet = f;
        q->reply = reply;
        if (epc_shard_post(f->shards[0], ask_edge, q) == EPC_OK)
            return;
        free_question(q);
    } else {
        free(model->impi);
        free(model->wwsf);
        free(model->rx_id);
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
    struct epc_buf *out = arg;
    epc_buf_printf(out, "impi=%s impu=", b->impi);
    for (size_t i = 0; i < b->n_impus; i++)
        epc_buf_printf(out, "%s%s", i ? "," : "", b->impus[i]);
    struct epc_str params = epc_str_c(b->contact_params);
    epc_buf_printf(out, " mode=%s wwsf=%s flow=%llx", b->mode == EPC_MODE_TOKEN ? "token" : "digest",
                   b->wwsf ? b->wwsf : "-", (unsigned long long)b->flow_id);
    while (params.p) { /* +sip.instance="<urn:uuid:...>" and reg-id=1, as the WIC wrote them */
        struct epc_str one = epc_str_cut(&params, ';');
        if (epc_str_starts(one, "+sip.")) /* instance */
            one = (struct epc_str){one.p + 5, one.n - 5};
        if (one.n)
            epc_buf_printf(out, " %.*s", EPC_STR_ARG(one));
    }
    epc_buf_printf(out, " expires_in_s=%llu\n",
                   (unsigned long long)(b->expires_at_ms > now ? (b->expires_at_ms - now) / 1000 : 0));
}

static void show_subscription(const char *impi, const char *state, size_t flows, void *arg)
{
    epc_buf_printf(arg, "subscription impi=%s state=%s flows=%zu\n", impi, state, flows);
}

static void show_session(const struct epc_session_view *v, void *arg)
{
    epc_buf_printf(arg, "call=%s impu=%s side=%s state=%s flow=%llx age_ms=%llu\n", v->call_id, v->impu,
                   v->originating ? "originating" : "terminating", v->state,
                   (unsigned long long)v->flow_id, (unsigned long long)v->age_ms);
}

static void ask_flows(struct epc_edge *e, struct question *q)
{
    epc_wss_each(e->wss, show_flow, &q->text);
}

static void ask_registrations(struct epc_edge *e, struct question *q)
{
    epc_reg_each(e->reg, show_binding, &q->text);
    epc_reg_each_subscription(e->reg, show_subscription, &q->text);
}

static void ask_sessions(struct epc_edge *e, struct question *q)
{
    epc_sessions_each(e->sessions, show_session, &q->text);
}

static void show_gateway(const char *line, void *arg)
{
    epc_buf_printf(arg, "%s\n", line);
}

/* Of each shard: the calls that it holds there are its own. */
static void ask_gateways(struct epc_edge *e, struct question *q)
{
    epc_gw_each(e->gw, show_gateway, &q->text);
}

static void ask_revoke(struct epc_edge *e, struct question *q)
{
    q->met += epc_reg_revoke_here(e->reg, q->impi, q->wwsf, q->at_s);
}

static void sum_revoked(struct question *q)
{
    epc_buf_printf(&q->text, "revoked: %zu connection%s ended, older tokens refused\n", q->met,
                   q->met == 1 ? "" : "s");
}

static void ask_reload(struct epc_edge *e, struct question *q)
{
    (void)q;
    epc_edge_reload(e);
}

static void cmd_flows(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply)
{
    (void)argv;
    (void)argc;
    start_question(arg, reply, &(struct question){.ask = ask_flows});
}

static void cmd_registrations(void *arg, const char *const *argv, size_t argc,
                              struct epc_admin_reply *reply)
{
    (void)argv;
    (void)argc;
    start_question(arg, reply, &(struct question){.ask = ask_registrations});
}

static void cmd_sessions(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply)
{
    (void)argv;
    (void)argc;
    start_question(arg, reply, &(struct question){.ask = ask_sessions});
}

static void cmd_gateways(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply)
{
    (void)argv;
    (void)argc;
    start_question(arg, reply, &(struct question){.ask = ask_gateways});
}

static void cmd_reload(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply)
{
    (void)argv;
    (void)argc;
    start_question(arg, reply, &(struct question){.ask = ask_reload});
}

/* revoke IMPI, or revoke --wwsf ID */
static void cmd_revoke(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply)
{
    static const char usage[] = "usage: revoke IMPI | revoke --wwsf ID\n";
    struct question q = {.ask = ask_revoke, .sum = sum_revoked, .at_s = epc_wall_s()};
    bool by_wwsf = argc == 3 && strcmp(argv[1], "--wwsf") == 0;
    if (!by_wwsf && (argc != 2 || !strchr(argv[1], '@'))) {
        epc_admin_answer(reply, false, usage, sizeof usage - 1);
        return;
    }
    char *name = epc_str_dup(epc_str_c(argv[argc - 1]));
    if (!name) {
        epc_admin_answer(reply, false, "out of memory\n", 14);
        return;
    }
    *(by_wwsf ? &q.wwsf : &q.impi) = name;
    epc_log(EPC_LOG_WARN, "edge", "event=revocation-asked by=%s", by_wwsf ? "wwsf" : "impi");
    start_question(arg, reply, &q);
}

/* ---- rx sessions, show, explain --------------------------------------------------------------------- */

static void ask_rx(struct epc_edge *e, struct question *q)
{
    epc_diameter_history(q->fleet->diameter, e->shard, &q->rx, &q->found, &q->text);
}

/* Nothing found: say so, and what there is. */
static void sum_rx(struct question *q)
{
    if (q->found.told || q->rx.what == EPC_RX_LIST)
        return;
    q->failed = true;
    epc_buf_printf(&q->text, "no Rx session has the Session-Id, Call-ID or public identity %s; known are %zu live and %zu "
                   "ended ones", q->rx_id, q->found.live, q->found.ended);
    if (q->found.forgotten)
        epc_buf_printf(&q->text, ", %llu older ones made room (policy.history_sessions)",
                       (unsigned long long)q->found.forgotten);
    epc_buf_adds(&q->text, ". `rx sessions --all` lists them.\n");
}

/* rx sessions [--all|--ended] [--json], rx show ID [--json], rx explain ID [--json] */
static bool read_rx(const char *const *argv, size_t argc, struct epc_rx_ask *ask)
{
    static const struct {
        const char *word;
        enum epc_rx_what what;
    } verbs[] = {{"sessions", EPC_RX_LIST}, {"show", EPC_RX_SHOW}, {"explain", EPC_RX_EXPLAIN}};
    bool known = false;
    *ask = (struct epc_rx_ask){.live = true};
    for (size_t i = 0; argc > 1 && i < EPC_ARRAY_LEN(verbs); i++)
        if (strcmp(argv[1], verbs[i].word) == 0) {
            ask->what = verbs[i].what;
            known = true;
        }
    for (size_t i = 2; known && i < argc; i++) {
        bool list = ask->what == EPC_RX_LIST;
        if (strcmp(argv[i], "--json") == 0)
            ask->json = true;
        else if (list && strcmp(argv[i], "--all") == 0)
            ask->ended = true;
        else if (list && strcmp(argv[i], "--ended") == 0) {
            ask->ended = true;
            ask->live = false;
        } else if (!list && !ask->id && argv[i][0] != '-')
            ask->id = argv[i];
        else
            return false;
    }
    return known && (ask->what == EPC_RX_LIST || ask->id);
}

static void cmd_rx(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply)
{
    static const char usage[] = "usage: rx sessions [--all|--ended] [--json]\n"
                                "       rx show ID [--json]      (ID: a Session-Id, a Call-ID or a public identity)\n"
                                "       rx explain ID [--json]\n";
    static const char off[] = "policy.mode is off: there are no Rx sessions\n";
    static const char forgetful[] = "policy.history_sessions is 0: nothing is remembered of Rx sessions\n";
    const struct epc_fleet *f = arg;
    struct question q = {.ask = ask_rx, .sum = sum_rx};
    const char *why = !read_rx(argv, argc, &q.rx)              ? usage
                      : !f->diameter                           ? off
                      : !epc_diameter_has_history(f->diameter) ? forgetful
                                                               : NULL;
    if (why) {
        epc_admin_answer(reply, false, why, strlen(why));
        return;
    }
    q.rx_id = q.rx.id ? epc_str_dup(epc_str_c(q.rx.id)) : NULL;
    if (q.rx.id && !q.rx_id) {
        epc_admin_answer(reply, false, "out of memory\n", 14);
        return;
    }
    q.rx.id = q.rx_id;
    start_question(arg, reply, &q);
}

/* ---- record ------------------------------------------------------------------------------------------- */

/* record | record off | record [--base] FILE */
static void cmd_record(void *arg, const char *const *argv, size_t argc, struct epc_admin_reply *reply)
{
    static const char usage[] = "usage: record [--base] FILE | record off | record\n"
                                "The file holds every Rx message in clear, with the users' identities and addresses;\n"
                                "--base: CER, DWR and DPR too.\n";
    const struct epc_fleet *f = arg;
    struct epc_buf text = {0};
    bool base = argc == 3 && strcmp(argv[1], "--base") == 0, ok = true;
    if (!f->diameter)
        epc_buf_adds(&text, "policy.mode is off: there is nothing to record\n");
    else if (argc == 1)
        epc_diameter_record_print(f->diameter, &text);
    else if ((argc != 2 && !base) || argv[argc - 1][0] == '-')
        epc_buf_adds(&text, usage);
    else {
        const char *file = argv[argc - 1];
        ok = epc_diameter_record(f->diameter, strcmp(file, "off") == 0 ? NULL : file, base, &text) == EPC_OK;
    }
    ok = ok && text.p && epc_str_starts(epc_str_c(text.p), "record=");
    epc_admin_answer(reply, ok, text.p ? text.p : "out of memory\n", text.p ? text.n : 14);
    epc_buf_free(&text);
}

enum epc_err epc_edge_commands(struct epc_admin *admin, const struct epc_fleet *fleet)
{
    static const struct {
        const char *name, *help;
        epc_admin_fn *fn;
    } commands[] = {
        {"flows", "WebSocket connections", cmd_flows},
        {"registrations", "who is registered, on which flow, and the subscriptions to that", cmd_registrations},
        {"sessions", "calls and their state", cmd_sessions},
        {"gateways", "media gateways: state, calls, what they can", cmd_gateways},
        {"revoke", "IMPI, or --wwsf ID: end registrations and calls, refuse older tokens", cmd_revoke},
        {"record", "[--base] FILE | off: every Rx message into a file, in clear", cmd_record},
        {"rx", "sessions | show ID | explain ID: Rx sessions, their messages, and why", cmd_rx},
        {"reload", "fetch the keys of the tokens' issuers again", cmd_reload},
    };
    void *arg = (void *)(uintptr_t)fleet; /* only read */
    enum epc_err err = EPC_OK;
    for (size_t i = 0; err == EPC_OK && i < EPC_ARRAY_LEN(commands); i++)
        err = epc_admin_command(admin, commands[i].name, commands[i].help, commands[i].fn, arg);
    return err;
}
