/* The eP-CSCF's own subscription to a user's registrations, and what the core says in it
 * (TS 24.229 5.2.3, RFC 3680, RFC 6665). */
#include "harness.h"
#include "registration/roll_priv.h"
#include "sip/sip_priv.h"

#define INSTANCE "urn:uuid:80971e7c-f5f1-46fc-ae0d-3709de0e663b"

static int setup(void **state)
{
    bench_setup(state);
    bench.cfg.registration.reg_event = true;
    bench.cfg.registration.reg_event_expires_s = 7200;
    return 0;
}

/* Value behind @p name in a request, up to @p end. */
static const char *part(const char *text, const char *name, const char *end)
{
    static char values[8][256];
    static size_t next;
    char *out = values[next++ % 8];
    const char *at = strstr(text, name);
    assert_non_null(at);
    at += strlen(name);
    size_t n = strcspn(at, end);
    assert_true(n < 256);
    memcpy(out, at, n);
    out[n] = 0;
    return out;
}

static size_t last_subscribe(void)
{
    for (size_t i = bench.n_out; i-- > 0;) {
        if (strncmp(bench.out[i].text, "SUBSCRIBE", 9) == 0)
            return i;
    }
    fail_msg("no SUBSCRIBE");
    return 0;
}

static unsigned subscribes(void)
{
    unsigned n = 0;
    for (size_t i = 0; i < bench.n_out; i++)
        n += strncmp(bench.out[i].text, "SUBSCRIBE", 9) == 0;
    return n;
}

static void accept_subscribe(size_t i, unsigned expires_s)
{
    char headers[512];
    snprintf(headers, sizeof headers,
             "Contact: <sip:scscf@127.0.0.3:6060>\r\nExpires: %u\r\n"
             "Record-Route: <sip:r1@127.0.0.8;lr>, <sip:r2@127.0.0.9;lr>\r\n",
             expires_s);
    bench_answer(i, 200, headers);
}

static void by_token(uint64_t flow)
{
    bench_token_register(flow, "alice", 3600, "600");
    bench_ok(bench.n_out - 1, 540);
    bench_deliver();
    assert_non_null(epc_reg_by_flow(bench.reg, flow));
}

struct notify {
    const char *body, *state, *event, *type, *to_tag, *from_tag, *call_id;
    unsigned cseq;
};

static unsigned next_cseq;

/* Returns the status that it was answered with. */
static int notify_on(struct epc_reg *r, const struct notify *n)
{
    char text[8192];
    static const struct notify none;
    const char *sub = bench.out[last_subscribe()].text;
    if (!n)
        n = &none;
    const char *body = n->body ? n->body : "";
    const char *event = n->event ? n->event : "Event: reg\r\n";
    unsigned cseq = n->cseq ? n->cseq : ++next_cseq;
    static unsigned branch;
    branch++;
    snprintf(text, sizeof text,
             "NOTIFY sip:127.0.0.41:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.3:6060;branch=z9hG4bKn%u\r\n"
             "Max-Forwards: 70\r\nFrom: <sip:alice@ims.test>;tag=%s\r\nTo: <sip:127.0.0.41:5060>;tag=%s\r\n"
             "Call-ID: %s\r\nCSeq: %u NOTIFY\r\nContact: <sip:scscf@127.0.0.3:6060>\r\n%s%s%s"
             "Content-Length: %zu\r\n\r\n%s",
             branch, n->from_tag ? n->from_tag : "core",
             n->to_tag ? n->to_tag : part(sub, "tag=", "\r\n;"),
             n->call_id ? n->call_id : part(sub, "Call-ID: ", "\r\n"), cseq, event,
             n->state ? n->state : "Subscription-State: active;expires=7200\r\n",
             *body ? (n->type ? n->type : "Content-Type: application/reginfo+xml\r\n") : "", strlen(body), body);
    size_t i = bench_request(0, text);
    struct epc_sip_in *in = bench_last_in();
    in->leg = EPC_LEG_CORE;
    assert_true(epc_reg_owns(r, in));
    epc_reg_notify(r, in);
    bench_end_of_turn();
    bench_deliver();
    assert_true(bench_result(i)->released);
    return bench_result(i)->status;
}

static int notify(const struct notify *n)
{
    return notify_on(bench.reg, n);
}

