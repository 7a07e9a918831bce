/* REGISTER towards the core (TS 24.229 5.2.2, TS 33.203 Annex U). */
#include "registration/registration_priv.h"

#include <stdlib.h>
#include <string.h>

static void add_quoted_param(struct epc_buf *b, const char *name, const char *value)
{
    epc_buf_adds(b, ", ");
    epc_buf_adds(b, name);
    epc_buf_adds(b, "=\"");
    for (;;) {
        size_t n = strcspn(value, "\"\\");
        epc_buf_add(b, value, n);
        value += n;
        if (!*value)
            break;
        epc_buf_adds(b, "\\");
        epc_buf_add(b, value++, 1);
    }
    epc_buf_adds(b, "\"");
}

/* Puts the header whose value is in @p b, and empties that. */
static enum epc_err put_line(msg_t *msg, const char *name, struct epc_buf *b)
{
    enum epc_err err = b->failed ? EPC_ENOMEM : epc_sip_put(msg, name, (struct epc_str){b->p, b->n});
    b->n = 0;
    return err;
}

static void remove_all(msg_t *msg, const void *list)
{
    msg_header_t *const *first = list;
    while (*first && msg_header_remove(msg, (msg_pub_t *)(void *)reg_sip_of(msg), *first) == 0)
        ;
}

struct shell {
    const char *username, *home;
    const char *integrity; /* NULL: none */
    const char *algorithm; /* NULL: none */
    const char *waf;       /* authorization-entity; NULL: none */
};

/* Digest credentials without an answer to any challenge. */
static enum epc_err add_shell(const struct epc_cfg_registration *cfg, msg_t *msg, const struct shell *sh)
{
    struct epc_buf b = {0};
    epc_buf_adds(&b, "Digest username=\"");
    epc_buf_adds(&b, sh->username);
    epc_buf_adds(&b, "\", realm=\"");
    epc_buf_adds(&b, sh->home);
    epc_buf_adds(&b, "\", nonce=\"\", uri=\"sip:");
    epc_buf_adds(&b, sh->home);
    epc_buf_adds(&b, "\", response=\"\"");
    if (sh->algorithm) {
        epc_buf_adds(&b, ", algorithm=");
        epc_buf_adds(&b, sh->algorithm);
    }
    if (sh->integrity)
        add_quoted_param(&b, "integrity-protected", sh->integrity);
    if (sh->waf && cfg->authorization_entity_param && *cfg->authorization_entity_param)
        add_quoted_param(&b, cfg->authorization_entity_param, sh->waf);
    enum epc_err err = put_line(msg, "Authorization", &b);
    epc_buf_free(&b);
    return err;
}

/* The option tag, in the list that is there or in one of its own. */
static enum epc_err add_tag(msg_t *msg, const char *name, msg_list_t *list, const char *tag)
{
    if (sip_has_feature(list, tag))
        return EPC_OK;
    if (!list)
        return epc_sip_put(msg, name, epc_str_c(tag));
    msg_fragment_clear(list->k_common);
    return msg_params_add(msg_home(msg), &list->k_items, tag) < 0 ? EPC_ENOMEM : EPC_OK;
}

/* Type 1 IOI: TS 24.229 7.2A.5. */
static enum epc_err add_charging(const struct epc_cfg_sip *cfg, msg_t *msg, struct epc_buf *b)
{
    bool v6 = strchr(cfg->core_host, ':') && cfg->core_host[0] != '[';
    char icid[33];
    epc_random_hex(icid, 16);
    epc_buf_adds(b, "icid-value=");
    epc_buf_add(b, icid, sizeof icid - 1);
    epc_buf_adds(b, v6 ? ";icid-generated-at=[" : ";icid-generated-at=");
    epc_buf_adds(b, cfg->core_host);
    epc_buf_adds(b, v6 ? "]" : "");
    if (cfg->ioi && *cfg->ioi) {
        epc_buf_adds(b, ";orig-ioi=\"Type 1");
        epc_buf_adds(b, cfg->ioi);
        epc_buf_adds(b, "\"");
    }
    return put_line(msg, "P-Charging-Vector", b);
}

