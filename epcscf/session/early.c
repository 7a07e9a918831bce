/* Early dialogs of an INVITE (RFC 3261 12.1.2) and the media that may pass before the call is answered
 * (RFC 5009; TS 24.229 5.2.7). Each callee that rings is a dialog with an answer and an authorisation of
 * its own; the gateway holds the answer of one of them, the newest, and lets pass what that one may. */
#include "session/session_priv.h"

#include <stdlib.h>
#include <string.h>

struct early *early_of(struct transfer *x, const char *tag)
{
    struct early **at = &x->early;
    if (!tag)
        tag = "";
    for (; *at; at = &(*at)->next)
        if (strcmp((*at)->tag, tag) == 0)
            return *at;
    struct early *e = calloc(1, sizeof *e);
    if (!e || !(e->tag = strdup(tag))) {
        free(e);
        return NULL;
    }
    *at = e;
    return e;
}

void early_free(struct transfer *x)
{
    struct early *e;
    while ((e = x->early)) {
        x->early = e->next;
        if (x->s && x->s->at_gateway == e)
            x->s->at_gateway = NULL;
        free(e->tag);
        free(e->sdp);
        free(e->answer_text);
        free(e);
    }
}

/* ---- authorisation ------------------------------------------------------------------------------ */

/* One value for each m-line in order, the last for all the others. The gate is of the call as a whole:
 * what one m-line may, it may. */
static void read_values(struct early *e, struct epc_str list, bool *known, bool *gated)
{
    while (list.p) {
        struct epc_str v = epc_str_trim(epc_str_cut(&list, ','));
        bool both = epc_str_ieqc(v, "sendrecv");
        *gated = *gated || epc_str_ieqc(v, "gated");
        if (!both && !epc_str_ieqc(v, "sendonly") && !epc_str_ieqc(v, "recvonly") && !epc_str_ieqc(v, "inactive"))
            continue; /* RFC 5009 8: unknown words mean nothing */
        if (!*known)
            e->backward = e->forward = false;
        *known = true;
        e->backward = e->backward || both || epc_str_ieqc(v, "sendonly");
        e->forward = e->forward || both || epc_str_ieqc(v, "recvonly");
    }
}

void early_authorise(struct epc_session *s, struct early *e, msg_t *msg)
{
    bool known = false, gated = false;
    if (!e || s->answered || !s->originating)
        return;
    for (unsigned i = 0;; i++) {
        struct epc_str v = epc_sip_get(msg, "P-Early-Media", i);
        if (!v.p)
            break;
        read_values(e, v, &known, &gated);
    }
    if (gated && known) /* somebody nearer to the callee holds back what may not pass */
        e->backward = e->forward = true;
    e->authorised = e->authorised || known;
}

void early_gate(struct epc_session *s)
{
    const struct early *e = s->at_gateway;
    bool open = s->answered || s->ss->cfg->calls.early_media == EPC_EARLY_MEDIA_OPEN;
    bool said = !s->answered && e && e->authorised;
    bool to_access = said ? (s->originating ? e->backward : e->forward) : open;
    bool to_core = said ? (s->originating ? e->forward : e->backward) : open;
    if (!s->gw || (s->shut_access == !to_access && s->shut_core == !to_core))
        return;
    s->shut_access = !to_access;
    s->shut_core = !to_core;
    epc_gw_gate(s->gw, to_access, to_core);
}

/* The core learns that its callees' early media are welcome (TS 24.229 5.2.7.2). */
enum epc_err early_request(struct transfer *x, msg_t *msg)
{
    if (!x->initial || x->from != EPC_LEG_WIC || !x->ss->cfg->calls.early_media_supported ||
        epc_sip_get(msg, "P-Early-Media", 0).p)
        return EPC_OK;
    return epc_sip_add(msg, "P-Early-Media", "supported");
}

/* ---- UPDATE in an early dialog --------------------------------------------------------------------- */

bool early_update_here(const struct epc_session *s, const struct job *j)
{
    return j->kind == JOB_REQUEST && j->x->method == sip_method_update && j->from == EPC_LEG_CORE && !s->answered &&
           s->invite && s->invite->acts_reliably && s->invite->from == EPC_LEG_WIC;
}

void early_update_answer(struct transfer *x, const char *sdp)
{
    char contact[512] = "";
    if (x->s->wic.target)
        snprintf(contact, sizeof contact, "Contact: <%.450s>\r\n", x->s->wic.target);
    x->finished = true;
    if (sdp)
        epc_sip_in_reply_body(x->in, 200, contact, "application/sdp", sdp);
    else
        epc_sip_in_reply(x->in, 200, NULL, contact);
}

void early_seen_request(struct epc_session *s, const struct job *j)
{
    if (s->answered || !s->invite || j->from != EPC_LEG_CORE || s->invite->from != EPC_LEG_WIC)
        return;
    early_authorise(s, early_of(s->invite, sip_object(j->msg)->sip_from->a_tag), j->msg);
    early_gate(s);
}
