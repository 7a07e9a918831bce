/* What the eP-CSCF knows of a call's dialog, and the requests that it makes in a party's name. */
#include "session/session_priv.h"

#include <sofia-sip/sip_header.h>
#include <sofia-sip/url.h>
#include <stdlib.h>
#include <string.h>

void strings_free(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
}

void party_free(struct party *p)
{
    free(p->identity);
    free(p->tag);
    free(p->target);
    *p = (struct party){0};
}

void dialog_free(struct epc_session *s)
{
    party_free(&s->wic);
    party_free(&s->core);
    strings_free(s->core_routes);
    s->core_routes = NULL;
}

static bool set_text(char **at, const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        return false;
    free(*at);
    *at = copy;
    return true;
}

static char *url_text(const url_t *u)
{
    su_home_t home[1] = {SU_HOME_INIT(home)};
    char *text = u ? url_as_string(home, u) : NULL;
    char *copy = text ? strdup(text) : NULL;
    su_home_deinit(home);
    return copy;
}

static struct party *party_at(struct epc_session *s, enum epc_leg leg)
{
    return leg == EPC_LEG_WIC ? &s->wic : &s->core;
}

static bool party_set(struct party *p, const sip_addr_t *identity, const sip_contact_t *contact)
{
    char *text = epc_sip_value(identity);
    if (!text || !set_text(&p->tag, identity->a_tag)) {
        free(text);
        return false;
    }
    free(p->identity);
    p->identity = text;
    if (contact) {
        char *target = url_text(contact->m_url);
        if (!target)
            return false;
        free(p->target);
        p->target = target;
    }
    return true;
}

/* Route set from Record-Route. The caller's side reads the list from the bottom (RFC 3261 12.1.2);
 * there our own two entries come first and are left out. */
char **dialog_routes(const sip_record_route_t *rr, bool reverse, size_t skip)
{
    size_t n = 0;
    for (const sip_record_route_t *r = rr; r; r = r->r_next)
        n++;
    n -= n < skip ? n : skip;
    char **list = calloc(n + 1, sizeof *list);
    size_t i = 0;
    for (const sip_record_route_t *r = rr; list && r && i < n; r = r->r_next) {
        list[i] = url_text(r->r_url);
        if (!list[i++]) {
            strings_free(list);
            return NULL;
        }
    }
    for (size_t k = 0; list && reverse && k < n / 2; k++) {
        char *swap = list[k];
        list[k] = list[n - 1 - k];
        list[n - 1 - k] = swap;
    }
    return list;
}

bool dialog_from_invite(struct epc_session *s, const sip_t *sip)
{
    struct party *caller = party_at(s, caller_leg(s));
    struct party *callee = party_at(s, other_leg(caller_leg(s)));
    if (!party_set(caller, sip->sip_from, sip->sip_contact) || !party_set(callee, sip->sip_to, NULL))
        return false;
    caller->cseq = sip->sip_cseq->cs_seq;
    if (!s->originating) {
        s->core_routes = dialog_routes(sip->sip_record_route, false, 0);
        if (!s->core_routes)
            return false;
    }
    return true;
}

void dialog_from_response(struct epc_session *s, const sip_t *sip, int status)
{
    enum epc_leg leg = other_leg(caller_leg(s));
    struct party *callee = party_at(s, leg);
    if (status <= 100 || status >= 300 || !sip->sip_to || !sip->sip_to->a_tag)
        return;
    bool same = callee->tag && strcmp(callee->tag, sip->sip_to->a_tag) == 0;
    if (s->answered && !same)
        return; /* another fork's 2xx: its dialog is the caller's to end */
    if (!party_set(callee, sip->sip_to, sip->sip_contact))
        epc_log(EPC_LOG_ERROR, "session", "event=out-of-memory call=%.128s", s->call_id);
    if (s->originating && sip->sip_record_route) {
        char **routes = dialog_routes(sip->sip_record_route, true, 2);
        if (routes) {
            strings_free(s->core_routes);
            s->core_routes = routes;
        }
    }
}

void dialog_seen_target(struct epc_session *s, enum epc_leg from, sip_method_t m, const sip_t *sip)
{
    struct party *p = party_at(s, from);
    if (!sip->sip_contact || (m != sip_method_invite && m != sip_method_update))
        return;
    char *target = url_text(sip->sip_contact->m_url);
    if (target) {
        free(p->target);
        p->target = target;
    }
}

void dialog_seen_request(struct epc_session *s, enum epc_leg from, const sip_t *sip)
{
    struct party *p = party_at(s, from);
    uint32_t cseq = sip->sip_cseq->cs_seq + s->cseq_shift[other_leg(from)];
    if (cseq > p->cseq)
        p->cseq = cseq;
    dialog_seen_target(s, from, sip->sip_request->rq_method, sip);
}

bool dialog_is_confirmed(const struct epc_session *s, enum epc_leg from, const sip_t *sip)
{
    const struct party *callee = s->originating ? &s->core : &s->wic;
    const char *tag = from == caller_leg(s) ? sip->sip_to->a_tag : sip->sip_from->a_tag;
    return s->answered && callee->tag && tag && strcmp(callee->tag, tag) == 0;
}

