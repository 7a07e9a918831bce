/* Inside auth/: keys, parsed tokens, the verdict on their claims. */
#ifndef EPC_AUTH_PRIV_H
#define EPC_AUTH_PRIV_H

#include <jansson.h>
#include <openssl/evp.h>

#include "auth/auth.h"
#include "fetch/fetch.h"

/** Longer tokens are refused unread. */
#define EPC_TOKEN_MAX_OCTETS 8192
/** A key set is a few hundred octets a key. */
#define EPC_JWKS_MAX_OCTETS (256 * 1024)
/** Deeper JSON is refused before the (recursive) parser sees it. */
#define EPC_JSON_MAX_DEPTH 16
/** More public identities in one token are refused. */
#define EPC_IMPUS_MAX 64

/** Decode base64url without padding (RFC 7515 2). @p out holds at least 3 * in.n / 4 octets.
 *  EPC_EPROTO: other characters, padding, or stray bits at the end (they would give one token
 *  several spellings). */
enum epc_err epc_base64url_decode(struct epc_str in, unsigned char *out, size_t *n) EPC_MUST_CHECK;

#define EPC_TOKEN_DIGEST_OCTETS 32

/** Parse a JSON object: no duplicate names, bounded depth. NULL and @p why (static) on error. */
json_t *epc_json_object(const char *p, size_t n, const char **why);

/* ---- keys ----------------------------------------------------------------------------------- */

enum epc_jwt_alg {
    EPC_JWT_ALG_NONE,
    EPC_JWT_RS256,
    EPC_JWT_PS256,
    EPC_JWT_ES256,
    EPC_JWT_ES384,
    EPC_JWT_EDDSA, /**< Ed25519 */
};

#define EPC_P256_POINT 65 /**< uncompressed */
struct epc_p256;
/** Verifies signatures of one key, in half of the time; 150 kB and 25 ms of work, so for keys that are used
 *  again and again, and off the shard's thread. NULL: out of memory, or no such key. Any thread, one at a time. */
struct epc_p256 *epc_p256_create(const unsigned char point[EPC_P256_POINT]);
void epc_p256_free(struct epc_p256 *v); /**< NULL-safe */
/** @param signature r and s */
bool epc_p256_verify_text(struct epc_p256 *v, struct epc_str text, const unsigned char *signature, size_t n);
/** The same with the SHA-256 of what was signed. */
bool epc_p256_verify(struct epc_p256 *v, const unsigned char digest[EPC_TOKEN_DIGEST_OCTETS],
                     const unsigned char *signature, size_t n);

struct epc_jwk {
    char *kid;
    enum epc_jwt_alg alg; /**< follows from the key's type, and for RSA from its alg (RS256 without); the
                               only one it may be used with (RFC 8725 3.1) */
    EVP_PKEY *pkey;
    unsigned char point[EPC_P256_POINT]; /**< ES256 */
    struct epc_p256 *fast;               /**< ES256; NULL: not made (yet) */
    unsigned uses;                       /**< signatures checked without it */
};
struct epc_jwks {
    struct epc_jwk *keys;
    size_t n;
};
/** Read a key set; keys of other types, without kid or unsound are left out (logged with @p name).
 *  EPC_EPROTO: not a key set, or no usable key in it. */
enum epc_err epc_jwks_parse(struct epc_jwks *out, const char *p, size_t n,
                            const char *name) EPC_MUST_CHECK;
/** As above from a file. EPC_EIO: it cannot be read. */
enum epc_err epc_jwks_load(struct epc_jwks *out, const char *file) EPC_MUST_CHECK;
void epc_jwks_clear(struct epc_jwks *ks);
struct epc_jwk *epc_jwks_find(const struct epc_jwks *ks, const char *kid);
/** What has been made for keys that are still there goes over to @p ks. */
void epc_jwks_inherit(struct epc_jwks *ks, struct epc_jwks *old);

/* ---- tokens --------------------------------------------------------------------------------- */

struct epc_jwt {
    json_t *header, *claims;
    struct epc_str signing_input; /**< borrowed from the token */
    unsigned char *signature;
    size_t signature_n;
    struct epc_str header_text;   /**< base64url; borrowed as well */
    enum epc_jwt_alg alg; /**< of the header; EPC_JWT_ALG_NONE: none that we know */
    const char *kid;
};
/** An issuer's tokens begin with the same header: the last one that came with a good signature. */
struct epc_jwt_header {
    struct epc_str text; /**< own; base64url */
    json_t *json;
};
void epc_jwt_header_keep(struct epc_jwt_header *h, const struct epc_jwt *t);
void epc_jwt_header_clear(struct epc_jwt_header *h);
/** Take a compact JWS apart. Nothing in it is verified afterwards. @p why static, on error.
 *  @param known NULL, or a header that need not be read again */
