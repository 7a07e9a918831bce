/* The way of a token to its verdict: at once where the keys are there, later where newer keys or the
 * issuer's word have to be fetched. */
#include "auth/auth_priv.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

struct epc_auth_pending {
    struct epc_auth_pending *next, **prev;
    struct epc_waiting *in;
    struct epc_auth *a;
    char *token; /* while it waits for keys; NULL while it waits for the issuer's word */
    unsigned char digest[EPC_TOKEN_DIGEST_OCTETS]; /* of the whole token, header and signature included */
    uint64_t token_hash;
    const struct epc_cfg_origin *origin; /* of the configuration */
    epc_auth_done_fn *done;
    void *arg;
};

/* ---- waiting ----------------------------------------------------------------------------------------- */

static void free_pending(struct epc_auth_pending *p)
{
    *p->prev = p->next;
    if (p->next)
        p->next->prev = p->prev;
    p->in->n--;
    if (p->token)
        OPENSSL_cleanse(p->token, strlen(p->token));
    free(p->token);
    free(p);
}

void epc_auth_cancel(struct epc_auth_pending *p)
{
    if (p)
        free_pending(p);
}

void epc_waiting_clear(struct epc_waiting *list)
{
    while (list->first)
        free_pending(list->first);
}

static struct epc_auth_pending *wait_in(struct epc_waiting *list, const struct epc_auth_pending *what,
                                        const struct epc_str *token)
{
    struct epc_auth_pending *p = calloc(1, sizeof *p);
    if (p)
        *p = *what;
    if (!p || (token && !(p->token = epc_str_dup(*token)))) {
        free(p);
        return NULL;
    }
    p->in = list;
    p->next = list->first;
    p->prev = &list->first;
    if (p->next)
        p->next->prev = &p->next;
    list->first = p;
    list->n++;
    return p;
}

/* ---- verdict ------------------------------------------------------------------------------------------- */

static void count_refusal(enum epc_err err, const struct epc_verdict *v)
{
    if (err == EPC_EAGAIN) {
        epc_count(EPC_C_AUTH_UNAVAILABLE);
        return;
    }
    epc_count(EPC_C_AUTH_TOKENS_BAD);
    if (v->cause.sip_status == 403)
        epc_count(EPC_C_AUTH_FORBIDDEN);
}

/* Tell the one who asked. @p id taken. */
static void answer(const struct epc_auth_pending *p, enum epc_err err, struct epc_identity *id,
                   const struct epc_verdict *v)
{
    if (err == EPC_OK) {
        id->token_hash = p->token_hash;
        epc_count(EPC_C_AUTH_TOKENS_OK);
        p->done(p->arg, EPC_OK, id, &v->cause, "");
        return;
    }
    char *header = v->error ? epc_challenge_text(p->a->cfg, v->issuer, v->error, v->scope) : NULL;
    count_refusal(err, v);
    epc_log(v->cause.sip_status == 403 || v->cause.sip_status >= 500 ? EPC_LOG_WARN : EPC_LOG_INFO, "auth",
            "event=token_refused status=%d issuer=\"%s\" reason=\"%s\" spec=\"%s\"", v->cause.sip_status,
            v->issuer ? v->issuer->issuer : "", v->why ? v->why : v->cause.reason,
            v->cause.spec ? v->cause.spec : "");
    p->done(p->arg, err, NULL, &v->cause, header ? header : "");
    free(header);
}

/* What signature or issuer vouch for: is it enough? */
static enum epc_err check_claims(const struct epc_auth *a, const struct epc_cfg_issuer *is,
                                 const json_t *claims, const struct epc_cfg_origin *origin,
                                 struct epc_identity **id, struct epc_verdict *v)
{
    uint64_t now_s = epc_wall_s();
    enum epc_err err = epc_claims_check(id, claims, a->cfg, is, origin, now_s, v);
    if (err == EPC_OK && epc_revocations_cover(&a->revoked, (*id)->impi, (*id)->issued_at_s, now_s)) {
        epc_identity_free(*id);
        *id = NULL;
        epc_count(EPC_C_AUTH_REVOKED);
        err = epc_verdict_invalid(v, "revoked");
    }
    return err;
}

static bool digest_of(struct epc_auth *a, struct epc_str token, unsigned char digest[EPC_TOKEN_DIGEST_OCTETS])
{
    unsigned n = 0;
    return EVP_DigestInit_ex2(a->md_ctx, a->sha256, NULL) == 1 && EVP_DigestUpdate(a->md_ctx, token.p, token.n) == 1 &&
           EVP_DigestFinal_ex(a->md_ctx, digest, &n) == 1 && n == EPC_TOKEN_DIGEST_OCTETS;
}

/* The same token as shortly before, and nothing has changed. A share of the identity, or NULL. */
static struct epc_identity *known_token(const struct epc_auth_pending *what)
{
    struct epc_auth *a = what->a;
    uint64_t now_s = epc_wall_s();
    struct epc_identity *id = epc_proven_identity(&a->proven, what->origin, what->digest, now_s);
    if (!id || epc_revocations_cover(&a->revoked, id->impi, id->issued_at_s, now_s))
        return NULL;
    epc_count(EPC_C_AUTH_PROVEN);
    return epc_identity_share(id);
}

