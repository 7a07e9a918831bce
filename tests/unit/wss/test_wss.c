/* The listener against a real TLS client. */
#include "ws_client.h"
#include "ws_server.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ORIGIN "https://wwsf.example.com"

static void connect_ok(struct ws *c, struct server *s)
{
    int before = server_count(s, &s->opened);
    assert_int_equal(ws_dial(c, s->port, 0, NULL), 0);
    assert_int_equal(ws_handshake(c, "/sip", ORIGIN, "sip"), 101);
    assert_true(server_wait(s, &s->opened, before + 1));
}

/* ---- handshake ---- */
static int try_handshake(struct server *s, const char *path, const char *origin, const char *protocols)
{
    struct ws c;
    assert_int_equal(ws_dial(&c, s->port, 0, NULL), 0);
    int status = ws_handshake(&c, path, origin, protocols);
    ws_hang_up(&c);
    return status;
}

static int try_request(struct server *s, const char *request, const char *must_contain)
{
    struct ws c;
    char answer[4096];
    assert_int_equal(ws_dial(&c, s->port, 0, NULL), 0);
    int status = ws_request(&c, request, answer, sizeof answer);
    ws_hang_up(&c);
    if (must_contain)
        assert_non_null(strstr(answer, must_contain));
    return status;
}

