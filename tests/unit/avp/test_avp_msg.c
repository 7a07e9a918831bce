/* Diameter messages as data: octets, trees, JSON, rules, differences, captures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "avp/avp.h"

#include <stdlib.h>
#include <string.h>

static struct epc_dict *dict;

static int load(void **state)
{
    (void)state;
    struct epc_buf faults = {0};
    enum epc_err e = epc_dict_load(&dict, EPC_TEST_DIR "/../dict", 0, &faults);
    if (e)
        fprintf(stderr, "%s\n", faults.p ? faults.p : epc_err_name(e));
    epc_buf_free(&faults);
    return e ? -1 : 0;
}

static int unload(void **state)
{
    (void)state;
    epc_dict_destroy(dict);
    return 0;
}

static struct epc_msg *from_json(const char *text)
{
    struct epc_msg *m = NULL;
    struct epc_buf why = {0}, line = {0};
    epc_buf_adds(&line, text);
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] == '\'')
            line.p[i] = '"';
    enum epc_err e = epc_msg_from_json(&m, dict, (struct epc_str){line.p, line.n}, &why);
    if (e)
        fprintf(stderr, "%s", why.p ? why.p : "?\n");
    assert_int_equal(e, EPC_OK);
    epc_buf_free(&why);
    epc_buf_free(&line);
    return m;
}

static void to_octets(const struct epc_msg *m, struct epc_buf *out)
{
    assert_int_equal(epc_msg_encode(m, NULL, out, NULL), EPC_OK);
}

/* Octets, tree, JSON, tree, octets. */
static void comes_back(const struct epc_msg *m)
{
    struct epc_buf first = {0}, second = {0}, json = {0};
    struct epc_msg *a = NULL, *b = NULL;
    to_octets(m, &first);
    assert_int_equal(epc_msg_decode(&a, dict, first.p, first.n, NULL), EPC_OK);
    epc_buf_adds(&json, "{");
    epc_msg_to_json(a, &json);
    epc_buf_adds(&json, "}");
    assert_int_equal(epc_msg_from_json(&b, dict, (struct epc_str){json.p, json.n}, NULL), EPC_OK);
    to_octets(b, &second);
    assert_int_equal(first.n, second.n);
    assert_memory_equal(first.p, second.p, first.n);
    epc_msg_destroy(a);
    epc_msg_destroy(b);
    epc_buf_free(&first);
    epc_buf_free(&second);
    epc_buf_free(&json);
}

static const char aar[] =
    "{'command':'AAR','hop_by_hop':7,'end_to_end':4294967295,'avps':[{'Session-Id':'a;1;2'},"
    "{'Auth-Application-Id':16777236},{'Origin-Host':'af.test'},{'Origin-Realm':'test'},"
    "{'Destination-Realm':'test'},{'Framed-IP-Address':'10.45.0.2'},"
    "{'Framed-IPv6-Prefix':'2001:db8::/64'},"
    "{'Media-Component-Description':[{'Media-Component-Number':1},{'Media-Type':'AUDIO'},"
    "{'Flow-Status':'ENABLED'},{'Media-Sub-Component':[{'Flow-Number':1},"
    "{'Flow-Description':'permit in 17 from 10.45.0.2 to 198.51.100.20 40000'}]},"
    "{'Codec-Data':'uplink\\noffer\\nm=audio 1 RTP/AVP 0\\n'}]},"
    "{'Media-Component-Description':[{'Media-Component-Number':2},{'Media-Type':'OTHER'}]},"
    "{'Specific-Action':'INDICATION_OF_LOSS_OF_BEARER'},{'Specific-Action':'IP-CAN_CHANGE'},"
    "{'9999/4242':'0x00ff','flags':'V'},{'7777/0':'0x414243','flags':'M'},{'Class':'0x30783030'}]}";

