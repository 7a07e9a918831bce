/* Records of TLS 1.3 from a peer that may do anything it has the keys for, and whose octets may be spoilt on the
 * way. The peer is the same code at the other end (test_wss has OpenSSL there): what it sealed comes out as it
 * was, in whatever pieces; what was spoilt never does, and ends the connection with an alert that the peer can
 * read; asking for new keys without end has an end, and makes nothing grow. */
#include "wss/tls_record.c" /* its steps, to play the peer */

#include <stdlib.h>

#define MUST(x)      \
    do {             \
        if (!(x))    \
            abort(); \
    } while (0)

static const struct {
    uint8_t key_n, secret_n;
    const char *md, *cipher;
} kinds[EPC_TLS_SUITES] = {
    {16, 32, "SHA256", "AES-128-GCM"}, {32, 48, "SHA384", "AES-256-GCM"}, {32, 32, "SHA256", "ChaCha20-Poly1305"}};

static struct epc_tls_shard ts;

static void open_suites(void)
{
    if (ts.md)
        return;
    ts.md = EVP_MD_CTX_new();
    MUST(ts.md);
    for (unsigned i = 0; i < EPC_TLS_SUITES; i++) {
        struct epc_tls_suite *s = &ts.suite[i];
        *s = (struct epc_tls_suite){.key_n = kinds[i].key_n, .secret_n = kinds[i].secret_n,
                                    .md = EVP_MD_fetch(NULL, kinds[i].md, NULL),
                                    .cipher = EVP_CIPHER_fetch(NULL, kinds[i].cipher, NULL),
                                    .seal = EVP_CIPHER_CTX_new(), .open = EVP_CIPHER_CTX_new()};
        MUST(s->md && s->cipher && s->seal && s->open);
        MUST(EVP_EncryptInit_ex2(s->seal, s->cipher, NULL, NULL, NULL) == 1);
        MUST(EVP_DecryptInit_ex2(s->open, s->cipher, NULL, NULL, NULL) == 1);
    }
}

static void keys(struct epc_tls_keys *k, const struct epc_tls_suite *s, unsigned char fill)
{
    memset(k, 0, sizeof *k);
    memset(k->secret, fill, s->secret_n);
    MUST(epc_tls_derive(&ts, s, k));
}

struct ends {
    struct epc_tls us, peer;
    struct epc_fifo answer;
    size_t piece;
};

/* What the peer makes of what we answered: it can always be read. Gives how many octets that was. */
static size_t peer_reads(struct ends *e)
{
    struct epc_fifo none = {0};
    size_t n = epc_fifo_n(&e->answer), all = n, plain_n;
    unsigned char *p = e->answer.p ? e->answer.p + e->answer.at : NULL, *plain;
    while (n) {
        enum epc_err err = epc_tls_record_open(&ts, &e->peer, &p, &n, &plain, &plain_n, &none);
        MUST(err == EPC_OK || err == EPC_ENOENT);
    }
    MUST(!epc_fifo_n(&none));
    epc_fifo_free(&e->answer);
    return all;
}

/* Everything that is there, in pieces of their very size: a sanitizer sees what goes over. */
static enum epc_err feed(struct ends *e, const unsigned char *wire, size_t n, struct epc_buf *out)
{
    size_t have = 0;
    enum epc_err err = EPC_EAGAIN;
    for (size_t at = 0; at < n && err == EPC_EAGAIN;) {
        size_t k = n - at < e->piece ? n - at : e->piece, left = have + k, plain_n;
        unsigned char *copy = malloc(left), *p = copy, *plain;
        MUST(copy);
        memcpy(copy, wire + at - have, left);
        at += k;
        while ((err = epc_tls_record_open(&ts, &e->us, &p, &left, &plain, &plain_n, &e->answer)) == EPC_OK)
            epc_buf_add(out, plain_n ? (const char *)plain : "", plain_n);
        have = left;
        free(copy);
    }
    return err;
}

/* One record of the peer's as it goes over the wire. */
static size_t peer_seals(struct ends *e, unsigned type, const uint8_t *p, size_t n, unsigned char *out)
{
    size_t k = epc_tls_record_seal(&ts, &e->peer, type, p, n, out);
    MUST(k);
    return k;
}

