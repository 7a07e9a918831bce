/* What the WWSF answers: the page, its configuration, the keys; tokens are in login.c. */
#include "wwsf/wwsf_priv.h"

#include <string.h>

/* lws keeps 4 kB of a request's head: no argument is longer. */
enum { ARGS_MAX = 16, ARG_OCTETS = 4096, JWKS_MAX_AGE_S = 300 };

/* ---- checks before the body --------------------------------------------------------------------- */

static bool is_api(const struct epc_conn *c)
{
    return strncmp(c->path, "/api/", 5) == 0;
}

static bool is_json(struct epc_conn *c)
{
    char type[128];
    if (!epc_http_header(c, WSI_TOKEN_HTTP_CONTENT_TYPE, type, sizeof type))
        return false;
    struct epc_str rest = epc_str_c(type);
    return epc_str_ieqc(epc_str_trim(epc_str_cut(&rest, ';')), "application/json");
}

struct route {
    const char *path;
    enum epc_method method; /* EPC_GET takes HEAD as well */
    void (*handle)(struct epc_conn *c);
};
static const struct route *find_route(const struct epc_conn *c);

int epc_api_check(struct epc_conn *c)
{
    const struct route *r = find_route(c);
    if (c->method == EPC_METHOD_OTHER)
        return 405;
    if (!r)
        return epc_page_find(c->w->page, epc_str_c(c->path))
                   ? (c->method == EPC_POST || c->method == EPC_OPTIONS ? 405 : 0) : 404;
    if (c->method == EPC_OPTIONS)
        return is_api(c) ? epc_cors_check_preflight(c, r->method) : 405;
    if ((c->method == EPC_POST) != (r->method == EPC_POST))
        return 405;
    if (c->method != EPC_POST)
        return 0;
    return !epc_cors_may_post(c) ? 403 : !is_json(c) ? 415 : 0;
}

/* ---- helpers for all POSTs ------------------------------------------------------------------------ */

