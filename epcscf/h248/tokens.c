/* Keywords of Annex B with their two spellings. */
#include "h248/h248_priv.h"

#include <string.h>

#define COMMANDS IN_CONTEXT
#define DESCRIPTORS IN_COMMAND
/* clang-format off */
static const struct h248_keyword keywords[] = {
    {EPC_H248_ADD, "Add", "A", COMMANDS, BODY_NODES, IN_COMMAND, false},
    {EPC_H248_AUDIT, "Audit", "AT", DESCRIPTORS | IN_SERVICES, BODY_NODES, IN_AUDIT, false},
    {EPC_H248_AUDIT_CAPABILITY, "AuditCapability", "AC", COMMANDS, BODY_NODES, IN_COMMAND, false},
    {EPC_H248_AUDIT_VALUE, "AuditValue", "AV", COMMANDS, BODY_NODES, IN_COMMAND, false},
    {EPC_H248_AUTHENTICATION, "Authentication", "AU", 0, BODY_NONE, 0, false},
    {EPC_H248_CONTEXT, "Context", "C", IN_TRANSACTION | IN_COMMAND, BODY_NODES, IN_ITEMS, false},
    {EPC_H248_CONTEXT_ATTR, "ContextAttr", "CT", IN_CONTEXT | IN_CONTEXT_AUDIT, BODY_NODES, IN_CONTEXT_AUDIT, false},
    {EPC_H248_CONTEXT_AUDIT, "ContextAudit", "CA", IN_CONTEXT, BODY_NODES, IN_CONTEXT_AUDIT, false},
    {EPC_H248_CONTEXT_LIST, "ContextList", "CLT", IN_CONTEXT | IN_CONTEXT_AUDIT, BODY_NODES, IN_ITEMS, false},
    {EPC_H248_DELAY, "Delay", "DL", IN_SERVICES, BODY_NONE, 0, false},
    {EPC_H248_DIGIT_MAP, "DigitMap", "DM", DESCRIPTORS | IN_EVENT | IN_AUDIT, BODY_TEXT, 0, false},
    {EPC_H248_DIRECTION, "SPADirection", "SPADI", IN_SIGNAL, BODY_NONE, 0, false},
    {EPC_H248_DURATION, "Duration", "DR", IN_SIGNAL, BODY_NONE, 0, false},
    {EPC_H248_EMBED, "Embed", "EM", IN_EVENT, BODY_NODES, IN_EMBED, false},
    {EPC_H248_EMERGENCY, "Emergency", "EG", IN_CONTEXT | IN_CONTEXT_AUDIT, BODY_NONE, 0, false},
    {EPC_H248_EMERGENCY_OFF, "EmergencyOff", "EGO", IN_CONTEXT | IN_CONTEXT_AUDIT, BODY_NONE, 0, false},
    {EPC_H248_EMERGENCY_VALUE, "EmergencyValue", "EGV", IN_CONTEXT | IN_CONTEXT_AUDIT, BODY_NONE, 0, false},
    {EPC_H248_END, "END", "&", 0, BODY_NONE, 0, false},
    {EPC_H248_ERROR, "Error", "ER", IN_MESSAGE | IN_TRANSACTION | IN_CONTEXT | IN_COMMAND, BODY_ERROR, 0, false},
    {EPC_H248_EVENT_BUFFER, "EventBuffer", "EB", DESCRIPTORS | IN_AUDIT, BODY_NODES, IN_EVENTS, false},
    {EPC_H248_EVENT_BUFFER_CONTROL, "Buffer", "BF", IN_TERMINATION_STATE, BODY_NONE, 0, false},
    {EPC_H248_EVENTS, "Events", "E", DESCRIPTORS | IN_EMBED | IN_AUDIT, BODY_NODES, IN_EVENTS, false},
    {EPC_H248_IEPS, "IEPSCall", "IEPS", IN_CONTEXT | IN_CONTEXT_AUDIT, BODY_NONE, 0, false},
    {EPC_H248_IMM_ACK_REQUIRED, "ImmAckRequired", "IA", IN_TRANSACTION, BODY_NONE, 0, false},
    {EPC_H248_INTERSIGNAL, "Intersignal", "SPAIS", IN_SIGNAL, BODY_NONE, 0, false},
    {EPC_H248_KEEP_ACTIVE, "KeepActive", "KA", IN_EVENT | IN_SIGNAL, BODY_NONE, 0, false},
    {EPC_H248_LOCAL, "Local", "L", IN_MEDIA | IN_STREAM, BODY_TEXT, 0, false},
    {EPC_H248_LOCAL_CONTROL, "LocalControl", "O", IN_MEDIA | IN_STREAM, BODY_NODES, IN_LOCAL_CONTROL, false},
    {EPC_H248_MEDIA, "Media", "M", DESCRIPTORS | IN_AUDIT, BODY_NODES, IN_MEDIA, false},
    {EPC_H248_METHOD, "Method", "MT", IN_SERVICES, BODY_NONE, 0, false},
    {EPC_H248_MGC_TO_TRY, "MgcIdToTry", "MG", IN_SERVICES, BODY_NONE, 0, true},
    {EPC_H248_MODE, "Mode", "MO", IN_LOCAL_CONTROL, BODY_NONE, 0, false},
    {EPC_H248_MODEM, "Modem", "MD", DESCRIPTORS | IN_AUDIT, BODY_NODES, IN_ITEMS, false},
    {EPC_H248_MODIFY, "Modify", "MF", COMMANDS, BODY_NODES, IN_COMMAND, false},
    {EPC_H248_MOVE, "Move", "MV", COMMANDS, BODY_NODES, IN_COMMAND, false},
    {EPC_H248_MUX, "Mux", "MX", DESCRIPTORS | IN_AUDIT, BODY_NODES, IN_ITEMS, false},
    {EPC_H248_NEVER_NOTIFY, "NeverNotify", "NBNN", IN_EVENT, BODY_NONE, 0, false},
    {EPC_H248_NOTIFY, "Notify", "N", COMMANDS, BODY_NODES, IN_COMMAND, false},
    {EPC_H248_NOTIFY_COMPLETION, "NotifyCompletion", "NC", IN_SIGNAL, BODY_NONE, 0, false},
    {EPC_H248_NOTIFY_IMMEDIATE, "ImmediateNotify", "NBIN", IN_EVENT, BODY_NONE, 0, false},
    {EPC_H248_NOTIFY_REGULATED, "RegulatedNotify", "NBRN", IN_EVENT, BODY_NODES, IN_EMBED, false},
    {EPC_H248_OBSERVED_EVENTS, "ObservedEvents", "OE", DESCRIPTORS | IN_AUDIT, BODY_NODES, IN_OBSERVED, false},
    {EPC_H248_PACKAGES, "Packages", "PG", DESCRIPTORS | IN_AUDIT, BODY_NODES, IN_ITEMS, false},
    {EPC_H248_PENDING, "Pending", "PN", IN_MESSAGE, BODY_NONE, 0, false},
    {EPC_H248_PRIORITY, "Priority", "PR", IN_CONTEXT | IN_CONTEXT_AUDIT, BODY_NONE, 0, false},
    {EPC_H248_PROFILE, "Profile", "PF", IN_SERVICES, BODY_NONE, 0, false},
    {EPC_H248_REASON, "Reason", "RE", IN_SERVICES, BODY_NONE, 0, false},
    {EPC_H248_REMOTE, "Remote", "R", IN_MEDIA | IN_STREAM, BODY_TEXT, 0, false},
    {EPC_H248_REPLY, "Reply", "P", IN_MESSAGE, BODY_NONE, 0, false},
    {EPC_H248_REQUEST_ID, "SPARequestID", "SPARQ", IN_SIGNAL, BODY_NONE, 0, false},
    {EPC_H248_RESERVED_GROUP, "ReservedGroup", "RG", IN_LOCAL_CONTROL, BODY_NONE, 0, false},
    {EPC_H248_RESERVED_VALUE, "ReservedValue", "RV", IN_LOCAL_CONTROL, BODY_NONE, 0, false},
    {EPC_H248_RESET_EVENTS, "ResetEventsDescriptor", "RSE", IN_EVENT, BODY_NONE, 0, false},
    {EPC_H248_SEGMENT, "Segment", "SM", IN_MESSAGE, BODY_NONE, 0, false},
    {EPC_H248_SERVICE_CHANGE, "ServiceChange", "SC", COMMANDS, BODY_NODES, IN_COMMAND, false},
    {EPC_H248_SERVICE_CHANGE_ADDRESS, "ServiceChangeAddress", "AD", IN_SERVICES, BODY_NONE, 0, true},
    {EPC_H248_SERVICE_CHANGE_INCOMPLETE, "ServiceChangeInc", "SIC", IN_SERVICES, BODY_NONE, 0, false},
    {EPC_H248_SERVICE_STATES, "ServiceStates", "SI", IN_TERMINATION_STATE, BODY_NONE, 0, false},
    {EPC_H248_SERVICES, "Services", "SV", DESCRIPTORS, BODY_NODES, IN_SERVICES, false},
    {EPC_H248_SIGNAL_LIST, "SignalList", "SL", IN_SIGNALS, BODY_NODES, IN_SIGNALS, false},
    {EPC_H248_SIGNAL_TYPE, "SignalType", "SY", IN_SIGNAL, BODY_NONE, 0, false},
    {EPC_H248_SIGNALS, "Signals", "SG", DESCRIPTORS | IN_EMBED | IN_AUDIT, BODY_NODES, IN_SIGNALS, false},
    {EPC_H248_STATISTICS, "Statistics", "SA", DESCRIPTORS | IN_MEDIA | IN_STREAM | IN_AUDIT, BODY_NODES, IN_ITEMS, false},
    {EPC_H248_STREAM, "Stream", "ST", IN_MEDIA | IN_EVENT | IN_SIGNAL | IN_OBSERVED_EVENT | IN_TOPOLOGY, BODY_NODES,
     IN_STREAM, false},
    {EPC_H248_SUBTRACT, "Subtract", "S", COMMANDS, BODY_NODES, IN_COMMAND, false},
    {EPC_H248_TERMINATION_STATE, "TerminationState", "TS", IN_MEDIA, BODY_NODES, IN_TERMINATION_STATE, false},
    {EPC_H248_TOPOLOGY, "Topology", "TP", IN_CONTEXT | IN_CONTEXT_AUDIT, BODY_NODES, IN_TOPOLOGY, false},
    {EPC_H248_TRANSACTION, "Transaction", "T", IN_MESSAGE, BODY_NONE, 0, false},
    {EPC_H248_TRANSACTION_ACK, "TransactionResponseAck", "K", IN_MESSAGE, BODY_NONE, 0, false},
    {EPC_H248_VERSION, "Version", "V", IN_SERVICES, BODY_NONE, 0, false},
    {EPC_H248_AND_LOGIC, "ANDLgc", "ANDLgc", IN_CONTEXT_AUDIT | IN_AUDIT, BODY_NONE, 0, false},
    {EPC_H248_OR_LOGIC, "ORLgc", "ORLgc", IN_CONTEXT_AUDIT | IN_AUDIT, BODY_NONE, 0, false},
};

