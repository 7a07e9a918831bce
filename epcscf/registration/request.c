/* What a WIC's REGISTER says, and the checks that both modes share. */
#include "registration/registration_priv.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static struct epc_str unquote(struct epc_str s)
{
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
        return (struct epc_str){s.p + 1, s.n - 2};
    return s;
}

struct epc_str reg_param(const void *header, const char *name)
{
    const char *v = msg_header_find_param((const msg_common_t *)header, name);
    return v ? unquote(epc_str_c(v)) : EPC_STR_NULL;
}

struct epc_str reg_next_item(struct epc_str *rest)
{
    struct epc_str all = *rest;
    bool quoted = false, angle = false;
    for (size_t i = 0; i < all.n; i++) {
        char c = all.p[i];
        if (quoted && c == '\\' && i + 1 < all.n)
            i++;
        else if (c == '"' && !angle)
            quoted = !quoted;
        else if (!quoted && (c == '<' || c == '>'))
            angle = c == '<';
        else if (!quoted && !angle && c == ',') {
            *rest = (struct epc_str){all.p + i + 1, all.n - i - 1};
            return epc_str_trim((struct epc_str){all.p, i});
        }
    }
    *rest = EPC_STR_NULL;
    return epc_str_trim(all);
}

struct epc_str reg_item_uri(struct epc_str item)
{
    const char *open = item.n ? memchr(item.p, '<', item.n) : NULL;
    if (!open)
        return epc_str_trim(epc_str_cut(&item, ';'));
    struct epc_str rest = {open + 1, item.n - (size_t)(open + 1 - item.p)};
    return epc_str_trim(epc_str_cut(&rest, '>'));
}

/* The field's value again, from what sofia-sip made of it: scheme and comma-separated rest. */
static char *credential_text(const sip_authorization_t *au)
{
    struct epc_buf b = {0};
    epc_buf_adds(&b, au->au_scheme ? au->au_scheme : "");
    epc_buf_add(&b, " ", 1);
    for (size_t i = 0; au->au_params && au->au_params[i]; i++) {
        if (i)
            epc_buf_add(&b, ", ", 2);
        epc_buf_adds(&b, au->au_params[i]);
    }
    return epc_buf_take(&b, NULL);
}

enum epc_err reg_find_bearer(const sip_t *sip, char **token, struct epc_cause *cause)
{
    const sip_authorization_t *lists[] = {sip->sip_authorization, sip->sip_proxy_authorization};
    char *texts[REG_CREDENTIALS_MAX] = {NULL};
    struct epc_str values[REG_CREDENTIALS_MAX], found;
    enum epc_err err = EPC_OK;
    size_t n = 0;
    for (size_t k = 0; k < EPC_ARRAY_LEN(lists); k++) {
        for (const sip_authorization_t *au = lists[k]; au && err == EPC_OK; au = au->au_next) {
            if (n == REG_CREDENTIALS_MAX) {
                epc_cause_set(cause, 400, "RFC 6750 3.1", "Too Many Credentials");
                err = EPC_EPROTO;
            } else if ((texts[n] = credential_text(au))) {
                values[n] = epc_str_c(texts[n]);
                n++;
            } else {
                err = EPC_ENOMEM;
            }
        }
    }
    if (err == EPC_OK)
        err = epc_auth_find_bearer(values, n, &found, cause);
    if (err == EPC_OK && !(*token = epc_str_dup(found)))
        err = EPC_ENOMEM;
    if (err == EPC_ENOMEM)
        epc_cause_set(cause, 500, NULL, "Out Of Memory");
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    return err;
}

/* RFC 5626: instance and reg-id name the binding when both have them; else the URI does. */
bool reg_same_contact(const sip_contact_t *a, const sip_contact_t *b)
{
    struct epc_str ia = reg_param(a, "+sip.instance="), ib = reg_param(b, "+sip.instance=");
    struct epc_str ra = reg_param(a, "reg-id="), rb = reg_param(b, "reg-id=");
    if (ia.p && ib.p && ra.p && rb.p)
        return epc_str_ieq(ia, ib) && epc_str_eq(ra, rb);
    return url_cmp(a->m_url, b->m_url) == 0;
}