/* A document with flow 1's contact for one identity. */
static const char *document(unsigned version, const char *kind, const char *aor, const char *reg_state,
                            const char *contact)
{
    static char text[4096];
    snprintf(text, sizeof text,
             "<?xml version=\"1.0\"?><reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"%u\" "
             "state=\"%s\"><registration aor=\"%s\" id=\"1\" state=\"%s\">%s</registration></reginfo>",
             version, kind, aor, reg_state, contact);
    return text;
}

static const char *contact(const char *state, const char *event, const char *more)
{
    static char text[1024];
    snprintf(text, sizeof text,
             "<contact id=\"c\" state=\"%s\" event=\"%s\"%s><uri>sip:lrs4jl2e@k1.invalid;transport=ws</uri>"
             "<unknown-param name=\"+sip.instance\">\"&lt;" INSTANCE "&gt;\"</unknown-param>"
             "<unknown-param name=\"reg-id\">1</unknown-param></contact>",
             state, event, more);
    return text;
}

/* Registered on flow 1, subscribed, and told the whole state as version 0. */
static void known(void)
{
    by_token(1);
    accept_subscribe(last_subscribe(), 7200);
    const char *first = document(0, "full", "sip:alice@ims.test", "active", contact("active", "registered", ""));
    assert_int_equal(notify(&(struct notify){.body = first}), 200);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
}

/* ---- SUBSCRIBE ------------------------------------------------------------------------------ */

static void subscribes_once(void **state)
{
    (void)state;
    by_token(1);
    assert_int_equal(subscribes(), 1);
    const char *sub = bench.out[1].text;
    assert_string_equal(bench.out[1].next_hop, "sip:127.0.0.2:4060");
    expect_has(sub, "SUBSCRIBE sip:alice@ims.test SIP/2.0\r\n");
    expect_has(sub, "To: <sip:alice@ims.test>\r\n");
    expect_has(sub, "From: <sip:127.0.0.41:5060>;tag=");
    expect_has(sub, "CSeq: 1 SUBSCRIBE\r\n");
    expect_has(sub, "Event: reg\r\n");
    expect_has(sub, "Accept: application/reginfo+xml\r\n");
    expect_has(sub, "Expires: 7200\r\n");
    expect_has(sub, "Contact: <sip:127.0.0.41:5060>\r\n");
    expect_has(sub, "P-Asserted-Identity: <sip:flow1@127.0.0.41:5060;lr;ob>\r\n"); /* as in the Path */
    expect_has(sub, "P-Charging-Vector: icid-value=");
    expect_has(sub, ";orig-ioi=\"Type 1ims.test\"\r\n");
    accept_subscribe(1, 7200);
    by_token(1); /* a refresh */
    bench_token_register(2, "alice", 3600, "600");
    bench_answer(bench.n_out - 1, 200, "Contact: <sip:lrs4jl2e@k2.invalid;transport=ws>;expires=500;reg-id=1;"
                                       "+sip.instance=\"<" INSTANCE ">\"\r\n");
    assert_int_equal(subscribes(), 1);
    assert_int_equal(epc_counter_read(EPC_C_REG_SUBSCRIPTIONS), 1);
}

static void off_by_default(void **state)
{
    (void)state;
    bench.cfg.registration.reg_event = false;
    by_token(1);
    assert_int_equal(subscribes(), 0);
}

static void refreshed_before_its_end(void **state)
{
    (void)state;
    by_token(1);
    accept_subscribe(1, 7200);
    for (unsigned t = 0; t < 6590; t += 400) { /* keep the registration alive */
        bench_token_register(1, "alice", 3600, "600");
        bench_ok(bench.n_out - 1, 540);
        bench_advance(t + 400 < 6590 ? 400 : 6590 - t);
    }
    assert_int_equal(subscribes(), 1);
    bench_advance(20); /* 600 s before the end */
    assert_int_equal(subscribes(), 2);
    size_t i = last_subscribe();
    const char *sub = bench.out[i].text;
    expect_has(sub, "SUBSCRIBE sip:scscf@127.0.0.3:6060 SIP/2.0\r\n");
    expect_has(sub, "CSeq: 2 SUBSCRIBE\r\n");
    expect_has(sub, "To: <sip:alice@ims.test>;tag=core\r\n");
    assert_true(strstr(sub, "r2@127.0.0.9") < strstr(sub, "r1@127.0.0.8")); /* the 200's, turned round */
    assert_null(bench.out[i].next_hop);
    assert_string_equal(part(sub, "Call-ID: ", "\r"), part(bench.out[1].text, "Call-ID: ", "\r"));
    assert_string_not_equal(part(sub, "icid-value=", ";"), part(bench.out[1].text, "icid-value=", ";"));
    accept_subscribe(i, 1000); /* short: at half */
    bench_token_register(1, "alice", 3600, "600");
    bench_ok(bench.n_out - 1, 540);
    bench_advance(495);
    assert_int_equal(subscribes(), 2);
    bench_advance(10);
    assert_int_equal(subscribes(), 3);
}

