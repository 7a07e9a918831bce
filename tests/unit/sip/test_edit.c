/* Headers by name: known to sofia-sip, unknown to it, and its "extra" ones. */
#include "cm.h"
#include "sip/sip_priv.h"

#include <stdlib.h>
#include <string.h>

static const char text[] =
    "INVITE sip:bob@example.com SIP/2.0\r\n"
    "Via: SIP/2.0/WSS a.invalid;branch=z9hG4bK1\r\n"
    "Max-Forwards: 1\r\n"
    "Route: <sip:one@192.0.2.1;lr>, <sip:two@192.0.2.2;lr>\r\n"
    "From: <sip:alice@example.com>;tag=f\r\n"
    "To: <sip:bob@example.com>\r\n"
    "Call-ID: c1\r\n"
    "CSeq: 7 INVITE\r\n"
    "P-Asserted-Identity: <sip:alice@example.com>, <tel:+1555>\r\n"
    "p-asserted-identity: <sip:second@example.com>\r\n"
    "X-Own: a\r\n"
    "Authorization: Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln\r\n"
    "Supported: timer, 100rel\r\n"
    "Content-Length: 0\r\n\r\n";

static msg_t *parsed(void)
{
    msg_t *m = epc_sip_parse(text, sizeof text - 1);
    assert_non_null(m);
    return m;
}

static void expect(msg_t *m, const char *name, unsigned i, const char *want)
{
    struct epc_str v = epc_sip_get(m, name, i);
    if (!want) {
        assert_null(v.p);
        return;
    }
    assert_non_null(v.p);
    if (!epc_str_eqc(v, want))
        fail_msg("%s[%u]: \"%.*s\", not \"%s\"", name, i, EPC_STR_ARG(v), want);
}

static void get_every_kind(void **state)
{
    (void)state;
    msg_t *m = parsed();
    expect(m, "Call-ID", 0, "c1");
    expect(m, "i", 0, "c1");
    expect(m, "Route", 0, "<sip:one@192.0.2.1;lr>");
    expect(m, "Route", 1, "<sip:two@192.0.2.2;lr>");
    expect(m, "Route", 2, NULL);
    expect(m, "P-Asserted-Identity", 0, "<sip:alice@example.com>, <tel:+1555>");
    expect(m, "P-ASSERTED-IDENTITY", 1, "<sip:second@example.com>");
    expect(m, "P-Asserted-Identity", 2, NULL);
    expect(m, "X-Own", 0, "a");
    expect(m, "X-Other", 0, NULL);
    expect(m, "Authorization", 0, "Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln");
    expect(m, "Bad Name", 0, NULL);
    expect(m, "", 0, NULL);
    msg_destroy(m);
}

static void bearer_forms(void **state)
{
    static const char *const form[] = {"Bearer abc.def-_.ghi", "Bearer access_token=\"a.b.c\"",
                                       "Bearer abc=="};
    (void)state;
    for (size_t i = 0; i < EPC_ARRAY_LEN(form); i++) {
        msg_t *m = parsed();
        epc_sip_remove(m, "Authorization");
        assert_int_equal(epc_sip_add(m, "Authorization", "%s", form[i]), EPC_OK);
        expect(m, "Authorization", 0, form[i]);
        msg_destroy(m);
    }
}

