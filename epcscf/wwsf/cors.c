/* Requests of pages of other origins. Only those that the configuration names, exactly, get leave to read
 * answers, and to send the cookie; nobody gets leave for anything else. */
#include "wwsf/wwsf_priv.h"

#include <string.h>

static const char ASKED_METHOD[] = "access-control-request-method:";
enum { PREFLIGHT_MAX_AGE_S = 600, LIST_MAX = 256 };

/* What anybody may read, from any page: public keys, and which eP-CSCF serves a network. */
static bool is_public(const struct epc_conn *c)
{
    return strcmp(c->path, "/api/epcscf") == 0;
}

static bool is_api(const struct epc_conn *c)
{
    return strncmp(c->path, "/api/", 5) == 0;
}

void epc_cors_read(struct epc_conn *c)
{
    const struct epc_cfg_wwsf *cfg = c->w->cfg;
    c->foreign = false;
    if (!epc_http_header(c, WSI_TOKEN_ORIGIN, c->origin, sizeof c->origin))
        c->origin[0] = 0;
    /* Browsers write origins in lower case and without the default port, as the configuration has them. */
    for (size_t i = 0; is_api(c) && i < cfg->n_allowed_origins; i++)
        if (strcmp(c->origin, cfg->allowed_origins[i]) == 0)
            c->foreign = true;
}

/* Browsers always send Origin with a POST; whoever sends none is no browser and loses nothing by having
 * to. The address in Host counts too: a page may be reached under more names than the configured one. */
bool epc_cors_may_post(struct epc_conn *c)
{
    char host[EPC_ORIGIN_MAX];
    struct epc_str origin = epc_str_c(c->origin);
    if (origin.n == 0)
        return false;
    if (c->foreign || epc_str_ieqc(origin, c->w->cfg->public_url))
        return true;
    return epc_http_header(c, WSI_TOKEN_HOST, host, sizeof host) && epc_str_starts(origin, "https://") &&
           epc_str_ieqc((struct epc_str){origin.p + 8, origin.n - 8}, host);
}

/* All that the interface needs. */
static bool only_content_type(struct epc_str list)
{
    while (list.p) {
        struct epc_str one = epc_str_trim(epc_str_cut(&list, ','));
        if (one.n && !epc_str_ieqc(one, "content-type"))
            return false;
    }
    return true;
}

int epc_cors_check_preflight(struct epc_conn *c, enum epc_method method)
{
    char text[LIST_MAX];
    /* lws knows one of the two headers by itself. */
    int n = lws_hdr_custom_copy(c->wsi, text, sizeof text, ASKED_METHOD, sizeof ASKED_METHOD - 1);
    if (n <= 0 || !c->origin[0])
        return 405; /* no preflight */
    if (!c->foreign || strcmp(text, method == EPC_POST ? "POST" : "GET") != 0)
        return 403;
    bool some = lws_hdr_total_length(c->wsi, WSI_TOKEN_HTTP_AC_REQUEST_HEADERS) > 0;
    if (some && (!epc_http_header(c, WSI_TOKEN_HTTP_AC_REQUEST_HEADERS, text, sizeof text) ||
                 !only_content_type(epc_str_c(text))))
        return 403;
    return 0;
}

void epc_cors_preflight(struct epc_conn *c, enum epc_method method)
{
    char headers[256];
    snprintf(headers, sizeof headers, "Access-Control-Allow-Methods: %s\r\nAccess-Control-Allow-Headers: "
             "Content-Type\r\nAccess-Control-Max-Age: %d\r\nCache-Control: no-store\r\n",
             method == EPC_POST ? "POST" : "GET", PREFLIGHT_MAX_AGE_S);
    epc_http_answer(c, 204, NULL, headers, EPC_STR_NULL);
}

void epc_cors_headers(const struct epc_conn *c, bool anybody, struct epc_buf *out)
{
    if (anybody || is_public(c)) {
        epc_buf_adds(out, "Access-Control-Allow-Origin: *\r\n");
        return;
    }
    if (!is_api(c))
        return;
    /* Also in answers to others: a cache must not give them to those. */
    epc_buf_adds(out, c->method == EPC_OPTIONS ? "Vary: Origin, Access-Control-Request-Method, "
                                                 "Access-Control-Request-Headers\r\n" : "Vary: Origin\r\n");
    if (c->foreign)
        epc_buf_printf(out, "Access-Control-Allow-Origin: %s\r\nAccess-Control-Allow-Credentials: true\r\n"
                            "Access-Control-Expose-Headers: Retry-After\r\n", c->origin);
}
