/* A token issuer for tests: fresh RSA and EC keys, their key set, and tokens signed with them. */
#ifndef EPC_TEST_TOKEN_MAKER_H
#define EPC_TEST_TOKEN_MAKER_H

#include <openssl/evp.h>

struct token_maker {
    EVP_PKEY *rsa, *ec, *other_ec;
    char *rsa_public_pem, *rsa_private_pem, *ec_private_pem;
    char *jwks; /* kid "rsa1" and "ec1" */
};
void token_maker_init(struct token_maker *m);
void token_maker_free(struct token_maker *m);
/* Public JWK of an RSA or EC P-256 key. */
char *token_maker_jwk(EVP_PKEY *key, const char *kid);
/* Signed with RS256 or ES256 as the key's type has it, whatever the header says. */
char *token_maker_sign(EVP_PKEY *key, const char *header, const char *claims);
/* ES256 with kid ec1. */
char *token_maker_es256(const struct token_maker *m, const char *claims);
char *token_maker_base64url(const void *p, size_t n);

#endif
