/* Names of properties, events, signals and parameters. Those of the mandatory packages are ITU-T's; what no
 * public text confirms is an operator's setting, with the likeliest name as default or none at all. */
#include "gateway/h248/iq_priv.h"

#include <string.h>
#include <strings.h>

/* By enum iq_name; epc_iq_elements (config/) has what they are called in the configuration. */
static const struct {
    const char *name;
    bool optional; /* of a package that the profile does not oblige a gateway to have */
} defaults[IQ_NAMES] = {
    [IQ_REALM] = {"ipdc/realm", false},
    [IQ_ADDRESS_FILTER] = {"gm/saf", false},
    [IQ_PORT_FILTER] = {"gm/spf", false},
    [IQ_POLICE] = {"tman/pol", false},
    [IQ_RATE] = {"tman/sdr", false},
    [IQ_BURST] = {"tman/mbs", false},
    [IQ_DSCP] = {"ds/dscp", false},
    [IQ_RTCP] = {"rtcph/rsb", false},
    [IQ_LATCH] = {"ipnapt/latch", false},
    [IQ_LATCH_MODE] = {"napt", false},
    [IQ_CAUSE] = {"g/cause", false},
    [IQ_CAUSE_TEXT] = {"failurecause", false},
    [IQ_HEARTBEAT] = {"hangterm/thb", false},
    [IQ_HEARTBEAT_TIME] = {"timerx", false},
    [IQ_INACTIVITY] = {"adid/ipstop", true},
    [IQ_INACTIVITY_TIME] = {"dt", false},
    [IQ_INACTIVITY_DIR] = {"dir", false},
    /* Not confirmed from here on. */
    [IQ_ICE_CHECK] = {"ostuncc/scc", true},
    [IQ_ICE_RESULT] = {"ostuncc/ccr", true},
    [IQ_ICE_RESULT_VALUE] = {"result", false},
    [IQ_ICE_RESULT_GOOD] = {"success", false},
    [IQ_NEW_PEER] = {"ostuncc/nprc", true},
    [IQ_NEW_PEER_ADDRESS] = {"address", false},
    [IQ_NEW_PEER_PORT] = {"port", false},
    [IQ_STUN_SERVER] = {"", true},
    [IQ_CONSENT] = {"", true},
    [IQ_DTLS_FAILURE_TEXT] = {"dtls", false},
    [IQ_ICE_FAILURE_TEXT] = {"ice", false},
    [IQ_CONSENT_FAILURE_TEXT] = {"consent", false},
};

const char *iq_name(const struct iq_gw *gw, enum iq_name n)
{
    const struct epc_cfg_iq *cfg = &gw->cfg->iq;
    for (size_t i = 0; i < cfg->n_names; i++)
        if (cfg->names[i].element && strcmp(cfg->names[i].element, epc_iq_elements[n]) == 0)
            return cfg->names[i].name ? cfg->names[i].name : "";
    return defaults[n].name;
}

struct iq_text iq_printable(struct epc_str s)
{
    struct iq_text t = {""};
    for (size_t i = 0; i < s.n && i + 1 < sizeof t.text; i++)
        t.text[i] = s.p[i] < ' ' || s.p[i] > '~' || s.p[i] == '"' ? '.' : s.p[i];
    return t;
}

static uint64_t refused_at(const struct iq_gw *gw, unsigned mg)
{
    uint64_t all = 0;
    if (mg != H248_MG_ANY)
        return mg < IQ_MAX_GATEWAYS ? gw->refused[mg] : 0;
    for (size_t i = 0; i < IQ_MAX_GATEWAYS; i++)
        all |= gw->refused[i];
    return all;
}

bool iq_may_use(const struct iq_gw *gw, unsigned mg, enum iq_name n)
{
    const char *name = iq_name(gw, n), *slash = strchr(name, '/');
    char package[32];
    if (!*name || !slash || (size_t)(slash - name) >= sizeof package)
        return false;
    if (refused_at(gw, mg) >> n & 1)
        return false;
    if (!defaults[n].optional)
        return true;
    snprintf(package, sizeof package, "%.*s", (int)(slash - name), name);
    for (char *p = package; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    return h248_has_package(gw->client, mg, package);
}

static bool says(struct epc_str text, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; n && i + n <= text.n; i++)
        if (strncasecmp(text.p + i, word, n) == 0)
            return true;
    return false;
}

/* What a gateway can do without, first to go first, when it does not say what it minds. */
static const enum iq_name dispensable[] = {
    IQ_ICE_CHECK, IQ_ICE_RESULT, IQ_NEW_PEER, IQ_STUN_SERVER, IQ_CONSENT, IQ_INACTIVITY, IQ_BURST,
    IQ_RATE,      IQ_POLICE,     IQ_DSCP,     IQ_LATCH,       IQ_HEARTBEAT, IQ_RTCP,     IQ_ADDRESS_FILTER,
    IQ_PORT_FILTER, IQ_CAUSE};

/* H.248.8: a package, property, signal, event, parameter or value that it does not have. */
static bool of_an_element(unsigned code)
{
    return code == 440 || code == 444 || code == 445 || code == 446 || code == 447 || code == 449 ||
           (code >= 450 && code <= 457);
}

bool iq_refused(struct iq_gw *gw, unsigned mg, unsigned code, struct epc_str text, uint64_t used)
{
    uint64_t named = 0, all = 0;
    char list[256] = "";
    if (!of_an_element(code) || mg == 0 || mg >= IQ_MAX_GATEWAYS)
        return false;
    for (size_t i = 0; i < EPC_ARRAY_LEN(dispensable); i++) {
        enum iq_name n = dispensable[i];
        const char *name = iq_name(gw, n);
        uint64_t bit = (uint64_t)1 << n;
        if (!(used & bit) || (gw->refused[mg] & bit))
            continue;
        all |= bit;
        if (says(text, name))
            named |= bit;
    }
    uint64_t out = named ? named : all;
    if (!out)
        return false;
    gw->refused[mg] |= out;
    for (size_t n = 0, at = 0; n < IQ_NAMES; n++)
        if (out >> n & 1 && at < sizeof list)
            at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", at ? " " : "", iq_name(gw, (enum iq_name)n));
    epc_log(EPC_LOG_WARN, "gateway", "event=elements-refused mg=%u code=%u not-used-any-more=\"%s\"",
            mg, code, list);
    return true;
}