enum epc_err epc_jwt_parse(struct epc_jwt *out, struct epc_str token, const struct epc_jwt_header *known,
                           const char **why) EPC_MUST_CHECK;
void epc_jwt_clear(struct epc_jwt *t);
/** Does the signature fit? False as well when the header's algorithm is not that of the key. */
bool epc_jwt_signature_ok(const struct epc_jwt *t, const struct epc_jwk *key);
const char *epc_jwt_alg_name(enum epc_jwt_alg alg);
enum epc_jwt_alg epc_jwt_alg_of(const char *name);

/* ---- revocation -------------------------------------------------------------------------------- */

#define EPC_REVOKED_MAX 65536
struct revoked;
struct epc_revocations {
    struct epc_hash by_impi;
    struct revoked *first, **last;
    uint64_t all_before_s; /**< tokens of anybody issued then or earlier are refused; 0 = none */
};
enum epc_err epc_revocations_init(struct epc_revocations *r) EPC_MUST_CHECK;
void epc_revocations_clear(struct epc_revocations *r);
void epc_revocations_add(struct epc_revocations *r, const char *impi, uint64_t before_s,
                         uint64_t keep_s, uint64_t now_s);
bool epc_revocations_cover(const struct epc_revocations *r, const char *impi, uint64_t issued_at_s,
                           uint64_t now_s);

/* ---- verifications that wait ---------------------------------------------------------------------- */

/** More are answered with 503. */
#define EPC_WAITING_MAX 256
struct epc_waiting {
    struct epc_auth_pending *first;
    size_t n;
};
struct epc_word;
/** Decide what waited for keys (@p word NULL), or for an issuer's word (@p failed: which did not come). */
void epc_verify_waiting(struct epc_waiting *list, const struct epc_word *word, bool failed);
void epc_waiting_clear(struct epc_waiting *list); /**< nobody is told */
char *epc_challenge_text(const struct epc_cfg_tokens *cfg, const struct epc_cfg_issuer *is,
                         const char *error, const char *scope); /**< gives */

/* ---- sources of keys ----------------------------------------------------------------------------- */

struct epc_file_stamp {
    uint64_t ino, size, mtime_s, mtime_ns;
};
struct epc_source {
    struct epc_auth *a;
    const struct epc_cfg_issuer *is;
    struct epc_jwks keys;       /**< kept while the source is away; none before the first success */
    uint64_t generation;        /**< of `keys`: another one with each new set */
    struct epc_timer timer;     /**< next look at the file, next fetch */
    struct epc_work *work;      /**< file: being read */
    struct epc_work *speeding;  /**< a key's table: being made */
    struct epc_jwt_header header;
    struct epc_file_stamp stamp;
    struct epc_endpoint *ep;    /**< URL */
    struct epc_request *fetch;
    unsigned failures;          /**< in a row */
    uint64_t next_ms;           /**< when the next fetch begins */
    uint64_t forced_ms;         /**< last fetch for an unknown kid; 0 = none yet */
    struct epc_waiting waiting; /**< tokens with a kid that the next set may hold */
};
/** EPC_EIO: the key file cannot be read or holds no usable key, or the URL cannot be used at all
 *  (logged). A URL that does not answer is no error. Shard's thread; may block. */
enum epc_err epc_source_open(struct epc_source *s, struct epc_auth *a,
                             const struct epc_cfg_issuer *is) EPC_MUST_CHECK;
void epc_source_close(struct epc_source *s);
void epc_source_reload(struct epc_source *s);
/** A token names a key that is not in the set. True: newer keys are on their way, and
 *  epc_verify_waiting() will be called. False: there is nothing to wait for. */
bool epc_source_look_for(struct epc_source *s);
/** A signature has been checked with that key of @p s, and not by table: often enough, and one is made. */
void epc_source_used(struct epc_source *s, struct epc_jwk *key);
/** Is it the source's fault that a key is missing? Then seconds to the next attempt, else 0. */
unsigned epc_source_away_s(const struct epc_source *s);

/* ---- signatures that have held ---------------------------------------------------------------------- */

