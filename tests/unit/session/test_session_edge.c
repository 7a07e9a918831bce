/* What a P-CSCF does to calls beside their media: identities, services, charging, session timers, emergency
 * calls, subscriptions, transfer. */
#include "call_fixture.h"

static char *set(char *text)
{
    return text;
}

static const char *header(msg_t *msg, const char *name)
{
    static char text[1024];
    struct epc_str v = epc_sip_get(msg, name, 0);
    if (!v.p)
        return NULL;
    snprintf(text, sizeof text, "%.*s", EPC_STR_ARG(v));
    return text;
}

static struct epc_sip_in *begin(enum epc_leg leg, const char *method, const char *extra)
{
    bool invite = strcmp(method, "INVITE") == 0;
    struct epc_sip_in *in = request(leg, method, 1, NULL, "caller",
                                    !invite ? NULL : leg == EPC_LEG_WIC ? WIC_OFFER : CORE_SDP, extra);
    int had = seam.n_gw;
    epc_sessions_request(ss, in);
    if (seam.n_gw > had)
        seam_gw_done(seam.gw[had], true);
    return in;
}

static struct epc_sip_in *in_dialog(enum epc_leg leg, const char *method, unsigned cseq, const char *extra)
{
    bool caller = leg == EPC_LEG_WIC;
    struct epc_sip_in *in = request(leg, method, cseq, caller ? "callee" : "caller", caller ? "caller" : "callee", NULL,
                                    extra);
    epc_sessions_request(ss, in);
    return in;
}

static msg_t *last_sent(void)
{
    assert_true(seam.n_out > 0);
    return seam.out[seam.n_out - 1]->msg;
}

static void answer_last(int status, const char *extra)
{
    struct epc_sip_out *out = seam.out[seam.n_out - 1];
    seam_respond(out, status, "callee", NULL, extra);
}

/* The WIC's INVITE with @p extra, answered with @p more; up to the ACK. */
static struct epc_sip_in *up(const char *extra, const char *more)
{
    struct epc_sip_in *in = begin(EPC_LEG_WIC, "INVITE", extra);
    assert_int_equal(seam.n_out, 1);
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, more);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    assert_int_equal(in->final, 200);
    ack(EPC_LEG_WIC, NULL);
    return in;
}

static void down(void)
{
    bye(EPC_LEG_WIC, "caller", "callee");
}

/* ---- identity ---------------------------------------------------------------------------------- */

static void two_identities(void **state)
{
    (void)state;
    static const struct {
        const char *preferred, *asserted;
    } rows[] = {
        {"P-Preferred-Identity: <sip:alice@ims.test>, <tel:+15550001>\r\n", "<sip:alice@ims.test>, <tel:+15550001>"},
        {"P-Preferred-Identity: <tel:+15550001>\r\nP-Preferred-Identity: <sip:alice@ims.test>\r\n",
         "<tel:+15550001>, <sip:alice@ims.test>"},
        {"P-Preferred-Identity: <sip:alice@ims.test>, <tel:+15559999>\r\n", "<sip:alice@ims.test>"},
        {"P-Preferred-Identity: <sip:mallory@ims.test>, <tel:+15550001>\r\n", "<tel:+15550001>"},
        {"P-Preferred-Identity: \"A, B\" <sip:alice@ims.test>\r\n", "<sip:alice@ims.test>"},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++) {
        struct epc_sip_in *in = begin(EPC_LEG_WIC, "MESSAGE", rows[i].preferred);
        assert_string_equal(header(last_sent(), "P-Asserted-Identity"), rows[i].asserted);
        assert_null(header(last_sent(), "P-Preferred-Identity"));
        answer_last(200, NULL);
        assert_int_equal(in->final, 200);
    }
}

static void companion_is_asserted(void **state)
{
    (void)state;
    cfg.calls.both_identities = true;
    seam.phone = true;
    struct epc_sip_in *in = begin(EPC_LEG_WIC, "MESSAGE", "P-Preferred-Identity: <tel:+15550001>\r\n");
    assert_string_equal(header(last_sent(), "P-Asserted-Identity"), "<tel:+15550001>, <sip:+15550001@ims.test;user=phone>");
    answer_last(200, NULL);
    /* another number, or none, is nobody's companion */
    in = begin(EPC_LEG_WIC, "MESSAGE", "P-Preferred-Identity: <sip:alice@ims.test>\r\n");
    assert_string_equal(header(last_sent(), "P-Asserted-Identity"), "<sip:alice@ims.test>");
    answer_last(200, NULL);
    assert_int_equal(in->final, 200);
}

