/* The trust-domain table: its form, each row in each direction, and what the standards ask by hand. */
#include "cm.h"
#include "sip/policy_table.h"
#include "sip/sofia.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static msg_t *message(enum epc_sip_dir dir, const char *method, const char *extra)
{
    char buf[3000];
    bool req = dir == EPC_DIR_WIC_REQ || dir == EPC_DIR_CORE_REQ;
    int n = snprintf(buf, sizeof buf,
                     "%s%s%s\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=f\r\n"
                     "To: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 %s\r\n%sX-Kept: yes\r\nContent-Length: 0\r\n\r\n",
                     req ? method : "SIP/2.0 200 OK", req ? " sip:b@x SIP/2.0" : "", "", method, extra);
    msg_t *m = epc_sip_parse(buf, (size_t)n);
    assert_non_null(m);
    assert_null(((sip_t *)(void *)msg_object(m))->sip_error);
    return m;
}

/* Value of @p name after the crossing of @p line; NULL when it is gone. Static buffer. */
static const char *crossed(enum epc_sip_dir dir, const char *method, const char *name, const char *lines)
{
    static char value[500];
    msg_t *m = message(dir, method, lines);
    epc_sip_policy_apply(m, dir);
    struct epc_str v = epc_sip_get(m, name, 0);
    assert_non_null(epc_sip_get(m, "X-Kept", 0).p);
    /* What is printed must agree with what is held. */
    size_t n;
    char *text = epc_sip_text(m, &n);
    assert_non_null(text);
    msg_t *again = epc_sip_parse(text, n);
    assert_non_null(again);
    struct epc_str w = epc_sip_get(again, name, 0);
    if (!epc_str_eq(v, w))
        fail_msg("%s: held \"%.*s\", printed \"%.*s\"", name, EPC_STR_ARG(v), EPC_STR_ARG(w));
    snprintf(value, sizeof value, "%.*s", EPC_STR_ARG(v));
    bool there = v.p != NULL;
    free(text);
    msg_destroy(again);
    msg_destroy(m);
    return there ? value : NULL;
}

static void table_form(void **state)
{
    size_t n;
    const struct epc_policy_row *t = epc_sip_policy_table(&n);
    msg_t *m = message(EPC_DIR_WIC_REQ, "INVITE", "");
    (void)state;
    assert_true(n > 40);
    for (size_t i = 0; i < n; i++) {
        bool unknown = false;
        if (i && strcasecmp(t[i - 1].name, t[i].name) >= 0)
            fail_msg("%s out of order", t[i].name);
        msg_header_t **list = epc_sip_list(m, t[i].name, &unknown);
        assert_non_null(list);
        if ((t[i].list == 0) != unknown || (!unknown && (char *)list != (char *)epc_sip_of(m) + t[i].list))
            fail_msg("%s: its list is not at %zu", t[i].name, t[i].list);
        assert_non_null(t[i].clause);
        assert_non_null(t[i].note);
    }
    msg_destroy(m);
}

/* A value that each header's grammar allows and that only plain removal would take away. */
static const char *sample(const char *name)
{
    static const struct {
        const char *name, *value;
    } t[] = {
        {"Authorization", "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"sip:r\", response=\"0\""},
        {"Proxy-Authorization", "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"sip:r\", response=\"0\""},
        {"WWW-Authenticate", "Digest realm=\"r\", nonce=\"n\""},
        {"Proxy-Authenticate", "Digest realm=\"r\", nonce=\"n\""},
        {"P-Access-Network-Info", "IEEE-802.11"},
        {"P-Early-Media", "supported"},
        {"Priority", "urgent"},
        {"Privacy", "none"},
        {"Reason", "SIP;cause=200"},
        {"Supported", "timer"},
        {"Require", "timer"},
        {"Proxy-Require", "foo"},
        {"Security-Client", "tls;q=0.1"},
        {"Security-Server", "tls;q=0.1"},
        {"Security-Verify", "tls;q=0.1"},
        {"From", "<sip:a@x>;tag=f"},
        {"To", "<sip:b@x>"},
        {"Accept-Contact", "*;audio"},
        {"Reject-Contact", "*;video"},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(t); i++)
        if (strcasecmp(t[i].name, name) == 0)
            return t[i].value;
    return "<sip:v@example.com>";
}

