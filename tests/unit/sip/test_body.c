/* SDP alone and inside multipart/mixed. */
#include "cm.h"
#include "sip/sip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SDP "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"
#define NEW "v=0\r\no=- 2 2 IN IP4 192.0.2.2\r\ns=longer than it was\r\nt=0 0\r\n"

static msg_t *with_body(const char *type, const char *body)
{
    char buf[4000];
    int n = snprintf(buf, sizeof buf,
                     "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/WSS a.invalid;branch=z9hG4bK1\r\n"
                     "From: <sip:a@x>;tag=f\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
                     "%s%s%sContent-Length: %zu\r\n\r\n%s",
                     type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "", strlen(body), body);
    msg_t *m = epc_sip_parse(buf, (size_t)n);
    assert_non_null(m);
    return m;
}

static const sip_t *sip_of(msg_t *m)
{
    return (const sip_t *)(void *)msg_object(m);
}

static void check_text(msg_t *m, const char *must, const char *must_not)
{
    size_t n;
    char *t = epc_sip_text(m, &n);
    assert_non_null(t);
    const char *body = strstr(t, "\r\n\r\n");
    assert_non_null(body);
    char *cl = strstr(t, "Content-Length: ");
    assert_non_null(cl);
    assert_int_equal(strtoul(cl + 16, NULL, 10), n - (size_t)(body + 4 - t));
    if (must && !strstr(t, must))
        fail_msg("lacks \"%s\":\n%s", must, t);
    if (must_not && strstr(t, must_not))
        fail_msg("still has \"%s\":\n%s", must_not, t);
    free(t);
}

static void alone(void **state)
{
    (void)state;
    msg_t *m = with_body("application/SDP", SDP);
    assert_true(epc_str_eqc(epc_sip_sdp(sip_of(m)), SDP));
    assert_int_equal(epc_sip_set_sdp(m, epc_str_c(NEW)), EPC_OK);
    assert_true(epc_str_eqc(epc_sip_sdp(sip_of(m)), NEW));
    check_text(m, NEW, "192.0.2.1");
    assert_int_equal(epc_sip_remove_sdp(m), EPC_OK);
    assert_null(epc_sip_sdp(sip_of(m)).p);
    check_text(m, "Content-Length: 0", "Content-Type");
    msg_destroy(m);
}

static void none(void **state)
{
    (void)state;
    msg_t *m = with_body(NULL, "");
    assert_null(epc_sip_sdp(sip_of(m)).p);
    assert_int_equal(epc_sip_remove_sdp(m), EPC_OK);
    assert_int_equal(epc_sip_set_sdp(m, epc_str_c(NEW)), EPC_OK);
    assert_true(epc_str_eqc(epc_sip_sdp(sip_of(m)), NEW));
    check_text(m, "Content-Type: application/sdp\r\n", NULL);
    msg_destroy(m);
    m = with_body("text/plain", "hello");
    assert_null(epc_sip_sdp(sip_of(m)).p);
    assert_int_equal(epc_sip_remove_sdp(m), EPC_OK);
    check_text(m, "hello", NULL);
    msg_destroy(m);
}

#define MIXED                                                                                        \
    "preamble\r\n--b1\r\nContent-Type: application/isup;version=x\r\n\r\n\x01\x02--b1x\r\n"           \
    "--b1\r\nContent-Disposition: session\r\ncontent-type : application/sdp; charset=utf-8\r\n\r\n" SDP \
    "\r\n--b1\r\nContent-Type: text/plain\r\n\r\ntail\r\n--b1--\r\nepilogue"

static void mixed(void **state)
{
    (void)state;
    msg_t *m = with_body("multipart/mixed;boundary=\"b1\"", MIXED);
    assert_true(epc_str_eqc(epc_sip_sdp(sip_of(m)), SDP));
    assert_int_equal(epc_sip_set_sdp(m, epc_str_c(NEW)), EPC_OK);
    assert_true(epc_str_eqc(epc_sip_sdp(sip_of(m)), NEW));
    check_text(m, "\x01\x02--b1x\r\n--b1\r\nContent-Disposition: session", "192.0.2.1");
    check_text(m, "multipart/mixed", NULL);
    assert_int_equal(epc_sip_remove_sdp(m), EPC_OK);
    assert_null(epc_sip_sdp(sip_of(m)).p);
    check_text(m, "\x01\x02--b1x\r\n--b1\r\nContent-Type: text/plain\r\n\r\ntail\r\n--b1--", "Disposition");
    msg_destroy(m);
}

static void mixed_of_one(void **state)
{
    (void)state;
    msg_t *m = with_body("multipart/mixed;boundary=q", "--q\nContent-Type: application/sdp\n\nv=0\n--q--\n");
    assert_true(epc_str_eqc(epc_sip_sdp(sip_of(m)), "v=0"));
    assert_int_equal(epc_sip_remove_sdp(m), EPC_OK);
    check_text(m, "Content-Length: 0", "multipart");
    msg_destroy(m);
}

static void mixed_broken(void **state)
{
    static const struct {
        const char *type, *body;
    } t[] = {
        {"multipart/mixed", "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--"},
        {"multipart/mixed;boundary=", "--\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n----"},
        {"multipart/mixed;boundary=b", "--b--\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0"},
        {"multipart/mixed;boundary=b", "--b"},
        {"multipart/mixed;boundary=b", "--b\r\n"},
        {"multipart/mixed;boundary=b", "x--b\r\nContent-Type: application/sdp\r\n\r\nv=0"},
        {"multipart/mixed;boundary=b", "--b\r\nContent-Type: application/sdp\r\n\r\n--b--"},
    };
    (void)state;
    for (size_t i = 0; i < EPC_ARRAY_LEN(t); i++) {
        msg_t *m = with_body(t[i].type, t[i].body);
        assert_null(epc_sip_sdp(sip_of(m)).p);
        msg_destroy(m);
    }
}

static void encoded(void **state)
{
    (void)state;
    msg_t *m = with_body("application/sdp\r\nContent-Encoding: gzip", "\x1f\x8b");
    assert_null(epc_sip_sdp(sip_of(m)).p);
    assert_int_equal(epc_sip_set_sdp(m, epc_str_c(NEW)), EPC_OK);
    check_text(m, NEW, "gzip");
    msg_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone), cmocka_unit_test(none), cmocka_unit_test(mixed),
        cmocka_unit_test(mixed_of_one), cmocka_unit_test(mixed_broken), cmocka_unit_test(encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
