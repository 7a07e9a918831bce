/* Where the UE is, from octets of the packet core to a network-provided P-Access-Network-Info.
 * Spec: TS 24.229 7.2A.4; TS 29.061 16.4.7.2 and TS 29.274 8.21 (location), TS 29.060 7.7.52 (time zone),
 * TS 29.274 8.100 (TWAN). What is not understood is left out. */
#include "rx_priv.h"

#include <string.h>

/* Geographic Location Type of 3GPP-User-Location-Info. */
enum { LOC_CGI = 0, LOC_SAI = 1, LOC_RAI = 2, LOC_TAI = 128, LOC_ECGI = 129, LOC_TAI_ECGI = 130,
       LOC_NCGI = 135, LOC_5GS_TAI = 136, LOC_5GS_TAI_NCGI = 137 };
enum { RAT_WLAN = 0, RAT_UTRAN = 1000, RAT_GERAN = 1001, RAT_HSPA = 1003, RAT_EUTRAN = 1004, RAT_NR = 1006 };

struct octets {
    const uint8_t *p;
    size_t n;
};

static struct octets octets_of(struct epc_str s)
{
    return (struct octets){(const uint8_t *)(const void *)s.p, s.n};
}

/* MCC and MNC, three octets of nibbles (TS 24.008 10.5.1.3). @return false: no digits. */
static bool plmn(const uint8_t *p, char out[8])
{
    unsigned d[6] = {p[0] & 15u, p[0] >> 4, p[1] & 15u, p[2] & 15u, p[2] >> 4, p[1] >> 4};
    size_t n = d[5] == 15 ? 5 : 6;
    for (size_t i = 0; i < n; i++) {
        if (d[i] > 9)
            return false;
        out[i] = (char)('0' + d[i]);
    }
    out[n] = '\0';
    return true;
}

static uint64_t number(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* ";cgi-3gpp=..." and the like, "" when there is no cell in it. */
static void put_cell(struct octets l, struct epc_buf *b)
{
    char id[8];
    if (l.n < 4 || !plmn(l.p + 1, id))
        return;
    const uint8_t *v = l.p + 4;
    size_t n = l.n - 4;
    switch (l.p[0]) {
    case LOC_CGI: /* LAC, CI */
        if (n == 4)
            epc_buf_printf(b, ";cgi-3gpp=%s%04x%04x", id, (unsigned)number(v, 2), (unsigned)number(v + 2, 2));
        break;
    case LOC_SAI: /* LAC, SAC */
        if (n == 4)
            epc_buf_printf(b, ";utran-sai-3gpp=%s%04x%04x", id, (unsigned)number(v, 2),
                           (unsigned)number(v + 2, 2));
        break;
    case LOC_TAI_ECGI: /* TAI: PLMN, TAC; ECGI: PLMN, 4 bits spare, 28 bits ECI */
        if (n == 9 && plmn(v + 2, id))
            epc_buf_printf(b, ";utran-cell-id-3gpp=%s%04x%07x", id, (unsigned)number(v, 2),
                           (unsigned)number(v + 5, 4) & 0x0fffffffu);
        break;
    case LOC_5GS_TAI_NCGI: /* TAI: PLMN, 24 bits TAC; NCGI: PLMN, 4 bits spare, 36 bits NCI */
        if (n == 11 && plmn(v + 3, id))
            epc_buf_printf(b, ";utran-cell-id-3gpp=%s%06x%09llx", id, (unsigned)number(v, 3),
                           (unsigned long long)(number(v + 6, 5) & 0xfffffffffULL));
        break;
    }
}

/* Flags, SSID with its length, BSSID if flag 1 is set. */
static void put_access_point(struct octets t, struct epc_buf *b)
{
    size_t at = t.n > 1 ? 2 + (size_t)t.p[1] : t.n;
    if (t.n < 2 || !(t.p[0] & 1) || at + 6 > t.n)
        return;
    epc_buf_printf(b, ";i-wlan-node-id=%012llx", (unsigned long long)number(t.p + at, 6));
}

/* Quarters of an hour, tens and units swapped, bit 3 of the first octet is the sign. */
static void put_time_zone(struct octets z, struct epc_buf *b)
{
    if (z.n < 1 || (z.p[0] & 7) > 7 || z.p[0] >> 4 > 9)
        return;
    unsigned quarters = (z.p[0] & 7u) * 10 + (z.p[0] >> 4);
    if (quarters > 14 * 4)
        return;
    epc_buf_printf(b, ";local-time-zone=\"UTC%c%02u:%02u\"", z.p[0] & 8 ? '-' : '+', quarters / 4,
                   quarters % 4 * 15);
    if (z.n > 1 && (z.p[1] & 3) < 3)
        epc_buf_printf(b, ";daylight-saving-time=\"%02u\"", z.p[1] & 3u);
}

/* The network knows no more of a cell than its kind: a class, not a type. Without RAT-Type the location
 * tells, and the IP-CAN last. */
static const char *access_class(const struct rx_netinfo *n)
{
    struct octets l = octets_of(n->user_location);
    switch (n->rat_type) {
    case RAT_WLAN:
        return n->twan.p ? "IEEE-802.11" : "3GPP-WLAN";
    case RAT_UTRAN:
        return "3GPP-UTRAN";
    case RAT_HSPA:
        return "3GPP-HSPA";
    case RAT_GERAN:
        return "3GPP-GERAN";
    case RAT_EUTRAN:
        return "3GPP-E-UTRAN";
    case RAT_NR:
        return "3GPP-NR";
    }
    if (l.n > 0)
        switch (l.p[0]) {
        case LOC_CGI:
            return "3GPP-GERAN";
        case LOC_SAI:
            return "3GPP-UTRAN";
        case LOC_TAI:
        case LOC_ECGI:
        case LOC_TAI_ECGI:
            return "3GPP-E-UTRAN";
        case LOC_NCGI:
        case LOC_5GS_TAI:
        case LOC_5GS_TAI_NCGI:
            return "3GPP-NR";
        }
    return n->twan.p ? "IEEE-802.11" : NULL;
}

void rx_netinfo_text(const struct rx_netinfo *n, bool zone, char *out, size_t size)
{
    const char *class = access_class(n);
    struct epc_buf b = {0};
    if (size)
        out[0] = '\0';
    if (!class)
        return;
    epc_buf_adds(&b, class);
    if (n->user_location.p)
        put_cell(octets_of(n->user_location), &b);
    if (n->twan.p)
        put_access_point(octets_of(n->twan), &b);
    if (zone && n->time_zone.p)
        put_time_zone(octets_of(n->time_zone), &b);
    epc_buf_adds(&b, ";network-provided");
    if (!b.failed && b.n < size)
        memcpy(out, b.p, b.n + 1);
    epc_buf_free(&b);
}
