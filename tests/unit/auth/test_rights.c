/* What a good token may grant: pools, domains, origins, several issuers; what revocation takes back. */
#include "auth/auth_priv.h"
#include "fake_shard.h"
#include "token_maker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct token_maker maker;
static char jwks_file[] = "/tmp/epc_auth_XXXXXX";
static char *algorithms[] = {"ES256"}, *everyone[] = {"own", "lender", "other", "strict"};
static char *domains[] = {"ims.test", "b.test"}, *origins[] = {"https://strict.test"};
static struct epc_cfg_issuer issuers[] = {
    {.issuer = "https://a.test", .jwks_file = jwks_file, .algorithms = algorithms, .n_algorithms = 1,
     .audience = "epcscf", .scope = "sip", .wwsfs = everyone, .n_wwsfs = 4, .impi_claim = "impi",
     .impu_claim = "impu", .max_lifetime_s = 86400, .skew_s = 30},
    {.issuer = "https://b.test", .jwks_file = jwks_file, .algorithms = algorithms, .n_algorithms = 1,
     .audience = "epcscf", .scope = "voice", .wwsfs = everyone, .n_wwsfs = 4, .impi_claim = "ims.id.impi",
     .impu_claim = "https://b.test/impu", .max_lifetime_s = 86400, .skew_s = 30, .home_domains = domains,
     .n_home_domains = 2, .origins = origins, .n_origins = 1, .realm = "b \"realm\"",
     .authz_server = "https://b.test/token", .waf = "waf.b.test"},
};
static char *pairs[] = {"p1@ims.test sip:p1@ims.test", "p2@ims.test sip:p2@ims.test"};
static char impi_range[] = "g{00-99}@ims.test", impu_range[] = "sip:g{00-99}@ims.test";
static struct epc_cfg_pool pools[] = {
    {.wwsf = "lender", .subscriptions = pairs, .n_subscriptions = 2},
    {.wwsf = "other", .impi_range = impi_range, .impu_range = impu_range, .anonymous = true},
};
static struct epc_cfg_tokens cfg = {.issuers = issuers, .n_issuers = 2, .realm = "ims.test",
                                    .authz_server = "https://a.test/token", .pools = pools, .n_pools = 2};
static struct epc_auth *auth;

struct result {
    struct epc_identity *id;
    struct epc_cause cause;
    char header[300];
    int calls;
};

static void done(void *arg, enum epc_err err, struct epc_identity *id, const struct epc_cause *cause,
                 const char *header)
{
    struct result *r = arg;
    assert_int_equal(err == EPC_OK, id != NULL);
    r->id = id;
    r->cause = *cause;
    r->calls++;
    snprintf(r->header, sizeof r->header, "%s", header);
}

static struct result verify_from(const char *body, const char *origin, const char *wwsf)
{
    struct result r = {0};
    char o_text[64], w_text[64];
    snprintf(o_text, sizeof o_text, "%s", origin ? origin : "");
    snprintf(w_text, sizeof w_text, "%s", wwsf ? wwsf : "");
    struct epc_cfg_origin o = {.origin = o_text, .wwsf = w_text, .modes = EPC_MODE_TOKEN};
    char *token = token_maker_es256(&maker, body);
    assert_null(epc_auth_verify(auth, epc_str_c(token), origin ? &o : NULL, done, &r));
    assert_int_equal(r.calls, 1);
    free(token);
    return r;
}

static char *body_a(char out[1024], const char *wwsf, const char *impi, const char *impu)
{
    unsigned long long now = epc_wall_s();
    snprintf(out, 1024,
             "{\"iss\":\"https://a.test\",\"aud\":\"epcscf\",\"exp\":%llu,\"iat\":%llu,\"scope\":\"sip\","
             "\"azp\":\"%s\",\"impi\":\"%s\",\"impu\":%s}",
             now + 600, now, wwsf, impi, impu);
    return out;
}

static void expect_a(const char *wwsf, const char *impi, const char *impu, int status, bool pool, bool anonymous)
{
    char body[1024];
    struct result r = verify_from(body_a(body, wwsf, impi, impu), NULL, NULL);
    if (r.cause.sip_status != status)
        fail_msg("%s %s %s: %d %s", wwsf, impi, impu, r.cause.sip_status, r.cause.reason);
    if (status) { /* one text, whatever the reason: nobody learns which identities there are */
        assert_string_equal(r.cause.reason, "Identity not allowed");
        assert_string_equal(r.header, "");
    } else {
        assert_int_equal(r.id->pool, pool);
        assert_int_equal(r.id->anonymous, anonymous);
        assert_null(r.id->waf);
    }
    epc_identity_free(r.id);
}