static void handshakes_and_refusals(void **state)
{
    (void)state;
    struct server s;
    char long_list[600];
    int64_t before = epc_counter_read(EPC_C_WSS_REFUSED_ORIGIN);
    server_defaults(&s);
    server_start(&s, 3);
    assert_int_equal(s.create_result, EPC_OK);
    assert_int_equal(try_handshake(&s, "/sip", ORIGIN, "sip"), 101);
    assert_int_equal(try_handshake(&s, "/ws", ORIGIN, "msrp, sip"), 101);
    assert_int_equal(try_handshake(&s, "/sip", "HTTPS://WWSF.Example.COM:443", "sip"), 101);
    assert_true(server_wait(&s, &s.opened, 3));
    assert_int_equal(s.flow_id >> 48, 3);
    assert_ptr_equal(s.origin, &s.origins[0]);

    assert_int_equal(try_handshake(&s, "/sip", "https://evil.example.com", "sip"), 403);
    assert_int_equal(try_handshake(&s, "/sip", "https://wwsf.example.com.evil.com", "sip"), 403);
    assert_int_equal(try_handshake(&s, "/sip", "https://wwsf.example.com:8443", "sip"), 403);
    assert_int_equal(try_handshake(&s, "/sip", "http://wwsf.example.com", "sip"), 403);
    assert_int_equal(try_handshake(&s, "/sip", "null", "sip"), 403);
    assert_int_equal(try_handshake(&s, "/sip", "https://wwsf.example.com/x", "sip"), 403);
    assert_int_equal(try_handshake(&s, "/sip", NULL, "sip"), 403);
    assert_int_equal(epc_counter_read(EPC_C_WSS_REFUSED_ORIGIN) - before, 7);

    assert_int_equal(try_handshake(&s, "/sip", ORIGIN, NULL), 400);
    assert_int_equal(try_handshake(&s, "/sip", ORIGIN, "xmpp"), 400);
    assert_int_equal(try_handshake(&s, "/sip", ORIGIN, "sip2, SIP"), 400);
    memset(long_list, 'x', sizeof long_list - 1);
    memcpy(long_list, "sip, ", 5);
    long_list[sizeof long_list - 1] = 0;
    assert_int_equal(try_handshake(&s, "/sip", ORIGIN, long_list), 400);
    assert_int_equal(try_handshake(&s, "/other", ORIGIN, "sip"), 404);
    assert_int_equal(try_handshake(&s, "/", ORIGIN, "sip"), 404);

#define HEAD "GET /sip HTTP/1.1\r\nHost: x\r\nOrigin: " ORIGIN "\r\nSec-WebSocket-Protocol: sip\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    assert_int_equal(try_request(&s, HEAD "Connection: Upgrade\r\nUpgrade: websocket\r\n" KEY
                                 "Sec-WebSocket-Version: 8\r\n\r\n", "Sec-WebSocket-Version: 13"), 426);
    assert_int_equal(try_request(&s, HEAD "Connection: Upgrade\r\nUpgrade: h2c\r\n" KEY
                                 "Sec-WebSocket-Version: 13\r\n\r\n", NULL), 426);
    assert_int_equal(try_request(&s, HEAD "\r\n", "Upgrade: websocket"), 426);
    assert_int_equal(try_request(&s, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", NULL), 404);
    assert_int_equal(try_request(&s, "POST /sip HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
                                 "Allow: GET"), 405);
    assert_int_equal(try_request(&s, HEAD "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                                 "Sec-WebSocket-Version: 13\r\n\r\n", NULL), 400);
    assert_int_equal(try_request(&s, HEAD "Upgrade: websocket\r\n" KEY
                                 "Sec-WebSocket-Version: 13\r\n\r\n", NULL), 400);
    /* one of those offered, and no other, comes back */
    assert_int_equal(try_request(&s, "GET /sip HTTP/1.1\r\nHost: x\r\nOrigin: " ORIGIN "\r\n"
                                 "Sec-WebSocket-Protocol: msrp, sip, xmpp\r\nConnection: Upgrade\r\n"
                                 "Upgrade: websocket\r\n" KEY "Sec-WebSocket-Version: 13\r\n\r\n",
                                 "Sec-WebSocket-Protocol: sip\r\n"), 101);
    assert_true(server_wait(&s, &s.closed, 4));
    assert_int_equal(server_count(&s, &s.opened), 4);
    server_stop(&s);
}

static void missing_origin_may_be_allowed(void **state)
{
    (void)state;
    struct server s;
    server_defaults(&s);
    s.cfg.allow_no_origin = true;
    server_start(&s, 0);
    assert_int_equal(try_handshake(&s, "/sip", "https://evil.example.com", "sip"), 403);
    assert_int_equal(try_handshake(&s, "/sip", NULL, "sip"), 101);
    assert_true(server_wait(&s, &s.opened, 1));
    assert_null(s.origin);
    server_stop(&s);
}

/* A handshake as Chromium sends it, then the start of its first frame. */
static void chromium_bytes(void **state)
{
    (void)state;
    static const char request[] =
        "GET /sip HTTP/1.1\r\nHost: localhost:8555\r\nConnection: Upgrade\r\nPragma: no-cache\r\n"
        "Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
        " (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\n"
        "Origin: https://localhost:40947\r\nSec-WebSocket-Version: 13\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n"
        "Sec-WebSocket-Key: 9cIvSkzVK3Yuu0XheWQafw==\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        "Sec-WebSocket-Protocol: sip\r\n\r\n";
    static const unsigned char frame_start[16] = {0x81, 0xfe, 0x02, 0x4d, 0xb2, 0x11, 0xbc, 0x0b,
                                                  0xe0, 0x54, 0xfb, 0x42, 0xe1, 0x45, 0xf9, 0x59};
    unsigned char frame[8 + 0x24d];
    char answer[2048];
    struct server s;
    struct ws c;
    server_defaults(&s);
    server_start(&s, 0);
    assert_int_equal(ws_dial(&c, s.port, 0, NULL), 0);
    memcpy(frame, frame_start, sizeof frame_start);
    for (size_t i = sizeof frame_start; i < sizeof frame; i++)
        frame[i] = 'x' ^ frame[4 + (i - 8) % 4];
    /* request and frame in one TLS record, which a hasty client may send */
    assert_int_equal(ws_request(&c, request, answer, sizeof answer), 101);
    assert_null(strstr(answer, "permessage-deflate"));
    assert_true(ws_write(&c, frame, sizeof frame));
    assert_true(server_wait(&s, &s.messages, 1));
    assert_int_equal(s.last_n, 0x24d);
    assert_memory_equal(s.last, "REGISTERxx", 10);
    assert_ptr_equal(s.origin, &s.origins[1]);
    ws_hang_up(&c);
    server_stop(&s);
}

static void limits_answer_503(void **state)
{
    (void)state;
    struct server s;
    struct ws a, b;
    server_defaults(&s);
    s.cfg.max_per_address = 2;
    server_start(&s, 0);
    connect_ok(&a, &s);
    connect_ok(&b, &s);
    assert_int_equal(try_handshake(&s, "/sip", ORIGIN, "sip"), 503);
    ws_hang_up(&a);
    assert_true(server_wait(&s, &s.closed, 1));
    uint64_t deadline = epc_now_ms() + 10000;
    int status;
    while ((status = try_handshake(&s, "/sip", ORIGIN, "sip")) == 503 && epc_now_ms() < deadline)
        ;
    assert_int_equal(status, 101);
    ws_hang_up(&b);
    server_stop(&s);
    server_defaults(&s);
    s.cfg.max_connections = 1;
    server_start(&s, 0);
    connect_ok(&a, &s);
    assert_int_equal(try_handshake(&s, "/sip", ORIGIN, "sip"), 503);
    ws_hang_up(&a);
    server_stop(&s);
}

/* A burst, then so many a second; the refusals say so in HTTP, the rest of a flood is closed unheard. */
static void connection_rate_of_a_source(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    int64_t before = epc_counter_read(EPC_C_WSS_REFUSED_RATE);
    server_defaults(&s);
    s.cfg.max_rate_per_address = 1;
    s.cfg.burst_per_address = 3;
    server_start(&s, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(try_handshake(&s, "/sip", ORIGIN, "sip"), 101);
    assert_int_equal(try_handshake(&s, "/sip", ORIGIN, "sip"), 429);
    bool closed = false;
    for (int i = 0; i < 200 && !closed; i++) {
        closed = ws_dial(&c, s.port, 0, NULL) != 0;
        ws_hang_up(&c);
    }
    assert_true(closed);
    assert_true(epc_counter_read(EPC_C_WSS_REFUSED_RATE) - before >= 2);
    /* the source is forgiven, if it is left alone */
    uint64_t deadline = epc_now_ms() + 30000;
    int status = 0;
    while (status != 101 && epc_now_ms() < deadline) {
        if (ws_dial(&c, s.port, 0, NULL) == 0)
            status = ws_handshake(&c, "/sip", ORIGIN, "sip");
        ws_hang_up(&c);
        struct timespec t = {.tv_sec = 2};
        if (status != 101)
            nanosleep(&t, NULL);
    }
    assert_int_equal(status, 101);
    server_stop(&s);
}

static struct epc_cfg_registration register_limits;
static int allowed;
static void register_often(struct server *s, struct epc_flow *f)
{
    (void)s;
    allowed = 0;
    for (int i = 0; i < 100; i++)
        allowed += epc_flow_may_register(f, &register_limits);
}

static void register_rate(void **state)
{
    (void)state;
    struct server s;
    struct ws a, b;
    server_defaults(&s);
    server_start(&s, 0);
    connect_ok(&a, &s);
    register_limits = (struct epc_cfg_registration){0};
    server_do(&s, register_often);
    assert_int_equal(allowed, 100);
    register_limits.max_rate_per_address = 3;
    server_do(&s, register_often);
    assert_in_range(allowed, 12, 20);
    connect_ok(&b, &s);
    server_do(&s, register_often);
    assert_in_range(allowed, 0, 8); /* one source has one measure */
    ws_hang_up(&a);
    ws_hang_up(&b);
    server_stop(&s);
}

static void slow_handshake_is_cut(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    char buf[64];
    server_defaults(&s);
    s.cfg.handshake_timeout_ms = 100;
    server_start(&s, 0);
    assert_int_equal(ws_dial(&c, s.port, 0, NULL), 0);
    assert_true(ws_write(&c, "GET /sip HT", 11));
    assert_true(SSL_read(c.ssl, buf, sizeof buf) <= 0);
    assert_int_equal(server_count(&s, &s.opened), 0);
    ws_hang_up(&c);
    server_stop(&s);
}

/* ---- TLS ---- */
static void old_tls_is_refused(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    server_defaults(&s);
    s.cfg.tls_min = "1.3";
    server_start(&s, 0);
    assert_int_equal(ws_dial(&c, s.port, TLS1_2_VERSION, NULL), -1);
    ws_hang_up(&c);
    assert_int_equal(try_handshake(&s, "/sip", ORIGIN, "sip"), 101);
    server_stop(&s);
    server_defaults(&s);
    server_start(&s, 0);
    assert_int_equal(ws_dial(&c, s.port, TLS1_2_VERSION, NULL), 0);
    assert_int_equal(ws_handshake(&c, "/sip", ORIGIN, "sip"), 101);
    ws_hang_up(&c);
    assert_int_equal(ws_dial(&c, s.port, TLS1_1_VERSION, NULL), -1);
    ws_hang_up(&c);
    server_stop(&s);
}

static void ticket_is_good_on_every_shard(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct server s[2];
    for (unsigned i = 0; i < 2; i++) {
        server_defaults(&s[i]);
        server_create(&s[i], i);
    }
    for (unsigned i = 0; i < 2; i++)
        server_start(&s[i], i);
    for (size_t v = 0; v < 2; v++) {
        struct ws a, b;
        assert_int_equal(ws_dial(&a, s[0].port, versions[v], NULL), 0);
        assert_int_equal(ws_handshake(&a, "/sip", ORIGIN, "sip"), 101);
        assert_non_null(a.session);
        assert_int_equal(ws_dial(&b, s[1].port, versions[v], a.session), 0);
        assert_int_equal(ws_handshake(&b, "/sip", ORIGIN, "sip"), 101);
        assert_int_equal(SSL_session_reused(b.ssl), 1);
        ws_hang_up(&a);
        ws_hang_up(&b);
    }
    server_stop(&s[0]);
    server_stop(&s[1]);
}

static void bad_certificate_is_an_error(void **state)
{
    (void)state;
    struct server s;
    server_defaults(&s);
    s.cfg.certificate = "/nonexistent/cert.pem";
    server_start(&s, 0);
    assert_int_equal(s.create_result, EPC_EIO);
    server_stop(&s);
    server_defaults(&s);
    s.cfg.key = s.cfg.certificate; /* not a key */
    server_start(&s, 0);
    assert_int_equal(s.create_result, EPC_EIO);
    server_stop(&s);
}

static enum epc_err reload_result;
static void reload(struct server *s, struct epc_flow *f)
{
    (void)f;
    reload_result = epc_wss_reload(s->wss);
}

static bool shows(struct server *s, const char *name)
{
    struct ws c;
    char cn[64] = "";
    assert_int_equal(ws_dial(&c, s->port, 0, NULL), 0);
    X509 *cert = SSL_get1_peer_certificate(c.ssl);
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, cn, sizeof cn);
    X509_free(cert);
    ws_hang_up(&c);
    return strcmp(cn, name) == 0;
}

static void new_certificate_without_a_break(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    char buf[64];
    size_t n;
    server_defaults(&s);
    server_start(&s, 0);
    connect_ok(&c, &s);
    assert_true(shows(&s, "localhost"));
    assert_true(server_renew_certificate(false));
    server_do(&s, reload);
    assert_int_equal(reload_result, EPC_EIO);
    assert_true(shows(&s, "localhost")); /* a bad file changes nothing */
    assert_true(server_renew_certificate(true));
    server_do(&s, reload);
    assert_int_equal(reload_result, EPC_OK);
    assert_true(shows(&s, "renewed"));
    assert_true(ws_frame(&c, WS_FIN | WS_TEXT, "echo+", 5));
    assert_int_equal(ws_read(&c, buf, sizeof buf, &n), WS_FIN | WS_TEXT);
    assert_string_equal(buf, "+");
    assert_int_equal(server_count(&s, &s.closed), 0);
    ws_hang_up(&c);
    server_stop(&s);
}

/* ---- messages ---- */
static void messages_both_ways(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    size_t n;
    char *big = malloc(65536), *buf = malloc(70000);
    server_defaults(&s);
    server_start(&s, 0);
    connect_ok(&c, &s);
    assert_true(ws_frame(&c, WS_FIN | WS_TEXT, "\r\n\r\n", 4)); /* keep-alive */
    assert_true(server_wait(&s, &s.messages, 1));
    assert_memory_equal(s.last, "\r\n\r\n", 4);
    /* three fragments with a ping between them are one message */
    assert_true(ws_frame(&c, WS_TEXT, "echo abc", 8));
    assert_true(ws_frame(&c, 0, " def", 4));
    assert_true(ws_frame(&c, WS_FIN | WS_PING, "hello", 5));
    assert_true(ws_frame(&c, WS_FIN, " ghi", 4));
    int first = ws_read(&c, buf, 70000, &n), second;
    if (first == (WS_FIN | WS_PONG)) {
        assert_string_equal(buf, "hello");
        second = ws_read(&c, buf, 70000, &n);
        assert_int_equal(second, WS_FIN | WS_TEXT);
        assert_string_equal(buf, " abc def ghi");
    } else {
        assert_int_equal(first, WS_FIN | WS_TEXT);
        assert_string_equal(buf, " abc def ghi");
        second = ws_read(&c, buf, 70000, &n);
        assert_int_equal(second, WS_FIN | WS_PONG);
    }
    assert_int_equal(server_count(&s, &s.messages), 2);
    /* the largest message; not UTF-8, so a binary frame both ways */
    memset(big, 0xee, 65536);
    memcpy(big, "echo", 4);
    assert_true(ws_frame(&c, WS_FIN | WS_BINARY, big, 65536));
    assert_int_equal(ws_read(&c, buf, 70000, &n), WS_FIN | WS_BINARY);
    assert_int_equal(n, 65532);
    assert_memory_equal(buf, big + 4, n);
    /* many at once */
    for (int i = 0; i < 50; i++)
        assert_true(ws_frame(&c, WS_FIN | WS_TEXT, "echo+", 5));
    for (int i = 0; i < 50; i++) {
        assert_int_equal(ws_read(&c, buf, 70000, &n), WS_FIN | WS_TEXT);
        assert_string_equal(buf, "+");
    }
    ws_hang_up(&c);
    assert_true(server_wait(&s, &s.closed, 1));
    assert_int_equal(s.why, EPC_FLOW_PEER_CLOSED);
    server_stop(&s);
    free(big);
    free(buf);
}

/* Every suite of TLS 1.3, and TLS 1.2; a record of each size that a boundary may fall into; new keys on the way
 * (RFC 8446 4.6.3). */
static void echo_all_sizes(struct ws *c)
{
    static const size_t sizes[] = {5, 125, 126, 127, 4000, 16373, 16374, 16375, 16384, 16385, 40000, 65536};
    char *big = malloc(65536), *buf = malloc(70000);
    size_t n;
    for (size_t i = 0; i < EPC_ARRAY_LEN(sizes); i++) {
        for (size_t k = 0; k < sizes[i]; k++)
            big[k] = (char)('a' + k % 23);
        memcpy(big, "echo", 4);
        assert_true(ws_frame(c, WS_FIN | WS_TEXT, big, sizes[i]));
        assert_int_equal(ws_read(c, buf, 70000, &n), WS_FIN | WS_TEXT);
        assert_int_equal(n, sizes[i] - 4);
        assert_memory_equal(buf, big + 4, n);
    }
    free(big);
    free(buf);
}

static void ciphers_and_new_keys(const char *tls_records)
{
    static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256", NULL};
    struct server s;
    server_defaults(&s);
    s.cfg.tls_records = (char *)(uintptr_t)tls_records;
    server_start(&s, 0);
    for (size_t i = 0; i < EPC_ARRAY_LEN(suites); i++) {
        struct ws c;
        ws_suites = suites[i];
        assert_int_equal(ws_dial(&c, s.port, suites[i] ? TLS1_3_VERSION : TLS1_2_VERSION, NULL), 0);
        ws_suites = NULL;
        assert_int_equal(ws_handshake(&c, "/sip", ORIGIN, "sip"), 101);
        if (suites[i])
            assert_string_equal(SSL_get_cipher_name(c.ssl), suites[i]);
        echo_all_sizes(&c);
        for (int k = 0; suites[i] && k < 3; k++) {
            assert_int_equal(SSL_key_update(c.ssl, k == 1 ? SSL_KEY_UPDATE_NOT_REQUESTED : SSL_KEY_UPDATE_REQUESTED), 1);
            echo_all_sizes(&c);
        }
        ws_hang_up(&c);
    }
    server_stop(&s);
}

static void every_cipher_and_new_keys(void **state)
{
    (void)state;
    ciphers_and_new_keys("own");
}

static void records_left_to_openssl(void **state)
{
    (void)state;
    ciphers_and_new_keys("openssl");
}

/* Asking for new keys is work for us and none for the peer: without data between, it has an end. */
static void new_keys_without_end(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    char buf[64];
    size_t n;
    server_defaults(&s);
    server_start(&s, 0);
    connect_ok(&c, &s);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 20; i++) {
            assert_int_equal(SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
            assert_int_equal(SSL_do_handshake(c.ssl), 1);
        }
        assert_true(ws_frame(&c, WS_FIN | WS_TEXT, "echo!", 5));
        assert_int_equal(ws_read(&c, buf, sizeof buf, &n), WS_FIN | WS_TEXT);
    }
    for (int i = 0; i < 33; i++)
        if (SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(c.ssl) != 1)
            break;
    assert_true(SSL_read(c.ssl, buf, sizeof buf) <= 0);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_AD_REASON_OFFSET + SSL_AD_UNEXPECTED_MESSAGE);
    ERR_clear_error();
    ws_hang_up(&c);
    assert_true(server_wait(&s, &s.closed, 1));
    server_stop(&s);
}

/* What is no record of this connection ends it with an alert. */
static void broken_records_end_the_flow(void **state)
{
    (void)state;
    static const struct {
        const char *octets;
        size_t n;
        int alert;
    } bad[] = {
        {"\x17\x03\x03\x00\x20" "12345678901234567890123456789012", 37, SSL_AD_BAD_RECORD_MAC},
        {"\x17\x03\x03\x00\x10" "1234567890123456", 21, SSL_AD_BAD_RECORD_MAC},
        {"\x17\x03\x03\x41\x01", 5, SSL_AD_RECORD_OVERFLOW},
        {"\x16\x03\x03\x00\x01\x00", 6, SSL_AD_UNEXPECTED_MESSAGE},
        {"GET /sip HTTP/1.1\r\n", 19, SSL_AD_UNEXPECTED_MESSAGE},
    };
    struct server s;
    server_defaults(&s);
    server_start(&s, 0);
    for (int i = 0; i < (int)EPC_ARRAY_LEN(bad); i++) {
        struct ws c;
        char buf[64];
        connect_ok(&c, &s);
        assert_int_equal(write(c.fd, bad[i].octets, bad[i].n), bad[i].n);
        assert_true(SSL_read(c.ssl, buf, sizeof buf) <= 0);
        assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_AD_REASON_OFFSET + bad[i].alert);
        ERR_clear_error();
        ws_hang_up(&c);
        assert_true(server_wait(&s, &s.closed, i + 1));
        assert_int_equal(s.why, EPC_FLOW_PEER_CLOSED);
    }
    assert_int_equal(server_count(&s, &s.messages), 0);
    server_stop(&s);
}

