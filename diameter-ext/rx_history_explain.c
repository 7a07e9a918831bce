/* `rx explain`: a session's story. What was asked and what each AVP came from, what came back and what that
 * means, and what SIP made of it. */
#include "rx_history_tell.h"

#include <inttypes.h>
#include <string.h>

/* ---- where the AVPs came from ----------------------------------------------------------------------------- */

/* Of the session as a whole; what came from SDP is in the exchange's `why`. */
static const struct source {
    const char *avp, *from;
} sources[] = {
    {"Destination-Host", "policy.destination_host or policy.peers; later who answered first"},
    {"IP-Domain-Id", "the row of policy.access that holds the UE's address"},
    {"AF-Application-Identifier", "the call's ICSI, else policy.af_application_id"},
    {"AF-Charging-Identifier", "icid-value of P-Charging-Vector"},
    {"Specific-Action", "policy.specific_actions; access_network_info also when the call wants it"},
    {"Subscription-Id", "the registered public identity, and the IMSI if the private identity has one"},
    {"Supported-Features", "`features` and `webrtc_avps` of the PCRF's profile"},
    {"Reservation-Priority", "Resource-Priority of the call"},
    {"Framed-IP-Address", "source address of the UE's WebSocket connection"},
    {"Framed-IPv6-Prefix", "source address of the UE's WebSocket connection"},
    {"Called-Station-Id", "the row of policy.access that holds the UE's address"},
    {"Service-URN", "Request-URI: an emergency call"},
    {"MPS-Identifier", "Resource-Priority of the call"},
    {"Calling-Party-Address", "the call's parties"},
    {"Callee-Information", "the call's parties"},
    {"Required-Access-Info", "the network-provided P-Access-Network-Info is wanted"},
    {"Class", "the PCRF's last answer"},
};

static const char *source_of(const char *avp)
{
    for (size_t i = 0; avp && i < EPC_ARRAY_LEN(sources); i++)
        if (strcmp(sources[i].avp, avp) == 0)
            return sources[i].from;
    return NULL;
}

/* One line for each kind of AVP: "Specific-Action=1(..), 2(..) <- ...". Repeats follow each other. */
static void put_session_avps(struct epc_buf *b, const struct rx_exchange *x)
{
    struct msg *m = rx_decode(x->request, x->request_n);
    struct rx_item it;
    const char *open = NULL;
    if (!m)
        return;
    for (bool more = rx_first_item(m, &it); more && rx_read_item(&it); more = rx_next_item(&it)) {
        const char *from = source_of(it.data.avp_name);
        bool repeated = open && from && strcmp(open, it.data.avp_name) == 0;
        if (open && !repeated)
            epc_buf_printf(b, " <- %s\n", source_of(open));
        open = from ? it.data.avp_name : NULL;
        if (!from || (repeated && it.grouped))
            continue;
        epc_buf_printf(b, "%s%s", repeated ? ", " : "      ", repeated ? "" : it.data.avp_name);
        if (it.grouped)
            continue;
        epc_buf_adds(b, repeated ? "" : "=");
        rx_avp_value(b, it.avp, it.model, it.data.avp_basetype);
    }
    if (open)
        epc_buf_printf(b, " <- %s\n", source_of(open));
    fd_msg_free(m);
}

/* "1 AVP=value <- source": lines of one component follow each other; "-" is the session. */
static void put_why(struct epc_buf *b, const struct rx_exchange *x)
{
    struct epc_str rest = epc_str_c(x->why ? x->why : ""), before = EPC_STR_NULL;
    epc_buf_adds(b, "    the session:\n");
    put_session_avps(b, x);
    while (rest.n) {
        struct epc_str line = epc_str_cut(&rest, '\n'), number = epc_str_cut(&line, ' ');
        bool session = epc_str_eqc(number, "-");
        if (!line.p) { /* not of this form */
            epc_buf_printf(b, "      %.*s\n", EPC_STR_ARG(number));
            continue;
        }
        if (!session && !epc_str_eq(number, before)) {
            epc_buf_printf(b, "    component %.*s:\n", EPC_STR_ARG(number));
            before = number;
        }
        epc_buf_printf(b, "      %.*s\n", EPC_STR_ARG(line));
    }
}

/* ---- steps ---------------------------------------------------------------------------------------------------- */

