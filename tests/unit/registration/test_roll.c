/* Registrations of one identity across the shards of a node, the limit of connections, pools, and
 * revocation. Messages between shards are delivered one by one, so that every order can be played. */
#include "harness.h"
#include "registration/roll_priv.h"

static size_t count_out(const char *part)
{
    size_t n = 0;
    for (size_t i = 0; i < bench.n_out; i++)
        n += strstr(bench.out[i].text, part) != NULL;
    return n;
}

/* REGISTER with a token from a device of its own. */
static size_t device(uint64_t flow, const char *user, unsigned instance)
{
    char contact[256];
    snprintf(contact, sizeof contact,
             "<sip:d@k%u.invalid;transport=ws>;reg-id=1;+sip.instance=\"<urn:uuid:dev-%u>\"", (unsigned)flow,
             instance);
    return bench_register(flow, &(struct reg_text){.user = user, .extra = bench_bearer(user, 3600),
                                                   .contact = contact});
}

/* The core accepts the last request, whatever its contact. */
static void accepted(size_t out)
{
    char headers[512];
    const char *at = strstr(bench.out[out].text, "Contact: ");
    assert_non_null(at);
    snprintf(headers, sizeof headers, "%.*s;expires=540\r\n", (int)strcspn(at, "\r"), at);
    bench_answer(out, 200, headers);
    bench_deliver();
}

static void registered(size_t shard, uint64_t flow, const char *user, unsigned instance)
{
    bench_on(shard);
    device(flow, user, instance);
    bench_deliver();
    accepted(bench.n_out - 1);
    assert_non_null(epc_reg_by_flow(bench.regs[shard], flow));
}

static bool is_bound(size_t shard, uint64_t flow)
{
    return epc_reg_by_flow(bench.regs[shard], flow) != NULL;
}

static size_t users(void)
{
    size_t n = 0;
    for (size_t i = 0; i < bench.n_shards; i++)
        n += bench.regs[i]->roll->users.n_items;
    return n;
}

static unsigned home_of(const char *user)
{
    char impi[64];
    snprintf(impi, sizeof impi, "%s@ims.test", user);
    return reg_home(bench.regs[0], impi);
}

/* ---- limit ---------------------------------------------------------------------------------- */

static void limit_of_connections(void **state)
{
    (void)state;
    bench_shards(2);
    bench.cfg.registration.max_flows_per_identity = 2;
    registered(0, 1, "alice", 1);
    registered(1, 2, "alice", 2);
    bench_on(0);
    int64_t refused = epc_counter_read(EPC_C_REG_TOO_MANY_FLOWS);
    size_t i = device(3, "alice", 3);
    bench_deliver();
    assert_int_equal(bench_result(i)->status, 403);
    assert_int_equal(epc_counter_read(EPC_C_REG_TOO_MANY_FLOWS), refused + 1);
    assert_int_equal(bench.n_out, 2);
    registered(0, 3, "bob", 3);   /* others are not concerned */
    registered(0, 1, "alice", 1); /* nor is a refresh */
    registered(0, 4, "alice", 1); /* nor the same device on a new connection */
    bench_on(1);
    bench_register(2, &(struct reg_text){.user = "alice", .expires = "0", .contact = "*"});
    bench_answer(bench.n_out - 1, 200, NULL);
    bench_deliver();
    registered(0, 6, "alice", 6);
}

static void no_limit(void **state)
{
    (void)state;
    bench.cfg.registration.max_flows_per_identity = 0;
    for (unsigned i = 1; i <= 6; i++)
        if (i != 5) /* Digest only */
            registered(0, i, "alice", i);
}

/* A claim that came to nothing is not counted. */
static void refused_claims_are_given_back(void **state)
{
    (void)state;
    bench_shards(2);
    bench.cfg.registration.max_flows_per_identity = 1;
    bench_on(0);
    device(1, "alice", 1);
    bench_deliver();
    size_t i = device(2, "alice", 2); /* the first one's answer is not known yet */
    bench_deliver();
    assert_int_equal(bench_result(i)->status, 403);
    bench_answer(0, 403, NULL);
    bench_deliver();
    assert_int_equal(users(), 0);
    registered(1, 2, "alice", 2);
}

