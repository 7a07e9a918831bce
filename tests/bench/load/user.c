#include "load.h"

#include <stdio.h>
#include <stdlib.h>

void user_head(const struct load *l, const struct user *u, struct text *out, const char *method, const char *uri,
               char kind, unsigned cseq)
{
    unsigned i = u->wic.index;
    out->n = 0;
    text_printf(out, "%s %s SIP/2.0\r\nVia: SIP/2.0/WSS w%u.invalid;branch=z9hG4bK%c%ux%ux%u%s\r\nMax-Forwards: 69\r\n",
                method, uri, i, kind, i, kind == 'r' ? 0 : u->call, cseq, *method == 'A' ? "a" : "");
    if (!l->padding)
        return;
    text_printf(out, "X-Padding: ");
    for (size_t n = 0; n < l->padding; n++)
        text_add(out, "p", 1);
    text_add(out, "\r\n", 2);
}

void user_register(struct load *l, struct user *u)
{
    static struct text message;
    unsigned i = u->wic.index;
    char uri[128];
    if (l->key && (l->fresh || !u->token)) {
        free(u->token);
        u->token = token_make(l->key, i, l->domain);
    }
    snprintf(uri, sizeof uri, "sip:%s", l->domain);
    u->expected = ++u->cseq;
    user_head(l, u, &message, "REGISTER", uri, 'r', u->cseq);
    text_printf(&message, "To: <sip:u%u@%s>\r\nFrom: <sip:u%u@%s>;tag=r%u\r\nCall-ID: reg-%u-bench\r\nCSeq: %u REGISTER\r\n",
                i, l->domain, i, l->domain, i, i, u->cseq);
    text_printf(&message, "Contact: <sip:c%u@w%u.invalid;transport=ws>;+sip.ice;reg-id=1;"
                "+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-%012u>\";expires=600\r\nExpires: 600\r\n", i, i, i);
    if (u->token)
        text_printf(&message, "Authorization: Bearer %s\r\n", u->token);
    text_printf(&message, "Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY,SUBSCRIBE\r\n"
                "Supported: path,gruu,outbound\r\nUser-Agent: bench\r\nContent-Length: 0\r\n\r\n");
    u->sent_ns = now_ns();
    wic_send(&u->wic, message.p, message.n);
}

/* Only the answer to what is done now counts. One that comes after its time serves nobody; but a refusal is one. */
void user_text(struct load *l, struct user *u, struct span m)
{
    int status = sip_status(m);
    struct span cseq = sip_value(m, "CSeq", 0, 0);
    if (m.n < 8)
        return; /* a keep-alive */
    if (!status) {
        called_request(l, u, m);
        return;
    }
    if (status < 200 || !cseq.n)
        return;
    bool is_register = memmem(cseq.p, cseq.n, "REGISTER", 8) != NULL;
    bool awaited = u->doing && u->doing != WORK_CALLED && is_register == work_registers(u->doing) &&
                   (unsigned)strtoul(cseq.p, NULL, 10) == u->expected;
    if (!awaited && is_register && u->given_up)
        tally_late(l, u, m);
    if (!awaited)
        return;
    if (!is_register)
        call_response(l, u, status, m);
    else if (status / 100 != 2)
        load_failed(l, u, m);
    else {
        u->registered = true;
        load_done(l, u, now_ns() - u->sent_ns);
    }
}
