/* The codec: example messages of Iq, spellings, limits, faults with their codes. */
#include "h248/h248.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct epc_h248_message *parsed(const char *text)
{
    struct epc_h248_message *m = NULL;
    struct epc_h248_fault f;
    if (epc_h248_parse(&m, epc_str_c(text), &f) != EPC_OK)
        fail_msg("%u:%u: %u %s in\n%s", f.line, f.column, f.code, f.why, text);
    return m;
}

static char *printed(const struct epc_h248_message *m, enum epc_h248_style style)
{
    struct epc_buf b = {0};
    assert_int_equal(epc_h248_print(m, style, &b), EPC_OK);
    return epc_buf_take(&b, NULL);
}

/* What is printed in each style and version means what it was made from. */
static void survives(const char *text)
{
    struct epc_h248_message *m = parsed(text);
    for (unsigned version = 1; version <= 3; version++) {
        m->version = version;
        for (int style = EPC_H248_COMPACT; style <= EPC_H248_PRETTY; style++) {
            char *out = printed(m, (enum epc_h248_style)style);
            struct epc_h248_message *again = parsed(out);
            if (!epc_h248_same(m, again))
                fail_msg("not the same:\n%s\nand\n%s", text, out);
            epc_h248_free(again);
            free(out);
        }
    }
    epc_h248_free(m);
}

static char *read_file(const char *folder, const char *name)
{
    char path[512], *text = calloc(1, 65536);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    if (!f || fread(text, 1, 65535, f) == 0)
        fail_msg("cannot read %s", path);
    fclose(f);
    return text;
}

static void examples(void **state)
{
    (void)state;
    DIR *d = opendir(EXAMPLES);
    unsigned n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (!strstr(e->d_name, ".txt"))
            continue;
        char *text = read_file(EXAMPLES, e->d_name);
        survives(text);
        free(text);
        n++;
    }
    closedir(d);
    assert_int_equal(n, 29);
}

static void add_pair(void **state)
{
    (void)state;
    char *text = read_file(EXAMPLES, "add-pair.txt");
    struct epc_h248_message *m = parsed(text);
    assert_int_equal(m->version, 2);
    assert_int_equal(m->mid.kind, EPC_H248_MID_IP4);
    assert_true(epc_str_eqc(m->mid.host, "10.0.0.10"));
    assert_int_equal(m->mid.port, 2944);
    assert_int_equal(m->n_transactions, 1);
    const struct epc_h248_transaction *t = &m->transaction[0];
    assert_int_equal(t->kind, EPC_H248_T_REQUEST);
    assert_int_equal(t->id, 101);
    assert_int_equal(t->action[0].context, EPC_H248_CTX_CHOOSE);
    assert_int_equal(t->action[0].n_commands, 2);
    const struct epc_h248_command *c = &t->action[0].command[0];
    assert_int_equal(c->kind, EPC_H248_ADD);
    assert_true(epc_str_eqc(c->termination[0], "ip/1/access/$"));
    assert_int_equal(c->n_descriptors, 2);
    const struct epc_h248_node *stream = epc_h248_child(&c->descriptor[0], EPC_H248_STREAM);
    assert_true(epc_str_eqc(epc_h248_value(stream), "1"));
    const struct epc_h248_node *control = epc_h248_child(stream, EPC_H248_LOCAL_CONTROL);
    assert_true(epc_str_eqc(epc_h248_value(epc_h248_child(control, EPC_H248_MODE)), "SendReceive"));
    assert_true(epc_str_eqc(epc_h248_item_value(control, "ipdc/realm"), "access"));
    assert_true(epc_h248_item(control, "IPDC/REALM")->value[0].quoted);
    uint64_t rate;
    assert_true(epc_h248_number(epc_h248_item(control, "tman/sdr"), UINT32_MAX, &rate));
    assert_int_equal(rate, 12500);
    const struct epc_h248_node *remote = epc_h248_child(stream, EPC_H248_REMOTE);
    assert_true(epc_str_starts(epc_str_trim(remote->text), "v=0"));
    const struct epc_h248_node *thb = epc_h248_item(&c->descriptor[1], "hangterm/thb");
    assert_true(epc_str_eqc(epc_h248_item_value(thb, "timerx"), "3600"));
    epc_h248_free(m);
    free(text);
}

