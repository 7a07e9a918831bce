/* What the keys of calls.* say together, and the form of their elements. */
#include "config/config_priv.h"

#include <string.h>

static bool is_digit(char c)
{
    return (c >= '0' && c <= '9') || c == '*' || c == '#';
}

/* RFC 5031 4.1: letters, digits and hyphens, in parts with dots between. */
static bool is_service_urn(struct epc_str urn)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:";
    if (!epc_str_starts(urn, "urn:service:sos") || urn.n > EPC_EMERGENCY_URN_LEN - 1)
        return false;
    for (size_t i = 0; i < urn.n; i++)
        if (!memchr(chars, urn.p[i], sizeof chars - 1))
            return false;
    return urn.n == 15 || urn.p[15] == '.';
}

bool epc_emergency_number_parse(const char *text, struct epc_str *number, struct epc_str *urn)
{
    struct epc_str rest = epc_str_c(text), n = epc_str_trim(epc_str_cut(&rest, '='));
    struct epc_str u = rest.p ? epc_str_trim(rest) : epc_str_c("urn:service:sos");
    if (n.n == 0 || n.n > 16 || !is_service_urn(u))
        return false;
    for (size_t i = 0; i < n.n; i++)
        if (!is_digit(n.p[i]))
            return false;
    *number = n;
    *urn = u;
    return true;
}

static void check_numbers(struct cfg_loader *ld)
{
    static const char key[] = "calls.emergency_numbers";
    const struct epc_cfg_calls *c = &ld->cfg->calls;
    struct epc_str number, urn;
    for (size_t i = 0; i < c->n_emergency_numbers; i++)
        if (!epc_emergency_number_parse(c->emergency_numbers[i], &number, &urn))
            cfg_fault(ld, cfg_line_of(ld, key), key,
                      "'%.60s' is no emergency number; write its digits, and a service of urn:service:sos behind = "
                      "where it is not for all of them", c->emergency_numbers[i]);
}

void cfg_check_calls(struct cfg_loader *ld)
{
    const struct epc_config *cfg = ld->cfg;
    const struct epc_cfg_calls *c = &cfg->calls;
    struct epc_addr core, ecscf;
    check_numbers(ld);
    if (c->session_expires_s && c->session_expires_s < c->min_se_s)
        cfg_fault(ld, cfg_line_of(ld, "calls.session_expires_s"), "calls.session_expires_s",
                  "%u is less than calls.min_se_s (%u), so that this node would refuse what it asks for; make it "
                  "more, or 0", (unsigned)c->session_expires_s, (unsigned)c->min_se_s);
    if (c->unrefreshed != EPC_UNREFRESHED_KEEP && !c->session_expires_s)
        cfg_fault(ld, cfg_line_of(ld, "calls.unrefreshed"), "calls.unrefreshed",
                  "has no effect without calls.session_expires_s; set it, for example to 1800");
    if (c->ecscf && cfg->sip.core_host && epc_addr_parse(&core, cfg->sip.core_host, 1) == EPC_OK &&
        cfg_sip_uri_addr(c->ecscf, &ecscf) && ecscf.ss.ss_family != core.ss.ss_family)
        cfg_fault(ld, cfg_line_of(ld, "calls.ecscf"), "calls.ecscf",
                  "is of another address family than sip.core_host; use IPv4 or IPv6 for both");
}
