/* Who is there and how they fare: the table of peers, which one a request goes to, Origin-State-Ids,
 * cached redirects. Spec: TS 29.213 7.3; RFC 6733 5.5, 6.1, 6.12, 6.13, 8.16. */
#include "rx_peer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NODES 256
#define MAX_REDIRECTS 64
#define MAX_REDIRECT_S 86400u
#define FIRST_HOLD_MS 1000u

struct node {
    char host[RX_NAME_MAX];
    uint32_t state;
};
struct redirect {
    char realm[RX_NAME_MAX], host[RX_NAME_MAX]; /* of the request; host "" = all of the realm */
    struct rx_peer *to;
    uint64_t until;
};

/* See struct rx_ext on globals; guarded by rx_lock(). */
static struct {
    struct rx_peer peer[RX_MAX_PEERS];
    size_t n;
    uint64_t lot, looked_ms;
    struct node node[MAX_NODES];
    size_t n_nodes, next_node;
    struct redirect redirect[MAX_REDIRECTS];
    size_t next_redirect;
} t;

static void copy_name(char to[RX_NAME_MAX], const char *from)
{
    snprintf(to, RX_NAME_MAX, "%s", from ? from : "");
}

static const char *our_realm(void)
{
    const char *realm = rx.host->cfg->destination_realm;
    return realm ? realm : fd_g_config->cnf_diamrlm;
}

static const char *const hold_name[] = {"", "silent", "failing", "too-busy"};

/* ---- the table -------------------------------------------------------------------------------------- */

struct rx_peer *rx_peer_find(struct epc_str host)
{
    for (size_t i = 0; i < t.n; i++)
        if (epc_str_ieqc(host, t.peer[i].host))
            return &t.peer[i];
    return NULL;
}

static struct rx_peer *add(const char *host)
{
    struct rx_peer *p = rx_peer_find(epc_str_c(host));
    if (p || t.n == RX_MAX_PEERS)
        return p;
    p = &t.peer[t.n++];
    *p = (struct rx_peer){0};
    copy_name(p->host, host);
    return p;
}

void rx_peers_init(void)
{
    const struct epc_cfg_policy *cfg = rx.host->cfg;
    epc_count_add(EPC_C_RX_PEERS_OPEN, -(int64_t)rx_peer_count_open());
    memset(&t, 0, sizeof t);
    epc_random(&t.lot, sizeof t.lot);
    for (size_t i = 0; i < cfg->n_peers; i++) {
        struct rx_peer *p = add(cfg->peers[i].host);
        if (!p)
            break;
        copy_name(p->realm, cfg->peers[i].realm ? cfg->peers[i].realm : our_realm());
        p->profile = cfg->peers[i].profile;
        p->priority = cfg->peers[i].priority;
        p->configured = true;
    }
}

/* What freeDiameter says of a peer. */
struct sight {
    char host[RX_NAME_MAX], realm[RX_NAME_MAX];
    bool open, relay, serves_rx;
    uint32_t state;
};

static size_t look(struct sight out[RX_MAX_PEERS])
{
    size_t n = 0;
    struct fd_app *app;
    if (pthread_rwlock_rdlock(&fd_g_peers_rw))
        return 0;
    for (struct fd_list *li = fd_g_peers.next; li != &fd_g_peers && n < RX_MAX_PEERS; li = li->next) {
        struct peer_hdr *p = li->o;
        struct sight *s = &out[n++];
        *s = (struct sight){.open = fd_peer_get_state(p) == STATE_OPEN};
        copy_name(s->host, p->info.pi_diamid);
        if (!s->open)
            continue;
        copy_name(s->realm, p->info.runtime.pir_realm);
        s->relay = p->info.runtime.pir_relay != 0;
        s->serves_rx = fd_app_check(&p->info.runtime.pir_apps, RX_APP_ID, &app) == 0 && app;
        s->state = p->info.runtime.pir_orstate;
    }
    pthread_rwlock_unlock(&fd_g_peers_rw);
    return n;
}

