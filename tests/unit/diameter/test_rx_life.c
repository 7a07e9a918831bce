/* A Rx session from its first AAR to its STR: what each message carries, each result, each race. The
 * profile is the built-in one, which offers the WebRTC information and sends it where it is wanted. */
#include "rx_case.h"

#include <inttypes.h>

static void finish(struct call *c)
{
    on_shard(close_call, c);
    nothing_left();
}

static const struct epc_policy_result *first_result(struct call *c)
{
    ask(c);
    UNTIL(atomic_load(&c->n_results) == 1);
    return &c->result[0];
}

/* ---- what an AAR carries --------------------------------------------------------------------------- */

static void every_avp_of_an_initial_aar(void **state)
{
    (void)state;
    struct call c = {.ue = "10.46.0.2", .impu = "tel:+1-201-555-0123;phone-context=x",
                     .with = {.impi = "262019876543210@ims.mnc001.mcc262.3gppnetwork.org",
                              .icsi = "urn:urn-7:3gpp-service.ims.icsi.mcdata", .service_urn = "sos.police",
                              .called = "sip:bob@ims.test", .calling = "tel:+12015550123", .mps = "wps",
                              .reservation_priority = 5 + 1, .want_access_info = true}};
    json_t *all;
    fresh("{}");
    c.info[c.n_info] = one_component(1, EPC_MEDIA_AUDIO, 84000);
    c.info[c.n_info]->preliminary = c.info[c.n_info]->several_dialogues = true;
    c.info[c.n_info++]->component[0].rr_bps = 3000;
    assert_int_equal(first_result(&c)->outcome, EPC_POLICY_GRANTED);
    golden("aar_full.json", last(&all, "AAR"));
    json_decref(all);
    finish(&c);
}

static void imsi_only_where_the_impi_has_one(void **state)
{
    (void)state;
    static const char *const without[] = {
        NULL, "alice@ims.test", "26201@ims.mnc001.mcc262.3gppnetwork.org",
        "310019876543210@ims.mnc001.mcc262.3gppnetwork.org", /* of another country */
        "262019876543210@ims.mnc001.mcc262.3gppnetwork.org.evil.test"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(without); i++) {
        struct call c = {.with = {.impi = without[i]}};
        json_t *all;
        fresh("{}");
        first_result(&c);
        assert_int_equal(count_avps(last(&all, "AAR"), "Subscription-Id"), 1);
        json_decref(all);
        finish(&c);
    }
}

static void update_says_what_is_new(void **state)
{
    (void)state;
    struct call c = {0};
    json_t *all, *aar;
    struct epc_service_info *s = audio_video();
    fresh("{}");
    s->preliminary = s->several_dialogues = true;
    c.info[c.n_info++] = s;
    first_result(&c);

    /* Final, and for one dialogue: what was for all of them is told once more. */
    assert_int_equal(tell(&c, audio_video())->outcome, EPC_POLICY_GRANTED);
    aar = last(&all, "AAR");
    assert_int_equal(count("in", "AAR"), 2);
    assert_int_equal(avp_int(aar, "Rx-Request-Type"), 1);
    assert_int_equal(count_avps(aar, "Media-Component-Description"), 2);
    assert_non_null(avp_named(aar, "Service-Info-Status"));
    assert_int_equal(avp_int(aar, "Service-Info-Status"), 0);
    assert_non_null(avp_named(aar, "SIP-Forking-Indication"));
    assert_int_equal(avp_int(aar, "SIP-Forking-Indication"), 0);
    assert_null(avp_named(aar, "Specific-Action")); /* 5.3.13 */
    assert_null(avp_named(aar, "Supported-Features"));
    assert_null(avp_named(aar, "Framed-IP-Address"));
    json_decref(all);

    /* One component, and a new one. */
    tell(&c, video_update());
    aar = last(&all, "AAR");
    assert_int_equal(count_avps(aar, "Media-Component-Description"), 1);
    assert_null(avp_named(aar, "Service-Info-Status"));
    assert_null(avp_named(aar, "SIP-Forking-Indication"));
    json_decref(all);

    /* One that goes: its number and REMOVED. */
    s = video_update();
    s->component[0].status = EPC_FLOW_REMOVED;
    tell(&c, s);
    aar = last(&all, "AAR");
    json_t *mcd = json_object_get(avp_named(aar, "Media-Component-Description"), "avps");
    assert_int_equal(json_array_size(mcd), 2);
    assert_int_equal(avp_int(mcd, "Media-Component-Number"), 2);
    assert_int_equal(avp_int(mcd, "Flow-Status"), 4);
    json_decref(all);
    assert_int_equal(count("in", "AAR"), 4);
    finish(&c);
}

