/* The AF signalling session of a registration: the policy function watches the bearer that carries the
 * WIC's signalling, and says when it is lost. It never decides about the registration itself.
 * Spec: TS 29.214 4.4.5, 4.4.5a; TS 24.229 5.2.6.4.3, 5.2.6.4.7. Thread: the shard's. */
#include "session/session_priv.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct signalling {
    struct epc_hnode node;
    struct epc_sessions *ss;
    uint64_t flow_id;
    struct epc_policy_session *policy;
    struct epc_addr ue;
    char *access_info;
    bool lost; /* until the WIC is heard again */
};

bool signalling_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, struct signalling, node)->flow_id == *(const uint64_t *)key;
}

static struct signalling *find(struct epc_sessions *ss, uint64_t flow_id)
{
    struct epc_hnode *n = epc_hash_find(&ss->signalling, epc_hash_u64(flow_id), &flow_id);
    return n ? EPC_CONTAINER(n, struct signalling, node) : NULL;
}

static void free_it(void *obj)
{
    struct signalling *g = obj;
    free(g->access_info);
    free(g);
}

static void end(struct signalling *g)
{
    if (g->policy)
        g->ss->policy->close(g->policy);
    g->policy = NULL;
    epc_hash_del(&g->ss->signalling, &g->node);
    epc_shard_doom(g->ss->shard, free_it, g); /* it may end in its own callback */
}

/* ---- what the policy function says ----------------------------------------------------------------- */

static void keep_access(struct signalling *g, const struct epc_policy_access *a)
{
    char *text = a && a->access_info[0] ? strdup(a->access_info) : NULL;
    if (!text)
        return;
    free(g->access_info);
    g->access_info = text;
}

static void set_lost(struct signalling *g, bool lost)
{
    if (g->lost == lost)
        return;
    g->lost = lost;
    if (lost)
        epc_count(EPC_C_RX_SIGNALLING_LOST);
    epc_log(EPC_LOG_INFO, "session", "event=signalling-%s flow=%llx", lost ? "lost" : "back",
            (unsigned long long)g->flow_id);
}

static void ask(struct signalling *g);

static void on_event(void *arg, const struct epc_policy_event *ev)
{
    struct signalling *g = arg;
    keep_access(g, ev->access);
    switch (ev->kind) {
    case EPC_PEV_ALL_MEDIA_LOST:
    case EPC_PEV_MEDIA_LOST:
        set_lost(g, true);
        break;
    case EPC_PEV_RECOVERED:
        set_lost(g, false);
        break;
    case EPC_PEV_ABORT: /* nothing is watched any more; the registration goes on */
        end(g);
        break;
    case EPC_PEV_LOST_SESSION:
        ask(g);
        break;
    case EPC_PEV_ACCESS_INFO:
    case EPC_PEV_CHARGING:
    case EPC_PEV_RESOURCES:
    case EPC_PEV_OUT_OF_CREDIT:
    case EPC_PEV_CREDIT_BACK:
    case EPC_PEV_LIMITED_PCC:
        break;
    }
}

static void on_done(void *arg, const struct epc_policy_result *r)
{
    struct signalling *g = arg;
    if (r->outcome == EPC_POLICY_GRANTED)
        return;
    epc_count(EPC_C_RX_SIGNALLING_REFUSED);
    epc_log(EPC_LOG_WARN, "session", "event=signalling-not-granted flow=%llx code=\"%s\"",
            (unsigned long long)g->flow_id, epc_policy_code_name(r));
    end(g); /* asked again with the next REGISTER */
}

/* ---- asking -------------------------------------------------------------------------------------------- */

static const struct epc_addr *own_address(const struct epc_sessions *ss, const struct epc_addr *ue)
{
    const struct epc_cfg_wss *w = &ss->cfg->wss;
    for (size_t i = 0; i < w->n_listen; i++) {
        char ip[EPC_ADDR_LEN];
        const struct epc_addr *a = &w->listen[i];
        epc_addr_ip(a, ip);
        if (a->ss.ss_family == ue->ss.ss_family && strcmp(ip, "0.0.0.0") != 0 && strcmp(ip, "::") != 0)
            return a;
    }
    return NULL;
}

/* As source of a flow, a UE with IPv6 is its prefix of 64 (TS 29.213 6.2). */
static void source_of(const struct epc_addr *ue, char out[EPC_ADDR_LEN + 4])
{
    struct epc_addr net = *ue;
    char ip[EPC_ADDR_LEN];
    bool v6 = net.ss.ss_family == AF_INET6;
    if (v6)
        memset(&((struct sockaddr_in6 *)(void *)&net.ss)->sin6_addr.s6_addr[8], 0, 8);
    snprintf(out, EPC_ADDR_LEN + 4, "%s%s", epc_addr_ip(&net, ip), v6 ? "/64" : "");
}

/* The WSS connection itself, where the operator wants its flows provisioned (4.4.5a). The UE's port is
 * left open: the filter shall fit the next connection, too, and TCP allows that (5.3.8). */