json_t *epc_api_body(struct epc_conn *c)
{
    json_t *j = c->body.n ? json_loadb(c->body.p, c->body.n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (json_is_object(j))
        return j;
    json_decref(j);
    epc_http_error(c, 400, "", "a JSON object is expected");
    return NULL;
}

/* ---- the UE's networks, in a body or in a query: PLMN.md -------------------------------------------- */

/* Malformed: refused with what to write, or taken for none. */
static bool bad_plmn(struct epc_conn *c, const char *name, struct epc_plmn_ask *ask)
{
    char why[160];
    epc_count(EPC_C_WWSF_PLMN_BAD);
    if (c->w->cfg->plmn_lenient) {
        *ask = (struct epc_plmn_ask){.malformed = true};
        return true;
    }
    snprintf(why, sizeof why, "%s: write MCC and MNC as 26201, 262-01 or 262-001, or the MCC alone as 262", name);
    epc_http_error(c, 400, "", why);
    return false;
}

static bool same_plmn(const struct epc_plmn *a, const struct epc_plmn *b)
{
    return a->mcc == b->mcc && a->mnc == b->mnc && a->mnc_digits == b->mnc_digits;
}

/* One more word on a network; a second one must not say something else. */
static bool take_plmn(struct epc_str text, struct epc_plmn *p)
{
    struct epc_plmn one;
    if (!epc_plmn_parse(text, &one) || (p->given && !same_plmn(p, &one)))
        return false;
    *p = one;
    return true;
}

bool epc_api_plmn(struct epc_conn *c, const json_t *body, struct epc_plmn_ask *ask)
{
    static const char *const names[] = {"plmn", "serving", "home"};
    *ask = (struct epc_plmn_ask){0};
    for (size_t i = 0; i < EPC_ARRAY_LEN(names); i++) {
        const json_t *j = json_object_get(body, names[i]);
        struct epc_str text = {json_string_value(j), json_string_length(j)};
        if (j && !(text.p && take_plmn(text, i == 2 ? &ask->home : &ask->serving)))
            return bad_plmn(c, names[i], ask);
    }
    return true;
}

struct query {
    struct epc_plmn_ask ask;
    char mcc[4], mnc[4];
    const char *bad; /* the argument that is malformed */
};

static bool keep_digits(struct epc_str value, char to[4])
{
    if (value.n == 0 || value.n > 3 || to[0])
        return false;
    memcpy(to, value.p, value.n);
    return true;
}

static void read_argument(struct query *q, struct epc_str value)
{
    struct epc_str name = epc_str_cut(&value, '=');
    if (epc_str_eqc(name, "plmn") || epc_str_eqc(name, "serving")) {
        if (!take_plmn(value, &q->ask.serving))
            q->bad = "serving";
    } else if (epc_str_eqc(name, "home")) {
        if (!take_plmn(value, &q->ask.home))
            q->bad = "home";
    } else if (epc_str_eqc(name, "mcc")) {
        if (!keep_digits(value, q->mcc))
            q->bad = "mcc";
    } else if (epc_str_eqc(name, "mnc")) {
        if (!keep_digits(value, q->mnc))
            q->bad = "mnc";
    }
}

/* false: answered already. Other arguments are none of ours. */
static bool query_plmn(struct epc_conn *c, struct epc_plmn_ask *ask)
{
    char buf[ARG_OCTETS], joined[EPC_PLMN_LEN];
    struct query q = {0};
    for (int i = 0; i < ARGS_MAX; i++) {
        int n = lws_hdr_copy_fragment(c->wsi, buf, sizeof buf, WSI_TOKEN_HTTP_URI_ARGS, i);
        if (n < 0) /* no more */
            break;
        read_argument(&q, (struct epc_str){buf, (size_t)n});
    }
    if (!q.bad && (q.mcc[0] || q.mnc[0])) {
        snprintf(joined, sizeof joined, "%s%s%s", q.mcc, q.mnc[0] ? "-" : "", q.mnc);
        if (!take_plmn(epc_str_c(joined), &q.ask.serving))
            q.bad = "mcc and mnc";
    }
    *ask = q.ask;
    return q.bad ? bad_plmn(c, q.bad, ask) : true;
}

/* ---- GET ---------------------------------------------------------------------------------------------- */

/* Takes @p body. */
static void answer_choice(struct epc_conn *c, json_t *body)
{
    struct epc_plmn_ask ask;
    if (!query_plmn(c, &ask)) {
        json_decref(body);
        return;
    }
    if (body && epc_choice_fill(c->w->choice, &ask, body)) {
        json_decref(body);
        body = NULL;
    }
    if (body && json_array_size(json_object_get(body, "epcscf")) == 0) {
        json_decref(body);
        epc_http_error(c, 404, "", "no eP-CSCF for this network");
        return;
    }
    epc_http_json(c, 200, "", body);
}

static void get_epcscf(struct epc_conn *c)
{
    answer_choice(c, json_pack("{s:s}", "home_domain", c->w->cfg->home_domain));
}

static void get_config(struct epc_conn *c)
{
    const struct epc_cfg_wwsf *cfg = c->w->cfg;
    answer_choice(c, json_pack("{s:s, s:[s, s], s:b}", "home_domain", cfg->home_domain, "modes", "token",
                               "digest", "guests", cfg->guests));
}

static void get_jwks(struct epc_conn *c)
{
    struct epc_buf headers = {0};
    /* Half the time that a new key stands there before it signs, at most. */
    uint32_t age_s = c->w->cfg->key_publish_s / 2;
    epc_buf_printf(&headers, "Cache-Control: max-age=%u\r\n",
                   (unsigned)(age_s < JWKS_MAX_AGE_S ? age_s : JWKS_MAX_AGE_S));
    epc_cors_headers(c, true, &headers);
    if (headers.failed)
        epc_http_answer(c, 500, NULL, "", EPC_STR_NULL);
    else
        epc_http_answer(c, 200, "application/jwk-set+json", headers.p, epc_str_c(c->w->ring->jwks));
    epc_buf_free(&headers);
}

static void get_file(struct epc_conn *c, const struct epc_file *f)
{
    char have[128], headers[128];
    if (!f->p) {
        epc_http_answer(c, 503, "text/plain; charset=utf-8", "Cache-Control: no-store\r\n",
                        EPC_STR("The browser phone was not built, or wwsf.page_dir is wrong. "
                                "The server's log has the folder.\n"));
        return;
    }
    snprintf(headers, sizeof headers, "Cache-Control: no-cache\r\nETag: %s\r\n", f->etag);
    if (epc_http_header(c, WSI_TOKEN_HTTP_IF_NONE_MATCH, have, sizeof have) && strcmp(have, f->etag) == 0)
        epc_http_answer(c, 304, NULL, headers, EPC_STR_NULL);
    else
        epc_http_answer(c, 200, f->type, headers, (struct epc_str){f->p, f->n});
}

/* ---- routes ----------------------------------------------------------------------------------------------- */

static const struct route routes[] = {
    {"/api/login", EPC_POST, epc_api_login},
    {"/api/guest", EPC_POST, epc_api_guest},
    {"/api/token", EPC_POST, epc_api_token},
    {"/api/logout", EPC_POST, epc_api_logout},
    {"/api/config", EPC_GET, get_config},
    {"/api/epcscf", EPC_GET, get_epcscf},
    {"/.well-known/jwks.json", EPC_GET, get_jwks},
};

static const struct route *find_route(const struct epc_conn *c)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(routes); i++)
        if (strcmp(c->path, routes[i].path) == 0)
            return &routes[i];
    return NULL;
}

void epc_api_handle(struct epc_conn *c)
{
    const struct route *r = find_route(c);
    if (is_api(c))
        epc_count(EPC_C_WWSF_REQUESTS);
    if (r && c->method == EPC_OPTIONS)
        epc_cors_preflight(c, r->method);
    else if (r)
        r->handle(c);
    else
        get_file(c, epc_page_find(c->w->page, epc_str_c(c->path)));
}