static void strict_identity(void **state)
{
    (void)state;
    cfg.calls.strict_identity = true;
    assert_int_equal(begin(EPC_LEG_WIC, "INVITE", NULL)->final, 403); /* From is sip:a@ims.test */
    assert_int_equal(seam.n_out, 0);
    static const char *const from[] = {"Alice <sip:alice@ims.test>", "<tel:+15550001>", "<sip:anonymous@anonymous.invalid>"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(from); i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "MESSAGE sip:b@ims.test SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bKs%zu\r\nFrom: %s;tag=x\r\n"
                 "To: <sip:b@ims.test>\r\nCall-ID: s%zu\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n", i, from[i], i);
        struct epc_sip_in *in = ins[n_ins++] = seam_in(EPC_LEG_WIC, flow, text);
        epc_sessions_request(ss, in);
        answer_last(200, NULL);
        assert_int_equal(in->final, 200);
    }
}

static void called_identity(void **state)
{
    (void)state;
    struct epc_sip_in *in = begin(EPC_LEG_CORE, "MESSAGE", "P-Called-Party-ID: <tel:+15550001>\r\n");
    answer_last(200, NULL);
    assert_string_equal(header(in->answer[0], "P-Asserted-Identity"), "<tel:+15550001>");
    in = begin(EPC_LEG_CORE, "MESSAGE", "P-Called-Party-ID: <tel:+15550001>\r\n");
    answer_last(200, "P-Preferred-Identity: <sip:alice@ims.test>\r\nP-Asserted-Identity: <sip:forged@ims.test>\r\n");
    assert_string_equal(header(in->answer[0], "P-Asserted-Identity"), "<sip:alice@ims.test>");
    assert_null(header(in->answer[0], "P-Preferred-Identity"));
}

static void privacy_of_the_wic(void **state)
{
    (void)state;
    static const char *const values[] = {"id", "user", "header", "none", "id;critical"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(values); i++) {
        char line[64];
        snprintf(line, sizeof line, "Privacy: %s\r\n", values[i]);
        struct epc_sip_in *in = begin(EPC_LEG_WIC, "MESSAGE", line);
        assert_string_equal(header(last_sent(), "Privacy"), values[i]);
        assert_non_null(header(last_sent(), "P-Asserted-Identity")); /* the core is in the trust domain */
        answer_last(200, NULL);
        assert_int_equal(in->final, 200);
    }
    seam.anonymous = true; /* of a pool: nobody knows who it is */
    struct epc_sip_in *in = begin(EPC_LEG_WIC, "MESSAGE", "Privacy: none\r\n");
    assert_string_equal(header(last_sent(), "Privacy"), "id");
    answer_last(200, NULL);
    assert_int_equal(in->final, 200);
}

/* ---- service, priority, charging ------------------------------------------------------------------ */

#define MMTEL "urn:urn-7:3gpp-service.ims.icsi.mmtel"