/* ---- the same instance elsewhere ---------------------------------------------------------------- */

static void back_on_another_shard(void **state)
{
    (void)state;
    bench_shards(2);
    registered(0, 1, "alice", 7);
    bench_on(0);
    bench_flow_gone(1);
    bench_deliver();
    assert_true(is_bound(0, 1)); /* held for the grace */
    bench_on(1);
    device(2, "alice", 7);
    bench_deliver();
    assert_false(is_bound(0, 1));
    assert_int_equal(bench.n_out, 2);
    accepted(1);
    assert_true(is_bound(1, 2));
    bench_advance(60); /* the grace of the old one would be over long since */
    assert_true(is_bound(1, 2));
    assert_int_equal(count_out("Expires: 0\r\n"), 0); /* nothing that would end the new one */
    assert_int_equal(users(), 1);
}

static void back_while_the_old_connection_is_open(void **state)
{
    (void)state;
    bench_shards(2);
    registered(1, 1, "alice", 7);
    registered(0, 2, "alice", 7);
    assert_false(is_bound(1, 1));
    assert_true(is_bound(0, 2));
    assert_int_equal(bench_flow_closed_code(1), 0);
    assert_int_equal(count_out("Expires: 0\r\n"), 0);
    bench_on(1);
    registered(1, 1, "alice", 7); /* to and fro */
    assert_true(is_bound(1, 1));
    assert_false(is_bound(0, 2));
}

/* The old flow's refresh is at the core while the device registers elsewhere: whose 200 comes last has
 * the binding, in the core and here. */
static void crossing_with_a_refresh(void **state)
{
    (void)state;
    bench_shards(2);
    registered(0, 1, "alice", 7);
    bench_on(0);
    device(1, "alice", 7);
    size_t refresh = bench.n_out - 1;
    bench_on(1);
    device(2, "alice", 7);
    bench_deliver();
    accepted(bench.n_out - 1);
    assert_true(is_bound(1, 2));
    bench_on(0);
    accepted(refresh);
    assert_true(is_bound(1, 2) != is_bound(0, 1)); /* one of the two, never both */
    assert_int_equal(users(), 1);
}

/* On one shard, the grace ends while the new REGISTER is at the core. */
static void grace_over_during_a_claim(void **state)
{
    (void)state;
    registered(0, 1, "alice", 7);
    bench_flow_gone(1);
    bench_advance(10);
    device(2, "alice", 7);
    bench_advance(15);
    assert_false(is_bound(0, 1));
    assert_int_equal(count_out("Expires: 0\r\n"), 0);
    accepted(bench.n_out - 1);
    assert_true(is_bound(0, 2));
}

static unsigned moves;
static void on_moved(void *arg, uint64_t from, uint64_t to)
{
    const struct epc_binding *old = epc_reg_by_flow(bench.reg, from), *new = epc_reg_by_flow(bench.reg, to);
    (void)arg;
    assert_non_null(old);
    assert_non_null(new);
    assert_string_equal(old->impi, new->impi);
    moves++;
}

static void moved_on_the_same_shard(void **state)
{
    (void)state;
    moves = 0;
    epc_reg_on_moved(bench.reg, on_moved, NULL);
    registered(0, 1, "alice", 7);
    bench_flow_gone(1);
    registered(0, 2, "alice", 7);
    assert_int_equal(moves, 1);
    assert_int_equal(bench.gone, 0);
    assert_false(is_bound(0, 1));
    assert_true(is_bound(0, 2));
    assert_int_equal(epc_counter_read(EPC_C_REG_BINDINGS), 1);
    bench_flow_gone(2);
    bench_advance(30);
    assert_int_equal(bench.gone, 1);
}

