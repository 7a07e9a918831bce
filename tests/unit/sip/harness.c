#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static void on_response(void *arg, struct epc_sip_out *out, int status, msg_t *resp)
{
    struct call *c = arg;
    (void)out;
    c->last_status = status;
    if (status == 0) {
        c->out = NULL;
        if (c->in)
            epc_sip_in_release(c->in);
        c->in = NULL;
        return;
    }
    c->responses++;
    if (!resp) {
        c->local = status;
        if (c->in)
            epc_sip_in_reply(c->in, status, NULL, NULL);
        return;
    }
    if (!c->in) {
        msg_destroy(resp);
        return;
    }
    epc_sip_policy_apply(resp, epc_sip_in_leg(c->in) == EPC_LEG_WIC ? EPC_DIR_CORE_RESP : EPC_DIR_WIC_RESP);
    epc_sip_in_forward(c->in, &resp);
    assert_null(resp);
}

static void on_cancel(void *arg, struct epc_sip_in *in, const sip_t *cancel)
{
    struct call *c = arg;
    (void)in;
    c->cancelled = cancel != NULL;
    if (c->out)
        epc_sip_out_cancel(c->out, "SIP;cause=487");
}

static void on_request(void *arg, struct epc_sip_in *in)
{
    struct rig *r = arg;
    if (epc_sip_in_flow(in) == 0) { /* for the node itself: the rooms above know the subscription */
        assert_int_equal(epc_sip_in_sip(in)->sip_request->rq_method, sip_method_notify);
        epc_sip_in_reply(in, 489, NULL, NULL);
        epc_sip_in_release(in);
        return;
    }
    assert_true(r->n_calls < MAX_CALLS);
    struct call *c = &r->calls[r->n_calls++];
    bool from_wic_leg = epc_sip_in_leg(in) == EPC_LEG_WIC;
    *c = (struct call){.r = r, .in = in};
    assert_int_equal(epc_sip_in_flow(in), FLOW);
    if (r->hold)
        return;
    epc_sip_in_on_cancel(in, on_cancel, c);
    msg_t *msg = epc_sip_in_dup(in);
    assert_non_null(msg);
    assert_true(epc_sip_max_forwards(msg));
    epc_sip_policy_apply(msg, from_wic_leg ? EPC_DIR_WIC_REQ : EPC_DIR_CORE_REQ);
    if (!epc_sip_in_sip(in)->sip_to->a_tag && epc_sip_in_sip(in)->sip_request->rq_method == sip_method_invite)
        assert_int_equal(epc_sip_record_route(r->s, msg, epc_sip_in_leg(in), FLOW), EPC_OK);
    struct epc_sip_dest d = {.leg = from_wic_leg ? EPC_LEG_CORE : EPC_LEG_WIC,
                             .flow_id = FLOW,
                             .next_hop = epc_sip_in_sip(in)->sip_route ? NULL : r->next_hop};
    if (epc_sip_out_send(&c->out, r->s, &d, &msg, on_response, c) != EPC_OK) {
        c->failed = true;
        epc_sip_in_reply(in, 503, NULL, NULL);
        epc_sip_in_release(in);
        c->in = NULL;
    }
    assert_null(msg);
}

static void on_ack(void *arg, enum epc_leg from, uint64_t flow, msg_t *msg)
{
    struct rig *r = arg;
    struct epc_sip_dest d = {.leg = from == EPC_LEG_WIC ? EPC_LEG_CORE : EPC_LEG_WIC,
                             .flow_id = flow,
                             .next_hop = r->next_hop};
    r->acks++;
    assert_int_equal(epc_sip_send_ack(r->s, &d, &msg), EPC_OK);
}

void rig_open(struct rig *r)
{
    static const struct epc_sip_handler h = {on_request, on_ack, NULL};
    static char *trusted[] = {(char *)(uintptr_t)"127.0.0.72"};
    static unsigned opened; /* a port of its own: what a failed test left open does not disturb */
    enum epc_err err = EPC_EIO;
    memset(r, 0, sizeof *r);
    r->base_wic = epc_counter_read(EPC_C_SIP_TX_WIC);
    r->base_core = epc_counter_read(EPC_C_SIP_TX_CORE);
    r->cfg = (struct epc_cfg_sip){.public_host = (char *)(uintptr_t)"edge.example.com",
                                  .public_port = 443,
                                  .core_host = (char *)(uintptr_t)"127.0.0.71",
                                  .udp_max_octets = 1300,
                                  .trusted = trusted,
                                  .n_trusted = 1,
                                  .timer_c_ms = 181000,
                                  .wic_timeout_ms = 32000};
    r->sh = fake_shard_new(0);
    r->w = fake_wss_new();
    r->flow = fake_flow_open(r->w, FLOW);
    /* Other programs of these tests run at the same time: whoever binds a port has it on both addresses. */
    for (int tries = 0; err == EPC_EIO && tries < 200; tries++) {
        r->port = (uint16_t)(20000 + ((unsigned)getpid() * 64u + opened++ * 2u) % 12000);
        r->cfg.core_port = r->port;
        err = epc_sip_create(&r->s, r->sh, &r->cfg, (const unsigned char *)"0123456789abcdef0123456789abcdef", &h, r);
        fake_shard_turn(r->sh);
    }
    assert_int_equal(err, EPC_OK);
    snprintf(r->next_hop, sizeof r->next_hop, "sip:127.0.0.72:%u;lr", (unsigned)r->port);
    epc_sip_set_wss(r->s, r->w);
    r->s->t64_ms = 300; /* B and F keep their 32 s */
    r->s->linger_ms = 100;
    peer_open(&r->core, r->sh, "127.0.0.72", r->port, "127.0.0.71", r->port);
}

