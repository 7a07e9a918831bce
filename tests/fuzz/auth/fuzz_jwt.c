/* One input three ways: header field value, compact token, and the claims inside a token (which
 * no mutation would reach through the signature). */
#include "auth/auth_priv.h"

#include <stdlib.h>

static void claims(const json_t *j)
{
    char *wwsfs[] = {"w"};
    struct epc_cfg_issuer issuer = {.issuer = "i", .audience = "a", .scope = "sip", .wwsfs = wwsfs,
                                    .n_wwsfs = 1, .impi_claim = "impi", .impu_claim = "impu",
                                    .max_lifetime_s = 3600, .skew_s = 60};
    struct epc_cfg_origin origin = {.origin = "https://o", .wwsf = "w"};
    struct epc_cfg_tokens cfg = {.issuers = &issuer, .n_issuers = 1};
    struct epc_identity *id = NULL;
    struct epc_verdict v = {0};
    enum epc_err err = epc_claims_check(&id, j, &cfg, &issuer, &origin, 1000000, &v);
    if ((err == EPC_OK) != (id != NULL) || (err == EPC_OK) != (v.cause.sip_status == 0))
        __builtin_trap();
    if (id && id->n_impus == 0)
        __builtin_trap();
    epc_identity_free(id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct epc_str text = {(const char *)data, size}, token;
    struct epc_cause cause;
    struct epc_jwt t;
    const char *why = NULL;
    if (epc_auth_find_bearer(&text, 1, &token, &cause) == EPC_OK &&
        (token.p < text.p || token.p + token.n > text.p + text.n))
        __builtin_trap();
    if (epc_jwt_parse(&t, text, NULL, &why) == EPC_OK) {
        claims(t.claims);
        epc_jwt_clear(&t);
    }
    json_t *j = epc_json_object(text.p, text.n, &why);
    if (j) {
        claims(j);
        json_decref(j);
    }
    char *impu = epc_auth_canonical_impu(text);
    if (impu) { /* the canonical form of a canonical form is itself */
        char *again = epc_auth_canonical_impu(epc_str_c(impu));
        if (!again || !epc_str_eqc(epc_str_c(again), impu))
            __builtin_trap();
        free(again);
    }
    free(impu);
    return 0;
}