/* Path, charging and the network that the WIC visits: the same for whoever plays the UE. What the WIC says
 * of these has gone by the trust-domain table. */
static enum epc_err dress(struct epc_reg *r, msg_t *msg, uint64_t flow_id, const char *token, bool ob)
{
    const struct epc_cfg_sip *cfg = &r->cfg->sip;
    sip_t *sip = reg_sip_of(msg);
    struct epc_buf b = {0};
    remove_all(msg, &sip->sip_route);
    enum epc_err err = epc_sip_put_path(r->sip, msg, token, ob);
    if (err == EPC_OK)
        err = add_tag(msg, "Require", sip->sip_require, "path");
    if (err == EPC_OK)
        err = add_tag(msg, "Supported", sip->sip_supported, "path");
    epc_buf_adds(&b, "\"");
    epc_buf_adds(&b, cfg->visited_network ? cfg->visited_network : "");
    epc_buf_adds(&b, "\"");
    if (err == EPC_OK)
        err = put_line(msg, "P-Visited-Network-ID", &b);
    if (err == EPC_OK) {
        b.n = 0;
        err = add_charging(cfg, msg, &b);
    }
    epc_buf_free(&b);
    const char *access = r->access ? r->access(r->access_arg, flow_id) : NULL;
    if (err == EPC_OK && access) /* what the network knows */
        err = epc_sip_put(msg, "P-Access-Network-Info", epc_str_c(access));
    return err;
}

/* TS 24.229 7.2A.2: what this node says about the TLS connection below a Digest registration. */
static const char *digest_integrity(const struct reg_tx *tx)
{
    if (tx->aka)
        return "tls-connected"; /* IMS AKA over TLS, with and without an answer (5.4.1.1 item 2A) */
    if (tx->rec->grant)
        return "tls-yes";
    return tx->has_response ? "tls-pending" : NULL;
}

static enum epc_err set_digest(const struct reg_tx *tx, msg_t *msg)
{
    const struct epc_cfg_registration *cfg = &tx->rec->r->cfg->registration;
    const char *integrity = digest_integrity(tx);
    sip_authorization_t *au = reg_sip_of(msg)->sip_authorization;
    if (!au)
        return add_shell(cfg, msg,
                         &(struct shell){.username = tx->username,
                                         .home = tx->home,
                                         .integrity = integrity,
                                         .algorithm = tx->aka ? "AKAv2-SHA-256" : NULL});
    /* Ours alone to say, as is integrity-protected, which the header policy has removed. */
    if (cfg->authorization_entity_param)
        while (msg_header_remove_param((msg_common_t *)au, cfg->authorization_entity_param) > 0)
            ;
    if (integrity) {
        const char *param = su_sprintf(msg_home(msg), "integrity-protected=\"%s\"", integrity);
        if (!param || msg_header_replace_param(msg_home(msg), (msg_common_t *)au, param) < 0)
            return EPC_ENOMEM;
    }
    msg_fragment_clear(au->au_common);
    return EPC_OK;
}

/* @p waf of the token's issuer, NULL: the configured one */
static enum epc_err set_tna(const struct epc_reg *r, msg_t *msg, const char *impi, const char *home,
                            const char *waf)
{
    const struct epc_cfg_registration *cfg = &r->cfg->registration;
    const char *integrity = cfg->tna_integrity_protected ? cfg->tna_integrity_protected : "auth-done";
    remove_all(msg, &reg_sip_of(msg)->sip_authorization);
    remove_all(msg, &reg_sip_of(msg)->sip_proxy_authorization);
    return add_shell(cfg, msg,
                     &(struct shell){.username = impi,
                                     .home = home,
                                     .integrity = integrity,
                                     .waf = waf ? waf : cfg->authorization_entity});
}

