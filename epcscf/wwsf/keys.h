/* Private to wwsf/: the keys that sign tokens. A key is made, published (it stands in the key set), signs
 * from wwsf.key_publish_s later on, and is withdrawn when the last token of its time has ended. */
#ifndef EPC_WWSF_KEYS_H
#define EPC_WWSF_KEYS_H

#include "base/base.h"

#include <sys/stat.h>

struct epc_store;

/* ---- key.c: one key ------------------------------------------------------------------------------ */

enum { EPC_KID_LEN = 43 };
struct epc_key;
/** @return EPC_OK, EPC_EIO (cannot read, or neither EC P-256 nor RSA of 2048 bits or more; logged) */
enum epc_err epc_key_open(struct epc_key **out, const char *file) EPC_MUST_CHECK;
/** @param file where @p pem comes from, for the log */
enum epc_err epc_key_parse(struct epc_key **out, const char *pem, const char *file) EPC_MUST_CHECK;
enum epc_err epc_key_generate(struct epc_key **out) EPC_MUST_CHECK; /**< EC P-256 */
void epc_key_close(struct epc_key *k);              /**< NULL-safe */
char *epc_key_pem(const struct epc_key *k);         /**< the private key; gives, wipe it; NULL: logged */
const char *epc_key_alg(const struct epc_key *k);   /**< "ES256" or "RS256" */
const char *epc_key_kid(const struct epc_key *k);   /**< RFC 7638 thumbprint */
void epc_key_jwk(const struct epc_key *k, struct epc_buf *out); /**< RFC 7517, the public half */
/** JWS signature (RFC 7518 3.3, 3.4) of @p text, in base64url, appended to @p out. */
enum epc_err epc_key_sign(const struct epc_key *k, struct epc_str text,
                          struct epc_buf *out) EPC_MUST_CHECK;
void epc_base64url(struct epc_buf *out, const void *p, size_t n);
enum epc_err epc_key_make_file(const char *file) EPC_MUST_CHECK; /**< an existing file wins */
/** Whole or not at all: written beside, synced, then moved into place. With @p keep an existing file
 *  wins. */
enum epc_err epc_key_write_file(const char *file, const char *p, size_t n, mode_t mode,
                                bool keep) EPC_MUST_CHECK;

/* ---- ring.c: all keys, in the database and in memory ------------------------------------------------ */

struct epc_ring {
    struct {
        struct epc_key *key;
        uint64_t signs_from_s; /* 0: not yet known */
    } *v;
    size_t n;
    char *jwks; /* the set of all of them */
};
/** The published keys. The store's thread. */
enum epc_err epc_ring_load(struct epc_ring **out, struct epc_store *s) EPC_MUST_CHECK;
void epc_ring_free(struct epc_ring *r); /**< NULL-safe */
const struct epc_key *epc_ring_signer(const struct epc_ring *r, uint64_t now_s); /**< NULL: none yet */

struct epc_ring_times {
    uint64_t now_s;
    uint32_t token_life_s, rotation_s, publish_s;
};
/** The key of the signing-key file: when it is a new one, it signs from now on. */
enum epc_err epc_ring_adopt(struct epc_store *s, const struct epc_key *k,
                            const struct epc_ring_times *t) EPC_MUST_CHECK;
/** Make a key; whoever serves the key set publishes it at its next turn. */
enum epc_err epc_ring_rotate(struct epc_store *s, const struct epc_ring_times *t) EPC_MUST_CHECK;
/** One turn: note that the keys in @p served (NULL: none) have been published, make a key when it is time, withdraw
 *  those whose last token has ended. */
enum epc_err epc_ring_turn(struct epc_store *s, const struct epc_ring_times *t,
                           const char *served) EPC_MUST_CHECK;
/** Stop using a key at once, tokens included. EPC_ENOENT; EPC_EPOLICY: no other key signs */
enum epc_err epc_ring_withdraw(struct epc_store *s, const char *kid, uint64_t now_s) EPC_MUST_CHECK;

#endif
