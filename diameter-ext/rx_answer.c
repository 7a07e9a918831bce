/* AAA and STA. Spec: TS 29.214 5.5, 5.6.2, 5.6.6; RFC 6733 7. */
#include "rx_priv.h"

#include <stdlib.h>
#include <string.h>

enum {
    UNKNOWN_SESSION = 5002,   /* Result-Code */
    DUPLICATED_AF_SESSION = 5064, /* Experimental-Result-Code */
};

/* ---- details of a refusal ---------------------------------------------------------------------------- */

static int64_t bandwidth(msg_or_avp *in, enum rx_avp plain, enum rx_avp extended)
{
    uint32_t v;
    if (rx_get_u32(in, extended, &v)) /* kbit/s; there only when the plain one does not hold it */
        return (int64_t)v * 1000;
    return rx_get_u32(in, plain, &v) ? (int64_t)v : -1;
}

static bool read_bw(msg_or_avp *in, struct epc_acceptable_bw *bw)
{
    bw->max_ul_bps = bandwidth(in, RX_MAX_BW_UL, RX_EXT_MAX_BW_UL);
    bw->max_dl_bps = bandwidth(in, RX_MAX_BW_DL, RX_EXT_MAX_BW_DL);
    return bw->max_ul_bps >= 0 || bw->max_dl_bps >= 0;
}

static void read_acceptable(struct msg *m, struct epc_policy_result *r)
{
    struct avp *info = rx_get(m, RX_ACCEPTABLE_SERVICE_INFO, NULL), *mcd = NULL;
    struct epc_acceptable_bw bw = {0};
    if (!info)
        return;
    if (read_bw(info, &bw))
        r->acceptable[r->n_acceptable++] = bw;
    while (r->n_acceptable < EPC_ARRAY_LEN(r->acceptable) &&
           (mcd = rx_get(info, RX_MEDIA_COMPONENT_DESCRIPTION, mcd))) {
        uint32_t number;
        if (rx_get_u32(mcd, RX_MEDIA_COMPONENT_NUMBER, &number) && number > 0 && read_bw(mcd, &bw)) {
            bw.number = number;
            r->acceptable[r->n_acceptable++] = bw;
        }
    }
}

static void read_failed_avp(struct msg *m, struct epc_policy_result *r)
{
    struct avp *f = rx_get(m, RX_FAILED_AVP, NULL), *first = NULL;
    if (f && fd_msg_browse(f, MSG_BRW_FIRST_CHILD, &first, NULL) == 0 && first)
        rx_avp_label(first, r->failed_avp, sizeof r->failed_avp);
}

/* For logs and people: printable, no quotes. */
static void read_error_message(struct msg *m, struct epc_policy_result *r)
{
    struct epc_str s;
    size_t n = 0;
    if (!rx_get_octets(m, RX_ERROR_MESSAGE, &s))
        return;
    for (size_t i = 0; i < s.n && n < sizeof r->error_message - 1; i++)
        r->error_message[n++] = s.p[i] >= 0x20 && s.p[i] < 0x7f && s.p[i] != '"' ? s.p[i] : ' ';
    r->error_message[n] = '\0';
}

static void log_refusal(struct msg *m, const struct epc_policy_result *r)
{
    struct epc_str sid = EPC_STR_NULL;
    (void)rx_get_octets(m, RX_SESSION_ID, &sid);
    /* 5001 to 5015 without Experimental-Result: the PCRF found our request wrong. */
    bool our_fault = !r->experimental && r->code > 5000 && r->code < 5016 && r->code != UNKNOWN_SESSION &&
                     r->code != 5003 && r->code != 5012;
    epc_log(our_fault ? EPC_LOG_ERROR : EPC_LOG_INFO, "rx",
            "event=%s code=%u experimental=%d failed_avp=\"%s\" text=\"%s\" session=%.*s",
            our_fault ? "request-faulted" : "refused", r->code, r->experimental, r->failed_avp,
            r->error_message, EPC_STR_ARG(sid));
}

/* ---- the result ---------------------------------------------------------------------------------------- */

/* Result-Code or, in its place, Experimental-Result (RFC 6733 7.6). @return false: neither. */
static bool read_code(struct msg *m, struct epc_policy_result *r)
{
    struct avp *exp = rx_get(m, RX_EXPERIMENTAL_RESULT, NULL);
    bool plain = rx_get_u32(m, RX_RESULT_CODE, &r->code);
    if (plain && (r->code / 1000 != 2 || !exp))
        return true;
    if (exp && rx_get_u32(exp, RX_EXPERIMENTAL_RESULT_CODE, &r->code)) {
        r->experimental = true;
        return true;
    }
    return plain;
}

