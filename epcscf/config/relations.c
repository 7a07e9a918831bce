/* What several keys say together: keys that others make obligatory, defaults that follow from other
 * keys, and values that contradict each other. A key that has its own fault takes no part. */
#include "config/config_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

size_t cfg_line_of(const struct cfg_loader *ld, const char *path)
{
    size_t k;
    if (cfg_find(&cfg_main_table, path, &k) && ld->key_line[k])
        return ld->key_line[k];
    for (size_t i = 0; i < ld->n_sections; i++) {
        size_t n = strlen(ld->section[i].path);
        if (strncmp(path, ld->section[i].path, n) == 0 && path[n] == '.')
            return ld->section[i].line;
    }
    return 1;
}

static bool bad(const struct cfg_loader *ld, const char *path)
{
    size_t k;
    return cfg_find(&cfg_main_table, path, &k) && ld->key_bad[k];
}

static const struct cfg_item *item_of(const struct cfg_loader *ld, const char *list, size_t used)
{
    for (size_t i = 0; i < ld->n_items; i++)
        if (strcmp(ld->items[i].list->path, list) == 0 && used-- == 0)
            return &ld->items[i];
    return NULL;
}

/* Line of element @p i, or of its @p key when that is given. */
size_t cfg_item_line(const struct cfg_loader *ld, const char *list, size_t i, const char *key)
{
    size_t k;
    const struct cfg_item *it = item_of(ld, list, i);
    if (!it)
        return cfg_line_of(ld, list);
    if (key && cfg_find(it->list->items, key, &k) && it->key_line[k])
        return it->key_line[k];
    return it->line;
}

static bool tokens_allowed(const struct epc_config *c)
{
    for (size_t i = 0; i < c->wss.n_origins; i++)
        if (c->wss.origins[i].modes & EPC_MODE_TOKEN)
            return true;
    return false;
}

/* ---- defaults from other keys --------------------------------------------------------------------- */

static void follow(struct cfg_loader *ld, const char *path, char **slot, const char *from)
{
    if (!*slot && from && !bad(ld, path))
        cfg_put_string(ld, slot, from);
}

static void derive_trusted(struct cfg_loader *ld, struct epc_cfg_sip *s)
{
    struct epc_addr a;
    char ip[EPC_ADDR_LEN];
    size_t k;
    if (!cfg_find(&cfg_main_table, "sip.trusted", &k) || ld->key_line[k] ||
        !cfg_sip_uri_addr(s->icscf, &a))
        return;
    s->trusted = calloc(1, sizeof(char *));
    if (!s->trusted || !(s->trusted[0] = epc_str_dup(epc_str_c(epc_addr_ip(&a, ip)))))
        ld->no_memory = true;
    else
        s->n_trusted = 1;
}

/* FNV-1a: the same in every process, unlike epc_hash_bytes(). */
static uint32_t node_id(const struct epc_cfg_sip *s)
{
    char text[EPC_ADDR_LEN + 8];
    uint32_t h = 2166136261u;
    if (!s->core_host)
        return 0;
    snprintf(text, sizeof text, "%.*s %u", EPC_ADDR_LEN - 1, s->core_host, (unsigned)s->core_port);
    for (const char *p = text; *p; p++)
        h = (h ^ (unsigned char)*p) * 16777619u;
    return h ? h : 1;
}

/* Of all folders the one of the key set is known to be writable. */
static void derive_database(struct cfg_loader *ld, struct epc_cfg_wwsf *w)
{
    struct epc_buf b = {0};
    const char *slash = w->jwks_file ? strrchr(w->jwks_file, '/') : NULL;
    if (w->database || !w->jwks_file || bad(ld, "wwsf.database"))
        return;
    epc_buf_printf(&b, "%.*swwsf.sqlite", slash ? (int)(slash + 1 - w->jwks_file) : 0, w->jwks_file);
    w->database = epc_buf_take(&b, NULL);
    ld->no_memory = ld->no_memory || !w->database;
}

