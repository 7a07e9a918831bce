#include "seams.h"

#include <stdlib.h>
#include <string.h>

struct seams seam;

/* ---- shard --------------------------------------------------------------------------------------- */

struct doomed {
    struct doomed *next;
    void (*fn)(void *obj);
    void *obj;
};
static struct doomed *doomed;
static struct epc_timer *timers[SEAM_MAX];

void epc_shard_doom(struct epc_shard *sh, void (*fn)(void *obj), void *obj)
{
    (void)sh;
    struct doomed *d = malloc(sizeof *d);
    *d = (struct doomed){doomed, fn, obj};
    doomed = d;
}

void seams_turn(void)
{
    while (doomed) {
        struct doomed *d = doomed;
        doomed = d->next;
        d->fn(d->obj);
        free(d);
    }
}

unsigned epc_shard_index(const struct epc_shard *sh)
{
    (void)sh;
    return 0;
}

void epc_timer_stop(struct epc_shard *sh, struct epc_timer *t)
{
    (void)sh;
    for (int i = 0; i < SEAM_MAX; i++)
        if (timers[i] == t)
            timers[i] = NULL;
}

void epc_timer_start(struct epc_shard *sh, struct epc_timer *t, uint64_t after_ms, epc_timer_fn *fn,
                     void *arg)
{
    epc_timer_stop(sh, t);
    t->fn = fn;
    t->arg = arg;
    t->_at_ms = after_ms;
    for (int i = 0; i < SEAM_MAX; i++)
        if (!timers[i]) {
            timers[i] = t;
            return;
        }
    abort();
}

bool seams_fire_timer(void)
{
    struct epc_timer *first = NULL;
    for (int i = 0; i < SEAM_MAX; i++)
        if (timers[i] && (!first || timers[i]->_at_ms < first->_at_ms))
            first = timers[i];
    if (!first)
        return false;
    epc_timer_stop(NULL, first);
    first->fn(first->arg);
    return true;
}

uint64_t seam_timer_after(const char *which)
{
    uint64_t longest = 0;
    (void)which;
    for (int i = 0; i < SEAM_MAX; i++)
        if (timers[i] && timers[i]->_at_ms != 185000 && timers[i]->_at_ms > longest)
            longest = timers[i]->_at_ms;
    return longest;
}

/* ---- sip: transactions ------------------------------------------------------------------------------ */

struct epc_sip_in *seam_in(enum epc_leg leg, uint64_t flow, const char *text)
{
    struct epc_sip_in *in = calloc(1, sizeof *in);
    in->msg = epc_sip_parse(text, strlen(text));
    if (!in->msg)
        abort();
    in->leg = leg;
    in->flow = flow;
    return in;
}

void seam_in_free(struct epc_sip_in *in)
{
    free(in->refusal_warning);
    free(in->reply_sdp);
    free(in->refusal_sdp);
    for (int i = 0; i < in->n_answers; i++)
        if (in->answer[i])
            msg_destroy(in->answer[i]);
    msg_destroy(in->msg);
    free(in);
}

void seam_cancel(struct epc_sip_in *in)
{
    if (in->cancel_fn && !in->final)
        in->cancel_fn(in->cancel_arg, in, sip_object(in->msg));
}

enum epc_leg epc_sip_in_leg(const struct epc_sip_in *in)
{
    return in->leg;
}

uint64_t epc_sip_in_flow(const struct epc_sip_in *in)
{
    return in->flow;
}

const sip_t *epc_sip_in_sip(const struct epc_sip_in *in)
{
    return sip_object(in->msg);
}

msg_t *epc_sip_in_dup(const struct epc_sip_in *in)
{
    return msg_dup(in->msg);
}

void epc_sip_in_on_cancel(struct epc_sip_in *in,
                          void (*fn)(void *arg, struct epc_sip_in *in, const sip_t *cancel), void *arg)
{
    in->cancel_fn = fn;
    in->cancel_arg = arg;
}

static void record(struct epc_sip_in *in, int status, msg_t *msg)
{
    if (in->released || in->n_answers == SEAM_MAX)
        abort();
    in->status[in->n_answers] = status;
    in->answer[in->n_answers++] = msg;
    if (status >= 200 && !in->final)
        in->final = status;
}

