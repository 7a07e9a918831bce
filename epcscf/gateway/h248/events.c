/* What gateways report by themselves: observed events (TS 23.334 6.1, 6.2.17), and terminations that change
 * service. Each is answered, whatever becomes of it. */
#include "gateway/h248/iq_priv.h"

#include <string.h>
#include <strings.h>


static size_t stream_of(const struct iq_observed *ev)
{
    return ev->stream > 0 && ev->stream <= EPC_SDP_MAX_MEDIA ? ev->stream - 1 : 0;
}

static struct epc_str param(const struct iq_ctx *c, const struct iq_observed *ev, enum iq_name n)
{
    const char *name = iq_name(c->gw, n);
    for (size_t i = 0; i < ev->n_params; i++)
        if (*name && epc_str_ieqc(ev->param[i].name, name))
            return ev->param[i].value;
    return EPC_STR_NULL;
}

static bool letter(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
}

/* As a word of its own: "ice" is in "service" too. */
static bool has_word(struct epc_str text, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; n && i + n <= text.n; i++)
        if (strncasecmp(text.p + i, word, n) == 0 && (i == 0 || !letter(text.p[i - 1])) &&
            (i + n == text.n || !letter(text.p[i + n])))
            return true;
    return false;
}

static void failed(struct iq_ctx *c, size_t stream, enum epc_gw_failure failure)
{
    iq_tell(c, &(struct epc_gw_event){.kind = EPC_GW_EV_FAILED, .stream = stream, .failure = failure});
}

/* ---- one function an event ------------------------------------------------------------------------------ */

static void on_heartbeat(struct iq_ctx *c, const struct iq_observed *ev)
{
    (void)c;
    (void)ev; /* the answer is all that is asked for (TS 23.334 6.1) */
}

static void on_inactivity(struct iq_ctx *c, const struct iq_observed *ev)
{
    iq_tell(c, &(struct epc_gw_event){.kind = EPC_GW_EV_INACTIVE, .stream = stream_of(ev)});
}

static void on_cause(struct iq_ctx *c, const struct iq_observed *ev)
{
    static const struct {
        enum iq_name word;
        enum epc_gw_failure failure;
    } kinds[] = {{IQ_DTLS_FAILURE_TEXT, EPC_GW_FAIL_DTLS},
                 {IQ_CONSENT_FAILURE_TEXT, EPC_GW_FAIL_CONSENT},
                 {IQ_ICE_FAILURE_TEXT, EPC_GW_FAIL_ICE}};
    struct epc_str text = param(c, ev, IQ_CAUSE_TEXT);
    enum epc_gw_failure failure = EPC_GW_FAIL_BEARER;
    for (size_t i = EPC_ARRAY_LEN(kinds); i-- > 0;)
        if (has_word(text, iq_name(c->gw, kinds[i].word)))
            failure = kinds[i].failure;
    epc_log(EPC_LOG_WARN, "gateway", "event=bearer-released call=%.128s stream=%zu why=\"%.60s\"", c->key,
            stream_of(ev) + 1, iq_printable(text).text);
    failed(c, stream_of(ev), failure);
}

static void on_ice_result(struct iq_ctx *c, const struct iq_observed *ev)
{
    size_t i = stream_of(ev);
    if (!epc_str_ieqc(param(c, ev, IQ_ICE_RESULT_VALUE), iq_name(c->gw, IQ_ICE_RESULT_GOOD)))
        failed(c, i, EPC_GW_FAIL_ICE);
    else if (i < c->n)
        c->ice[i] = EPC_GW_ICE_CONNECTED;
}

static void on_new_peer(struct iq_ctx *c, const struct iq_observed *ev)
{
    struct epc_str ip = param(c, ev, IQ_NEW_PEER_ADDRESS);
    char host[EPC_ADDR_LEN];
    struct epc_addr a;
    uint64_t port;
    if (epc_str_u64(param(c, ev, IQ_NEW_PEER_PORT), UINT16_MAX, &port) != EPC_OK || port == 0 || ip.n >= sizeof host)
        return;
    snprintf(host, sizeof host, "%.*s", EPC_STR_ARG(ip));
    if (epc_addr_parse(&a, host, (uint16_t)port) == EPC_OK)
        iq_learned(c, stream_of(ev), &a);
}

static void on_consent(struct iq_ctx *c, const struct iq_observed *ev)
{
    failed(c, stream_of(ev), EPC_GW_FAIL_CONSENT);
}

static const struct {
    enum iq_name name;
    void (*fn)(struct iq_ctx *c, const struct iq_observed *ev);
} events[] = {{IQ_CAUSE, on_cause},           {IQ_HEARTBEAT, on_heartbeat}, {IQ_INACTIVITY, on_inactivity},
              {IQ_ICE_RESULT, on_ice_result}, {IQ_NEW_PEER, on_new_peer},   {IQ_CONSENT, on_consent}};

