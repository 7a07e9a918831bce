/* TPKT framing (RFC 1006 6). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/h248/tpkt.h"

struct seen {
    char text[8][64];
    size_t n[8], count, stop_after;
};

static bool note(void *arg, struct epc_str body)
{
    struct seen *s = arg;
    assert_true(s->count < 8 && body.n < 64);
    if (body.n)
        memcpy(s->text[s->count], body.p, body.n);
    s->n[s->count++] = body.n;
    return s->count != s->stop_after;
}

static size_t packet(char *out, const char *text)
{
    tpkt_header((uint8_t *)out, strlen(text));
    memcpy(out + TPKT_HEADER_OCTETS, text, strlen(text));
    return TPKT_HEADER_OCTETS + strlen(text);
}

static size_t three(char out[128])
{
    size_t n = packet(out, "first");
    n += packet(out + n, "");
    return n + packet(out + n, "the third");
}

static void a_header_counts_itself(void **state)
{
    uint8_t h[TPKT_HEADER_OCTETS];
    (void)state;
    tpkt_header(h, 0x1fc);
    assert_memory_equal(h, "\x03\x00\x02\x00", 4);
    tpkt_header(h, TPKT_MAX_BODY);
    assert_memory_equal(h, "\x03\x00\xff\xff", 4);
}

static void packets_come_whole_however_the_stream_is_cut(void **state)
{
    char stream[128];
    size_t n = three(stream);
    (void)state;
    for (size_t step = 1; step <= n; step++) {
        struct tpkt_reader r = {0};
        struct seen s = {0};
        for (size_t at = 0; at < n; at += step)
            assert_int_equal(tpkt_feed(&r, stream + at, at + step < n ? step : n - at, note, &s), EPC_OK);
        assert_int_equal(s.count, 3);
        assert_string_equal(s.text[0], "first");
        assert_int_equal(s.n[1], 0);
        assert_string_equal(s.text[2], "the third");
        tpkt_reader_free(&r);
    }
}

static void what_is_no_packet_ends_the_stream(void **state)
{
    static const struct {
        const char *octets;
        size_t n, before;
    } bad[] = {
        {"MEGACO/1 [10.0.0.1]", 19, 0},
        {"\x03\x00\x00\x03", 4, 0},                 /* shorter than its own header */
        {"\x03\x00\x00\x05" "a" "\x02\x00\x00\x05" "b", 10, 1}, /* version 2 */
    };
    (void)state;
    for (size_t i = 0; i < EPC_ARRAY_LEN(bad); i++)
        for (size_t step = 1; step <= bad[i].n; step += bad[i].n - 1) {
            struct tpkt_reader r = {0};
            struct seen s = {0};
            enum epc_err err = EPC_OK;
            for (size_t at = 0; at < bad[i].n && err == EPC_OK; at += step)
                err = tpkt_feed(&r, bad[i].octets + at, at + step < bad[i].n ? step : bad[i].n - at, note, &s);
            assert_int_equal(err, EPC_EPROTO);
            assert_int_equal(s.count, bad[i].before);
            tpkt_reader_free(&r);
        }
}

static void the_receiver_can_stop(void **state)
{
    char stream[128];
    struct tpkt_reader r = {0};
    struct seen s = {.stop_after = 1};
    (void)state;
    assert_int_equal(tpkt_feed(&r, stream, three(stream), note, &s), EPC_OK);
    assert_int_equal(s.count, 1);
    tpkt_reader_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_counts_itself),
        cmocka_unit_test(packets_come_whole_however_the_stream_is_cut),
        cmocka_unit_test(what_is_no_packet_ends_the_stream),
        cmocka_unit_test(the_receiver_can_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
