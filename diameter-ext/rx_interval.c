/* What a PCRF does not want to be asked again before its Retry-Interval is over.
 * Spec: TS 29.214 4.4.1, 5.3.39. */
#include "rx_priv.h"

#include <stdlib.h>
#include <string.h>

/* Entries stand in a ring: when it is full the oldest makes room, and is asked about once too often. */
enum { HOLD_MAX = 1024, INTERVAL_MAX_S = 24 * 3600 };

struct held {
    struct epc_hnode node;
    uint64_t until_ms; /* 0 = unused */
};

struct rx_intervals {
    struct epc_hash table;
    struct held entry[HOLD_MAX];
    size_t next;
};

static bool any(const struct epc_hnode *node, const void *key)
{
    (void)node, (void)key;
    return true; /* the 64 bits of the hash are the key */
}

static uint64_t digest(const struct epc_addr *ue, const struct epc_service_info *info)
{
    struct epc_buf b = {0};
    char ip[EPC_ADDR_LEN];
    epc_buf_printf(&b, "%s %d", epc_addr_ip(ue, ip), info->signalling);
    for (size_t i = 0; i < info->n_components; i++) {
        const struct epc_media_component *c = &info->component[i];
        epc_buf_printf(&b, " %d %d %lld %lld", (int)c->type, (int)c->status, (long long)c->max_ul_bps,
                       (long long)c->max_dl_bps);
    }
    uint64_t h = b.failed ? 0 : epc_hash_bytes(b.p, b.n);
    epc_buf_free(&b);
    return h;
}

static struct rx_intervals *hold_new(void)
{
    struct rx_intervals *hold = calloc(1, sizeof *hold);
    if (hold && epc_hash_init(&hold->table, any)) {
        free(hold);
        return NULL;
    }
    return hold;
}

static struct held *find(const struct rx_intervals *hold, uint64_t key)
{
    struct epc_hnode *n = epc_hash_find(&hold->table, key, NULL);
    return n ? EPC_CONTAINER(n, struct held, node) : NULL;
}

void rx_interval_add(struct rx_shard *rs, const struct epc_addr *ue, const struct epc_service_info *info,
                 uint32_t seconds)
{
    uint64_t key = digest(ue, info);
    if (!rs->intervals)
        rs->intervals = hold_new();
    if (!key || !rs->intervals)
        return;
    struct held *e = find(rs->intervals, key);
    if (!e) {
        e = &rs->intervals->entry[rs->intervals->next++ % HOLD_MAX];
        if (e->until_ms)
            epc_hash_del(&rs->intervals->table, &e->node);
        epc_hash_add(&rs->intervals->table, &e->node, key);
    }
    e->until_ms = epc_now_ms() + (uint64_t)(seconds < INTERVAL_MAX_S ? seconds : INTERVAL_MAX_S) * 1000;
}

uint32_t rx_interval_left(const struct rx_shard *rs, const struct epc_addr *ue,
                      const struct epc_service_info *info)
{
    if (!rs->intervals)
        return 0;
    const struct held *e = find(rs->intervals, digest(ue, info));
    uint64_t now = epc_now_ms();
    return e && e->until_ms > now ? (uint32_t)((e->until_ms - now + 999) / 1000) : 0;
}

void rx_interval_free(struct rx_shard *rs)
{
    if (rs->intervals)
        epc_hash_free(&rs->intervals->table);
    free(rs->intervals);
    rs->intervals = NULL;
}
