/* Events that cross: each of them in each state of a call, followed by each of the others, so in both orders.
 * Whatever happened, once all has settled nothing is left: teardown() counts calls, transactions, gateway
 * contexts and policy sessions. */
#include "call_fixture.h"

static enum epc_leg caller;
static int final_of[SEAM_MAX]; /* by request sent */
static struct epc_sip_in *invite;

static enum epc_leg callee(void)
{
    return caller == EPC_LEG_WIC ? EPC_LEG_CORE : EPC_LEG_WIC;
}

static const char *offer_of(enum epc_leg leg)
{
    return leg == EPC_LEG_WIC ? WIC_OFFER : CORE_SDP;
}

static const char *answer_of(enum epc_leg leg)
{
    return leg == EPC_LEG_WIC ? WIC_ANSWER : CORE_SDP;
}

/* ---- what may happen, where it can ---------------------------------------------------------------------- */

static struct epc_gw_ctx *context(void)
{
    return seam.n_gw && !seam.gw[seam.n_gw - 1]->released ? seam.gw[seam.n_gw - 1] : NULL;
}

static struct epc_policy_session *rx_session(void)
{
    return seam.n_rx && !seam.rx[seam.n_rx - 1]->closed ? seam.rx[seam.n_rx - 1] : NULL;
}

static sip_method_t method_of(const struct epc_sip_out *out)
{
    return sip_object(out->msg)->sip_request->rq_method;
}

static void answer_out(int i, int status, const char *sdp)
{
    struct epc_sip_out *out = seam.out[i];
    bool again = final_of[i] / 100 == 2 && status / 100 == 2 && method_of(out) == sip_method_invite;
    if (out->detached || !out->fn || (final_of[i] && !again))
        return;
    if (status >= 200)
        final_of[i] = status;
    seam_respond(out, status, "callee", sdp, NULL);
    if (status >= 300 || (status >= 200 && method_of(out) != sip_method_invite))
        seam_over(out);
}

/* The newest INVITE that was sent on. */
static int open_invite(void)
{
    for (int i = seam.n_out - 1; i >= 0; i--)
        if (method_of(seam.out[i]) == sip_method_invite)
            return i;
    return -1;
}

static void ev_cancel(void)
{
    if (invite->cancel_fn && !invite->final)
        seam_cancel(invite);
}

static void ev_rings(void)
{
    if (open_invite() >= 0)
        answer_out(open_invite(), 180, NULL);
}

static void ev_answered(void)
{
    int i = open_invite();
    if (i >= 0)
        answer_out(i, 200, answer_of(seam.out[i]->leg));
}

static void ev_rejected(void)
{
    if (open_invite() >= 0)
        answer_out(open_invite(), 486, NULL);
}

static void ev_no_answer(void)
{
    int i = open_invite();
    if (i < 0 || final_of[i] || seam.out[i]->detached || !seam.out[i]->fn)
        return;
    final_of[i] = 408;
    seam.out[i]->fn(seam.out[i]->arg, seam.out[i], 408, NULL);
}

static void ev_caller_hangs_up(void)
{
    receive(caller, "BYE", 20 + (unsigned)n_ins, "callee", "caller", NULL);
}

static void ev_callee_hangs_up(void)
{
    receive(callee(), "BYE", 20 + (unsigned)n_ins, "caller", "callee", NULL);
}

static void ev_caller_offers(void)
{
    receive(caller, "INVITE", 20 + (unsigned)n_ins, "callee", "caller", offer_of(caller));
}

static void ev_callee_offers(void)
{
    receive(callee(), "UPDATE", 20 + (unsigned)n_ins, "caller", "callee", offer_of(callee()));
}

static void ev_acknowledged(void)
{
    struct epc_sip_in *in = request(caller, "ACK", 1, "callee", "caller", NULL, NULL);
    epc_sessions_ack(ss, caller, flow, msg_dup(in->msg));
}