/* A key that is used often gets its table; what is good and what is not stays the same. */
static void a_key_that_is_used_often(void **state)
{
    char body[1024], impi[64], impu[64];
    (void)state;
    for (int i = 0; i < 200; i++) {
        snprintf(impi, sizeof impi, "u%d@ims.test", i);
        snprintf(impu, sizeof impu, "\"sip:u%d@ims.test\"", i);
        expect_a("own", impi, impu, 0, false, false);
        if (i == 63)
            fake_shard_run_one(); /* made on a thread of its own */
    }
    char *token = token_maker_es256(&maker, body_a(body, "own", "a@ims.test", "\"sip:a@ims.test\"")), *sig;
    sig = strrchr(token, '.') + 1;
    sig[10] = sig[10] == 'A' ? 'B' : 'A';
    struct result r = {0};
    assert_null(epc_auth_verify(auth, epc_str_c(token), NULL, done, &r));
    assert_int_equal(r.cause.sip_status, 401);
    assert_non_null(strstr(r.cause.reason, "bad signature"));
    free(token);
}

/* Whoever shows a newer token leaves nothing behind of the last one. */
static void superseded_tokens_are_forgotten(void **state)
{
    char body[1024];
    (void)state;
    size_t before = auth->proven.by_digest.n_items;
    struct epc_identity *last = NULL;
    for (int i = 0; i < 5; i++) {
        char impu[64];
        snprintf(impu, sizeof impu, "\"sip:s%d@ims.test\"", i);
        struct result r = verify_from(body_a(body, "own", "s@ims.test", impu), NULL, NULL);
        assert_non_null(r.id);
        if (last)
            epc_auth_superseded(auth, last);
        epc_identity_free(last);
        last = r.id;
        assert_int_equal(auth->proven.by_digest.n_items, before + 1);
    }
    epc_auth_superseded(auth, last);
    epc_auth_superseded(auth, last); /* once is enough */
    assert_int_equal(auth->proven.by_digest.n_items, before);
    assert_string_equal(last->impi, "s@ims.test"); /* ours still */
    epc_identity_free(last);
}

static void a_pool_belongs_to_one_wwsf(void **state)
{
    (void)state;
    int64_t before = epc_counter_read(EPC_C_AUTH_POOL);
    expect_a("own", "alice@ims.test", "\"sip:alice@ims.test\"", 0, false, false);
    expect_a("lender", "p1@ims.test", "\"sip:p1@ims.test\"", 0, true, false);
    expect_a("lender", "p1@IMS.test", "[\"sip:p1@IMS.test;x=y\"]", 0, true, false);
    expect_a("other", "g42@ims.test", "[\"sip:g42@ims.test\"]", 0, true, true);
    assert_int_equal(epc_counter_read(EPC_C_AUTH_POOL), before);
    /* another's pool */
    expect_a("own", "p1@ims.test", "\"sip:p1@ims.test\"", 403, false, false);
    expect_a("own", "P1@ims.test", "\"sip:alice@ims.test\"", 403, false, false);
    expect_a("own", "alice@ims.test", "\"sip:p1@ims.test\"", 403, false, false);
    expect_a("own", "alice@ims.test", "[\"sip:alice@ims.test\",\"sip:%50%31@ims.test\"]", 403, false, false);
    expect_a("own", "alice@ims.test", "[\"sip:alice@ims.test\",\"sip:G07@ims.test\"]", 403, false, false);
    expect_a("other", "p1@ims.test", "\"sip:p1@ims.test\"", 403, false, false);
    expect_a("lender", "g42@ims.test", "\"sip:g42@ims.test\"", 403, false, false);
    /* not in the own pool, or not its pair */
    expect_a("lender", "alice@ims.test", "\"sip:alice@ims.test\"", 403, false, false);
    expect_a("lender", "p1@ims.test", "\"sip:p2@ims.test\"", 403, false, false);
    expect_a("lender", "p1@ims.test", "\"sip:alice@ims.test\"", 403, false, false);
    expect_a("lender", "P1@ims.test", "\"sip:p1@ims.test\"", 403, false, false);
    expect_a("other", "g42@ims.test", "\"sip:g43@ims.test\"", 403, false, false);
    expect_a("other", "g100@ims.test", "\"sip:g100@ims.test\"", 403, false, false);
    /* exactly one public identity */
    expect_a("lender", "p1@ims.test", "[\"sip:p1@ims.test\",\"sip:p2@ims.test\"]", 403, false, false);
    expect_a("lender", "p1@ims.test", "[\"sip:p1@ims.test\",\"sip:p1@ims.test\"]", 403, false, false);
    assert_int_equal(epc_counter_read(EPC_C_AUTH_POOL), before + 15);
}

