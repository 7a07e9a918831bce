/* The registration of one flow as a table. */
#include "registration/roll_priv.h"

typedef void action_fn(struct reg_record *rec);
typedef bool guard_fn(const struct reg_record *rec);

static bool by_token(const struct reg_record *rec)
{
    return rec->grant && rec->grant->mode == EPC_MODE_TOKEN;
}

/* The core would hold the binding beyond the end of the token. */
static bool core_holds_longer(const struct reg_record *rec)
{
    return by_token(rec) && rec->grant->core_expires_at_ms > rec->grant->expires_at_ms + 1000;
}

static bool token_over(const struct reg_record *rec)
{
    return by_token(rec) && rec->grant->token_expires_at_s <= epc_wall_s();
}

/* Only some of the identities that were registered one by one have expired. */
static bool others_go_on(const struct reg_record *rec)
{
    return !token_over(rec) && rec->grant->expires_at_ms > epc_now_ms();
}

/* The end is of one identity among several on this binding. */
static bool others_stay(const struct reg_record *rec)
{
    const struct reg_grant *g = rec->grant;
    size_t here = rec->tx && reg_set_of(g, rec->tx->aor) < g->n_sets ? 1 : 0;
    return rec->tx && g->n_sets > here;
}

/* TS 24.229 5.2.8 leaves it to the operator: calls outlive the token, or end with it. */
static bool calls_go_on(const struct reg_record *rec)
{
    const struct epc_reg *r = rec->r;
    return token_over(rec) && rec->flow_open &&
           r->cfg->registration.token_end_calls == EPC_TOKEN_END_KEEP && r->busy &&
           r->busy(r->busy_arg, rec->flow_id);
}

static void close_flow_if_token_over(struct reg_record *rec)
{
    struct epc_flow *f = token_over(rec) && rec->flow_open ? epc_wss_flow(rec->r->wss, rec->flow_id) : NULL;
    if (f)
        epc_flow_close(f, 1008, "Token expired");
}

static void expire(struct reg_record *rec)
{
    close_flow_if_token_over(rec);
    reg_forget(rec, "registration expired");
}

static void expire_and_tell_core(struct reg_record *rec)
{
    reg_core_deregister(rec->r, rec->flow_id, rec->grant);
    expire(rec);
}

static void expiry_again(void *arg)
{
    reg_event(arg, REG_EV_EXPIRED);
}

/* An answer is due within 32 s; it decides. */
static void await_answer(struct reg_record *rec)
{
    epc_timer_start(rec->r->sh, &rec->expiry, 1000, expiry_again, rec);
}

static void drop_expired(struct reg_record *rec)
{
    uint64_t now = epc_now_ms();
    const struct reg_grant *g = rec->grant;
    for (size_t i = g->n_sets; i-- > 0 && g->n_sets > 1;) {
        const struct reg_set *s = &g->sets[i];
        if (s->expires_at_ms > now)
            continue;
        if (by_token(rec) && s->core_expires_at_ms > now + 1000)
            reg_core_deregister_one(rec->r, rec->flow_id, g, s->aor);
        (void)reg_set_end(rec, i); /* out of memory: logged by its absence from the next list only */
    }
    reg_renew(rec);
    reg_roll_bound(rec);
}

static void leave_with_one(struct reg_record *rec)
{
    size_t i = reg_set_of(rec->grant, rec->tx->aor);
    if (i < rec->grant->n_sets)
        (void)reg_set_end(rec, i);
    reg_renew(rec);
    reg_roll_bound(rec);
}

/* How often a token's calls are looked at once it has ended. */
enum { OVER_LOOK_MS = 5000 };

static void watch_calls(struct reg_record *rec)
{
    epc_timer_start(rec->r->sh, &rec->expiry, OVER_LOOK_MS, expiry_again, rec);
}

/* The core keeps the registration while calls last: its end would take them along (TS 24.229 5.4.5.1). */
static void only_calls(struct reg_record *rec)
{
    epc_log(EPC_LOG_INFO, "registration", "event=token_over flow=%llx calls=kept",
            (unsigned long long)rec->flow_id);
    rec->public.over = true;
    watch_calls(rec);
}

static void deregistered(struct reg_record *rec)
{
    reg_forget(rec, "de-registered");
}

static void replaced(struct reg_record *rec)
{
    reg_forget(rec, "registered again on another connection");
}

static void lost_and_drop(struct reg_record *rec)
{
    reg_forget(rec, "connection lost");
    reg_record_drop(rec);
}