static void up_or_down(struct rx_peer *p, const struct sight *s)
{
    bool open = s->open && (s->relay || s->serves_rx);
    if (s->open && !open && !p->open)
        epc_log(EPC_LOG_DEBUG, "rx", "event=peer-without-rx peer=%s", p->host);
    if (open != p->open) {
        epc_count(open ? EPC_C_RX_PEER_UP : EPC_C_RX_PEER_DOWN);
        epc_count_add(EPC_C_RX_PEERS_OPEN, open ? 1 : -1);
        epc_log(open ? EPC_LOG_INFO : EPC_LOG_WARN, "rx", "event=%s peer=%s role=%s configured=%d",
                open ? "pcrf-up" : "pcrf-down", p->host,
                open ? (s->serves_rx ? "pcrf" : "agent") : p->relay ? "agent" : "pcrf", p->configured);
        if (open) { /* a new connection: what the old one did is no guide */
            p->hold = RX_FREE;
            p->hold_level = 0;
        }
    }
    p->open = open;
    if (!s->open)
        return;
    p->relay = s->relay && !s->serves_rx; /* a PCRF may relay as well: stock freeDiameter does */
    p->serves_rx = s->serves_rx;
    if (!p->configured)
        copy_name(p->realm, s->realm);
}

void rx_peer_gone(struct rx_peer *p)
{
    if (p->open)
        up_or_down(p, &(struct sight){.open = false});
    t.looked_ms = 0; /* look anew before the next request */
}

void rx_peers_refresh(uint64_t max_age_ms)
{
    struct sight seen[RX_MAX_PEERS];
    bool lost[RX_MAX_PEERS] = {false};
    uint64_t now = epc_now_ms();
    rx_lock();
    bool fresh = t.looked_ms && now - t.looked_ms < max_age_ms;
    rx_unlock();
    if (fresh)
        return;
    size_t n = look(seen);
    rx_lock();
    t.looked_ms = now;
    for (size_t i = 0; i < n; i++) {
        struct rx_peer *p = add(seen[i].host);
        if (!p)
            continue;
        up_or_down(p, &seen[i]);
        if (seen[i].open && seen[i].state)
            lost[i] = rx_state_note(epc_str_c(seen[i].host), seen[i].state);
    }
    rx_unlock();
    for (size_t i = 0; i < n; i++)
        if (lost[i])
            rx_peer_tell_lost(seen[i].host, seen[i].state);
}

unsigned rx_peer_count_open(void)
{
    unsigned n = 0;
    for (size_t i = 0; i < t.n; i++)
        n += t.peer[i].open;
    return n;
}

unsigned rx_open_peers(void)
{
    rx_lock();
    unsigned n = rx_peer_count_open();
    rx_unlock();
    return n;
}

void rx_peers_print(FILE *out)
{
    rx_lock();
    uint64_t now = epc_now_ms();
    for (size_t i = 0; i < t.n; i++) {
        const struct rx_peer *p = &t.peer[i];
        fprintf(out, "peer=%s realm=%s role=%s state=%s priority=", p->host, rx_peer_realm(p),
                p->relay ? "agent" : p->serves_rx ? "pcrf" : "unknown", p->open ? "open" : "closed");
        if (p->configured)
            fprintf(out, "%" PRIu32, p->priority);
        else
            fprintf(out, "-");
        fprintf(out, " profile=%s asked=%" PRIu64 " answered=%" PRIu64 " failed_over=%" PRIu64
                " outstanding=%u origin_state_id=%" PRIu32, p->profile ? p->profile : "-", p->asked,
                p->answered, p->failed_over, p->outstanding, rx_state_of(epc_str_c(p->host)));
        if (rx_peer_held(p))
            fprintf(out, " avoided=%s for_ms=%" PRIu64, hold_name[p->hold], p->hold_until - now);
        fprintf(out, "\n");
    }
    rx_unlock();
}

/* ---- how they fare ---------------------------------------------------------------------------------- */

bool rx_peer_held(const struct rx_peer *p)
{
    return p->hold != RX_FREE && epc_now_ms() < p->hold_until;
}

bool rx_peer_usable(const struct rx_peer *p)
{
    return p->open && !(p->hold == RX_BUSY && rx_peer_held(p));
}

/* Twice as long each time that the peer has not changed when its time is over. */
static void hold(struct rx_peer *p, enum rx_hold why)
{
    if (rx_peer_held(p))
        return; /* found out by a request that was on its way already */
    uint64_t ms = (uint64_t)FIRST_HOLD_MS << (p->hold_level < 6 ? p->hold_level : 6);
    if (ms > RX_MAX_HOLD_MS)
        ms = RX_MAX_HOLD_MS;
    p->hold_level++;
    p->hold = why;
    p->hold_until = epc_now_ms() + ms;
    epc_log(EPC_LOG_WARN, "rx", "event=peer-avoided peer=%s reason=%s for_ms=%" PRIu64, p->host,
            hold_name[why], ms);
}