/* Values that are keywords, by the node that they are values of. */
static const struct word {
    enum epc_h248_kind of;
    const char *name, *compact;
} words[] = {
    {EPC_H248_MODE, "SendOnly", "SO"},           {EPC_H248_MODE, "ReceiveOnly", "RC"},
    {EPC_H248_MODE, "SendReceive", "SR"},        {EPC_H248_MODE, "Inactive", "IN"},
    {EPC_H248_MODE, "Loopback", "LB"},           {EPC_H248_METHOD, "Failover", "FL"},
    {EPC_H248_METHOD, "Forced", "FO"},           {EPC_H248_METHOD, "Graceful", "GR"},
    {EPC_H248_METHOD, "Restart", "RS"},          {EPC_H248_METHOD, "Disconnected", "DC"},
    {EPC_H248_METHOD, "HandOff", "HO"},          {EPC_H248_SERVICE_STATES, "Test", "TE"},
    {EPC_H248_SERVICE_STATES, "OutOfService", "OS"}, {EPC_H248_SERVICE_STATES, "InService", "IV"},
    {EPC_H248_EVENT_BUFFER_CONTROL, "LockStep", "SP"}, {EPC_H248_SIGNAL_TYPE, "OnOff", "OO"},
    {EPC_H248_SIGNAL_TYPE, "TimeOut", "TO"},     {EPC_H248_SIGNAL_TYPE, "Brief", "BR"},
    {EPC_H248_NOTIFY_COMPLETION, "TimeOut", "TO"}, {EPC_H248_NOTIFY_COMPLETION, "IntByEvent", "IBE"},
    {EPC_H248_NOTIFY_COMPLETION, "IntBySigDescr", "IBS"}, {EPC_H248_NOTIFY_COMPLETION, "OtherReason", "OR"},
    {EPC_H248_NOTIFY_COMPLETION, "Iteration", "IR"}, {EPC_H248_DIRECTION, "Internal", "IT"},
    {EPC_H248_DIRECTION, "External", "EX"},      {EPC_H248_DIRECTION, "Both", "B"},
    {EPC_H248_TOPOLOGY, "Bothway", "BW"},        {EPC_H248_TOPOLOGY, "Isolate", "IS"},
    {EPC_H248_TOPOLOGY, "Oneway", "OW"},         {EPC_H248_TOPOLOGY, "OnewayExternal", "OWE"},
    {EPC_H248_TOPOLOGY, "OnewayBoth", "OWB"},    {EPC_H248_MODEM, "SynchISDN", "SN"},
    {EPC_H248_MUX, "Nx64Kservice", "N64"},       {EPC_H248_AUDIT_VALUE, "Context", "C"},
    {EPC_H248_AUDIT_CAPABILITY, "Context", "C"},
};
/* clang-format on */