static void deregistered_and_drop(struct reg_record *rec)
{
    reg_forget(rec, "de-registered");
    reg_record_drop(rec);
}

static void replaced_and_drop(struct reg_record *rec)
{
    replaced(rec);
    reg_record_drop(rec);
}

static void network_end_and_drop(struct reg_record *rec)
{
    reg_network_end(rec);
    reg_record_drop(rec);
}

static void leave_core_and_drop(struct reg_record *rec)
{
    reg_core_deregister(rec->r, rec->flow_id, rec->grant);
    lost_and_drop(rec);
}

/* reg-await-auth: whoever has not answered by then begins anew (TS 24.229 5.4.1.2). */
static void await_auth(struct reg_record *rec)
{
    const struct reg_tx *tx = rec->tx;
    reg_challenge_over(rec);
    if (tx && tx->has_authorization)
        rec->challenged = epc_str_dup(epc_str_c(tx->impi)); /* NULL: only the check of the name is lost */
    epc_timer_start(rec->r->sh, &rec->expiry, (uint64_t)rec->r->cfg->registration.await_auth_s * 1000,
                    expiry_again, rec);
}

static void challenge_answered(struct reg_record *rec)
{
    epc_timer_stop(rec->r->sh, &rec->expiry);
}

static void never_answered(struct reg_record *rec)
{
    epc_count(EPC_C_REG_UNANSWERED);
    epc_log(EPC_LOG_INFO, "registration", "event=challenge_forgotten flow=%llx reason=\"no answer in time\"",
            (unsigned long long)rec->flow_id);
    reg_challenge_over(rec);
}

static void revoked_while_challenged(struct reg_record *rec)
{
    challenge_answered(rec);
    reg_challenge_over(rec);
    reg_revoked(rec);
}

/* The 200 came for a WIC that is gone already: nothing was bound here. */
static void undo_and_drop(struct reg_record *rec)
{
    const struct reg_grant *g = rec->tx ? rec->tx->grant : NULL;
    if (g && g->mode == EPC_MODE_TOKEN)
        reg_core_deregister(rec->r, rec->flow_id, g);
    reg_record_drop(rec);
}