static void unknown_at_the_core(void **state)
{
    (void)state;
    by_token(1);
    accept_subscribe(1, 600);
    bench_advance(302);
    assert_int_equal(subscribes(), 2);
    bench_answer(last_subscribe(), 481, NULL);
    assert_int_equal(subscribes(), 3); /* a new one at once */
    const char *sub = bench.out[last_subscribe()].text;
    expect_has(sub, "CSeq: 1 SUBSCRIBE\r\n");
    expect_has(sub, "SUBSCRIBE sip:alice@ims.test SIP/2.0\r\n");
    expect_not(sub, "Route:");
    assert_string_not_equal(part(sub, "Call-ID: ", "\r"), part(bench.out[1].text, "Call-ID: ", "\r"));
    bench_answer(last_subscribe(), 481, NULL); /* but not for ever */
    assert_int_equal(subscribes(), 3);
}

static void refused_and_tried_again(void **state)
{
    (void)state;
    int64_t refused = epc_counter_read(EPC_C_REG_SUBSCRIBES_REFUSED);
    bench.cfg.registration.max_expires_s = 100000;
    bench_token_register(1, "alice", 80000, "70000");
    bench_ok(0, 70000);
    bench_no_answer(1, 408);
    assert_int_equal(epc_counter_read(EPC_C_REG_SUBSCRIBES_REFUSED), refused + 1);
    bench_advance(29);
    assert_int_equal(subscribes(), 1);
    bench_advance(2);
    assert_int_equal(subscribes(), 2);
    bench_answer(last_subscribe(), 500, NULL); /* twice as long now */
    bench_advance(58);
    assert_int_equal(subscribes(), 2);
    bench_advance(4);
    assert_int_equal(subscribes(), 3);
    bench_answer(last_subscribe(), 503, "Retry-After: 7\r\n");
    bench_advance(8);
    assert_int_equal(subscribes(), 4);
    bench_answer(last_subscribe(), 423, "Min-Expires: 9000\r\n");
    bench_advance(2);
    assert_int_equal(subscribes(), 5);
    expect_has(bench.out[last_subscribe()].text, "Expires: 9000\r\n");
    bench_answer(last_subscribe(), 489, NULL); /* a core that has none of it is left in peace */
    bench_advance(3500);
    assert_int_equal(subscribes(), 5);
    bench_advance(200);
    assert_int_equal(subscribes(), 6);
}

static void ended_with_the_last_binding(void **state)
{
    (void)state;
    by_token(1);
    accept_subscribe(1, 7200);
    bench_register(1, &(struct reg_text){.expires = "0"});
    bench_answer(bench.n_out - 1, 200, NULL);
    assert_int_equal(subscribes(), 2);
    size_t i = last_subscribe();
    expect_has(bench.out[i].text, "Expires: 0\r\n");
    expect_has(bench.out[i].text, "tag=core\r\n");
    accept_subscribe(i, 0);
    assert_int_equal(
        notify(&(struct notify){.state = "Subscription-State: terminated;reason=timeout\r\n"}), 200);
    assert_int_equal(epc_counter_read(EPC_C_REG_SUBSCRIPTIONS), 0);
    assert_int_equal(notify(NULL), 481);
    bench_advance(100);
    assert_int_equal(subscribes(), 2);
    by_token(1); /* and from the start */
    assert_int_equal(subscribes(), 3);
}