static void remove_and_add(void **state)
{
    (void)state;
    msg_t *m = parsed();
    assert_int_equal(epc_sip_remove(m, "p-Asserted-identity"), 2);
    assert_int_equal(epc_sip_remove(m, "P-Asserted-Identity"), 0);
    expect(m, "X-Own", 0, "a");
    assert_int_equal(epc_sip_remove(m, "Route"), 2);
    assert_null(((sip_t *)(void *)msg_object(m))->sip_route);
    assert_int_equal(epc_sip_add(m, "P-Asserted-Identity", "<sip:%s>", "x@y"), EPC_OK);
    expect(m, "P-Asserted-Identity", 0, "<sip:x@y>");
    assert_int_equal(epc_sip_add(m, "P-Charging-Vector", "icid-value=\"%d\"", 5), EPC_OK);
    expect(m, "p-charging-vector", 0, "icid-value=\"5\"");
    assert_int_equal(epc_sip_add(m, "Supported", "path"), EPC_OK);
    size_t n;
    char *t = epc_sip_text(m, &n);
    assert_non_null(t);
    assert_int_equal(n, strlen(t));
    assert_null(strstr(t, "alice@example.com>,"));
    assert_non_null(strstr(t, "P-Asserted-Identity: <sip:x@y>\r\n"));
    assert_non_null(strstr(t, "path"));
    assert_non_null(strstr(t, "100rel"));
    assert_null(strstr(t, "Route:"));
    free(t);
    msg_destroy(m);
}

static void add_refuses_injection(void **state)
{
    (void)state;
    msg_t *m = parsed();
    assert_int_equal(epc_sip_add(m, "X-A", "%s", "v\r\nX-B: w"), EPC_EINVAL);
    assert_int_equal(epc_sip_add(m, "X-A\r\nX-B", "v"), EPC_EINVAL);
    assert_int_equal(epc_sip_add(m, "CSeq", "not a number"), EPC_EPROTO);
    expect(m, "X-B", 0, NULL);
    expect(m, "CSeq", 0, "7 INVITE");
    assert_null(((sip_t *)(void *)msg_object(m))->sip_error);
    msg_destroy(m);
}

static void routes(void **state)
{
    static const char *const list[] = {"sip:a@192.0.2.9:5070;lr;transport=tcp", "<sip:b@192.0.2.8;lr>", NULL};
    static const char *const bad[] = {"sip:a\r\nX: y", NULL};
    static const char *const none[] = {NULL};
    (void)state;
    msg_t *m = parsed();
    assert_int_equal(epc_sip_set_routes(m, list), EPC_OK);
    expect(m, "Route", 0, "<sip:a@192.0.2.9:5070;lr;transport=tcp>");
    expect(m, "Route", 1, "<sip:b@192.0.2.8;lr>");
    expect(m, "Route", 2, NULL);
    assert_int_not_equal(epc_sip_set_routes(m, bad), EPC_OK);
    expect(m, "Route", 0, "<sip:a@192.0.2.9:5070;lr;transport=tcp>");
    assert_int_equal(epc_sip_set_routes(m, none), EPC_OK);
    expect(m, "Route", 0, NULL);
    msg_destroy(m);
}

static void max_forwards(void **state)
{
    (void)state;
    msg_t *m = parsed();
    assert_true(epc_sip_max_forwards(m));
    expect(m, "Max-Forwards", 0, "0");
    assert_false(epc_sip_max_forwards(m));
    epc_sip_remove(m, "Max-Forwards");
    assert_true(epc_sip_max_forwards(m));
    expect(m, "Max-Forwards", 0, "70");
    msg_destroy(m);
}

static void request_from_parts(void **state)
{
    static const char *const list[] = {"sip:192.0.2.9;lr", NULL};
    struct epc_sip_parts p = {.method = "BYE", .request_uri = "sip:bob@192.0.2.1",
                              .from = "<sip:a@x>;tag=1", .to = "<sip:b@x>;tag=2",
                              .call_id = "id", .cseq = 4000000000u, .routes = list,
                              .extra = "Reason: SIP;cause=503\r\n"};
    (void)state;
    msg_t *m = epc_sip_request(&p);
    assert_non_null(m);
    expect(m, "Max-Forwards", 0, "70");
    expect(m, "Route", 0, "<sip:192.0.2.9;lr>");
    expect(m, "CSeq", 0, "4000000000 BYE");
    expect(m, "To", 0, "<sip:b@x>;tag=2");
    expect(m, "Reason", 0, "SIP;cause=503");
    msg_destroy(m);
    p.to = "<sip:b@x>\r\nEvil: 1";
    assert_null(epc_sip_request(&p));
    p.to = "<sip:b@x";
    assert_null(epc_sip_request(&p));
    p.to = "<sip:b@x>";
    p.request_uri = "sip:a b";
    assert_null(epc_sip_request(&p));
}

