/* The choice of the mode (TS 23.228 U.2.1), and what each asks of a REGISTER before it goes on. */
#include "registration/roll_priv.h"

#include <stdlib.h>
#include <string.h>

static void refuse_with(struct reg_tx *tx, int status, const char *spec, const char *why)
{
    struct epc_cause cause = {0};
    epc_cause_set(&cause, status, spec, "%s", why);
    reg_refuse(tx, &cause, NULL);
}

/* ---- token mode ----------------------------------------------------------------------------- */

static bool granted_by_token(const struct epc_identity *id, const char *aor)
{
    for (size_t i = 0; i < id->n_impus; i++) {
        if (strcmp(id->impus[i], aor) == 0)
            return true;
    }
    return false;
}

static void token_accepted(struct reg_tx *tx)
{
    const struct reg_record *rec = tx->rec;
    const char *realm = strchr(tx->id->impi, '@') + 1;
    if (!granted_by_token(tx->id, tx->aor)) {
        refuse_with(tx, 403, "TS 33.203 X.4.1", "Identity not allowed");
        return;
    }
    if (!epc_str_ieqc(epc_str_c(realm), tx->home)) {
        refuse_with(tx, 403, "TS 24.229 5.1.1.2", "Not the home domain of the private identity");
        return;
    }
    if (rec->grant && strcmp(rec->grant->impi, tx->id->impi) != 0) {
        refuse_with(tx, 403, "TS 24.229 5.2.2", "Connection belongs to another identity");
        return;
    }
    uint64_t now = epc_wall_s();
    uint64_t rest = tx->id->expires_at_s > now ? tx->id->expires_at_s - now : 0;
    if (tx->kind == REG_EV_REGISTER && rest < rec->r->cfg->registration.min_expires_s) {
        reg_challenge(tx, "invalid_token"); /* ends too soon for any registration */
        return;
    }
    if (tx->kind == REG_EV_REGISTER && rest < tx->expires_s) {
        tx->expires_s = (uint32_t)rest;
        tx->capped = true;
    }
    tx->impi = epc_str_dup(epc_str_c(tx->id->impi));
    if (!tx->impi) {
        refuse_with(tx, 500, NULL, "Out Of Memory");
        return;
    }
    reg_replay_check(tx);
}

static void on_verified(void *arg, enum epc_err err, struct epc_identity *id,
                        const struct epc_cause *cause, const char *www_authenticate)
{
    struct reg_tx *tx = arg;
    tx->verifying = NULL;
    tx->id = id;
    if (!tx->rec->flow_open)
        reg_tx_end(tx); /* nobody is left to answer */
    else if (err != EPC_OK)
        reg_refuse(tx, cause, www_authenticate);
    else
        token_accepted(tx);
}

/* Leaving needs no valid token: the flow says who leaves, and only its own binding ends. */
static void leave_by_flow(struct reg_tx *tx)
{
    const struct reg_grant *g = tx->rec->grant;
    if (reg_set_of(g, tx->aor) == g->n_sets || strcmp(g->home, tx->home) != 0) {
        refuse_with(tx, 403, "TS 33.203 X.4.1", "Identity not allowed");
        return;
    }
    tx->impi = epc_str_dup(epc_str_c(g->impi));
    if (!tx->impi) {
        refuse_with(tx, 500, NULL, "Out Of Memory");
        return;
    }
    reg_forward(tx);
}

static void handle_token(struct reg_tx *tx, struct epc_str token, const struct epc_cfg_origin *origin)
{
    const struct reg_grant *g = tx->rec->grant;
    struct epc_auth *auth = tx->rec->r->auth;
    tx->mode = EPC_MODE_TOKEN;
    if (g && g->mode == EPC_MODE_TOKEN && tx->kind == REG_EV_DEREGISTER) {
        leave_by_flow(tx);
        return;
    }
    /* tx is gone when NULL comes back: on_verified() has run. */
    struct epc_auth_pending *p = epc_auth_verify(auth, token, origin, on_verified, tx);
    if (p)
        tx->verifying = p;
}

/* ---- Digest mode ---------------------------------------------------------------------------- */

static void handle_without_token(struct reg_tx *tx, unsigned modes)
{
    const struct reg_grant *g = tx->rec->grant;
    struct epc_cause cause = {0};
    if (g && g->mode == EPC_MODE_TOKEN) {
        tx->mode = EPC_MODE_TOKEN;
        if (tx->kind == REG_EV_DEREGISTER)
            leave_by_flow(tx);
        else
            reg_challenge(tx, NULL);
        return;
    }
    if (!(modes & EPC_MODE_DIGEST)) {
        if (modes & EPC_MODE_TOKEN)
            reg_challenge(tx, NULL);
        else
            refuse_with(tx, 403, "TS 23.228 U.2.1", "No registration from this Origin");
        return;
    }
    tx->mode = EPC_MODE_DIGEST;
    enum epc_err err = reg_read_digest(tx, &cause);
    if (err == EPC_OK) {
        reg_claim(tx);
        return;
    }
    if (!cause.sip_status)
        epc_cause_set(&cause, 500, NULL, "Out Of Memory");
    reg_refuse(tx, &cause, NULL);
}

/* ---- mode ----------------------------------------------------------------------------------- */

unsigned reg_modes(const struct epc_reg *r, const struct epc_cfg_origin *origin)
{
    if (origin)
        return origin->modes;
    return EPC_MODE_DIGEST | (r->cfg->tokens.n_issuers > 0 ? (unsigned)EPC_MODE_TOKEN : 0u);
}

void reg_choose_mode(struct reg_tx *tx, const struct epc_cfg_origin *origin)
{
    struct epc_cause cause = {0};
    unsigned modes = reg_modes(tx->rec->r, origin);
    char *token = NULL;
    switch (reg_find_bearer(epc_sip_in_sip(tx->in), &token, &cause)) {
    case EPC_OK:
        if (modes & EPC_MODE_TOKEN)
            handle_token(tx, epc_str_c(token), origin);
        else
            refuse_with(tx, 403, "TS 23.228 U.2.1", "Tokens not allowed from this Origin");
        free(token);
        break;
    case EPC_ENOENT:
        handle_without_token(tx, modes);
        break;
    default:
        reg_refuse(tx, &cause, NULL);
    }
}
