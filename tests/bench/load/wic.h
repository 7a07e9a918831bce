/* A WIC's connection as a browser makes it: TCP, TLS 1.3, WebSocket with subprotocol sip (RFC 7118). */
#ifndef WIC_H
#define WIC_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdint.h>

#include "sip_text.h"

enum wic_state { WIC_IDLE, WIC_CONNECTING, WIC_TLS, WIC_UPGRADE, WIC_OPEN };

struct load;
struct wic;
struct wic_events {
    void (*open)(struct wic *w);
    void (*text)(struct wic *w, struct span message);
    void (*closed)(struct wic *w, const char *why); /* not after wic_close() */
};

struct wic_net {
    int poll;
    SSL_CTX *ssl;
    struct sockaddr_in server;
    const char *host, *path, *origin;
    bool resume;             /* use what the last connection left */
    unsigned long resumed, full;
    unsigned next_source;    /* spreads connections over loopback addresses: more than one's ports */
    bool spread;
    struct wic_events on;
    struct load *load;       /* whose connections these are */
};

struct wic {
    struct wic_net *net;
    int fd;
    SSL *ssl;
    SSL_SESSION *session;
    enum wic_state state;
    bool writing;            /* epoll watches for room */
    struct text in, out;
    unsigned index;
    void *user;
};

void wic_net_init(struct wic_net *net);
bool wic_connect(struct wic *w);
void wic_close(struct wic *w);
/** One text frame. */
void wic_send(struct wic *w, const char *p, size_t n);
void wic_ready(struct wic *w, uint32_t events);

#endif
