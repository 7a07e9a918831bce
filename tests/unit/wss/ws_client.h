/* A small blocking WebSocket client over TLS, for tests: it can also do things wrong. */
#ifndef WS_CLIENT_H
#define WS_CLIENT_H

#include "base/base.h"

#include <openssl/ssl.h>

struct ws {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
    SSL_SESSION *session; /* the newest ticket */
};
enum { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10, WS_FIN = 0x80 };

extern const char *ws_suites; /* of TLS 1.3, for the next dial; NULL: any */
/* 0 when connected; -1 when TLS fails. max_version 0: any. */
int ws_dial(struct ws *c, uint16_t port, int max_version, SSL_SESSION *resume);
void ws_hang_up(struct ws *c);
bool ws_write(struct ws *c, const void *p, size_t n);
/* Send a request text, read the header of the answer and return its status, 0 if none came. */
int ws_request(struct ws *c, const char *request, char *answer, size_t size);
/* A correct handshake; returns the status. */
int ws_handshake(struct ws *c, const char *path, const char *origin, const char *protocols);
/* first: FIN | opcode. Masked. */
bool ws_frame(struct ws *c, unsigned first, const void *p, size_t n);
/* Read one frame; returns its first octet, -1 at the end of the connection. */
int ws_read(struct ws *c, char *buf, size_t size, size_t *n);
/* Skip pings and data up to a close frame: its code, 0 if the connection ends without one. */
unsigned ws_read_close(struct ws *c);
uint16_t ws_free_port(void);

#endif
