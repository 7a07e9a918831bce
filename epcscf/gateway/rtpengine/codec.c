/* Transcoding, as NG's "codec" in an offer: what the other side shall get and the offerer lacks is to be made
 * ("transcode"); what the offerer has and the other side shall not see is kept as a source ("mask"), or taken
 * away where this rtpengine cannot read and write it ("strip"). DTMF events and comfort noise rtpengine sees
 * to itself. Payload numbers that it invents do not matter: it goes by those of the answer. */
#include "gateway/rtpengine/rtpengine_priv.h"

#include <string.h>

static bool is_audio(const struct epc_sdp_media *m)
{
    return epc_str_eqc(m->type, "audio") && m->port != 0;
}

static bool is_codec(const struct epc_sdp_codec *c)
{
    return c->name.n && !epc_str_ieqc(c->name, "telephone-event") && !epc_str_ieqc(c->name, "CN") &&
           !epc_str_ieqc(c->name, "red");
}

static bool has(const struct epc_sdp_media *m, const struct epc_sdp_codec *c)
{
    for (size_t i = 0; i < m->n_codec; i++)
        if (epc_str_ieq(m->codec[i].name, c->name) && m->codec[i].clock_hz == c->clock_hz)
            return true;
    return false;
}

static bool can_make(const struct rtp_instance *at, const struct epc_sdp_codec *c)
{
    const struct epc_cfg_media *cfg = at->gw->cfg;
    for (size_t i = 0; i < cfg->n_audio_codecs && i < 32; i++)
        if (epc_str_ieqc(c->name, cfg->audio_codecs[i]))
            return at->codecs >> i & 1;
    return false;
}

static int add(json_t *codec, const char *list, const struct epc_sdp_codec *c)
{
    char text[64];
    json_t *names = json_object_get(codec, list);
    if (!names && json_object_set_new(codec, list, names = json_array()) != 0)
        return -1;
    int n = c->channels > 1 ? snprintf(text, sizeof text, "%.*s/%u/%u", EPC_STR_ARG(c->name), c->clock_hz, c->channels)
                            : snprintf(text, sizeof text, "%.*s/%u", EPC_STR_ARG(c->name), c->clock_hz);
    if (n < 0 || (size_t)n >= sizeof text)
        return 0; /* no codec has such a name: nothing to make of it */
    for (size_t i = 0; i < json_array_size(names); i++)
        if (strcmp(json_string_value(json_array_get(names, i)), text) == 0)
            return 0;
    return json_array_append_new(names, json_string(text));
}

enum epc_err rtp_transcoding(const struct rtp_instance *at, const struct epc_gw_media *m, json_t **out)
{
    json_t *codec = json_object();
    int rc = codec ? 0 : -1;
    *out = NULL;
    for (size_t i = 0; m->want && i < m->remote->n_media && i < m->want->n_media; i++) {
        const struct epc_sdp_media *from = &m->remote->media[i], *to = &m->want->media[i];
        if (!is_audio(from) || !is_audio(to))
            continue;
        for (size_t k = 0; k < to->n_codec; k++)
            if (is_codec(&to->codec[k]) && !has(from, &to->codec[k]))
                rc |= add(codec, "transcode", &to->codec[k]);
    }
    bool needed = json_object_size(codec) > 0;
    for (size_t i = 0; needed && i < m->remote->n_media && i < m->want->n_media; i++) {
        const struct epc_sdp_media *from = &m->remote->media[i], *to = &m->want->media[i];
        for (size_t k = 0; is_audio(from) && is_audio(to) && k < from->n_codec; k++)
            if (is_codec(&from->codec[k]) && !has(to, &from->codec[k]))
                rc |= add(codec, can_make(at, &from->codec[k]) ? "mask" : "strip", &from->codec[k]);
    }
    if (rc == 0 && needed) {
        *out = codec;
        return EPC_OK;
    }
    json_decref(codec);
    return rc == 0 ? EPC_OK : EPC_ENOMEM;
}

void rtp_compare(const struct rtp_ctx *c, const struct epc_sdp *want, const struct epc_sdp *local)
{
    for (size_t i = 0; want && i < want->n_media && i < local->n_media; i++) {
        const struct epc_sdp_media *w = &want->media[i], *l = &local->media[i];
        for (size_t k = 0; is_audio(w) && is_audio(l) && k < w->n_codec; k++)
            if (is_codec(&w->codec[k]) && !has(l, &w->codec[k]))
                epc_log(EPC_LOG_WARN, "gateway",
                        "event=codec-missing call=%.128s gateway=%s stream=%zu codec=%.*s why=\"rtpengine does not "
                        "make it of what the other side has\"",
                        c->key, ng_instance_name(c->at->ng), i, EPC_STR_ARG(w->codec[k].name));
    }
}