/* The WIC comes and goes while the core takes its time. */
static void wanted_and_unwanted(void **state)
{
    (void)state;
    by_token(1);
    bench_register(1, &(struct reg_text){.expires = "0"});
    bench_answer(bench.n_out - 1, 200, NULL);
    assert_int_equal(subscribes(), 1);
    accept_subscribe(1, 7200); /* now it can be ended */
    assert_int_equal(subscribes(), 2);
    expect_has(bench.out[last_subscribe()].text, "Expires: 0\r\n");
    by_token(1); /* a new dialog does not wait for the old one's end */
    assert_int_equal(subscribes(), 3);
    size_t again = last_subscribe();
    expect_has(bench.out[again].text, "CSeq: 1 SUBSCRIBE\r\n");
    accept_subscribe(again, 7200);
    bench_register(1, &(struct reg_text){.expires = "0"});
    bench_answer(bench.n_out - 1, 200, NULL);
    assert_int_equal(subscribes(), 4);
    accept_subscribe(last_subscribe(), 0); /* and some cores send no last NOTIFY */
    by_token(1);
    assert_int_equal(subscribes(), 5);
    expect_has(bench.out[last_subscribe()].text, "CSeq: 1 SUBSCRIBE\r\n");
}

/* ---- NOTIFY --------------------------------------------------------------------------------- */

static void refused_notifies(void **state)
{
    (void)state;
    by_token(1);
    accept_subscribe(1, 7200);
    assert_int_equal(notify(&(struct notify){.call_id = "other"}), 481);
    assert_int_equal(notify(&(struct notify){.to_tag = "other"}), 481);
    assert_int_equal(notify(&(struct notify){.from_tag = "forked"}), 481);
    assert_int_equal(notify(&(struct notify){.event = "Event: presence\r\n"}), 489);
    assert_int_equal(notify(&(struct notify){.event = ""}), 400);
    assert_int_equal(notify(&(struct notify){.state = ""}), 400);
    assert_int_equal(notify(&(struct notify){.body = "<reginfo"}), 400);
    assert_int_equal(notify(&(struct notify){.body = "x", .type = "Content-Type: text/plain\r\n"}), 415);
    next_cseq = 50;
    assert_int_equal(notify(NULL), 200);
    assert_int_equal(notify(&(struct notify){.cseq = 40}), 500);
    assert_int_equal(notify(&(struct notify){.cseq = next_cseq}), 500);
    assert_int_equal(notify(NULL), 200);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
}

static void before_the_200(void **state)
{
    (void)state;
    by_token(1);
    const char *first = document(0, "full", "sip:alice@ims.test", "active", contact("active", "registered", ""));
    assert_int_equal(notify(&(struct notify){.body = first}), 200);
    accept_subscribe(1, 7200);
    assert_int_equal(notify(NULL), 200);
    assert_int_equal(subscribes(), 1);
}

static void ends(const char *event, int code, uint64_t after_s)
{
    known();
    char more[32] = "";
    const char *doc = document(1, "partial", "sip:alice@ims.test", "terminated", contact("terminated", event, more));
    size_t before = bench.n_out;
    assert_int_equal(notify(&(struct notify){.body = doc}), 200);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(bench.gone, 1);
    assert_string_equal(bench.gone_why, "ended by the network");
    for (size_t i = before; i < bench.n_out; i++) /* the core knows it already */
        expect_not(bench.out[i].text, "REGISTER");
    assert_int_equal(bench_flow_closed_code(1), 0); /* for the WIC's own NOTIFY */
    bench_advance(after_s - 1);
    assert_int_equal(bench_flow_closed_code(1), 0);
    bench_advance(2);
    assert_int_equal(bench_flow_closed_code(1), code);
}

static void deactivated(void **state)
{
    (void)state;
    ends("deactivated", 1000, 32);
}
static void expired(void **state)
{
    (void)state;
    ends("expired", 1000, 32);
}
static void unregistered(void **state)
{
    (void)state;
    ends("unregistered", 1000, 32);
}
static void probation(void **state)
{
    (void)state;
    ends("probation", 1000, 32);
}
static void rejected(void **state)
{
    (void)state;
    ends("rejected", 1008, 2);
}

static void back_at_once_after_deactivation(void **state)
{
    (void)state;
    known();
    const char *doc = document(1, "partial", "sip:alice@ims.test", "terminated",
                               contact("terminated", "deactivated", ""));
    assert_int_equal(notify(&(struct notify){.body = doc}), 200);
    by_token(1);
    bench_advance(60);
    assert_int_equal(bench_flow_closed_code(1), 0);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
}

static void active_events_change_nothing(void **state)
{
    static const char *const events[] = {"registered", "created", "refreshed"};
    (void)state;
    known();
    uint64_t until = epc_reg_by_flow(bench.reg, 1)->expires_at_ms;
    for (unsigned i = 0; i < EPC_ARRAY_LEN(events); i++) {
        const char *doc = document(i + 1, "partial", "sip:alice@ims.test", "active",
                                   contact("active", events[i], " expires=\"10\""));
        assert_int_equal(notify(&(struct notify){.body = doc}), 200);
    }
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(epc_reg_by_flow(bench.reg, 1)->expires_at_ms, until);
}

