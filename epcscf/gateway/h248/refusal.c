/* Error codes of H.248.8 -> what SIP answers. */
#include "gateway/h248/iq_priv.h"

static const struct {
    unsigned from, to;
    int status;
    unsigned retry_after_s;
    const char *why;
} codes[] = {
    {406, 406, 500, 0, "version not supported"},
    {412, 412, 503, 10, "no more contexts"},
    {413, 413, 500, 0, "too many transactions in one message"},
    {411, 411, 503, 0, "context unknown"},
    {430, 431, 503, 0, "termination unknown"},
    {432, 432, 503, 10, "no more terminations"},
    {434, 434, 503, 10, "no more terminations in a context"},
    {435, 435, 503, 0, "termination not in that context"},
    {502, 503, 503, 10, "not ready"},
    {505, 505, 503, 5, "not registered yet"},
    {506, 506, 503, 10, "busy for too long"},
    {510, 510, 503, 10, "no resources"},
    {515, 515, 488, 0, "media type not supported"},
    {517, 517, 500, 0, "mode not supported"},
    {521, 521, 503, 10, "changing service"},
    {526, 526, 503, 10, "not enough bandwidth"},
    {529, 529, 503, 10, "hardware failure"},
    {530, 530, 503, 10, "temporary network failure"},
    {531, 531, 503, 10, "network failure"},
};

void iq_cause_of_code(unsigned code, struct epc_cause *cause)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(codes); i++)
        if (code >= codes[i].from && code <= codes[i].to) {
            epc_cause_set(cause, codes[i].status, "H.248.8 4", "gateway: %s (%u)", codes[i].why, code);
            cause->retry_after_s = codes[i].retry_after_s;
            return;
        }
    epc_cause_set(cause, 500, "H.248.8 4", "gateway: error %u", code);
}
