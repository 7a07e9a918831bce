/* The derivation in words: one line for each AVP value, saying what it came from and by which rule. */
#include "policy/policy_priv.h"

#include <stdarg.h>
#include <stdio.h>

void pol_why(const struct pol_line *l, const char *fmt, ...)
{
    char text[640];
    va_list ap;
    if (!l->why)
        return;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    for (char *c = text; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    epc_buf_printf(l->why, "%u %s\n", l->number, text);
}

const char *pol_side(const struct pol_line *l, const struct epc_sdp_media *m)
{
    return m == l->up ? "uplink" : "downlink";
}

const char *pol_shown(struct epc_str text, char out[POL_SHOWN_LEN])
{
    size_t n = 0;
    for (; n < text.n && n < POL_SHOWN_LEN - 4; n++) {
        unsigned char c = (unsigned char)text.p[n];
        out[n] = c < ' ' || c > '~' ? '?' : (char)c;
    }
    snprintf(out + n, 4, "%s", n < text.n ? "..." : "");
    return out;
}

const char *pol_media_type_name(enum epc_media_type t)
{
    static const char *const names[] = {"AUDIO", "VIDEO", "DATA", "APPLICATION", "CONTROL", "TEXT", "MESSAGE"};
    return t >= 0 && (size_t)t < EPC_ARRAY_LEN(names) ? names[t] : "OTHER";
}

const char *pol_flow_status_name(enum epc_flow_status s)
{
    static const char *const names[] = {"ENABLED-UPLINK", "ENABLED-DOWNLINK", "ENABLED", "DISABLED", "REMOVED"};
    return s >= 0 && (size_t)s < EPC_ARRAY_LEN(names) ? names[s] : "none";
}