static void spellings(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"MEGACO/2 [10.0.0.1]:2944 Transaction = 7 { Context = 5 { Modify = ip/1 { Media { Stream = 1 { "
         "LocalControl { Mode = SendReceive, ReservedGroup = ON } } }, Signals { } } } }",
         "!/2 [10.0.0.1]:2944\nT=7{C=5{MF=ip/1{M{ST=1{O{MO=SR,RG=ON}}},SG{}}}}"},
        {"MEGACO/1 <mg.example> Reply = 1 { ImmAckRequired, Context = - { ServiceChange = ROOT { Services { "
         "Version = 2, Profile = threegiq/4 } } } }",
         "megaco/1 <MG.example>\r\n; a comment { } \"\r\np=1{IA,c=-{sc=root{sv{v=2,pf=threegiq/4}}}}"},
        {"MEGACO/3 [2001:db8::1] Transaction = 4294967295 { Context = * { W-Subtract = * { Audit { } } } }",
         "!/3 [2001:DB8:0:0::1] T=4294967295{C=*{W-S=*{AT{}}}}"},
        {"MEGACO/2 dev/1@x Transaction = 1 { Context = 1 { Add = a { Events = 3 { g/cause, al/of { Embed { "
         "Signals { cg/dt { SignalType = OnOff, NotifyCompletion = { TimeOut, IntByEvent } } } } } } } } }",
         "!/2 dev/1@x T=1{C=1{A=a{E=3{g/cause,al/of{EM{SG{cg/dt{SY=OO,NC={TO,IBE}}}}}}}}}"},
        {"MEGACO/2 MTP{0a1b} Pending = 9 { }", "!/2 MTP{0A1B} PN=9{}"},
        {"MEGACO/2 [10.0.0.1] TransactionResponseAck { 1, 3-5 } Reply = 2 { Error = 505 { \"not yet\" } }",
         "!/2 [10.0.0.1] K{1,3-5} P=2{ER=505{\"not yet\"}}"},
        {"MEGACO/3 [10.0.0.1] Reply = 2/1/END { Context = 1 { Topology { a, b, Bothway } } }",
         "!/3 [10.0.0.1] P=2/1/&{C=1{TP{a,b,BW}}}"},
        {"MEGACO/2 [10.0.0.1] Transaction = 1 { Context = - { ServiceChange = ROOT { Services { Method = Restart, "
         "ServiceChangeAddress = [10.0.0.2]:2945, Reason = \"901 Cold Boot\", 20260101T00000000 } } } }",
         "!/2 [10.0.0.1] T=1{C=-{SC=ROOT{SV{MT=RS,AD=[10.0.0.2]:2945,RE=\"901 Cold Boot\",20260101T00000000}}}}"},
        {"MEGACO/2 [10.0.0.1] Transaction = 1 { Context = 1 { Modify = a { Media { LocalControl { "
         "ds/dscp = { 2E, 22 }, gm/spr = [ 100 : 200 ], x/y = [ a, b ], x/z < 5, x/q # none } } } } }",
         "!/2 [10.0.0.1] T=1{C=1{MF=a{M{O{ds/dscp={2E,22},gm/spr=[100:200],x/y=[a,b],x/z<5,x/q#none}}}}}"},
        {"MEGACO/2 [10.0.0.1] Reply = 1 { Context = 1 { AuditValue = Context { a, b }, Notify = c } }",
         "!/2 [10.0.0.1] P=1{C=1{AV=C{a,b},N=c}}"},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(pairs); i++) {
        struct epc_h248_message *a = parsed(pairs[i][0]), *b = parsed(pairs[i][1]);
        if (!epc_h248_same(a, b))
            fail_msg("not the same:\n%s\n%s", pairs[i][0], pairs[i][1]);
        epc_h248_free(a);
        epc_h248_free(b);
        survives(pairs[i][0]);
    }
}

static void compact_is_compact(void **state)
{
    (void)state;
    static const char want[] = "!/1 [10.0.0.20]:2944\nT=1{C=-{SC=ROOT{SV{MT=RS,RE=\"901 Cold Boot\",V=3,PF=threegiq/4}}}}";
    char *text = read_file(EXAMPLES, "servicechange-cold.txt");
    struct epc_h248_message *m = parsed(text);
    char *out = printed(m, EPC_H248_COMPACT);
    assert_string_equal(out, want);
    free(out);
    epc_h248_free(m);
    free(text);
    /* A word has its short form where it is a keyword, and nowhere else. */
    m = parsed("MEGACO/2 [10.0.0.1]\nTransaction = 1 { Context = 1 { Topology { a, b, Oneway }, "
               "Notify = a { ObservedEvents = 1 { x/y { Oneway = 1 } } } } }");
    out = printed(m, EPC_H248_COMPACT);
    assert_string_equal(out, "!/2 [10.0.0.1]\nT=1{C=1{TP{a,b,OW},N=a{OE=1{x/y{Oneway=1}}}}}");
    free(out);
    epc_h248_free(m);
}