static void preferred_service(void **state)
{
    (void)state;
    static char *services[] = {(char *)MMTEL};
    static const struct {
        const char *lines, *asserted;
    } rows[] = {
        {"P-Preferred-Service: " MMTEL "\r\n", MMTEL},
        {"P-Preferred-Service: " MMTEL ".gaming\r\n", MMTEL ".gaming"},
        {"P-Preferred-Service: " MMTEL "x\r\n", NULL},
        {"P-Preferred-Service: urn:urn-7:3gpp-service.ims.icsi.oma.cpm\r\n", NULL},
        {"P-Preferred-Service: urn:urn-7:other, " MMTEL "\r\n", MMTEL},
        {"P-Asserted-Service: " MMTEL "\r\n", NULL},
        {"P-Preferred-Service: " MMTEL "\r\n"
         "Accept-Contact: *;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"\r\n", MMTEL},
        {"P-Preferred-Service: " MMTEL "\r\n"
         "Accept-Contact: *;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm\"\r\n", NULL},
    };
    cfg.calls.services = services;
    cfg.calls.n_services = 1;
    for (int strict = 0; strict < 2; strict++) {
        cfg.calls.strict_services = strict;
        for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++) {
            bool refused = strict && !rows[i].asserted && strstr(rows[i].lines, "Preferred");
            struct epc_sip_in *in = begin(EPC_LEG_WIC, "MESSAGE", rows[i].lines);
            if (refused) {
                assert_int_equal(in->final, 403);
                continue;
            }
            const char *as = header(last_sent(), "P-Asserted-Service");
            assert_int_equal(as != NULL, rows[i].asserted != NULL);
            if (as)
                assert_string_equal(as, rows[i].asserted);
            assert_null(header(last_sent(), "P-Preferred-Service"));
            answer_last(200, NULL);
        }
    }
    /* of a call the policy function hears it */
    begin(EPC_LEG_WIC, "INVITE", "P-Preferred-Service: " MMTEL "\r\n");
    struct epc_sip_out *invite = seam.out[seam.n_out - 1];
    seam_respond(invite, 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    assert_string_equal(seam.rx[0]->icsi, MMTEL);
    seam_rx_done(seam.rx[0], EPC_POLICY_GRANTED, 0);
    down();
}

static void resource_priority(void **state)
{
    (void)state;
    static char *users[] = {(char *)"sip:alice@ims.test"};
    begin(EPC_LEG_WIC, "MESSAGE", "Resource-Priority: wps.0\r\n");
    assert_null(header(last_sent(), "Resource-Priority"));
    answer_last(200, NULL);
    cfg.calls.priority_users = users;
    cfg.calls.n_priority_users = 1;
    begin(EPC_LEG_WIC, "MESSAGE", "Resource-Priority: wps.0\r\n");
    assert_string_equal(header(last_sent(), "Resource-Priority"), "wps.0");
    answer_last(200, NULL);
    begin(EPC_LEG_WIC, "MESSAGE", "Resource-Priority: wps.0\r\nP-Preferred-Identity: <tel:+15550001>\r\n");
    assert_null(header(last_sent(), "Resource-Priority")); /* that identity has no such subscription */
    answer_last(200, NULL);
}

static void charging_vector(void **state)
{
    (void)state;
    cfg.sip.ioi = set((char *)"edge.test");
    seam.charging_functions = "ccf=192.0.2.77";
    struct epc_sip_in *in = up(NULL, NULL);
    char first[256];
    snprintf(first, sizeof first, "%.255s", header(seam.out[0]->msg, "P-Charging-Vector"));
    assert_non_null(strstr(first, ";orig-ioi=\"Type 1edge.test\""));
    assert_null(strstr(first, "term-ioi"));
    assert_string_equal(header(seam.out[0]->msg, "P-Charging-Function-Addresses"), "ccf=192.0.2.77");
    /* the same icid all through the dialog; nothing of it reaches the WIC */
    struct epc_sip_in *info = in_dialog(EPC_LEG_WIC, "INFO", 2, "P-Charging-Vector: icid-value=forged\r\n");
    assert_string_equal(header(last_sent(), "P-Charging-Vector"), first);
    answer_last(200, "P-Charging-Vector: icid-value=x;term-ioi=y\r\nP-Charging-Function-Addresses: ccf=z\r\n");
    assert_null(header(info->answer[0], "P-Charging-Vector"));
    assert_null(header(info->answer[0], "P-Charging-Function-Addresses"));
    down();
    /* in the answer to the core: its icid and orig-ioi, and our term-ioi */
    in = begin(EPC_LEG_CORE, "MESSAGE", "P-Charging-Vector: icid-value=\"abc\";orig-ioi=\"Type 1home.test\"\r\n");
    assert_null(header(last_sent(), "P-Charging-Vector"));
    answer_last(200, NULL);
    assert_string_equal(header(in->answer[0], "P-Charging-Vector"),
                        "icid-value=\"abc\";icid-generated-at=127.0.0.3;orig-ioi=\"Type 1home.test\";"
                        "term-ioi=\"Type 1edge.test\"");
}

/* ---- routes --------------------------------------------------------------------------------------- */

static void strict_routes(void **state)
{
    (void)state;
    cfg.calls.strict_routes = true;
    assert_int_equal(begin(EPC_LEG_WIC, "INVITE", "Route: <sip:elsewhere@192.0.2.66;lr>\r\n")->final, 400);
    assert_int_equal(seam.n_out, 0);
    up("Route: <sip:orig@127.0.0.2:4060;lr>\r\n", NULL);
    assert_int_equal(in_dialog(EPC_LEG_WIC, "INFO", 2, NULL)->final, 403);
    struct epc_sip_in *in = request(EPC_LEG_WIC, "BYE", 3, "callee", "caller", NULL, NULL);
    in->routed = true;
    epc_sessions_request(ss, in);
    answer_last(200, NULL);
    assert_int_equal(in->final, 200);
}

static void route_is_replaced(void **state)
{
    (void)state;
    uint64_t before = (uint64_t)epc_counter_read(EPC_C_SESSION_ROUTES_REPLACED);
    struct epc_sip_in *in = begin(EPC_LEG_WIC, "MESSAGE", "Route: <sip:elsewhere@192.0.2.66;lr>\r\n");
    assert_string_equal(sip_object(last_sent())->sip_route->r_url->url_host, "127.0.0.2");
    assert_null(sip_object(last_sent())->sip_route->r_next);
    assert_int_equal(epc_counter_read(EPC_C_SESSION_ROUTES_REPLACED), before + 1);
    answer_last(200, NULL);
    assert_int_equal(in->final, 200);
}

static void tokens_in_dialogs(void **state)
{
    (void)state;
    up(NULL, NULL);
    seam.token_refused = true;
    struct epc_sip_in *in = in_dialog(EPC_LEG_WIC, "INFO", 2, "Authorization: Bearer abc\r\n");
    assert_null(header(last_sent(), "Authorization")); /* only taken off */
    answer_last(200, NULL);
    assert_int_equal(in->final, 200);
    cfg.calls.in_dialog_tokens = true;
    assert_int_equal(in_dialog(EPC_LEG_WIC, "INFO", 3, "Authorization: Bearer abc\r\n")->final, 403);
    in = in_dialog(EPC_LEG_WIC, "INFO", 4, NULL);
    answer_last(200, NULL);
    assert_int_equal(in->final, 200);
    seam.token_refused = false;
    in = in_dialog(EPC_LEG_WIC, "INFO", 5, "Authorization: Bearer abc\r\n");
    answer_last(200, NULL);
    assert_int_equal(in->final, 200);
    seam.token_refused = true;
    in = in_dialog(EPC_LEG_WIC, "BYE", 6, "Authorization: Bearer abc\r\n"); /* whoever hangs up */
    answer_last(200, NULL);
    assert_int_equal(in->final, 200);
}

static void hidden_bodies(void **state)
{
    (void)state;
    struct epc_sip_in *in = request(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_OFFER, "Content-Encoding: gzip\r\n");
    epc_sessions_request(ss, in);
    assert_int_equal(in->final, 415);
    assert_int_equal(seam.n_out, 0);
}

static void source_of_failures(void **state)
{
    (void)state;
    cfg.calls.response_source = true;
    seam.registered = false;
    struct epc_sip_in *in = begin(EPC_LEG_CORE, "INVITE", NULL);
    assert_string_equal(in->response_source, "<urn:3gpp:fe:p-cscf.term>");
    in = begin(EPC_LEG_WIC, "INVITE", NULL);
    assert_null(in->response_source); /* outside of the trust domain */
}

/* ---- session timers --------------------------------------------------------------------------------- */

static void timers(uint32_t least, uint32_t most, enum epc_unrefreshed unrefreshed)
{
    cfg.calls.min_se_s = least;
    cfg.calls.session_expires_s = most;
    cfg.calls.unrefreshed = unrefreshed;
}

static void interval_is_negotiated(void **state)
{
    (void)state;
    static const struct {
        uint32_t least, most;
        const char *lines, *expires, *min;
    } rows[] = {
        {90, 0, "", NULL, NULL},
        {90, 0, "Supported: timer\r\nSession-Expires: 600\r\n", "600", NULL},
        {90, 1800, "", "1800", NULL},
        {90, 1800, "Supported: timer\r\n", "1800", NULL},
        {90, 1800, "Min-SE: 3000\r\n", "3000", "3000"},
        {90, 1800, "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n", "600;refresher=uac", NULL},
        {90, 300, "Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n", "300;refresher=uas", NULL},
        {90, 300, "Supported: timer\r\nSession-Expires: 600\r\nMin-SE: 400\r\n", "400", "400"},
        {90, 300, "Supported: timer\r\nSession-Expires: 600\r\nMin-SE: 600\r\n", "600", "600"},
        {200, 0, "Session-Expires: 120\r\n", "200", "200"}, /* it would not understand 422 */
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++) {
        timers(rows[i].least, rows[i].most, EPC_UNREFRESHED_KEEP);
        char call[64], lines[256];
        snprintf(call, sizeof call, "X-Row: %zu\r\n", i);
        snprintf(lines, sizeof lines, "%s%s", rows[i].lines, call);
        int before = seam.n_gw;
        struct epc_sip_in *in = request(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_OFFER, lines);
        epc_sessions_request(ss, in);
        seam_gw_done(seam.gw[before], true);
        const char *want[] = {rows[i].expires, rows[i].min}, *name[] = {"Session-Expires", "Min-SE"};
        for (int k = 0; k < 2; k++) {
            const char *got = header(last_sent(), name[k]);
            if ((got == NULL) != (want[k] == NULL) || (got && strcmp(got, want[k]) != 0))
                fail_msg("row %zu: %s: %s", i, name[k], got ? got : "(none)");
        }
        answer_last(486, NULL);
        seam_over(seam.out[seam.n_out - 1]);
        seams_turn();
    }
}

static void too_small_interval(void **state)
{
    (void)state;
    timers(200, 0, EPC_UNREFRESHED_KEEP);
    struct epc_sip_in *in = begin(EPC_LEG_WIC, "INVITE", "Supported: timer\r\nSession-Expires: 120\r\n");
    assert_int_equal(in->final, 422);
    assert_int_equal(in->min_se, 200);
    assert_int_equal(seam.n_out, 0);
}

static void callee_without_timers(void **state)
{
    (void)state;
    timers(90, 1800, EPC_UNREFRESHED_KEEP);
    struct epc_sip_in *in = up("Supported: timer\r\n", NULL);
    msg_t *answer = in->answer[in->n_answers - 1];
    assert_string_equal(header(answer, "Session-Expires"), "1800;refresher=uac");
    assert_string_equal(header(answer, "Require"), "timer");
    assert_int_equal(seam_timer_after("session"), 1800 * 1000);
    down();
}

static void session_expires(void **state)
{
    (void)state;
    timers(90, 0, EPC_UNREFRESHED_KEEP);
    up("Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n",
       "Session-Expires: 600;refresher=uac\r\nRequire: timer\r\n");
    /* a refresh starts it anew */
    struct epc_sip_in *in = in_dialog(EPC_LEG_WIC, "UPDATE", 2, "Supported: timer\r\nSession-Expires: 500;refresher=uac\r\n");
    answer_last(200, "Session-Expires: 500;refresher=uac\r\n");
    assert_int_equal(in->final, 200);
    assert_int_equal(seam_timer_after("session"), 500 * 1000);
    int sent = seam.n_out;
    for (int i = 0; i < sent; i++)
        seam_over(seam.out[i]);
    assert_true(seams_fire_timer());
    assert_int_equal(seam.n_out, sent + 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sip_object(seam.out[sent + i]->msg)->sip_request->rq_method, sip_method_bye);
        assert_string_equal(header(seam.out[sent + i]->msg, "Reason"), "SIP;cause=408;text=\"Session expired\"");
    }
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 0);
}

