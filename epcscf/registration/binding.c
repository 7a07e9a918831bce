/* Bindings: made from a 200, refreshed, replaced, forgotten. */
#include "registration/registration_priv.h"

#include <stdlib.h>
#include <string.h>

char *reg_key(const char *impi, const sip_contact_t *contact)
{
    struct epc_buf b = {0};
    struct epc_str instance = reg_param(contact, "+sip.instance=");
    epc_buf_adds(&b, impi);
    epc_buf_add(&b, "\n", 1);
    if (instance.p) {
        size_t at = b.n;
        epc_buf_addstr(&b, instance);
        for (char *c = b.failed ? NULL : b.p + at; c && *c; c++) /* URNs compare without regard to case */
            *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
        epc_buf_add(&b, "\n", 1);
        epc_buf_addstr(&b, reg_param(contact, "reg-id="));
    } else {
        char uri[1024];
        issize_t n = url_e(uri, (isize_t)sizeof uri, contact->m_url);
        epc_buf_adds(&b, n > 0 && (size_t)n < sizeof uri ? uri : "?");
    }
    return epc_buf_take(&b, NULL);
}

/* ---- what a 200 grants ---------------------------------------------------------------------- */

void reg_grant_free(struct reg_grant *g)
{
    if (!g)
        return;
    reg_sets_free(g);
    reg_list_free(g->service_route);
    free(g->impi);
    free(g->username);
    free(g->contact);
    free(g->contact_params);
    free(g->wwsf);
    free(g->waf);
    free(g->charging);
    free(g->aor);
    free(g->home);
    free(g->key);
    free(g);
}

static char *uri_text(const url_t *url)
{
    char uri[1024];
    issize_t n = url_e(uri, (isize_t)sizeof uri, url);
    return n > 0 && (size_t)n < sizeof uri ? epc_str_dup(epc_str_c(uri)) : NULL;
}

static bool read_service_route(struct reg_grant *g, const sip_t *sip)
{
    size_t n = 0;
    for (const sip_service_route_t *r = sip->sip_service_route; r; r = r->r_next) {
        if (!reg_list_add(&g->service_route, &n, uri_text(r->r_url)))
            return false;
    }
    if (!g->service_route)
        g->service_route = calloc(1, sizeof *g->service_route);
    return g->service_route != NULL;
}

static char *contact_params(const sip_contact_t *c)
{
    struct epc_buf b = {0};
    const char *instance = msg_header_find_param((const msg_common_t *)c, "+sip.instance=");
    const char *reg_id = msg_header_find_param((const msg_common_t *)c, "reg-id=");
    if (instance)
        epc_buf_printf(&b, ";+sip.instance=%s", instance);
    if (reg_id)
        epc_buf_printf(&b, ";reg-id=%s", reg_id);
    return epc_buf_take(&b, NULL);
}

static char *dup_or_null(const char *s)
{
    return s ? epc_str_dup(epc_str_c(s)) : NULL;
}

/* ---- whether a 200 says anything new ------------------------------------------------------------ */

/* Order counts; what peers choose comes in hashed with a key of ours. */
static void mix(uint64_t *h, struct epc_str s)
{
    *h = epc_hash_u64(*h * 31 + epc_hash_bytes(s.p ? s.p : "", s.n) + (s.p ? 1 : 0));
}

static void mix_url(uint64_t *h, const url_t *url)
{
    char uri[1024];
    issize_t n = url_e(uri, (isize_t)sizeof uri, url);
    mix(h, n > 0 && (size_t)n < sizeof uri ? (struct epc_str){uri, (size_t)n} : EPC_STR_NULL);
}

static void mix_param(uint64_t *h, const sip_contact_t *c, const char *name)
{
    mix(h, epc_str_c(msg_header_find_param((const msg_common_t *)c, name)));
}

static const char *wwsf_of(const struct reg_tx *tx)
{
    struct epc_flow *flow = epc_wss_flow(tx->rec->r->wss, tx->rec->flow_id);
    const struct epc_cfg_origin *origin = flow ? epc_flow_origin(flow) : NULL;
    return tx->id ? tx->id->wwsf : origin ? origin->wwsf : NULL;
}

