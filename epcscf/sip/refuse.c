/* Refusals while the shard is overloaded. A WIC's request is refused from its text, unparsed: whoever is
 * refused must cost next to nothing, or refusing is what the time goes to. */
#include "sip/sip_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What a refusal repeats of the request (RFC 3261 8.2.6.2), and what the request is worth. Slices of the
 * text, whole lines with their ends. */
struct draft {
    struct epc_str method, uri;
    struct epc_str from, to, call_id, cseq;
    struct epc_buf *vias; /**< the refusal so far: status line and Via fields */
    bool via;
    bool tag, replaces, credentials, leaves, sos;
};

enum {
    RETRY_FACTOR = 2, /* so many times more, at most, than sip.overload_retry_after_s */
    HEAR_MS = 4,
    HEAR_AT_ONCE = 16,
};

/* ---- reading ------------------------------------------------------------------------------------ */

static bool has(struct epc_str line, const char *word)
{
    return line.n && memmem(line.p, line.n, word, strlen(word)) != NULL;
}

/* The name of a field, or its short form (RFC 3261 7.3.3); @p at the value. */
static bool named(struct epc_str line, const char *name, char brief, size_t *at)
{
    size_t n = strlen(name), i;
    if (line.n > n && strncasecmp(line.p, name, n) == 0)
        i = n;
    else if (brief && line.n > 1 && (line.p[0] | 0x20) == brief)
        i = 1;
    else
        return false;
    while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'))
        i++;
    *at = i + 1;
    return i < line.n && line.p[i] == ':';
}

static struct epc_str value_of(struct epc_str line, size_t at)
{
    return epc_str_trim((struct epc_str){line.p + at, line.n - at});
}

static bool expires_now(struct epc_str contact)
{
    static const char param[] = ";expires=0";
    const char *at = memmem(contact.p, contact.n, param, sizeof param - 1);
    size_t after = at ? (size_t)(at - contact.p) + sizeof param - 1 : contact.n;
    return after < contact.n && (contact.p[after] < '0' || contact.p[after] > '9');
}

static void take_line(struct draft *d, struct epc_str line)
{
    size_t at;
    switch (line.p[0] | 0x20) {
    case 'v':
        if (named(line, "Via", 'v', &at)) {
            epc_buf_addstr(d->vias, line);
            d->via = true;
        }
        break;
    case 'f':
        if (named(line, "From", 'f', &at))
            d->from = line;
        break;
    case 't':
        if (named(line, "To", 't', &at)) {
            const char *end = memrchr(line.p, '>', line.n);
            d->to = line;
            d->tag = has(end ? (struct epc_str){end, line.n - (size_t)(end - line.p)} : line, ";tag=");
        }
        break;
    case 'i':
        if (named(line, "Call-ID", 'i', &at))
            d->call_id = line;
        break;
    case 'c':
        if (named(line, "Call-ID", 0, &at))
            d->call_id = line;
        else if (named(line, "CSeq", 0, &at))
            d->cseq = line;
        else if (named(line, "Contact", 0, &at)) {
            d->leaves |= expires_now(line);
            d->sos |= has(line, ";sos");
        }
        break;
    case 'm':
        if (named(line, "Contact", 'm', &at)) {
            d->leaves |= expires_now(line);
            d->sos |= has(line, ";sos");
        }
        break;
    case 'e':
        if (named(line, "Expires", 0, &at))
            d->leaves |= epc_str_eqc(value_of(line, at), "0");
        break;
    case 'a':
        if (named(line, "Authorization", 0, &at))
            d->credentials = has(line, "response=");
        break;
    case 'r':
        if (named(line, "Replaces", 0, &at))
            d->replaces = true;
        break;
    default:
        break;
    }
}

static bool read_first(struct draft *d, struct epc_str line)
{
    const char *one = memchr(line.p, ' ', line.n);
    if (!one)
        return false;
    struct epc_str rest = {one + 1, line.n - (size_t)(one + 1 - line.p)};
    const char *two = memchr(rest.p, ' ', rest.n);
    if (!two)
        return false;
    d->method = (struct epc_str){line.p, (size_t)(one - line.p)};
    d->uri = (struct epc_str){rest.p, (size_t)(two - rest.p)};
    return epc_str_eqc((struct epc_str){two + 1, rest.n - d->uri.n - 1}, "SIP/2.0\r\n");
}