void epc_sip_in_reply(struct epc_sip_in *in, int status, const char *phrase, const char *extra)
{
    (void)phrase;
    (void)extra;
    if (in->final)
        abort();
    record(in, status, NULL);
}

void epc_sip_in_refuse(struct epc_sip_in *in, const struct epc_cause *cause)
{
    in->min_se = cause->min_se_s;
    in->unsupported = cause->unsupported;
    epc_sip_in_reply(in, cause->sip_status, cause->reason, NULL);
}

void epc_sip_in_reply_body(struct epc_sip_in *in, int status, const char *extra, const char *content_type,
                           const char *body)
{
    (void)content_type;
    free(in->reply_sdp);
    in->reply_sdp = strdup(body);
    epc_sip_in_reply(in, status, NULL, extra);
}

void epc_sip_in_refuse_sdp(struct epc_sip_in *in, const struct epc_cause *cause, const char *warning,
                           const char *sdp)
{
    in->refusal_warning = strdup(warning);
    in->refusal_sdp = strdup(sdp);
    epc_sip_in_refuse(in, cause);
}

void epc_sip_in_forward(struct epc_sip_in *in, msg_t **resp)
{
    record(in, sip_object(*resp)->sip_status->st_status, *resp);
    *resp = NULL;
}

void epc_sip_in_refuse_body(struct epc_sip_in *in, const struct epc_cause *cause, const char *extra,
                            const char *content_type, const char *body)
{
    (void)extra;
    (void)content_type;
    in->refusal_sdp = strdup(body);
    epc_sip_in_refuse(in, cause);
}

void epc_sip_in_response_source(struct epc_sip_in *in, const char *fe)
{
    in->response_source = fe;
}

bool epc_sip_in_routed(const struct epc_sip_in *in)
{
    return in->routed;
}

struct epc_str epc_sip_in_get(const struct epc_sip_in *in, const char *name, unsigned i)
{
    return epc_sip_get(in->msg, name, i);
}

int epc_sip_in_final_status(const struct epc_sip_in *in)
{
    return in->final;
}

void epc_sip_in_release(struct epc_sip_in *in)
{
    if (in->released++)
        abort();
    if (!in->final)
        in->final = 500;
}

enum epc_err epc_sip_out_send(struct epc_sip_out **out, struct epc_sip *s, const struct epc_sip_dest *dest,
                              msg_t **req, epc_sip_response_fn *fn, void *arg)
{
    (void)s;
    if (seam.out_fails || (dest->leg == EPC_LEG_WIC && dest->flow_id == seam.gone_flow))
        return EPC_ENOENT;
    struct epc_sip_out *o = calloc(1, sizeof *o);
    *o = (struct epc_sip_out){.msg = *req, .leg = dest->leg, .flow = dest->flow_id, .fn = fn, .arg = arg};
    *req = NULL;
    seam.out[seam.n_out++] = o;
    *out = o;
    return EPC_OK;
}

void epc_sip_out_cancel(struct epc_sip_out *out, const char *reason)
{
    (void)reason;
    out->cancelled = true;
}

void epc_sip_out_detach(struct epc_sip_out *out)
{
    if (out)
        out->detached = true;
}

enum epc_err epc_sip_send_ack(struct epc_sip *s, const struct epc_sip_dest *dest, msg_t **ack)
{
    (void)s;
    seam.ack_leg[seam.n_ack] = dest->leg;
    seam.ack[seam.n_ack++] = *ack;
    *ack = NULL;
    return EPC_OK;
}

uint64_t epc_sip_flow_now(const struct epc_sip *s, uint64_t flow_id)
{
    (void)s;
    return seam.moved_from && flow_id == seam.moved_from ? seam.moved_to : flow_id;
}

enum epc_err epc_sip_record_route(struct epc_sip *s, msg_t *msg, enum epc_leg from, uint64_t flow_id)
{
    (void)s;
    (void)flow_id;
    const char *core = "<sip:tok@127.0.0.3:5060;lr>", *ws = "<sip:tok@edge.example:443;transport=ws;lr>";
    su_home_t *home = msg_home(msg);
    const char *order[2] = {from == EPC_LEG_WIC ? ws : core, from == EPC_LEG_WIC ? core : ws};
    for (int i = 0; i < 2; i++) {
        sip_record_route_t *rr = sip_record_route_make(home, order[i]);
        if (!rr || msg_header_insert(msg, (msg_pub_t *)sip_object(msg), (msg_header_t *)(void *)rr) < 0)
            return EPC_ENOMEM;
    }
    return EPC_OK;
}

