/* How many connections there may be, in all and from one source, and how fast they may come. */
#include "wss/wss_priv.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* Beyond the limits, this many more are let in to be told so in HTTP (503); the rest is closed at
 * accept, before it costs a TLS handshake. */
static unsigned with_slack(unsigned limit)
{
    return limit + limit / 16 + 8;
}

/* ---- rates -------------------------------------------------------------------------------------- */

enum {
    BURST_FACTOR = 4,   /* REGISTERs at once, against those a second */
    RATE_SLACK = 8000,  /* connections over their rate that are told so in HTTP (429) */
    IDLE_MS = 2000,
};

static void refill(struct epc_bucket *b, uint32_t rate, uint64_t now)
{
    uint64_t back = (now - b->at_ms) * rate;
    b->spent = back < b->spent ? b->spent - back : 0;
    b->at_ms = now;
}

/* False: over the burst. What is refused costs as well, up to @p slack. */
static bool spend(struct epc_bucket *b, uint32_t rate, uint64_t burst, uint64_t slack)
{
    refill(b, rate, epc_now_ms());
    bool ok = b->spent + 1000 <= burst * 1000;
    if (b->spent + 1000 <= burst * 1000 + slack)
        b->spent += 1000;
    return ok;
}

bool epc_flow_may_register(struct epc_flow *f, const struct epc_cfg_registration *cfg)
{
    uint32_t rate = cfg->max_rate_per_address;
    EPC_ASSERT_OWNER(f->w->sh);
    bool ok = !rate || !f->source ||
              spend(&f->source->registers, rate, (uint64_t)rate * BURST_FACTOR, 0);
    if (!ok)
        epc_count(EPC_C_WSS_REGISTER_RATE);
    return ok;
}

/* ---- sources ------------------------------------------------------------------------------------ */

static void source_key(const struct epc_addr *a, unsigned char key[16])
{
    memset(key, 0, 16);
    if (a->ss.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->ss;
        memcpy(key, &in6->sin6_addr, 8); /* a host has its whole /64 to itself */
        key[15] = 6;
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&a->ss;
        memcpy(key, &in->sin_addr, 4);
        key[15] = 4;
    }
}

bool epc_source_eq(const struct epc_hnode *node, const void *key)
{
    const struct epc_source *s = EPC_CONTAINER(node, const struct epc_source, node);
    return memcmp(s->key, key, sizeof s->key) == 0;
}

static struct epc_source *find_source(struct epc_wss *w, const unsigned char key[16])
{
    struct epc_hnode *node = epc_hash_find(&w->sources, epc_hash_bytes(key, 16), key);
    return node ? EPC_CONTAINER(node, struct epc_source, node) : NULL;
}

bool epc_wss_may_accept(struct epc_wss *w, const struct epc_addr *peer)
{
    unsigned char key[16];
    if (w->destroying)
        return false;
    source_key(peer, key);
    struct epc_source *s = find_source(w, key);
    if (w->n_flows >= with_slack(w->cfg->max_connections) ||
        (w->cfg->max_per_address && s && s->n >= with_slack(w->cfg->max_per_address))) {
        epc_count(EPC_C_WSS_REFUSED_LIMIT);
        return false;
    }
    if (w->cfg->max_rate_per_address && s) {
        refill(&s->connections, w->cfg->max_rate_per_address, epc_now_ms());
        if (s->connections.spent > w->cfg->burst_per_address * UINT64_C(1000) + RATE_SLACK - 1000) {
            epc_count(EPC_C_WSS_REFUSED_RATE);
            return false;
        }
    }
    return true;
}

static void free_source(struct epc_source *s)
{
    epc_timer_stop(s->w->sh, &s->idle);
    epc_hash_del(&s->w->sources, &s->node);
    free(s);
}

/* Forgotten when nothing of it is left but full buckets. */
static void on_idle(void *arg)
{
    struct epc_source *s = arg;
    uint64_t now = epc_now_ms();
    uint32_t rate = s->w->cfg ? s->w->cfg->max_rate_per_address : 0;
    if (rate)
        refill(&s->connections, rate, now);
    /* at no rate does a bucket take longer than its factor in seconds */
    bool registers = s->registers.spent && now - s->registers.at_ms < BURST_FACTOR * 1000;
    if (s->w->cfg && ((rate && s->connections.spent) || registers))
        epc_timer_start(s->w->sh, &s->idle, IDLE_MS, on_idle, s);
    else
        free_source(s);
}

enum epc_err epc_wss_count_source(struct epc_flow *f)
{
    struct epc_wss *w = f->w;
    unsigned char key[16];
    source_key(&f->peer, key);
    struct epc_source *s = find_source(w, key);
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s)
            return EPC_ENOMEM;
        s->w = w;
        memcpy(s->key, key, sizeof key);
        epc_hash_add(&w->sources, &s->node, epc_hash_bytes(key, sizeof key));
    }
    epc_timer_stop(w->sh, &s->idle);
    s->refs++;
    f->source = s;
    if (f->is_far)
        return EPC_OK;
    s->n++;
    uint32_t rate = w->cfg->max_rate_per_address;
    f->over_rate = rate && !spend(&s->connections, rate, w->cfg->burst_per_address, RATE_SLACK);
    return EPC_OK;
}

void epc_wss_uncount_source(struct epc_flow *f)
{
    struct epc_source *s = f->source;
    f->source = NULL;
    if (!s)
        return;
    if (!f->is_far)
        s->n--;
    if (--s->refs == 0)
        on_idle(s);
}

static void free_one(struct epc_hnode *node, void *arg)
{
    (void)arg;
    free_source(EPC_CONTAINER(node, struct epc_source, node));
}

void epc_wss_free_sources(struct epc_wss *w)
{
    if (w->sources.slot)
        epc_hash_each(&w->sources, free_one, NULL);
    epc_hash_free(&w->sources);
}

bool epc_wss_over_limit(const struct epc_flow *f)
{
    const struct epc_cfg_wss *cfg = f->w->cfg;
    return f->w->n_flows > cfg->max_connections ||
           (cfg->max_per_address && f->source && f->source->n > cfg->max_per_address);
}
