/* Datagrams from rtpengine: any octets give a cookie and an object or an error, and an object gives a
 * description with as many m-lines as asked for, or a cause. */
#include "gateway/rtpengine/bencode.h"
#include "gateway/rtpengine/rtpengine_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct epc_str cookie, text = {(const char *)data, size};
    json_t *reply = NULL;
    if (ng_parse(text, &cookie, &reply) != EPC_OK)
        return 0;
    if (!json_is_object(reply) || cookie.n == 0 || cookie.p < text.p || cookie.p + cookie.n > text.p + size)
        __builtin_trap();
    for (size_t n_media = 1; n_media <= 2; n_media++) {
        struct epc_sdp *local = NULL;
        struct epc_cause cause = {0};
        enum epc_err err = rtp_local(reply, n_media, &local, &cause);
        if ((err == EPC_OK) != (local != NULL) || (local && local->n_media != n_media) ||
            (err != EPC_OK && (cause.sip_status < 400 || cause.sip_status > 699)))
            __builtin_trap();
        epc_sdp_free(local);
    }
    (void)rtp_unknown_call(reply);
    struct epc_buf again = {0};
    epc_bencode_put(&again, reply);
    if (!again.failed) { /* what was read is what was written */
        json_t *same = epc_bencode_get((struct epc_str){again.p, again.n});
        if (cookie.p[cookie.n + 1] == 'd' && (!same || !json_equal(same, reply)))
            __builtin_trap();
        json_decref(same);
    }
    epc_buf_free(&again);
    json_decref(reply);
    return 0;
}
