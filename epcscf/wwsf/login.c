/* Log-in, guests, fresh tokens for a session, log-out. Each is a task that goes from thread to thread:
 *
 *   log-in   store: whose password -> hashers: is it right -> store: session and identity -> answer
 *   others   store: session and identity -> answer
 *
 * Neither a password nor a token nor the cookie is ever logged. */
#include "wwsf/wwsf_priv.h"

#include <stdlib.h>
#include <string.h>

enum { PASSWORD_MAX = 512, NAME_MAX_OCTETS = 253, COOKIE_MAX = 4096, BUSY_RETRY_S = 2 };

/* The prefix __Host- makes browsers insist on Secure, on Path=/ and on this very host. Pages of other
 * origins have a cookie of their own: it has to be sent across sites, ours never is. */
#define COOKIE_OWN "__Host-wwsf"
#define COOKIE_FOREIGN "__Host-wwsf-x"
#define ATTRIBUTES_OWN "; Path=/; Secure; HttpOnly; SameSite=Strict"
#define ATTRIBUTES_FOREIGN "; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"

enum kind { LOGIN, GUEST, REFRESH, LOGOUT };

struct epc_task {
    struct epc_job job;
    struct epc_wwsf *w;
    struct epc_conn *c;   /* NULL: gone */
    enum kind kind;
    /* asked for */
    char *name, *password;
    struct epc_plmn_ask plmn;
    char origin[EPC_ORIGIN_MAX];
    char id[EPC_SESSION_ID_LEN + 1];
    bool revoke;
    /* found */
    struct epc_lease lease;
    struct epc_password tested;
    bool known, right;
    enum epc_err err;
    struct epc_user user;
    uint64_t wait_s;
    char *returned;       /* IMPI */
};

/* ---- life ---------------------------------------------------------------------------------------- */

static void free_task(struct epc_task *t)
{
    if (t->c)
        t->c->task = NULL;
    if (t->password)
        explicit_bzero(t->password, strlen(t->password));
    free(t->password);
    free(t->name);
    free(t->returned);
    epc_user_clear(&t->user);
    explicit_bzero(t, sizeof *t);
    free(t);
}

void epc_task_conn_gone(struct epc_task *t)
{
    t->c = NULL;
}

static void answer_busy(struct epc_conn *c)
{
    char headers[48];
    epc_count(EPC_C_WWSF_BUSY);
    snprintf(headers, sizeof headers, "Retry-After: %d\r\n", BUSY_RETRY_S);
    epc_http_error(c, 503, headers, "too much to do at once");
}

static void give_up(struct epc_task *t, int status)
{
    struct epc_conn *c = t->c;
    free_task(t);
    if (c && status == 503)
        answer_busy(c);
    else if (c)
        epc_http_json(c, status, "", NULL);
}

/* On to the next thread; @p t is that one's, or gone. */
static void go_on(struct epc_task *t, struct epc_jobs *js, void (*run)(void *, struct epc_job *),
                  void (*done)(struct epc_job *))
{
    t->job = (struct epc_job){.run = run, .done = done};
    if (epc_jobs_push(js, &t->job) != EPC_OK)
        give_up(t, 503);
}

/* The task that came back, or NULL: the node goes down, or there was an error, which is answered. */
static struct epc_task *back(struct epc_job *j)
{
    struct epc_task *t = EPC_CONTAINER(j, struct epc_task, job);
    if (!j->ran || t->w->destroying) {
        free_task(t);
        return NULL;
    }
    if (t->err == EPC_EAGAIN || t->err == EPC_EIO || t->err == EPC_ENOMEM) {
        give_up(t, t->err == EPC_EAGAIN ? 503 : 500);
        return NULL;
    }
    return t;
}

