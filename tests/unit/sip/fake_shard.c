/* The shard's door on one thread that the test turns by hand: epoll for sockets, no lws, no mailbox. */
#include "fakes.h"
#include "shard/poller.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

struct doomed {
    struct doomed *next;
    void (*fn)(void *obj);
    void *obj;
};

struct epc_shard {
    struct epc_poller poller;
    struct epc_turn_end *hooks;
    struct epc_timer *timers;
    struct doomed *doomed;
    unsigned index;
    uint64_t looked_ms; /* 0: now */
};

struct epc_shard *fake_shard_new(unsigned index)
{
    struct epc_shard *sh = calloc(1, sizeof *sh);
    assert(sh);
    enum epc_err err = epc_poller_open(&sh->poller);
    assert(err == EPC_OK);
    (void)err;
    sh->index = index;
    return sh;
}

static void run_doomed(struct epc_shard *sh)
{
    while (sh->doomed) {
        struct doomed *d = sh->doomed;
        sh->doomed = d->next;
        d->fn(d->obj);
        free(d);
    }
}

static void run_timers(struct epc_shard *sh)
{
    uint64_t now = epc_now_ms();
    for (bool again = true; again;) {
        again = false;
        for (struct epc_timer *t = sh->timers; t; t = t->_next)
            if (t->_at_ms <= now) {
                epc_timer_stop(sh, t);
                t->fn(t->arg);
                again = true;
                break;
            }
    }
}

static void run_hooks(struct epc_shard *sh)
{
    while (sh->hooks) {
        struct epc_turn_end *h = sh->hooks;
        epc_shard_not_at_turn_end(sh, h);
        h->fn(h->arg);
    }
}

void fake_shard_turn(struct epc_shard *sh)
{
    const struct timespec a_moment = {.tv_nsec = 200000};
    if (!sh->hooks && !sh->doomed)
        nanosleep(&a_moment, NULL); /* the test asks again at once */
    epc_poller_wait(&sh->poller, 0);
    run_timers(sh);
    run_hooks(sh);
    run_doomed(sh);
}

void fake_shard_free(struct epc_shard *sh)
{
    run_doomed(sh);
    assert(!sh->timers && !sh->hooks);
    epc_poller_close(&sh->poller);
    free(sh);
}

unsigned epc_shard_index(const struct epc_shard *sh)
{
    return sh->index;
}

bool epc_shard_is_owner(const struct epc_shard *sh)
{
    (void)sh;
    return true;
}

void epc_shard_assert_owner(const struct epc_shard *sh);
void epc_shard_assert_owner(const struct epc_shard *sh)
{
    (void)sh;
}

void epc_shard_doom(struct epc_shard *sh, void (*fn)(void *obj), void *obj)
{
    struct doomed *d = malloc(sizeof *d), **end = &sh->doomed;
    assert(d);
    *d = (struct doomed){.fn = fn, .obj = obj};
    while (*end)
        end = &(*end)->next;
    *end = d;
}

bool epc_shard_behind(const struct epc_shard *sh)
{
    (void)sh;
    return false;
}

uint64_t epc_shard_looked_ms(struct epc_shard *sh)
{
    return sh->looked_ms ? sh->looked_ms : epc_now_ms();
}

void fake_shard_looked(struct epc_shard *sh, uint64_t at_ms)
{
    sh->looked_ms = at_ms;
}

struct epc_poller *epc_shard_poller(struct epc_shard *sh)
{
    return &sh->poller;
}

void epc_shard_at_turn_end(struct epc_shard *sh, struct epc_turn_end *h, epc_timer_fn *fn, void *arg)
{
    struct epc_turn_end **end = &sh->hooks;
    h->fn = fn;
    h->arg = arg;
    if (h->_set)
        return;
    while (*end)
        end = &(*end)->_next;
    *end = h;
    h->_next = NULL;
    h->_set = true;
}

void epc_shard_not_at_turn_end(struct epc_shard *sh, struct epc_turn_end *h)
{
    struct epc_turn_end **at = &sh->hooks;
    while (*at && *at != h)
        at = &(*at)->_next;
    if (*at)
        *at = h->_next;
    h->_set = false;
}

void epc_timer_start(struct epc_shard *sh, struct epc_timer *t, uint64_t after_ms, epc_timer_fn *fn,
                     void *arg)
{
    epc_timer_stop(sh, t);
    t->fn = fn;
    t->arg = arg;
    t->_at_ms = epc_now_ms() + after_ms;
    t->_next = sh->timers;
    t->_prev = &sh->timers;
    if (t->_next)
        t->_next->_prev = &t->_next;
    sh->timers = t;
}

void epc_timer_stop(struct epc_shard *sh, struct epc_timer *t)
{
    (void)sh;
    if (!t->_prev)
        return;
    *t->_prev = t->_next;
    if (t->_next)
        t->_next->_prev = t->_prev;
    t->_next = NULL;
    t->_prev = NULL;
}

bool epc_timer_running(const struct epc_timer *t)
{
    return t->_prev != NULL;
}