/* First row that fits wins. */
static const struct row {
    enum reg_state state;
    enum reg_event event;
    guard_fn *guard;
    action_fn *action;
    enum reg_state next;
} table[] = {
    {REG_IDLE, REG_EV_REGISTER, NULL, NULL, REG_PENDING},
    {REG_IDLE, REG_EV_DEREGISTER, NULL, NULL, REG_PENDING},
    {REG_IDLE, REG_EV_QUERY, NULL, NULL, REG_PENDING},
    {REG_IDLE, REG_EV_FLOW_CLOSED, NULL, reg_record_drop, REG_GONE},
    {REG_IDLE, REG_EV_REVOKED, NULL, reg_revoked, REG_IDLE},

    {REG_PENDING, REG_EV_ACCEPTED, NULL, reg_bind, REG_ACTIVE},
    {REG_PENDING, REG_EV_REMOVED, NULL, reg_challenge_over, REG_IDLE},
    {REG_PENDING, REG_EV_QUERIED, NULL, reg_challenge_over, REG_IDLE},
    {REG_PENDING, REG_EV_CHALLENGED, NULL, await_auth, REG_CHALLENGED},
    {REG_PENDING, REG_EV_REFUSED, NULL, reg_challenge_over, REG_IDLE},
    {REG_PENDING, REG_EV_FLOW_CLOSED, NULL, NULL, REG_ORPHAN},
    {REG_PENDING, REG_EV_REVOKED, NULL, reg_revoked, REG_ORPHAN},

    {REG_CHALLENGED, REG_EV_REGISTER, NULL, challenge_answered, REG_PENDING},
    {REG_CHALLENGED, REG_EV_DEREGISTER, NULL, challenge_answered, REG_PENDING},
    {REG_CHALLENGED, REG_EV_QUERY, NULL, challenge_answered, REG_PENDING},
    {REG_CHALLENGED, REG_EV_EXPIRED, NULL, never_answered, REG_IDLE},
    {REG_CHALLENGED, REG_EV_FLOW_CLOSED, NULL, reg_record_drop, REG_GONE},
    {REG_CHALLENGED, REG_EV_REVOKED, NULL, revoked_while_challenged, REG_IDLE},

    {REG_ACTIVE, REG_EV_REGISTER, NULL, NULL, REG_REFRESHING},
    {REG_ACTIVE, REG_EV_QUERY, NULL, NULL, REG_REFRESHING},
    {REG_ACTIVE, REG_EV_DEREGISTER, NULL, NULL, REG_LEAVING},
    {REG_ACTIVE, REG_EV_EXPIRED, others_go_on, drop_expired, REG_ACTIVE},
    {REG_ACTIVE, REG_EV_EXPIRED, calls_go_on, only_calls, REG_OVER},
    {REG_ACTIVE, REG_EV_EXPIRED, core_holds_longer, expire_and_tell_core, REG_IDLE},
    {REG_ACTIVE, REG_EV_EXPIRED, NULL, expire, REG_IDLE},
    {REG_ACTIVE, REG_EV_FLOW_CLOSED, NULL, reg_start_grace, REG_LOST},
    {REG_ACTIVE, REG_EV_REPLACED, NULL, replaced, REG_IDLE},
    {REG_ACTIVE, REG_EV_NETWORK, NULL, reg_network_end, REG_IDLE},
    {REG_ACTIVE, REG_EV_REVOKED, NULL, reg_revoked, REG_IDLE},

    {REG_OVER, REG_EV_REGISTER, NULL, NULL, REG_REFRESHING},
    {REG_OVER, REG_EV_QUERY, NULL, NULL, REG_REFRESHING},
    {REG_OVER, REG_EV_DEREGISTER, NULL, NULL, REG_LEAVING},
    {REG_OVER, REG_EV_EXPIRED, calls_go_on, watch_calls, REG_OVER},
    {REG_OVER, REG_EV_EXPIRED, core_holds_longer, expire_and_tell_core, REG_IDLE},
    {REG_OVER, REG_EV_EXPIRED, NULL, expire, REG_IDLE},
    {REG_OVER, REG_EV_FLOW_CLOSED, NULL, reg_start_grace, REG_LOST},
    {REG_OVER, REG_EV_REPLACED, NULL, replaced, REG_IDLE},
    {REG_OVER, REG_EV_NETWORK, NULL, reg_network_end, REG_IDLE},
    {REG_OVER, REG_EV_REVOKED, NULL, reg_revoked, REG_IDLE},

    {REG_REFRESHING, REG_EV_ACCEPTED, NULL, reg_bind, REG_ACTIVE},
    {REG_REFRESHING, REG_EV_REMOVED, others_stay, leave_with_one, REG_ACTIVE},
    {REG_REFRESHING, REG_EV_REMOVED, NULL, deregistered, REG_IDLE},
    {REG_REFRESHING, REG_EV_QUERIED, NULL, NULL, REG_ACTIVE},
    /* A refused refresh leaves the old binding in force until it expires (RFC 3261 10.2.4). */
    {REG_REFRESHING, REG_EV_REFUSED, NULL, NULL, REG_ACTIVE},
    {REG_REFRESHING, REG_EV_CHALLENGED, NULL, NULL, REG_ACTIVE},
    {REG_REFRESHING, REG_EV_EXPIRED, NULL, await_answer, REG_REFRESHING},
    {REG_REFRESHING, REG_EV_FLOW_CLOSED, NULL, reg_start_grace, REG_LOST},
    {REG_REFRESHING, REG_EV_REPLACED, NULL, replaced, REG_PENDING},
    {REG_REFRESHING, REG_EV_NETWORK, NULL, reg_network_end, REG_PENDING},
    {REG_REFRESHING, REG_EV_REVOKED, NULL, reg_revoked, REG_IDLE},

    {REG_LEAVING, REG_EV_REMOVED, others_stay, leave_with_one, REG_ACTIVE},
    {REG_LEAVING, REG_EV_REMOVED, NULL, deregistered, REG_IDLE},
    {REG_LEAVING, REG_EV_REFUSED, NULL, NULL, REG_ACTIVE},
    {REG_LEAVING, REG_EV_CHALLENGED, NULL, NULL, REG_ACTIVE},
    {REG_LEAVING, REG_EV_EXPIRED, NULL, await_answer, REG_LEAVING},
    {REG_LEAVING, REG_EV_FLOW_CLOSED, NULL, reg_start_grace, REG_LOST},
    {REG_LEAVING, REG_EV_REPLACED, NULL, replaced, REG_PENDING},
    {REG_LEAVING, REG_EV_NETWORK, NULL, reg_network_end, REG_PENDING},
    {REG_LEAVING, REG_EV_REVOKED, NULL, reg_revoked, REG_IDLE},

    {REG_LOST, REG_EV_ACCEPTED, NULL, reg_bind, REG_LOST},
    {REG_LOST, REG_EV_QUERIED, NULL, NULL, REG_LOST},
    {REG_LOST, REG_EV_REFUSED, NULL, NULL, REG_LOST},
    {REG_LOST, REG_EV_CHALLENGED, NULL, NULL, REG_LOST},
    {REG_LOST, REG_EV_REMOVED, others_stay, leave_with_one, REG_LOST},
    {REG_LOST, REG_EV_REMOVED, NULL, deregistered_and_drop, REG_GONE},
    {REG_LOST, REG_EV_REPLACED, NULL, replaced_and_drop, REG_GONE},
    {REG_LOST, REG_EV_NETWORK, NULL, network_end_and_drop, REG_GONE},
    {REG_LOST, REG_EV_REVOKED, NULL, reg_revoked_and_drop, REG_GONE},
    {REG_LOST, REG_EV_EXPIRED, others_go_on, drop_expired, REG_LOST},
    {REG_LOST, REG_EV_EXPIRED, core_holds_longer, leave_core_and_drop, REG_GONE},
    {REG_LOST, REG_EV_EXPIRED, NULL, lost_and_drop, REG_GONE},
    {REG_LOST, REG_EV_GRACE_OVER, by_token, leave_core_and_drop, REG_GONE},
    {REG_LOST, REG_EV_GRACE_OVER, NULL, lost_and_drop, REG_GONE},

    {REG_ORPHAN, REG_EV_ACCEPTED, NULL, undo_and_drop, REG_GONE},
    {REG_ORPHAN, REG_EV_REMOVED, NULL, reg_record_drop, REG_GONE},
    {REG_ORPHAN, REG_EV_QUERIED, NULL, reg_record_drop, REG_GONE},
    {REG_ORPHAN, REG_EV_REFUSED, NULL, reg_record_drop, REG_GONE},
    {REG_ORPHAN, REG_EV_FLOW_CLOSED, NULL, NULL, REG_ORPHAN},
    {REG_ORPHAN, REG_EV_REVOKED, NULL, NULL, REG_ORPHAN},
    {REG_ORPHAN, REG_EV_CHALLENGED, NULL, reg_record_drop, REG_GONE},

    /* Freed at the end of the turn: what still arrives in this turn finds nothing to do. */
    {REG_GONE, REG_EV_FLOW_CLOSED, NULL, NULL, REG_GONE},
    {REG_GONE, REG_EV_REFUSED, NULL, NULL, REG_GONE},
    {REG_GONE, REG_EV_CHALLENGED, NULL, NULL, REG_GONE},
};