/* All that a grant is made of, but for its times. */
static uint64_t made_of(const struct reg_tx *tx, const sip_t *sip)
{
    uint64_t h = (uint64_t)tx->mode << 8 | (tx->ob ? 1u : 0u) | (tx->aka ? 2u : 0u) |
                 (tx->id && tx->id->anonymous ? 4u : 0u) | (tx->id && tx->id->pool ? 8u : 0u) | (tx->id ? 16u : 0u);
    const char *texts[] = {tx->impi, tx->username, tx->aor, tx->home, tx->id ? tx->id->waf : NULL, wwsf_of(tx)};
    for (size_t i = 0; i < EPC_ARRAY_LEN(texts); i++)
        mix(&h, epc_str_c(texts[i]));
    for (size_t i = 0; tx->id && i < tx->id->n_impus; i++)
        mix(&h, epc_str_c(tx->id->impus[i]));
    mix_url(&h, tx->contact->m_url);
    mix_param(&h, tx->contact, "+sip.instance=");
    mix_param(&h, tx->contact, "reg-id=");
    for (const sip_service_route_t *r = sip->sip_service_route; r; r = r->r_next)
        mix_url(&h, r->r_url);
    for (const sip_unknown_t *u = sip->sip_unknown; u; u = u->un_next) {
        struct epc_str name = epc_str_c(u->un_name);
        if (epc_str_ieqc(name, "P-Associated-URI"))
            h += 1;
        else if (epc_str_ieqc(name, "P-Charging-Function-Addresses"))
            h += 2;
        else
            continue;
        mix(&h, epc_str_c(u->un_value));
    }
    return h ? h : 1;
}

static struct reg_grant *grant_new(const struct reg_tx *tx, msg_t *resp, uint32_t core_expires_s,
                                   uint32_t expires_s)
{
    struct reg_grant *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    struct epc_str charging = epc_sip_get(resp, "P-Charging-Function-Addresses", 0);
    g->mode = tx->mode;
    g->ob = tx->ob;
    g->aka = tx->aka;
    g->waf = tx->id ? dup_or_null(tx->id->waf) : NULL;
    g->anonymous = tx->id && tx->id->anonymous;
    g->token_expires_at_s = tx->id ? tx->id->expires_at_s : 0;
    g->impi = dup_or_null(tx->impi);
    g->username = dup_or_null(tx->username);
    g->wwsf = dup_or_null(wwsf_of(tx));
    g->aor = dup_or_null(tx->aor);
    g->home = dup_or_null(tx->home);
    g->charging = charging.p ? epc_str_dup(charging) : NULL;
    g->contact = uri_text(tx->contact->m_url);
    g->contact_params = contact_params(tx->contact);
    g->key = g->impi ? reg_key(g->impi, tx->contact) : NULL;
    bool ok = g->impi && g->aor && g->home && g->contact && g->contact_params && g->key;
    if (!ok || !read_service_route(g, reg_sip_of(resp)) ||
        !reg_sets_build(g, tx, resp, core_expires_s, expires_s)) {
        reg_grant_free(g);
        return NULL;
    }
    return g;
}

bool reg_grant_make(struct reg_tx *tx, msg_t *resp, uint32_t core_expires_s, uint32_t expires_s)
{
    const struct reg_grant *now = tx->rec->grant;
    uint64_t made = made_of(tx, reg_sip_of(resp)), now_ms = epc_now_ms();
    if (now && now->made_of == made && now->n_sets == 1) {
        tx->renewed_ms = now_ms + (uint64_t)expires_s * 1000;
        tx->core_renewed_ms = now_ms + (uint64_t)core_expires_s * 1000;
        return true;
    }
    tx->grant = grant_new(tx, resp, core_expires_s, expires_s);
    if (tx->grant)
        tx->grant->made_of = made;
    return tx->grant != NULL;
}

/* ---- in force ------------------------------------------------------------------------------- */

static void free_grant(void *grant)
{
    reg_grant_free(grant);
}

static void on_expiry(void *arg)
{
    reg_event(arg, REG_EV_EXPIRED);
}

static void on_grace_over(void *arg)
{
    reg_event(arg, REG_EV_GRACE_OVER);
}

static void set_registered(const struct reg_record *rec, bool registered)
{
    struct epc_flow *f = rec->flow_open ? epc_wss_flow(rec->r->wss, rec->flow_id) : NULL;
    if (f)
        epc_flow_set_registered(f, registered);
}

static void publish(struct reg_record *rec)
{
    const struct reg_grant *g = rec->grant;
    rec->public = (struct epc_binding){.flow_id = rec->flow_id,
                                       .impi = g->impi,
                                       .impus = (const char *const *)g->impus,
                                       .n_impus = g->n_impus,
                                       .service_route = (const char *const *)g->service_route,
                                       .contact = g->contact,
                                       .mode = g->mode,
                                       .wwsf = g->wwsf,
                                       .expires_at_ms = g->expires_at_ms,
                                       .token_expires_at_s = g->token_expires_at_s,
                                       .charging_functions = g->charging,
                                       .anonymous = g->anonymous,
                                       .over = rec->state == REG_OVER,
                                       .contact_params = g->contact_params};
}

void reg_renew(struct reg_record *rec)
{
    uint64_t now = epc_now_ms(), next = reg_sets_next_expiry(rec->grant);
    publish(rec);
    epc_timer_start(rec->r->sh, &rec->expiry, next > now ? next - now : 0, on_expiry, rec);
}