/* Records and frames in pieces of every size: nothing is lost at a border. */
static void octet_by_octet(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    char buf[256];
    size_t n;
    server_defaults(&s);
    server_start(&s, 0);
    assert_int_equal(ws_dial(&c, s.port, 0, NULL), 0);
    static const char request[] = "GET /sip?x=y HTTP/1.1\r\nhost: x\r\norigin: " ORIGIN "\r\nupgrade:websocket\r\n"
                                  "connection: upgrade\r\nsec-websocket-version: 13\r\n"
                                  "sec-websocket-protocol: xmpp\r\nsec-websocket-protocol: sip\r\n"
                                  "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (size_t i = 0; i < sizeof request - 1; i++)
        assert_true(ws_write(&c, request + i, 1));
    assert_int_equal(ws_request(&c, "\r\n", buf, sizeof buf), 101);
    static const unsigned char frame[] = {0x81, 0x88, 0, 0, 0, 0, 'e', 'c', 'h', 'o', 'w', 'o', 'r', 'd',
                                          0x81, 0x85, 0, 0, 0, 0, 'e', 'c', 'h', 'o', '!'};
    for (size_t i = 0; i < sizeof frame; i++)
        assert_true(ws_write(&c, frame + i, 1));
    assert_int_equal(ws_read(&c, buf, sizeof buf, &n), WS_FIN | WS_TEXT);
    assert_string_equal(buf, "word");
    assert_int_equal(ws_read(&c, buf, sizeof buf, &n), WS_FIN | WS_TEXT);
    assert_string_equal(buf, "!");
    ws_hang_up(&c);
    server_stop(&s);
}