/* Steps: what is done, how much of the data belongs to it. @return false: the connection is over */
static bool step(struct ends *e, unsigned what, const uint8_t *p, size_t n)
{
    static unsigned char wire[4 * (EPC_TLS_PLAIN_MAX + EPC_TLS_RECORD_EXTRA)];
    struct epc_buf got = {0};
    unsigned char plain[512];
    size_t k = 0, before = e->us.rx.no_data;
    bool spoilt = false, data = false, goes_on = false;
    switch (what % 8) {
    case 0: /* data */
        k = peer_seals(e, TYPE_DATA, p, n, wire);
        data = n || before < NO_DATA_MAX;
        break;
    case 1: /* data, spoilt on the way; the lengths too */
        k = peer_seals(e, TYPE_DATA, p, n, wire);
        wire[n ? p[0] % k : 0] ^= (unsigned char)(1U << (what >> 3 & 7U));
        spoilt = true;
        break;
    case 2: /* new keys, asked for or not */
        k = peer_seals(e, TYPE_HANDSHAKE, (const unsigned char[]){KEY_UPDATE, 0, 0, 1, what >> 3 & 1U}, 5, wire);
        MUST(next_generation(&ts, e->peer.suite, &e->peer.tx));
        goes_on = before < NO_DATA_MAX;
        break;
    case 3: /* any other content that is no data */
        k = peer_seals(e, what >> 3, p, n, wire);
        data = what >> 3 == TYPE_DATA && (n || before < NO_DATA_MAX);
        break;
    case 4: /* octets that nobody has sealed */
        memcpy(wire, p, k = n);
        spoilt = true;
        break;
    case 5: /* the keys of the peer have served their time */
        e->peer.tx.seq = e->us.rx.seq = RECORDS_MAX;
        k = peer_seals(e, TYPE_DATA, p, n, wire);
        MUST(e->peer.tx.seq == 1);
        data = before + 1 + (n == 0) <= NO_DATA_MAX;
        break;
    case 6: /* padding (RFC 8446 5.4) */
        MUST(n <= sizeof plain - 32);
        memcpy(plain, p, n);
        memset(plain + n, 0, 32);
        plain[n] = TYPE_DATA;
        k = peer_seals(e, 0, plain, n + 1 + (what >> 3), wire);
        data = n || before < NO_DATA_MAX;
        break;
    default: /* ours */
        k = epc_tls_record_seal(&ts, &e->us, TYPE_DATA, p, n, wire);
        MUST(k && !e->us.tx.due && epc_fifo_add(&e->answer, wire, k) == EPC_OK);
        MUST(peer_reads(e) == k);
        return true;
    }
    enum epc_err err = feed(e, wire, k, &got);
    MUST(err != EPC_OK && err != EPC_ENOMEM && !got.failed);
    if (spoilt)
        MUST(got.n == 0);
    else if (data)
        MUST(err == EPC_EAGAIN && got.n == n && (n == 0 || memcmp(got.p, p, n) == 0));
    else if (goes_on)
        MUST(err == EPC_EAGAIN);
    MUST((peer_reads(e) > 0) == (err == EPC_EPROTO));
    epc_buf_free(&got);
    return err == EPC_EAGAIN && !spoilt;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ends e = {0};
    if (n < 2)
        return 0;
    open_suites();
    e.us.suite = e.peer.suite = &ts.suite[data[0] % EPC_TLS_SUITES];
    e.piece = 1 + data[1];
    keys(&e.us.rx, e.us.suite, 1);
    keys(&e.us.tx, e.us.suite, 2);
    e.peer.tx = e.us.rx;
    e.peer.rx = e.us.tx;
    for (size_t at = 2; at + 2 <= n;) {
        unsigned what = data[at], k = data[at + 1];
        at += 2;
        if (k > n - at)
            k = (unsigned)(n - at);
        if (!step(&e, what, data + at, k))
            break;
        at += k;
    }
    epc_fifo_free(&e.answer);
    return 0;
}