/* A WWSF that lends to some users, and has others with subscriptions of their own. */
static void a_pool_may_be_shared(void **state)
{
    (void)state;
    pools[0].shared = true;
    expect_a("lender", "alice@ims.test", "\"sip:alice@ims.test\"", 0, false, false);
    expect_a("lender", "p1@ims.test", "\"sip:p1@ims.test\"", 0, true, false);
    /* Still no mixture, no other pair, nobody else's pool. */
    expect_a("lender", "p1@ims.test", "\"sip:p2@ims.test\"", 403, false, false);
    expect_a("lender", "p1@ims.test", "\"sip:alice@ims.test\"", 403, false, false);
    expect_a("lender", "alice@ims.test", "\"sip:p1@ims.test\"", 403, false, false);
    expect_a("lender", "alice@ims.test", "[\"sip:alice@ims.test\",\"sip:g07@ims.test\"]", 403, false, false);
    expect_a("lender", "g42@ims.test", "\"sip:g42@ims.test\"", 403, false, false);
    expect_a("own", "p1@ims.test", "\"sip:p1@ims.test\"", 403, false, false);
    pools[0].shared = false;
}

/* TS 33.203 X.4.1 REQ 3.3: a pool's subscription comes over pages of its WWSF alone. */
static void a_pool_has_its_origin(void **state)
{
    (void)state;
    char body[1024];
    body_a(body, "lender", "p1@ims.test", "\"sip:p1@ims.test\"");
    struct result r = verify_from(body, "https://lender.test", "lender");
    assert_int_equal(r.cause.sip_status, 0);
    assert_true(r.id->pool);
    epc_identity_free(r.id);
    r = verify_from(body, "https://own.test", "own");
    assert_int_equal(r.cause.sip_status, 403);
    assert_string_equal(r.cause.reason, "Identity not allowed");
}

static char *body_b(char out[1024], const char *scope, const char *ids)
{
    unsigned long long now = epc_wall_s();
    snprintf(out, 1024,
             "{\"iss\":\"https://b.test\",\"aud\":\"epcscf\",\"exp\":%llu,\"scope\":\"%s\",\"client_id\":\"strict\",%s}",
             now + 600, scope, ids);
    return out;
}

#define NESTED(impi) "\"ims\":{\"id\":{\"impi\":\"" impi "\"}}"

static void another_issuers_rules(void **state)
{
    (void)state;
    static const char good[] = NESTED("x@B.test") ",\"https://b.test/impu\":[\"sip:x@ims.test\",\"tel:+123\"]";
    char body[1024];
    struct result r = verify_from(body_b(body, "voice", good), "https://strict.test", "strict");
    assert_int_equal(r.cause.sip_status, 0);
    assert_string_equal(r.id->impi, "x@b.test");
    assert_string_equal(r.id->waf, "waf.b.test");
    assert_int_equal(r.id->issued_at_s, 0);
    epc_identity_free(r.id);
    /* its scope, and its challenge */
    r = verify_from(body_b(body, "sip", good), "https://strict.test", "strict");
    assert_int_equal(r.cause.sip_status, 401);
    assert_string_equal(r.header, "Bearer realm=\"b \\\"realm\\\"\", scope=\"voice\", "
                                  "authz_server=\"https://b.test/token\", error=\"invalid_scope\"");
    /* its origins, although the WWSF is right */
    assert_int_equal(verify_from(body_b(body, "voice", good), "https://lax.test", "strict").cause.sip_status, 403);
    assert_int_equal(verify_from(body_b(body, "voice", good), NULL, NULL).cause.sip_status, 403);
    /* its domains and claims */
    static const char *const bad[] = {
        NESTED("x@c.test") ",\"https://b.test/impu\":\"sip:x@ims.test\"",
        NESTED("x@b.test") ",\"https://b.test/impu\":\"sip:x@c.test\"",
        NESTED("x@b.test") ",\"https://b.test/impu\":[\"sip:x@ims.test\",\"sip:x@ims.test.evil\"]",
        NESTED("x@b.test") ",\"impu\":\"sip:x@ims.test\"",
        "\"impi\":\"x@b.test\",\"https://b.test/impu\":\"sip:x@ims.test\"",
        "\"ims\":{\"id\":\"x@b.test\"},\"https://b.test/impu\":\"sip:x@ims.test\"",
        "\"ims\":[{\"id\":{\"impi\":\"x@b.test\"}}],\"https://b.test/impu\":\"sip:x@ims.test\"",
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++) {
        r = verify_from(body_b(body, "voice", bad[i]), "https://strict.test", "strict");
        assert_int_equal(r.cause.sip_status, 403);
    }
}

