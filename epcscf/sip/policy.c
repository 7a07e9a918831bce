/* What may cross the edge of the trust domain (TS 24.229 4.4, RFC 3325): one table. */
#include "sip/policy_table.h"
#include "sip/sip_priv.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* clang-format off */
#define P  ACT_PASS
#define R  ACT_REMOVE
#define U  ACT_USED
#define AT(list) offsetof(sip_t, list)
static const struct epc_policy_row table[] = {
/*   header                          list   WIC req        core req         WIC resp      core resp */
    {"Accept-Contact", AT(sip_accept_contact),  {P,            P,               P,            P},
     "RFC 3841", "the caller's preferences are its own"},
    {"Additional-Identity",          0, {R,            R,               R,            R},
     "TS 24.229 4.4", "between network nodes only"},
    {"Attestation-Info",             0, {R,            R,               R,            R},
     "TS 24.229 4.4", "between network nodes only"},
    {"Authorization", AT(sip_authorization),  {ACT_NO_BEARER, P,              P,            P},
     "RFC 8898; TS 24.229 7.2A.2", "the token never leaves the edge; integrity-protected is ours to set"},
    {"Cellular-Network-Info",        0, {R,            R,               R,            R},
     "TS 24.229 4.4", "set by trusted nodes"},
    {"Contact", AT(sip_contact),  {ACT_NO_URI_PARAMS, ACT_NO_URI_PARAMS, ACT_NO_URI_PARAMS, ACT_NO_URI_PARAMS},
     "TS 24.229 4.4", "cpc, oli and iotl parameters stay inside the trust domain"},
    {"Diversion",                    0, {R,            ACT_PRIVACY_HIST, R,           ACT_PRIVACY_HIST},
     "RFC 5806; RFC 7044", "as History-Info"},
    {"Feature-Caps",                 0, {R,            R,               R,            R},
     "TS 24.229 4.4", "local policy: not passed to WICs"},
    {"From", AT(sip_from),  {ACT_NO_URI_PARAMS, ACT_NO_URI_PARAMS, P,     P},
     "TS 24.229 4.4", "cpc, oli and iotl parameters stay inside the trust domain"},
    {"Geolocation",                  0, {P,            P,               P,            P},
     "RFC 6442; TS 24.229 5.2.6", "the user's to give"},
    {"History-Info",                 0, {R,            ACT_PRIVACY_HIST, R,           ACT_PRIVACY_HIST},
     "RFC 7044 10.1; TS 24.229 4.4", "a WIC cannot vouch for it"},
    {"Origination-Id",               0, {R,            R,               R,            R},
     "TS 24.229 4.4", "between network nodes only"},
    {"P-Access-Network-Info",        0, {ACT_NO_NP,    R,               ACT_NO_NP,    R},
     "TS 24.229 7.2A.4", "network-provided items are ours to add"},
    {"P-Asserted-Identity",          0, {R,            ACT_PRIVACY_ID,  R,            ACT_PRIVACY_ID},
     "RFC 3325; TS 24.229 5.2.6", "session/ inserts the checked identity"},
    {"P-Asserted-Service",           0, {R,            P,               R,            P},
     "RFC 6050; TS 24.229 5.2.6", "asserted by trusted nodes"},
    {"P-Associated-URI",             0, {R,            R,               R,            ACT_REG_200},
     "RFC 7315 4.1", "from the registrar alone"},
    {"P-Called-Party-ID",            0, {R,            ACT_NO_URI_PARAMS, R,          R},
     "RFC 7315 4.2", "set by the S-CSCF"},
    {"P-Charge-Info",                0, {R,            R,               R,            R},
     "RFC 8496", "charging data stays in the network"},
    {"P-Charging-Function-Addresses", 0, {R,           U,               R,            U},
     "RFC 7315 4.5; TS 24.229 4.5", "charging data stays in the network"},
    {"P-Charging-Vector",            0, {R,            U,               R,            U},
     "RFC 7315 4.6; TS 24.229 4.5", "charging data stays in the network"},
    {"P-Early-Media",                0, {ACT_PEM_SUPPORTED, P,          R,            P},
     "RFC 5009", "a WIC may say only that it supports it"},
    {"P-Media-Authorization",        0, {R,            R,               R,            R},
     "RFC 3313", "authorization of resources is not given to WICs"},
    {"P-Preferred-Identity",         0, {U,            R,               U,            R},
     "RFC 3325; TS 24.229 5.2.6", "becomes P-Asserted-Identity when it is registered"},
    {"P-Preferred-Service",          0, {U,            R,               U,            R},
     "RFC 6050; TS 24.229 5.2.6", "becomes P-Asserted-Service when it is allowed"},
    {"P-Private-Network-Indication", 0, {R,            R,               R,            R},
     "RFC 7316", "between network nodes only"},
    {"P-Profile-Key",                0, {R,            R,               R,            R},
     "RFC 5002", "between network nodes only"},
    {"P-Served-User",                0, {R,            R,               R,            R},
     "RFC 5502", "between S-CSCF and AS"},
    {"P-User-Database",              0, {R,            R,               R,            R},
     "RFC 4457", "names the HSS"},
    {"P-Visited-Network-ID",         0, {R,            R,               R,            R},
     "RFC 7315 4.3; TS 33.203 U.1", "the core trusts us by it: ours alone"},
    {"Path", AT(sip_path),  {R,            R,               R,            ACT_REG_200},
     "RFC 3327; TS 24.229 5.2.2", "ours is the first"},
    {"Priority", AT(sip_priority),  {ACT_NO_PSAP,  P,               P,            P},
     "RFC 7090", "psap-callback is the network's to say"},
    {"Priority-Verstat",             0, {R,            R,               R,            R},
     "TS 24.229 4.4", "between network nodes only"},
    {"Privacy", AT(sip_privacy),  {P,            P,               P,            P},
     "RFC 3323", "acted on, passed untouched"},
    {"Proxy-Authenticate", AT(sip_proxy_authenticate),  {P,            P,               P,            ACT_NO_KEYS},
     "TS 24.229 5.2.2", "IMS AKA keys end at the edge"},
    {"Proxy-Authorization", AT(sip_proxy_authorization),  {ACT_NO_BEARER, P,              P,            P},
     "RFC 8898 2.3", "the token never leaves the edge"},
    {"Proxy-Require", AT(sip_proxy_require),  {ACT_NO_SEC_AGREE, ACT_NO_SEC_AGREE, ACT_NO_SEC_AGREE, ACT_NO_SEC_AGREE},
     "RFC 3329", "no security agreement over a secure WebSocket"},
    {"Reason", AT(sip_reason),  {ACT_BYE_CANCEL, P,             R,            P},
     "RFC 3326; TS 24.229 4.4", "in a response only the network gives reasons"},
    {"Reject-Contact", AT(sip_reject_contact),  {P,            P,               P,            P},
     "RFC 3841", "the caller's preferences are its own"},
    {"Relayed-Charge",               0, {R,            R,               R,            R},
     "TS 24.229 4.4", "between network nodes only"},
    {"Remote-Party-ID",              0, {R,            ACT_PRIVACY_ID,  R,            ACT_PRIVACY_ID},
     "RFC 3325", "an older P-Asserted-Identity: some cores believe it"},
    {"Require", AT(sip_require),  {ACT_NO_SEC_AGREE, ACT_NO_SEC_AGREE, ACT_NO_SEC_AGREE, ACT_NO_SEC_AGREE},
     "RFC 3329", "no security agreement over a secure WebSocket"},
    {"Resource-Priority",            0, {U,            P,               R,            P},
     "RFC 4412; TS 24.229 5.2.6", "passes for users that have it by subscription"},
    {"Resource-Share",               0, {R,            R,               R,            R},
     "TS 24.229 7.2.13", "between network nodes only"},
    {"Response-Source",              0, {R,            R,               R,            R},
     "TS 24.229 7.2.17", "between network nodes only"},
    {"Restoration-Info",             0, {R,            R,               R,            R},
     "TS 24.229 7.2.11", "between network nodes only"},
    {"Security-Client", AT(sip_security_client),  {R,            R,               R,            R},
     "RFC 3329", "no security agreement over a secure WebSocket"},
    {"Security-Server", AT(sip_security_server),  {R,            R,               R,            R},
     "RFC 3329", "no security agreement over a secure WebSocket"},
    {"Security-Verify", AT(sip_security_verify),  {R,            R,               R,            R},
     "RFC 3329", "no security agreement over a secure WebSocket"},
    {"Service-Interact-Info",        0, {R,            R,               R,            R},
     "TS 24.229 7.2.14", "between network nodes only"},
    {"Service-Route", AT(sip_service_route),  {R,            R,               R,            ACT_REG_200},
     "RFC 3608", "from the registrar alone"},
    {"Session-ID",                   0, {P,            P,               P,            P},
     "RFC 7989", "names the session end to end"},
    {"Supported", AT(sip_supported),  {ACT_NO_SEC_AGREE, ACT_NO_PRECOND, ACT_NO_SEC_AGREE, ACT_NO_PRECOND},
     "RFC 3329; RFC 3312", "browsers have no preconditions"},
    {"To", AT(sip_to),  {ACT_NO_URI_PARAMS, ACT_NO_URI_PARAMS, P,     P},
     "TS 24.229 4.4", "cpc, oli and iotl parameters stay inside the trust domain"},
    {"WWW-Authenticate", AT(sip_www_authenticate),  {P,            P,               P,            ACT_NO_KEYS},
     "TS 24.229 5.2.2", "IMS AKA keys end at the edge"},
};
#undef P
#undef R
#undef U
#undef AT
/* clang-format on */

