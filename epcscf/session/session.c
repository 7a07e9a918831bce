/* Calls: tables, life, and the queue that works a call's messages off in order. */
#include "session/session_priv.h"

#include <stdlib.h>
#include <string.h>

struct call_key {
    uint64_t flow_id;
    const char *call_id, *from_tag, *to_tag;
    enum epc_leg from;
    bool live; /* not a call that is ending */
};

static uint64_t call_hash(uint64_t flow_id, const char *call_id)
{
    return epc_hash_bytes(call_id, strlen(call_id)) ^ epc_hash_u64(flow_id);
}

/* The caller's tag is in From of what the caller's side sends and in To of what the other side
 * sends. That tells apart the two calls of a WIC that calls itself, too. */
static bool call_eq(const struct epc_hnode *node, const void *key)
{
    const struct epc_session *s = EPC_CONTAINER(node, struct epc_session, node);
    const struct call_key *k = key;
    const char *tag = k->from == caller_leg(s) ? k->from_tag : k->to_tag;
    return s->flow_id == k->flow_id && tag && !(k->live && s->state == CALL_ENDING) && strcmp(s->caller_tag, tag) == 0 &&
           strcmp(s->call_id, k->call_id) == 0;
}

static bool flow_eq(const struct epc_hnode *node, const void *key)
{
    return EPC_CONTAINER(node, struct flow_calls, node)->flow_id == *(const uint64_t *)key;
}

enum epc_err epc_sessions_create(struct epc_sessions **out, const struct epc_sessions_opts *o)
{
    if (!out || !o || !o->shard || !o->sip || !o->reg || !o->gw || !o->cfg)
        return EPC_EINVAL;
    struct epc_sessions *ss = calloc(1, sizeof *ss);
    if (!ss)
        return EPC_ENOMEM;
    ss->shard = o->shard;
    ss->sip = o->sip;
    ss->reg = o->reg;
    ss->gw = o->gw;
    ss->policy = o->policy;
    ss->cfg = o->cfg;
    ss->iw_policy = (struct epc_iw_policy){
        .audio_codecs = (const char *const *)o->cfg->media.audio_codecs,
        .n_audio_codecs = o->cfg->media.n_audio_codecs,
        .video_codecs = (const char *const *)o->cfg->media.video_codecs,
        .n_video_codecs = o->cfg->media.n_video_codecs,
        .audio_bw_bps = o->cfg->policy.audio_bw_bps,
        .video_bw_bps = o->cfg->policy.video_bw_bps,
    };
    enum epc_err err = epc_hash_init(&ss->calls, call_eq);
    if (err == EPC_OK)
        err = epc_hash_init(&ss->flows, flow_eq);
    if (err == EPC_OK)
        err = epc_hash_init(&ss->signalling, signalling_eq);
    if (err == EPC_OK)
        err = epc_hash_init(&ss->loose_flows, loose_eq);
    if (err != EPC_OK) {
        epc_sessions_destroy(ss);
        return err;
    }
    *out = ss;
    return EPC_OK;
}

void epc_sessions_set_wss(struct epc_sessions *ss, struct epc_wss *w)
{
    ss->wss = w;
}

struct epc_session *session_find(struct epc_sessions *ss, uint64_t flow_id, enum epc_leg from,
                                 const sip_t *sip)
{
    if (!sip->sip_call_id || !sip->sip_from || !sip->sip_to)
        return NULL;
    struct call_key k = {flow_id, sip->sip_call_id->i_id, sip->sip_from->a_tag, sip->sip_to->a_tag,
                         from,    true};
    uint64_t hash = call_hash(flow_id, k.call_id);
    struct epc_hnode *n = epc_hash_find(&ss->calls, hash, &k);
    if (!n) {
        k.live = false;
        n = epc_hash_find(&ss->calls, hash, &k);
    }
    return n ? EPC_CONTAINER(n, struct epc_session, node) : NULL;
}

