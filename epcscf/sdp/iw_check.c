/* What an m-line must have before we let it in. */
#include "sdp/iw_priv.h"

#include <ctype.h>
#include <string.h>

static bool is_av(const struct epc_sdp_media *m)
{
    return epc_str_eqc(m->type, "audio") || epc_str_eqc(m->type, "video");
}

static bool is_data_channel(const struct epc_sdp_media *m)
{
    return epc_str_eqc(m->type, "application") &&
           (epc_str_ieqc(m->proto, "UDP/DTLS/SCTP") || epc_str_ieqc(m->proto, "DTLS/SCTP"));
}

bool iw_carried(const struct epc_iw_policy *p, enum epc_sdp_leg leg, const struct epc_sdp_media *m)
{
    if (is_data_channel(m))
        return p->gateway_sctp;
    if (!is_av(m))
        return false;
    if (leg == EPC_SDP_CORE)
        return epc_str_ieqc(m->proto, "RTP/AVP") || epc_str_ieqc(m->proto, "RTP/AVPF");
    /* What RFC 8829 5.1.2 lets an endpoint accept; all of it is DTLS-SRTP with a fingerprint. */
    return sdp_proto_is_rtp(m->proto);
}

static bool parse_literal(struct epc_str addr, struct epc_addr *a)
{
    char host[EPC_ADDR_LEN];
    if (addr.n == 0 || addr.n >= sizeof host)
        return false;
    memcpy(host, addr.p, addr.n);
    host[addr.n] = 0;
    return epc_addr_parse(a, host, 0) == EPC_OK;
}

bool iw_addr_unspecified(struct epc_str addr)
{
    struct epc_addr a, any4, any6;
    if (epc_addr_parse(&any4, "0.0.0.0", 0) != EPC_OK || epc_addr_parse(&any6, "::", 0) != EPC_OK)
        return false;
    return parse_literal(addr, &a) && (epc_addr_same_ip(&a, &any4) || epc_addr_same_ip(&a, &any6));
}

bool iw_addr_usable(struct epc_str addr)
{
    struct epc_addr a;
    return parse_literal(addr, &a) && !iw_addr_unspecified(addr);
}

bool iw_held(const struct epc_sdp_media *m)
{
    return m->port != 0 && iw_addr_unspecified(m->c_addr);
}

enum epc_sdp_dir iw_dir(enum epc_sdp_leg leg, const struct epc_sdp_media *m)
{
    /* From a WIC 0.0.0.0 is only ICE's "no default candidate yet". */
    if (leg == EPC_SDP_CORE && iw_held(m) && m->dir != EPC_SDP_SENDONLY)
        return EPC_SDP_INACTIVE;
    return m->dir;
}

enum epc_sdp_dir iw_dir_clamp(enum epc_sdp_dir offer, enum epc_sdp_dir answer)
{
    bool offer_sends = offer == EPC_SDP_SENDRECV || offer == EPC_SDP_SENDONLY;
    bool offer_receives = offer == EPC_SDP_SENDRECV || offer == EPC_SDP_RECVONLY;
    bool sends = (answer == EPC_SDP_SENDRECV || answer == EPC_SDP_SENDONLY) && offer_receives;
    bool receives = (answer == EPC_SDP_SENDRECV || answer == EPC_SDP_RECVONLY) && offer_sends;
    if (sends)
        return receives ? EPC_SDP_SENDRECV : EPC_SDP_SENDONLY;
    return receives ? EPC_SDP_RECVONLY : EPC_SDP_INACTIVE;
}

bool iw_fingerprint_ok(const struct epc_sdp_fingerprint *f)
{
    size_t octets = epc_str_ieqc(f->hash, "sha-256")   ? 32
                    : epc_str_ieqc(f->hash, "sha-384") ? 48
                    : epc_str_ieqc(f->hash, "sha-512") ? 64
                                                       : 0;
    if (octets == 0 || f->value.n != octets * 3 - 1)
        return false;
    for (size_t i = 0; i < f->value.n; i++) {
        unsigned char c = (unsigned char)f->value.p[i];
        if (i % 3 == 2 ? c != ':' : !isxdigit(c))
            return false;
    }
    return true;
}

/* ice-char = ALPHA / DIGIT / "+" / "/" (RFC 8839 5.4) */
static bool ice_text_ok(struct epc_str s, size_t least)
{
    if (s.n < least || s.n > 256)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (!isalnum(c) && c != '+' && c != '/')
            return false;
    }
    return true;
}

static enum epc_err fault(struct epc_cause *cause, size_t number, const char *spec, const char *what)
{
    epc_cause_set(cause, 488, spec, "m-line %zu: %s", number, what);
    return EPC_EPROTO;
}

static enum epc_err check_wic(bool is_offer, const struct epc_sdp_media *m, size_t n,
                              struct epc_cause *cause)
{
    bool fingerprint = false;
    if (!m->ice_ufrag.p || !m->ice_pwd.p)
        return fault(cause, n, "RFC 8839 5.4", "no ICE credentials");
    if (!ice_text_ok(m->ice_ufrag, 4) || !ice_text_ok(m->ice_pwd, 22))
        return fault(cause, n, "RFC 8839 5.4", "ICE credentials malformed");
    if (m->n_fingerprint == 0)
        return fault(cause, n, "RFC 8122 5", "no DTLS fingerprint");
    for (size_t i = 0; i < m->n_fingerprint; i++)
        fingerprint = fingerprint || iw_fingerprint_ok(&m->fingerprint[i]);
    if (!fingerprint)
        return fault(cause, n, "RFC 8122 5", "no DTLS fingerprint of sha-256 or better");
    if (m->setup == EPC_SETUP_HOLDCONN)
        return fault(cause, n, "RFC 8842 5.1", "setup:holdconn");
    if (m->setup == EPC_SETUP_NONE)
        return fault(cause, n, "RFC 8842 5", "no setup attribute");
    if (!is_offer && m->setup == EPC_SETUP_ACTPASS)
        return fault(cause, n, "RFC 8842 5.3", "setup:actpass in an answer");
    if (is_av(m) && !m->rtcp_mux)
        return fault(cause, n, "RFC 8858 4", "no rtcp-mux");
    return EPC_OK;
}

enum epc_err iw_check_line(enum epc_sdp_leg leg, bool is_offer, const struct epc_sdp_media *m,
                           size_t number, struct epc_cause *cause)
{
    if (leg == EPC_SDP_WIC)
        return check_wic(is_offer, m, number, cause);
    if (!m->c_addr.p)
        return fault(cause, number, "RFC 8866 5.7", "no c= line");
    if (!iw_addr_usable(m->c_addr) && !iw_addr_unspecified(m->c_addr))
        return fault(cause, number, "RFC 8866 5.7", "c= is not a literal address");
    return EPC_OK;
}