/* Neither end has timers: the edge looks by itself, and its requests do not disturb those of the ends. */
static void edge_refreshes(void **state)
{
    (void)state;
    timers(90, 1000, EPC_UNREFRESHED_REFRESH);
    up("Allow: INVITE, UPDATE\r\n", NULL);
    assert_int_equal(seam_timer_after("session"), 500 * 1000);
    assert_true(seams_fire_timer()); /* the INVITE's transaction lives: nothing to ask */
    assert_int_equal(seam.n_out, 1);
    seam_over(seam.out[0]);
    assert_true(seams_fire_timer());
    assert_int_equal(seam.n_out, 3);
    const sip_t *core = sip_object(seam.out[1]->msg), *wic = sip_object(seam.out[2]->msg);
    assert_int_equal(core->sip_request->rq_method, sip_method_options); /* it did not say that it has UPDATE */
    assert_int_equal(wic->sip_request->rq_method, sip_method_update);
    assert_int_equal(core->sip_cseq->cs_seq, 2);
    assert_string_equal(core->sip_route->r_url->url_user, "far");
    for (int i = 1; i < 3; i++) {
        seam_respond(seam.out[i], 200, "callee", NULL, NULL);
        seam_over(seam.out[i]);
    }
    /* the WIC's own second request is the third there, and its answer comes back as the second */
    struct epc_sip_in *in = in_dialog(EPC_LEG_WIC, "INFO", 2, NULL);
    assert_int_equal(sip_object(last_sent())->sip_cseq->cs_seq, 3);
    answer_last(200, NULL);
    seam_over(seam.out[seam.n_out - 1]);
    assert_int_equal(sip_object(in->answer[0])->sip_cseq->cs_seq, 2);
    in = in_dialog(EPC_LEG_WIC, "INVITE", 3, NULL);
    assert_int_equal(sip_object(last_sent())->sip_cseq->cs_seq, 4);
    answer_last(200, NULL);
    struct epc_sip_in *ack3 = request(EPC_LEG_WIC, "ACK", 3, "callee", "caller", NULL, NULL);
    epc_sessions_ack(ss, EPC_LEG_WIC, flow, msg_dup(ack3->msg));
    assert_int_equal(sip_object(seam.ack[seam.n_ack - 1])->sip_cseq->cs_seq, 4);
    seam_over(seam.out[seam.n_out - 1]);
    /* one end has gone */
    int sent = seam.n_out;
    assert_true(seams_fire_timer());
    assert_int_equal(seam.n_out, sent + 2);
    seam_respond(seam.out[sent], 481, "callee", NULL, NULL);
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 0);
    assert_int_equal(seam.n_out, sent + 4);
    assert_int_equal(sip_object(seam.out[sent + 2]->msg)->sip_request->rq_method, sip_method_bye);
    assert_int_equal(sip_object(seam.out[sent + 2]->msg)->sip_cseq->cs_seq, 6);
}