static void nothing_is_lost(void **state)
{
    (void)state;
    struct epc_msg *m = from_json(aar);
    assert_int_equal(m->application, 16777236);
    assert_int_equal(m->flags, EPC_CMD_R | EPC_CMD_P);
    comes_back(m);
    assert_int_equal(epc_msg_find(m, 8, 0)->n, 4);
    assert_memory_equal(epc_msg_find(m, 97, 0)->data, "\0\x40\x20\x01\x0d\xb8\0\0\0\0", 10);
    epc_msg_destroy(m);
}

/* Every type there is, at its edges. */
static void every_type_comes_back(void **state)
{
    (void)state;
    struct epc_msg *m = from_json(
        "{'command':'AAA','flags':'PE','avps':[{'Access-Network-Charging-Address':'192.0.2.1'},"
        "{'Access-Network-Charging-Address':'2001:db8::1'},{'Access-Network-Charging-Address':'0x0008414243'},"
        "{'User-Location-Info-Time':'2026-02-28T23:59:59Z'},{'User-Location-Info-Time':'2036-02-07T06:28:16Z'},"
        "{'Max-PLR-DL':0.25},{'Max-PLR-DL':-0.0},{'Max-PLR-DL':'0x7fc00000'},{'Max-PLR-UL':1e20},"
        "{'Content-Version':'18446744073709551615'},{'Content-Version':9223372036854775807},"
        "{'Result-Code':'DIAMETER_SUCCESS'},{'Result-Code':4294967295},{'Result-Code':'0x0102'},"
        "{'Media-Type':-7},{'AF-Application-Identifier':'\xc3\xa4\\u0001'},{'AF-Application-Identifier':''},"
        "{'Supported-Features':'0xff'},{'Error-Message':'\\\\\\t$'},{'Class':'0x24736964'}]}");
    comes_back(m);
    struct epc_buf json = {0};
    epc_msg_to_json(m, &json);
    assert_non_null(strstr(json.p, "\"Access-Network-Charging-Address\":\"0x0008414243\""));
    assert_non_null(strstr(json.p, "\"User-Location-Info-Time\":\"2036-02-07T06:28:16Z\""));
    assert_non_null(strstr(json.p, "\"Content-Version\":\"18446744073709551615\""));
    assert_non_null(strstr(json.p, "\"Class\":\"0x24736964\"")); /* "$sid" is no variable here */
    epc_buf_free(&json);
    epc_msg_destroy(m);
}

static void decode_fault(const struct epc_buf *octets, size_t n, const char *want)
{
    struct epc_msg *m = NULL;
    struct epc_buf why = {0};
    assert_int_equal(epc_msg_decode(&m, dict, octets->p, n, &why), EPC_EPROTO);
    assert_null(m);
    if (!strstr(why.p, want))
        fail_msg("'%s' is not in: %s", want, why.p);
    epc_buf_free(&why);
}

static void bad_lengths_are_told_with_their_place(void **state)
{
    (void)state;
    struct epc_buf b = {0};
    struct epc_msg *m = from_json("{'command':'RAA','avps':[{'Session-Id':'abc'},{'Result-Code':2001}]}");
    to_octets(m, &b);
    assert_int_equal(b.n, 44);
    decode_fault(&b, 19, "offset 0: 19 octets");
    decode_fault(&b, 40, "offset 1: the message says that it has 44 octets, here are 40");
    b.p[39] = 13;
    decode_fault(&b, 44, "offset 32: AVP 268 says that it has 13 octets, its header has 8 and 12 are left");
    b.p[39] = 7;
    decode_fault(&b, 44, "offset 32: AVP 268 says that it has 7 octets");
    b.p[39] = 8;
    decode_fault(&b, 44, "offset 40: 4 octets are left");
    b.p[0] = 2;
    decode_fault(&b, 44, "version 2");
    epc_msg_destroy(m);
    epc_buf_free(&b);
}

static void json_fault(const char *text, const char *want)
{
    struct epc_msg *m = NULL;
    struct epc_buf why = {0};
    assert_int_not_equal(epc_msg_from_json(&m, dict, epc_str_c(text), &why), EPC_OK);
    assert_null(m);
    if (!why.p || !strstr(why.p, want))
        fail_msg("'%s' is not in: %s", want, why.p ? why.p : "");
    epc_buf_free(&why);
}

