/* Memory runs out at every allocation in turn: the error comes back, nothing leaks, the object goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "peer_gateway.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static long left = -1; /* allocations that still succeed; negative: all of them */

static bool fails(void)
{
    if (left < 0)
        return false;
    if (left == 0)
        return true;
    left--;
    return false;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

#define FP                                                                                         \
    "a=fingerprint:sha-256 00:11:22:33:44:55:66:77:00:11:22:33:44:55:66:77:00:11:22:33:44:55:66:77:00:11:" \
    "22:33:44:55:66:77\r\n"
static const char offer[] =
    "v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\nm=audio 4000 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 192.0.2.55\r\n"
    "a=ice-ufrag:wicU\r\na=ice-pwd:wicPasswordOf22charsXX\r\n" FP "a=setup:actpass\r\na=rtcp-mux\r\n"
    "a=candidate:1 1 udp 99 192.0.2.55 4000 typ host\r\na=rtcp-fb:0 nack\r\n";
static const char answer[] =
    "v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n";

static const char *const audio[] = {"PCMU"};
static const struct epc_iw_policy policy = {.audio_codecs = audio, .n_audio_codecs = 1};

/* One step with at most @p n allocations; true when it needed no more. */
static bool step(struct epc_iw *w, bool is_offer, long n)
{
    struct epc_sdp *remote = NULL;
    struct epc_buf out = {0};
    bool unchanged;
    left = n;
    enum epc_err err = is_offer ? epc_iw_offer(w, EPC_SDP_WIC, epc_str_c(offer), &remote, &unchanged, NULL)
                                : epc_iw_answer(w, epc_str_c(answer), &remote, &unchanged, NULL);
    left = -1;
    if (err != EPC_OK) {
        assert_int_equal(err, EPC_ENOMEM);
        assert_null(remote);
        return false;
    }
    struct epc_sdp *local = peer_gateway_local(remote, is_offer ? EPC_SDP_CORE : EPC_SDP_WIC, 1);
    assert_non_null(local);
    for (long k = 0; err == EPC_OK; k++) {
        left = k;
        err = is_offer ? epc_iw_offer_out(w, local, &out, NULL) : epc_iw_answer_out(w, local, &out, NULL);
        left = -1;
        if (err == EPC_OK)
            break;
        assert_int_equal(err, EPC_ENOMEM);
        epc_buf_free(&out);
        err = EPC_OK;
    }
    assert_non_null(strstr(out.p, " 1 IN IP4 ")); /* failed tries cost no version */
    epc_buf_free(&out);
    epc_sdp_free(local);
    epc_sdp_free(remote);
    return true;
}

static void test_exchange(void **state)
{
    (void)state;
    struct epc_iw *w = NULL;
    left = 0;
    assert_int_equal(epc_iw_create(&w, &policy), EPC_ENOMEM);
    left = -1;
    assert_int_equal(epc_iw_create(&w, &policy), EPC_OK);
    long n = 0;
    while (!step(w, true, n))
        n++;
    assert_true(n > 5);
    n = 0;
    while (!step(w, false, n))
        n++;
    assert_true(n > 5);
    epc_iw_commit(w);
    epc_iw_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exchange)};
    epc_log_setup(EPC_LOG_ERROR, 2);
    return cmocka_run_group_tests_name("sdp_oom", tests, NULL, NULL);
}
