/* The eP-CSCF's own subscription to the reg event package of each IMPI (TS 24.229 5.2.3, RFC 3680,
 * RFC 6665): its SUBSCRIBEs and what the core answers. */
#include "registration/roll_priv.h"

#include <stdlib.h>
#include <string.h>

enum {
    BACKOFF_FIRST_S = 30,
    BACKOFF_MOST_S = 3600,
    GUARD_S = 600,      /* TS 24.229 5.2.3: refresh so long before the end, or at half */
    AGAIN_S = 1,        /* the core has ended it and wants a new one */
    LAST_NOTIFY_S = 32, /* 64*T1 */
    ROUTES_MAX = 16
};

static bool call_id_eq(const struct epc_hnode *node, const void *key)
{
    return strcmp(EPC_CONTAINER(node, const struct reg_sub, by_call_id)->call_id, key) == 0;
}

static uint64_t text_hash(const char *s)
{
    return epc_hash_bytes(s, strlen(s));
}

enum epc_err reg_subs_init(struct epc_reg *r)
{
    return epc_hash_init(&r->roll->subs, call_id_eq);
}

static struct epc_reg *reg_of(const struct reg_sub *s)
{
    return s->user->r;
}

static void on_timer(void *arg)
{
    sub_event(arg, SUB_EV_TIMER);
}

void sub_arm(struct reg_sub *s, uint64_t after_s)
{
    epc_timer_start(reg_of(s)->sh, &s->timer, after_s * 1000, on_timer, s);
}

/* ---- dialog --------------------------------------------------------------------------------- */

static void forget_dialog(struct reg_sub *s)
{
    free(s->remote_tag);
    free(s->target);
    for (char **r = s->routes; r && *r; r++)
        free(*r);
    free(s->routes);
    s->remote_tag = s->target = NULL;
    s->routes = NULL;
    s->has_remote_cseq = s->has_version = false;
    s->until_ms = 0;
}

bool sub_has_dialog(const struct reg_sub *s)
{
    return s->remote_tag && s->until_ms > epc_now_ms();
}

static char *url_text(const url_t *url)
{
    char text[1024];
    issize_t n = url_e(text, (isize_t)sizeof text, url);
    return n > 0 && (size_t)n < sizeof text ? epc_str_dup(epc_str_c(text)) : NULL;
}

static char **route_set(const sip_record_route_t *rr, bool as_it_stands)
{
    size_t n = 0, i = 0;
    for (const sip_record_route_t *r = rr; r; r = r->r_next)
        n++;
    char **list = n <= ROUTES_MAX ? calloc(n + 1, sizeof *list) : NULL;
    if (!list)
        return NULL;
    for (const sip_record_route_t *r = rr; r; r = r->r_next, i++) {
        char **at = &list[as_it_stands ? i : n - 1 - i];
        *at = url_text(r->r_url);
        if (*at)
            continue;
        for (size_t k = 0; k < n; k++)
            free(list[k]);
        free(list);
        return NULL;
    }
    return list;
}

enum epc_err sub_set_dialog(struct reg_sub *s, const sip_t *sip, bool from_notify)
{
    const sip_addr_t *far = from_notify ? sip->sip_from : sip->sip_to;
    if (!far || !far->a_tag || !sip->sip_contact || sip->sip_contact->m_url->url_type == url_any)
        return EPC_EPROTO;
    char *tag = epc_str_dup(epc_str_c(far->a_tag));
    char *target = url_text(sip->sip_contact->m_url);
    char **routes = s->routes ? s->routes : route_set(sip->sip_record_route, from_notify);
    if (!tag || !target || !routes) {
        free(tag);
        free(target);
        if (routes != s->routes) {
            for (char **r = routes; r && *r; r++)
                free(*r);
            free(routes);
        }
        return EPC_EPROTO;
    }
    free(s->remote_tag);
    free(s->target);
    s->remote_tag = tag;
    s->target = target;
    s->routes = routes;
    return EPC_OK;
}

/* ---- SUBSCRIBE ------------------------------------------------------------------------------ */

/* The core knows us by the URI that we put into the Path of this user's registrations (TS 24.229 5.2.3).
 * On the way out there is none any more. */
static const char *asserted(const struct reg_sub *s)
{
    for (const struct roll_entry *e = s->user->entries; e; e = e->next) {
        if (e->stage == ROLL_BOUND && e->path)
            return e->path;
    }
    return epc_sip_core_uri(reg_of(s)->sip);
}

