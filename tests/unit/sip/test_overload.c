/* Overload: when it begins and ends, what is refused first, and what a refusal looks like. Time is what the
 * test says it is. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DELAY = 50, INTERVAL = 500 };

/* ---- the decision ---- */

static void round_of(struct epc_overload *o, uint64_t *now, unsigned length)
{
    uint64_t began = *now;
    epc_overload_look(o, began, began);
    epc_overload_look(o, began, *now += length);
}

static void a_burst_is_served(void **state)
{
    struct epc_overload o;
    uint64_t now = 100000;
    (void)state;
    epc_overload_init(&o, DELAY, INTERVAL, now);
    now += 3000; /* nothing happened */
    for (unsigned i = 0; i < 4; i++)
        round_of(&o, &now, 100);
    assert_false(o.on);
    round_of(&o, &now, 10); /* it has caught up */
    for (unsigned i = 0; i < 4; i++)
        round_of(&o, &now, 100);
    assert_false(o.on);
    assert_false(epc_overload_refuses(&o, EPC_WORTH_NEW, now));
}

static void short_rounds_without_rest_are_none(void **state)
{
    struct epc_overload o;
    uint64_t now = 100000;
    (void)state;
    epc_overload_init(&o, DELAY, INTERVAL, now);
    for (unsigned i = 0; i < 1000; i++)
        round_of(&o, &now, DELAY - 1);
    assert_false(o.on);
}

static void never_when_off(void **state)
{
    struct epc_overload o;
    uint64_t now = 100000;
    (void)state;
    epc_overload_init(&o, 0, INTERVAL, now);
    for (unsigned i = 0; i < 100; i++)
        round_of(&o, &now, 1000);
    assert_false(o.on);
}

static void overload(struct epc_overload *o, uint64_t *now)
{
    epc_overload_init(o, DELAY, INTERVAL, *now);
    for (unsigned i = 0; i < 7; i++)
        round_of(o, now, 100);
    assert_true(o->on);
}

static void older_rounds_refuse_more(void **state)
{
    struct epc_overload o;
    uint64_t now = 100000, began;
    (void)state;
    overload(&o, &now);
    began = now;
    epc_overload_look(&o, began, began);
    for (int worth = EPC_WORTH_EARLY; worth <= EPC_WORTH_KEEP; worth++)
        assert_false(epc_overload_refuses(&o, (enum epc_worth)worth, began + DELAY / 2 - 1));
    for (int worth = EPC_WORTH_NEW; worth <= EPC_WORTH_KEEP; worth++)
        assert_false(epc_overload_refuses(&o, (enum epc_worth)worth, began + DELAY - 1));
    assert_true(epc_overload_refuses(&o, EPC_WORTH_EARLY, began + DELAY / 2));
    for (int worth = EPC_WORTH_NEW; worth < EPC_WORTH_KEEP; worth++) {
        uint64_t at = began + DELAY * (uint64_t)worth;
        for (int more = worth + 1; more <= EPC_WORTH_KEEP; more++)
            assert_false(epc_overload_refuses(&o, (enum epc_worth)more, at));
        assert_true(epc_overload_refuses(&o, (enum epc_worth)worth, at));
    }
    assert_false(epc_overload_refuses(&o, EPC_WORTH_KEEP, began + 1000000));
}

/* As long as refreshes are refused, nobody new is taken, not even while the round is young. */
static void less_worth_goes_first(void **state)
{
    struct epc_overload o;
    uint64_t now = 100000;
    (void)state;
    overload(&o, &now);
    epc_overload_look(&o, now, now);
    assert_true(epc_overload_refuses(&o, EPC_WORTH_REFRESH, now + 2 * DELAY));
    now += 3 * DELAY;
    epc_overload_look(&o, now, now);
    assert_true(epc_overload_refuses(&o, EPC_WORTH_NEW, now));
    assert_false(epc_overload_refuses(&o, EPC_WORTH_REFRESH, now));
    assert_false(epc_overload_refuses(&o, EPC_WORTH_RELIEF, now));
    now += 10;
    assert_true(epc_overload_refuses(&o, EPC_WORTH_NEW, now)); /* for the whole round */
    epc_overload_look(&o, now, now);
    assert_false(epc_overload_refuses(&o, EPC_WORTH_NEW, now));
}