static bool is(struct epc_str name, const char *a, const char *b)
{
    return epc_str_ieqc(name, a) || epc_str_ieqc(name, b);
}

const struct h248_keyword *h248_keyword(struct epc_str name, enum h248_place place)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(keywords); i++)
        if ((keywords[i].places & (unsigned)place) && is(name, keywords[i].name, keywords[i].compact))
            return &keywords[i];
    /* A spelling that is about. */
    return epc_str_ieqc(name, "ANSLgc") ? h248_keyword((struct epc_str){"ANDLgc", 6}, place) : NULL;
}

const struct h248_keyword *h248_keyword_of(enum epc_h248_kind kind)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(keywords); i++)
        if (keywords[i].kind == kind)
            return &keywords[i];
    return NULL;
}

const char *epc_h248_token(enum epc_h248_kind kind)
{
    const struct h248_keyword *k = h248_keyword_of(kind);
    return k ? k->name : "";
}

static const struct word *word(enum epc_h248_kind kind, struct epc_str value)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(words); i++)
        if (words[i].of == kind && is(value, words[i].name, words[i].compact))
            return &words[i];
    return NULL;
}

struct epc_str h248_word_long(enum epc_h248_kind kind, struct epc_str value)
{
    const struct word *w = word(kind, value);
    return w ? epc_str_c(w->name) : value;
}

struct epc_str h248_word_compact(enum epc_h248_kind kind, struct epc_str value)
{
    const struct word *w = word(kind, value);
    return w ? epc_str_c(w->compact) : value;
}
