/* What other threads may know of the gateways: a copy, made at each change. */
#include <stdlib.h>
#include <string.h>

#include "gateway/h248/client.h"

struct h248_facts {
    enum mg_state state;
    bool usable; /* takes new contexts, or may again */
    char mid[H248_MG_NAME_LEN], profile[64], address[EPC_ADDR_LEN + 8];
    unsigned version, n_open, misses;
    uint32_t contexts, most, rtt_us, avoided_ms, registered_s;
    struct h248_package package[H248_MAX_PACKAGES];
    size_t n_packages;
};

enum epc_err h248_facts_init(struct h248_hub *h)
{
    h->facts = calloc(H248_MAX_GATEWAYS, sizeof *h->facts);
    return h->facts ? EPC_OK : EPC_ENOMEM;
}

void h248_facts_publish(const struct h248_mg *mg)
{
    struct h248_hub *h = mg->hub;
    struct h248_facts f = {.state = mg->state, .version = mg->version, .n_open = mg->n_open, .misses = mg->misses};
    uint64_t now = epc_now_ms();
    f.usable = mg->state == MG_UP || mg->state == MG_DRAIN;
    memcpy(f.mid, mg->mid, sizeof f.mid);
    memcpy(f.profile, mg->profile, sizeof f.profile);
    memcpy(f.package, mg->package, sizeof f.package);
    f.n_packages = mg->n_packages;
    h248_path_text(&mg->path, f.address);
    f.contexts = mg->n_contexts;
    f.most = mg->cfg ? h248_capacity(mg) : 0;
    f.rtt_us = mg->rtt_us;
    f.avoided_ms = mg->avoid_until_ms > now ? (uint32_t)(mg->avoid_until_ms - now) : 0;
    f.registered_s = (uint32_t)((now - mg->registered_ms) / 1000);
    pthread_mutex_lock(&h->facts_mutex);
    h->facts[mg->number - 1] = f;
    if (h->n_facts < mg->number)
        h->n_facts = mg->number;
    pthread_mutex_unlock(&h->facts_mutex);
}

void h248_facts_load(const struct h248_mg *mg)
{
    struct h248_hub *h = mg->hub;
    pthread_mutex_lock(&h->facts_mutex);
    struct h248_facts *f = &h->facts[mg->number - 1];
    f->contexts = mg->n_contexts;
    f->n_open = mg->n_open;
    f->rtt_us = mg->rtt_us;
    pthread_mutex_unlock(&h->facts_mutex);
}

static bool has(const struct h248_facts *f, const char *package)
{
    for (size_t i = 0; i < f->n_packages; i++)
        if (strcmp(f->package[i].name, package) == 0)
            return true;
    return false;
}

bool h248_has_package(struct h248_client *c, unsigned mg, const char *package)
{
    struct h248_hub *h = c->hub;
    bool any = false, all = true;
    pthread_mutex_lock(&h->facts_mutex);
    for (unsigned i = 0; i < h->n_facts; i++) {
        const struct h248_facts *f = &h->facts[i];
        if (mg != H248_MG_ANY ? mg != i + 1 : !f->usable)
            continue;
        any = true;
        all = all && has(f, package);
    }
    pthread_mutex_unlock(&h->facts_mutex);
    return any && all;
}

static void add_line(struct epc_buf *b, const struct h248_facts *f)
{
    epc_buf_printf(b,
                   "gateway=%s kind=h248 state=%s address=%s version=%u profile=%s contexts=%u max_contexts=%u "
                   "open=%u rtt_us=%u misses=%u avoided_ms=%u registered_s=%u packages=",
                   f->mid, h248_state_name(f->state), f->address, f->version, f->profile[0] ? f->profile : "-",
                   (unsigned)f->contexts, (unsigned)f->most, f->n_open, (unsigned)f->rtt_us, f->misses,
                   (unsigned)f->avoided_ms, (unsigned)f->registered_s);
    for (size_t i = 0; i < f->n_packages; i++)
        epc_buf_printf(b, "%s%s-%u", i ? "," : "", f->package[i].name, f->package[i].version);
    epc_buf_adds(b, f->n_packages ? "\n" : "-\n");
}

void h248_each(struct h248_client *c, void (*fn)(const char *line, void *arg), void *arg)
{
    struct h248_hub *h = c->hub;
    struct epc_buf b = {0};
    pthread_mutex_lock(&h->facts_mutex);
    for (unsigned i = 0; i < h->n_facts; i++)
        add_line(&b, &h->facts[i]);
    pthread_mutex_unlock(&h->facts_mutex);
    for (char *line = b.failed ? NULL : b.p; line && *line;) {
        char *end = strchr(line, '\n');
        *end = 0;
        fn(line, arg);
        line = end + 1;
    }
    epc_buf_free(&b);
}
