/* What the configuration says of PCRFs and of access networks. */
#include "policy/policy_priv.h"

#include <string.h>

#define MEDIA(type) (UINT32_C(1) << (type))
#define EVERY_MEDIA (UINT32_C(0x7f) | UINT32_C(1) << 31)

static const struct epc_cfg_policy_profile built_in[] = {
    {.name = (char[]){"3gpp"}, .media_types = EVERY_MEDIA, .removed = true, .codec_data = true,
     .features = true, .webrtc_avps = EPC_WEBRTC_AVPS_NEGOTIATED},
    /* One PCC rule a QCI, and the QCI goes by Media-Type: two components of a type overwrite each other;
     * another type fails the whole request; REMOVED has no effect; any Termination-Cause but LOGOUT is
     * logged as an error. */
    {.name = (char[]){"open5gs"}, .media_types = MEDIA(EPC_MEDIA_AUDIO) | MEDIA(EPC_MEDIA_VIDEO) |
                                                MEDIA(EPC_MEDIA_CONTROL),
     .merge_same_type = true, .one_filter_per_direction = true, .codec_data = true, .features = true,
     .logout_only = true},
};

const struct epc_cfg_policy_profile *epc_policy_profile(const struct epc_cfg_policy *cfg, const char *name)
{
    if (!name)
        name = cfg && cfg->profile ? cfg->profile : built_in[0].name;
    for (size_t i = 0; cfg && i < cfg->n_profiles; i++)
        if (strcmp(cfg->profiles[i].name, name) == 0)
            return &cfg->profiles[i];
    for (size_t i = 0; i < EPC_ARRAY_LEN(built_in); i++)
        if (strcmp(built_in[i].name, name) == 0)
            return &built_in[i];
    return NULL;
}

/* ---- access networks -------------------------------------------------------------------------------- */

const struct epc_cfg_policy_access *epc_policy_access_for(const struct epc_cfg_policy *cfg,
                                                          const struct epc_addr *ue)
{
    const struct epc_cfg_policy_access *best = NULL;
    unsigned most = 0;
    for (size_t i = 0; ue && i < cfg->n_access; i++) {
        unsigned f = epc_network_fit(cfg->access[i].network, ue);
        if (f > most) {
            most = f;
            best = &cfg->access[i];
        }
    }
    return best;
}

enum epc_policy_mode epc_policy_mode_for(const struct epc_cfg_policy *cfg, const struct epc_addr *ue)
{
    const struct epc_cfg_policy_access *row = epc_policy_access_for(cfg, ue);
    return cfg->mode == EPC_POLICY_OFF || !row ? cfg->mode : row->mode;
}