static void shortened(void **state)
{
    (void)state;
    known();
    const char *doc = document(1, "partial", "sip:alice@ims.test", "active",
                               contact("active", "shortened", " expires=\"60\""));
    assert_int_equal(notify(&(struct notify){.body = doc}), 200);
    bench_advance(59);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    bench_advance(2);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_string_equal(bench.gone_why, "registration expired");
}

static void never_lengthened(void **state)
{
    (void)state;
    known();
    uint64_t until = epc_reg_by_flow(bench.reg, 1)->expires_at_ms;
    const char *doc = document(1, "partial", "sip:alice@ims.test", "active",
                               contact("active", "shortened", " expires=\"99999\""));
    assert_int_equal(notify(&(struct notify){.body = doc}), 200);
    assert_int_equal(epc_reg_by_flow(bench.reg, 1)->expires_at_ms, until);
}

static void somebody_elses_contact(void **state)
{
    (void)state;
    known();
    const char *doc = document(1, "partial", "sip:alice@ims.test", "active",
                               "<contact state=\"terminated\" event=\"rejected\"><uri>sip:lrs4jl2e@k1.invalid"
                               ";transport=ws</uri><unknown-param name=\"+sip.instance\">&lt;urn:uuid:other&gt;"
                               "</unknown-param></contact>"
                               "<contact state=\"terminated\" event=\"rejected\"><uri>sip:z@k1.invalid</uri></contact>");
    assert_int_equal(notify(&(struct notify){.body = doc}), 200);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    /* A core that tells no instance: the URI names it. */
    doc = document(2, "partial", "sip:alice@ims.test", "active",
                   "<contact state=\"terminated\" event=\"expired\"><uri>sip:lrs4jl2e@K1.INVALID;transport=ws"
                   "</uri></contact>");
    assert_int_equal(notify(&(struct notify){.body = doc}), 200);
    assert_null(epc_reg_by_flow(bench.reg, 1));
}

/* Two identities; the core takes one away. */
static void one_identity_of_two(void **state)
{
    char doc[4096], one[1024];
    (void)state;
    by_token(1);
    accept_subscribe(last_subscribe(), 7200);
    assert_int_equal(epc_reg_by_flow(bench.reg, 1)->n_impus, 2);
    snprintf(one, sizeof one, "%s", contact("active", "registered", ""));
    snprintf(doc, sizeof doc,
             "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"0\" state=\"full\">"
             "<registration aor=\"sip:alice@ims.test\" state=\"active\">%s</registration>"
             "<registration aor=\"tel:+15550001\" state=\"active\">%s</registration></reginfo>", one, one);
    assert_int_equal(notify(&(struct notify){.body = doc}), 200);
    const char *gone = document(1, "partial", "sip:alice@ims.test", "terminated",
                                contact("terminated", "rejected", ""));
    assert_int_equal(notify(&(struct notify){.body = gone}), 200);
    const struct epc_binding *b = epc_reg_by_flow(bench.reg, 1);
    assert_non_null(b);
    assert_int_equal(b->n_impus, 1);
    assert_string_equal(b->impus[0], "tel:+15550001");
    assert_int_equal(bench.gone, 0);
    gone = document(2, "partial", "tel:+15550001", "terminated", ""); /* without contacts at all */
    assert_int_equal(notify(&(struct notify){.body = gone}), 200);
    assert_null(epc_reg_by_flow(bench.reg, 1));
}

static void order_of_versions(void **state)
{
    (void)state;
    known();
    const char *end = document(0, "partial", "sip:alice@ims.test", "terminated", contact("terminated", "expired", ""));
    assert_int_equal(notify(&(struct notify){.body = end}), 200); /* old news */
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(subscribes(), 1);
    const char *doc = document(5, "partial", "sip:alice@ims.test", "active", contact("active", "refreshed", ""));
    assert_int_equal(notify(&(struct notify){.body = doc}), 200); /* 1 to 4 are missing: ask for all */
    assert_int_equal(subscribes(), 2);
    accept_subscribe(last_subscribe(), 7200);
    doc = document(6, "full", "sip:alice@ims.test", "active",
                   "<contact state=\"active\" event=\"registered\"><uri>sip:else@where</uri></contact>");
    assert_int_equal(notify(&(struct notify){.body = doc}), 200); /* ours is not among them any more */
    assert_null(epc_reg_by_flow(bench.reg, 1));
}

