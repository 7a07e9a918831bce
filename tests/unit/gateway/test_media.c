/* What an exchange asks of rtpengine beyond addresses: transcoding, the gate, the marking, statistics. */
#include "bench.h"
#include "peer.h"

#include <stdlib.h>
#include <string.h>

static void drop(struct peer_request r)
{
    peer_request_free(&r);
}

static struct peer_request serve(struct peer *p, const char *command, const char *sdp)
{
    struct peer_request r = peer_next(p);
    assert_string_equal(peer_get(&r, "command"), command);
    if (sdp)
        peer_send_sdp(p, &r, sdp);
    else
        peer_send(p, &r, "{\"result\":\"ok\"}");
    return r;
}

static void codecs(struct epc_cfg_media *cfg)
{
    static char opus[] = "opus", wb[] = "AMR-WB", g722[] = "G722", pcma[] = "PCMA", pcmu[] = "PCMU";
    static char *names[] = {opus, wb, g722, pcma, pcmu};
    cfg->audio_codecs = names;
    cfg->n_audio_codecs = EPC_ARRAY_LEN(names);
}

static void marked(struct epc_cfg_media *cfg)
{
    cfg->rtpengine_dscp = 46;
}

/* All but AMR-WB can be made. */
static const char probe_sdp[] = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\n"
                                "m=audio 4000 UDP/TLS/RTP/SAVPF 0 96 9 8\nc=IN IP4 127.0.0.1\n"
                                "a=rtpmap:96 opus/48000/2\n";
#define AUDIO(codecs) "v=0\no=- 1 1 IN IP4 127.0.0.9\ns=-\nt=0 0\nm=audio 5004 RTP/AVP " codecs "c=IN IP4 127.0.0.9\n"
#define VIDEO_OFF "m=video 0 RTP/AVP 102\n"

static bool listed(const struct peer_request *r, const char *list, const char *name)
{
    const json_t *names = json_object_get(json_object_get(r->json, "codec"), list), *n;
    size_t i;
    json_array_foreach (names, i, n)
        if (strcmp(json_string_value(n), name) == 0)
            return true;
    return false;
}

static size_t n_listed(const struct peer_request *r, const char *list)
{
    return json_array_size(json_object_get(json_object_get(r->json, "codec"), list));
}

static void open_probed(struct bench *b, struct peer *p, void (*configure)(struct epc_cfg_media *cfg))
{
    peer_open(p);
    p->probe_sdp = probe_sdp;
    bench_start_with(b, (unsigned[]){p->port, 0}, 10000, 0, configure);
    struct epc_gw_caps caps = {0};
    for (int i = 0; i < 200 && configure == codecs && !caps.transcodes; i++) {
        peer_expect_nothing(p, 10);
        bench_caps(b, &caps);
    }
    bench_ctx(b, "call@test");
}

static void close_all(struct bench *b, struct peer *p)
{
    bench_stop(b);
    peer_close(p);
}

static void capabilities_come_of_the_probe(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    struct epc_gw_caps caps;
    open_probed(&b, &p, codecs);
    bench_caps(&b, &caps);
    assert_true(caps.transcodes);
    assert_false(caps.sctp);
    assert_int_equal(caps.audio_codecs, 1 | 4 | 8 | 16);
    char *lines = bench_lines(&b);
    assert_non_null(strstr(lines, "kind=rtpengine shard=0 state=up contexts=1 "));
    assert_non_null(strstr(lines, " codecs=opus,G722,PCMA,PCMU tls_id=no"));
    free(lines);
    close_all(&b, &p);
}

static void without_a_probe_nothing_is_transcoded(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    struct epc_gw_caps caps;
    peer_open(&p);
    bench_start_with(&b, (unsigned[]){p.port, 0}, 10000, 0, codecs);
    while (p.n_probes == 0)
        peer_expect_nothing(&p, 10);
    bench_caps(&b, &caps);
    assert_false(caps.transcodes);
    close_all(&b, &p);
}

/* The phone gets G.722, AMR-WB and PCMU; the WIC has Opus, PCMU and PCMA. */
static void what_is_wanted_is_transcoded(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_probed(&b, &p, codecs);
    b.want = AUDIO("9 104 0 101\n") "a=rtpmap:104 AMR-WB/16000\na=rtpmap:101 telephone-event/16000\n" VIDEO_OFF;
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request r = serve(&p, "offer", sdp_core_answer_av);
    assert_int_equal(n_listed(&r, "transcode"), 2);
    assert_true(listed(&r, "transcode", "G722/8000"));
    assert_true(listed(&r, "transcode", "AMR-WB/16000"));
    assert_int_equal(n_listed(&r, "mask"), 2);
    assert_true(listed(&r, "mask", "opus/48000/2"));
    assert_true(listed(&r, "mask", "PCMA/8000"));
    assert_int_equal(n_listed(&r, "strip"), 0);
    drop(r);
    b.want = NULL;
    bench_answer(&b, sdp_core_answer, 2);
    r = serve(&p, "answer", sdp_wic_answer_hold);
    assert_null(json_object_get(r.json, "codec"));
    drop(r);
    /* A re-offer that is refused, and the old exchange again: as it was transcoded. */
    bench_offer(&b, EPC_GW_CORE, sdp_core_reoffer, 3);
    r = serve(&p, "offer", sdp_wic_answer_hold);
    assert_null(json_object_get(r.json, "codec"));
    drop(r);
    bench_restore(&b, EPC_GW_ACCESS, sdp_wic_offer, sdp_core_answer);
    r = serve(&p, "offer", sdp_core_answer_av);
    assert_true(listed(&r, "transcode", "G722/8000"));
    drop(r);
    drop(serve(&p, "answer", sdp_wic_answer_hold));
    close_all(&b, &p);
}