void rx_peer_silent(struct rx_peer *p)
{
    epc_count(EPC_C_RX_PEER_SILENT);
    hold(p, RX_SILENT);
}

void rx_peer_busy(struct rx_peer *p)
{
    epc_count(EPC_C_RX_BUSY);
    hold(p, RX_BUSY);
}

void rx_peer_failing(struct rx_peer *p)
{
    hold(p, RX_FAILING);
}

void rx_peer_heard(struct rx_peer *p, bool well)
{
    p->last_answer_ms = epc_now_ms();
    p->answered++;
    if (p->hold == RX_FREE || !(well || p->hold == RX_SILENT))
        return;
    epc_log(EPC_LOG_INFO, "rx", "event=peer-back peer=%s", p->host);
    p->hold = RX_FREE;
    p->hold_level = 0;
}

/* ---- choosing --------------------------------------------------------------------------------------- */

const char *rx_peer_realm(const struct rx_peer *p)
{
    return p->configured && p->realm[0] ? p->realm : our_realm();
}

/* Lower is better; UINT64_MAX: not this one. Peers that no one configured serve their realm, or relay. */
static uint64_t rank(const struct rx_peer *p)
{
    const char *host = rx.host->cfg->destination_host;
    bool listed = rx.host->cfg->n_peers > 0;
    uint64_t r;
    if (!rx_peer_usable(p))
        return UINT64_MAX;
    if (p->configured)
        r = p->priority;
    else if (!listed && host && host[0] && strcasecmp(host, p->host) == 0)
        r = 0;
    else if (!p->relay && strcasecmp(p->realm, our_realm()) != 0)
        return UINT64_MAX;
    else
        r = (listed ? (uint64_t)1 << 33 : 0) + (p->relay ? 2 : 1);
    return r + (rx_peer_held(p) ? (uint64_t)1 << 40 : 0); /* silent ones only if there is no other */
}

static bool among(struct rx_peer *const *list, size_t n, const struct rx_peer *p)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == p)
            return true;
    return false;
}

static bool same_profile(const char *a, const char *b)
{
    const char *def = rx.host->cfg->profile ? rx.host->cfg->profile : "3gpp";
    return strcmp(a ? a : def, b ? b : def) == 0;
}

/* One of @p n, by lot: equal peers share the sessions. Nothing secret hangs on it. */
static unsigned draw(unsigned n)
{
    t.lot = t.lot * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(t.lot >> 33) % n;
}

struct rx_peer *rx_peer_best(struct rx_peer *const *tried, size_t n_tried, const char *profile,
                             bool any_profile, const char *avoid)
{
    struct rx_peer *best = NULL;
    uint64_t best_rank = UINT64_MAX;
    unsigned equals = 0;
    for (size_t i = 0; i < t.n; i++) {
        struct rx_peer *p = &t.peer[i];
        uint64_t r = rank(p);
        if (r == UINT64_MAX || among(tried, n_tried, p) || strcasecmp(p->host, avoid) == 0 ||
            (!any_profile && !same_profile(p->profile, profile)))
            continue;
        if (r > best_rank)
            continue;
        equals = r == best_rank ? equals + 1 : 1;
        if (!best || r < best_rank || (r == best_rank && draw(equals) == 0)) {
            best = p;
            best_rank = r;
        }
    }
    return best;
}

struct rx_peer *rx_peer_relay(struct rx_peer *const *tried, size_t n_tried)
{
    struct rx_peer *best = NULL;
    uint64_t best_rank = UINT64_MAX;
    for (size_t i = 0; i < t.n; i++) {
        struct rx_peer *p = &t.peer[i];
        uint64_t r = p->relay ? rank(p) : UINT64_MAX;
        if (r < best_rank && !among(tried, n_tried, p)) {
            best = p;
            best_rank = r;
        }
    }
    return best;
}

