/* What a Subtract counted (H.248.1 E.11 nt, E.12 rtp; H.248.43 gm). */
#include "gateway/h248/iq_priv.h"

#include <stdlib.h>

static bool figure(struct epc_str v, uint64_t *out)
{
    return epc_str_u64(epc_str_trim(v), UINT64_MAX, out) == EPC_OK;
}

void iq_statistic(struct gw_statistics *st, enum epc_gw_side side, struct epc_str name, struct epc_str value)
{
    uint64_t v;
    if (!figure(value, &v))
        return;
    if (epc_str_ieqc(name, "nt/dur")) {
        if (st->duration_ms == UINT64_MAX || v > st->duration_ms)
            st->duration_ms = v;
    } else if (epc_str_ieqc(name, "nt/os"))
        st->side[side].octets_out = v;
    else if (epc_str_ieqc(name, "nt/or"))
        st->side[side].octets_in = v;
    else if (epc_str_ieqc(name, "rtp/ps"))
        st->side[side].packets_out = v;
    else if (epc_str_ieqc(name, "rtp/pr"))
        st->side[side].packets_in = v;
    else if (epc_str_ieqc(name, "gm/dp"))
        st->discarded = st->discarded == UINT64_MAX ? v : st->discarded + v;
}
