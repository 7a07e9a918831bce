/* Flow tokens (RFC 5626 5.2): opaque user parts of our Path and Record-Route URIs. Octets before
 * base64url: version, shard (2), flow id (8), truncated HMAC-SHA256 of all that (16). */
#include "sip/sip_priv.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <string.h>
#include <strings.h>

enum { VERSION = 1, HEAD = 11, MAC = 16, RAW = HEAD + MAC, TEXT = RAW / 3 * 4 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum epc_err epc_sip_token_init(struct epc_sip *s, const unsigned char key[32])
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    s->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    s->mac_ctx = s->mac ? EVP_MAC_CTX_new(s->mac) : NULL;
    if (!s->mac_ctx || EVP_MAC_init(s->mac_ctx, key, 32, params) != 1) {
        epc_sip_token_free(s);
        return EPC_ENOMEM;
    }
    return EPC_OK;
}

void epc_sip_token_free(struct epc_sip *s)
{
    EVP_MAC_CTX_free(s->mac_ctx);
    EVP_MAC_free(s->mac);
    s->mac_ctx = NULL;
    s->mac = NULL;
}

static void put_mac(const struct epc_sip *s, unsigned char raw[RAW])
{
    unsigned char full[32];
    size_t n = 0;
    memset(full, 0, sizeof full);
    /* Re-initialising without a key keeps the key: no allocation, no look-up. */
    if (EVP_MAC_init(s->mac_ctx, NULL, 0, NULL) != 1 || EVP_MAC_update(s->mac_ctx, raw, HEAD) != 1 ||
        EVP_MAC_final(s->mac_ctx, full, &n, sizeof full) != 1 || n != sizeof full)
        epc_random(full, sizeof full); /* such a token never verifies */
    memcpy(raw + HEAD, full, MAC);
}

static void put_head(const struct epc_sip *s, uint64_t flow_id, unsigned char raw[RAW])
{
    unsigned shard = epc_shard_index(s->sh);
    raw[0] = VERSION;
    raw[1] = (unsigned char)(shard >> 8);
    raw[2] = (unsigned char)shard;
    for (int i = 0; i < 8; i++)
        raw[3 + i] = (unsigned char)(flow_id >> (56 - 8 * i));
}

void epc_sip_flow_token(const struct epc_sip *s, uint64_t flow_id, char out[EPC_SIP_TOKEN_LEN])
{
    unsigned char raw[RAW];
    put_head(s, flow_id, raw);
    put_mac(s, raw);
    for (size_t i = 0; i < RAW / 3; i++) {
        unsigned v = (unsigned)raw[3 * i] << 16 | (unsigned)raw[3 * i + 1] << 8 | raw[3 * i + 2];
        for (int k = 0; k < 4; k++)
            out[4 * i + (size_t)k] = alphabet[(v >> (18 - 6 * k)) & 63];
    }
    out[TEXT] = 0;
}

static enum epc_err token_read(const struct epc_sip *s, const char *text, uint64_t *flow_id)
{
    unsigned char raw[RAW], want[RAW];
    if (strlen(text) != TEXT)
        return EPC_EAUTH;
    for (size_t i = 0; i < RAW / 3; i++) {
        unsigned v = 0;
        for (size_t k = 0; k < 4; k++) {
            const char *at = strchr(alphabet, text[4 * i + k]);
            if (!at)
                return EPC_EAUTH;
            v = v << 6 | (unsigned)(at - alphabet);
        }
        raw[3 * i] = (unsigned char)(v >> 16);
        raw[3 * i + 1] = (unsigned char)(v >> 8);
        raw[3 * i + 2] = (unsigned char)v;
    }
    memcpy(want, raw, HEAD);
    put_mac(s, want);
    if (raw[0] != VERSION || CRYPTO_memcmp(raw + HEAD, want + HEAD, MAC) != 0)
        return EPC_EAUTH;
    uint64_t id = 0;
    for (int i = 0; i < 8; i++)
        id = id << 8 | raw[3 + i];
    *flow_id = id;
    return EPC_OK;
}

static bool host_is(const url_t *uri, const char *host, const char *bare)
{
    return uri->url_host && (strcasecmp(uri->url_host, host) == 0 || strcasecmp(uri->url_host, bare) == 0);
}

static bool port_is(const url_t *uri, uint16_t port, uint16_t without)
{
    uint64_t v = without;
    if (uri->url_port && uri->url_port[0] &&
        epc_str_u64(epc_str_c(uri->url_port), UINT16_MAX, &v) != EPC_OK)
        return false;
    return v == port;
}