const struct epc_policy_row *epc_sip_policy_table(size_t *n)
{
    *n = EPC_ARRAY_LEN(table);
    return table;
}

static int compare(const void *key, const void *row)
{
    return strcasecmp(key, ((const struct epc_policy_row *)row)->name);
}

static const struct epc_policy_row *find_row(const char *name)
{
    return bsearch(name, table, EPC_ARRAY_LEN(table), sizeof table[0], compare);
}

/* ---- values ------------------------------------------------------------------------------- */

/* Next element of a list: cuts at @p sep outside quotes and angle brackets. */
static struct epc_str next_element(struct epc_str *rest, char sep)
{
    struct epc_str all = *rest;
    bool quoted = false, angle = false;
    for (size_t i = 0; i < all.n; i++) {
        char c = all.p[i];
        if (quoted && c == '\\' && i + 1 < all.n)
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && c == '<')
            angle = true;
        else if (!quoted && c == '>')
            angle = false;
        else if (!quoted && !angle && c == sep) {
            *rest = (struct epc_str){all.p + i + 1, all.n - i - 1};
            return epc_str_trim((struct epc_str){all.p, i});
        }
    }
    *rest = EPC_STR_NULL;
    return epc_str_trim(all);
}

static bool has_param(struct epc_str item, const char *name)
{
    next_element(&item, ';');
    while (item.p) {
        struct epc_str param = next_element(&item, ';');
        if (epc_str_ieqc(epc_str_trim(epc_str_cut(&param, '=')), name))
            return true;
    }
    return false;
}

