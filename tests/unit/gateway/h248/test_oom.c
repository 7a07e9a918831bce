/* Memory runs out at every allocation in turn: the owner is told or the request goes out, nothing leaks, and
 * the context ends all the same. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "sdp.h"
#include "seams.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);

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

char *__wrap_strdup(const char *s)
{
    return fails() ? NULL : __real_strdup(s);
}

static const char added[] =
    "Context = 5001 { Add = ip/1/access/17 { Media { Stream = 1 { Local {\n"
    "v=0\nc=IN IP4 198.51.100.20\nm=audio 40000 UDP/TLS/RTP/SAVPF 0 126\na=ice-ufrag:Mf3b\n"
    "a=ice-pwd:9uB6YZ1KyaEJGQk1ZKqH5d\na=fingerprint:sha-256 AA:BB\na=setup:actpass\n } } } }, "
    "Add = ip/1/core/18 { Media { Stream = 1 { Local {\n"
    "v=0\nc=IN IP4 10.10.0.20\nm=audio 50000 RTP/AVP 0 126\n } } } } }";

enum step { OFFER, ADDED, ANSWER, GATE, RESTORE, SUBTRACT, STEPS };
static const struct epc_sdp *offered, *answered, *want;
static struct epc_h248_message *added_msg; /* read while there was memory */

static void reply_added(void)
{
    struct open_request r = seam.open[0];
    memmove(seam.open, seam.open + 1, --seam.n_open * sizeof r);
    epc_h248_free(r.msg);
    r.done(r.arg, EPC_OK, &(struct h248_reply){1, "[127.0.0.1]:2944", 0, &added_msg->transaction[0]});
}

static void read_added(void)
{
    struct epc_buf b = {0};
    struct epc_h248_fault fault;
    epc_buf_printf(&b, "MEGACO/2 [127.0.0.1]:2944\nReply = 1 { %s }", added);
    assert_int_equal(epc_h248_parse(&added_msg, (struct epc_str){b.p, b.n}, &fault), EPC_OK);
    epc_buf_free(&b);
}

static void on_done(void *arg, enum epc_err err, struct epc_sdp *local, const struct epc_cause *cause)
{
    int *n = arg;
    (*n)++;
    assert_true((err == EPC_OK) == (local != NULL));
    assert_true(err == EPC_OK || cause->sip_status >= 400);
    epc_sdp_free(local);
}

static void take_step(enum step s, int *told)
{
    struct epc_gw_media o = {offered, want}, a = {answered, NULL};
    switch (s) {
    case OFFER:
        epc_gw_h248_ops.offer(seam.ctx, EPC_GW_CORE, &o, on_done, told);
        break;
    case ADDED:
        if (seam.n_open)
            reply_added();
        break;
    case ANSWER:
        epc_gw_h248_ops.answer(seam.ctx, &a, on_done, told);
        break;
    case GATE:
        gate(false, true);
        break;
    case RESTORE:
        epc_gw_h248_ops.restore(seam.ctx, EPC_GW_CORE, &o, &a);
        break;
    case SUBTRACT:
        release();
        break;
    case STEPS:
        break;
    }
    seams_wait(0);
}

static void answer_all(void)
{
    for (int i = 0; i < 40; i++) {
        while (seam.n_open)
            reply(asks_for("Add =") ? added : "Context = 5001 { Modify = ip/1/access/17, Modify = ip/1/core/18 }");
        seams_wait(60000);
    }
}

/* All steps, with memory for @p n allocations in step @p short_one. @return it was enough */
static bool run(enum step short_one, long n)
{
    int told = 0;
    long rest = 0;
    seams_start();
    for (int s = 0; s < STEPS; s++) {
        if (s != ADDED && s != SUBTRACT && s > 0)
            answer_all();
        left = s == (int)short_one ? n : -1;
        take_step((enum step)s, &told);
        if (s == (int)short_one)
            rest = left;
        left = -1;
    }
    answer_all();
    assert_int_equal(told, 2); /* the offer's owner and the answer's, once each */
    assert_int_equal(epc_counter_read(EPC_C_GW_CONTEXTS), 0);
    seams_stop();
    return rest > 0;
}

static void each_allocation_fails(void **state)
{
    (void)state;
    struct epc_sdp *o = sdp_from(sdp_core_offer), *a = sdp_from(sdp_wic_answer), *w = sdp_from(want_wic_audio);
    read_added();
    offered = o;
    answered = a;
    want = w;
    for (int s = 0; s < STEPS; s++)
        for (long n = 0; !run((enum step)s, n); n++)
            assert_true(n < 5000);
    epc_h248_free(added_msg);
    epc_sdp_free(o);
    epc_sdp_free(a);
    epc_sdp_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_allocation_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
