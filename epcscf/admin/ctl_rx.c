/* epcscfctl rx explain --sdp: what would be told to a PCRF of a call, from SDP in files, and why. Nobody is
 * asked and nothing is sent. */
#include "admin/ctl.h"

#include "config/config.h"
#include "policy/policy.h"
#include "sdp/sdp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: epcscfctl rx explain --config FILE --sdp OFFER [--answer ANSWER] [--to-ue] [--ue ADDRESS]\n"
    "                            [--profile NAME]\n"
    "  SDP as on the access leg: the offer from the UE and the answer to it, or with --to-ue the other\n"
    "  way round; without an answer, what a preliminary request would say.\n";

struct preview {
    const char *config, *offer_file, *answer_file, *ue_text, *profile;
    bool to_ue;
    const struct epc_config *cfg;
    struct epc_sdp *offer, *answer;
    struct epc_addr ue;
};

bool ctl_rx_is_preview(int argc, char **argv)
{
    bool sdp = false;
    for (int i = 2; i < argc; i++)
        sdp = sdp || strcmp(argv[i], "--sdp") == 0;
    return sdp && strcmp(argv[0], "rx") == 0 && strcmp(argv[1], "explain") == 0;
}

static bool read_words(struct preview *p, int argc, char **argv)
{
    const struct {
        const char *word;
        const char **value;
    } option[] = {{"--config", &p->config}, {"--sdp", &p->offer_file}, {"--answer", &p->answer_file},
                  {"--ue", &p->ue_text}, {"--profile", &p->profile}};
    for (int i = 2; i < argc; i++) {
        const char **value = NULL;
        for (size_t k = 0; k < EPC_ARRAY_LEN(option); k++)
            if (strcmp(argv[i], option[k].word) == 0)
                value = option[k].value;
        if (strcmp(argv[i], "--to-ue") == 0)
            p->to_ue = true;
        else if (value && i + 1 < argc)
            *value = argv[++i];
        else
            return false;
    }
    return p->config && p->offer_file;
}

static void complain(void *arg, const char *line)
{
    (void)arg;
    fprintf(stderr, "epcscfctl: %s\n", line);
}

static struct epc_sdp *read_sdp(const char *file)
{
    char text[EPC_SDP_MAX_OCTETS];
    struct epc_cause cause = {0};
    struct epc_sdp *sdp = NULL;
    FILE *f = fopen(file, "r");
    if (!f) {
        fprintf(stderr, "epcscfctl: %s: %s\n", file, strerror(errno));
        return NULL;
    }
    size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    if (epc_sdp_parse(&sdp, (struct epc_str){text, n}, &cause)) {
        fprintf(stderr, "epcscfctl: %s: no SDP: %s\n", file, cause.reason);
        return NULL;
    }
    return sdp;
}

/* Of --ue, else the first usable address of the UE's own SDP. */
static bool find_ue(struct preview *p)
{
    const struct epc_sdp *own = p->to_ue ? p->answer : p->offer;
    if (p->ue_text) {
        if (epc_addr_parse(&p->ue, p->ue_text, 0) == EPC_OK)
            return true;
        fprintf(stderr, "epcscfctl: --ue %s: no address\n", p->ue_text);
        return false;
    }
    for (size_t i = 0; own && i < own->n_media; i++) {
        char *text = own->media[i].c_addr.p ? epc_str_dup(own->media[i].c_addr) : NULL;
        bool good = text && strcmp(text, "0.0.0.0") != 0 && epc_addr_parse(&p->ue, text, 0) == EPC_OK;
        free(text);
        if (good)
            return true;
    }
    fputs("epcscfctl: the UE's SDP has no address; name the one in its IP-CAN with --ue\n", stderr);
    return false;
}

static bool prepare(struct preview *p)
{
    if (epc_config_load(&p->cfg, p->config, complain, NULL))
        return false;
    if (!epc_policy_profile(&p->cfg->policy, p->profile)) {
        fprintf(stderr, "epcscfctl: there is no profile %s\n", p->profile ? p->profile : p->cfg->policy.profile);
        return false;
    }
    p->offer = read_sdp(p->offer_file);
    p->answer = p->offer && p->answer_file ? read_sdp(p->answer_file) : NULL;
    return p->offer && (p->answer || !p->answer_file) && find_ue(p);
}

/* The lines of `why` that begin with @p number. */
static void print_about(const char *why, const char *number)
{
    struct epc_str rest = epc_str_c(why);
    while (rest.n) {
        struct epc_str line = epc_str_cut(&rest, '\n'), whose = epc_str_cut(&line, ' ');
        if (epc_str_eqc(whose, number) && line.p)
            printf("  %.*s\n", EPC_STR_ARG(line));
    }
}

static void print_info(const struct preview *p, const struct epc_service_info *info)
{
    static const char *const modes[] = {"off", "optional", "required"};
    char ip[EPC_ADDR_LEN], number[16];
    const struct epc_cfg_policy_access *net = epc_policy_access_for(&p->cfg->policy, &p->ue);
    printf("the session: UE at %s, policy.mode %s, profile %s, %s\n", epc_addr_ip(&p->ue, ip),
           modes[epc_policy_mode_for(&p->cfg->policy, &p->ue)],
           epc_policy_profile(&p->cfg->policy, p->profile)->name, p->answer ? "offer and answer" : "offer alone");
    if (net && net->ip_domain_id)
        printf("  IP-Domain-Id=\"%s\" <- policy.access, %s\n", net->ip_domain_id, net->network);
    if (net && net->called_station_id)
        printf("  Called-Station-Id=\"%s\" <- policy.access, %s\n", net->called_station_id, net->network);
    print_about(info->why ? info->why : "", "-");
    for (unsigned i = 0; i <= EPC_SDP_MAX_MEDIA; i++) {
        bool told = false;
        for (size_t k = 0; k < info->n_components; k++)
            told = told || info->component[k].number == i;
        bool known = i > 0 && i <= p->offer->n_media;
        if (!told && !known)
            continue;
        snprintf(number, sizeof number, "%u", i);
        printf("component %u%s:\n", i, told ? "" : ", not sent");
        print_about(info->why ? info->why : "", number);
    }
}

static enum epc_err derive(const struct preview *p, struct epc_service_info **shaped)
{
    struct epc_service_info *full = NULL;
    const struct epc_cfg_policy_profile *profile = epc_policy_profile(&p->cfg->policy, p->profile);
    struct epc_policy_input in = {.uplink = p->to_ue ? p->answer : p->offer,
                                  .downlink = p->to_ue ? p->offer : p->answer,
                                  .uplink_is_offer = !p->to_ue,
                                  .ue = &p->ue,
                                  .explain = true,
                                  .cfg = &p->cfg->policy};
    enum epc_err e = epc_policy_service_info(&in, &full);
    if (!e)
        e = epc_policy_shape(full, profile, profile->webrtc_avps == EPC_WEBRTC_AVPS_ON, shaped);
    epc_service_info_free(full);
    return e;
}

int ctl_rx_preview(int argc, char **argv)
{
    struct preview p = {0};
    struct epc_service_info *info = NULL;
    if (!read_words(&p, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    int rc = prepare(&p) ? 0 : 1;
    enum epc_err e = rc == 0 ? derive(&p, &info) : EPC_OK;
    if (e) {
        fprintf(stderr, "epcscfctl: nothing can be derived from this SDP: %s\n", epc_err_name(e));
        rc = 1;
    }
    if (info)
        print_info(&p, info);
    epc_service_info_free(info);
    epc_sdp_free(p.offer);
    epc_sdp_free(p.answer);
    epc_config_free(p.cfg);
    return rc;
}
