/* The dialog's state machine, as the eP-CSCF sees it (RFC 3261 12, TS 24.229 5.2.7 and 5.2.8). */
#include "session/session_priv.h"

typedef void action_fn(struct epc_session *s);

static void on_answered(struct epc_session *s)
{
    if (!s->answered)
        epc_count(EPC_C_SESSIONS_ANSWERED);
    s->answered = true;
}

/* Whatever crosses, a call gives its media and its policy session back once: here. */
static void on_end(struct epc_session *s)
{
    char who[384];
    epc_log(EPC_LOG_INFO, "session", "event=ended %s age_ms=%llu", session_log(s, who),
            (unsigned long long)(epc_now_ms() - s->started_ms));
    timer_stop(s);
    media_release(s);
    epc_count_add(EPC_C_SESSIONS, -1);
    epc_count(EPC_C_SESSIONS_ENDED);
}

static const struct row {
    enum call_state state;
    enum call_event event;
    action_fn *action;
    enum call_state next;
} table[] = {
    {CALL_OFFERING, CALL_EV_SENT, NULL, CALL_PROCEEDING},
    {CALL_OFFERING, CALL_EV_REJECTED, on_end, CALL_ENDING},
    {CALL_OFFERING, CALL_EV_RELEASE, on_end, CALL_ENDING},

    {CALL_PROCEEDING, CALL_EV_EARLY, NULL, CALL_EARLY},
    {CALL_PROCEEDING, CALL_EV_ANSWERED, on_answered, CALL_CONFIRMED},
    {CALL_PROCEEDING, CALL_EV_REJECTED, on_end, CALL_ENDING},
    {CALL_PROCEEDING, CALL_EV_RELEASE, on_end, CALL_ENDING},

    {CALL_EARLY, CALL_EV_EARLY, NULL, CALL_EARLY},
    {CALL_EARLY, CALL_EV_ANSWERED, on_answered, CALL_CONFIRMED},
    {CALL_EARLY, CALL_EV_REJECTED, on_end, CALL_ENDING},
    /* A caller may end one early dialog with BYE; the INVITE itself goes on until its final answer. */
    {CALL_EARLY, CALL_EV_BYE, NULL, CALL_EARLY},
    {CALL_EARLY, CALL_EV_RELEASE, on_end, CALL_ENDING},

    /* Repeated and forked 2xx, and a late 1xx of another fork, change nothing. */
    {CALL_CONFIRMED, CALL_EV_EARLY, NULL, CALL_CONFIRMED},
    {CALL_CONFIRMED, CALL_EV_ANSWERED, NULL, CALL_CONFIRMED},
    {CALL_CONFIRMED, CALL_EV_BYE, on_end, CALL_ENDING},
    {CALL_CONFIRMED, CALL_EV_RELEASE, on_end, CALL_ENDING},

    {CALL_ENDING, CALL_EV_EARLY, NULL, CALL_ENDING},
    {CALL_ENDING, CALL_EV_ANSWERED, NULL, CALL_ENDING},
    {CALL_ENDING, CALL_EV_REJECTED, NULL, CALL_ENDING},
    {CALL_ENDING, CALL_EV_BYE, NULL, CALL_ENDING},
    {CALL_ENDING, CALL_EV_RELEASE, NULL, CALL_ENDING},
};

static const char *const state_names[CALL_STATES] = {"offering", "proceeding", "early", "confirmed",
                                                     "ending"};
static const char *const event_names[CALL_EVENTS] = {"sent",     "early", "answered",
                                                     "rejected", "bye",   "release"};

const char *call_state_name(enum call_state st)
{
    return (unsigned)st < CALL_STATES ? state_names[st] : "?";
}

bool call_event(struct epc_session *s, enum call_event ev)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(table); i++) {
        if (table[i].state != s->state || table[i].event != ev)
            continue;
        if (table[i].action)
            table[i].action(s);
        s->state = table[i].next;
        return true;
    }
    char who[384];
    epc_count(EPC_C_FSM_UNEXPECTED);
    epc_log(EPC_LOG_WARN, "session", "event=unexpected what=%s %s", event_names[ev],
            session_log(s, who));
    return false;
}

void epc_session_fsm_print(FILE *out)
{
    fputs("digraph session {\n", out);
    for (size_t i = 0; i < EPC_ARRAY_LEN(table); i++)
        fprintf(out, "  %s -> %s [label=\"%s%s\"];\n", state_names[table[i].state],
                state_names[table[i].next], event_names[table[i].event],
                table[i].action == on_end ? " / release media and policy" : "");
    fputs("}\n", out);
}