static bool privacy_has(const sip_t *sip, const char *value)
{
    const sip_privacy_t *p = sip->sip_privacy;
    for (size_t i = 0; p && p->priv_values && p->priv_values[i]; i++)
        if (strcasecmp(p->priv_values[i], value) == 0)
            return true;
    return false;
}

static bool contains(const char *text, const char *word)
{
    return text && strcasestr(text, word);
}

/* The elements of @p value that @p keep accepts, joined; *dropped counts the others. */
static char *filter_list(su_home_t *home, const char *value, bool (*keep)(struct epc_str item),
                         unsigned *dropped)
{
    struct epc_str rest = epc_str_c(value);
    char *out = su_alloc(home, (isize_t)(rest.n * 2 + 1)), *end = out;
    if (!out)
        return NULL;
    *end = 0;
    while (rest.p) {
        struct epc_str item = next_element(&rest, ',');
        if (item.n == 0)
            continue;
        if (!keep(item)) {
            ++*dropped;
            continue;
        }
        if (end != out) {
            memcpy(end, ", ", 2);
            end += 2;
        }
        memcpy(end, item.p, item.n);
        end += item.n;
        *end = 0;
    }
    return out;
}

static bool keep_not_np(struct epc_str item)
{
    return !has_param(item, "network-provided") && !has_param(item, "np");
}

