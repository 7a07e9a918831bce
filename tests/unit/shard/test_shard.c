/* Shards as threads: timers, mailbox, doomed list, life cycle, listeners, descriptors. */
#include "shard/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <libwebsockets.h>
#include <uv.h>

static struct epc_shard *make(unsigned index, const char *label, unsigned mailbox_max)
{
    struct epc_shard_opts o = {.index = index, .label = label, .mailbox_max = mailbox_max};
    struct epc_shard *sh = NULL;
    assert_int_equal(epc_shard_create(&sh, &o), EPC_OK);
    assert_non_null(sh);
    return sh;
}

/* A result that the shard's thread sets and the test waits for. */
struct flag {
    pthread_mutex_t m;
    pthread_cond_t c;
    int value;
};
#define FLAG {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}
static void flag_add(struct flag *f, int n)
{
    pthread_mutex_lock(&f->m);
    f->value += n;
    pthread_cond_broadcast(&f->c);
    pthread_mutex_unlock(&f->m);
}
static void flag_wait(struct flag *f, int at_least)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += 20;
    pthread_mutex_lock(&f->m);
    while (f->value < at_least && pthread_cond_timedwait(&f->c, &f->m, &t) == 0)
        ;
    int v = f->value;
    pthread_mutex_unlock(&f->m);
    assert_true(v >= at_least);
}

/* ---- life ---- */
static void mark_start(struct epc_shard *sh, void *arg)
{
    assert_true(epc_shard_is_owner(sh));
    assert_ptr_equal(epc_shard_from_lws(epc_shard_lws(sh)), sh);
    flag_add(arg, 1);
}
static void mark(struct epc_shard *sh, void *arg)
{
    (void)sh;
    flag_add(arg, 1);
}

static void start_and_stop_many_times(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct flag started = FLAG, stopped = FLAG;
        struct epc_shard *sh = make(0, "s", 0);
        assert_false(epc_shard_is_owner(sh));
        assert_int_equal(epc_shard_start(sh, mark_start, &started), EPC_OK);
        assert_int_equal(started.value, 1);
        if (i % 2)
            epc_shard_stop(sh, mark, &stopped);
        epc_shard_stop(sh, mark, &stopped);
        epc_shard_stop(sh, mark, &stopped);
        assert_int_equal(stopped.value, 1);
        epc_shard_destroy(sh);
    }
    epc_shard_destroy(make(1, "never-started", 0));
    epc_shard_destroy(NULL);
}

/* ---- timers ---- */
struct timers {
    struct epc_shard *sh;
    struct flag done;
    struct epc_timer a, b, c, d, again;
    char order[8];
    size_t n;
    unsigned restarts;
    uint64_t t0, t_a;
};
static void fire_a(void *arg)
{
    struct timers *t = arg;
    t->t_a = epc_now_ms();
    t->order[t->n++] = 'a';
    epc_timer_stop(t->sh, &t->d);
    assert_false(epc_timer_running(&t->d));
    assert_false(epc_timer_running(&t->a));
}
static void fire_b(void *arg)
{
    struct timers *t = arg;
    t->order[t->n++] = 'b';
}
static void fire_d(void *arg)
{
    struct timers *t = arg;
    t->order[t->n++] = 'd';
}
static void fire_again(void *arg)
{
    struct timers *t = arg;
    if (++t->restarts < 5)
        epc_timer_start(t->sh, &t->again, 1, fire_again, t);
}
static void fire_c(void *arg)
{
    struct timers *t = arg;
    t->order[t->n++] = 'c';
    epc_timer_stop(t->sh, &t->again);
    flag_add(&t->done, 1);
}
static void begin_timers(struct epc_shard *sh, void *arg)
{
    struct timers *t = arg;
    t->sh = sh;
    t->t0 = epc_now_ms();
    epc_timer_stop(sh, &t->a); /* idle: allowed */
    epc_timer_start(sh, &t->c, 250, fire_c, t);
    epc_timer_start(sh, &t->b, 1, fire_b, t);
    epc_timer_start(sh, &t->b, 60, fire_b, t); /* restarted: once only */
    epc_timer_start(sh, &t->a, 20, fire_a, t);
    epc_timer_start(sh, &t->d, 30, fire_d, t);
    epc_timer_start(sh, &t->again, 1, fire_again, t);
    assert_true(epc_timer_running(&t->a));
}
static void timers_fire_in_order(void **state)
{
    (void)state;
    struct timers t = {.done = FLAG};
    struct epc_shard *sh = make(0, "timers", 0);
    assert_int_equal(epc_shard_start(sh, begin_timers, &t), EPC_OK);
    flag_wait(&t.done, 1);
    epc_shard_stop(sh, NULL, NULL);
    epc_shard_destroy(sh);
    assert_string_equal(t.order, "abc");
    assert_int_equal(t.restarts, 5);
    assert_true(t.t_a - t.t0 >= 20); /* never early */
}

