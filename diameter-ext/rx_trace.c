/* A message as text: "AAR Session-Id=... Media-Component-Description{Media-Component-Number=1 ...}". */
#include "rx_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static void add_octets(struct epc_buf *b, const uint8_t *p, size_t n, bool is_ip)
{
    char ip[INET_ADDRSTRLEN];
    bool plain = true;
    for (size_t i = 0; plain && i < n; i++)
        plain = p[i] >= 0x20 && p[i] < 0x7f;
    if (is_ip && n == 4 && inet_ntop(AF_INET, p, ip, sizeof ip))
        epc_buf_adds(b, ip);
    else if (plain)
        epc_buf_printf(b, "\"%.*s\"", (int)n, (const char *)p);
    else if (n > 2 && (memchr(p, '\n', n) != NULL)) {
        /* Codec-Data: lines of SDP */
        epc_buf_adds(b, "\"");
        for (size_t i = 0; i < n; i++) {
            if (p[i] == '\n')
                epc_buf_adds(b, "|");
            else if (p[i] >= 0x20 && p[i] < 0x7f)
                epc_buf_add(b, &p[i], 1);
        }
        epc_buf_adds(b, "\"");
    } else {
        epc_buf_adds(b, "0x");
        for (size_t i = 0; i < n; i++)
            epc_buf_printf(b, "%02x", p[i]);
    }
}

static void add_integer(struct epc_buf *b, struct dict_object *model, const union avp_value *v,
                        enum dict_avp_basetype base)
{
    struct dict_object *type = NULL, *named = NULL;
    long long n = base == AVP_TYPE_INTEGER32 ? (long long)v->i32 : (long long)v->u32;
    epc_buf_printf(b, "%lld", n);
    if (fd_dict_search(fd_g_config->cnf_dict, DICT_TYPE, TYPE_OF_AVP, model, &type, 0) || !type)
        return;
    struct dict_enumval_request what = {.type_obj = type, .search = {.enum_value = *v}};
    struct dict_enumval_data data;
    if (fd_dict_search(fd_g_config->cnf_dict, DICT_ENUMVAL, ENUMVAL_BY_STRUCT, &what, &named, 0) ==
            0 && named && fd_dict_getval(named, &data) == 0)
        epc_buf_printf(b, "(%s)", data.enum_name);
}

void rx_avp_value(struct epc_buf *b, struct avp *a, struct dict_object *model, enum dict_avp_basetype base)
{
    struct avp_hdr *h;
    if (fd_msg_avp_hdr(a, &h) || !h->avp_value)
        return;
    if (base == AVP_TYPE_OCTETSTRING)
        add_octets(b, h->avp_value->os.data, h->avp_value->os.len, h->avp_code == 8);
    else if (base == AVP_TYPE_INTEGER32 || base == AVP_TYPE_UNSIGNED32)
        add_integer(b, model, h->avp_value, base);
    else if (base == AVP_TYPE_UNSIGNED64)
        epc_buf_printf(b, "%llu", (unsigned long long)h->avp_value->u64);
    else
        epc_buf_adds(b, "?");
}

void rx_avp_name(struct epc_buf *b, const struct avp_hdr *h, const struct dict_avp_data *data)
{
    if (data->avp_name)
        epc_buf_adds(b, data->avp_name);
    else
        epc_buf_printf(b, "AVP-%u/%u", h->avp_flags & AVP_FLAG_VENDOR ? h->avp_vendor : 0, h->avp_code);
}

static void add_avps(struct epc_buf *b, msg_or_avp *parent)
{
    struct avp *a = NULL;
    if (fd_msg_browse(parent, MSG_BRW_FIRST_CHILD, &a, NULL))
        return;
    for (bool first = true; a; first = false) {
        struct avp_hdr *h;
        struct dict_object *model = NULL;
        struct dict_avp_data data = {.avp_basetype = AVP_TYPE_OCTETSTRING};
        struct avp *next = NULL;
        if (fd_msg_avp_hdr(a, &h))
            return;
        if (fd_msg_model(a, &model) == 0 && model)
            fd_dict_getval(model, &data);
        if (!first)
            epc_buf_adds(b, " ");
        rx_avp_name(b, h, &data);
        if (data.avp_basetype == AVP_TYPE_GROUPED) {
            epc_buf_adds(b, "{");
            add_avps(b, a);
            epc_buf_adds(b, "}");
        } else if (h->avp_value) {
            epc_buf_adds(b, "=");
            rx_avp_value(b, a, model, data.avp_basetype);
        }
        if (fd_msg_browse(a, MSG_BRW_NEXT, &next, NULL))
            return;
        a = next;
    }
}

const char *rx_command_name(uint32_t code, bool request)
{
    switch (code) {
    case RX_CC_AA: return request ? "AAR" : "AAA";
    case RX_CC_ST: return request ? "STR" : "STA";
    case RX_CC_RA: return request ? "RAR" : "RAA";
    case RX_CC_AS: return request ? "ASR" : "ASA";
    }
    return "?";
}

void rx_trace(bool out, struct msg *m, const char *key)
{
    struct msg_hdr *h;
    struct epc_buf text = {0};
    struct epc_str peer = EPC_STR_NULL;
    char peer_text[256];
    if (!epc_trace_on() || fd_msg_hdr(m, &h))
        return;
    epc_buf_printf(&text, "%s ", rx_command_name(h->msg_code, h->msg_flags & CMD_FLAG_REQUEST));
    add_avps(&text, m);
    if (out ? !rx_get_octets(m, RX_DESTINATION_HOST, &peer) &&
                  !rx_get_octets(m, RX_DESTINATION_REALM, &peer)
            : !rx_get_octets(m, RX_ORIGIN_HOST, &peer))
        peer = EPC_STR_NULL;
    snprintf(peer_text, sizeof peer_text, "%.*s", EPC_STR_ARG(peer));
    if (!text.failed && text.p)
        epc_trace(EPC_TRACE_RX, out, peer_text, key, text.p, text.n);
    epc_buf_free(&text);
}