/* What the core has and rtpengine cannot read is taken away, so that no answer chooses it. */
static void what_cannot_be_read_is_stripped(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_probed(&b, &p, codecs);
    b.want = AUDIO("96 8 126\n") "a=rtpmap:96 opus/48000/2\na=rtpmap:126 telephone-event/8000\n";
    bench_offer(&b, EPC_GW_CORE, AUDIO("104 8 0 101\n") "a=rtpmap:104 AMR-WB/16000\na=rtpmap:101 telephone-event/8000\n",
                1);
    struct peer_request r = serve(&p, "offer", sdp_wic_answer);
    assert_int_equal(n_listed(&r, "transcode"), 1);
    assert_true(listed(&r, "transcode", "opus/48000/2"));
    assert_int_equal(n_listed(&r, "strip"), 1);
    assert_true(listed(&r, "strip", "AMR-WB/16000"));
    assert_int_equal(n_listed(&r, "mask"), 1);
    assert_true(listed(&r, "mask", "PCMU/8000"));
    drop(r);
    close_all(&b, &p);
}

static void nothing_new_is_wanted(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_probed(&b, &p, codecs);
    b.want = AUDIO("0 126\n") "a=rtpmap:126 telephone-event/8000\n" VIDEO_OFF;
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request r = serve(&p, "offer", sdp_core_answer_av);
    assert_null(json_object_get(r.json, "codec"));
    assert_null(json_object_get(r.json, "TOS"));
    assert_false(peer_list_has(&r, "flags", "no-tls-id"));
    drop(r);
    close_all(&b, &p);
}

static void newer_ones_are_told_to_leave_tls_id_out(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    peer_open(&p);
    p.probe_sdp = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\nm=audio 4000 UDP/TLS/RTP/SAVPF 0\nc=IN IP4 127.0.0.1\n"
                  "a=tls-id:9f3c41ec9f3c41ec9f3c41ec9f3c41ec\n";
    bench_start_with(&b, (unsigned[]){p.port, 0}, 10000, 0, codecs);
    char *lines = bench_lines(&b);
    while (!strstr(lines, "tls_id=yes")) {
        free(lines);
        peer_expect_nothing(&p, 10);
        lines = bench_lines(&b);
    }
    free(lines);
    bench_ctx(&b, "call@test");
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request r = serve(&p, "offer", sdp_core_answer_av);
    assert_true(peer_list_has(&r, "flags", "no-tls-id"));
    assert_true(peer_list_has(&r, "flags", "trust-address"));
    drop(r);
    close_all(&b, &p);
}

static void media_are_marked(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_probed(&b, &p, marked);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request r = serve(&p, "offer", sdp_core_answer_av);
    assert_int_equal(json_integer_value(json_object_get(r.json, "TOS")), 184); /* EF */
    drop(r);
    close_all(&b, &p);
}

/* ---- the gate ----------------------------------------------------------------------------------------- */

static void expect_gate(struct peer *p, const char *command, const char *tag)
{
    struct peer_request r = serve(p, command, NULL);
    assert_string_equal(peer_get(&r, "from-tag"), tag);
    drop(r);
}

static void the_gate_closes_before_the_answer_opens_it(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_probed(&b, &p, NULL);
    bench_gate(&b, false, false); /* before there is anything at rtpengine */
    peer_expect_nothing(&p, 50);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request offer = serve(&p, "offer", sdp_core_answer_av);
    expect_gate(&p, "block media", ""); /* the whole call: the core's side has no name yet */
    expect_gate(&p, "block DTMF", "");
    bench_answer(&b, sdp_core_answer, 2);
    struct peer_request answer = serve(&p, "answer", sdp_wic_answer_hold);
    const char *tag[] = {peer_get(&answer, "from-tag"), peer_get(&answer, "to-tag")};
    for (int side = 0; side < 2; side++) {
        expect_gate(&p, "block media", tag[side]);
        expect_gate(&p, "block DTMF", tag[side]);
    }
    expect_gate(&p, "unblock media", "");
    expect_gate(&p, "unblock DTMF", "");
    bench_gate(&b, true, false); /* early media from the core */
    expect_gate(&p, "unblock media", tag[1]);
    expect_gate(&p, "unblock DTMF", tag[1]);
    bench_gate(&b, true, false);
    bench_gate(&b, true, true);
    expect_gate(&p, "unblock media", tag[0]);
    expect_gate(&p, "unblock DTMF", tag[0]);
    struct peer_request r = peer_next(&p); /* nothing more than a look at the call */
    assert_string_equal(peer_get(&r, "command"), "query");
    drop(r);
    drop(offer);
    drop(answer);
    close_all(&b, &p);
}