static void too_big_is_1009(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    static char big[5000];
    memset(big, 'a', sizeof big);
    server_defaults(&s);
    s.cfg.max_message_octets = 4096;
    server_start(&s, 0);
    connect_ok(&c, &s);
    assert_true(ws_frame(&c, WS_FIN | WS_TEXT, big, 4096));
    assert_true(server_wait(&s, &s.messages, 1));
    assert_true(ws_frame(&c, WS_FIN | WS_TEXT, big, 4097));
    assert_int_equal(ws_read_close(&c), 1009);
    ws_hang_up(&c);
    connect_ok(&c, &s); /* in fragments */
    assert_true(ws_frame(&c, WS_TEXT, big, 3000));
    assert_true(ws_frame(&c, 0, big, 3000));
    assert_int_equal(ws_read_close(&c), 1009);
    ws_hang_up(&c);
    assert_true(server_wait(&s, &s.closed, 2));
    assert_int_equal(server_count(&s, &s.messages), 1);
    assert_int_equal(s.why, EPC_FLOW_LOCAL_CLOSED);
    server_stop(&s);
}

static void wrong_frames_end_the_flow(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    server_defaults(&s);
    server_start(&s, 0);
    connect_ok(&c, &s);
    assert_true(ws_frame(&c, WS_FIN | WS_TEXT, "\xff\xfe", 2)); /* text that is not UTF-8 */
    assert_int_equal(ws_read_close(&c), 1007);
    ws_hang_up(&c);
    static const struct {
        const char *octets;
        size_t n;
    } bad[] = {
        {"\x83\x80" "mask", 6},         /* reserved opcode */
        {"\x8b\x80" "mask", 6},         /* reserved control opcode */
        {"\xc1\x80" "mask", 6},         /* reserved bit */
        {"\x81\x01" "x", 3},            /* not masked */
        {"\x80\x80" "mask", 6},         /* nothing to continue */
        {"\x01\x80" "mask\x81\x80" "mask", 12}, /* a message begins in another */
        {"\x09\x80" "mask", 6},         /* a ping in fragments */
        {"\x89\xfe\x00\x80" "mask", 8}, /* a long ping */
        {"\x88\x81" "\0\0\0\0" "x", 7}, /* half a close code */
        {"\x88\x82" "\0\0\0\0" "\x03\xed", 8}, /* a code that never goes over the wire */
    };
    for (int i = 0; i < (int)EPC_ARRAY_LEN(bad); i++) {
        connect_ok(&c, &s);
        assert_true(ws_write(&c, bad[i].octets, bad[i].n));
        assert_int_equal(ws_read_close(&c), 1002);
        ws_hang_up(&c);
        assert_true(server_wait(&s, &s.closed, 2 + i));
    }
    assert_int_equal(server_count(&s, &s.messages), 0);
    server_stop(&s);
}