/* Refusals that fill the rounds leave less for serving; shorter rounds give it back. */
static void long_rounds_serve_less(void **state)
{
    struct epc_overload o;
    uint64_t now = 100000;
    (void)state;
    overload(&o, &now);
    for (unsigned i = 0; i < 3; i++)
        round_of(&o, &now, 10 * DELAY);
    epc_overload_look(&o, now, now);
    assert_true(epc_overload_refuses(&o, EPC_WORTH_NEW, now + DELAY / 2));
    assert_true(epc_overload_refuses(&o, EPC_WORTH_REFRESH, now + DELAY));
    assert_false(epc_overload_refuses(&o, EPC_WORTH_REFRESH, now + DELAY / 2));
    for (unsigned i = 0; i < 100; i++)
        round_of(&o, &now, 20 * DELAY);
    epc_overload_look(&o, now, now);
    assert_false(epc_overload_refuses(&o, EPC_WORTH_REFRESH, now)); /* never nothing */
    assert_false(epc_overload_refuses(&o, EPC_WORTH_KEEP, now + 20 * DELAY));
    for (unsigned i = 0; i < 40; i++)
        round_of(&o, &now, 2 * DELAY);
    epc_overload_look(&o, now, now);
    assert_false(epc_overload_refuses(&o, EPC_WORTH_REFRESH, now + 2 * DELAY - 1));
    assert_true(epc_overload_refuses(&o, EPC_WORTH_REFRESH, now + 2 * DELAY));
}

static void room(void **state)
{
    struct epc_overload o;
    uint64_t now = 100000;
    (void)state;
    overload(&o, &now);
    round_of(&o, &now, 3 * DELAY);
    assert_false(epc_overload_has_room(&o, now, now));       /* it was long */
    assert_true(epc_overload_has_room(&o, now + DELAY, now + DELAY)); /* and is over */
    assert_false(epc_overload_has_room(&o, now, now + DELAY));
    round_of(&o, &now, 1);
    assert_true(epc_overload_has_room(&o, now, now));
    assert_false(epc_overload_has_room(&o, now, now + DELAY)); /* much is being done */
    assert_true(o.on);
    epc_overload_refused(&o, now);
    assert_false(epc_overload_over(&o, now + INTERVAL - 1));
}

static void it_ends(void **state)
{
    struct epc_overload o;
    uint64_t now = 100000;
    (void)state;
    overload(&o, &now);
    epc_overload_look(&o, now, now);
    assert_true(epc_overload_refuses(&o, EPC_WORTH_NEW, now += DELAY));
    assert_false(epc_overload_over(&o, now + INTERVAL - 1));
    assert_true(o.on);
    assert_true(epc_overload_over(&o, now + INTERVAL));
    assert_false(o.on);
    assert_false(epc_overload_over(&o, now + 2 * INTERVAL)); /* told once */
}

/* ---- on the wire ---- */

/* The shard has been late for long, and this round is @p age old. */
static void make_late(struct rig *r, unsigned age)
{
    uint64_t now = epc_now_ms();
    r->cfg.overload_delay_ms = 1000; /* so that what the test itself takes does not count */
    r->cfg.overload_interval_ms = 100000;
    r->cfg.overload_retry_after_s = 5;
    epc_sip_overload_open(r->s);
    r->s->overload.good_ms = 0;
    r->s->overload.round_ms = r->s->overload.last_ms = now - age; /* in the midst of a round */
    fake_shard_looked(r->sh, now - age);
}

static void close_late(struct rig *r)
{
    fake_shard_turn(r->sh);
    epc_sip_overload_close(r->s);
    rig_close(r);
}

static void wic(struct rig *r, char *text)
{
    from_wic(r, text);
    free(text);
}

static unsigned retry_after(const char *m)
{
    const char *at = strstr(m, "\r\nRetry-After: ");
    return at ? (unsigned)atoi(at + 15) : 0;
}

static void refused(struct rig *r, char *request)
{
    char *copy = epc_str_dup(epc_str_c(request));
    wic(r, request);
    char *m = to_wic(r);
    expect_status(m, "503");
    assert_in_range(retry_after(m), 5, 15);
    msg_t *msg = epc_sip_parse(m, strlen(m)), *asked = epc_sip_parse(copy, strlen(copy));
    assert_non_null(msg);
    assert_true(epc_sip_check_response(msg));
    const sip_t *a = epc_sip_of(msg), *q = epc_sip_of(asked);
    assert_string_equal(a->sip_via->v_branch, q->sip_via->v_branch);
    assert_string_equal(a->sip_call_id->i_id, q->sip_call_id->i_id);
    assert_string_equal(a->sip_from->a_tag, q->sip_from->a_tag);
    assert_int_equal(a->sip_cseq->cs_seq, q->sip_cseq->cs_seq);
    assert_non_null(a->sip_to->a_tag);
    msg_destroy(msg);
    msg_destroy(asked);
    free(copy);
    free(m);
}