static bool link_to_flow(struct epc_session *s)
{
    struct epc_sessions *ss = s->ss;
    struct epc_hnode *n = epc_hash_find(&ss->flows, epc_hash_u64(s->flow_id), &s->flow_id);
    struct flow_calls *f = n ? EPC_CONTAINER(n, struct flow_calls, node) : NULL;
    if (!f) {
        f = calloc(1, sizeof *f);
        if (!f)
            return false;
        f->flow_id = s->flow_id;
        epc_hash_add(&ss->flows, &f->node, epc_hash_u64(s->flow_id));
    }
    s->flow_next = f->first;
    s->flow_prev = &f->first;
    if (f->first)
        f->first->flow_prev = &s->flow_next;
    f->first = s;
    return true;
}

static void unlink_from_flow(struct epc_session *s)
{
    if (!s->flow_prev)
        return;
    *s->flow_prev = s->flow_next;
    if (s->flow_next)
        s->flow_next->flow_prev = s->flow_prev;
    struct epc_hnode *n = epc_hash_find(&s->ss->flows, epc_hash_u64(s->flow_id), &s->flow_id);
    struct flow_calls *f = n ? EPC_CONTAINER(n, struct flow_calls, node) : NULL;
    if (f && !f->first) {
        epc_hash_del(&s->ss->flows, &f->node);
        free(f);
    }
    s->flow_prev = NULL;
}

bool session_to_flow(struct epc_session *s, uint64_t flow_id)
{
    epc_hash_del(&s->ss->calls, &s->node);
    unlink_from_flow(s);
    s->flow_id = flow_id;
    epc_hash_add(&s->ss->calls, &s->node, call_hash(s->flow_id, s->call_id));
    return link_to_flow(s);
}

static void session_free(void *obj)
{
    struct epc_session *s = obj;
    dialog_free(s);
    epc_iw_free(s->iw);
    free(s->icid);
    free(s->impu);
    free(s->access_info);
    free(s->charging_info);
    free(s->requested);
    free(s->icsi);
    free(s->mps);
    free(s->first_tag);
    free(s->called_party);
    free(s->call_id);
    free(s->caller_tag);
    free(s->ack_text);
    free(s);
}

struct epc_session *session_new(struct epc_sessions *ss, struct epc_sip_in *in)
{
    const sip_t *sip = epc_sip_in_sip(in);
    struct epc_session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->ss = ss;
    s->flow_id = epc_sip_in_flow(in);
    s->originating = epc_sip_in_leg(in) == EPC_LEG_WIC;
    s->started_ms = epc_now_ms();
    s->queue_tail = &s->queue;
    s->call_id = strdup(sip->sip_call_id->i_id);
    s->caller_tag = strdup(sip->sip_from->a_tag ? sip->sip_from->a_tag : "");
    s->requested = url_as_string(NULL, sip->sip_request->rq_url);
    s->policy_mode = ss->cfg->policy.mode;
    struct epc_gw_caps caps;
    epc_gw_caps(ss->gw, &caps); /* as it is now: gateways come and go */
    ss->iw_policy.gateway_sctp = caps.sctp;
    ss->iw_policy.transcodes = !caps.transcodes ? 0 : caps.audio_codecs ? caps.audio_codecs : UINT32_MAX;
    if (!s->call_id || !s->caller_tag || !s->requested || !dialog_from_invite(s, sip) ||
        epc_iw_create(&s->iw, &ss->iw_policy) != EPC_OK || !link_to_flow(s)) {
        session_free(s);
        return NULL;
    }
    epc_hash_add(&ss->calls, &s->node, call_hash(s->flow_id, s->call_id));
    epc_count(EPC_C_SESSIONS_STARTED);
    epc_count_add(EPC_C_SESSIONS, 1);
    return s;
}

/* After the BYE's answer nothing is left to do for INVITEs that were answered and acknowledged: a repeated 2xx
 * is for nobody. */
static void end_answered(struct epc_session *s)
{
    for (struct transfer *x = s->transfers; x; x = x->next)
        if (!transfer_acked(x))
            return;
    while (s->transfers)
        transfer_end(s->transfers);
}

