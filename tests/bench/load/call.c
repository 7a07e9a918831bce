#include "load.h"

#include <stdio.h>
#include <stdlib.h>

static struct text message;

static void dialog_lines(const struct load *l, const struct user *u, const char *method, unsigned cseq)
{
    unsigned i = u->wic.index;
    text_printf(&message, "From: <sip:u%u@%s>;tag=c%u\r\nCall-ID: call-%u-%u-bench\r\nCSeq: %u %s\r\n", i, l->domain,
                u->call, i, u->call, cseq, method);
}

void call_forget(struct user *u)
{
    free(u->to);
    free(u->routes);
    free(u->target);
    u->to = u->routes = u->target = NULL;
}

void call_begin(struct load *l, struct user *u, const char *to)
{
    unsigned i = u->wic.index;
    call_forget(u);
    u->call++;
    u->call_cseq = u->expected = 1;
    user_head(l, u, &message, "INVITE", to, 'i', 1);
    text_printf(&message, "To: <%s>\r\n", to);
    dialog_lines(l, u, "INVITE", 1);
    text_printf(&message, "Contact: <sip:c%u@w%u.invalid;transport=ws;ob>\r\n"
                "Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY\r\n"
                "Supported: gruu,outbound\r\nUser-Agent: bench\r\nContent-Type: application/sdp\r\n"
                "Content-Length: %zu\r\n\r\n", i, i, strlen(l->sdp));
    text_add(&message, l->sdp, strlen(l->sdp));
    u->sent_ns = now_ns();
    wic_send(&u->wic, message.p, message.n);
}

static void in_dialog(struct load *l, struct user *u, const char *method, unsigned cseq)
{
    user_head(l, u, &message, method, u->target, 'd', cseq);
    text_printf(&message, "%sTo: %s\r\n", u->routes, u->to);
    dialog_lines(l, u, method, cseq);
    text_printf(&message, "Content-Length: 0\r\n\r\n");
    wic_send(&u->wic, message.p, message.n);
}

void call_request(struct load *l, struct user *u, const char *method)
{
    u->expected = ++u->call_cseq;
    u->sent_ns = now_ns();
    in_dialog(l, u, method, u->expected);
}

static void learn_dialog(struct user *u, struct span m)
{
    struct text routes = {0};
    struct span target = sip_uri(sip_value(m, "Contact", 'm', 0)), to = sip_value(m, "To", 't', 0);
    text_printf(&routes, "%s", "");
    sip_routes(m, &routes);
    call_forget(u);
    u->routes = routes.p;
    u->to = strndup(to.p, to.n);
    u->target = strndup(target.p, target.n);
}

static void answered(struct load *l, struct user *u, struct span m)
{
    if (!sip_value(m, "Contact", 'm', 0).p || !sip_value(m, "To", 't', 0).p) {
        load_failed(l, u, m);
        return;
    }
    uint64_t took = now_ns() - u->sent_ns;
    learn_dialog(u, m);
    in_dialog(l, u, "ACK", 1);
    if (u->wic.state != WIC_OPEN)
        return; /* lost while writing, and counted */
    if (u->doing == WORK_HOLD) {
        u->held = true;
        load_done(l, u, took);
    } else {
        u->took_ns = took;
        u->expected = ++u->call_cseq;
        in_dialog(l, u, "BYE", u->expected);
    }
}

/* Of an answer that belongs to an earlier call nothing is wanted. */
static bool of_this_call(const struct user *u, struct span m)
{
    char wanted[64];
    struct span id = sip_value(m, "Call-ID", 'i', 0);
    int n = snprintf(wanted, sizeof wanted, "call-%u-%u-bench", u->wic.index, u->call);
    return id.n == (size_t)n && memcmp(id.p, wanted, id.n) == 0;
}

void call_response(struct load *l, struct user *u, int status, struct span m)
{
    if (!of_this_call(u, m))
        return;
    if (status / 100 != 2)
        load_failed(l, u, m); /* the transaction layer's ACK is the browser's; here nobody repeats the answer */
    else if (memmem(sip_value(m, "CSeq", 0, 0).p, sip_value(m, "CSeq", 0, 0).n, "INVITE", 6))
        answered(l, u, m);
    else {
        if (u->doing == WORK_HANGUP)
            u->held = false;
        load_done(l, u, u->doing == WORK_CALL || u->doing == WORK_SOS ? u->took_ns : now_ns() - u->sent_ns);
    }
}