void seam_respond(struct epc_sip_out *out, int status, const char *to_tag, const char *sdp,
                  const char *extra)
{
    const sip_t *q = sip_object(out->msg);
    su_home_t home[1] = {SU_HOME_INIT(home)};
    struct epc_buf b = {0};
    bool to_core = out->leg == EPC_LEG_CORE;
    epc_buf_printf(&b, "SIP/2.0 %d X\r\nVia: SIP/2.0/%s peer.invalid;branch=z9hG4bK1\r\n", status,
                   to_core ? "WSS" : "UDP");
    /* The far side's proxies are above the route that we wrote. */
    if (to_core && q->sip_record_route)
        epc_buf_adds(&b, "Record-Route: <sip:far@127.0.0.2:4060;lr>\r\n");
    for (const sip_record_route_t *r = q->sip_record_route; r; r = r->r_next)
        epc_buf_printf(&b, "Record-Route: <%s>\r\n", url_as_string(home, r->r_url));
    epc_buf_printf(&b, "From: %s\r\nTo: <%s>%s%s\r\nCall-ID: %s\r\nCSeq: %u %s\r\n",
                   sip_header_as_string(home, (sip_header_t *)(void *)q->sip_from),
                   url_as_string(home, q->sip_to->a_url), to_tag ? ";tag=" : "", to_tag ? to_tag : "",
                   q->sip_call_id->i_id, q->sip_cseq->cs_seq, q->sip_cseq->cs_method_name);
    epc_buf_printf(&b, "Contact: <sip:callee@%s>\r\n%s", to_core ? "127.0.0.6:5070" : "x.invalid;transport=ws",
                   extra ? extra : "");
    if (sdp)
        epc_buf_printf(&b, "Content-Type: application/sdp\r\n");
    epc_buf_printf(&b, "Content-Length: %zu\r\n\r\n%s", sdp ? strlen(sdp) : 0, sdp ? sdp : "");
    msg_t *msg = epc_sip_parse(b.p, b.n);
    if (!msg)
        abort();
    epc_buf_free(&b);
    su_home_deinit(home);
    if (out->detached || !out->fn)
        msg_destroy(msg);
    else
        out->fn(out->arg, out, status, msg);
}

void seam_over(struct epc_sip_out *out)
{
    if (!out->detached && out->fn)
        out->fn(out->arg, out, 0, NULL);
    out->detached = true;
}

/* ---- registration ---------------------------------------------------------------------------------------- */

static const char *const impus[] = {"sip:alice@ims.test", "tel:+15550001", "sip:+15550001@ims.test;user=phone"};
static const char *const service_route[] = {"sip:orig@127.0.0.2:4060;lr", NULL};
static const char *const no_route[] = {NULL};
static struct epc_binding binding = {.impi = "alice@ims.test", .impus = impus, .n_impus = 2};

const struct epc_binding *epc_reg_by_flow(struct epc_reg *r, uint64_t flow_id)
{
    (void)r;
    binding.flow_id = flow_id;
    binding.anonymous = seam.anonymous;
    binding.over = seam.over;
    binding.n_impus = seam.phone ? 3 : 2;
    binding.charging_functions = seam.charging_functions;
    binding.service_route = seam.no_service_route ? no_route : service_route;
    return seam.registered ? &binding : NULL;
}

void epc_reg_check(struct epc_reg *r, struct epc_sip_in *in, epc_reg_checked_fn *done, void *arg)
{
    struct epc_cause cause = {0};
    const struct epc_binding *b = epc_reg_by_flow(r, in->flow);
    epc_cause_set(&cause, 403, NULL, "not registered");
    if (seam.token_refused)
        b = NULL;
    done(arg, b ? EPC_OK : EPC_EAUTH, b, &cause, "");
}

/* ---- wss --------------------------------------------------------------------------------------------------- */

struct epc_flow {
    struct epc_addr peer;
};
static struct epc_flow the_flow;