void cfg_derive(struct cfg_loader *ld)
{
    struct epc_config *c = ld->cfg;
    const char *domain = c->sip.n_home_domains ? c->sip.home_domains[0] : NULL;
    derive_trusted(ld, &c->sip);
    c->media.node_id = node_id(&c->sip);
    cfg_derive_h248(ld);
    follow(ld, "sip.visited_network", &c->sip.visited_network, domain);
    follow(ld, "sip.ioi", &c->sip.ioi, c->sip.visited_network);
    follow(ld, "tokens.realm", &c->tokens.realm, domain);
    follow(ld, "policy.destination_realm", &c->policy.destination_realm, domain);
    derive_database(ld, &c->wwsf);
    follow(ld, "wwsf.certificate", &c->wwsf.certificate, c->wss.certificate);
    follow(ld, "wwsf.key", &c->wwsf.key, c->wss.key);
    follow(ld, "wwsf.home_domain", &c->wwsf.home_domain, domain);
    follow(ld, "wwsf.issuer", &c->wwsf.issuer, c->wwsf.public_url);
    follow(ld, "wwsf.audience", &c->wwsf.audience, c->wwsf.home_domain);
}

/* ---- obligatory keys -------------------------------------------------------------------------------- */

static bool needed(const struct cfg_loader *ld, enum cfg_need need)
{
    const struct epc_config *c = ld->cfg;
    switch (need) {
    case CFG_NEED_NOT:
        return false;
    case CFG_NEED_ALWAYS:
        return true;
    case CFG_NEED_TOKENS:
        return tokens_allowed(c);
    case CFG_NEED_POLICY:
        return c->policy.mode != EPC_POLICY_OFF;
    case CFG_NEED_WWSF:
        return c->wwsf.enabled;
    }
    return false;
}

void cfg_check_needs(struct cfg_loader *ld)
{
    for (size_t i = 0; i < cfg_main_table.n_keys; i++) {
        const struct cfg_key *k = &cfg_main_table.keys[i];
        if (!needed(ld, k->need))
            continue;
        const char *when = k->need == CFG_NEED_ALWAYS ? "" : " ";
        const char *text = k->need == CFG_NEED_ALWAYS ? "" : cfg_need_text(k->need);
        if (!ld->key_line[i])
            cfg_fault(ld, cfg_line_of(ld, k->path), k->path, "missing, but needed%s%s; give it: %s", when, text,
                      k->help);
        else if (k->type == CFG_MAPS && !ld->key_bad[i] && cfg_get_count(k, (char *)ld->cfg) == 0)
            cfg_fault(ld, ld->key_line[i], k->path, "empty, but needed%s%s; name at least one", when, text);
    }
    size_t k;
    if (ld->cfg->wss.n_origins == 0 && !ld->cfg->wss.allow_no_origin && !bad(ld, "wss.origins") &&
        cfg_find(&cfg_main_table, "wss.origins", &k))
        cfg_fault(ld, cfg_line_of(ld, "wss.origins"), "wss.origins",
                  "nobody may connect; name the origins of your pages, or set wss.allow_no_origin: true");
}

/* ---- contradictions --------------------------------------------------------------------------------- */

static bool same_addr(const struct epc_addr *a, const struct epc_addr *b)
{
    return a->len && b->len && epc_addr_port(a) == epc_addr_port(b) && epc_addr_same_ip(a, b);
}

static void check_wss(struct cfg_loader *ld)
{
    const struct epc_cfg_wss *w = &ld->cfg->wss;
    char text[EPC_ADDR_LEN];
    if (w->pong_timeout_ms > w->ping_interval_ms && !bad(ld, "wss.ping_interval_ms") &&
        !bad(ld, "wss.pong_timeout_ms"))
        cfg_fault(ld, cfg_line_of(ld, "wss.pong_timeout_ms"), "wss.pong_timeout_ms",
                  "%u is longer than wss.ping_interval_ms (%u); make it shorter",
                  (unsigned)w->pong_timeout_ms, (unsigned)w->ping_interval_ms);
    for (size_t i = 0; i < w->n_listen; i++)
        for (size_t j = 0; j < i; j++)
            if (same_addr(&w->listen[i], &w->listen[j]))
                cfg_fault(ld, cfg_line_of(ld, "wss.listen"), "wss.listen", "%s stands twice; remove one",
                          epc_addr_text(&w->listen[i], text));
    for (size_t i = 0; i < w->n_origins; i++)
        for (size_t j = 0; j < i; j++)
            if (w->origins[i].origin && w->origins[j].origin &&
                strcmp(w->origins[i].origin, w->origins[j].origin) == 0) {
                cfg_fault(ld, cfg_item_line(ld, "wss.origins", i, "origin"), "wss.origins",
                          "%s stands twice; remove one", w->origins[i].origin);
                j = i;
            }
    for (size_t i = 0; i < w->n_origins; i++) {
        const struct cfg_item *it = item_of(ld, "wss.origins", i);
        if (w->origins[i].modes == 0 && it && !it->key_bad[2])
            cfg_fault(ld, cfg_item_line(ld, "wss.origins", i, "modes"), "wss.origins",
                      "no registration mode; write modes: [digest], [token] or both");
    }
}

