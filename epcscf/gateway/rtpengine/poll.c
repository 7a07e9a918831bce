/* rtpengine tells nothing by itself. Until the access side's remote endpoints are known it is asked
 * often, then now and then; what changed becomes the events that an Iq gateway would send. */
#include "gateway/rtpengine/rtpengine_priv.h"

#include <string.h>

enum { OFTEN_POLLS = 10 };

static void on_poll_time(void *arg);

static bool endpoint_of(const json_t *media, struct epc_addr *addr)
{
    const json_t *stream = json_array_get(json_object_get(media, "streams"), 0);
    const json_t *endpoint = json_object_get(stream, "endpoint");
    json_int_t packets = json_integer_value(json_object_get(json_object_get(stream, "stats"), "packets"));
    const char *host = json_string_value(json_object_get(endpoint, "address"));
    json_int_t port = json_integer_value(json_object_get(endpoint, "port"));
    return packets > 0 && host && port > 0 && port <= UINT16_MAX &&
           epc_addr_parse(addr, host, (uint16_t)port) == EPC_OK;
}

/* Streams that were refused have no port of rtpengine's. */
static bool is_off(const json_t *media)
{
    const json_t *stream = json_array_get(json_object_get(media, "streams"), 0);
    return json_integer_value(json_object_get(stream, "local port")) == 0;
}

static bool same(const struct epc_addr *a, const struct epc_addr *b)
{
    return a->len != 0 && b->len != 0 && epc_addr_same_ip(a, b) && epc_addr_port(a) == epc_addr_port(b);
}

/* Returns whether every stream that is on has shown its remote endpoint. */
static bool tell_endpoints(struct rtp_ctx *c, const json_t *reply)
{
    const json_t *side = json_object_get(json_object_get(reply, "tags"), c->tag[EPC_GW_ACCESS]);
    const json_t *medias = json_object_get(side, "medias");
    bool all = json_array_size(medias) > 0;
    for (size_t i = 0; i < json_array_size(medias) && i < EPC_SDP_MAX_MEDIA && !c->released; i++) {
        const json_t *media = json_array_get(medias, i);
        struct epc_addr addr;
        if (is_off(media))
            continue;
        if (!endpoint_of(media, &addr)) {
            all = false;
            continue;
        }
        rtp_note_srtp(c, i, media);
        if (same(&addr, &c->seen[i]))
            continue;
        c->seen[i] = addr;
        c->event(c->event_arg, &(struct epc_gw_event){.kind = EPC_GW_EV_LEARNED, .stream = i, .addr = addr});
    }
    return all;
}

static void on_query(void *arg, enum epc_err err, const json_t *reply)
{
    struct rtp_ctx *c = arg;
    bool all = false, lost = err == EPC_OK && rtp_unknown_call(reply);
    /* Busy until the end: the owner may release the context in its event handler. */
    if (!c->released && lost) {
        c->polling = false;
        c->exists = false;
        epc_log(EPC_LOG_WARN, "gateway", "event=call-lost call=%.128s", c->key);
        c->event(c->event_arg, &(struct epc_gw_event){.kind = EPC_GW_EV_LOST});
    } else if (!c->released && err == EPC_OK)
        all = tell_endpoints(c, reply);
    if (!c->released && !lost)
        epc_timer_start(c->gw->sh, &c->poll,
                        all || c->polls > OFTEN_POLLS ? c->gw->seldom_ms : c->gw->often_ms, on_poll_time, c);
    c->busy = false;
    rtp_next(c);
}

static void on_poll_time(void *arg)
{
    struct rtp_ctx *c = arg;
    json_t *cmd = c->busy ? NULL : json_pack("{s:s, s:s}", "command", "query", "call-id", c->call_id);
    c->polls++;
    if (cmd && ng_send(c->gw->ng, c->at, cmd, NULL, on_query, c) == EPC_OK)
        c->busy = true;
    else
        epc_timer_start(c->gw->sh, &c->poll, c->gw->often_ms, on_poll_time, c);
    json_decref(cmd);
}

void rtp_poll_start(struct rtp_ctx *c)
{
    if (c->released)
        return;
    c->polling = true;
    c->polls = 0;
    epc_timer_start(c->gw->sh, &c->poll, c->gw->often_ms, on_poll_time, c);
}