static char *canonical(const url_t *url)
{
    char text[1024];
    issize_t n = url_e(text, (isize_t)sizeof text, url);
    if (n <= 0 || (size_t)n >= sizeof text)
        return NULL;
    return epc_auth_canonical_impu((struct epc_str){text, (size_t)n});
}

static enum epc_err refuse(struct epc_cause *cause, int status, const char *spec, const char *why)
{
    epc_cause_set(cause, status, spec, "%s", why);
    return status == 403 ? EPC_EPOLICY : EPC_EPROTO;
}

static bool home_domain(const struct epc_cfg_sip *cfg, const char *host)
{
    for (size_t i = 0; i < cfg->n_home_domains; i++) {
        if (epc_str_ieqc(epc_str_c(cfg->home_domains[i]), host))
            return true;
    }
    return false;
}

static enum epc_err read_addresses(struct reg_tx *tx, const sip_t *sip, struct epc_cause *cause)
{
    const url_t *target = sip->sip_request->rq_url;
    if (!sip->sip_to || !sip->sip_from || !target->url_host)
        return refuse(cause, 400, "RFC 3261 10.2", "Bad Request");
    char *from = canonical(sip->sip_from->a_url);
    tx->aor = canonical(sip->sip_to->a_url);
    bool same = from && tx->aor && strcmp(from, tx->aor) == 0;
    free(from);
    if (!tx->aor)
        return refuse(cause, 403, "TS 24.229 5.1.1.2", "To is no public identity");
    if (!same)
        return refuse(cause, 403, "TS 24.229 5.1.1.2", "Third-party registration not allowed");
    if (target->url_user || !home_domain(&tx->rec->r->cfg->sip, target->url_host))
        return refuse(cause, 403, "TS 24.229 5.1.1.2", "Not a home network of this node");
    tx->home = epc_str_dup(epc_str_c(target->url_host));
    if (!tx->home)
        return EPC_ENOMEM;
    for (char *c = tx->home; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return EPC_OK;
}

/* The expiry that the WIC asks for: of the Contact, else of the message, else the longest. */
static enum epc_err read_expires(const struct reg_tx *tx, const sip_t *sip, const sip_contact_t *c,
                                 uint64_t *out, struct epc_cause *cause)
{
    *out = tx->rec->r->cfg->registration.max_expires_s;
    if (sip->sip_expires)
        *out = sip->sip_expires->ex_delta;
    if (c->m_expires && epc_str_u64(epc_str_c(c->m_expires), UINT32_MAX, out) != EPC_OK)
        return refuse(cause, 400, "RFC 3261 10.2.1", "Bad expires in Contact");
    return EPC_OK;
}

/* Text from a WIC that is written into a header again. */
static bool plain_text(struct epc_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == 0x7f)
            return false;
    }
    return s.n > 0 && s.n <= 253;
}

/* Instance and reg-id return in a de-registration of our own. */
static bool plain_contact(const sip_contact_t *c)
{
    struct epc_str instance = reg_param(c, "+sip.instance="), reg_id = reg_param(c, "reg-id=");
    return (!instance.p || plain_text(instance)) && (!reg_id.p || plain_text(reg_id));
}

/* "*" stands alone and removes (RFC 3261 10.2.2). */
static enum epc_err read_star(struct reg_tx *tx, const sip_t *sip, struct epc_cause *cause)
{
    tx->kind = REG_EV_DEREGISTER;
    if (sip->sip_contact->m_next)
        return refuse(cause, 400, "RFC 3261 10.3", "Contact * stands alone");
    if (!sip->sip_expires || sip->sip_expires->ex_delta != 0)
        return refuse(cause, 400, "RFC 3261 10.3", "Contact * needs Expires 0");
    return EPC_OK;
}

bool reg_own_contact(const struct reg_grant *g, const sip_contact_t *c)
{
    char uri[1024];
    issize_t n = url_e(uri, (isize_t)sizeof uri, c->m_url);
    if (n > 0 && (size_t)n < sizeof uri && strcmp(uri, g->contact) == 0)
        return true;
    char *key = reg_key(g->impi, c);
    bool own = !key || strcmp(key, g->key) == 0;
    free(key);
    return own;
}