static void descriptions(void **state)
{
    (void)state;
    struct epc_h248_message *m = parsed("!/2 [10.0.0.1] T=1{C=1{A=a{M{ST=1{L{v=0\r\na=x:{1\\}2\r\n},R{}}}}}}");
    const struct epc_h248_node *s = &m->transaction->action->command->descriptor->child[0];
    assert_true(epc_str_eqc(epc_h248_child(s, EPC_H248_LOCAL)->text, "v=0\r\na=x:{1}2\r\n"));
    assert_true(epc_h248_child(s, EPC_H248_REMOTE)->braces);
    assert_int_equal(epc_h248_child(s, EPC_H248_REMOTE)->text.n, 0);
    char *out = printed(m, EPC_H248_PRETTY);
    assert_non_null(strstr(out, "{1\\}2"));
    free(out);
    epc_h248_free(m);
}

static void faults(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned code, line;
        int64_t transaction; /* -1: none */
    } rows[] = {
        {"", 400, 1, -1},
        {"hello", 400, 1, -1},
        {"MEGACO/4 [10.0.0.1] Transaction = 1 { Context = - { Notify = a } }", 406, 1, -1},
        {"MEGACO/0 [10.0.0.1] Transaction = 1 { Context = - { Notify = a } }", 406, 1, -1},
        {"MEGACO/2 [10.0.0.300] Transaction = 1 { Context = - { Notify = a } }", 400, 1, -1},
        {"MEGACO/2 [10.0.0.1]:99999 Transaction = 1 { Context = - { Notify = a } }", 400, 1, -1},
        {"MEGACO/2 [10.0.0.1]", 400, 1, -1},
        {"MEGACO/2 [10.0.0.1] Nothing = 1", 401, 1, -1},
        {"MEGACO/2 [10.0.0.1]\nTransaction = 4294967296 { Context = - { Notify = a } }", 403, 2, -1},
        {"MEGACO/2 [10.0.0.1]\nTransaction = 5 {\n  Contest = - { Notify = a } }", 421, 3, 5},
        {"MEGACO/2 [10.0.0.1]\nTransaction = 5 { Context = x { Notify = a } }", 410, 2, 5},
        {"MEGACO/2 [10.0.0.1]\nTransaction = 5 { Context = 1 { Nottify = a } }", 443, 2, 5},
        {"MEGACO/2 [10.0.0.1]\nTransaction = 5 { Context = 1 { Notify { } } }", 442, 2, 5},
        {"MEGACO/2 [10.0.0.1]\nTransaction = 5 { Context = 1 { Add = a { Medium { } } } }", 444, 2, 5},
        {"MEGACO/2 [10.0.0.1]\nTransaction = 5 { Context = 1 { Add = a { Media { LocalControl { Moode = x } } } } }", 445,
         2, 5},
        {"MEGACO/2 [10.0.0.1]\nTransaction = 5 { Context = 1 { Add = a { Media { Local { v=0", 442, 2, 5},
        {"MEGACO/2 [10.0.0.1]\nTransaction = 5 { Context = 1 { Add = a { Events = 1 { g/cause ", 442, 2, 5},
        {"MEGACO/2 [10.0.0.1] Transaction = 5 { Context = 1 { Notify = a } } Reply = x { }", 403, 1, -1},
        {"MEGACO/2 [10.0.0.1] Reply = 5 { Error = many { } }", 403, 1, -1},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++) {
        struct epc_h248_message *m = NULL;
        struct epc_h248_fault f;
        enum epc_err err = epc_h248_parse(&m, epc_str_c(rows[i].text), &f);
        if (err != EPC_EPROTO || m || f.code != rows[i].code || f.line != rows[i].line ||
            f.has_transaction != (rows[i].transaction >= 0) ||
            (f.has_transaction && f.transaction != (uint32_t)rows[i].transaction) || !*f.why)
            fail_msg("%s: %s %u at %u:%u '%s'", rows[i].text, epc_err_name(err), f.code, f.line, f.column, f.why);
    }
}

static void limits(void **state)
{
    (void)state;
    struct epc_buf b = {0};
    struct epc_h248_message *m = NULL;
    struct epc_h248_fault f;
    epc_buf_adds(&b, "!/2 [10.0.0.1] T=1{C=1{A=a{SG{a/b");
    for (int i = 0; i < 1000; i++)
        epc_buf_adds(&b, "{x");
    assert_int_equal(epc_h248_parse(&m, (struct epc_str){b.p, b.n}, &f), EPC_ELIMIT);
    b.n = 0;
    epc_buf_adds(&b, "!/2 [10.0.0.1] T=1{C=1{A=a{PG{a");
    for (int i = 0; i < 30000; i++)
        epc_buf_adds(&b, ",a");
    assert_int_equal(epc_h248_parse(&m, (struct epc_str){b.p, b.n}, &f), EPC_ELIMIT);
    b.n = 0;
    epc_buf_adds(&b, "!/2 [10.0.0.1] T=1{C=1{A=a{M{L{");
    for (int i = 0; i < 70000; i++)
        epc_buf_adds(&b, "x");
    assert_int_equal(epc_h248_parse(&m, (struct epc_str){b.p, b.n}, &f), EPC_ELIMIT);
    assert_null(m);
    epc_buf_free(&b);
}