/* ---- closing ---- */
static void peer_closes(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    server_defaults(&s);
    server_start(&s, 0);
    connect_ok(&c, &s);
    assert_true(ws_frame(&c, WS_FIN | WS_CLOSE, "\x03\xe8", 2));
    assert_int_equal(ws_read_close(&c), 1000);
    ws_hang_up(&c);
    assert_true(server_wait(&s, &s.closed, 1));
    assert_int_equal(s.why, EPC_FLOW_PEER_CLOSED);
    server_stop(&s);
}

static void close_drains_first(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    char buf[256];
    size_t n;
    server_defaults(&s);
    server_start(&s, 0);
    connect_ok(&c, &s);
    assert_true(ws_frame(&c, WS_FIN | WS_TEXT, "quit", 4));
    assert_int_equal(ws_read(&c, buf, sizeof buf, &n), WS_FIN | WS_TEXT);
    assert_string_equal(buf, "goodbye");
    assert_int_equal(ws_read(&c, buf, sizeof buf, &n), WS_FIN | WS_CLOSE);
    assert_memory_equal(buf, "\x0f\xa0" "asked to", 10);
    assert_true(ws_frame(&c, WS_FIN | WS_CLOSE, "\x0f\xa0", 2));
    assert_true(server_wait(&s, &s.closed, 1));
    assert_int_equal(s.why, EPC_FLOW_LOCAL_CLOSED);
    assert_false(s.closed_inside);
    ws_hang_up(&c);
    server_stop(&s);
}

