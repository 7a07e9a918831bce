/* Model to text, in the line order of RFC 8866 5. */
#include "sdp/sdp_priv.h"

#include <inttypes.h>

static void print_bw(const struct epc_sdp_bw *bw, size_t n, struct epc_buf *out)
{
    for (size_t i = 0; i < n; i++)
        epc_buf_printf(out, "b=%.*s:%" PRIu64 "\r\n", EPC_STR_ARG(bw[i].type), bw[i].value);
}

static void print_attr(const struct epc_sdp_attr *a, size_t n, struct epc_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        epc_buf_adds(out, "a=");
        epc_buf_addstr(out, a[i].name);
        if (a[i].value.p) {
            epc_buf_adds(out, ":");
            epc_buf_addstr(out, a[i].value);
        }
        epc_buf_adds(out, "\r\n");
    }
}

static void print_media(const struct epc_sdp_media *m, struct epc_buf *out)
{
    epc_buf_adds(out, "m=");
    epc_buf_addstr(out, m->type);
    epc_buf_printf(out, " %u ", m->port);
    epc_buf_addstr(out, m->proto);
    for (size_t i = 0; i < m->n_fmt; i++) {
        epc_buf_adds(out, " ");
        epc_buf_addstr(out, m->fmt[i]);
    }
    epc_buf_adds(out, "\r\n");
    if (m->c_addr.p)
        epc_buf_printf(out, "c=IN %s %.*s\r\n", m->c_ip6 ? "IP6" : "IP4", EPC_STR_ARG(m->c_addr));
    print_bw(m->bw, m->n_bw, out);
    print_attr(m->attr, m->n_attr, out);
}

enum epc_err epc_sdp_print(const struct epc_sdp *s, struct epc_buf *out)
{
    epc_buf_printf(out, "v=0\r\no=%.*s %" PRIu64 " %" PRIu64 " IN %s %.*s\r\ns=", EPC_STR_ARG(s->o_user),
                   s->o_id, s->o_version, s->o_ip6 ? "IP6" : "IP4", EPC_STR_ARG(s->o_addr));
    epc_buf_addstr(out, s->s_name.n ? s->s_name : EPC_STR("-"));
    epc_buf_adds(out, "\r\n");
    print_bw(s->bw, s->n_bw, out);
    epc_buf_adds(out, "t=0 0\r\n");
    print_attr(s->attr, s->n_attr, out);
    for (size_t i = 0; i < s->n_media; i++)
        print_media(&s->media[i], out);
    return out->failed ? EPC_ENOMEM : EPC_OK;
}
