/* Requests that belong to no call: dialogs of SUBSCRIBE and REFER, whose route set is kept so that the
 * WIC's word for it need not be taken (TS 24.229 5.2.6.3.5, RFC 6665 4.1); and what single requests must
 * look like to pass (RFC 3515, 3891, 8840). */
#include "session/session_priv.h"

#include <sofia-sip/sip_header.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_OF_FLOW = 64,    /* dialogs kept of one connection: beyond it the oldest is forgotten */
    DEFAULT_S = 3600,    /* of a subscription that names no time */
    AFTERWARDS_S = 64,   /* a last NOTIFY may be on its way */
};

/* One dialog, seen from the WIC. */
struct loose {
    struct loose *next;
    struct loose_flow *flow;
    char *call_id, *wic_tag, *core_tag;
    char **routes;
    char *icid;
    struct epc_timer end;
};

struct loose_flow {
    struct epc_hnode node;
    struct epc_sessions *ss;
    uint64_t flow_id;
    struct loose *first; /* newest first */
    unsigned n;
};

bool loose_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, struct loose_flow, node)->flow_id == *(const uint64_t *)key;
}

static struct loose_flow *flow_of(const struct epc_sessions *ss, uint64_t flow_id)
{
    struct epc_hnode *n = epc_hash_find(&ss->loose_flows, epc_hash_u64(flow_id), &flow_id);
    return n ? EPC_CONTAINER(n, struct loose_flow, node) : NULL;
}

/* ---- life ---------------------------------------------------------------------------------------- */

static void free_dialog(struct loose *d)
{
    free(d->call_id);
    free(d->wic_tag);
    free(d->core_tag);
    strings_free(d->routes);
    free(d->icid);
    free(d);
}

static void forget(struct loose **at)
{
    struct loose *d = *at;
    struct loose_flow *f = d->flow;
    *at = d->next;
    f->n--;
    epc_timer_stop(f->ss->shard, &d->end);
    epc_count_add(EPC_C_SESSION_LOOSE_DIALOGS, -1);
    free_dialog(d);
    if (f->first)
        return;
    epc_hash_del(&f->ss->loose_flows, &f->node);
    free(f);
}

static void on_end(void *arg)
{
    struct loose *d = arg;
    struct loose **at = &d->flow->first;
    while (*at != d)
        at = &(*at)->next;
    forget(at);
}

static void arm(struct loose *d, uint32_t seconds)
{
    epc_timer_start(d->flow->ss->shard, &d->end, (uint64_t)seconds * 1000, on_end, d);
}

void loose_flow_gone(struct epc_sessions *ss, uint64_t flow_id)
{
    struct loose_flow *f = flow_of(ss, flow_id);
    for (unsigned n = f ? f->n : 0; n; n--) /* the last one takes the flow along */
        forget(&f->first);
}

void loose_flow_moved(struct epc_sessions *ss, uint64_t from, uint64_t to)
{
    struct loose_flow *f = flow_of(ss, from);
    if (!f)
        return;
    loose_flow_gone(ss, to); /* of a connection that is new there are none */
    epc_hash_del(&ss->loose_flows, &f->node);
    f->flow_id = to;
    epc_hash_add(&ss->loose_flows, &f->node, epc_hash_u64(to));
}

static void end_all(struct epc_hnode *node, void *arg)
{
    struct loose_flow *f = EPC_CONTAINER(node, struct loose_flow, node);
    (void)arg;
    for (unsigned n = f->n; n; n--)
        forget(&f->first);
}

void loose_end_all(struct epc_sessions *ss)
{
    epc_hash_each(&ss->loose_flows, end_all, NULL);
}

/* ---- finding and learning --------------------------------------------------------------------------- */

static struct loose *find(const struct epc_sessions *ss, const struct epc_sip_in *in)
{
    const sip_t *sip = epc_sip_in_sip(in);
    bool from_wic = epc_sip_in_leg(in) == EPC_LEG_WIC;
    const char *wic = from_wic ? sip->sip_from->a_tag : sip->sip_to->a_tag;
    const char *core = from_wic ? sip->sip_to->a_tag : sip->sip_from->a_tag;
    struct loose_flow *f = !wic || !core ? NULL : flow_of(ss, epc_sip_in_flow(in));
    struct loose *d = f ? f->first : NULL;
    while (d && (strcmp(d->call_id, sip->sip_call_id->i_id) != 0 || strcmp(d->wic_tag, wic) != 0 ||
                 strcmp(d->core_tag, core) != 0))
        d = d->next;
    return d;
}

char *const *loose_routes(const struct epc_sessions *ss, const struct epc_sip_in *in)
{
    const struct loose *d = find(ss, in);
    return d && d->routes[0] ? d->routes : NULL;
}

const char *loose_icid(const struct epc_sessions *ss, const struct epc_sip_in *in)
{
    const struct loose *d = find(ss, in);
    return d ? d->icid : NULL;
}

static struct loose_flow *make_flow(struct epc_sessions *ss, uint64_t flow_id)
{
    struct loose_flow *f = flow_of(ss, flow_id);
    if (f || !(f = calloc(1, sizeof *f)))
        return f;
    f->ss = ss;
    f->flow_id = flow_id;
    epc_hash_add(&ss->loose_flows, &f->node, epc_hash_u64(flow_id));
    return f;
}

