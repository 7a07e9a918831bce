/* Preconditions (RFC 3312, RFC 4032) on the core's leg, on behalf of a WIC that has none. The WIC's side is
 * always met: what the network reserves for it is authorised before a description passes. */
#include "sdp/iw_priv.h"

#include <string.h>

enum { SEND = 1, RECV = 2 };

struct status {
    unsigned curr_local, curr_remote, des_local, des_remote; /* SEND and RECV, as the core counts them */
    bool mandatory_local, mandatory_remote, any;
};

static unsigned ways(struct epc_str word)
{
    return epc_str_eqc(word, "sendrecv") ? SEND | RECV : epc_str_eqc(word, "send") ? SEND : epc_str_eqc(word, "recv") ? RECV : 0;
}

static const char *ways_name(unsigned w)
{
    static const char *const names[] = {"none", "send", "recv", "sendrecv"};
    return names[w & 3];
}

/* "qos local sendrecv"; "qos mandatory remote sendrecv" */
static void read_line(struct status *s, const struct epc_sdp_attr *a)
{
    bool curr = epc_str_eqc(a->name, "curr"), des = epc_str_eqc(a->name, "des");
    struct epc_str rest = a->value;
    if ((!curr && !des) || !rest.p || !epc_str_eqc(epc_str_cut(&rest, ' '), "qos"))
        return;
    bool mandatory = des && epc_str_eqc(epc_str_cut(&rest, ' '), "mandatory");
    struct epc_str whose = rest.p ? epc_str_cut(&rest, ' ') : EPC_STR_NULL;
    unsigned way = rest.p ? ways(epc_str_trim(rest)) : 0;
    bool both = epc_str_eqc(whose, "e2e"), local = both || epc_str_eqc(whose, "local"),
         remote = both || epc_str_eqc(whose, "remote");
    s->any = s->any || local || remote;
    if (curr && local)
        s->curr_local = way;
    if (curr && remote)
        s->curr_remote = way;
    if (des && local) {
        s->des_local = way;
        s->mandatory_local = mandatory;
    }
    if (des && remote) {
        s->des_remote = way;
        s->mandatory_remote = mandatory;
    }
}

static struct status read_stream(const struct iw_exchange *x, size_t stream)
{
    struct status s = {0};
    const struct epc_sdp_media *m = iw_line(x, x->recv[EPC_SDP_CORE], EPC_SDP_CORE, stream);
    for (size_t i = 0; m && i < m->n_attr; i++)
        read_line(&s, &m->attr[i]);
    return s;
}

void iw_put_qos(const struct epc_iw *w, const struct iw_exchange *x, size_t stream, struct epc_buf *b)
{
    if (!w->preconditions)
        return;
    bool is_offer = x->offerer != EPC_SDP_CORE;
    struct status s = read_stream(x, stream);
    if (!s.any && is_offer && w->have_committed) /* our own offer: what the core said before holds */
        s = read_stream(&w->committed, stream);
    if (!s.any && (!is_offer || w->have_committed))
        return; /* it has not asked, and the first offer is the time for us to */
    /* Their local is our remote, and the other way round (RFC 3312 5.1). */
    epc_buf_printf(b, "a=curr:qos local sendrecv\r\na=curr:qos remote %s\r\n", ways_name(s.curr_local));
    epc_buf_printf(b, "a=des:qos mandatory local sendrecv\r\na=des:qos %s remote sendrecv\r\n",
                   s.mandatory_local ? "mandatory" : "optional");
    if (!is_offer && s.curr_local != (SEND | RECV)) /* it shall say when it is ready */
        epc_buf_adds(b, "a=conf:qos remote sendrecv\r\n");
}

void epc_iw_act_for_preconditions(struct epc_iw *w, bool on)
{
    w->preconditions = on;
}

enum epc_iw_qos epc_iw_qos(const struct epc_iw *w)
{
    const struct iw_exchange *x = w->have_pending ? &w->pending : w->have_committed ? &w->committed : NULL;
    enum epc_iw_qos all = EPC_IW_QOS_NONE;
    for (size_t i = 0; x && i < x->n_streams; i++) {
        struct status s = read_stream(x, i);
        if (!s.any)
            continue;
        if (s.mandatory_local && (s.curr_local & s.des_local) != s.des_local)
            return EPC_IW_QOS_PENDING;
        all = EPC_IW_QOS_MET;
    }
    return all;
}