static void challenge_of_the_right_issuer(void **state)
{
    (void)state;
    char strict[] = "https://strict.test", lax[] = "https://lax.test", own[] = "own", nobody[] = "nobody";
    struct {
        struct epc_cfg_origin origin;
        const char *want;
    } rows[] = {
        {{.origin = lax, .wwsf = own}, "Bearer realm=\"ims.test\", scope=\"sip\", authz_server=\"https://a.test/token\""},
        {{.origin = strict, .wwsf = nobody}, "Bearer realm=\"ims.test\", scope=\"sip\", authz_server=\"https://a.test/token\""},
    };
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++) {
        char *c = epc_auth_challenge_for(auth, &rows[i].origin, NULL);
        assert_string_equal(c, rows[i].want);
        free(c);
    }
    char *only_b[] = {nobody};
    issuers[1].wwsfs = only_b;
    issuers[1].n_wwsfs = 1;
    char *c = epc_auth_challenge_for(auth, &rows[1].origin, NULL);
    assert_string_equal(c, "Bearer realm=\"b \\\"realm\\\"\", scope=\"voice\", authz_server=\"https://b.test/token\"");
    free(c);
    struct epc_cfg_origin elsewhere = {.origin = lax, .wwsf = nobody}; /* not from there */
    c = epc_auth_challenge_for(auth, &elsewhere, "invalid_token");
    assert_string_equal(c, "Bearer realm=\"ims.test\", authz_server=\"https://a.test/token\", error=\"invalid_token\"");
    free(c);
    issuers[1].wwsfs = everyone;
    issuers[1].n_wwsfs = 4;
}

static int status_of(const char *wwsf, const char *impi, const char *impu)
{
    char body[1024];
    struct result r = verify_from(body_a(body, wwsf, impi, impu), NULL, NULL);
    epc_identity_free(r.id);
    return r.cause.sip_status;
}

static void revoked_until_a_new_token(void **state)
{
    (void)state;
    static const char old_iat[] = "{\"iss\":\"https://a.test\",\"aud\":\"epcscf\",\"exp\":%llu,%s\"scope\":\"sip\","
                                  "\"azp\":\"own\",\"impi\":\"rita@ims.test\",\"impu\":\"sip:rita@ims.test\"}";
    unsigned long long now = epc_wall_s();
    char body[1024], iat[64];
    int64_t before = epc_counter_read(EPC_C_AUTH_REVOKED);
    assert_int_equal(status_of("own", "rita@ims.test", "\"sip:rita@ims.test\""), 0);
    epc_auth_revoke(auth, "rita@IMS.test", now - 5);
    struct {
        long ago;
        int status;
    } rows[] = {{100, 401}, {5, 401}, {4, 0}, {0, 0}};
    for (size_t i = 0; i < EPC_ARRAY_LEN(rows); i++) {
        snprintf(iat, sizeof iat, "\"iat\":%llu,", now - (unsigned long long)rows[i].ago);
        snprintf(body, sizeof body, old_iat, now + 60, iat);
        struct result r = verify_from(body, NULL, NULL);
        assert_int_equal(r.cause.sip_status, rows[i].status);
        assert_int_equal(strstr(r.header, "invalid_token") != NULL, rows[i].status == 401);
        epc_identity_free(r.id);
    }
    snprintf(body, sizeof body, old_iat, now + 60, "");
    assert_int_equal(verify_from(body, NULL, NULL).cause.sip_status, 401); /* does not say when */
    assert_int_equal(status_of("own", "rita2@ims.test", "\"sip:rita@ims.test\""), 0);
    assert_int_equal(epc_counter_read(EPC_C_AUTH_REVOKED), before + 3);
}