static void nothing_new_nothing_sent(void **state)
{
    (void)state;
    struct call c = {0};
    fresh("{}");
    first_result(&c);
    assert_int_equal(tell(&c, audio_video())->outcome, EPC_POLICY_GRANTED);
    assert_int_equal(c.result[1].code, 0); /* nobody was asked */
    struct epc_service_info *s = video_update();
    s->component[0].flow[0].downlink[0] = '\0'; /* as in the first AAR */
    assert_int_equal(tell(&c, s)->outcome, EPC_POLICY_GRANTED);
    assert_int_equal(count("in", "AAR"), 1);
    finish(&c);
}

/* A refused update leaves the PCRF with what it had: the next one is a difference to that. */
static void refused_update_is_forgotten(void **state)
{
    (void)state;
    struct call c = {0};
    json_t *all;
    fresh("{}");
    first_result(&c);
    fresh("{'rules': [{'match': {'request_type': 1}, 'experimental': 5063}]}");
    assert_int_equal(tell(&c, video_update())->outcome, EPC_POLICY_REFUSED);
    fresh("{}");
    assert_int_equal(tell(&c, one_component(3, EPC_MEDIA_AUDIO, 64000))->outcome, EPC_POLICY_GRANTED);
    json_t *aar = last(&all, "AAR");
    assert_int_equal(count_avps(aar, "Media-Component-Description"), 1);
    assert_int_equal(avp_int(json_object_get(avp_named(aar, "Media-Component-Description"), "avps"),
                             "Media-Component-Number"), 3);
    json_decref(all);
    assert_int_equal(pcrf_peer_sessions(&t.pcrf), 1);
    finish(&c);
}

static void class_comes_back(void **state)
{
    (void)state;
    struct call c = {0};
    json_t *all;
    fresh("{'rules': [{'answer_avps': [{'name': 'Class', 'value': 'one'}, {'name': 'Class', 'value': '0x00ff'}]}]}");
    first_result(&c);
    fresh("{}");
    tell(&c, video_update());
    json_t *aar = last(&all, "AAR");
    assert_int_equal(count_avps(aar, "Class"), 2);
    assert_string_equal(avp_str(aar, "Class"), "one");
    json_decref(all);
    finish(&c);
    assert_int_equal(count_avps(last(&all, "STR"), "Class"), 2);
    json_decref(all);
}

static void more_bandwidth_than_32_bits(void **state)
{
    (void)state;
    static const char agrees[] = "{'rules': [{'answer_avps': [{'name': 'Supported-Features', 'avps': ["
                                 "{'name': 'Vendor-Id', 'value': 10415}, {'name': 'Feature-List-ID', 'value': 2},"
                                 "{'name': 'Feature-List', 'value': 2}]}]}]}";
    for (int agreed = 0; agreed < 2; agreed++) {
        struct call c = {0};
        json_t *all;
        fresh(agreed ? agrees : "{}");
        c.info[c.n_info++] = one_component(1, EPC_MEDIA_VIDEO, 5000000000);
        first_result(&c);
        json_t *aar = last(&all, "AAR"), *mcd;
        mcd = json_object_get(avp_named(aar, "Media-Component-Description"), "avps");
        assert_int_equal(avp_int(mcd, "Max-Requested-Bandwidth-UL"), UINT32_MAX);
        assert_null(avp_named(mcd, "Extended-Max-Requested-BW-UL")); /* not known to bear it */
        assert_int_equal(count_avps(aar, "Supported-Features"), 3); /* lists 1 and 2, and ours */
        json_decref(all);
        tell(&c, one_component(1, EPC_MEDIA_VIDEO, 6000000000));
        /* What cannot be told in full has not changed for a PCRF that sees 32 bits; it is sent all the same. */
        aar = last(&all, "AAR");
        mcd = json_object_get(avp_named(aar, "Media-Component-Description"), "avps");
        assert_int_equal(avp_int(mcd, "Extended-Max-Requested-BW-DL"), agreed ? 6000000 : 0);
        json_decref(all);
        finish(&c);
    }
}

