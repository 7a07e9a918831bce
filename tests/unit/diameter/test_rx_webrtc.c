/* WebRTC information in vendor AVPs, for a PCRF that always gets it: a call from before ICE to its end,
 * as audio and video on transports of their own and as one bundle. Each message against a golden file. */
#include "rx_case.h"

static struct epc_addr addr(const char *ip, uint16_t port)
{
    struct epc_addr a;
    assert_int_equal(epc_addr_parse(&a, ip, port), EPC_OK);
    return a;
}

static void fingerprint(struct epc_webrtc_fingerprint *f, uint8_t fill)
{
    strcpy(f->hash, "sha-256");
    f->n = 32;
    memset(f->value, fill, f->n);
}

static void webrtc(struct epc_media_component *c, uint16_t agw_port, enum epc_ice_state ice, uint32_t flags)
{
    struct epc_webrtc_media *w = &c->webrtc;
    *w = (struct epc_webrtc_media){.given = true, .ice_state = ice, .dtls_role = 0, .srtp_profile = 1,
                                   .mux_flags = flags};
    w->agw_access = addr("198.51.100.20", agw_port);
    w->agw_core = addr("10.10.0.20", (uint16_t)(agw_port + 10000));
    fingerprint(&w->wic, 0x4a);
    fingerprint(&w->agw, 0x5b);
}

/* Audio and video, the answer known, before ICE: the WIC's video port is not known. */
static struct epc_service_info *before_ice(void)
{
    struct epc_service_info *s = calloc(1, sizeof *s);
    s->component = calloc(2, sizeof *s->component);
    s->n_components = 2;
    component(&s->component[0], 1, EPC_MEDIA_AUDIO, 84000, 40000, 54321);
    component(&s->component[1], 2, EPC_MEDIA_VIDEO, 1575000, 40002, 0);
    s->component[0].codec_data[0] = strdup("uplink\noffer\nm=audio 54321 UDP/TLS/RTP/SAVPF 111\n");
    s->component[0].codec_data[1] = strdup("downlink\nanswer\nm=audio 40000 UDP/TLS/RTP/SAVPF 0\n");
    webrtc(&s->component[0], 40000, EPC_ICE_CHECKING, EPC_MUX_RTCP);
    webrtc(&s->component[1], 40002, EPC_ICE_CHECKING, EPC_MUX_RTCP | EPC_MUX_RTCP_RSIZE | EPC_MUX_RTX);
    strcpy(s->webrtc.agw_identity, "rtpengine-1");
    strcpy(s->webrtc.agw_context, "7f3a");
    strcpy(s->webrtc.client_origin, "phone");
    s->webrtc.ice_mode = 1;
    return s;
}

/* ICE has nominated pairs, DTLS is up: the video's port is learnt. */
static struct epc_service_info *after_ice(void)
{
    struct epc_service_info *s = before_ice();
    struct epc_webrtc_media *audio = &s->component[0].webrtc, *video = &s->component[1].webrtc;
    strcpy(s->component[1].flow[0].downlink, "permit out 17 from 198.51.100.20 to 10.45.0.2 54987");
    audio->ice_state = video->ice_state = EPC_ICE_COMPLETED;
    audio->agw_remote = addr("10.45.0.2", 54321);
    video->agw_remote = addr("10.45.0.2", 54987);
    video->candidate[video->n_candidates++] = (struct epc_webrtc_candidate){
        .type = EPC_CAND_PRFLX, .addr = addr("10.45.0.2", 54987), .protocol = 17, .priority = 1845501695,
        .remote = true};
    return s;
}

static struct epc_service_info *bundle(void)
{
    struct epc_service_info *s = before_ice();
    s->component = realloc(s->component, 3 * sizeof *s->component);
    s->n_components = 3;
    s->component[0].type = EPC_MEDIA_VIDEO;
    s->component[0].max_ul_bps = s->component[0].max_dl_bps = 2159000;
    s->component[1].n_flows = 0;
    s->component[1].max_ul_bps = s->component[1].max_dl_bps = -1;
    s->component[2] = (struct epc_media_component){
        .number = 3, .type = EPC_MEDIA_APPLICATION, .status = EPC_FLOW_ENABLED, .max_ul_bps = -1,
        .max_dl_bps = -1, .rr_bps = -1, .rs_bps = -1};
    struct epc_webrtc_media *data = &s->component[2].webrtc;
    *data = (struct epc_webrtc_media){.given = true, .ice_state = EPC_ICE_UNKNOWN, .dtls_role = -1,
                                      .mux_flags = EPC_MUX_BUNDLED, .sctp_port = 5000,
                                      .max_message_size = 262144, .max_streams = 16, .n_channels = 1};
    data->channel[0] = (struct epc_webrtc_channel){.stream = 2, .label = "chat", .subprotocol = "msrp",
                                                   .ordered = true, .max_retransmits = 3};
    for (size_t i = 0; i < 3; i++)
        s->component[i].webrtc.bundle_tag = 1;
    return s;
}