static struct epc_task *new_task(struct epc_conn *c, enum kind kind, const struct epc_plmn_ask *plmn)
{
    const struct epc_cfg_wwsf *cfg = c->w->cfg;
    struct epc_task *t = calloc(1, sizeof *t);
    if (!t) {
        epc_http_json(c, 500, "", NULL);
        return NULL;
    }
    t->w = c->w;
    t->c = c;
    t->kind = kind;
    t->revoke = cfg->pool_revoke && c->w->returned;
    t->lease = (struct epc_lease){0, cfg->token_lifetime_s, cfg->pool_margin_s};
    t->plmn = *plmn;
    memcpy(t->origin, c->origin, sizeof t->origin);
    c->task = t;
    return t;
}

static void log_attempt(const struct epc_conn *c, const char *name, const char *event)
{
    char peer[EPC_ADDR_LEN], id[EPC_LOG_ID_LEN];
    epc_log(EPC_LOG_INFO, "wwsf", "event=%s user=%s peer=%s", event, epc_log_id(epc_str_c(name), id),
            epc_addr_ip(&c->peer, peer));
}

/* ---- the answer with a token: what the page needs to register, TS 23.228 U.2.1.3 step 1 ------------ */

static json_t *profile(const struct epc_task *t, const char *token)
{
    const struct epc_cfg_wwsf *cfg = t->w->cfg;
    const struct epc_user *u = &t->user;
    json_t *impus = json_array();
    json_t *body = NULL;
    int bad = !impus;
    for (size_t i = 0; !bad && i < u->n_impus; i++)
        bad = json_array_append_new(impus, json_string(u->impus[i]));
    if (!bad)
        body = json_pack("{s:s, s:I, s:s, s:O, s:s, s:s, s:b, s:b, s:b}", "token", token, "expires_at",
                         (json_int_t)(t->lease.now_s + cfg->token_lifetime_s), "impi", u->impi, "impus", impus,
                         "display_name", u->display_name ? u->display_name : "", "home_domain",
                         cfg->home_domain, "digest", !u->pool, "pool", u->pool, "guest", u->guest);
    json_decref(impus);
    if (body && epc_choice_fill(t->w->choice, &t->plmn, body)) {
        json_decref(body);
        body = NULL;
    }
    return body;
}

static void answer_token(struct epc_task *t, const char *headers)
{
    struct epc_conn *c = t->c;
    const struct epc_key *k = epc_ring_signer(t->w->ring, t->lease.now_s);
    char *token = k ? epc_token_make(k, t->w->cfg, &t->user, t->lease.now_s) : NULL;
    json_t *body = token ? profile(t, token) : NULL;
    if (body)
        epc_count(EPC_C_WWSF_TOKENS);
    if (token)
        explicit_bzero(token, strlen(token));
    free(token);
    free_task(t);
    epc_http_json(c, 200, headers, body);
}

static void answer_empty(struct epc_task *t)
{
    struct epc_conn *c = t->c;
    char headers[64];
    epc_count(EPC_C_WWSF_POOL_EMPTY);
    epc_log(EPC_LOG_WARN, "wwsf", "event=pool-empty wait_s=%llu do=\"add subscriptions to the pool\"",
            (unsigned long long)t->wait_s);
    snprintf(headers, sizeof headers, "Retry-After: %llu\r\n", (unsigned long long)t->wait_s);
    free_task(t);
    epc_http_error(c, 503, headers, "no identity is free");
}

/* ---- session and identity --------------------------------------------------------------------------- */

static void run_session(void *ctx, struct epc_job *j)
{
    struct epc_backend *b = ctx;
    struct epc_task *t = EPC_CONTAINER(j, struct epc_task, job);
    t->lease.now_s = epc_wall_s(); /* here: nothing may lie between the lease and the token's end */
    if (t->kind == REFRESH) {
        t->err = epc_backend_import(b, false);
        if (t->err == EPC_OK)
            t->err = epc_store_refresh(b->store, epc_str_c(t->id), t->origin, &t->lease, &t->user, &t->wait_s);
    } else if (t->kind == LOGOUT) {
        t->err = epc_store_logout(b->store, epc_str_c(t->id), t->origin, t->lease.now_s, t->revoke, &t->returned);
    } else {
        t->err = epc_store_login(b->store, epc_str_c(t->name), t->origin, &t->lease, t->id, &t->user, &t->wait_s);
    }
}

