/* Header editing by name, for headers that sofia-sip has a class for and for those it does not. */
#include "sip/sip_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The class of a header name; NULL when the name is no token. */
static msg_hclass_t *class_of(const msg_t *msg, const char *name, bool *unknown)
{
    const msg_mclass_t *mc = msg_mclass(msg);
    char with_colon[80];
    isize_t end = 0;
    size_t n = strlen(name);
    if (n + 2 > sizeof with_colon)
        return NULL;
    memcpy(with_colon, name, n);
    memcpy(with_colon + n, ":", 2);
    const msg_href_t *hr = msg_find_hclass(mc, with_colon, &end);
    if (!hr || end == 0)
        return NULL;
    *unknown = hr == mc->mc_unknown;
    return hr->hr_class;
}

msg_header_t **epc_sip_list(const msg_t *msg, const char *name, bool *unknown)
{
    msg_hclass_t *hc = class_of(msg, name, unknown);
    return hc ? msg_hclass_offset(msg_mclass(msg), epc_pub(epc_sip_of(msg)), hc) : NULL;
}

msg_header_t *epc_sip_find_from(msg_header_t *h, const char *name, bool unknown)
{
    while (h && unknown && (!h->sh_unknown->un_name || strcasecmp(h->sh_unknown->un_name, name) != 0))
        h = h->sh_next;
    return h;
}

/* A value from outside must not smuggle in another header. */
static bool has_line_end(const char *s, size_t n)
{
    return memchr(s, '\r', n) || memchr(s, '\n', n);
}

enum epc_err epc_sip_add_value(msg_t *msg, const char *name, const char *value)
{
    bool unknown;
    if (has_line_end(value, strlen(value)) || has_line_end(name, strlen(name)))
        return EPC_EINVAL;
    msg_hclass_t *hc = class_of(msg, name, &unknown);
    if (!hc)
        return EPC_EINVAL;
    /* Not msg_header_add_str(): that appends behind the body's separator. */
    msg_pub_t *pub = epc_pub(epc_sip_of(msg));
    if (!unknown)
        return msg_header_add_make(msg, pub, hc, value) < 0 ? EPC_EPROTO : EPC_OK;
    char *line = su_sprintf(msg_home(msg), "%s: %s", name, value);
    if (!line)
        return EPC_ENOMEM;
    return msg_header_add_make(msg, pub, hc, line) < 0 ? EPC_EPROTO : EPC_OK;
}

enum epc_err epc_sip_put(msg_t *msg, const char *name, struct epc_str value)
{
    if (has_line_end(value.p, value.n))
        return EPC_EINVAL;
    msg_header_t *h = msg_header_alloc(msg_home(msg), sip_unknown_class, (isize_t)value.n + 1);
    if (!h)
        return EPC_ENOMEM;
    char *text = (char *)h + sizeof(sip_unknown_t);
    memcpy(text, value.p, value.n);
    text[value.n] = 0;
    h->sh_unknown->un_name = name;
    h->sh_unknown->un_value = text;
    return msg_header_insert(msg, epc_pub(epc_sip_of(msg)), h) < 0 ? EPC_ENOMEM : EPC_OK;
}

enum epc_err epc_sip_add(msg_t *msg, const char *name, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *value = su_vsprintf(msg_home(msg), fmt, ap);
    va_end(ap);
    return value ? epc_sip_add_value(msg, name, value) : EPC_ENOMEM;
}

enum epc_err epc_sip_add_lines(msg_t *msg, const char *lines)
{
    struct epc_str rest = epc_str_c(lines);
    enum epc_err err = EPC_OK;
    while (!err && rest.p && rest.n) {
        struct epc_str value = epc_str_trim(epc_str_cut(&rest, '\n'));
        if (value.n == 0)
            continue;
        struct epc_str name = epc_str_trim(epc_str_cut(&value, ':'));
        value = epc_str_trim(value);
        char *n = su_strndup(msg_home(msg), name.p, (isize_t)name.n);
        char *v = su_strndup(msg_home(msg), value.p ? value.p : "", (isize_t)value.n);
        err = n && v ? epc_sip_add_value(msg, n, v) : EPC_ENOMEM;
    }
    return err;
}

unsigned epc_sip_remove(msg_t *msg, const char *name)
{
    bool unknown;
    unsigned n = 0;
    msg_header_t **list = epc_sip_list(msg, name, &unknown);
    if (!list)
        return 0;
    for (msg_header_t *h = epc_sip_find_from(*list, name, unknown), *next; h; h = next) {
        next = epc_sip_find_from(h->sh_next, name, unknown);
        if (msg_header_remove(msg, epc_pub(epc_sip_of(msg)), h) == 0)
            n++;
    }
    return n;
}

/* Not sip_header_as_string(): it cuts values over 127 octets short. The encoder wants one octet more
 * than text and NUL. */
static char *value_text(su_home_t *home, const msg_header_t *h)
{
    char probe[128];
    issize_t n = msg_header_field_e(probe, sizeof probe, h, 0);
    if (n < 0)
        n = 4 * EPC_SIP_MAX_OCTETS; /* does not happen with sofia's own encoders */
    size_t room = (size_t)n + 2;
    char *text = su_alloc(home, (isize_t)room);
    if (!text || (n = msg_header_field_e(text, (isize_t)room, h, 0)) < 0 || (size_t)n >= room)
        return NULL;
    text[n] = 0;
    return text;
}

