/* What is known of a context without asking. */
#include "gateway/h248/iq_priv.h"

#include <string.h>

static void own_address(const struct iq_stream *s, struct epc_addr *out)
{
    const struct epc_sdp_media *m = s->on && !s->refused && s->got ? &s->got->media[0] : NULL;
    char host[EPC_ADDR_LEN];
    struct epc_addr a;
    if (!m || m->c_addr.n >= sizeof host)
        return;
    snprintf(host, sizeof host, "%.*s", EPC_STR_ARG(m->c_addr));
    if (epc_addr_parse(&a, host, m->port) == EPC_OK)
        *out = a;
}

void iq_view(const struct epc_gw_ctx *base, struct epc_gw_view *out)
{
    const struct iq_ctx *c = EPC_CONTAINER(base, const struct iq_ctx, base);
    memset(out, 0, sizeof *out);
    snprintf(out->gateway, sizeof out->gateway, "%s", c->mg_name);
    if (c->id)
        snprintf(out->context, sizeof out->context, "%u", (unsigned)c->id);
    out->ice_mode = c->gw->cfg->iq.ice == EPC_IQ_ICE_LITE;
    out->n_streams = c->n < EPC_SDP_MAX_MEDIA ? c->n : EPC_SDP_MAX_MEDIA;
    for (size_t i = 0; i < out->n_streams; i++) {
        own_address(&c->leg[EPC_GW_ACCESS].stream[i], &out->stream[i].access);
        own_address(&c->leg[EPC_GW_CORE].stream[i], &out->stream[i].core);
        if (!c->leg[EPC_GW_ACCESS].stream[i].on || c->leg[EPC_GW_ACCESS].stream[i].refused)
            continue;
        out->stream[i].learned = c->learned[i];
        out->stream[i].ice = !c->answered ? EPC_GW_ICE_NEW : c->ice[i];
    }
}