/* V set and M clear on every one, at any depth (RFC 6733 4.1). @return how many there are. */
static int vendor_flags(const json_t *avps)
{
    json_t *a;
    size_t i;
    int n = 0;
    json_array_foreach(avps, i, a) {
        bool ours = json_integer_value(json_object_get(a, "vendor")) == 32473;
        if (ours)
            assert_string_equal(json_string_value(json_object_get(a, "flags")), "V");
        n += ours + vendor_flags(json_object_get(a, "avps"));
    }
    return n;
}

static void message(const char *command, const char *file)
{
    json_t *all, *m = last(&all, command);
    assert_true(vendor_flags(m) > 0);
    golden(file, m);
    json_decref(all);
}

static void call_from_before_ice_to_its_end(void **state)
{
    (void)state;
    struct call c = {0};
    fresh("{}");
    c.info[c.n_info++] = before_ice();
    ask(&c);
    UNTIL(atomic_load(&c.n_results) == 1);
    assert_int_equal(c.result[0].outcome, EPC_POLICY_GRANTED);
    message("AAR", "webrtc_aar_a.json");
    assert_int_equal(tell(&c, after_ice())->outcome, EPC_POLICY_GRANTED);
    message("AAR", "webrtc_aar_b.json");
    assert_int_equal(tell(&c, after_ice())->outcome, EPC_POLICY_GRANTED);
    assert_int_equal(count("in", "AAR"), 2); /* nothing new */
    on_shard(close_call, &c);
    nothing_left();
    message("STR", "webrtc_str.json");
}

static void one_transport_for_all(void **state)
{
    (void)state;
    struct call c = {0};
    fresh("{}");
    c.info[c.n_info++] = bundle();
    ask(&c);
    UNTIL(atomic_load(&c.n_results) == 1);
    assert_int_equal(c.result[0].outcome, EPC_POLICY_GRANTED);
    message("AAR", "webrtc_aar_bundle.json");
    on_shard(close_call, &c);
    nothing_left();
}

/* What a profile does not bear is taken out at any depth; what a request cannot do without stays. */
static void omitted_avps(void **state)
{
    (void)state;
    struct call c = {0};
    json_t *all, *aar, *a;
    size_t i;
    fresh("{}");
    c.with.mps = "wps";
    ask(&c);
    UNTIL(atomic_load(&c.n_results) == 1);
    aar = last(&all, "AAR");
    assert_null(avp_named(aar, "MPS-Identifier"));
    assert_non_null(avp_named(aar, "Origin-Host"));
    json_array_foreach(aar, i, a)
        assert_null(avp_named(json_object_get(a, "avps"), "Max-Requested-Bandwidth-UL"));
    json_decref(all);
    on_shard(close_call, &c);
    nothing_left();
}

static int set_up(void **state)
{
    static char name[] = "all", mps[] = "MPS-Identifier", bw[] = "Max-Requested-Bandwidth-UL",
                origin[] = "Origin-Host", nonsense[] = "No-Such-AVP";
    static char *omit[] = {mps, bw, origin, nonsense};
    static struct epc_cfg_policy_profile profile = {
        .name = name, .media_types = UINT32_MAX, .removed = true, .codec_data = true, .features = true,
        .webrtc_avps = EPC_WEBRTC_AVPS_ON, .omit = omit, .n_omit = EPC_ARRAY_LEN(omit)};
    t.cfg.profiles = &profile;
    t.cfg.n_profiles = 1;
    t.cfg.profile = name;
    t.cfg.webrtc_vendor = 32473;
    return rx_set_up(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call_from_before_ice_to_its_end),
        cmocka_unit_test(one_transport_for_all),
        cmocka_unit_test(omitted_avps),
    };
    return RX_RUN(tests, set_up);
}