/* The new connection goes to the shard of the older binding: there it is the same device that comes
 * back, and its calls go on. */
static void handed_to_the_older_binding(void **state)
{
    size_t shard = 9;
    (void)state;
    moves = 0;
    bench_shards(2);
    bench.can_hand_over = true;
    registered(0, 1, "alice", 7);
    epc_reg_on_moved(bench.regs[0], on_moved, NULL);
    bench_on(0);
    bench_flow_gone(1);
    bench_on(1);
    size_t i = device(2, "alice", 7);
    bench_deliver();
    assert_int_equal(bench.n_out, 1);
    assert_true(bench_result(i)->released);
    bench_flow_gone(2);
    bench_deliver();
    assert_true(is_bound(0, 1)); /* untouched so far */
    assert_true(bench_arrive(&shard));
    assert_int_equal(shard, 0);
    bench_deliver();
    assert_int_equal(bench.n_out, 2);
    bench_on(0);
    accepted(1);
    assert_true(is_bound(0, 7));
    assert_false(is_bound(0, 1));
    assert_int_equal(moves, 1);
    assert_int_equal(bench.gone, 0);
    assert_int_equal(users(), 1);
    assert_int_equal(epc_counter_read(EPC_C_REG_BINDINGS), 1);
    bench_advance(60);
    assert_int_equal(count_out("Expires: 0\r\n"), 0);
}

/* The older one ends while the connection is on its way. */
static void handed_over_in_vain(void **state)
{
    size_t shard = 9;
    (void)state;
    bench_shards(2);
    bench.can_hand_over = true;
    registered(0, 1, "alice", 7);
    bench_on(0);
    bench_flow_gone(1);
    bench_on(1);
    device(2, "alice", 7);
    bench_deliver();
    bench_flow_gone(2);
    bench_advance(30);
    bench_deliver();
    assert_int_equal(users(), 0);
    assert_true(bench_arrive(&shard));
    bench_deliver();
    accepted(bench.n_out - 1);
    assert_true(is_bound(0, 7));
}

/* ---- under way ------------------------------------------------------------------------------ */

static void gone_while_asking(void **state)
{
    (void)state;
    bench_shards(2);
    unsigned far = 1 - home_of("alice");
    bench_on(far);
    size_t i = device(1, "alice", 1);
    bench_flow_gone(1); /* neither the question nor its answer has been delivered */
    bench_deliver();
    assert_true(bench_result(i)->released);
    assert_int_equal(bench.n_out, 0);
    assert_int_equal(users(), 0);
    device(2, "alice", 1);
    assert_true(bench_deliver_one()); /* the question; the answer is on its way */
    bench_flow_gone(2);
    bench_deliver();
    assert_int_equal(bench.n_out, 0);
    assert_int_equal(users(), 0);
}

static void full_mailbox(void **state)
{
    (void)state;
    bench_shards(2);
    unsigned home = home_of("alice"), far = 1 - home;
    registered(far, 1, "alice", 1);
    bench_on(far);
    bench.mail_full = true;
    bench_register(1, &(struct reg_text){.user = "alice", .expires = "0", .contact = "*"});
    bench_answer(bench.n_out - 1, 200, NULL); /* the end is kept to be told later */
    bench_deliver();
    assert_false(is_bound(far, 1));
    assert_int_equal(users(), 1);
    size_t i = device(2, "alice", 2);
    assert_int_equal(bench_result(i)->status, 503);
    expect_has(bench_result(i)->answer, "Retry-After: ");
    bench.mail_full = false;
    bench_advance(1);
    bench_deliver();
    assert_int_equal(users(), 0);
    registered(far, 2, "alice", 2);
}

static void stopping_home(void **state)
{
    (void)state;
    bench_shards(2);
    unsigned home = home_of("alice"), far = 1 - home;
    registered(far, 1, "alice", 1);
    bench.stopped[home] = true;
    bench_on(far);
    size_t i = device(2, "alice", 2);
    assert_int_equal(bench_result(i)->status, 503);
    bench_flow_gone(1);
    bench_advance(30);
    assert_false(is_bound(far, 1));
}

