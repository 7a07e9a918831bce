/* The HTTP part of a WebSocket handshake: RFC 6455 4.2.1, RFC 7118 4, TS 24.371. Each refusal gets
 * an HTTP answer that says why. */
#include "wss/wss_priv.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <string.h>

enum { HEADER_MAX = 512, REQUEST_MAX = 16384 };

struct request {
    struct epc_str method, target, fields; /* fields: lines, each with its CRLF */
};

static void answer(struct epc_flow *f, int status, const char *phrase, const char *extra, const char *why)
{
    char text[1024], ip[EPC_ADDR_LEN];
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                     "Cache-Control: no-store\r\n%sConnection: close\r\n\r\n%s\n",
                     status, phrase, strlen(why) + 1, extra, why);
    epc_log(EPC_LOG_INFO, "wss", "msg=\"handshake refused\" peer=%s status=%d why=\"%s\"",
            epc_addr_ip(&f->peer, ip), status, why);
    if (n > 0 && epc_fifo_add(&f->out, text, (size_t)n))
        epc_flow_abort(f, EPC_FLOW_LOCAL_CLOSED);
    else
        epc_flow_refuse(f);
}

/* A field as text, repeated ones joined (RFC 9110 5.3): -1 too long, 0 absent, else its length. */
static int header(const struct request *r, const char *name, char *buf, size_t size)
{
    struct epc_str rest = r->fields;
    size_t n = 0;
    buf[0] = 0;
    while (rest.n) {
        struct epc_str value = epc_str_cut(&rest, '\n');
        struct epc_str field = epc_str_cut(&value, ':');
        if (!epc_str_ieqc(field, name))
            continue;
        value = epc_str_trim(value);
        if (n + value.n + 3 > size)
            return -1;
        if (n) {
            memcpy(buf + n, ", ", 2);
            n += 2;
        }
        if (value.n)
            memcpy(buf + n, value.p, value.n);
        n += value.n;
        buf[n] = 0;
    }
    return (int)n;
}

static bool list_has(const char *list, const char *token, bool any_case)
{
    struct epc_str rest = epc_str_c(list);
    while (rest.p) {
        struct epc_str item = epc_str_trim(epc_str_cut(&rest, ','));
        if (any_case ? epc_str_ieqc(item, token) : epc_str_eqc(item, token))
            return true;
    }
    return false;
}

static bool known_path(struct epc_flow *f, const struct request *r)
{
    struct epc_str query = r->target, path = epc_str_cut(&query, '?');
    for (size_t i = 0; i < f->w->cfg->n_paths; i++)
        if (epc_str_eqc(path, f->w->cfg->paths[i]))
            return true;
    return false;
}

static void refuse_path(struct epc_flow *f)
{
    epc_count(EPC_C_WSS_REFUSED_PATH);
    answer(f, 404, "Not Found", "", "no WebSocket service under this path");
}

/* scheme and host in lower case, no default port (RFC 6454 6.2); false when it cannot be one */
static bool normalise_origin(char *origin)
{
    char *host = strstr(origin, "://");
    if (!host)
        return strcmp(origin, "null") == 0;
    host += 3;
    for (char *c = origin; *c; c++) {
        if ((unsigned char)*c <= ' ' || *c == '/' ? c < host - 3 || c >= host : false)
            return false;
        *c = (char)tolower((unsigned char)*c);
    }
    char *colon = strrchr(host, ':');
    if (colon && !strchr(colon, ']')) {
        bool https = strncmp(origin, "https:", 6) == 0, http = strncmp(origin, "http:", 5) == 0;
        if ((https && strcmp(colon, ":443") == 0) || (http && strcmp(colon, ":80") == 0))
            *colon = 0;
    }
    return true;
}

static bool origin_allowed(struct epc_flow *f, const struct request *r)
{
    const struct epc_cfg_wss *cfg = f->w->cfg;
    char origin[HEADER_MAX];
    int n = header(r, "Origin", origin, sizeof origin);
    if (n == 0 && cfg->allow_no_origin)
        return true;
    if (n > 0 && normalise_origin(origin)) {
        for (size_t i = 0; i < cfg->n_origins; i++) {
            if (strcmp(origin, cfg->origins[i].origin) == 0) {
                f->origin = &cfg->origins[i];
                return true;
            }
        }
    }
    epc_count(EPC_C_WSS_REFUSED_ORIGIN);
    answer(f, 403, "Forbidden", "", n ? "this origin is not allowed" : "an Origin is required");
    return false;
}

