/* Which eP-CSCF serves a network: TS 23.228 U.2.1.3 step 1, the PLMN is what the WIC tells. */
#include "wwsf/wwsf_priv.h"

bool epc_plmn_valid(struct epc_str plmn)
{
    if (plmn.n != 5 && plmn.n != 6)
        return false;
    for (size_t i = 0; i < plmn.n; i++)
        if (plmn.p[i] < '0' || plmn.p[i] > '9')
            return false;
    return true;
}

static int add_urls(json_t *urls, const struct epc_cfg_wwsf *cfg, struct epc_str plmn)
{
    int r = 0;
    for (size_t i = 0; i < cfg->n_plmn; i++)
        if (epc_str_eqc(plmn, cfg->plmn[i].plmn))
            r |= json_array_append_new(urls, json_string(cfg->plmn[i].url));
    return r;
}

json_t *epc_plmn_urls(const struct epc_cfg_wwsf *cfg, struct epc_str plmn)
{
    json_t *urls = json_array();
    if (!urls)
        return NULL;
    int r = plmn.n ? add_urls(urls, cfg, plmn) : 0;
    if (json_array_size(urls) == 0)
        r |= add_urls(urls, cfg, EPC_STR("default"));
    if (r) {
        json_decref(urls);
        return NULL;
    }
    return urls;
}