static void unrefreshed_is_released(void **state)
{
    (void)state;
    timers(90, 1000, EPC_UNREFRESHED_RELEASE);
    up(NULL, NULL);
    assert_int_equal(seam_timer_after("session"), 1000 * 1000);
    seam_over(seam.out[0]);
    assert_true(seams_fire_timer());
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 0);
    assert_int_equal(seam.n_out, 3);
}

/* ---- emergency ------------------------------------------------------------------------------------------ */

static struct epc_sip_in *call_to(const char *uri, const char *method)
{
    char text[8192];
    const char *sdp = strcmp(method, "INVITE") == 0 ? WIC_OFFER : "";
    snprintf(text, sizeof text,
             "%s %s SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bKe%d\r\n"
             "Max-Forwards: 69\r\nFrom: <sip:a@ims.test>;tag=caller\r\nTo: <%s>\r\n"
             "Call-ID: call-1\r\nCSeq: 1 %s\r\nContact: <sip:c@x.invalid;transport=ws>\r\n"
             "%sContent-Length: %zu\r\n\r\n%s", method, uri, n_ins, uri, method,
             *sdp ? "Content-Type: application/sdp\r\n" : "", strlen(sdp), sdp);
    struct epc_sip_in *in = seam_in(EPC_LEG_WIC, flow, text);
    ins[n_ins++] = in;
    int had = seam.n_gw;
    epc_sessions_request(ss, in);
    if (seam.n_gw > had)
        seam_gw_done(seam.gw[had], true);
    return in;
}