static bool sample_passes(enum epc_policy_act act, bool bye, bool reg)
{
    switch (act) {
    case ACT_REMOVE:
    case ACT_USED:
        return false;
    case ACT_REG_200:
        return reg;
    case ACT_BYE_CANCEL:
        return bye;
    default:
        return true;
    }
}

static void every_row_every_direction(void **state)
{
    static const char *const methods[] = {"INVITE", "BYE", "REGISTER"};
    size_t n;
    const struct epc_policy_row *t = epc_sip_policy_table(&n);
    (void)state;
    for (size_t i = 0; i < n; i++)
        for (int d = 0; d < 4; d++)
            for (size_t k = 0; k < EPC_ARRAY_LEN(methods); k++) {
                char line[300];
                bool from = strcmp(t[i].name, "From") == 0 || strcmp(t[i].name, "To") == 0;
                snprintf(line, sizeof line, "%s: %s\r\n", t[i].name, sample(t[i].name));
                const char *v = crossed((enum epc_sip_dir)d, methods[k], t[i].name, from ? "" : line);
                bool want = sample_passes(t[i].act[d], k == 1, k == 2);
                if (want != (v != NULL))
                    fail_msg("%s, direction %d, %s: %s", t[i].name, d, methods[k], v ? v : "(gone)");
                if (v)
                    assert_string_equal(v, sample(t[i].name));
            }
}

/* A message of the captures with @p line in front of its headers. */
static msg_t *real_message(const char *file, const char *line)
{
    char path[300], text[65536], whole[66000];
    snprintf(path, sizeof path, "%s/golden/sip/messages/%s", EPC_TEST_DIR, file);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    const char *rest = strchr(text, '\n');
    assert_non_null(rest);
    int m = snprintf(whole, sizeof whole, "%.*s%s%s", (int)(rest + 1 - text), text, line, rest + 1);
    msg_t *msg = epc_sip_parse(whole, (size_t)m);
    if (!msg)
        fail_msg("%s does not parse with %s", file, line);
    return msg;
}

static bool has_value(msg_t *m, const char *name, const char *value)
{
    for (unsigned i = 0;; i++) {
        struct epc_str v = epc_sip_get(m, name, i);
        if (!v.p)
            return false;
        if (memmem(v.p, v.n, value, strlen(value))) /* lists are joined */
            return true;
    }
}

/* The same on messages that browsers and cores really sent: nothing else in them may change the rule. */
static void every_row_on_real_messages(void **state)
{
    static const struct {
        enum epc_sip_dir dir;
        const char *file;
        bool bye, reg;
    } rows[] = {
        {EPC_DIR_WIC_REQ, "invite-browser.sip", false, false},
        {EPC_DIR_WIC_REQ, "bye-browser.sip", true, false},
        {EPC_DIR_WIC_REQ, "register-browser.sip", false, false},
        {EPC_DIR_WIC_REQ, "register-token.sip", false, false},
        {EPC_DIR_CORE_REQ, "invite-core.sip", false, false},
        {EPC_DIR_CORE_REQ, "bye-core.sip", true, false},
        {EPC_DIR_WIC_RESP, "invite-180-browser.sip", false, false},
        {EPC_DIR_WIC_RESP, "invite-200-browser.sip", false, false},
        {EPC_DIR_CORE_RESP, "invite-200-core.sip", false, false},
        {EPC_DIR_CORE_RESP, "register-401-core.sip", false, false},
        {EPC_DIR_CORE_RESP, "register-200-core.sip", false, true},
    };
    size_t n;
    const struct epc_policy_row *t = epc_sip_policy_table(&n);
    (void)state;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < EPC_ARRAY_LEN(rows); k++) {
            char line[300];
            if (strcmp(t[i].name, "From") == 0 || strcmp(t[i].name, "To") == 0)
                continue; /* once in a message */
            snprintf(line, sizeof line, "%s: %s\r\n", t[i].name, sample(t[i].name));
            msg_t *m = real_message(rows[k].file, line);
            if (!has_value(m, t[i].name, sample(t[i].name)))
                fail_msg("%s in %s: not read", t[i].name, rows[k].file);
            epc_sip_policy_apply(m, rows[k].dir);
            bool want = sample_passes(t[i].act[rows[k].dir], rows[k].bye, rows[k].reg);
            if (has_value(m, t[i].name, sample(t[i].name)) != want)
                fail_msg("%s in %s", t[i].name, rows[k].file);
            if (!want && epc_sip_get(m, t[i].name, 0).p)
                fail_msg("%s in %s: another one is left", t[i].name, rows[k].file);
            msg_destroy(m);
        }
}