static void put_flows(const struct signalling *g, struct epc_service_info *info)
{
    const struct epc_addr *own = own_address(g->ss, &g->ue);
    char ue[EPC_ADDR_LEN], from[EPC_ADDR_LEN + 4], node[EPC_ADDR_LEN];
    struct epc_media_component *c = &info->component[0];
    struct epc_media_flow *f = &c->flow[0];
    if (!own)
        return;
    epc_addr_ip(&g->ue, ue);
    epc_addr_ip(own, node);
    source_of(&g->ue, from);
    snprintf(f->uplink, sizeof f->uplink, "permit in 6 from %.50s to %.45s %u", from, node, epc_addr_port(own));
    snprintf(f->downlink, sizeof f->downlink, "permit out 6 from %s %u to %s", node, epc_addr_port(own), ue);
    c->status = EPC_FLOW_ENABLED;
}

static void ask(struct signalling *g)
{
    struct epc_service_info *info = NULL;
    enum epc_err err = epc_policy_signalling_info(&info);
    if (err == EPC_OK && g->ss->cfg->policy.signalling_flows)
        put_flows(g, info);
    if (err == EPC_OK)
        err = g->ss->policy->request(g->policy, &info, on_done, g);
    epc_service_info_free(info);
    if (err != EPC_OK)
        epc_log(EPC_LOG_WARN, "session", "event=signalling-not-asked flow=%llx why=\"%s\"",
                (unsigned long long)g->flow_id, epc_err_name(err));
}

static void begin(struct epc_sessions *ss, const struct epc_binding *b, const struct epc_addr *ue)
{
    struct signalling *g = calloc(1, sizeof *g);
    if (!g)
        return;
    *g = (struct signalling){.ss = ss, .flow_id = b->flow_id, .ue = *ue};
    struct epc_policy_open o = {.shard = ss->shard,
                                .impu = b->impus[0],
                                .impi = b->impi,
                                .ue = ue,
                                .reservation_priority = -1,
                                .signalling = true,
                                .want_access_info = ss->cfg->policy.access_info,
                                .on_event = on_event,
                                .arg = g};
    if (ss->policy->open(ss->policy, &o, &g->policy) != EPC_OK) {
        free(g);
        return;
    }
    epc_hash_add(&ss->signalling, &g->node, epc_hash_u64(g->flow_id));
    ask(g);
}

void epc_sessions_registered(struct epc_sessions *ss, const struct epc_binding *b)
{
    struct epc_flow *flow = ss->wss ? epc_wss_flow(ss->wss, b->flow_id) : NULL;
    if (!ss->policy || !ss->cfg->policy.signalling_session || !flow || find(ss, b->flow_id))
        return;
    const struct epc_addr *ue = epc_flow_peer(flow);
    if (epc_policy_mode_for(&ss->cfg->policy, ue) != EPC_POLICY_OFF)
        begin(ss, b, ue);
}

/* ---- the registration's life ------------------------------------------------------------------------- */

void signalling_end(struct epc_sessions *ss, uint64_t flow_id)
{
    struct signalling *g = find(ss, flow_id);
    if (g)
        end(g);
}

void signalling_moved(struct epc_sessions *ss, uint64_t old_flow_id, uint64_t new_flow_id)
{
    struct signalling *g = find(ss, old_flow_id);
    struct epc_flow *flow = ss->wss ? epc_wss_flow(ss->wss, new_flow_id) : NULL;
    if (!g)
        return;
    if (!flow || find(ss, new_flow_id)) {
        end(g);
        return;
    }
    epc_hash_del(&ss->signalling, &g->node);
    g->flow_id = new_flow_id;
    epc_hash_add(&ss->signalling, &g->node, epc_hash_u64(g->flow_id));
    const struct epc_addr *ue = epc_flow_peer(flow);
    set_lost(g, false);
    if (epc_addr_same_ip(&g->ue, ue))
        return;
    g->ue = *ue;
    if (ss->policy->rebind(g->policy, ue) == EPC_OK)
        ask(g);
    else
        end(g);
}

void signalling_heard(struct epc_sessions *ss, uint64_t flow_id)
{
    struct signalling *g = find(ss, flow_id);
    if (g)
        set_lost(g, false);
}

bool signalling_lost(struct epc_sessions *ss, uint64_t flow_id)
{
    const struct signalling *g = find(ss, flow_id);
    return g && g->lost;
}

const char *signalling_access_info(struct epc_sessions *ss, uint64_t flow_id)
{
    const struct signalling *g = find(ss, flow_id);
    return g ? g->access_info : NULL;
}

void epc_sessions_heard(struct epc_sessions *ss, uint64_t flow_id)
{
    signalling_heard(ss, flow_id);
}

const char *epc_sessions_access_info(struct epc_sessions *ss, uint64_t flow_id)
{
    return signalling_access_info(ss, flow_id);
}

static void end_one(struct epc_hnode *node, void *arg)
{
    (void)arg;
    end(EPC_CONTAINER(node, struct signalling, node));
}

void signalling_end_all(struct epc_sessions *ss)
{
    epc_hash_each(&ss->signalling, end_one, NULL);
}