/* False: no request, or one that only the parser can make sense of. */
static bool read_draft(struct draft *d, const char *p, size_t n)
{
    size_t at = 0;
    bool first = true;
    while (at < n) {
        const char *nl = memchr(p + at, '\n', n - at);
        if (!nl || nl == p + at || nl[-1] != '\r')
            return false;
        size_t end = (size_t)(nl - p) + 1;
        if (end == at + 2)
            return !first && d->via && d->from.p && d->to.p && d->call_id.p && d->cseq.p && !d->vias->failed;
        while (end < n && (p[end] == ' ' || p[end] == '\t')) { /* the field goes on */
            const char *more = memchr(p + end, '\n', n - end);
            if (!more)
                return false;
            end = (size_t)(more - p) + 1;
        }
        struct epc_str line = {p + at, end - at};
        if (!first)
            take_line(d, line);
        else if (!read_first(d, line))
            return false;
        first = false;
        at = end;
    }
    return false;
}

/* ---- worth -------------------------------------------------------------------------------------- */

/* Dialled digits, without what only makes them readable (RFC 3966 3). */
static bool same_number(struct epc_str text, struct epc_str number)
{
    size_t k = 0;
    for (size_t i = 0; i < text.n && !strchr("@;?>", text.p[i]); i++) {
        if (strchr("-.()", text.p[i]))
            continue;
        if (k == number.n || number.p[k++] != text.p[i])
            return false;
    }
    return k == number.n && k > 0;
}

static bool emergency(const struct epc_sip *s, struct epc_str uri)
{
    static const char sos[] = "urn:service:sos";
    if (uri.n >= sizeof sos - 1 && strncasecmp(uri.p, sos, sizeof sos - 1) == 0)
        return true;
    const char *colon = memchr(uri.p, ':', uri.n);
    if (!colon)
        return false;
    struct epc_str user = {colon + 1, uri.n - (size_t)(colon + 1 - uri.p)}, number, urn;
    for (size_t i = 0; i < s->n_emergency; i++)
        if (epc_emergency_number_parse(s->emergency[i], &number, &urn) && same_number(user, number))
            return true;
    return false;
}

static enum epc_worth worth_of(const struct epc_sip *s, const struct epc_flow *flow, const struct draft *d)
{
    bool registers = epc_str_eqc(d->method, "REGISTER"), invite = epc_str_eqc(d->method, "INVITE");
    if (registers) {
        if (d->sos)
            return EPC_WORTH_KEEP;
        return d->leaves                                           ? EPC_WORTH_RELIEF
               : epc_flow_registered(flow) || d->credentials ? EPC_WORTH_REFRESH
                                                                   : EPC_WORTH_NEW;
    }
    if (d->tag || epc_str_eqc(d->method, "ACK") || epc_str_eqc(d->method, "CANCEL") || emergency(s, d->uri))
        return EPC_WORTH_KEEP;
    if (invite)
        return d->replaces ? EPC_WORTH_RELIEF : EPC_WORTH_CALL;
    return EPC_WORTH_NEW;
}

/* Of the core's: it says itself what is urgent (RFC 4412, RFC 3261 20.26). What has no Route is for this
 * node: probes and notifications. */
static enum epc_worth worth_of_core(const sip_t *sip)
{
    sip_method_t m = sip->sip_request->rq_method;
    const sip_priority_t *p = sip->sip_priority;
    bool urgent = p && p->g_string && strcasecmp(p->g_string, "emergency") == 0;
    for (const sip_unknown_t *u = sip->sip_unknown; u && !urgent; u = u->un_next)
        urgent = u->un_name && strcasecmp(u->un_name, "Resource-Priority") == 0;
    if (urgent || !sip->sip_route || sip->sip_to->a_tag || m == sip_method_ack || m == sip_method_cancel ||
        m == sip_method_prack)
        return EPC_WORTH_KEEP;
    return m == sip_method_invite ? EPC_WORTH_CALL : EPC_WORTH_NEW;
}