static void on_observed(void *arg, const struct iq_observed *ev)
{
    struct iq_ctx *c = arg;
    epc_count(EPC_C_GW_EVENTS);
    for (size_t i = 0; i < EPC_ARRAY_LEN(events); i++) {
        const char *name = iq_name(c->gw, events[i].name);
        if (*name && epc_str_ieqc(ev->name, name)) {
            events[i].fn(c, ev);
            return;
        }
    }
    epc_count(EPC_C_GW_EVENTS_UNKNOWN);
    epc_log(EPC_LOG_INFO, "gateway", "event=unknown-event call=%.128s name=\"%.40s\"", c->key,
            iq_printable(ev->name).text);
}

/* Answered all the same: a late report of an earlier request must not be repeated for ever. */
static void on_strange_request(void *arg, const struct iq_observed *ev)
{
    struct iq_ctx *c = arg;
    epc_count(EPC_C_GW_EVENTS);
    epc_count(EPC_C_GW_EVENTS_UNKNOWN);
    epc_log(EPC_LOG_INFO, "gateway", "event=report-of-another-request call=%.128s name=\"%.40s\"", c->key,
            iq_printable(ev->name).text);
}

unsigned iq_on_notify(void *arg, unsigned mg, uint32_t context, const struct epc_h248_command *cmd)
{
    struct iq_ctx *c = iq_find(arg, mg, context);
    if (!c)
        return 411;
    struct epc_str name = iq_read_termination(cmd);
    if (!epc_str_ieqc(name, c->leg[EPC_GW_ACCESS].name) && !epc_str_ieqc(name, c->leg[EPC_GW_CORE].name))
        return 430;
    bool was_busy = c->busy;
    c->busy = true; /* the owner may release it on the first of several events */
    iq_read_observed(cmd, iq_read_request_id(cmd) == c->number ? on_observed : on_strange_request, c);
    c->busy = was_busy;
    if (!was_busy)
        iq_next(c);
    return 0;
}

/* ---- the WIC's address -------------------------------------------------------------------------------------- */

void iq_learned(struct iq_ctx *c, size_t stream, const struct epc_addr *addr)
{
    if (stream >= c->n || stream >= EPC_SDP_MAX_MEDIA || c->released)
        return;
    struct epc_addr *known = &c->learned[stream];
    c->ice[stream] = EPC_GW_ICE_CONNECTED;
    if (known->len && epc_addr_same_ip(known, addr) && epc_addr_port(known) == epc_addr_port(addr))
        return;
    *known = *addr;
    iq_tell(c, &(struct epc_gw_event){.kind = EPC_GW_EV_LEARNED, .stream = stream, .addr = *addr});
}

/* ---- terminations that change service ------------------------------------------------------------------------- */

/* `*` at the end of a part stands for it and for all that follows. */
static bool matches(struct epc_str pattern, const char *name)
{
    const char *star = pattern.n ? memchr(pattern.p, '*', pattern.n) : NULL;
    size_t n = star ? (size_t)(star - pattern.p) : pattern.n;
    if (!*name)
        return false;
    return star ? strlen(name) >= n && strncasecmp(name, pattern.p, n) == 0 : epc_str_ieqc(pattern, name);
}

struct change {
    struct epc_str termination;
    unsigned reason;
};

static void out_of_service(struct iq_ctx *c, void *arg)
{
    const struct change *ch = arg;
    bool hit = false;
    for (int side = 0; side < 2; side++)
        hit = hit || matches(ch->termination, c->leg[side].name);
    if (!hit || c->released || c->gone)
        return;
    epc_log(EPC_LOG_WARN, "gateway", "event=termination-out-of-service call=%.128s gateway=%s reason=%u", c->key,
            c->mg_name, ch->reason);
    c->unsure = true;
    iq_broken(c);
}

void iq_on_service_change(void *arg, unsigned mg, uint32_t context, const struct epc_h248_command *cmd)
{
    struct iq_gw *gw = arg;
    struct change ch = {.termination = iq_read_termination(cmd)};
    if (iq_read_service_change(cmd, &ch.reason) != IQ_SERVICE_FORCED)
        return; /* back in service, or going after the calls that are there */
    struct iq_ctx *c = context == EPC_H248_CTX_ALL ? NULL : iq_find(gw, mg, context);
    if (context == EPC_H248_CTX_ALL)
        iq_each_of(gw, mg, out_of_service, &ch);
    else if (c)
        out_of_service(c, &ch);
}
