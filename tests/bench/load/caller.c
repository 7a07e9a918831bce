#include "core.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_USERS = 65536 };

static struct callee {
    char *contact, *path;
    struct sockaddr_in edge;
    unsigned calls;
} users[MAX_USERS];
static struct text message;

static const char offer[] = "v=0\r\no=- 30 1 IN IP4 10.20.0.5\r\ns=-\r\nc=IN IP4 10.20.0.5\r\nt=0 0\r\n"
                            "m=audio 30000 RTP/AVP 8 101\r\nb=AS:41\r\na=rtpmap:8 PCMA/8000\r\n"
                            "a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";

/* Where a URI with a literal address points to. */
static bool address_of(const char *uri, struct sockaddr_in *to)
{
    char ip[64];
    unsigned port;
    const char *at = strchr(uri, '@'), *host = at ? at + 1 : strchr(uri, ':');
    *to = (struct sockaddr_in){.sin_family = AF_INET};
    if (!host || sscanf(at ? host : host + 1, "%63[0-9.]:%u", ip, &port) != 2 || inet_pton(AF_INET, ip, &to->sin_addr) != 1)
        return false;
    to->sin_port = htons((unsigned short)port);
    return true;
}

static struct callee *user_of(struct span aor)
{
    unsigned index;
    return aor.n > 5 && sscanf(aor.p, "sip:u%u@", &index) == 1 && index < MAX_USERS ? &users[index] : NULL;
}

void caller_learn(struct span aor, struct span contact, struct span path)
{
    struct callee *u = user_of(aor);
    struct span uri = sip_uri(contact);
    if (!u || !path.p || !uri.p || u->path)
        return; /* a refresh leaves both as they were */
    u->path = strndup(path.p, path.n);
    u->contact = strndup(uri.p, uri.n);
    if (!u->path || !u->contact || !address_of(u->path, &u->edge)) {
        free(u->path);
        free(u->contact);
        u->path = u->contact = NULL;
    }
}

static void give(struct core *c, const struct callee *u)
{
    if (sendto(c->udp, message.p, message.n, 0, (const struct sockaddr *)&u->edge, sizeof u->edge) < 0)
        c->faults++;
}

static void head(const struct core *c, const struct callee *u, const char *method, const char *uri, unsigned cseq)
{
    long index = u - users;
    message.n = 0;
    text_printf(&message, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;branch=z9hG4bKt%ldx%ux%u%c\r\nMax-Forwards: 68\r\n"
                "From: <sip:phone@ims.test>;tag=t%ldx%u\r\nCall-ID: term-%ld-%u\r\nCSeq: %u %s\r\n", method, uri, c->ip,
                c->port, index, u->calls, cseq, *method, index, u->calls, index, u->calls, cseq, method);
}

bool caller_command(struct core *c, struct span m)
{
    unsigned index;
    if (m.n < 6 || memcmp(m.p, "CALL ", 5) != 0)
        return false;
    index = (unsigned)strtoul(m.p + 5, NULL, 10);
    struct callee *u = index < MAX_USERS ? &users[index] : NULL;
    if (!u || !u->path) {
        c->faults++;
        return true;
    }
    u->calls++;
    head(c, u, "INVITE", u->contact, 1);
    text_printf(&message, "Route: %s\r\nTo: <sip:u%u@ims.test>\r\nContact: <sip:phone@%s:%d>\r\n"
                "P-Asserted-Identity: <sip:phone@ims.test>\r\nP-Called-Party-ID: <sip:u%u@ims.test>\r\n"
                "P-Charging-Vector: icid-value=t%ux%u;orig-ioi=ims.test\r\nAllow: INVITE,ACK,CANCEL,BYE,UPDATE,INFO\r\n"
                "Supported: 100rel\r\nContent-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
                u->path, index, c->ip, c->port, index, index, u->calls, sizeof offer - 1, offer);
    give(c, u);
    return true;
}

static void in_dialog(struct core *c, const struct callee *u, struct span m, const char *method, unsigned cseq)
{
    char target[256];
    struct span to = sip_value(m, "To", 't', 0), uri = sip_uri(sip_value(m, "Contact", 'm', 0));
    snprintf(target, sizeof target, "%.*s", (int)uri.n, uri.p ? uri.p : "");
    head(c, u, method, target, cseq);
    sip_routes(m, &message);
    text_printf(&message, "To: %.*s\r\nContent-Length: 0\r\n\r\n", (int)to.n, to.p);
    give(c, u);
}

void caller_response(struct core *c, struct span m)
{
    unsigned index, call;
    struct span id = sip_value(m, "Call-ID", 'i', 0), cseq = sip_value(m, "CSeq", 0, 0);
    int status = sip_status(m);
    if (!id.n || sscanf(id.p, "term-%u-%u", &index, &call) != 2 || index >= MAX_USERS || status < 200)
        return;
    struct callee *u = &users[index];
    if (call != u->calls || !cseq.n || !memmem(cseq.p, cseq.n, "INVITE", 6))
        return;
    in_dialog(c, u, m, "ACK", 1);
    if (status / 100 == 2)
        in_dialog(c, u, m, "BYE", 2);
    else
        c->faults++; /* the load sees no BYE and counts a failure */
}
