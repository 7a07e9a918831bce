/* The gateway room against rtpengine itself, started here on free loopback ports. Fails without it. */
#include "bench.h"
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ACCESS_IP "127.0.0.1"
#define CORE_IP   "127.0.0.4"

struct engine {
    pid_t pid;
    unsigned port;
    int fd; /* to ask it directly */
    unsigned next_cookie;
};

static unsigned free_port(void)
{
    struct peer p;
    peer_open(&p);
    peer_close(&p);
    return p.port;
}

/* One question beside the gateway's; NULL: no answer. */
static json_t *ask(struct engine *e, const char *json)
{
    char text[4096], data[65536];
    int n = snprintf(text, sizeof text, "t%u %s", e->next_cookie++, json);
    struct timeval wait = {.tv_usec = 200000};
    setsockopt(e->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    if (send(e->fd, text, (size_t)n, 0) != n)
        return NULL;
    ssize_t got = recv(e->fd, data, sizeof data - 1, 0);
    if (got <= 0)
        return NULL;
    data[got] = 0;
    char *blank = strchr(data, ' ');
    return blank ? json_loads(blank + 1, 0, NULL) : NULL;
}

static size_t n_calls(struct engine *e)
{
    json_t *j = ask(e, "{\"command\":\"list\",\"limit\":100}");
    assert_non_null(j);
    size_t n = json_array_size(json_object_get(j, "calls"));
    json_decref(j);
    return n;
}

static void wait_for_calls(struct engine *e, size_t n)
{
    uint64_t until = epc_now_ms() + BENCH_WAIT_MS;
    while (n_calls(e) != n) {
        if (epc_now_ms() > until)
            fail_msg("rtpengine holds %zu calls, not %zu", n_calls(e), n);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static void run_engine(unsigned port, unsigned media_port, unsigned n_ports)
{
    char listen[64], from[32], to[32], pid[64];
    snprintf(listen, sizeof listen, "--listen-ng=127.0.0.1:%u", port);
    snprintf(from, sizeof from, "--port-min=%u", media_port);
    snprintf(to, sizeof to, "--port-max=%u", media_port + n_ports);
    snprintf(pid, sizeof pid, "--pidfile=/tmp/epc-test-rtpengine-%u.pid", port);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execlp("rtpengine", "rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--table=-1",
           "--interface=access/" ACCESS_IP, "--interface=core/" CORE_IP, listen, from, to, "--num-threads=1",
           "--log-level=2", pid, (char *)NULL);
    fprintf(stderr, "rtpengine cannot be started: %s; install rtpengine-daemon\n", strerror(errno));
    _exit(127);
}

static void engine_start(struct engine *e, unsigned n_ports)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    *e = (struct engine){.port = free_port()};
    unsigned media_port = 20000 + (unsigned)(getpid() % 200) * 100;
    e->pid = fork();
    assert_true(e->pid >= 0);
    if (e->pid == 0)
        run_engine(e->port, media_port, n_ports);
    e->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons((uint16_t)e->port);
    assert_int_equal(connect(e->fd, (struct sockaddr *)&a, sizeof a), 0);
    uint64_t until = epc_now_ms() + BENCH_WAIT_MS;
    json_t *pong;
    while (!(pong = ask(e, "{\"command\":\"ping\"}"))) {
        if (waitpid(e->pid, NULL, WNOHANG) == e->pid)
            fail_msg("rtpengine ended at once");
        if (epc_now_ms() > until)
            fail_msg("rtpengine does not answer");
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    json_decref(pong);
}

static void engine_stop(struct engine *e)
{
    kill(e->pid, SIGTERM);
    waitpid(e->pid, NULL, 0);
    close(e->fd);
    char path[64];
    snprintf(path, sizeof path, "/tmp/epc-test-rtpengine-%u.pid", e->port);
    unlink(path);
}

static void open_call(struct bench *b, struct engine *e)
{
    bench_start(b, (unsigned[]){e->port, 0}, 5000, 0);
    bench_ctx(b, "call@test");
}

static const struct epc_sdp_media *line(struct epc_sdp *s, size_t i)
{
    assert_true(i < s->n_media);
    return &s->media[i];
}

static struct epc_sdp *result(struct bench *b, int n)
{
    bench_wait_done(b, n + 1);
    if (b->done[n].err != EPC_OK)
        fail_msg("refused: %d %s", b->done[n].cause.sip_status, b->done[n].cause.reason);
    return sdp_from(b->done[n].local);
}

static bool has(const struct epc_sdp_media *m, const char *name)
{
    for (size_t i = 0; i < m->n_attr; i++)
        if (epc_str_eqc(m->attr[i].name, name))
            return true;
    return false;
}

/* Plain RTP on the core's address: nothing of WebRTC. */
static void expect_core(const struct epc_sdp_media *m)
{
    static const char *const never[] = {"ice-ufrag", "ice-pwd", "candidate", "fingerprint", "setup", "crypto",
                                        "rtcp-mux", "ice-lite", "tls-id"};
    assert_true(m->port > 0);
    assert_true(epc_str_eqc(m->proto, "RTP/AVP"));
    assert_true(epc_str_eqc(m->c_addr, CORE_IP));
    for (size_t i = 0; i < EPC_ARRAY_LEN(never); i++)
        if (has(m, never[i]))
            fail_msg("a=%s towards the core", never[i]);
    assert_int_equal(m->rtcp_port, m->port + 1);
}

/* ICE, DTLS and mux on the access address, as a browser needs them. */
static void expect_access(const struct epc_sdp_media *m)
{
    assert_true(m->port > 0);
    assert_true(epc_str_eqc(m->proto, "UDP/TLS/RTP/SAVPF"));
    assert_true(epc_str_eqc(m->c_addr, ACCESS_IP));
    assert_true(m->ice_ufrag.n >= 4 && m->ice_pwd.n >= 22);
    assert_true(m->n_candidate > 0 && m->n_fingerprint > 0);
    assert_true(epc_str_ieqc(m->fingerprint[0].hash, "sha-256"));
    assert_true(m->rtcp_mux);
    assert_false(has(m, "crypto"));
    for (size_t i = 0; i < m->n_candidate; i++)
        assert_true(epc_str_eqc(m->candidate[i].address, ACCESS_IP));
}

static void set_up(struct bench *b)
{
    bench_offer(b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    struct epc_sdp *s = result(b, 0);
    assert_int_equal(s->n_media, 2);
    expect_core(line(s, 0));
    expect_core(line(s, 1));
    epc_sdp_free(s);
    bench_answer(b, sdp_core_answer, 2);
    s = result(b, 1);
    assert_int_equal(s->n_media, 2);
    expect_access(line(s, 0));
    assert_int_equal(line(s, 0)->setup, EPC_SETUP_PASSIVE);
    assert_int_equal(line(s, 1)->port, 0); /* refused stays refused */
    epc_sdp_free(s);
}

static void call_from_the_wic(void **state)
{
    (void)state;
    struct engine e;
    struct bench b;
    engine_start(&e, 90);
    open_call(&b, &e);
    set_up(&b);
    assert_int_equal(n_calls(&e), 1);
    bench_release(&b);
    wait_for_calls(&e, 0); /* at once, whatever rtpengine's own delete-delay */
    bench_stop(&b);
    engine_stop(&e);
}

static void call_from_the_core(void **state)
{
    (void)state;
    struct engine e;
    struct bench b;
    engine_start(&e, 90);
    open_call(&b, &e);
    bench_offer(&b, EPC_GW_CORE, sdp_core_offer, 1);
    struct epc_sdp *s = result(&b, 0);
    expect_access(line(s, 0));
    assert_int_equal(line(s, 0)->setup, EPC_SETUP_ACTPASS);
    epc_sdp_free(s);
    bench_answer(&b, sdp_wic_answer, 2);
    s = result(&b, 1);
    expect_core(line(s, 0));
    epc_sdp_free(s);
    bench_stop(&b); /* going down takes the call away too */
    wait_for_calls(&e, 0);
    engine_stop(&e);
}

/* Hold by the core, ICE restart by the WIC, and a refused re-offer put back: transport stays, but for the
 * ICE credentials after the restart, and the DTLS role never changes. */
static void re_offers(void **state)
{
    (void)state;
    struct engine e;
    struct bench b;
    engine_start(&e, 90);
    open_call(&b, &e);
    set_up(&b);
    struct epc_sdp *first = result(&b, 1);

    bench_offer(&b, EPC_GW_CORE, sdp_core_reoffer, 3);
    struct epc_sdp *s = result(&b, 2);
    expect_access(line(s, 0));
    assert_int_equal(line(s, 0)->port, line(first, 0)->port);
    assert_int_equal(line(s, 0)->dir, EPC_SDP_SENDONLY);
    assert_true(epc_str_eq(line(s, 0)->ice_ufrag, line(first, 0)->ice_ufrag));
    assert_int_equal(line(s, 1)->port, 0);
    epc_sdp_free(s);
    bench_answer(&b, sdp_wic_answer_hold, 4);
    s = result(&b, 3);
    expect_core(line(s, 0));
    assert_int_equal(line(s, 0)->dir, EPC_SDP_RECVONLY);
    assert_int_equal(line(s, 1)->port, 0);
    epc_sdp_free(s);

    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_restart, 5);
    s = result(&b, 4);
    expect_core(line(s, 0));
    epc_sdp_free(s);
    bench_answer(&b, sdp_core_answer, 6);
    s = result(&b, 5);
    expect_access(line(s, 0));
    assert_int_equal(line(s, 0)->setup, EPC_SETUP_PASSIVE);
    assert_false(epc_str_eq(line(s, 0)->ice_ufrag, line(first, 0)->ice_ufrag));
    assert_true(epc_str_eq(line(s, 0)->fingerprint[0].value, line(first, 0)->fingerprint[0].value));
    epc_sdp_free(s);

    bench_offer(&b, EPC_GW_CORE, sdp_core_reoffer, 7);
    epc_sdp_free(result(&b, 6));
    bench_restore(&b, EPC_GW_ACCESS, sdp_wic_restart, sdp_core_answer);
    bench_offer(&b, EPC_GW_CORE, sdp_core_reoffer, 8); /* follows the restoring */
    epc_sdp_free(result(&b, 7));
    assert_int_equal(n_calls(&e), 1);
    epc_sdp_free(first);
    bench_release(&b);
    wait_for_calls(&e, 0);
    assert_int_equal(bench_count(&b, EPC_C_GW_ERRORS), 0);
    bench_stop(&b);
    engine_stop(&e);
}

static void no_ports_left(void **state)
{
    (void)state;
    struct engine e;
    struct bench b;
    engine_start(&e, 1); /* a pair on each interface: audio alone */
    open_call(&b, &e);
    bench_offer(&b, EPC_GW_ACCESS, sdp_wic_offer, 1);
    bench_wait_done(&b, 1);
    assert_int_equal(b.done[0].err, EPC_ELIMIT);
    assert_int_equal(b.done[0].cause.sip_status, 503);
    bench_stop(&b);
    engine_stop(&e);
}

static void a_call_taken_away_is_lost(void **state)
{
    (void)state;
    struct engine e;
    struct bench b;
    engine_start(&e, 90);
    open_call(&b, &e);
    set_up(&b);
    b.release_in_event = true;
    json_t *list = ask(&e, "{\"command\":\"list\"}");
    char text[256];
    snprintf(text, sizeof text, "{\"command\":\"delete\",\"delete-delay\":0,\"call-id\":\"%s\"}",
             json_string_value(json_array_get(json_object_get(list, "calls"), 0)));
    json_decref(ask(&e, text));
    json_decref(list);
    bench_wait_events(&b, 1);
    assert_int_equal(b.event[0].kind, EPC_GW_EV_LOST);
    bench_stop(&b);
    engine_stop(&e);
}

/* ---- media ------------------------------------------------------------------------------------------- */

/* A phone with plain RTP, on either side: the gateway asks nothing of SRTP where none is offered. */
struct phone {
    int fd;
    unsigned port;
    struct sockaddr_in to;
    uint16_t seq;
};

static void phone_open(struct phone *p, const char *ip)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    *p = (struct phone){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    inet_pton(AF_INET, ip, &a.sin_addr);
    assert_int_equal(bind(p->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(p->fd, (struct sockaddr *)&a, &n), 0);
    p->port = ntohs(a.sin_port);
}

static char *phone_sdp(const struct phone *p, const char *ip, const char *codecs)
{
    static char text[2][512];
    static int turn;
    turn = !turn;
    snprintf(text[turn], sizeof text[turn], "v=0\no=- 1 1 IN IP4 %s\ns=-\nt=0 0\nm=audio %u RTP/AVP %s\nc=IN IP4 %s\n", ip,
             p->port, codecs, ip);
    return text[turn];
}

static void phone_aim(struct phone *p, const struct epc_sdp_media *m)
{
    char ip[64];
    snprintf(ip, sizeof ip, "%.*s", EPC_STR_ARG(m->c_addr));
    p->to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(m->port)};
    assert_int_equal(inet_pton(AF_INET, ip, &p->to.sin_addr), 1);
}

static void phone_send(struct phone *p, unsigned char pt)
{
    unsigned char packet[172] = {0x80, pt, (unsigned char)(p->seq >> 8), (unsigned char)p->seq};
    unsigned ts = 160u * p->seq++;
    for (int i = 0; i < 4; i++)
        packet[4 + i] = (unsigned char)(ts >> (24 - 8 * i));
    packet[11] = (unsigned char)p->port;
    memset(packet + 12, 0xd5, 160);
    sendto(p->fd, packet, sizeof packet, 0, (struct sockaddr *)&p->to, sizeof p->to);
}

/* The payload type of a packet that has come, -1: none. */
static int phone_take(struct phone *p)
{
    unsigned char packet[2048];
    ssize_t n = recv(p->fd, packet, sizeof packet, 0);
    return n >= 12 ? packet[1] & 0x7f : -1;
}

/* Both send until each has got @p n packets of payload type @p pt (the other's), or, for n 0, a while long.
 * Gives how many came in all. */
static void talk(struct phone p[2], const unsigned char pt[2], int n, int got[2])
{
    uint64_t until = epc_now_ms() + (n ? BENCH_WAIT_MS : 400);
    got[0] = got[1] = 0;
    while (epc_now_ms() < until && (n == 0 || got[0] < n || got[1] < n)) {
        for (int i = 0; i < 2; i++) {
            phone_send(&p[i], pt[i]);
            for (int type; (type = phone_take(&p[i])) >= 0; got[i]++)
                assert_int_equal(type, pt[i]);
        }
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}

static void codecs(struct epc_cfg_media *cfg)
{
    static char opus[] = "opus", wb[] = "AMR-WB", g722[] = "G722", pcma[] = "PCMA", pcmu[] = "PCMU";
    static char *names[] = {opus, wb, g722, pcma, pcmu};
    cfg->audio_codecs = names;
    cfg->n_audio_codecs = EPC_ARRAY_LEN(names);
    cfg->rtpengine_dscp = 46;
}

static void wait_caps(struct bench *b, struct epc_gw_caps *caps)
{
    uint64_t until = epc_now_ms() + BENCH_WAIT_MS;
    *caps = (struct epc_gw_caps){0};
    while (!caps->transcodes && epc_now_ms() < until) {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        bench_caps(b, caps);
    }
}

/* PCMA alone on one side, G.722 alone on the other; then the gate, and what was counted. */
static void media_are_transcoded_and_gated(void **state)
{
    (void)state;
    struct engine e;
    struct bench b;
    struct phone p[2];
    struct epc_gw_caps caps;
    int got[2];
    static const unsigned char pt[2] = {8, 9};
    engine_start(&e, 90);
    bench_start_with(&b, (unsigned[]){e.port, 0}, 5000, 0, codecs);
    wait_caps(&b, &caps);
    assert_true(caps.transcodes);
    assert_int_equal(caps.audio_codecs & (1 | 4 | 8 | 16), 1 | 4 | 8 | 16); /* AMR-WB: as it was built */
    wait_for_calls(&e, 0); /* nothing is left of the probe */
    bench_ctx(&b, "call@test");
    phone_open(&p[0], ACCESS_IP);
    phone_open(&p[1], "127.0.0.9");
    b.want = phone_sdp(&p[0], ACCESS_IP, "9");
    bench_offer(&b, EPC_GW_ACCESS, phone_sdp(&p[0], ACCESS_IP, "8"), 1);
    struct epc_sdp *s = result(&b, 0);
    assert_int_equal(line(s, 0)->n_codec, 1);
    assert_int_equal(line(s, 0)->codec[0].pt, 9);
    phone_aim(&p[1], line(s, 0));
    epc_sdp_free(s);
    b.want = phone_sdp(&p[1], "127.0.0.9", "8");
    bench_answer(&b, phone_sdp(&p[1], "127.0.0.9", "9"), 2);
    s = result(&b, 1);
    assert_int_equal(line(s, 0)->codec[0].pt, 8);
    phone_aim(&p[0], line(s, 0));
    epc_sdp_free(s);
    talk(p, pt, 10, got);
    assert_true(got[0] >= 10 && got[1] >= 10);
    static const struct {
        bool to_access, to_core;
    } gates[] = {{false, true}, {true, false}, {false, false}};
    for (size_t i = 0; i < EPC_ARRAY_LEN(gates); i++) {
        int64_t before = bench_count(&b, EPC_C_GW_REPLIES);
        bench_gate(&b, gates[i].to_access, gates[i].to_core);
        bench_wait_count(&b, EPC_C_GW_REPLIES, before + 2); /* media and DTMF */
        talk(p, pt, 0, got); /* what was under way */
        talk(p, pt, 0, got);
        assert_true((got[0] > 0) == gates[i].to_access);
        assert_true((got[1] > 0) == gates[i].to_core);
    }
    bench_gate(&b, true, true);
    talk(p, pt, 5, got);
    assert_true(got[0] >= 5 && got[1] >= 5);
    bench_release(&b);
    bench_wait_no_contexts(&b);
    assert_true(bench_count(&b, EPC_C_GW_PACKETS_FROM_ACCESS) >= 15);
    assert_true(bench_count(&b, EPC_C_GW_PACKETS_FROM_CORE) >= 15);
    assert_int_equal(bench_count(&b, EPC_C_GW_OCTETS_FROM_CORE), 172 * bench_count(&b, EPC_C_GW_PACKETS_FROM_CORE));
    wait_for_calls(&e, 0);
    bench_stop(&b);
    close(p[0].fd);
    close(p[1].fd);
    engine_stop(&e);
}

/* A leftover with this node's name goes, another node's stays. */
static void leftovers(void **state)
{
    (void)state;
    struct engine e;
    struct bench b;
    engine_start(&e, 90);
    static const char *const id[] = {"epcscf-00000abc-00000000-1", "epcscf-00000abd-00000000-1"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(id); i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "{\"command\":\"offer\",\"call-id\":\"%s\",\"from-tag\":\"a\",\"sdp\":\"v=0\\r\\no=- 1 1 IN IP4 "
                 "127.0.0.9\\r\\ns=-\\r\\nc=IN IP4 127.0.0.9\\r\\nt=0 0\\r\\nm=audio 5004 RTP/AVP 0\\r\\n\"}",
                 id[i]);
        json_t *j = ask(&e, text);
        assert_string_equal(json_string_value(json_object_get(j, "result")), "ok");
        json_decref(j);
    }
    assert_int_equal(n_calls(&e), 2);
    bench_start(&b, (unsigned[]){e.port, 0}, 5000, 0xabc);
    wait_for_calls(&e, 1);
    json_t *list = ask(&e, "{\"command\":\"list\"}");
    assert_string_equal(json_string_value(json_array_get(json_object_get(list, "calls"), 0)), id[1]);
    json_decref(list);
    bench_stop(&b);
    engine_stop(&e);
}

int main(void)
{
    epc_log_setup(EPC_LOG_ERROR, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call_from_the_wic), cmocka_unit_test(call_from_the_core),
        cmocka_unit_test(re_offers),         cmocka_unit_test(no_ports_left),
        cmocka_unit_test(a_call_taken_away_is_lost), cmocka_unit_test(media_are_transcoded_and_gated),
        cmocka_unit_test(leftovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