static void done_logout(struct epc_task *t)
{
    struct epc_wwsf *w = t->w;
    struct epc_conn *c = t->c;
    char headers[160];
    if (t->returned && t->revoke)
        w->returned(w->returned_arg, t->returned, t->lease.now_s);
    free_task(t);
    if (!c)
        return;
    snprintf(headers, sizeof headers, "Cache-Control: no-store\r\nSet-Cookie: %s=%s; Max-Age=0\r\n",
             c->foreign ? COOKIE_FOREIGN : COOKIE_OWN, c->foreign ? ATTRIBUTES_FOREIGN : ATTRIBUTES_OWN);
    epc_http_answer(c, 204, NULL, headers, EPC_STR_NULL);
}

static void done_session(struct epc_job *j);

/* Nobody got the cookie: the session must not keep an identity. */
static void take_back(struct epc_task *t)
{
    if (t->kind == REFRESH || t->err != EPC_OK) {
        free_task(t);
        return;
    }
    t->kind = LOGOUT;
    go_on(t, t->w->stores, run_session, done_session);
}

static void done_session(struct epc_job *j)
{
    char headers[256] = "";
    struct epc_task *t = back(j);
    if (!t)
        return;
    if (t->kind == LOGOUT) {
        done_logout(t);
    } else if (!t->c) {
        take_back(t);
    } else if (t->err == EPC_ELIMIT) {
        answer_empty(t);
    } else if (t->err != EPC_OK) {
        struct epc_conn *c = t->c;
        bool login = t->kind == LOGIN; /* removed between the two steps */
        free_task(t);
        epc_http_error(c, 401, "", login ? "user name or password is wrong" : "no session");
    } else {
        const struct epc_conn *c = t->c;
        if (t->kind != REFRESH)
            snprintf(headers, sizeof headers, "Set-Cookie: %s=%s%s\r\n", c->foreign ? COOKIE_FOREIGN : COOKIE_OWN,
                     t->id, c->foreign ? ATTRIBUTES_FOREIGN : ATTRIBUTES_OWN);
        answer_token(t, headers);
    }
}

/* ---- log-in -------------------------------------------------------------------------------------------- */

static void done_hash(struct epc_job *j)
{
    struct epc_task *t = back(j);
    if (!t)
        return;
    struct epc_conn *c = t->c;
    if (!c) {
        free_task(t);
    } else if (t->known && t->right) {
        epc_limits_forgive(t->w->limits, &c->peer, epc_str_c(t->name));
        epc_count(EPC_C_WWSF_LOGIN_OK);
        log_attempt(c, t->name, "login");
        go_on(t, t->w->stores, run_session, done_session);
    } else {
        epc_count(EPC_C_WWSF_LOGIN_BAD);
        log_attempt(c, t->name, "login-refused");
        free_task(t);
        epc_http_error(c, 401, "", "user name or password is wrong");
    }
}

static void run_hash(void *ctx, struct epc_job *j)
{
    struct epc_task *t = EPC_CONTAINER(j, struct epc_task, job);
    (void)ctx;
    t->right = epc_password_is(&t->tested, epc_str_c(t->password));
    explicit_bzero(t->password, strlen(t->password));
}

/* The same way, and the same cost, whether there is such a user or not. */
static void done_find(struct epc_job *j)
{
    struct epc_task *t = back(j);
    if (t && !t->c)
        free_task(t);
    else if (t)
        go_on(t, t->w->hashers, run_hash, done_hash);
}

