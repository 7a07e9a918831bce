/* Private to wwsf/. From the ground up: key, token, password, users, plmn, session, limit, page are
 * plain data with no network; http carries requests; api and login answer them; wwsf holds it all. */
#ifndef EPC_WWSF_PRIV_H
#define EPC_WWSF_PRIV_H

#include "wwsf/wwsf.h"

#include <jansson.h>
#include <libwebsockets.h>
#include <sys/stat.h>
#include <time.h>

/* ---- key.c: the signing key and its public half ------------------------------------------------ */

struct epc_key;
/** @return EPC_OK, EPC_EIO (cannot read, or neither EC P-256 nor RSA of 2048 bits or more; logged) */
enum epc_err epc_key_open(struct epc_key **out, const char *file) EPC_MUST_CHECK;
void epc_key_close(struct epc_key *k);              /**< NULL-safe */
const char *epc_key_alg(const struct epc_key *k);   /**< "ES256" or "RS256" */
const char *epc_key_kid(const struct epc_key *k);   /**< RFC 7638 thumbprint */
char *epc_key_jwks(const struct epc_key *k);        /**< RFC 7517 set with the public key; gives */
/** JWS signature (RFC 7518 3.3, 3.4) of @p text, in base64url, appended to @p out. */
enum epc_err epc_key_sign(const struct epc_key *k, struct epc_str text,
                          struct epc_buf *out) EPC_MUST_CHECK;
void epc_base64url(struct epc_buf *out, const void *p, size_t n);

/* ---- password.c ---------------------------------------------------------------------------------- */

enum { EPC_SALT_OCTETS = 16, EPC_HASH_OCTETS = 32 };
struct epc_password {
    uint64_t n, r, p; /* scrypt's cost, RFC 7914 2 */
    unsigned char salt[EPC_SALT_OCTETS], hash[EPC_HASH_OCTETS];
};
/** "scrypt$N$r$p$salt$hash". @return EPC_OK, EPC_EPROTO (not one, or costs out of bounds) */
enum epc_err epc_password_parse(struct epc_password *out, const char *text) EPC_MUST_CHECK;
bool epc_password_is(const struct epc_password *p, struct epc_str password); /**< slow on purpose */

/* ---- users.c --------------------------------------------------------------------------------------- */

struct epc_user {
    struct epc_hnode node;
    char *name, *impi, *display_name; /* display_name: NULL when there is none */
    char **impus;
    size_t n_impus;
    struct epc_password password;
};
struct epc_users {
    struct epc_hash by_name;
    struct epc_user *v;
    size_t n;
    struct stat seen; /* of the file that was read */
};
/** @return EPC_OK, EPC_EIO (cannot read), EPC_EPROTO (a fault), EPC_ENOMEM; logged with the place */
enum epc_err epc_users_load(struct epc_users **out, const char *file) EPC_MUST_CHECK;
/** Load again when the file has changed; keep what there is when it has a fault. */
void epc_users_refresh(struct epc_users **u, const char *file);
void epc_users_free(struct epc_users *u); /**< NULL-safe */
const struct epc_user *epc_users_find(const struct epc_users *u, struct epc_str name);
/** Whose password to test when nobody has that name, so that the answer costs the same. The same
 *  stand-in for the same name. NULL without users. */
const struct epc_user *epc_users_stand_in(const struct epc_users *u, struct epc_str name);

/* ---- token.c ---------------------------------------------------------------------------------------- */

/** A signed JWT for @p u. @return gives; NULL: out of memory, or OpenSSL refused (logged) */
char *epc_token_make(const struct epc_key *k, const struct epc_cfg_wwsf *cfg,
                     const struct epc_user *u, uint64_t now_s);

/* ---- plmn.c ------------------------------------------------------------------------------------------ */

bool epc_plmn_valid(struct epc_str plmn); /**< 5 or 6 digits (TS 23.003 2.2) */
/** URLs of the eP-CSCFs for @p plmn in the order of the table; those of "default" when it has none,
 *  or when @p plmn is empty. @return gives; NULL: out of memory */
json_t *epc_plmn_urls(const struct epc_cfg_wwsf *cfg, struct epc_str plmn);

/* ---- session.c: log-in sessions behind the cookie ------------------------------------------------------ */

enum { EPC_SESSION_ID_OCTETS = 32, EPC_SESSION_ID_LEN = 2 * EPC_SESSION_ID_OCTETS };
struct epc_logins; /* bounded: the one unused for longest makes room */
enum epc_err epc_logins_create(struct epc_logins **out, size_t max) EPC_MUST_CHECK;
void epc_logins_destroy(struct epc_logins *l); /**< NULL-safe */
/** @param[out] id its hex text */
enum epc_err epc_logins_add(struct epc_logins *l, const char *user, uint64_t now_ms,
                            char id[EPC_SESSION_ID_LEN + 1]) EPC_MUST_CHECK;
