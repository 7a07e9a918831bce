/* Token introspection (RFC 7662): what the issuer says about a token that we cannot read ourselves. Its
 * word is kept for a short while, under a digest of the token, never the token. */
#include "auth/auth_priv.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORDS_MAX = 8192,
    ASKING_MAX = 64,
    REPLY_MAX_OCTETS = 32768,
    SECRET_MAX_OCTETS = 1024,
    INACTIVE_MS = 10000, /* a token that is not active now may become so: clocks differ */
};

/* ---- words ------------------------------------------------------------------------------------------- */

static bool same_digest(const struct epc_hnode *node, const void *key)
{
    return memcmp(EPC_CONTAINER(node, const struct epc_word, node)->digest, key, EPC_TOKEN_DIGEST_OCTETS) == 0;
}

static void free_word(struct epc_introspection *in, struct epc_word *w)
{
    epc_hash_del(&in->words, &w->node);
    *(w->older ? &w->older->newer : &in->oldest) = w->newer;
    *(w->newer ? &w->newer->older : &in->newest) = w->older;
    if (w->asking) {
        epc_request_cancel(w->asking);
        in->n_asking--;
    }
    epc_waiting_clear(&w->waiting);
    json_decref(w->claims);
    free(w);
}

static void make_room(struct epc_introspection *in)
{
    uint64_t now = epc_now_ms();
    struct epc_word *w = in->oldest;
    while (w && (in->words.n_items >= WORDS_MAX || (!w->asking && w->until_ms <= now))) {
        struct epc_word *next = w->newer;
        if (!w->asking && !w->telling)
            free_word(in, w);
        w = next;
    }
}

static struct epc_word *new_word(struct epc_introspection *in, struct epc_auth *a, size_t issuer,
                                 const unsigned char digest[EPC_TOKEN_DIGEST_OCTETS])
{
    make_room(in);
    struct epc_word *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->a = a;
    w->is = &a->cfg->issuers[issuer];
    memcpy(w->digest, digest, sizeof w->digest);
    epc_hash_add(&in->words, &w->node, epc_hash_bytes(digest, EPC_TOKEN_DIGEST_OCTETS));
    w->older = in->newest;
    *(in->newest ? &in->newest->newer : &in->oldest) = w;
    in->newest = w;
    return w;
}

/* ---- the question -------------------------------------------------------------------------------------- */

static void add_encoded(struct epc_buf *b, struct epc_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c && strchr("-._~", c));
        if (plain)
            epc_buf_add(b, s.p + i, 1);
        else
            epc_buf_printf(b, "%%%02X", c);
    }
}

static bool digest_token(unsigned char out[EPC_TOKEN_DIGEST_OCTETS], size_t issuer, struct epc_str token)
{
    unsigned n = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, &issuer, sizeof issuer) == 1 &&
              EVP_DigestUpdate(ctx, token.p, token.n) == 1 && EVP_DigestFinal_ex(ctx, out, &n) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

/* ---- the answer ------------------------------------------------------------------------------------------ */

/* Only what is looked at later: a reply may hold much more. */
static json_t *keep_needed(const json_t *reply, const struct epc_cfg_issuer *is)
{
    static const char *const names[] = {"iss", "aud", "exp", "nbf", "iat", "scope", "azp", "client_id"};
    const char *own[] = {is->impi_claim, is->impu_claim};
    json_t *kept = json_object();
    bool ok = kept != NULL;
    for (size_t i = 0; ok && i < EPC_ARRAY_LEN(names); i++) {
        json_t *v = json_object_get(reply, names[i]);
        ok = !v || json_object_set(kept, names[i], v) == 0;
    }
    for (size_t i = 0; ok && i < EPC_ARRAY_LEN(own); i++) {
        char first[128];
        json_t *v = json_object_get(reply, own[i]);
        snprintf(first, sizeof first, "%.*s", (int)strcspn(own[i], "."), own[i]);
        json_t *outer = v ? NULL : json_object_get(reply, first);
        ok = (!v || json_object_set(kept, own[i], v) == 0) &&
             (!outer || json_object_set(kept, first, outer) == 0);
    }
    if (ok)
        return kept;
    json_decref(kept);
    return NULL;
}

static uint64_t keep_ms(const struct epc_word *w)
{
    if (!w->claims)
        return INACTIVE_MS;
    const json_t *exp = json_object_get(w->claims, "exp");
    uint64_t now_s = epc_wall_s(), keep_s = w->a->cfg->introspection_cache_s;
    uint64_t exp_s = json_is_integer(exp) && json_integer_value(exp) > 0 ? (uint64_t)json_integer_value(exp) : 0;
    uint64_t rest_s = exp_s > now_s ? exp_s - now_s : 0;
    return (rest_s < keep_s ? rest_s : keep_s) * 1000;
}

/* NULL: understood. */
static const char *read_reply(struct epc_word *w, enum epc_err err, const struct epc_response *resp)
{
    const char *why = NULL;
    if (err != EPC_OK)
        return resp->why;
    if (resp->status == 401 || resp->status == 403)
        return "the issuer does not accept introspection_client_id and its secret";
    if (resp->status != 200)
        return "not 200";
    json_t *reply = epc_json_object(resp->body, resp->n, &why);
    if (!reply)
        return why;
    const json_t *active = json_object_get(reply, "active");
    if (!json_is_boolean(active))
        why = "no member \"active\"";
    else if (json_is_true(active) && !(w->claims = keep_needed(reply, w->is)))
        why = "out of memory";
    json_decref(reply);
    return why;
}

