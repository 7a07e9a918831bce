/* Log-in, fresh tokens for a session, log-out. Neither a password nor a token is ever logged. */
#include "wwsf/wwsf_priv.h"

#include <stdlib.h>
#include <string.h>

enum { PASSWORD_MAX = 512, NAME_MAX_OCTETS = 253, COOKIE_MAX = 4096 };

#define COOKIE "__Host-wwsf"
/* The prefix __Host- makes browsers insist on Secure, on Path=/ and on this very host. */
#define COOKIE_ATTRIBUTES "; Path=/; Secure; HttpOnly; SameSite=Strict"

/* What the page needs to register: TS 23.228 U.2.1.3 step 1. */
static void answer_token(struct epc_conn *c, const struct epc_user *u, struct epc_str plmn,
                         const char *headers)
{
    const struct epc_cfg_wwsf *cfg = c->w->cfg;
    uint64_t now_s = epc_wall_s();
    char *token = epc_token_make(c->w->key, cfg, u, now_s);
    json_t *impus = json_array(), *urls = epc_plmn_urls(cfg, plmn);
    json_t *body = NULL;
    int bad = !token || !impus || !urls;
    for (size_t i = 0; !bad && i < u->n_impus; i++)
        bad = json_array_append_new(impus, json_string(u->impus[i]));
    if (!bad)
        body = json_pack("{s:s, s:I, s:s, s:O, s:s, s:O, s:s, s:b}", "token", token, "expires_at",
                         (json_int_t)(now_s + cfg->token_lifetime_s), "impi", u->impi, "impus", impus,
                         "display_name", u->display_name ? u->display_name : "", "epcscf", urls,
                         "home_domain", cfg->home_domain, "digest", 1);
    if (body)
        epc_count(EPC_C_WWSF_TOKENS);
    epc_http_json(c, 200, headers, body);
    json_decref(impus);
    json_decref(urls);
    if (token)
        explicit_bzero(token, strlen(token));
    free(token);
}

/* ---- log-in ---------------------------------------------------------------------------------------- */

static struct epc_str text_member(const json_t *body, const char *name)
{
    const json_t *j = json_object_get(body, name);
    return (struct epc_str){json_string_value(j), json_string_length(j)};
}

/* The answer and its cost are the same whether the name or the password is wrong. */
static const struct epc_user *authenticate(const struct epc_users *users, struct epc_str name,
                                           struct epc_str password)
{
    const struct epc_user *u = epc_users_find(users, name);
    const struct epc_user *tested = u ? u : epc_users_stand_in(users, name);
    bool right = tested && epc_password_is(&tested->password, password);
    return u && right ? u : NULL;
}

static void log_attempt(const struct epc_conn *c, struct epc_str name, const char *event)
{
    char peer[EPC_ADDR_LEN], id[EPC_LOG_ID_LEN];
    epc_log(EPC_LOG_INFO, "wwsf", "event=%s user=%s peer=%s", event, epc_log_id(name, id),
            epc_addr_ip(&c->peer, peer));
}

static void welcome(struct epc_conn *c, const struct epc_user *u, struct epc_str plmn)
{
    char id[EPC_SESSION_ID_LEN + 1], headers[256];
    epc_limits_forgive(c->w->limits, &c->peer);
    epc_count(EPC_C_WWSF_LOGIN_OK);
    log_attempt(c, epc_str_c(u->name), "login");
    if (epc_logins_add(c->w->logins, u->name, epc_now_ms(), id) != EPC_OK) {
        epc_http_json(c, 500, "", NULL);
        return;
    }
    snprintf(headers, sizeof headers, "Set-Cookie: " COOKIE "=%s" COOKIE_ATTRIBUTES "\r\n", id);
    answer_token(c, u, plmn, headers);
}

static void try_login(struct epc_conn *c, struct epc_str name, struct epc_str password,
                      struct epc_str plmn)
{
    unsigned wait_s = epc_limits_take(c->w->limits, &c->peer, epc_now_ms());
    if (wait_s) {
        char headers[64];
        epc_count(EPC_C_WWSF_LIMITED);
        log_attempt(c, name, "login-limited");
        snprintf(headers, sizeof headers, "Retry-After: %u\r\n", wait_s);
        epc_http_error(c, 429, headers, "too many attempts");
        return;
    }
    epc_users_refresh(&c->w->users, c->w->cfg->users_file);
    const struct epc_user *u = authenticate(c->w->users, name, password);
    if (u) {
        welcome(c, u, plmn);
        return;
    }
    epc_count(EPC_C_WWSF_LOGIN_BAD);
    log_attempt(c, name, "login-refused");
    epc_http_error(c, 401, "", "user name or password is wrong");
}

void epc_api_login(struct epc_conn *c)
{
    struct epc_str plmn;
    json_t *body = epc_api_body(c);
    if (!body)
        return;
    struct epc_str name = text_member(body, "user"), password = text_member(body, "password");
    if (!name.p || !password.p || name.n == 0 || name.n > NAME_MAX_OCTETS || password.n > PASSWORD_MAX)
        epc_http_error(c, 400, "", "user and password are expected");
    else if (epc_api_plmn(c, body, &plmn))
        try_login(c, name, password, plmn);
    json_decref(body);
}

/* ---- with a session ----------------------------------------------------------------------------------- */

/* Our cookie among those of the Cookie header; @p buf holds the header. */
static struct epc_str session_id(struct epc_conn *c, char *buf, size_t size)
{
    if (!epc_http_header(c, WSI_TOKEN_HTTP_COOKIE, buf, size))
        return EPC_STR_NULL;
    struct epc_str rest = epc_str_c(buf);
    while (rest.p) {
        struct epc_str pair = epc_str_trim(epc_str_cut(&rest, ';'));
        if (epc_str_eqc(epc_str_cut(&pair, '='), COOKIE))
            return pair;
    }
    return EPC_STR_NULL;
}

void epc_api_token(struct epc_conn *c)
{
    char cookies[COOKIE_MAX];
    struct epc_str plmn;
    json_t *body = epc_api_body(c);
    if (!body)
        return;
    if (epc_api_plmn(c, body, &plmn)) {
        struct epc_str id = session_id(c, cookies, sizeof cookies);
        const char *name = epc_logins_use(c->w->logins, id, epc_now_ms());
        epc_users_refresh(&c->w->users, c->w->cfg->users_file);
        const struct epc_user *u = name ? epc_users_find(c->w->users, epc_str_c(name)) : NULL;
        if (u)
            answer_token(c, u, plmn, "");
        else
            epc_http_error(c, 401, "", "no session");
    }
    json_decref(body);
}

void epc_api_logout(struct epc_conn *c)
{
    char cookies[COOKIE_MAX];
    epc_logins_remove(c->w->logins, session_id(c, cookies, sizeof cookies));
    epc_http_answer(c, 204, NULL, "Cache-Control: no-store\r\nSet-Cookie: " COOKIE "=" COOKIE_ATTRIBUTES
                    "; Max-Age=0\r\n", EPC_STR_NULL);
}