static enum epc_err set_contact_expires(msg_t *msg, sip_contact_t *c, uint32_t expires_s)
{
    struct epc_buf b = {0};
    epc_buf_adds(&b, "expires=");
    epc_buf_addu(&b, expires_s);
    const char *param = b.failed ? NULL : su_strdup(msg_home(msg), b.p);
    epc_buf_free(&b);
    if (!param || msg_header_replace_param(msg_home(msg), (msg_common_t *)c, param) < 0)
        return EPC_ENOMEM;
    msg_fragment_clear(c->m_common);
    return EPC_OK;
}

/* The registered Contact gets what we ask for; one that is removed must say so itself, as the header
 * Expires speaks for all that say nothing. */
static enum epc_err set_expires(const struct reg_tx *tx, msg_t *msg)
{
    sip_contact_t *c = reg_sip_of(msg)->sip_contact;
    const sip_contact_t *asked = epc_sip_in_sip(tx->in)->sip_contact;
    bool several = c && c->m_next;
    enum epc_err err = EPC_OK;
    for (; err == EPC_OK && c && asked; c = c->m_next, asked = asked->m_next) {
        if (asked == tx->contact ? c->m_expires || several : several)
            err = set_contact_expires(msg, c, asked == tx->contact ? tx->expires_s : 0);
    }
    if (err != EPC_OK)
        return err;
    sip_expires_t *ex = reg_sip_of(msg)->sip_expires;
    if (ex) {
        ex->ex_date = 0;
        ex->ex_delta = tx->expires_s;
        msg_fragment_clear(ex->ex_common);
        return EPC_OK;
    }
    struct epc_buf b = {0};
    epc_buf_addu(&b, tx->expires_s);
    err = put_line(msg, "Expires", &b);
    epc_buf_free(&b);
    return err;
}

/* Leaving without a token goes under the name of the one that came in with it. */
static const char *waf_of(const struct reg_tx *tx)
{
    return tx->id ? tx->id->waf : tx->rec->grant ? tx->rec->grant->waf : NULL;
}

/* Made once: the flow and its token stay the same. */
static const char *token_of(struct reg_record *rec)
{
    if (!rec->token[0])
        epc_sip_flow_token(rec->r->sip, rec->flow_id, rec->token);
    return rec->token;
}

static enum epc_err make_request(const struct reg_tx *tx, msg_t **out, struct epc_cause *cause)
{
    struct epc_reg *r = tx->rec->r;
    enum epc_err err = EPC_ENOMEM;
    msg_t *msg = epc_sip_in_dup(tx->in);
    if (!msg)
        goto out;
    epc_sip_policy_apply(msg, EPC_DIR_WIC_REQ);
    if (!epc_sip_max_forwards(msg)) {
        epc_cause_set(cause, 483, "RFC 3261 16.3", "Too Many Hops");
        err = EPC_EPROTO;
        goto out;
    }
    err = tx->mode == EPC_MODE_TOKEN ? set_tna(r, msg, tx->impi, tx->home, waf_of(tx)) : set_digest(tx, msg);
    if (err == EPC_OK)
        err = dress(r, msg, tx->rec->flow_id, token_of(tx->rec), tx->ob);
    if (err == EPC_OK && tx->kind == REG_EV_REGISTER)
        err = set_expires(tx, msg);
out:
    if (err == EPC_OK) {
        *out = msg;
        return EPC_OK;
    }
    if (msg)
        msg_destroy(msg);
    if (!cause->sip_status)
        epc_cause_set(cause, 500, NULL, "Server Internal Error");
    return err;
}

