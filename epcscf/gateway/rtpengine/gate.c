/* The gate (RFC 5009): `block media` and `block DTMF`, for what comes from one side or for the whole call. A
 * side can be named only once rtpengine has its tag, which the answerer's gets with the answer; until then
 * a gate that is to be closed at all is closed for the whole call, so that it is closed already when the
 * answer opens the way. ICE and DTLS pass at all times. */
#include "gateway/rtpengine/rtpengine_priv.h"

enum { MEDIA, DTMF };

/* The scopes that are to be blocked, as bits. */
static unsigned wanted(const struct rtp_ctx *c)
{
    unsigned bits = 0;
    for (int side = 0; side < 2; side++)
        if (c->closed_from[side])
            bits |= 1u << (c->answered ? side : RTP_GATE_CALL);
    return bits;
}

static void on_done(void *arg, enum epc_err err, const json_t *reply)
{
    struct rtp_ctx *c = arg;
    if (!c->released && (err != EPC_OK || !rtp_is_ok(reply)))
        epc_log(EPC_LOG_WARN, "gateway", "event=gate-failed call=%.128s why=\"%s\"", c->key,
                err == EPC_OK ? "refused" : epc_err_name(err));
    c->busy = false;
    rtp_next(c);
}

static bool tell(struct rtp_ctx *c, int kind, enum rtp_gate_scope scope, bool block)
{
    static const char *const command[2][2] = {[MEDIA] = {"unblock media", "block media"},
                                              [DTMF] = {"unblock DTMF", "block DTMF"}};
    json_t *cmd = json_pack("{s:s, s:s}", "command", command[kind][block], "call-id", c->call_id);
    bool ok = cmd && (scope == RTP_GATE_CALL ||
                      json_object_set_new(cmd, "from-tag", json_string(c->tag[scope])) == 0);
    c->busy = ok && ng_send(c->gw->ng, c->at->ng, cmd, c->key, on_done, c) == EPC_OK;
    json_decref(cmd);
    if (block)
        c->blocked[kind] |= 1u << scope;
    else
        c->blocked[kind] &= ~(1u << scope);
    return c->busy;
}

/* Blocking goes first, so that nothing slips through while one scope takes over from another. */
bool rtp_gate_step(struct rtp_ctx *c)
{
    unsigned want = wanted(c);
    if (!c->settled || c->lost_told)
        return false;
    for (int block = 1; block >= 0; block--)
        for (int scope = 0; scope < RTP_GATE_SCOPES; scope++)
            for (int kind = MEDIA; kind <= DTMF; kind++) {
                unsigned now = c->blocked[kind] >> scope & 1, then = want >> scope & 1;
                if (now != then && then == (unsigned)block &&
                    tell(c, kind, (enum rtp_gate_scope)scope, block))
                    return true;
            }
    return false;
}

void rtp_gate(struct epc_gw_ctx *base, bool to_access, bool to_core)
{
    struct rtp_ctx *c = rtp_ctx_of(base);
    c->closed_from[EPC_GW_CORE] = !to_access;
    c->closed_from[EPC_GW_ACCESS] = !to_core;
    rtp_next(c);
}
