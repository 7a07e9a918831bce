/* Messages that browsers and IMS cores really send: parse, print, parse again, cross the edge. */
#include "cm.h"
#include "sip/sip_priv.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder = EPC_TEST_DIR "/golden/sip/messages";

static char *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *p = malloc(65536);
    assert_non_null(p);
    *n = fread(p, 1, 65536, f);
    fclose(f);
    return p;
}

static void one(const char *name, const char *p, size_t n)
{
    msg_t *m = epc_sip_parse(p, n);
    if (!m)
        fail_msg("%s does not parse", name);
    const sip_t *sip = (const sip_t *)(void *)msg_object(m);
    if (sip->sip_error)
        fail_msg("%s: bad header %s", name, sip->sip_error->er_name);
    size_t n1, n2;
    char *t1 = epc_sip_text(m, &n1);
    assert_non_null(t1);
    msg_t *again = epc_sip_parse(t1, n1);
    assert_non_null(again);
    char *t2 = epc_sip_text(again, &n2);
    assert_non_null(t2);
    if (n1 != n2 || memcmp(t1, t2, n1) != 0)
        fail_msg("%s changes when printed twice", name);
    /* The body is untouched by printing. */
    struct epc_str s1 = epc_sip_sdp(sip);
    if (s1.p)
        assert_non_null(memmem(t1, n1, s1.p, s1.n));
    bool req = sip->sip_request != NULL;
    epc_sip_policy_apply(m, req ? EPC_DIR_WIC_REQ : EPC_DIR_WIC_RESP);
    epc_sip_policy_apply(again, req ? EPC_DIR_CORE_REQ : EPC_DIR_CORE_RESP);
    assert_null(epc_sip_get(m, "P-Asserted-Identity", 0).p);
    free(t1);
    free(t2);
    msg_destroy(m);
    msg_destroy(again);
}

static void all(void **state)
{
    unsigned count = 0;
    (void)state;
    const char *more = getenv("EPC_SIP_MESSAGES"); /* a further folder, for captures not kept here */
    DIR *d = opendir(more ? more : folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char path[1000];
        size_t n;
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", more ? more : folder, e->d_name);
        char *p = slurp(path, &n);
        one(e->d_name, p, n);
        free(p);
        count++;
    }
    closedir(d);
    assert_true(count >= 20);
}

/* Parameters that are added to a copy's field leave the fields beside it alone, however many there were. */
static void parameters_of_a_copy(void **state)
{
    (void)state;
    for (int n = 1; n < 20; n++) {
        char text[2048], param[32];
        int at = snprintf(text, sizeof text,
                          "REGISTER sip:ims.test SIP/2.0\r\nVia: SIP/2.0/WSS x.invalid;branch=z9hG4bK1\r\n"
                          "From: <sip:a@ims.test>;tag=1\r\nTo: <sip:a@ims.test>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n"
                          "Max-Forwards: 70\r\nContact: <sip:a@x.invalid>\r\nAuthorization: Digest p0=v");
        for (int i = 1; i < n; i++)
            at += snprintf(text + at, sizeof text - (size_t)at, ", p%d=v", i);
        at += snprintf(text + at, sizeof text - (size_t)at, "\r\nContent-Length: 0\r\n\r\n");
        msg_t *msg = epc_sip_parse(text, (size_t)at);
        assert_non_null(msg);
        msg_t *copy = epc_sip_copy(msg);
        assert_non_null(copy);
        sip_t *sip = (sip_t *)(void *)msg_object(copy);
        size_t before_n, after_n;
        char *before = epc_sip_text(copy, &before_n);
        for (int i = 0; i < 9; i++) {
            snprintf(param, sizeof param, "q%d=w", i);
            char *own = su_strdup(msg_home(copy), param);
            assert_true(msg_header_replace_param(msg_home(copy), sip->sip_authorization->au_common, own) >= 0);
        }
        char *after = epc_sip_text(copy, &after_n);
        assert_non_null(before);
        assert_non_null(after);
        assert_int_equal(after_n, before_n + 9 * strlen(", q0=w"));
        assert_non_null(strstr(after, "p0=v"));
        assert_non_null(strstr(after, "q0=w, q1=w, q2=w, q3=w, q4=w, q5=w, q6=w, q7=w, q8=w\r\n"));
        assert_non_null(strstr(after, "Contact: <sip:a@x.invalid>\r\n"));
        free(before);
        free(after);
        msg_destroy(copy);
        msg_destroy(msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all), cmocka_unit_test(parameters_of_a_copy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