/** More tokens at a time are proven again when they come again. */
#define EPC_PROVEN_MAX 262144
struct proven;
struct epc_proven {
    struct epc_hash by_digest;
    struct proven *first, **last; /**< in the order in which they came, which is about that of their end */
};
enum epc_err epc_proven_init(struct epc_proven *p) EPC_MUST_CHECK;
void epc_proven_clear(struct epc_proven *p);
void epc_proven_drop(struct epc_proven *p, struct epc_identity *id); /**< what was kept of its token */
/** Has the signature of the token with this digest (SHA-256) held under the keys that @p s has now? */
bool epc_proven_has(const struct epc_proven *p, const struct epc_source *s,
                    const unsigned char digest[EPC_TOKEN_DIGEST_OCTETS]);
/** The whole verdict of before, where nothing that it rests on can have changed since: token, keys, Origin,
 *  lifetime. Not the revocations: those are the caller's to look at. @return borrowed; NULL: judge it */
struct epc_identity *epc_proven_identity(const struct epc_proven *p, const struct epc_cfg_origin *origin,
                                         const unsigned char digest[EPC_TOKEN_DIGEST_OCTETS], uint64_t now_s);
/** @p id was granted on a connection of @p origin; a share of it is taken. */
void epc_proven_add(struct epc_proven *p, const struct epc_source *s, const struct epc_cfg_origin *origin,
                    const unsigned char digest[EPC_TOKEN_DIGEST_OCTETS], struct epc_identity *id, uint64_t now_s);

/* ---- introspection (RFC 7662) ---------------------------------------------------------------------- */

/** One issuer's word on one token: being asked for, or kept for a while. */
struct epc_word {
    struct epc_hnode node;
    struct epc_word *newer, *older;
    struct epc_auth *a;
    const struct epc_cfg_issuer *is;
    unsigned char digest[EPC_TOKEN_DIGEST_OCTETS]; /**< SHA-256 of issuer and token */
    struct epc_request *asking;
    bool telling;      /**< those who waited are being told: must stay */
    json_t *claims;   /**< NULL: the token is not active */
    uint64_t until_ms;
    struct epc_waiting waiting;
};
struct epc_introspection {
    struct epc_hash words;
    struct epc_word *oldest, *newest;
    size_t n_asking;
    struct epc_endpoint **eps; /**< one for each issuer; NULL: it is not asked */
    char **basic;              /**< credentials of ours, base64 */
};
enum epc_err epc_introspection_open(struct epc_introspection *in, struct epc_auth *a) EPC_MUST_CHECK;
void epc_introspection_close(struct epc_introspection *in, struct epc_auth *a);
/** @return EPC_OK: *word is settled, borrowed until the next turn. EPC_EAGAIN: asked; add what waits to
 *  (*word)->waiting. EPC_ELIMIT, EPC_ENOMEM: not now. */
enum epc_err epc_introspection_ask(struct epc_introspection *in, struct epc_auth *a, size_t issuer,
                                   struct epc_str token, struct epc_word **word) EPC_MUST_CHECK;

struct epc_auth {
    struct epc_shard *sh;
    const struct epc_cfg_tokens *cfg;
    struct epc_source *sources; /**< one for each issuer, in the order of the configuration */
    struct epc_introspection introspection;
    struct epc_revocations revoked;
    struct epc_proven proven;
    EVP_MD *sha256;             /**< fetched once: looking it up takes longer than a token's hash */
    EVP_MD_CTX *md_ctx;
    uint64_t longest_token_s;   /**< no issuer's tokens live longer, skew included */
};

/* ---- verdict -------------------------------------------------------------------------------- */

struct epc_verdict {
    struct epc_cause cause;
    const char *error; /**< RFC 8898 4: "invalid_token", "invalid_scope", or NULL: no challenge */
    const char *scope; /**< to name in the challenge, may be NULL */
    const struct epc_cfg_issuer *issuer; /**< whose challenge it is; NULL: nobody's in particular */
    const char *why;   /**< for the log where the answer must not tell; NULL: the cause's reason */
};
/** A token that does not hold: 401 with error="invalid_token". Returns EPC_EAUTH. */
enum epc_err epc_verdict_invalid(struct epc_verdict *v, const char *why);

/** The issuer cannot be asked: 503. Returns EPC_EAGAIN. */
enum epc_err epc_verdict_unavailable(struct epc_verdict *v, unsigned retry_after_s, const char *why);

/** Everything but the signature and the issuer: audience, times, scope, WWSF, identities, pools.
 *  @param[out] out gives, on EPC_OK only. */
enum epc_err epc_claims_check(struct epc_identity **out, const json_t *claims,
                              const struct epc_cfg_tokens *cfg,
                              const struct epc_cfg_issuer *issuer,
                              const struct epc_cfg_origin *origin, uint64_t now_s,
                              struct epc_verdict *v) EPC_MUST_CHECK;

#endif
