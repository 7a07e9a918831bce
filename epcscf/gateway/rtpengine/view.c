/* What is known of a context without asking: descriptions that came, and what the last query showed. */
#include "gateway/rtpengine/rtpengine_priv.h"

#include <string.h>

void rtp_note_local(struct rtp_ctx *c, enum epc_gw_side side, const struct epc_sdp *local)
{
    c->n_streams = local->n_media;
    for (size_t i = 0; i < local->n_media && i < EPC_SDP_MAX_MEDIA; i++) {
        const struct epc_sdp_media *m = &local->media[i];
        struct epc_addr *to = &c->stream[i].local[side];
        char host[EPC_ADDR_LEN];
        *to = (struct epc_addr){0};
        if (m->port == 0) { /* off: a stream in its place later begins anew */
            c->stream[i].srtp_profile = 0;
            c->stream[i].connected = c->stream[i].secured = false;
        }
        if (m->port == 0 || !m->c_addr.p || m->c_addr.n >= sizeof host)
            continue;
        snprintf(host, sizeof host, "%.*s", EPC_STR_ARG(m->c_addr));
        if (epc_addr_parse(to, host, m->port) != EPC_OK)
            *to = (struct epc_addr){0};
    }
}

/* Names of SRTP suites as rtpengine shows them, to the numbers of DTLS-SRTP (RFC 5764 4.1.2, RFC 7714). */
uint32_t rtp_srtp_profile(const json_t *media)
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
            return suites[i].number;
    return 0;
}

void rtp_view(const struct epc_gw_ctx *base, struct epc_gw_view *out)
{
    const struct rtp_ctx *c = EPC_CONTAINER(base, const struct rtp_ctx, base);
    memset(out, 0, sizeof *out);
    snprintf(out->gateway, sizeof out->gateway, "%s", ng_instance_name(c->at->ng));
    snprintf(out->context, sizeof out->context, "%s", c->call_id);
    out->ice_mode = 1;
    out->n_streams = c->n_streams < EPC_SDP_MAX_MEDIA ? c->n_streams : EPC_SDP_MAX_MEDIA;
    for (size_t i = 0; i < out->n_streams; i++) {
        const struct rtp_stream *st = &c->stream[i];
        out->stream[i].access = st->local[EPC_GW_ACCESS];
        out->stream[i].core = st->local[EPC_GW_CORE];
        out->stream[i].learned = st->seen;
        out->stream[i].srtp_profile = st->srtp_profile;
        out->stream[i].ice = !c->answered     ? EPC_GW_ICE_NEW
                             : !st->seen.len  ? EPC_GW_ICE_CHECKING
                                              : EPC_GW_ICE_CONNECTED;
    }
}

/* ---- statistics ------------------------------------------------------------------------------------- */

static void add(uint64_t *sum, const json_t *stats, const char *name)
{
    const json_t *figure = json_object_get(stats, name);
    if (!json_is_integer(figure) || json_integer_value(figure) < 0)
        return;
    *sum = (*sum == UINT64_MAX ? 0 : *sum) + (uint64_t)json_integer_value(figure);
}

/* Newer rtpengines count what they send, too. */
void rtp_statistics(const struct rtp_ctx *c, const json_t *reply)
{
    struct gw_statistics st;
    gw_statistics_init(&st);
    for (int side = 0; side < 2; side++) {
        const json_t *tag = json_object_get(json_object_get(reply, "tags"), c->tag[side]), *media, *stream;
        size_t i, k;
        json_array_foreach (json_object_get(tag, "medias"), i, media)
            json_array_foreach (json_object_get(media, "streams"), k, stream) {
                const json_t *in = json_object_get(stream, "stats"), *out = json_object_get(stream, "stats_out");
                add(&st.side[side].packets_in, in, "packets");
                add(&st.side[side].octets_in, in, "bytes");
                add(&st.side[side].packets_out, out, "packets");
                add(&st.side[side].octets_out, out, "bytes");
            }
    }
    if (json_object_get(reply, "tags"))
        st.duration_ms = epc_now_ms() - c->created_ms;
    gw_report_statistics(c->key, ng_instance_name(c->at->ng), &st);
}
