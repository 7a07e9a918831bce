/* Supported-Features, Specific-Actions, and profiles of PCRFs.
 * Spec: TS 29.214 5.3.13, 5.4.1, TS 29.229 7.2. */
#include "rx_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- profiles ------------------------------------------------------------------------------------- */

/* When policy/ has none: everything of the specification. */
static const struct epc_cfg_policy_profile whole = {
    .name = (char[]){"3gpp"}, .media_types = UINT32_MAX, .removed = true, .codec_data = true, .features = true};

/* Without these a request is none, whatever a profile says. */
static bool indispensable(uint32_t code, uint32_t vendor)
{
    static const uint32_t base[] = {263, 258, 264, 296, 283, 295, 8, 97};
    for (size_t i = 0; vendor == 0 && i < EPC_ARRAY_LEN(base); i++)
        if (base[i] == code)
            return true;
    return vendor == RX_VENDOR && (code == 517 || code == 518);
}

static void omit(struct rx_profile *p, const char *name)
{
    struct dict_object *o = NULL;
    struct dict_avp_data d;
    if (fd_dict_search(fd_g_config->cnf_dict, DICT_AVP, AVP_BY_NAME_ALL_VENDORS, name, &o, ENOENT) ||
        fd_dict_getval(o, &d))
        epc_log(EPC_LOG_WARN, "rx", "event=unknown-avp profile=%s omit=%s hint=\"see epcscfctl dict list\"",
                p->cfg->name, name);
    else if (indispensable(d.avp_code, d.avp_vendor))
        epc_log(EPC_LOG_WARN, "rx", "event=omit-ignored profile=%s avp=%s hint=\"no request without it\"",
                p->cfg->name, name);
    else
        p->omit[p->n_omit++] = (uint64_t)d.avp_vendor << 32 | d.avp_code;
}

static enum epc_err add_profile(const struct epc_cfg_policy_profile *cfg)
{
    struct rx_profile *more = realloc(rx.profiles, (rx.n_profiles + 1) * sizeof *more);
    if (!more)
        return EPC_ENOMEM;
    rx.profiles = more;
    struct rx_profile *p = &more[rx.n_profiles];
    *p = (struct rx_profile){.cfg = cfg, .omit = cfg->n_omit ? calloc(cfg->n_omit, sizeof *p->omit) : NULL};
    if (cfg->n_omit && !p->omit)
        return EPC_ENOMEM;
    rx.n_profiles++;
    for (size_t i = 0; i < cfg->n_omit; i++)
        omit(p, cfg->omit[i]);
    return EPC_OK;
}

static bool have(const char *name)
{
    for (size_t i = 0; i < rx.n_profiles; i++)
        if (strcmp(rx.profiles[i].cfg->name, name) == 0)
            return true;
    return false;
}

enum epc_err rx_profiles_init(void)
{
    static const char *const built_in[] = {"3gpp", "open5gs"};
    const struct epc_cfg_policy *cfg = rx.host->cfg;
    const char *wanted = cfg->profile ? cfg->profile : "3gpp";
    enum epc_err e = EPC_OK;
    for (size_t i = 0; !e && i < cfg->n_profiles; i++)
        e = add_profile(&cfg->profiles[i]);
    for (size_t i = 0; !e && i < EPC_ARRAY_LEN(built_in); i++) {
        const struct epc_cfg_policy_profile *p = rx.host->profile ? rx.host->profile(cfg, built_in[i]) : NULL;
        if (!p && i == 0)
            p = &whole;
        if (p && !have(built_in[i]))
            e = add_profile(p);
    }
    for (size_t i = 0; i < rx.n_profiles; i++)
        if (strcmp(rx.profiles[i].cfg->name, wanted) == 0)
            rx.default_profile = i;
    return e;
}

void rx_profiles_fini(void)
{
    for (size_t i = 0; i < rx.n_profiles; i++)
        free(rx.profiles[i].omit);
    free(rx.profiles);
    rx.profiles = NULL;
    rx.n_profiles = rx.default_profile = 0;
}

const struct rx_profile *rx_profile(const char *name)
{
    for (size_t i = 0; name && i < rx.n_profiles; i++)
        if (strcmp(rx.profiles[i].cfg->name, name) == 0)
            return &rx.profiles[i];
    return &rx.profiles[rx.default_profile];
}