/* What RFC 6455 4.2.1 asks for. */
static bool is_upgrade(struct epc_flow *f, const struct request *r, char key[HEADER_MAX])
{
    char text[HEADER_MAX];
    if (header(r, "Upgrade", text, sizeof text) <= 0 || !list_has(text, "websocket", true) ||
        header(r, "Sec-WebSocket-Version", text, sizeof text) <= 0 || strcmp(text, "13") != 0)
        answer(f, 426, "Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
               "WebSocket version 13 only");
    else if (header(r, "Host", text, sizeof text) <= 0)
        answer(f, 400, "Bad Request", "", "Host is missing");
    else if (header(r, "Connection", text, sizeof text) <= 0 || !list_has(text, "upgrade", true))
        answer(f, 400, "Bad Request", "", "Connection: Upgrade is missing");
    else if (header(r, "Sec-WebSocket-Key", key, HEADER_MAX) != 24 || strcmp(key + 22, "==") != 0) /* 16 octets */
        answer(f, 400, "Bad Request", "", "Sec-WebSocket-Key is missing or malformed");
    else
        return true;
    return false;
}

/* Is there a place for it? */
static bool admitted(struct epc_flow *f)
{
    if (f->over_rate) {
        epc_count(EPC_C_WSS_REFUSED_RATE);
        answer(f, 429, "Too Many Requests", "Retry-After: 5\r\n", "too many new connections");
        return false;
    }
    if (epc_wss_over_limit(f)) {
        epc_count(EPC_C_WSS_REFUSED_LIMIT);
        answer(f, 503, "Service Unavailable", "Retry-After: 30\r\n", "too many connections");
        return false;
    }
    return true;
}

static bool check(struct epc_flow *f, const struct request *r, char key[HEADER_MAX])
{
    char text[HEADER_MAX];
    if (!epc_str_eqc(r->method, "GET")) {
        answer(f, 405, "Method Not Allowed", "Allow: GET\r\n", "GET only");
        return false;
    }
    if (!known_path(f, r)) {
        refuse_path(f);
        return false;
    }
    if (!is_upgrade(f, r, key))
        return false;
    if (header(r, "Sec-WebSocket-Protocol", text, sizeof text) <= 0 || !list_has(text, "sip", false)) {
        epc_count(EPC_C_WSS_REFUSED_PROTOCOL);
        answer(f, 400, "Bad Request", "", "the subprotocol sip must be offered (RFC 7118)");
        return false;
    }
    return origin_allowed(f, r) && admitted(f);
}

/* RFC 6455 4.2.2. No extension is taken up. */
static void switch_protocols(struct epc_flow *f, const char *key)
{
    char text[256];
    unsigned char hash[EVP_MAX_MD_SIZE], accept[32];
    int n = snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    if (EVP_Digest(text, (size_t)n, hash, NULL, f->w->tls.sha1, NULL) != 1) {
        epc_flow_abort(f, EPC_FLOW_LOCAL_CLOSED);
        return;
    }
    EVP_EncodeBlock(accept, hash, 20);
    n = snprintf(text, sizeof text,
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: sip\r\n\r\n", (char *)accept);
    if (epc_fifo_add(&f->out, text, (size_t)n)) {
        epc_flow_abort(f, EPC_FLOW_LOCAL_CLOSED);
        return;
    }
    epc_conn_send_soon(f);
    epc_flow_established(f);
}

static bool parse(struct epc_str head, struct request *r)
{
    r->fields = head;
    struct epc_str line = epc_str_trim(epc_str_cut(&r->fields, '\n'));
    r->method = epc_str_cut(&line, ' ');
    r->target = epc_str_cut(&line, ' ');
    return r->method.n && r->target.n && epc_str_eqc(line, "HTTP/1.1") && !memchr(head.p, 0, head.n);
}

size_t epc_wss_request(struct epc_flow *f, const char *p, size_t n)
{
    char key[HEADER_MAX];
    struct request r;
    const char *end = memmem(p, n, "\r\n\r\n", 4);
    if (!end || end - p > REQUEST_MAX) {
        if (n > REQUEST_MAX)
            answer(f, 431, "Request Header Fields Too Large", "", "the request is too long");
        return 0;
    }
    if (!f->w->cfg) /* going down */
        return 0;
    if (!parse((struct epc_str){p, (size_t)(end - p) + 2}, &r))
        answer(f, 400, "Bad Request", "", "not a request of HTTP/1.1");
    else if (check(f, &r, key))
        switch_protocols(f, key);
    return (size_t)(end - p) + 4;
}