static bool wildcard(const struct epc_addr *a)
{
    char ip[EPC_ADDR_LEN];
    epc_addr_ip(a, ip);
    return strcmp(ip, "0.0.0.0") == 0 || strcmp(ip, "::") == 0;
}

static void check_sip(struct cfg_loader *ld)
{
    const struct epc_config *c = ld->cfg;
    struct epc_addr core, icscf;
    uint32_t last = c->sip.core_port + c->shards - 1;
    if (last > 65535 && !bad(ld, "shards") && !bad(ld, "sip.core_port"))
        cfg_fault(ld, cfg_line_of(ld, "sip.core_port"), "sip.core_port",
                  "%u and %u shards need ports up to %u; choose a lower port or fewer shards",
                  (unsigned)c->sip.core_port, (unsigned)c->shards, (unsigned)last);
    if (!c->sip.core_host || epc_addr_parse(&core, c->sip.core_host, 1) != EPC_OK)
        return;
    if (wildcard(&core))
        cfg_fault(ld, cfg_line_of(ld, "sip.core_host"), "sip.core_host",
                  "'%s' stands in Via and Path; write the address that the core reaches",
                  c->sip.core_host);
    else if (cfg_sip_uri_addr(c->sip.icscf, &icscf) && icscf.ss.ss_family != core.ss.ss_family)
        cfg_fault(ld, cfg_line_of(ld, "sip.icscf"), "sip.icscf",
                  "is of another address family than sip.core_host; use IPv4 or IPv6 for both");
}

static bool is_home(const struct epc_cfg_sip *c, const char *domain)
{
    for (size_t i = 0; i < c->n_home_domains; i++)
        if (strcasecmp(c->home_domains[i], domain) == 0)
            return true;
    return false;
}

static void check_redirect(struct cfg_loader *ld, size_t i)
{
    const struct epc_cfg_redirect *d = &ld->cfg->registration.redirect[i];
    if (!d->home_domain && !d->plmn)
        cfg_fault(ld, cfg_item_line(ld, "registration.redirect", i, NULL), "registration.redirect",
                  "neither home_domain nor plmn, so that nobody could register; give one of them");
    else if (d->home_domain && !d->plmn && is_home(&ld->cfg->sip, d->home_domain))
        cfg_fault(ld, cfg_item_line(ld, "registration.redirect", i, "home_domain"), "registration.redirect",
                  "%s is in sip.home_domains, so that none of its users could register here; remove it "
                  "from there or add plmn", d->home_domain);
    if (d->plmn && strcmp(d->plmn, "default") == 0)
        cfg_fault(ld, cfg_item_line(ld, "registration.redirect", i, "plmn"), "registration.redirect",
                  "plmn is default; name a network or remove it");
}

static void check_registration(struct cfg_loader *ld)
{
    const struct epc_cfg_registration *r = &ld->cfg->registration;
    static const char entity[] = "registration.authorization_entity";
    static const char param[] = "registration.authorization_entity_param";
    if (r->min_expires_s > r->max_expires_s && !bad(ld, "registration.min_expires_s") &&
        !bad(ld, "registration.max_expires_s"))
        cfg_fault(ld, cfg_line_of(ld, "registration.min_expires_s"), "registration.min_expires_s",
                  "%u is over registration.max_expires_s (%u); make it less", (unsigned)r->min_expires_s,
                  (unsigned)r->max_expires_s);
    if (r->authorization_entity && !r->authorization_entity_param && !bad(ld, param))
        cfg_fault(ld, cfg_line_of(ld, entity), entity, "is not sent without its name; give %s too", param);
    if (r->authorization_entity_param && !r->authorization_entity && !bad(ld, entity))
        cfg_fault(ld, cfg_line_of(ld, param), param, "has no value to send; give %s too", entity);
    for (size_t i = 0; i < ld->cfg->registration.n_redirect; i++)
        check_redirect(ld, i);
}