/* The order in the text is what counts, not that of sofia's list. */
static void vias_and_record_routes_keep_their_order(void **state)
{
    (void)state;
    static const char request[] =
        "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP one;branch=z9hG4bK1\r\n"
        "Via: SIP/2.0/UDP two;branch=z9hG4bK2\r\nVia: SIP/2.0/UDP three;branch=z9hG4bK3\r\n"
        "Record-Route: <sip:r1;lr>, <sip:r2;lr>\r\nRecord-Route: <sip:r3;lr>\r\n"
        "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n";
    static const char response[] =
        "SIP/2.0 486 Busy\r\nVia: SIP/2.0/WSS other;branch=z9hG4bK9\r\nRecord-Route: <sip:forged;lr>\r\n"
        "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n";
    msg_t *q = epc_sip_parse(request, sizeof request - 1), *m = epc_sip_parse(response, sizeof response - 1);
    size_t n = 0;
    assert_int_equal(epc_sip_copy_vias(m, epc_sip_of(q)), EPC_OK);
    assert_int_equal(epc_sip_copy_record_routes(m, epc_sip_of(q)), EPC_OK);
    char *out = epc_sip_text(m, &n);
    const char *pieces[] = {" one;", " two;", " three;"}, *routes[] = {"sip:r1;", "sip:r2;", "sip:r3;"};
    for (size_t i = 0; i < 3; i++) {
        assert_non_null(strstr(out, pieces[i]));
        assert_non_null(strstr(out, routes[i]));
        if (i > 0) {
            assert_true(strstr(out, pieces[i - 1]) < strstr(out, pieces[i]));
            assert_true(strstr(out, routes[i - 1]) < strstr(out, routes[i]));
        }
    }
    assert_null(strstr(out, "other"));
    assert_null(strstr(out, "forged"));
    free(out);
    msg_destroy(q);
    msg_destroy(m);
}

/* sofia's own encoder cuts values of more than 127 octets short. */
static void long_values_are_whole(void **state)
{
    (void)state;
    for (size_t n = 100; n < 3000; n += 7) {
        struct epc_buf b = {0};
        epc_buf_adds(&b, "REGISTER sip:b SIP/2.0\r\nVia: SIP/2.0/WSS x;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
                         "To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 REGISTER\r\nAuthorization: Bearer ");
        for (size_t i = 0; i < n; i++)
            epc_buf_adds(&b, "t");
        epc_buf_adds(&b, "\r\n\r\n");
        msg_t *m = epc_sip_parse(b.p, b.n);
        assert_int_equal(epc_sip_get(m, "Authorization", 0).n, n + 7);
        msg_destroy(m);
        epc_buf_free(&b);
    }
}

static void not_sip(void **state)
{
    static const char nul[] = "INVITE sip:a@b SIP/2.0\r\nVia: x\0y\r\n\r\n";
    (void)state;
    assert_null(epc_sip_parse("", 0));
    assert_null(epc_sip_parse("hello\r\n\r\n", 9));
    assert_null(epc_sip_parse(nul, sizeof nul - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_every_kind),  cmocka_unit_test(bearer_forms),
        cmocka_unit_test(remove_and_add),  cmocka_unit_test(add_refuses_injection),
        cmocka_unit_test(routes),          cmocka_unit_test(max_forwards),
        cmocka_unit_test(request_from_parts), cmocka_unit_test(not_sip),
        cmocka_unit_test(vias_and_record_routes_keep_their_order),
        cmocka_unit_test(long_values_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
