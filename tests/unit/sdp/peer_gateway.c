#include "peer_gateway.h"

static void access_line(struct epc_buf *b, unsigned port, unsigned generation)
{
    epc_buf_printf(b,
                   "c=IN IP4 " GW_ACCESS_ADDR "\r\na=rtcp:%u\r\na=rtcp-mux\r\na=setup:passive\r\n"
                   "a=fingerprint:sha-256 01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:"
                   "16:17:18:19:1A:1B:1C:1D:1E:1F:20\r\n"
                   "a=ice-ufrag:gwUf%u\r\na=ice-pwd:gatewayPasswordOf26chars%u\r\n"
                   "a=candidate:g1 1 UDP 2130706431 " GW_ACCESS_ADDR " %u typ host\r\n"
                   "a=end-of-candidates\r\na=sctp-port:5000\r\n",
                   port, generation, generation, port);
}

struct epc_sdp *peer_gateway_local(const struct epc_sdp *remote, enum epc_sdp_leg leg, unsigned generation)
{
    struct epc_buf b = {0};
    struct epc_sdp *s = NULL;
    bool access = leg == EPC_SDP_WIC;
    epc_buf_printf(&b, "v=0\r\no=- 1 1 IN IP4 192.0.2.99\r\ns=gateway\r\nt=0 0\r\n%s",
                   access ? "a=ice-lite\r\n" : "");
    for (size_t i = 0; i < remote->n_media; i++) {
        const struct epc_sdp_media *m = &remote->media[i];
        unsigned port = m->port ? (access ? 40000u : 50000u) + 2u * (unsigned)i : 0;
        epc_buf_printf(&b, "m=%.*s %u RTP/AVP 0\r\n", EPC_STR_ARG(m->type), port);
        if (port && access)
            access_line(&b, port, generation);
        else if (port)
            epc_buf_printf(&b, "c=IN IP4 " GW_CORE_ADDR "\r\na=rtcp:%u\r\n", port + 1);
    }
    if (!b.failed && epc_sdp_parse(&s, (struct epc_str){b.p, b.n}, NULL) != EPC_OK)
        s = NULL;
    epc_buf_free(&b);
    return s;
}