static bool omitted(const struct rx_profile *p, const struct avp_hdr *h)
{
    uint64_t key = (uint64_t)(h->avp_flags & AVP_FLAG_VENDOR ? h->avp_vendor : 0) << 32 | h->avp_code;
    for (size_t i = 0; i < p->n_omit; i++)
        if (p->omit[i] == key)
            return true;
    return false;
}

void rx_profile_strip(msg_or_avp *parent, const struct rx_profile *p)
{
    struct avp *a = NULL;
    if (p->n_omit == 0 || fd_msg_browse(parent, MSG_BRW_FIRST_CHILD, &a, NULL))
        return;
    while (a) {
        struct avp *next = NULL;
        struct avp_hdr *h;
        if (fd_msg_browse(a, MSG_BRW_NEXT, &next, NULL) || fd_msg_avp_hdr(a, &h))
            return;
        if (omitted(p, h))
            fd_msg_free(a);
        else
            rx_profile_strip(a, p);
        a = next;
    }
}

/* ---- Specific-Actions ----------------------------------------------------------------------------- */

#define BIT(n) (1u << (n))

uint32_t rx_actions(const struct epc_policy_session *h)
{
    uint32_t asked = rx.host->cfg->specific_actions;
    /* A signalling session reports its path alone (TS 29.214 4.4.5). */
    uint32_t set = h->signalling ? BIT(2) | BIT(3) | BIT(4) | BIT(6)
                   : asked       ? asked
                                 : BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(6) | BIT(9);
    return h->want_access_info ? set | BIT(12) : set;
}

/* ---- Supported-Features ---------------------------------------------------------------------------- */

static bool beyond_32_bits(const struct epc_service_info *s)
{
    for (size_t i = 0; i < s->n_components; i++)
        if (s->component[i].max_ul_bps > (int64_t)UINT32_MAX || s->component[i].max_dl_bps > (int64_t)UINT32_MAX)
            return true;
    return false;
}

static void put_list(struct msg *m, uint32_t id, uint32_t bits, bool *ok)
{
    struct avp *f = bits ? rx_put_group(m, RX_SUPPORTED_FEATURES, ok) : NULL;
    if (!f)
        return;
    rx_put_u32(f, RX_VENDOR_ID, RX_VENDOR, ok);
    rx_put_u32(f, RX_FEATURE_LIST_ID, id, ok);
    rx_put_u32(f, RX_FEATURE_LIST, bits, ok);
}

void rx_put_features(struct msg *m, const struct rx_assoc *a, const struct epc_service_info *info, bool *ok)
{
    uint32_t actions = rx_actions(a->handle);
    uint32_t list1 = RX_F1_REL8 | RX_F1_REL9 | RX_F1_PROV_AF_SIGNAL_FLOW | RX_F1_REL10 | RX_F1_NETLOC;
    uint32_t list2 = 0;
    if (a->want_access_info)
        list1 |= RX_F1_NETLOC_TRUSTED_WLAN;
    if (actions & BIT(16))
        list1 |= RX_F1_PLMN_INFO;
    if (actions & BIT(17))
        list2 |= RX_F2_EPS_FALLBACK_REPORT;
    if (actions & BIT(18))
        list2 |= RX_F2_REALLOCATION_OF_CREDIT;
    if (beyond_32_bits(info))
        list2 |= RX_F2_EXTENDED_BW_NR;
    put_list(m, 1, list1, ok);
    put_list(m, 2, list2, ok);
    if (a->profile->cfg->webrtc_avps == EPC_WEBRTC_AVPS_NEGOTIATED)
        rx_put_webrtc_feature(m, ok);
}

void rx_read_features(struct msg *m, struct rx_assoc *a)
{
    struct avp *f = NULL;
    while ((f = rx_get(m, RX_SUPPORTED_FEATURES, f))) {
        uint32_t vendor, id, bits;
        if (!rx_get_u32(f, RX_VENDOR_ID, &vendor) || !rx_get_u32(f, RX_FEATURE_LIST_ID, &id) ||
            !rx_get_u32(f, RX_FEATURE_LIST, &bits))
            continue;
        if (vendor == RX_VENDOR && (id == 1 || id == 2))
            a->features[id - 1] = bits;
        else if (rx.host->cfg->webrtc_vendor && vendor == rx.host->cfg->webrtc_vendor && id == 1)
            a->webrtc_agreed = bits & 1;
    }
}