enum { N_TIMERS = 10000 };
struct many {
    struct flag done;
    struct epc_timer *t;
};
static void fire_one(void *arg)
{
    flag_add(arg, 1);
}
static void begin_many(struct epc_shard *sh, void *arg)
{
    struct many *m = arg;
    for (unsigned i = 0; i < N_TIMERS; i++)
        epc_timer_start(sh, &m->t[i], i % 97, fire_one, &m->done);
}
static void ten_thousand_timers(void **state)
{
    (void)state;
    struct many m = {.done = FLAG, .t = calloc(N_TIMERS, sizeof *m.t)};
    struct epc_shard *sh = make(0, "many", 0);
    assert_int_equal(epc_shard_start(sh, begin_many, &m), EPC_OK);
    flag_wait(&m.done, N_TIMERS);
    epc_shard_stop(sh, NULL, NULL);
    epc_shard_destroy(sh);
    assert_int_equal(m.done.value, N_TIMERS);
    free(m.t);
}

/* ---- descriptors and the end of the turn ---- */
enum { ROUNDS = 100 };
struct pair {
    struct epc_shard *sh;
    struct flag done;
    int fd[2];
    struct epc_watch w;
    struct epc_turn_end first, second, again;
    struct epc_timer t;
    char order[8];
    size_t n;
    int rounds, hooks;
};
static void on_first(void *arg)
{
    struct pair *p = arg;
    p->order[p->n++] = '1';
    epc_shard_not_at_turn_end(p->sh, &p->second); /* it was set, and is not wanted any more */
}
static void on_second(void *arg)
{
    struct pair *p = arg;
    p->order[p->n++] = '2';
}
static void on_flush(void *arg)
{
    struct pair *p = arg;
    p->hooks++;
    assert_int_equal(write(p->fd[1], "x", 1), 1);
}
static void on_timer_sets_hook(void *arg)
{
    struct pair *p = arg;
    epc_shard_at_turn_end(p->sh, &p->again, on_flush, p);
    epc_shard_at_turn_end(p->sh, &p->again, on_flush, p); /* once is enough */
}
static void on_pair(void *arg, unsigned events)
{
    struct pair *p = arg;
    char c;
    assert_int_equal(events, EPC_WATCH_IN);
    assert_int_equal(read(p->fd[0], &c, 1), 1);
    if (++p->rounds < ROUNDS) {
        /* Neither may wait for something else to happen. */
        if (p->rounds % 2)
            epc_timer_start(p->sh, &p->t, 0, on_timer_sets_hook, p);
        else
            epc_shard_at_turn_end(p->sh, &p->again, on_flush, p);
        return;
    }
    epc_watch_stop(p->sh, &p->w);
    epc_watch_stop(p->sh, &p->w);
    assert_int_equal(write(p->fd[1], "y", 1), 1); /* nobody hears of it */
    flag_add(&p->done, 1);
}
static void begin_pair(struct epc_shard *sh, void *arg)
{
    struct pair *p = arg;
    p->sh = sh;
    p->w.fd = p->fd[0];
    assert_int_equal(epc_watch_start(sh, &p->w, EPC_WATCH_IN, on_pair, p), EPC_OK);
    epc_watch_set(sh, &p->w, EPC_WATCH_IN);
    epc_shard_not_at_turn_end(sh, &p->second); /* idle: allowed */
    epc_shard_at_turn_end(sh, &p->first, on_first, p);
    epc_shard_at_turn_end(sh, &p->second, on_second, p);
    epc_shard_at_turn_end(sh, &p->again, on_flush, p);
}
static void descriptors_and_hooks(void **state)
{
    (void)state;
    struct pair p = {.done = FLAG};
    assert_int_equal(pipe2(p.fd, O_NONBLOCK), 0);
    struct epc_shard *sh = make(0, "pair", 0);
    assert_int_equal(epc_shard_start(sh, begin_pair, &p), EPC_OK);
    flag_wait(&p.done, 1);
    epc_shard_stop(sh, NULL, NULL);
    epc_shard_destroy(sh);
    assert_string_equal(p.order, "1");
    assert_int_equal(p.rounds, ROUNDS);
    assert_int_equal(p.hooks, ROUNDS);
    close(p.fd[0]);
    close(p.fd[1]);
}

