/* rtpengine tells nothing by itself. Until the streams of the access side have found their way (ICE) and are
 * secured (DTLS) it is asked often, then now and then; what changed becomes the events that an Iq gateway
 * would send. A question costs one datagram each way, so that a thousand calls cost a hundred a second. */
#include "gateway/rtpengine/rtpengine_priv.h"

#include <string.h>

enum { OFTEN_POLLS = 10 };

static void on_poll_time(void *arg);

static bool has_flag(const json_t *of, const char *flag)
{
    const json_t *flags = json_object_get(of, "flags"), *f;
    size_t i;
    json_array_foreach (flags, i, f)
        if (json_is_string(f) && strcmp(json_string_value(f), flag) == 0)
            return true;
    return false;
}

static const json_t *first_stream(const json_t *media)
{
    return json_array_get(json_object_get(media, "streams"), 0);
}

/* Where packets come from: what the checks have shown, since no port was told (RTP_NO_PORT). */
static bool endpoint_of(const json_t *media, struct epc_addr *addr)
{
    const json_t *endpoint = json_object_get(first_stream(media), "endpoint");
    const char *host = json_string_value(json_object_get(endpoint, "address"));
    json_int_t port = json_integer_value(json_object_get(endpoint, "port"));
    return host && port > 0 && port != RTP_NO_PORT && port <= UINT16_MAX &&
           epc_addr_parse(addr, host, (uint16_t)port) == EPC_OK;
}

/* Streams that were refused have no port of rtpengine's. */
static bool is_off(const json_t *media)
{
    return json_integer_value(json_object_get(first_stream(media), "local port")) == 0;
}

static bool same(const struct epc_addr *a, const struct epc_addr *b)
{
    return a->len != 0 && b->len != 0 && epc_addr_same_ip(a, b) && epc_addr_port(a) == epc_addr_port(b);
}

static void tell(struct rtp_ctx *c, const struct epc_gw_event *ev)
{
    c->event(c->event_arg, ev);
}

static void tell_failed(struct rtp_ctx *c, size_t i, enum epc_gw_failure failure)
{
    epc_log(EPC_LOG_WARN, "gateway", "event=stream-failed call=%.128s gateway=%s stream=%zu why=\"%s\"", c->key,
            ng_instance_name(c->at->ng), i, failure == EPC_GW_FAIL_ICE ? "no candidate pair" : "no DTLS session");
    tell(c, &(struct epc_gw_event){.kind = EPC_GW_EV_FAILED, .stream = i, .failure = failure});
}

/* Told again after each further period, for whom the first time was too early (an offerer that waits for the
 * final answer before it begins its checks). */
static void watch(struct rtp_ctx *c, size_t i)
{
    const struct epc_cfg_media *cfg = c->gw->cfg;
    struct rtp_stream *st = &c->stream[i];
    uint32_t limit = st->connected ? cfg->dtls_timeout_ms : cfg->ice_timeout_ms;
    uint64_t now = epc_now_ms();
    if (st->secured || limit == 0 || now - st->waits_since_ms < limit)
        return;
    st->waits_since_ms = now;
    tell_failed(c, i, st->connected ? EPC_GW_FAIL_DTLS : EPC_GW_FAIL_ICE);
}

/* A media of the access side. @return it has settled */
static bool look_at(struct rtp_ctx *c, size_t i, const json_t *media)
{
    struct rtp_stream *st = &c->stream[i];
    struct epc_addr addr;
    if (endpoint_of(media, &addr)) {
        if (!st->connected)
            st->waits_since_ms = epc_now_ms();
        st->connected = true;
        st->srtp_profile = rtp_srtp_profile(media);
        st->secured = st->srtp_profile != 0 || !has_flag(media, "DTLS-SRTP");
        if (!same(&addr, &st->seen)) {
            st->seen = addr;
            tell(c, &(struct epc_gw_event){.kind = EPC_GW_EV_LEARNED, .stream = i, .addr = addr});
        }
    }
    if (!c->released)
        watch(c, i);
    return st->connected && st->secured;
}

/* @return whether every stream that is on has settled */
static bool look_at_access(struct rtp_ctx *c, const json_t *reply)
{
    const json_t *side = json_object_get(json_object_get(reply, "tags"), c->tag[EPC_GW_ACCESS]);
    const json_t *medias = json_object_get(side, "medias");
    bool all = json_array_size(medias) > 0;
    for (size_t i = 0; i < json_array_size(medias) && i < EPC_SDP_MAX_MEDIA && !c->released; i++)
        if (!is_off(json_array_get(medias, i)))
            all = look_at(c, i, json_array_get(medias, i)) && all;
    return all;
}

