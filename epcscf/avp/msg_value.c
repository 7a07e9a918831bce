/* Values of AVPs as text and back (RFC 6733 4.2, 4.3). What would not come back the same is written as
 * octets: "0x0123". */
#include "avp/msg_priv.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FRAMED_IP_ADDRESS = 8, FRAMED_IPV6_PREFIX = 97 };
/* Seconds from 1900 to 1970, and where the 32 bits begin again in 2036 (RFC 5905 6). */
static const int64_t ntp_epoch = 2208988800, ntp_era = INT64_C(1) << 32;

size_t epc_type_octets(enum epc_avp_type t)
{
    switch (t) {
    case EPC_AVP_INTEGER32:
    case EPC_AVP_UNSIGNED32:
    case EPC_AVP_FLOAT32:
    case EPC_AVP_ENUMERATED:
    case EPC_AVP_TIME:
        return 4;
    case EPC_AVP_INTEGER64:
    case EPC_AVP_UNSIGNED64:
    case EPC_AVP_FLOAT64:
        return 8;
    default:
        return 0;
    }
}

/* Octets of the UTF-8 character at p, 0: none (RFC 3629). */
static size_t utf8(const uint8_t *p, size_t n)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t k = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;
    if (k == 0 || k > n)
        return 0;
    uint32_t c = k == 1 ? p[0] : p[0] & (0xffu >> (k + 1));
    for (size_t i = 1; i < k; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    return c < least[k] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : k;
}

bool epc_is_text(const uint8_t *p, size_t n)
{
    for (size_t i = 0, k; i < n; i += k) {
        k = utf8(p + i, n - i);
        if (k == 0 || p[i] == 0x7f || (p[i] < 0x20 && p[i] != '\n' && p[i] != '\r' && p[i] != '\t'))
            return false;
    }
    return true;
}

/* ---- to text ------------------------------------------------------------------------------------------- */

static uint64_t be64(const uint8_t *p)
{
    return (uint64_t)epc_be32(p) << 32 | epc_be32(p + 4);
}

static bool format_ip(int family, const uint8_t *p, struct epc_buf *out)
{
    char text[INET6_ADDRSTRLEN];
    if (!inet_ntop(family, p, text, sizeof text))
        return false;
    epc_buf_adds(out, text);
    return true;
}

static bool format_address(const struct epc_avp *a, struct epc_buf *out)
{
    if (a->n == 6 && a->data[0] == 0 && a->data[1] == 1)
        return format_ip(AF_INET, a->data + 2, out);
    if (a->n == 18 && a->data[0] == 0 && a->data[1] == 2)
        return format_ip(AF_INET6, a->data + 2, out);
    return false;
}

/* Framed-IPv6-Prefix: a zero, the length, as many octets as it needs (RFC 3162 2.3). */
static bool format_prefix(const struct epc_avp *a, struct epc_buf *out)
{
    uint8_t full[16] = {0};
    if (a->n < 2 || a->n > 18 || a->data[0] != 0 || a->data[1] > 128 || a->n != 2 + (a->data[1] + 7u) / 8)
        return false;
    memcpy(full, a->data + 2, a->n - 2);
    if (!format_ip(AF_INET6, full, out))
        return false;
    epc_buf_printf(out, "/%u", a->data[1]);
    return true;
}

