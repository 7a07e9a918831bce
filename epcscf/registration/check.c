/* May a request other than REGISTER pass? (TS 24.371 7.2, RFC 8898) */
#include "registration/registration_priv.h"

#include <stdlib.h>
#include <string.h>

void reg_forget_token(struct reg_record *rec)
{
    epc_identity_free(rec->id);
    rec->id = NULL;
}

void reg_note_token(struct reg_record *rec, struct epc_identity *id)
{
    if (rec->id == id)
        return;
    if (rec->id && rec->id->token_hash != id->token_hash)
        epc_auth_superseded(rec->r->auth, rec->id);
    reg_forget_token(rec);
    rec->id = epc_identity_share(id);
}

static void end_check(struct reg_check *c)
{
    if (c->next)
        c->next->prev = c->prev;
    *c->prev = c->next;
    free(c);
}

void reg_checks_cancel(struct epc_reg *r)
{
    while (r->checks) {
        epc_auth_cancel(r->checks->verifying);
        end_check(r->checks);
    }
}

static void refuse(struct epc_reg *r, uint64_t flow_id, const struct epc_cause *cause,
                   const char *www_authenticate, epc_reg_checked_fn *done, void *arg)
{
    struct reg_record *rec = reg_record_find(r, flow_id);
    struct epc_cause too_many = {0};
    epc_log(EPC_LOG_INFO, "registration",
            "event=request_refused flow=%llx status=%d reason=\"%s\" spec=\"%s\"",
            (unsigned long long)flow_id, cause->sip_status, cause->reason, cause->spec ? cause->spec : "");
    epc_count(EPC_C_REG_REQUEST_REFUSED);
    if (rec && cause->sip_status < 500 && reg_failed_attempt(rec)) {
        epc_cause_set(&too_many, 403, "RFC 6455 7.4.1", "Too Many Failures");
        cause = &too_many;
        www_authenticate = "";
    }
    done(arg, cause->sip_status == 401 ? EPC_EAUTH : EPC_EPOLICY, NULL, cause, www_authenticate);
}

static void refuse_with(struct epc_reg *r, uint64_t flow_id, int status, const char *error,
                        const char *why, epc_reg_checked_fn *done, void *arg)
{
    struct epc_cause cause = {0};
    struct epc_flow *flow = epc_wss_flow(r->wss, flow_id);
    const struct epc_cfg_origin *origin = flow ? epc_flow_origin(flow) : NULL;
    char *header = status == 401 ? epc_auth_challenge_for(r->auth, origin, error) : NULL;
    epc_cause_set(&cause, status, status == 401 ? "RFC 8898 2.2" : "TS 24.229 5.2.6", "%s", why);
    refuse(r, flow_id, &cause, header ? header : "", done, arg);
    free(header);
}

static void on_verified(void *arg, enum epc_err err, struct epc_identity *id,
                        const struct epc_cause *cause, const char *www_authenticate)
{
    struct reg_check c = *(struct reg_check *)arg;
    struct reg_record *rec = reg_record_find(c.r, c.flow_id);
    end_check(arg);
    if (err != EPC_OK) {
        refuse(c.r, c.flow_id, cause, www_authenticate, c.done, c.arg);
    } else if (!rec || !rec->grant) {
        refuse_with(c.r, c.flow_id, 403, NULL, "Not Registered", c.done, c.arg);
    } else if (strcmp(id->impi, rec->grant->impi) != 0) {
        refuse_with(c.r, c.flow_id, 403, NULL, "Token of another identity", c.done, c.arg);
    } else {
        struct epc_cause none = {0};
        reg_note_token(rec, id);
        c.done(c.arg, EPC_OK, &rec->public, &none, "");
    }
    epc_identity_free(id);
}

static void verify(struct epc_reg *r, uint64_t flow_id, struct epc_str token,
                   const struct epc_cfg_origin *origin, epc_reg_checked_fn *done, void *arg)
{
    struct reg_check *c = calloc(1, sizeof *c);
    if (!c) {
        refuse_with(r, flow_id, 500, NULL, "Out Of Memory", done, arg);
        return;
    }
    *c = (struct reg_check){.r = r, .flow_id = flow_id, .done = done, .arg = arg};
    c->next = r->checks;
    c->prev = &r->checks;
    if (c->next)
        c->next->prev = &c->next;
    r->checks = c;
    /* c is gone when NULL comes back: on_verified() has run. */
    struct epc_auth_pending *p = epc_auth_verify(r->auth, token, origin, on_verified, c);
    if (p)
        c->verifying = p;
}

/* A registration that is over in all but name must not let anything pass. */
static bool check_expiry(struct epc_reg *r, struct reg_record *rec, epc_reg_checked_fn *done, void *arg)
{
    const struct reg_grant *g = rec->grant;
    if (g->mode == EPC_MODE_TOKEN && g->token_expires_at_s <= epc_wall_s()) {
        refuse_with(r, rec->flow_id, 401, "invalid_token", "Token expired", done, arg);
        return false;
    }
    if (g->expires_at_ms <= epc_now_ms()) {
        refuse_with(r, rec->flow_id, 403, NULL, "Registration expired", done, arg);
        return false;
    }
    return true;
}

void epc_reg_check(struct epc_reg *r, struct epc_sip_in *in, epc_reg_checked_fn *done, void *arg)
{
    EPC_ASSERT_OWNER(r->sh);
    uint64_t flow_id = epc_sip_in_flow(in);
    struct reg_record *rec = reg_record_find(r, flow_id);
    struct epc_flow *flow = epc_wss_flow(r->wss, flow_id);
    const struct epc_cfg_origin *origin = flow ? epc_flow_origin(flow) : NULL;
    struct epc_cause cause = {0};
    char *token = NULL;
    if (!rec || !rec->grant) {
        bool token_only = flow && reg_modes(r, origin) == EPC_MODE_TOKEN;
        refuse_with(r, flow_id, token_only ? 401 : 403, NULL, token_only ? "Unauthorized" : "Not Registered",
                    done, arg);
        return;
    }
    if (!check_expiry(r, rec, done, arg))
        return;
    enum epc_err err = reg_find_bearer(epc_sip_in_sip(in), &token, &cause);
    if (err == EPC_ENOENT && rec->grant->mode == EPC_MODE_TOKEN && r->cfg->registration.strict_token) {
        refuse_with(r, flow_id, 401, NULL, "Unauthorized", done, arg);
    } else if (err == EPC_ENOENT) {
        done(arg, EPC_OK, &rec->public, &cause, "");
    } else if (err != EPC_OK) {
        refuse(r, flow_id, &cause, "", done, arg);
    } else if (!(reg_modes(r, origin) & EPC_MODE_TOKEN)) {
        refuse_with(r, flow_id, 403, NULL, "Tokens not allowed from this Origin", done, arg);
    } else if (rec->id && rec->id->expires_at_s > epc_wall_s() &&
               rec->id->token_hash == epc_hash_bytes(token, strlen(token))) {
        done(arg, EPC_OK, &rec->public, &cause, "");
    } else {
        verify(r, flow_id, epc_str_c(token), origin, done, arg);
    }
    free(token);
}