static void ev_gateway_done(void)
{
    if (context() && context()->done)
        seam_gw_done(context(), true);
}

static void ev_gateway_refuses(void)
{
    if (context() && context()->done)
        seam_gw_done(context(), false);
}

static void ev_gateway_lost(void)
{
    struct epc_gw_ctx *c = context();
    if (c)
        c->event(c->event_arg, &(struct epc_gw_event){.kind = EPC_GW_EV_LOST});
}

static void ev_ice_failed(void)
{
    struct epc_gw_ctx *c = context();
    if (c)
        c->event(c->event_arg, &(struct epc_gw_event){.kind = EPC_GW_EV_FAILED, .failure = EPC_GW_FAIL_ICE});
}

static void ev_granted(void)
{
    if (rx_session() && rx_session()->done)
        seam_rx_done(rx_session(), EPC_POLICY_GRANTED, 0);
}

static void ev_refused(void)
{
    if (rx_session() && rx_session()->done)
        seam_rx_done(rx_session(), EPC_POLICY_REFUSED, 5063);
}

static void ev_silent(void)
{
    if (rx_session() && rx_session()->done)
        seam_rx_done(rx_session(), EPC_POLICY_TIMED_OUT, 0);
}

static void ev_aborted(void)
{
    struct epc_policy_session *p = rx_session();
    if (p)
        p->event(p->event_arg, &(struct epc_policy_event){.kind = EPC_PEV_ABORT});
}

static void ev_bearers_lost(void)
{
    struct epc_policy_session *p = rx_session();
    if (p)
        p->event(p->event_arg, &(struct epc_policy_event){.kind = EPC_PEV_ALL_MEDIA_LOST});
}

static void ev_connection_lost(void)
{
    seam.gone_flow = flow;
    epc_sessions_flow_closed(ss, flow);
}

static void ev_registration_over(void)
{
    epc_sessions_registration_gone(ss, flow, "test");
}

static void ev_timer(void)
{
    seams_fire_timer();
}

static void ev_stops(void)
{
    epc_sessions_release_all(ss, "test");
}

static const struct {
    const char *name;
    void (*happens)(void);
} events[] = {
    {"cancel", ev_cancel},
    {"rings", ev_rings},
    {"answered", ev_answered},
    {"rejected", ev_rejected},
    {"no answer", ev_no_answer},
    {"caller hangs up", ev_caller_hangs_up},
    {"callee hangs up", ev_callee_hangs_up},
    {"caller offers", ev_caller_offers},
    {"callee offers", ev_callee_offers},
    {"acknowledged", ev_acknowledged},
    {"gateway done", ev_gateway_done},
    {"gateway refuses", ev_gateway_refuses},
    {"gateway lost", ev_gateway_lost},
    {"ICE failed", ev_ice_failed},
    {"granted", ev_granted},
    {"refused", ev_refused},
    {"PCRF silent", ev_silent},
    {"aborted", ev_aborted},
    {"bearers lost", ev_bearers_lost},
    {"connection lost", ev_connection_lost},
    {"registration over", ev_registration_over},
    {"timer", ev_timer},
    {"stops", ev_stops},
};

/* ---- the states --------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*const steps[12])(void);
} states[] = {
    {"reserving", {NULL}},
    {"sent", {ev_gateway_done}},
    {"ringing", {ev_gateway_done, ev_rings}},
    {"answer at the gateway", {ev_gateway_done, ev_rings, ev_answered}},
    {"answer at the PCRF", {ev_gateway_done, ev_rings, ev_answered, ev_gateway_done}},
    {"answered", {ev_gateway_done, ev_rings, ev_answered, ev_gateway_done, ev_granted}},
    {"up", {ev_gateway_done, ev_rings, ev_answered, ev_gateway_done, ev_granted, ev_acknowledged}},
    {"re-offer at the gateway",
     {ev_gateway_done, ev_rings, ev_answered, ev_gateway_done, ev_granted, ev_acknowledged, ev_callee_offers}},
    {"re-offer sent",
     {ev_gateway_done, ev_rings, ev_answered, ev_gateway_done, ev_granted, ev_acknowledged, ev_callee_offers,
      ev_gateway_done}},
    {"re-INVITE sent",
     {ev_gateway_done, ev_rings, ev_answered, ev_gateway_done, ev_granted, ev_acknowledged, ev_caller_offers,
      ev_gateway_done}},
};

/* ---- ... and how it settles ------------------------------------------------------------------------------ */

