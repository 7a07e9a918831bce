/* Codec-Data: direction, role, then the m-line's parts that bear on QoS. A list of what may go, so that
 * nothing of ICE, DTLS or the sender's identifiers ever does. */
#include "policy/policy_priv.h"

#include <inttypes.h>
#include <string.h>

static bool attribute_goes(struct epc_str name)
{
    static const char *const names[] = {"rtpmap",  "fmtp",     "ptime",      "maxptime",  "rtcp-fb",
                                        "mid",     "rtcp-mux", "rtcp-rsize", "sctp-port", "max-message-size",
                                        "maxprate"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(names); i++)
        if (epc_str_eqc(name, names[i]))
            return true;
    return false;
}

char *pol_codec_data(const struct epc_sdp_media *m, bool uplink, bool is_offer)
{
    struct epc_buf b = {0};
    epc_buf_printf(&b, "%s\n%s\nm=%.*s %u %.*s", uplink ? "uplink" : "downlink", is_offer ? "offer" : "answer",
                   EPC_STR_ARG(m->type), m->port, EPC_STR_ARG(m->proto));
    for (size_t i = 0; i < m->n_fmt; i++)
        epc_buf_printf(&b, " %.*s", EPC_STR_ARG(m->fmt[i]));
    for (size_t i = 0; i < m->n_bw; i++)
        if (epc_str_eqc(m->bw[i].type, "TIAS"))
            epc_buf_printf(&b, "\nb=TIAS:%" PRIu64, m->bw[i].value);
    for (size_t i = 0; i < m->n_attr; i++) {
        const struct epc_sdp_attr *a = &m->attr[i];
        if (!attribute_goes(a->name))
            continue;
        epc_buf_printf(&b, "\na=%.*s", EPC_STR_ARG(a->name));
        if (a->value.p)
            epc_buf_printf(&b, ":%.*s", EPC_STR_ARG(a->value));
    }
    return epc_buf_take(&b, NULL);
}

static const char *below_role(const char *s)
{
    const char *nl = strchr(s, '\n');
    nl = nl ? strchr(nl + 1, '\n') : NULL;
    return nl ? nl + 1 : s;
}

static size_t count_line(const char *text, struct epc_str line)
{
    size_t n = 0;
    for (struct epc_str rest = epc_str_c(text); rest.p;) {
        struct epc_str l = epc_str_cut(&rest, '\n');
        n += l.n == line.n && memcmp(l.p, line.p, l.n) == 0;
    }
    return n;
}

/* Browsers' libraries write the same lines in another order with each re-offer. */
bool pol_codec_data_same(const char *a, const char *b)
{
    if (!a || !b)
        return a == b;
    a = below_role(a);
    b = below_role(b);
    if (strcmp(a, b) == 0)
        return true;
    if (strlen(a) != strlen(b))
        return false;
    for (struct epc_str rest = epc_str_c(a); rest.p;) {
        struct epc_str line = epc_str_cut(&rest, '\n');
        if (count_line(a, line) != count_line(b, line))
            return false;
    }
    return true;
}