static bool keep_supported(struct epc_str item)
{
    return epc_str_ieqc(item, "supported");
}

/* ---- one header --------------------------------------------------------------------------- */

struct crossing {
    msg_t *msg;
    sip_t *sip;
    unsigned removed;
};

static void drop(struct crossing *x, msg_header_t *h)
{
    if (msg_header_remove(x->msg, epc_pub(x->sip), h) == 0)
        x->removed++;
}

static void filter_unknown(struct crossing *x, msg_header_t *h, bool (*keep)(struct epc_str))
{
    sip_unknown_t *u = h->sh_unknown;
    unsigned dropped = 0;
    char *value = filter_list(msg_home(x->msg), u->un_value ? u->un_value : "", keep, &dropped);
    if (!value || !*value) {
        drop(x, h); /* out of memory: rather lose it than let it pass */
        return;
    }
    if (dropped) {
        u->un_value = value;
        msg_fragment_clear(u->un_common);
        x->removed++;
    }
}

static void no_param(struct crossing *x, msg_header_t *h, const char *name)
{
    bool found = false;
    while (msg_header_find_param(epc_common(h), name)) {
        if (msg_header_remove_param(epc_common(h), name) <= 0)
            break;
        found = true;
    }
    if (found) {
        msg_fragment_clear_chain(h);
        x->removed++;
    }
}

static void no_tag(struct crossing *x, msg_header_t *h, const char *tag)
{
    /* msg_header_find_item() minds the case; option tags do not. */
    msg_param_t **items = msg_header_params(epc_common(h));
    if (!items || !*items)
        return;
    size_t kept = 0, n = 0;
    msg_param_t *list = (msg_param_t *)(uintptr_t)*items;
    for (; list[n]; n++)
        if (strcasecmp(list[n], tag) != 0)
            list[kept++] = list[n];
    if (kept == n)
        return;
    list[kept] = NULL;
    msg_fragment_clear_chain(h);
    if (kept == 0)
        drop(x, h);
    else
        x->removed++;
}

/* Cut "name[=value]" out of a list "a;b=c;d" in place. */
static bool cut_param(char *params, const char *name)
{
    size_t m = strlen(name);
    char *to = params;
    bool cut = false;
    for (const char *p = params;;) {
        size_t n = strcspn(p, ";");
        bool more = p[n] == ';';
        if (n >= m && strncasecmp(p, name, m) == 0 && (n == m || p[m] == '='))
            cut = true;
        else {
            if (to != params)
                *to++ = ';';
            memmove(to, p, n);
            to += n;
        }
        if (!more)
            break;
        p += n + 1;
    }
    if (cut)
        *to = 0;
    return cut;
}

/* URI parameters that only trusted nodes may set and see. */
static const char *const restricted_params[] = {"cpc", "oli", "iotl"};

static bool restricted(struct epc_str name)
{
    for (size_t i = 0; i < EPC_ARRAY_LEN(restricted_params); i++)
        if (epc_str_ieqc(name, restricted_params[i]))
            return true;
    return false;
}

static bool clean_url(su_home_t *home, url_t *url)
{
    const char *const *names = restricted_params;
    bool cut = false;
    if (!url->url_params && !(url->url_user && strchr(url->url_user, ';')))
        return false;
    /* The strings may be shared with a copy of the message: work on our own. */
    for (size_t i = 0; i < EPC_ARRAY_LEN(restricted_params); i++) {
        if (contains(url->url_params, names[i])) {
            char *own = su_strdup(home, url->url_params);
            if (own && cut_param(own, names[i])) {
                url->url_params = *own ? own : NULL;
                cut = true;
            }
        }
        if (url->url_user && strchr(url->url_user, ';') && contains(url->url_user, names[i])) {
            char *own = su_strdup(home, url->url_user);
            char *params = own ? strchr(own, ';') + 1 : NULL;
            if (params && cut_param(params, names[i])) {
                if (!*params)
                    params[-1] = 0;
                url->url_user = own;
                cut = true;
            }
        }
    }
    return cut;
}