/* Removing contacts of other connections leaves this one's binding alone. */
static void choose_removed(struct reg_tx *tx, const sip_t *sip)
{
    const struct reg_grant *g = tx->rec->grant;
    tx->kind = REG_EV_DEREGISTER;
    tx->contact = sip->sip_contact;
    if (!g)
        return;
    while (tx->contact && !reg_own_contact(g, tx->contact))
        tx->contact = tx->contact->m_next;
    if (!tx->contact) {
        tx->kind = REG_EV_QUERY;
        tx->contact = sip->sip_contact;
    }
}

static bool removed_too(const struct reg_tx *tx, const sip_t *sip)
{
    for (const sip_contact_t *c = sip->sip_contact; c; c = c->m_next) {
        if (c != tx->contact && reg_same_contact(c, tx->contact))
            return true;
    }
    return false;
}

/* The one Contact that this connection is to be reached by; all others may only be removals. */
static enum epc_err find_registered(struct reg_tx *tx, const sip_t *sip, uint64_t *expires_s,
                                    struct epc_cause *cause)
{
    size_t n = 0;
    for (const sip_contact_t *c = sip->sip_contact; c; c = c->m_next) {
        uint64_t s = 0;
        if (++n > REG_CONTACTS_MAX)
            return refuse(cause, 400, "RFC 3261 10.3", "Too Many Contacts");
        if (c->m_url->url_type == url_any)
            return refuse(cause, 400, "RFC 3261 10.3", "Contact * stands alone");
        if (!plain_contact(c))
            return refuse(cause, 400, "RFC 5626 4.1", "Bad instance or reg-id");
        enum epc_err err = read_expires(tx, sip, c, &s, cause);
        if (err != EPC_OK)
            return err;
        if (s == 0)
            continue;
        if (tx->contact)
            return refuse(cause, 400, "RFC 5626 4.2", "One Contact for each connection");
        tx->contact = c;
        *expires_s = s;
    }
    if (tx->contact && removed_too(tx, sip))
        return refuse(cause, 400, "RFC 3261 10.3", "The same Contact registered and removed");
    return EPC_OK;
}

static enum epc_err read_contact(struct reg_tx *tx, const sip_t *sip, struct epc_cause *cause)
{
    const struct epc_cfg_registration *cfg = &tx->rec->r->cfg->registration;
    uint64_t expires_s = 0;
    if (!sip->sip_contact) {
        tx->kind = REG_EV_QUERY;
        return EPC_OK;
    }
    if (sip->sip_contact->m_url->url_type == url_any)
        return read_star(tx, sip, cause);
    enum epc_err err = find_registered(tx, sip, &expires_s, cause);
    if (err != EPC_OK)
        return err;
    if (!tx->contact) {
        choose_removed(tx, sip);
        return EPC_OK;
    }
    if (expires_s < cfg->min_expires_s) {
        epc_cause_set(cause, 423, "RFC 3261 10.3", "Interval Too Brief");
        return EPC_EPROTO;
    }
    tx->kind = REG_EV_REGISTER;
    tx->expires_s = (uint32_t)(expires_s < cfg->max_expires_s ? expires_s : cfg->max_expires_s);
    tx->ob = reg_param(tx->contact, "reg-id=").p && sip_has_feature(sip->sip_supported, "outbound");
    return EPC_OK;
}

/* What the eP-CSCF alone says to the core. The header policy removes it; strict operators refuse. */
static bool forged(const struct epc_cfg_registration *cfg, const sip_authorization_t *au)
{
    for (; au; au = au->au_next) {
        if (msg_header_find_param(au->au_common, "integrity-protected") ||
            (cfg->authorization_entity_param &&
             msg_header_find_param(au->au_common, cfg->authorization_entity_param)))
            return true;
    }
    return false;
}

static enum epc_err check_forged(const struct reg_tx *tx, const sip_t *sip, struct epc_cause *cause)
{
    const struct epc_cfg_registration *cfg = &tx->rec->r->cfg->registration;
    if (!cfg->strict_integrity ||
        (!forged(cfg, sip->sip_authorization) && !forged(cfg, sip->sip_proxy_authorization)))
        return EPC_OK;
    return refuse(cause, 403, "TS 24.229 7.2A.2", "Parameter reserved to the network");
}