static void run_find(void *ctx, struct epc_job *j)
{
    struct epc_backend *b = ctx;
    struct epc_task *t = EPC_CONTAINER(j, struct epc_task, job);
    t->tested = epc_password_stand_in();
    t->err = epc_backend_import(b, false);
    if (t->err == EPC_OK)
        t->err = epc_store_password(b->store, epc_str_c(t->name), &t->known, &t->tested);
}

/* @p account empty: a guest. @return true: refused and answered */
static bool limited(struct epc_conn *c, const char *account)
{
    char headers[64];
    unsigned wait_s = epc_limits_take(c->w->limits, &c->peer, epc_str_c(account), epc_now_ms());
    if (!wait_s)
        return false;
    epc_count(EPC_C_WWSF_LIMITED);
    log_attempt(c, account, "login-limited");
    snprintf(headers, sizeof headers, "Retry-After: %u\r\n", wait_s);
    epc_http_error(c, 429, headers, "too many attempts");
    return true;
}

static struct epc_str text_member(const json_t *body, const char *name)
{
    const json_t *j = json_object_get(body, name);
    return (struct epc_str){json_string_value(j), json_string_length(j)};
}

static void start_login(struct epc_conn *c, struct epc_str name, struct epc_str password,
                        const struct epc_plmn_ask *plmn)
{
    struct epc_task *t = new_task(c, LOGIN, plmn);
    if (!t)
        return;
    t->name = epc_str_dup(name);
    t->password = epc_str_dup(password);
    if (!t->name || !t->password)
        give_up(t, 500);
    else if (limited(c, t->name))
        free_task(t);
    else
        go_on(t, t->w->stores, run_find, done_find);
}

void epc_api_login(struct epc_conn *c)
{
    struct epc_plmn_ask plmn;
    json_t *body = epc_api_body(c);
    if (!body)
        return;
    struct epc_str name = text_member(body, "user"), password = text_member(body, "password");
    if (!name.p || !password.p || name.n == 0 || name.n > NAME_MAX_OCTETS || password.n > PASSWORD_MAX)
        epc_http_error(c, 400, "", "user and password are expected");
    else if (epc_api_plmn(c, body, &plmn))
        start_login(c, name, password, &plmn);
    json_decref(body);
}

void epc_api_guest(struct epc_conn *c)
{
    struct epc_plmn_ask plmn;
    json_t *body = epc_api_body(c);
    if (!body)
        return;
    if (!c->w->cfg->guests)
        epc_http_error(c, 404, "", "guests are not let in");
    else if (epc_api_plmn(c, body, &plmn) && !limited(c, "")) {
        struct epc_task *t = new_task(c, GUEST, &plmn);
        if (t) {
            epc_count(EPC_C_WWSF_GUESTS);
            log_attempt(c, "", "guest");
            go_on(t, t->w->stores, run_session, done_session);
        }
    }
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
        if (epc_str_eqc(epc_str_cut(&pair, '='), c->foreign ? COOKIE_FOREIGN : COOKIE_OWN))
            return pair;
    }
    return EPC_STR_NULL;
}

static void start_session_task(struct epc_conn *c, enum kind kind, const struct epc_plmn_ask *plmn)
{
    char cookies[COOKIE_MAX];
    struct epc_task *t = new_task(c, kind, plmn);
    if (!t)
        return;
    snprintf(t->id, sizeof t->id, "%.*s", EPC_STR_ARG(session_id(c, cookies, sizeof cookies)));
    explicit_bzero(cookies, sizeof cookies);
    go_on(t, t->w->stores, run_session, done_session);
}

void epc_api_token(struct epc_conn *c)
{
    struct epc_plmn_ask plmn;
    json_t *body = epc_api_body(c);
    if (!body)
        return;
    if (epc_api_plmn(c, body, &plmn))
        start_session_task(c, REFRESH, &plmn);
    json_decref(body);
}

void epc_api_logout(struct epc_conn *c)
{
    start_session_task(c, LOGOUT, &(struct epc_plmn_ask){0});
}