/** The user behind @p id, whose idle time starts anew; NULL: no such session. Valid until the next
 *  call of a function of this group. */
const char *epc_logins_use(struct epc_logins *l, struct epc_str id, uint64_t now_ms);
void epc_logins_remove(struct epc_logins *l, struct epc_str id);
size_t epc_logins_count(const struct epc_logins *l);

/* ---- limit.c: how often one source, and all together, may try a password ------------------------------- */

struct epc_limits;
enum epc_err epc_limits_create(struct epc_limits **out, size_t max_sources) EPC_MUST_CHECK;
void epc_limits_destroy(struct epc_limits *l); /**< NULL-safe */
/** Take one attempt. @return 0: go on; else the seconds to wait */
unsigned epc_limits_take(struct epc_limits *l, const struct epc_addr *source, uint64_t now_ms);
void epc_limits_forgive(struct epc_limits *l, const struct epc_addr *source); /**< it was the right one */

/* ---- page.c ----------------------------------------------------------------------------------------------- */

struct epc_file {
    const char *path, *type, *name; /* URL path, media type, name in the folder */
    char *p;                        /* NULL: not there */
    size_t n;
    char etag[2 + 32 + 1];
};
struct epc_page;
/** The page's files, from a fixed list. Files that are missing are logged and answered with 503. */
enum epc_err epc_page_load(struct epc_page **out, const char *folder) EPC_MUST_CHECK;
void epc_page_free(struct epc_page *p); /**< NULL-safe */
const struct epc_file *epc_page_find(const struct epc_page *p, struct epc_str path); /**< NULL: none */

/* ---- http.c: requests and answers ---------------------------------------------------------------------------- */

enum { EPC_BODY_MAX = 4096 };
enum epc_method { EPC_GET, EPC_HEAD, EPC_POST, EPC_METHOD_OTHER };

struct epc_conn { /* one TLS connection, one request at a time */
    struct epc_conn *next, **prev;
    struct epc_wwsf *w;
    struct lws *wsi;
    struct epc_addr peer;
    struct epc_timer deadline;
    bool gone;

    enum epc_method method;
    char path[128];
    struct epc_buf body;
    size_t body_left;
    int refused;            /* status that is sent once the body is read; 0 = none */

    struct epc_buf out;     /* LWS_PRE octets, then the answer */
    size_t out_at;
    bool close;             /* after the answer */
};

int epc_http_event(struct epc_conn *c, enum lws_callback_reasons reason, void *in, size_t len);
void epc_conn_start(struct epc_conn *c); /**< accepted: the time for the first request runs */
void epc_conn_kill(struct epc_conn *c);  /**< soon, from a timer */

/** Headers in @p extra end with CRLF each; may be "". Exactly one answer for each request. */
void epc_http_answer(struct epc_conn *c, int status, const char *type, const char *extra,
                     struct epc_str body);
/** Takes @p body (NULL: out of memory, answered with 500). */
void epc_http_json(struct epc_conn *c, int status, const char *extra, json_t *body);
/** {"error": why} */
void epc_http_error(struct epc_conn *c, int status, const char *extra, const char *why);
/** A header as text: false when it is absent or longer than @p size - 1. */
bool epc_http_header(struct epc_conn *c, enum lws_token_indexes token, char *buf, size_t size);

/* ---- api.c, login.c -------------------------------------------------------------------------------------------- */

/** The status with which to refuse a request by its head alone; 0 = go on. */
int epc_api_check(struct epc_conn *c);
void epc_api_handle(struct epc_conn *c);

/** The JSON object in the body, NULL when it is none (answered already). */
json_t *epc_api_body(struct epc_conn *c);
/** Member @p name as PLMN: true and possibly empty, or false when malformed (answered already). */
bool epc_api_plmn(struct epc_conn *c, const json_t *body, struct epc_str *plmn);
void epc_api_login(struct epc_conn *c);
void epc_api_token(struct epc_conn *c);
void epc_api_logout(struct epc_conn *c);

/* ---- wwsf.c --------------------------------------------------------------------------------------------------------- */

struct epc_wwsf {
    struct epc_shard *sh;
    const struct epc_cfg_wwsf *cfg;
    struct lws_vhost *vhost;
    struct epc_key *key;
    char *jwks;
    char *headers;        /* the security headers of every answer */
    struct epc_users *users;
    struct epc_page *page;
    struct epc_logins *logins;
    struct epc_limits *limits;

    struct epc_conn *conns;
    unsigned n_conns;
    const struct epc_addr *accepting; /* the peer whose socket lws is taking over */
    bool destroying;      /* cfg is NULL then */
};
void epc_wwsf_conn_gone(struct epc_wwsf *w); /**< one more connection is freed */

#endif