void session_check_end(struct epc_session *s)
{
    if (s->state == CALL_ENDING && !s->active && !s->queue && !s->running && !s->policy && !s->gw && !s->bye_due &&
        !s->freeing) {
        end_answered(s);
        if (s->transfers) /* what only waits for repeated and forked 2xx needs no media */
            epc_iw_rest(s->iw);
    }
    if (s->state != CALL_ENDING || s->transfers || s->active || s->queue || s->running || s->freeing ||
        s->bye_due)
        return;
    s->freeing = true;
    session_set_held(s, false);
    epc_timer_stop(s->ss->shard, &s->grace);
    epc_hash_del(&s->ss->calls, &s->node);
    unlink_from_flow(s);
    epc_shard_doom(s->ss->shard, session_free, s);
}

const char *session_log(const struct epc_session *s, char out[384])
{
    char id[EPC_LOG_ID_LEN];
    snprintf(out, 384, "call=%.128s user=%s side=%s state=%s", s->call_id,
             epc_log_id(epc_str_c(s->impu), id), s->originating ? "originating" : "terminating",
             call_state_name(s->state));
    return out;
}

/* ---- the queue ------------------------------------------------------------------------------- */

void session_queue(struct epc_session *s, enum job_kind kind, struct transfer *x, msg_t *msg,
                   int status, enum epc_leg from)
{
    struct job *j = calloc(1, sizeof *j);
    if (!j) {
        /* The peer's own retransmission or time-out is what is left. */
        epc_log(EPC_LOG_ERROR, "session", "event=out-of-memory call=%.128s", s->call_id);
        if (msg)
            msg_destroy(msg);
        return;
    }
    *j = (struct job){.kind = kind, .x = x, .msg = msg, .status = status, .from = from};
    if (x)
        x->jobs++;
    *s->queue_tail = j;
    s->queue_tail = &j->next;
    session_run(s);
}

static void job_free(struct job *j)
{
    if (j->msg)
        msg_destroy(j->msg);
    free(j->answer);
    if (j->x) {
        j->x->jobs--;
        transfer_check_end(j->x);
    }
    free(j);
}

void session_job_done(struct epc_session *s)
{
    struct job *j = s->active;
    if (!j)
        return;
    s->active = NULL;
    job_free(j);
    session_run(s);
}

void session_run(struct epc_session *s)
{
    if (s->running)
        return;
    s->running = true;
    while (!s->active && s->queue) {
        struct job *j = s->queue;
        s->queue = j->next;
        if (!s->queue)
            s->queue_tail = &s->queue;
        s->active = j;
        switch (j->kind) {
        case JOB_REQUEST:
            job_request(s, j);
            break;
        case JOB_RESPONSE:
            job_response(s, j);
            break;
        case JOB_ACK:
            job_ack(s, j);
            break;
        case JOB_POLICY:
            media_policy_refresh(s, j);
            break;
        }
    }
    s->running = false;
    session_check_end(s);
}

/* A call that ends by itself drops what was queued; a 2xx among it has set up the far side, which
 * must be told that nobody is there. */
static void drop_job(struct epc_session *s, struct job *j)
{
    if (j->kind == JOB_RESPONSE && j->x && j->x->method == sip_method_invite && j->msg &&
        j->status / 100 == 2 && !j->x->finished)
        dialog_ack_and_bye(s, j->from, sip_object(j->msg), sip_object(j->msg)->sip_cseq->cs_seq,
                           j->x->initial, "SIP;cause=503");
    job_free(j);
}

void session_drop_jobs(struct epc_session *s)
{
    struct job *j = s->active;
    s->active = NULL;
    if (j)
        drop_job(s, j);
    while ((j = s->queue)) {
        s->queue = j->next;
        if (!s->queue)
            s->queue_tail = &s->queue;
        drop_job(s, j);
    }
}

/* ---- ends that come from outside ---------------------------------------------------------------- */