/* Packets from either side so far; @p held: no media is meant to flow. */
static uint64_t count_packets(const struct rtp_ctx *c, const json_t *reply, bool *held)
{
    uint64_t sum = 0;
    *held = true;
    for (int side = 0; side < 2; side++) {
        const json_t *tag = json_object_get(json_object_get(reply, "tags"), c->tag[side]), *media, *stream;
        size_t i, k;
        json_array_foreach (json_object_get(tag, "medias"), i, media) {
            if (!is_off(media) && (has_flag(media, "send") || has_flag(media, "recv")))
                *held = false;
            json_array_foreach (json_object_get(media, "streams"), k, stream)
                sum += (uint64_t)json_integer_value(json_object_get(json_object_get(stream, "stats"), "packets"));
        }
    }
    return sum;
}

static void look_for_silence(struct rtp_ctx *c, const json_t *reply)
{
    bool held;
    uint64_t now = epc_now_ms(), packets = count_packets(c, reply, &held);
    if (packets != c->packets || held || !c->moved_ms) {
        c->packets = packets;
        c->moved_ms = now;
    }
    uint32_t limit = c->gw->cfg->inactivity_ms;
    if (limit == 0 || now - c->moved_ms < limit)
        return;
    c->moved_ms = now;
    epc_log(EPC_LOG_WARN, "gateway", "event=call-inactive call=%.128s gateway=%s after_ms=%u", c->key,
            ng_instance_name(c->at->ng), limit);
    tell(c, &(struct epc_gw_event){.kind = EPC_GW_EV_INACTIVE});
}

void rtp_tell_lost(struct rtp_ctx *c, const char *why)
{
    if (c->released || c->lost_told)
        return;
    c->lost_told = true;
    c->polling = false;
    epc_timer_stop(c->gw->sh, &c->poll);
    epc_log(EPC_LOG_WARN, "gateway", "event=call-lost call=%.128s gateway=%s why=\"%s\"", c->key,
            ng_instance_name(c->at->ng), why);
    tell(c, &(struct epc_gw_event){.kind = EPC_GW_EV_LOST});
}

static uint32_t wait_of(const struct rtp_ctx *c, bool settled)
{
    const struct epc_cfg_media *cfg = c->gw->cfg;
    uint64_t setup = (uint64_t)cfg->ice_timeout_ms + cfg->dtls_timeout_ms;
    bool often = !settled && (c->polls <= OFTEN_POLLS || epc_now_ms() - c->answered_ms < setup);
    uint32_t wait = often ? c->gw->often_ms : c->gw->seldom_ms;
    return cfg->inactivity_ms && cfg->inactivity_ms / 2 < wait ? cfg->inactivity_ms / 2 : wait;
}

static void on_query(void *arg, enum epc_err err, const json_t *reply)
{
    struct rtp_ctx *c = arg;
    bool settled = false;
    /* Busy until the end: the owner may release the context in its event handler. */
    if (!c->released && err == EPC_OK && rtp_unknown_call(reply)) {
        c->exists = false;
        rtp_tell_lost(c, "rtpengine does not know it");
    } else if (!c->released && err == EPC_OK) {
        settled = look_at_access(c, reply);
        if (!c->released)
            look_for_silence(c, reply);
    }
    if (!c->released && !c->lost_told)
        epc_timer_start(c->gw->sh, &c->poll, wait_of(c, settled), on_poll_time, c);
    c->busy = false;
    rtp_next(c);
}

static void on_poll_time(void *arg)
{
    struct rtp_ctx *c = arg;
    json_t *cmd = c->busy ? NULL : json_pack("{s:s, s:s}", "command", "query", "call-id", c->call_id);
    c->polls++;
    if (cmd && ng_send(c->gw->ng, c->at->ng, cmd, NULL, on_query, c) == EPC_OK)
        c->busy = true;
    else
        epc_timer_start(c->gw->sh, &c->poll, c->gw->often_ms, on_poll_time, c);
    json_decref(cmd);
}

/* After each answer: the streams begin anew. What is connected and secured stays so, since neither a new
 * address nor a new key is needed for it. */
void rtp_poll_start(struct rtp_ctx *c)
{
    if (c->released || c->lost_told)
        return;
    c->polling = true;
    c->polls = 0;
    c->answered_ms = epc_now_ms();
    for (size_t i = 0; i < EPC_SDP_MAX_MEDIA; i++)
        c->stream[i].waits_since_ms = c->answered_ms;
    epc_timer_start(c->gw->sh, &c->poll, c->gw->often_ms, on_poll_time, c);
}

void rtp_poll_now(struct rtp_ctx *c)
{
    if (c->polling && !c->released && !c->lost_told)
        epc_timer_start(c->gw->sh, &c->poll, 0, on_poll_time, c);
}
