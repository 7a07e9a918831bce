/* Location octets of the packet core to P-Access-Network-Info. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rx_priv.h"

#include <stdlib.h>
#include <string.h>

#define OCTETS(lit) ((struct epc_str){lit, sizeof(lit) - 1})

static void same(const struct rx_netinfo *n, bool zone, const char *want)
{
    char text[256];
    rx_netinfo_text(n, zone, text, sizeof text);
    assert_string_equal(text, want);
}

static void each_kind_of_cell(void **state)
{
    (void)state;
    const struct {
        int32_t rat;
        struct epc_str location;
        const char *want;
    } kind[] = {
        /* TAI 262-01 TAC 0x1234, ECGI 262-01 ECI 0xabcdef1 */
        {1004, OCTETS("\x82\x62\xf2\x10\x12\x34\x62\xf2\x10\x0a\xbc\xde\xf1"),
         "3GPP-E-UTRAN;utran-cell-id-3gpp=262011234abcdef1;network-provided"},
        /* an MNC of three digits: 310-410 */
        {1004, OCTETS("\x82\x13\x00\x14\x00\x07\x13\x00\x14\x01\x23\x45\x67"),
         "3GPP-E-UTRAN;utran-cell-id-3gpp=31041000071234567;network-provided"},
        /* without RAT-Type the location tells */
        {-1, OCTETS("\x82\x62\xf2\x10\x12\x34\x62\xf2\x10\x0a\xbc\xde\xf1"),
         "3GPP-E-UTRAN;utran-cell-id-3gpp=262011234abcdef1;network-provided"},
        {1001, OCTETS("\x00\x62\xf2\x10\x00\x01\xbe\xef"), "3GPP-GERAN;cgi-3gpp=262010001beef;network-provided"},
        {1000, OCTETS("\x01\x62\xf2\x10\x00\x01\xbe\xef"),
         "3GPP-UTRAN;utran-sai-3gpp=262010001beef;network-provided"},
        /* 5GS TAI (24 bits TAC) and NCGI (36 bits) */
        {1006, OCTETS("\x89\x62\xf2\x10\x00\x12\x34\x62\xf2\x10\x0a\xbc\xde\xf0\x12"),
         "3GPP-NR;utran-cell-id-3gpp=26201001234abcdef012;network-provided"},
        /* a location that says nothing of a cell */
        {1004, OCTETS("\x80\x62\xf2\x10\x12\x34"), "3GPP-E-UTRAN;network-provided"},
        {1003, EPC_STR_NULL, "3GPP-HSPA;network-provided"},
        {0, EPC_STR_NULL, "3GPP-WLAN;network-provided"},
        {-1, EPC_STR_NULL, ""},
        {4711, EPC_STR_NULL, ""},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(kind); i++) {
        struct rx_netinfo n = {.ip_can_type = -1, .rat_type = kind[i].rat, .user_location = kind[i].location};
        same(&n, false, kind[i].want);
    }
}

static void wireless_lan(void **state)
{
    (void)state;
    struct rx_netinfo n = {.ip_can_type = 6, .rat_type = 0,
                           .twan = OCTETS("\x01\x03lan\x00\xa0\xf3\xb4\xc5\xd6")};
    same(&n, false, "IEEE-802.11;i-wlan-node-id=00a0f3b4c5d6;network-provided");
    n.twan = OCTETS("\x00\x03lan"); /* no BSSID */
    same(&n, false, "IEEE-802.11;network-provided");
    n.twan = OCTETS("\x01\xfflan"); /* a length that lies */
    same(&n, false, "IEEE-802.11;network-provided");
}

static void time_zone_only_if_wanted(void **state)
{
    (void)state;
    struct rx_netinfo n = {.ip_can_type = 5, .rat_type = 1004, .time_zone = OCTETS("\x80\x01")};
    same(&n, false, "3GPP-E-UTRAN;network-provided");
    same(&n, true, "3GPP-E-UTRAN;local-time-zone=\"UTC+02:00\";daylight-saving-time=\"01\";network-provided");
    n.time_zone = OCTETS("\x4a\x00"); /* minus 24 quarters */
    same(&n, true, "3GPP-E-UTRAN;local-time-zone=\"UTC-06:00\";daylight-saving-time=\"00\";network-provided");
    n.time_zone = OCTETS("\xff\xff");
    same(&n, true, "3GPP-E-UTRAN;network-provided");
}

/* Each prefix of each form, each first octet: no more than what is there is read, all digits are digits. */
static void any_octets(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 256; kind++)
        for (size_t n = 0; n < 20; n++)
            for (int fill = 0; fill < 256; fill += 51) {
                char *l = malloc(n ? n : 1), text[64];
                memset(l, fill, n);
                if (n)
                    l[0] = (char)kind;
                struct rx_netinfo i = {.ip_can_type = -1, .rat_type = 1004, .user_location = {l, n},
                                       .time_zone = {l, n}, .twan = {l, n}};
                rx_netinfo_text(&i, true, text, sizeof text);
                for (char *c = text; *c; c++)
                    assert_true(*c > 0x20 && *c < 0x7f);
                free(l);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_cell),
        cmocka_unit_test(wireless_lan),
        cmocka_unit_test(time_zone_only_if_wanted),
        cmocka_unit_test(any_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
