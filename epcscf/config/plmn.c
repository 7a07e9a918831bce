/* PLMN identities and what the table of networks writes of them (TS 23.003 2.2). */
#include "config/config.h"

#include <string.h>

static bool digits(struct epc_str s, size_t n, uint16_t *out)
{
    unsigned v = 0;
    if (s.n != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (unsigned)(s.p[i] - '0');
    }
    *out = (uint16_t)v;
    return true;
}

bool epc_plmn_parse(struct epc_str text, struct epc_plmn *out)
{
    struct epc_plmn p = {.given = true};
    if (text.n < 3 || !digits((struct epc_str){text.p, 3}, 3, &p.mcc))
        return false;
    struct epc_str mnc = {text.p + 3, text.n - 3};
    if (mnc.n > 0 && mnc.p[0] == '-') {
        mnc = (struct epc_str){mnc.p + 1, mnc.n - 1};
        if (mnc.n == 0)
            return false;
    }
    if (mnc.n != 0 && !(mnc.n == 2 || mnc.n == 3))
        return false;
    if (mnc.n && !digits(mnc, mnc.n, &p.mnc))
        return false;
    p.mnc_digits = (uint8_t)mnc.n;
    *out = p;
    return true;
}

const char *epc_plmn_range_parse(struct epc_str text, struct epc_plmn_range *out)
{
    struct epc_plmn_range r = {0};
    if (epc_str_eqc(text, "default")) {
        *out = r;
        return NULL;
    }
    struct epc_str last = text;
    for (size_t i = 0; i + 1 < text.n; i++) {
        if (text.p[i] == '.' && text.p[i + 1] == '.') {
            text.n = i;
            last = (struct epc_str){last.p + i + 2, last.n - i - 2};
            break;
        }
    }
    if (!epc_plmn_parse(text, &r.first) || !epc_plmn_parse(last, &r.last))
        return "is no PLMN; write MCC and MNC (5 or 6 digits, or 262-01), the MCC alone, a range "
               "(262-01..262-09) or default";
    if (r.first.mcc != r.last.mcc || r.first.mnc_digits != r.last.mnc_digits)
        return "is no range; its ends need the same MCC and MNCs of the same length";
    if (r.first.mnc > r.last.mnc || (text.p != last.p && !r.first.mnc_digits))
        return "is no range; write the lower MNC first, and MCCs alone without ..";
    *out = r;
    return NULL;
}

static bool inside(const struct epc_plmn_range *r, unsigned mnc, unsigned n)
{
    return r->first.mnc_digits == n && mnc >= r->first.mnc && mnc <= r->last.mnc;
}

unsigned epc_plmn_rank(const struct epc_plmn_range *r, const struct epc_plmn *p)
{
    if (!r->first.given || !p->given || r->first.mcc != p->mcc)
        return 0;
    if (!r->first.mnc_digits)
        return 1;
    bool single = r->first.mnc == r->last.mnc;
    if (inside(r, p->mnc, p->mnc_digits))
        return single ? 5 : 4;
    /* 01 and 001 are the same network unless the table says otherwise with a row for each. */
    if (p->mnc < 100 && p->mnc_digits && inside(r, p->mnc, p->mnc_digits == 2 ? 3 : 2))
        return single ? 3 : 2;
    return 0;
}

bool epc_plmn_ranges_overlap(const struct epc_plmn_range *a, const struct epc_plmn_range *b)
{
    return a->first.given && b->first.given && a->first.mcc == b->first.mcc &&
           a->first.mnc_digits == b->first.mnc_digits && a->first.mnc <= b->last.mnc &&
           b->first.mnc <= a->last.mnc;
}

bool epc_plmn_ranges_equal(const struct epc_plmn_range *a, const struct epc_plmn_range *b)
{
    if (!a->first.given || !b->first.given)
        return a->first.given == b->first.given;
    return a->first.mcc == b->first.mcc && a->first.mnc_digits == b->first.mnc_digits &&
           a->first.mnc == b->first.mnc && a->last.mnc == b->last.mnc;
}
