/* Before the call is answered: early dialogs and their media, reliable provisional responses and
 * preconditions on behalf of a WIC. */
#include "call_fixture.h"

#define CORE_FROM(address, port)                                                                       \
    "v=0\r\no=phone 5 5 IN IP4 " address "\r\ns=-\r\nc=IN IP4 " address "\r\nt=0 0\r\n"                \
    "m=audio " port " RTP/AVP 0 126\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:126 telephone-event/8000\r\n"  \
    "a=sendrecv\r\n"
#define FORK_A CORE_FROM("10.20.0.5", "30000")
#define FORK_B CORE_FROM("10.20.0.6", "31000")
#define RELIABLE(n) "Require: 100rel\r\nRSeq: " n "\r\n"
#define FROM_CALLEE CORE_ROUTE "Contact: <sip:phone@10.20.0.5>\r\n"

static int with_features(void **state)
{
    int rc = setup(state);
    cfg.calls.reliable_for_wic = true;
    cfg.calls.early_media_supported = true;
    cfg.policy.mode = EPC_POLICY_OFF;
    return rc;
}

static int with_closed_gate(void **state)
{
    int rc = with_features(state);
    cfg.calls.early_media = EPC_EARLY_MEDIA_CLOSED;
    return rc;
}

static const char *header(msg_t *msg, const char *name)
{
    static char text[1024];
    struct epc_str v = epc_sip_get(msg, name, 0);
    snprintf(text, sizeof text, "%.*s", EPC_STR_ARG(v));
    return text;
}

static msg_t *last_answer(const struct epc_sip_in *in)
{
    assert_true(in->n_answers > 0);
    return in->answer[in->n_answers - 1];
}

static struct epc_sip_out *last_out(void)
{
    return seam.out[seam.n_out - 1];
}

/* A response that brings SDP which the gateway has to carry out. */
static void respond_with_sdp(struct epc_sip_out *out, int status, const char *tag, const char *sdp, const char *extra)
{
    seam_respond(out, status, tag, sdp, extra);
    assert_non_null(seam.gw[0]->done);
    seam_gw_done(seam.gw[0], true);
}

static struct epc_str gateway_peer(void)
{
    return seam.gw[0]->remote->media[0].c_addr;
}

#define assert_str_is(slice, text) assert_true(epc_str_eqc(slice, text))

/* ---- early media (RFC 5009) -------------------------------------------------------------------------- */

static void header_opens_and_shuts(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    assert_string_equal(header(seam.out[0]->msg, "P-Early-Media"), "supported");
    assert_true(seam.gw[0]->shut_access && seam.gw[0]->shut_core); /* closed, until somebody says more */
    respond_with_sdp(seam.out[0], 183, "callee", FORK_A, "P-Early-Media: sendonly\r\n");
    assert_false(seam.gw[0]->shut_access);
    assert_true(seam.gw[0]->shut_core);
    seam_respond(seam.out[0], 180, "callee", NULL, NULL); /* says nothing: what was said holds */
    assert_false(seam.gw[0]->shut_access);
    seam_respond(seam.out[0], 180, "callee", NULL, "P-Early-Media: inactive\r\n");
    assert_true(seam.gw[0]->shut_access && seam.gw[0]->shut_core);
    seam_respond(seam.out[0], 180, "callee", NULL, "P-Early-Media: sendrecv, foo\r\n");
    assert_false(seam.gw[0]->shut_access || seam.gw[0]->shut_core);
    seam_respond(seam.out[0], 180, "callee", NULL, "P-Early-Media: foo\r\n"); /* no authorisation at all */
    assert_false(seam.gw[0]->shut_access || seam.gw[0]->shut_core);
    seam_respond(seam.out[0], 180, "callee", NULL, "P-Early-Media: recvonly\r\n");
    assert_true(seam.gw[0]->shut_access);
    assert_false(seam.gw[0]->shut_core);
    seam_respond(seam.out[0], 180, "callee", NULL, "P-Early-Media: inactive, gated\r\n"); /* not ours to do */
    assert_false(seam.gw[0]->shut_access || seam.gw[0]->shut_core);
    seam_respond(seam.out[0], 180, "callee", NULL, "P-Early-Media: inactive\r\n");
    seam_respond(seam.out[0], 200, "callee", FORK_A, NULL);
    if (seam.gw[0]->done)
        seam_gw_done(seam.gw[0], true);
    assert_int_equal(in->final, 200);
    assert_false(seam.gw[0]->shut_access || seam.gw[0]->shut_core); /* the answer opens all */
    int gates = seam.gw[0]->gates;
    ack(EPC_LEG_WIC, NULL);
    hang_up();
    assert_int_equal(seam.gw[0]->gates, gates);
}

