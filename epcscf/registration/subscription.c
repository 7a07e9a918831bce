/* The subscription to one user's registrations as a table. */
#include "registration/roll_priv.h"

typedef void action_fn(struct reg_sub *s);
typedef bool guard_fn(const struct reg_sub *s);

/* First row that fits wins. */
static const struct row {
    enum sub_state state;
    enum sub_event event;
    guard_fn *guard;
    action_fn *action;
    enum sub_state next;
} table[] = {
    {SUB_NEW, SUB_EV_WANTED, NULL, sub_subscribe, SUB_SUBSCRIBING},

    {SUB_SUBSCRIBING, SUB_EV_ACCEPTED, NULL, sub_accepted, SUB_ACTIVE},
    {SUB_SUBSCRIBING, SUB_EV_LOST, NULL, sub_wait, SUB_WAITING},
    {SUB_SUBSCRIBING, SUB_EV_REFUSED, NULL, sub_wait, SUB_WAITING},
    {SUB_SUBSCRIBING, SUB_EV_ENDED, NULL, sub_wait, SUB_WAITING},
    {SUB_SUBSCRIBING, SUB_EV_STALE, NULL, NULL, SUB_SUBSCRIBING},
    {SUB_SUBSCRIBING, SUB_EV_UNWANTED, NULL, NULL, SUB_ABANDONED},

    {SUB_ACTIVE, SUB_EV_TIMER, NULL, sub_refresh, SUB_REFRESHING},
    {SUB_ACTIVE, SUB_EV_STALE, NULL, sub_refresh, SUB_REFRESHING},
    {SUB_ACTIVE, SUB_EV_ENDED, NULL, sub_wait, SUB_WAITING},
    {SUB_ACTIVE, SUB_EV_UNWANTED, NULL, sub_leave, SUB_ENDING},

    {SUB_REFRESHING, SUB_EV_ACCEPTED, NULL, sub_accepted, SUB_ACTIVE},
    {SUB_REFRESHING, SUB_EV_LOST, NULL, sub_subscribe, SUB_SUBSCRIBING},
    {SUB_REFRESHING, SUB_EV_REFUSED, NULL, sub_wait, SUB_WAITING},
    {SUB_REFRESHING, SUB_EV_ENDED, NULL, sub_wait, SUB_WAITING},
    {SUB_REFRESHING, SUB_EV_STALE, NULL, NULL, SUB_REFRESHING},
    {SUB_REFRESHING, SUB_EV_UNWANTED, NULL, NULL, SUB_ABANDONED},
    {SUB_REFRESHING, SUB_EV_TIMER, NULL, NULL, SUB_REFRESHING},

    {SUB_WAITING, SUB_EV_TIMER, sub_has_dialog, sub_refresh, SUB_REFRESHING},
    {SUB_WAITING, SUB_EV_TIMER, NULL, sub_subscribe, SUB_SUBSCRIBING},
    {SUB_WAITING, SUB_EV_UNWANTED, sub_has_dialog, sub_leave, SUB_ENDING},
    {SUB_WAITING, SUB_EV_UNWANTED, NULL, sub_over, SUB_OVER},
    {SUB_WAITING, SUB_EV_ENDED, NULL, sub_wait, SUB_WAITING},
    {SUB_WAITING, SUB_EV_STALE, NULL, NULL, SUB_WAITING},

    {SUB_ABANDONED, SUB_EV_WANTED, NULL, NULL, SUB_SUBSCRIBING},
    {SUB_ABANDONED, SUB_EV_ACCEPTED, NULL, sub_leave, SUB_ENDING},
    {SUB_ABANDONED, SUB_EV_LOST, NULL, sub_over, SUB_OVER},
    {SUB_ABANDONED, SUB_EV_REFUSED, NULL, sub_over, SUB_OVER},
    {SUB_ABANDONED, SUB_EV_ENDED, NULL, sub_over, SUB_OVER},
    {SUB_ABANDONED, SUB_EV_STALE, NULL, NULL, SUB_ABANDONED},
    {SUB_ABANDONED, SUB_EV_TIMER, NULL, NULL, SUB_ABANDONED},

    /* The core's last NOTIFY may come before or after the 200. */
    {SUB_ENDING, SUB_EV_ACCEPTED, NULL, NULL, SUB_ENDING},
    {SUB_ENDING, SUB_EV_STALE, NULL, NULL, SUB_ENDING},
    {SUB_ENDING, SUB_EV_LOST, NULL, sub_over, SUB_OVER},
    {SUB_ENDING, SUB_EV_REFUSED, NULL, sub_over, SUB_OVER},
    {SUB_ENDING, SUB_EV_ENDED, NULL, sub_over, SUB_OVER},
    {SUB_ENDING, SUB_EV_TIMER, NULL, sub_over, SUB_OVER},
    /* Not every core sends that last NOTIFY: a new dialog does not wait for the old one's end. */
    {SUB_ENDING, SUB_EV_WANTED, NULL, sub_subscribe, SUB_SUBSCRIBING},
};

static const char *const state_names[SUB_STATES] = {
#define X(id, name) name,
    SUB_STATES_LIST(X)
#undef X
};
static const char *const event_names[SUB_EVENTS] = {
#define X(id, name) name,
    SUB_EVENTS_LIST(X)
#undef X
};

const char *sub_state_name(enum sub_state st)
{
    return (unsigned)st < SUB_STATES ? state_names[st] : "?";
}

void sub_event(struct reg_sub *s, enum sub_event ev)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(table); i++) {
        const struct row *row = &table[i];
        if (row->state != s->state || row->event != ev || (row->guard && !row->guard(s)))
            continue;
        epc_log(EPC_LOG_DEBUG, "registration", "event=%s subscription=%s state=%s next=%s",
                event_names[ev], s->call_id, state_names[s->state], state_names[row->next]);
        s->state = row->next; /* first: an action may cause further events */
        if (row->action)
            row->action(s);
        return;
    }
    epc_count(EPC_C_FSM_UNEXPECTED);
    epc_log(EPC_LOG_WARN, "registration", "event=%s subscription=%s state=%s reason=\"no such transition\"",
            event_names[ev], s->call_id, state_names[s->state]);
}

void sub_fsm_print(FILE *out)
{
    fprintf(out, "digraph reg_event {\n");
    for (size_t i = 0; i < EPC_ARRAY_LEN(table); i++)
        fprintf(out, "  \"%s\" -> \"%s\" [label=\"%s%s\"];\n", state_names[table[i].state],
                state_names[table[i].next], event_names[table[i].event],
                table[i].guard ? " (guarded)" : "");
    fprintf(out, "}\n");
}