static void an_open_gate_costs_nothing(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_probed(&b, &p, NULL);
    bench_gate(&b, true, true);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    drop(serve(&p, "offer", sdp_core_answer_av));
    bench_gate(&b, false, true);
    expect_gate(&p, "block media", "");
    expect_gate(&p, "block DTMF", "");
    bench_gate(&b, true, true);
    expect_gate(&p, "unblock media", "");
    struct peer_request r = serve(&p, "unblock DTMF", NULL);
    drop(r);
    peer_expect_nothing(&p, 50);
    close_all(&b, &p);
}

static void a_refused_gate_does_not_stop_the_call(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_probed(&b, &p, NULL);
    bench_gate(&b, false, true);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    drop(serve(&p, "offer", sdp_core_answer_av));
    for (int i = 0; i < 2; i++) {
        struct peer_request r = peer_next(&p);
        peer_send(&p, &r, "{\"result\":\"error\",\"error-reason\":\"Unrecognized command\"}");
        drop(r);
    }
    bench_answer(&b, sdp_core_answer, 2);
    drop(serve(&p, "answer", sdp_wic_answer_hold));
    bench_wait_done(&b, 2);
    close_all(&b, &p);
}

/* ---- the end --------------------------------------------------------------------------------------------- */

static void a_deletion_counts(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_probed(&b, &p, NULL);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct peer_request offer = serve(&p, "offer", sdp_core_answer_av);
    bench_wait_done(&b, 1);
    bench_release(&b);
    struct peer_request r = peer_next(&p);
    assert_string_equal(peer_get(&r, "command"), "delete");
    assert_string_equal(peer_get(&r, "from-tag"), peer_get(&offer, "from-tag"));
    struct epc_buf reply = {0};
    epc_buf_printf(&reply,
                   "{\"result\":\"ok\",\"tags\":{\"%s\":{\"medias\":[{\"streams\":[{\"stats\":{\"packets\":7,"
                   "\"bytes\":70}},{\"stats\":{\"packets\":2,\"bytes\":-5}},7]},\"x\"]},\"c%s\":{\"medias\":[{"
                   "\"streams\":[{\"stats\":{\"packets\":3,\"bytes\":30}}]}]}}}",
                   peer_get(&offer, "from-tag"), peer_get(&offer, "from-tag") + 1);
    peer_send(&p, &r, reply.p);
    epc_buf_free(&reply);
    bench_wait_no_contexts(&b);
    assert_int_equal(bench_count(&b, EPC_C_GW_PACKETS_FROM_ACCESS), 9);
    assert_int_equal(bench_count(&b, EPC_C_GW_OCTETS_FROM_ACCESS), 70);
    assert_int_equal(bench_count(&b, EPC_C_GW_PACKETS_FROM_CORE), 3);
    assert_int_equal(bench_count(&b, EPC_C_GW_OCTETS_FROM_CORE), 30);
    drop(r);
    drop(offer);
    close_all(&b, &p);
}

static void a_deletion_that_finds_no_tag_goes_without(void **state)
{
    (void)state;
    struct bench b;
    struct peer p;
    open_probed(&b, &p, NULL);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    drop(serve(&p, "offer", sdp_core_answer_av));
    bench_wait_done(&b, 1);
    bench_release(&b);
    for (int i = 0; i < 2; i++) {
        struct peer_request r = peer_next(&p);
        assert_string_equal(peer_get(&r, "command"), "delete");
        assert_true((json_object_get(r.json, "from-tag") != NULL) == (i == 0));
        peer_send(&p, &r, "{\"result\":\"ok\",\"warning\":\"Call-ID not found or tags didn't match\"}");
        drop(r);
    }
    bench_wait_no_contexts(&b);
    peer_expect_nothing(&p, 50);
    close_all(&b, &p);
}

int main(void)
{
    epc_log_setup(EPC_LOG_ERROR, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capabilities_come_of_the_probe),
        cmocka_unit_test(without_a_probe_nothing_is_transcoded),
        cmocka_unit_test(what_is_wanted_is_transcoded),
        cmocka_unit_test(what_cannot_be_read_is_stripped),
        cmocka_unit_test(nothing_new_is_wanted),
        cmocka_unit_test(newer_ones_are_told_to_leave_tls_id_out),
        cmocka_unit_test(media_are_marked),
        cmocka_unit_test(the_gate_closes_before_the_answer_opens_it),
        cmocka_unit_test(an_open_gate_costs_nothing),
        cmocka_unit_test(a_refused_gate_does_not_stop_the_call),
        cmocka_unit_test(a_deletion_counts),
        cmocka_unit_test(a_deletion_that_finds_no_tag_goes_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
