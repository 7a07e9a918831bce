/* The failure table for tokens, row by row, on tokens made here. */
#include "auth/auth_priv.h"
#include "fake_shard.h"
#include "token_maker.h"

#include <jwt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define INVALID "Bearer realm=\"ims.test\", authz_server=\"https://waf.test\", error=\"invalid_token\""
#define SCOPE                                                                                      \
    "Bearer realm=\"ims.test\", scope=\"sip\", authz_server=\"https://waf.test\", "                 \
    "error=\"invalid_scope\""

static struct token_maker maker;
static char jwks_file[] = "/tmp/epc_auth_XXXXXX";
static char *es_only[] = {"ES256"}, *both[] = {"ES256", "RS256"};
static char *wwsfs[] = {"wwsf1", "wwsf2"};
static struct epc_cfg_issuer issuers[] = {
    {.issuer = "https://waf.test", .jwks_file = jwks_file, .algorithms = both, .n_algorithms = 2,
     .audience = "epcscf", .scope = "sip", .wwsfs = wwsfs, .n_wwsfs = 2, .impi_claim = "impi",
     .impu_claim = "impu", .max_lifetime_s = 86400, .skew_s = 30},
    {.issuer = "https://strict.test", .jwks_file = jwks_file, .algorithms = es_only,
     .n_algorithms = 1, .audience = "epcscf", .scope = "", .wwsfs = wwsfs, .n_wwsfs = 1,
     .impi_claim = "impi", .impu_claim = "impu", .max_lifetime_s = 86400, .skew_s = 30},
};
static struct epc_cfg_tokens cfg = {
    .issuers = issuers, .n_issuers = 2, .realm = "ims.test", .authz_server = "https://waf.test"};
static struct epc_cfg_origin origin1 = {.origin = "https://a.test", .wwsf = "wwsf1"};
static struct epc_auth *auth;

struct result {
    unsigned calls;
    enum epc_err err;
    struct epc_identity *id;
    struct epc_cause cause;
    char header[256];
};

static void done(void *arg, enum epc_err err, struct epc_identity *id,
                 const struct epc_cause *cause, const char *www_authenticate)
{
    struct result *r = arg;
    r->calls++;
    r->err = err;
    r->id = id;
    r->cause = *cause;
    snprintf(r->header, sizeof r->header, "%s", www_authenticate);
}

static struct result verify(const char *token, const struct epc_cfg_origin *origin)
{
    struct result r = {0};
    assert_null(epc_auth_verify(auth, epc_str_c(token), origin, done, &r));
    assert_int_equal(r.calls, 1);
    assert_true((r.err == EPC_OK) == (r.id != NULL));
    /* The reason goes to the log: it must not carry the token. */
    assert_true(strlen(token) < 16 || !strstr(r.cause.reason, token));
    return r;
}

static void expect(const char *what, const char *token, int status, const char *header)
{
    struct result r = verify(token, &origin1);
    if (r.cause.sip_status != status || strcmp(r.header, header) != 0)
        fail_msg("%s: %d '%s' %s", what, r.cause.sip_status, r.cause.reason, r.header);
    epc_identity_free(r.id);
}

/* Claims with the defaults that make a good token; @p change replaces one `"name":` member. */
static char *claims(const char *change)
{
    static const char *const names[] = {"iss", "aud", "exp", "iat", "scope", "azp", "impi", "impu"};
    unsigned long long now = epc_wall_s();
    char defaults[8][128], *out = malloc(16384);
    snprintf(defaults[0], 128, "\"iss\":\"https://waf.test\"");
    snprintf(defaults[1], 128, "\"aud\":\"epcscf\"");
    snprintf(defaults[2], 128, "\"exp\":%llu", now + 600);
    snprintf(defaults[3], 128, "\"iat\":%llu", now);
    snprintf(defaults[4], 128, "\"scope\":\"openid sip\"");
    snprintf(defaults[5], 128, "\"azp\":\"wwsf1\"");
    snprintf(defaults[6], 128, "\"impi\":\"alice@ims.test\"");
    snprintf(defaults[7], 128, "\"impu\":[\"sip:alice@IMS.test\",\"tel:+1-555-0001\"]");
    size_t n = 0;
    n += (size_t)snprintf(out, 16384, "{\"sub\":\"x\"");
    for (size_t i = 0; i < 8; i++) {
        char quoted[16];
        snprintf(quoted, sizeof quoted, "\"%s\":", names[i]);
        if (!strncmp(change, quoted, strlen(quoted)) || (change[0] == '-' && !strcmp(change + 1, names[i])))
            continue;
        n += (size_t)snprintf(out + n, 16384 - n, ",%s", defaults[i]);
    }
    if (change[0] == '"')
        n += (size_t)snprintf(out + n, 16384 - n, ",%s", change);
    snprintf(out + n, 16384 - n, "}");
    return out;
}