static void revocations_are_bounded_and_end(void **state)
{
    (void)state;
    struct epc_revocations r;
    char impi[64];
    assert_int_equal(epc_revocations_init(&r), EPC_OK);
    epc_revocations_add(&r, "a@b", 1000, 100, 1000);
    assert_true(epc_revocations_cover(&r, "a@b", 1000, 1050));
    assert_false(epc_revocations_cover(&r, "a@b", 1001, 1050));
    assert_false(epc_revocations_cover(&r, "a@b", 1000, 1100)); /* such tokens have expired */
    epc_revocations_add(&r, "a@b", 900, 100, 1010); /* an older one takes nothing back */
    assert_true(epc_revocations_cover(&r, "a@b", 1000, 1050));
    for (int i = 0; i < EPC_REVOKED_MAX + 10; i++) {
        snprintf(impi, sizeof impi, "u%d@b", i);
        epc_revocations_add(&r, impi, 2000 + (uint64_t)i / 1000, 100, 2000);
    }
    assert_true(r.by_impi.n_items <= EPC_REVOKED_MAX);
    assert_true(epc_revocations_cover(&r, impi, 2065, 2066));
    assert_true(epc_revocations_cover(&r, "u0@b", 2000, 2066));  /* dropped, but not forgotten: */
    assert_true(epc_revocations_cover(&r, "any@b", 2000, 2066)); /* everybody's old tokens */
    assert_false(epc_revocations_cover(&r, "any@b", 2001, 2066));
    /* room again when they are over */
    epc_revocations_add(&r, "late@b", 9000, 100, 9000);
    assert_int_equal(r.by_impi.n_items, 1);
    epc_revocations_clear(&r);
}

static void attacks_on_size(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    struct result r = {0};
    char *big = malloc(N + 1);
    memset(big, 'A', N);
    big[N] = 0;
    assert_null(epc_auth_verify(auth, epc_str_c(big), NULL, done, &r));
    assert_int_equal(r.cause.sip_status, 401);
    big[100] = big[200] = '.';
    assert_null(epc_auth_verify(auth, epc_str_c(big), NULL, done, &r));
    assert_int_equal(r.cause.sip_status, 401);
    free(big);
}

static void tricks_with_kid(void **state)
{
    (void)state;
    static const char *const kids[] = {"../../etc/passwd", "/dev/null", "ec1/../ec1", "ec1\\u0000x", "EC1", "",
                                       "ec1' OR '1'='1", "https://evil.test/jwks", "%s%n"};
    for (size_t i = 0; i < EPC_ARRAY_LEN(kids); i++) {
        char header[128], body[1024];
        struct result r = {0};
        snprintf(header, sizeof header,
                 "{\"alg\":\"ES256\",\"kid\":\"%s\",\"jku\":\"https://evil.test\",\"x5u\":\"https://evil.test\"}",
                 kids[i]);
        char *token = token_maker_sign(maker.ec, header, body_a(body, "own", "alice@ims.test", "\"sip:a@ims.test\""));
        assert_null(epc_auth_verify(auth, epc_str_c(token), NULL, done, &r));
        assert_int_equal(r.cause.sip_status, 401);
        free(token);
    }
}

static void a_key_in_the_token_is_not_believed(void **state)
{
    (void)state;
    char header[1024], body[1024];
    struct result r = {0};
    char *jwk = token_maker_jwk(maker.other_ec, "ec1");
    snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":\"ec1\",\"jwk\":%s}", jwk);
    char *token = token_maker_sign(maker.other_ec, header,
                                   body_a(body, "own", "alice@ims.test", "\"sip:alice@ims.test\""));
    assert_null(epc_auth_verify(auth, epc_str_c(token), NULL, done, &r));
    assert_int_equal(r.cause.sip_status, 401);
    free(token);
    free(jwk);
}

static void no_fault(void *arg, size_t pool, const char *key, const char *text)
{
    (void)arg;
    fail_msg("%zu %s %s", pool, key, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(superseded_tokens_are_forgotten),
        cmocka_unit_test(a_key_that_is_used_often),
        cmocka_unit_test(a_pool_belongs_to_one_wwsf),
        cmocka_unit_test(a_pool_may_be_shared),
        cmocka_unit_test(a_pool_has_its_origin),
        cmocka_unit_test(another_issuers_rules),
        cmocka_unit_test(challenge_of_the_right_issuer),
        cmocka_unit_test(revoked_until_a_new_token),
        cmocka_unit_test(revocations_are_bounded_and_end),
        cmocka_unit_test(attacks_on_size),
        cmocka_unit_test(tricks_with_kid),
        cmocka_unit_test(a_key_in_the_token_is_not_believed),
    };
    token_maker_init(&maker);
    int fd = mkstemp(jwks_file);
    if (fd < 0 || write(fd, maker.jwks, strlen(maker.jwks)) != (ssize_t)strlen(maker.jwks))
        return 1;
    close(fd);
    if (epc_pools_build(&cfg.pool_index, &cfg, true, no_fault, NULL) != EPC_OK ||
        epc_auth_create(&auth, fake_shard, &cfg) != EPC_OK)
        return 1;
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    epc_auth_destroy(auth);
    epc_pools_free(cfg.pool_index);
    unlink(jwks_file);
    token_maker_free(&maker);
    return rc;
}