static bool format_time(const struct epc_avp *a, struct epc_buf *out)
{
    int64_t s = (int64_t)epc_be32(a->data);
    time_t t = (time_t)(s - ntp_epoch + (s < ntp_era / 2 ? ntp_era : 0));
    struct tm tm;
    char text[32];
    if (!gmtime_r(&t, &tm) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return false;
    epc_buf_adds(out, text);
    return true;
}

static bool format_real(double v, int digits, struct epc_buf *out)
{
    char text[40];
    if (!isfinite(v))
        return false;
    snprintf(text, sizeof text, "%.*g", digits, v);
    epc_buf_adds(out, text);
    if (!strpbrk(text, ".e")) /* else it would be read as an integer, without the sign of -0 */
        epc_buf_adds(out, ".0");
    return true;
}

static bool format_float(const struct epc_avp *a, struct epc_buf *out)
{
    if (a->n == 4) {
        uint32_t bits = epc_be32(a->data);
        float f;
        memcpy(&f, &bits, sizeof f);
        return format_real((double)f, 9, out);
    }
    uint64_t bits = be64(a->data);
    double f;
    memcpy(&f, &bits, sizeof f);
    return format_real(f, 17, out);
}

static enum epc_value_form format_integer(const struct epc_avp *a, struct epc_buf *out)
{
    bool is_signed = a->dict->type == EPC_AVP_ENUMERATED || a->dict->type == EPC_AVP_INTEGER32 ||
                     a->dict->type == EPC_AVP_INTEGER64;
    uint64_t u = a->n == 4 ? epc_be32(a->data) : be64(a->data);
    int64_t i = a->n == 4 ? (int32_t)(uint32_t)u : (int64_t)u;
    if (!is_signed && u > INT64_MAX) {
        epc_buf_printf(out, "%llu", (unsigned long long)u);
        return EPC_VALUE_TEXT; /* more than an integer of JSON may have */
    }
    const char *name = epc_dict_value_name(a->dict, is_signed ? i : (int64_t)u);
    if (name) {
        epc_buf_adds(out, name);
        return EPC_VALUE_TEXT;
    }
    if (is_signed)
        epc_buf_printf(out, "%lld", (long long)i);
    else
        epc_buf_printf(out, "%llu", (unsigned long long)u);
    return EPC_VALUE_NUMBER;
}

static bool format_text(const struct epc_avp *a, struct epc_buf *out)
{
    if (!epc_is_text(a->data, a->n))
        return false;
    epc_buf_add(out, a->data, a->n);
    return true;
}

static enum epc_value_form format_typed(const struct epc_avp *a, struct epc_buf *out)
{
    size_t octets = epc_type_octets(a->dict->type);
    bool ok;
    if (octets && a->n != octets)
        return EPC_VALUE_OCTETS;
    switch (a->dict->type) {
    case EPC_AVP_INTEGER32:
    case EPC_AVP_INTEGER64:
    case EPC_AVP_UNSIGNED32:
    case EPC_AVP_UNSIGNED64:
    case EPC_AVP_ENUMERATED:
        return format_integer(a, out);
    case EPC_AVP_FLOAT32:
    case EPC_AVP_FLOAT64:
        return format_float(a, out) ? EPC_VALUE_NUMBER : EPC_VALUE_OCTETS;
    case EPC_AVP_ADDRESS:
        ok = format_address(a, out);
        break;
    case EPC_AVP_TIME:
        ok = format_time(a, out);
        break;
    case EPC_AVP_GROUPED:
        ok = false;
        break;
    default:
        if (a->code == FRAMED_IP_ADDRESS && !a->vendor)
            ok = a->n == 4 && format_ip(AF_INET, a->data, out);
        else if (a->code == FRAMED_IPV6_PREFIX && !a->vendor)
            ok = format_prefix(a, out);
        else
            ok = format_text(a, out);
    }
    return ok ? EPC_VALUE_TEXT : EPC_VALUE_OCTETS;
}

/* Does the text give the same octets again? Not if it looks like octets or a variable, or is the name of
 * another thing. */
static bool comes_back(const struct epc_avp *a, struct epc_str text)
{
    struct epc_buf again = {0};
    bool same = !epc_str_starts(text, "$") && epc_value_parse(a->dict, text, &again) == EPC_OK &&
                again.n == a->n && (a->n == 0 || memcmp(again.p, a->data, a->n) == 0);
    epc_buf_free(&again);
    return same;
}

enum epc_value_form epc_value_format(const struct epc_avp *a, struct epc_buf *out)
{
    struct epc_buf text = {0};
    enum epc_value_form form = a->dict ? format_typed(a, &text) : EPC_VALUE_OCTETS;
    if (form == EPC_VALUE_TEXT && !comes_back(a, (struct epc_str){text.p ? text.p : "", text.n}))
        form = EPC_VALUE_OCTETS;
    if (form == EPC_VALUE_OCTETS) {
        epc_buf_adds(out, "0x");
        for (size_t i = 0; i < a->n; i++)
            epc_buf_printf(out, "%02x", a->data[i]);
    } else
        epc_buf_add(out, text.p ? text.p : "", text.n);
    out->failed = out->failed || text.failed;
    epc_buf_free(&text);
    return form;
}

/* ---- from text ------------------------------------------------------------------------------------------- */

static void put(struct epc_buf *out, uint64_t v, size_t n)
{
    uint8_t o[8];
    for (size_t i = 0; i < n; i++)
        o[i] = (uint8_t)(v >> 8 * (n - 1 - i));
    epc_buf_add(out, o, n);
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum epc_err parse_octets(struct epc_str digits, struct epc_buf *out)
{
    if (digits.n % 2)
        return EPC_EPROTO;
    for (size_t i = 0; i < digits.n; i += 2) {
        int high = hex(digits.p[i]), low = hex(digits.p[i + 1]);
        if (high < 0 || low < 0)
            return EPC_EPROTO;
        put(out, (uint64_t)(high << 4 | low), 1);
    }
    return EPC_OK;
}

static enum epc_err parse_ip(struct epc_str s, bool with_family, struct epc_buf *out)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t o[16];
    if (s.n >= sizeof text)
        return EPC_EPROTO;
    snprintf(text, sizeof text, "%.*s", EPC_STR_ARG(s));
    bool v4 = inet_pton(AF_INET, text, o) == 1;
    if (!v4 && (!with_family || inet_pton(AF_INET6, text, o) != 1))
        return EPC_EPROTO;
    if (with_family)
        put(out, v4 ? 1 : 2, 2);
    epc_buf_add(out, o, v4 ? 4 : 16);
    return EPC_OK;
}

static enum epc_err parse_prefix(struct epc_str s, struct epc_buf *out)
{
    struct epc_str host = epc_str_cut(&s, '/');
    char text[INET6_ADDRSTRLEN];
    uint8_t o[16];
    uint64_t bits;
    if (host.n >= sizeof text || epc_str_u64(s, 128, &bits))
        return EPC_EPROTO;
    snprintf(text, sizeof text, "%.*s", EPC_STR_ARG(host));
    if (inet_pton(AF_INET6, text, o) != 1)
        return EPC_EPROTO;
    put(out, bits, 2);
    epc_buf_add(out, o, (bits + 7) / 8);
    return EPC_OK;
}

static enum epc_err parse_time(struct epc_str s, struct epc_buf *out)
{
    struct tm tm = {0};
    char text[32];
    if (s.n >= sizeof text)
        return EPC_EPROTO;
    snprintf(text, sizeof text, "%.*s", EPC_STR_ARG(s));
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (!end || *end)
        return EPC_EPROTO;
    int64_t at = (int64_t)timegm(&tm) + ntp_epoch;
    if (at < 0 || at >= ntp_era + ntp_era / 2)
        return EPC_EPROTO;
    put(out, (uint64_t)at & 0xffffffff, 4);
    return EPC_OK;
}

static enum epc_err parse_integer(const struct epc_dict_avp *dict, struct epc_str s, struct epc_buf *out)
{
    int64_t v;
    uint64_t u;
    if (epc_dict_value(dict, s, &v) == EPC_OK)
        return epc_value_integer(dict, v, out);
    bool minus = epc_str_starts(s, "-");
    if (minus)
        s = (struct epc_str){s.p + 1, s.n - 1};
    if (epc_str_u64(s, UINT64_MAX, &u))
        return EPC_EPROTO;
    if (dict->type == EPC_AVP_UNSIGNED64 && !minus) {
        put(out, u, 8);
        return EPC_OK;
    }
    if (u > INT64_MAX)
        return EPC_EPROTO;
    return epc_value_integer(dict, minus ? -(int64_t)u : (int64_t)u, out);
}

enum epc_err epc_value_parse(const struct epc_dict_avp *dict, struct epc_str s, struct epc_buf *out)
{
    if (epc_str_starts(s, "0x"))
        return parse_octets((struct epc_str){s.p + 2, s.n - 2}, out);
    if (!dict)
        return EPC_EPROTO;
    switch (dict->type) {
    case EPC_AVP_INTEGER32:
    case EPC_AVP_INTEGER64:
    case EPC_AVP_UNSIGNED32:
    case EPC_AVP_UNSIGNED64:
    case EPC_AVP_ENUMERATED:
        return parse_integer(dict, s, out);
    case EPC_AVP_FLOAT32:
    case EPC_AVP_FLOAT64:
    case EPC_AVP_GROUPED:
        return EPC_EPROTO;
    case EPC_AVP_ADDRESS:
        return parse_ip(s, true, out);
    case EPC_AVP_TIME:
        return parse_time(s, out);
    default:
        if (dict->code == FRAMED_IP_ADDRESS && !dict->vendor)
            return parse_ip(s, false, out);
        if (dict->code == FRAMED_IPV6_PREFIX && !dict->vendor)
            return parse_prefix(s, out);
        epc_buf_addstr(out, s);
        return EPC_OK;
    }
}

enum epc_err epc_value_integer(const struct epc_dict_avp *dict, int64_t v, struct epc_buf *out)
{
    if (!dict)
        return EPC_EPROTO;
    switch (dict->type) {
    case EPC_AVP_ENUMERATED:
    case EPC_AVP_INTEGER32:
        if (v < INT32_MIN || v > INT32_MAX)
            return EPC_EPROTO;
        put(out, (uint64_t)v, 4);
        return EPC_OK;
    case EPC_AVP_UNSIGNED32:
        if (v < 0 || v > UINT32_MAX)
            return EPC_EPROTO;
        put(out, (uint64_t)v, 4);
        return EPC_OK;
    case EPC_AVP_UNSIGNED64:
        if (v < 0)
            return EPC_EPROTO;
        put(out, (uint64_t)v, 8);
        return EPC_OK;
    case EPC_AVP_INTEGER64:
        put(out, (uint64_t)v, 8);
        return EPC_OK;
    case EPC_AVP_FLOAT32:
    case EPC_AVP_FLOAT64:
        return epc_value_real(dict, (double)v, out);
    default:
        return EPC_EPROTO;
    }
}

enum epc_err epc_value_real(const struct epc_dict_avp *dict, double v, struct epc_buf *out)
{
    if (!dict || (dict->type != EPC_AVP_FLOAT32 && dict->type != EPC_AVP_FLOAT64))
        return EPC_EPROTO;
    if (dict->type == EPC_AVP_FLOAT32) {
        if (v > 3.4028234663852886e38 || v < -3.4028234663852886e38)
            return EPC_EPROTO;
        float f = (float)v;
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        put(out, bits, 4);
        return EPC_OK;
    }
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    put(out, bits, 8);
    return EPC_OK;
}