static struct flow_calls *calls_of(struct epc_sessions *ss, uint64_t flow_id)
{
    struct epc_hnode *n = epc_hash_find(&ss->flows, epc_hash_u64(flow_id), &flow_id);
    return n ? EPC_CONTAINER(n, struct flow_calls, node) : NULL;
}

void sessions_of_flow(struct epc_sessions *ss, uint64_t flow_id,
                      void (*fn)(struct epc_session *s, void *arg), void *arg)
{
    struct flow_calls *f = calls_of(ss, flow_id);
    struct epc_session *next;
    /* A call unlinks itself, and the last one frees the list's head: hold on to the next call only. */
    for (struct epc_session *s = f ? f->first : NULL; s; s = next) {
        next = s->flow_next;
        fn(s, arg);
    }
}

bool epc_sessions_busy(struct epc_sessions *ss, uint64_t flow_id)
{
    const struct flow_calls *f = calls_of(ss, flow_id);
    const struct epc_session *s = f ? f->first : NULL;
    while (s && s->state == CALL_ENDING)
        s = s->flow_next;
    return s != NULL;
}

struct release_all {
    const struct epc_cause *cause;
    const char *reason;
};

static void release_one(struct epc_hnode *node, void *arg)
{
    const struct release_all *r = arg;
    session_release(EPC_CONTAINER(node, struct epc_session, node), RELEASE_BOTH, r->cause, r->reason);
}

void epc_sessions_release_all(struct epc_sessions *ss, const char *why)
{
    struct epc_cause cause;
    char reason[192];
    epc_cause_set(&cause, 503, "TS 24.229 5.2.8", "%s", why);
    snprintf(reason, sizeof reason, "SIP;cause=503;text=\"%.128s\"", why);
    epc_hash_each(&ss->calls, release_one, &(struct release_all){&cause, reason});
    signalling_end_all(ss);
}

static void destroy_one(struct epc_hnode *node, void *arg)
{
    struct epc_session *s = EPC_CONTAINER(node, struct epc_session, node);
    (void)arg;
    if (s->state != CALL_ENDING)
        call_event(s, CALL_EV_RELEASE);
    s->bye_due = false;
    session_drop_jobs(s);
    while (s->transfers)
        transfer_end(s->transfers);
    session_check_end(s);
}

static void free_flow(struct epc_hnode *node, void *arg)
{
    (void)arg;
    free(EPC_CONTAINER(node, struct flow_calls, node));
}

void epc_sessions_destroy(struct epc_sessions *ss)
{
    if (!ss)
        return;
    if (ss->calls.slot)
        epc_hash_each(&ss->calls, destroy_one, NULL);
    if (ss->signalling.slot)
        signalling_end_all(ss);
    while (ss->loose)
        transfer_end(ss->loose);
    if (ss->loose_flows.slot)
        loose_end_all(ss);
    if (ss->flows.slot)
        epc_hash_each(&ss->flows, free_flow, NULL);
    epc_hash_free(&ss->calls);
    epc_hash_free(&ss->flows);
    epc_hash_free(&ss->signalling);
    epc_hash_free(&ss->loose_flows);
    free(ss);
}

/* ---- views ------------------------------------------------------------------------------------------ */

struct each {
    void (*fn)(const struct epc_session_view *v, void *arg);
    void *arg;
};

static void view_one(struct epc_hnode *node, void *arg)
{
    const struct epc_session *s = EPC_CONTAINER(node, struct epc_session, node);
    const struct each *e = arg;
    e->fn(&(struct epc_session_view){.call_id = s->call_id,
                                     .impu = s->impu ? s->impu : "",
                                     .state = s->held ? "held" : call_state_name(s->state),
                                     .originating = s->originating,
                                     .flow_id = s->flow_id,
                                     .age_ms = epc_now_ms() - s->started_ms},
          e->arg);
}

void epc_sessions_each(struct epc_sessions *ss, void (*fn)(const struct epc_session_view *v, void *arg),
                       void *arg)
{
    epc_hash_each(&ss->calls, view_one, &(struct each){fn, arg});
}