static void on_reply(void *arg, enum epc_err err, const struct epc_response *resp)
{
    struct epc_word *w = arg;
    struct epc_introspection *in = &w->a->introspection;
    w->asking = NULL;
    in->n_asking--;
    const char *why = read_reply(w, err, resp);
    if (why) {
        epc_count(EPC_C_AUTH_ASK_FAILED);
        epc_log(EPC_LOG_WARN, "auth", "event=introspection_failed issuer=\"%s\" status=%d reason=\"%s\"",
                w->is->issuer, resp->status, why);
    }
    w->until_ms = why ? 0 : epc_now_ms() + keep_ms(w);
    w->telling = true;
    epc_verify_waiting(&w->waiting, w, why != NULL);
    w->telling = false;
    if (why)
        free_word(in, w);
}

static enum epc_err ask(struct epc_introspection *in, size_t issuer, struct epc_str token, struct epc_word *w)
{
    struct epc_buf form = {0};
    epc_buf_adds(&form, "token=");
    add_encoded(&form, token);
    epc_buf_adds(&form, "&token_type_hint=access_token");
    w->asking = form.failed ? NULL
                            : epc_http_ask(in->eps[issuer], form.p, in->basic[issuer], REPLY_MAX_OCTETS,
                                           on_reply, w);
    if (form.p)
        OPENSSL_cleanse(form.p, form.n);
    epc_buf_free(&form);
    if (!w->asking)
        return EPC_ENOMEM;
    in->n_asking++;
    epc_count(EPC_C_AUTH_ASKED);
    return EPC_EAGAIN;
}

enum epc_err epc_introspection_ask(struct epc_introspection *in, struct epc_auth *a, size_t issuer,
                                   struct epc_str token, struct epc_word **word)
{
    unsigned char digest[EPC_TOKEN_DIGEST_OCTETS];
    if (!digest_token(digest, issuer, token))
        return EPC_ENOMEM;
    struct epc_hnode *node = epc_hash_find(&in->words, epc_hash_bytes(digest, sizeof digest), digest);
    struct epc_word *w = node ? EPC_CONTAINER(node, struct epc_word, node) : NULL;
    *word = w;
    if (w && w->asking)
        return EPC_EAGAIN;
    if (w && w->until_ms > epc_now_ms()) {
        epc_count(EPC_C_AUTH_ASK_SAVED);
        return EPC_OK;
    }
    if (in->n_asking >= ASKING_MAX || (w && w->telling))
        return EPC_ELIMIT;
    if (w)
        free_word(in, w);
    *word = w = new_word(in, a, issuer, digest);
    if (!w)
        return EPC_ENOMEM;
    enum epc_err err = ask(in, issuer, token, w);
    if (err != EPC_EAGAIN)
        free_word(in, w);
    return err;
}

/* ---- opening and closing ----------------------------------------------------------------------------------- */

/* RFC 6749 2.3.1: both parts form-encoded, then as HTTP Basic. */
static char *basic_of(const struct epc_cfg_issuer *is, struct epc_str secret)
{
    struct epc_buf plain = {0};
    add_encoded(&plain, epc_str_c(is->introspection_client_id));
    epc_buf_adds(&plain, ":");
    add_encoded(&plain, secret);
    char *out = plain.failed ? NULL : malloc(4 * ((plain.n + 2) / 3) + 1);
    if (out)
        EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)plain.p, (int)plain.n);
    if (plain.p)
        OPENSSL_cleanse(plain.p, plain.n);
    epc_buf_free(&plain);
    return out;
}

static enum epc_err read_secret(char **basic, const struct epc_cfg_issuer *is)
{
    char text[SECRET_MAX_OCTETS];
    FILE *f = fopen(is->introspection_secret_file, "rbe");
    size_t n = f ? fread(text, 1, sizeof text, f) : 0;
    const char *why = !f ? strerror(errno) : n == sizeof text ? "too long" : NULL;
    struct epc_str secret = epc_str_trim((struct epc_str){text, n});
    if (f)
        fclose(f);
    if (!why && secret.n == 0)
        why = "empty";
    if (why)
        epc_log(EPC_LOG_ERROR, "auth", "event=secret_refused file=\"%s\" reason=\"%s\"",
                is->introspection_secret_file, why);
    else
        *basic = basic_of(is, secret);
    OPENSSL_cleanse(text, sizeof text);
    return why ? EPC_EIO : *basic ? EPC_OK : EPC_ENOMEM;
}

enum epc_err epc_introspection_open(struct epc_introspection *in, struct epc_auth *a)
{
    enum epc_err err = epc_hash_init(&in->words, same_digest);
    in->eps = calloc(a->cfg->n_issuers + 1, sizeof *in->eps);
    in->basic = calloc(a->cfg->n_issuers + 1, sizeof *in->basic);
    if (!in->eps || !in->basic)
        err = EPC_ENOMEM;
    for (size_t i = 0; err == EPC_OK && i < a->cfg->n_issuers; i++) {
        const struct epc_cfg_issuer *is = &a->cfg->issuers[i];
        if (!is->introspection_url)
            continue;
        err = read_secret(&in->basic[i], is);
        if (err == EPC_OK)
            err = epc_endpoint_open(&in->eps[i], a->sh, is->introspection_url, is->ca_file,
                                    a->cfg->http_timeout_ms);
    }
    return err;
}

void epc_introspection_close(struct epc_introspection *in, struct epc_auth *a)
{
    while (in->oldest)
        free_word(in, in->oldest);
    for (size_t i = 0; in->eps && i < a->cfg->n_issuers; i++)
        epc_endpoint_close(in->eps[i]);
    for (size_t i = 0; in->basic && i < a->cfg->n_issuers; i++) {
        if (in->basic[i])
            OPENSSL_cleanse(in->basic[i], strlen(in->basic[i]));
        free(in->basic[i]);
    }
    free(in->eps);
    free(in->basic);
    epc_hash_free(&in->words);
}