static void explain_aar(struct epc_buf *b, const struct rx_exchange *x)
{
    epc_buf_printf(b, "%s went to %s.\n", x->initial ? "AAR that opens the session" : "AAR that updates it",
                   rx_or_dash(x->peer));
    epc_buf_adds(b, x->initial ? "  It says, and why:\n"
                               : "  Of what now holds, it says what the PCRF had not been told:\n");
    put_why(b, x);
}

static void explain_request(struct epc_buf *b, const struct rx_exchange *x)
{
    if (x->command == RX_CC_AA)
        explain_aar(b, x);
    else
        epc_buf_printf(b, "STR, which ends the session at the PCRF, went to %s.\n", rx_or_dash(x->peer));
    if (x->tried) {
        epc_buf_adds(b, "  It was tried at:\n");
        rx_tell_lines(b, "    ", x->tried);
    }
    if (!x->result)
        epc_buf_adds(b, "  No answer yet.\n");
    else
        epc_buf_printf(b, "  Result after %" PRIu64 " ms: %s\n", x->done_ms - x->at_ms, x->result);
    if (x->late)
        epc_buf_adds(b, "  The answer came too late: SIP had gone on without it.\n");
    if (x->words)
        rx_tell_lines(b, "    ", x->words);
}

/* What a RAR is about: the AVPs beside those that every message has. */
static void put_push_content(struct epc_buf *b, const struct rx_exchange *x)
{
    static const uint32_t common[] = {263, 264, 296, 283, 293, 258, 278, 282, 284};
    struct msg *m = rx_decode(x->request, x->request_n);
    struct rx_item it;
    if (!m)
        return;
    for (bool more = rx_first_item(m, &it); more && rx_read_item(&it); more = rx_next_item(&it)) {
        bool plain = !(it.hdr->avp_flags & AVP_FLAG_VENDOR), skip = false;
        for (size_t i = 0; plain && i < EPC_ARRAY_LEN(common); i++)
            skip = skip || common[i] == it.hdr->avp_code;
        if (skip)
            continue;
        epc_buf_adds(b, "    ");
        rx_avp_name(b, it.hdr, &it.data);
        if (it.grouped) {
            epc_buf_adds(b, "\n");
            rx_tell_tree(b, it.avp, 3);
            continue;
        }
        epc_buf_adds(b, " = ");
        rx_avp_value(b, it.avp, it.model, it.data.avp_basetype);
        epc_buf_adds(b, "\n");
    }
    fd_msg_free(m);
}

static void explain_exchange(struct epc_buf *b, const struct rx_exchange *x)
{
    rx_tell_time(b, x->wall_ms);
    epc_buf_adds(b, "  ");
    switch (x->kind) {
    case RX_SENT:
        explain_request(b, x);
        return;
    case RX_PUSHED:
        epc_buf_printf(b, "%s came from %s and was answered %s.\n",
                       x->command == RX_CC_AS ? "ASR, by which the PCRF ends the session," : "RAR",
                       rx_or_dash(x->peer), rx_or_dash(x->result));
        put_push_content(b, x);
        return;
    case RX_SIP:
        epc_buf_printf(b, "SIP: %s\n", rx_or_dash(x->words));
        return;
    case RX_REMARK:
        if (x->result)
            epc_buf_printf(b, "%s\n", x->result);
        rx_tell_lines(b, x->result ? "    " : "", rx_or_dash(x->words));
        if (x->why)
            put_why(b, x);
        return;
    }
}

void rx_tell_explanation(struct epc_buf *b, const struct rx_record *r)
{
    epc_buf_printf(b, "%s %s of %s", r->signalling ? "AF signalling session" : "Call", rx_or_dash(r->call_id),
                   rx_or_dash(r->impu));
    epc_buf_printf(b, ", UE at %s\n", rx_or_dash(r->ue));
    if (r->session_id)
        epc_buf_printf(b, "Rx session %s with PCRF %s: %s\n", r->session_id, rx_or_dash(rx_record_pcrf(r)), rx_record_state(r));
    else
        epc_buf_adds(b, "No Rx session: nothing was sent.\n");
    size_t i = 0;
    for (const struct rx_exchange *x = r->exchange; x; x = x->next) {
        explain_exchange(b, x);
        if (++i == 1 && r->dropped)
            epc_buf_printf(b, "(%zu steps after it are not kept)\n", r->dropped);
    }
    if (!r->exchange && r->dropped)
        epc_buf_printf(b, "(%zu steps are not kept: too many live sessions for policy.history_sessions)\n",
                       r->dropped);
}