static void faults_of_json_are_told(void **state)
{
    (void)state;
    json_fault("{\"command\":\"AAR\"", "no JSON object");
    json_fault("{\"command\":\"XXR\",\"avps\":[]}", "a command 'XXR'");
    json_fault("{\"command\":\"AAR\"}", "\"avps\" is a list");
    json_fault("{\"command\":\"AAR\",\"avps\":[{\"Flow-Satus\":1}]}", "an AVP 'Flow-Satus'");
    json_fault("{\"command\":\"AAR\",\"avps\":[{\"Flow-Status\":\"ENBLED\"}]}", "'ENBLED' is no value of type");
    json_fault("{\"command\":\"AAR\",\"avps\":[{\"Flow-Number\":4294967296}]}", "Flow-Number");
    json_fault("{\"command\":\"AAR\",\"avps\":[{\"Flow-Number\":[]}]}", "not Grouped");
    json_fault("{\"command\":\"AAR\",\"avps\":[{\"Flow-Number\":1,\"x\":2}]}", "one name");
    json_fault("{\"command\":\"AAR\",\"flags\":\"RX\",\"avps\":[]}", "letters of R, P, E, T");
    json_fault("{\"command\":\"AAR\",\"avps\":[{\"Framed-IP-Address\":\"10.45.0\"}]}", "Framed-IP-Address");
}

static void depth_and_number_are_limited(void **state)
{
    (void)state;
    struct epc_buf deep = {0}, many = {0};
    struct epc_msg *m = NULL;
    epc_buf_adds(&deep, "{\"command\":\"AAA\",\"avps\":[");
    for (int i = 0; i < 14; i++)
        epc_buf_adds(&deep, "{\"Failed-AVP\":[");
    for (int i = 0; i < 14; i++)
        epc_buf_adds(&deep, "]}");
    epc_buf_adds(&deep, "]}");
    assert_int_equal(epc_msg_from_json(&m, dict, (struct epc_str){deep.p, deep.n}, NULL), EPC_ELIMIT);
    epc_buf_adds(&many, "{\"command\":\"AAA\",\"avps\":[{\"Class\":\"\"}");
    for (int i = 0; i < EPC_MSG_MAX_AVPS; i++)
        epc_buf_adds(&many, ",{\"Class\":\"\"}");
    epc_buf_adds(&many, "]}");
    assert_int_equal(epc_msg_from_json(&m, dict, (struct epc_str){many.p, many.n}, NULL), EPC_ELIMIT);
    assert_null(m);
    epc_buf_free(&deep);
    epc_buf_free(&many);
}

/* ---- rules ------------------------------------------------------------------------------------------- */

static void check_says(const char *message, const char *want)
{
    struct epc_msg *m = from_json(message);
    struct epc_buf out = {0};
    size_t n = epc_msg_check(dict, m, &out);
    if (!want && n)
        fail_msg("unexpected: %s", out.p);
    if (want && (!out.p || !strstr(out.p, want)))
        fail_msg("'%s' is not in: %s", want, out.p ? out.p : "(nothing)");
    epc_buf_free(&out);
    epc_msg_destroy(m);
}

#define HEAD "{'Session-Id':'x'},{'Auth-Application-Id':16777236},{'Origin-Host':'a'},{'Origin-Realm':'b'}"

