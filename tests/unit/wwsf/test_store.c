/* The database: schema, users, pool, log-ins, the life of keys. Time is given from outside. */
#include "wwsf/keys.h"
#include "wwsf/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define HASH "scrypt$16$1$1$000102030405060708090a0b0c0d0e0f$" \
    "c3163d7a2f6f1e85f7ef2b8b6d5c2a7f0c1b2a39485766758493a2b1c0dfeefd"
#define OTHER_HASH "scrypt$32$1$1$000102030405060708090a0b0c0d0e0f$" \
    "c3163d7a2f6f1e85f7ef2b8b6d5c2a7f0c1b2a39485766758493a2b1c0dfeefd"
#define ORIGIN "https://page.test"

enum { LIFE = 100, MARGIN = 20, LEASE = LIFE + MARGIN };

static char folder[64], file[96];

struct login {
    enum epc_err err;
    char id[EPC_SESSION_ID_LEN + 1], impi[64];
    uint64_t wait_s;
};

static int setup(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/epc_store_XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof file, "%s/wwsf.sqlite", folder);
    struct epc_store *s = NULL;
    if (epc_store_open(&s, file) != EPC_OK)
        return -1;
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    epc_store_close(*state);
    unlink(file);
    return rmdir(folder); /* fails when SQLite's other files are still there */
}

/* ---- helpers ------------------------------------------------------------------------------------ */

static enum epc_err add_user(struct epc_store *s, const char *name, const char *impi, const char *impu)
{
    char *impus[] = {(char *)(uintptr_t)impu};
    struct epc_user u = {.name = (char *)(uintptr_t)name, .impi = (char *)(uintptr_t)impi, .impus = impus,
                         .n_impus = impu ? 1 : 0, .hash = (char *)(uintptr_t)HASH};
    return epc_store_add_user(s, &u, "tool", 1);
}

static void add_pool(struct epc_store *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char impi[32], impu[40];
        snprintf(impi, sizeof impi, "g%u@ims.test", i);
        snprintf(impu, sizeof impu, "sip:g%u@ims.test", i);
        assert_int_equal(epc_store_add_pool(s, impi, impu, "tool"), EPC_OK);
    }
}

static void keep(struct login *l, struct epc_user *u)
{
    if (l->err != EPC_OK)
        return;
    snprintf(l->impi, sizeof l->impi, "%s", u->impi);
    assert_true(u->n_impus >= 1);
    epc_user_clear(u);
}

static struct login login(struct epc_store *s, const char *name, uint64_t now_s)
{
    struct epc_lease lease = {now_s, LIFE, MARGIN};
    struct epc_user u;
    struct login l = {.wait_s = 0};
    l.err = epc_store_login(s, epc_str_c(name), ORIGIN, &lease, l.id, &u, &l.wait_s);
    keep(&l, &u);
    return l;
}

static struct login refresh(struct epc_store *s, const struct login *first, const char *origin, uint64_t now_s)
{
    struct epc_lease lease = {now_s, LIFE, MARGIN};
    struct epc_user u;
    struct login l = {.wait_s = 0};
    l.err = epc_store_refresh(s, epc_str_c(first->id), origin, &lease, &u, &l.wait_s);
    keep(&l, &u);
    return l;
}

/* The IMPI that went back, "" without. Static. */
static const char *logout(struct epc_store *s, const struct login *l, uint64_t now_s, bool revoked)
{
    static char impi[64];
    char *had = NULL;
    assert_int_equal(epc_store_logout(s, epc_str_c(l->id), ORIGIN, now_s, revoked, &had), EPC_OK);
    snprintf(impi, sizeof impi, "%s", had ? had : "");
    free(had);
    return impi;
}

static int64_t number(struct epc_store *s, const char *sql)
{
    struct epc_sql q;
    assert_int_equal(epc_sql_open(&q, s, sql, ""), EPC_OK);
    assert_true(epc_sql_row(&q));
    int64_t n = epc_sql_int(&q, 0);
    assert_int_equal(epc_sql_close(&q), EPC_OK);
    return n;
}

/* ---- schema ------------------------------------------------------------------------------------- */

