#include "auth/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *const rows[][2] = {
    {"sip:alice@ims.test", "sip:alice@ims.test"},
    {"SIP:Alice@IMS.Test:5060;transport=ws", "sip:Alice@ims.test"},
    {"sip:%61lice@ims.test", "sip:alice@ims.test"},
    {"sip:a%2fb@ims.test", "sip:a%2Fb@ims.test"},
    {"sip:+15550001@ims.test;user=phone", "sip:+15550001@ims.test"},
    {"sip:a@[2001:DB8::1]:5060", "sip:a@[2001:db8::1]"},
    {"sip:a@[2001:DB8::1]", "sip:a@[2001:db8::1]"},
    {"tel:+1-555-(000).1;ext=5", "tel:+15550001"},
    {"TEL:+15550001", "tel:+15550001"},
    {"tel:5550001;phone-context=x", NULL},
    {"tel:+", NULL},
    {"tel:+12x", NULL},
    {"sips:alice@ims.test", NULL},
    {"sip:ims.test", NULL},
    {"sip:@ims.test", NULL},
    {"sip:alice@", NULL},
    {"sip:alice:secret@ims.test", NULL},
    {"sip:alice@ims.test?Subject=x", NULL},
    {"sip:alice@ims.test:99999", NULL},
    {"sip:alice@ims.test:", NULL},
    {"sip:a%4", NULL},
    {"sip:a%zz@ims.test", NULL},
    {"sip:a b@ims.test", NULL},
    {"sip:a@b@c", NULL},
    {"sip:a@ims\"test", NULL},
    {"mailto:a@b", NULL},
    {"", NULL},
};

static void canonical_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++) {
        char *c = epc_auth_canonical_impu(epc_str_c(rows[i][0]));
        if (!c != !rows[i][1] || (c && strcmp(c, rows[i][1]) != 0))
            fail_msg("'%s' became '%s'", rows[i][0], c ? c : "NULL");
        free(c);
    }
    assert_null(epc_auth_canonical_impu(EPC_STR_NULL));
    assert_null(epc_auth_canonical_impu((struct epc_str){"sip:a\0b@c", 9}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(canonical_form)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