struct expectation {
    enum epc_sip_dir dir;
    const char *method, *name, *lines, *want; /* want NULL: gone */
};

static void by_hand(void **state)
{
    static const struct expectation t[] = {
        /* the strip list of the security checklist, WIC to core */
        {EPC_DIR_WIC_REQ, "INVITE", "P-Asserted-Identity", "P-Asserted-Identity: <sip:boss@x>\r\n", NULL},
        {EPC_DIR_WIC_REQ, "INVITE", "P-Asserted-Identity", "p-asserted-identity: <sip:boss@x>\r\n", NULL},
        {EPC_DIR_WIC_RESP, "INVITE", "P-Asserted-Identity", "P-Asserted-Identity: <sip:boss@x>\r\n", NULL},
        {EPC_DIR_WIC_REQ, "INVITE", "P-Preferred-Identity", "P-Preferred-Identity: <sip:a@x>\r\n", NULL},
        {EPC_DIR_WIC_REQ, "REGISTER", "Path", "Path: <sip:evil@192.0.2.66;lr>\r\n", NULL},
        {EPC_DIR_WIC_REQ, "REGISTER", "Service-Route", "Service-Route: <sip:x@y>\r\n", NULL},
        {EPC_DIR_WIC_REQ, "REGISTER", "P-Visited-Network-ID", "P-Visited-Network-ID: \"home\"\r\n", NULL},
        {EPC_DIR_WIC_REQ, "INVITE", "P-Charging-Vector", "P-Charging-Vector: icid-value=1\r\n", NULL},
        {EPC_DIR_WIC_REQ, "INVITE", "P-Served-User", "P-Served-User: <sip:a@x>;sescase=orig\r\n", NULL},
        {EPC_DIR_WIC_REQ, "REGISTER", "P-User-Database", "P-User-Database: <aaa://hss>\r\n", NULL},
        {EPC_DIR_WIC_REQ, "INVITE", "History-Info", "History-Info: <sip:a@x>;index=1\r\n", NULL},
        {EPC_DIR_WIC_REQ, "INVITE", "Resource-Priority", "Resource-Priority: ets.0\r\n", NULL},
        {EPC_DIR_WIC_RESP, "INVITE", "Reason", "Reason: SIP;cause=503\r\n", NULL},
        {EPC_DIR_WIC_REQ, "BYE", "Reason", "Reason: SIP;cause=200\r\n", "SIP;cause=200"},
        {EPC_DIR_WIC_REQ, "INVITE", "Priority", "Priority: psap-callback\r\n", NULL},
        {EPC_DIR_WIC_REQ, "INVITE", "Session-ID", "Session-ID: abc\r\n", "abc"},
        /* network-provided access information */
        {EPC_DIR_WIC_REQ, "INVITE", "P-Access-Network-Info",
         "P-Access-Network-Info: IEEE-802.11;i-wlan-node-id=1, 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=1;"
         "network-provided\r\n", "IEEE-802.11;i-wlan-node-id=1"},
        {EPC_DIR_WIC_REQ, "INVITE", "P-Access-Network-Info", "P-Access-Network-Info: IEEE-802.11;np\r\n", NULL},
        {EPC_DIR_WIC_RESP, "INVITE", "P-Access-Network-Info",
         "P-Access-Network-Info: IEEE-802.11 ; NETWORK-PROVIDED\r\n", NULL},
        {EPC_DIR_WIC_REQ, "INVITE", "P-Access-Network-Info",
         "P-Access-Network-Info: x;a=\";np\", y;np=\"1\"\r\n", "x;a=\";np\""},
        {EPC_DIR_CORE_REQ, "INVITE", "P-Access-Network-Info", "P-Access-Network-Info: IEEE-802.11\r\n", NULL},
        /* credentials */
        {EPC_DIR_WIC_REQ, "INVITE", "Authorization", "Authorization: Bearer a.b.c\r\n", NULL},
        {EPC_DIR_WIC_REQ, "MESSAGE", "Authorization", "Authorization: bearer access_token=\"t\"\r\n", NULL},
        {EPC_DIR_WIC_REQ, "BYE", "Proxy-Authorization", "Proxy-Authorization: BEARER a.b.c\r\n", NULL},
        {EPC_DIR_WIC_REQ, "REGISTER", "Authorization",
         "Authorization: Digest username=\"u\", integrity-protected=\"auth-done\", realm=\"r\"\r\n",
         "Digest username=\"u\", realm=\"r\""},
        {EPC_DIR_WIC_REQ, "REGISTER", "Authorization",
         "Authorization: Digest username=\"u\", Integrity-Protected=tls-yes\r\n", "Digest username=\"u\""},
        {EPC_DIR_CORE_RESP, "REGISTER", "WWW-Authenticate",
         "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", ik=\"00\", ck=\"11\"\r\n",
         "Digest realm=\"r\", nonce=\"n\""},
        {EPC_DIR_CORE_RESP, "REGISTER", "WWW-Authenticate",
         "WWW-Authenticate: Digest IK=00, realm=\"r, ik=0\", Ck = \"11\", nonce=\"n\", ik=\"2,2\"\r\n",
         "Digest realm=\"r, ik=0\", nonce=\"n\""},
        {EPC_DIR_CORE_RESP, "REGISTER", "Proxy-Authenticate",
         "Proxy-Authenticate: Digest realm=\"r\", ck=\"11\", nonce=\"n\", ik=\"00\"\r\n",
         "Digest realm=\"r\", nonce=\"n\""},
        /* option tags */
        {EPC_DIR_WIC_REQ, "REGISTER", "Supported", "Supported: path, sec-agree, outbound\r\n", "path, outbound"},
        {EPC_DIR_WIC_REQ, "REGISTER", "Require", "Require: Sec-Agree\r\n", NULL},
        {EPC_DIR_WIC_REQ, "REGISTER", "Proxy-Require", "Proxy-Require: sec-agree\r\n", NULL},
        {EPC_DIR_CORE_REQ, "INVITE", "Supported", "Supported: 100rel, precondition, timer\r\n", "100rel, timer"},
        {EPC_DIR_WIC_REQ, "INVITE", "Supported", "Supported: precondition\r\n", "precondition"},
        /* early media */
        {EPC_DIR_WIC_REQ, "INVITE", "P-Early-Media", "P-Early-Media: supported, sendrecv\r\n", "supported"},
        {EPC_DIR_WIC_REQ, "INVITE", "P-Early-Media", "P-Early-Media: gated\r\n", NULL},
        {EPC_DIR_WIC_RESP, "INVITE", "P-Early-Media", "P-Early-Media: sendrecv\r\n", NULL},
        {EPC_DIR_CORE_RESP, "INVITE", "P-Early-Media", "P-Early-Media: sendrecv\r\n", "sendrecv"},
        /* towards the WIC */
        {EPC_DIR_CORE_REQ, "INVITE", "P-Asserted-Identity", "P-Asserted-Identity: <sip:a@x>\r\n", "<sip:a@x>"},
        {EPC_DIR_CORE_REQ, "INVITE", "P-Asserted-Identity",
         "Privacy: id\r\nP-Asserted-Identity: <sip:a@x>\r\n", NULL},
        {EPC_DIR_CORE_RESP, "INVITE", "P-Asserted-Identity",
         "Privacy: critical;ID\r\nP-Asserted-Identity: <sip:a@x>\r\n", NULL},
        {EPC_DIR_CORE_REQ, "INVITE", "P-Asserted-Identity",
         "Privacy: none\r\nP-Asserted-Identity: <sip:a@x>\r\n", "<sip:a@x>"},
        {EPC_DIR_CORE_REQ, "INVITE", "Privacy", "Privacy: id\r\n", "id"},
        {EPC_DIR_CORE_REQ, "INVITE", "P-Charging-Vector", "P-Charging-Vector: icid-value=1\r\n", NULL},
        {EPC_DIR_CORE_RESP, "INVITE", "P-Charging-Function-Addresses",
         "P-Charging-Function-Addresses: ccf=1.2.3.4\r\n", NULL},
        {EPC_DIR_CORE_REQ, "INVITE", "P-Called-Party-ID", "P-Called-Party-ID: <sip:a@x>\r\n", "<sip:a@x>"},
        {EPC_DIR_CORE_REQ, "INVITE", "History-Info",
         "History-Info: <sip:a@x?Privacy=history>;index=1\r\n", NULL},
        {EPC_DIR_CORE_REQ, "INVITE", "History-Info", "History-Info: <sip:a@x>;index=1\r\n", "<sip:a@x>;index=1"},
        {EPC_DIR_CORE_RESP, "REGISTER", "Service-Route", "Service-Route: <sip:o@1.2.3.4;lr>\r\n",
         "<sip:o@1.2.3.4;lr>"},
        {EPC_DIR_CORE_RESP, "INVITE", "Service-Route", "Service-Route: <sip:o@1.2.3.4;lr>\r\n", NULL},
        {EPC_DIR_CORE_RESP, "REGISTER", "P-Associated-URI", "P-Associated-URI: <sip:a@x>\r\n", "<sip:a@x>"},
        {EPC_DIR_CORE_RESP, "INVITE", "Response-Source", "Response-Source: fe=<urn:3gpp:fe:s-cscf>\r\n", NULL},
        /* URI parameters */
        {EPC_DIR_WIC_REQ, "INVITE", "Contact",
         "Contact: <sip:+1555;cpc=operator;ext=2@x;iotl=homeA-visitedA;transport=ws>;reg-id=1\r\n",
         "<sip:+1555;ext=2@x;transport=ws>;reg-id=1"},
        {EPC_DIR_CORE_REQ, "INVITE", "P-Asserted-Identity",
         "P-Asserted-Identity: \"a;cpc=1\" <tel:+1555;CPC=ordinary;phone-context=x>\r\n",
         "\"a;cpc=1\" <tel:+1555;phone-context=x>"},
        {EPC_DIR_CORE_REQ, "INVITE", "P-Asserted-Identity",
         "P-Asserted-Identity: <sip:+1;oli=2@x;user=phone;iotl>, tel:+1;cpc=payphone\r\n",
         "<sip:+1@x;user=phone>, tel:+1"},
        {EPC_DIR_CORE_RESP, "INVITE", "P-Asserted-Identity",
         "P-Asserted-Identity: <tel:+1;cpcx=1;xoli=1>\r\n", "<tel:+1;cpcx=1;xoli=1>"},
        {EPC_DIR_CORE_REQ, "INVITE", "P-Called-Party-ID", "P-Called-Party-ID: <sip:a@x;iotl=homeB-visitedB>\r\n",
         "<sip:a@x>"},
        {EPC_DIR_CORE_REQ, "INVITE", "History-Info", "History-Info: <tel:+1;oli=3>;index=1\r\n",
         "<tel:+1>;index=1"},
        {EPC_DIR_WIC_REQ, "INVITE", "Relayed-Charge", "Relayed-Charge: x\r\n", NULL},
        {EPC_DIR_CORE_REQ, "INVITE", "Restoration-Info", "Restoration-Info: noresponse\r\n", NULL},
        {EPC_DIR_WIC_REQ, "REGISTER", "Restoration-Info", "Restoration-Info: \"001010123456789\"\r\n", NULL},
        {EPC_DIR_CORE_RESP, "INVITE", "Service-Interact-Info", "Service-Interact-Info: x\r\n", NULL},
        {EPC_DIR_WIC_REQ, "INVITE", "Service-Interact-Info", "Service-Interact-Info: x\r\n", NULL},
        {EPC_DIR_WIC_REQ, "INVITE", "Priority-Verstat", "Priority-Verstat: x\r\n", NULL},
        {EPC_DIR_CORE_REQ, "INVITE", "Priority", "Priority: psap-callback\r\n", "psap-callback"},
        {EPC_DIR_CORE_REQ, "INVITE", "Resource-Priority", "Resource-Priority: ets.0\r\n", "ets.0"},
        {EPC_DIR_WIC_RESP, "INVITE", "Resource-Priority", "Resource-Priority: ets.0\r\n", NULL},
        {EPC_DIR_CORE_RESP, "INVITE", "Session-ID", "Session-ID: abc\r\n", "abc"},
        {EPC_DIR_CORE_RESP, "INVITE", "Reason", "Reason: Q.850;cause=17\r\n", "Q.850;cause=17"},
        {EPC_DIR_WIC_REQ, "INVITE", "Reason", "Reason: SIP;cause=200\r\n", NULL},
        {EPC_DIR_WIC_REQ, "INVITE", "Contact", "Contact: <sip:cpc@x;oli=1>\r\n", "<sip:cpc@x>"},
        {EPC_DIR_WIC_REQ, "INVITE", "Contact", "Contact: <sip:a@x;lr;oli=1>\r\n", "<sip:a@x;lr>"},
        {EPC_DIR_WIC_REQ, "INVITE", "Contact", "Contact: <sip:a@x;oli;cpc;iotl=1;cpcx=1;oli=2>\r\n", "<sip:a@x;cpcx=1>"},
    };
    (void)state;
    for (size_t i = 0; i < EPC_ARRAY_LEN(t); i++) {
        const char *v = crossed(t[i].dir, t[i].method, t[i].name, t[i].lines);
        if (!v != !t[i].want || (v && strcmp(v, t[i].want) != 0))
            fail_msg("case %zu, %s%s-> %s", i, t[i].lines, t[i].name, v ? v : "(gone)");
    }
}