static void open_unless_said(void **state)
{
    (void)state;
    offer_from_wic();
    respond_with_sdp(seam.out[0], 183, "callee", FORK_A, NULL);
    assert_int_equal(seam.gw[0]->gates, 0); /* nothing to tell the gateway */
    seam_respond(seam.out[0], 183, "callee", NULL, "P-Early-Media: inactive\r\n");
    assert_true(seam.gw[0]->shut_access && seam.gw[0]->shut_core);
    seam_respond(seam.out[0], 486, "callee", NULL, NULL);
}

static void callee_behind_a_shut_gate(void **state)
{
    (void)state;
    struct epc_sip_in *in = request(EPC_LEG_CORE, "INVITE", 1, NULL, "caller", CORE_SDP, CORE_ROUTE);
    epc_sessions_request(ss, in);
    seam_gw_done(seam.gw[0], true);
    assert_true(seam.gw[0]->shut_access && seam.gw[0]->shut_core);
    respond_with_sdp(seam.out[0], 183, "callee", WIC_ANSWER, "P-Early-Media: sendrecv\r\n"); /* not its word */
    assert_true(seam.gw[0]->shut_access && seam.gw[0]->shut_core);
    assert_string_equal(header(last_answer(in), "P-Early-Media"), "");
    seam_respond(seam.out[0], 200, "callee", WIC_ANSWER, NULL);
    if (seam.gw[0]->done)
        seam_gw_done(seam.gw[0], true);
    assert_false(seam.gw[0]->shut_access || seam.gw[0]->shut_core);
    ack(EPC_LEG_CORE, NULL);
    bye(EPC_LEG_CORE, "caller", "callee");
}

/* ---- several early dialogs ------------------------------------------------------------------------------ */

static void media_follow_the_newest(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    respond_with_sdp(seam.out[0], 183, "a", FORK_A, "P-Early-Media: sendrecv\r\n");
    assert_str_is(gateway_peer(), "10.20.0.5");
    assert_false(seam.gw[0]->shut_access);
    respond_with_sdp(seam.out[0], 183, "b", FORK_B, "P-Early-Media: inactive\r\n");
    assert_str_is(gateway_peer(), "10.20.0.6");
    assert_true(seam.gw[0]->shut_access); /* b's media are there, and not authorised */
    seam_respond(seam.out[0], 180, "a", NULL, "P-Early-Media: sendonly\r\n");
    assert_true(seam.gw[0]->shut_access); /* a is not who is heard */
    const char *ufrag = strstr(body(in->answer[0]), "a=ice-ufrag:");
    assert_non_null(ufrag);
    char first[64];
    snprintf(first, sizeof first, "%.*s", (int)strcspn(ufrag, "\r"), ufrag);
    assert_non_null(strstr(body(in->answer[1]), first)); /* one ICE identity for both */
    respond_with_sdp(seam.out[0], 200, "a", FORK_A, NULL);
    assert_str_is(gateway_peer(), "10.20.0.5");
    assert_false(seam.gw[0]->shut_access);
    ack(EPC_LEG_WIC, NULL);
    bye(EPC_LEG_WIC, "caller", "a");
}

/* Reliable answers are final, each in its own dialog; the 2xx decides without repeating one. */
static void reliable_forks(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    respond_with_sdp(seam.out[0], 183, "a", FORK_A, RELIABLE("1") FROM_CALLEE);
    assert_int_equal(seam.n_out, 2);
    respond_with_sdp(seam.out[0], 183, "b", FORK_B, RELIABLE("70") FROM_CALLEE);
    assert_str_is(gateway_peer(), "10.20.0.6");
    assert_int_equal(seam.n_out, 3);
    seam_respond(seam.out[0], 200, "a", NULL, FROM_CALLEE);
    assert_non_null(seam.gw[0]->done); /* back to a's answer */
    seam_gw_done(seam.gw[0], true);
    assert_str_is(gateway_peer(), "10.20.0.5");
    assert_int_equal(in->final, 200);
    assert_non_null(strstr(body(last_answer(in)), "m=audio 40000"));
    ack(EPC_LEG_WIC, NULL);
    assert_int_equal(sip_object(seam.ack[0])->sip_cseq->cs_seq, 1);
    struct epc_sip_in *b = receive(EPC_LEG_WIC, "BYE", 2, "a", "caller", NULL);
    assert_int_equal(sip_object(last_out()->msg)->sip_cseq->cs_seq, 4); /* behind two PRACKs */
    seam_respond(last_out(), 200, "a", NULL, NULL);
    assert_int_equal(b->final, 200);
    assert_int_equal(sip_object(last_answer(b))->sip_cseq->cs_seq, 2);
}