void reg_forward(struct reg_tx *tx)
{
    struct reg_record *rec = tx->rec;
    struct epc_reg *r = rec->r;
    struct epc_cause cause = {0};
    msg_t *msg = NULL;
    enum epc_err err = make_request(tx, &msg, &cause);
    if (err == EPC_OK) {
        struct epc_sip_dest dest = {.leg = EPC_LEG_CORE, .next_hop = r->cfg->sip.icscf};
        err = epc_sip_out_send(&tx->out, r->sip, &dest, &msg, reg_on_response, tx);
        if (err != EPC_OK) {
            tx->out = NULL;
            epc_log(EPC_LOG_ERROR, "registration", "event=core_unreachable next_hop=\"%s\" reason=\"%s\"",
                    r->cfg->sip.icscf ? r->cfg->sip.icscf : "", epc_err_name(err));
            epc_cause_set(&cause, 500, "RFC 3261 16.9", "Core Not Reachable");
            if (msg)
                msg_destroy(msg);
        }
    }
    if (err != EPC_OK) {
        reg_refuse(tx, &cause, NULL);
        return;
    }
    reg_event(rec, tx->kind);
}

/* ---- de-registration of our own ------------------------------------------------------------- */

/* Nobody waits for it: only a lack of trust is worth a word. */
static void on_own_response(void *arg, struct epc_sip_out *out, int status, msg_t *resp)
{
    (void)arg;
    (void)out;
    if (status == 401 || status == 407)
        epc_count(EPC_C_REG_TNA_CHALLENGED);
    if (status >= 300)
        epc_log(EPC_LOG_WARN, "registration", "event=core_deregistration_failed status=%d", status);
    if (resp)
        msg_destroy(resp);
}

void reg_core_deregister_one(struct epc_reg *r, uint64_t flow_id, const struct reg_grant *g,
                             const char *aor)
{
    if (reg_roll_contested(r, flow_id, g->key))
        return;
    char tag[17], call_id[33], token[EPC_SIP_TOKEN_LEN];
    struct epc_buf uri = {0}, from = {0}, to = {0}, extra = {0};
    struct epc_sip_out *out = NULL;
    msg_t *msg = NULL;
    enum epc_err err = EPC_ENOMEM;
    epc_random_hex(tag, 8);
    epc_random_hex(call_id, 16);
    epc_sip_flow_token(r->sip, flow_id, token);
    epc_buf_printf(&uri, "sip:%s", g->home);
    epc_buf_printf(&from, "<%s>;tag=%s", aor, tag);
    epc_buf_printf(&to, "<%s>", aor);
    epc_buf_printf(&extra, "Contact: <%s>%s;expires=0\r\nExpires: 0\r\n", g->contact, g->contact_params);
    if (!uri.failed && !from.failed && !to.failed && !extra.failed)
        msg = epc_sip_request(&(struct epc_sip_parts){.method = "REGISTER",
                                                      .request_uri = uri.p,
                                                      .from = from.p,
                                                      .to = to.p,
                                                      .call_id = call_id,
                                                      .cseq = 1,
                                                      .extra = extra.p});
    if (msg)
        err = set_tna(r, msg, g->impi, g->home, g->waf);
    if (err == EPC_OK)
        err = dress(r, msg, flow_id, token, g->ob);
    if (err == EPC_OK) {
        struct epc_sip_dest dest = {.leg = EPC_LEG_CORE, .next_hop = r->cfg->sip.icscf};
        err = epc_sip_out_send(&out, r->sip, &dest, &msg, on_own_response, NULL);
    }
    if (err != EPC_OK)
        epc_log(EPC_LOG_WARN, "registration", "event=core_deregistration_failed reason=\"%s\"",
                epc_err_name(err));
    if (msg)
        msg_destroy(msg);
    epc_buf_free(&uri);
    epc_buf_free(&from);
    epc_buf_free(&to);
    epc_buf_free(&extra);
}

void reg_core_deregister(struct epc_reg *r, uint64_t flow_id, const struct reg_grant *g)
{
    uint64_t now = epc_now_ms();
    for (size_t i = 0; i < g->n_sets; i++) {
        if (g->sets[i].core_expires_at_ms > now)
            reg_core_deregister_one(r, flow_id, g, g->sets[i].aor);
    }
}
