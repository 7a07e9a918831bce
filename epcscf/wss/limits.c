/* How many connections there may be, in all and from one source. */
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

bool epc_wss_may_accept(void *wss, const struct epc_addr *peer)
{
    struct epc_wss *w = wss;
    unsigned char key[16];
    w->accepting = NULL;
    if (w->destroying)
        return false;
    source_key(peer, key);
    struct epc_source *s = find_source(w, key);
    if (w->n_flows >= with_slack(w->cfg->max_connections) ||
        (w->cfg->max_per_address && s && s->n >= with_slack(w->cfg->max_per_address))) {
        epc_count(EPC_C_WSS_REFUSED_LIMIT);
        return false;
    }
    w->accepting = peer; /* valid until lws has taken the socket over, within this call's caller */
    return true;
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
        memcpy(s->key, key, sizeof key);
        epc_hash_add(&w->sources, &s->node, epc_hash_bytes(key, sizeof key));
    }
    s->n++;
    f->source = s;
    return EPC_OK;
}

void epc_wss_uncount_source(struct epc_flow *f)
{
    struct epc_source *s = f->source;
    f->source = NULL;
    if (s && --s->n == 0) {
        epc_hash_del(&f->w->sources, &s->node);
        free(s);
    }
}

bool epc_wss_over_limit(const struct epc_flow *f)
{
    const struct epc_cfg_wss *cfg = f->w->cfg;
    return f->w->n_flows > cfg->max_connections ||
           (cfg->max_per_address && f->source && f->source->n > cfg->max_per_address);
}