struct epc_flow *epc_wss_flow(struct epc_wss *w, uint64_t id)
{
    (void)w;
    if (id == seam.gone_flow)
        return NULL;
    if (epc_addr_parse(&the_flow.peer, seam.ue ? seam.ue : "10.45.0.2", 40000) != EPC_OK)
        abort();
    return &the_flow;
}

const struct epc_addr *epc_flow_peer(const struct epc_flow *f)
{
    return &f->peer;
}

const struct epc_cfg_origin *epc_flow_origin(const struct epc_flow *f)
{
    static const struct epc_cfg_origin origin = {.wwsf = (char *)"wwsf-1"};
    (void)f;
    return &origin;
}

/* ---- gateway --------------------------------------------------------------------------------------------------- */

void epc_gw_caps(const struct epc_gw *g, struct epc_gw_caps *out)
{
    (void)g;
    *out = (struct epc_gw_caps){0};
}

enum epc_err epc_gw_ctx_create(struct epc_gw_ctx **out, struct epc_gw *g, const struct epc_gw_ctx_opts *o)
{
    (void)g;
    struct epc_gw_ctx *c = calloc(1, sizeof *c);
    c->event = o->event;
    c->event_arg = o->arg;
    c->emergency = o->emergency;
    seam.gw[seam.n_gw++] = c;
    *out = c;
    return EPC_OK;
}

static void keep(struct epc_gw_ctx *c, const struct epc_gw_media *m, epc_gw_done_fn *done, void *arg)
{
    if (c->done || c->released)
        abort();
    epc_sdp_free(c->remote);
    c->remote = epc_sdp_ref(m->remote);
    c->done = done;
    c->arg = arg;
}

void epc_gw_offer(struct epc_gw_ctx *c, enum epc_gw_side from, const struct epc_gw_media *m,
                  epc_gw_done_fn *done, void *arg)
{
    c->is_answer = false;
    c->from = c->offerer = from;
    keep(c, m, done, arg);
}

void epc_gw_answer(struct epc_gw_ctx *c, const struct epc_gw_media *m, epc_gw_done_fn *done, void *arg)
{
    c->is_answer = true;
    keep(c, m, done, arg);
}

void epc_gw_gate(struct epc_gw_ctx *c, bool to_access, bool to_core)
{
    if (c->released)
        abort();
    c->shut_access = !to_access;
    c->shut_core = !to_core;
    c->gates++;
}

void epc_gw_restore(struct epc_gw_ctx *c, enum epc_gw_side offerer, const struct epc_gw_media *offer,
                    const struct epc_gw_media *answer)
{
    (void)c;
    (void)offerer;
    if (offer && answer)
        seam.restores++;
}

void epc_gw_ctx_view(const struct epc_gw_ctx *c, struct epc_gw_view *out)
{
    (void)c;
    *out = (struct epc_gw_view){
        .gateway = "127.0.0.5:2223", .context = "ctx-1", .ice_mode = 1, .n_streams = 1};
    out->stream[0].ice = EPC_GW_ICE_CHECKING;
    out->stream[0].srtp_profile = 7;
    if (epc_addr_parse(&out->stream[0].core, "10.10.0.20", 50000) != EPC_OK)
        abort();
}

void epc_gw_release(struct epc_gw_ctx *c)
{
    if (!c)
        return;
    if (c->released)
        abort();
    c->released = true;
    c->done = NULL;
}

void seam_gw_done(struct epc_gw_ctx *c, bool ok)
{
    epc_gw_done_fn *done = c->done;
    struct epc_sdp *local = NULL;
    struct epc_cause cause = {0};
    struct epc_buf b = {0};
    if (!done)
        abort();
    c->done = NULL;
    epc_cause_set(&cause, 503, NULL, "gateway says no");
    if (!ok) {
        done(c->arg, EPC_ETIMEDOUT, NULL, &cause);
        return;
    }
    bool access = (c->offerer == EPC_GW_ACCESS) == c->is_answer;
    epc_buf_adds(&b, "v=0\r\no=- 1 1 IN IP4 198.51.100.20\r\ns=-\r\nt=0 0\r\n");
    for (size_t i = 0; i < c->remote->n_media; i++) {
        const struct epc_sdp_media *m = &c->remote->media[i];
        epc_buf_printf(&b, "m=%.*s %u %s", EPC_STR_ARG(m->type), m->port ? (access ? 40000 : 50000) + 2 * (unsigned)i : 0,
                       access ? "UDP/TLS/RTP/SAVPF" : "RTP/AVP");
        for (size_t k = 0; k < m->n_fmt; k++)
            epc_buf_printf(&b, " %.*s", EPC_STR_ARG(m->fmt[k]));
        epc_buf_printf(&b, "\r\nc=IN IP4 %s\r\n", access ? "198.51.100.20" : "10.10.0.20");
        if (access)
            epc_buf_printf(&b, "a=ice-ufrag:gwgw\r\na=ice-pwd:gwgwgwgwgwgwgwgwgwgwgwgw\r\n"
                             "a=candidate:1 1 udp 2130706431 198.51.100.20 %u typ host\r\n"
                             "a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:"
                             "33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\na=setup:passive\r\na=rtcp-mux\r\n",
                           40000 + 2 * (unsigned)i);
    }
    if (epc_sdp_parse(&local, (struct epc_str){b.p, b.n}, &cause) != EPC_OK)
        abort();
    epc_buf_free(&b);
    done(c->arg, EPC_OK, local, &cause);
}

