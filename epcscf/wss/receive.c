/* Frames from the peer to whole messages: RFC 6455 5.4, RFC 7118 5.
 *
 * A client's frames have to be masked (RFC 6455 5.1); lws unmasks what is masked, takes what is not, and
 * tells nobody which it was. Masking protects intermediaries that would take frames for HTTP (RFC 6455
 * 10.3): behind TLS there is none. */
#include "wss/wss_priv.h"

#include <stdlib.h>
#include <string.h>

static int too_big(struct epc_flow *f)
{
    epc_count(EPC_C_WSS_TOO_BIG);
    epc_log(EPC_LOG_INFO, "wss", "msg=\"message too big\" flow=%016llx", (unsigned long long)f->id);
    epc_flow_fail(f, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, "message too big");
    return -1;
}

static int deliver(struct epc_flow *f, const char *p, size_t n)
{
    struct epc_wss *w = f->w;
    epc_count(EPC_C_WSS_MESSAGES_IN);
    if (!lws_frame_is_binary(f->wsi) && !epc_utf8_valid(p, n)) {
        epc_flow_fail(f, LWS_CLOSE_STATUS_INVALID_PAYLOAD, "text is not UTF-8");
        return -1;
    }
    if (n > 0 && epc_flow_is_away(f))
        return epc_flow_relay(f, p, n);
    if (n > 0)
        w->h.message(w->arg, f, p, n);
    return 0;
}

/* @p more: octets of this frame that are known to follow */
static int collect(struct epc_flow *f, const char *p, size_t n, size_t more)
{
    if (f->rx_n + n > f->rx_cap) {
        size_t cap = f->rx_n + n + more;
        char *rx = realloc(f->rx, cap);
        if (!rx) {
            epc_flow_fail(f, LWS_CLOSE_STATUS_UNEXPECTED_CONDITION, "out of memory");
            return -1;
        }
        f->rx = rx;
        f->rx_cap = cap;
    }
    memcpy(f->rx + f->rx_n, p, n);
    f->rx_n += n;
    return 0;
}

int epc_flow_receive(struct epc_flow *f, const char *p, size_t n)
{
    size_t more = lws_remaining_packet_payload(f->wsi);
    bool last = lws_is_final_fragment(f->wsi) && more == 0;
    if (f->state != EPC_FLOW_OPEN)
        return 0; /* closing: what still comes is of no interest */
    size_t max = f->w->cfg->max_message_octets;
    epc_flow_heard(f);
    if (n > max || more > max || f->rx_n + n + more > max)
        return too_big(f);
    if (last && f->rx_n == 0)
        return deliver(f, p, n);
    if (n > 0 && collect(f, p, n, more) < 0)
        return -1;
    if (!last)
        return 0;
    /* The buffer leaves the flow first: the message may end the flow. */
    char *rx = f->rx;
    size_t rx_n = f->rx_n;
    f->rx = NULL;
    f->rx_n = f->rx_cap = 0;
    int r = deliver(f, rx, rx_n);
    free(rx);
    return r;
}
