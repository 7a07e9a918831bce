/* A dialog of up to 8 descriptions, separated by lines of "==": octet 0 says who offers first (odd: the
 * core), then offer, answer, offer, ... alternate; "==x" makes the other leg the next offerer. */
#include "sdp_properties.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const audio[] = {"opus", "PCMU", "PCMA", "G722"};
static const char *const video[] = {"VP8", "H264"};

static struct epc_str next(struct epc_str *rest, bool *swap)
{
    struct epc_str all = *rest;
    for (size_t i = 0; i + 3 < all.n; i++)
        if (memcmp(all.p + i, "\n==", 3) == 0) {
            *swap = all.p[i + 3] == 'x';
            *rest = (struct epc_str){all.p + i + 4, all.n - i - 4};
            return (struct epc_str){all.p, i + 1};
        }
    *rest = EPC_STR_NULL;
    return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct epc_iw_policy policy = {
        .audio_codecs = audio, .n_audio_codecs = 4, .video_codecs = video, .n_video_codecs = 2,
    };
    struct epc_iw *w = NULL;
    if (size < 2)
        return 0;
    epc_log_setup(EPC_LOG_ERROR, 2);
    policy.gateway_sctp = data[0] & 2;
    policy.transcodes = data[0] & 4 ? UINT32_MAX : 0;
    enum epc_sdp_leg from = data[0] & 1 ? EPC_SDP_CORE : EPC_SDP_WIC;
    struct epc_str rest = {(const char *)data + 1, size - 1};
    if (epc_iw_create(&w, &policy) != EPC_OK)
        return 0;
    epc_iw_act_for_preconditions(w, data[0] & 8);
    for (int i = 0; i < 4 && rest.p; i++) {
        bool swap = false;
        struct epc_str offer = next(&rest, &swap), answer = next(&rest, &swap);
        /* The fuzzer would write one leg's addresses into fmtp and call it a leak. */
        property_exchange(w, from, offer, answer, false);
        if (swap)
            from = from == EPC_SDP_WIC ? EPC_SDP_CORE : EPC_SDP_WIC;
    }
    epc_iw_free(w);
    return 0;
}