static void shutdown_says_1001(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    server_defaults(&s);
    server_start(&s, 0);
    connect_ok(&c, &s);
    server_stop(&s);
    assert_int_equal(server_count(&s, &s.closed), 1);
    assert_int_equal(s.why, EPC_FLOW_SHUTDOWN);
    assert_int_equal(ws_read_close(&c), 1001);
    ws_hang_up(&c);
}

/* ---- pauses ---- */
static void pause_long(struct server *s, struct epc_flow *f)
{
    (void)s;
    epc_flow_pause(f, 1);
    epc_flow_pause(f, 60000); /* the last one counts */
}

static void pause_short(struct server *s, struct epc_flow *f)
{
    (void)s;
    epc_flow_pause(f, 30);
}

static void hear_none(struct server *s, struct epc_flow *f)
{
    (void)f;
    assert_int_equal(epc_wss_hear(s->wss, 0), 1);
}

static void hear_two(struct server *s, struct epc_flow *f)
{
    (void)f;
    assert_int_equal(epc_wss_hear(s->wss, 2), 0);
}

static void say_hello(struct server *s, struct epc_flow *f)
{
    (void)s;
    assert_int_equal(epc_flow_send(f, "hello", 5), EPC_OK);
}

static void close_flow(struct server *s, struct epc_flow *f)
{
    (void)s;
    epc_flow_close(f, 4000, "enough");
}