static void emergency_config(bool routed)
{
    static char *numbers[] = {(char *)"112", (char *)"110=urn:service:sos.police"};
    static char *domains[] = {(char *)"ims.test"};
    cfg.calls.emergency_numbers = numbers;
    cfg.calls.n_emergency_numbers = 2;
    cfg.sip.home_domains = domains;
    cfg.sip.n_home_domains = 1;
    cfg.sip.public_host = set((char *)"edge.test");
    cfg.calls.emergency_reason = set((char *)"Use a <telephone> & call");
    cfg.calls.ecscf = routed ? set((char *)"sip:127.0.0.9:5060") : NULL;
}

static void emergency_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        int status;
    } rows[] = {
        {"urn:service:sos", 380},           {"urn:service:sos.fire", 380},     {"tel:112", 380},
        {"tel:1-1-2;phone-context=+1", 380}, {"sip:112@ims.test", 380},         {"sip:112@other.test;user=phone", 380},
        {"sip:110@ims.test", 380},          {"sip:112@other.test", 0},         {"sip:1123@ims.test", 0},
        {"sip:11@ims.test", 0},             {"tel:+112", 0},                   {"sip:alice@ims.test", 0},
        {"urn:service:sosx", 0},            {"urn:service:counseling", 0},
    };
    emergency_config(false);
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++) {
        struct epc_sip_in *in = call_to(rows[i].uri, "MESSAGE");
        if (in->final != rows[i].status)
            fail_msg("%s: %d", rows[i].uri, in->final);
        if (!in->final)
            answer_last(200, NULL);
    }
}

static void emergency_alternative(void **state)
{
    (void)state;
    emergency_config(false);
    struct epc_sip_in *in = call_to("urn:service:sos", "INVITE");
    assert_int_equal(in->final, 380);
    assert_non_null(strstr(in->refusal_sdp, "<ims-3gpp version=\"1\">"));
    assert_non_null(strstr(in->refusal_sdp, "<type>emergency</type>"));
    assert_non_null(strstr(in->refusal_sdp, "<reason>Use a &lt;telephone&gt; &amp; call</reason>"));
    assert_int_equal(seam.n_out, 0);
    seam.registered = false;
    assert_int_equal(call_to("urn:service:sos", "INVITE")->final, 403);
}

static void emergency_to_the_ecscf(void **state)
{
    (void)state;
    emergency_config(true);
    cfg.calls.strict_identity = true; /* who calls for help is not asked for papers */
    seam.over = true;                 /* the token has ended */
    struct epc_sip_in *in = call_to("sip:110@ims.test", "INVITE");
    const sip_t *sent = sip_object(last_sent());
    assert_string_equal(sent->sip_route->r_url->url_host, "127.0.0.9");
    assert_null(sent->sip_route->r_next);
    char uri[64];
    assert_true(url_e(uri, sizeof uri, sent->sip_request->rq_url) > 0);
    assert_string_equal(uri, "urn:service:sos.police");
    assert_non_null(header(last_sent(), "P-Asserted-Identity"));
    assert_true(seam.gw[0]->emergency);
    seam_respond(seam.out[0], 200, "callee", CORE_SDP, NULL);
    seam_gw_done(seam.gw[0], true);
    assert_string_equal(seam.rx[0]->urn, "sos.police");
    seam_rx_done(seam.rx[0], EPC_POLICY_REFUSED, 5063); /* and no refusal stops it */
    assert_int_equal(in->final, 200);
    epc_sessions_registration_gone(ss, flow, "expired");
    assert_int_equal(epc_counter_read(EPC_C_SESSIONS), 1);
    down();
}

static void callback_of_the_centre(void **state)
{
    (void)state;
    struct epc_sip_in *in = begin(EPC_LEG_CORE, "INVITE", CORE_ROUTE "Priority: psap-callback\r\n");
    assert_true(seam.gw[0]->emergency);
    seam_respond(seam.out[0], 200, "callee", WIC_ANSWER, NULL);
    seam_gw_done(seam.gw[0], true);
    seam_rx_done(seam.rx[0], EPC_POLICY_REFUSED, 5063);
    assert_int_equal(in->final, 200);
    bye(EPC_LEG_CORE, "caller", "callee");
}

/* ---- transfer, subscriptions, INFO --------------------------------------------------------------------- */

static void refer_to(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        int status;
    } rows[] = {
        {"", 400},
        {"Refer-To: <sip:bob@ims.test>\r\n", 0},
        {"Refer-To: sip:bob@ims.test\r\n", 0},
        {"Refer-To: <sip:bob@ims.test?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n", 0},
        {"Refer-To: <tel:+15550002>\r\n", 0},
        {"Refer-To: <sip:xyz@a1b2c3.invalid;transport=ws>\r\n", 403},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++) {
        struct epc_sip_in *in = begin(EPC_LEG_WIC, "REFER", rows[i].lines);
        if (in->final != rows[i].status)
            fail_msg("%s: %d", rows[i].lines, in->final);
        if (in->final)
            continue;
        assert_non_null(header(last_sent(), "Refer-To"));
        answer_last(202, NULL);
        assert_int_equal(in->final, 202);
    }
}

