/* Flow tokens: made, verified, forged. */
#include "cm.h"
#include "fakes.h"
#include "sip/sip_priv.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void no_request(void *arg, struct epc_sip_in *in)
{
    (void)arg;
    epc_sip_in_release(in);
}
static void no_ack(void *arg, enum epc_leg from, uint64_t flow, msg_t *msg)
{
    (void)arg;
    (void)from;
    (void)flow;
    msg_destroy(msg);
}

struct rig {
    struct epc_shard *sh;
    struct epc_sip *s;
    struct epc_cfg_sip cfg;
};

static void open_rig(struct rig *r, unsigned index, const char *key, uint16_t port)
{
    static const struct epc_sip_handler h = {no_request, no_ack, NULL};
    memset(r, 0, sizeof *r);
    r->cfg.public_host = (char *)(uintptr_t)"edge.example.com";
    r->cfg.public_port = 443;
    r->cfg.core_host = (char *)(uintptr_t)"127.0.0.70";
    r->cfg.core_port = port;
    r->sh = fake_shard_new(index);
    assert_int_equal(epc_sip_create(&r->s, r->sh, &r->cfg, (const unsigned char *)key, &h, NULL), EPC_OK);
}

static void close_rig(struct rig *r)
{
    epc_sip_destroy(r->s);
    fake_shard_free(r->sh);
}

static uint16_t port(void)
{
    return (uint16_t)(20000 + getpid() % 20000);
}

static const char key1[] = "0123456789abcdef0123456789abcdef", key2[] = "0123456789abcdef0123456789abcdeg";

/* @p host_port 0: our own port, negative: none. */
static enum epc_err ask(struct rig *r, const char *token, const char *host, int host_port, uint64_t *flow)
{
    char text[300], number[12] = "";
    su_home_t home[1] = {SU_HOME_INIT(home)};
    if (host_port >= 0)
        snprintf(number, sizeof number, ":%d", host_port ? host_port : r->s->core_port);
    snprintf(text, sizeof text, "sip:%s@%s%s;lr", token, host, number);
    url_t *u = url_make(home, text);
    assert_non_null(u);
    enum epc_err e = epc_sip_token_flow(r->s, u, flow);
    su_home_deinit(home);
    return e;
}

static void round_trip(void **state)
{
    struct rig r;
    char token[EPC_SIP_TOKEN_LEN];
    uint64_t flow = 0, id = 0x0003deadbeef0001u;
    (void)state;
    open_rig(&r, 3, key1, port());
    epc_sip_flow_token(r.s, id, token);
    assert_int_equal(strlen(token), 36);
    assert_int_equal(strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 36);
    assert_int_equal(ask(&r, token, "127.0.0.70", 0, &flow), EPC_OK);
    assert_true(flow == id);
    flow = 0;
    assert_int_equal(ask(&r, token, "EDGE.example.com", 443, &flow), EPC_OK);
    assert_true(flow == id);
    assert_int_equal(ask(&r, token, "edge.example.com", -1, &flow), EPC_OK);
    assert_int_equal(ask(&r, token, "127.0.0.72", 0, &flow), EPC_ENOENT);
    assert_int_equal(ask(&r, token, "127.0.0.70", 1, &flow), EPC_ENOENT);
    close_rig(&r);
}

static void forged(void **state)
{
    struct rig r;
    char token[EPC_SIP_TOKEN_LEN];
    uint64_t flow = 77;
    (void)state;
    open_rig(&r, 0, key1, port());
    epc_sip_flow_token(r.s, 5, token);
    for (size_t i = 0; i < strlen(token); i++) {
        char bad[EPC_SIP_TOKEN_LEN];
        memcpy(bad, token, sizeof bad);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        assert_int_equal(ask(&r, bad, "127.0.0.70", 0, &flow), EPC_EAUTH);
    }
    token[35] = 0;
    assert_int_equal(ask(&r, token, "127.0.0.70", 0, &flow), EPC_EAUTH);
    assert_int_equal(ask(&r, "guess", "127.0.0.70", 0, &flow), EPC_EAUTH);
    assert_int_equal(ask(&r, "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!", "127.0.0.70", 0, &flow), EPC_EAUTH);
    assert_true(flow == 77);
    close_rig(&r);
}

static void other_key(void **state)
{
    struct rig a, b;
    char token[EPC_SIP_TOKEN_LEN];
    uint64_t flow = 0;
    (void)state;
    open_rig(&a, 0, key1, port());
    open_rig(&b, 1, key2, port());
    epc_sip_flow_token(a.s, 5, token);
    assert_int_equal(ask(&b, token, "127.0.0.70", 0, &flow), EPC_EAUTH);
    close_rig(&b);
    open_rig(&b, 1, key1, port());
    assert_int_equal(ask(&b, token, "127.0.0.70", 0, &flow), EPC_OK);
    close_rig(&b);
    close_rig(&a);
}