/* ---- reliable provisional responses for a WIC that calls ----------------------------------------------------- */

static void acknowledged_for_the_wic(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    assert_true(epc_sip_lists(seam.out[0]->msg, "Supported", "100rel"));
    respond_with_sdp(seam.out[0], 183, "callee", FORK_A, RELIABLE("17") FROM_CALLEE);
    assert_int_equal(seam.n_out, 2);
    const sip_t *prack = sip_object(seam.out[1]->msg);
    assert_int_equal(prack->sip_request->rq_method, sip_method_prack);
    assert_int_equal(prack->sip_rack->ra_response, 17);
    assert_int_equal(prack->sip_rack->ra_cseq, 1);
    assert_int_equal(prack->sip_cseq->cs_seq, 2);
    assert_string_equal(prack->sip_to->a_tag, "callee");
    assert_int_equal(in->n_answers, 1);
    assert_string_equal(header(in->answer[0], "RSeq"), "");
    assert_false(epc_sip_lists(in->answer[0], "Require", "100rel"));
    assert_non_null(strstr(body(in->answer[0]), "m=audio 40000"));
    /* A copy, and one from the future. */
    seam_respond(seam.out[0], 183, "callee", FORK_A, RELIABLE("17") FROM_CALLEE);
    seam_respond(seam.out[0], 180, "callee", NULL, RELIABLE("19") FROM_CALLEE);
    assert_int_equal(seam.n_out, 2);
    assert_int_equal(in->n_answers, 1);
    assert_int_equal(epc_counter_read(EPC_C_SESSION_RELIABLE_OUT_OF_ORDER), 1);
    seam_respond(seam.out[0], 180, "callee", NULL, RELIABLE("18") FROM_CALLEE);
    assert_int_equal(seam.n_out, 3);
    assert_int_equal(in->n_answers, 2);
    seam_respond(seam.out[0], 200, "callee", NULL, FROM_CALLEE);
    assert_int_equal(in->final, 200);
    assert_non_null(strstr(body(last_answer(in)), "m=audio 40000")); /* the WIC saw only previews */
    ack(EPC_LEG_WIC, NULL);
    assert_int_equal(sip_object(seam.ack[0])->sip_cseq->cs_seq, 1);
    hang_up();
}