static bool alg_allowed(const struct epc_cfg_issuer *is, enum epc_jwt_alg alg)
{
    if (alg == EPC_JWT_ALG_NONE)
        return false;
    for (size_t i = 0; i < is->n_algorithms; i++) {
        if (strcmp(is->algorithms[i], epc_jwt_alg_name(alg)) == 0)
            return true;
    }
    return false;
}

static enum epc_err unknown_key(const struct epc_source *s, struct epc_verdict *v)
{
    unsigned away_s = epc_source_away_s(s);
    if (away_s)
        return epc_verdict_unavailable(v, away_s, "the issuer's keys cannot be fetched");
    return epc_verdict_invalid(v, "unknown key");
}

/* Algorithm, key, signature, in this order; then the claims. EPC_ENOENT: no such key (yet). */
static enum epc_err check_signed(const struct epc_auth_pending *what, struct epc_source *s, const struct epc_jwt *t,
                                 struct epc_identity **id, struct epc_verdict *v)
{
    struct epc_auth *a = what->a;
    v->issuer = s->is;
    if (!alg_allowed(s->is, t->alg))
        return epc_verdict_invalid(v, "algorithm not allowed");
    if (!t->kid)
        return epc_verdict_invalid(v, "no kid in header");
    struct epc_jwk *key = epc_jwks_find(&s->keys, t->kid);
    if (!key)
        return EPC_ENOENT;
    if (key->alg != t->alg)
        return epc_verdict_invalid(v, "algorithm does not fit the key");
    if (epc_proven_has(&a->proven, s, what->digest)) {
        epc_count(EPC_C_AUTH_PROVEN);
    } else {
        if (!epc_jwt_signature_ok(t, key))
            return epc_verdict_invalid(v, "bad signature");
        epc_jwt_header_keep(&s->header, t);
        if (!key->fast)
            epc_source_used(s, key);
    }
    enum epc_err err = check_claims(a, s->is, t->claims, what->origin, id, v);
    if (err == EPC_OK)
        epc_proven_add(&a->proven, s, what->origin, what->digest, *id, epc_wall_s());
    return err;
}

static enum epc_err check_word(const struct epc_word *word, const struct epc_cfg_origin *origin,
                               struct epc_identity **id, struct epc_verdict *v)
{
    v->issuer = word->is;
    if (!word->claims)
        return epc_verdict_invalid(v, "the issuer says it is not active");
    const json_t *iss = json_object_get(word->claims, "iss");
    if (iss && (!json_is_string(iss) || strcmp(json_string_value(iss), word->is->issuer) != 0))
        return epc_verdict_invalid(v, "of another issuer");
    return check_claims(word->a, word->is, word->claims, origin, id, v);
}

/* ---- where to look --------------------------------------------------------------------------------------- */

static struct epc_source *source_of(const struct epc_auth *a, const struct epc_jwt *t)
{
    const json_t *iss = json_object_get(t->claims, "iss");
    const char *name = json_string_value(iss);
    for (size_t i = 0; name && i < a->cfg->n_issuers; i++) {
        if (strcmp(a->cfg->issuers[i].issuer, name) == 0)
            return &a->sources[i];
    }
    return NULL;
}

/* An opaque token does not name its issuer: the WWSF of the connection's Origin does, and nobody else is
 * shown the token. Without Origin there must be no choice. */
static size_t issuer_to_ask(const struct epc_auth *a, const struct epc_cfg_origin *origin)
{
    size_t found = a->cfg->n_issuers;
    for (size_t i = 0; i < a->cfg->n_issuers; i++) {
        const struct epc_cfg_issuer *is = &a->cfg->issuers[i];
        bool its = !origin;
        for (size_t k = 0; origin && origin->wwsf && k < is->n_wwsfs; k++)
            its = its || strcmp(is->wwsfs[k], origin->wwsf) == 0;
        if (!is->introspection_url || !its)
            continue;
        if (found < a->cfg->n_issuers)
            return a->cfg->n_issuers;
        found = i;
    }
    return found;
}

static enum epc_err limited(struct epc_verdict *v, enum epc_err err)
{
    return epc_verdict_unavailable(v, 2, err == EPC_ENOMEM ? "out of memory" : "too many verifications wait");
}

/* EPC_EAGAIN without a status in @p v: *pending has been made. */
static enum epc_err ask_issuer(struct epc_auth_pending *what, size_t issuer, struct epc_str token,
                               struct epc_identity **id, struct epc_verdict *v,
                               struct epc_auth_pending **pending)
{
    struct epc_auth *a = what->a;
    struct epc_word *word = NULL;
    v->issuer = &a->cfg->issuers[issuer];
    enum epc_err err = epc_introspection_ask(&a->introspection, a, issuer, token, &word);
    if (err == EPC_OK)
        return check_word(word, what->origin, id, v);
    if (err == EPC_EAGAIN && word->waiting.n < EPC_WAITING_MAX)
        *pending = wait_in(&word->waiting, what, NULL);
    return *pending ? EPC_EAGAIN : limited(v, err);
}