static void raw(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void test_migration(void **state)
{
    struct epc_store *s = *state;
    epc_store_close(s);
    unlink(file);
    raw(epc_store_steps[0]);
    raw("PRAGMA user_version = 1; PRAGMA application_id = 1699758935;"
        "INSERT INTO users (name, password, impi, source, changed_s) VALUES ('alice', '" HASH "', 'a@b', 'tool', 1);"
        "INSERT INTO user_impus VALUES (1, 0, 'sip:a@b')");
    assert_int_equal(epc_store_open(&s, file), EPC_OK);
    *state = s;
    assert_int_equal(number(s, "PRAGMA user_version"), epc_store_version);
    struct login l = login(s, "alice", 100);
    assert_int_equal(l.err, EPC_OK);
    assert_string_equal(l.impi, "a@b");
    assert_int_equal(epc_store_add_pool(s, "a@b", "sip:x@b", "tool"), EPC_EEXIST);
}

static void refused(void **state, const char *why)
{
    struct epc_store *again = NULL;
    if (epc_store_open(&again, file) != EPC_EIO || again)
        fail_msg("opened: %s", why);
    unlink(file);
    assert_int_equal(epc_store_open(&again, file), EPC_OK);
    *state = again;
}

static void test_other_files(void **state)
{
    epc_store_close(*state);
    *state = NULL;
    raw("PRAGMA user_version = 99");
    refused(state, "newer version");
    epc_store_close(*state);
    unlink(file);
    raw("CREATE TABLE t (x)");
    refused(state, "another program's");
    epc_store_close(*state);
    FILE *f = fopen(file, "we");
    assert_non_null(f);
    for (int i = 0; i < 200; i++)
        fputs("this is no database\n", f);
    fclose(f);
    refused(state, "text");
    struct epc_store *s = NULL;
    assert_int_equal(epc_store_open(&s, "/nonexistent/wwsf.sqlite"), EPC_EIO);
}

/* ---- users -------------------------------------------------------------------------------------- */

static void test_users(void **state)
{
    struct epc_store *s = *state;
    struct epc_password p, q;
    bool known = true;
    assert_int_equal(epc_store_password(s, EPC_STR("alice"), &known, &p), EPC_OK);
    assert_false(known);
    assert_int_equal(add_user(s, "alice", "alice@ims.test", "sip:alice@ims.test"), EPC_OK);
    assert_int_equal(add_user(s, "alice", "other@ims.test", "sip:other@ims.test"), EPC_EEXIST);
    assert_int_equal(epc_store_password(s, EPC_STR("alice"), &known, &p), EPC_OK);
    assert_true(known);
    assert_int_equal(p.n, 16);
    /* The stand-in for an unknown name is somebody's, and always the same. */
    assert_int_equal(epc_store_password(s, EPC_STR("carol"), &known, &q), EPC_OK);
    assert_false(known);
    assert_int_equal(q.n, 16);
    assert_int_equal(login(s, "carol", 100).err, EPC_ENOENT);
    struct login l = login(s, "alice", 100);
    assert_int_equal(l.err, EPC_OK);
    assert_string_equal(l.impi, "alice@ims.test");
    /* A new password ends log-ins; so does removal. */
    assert_int_equal(epc_store_set_password(s, "alice", OTHER_HASH, 100), EPC_OK);
    assert_int_equal(refresh(s, &l, ORIGIN, 101).err, EPC_ENOENT);
    l = login(s, "alice", 102);
    assert_int_equal(epc_store_remove_user(s, "alice"), EPC_OK);
    assert_int_equal(refresh(s, &l, ORIGIN, 103).err, EPC_ENOENT);
    assert_int_equal(epc_store_remove_user(s, "alice"), EPC_ENOENT);
    assert_int_equal(epc_store_set_password(s, "alice", HASH, 100), EPC_ENOENT);
}

static struct epc_users *listed(const char *text)
{
    struct epc_users *u = NULL;
    char path[96];
    snprintf(path, sizeof path, "%s/users.json", folder);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(epc_users_load(&u, path), EPC_OK);
    unlink(path);
    return u;
}

#define ENTRY(name, hash) "{\"user\":\"" name "\",\"password\":\"" hash "\",\"impi\":\"" name "@ims.test\"," \
    "\"impus\":[\"sip:" name "@ims.test\"]}"

static void import(struct epc_store *s, const char *text, enum epc_err want)
{
    struct epc_users *u = listed(text);
    assert_int_equal(epc_store_import_users(s, u, 5), want);
    epc_users_free(u);
}

static void test_import(void **state)
{
    struct epc_store *s = *state;
    assert_int_equal(add_user(s, "tool", "tool@ims.test", "sip:tool@ims.test"), EPC_OK);
    import(s, "[" ENTRY("alice", HASH) "," ENTRY("bob", HASH) "," ENTRY("tool", OTHER_HASH) "]", EPC_OK);
    struct login alice = login(s, "alice", 100), bob = login(s, "bob", 100);
    assert_int_equal(alice.err, EPC_OK);
    assert_int_equal(bob.err, EPC_OK);
    /* Again, with bob's password changed: alice stays logged in. */
    import(s, "[" ENTRY("alice", HASH) "," ENTRY("bob", OTHER_HASH) "]", EPC_OK);
    assert_int_equal(refresh(s, &alice, ORIGIN, 101).err, EPC_OK);
    assert_int_equal(refresh(s, &bob, ORIGIN, 101).err, EPC_ENOENT);
    /* Gone from the file, gone; what the tool added stays as it was. */
    import(s, "[]", EPC_OK);
    assert_int_equal(number(s, "SELECT count(*) FROM users"), 1);
    assert_int_equal(number(s, "SELECT password = '" HASH "' FROM users"), 1);
    /* One bad entry: nothing at all is taken over. */
    assert_int_equal(epc_store_add_pool(s, "bob@ims.test", "sip:bob@ims.test", "tool"), EPC_OK);
    import(s, "[" ENTRY("alice", HASH) "," ENTRY("bob", HASH) "]", EPC_EEXIST);
    assert_int_equal(number(s, "SELECT count(*) FROM users"), 1);
}

static void test_users_and_pool_are_apart(void **state)
{
    struct epc_store *s = *state;
    add_pool(s, 1);
    assert_int_equal(add_user(s, "a", "g0@ims.test", "sip:a@ims.test"), EPC_EEXIST);
    assert_int_equal(add_user(s, "a", "a@ims.test", "sip:g0@ims.test"), EPC_EEXIST);
    assert_int_equal(number(s, "SELECT count(*) FROM users"), 0);
    assert_int_equal(add_user(s, "a", "a@ims.test", "sip:a@ims.test"), EPC_OK);
    assert_int_equal(epc_store_add_pool(s, "a@ims.test", "sip:b@ims.test", "tool"), EPC_EEXIST);
    assert_int_equal(epc_store_add_pool(s, "b@ims.test", "sip:a@ims.test", "tool"), EPC_EEXIST);
    assert_int_equal(epc_store_add_pool(s, "g0@ims.test", "sip:c@ims.test", "tool"), EPC_EEXIST);
    assert_int_equal(epc_store_add_pool(s, "c@ims.test", "sip:g0@ims.test", "tool"), EPC_EEXIST);
}

/* ---- pool --------------------------------------------------------------------------------------- */

static void test_lend(void **state)
{
    struct epc_store *s = *state;
    assert_int_equal(login(s, "", 100).err, EPC_ELIMIT); /* no pool at all */
    add_pool(s, 2);
    struct login a = login(s, "", 100), b = login(s, "", 110), c = login(s, "", 120);
    assert_int_equal(a.err, EPC_OK);
    assert_int_equal(b.err, EPC_OK);
    assert_string_not_equal(a.impi, b.impi);
    assert_int_equal(c.err, EPC_ELIMIT);
    assert_int_equal(c.wait_s, 100 + LEASE - 120);
    assert_int_equal(number(s, "SELECT count(*) FROM sessions"), 2); /* c left none behind */
    /* Prolonged with each token, so that it lasts longer than b's. */
    assert_string_equal(refresh(s, &a, ORIGIN, 200).impi, a.impi);
    c = login(s, "", 110 + LEASE - 1);
    assert_int_equal(c.err, EPC_ELIMIT);
    assert_int_equal(c.wait_s, 1);
    c = login(s, "", 110 + LEASE);
    assert_int_equal(c.err, EPC_OK);
    assert_string_equal(c.impi, b.impi);
    /* b slept too long: it is out of luck now, and gets another one later. */
    assert_int_equal(refresh(s, &b, ORIGIN, 110 + LEASE).err, EPC_ELIMIT);
    struct login again = refresh(s, &b, ORIGIN, 200 + LEASE);
    assert_int_equal(again.err, EPC_OK);
    assert_string_equal(again.impi, a.impi);
}

static void test_longest_free_first(void **state)
{
    struct epc_store *s = *state;
    add_pool(s, 3);
    struct login a = login(s, "", 100), b = login(s, "", 101), c = login(s, "", 102);
    assert_string_equal(logout(s, &b, 110, false), b.impi);
    assert_string_equal(logout(s, &a, 111, false), a.impi);
    assert_string_equal(logout(s, &c, 112, false), c.impi);
    /* By the end of their last tokens, not by log-out. */
    assert_int_equal(login(s, "", 113).err, EPC_ELIMIT);
    assert_string_equal(login(s, "", 1000).impi, a.impi);
    assert_string_equal(login(s, "", 1000).impi, b.impi);
    assert_string_equal(login(s, "", 1000).impi, c.impi);
}

static void test_rest_after_logout(void **state)
{
    struct epc_store *s = *state;
    add_pool(s, 1);
    struct login a = login(s, "", 100);
    assert_string_equal(logout(s, &a, 110, false), "g0@ims.test");
    assert_string_equal(logout(s, &a, 110, false), "");
    assert_int_equal(login(s, "", 100 + LEASE - 1).err, EPC_ELIMIT);
    struct login b = login(s, "", 100 + LEASE);
    assert_int_equal(b.err, EPC_OK);
    /* Revoked: from the next second on. */
    assert_string_equal(logout(s, &b, 300, true), "g0@ims.test");
    assert_int_equal(login(s, "", 300).err, EPC_ELIMIT);
    assert_int_equal(login(s, "", 301).err, EPC_OK);
}

/* A user of the pool has one identity, however often he logs in, and keeps it while he may. */
static void test_one_for_each_user(void **state)
{
    struct epc_store *s = *state;
    add_pool(s, 2);
    assert_int_equal(add_user(s, "web", NULL, NULL), EPC_OK);
    struct login a = login(s, "web", 100), b = login(s, "web", 110);
    assert_string_equal(a.impi, b.impi);
    assert_string_equal(logout(s, &a, 120, true), ""); /* b still has it */
    assert_string_equal(refresh(s, &b, ORIGIN, 130).impi, a.impi);
    assert_string_equal(logout(s, &b, 140, false), a.impi);
    assert_string_equal(login(s, "web", 150).impi, a.impi);
    assert_int_equal(number(s, "SELECT count(*) FROM assignments"), 1);
    /* Removed: the identity rests until the last token has ended. */
    struct login other = login(s, "", 151);
    assert_string_not_equal(other.impi, a.impi);
    assert_int_equal(epc_store_remove_user(s, "web"), EPC_OK);
    assert_int_equal(number(s, "SELECT count(*) FROM assignments WHERE ended_s IS NULL"), 1);
    assert_int_equal(login(s, "", 150 + LEASE - 1).err, EPC_ELIMIT);
    assert_string_equal(login(s, "", 150 + LEASE).impi, a.impi);
}

static void test_removed_from_pool(void **state)
{
    struct epc_store *s = *state;
    add_pool(s, 2);
    struct login a = login(s, "", 100);
    assert_int_equal(epc_store_remove_pool(s, a.impi), EPC_OK);
    struct login b = refresh(s, &a, ORIGIN, 110); /* the other one */
    assert_int_equal(b.err, EPC_OK);
    assert_string_not_equal(a.impi, b.impi);
    assert_int_equal(login(s, "", 100000).err, EPC_OK);
    assert_int_equal(login(s, "", 100000).err, EPC_ELIMIT);
    assert_int_equal(epc_store_remove_pool(s, "nobody@ims.test"), EPC_ENOENT);
    assert_int_equal(epc_store_add_pool(s, "g0@ims.test", "sip:g0@ims.test", "tool"), EPC_OK); /* back again */
    assert_int_equal(login(s, "", 100000).err, EPC_OK);
}

/* The schema itself refuses what no code may do. */
static void test_schema_forbids(void **state)
{
    struct epc_store *s = *state;
    add_pool(s, 2);
    struct login a = login(s, "", 100);
    char sql[256];
    snprintf(sql, sizeof sql, "INSERT INTO assignments (impi, holder, since_s, lease_end_s) VALUES ('%s', 'x', 150, 160)",
             a.impi);
    assert_int_equal(epc_sql_exec(s, sql), EPC_EEXIST);
    logout(s, &a, 130, false);
    assert_int_equal(epc_sql_exec(s, sql), EPC_EEXIST); /* tokens of the last holder may be good still */
    assert_int_equal(epc_sql_exec(s, "INSERT INTO assignments (impi, holder, since_s, lease_end_s)"
                                     " VALUES ('no@pool', 'x', 150, 160)"), EPC_EEXIST);
}

static void test_sweep(void **state)
{
    struct epc_store *s = *state;
    int64_t lent = -1, free_now = -1;
    add_pool(s, 3);
    login(s, "", 100);
    assert_int_equal(epc_store_sweep(s, 101, &lent, &free_now), EPC_OK);
    assert_int_equal(lent, 1);
    assert_int_equal(free_now, 2);
    assert_int_equal(epc_store_sweep(s, 100 + LEASE, &lent, &free_now), EPC_OK);
    assert_int_equal(lent, 0);
    assert_int_equal(free_now, 3);
    assert_int_equal(number(s, "SELECT count(*) FROM assignments"), 1); /* who had it, for a month */
    assert_int_equal(epc_store_sweep(s, 40 * 24 * 3600, &lent, &free_now), EPC_OK);
    assert_int_equal(number(s, "SELECT count(*) FROM assignments"), 0);
}

/* ---- sessions ----------------------------------------------------------------------------------- */

static void test_sessions(void **state)
{
    struct epc_store *s = *state;
    enum { HOUR = 3600 };
    assert_int_equal(add_user(s, "alice", "alice@ims.test", "sip:alice@ims.test"), EPC_OK);
    struct login l = login(s, "alice", 100), wrong = l;
    assert_int_equal(refresh(s, &l, ORIGIN, 101).err, EPC_OK);
    assert_int_equal(refresh(s, &l, "https://other.test", 101).err, EPC_ENOENT); /* good at its own page only */
    wrong.id[0] = wrong.id[0] == '0' ? '1' : '0';
    assert_int_equal(refresh(s, &wrong, ORIGIN, 101).err, EPC_ENOENT);
    wrong.id[0] = 0;
    assert_int_equal(refresh(s, &wrong, ORIGIN, 101).err, EPC_ENOENT);
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM sessions WHERE id = '%s'", l.id);
    assert_int_equal(number(s, sql), 0); /* its hash alone */
    /* Use keeps it alive, but not for ever. */
    uint64_t t = 100;
    for (; t < 7 * 24 * HOUR; t += 11 * HOUR)
        assert_int_equal(refresh(s, &l, ORIGIN, t).err, EPC_OK);
    assert_int_equal(refresh(s, &l, ORIGIN, t).err, EPC_ENOENT);
    assert_int_equal(epc_store_expire_sessions(s, t), EPC_OK);
    assert_int_equal(number(s, "SELECT count(*) FROM sessions"), 0);
    l = login(s, "alice", t);
    assert_int_equal(refresh(s, &l, ORIGIN, t + 12 * HOUR).err, EPC_ENOENT);
    for (int i = 0; i < 50; i++)
        login(s, "alice", t + 20 * HOUR);
    assert_int_equal(number(s, "SELECT count(*) FROM sessions"), 20); /* bounded for each user */
}

/* ---- keys --------------------------------------------------------------------------------------- */

static struct epc_ring *ring(struct epc_store *s)
{
    struct epc_ring *r = NULL;
    assert_int_equal(epc_ring_load(&r, s), EPC_OK);
    return r;
}

static char *signer(struct epc_store *s, uint64_t now_s, size_t want_n)
{
    struct epc_ring *r = ring(s);
    assert_int_equal(r->n, want_n);
    const struct epc_key *k = epc_ring_signer(r, now_s);
    assert_non_null(k);
    assert_non_null(strstr(r->jwks, epc_key_kid(k)));
    char *kid = strdup(epc_key_kid(k));
    epc_ring_free(r);
    return kid;
}

static void turn(struct epc_store *s, uint64_t now_s, const char *served)
{
    struct epc_ring_times t = {now_s, LIFE, 1000, 50};
    assert_int_equal(epc_ring_turn(s, &t, served), EPC_OK);
}

static void test_key_rotation(void **state)
{
    struct epc_store *s = *state;
    struct epc_key *k = NULL;
    struct epc_ring_times t = {100, LIFE, 1000, 50};
    assert_int_equal(epc_key_generate(&k), EPC_OK);
    assert_int_equal(epc_ring_adopt(s, k, &t), EPC_OK);
    t.now_s = 200;
    assert_int_equal(epc_ring_adopt(s, k, &t), EPC_OK); /* the next start */
    turn(s, 1049, NULL);
    char *first = signer(s, 1049, 1);
    assert_string_equal(first, epc_key_kid(k));
    turn(s, 1050, NULL); /* due: made, but nobody has seen it yet */
    char *still = signer(s, 5000, 2);
    assert_string_equal(still, first);
    turn(s, 1060, NULL); /* only one at a time */
    struct epc_ring *r = ring(s);
    assert_int_equal(r->n, 2);
    turn(s, 1061, r->jwks); /* published: signs 50 s later */
    epc_ring_free(r);
    free(still);
    still = signer(s, 1110, 2);
    assert_string_equal(still, first);
    char *second = signer(s, 1111, 2);
    assert_string_not_equal(second, first);
    /* The old one stays until its last token has ended, and a while for clocks that are behind. */
    turn(s, 1111 + LIFE + 119, NULL);
    free(signer(s, 1500, 2));
    turn(s, 1111 + LIFE + 120, NULL);
    char *now = signer(s, 1500, 1);
    assert_string_equal(now, second);
    /* It never comes back, though its file is still there at the next start. */
    t.now_s = 1600;
    assert_int_equal(epc_ring_adopt(s, k, &t), EPC_OK);
    free(now);
    now = signer(s, 1600, 1);
    assert_string_equal(now, second);
    assert_int_equal(number(s, "SELECT count(*) FROM keys WHERE pem IS NULL AND withdrawn_s IS NOT NULL"), 1);
    epc_key_close(k);
    free(first);
    free(still);
    free(second);
    free(now);
}

static void test_key_withdrawn(void **state)
{
    struct epc_store *s = *state;
    struct epc_key *k = NULL;
    struct epc_ring_times t = {100, LIFE, 0, 50};
    assert_int_equal(epc_key_generate(&k), EPC_OK);
    assert_int_equal(epc_ring_adopt(s, k, &t), EPC_OK);
    turn(s, 120, NULL);
    assert_int_equal(epc_ring_withdraw(s, epc_key_kid(k), 130), EPC_EPOLICY); /* nothing else could sign */
    assert_int_equal(epc_ring_rotate(s, &t), EPC_OK);
    assert_int_equal(epc_ring_withdraw(s, epc_key_kid(k), 130), EPC_EPOLICY);
    struct epc_ring *r = ring(s);
    turn(s, 140, r->jwks);
    epc_ring_free(r);
    assert_int_equal(epc_ring_withdraw(s, epc_key_kid(k), 190), EPC_OK);
    assert_int_equal(epc_ring_withdraw(s, epc_key_kid(k), 190), EPC_ENOENT);
    free(signer(s, 190, 1));
    epc_key_close(k);
}

#define WITH_STORE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_migration),       WITH_STORE(test_other_files),
        WITH_STORE(test_users),           WITH_STORE(test_import),
        WITH_STORE(test_users_and_pool_are_apart), WITH_STORE(test_lend),
        WITH_STORE(test_longest_free_first), WITH_STORE(test_rest_after_logout),
        WITH_STORE(test_one_for_each_user), WITH_STORE(test_removed_from_pool),
        WITH_STORE(test_schema_forbids),  WITH_STORE(test_sweep),
        WITH_STORE(test_sessions),        WITH_STORE(test_key_rotation),
        WITH_STORE(test_key_withdrawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