/* The PCRF knows NetLoc: where the UE was is asked for at the end as well. */
static void access_information_at_the_end(void **state)
{
    (void)state;
    static const char *const rule[] = {
        "{}", "{'rules': [{'answer_avps': [{'name': 'Supported-Features', 'avps': ["
              "{'name': 'Vendor-Id', 'value': 10415}, {'name': 'Feature-List-ID', 'value': 1},"
              "{'name': 'Feature-List', 'value': 32}]}]}]}"};
    for (int netloc = 0; netloc < 2; netloc++) {
        struct call c = {.with = {.want_access_info = true}};
        json_t *all;
        fresh(rule[netloc]);
        first_result(&c);
        finish(&c);
        assert_int_equal(count_avps(last(&all, "STR"), "Required-Access-Info"), netloc ? 2 : 0);
        json_decref(all);
    }
}

/* ---- the UE's address -------------------------------------------------------------------------------- */

static void move(void *arg)
{
    struct call *c = arg;
    struct epc_addr ue;
    assert_int_equal(epc_addr_parse(&ue, "10.45.0.77", 0), EPC_OK);
    assert_int_equal(epc_diameter_client(t.d)->rebind(c->s, &ue), EPC_OK);
}

static void new_address_new_session(void **state)
{
    (void)state;
    struct call c = {0};
    json_t *all;
    fresh("{}");
    first_result(&c);
    on_shard(move, &c);
    assert_int_equal(count("in", "STR"), 0); /* with the next request */
    assert_int_equal(tell(&c, video_update())->outcome, EPC_POLICY_GRANTED);
    json_t *aar = last(&all, "AAR");
    assert_int_equal(avp_int(aar, "Rx-Request-Type"), 0);
    assert_string_equal(avp_str(aar, "Framed-IP-Address"), "10.45.0.77");
    assert_int_equal(count_avps(aar, "Media-Component-Description"), 2); /* all that holds */
    json_decref(all);
    UNTIL(count("in", "STR") == 1);
    UNTIL(pcrf_peer_sessions(&t.pcrf) == 1);
    finish(&c);
}

/* ---- results ------------------------------------------------------------------------------------------- */

static void not_again_before_the_retry_interval(void **state)
{
    (void)state;
    struct call first = {.ue = "10.45.1.1", .close_in_callback = true}, again = first, other_ue = first,
                other_media = first;
    int64_t held = epc_counter_read(EPC_C_RX_HELD_BACK);
    other_ue.ue = "10.45.1.2";
    fresh("{'rules': [{'experimental': 4261, 'retry_interval': 1}]}");
    assert_int_equal(first_result(&first)->retry_interval_s, 1);
    assert_false(first.result[0].held_back);

    /* The same service for the same UE: ports differ with each call and do not count. */
    again.info[again.n_info++] = audio_video();
    strcpy(again.info[0]->component[0].flow[0].downlink, "permit out 17 from 198.51.100.20 to 10.45.1.1 60000");
    first_result(&again);
    assert_int_equal(again.result[0].outcome, EPC_POLICY_REFUSED);
    assert_int_equal(again.result[0].code, 4261);
    assert_true(again.result[0].held_back);
    assert_int_equal(again.result[0].retry_interval_s, 1);
    assert_int_equal(count("in", "AAR"), 1);
    assert_int_equal(epc_counter_read(EPC_C_RX_HELD_BACK), held + 1);

    fresh("{}");
    assert_int_equal(first_result(&other_ue)->outcome, EPC_POLICY_GRANTED);
    other_media.info[other_media.n_info++] = one_component(1, EPC_MEDIA_AUDIO, 64000);
    assert_int_equal(first_result(&other_media)->outcome, EPC_POLICY_GRANTED);
    for (bool granted = false; !granted;) { /* until the second is over */
        struct call later = {.ue = "10.45.1.1", .close_in_callback = true};
        granted = first_result(&later)->outcome == EPC_POLICY_GRANTED;
        if (!granted && !later.result[0].held_back)
            fail_msg("outcome %d, code %" PRIu32, (int)later.result[0].outcome, later.result[0].code);
        nap();
    }
    nothing_left();
}