void turns(struct rig *r, unsigned ms)
{
    uint64_t until = epc_now_ms() + ms;
    do
        fake_shard_turn(r->sh);
    while (epc_now_ms() < until);
}

void expect_idle(struct rig *r)
{
    uint64_t until = epc_now_ms() + 5000;
    while (epc_counter_read(EPC_C_SIP_TX_WIC) != r->base_wic ||
           epc_counter_read(EPC_C_SIP_TX_CORE) != r->base_core) {
        if (epc_now_ms() > until)
            fail_msg("left: %lld on the WIC leg, %lld on the core leg",
                     (long long)epc_counter_read(EPC_C_SIP_TX_WIC),
                     (long long)epc_counter_read(EPC_C_SIP_TX_CORE));
        fake_shard_turn(r->sh);
    }
    while (r->s->ins || r->s->txs) { /* what is only remembered */
        if (epc_now_ms() > until)
            fail_msg("transactions stay behind");
        fake_shard_turn(r->sh);
    }
    assert_null(r->s->outs);
    assert_int_equal(r->s->by_flow.n_items, 0);
    assert_int_equal(r->s->wic_in.n_items + r->s->wic_out.n_items, 0);
    assert_int_equal(r->s->core_in.n_items + r->s->core_tx.n_items, 0);
}

void rig_close(struct rig *r)
{
    expect_idle(r);
    epc_sip_destroy(r->s);
    peer_close(&r->core);
    fake_wss_free(r->w);
    fake_shard_free(r->sh);
}

void from_wic(struct rig *r, const char *text)
{
    epc_sip_from_wic(r->s, r->flow, text, strlen(text));
}

char *to_wic(struct rig *r)
{
    uint64_t until = epc_now_ms() + 3000;
    for (;;) {
        char *m = fake_flow_take(r->w, FLOW);
        if (m)
            return m;
        if (epc_now_ms() > until)
            fail_msg("nothing came to the WIC");
        fake_shard_turn(r->sh);
    }
}

char *to_core(struct rig *r)
{
    char *m = peer_recv(&r->core, 3000);
    if (!m)
        fail_msg("nothing came to the core");
    return m;
}

void nothing_to_wic(struct rig *r, unsigned ms)
{
    turns(r, ms);
    char *m = fake_flow_take(r->w, FLOW);
    if (m)
        fail_msg("came to the WIC: %s", m);
}

void nothing_to_core(struct rig *r, unsigned ms)
{
    char *m = peer_recv(&r->core, ms);
    if (m)
        fail_msg("came to the core: %s", m);
}

static char *request(const char *head, const char *method, unsigned cseq, const char *from, const char *to,
                     const char *to_tag, const char *extra, const char *body)
{
    struct epc_buf b = {0};
    epc_buf_adds(&b, head);
    epc_buf_printf(&b, "Max-Forwards: 70\r\nFrom: <sip:%s@example.com>;tag=%s\r\nTo: <sip:%s@example.com>%s%s\r\n"
                       "Call-ID: call-1\r\nCSeq: %u %s\r\n%s%s",
                   from, from, to, to_tag ? ";tag=" : "", to_tag ? to_tag : "", cseq, method,
                   extra ? extra : "", body ? "Content-Type: application/sdp\r\n" : "");
    epc_buf_printf(&b, "Content-Length: %zu\r\n\r\n%s", body ? strlen(body) : 0, body ? body : "");
    return epc_buf_take(&b, NULL);
}

char *wic_request(const char *method, const char *branch, unsigned cseq, const char *to_tag,
                  const char *extra, const char *body)
{
    char head[300];
    snprintf(head, sizeof head,
             "%s sip:bob@192.0.2.99 SIP/2.0\r\nVia: SIP/2.0/WSS df7jal23ls0d.invalid;branch=%s\r\n", method, branch);
    return request(head, method, cseq, "alice", "bob", to_tag, extra, body);
}

char *core_request(struct rig *r, const char *method, const char *branch, unsigned cseq, const char *to_tag,
                   const char *extra, const char *body)
{
    char head[400];
    snprintf(head, sizeof head,
             "%s sip:7b3ca@df7jal23ls0d.invalid;transport=ws SIP/2.0\r\nVia: SIP/2.0/UDP "
             "127.0.0.72:%u;branch=%s\r\n",
             method, (unsigned)r->port, branch);
    return request(head, method, cseq, "carol", "alice", to_tag, extra, body);
}

const char *token_route(struct rig *r, uint64_t flow)
{
    static char line[300];
    char token[EPC_SIP_TOKEN_LEN];
    epc_sip_flow_token(r->s, flow, token);
    snprintf(line, sizeof line, "Route: <sip:%s@127.0.0.71:%u;lr>\r\n", token, (unsigned)r->port);
    return line;
}

void expect_status(const char *msg, const char *status)
{
    if (strncmp(msg, status, strlen(status)) != 0 &&
        (strncmp(msg, "SIP/2.0 ", 8) != 0 || strncmp(msg + 8, status, strlen(status)) != 0))
        fail_msg("not %s: %s", status, msg);
}

void expect_in(const char *msg, const char *piece)
{
    if (!strstr(msg, piece))
        fail_msg("lacks \"%s\": %s", piece, msg);
}

void expect_not_in(const char *msg, const char *piece)
{
    if (strstr(msg, piece))
        fail_msg("has \"%s\": %s", piece, msg);
}
