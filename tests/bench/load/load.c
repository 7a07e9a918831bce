#include "load.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

#define PATIENCE_NS 10000000000u
enum { LOOK_NS = 50000000 }; /* how often those who have waited too long are looked for */

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool work_registers(enum work work)
{
    return work == WORK_REGISTER || work == WORK_AFTER;
}

/* ---- what each does ------------------------------------------------------------------------------------ */

static void start_connection(struct load *l, struct user *u)
{
    u->sent_ns = now_ns();
    u->wic.net = &l->net;
    if (!wic_connect(&u->wic))
        load_failed(l, u, (struct span){"connect", 7});
}

static void start(struct load *l, struct user *u, enum work work)
{
    u->doing = work;
    l->running++;
    l->started++;
    switch (work) {
    case WORK_REGISTER:
    case WORK_AFTER:
        user_register(l, u);
        break;
    case WORK_CALL:
    case WORK_HOLD:
        call_begin(l, u, l->called);
        break;
    case WORK_CALLED:
        called_begin(l, u);
        break;
    case WORK_SOS:
        call_begin(l, u, l->sos);
        break;
    case WORK_DIALOG:
        call_request(l, u, "INFO");
        break;
    case WORK_HANGUP:
        call_request(l, u, "BYE");
        break;
    default:
        start_connection(l, u);
    }
}

/* In a mix, those in calls and one user of 32 do not register: who calls is never busy with something else. */
static bool registers(const struct load *l, const struct user *u)
{
    return l->work != WORK_MIX || (!u->held && u->wic.index % 32 != 31);
}

static bool usable(const struct load *l, const struct user *u, enum work work)
{
    bool open = u->wic.state == WIC_OPEN;
    if (u->doing)
        return false;
    switch (work) {
    case WORK_REGISTER:
    case WORK_AFTER:
        return open && registers(l, u);
    case WORK_DIALOG:
    case WORK_HANGUP:
        return open && u->held;
    case WORK_CALL:
    case WORK_CALLED:
    case WORK_HOLD:
    case WORK_SOS:
        return open && u->registered && !u->held;
    default:
        return u->wic.state == WIC_IDLE;
    }
}

static struct user *next_user(struct load *l, enum work work)
{
    unsigned *at = &l->cursor[work];
    if (l->exhausted[work])
        return NULL;
    for (unsigned tried = 0; tried < l->n_users; tried++) {
        *at = (*at + 1) % l->n_users;
        if (usable(l, &l->users[*at], work))
            return &l->users[*at];
    }
    l->exhausted[work] = true;
    return NULL;
}

/* ---- who is next ----------------------------------------------------------------------------------------- */

/* Of a mix: those inside calls and the emergency calls come at even distances among the REGISTERs, not at once. */
static enum work choose(const struct load *l, double rate)
{
    if (l->work != WORK_MIX)
        return l->work;
    if (l->due_ns >= l->after_ns)
        return WORK_AFTER;
    double due = (double)(l->due_ns - l->began_ns) / 1e9, step = 1 / rate;
    if ((unsigned long)(due * l->dialogs) != (unsigned long)((due + step) * l->dialogs))
        return WORK_DIALOG;
    if ((unsigned long)(due * l->soses + 0.37) != (unsigned long)((due + step) * l->soses + 0.37))
        return WORK_SOS;
    return WORK_REGISTER;
}

/* Open loop: as many as are due. One that no user can do is lost, not put off. */
static void feed_open(struct load *l, uint64_t now)
{
    while (l->due_ns <= now && now < l->until_ns) {
        double rate = l->work == WORK_MIX && l->due_ns >= l->after_ns ? l->after_rate : l->rate;
        enum work work = choose(l, rate);
        struct user *u = next_user(l, work);
        l->due_ns += (uint64_t)(1e9 / rate);
        if (u)
            start(l, u, work);
        else
            l->tally[work].lost++;
    }
}

/* Closed loop: as many as may run at once. */
static void feed_closed(struct load *l, uint64_t now)
{
    while (l->running < l->limit && (l->timed ? now < l->until_ns : l->left > 0)) {
        struct user *u = next_user(l, l->work);
        if (!u) {
            if (!l->timed)
                l->left = 0;
            return;
        }
        if (!l->timed)
            l->left--;
        start(l, u, l->work);
    }
}

static void is_free(struct load *l, struct user *u)
{
    u->doing = WORK_NONE;
    l->running--;
    memset(l->exhausted, 0, sizeof l->exhausted);
}

static void end_overdue(struct load *l, uint64_t now)
{
    for (unsigned i = 0; i < l->n_users; i++) {
        struct user *u = &l->users[i];
        uint64_t patience = u->doing == WORK_REGISTER ? l->patience_ns : PATIENCE_NS;
        if (!u->doing || now <= u->sent_ns + patience)
            continue;
        if (u->doing == WORK_REGISTER) {
            tally_given_up(l, u);
            is_free(l, u);
        } else
            load_failed(l, u, (struct span){"no answer", 9});
    }
}

void load_done(struct load *l, struct user *u, uint64_t latency_ns)
{
    if (!u->doing)
        return;
    tally_done(l, u, latency_ns);
    is_free(l, u);
}

void load_failed(struct load *l, struct user *u, struct span why)
{
    if (!u->doing)
        return;
    tally_failed(l, u, why);
    is_free(l, u);
}

/* ---- the loop ---------------------------------------------------------------------------------------------- */

void load_turn(struct load *l, int wait_ms)
{
    struct epoll_event ev[256];
    int n = epoll_wait(l->net.poll, ev, 256, wait_ms);
    for (int i = 0; i < n; i++)
        wic_ready(ev[i].data.ptr, ev[i].events);
}

void load_run(struct load *l)
{
    uint64_t now = l->began_ns = l->due_ns = now_ns(), looked = now;
    l->started = l->net.resumed = l->net.full = 0;
    tally_clear(l);
    memset(l->exhausted, 0, sizeof l->exhausted);
    for (;;) {
        l->rate > 0 ? feed_open(l, now) : feed_closed(l, now);
        bool more = l->timed ? now < l->until_ns : l->left > 0;
        if (!more && l->running == 0)
            break;
        load_turn(l, l->rate > 0 && more ? 1 : 20);
        now = now_ns();
        if (now > looked + LOOK_NS) {
            end_overdue(l, now);
            looked = now;
        }
    }
    tally_print(l, (double)(now_ns() - l->began_ns) / 1e9);
    l->work = WORK_NONE;
    l->rate = 0;
}

/* ---- events ------------------------------------------------------------------------------------------------ */

static void on_open(struct wic *w)
{
    struct load *l = w->net->load;
    struct user *u = w->user;
    if (u->doing == WORK_CHURN) /* its tickets have come with the 101 */
        wic_close(w);
    load_done(l, u, now_ns() - u->sent_ns);
}

static void on_text(struct wic *w, struct span message)
{
    user_text(w->net->load, w->user, message);
}

static void on_closed(struct wic *w, const char *why)
{
    struct user *u = w->user;
    u->registered = u->held = false;
    u->given_up = 0;
    load_failed(w->net->load, u, (struct span){why, strlen(why)});
}

void load_init(struct load *l)
{
    l->net.poll = epoll_create1(0);
    l->net.load = l;
    l->net.on = (struct wic_events){on_open, on_text, on_closed};
    l->patience_ns = PATIENCE_NS;
    wic_net_init(&l->net);
}