static void everything_that_a_refusal_says(void **state)
{
    (void)state;
    struct call c = {0};
    fresh("{'rules': [{'experimental': 5063, 'answer_avps': ["
          "{'name': 'Service-Authorization-Info', 'value': 2}, {'name': 'Error-Message', 'value': 'not\\ntoday'},"
          "{'name': 'Failed-AVP', 'avps': [{'name': 'Flow-Description', 'value': 'permit in ip from any to any'}]},"
          "{'name': 'Acceptable-Service-Info', 'avps': [{'name': 'Extended-Max-Requested-BW-UL', 'value': 5000000},"
          "  {'name': 'Max-Requested-Bandwidth-UL', 'value': 4294967295},"
          "  {'name': 'Media-Component-Description', 'avps': [{'name': 'Media-Component-Number', 'value': 1},"
          "    {'name': 'Max-Requested-Bandwidth-DL', 'value': 64000}]}]}]}]}");
    const struct epc_policy_result *r = first_result(&c);
    assert_int_equal(r->outcome, EPC_POLICY_REFUSED);
    assert_int_equal(r->authorization_info, 2);
    assert_string_equal(r->failed_avp, "Flow-Description");
    assert_string_equal(r->error_message, "not today");
    assert_int_equal(r->n_acceptable, 2);
    assert_int_equal(r->acceptable[0].number, 0);
    assert_int_equal(r->acceptable[0].max_ul_bps, 5000000000);
    assert_int_equal(r->acceptable[0].max_dl_bps, -1);
    assert_int_equal(r->acceptable[1].number, 1);
    assert_int_equal(r->acceptable[1].max_dl_bps, 64000);
    finish(&c);
}

static void each_result_code(void **state)
{
    (void)state;
    static const struct {
        uint32_t code;
        bool experimental;
        enum epc_policy_outcome outcome;
    } kind[] = {
        {2001, false, EPC_POLICY_GRANTED}, {2002, false, EPC_POLICY_GRANTED},
        {5001, false, EPC_POLICY_REFUSED}, {5004, false, EPC_POLICY_REFUSED},
        {5009, false, EPC_POLICY_REFUSED}, {5012, false, EPC_POLICY_REFUSED},
        {4001, false, EPC_POLICY_REFUSED}, {5061, true, EPC_POLICY_REFUSED},
        {5062, true, EPC_POLICY_REFUSED},  {5064, true, EPC_POLICY_REFUSED},
        {5065, true, EPC_POLICY_REFUSED},  {5066, true, EPC_POLICY_REFUSED},
        {5067, true, EPC_POLICY_REFUSED},  {5068, true, EPC_POLICY_REFUSED},
        {5999, true, EPC_POLICY_REFUSED},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(kind); i++) {
        struct call c = {.close_in_callback = true};
        char rule[128];
        snprintf(rule, sizeof rule, "{'rules': [{'%s': %u}]}",
                 kind[i].experimental ? "experimental" : "result", kind[i].code);
        fresh(rule);
        const struct epc_policy_result *r = first_result(&c);
        assert_int_equal(r->outcome, kind[i].outcome);
        assert_int_equal(r->code, kind[i].code);
        assert_int_equal(r->experimental, kind[i].experimental);
        nothing_left();
        assert_int_equal(count("in", "STR"), kind[i].outcome == EPC_POLICY_GRANTED);
        assert_int_equal(count("in", "AAR"), 1);
    }
}

/* Neither yes nor no: the PCRF may hold a session, so it is ended. */
static void answer_without_a_result(void **state)
{
    (void)state;
    struct call c = {0};
    int64_t unclear = epc_counter_read(EPC_C_RX_UNCLEAR);
    fresh("{'rules': [{'no_result': true}]}");
    assert_int_equal(first_result(&c)->outcome, EPC_POLICY_FAILED);
    assert_int_equal(epc_counter_read(EPC_C_RX_UNCLEAR), unclear + 1);
    UNTIL(count("in", "STR") == 1);
    finish(&c);
}

