#include "load.h"

#include <stdio.h>
#include <sys/socket.h>

static struct text message, body;

void called_begin(struct load *l, struct user *u)
{
    char text[32];
    int n = snprintf(text, sizeof text, "CALL %u", u->wic.index);
    u->sent_ns = now_ns();
    u->took_ns = 0;
    if (l->core_fd < 0 || send(l->core_fd, text, (size_t)n, 0) != n)
        load_failed(l, u, (struct span){"core", 4});
}

/* What a response repeats; Record-Route matters in that to INVITE only. */
static void echo(struct span m)
{
    struct span line, value;
    size_t at = 0;
    message.n = 0;
    text_printf(&message, "SIP/2.0 200 OK\r\n");
    sip_line(m, &at, &line);
    while (sip_line(m, &at, &line)) {
        bool to = sip_is(line, "To", 't', &value);
        if (!to && !sip_is(line, "Via", 'v', NULL) && !sip_is(line, "From", 'f', NULL) &&
            !sip_is(line, "Call-ID", 'i', NULL) && !sip_is(line, "CSeq", 0, NULL) &&
            !sip_is(line, "Record-Route", 0, NULL))
            continue;
        text_add(&message, line.p, line.n);
        if (to && !sip_param(value, "tag").p)
            text_printf(&message, ";tag=called");
        text_add(&message, "\r\n", 2);
    }
}

/* One stream, in the offer's first format, as a browser would take it. */
static void describe(struct span offer)
{
    struct span line;
    size_t at = 0;
    unsigned port, format;
    body.n = 0;
    text_printf(&body, "v=0\r\no=- 9 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n");
    while (sip_line(offer, &at, &line))
        if (sscanf(line.p, "m=audio %u %*s %u", &port, &format) == 2) {
            text_printf(&body, "m=audio 40100 UDP/TLS/RTP/SAVPF %u\r\nc=IN IP4 127.0.0.1\r\na=sendrecv\r\na=rtcp-mux\r\n"
                        "a=candidate:1 1 udp 2122260223 127.0.0.1 40100 typ host\r\na=ice-ufrag:4mZn\r\n"
                        "a=ice-pwd:/fvPNDYJ3oLWWmb1Ty1Hfrl3\r\na=setup:active\r\na=fingerprint:sha-256 49:33:11:EB:70:57:DD:"
                        "DF:7B:89:D1:1E:3A:E9:7D:93:61:35:08:19:1F:04:8B:C4:20:A6:CF:B7:D6:02:BB:42\r\n", format);
        } else if (line.n > 6 && (memcmp(line.p, "a=mid:", 6) == 0 || memcmp(line.p, "a=rtpma", 7) == 0)) {
            text_add(&body, line.p, line.n);
            text_add(&body, "\r\n", 2);
        }
}

void called_request(struct load *l, struct user *u, struct span m)
{
    if (m.n > 4 && memcmp(m.p, "ACK ", 4) == 0)
        return;
    bool invite = m.n > 7 && memcmp(m.p, "INVITE ", 7) == 0, bye = m.n > 4 && memcmp(m.p, "BYE ", 4) == 0;
    echo(m);
    if (invite) {
        size_t at = sip_body_at(m);
        describe((struct span){m.p + at, m.n - at});
        text_printf(&message, "Contact: <sip:c%u@w%u.invalid;transport=ws;ob>\r\nContent-Type: application/sdp\r\n"
                    "Content-Length: %zu\r\n\r\n", u->wic.index, u->wic.index, body.n);
        text_add(&message, body.p, body.n);
        u->took_ns = now_ns() - u->sent_ns;
    } else
        text_printf(&message, "Content-Length: 0\r\n\r\n");
    wic_send(&u->wic, message.p, message.n);
    if (bye && u->doing == WORK_CALLED)
        load_done(l, u, u->took_ns);
}