static enum rx_event read_refusal(struct msg *m, struct epc_policy_result *r)
{
    r->outcome = EPC_POLICY_REFUSED;
    (void)rx_get_u32(m, RX_RETRY_INTERVAL, &r->retry_interval_s);
    (void)rx_get_u32(m, RX_SERVICE_AUTHORIZATION_INFO, &r->authorization_info);
    read_acceptable(m, r);
    read_failed_avp(m, r);
    read_error_message(m, r);
    log_refusal(m, r);
    if (!r->experimental && r->code == UNKNOWN_SESSION)
        return RX_EV_UNKNOWN;
    return r->experimental && r->code == DUPLICATED_AF_SESSION ? RX_EV_DUPLICATE : RX_EV_REFUSED;
}

/* freeDiameter finds the request by the Hop-by-Hop Identifier alone; an answer must also repeat its
 * command, End-to-End Identifier and Session-Id (RFC 6733 3, 8.8; the last may be absent in an error). */
static bool answers_its_request(struct msg *m)
{
    struct msg *request = NULL;
    struct msg_hdr *asked, *h;
    struct epc_str want, sid;
    if (fd_msg_answ_getq(m, &request) || !request || fd_msg_hdr(request, &asked) || fd_msg_hdr(m, &h))
        return true; /* there is nothing to compare with */
    if (h->msg_code != asked->msg_code || h->msg_eteid != asked->msg_eteid)
        return false;
    return !rx_get_octets(request, RX_SESSION_ID, &want) || !rx_get_octets(m, RX_SESSION_ID, &sid) ||
           epc_str_eq(want, sid);
}

enum rx_event rx_read_answer(struct msg *m, struct epc_policy_result *r)
{
    *r = (struct epc_policy_result){.outcome = EPC_POLICY_FAILED};
    if (!answers_its_request(m)) {
        epc_log(EPC_LOG_WARN, "rx", "event=answer-to-another-request");
        epc_count(EPC_C_RX_UNCLEAR);
        return RX_EV_UNCLEAR;
    }
    bool known = read_code(m, r);
    uint32_t class = r->code / 1000;
    if (!known || class < 2 || class > 5) {
        epc_log(EPC_LOG_WARN, "rx", "event=answer-without-result code=%u", r->code);
        epc_count(EPC_C_RX_UNCLEAR);
        return RX_EV_UNCLEAR;
    }
    if (class == 2) {
        r->outcome = EPC_POLICY_GRANTED;
        return RX_EV_GRANTED;
    }
    if (!r->experimental && class == 3) {
        r->outcome = EPC_POLICY_UNREACHABLE;
        epc_log(EPC_LOG_WARN, "rx", "event=undelivered code=%u", r->code);
        return RX_EV_UNDELIVERED;
    }
    return read_refusal(m, r);
}

/* ---- what later requests carry -------------------------------------------------------------------------- */

static void keep(char **to, struct msg *m, enum rx_avp id)
{
    struct epc_str v;
    if (*to || !rx_get_octets(m, id, &v))
        return;
    *to = epc_str_dup(v); /* without it requests go by realm: no failure */
}

/* RFC 6733 8.20: what a server sent last, all of it. */
void rx_learn_class(struct rx_assoc *a, struct msg *m)
{
    struct avp *c = rx_get(m, RX_CLASS, NULL);
    if (!c)
        return;
    for (size_t i = 0; i < a->n_class; i++)
        free((char *)a->class_avp[i].p);
    a->n_class = 0;
    for (; c && a->n_class < RX_MAX_CLASS; c = rx_get(m, RX_CLASS, c)) {
        struct avp_hdr *h;
        if (fd_msg_avp_hdr(c, &h) || !h->avp_value)
            continue;
        size_t n = h->avp_value->os.len;
        char *copy = malloc(n ? n : 1);
        if (!copy)
            return;
        if (n)
            memcpy(copy, h->avp_value->os.data, n);
        a->class_avp[a->n_class++] = (struct epc_str){copy, n};
    }
}

void rx_learn_peer(struct rx_assoc *a, struct msg *m)
{
    keep(&a->peer_host, m, RX_ORIGIN_HOST);
    keep(&a->peer_realm, m, RX_ORIGIN_REALM);
    rx_learn_class(a, m);
    if (!a->answered) /* negotiated by the first pair of messages (TS 29.214 5.4.1) */
        rx_read_features(m, a);
}