static void many_at_once(void **state)
{
    (void)state;
    msg_t *m = message(EPC_DIR_WIC_REQ, "INVITE",
                       "P-Charging-Vector: a\r\nX-1: 1\r\nP-Served-User: <sip:a@x>\r\n"
                       "P-Served-User: <sip:b@x>\r\nX-2: 2\r\nPath: <sip:a@x>, <sip:b@x>\r\n");
    int64_t before = epc_counter_read(EPC_C_SIP_STRIPPED);
    assert_int_equal(epc_sip_policy_apply(m, EPC_DIR_WIC_REQ), 5);
    assert_int_equal(epc_counter_read(EPC_C_SIP_STRIPPED) - before, 5);
    assert_int_equal(epc_sip_policy_apply(m, EPC_DIR_WIC_REQ), 0);
    assert_true(epc_str_eqc(epc_sip_get(m, "X-1", 0), "1"));
    assert_true(epc_str_eqc(epc_sip_get(m, "X-2", 0), "2"));
    msg_destroy(m);
}

static void markdown(void **state)
{
    size_t n, rows = 0;
    char *text = NULL;
    size_t len = 0;
    (void)state;
    epc_sip_policy_table(&n);
    FILE *f = open_memstream(&text, &len);
    assert_non_null(f);
    epc_sip_policy_print(f);
    fclose(f);
    for (const char *p = text; (p = strstr(p, "\n| ")); p++)
        rows++;
    assert_int_equal(rows, n + 1); /* and the head */
    assert_non_null(strstr(text, "| P-Preferred-Identity | use, remove | remove |"));
    char page[65536];
    f = fopen(EPC_TEST_DIR "/../epcscf/sip/HEADERS.md", "rb");
    assert_non_null(f);
    size_t m = fread(page, 1, sizeof page, f);
    fclose(f);
    if (m != len || memcmp(page, text, len) != 0)
        fail_msg("epcscf/sip/HEADERS.md is not up to date: epcscf --header-policy >epcscf/sip/HEADERS.md");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_form), cmocka_unit_test(every_row_every_direction),
        cmocka_unit_test(every_row_on_real_messages),
        cmocka_unit_test(by_hand),    cmocka_unit_test(many_at_once),
        cmocka_unit_test(markdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