static void breaches_of_the_rules_are_told(void **state)
{
    (void)state;
    const char *good = "{'command':'AAA','avps':[" HEAD ",{'Result-Code':2001}]}";
    check_says(good, NULL);
    check_says("{'command':'AAA','avps':[" HEAD ",{'Result-Code':2001},{'7777/0':'0x','flags':'M'}]}",
               "AAA: 7777/0: M is set");
    check_says("{'command':'AAA','avps':[" HEAD "]}", "neither Result-Code nor Experimental-Result");
    check_says("{'command':'AAA','avps':[{'Session-Id':'x'},{'Result-Code':2001}]}", "Origin-Host is missing");
    check_says("{'command':'AAA','avps':[" HEAD ",{'Result-Code':2001},{'Result-Code':2001}]}",
               "Result-Code is there 2 times, 1 at most");
    check_says("{'command':'AAA','avps':[" HEAD ",{'Result-Code':2001},{'Abort-Cause':0}]}",
               "Abort-Cause: it is not in the definition of AA-Answer");
    check_says("{'command':'AAA','avps':[{'Result-Code':2001}," HEAD "]}", "Session-Id is not the first");
    check_says("{'command':'AAA','flags':'','avps':[" HEAD ",{'Result-Code':2001}]}", "flag P is missing");
    check_says("{'command':'AAA','avps':[" HEAD ",{'Result-Code':'0x07d1'}]}", "Result-Code: 2 octets");
    check_says("{'command':'AAA','avps':[" HEAD ",{'Result-Code':2001},{'IP-CAN-Type':77}]}",
               "IP-CAN-Type: there is no value 77");
    check_says("{'command':'AAA','avps':[" HEAD ",{'Result-Code':2001},{'Flows':[{'Flow-Number':1}]}]}",
               "AAA / Flows: Media-Component-Number is missing");
    check_says("{'command':'AAA','avps':[" HEAD ",{'Result-Code':2001,'flags':''}]}", "Result-Code: flag M is missing");
    check_says("{'command':'AAA','avps':[" HEAD ",{'Result-Code':2001},{'Flows':'0x01'}]}", "no list of AVPs");
}

/* ---- differences ------------------------------------------------------------------------------------- */

static size_t differ(const char *expected, const char *got, struct epc_vars *vars, struct epc_buf *out)
{
    struct epc_msg *a = from_json(expected), *b = from_json(got);
    struct epc_msg_ignore ignore = {0};
    epc_msg_ignore_usual(&ignore, dict);
    size_t n = epc_msg_diff(a, b, &ignore, vars, out);
    epc_msg_destroy(a);
    epc_msg_destroy(b);
    return n;
}

static void one_difference(const char *expected, const char *got, const char *want)
{
    struct epc_buf out = {0};
    size_t n = differ(expected, got, NULL, &out);
    if (n != 1 || !strstr(out.p, want))
        fail_msg("%zu: '%s' is not in: %s", n, want, out.p ? out.p : "");
    epc_buf_free(&out);
}

#define AAR(x) "{'command':'AAR','avps':[" x "]}"
#define MCD(number, rest) "{'Media-Component-Description':[{'Media-Component-Number':" number "}," rest "]}"

static void differences_name_the_avp(void **state)
{
    (void)state;
    one_difference(AAR(MCD("1", "{'Flow-Status':2}") "," MCD("2", "{'Flow-Status':2}")),
                   AAR(MCD("2", "{'Flow-Status':3}") "," MCD("1", "{'Flow-Status':2}")),
                   "Media-Component-Description[2] / Flow-Status: expected ENABLED (2), got DISABLED (3)");
    one_difference(AAR(MCD("1", "{'Flow-Status':2}")), AAR(MCD("3", "{'Flow-Status':2}") "," MCD("1", "{'Flow-Status':2}")),
                   "Media-Component-Description: not expected, got { Media-Component-Number 3");
    one_difference(AAR("{'Specific-Action':2},{'Specific-Action':4}"), AAR("{'Specific-Action':4}"),
                   "Specific-Action: missing, expected INDICATION_OF_LOSS_OF_BEARER (2)");
    one_difference(AAR("{'Class':'a'}"), AAR("{'Class':'a','flags':''}"), "Class: flags expected 0x40, got 0x00");
    one_difference(AAR("{'9001/7':'0x01'}"), AAR("{'9001/7':'0x02'}"), "9001/7: expected 0x01, got 0x02");
    one_difference(AAR(""), "{'command':'STR','avps':[]}", "expected AAR, got STR");
}