static void settle(void)
{
    for (int round = 0; round < 12; round++) {
        ev_gateway_done();
        ev_granted();
        for (int i = 0; i < seam.n_out; i++)
            if (!final_of[i])
                answer_out(i, method_of(seam.out[i]) != sip_method_invite ? 200 : seam.out[i]->cancelled ? 487 : 486, NULL);
        seams_turn();
    }
}

static void run(size_t state, size_t first, size_t second)
{
    memset(final_of, 0, sizeof final_of);
    cfg.policy.media_loss_grace_ms = 5000;
    cfg.registration.flow_loss_grace_ms = 20000;
    invite = request(caller, "INVITE", 1, NULL, "caller", offer_of(caller), caller == EPC_LEG_CORE ? CORE_ROUTE : NULL);
    epc_sessions_request(ss, invite);
    for (size_t i = 0; i < EPC_ARRAY_LEN(states[state].steps) && states[state].steps[i]; i++)
        states[state].steps[i]();
    events[first].happens();
    events[second].happens();
    seams_turn();
    settle();
    int left = 0;
    epc_sessions_each(ss, count_view, &left);
    if (left) { /* the call lives on: it is hung up, or waits for a WIC that never comes back */
        ev_caller_hangs_up();
        settle();
        epc_sessions_registration_gone(ss, flow, "test");
        settle();
    }
    for (int i = 0; i < seam.n_out; i++) /* 32 s later */
        seam_over(seam.out[i]);
    seams_turn();
    left = 0;
    epc_sessions_each(ss, count_view, &left);
    if (left)
        fail_msg("%s: %s, %s: the call is left", states[state].name, events[first].name, events[second].name);
    assert_int_equal(epc_counter_read(EPC_C_FSM_UNEXPECTED), 0);
}

static void each_pair(void **state)
{
    for (int side = 0; side < 2; side++)
        for (size_t s = 0; s < EPC_ARRAY_LEN(states); s++)
            for (size_t a = 0; a < EPC_ARRAY_LEN(events); a++)
                for (size_t b = 0; b < EPC_ARRAY_LEN(events); b++) {
                    teardown(state);
                    setup(state);
                    caller = side ? EPC_LEG_CORE : EPC_LEG_WIC;
                    run(s, a, b);
                }
}

static void bye_crosses_bye(void **state)
{
    (void)state;
    caller = EPC_LEG_WIC;
    answered_from_wic();
    int next = seam.n_out;
    struct epc_sip_in *one = receive(EPC_LEG_WIC, "BYE", 9, "callee", "caller", NULL);
    struct epc_sip_in *two = receive(EPC_LEG_CORE, "BYE", 9, "caller", "callee", NULL);
    assert_true(two->final == 481 || seam.n_out == next + 2);
    for (int i = next; i < seam.n_out; i++) {
        seam_respond(seam.out[i], 200, "callee", NULL, NULL);
        seam_over(seam.out[i]);
    }
    assert_int_equal(one->final, 200);
    assert_int_not_equal(two->final, 0);
    assert_true(seam.gw[0]->released && seam.rx[0]->closed);
}

int main(void)
{
    epc_log_setup(EPC_LOG_ERROR, 2);
    const struct CMUnitTest tests[] = {TEST(bye_crosses_bye), TEST(each_pair)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