static void wic_that_can_is_left_alone(void **state)
{
    (void)state;
    struct epc_sip_in *in = request(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", WIC_OFFER, "Supported: 100rel\r\n");
    epc_sessions_request(ss, in);
    seam_gw_done(seam.gw[0], true);
    respond_with_sdp(seam.out[0], 183, "callee", FORK_A, RELIABLE("17") FROM_CALLEE);
    assert_int_equal(seam.n_out, 1);
    assert_string_equal(header(in->answer[0], "RSeq"), "17");
    assert_true(epc_sip_lists(in->answer[0], "Require", "100rel"));
    seam_respond(seam.out[0], 486, "callee", NULL, NULL);
}

static void no_offer_no_promise(void **state)
{
    (void)state;
    struct epc_sip_in *in = receive(EPC_LEG_WIC, "INVITE", 1, NULL, "caller", NULL);
    assert_false(epc_sip_lists(seam.out[0]->msg, "Supported", "100rel"));
    seam_respond(seam.out[0], 486, "callee", NULL, NULL);
    assert_int_equal(in->final, 486);
}

static void early_update(void **state)
{
    (void)state;
    struct epc_sip_in *in = offer_from_wic();
    respond_with_sdp(seam.out[0], 183, "callee", FORK_A, RELIABLE("1") FROM_CALLEE);
    struct epc_sip_in *up = receive(EPC_LEG_CORE, "UPDATE", 1, "caller", "callee", FORK_A);
    assert_int_equal(up->final, 200);
    assert_non_null(strstr(up->reply_sdp, "m=audio 50000 RTP/AVP 0"));
    assert_null(seam.gw[0]->done);
    struct epc_sip_in *refresh = request(EPC_LEG_CORE, "UPDATE", 2, "caller", "callee", NULL,
                                         "P-Early-Media: inactive\r\n");
    epc_sessions_request(ss, refresh);
    assert_int_equal(refresh->final, 200);
    assert_true(seam.gw[0]->shut_access);
    /* Media from elsewhere: the gateway's business, not the WIC's. */
    int sent = seam.n_out;
    struct epc_sip_in *other = receive(EPC_LEG_CORE, "UPDATE", 3, "caller", "callee", FORK_B);
    seam_gw_done(seam.gw[0], true);
    assert_true(seam.gw[0]->is_answer);
    assert_true(epc_str_eqc(seam.gw[0]->remote->media[0].ice_ufrag, "wicu"));
    assert_int_equal(seam.gw[0]->remote->media[0].setup, EPC_SETUP_ACTIVE);
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(other->final, 200);
    assert_non_null(strstr(other->reply_sdp, "m=audio 50000 RTP/AVP 0"));
    assert_int_equal(seam.n_out, sent);
    /* Nothing that the WIC uses, and a gateway that cannot: both are told so, and all is as before. */
    struct epc_sip_in *gsm = receive(EPC_LEG_CORE, "UPDATE", 4, "caller", "callee",
                                     "v=0\r\no=phone 5 9 IN IP4 10.20.0.6\r\ns=-\r\nc=IN IP4 10.20.0.6\r\nt=0 0\r\n"
                                     "m=audio 31000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n");
    seam_gw_done(seam.gw[0], true);
    assert_int_equal(gsm->final, 488);
    struct epc_sip_in *late = receive(EPC_LEG_CORE, "UPDATE", 5, "caller", "callee", FORK_A);
    seam_gw_done(seam.gw[0], false);
    assert_int_equal(late->final, 503);
    assert_int_equal(seam.restores, 2);
    seam_respond(seam.out[0], 486, "callee", NULL, NULL);
    assert_int_equal(in->final, 486);
}

/* ---- ... that is called -------------------------------------------------------------------------------------- */

static struct epc_sip_in *called_with(const char *extra)
{
    char lines[512];
    snprintf(lines, sizeof lines, CORE_ROUTE "%s", extra);
    struct epc_sip_in *in = request(EPC_LEG_CORE, "INVITE", 1, NULL, "caller", CORE_SDP, lines);
    epc_sessions_request(ss, in);
    seam_gw_done(seam.gw[0], true);
    return in;
}

static struct epc_sip_in *prack(unsigned cseq, const char *rack)
{
    char line[96];
    snprintf(line, sizeof line, "RAck: %s\r\n", rack);
    struct epc_sip_in *in = request(EPC_LEG_CORE, "PRACK", cseq, "callee", "caller", NULL, line);
    epc_sessions_request(ss, in);
    return in;
}

static void made_reliable(void **state)
{
    (void)state;
    struct epc_sip_in *in = called_with("Require: 100rel\r\nSupported: 100rel, timer\r\n");
    assert_false(epc_sip_lists(seam.out[0]->msg, "Require", "100rel"));
    assert_false(epc_sip_lists(seam.out[0]->msg, "Supported", "100rel"));
    assert_true(epc_sip_lists(seam.out[0]->msg, "Supported", "timer"));
    seam_respond(seam.out[0], 180, "callee", NULL, NULL);
    assert_int_equal(in->n_answers, 1);
    assert_true(epc_sip_lists(in->answer[0], "Require", "100rel"));
    unsigned long rseq = strtoul(header(in->answer[0], "RSeq"), NULL, 10);
    assert_true(rseq > 0);
    seam_respond(seam.out[0], 182, "callee", NULL, NULL);
    assert_int_equal(in->n_answers, 1); /* not before the first has its PRACK */
    assert_true(seams_fire_timer());
    assert_int_equal(in->n_answers, 2); /* which is repeated */
    assert_string_equal(header(in->answer[1], "RSeq"), header(in->answer[0], "RSeq"));
    char rack[64];
    snprintf(rack, sizeof rack, "%lu 1 INVITE", rseq + 1);
    assert_int_equal(prack(2, rack)->final, 481);
    assert_int_equal(in->n_answers, 2);
    snprintf(rack, sizeof rack, "%lu 1 INVITE", rseq);
    assert_int_equal(prack(3, rack)->final, 200);
    assert_int_equal(in->n_answers, 3);
    assert_int_equal(in->status[2], 182);
    assert_int_equal(strtoul(header(in->answer[2], "RSeq"), NULL, 10), rseq + 1);
    /* Without a description in the way, the answer does not wait. */
    respond_with_sdp(seam.out[0], 200, "callee", WIC_ANSWER, NULL);
    assert_int_equal(in->final, 200);
    assert_string_equal(header(last_answer(in), "RSeq"), "");
    ack(EPC_LEG_CORE, NULL);
    bye(EPC_LEG_CORE, "caller", "callee");
}

static void answer_waits_for_prack(void **state)
{
    (void)state;
    struct epc_sip_in *in = called_with("Require: 100rel\r\n");
    respond_with_sdp(seam.out[0], 183, "callee", WIC_ANSWER, NULL);
    assert_int_equal(in->n_answers, 1);
    seam_respond(seam.out[0], 200, "callee", WIC_ANSWER, NULL);
    assert_int_equal(in->final, 0);
    char rack[64];
    snprintf(rack, sizeof rack, "%.20s 1 INVITE", header(in->answer[0], "RSeq"));
    assert_int_equal(prack(2, rack)->final, 200);
    assert_int_equal(in->final, 200);
    ack(EPC_LEG_CORE, NULL);
    bye(EPC_LEG_CORE, "caller", "callee");
}

static void nobody_acknowledges(void **state)
{
    (void)state;
    struct epc_sip_in *in = called_with("Require: 100rel\r\n");
    respond_with_sdp(seam.out[0], 183, "callee", WIC_ANSWER, NULL);
    for (int i = 0; i < 20 && !in->final; i++)
        seams_fire_timer();
    assert_int_equal(in->final, 504);
    assert_true(in->n_answers > 5);
    assert_true(seam.out[0]->cancelled);
    seam_respond(seam.out[0], 487, "callee", NULL, NULL);
}

static void refused_while_waiting(void **state)
{
    (void)state;
    struct epc_sip_in *in = called_with("Require: 100rel\r\n");
    seam_respond(seam.out[0], 180, "callee", NULL, NULL);
    seam_respond(seam.out[0], 183, "callee", NULL, NULL);
    seam_respond(seam.out[0], 486, "callee", NULL, NULL);
    assert_int_equal(in->final, 486);
    assert_int_equal(in->n_answers, 2);
}

/* ---- preconditions (RFC 3312) ---------------------------------------------------------------------------------- */

static void preconditions_are_acted_for(void **state)
{
    (void)state;
    struct epc_sip_in *in = called_with("Require: precondition\r\nSupported: 100rel, precondition\r\n");
    assert_false(epc_sip_lists(seam.out[0]->msg, "Require", "precondition"));
    assert_false(epc_sip_lists(seam.out[0]->msg, "Supported", "precondition"));
    seam_respond(seam.out[0], 486, "callee", NULL, NULL);
    assert_int_equal(in->final, 486);
}

static void preconditions_are_refused(void **state)
{
    (void)state;
    cfg.calls.preconditions = EPC_PRECONDITIONS_REFUSE;
    struct epc_sip_in *in = request(EPC_LEG_CORE, "INVITE", 1, NULL, "caller", CORE_SDP,
                                    CORE_ROUTE "Require: precondition\r\n");
    epc_sessions_request(ss, in);
    assert_int_equal(in->final, 420);
    assert_string_equal(in->unsupported, "precondition");
    assert_int_equal(seam.n_out, 0);
}

#define OPEN(f) cmocka_unit_test_setup_teardown(f, with_features, teardown)
#define SHUT(f) cmocka_unit_test_setup_teardown(f, with_closed_gate, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHUT(header_opens_and_shuts),      OPEN(open_unless_said),          SHUT(callee_behind_a_shut_gate),
        SHUT(media_follow_the_newest),     OPEN(reliable_forks),            OPEN(acknowledged_for_the_wic),
        OPEN(wic_that_can_is_left_alone),  OPEN(no_offer_no_promise),       OPEN(early_update),
        OPEN(made_reliable),               OPEN(answer_waits_for_prack),    OPEN(nobody_acknowledges),
        OPEN(refused_while_waiting),       OPEN(preconditions_are_acted_for), OPEN(preconditions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