/* ---- mailbox ---- */
enum { POSTERS = 4, POSTS = 5000 };
struct post {
    unsigned poster, n;
    struct inbox *in;
};
struct inbox {
    struct epc_shard *sh;
    unsigned next[POSTERS];
    bool disorder;
    struct flag got;
};
static void on_post(struct epc_shard *sh, void *arg)
{
    struct post *p = arg;
    if (!epc_shard_is_owner(sh) || p->in->next[p->poster] != p->n)
        p->in->disorder = true;
    p->in->next[p->poster]++;
    flag_add(&p->in->got, 1);
    free(p);
}
struct poster {
    struct inbox *in;
    unsigned id;
};
static void *post_all(void *arg)
{
    struct poster *who = arg;
    for (unsigned i = 0; i < POSTS; i++) {
        struct post *p = malloc(sizeof *p);
        *p = (struct post){who->id, i, who->in};
        while (epc_shard_post(who->in->sh, on_post, p) == EPC_ELIMIT)
            sched_yield();
    }
    return NULL;
}
static void mailbox_keeps_each_posters_order(void **state)
{
    (void)state;
    pthread_t th[POSTERS];
    struct poster who[POSTERS];
    struct inbox in = {.got = FLAG};
    in.sh = make(0, "mail", 256); /* small, so that it fills */
    assert_int_equal(epc_shard_start(in.sh, NULL, NULL), EPC_OK);
    for (unsigned i = 0; i < POSTERS; i++) {
        who[i] = (struct poster){&in, i};
        assert_int_equal(pthread_create(&th[i], NULL, post_all, &who[i]), 0);
    }
    for (unsigned i = 0; i < POSTERS; i++)
        pthread_join(th[i], NULL);
    flag_wait(&in.got, POSTERS * POSTS);
    epc_shard_stop(in.sh, NULL, NULL);
    assert_false(in.disorder);
    struct post late = {0};
    assert_int_equal(epc_shard_post(in.sh, on_post, &late), EPC_ENOENT);
    epc_shard_destroy(in.sh);
}