/* From the 2xx, as it came: the route set beyond us. */
static struct loose *learn(struct transfer *x, const sip_t *answer)
{
    const sip_t *asked = epc_sip_in_sip(x->in);
    bool from_wic = x->from == EPC_LEG_WIC;
    struct loose *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->call_id = strdup(asked->sip_call_id->i_id);
    d->wic_tag = strdup(from_wic ? asked->sip_from->a_tag : answer->sip_to->a_tag);
    d->core_tag = strdup(from_wic ? answer->sip_to->a_tag : asked->sip_from->a_tag);
    d->routes = from_wic ? dialog_routes(answer->sip_record_route, true, 2)
                         : dialog_routes(asked->sip_record_route, false, 0);
    d->icid = x->icid ? strdup(x->icid) : NULL;
    if (!d->call_id || !d->wic_tag || !d->core_tag || !d->routes || !(d->flow = make_flow(x->ss, epc_sip_in_flow(x->in)))) {
        free_dialog(d);
        return NULL;
    }
    struct loose **last = &d->flow->first;
    while (d->flow->n >= MAX_OF_FLOW && (*last)->next)
        last = &(*last)->next;
    if (d->flow->n >= MAX_OF_FLOW)
        forget(last);
    d->next = d->flow->first;
    d->flow->first = d;
    d->flow->n++;
    epc_count_add(EPC_C_SESSION_LOOSE_DIALOGS, 1);
    return d;
}

static uint32_t lifetime(msg_t *msg)
{
    uint64_t v;
    struct epc_str s = epc_sip_get(msg, "Expires", 0);
    if (!s.p || epc_str_u64(epc_str_trim(s), 30 * 86400, &v) != EPC_OK)
        v = DEFAULT_S;
    return (uint32_t)v + AFTERWARDS_S;
}

void loose_answered(struct transfer *x, msg_t *msg, int status)
{
    const sip_t *sip = sip_object(msg);
    bool subscribes = x->method == sip_method_subscribe || x->method == sip_method_refer;
    if (x->s || status / 100 != 2 || !sip->sip_to->a_tag)
        return;
    struct loose *d = x->in_dialog ? find(x->ss, x->in) : subscribes ? learn(x, sip) : NULL;
    if (!d)
        return;
    if (subscribes)
        arm(d, lifetime(msg));
    else if (x->method == sip_method_notify &&
             epc_str_starts(epc_str_trim(epc_sip_in_get(x->in, "Subscription-State", 0)), "terminated"))
        arm(d, AFTERWARDS_S);
}

/* ---- what a request must look like -------------------------------------------------------------------- */

/* Refer-To (RFC 3515 2.4.1; that there is one at most, sip/ has seen to), to a place that the other side can reach: a WIC's own Contact
 * (RFC 7118 5.1) leads nowhere in the network. */
static bool refer_ok(const struct transfer *x, struct epc_cause *cause)
{
    char *text = NULL;
    struct epc_str to = epc_sip_in_get(x->in, "Refer-To", 0);
    su_home_t home[1] = {SU_HOME_INIT(home)};
    if (!to.p) {
        epc_cause_set(cause, 400, "RFC 3515 2.4.2", "Missing Refer-To");
        return false;
    }
    const char *open = memchr(to.p, '<', to.n);
    if (open) {
        struct epc_str rest = {open + 1, to.n - (size_t)(open + 1 - to.p)};
        to = epc_str_cut(&rest, '>');
    } else
        to = epc_str_trim(epc_str_cut(&to, ';'));
    text = epc_str_dup(to);
    const url_t *u = text ? url_hdup(home, (const url_t *)(const void *)text) : NULL;
    size_t host = u && u->url_host ? strlen(u->url_host) : 0;
    bool sip = u && (u->url_type == url_sip || u->url_type == url_sips);
    if (!u || u->url_type == url_invalid || (sip && !host))
        epc_cause_set(cause, 400, "RFC 3515 2.1", "Bad Refer-To");
    else if (x->from == EPC_LEG_WIC && sip && host >= 8 && strcasecmp(u->url_host + host - 8, ".invalid") == 0)
        epc_cause_set(cause, 403, "RFC 7118 5.1", "Refer-To leads to no place in the network");
    su_home_deinit(home);
    free(text);
    return cause->sip_status == 0;
}

/* RFC 3891 3: in INVITE alone, and without Join. */
static bool replaces_ok(const struct transfer *x, struct epc_cause *cause)
{
    if (!epc_sip_in_get(x->in, "Replaces", 0).p)
        return true;
    if (x->method == sip_method_invite && !epc_sip_in_get(x->in, "Join", 0).p)
        return true;
    epc_cause_set(cause, 400, "RFC 3891 3", "Replaces out of place");
    return false;
}

bool loose_check(struct transfer *x, struct epc_cause *cause)
{
    if (epc_sip_sdp_encoded(epc_sip_in_sip(x->in))) {
        epc_cause_set(cause, 415, "RFC 3261 21.4.13", "Unsupported Content-Encoding");
        return false;
    }
    if (x->method == sip_method_refer && !refer_ok(x, cause))
        return false;
    return replaces_ok(x, cause);
}

bool loose_trickle(struct epc_sessions *ss, struct epc_sip_in *in)
{
    const sip_t *sip = epc_sip_in_sip(in);
    const sip_content_type_t *ct = sip->sip_content_type;
    if (sip->sip_request->rq_method != sip_method_info)
        return false;
    struct epc_str package = epc_str_trim(epc_sip_in_get(in, "Info-Package", 0));
    if (!epc_str_ieqc(epc_str_trim(epc_str_cut(&package, ';')), "trickle-ice") &&
        !(ct && ct->c_type && strcasecmp(ct->c_type, "application/trickle-ice-sdpfrag") == 0))
        return false;
    epc_count(EPC_C_SESSION_TRICKLES);
    if (ss->cfg->calls.trickle == EPC_TRICKLE_ABSORB)
        epc_sip_in_reply(in, 200, NULL, NULL);
    else
        epc_sip_in_reply(in, 469, "Bad Info Package", "Recv-Info: \r\n");
    epc_sip_in_release(in);
    return true;
}