/* A full document that never had our contact says nothing about it: it may be older than the 200. */
static void never_seen(void **state)
{
    (void)state;
    by_token(1);
    accept_subscribe(1, 7200);
    const char *doc = document(0, "full", "sip:alice@ims.test", "active",
                               "<contact state=\"active\" event=\"registered\"><uri>sip:else@where</uri></contact>");
    assert_int_equal(notify(&(struct notify){.body = doc}), 200);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
}

static void core_ends_the_subscription(void **state)
{
    (void)state;
    known();
    assert_int_equal(
        notify(&(struct notify){.state = "Subscription-State: terminated;reason=deactivated\r\n"}), 200);
    bench_advance(2);
    assert_int_equal(subscribes(), 2);
    expect_has(bench.out[last_subscribe()].text, "CSeq: 1 SUBSCRIBE\r\n");
    accept_subscribe(last_subscribe(), 7200);
    assert_int_equal(notify(&(struct notify){.state = "Subscription-State: terminated;reason=probation;"
                                                      "retry-after=100\r\n"}), 200);
    bench_advance(95);
    assert_int_equal(subscribes(), 2);
    bench_advance(10);
    assert_int_equal(subscribes(), 3);
    assert_non_null(epc_reg_by_flow(bench.reg, 1));
}

/* The IMPI's home is another shard than its flow's: all of it by message. */
static void from_another_shard(void **state)
{
    (void)state;
    bench_shards(2);
    unsigned home = reg_home(bench.regs[0], "alice@ims.test");
    bench_on(1 - home);
    bench_token_register(1, "alice", 3600, "600");
    assert_int_equal(bench.n_out, 0); /* the home is asked first */
    bench_deliver();
    bench_ok(0, 540);
    assert_int_equal(subscribes(), 0);
    bench_deliver();
    assert_int_equal(subscribes(), 1);
    accept_subscribe(1, 7200);
    assert_int_equal(notify_on(bench.reg, NULL), 481); /* not that shard's */
    const char *doc = document(0, "full", "sip:alice@ims.test", "active", contact("active", "registered", ""));
    assert_int_equal(notify_on(bench.regs[home], &(struct notify){.body = doc}), 200);
    doc = document(1, "partial", "sip:alice@ims.test", "active", contact("active", "shortened", " expires=\"100\""));
    assert_int_equal(notify_on(bench.regs[home], &(struct notify){.body = doc}), 200);
    assert_true(epc_reg_by_flow(bench.reg, 1)->expires_at_ms <= epc_now_ms() + 100000);
    doc = document(2, "partial", "sip:alice@ims.test", "terminated", contact("terminated", "rejected", ""));
    assert_int_equal(notify_on(bench.regs[home], &(struct notify){.body = doc}), 200);
    assert_null(epc_reg_by_flow(bench.reg, 1));
    assert_int_equal(bench.gone, 1);
    bench_advance(3);
    assert_int_equal(bench_flow_closed_code(1), 1008);
    assert_int_equal(subscribes(), 2); /* the last binding: ended */
}

static void destroyed_with_a_subscription(void **state)
{
    (void)state;
    known();
    by_token(2);
}

static void prints_itself(void **state)
{
    char *text = NULL;
    size_t n = 0;
    (void)state;
    FILE *f = open_memstream(&text, &n);
    epc_reg_fsm_print(f);
    fclose(f);
    for (int s = 0; s < SUB_STATES; s++)
        expect_has(text, sub_state_name((enum sub_state)s));
    free(text);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, bench_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(subscribes_once), T(off_by_default), T(refreshed_before_its_end), T(unknown_at_the_core),
        T(refused_and_tried_again), T(ended_with_the_last_binding), T(wanted_and_unwanted),
        T(refused_notifies), T(before_the_200), T(deactivated), T(expired), T(unregistered), T(probation),
        T(rejected), T(back_at_once_after_deactivation), T(active_events_change_nothing), T(shortened),
        T(never_lengthened), T(somebody_elses_contact), T(one_identity_of_two), T(order_of_versions),
        T(never_seen), T(core_ends_the_subscription), T(from_another_shard),
        T(destroyed_with_a_subscription), T(prints_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