/* The WIC transfers its call, hears how it goes, and hangs up before it is over. */
static void wic_is_transferor(void **state)
{
    (void)state;
    up(NULL, NULL);
    struct epc_sip_in *in = in_dialog(EPC_LEG_WIC, "REFER", 2, "Refer-To: <sip:carol@ims.test>\r\n");
    assert_string_equal(header(last_sent(), "Refer-To"), "<sip:carol@ims.test>");
    answer_last(202, NULL);
    assert_int_equal(in->final, 202);
    in = in_dialog(EPC_LEG_CORE, "NOTIFY", 7, "Event: refer\r\nSubscription-State: active;expires=60\r\n");
    assert_int_equal(seam.out[seam.n_out - 1]->leg, EPC_LEG_WIC);
    answer_last(200, NULL);
    assert_int_equal(in->final, 200);
    in = receive(EPC_LEG_WIC, "BYE", 3, "callee", "caller", NULL);
    answer_last(200, NULL);
    in = in_dialog(EPC_LEG_CORE, "NOTIFY", 8, "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n");
    assert_int_equal(seam.out[seam.n_out - 1]->leg, EPC_LEG_WIC);
    answer_last(200, NULL);
    assert_int_equal(in->final, 200);
}

static void wic_is_transferee(void **state)
{
    (void)state;
    up(NULL, NULL);
    struct epc_sip_in *in = in_dialog(EPC_LEG_CORE, "REFER", 7, "Refer-To: <sip:carol@ims.test?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n");
    assert_string_equal(header(last_sent(), "Refer-To"), "<sip:carol@ims.test?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>");
    answer_last(202, NULL);
    assert_int_equal(in->final, 202);
    in = in_dialog(EPC_LEG_WIC, "NOTIFY", 2, "Event: refer\r\nSubscription-State: active;expires=60\r\n");
    assert_string_equal(sip_object(last_sent())->sip_route->r_url->url_user, "far");
    answer_last(200, NULL);
    assert_int_equal(in->final, 200);
    down();
}

static void replaces(void **state)
{
    (void)state;
    static const char good[] = "Replaces: call-0;to-tag=1;from-tag=2\r\n";
    struct epc_sip_in *in = begin(EPC_LEG_CORE, "INVITE", "Replaces: call-0;to-tag=1;from-tag=2\r\nRequire: replaces\r\n");
    assert_string_equal(header(last_sent(), "Replaces"), "call-0;to-tag=1;from-tag=2");
    assert_string_equal(header(last_sent(), "Require"), "replaces");
    answer_last(481, NULL);
    assert_int_equal(in->final, 481);
    in = begin(EPC_LEG_WIC, "INVITE", good);
    assert_string_equal(header(last_sent(), "Replaces"), "call-0;to-tag=1;from-tag=2");
    answer_last(486, NULL);
    assert_int_equal(in->final, 486);
    assert_int_equal(begin(EPC_LEG_WIC, "INVITE", "Replaces: a;to-tag=1;from-tag=2\r\nJoin: b;to-tag=1;from-tag=2\r\n")->final, 400);
    assert_int_equal(begin(EPC_LEG_WIC, "MESSAGE", good)->final, 400);
}

static int64_t loose_dialogs(void)
{
    return epc_counter_read(EPC_C_SESSION_LOOSE_DIALOGS);
}

/* A subscription of the WIC's: its route is kept, whatever the WIC writes later. */
static void subscription(void **state)
{
    (void)state;
    struct epc_sip_in *in = begin(EPC_LEG_WIC, "SUBSCRIBE", "Event: presence\r\nExpires: 600\r\n");
    assert_non_null(sip_object(last_sent())->sip_record_route);
    char vector[256];
    snprintf(vector, sizeof vector, "%.255s", header(last_sent(), "P-Charging-Vector"));
    answer_last(200, "Expires: 600\r\n");
    assert_int_equal(in->final, 200);
    assert_int_equal(loose_dialogs(), 1);
    in = in_dialog(EPC_LEG_CORE, "NOTIFY", 1, "Event: presence\r\nSubscription-State: active\r\n");
    assert_int_equal(seam.out[seam.n_out - 1]->leg, EPC_LEG_WIC);
    answer_last(200, NULL);
    assert_int_equal(in->final, 200);
    in = in_dialog(EPC_LEG_WIC, "SUBSCRIBE", 2, "Event: presence\r\nExpires: 0\r\nRoute: <sip:elsewhere@192.0.2.66;lr>\r\n");
    assert_string_equal(sip_object(last_sent())->sip_route->r_url->url_user, "far");
    assert_string_equal(header(last_sent(), "P-Charging-Vector"), vector);
    answer_last(200, "Expires: 0\r\n");
    assert_int_equal(loose_dialogs(), 1); /* a last NOTIFY is to come */
    assert_true(seams_fire_timer());
    assert_int_equal(loose_dialogs(), 0);
    /* unknown now: the WIC's word alone leads nowhere else */
    assert_int_equal(in_dialog(EPC_LEG_WIC, "SUBSCRIBE", 3, "Route: <sip:elsewhere@192.0.2.66;lr>\r\n")->final, 403);
}