static bool has_issuer(const struct epc_cfg_tokens *t, const char *wwsf)
{
    for (size_t i = 0; i < t->n_issuers; i++)
        for (size_t j = 0; j < t->issuers[i].n_wwsfs; j++)
            if (strcmp(t->issuers[i].wwsfs[j], wwsf) == 0)
                return true;
    return false;
}

static bool issuers_bad(const struct cfg_loader *ld)
{
    for (size_t i = 0; i < ld->n_items; i++)
        for (size_t k = 0; k < CFG_MAX_ITEM_KEYS; k++)
            if (ld->items[i].key_bad[k] && strcmp(ld->items[i].list->path, "tokens.issuers") == 0)
                return true;
    return bad(ld, "tokens.issuers");
}

static void fault_issuer(struct cfg_loader *ld, size_t i, const char *key, const char *wrong)
{
    char path[64];
    snprintf(path, sizeof path, "tokens.issuers[%zu].%s", i, key);
    cfg_fault(ld, cfg_item_line(ld, "tokens.issuers", i, key), path, "%s", wrong);
}

static bool is_https(const char *url)
{
    return url && strncasecmp(url, "https://", 8) == 0;
}

static void check_issuer(struct cfg_loader *ld, size_t i)
{
    const struct epc_config *c = ld->cfg;
    const struct epc_cfg_issuer *is = &c->tokens.issuers[i];
    if (is->jwks_file && is->jwks_url)
        fault_issuer(ld, i, "jwks_url", "stands beside jwks_file; choose one source of keys");
    if (!is->jwks_file && !is->jwks_url && !is->introspection_url)
        fault_issuer(ld, i, "jwks_file",
                     "missing, and nothing else tells which tokens hold; give jwks_file, jwks_url or "
                     "introspection_url");
    if (is->introspection_url && !is->introspection_client_id)
        fault_issuer(ld, i, "introspection_url", "needs a name to ask under; give introspection_client_id too");
    if (is->introspection_url && !is->introspection_secret_file)
        fault_issuer(ld, i, "introspection_url", "needs a password; give introspection_secret_file too");
    if (!is->introspection_url && (is->introspection_client_id || is->introspection_secret_file))
        fault_issuer(ld, i, is->introspection_client_id ? "introspection_client_id" : "introspection_secret_file",
                     "has no use without introspection_url; give that too or remove the line");
    if (is->ca_file && !is_https(is->jwks_url) && !is_https(is->introspection_url))
        fault_issuer(ld, i, "ca_file", "has no use without an https URL; remove the line");
    for (size_t k = 0; k < is->n_origins; k++) {
        bool known = false;
        for (size_t n = 0; n < c->wss.n_origins; n++)
            known = known || (c->wss.origins[n].origin && strcmp(c->wss.origins[n].origin, is->origins[k]) == 0);
        if (!known)
            fault_issuer(ld, i, "origins", "names an origin that is not in wss.origins; give it there too");
    }
}

/* An opaque token does not say who issued it: its WWSF must. */
static void check_opaque(struct cfg_loader *ld, size_t i)
{
    const struct epc_cfg_tokens *t = &ld->cfg->tokens;
    const struct epc_cfg_issuer *is = &t->issuers[i];
    for (size_t k = 0; is->introspection_url && k < i; k++) {
        const struct epc_cfg_issuer *other = &t->issuers[k];
        for (size_t a = 0; other->introspection_url && a < is->n_wwsfs; a++)
            for (size_t b = 0; b < other->n_wwsfs; b++)
                if (strcmp(is->wwsfs[a], other->wwsfs[b]) == 0) {
                    fault_issuer(ld, i, "wwsfs",
                                 "names a WWSF of another issuer with introspection_url; nobody could tell "
                                 "whose opaque token it brings: use one issuer for it");
                    return;
                }
    }
}