/* ---- beginning and end --------------------------------------------------------------------------- */

static void on_look(void *arg)
{
    struct epc_sip *s = arg;
    uint64_t now = epc_now_ms();
    if (!epc_overload_over(&s->overload, now)) {
        epc_timer_start(s->sh, &s->overload_timer, s->overload.interval_ms / 2, on_look, s);
        return;
    }
    epc_count_add(EPC_C_SIP_OVERLOADED, -1);
    epc_log(EPC_LOG_WARN, "sip", "event=overload-ended shard=%u refused=%llu for_ms=%llu", epc_shard_index(s->sh),
            (unsigned long long)s->n_refused, (unsigned long long)(now - s->overload_since_ms));
}

static bool behind(struct epc_sip *s, uint64_t now)
{
    bool was = s->overload.on;
    if (!s->cfg->overload_delay_ms)
        return false;
    if (!epc_overload_look(&s->overload, epc_shard_looked_ms(s->sh), now))
        return false;
    if (!was) {
        s->n_refused = 0;
        s->overload_since_ms = now;
        epc_count(EPC_C_SIP_OVERLOADS);
        epc_count(EPC_C_SIP_OVERLOADED);
        epc_log(EPC_LOG_WARN, "sip", "event=overload-begins shard=%u hint=\"more is offered than this shard can do: "
                "what is least urgent gets 503\"", epc_shard_index(s->sh));
        on_look(s);
    }
    return true;
}

static void count_refusal(struct epc_sip *s, enum epc_worth worth)
{
    static const enum epc_counter counters[] = {EPC_C_SIP_OVERLOAD_EARLY, EPC_C_SIP_OVERLOAD_NEW,
                                                EPC_C_SIP_OVERLOAD_REFRESH, EPC_C_SIP_OVERLOAD_CALL,
                                                EPC_C_SIP_OVERLOAD_RELIEF};
    s->n_refused++;
    if ((size_t)worth < EPC_ARRAY_LEN(counters))
        epc_count(counters[worth]);
}

/* ---- refusing ------------------------------------------------------------------------------------- */

/* Those who are refused together must not come back together. */
static unsigned retry_after_s(const struct epc_sip *s)
{
    uint16_t chance;
    unsigned base = s->cfg->overload_retry_after_s;
    epc_random(&chance, sizeof chance);
    return base + chance % (RETRY_FACTOR * base + 1);
}

static void answer(struct epc_flow *flow, const struct draft *d, unsigned after_s)
{
    char tag[17];
    struct epc_buf *b = d->vias; /* begun with the status line */
    struct epc_str to = d->to;
    epc_buf_addstr(b, d->from);
    while (to.n && (to.p[to.n - 1] == '\r' || to.p[to.n - 1] == '\n'))
        to.n--;
    epc_buf_addstr(b, to);
    if (!d->tag) {
        epc_random_hex(tag, 8);
        epc_buf_adds(b, ";tag=");
        epc_buf_adds(b, tag);
    }
    epc_buf_adds(b, "\r\n");
    epc_buf_addstr(b, d->call_id);
    epc_buf_addstr(b, d->cseq);
    epc_buf_adds(b, "Retry-After: ");
    epc_buf_addu(b, after_s);
    epc_buf_adds(b, "\r\nContent-Length: 0\r\n\r\n");
    if (!b->failed && epc_flow_send(flow, b->p, b->n) != EPC_OK)
        epc_log(EPC_LOG_DEBUG, "sip", "event=answer-lost leg=wic status=503 why=overload");
    if (epc_trace_on()) {
        char peer[EPC_ADDR_LEN];
        epc_trace(EPC_TRACE_GM, true, epc_addr_text(epc_flow_peer(flow), peer), NULL, b->p, b->n);
    }
}

/* Who was refused waits, and the note of the flow says until when (on epc_now_ms()). Not so for calls: people dial
 * again, programs register again. */
static bool waits(enum epc_worth worth)
{
    return worth == EPC_WORTH_NEW || worth == EPC_WORTH_REFRESH;
}

