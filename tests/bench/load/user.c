#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct text message;

static void head(struct load *l, struct user *u, const char *method, const char *uri, char kind, unsigned cseq)
{
    unsigned i = u->wic.index;
    message.n = 0;
    text_printf(&message, "%s %s SIP/2.0\r\nVia: SIP/2.0/WSS w%u.invalid;branch=z9hG4bK%c%ux%ux%u%s\r\nMax-Forwards: 69\r\n",
                method, uri, i, kind, i, kind == 'r' ? 0 : u->call, cseq, *method == 'A' ? "a" : "");
    if (l->padding) {
        text_printf(&message, "X-Padding: ");
        for (size_t n = 0; n < l->padding; n++)
            text_add(&message, "p", 1);
        text_add(&message, "\r\n", 2);
    }
}

static void send_message(struct user *u)
{
    wic_send(&u->wic, message.p, message.n);
}

void user_register(struct load *l, struct user *u)
{
    unsigned i = u->wic.index;
    char uri[128];
    if (l->key && (l->fresh || !u->token)) {
        free(u->token);
        u->token = token_make(l->key, i, l->domain);
    }
    snprintf(uri, sizeof uri, "sip:%s", l->domain);
    head(l, u, "REGISTER", uri, 'r', ++u->cseq);
    text_printf(&message, "To: <sip:u%u@%s>\r\nFrom: <sip:u%u@%s>;tag=r%u\r\nCall-ID: reg-%u-bench\r\nCSeq: %u REGISTER\r\n",
                i, l->domain, i, l->domain, i, i, u->cseq);
    text_printf(&message, "Contact: <sip:c%u@w%u.invalid;transport=ws>;+sip.ice;reg-id=1;"
                "+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-%012u>\";expires=600\r\nExpires: 600\r\n", i, i, i);
    if (u->token)
        text_printf(&message, "Authorization: Bearer %s\r\n", u->token);
    text_printf(&message, "Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY,SUBSCRIBE\r\n"
                "Supported: path,gruu,outbound\r\nUser-Agent: bench\r\nContent-Length: 0\r\n\r\n");
    u->sent_ns = now_ns();
    send_message(u);
}

/* ---- calls ---------------------------------------------------------------------------------------------- */

static void dialog_lines(struct load *l, struct user *u, const char *method, unsigned cseq)
{
    unsigned i = u->wic.index;
    text_printf(&message, "From: <sip:u%u@%s>;tag=c%u\r\nCall-ID: call-%u-%u-bench\r\nCSeq: %u %s\r\n", i, l->domain,
                u->call, i, u->call, cseq, method);
}

void user_forget_call(struct user *u)
{
    free(u->to);
    free(u->routes);
    free(u->target);
    u->to = u->routes = u->target = NULL;
}

void user_call(struct load *l, struct user *u)
{
    unsigned i = u->wic.index;
    user_forget_call(u);
    u->call++;
    u->call_cseq = 1;
    head(l, u, "INVITE", l->called, 'i', 1);
    text_printf(&message, "To: <%s>\r\n", l->called);
    dialog_lines(l, u, "INVITE", 1);
    text_printf(&message, "Contact: <sip:c%u@w%u.invalid;transport=ws;ob>\r\n"
                "Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY\r\n"
                "Supported: gruu,outbound\r\nUser-Agent: bench\r\nContent-Type: application/sdp\r\n"
                "Content-Length: %zu\r\n\r\n%s", i, i, strlen(l->sdp), l->sdp);
    u->sent_ns = u->began_ns = now_ns();
    send_message(u);
}

static void in_dialog(struct load *l, struct user *u, const char *method, unsigned cseq)
{
    head(l, u, method, u->target, 'd', cseq);
    text_printf(&message, "%sTo: %s\r\n", u->routes, u->to);
    dialog_lines(l, u, method, cseq);
    text_printf(&message, "Content-Length: 0\r\n\r\n");
    send_message(u);
}

/* Record-Route upside down is the caller's Route (RFC 3261 12.1.2). */
static void learn_dialog(struct user *u, struct span m)
{
    struct text routes = {0};
    struct span value, target = sip_uri(sip_value(m, "Contact", 'm', 0)), to = sip_value(m, "To", 't', 0);
    unsigned n = 0;
    while (sip_value(m, "Record-Route", 0, n).p)
        n++;
    text_printf(&routes, "%s", "");
    while (n-- > 0) {
        value = sip_value(m, "Record-Route", 0, n);
        /* Several in one line stand in their order: the last first. */
        while (value.n) {
            const char *comma = memrchr(value.p, ',', value.n);
            const char *from = comma ? comma + 1 : value.p;
            text_printf(&routes, "Route: %.*s\r\n", (int)(value.n - (size_t)(from - value.p)), from);
            value.n = comma ? (size_t)(comma - value.p) : 0;
        }
    }
    user_forget_call(u);
    u->routes = routes.p;
    u->to = strndup(to.p, to.n);
    u->target = strndup(target.p, target.n);
}

static void on_invite_answered(struct load *l, struct user *u, struct span m)
{
    struct span contact = sip_value(m, "Contact", 'm', 0);
    if (!contact.p || !sip_value(m, "To", 't', 0).p) {
        load_failed(l, u, m);
        return;
    }
    learn_dialog(u, m);
    histogram_add(&l->latency, now_ns() - u->sent_ns);
    in_dialog(l, u, "ACK", 1);
    if (u->wic.state == WIC_OPEN)
        in_dialog(l, u, "BYE", ++u->call_cseq);
}

static void on_request(struct user *u, struct span m)
{
    struct span line;
    size_t at = 0;
    message.n = 0;
    text_printf(&message, "SIP/2.0 200 OK\r\n");
    sip_line(m, &at, &line);
    while (sip_line(m, &at, &line))
        if (sip_is(line, "Via", 'v', NULL) || sip_is(line, "From", 'f', NULL) || sip_is(line, "To", 't', NULL) ||
            sip_is(line, "Call-ID", 'i', NULL) || sip_is(line, "CSeq", 0, NULL)) {
            text_add(&message, line.p, line.n);
            text_add(&message, "\r\n", 2);
        }
    text_printf(&message, "Content-Length: 0\r\n\r\n");
    send_message(u);
}

void user_text(struct load *l, struct user *u, struct span m)
{
    int status = sip_status(m);
    struct span cseq = sip_value(m, "CSeq", 0, 0);
    if (m.n < 8)
        return; /* a keep-alive */
    if (!status) {
        on_request(u, m);
        return;
    }
    if (status < 200 || !u->busy)
        return;
    const char *method = cseq.n ? memchr(cseq.p, ' ', cseq.n) : NULL;
    bool invite = method && strncmp(method, " INVITE", 7) == 0;
    if (invite && status / 100 == 2)
        on_invite_answered(l, u, m);
    else if (status / 100 != 2)
        load_failed(l, u, m);
    else {
        if (l->work == WORK_REGISTER) {
            u->registered = true;
            histogram_add(&l->latency, now_ns() - u->sent_ns);
        }
        load_done(l, u);
    }
}
