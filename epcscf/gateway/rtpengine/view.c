/* What is known of a context without asking: descriptions that came, and what the last query showed. */
#include "gateway/rtpengine/rtpengine_priv.h"

#include <string.h>

void rtp_note_local(struct rtp_ctx *c, enum epc_gw_side side, const struct epc_sdp *local)
{
    c->n_streams = local->n_media;
    for (size_t i = 0; i < local->n_media && i < EPC_SDP_MAX_MEDIA; i++) {
        const struct epc_sdp_media *m = &local->media[i];
        struct epc_addr *to = &c->local[side][i];
        char host[EPC_ADDR_LEN];
        *to = (struct epc_addr){0};
        if (m->port == 0) /* off: a stream in its place later begins anew */
            c->srtp_profile[i] = 0;
        if (m->port == 0 || !m->c_addr.p || m->c_addr.n >= sizeof host)
            continue;
        snprintf(host, sizeof host, "%.*s", EPC_STR_ARG(m->c_addr));
        if (epc_addr_parse(to, host, m->port) != EPC_OK)
            *to = (struct epc_addr){0};
    }
}

/* Names of SRTP suites as rtpengine shows them, to the numbers of DTLS-SRTP (RFC 5764 4.1.2, RFC 7714). */
void rtp_note_srtp(struct rtp_ctx *c, size_t stream, const json_t *media)
{
    static const struct {
        const char *name;
        uint32_t number;
    } suites[] = {{"AES_CM_128_HMAC_SHA1_80", 1}, {"AES_CM_128_HMAC_SHA1_32", 2},
                  {"AEAD_AES_128_GCM", 7}, {"AEAD_AES_256_GCM", 8}};
    const json_t *first = json_array_get(json_object_get(media, "streams"), 0);
    const char *name = json_string_value(json_object_get(first, "crypto suite"));
    for (size_t i = 0; name && i < EPC_ARRAY_LEN(suites); i++)
        if (strcmp(name, suites[i].name) == 0)
            c->srtp_profile[stream] = suites[i].number;
}

void rtp_view(const struct epc_gw_ctx *base, struct epc_gw_view *out)
{
    const struct rtp_ctx *c = EPC_CONTAINER(base, const struct rtp_ctx, base);
    memset(out, 0, sizeof *out);
    snprintf(out->gateway, sizeof out->gateway, "%s", ng_instance_name(c->at));
    snprintf(out->context, sizeof out->context, "%s", c->call_id);
    out->ice_mode = 1;
    out->n_streams = c->n_streams < EPC_SDP_MAX_MEDIA ? c->n_streams : EPC_SDP_MAX_MEDIA;
    for (size_t i = 0; i < out->n_streams; i++) {
        out->stream[i].access = c->local[EPC_GW_ACCESS][i];
        out->stream[i].core = c->local[EPC_GW_CORE][i];
        out->stream[i].learned = c->seen[i];
        out->stream[i].srtp_profile = c->srtp_profile[i];
        out->stream[i].ice = !c->answered        ? EPC_GW_ICE_NEW
                             : c->seen[i].len == 0 ? EPC_GW_ICE_CHECKING
                                                   : EPC_GW_ICE_CONNECTED;
    }
}