static void order_and_names_of_nodes_do_not_matter(void **state)
{
    (void)state;
    struct epc_buf out = {0};
    assert_int_equal(differ(AAR("{'Session-Id':'a'},{'Specific-Action':2},{'Specific-Action':4},{'Origin-Host':'x'}"),
                            AAR("{'Session-Id':'b'},{'Specific-Action':4},{'Origin-Host':'y'},{'Specific-Action':2}"),
                            NULL, &out), 0);
    epc_buf_free(&out);
}

static void variables_are_filled_and_held(void **state)
{
    (void)state;
    struct epc_vars vars = {0};
    struct epc_str v;
    assert_int_equal(differ(AAR("{'Class':'$c'},{'Service-URN':'$_'}"), AAR("{'Class':'one'},{'Service-URN':'sos'}"), &vars, NULL), 0);
    assert_true(epc_vars_get(&vars, "$c", &v));
    assert_true(epc_str_eqc(v, "one"));
    assert_int_equal(differ(AAR("{'Class':'$c'}"), AAR("{'Class':'two'}"), &vars, NULL), 1);
    struct epc_msg *m = from_json(AAR("{'Class':'$c'}"));
    struct epc_buf b = {0}, why = {0};
    assert_int_equal(epc_msg_encode(m, &vars, &b, NULL), EPC_OK);
    assert_memory_equal(b.p + 28, "one", 4);
    assert_int_equal(epc_msg_encode(m, NULL, &b, &why), EPC_ENOENT);
    assert_non_null(strstr(why.p, "$c has no value"));
    epc_msg_destroy(m);
    epc_buf_free(&b);
    epc_buf_free(&why);
    epc_vars_free(&vars);
}

/* ---- exchanges ----------------------------------------------------------------------------------------- */

static void add_le(struct epc_buf *b, uint32_t v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t o = (uint8_t)(v >> 8 * i);
        epc_buf_add(b, &o, 1);
    }
}

/* A TCP segment on Ethernet, in a pcap record. */
static void add_segment(struct epc_buf *b, uint32_t seq, bool syn, const char *p, size_t n)
{
    uint8_t h[54] = {[12] = 8, [14] = 0x45, [23] = 6, [26] = 10, [29] = 1, [30] = 10, [33] = 2,
                     [34] = 0x30, [36] = 0x0f, [37] = 0x1c, [46] = 0x50, [47] = syn ? 2 : 16};
    h[16] = (uint8_t)((40 + n) >> 8);
    h[17] = (uint8_t)(40 + n);
    for (size_t i = 0; i < 4; i++)
        h[38 + i] = (uint8_t)(seq >> 8 * (3 - i));
    add_le(b, 1700000000, 4);
    add_le(b, 5, 4);
    add_le(b, (uint32_t)(54 + n), 4);
    add_le(b, (uint32_t)(54 + n), 4);
    epc_buf_add(b, h, 54);
    epc_buf_add(b, p, n);
}

static void streams_are_put_together(void **state)
{
    (void)state;
    struct epc_buf m = {0}, file = {0}, why = {0};
    struct epc_msg *msg = from_json(aar);
    struct epc_exchange x = {0};
    to_octets(msg, &m);
    to_octets(msg, &m);
    add_le(&file, 0xa1b2c3d4, 4);
    epc_buf_add(&file, "\2\0\4\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\0\0", 20);
    add_segment(&file, 0xffffff00, true, "", 0);
    add_segment(&file, 0xffffff01, false, m.p, 100);
    add_segment(&file, 0xffffff01 + 300, false, m.p + 300, m.n - 300); /* out of order, the number wraps */
    add_segment(&file, 0xffffff01 + 50, false, m.p + 50, 250);         /* overlaps */
    assert_int_equal(epc_exchange_read(&x, dict, (struct epc_str){file.p, file.n}, &why), EPC_OK);
    assert_int_equal(x.n, 2);
    assert_string_equal(x.msg[1].from, "10.0.0.1:12288");
    assert_string_equal(x.msg[1].to, "10.0.0.2:3868");
    assert_int_equal(x.msg[0].t_us, UINT64_C(1700000000000005));
    struct epc_buf out = {0};
    assert_int_equal(epc_msg_diff(msg, x.msg[1].msg, NULL, NULL, &out), 0);
    assert_null(why.p);
    epc_exchange_free(&x);
    /* Without the middle: a hole, and no message of it. */
    struct epc_buf cut = {0};
    epc_buf_add(&cut, file.p, file.n - 250 - 70);
    assert_int_equal(epc_exchange_read(&x, dict, (struct epc_str){cut.p, cut.n}, &why), EPC_OK);
    assert_int_equal(x.n, 0);
    assert_non_null(strstr(why.p, "1 holes"));
    epc_exchange_free(&x);
    epc_msg_destroy(msg);
    epc_buf_free(&m);
    epc_buf_free(&file);
    epc_buf_free(&cut);
    epc_buf_free(&why);
}