static void route_bound(const struct rx_assoc *a, struct rx_route *out)
{
    struct rx_peer *direct = rx_peer_find(epc_str_c(a->peer_host));
    struct rx_peer *via = rx_peer_find(epc_str_c(a->via)), *hop = NULL;
    if (direct && direct->open)
        hop = direct;
    else if (via && via->open && via->relay)
        hop = via;
    else
        hop = rx_peer_relay(NULL, 0);
    copy_name(out->host, a->peer_host);
    copy_name(out->realm, a->peer_realm ? a->peer_realm : our_realm());
    copy_name(out->hop, hop ? hop->host : "");
    /* The profile is that of who reads it: the PCRF's if it is listed, else the agent's. */
    out->profile = direct && direct->configured ? direct->profile : hop ? hop->profile : NULL;
}

/* A session that nobody has granted yet keeps the peer that was chosen first: its form is for that one. */
static void route_free(struct rx_assoc *a, struct rx_route *out)
{
    const struct epc_cfg_policy *cfg = rx.host->cfg;
    const char *host = cfg->n_peers == 0 && cfg->destination_host ? cfg->destination_host : "";
    struct rx_peer *hop = rx_redirected(our_realm(), host);
    bool redirected = hop != NULL;
    if (!hop && a->via[0])
        hop = rx_peer_find(epc_str_c(a->via));
    if (!redirected && (!hop || !rx_peer_usable(hop) || rx_peer_held(hop)))
        hop = rx_peer_best(NULL, 0, NULL, true, "");
    copy_name(a->via, hop ? hop->host : "");
    copy_name(out->hop, hop ? hop->host : "");
    copy_name(out->realm, hop ? rx_peer_realm(hop) : our_realm());
    copy_name(out->host, redirected ? hop->host : host);
    out->profile = hop ? hop->profile : NULL;
}

void rx_route(struct rx_assoc *a, struct rx_route *out)
{
    *out = (struct rx_route){0};
    rx_lock();
    if (a->peer_host)
        route_bound(a, out);
    else
        route_free(a, out);
    rx_unlock();
}

/* ---- redirects -------------------------------------------------------------------------------------- */

/* Redirect-Host-Usage (RFC 6733 6.13). ALL_SESSION needs no entry: the session is bound to whom the
 * redirected request has found. ALL_USER does not apply: Rx requests bear no User-Name. */
enum { ALL_REALM = 2, REALM_AND_APPLICATION = 3, ALL_APPLICATION = 4, ALL_HOST = 5 };

void rx_redirect_keep(struct rx_peer *to, uint32_t usage, uint32_t max_cache_s, const char *realm,
                      const char *host)
{
    bool by_host = usage == ALL_HOST;
    if (max_cache_s == 0 || (by_host ? !host[0] : usage < ALL_REALM || usage > ALL_APPLICATION))
        return;
    struct redirect *r = NULL;
    for (size_t i = 0; i < MAX_REDIRECTS && !r; i++)
        if (t.redirect[i].to && strcasecmp(t.redirect[i].realm, realm) == 0 &&
            strcasecmp(t.redirect[i].host, by_host ? host : "") == 0)
            r = &t.redirect[i];
    if (!r)
        r = &t.redirect[t.next_redirect++ % MAX_REDIRECTS];
    if (max_cache_s > MAX_REDIRECT_S)
        max_cache_s = MAX_REDIRECT_S;
    copy_name(r->realm, realm);
    copy_name(r->host, by_host ? host : "");
    r->to = to;
    r->until = epc_now_ms() + (uint64_t)max_cache_s * 1000;
}

struct rx_peer *rx_redirected(const char *realm, const char *host)
{
    uint64_t now = epc_now_ms();
    for (size_t i = 0; i < MAX_REDIRECTS; i++) {
        struct redirect *r = &t.redirect[i];
        if (!r->to || strcasecmp(r->realm, realm) != 0 || (r->host[0] && strcasecmp(r->host, host) != 0))
            continue;
        if (r->until <= now)
            r->to = NULL;
        else if (rx_peer_usable(r->to) && !rx_peer_held(r->to))
            return r->to;
    }
    return NULL;
}

/* ---- Origin-State-Id -------------------------------------------------------------------------------- */

static struct node *node_of(struct epc_str host)
{
    for (size_t i = 0; i < t.n_nodes; i++)
        if (epc_str_ieqc(host, t.node[i].host))
            return &t.node[i];
    return NULL;
}

uint32_t rx_state_of(struct epc_str host)
{
    struct node *n = node_of(host);
    return n ? n->state : 0;
}