static void check_tokens(struct cfg_loader *ld)
{
    const struct epc_config *c = ld->cfg;
    const struct epc_cfg_tokens *t = &c->tokens;
    for (size_t i = 0; i < t->n_issuers; i++)
        for (size_t j = 0; j < i; j++)
            if (t->issuers[i].issuer && t->issuers[j].issuer &&
                strcmp(t->issuers[i].issuer, t->issuers[j].issuer) == 0) {
                cfg_fault(ld, cfg_item_line(ld, "tokens.issuers", i, "issuer"), "tokens.issuers",
                          "'%s' stands twice; put all under one", t->issuers[i].issuer);
                j = i;
            }
    if (t->n_issuers == 0 || issuers_bad(ld))
        return;
    for (size_t i = 0; i < t->n_issuers; i++) {
        check_issuer(ld, i);
        check_opaque(ld, i);
    }
    for (size_t i = 0; i < c->wss.n_origins; i++) {
        const struct epc_cfg_origin *o = &c->wss.origins[i];
        if ((o->modes & EPC_MODE_TOKEN) && o->wwsf && !has_issuer(t, o->wwsf))
            cfg_fault(ld, cfg_item_line(ld, "wss.origins", i, "wwsf"), "wss.origins",
                      "no issuer serves WWSF '%s'; put it into the wwsfs of one of tokens.issuers",
                      o->wwsf);
    }
}

/* ---- pools -------------------------------------------------------------------------------------------- */

static void pool_fault(void *arg, size_t i, const char *key, const char *text)
{
    struct cfg_loader *ld = arg;
    char path[64];
    snprintf(path, sizeof path, "tokens.pools[%zu].%s", i, key);
    cfg_fault(ld, cfg_item_line(ld, "tokens.pools", i, key), path, "%s", text);
}

void cfg_check_pools(struct cfg_loader *ld)
{
    struct epc_cfg_tokens *t = &ld->cfg->tokens;
    for (size_t i = 0; i < t->n_pools; i++) {
        const struct epc_cfg_pool *p = &t->pools[i];
        if (p->n_subscriptions == 0 && !p->impi_range && !p->impu_range && !p->file)
            pool_fault(ld, i, "subscriptions", "missing, and no range or file either; give one of them");
        if (p->wwsf && !issuers_bad(ld) && !has_issuer(t, p->wwsf))
            pool_fault(ld, i, "wwsf", "names a WWSF that no issuer serves; put it into the wwsfs of one of "
                                      "tokens.issuers");
    }
    if (t->n_pools == 0 || bad(ld, "tokens.pools"))
        return;
    if (epc_pools_build(&t->pool_index, t, ld->check_files, pool_fault, ld) != EPC_OK)
        ld->no_memory = true;
}

static void check_wwsf_tokens(struct cfg_loader *ld)
{
    const struct epc_cfg_wwsf *w = &ld->cfg->wwsf;
    const struct epc_cfg_tokens *t = &ld->cfg->tokens;
    for (size_t i = 0; i < t->n_issuers; i++) {
        const struct epc_cfg_issuer *is = &t->issuers[i];
        if (!w->issuer || !is->issuer || strcmp(w->issuer, is->issuer) != 0)
            continue;
        if (is->jwks_file && t->keys_check_s && w->key_publish_s <= t->keys_check_s)
            cfg_fault(ld, cfg_line_of(ld, "wwsf.key_publish_s"), "wwsf.key_publish_s",
                      "%u is not over tokens.keys_check_s (%u), so that a new key could sign before it is "
                      "known; make it more", (unsigned)w->key_publish_s, (unsigned)t->keys_check_s);
        if (w->token_lifetime_s > is->max_lifetime_s)
            cfg_fault(ld, cfg_line_of(ld, "wwsf.token_lifetime_s"), "wwsf.token_lifetime_s",
                      "%u is over max_lifetime_s of that issuer (%u); make it less",
                      (unsigned)w->token_lifetime_s, (unsigned)is->max_lifetime_s);
        if (w->audience && is->audience && strcmp(w->audience, is->audience) != 0)
            cfg_fault(ld, cfg_item_line(ld, "tokens.issuers", i, "audience"), "tokens.issuers",
                      "audience '%s' is not the embedded WWSF's '%s'; make them the same", is->audience,
                      w->audience);
    }
}