static void lines_are_read_as_written(void **state)
{
    (void)state;
    struct epc_msg *msg = from_json(aar);
    struct epc_buf file = {0}, why = {0};
    struct epc_exchange x = {0};
    epc_buf_adds(&file, "# A title\n\n{\"node\":\"open\"}\n");
    epc_recorded_write(&file, 5, true, "pcrf.test", msg, EPC_STR_NULL, NULL);
    epc_recorded_write(&file, 6, false, "bad\"name", NULL, EPC_STR("\1\0\0\3"), "too short");
    assert_int_equal(epc_exchange_read(&x, dict, (struct epc_str){file.p, file.n}, &why), EPC_OK);
    assert_string_equal(x.title, "A title");
    assert_int_equal(x.n, 2);
    assert_true(x.msg[0].out && x.msg[0].t_us == 5 && x.msg[0].line == 4);
    assert_string_equal(x.msg[0].peer, "pcrf.test");
    assert_int_equal(epc_msg_diff(msg, x.msg[0].msg, NULL, NULL, NULL), 0);
    assert_null(x.msg[1].msg);
    assert_int_equal(x.msg[1].n_raw, 4);
    assert_string_equal(x.msg[1].fault, "offset 0: 4 octets, a Diameter message has 20 at least");
    epc_exchange_free(&x);
    assert_int_equal(epc_exchange_read(&x, dict, EPC_STR("{}\n[1]\n"), &why), EPC_EPROTO);
    assert_non_null(strstr(why.p, "line 2: no JSON object"));
    epc_exchange_free(&x);
    epc_msg_destroy(msg);
    epc_buf_free(&file);
    epc_buf_free(&why);
}

static void print_shows_a_tree(void **state)
{
    (void)state;
    struct epc_msg *m = from_json(aar);
    struct epc_buf out = {0};
    epc_msg_print(m, &out);
    assert_non_null(strstr(out.p, "AAR flags=RP application=16777236"));
    assert_non_null(strstr(out.p, "\n    Media-Sub-Component\n      Flow-Number: 1\n"));
    assert_non_null(strstr(out.p, "    Codec-Data: uplink\\noffer\\nm=audio"));
    assert_non_null(strstr(out.p, "  Specific-Action: IP-CAN_CHANGE (6)\n"));
    epc_msg_destroy(m);
    epc_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost),
        cmocka_unit_test(every_type_comes_back),
        cmocka_unit_test(bad_lengths_are_told_with_their_place),
        cmocka_unit_test(faults_of_json_are_told),
        cmocka_unit_test(depth_and_number_are_limited),
        cmocka_unit_test(breaches_of_the_rules_are_told),
        cmocka_unit_test(differences_name_the_avp),
        cmocka_unit_test(order_and_names_of_nodes_do_not_matter),
        cmocka_unit_test(variables_are_filled_and_held),
        cmocka_unit_test(streams_are_put_together),
        cmocka_unit_test(lines_are_read_as_written),
        cmocka_unit_test(print_shows_a_tree),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
