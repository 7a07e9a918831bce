/* The HTTP part of a WebSocket handshake: RFC 6455 4.2.1, RFC 7118 4, TS 24.371. Each refusal gets
 * an HTTP answer that says why; lws would close silently. */
#include "wss/wss_priv.h"

#include <ctype.h>
#include <string.h>

enum { HEADER_MAX = 512 };

static int answer(struct epc_flow *f, int status, const char *phrase, const char *extra,
                  const char *why)
{
    unsigned char buf[LWS_PRE + 1024];
    char ip[EPC_ADDR_LEN];
    char *text = (char *)buf + LWS_PRE;
    int n = snprintf(text, sizeof buf - LWS_PRE,
                     "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                     "Cache-Control: no-store\r\n%sConnection: close\r\n\r\n%s\n",
                     status, phrase, strlen(why) + 1, extra, why);
    epc_log(EPC_LOG_INFO, "wss", "msg=\"handshake refused\" peer=%s status=%d why=\"%s\"",
            epc_addr_ip(&f->peer, ip), status, why);
    if (n > 0)
        (void)lws_write(f->wsi, (unsigned char *)text, (size_t)n, LWS_WRITE_HTTP_FINAL);
    return -1;
}

/* A header as text: -1 too long, 0 absent, else its length. */
static int header(struct epc_flow *f, enum lws_token_indexes token, char *buf, size_t size)
{
    if (lws_hdr_total_length(f->wsi, token) == 0) {
        buf[0] = 0;
        return 0;
    }
    return lws_hdr_copy(f->wsi, buf, (int)size, token);
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

static bool known_path(struct epc_flow *f)
{
    char path[HEADER_MAX];
    if (header(f, WSI_TOKEN_GET_URI, path, sizeof path) <= 0)
        return false;
    for (size_t i = 0; i < f->w->cfg->n_paths; i++)
        if (strcmp(path, f->w->cfg->paths[i]) == 0)
            return true;
    return false;
}

static int refuse_path(struct epc_flow *f)
{
    epc_count(EPC_C_WSS_REFUSED_PATH);
    return answer(f, 404, "Not Found", "", "no WebSocket service under this path");
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

static int check_origin(struct epc_flow *f)
{
    const struct epc_cfg_wss *cfg = f->w->cfg;
    char origin[HEADER_MAX];
    int n = header(f, WSI_TOKEN_ORIGIN, origin, sizeof origin);
    if (n == 0 && cfg->allow_no_origin)
        return 0;
    if (n > 0 && normalise_origin(origin)) {
        for (size_t i = 0; i < cfg->n_origins; i++) {
            if (strcmp(origin, cfg->origins[i].origin) == 0) {
                f->origin = &cfg->origins[i];
                return 0;
            }
        }
    }
    epc_count(EPC_C_WSS_REFUSED_ORIGIN);
    return answer(f, 403, "Forbidden", "", n ? "this origin is not allowed" : "an Origin is required");
}

int epc_wss_check_upgrade(struct epc_flow *f)
{
    char text[HEADER_MAX];
    if (lws_hdr_total_length(f->wsi, WSI_TOKEN_GET_URI) == 0)
        return answer(f, 405, "Method Not Allowed", "Allow: GET\r\n", "GET only");
    if (!known_path(f))
        return refuse_path(f);
    if (header(f, WSI_TOKEN_UPGRADE, text, sizeof text) <= 0 || !list_has(text, "websocket", true) ||
        header(f, WSI_TOKEN_VERSION, text, sizeof text) <= 0 || strcmp(text, "13") != 0)
        return answer(f, 426, "Upgrade Required",
                      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
                      "WebSocket version 13 only");
    if (header(f, WSI_TOKEN_CONNECTION, text, sizeof text) <= 0 || !list_has(text, "upgrade", true))
        return answer(f, 400, "Bad Request", "", "Connection: Upgrade is missing");
    /* 16 octets in base64 */
    if (header(f, WSI_TOKEN_KEY, text, sizeof text) != 24 || strcmp(text + 22, "==") != 0)
        return answer(f, 400, "Bad Request", "", "Sec-WebSocket-Key is missing or malformed");
    /* lws reads the list into 128 octets */
    if (header(f, WSI_TOKEN_PROTOCOL, text, 120) <= 0 || !list_has(text, "sip", false)) {
        epc_count(EPC_C_WSS_REFUSED_PROTOCOL);
        return answer(f, 400, "Bad Request", "", "the subprotocol sip must be offered (RFC 7118)");
    }
    int r = check_origin(f);
    if (r)
        return r;
    if (f->over_rate) {
        epc_count(EPC_C_WSS_REFUSED_RATE);
        return answer(f, 429, "Too Many Requests", "Retry-After: 5\r\n", "too many new connections");
    }
    if (epc_wss_over_limit(f)) {
        epc_count(EPC_C_WSS_REFUSED_LIMIT);
        return answer(f, 503, "Service Unavailable", "Retry-After: 30\r\n", "too many connections");
    }
    return 0;
}

int epc_wss_plain_http(struct epc_flow *f)
{
    if (lws_hdr_total_length(f->wsi, WSI_TOKEN_GET_URI) == 0)
        return answer(f, 405, "Method Not Allowed", "Allow: GET\r\n", "GET only");
    if (!known_path(f))
        return refuse_path(f);
    return answer(f, 426, "Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
                  "this is a WebSocket service");
}