char *epc_sip_value(const void *header)
{
    su_home_t home[1] = {SU_HOME_INIT(home)};
    char *text = header ? value_text(home, header) : NULL;
    char *copy = text ? strdup(text) : NULL;
    su_home_deinit(home);
    return copy;
}

struct epc_str epc_sip_get(msg_t *msg, const char *name, unsigned i)
{
    bool unknown;
    msg_header_t **list = epc_sip_list(msg, name, &unknown);
    if (!list)
        return EPC_STR_NULL;
    msg_header_t *h = epc_sip_find_from(*list, name, unknown);
    for (; h && i; i--)
        h = epc_sip_find_from(h->sh_next, name, unknown);
    if (!h)
        return EPC_STR_NULL;
    if (unknown)
        return (struct epc_str){h->sh_unknown->un_value ? h->sh_unknown->un_value : "",
                                h->sh_unknown->un_value ? strlen(h->sh_unknown->un_value) : 0};
    return epc_str_c(value_text(msg_home(msg), h));
}

bool epc_sip_lists(msg_t *msg, const char *name, const char *word)
{
    for (unsigned i = 0;; i++) {
        struct epc_str rest = epc_sip_get(msg, name, i);
        if (!rest.p)
            return false;
        while (rest.p)
            if (epc_str_ieqc(epc_str_trim(epc_str_cut(&rest, ',')), word))
                return true;
    }
}

enum epc_err epc_sip_unlist(msg_t *msg, const char *name, const char *word)
{
    struct epc_buf kept = {0};
    if (!epc_sip_lists(msg, name, word))
        return EPC_OK;
    for (unsigned i = 0;; i++) {
        struct epc_str rest = epc_sip_get(msg, name, i);
        if (!rest.p)
            break;
        while (rest.p) {
            struct epc_str tag = epc_str_trim(epc_str_cut(&rest, ','));
            if (tag.n == 0 || epc_str_ieqc(tag, word))
                continue;
            epc_buf_printf(&kept, "%s%.*s", kept.n ? ", " : "", EPC_STR_ARG(tag));
        }
    }
    char *text = kept.n ? epc_buf_take(&kept, NULL) : NULL;
    if (kept.failed || (kept.n && !text)) {
        epc_buf_free(&kept);
        return EPC_ENOMEM;
    }
    epc_sip_remove(msg, name);
    enum epc_err err = text ? epc_sip_add(msg, name, "%s", text) : EPC_OK;
    free(text);
    return err;
}

enum epc_err epc_sip_set_routes(msg_t *msg, const char *const *routes)
{
    sip_t *sip = epc_sip_of(msg);
    sip_route_t *first = NULL, **end = &first;
    for (; routes && *routes; routes++) {
        /* Without brackets sofia-sip would take URI parameters for header parameters. */
        bool bare = !strchr(*routes, '<');
        if (has_line_end(*routes, strlen(*routes)) || (bare && strchr(*routes, '>')))
            return EPC_EINVAL;
        sip_route_t *r = sip_route_format(msg_home(msg), bare ? "<%s>" : "%s", *routes);
        if (!r)
            return EPC_EPROTO;
        *end = r;
        while (*end)
            end = &(*end)->r_next;
    }
    epc_sip_remove(msg, "Route");
    if (first && msg_header_insert(msg, epc_pub(sip), epc_hdr(first)) < 0)
        return EPC_ENOMEM;
    return EPC_OK;
}

enum epc_err epc_sip_set_request_uri(msg_t *msg, const char *uri)
{
    sip_request_t *rq = epc_sip_of(msg)->sip_request;
    url_t *u = rq && !has_line_end(uri, strlen(uri)) ? url_hdup(msg_home(msg), (const url_t *)(const void *)uri) : NULL;
    if (!u || u->url_type == url_invalid)
        return EPC_EPROTO;
    *rq->rq_url = *u;
    msg_fragment_clear(rq->rq_common);
    return EPC_OK;
}

enum epc_err epc_sip_shift_cseq(msg_t *msg, int64_t by)
{
    sip_t *sip = epc_sip_of(msg);
    int64_t cseq = sip->sip_cseq ? (int64_t)sip->sip_cseq->cs_seq + by : -1;
    int64_t rack = sip->sip_rack ? (int64_t)sip->sip_rack->ra_cseq + by : 0;
    if (cseq < 0 || rack < 0 || cseq > UINT32_MAX || rack > UINT32_MAX)
        return EPC_EINVAL;
    if (by == 0)
        return EPC_OK;
    sip->sip_cseq->cs_seq = (uint32_t)cseq;
    msg_fragment_clear(sip->sip_cseq->cs_common);
    if (sip->sip_rack) {
        sip->sip_rack->ra_cseq = (uint32_t)rack;
        msg_fragment_clear_chain(epc_hdr(sip->sip_rack));
    }
    return EPC_OK;
}

bool epc_sip_max_forwards(msg_t *msg)
{
    sip_t *sip = epc_sip_of(msg);
    sip_max_forwards_t *mf = sip->sip_max_forwards;
    if (!mf)
        return epc_sip_add(msg, "Max-Forwards", "%u", 70u) == EPC_OK;
    if (mf->mf_count == 0)
        return false;
    mf->mf_count--;
    msg_fragment_clear(mf->mf_common);
    return true;
}