bool rx_state_note(struct epc_str host, uint32_t id)
{
    struct node *n = node_of(host);
    if (host.n == 0 || host.n >= RX_NAME_MAX || id == 0)
        return false;
    if (!n) { /* beyond the table's size the oldest is forgotten: a restart of it is then not seen */
        n = &t.node[t.next_node++ % MAX_NODES];
        if (t.n_nodes < MAX_NODES)
            t.n_nodes++;
        snprintf(n->host, sizeof n->host, "%.*s", EPC_STR_ARG(host));
        n->state = id;
        return false;
    }
    bool restarted = id > n->state;
    if (restarted)
        n->state = id;
    return restarted;
}

struct loss {
    char host[RX_NAME_MAX];
    uint32_t state;
};

void rx_peer_tell_lost(const char *host, uint32_t id)
{
    epc_count(EPC_C_RX_PEER_RESTARTS);
    epc_log(EPC_LOG_WARN, "rx", "event=pcrf-restarted host=%s origin_state_id=%" PRIu32
            " hint=\"its Rx sessions are lost; each opens anew with its next request\"", host, id);
    rx_held_lost(host, id);
    for (size_t i = 0; i < RX_MAX_SHARDS; i++) {
        struct rx_shard *rs = atomic_load(&rx.shard[i]);
        struct rx_tx *tx = rs ? calloc(1, sizeof *tx) : NULL;
        if (!tx)
            continue;
        tx->rs = rs;
        tx->event = RX_EV_LOST;
        tx->seq = id;
        copy_name(tx->hop, host);
        rx_deliver(tx);
    }
}

struct lost {
    const char *host;
    uint32_t state;
    uint64_t token[64];
    size_t n;
};

static void find_lost(struct epc_hnode *node, void *arg)
{
    struct rx_assoc *a = EPC_CONTAINER(node, struct rx_assoc, node);
    struct lost *l = arg;
    if (l->n < EPC_ARRAY_LEN(l->token) && a->state == RX_OPEN && a->peer_host && a->peer_state &&
        a->peer_state < l->state && strcasecmp(a->peer_host, l->host) == 0)
        l->token[l->n++] = a->token;
}

/* Some at a time: a callback may open and close sessions, which no walk through the table bears. */
void rx_peer_lost(struct rx_shard *rs, const char *host, uint32_t state)
{
    struct lost l;
    do {
        l = (struct lost){.host = host, .state = state};
        epc_hash_each(&rs->assocs, find_lost, &l);
        for (size_t i = 0; i < l.n; i++) {
            struct rx_assoc *a = rx_assoc_find(rs, l.token[i]);
            if (a && a->state == RX_OPEN) {
                epc_count(EPC_C_RX_SESSIONS_LOST);
                rx_assoc_event(a, RX_EV_LOST, NULL);
            }
        }
    } while (l.n > 0);
}

static void set_text(char **to, struct epc_str v)
{
    if (*to && epc_str_eqc(v, *to))
        return;
    char *copy = epc_str_dup(v);
    if (copy) {
        free(*to);
        *to = copy;
    }
}

void rx_peer_answered(struct rx_assoc *a, const struct rx_tx *tx)
{
    struct epc_str host, realm;
    uint32_t state = 0, code = 0;
    bool lost = false;
    if (!tx->msg || !rx_get_octets(tx->msg, RX_ORIGIN_HOST, &host) || host.n >= RX_NAME_MAX)
        return;
    (void)rx_get_u32(tx->msg, RX_ORIGIN_STATE_ID, &state);
    rx_lock();
    lost = rx_state_note(host, state);
    if (!state)
        state = rx_state_of(host);
    rx_unlock();
    if (tx->command == RX_CC_AA && rx_get_u32(tx->msg, RX_RESULT_CODE, &code) && code / 1000 == 2) {
        /* Another PCRF may have granted an update: the session is there from now on. */
        set_text(&a->peer_host, host);
        if (rx_get_octets(tx->msg, RX_ORIGIN_REALM, &realm))
            set_text(&a->peer_realm, realm);
        memcpy(a->via, tx->hop, sizeof a->via);
        a->peer_state = state;
    }
    if (lost) {
        char name[RX_NAME_MAX];
        snprintf(name, sizeof name, "%.*s", EPC_STR_ARG(host));
        rx_peer_tell_lost(name, state);
    }
}
