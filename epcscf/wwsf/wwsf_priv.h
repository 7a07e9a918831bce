/* Private to wwsf/. From the ground up: password, users, key, token, plmn, limit, page are plain data; the
 * store is the database, with users, sessions, pool and keys; jobs are threads; http carries requests,
 * cors says whose they may be; api and login answer them; turn does what comes up regularly; wwsf holds
 * it all. Three threads or more: the service shard, one for the store, the others for passwords. */
#ifndef EPC_WWSF_PRIV_H
#define EPC_WWSF_PRIV_H

#include "wwsf/choice.h"
#include "wwsf/jobs.h"
#include "wwsf/keys.h"
#include "wwsf/store.h"
#include "wwsf/users.h"
#include "wwsf/wwsf.h"

#include <jansson.h>
#include <libwebsockets.h>
#include <time.h>

/* ---- token.c ---------------------------------------------------------------------------------------- */

/** A signed JWT for @p u. @return gives; NULL: out of memory, or OpenSSL refused (logged) */
char *epc_token_make(const struct epc_key *k, const struct epc_cfg_wwsf *cfg,
                     const struct epc_user *u, uint64_t now_s);

/* ---- limit.c: how often a source, for an account, and all together, may try a password ------------------- */

struct epc_limits;
enum epc_err epc_limits_create(struct epc_limits **out, size_t max) EPC_MUST_CHECK;
void epc_limits_destroy(struct epc_limits *l); /**< NULL-safe */
/** Take one attempt at @p account, whether there is one or not; of a guest when it is empty.
 *  @return 0: go on; else the seconds to wait */
unsigned epc_limits_take(struct epc_limits *l, const struct epc_addr *source, struct epc_str account,
                         uint64_t now_ms);
/** It was the right password: the attempt does not count. */
void epc_limits_forgive(struct epc_limits *l, const struct epc_addr *source, struct epc_str account);

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

enum { EPC_BODY_MAX = 4096, EPC_ORIGIN_MAX = 300 };
enum epc_method { EPC_GET, EPC_HEAD, EPC_POST, EPC_OPTIONS, EPC_METHOD_OTHER };
struct epc_task;

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
    bool handled, ended;    /* it has been passed on; lws has told the end of its body */
    char origin[EPC_ORIGIN_MAX]; /* the Origin header; "" = none, or too long */
    bool foreign;           /* it is one of wwsf.allowed_origins */
    struct epc_task *task;  /* answers later; NULL = none */

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

/* ---- cors.c: pages of other origins (https://fetch.spec.whatwg.org/ 3.2) ---------------------------------------- */

void epc_cors_read(struct epc_conn *c); /**< fills origin and foreign */
bool epc_cors_may_post(struct epc_conn *c); /**< the page's own origin, or one that is allowed */
/** Whether this OPTIONS is a preflight of an allowed origin for @p method. @return 0 or the status to
 *  refuse it with */
int epc_cors_check_preflight(struct epc_conn *c, enum epc_method method);
void epc_cors_preflight(struct epc_conn *c, enum epc_method method);
/** The headers for the answer to a request of that origin. @param anybody without credentials, as for
 *  the key set */
void epc_cors_headers(const struct epc_conn *c, bool anybody, struct epc_buf *out);

/* ---- api.c, login.c -------------------------------------------------------------------------------------------- */

/** The status with which to refuse a request by its head alone; 0 = go on. */
int epc_api_check(struct epc_conn *c);
void epc_api_handle(struct epc_conn *c);

/** The JSON object in the body, NULL when it is none (answered already). */
json_t *epc_api_body(struct epc_conn *c);
/** The UE's networks in members plmn or serving, and home: false when malformed (answered already). */
bool epc_api_plmn(struct epc_conn *c, const json_t *body, struct epc_plmn_ask *ask);
void epc_api_login(struct epc_conn *c);
void epc_api_token(struct epc_conn *c);
void epc_api_guest(struct epc_conn *c);
void epc_api_logout(struct epc_conn *c);
void epc_task_conn_gone(struct epc_task *t); /**< nobody is there any more to hear the answer */

/* ---- turn.c: what comes up regularly ------------------------------------------------------------------------- */

/** What the store's thread works with. Its configuration is borrowed. */
struct epc_backend {
    struct epc_store *store;
    const struct epc_cfg_wwsf *cfg;
    struct stat users_seen, pool_seen; /* the files that were read */
    char *served;                      /* the key set that is published */
};
/** Bring the users' and the pool's file into the database when they have changed. A file with a fault is
 *  logged and changes nothing. @param first the start: a fault is an error */
enum epc_err epc_backend_import(struct epc_backend *b, bool first) EPC_MUST_CHECK;
void epc_backend_close(struct epc_backend *b);
struct epc_ring_times epc_ring_times(const struct epc_cfg_wwsf *cfg, uint64_t now_s);
struct epc_turn;
enum epc_err epc_turn_start(struct epc_turn **out, struct epc_wwsf *w) EPC_MUST_CHECK;
void epc_turn_stop(struct epc_turn *t); /**< after the store's jobs; NULL-safe */

/* ---- wwsf.c --------------------------------------------------------------------------------------------------------- */

struct epc_wwsf {
    struct epc_shard *sh;
    const struct epc_cfg_wwsf *cfg;
    struct lws_vhost *vhost;
    struct epc_ring *ring;
    char *headers;        /* the security headers of every answer */
    struct epc_page *page;
    struct epc_choice *choice;
    struct epc_limits *limits;
    struct epc_backend backend; /* the store's thread's, once stores is there */
    struct epc_jobs *stores, *hashers;
    struct epc_turn *turn;
    epc_wwsf_returned_fn *returned;
    void *returned_arg;

    struct epc_conn *conns;
    unsigned n_conns;
    const struct epc_addr *accepting; /* the peer whose socket lws is taking over */
    bool destroying;      /* cfg is NULL then */
};
void epc_wwsf_conn_gone(struct epc_wwsf *w); /**< one more connection is freed */

#endif