static void taken(struct rig *r, char *request)
{
    unsigned before = r->n_calls;
    wic(r, request);
    assert_int_equal(r->n_calls, before + 1);
    for (char *m; (m = fake_flow_take(r->w, FLOW)); free(m))
        expect_status(m, "100");
}

static void finish(struct rig *r)
{
    for (unsigned i = 0; i < r->n_calls; i++) {
        epc_sip_in_reply(r->calls[i].in, 480, NULL, NULL);
        epc_sip_in_release(r->calls[i].in);
    }
    for (char *m; (m = fake_flow_take(r->w, FLOW));)
        free(m);
}

static void wics_get_503(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    r.hold = true;
    int64_t fresh = epc_counter_read(EPC_C_SIP_OVERLOAD_NEW), begun = epc_counter_read(EPC_C_SIP_OVERLOADS);
    make_late(&r, 1500); /* too late for who is new, not for a refresh */
    refused(&r, wic_request("REGISTER", "z9hG4bK1", 1, NULL, NULL, NULL));
    epc_flow_set_note(r.flow, 0); /* it has waited */
    refused(&r, wic_request("MESSAGE", "z9hG4bK2", 1, NULL, NULL, NULL));
    assert_int_equal(epc_counter_read(EPC_C_SIP_OVERLOAD_NEW), fresh + 2);
    assert_int_equal(epc_counter_read(EPC_C_SIP_OVERLOADS), begun + 1);
    taken(&r, wic_request("REGISTER", "z9hG4bK3", 1, NULL, "Expires: 0\r\n", NULL));
    taken(&r, wic_request("REGISTER", "z9hG4bK4", 1, NULL, "Contact: <sip:a@b.invalid>;expires=0\r\n", NULL));
    refused(&r, wic_request("REGISTER", "z9hG4bK5", 1, NULL, "Contact: <sip:a@b.invalid>;expires=01\r\n", NULL));
    epc_flow_set_note(r.flow, 0); /* it has waited */
    taken(&r, wic_request("REGISTER", "z9hG4bK6", 1, NULL, "Authorization: Digest nonce=\"1\",response=\"2\"\r\n", NULL));
    fake_flow_registered(r.flow, true);
    taken(&r, wic_request("REGISTER", "z9hG4bK7", 1, NULL, NULL, NULL));
    taken(&r, wic_request("BYE", "z9hG4bK8", 1, "x", NULL, NULL));
    taken(&r, wic_request("MESSAGE", "z9hG4bK9", 1, "x", NULL, NULL));
    finish(&r);
    close_late(&r);
}

/* Told when to come back, and back too soon: told the rest of it, and not read for a while. */
static void too_early_is_held_back(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    r.hold = true;
    int64_t early = epc_counter_read(EPC_C_SIP_OVERLOAD_EARLY);
    make_late(&r, 1500);
    r.cfg.overload_pause_ms = 2000;
    refused(&r, wic_request("REGISTER", "z9hG4bK1", 1, NULL, NULL, NULL));
    assert_int_equal(fake_flow_paused(r.flow), 0);
    uint64_t told = epc_flow_note(r.flow);
    refused(&r, wic_request("REGISTER", "z9hG4bK2", 2, NULL, NULL, NULL));
    assert_int_equal(fake_flow_paused(r.flow), 2000);
    assert_int_equal(epc_flow_note(r.flow), told);
    assert_int_equal(epc_counter_read(EPC_C_SIP_OVERLOAD_EARLY), early + 1);

    /* Registered or not, a refresh is as early; what people do, and what is in a call, is not. */
    fake_flow_registered(r.flow, true);
    refused(&r, wic_request("REGISTER", "z9hG4bK3", 3, NULL, NULL, NULL));
    assert_int_equal(fake_flow_paused(r.flow), 4000);
    taken(&r, wic_request("INVITE", "z9hG4bK4", 1, NULL, NULL, NULL));
    taken(&r, wic_request("BYE", "z9hG4bK5", 1, "x", NULL, NULL));
    taken(&r, wic_request("REGISTER", "z9hG4bK6", 1, NULL, "Contact: <sip:a@b.invalid;sos>\r\n", NULL));

    /* What it had sent before it sent something else is given up, whatever was told. */
    epc_flow_set_note(r.flow, 0);
    fake_shard_looked(r.sh, epc_now_ms());
    fake_flow_superseded(r.flow, true);
    wic(&r, wic_request("REGISTER", "z9hG4bK7", 4, NULL, NULL, NULL));
    char *m = to_wic(&r);
    expect_status(m, "503");
    assert_int_equal(retry_after(m), 1);
    free(m);
    assert_int_equal(fake_flow_paused(r.flow), 4000); /* as before */
    taken(&r, wic_request("BYE", "z9hG4bK8", 2, "x", NULL, NULL));
    finish(&r);
    close_late(&r);
}

