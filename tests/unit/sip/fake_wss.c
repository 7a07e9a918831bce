/* Flows without sockets: what is sent is kept for the test. */
#include "fakes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct sent {
    struct sent *next;
    char *text;
};

struct epc_flow {
    struct epc_flow *next;
    uint64_t id;
    struct epc_addr peer;
    struct sent *sent;
    bool gone, registered, superseded;
    uint64_t note;
    unsigned paused_ms;
};

struct epc_wss {
    struct epc_flow *flows;
};

struct epc_wss *fake_wss_new(void)
{
    struct epc_wss *w = calloc(1, sizeof *w);
    assert(w);
    return w;
}

static struct epc_flow *any_flow(struct epc_wss *w, uint64_t id)
{
    struct epc_flow *f = w->flows;
    while (f && f->id != id)
        f = f->next;
    return f;
}

struct epc_flow *fake_flow_open(struct epc_wss *w, uint64_t id)
{
    struct epc_flow *f = calloc(1, sizeof *f);
    assert(f);
    f->id = id;
    f->next = w->flows;
    w->flows = f;
    if (epc_addr_parse(&f->peer, "192.0.2.77", 40000) != EPC_OK)
        abort();
    return f;
}

void fake_flow_gone(struct epc_wss *w, uint64_t id)
{
    any_flow(w, id)->gone = true;
}

char *fake_flow_take(struct epc_wss *w, uint64_t id)
{
    struct epc_flow *f = any_flow(w, id);
    struct sent *s = f->sent;
    if (!s)
        return NULL;
    f->sent = s->next;
    char *text = s->text;
    free(s);
    return text;
}

void fake_wss_free(struct epc_wss *w)
{
    while (w->flows) {
        struct epc_flow *f = w->flows;
        for (char *t; (t = fake_flow_take(w, f->id));)
            free(t);
        w->flows = f->next;
        free(f);
    }
    free(w);
}

enum epc_err epc_flow_send(struct epc_flow *f, const void *p, size_t n)
{
    struct sent *s = calloc(1, sizeof *s), **end = &f->sent;
    assert(s);
    s->text = epc_str_dup((struct epc_str){p, n});
    while (*end)
        end = &(*end)->next;
    *end = s;
    return EPC_OK;
}

uint64_t epc_flow_id(const struct epc_flow *f)
{
    return f->id;
}

struct epc_flow *epc_wss_flow(struct epc_wss *w, uint64_t id)
{
    struct epc_flow *f = any_flow(w, id);
    return f && !f->gone ? f : NULL;
}

const struct epc_addr *epc_flow_peer(const struct epc_flow *f)
{
    return &f->peer;
}

bool epc_flow_registered(const struct epc_flow *f)
{
    return f->registered;
}

void fake_flow_registered(struct epc_flow *f, bool registered)
{
    f->registered = registered;
}

void epc_flow_set_note(struct epc_flow *f, uint64_t note)
{
    f->note = note;
}

uint64_t epc_flow_note(const struct epc_flow *f)
{
    return f->note;
}

void epc_flow_pause(struct epc_flow *f, uint32_t for_ms)
{
    f->paused_ms += for_ms;
}

unsigned fake_flow_paused(const struct epc_flow *f)
{
    return f->paused_ms;
}

bool epc_flow_superseded(const struct epc_flow *f)
{
    return f->superseded;
}

void fake_flow_superseded(struct epc_flow *f, bool superseded)
{
    f->superseded = superseded;
}

unsigned epc_wss_hear(struct epc_wss *w, unsigned n)
{
    unsigned left = 0;
    for (struct epc_flow *f = w->flows; f; f = f->next) {
        if (f->paused_ms && n && n--)
            f->paused_ms = 0;
        left += f->paused_ms != 0;
    }
    return left;
}
