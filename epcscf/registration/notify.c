/* NOTIFY of the core's in our own subscriptions (RFC 6665 4.1.3, TS 24.229 5.2.3). */
#include "registration/reginfo.h"
#include "registration/roll_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { RETRY_MOST_S = 3600 };

bool epc_reg_owns(struct epc_reg *r, const struct epc_sip_in *in)
{
    (void)r;
    return epc_sip_in_leg(in) == EPC_LEG_CORE && epc_sip_in_flow(in) == 0 &&
           epc_sip_in_sip(in)->sip_request->rq_method == sip_method_notify;
}

static bool same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static struct reg_sub *find(const struct epc_reg *r, const sip_t *sip)
{
    const char *call_id = sip->sip_call_id ? sip->sip_call_id->i_id : "";
    struct epc_hnode *n = epc_hash_find(&r->roll->subs, epc_hash_bytes(call_id, strlen(call_id)), call_id);
    struct reg_sub *s = n ? EPC_CONTAINER(n, struct reg_sub, by_call_id) : NULL;
    if (!s || !sip->sip_to || !same(sip->sip_to->a_tag, s->tag) || !sip->sip_from || !sip->sip_from->a_tag)
        return NULL;
    /* Another tag: the SUBSCRIBE was forked, and one subscription is enough. */
    return !s->remote_tag || same(sip->sip_from->a_tag, s->remote_tag) ? s : NULL;
}

struct verdict {
    int status;
    const char *why, *extra;
};

static struct verdict check_headers(const struct reg_sub *s, const sip_t *sip)
{
    const sip_content_type_t *type = sip->sip_content_type;
    if (!sip->sip_event || !sip->sip_event->o_type)
        return (struct verdict){400, "No Event", NULL};
    if (strcasecmp(sip->sip_event->o_type, "reg") != 0)
        return (struct verdict){489, "Bad Event", "Allow-Events: reg\r\n"};
    if (!s)
        return (struct verdict){481, "Subscription Does Not Exist", NULL};
    if (!sip->sip_subscription_state || !sip->sip_subscription_state->ss_substate)
        return (struct verdict){400, "No Subscription-State", NULL};
    if (s->has_remote_cseq && sip->sip_cseq->cs_seq <= s->remote_cseq)
        return (struct verdict){500, "CSeq Out Of Order", NULL};
    if (sip->sip_payload && sip->sip_payload->pl_len > 0 &&
        (!type || !type->c_type || strcasecmp(type->c_type, "application/reginfo+xml") != 0))
        return (struct verdict){415, "Unsupported Media Type", "Accept: application/reginfo+xml\r\n"};
    return (struct verdict){200, NULL, NULL};
}

static struct verdict read_body(const sip_t *sip, struct reginfo **info)
{
    const char *why = NULL;
    if (!sip->sip_payload || sip->sip_payload->pl_len == 0)
        return (struct verdict){200, NULL, NULL};
    switch (reginfo_parse(info, sip->sip_payload->pl_data, sip->sip_payload->pl_len, &why)) {
    case EPC_OK:
        return (struct verdict){200, NULL, NULL};
    case EPC_ENOMEM:
        return (struct verdict){500, "Out Of Memory", NULL};
    default:
        epc_log(EPC_LOG_WARN, "registration", "event=reginfo_refused reason=\"%s\"", why ? why : "?");
        return (struct verdict){400, "Bad reginfo Document", NULL};
    }
}

static void answer(struct epc_sip_in *in, const struct verdict *v)
{
    if (v->status != 200) {
        epc_count(EPC_C_REG_NOTIFIES_REFUSED);
        epc_log(EPC_LOG_INFO, "registration", "event=notify_refused status=%d reason=\"%s\"", v->status,
                v->why);
    }
    epc_sip_in_reply(in, v->status, v->why, v->extra);
}

/* RFC 3680 5.1. True when something between this and the last one is missing. */
static bool take_document(struct reg_sub *s, const struct reginfo *info)
{
    bool gap = !info->full && (!s->has_version || info->version > s->version + 1);
    if (s->has_version && info->version <= s->version) {
        epc_log(EPC_LOG_DEBUG, "registration", "event=reginfo_old version=%llu",
                (unsigned long long)info->version);
        return false;
    }
    s->has_version = true;
    s->version = info->version;
    reginfo_apply(s->user, info);
    return gap;
}

static void take_ended(struct reg_sub *s, const sip_subscription_state_t *ss)
{
    uint64_t after = 0;
    const char *reason = ss->ss_reason ? ss->ss_reason : "";
    s->until_ms = 0;
    epc_log(EPC_LOG_INFO, "registration", "event=subscription_ended reason=\"%.32s\"", reason);
    /* RFC 6665 4.1.3: at once for these, later or by our own measure for the rest. */
    if (strcasecmp(reason, "deactivated") == 0 || strcasecmp(reason, "timeout") == 0)
        after = 1;
    if (ss->ss_retry_after && epc_str_u64(epc_str_c(ss->ss_retry_after), UINT32_MAX, &after) != EPC_OK)
        after = 0;
    if (strcasecmp(reason, "rejected") == 0 || strcasecmp(reason, "noresource") == 0)
        after = RETRY_MOST_S;
    s->wait_s = (uint32_t)(after > RETRY_MOST_S ? RETRY_MOST_S : after);
    sub_event(s, SUB_EV_ENDED);
}

static void take_state(struct reg_sub *s, const sip_subscription_state_t *ss, bool gap)
{
    uint64_t left = 0;
    if (strcasecmp(ss->ss_substate, "terminated") == 0) {
        take_ended(s, ss);
        return;
    }
    if (ss->ss_expires && epc_str_u64(epc_str_c(ss->ss_expires), UINT32_MAX, &left) == EPC_OK) {
        s->until_ms = epc_now_ms() + left * 1000;
        if (s->state == SUB_ACTIVE)
            sub_accepted(s); /* the core may shorten it */
    }
    if (gap)
        sub_event(s, SUB_EV_STALE);
}

void epc_reg_notify(struct epc_reg *r, struct epc_sip_in *in)
{
    EPC_ASSERT_OWNER(r->sh);
    const sip_t *sip = epc_sip_in_sip(in);
    struct reg_sub *s = find(r, sip);
    struct reginfo *info = NULL;
    struct verdict v = check_headers(s, sip);
    epc_count(EPC_C_REG_NOTIFIES);
    if (v.status == 200)
        v = read_body(sip, &info);
    if (v.status == 200 && sub_set_dialog(s, sip, true) != EPC_OK && !s->remote_tag)
        v = (struct verdict){400, "No Usable Contact", NULL};
    answer(in, &v);
    if (v.status == 200) {
        struct roll_user *u = s->user;
        s->has_remote_cseq = true;
        s->remote_cseq = sip->sip_cseq->cs_seq;
        roll_hold(u);
        bool gap = info && take_document(s, info);
        if (u->sub == s)
            take_state(s, sip->sip_subscription_state, gap);
        roll_let_go(u);
    }
    reginfo_free(info);
    epc_sip_in_release(in);
}