static void path_and_record_route(void **state)
{
    static const char text[] = "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK1\r\n"
                               "Record-Route: <sip:below@192.0.2.1;lr>\r\nFrom: <sip:a@x>;tag=f\r\n"
                               "To: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n";
    struct rig r;
    (void)state;
    open_rig(&r, 0, key1, port());
    for (int from = 0; from < 2; from++) {
        msg_t *m = epc_sip_parse(text, sizeof text - 1);
        assert_int_equal(epc_sip_record_route(r.s, m, from ? EPC_LEG_CORE : EPC_LEG_WIC, 9), EPC_OK);
        struct epc_str first = epc_sip_get(m, "Record-Route", 0), second = epc_sip_get(m, "Record-Route", 1),
                       third = epc_sip_get(m, "Record-Route", 2);
        struct epc_str core = from ? second : first, wic = from ? first : second;
        char *c = epc_str_dup(core), *w = epc_str_dup(wic);
        assert_non_null(strstr(c, "@127.0.0.70:"));
        assert_non_null(strstr(c, ";lr>"));
        assert_non_null(strstr(w, "@edge.example.com:443;transport=ws;lr>"));
        assert_true(epc_str_eqc(third, "<sip:below@192.0.2.1;lr>"));
        free(c);
        free(w);
        /* Both come off together and name the flow. */
        uint64_t flow = 0;
        char *r1 = epc_str_dup(first), *r2 = epc_str_dup(second), *r3 = epc_str_dup(third);
        const char *routes[] = {r1, r2, r3, NULL};
        assert_int_equal(epc_sip_set_routes(m, routes), EPC_OK);
        assert_int_equal(epc_sip_pop_routes(r.s, m, 0, &flow), EPC_OK);
        assert_true(flow == 9);
        assert_true(epc_str_eqc(epc_sip_get(m, "Route", 0), "<sip:below@192.0.2.1;lr>"));
        assert_null(epc_sip_get(m, "Route", 1).p);
        assert_int_equal(epc_sip_pop_routes(r.s, m, 0, &flow), EPC_ENOENT);
        free(r1);
        free(r2);
        free(r3);
        char token[EPC_SIP_TOKEN_LEN], want[300];
        epc_sip_flow_token(r.s, 9, token);
        char *uri = epc_sip_path_uri(r.s, 9, true);
        snprintf(want, sizeof want, "\r\nPath: <%s>\r\n", uri);
        assert_non_null(strstr(uri, ";lr;ob"));
        assert_int_equal(epc_sip_put_path(r.s, m, token, true), EPC_OK);
        char *p = epc_sip_text(m, NULL);
        assert_non_null(strstr(p, want));
        free(uri);
        free(p);
        msg_destroy(m);
    }
    close_rig(&r);
}

static uint64_t means(struct rig *r, uint64_t id)
{
    char token[EPC_SIP_TOKEN_LEN];
    uint64_t flow = 0;
    epc_sip_flow_token(r->s, id, token);
    assert_int_equal(ask(r, token, "127.0.0.70", 0, &flow), EPC_OK);
    return flow;
}

/* RFC 5626 4.2: the same instance and reg-id on a new flow; what was routed by the old one follows. */
static void moved_flows(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r, 0, key1, port());
    epc_sip_flow_moved(r.s, 5, 5);
    assert_int_equal(epc_counter_read(EPC_C_SIP_FLOW_ALIASES), 0);
    epc_sip_flow_moved(r.s, 5, 6);
    epc_sip_flow_moved(r.s, 6, 7);
    assert_int_equal(means(&r, 5), 7);
    assert_int_equal(means(&r, 6), 7);
    assert_int_equal(means(&r, 7), 7);
    assert_int_equal(means(&r, 8), 8);
    epc_sip_flow_forget(r.s, 5); /* the old connection ends after the new one took over */
    assert_int_equal(means(&r, 5), 7);
    epc_sip_flow_moved(r.s, 7, 5); /* and back to the first */
    assert_int_equal(means(&r, 5), 5);
    assert_int_equal(means(&r, 6), 5);
    assert_int_equal(means(&r, 7), 5);
    assert_int_equal(epc_counter_read(EPC_C_SIP_FLOW_ALIASES), 2);
    epc_sip_flow_forget(r.s, 5);
    assert_int_equal(means(&r, 6), 6);
    assert_int_equal(epc_counter_read(EPC_C_SIP_FLOW_ALIASES), 0);
    /* no more than a few of them for one WIC, the newest */
    for (uint64_t id = 100; id < 200; id++)
        epc_sip_flow_moved(r.s, id, id + 1);
    assert_int_equal(epc_counter_read(EPC_C_SIP_FLOW_ALIASES), 16);
    assert_int_equal(means(&r, 199), 200);
    assert_int_equal(means(&r, 184), 200);
    assert_int_equal(means(&r, 183), 183);
    epc_sip_flow_moved(r.s, 1, 2);
    close_rig(&r); /* frees what is left */
    assert_int_equal(epc_counter_read(EPC_C_SIP_FLOW_ALIASES), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(moved_flows), cmocka_unit_test(forged), cmocka_unit_test(other_key),
        cmocka_unit_test(path_and_record_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