static void paused_flow_is_not_read(void **state)
{
    (void)state;
    struct server s;
    struct ws other, c, third;
    char buf[256];
    size_t n;
    server_defaults(&s);
    server_start(&s, 0);
    connect_ok(&other, &s);
    connect_ok(&c, &s); /* server_do() means the newest */
    server_do(&s, pause_long);
    assert_true(ws_frame(&c, WS_FIN | WS_TEXT, "held", 4));
    assert_true(ws_frame(&other, WS_FIN | WS_TEXT, "free", 4));
    assert_true(server_wait(&s, &s.messages, 1));
    assert_memory_equal(s.last, "free", 4);
    server_do(&s, say_hello);
    assert_int_equal(ws_read(&c, buf, sizeof buf, &n), WS_FIN | WS_TEXT);
    assert_memory_equal(buf, "hello", 5);
    assert_int_equal(server_count(&s, &s.messages), 1);
    server_do(&s, hear_none);
    assert_int_equal(server_count(&s, &s.messages), 1);
    assert_true(ws_frame(&c, WS_FIN | WS_TEXT, "newer", 5));
    assert_true(ws_frame(&other, WS_FIN | WS_TEXT, "free", 4));
    assert_true(server_wait(&s, &s.messages, 2));
    server_do(&s, hear_two);
    assert_true(server_wait(&s, &s.messages, 4));
    assert_memory_equal(s.last, "newer", 5);
    assert_int_equal(server_count(&s, &s.superseded), 1); /* the older one */

    server_do(&s, pause_short);
    assert_true(ws_frame(&c, WS_FIN | WS_TEXT, "later", 5));
    assert_true(server_wait(&s, &s.messages, 5));
    assert_memory_equal(s.last, "later", 5);
    assert_true(ws_frame(&c, WS_FIN | WS_TEXT, "a", 1));
    assert_true(ws_frame(&c, WS_FIN | WS_TEXT, "b", 1));
    assert_true(server_wait(&s, &s.messages, 7));
    assert_int_equal(server_count(&s, &s.superseded), 1); /* only in pauses */

    /* A flow that closes hears its peer, one that ends in a pause leaves nothing behind. */
    server_do(&s, pause_long);
    server_do(&s, close_flow);
    assert_int_equal(ws_read_close(&c), 4000);
    assert_true(ws_frame(&c, WS_FIN | WS_CLOSE, "\x0f\xa0", 2));
    assert_true(server_wait(&s, &s.closed, 1));
    connect_ok(&third, &s);
    server_do(&s, pause_short);
    server_do(&s, pause_long);
    ws_hang_up(&third);
    ws_hang_up(&c);
    ws_hang_up(&other);
    server_stop(&s);
    assert_int_equal(server_count(&s, &s.closed), 3);
}

/* Pongs are not heard in a pause, and nobody is cut for it. */
static void pause_is_no_silence(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    char buf[256];
    size_t n;
    server_defaults(&s);
    s.cfg.ping_interval_ms = 30;
    s.cfg.pong_timeout_ms = 30;
    server_start(&s, 0);
    connect_ok(&c, &s);
    server_do(&s, pause_long);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ws_read(&c, buf, sizeof buf, &n), WS_FIN | WS_PING);
    assert_int_equal(server_count(&s, &s.closed), 0);
    ws_hang_up(&c);
    server_stop(&s);
}

/* ---- keep-alive and timers ---- */
static void pings_keep_the_flow(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    char buf[256];
    size_t n;
    server_defaults(&s);
    s.cfg.ping_interval_ms = 50;
    s.cfg.pong_timeout_ms = 2000;
    server_start(&s, 0);
    connect_ok(&c, &s);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ws_read(&c, buf, sizeof buf, &n), WS_FIN | WS_PING);
        assert_true(n > 0);
        assert_true(ws_frame(&c, WS_FIN | WS_PONG, buf, n));
    }
    assert_int_equal(server_count(&s, &s.closed), 0);
    ws_hang_up(&c);
    server_stop(&s);
}

static void silence_ends_the_flow(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    int64_t before = epc_counter_read(EPC_C_WSS_PING_TIMEOUT);
    server_defaults(&s);
    s.cfg.ping_interval_ms = 30;
    s.cfg.pong_timeout_ms = 60;
    server_start(&s, 0);
    connect_ok(&c, &s);
    assert_true(server_wait(&s, &s.closed, 1));
    assert_int_equal(s.why, EPC_FLOW_PING_TIMEOUT);
    assert_int_equal(epc_counter_read(EPC_C_WSS_PING_TIMEOUT) - before, 1);
    ws_hang_up(&c);
    server_stop(&s);
}