static bool is_ours(const struct epc_sip *s, const url_t *uri)
{
    if (uri->url_type != url_sip && uri->url_type != url_sips)
        return false;
    if (host_is(uri, s->core_host, s->core_bare) && port_is(uri, s->core_port, 5060))
        return true;
    return host_is(uri, s->cfg->public_host, s->cfg->public_host) &&
           port_is(uri, s->cfg->public_port, s->cfg->public_port);
}

static enum epc_err uri_flow(const struct epc_sip *s, const url_t *uri, uint64_t own, uint64_t *flow_id)
{
    uint64_t id;
    if (!is_ours(s, uri) || !uri->url_user || !uri->url_user[0])
        return EPC_ENOENT;
    enum epc_err err = token_read(s, uri->url_user, &id);
    if (err == EPC_OK)
        *flow_id = id == own ? id : epc_sip_flow_now(s, id);
    return err;
}

enum epc_err epc_sip_token_flow(const struct epc_sip *s, const url_t *uri, uint64_t *flow_id)
{
    EPC_ASSERT_OWNER(s->sh);
    return uri_flow(s, uri, 0, flow_id);
}

enum epc_err epc_sip_pop_routes(struct epc_sip *s, msg_t *msg, uint64_t own, uint64_t *flow_id)
{
    sip_t *sip = epc_sip_of(msg);
    enum epc_err found = EPC_ENOENT;
    uint64_t first = 0;
    while (sip->sip_route && is_ours(s, sip->sip_route->r_url)) {
        uint64_t id = 0;
        enum epc_err e = uri_flow(s, sip->sip_route->r_url, own, &id);
        if (e == EPC_EAUTH || (e == EPC_OK && found == EPC_OK && id != first))
            return EPC_EAUTH;
        if (e == EPC_OK) {
            found = EPC_OK;
            first = id;
        }
        if (msg_header_remove(msg, epc_pub(sip), epc_hdr(sip->sip_route)) != 0)
            break;
    }
    if (found == EPC_OK)
        *flow_id = first;
    return found;
}

static enum epc_err push_record_route(msg_t *msg, const char *uri)
{
    sip_record_route_t *rr = sip_record_route_format(msg_home(msg), "<%s>", uri);
    if (!rr || msg_header_insert(msg, epc_pub(epc_sip_of(msg)), epc_hdr(rr)) < 0)
        return EPC_ENOMEM;
    return EPC_OK;
}

enum epc_err epc_sip_record_route(struct epc_sip *s, msg_t *msg, enum epc_leg from, uint64_t flow_id)
{
    EPC_ASSERT_OWNER(s->sh);
    char token[EPC_SIP_TOKEN_LEN], core[200], wic[400];
    bool v6 = strchr(s->cfg->public_host, ':') && s->cfg->public_host[0] != '[';
    epc_sip_flow_token(s, flow_id, token);
    snprintf(core, sizeof core, "sip:%s@%s:%u;lr", token, s->core_host, (unsigned)s->core_port);
    snprintf(wic, sizeof wic, "sip:%s@%s%s%s:%u;transport=ws;lr", token, v6 ? "[" : "",
             s->cfg->public_host, v6 ? "]" : "", (unsigned)s->cfg->public_port);
    /* The upper entry is the one nearer to the callee (RFC 5658 3.1): it goes in last. */
    enum epc_err err = push_record_route(msg, from == EPC_LEG_WIC ? wic : core);
    return err ? err : push_record_route(msg, from == EPC_LEG_WIC ? core : wic);
}

char *epc_sip_path_uri(struct epc_sip *s, uint64_t flow_id, bool ob)
{
    EPC_ASSERT_OWNER(s->sh);
    char token[EPC_SIP_TOKEN_LEN];
    struct epc_buf uri = {0};
    epc_sip_flow_token(s, flow_id, token);
    epc_buf_printf(&uri, "sip:%s@%s:%u;lr%s", token, s->core_host, (unsigned)s->core_port, ob ? ";ob" : "");
    return epc_buf_take(&uri, NULL);
}

enum epc_err epc_sip_put_path(const struct epc_sip *s, msg_t *msg, const char *token, bool ob)
{
    char value[EPC_SIP_TOKEN_LEN + sizeof s->core_uri + 16];
    char *p = stpcpy(value, "<sip:");
    p = stpcpy(p, token);
    p = stpcpy(p, "@");
    p = stpcpy(p, s->core_uri + 4); /* behind "sip:" */
    p = stpcpy(p, ob ? ";lr;ob>" : ";lr>");
    return epc_sip_put(msg, "Path", (struct epc_str){value, (size_t)(p - value)});
}

const char *epc_sip_core_uri(const struct epc_sip *s)
{
    return s->core_uri;
}