/* ---- policy ------------------------------------------------------------------------------------------------------ */

static enum epc_err rx_open(struct epc_policy_client *c, const struct epc_policy_open *o,
                            struct epc_policy_session **out)
{
    (void)c;
    struct epc_policy_session *p = calloc(1, sizeof *p);
    p->ue = *o->ue;
    p->signalling = o->signalling;
    snprintf(p->called, sizeof p->called, "%s", o->called ? o->called : "");
    snprintf(p->calling, sizeof p->calling, "%s", o->calling ? o->calling : "");
    snprintf(p->icsi, sizeof p->icsi, "%s", o->icsi ? o->icsi : "");
    snprintf(p->urn, sizeof p->urn, "%s", o->service_urn ? o->service_urn : "");
    snprintf(p->mps, sizeof p->mps, "%s", o->mps ? o->mps : "");
    p->event = o->on_event;
    p->event_arg = o->arg;
    seam.rx[seam.n_rx++] = p;
    *out = p;
    return EPC_OK;
}

static enum epc_err rx_request(struct epc_policy_session *p, struct epc_service_info **info,
                               epc_policy_done_fn *done, void *arg)
{
    if (p->done || p->closed)
        abort();
    epc_service_info_free(p->info);
    p->info = *info;
    *info = NULL;
    p->done = done;
    p->arg = arg;
    seam.n_rx_requests++;
    return EPC_OK;
}

static enum epc_err rx_rebind(struct epc_policy_session *p, const struct epc_addr *ue)
{
    if (p->closed)
        abort();
    p->ue = *ue;
    p->n_rebound++;
    return EPC_OK;
}

static void rx_close(struct epc_policy_session *p)
{
    if (p->closed)
        abort();
    p->closed = true;
    p->done = NULL;
}

struct epc_policy_client seam_policy = {.open = rx_open, .request = rx_request, .rebind = rx_rebind, .close = rx_close};

void seam_rx_done(struct epc_policy_session *p, enum epc_policy_outcome outcome, uint32_t code)
{
    epc_policy_done_fn *done = p->done;
    struct epc_policy_result r = {.outcome = outcome, .code = code, .experimental = code != 0};
    if (seam.acceptable_bps) {
        r.n_acceptable = 1;
        r.acceptable[0] = (struct epc_acceptable_bw){1, seam.acceptable_bps, seam.acceptable_bps};
    }
    if (!done)
        abort();
    p->done = NULL;
    done(p->arg, &r);
}

/* ---- all ----------------------------------------------------------------------------------------------------------- */

void seams_reset(void)
{
    seams_turn();
    for (int i = 0; i < seam.n_out; i++) {
        msg_destroy(seam.out[i]->msg);
        free(seam.out[i]);
    }
    for (int i = 0; i < seam.n_ack; i++)
        msg_destroy(seam.ack[i]);
    for (int i = 0; i < seam.n_gw; i++) {
        epc_sdp_free(seam.gw[i]->remote);
        free(seam.gw[i]);
    }
    for (int i = 0; i < seam.n_rx; i++) {
        epc_service_info_free(seam.rx[i]->info);
        free(seam.rx[i]);
    }
    memset(timers, 0, sizeof timers);
    seam = (struct seams){.registered = true};
}
