/* What a peer sends inside TLS: the HTTP request, then frames. Whatever comes, in whatever pieces: nothing is
 * read beyond its end, the same messages come out however it was cut, and none larger than allowed. What the
 * socket, the timers and the rooms above would do is played here. */
#include "wss/wss_priv.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_MESSAGE = 2000 };

static struct epc_buf seen; /* the messages, each with its length */

static void stop(struct epc_flow *f)
{
    f->deaf = true;
    f->state = EPC_FLOW_CLOSING;
}
void epc_flow_fail(struct epc_flow *f, uint16_t code, const char *reason)
{
    epc_buf_printf(&seen, "fail %u %s;", (unsigned)code, reason);
    stop(f);
}
void epc_flow_abort(struct epc_flow *f, enum epc_flow_end why)
{
    (void)why;
    stop(f);
}
void epc_flow_refuse(struct epc_flow *f)
{
    stop(f);
}
void epc_flow_peer_closes(struct epc_flow *f, const unsigned char *p, size_t n)
{
    epc_buf_adds(&seen, "close ");
    epc_buf_add(&seen, p, n);
    stop(f);
}
void epc_flow_established(struct epc_flow *f)
{
    f->state = EPC_FLOW_OPEN;
}
void epc_flow_heard(struct epc_flow *f)
{
    (void)f;
}
void epc_flow_relay(struct epc_flow *f, const char *p, size_t n)
{
    (void)f, (void)p, (void)n;
    abort(); /* this one is at home */
}
void epc_conn_send_soon(struct epc_flow *f)
{
    (void)f;
}
bool epc_wss_over_limit(const struct epc_flow *f)
{
    (void)f;
    return false;
}

static void on_message(void *arg, struct epc_flow *f, const char *p, size_t n)
{
    (void)arg, (void)f;
    if (n == 0 || n > MAX_MESSAGE)
        abort();
    epc_buf_printf(&seen, "%lu:", (unsigned long)n);
    epc_buf_add(&seen, p, n);
}

/* In pieces of @p piece octets. Gives what came out, and what was answered. */
static char *run(struct epc_wss *w, const uint8_t *data, size_t n, size_t piece, bool upgraded, size_t *out_n)
{
    struct epc_flow f = {.w = w, .state = upgraded ? EPC_FLOW_OPEN : EPC_FLOW_HANDSHAKE};
    for (size_t at = 0; at < n && !f.deaf; at += piece) {
        size_t k = n - at < piece ? n - at : piece;
        unsigned char *copy = malloc(k); /* of its very size: a sanitizer sees what goes over */
        if (!copy)
            abort();
        memcpy(copy, data + at, k);
        epc_flow_input(&f, copy, k);
        free(copy);
    }
    epc_buf_add(&seen, f.out.p ? f.out.p + f.out.at : (const unsigned char *)"", epc_fifo_n(&f.out));
    epc_fifo_free(&f.out);
    epc_fifo_free(&f.in);
    epc_fifo_free(&f.message);
    return epc_buf_take(&seen, out_n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char *paths[] = {(char *)(uintptr_t)"/sip"};
    static struct epc_cfg_origin origin = {.origin = (char *)(uintptr_t)"https://a.example"};
    static const struct epc_cfg_wss cfg = {.paths = paths, .n_paths = 1, .origins = &origin, .n_origins = 1,
                                           .max_message_octets = MAX_MESSAGE, .send_queue_octets = 4000};
    struct epc_wss w = {.cfg = &cfg, .h = {.message = on_message}};
    size_t whole_n, pieces_n;
    if (n < 2)
        return 0;
    w.tls.sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    bool upgraded = data[0] & 1;
    size_t piece = 1 + (data[0] >> 1) % 40;
    char *whole = run(&w, data + 1, n - 1, n, upgraded, &whole_n);
    char *pieces = run(&w, data + 1, n - 1, piece, upgraded, &pieces_n);
    if (!whole || !pieces || whole_n != pieces_n || memcmp(whole, pieces, whole_n) != 0)
        abort();
    free(whole);
    free(pieces);
    EVP_MD_free(w.tls.sha1);
    return 0;
}