static void add_extra(struct epc_buf *b, const struct reg_sub *s, uint32_t expires_s)
{
    const struct epc_reg *r = reg_of(s);
    const struct epc_cfg_sip *cfg = &r->cfg->sip;
    bool v6 = strchr(cfg->core_host, ':') && cfg->core_host[0] != '[';
    char icid[33];
    epc_random_hex(icid, 16);
    epc_buf_printf(b, "Event: reg\r\nAccept: application/reginfo+xml\r\nExpires: %lu\r\nContact: <%s>\r\n",
                   (unsigned long)expires_s, epc_sip_core_uri(r->sip));
    epc_buf_printf(b, "P-Asserted-Identity: <%s>\r\n", asserted(s));
    epc_buf_printf(b, "P-Charging-Vector: icid-value=%s;icid-generated-at=%s%s%s", icid, v6 ? "[" : "",
                   cfg->core_host, v6 ? "]" : "");
    if (cfg->ioi && *cfg->ioi) /* type 1: TS 24.229 7.2A.5 */
        epc_buf_printf(b, ";orig-ioi=\"Type 1%s\"", cfg->ioi);
    epc_buf_adds(b, "\r\n");
}

static msg_t *make_subscribe(struct reg_sub *s, uint32_t expires_s)
{
    struct epc_buf from = {0}, to = {0}, extra = {0};
    msg_t *msg = NULL;
    epc_buf_printf(&from, "<%s>;tag=%s", epc_sip_core_uri(reg_of(s)->sip), s->tag);
    epc_buf_printf(&to, s->remote_tag ? "<%s>;tag=%s" : "<%s>", s->aor, s->remote_tag);
    add_extra(&extra, s, expires_s);
    if (!from.failed && !to.failed && !extra.failed)
        msg = epc_sip_request(&(struct epc_sip_parts){.method = "SUBSCRIBE",
                                                      .request_uri = s->target ? s->target : s->aor,
                                                      .from = from.p,
                                                      .to = to.p,
                                                      .call_id = s->call_id,
                                                      .cseq = ++s->cseq,
                                                      .routes = (const char *const *)s->routes,
                                                      .extra = extra.p});
    epc_buf_free(&from);
    epc_buf_free(&to);
    epc_buf_free(&extra);
    return msg;
}

static void on_response(void *arg, struct epc_sip_out *out, int status, msg_t *resp);

static void send_subscribe(struct reg_sub *s, uint32_t expires_s)
{
    struct epc_reg *r = reg_of(s);
    struct epc_sip_dest dest = {.leg = EPC_LEG_CORE};
    epc_sip_out_detach(s->out);
    s->out = NULL;
    msg_t *msg = make_subscribe(s, expires_s);
    enum epc_err err = EPC_ENOMEM;
    if (msg && s->target)
        err = epc_sip_out_send(&s->out, r->sip, &dest, &msg, on_response, s);
    if (msg && (!s->target || err == EPC_EPROTO)) { /* by name: the entry point knows the way */
        dest.next_hop = r->cfg->sip.icscf;
        err = epc_sip_out_send(&s->out, r->sip, &dest, &msg, on_response, s);
    }
    if (msg)
        msg_destroy(msg);
    epc_count(EPC_C_REG_SUBSCRIBES);
    if (err == EPC_OK)
        return;
    s->out = NULL;
    epc_log(EPC_LOG_WARN, "registration", "event=subscribe_failed reason=\"%s\"", epc_err_name(err));
    sub_event(s, SUB_EV_REFUSED);
}

void sub_subscribe(struct reg_sub *s)
{
    struct epc_reg *r = reg_of(s);
    forget_dialog(s);
    epc_timer_stop(r->sh, &s->timer);
    if (s->call_id[0])
        epc_hash_del(&r->roll->subs, &s->by_call_id);
    epc_random_hex(s->call_id, 16);
    epc_random_hex(s->tag, 8);
    s->cseq = 0;
    epc_hash_add(&r->roll->subs, &s->by_call_id, text_hash(s->call_id));
    send_subscribe(s, s->expires_s);
}

void sub_refresh(struct reg_sub *s)
{
    send_subscribe(s, s->expires_s);
}

void sub_leave(struct reg_sub *s)
{
    sub_arm(s, LAST_NOTIFY_S);
    send_subscribe(s, 0);
}

/* ---- answers -------------------------------------------------------------------------------- */

void sub_accepted(struct reg_sub *s)
{
    uint64_t now = epc_now_ms();
    uint64_t left = s->until_ms > now ? (s->until_ms - now) / 1000 : 0;
    s->backoff_s = 0;
    sub_arm(s, left > 2 * GUARD_S ? left - GUARD_S : left / 2 + 1);
}

void sub_wait(struct reg_sub *s)
{
    uint32_t wait = s->wait_s;
    epc_sip_out_detach(s->out); /* the core's NOTIFY may have been faster than its answer */
    s->out = NULL;
    if (!wait) {
        s->backoff_s = s->backoff_s ? 2 * s->backoff_s : BACKOFF_FIRST_S;
        if (s->backoff_s > BACKOFF_MOST_S)
            s->backoff_s = BACKOFF_MOST_S;
        wait = s->backoff_s;
    }
    s->wait_s = 0;
    sub_arm(s, wait);
}

static void granted(struct reg_sub *s, const sip_t *resp)
{
    uint64_t e = resp->sip_expires ? resp->sip_expires->ex_delta : s->expires_s;
    s->until_ms = epc_now_ms() + e * 1000;
    if (sub_set_dialog(s, resp, false) != EPC_OK)
        epc_log(EPC_LOG_WARN, "registration",
                "event=subscription_incomplete reason=\"200 without tag or usable Contact\"");
}

