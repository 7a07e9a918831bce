/* Whole messages: requests and responses of our own making, and what every message needs to be sent. */
#include "sip/sip_priv.h"

#include <stdlib.h>
#include <string.h>

enum epc_err epc_sip_finish(msg_t *msg)
{
    sip_t *sip = epc_sip_of(msg);
    size_t n = 0;
    for (const sip_payload_t *pl = sip->sip_payload; pl; pl = pl->pl_next)
        n += pl->pl_len;
    if (!sip->sip_content_length || sip->sip_content_length->l_length != n) {
        sip_content_length_t *cl = sip_content_length_create(msg_home(msg), (uint32_t)n);
        if (!cl)
            return EPC_ENOMEM;
        if (sip->sip_content_length)
            msg_header_remove(msg, epc_pub(sip), epc_hdr(sip->sip_content_length));
        if (msg_header_insert(msg, epc_pub(sip), epc_hdr(cl)) < 0)
            return EPC_ENOMEM;
    }
    if (!sip->sip_separator) {
        sip_separator_t *sep = sip_separator_create(msg_home(msg));
        if (!sep || msg_header_insert(msg, epc_pub(sip), epc_hdr(sep)) < 0)
            return EPC_ENOMEM;
    }
    return msg_serialize(msg, epc_pub(sip)) < 0 ? EPC_EPROTO : EPC_OK;
}

void epc_sip_trace_msg(enum epc_trace_point point, bool out, const char *peer, msg_t *msg)
{
    if (!epc_trace_on() || !msg)
        return;
    size_t n = 0;
    const sip_t *sip = epc_sip_of(msg);
    char *text = msg_as_string(NULL, msg, NULL, 0, &n);
    if (text)
        epc_trace(point, out, peer, sip->sip_call_id ? sip->sip_call_id->i_id : NULL, text, n);
    free(text);
}

void epc_sip_new_branch(char out[EPC_SIP_BRANCH_LEN])
{
    memcpy(out, "z9hG4bK", 7);
    epc_random_hex(out + 7, 12);
}

static bool dup_in(msg_t *msg, const void *h)
{
    return !h || msg_header_add_dup(msg, epc_pub(epc_sip_of(msg)), epc_hdr(h)) >= 0;
}

static bool insert(msg_t *msg, void *h)
{
    return h && msg_header_insert(msg, epc_pub(epc_sip_of(msg)), epc_hdr(h)) >= 0;
}

msg_t *epc_sip_make_response(const sip_t *req, int status, const char *phrase, const char *to_tag,
                             const char *extra)
{
    msg_t *msg = msg_create(sip_default_mclass(), 0);
    if (!msg)
        return NULL;
    su_home_t *home = msg_home(msg);
    sip_t *sip = epc_sip_of(msg);
    if (!phrase)
        phrase = sip_status_phrase(status);
    if (!phrase)
        phrase = "Unspecified";
    bool ok = insert(msg, sip_status_create(home, (unsigned)status, su_strdup(home, phrase), NULL)) &&
              dup_in(msg, req->sip_via) && dup_in(msg, req->sip_from) && dup_in(msg, req->sip_to) &&
              dup_in(msg, req->sip_call_id) && dup_in(msg, req->sip_cseq);
    if (ok && status > 100 && status < 300)
        ok = dup_in(msg, req->sip_record_route);
    if (ok && status > 100 && to_tag && sip->sip_to && !sip->sip_to->a_tag)
        ok = sip_to_tag(home, sip->sip_to, to_tag) >= 0;
    if (ok)
        ok = epc_sip_add_lines(msg, extra) == EPC_OK && epc_sip_finish(msg) == EPC_OK;
    if (!ok) {
        msg_destroy(msg);
        return NULL;
    }
    return msg;
}