static void check_wwsf_keys(struct cfg_loader *ld)
{
    const struct epc_cfg_wwsf *w = &ld->cfg->wwsf;
    if (w->key_rotation_s && w->key_rotation_s <= w->key_publish_s && !bad(ld, "wwsf.key_rotation_s") &&
        !bad(ld, "wwsf.key_publish_s"))
        cfg_fault(ld, cfg_line_of(ld, "wwsf.key_rotation_s"), "wwsf.key_rotation_s",
                  "%u is not over wwsf.key_publish_s (%u), so that keys would pile up; make it more",
                  (unsigned)w->key_rotation_s, (unsigned)w->key_publish_s);
    for (size_t i = 0; i < w->n_allowed_origins; i++)
        if (w->public_url && strcmp(w->allowed_origins[i], w->public_url) == 0)
            cfg_fault(ld, cfg_line_of(ld, "wwsf.allowed_origins"), "wwsf.allowed_origins",
                      "%s is wwsf.public_url, whose page needs no leave; remove it", w->public_url);
}

/* One in another is an exception to it; ranges that cross, or two ranges, leave open which counts. */
static bool ambiguous(const struct epc_plmn_range *a, const struct epc_plmn_range *b)
{
    return epc_plmn_ranges_overlap(a, b) && !epc_plmn_ranges_equal(a, b) &&
           a->first.mnc != a->last.mnc && b->first.mnc != b->last.mnc;
}

static void check_plmn(struct cfg_loader *ld, size_t i)
{
    const struct epc_cfg_plmn *p = &ld->cfg->wwsf.plmn[i];
    struct epc_plmn_range mine, other;
    if (!p->plmn || !p->url || epc_plmn_range_parse(epc_str_c(p->plmn), &mine))
        return;
    if (!mine.first.given && p->match != EPC_PLMN_EITHER)
        cfg_fault(ld, cfg_item_line(ld, "wwsf.plmn", i, "match"), "wwsf.plmn",
                  "match has no meaning with default; remove it");
    for (size_t j = 0; j < i; j++) {
        const struct epc_cfg_plmn *q = &ld->cfg->wwsf.plmn[j];
        if (!q->plmn || !q->url || p->match != q->match || epc_plmn_range_parse(epc_str_c(q->plmn), &other))
            continue;
        if (ambiguous(&mine, &other)) {
            cfg_fault(ld, cfg_item_line(ld, "wwsf.plmn", i, "plmn"), "wwsf.plmn",
                      "%s overlaps %s; make the ranges disjoint", p->plmn, q->plmn);
            return;
        }
        if (epc_plmn_ranges_equal(&mine, &other) && strcmp(p->url, q->url) == 0) {
            cfg_fault(ld, cfg_item_line(ld, "wwsf.plmn", i, "plmn"), "wwsf.plmn",
                      "%s stands twice with %s; remove one", p->plmn, p->url);
            return;
        }
    }
}

static void check_wwsf(struct cfg_loader *ld)
{
    const struct epc_config *c = ld->cfg;
    const struct epc_cfg_wwsf *w = &c->wwsf;
    if (!w->enabled)
        return;
    for (size_t i = 0; i < c->wss.n_listen; i++)
        if (same_addr(&w->listen, &c->wss.listen[i]))
            cfg_fault(ld, cfg_line_of(ld, "wwsf.listen"), "wwsf.listen",
                      "is also in wss.listen; choose another port");
    for (size_t i = 0; i < w->n_plmn; i++)
        check_plmn(ld, i);
    check_wwsf_tokens(ld);
    check_wwsf_keys(ld);
}

static void check_admin(struct cfg_loader *ld)
{
    const struct epc_config *c = ld->cfg;
    bool taken = c->wwsf.enabled && same_addr(&c->admin.metrics_listen, &c->wwsf.listen);
    for (size_t i = 0; i < c->wss.n_listen; i++)
        taken = taken || same_addr(&c->admin.metrics_listen, &c->wss.listen[i]);
    if (taken)
        cfg_fault(ld, cfg_line_of(ld, "admin.metrics_listen"), "admin.metrics_listen",
                  "is also in wss.listen or wwsf.listen; choose another port");
}

void cfg_check_relations(struct cfg_loader *ld)
{
    check_wss(ld);
    check_sip(ld);
    check_registration(ld);
    check_tokens(ld);
    check_wwsf(ld);
    check_admin(ld);
    cfg_check_calls(ld);
    cfg_check_iq(ld);
    cfg_check_policy(ld);
    cfg_check_h248(ld);
}
