/* Documents about registrations (RFC 3680): what is read from them, and what is refused. */
#include "registration/reginfo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define HEAD "<?xml version=\"1.0\"?><reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" "

static enum epc_err parse(struct reginfo **info, const char *text)
{
    const char *why = NULL;
    enum epc_err err = reginfo_parse(info, text, strlen(text), &why);
    assert_true((err == EPC_OK) == (why == NULL));
    return err;
}

static void whole_document(void **state)
{
    struct reginfo *info = NULL;
    (void)state;
    assert_int_equal(
        parse(&info,
              HEAD "xmlns:gr=\"urn:ietf:params:xml:ns:gruuinfo\" version=\"12\" state=\"full\">"
                   "<registration aor=\"sip:alice@ims.test\" id=\"1\" state=\"active\">"
                   "<contact id=\"c1\" state=\"active\" event=\"shortened\" expires=\"300\" retry-after=\"7\">"
                   "<uri>\n sip:a@k1.invalid;transport=ws </uri><display-name>A<b/>C</display-name>"
                   "<unknown-param name=\"+sip.instance\">\"&lt;urn:uuid:1&gt;\"</unknown-param>"
                   "<unknown-param name=\"other\">x</unknown-param>"
                   "<unknown-param name=\"reg-id\">\"2\"</unknown-param>"
                   "<gr:pub-gruu uri=\"sip:alice@ims.test;gr=1\"/></contact>"
                   "<future><uri>sip:not@this</uri></future>"
                   "<contact id=\"c2\" state=\"terminated\" event=\"rejected\"><uri>sip:b@c</uri></contact>"
                   "</registration>"
                   "<registration aor=\"tel:+1\" id=\"2\" state=\"terminated\"/></reginfo>"),
        EPC_OK);
    assert_int_equal(info->version, 12);
    assert_true(info->full);
    assert_int_equal(info->n_registrations, 2);
    const struct reginfo_registration *reg = &info->registrations[0];
    assert_string_equal(reg->aor, "sip:alice@ims.test");
    assert_int_equal(reg->state, REGINFO_ACTIVE);
    assert_int_equal(reg->n_contacts, 2);
    assert_string_equal(reg->contacts[0].uri, "sip:a@k1.invalid;transport=ws");
    assert_string_equal(reg->contacts[0].instance, "urn:uuid:1");
    assert_string_equal(reg->contacts[0].reg_id, "2");
    assert_int_equal(reg->contacts[0].event, REGINFO_EV_SHORTENED);
    assert_true(reg->contacts[0].has_expires);
    assert_int_equal(reg->contacts[0].expires_s, 300);
    assert_int_equal(reg->contacts[0].retry_after_s, 7);
    assert_null(reg->contacts[1].instance);
    assert_false(reg->contacts[1].has_expires);
    assert_int_equal(reg->contacts[1].state, REGINFO_TERMINATED);
    assert_int_equal(reg->contacts[1].event, REGINFO_EV_REJECTED);
    assert_int_equal(info->registrations[1].state, REGINFO_TERMINATED);
    reginfo_free(info);
}

static void every_event(void **state)
{
    (void)state;
    for (int ev = 0; ev < REGINFO_EVENTS; ev++) {
        char text[512];
        struct reginfo *info = NULL;
        snprintf(text, sizeof text,
                 HEAD "version=\"0\" state=\"partial\"><registration aor=\"sip:a@b\" state=\"active\">"
                      "<contact state=\"active\" event=\"%s\"><uri>sip:x@y</uri></contact>"
                      "</registration></reginfo>",
                 reginfo_event_name((enum reginfo_event)ev));
        assert_int_equal(parse(&info, text), EPC_OK);
        assert_false(info->full);
        assert_int_equal(info->registrations[0].contacts[0].event, ev);
        reginfo_free(info);
    }
}

static void refused(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "<reginfo version=\"1\" state=\"full\"/>", /* not in the namespace */
        "<presence xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"1\" state=\"full\"/>",
        HEAD "state=\"full\"/>",
        HEAD "version=\"-1\" state=\"full\"/>",
        HEAD "version=\"1\"/>",
        HEAD "version=\"1\" state=\"half\"/>",
        HEAD "version=\"1\" state=\"full\">",
        HEAD "version=\"1\" state=\"full\"><registration state=\"active\"/></reginfo>",
        HEAD "version=\"1\" state=\"full\"><registration aor=\"sip:a@b\"/></reginfo>",
        HEAD "version=\"1\" state=\"full\"><registration aor=\"sip:a@b\" state=\"active\">"
             "<contact state=\"active\" event=\"dancing\"><uri>sip:x@y</uri></contact></registration></reginfo>",
        HEAD "version=\"1\" state=\"full\"><registration aor=\"sip:a@b\" state=\"active\">"
             "<contact state=\"active\" event=\"created\"/></registration></reginfo>",
        "<!DOCTYPE r [<!ENTITY a \"1\">]><reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"&a;\" "
        "state=\"full\"/>",
        "<!DOCTYPE r SYSTEM \"file:///etc/passwd\"><reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" "
        "version=\"1\" state=\"full\"/>",
    };
    (void)state;
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++) {
        struct reginfo *info = NULL;
        assert_int_equal(parse(&info, bad[i]), EPC_EPROTO);
        assert_null(info);
    }
}

static char *repeated(const char *head, const char *part, size_t times, const char *tail)
{
    struct epc_buf b = {0};
    epc_buf_adds(&b, head);
    for (size_t i = 0; i < times; i++)
        epc_buf_adds(&b, part);
    epc_buf_adds(&b, tail);
    return epc_buf_take(&b, NULL);
}

static void limits(void **state)
{
    static const struct {
        const char *head, *part, *tail;
        size_t most;
    } kinds[] = {
        {HEAD "version=\"1\" state=\"full\">", "<registration aor=\"sip:a@b\" state=\"active\"/>", "</reginfo>",
         REGINFO_REGISTRATIONS_MAX},
        {HEAD "version=\"1\" state=\"full\"><registration aor=\"sip:a@b\" state=\"active\">",
         "<contact state=\"active\" event=\"created\"><uri>sip:x@y</uri></contact>",
         "</registration></reginfo>", REGINFO_CONTACTS_MAX},
        {HEAD "version=\"1\" state=\"full\"><registration aor=\"sip:a@b\" state=\"active\">"
              "<contact state=\"active\" event=\"created\"><uri>",
         "y", "</uri></contact></registration></reginfo>", REGINFO_TEXT_MAX},
        {HEAD "version=\"1\" state=\"full\"><!--", "y", "--></reginfo>", REGINFO_OCTETS_MAX - 150},
    };
    (void)state;
    for (size_t i = 0; i < EPC_ARRAY_LEN(kinds); i++) {
        struct reginfo *info = NULL;
        char *fits = repeated(kinds[i].head, kinds[i].part, kinds[i].most, kinds[i].tail);
        char *too_many = repeated(kinds[i].head, kinds[i].part, kinds[i].most + 100, kinds[i].tail);
        assert_int_equal(parse(&info, fits), EPC_OK);
        reginfo_free(info);
        info = NULL;
        assert_int_equal(parse(&info, too_many), EPC_ELIMIT);
        assert_null(info);
        free(fits);
        free(too_many);
    }
    struct reginfo *info = NULL;
    char *deep = repeated(HEAD "version=\"1\" state=\"full\">", "<x>", 40, "");
    assert_int_equal(parse(&info, deep), EPC_ELIMIT);
    free(deep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_document),
        cmocka_unit_test(every_event),
        cmocka_unit_test(refused),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