/* The same in the text of a header that sofia-sip does not parse. Quoted strings are left alone: what
 * stands there is nobody's URI. */
static bool clean_text(char *text)
{
    char *to = text;
    bool quoted = false;
    for (const char *p = text; *p;) {
        size_t name = *p == ';' && !quoted ? strcspn(p + 1, "=;>@?, \t") : 0;
        if (name && restricted((struct epc_str){p + 1, name})) {
            p += 1 + name + strcspn(p + 1 + name, ";>@?,");
            continue;
        }
        if (quoted && *p == '\\' && p[1])
            *to++ = *p++;
        else if (*p == '"')
            quoted = !quoted;
        *to++ = *p++;
    }
    bool cut = *to != 0;
    *to = 0;
    return cut;
}

static void no_text_params(struct crossing *x, msg_header_t *h)
{
    sip_unknown_t *u = h->sh_unknown;
    char *own = u->un_value ? su_strdup(msg_home(x->msg), u->un_value) : NULL;
    if (!own) {
        drop(x, h); /* out of memory: rather lose it than let it pass */
    } else if (clean_text(own)) {
        u->un_value = own;
        msg_fragment_clear(u->un_common);
        x->removed++;
    }
}

static void no_uri_params(struct crossing *x, msg_header_t *h, url_t *url)
{
    if (clean_url(msg_home(x->msg), url)) {
        msg_fragment_clear_chain(h);
        x->removed++;
    }
}

static bool private_history(const struct crossing *x, const msg_header_t *h)
{
    return privacy_has(x->sip, "history") || privacy_has(x->sip, "header") ||
           privacy_has(x->sip, "session") || privacy_has(x->sip, "id") ||
           contains(h->sh_unknown->un_value, "privacy");
}

static bool is_register_200(const sip_t *sip)
{
    return sip->sip_status && sip->sip_status->st_status / 100 == 2 && sip->sip_cseq &&
           sip->sip_cseq->cs_method == sip_method_register;
}

static void no_bearer(struct crossing *x, msg_header_t *h)
{
    const char *scheme = h->sh_auth->au_scheme;
    if (!scheme || strcasecmp(scheme, "Bearer") == 0)
        drop(x, h);
    else
        no_param(x, h, "integrity-protected");
}

static void apply_act(struct crossing *x, enum epc_policy_act act, msg_header_t *h)
{
    const sip_request_t *rq = x->sip->sip_request;
    switch (act) {
    case ACT_PASS:
        break;
    case ACT_REMOVE:
    case ACT_USED:
        drop(x, h);
        break;
    case ACT_NO_NP:
        filter_unknown(x, h, keep_not_np);
        break;
    case ACT_PRIVACY_ID:
        if (privacy_has(x->sip, "id"))
            drop(x, h);
        else
            no_text_params(x, h);
        break;
    case ACT_PRIVACY_HIST:
        if (private_history(x, h))
            drop(x, h);
        else
            no_text_params(x, h);
        break;
    case ACT_NO_BEARER:
        no_bearer(x, h);
        break;
    case ACT_NO_KEYS:
        no_param(x, h, "ik");
        no_param(x, h, "ck");
        break;
    case ACT_REG_200:
        if (!is_register_200(x->sip))
            drop(x, h);
        break;
    case ACT_PEM_SUPPORTED:
        filter_unknown(x, h, keep_supported);
        break;
    case ACT_BYE_CANCEL:
        if (!rq || (rq->rq_method != sip_method_bye && rq->rq_method != sip_method_cancel))
            drop(x, h);
        break;
    case ACT_NO_PSAP:
        if (contains(((const sip_priority_t *)(const void *)h)->g_string, "psap-callback"))
            drop(x, h);
        break;
    case ACT_NO_SEC_AGREE:
        no_tag(x, h, "sec-agree");
        break;
    case ACT_NO_PRECOND:
        no_tag(x, h, "precondition");
        if (x->sip->sip_supported)
            no_tag(x, h, "sec-agree");
        break;
    case ACT_NO_URI_PARAMS:
        if (h->sh_class == sip_from_class || h->sh_class == sip_to_class)
            no_uri_params(x, h, ((sip_from_t *)(void *)h)->a_url);
        else if (h->sh_class == sip_contact_class)
            no_uri_params(x, h, ((sip_contact_t *)(void *)h)->m_url);
        else if (h->sh_class == sip_unknown_class)
            no_text_params(x, h);
        break;
    }
}