/* Who is held back is heard as soon as there is room, and not before. */
static void room_ends_pauses(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    r.hold = true;
    make_late(&r, 1500);
    r.cfg.overload_pause_ms = 60000;
    refused(&r, wic_request("REGISTER", "z9hG4bK1", 1, NULL, NULL, NULL));
    refused(&r, wic_request("REGISTER", "z9hG4bK2", 2, NULL, NULL, NULL));
    for (int i = 0; i < 20; i++)
        fake_shard_turn(r.sh);
    assert_int_equal(fake_flow_paused(r.flow), 60000);
    r.s->overload.delay_ms = 100000; /* nothing of this test is as old as that */
    fake_shard_looked(r.sh, 0);
    taken(&r, wic_request("BYE", "z9hG4bK3", 3, "x", NULL, NULL)); /* a round that is short */
    for (uint64_t until = epc_now_ms() + 20000; fake_flow_paused(r.flow) && epc_now_ms() < until;)
        fake_shard_turn(r.sh);
    assert_int_equal(fake_flow_paused(r.flow), 0);
    finish(&r);
    close_late(&r);
}

/* Where there is room, who comes early is served, and was not told anything that still holds. */
static void early_in_a_young_round(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    r.hold = true;
    make_late(&r, 1500);
    refused(&r, wic_request("REGISTER", "z9hG4bK1", 1, NULL, NULL, NULL));
    fake_shard_looked(r.sh, epc_now_ms());
    refused(&r, wic_request("REGISTER", "z9hG4bK2", 2, NULL, NULL, NULL)); /* one worth more was refused before */
    r.s->overload.delay_ms = 100000; /* nothing of this test is as old as that */
    uint64_t next = epc_now_ms() + 2;
    while (epc_now_ms() < next)
        ;
    fake_shard_looked(r.sh, epc_now_ms());
    taken(&r, wic_request("REGISTER", "z9hG4bK3", 3, NULL, NULL, NULL));
    assert_int_equal(epc_flow_note(r.flow), 0);
    finish(&r);
    close_late(&r);
}

static char *call_to(const char *uri, const char *branch)
{
    char *text = wic_request("INVITE", branch, 1, NULL, NULL, NULL), *out = NULL;
    const char *rest = strstr(text, " SIP/2.0");
    size_t n = strlen(uri) + strlen(rest) + 16;
    out = malloc(n);
    assert_non_null(out);
    snprintf(out, n, "INVITE %s%s", uri, rest);
    free(text);
    return out;
}

/* However late: emergency calls are taken. */
static void emergency_is_never_refused(void **state)
{
    static char *const numbers[] = {(char *)(uintptr_t)"112", (char *)(uintptr_t)"110=urn:service:sos.police"};
    struct rig r;
    (void)state;
    rig_open(&r);
    r.hold = true;
    epc_sip_set_emergency(r.s, numbers, 2);
    make_late(&r, 60000);
    refused(&r, wic_request("INVITE", "z9hG4bK1", 1, NULL, NULL, NULL));
    taken(&r, call_to("urn:service:sos", "z9hG4bK2"));
    taken(&r, call_to("URN:service:sos.fire", "z9hG4bK3"));
    taken(&r, call_to("sip:1-1-2@example.com;user=phone", "z9hG4bK4"));
    taken(&r, call_to("tel:110", "z9hG4bK5"));
    refused(&r, call_to("tel:1100", "z9hG4bK6"));
    refused(&r, wic_request("REGISTER", "z9hG4bK7", 1, NULL, "Expires: 0\r\n", NULL));
    taken(&r, wic_request("REGISTER", "z9hG4bK8", 1, NULL, "Contact: <sip:a@b.invalid;sos>\r\n", NULL));
    finish(&r);
    close_late(&r);
}