static const char *const state_names[REG_STATES] = {
#define X(id, name) name,
    REG_STATES_LIST(X)
#undef X
};
static const char *const event_names[REG_EVENTS] = {
#define X(id, name) name,
    REG_EVENTS_LIST(X)
#undef X
};

const char *reg_state_name(enum reg_state st)
{
    return (unsigned)st < REG_STATES ? state_names[st] : "?";
}

void reg_event(struct reg_record *rec, enum reg_event ev)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(table); i++) {
        const struct row *row = &table[i];
        if (row->state != rec->state || row->event != ev || (row->guard && !row->guard(rec)))
            continue;
        epc_log(EPC_LOG_DEBUG, "registration", "event=%s flow=%llx state=%s next=%s",
                event_names[ev], (unsigned long long)rec->flow_id, state_names[rec->state],
                state_names[row->next]);
        rec->state = row->next; /* first: an action may cause further events */
        if (row->action)
            row->action(rec);
        return;
    }
    epc_count(EPC_C_FSM_UNEXPECTED);
    epc_log(EPC_LOG_WARN, "registration", "event=%s flow=%llx state=%s reason=\"no such transition\"",
            event_names[ev], (unsigned long long)rec->flow_id, state_names[rec->state]);
}

void epc_reg_fsm_print(FILE *out)
{
    sub_fsm_print(out);
    fprintf(out, "digraph registration {\n");
    for (size_t i = 0; i < EPC_ARRAY_LEN(table); i++)
        fprintf(out, "  \"%s\" -> \"%s\" [label=\"%s%s\"];\n", state_names[table[i].state],
                state_names[table[i].next], event_names[table[i].event],
                table[i].guard ? " (guarded)" : "");
    fprintf(out, "}\n");
}
