/* tokens.replay: same_instance, also across shards. */
#include "harness.h"
#include "registration/roll_priv.h"

static size_t with_token(uint64_t flow, const char *bearer, const char *instance, unsigned reg_id)
{
    char contact[256];
    snprintf(contact, sizeof contact, "<sip:d@k%u.invalid;transport=ws>;reg-id=%u;+sip.instance=\"<urn:uuid:%s>\"",
             (unsigned)flow, reg_id, instance);
    return bench_register(flow, &(struct reg_text){.extra = bearer, .contact = contact});
}

static void accepted(size_t out)
{
    char headers[512];
    const char *at = strstr(bench.out[out].text, "Contact: ");
    assert_non_null(at);
    snprintf(headers, sizeof headers, "%.*s;expires=540\r\n", (int)strcspn(at, "\r"), at);
    bench_answer(out, 200, headers);
    bench_deliver();
}

static void registers(size_t shard, uint64_t flow, const char *bearer, const char *instance, unsigned reg_id)
{
    bench_on(shard);
    size_t before = bench.n_out;
    with_token(flow, bearer, instance, reg_id);
    bench_deliver();
    assert_int_equal(bench.n_out, before + 1);
    accepted(before);
    assert_non_null(epc_reg_by_flow(bench.regs[shard], flow));
}

static void refused(size_t shard, uint64_t flow, const char *bearer, const char *instance)
{
    bench_on(shard);
    size_t before = bench.n_out;
    size_t i = with_token(flow, bearer, instance, 1);
    bench_deliver();
    assert_int_equal(bench_result(i)->status, 401);
    expect_has(bench_result(i)->answer, "error=\"invalid_token\"");
    assert_int_equal(bench.n_out, before);
}

static void any_instance_by_default(void **state)
{
    (void)state;
    bench_shards(2);
    const char *bearer = bench_bearer("alice", 3600);
    registers(0, 1, bearer, "one", 1);
    registers(1, 2, bearer, "two", 1);
}

static void one_instance(void **state)
{
    (void)state;
    bench_shards(2);
    bench.cfg.tokens.replay = EPC_REPLAY_SAME_INSTANCE;
    int64_t before = epc_counter_read(EPC_C_REG_TOKEN_REUSED);
    const char *bearer = bench_bearer("alice", 3600);
    registers(0, 1, bearer, "one", 1);
    registers(0, 1, bearer, "one", 1); /* a refresh */
    registers(1, 2, bearer, "ONE", 2); /* another flow of the same instance, from the other shard */
    refused(0, 3, bearer, "two");
    refused(1, 4, bearer, "two");
    registers(0, 3, bench_bearer("alice", 3600), "two", 1); /* with a token of its own */
    assert_int_equal(epc_counter_read(EPC_C_REG_TOKEN_REUSED), before + 2);
}

/* A token that came with a refresh counts like that of a first registration. */
static void refreshed_with(void **state)
{
    (void)state;
    bench_shards(2);
    bench.cfg.tokens.replay = EPC_REPLAY_SAME_INSTANCE;
    registers(0, 1, bench_bearer("alice", 3600), "one", 1);
    const char *fresh = bench_bearer("alice", 3600);
    registers(0, 1, fresh, "one", 1);
    refused(1, 2, fresh, "two");
}

/* It stays with its instance after the registration, for as long as it holds. */
static void remembered_after_the_end(void **state)
{
    (void)state;
    bench_shards(2);
    bench.cfg.tokens.replay = EPC_REPLAY_SAME_INSTANCE;
    const char *bearer = bench_bearer("alice", 3600);
    registers(0, 1, bearer, "one", 1);
    bench_flow_gone(1);
    bench_advance(60);
    bench_deliver();
    assert_null(epc_reg_by_flow(bench.regs[0], 1));
    refused(0, 2, bearer, "two");
}

static void gone_while_asking(void **state)
{
    (void)state;
    bench_shards(2);
    bench.cfg.tokens.replay = EPC_REPLAY_SAME_INSTANCE;
    unsigned home = reg_home(bench.regs[0], "alice@ims.test");
    bench_on(home == 0 ? 1 : 0);
    with_token(1, bench_bearer("alice", 3600), "one", 1);
    bench_flow_gone(1);
    bench_deliver();
    assert_int_equal(bench.n_out, 0);
    assert_true(bench.in[0].released);
}

#define T(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(any_instance_by_default), T(one_instance),      T(refreshed_with),
        T(remembered_after_the_end), T(gone_while_asking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