static void expect_claims(const char *change, int status, const char *header)
{
    char *c = claims(change), *token = token_maker_es256(&maker, c);
    expect(change, token, status, header);
    free(token);
    free(c);
}

static void expect_signed(const char *what, EVP_PKEY *key, const char *head, const char *change,
                          int status)
{
    char *c = claims(change), *token = token_maker_sign(key, head, c);
    expect(what, token, status, status == 0 ? "" : INVALID);
    free(token);
    free(c);
}

static void good_token(void **state)
{
    (void)state;
    char *c = claims(""), *token = token_maker_es256(&maker, c);
    struct result r = verify(token, NULL);
    assert_int_equal(r.err, EPC_OK);
    assert_string_equal(r.id->impi, "alice@ims.test");
    assert_int_equal(r.id->n_impus, 2);
    assert_string_equal(r.id->impus[0], "sip:alice@ims.test");
    assert_string_equal(r.id->impus[1], "tel:+15550001");
    assert_string_equal(r.id->wwsf, "wwsf1");
    assert_string_equal(r.id->issuer, "https://waf.test");
    assert_in_range(r.id->expires_at_s, epc_wall_s() + 590, epc_wall_s() + 600);
    assert_true(r.id->token_hash == epc_hash_bytes(token, strlen(token)));
    epc_identity_free(r.id);
    free(token);
    free(c);
}

static void accepted_forms(void **state)
{
    (void)state;
    char text[200];
    expect_claims("\"impu\":\"sip:alice@ims.test\"", 0, "");
    expect_claims("\"aud\":[\"other\",\"epcscf\"]", 0, "");
    expect_claims("\"azp\":\"wwsf1\",\"client_id\":\"wwsf1\"", 0, "");
    expect_claims("\"scope\":\"sip\"", 0, "");
    snprintf(text, sizeof text, "\"exp\":%llu.5", (unsigned long long)epc_wall_s() + 60);
    expect_claims(text, 0, "");
    snprintf(text, sizeof text, "\"exp\":%llu", (unsigned long long)epc_wall_s() - 5);
    expect_claims(text, 0, ""); /* within the skew */
    expect_claims("-iat", 0, "");
    expect_signed("RS256", maker.rsa, "{\"alg\":\"RS256\",\"kid\":\"rsa1\"}", "", 0);
    expect_signed("at+jwt", maker.ec, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"ec1\"}", "", 0);
}

static void lifetime_and_audience(void **state)
{
    (void)state;
    unsigned long long now = epc_wall_s();
    char text[200];
    snprintf(text, sizeof text, "\"exp\":%llu", now - 31);
    expect_claims(text, 401, INVALID);
    expect_claims("-exp", 401, INVALID);
    expect_claims("\"exp\":\"tomorrow\"", 401, INVALID);
    expect_claims("\"exp\":-1", 401, INVALID);
    expect_claims("\"exp\":1e300", 401, INVALID);
    expect_claims("\"exp\":9223372036854775807", 401, INVALID);
    expect_claims("\"exp\":null", 401, INVALID);
    snprintf(text, sizeof text, "\"nbf\":%llu", now + 100);
    expect_claims(text, 401, INVALID);
    expect_claims("\"nbf\":true", 401, INVALID);
    snprintf(text, sizeof text, "\"iat\":%llu", now + 100);
    expect_claims(text, 401, INVALID);
    snprintf(text, sizeof text, "\"exp\":%llu", now + 86400 + 100);
    expect_claims(text, 401, INVALID);
    expect_claims("\"aud\":\"other\"", 401, INVALID);
    expect_claims("\"aud\":[\"other\",7]", 401, INVALID);
    expect_claims("-aud", 401, INVALID);
    expect_claims("\"iss\":\"https://evil.test\"", 401, INVALID);
    expect_claims("-iss", 401, INVALID);
}