static void duplicate_ends_the_old_session(void **state)
{
    (void)state;
    struct call lost = {0}, c = {0};
    /* The PCRF has it, and its answer got lost. */
    fresh("{'rules': [{'drop': true, 'keep': true}]}");
    assert_int_equal(first_result(&lost)->outcome, EPC_POLICY_TIMED_OUT);
    on_shard(close_call, &lost);
    fresh("{'rules': [{'match': {'other_session': true}, 'experimental': 5064}]}");
    assert_int_equal(first_result(&c)->outcome, EPC_POLICY_GRANTED);
    assert_int_equal(count("in", "AAR"), 2);
    UNTIL(count("in", "STR") == 1);
    UNTIL(pcrf_peer_sessions(&t.pcrf) == 1);
    finish(&c);
}

/* ---- time ------------------------------------------------------------------------------------------------ */

/* Did the PCRF hear it? Nobody knows: all is told again, and what has gone meanwhile is removed. */
static void after_silence_all_is_told_again(void **state)
{
    (void)state;
    struct call c = {0};
    json_t *all, *aar, *a;
    size_t i;
    bool removed = false;
    fresh("{}");
    first_result(&c);
    fresh("{'rules': [{'drop': true}]}");
    assert_int_equal(tell(&c, one_component(3, EPC_MEDIA_AUDIO, 64000))->outcome, EPC_POLICY_TIMED_OUT);
    fresh("{}");
    struct epc_service_info *gone = one_component(3, EPC_MEDIA_AUDIO, 64000);
    gone->component[0].status = EPC_FLOW_REMOVED;
    assert_int_equal(tell(&c, gone)->outcome, EPC_POLICY_GRANTED);
    aar = last(&all, "AAR");
    assert_int_equal(avp_int(aar, "Rx-Request-Type"), 1);
    assert_int_equal(count_avps(aar, "Media-Component-Description"), 3);
    json_array_foreach(aar, i, a) {
        json_t *in = json_object_get(a, "avps");
        removed = removed || (avp_int(in, "Media-Component-Number") == 3 && avp_int(in, "Flow-Status") == 4);
    }
    assert_true(removed);
    json_decref(all);
    finish(&c);
}

static enum epc_err too_many; /* of the last request */

static void count_result(void *a, const struct epc_policy_result *r)
{
    struct call *c = a;
    c->result[0] = *r;
    atomic_fetch_add(&c->n_results, 1);
}

static void many_at_once(void *arg)
{
    struct call *c = arg;
    for (int i = 0; i < 80; i++) {
        struct epc_service_info *s = one_component(1, EPC_MEDIA_AUDIO, 64000 + i);
        too_many = epc_diameter_client(t.d)->request(c->s, &s, count_result, c);
        epc_service_info_free(s);
    }
}

/* More than a few wait: they go together, and each hears its result. */
static void many_requests_go_together(void **state)
{
    (void)state;
    struct call c = {0};
    json_t *all;
    fresh("{'rules': [{'delay_ms': 20}]}");
    on_shard(open_call, &c);
    on_shard(many_at_once, &c);
    assert_int_equal(too_many, EPC_ELIMIT);
    UNTIL(atomic_load(&c.n_results) == 64);
    assert_int_equal(count("in", "AAR"), 2);
    json_t *mcd = json_object_get(avp_named(last(&all, "AAR"), "Media-Component-Description"), "avps");
    assert_int_equal(avp_int(mcd, "Max-Requested-Bandwidth-UL"), 64063); /* the last word */
    json_decref(all);
    finish(&c);
}

static void open_ask_close(void *arg)
{
    struct call *c = arg;
    open_call(c);
    for (int i = 0; i < 3; i++)
        c->info[c->n_info++] = one_component(1, EPC_MEDIA_AUDIO, 64000 + i);
    send_all(c);
    close_call(c);
}

static void queued_requests_of_a_closed_session(void **state)
{
    (void)state;
    struct call c = {0};
    fresh("{'rules': [{'delay_ms': 30}]}");
    on_shard(open_ask_close, &c);
    UNTIL(count("in", "STR") == 1);
    nothing_left();
    assert_int_equal(count("in", "AAR"), 1);
    assert_int_equal(atomic_load(&c.n_results), 0);
}