static void full_mailbox_refuses(void **state)
{
    (void)state;
    struct flag got = FLAG;
    struct epc_shard *sh = make(0, "full", 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(epc_shard_post(sh, mark, &got), EPC_OK); /* before start: waits */
    assert_int_equal(epc_shard_post(sh, mark, &got), EPC_ELIMIT);
    assert_int_equal(epc_shard_start(sh, NULL, NULL), EPC_OK);
    flag_wait(&got, 3);
    epc_shard_stop(sh, NULL, NULL);
    assert_int_equal(got.value, 3);
    epc_shard_destroy(sh);
}

/* What was accepted before the stop is run, before on_stop. */
static void stop_empties_the_mailbox(void **state)
{
    (void)state;
    struct flag got = FLAG;
    struct epc_shard *sh = make(0, "drain", 0);
    assert_int_equal(epc_shard_start(sh, NULL, NULL), EPC_OK);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(epc_shard_post(sh, mark, &got), EPC_OK);
    epc_shard_stop(sh, mark, &got);
    assert_int_equal(got.value, 1001);
    epc_shard_destroy(sh);
}

/* ---- two shards send a ball to and fro ---- */
struct ball {
    struct epc_shard *a, *b;
    int left;
    struct flag done;
};
static void bounce(struct epc_shard *sh, void *arg)
{
    struct ball *ball = arg;
    if (--ball->left == 0) {
        flag_add(&ball->done, 1);
        return;
    }
    if (epc_shard_post(sh == ball->a ? ball->b : ball->a, bounce, ball) != EPC_OK)
        abort();
}
static void two_shards(void **state)
{
    (void)state;
    struct ball ball = {.left = 2000, .done = FLAG};
    ball.a = make(0, "shard0", 0);
    ball.b = make(1, "shard1", 0);
    assert_int_equal(epc_shard_index(ball.b), 1);
    assert_int_equal(epc_shard_start(ball.a, NULL, NULL), EPC_OK);
    assert_int_equal(epc_shard_start(ball.b, NULL, NULL), EPC_OK);
    assert_int_equal(epc_shard_post(ball.a, bounce, &ball), EPC_OK);
    flag_wait(&ball.done, 1);
    epc_shard_stop(ball.a, NULL, NULL);
    epc_shard_stop(ball.b, NULL, NULL);
    epc_shard_destroy(ball.a);
    epc_shard_destroy(ball.b);
}

/* ---- doomed list ---- */
struct mortal {
    struct epc_shard *sh;
    struct flag *gone;
    int *inside;
    int chain;
};
static void bury(void *obj)
{
    struct mortal *m = obj;
    assert_int_equal(*m->inside, 0); /* not before the callback that doomed it has returned */
    if (m->chain) { /* dooming while the list is being worked off */
        struct mortal *child = malloc(sizeof *child);
        *child = *m;
        child->chain--;
        epc_shard_doom(m->sh, bury, child);
    }
    flag_add(m->gone, 1);
    free(m);
}
static int inside_callback;
static void doom_some(struct epc_shard *sh, void *arg)
{
    inside_callback = 1;
    for (int i = 0; i < 100; i++) {
        struct mortal *m = malloc(sizeof *m);
        *m = (struct mortal){sh, arg, &inside_callback, 2};
        epc_shard_doom(sh, bury, m);
    }
    inside_callback = 0;
}
static void doomed_end_after_the_callback(void **state)
{
    (void)state;
    struct flag gone = FLAG;
    struct epc_shard *sh = make(0, "doom", 0);
    assert_int_equal(epc_shard_start(sh, NULL, NULL), EPC_OK);
    assert_int_equal(epc_shard_post(sh, doom_some, &gone), EPC_OK);
    flag_wait(&gone, 300);
    epc_shard_stop(sh, doom_some, &gone); /* also what on_stop dooms */
    assert_int_equal(gone.value, 600);
    epc_shard_destroy(sh);
}

/* ---- hold ---- */
struct holder {
    struct epc_shard *sh;
    struct epc_timer t;
    struct flag released;
};
static void let_go(void *arg)
{
    struct holder *h = arg;
    flag_add(&h->released, 1);
    epc_shard_release(h->sh);
}
static void hold_on_stop(struct epc_shard *sh, void *arg)
{
    struct holder *h = arg;
    h->sh = sh;
    epc_shard_hold(sh);
    epc_timer_start(sh, &h->t, 30, let_go, h);
}
static void stop_waits_for_holders(void **state)
{
    (void)state;
    struct holder h = {.released = FLAG};
    struct epc_shard *sh = make(0, "hold", 0);
    assert_int_equal(epc_shard_start(sh, NULL, NULL), EPC_OK);
    epc_shard_stop(sh, hold_on_stop, &h);
    assert_int_equal(h.released.value, 1);
    epc_shard_destroy(sh);
}

/* ---- listeners: plain HTTP vhost ---- */
struct web {
    uint16_t port;
    enum epc_err result, again;
    struct lws_vhost *vhost;
    atomic_int refuse, seen;
};
static int on_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    if (reason == LWS_CALLBACK_HTTP) {
        if (lws_return_http_status(wsi, 200, "here"))
            return -1;
        return -1;
    }
    return lws_callback_http_dummy(wsi, reason, user, in, len);
}
static const struct lws_protocols web_protocols[] = {
    {"http", on_http, 0, 0, 0, NULL, 0},
    {NULL, NULL, 0, 0, 0, NULL, 0},
};
static bool may_enter(void *arg, const struct epc_addr *peer)
{
    struct web *w = arg;
    char ip[EPC_ADDR_LEN];
    assert_string_equal(epc_addr_ip(peer, ip), "127.0.0.1");
    atomic_fetch_add(&w->seen, 1);
    return !atomic_load(&w->refuse);
}
static void open_web(struct epc_shard *sh, void *arg)
{
    struct web *w = arg;
    struct epc_addr addr;
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.vhost_name = "web";
    info.protocols = web_protocols;
    w->vhost = lws_create_vhost(epc_shard_lws(sh), &info);
    assert_non_null(w->vhost);
    assert_int_equal(epc_addr_parse(&addr, "127.0.0.1", w->port), EPC_OK);
    w->result = epc_shard_listen(sh, &addr, w->vhost, may_enter, w);
}
static void close_web(struct epc_shard *sh, void *arg)
{
    struct web *w = arg;
    epc_shard_unlisten(sh, w->vhost);
}
static int dial(uint16_t port)
{
    struct epc_addr a;
    assert_int_equal(epc_addr_parse(&a, "127.0.0.1", port), EPC_OK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval tv = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    if (connect(fd, (struct sockaddr *)&a.ss, a.len) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}
static uint16_t free_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
    close(fd);
    return ntohs(in.sin_port);
}
/* @return octets of the answer */
static ssize_t get(uint16_t port, char *buf, size_t n)
{
    static const char req[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd = dial(port);
    assert_true(fd >= 0);
    if (send(fd, req, sizeof req - 1, MSG_NOSIGNAL) < 0) {
        close(fd);
        return 0;
    }
    size_t have = 0;
    for (;;) {
        ssize_t r = recv(fd, buf + have, n - 1 - have, 0);
        if (r <= 0)
            break;
        have += (size_t)r;
    }
    close(fd);
    buf[have] = 0;
    return (ssize_t)have;
}
static void listener_hands_connections_to_lws(void **state)
{
    (void)state;
    char buf[2048];
    struct web w = {.port = free_port()};
    struct epc_shard *sh = make(0, "web", 0);
    assert_int_equal(epc_shard_start(sh, open_web, &w), EPC_OK);
    assert_int_equal(w.result, EPC_OK);
    for (int i = 0; i < 50; i++) {
        assert_true(get(w.port, buf, sizeof buf) > 0);
        assert_memory_equal(buf, "HTTP/1.1 200", 12);
    }
    assert_int_equal(atomic_load(&w.seen), 50);
    atomic_store(&w.refuse, 1);
    assert_int_equal(get(w.port, buf, sizeof buf), 0);
    assert_int_equal(epc_shard_post(sh, close_web, &w), EPC_OK);
    uint64_t deadline = epc_now_ms() + 10000;
    int fd = 0;
    while ((fd = dial(w.port)) >= 0 && epc_now_ms() < deadline)
        close(fd);
    assert_int_equal(fd, -1);
    epc_shard_stop(sh, NULL, NULL);
    epc_shard_destroy(sh);
}

static void listening_twice_needs_the_same_owner(void **state)
{
    (void)state;
    /* A port that somebody holds without SO_REUSEPORT: a clear error, no crash. */
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, n), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
    struct web w = {.port = ntohs(in.sin_port)};
    struct epc_shard *sh = make(0, "busy", 0);
    assert_int_equal(epc_shard_start(sh, open_web, &w), EPC_OK);
    assert_int_equal(w.result, EPC_EIO);
    epc_shard_stop(sh, NULL, NULL);
    epc_shard_destroy(sh);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_and_stop_many_times),
        cmocka_unit_test(timers_fire_in_order),
        cmocka_unit_test(ten_thousand_timers),
        cmocka_unit_test(descriptors_and_hooks),
        cmocka_unit_test(mailbox_keeps_each_posters_order),
        cmocka_unit_test(full_mailbox_refuses),
        cmocka_unit_test(stop_empties_the_mailbox),
        cmocka_unit_test(two_shards),
        cmocka_unit_test(doomed_end_after_the_callback),
        cmocka_unit_test(stop_waits_for_holders),
        cmocka_unit_test(listener_hands_connections_to_lws),
        cmocka_unit_test(listening_twice_needs_the_same_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
