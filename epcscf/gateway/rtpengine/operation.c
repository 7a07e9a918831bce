#include "gateway/rtpengine/rtpengine_priv.h"

#include <string.h>

/* What each direction asks of rtpengine (TS 23.334 5.20: the access side is WebRTC, the core side plain
 * RTP with a port of its own for RTCP). ICE-lite (TS 24.371 5A.4), and not by taste: a full agent starts
 * its checks with the offer, and rtpengine never begins DTLS when they end before the answer is there. */
static int shape(json_t *cmd, enum epc_gw_side towards)
{
    int rc = json_object_set_new(cmd, "SDES", json_pack("[s]", "off"));
    if (towards == EPC_GW_CORE) {
        rc |= json_object_set_new(cmd, "ICE", json_string("remove"));
        rc |= json_object_set_new(cmd, "transport-protocol", json_string("RTP/AVP"));
        rc |= json_object_set_new(cmd, "rtcp-mux", json_pack("[s]", "demux"));
        rc |= json_object_set_new(cmd, "ICE-lite", json_string("backward"));
    } else {
        rc |= json_object_set_new(cmd, "ICE", json_string("force"));
        rc |= json_object_set_new(cmd, "transport-protocol", json_string("UDP/TLS/RTP/SAVPF"));
        rc |= json_object_set_new(cmd, "rtcp-mux", json_pack("[ss]", "offer", "require"));
        rc |= json_object_set_new(cmd, "ICE-lite", json_string("forward"));
    }
    return rc | json_object_set_new(cmd, "DTLS-fingerprint", json_string("sha-256"));
}

/* Until the WIC's checks have come rtpengine is told no port of it. So `query` shows when ICE is done: the
 * endpoint has another port then. */
static void hide_ports(struct epc_sdp *s, struct epc_sdp_media *media)
{
    for (size_t i = 0; i < s->n_media && i < EPC_SDP_MAX_MEDIA; i++) {
        media[i] = s->media[i];
        if (media[i].port != 0 && media[i].ice_ufrag.n)
            media[i].port = RTP_NO_PORT;
    }
    s->media = media;
}

/* rtpengine refuses a description in which an m-line has no address at all, and those that are off have
 * none: a c= of the whole session, which no running stream uses (192.0.0.8 is the dummy of RFC 7600). */
enum epc_err rtp_print(const struct epc_sdp *s, enum epc_gw_side from, struct epc_buf *out)
{
    struct epc_buf text = {0};
    struct epc_sdp told = *s;
    struct epc_sdp_media media[EPC_SDP_MAX_MEDIA];
    if (from == EPC_GW_ACCESS && s->n_media <= EPC_SDP_MAX_MEDIA)
        hide_ports(&told, media);
    enum epc_err err = epc_sdp_print(&told, &text);
    const char *t = err == EPC_OK && text.p ? strstr(text.p, "\nt=") : NULL;
    if (t) {
        size_t head = (size_t)(t - text.p) + 1;
        const char *b = strstr(text.p, "\nb=");
        if (b && b < t) /* c= stands before b= */
            head = (size_t)(b - text.p) + 1;
        epc_buf_add(out, text.p, head);
        epc_buf_adds(out, "c=IN IP4 192.0.0.8\r\n");
        epc_buf_add(out, text.p + head, text.n - head);
    }
    epc_buf_free(&text);
    if (err == EPC_OK && (!t || out->failed))
        err = t ? EPC_ENOMEM : EPC_EINVAL;
    return err;
}

json_t *rtp_command(const struct rtp_ctx *c, const struct rtp_op *op)
{
    const struct epc_cfg_media *cfg = c->gw->cfg;
    enum epc_gw_side other = rtp_other(op->from);
    const char *interface[] = {[EPC_GW_ACCESS] = cfg->access_interface, [EPC_GW_CORE] = cfg->core_interface};
    bool offer = op->kind == RTP_OFFER;
    /* from-tag is always the offerer's, in the answer too. */
    json_t *cmd = json_pack("{s:s, s:s, s:s, s:s, s:[ss], s:[ss*]}", "command", offer ? "offer" : "answer",
                            "call-id", c->call_id, "from-tag", c->tag[offer ? op->from : other], "sdp",
                            op->sdp, "replace", "origin", "session-connection", "flags", "trust-address",
                            c->at->tls_id ? "no-tls-id" : NULL); /* which older ones do not know */
    if (!cmd)
        return NULL;
    int rc = 0;
    if (!offer || c->exists)
        rc |= json_object_set_new(cmd, "to-tag", json_string(c->tag[offer ? other : op->from]));
    if (offer && interface[op->from] && *interface[op->from] && interface[other] && *interface[other])
        rc |= json_object_set_new(cmd, "direction",
                                  json_pack("[ss]", interface[op->from], interface[other]));
    if (offer)
        rc |= shape(cmd, other);
    else if (other == EPC_GW_CORE)
        rc |= json_object_set_new(cmd, "ICE", json_string("remove"));
    if (op->codec)
        rc |= json_object_set(cmd, "codec", op->codec);
    if (cfg->rtpengine_dscp) /* the upper six bits of the octet (RFC 2474) */
        rc |= json_object_set_new(cmd, "TOS", json_integer((json_int_t)cfg->rtpengine_dscp << 2));
    /* In answers too: the role must not change between one exchange and the next. */
    rc |= json_object_set_new(cmd, "DTLS", json_string("passive"));
    if (rc == 0)
        return cmd;
    json_decref(cmd);
    return NULL;
}

static const char *reason_of(const json_t *reply)
{
    const char *reason = json_string_value(json_object_get(reply, "error-reason"));
    return reason ? reason : "no reason given";
}

bool rtp_is_ok(const json_t *reply)
{
    const char *result = json_string_value(json_object_get(reply, "result"));
    return result && strcmp(result, "ok") == 0;
}

bool rtp_unknown_call(const json_t *reply)
{
    const char *result = json_string_value(json_object_get(reply, "result"));
    return result && strcmp(result, "error") == 0 && strstr(reason_of(reply), "nknown call") != NULL;
}

/* Texts of rtpengine 10.5: limits of sessions, load, CPU and bandwidth; ports; descriptions. */
static enum epc_err refused(const json_t *reply, struct epc_cause *cause)
{
    const char *reason = reason_of(reply);
    bool busy = strstr(reason, "limit") || strstr(reason, "Ran out of ports");
    bool sdp = strstr(reason, "SDP") || strstr(reason, "parse");
    bool gone = rtp_unknown_call(reply);
    epc_cause_set(cause, busy || gone ? 503 : sdp ? 488 : 500, "TS 23.334 6.2", "gateway: %.80s", reason);
    if (busy)
        cause->retry_after_s = 10;
    return busy ? EPC_ELIMIT : EPC_EPROTO;
}

enum epc_err rtp_local(const json_t *reply, size_t n_media, struct epc_sdp **local, struct epc_cause *cause)
{
    const json_t *sdp = json_object_get(reply, "sdp");
    if (!rtp_is_ok(reply))
        return refused(reply, cause);
    if (!json_is_string(sdp)) {
        epc_cause_set(cause, 500, NULL, "gateway: reply without a description");
        return EPC_EPROTO;
    }
    enum epc_err err = epc_sdp_parse(
        local, (struct epc_str){json_string_value(sdp), json_string_length(sdp)}, cause);
    if (err == EPC_OK && (*local)->n_media != n_media) {
        epc_sdp_free(*local);
        *local = NULL;
        err = EPC_EPROTO;
    }
    if (err != EPC_OK)
        epc_cause_set(cause, 500, NULL, "gateway: description not usable");
    return err;
}
