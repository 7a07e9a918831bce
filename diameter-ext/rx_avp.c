/* AVPs by enum: looked up once, so that the hot path does no search by name. */
#include "rx_priv.h"

#include <errno.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t vendor;
    bool mandatory; /* the M bit that TS 29.214 5.3.0 asks for, whatever another dictionary says */
} avp_info[RX_AVP_COUNT] = {
#define RX_AVP(id, name, vendor, m) {name, vendor, m},
    RX_AVPS
#undef RX_AVP
};

/* Written once by rx_avp_init() before any other thread runs; see struct rx_ext on globals. */
static struct {
    struct dict_object *avp[RX_AVP_COUNT];
    uint32_t code[RX_AVP_COUNT];
    struct dict_object *app, *aar, *str, *rar, *asr;
} dict;

static bool find_command(const char *name, struct dict_object **out)
{
    if (fd_dict_search(fd_g_config->cnf_dict, DICT_COMMAND, CMD_BY_NAME, name, out, ENOENT) == 0)
        return true;
    fd_log(FD_LOG_ERROR, "epcscf_rx: command %s is not in the dictionary: load dict_rx.fdx", name);
    return false;
}

bool rx_avp_init(void)
{
    for (int i = 0; i < RX_AVP_COUNT; i++) {
        struct dict_avp_request what = {.avp_vendor = avp_info[i].vendor,
                                        .avp_name = (char *)avp_info[i].name};
        struct dict_avp_data data;
        if (fd_dict_search(fd_g_config->cnf_dict, DICT_AVP, AVP_BY_NAME_AND_VENDOR, &what,
                           &dict.avp[i], ENOENT) ||
            fd_dict_getval(dict.avp[i], &data)) {
            fd_log(FD_LOG_ERROR, "epcscf_rx: AVP %s is not in the dictionary: load dict_rx.fdx",
                   avp_info[i].name);
            return false;
        }
        dict.code[i] = data.avp_code;
    }
    application_id_t id = RX_APP_ID;
    if (fd_dict_search(fd_g_config->cnf_dict, DICT_APPLICATION, APPLICATION_BY_ID, &id, &dict.app,
                       ENOENT)) {
        fd_log(FD_LOG_ERROR, "epcscf_rx: application Rx is not in the dictionary: load dict_rx.fdx");
        return false;
    }
    return find_command("AA-Request", &dict.aar) &&
           find_command("Session-Termination-Request", &dict.str) &&
           find_command("Re-Auth-Request", &dict.rar) &&
           find_command("Abort-Session-Request", &dict.asr);
}

struct dict_object *rx_app(void)
{
    return dict.app;
}

struct dict_object *rx_command(uint32_t code)
{
    switch (code) {
    case RX_CC_AA:
        return dict.aar;
    case RX_CC_ST:
        return dict.str;
    case RX_CC_RA:
        return dict.rar;
    case RX_CC_AS:
        return dict.asr;
    }
    return NULL;
}

static struct avp *put_avp(msg_or_avp *parent, struct dict_object *model, bool mandatory,
                           union avp_value *v, bool *ok)
{
    struct avp *a = NULL;
    struct avp_hdr *h;
    if (!*ok)
        return NULL;
    if (fd_msg_avp_new(model, 0, &a) || fd_msg_avp_hdr(a, &h) || (v && fd_msg_avp_setvalue(a, v)) ||
        fd_msg_avp_add(parent, MSG_BRW_LAST_CHILD, a)) {
        if (a)
            fd_msg_free(a);
        *ok = false;
        return NULL;
    }
    h->avp_flags = (uint8_t)((h->avp_flags & ~AVP_FLAG_MANDATORY) | (mandatory ? AVP_FLAG_MANDATORY : 0));
    return a;
}

static struct avp *put(msg_or_avp *parent, enum rx_avp id, union avp_value *v, bool *ok)
{
    return put_avp(parent, dict.avp[id], avp_info[id].mandatory, v, ok);
}

struct avp *rx_put_model(msg_or_avp *parent, struct dict_object *model, bool mandatory,
                         union avp_value *v, bool *ok)
{
    return model ? put_avp(parent, model, mandatory, v, ok) : NULL;
}

struct avp *rx_put_group(msg_or_avp *parent, enum rx_avp id, bool *ok)
{
    return put(parent, id, NULL, ok);
}

void rx_put_u32(msg_or_avp *parent, enum rx_avp id, uint32_t v, bool *ok)
{
    put(parent, id, &(union avp_value){.u32 = v}, ok);
}

void rx_put_i32(msg_or_avp *parent, enum rx_avp id, int32_t v, bool *ok)
{
    put(parent, id, &(union avp_value){.i32 = v}, ok);
}

void rx_put_octets(msg_or_avp *parent, enum rx_avp id, const void *p, size_t n, bool *ok)
{
    put(parent, id, &(union avp_value){.os = {(uint8_t *)p, n}}, ok);
}

void rx_put_text(msg_or_avp *parent, enum rx_avp id, const char *text, bool *ok)
{
    rx_put_octets(parent, id, text, strlen(text), ok);
}

struct avp *rx_get(msg_or_avp *parent, enum rx_avp id, struct avp *after)
{
    struct avp *a = NULL;
    struct avp_hdr *h;
    if (fd_msg_browse(after ? (msg_or_avp *)after : parent,
                      after ? MSG_BRW_NEXT : MSG_BRW_FIRST_CHILD, &a, NULL))
        return NULL;
    while (a) {
        if (fd_msg_avp_hdr(a, &h) == 0 && h->avp_code == dict.code[id] &&
            (h->avp_flags & AVP_FLAG_VENDOR ? h->avp_vendor : 0) == avp_info[id].vendor)
            return a;
        struct avp *next = NULL;
        if (fd_msg_browse(a, MSG_BRW_NEXT, &next, NULL))
            return NULL;
        a = next;
    }
    return NULL;
}

static const union avp_value *value_of(msg_or_avp *parent, enum rx_avp id)
{
    struct avp *a = rx_get(parent, id, NULL);
    struct avp_hdr *h;
    return a && fd_msg_avp_hdr(a, &h) == 0 ? h->avp_value : NULL;
}

bool rx_get_u32(msg_or_avp *parent, enum rx_avp id, uint32_t *out)
{
    const union avp_value *v = value_of(parent, id);
    if (v)
        *out = v->u32;
    return v != NULL;
}

bool rx_get_octets(msg_or_avp *parent, enum rx_avp id, struct epc_str *out)
{
    const union avp_value *v = value_of(parent, id);
    if (v)
        *out = (struct epc_str){(const char *)v->os.data, v->os.len};
    return v != NULL;
}

const char *rx_avp_label(struct avp *a, char *out, size_t n)
{
    struct dict_object *model = NULL;
    struct dict_avp_data d;
    struct avp_hdr *h;
    out[0] = '\0';
    if (fd_msg_avp_hdr(a, &h))
        return out;
    if (fd_msg_model(a, &model) == 0 && model && fd_dict_getval(model, &d) == 0)
        snprintf(out, n, "%s", d.avp_name);
    else
        snprintf(out, n, "AVP %u/%u", h->avp_flags & AVP_FLAG_VENDOR ? h->avp_vendor : 0, h->avp_code);
    return out;
}