static void scope_and_rights(void **state)
{
    (void)state;
    expect_claims("\"scope\":\"openid\"", 401, SCOPE);
    expect_claims("\"scope\":\"sipx xsip\"", 401, SCOPE);
    expect_claims("-scope", 401, SCOPE);
    expect_claims("\"azp\":\"wwsf2\"", 403, "");  /* allowed, but not this Origin's */
    expect_claims("\"azp\":\"wwsf9\"", 403, "");  /* not allowed for the issuer */
    expect_claims("-azp", 403, "");
    expect_claims("\"client_id\":\"wwsf2\"", 403, ""); /* beside azp wwsf1 */
    expect_claims("-impi", 403, "");
    expect_claims("\"impi\":\"alice\"", 403, "");
    expect_claims("\"impi\":\"a\\\"b@ims.test\"", 403, "");
    expect_claims("\"impi\":\"a@ims.test\\r\\nX: y\"", 403, "");
    expect_claims("-impu", 403, "");
    expect_claims("\"impu\":[]", 403, "");
    expect_claims("\"impu\":[\"sip:a@b\",7]", 403, "");
    expect_claims("\"impu\":\"mailto:a@b\"", 403, "");
    /* Without Origin only the issuer's list counts. */
    char *c = claims("\"azp\":\"wwsf2\""), *token = token_maker_es256(&maker, c);
    struct result r = verify(token, NULL);
    assert_int_equal(r.err, EPC_OK);
    epc_identity_free(r.id);
    free(token);
    free(c);
}

static void signatures(void **state)
{
    (void)state;
    const char *es = "{\"alg\":\"ES256\",\"kid\":\"ec1\"}";
    expect_signed("other key", maker.other_ec, es, "", 401);
    expect_signed("unknown kid", maker.ec, "{\"alg\":\"ES256\",\"kid\":\"ec2\"}", "", 401);
    expect_signed("no kid", maker.ec, "{\"alg\":\"ES256\"}", "", 401);
    expect_signed("kid of the other type", maker.ec, "{\"alg\":\"ES256\",\"kid\":\"rsa1\"}", "", 401);
    expect_signed("alg not the key's", maker.ec, "{\"alg\":\"RS256\",\"kid\":\"ec1\"}", "", 401);
    expect_signed("crit", maker.ec, "{\"alg\":\"ES256\",\"kid\":\"ec1\",\"crit\":[\"b64\"]}", "", 401);
    expect_signed("typ", maker.ec, "{\"alg\":\"ES256\",\"kid\":\"ec1\",\"typ\":\"dpop+jwt\"}", "", 401);
    expect_signed("alg none", maker.ec, "{\"alg\":\"none\",\"kid\":\"ec1\"}", "", 401);
    expect_signed("alg None", maker.ec, "{\"alg\":\"None\",\"kid\":\"ec1\"}", "", 401);
    expect_signed("ES384", maker.ec, "{\"alg\":\"ES384\",\"kid\":\"ec1\"}", "", 401);
    expect_signed("duplicate header", maker.ec, "{\"alg\":\"ES256\",\"alg\":\"ES256\",\"kid\":\"ec1\"}",
                  "", 401);
    expect_signed("duplicate claim", maker.ec, es, "\"impi2\":1,\"impi\":\"x@y\"", 401);
    expect_signed("RS256 not on this issuer's list", maker.rsa, "{\"alg\":\"RS256\",\"kid\":\"rsa1\"}",
                  "\"iss\":\"https://strict.test\"", 401);
}

static void altered_tokens(void **state)
{
    (void)state;
    char *c = claims(""), *good = token_maker_es256(&maker, c), text[16384];
    size_t n = strlen(good);
    size_t body = strcspn(good, ".") + 1;
    size_t sig = body + strcspn(good + body, ".") + 1;
    snprintf(text, sizeof text, "%s", good);
    text[sig + 10] = text[sig + 10] == 'A' ? 'B' : 'A';
    expect("signature altered", text, 401, INVALID);
    snprintf(text, sizeof text, "%.*s", (int)sig, good);
    expect("signature cut off", text, 401, INVALID);
    snprintf(text, sizeof text, "%.*s", (int)sig - 1, good);
    expect("two parts", text, 401, INVALID);
    snprintf(text, sizeof text, "%s.x", good);
    expect("four parts", text, 401, INVALID);
    snprintf(text, sizeof text, "%s==", good);
    expect("padded signature", text, 401, INVALID);
    snprintf(text, sizeof text, "%.*s=.%s", (int)sig - 1, good, good + sig);
    expect("padded claims", text, 401, INVALID);
    snprintf(text, sizeof text, "%.*s", (int)n - 4, good);
    expect("short signature", text, 401, INVALID);
    snprintf(text, sizeof text, ".%s", good + body);
    expect("no header", text, 401, INVALID);
    expect("opaque", "2YotnFZFEjr1zCsicMWpAA", 401, INVALID);
    expect("dots", "..", 401, INVALID);
    expect("nothing", "", 401, INVALID);
    free(good);
    free(c);
}