/* The shard that should end its binding is gone: the new one goes on. */
static void stopping_rival(void **state)
{
    (void)state;
    bench_shards(2);
    unsigned home = home_of("alice"), far = 1 - home;
    registered(far, 1, "alice", 7);
    bench.stopped[far] = true;
    registered(home, 2, "alice", 7);
}

/* ---- pool ----------------------------------------------------------------------------------- */

static int pool_setup(void **state)
{
    static char subscription[] = "guest1@ims.test sip:guest1@ims.test";
    static char *subscriptions[] = {subscription};
    static struct epc_cfg_pool pool = {.wwsf = "wwsf1", .subscriptions = subscriptions, .n_subscriptions = 1};
    bench_setup(state);
    bench.cfg.tokens.pools = &pool;
    bench.cfg.tokens.n_pools = 1;
    return epc_pools_build(&bench.cfg.tokens.pool_index, &bench.cfg.tokens, false, NULL, NULL) == EPC_OK ? 0 : -1;
}

static int pool_teardown(void **state)
{
    bench_teardown(state);
    epc_pools_free(bench.cfg.tokens.pool_index);
    return 0;
}

static void pool_identity_passes_on(void **state)
{
    (void)state;
    bench_shards(2);
    registered(0, 1, "guest1", 1);
    bench_on(1);
    size_t i = device(2, "guest1", 2); /* lent to somebody else by now */
    while (is_bound(0, 1)) {
        assert_int_equal(count_out("k2.invalid"), 0); /* not before the older one has ended */
        assert_true(bench_deliver_one());
    }
    assert_int_equal(bench.gone, 1); /* with its calls */
    assert_int_equal(count_out("Expires: 0\r\n"), 1); /* and in the core */
    assert_int_equal(bench_flow_closed_code(1), 1008);
    bench_deliver();
    assert_int_equal(count_out("k2.invalid"), 1);
    accepted(bench.n_out - 1);
    assert_int_equal(bench_result(i)->status, 200);
    assert_true(is_bound(1, 2));
    assert_int_equal(users(), 1);
}

/* Even a WIC that says that it is the same one: a user's calls are never anybody else's. */
static void pool_identity_with_the_same_instance(void **state)
{
    (void)state;
    moves = 0;
    epc_reg_on_moved(bench.reg, on_moved, NULL);
    registered(0, 1, "guest1", 1);
    registered(0, 2, "guest1", 1);
    assert_int_equal(moves, 0);
    assert_int_equal(bench.gone, 1);
    assert_false(is_bound(0, 1));
    assert_true(is_bound(0, 2));
}

static void two_take_a_pool_identity_at_once(void **state)
{
    (void)state;
    bench_shards(2);
    bench_on(0);
    size_t a = device(1, "guest1", 1);
    bench_on(1);
    size_t b = device(2, "guest1", 2);
    bench_deliver();
    assert_int_equal(bench.n_out, 1);
    assert_true((bench_result(a)->status == 503) != (bench_result(b)->status == 503));
    accepted(0);
    assert_int_equal(is_bound(0, 1) + is_bound(1, 2), 1);
}

/* ---- revocation --------------------------------------------------------------------------------- */

static void revoked_everywhere(void **state)
{
    (void)state;
    bench_shards(2);
    registered(0, 1, "alice", 1);
    registered(1, 2, "alice", 2);
    registered(1, 3, "bob", 3);
    const char *old = bench_bearer("alice", 3600);
    epc_reg_revoke(bench.regs[1], "alice@ims.test");
    bench_deliver();
    bench_end_of_turn();
    assert_false(is_bound(0, 1));
    assert_false(is_bound(1, 2));
    assert_true(is_bound(1, 3));
    assert_int_equal(bench.gone, 2);
    assert_int_equal(bench_flow_closed_code(1), 1008);
    assert_int_equal(bench_flow_closed_code(2), 1008);
    assert_int_equal(bench_flow_closed_code(3), 0);
    assert_int_equal(count_out("Expires: 0\r\n"), 2);
    size_t i = bench_register(4, &(struct reg_text){.user = "alice", .extra = old});
    bench_deliver();
    assert_int_equal(bench_result(i)->status, 401);
    expect_has(bench_result(i)->answer, "error=\"invalid_token\"");
    bench_advance(2);
    bench_on(0);
    registered(0, 4, "alice", 4); /* with a new token */
}

