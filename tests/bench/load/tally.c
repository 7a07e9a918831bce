#include "load.h"

#include <stdio.h>

/* A REGISTER that takes longer than this is not what a user knows as "works". */
enum { SLOW_NS = 100000000 };

static const char *const names[N_WORK] = {
    [WORK_CONNECT] = "connect", [WORK_CHURN] = "churn",   [WORK_REGISTER] = "register", [WORK_CALL] = "call",
    [WORK_CALLED] = "called", [WORK_HOLD] = "hold",       [WORK_DIALOG] = "dialog", [WORK_HANGUP] = "hangup",     [WORK_SOS] = "sos",
    [WORK_AFTER] = "after"};

void tally_clear(struct load *l)
{
    memset(l->tally, 0, sizeof l->tally);
    for (unsigned i = 0; i < l->n_users; i++)
        l->users[i].given_up = 0;
    *l->first_fault = 0;
}

static void bad(struct tally *t, const struct user *u)
{
    if (u->sent_ns > t->last_bad_ns)
        t->last_bad_ns = u->sent_ns;
}

void tally_done(struct load *l, const struct user *u, uint64_t latency_ns)
{
    struct tally *t = &l->tally[u->doing];
    t->done++;
    histogram_add(&t->latency, latency_ns);
    if (latency_ns > SLOW_NS)
        bad(t, u);
}

static void keep_fault(struct load *l, struct span why)
{
    size_t n = why.n < sizeof l->first_fault - 1 ? why.n : sizeof l->first_fault - 1;
    for (size_t i = 0; i < n; i++)
        l->first_fault[i] = why.p[i] < ' ' || why.p[i] == '"' || why.p[i] == '\\' ? ' ' : why.p[i];
    l->first_fault[n] = 0;
}

static void count_failed(struct tally *t, struct span why)
{
    if (sip_status(why) == 503) {
        t->refused++;
        t->retry_after += sip_value(why, "Retry-After", 0, 0).p != NULL;
    } else
        t->failed++;
}

void tally_given_up(struct load *l, struct user *u)
{
    struct tally *t = &l->tally[u->doing];
    t->silent++;
    u->given_up++;
    bad(t, u);
}

void tally_late(struct load *l, struct user *u, struct span response)
{
    struct tally *t = &l->tally[WORK_REGISTER];
    u->given_up--;
    t->silent--;
    t->late += sip_status(response) == 503;
    count_failed(t, response);
}

void tally_failed(struct load *l, const struct user *u, struct span why)
{
    struct tally *t = &l->tally[u->doing];
    count_failed(t, why);
    bad(t, u);
    if (!*l->first_fault)
        keep_fault(l, why);
}

unsigned long tally_ended(const struct load *l)
{
    unsigned long n = 0;
    for (int w = 0; w < N_WORK; w++)
        n += l->tally[w].done + l->tally[w].failed + l->tally[w].refused + l->tally[w].silent;
    return n;
}

static void add(struct tally *sum, const struct tally *t)
{
    sum->done += t->done;
    sum->failed += t->failed;
    sum->refused += t->refused;
    sum->retry_after += t->retry_after;
    sum->late += t->late;
    sum->silent += t->silent;
    sum->lost += t->lost;
    if (t->last_bad_ns > sum->last_bad_ns)
        sum->last_bad_ns = t->last_bad_ns;
    for (size_t i = 0; i < sizeof sum->latency.count / sizeof *sum->latency.count; i++)
        sum->latency.count[i] += t->latency.count[i];
    sum->latency.total += t->latency.total;
}

static void print_fields(const struct load *l, const struct tally *t)
{
    printf("\"done\": %lu, \"failed\": %lu, \"refused\": %lu, \"retry_after\": %lu, \"late\": %lu, \"lost\": %lu, \"last_bad_s\": %.3f, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f",
           t->done, t->failed + t->silent, t->refused, t->retry_after, t->late, t->lost,
           t->last_bad_ns > l->began_ns ? (double)(t->last_bad_ns - l->began_ns) / 1e9 : 0.0,
           histogram_us(&t->latency, 0.5), histogram_us(&t->latency, 0.99), histogram_us(&t->latency, 0.999));
}

void tally_print(const struct load *l, double seconds)
{
    static struct tally sum; /* too large for the stack */
    memset(&sum, 0, sizeof sum);
    for (int w = 0; w < N_WORK; w++)
        add(&sum, &l->tally[w]);
    printf("{\"seconds\": %.3f, \"started\": %lu, \"full\": %lu, \"resumed\": %lu, \"fault\": \"%s\", ", seconds, l->started,
           l->net.full, l->net.resumed, l->first_fault);
    print_fields(l, &sum);
    for (int w = 0; w < N_WORK; w++) {
        const struct tally *t = &l->tally[w];
        if (!names[w] || !(t->done + t->failed + t->silent + t->refused + t->lost))
            continue;
        printf(", \"%s\": {", names[w]);
        print_fields(l, t);
        printf("}");
    }
    printf("}\n");
    fflush(stdout);
}
