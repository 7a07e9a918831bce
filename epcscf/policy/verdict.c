/* What the policy function's result means for the SIP session: one table (TS 24.229 5.2.7.2). */
#include "policy/policy.h"

enum { RETRY_AFTER_S = 30 }; /* where the policy function names no interval */

enum answer {
    A_500,          /* our own request was at fault, or no better code is defined */
    A_488_OR_500,   /* 488 when it says what would be acceptable */
    A_488_MEDIA,    /* 488; 500 when it names an AVP or what it would take: then the media are not
                       what it finds invalid */
    A_503,          /* later, perhaps */
    A_403,
    A_UNREACHABLE,  /* nobody decided: the mode does */
    A_NO_SESSION,   /* no IP-CAN session for the address: the mode does */
};

static const struct code {
    uint32_t code;
    enum answer answer;
    const char *name;
} codes[] = {
    {2001, A_500, "DIAMETER SUCCESS (2001)"},
    {2002, A_500, "DIAMETER LIMITED_SUCCESS (2002)"},
    {3002, A_UNREACHABLE, "DIAMETER UNABLE_TO_DELIVER (3002)"},
    {3003, A_UNREACHABLE, "DIAMETER REALM_NOT_SERVED (3003)"},
    {3004, A_UNREACHABLE, "DIAMETER TOO_BUSY (3004)"},
    {3005, A_UNREACHABLE, "DIAMETER LOOP_DETECTED (3005)"},
    {3007, A_500, "DIAMETER APPLICATION_UNSUPPORTED (3007)"},
    {4261, A_503, "DIAMETER REQUESTED_SERVICE_TEMPORARILY_NOT_AUTHORIZED (4261)"},
    {5001, A_500, "DIAMETER AVP_UNSUPPORTED (5001)"},
    {5002, A_500, "DIAMETER UNKNOWN_SESSION_ID (5002)"},
    {5003, A_500, "DIAMETER AUTHORIZATION_REJECTED (5003)"},
    {5004, A_500, "DIAMETER INVALID_AVP_VALUE (5004)"},
    {5005, A_500, "DIAMETER MISSING_AVP (5005)"},
    {5009, A_500, "DIAMETER AVP_OCCURS_TOO_MANY_TIMES (5009)"},
    {5012, A_500, "DIAMETER UNABLE_TO_COMPLY (5012)"},
    {5061, A_488_MEDIA, "DIAMETER INVALID_SERVICE_INFORMATION (5061)"},
    {5062, A_500, "DIAMETER FILTER_RESTRICTIONS (5062)"},
    {5063, A_488_OR_500, "DIAMETER REQUESTED_SERVICE_NOT_AUTHORIZED (5063)"},
    {5064, A_500, "DIAMETER DUPLICATED_AF_SESSION (5064)"},
    {5065, A_NO_SESSION, "DIAMETER IP-CAN_SESSION_NOT_AVAILABLE (5065)"},
    {5066, A_403, "DIAMETER UNAUTHORIZED_NON_EMERGENCY_SESSION (5066)"},
    {5067, A_500, "DIAMETER UNAUTHORIZED_SPONSORED_DATA_CONNECTIVITY (5067)"},
    {5068, A_503, "DIAMETER TEMPORARY_NETWORK_FAILURE (5068)"},
};

static const struct code *find(uint32_t code)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(codes); i++)
        if (codes[i].code == code)
            return &codes[i];
    return NULL;
}

const char *epc_policy_code_name(const struct epc_policy_result *r)
{
    static const char *const outcomes[] = {"granted", "refused", "no answer in time",
                                           "no policy function reachable", "request failed here"};
    if (r->code) {
        const struct code *c = find(r->code);
        return c ? c->name : "DIAMETER code without a name";
    }
    return (unsigned)r->outcome < EPC_ARRAY_LEN(outcomes) ? outcomes[r->outcome] : "unknown outcome";
}

static bool refuse(struct epc_cause *cause, int status, unsigned retry_after_s, const char *spec,
                   const struct epc_policy_result *r, const char *what)
{
    epc_cause_set(cause, status, spec, "%s: %s", what, epc_policy_code_name(r));
    if (cause)
        cause->retry_after_s = retry_after_s;
    return false;
}

static bool refused(enum epc_policy_mode mode, const struct epc_policy_result *r, struct epc_cause *cause)
{
    static const char spec[] = "TS 24.229 5.2.7.2";
    const struct code *c = find(r->code);
    unsigned retry_s = r->retry_interval_s ? r->retry_interval_s : RETRY_AFTER_S;
    switch (c ? c->answer : A_500) {
    case A_488_OR_500:
        if (r->n_acceptable)
            return refuse(cause, 488, 0, spec, r, "Bandwidth not authorised");
        return refuse(cause, 500, 0, spec, r, "Not authorised by policy");
    case A_488_MEDIA:
        if (!r->failed_avp[0] && r->n_acceptable == 0)
            return refuse(cause, 488, 0, spec, r, "Media not authorised");
        return refuse(cause, 500, 0, spec, r, "Not authorised by policy");
    case A_503:
        return refuse(cause, 503, retry_s, spec, r, "Not authorised for now");
    case A_403:
        return refuse(cause, 403, 0, spec, r, "Emergency sessions only");
    case A_UNREACHABLE:
    case A_NO_SESSION:
        if (mode != EPC_POLICY_REQUIRED)
            return true;
        return refuse(cause, 503, retry_s, spec, r, "No policy decision");
    case A_500:
    default:
        return refuse(cause, 500, 0, spec, r, "Not authorised by policy");
    }
}

bool epc_policy_verdict(enum epc_policy_mode mode, enum epc_policy_phase phase,
                        const struct epc_policy_result *r, struct epc_cause *cause)
{
    if (mode == EPC_POLICY_OFF || r->outcome == EPC_POLICY_GRANTED)
        return true;
    /* A modification that is refused leaves the old authorisation in force; SIP goes on. */
    if (phase == EPC_PHASE_MODIFY)
        return true;
    if (r->outcome == EPC_POLICY_REFUSED)
        return refused(mode, r, cause);
    if (mode != EPC_POLICY_REQUIRED)
        return true;
    if (r->outcome == EPC_POLICY_FAILED)
        return refuse(cause, 500, 0, NULL, r, "Policy request failed");
    return refuse(cause, 503, r->retry_interval_s ? r->retry_interval_s : RETRY_AFTER_S, NULL, r,
                  "No policy decision");
}