const struct reg_grant *reg_grant_by_key(const struct epc_reg *r, const char *key)
{
    struct epc_hnode *n = epc_hash_find(&r->by_key, epc_hash_bytes(key, strlen(key)), key);
    return n ? EPC_CONTAINER(n, struct reg_record, by_key)->grant : NULL;
}

/* The binding of the same IMPI, instance and reg-id on another flow of this shard. */
static struct reg_record *find_older(const struct reg_record *rec, const char *key)
{
    struct epc_hnode *n = epc_hash_find(&rec->r->by_key, epc_hash_bytes(key, strlen(key)), key);
    struct reg_record *old = n ? EPC_CONTAINER(n, struct reg_record, by_key) : NULL;
    return old != rec ? old : NULL;
}

/* It ends when the new one is in force, so that what hangs on it can move over first. */
static void end_older(struct reg_record *rec, struct reg_record *old)
{
    struct epc_reg *r = rec->r;
    if (!old || !old->grant)
        return;
    if (r->moved && rec->grant) {
        r->moved(r->moved_arg, old->flow_id, rec->flow_id);
        old->moved = true;
    }
    reg_event(old, REG_EV_REPLACED);
    old->moved = false;
}

/* The same as before, for longer. */
static void renew(struct reg_record *rec)
{
    struct reg_grant *g = rec->grant;
    reg_sets_renew(g, rec->tx->renewed_ms, rec->tx->core_renewed_ms);
    g->token_expires_at_s = rec->tx->id ? rec->tx->id->expires_at_s : 0;
    reg_renew(rec);
}

static void note_bound(struct reg_record *rec)
{
    const struct reg_grant *g = rec->grant;
    char id[EPC_LOG_ID_LEN];
    rec->failures = 0;
    reg_challenge_over(rec);
    set_registered(rec, true);
    epc_log(EPC_LOG_INFO, "registration",
            "event=registered flow=%llx impi=%s mode=%s expires_s=%llu impus=%zu",
            (unsigned long long)rec->flow_id, epc_log_id(epc_str_c(g->impi), id),
            g->mode == EPC_MODE_TOKEN ? "token" : "digest",
            (unsigned long long)(g->expires_at_ms - epc_now_ms()) / 1000, g->n_impus);
}

void reg_bind(struct reg_record *rec)
{
    struct epc_reg *r = rec->r;
    struct reg_grant *g = rec->tx->grant;
    rec->tx->grant = NULL;
    if (rec->tx->id)
        reg_note_token(rec, rec->tx->id);
    if (!g) {
        if (!rec->grant)
            return;
        renew(rec);
        note_bound(rec);
        reg_roll_bound(rec);
        if (r->bound && rec->grant)
            r->bound(r->bound_arg, &rec->public);
        return;
    }
    struct reg_record *older = find_older(rec, g->key);
    if (rec->grant) {
        for (size_t i = 0; i < g->n_lost; i++)
            reg_core_deregister_one(r, rec->flow_id, rec->grant, g->lost[i]);
        epc_hash_del(&r->by_key, &rec->by_key);
        epc_shard_doom(r->sh, free_grant, rec->grant); /* rooms above may still read it this turn */
    } else {
        epc_count_add(EPC_C_REG_BINDINGS, 1);
    }
    rec->grant = g;
    epc_hash_add(&r->by_key, &rec->by_key, epc_hash_bytes(g->key, strlen(g->key)));
    reg_renew(rec);
    note_bound(rec);
    /* The home may be this shard and say at once that the binding must end again. It hears of the new
     * one first, so that its subscription goes on. */
    reg_roll_bound(rec);
    end_older(rec, older);
    if (r->bound && rec->grant)
        r->bound(r->bound_arg, &rec->public);
}

void reg_forget(struct reg_record *rec, const char *why)
{
    struct epc_reg *r = rec->r;
    char id[EPC_LOG_ID_LEN];
    epc_log(EPC_LOG_INFO, "registration", "event=unregistered flow=%llx impi=%s reason=\"%s\"",
            (unsigned long long)rec->flow_id, epc_log_id(epc_str_c(rec->grant->impi), id), why);
    epc_timer_stop(r->sh, &rec->expiry);
    epc_timer_stop(r->sh, &rec->grace);
    if (r->gone && !rec->moved)
        r->gone(r->gone_arg, &rec->public, why);
    reg_roll_gone(rec);
    epc_hash_del(&r->by_key, &rec->by_key);
    epc_shard_doom(r->sh, free_grant, rec->grant);
    rec->grant = NULL;
    reg_forget_token(rec);
    set_registered(rec, false);
    epc_count_add(EPC_C_REG_BINDINGS, -1);
    epc_count(EPC_C_REG_REMOVED);
}

void reg_start_grace(struct reg_record *rec)
{
    epc_timer_start(rec->r->sh, &rec->grace, rec->r->cfg->registration.flow_loss_grace_ms, on_grace_over,
                    rec);
}