static enum epc_err judge_jwt(struct epc_auth_pending *what, const struct epc_jwt *t, struct epc_str token,
                              bool may_wait, struct epc_identity **id, struct epc_verdict *v,
                              struct epc_auth_pending **pending)
{
    struct epc_auth *a = what->a;
    struct epc_source *s = source_of(a, t);
    if (!s)
        return epc_verdict_invalid(v, "unknown issuer");
    if (!s->is->jwks_file && !s->is->jwks_url)
        return ask_issuer(what, (size_t)(s - a->sources), token, id, v, pending);
    enum epc_err err = check_signed(what, s, t, id, v);
    if (err != EPC_ENOENT)
        return err;
    if (!may_wait || !epc_source_look_for(s))
        return unknown_key(s, v);
    if (s->waiting.n < EPC_WAITING_MAX)
        *pending = wait_in(&s->waiting, what, &token);
    return *pending ? EPC_EAGAIN : limited(v, EPC_ELIMIT);
}

static const struct epc_jwt_header *known_header(const struct epc_auth *a, struct epc_str token)
{
    struct epc_str header = epc_str_cut(&token, '.');
    for (size_t i = 0; i < a->cfg->n_issuers; i++) {
        if (a->sources[i].header.json && epc_str_eq(a->sources[i].header.text, header))
            return &a->sources[i].header;
    }
    return NULL;
}

static enum epc_err judge(struct epc_auth_pending *what, struct epc_str token, bool may_wait,
                          struct epc_identity **id, struct epc_verdict *v,
                          struct epc_auth_pending **pending)
{
    struct epc_jwt t;
    const char *why = NULL;
    if (token.n > EPC_TOKEN_MAX_OCTETS)
        return epc_verdict_invalid(v, "token too long");
    enum epc_err err = epc_jwt_parse(&t, token, known_header(what->a, token), &why);
    if (err == EPC_OK) {
        err = judge_jwt(what, &t, token, may_wait, id, v, pending);
        epc_jwt_clear(&t);
        return err;
    }
    if (err == EPC_ENOMEM) {
        epc_cause_set(&v->cause, 500, NULL, "Out Of Memory");
        return err;
    }
    size_t issuer = issuer_to_ask(what->a, what->origin);
    if (issuer == what->a->cfg->n_issuers)
        return epc_verdict_invalid(v, why);
    return ask_issuer(what, issuer, token, id, v, pending);
}

/* ---- the door's part ------------------------------------------------------------------------------------- */

struct epc_auth_pending *epc_auth_verify(struct epc_auth *a, struct epc_str token,
                                         const struct epc_cfg_origin *origin, epc_auth_done_fn *done,
                                         void *arg)
{
    EPC_ASSERT_OWNER(a->sh);
    struct epc_auth_pending what = {.a = a, .origin = origin, .done = done, .arg = arg,
                                    .token_hash = epc_hash_bytes(token.p, token.n)};
    struct epc_auth_pending *pending = NULL;
    struct epc_verdict v = {0};
    struct epc_identity *id = NULL;
    if (token.n <= EPC_TOKEN_MAX_OCTETS) {
        if (!digest_of(a, token, what.digest)) {
            epc_cause_set(&v.cause, 500, NULL, "Out Of Memory");
            answer(&what, EPC_ENOMEM, NULL, &v);
            return NULL;
        }
        id = known_token(&what);
    }
    enum epc_err err = id ? EPC_OK : judge(&what, token, true, &id, &v, &pending);
    if (!pending)
        answer(&what, err, id, &v);
    return pending;
}

static void decide(struct epc_auth_pending *p, const struct epc_word *word, bool failed)
{
    struct epc_verdict v = {0};
    struct epc_identity *id = NULL;
    struct epc_auth_pending *none = NULL;
    enum epc_err err;
    if (failed) {
        v.issuer = word->is;
        err = epc_verdict_unavailable(&v, 5, "the issuer cannot be asked");
    } else if (word) {
        err = check_word(word, p->origin, &id, &v);
    } else {
        err = judge(p, epc_str_c(p->token), false, &id, &v, &none);
    }
    struct epc_auth_pending told = *p; /* p is gone first: the answer may lead to anything */
    free_pending(p);
    answer(&told, err, id, &v);
}

void epc_verify_waiting(struct epc_waiting *list, const struct epc_word *word, bool failed)
{
    struct epc_waiting now = *list;
    *list = (struct epc_waiting){0};
    if (now.first)
        now.first->prev = &now.first;
    for (struct epc_auth_pending *p = now.first; p; p = p->next)
        p->in = &now;
    while (now.first)
        decide(now.first, word, failed);
}
