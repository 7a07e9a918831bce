/* A refusal told to people and to the WIC: in words for the engineer, as SDP for the offerer. */
#include "policy/policy_priv.h"

#include <inttypes.h>
#include <string.h>

/* ---- 488 with what would be acceptable ----------------------------------------------------------------- */

static int64_t less(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

/* b=AS is for both directions here: the offerer may send and ask for no more than the smaller one. */
static void put_bandwidth(const struct epc_policy_result *r, unsigned number, struct epc_buf *out)
{
    for (size_t i = 0; i < r->n_acceptable; i++) {
        const struct epc_acceptable_bw *bw = &r->acceptable[i];
        int64_t bps = less(bw->max_ul_bps, bw->max_dl_bps);
        if (bw->number == number && bps >= 0) {
            epc_buf_printf(out, "b=AS:%" PRId64 "\r\n", bps / 1000);
            return;
        }
    }
}

enum epc_err epc_policy_acceptable_sdp(const struct epc_sdp *offer, const struct epc_policy_result *r,
                                       struct epc_buf *out)
{
    if (r->n_acceptable == 0 || offer->n_media == 0)
        return EPC_ENOENT;
    epc_buf_printf(out, "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\n");
    put_bandwidth(r, 0, out);
    epc_buf_printf(out, "t=0 0\r\n");
    for (size_t i = 0; i < offer->n_media; i++) {
        const struct epc_sdp_media *m = &offer->media[i];
        /* A description of what could be, not of a stream: port 0 (RFC 3264 9). */
        epc_buf_printf(out, "m=%.*s 0 %.*s", EPC_STR_ARG(m->type), EPC_STR_ARG(m->proto));
        for (size_t k = 0; k < m->n_fmt; k++)
            epc_buf_printf(out, " %.*s", EPC_STR_ARG(m->fmt[k]));
        epc_buf_printf(out, "\r\n");
        put_bandwidth(r, (unsigned)i + 1, out);
        for (size_t k = 0; k < m->n_attr; k++)
            if (epc_str_eqc(m->attr[k].name, "rtpmap"))
                epc_buf_printf(out, "a=rtpmap:%.*s\r\n", EPC_STR_ARG(m->attr[k].value));
    }
    return out->failed ? EPC_ENOMEM : EPC_OK;
}

/* ---- in words --------------------------------------------------------------------------------------------- */

static void put_ue(const struct epc_policy_question *q, struct epc_buf *out)
{
    char ip[EPC_ADDR_LEN];
    if (!q->ue || !q->ue->len) {
        epc_buf_printf(out, "No address of the UE was sent.\n");
        return;
    }
    const struct epc_cfg_policy_access *row = q->cfg ? epc_policy_access_for(q->cfg, q->ue) : NULL;
    epc_buf_printf(out, "The UE was named by its address %s, a %s one", epc_addr_ip(q->ue, ip),
                   pol_private(q->ue) ? "private" : "public");
    if (row)
        epc_buf_printf(out, "; policy.access has it in %s%s%s", row->network,
                       row->ip_domain_id ? " with IP-Domain-Id " : " without IP-Domain-Id",
                       row->ip_domain_id ? row->ip_domain_id : "");
    else
        epc_buf_printf(out, "; no row of policy.access holds it");
    epc_buf_printf(out, ".\n");
}

static void no_session(const struct epc_policy_question *q, struct epc_buf *out)
{
    epc_buf_printf(out, "The PCRF has no IP-CAN session for the UE.\n");
    put_ue(q, out);
    if (q->ue && q->ue->len && !pol_private(q->ue))
        epc_buf_printf(out, "Likely: a NAT between the UE and the eP-CSCF replaced the address that the PCRF knows, "
                            "or the UE came over Wi-Fi or another network outside the IP-CAN.\n");
    else
        epc_buf_printf(out, "Likely: the address is of another domain (several networks use the same private "
                            "addresses), the UE is behind a NAT of its own (a router, a hotspot), or its IP-CAN "
                            "session ended.\n");
    epc_buf_printf(out, "Check: is that address in a Gx session at the PCRF? If these UEs have no policy control, "
                        "give their network a row in policy.access with mode optional or off; if addresses repeat, "
                        "an ip_domain_id.\n");
}

static void filters(const struct epc_policy_question *q, struct epc_buf *out)
{
    epc_buf_printf(out, "The PCRF takes none of the filters of this form. Sent were:\n");
    for (size_t i = 0; q->sent && i < q->sent->n_components; i++)
        for (size_t k = 0; k < q->sent->component[i].n_flows; k++) {
            const struct epc_media_flow *f = &q->sent->component[i].flow[k];
            if (f->uplink[0])
                epc_buf_printf(out, "  %s\n", f->uplink);
            if (f->downlink[0])
                epc_buf_printf(out, "  %s\n", f->downlink);
        }
    epc_buf_printf(out, "Check: does the PCRF ask for one filter a direction? A profile in policy.profiles says so.\n");
}

static void put_bps(const char *name, int64_t bps, struct epc_buf *out)
{
    if (bps >= 0)
        epc_buf_printf(out, " %s %" PRId64 " bit/s", name, bps);
}

static void bandwidth(const struct epc_policy_question *q, struct epc_buf *out)
{
    const struct epc_policy_result *r = q->result;
    for (size_t i = 0; q->sent && i < q->sent->n_components; i++) {
        const struct epc_media_component *c = &q->sent->component[i];
        if (c->status == EPC_FLOW_REMOVED)
            continue;
        epc_buf_printf(out, "Asked for component %u:", c->number);
        put_bps("uplink", c->max_ul_bps, out);
        put_bps("downlink", c->max_dl_bps, out);
        epc_buf_printf(out, ".\n");
    }
    for (size_t i = 0; i < r->n_acceptable; i++) {
        if (r->acceptable[i].number)
            epc_buf_printf(out, "Acceptable for component %u:", r->acceptable[i].number);
        else
            epc_buf_printf(out, "Acceptable for the session:");
        put_bps("uplink", r->acceptable[i].max_ul_bps, out);
        put_bps("downlink", r->acceptable[i].max_dl_bps, out);
        epc_buf_printf(out, ".\n");
    }
    if (r->n_acceptable == 0)
        epc_buf_printf(out, "The PCRF does not say what it would take. Check: has the subscriber a rule for this "
                            "Media-Type (QCI 1 for audio, 2 for video)?\n");
}

static void retry(const struct epc_policy_question *q, struct epc_buf *out)
{
    const struct epc_policy_result *r = q->result;
    if (r->held_back)
        epc_buf_printf(out, "Not sent: the PCRF refused the same service information a short while ago.\n");
    if (r->retry_interval_s)
        epc_buf_printf(out, "It may be asked again in %" PRIu32 " s.\n", r->retry_interval_s);
}

static void our_fault(const struct epc_policy_question *q, struct epc_buf *out)
{
    epc_buf_printf(out, "The PCRF finds the request itself wrong");
    if (q->result->failed_avp[0])
        epc_buf_printf(out, ": it names %s", q->result->failed_avp);
    epc_buf_printf(out, ".\nCheck: an AVP that this PCRF does not bear can be left out by `omit` of a profile in "
                        "policy.profiles; a Media-Type by its media_types.\n");
}

static void by_code(const struct epc_policy_question *q, struct epc_buf *out)
{
    switch (q->result->code) {
    case 4261:
        epc_buf_printf(out, "Not authorised for now.\n");
        break;
    case 5001: case 5004: case 5005: case 5007: case 5008: case 5009: case 5014:
        our_fault(q, out);
        break;
    case 5002:
        epc_buf_printf(out, "The PCRF does not know the session: it has restarted, or has ended it without a word.\n");
        break;
    case 5012:
        epc_buf_printf(out, "The PCRF could not comply; its own log knows why.\n");
        break;
    case 5061:
        epc_buf_printf(out, "The PCRF finds the service information wrong or not enough.\n");
        bandwidth(q, out);
        break;
    case 5062:
        filters(q, out);
        break;
    case 5063:
        epc_buf_printf(out, "The service is not allowed to this subscriber in this form.\n");
        bandwidth(q, out);
        break;
    case 5064:
        epc_buf_printf(out, "The PCRF holds another Rx session for the same media.\n");
        break;
    case 5065:
        no_session(q, out);
        break;
    case 5066:
        epc_buf_printf(out, "The IP-CAN session is for emergency calls only.\n");
        break;
    case 5068:
        epc_buf_printf(out, "A failure in the access network, for a time.\n");
        break;
    default:
        break;
    }
}

static void no_answer(const struct epc_policy_question *q, struct epc_buf *out)
{
    switch (q->result->outcome) {
    case EPC_POLICY_TIMED_OUT:
        epc_buf_printf(out, "No answer within policy.timeout_ms (%" PRIu32 " ms). Check: the PCRF's load, and the "
                            "way to it.\n", q->cfg ? q->cfg->timeout_ms : 0);
        break;
    case EPC_POLICY_UNREACHABLE:
        epc_buf_printf(out, "No PCRF could be asked%s. Check: are peers open (metrics, log event=peer-down), and does "
                            "one serve the realm %s?\n",
                       q->result->code ? ", or the request came back undelivered" : "",
                       q->cfg && q->cfg->destination_realm ? q->cfg->destination_realm : "of this node");
        break;
    case EPC_POLICY_FAILED:
        epc_buf_printf(out, "The request could not be made here: memory, or an answer without a result.\n");
        break;
    case EPC_POLICY_GRANTED:
    case EPC_POLICY_REFUSED:
        break;
    }
}

void epc_policy_explain_result(const struct epc_policy_question *q, struct epc_buf *out)
{
    const struct epc_policy_result *r = q->result;
    epc_buf_printf(out, "%s\n", epc_policy_code_name(r));
    if (r->outcome == EPC_POLICY_GRANTED)
        return;
    if (r->outcome == EPC_POLICY_REFUSED)
        by_code(q, out);
    else
        no_answer(q, out);
    retry(q, out);
    if (r->authorization_info)
        epc_buf_printf(out, "Service-Authorization-Info says:%s%s%s.\n",
                       r->authorization_info & 1 ? " the policy is not known" : "",
                       r->authorization_info & 2 ? " the policy has expired" : "",
                       r->authorization_info & 4 ? " its time has not come yet" : "");
    if (r->error_message[0])
        epc_buf_printf(out, "The PCRF's own words: %s\n", r->error_message);
}