msg_t *epc_sip_make_inner(const sip_t *req, sip_method_t method, const char *name,
                          const sip_to_t *to, bool with_via, const char *extra)
{
    msg_t *msg = msg_create(sip_default_mclass(), 0);
    if (!msg)
        return NULL;
    su_home_t *home = msg_home(msg);
    sip_t *sip = epc_sip_of(msg);
    sip_request_t *rq = sip_request_dup(home, req->sip_request);
    if (rq) {
        rq->rq_method = method;
        rq->rq_method_name = name;
    }
    bool ok = insert(msg, rq);
    if (ok && with_via && req->sip_via) {
        sip_via_t top = *req->sip_via;
        top.v_next = NULL;
        ok = dup_in(msg, &top);
    }
    ok = ok && insert(msg, sip_max_forwards_make(home, "70")) && dup_in(msg, req->sip_route) &&
         dup_in(msg, req->sip_from) && dup_in(msg, to ? to : req->sip_to) &&
         dup_in(msg, req->sip_call_id) &&
         insert(msg, sip_cseq_create(home, req->sip_cseq->cs_seq, (unsigned)method, name)) &&
         epc_sip_add_lines(msg, extra) == EPC_OK && epc_sip_finish(msg) == EPC_OK;
    if (!ok || !sip->sip_request) {
        msg_destroy(msg);
        return NULL;
    }
    return msg;
}

/* Put a copy of @p list on top of the message, in its order. Via and Record-Route go in front of what is
 * there, one by one: so the last comes first. (Adding the list in one call turns it round in a message
 * that was parsed: the fields' order in the text is a chain of its own.) */
static enum epc_err put_list(msg_t *msg, const void *list)
{
    const msg_header_t *h = list, *below = NULL;
    while (below != h) {
        const msg_header_t *last = h;
        while (last->sh_next != below)
            last = last->sh_next;
        msg_header_t *one = msg_header_dup_one(msg_home(msg), last);
        if (!one || msg_header_insert(msg, epc_pub(epc_sip_of(msg)), one) < 0)
            return EPC_ENOMEM;
        below = last;
    }
    return EPC_OK;
}

enum epc_err epc_sip_copy_vias(msg_t *msg, const sip_t *from)
{
    sip_t *sip = epc_sip_of(msg);
    while (sip->sip_via)
        if (msg_header_remove(msg, epc_pub(sip), epc_hdr(sip->sip_via)) != 0)
            break;
    return put_list(msg, from->sip_via);
}

enum epc_err epc_sip_copy_record_routes(msg_t *msg, const sip_t *from)
{
    sip_t *sip = epc_sip_of(msg);
    while (sip->sip_record_route)
        if (msg_header_remove(msg, epc_pub(sip), epc_hdr(sip->sip_record_route)) != 0)
            break;
    return put_list(msg, from->sip_record_route);
}

static bool is_line(const char *s)
{
    return s && *s && !strpbrk(s, "\r\n");
}

msg_t *epc_sip_request(const struct epc_sip_parts *p)
{
    struct epc_buf b = {0};
    if (!is_line(p->method) || !is_line(p->request_uri) || strpbrk(p->request_uri, " \t<>") ||
        !is_line(p->from) || !is_line(p->to) || !is_line(p->call_id))
        return NULL;
    epc_buf_printf(&b, "%s %s SIP/2.0\r\nMax-Forwards: 70\r\n", p->method, p->request_uri);
    for (const char *const *r = p->routes; r && *r; r++) {
        if (!is_line(*r))
            b.failed = true;
        else
            epc_buf_printf(&b, strchr(*r, '<') ? "Route: %s\r\n" : "Route: <%s>\r\n", *r);
    }
    epc_buf_printf(&b, "From: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %u %s\r\n", p->from, p->to,
                   p->call_id, p->cseq, p->method);
    if (p->extra)
        epc_buf_adds(&b, p->extra);
    epc_buf_adds(&b, "Content-Length: 0\r\n\r\n");
    msg_t *msg = b.failed ? NULL : epc_sip_parse(b.p, b.n);
    epc_buf_free(&b);
    const sip_t *sip = msg ? epc_sip_of(msg) : NULL;
    if (sip && sip->sip_request && !sip->sip_error && sip->sip_from && sip->sip_to &&
        sip->sip_call_id && sip->sip_cseq && sip->sip_request->rq_url->url_type != url_invalid)
        return msg;
    if (msg)
        msg_destroy(msg);
    return NULL;
}