static void refused(struct reg_sub *s, int status, msg_t *resp)
{
    static const int for_good[] = {403, 404, 405, 420, 489, 501, 604};
    const sip_t *sip = resp ? reg_sip_of(resp) : NULL;
    uint64_t min = 0;
    s->wait_s = 0;
    for (size_t i = 0; i < EPC_ARRAY_LEN(for_good); i++) {
        if (status == for_good[i])
            s->backoff_s = BACKOFF_MOST_S;
    }
    if (sip && sip->sip_retry_after)
        s->wait_s = (uint32_t)(sip->sip_retry_after->af_delta < BACKOFF_MOST_S
                                   ? sip->sip_retry_after->af_delta : BACKOFF_MOST_S);
    if (status == 423 && sip && sip->sip_min_expires && (min = sip->sip_min_expires->me_delta) > s->expires_s &&
        min <= 31 * 86400u) {
        s->expires_s = (uint32_t)min;
        s->wait_s = AGAIN_S;
    }
    char id[EPC_LOG_ID_LEN];
    epc_count(EPC_C_REG_SUBSCRIBES_REFUSED);
    epc_log(EPC_LOG_WARN, "registration", "event=subscribe_refused status=%d impi=%s", status,
            epc_log_id(epc_str_c(s->user->impi), id));
}

static void on_response(void *arg, struct epc_sip_out *out, int status, msg_t *resp)
{
    struct reg_sub *s = arg;
    enum sub_event ev = SUB_EV_REFUSED;
    if (status == 0 || status >= 200)
        s->out = NULL;
    if (status >= 200)
        epc_sip_out_detach(out); /* one answer is enough */
    if (status > 0 && status < 200) {
        msg_destroy(resp);
        return;
    }
    if (resp && status < 300) {
        granted(s, reg_sip_of(resp));
        ev = SUB_EV_ACCEPTED;
    } else {
        refused(s, status, resp);
        ev = status == 481 ? SUB_EV_LOST : SUB_EV_REFUSED;
    }
    if (resp)
        msg_destroy(resp);
    sub_event(s, ev);
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool is_wanted(const struct roll_user *u)
{
    bool bound = false;
    for (const struct roll_entry *e = u->entries; e && !bound; e = e->next)
        bound = e->stage == ROLL_BOUND;
    return bound && u->aor && u->r->cfg->registration.reg_event && !u->r->closing;
}

void reg_sub_update(struct roll_user *u)
{
    bool wanted = is_wanted(u);
    if (!u->sub && wanted) {
        struct reg_sub *s = calloc(1, sizeof *s);
        char *aor = s ? epc_str_dup(epc_str_c(u->aor)) : NULL;
        if (!aor) {
            free(s);
            return; /* the next binding tries again */
        }
        *s = (struct reg_sub){.user = u, .aor = aor,
                              .expires_s = u->r->cfg->registration.reg_event_expires_s};
        u->sub = s;
        epc_count_add(EPC_C_REG_SUBSCRIPTIONS, 1);
    }
    if (u->sub && u->sub->wanted != wanted) {
        u->sub->wanted = wanted;
        sub_event(u->sub, wanted ? SUB_EV_WANTED : SUB_EV_UNWANTED);
    }
}

static void free_sub(void *obj)
{
    free(obj);
}

void reg_sub_free(struct roll_user *u)
{
    struct reg_sub *s = u->sub;
    if (!s)
        return;
    u->sub = NULL;
    epc_sip_out_detach(s->out);
    epc_timer_stop(u->r->sh, &s->timer);
    if (s->call_id[0])
        epc_hash_del(&u->r->roll->subs, &s->by_call_id);
    forget_dialog(s);
    free(s->aor);
    s->aor = NULL;
    epc_count_add(EPC_C_REG_SUBSCRIPTIONS, -1);
    epc_shard_doom(u->r->sh, free_sub, s); /* it may be ending in its own event */
}

/* FSM action: the last one. */
void sub_over(struct reg_sub *s)
{
    struct roll_user *u = s->user;
    roll_hold(u);
    reg_sub_free(u);
    roll_let_go(u);
}

struct each {
    void (*fn)(const char *impi, const char *state, size_t flows, void *arg);
    void *arg;
};

static void visit(struct epc_hnode *node, void *arg)
{
    const struct roll_user *u = EPC_CONTAINER(node, const struct roll_user, by_impi);
    const struct each *e = arg;
    size_t flows = 0;
    for (const struct roll_entry *x = u->entries; x; x = x->next)
        flows += x->stage == ROLL_BOUND;
    if (u->sub)
        e->fn(u->impi, sub_state_name(u->sub->state), flows, e->arg);
}

void epc_reg_each_subscription(struct epc_reg *r,
                               void (*fn)(const char *impi, const char *state, size_t flows, void *arg),
                               void *arg)
{
    struct each e = {fn, arg};
    epc_hash_each(&r->roll->users, visit, &e);
}