static void what_cannot_be_written(void **state)
{
    (void)state;
    struct epc_h248_message *m = parsed("!/2 [10.0.0.1] T=1{C=1{A=a{SG{a/b{x=1}}}}}");
    struct epc_buf b = {0};
    struct epc_h248_value *v = m->transaction->action->command->descriptor->child->child->value;
    v->text = epc_str_c("two words");
    char *out = printed(m, EPC_H248_COMPACT);
    assert_non_null(strstr(out, "x=\"two words\""));
    free(out);
    v->text = epc_str_c("a\"b");
    assert_int_equal(epc_h248_print(m, EPC_H248_COMPACT, &b), EPC_EINVAL);
    v->text = epc_str_c("1");
    m->transaction->action->command->termination[0] = epc_str_c("a b");
    assert_int_equal(epc_h248_print(m, EPC_H248_COMPACT, &b), EPC_EINVAL);
    assert_int_equal(b.n, 0);
    epc_h248_free(m);
}

static void only_actions(void **state)
{
    (void)state;
    struct epc_h248_message *m = NULL;
    struct epc_h248_fault f;
    assert_int_equal(epc_h248_parse_actions(&m, epc_str_c("Context = $ { Add = a }, Context = 1 { Subtract = b }"), 2, &f),
                     EPC_OK);
    assert_int_equal(m->transaction->n_actions, 2);
    m->transaction->id = 12;
    assert_int_equal(epc_h248_mid_parse(epc_str_c("[10.0.0.9]:2944"), &m->mid), EPC_OK);
    char *out = printed(m, EPC_H248_COMPACT);
    assert_string_equal(out, "!/2 [10.0.0.9]:2944\nT=12{C=${A=a},C=1{S=b}}");
    free(out);
    epc_h248_free(m);
    assert_int_equal(epc_h248_parse_actions(&m, epc_str_c("Context = $ { Add = a } x"), 2, &f), EPC_EPROTO);
}

static void identifiers(void **state)
{
    (void)state;
    struct epc_h248_mid a, b;
    assert_int_equal(epc_h248_mid_parse(epc_str_c("[2001:db8::1]:2944"), &a), EPC_OK);
    assert_int_equal(epc_h248_mid_parse(epc_str_c(" [2001:0db8:0::0001]:2944 "), &b), EPC_OK);
    assert_true(epc_h248_mid_eq(&a, &b));
    assert_int_equal(epc_h248_mid_parse(epc_str_c("[2001:db8::1]"), &b), EPC_OK);
    assert_false(epc_h248_mid_eq(&a, &b));
    static const char *const bad[] = {"", "[1.2.3]", "[1.2.3.4", "<>", "<a b>", "[1.2.3.4]:0", "MTP{xy}", "[1.2.3.4] x"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++)
        assert_int_equal(epc_h248_mid_parse(epc_str_c(bad[i]), &a), EPC_EPROTO);
    /* An address that is another one to whoever stops at the NUL. */
    assert_int_equal(epc_h248_mid_parse(EPC_STR("[1.2.3.4\0.5]"), &a), EPC_EPROTO);
}

static void masked(void **state)
{
    (void)state;
    static const char text[] = "T=1{L{v=0\na=ice-ufrag:abcd\na=ice-pwd:secret1\r\n a=crypto:1 x inline:secret2\nk=secret3\n},"
                               "R{a=ice-pwd:secret4\n}}";
    struct epc_buf b = {0};
    epc_h248_mask(epc_str_c(text), &b);
    assert_null(strstr(b.p, "secret"));
    assert_non_null(strstr(b.p, "a=ice-ufrag:abcd"));
    assert_non_null(strstr(b.p, "a=ice-pwd:***\r\n"));
    epc_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples),     cmocka_unit_test(add_pair),
        cmocka_unit_test(spellings),    cmocka_unit_test(compact_is_compact),
        cmocka_unit_test(descriptions), cmocka_unit_test(faults),
        cmocka_unit_test(limits),       cmocka_unit_test(what_cannot_be_written),
        cmocka_unit_test(only_actions), cmocka_unit_test(identifiers),
        cmocka_unit_test(masked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