static void subscriptions_are_bounded(void **state)
{
    (void)state;
    char tag[16];
    cfg.sip.n_trusted = 1;
    for (int i = 0; i < 10; i++) {
        snprintf(tag, sizeof tag, "t%d", i);
        struct epc_sip_in *in = request(EPC_LEG_CORE, "SUBSCRIBE", 1, NULL, tag, NULL, CORE_ROUTE "Event: x\r\n");
        epc_sessions_request(ss, in);
        answer_last(200, "Expires: 60\r\n");
        seam_over(seam.out[seam.n_out - 1]);
    }
    assert_int_equal(loose_dialogs(), 10);
    epc_sessions_flow_moved(ss, flow, 2);
    flow = 2;
    struct epc_sip_in *in = request(EPC_LEG_WIC, "NOTIFY", 1, "t3", "callee", NULL, "Event: x\r\nSubscription-State: terminated\r\n");
    epc_sessions_request(ss, in);
    assert_string_equal(sip_object(last_sent())->sip_route->r_url->url_user, "scscf");
    answer_last(200, NULL);
    epc_sessions_registration_gone(ss, 2, "expired");
    assert_int_equal(loose_dialogs(), 0);
}

static void publish(void **state)
{
    (void)state;
    struct epc_sip_in *in = begin(EPC_LEG_WIC, "PUBLISH", "Event: presence\r\nSIP-If-Match: abc\r\nExpires: 60\r\n");
    assert_string_equal(header(last_sent(), "SIP-If-Match"), "abc");
    assert_null(sip_object(last_sent())->sip_record_route);
    answer_last(200, "SIP-ETag: def\r\n");
    assert_string_equal(header(in->answer[0], "SIP-ETag"), "def");
}

static void unknown_method(void **state)
{
    (void)state;
    struct epc_sip_in *in = begin(EPC_LEG_WIC, "WOBBLE", NULL);
    assert_string_equal(sip_object(last_sent())->sip_request->rq_method_name, "WOBBLE");
    assert_string_equal(sip_object(last_sent())->sip_route->r_url->url_user, "orig");
    answer_last(501, NULL);
    assert_int_equal(in->final, 501);
    assert_int_equal(begin(EPC_LEG_WIC, "UPDATE", NULL)->final, 481);
    assert_int_equal(begin(EPC_LEG_CORE, "BYE", NULL)->final, 481);
}

static void info_packages(void **state)
{
    (void)state;
    up(NULL, NULL);
    struct epc_sip_in *in = in_dialog(EPC_LEG_WIC, "INFO", 2, "Content-Type: application/dtmf-relay\r\n");
    answer_last(200, NULL);
    assert_int_equal(in->final, 200);
    int sent = seam.n_out;
    assert_int_equal(in_dialog(EPC_LEG_WIC, "INFO", 3, "Info-Package: trickle-ice\r\n")->final, 469);
    assert_int_equal(in_dialog(EPC_LEG_CORE, "INFO", 4, "Content-Type: application/trickle-ice-sdpfrag\r\n")->final, 469);
    cfg.calls.trickle = EPC_TRICKLE_ABSORB;
    assert_int_equal(in_dialog(EPC_LEG_WIC, "INFO", 5, "Info-Package: trickle-ice\r\n")->final, 200);
    assert_int_equal(seam.n_out, sent);
    down();
}

static void options_in_a_dialog(void **state)
{
    (void)state;
    up(NULL, NULL);
    struct epc_sip_in *in = in_dialog(EPC_LEG_CORE, "OPTIONS", 4, NULL);
    assert_int_equal(seam.out[seam.n_out - 1]->leg, EPC_LEG_WIC);
    seam_respond(seam.out[seam.n_out - 1], 200, "callee", WIC_ANSWER, NULL);
    assert_int_equal(in->final, 200);
    assert_null(epc_sip_sdp(sip_object(in->answer[0])).p); /* what stays at the edge */
    down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_identities), TEST(companion_is_asserted), TEST(strict_identity), TEST(called_identity),
        TEST(privacy_of_the_wic), TEST(preferred_service), TEST(resource_priority), TEST(charging_vector),
        TEST(strict_routes), TEST(route_is_replaced), TEST(tokens_in_dialogs), TEST(hidden_bodies),
        TEST(source_of_failures), TEST(interval_is_negotiated), TEST(too_small_interval), TEST(callee_without_timers),
        TEST(session_expires), TEST(edge_refreshes), TEST(unrefreshed_is_released), TEST(emergency_numbers),
        TEST(emergency_alternative), TEST(emergency_to_the_ecscf), TEST(callback_of_the_centre), TEST(refer_to),
        TEST(wic_is_transferor), TEST(wic_is_transferee), TEST(replaces), TEST(subscription),
        TEST(subscriptions_are_bounded), TEST(publish), TEST(unknown_method), TEST(info_packages),
        TEST(options_in_a_dialog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