/* ---- WebRTC information, negotiated --------------------------------------------------------------------- */

static int of_vendor(const json_t *avps, json_int_t vendor, bool m_too)
{
    json_t *a;
    size_t i;
    int n = 0;
    json_array_foreach(avps, i, a) {
        if (json_integer_value(json_object_get(a, "vendor")) == vendor)
            n += !m_too || strchr(json_string_value(json_object_get(a, "flags")), 'M') != NULL;
        n += of_vendor(json_object_get(a, "avps"), vendor, m_too);
    }
    return n;
}

static struct epc_service_info *with_webrtc(struct epc_service_info *s)
{
    s->component[0].webrtc = (struct epc_webrtc_media){
        .given = true, .ice_state = EPC_ICE_COMPLETED, .dtls_role = 0, .mux_flags = EPC_MUX_RTCP};
    strcpy(s->webrtc.agw_identity, "rtpengine-1");
    return s;
}

static void webrtc_only_for_who_wants_it(void **state)
{
    (void)state;
    static const char agrees[] = "{'rules': [{'answer_avps': [{'name': 'Supported-Features', 'avps': ["
                                 "{'name': 'Vendor-Id', 'value': 32473}, {'name': 'Feature-List-ID', 'value': 1},"
                                 "{'name': 'Feature-List', 'value': 1}]}]}]}";
    for (int agreed = 0; agreed < 2; agreed++) {
        struct call c = {0};
        json_t *all, *aar;
        fresh(agreed ? agrees : "{}");
        c.info[c.n_info++] = with_webrtc(one_component(1, EPC_MEDIA_AUDIO, 64000));
        first_result(&c);
        aar = last(&all, "AAR");
        assert_int_equal(of_vendor(aar, 32473, false), 0); /* but the offer, in Supported-Features */
        assert_int_equal(count_avps(aar, "Supported-Features"), 2);
        json_decref(all);
        tell(&c, with_webrtc(one_component(1, EPC_MEDIA_AUDIO, 65000)));
        aar = last(&all, "AAR");
        assert_int_equal(of_vendor(aar, 32473, false) > 0, agreed);
        assert_int_equal(of_vendor(aar, 32473, true), 0);
        assert_int_equal(avp_named(aar, "WebRTC-Session-Info") != NULL, agreed);
        json_decref(all);
        finish(&c);
        assert_int_equal(avp_named(last(&all, "STR"), "WebRTC-Media-Info") != NULL, agreed);
        json_decref(all);
    }
}

static void nothing_unexpected(void **state)
{
    (void)state;
    assert_int_equal(epc_counter_read(EPC_C_FSM_UNEXPECTED), 0);
}

static int set_up(void **state)
{
    static char network[] = "10.46.0.0/16", domain[] = "blue", apn[] = "ims";
    static struct epc_cfg_policy_access net = {.network = network, .mode = EPC_POLICY_REQUIRED,
                                               .ip_domain_id = domain, .called_station_id = apn};
    t.cfg.access = &net;
    t.cfg.n_access = 1;
    t.cfg.webrtc_vendor = 32473;
    return rx_set_up(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_avp_of_an_initial_aar),
        cmocka_unit_test(imsi_only_where_the_impi_has_one),
        cmocka_unit_test(update_says_what_is_new),
        cmocka_unit_test(nothing_new_nothing_sent),
        cmocka_unit_test(refused_update_is_forgotten),
        cmocka_unit_test(class_comes_back),
        cmocka_unit_test(more_bandwidth_than_32_bits),
        cmocka_unit_test(access_information_at_the_end),
        cmocka_unit_test(new_address_new_session),
        cmocka_unit_test(not_again_before_the_retry_interval),
        cmocka_unit_test(everything_that_a_refusal_says),
        cmocka_unit_test(each_result_code),
        cmocka_unit_test(answer_without_a_result),
        cmocka_unit_test(duplicate_ends_the_old_session),
        cmocka_unit_test(after_silence_all_is_told_again),
        cmocka_unit_test(many_requests_go_together),
        cmocka_unit_test(queued_requests_of_a_closed_session),
        cmocka_unit_test(webrtc_only_for_who_wants_it),
        cmocka_unit_test(nothing_unexpected),
    };
    return RX_RUN(tests, set_up);
}
