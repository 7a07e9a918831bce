/* Error codes (ITU-T H.248.8). */
#include "h248/h248.h"

static const struct {
    unsigned code;
    const char *text;
} errors[] = {
    {400, "Syntax error in message"},
    {401, "Protocol error"},
    {402, "Unauthorized"},
    {403, "Syntax error in transaction request"},
    {406, "Version not supported"},
    {410, "Incorrect identifier"},
    {411, "The transaction refers to an unknown ContextID"},
    {412, "No ContextIDs available"},
    {413, "Number of transactions in message exceeds maximum"},
    {421, "Unknown action or illegal combination of actions"},
    {422, "Syntax error in action"},
    {430, "Unknown TerminationID"},
    {431, "No TerminationID matched a wildcard"},
    {432, "Out of TerminationIDs or no TerminationID available"},
    {433, "TerminationID is already in a context"},
    {434, "Max number of terminations in a context exceeded"},
    {435, "TerminationID is not in specified context"},
    {440, "Unsupported or unknown package"},
    {441, "Missing remote or local descriptor"},
    {442, "Syntax error in command"},
    {443, "Unsupported or unknown command"},
    {444, "Unsupported or unknown descriptor"},
    {445, "Unsupported or unknown property"},
    {446, "Unsupported or unknown parameter"},
    {447, "Descriptor not legal in this command"},
    {448, "Descriptor appears twice in a command"},
    {449, "Unsupported or unknown parameter or property value"},
    {450, "No such property in this package"},
    {451, "No such event in this package"},
    {452, "No such signal in this package"},
    {453, "No such statistic in this package"},
    {454, "No such parameter value in this package"},
    {455, "Property illegal in this descriptor"},
    {456, "Property appears twice in this descriptor"},
    {457, "Missing parameter in signal or event"},
    {458, "Unexpected event/request ID"},
    {459, "Unsupported or unknown profile"},
    {460, "Unable to set statistic on stream"},
    {471, "Implied add for multiplex failure"},
    {500, "Internal software failure in MG"},
    {501, "Not implemented"},
    {502, "Not ready"},
    {503, "Service unavailable"},
    {504, "Command received from unauthorized entity"},
    {505, "Transaction request received before a ServiceChange reply has been received"},
    {506, "Number of TransactionPendings exceeded"},
    {510, "Insufficient resources"},
    {512, "Media gateway unequipped to detect requested event"},
    {513, "Media gateway unequipped to generate requested signals"},
    {514, "Media gateway cannot send the specified announcement"},
    {515, "Unsupported media type"},
    {517, "Unsupported or invalid mode"},
    {518, "Event buffer full"},
    {519, "Out of space to store digit map"},
    {520, "Digit map undefined in the MG"},
    {521, "Termination is ServiceChangeing"},
    {522, "Functionality requested in topology triple not supported"},
    {526, "Insufficient bandwidth"},
    {529, "Internal hardware failure in MG"},
    {530, "Temporary network failure"},
    {531, "Permanent network failure"},
    {532, "Audited property, statistic, event or signal does not exist"},
    {533, "Response exceeds maximum transport PDU size"},
    {534, "Illegal write of read only property"},
    {540, "Unexpected initial hook state"},
    {542, "Command is not allowed on this termination"},
    {581, "Does not exist"},
};

const char *epc_h248_error_text(unsigned code)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(errors); i++)
        if (errors[i].code == code)
            return errors[i].text;
    return "";
}