static unsigned put_off(const struct epc_sip *s, struct epc_flow *flow, enum epc_worth worth, uint64_t now)
{
    unsigned after_s = retry_after_s(s);
    if (waits(worth))
        epc_flow_set_note(flow, now + after_s * UINT64_C(1000));
    return after_s;
}

/* As soon as there is room, some who are held back are heard, and then more: few at a time, for who is served comes
 * again. */
static void on_hear(void *arg)
{
    struct epc_sip *s = arg;
    bool room = epc_overload_has_room(&s->overload, epc_shard_looked_ms(s->sh), epc_now_ms());
    if (s->wss && epc_wss_hear(s->wss, room ? HEAR_AT_ONCE : 0))
        epc_timer_start(s->sh, &s->hear_timer, HEAR_MS, on_hear, s);
}

/* One that does not wait is not read for a while: refusing it over and over would take the time of those who do. */
static unsigned hold_back(struct epc_sip *s, struct epc_flow *flow, uint64_t now)
{
    uint64_t until = epc_flow_note(flow);
    if (!epc_flow_superseded(flow)) {
        epc_flow_pause(flow, s->cfg->overload_pause_ms);
        if (!epc_timer_running(&s->hear_timer))
            epc_timer_start(s->sh, &s->hear_timer, HEAR_MS, on_hear, s);
    }
    return until > now ? (unsigned)((until - now + 999) / 1000) : 1;
}

/* What came in a pause before something else did has been given up: it would be served for nobody. */
static bool refuses(struct epc_sip *s, const struct epc_flow *flow, enum epc_worth worth, uint64_t now)
{
    if (worth != EPC_WORTH_EARLY || !epc_flow_superseded(flow))
        return epc_overload_refuses(&s->overload, worth, now);
    epc_overload_refused(&s->overload, now);
    return true;
}

bool epc_sip_refuse_wic(struct epc_sip *s, struct epc_flow *flow, const char *p, size_t n)
{
    uint64_t now = epc_now_ms();
    struct draft d = {.vias = &s->refusal};
    if (n < 12 || memcmp(p, "SIP/2.0 ", 8) == 0 || !behind(s, now))
        return false;
    s->refusal.n = 0;
    s->refusal.failed = false;
    epc_buf_adds(&s->refusal, "SIP/2.0 503 Service Unavailable\r\n");
    if (!read_draft(&d, p, n))
        return false;
    enum epc_worth worth = worth_of(s, flow, &d);
    if (waits(worth) && (now < epc_flow_note(flow) || epc_flow_superseded(flow)))
        worth = EPC_WORTH_EARLY;
    if (!refuses(s, flow, worth, now)) {
        if (worth == EPC_WORTH_EARLY)
            epc_flow_set_note(flow, 0); /* there was room, and what follows from it is none too early */
        return false;
    }
    if (epc_trace_on()) {
        char peer[EPC_ADDR_LEN];
        epc_trace(EPC_TRACE_GM, false, epc_addr_text(epc_flow_peer(flow), peer), NULL, p, n);
    }
    epc_count(EPC_C_SIP_WIC_HANDLED);
    count_refusal(s, worth);
    answer(flow, &d, worth == EPC_WORTH_EARLY ? hold_back(s, flow, now) : put_off(s, flow, worth, now));
    return true;
}

bool epc_sip_refuse_core(struct epc_sip *s, const sip_t *sip)
{
    uint64_t now = epc_now_ms();
    if (!behind(s, now))
        return false;
    enum epc_worth worth = worth_of_core(sip);
    if (!epc_overload_refuses(&s->overload, worth, now))
        return false;
    count_refusal(s, worth);
    return true;
}

void epc_sip_overload_open(struct epc_sip *s)
{
    epc_overload_init(&s->overload, s->cfg->overload_delay_ms, s->cfg->overload_interval_ms, epc_now_ms());
}

void epc_sip_overload_close(struct epc_sip *s)
{
    if (s->overload.on)
        epc_count_add(EPC_C_SIP_OVERLOADED, -1);
    epc_timer_stop(s->sh, &s->overload_timer);
    epc_timer_stop(s->sh, &s->hear_timer);
    epc_buf_free(&s->refusal);
}