/* ---- a message ---------------------------------------------------------------------------- */

unsigned epc_sip_policy_apply(msg_t *msg, enum epc_sip_dir dir)
{
    struct crossing x = {.msg = msg, .sip = epc_sip_of(msg)};
    for (msg_header_t *h = epc_hdr(x.sip->sip_unknown), *next; h; h = next) {
        next = h->sh_next;
        const struct epc_policy_row *row = h->sh_unknown->un_name ? find_row(h->sh_unknown->un_name) : NULL;
        if (row && !row->list)
            apply_act(&x, row->act[dir], h);
    }
    for (size_t i = 0; i < EPC_ARRAY_LEN(table); i++) {
        if (!table[i].list || table[i].act[dir] == ACT_PASS)
            continue;
        for (msg_header_t *h = *(msg_header_t **)(void *)((char *)x.sip + table[i].list), *next; h; h = next) {
            next = h->sh_next;
            apply_act(&x, table[i].act[dir], h);
        }
    }
    /* The Request-URI has no header name, but the rule of From holds for it. */
    if (x.sip->sip_request)
        no_uri_params(&x, epc_hdr(x.sip->sip_request), x.sip->sip_request->rq_url);
    if (x.removed)
        epc_count_add(EPC_C_SIP_STRIPPED, x.removed);
    return x.removed;
}

const char *epc_sip_policy_act_name(enum epc_policy_act act)
{
    static const char *const name[] = {
        [ACT_PASS] = "pass",
        [ACT_REMOVE] = "remove",
        [ACT_USED] = "use, remove",
        [ACT_NO_NP] = "without network-provided items",
        [ACT_PRIVACY_ID] = "pass unless Privacy, without cpc, oli, iotl",
        [ACT_PRIVACY_HIST] = "pass unless Privacy, without cpc, oli, iotl",
        [ACT_NO_BEARER] = "Bearer removed; Digest without integrity-protected",
        [ACT_NO_KEYS] = "without ik and ck",
        [ACT_REG_200] = "200 to REGISTER only",
        [ACT_PEM_SUPPORTED] = "only `supported`",
        [ACT_BYE_CANCEL] = "BYE and CANCEL only",
        [ACT_NO_PSAP] = "without psap-callback",
        [ACT_NO_SEC_AGREE] = "without sec-agree",
        [ACT_NO_PRECOND] = "without sec-agree, precondition",
        [ACT_NO_URI_PARAMS] = "without cpc, oli, iotl",
    };
    return name[act];
}

void epc_sip_policy_print(FILE *out)
{
    fputs("# What crosses the edge of the trust domain (TS 24.229 4.4, RFC 3325)\n\n"
          "Made by `epcscf --header-policy` from the table in epcscf/sip/policy.c.\n\n"
          "| Header | WIC request | core request | WIC response | core response | Spec | Note |\n"
          "|---|---|---|---|---|---|---|\n",
          out);
    for (size_t i = 0; i < EPC_ARRAY_LEN(table); i++) {
        const struct epc_policy_row *r = &table[i];
        fprintf(out, "| %s |", r->name);
        for (int d = 0; d < 4; d++)
            fprintf(out, " %s |", epc_sip_policy_act_name(r->act[d]));
        fprintf(out, " %s | %s |\n", r->clause, r->note);
    }
    fputs("\nA header that is not named passes. The Request-URI loses cpc, oli and iotl in every "
          "request.\n",
          out);
}