/* What the reader of refusals cannot make sense of, the parser answers. */
static void nonsense_is_the_parsers(void **state)
{
    static const char *const texts[] = {"REGISTER", "REGISTER sip:x SIP/2.0\r\n", "REGISTER sip:x SIP/2.0\r\n\r\n",
                                        "REGISTER sip:x SIP/3.0\r\nVia: a\r\nFrom: b\r\nTo: c\r\nCall-ID: d\r\nCSeq: e\r\n\r\n",
                                        " \r\n \r\n\r\n", "X Y SIP/2.0\nVia: a\n\n", "SIP/2.0 200 OK\r\n\r\n"};
    struct rig r;
    (void)state;
    rig_open(&r);
    make_late(&r, 60000);
    int64_t fresh = epc_counter_read(EPC_C_SIP_OVERLOAD_NEW);
    for (size_t i = 0; i < EPC_ARRAY_LEN(texts); i++)
        from_wic(&r, texts[i]);
    assert_int_equal(epc_counter_read(EPC_C_SIP_OVERLOAD_NEW), fresh);
    finish(&r);
    close_late(&r);
}

static void compact_and_folded_is_understood(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    make_late(&r, 60000);
    from_wic(&r, "MESSAGE sip:b@example.com SIP/2.0\r\nv: SIP/2.0/WSS x.invalid\r\n ;branch=z9hG4bKa\r\n"
                 "Via : SIP/2.0/WSS y.invalid;branch=z9hG4bKb\r\nf: <sip:a@example.com>;tag=1\r\nt: <sip:b@example.com;tag=no>\r\n"
                 "i: 77@x\r\nCSeq: 7 MESSAGE\r\nMax-Forwards: 70\r\n\r\n");
    char *m = to_wic(&r);
    expect_status(m, "503");
    msg_t *msg = epc_sip_parse(m, strlen(m));
    assert_true(epc_sip_check_response(msg));
    assert_non_null(epc_sip_of(msg)->sip_via->v_next);
    assert_non_null(epc_sip_of(msg)->sip_to->a_tag);
    msg_destroy(msg);
    free(m);
    close_late(&r);
}

static void core_gets_503(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    r.hold = true;
    make_late(&r, 60000);
    char *text = core_request(&r, "INVITE", "z9hG4bKc1", 1, NULL, token_route(&r, FLOW), NULL);
    peer_send(&r.core, text);
    free(text);
    char *m = to_core(&r);
    expect_status(m, "503");
    assert_int_equal(retry_after(m), 1);
    free(m);
    static const char *const never[] = {"Priority: emergency\r\n", "Resource-Priority: esnet.0\r\n"};
    for (unsigned i = 0; i < 2; i++) {
        char lines[512], branch[16];
        snprintf(lines, sizeof lines, "%s%s", token_route(&r, FLOW), never[i]);
        snprintf(branch, sizeof branch, "z9hG4bKd%u", i);
        text = core_request(&r, "INVITE", branch, 1, NULL, lines, NULL);
        peer_send(&r.core, text);
        free(text);
        m = to_core(&r);
        expect_status(m, "100");
        free(m);
    }
    text = core_request(&r, "OPTIONS", "z9hG4bKe", 1, NULL, NULL, NULL); /* a probe */
    peer_send(&r.core, text);
    free(text);
    m = to_core(&r);
    expect_status(m, "200");
    free(m);
    assert_int_equal(r.n_calls, 2);
    finish(&r);
    close_late(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_served),
        cmocka_unit_test(short_rounds_without_rest_are_none),
        cmocka_unit_test(never_when_off),
        cmocka_unit_test(older_rounds_refuse_more),
        cmocka_unit_test(less_worth_goes_first),
        cmocka_unit_test(long_rounds_serve_less), cmocka_unit_test(room),
        cmocka_unit_test(it_ends),
        cmocka_unit_test(wics_get_503),
        cmocka_unit_test(too_early_is_held_back),
        cmocka_unit_test(room_ends_pauses),
        cmocka_unit_test(early_in_a_young_round),
        cmocka_unit_test(emergency_is_never_refused),
        cmocka_unit_test(nonsense_is_the_parsers),
        cmocka_unit_test(compact_and_folded_is_understood),
        cmocka_unit_test(core_gets_503),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