enum epc_err reg_read_request(struct reg_tx *tx, struct epc_cause *cause)
{
    const sip_t *sip = epc_sip_in_sip(tx->in);
    enum epc_err err = check_forged(tx, sip, cause);
    if (err == EPC_OK)
        err = read_addresses(tx, sip, cause);
    if (err == EPC_OK)
        err = read_contact(tx, sip, cause);
    if (err != EPC_OK)
        return err;
    tx->supports_path = sip_has_feature(sip->sip_supported, "path") != 0;
    return EPC_OK;
}

/* user@realm: what is missing is filled in from the home domain. */
static char *full_impi(struct epc_str username, const char *home)
{
    struct epc_buf b = {0};
    epc_buf_addstr(&b, username);
    if (!username.n || !memchr(username.p, '@', username.n))
        epc_buf_printf(&b, "@%s", home);
    return epc_buf_take(&b, NULL);
}

/* Without Authorization (browsers' stacks send none at first): the identity bound to the flow, else
 * the one derived from the public identity (TS 24.229 5.1.1.1A, TS 23.003 13.3). */
static char *derived_username(const struct reg_tx *tx)
{
    if (tx->rec->grant && tx->rec->grant->username)
        return epc_str_dup(epc_str_c(tx->rec->grant->username));
    const char *user = strchr(tx->aor, ':') + 1;
    return full_impi(epc_str_c(user), tx->home);
}

/* TS 33.203 N.1: no Digest from 3GPP-defined access networks. */
static bool over_3gpp_access(const sip_t *sip)
{
    for (const sip_unknown_t *u = sip->sip_unknown; u; u = u->un_next) {
        struct epc_str rest = epc_str_c(u->un_value);
        if (!u->un_name || !epc_str_ieqc(epc_str_c(u->un_name), "P-Access-Network-Info"))
            continue;
        while (rest.p) {
            struct epc_str item = reg_next_item(&rest);
            if (item.n >= 5 && epc_str_ieqc((struct epc_str){item.p, 5}, "3GPP-"))
                return true;
        }
    }
    return false;
}

static enum epc_err check_owner(const struct reg_tx *tx, struct epc_cause *cause)
{
    const struct reg_record *rec = tx->rec;
    if (rec->grant && strcmp(rec->grant->impi, tx->impi) != 0)
        return refuse(cause, 403, "TS 24.229 5.2.2.5", "Connection belongs to another identity");
    if (!rec->grant && rec->challenged && tx->has_response && strcmp(rec->challenged, tx->impi) != 0)
        return refuse(cause, 403, "TS 24.229 5.2.2.5", "Not the identity that was challenged");
    return EPC_OK;
}

enum epc_err reg_read_digest(struct reg_tx *tx, struct epc_cause *cause)
{
    const sip_authorization_t *au = epc_sip_in_sip(tx->in)->sip_authorization;
    const struct epc_cfg_registration *cfg = &tx->rec->r->cfg->registration;
    if (au && (au->au_next || !au->au_scheme || !epc_str_ieqc(epc_str_c(au->au_scheme), "Digest")))
        return refuse(cause, 400, "RFC 3261 22.3", "Unsupported Credentials");
    if (au) {
        struct epc_str username = reg_param(au, "username=");
        if (!plain_text(username))
            return refuse(cause, 400, "RFC 3261 22.4", "Digest without usable username");
        tx->has_authorization = true;
        tx->has_response = reg_param(au, "response=").n > 0;
        tx->aka = epc_str_ieqc(reg_param(au, "algorithm="), "AKAv2-SHA-256");
        tx->username = epc_str_dup(username);
    } else {
        tx->aka = tx->rec->grant && tx->rec->grant->aka;
        tx->username = derived_username(tx);
    }
    if (cfg->digest_deny_3gpp_access && !tx->aka && over_3gpp_access(epc_sip_in_sip(tx->in)))
        return refuse(cause, 403, "TS 33.203 N.1", "Digest not allowed from this access network");
    tx->impi = tx->username ? full_impi(epc_str_c(tx->username), tx->home) : NULL;
    if (!tx->impi)
        return EPC_ENOMEM;
    return check_owner(tx, cause);
}