static void too_long_and_too_deep(void **state)
{
    (void)state;
    char *big = malloc(12000);
    int n = sprintf(big, "\"pad\":\"");
    memset(big + n, 'x', 9000);
    sprintf(big + n + 9000, "\"");
    expect_claims(big, 401, INVALID);
    n = sprintf(big, "\"pad\":");
    memset(big + n, '[', 40);
    memset(big + n + 40, ']', 40);
    big[n + 80] = 0;
    expect_claims(big, 401, INVALID);
    expect_claims("\"pad\":[[[[[[[[\"]]\"]]]]]]]]", 0, "");
    free(big);
}

/* Tokens of an independent implementation; HS256 keyed with our public key is the classic attack. */
static char *by_libjwt(jwt_alg_t alg, const char *kid, const char *key)
{
    jwt_t *jwt = NULL;
    char *c = claims("");
    assert_int_equal(jwt_new(&jwt), 0);
    assert_int_equal(jwt_add_grants_json(jwt, c), 0);
    assert_int_equal(jwt_add_header(jwt, "kid", kid), 0);
    assert_int_equal(
        jwt_set_alg(jwt, alg, (const unsigned char *)key, key ? (int)strlen(key) : 0), 0);
    char *token = jwt_encode_str(jwt);
    assert_non_null(token);
    jwt_free(jwt);
    free(c);
    return token;
}

static void other_implementation(void **state)
{
    (void)state;
    const struct {
        jwt_alg_t alg;
        const char *kid, *key;
        int status;
    } rows[] = {
        {JWT_ALG_RS256, "rsa1", maker.rsa_private_pem, 0},
        {JWT_ALG_ES256, "ec1", maker.ec_private_pem, 0},
        {JWT_ALG_HS256, "rsa1", maker.rsa_public_pem, 401},
        {JWT_ALG_HS256, "ec1", maker.rsa_public_pem, 401},
        {JWT_ALG_RS512, "rsa1", maker.rsa_private_pem, 401},
        {JWT_ALG_NONE, "rsa1", NULL, 401},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++) {
        char *token = by_libjwt(rows[i].alg, rows[i].kid, rows[i].key);
        expect(jwt_alg_str(rows[i].alg), token, rows[i].status, rows[i].status ? INVALID : "");
        free(token);
    }
}

static void challenge_without_credentials(void **state)
{
    (void)state;
    char *c = epc_auth_challenge(auth, NULL);
    assert_string_equal(
        c, "Bearer realm=\"ims.test\", scope=\"sip\", authz_server=\"https://waf.test\"");
    free(c);
    c = epc_auth_challenge(auth, "invalid_token");
    assert_string_equal(c, INVALID);
    free(c);
    c = epc_auth_challenge(auth, "invalid_scope");
    assert_string_equal(c, SCOPE);
    free(c);
}

static void keys_change_while_running(void **state)
{
    (void)state;
    char *c = claims(""), *token = token_maker_es256(&maker, c);
    char *other = token_maker_jwk(maker.other_ec, "ec1"), text[4096];
    snprintf(text, sizeof text, "{\"keys\":[%s]}", other);
    FILE *f = fopen(jwks_file, "w");
    fputs(text, f);
    fclose(f);
    expect("before", token, 0, "");
    epc_auth_reload(auth); /* both issuers */
    fake_shard_run_one();
    fake_shard_run_one();
    expect("after", token, 401, INVALID);
    f = fopen(jwks_file, "w");
    fputs("{}", f);
    fclose(f);
    epc_auth_reload(auth);
    fake_shard_run_one();
    fake_shard_run_one();
    char *still = token_maker_sign(maker.other_ec, "{\"alg\":\"ES256\",\"kid\":\"ec1\"}", c);
    expect("an unusable file changes nothing", still, 0, "");
    free(still);
    free(token);
    free(c);
    free(other);
}