static void set_registered(struct server *s, struct epc_flow *f)
{
    (void)s;
    epc_flow_set_registered(f, true);
}
static void set_unregistered(struct server *s, struct epc_flow *f)
{
    (void)s;
    epc_flow_set_registered(f, false);
}
static void unregistered_is_1008(void **state)
{
    (void)state;
    struct server s;
    struct ws c, d;
    server_defaults(&s);
    s.cfg.registration_timeout_ms = 300;
    server_start(&s, 0);
    connect_ok(&d, &s);
    server_do(&s, set_registered);
    uint64_t registered = s.flow_id;
    connect_ok(&c, &s);
    assert_int_equal(ws_read_close(&c), 1008);
    ws_hang_up(&c);
    assert_true(server_wait(&s, &s.closed, 1));
    assert_int_equal(server_count(&s, &s.closed), 1); /* d is still there */
    s.flow_id = registered;
    server_do(&s, set_unregistered);
    assert_int_equal(ws_read_close(&d), 1008);
    ws_hang_up(&d);
    server_stop(&s);
}

static enum epc_err flood_result;
static void flood(struct server *s, struct epc_flow *f)
{
    static char block[32768];
    (void)s;
    memset(block, 'b', sizeof block);
    flood_result = EPC_OK;
    for (int i = 0; i < 1000 && flood_result == EPC_OK; i++)
        flood_result = epc_flow_send(f, block, sizeof block);
    if (epc_flow_send(f, "x", 1) != EPC_ENOENT)
        abort();
}
static void peer_that_does_not_read_is_cut(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    server_defaults(&s);
    server_start(&s, 0);
    connect_ok(&c, &s);
    server_do(&s, flood);
    assert_int_equal(flood_result, EPC_ELIMIT);
    assert_true(server_wait(&s, &s.closed, 1));
    assert_int_equal(s.why, EPC_FLOW_BACKPRESSURE);
    ws_hang_up(&c);
    server_stop(&s);
}

static void send_a_lot(struct server *s, struct epc_flow *f)
{
    static char block[4096];
    (void)s;
    memset(block, 'q', sizeof block);
    for (int i = 0; i < 800; i++) {
        memcpy(block, &i, sizeof i);
        if (epc_flow_send(f, block, sizeof block) != EPC_OK)
            abort();
    }
    epc_flow_close(f, 1000, "all sent");
}
static void queue_arrives_whole_and_in_order(void **state)
{
    (void)state;
    struct server s;
    struct ws c;
    static char buf[8192];
    size_t n;
    server_defaults(&s);
    s.cfg.send_queue_octets = 8000000;
    server_start(&s, 0);
    connect_ok(&c, &s);
    server_do(&s, send_a_lot);
    for (int i = 0; i < 800; i++) {
        int got;
        assert_true(ws_read(&c, buf, sizeof buf, &n) >= 0);
        assert_int_equal(n, 4096);
        memcpy(&got, buf, sizeof got);
        assert_int_equal(got, i);
    }
    assert_int_equal(ws_read_close(&c), 1000);
    ws_hang_up(&c);
    assert_true(server_wait(&s, &s.closed, 1));
    server_stop(&s);
}

static int setup(void **state)
{
    (void)state;
    epc_log_setup(getenv("V") ? EPC_LOG_DEBUG : EPC_LOG_ERROR, 2);
    return server_make_certificate() ? 0 : -1;
}
static int teardown(void **state)
{
    (void)state;
    server_remove_certificate();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes_and_refusals),
        cmocka_unit_test(missing_origin_may_be_allowed),
        cmocka_unit_test(chromium_bytes),
        cmocka_unit_test(limits_answer_503),
        cmocka_unit_test(connection_rate_of_a_source),
        cmocka_unit_test(register_rate),
        cmocka_unit_test(slow_handshake_is_cut),
        cmocka_unit_test(old_tls_is_refused),
        cmocka_unit_test(ticket_is_good_on_every_shard),
        cmocka_unit_test(bad_certificate_is_an_error),
        cmocka_unit_test(new_certificate_without_a_break),
        cmocka_unit_test(messages_both_ways),
        cmocka_unit_test(every_cipher_and_new_keys), cmocka_unit_test(records_left_to_openssl),
        cmocka_unit_test(new_keys_without_end),
        cmocka_unit_test(broken_records_end_the_flow),
        cmocka_unit_test(octet_by_octet),
        cmocka_unit_test(too_big_is_1009),
        cmocka_unit_test(wrong_frames_end_the_flow),
        cmocka_unit_test(peer_closes),
        cmocka_unit_test(close_drains_first),
        cmocka_unit_test(shutdown_says_1001),
        cmocka_unit_test(paused_flow_is_not_read),
        cmocka_unit_test(pause_is_no_silence),
        cmocka_unit_test(pings_keep_the_flow),
        cmocka_unit_test(silence_ends_the_flow),
        cmocka_unit_test(unregistered_is_1008),
        cmocka_unit_test(peer_that_does_not_read_is_cut),
        cmocka_unit_test(queue_arrives_whole_and_in_order),
    };
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests(tests, setup, teardown);
}
