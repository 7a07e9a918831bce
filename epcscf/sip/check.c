/* Checks that hold for both legs, before a room sees a message (RFC 3261 8.2, 16.3). */
#include "sip/sip_priv.h"

#include <string.h>
#include <strings.h>

unsigned epc_sip_count_headers(const char *p, size_t n)
{
    unsigned lines = 0;
    for (size_t i = 0; i < n;) {
        const char *nl = memchr(p + i, '\n', n - i);
        size_t len = nl ? (size_t)(nl - (p + i)) : n - i;
        if (len == 0 || (len == 1 && p[i] == '\r'))
            break;
        if (p[i] != ' ' && p[i] != '\t')
            lines++;
        i += len + 1;
    }
    return lines ? lines - 1 : 0; /* the first line is no header */
}

static unsigned count_parsed(const msg_t *msg)
{
    unsigned n = 0;
    msg_header_t **head = msg_chain_head(msg);
    for (const msg_header_t *h = head ? *head : NULL; h; h = h->sh_succ)
        n++;
    return n;
}

/* Is every option tag of Proxy-Require one that we know? sec-agree is accepted and taken off by the
 * policy table: security agreement has no use over a secure WebSocket. */
static bool proxy_require_ok(const sip_t *sip, char extra[256])
{
    const sip_proxy_require_t *pr = sip->sip_proxy_require;
    if (!pr || !pr->k_items)
        return true;
    for (size_t i = 0; pr->k_items[i]; i++) {
        const char *tag = pr->k_items[i];
        if (strcasecmp(tag, "sec-agree") == 0)
            continue;
        if (strlen(tag) <= 64 && !strpbrk(tag, "\r\n"))
            snprintf(extra, 256, "Unsupported: %s\r\n", tag);
        return false;
    }
    return true;
}

static const char *missing_header(const sip_t *sip)
{
    if (!sip->sip_via || !sip->sip_via->v_host)
        return "Via";
    if (!sip->sip_from || !sip->sip_from->a_tag || !*sip->sip_from->a_tag)
        return "From tag";
    if (!sip->sip_to)
        return "To";
    if (!sip->sip_call_id || !sip->sip_call_id->i_id || !*sip->sip_call_id->i_id)
        return "Call-ID";
    if (!sip->sip_cseq || !sip->sip_cseq->cs_method_name)
        return "CSeq";
    return NULL;
}

static int refuse(struct epc_cause *c, int status, const char *spec, const char *reason)
{
    epc_cause_set(c, status, spec, "%s", reason);
    return status;
}

int epc_sip_check_request(msg_t *msg, struct epc_cause *c, char extra[256])
{
    const sip_t *sip = epc_sip_of(msg);
    const sip_request_t *rq = sip->sip_request;
    extra[0] = 0;
    const char *missing = missing_header(sip);
    if (missing) {
        epc_cause_set(c, 400, "RFC 3261 8.1.1", "Missing or bad %s", missing);
        return 400;
    }
    if (!rq->rq_version || strcasecmp(rq->rq_version, "SIP/2.0") != 0)
        return refuse(c, 505, "RFC 3261 21.5.6", "Version not supported");
    if (strcmp(rq->rq_method_name, sip->sip_cseq->cs_method_name) != 0)
        return refuse(c, 400, "RFC 3261 8.1.1.5", "CSeq method does not match");
    if (!sip->sip_via->v_branch || strncasecmp(sip->sip_via->v_branch, "z9hG4bK", 7) != 0)
        return refuse(c, 400, "RFC 3261 8.1.1.7", "Via branch without magic cookie");
    if (count_parsed(msg) > EPC_SIP_SERVER_MAX_HEADERS)
        return refuse(c, 400, NULL, "Too many header fields");
    if (sip->sip_error || (sip->sip_flags & (MSG_FLG_ERROR | MSG_FLG_TRUNC)))
        return refuse(c, 400, "RFC 3261 16.3", "Malformed header field");
    if (sip_sanity_check(sip) < 0)
        return refuse(c, 400, "RFC 3261 16.3", "Malformed request");
    if (sip->sip_max_forwards && sip->sip_max_forwards->mf_count == 0)
        return refuse(c, 483, "RFC 3261 16.3", "Too Many Hops");
    if (!proxy_require_ok(sip, extra))
        return refuse(c, 420, "RFC 3261 16.3", "Bad Extension");
    return 0;
}

bool epc_sip_check_response(msg_t *msg)
{
    sip_t *sip = epc_sip_of(msg);
    if (missing_header(sip) || !sip->sip_via->v_branch || sip->sip_status->st_status < 100 ||
        sip->sip_status->st_status > 699 || (sip->sip_flags & MSG_FLG_TRUNC) ||
        count_parsed(msg) > EPC_SIP_SERVER_MAX_HEADERS || sip_sanity_check(sip) < 0)
        return false;
    /* A field that cannot be read must not go on; the answer itself is worth more. One that is bad only
     * because it came twice keeps its own class, and msg_header_remove looks for it among the good ones
     * of that class: it leaves the list of errors to us. */
    while (sip->sip_error) {
        msg_header_t *bad = epc_hdr(sip->sip_error), *next = bad->sh_next;
        if (msg_header_remove(msg, epc_pub(sip), bad) != 0)
            return false;
        sip->sip_error = (sip_error_t *)(void *)next;
    }
    return true;
}
