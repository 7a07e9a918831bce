/* What the keys of policy.* say together. */
#include "config/config_priv.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool profile_known(const struct epc_cfg_policy *p, const char *name)
{
    for (size_t i = 0; i < p->n_profiles; i++)
        if (p->profiles[i].name && strcmp(p->profiles[i].name, name) == 0)
            return true;
    return strcmp(name, "3gpp") == 0 || strcmp(name, "open5gs") == 0;
}

static void fault(struct cfg_loader *ld, const char *list, size_t i, const char *key, const char *what,
                  const char *remedy)
{
    char path[96], whole[48];
    snprintf(path, sizeof path, "policy.%s[%zu].%s", list, i, key);
    snprintf(whole, sizeof whole, "policy.%s", list);
    cfg_fault(ld, cfg_item_line(ld, whole, i, key), path, "%s; %s", what, remedy);
}

static void check_profiles(struct cfg_loader *ld)
{
    const struct epc_cfg_policy *p = &ld->cfg->policy;
    for (size_t i = 0; i < p->n_profiles; i++) {
        for (size_t j = 0; j < i; j++)
            if (p->profiles[i].name && p->profiles[j].name &&
                strcmp(p->profiles[i].name, p->profiles[j].name) == 0) {
                fault(ld, "profiles", i, "name", "stands twice", "remove or rename one");
                break;
            }
        if (p->profiles[i].media_types == 0)
            fault(ld, "profiles", i, "media_types", "is empty, so that nothing could be sent",
                  "name the Media-Types that the PCRF takes");
    }
}

static void check_pcrfs(struct cfg_loader *ld)
{
    const struct epc_cfg_policy *p = &ld->cfg->policy;
    static const char list[] = "policy.peers";
    for (size_t i = 0; i < p->n_peers; i++) {
        const struct epc_cfg_pcrf *peer = &p->peers[i];
        if (peer->profile && !profile_known(p, peer->profile))
            cfg_fault(ld, cfg_item_line(ld, list, i, "profile"), list,
                      "'%s' is no profile; name one of policy.profiles, or 3gpp or open5gs", peer->profile);
        for (size_t j = 0; j < i && peer->host; j++)
            if (p->peers[j].host && strcasecmp(p->peers[j].host, peer->host) == 0) {
                cfg_fault(ld, cfg_item_line(ld, list, i, "host"), list, "%s stands twice; remove one",
                          peer->host);
                break;
            }
    }
}

static void check_codecs(struct cfg_loader *ld)
{
    const struct epc_cfg_policy *p = &ld->cfg->policy;
    for (size_t i = 0; i < p->n_codec_bw; i++)
        for (size_t j = 0; j < i; j++)
            if (p->codec_bw[i].codec && p->codec_bw[j].codec &&
                strcasecmp(p->codec_bw[i].codec, p->codec_bw[j].codec) == 0) {
                fault(ld, "codec_bw", i, "codec", "stands twice", "remove one");
                break;
            }
}

static void check_turn_servers(struct cfg_loader *ld)
{
    const struct epc_cfg_policy *p = &ld->cfg->policy;
    for (size_t i = 0; i < p->n_turn_servers; i++) {
        struct epc_addr a;
        bool tcp;
        char shown[CFG_SHOWN_LEN];
        if (!epc_turn_server_parse(p->turn_servers[i], &a, &tcp))
            cfg_fault(ld, cfg_line_of(ld, "policy.turn_servers"), "policy.turn_servers",
                      "'%s' is no address of a TURN server; write address, address:port or address:port/tcp",
                      cfg_shown(p->turn_servers[i], shown));
    }
}

void cfg_check_policy(struct cfg_loader *ld)
{
    const struct epc_cfg_policy *p = &ld->cfg->policy;
    struct epc_addr base;
    unsigned bits;
    check_profiles(ld);
    if (p->profile && !profile_known(p, p->profile))
        cfg_fault(ld, cfg_line_of(ld, "policy.profile"), "policy.profile",
                  "there is no profile %s; write 3gpp, open5gs, or a name of policy.profiles", p->profile);
    for (size_t i = 0; i < p->n_access; i++)
        if (p->access[i].network && !epc_network_parse(p->access[i].network, &base, &bits))
            fault(ld, "access", i, "network", "is no network", "write address/bits, such as 10.45.0.0/16");
    check_pcrfs(ld);
    check_codecs(ld);
    check_turn_servers(ld);
}
