/* A REGISTER at the wrong eP-CSCF: the WIC's WWSF should have named another (TS 23.228 U.2.1.3 step 1).
 * Where the operator wants it, the answer is 305 Use Proxy (RFC 3261 21.3.4) or 503. Off by default: no
 * stage 3 text has this, and a browser's stack follows a 305 only when its page makes it. */
#include "registration/registration_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Cell identities (TS 24.229 7.2A.4): MCC, MNC, area and cell in hexadecimal, whose length tells that of
 * the MNC. UTRAN: 4 + 7, or 4 + 4; E-UTRAN: 4 + 7; NR: 6 + 9. */
static bool plmn_of_cell(struct epc_str cell, struct epc_plmn *out)
{
    size_t digits = cell.n == 16 || cell.n == 13 || cell.n == 20   ? 5
                    : cell.n == 17 || cell.n == 14 || cell.n == 21 ? 6
                                                                   : 0;
    return digits && epc_plmn_parse((struct epc_str){cell.p, digits}, out) && out->mnc_digits;
}

static bool plmn_of_item(struct epc_str item, struct epc_plmn *out)
{
    static const char *const names[] = {"utran-cell-id-3gpp", "cgi-3gpp"};
    while (item.p) {
        struct epc_str value = epc_str_trim(epc_str_cut(&item, ';'));
        if (!value.n || !memchr(value.p, '=', value.n))
            continue;
        struct epc_str name = epc_str_trim(epc_str_cut(&value, '='));
        value = epc_str_trim(value);
        if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
            value = (struct epc_str){value.p + 1, value.n - 2};
        for (size_t i = 0; i < EPC_ARRAY_LEN(names); i++)
            if (epc_str_ieqc(name, names[i]))
                return plmn_of_cell(value, out);
    }
    return false;
}

static struct epc_plmn access_plmn(const sip_t *sip)
{
    struct epc_plmn p = {0};
    for (const sip_unknown_t *u = sip->sip_unknown; u; u = u->un_next) {
        if (!u->un_name || !epc_str_ieqc(epc_str_c(u->un_name), "P-Access-Network-Info"))
            continue;
        struct epc_str rest = epc_str_c(u->un_value);
        while (rest.p)
            if (plmn_of_item(reg_next_item(&rest), &p))
                return p;
    }
    return p;
}

static bool fits(const struct epc_cfg_redirect *d, const char *home, const struct epc_plmn *p)
{
    struct epc_plmn_range range;
    if (d->home_domain && (!home || strcasecmp(d->home_domain, home) != 0))
        return false;
    return !d->plmn || (!epc_plmn_range_parse(epc_str_c(d->plmn), &range) && epc_plmn_rank(&range, p) > 0);
}

/* wss://host:port/path as a URI (RFC 7118 5.2.3: sips and ws stand for WSS). */
static void contact_of(const char *url, struct epc_buf *out)
{
    const char *host = url + strlen("wss://");
    size_t n = strcspn(host, "/?#");
    bool bare = host[0] == '[' ? host[n - 1] == ']' : !memchr(host, ':', n);
    epc_buf_printf(out, "Contact: <sips:%.*s%s;transport=ws>\r\n", (int)n, host, bare ? ":443" : "");
}

bool reg_redirect(struct reg_tx *tx)
{
    const struct epc_cfg_registration *cfg = &tx->rec->r->cfg->registration;
    const sip_t *sip = epc_sip_in_sip(tx->in);
    const struct epc_cfg_redirect *d = NULL;
    struct epc_buf extra = {0};
    if (!cfg->n_redirect || tx->rec->grant) /* who is registered here stays to the end */
        return false;
    struct epc_plmn p = access_plmn(sip);
    for (size_t i = 0; i < cfg->n_redirect && !d; i++)
        if (fits(&cfg->redirect[i], sip->sip_request->rq_url->url_host, &p))
            d = &cfg->redirect[i];
    if (!d)
        return false;
    if (d->status == 305)
        contact_of(d->url, &extra);
    else
        epc_buf_printf(&extra, "Retry-After: %u\r\n", (unsigned)d->retry_after_s);
    epc_log(EPC_LOG_INFO, "registration", "event=redirected flow=%llx status=%d url=%s",
            (unsigned long long)tx->rec->flow_id, d->status, d->url);
    epc_count(EPC_C_REG_REDIRECTED);
    epc_sip_in_reply(tx->in, extra.failed ? 500 : d->status, NULL, extra.failed ? NULL : extra.p);
    epc_buf_free(&extra);
    reg_tx_end(tx);
    return true;
}