static void send_request(struct epc_session *s, enum epc_leg to, msg_t *msg)
{
    struct epc_sip_out *out = NULL;
    struct epc_sip_dest dest = {.leg = to, .flow_id = s->flow_id};
    enum epc_err err = msg ? epc_sip_out_send(&out, s->ss->sip, &dest, &msg, NULL, NULL) : EPC_ENOMEM;
    if (err != EPC_OK) {
        char who[384];
        epc_log(EPC_LOG_WARN, "session", "event=request-not-sent to=%s %s why=\"%s\"",
                to == EPC_LEG_WIC ? "wic" : "core", session_log(s, who), epc_err_name(err));
        if (msg)
            msg_destroy(msg);
    }
    epc_sip_out_detach(out);
}

struct epc_sip_out *dialog_send(struct epc_session *s, enum epc_leg to, const char *method, epc_sip_response_fn *fn)
{
    struct party *them = party_at(s, to), *us = party_at(s, other_leg(to));
    struct epc_sip_out *out = NULL;
    struct epc_sip_dest dest = {.leg = to, .flow_id = s->flow_id};
    char contact[512];
    if (!them->target || !them->identity || !us->identity || !us->target)
        return NULL;
    snprintf(contact, sizeof contact, "Contact: <%.450s>\r\n", us->target);
    struct epc_sip_parts parts = {
        .method = method,
        .request_uri = them->target,
        .from = us->identity,
        .to = them->identity,
        .call_id = s->call_id,
        .cseq = us->cseq + 1,
        .routes = to == EPC_LEG_CORE ? (const char *const *)s->core_routes : NULL,
        .extra = contact,
    };
    msg_t *msg = epc_sip_request(&parts);
    if (msg && epc_sip_out_send(&out, s->ss->sip, &dest, &msg, fn, s) == EPC_OK) {
        us->cseq++;
        s->cseq_shift[to]++;
    }
    if (msg)
        msg_destroy(msg);
    return out;
}

void dialog_send_bye(struct epc_session *s, enum epc_leg to, const char *reason)
{
    struct party *them = party_at(s, to), *us = party_at(s, other_leg(to));
    char extra[512];
    if (!them->target || !them->identity || !us->identity)
        return;
    snprintf(extra, sizeof extra, "Reason: %s\r\n", reason);
    struct epc_sip_parts parts = {
        .method = "BYE",
        .request_uri = them->target,
        .from = us->identity,
        .to = them->identity,
        .call_id = s->call_id,
        .cseq = ++us->cseq,
        .routes = to == EPC_LEG_CORE ? (const char *const *)s->core_routes : NULL,
        .extra = extra,
    };
    send_request(s, to, epc_sip_request(&parts));
}

void dialog_prack(struct epc_session *s, const sip_t *answer, uint32_t rseq)
{
    char *target = answer->sip_contact ? url_text(answer->sip_contact->m_url) : NULL;
    char *to = epc_sip_value(answer->sip_to), *from = epc_sip_value(answer->sip_from);
    char **routes = dialog_routes(answer->sip_record_route, true, 2);
    char extra[64];
    snprintf(extra, sizeof extra, "RAck: %u %u INVITE\r\n", (unsigned)rseq, (unsigned)answer->sip_cseq->cs_seq);
    if (target && to && from && routes) {
        struct epc_sip_parts parts = {.method = "PRACK",
                                      .request_uri = target,
                                      .from = from,
                                      .to = to,
                                      .call_id = s->call_id,
                                      .cseq = ++s->wic.cseq,
                                      .routes = (const char *const *)routes,
                                      .extra = extra};
        s->cseq_shift[EPC_LEG_CORE]++;
        send_request(s, EPC_LEG_CORE, epc_sip_request(&parts));
    }
    free(target);
    free(to);
    free(from);
    strings_free(routes);
}

void dialog_ack_and_bye(struct epc_session *s, enum epc_leg to, const sip_t *answer, uint32_t cseq,
                        bool bye, const char *reason)
{
    struct party *us = party_at(s, other_leg(to));
    char *target = answer->sip_contact ? url_text(answer->sip_contact->m_url) : NULL;
    char *identity = epc_sip_value(answer->sip_to);
    char *from = epc_sip_value(answer->sip_from);
    char **routes =
        to == EPC_LEG_CORE && caller_leg(s) == EPC_LEG_WIC
            ? dialog_routes(answer->sip_record_route, true, 2)
            : NULL;
    /* Inside a dialog the route set is the dialog's, not the answer's (RFC 3261 12.2). */
    const char *const *use = (const char *const *)(s->answered && to == EPC_LEG_CORE ? s->core_routes : routes);
    char extra[512];
    snprintf(extra, sizeof extra, "Reason: %s\r\n", reason);
    struct epc_sip_parts parts = {.method = "ACK",
                                  .request_uri = target,
                                  .from = from,
                                  .to = identity,
                                  .call_id = s->call_id,
                                  .cseq = cseq,
                                  .routes = use};
    struct epc_sip_dest dest = {.leg = to, .flow_id = s->flow_id};
    if (target && identity && from) {
        msg_t *ack = epc_sip_request(&parts);
        if (ack && epc_sip_send_ack(s->ss->sip, &dest, &ack) != EPC_OK && ack)
            msg_destroy(ack);
        if (bye) {
            if (us->cseq < cseq)
                us->cseq = cseq;
            parts.method = "BYE";
            parts.cseq = ++us->cseq;
            parts.extra = extra;
            send_request(s, to, epc_sip_request(&parts));
        }
    }
    free(target);
    free(identity);
    free(from);
    strings_free(routes);
}