/* The dear step is done once for a token; all else is looked at each time. */
static void known_signature(void **state)
{
    (void)state;
    char *c = claims(""), *token = token_maker_es256(&maker, c);
    int64_t known = epc_counter_read(EPC_C_AUTH_PROVEN);
    expect("first", token, 0, "");
    assert_int_equal(epc_counter_read(EPC_C_AUTH_PROVEN), known);
    expect("again", token, 0, "");
    assert_int_equal(epc_counter_read(EPC_C_AUTH_PROVEN), known + 1);
    size_t n = strlen(token); /* another signature, and the same claims under another header */
    token[n - 10] = token[n - 10] == 'A' ? 'B' : 'A';
    expect("altered signature", token, 401, INVALID);
    expect("altered signature again", token, 401, INVALID);
    free(token);
    /* The wrong WWSF's connection: the signature is known, the answer is not. */
    struct epc_cfg_origin other = {.origin = "https://b.test", .wwsf = "wwsf2"};
    token = token_maker_es256(&maker, c);
    expect("good", token, 0, "");
    struct result r = verify(token, &other);
    assert_int_equal(r.cause.sip_status, 403);
    free(token);
    free(c);
}

static struct epc_identity *identity_until(uint64_t until_s)
{
    struct epc_identity *id = calloc(1, sizeof *id);
    id->holders = 1;
    id->expires_at_s = until_s;
    return id;
}

static void table_of_known_tokens(void **state)
{
    (void)state;
    struct epc_proven p = {0};
    struct epc_source s = {.is = &issuers[0]}, t = {.is = &issuers[0]}; /* both with a skew of 30 s */
    struct epc_identity *soon = identity_until(70), *late = identity_until(1000);
    unsigned char digest[EPC_TOKEN_DIGEST_OCTETS] = {0};
    assert_int_equal(epc_proven_init(&p), EPC_OK);
    for (unsigned i = 0; i < 1000; i++) {
        memcpy(digest, &i, sizeof i);
        epc_proven_add(&p, &s, &origin1, digest, soon, 50);
        assert_true(epc_proven_has(&p, &s, digest));
        assert_false(epc_proven_has(&p, &t, digest));
    }
    assert_ptr_equal(epc_proven_identity(&p, &origin1, digest, 99), soon);
    assert_null(epc_proven_identity(&p, &origin1, digest, 100)); /* 70 and the skew */
    assert_null(epc_proven_identity(&p, NULL, digest, 99));
    s.generation++; /* other keys */
    assert_false(epc_proven_has(&p, &s, digest));
    assert_null(epc_proven_identity(&p, &origin1, digest, 99));
    epc_proven_add(&p, &s, &origin1, digest, soon, 50); /* the same entry */
    assert_true(epc_proven_has(&p, &s, digest));
    assert_int_equal(p.by_digest.n_items, 1000);
    for (unsigned i = 1000; i < 2000; i++) { /* what is over goes as new ones come */
        memcpy(digest, &i, sizeof i);
        epc_proven_add(&p, &s, NULL, digest, late, 101);
    }
    assert_true(p.by_digest.n_items <= 1001);
    epc_proven_clear(&p);
    assert_int_equal(soon->holders, 1);
    epc_identity_free(soon);
    epc_identity_free(late);
}

static void every_outcome_is_counted(void **state)
{
    (void)state;
    int64_t ok = epc_counter_read(EPC_C_AUTH_TOKENS_OK), bad = epc_counter_read(EPC_C_AUTH_TOKENS_BAD);
    expect_claims("", 0, "");
    expect_claims("-exp", 401, INVALID);
    expect_claims("-azp", 403, "");
    assert_int_equal(epc_counter_read(EPC_C_AUTH_TOKENS_OK), ok + 1);
    assert_int_equal(epc_counter_read(EPC_C_AUTH_TOKENS_BAD), bad + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_token),
        cmocka_unit_test(accepted_forms),
        cmocka_unit_test(lifetime_and_audience),
        cmocka_unit_test(scope_and_rights),
        cmocka_unit_test(signatures),
        cmocka_unit_test(altered_tokens),
        cmocka_unit_test(too_long_and_too_deep),
        cmocka_unit_test(other_implementation),
        cmocka_unit_test(challenge_without_credentials),
        cmocka_unit_test(known_signature),
        cmocka_unit_test(table_of_known_tokens),
        cmocka_unit_test(every_outcome_is_counted),
        cmocka_unit_test(keys_change_while_running), /* last: it changes the keys */
    };
    token_maker_init(&maker);
    int fd = mkstemp(jwks_file);
    if (fd < 0 || write(fd, maker.jwks, strlen(maker.jwks)) != (ssize_t)strlen(maker.jwks))
        return 1;
    close(fd);
    if (epc_auth_create(&auth, fake_shard, &cfg) != EPC_OK)
        return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    epc_auth_destroy(auth);
    unlink(jwks_file);
    token_maker_free(&maker);
    return rc;
}
