/* Passwords as scrypt hashes (RFC 7914): "scrypt$N$r$p$salt$hash", salt and hash in hex. */
#include "wwsf/users.h"
#include "wwsf/wwsf.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Costs of new hashes: about 50 ms and 16 MB. Bounds of those that are read: a file must not make a
 * log-in take minutes or the machine's memory. */
enum {
    COST_N = 16384, COST_R = 8, COST_P = 1,
    MAX_R = 32, MAX_P = 16,
    MEMORY_MAX = 128 * 1024 * 1024,
};

static bool derive(const struct epc_password *p, struct epc_str password, unsigned char out[EPC_HASH_OCTETS])
{
    /* OpenSSL takes a NULL password for "none"; an empty one is a password too. */
    const char *text = password.p ? password.p : "";
    bool ok = EVP_PBE_scrypt(text, password.n, p->salt, sizeof p->salt, p->n, p->r, p->p,
                             2ULL * MEMORY_MAX, out, EPC_HASH_OCTETS) == 1;
    if (!ok) {
        epc_log(EPC_LOG_ERROR, "wwsf", "event=scrypt-failed why=\"%s\"",
                ERR_reason_error_string(ERR_peek_last_error()));
        ERR_clear_error();
    }
    return ok;
}

static void add_hex(struct epc_buf *b, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        epc_buf_printf(b, "%02x", p[i]);
}

char *epc_wwsf_hash_password(const char *password)
{
    struct epc_password p = {.n = COST_N, .r = COST_R, .p = COST_P};
    struct epc_buf b = {0};
    epc_random(p.salt, sizeof p.salt);
    if (!derive(&p, epc_str_c(password), p.hash))
        return NULL;
    epc_buf_printf(&b, "scrypt$%d$%d$%d$", COST_N, COST_R, COST_P);
    add_hex(&b, p.salt, sizeof p.salt);
    epc_buf_adds(&b, "$");
    add_hex(&b, p.hash, sizeof p.hash);
    return epc_buf_take(&b, NULL);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(struct epc_str s, unsigned char *out, size_t n)
{
    if (s.n != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(s.p[2 * i]), low = hex_digit(s.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

enum epc_err epc_password_parse(struct epc_password *out, const char *text)
{
    struct epc_password p;
    struct epc_str rest = epc_str_c(text);
    if (!epc_str_eqc(epc_str_cut(&rest, '$'), "scrypt") ||
        epc_str_u64(epc_str_cut(&rest, '$'), MEMORY_MAX, &p.n) != EPC_OK ||
        epc_str_u64(epc_str_cut(&rest, '$'), MAX_R, &p.r) != EPC_OK ||
        epc_str_u64(epc_str_cut(&rest, '$'), MAX_P, &p.p) != EPC_OK)
        return EPC_EPROTO;
    if (p.n < 2 || (p.n & (p.n - 1)) || p.r < 1 || p.p < 1 || p.n * p.r * 128 > MEMORY_MAX)
        return EPC_EPROTO;
    if (!read_hex(epc_str_cut(&rest, '$'), p.salt, sizeof p.salt) ||
        !read_hex(rest, p.hash, sizeof p.hash))
        return EPC_EPROTO;
    *out = p;
    return EPC_OK;
}

bool epc_password_is(const struct epc_password *p, struct epc_str password)
{
    unsigned char hash[EPC_HASH_OCTETS];
    bool same = derive(p, password, hash) && CRYPTO_memcmp(hash, p->hash, sizeof hash) == 0;
    OPENSSL_cleanse(hash, sizeof hash);
    return same;
}

struct epc_password epc_password_stand_in(void)
{
    return (struct epc_password){.n = COST_N, .r = COST_R, .p = COST_P};
}