static void revoked_at_every_stage(void **state)
{
    (void)state;
    registered(0, 1, "alice", 1);
    bench_flow_gone(1); /* lost */
    device(2, "alice", 2);
    size_t first = bench.n_out - 1; /* pending */
    registered(0, 3, "alice", 3);
    size_t refresh = device(3, "alice", 3); /* refreshing */
    registered(0, 4, "alice", 4);
    bench_register(4, &(struct reg_text){.user = "alice", .expires = "0", .contact = "*"}); /* leaving */
    size_t before = bench.n_out;
    epc_reg_revoke(bench.reg, "alice@ims.test");
    bench_end_of_turn();
    for (uint64_t flow = 1; flow <= 4; flow++)
        assert_false(is_bound(0, flow));
    assert_int_equal(bench_result(refresh)->status, 403);
    for (uint64_t flow = 2; flow <= 4; flow++)
        assert_int_equal(bench_flow_closed_code(flow), 1008);
    assert_int_equal(bench.n_out, before + 3);
    accepted(first); /* the core did not know: taken back at once */
    assert_int_equal(bench.n_out, before + 4);
    expect_has(bench.out[before + 3].text, "Expires: 0\r\n");
    assert_false(is_bound(0, 2));
    bench_flow_gone(2);
    bench_flow_gone(3);
    assert_int_equal(users(), 0);
}

static void revoked_while_asking(void **state)
{
    (void)state;
    bench_shards(2);
    unsigned far = 1 - home_of("alice");
    bench_on(far);
    size_t i = device(1, "alice", 1);
    assert_int_equal(epc_reg_revoke_here(bench.reg, "alice@ims.test", NULL, epc_wall_s()), 1);
    bench_deliver();
    assert_int_equal(bench_result(i)->status, 403);
    assert_int_equal(bench.n_out, 0);
    assert_int_equal(users(), 0);
}

static void revoked_by_wwsf(void **state)
{
    (void)state;
    bench_shards(2);
    registered(0, 1, "alice", 1);
    registered(0, 2, "bob", 2);
    registered(1, 3, "alice", 3);
    assert_int_equal(epc_reg_revoke_here(bench.regs[0], NULL, "wwsf2", epc_wall_s()), 0);
    assert_true(is_bound(0, 1));
    assert_int_equal(epc_reg_revoke_here(bench.regs[0], NULL, "wwsf1", epc_wall_s()), 2);
    bench_deliver();
    bench_end_of_turn();
    assert_false(is_bound(0, 1));
    assert_false(is_bound(0, 2));
    assert_false(is_bound(1, 3)); /* the same user's on the other shard */
}

#define T(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
#define P(f) cmocka_unit_test_setup_teardown(f, pool_setup, pool_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(limit_of_connections), T(no_limit), T(refused_claims_are_given_back), T(back_on_another_shard),
        T(back_while_the_old_connection_is_open), T(crossing_with_a_refresh), T(grace_over_during_a_claim),
        T(moved_on_the_same_shard),
        T(handed_to_the_older_binding), T(handed_over_in_vain), T(gone_while_asking), T(full_mailbox), T(stopping_home),
        T(stopping_rival), P(pool_identity_passes_on), P(pool_identity_with_the_same_instance),
        P(two_take_a_pool_identity_at_once), T(revoked_everywhere), T(revoked_at_every_stage),
        T(revoked_while_asking), T(revoked_by_wwsf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
